#include "app/operate/status_view.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <tuple>

#include "app/operate/export.hpp"
#include "base/text.hpp"
#include "exchanges/exchange.hpp"

namespace mp::operate {
namespace {

// What an alert calls critical (config/prometheus/rules/alerts.yml) is unwell here.
constexpr double kDiskLowShare = 0.05;
constexpr std::uint64_t kDiskLowBytes = 1ull << 30;
constexpr double kStreamFullShare = 0.9;
constexpr double kUnpublishedSeconds = 60;

using SourceKey = std::tuple<std::string, std::string, std::string>;  // exchange, market, data type

bool is_report(const std::string& type) { return type == "gap" || type == "rejected" || type == "instrument"; }

std::string label(const MetricSample& sample, const char* name) {
  const auto found = sample.labels.find(name);
  return found == sample.labels.end() ? "" : found->second;
}

double seconds_between(const Snapshot& before, const Snapshot& now) {
  return std::chrono::duration<double>(now.at.mono - before.at.mono).count();
}

// A counter that fell was begun anew.
std::optional<double> rate(const MetricsPage& before, const MetricsPage& now, const std::string& name,
                           const MetricLabels& with, double seconds) {
  const auto a = before.sum(name, with);
  const auto b = now.sum(name, with);
  if (!a || !b || seconds <= 0 || *b < *a) return std::nullopt;
  return (*b - *a) / seconds;
}

void add_rates(const Snapshot& before, const Snapshot& now, std::map<SourceKey, SourceRow>& rows) {
  const std::string name = "marketprism_collector_events_total";
  for (const auto& sample : now.collector.metrics.all(name)) {
    const auto type = label(sample, "data_type");
    if (is_report(type)) continue;
    rows[{label(sample, "exchange"), label(sample, "market"), type}].events_per_second =
        rate(before.collector.metrics, now.collector.metrics, name, sample.labels, seconds_between(before, now));
  }
}

void add_streams(const Snapshot& now, std::map<SourceKey, SourceRow>& rows) {
  for (const auto& stream : now.collector.streams) {
    auto& row = rows[{stream.exchange, market_of(stream.exchange, stream.market_type), stream.data_type}];
    ++row.streams;
    if (stream.state == "live") ++row.live_streams;
    const auto age = stream.last_event_age_seconds;
    if (age && (!row.last_event_age_seconds || *age < *row.last_event_age_seconds)) row.last_event_age_seconds = age;
  }
}

void add_gaps(const Snapshot& now, std::map<SourceKey, SourceRow>& rows) {
  if (!now.clickhouse.gaps_today) return;
  for (auto& [key, row] : rows) row.gaps_today = 0;
  for (const auto& gap : *now.clickhouse.gaps_today) {
    auto& row = rows[{gap.exchange, market_of(gap.exchange, gap.market_type), gap.data_type}];
    row.gaps_today = row.gaps_today.value_or(0) + gap.count;
  }
}

void add_rejects(const Snapshot& now, std::map<SourceKey, SourceRow>& rows) {
  if (!now.clickhouse.rejects) return;
  for (auto& [key, row] : rows) row.rejected_today = row.rejected_lately = 0;
  for (const auto& reject : *now.clickhouse.rejects) {
    auto& row = rows[{reject.exchange, market_of(reject.exchange, reject.market_type), reject.data_type}];
    row.rejected_today = row.rejected_today.value_or(0) + reject.today;
    row.rejected_lately = row.rejected_lately.value_or(0) + reject.lately;
  }
}

std::vector<SourceRow> source_rows(const Snapshot& before, const Snapshot& now) {
  std::map<SourceKey, SourceRow> rows;
  add_rates(before, now, rows);
  add_streams(now, rows);
  add_gaps(now, rows);
  add_rejects(now, rows);
  std::vector<SourceRow> out;
  for (auto& [key, row] : rows) {
    // What a market can deliver and nobody asked for: no stream, and never an event.
    if (row.streams == 0 && row.gaps_today.value_or(0) == 0 && row.rejected_today.value_or(0) == 0 &&
        row.events_per_second.value_or(0) == 0)
      continue;
    std::tie(row.exchange, row.market, row.data_type) = key;
    out.push_back(std::move(row));
  }
  return out;
}

std::vector<TypeRow> type_rows(const Snapshot& before, const Snapshot& now) {
  std::vector<TypeRow> rows;
  for (const auto& [type, seen] : now.storage.types) {
    const MetricLabels with{{"data_type", type}};
    TypeRow row;
    row.data_type = type;
    row.state = seen.state;
    row.rows_per_second = rate(before.storage.metrics, now.storage.metrics, "marketprism_storage_rows_inserted_total",
                               with, seconds_between(before, now));
    row.waiting = seen.waiting;
    const auto between = [&](const std::string& name) {
      return since(distribution_of(before.storage.metrics, name, with),
                   distribution_of(now.storage.metrics, name, with));
    };
    row.rows_per_batch = between("marketprism_storage_batch_rows").mean();
    const auto delay = between("marketprism_storage_bus_to_table_seconds");
    row.bus_to_table_p50 = delay.quantile(0.5);
    row.bus_to_table_p99 = delay.quantile(0.99);
    rows.push_back(std::move(row));
  }
  return rows;
}

Hop hop(const char* name, const MetricsPage& before, const MetricsPage& now, const std::string& metric) {
  const auto delay = since(distribution_of(before, metric), distribution_of(now, metric));
  return {name, delay.quantile(0.5), delay.quantile(0.99), ""};
}

std::vector<Hop> hops_of(const Snapshot& before, const Snapshot& now) {
  std::vector<Hop> hops{
      hop("venue to socket", before.collector.metrics, now.collector.metrics,
          "marketprism_collector_venue_delay_seconds"),
      hop("socket to bus", before.collector.metrics, now.collector.metrics,
          "marketprism_collector_receive_to_publish_seconds"),
      hop("bus to table", before.storage.metrics, now.storage.metrics, "marketprism_storage_bus_to_table_seconds")};
  if (const auto age = now.collector.metrics.sum("marketprism_collector_unpublished_seconds"))
    hops[1].note = fmt::format("oldest not acknowledged {:.1f} s{}", *age,
                               now.collector.bus_behind ? ", catching up from the journal" : "");
  std::uint64_t waiting = 0;
  for (const auto& [type, seen] : now.storage.types) waiting += seen.waiting;
  if (!now.storage.types.empty()) hops[2].note = fmt::format("{} messages wait", waiting);
  return hops;
}

std::optional<std::uint64_t> whole(std::optional<double> number) {
  if (!number || *number < 0) return std::nullopt;
  return static_cast<std::uint64_t>(*number);
}

std::vector<DiskRow> disk_rows(const Snapshot& now) {
  std::vector<DiskRow> rows;
  const auto& m = now.collector.metrics;
  const MetricLabels journal{{"use", "journal"}};
  if (!m.empty())
    rows.push_back({"journal", whole(m.sum("marketprism_collector_journal_bytes")),
                    whole(m.sum("marketprism_disk_free_bytes", journal)),
                    whole(m.sum("marketprism_disk_size_bytes", journal)), ""});
  const auto& nats = now.nats;
  if (nats.has_jetstream)
    rows.push_back({"JetStream", nats.store_bytes,
                    nats.store_max_bytes - std::min(nats.store_bytes, nats.store_max_bytes), nats.store_max_bytes,
                    "of what its server allows"});
  if (nats.has_stream)
    rows.push_back(
        {"stream", nats.stream_bytes,
         nats.stream_max_bytes > 0
             ? std::optional(static_cast<std::uint64_t>(nats.stream_max_bytes) -
                             std::min(nats.stream_bytes, static_cast<std::uint64_t>(nats.stream_max_bytes)))
             : std::nullopt,
         nats.stream_max_bytes > 0 ? std::optional(static_cast<std::uint64_t>(nats.stream_max_bytes)) : std::nullopt,
         fmt::format("{} messages", nats.stream_messages)});
  for (const auto& disk : now.clickhouse.disks)
    rows.push_back(
        {"ClickHouse",
         &disk == &now.clickhouse.disks.front() ? std::optional(now.clickhouse.database_bytes) : std::nullopt,
         disk.free_bytes, disk.total_bytes,
         &disk == &now.clickhouse.disks.front() ? fmt::format("{} parts", now.clickhouse.parts) : ""});
  return rows;
}

PartRow part_row(const char* name, const PartState& state, std::string detail) {
  return {name, state.answers, state.is_well(), state.is_well() ? std::move(detail) : state.trouble};
}

std::string uptime_text(std::uint64_t s) { return fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60); }

std::vector<PartRow> part_rows(const Snapshot& now) {
  const auto& c = now.collector;
  std::uint64_t live = 0;
  for (const auto& stream : c.streams) live += stream.state == "live" ? 1U : 0U;
  std::vector<PartRow> rows;
  rows.push_back(part_row("collector", c.state,
                          fmt::format("up {}, {} of {} streams live, {} events, {} rejected",
                                      uptime_text(c.uptime_seconds), live, c.streams.size(), c.events, c.rejected)));
  const auto& n = now.nats;
  rows.push_back(part_row("nats", n.state,
                          n.version + (n.has_stream      ? ""
                                       : n.has_jetstream ? ", no stream yet"
                                                         : ", without JetStream")));
  std::uint64_t stored = 0, rejected = 0;
  for (const auto& [type, seen] : now.storage.types) {
    stored += seen.rows;
    rejected += seen.rejected;
  }
  rows.push_back(part_row("storage", now.storage.state, fmt::format("{} rows stored, {} rejected", stored, rejected)));
  rows.push_back(
      part_row("clickhouse", now.clickhouse.state,
               now.clickhouse.version + (now.clickhouse.has_database ? "" : ", no database " + now.database + " yet")));
  return rows;
}

std::vector<std::string> problems_of(const Snapshot& now, const StatusView& view) {
  std::vector<std::string> problems;
  for (const auto& part : view.parts)
    if (!part.is_well) problems.push_back(part.name + " " + part.detail);
  const auto& c = now.collector;
  if (c.state.answers && !c.metrics_state.is_well())
    problems.push_back("collector's metrics: " + c.metrics_state.trouble);
  if (now.storage.state.answers && !now.storage.metrics_state.is_well())
    problems.push_back("storage's metrics: " + now.storage.metrics_state.trouble);
  if (now.nats.state.answers && !now.nats.has_jetstream) problems.push_back("nats runs without JetStream");
  if (const auto age = c.metrics.sum("marketprism_collector_unpublished_seconds"); age && *age > kUnpublishedSeconds)
    problems.push_back(fmt::format("what was received {:.0f} s ago is not on the bus yet", *age));
  for (const auto& disk : view.disks) {
    if (!disk.free_bytes || !disk.total_bytes || *disk.total_bytes == 0) continue;
    const double free = static_cast<double>(*disk.free_bytes) / static_cast<double>(*disk.total_bytes);
    const bool is_stream = disk.use == "stream" || disk.use == "JetStream";
    if (is_stream ? free < 1 - kStreamFullShare : free < kDiskLowShare || *disk.free_bytes < kDiskLowBytes)
      problems.push_back(fmt::format("{}: only {} of {} are free", disk.use, bytes_text(*disk.free_bytes),
                                     bytes_text(*disk.total_bytes)));
  }
  for (const auto* storage : {&now.storage})
    if (storage->state.answers && !storage->database.empty() && storage->database != now.database)
      problems.push_back(
          fmt::format("storage writes to database {}, gaps are read from {}", storage->database, now.database));
  return problems;
}

// ---- text ----

std::string rate_text(const std::optional<double>& value) {
  return !value ? "-" : *value < 10 ? fmt::format("{:.1f}", *value) : fmt::format("{:.0f}", *value);
}
std::string count_text(const std::optional<std::uint64_t>& value) { return value ? std::to_string(*value) : "-"; }
// Those of today, and in brackets how many of them came lately.
std::string rejects_text(const SourceRow& row) {
  const auto lately = row.rejected_lately.value_or(0);
  return count_text(row.rejected_today) + (lately > 0 ? fmt::format(" ({} new)", lately) : "");
}
std::string time_text(const std::optional<double>& seconds) {
  if (!seconds) return "-";
  if (*seconds < 1) return fmt::format("{:.1f} ms", *seconds * 1000);
  if (*seconds < 120) return fmt::format("{:.1f} s", *seconds);
  return *seconds < 7200 ? fmt::format("{:.0f} min", *seconds / 60) : fmt::format("{:.1f} h", *seconds / 3600);
}
std::string size_text(const std::optional<std::uint64_t>& bytes) { return bytes ? bytes_text(*bytes) : "-"; }

class Writer {
 public:
  explicit Writer(const Screen& screen) : screen_(screen) {}
  void line(std::string text, Colour colour = Colour::plain) {
    // A longer line would wrap and push the screen's first lines out.
    if (screen_.is_terminal) text = cut(text, screen_.width);
    out_ += painted(text, colour, screen_.has_colours) + "\n";
  }
  std::string take() { return std::move(out_); }

 private:
  static std::string cut(const std::string& text, std::size_t width) {
    std::size_t columns = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
      const bool begins = (static_cast<unsigned char>(text[i]) & 0xC0) != 0x80;  // of a character in UTF-8
      if (begins && ++columns > width) return text.substr(0, i);
    }
    return text;
  }
  const Screen& screen_;
  std::string out_;
};

Colour colour_of(const SourceRow& row) {
  if (row.live_streams < row.streams) return Colour::red;
  return row.gaps_today.value_or(0) > 0 || row.rejected_lately.value_or(0) > 0 ? Colour::yellow : Colour::plain;
}

}  // namespace

std::string market_of(const std::string& exchange, const std::string& market_type) {
  const auto found = find_exchange(exchange);
  if (!found || (*found)->markets.empty()) return market_type;
  const auto& markets = (*found)->markets;
  return std::find(markets.begin(), markets.end(), market_type) != markets.end() ? market_type : markets.back();
}

StatusView status_view(const Snapshot& before, const Snapshot& now) {
  StatusView view;
  view.at = now.at.wall;
  view.data_source = !now.collector.data_source.empty() ? now.collector.data_source : now.storage.data_source;
  view.database = now.database;
  view.interval_seconds = seconds_between(before, now);
  view.parts = part_rows(now);
  view.sources = source_rows(before, now);
  view.types = type_rows(before, now);
  view.hops = hops_of(before, now);
  view.disks = disk_rows(now);
  view.problems = problems_of(now, view);
  return view;
}

std::string status_screen(const StatusView& view, const Screen& screen) {
  Writer out(screen);
  out.line(fmt::format("marketprism  {:.19}Z  {}  database {}", iso(view.at),
                       view.data_source.empty() ? "data source not known" : view.data_source + " data", view.database),
           Colour::bold);
  for (const auto& part : view.parts)
    out.line(fmt::format("  {:<11} {:<7} {}", part.name,
                         !part.answers  ? "AWAY"
                         : part.is_well ? "well"
                                        : "UNWELL",
                         part.detail),
             part.is_well ? Colour::plain : Colour::red);
  out.line(fmt::format("  {:<20} {:<17} {:>9} {:>11} {:>10} {:>11} {:>15}", "source", "type", "events/s", "last event",
                       "streams", "gaps today", "rejected today"),
           Colour::dim);
  for (const auto& row : view.sources)
    out.line(
        fmt::format("  {:<20} {:<17} {:>9} {:>11} {:>10} {:>11} {:>15}",
                    row.exchange + (row.market.empty() ? "" : " " + row.market), row.data_type,
                    rate_text(row.events_per_second), time_text(row.last_event_age_seconds),
                    fmt::format("{}/{}", row.live_streams, row.streams), count_text(row.gaps_today), rejects_text(row)),
        colour_of(row));
  out.line(fmt::format("  {:<20} {:<17} {:>9} {:>11} {:>10} {:>11}", "stored", "state", "rows/s", "rows/batch",
                       "waiting", "p99 delay"),
           Colour::dim);
  for (const auto& row : view.types)
    out.line(fmt::format("  {:<20} {:<17} {:>9} {:>11} {:>10} {:>11}", row.data_type, row.state,
                         rate_text(row.rows_per_second), rate_text(row.rows_per_batch), row.waiting,
                         time_text(row.bus_to_table_p99)),
             row.state == "running" ? Colour::plain : Colour::red);
  out.line(fmt::format("  {:<20} {:>11} {:>11}", "delay", "p50", "p99"), Colour::dim);
  for (const auto& hop : view.hops)
    out.line(fmt::format("  {:<20} {:>11} {:>11}  {}", hop.name, time_text(hop.p50), time_text(hop.p99), hop.note));
  out.line(fmt::format("  {:<20} {:>11} {:>11} {:>11}", "disk", "used", "free", "of"), Colour::dim);
  for (const auto& disk : view.disks)
    out.line(fmt::format("  {:<20} {:>11} {:>11} {:>11}  {}", disk.use, size_text(disk.used_bytes),
                         size_text(disk.free_bytes), size_text(disk.total_bytes), disk.note));
  for (const auto& problem : view.problems) out.line("  UNWELL: " + problem, Colour::red);
  if (view.problems.empty()) out.line("  all is well", Colour::green);
  return out.take();
}

std::string status_json(const StatusView& view) {
  const auto text = [](std::string_view value) {
    std::string out;
    append_json_string(out, is_valid_utf8(value) ? value : "(not UTF-8)");
    return out;
  };
  const auto real = [](const std::optional<double>& value) {
    return value && std::isfinite(*value) ? fmt::format("{:.6g}", *value) : std::string("null");
  };
  const auto count = [](const std::optional<std::uint64_t>& value) {
    return value ? std::to_string(*value) : std::string("null");
  };
  std::string out =
      fmt::format(R"({{"at":"{}","well":{},"data_source":{},"database":{},"interval_seconds":{:.3f})", iso(view.at),
                  view.problems.empty(), text(view.data_source), text(view.database), view.interval_seconds);
  const auto list = [&out](const char* name, const auto& rows, const auto& write) {
    out += fmt::format(R"(,"{}":[)", name);
    bool is_first = true;
    for (const auto& row : rows) {
      if (!std::exchange(is_first, false)) out += ',';
      out += write(row);
    }
    out += ']';
  };
  list("problems", view.problems, [&](const auto& p) { return text(p); });
  list("parts", view.parts, [&](const auto& p) {
    return fmt::format(R"({{"name":{},"answers":{},"well":{},"detail":{}}})", text(p.name), p.answers, p.is_well,
                       text(p.detail));
  });
  list("sources", view.sources, [&](const auto& r) {
    return fmt::format(
        R"({{"exchange":{},"market":{},"data_type":{},"events_per_second":{},"last_event_age_seconds":{},"streams":{},"live_streams":{},"gaps_today":{},"rejected_today":{},"rejected_last_5_minutes":{}}})",
        text(r.exchange), text(r.market), text(r.data_type), real(r.events_per_second), real(r.last_event_age_seconds),
        r.streams, r.live_streams, count(r.gaps_today), count(r.rejected_today), count(r.rejected_lately));
  });
  list("storage", view.types, [&](const auto& r) {
    return fmt::format(
        R"({{"data_type":{},"state":{},"rows_per_second":{},"rows_per_batch":{},"waiting":{},"bus_to_table_p50_seconds":{},"bus_to_table_p99_seconds":{}}})",
        text(r.data_type), text(r.state), real(r.rows_per_second), real(r.rows_per_batch), r.waiting,
        real(r.bus_to_table_p50), real(r.bus_to_table_p99));
  });
  list("delays", view.hops, [&](const auto& h) {
    return fmt::format(R"({{"hop":{},"p50_seconds":{},"p99_seconds":{},"note":{}}})", text(h.name), real(h.p50),
                       real(h.p99), text(h.note));
  });
  list("disks", view.disks, [&](const auto& d) {
    return fmt::format(R"({{"use":{},"used_bytes":{},"free_bytes":{},"total_bytes":{},"note":{}}})", text(d.use),
                       count(d.used_bytes), count(d.free_bytes), count(d.total_bytes), text(d.note));
  });
  return out + "}";
}

}  // namespace mp::operate
