#include "sim/okx/listing.hpp"

#include <algorithm>
#include <chrono>

#include "sim/market/assets.hpp"

namespace mp::sim::okx {
namespace {

using namespace std::chrono_literals;

// 261225
std::string short_day(WallTime t) {
  std::string day = utc_day(t).substr(2);
  std::erase(day, '-');
  return day;
}

Symbol spot(const Asset& asset) {
  Symbol s = symbol_of(asset, Kind::spot, "USDT", {lot_scale(asset), 1, 0});
  s.instrument = s.base + "-USDT";
  return s;
}

// The largest power of ten of coins that is worth less than 700 dollars, as the venue's contracts are, in lots of a
// hundredth, a tenth or one of it.
Lot lot_of(const Asset& asset) {
  Lot lot;
  double worth = static_cast<double>(asset.price);
  for (int i = 0; i < asset.price_scale; ++i) worth /= 10.0;
  for (; worth >= 700.0; worth /= 10.0) ++lot.contract_scale;
  for (; worth < 70.0; worth *= 10.0) lot.contract_units *= 10;
  const auto rank = &asset - assets().data();
  lot.quantity_scale = rank < 2 ? 2 : rank < 12 ? 1 : 0;
  return lot;
}

Symbol linear(const Asset& asset, Kind kind) {
  Symbol s = symbol_of(asset, kind, "USDT", lot_of(asset));
  if (kind == Kind::perpetual) {
    // Some are funded more often.
    const auto rank = &asset - assets().data();
    s.funding_hours = rank % 7 == 5 ? 4 : 8;
    s.instrument = s.base + "-USDT-SWAP";
    s.weight += s.weight / 4;
  }
  return s;
}

Symbol dated(Symbol s, WallTime expiry) {
  s.kind = Kind::future;
  s.expiry = expiry;
  s.instrument = s.base + "-" + s.quote + s.family + "-" + short_day(expiry);
  s.weight = std::max(1, s.weight / 5);
  return s;
}

Symbol inverse_swap(const Asset& asset) {
  Symbol s = inverse_of(asset, Kind::perpetual, std::string_view(asset.base) == "BTC" ? 100 : 10);
  s.funding_hours = 8;
  s.instrument = s.base + "-USD-SWAP";
  s.weight = std::max(1, s.weight / 2);
  return s;
}

// A perpetual that the venue lists among the futures, with an expiry far away.
Symbol xperp() {
  Symbol s = symbol_of(*find_asset("BTC"), Kind::perpetual, "USD", {0, 1, 4});
  s.family = "_UM_XPERP";
  s.expiry = WallTime{std::chrono::sys_days{std::chrono::year{2031} / 4 / 4} + 8h};
  s.instrument = s.base + "-USD" + s.family + "-" + short_day(s.expiry);
  s.settle = "USD";
  s.funding_hours = 8;
  s.weight = 2;
  return s;
}

// Inverse: prices in coins. One contract is a hundredth of a coin.
Symbol option(const Asset& asset, WallTime expiry, std::int64_t strike, char right) {
  Symbol s;
  s.kind = Kind::option;
  s.base = asset.base;
  s.quote = "USD";
  s.settle = asset.base;
  s.expiry = expiry;
  s.strike = std::to_string(strike);
  s.right = right;
  s.instrument = s.base + "-USD-" + short_day(expiry) + "-" + s.strike + "-" + right;
  s.price_scale = s.price_digits = 4;
  s.contract_scale = 2;
  s.tells_contracts = true;
  s.start_price = right == 'C' ? 425 : 310;
  s.levels = 36;
  s.typical_quantity = 300;
  s.weight = 1;
  s.start_index = asset.price;
  for (int i = asset.price_scale; i < 10; ++i) s.start_index *= 10;
  return s;
}

}  // namespace

std::vector<Symbol> all_symbols(WallTime now) {
  std::vector<Symbol> all;
  for (const auto& asset : assets()) all.push_back(spot(asset));
  const Asset& btc = *find_asset("BTC");
  const Asset& eth = *find_asset("ETH");
  const auto quarter = next_quarter(now);
  // One of each kind among the first eight.
  all.push_back(linear(btc, Kind::perpetual));
  all.push_back(linear(eth, Kind::perpetual));
  all.push_back(inverse_swap(btc));
  all.push_back(dated(linear(btc, Kind::future), quarter));
  all.push_back(dated(inverse_of(btc, Kind::future, 100), quarter));
  all.push_back(option(btc, quarter, 70'000, 'C'));
  all.push_back(xperp());
  all.push_back(linear(*find_asset("SOL"), Kind::perpetual));
  all.push_back(inverse_swap(eth));
  all.push_back(option(btc, quarter, 60'000, 'P'));
  all.push_back(dated(inverse_of(eth, Kind::future, 10), quarter));
  {
    Symbol s = symbol_of(btc, Kind::future, "USD", {0, 1, 3});  // dollars, not coins, are paid in
    s.family = "_UM";
    all.push_back(dated(std::move(s), quarter));
  }
  for (const auto& asset : assets().subspan(3)) all.push_back(linear(asset, Kind::perpetual));
  return all;
}

std::string_view inst_type(const Symbol& symbol) {
  if (is_xperp(symbol)) return "FUTURES";
  switch (symbol.kind) {
    case Kind::spot: return "SPOT";
    case Kind::perpetual: return "SWAP";
    case Kind::future: return "FUTURES";
    case Kind::option: return "OPTION";
  }
  return "";
}

std::string inst_family(const Symbol& symbol) {
  return symbol.kind == Kind::spot ? "" : symbol.base + "-" + symbol.quote + symbol.family;
}

}  // namespace mp::sim::okx
