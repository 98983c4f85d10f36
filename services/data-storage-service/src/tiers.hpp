#pragma once
// Moves whole days from the hot to the cold tables: carries out what the planner (sinks/clickhouse/tiers.hpp) asks for.

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>

#include "data-storage-service/src/options.hpp"
#include "data-storage-service/src/worker.hpp"
#include "sinks/clickhouse/tiers.hpp"
#include "telemetry/metrics.hpp"

namespace mp::storage {

sinks::clickhouse::TierRules tier_rules(const StorageOptions& options);
// Whether days move at all: live data with a time to live and a cold database.
bool tiers_are_on(const StorageOptions& options);

// The two databases as the planner sees them. Runs on: one thread.
class TierTables {
 public:
  explicit TierTables(const StorageOptions& options);

  // Carries one step out and tells the planner; what it does not do is wait.
  void carry_out(const sinks::clickhouse::TierStep& step, sinks::clickhouse::TierPlanner& planner,
                 std::stop_token stop);

 private:
  using Steps = sinks::clickhouse::TierStep;
  Result<void> list(sinks::clickhouse::TierPlanner& planner, std::stop_token stop);
  Result<std::vector<sinks::clickhouse::HotDay>> hot_days(std::stop_token stop);
  struct Columns {
    std::string names;   // all that are stored, in order, with commas
    std::string hashed;  // the same as arguments of a hash
  };
  Result<Columns> columns_of(const std::string& table, std::stop_token stop);
  Result<sinks::clickhouse::Buckets> sums(bool cold, const sinks::clickhouse::SumUp& step, std::stop_token stop);
  Result<std::vector<sinks::clickhouse::RowPrint>> prints(bool cold, const sinks::clickhouse::ReadPrints& step,
                                                          std::stop_token stop);
  Result<void> copy(const sinks::clickhouse::CopyRows& step, std::stop_token stop);
  Result<void> drop(const sinks::clickhouse::DropParts& step, std::stop_token stop);
  Result<std::vector<std::vector<std::string>>> rows(bool cold, const std::string& sql, std::stop_token stop);

  const StorageOptions& options_;
  clickhouse::Client hot_;
  clickhouse::Client cold_;
  const std::string session_;
  std::map<std::string, Columns> columns_;  // of each table
};

// Runs on: its own thread (run); status() from any.
class TierMover {
 public:
  TierMover(const StorageOptions& options, Bus& bus, Schema& schema, telemetry::Metrics& metrics);

  // Until `stop`, while the lease is held: one process at a time.
  void run(std::stop_token stop);
  // One round: every day that can be verified now, and what is due to leave the hot tables. For `marketprism tier run`.
  Result<sinks::clickhouse::TierStatus> run_once(std::stop_token stop);

  sinks::clickhouse::TierStatus status() const;
  // For /health: "" when all is well.
  std::string problem() const;

 private:
  struct Meters;
  void serve(nats::Connection& connection, std::stop_token stop);
  void move(nats::Lease& lease, std::stop_token stop);
  void publish(const sinks::clickhouse::TierPlanner& planner);
  void tell(const sinks::clickhouse::TierStatus& status);
  bool pause(std::chrono::milliseconds time, std::stop_token stop);

  const StorageOptions& options_;
  Bus& bus_;
  Schema& schema_;
  std::shared_ptr<Meters> meters_;
  mutable std::mutex mutex_;
  std::condition_variable_any wake_;
  sinks::clickhouse::TierStatus status_;
  sinks::clickhouse::TierStatus told_;  // the mover's thread only
};

// One line for each thing that /health and `marketprism tier status` tell, as JSON.
std::string tier_json(const sinks::clickhouse::TierStatus& status);

}  // namespace mp::storage
