#pragma once
// The collector service: venues → journal → decode → bus. Wiring only; each part is told what it needs.

#include <functional>
#include <memory>
#include <string>

#include "base/result.hpp"
#include "options.hpp"

namespace mp::collector {

// Runs until SIGINT or SIGTERM, or, with exit_when_done, until the play-back has been stored.
// Errors are those of starting up: a port that is taken, a journal that another process holds, …
Result<void> run_collector(const CollectorOptions& options);

}  // namespace mp::collector
