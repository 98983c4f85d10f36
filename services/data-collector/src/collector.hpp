#pragma once
// The collector service: venues → journal → decode → bus. Wiring only; each part is told what it needs.

#include <functional>
#include <memory>
#include <string>

#include "base/result.hpp"
#include "options.hpp"

namespace mp::collector {

struct Ended {
  enum class Why {
    finished,
    refused,  // what was configured cannot be collected, as a venue's own lists show: a symbol that is not there
  } why{};
  Error refusal{};  // when refused
};

// The configuration as it is now, or why it cannot be taken over (told in the log by whoever reads it).
using Reread = std::function<Result<CollectorOptions>()>;

// On SIGHUP the configuration is read again: what is collected of which source follows it, without a break for what
// stays; anything else of it needs a restart, which `reread` tells.
// Runs until SIGINT or SIGTERM, or, with exit_when_done, until the play-back has been stored.
// Or until the configuration is refused.
// Errors are those of starting up: a port that is taken, a journal that another process holds, …
Result<Ended> run_collector(const CollectorOptions& options, Reread reread = nullptr);

}  // namespace mp::collector
