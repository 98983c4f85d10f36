#include "sim/deribit/listing.hpp"

#include <algorithm>
#include <chrono>

#include "sim/market/assets.hpp"

namespace mp::sim::deribit {
namespace {

// 25DEC26, 9MAR26: no leading zero
std::string day_name(WallTime t) {
  constexpr const char* kMonths[] = {"JAN", "FEB", "MAR", "APR", "MAY", "JUN",
                                     "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"};
  const std::chrono::year_month_day day{std::chrono::floor<std::chrono::days>(t)};
  return std::to_string(static_cast<unsigned>(day.day())) + kMonths[static_cast<unsigned>(day.month()) - 1] +
         std::to_string(static_cast<int>(day.year()) % 100);
}

// Ticks of several units of the price's last decimal.
Symbol with_tick(Symbol s, std::int64_t units) {
  s.tick_units = units;
  s.start_price /= units;
  s.gap = std::max<std::int64_t>(1, s.gap / units);
  return s;
}

Symbol of_the_venue(Symbol s) {
  s.maker_liquidations = s.kind != Kind::spot;
  s.tells_contracts = s.kind != Kind::spot;
  return s;
}

Symbol inverse_perpetual(const Asset& asset, std::int64_t contract_usd, std::int64_t tick_units) {
  Symbol s = with_tick(inverse_of(asset, Kind::perpetual, contract_usd), tick_units);
  s.instrument = s.base + "-PERPETUAL";
  s.funding_hours = 1;  // its rows of history; it is funded every moment
  return of_the_venue(std::move(s));
}

Symbol inverse_future(const Asset& asset, std::int64_t contract_usd, std::int64_t tick_units, WallTime expiry) {
  Symbol s = with_tick(inverse_of(asset, Kind::future, contract_usd), tick_units);
  s.expiry = expiry;
  s.instrument = s.base + "-" + day_name(expiry);
  s.weight = std::max(1, s.weight / 4);
  return of_the_venue(std::move(s));
}

Symbol linear_perpetual(const Asset& asset) {
  Symbol s = symbol_of(asset, Kind::perpetual, "USDC", {0, 1, lot_scale(asset)});
  s.instrument = s.base + "_USDC-PERPETUAL";
  s.funding_hours = 1;
  s.weight = std::max(1, s.weight / 2);
  return of_the_venue(std::move(s));
}

Symbol spot(const Asset& asset) {
  Symbol s = symbol_of(asset, Kind::spot, "USDC", {lot_scale(asset), 1, 0});
  s.instrument = s.base + "_USDC";
  return of_the_venue(std::move(s));
}

Symbol option(const Asset& asset, WallTime expiry, std::string strike, char right) {
  Symbol s;
  s.kind = Kind::option;
  s.base = asset.base;
  s.quote = "USD";
  s.settle = asset.base;
  s.expiry = expiry;
  s.strike = std::move(strike);
  s.right = right;
  s.instrument = s.base + "-" + day_name(expiry) + "-" + s.strike + "-" + right;
  s.price_scale = 4;  // coins, in steps of 0.0005
  s.tick_units = 5;
  s.start_price = right == 'C' ? 85 : 62;
  s.quantity_scale = 1;
  s.levels = 30;
  s.typical_quantity = 120;
  s.start_index = asset.price;
  for (int i = asset.price_scale; i < 10; ++i) s.start_index *= 10;
  return of_the_venue(std::move(s));
}

// Paid in USDC, a thousand coins each; the strike has decimals.
Symbol linear_option(const Asset& asset, WallTime expiry, std::string strike, char right) {
  Symbol s = option(asset, expiry, std::move(strike), right);
  s.quote = s.settle = "USDC";
  std::string at = s.strike;
  std::replace(at.begin(), at.end(), '.', 'd');
  s.instrument = s.base + "_USDC-" + day_name(expiry) + "-" + at + "-" + right;
  s.tick_units = 1;
  s.start_price = 1850;
  s.quantity_scale = 0;
  s.contract_units = 1000;
  s.typical_quantity = 40;
  return s;
}

}  // namespace

std::vector<Symbol> all_symbols(WallTime now) {
  const Asset& btc = *find_asset("BTC");
  const Asset& eth = *find_asset("ETH");
  const auto quarter = next_quarter(now);
  const auto later = next_quarter(now, 1);
  std::vector<Symbol> all{
      inverse_perpetual(btc, 10, 5),
      inverse_perpetual(eth, 1, 5),
      linear_perpetual(btc),
      inverse_future(btc, 10, 25, quarter),
      option(btc, quarter, "70000", 'C'),
      option(btc, quarter, "60000", 'P'),
      linear_perpetual(*find_asset("SOL")),
      linear_option(*find_asset("XRP"), quarter, "2.1", 'C'),
      inverse_future(eth, 1, 5, quarter),
      option(eth, quarter, "3500", 'C'),
      spot(btc),
      spot(eth),
      linear_perpetual(eth),
      inverse_future(btc, 10, 25, later),
      option(btc, later, "80000", 'C'),
      option(eth, quarter, "2800", 'P'),
  };
  for (const auto& asset : assets().subspan(3)) all.push_back(linear_perpetual(asset));
  return all;
}

std::string_view kind_of(const Symbol& symbol) {
  switch (symbol.kind) {
    case Kind::spot: return "spot";
    case Kind::option: return "option";
    case Kind::perpetual:
    case Kind::future: break;
  }
  return "future";
}

std::string currency_of(const Symbol& symbol) { return symbol.quote == "USD" ? symbol.base : symbol.quote; }

std::string index_name(const Symbol& symbol) {
  std::string out = symbol.base + "_" + symbol.quote;
  for (auto& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

}  // namespace mp::sim::deribit
