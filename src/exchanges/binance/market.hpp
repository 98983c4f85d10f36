#pragma once
// What differs between Binance's two markets, in one place: addresses, paths, weights.
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
  const char* depth_socket;  // path of the socket that serves depth streams and, on futures, raw trades
  const char* trade_socket;  // path of the socket that serves aggTrade
  const char* exchange_info_path;
  int exchange_info_weight;
  const char* ticker_path;  // statistics of 24 hours, all symbols
  int ticker_weight;
  const char* depth_path;
  const char* budget;
  int weight_per_minute;
};
const MarketFacts& facts(Market market);

// A request of this weight, on the budget of the market's REST host. Answers tell what our address has used of it.
BudgetCharge weight_charge(Market market, int weight);
// One attempt to connect: 300 in 5 minutes, for spot and derivatives each.
BudgetCharge connect_charge(Market market);

// Of GET depth with this limit.
int depth_weight(Market market, int limit);

}  // namespace mp::binance
