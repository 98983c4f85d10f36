#pragma once
// How venues write numbers.

#include <charconv>
#include <cstdint>
#include <string>

#include "sim/market/market.hpp"

namespace mp::sim {

inline void append_integer(std::string& out, std::int64_t value) {
  char text[24];
  const auto end = std::to_chars(text, text + sizeof text, value).ptr;
  out.append(text, end);
}
inline void append_integer(std::string& out, std::uint64_t value) {
  char text[24];
  const auto end = std::to_chars(text, text + sizeof text, value).ptr;
  out.append(text, end);
}

// units × 10^-scale with `digits` decimals, without quotes. Precondition: units >= 0, scale <= digits <= 18.
inline void append_fixed(std::string& out, std::int64_t units, int scale, int digits) {
  char text[48];
  char* const end = text + sizeof text;
  char* at = end;
  for (int i = scale; i < digits; ++i) *--at = '0';
  auto rest = static_cast<std::uint64_t>(units);
  for (int i = 0; i < scale; ++i, rest /= 10) *--at = static_cast<char>('0' + rest % 10);
  if (digits > 0) *--at = '.';
  do {
    *--at = static_cast<char>('0' + rest % 10);
    rest /= 10;
  } while (rest != 0);
  out.append(at, end);
}

// The same for any sign.
inline void append_signed(std::string& out, std::int64_t units, int scale, int digits) {
  if (units < 0) out.push_back('-');
  append_fixed(out, units < 0 ? -units : units, scale, digits);
}

inline std::int64_t milliseconds(WallTime t) { return nanos_since_epoch(t) / 1'000'000; }

// ,"key":
inline void append_key(std::string& out, std::string_view key) {
  if (out.back() != '{' && out.back() != '[') out.push_back(',');
  out.push_back('"');
  out += key;
  out += "\":";
}
// "key":"text", for text that needs no escaping
inline void append_text(std::string& out, std::string_view key, std::string_view text) {
  append_key(out, key);
  out.push_back('"');
  out += text;
  out.push_back('"');
}
// "key":json
inline void append_raw(std::string& out, std::string_view key, std::string_view json) {
  append_key(out, key);
  out += json;
}

}  // namespace mp::sim
