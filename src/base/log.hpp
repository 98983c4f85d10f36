#pragma once
// Structured log lines: log::info("stream created", {{"stream", name}, {"max_bytes", 8'000'000}}).
// One fact per line, a stable message, the details as fields. Levels: debug for us, info for what an
// operator did or should know, warn for the unexpected with nothing lost, error for data lost or somebody
// must act. Where lines go is decided once, by telemetry/logging.hpp; before that, and in tests, warnings
// and errors go to standard error. Pure code does not log: it returns what is to be said.

#include <chrono>
#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/result.hpp"
#include "base/time.hpp"

namespace mp::log {

enum class Level { debug, info, warn, error };

const char* to_string(Level level);
// "debug", "info", "warn", "error" in any case, and "warning"; nothing otherwise.
std::optional<Level> parse_level(std::string_view text);

struct Field {
  Field(std::string_view field_key, std::string_view text) : key(field_key), value(text) {}
  Field(std::string_view field_key, const std::string& text) : key(field_key), value(text) {}
  Field(std::string_view field_key, const char* text) : key(field_key), value(text) {}
  Field(std::string_view field_key, const Error& error) : key(field_key), value(error.text()) {}
  Field(std::string_view field_key, bool yes) : key(field_key), value(yes ? "true" : "false"), is_text(false) {}
  Field(std::string_view field_key, std::integral auto number)
      : key(field_key), value(std::to_string(number)), is_text(false) {}
  Field(std::string_view field_key, double number);
  template <class Rep, class Period>
  Field(std::string_view field_key, std::chrono::duration<Rep, Period> time)
      : key(std::string(field_key) + "_ms"),
        value(std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(time).count())),
        is_text(false) {}

  std::string key;
  std::string value;
  bool is_text = true;  // otherwise a JSON number, true or false
};
using Fields = std::initializer_list<Field>;

// Runs on: any thread, several at a time.
using Sink = void (*)(Level level, std::string_view message, Fields fields);
// Returns the sink until now. Not a queue: a line is written when the call returns.
Sink set_sink(Sink sink);
// The sink of the beginning: warnings and errors to standard error.
void write_to_standard_error(Level level, std::string_view message, Fields fields);

void write(Level level, std::string_view message, Fields fields);
inline void debug(std::string_view message, Fields fields = {}) { write(Level::debug, message, fields); }
inline void info(std::string_view message, Fields fields = {}) { write(Level::info, message, fields); }
inline void warn(std::string_view message, Fields fields = {}) { write(Level::warn, message, fields); }
inline void error(std::string_view message, Fields fields = {}) { write(Level::error, message, fields); }

// `message key=value key="two words"`, without time and level.
void append_text(std::string& out, std::string_view message, Fields fields);

// Lets a repeated line through once per interval and key, and counts what it held back:
//   if (auto skipped = sampler.admit(reason, now)) log::warn("frame refused", {{"reason", reason}, {"skipped",
//   *skipped}});
// Runs on: one thread. Full-policy: beyond `max_keys` keys all further ones share one.
class Sampler {
 public:
  explicit Sampler(std::chrono::milliseconds interval = std::chrono::seconds(30), std::size_t max_keys = 1000)
      : interval_(interval), max_keys_(max_keys) {}
  // The number of lines held back since the last one, when this one is to be written.
  std::optional<std::uint64_t> admit(std::string_view key, MonoTime now);

 private:
  struct Entry {
    MonoTime last;
    std::uint64_t skipped = 0;
  };
  std::chrono::milliseconds interval_;
  std::size_t max_keys_;
  std::unordered_map<std::string, Entry> entries_;
};

}  // namespace mp::log
