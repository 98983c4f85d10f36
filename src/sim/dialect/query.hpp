#pragma once
// Requests' targets and queries.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mp::sim {

using Query = std::vector<std::pair<std::string, std::string>>;

std::string percent_decoded(std::string_view text);
// "a=1&b=x%40y" → decoded pairs.
Query parse_query(std::string_view query);
// The value of `name`, or "".
std::string_view query_value(const Query& query, std::string_view name);
// Path and query of a target.
std::pair<std::string_view, std::string_view> split_target(std::string_view target);
// Nothing when the text is empty; -1 when it is no whole number.
std::optional<std::int64_t> whole_number(std::string_view text);

}  // namespace mp::sim
