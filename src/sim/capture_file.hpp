#pragma once
// Reads a capture file whole: JSON lines as `marketprism journal cat` prints them.

#include <string>

#include "base/result.hpp"
#include "sim/binance/playback.hpp"

namespace mp::sim {

// Errors name the file and the line.
Result<binance::Recording> read_capture(const std::string& path);

}  // namespace mp::sim
