#pragma once
// The next time at which a session wants tick(): its parts share one of these, since the outbox knows one time only.
// Whoever replays a journal throws the outboxes away, and with them what was wished for: begin() of a session forgets
// it, or the session would wait for ever for a tick() that nobody knows of.

#include <optional>

#include "feed/session.hpp"

namespace mp {

class Wake {
 public:
  // tick() is to be called at `at` or earlier.
  void wish(MonoTime at, Outbox& out) {
    if (!at_ || at < *at_) at_ = at;
    out.wake_at = at_;
  }
  // Call first in Session::begin().
  void begin() { at_.reset(); }
  // Call first in tick(): what was wished for has come.
  void woken() { at_.reset(); }

 private:
  std::optional<MonoTime> at_;
};

}  // namespace mp
