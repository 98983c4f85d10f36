#include "book/book.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>

namespace mp::book {
namespace {

constexpr int kMaxKeyScale = 18;
constexpr auto kPowers = [] {
  std::array<std::int64_t, kMaxKeyScale + 1> powers{};
  powers[0] = 1;
  for (std::size_t i = 1; i < powers.size(); ++i) powers[i] = powers[i - 1] * 10;
  return powers;
}();
constexpr std::int64_t kMaxKey = INT64_MAX;

// value × 10^digits, if 64 bits hold it.
bool scaled(std::int64_t value, int digits, std::int64_t& out) {
  if (digits > kMaxKeyScale) return value == 0 ? (out = 0, true) : false;
  return !__builtin_mul_overflow(value, kPowers[static_cast<std::size_t>(digits)], &out);
}

}  // namespace

template <class Key>
std::size_t Side<Key>::position(const Key& key) const {
  // Gallop from the best level: most changes are near it.
  std::size_t high = levels_.size();  // all at or after `high` are not worse than key
  std::size_t step = 1;
  while (high > 0) {
    const std::size_t probe = high >= step ? high - step : 0;
    if (worse(levels_[probe].key, key)) {
      const auto first = levels_.begin() + static_cast<std::ptrdiff_t>(probe) + 1;
      const auto last = levels_.begin() + static_cast<std::ptrdiff_t>(high);
      const auto found = std::partition_point(first, last, [&](const Level& level) { return worse(level.key, key); });
      return static_cast<std::size_t>(found - levels_.begin());
    }
    high = probe;
    step *= 2;
  }
  return 0;
}

template <class Key>
void Side<Key>::set(const Key& key, const Decimal& quantity) {
  const std::size_t at = position(key);
  const bool known = at < levels_.size() && levels_[at].key == key;
  const auto where = levels_.begin() + static_cast<std::ptrdiff_t>(at);
  if (quantity.is_zero()) {
    if (known) levels_.erase(where);
  } else if (known) {
    levels_[at].quantity = quantity;
  } else {
    levels_.insert(where, Level{key, quantity});
  }
}

void Book::clear() {
  bids_.clear();
  asks_.clear();
  wide_bids_.clear();
  wide_asks_.clear();
  scale_ = 0;
  wide_ = false;
}

void Book::assign(std::span<const BookLevel> bids, std::span<const BookLevel> asks) {
  clear();
  int scale = 0;
  for (const auto side : {bids, asks})
    for (const auto& level : side) scale = std::max(scale, level.price.value.scale());
  scale_ = std::min(scale, kMaxKeyScale);
  bids_.reserve(bids.size() + 64);
  asks_.reserve(asks.size() + 64);
  // Venues list the best first; from the back, each one is appended at the end.
  for (auto level = bids.rbegin(); level != bids.rend(); ++level) set(true, *level);
  for (auto level = asks.rbegin(); level != asks.rend(); ++level) set(false, *level);
  trim();
}

void Book::apply(std::span<const BookLevel> bids, std::span<const BookLevel> asks) {
  for (const auto& level : bids) set(true, level);
  for (const auto& level : asks) set(false, level);
  trim();
}

void Book::trim() {
  bids_.trim(kMaxLevels);
  asks_.trim(kMaxLevels);
  wide_bids_.trim(kMaxLevels);
  wide_asks_.trim(kMaxLevels);
}

void Book::set(bool bid, const BookLevel& level) {
  std::int64_t key = 0;
  if (!wide_ && !fits(level.price.value, key)) widen();
  if (wide_) {
    (bid ? wide_bids_ : wide_asks_).set(level.price.value, level.quantity.value);
  } else {
    (bid ? bids_ : asks_).set(key, level.quantity.value);
  }
}

bool Book::fits(const Decimal& price, std::int64_t& key) {
  const int128 mantissa = price.mantissa();
  if (mantissa > kMaxKey || mantissa < -kMaxKey) return false;
  if (price.scale() > scale_ && !rescale(price.scale())) return false;
  return scaled(static_cast<std::int64_t>(mantissa), scale_ - price.scale(), key);
}

// Raises the common scale; false, and nothing changed, when a key would not fit any more.
bool Book::rescale(int scale) {
  const int digits = scale - scale_;
  std::int64_t ignored = 0;
  const auto all_fit = [&](const Side<std::int64_t>& side) {
    if (side.empty()) return true;
    return scaled(side.key_at(0), digits, ignored) && scaled(side.key_at(side.size() - 1), digits, ignored);
  };
  if (scale > kMaxKeyScale || !all_fit(bids_) || !all_fit(asks_)) return false;
  const auto raise = [&](std::int64_t key) { return key * kPowers[static_cast<std::size_t>(digits)]; };
  bids_.rekey(raise);
  asks_.rekey(raise);
  scale_ = scale;
  return true;
}

void Book::widen() {
  const auto copy = [this](const Side<std::int64_t>& from, Side<Decimal>& to) {
    for (std::size_t rank = from.size(); rank-- > 0;) to.set(price_of(from.key_at(rank)).value, from.quantity_at(rank));
  };
  copy(bids_, wide_bids_);
  copy(asks_, wide_asks_);
  bids_.clear();
  asks_.clear();
  wide_ = true;
}

template <class Key>
void Book::append(const Side<Key>& side, std::size_t depth, std::vector<BookLevel>& out) const {
  const std::size_t count = depth == 0 ? side.size() : std::min(depth, side.size());
  out.reserve(out.size() + count);
  for (std::size_t rank = 0; rank < count; ++rank)
    out.push_back({price_of(side.key_at(rank)), Quantity{side.quantity_at(rank)}});
}

void Book::top_bids(std::size_t depth, std::vector<BookLevel>& out) const {
  if (wide_) return append(wide_bids_, depth, out);
  append(bids_, depth, out);
}

void Book::top_asks(std::size_t depth, std::vector<BookLevel>& out) const {
  if (wide_) return append(wide_asks_, depth, out);
  append(asks_, depth, out);
}

bool Book::crossed() const {
  if (bid_count() == 0 || ask_count() == 0) return false;
  return wide_ ? !(wide_bids_.key_at(0) < wide_asks_.key_at(0)) : bids_.key_at(0) >= asks_.key_at(0);
}

template class Side<std::int64_t>;
template class Side<Decimal>;

}  // namespace mp::book
