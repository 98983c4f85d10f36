#pragma once
// The slow, obvious book that the fast one is compared with.
#include <map>
#include <vector>

#include "model/order_book.hpp"

namespace mp::book {

struct ReferenceBook {
  std::map<Decimal, Decimal> bids, asks;

  static void set(std::map<Decimal, Decimal>& side, const BookLevel& level) {
    if (level.quantity.value.is_zero())
      side.erase(level.price.value);
    else
      side[level.price.value] = level.quantity.value;
  }
  void apply(const std::vector<BookLevel>& b, const std::vector<BookLevel>& a) {
    for (const auto& level : b) set(bids, level);
    for (const auto& level : a) set(asks, level);
  }
  void assign(const std::vector<BookLevel>& b, const std::vector<BookLevel>& a) {
    bids.clear();
    asks.clear();
    for (auto l = b.rbegin(); l != b.rend(); ++l) set(bids, *l);
    for (auto l = a.rbegin(); l != a.rend(); ++l) set(asks, *l);
  }
  std::vector<BookLevel> top_bids(std::size_t depth) const {
    std::vector<BookLevel> out;
    for (auto l = bids.rbegin(); l != bids.rend() && (depth == 0 || out.size() < depth); ++l)
      out.push_back({Price{l->first}, Quantity{l->second}});
    return out;
  }
  std::vector<BookLevel> top_asks(std::size_t depth) const {
    std::vector<BookLevel> out;
    for (auto l = asks.begin(); l != asks.end() && (depth == 0 || out.size() < depth); ++l)
      out.push_back({Price{l->first}, Quantity{l->second}});
    return out;
  }
  bool crossed() const { return !bids.empty() && !asks.empty() && bids.rbegin()->first >= asks.begin()->first; }
};

}  // namespace mp::book
