// marketprism tier: from the hot to the cold database, once; and how far it is.
#include <fmt/format.h>
#include <unistd.h>

#include "app/cli.hpp"
#include "app/commands.hpp"
#include "app/operate/tier_view.hpp"
#include "app/variables.hpp"
#include "base/text.hpp"
#include "clickhouse/client.hpp"
#include "config/files.hpp"
#include "data-storage-service/src/storage.hpp"
#include "data-storage-service/src/tiers.hpp"
#include "net/http_client.hpp"
#include "telemetry/logging.hpp"

namespace mp::app {
namespace {

const std::string kExamples =
    "  marketprism tier status\n"
    "      what the storage service that runs says: lag, last verified day of each table, what is about to expire\n"
    "  marketprism tier status --json | python3 -m json.tool\n"
    "  marketprism tier run --config services/data-storage-service/config/unified_storage_service.yaml\n"
    "      one round without the service: copies what is missing of every settled day, verifies it, drops what is due\n";

struct Options {
  std::vector<std::string> files;
  std::string database;
  std::string health;
  bool json = false;
};

Result<storage::StorageOptions> read(const Options& options) {
  std::vector<config::Flag> flags;
  if (!options.database.empty()) flags.push_back({"clickhouse.database", options.database, "--database"});
  if (!options.health.empty()) flags.push_back({"health.listen", options.health, "--health"});
  auto root = storage::load_configuration(options.files, config::process_environment(), flags);
  if (!root) return root.error();
  config::Config config{std::move(*root), config::process_environment(), flags};
  auto read = storage::read_options(config);
  if (auto finished = config.finish(); !finished) return finished.error();
  return read;
}

// What moves must be there: a mistyped name would be made, with all its tables, and nothing found in it.
Result<void> check_hot_database(const storage::StorageOptions& options) {
  clickhouse::Client client{options.clickhouse};
  const auto rows = client.rows(
      {"SELECT name FROM system.databases WHERE lower(name) NOT IN ('system', 'information_schema') ORDER BY name FORMAT TabSeparated"});
  if (!rows) return rows.error();
  std::vector<std::string> names;
  for (const auto& row : *rows) names.push_back(row.at(0));
  if (std::find(names.begin(), names.end(), options.database) != names.end()) return {};
  const auto near = nearest(options.database, names);
  return Error{Errc::usage, "clickhouse.database",
               fmt::format("there is no database {} at {}; {}", options.database, client.address(),
                           !near.empty() ? fmt::format("did you mean {}?", near)
                                         : fmt::format("there are: {}", fmt::join(names, ", ")))};
}

int print(const std::string& tiers, bool json, const char* command) {
  const auto view = operate::tier_view(tiers, operate::screen_of(STDOUT_FILENO));
  if (!view) return fail(command, view.error().text());
  fmt::print("{}", json ? tiers + "\n" : view->text);
  return view->is_well ? 0 : 1;
}

int run_once(storage::StorageOptions options, bool json) {
  if (!storage::tiers_are_on(options))
    return fail("tier run", "nothing moves: it needs live data, clickhouse.hot_ttl, a cold database and tiers.enabled");
  if (const auto there = check_hot_database(options); !there) {
    fail("tier run", there.error().text());
    return there.error().code == Errc::usage ? 2 : 1;
  }
  const auto schema = storage::schema_of(options);
  if (!schema) return fail("tier run", schema.error().text());
  telemetry::Metrics metrics;
  storage::Bus bus{options};
  storage::Schema tables{options, *schema};
  storage::TierMover mover{options, bus, tables, metrics};
  const auto done = mover.run_once({});
  if (!done) return fail("tier run", done.error().text());
  return print(storage::tier_json(*done), json, "tier run");
}

// The part of /health: balanced braces from `"tiers":` on.
std::string tiers_in(const std::string& health) {
  const auto at = health.find("\"tiers\":{");
  if (at == std::string::npos) return "";
  const auto begin = at + 8;
  int depth = 0;
  for (auto end = begin; end < health.size(); ++end) {
    if (health[end] == '{') ++depth;
    if (health[end] == '}' && --depth == 0) return health.substr(begin, end + 1 - begin);
  }
  return "";
}

int show(const storage::StorageOptions& options, bool json) {
  const auto answer = net::HttpClient().request({.url = "http://" + options.health_listen + "/health"});
  if (!answer) return fail("tier status", answer.error().text() + "; does storage run? --health names its address");
  const auto tiers = tiers_in(answer->body);
  if (tiers.empty())
    return fail("tier status", "the storage service at " + options.health_listen +
                                   " moves nothing: tiers are off, or its data does not expire");
  return print(tiers, json, "tier status");
}

}  // namespace

int run_tier(int argc, char** argv) {
  auto cli = make_cli(
      "tier", "Days that move from the hot to the cold database. The storage service does it by itself.", kExamples);
  cli->require_subcommand(1);
  Options options;
  auto* run_command =
      cli->add_subcommand("run", "one round; exit status 1 when a day could not be verified in time or differs");
  auto* status_command =
      cli->add_subcommand("status", "what the storage service says; exit status 1 when something is wrong");
  for (auto* command : {run_command, status_command}) {
    command->add_option("--config", options.files, "configuration of the storage service; repeatable");
    command->add_option("--database", options.database, "the hot database (CLICKHOUSE_DB)");
    command->add_flag("--json", options.json, "one line of JSON for programs");
  }
  status_command->add_option("--health", options.health, "ADDRESS:PORT of storage's /health");
  if (const auto status = parse_cli(*cli, argc, argv)) return *status;
  auto read_options = read(options);
  if (!read_options) {
    fail("tier", read_options.error().text());
    return 2;
  }
  if (status_command->parsed()) return show(*read_options, options.json);
  auto logging = read_options->logging;
  logging.part = "tier";
  logging.standard_output = false;
  if (const auto started = telemetry::start_logging(logging); !started) return fail("tier", started.error().text());
  warn_about_variables();
  const int status = run_once(std::move(*read_options), options.json);
  telemetry::stop_logging();
  return status;
}

}  // namespace mp::app
