#pragma once
// The symbols that the simulated Binance lists, and how Binance writes their numbers.

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "sim/market/symbol.hpp"

namespace mp::sim::binance {

// Two markets with endpoints, limits and message shapes of their own.
enum class Section : std::uint8_t { spot, usdm };
inline Section section_of(const Symbol& symbol) { return symbol.kind == Kind::spot ? Section::spot : Section::usdm; }

// Every symbol there is, spot first, larger ones first. `now` decides the quarterly future's expiry.
std::vector<Symbol> all_symbols(WallTime now);

// The first `count` of each section. Errc::usage when it is not 1 … the number there is.
Result<std::vector<Symbol>> first_symbols(WallTime now, int count);

// By the venue's names ("BTCUSDT" means both sections; "spot:BTCUSDT", "usdm:BTCUSDT" one).
// Errc::usage with the nearest known name.
Result<std::vector<Symbol>> named_symbols(WallTime now, std::span<const std::string> names);

}  // namespace mp::sim::binance
