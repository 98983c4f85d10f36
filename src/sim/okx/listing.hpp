#pragma once
// The instruments that the simulated OKX lists.

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "sim/market/symbol.hpp"

namespace mp::sim::okx {

enum class Section : std::uint8_t { spot, derivatives };
inline Section section_of(const Symbol& symbol) {
  return symbol.kind == Kind::spot ? Section::spot : Section::derivatives;
}

// Every instrument there is: spot, then swaps, futures (inverse and linear, one X-Perp) and options. `now` decides the
// expiries.
std::vector<Symbol> all_symbols(WallTime now);

// SPOT, SWAP, FUTURES, OPTION. X-Perps are perpetuals among the FUTURES.
std::string_view inst_type(const Symbol& symbol);
inline bool is_xperp(const Symbol& symbol) { return symbol.family.ends_with("_XPERP"); }
// BTC-USDT of BTC-USDT-SWAP; "" for spot.
std::string inst_family(const Symbol& symbol);

}  // namespace mp::sim::okx
