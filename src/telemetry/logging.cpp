#include "telemetry/logging.hpp"

#include <spdlog/logger.h>
#include <spdlog/sinks/rotating_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <atomic>
#include <cctype>
#include <memory>
#include <mutex>

#include "base/text.hpp"
#include "net/clock.hpp"
#include "telemetry/advice.hpp"

namespace mp::telemetry {
namespace {

struct Logging {
  LoggingOptions options;
  std::shared_ptr<spdlog::logger> logger;
};

// Logging is the one thing of a process that everything may reach.
std::shared_ptr<const Logging>& current() {
  static std::shared_ptr<const Logging> logging;
  return logging;
}

spdlog::level::level_enum spdlog_level(log::Level level) {
  switch (level) {
    case log::Level::debug: return spdlog::level::debug;
    case log::Level::info: return spdlog::level::info;
    case log::Level::warn: return spdlog::level::warn;
    case log::Level::error: return spdlog::level::err;
  }
  return spdlog::level::info;
}

void write_line(log::Level level, std::string_view message, log::Fields fields) {
  const auto logging = std::atomic_load(&current());
  if (!logging || level < logging->options.level) return;
  const auto line = logging->options.format == LogFormat::json ? json_line : text_line;
  logging->logger->log(spdlog_level(level),
                       spdlog::string_view_t(line(net::now().wall, level, logging->options.part, message, fields)));
}

// Every warning says what to do.
std::string_view advice_for(log::Level level, std::string_view message) {
  return level < log::Level::warn ? std::string_view{} : what_to_do(message);
}

void append_safe_json(std::string& out, std::string_view text) {
  append_json_string(out, is_valid_utf8(text) ? text : std::string_view("(not UTF-8)"));
}

}  // namespace

std::string text_line(WallTime at, log::Level level, std::string_view part, std::string_view message,
                      log::Fields fields) {
  std::string line = iso(at);
  line.replace(23, 6, "");  // milliseconds are enough for people
  line += ' ';
  line += log::to_string(level);
  line += ' ';
  line += part;
  line += ": ";
  log::append_text(line, message, fields);
  if (const auto what = advice_for(level, message); !what.empty()) {
    line += " do=";
    append_json_string(line, what);
  }
  return line;
}

std::string json_line(WallTime at, log::Level level, std::string_view part, std::string_view message,
                      log::Fields fields) {
  std::string line = "{\"time\":\"" + iso(at) + "\",\"level\":\"";
  for (const char* c = log::to_string(level); *c != '\0'; ++c) {
    line += static_cast<char>(std::tolower(static_cast<unsigned char>(*c)));
  }
  line += "\",\"part\":";
  append_safe_json(line, part);
  line += ",\"message\":";
  append_safe_json(line, message);
  for (const auto& field : fields) {
    line += ',';
    append_safe_json(line, field.key);
    line += ':';
    if (field.is_text) {
      append_safe_json(line, field.value);
    } else {
      line += field.value;
    }
  }
  if (const auto what = advice_for(level, message); !what.empty()) {
    line += ",\"do\":";
    append_json_string(line, what);
  }
  line += '}';
  return line;
}

Result<void> start_logging(const LoggingOptions& options) {
  std::vector<spdlog::sink_ptr> sinks;
  if (options.standard_output) sinks.push_back(std::make_shared<spdlog::sinks::stdout_sink_mt>());
  if (!options.file.empty()) {
    try {
      sinks.push_back(std::make_shared<spdlog::sinks::rotating_file_sink_mt>(options.file, options.file_max_bytes,
                                                                             options.file_count));
    } catch (const spdlog::spdlog_ex& e) {
      return Error{Errc::io, "log file " + options.file, e.what()};
    }
  }
  auto logger = std::make_shared<spdlog::logger>(options.part, sinks.begin(), sinks.end());
  logger->set_level(spdlog_level(options.level));
  logger->set_pattern("%v");
  // Lines are rare (facts that come with every message are metrics), so each is written out at once.
  logger->flush_on(spdlog::level::debug);
  std::atomic_store(&current(), std::shared_ptr<const Logging>(new Logging{options, std::move(logger)}));
  log::set_sink(&write_line);
  return {};
}

void set_log_level(log::Level level) {
  const auto logging = std::atomic_load(&current());
  if (!logging || logging->options.level == level) return;
  auto changed = std::make_shared<Logging>(*logging);
  changed->options.level = level;
  changed->logger->set_level(spdlog_level(level));
  std::atomic_store(&current(), std::shared_ptr<const Logging>(std::move(changed)));
}

void stop_logging() {
  log::set_sink(&log::write_to_standard_error);
  if (const auto logging = std::atomic_exchange(&current(), std::shared_ptr<const Logging>())) logging->logger->flush();
}

}  // namespace mp::telemetry
