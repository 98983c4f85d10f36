#include "net/clock.hpp"

namespace mp::net {

Instant now() {
  return {std::chrono::time_point_cast<Nanos>(std::chrono::system_clock::now()), std::chrono::steady_clock::now()};
}

}  // namespace mp::net
