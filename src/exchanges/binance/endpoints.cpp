#include "exchanges/binance/endpoints.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace mp::binance {
namespace {

using namespace std::chrono_literals;

struct Facts {
  Endpoint endpoint;
  std::string_view spot;  // paths; "" where the market has none
  std::string_view derivatives;
};
constexpr Facts kFacts[] = {
    {Endpoint::exchange_info, "/api/v3/exchangeInfo", "/fapi/v1/exchangeInfo"},
    {Endpoint::day_ticker, "/api/v3/ticker/24hr", "/fapi/v1/ticker/24hr"},
    {Endpoint::depth, "/api/v3/depth", "/fapi/v1/depth"},
    {Endpoint::funding_info, "", "/fapi/v1/fundingInfo"},
    {Endpoint::funding_rate, "", "/fapi/v1/fundingRate"},
    {Endpoint::premium_index, "", "/fapi/v1/premiumIndex"},
    {Endpoint::open_interest, "", "/fapi/v1/openInterest"},
    // Of the same host, but not below /fapi.
    {Endpoint::top_position_ratio, "", "/futures/data/topLongShortPositionRatio"},
    {Endpoint::all_account_ratio, "", "/futures/data/globalLongShortAccountRatio"},
};

std::string_view path_in(std::string_view url) { return url.substr(0, url.find('?')); }

std::string_view last_part(std::string_view path) { return path.substr(path.rfind('/') + 1); }

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

std::string percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 && hex_digit(text[i + 2]) >= 0) {
      out.push_back(static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2])));
      i += 2;
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

// Of GET depth with this limit.
int depth_weight(Market market, int limit) {
  if (market == Market::spot) return limit <= 100 ? 5 : limit <= 500 ? 25 : limit <= 1000 ? 50 : 250;
  return limit <= 50 ? 2 : limit <= 100 ? 5 : limit <= 500 ? 10 : 20;
}

// Requests that have a count of their own beside the weight, which they do not touch. No header tells it.
BudgetCharge counted(const char* budget, int limit) {
  return {.budget = budget, .units = 1, .limit = limit, .window = 5min};
}

}  // namespace

std::string_view path_of(Market market, Endpoint endpoint) {
  const auto& facts = *std::ranges::find(kFacts, endpoint, &Facts::endpoint);
  return market == Market::spot ? facts.spot : facts.derivatives;
}

std::optional<Endpoint> endpoint_of(std::string_view url) {
  const auto path = path_in(url);
  const auto name = last_part(path);
  for (const auto& each : kFacts) {
    if (each.endpoint == Endpoint::day_ticker ? path.ends_with("/ticker/24hr") : name == last_part(each.derivatives))
      return each.endpoint;
  }
  return std::nullopt;
}

std::string_view short_path(std::string_view url) { return last_part(path_in(url)); }

std::string query_value(std::string_view url, std::string_view name) {
  const auto question = url.find('?');
  if (question == std::string_view::npos) return {};
  auto query = url.substr(question + 1);
  while (!query.empty()) {
    const auto end = std::min(query.find('&'), query.size());
    const auto item = query.substr(0, end);
    if (item.size() > name.size() && item[name.size()] == '=' && item.starts_with(name))
      return percent_decoded(item.substr(name.size() + 1));
    query.remove_prefix(std::min(end + 1, query.size()));
  }
  return {};
}

std::string percent_encoded(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' ||
                       c == '-' || c == '.' || c == '~';
    if (plain)
      out.push_back(c);
    else
      fmt::format_to(std::back_inserter(out), "%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

std::vector<BudgetCharge> charges_of(Market market, Endpoint endpoint, int depth_limit) {
  const bool spot = market == Market::spot;
  switch (endpoint) {
    case Endpoint::exchange_info: return {weight_charge(market, spot ? 20 : 1)};
    case Endpoint::day_ticker: return {weight_charge(market, spot ? 80 : 40)};
    case Endpoint::depth: return {weight_charge(market, depth_weight(market, depth_limit))};
    case Endpoint::premium_index: return {weight_charge(market, 10)};
    case Endpoint::open_interest: return {weight_charge(market, 1)};
    case Endpoint::funding_info:
    case Endpoint::funding_rate: return {counted("binance funding", 500)};
    case Endpoint::top_position_ratio:
    case Endpoint::all_account_ratio: return {counted("binance futures/data", 1000)};
  }
  return {};
}

}  // namespace mp::binance
