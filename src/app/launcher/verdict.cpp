#include "app/launcher/verdict.hpp"

#include <fmt/format.h>

#include <charconv>

namespace mp::launcher {
namespace {

constexpr const char* kTables[] = {"trades",
                                   "orderbook_deltas",
                                   "orderbooks",
                                   "funding_rates",
                                   "open_interests",
                                   "liquidations",
                                   "lsr_top_positions",
                                   "lsr_all_accounts",
                                   "volatility_indices",
                                   "data_gaps",
                                   "rejected_messages",
                                   "instruments"};
constexpr std::size_t kGapsShown = 5;

// Rows of data_gaps are replaced by newer ones about the same gap, whenever ClickHouse merges: how many there are is
// told by the view alone.
std::string_view counted(std::string_view table) { return table == "data_gaps" ? "gaps" : table; }

std::string sql_name(const std::string& name) { return "`" + name + "`"; }

// DateTime64 literals have a blank and no zone.
std::string time_literal(WallTime at) {
  std::string text = iso(at);
  text[10] = ' ';
  text.pop_back();
  return "toDateTime64('" + text + "', 9, 'UTC')";
}

std::string in_range(const BusRange& range) {
  // A server that lost the end of its stream uses sequences again: rows of the new messages have a bus_stream some ns
  // later.
  return fmt::format("bus_stream BETWEEN {} AND {} AND bus_sequence > {} AND bus_sequence <= {}",
                     time_literal(range.stream_created),
                     time_literal(range.stream_created + std::chrono::nanoseconds(999)), range.after, range.last);
}

std::string sql_stored(const std::string& database, const BusRange& range) {
  std::string stored;
  for (const char* table : kTables) {
    stored += fmt::format("{}SELECT bus_sequence FROM {}.{} WHERE {}", stored.empty() ? "" : "\nUNION ALL ",
                          sql_name(database), table, in_range(range));
  }
  return stored;
}

std::vector<std::string_view> split(std::string_view text, char at) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const auto end = std::min(text.find(at), text.size());
    parts.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

std::uint64_t number(std::string_view text) {
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

}  // namespace

std::string sql_counts(const std::string& database, const BusRange& range) {
  std::string sql;
  for (const char* table : kTables) {
    sql += fmt::format("{}SELECT '{}', count(), uniqExact(bus_stream, bus_sequence, bus_index) FROM {}.{} WHERE {}",
                       sql.empty() ? "" : "\nUNION ALL ", table, sql_name(database), counted(table), in_range(range));
  }
  return sql + " FORMAT TSV";
}

std::string sql_missing(const std::string& database, const BusRange& range) {
  return fmt::format("SELECT {} - uniqExact(bus_sequence) FROM ({}) FORMAT TSV", range.last - range.after,
                     sql_stored(database, range));
}

std::string sql_missing_sequences(const std::string& database, const BusRange& range, std::size_t limit) {
  return fmt::format("SELECT number + {} AS sequence FROM numbers({}) WHERE sequence NOT IN ({}) LIMIT {} FORMAT TSV",
                     range.after + 1, range.last - range.after, sql_stored(database, range), limit);
}

std::string sql_known_gaps(const std::string& database, const std::vector<std::string>& gap_ids) {
  std::string list;
  for (const auto& id : gap_ids) {
    list += list.empty() ? "'" : ", '";
    for (const char c : id) list += c == '\\' || c == '\'' ? std::string{'\\', c} : std::string{c};
    list += '\'';
  }
  return fmt::format("SELECT DISTINCT gap_id FROM {}.gaps WHERE gap_id IN ({}) FORMAT TSV", sql_name(database), list);
}

std::string sql_known_events(const std::string& database, const std::string& table,
                             const std::vector<WallTime>& received_at) {
  std::string list;
  for (const auto at : received_at) list += (list.empty() ? "" : ", ") + time_literal(at);
  const std::string time = table == "data_gaps" ? "detected_at" : "received_at";
  return fmt::format(
      "SELECT DISTINCT concat('{}|', exchange, '|', market_type, '|', symbol, '|', toString(toUnixTimestamp64Nano({}))) FROM {}.{} WHERE {} IN ({}) FORMAT TSV",
      table, time, sql_name(database), table, time, list);
}

std::string sql_gaps(const std::string& database, const BusRange& range, std::optional<WallTime> since) {
  const std::string begun = since ? " AND gap_start >= " + time_literal(*since) : "";
  // 'start' and 'end' mark the edges of a recording and are no loss.
  return fmt::format(
      "SELECT exchange, market_type, symbol, data_type, cause, toString(gap_start), toString(gap_end) FROM {}.gaps WHERE {}{} AND "
      "cause NOT IN ('start', 'end') ORDER BY gap_start FORMAT TSV",
      sql_name(database), in_range(range), begun);
}

std::string sql_all_rows(const std::string& database) {
  return fmt::format("SELECT (SELECT count() FROM {0}.trades) + (SELECT count() FROM {0}.orderbook_deltas) FORMAT TSV",
                     sql_name(database));
}

void read_counts(std::string_view answer, Findings& findings) {
  for (const auto line : split(answer, '\n')) {
    const auto fields = split(line, '\t');
    if (fields.size() == 3) findings.tables[std::string(fields[0])] = {number(fields[1]), number(fields[2])};
  }
}

void read_missing(std::string_view answer, Findings& findings) { findings.missing_messages = number(answer); }

std::vector<std::uint64_t> read_sequences(std::string_view answer) {
  std::vector<std::uint64_t> sequences;
  for (const auto line : split(answer, '\n')) sequences.push_back(number(line));
  return sequences;
}

void read_gaps(std::string_view answer, Findings& findings) {
  for (const auto line : split(answer, '\n')) {
    const auto f = split(line, '\t');
    if (f.size() != 7) continue;
    if (findings.gaps.size() < kGapsShown) {
      findings.gaps.push_back(fmt::format("{} {} {} {}: {} from {} to {}", f[0], f[1], f[2], f[3], f[4], f[5], f[6]));
    }
    ++findings.gap_count;
  }
}

std::string unpublished_text(const Unpublished& left) {
  if (left.events == 0 && left.all_counted) return "";
  return fmt::format("{}{} events ({} of them gaps) are not published yet: they wait in the journal for the next start",
                     left.all_counted ? "" : "more than ", left.events, left.gaps);
}

namespace {

// Why there is no row of this run's stream, and how to go on; nothing when there is no reason to be seen.
std::vector<std::string> why_no_data(const Findings& findings, const BusRange& range) {
  const auto messages = range.last - range.after;
  const bool all_published =
      findings.unpublished && findings.unpublished->events == 0 && findings.unpublished->all_counted;
  std::string seen;
  if (messages > 0 && findings.missing_messages == messages && findings.bus_says_stored) {
    seen = fmt::format(
        "the bus has {} messages and says that all of them were stored before, and ClickHouse has none of them: its tables are new ones "
        "(was {}/clickhouse removed, or is it another one?)",
        messages, findings.data);
  } else if (messages == 0 && findings.is_playback && all_published) {
    seen = fmt::format(
        "the journal says that everything was published and acknowledged before, and the stream is a new one without any message (was {}/nats removed?)",
        findings.data);
    seen +=
        findings.rows_of_others > 0
            ? fmt::format(
                  "; ClickHouse has {} rows from streams that are gone, and whether they are all cannot be told any more",
                  findings.rows_of_others)
            : std::string("; ClickHouse has no rows either");
  } else {
    return {};
  }
  const auto& data = findings.data;
  return {
      "seen: " + seen,
      findings.is_playback
          ? fmt::format(
                "to have them stored: play the recordings into a new folder (--data {}-2), or remove journal, nats and clickhouse in {} and play them again",
                data, data)
          : fmt::format(
                "to have them stored again: `marketprism journal convert --to capture {0}/journal -o recording.jsonl`, then `marketprism up --capture "
                "recording.jsonl --speed 0 --exit-when-done --data {0}-2`; the journal has them",
                data)};
}

}  // namespace

Verdict judge(const Findings& findings, const BusRange& range, int restarts) {
  Verdict verdict;
  std::uint64_t doubled = 0;
  std::string stored;
  for (const auto& [table, count] : findings.tables) {
    doubled += count.rows - std::min(count.rows, count.places);
    if (count.rows > 0) stored += fmt::format("{}{} {}", stored.empty() ? "" : ", ", table, count.rows);
  }
  const auto rows = [&](const char* table) {
    const auto found = findings.tables.find(table);
    return found == findings.tables.end() ? 0 : found->second.rows;
  };
  const auto rejected = rows("rejected_messages");
  verdict.lines.push_back("rows stored: " + (stored.empty() ? "none" : stored));
  verdict.lines.push_back(fmt::format(
      "bus messages {}, not in ClickHouse {}, stored twice {}, gaps {}, rejected {}, restarts {}",
      range.last - range.after, findings.missing_messages, doubled, findings.gap_count, rejected, restarts));
  if (findings.stored_before > 0)
    verdict.lines.push_back(
        fmt::format("{} of these messages were published again and had been stored before, from a stream that is gone",
                    findings.stored_before));
  for (const auto& gap : findings.gaps) verdict.lines.push_back("gap: " + gap);
  // Noted by this run about the time before it: what was missed while nothing ran, or could not be told earlier.
  if (const auto noted = rows("data_gaps"); noted > findings.gap_count)
    verdict.lines.push_back(
        fmt::format("{} gaps from before this run were noted too (see the view gaps)", noted - findings.gap_count));
  if (findings.unpublished && findings.unpublished->unfinished_recordings > 0 && !findings.must_play_to_end)
    verdict.lines.push_back(
        fmt::format("{} recordings were not played to their end: start again, and it goes on from there",
                    findings.unpublished->unfinished_recordings));
  std::string why;
  const auto because = [&](bool bad, const char* text) {
    if (bad) why += (why.empty() ? "" : "; ") + std::string(text);
  };
  because(rows("trades") + rows("orderbook_deltas") + findings.stored_before == 0, "no market data reached ClickHouse");
  because(findings.missing_messages > 0, "messages of the bus are not in ClickHouse");
  because(doubled > 0, "rows are there twice");
  because(findings.gap_count > 0, "data was lost (see data_gaps)");
  because(rejected > 0, "messages were rejected (see rejected_messages)");
  const auto left = findings.unpublished ? unpublished_text(*findings.unpublished) : "";
  because(!left.empty(), left.c_str());
  because(findings.must_report && !findings.unpublished,
          "the collector did not end in order (see its log): what it has received and lost is not known");
  if (const auto& told = findings.unpublished) {
    const auto dropped =
        fmt::format("{} records could not be written into the journal: what they held is lost", told->records_dropped);
    because(told->records_dropped > 0, dropped.c_str());
    const auto failed =
        fmt::format("{} could not be read to its end (the collector's log says why)", told->failed_recording);
    because(!told->failed_recording.empty(), failed.c_str());
    const auto broken =
        fmt::format("{} lines of recordings could not be read, the first of them in {} (the collector's log names it)",
                    told->broken_lines, told->broken_recording);
    because(told->broken_lines > 0, broken.c_str());
    const auto unfinished = fmt::format("{} recordings were not played to their end", told->unfinished_recordings);
    because(findings.must_play_to_end && told->unfinished_recordings > 0, unfinished.c_str());
  }
  if (rows("trades") + rows("orderbook_deltas") + findings.stored_before == 0)
    for (auto& line : why_no_data(findings, range)) verdict.lines.push_back(std::move(line));
  verdict.good = why.empty();
  verdict.lines.push_back(verdict.good ? "nothing of this run was lost" : "NOT GOOD: " + why);
  return verdict;
}

}  // namespace mp::launcher
