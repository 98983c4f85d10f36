#pragma once
// What a session collects, as a list that can be compared with another; and the edge that ends a series.

#include <algorithm>
#include <utility>
#include <vector>

#include "feed/catalogue.hpp"
#include "model/market_event.hpp"

namespace mp {

// Data types of instruments, by catalogue index.
using Collected = std::vector<std::pair<Catalogue::Index, DataType>>;

// Those of `before` that are not in `now`.
inline Collected ended_since(const Collected& before, const Collected& now) {
  Collected out;
  for (const auto& each : before)
    if (std::ranges::find(now, each) == now.end()) out.push_back(each);
  return out;
}

// A series is not collected from `at` on: an edge of the recording, no loss.
inline void append_end(const InstrumentRef& instrument, DataType type, DataSource source, WallTime at,
                       std::vector<MarketEvent>& out) {
  auto& gap = std::get<Gap>(out.emplace_back(std::in_place_type<Gap>));
  gap.meta = {instrument, at, at, source};
  gap.data_type = type;
  gap.cause = GapCause::end;
  gap.gap_start = at;
  gap.gap_end = at;
}

}  // namespace mp
