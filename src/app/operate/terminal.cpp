#include "app/operate/terminal.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>

namespace mp::operate {

Screen screen_of(int descriptor) {
  Screen screen;
  screen.is_terminal = ::isatty(descriptor) != 0;
  if (!screen.is_terminal) return screen;
  const char* no_colour = std::getenv("NO_COLOR");
  const char* kind = std::getenv("TERM");
  screen.has_colours =
      (no_colour == nullptr || *no_colour == '\0') && (kind == nullptr || std::string_view(kind) != "dumb");
  winsize size{};
  if (::ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
    screen.width = size.ws_col;
    screen.height = size.ws_row;
  }
  return screen;
}

std::string painted(std::string_view text, Colour colour, bool has_colours) {
  const char* code = nullptr;
  switch (colour) {
    case Colour::plain: break;
    case Colour::bold: code = "1"; break;
    case Colour::dim: code = "2"; break;
    case Colour::red: code = "31"; break;
    case Colour::yellow: code = "33"; break;
    case Colour::green: code = "32"; break;
  }
  if (code == nullptr || !has_colours) return std::string(text);
  return std::string("\x1b[") + code + "m" + std::string(text) + "\x1b[0m";
}

}  // namespace mp::operate
