#pragma once
// What is to be started, derived from the options: command lines, files, ports, order. Pure.

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "app/launcher/supervisor.hpp"
#include "base/result.hpp"

namespace mp::launcher {

enum class Mode { live, simulated, replay };
const char* to_string(Mode mode);  // as in data_source

struct Ports {
  std::uint16_t nats = 4222;
  std::uint16_t nats_http = 8222;
  std::uint16_t clickhouse = 8123;
  std::uint16_t collector_health = 8086;
  std::uint16_t collector_metrics = 9093;
  std::uint16_t storage_health = 8085;
  std::uint16_t storage_metrics = 9094;
  std::uint16_t sim = 9443;
};

// One protocol of one venue, as in the collector's configuration.
struct Market {
  std::string exchange;
  std::string market;
  std::vector<std::string> symbols;
};

struct LaunchOptions {
  Mode mode = Mode::live;
  std::string data;      // absolute
  std::string database;  // "": by mode
  std::string stream = "MARKET_DATA";
  std::string config;                 // of the collector, a file or a folder; live only
  std::string storage_config;         // of the storage service; live only; "": its defaults
  std::vector<std::string> captures;  // absolute
  double speed = 1;
  std::string final_books;
  int rate = 250;
  std::uint64_t seed = 1;
  std::string ledger;
  std::vector<std::string> sim_exchanges;  // NAME or NAME:MARKET
  std::string sim_symbols;                 // as the simulator understands them
  std::vector<Market> markets;             // what the collector is told to collect; empty: the file of `config`
  std::optional<std::chrono::milliseconds> run_for;
  bool exit_when_done = false;
  Ports ports;
  std::vector<std::string> command{};  // that started it, and starts it again
  std::string directory{};             // in which it was typed
  // The variables that its parts read, as they were set for it; of those that hold secrets the names.
  std::map<std::string, std::string> variables{};
  std::vector<std::string> secret_variables{};
};

// What was found on this machine.
struct Tools {
  std::string self;  // this binary
  std::string nats_server;
  int nats_minor = 15;  // of version 2.x
  std::string libchdb;
};

enum class Ready {
  ok,      // the health address answers 200
  answer,  // it answers, whatever
};

struct PartPlan {
  PartRules rules;
  std::vector<std::string> argv;
  std::map<std::string, std::string> environment;
  std::string health_url;
  Ready ready = Ready::ok;
  std::string metrics_url;  // "" for none
  // How far it stands back when the processors are busy (nice(1)). What is on its way to ClickHouse waits safely on the
  // bus; what the collector cannot take in time is late for everybody.
  int niceness = 0;
};

struct PortUse {
  std::string part;
  std::string purpose;
  std::string option;  // that moves it
  std::uint16_t port = 0;
};

struct Plan {
  std::vector<PartPlan> parts;  // in start order
  std::vector<StopStep> stop;
  std::vector<PortUse> ports;
  std::vector<std::string> folders;                        // to be made
  std::vector<std::pair<std::string, std::string>> files;  // path and content, written anew at each start
  std::string database;
  std::string clickhouse_url;
  std::string nats_url;
  std::string nats_http_url;
  std::string end_report;  // the collector writes here at its end what it did not publish; "": it does not
  std::size_t bus = 0;     // its number in `parts`
  std::size_t storage = 0;
  std::size_t collector = 0;
};

Plan make_plan(const LaunchOptions& options, const Tools& tools);

// Moves every port by `offset`; Errc::usage when one leaves 1 to 65535.
Result<Ports> shifted(Ports ports, int offset);
// Errc::usage when two purposes have one port.
Result<void> check_distinct(const std::vector<PortUse>& ports);

// In the folder run of the data folder: a flat YAML mapping, for the subcommands that look at a running `marketprism
// up`.
inline constexpr const char* kAddressesFile = "addresses.yaml";
std::string addresses(const LaunchOptions& options);
// As one word of a shell command, in quotes where it needs them.
std::string shell_quoted(const std::string& word);
std::string nats_configuration(const LaunchOptions& options, int nats_minor);
std::string collector_configuration(const LaunchOptions& options);

}  // namespace mp::launcher
