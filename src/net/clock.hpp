#pragma once
// The only place that reads the clocks; everything pure is given an Instant.

#include "base/time.hpp"

namespace mp::net {

Instant now();

}  // namespace mp::net
