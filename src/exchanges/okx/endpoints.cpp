#include "exchanges/okx/endpoints.hpp"

#include <algorithm>

namespace mp::okx {
namespace {

struct Facts {
  Endpoint endpoint;
  std::string_view path;
  int requests;  // in each window of 2 s
};
constexpr Facts kFacts[] = {
    {Endpoint::instruments, "/api/v5/public/instruments", 20},
    {Endpoint::books, "/api/v5/market/books", 40},
    {Endpoint::tickers, "/api/v5/market/tickers", 20},
    {Endpoint::funding_rate, "/api/v5/public/funding-rate", 10},
    {Endpoint::funding_rate_history, "/api/v5/public/funding-rate-history", 10},
    {Endpoint::open_interest, "/api/v5/public/open-interest", 20},
    // 5 per address and instrument; we take it for all of them together.
    {Endpoint::all_account_ratio, "/api/v5/rubik/stat/contracts/long-short-account-ratio-contract", 5},
    {Endpoint::top_position_ratio, "/api/v5/rubik/stat/contracts/long-short-position-ratio-contract-top-trader", 5},
};

const Facts& facts(Endpoint endpoint) { return *std::ranges::find(kFacts, endpoint, &Facts::endpoint); }

// "https://host:port/path?query" -> "/path"; a bare path stays.
std::string_view path_in(std::string_view url) {
  url = url.substr(0, url.find('?'));
  const auto scheme = url.find("://");
  if (scheme == std::string_view::npos) return url;
  url.remove_prefix(scheme + 3);
  const auto slash = url.find('/');
  return slash == std::string_view::npos ? std::string_view{} : url.substr(slash);
}

}  // namespace

std::string_view path_of(Endpoint endpoint) { return facts(endpoint).path; }

std::optional<Endpoint> endpoint_of(std::string_view url) {
  const auto path = path_in(url);
  for (const auto& each : kFacts)
    if (path == each.path) return each.endpoint;
  return std::nullopt;
}

std::string_view short_path(std::string_view url) {
  const auto path = path_in(url);
  const auto last = path.rfind('/');
  if (last == std::string_view::npos || last == 0) return path;
  const auto before = path.rfind('/', last - 1);
  return before == std::string_view::npos ? path : path.substr(before + 1);
}

std::string_view query_value(std::string_view url, std::string_view name) {
  const auto question = url.find('?');
  if (question == std::string_view::npos) return {};
  auto query = url.substr(question + 1);
  while (!query.empty()) {
    const auto end = std::min(query.find('&'), query.size());
    const auto item = query.substr(0, end);
    const auto equals = item.find('=');
    if (equals != std::string_view::npos && item.substr(0, equals) == name) return item.substr(equals + 1);
    query.remove_prefix(std::min(end + 1, query.size()));
  }
  return {};
}

std::vector<BudgetCharge> charges_of(Endpoint endpoint) {
  using namespace std::chrono_literals;
  const auto& each = facts(endpoint);
  return {{.budget = "okx " + std::string(each.path), .units = 1, .limit = each.requests, .window = 2s}};
}

}  // namespace mp::okx
