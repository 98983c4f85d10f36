#include "health.hpp"

#include <fmt/format.h>

#include <iterator>

#include "base/text.hpp"

namespace mp::collector {
namespace {

// A stream may take this long to bring its first event before it counts against the collector.
constexpr auto kStartUpGrace = std::chrono::seconds(60);

bool is_bad(StreamState state, std::chrono::seconds uptime) {
  switch (state) {
    case StreamState::live: return false;
    case StreamState::waiting:
    case StreamState::subscribing:
    case StreamState::resyncing: return uptime > kStartUpGrace;
    case StreamState::silent:
    case StreamState::refused: return true;
  }
  return true;
}

void append_stream(std::string& json, const StreamStatus& stream, WallTime now) {
  const auto& id = *stream.instrument;
  fmt::format_to(std::back_inserter(json), R"({{"exchange":"{}","market_type":"{}","data_type":"{}","symbol":)",
                 id.exchange, to_string(id.market_type), to_string(stream.data_type));
  append_json_string(json, id.symbol);
  fmt::format_to(std::back_inserter(json), R"(,"state":"{}","last_event_age_seconds":)", to_string(stream.state));
  if (stream.last_event)
    fmt::format_to(std::back_inserter(json), "{:.3f}", std::chrono::duration<double>(now - *stream.last_event).count());
  else
    json += "null";
  fmt::format_to(std::back_inserter(json), R"(,"gaps":{},"reconnects":{}}})", stream.gaps, stream.reconnects);
}

// The worst that is the matter, in words; "" when nothing is.
std::string problem_of(const HealthInputs& in, std::size_t bad_streams, std::size_t streams) {
  if (in.stopping) return "";
  if (in.journal_failing) return "the journal cannot be written; see the log";
  if (!in.playback_done && !in.connected && in.uptime > kStartUpGrace) return "not connected to every venue";
  if (!in.bus_publishing) return "the bus is not taking messages (" + in.bus_state + "); they wait in the journal";
  if (bad_streams > 0) return fmt::format("{} of {} streams bring no good data", bad_streams, streams);
  return "";
}

}  // namespace

void EventCounts::add(const Source& source, const std::vector<MarketEvent>& events) {
  if (events.empty()) return;
  auto& counts = counts_[source];
  for (const auto& event : events) ++counts[static_cast<std::size_t>(type_of(event))];
  total_ += events.size();
}

HealthText render_health(const HealthInputs& in, const std::vector<StreamStatus>& streams) {
  std::size_t bad = 0;
  std::size_t live = 0;
  for (const auto& stream : streams) {
    bad += is_bad(stream.state, in.uptime) ? 1u : 0u;
    live += stream.state == StreamState::live ? 1u : 0u;
  }
  const auto problem = problem_of(in, bad, streams.size());
  const bool starting = problem.empty() && !in.playback_done && (streams.empty() || live == 0);
  HealthText text;
  text.healthy = problem.empty() && !starting;
  auto& json = text.json;
  fmt::format_to(std::back_inserter(json), R"({{"status":"{}","problem":)",
                 text.healthy ? "healthy"
                 : starting   ? "starting"
                              : "unhealthy");
  append_json_string(json, problem);
  fmt::format_to(std::back_inserter(json),
                 R"(,"data_source":"{}","uptime_seconds":{},"events":{},"gaps":{},"rejected":{},"connected":{})",
                 in.data_source, in.uptime.count(), in.events, in.gaps, in.rejected, in.connected);
  fmt::format_to(std::back_inserter(json), R"(,"journal":{{"failing":{},"records_dropped":{}}})", in.journal_failing,
                 in.records_dropped);
  fmt::format_to(std::back_inserter(json), R"(,"bus":{{"state":"{}","outstanding":{},"behind":{}}},"drained":{})",
                 in.bus_state, in.outstanding, in.behind, in.drained);
  if (in.playback_done) fmt::format_to(std::back_inserter(json), R"(,"playback":{{"done":{}}})", *in.playback_done);
  json += R"(,"streams":[)";
  for (const auto& stream : streams) {
    if (json.back() != '[') json.push_back(',');
    append_stream(json, stream, in.now);
  }
  json += "]}";
  return text;
}

}  // namespace mp::collector
