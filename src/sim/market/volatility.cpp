#include "sim/market/volatility.hpp"

#include <algorithm>

namespace mp::sim {

VolatilityIndex::VolatilityIndex(std::uint64_t seed, WallTime start, std::int64_t mean)
    : random_(seed),
      mean_(mean),
      fine_(mean * 1000),
      first_(std::chrono::floor<std::chrono::seconds>(start) - std::chrono::seconds{kBefore}) {
  values_.push_back(mean);
  while (values_.size() <= kBefore) beat();
}

void VolatilityIndex::beat() {
  // A step of up to 0.02 points, and a thousandth of the way back to the mean.
  fine_ += random_.between(-2000, 2000) - (fine_ - mean_ * 1000) / 1000;
  fine_ = std::clamp(fine_, mean_ * 250, mean_ * 4000);
  values_.push_back(fine_ / 1000);
  if (values_.size() > kKept) {
    values_.pop_front();
    first_ += std::chrono::seconds{1};
  }
}

std::vector<VolatilityIndex::Candle> VolatilityIndex::candles(WallTime from, WallTime to,
                                                              std::chrono::seconds length) const {
  std::vector<Candle> out;
  const Nanos step = length;
  for (std::size_t i = 0; i < values_.size(); ++i) {
    const WallTime at = first_ + std::chrono::seconds{i};
    const auto ns = nanos_since_epoch(at);
    const WallTime start = wall_from_nanos(ns - ns % step.count());
    if (start < from || start > to) continue;
    const auto value = values_[i];
    if (out.empty() || out.back().time != start) out.push_back({start, value, value, value, value});
    Candle& candle = out.back();
    candle.high = std::max(candle.high, value);
    candle.low = std::min(candle.low, value);
    candle.close = value;
  }
  return out;
}

}  // namespace mp::sim
