#pragma once
// A volatility index: annualised per cent, a value every second, drawn back to its mean.

#include <cstdint>
#include <deque>
#include <vector>

#include "base/time.hpp"
#include "sim/market/random.hpp"

namespace mp::sim {

class VolatilityIndex {
 public:
  static constexpr int kScale = 2;                // values are 10^-2 per cent
  static constexpr std::size_t kKept = 86'400;    // seconds of the past
  static constexpr std::size_t kBefore = 14'400;  // of them before the start

  VolatilityIndex(std::uint64_t seed, WallTime start, std::int64_t mean);

  // The next second.
  void beat();
  std::int64_t value() const { return values_.back(); }
  WallTime time() const { return first_ + std::chrono::seconds{values_.size() - 1}; }

  struct Candle {
    WallTime time;  // its beginning, a multiple of its length
    std::int64_t open = 0, high = 0, low = 0, close = 0;
  };
  // Those that begin between both times, both included, as far as they are kept; oldest first. Precondition: length >
  // 0.
  std::vector<Candle> candles(WallTime from, WallTime to, std::chrono::seconds length) const;

 private:
  Random random_;
  std::int64_t mean_;
  std::int64_t fine_;  // thousandths of the unit, so that small pulls are not lost
  WallTime first_;     // of values_.front()
  std::deque<std::int64_t> values_;
};

}  // namespace mp::sim
