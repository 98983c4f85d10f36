#pragma once
// Base64 of RFC 4648 with padding, for bytes that must travel as text.

#include <string>
#include <string_view>

namespace mp {

void append_base64(std::string& out, std::string_view bytes);

// Replaces `out`. False when the text is not exactly what append_base64 makes of some bytes.
[[nodiscard]] bool decode_base64(std::string_view text, std::string& out);

}  // namespace mp
