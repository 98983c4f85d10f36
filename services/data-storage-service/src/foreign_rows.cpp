#include "data-storage-service/src/foreign_rows.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "base/log.hpp"

namespace mp::storage {
namespace {

telemetry::Counter counter(telemetry::Metrics& metrics, DataSource source) {
  return metrics.counter("marketprism_storage_foreign_rows_total",
                         "Rows refused because they are of another data source than the database",
                         {{"data_source", to_string(source)}});
}

}  // namespace

ForeignRows::ForeignRows(const StorageOptions& options, telemetry::Metrics& metrics)
    : options_(options), metrics_(metrics) {
  // From the start: increase() does not see a series come into being.
  for (const auto source : {DataSource::live, DataSource::backfill, DataSource::simulated, DataSource::replay})
    counter(metrics_, source);
}

void ForeignRows::saw(std::uint64_t rows, DataSource source, MonoTime now) {
  bool is_news = false;
  {
    const std::lock_guard lock{mutex_};
    is_news = !last_ || now - *last_ > kLately;
    counts_[source] += rows;
    source_ = source;
    last_ = now;
  }
  counter(metrics_, source).add(static_cast<double>(rows));
  if (is_news)
    log::warn("rows are refused: they are of another data source than this database",
              {{"rows_are", to_string(source)},
               {"database", options_.database},
               {"database_is", to_string(options_.data_source)},
               {"stream", options_.stream.name}});
}

std::string ForeignRows::problem(MonoTime now) const {
  const std::lock_guard lock{mutex_};
  if (!last_ || now - *last_ > kLately) return "";
  std::uint64_t all = 0;
  for (const auto& [source, count] : counts_) all += count;
  return fmt::format(
      "refuses rows of {} data: {} is a database of {} data (storage.data_source); {} rows since the start are in rejected_messages",
      to_string(source_), options_.database, to_string(options_.data_source), all);
}

std::map<DataSource, std::uint64_t> ForeignRows::counts() const {
  const std::lock_guard lock{mutex_};
  return counts_;
}

Result<void> check_database(const StorageOptions& options) {
  const auto is_name = [](const std::string& name) {
    return std::all_of(name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) != 0 || c == '_'; });
  };
  constexpr const char* kRule = "letters, digits and _ only, saw '{}'";
  if (options.database.empty() || !is_name(options.database))
    return Error{Errc::usage, "clickhouse.database", fmt::format(fmt::runtime(kRule), options.database)};
  // None has no cold tables.
  if (!is_name(options.cold_database))
    return Error{Errc::usage, "clickhouse.cold_database", fmt::format(fmt::runtime(kRule), options.cold_database)};
  for (const auto source : {DataSource::live, DataSource::simulated, DataSource::replay}) {
    if (options.database != usual_database(source) || options.data_source == source) continue;
    return Error{
        Errc::usage, "clickhouse.database",
        fmt::format(
            "{} is the database of {} data, and storage.data_source is {}: give them a database of their own ({}), or "
            "set data_source to {}",
            options.database, to_string(source), to_string(options.data_source), usual_database(options.data_source),
            to_string(source))};
  }
  return {};
}

}  // namespace mp::storage
