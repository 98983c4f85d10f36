#pragma once
// The collector's configuration: file, environment and flags to CollectorOptions.

#include <string>
#include <vector>

#include "base/result.hpp"
#include "config/config.hpp"
#include "config/log_settings.hpp"
#include "options.hpp"

namespace mp::collector {

struct Settings {
  CollectorOptions options;
  config::LogSettings logging;
};

// Every problem at once, one per line, with file and line.
Result<Settings> read_settings(config::Config& config);

}  // namespace mp::collector
