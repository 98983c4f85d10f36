#pragma once
// How Binance writes numbers.

#include <charconv>
#include <cstdint>
#include <string>

#include "sim/market/market.hpp"

namespace mp::sim::binance {

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

inline void append_price(std::string& out, const Symbol& s, std::int64_t ticks) {
  append_fixed(out, ticks, s.price_scale, s.price_digits);
}
inline void append_quantity(std::string& out, const Symbol& s, std::int64_t lots) {
  append_fixed(out, lots, s.quantity_scale, s.quantity_digits);
}
inline void append_level(std::string& out, const Symbol& s, const Level& level) {
  out += "[\"";
  append_price(out, s, level.price);
  out += "\",\"";
  append_quantity(out, s, level.quantity);
  out += "\"]";
}

// [["price","quantity"],…]
template <class Levels>
void append_levels(std::string& out, const Symbol& s, const Levels& levels) {
  out.push_back('[');
  bool first = true;
  for (const Level& level : levels) {
    if (!first) out.push_back(',');
    first = false;
    append_level(out, s, level);
  }
  out.push_back(']');
}

// The best `count` levels of a side as JSON.
inline void append_side(std::string& out, const Symbol& s, const Book& book, Side side, std::size_t count) {
  out.push_back('[');
  count = std::min(count, book.size(side));
  for (std::size_t i = 0; i < count; ++i) {
    if (i > 0) out.push_back(',');
    append_level(out, s, book.level(side, i));
  }
  out.push_back(']');
}

inline std::int64_t milliseconds(WallTime t) { return nanos_since_epoch(t) / 1'000'000; }

}  // namespace mp::sim::binance
