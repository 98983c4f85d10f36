#pragma once
// The symbols that the simulated Binance lists, and how Binance writes their numbers.

#include <string>
#include <string_view>
#include <vector>

#include "sim/market/symbol.hpp"

namespace mp::sim::binance {

// Two markets with endpoints, limits and message shapes of their own.
enum class Section : std::uint8_t { spot, usdm };
inline Section section_of(const Symbol& symbol) { return symbol.kind == Kind::spot ? Section::spot : Section::usdm; }

// Every symbol there is, spot first, larger ones first. `now` decides the quarterly future's expiry.
std::vector<Symbol> all_symbols(WallTime now);
// The best known of them, one of each kind among them.
std::vector<Symbol> usual_symbols(WallTime now);

}  // namespace mp::sim::binance
