#pragma once
// A book of whole ticks and lots: two sorted arrays with the best level at the end, where nearly all changes are.

#include <cstddef>
#include <cstdint>
#include <vector>

namespace mp::sim {

enum class Side : std::uint8_t { bid, ask };
constexpr Side opposite(Side side) { return side == Side::bid ? Side::ask : Side::bid; }

struct Level {
  std::int64_t price = 0;     // ticks
  std::int64_t quantity = 0;  // lots
  friend bool operator==(const Level&, const Level&) = default;
};

class Book {
 public:
  // Quantity 0 removes the level.
  void set(Side side, std::int64_t price, std::int64_t quantity);
  std::int64_t quantity_at(Side side, std::int64_t price) const;

  std::size_t size(Side side) const { return levels(side).size(); }
  // The i-th level from the best. Precondition: i < size(side).
  const Level& level(Side side, std::size_t i) const { return levels(side)[levels(side).size() - 1 - i]; }
  const Level& best(Side side) const { return levels(side).back(); }
  const Level& farthest(Side side) const { return levels(side).front(); }

 private:
  const std::vector<Level>& levels(Side side) const { return side == Side::bid ? bids_ : asks_; }

  std::vector<Level> bids_;  // rising prices
  std::vector<Level> asks_;  // falling prices
};

}  // namespace mp::sim
