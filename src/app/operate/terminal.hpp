#pragma once
// What the other side of a file descriptor can show.

#include <cstddef>
#include <string>
#include <string_view>

namespace mp::operate {

struct Screen {
  bool is_terminal = false;
  bool has_colours = false;  // a terminal, and neither NO_COLOR nor TERM=dumb
  std::size_t width = 120;
  std::size_t height = 0;  // 0: without end
};
Screen screen_of(int descriptor);

enum class Colour { plain, bold, dim, red, yellow, green };
// The text in that colour where the screen has any.
std::string painted(std::string_view text, Colour colour, bool has_colours);

}  // namespace mp::operate
