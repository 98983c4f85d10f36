#pragma once
// The simulation's only source of chance: small, fast, and the same on every machine (the standard
// library's distributions are not).

#include <cstdint>

namespace mp::sim {

class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  // SplitMix64.
  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9E3779B97F4A7C15ULL);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
  }

  // 0 … bound-1. Precondition: bound > 0.
  std::int64_t below(std::int64_t bound) {
    // The product's upper half; the bias for bounds far below 2^32 is of no matter here.
    return static_cast<std::int64_t>(next() % static_cast<std::uint64_t>(bound));
  }

  // low … high, both included.
  std::int64_t between(std::int64_t low, std::int64_t high) { return low + below(high - low + 1); }

  bool percent(int chance) { return below(100) < chance; }

 private:
  std::uint64_t state_;
};

}  // namespace mp::sim
