#pragma once
// How long to wait before trying again: capped, exponential, with jitter; for ever.

#include <algorithm>
#include <chrono>

namespace mp {

struct BackoffPolicy {
  std::chrono::milliseconds first{500};
  std::chrono::milliseconds cap{30'000};
};

// The wait before attempt `attempt` (1 = the first retry): doubles up to the cap, of which `jitter`
// (0 to 1, from the caller's random source) takes away up to half, so that many clients spread out.
inline std::chrono::milliseconds backoff(const BackoffPolicy& policy, int attempt, double jitter) {
  const int doublings = std::clamp(attempt - 1, 0, 30);
  const auto full = std::min<long long>(policy.cap.count(), policy.first.count() << doublings);
  return std::chrono::milliseconds{static_cast<long long>(static_cast<double>(full) * (1.0 - jitter / 2))};
}

}  // namespace mp
