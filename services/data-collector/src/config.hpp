#pragma once
// The collector's configuration: file, environment and flags to CollectorOptions.

#include <string>
#include <vector>

#include "base/result.hpp"
#include "config/config.hpp"
#include "options.hpp"

namespace mp::collector {

struct LogSettings {
  std::string level = "info";
  std::string format = "text";
  std::string file;
};

struct Settings {
  CollectorOptions options;
  LogSettings log;
};

// Every problem at once, one per line, with file and line.
Result<Settings> read_settings(config::Config& config);

}  // namespace mp::collector
