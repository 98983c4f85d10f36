#include "exchanges/binance/market.hpp"

namespace mp::binance {
namespace {

constexpr MarketFacts kSpot{
    .ws_base = "wss://stream.binance.com:9443",
    .rest_base = "https://api.binance.com",
    .public_socket = "/stream",
    .market_socket = "/stream",
    .budget = "binance.spot",
    .weight_per_minute = 6000,
};
constexpr MarketFacts kDerivatives{
    .ws_base = "wss://fstream.binance.com",
    .rest_base = "https://fapi.binance.com",
    .public_socket = "/public/stream",
    .market_socket = "/market/stream",
    .budget = "binance.derivatives",
    .weight_per_minute = 2400,
};

}  // namespace

std::optional<Market> market_from(std::string_view name) {
  if (name == "spot") return Market::spot;
  if (name == "derivatives") return Market::derivatives;
  return std::nullopt;
}

const MarketFacts& facts(Market market) { return market == Market::spot ? kSpot : kDerivatives; }

BudgetCharge weight_charge(Market market, int weight) {
  return {.budget = facts(market).budget,
          .units = weight,
          .limit = facts(market).weight_per_minute,
          .window = std::chrono::minutes{1},
          .used_header = "X-MBX-USED-WEIGHT-1M"};
}

BudgetCharge connect_charge(Market market) {
  return {.budget = std::string(facts(market).budget) + " connections",
          .units = 1,
          .limit = 300,
          .window = std::chrono::minutes{5}};
}

}  // namespace mp::binance
