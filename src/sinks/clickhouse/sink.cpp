#include "sinks/clickhouse/sink.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "sinks/clickhouse/rows/table.hpp"

namespace mp::sinks::clickhouse {
namespace {

using mp::clickhouse::Answer;
using mp::clickhouse::Client;

// Seconds; no longer than ClickHouse's max_session_timeout (an hour), and than anybody wants to wait for a forgotten session.
constexpr const char* kSessionTimeout = "600";
constexpr int kReadOnly = 164;

std::uint64_t number(const std::string& text) {
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

Outcome outcome_of(const Result<Answer>& answer) {
  if (!answer) return {Verdict::unreachable, answer.error().text()};
  const auto verdict = verdict_of(answer->status, answer->code, answer->text);
  if (verdict == Verdict::ok) return {};
  return {verdict, answer->error("ClickHouse").text()};
}

std::string column_list(const Table& table) {
  std::string out;
  for (const auto& column : table.columns) {
    if (!out.empty()) out += ", ";
    out += column.name;
  }
  return out;
}

}  // namespace

// The tables of the wanted databases as they are.
Result<std::vector<SchemaTable>> read_schema(Client& client, const std::vector<SchemaTable>& wanted, std::stop_token stop) {
  std::set<std::string> databases;
  for (const auto& table : wanted) databases.insert(mp::clickhouse::sql_text(table.database));
  const auto in = fmt::format("database IN ({})", fmt::join(databases, ", "));
  const auto tables = client.rows({"SELECT database, name, engine, partition_key, sorting_key FROM system.tables WHERE " + in + " FORMAT TabSeparated"}, stop);
  if (!tables) return tables.error();
  const auto columns = client.rows({"SELECT database, table, name, type, default_kind FROM system.columns WHERE " + in + " FORMAT TabSeparated"}, stop);
  if (!columns) return columns.error();
  std::vector<SchemaTable> have;
  for (const auto& row : *tables) {
    if (row.size() != 5) return Error{Errc::corrupt, "system.tables", "an answer with " + std::to_string(row.size()) + " columns"};
    have.push_back({row[0], row[1], row[2], normal_key(row[3]), normal_key(row[4]), {}});
  }
  for (const auto& row : *columns) {
    if (row.size() != 5) return Error{Errc::corrupt, "system.columns", "an answer with " + std::to_string(row.size()) + " columns"};
    const auto table = std::find_if(have.begin(), have.end(), [&](const auto& t) { return t.database == row[0] && t.name == row[1]; });
    if (table != have.end()) table->columns.push_back({row[2], without_blanks(row[3]), row[4]});
  }
  return have;
}

const std::vector<mp::clickhouse::Setting>& insert_settings() {
  // One insert makes one block (per partition): the thresholds lie above every batch, 100 000 rows or 16 MB.
  static const std::vector<mp::clickhouse::Setting> settings{
      {"async_insert", "0"},
      {"max_insert_block_size", "1048576"},
      {"min_insert_block_size_rows", "1048576"},
      {"min_insert_block_size_bytes", "268435456"},
      {"max_partitions_per_insert_block", "100"},
      {"insert_deduplicate", "0"},
      {"input_format_parallel_parsing", "0"},
      {"insert_quorum", "0"},
  };
  return settings;
}

ClickHouseSink::ClickHouseSink(SinkOptions options) : options_(std::move(options)), client_(options_.client) {}

mp::clickhouse::Statement ClickHouseSink::statement(std::string sql) const {
  if (session_.empty()) return {std::move(sql), "", {}};
  return {std::move(sql), session_, {{"session_timeout", kSessionTimeout}, {"session_check", "1"}}};
}

Outcome ClickHouseSink::shut(const std::string& session, std::stop_token stop) {
  const auto answer = client_.query({"SET readonly = 1", session, {{"session_timeout", kSessionTimeout}}}, stop);
  if (answer && answer->code == kReadOnly) return {};  // it is shut already
  return outcome_of(answer);
}

Outcome ClickHouseSink::begin(std::string session, std::stop_token stop) {
  const auto outcome = outcome_of(client_.query({"SELECT 1", session, {{"session_timeout", kSessionTimeout}}}, stop));
  if (outcome.verdict == Verdict::ok) session_ = std::move(session);
  return outcome;
}

Outcome ClickHouseSink::touch(std::stop_token stop) { return outcome_of(client_.query(statement("SELECT 1"), stop)); }

std::string ClickHouseSink::insert_statement(Target target) const {
  const auto& table = table_of(target == Target::rejected ? DataType::rejected : options_.type);
  const auto& database = target == Target::cold ? options_.cold_database : options_.database;
  return fmt::format("INSERT INTO {}.{} ({}) FORMAT RowBinary", database, table.name, column_list(table));
}

Outcome ClickHouseSink::insert(const RowBatch& batch, const Piece& piece, std::stop_token stop) {
  auto insert = statement(insert_statement(piece.target));
  insert.settings.insert(insert.settings.end(), insert_settings().begin(), insert_settings().end());
  return outcome_of(client_.insert(insert, body_of(batch, piece), stop));
}

std::string ClickHouseSink::from_all_tables(const std::string& select) const {
  const auto& table = table_of(options_.type);
  std::vector<std::string> names{options_.database + "." + table.name};
  if (table.expires && !options_.cold_database.empty()) names.push_back(options_.cold_database + "." + table.name);
  if (options_.type != DataType::rejected) names.push_back(options_.database + "." + table_of(DataType::rejected).name);
  std::vector<std::string> selects;
  for (const auto& name : names) selects.push_back(fmt::format(fmt::runtime(select), fmt::arg("table", name)));
  return fmt::format("{}", fmt::join(selects, " UNION ALL "));
}

std::vector<std::string> ClickHouseSink::data_tables() const {
  const auto& table = table_of(options_.type);
  std::vector<std::string> names{options_.database + "." + table.name};
  if (table.expires && !options_.cold_database.empty()) names.push_back(options_.cold_database + "." + table.name);
  return names;
}

Outcome ClickHouseSink::select(const std::string& table, const Content& content, const std::string& where, std::vector<Content::Found>& found,
                               std::stop_token stop) {
  const auto answer = client_.query(statement(fmt::format("SELECT bus_stream, bus_sequence, bus_index, {} FROM {} WHERE {} FORMAT RowBinary",
                                                          fmt::join(content.names, ", "), table, where)),
                                    stop);
  auto outcome = outcome_of(answer);
  if (outcome.verdict != Verdict::ok) return outcome;
  std::string_view rest = answer->body;
  while (auto row = content.take(rest)) found.push_back(std::move(*row));
  if (!rest.empty()) return {Verdict::bad_data, "the rows of " + table + " are not understood"};
  return outcome;
}

ClickHouseSink::Present ClickHouseSink::read_back(RowBatch& batch, WallTime stream, std::stop_token stop) {
  const auto where = fmt::format("{} AND bus_sequence BETWEEN {} AND {}", where_stream(stream), batch.rows().front().key.sequence, batch.rows().back().key.sequence);
  const Content data{table_of(options_.type), false};
  const Content rejected{table_of(DataType::rejected), true};
  std::vector<Content::Found> data_rows, rejected_rows;
  Present present;
  for (const auto& table : data_tables())
    if (present.outcome = select(table, data, where, data_rows, stop); present.outcome.verdict != Verdict::ok) return present;
  if (options_.type != DataType::rejected) {
    present.outcome = select(options_.database + "." + table_of(DataType::rejected).name, rejected, where, rejected_rows, stop);
    if (present.outcome.verdict != Verdict::ok) return present;
  }
  auto occupation = occupation_of(batch, data, rejected, std::move(data_rows), std::move(rejected_rows));
  present.keys = std::move(occupation.present);
  present.displaced = occupation.displaced.size();
  for (const auto& [number, life] : occupation.displaced) batch.move_to_stream(number, life);
  return present;
}

ClickHouseSink::Present ClickHouseSink::recognise(const RowBatch& batch, const Recognition::IsCurrent& is_current, std::stop_token stop) {
  Present present;
  if (!batch.has_again()) return present;
  for (const auto target : {Target::hot, Target::cold, Target::rejected}) {
    const bool by_storage = target == Target::rejected;
    const auto& table = table_of(by_storage ? DataType::rejected : options_.type);
    const Content content{table, by_storage};
    Recognition rows{batch, target, content};
    if (rows.empty()) continue;
    const auto where = by_storage ? fmt::format("origin = 'storage' AND data_type = '{}'", to_string(options_.type)) : rows.where(content);
    std::vector<Content::Found> found;
    // What has grown old since goes to the other table now.
    for (const auto& name : by_storage ? std::vector{options_.database + "." + table.name} : data_tables())
      if (present.outcome = select(name, content, where, found, stop); present.outcome.verdict != Verdict::ok) return present;
    for (const auto& row : found) rows.found(row, is_current);
    present.keys.insert(present.keys.end(), rows.keys().begin(), rows.keys().end());
  }
  return present;
}

Outcome ClickHouseSink::count_at(WallTime stream, std::uint64_t sequence, std::size_t& rows, std::stop_token stop) {
  const Content content{table_of(options_.type), false};
  std::vector<Content::Found> found;
  Outcome outcome;
  for (const auto& table : data_tables()) {
    outcome = select(table, content, fmt::format("{} AND bus_sequence = {}", where_stream(stream), sequence), found, stop);
    if (outcome.verdict != Verdict::ok) return outcome;
  }
  rows = found.size();
  return outcome;
}

ClickHouseSink::Highest ClickHouseSink::highest_stored(WallTime stream, std::uint64_t floor, std::stop_token stop) {
  const auto inner = from_all_tables(
      fmt::format("SELECT max(bus_sequence) AS highest FROM {{table}} WHERE {} AND bus_sequence > {}", where_stream(stream), floor));
  const auto answer = client_.query(statement(fmt::format("SELECT max(highest) FROM ({}) FORMAT TabSeparated", inner)), stop);
  Highest highest{outcome_of(answer), floor};
  if (highest.outcome.verdict != Verdict::ok) return highest;
  const auto rows = mp::clickhouse::parse_tab_separated(answer->body);
  if (!rows.empty()) highest.sequence = std::max(floor, number(rows.front().front()));
  return highest;
}

std::optional<WallTime> ClickHouseSink::last_received(std::stop_token stop) {
  const auto& table = table_of(options_.type);
  const auto* column = options_.type == DataType::gap ? "detected_at" : "received_at";
  const auto rows = client_.rows(
      statement(fmt::format("SELECT toUnixTimestamp64Nano(max({})) FROM {}.{} FORMAT TabSeparated", column, options_.database, table.name)), stop);
  if (!rows || rows->empty()) return std::nullopt;
  const auto nanos = number(rows->front().front());
  if (nanos == 0) return std::nullopt;
  return wall_from_nanos(static_cast<std::int64_t>(nanos));
}

Result<void> apply_schema(Client& client, const std::vector<std::string>& statements, std::stop_token stop) {
  const auto wanted = schema_tables(statements);
  if (!wanted) return wanted.error();
  std::optional<Error> refused;
  for (const auto& sql : statements) {
    const auto answer = client.query({sql}, stop);
    if (!answer) return answer.error();
    const auto verdict = verdict_of(answer->status, answer->code, answer->text);
    if (verdict == Verdict::retry) return Error{Errc::unavailable, "ClickHouse at " + client.address(), answer->text};
    if (verdict != Verdict::ok && !refused) refused = answer->error("applying the schema to ClickHouse at " + client.address());
  }
  const auto have = read_schema(client, *wanted, stop);
  if (!have) return refused ? *refused : have.error();
  const auto differences = schema_differences(*wanted, *have);
  if (differences.empty()) return {};
  auto text = fmt::format("{}", fmt::join(differences, "; "));
  if (refused) text += "; " + refused->text();
  return Error{Errc::conflict, "the tables of ClickHouse at " + client.address() + " are not those of the schema file", text};
}

}  // namespace mp::sinks::clickhouse
