#pragma once
// The latest trades of a symbol, for the REST endpoints that a back-fill asks.

#include <algorithm>
#include <cstdint>
#include <deque>
#include <utility>

#include "sim/market/market.hpp"

namespace mp::sim {

struct FillRecord {
  std::uint64_t id = 0;
  std::int64_t price = 0;
  std::int64_t quantity = 0;
  WallTime time;
  bool buyer_is_maker = false;
};

// Records with contiguous rising ids and rising times; the oldest fall out.
template <class Record>
class History {
 public:
  using Range = std::pair<std::size_t, std::size_t>;  // [first, last)

  explicit History(std::size_t limit) : limit_(limit) {}
  void add(const Record& record) {
    if (records_.size() == limit_) records_.pop_front();
    records_.push_back(record);
  }
  const Record& operator[](std::size_t i) const { return records_[i]; }

  Range latest(std::size_t count) const {
    return {records_.size() - std::min(count, records_.size()), records_.size()};
  }
  // From `id` on (from the oldest kept one if that has fallen out).
  Range from_id(std::uint64_t id, std::size_t count) const {
    if (records_.empty() || id > records_.back().id) return {0, 0};
    const auto first = static_cast<std::size_t>(id > records_.front().id ? id - records_.front().id : 0);
    return {first, std::min(records_.size(), first + count)};
  }
  // Times between both, both included; the earliest `count` of them.
  Range between(WallTime from, WallTime to, std::size_t count) const {
    const auto first = std::lower_bound(records_.begin(), records_.end(), from,
                                        [](const Record& r, WallTime t) { return r.time < t; });
    const auto last =
        std::upper_bound(first, records_.end(), to, [](WallTime t, const Record& r) { return t < r.time; });
    const auto begin = static_cast<std::size_t>(first - records_.begin());
    return {begin, std::min(begin + count, static_cast<std::size_t>(last - records_.begin()))};
  }

 private:
  std::size_t limit_;
  std::deque<Record> records_;
};

}  // namespace mp::sim
