#pragma once
// What can be traded in a simulated market, in whole ticks and lots.

#include <algorithm>
#include <cstdint>
#include <string>

#include "base/time.hpp"

namespace mp::sim {

enum class Kind { spot, perpetual, future, option };

// As in `market_type` of the product's events.
constexpr const char* to_string(Kind kind) {
  switch (kind) {
    case Kind::spot: return "spot";
    case Kind::perpetual: return "perpetual";
    case Kind::future: return "futures";
    case Kind::option: return "options";
  }
  return "";
}

struct Symbol {
  Kind kind{};
  std::string base;
  std::string quote;
  std::string instrument;  // the venue's own spelling
  std::string settle;      // of derivatives: what is paid in
  std::string family;      // follows the quote in the canonical name where a venue has two families: "_UM"
  WallTime expiry;         // of futures and options
  std::string strike;      // of options: "70000", "1.02"
  char right = 0;          // of options: 'C' or 'P'
  bool inverse = false;    // contracts are worth a fixed amount of the quote

  int price_scale = 0;  // one tick is tick_units × 10^-price_scale
  std::int64_t tick_units = 1;
  int quantity_scale = 0;  // one lot is 10^-quantity_scale (of a contract, where there are contracts)
  int price_digits = 0;    // decimals that the venue writes, at least the scale
  int quantity_digits = 0;

  // One contract is contract_units × 10^-contract_scale of the base, or of the quote when inverse.
  std::int64_t contract_units = 1;
  int contract_scale = 0;
  bool tells_contracts = false;  // the venue's messages count in contracts

  std::int64_t start_price = 0;       // ticks
  std::int64_t start_index = 0;       // of an option whose underlying is not simulated beside it: 10^-10 of the quote
  std::int64_t gap = 1;               // usual distance between neighbouring levels, ticks
  std::int64_t levels = 1200;         // of a side, about
  std::int64_t typical_quantity = 1;  // at a level near the best, lots
  int weight = 1;                     // its share of the message flow
  int funding_hours = 0;              // between two fundings; 0: none
  bool void_fills = false;            // now and then a trade id is used up without a trade
  bool maker_liquidations = false;    // liquidated orders may be the maker's, too

  // Symbols of one group draw their update ids from one counter (derivatives of Binance: ids are
  // global there); a symbol without group has its own, contiguous one.
  int id_group = -1;

  // BTC-USDT, BTC-USDT-20261225, BTC-USD-20261225-70000-C, XRP-USDC-20261225-1d02-C.
  std::string canonical() const {
    std::string out = base + "-" + quote + family;
    if (kind != Kind::future && kind != Kind::option) return out;
    std::string day = utc_day(expiry);
    std::erase(day, '-');
    out += "-" + day;
    if (kind == Kind::future) return out;
    std::string at = strike;
    std::replace(at.begin(), at.end(), '.', 'd');
    return out + "-" + at + "-" + right;
  }
};

}  // namespace mp::sim
