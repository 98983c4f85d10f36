// The `marketprism` binary: picks the subcommand.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <iterator>
#include <string>
#include <vector>

#include "app/commands.hpp"
#include "base/text.hpp"
#include "base/version.hpp"

namespace {

struct Command {
  const char* name;
  const char* summary;
  int (*run)(int, char**);
};

constexpr Command kCommands[] = {
    {"clickhouse", "embedded ClickHouse: the real engine behind its HTTP interface", mp::app::run_clickhouse},
    {"collector", "journals what venues send, decodes it, publishes events", mp::app::run_collector},
    {"config", "what is in effect and where it comes from; check files; reload", mp::app::run_config},
    {"doctor", "what is wrong with an installation, and what mends it", mp::app::run_doctor},
    {"exchanges", "what can be collected: exchanges, markets, data types", mp::app::run_exchanges},
    {"export", "rows of a time range to Parquet, CSV or JSON lines", mp::app::run_export},
    {"journal", "list, print, verify and convert raw captures", mp::app::run_journal},
    {"normalize", "captured raw messages in, normalised events out (JSON lines)", mp::app::run_normalize},
    {"probe", "does a venue still speak what we understand? connects, subscribes, counts", mp::app::run_probe},
    {"query", "SQL to ClickHouse: a table in a terminal, any format elsewhere", mp::app::run_query},
    {"sim", "simulated exchanges that speak the real protocols", mp::app::run_sim},
    {"status", "what flows now: sources, storage, delays, disks, on one screen", mp::app::run_status},
    {"storage", "the storage service: from the stream into ClickHouse, exactly once", mp::app::run_storage},
    {"tier", "days that move from the hot to the cold database: run once, status", mp::app::run_tier},
    {"up", "everything on this machine: start, watch, stop in order", mp::app::run_up},
};

void print_usage(FILE* to) {
  fmt::print(to, "marketprism {}: captures crypto market data and can prove what it captured\n\n", mp::kVersion);
  fmt::print(to, "usage: marketprism COMMAND [OPTIONS]      (COMMAND --help tells more)\n\ncommands:\n");
  for (const auto& command : kCommands) fmt::print(to, "  {:<12} {}\n", command.name, command.summary);
}

int unknown_command(const std::string& name) {
  std::vector<std::string> names;
  for (const auto& command : kCommands) names.emplace_back(command.name);
  const auto near = mp::nearest(name, names);
  fmt::print(stderr, "marketprism: no command '{}'{} (see --help)\n", name,
             near.empty() ? "" : "; did you mean '" + near + "'?");
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    print_usage(stderr);
    return 2;
  }
  const std::string name = argv[1];
  if (name == "--help" || name == "-h" || name == "help") {
    print_usage(stdout);
    return 0;
  }
  if (name == "--version") {
    fmt::print("marketprism {}\n", mp::kVersion);
    return 0;
  }
  const auto found =
      std::find_if(std::begin(kCommands), std::end(kCommands), [&](const Command& c) { return name == c.name; });
  if (found == std::end(kCommands)) return unknown_command(name);
  try {
    return found->run(argc - 1, argv + 1);
  } catch (const std::exception& e) {
    fmt::print(stderr, "marketprism {}: {}\n", name, e.what());
    return 1;
  }
}
