#pragma once
// What differs between Binance's two markets: addresses and budgets (REST: endpoints.hpp).
// Sources: binance-spot-api-docs (2026-07-21) and the derivatives connector and changelog (2026-07-24); README.md.

#include <optional>
#include <string>
#include <string_view>

#include "feed/session_options.hpp"

namespace mp::binance {

enum class Market { spot, derivatives };

std::optional<Market> market_from(std::string_view name);

struct MarketFacts {
  const char* ws_base;
  const char* rest_base;
  // Paths of sockets. Since the URL split of 2026 futures have two classes of streams: a subscription on the wrong one
  // is confirmed and stays silent.
  const char* public_socket;  // depth and raw trades
  const char* market_socket;  // aggTrade, markPrice, forceOrder
  const char* budget;
  int weight_per_minute;
};
const MarketFacts& facts(Market market);

// A request of this weight, on the budget of the market's REST host. Answers tell what our address has used of it.
BudgetCharge weight_charge(Market market, int weight);
// One attempt to connect: 300 in 5 minutes, for spot and derivatives each.
BudgetCharge connect_charge(Market market);

// Levels of a side that an audit of a book asks for: enough for what trades on, of little weight.
inline constexpr int kAuditLimit = 100;

}  // namespace mp::binance
