#include "sim/market/book.hpp"

#include <algorithm>

namespace mp::sim {
namespace {

// The first level that is not worse than `price`.
template <class Levels>
auto find(Levels& levels, Side side, std::int64_t price) {
  return std::lower_bound(levels.begin(), levels.end(), price, [side](const Level& level, std::int64_t wanted) {
    return side == Side::bid ? level.price < wanted : level.price > wanted;
  });
}

}  // namespace

void Book::set(Side side, std::int64_t price, std::int64_t quantity) {
  auto& levels = side == Side::bid ? bids_ : asks_;
  const auto at = find(levels, side, price);
  const bool known = at != levels.end() && at->price == price;
  if (quantity == 0) {
    if (known) levels.erase(at);
  } else if (known) {
    at->quantity = quantity;
  } else {
    levels.insert(at, Level{price, quantity});
  }
}

std::int64_t Book::quantity_at(Side side, std::int64_t price) const {
  const auto& all = levels(side);
  const auto at = find(all, side, price);
  return at != all.end() && at->price == price ? at->quantity : 0;
}

}  // namespace mp::sim
