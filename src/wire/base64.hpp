#pragma once
// Base64 (RFC 4648, with padding), for the raw text of rejected messages that is not UTF-8.

#include <optional>
#include <string>
#include <string_view>

namespace mp::wire {

void append_base64(std::string& out, std::string_view bytes);
std::optional<std::string> decode_base64(std::string_view text);

}  // namespace mp::wire
