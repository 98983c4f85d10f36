#pragma once
// The storage service: one worker per data type, a keeper, /health and /metrics.

#include <memory>
#include <stop_token>
#include <string>

#include "data-storage-service/src/options.hpp"

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
  virtual Health health() = 0;
  virtual std::string health_address() const = 0;
  virtual std::string metrics_address() const = 0;
};

}  // namespace mp::storage
