#pragma once
// Where this process's log lines go (base/log.hpp): standard output and, when named, a rotating file.

#include <cstddef>
#include <string>

#include "base/log.hpp"

namespace mp::telemetry {

enum class LogFormat { text, json };

struct LoggingOptions {
  std::string part;  // "collector", "storage" …: stands in every line
  log::Level level = log::Level::info;
  LogFormat format = LogFormat::text;
  bool standard_output = true;
  std::string file{};  // "" for none
  std::size_t file_max_bytes = 64u << 20;
  std::size_t file_count = 5;  // older ones are deleted
};

// Errc::io when the file cannot be opened. A second call replaces the first.
Result<void> start_logging(const LoggingOptions& options);
// Another least level from now on. Any thread.
void set_log_level(log::Level level);
// Writes out what is buffered; afterwards warnings and errors go to standard error.
void stop_logging();

// One line as it is written, without the line end; both are pure. Warnings and errors end with what to do (advice.hpp).
std::string text_line(WallTime at, log::Level level, std::string_view part, std::string_view message,
                      log::Fields fields);
std::string json_line(WallTime at, log::Level level, std::string_view part, std::string_view message,
                      log::Fields fields);

}  // namespace mp::telemetry
