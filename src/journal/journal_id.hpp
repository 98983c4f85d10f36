#pragma once
// A journal's name for itself: 128 bits, random or derived from the files that are played back.

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace mp::journal {

struct JournalId {
  std::array<std::uint8_t, 16> bytes{};

  // 32 lower-case hexadecimal digits.
  std::string text() const;
  [[nodiscard]] static Result<JournalId> parse(std::string_view text);
  [[nodiscard]] static JournalId random();

  friend auto operator<=>(const JournalId&, const JournalId&) = default;
};

}  // namespace mp::journal
