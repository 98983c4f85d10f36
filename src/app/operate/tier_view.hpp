#pragma once
// What storage says of its tiers (`tiers` of /health) as people read it. Pure.

#include <string>
#include <string_view>

#include "app/operate/terminal.hpp"
#include "base/result.hpp"

namespace mp::operate {

struct TierView {
  std::string text;
  bool is_well = false;  // no day is about to expire without a verified copy, none differs
};

// `json`: storage::tier_json(). Errc::corrupt when it is something else.
Result<TierView> tier_view(std::string_view json, const Screen& screen);

// 93784 -> "1 d 2 h", 125 -> "2 min", 5 -> "5 s".
std::string long_time(std::uint64_t seconds);

}  // namespace mp::operate
