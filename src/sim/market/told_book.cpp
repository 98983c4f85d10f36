#include "sim/market/told_book.hpp"

#include <algorithm>

namespace mp::sim {

void ToldBook::take(const Book& book) {
  for (const Side side : {Side::bid, Side::ask}) {
    auto& told = side == Side::bid ? bids_ : asks_;
    told.clear();
    const auto count = std::min(depth_, book.size(side));
    for (std::size_t i = 0; i < count; ++i) told.push_back(book.level(side, i));
  }
}

void ToldBook::update(const Book& book, std::vector<LevelChange>& bids, std::vector<LevelChange>& asks) {
  update_side(book, Side::bid, bids_, bids);
  update_side(book, Side::ask, asks_, asks);
}

// Both are sorted: one walk finds what came, went and changed. Levels that fall out of the depth go, too.
void ToldBook::update_side(const Book& book, Side side, std::vector<Level>& told, std::vector<LevelChange>& changes) {
  using Kind = LevelChange::Kind;
  const auto is_better = [side](std::int64_t a, std::int64_t b) { return side == Side::bid ? a > b : a < b; };
  changes.clear();
  next_.clear();
  const auto count = std::min(depth_, book.size(side));
  auto old = told.begin();
  for (std::size_t i = 0; i < count; ++i) {
    const Level& level = book.level(side, i);
    for (; old != told.end() && is_better(old->price, level.price); ++old)
      changes.push_back({Kind::removed, {old->price, 0}});
    if (old == told.end() || old->price != level.price) {
      changes.push_back({Kind::added, level});
    } else {
      if (old->quantity != level.quantity) changes.push_back({Kind::changed, level});
      ++old;
    }
    next_.push_back(level);
  }
  for (; old != told.end(); ++old) changes.push_back({Kind::removed, {old->price, 0}});
  told.swap(next_);
}

}  // namespace mp::sim
