#pragma once
// The instruments that the simulated Deribit lists.

#include <string>
#include <string_view>
#include <vector>

#include "sim/market/symbol.hpp"

namespace mp::sim::deribit {

// Inverse and linear (USDC) perpetuals, dated futures, options of both kinds, two spot pairs; one of each kind among
// the first eight. `now` decides the expiries.
std::vector<Symbol> all_symbols(WallTime now);

// "future" (perpetuals, too), "option", "spot".
std::string_view kind_of(const Symbol& symbol);
// The currency by which lists and channels choose: BTC, ETH, USDC.
std::string currency_of(const Symbol& symbol);
// "btc_usd", "sol_usdc"
std::string index_name(const Symbol& symbol);

}  // namespace mp::sim::deribit
