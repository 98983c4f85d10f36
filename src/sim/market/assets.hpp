#pragma once
// The coins that the simulated venues list, with about the prices that they all start from.

#include <cstdint>
#include <span>
#include <string_view>

#include "sim/market/symbol.hpp"

namespace mp::sim {

struct Asset {
  const char* base;
  int price_scale;     // of its price in dollars
  std::int64_t price;  // in units of that scale
};

// Larger ones first; more than fifty.
std::span<const Asset> assets();
// Nothing when there is no such coin.
const Asset* find_asset(std::string_view base);

// A symbol of this coin against `quote`, everything that follows from its price filled in: ticks, levels, quantities in
// lots of 10^-quantity_scale of `contract_units` × 10^-contract_scale coins, the share of the flow. No instrument name.
struct Lot {
  int quantity_scale = 0;
  std::int64_t contract_units = 1;
  int contract_scale = 0;
};
Symbol symbol_of(const Asset& asset, Kind kind, std::string_view quote, const Lot& lot);
// The same for a contract worth `contract_usd` dollars, in whole contracts.
Symbol inverse_of(const Asset& asset, Kind kind, std::int64_t contract_usd);
// The number of decimals with which a lot of the coin is worth some tenths of a dollar.
int lot_scale(const Asset& asset);

// The last Friday of a quarter, 08:00 UTC, at least a week away; `further` quarters later.
WallTime next_quarter(WallTime now, int further = 0);

}  // namespace mp::sim
