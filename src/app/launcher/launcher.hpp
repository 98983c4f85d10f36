#pragma once
// Carries out a Plan: starts the parts, watches them, shows what flows, stops them, and says at the end whether
// everything arrived. One thread (plus the prober's); all waiting is in one poll().

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "app/launcher/plan.hpp"

namespace mp::launcher {

struct RunOptions {
  Mode mode = Mode::live;
  std::string data;                                  // folder
  std::optional<std::chrono::milliseconds> run_for;  // from the moment that everything is ready
  bool exit_when_done = false;
  std::string stream = "MARKET_DATA";
  std::uint64_t log_max_bytes = 32u << 20;     // of each part's log, before it is renamed to .1
  int log_files = 4;                           // renamed ones that are kept
  std::uint64_t full_below_bytes = 64u << 20;  // a disk with less room than this counts as full
};

// SIGINT, SIGTERM and SIGHUP are blocked for this thread and all that it starts afterwards; run() reads them. To be
// called first thing, before any thread is made.
void block_signals();

// The exit status of `marketprism up`.
int run(const Plan& plan, const RunOptions& options);

}  // namespace mp::launcher
