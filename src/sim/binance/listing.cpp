#include "sim/binance/listing.hpp"

#include <algorithm>
#include <iterator>

#include "sim/market/assets.hpp"

namespace mp::sim::binance {
namespace {

constexpr std::ptrdiff_t kUsualSpot = 8;

// Prices and quantities in ticks of 10^-price_scale and lots of 10^-quantity_scale.
Symbol spot(const char* base, int price_scale, std::int64_t start, std::int64_t gap, int quantity_scale,
            std::int64_t typical, int weight) {
  Symbol s;
  s.kind = Kind::spot;
  s.base = base;
  s.quote = "USDT";
  s.instrument = s.base + s.quote;
  s.price_scale = price_scale;
  s.quantity_scale = quantity_scale;
  s.price_digits = s.quantity_digits = 8;  // spot writes everything with eight decimals
  s.start_price = start;
  s.gap = gap;
  s.typical_quantity = typical;
  s.weight = weight;
  return s;
}

// What all contracts of the venue have.
Symbol as_usdm(Symbol s) {
  s.settle = "USDT";
  s.id_group = 0;
  s.void_fills = true;
  s.tells_contracts = false;  // quantities are in coins
  if (s.kind == Kind::perpetual) s.funding_hours = s.base == "SOL" || s.base == "ADA" ? 4 : 8;
  return s;
}

Symbol perpetual(const char* base, int price_scale, int price_digits, std::int64_t start, std::int64_t gap,
                 int quantity_scale, std::int64_t typical, int weight) {
  Symbol s = spot(base, price_scale, start, gap, quantity_scale, typical, weight);
  s.kind = Kind::perpetual;
  s.price_digits = price_digits;
  s.quantity_digits = quantity_scale;
  return as_usdm(std::move(s));
}

Symbol quarterly(WallTime now) {
  Symbol s = perpetual("BTC", 1, 1, 648'213, 4, 3, 400, 3);
  s.kind = Kind::future;
  s.funding_hours = 0;
  s.expiry = next_quarter(now);
  std::string day = utc_day(s.expiry).substr(2);
  std::erase(day, '-');
  s.instrument = "BTCUSDT_" + day;
  return s;
}

}  // namespace

std::vector<Symbol> usual_symbols(WallTime now) {
  return {
      spot("BTC", 2, 6'425'010, 12, 5, 30'000, 20),
      spot("ETH", 2, 312'045, 3, 4, 50'000, 14),
      spot("SOL", 2, 17'832, 1, 3, 60'000, 8),
      spot("BNB", 2, 61'230, 1, 3, 20'000, 5),
      spot("XRP", 4, 21'437, 1, 1, 60'000, 5),
      spot("PEPE", 8, 2'450, 1, 0, 1'200'000'000, 5),  // quantities of ten digits and more: 1 PEPE is 0.00002 USDT
      spot("DOGE", 5, 16'210, 1, 0, 60'000, 3),
      spot("ADA", 4, 5'482, 1, 1, 200'000, 2),
      perpetual("BTC", 1, 2, 642'513, 4, 3, 800, 24),
      perpetual("ETH", 2, 2, 312'061, 3, 3, 12'000, 16),
      perpetual("SOL", 2, 4, 17'835, 1, 0, 300, 9),
      perpetual("BNB", 2, 3, 61'236, 1, 2, 4'000, 4),
      perpetual("XRP", 4, 4, 21'439, 1, 1, 100'000, 5),
      perpetual("1000PEPE", 6, 7, 24'502, 3, 0, 2'000'000, 5),
      quarterly(now),
      perpetual("DOGE", 5, 6, 16'213, 1, 0, 90'000, 3),
      perpetual("ADA", 4, 5, 5'483, 1, 0, 30'000, 2),
  };
}

std::vector<Symbol> all_symbols(WallTime now) {
  auto spots = usual_symbols(now);
  std::vector<Symbol> derivatives(std::make_move_iterator(spots.begin() + kUsualSpot),
                                  std::make_move_iterator(spots.end()));
  spots.resize(kUsualSpot);
  const auto is_there = [](const std::vector<Symbol>& list, const std::string& instrument) {
    return std::any_of(list.begin(), list.end(), [&](const Symbol& s) { return s.instrument == instrument; });
  };
  for (const Asset& asset : assets()) {
    const Lot lot{lot_scale(asset), 1, 0};
    Symbol s = symbol_of(asset, Kind::spot, "USDT", lot);
    s.instrument = s.base + s.quote;
    s.price_digits = std::max(8, s.price_scale);
    s.quantity_digits = 8;
    if (!is_there(spots, s.instrument)) spots.push_back(std::move(s));

    Symbol d = symbol_of(asset, Kind::perpetual, "USDT", lot);
    d.instrument = d.base + d.quote;
    if (!is_there(derivatives, d.instrument) && d.base != "PEPE") derivatives.push_back(as_usdm(std::move(d)));
  }
  spots.insert(spots.end(), std::make_move_iterator(derivatives.begin()), std::make_move_iterator(derivatives.end()));
  return spots;
}

}  // namespace mp::sim::binance
