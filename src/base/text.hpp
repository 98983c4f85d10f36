#pragma once
// Small helpers on text, mostly for error messages that name what was meant.

#include <span>
#include <string>
#include <string_view>

namespace mp {

// The candidate that takes the fewest single-letter edits to reach from `word`, or "" when none is
// near (more than a third of the word's letters away, at least two).
std::string nearest(std::string_view word, std::span<const std::string> candidates);

// For messages: at most `limit` bytes, with "…" in the place of what was cut.
std::string shortened(std::string_view text, std::size_t limit = 120);

// Appends text as a JSON string, quotes included. Bytes that are not valid UTF-8 must not be passed.
void append_json_string(std::string& out, std::string_view text);

bool is_valid_utf8(std::string_view text);

}  // namespace mp
