#pragma once
// GET /health and GET /metrics of a service, each on its own listener (the guide's ports).

#include <functional>
#include <memory>
#include <string>

#include "base/result.hpp"
#include "telemetry/metrics.hpp"

namespace mp::telemetry {

struct HealthReport {
  bool healthy = false;  // 200, otherwise 503
  std::string json;      // one JSON object
};

struct EndpointOptions {
  std::string health_listen{};   // "127.0.0.1:8086"; "" for none
  std::string metrics_listen{};  // "127.0.0.1:9093"; "" for none
  // What the user changes to move the port; named when it is taken.
  std::string health_option = "--health";
  std::string metrics_option = "--metrics";
};

class Endpoints {
 public:
  // Listens from now on. `metrics` must outlive the result. `health` runs on: the connection's thread, several
  // at a time. Errc::conflict when a port is taken.
  static Result<std::unique_ptr<Endpoints>> start(const EndpointOptions& options, Metrics& metrics,
                                                  std::function<HealthReport()> health);
  virtual ~Endpoints() = default;                  // stop()
  virtual std::string health_address() const = 0;  // with the port that was bound; "" for none
  virtual std::string metrics_address() const = 0;
  virtual void stop() = 0;
};

}  // namespace mp::telemetry
