#pragma once
// What /health and the status screens show: per stream its last event, state, gaps; overall whether one may rely on it.
// Counting is on the loop's thread; the rendered text is what other threads see.

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "feed/session.hpp"

namespace mp::collector {

// Counts events by source and type.
class EventCounts {
 public:
  using PerType = std::array<std::uint64_t, kDataTypeCount>;
  void add(const Source& source, const std::vector<MarketEvent>& events);
  const std::map<Source, PerType>& by_source() const { return counts_; }
  std::uint64_t total() const { return total_; }

 private:
  std::map<Source, PerType> counts_;
  std::uint64_t total_ = 0;
};

// What stands beside the streams in the report.
struct HealthInputs {
  WallTime now;
  std::string data_source;
  std::uint64_t events = 0;
  std::uint64_t gaps = 0;
  std::uint64_t rejected = 0;
  bool journal_failing = false;
  std::uint64_t records_dropped = 0;
  bool bus_publishing = false;
  std::string bus_state;
  std::uint64_t outstanding = 0;  // messages on their way
  bool behind = false;            // publishing is catching up from the journal
  bool drained = false;           // nothing waits anywhere
  bool connected = false;
  std::optional<bool> playback_done;  // only during play-back
  bool stopping = false;
  std::chrono::seconds uptime{0};
};

struct HealthText {
  bool healthy = false;
  std::string json;
};
HealthText render_health(const HealthInputs& inputs, const std::vector<StreamStatus>& streams);

}  // namespace mp::collector
