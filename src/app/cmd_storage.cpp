// marketprism storage: the storage service.
#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <string>
#include <vector>

#include "app/cli.hpp"
#include "app/commands.hpp"
#include "app/variables.hpp"
#include "base/log.hpp"
#include "data-storage-service/src/foreign_rows.hpp"
#include "data-storage-service/src/storage.hpp"
#include "telemetry/logging.hpp"

namespace mp::app {
namespace {

const std::string kExamples =
    "  marketprism storage\n"
    "      NATS on nats://127.0.0.1:4222, ClickHouse on http://localhost:8123, database marketprism_hot\n"
    "  marketprism storage --config services/data-storage-service/config/unified_storage_service.yaml\n"
    "  marketprism storage --data-source simulated --database marketprism_sim_hot\n"
    "  CLICKHOUSE_USER=writer CLICKHOUSE_PASSWORD=... marketprism storage --clickhouse https://ch.example:8443\n";

// A flag sets a key of the configuration; it wins over environment and file.
struct FlagOption {
  const char* option;
  const char* path;
  const char* help;
};
constexpr std::array kFlags{
    FlagOption{"--nats", "nats.url", "the bus; several servers separated by commas (NATS_URL)"},
    FlagOption{"--stream", "nats.stream", "name of the stream (NATS_STREAM)"},
    FlagOption{"--clickhouse", "clickhouse.url", "ClickHouse's HTTP interface (CLICKHOUSE_URL)"},
    FlagOption{"--database", "clickhouse.database", "where rows go (CLICKHOUSE_DB)"},
    FlagOption{"--user", "clickhouse.user", "ClickHouse user (CLICKHOUSE_USER; the password: CLICKHOUSE_PASSWORD)"},
    FlagOption{"--data-source", "storage.data_source", "what may enter the database: live, simulated or replay"},
    FlagOption{"--health", "health.listen", "ADDRESS:PORT of /health (127.0.0.1:8085)"},
    FlagOption{"--metrics", "metrics.listen", "ADDRESS:PORT of /metrics (127.0.0.1:9094)"},
    FlagOption{"--log-level", "logging.level", "debug, info, warn or error (LOG_LEVEL)"},
    FlagOption{"--log-file", "logging.file", "a rotating file beside standard output"},
};

struct Read {
  storage::StorageOptions options;
  std::vector<config::Setting> settings;
};

Result<Read> read(const std::vector<std::string>& files, const std::vector<config::Flag>& flags) {
  auto root = storage::load_configuration(files, config::process_environment(), flags);
  if (!root) return root.error();
  config::Config config{std::move(*root), config::process_environment(), flags};
  Read out{storage::read_options(config), {}};
  if (auto finished = config.finish(); !finished) return finished.error();
  if (auto fits = storage::check_database(out.options); !fits) return fits.error();
  out.settings = config.settings();
  return out;
}

// Blocks them in this thread and all that it starts, so that they are waited for here and interrupt nobody.
sigset_t block_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&signals, signal);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  return signals;
}

// The files and flags that the service was started with.
struct Origins {
  std::vector<std::string> files;
  std::vector<config::Flag> flags;
};

// What a running service does not take over, by the names of its keys.
void tell_what_needs_a_restart(const Read& present, const Read& now) {
  for (const auto& setting : now.settings) {
    if (setting.path.starts_with("batches.") || setting.path == "logging.level") continue;
    const auto old = std::ranges::find(present.settings, setting.path, &config::Setting::path);
    if (old == present.settings.end() || old->value == setting.value) continue;
    log::warn("a changed key needs a restart of storage; it goes on with the old value", {{"key", setting.path}});
  }
}

void reload(storage::Storage& service, const Origins& origins, const Read& present) {
  const auto now = read(origins.files, origins.flags);
  if (!now) {
    log::error("the configuration cannot be taken over; what runs goes on as before", {{"error", now.error()}});
    return;
  }
  tell_what_needs_a_restart(present, *now);
  telemetry::set_log_level(now->options.logging.level);
  service.set_batches(now->options.batches);
  log::info("the configuration has been taken over", {{"log_level", log::to_string(now->options.logging.level)}});
}

int serve(const Read& start, const Origins& origins) {
  const auto signals = block_signals();
  auto service = storage::Storage::start(start.options);
  if (!service) {
    fail("storage", service.error().text());
    return service.error().code == Errc::usage ? 2 : 1;
  }
  log::info("storage started", {{"health", (*service)->health_address()}, {"metrics", (*service)->metrics_address()}});
  int signal = 0;
  do {
    ::sigwait(&signals, &signal);
    if (signal == SIGHUP) reload(**service, origins, start);
  } while (signal == SIGHUP);
  log::info("stopping: storing what has been taken", {{"signal", signal}});
  ::pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);  // a second one ends at once
  (*service)->stop();
  log::info("stopped");
  return 0;
}

}  // namespace

int run_storage(int argc, char** argv) {
  const auto cli = make_cli(
      "storage", "The storage service: from the NATS stream into ClickHouse, every row exactly once.", kExamples);
  std::vector<std::string> files;
  std::array<std::string, kFlags.size()> values;
  cli->add_option("--config", files, "a YAML file, repeatable; flags and environment win over it");
  for (std::size_t i = 0; i < kFlags.size(); ++i) cli->add_option(kFlags[i].option, values[i], kFlags[i].help);
  if (const auto status = parse_cli(*cli, argc, argv)) return *status;
  std::vector<config::Flag> flags;
  for (std::size_t i = 0; i < kFlags.size(); ++i) {
    if (cli->count(kFlags[i].option) > 0) flags.push_back({kFlags[i].path, values[i], kFlags[i].option});
  }
  const Origins origins{files, std::move(flags)};
  const auto start = read(origins.files, origins.flags);
  if (!start) {
    fmt::print(stderr, "marketprism storage: {} (see --help)\n", start.error().text());
    return 2;
  }
  if (auto logging = telemetry::start_logging(start->options.logging); !logging)
    return fail("storage", logging.error().text());
  warn_about_variables();
  const int status = serve(*start, origins);
  telemetry::stop_logging();
  return status;
}

}  // namespace mp::app
