#include "exchanges/binance/market.hpp"

namespace mp::binance {
namespace {

constexpr MarketFacts kSpot{
    .ws_base = "wss://stream.binance.com:9443",
    .rest_base = "https://api.binance.com",
    .depth_socket = "/stream",
    .trade_socket = "/stream",
    .exchange_info_path = "/api/v3/exchangeInfo",
    .exchange_info_weight = 20,
    .ticker_path = "/api/v3/ticker/24hr",
    .ticker_weight = 80,
    .depth_path = "/api/v3/depth",
    .budget = "binance.spot",
    .weight_per_minute = 6000,
};
// Two sockets since the URL split of 2026: a subscription on the wrong one is confirmed and stays silent.
constexpr MarketFacts kDerivatives{
    .ws_base = "wss://fstream.binance.com",
    .rest_base = "https://fapi.binance.com",
    .depth_socket = "/public/stream",
    .trade_socket = "/market/stream",
    .exchange_info_path = "/fapi/v1/exchangeInfo",
    .exchange_info_weight = 1,
    .ticker_path = "/fapi/v1/ticker/24hr",
    .ticker_weight = 40,
    .depth_path = "/fapi/v1/depth",
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

int depth_weight(Market market, int limit) {
  if (market == Market::spot) return limit <= 100 ? 5 : limit <= 500 ? 25 : limit <= 1000 ? 50 : 250;
  return limit <= 50 ? 2 : limit <= 100 ? 5 : limit <= 500 ? 10 : 20;
}

}  // namespace mp::binance
