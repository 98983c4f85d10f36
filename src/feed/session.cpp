#include "feed/session.hpp"

namespace mp {

const char* to_string(CloseReason reason) {
  switch (reason) {
    case CloseReason::network: return "network";
    case CloseReason::stale: return "stale";
    case CloseReason::refused: return "refused";
    case CloseReason::peer_slow: return "peer_slow";
    case CloseReason::protocol: return "protocol";
    case CloseReason::replaced: return "replaced";
    case CloseReason::venue_notice: return "venue_notice";
    case CloseReason::not_recorded: return "not_recorded";
    case CloseReason::stopped: return "stopped";
  }
  return "unknown";
}

const char* to_string(StreamState state) {
  switch (state) {
    case StreamState::waiting: return "waiting";
    case StreamState::subscribing: return "subscribing";
    case StreamState::live: return "live";
    case StreamState::resyncing: return "resyncing";
    case StreamState::silent: return "silent";
    case StreamState::refused: return "refused";
  }
  return "unknown";
}

}  // namespace mp
