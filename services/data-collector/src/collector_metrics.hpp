#pragma once
// The collector's numbers on /metrics. Updated on the loop's thread a few times a second.

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "event_sink.hpp"
#include "feed_times.hpp"
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
  // What one record released; at most one of its events is measured.
  void released(const Source& source, const std::vector<MarketEvent>& events, MonoTime now);
  void update(const EventCounts& events, const IngestCounters& ingest, const SinkStatus& bus,
              const journal::JournalCounters& journal, const std::map<Source, std::unique_ptr<SocketDriver>>& drivers,
              Router& router, bool behind);
  void update_journal(const journal::RetentionReport& kept) {
    journal_bytes_.set(static_cast<double>(kept.kept_bytes));
  }
  // `unpublished`: for how long the oldest unpublished record has been waiting.
  void update_times(const std::vector<StreamStatus>& streams, std::chrono::nanoseconds unpublished, MonoTime now);

 private:
  struct SourceTimes {
    telemetry::Histogram delay;
    telemetry::Gauge smallest;
    SmallestDelay window{};
    std::map<GapCause, telemetry::Counter> gaps{};
  };
  struct StreamGauges {
    telemetry::Gauge live;
    std::optional<telemetry::Gauge> last_event{};  // from its first event on
    bool is_described = false;
  };
  using StreamGroup = std::tuple<std::string, std::string, std::string>;  // exchange, market_type, data_type
  using StreamName = std::tuple<std::string, std::string, std::string, std::string>;  // and symbol
  using StateCounts = std::map<StreamGroup, std::map<StreamState, int>>;

  SourceTimes& times_of(const Source& source);
  void show_stream(const StreamStatus& stream);
  void show_states(const StateCounts& counts);
  // Brings a counter up to a total that is kept elsewhere.
  void raise(const std::string& name, const std::string& help, const telemetry::Labels& labels, std::uint64_t total);

  struct Mirror {
    telemetry::Counter counter;
    std::uint64_t shown = 0;
  };
  telemetry::Metrics& metrics_;
  std::map<std::pair<std::string, telemetry::Labels>, Mirror> mirrors_;
  telemetry::Histogram delay_;
  telemetry::Gauge outstanding_, publishing_, behind_, unpublished_, journal_bytes_;
  std::map<Source, SourceTimes> times_;
  std::map<StreamName, StreamGauges> streams_;
  std::map<StreamGroup, std::map<StreamState, telemetry::Gauge>> states_;
};

}  // namespace mp::collector
