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
  std::vector<config::Setting> effective;  // every key, as it was read
};

// Every problem at once, one per line, with file and line.
Result<Settings> read_settings(config::Config& config);

// Keys that differ and that a running collector cannot take over, for the log: "journal.directory",
// "exchanges[1].proxy".
std::vector<std::string> keys_that_need_a_restart(const Settings& before, const Settings& now);

}  // namespace mp::collector
