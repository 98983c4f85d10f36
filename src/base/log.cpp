#include "base/log.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cctype>
#include <cmath>
#include <cstdio>
#include <utility>

#include "base/text.hpp"

namespace mp::log {
namespace {

std::atomic<Sink>& current_sink() {
  static std::atomic<Sink> sink{&write_to_standard_error};
  return sink;
}

bool needs_quotes(std::string_view value) {
  return value.empty() || std::any_of(value.begin(), value.end(), [](char c) {
           return c == ' ' || c == '"' || c == '=' || c == '\\' || static_cast<unsigned char>(c) < 0x20;
         });
}

}  // namespace

const char* to_string(Level level) {
  switch (level) {
    case Level::debug: return "DEBUG";
    case Level::info: return "INFO";
    case Level::warn: return "WARN";
    case Level::error: return "ERROR";
  }
  return "?";
}

std::optional<Level> parse_level(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); });
  if (lower == "debug") return Level::debug;
  if (lower == "info") return Level::info;
  if (lower == "warn" || lower == "warning") return Level::warn;
  if (lower == "error") return Level::error;
  return std::nullopt;
}

Field::Field(std::string_view field_key, double number)
    : key(field_key), value(fmt::format("{}", number)), is_text(!std::isfinite(number)) {}

void write_to_standard_error(Level level, std::string_view message, Fields fields) {
  if (level < Level::warn) return;
  std::string line = fmt::format("{} ", to_string(level));
  append_text(line, message, fields);
  fmt::print(stderr, "{}\n", line);
}

Sink set_sink(Sink sink) { return current_sink().exchange(sink); }

void write(Level level, std::string_view message, Fields fields) { current_sink().load()(level, message, fields); }

void append_text(std::string& out, std::string_view message, Fields fields) {
  out += message;
  for (const auto& field : fields) {
    out += ' ';
    out += field.key;
    out += '=';
    if (!needs_quotes(field.value)) {
      out += field.value;
    } else if (is_valid_utf8(field.value)) {
      append_json_string(out, field.value);
    } else {
      out += "(not UTF-8)";
    }
  }
}

std::optional<std::uint64_t> Sampler::admit(std::string_view key, MonoTime now) {
  auto found = entries_.find(std::string(key));
  if (found == entries_.end()) {
    if (entries_.size() < max_keys_) {
      entries_.emplace(key, Entry{now});
      return 0;
    }
    found = entries_.try_emplace("(all further)", Entry{now - interval_}).first;
  }
  auto& entry = found->second;
  if (now - entry.last < interval_) {
    ++entry.skipped;
    return std::nullopt;
  }
  entry.last = now;
  return std::exchange(entry.skipped, 0);
}

}  // namespace mp::log
