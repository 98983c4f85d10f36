#include "exchanges/okx/checksum.hpp"

#include <algorithm>

#include "base/crc32.hpp"

namespace mp::okx {

void ChecksumBook::clear() {
  bids_.clear();
  asks_.clear();
}

void ChecksumBook::assign(const BookRow& row) {
  clear();
  apply(row);
}

void ChecksumBook::apply(const BookRow& row) {
  for (std::size_t i = 0; i < row.bids.size(); ++i) set(bids_, true, row.bids[i], row.bid_texts[i]);
  for (std::size_t i = 0; i < row.asks.size(); ++i) set(asks_, false, row.asks[i], row.ask_texts[i]);
}

void ChecksumBook::set(Side& side, bool best_is_highest, const BookLevel& level, const LevelText& text) {
  const auto& price = level.price.value;
  const auto at = std::ranges::lower_bound(
      side, price, [&](const Decimal& a, const Decimal& b) { return best_is_highest ? b < a : a < b; }, &Level::price);
  const bool known = at != side.end() && at->price == price;
  if (level.quantity.value.is_zero()) {
    if (known) side.erase(at);
    return;
  }
  std::string both;
  both.reserve(text.price.size() + 1 + text.size.size());
  both.append(text.price).append(":").append(text.size);
  if (known)
    at->text = std::move(both);
  else
    side.insert(at, {price, std::move(both)});
}

// bid0:ask0:bid1:ask1:…, leaving a side out once it has no more levels.
std::int32_t ChecksumBook::checksum() const {
  std::uint32_t sum = 0;
  bool first = true;
  const auto add = [&](const Side& side, std::size_t rank) {
    if (rank >= side.size()) return;
    if (!first) sum = crc32(":", sum);
    sum = crc32(side[rank].text, sum);
    first = false;
  };
  for (std::size_t rank = 0; rank < kLevels; ++rank) {
    add(bids_, rank);
    add(asks_, rank);
  }
  return static_cast<std::int32_t>(sum);
}

void ChecksumBook::save(StateWriter& out, const Side& side) {
  out.put(std::uint64_t{side.size()});
  for (const auto& level : side) {
    out.put(level.price);
    out.put(std::string_view{level.text});
  }
}

void ChecksumBook::restore(StateReader& in, Side& side) {
  side.clear();
  for (auto n = in.count(2); n > 0 && in.ok(); --n) {
    Level level;
    level.price = in.decimal();
    level.text = in.text();
    side.push_back(std::move(level));
  }
}

void ChecksumBook::save(StateWriter& out) const {
  save(out, bids_);
  save(out, asks_);
}

void ChecksumBook::restore(StateReader& in) {
  restore(in, bids_);
  restore(in, asks_);
}

}  // namespace mp::okx
