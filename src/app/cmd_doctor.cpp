// marketprism doctor: what is wrong, and what mends it.
#include <fmt/format.h>
#include <unistd.h>

#include "app/commands.hpp"
#include "app/operate/doctor.hpp"
#include "app/operate/query.hpp"
#include "app/target_cli.hpp"

namespace mp::app {
namespace {

const std::string kDescription =
    "Looks at ports and who holds them, NATS and its stream, ClickHouse and its tables, both services, the venues' addresses\n"
    "(through the proxy if there is one), streams, clock, disks and versions. Each finding has its severity and its cure; the\n"
    "commands can be typed as they stand. Changes nothing.\n"
    "Exit status: 0 nothing but notes, 3 warnings, 4 errors (1: it could not look, 2: wrong usage).";

const std::string kExamples =
    "  marketprism doctor\n"
    "  marketprism doctor --offline                       without trying the venues\n"
    "  marketprism doctor --data /srv/marketprism         of a `marketprism up` with that data folder\n"
    "  marketprism doctor --collector-config collector.yaml --storage-config storage.yaml\n"
    "  marketprism doctor --json | python3 -m json.tool\n";

}  // namespace

int run_doctor(int argc, char** argv) {
  TargetOptions target_options;
  operate::DoctorOptions options;
  bool json = false;
  auto cli = make_cli("doctor", kDescription, kExamples);
  cli->add_flag("--offline", options.offline, "do not try the venues' addresses (those on this machine are tried)");
  cli->add_flag("--json", json, "one line of JSON for programs");
  add_clickhouse_options(*cli, target_options);
  add_part_options(*cli, target_options);
  if (const auto status = parse_cli(*cli, argc, argv)) return *status;
  auto target = understand_target(target_options);
  if (!target) {
    fail("doctor", target.error().text());
    return target.error().code == Errc::usage ? 2 : 1;
  }
  options.target = std::move(*target);
  if (!options.target.database_is_named) {
    clickhouse::Client client(options.target.storage.clickhouse);
    if (const auto found = operate::find_database(client);
        found && !found->name.empty() && found->name != options.target.storage.database) {
      // Simulated and played-back data neither expire nor have a cold database.
      options.target.storage.database = found->name;
      options.target.storage.cold_database.clear();
      options.target.storage.hot_ttl.reset();
    }
  }
  const auto diagnosis = operate::examine(options);
  fmt::print("{}", json ? operate::diagnosis_json(diagnosis) + "\n"
                        : operate::diagnosis_text(diagnosis, operate::screen_of(STDOUT_FILENO)));
  return operate::exit_status(diagnosis);
}

}  // namespace mp::app
