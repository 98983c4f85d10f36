// marketprism collector: from the venues, or from recordings, to the bus.
#include <fmt/format.h>

#include <signal.h>

#include <cmath>
#include <filesystem>

#include "app/cli.hpp"
#include "app/commands.hpp"
#include "app/variables.hpp"
#include "base/log.hpp"
#include "config/files.hpp"
#include "exchanges/exchange.hpp"
#include "journal/recordings.hpp"
#include "services/data-collector/src/collector.hpp"
#include "services/data-collector/src/config.hpp"
#include "telemetry/logging.hpp"

namespace mp::app {
namespace {

const std::string kExamples =
    "  marketprism collector --config services/data-collector/config\n"
    "  marketprism collector --config collector.yaml --nats nats://10.0.0.5:4222 --health 0.0.0.0:8086\n"
    "  marketprism collector --data-source replay --capture monday.jsonl --speed 10 --exit-when-done\n"
    "      play a recording ten times as fast as it was, and end when it is stored in the stream\n"
    "  marketprism collector --config collector.yaml --check\n"
    "      say what is wrong with the configuration, and do nothing else\n"
    "  kill -TERM PID\n"
    "      ends in order: what was received is published, the rest waits in the journal\n";

struct Options {
  std::vector<std::string> config;
  std::vector<std::string> captures;
  double speed = 1;
  bool exit_when_done = false;
  std::string final_books;
  std::string end_report;
  bool check = false;
  std::map<std::string, std::string> flags;  // option -> value, only those given
};

// Options that stand for a key of the configuration.
struct KeyOption {
  const char* option;
  const char* path;
  const char* help;
};
constexpr KeyOption kKeyOptions[] = {
    {"mode", "mode", "launcher: the complete data collection, which is the default (COLLECTOR_MODE)"},
    {"--data-source", "data_source", "live, simulated or replay: marks every event"},
    {"--nats", "nats.url", "where NATS is"},
    {"--stream", "nats.stream", "name of the JetStream stream"},
    {"--journal", "journal.directory", "where raw frames are kept"},
    {"--health", "health.listen", "address of GET /health"},
    {"--metrics", "metrics.listen", "address of GET /metrics"},
    {"--ca-file", "network.ca_file", "certificates to trust instead of the system's, PEM"},
    {"--log-level", "logging.level", "debug, info, warn or error"},
    {"--log-format", "logging.format", "text or json"},
    {"--log-file", "logging.file", "also write the log here, rotated"},
};

void add_options(CLI::App& cli, Options& options) {
  cli.add_option("--config", options.config, "configuration: a YAML file, or a folder of them; repeatable");
  cli.add_option("--capture", options.captures,
                 "play this recording (capture JSON lines) instead of collecting; repeatable");
  cli.add_option("--speed", options.speed, "of the play-back: 1 is the recording's own pace, 0 as fast as it goes");
  cli.add_flag("--exit-when-done", options.exit_when_done, "end when the recording is stored in the stream");
  cli.add_option("--final-books", options.final_books, "at the end write every book held to this file, as JSON lines");
  cli.add_option("--end-report", options.end_report,
                 "at the end write how many events the bus had not taken to this file, as JSON");
  cli.add_flag("--check", options.check, "read and check the configuration only; exit status 2 when it cannot work");
  for (const auto& key : kKeyOptions) cli.add_option(key.option, options.flags[key.option], key.help);
}

std::vector<config::Flag> given_flags(const CLI::App& cli, const Options& options) {
  std::vector<config::Flag> flags;
  for (const auto& key : kKeyOptions)
    if (cli.count(key.option) > 0) flags.push_back({key.path, options.flags.at(key.option), key.option});
  return flags;
}

Result<collector::Settings> settings_of(const CLI::App& cli, const Options& options) {
  auto root = config::load_files(options.config);
  if (!root) return root.error();
  config::Config config(std::move(*root), config::process_environment(), given_flags(cli, options));
  auto settings = collector::read_settings(config);
  if (!settings) return settings.error();
  settings->options.playback = {options.captures, options.speed};
  settings->options.exit_when_done = options.exit_when_done;
  settings->options.final_books_file = options.final_books;
  settings->options.end_report_file = options.end_report;
  return settings;
}

// What cannot be told from single values.
Result<void> check(const collector::CollectorOptions& options) {
  if (auto ok = check_output("--final-books", options.final_books_file); !ok) return ok;
  if (auto ok = check_output("--end-report", options.end_report_file); !ok) return ok;
  if (options.playback.files.empty()) {
    if (options.sources.empty())
      return Error{Errc::usage, "exchanges",
                   "nothing to collect: name exchanges and symbols in --config FILE, or a recording by --capture"};
    if (options.exit_when_done) return Error{Errc::usage, "--exit-when-done", "needs --capture"};
    if (options.data_source == DataSource::replay) return Error{Errc::usage, "data_source", "replay needs --capture"};
    return {};
  }
  if (!std::isfinite(options.playback.speed) || options.playback.speed < 0)
    return Error{Errc::usage, "--speed", fmt::format("must be a number from 0 on, saw {}", options.playback.speed)};
  if (options.data_source != DataSource::replay)
    return Error{Errc::usage, "data_source", "a recording is played with --data-source replay"};
  for (const auto& file : options.playback.files)
    if (!std::filesystem::exists(file)) return Error{Errc::usage, "--capture", "no such file: " + file};
  return {};
}

telemetry::LoggingOptions logging_of(const config::LogSettings& settings) {
  telemetry::LoggingOptions logging;
  logging.part = "collector";
  logging.level = settings.level;
  logging.format = settings.json ? telemetry::LogFormat::json : telemetry::LogFormat::text;
  logging.file = settings.file;
  logging.file_max_bytes = settings.max_bytes;
  logging.file_count = settings.files;
  return logging;
}

// On SIGHUP: the configuration as it stands now; what cannot be taken over is told and stays as it is.
Result<collector::CollectorOptions> read_again(const CLI::App& cli, const Options& options,
                                               collector::Settings& present) {
  auto now = settings_of(cli, options);
  if (now)
    if (const auto ok = check(now->options); !ok) now = ok.error();
  if (!now) {
    log::error("the configuration cannot be taken over; what runs goes on as before", {{"error", now.error()}});
    return now.error();
  }
  for (const auto& key : keys_that_need_a_restart(present, *now))
    log::warn("a changed key needs a restart of the collector; it goes on with the old value", {{"key", key}});
  telemetry::set_log_level(now->logging.level);
  // What needs a restart is told again as long as it differs from what runs.
  present.logging.level = now->logging.level;
  return now->options;
}

}  // namespace

int run_collector(int argc, char** argv) {
  Options options;
  auto cli = make_cli("collector",
                      "Collects market data: journals every frame, decodes it, publishes events to NATS JetStream.",
                      kExamples);
  add_options(*cli, options);
  if (const auto status = parse_cli(*cli, argc, argv)) return *status;
  auto settings = settings_of(*cli, options);
  if (!settings) {
    fail("collector", settings.error().text());
    return 2;  // also a file that cannot be read: what was named is wrong
  }
  if (const auto ok = check(settings->options); !ok) {
    fail("collector", ok.error().text());
    return 2;
  }
  if (options.check) {
    if (settings->options.playback.files.empty()) return 0;
    const std::vector<std::filesystem::path> recordings(settings->options.playback.files.begin(),
                                                        settings->options.playback.files.end());
    const auto plan = journal::plan_recordings(recordings, source_of_url, settings->options.journal.directory);
    if (!plan) fail("collector", plan.error().text());
    return plan ? 0 : 2;
  }
  if (const auto started = telemetry::start_logging(logging_of(settings->logging)); !started)
    return fail("collector", started.error().text());
  warn_about_variables();
  ::signal(SIGHUP, SIG_IGN);  // until it can be taken
  const auto options_at_start = settings->options;
  const auto done = collector::run_collector(options_at_start, [&] { return read_again(*cli, options, *settings); });
  if (!done) log::error("the collector cannot run", {{"error", done.error()}});
  const bool refused = done && done->why == collector::Ended::Why::refused;
  if (refused) log::error("the configuration names what cannot be collected", {{"error", done->refusal}});
  telemetry::stop_logging();
  if (!done) return fail("collector", done.error().text());
  if (!refused) return 0;
  fail("collector", done->refusal.text());
  return 2;
}

}  // namespace mp::app
