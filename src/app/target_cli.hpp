#pragma once
// The options that say where the parts are, the same for query, export, status and doctor. Heavy (CLI11): for
// cmd_*.cpp.

#include "app/cli.hpp"
#include "app/operate/target.hpp"

namespace mp::app {

struct TargetOptions {
  operate::TargetFlags flags;
  bool sim = false, replay = false, cold = false;
};

void add_clickhouse_options(CLI::App& cli, TargetOptions& options);
// NATS, the services and their configuration files.
void add_part_options(CLI::App& cli, TargetOptions& options);

// Errc::usage also when the options contradict each other.
Result<operate::Target> understand_target(const TargetOptions& options);

}  // namespace mp::app
