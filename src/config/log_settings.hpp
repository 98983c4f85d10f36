#pragma once
// The section `logging`, which every service has.

#include <cstdint>
#include <string>

#include "base/log.hpp"
#include "config/config.hpp"

namespace mp::config {

struct LogSettings {
  log::Level level = log::Level::info;
  bool json = false;
  std::string file;                     // "": standard output only
  std::uint64_t max_bytes = 64u << 20;  // of the file, before it is renamed
  std::uint32_t files = 5;              // renamed ones that are kept
};

LogSettings read_log_settings(Section logging);

}  // namespace mp::config
