#pragma once
// The book as a channel's subscribers know it, and what must be told so that they know the present one.

#include <cstdint>
#include <vector>

#include "sim/market/book.hpp"

namespace mp::sim {

struct LevelChange {
  enum class Kind : std::uint8_t { added, changed, removed };
  Kind kind{};
  Level level;  // quantity 0 when removed
};

class ToldBook {
 public:
  // `depth` levels a side are told.
  explicit ToldBook(std::size_t depth) : depth_(depth) {}

  void take(const Book& book);
  // Best first; what was told is now the book's present state.
  void update(const Book& book, std::vector<LevelChange>& bids, std::vector<LevelChange>& asks);

  const std::vector<Level>& levels(Side side) const { return side == Side::bid ? bids_ : asks_; }  // best first

 private:
  void update_side(const Book& book, Side side, std::vector<Level>& told, std::vector<LevelChange>& changes);

  std::size_t depth_;
  std::vector<Level> bids_, asks_, next_;
};

}  // namespace mp::sim
