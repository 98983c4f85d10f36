#pragma once
// OKX's REST endpoints that we ask: which one a url is of, and what the venue allows on it.
// Source: docs-v5 "Public Data", "Market Data", "Trading Statistics", as of 2026-08-22.

#include <optional>
#include <string>
#include <string_view>

#include "feed/session.hpp"

namespace mp::okx {

enum class Endpoint {
  instruments,
  books,
  tickers,
  funding_rate,
  funding_rate_history,
  open_interest,
  // Long/short ratios of one instrument. Three look alike; only these two are ours.
  all_account_ratio,   // …/long-short-account-ratio-contract: all accounts
  top_position_ratio,  // …/long-short-position-ratio-contract-top-trader: positions of the top 5 %
};

std::string_view path_of(Endpoint endpoint);
// By the url's whole path. Nothing for endpoints that we do not map.
std::optional<Endpoint> endpoint_of(std::string_view url);
// The last part of a url's path with the one before it, for counts: "contracts/long-short-account-ratio".
std::string_view short_path(std::string_view url);
// The value of a query's item, "" when it is not there. The venue's names need no decoding.
std::string_view query_value(std::string_view url, std::string_view name);
// What one request costs: OKX counts requests per endpoint and address in windows of 2 s, some per instrument too.
std::vector<BudgetCharge> charges_of(Endpoint endpoint);

}  // namespace mp::okx
