#include "sim/binance/listing.hpp"

#include <algorithm>

#include "base/text.hpp"

namespace mp::sim::binance {
namespace {

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

Symbol perpetual(const char* base, int price_scale, int price_digits, std::int64_t start, std::int64_t gap,
                 int quantity_scale, std::int64_t typical, int weight) {
  Symbol s = spot(base, price_scale, start, gap, quantity_scale, typical, weight);
  s.kind = Kind::perpetual;
  s.price_digits = price_digits;
  s.quantity_digits = quantity_scale;
  s.id_group = 0;
  return s;
}

// The last Friday of a quarter, 08:00 UTC, at least a week away.
WallTime next_quarter(WallTime now) {
  using namespace std::chrono;
  const year_month_day today{floor<days>(now)};
  for (auto month = year_month{today.year(), today.month()};; month += months{1}) {
    if (static_cast<unsigned>(month.month()) % 3 != 0) continue;
    const WallTime expiry = sys_days{month / Friday[last]} + hours{8};
    if (expiry - now > days{7}) return expiry;
  }
}

Symbol quarterly(WallTime now) {
  Symbol s = perpetual("BTC", 1, 1, 648'213, 4, 3, 400, 3);
  s.kind = Kind::future;
  s.expiry = next_quarter(now);
  std::string day = utc_day(s.expiry).substr(2);
  std::erase(day, '-');
  s.instrument = "BTCUSDT_" + day;
  return s;
}

}  // namespace

std::vector<Symbol> all_symbols(WallTime now) {
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

Result<std::vector<Symbol>> first_symbols(WallTime now, int count) {
  std::vector<Symbol> chosen;
  int largest = 0;
  for (const Section section : {Section::spot, Section::usdm}) {
    int taken = 0;
    for (auto& symbol : all_symbols(now))
      if (section_of(symbol) == section && taken++ < count) chosen.push_back(std::move(symbol));
    largest = std::max(largest, taken);
  }
  if (count < 1 || count > largest)
    return Error{Errc::usage, "symbols: their number must be 1 to " + std::to_string(largest), std::to_string(count)};
  return chosen;
}

Result<std::vector<Symbol>> named_symbols(WallTime now, std::span<const std::string> names) {
  const auto all = all_symbols(now);
  std::vector<Symbol> chosen;
  for (const auto& wanted : names) {
    const auto colon = wanted.find(':');
    const std::string section = colon == wanted.npos ? "" : wanted.substr(0, colon);
    const std::string name = colon == wanted.npos ? wanted : wanted.substr(colon + 1);
    if (!section.empty() && section != "spot" && section != "usdm")
      return Error{Errc::usage, "symbols: section must be spot or usdm", wanted};
    bool found = false;
    for (const auto& symbol : all) {
      const bool right_section = section.empty() || (section == "spot") == (symbol.kind == Kind::spot);
      if (symbol.instrument != name || !right_section) continue;
      found = true;
      const bool twice = std::any_of(chosen.begin(), chosen.end(), [&](const Symbol& s) {
        return s.instrument == name && section_of(s) == section_of(symbol);
      });
      if (!twice) chosen.push_back(symbol);
    }
    if (found) continue;
    std::vector<std::string> known;
    for (const auto& symbol : all) known.push_back(symbol.instrument);
    const auto near = nearest(name, known);
    return Error{Errc::usage, "symbols: no simulated instrument of this name",
                 wanted + (near.empty() ? "" : "; did you mean " + near + "?")};
  }
  return chosen;
}

}  // namespace mp::sim::binance
