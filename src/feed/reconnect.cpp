#include "feed/reconnect.hpp"

namespace mp {
namespace {

using std::chrono::milliseconds;

constexpr BackoffPolicy kUsual{milliseconds{500}, milliseconds{30'000}};
// The venue said no, or we cannot keep up: asking again quickly makes it worse.
constexpr BackoffPolicy kPatient{milliseconds{5'000}, milliseconds{120'000}};

}  // namespace

ReconnectVerdict reconnect_policy(CloseReason reason, int attempt, double jitter) {
  switch (reason) {
    case CloseReason::network:
    case CloseReason::not_recorded:
    case CloseReason::protocol: return {true, backoff(kUsual, attempt, jitter)};
    case CloseReason::stale:
    case CloseReason::venue_notice:
      // We or the venue ended it deliberately: the first new try need not wait.
      return {true, attempt <= 1 ? milliseconds{0} : backoff(kUsual, attempt - 1, jitter)};
    case CloseReason::refused:
    case CloseReason::peer_slow: return {true, backoff(kPatient, attempt, jitter)};
    case CloseReason::replaced:
    case CloseReason::stopped: return {false, milliseconds{0}};
  }
  return {false, milliseconds{0}};
}

}  // namespace mp
