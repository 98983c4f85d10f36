#pragma once
// Small things about Deribit's REST addresses.

#include <algorithm>
#include <string_view>
#include <vector>

#include "feed/session.hpp"

namespace mp::deribit {

// "…?currency=BTC&resolution=60", "resolution" -> "60"; "" when it is not there. Deribit's values need no decoding.
inline std::string_view query_value(std::string_view url, std::string_view key) {
  const auto question = url.find('?');
  if (question == std::string_view::npos) return {};
  auto query = url.substr(question + 1);
  while (!query.empty()) {
    const auto item = query.substr(0, query.find('&'));
    if (item.size() > key.size() && item[key.size()] == '=' && item.starts_with(key))
      return item.substr(key.size() + 1);
    query.remove_prefix(std::min(item.size() + 1, query.size()));
  }
  return {};
}

// "https://…/api/v2/public/get_instruments?…" -> "get_instruments"
inline std::string_view method_of(std::string_view url) {
  const auto path = url.substr(0, url.find('?'));
  return path.substr(path.rfind('/') + 1);
}

// 500 credits for a request; 10 000 come back each second, and the pool of 50 000 allows bursts that we leave unused.
inline std::vector<BudgetCharge> credits() {
  return {{.budget = "deribit", .units = 500, .limit = 10'000, .window = std::chrono::seconds{1}}};
}

}  // namespace mp::deribit
