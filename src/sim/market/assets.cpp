#include "sim/market/assets.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <string>

namespace mp::sim {
namespace {

constexpr auto kAssets = std::to_array<Asset>({
    {"BTC", 1, 642'501}, {"ETH", 2, 312'045},   {"SOL", 2, 17'832},   {"XRP", 4, 21'437},    {"BNB", 1, 6'123},
    {"DOGE", 5, 16'210}, {"ADA", 4, 5'482},     {"TRX", 5, 28'715},   {"LINK", 3, 14'268},   {"AVAX", 3, 18'940},
    {"SUI", 4, 16'853},  {"LTC", 2, 9'134},     {"BCH", 1, 5'117},    {"DOT", 3, 2'781},     {"UNI", 3, 6'412},
    {"AAVE", 2, 17'654}, {"NEAR", 4, 19'275},   {"APT", 4, 28'630},   {"PEPE", 9, 24'503},   {"SHIB", 9, 86'420},
    {"ICP", 3, 4'127},   {"ETC", 3, 14'682},    {"FIL", 4, 15'390},   {"ATOM", 3, 2'864},    {"ARB", 4, 21'560},
    {"OP", 4, 32'910},   {"INJ", 3, 6'284},     {"TIA", 4, 9'816},    {"SEI", 5, 14'873},    {"HBAR", 5, 14'206},
    {"XLM", 5, 24'635},  {"ALGO", 5, 15'022},   {"VET", 6, 15'438},   {"GRT", 5, 6'217},     {"STX", 4, 3'846},
    {"IMX", 4, 4'173},   {"RENDER", 4, 22'405}, {"FET", 4, 2'617},    {"WLD", 4, 7'128},     {"JUP", 5, 24'380},
    {"PYTH", 5, 9'264},  {"ENA", 5, 28'417},    {"ONDO", 5, 56'338},  {"PENDLE", 4, 23'915}, {"LDO", 4, 7'436},
    {"CRV", 5, 42'618},  {"MKR", 1, 15'204},    {"SNX", 4, 6'055},    {"COMP", 3, 34'170},   {"DYDX", 5, 25'713},
    {"GALA", 6, 9'348},  {"SAND", 5, 18'526},   {"MANA", 5, 20'747},  {"AXS", 4, 12'833},    {"CHZ", 6, 31'254},
    {"EGLD", 3, 8'461},  {"FLOW", 5, 27'305},   {"THETA", 5, 43'128}, {"XTZ", 4, 5'379},     {"EOS", 5, 31'842},
    {"BONK", 9, 12'374}, {"FLOKI", 9, 51'260},
});

std::int64_t power_of_ten(int exponent) {
  std::int64_t value = 1;
  for (; exponent > 0; --exponent) value *= 10;
  return value;
}

double dollars(const Asset& asset) {
  return static_cast<double>(asset.price) / static_cast<double>(power_of_ten(asset.price_scale));
}

// Some twenty thousand dollars stand at a level.
std::int64_t typical_lots(double dollars_of_a_lot) {
  return std::max<std::int64_t>(2, static_cast<std::int64_t>(20'000.0 / dollars_of_a_lot));
}

int weight_of(const Asset& asset) {
  const auto rank = static_cast<int>(&asset - kAssets.data());
  constexpr int kFirst[] = {20, 14, 8, 5, 5, 4, 3, 3};
  return rank < 8 ? kFirst[rank] : rank < 24 ? 2 : 1;
}

Symbol priced(const Asset& asset, Kind kind, std::string_view quote) {
  Symbol s;
  s.kind = kind;
  s.base = asset.base;
  s.quote = quote;
  s.price_scale = s.price_digits = asset.price_scale;
  s.start_price = asset.price;
  s.gap = std::max<std::int64_t>(1, asset.price / 200'000);
  s.weight = weight_of(asset);
  s.tells_contracts = kind != Kind::spot;
  return s;
}

}  // namespace

std::span<const Asset> assets() { return kAssets; }

const Asset* find_asset(std::string_view base) {
  const auto found = std::find_if(kAssets.begin(), kAssets.end(), [&](const Asset& a) { return base == a.base; });
  return found == kAssets.end() ? nullptr : &*found;
}

int lot_scale(const Asset& asset) {
  double lot = dollars(asset);
  int scale = 0;
  for (; lot > 1.0; lot /= 10.0) ++scale;
  return scale;
}

Symbol symbol_of(const Asset& asset, Kind kind, std::string_view quote, const Lot& lot) {
  Symbol s = priced(asset, kind, quote);
  s.settle = quote;
  s.quantity_scale = s.quantity_digits = lot.quantity_scale;
  s.contract_units = lot.contract_units;
  s.contract_scale = lot.contract_scale;
  s.typical_quantity = typical_lots(dollars(asset) * static_cast<double>(lot.contract_units) /
                                    static_cast<double>(power_of_ten(lot.contract_scale + lot.quantity_scale)));
  return s;
}

Symbol inverse_of(const Asset& asset, Kind kind, std::int64_t contract_usd) {
  Symbol s = priced(asset, kind, "USD");
  s.settle = s.base;
  s.inverse = true;
  s.contract_units = contract_usd;
  s.typical_quantity = typical_lots(static_cast<double>(contract_usd));
  return s;
}

WallTime next_quarter(WallTime now, int further) {
  using namespace std::chrono;
  const year_month_day today{floor<days>(now)};
  for (auto month = year_month{today.year(), today.month()};; month += months{1}) {
    if (static_cast<unsigned>(month.month()) % 3 != 0) continue;
    const WallTime expiry = sys_days{month / Friday[last]} + hours{8};
    if (expiry - now > days{7} && further-- == 0) return expiry;
  }
}

}  // namespace mp::sim
