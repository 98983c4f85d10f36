#pragma once
// Tries out whether venues still speak what we understand: connects, subscribes, decodes and counts, and keeps nothing
// (no journal, no bus). The same sessions and the same driver as the collector's.
//
// Blocks the calling thread for the duration. SIGINT and SIGTERM end it early, with what was found so far.

#include <chrono>
#include <string>
#include <vector>

#include "feed/session_options.hpp"
#include "probe_report.hpp"
#include "socket_driver.hpp"

namespace mp::collector {

struct ProbeOptions {
  std::vector<SessionOptions> sources;
  DriverOptions driver;
  std::chrono::milliseconds duration{30'000};
};

// Errc::usage when a source is unknown.
Result<std::vector<ProbeSource>> run_probe(const ProbeOptions& options);

}  // namespace mp::collector
