#pragma once
// Rows that were refused because they are of another data source than the database: one of them is a mistake in a
// message, a stream of them a service that was pointed at the wrong bus or the wrong database, and stores nothing.

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "base/time.hpp"
#include "data-storage-service/src/options.hpp"
#include "telemetry/metrics.hpp"

namespace mp::storage {

// Of all data types together. Any thread.
class ForeignRows {
 public:
  // Unwell for so long after the last one; a quiet type may bring one in minutes.
  static constexpr std::chrono::minutes kLately{5};

  ForeignRows(const StorageOptions& options, telemetry::Metrics& metrics);

  // Logs the first, and the first after a time without any.
  void saw(std::uint64_t rows, DataSource source, MonoTime now);

  // What is wrong, for /health; "" when none came lately.
  std::string problem(MonoTime now) const;
  // Since the start, by source.
  std::map<DataSource, std::uint64_t> counts() const;

 private:
  const StorageOptions& options_;
  telemetry::Metrics& metrics_;
  mutable std::mutex mutex_;
  std::map<DataSource, std::uint64_t> counts_;
  DataSource source_{};  // of the last one
  std::optional<MonoTime> last_;
};

// Errc::usage for a name that no database can have, and for one that is for data of another source:
// "marketprism_sim_hot" for live data.
Result<void> check_database(const StorageOptions& options);

}  // namespace mp::storage
