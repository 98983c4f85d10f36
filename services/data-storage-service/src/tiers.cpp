#include "data-storage-service/src/tiers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdio>

#include "base/log.hpp"
#include "base/text.hpp"
#include "net/clock.hpp"
#include "sinks/clickhouse/rows/table.hpp"
#include "sinks/clickhouse/sink.hpp"
#include "sinks/jetstream/trim_note.hpp"

namespace mp::storage {
namespace {

using namespace std::chrono_literals;
using namespace sinks::clickhouse;

constexpr auto kLookForStop = 250ms;
constexpr auto kTryAgain = 2'000ms;

// The tables whose rows expire, and so have a twin in the cold database.
std::vector<std::string> moving_tables() {
  std::vector<std::string> names;
  for (int i = 0; i < kDataTypeCount; ++i)
    if (const auto& table = table_of(static_cast<DataType>(i)); table.expires) names.push_back(table.name);
  return names;
}

template <class Number>
Number number(std::string_view text) {
  Number value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

std::string text_of(std::chrono::sys_days day) {
  const std::chrono::year_month_day date{day};
  return fmt::format("{:04}-{:02}-{:02}", static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                     static_cast<unsigned>(date.day()));
}

std::optional<std::chrono::sys_days> day_from(const std::string& text) {
  int year = 0;
  unsigned month = 0, day = 0;
  if (std::sscanf(text.c_str(), "%d-%u-%u", &year, &month, &day) != 3) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year{year}, std::chrono::month{month}, std::chrono::day{day}};
  if (!date.ok()) return std::nullopt;
  return std::chrono::sys_days{date};
}

std::string time_literal(std::int64_t nanos) {
  return fmt::format("fromUnixTimestamp64Nano(toInt64({}), 'UTC')", nanos);
}

std::string in_day(std::chrono::sys_days day) {
  const auto begin = std::chrono::duration_cast<std::chrono::nanoseconds>(day.time_since_epoch()).count();
  constexpr std::int64_t kDay = std::chrono::nanoseconds(24h).count();
  return fmt::format("timestamp >= {} AND timestamp < {}", time_literal(begin), time_literal(begin + kDay));
}

std::string of_stream(std::int64_t stream, std::uint64_t first, std::uint64_t last) {
  return fmt::format("bus_stream = {} AND bus_sequence BETWEEN {} AND {}", time_literal(stream), first, last);
}

Error unexpected(const std::string& what, std::size_t columns) {
  return {Errc::corrupt, what, fmt::format("an answer with {} columns", columns)};
}

// Without one nothing is compared.
Error no_hash(const std::string& table) {
  return {Errc::corrupt, table, "ClickHouse gives no hash of its rows; report the table's columns"};
}

}  // namespace

TierRules tier_rules(const StorageOptions& options) {
  TierRules rules;
  rules.settle = options.tiers.settle;
  rules.interval = options.tiers.interval;
  rules.drop_after = options.tiers.drop_after;
  rules.warn_before = options.tiers.warn_before;
  rules.expires_after = options.hot_ttl.value_or(72h);
  rules.chunk_bytes = options.tiers.chunk_bytes;
  return rules;
}

bool tiers_are_on(const StorageOptions& options) {
  return options.tiers.enabled && options.hot_ttl && !options.cold_database.empty();
}

// ---- the tables -----------------------------------------------------------------------------------------------

TierTables::TierTables(const StorageOptions& options)
    : options_(options),
      hot_(options.clickhouse),
      cold_(options.tiers.cold.value_or(options.clickhouse)),
      session_("marketprism-tiers-" + options.database) {}

// Everything of the cold table runs in one session: a copy whose answer was lost has ended before its keys are read.
Result<std::vector<std::vector<std::string>>> TierTables::rows(bool cold, const std::string& sql,
                                                               std::stop_token stop) {
  clickhouse::Statement statement{sql + " FORMAT TabSeparated"};
  if (cold) statement.session = session_;
  return (cold ? cold_ : hot_).rows(statement, stop);
}

void TierTables::carry_out(const TierStep& step, TierPlanner& planner, std::stop_token stop) {
  const auto now = [] { return net::now(); };
  Result<void> done{};
  if (std::holds_alternative<ListDays>(step)) {
    done = list(planner, stop);
  } else if (const auto* measure = std::get_if<Measure>(&step)) {
    const auto span = rows(
        false,
        fmt::format(
            "SELECT sum(span) FROM (SELECT max(bus_sequence) - min(bus_sequence) + 1 AS span FROM {}.{} WHERE {} GROUP BY bus_stream)",
            options_.database, measure->table, in_day(measure->day)),
        stop);
    if (!span)
      done = span.error();
    else
      planner.measured(span->empty() ? 0 : number<std::uint64_t>(span->front().front()));
  } else if (const auto* sum_up = std::get_if<SumUp>(&step)) {
    const auto hot = sums(false, *sum_up, stop);
    const auto cold = hot ? sums(true, *sum_up, stop) : Result<Buckets>(hot.error());
    if (!cold)
      done = cold.error();
    else
      planner.summed_up(*hot, *cold, now());
  } else if (const auto* read = std::get_if<ReadPrints>(&step)) {
    const auto hot = prints(false, *read, stop);
    const auto cold = hot ? prints(true, *read, stop) : Result<std::vector<RowPrint>>(hot.error());
    if (!cold)
      done = cold.error();
    else
      planner.prints(*hot, *cold, now());
  } else if (const auto* copy_rows = std::get_if<CopyRows>(&step)) {
    done = copy(*copy_rows, stop);
    if (done) planner.copied(copy_rows->rows, now());
  } else if (const auto* drop_parts = std::get_if<DropParts>(&step)) {
    done = drop(*drop_parts, stop);
    if (done) planner.dropped(now());
  }
  if (!done) planner.failed(done.error().text(), now());
}

Result<void> TierTables::list(TierPlanner& planner, std::stop_token stop) {
  columns_.clear();  // they may have been migrated
  auto days = hot_days(stop);
  if (!days) return days.error();
  planner.listed(std::move(*days), net::now());
  return {};
}

Result<std::vector<HotDay>> TierTables::hot_days(std::stop_token stop) {
  std::vector<std::string> names;
  for (const auto& name : moving_tables()) names.push_back(clickhouse::sql_text(name));
  const auto listed = rows(
      false,
      fmt::format(
          "SELECT table, partition, sum(rows), sum(data_uncompressed_bytes), max(max_block_number), arrayStringConcat(groupArray(name), ',') "
          "FROM system.parts WHERE active AND database = {} AND table IN ({}) GROUP BY table, partition",
          clickhouse::sql_text(options_.database), fmt::join(names, ", ")),
      stop);
  if (!listed) return listed.error();
  std::vector<HotDay> days;
  for (const auto& row : *listed) {
    if (row.size() != 6) return unexpected("system.parts", row.size());
    const auto day = day_from(row[1]);
    if (!day)
      return Error{Errc::corrupt, "system.parts", fmt::format("partition '{}' of {} is no day", row[1], row[0])};
    HotDay hot{
        row[0], *day, number<std::uint64_t>(row[2]), number<std::uint64_t>(row[3]), number<std::uint64_t>(row[4]), {}};
    for (std::string_view rest = row[5]; !rest.empty();) {
      hot.parts.emplace_back(rest.substr(0, rest.find(',')));
      rest.remove_prefix(std::min(hot.parts.back().size() + 1, rest.size()));
    }
    if (hot.rows > 0) days.push_back(std::move(hot));
  }
  return days;
}

// All that is stored of the hot table, columns that an operator has added too: they must be there on both sides.
Result<TierTables::Columns> TierTables::columns_of(const std::string& table, std::stop_token stop) {
  if (const auto known = columns_.find(table); known != columns_.end()) return known->second;
  const auto select = [&](const std::string& database) {
    return fmt::format(
        "SELECT name, type FROM system.columns WHERE database = {} AND table = {} AND default_kind NOT IN ('ALIAS', 'MATERIALIZED', 'EPHEMERAL') ORDER BY position",
        clickhouse::sql_text(database), clickhouse::sql_text(table));
  };
  const auto hot = rows(false, select(options_.database), stop);
  if (!hot) return hot.error();
  const auto cold = rows(true, select(options_.cold_database), stop);
  if (!cold) return cold.error();
  Columns all;
  for (const auto& column : *hot) {
    if (column.size() != 2) return unexpected("system.columns", column.size());
    if (std::ranges::find(*cold, column) == cold->end())
      return Error{
          Errc::conflict, options_.cold_database + "." + table,
          fmt::format("has no column {} {}, which the hot table has: add it, or drop it there", column[0], column[1])};
    const auto* comma = all.names.empty() ? "" : ", ";
    const auto name = "`" + column[0] + "`";
    all.names += comma + name;
    // One NULL among its arguments would make the whole hash NULL.
    const bool may_be_null = column[1].find("Nullable(") != std::string::npos;
    all.hashed += comma + (may_be_null ? fmt::format("isNull({0}), ifNull(toString({0}), '')", name) : name);
  }
  if (all.names.empty()) return Error{Errc::conflict, options_.database + "." + table, "is not there"};
  return columns_[table] = all;
}

Result<Buckets> TierTables::sums(bool cold, const SumUp& step, std::stop_token stop) {
  const auto columns = columns_of(step.table, stop);
  if (!columns) return columns.error();
  std::string of_parts;
  if (!cold) {
    std::vector<std::string> names;
    for (const auto& part : step.parts) names.push_back(clickhouse::sql_text(part));
    of_parts = fmt::format(" AND _part IN ({})", fmt::join(names, ", "));
  }
  const auto summed = rows(
      cold,
      fmt::format(
          "SELECT toUnixTimestamp64Nano(bus_stream) AS stream, intDiv(bus_sequence, {}) AS bucket, count(), sum(cityHash64({})) FROM {}.{} "
          "WHERE {}{} GROUP BY stream, bucket",
          step.width, columns->hashed, cold ? options_.cold_database : options_.database, step.table, in_day(step.day),
          of_parts),
      stop);
  if (!summed) return summed.error();
  Buckets buckets;
  for (const auto& row : *summed) {
    if (row.size() != 4) return unexpected(step.table, row.size());
    if (row[3] == "\\N") return no_hash(step.table);
    buckets[{number<std::int64_t>(row[0]), number<std::uint64_t>(row[1])}] = {number<std::uint64_t>(row[2]),
                                                                              number<std::uint64_t>(row[3])};
  }
  return buckets;
}

Result<std::vector<RowPrint>> TierTables::prints(bool cold, const ReadPrints& step, std::stop_token stop) {
  const auto columns = columns_of(step.table, stop);
  if (!columns) return columns.error();
  const auto read = rows(
      cold,
      fmt::format(
          "SELECT bus_sequence, bus_index, cityHash64({}) FROM {}.{} WHERE {} AND {} ORDER BY bus_sequence, bus_index",
          columns->hashed, cold ? options_.cold_database : options_.database, step.table, in_day(step.day),
          of_stream(step.stream, step.first, step.last)),
      stop);
  if (!read) return read.error();
  std::vector<RowPrint> prints;
  prints.reserve(read->size());
  for (const auto& row : *read) {
    if (row.size() != 3) return unexpected(step.table, row.size());
    if (row[2] == "\\N") return no_hash(step.table);
    prints.push_back({{number<std::uint64_t>(row[0]), number<std::uint32_t>(row[1])}, number<std::uint64_t>(row[2])});
  }
  return prints;
}

Result<void> TierTables::copy(const CopyRows& step, std::stop_token stop) {
  const auto columns = columns_of(step.table, stop);
  if (!columns) return columns.error();
  auto where =
      fmt::format("{} AND {} AND (bus_sequence, bus_index) >= ({}, {}) AND (bus_sequence, bus_index) <= ({}, {})",
                  in_day(step.day), of_stream(step.stream, step.first.sequence, step.last.sequence),
                  step.first.sequence, step.first.index, step.last.sequence, step.last.index);
  if (!step.only.empty()) {
    std::string keys;
    for (const auto& key : step.only)
      keys += fmt::format("{}({},{})", keys.empty() ? "" : ",", key.sequence, key.index);
    where += " AND (bus_sequence, bus_index) IN (" + keys + ")";
  }
  // Whole or not at all: an error in the middle must not look like the end of the rows.
  const auto read = hot_.query({fmt::format("SELECT {} FROM {}.{} WHERE {} FORMAT RowBinary", columns->names,
                                            options_.database, step.table, where),
                                "",
                                {{"wait_end_of_query", "1"}}},
                               stop);
  if (!read) return read.error();
  if (!read->ok()) return read->error("reading " + options_.database + "." + step.table);
  if (read->body.empty()) return {};
  clickhouse::Statement insert{
      fmt::format("INSERT INTO {}.{} ({}) FORMAT RowBinary", options_.cold_database, step.table, columns->names),
      session_, insert_settings()};
  const auto written = cold_.insert(insert, {read->body}, stop);
  if (!written) return written.error();
  if (!written->ok()) return written->error("writing " + options_.cold_database + "." + step.table);
  return {};
}

Result<void> TierTables::drop(const DropParts& step, std::stop_token stop) {
  for (const auto& part : step.parts) {
    const auto answer = hot_.query(
        {fmt::format("ALTER TABLE {}.{} DROP PART {}", options_.database, step.table, clickhouse::sql_text(part))},
        stop);
    if (!answer) return answer.error();
    if (!answer->ok())
      return answer->error(fmt::format("dropping part {} of {}.{}", part, options_.database, step.table));
  }
  log::info("a verified day has left the hot table",
            {{"table", step.table}, {"day", text_of(step.day)}, {"parts", step.parts.size()}});
  return {};
}

// ---- the mover ------------------------------------------------------------------------------------------------

struct TierMover::Meters {
  telemetry::Counter copied, verified, dropped, failures;
  telemetry::Gauge lag, expiring, conflicts;
  std::map<std::string, telemetry::Gauge> waiting, last_verified;
  TierStatus before;

  explicit Meters(telemetry::Metrics& m)
      : copied(m.counter("marketprism_storage_tier_rows_copied_total", "Rows copied from the hot to the cold tables")),
        verified(m.counter("marketprism_storage_tier_days_verified_total",
                           "Days of a table whose rows were all found in the cold one")),
        dropped(m.counter("marketprism_storage_tier_days_dropped_total",
                          "Verified days that were dropped from the hot tables")),
        failures(
            m.counter("marketprism_storage_tier_failures_total", "Steps that could not be done and are tried again")),
        lag(m.gauge("marketprism_storage_tier_lag_seconds",
                    "For how long the oldest settled day has been waiting to be verified")),
        expiring(m.gauge("marketprism_storage_tier_expiring_days",
                         "Days that are not verified and whose first rows expire soon")),
        conflicts(m.gauge("marketprism_storage_tier_conflict_days",
                          "Days whose rows differ between the hot and the cold table")) {
    copied.add(0);
    verified.add(0);
    dropped.add(0);
    failures.add(0);
    for (const auto& table : moving_tables()) {
      waiting.emplace(table, m.gauge("marketprism_storage_tier_days_waiting", "Settled days that are not verified",
                                     {{"table", table}}));
      last_verified.emplace(
          table, m.gauge("marketprism_storage_tier_last_verified_timestamp_seconds",
                         "Beginning of the last day that was verified since the start; 0: none", {{"table", table}}));
    }
    show({});
  }

  void show(const TierStatus& now) {
    copied.add(static_cast<double>(now.rows_copied - before.rows_copied));
    verified.add(static_cast<double>(now.days_verified - before.days_verified));
    dropped.add(static_cast<double>(now.days_dropped - before.days_dropped));
    lag.set(static_cast<double>(now.lag.count()));
    expiring.set(static_cast<double>(now.expiring.size()));
    conflicts.set(static_cast<double>(now.conflicts.size()));
    for (auto& [table, gauge] : waiting) {
      const auto found = now.tables.find(table);
      gauge.set(found == now.tables.end() ? 0 : static_cast<double>(found->second.days_waiting));
      const auto day = found == now.tables.end() ? std::nullopt : found->second.last_verified;
      last_verified.at(table).set(
          day ? static_cast<double>(std::chrono::duration_cast<std::chrono::seconds>(day->time_since_epoch()).count())
              : 0);
    }
    before = now;
  }
};

TierMover::TierMover(const StorageOptions& options, Bus& bus, Schema& schema, telemetry::Metrics& metrics)
    : options_(options), bus_(bus), schema_(schema), meters_(std::make_shared<Meters>(metrics)) {}

bool TierMover::pause(std::chrono::milliseconds time, std::stop_token stop) {
  std::unique_lock lock{mutex_};
  wake_.wait_for(lock, stop, time, [] { return false; });
  return !stop.stop_requested();
}

TierStatus TierMover::status() const {
  const std::lock_guard lock{mutex_};
  return status_;
}

std::string TierMover::problem() const {
  const auto now = status();
  if (!now.conflicts.empty())
    return fmt::format("rows differ between hot and cold: {}", fmt::join(now.conflicts, ", "));
  if (now.expiring.empty()) return "";
  return fmt::format("not verified in the cold database and about to expire: {}{}", fmt::join(now.expiring, ", "),
                     now.trouble.empty() ? "" : "; " + now.trouble);
}

void TierMover::publish(const TierPlanner& planner) {
  const auto now = planner.status(net::now().wall);
  meters_->show(now);
  tell(now);
  const std::lock_guard lock{mutex_};
  status_ = now;
}

// Each thing once, when it begins.
void TierMover::tell(const TierStatus& now) {
  const auto is_new = [](const std::vector<std::string>& before, const std::string& name) {
    return std::ranges::find(before, name) == before.end();
  };
  if (!now.trouble.empty() && now.trouble != told_.trouble) {
    meters_->failures.add();
    log::warn("tiers do not advance", {{"trouble", now.trouble}});
  }
  for (const auto& name : now.conflicts)
    if (is_new(told_.conflicts, name)) log::error("rows differ between the hot and the cold table", {{"day", name}});
  for (const auto& name : now.expiring)
    if (is_new(told_.expiring, name))
      log::error("a day that is not verified will soon expire", {{"day", name}, {"trouble", now.trouble}});
  if (now.days_verified > told_.days_verified)
    log::info("days are verified in the cold tables", {{"days", now.days_verified - told_.days_verified},
                                                       {"rows_copied", now.rows_copied - told_.rows_copied}});
  told_ = now;
}

void TierMover::run(std::stop_token stop) {
  if (!tiers_are_on(options_)) return;
  while (!stop.stop_requested()) {
    if (const auto connection = bus_.get()) serve(*connection, stop);
    if (!pause(kTryAgain, stop)) return;
  }
}

void TierMover::serve(nats::Connection& connection, std::stop_token stop) {
  while (!connection.wait_connected(kLookForStop))
    if (stop.stop_requested() || connection.closed()) return;
  auto bucket = nats::KeyValue::open(connection, jetstream::kBucket);
  if (!bucket) return;
  nats::Lease lease{*bucket,
                    {.key = "lease.tiers-" + options_.database,
                     .owner = lease_owner(),
                     .ttl = options_.lease_ttl,
                     .is_dead = holder_is_dead},
                    {}};
  while (!stop.stop_requested() && !connection.closed()) {
    if (lease.wait_held(kLookForStop) && schema_.ensure(stop)) move(lease, stop);
    if (!pause(kLookForStop, stop)) return;
  }
}

void TierMover::move(nats::Lease& lease, std::stop_token stop) {
  TierTables tables{options_};
  TierPlanner planner{tier_rules(options_)};
  meters_->before = {};  // its counts begin anew
  told_ = {};
  while (!stop.stop_requested() && lease.held()) {
    const auto step = planner.next(net::now());
    if (std::holds_alternative<RestUntil>(step))
      pause(kLookForStop, stop);
    else
      tables.carry_out(step, planner, stop);
    if (!stop.stop_requested()) publish(planner);
  }
}

Result<TierStatus> TierMover::run_once(std::stop_token stop) {
  const auto connection = bus_.get();
  if (!connection || !connection->wait_connected(5s))
    return Error{Errc::unavailable, "NATS at " + options_.nats.urls.front(),
                 "no answer; the lease that keeps two from moving the same is kept there"};
  auto bucket = nats::KeyValue::open(*connection, jetstream::kBucket);
  if (!bucket) return bucket.error();
  nats::Lease lease{*bucket,
                    {.key = "lease.tiers-" + options_.database,
                     .owner = lease_owner(),
                     .ttl = options_.lease_ttl,
                     .is_dead = holder_is_dead},
                    {}};
  if (!lease.wait_held(options_.lease_ttl * 2))
    return Error{Errc::conflict, "the tiers of " + options_.database,
                 "are moved by another process, probably the storage service: it does this by itself"};
  if (auto fit = schema_.ensure(stop); !fit) return fit.error();
  TierTables tables{options_};
  TierPlanner planner{tier_rules(options_)};
  for (;;) {
    if (!lease.held()) return Error{Errc::conflict, "lease", "lost to another process"};
    if (stop.stop_requested()) return Error{Errc::unavailable, "stopped", "what is missing is copied at the next run"};
    const auto step = planner.next(net::now());
    if (std::holds_alternative<RestUntil>(step)) break;
    tables.carry_out(step, planner, stop);
    publish(planner);
  }
  const auto now = planner.status(net::now().wall);
  if (!now.trouble.empty()) return Error{Errc::unavailable, "tiers", now.trouble};
  return now;
}

std::string tier_json(const TierStatus& status) {
  std::string tables;
  for (const auto& [name, table] : status.tables) {
    tables +=
        fmt::format(R"({}"{}":{{"last_verified":{},"days_waiting":{}}})", tables.empty() ? "" : ",", name,
                    table.last_verified ? "\"" + text_of(*table.last_verified) + "\"" : "null", table.days_waiting);
  }
  const auto list = [](const std::vector<std::string>& names) {
    std::string out;
    for (const auto& name : names) {
      if (!out.empty()) out += ',';
      append_json_string(out, name);
    }
    return out;
  };
  std::string trouble;
  append_json_string(trouble, status.trouble);
  return fmt::format(
      R"({{"lag_seconds":{},"rows_copied":{},"days_verified":{},"days_dropped":{},"expiring":[{}],"conflicts":[{}],"trouble":{},"looked":{},"tables":{{{}}}}})",
      status.lag.count(), status.rows_copied, status.days_verified, status.days_dropped, list(status.expiring),
      list(status.conflicts), trouble, status.looked, tables);
}

}  // namespace mp::storage
