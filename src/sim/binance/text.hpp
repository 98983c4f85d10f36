#pragma once
// How Binance writes prices, quantities and levels.

#include "sim/dialect/text.hpp"

namespace mp::sim::binance {

inline void append_price(std::string& out, const Symbol& s, std::int64_t ticks) {
  append_fixed(out, ticks * s.tick_units, s.price_scale, s.price_digits);
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

}  // namespace mp::sim::binance
