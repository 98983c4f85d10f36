// marketprism up: everything on this machine, as one tree of processes.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>

#include "app/cli.hpp"
#include "app/commands.hpp"
#include "app/launcher/launcher.hpp"
#include "app/launcher/preflight.hpp"
#include "app/variables.hpp"
#include "base/text.hpp"
#include "base/time.hpp"
#include "config/config.hpp"
#include "exchanges/exchange.hpp"
#include "nats/names.hpp"
#include "net/clock.hpp"
#include "sim/world.hpp"

namespace mp::app {
namespace {

namespace fs = std::filesystem;
using launcher::LaunchOptions;
using launcher::Mode;

const std::string kExamples =
    "  marketprism up\n"
    "      collect from the real exchanges into ./data; Ctrl-C stops everything in order\n"
    "  marketprism up --sim --rate 5000 --ledger ledger.jsonl --for 60s\n"
    "      a simulated exchange for a minute; exit status 0 only if data came and nothing was lost\n"
    "  marketprism up --capture monday.jsonl --speed 0 --exit-when-done\n"
    "      a recorded session, as fast as it goes; ends when it is stored\n"
    "  marketprism up --symbols BTC-USDT,ETH-USDT --data /srv/marketprism\n"
    "  marketprism up --sim --port-offset 1000 --data data2\n"
    "      a second instance beside the first\n";

struct Options {
  LaunchOptions launch;
  bool sim = false;
  std::string data = "data";
  std::string symbols;
  std::vector<std::string> exchanges;
  std::string run_for;
  std::string log_max_bytes = "32MB";
  int log_files = 4;
  int port_offset = 0;
};

void add_options(CLI::App& cli, Options& o) {
  cli.add_flag("--sim", o.sim, "collect from the built-in simulated exchange instead of the real ones");
  cli.add_option("--capture", o.launch.captures, "play this recorded session (capture JSON lines) instead; repeatable");
  cli.add_option("--speed", o.launch.speed, "of the play-back: 1 is the recording's own pace, 0 as fast as it goes");
  cli.add_option("--data", o.data, "folder for everything that is kept: journal, nats, clickhouse, logs");
  cli.add_option(
      "--database", o.launch.database,
      "in ClickHouse; default: marketprism_hot, with --sim marketprism_sim_hot, with --capture marketprism_replay_hot");
  cli.add_option("--for", o.run_for,
                 "end by itself after this time, e.g. 20s; exit status 0 only if data came and nothing was lost");
  cli.add_option("--stream", o.launch.stream, "name of the JetStream stream (NATS_STREAM)")->envname("NATS_STREAM");
  cli.add_flag("--exit-when-done", o.launch.exit_when_done,
               "with --capture: end when it is stored; exit status as with --for");
  cli.add_option(
      "--config", o.launch.config,
      "configuration of the collector, a file or a folder; default: services/data-collector/config of this checkout");
  cli.add_option(
      "--storage-config", o.launch.storage_config,
      "configuration of the storage service; default: services/data-storage-service/config/unified_storage_service.yaml of this checkout, for live data");
  cli.add_option(
      "--exchange", o.exchanges,
      "collect from (or with --sim simulate) this exchange only: NAME or NAME:MARKET, e.g. binance:spot; repeatable");
  cli.add_option(
      "--symbols", o.symbols,
      "collect these, separated by commas: BTC-USDT; with --sim also BTCUSDT, okx:BTC-USDT or a number per market");
  cli.add_option("--rate", o.launch.rate, "with --sim: messages a second");
  cli.add_option("--seed", o.launch.seed, "with --sim: the same seed makes the same market")
      ->check(CLI::NonNegativeNumber);
  cli.add_option("--ledger", o.launch.ledger,
                 "with --sim: what the simulated exchange did, as JSON lines, appended to this file");
  cli.add_option("--final-books", o.launch.final_books,
                 "at the end every book that the collector held, as JSON lines, in this file");
  cli.add_option("--log-max-bytes", o.log_max_bytes,
                 "of the log of each part, before it is renamed to .1, that to .2 and so on");
  cli.add_option("--log-files", o.log_files, "renamed logs of each part that are kept")->check(CLI::Range(1, 1000));
  auto& p = o.launch.ports;
  cli.add_option("--nats-port", p.nats, "NATS clients");
  cli.add_option("--nats-http-port", p.nats_http, "NATS monitoring");
  cli.add_option("--clickhouse-port", p.clickhouse, "ClickHouse over HTTP");
  cli.add_option("--collector-health-port", p.collector_health, "GET /health of the collector");
  cli.add_option("--collector-metrics-port", p.collector_metrics, "GET /metrics of the collector");
  cli.add_option("--storage-health-port", p.storage_health, "GET /health of the storage service");
  cli.add_option("--storage-metrics-port", p.storage_metrics, "GET /metrics of the storage service");
  cli.add_option("--sim-port", p.sim, "the simulated exchange");
  cli.add_option("--port-offset", o.port_offset, "added to every port");
}

Error usage(const std::string& where, const std::string& what) { return {Errc::usage, where, what}; }

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> items;
  for (std::size_t begin = 0; begin <= text.size();) {
    const auto comma = std::min(text.find(',', begin), text.size());
    if (comma > begin) items.push_back(text.substr(begin, comma - begin));
    begin = comma + 1;
  }
  return items;
}

// Options that belong to another mode are refused, not ignored.
Result<void> check_modes(const CLI::App& cli, const Options& o) {
  if (o.sim && !o.launch.captures.empty()) return usage("--sim and --capture", "choose one");
  // `--for "$UNSET"` must not mean "for ever".
  for (const char* option : {"--for", "--capture", "--database", "--stream", "--config", "--storage-config",
                             "--exchange", "--ledger", "--final-books", "--log-max-bytes"}) {
    for (const auto& value : cli.get_option(option)->results())
      if (value.empty()) return usage(option, "its value is empty; give one, or leave the option out");
  }
  const bool live = !o.sim && o.launch.captures.empty();
  for (const char* option : {"--rate", "--seed", "--ledger"}) {
    if (cli.count(option) > 0 && !o.sim) return usage(option, "needs --sim");
  }
  for (const char* option : {"--speed", "--exit-when-done"}) {
    if (cli.count(option) > 0 && o.launch.captures.empty()) return usage(option, "needs --capture");
  }
  if (cli.count("--config") > 0 && !live)
    return usage("--config", "is for the real exchanges, not for --sim or --capture");
  if (cli.count("--storage-config") > 0 && !live)
    return usage("--storage-config",
                 "is for live data: simulated and played-back data have databases of their own, with the defaults");
  if (cli.count("--exchange") > 0 && !o.launch.captures.empty())
    return usage("--exchange", "a recording is played as it is");
  if (cli.count("--symbols") > 0 && o.symbols.find_first_not_of(" ,") == std::string::npos)
    return usage("--symbols", fmt::format("names none, saw '{}'", o.symbols));
  if (o.data.empty()) return usage("--data", "names no folder");
  if (!o.symbols.empty() && !o.launch.captures.empty()) return usage("--symbols", "a recording is played as it is");
  if (cli.count("--config") > 0 && (!o.exchanges.empty() || !o.symbols.empty())) {
    return usage("--config", "says what to collect already; leave --exchange and --symbols to the file");
  }
  return {};
}

bool is_database_name(const std::string& name) {
  return !name.empty() && std::isdigit(static_cast<unsigned char>(name[0])) == 0 &&
         std::all_of(name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) != 0 || c == '_'; });
}

// What is simulated decides what is collected.
Result<void> plan_simulation(const Options& o, LaunchOptions& launch) {
  if (launch.rate < 1 || launch.rate > sim::Market::kMaxRate) {
    return usage("--rate", fmt::format("must be 1 to {}, saw {}", sim::Market::kMaxRate, launch.rate));
  }
  // Venues that can be simulated and collected, unless some are named.
  for (const auto& name : o.exchanges.empty() ? sim::source_names() : o.exchanges)
    if (!o.exchanges.empty() || find_exchange(name.substr(0, name.find(':')))) launch.sim_exchanges.push_back(name);
  launch.sim_symbols = o.symbols;
  const auto sources = sim::choose_sources(net::now().wall, launch.sim_exchanges, o.symbols);
  if (!sources) return usage("--" + sources.error().where, sources.error().seen);
  for (const auto& source : *sources) {
    const auto found = find_exchange(source.exchange);
    if (!found) return usage("--exchange", source.exchange + " can be simulated, but there is no collector for it yet");
    // A venue of one protocol has one market, however many the simulation tells apart.
    const auto& markets = (*found)->markets;
    const bool one = markets.size() == 1 && markets.front().empty();
    const std::string market = one ? "" : source.market;
    auto same = std::find_if(launch.markets.begin(), launch.markets.end(), [&](const launcher::Market& m) {
      return m.exchange == source.exchange && m.market == market;
    });
    if (same == launch.markets.end()) same = launch.markets.insert(same, {source.exchange, market, {}});
    for (const auto& symbol : source.symbols) same->symbols.push_back(symbol.instrument);
  }
  return {};
}

Result<void> plan_play_back(LaunchOptions& launch) {
  if (!std::isfinite(launch.speed) || launch.speed < 0)
    return usage("--speed", fmt::format("must be a number from 0 on, saw {}", launch.speed));
  for (auto& file : launch.captures) {
    if (fs::is_directory(file))
      return usage("--capture", file + " is a folder; name the files in it, each with a --capture of its own");
    if (!fs::is_regular_file(file)) return usage("--capture", "no such file: " + file);
    file = fs::absolute(file).lexically_normal();
  }
  return {};
}

// An installation without the guide's files has the defaults.
Result<void> find_storage_configuration(LaunchOptions& launch) {
  const auto shipped = launcher::install_root() + "/services/data-storage-service/config/unified_storage_service.yaml";
  if (launch.storage_config.empty() && fs::exists(shipped)) launch.storage_config = shipped;
  if (launch.storage_config.empty()) return {};
  if (!fs::exists(launch.storage_config)) return usage("--storage-config", "no such file: " + launch.storage_config);
  launch.storage_config = fs::absolute(launch.storage_config).lexically_normal();
  return {};
}

// NAME or NAME:MARKET -> its markets.
Result<std::vector<launcher::Market>> markets_of(const std::string& selection) {
  const auto colon = selection.find(':');
  const auto found = find_exchange(selection.substr(0, colon));
  if (!found) return usage("--exchange", found.error().where + " " + found.error().seen);
  const auto& markets = (*found)->markets;
  std::vector<launcher::Market> chosen;
  for (const auto& market : markets) {
    if (colon == std::string::npos || market == selection.substr(colon + 1))
      chosen.push_back({(*found)->name, market, {}});
  }
  if (!chosen.empty()) return chosen;
  return usage("--exchange", no_such_market((*found)->name, markets, selection.substr(colon + 1)));
}

Result<void> plan_collection(const Options& o, LaunchOptions& launch) {
  if (auto found = find_storage_configuration(launch); !found) return found;
  if (o.exchanges.empty() && o.symbols.empty()) {
    if (launch.config.empty()) launch.config = launcher::install_root() + "/services/data-collector/config";
    if (!fs::exists(launch.config)) return usage("--config", "no such file or folder: " + launch.config);
    launch.config = fs::absolute(launch.config).lexically_normal();
    return {};
  }
  auto selections = o.exchanges;
  if (selections.empty()) selections.push_back(exchanges().front().name);
  for (const auto& selection : selections) {
    auto markets = markets_of(selection);
    if (!markets) return markets.error();
    for (auto& market : *markets) {
      market.symbols = o.symbols.empty() ? std::vector<std::string>{"BTC-USDT", "ETH-USDT"} : split(o.symbols);
      launch.markets.push_back(std::move(market));
    }
  }
  return {};
}

Result<LaunchOptions> understand(const CLI::App& cli, const Options& o) {
  if (auto ok = check_modes(cli, o); !ok) return ok.error();
  LaunchOptions launch = o.launch;
  launch.mode = o.sim ? Mode::simulated : launch.captures.empty() ? Mode::live : Mode::replay;
  if (!launch.database.empty() && !is_database_name(launch.database)) {
    return usage("--database", fmt::format("letters, digits and _ only, saw '{}'", launch.database));
  }
  if (!nats::is_stream_name(launch.stream)) {
    return usage("--stream", fmt::format("{}, saw '{}'", nats::kStreamNameRule, launch.stream));
  }
  if (!o.run_for.empty()) {
    const auto time = parse_duration(o.run_for);
    if (!time || *time <= Nanos{0})
      return usage("--for", fmt::format("a time like 20s, 5m or 2h, saw '{}'", o.run_for));
    launch.run_for = std::chrono::duration_cast<std::chrono::milliseconds>(*time);
  }
  const auto ports = launcher::shifted(launch.ports, o.port_offset);
  if (!ports) return ports.error();
  launch.ports = *ports;
  launch.data = fs::absolute(o.data).lexically_normal();
  if (launch.data.ends_with('/')) launch.data.pop_back();
  for (auto* file : {&launch.ledger, &launch.final_books}) {
    if (!file->empty()) *file = fs::absolute(*file).lexically_normal();
  }
  if (auto ok = check_output("--ledger", launch.ledger); !ok) return ok.error();
  if (auto ok = check_output("--final-books", launch.final_books); !ok) return ok.error();
  Result<void> planned{};
  switch (launch.mode) {
    case Mode::live: planned = plan_collection(o, launch); break;
    case Mode::simulated: planned = plan_simulation(o, launch); break;
    case Mode::replay: planned = plan_play_back(launch); break;
  }
  if (!planned) return planned.error();
  return launch;
}

// By the collector itself, so that both say the same: before anything runs. It tells what is wrong on standard error.
int check_collector(const launcher::Plan& plan) {
  auto arguments = plan.parts[plan.collector].argv;
  arguments.push_back("--check");
  std::vector<char*> argv;
  for (std::size_t i = 1; i < arguments.size(); ++i) argv.push_back(arguments[i].data());
  const int count = static_cast<int>(argv.size());
  argv.push_back(nullptr);
  return run_collector(count, argv.data());
}

Result<int> start(const LaunchOptions& launch, const Options& o) {
  const auto log_max_bytes = config::parse_size(o.log_max_bytes);
  if (!log_max_bytes || *log_max_bytes < (64u << 10))
    return usage("--log-max-bytes", fmt::format("a size like 32MB, at least 64KB, saw '{}'", o.log_max_bytes));
  const auto tools = launcher::find_tools();
  if (!tools) return tools.error();
  const auto plan = launcher::make_plan(launch, *tools);
  if (auto ok = launcher::check_distinct(plan.ports); !ok) return ok.error();
  if (auto ok = launcher::check_folder(launch.data); !ok) return ok.error();
  if (auto ok = launcher::check_folder(launch.data + "/run"); !ok) return ok.error();
  const auto lock = launcher::FolderLock::take(launch.data + "/run");
  if (!lock) return lock.error();
  if (auto ok = launcher::check_ports(plan.ports); !ok) return ok.error();
  if (auto ok = launcher::make_folders_and_files(plan); !ok) return ok.error();
  if (const int refused = check_collector(plan); refused != 0) return refused;
  return launcher::run(plan, {.mode = launch.mode,
                              .data = launch.data,
                              .run_for = launch.run_for,
                              .exit_when_done = launch.exit_when_done,
                              .stream = launch.stream,
                              .log_max_bytes = *log_max_bytes,
                              .log_files = o.log_files});
}

}  // namespace

int run_up(int argc, char** argv) {
  Options options;
  auto cli = make_cli(
      "up",
      "Starts NATS, embedded ClickHouse, storage and collector on this machine, watches them, and stops them in order.",
      kExamples);
  add_options(*cli, options);
  if (const auto status = parse_cli(*cli, argc, argv)) return *status;
  std::error_code no_proc;
  const auto program = fs::read_symlink("/proc/self/exe", no_proc);
  options.launch.command = {no_proc ? "marketprism" : program.string()};
  options.launch.directory = fs::current_path(no_proc).string();
  options.launch.command.insert(options.launch.command.end(), argv, argv + argc);
  auto variables = set_variables();
  options.launch.variables = std::move(variables.values);
  options.launch.secret_variables = std::move(variables.secrets);
  const auto launch = understand(*cli, options);
  if (!launch) {
    fail("up", launch.error().text());
    return launch.error().code == Errc::usage ? 2 : 1;
  }
  warn_about_variables();
  launcher::block_signals();
  const auto status = start(*launch, options);
  if (status) return *status;
  fail("up", status.error().text());
  return status.error().code == Errc::usage ? 2 : 1;
}

}  // namespace mp::app
