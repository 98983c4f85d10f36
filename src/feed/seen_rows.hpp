#pragma once
// What has been written of a list that is asked for again and again, or that a venue repeats: nothing is written twice.

#include <deque>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "feed/checkpoint.hpp"

namespace mp {

// One series of rows (an instrument's ratio, its settled funding), each known by the venue's own time of it. Rows of
// an answer are to be offered oldest first.
class SeenRows {
 public:
  // Is this row new? Then it and all before it count as written.
  bool take(WallTime timestamp) {
    if (last_ && timestamp <= *last_) return false;
    last_ = timestamp;
    return true;
  }
  std::optional<WallTime> last() const { return last_; }

  void save(StateWriter& out) const { out.put(last_); }
  void restore(StateReader& in) {
    last_ = in.optional<WallTime>([&] { return in.time(); });
  }

 private:
  std::optional<WallTime> last_;
};

// Events without an id that come in no order and may be repeated (liquidations): known by a text made of all that
// tells two of them apart. The last `kMost` are remembered.
class SeenKeys {
 public:
  static constexpr std::size_t kMost = 4096;

  // Is this one new?
  bool take(std::string_view key) {
    if (known_.find(key) != known_.end()) return false;
    if (order_.size() >= kMost) {
      known_.erase(known_.find(order_.front()));
      order_.pop_front();
    }
    order_.emplace_back(key);
    known_.emplace(key);
    return true;
  }

  void save(StateWriter& out) const {
    out.put(std::uint64_t{order_.size()});
    for (const auto& key : order_) out.put(std::string_view{key});
  }
  void restore(StateReader& in) {
    order_.clear();
    known_.clear();
    for (auto n = in.count(); n > 0 && in.ok(); --n) take(in.text());
  }

 private:
  std::deque<std::string> order_;  // oldest first
  std::set<std::string, std::less<>> known_;
};

}  // namespace mp
