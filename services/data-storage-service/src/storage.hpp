#pragma once
// The storage service: one worker per data type, a keeper, /health and /metrics.

#include <memory>
#include <stop_token>
#include <string>

#include "data-storage-service/src/options.hpp"
#include "sinks/clickhouse/sink.hpp"

namespace mp::storage {

// The state of the service as /health tells it.
struct Health {
  bool healthy = false;
  bool drained = false;  // nothing waits on the stream and nothing is held
  std::string json;
};

class Storage {
 public:
  // Errc::usage for a schema or options that cannot work, Errc::conflict when a port is taken.
  static Result<std::unique_ptr<Storage>> start(StorageOptions options);
  virtual ~Storage() = default;  // stop()

  // Stores and acknowledges what has been taken, gives the leases back; returns when all threads have ended.
  virtual void stop() = 0;
  // Other limits of the batches from now on.
  virtual void set_batches(const std::map<DataType, sinks::clickhouse::BatchLimits>& batches) = 0;
  virtual Health health() = 0;
  virtual std::string health_address() const = 0;
  virtual std::string metrics_address() const = 0;
};

// The schema of these databases, from the file that the options name.
Result<sinks::clickhouse::Schema> schema_of(const StorageOptions& options);

}  // namespace mp::storage
