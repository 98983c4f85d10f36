#pragma once
// One instrument's order book, held in memory: levels of absolute quantity, changed in place.
//
// Made for the hot path: a side is one sorted vector with the best level at its end, so that the frequent changes
// near the top move little memory; prices are compared as 64-bit integers of one common scale (a price that does
// not fit turns the book to exact decimals, slower and as right). The slow reference it is tested against stands
// in tests/reference_book.hpp.

#include <cstdint>
#include <span>
#include <vector>

#include "model/order_book.hpp"

namespace mp::book {

// One side; `Key` orders prices: a scaled integer or the decimal itself. The best level is the last one.
template <class Key>
class Side {
 public:
  explicit Side(bool best_is_highest) : best_is_highest_(best_is_highest) {}

  void clear() { levels_.clear(); }
  void reserve(std::size_t n) { levels_.reserve(n); }
  std::size_t size() const { return levels_.size(); }
  bool empty() const { return levels_.empty(); }
  // Quantity zero removes; removing an unknown level does nothing.
  void set(const Key& key, const Decimal& quantity);
  // 0 is the best.
  const Key& key_at(std::size_t rank) const { return levels_[levels_.size() - 1 - rank].key; }
  const Decimal& quantity_at(std::size_t rank) const { return levels_[levels_.size() - 1 - rank].quantity; }
  // `f` must keep the order.
  template <class F>
  void rekey(F f) {
    for (auto& level : levels_) level.key = f(level.key);
  }
  // Drops the worst levels until `n` are left.
  void trim(std::size_t n) {
    if (levels_.size() > n) levels_.erase(levels_.begin(), levels_.end() - static_cast<std::ptrdiff_t>(n));
  }

 private:
  struct Level {
    Key key;
    Decimal quantity;
  };
  bool worse(const Key& a, const Key& b) const { return best_is_highest_ ? a < b : b < a; }
  std::size_t position(const Key& key) const;

  bool best_is_highest_;
  std::vector<Level> levels_;
};

class Book {
 public:
  // More levels than this on one side are not kept: the worst fall off (and so a side stays bounded, whatever
  // a venue sends). Far above any venue's book.
  static constexpr std::size_t kMaxLevels = 50'000;

  void clear();
  // The whole book, in any order; zero quantities are left out.
  void assign(std::span<const BookLevel> bids, std::span<const BookLevel> asks);
  void apply(std::span<const BookLevel> bids, std::span<const BookLevel> asks);

  std::size_t bid_count() const { return wide_ ? wide_bids_.size() : bids_.size(); }
  std::size_t ask_count() const { return wide_ ? wide_asks_.size() : asks_.size(); }
  // The best `depth` levels, best first; 0: all of them. Appends.
  void top_bids(std::size_t depth, std::vector<BookLevel>& out) const;
  void top_asks(std::size_t depth, std::vector<BookLevel>& out) const;
  // The best bid is not below the best ask: impossible in a book without errors.
  bool crossed() const;

 private:
  void set(bool bid, const BookLevel& level);
  bool fits(const Decimal& price, std::int64_t& key);
  bool rescale(int scale);
  void widen();
  void trim();
  template <class Key>
  void append(const Side<Key>& side, std::size_t depth, std::vector<BookLevel>& out) const;
  Price price_of(std::int64_t key) const { return Price{Decimal::from_parts(key, scale_)}; }
  static Price price_of(const Decimal& key) { return Price{key}; }

  int scale_ = 0;  // of the integer keys
  Side<std::int64_t> bids_{true};
  Side<std::int64_t> asks_{false};
  bool wide_ = false;  // a price did not fit 64 bits: only the wide sides are used until clear()
  Side<Decimal> wide_bids_{true};
  Side<Decimal> wide_asks_{false};
};

}  // namespace mp::book
