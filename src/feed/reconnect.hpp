#pragma once
// What follows from a connection's end. Pure: the driver does what the verdict says.

#include <chrono>

#include "base/backoff.hpp"
#include "feed/session.hpp"

namespace mp {

struct ReconnectVerdict {
  bool reconnect = false;
  std::chrono::milliseconds wait{0};
};

// `attempt`: 1 for the first end since the last good data message on this socket, 2 for the next … .
// `jitter`: 0 to 1, from the caller's random source.
ReconnectVerdict reconnect_policy(CloseReason reason, int attempt, double jitter);

}  // namespace mp
