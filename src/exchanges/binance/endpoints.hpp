#pragma once
// Binance's REST endpoints that we understand: where they are, which one a url is of, what one request costs.
// Sources: binance-spot-api-docs, rest-api.md (2026-07-21), and the derivatives pages and connector (2026-07-24);
// README.md.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "exchanges/binance/market.hpp"

namespace mp::binance {

enum class Endpoint {
  exchange_info,
  day_ticker,  // statistics of 24 hours, all symbols
  depth,
  // The following on USD-M only.
  funding_info,   // how often each symbol is charged, where that is not as usual
  funding_rate,   // settled rates
  premium_index,  // what the markPrice stream tells, for one symbol or all
  open_interest,
  // Long/short ratios. Three look alike; topLongShortAccountRatio (accounts of the top traders) is none of ours.
  top_position_ratio,  // topLongShortPositionRatio: positions of the top traders
  all_account_ratio,   // globalLongShortAccountRatio: all accounts
};

// "/fapi/v1/depth"
std::string_view path_of(Market market, Endpoint endpoint);
// By the last part of the url's path, whatever stands before it: mirrors have prefixes of their own. Nothing for what
// we do not map.
std::optional<Endpoint> endpoint_of(std::string_view url);
// The last part of a url's path, for counts: "topLongShortAccountRatio".
std::string_view short_path(std::string_view url);
// The value of a query's item, decoded; "" when it is not there.
std::string query_value(std::string_view url, std::string_view name);
std::string percent_encoded(std::string_view text);

// `depth_limit`: levels asked for, of depth.
std::vector<BudgetCharge> charges_of(Market market, Endpoint endpoint, int depth_limit = 0);

}  // namespace mp::binance
