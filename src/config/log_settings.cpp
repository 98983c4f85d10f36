#include "config/log_settings.hpp"

namespace mp::config {
namespace {

constexpr std::uint64_t kLeastBytes = 64u << 10;

}  // namespace

LogSettings read_log_settings(Section logging) {
  LogSettings settings;
  const auto level = logging.text(
      "level", "info", {.help = "least level that is written: debug, info, warn, error", .env = "LOG_LEVEL"});
  if (const auto parsed = log::parse_level(level)) {
    settings.level = *parsed;
  } else {
    logging.refuse("level", "expected one of debug, info, warn, error, saw '" + level + "'");
  }
  settings.json = logging.one_of("format", "text", {"text", "json"}, {.help = "of a line"}) == "json";
  settings.file = logging.text("file", "", {.help = "beside standard output; empty for none"});
  settings.max_bytes =
      logging.size("max_bytes", settings.max_bytes, {.help = "a larger file is renamed to .1, that to .2 …"});
  if (settings.max_bytes < kLeastBytes) logging.refuse("max_bytes", "must be at least 64KB");
  settings.files = static_cast<std::uint32_t>(
      logging.integer("files", settings.files, 1, 1000, {.help = "renamed files that are kept"}));
  return settings;
}

}  // namespace mp::config
