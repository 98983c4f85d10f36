#pragma once
// Request budgets: so many in a fixed window, or credits that flow back.

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>

#include "base/time.hpp"

namespace mp::sim {

// So many requests per key in windows that begin at multiples of their length.
class FixedWindows {
 public:
  // False when this one is too many.
  bool take(const std::string& key, int limit, Nanos window, WallTime now) {
    if (used_.size() >= kMaxKeys) used_.clear();
    Used& used = used_[key];
    const auto number = nanos_since_epoch(now) / window.count();
    if (used.window != number) used = {number, 0};
    return ++used.count <= limit;
  }

 private:
  static constexpr std::size_t kMaxKeys = 4096;
  struct Used {
    std::int64_t window = -1;
    int count = 0;
  };
  std::map<std::string, Used> used_;
};

// A pool that each request takes from and that time fills again.
class Credits {
 public:
  Credits(std::int64_t pool, std::int64_t per_second) : pool_(pool), per_second_(per_second) {}
  // False when the pool of this key has not so many left; then nothing is taken.
  bool take(const std::string& key, std::int64_t cost, WallTime now) {
    if (left_.size() >= kMaxKeys) left_.clear();
    const auto found = left_.try_emplace(key, Left{pool_, now}).first;
    Left& left = found->second;
    const auto refill = (now - left.at).count() / 1'000'000 * per_second_ / 1000;
    if (refill > 0) {
      left.credits = std::min(pool_, left.credits + refill);
      left.at = now;
    }
    if (left.credits < cost) return false;
    left.credits -= cost;
    return true;
  }

 private:
  static constexpr std::size_t kMaxKeys = 4096;
  struct Left {
    std::int64_t credits = 0;
    WallTime at;
  };
  std::int64_t pool_, per_second_;
  std::map<std::string, Left> left_;
};

}  // namespace mp::sim
