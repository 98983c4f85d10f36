#pragma once
// Which bars of a history have been written, when the history comes in pages from the newest back: nothing is written
// twice, and what a lost page left open is known.

#include <algorithm>
#include <optional>
#include <vector>

#include "feed/checkpoint.hpp"

namespace mp::deribit {

class SeenBars {
 public:
  // Separate stretches; beyond it the oldest is forgotten (it is then asked for no more).
  static constexpr std::size_t kMost = 64;

  bool has(WallTime time) const {
    return std::ranges::any_of(ranges_, [&](const Range& each) { return each.first <= time && time <= each.last; });
  }
  // All bars from `first` to `last` have been written; stretches less than `step` apart are one.
  void add(WallTime first, WallTime last, Nanos step) {
    Range mine{first, last};
    std::erase_if(ranges_, [&](const Range& each) {
      if (each.first > mine.last + step || mine.first > each.last + step) return false;
      mine.first = std::min(mine.first, each.first);
      mine.last = std::max(mine.last, each.last);
      return true;
    });
    ranges_.insert(std::ranges::upper_bound(ranges_, mine.first, {}, &Range::first), mine);
    if (ranges_.size() > kMost) ranges_.erase(ranges_.begin());
  }
  // The earliest time from `least` on that may have bars that were not written.
  WallTime missing_from(WallTime least) const {
    for (const auto& each : ranges_)
      if (each.first <= least && least <= each.last) return each.last;
    return least;
  }

  void save(StateWriter& out) const {
    out.put(std::uint64_t{ranges_.size()});
    for (const auto& each : ranges_) {
      out.put(each.first);
      out.put(each.last);
    }
  }
  void restore(StateReader& in) {
    ranges_.clear();
    for (auto n = in.count(2); n > 0 && in.ok(); --n) {
      const auto first = in.time();
      const auto last = in.time();
      if (in.ok()) ranges_.push_back({first, last});
    }
  }

 private:
  struct Range {
    WallTime first, last;
  };
  std::vector<Range> ranges_;  // ascending, apart
};

}  // namespace mp::deribit
