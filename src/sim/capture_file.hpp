#pragma once
// Reads a capture file whole: JSON lines as `marketprism journal cat` prints them.

#include <string>

#include "base/result.hpp"
#include "sim/binance/playback.hpp"

namespace mp::sim {

// Lines that are none are left out and told in the result. An Error: the file cannot be read, or no line of it.
Result<binance::Recording> read_capture(const std::string& path);

}  // namespace mp::sim
