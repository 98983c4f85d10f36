#pragma once
// When a conflated picture of a book is due: at most one per interval of receive time, and only when something
// changed. The first change after a quiet interval is due at once; what follows it within the interval waits for
// the interval's end.
//
// Pure: the clock is the records' receive times. The owner asks due() before it applies a record with time t (what
// was due at t shows the book as it stood before that record), then tells changed(t), whose answer may be "now".

#include <chrono>
#include <optional>

#include "base/time.hpp"

namespace mp::book {

class ConflationClock {
 public:
  explicit ConflationClock(Nanos interval) : interval_(interval) {}

  // The book changed at `t`. True: show it now.
  bool changed(WallTime t) {
    keep_up_with(t);
    if (pending_) return false;
    if (last_shown_ && t < *last_shown_ + interval_) {
      pending_ = true;
      return false;
    }
    last_shown_ = t;
    return true;
  }
  // When what has changed must be shown; nothing when nothing waits.
  std::optional<WallTime> deadline() const {
    if (!pending_) return std::nullopt;
    return *last_shown_ + interval_;
  }
  // True when something waits whose time has come by `t`: show it now.
  bool due(WallTime t) {
    keep_up_with(t);
    if (!pending_ || t < *last_shown_ + interval_) return false;
    *last_shown_ += interval_;
    pending_ = false;
    return true;
  }
  // What waited will not be shown: the book is not good any more.
  void drop() { pending_ = false; }

  bool pending() const { return pending_; }
  std::optional<WallTime> last_shown() const { return last_shown_; }
  void restore(std::optional<WallTime> last_shown, bool pending) {
    last_shown_ = last_shown;
    pending_ = pending && last_shown;
  }

 private:
  // A receive clock set back must not silence the series until it has caught up.
  void keep_up_with(WallTime t) {
    if (last_shown_ && t < *last_shown_) last_shown_ = t;
  }

  Nanos interval_;
  std::optional<WallTime> last_shown_;
  bool pending_ = false;
};

}  // namespace mp::book
