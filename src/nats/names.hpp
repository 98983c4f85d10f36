#pragma once
// Which names JetStream takes for a stream. Pure.

#include <algorithm>
#include <string_view>

namespace mp::nats {

// It is a token of subjects ($JS.API.STREAM.INFO.<name>) and the name of a folder.
constexpr std::string_view kStreamNameRule = "a name without white space and without . * > / \\";
inline bool is_stream_name(std::string_view name) {
  return !name.empty() && name.find_first_of(".*>/\\") == std::string_view::npos &&
         std::ranges::all_of(name, [](char c) { return c > ' ' && c != '\x7f'; });
}

}  // namespace mp::nats
