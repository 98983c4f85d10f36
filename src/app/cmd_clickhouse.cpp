// marketprism clickhouse: the ClickHouse engine behind ClickHouse's HTTP interface.
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <string>

#include "app/cli.hpp"
#include "app/commands.hpp"
#include "app/variables.hpp"
#include "base/log.hpp"
#include "base/time.hpp"
#include "config/config.hpp"
#include "engine/clickhouse_server.hpp"
#include "telemetry/logging.hpp"

namespace mp::app {
namespace {

const std::string kExamples =
    "  marketprism clickhouse --data ./data/clickhouse\n"
    "      serves what is stored there on http://127.0.0.1:8123 (SIGTERM or Ctrl-C ends it in "
    "order)\n"
    "  curl http://127.0.0.1:8123/ --data-binary 'SELECT count() FROM marketprism_hot.trades'\n"
    "  marketprism clickhouse --data ./data/clickhouse --http 127.0.0.1:0\n"
    "      a free port, told on standard output\n"
    "  marketprism clickhouse --data ./data/clickhouse --http 0.0.0.0:8123 --user market "
    "--password-file secret.txt\n"
    "      reachable from other machines, with a password (also: CLICKHOUSE_USER, "
    "CLICKHOUSE_PASSWORD)\n";

struct Options {
  std::string data;
  std::string http = "127.0.0.1:8123";
  std::string user;
  std::string password_file;
  std::size_t max_connections = 128;
  std::uint64_t max_memory = 0;
  std::uint64_t keep_free = engine::EngineLimits{}.keep_free_bytes;
  std::string stop_grace = "30s";
  std::string log_file;
  std::string log_level = "info";
};

struct Plan {
  std::string data;
  engine::EngineLimits limits;
  engine::ClickHouseServerOptions server;
  std::chrono::milliseconds stop_grace{};
  telemetry::LoggingOptions logging;
};

void add_options(CLI::App& cli, Options& o) {
  cli.add_option("--data", o.data, "directory that holds the databases; made when it is not there")->required();
  cli.add_option("--http", o.http, "ADDRESS:PORT to serve on; port 0 takes a free one");
  cli.add_option("--user", o.user, "the one user there is (else CLICKHOUSE_USER, else default)");
  cli.add_option("--password-file", o.password_file,
                 "file whose first line is the password (else CLICKHOUSE_PASSWORD, else none)");
  cli.add_option("--max-connections", o.max_connections, "a client beyond these gets status 503")
      ->check(CLI::PositiveNumber);
  cli.add_option("--max-memory", o.max_memory,
                 "for all statements together, e.g. 2GB; 0: half of this machine's memory")
      ->transform(CLI::AsSizeValue(false));
  cli.add_option(
         "--keep-free", o.keep_free,
         "inserts and merges are refused while less of the disk is free: the engine does not survive a full one")
      ->transform(CLI::AsSizeValue(false));
  cli.add_option("--stop-grace", o.stop_grace, "how long statements may go on when it is told to stop, e.g. 30s");
  cli.add_option("--log-file", o.log_file, "also write log lines to this file");
  cli.add_option("--log-level", o.log_level, "debug (with every failed statement), info, warn or error");
}

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

Result<std::string> read_password(const std::string& file) {
  if (file.empty()) return environment("CLICKHOUSE_PASSWORD");
  std::ifstream in(file);
  std::string line;
  if (!in || (!std::getline(in, line) && in.bad()))
    return Error{Errc::usage, "--password-file", file + " cannot be read"};
  if (!line.empty() && line.back() == '\r') line.pop_back();
  return line;
}

Result<Plan> make_plan(const Options& o) {
  Plan plan;
  if (o.data.empty()) return Error{Errc::usage, "--data", "names no folder"};
  if (const auto library = environment("MARKETPRISM_LIBCHDB");
      !library.empty() && !std::filesystem::is_regular_file(library))
    return Error{Errc::usage, "MARKETPRISM_LIBCHDB", "no such file: " + library};
  plan.data = o.data;
  plan.limits.max_memory_bytes = o.max_memory;
  plan.limits.keep_free_bytes = o.keep_free;
  plan.server.listen = o.http;
  plan.server.max_connections = o.max_connections;
  plan.server.credentials.user = !o.user.empty() ? o.user : environment("CLICKHOUSE_USER");
  if (plan.server.credentials.user.empty()) plan.server.credentials.user = "default";
  auto password = read_password(o.password_file);
  if (!password) return password.error();
  plan.server.credentials.password = *password;
  const auto grace = parse_duration(o.stop_grace);
  if (!grace) return Error{Errc::usage, "--stop-grace: " + grace.error().where, o.stop_grace};
  plan.stop_grace = std::chrono::duration_cast<std::chrono::milliseconds>(*grace);
  const auto level = log::parse_level(o.log_level);
  if (!level) return Error{Errc::usage, "--log-level must be debug, info, warn or error", o.log_level};
  if (!config::parse_address(o.http))
    return Error{Errc::usage, "--http must be ADDRESS:PORT, e.g. 127.0.0.1:8123", o.http};
  if (o.max_connections == 0) return Error{Errc::usage, "--max-connections must be at least 1", "0"};
  plan.logging = {.part = "clickhouse", .level = *level, .file = o.log_file};
  return plan;
}

// Before any thread is started, so that all inherit it: the signals wait for sigwait().
sigset_t block_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, signal);
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  return set;
}

int serve(const Plan& plan, const sigset_t& signals) {
  auto engine = engine::Engine::open(plan.data, plan.limits);
  if (!engine) return fail("clickhouse", engine.error().text());
  auto options = plan.server;
  options.on_failure = [](const std::string& text) { log::debug("statement failed", {{"error", text}}); };
  auto server = engine::ClickHouseServer::start(**engine, std::move(options));
  if (!server) return fail("clickhouse", server.error().text());
  fmt::print("ClickHouse (libchdb {}) is serving http://{}, data in {}\n", (*engine)->version(), (*server)->address(),
             (*engine)->data_directory());
  std::fflush(stdout);

  int signal = 0;
  ::sigwait(&signals, &signal);
  log::info("stopping", {{"signal", signal == SIGINT ? "SIGINT" : signal == SIGTERM ? "SIGTERM" : "SIGHUP"}});
  if (!(*server)->stop(plan.stop_grace)) {
    // What was answered is on disk; the lock goes with the process.
    log::error("a statement did not end even when it was told to; leaving without waiting for it");
    telemetry::stop_logging();
    ::_exit(1);
  }
  server->reset();
  engine->reset();
  log::info("stopped, all data written");
  return 0;
}

}  // namespace

int run_clickhouse(int argc, char** argv) {
  Options options;
  const auto cli = make_cli(
      "clickhouse", "ClickHouse without a server: the real engine (libchdb) behind its HTTP interface.", kExamples);
  add_options(*cli, options);
  if (const auto status = parse_cli(*cli, argc, argv)) return *status;
  const auto plan = make_plan(options);
  if (!plan) {
    fmt::print(stderr, "marketprism clickhouse: {} (see --help)\n", plan.error().text());
    return 2;
  }
  const sigset_t signals = block_signals();
  if (auto logging = telemetry::start_logging(plan->logging); !logging)
    return fail("clickhouse", logging.error().text());
  warn_about_variables();
  const int status = serve(*plan, signals);
  telemetry::stop_logging();
  return status;
}

}  // namespace mp::app
