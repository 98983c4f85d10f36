#pragma once
// The collector's numbers on /metrics. Updated on the loop's thread a few times a second.

#include <chrono>
#include <map>
#include <memory>
#include <string>

#include "event_sink.hpp"
#include "health.hpp"
#include "ingest.hpp"
#include "journal/journal.hpp"
#include "socket_driver.hpp"
#include "telemetry/metrics.hpp"

namespace mp::collector {

class CollectorMetrics {
 public:
  explicit CollectorMetrics(telemetry::Metrics& metrics);

  void group_done(std::chrono::nanoseconds delay) { delay_.observe(std::chrono::duration<double>(delay).count()); }
  void update(const EventCounts& events, const IngestCounters& ingest, const SinkStatus& bus,
              const journal::JournalCounters& journal, const std::map<Source, std::unique_ptr<SocketDriver>>& drivers,
              Router& router, bool behind);

 private:
  // Brings a counter up to a total that is kept elsewhere.
  void raise(const std::string& name, const std::string& help, const telemetry::Labels& labels, std::uint64_t total);

  struct Mirror {
    telemetry::Counter counter;
    std::uint64_t shown = 0;
  };
  telemetry::Metrics& metrics_;
  std::map<std::pair<std::string, telemetry::Labels>, Mirror> mirrors_;
  telemetry::Histogram delay_;
  telemetry::Gauge outstanding_, publishing_, behind_;
};

}  // namespace mp::collector
