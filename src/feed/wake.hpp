#pragma once
// The next time at which a session wants tick(): its parts share one of these, since the outbox knows one time only.

#include <optional>

#include "feed/session.hpp"

namespace mp {

class Wake {
 public:
  // tick() is to be called at `at` or earlier.
  void wish(MonoTime at, Outbox& out) {
    if (at_ && *at_ <= at) return;
    at_ = at;
    out.wake_at = at;
  }
  // Call first in tick(): what was wished for has come.
  void woken() { at_.reset(); }

 private:
  std::optional<MonoTime> at_;
};

}  // namespace mp
