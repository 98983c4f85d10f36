#pragma once
// What can be traded in a simulated market, in whole ticks and lots.

#include <cstdint>
#include <string>

#include "base/time.hpp"

namespace mp::sim {

enum class Kind { spot, perpetual, future };

// As in `market_type` of the product's events.
constexpr const char* to_string(Kind kind) {
  return kind == Kind::spot ? "spot" : kind == Kind::perpetual ? "perpetual" : "futures";
}

struct Symbol {
  Kind kind{};
  std::string base;
  std::string quote;
  std::string instrument;  // the venue's own spelling
  WallTime expiry;         // of futures only

  int price_scale = 0;     // one tick is 10^-price_scale
  int quantity_scale = 0;  // one lot is 10^-quantity_scale
  int price_digits = 0;    // decimals that the venue writes, at least the scale
  int quantity_digits = 0;

  std::int64_t start_price = 0;       // ticks
  std::int64_t gap = 1;               // usual distance between neighbouring levels, ticks
  std::int64_t typical_quantity = 1;  // at a level near the best, lots
  int weight = 1;                     // its share of the message flow

  // Symbols of one group draw their update ids from one counter (derivatives of Binance: ids are
  // global there); a symbol without group has its own, contiguous one.
  int id_group = -1;

  // BTC-USDT, BTC-USDT-20261225.
  std::string canonical() const {
    std::string out = base + "-" + quote;
    if (kind != Kind::future) return out;
    for (const char c : utc_day(expiry))
      if (c != '-') {
        if (out.size() == base.size() + 1 + quote.size()) out.push_back('-');
        out.push_back(c);
      }
    return out;
  }
};

}  // namespace mp::sim
