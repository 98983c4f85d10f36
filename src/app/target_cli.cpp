#include "app/target_cli.hpp"

namespace mp::app {

void add_clickhouse_options(CLI::App& cli, TargetOptions& o) {
  auto& f = o.flags;
  cli.add_option("--data", f.data, "data folder of a `marketprism up`, whose addresses and database are used");
  cli.add_option("--url", f.clickhouse,
                 "ClickHouse's HTTP interface (CLICKHOUSE_URL; else as `up` wrote, else http://localhost:8123)");
  cli.add_option("--database", f.database, "database (CLICKHOUSE_DB)");
  cli.add_flag("--sim", o.sim, "the same as --database marketprism_sim_hot");
  cli.add_flag("--replay", o.replay, "the same as --database marketprism_replay_hot");
  cli.add_flag("--cold", o.cold, "the same as --database marketprism_cold");
  cli.add_option("--user", f.user, "ClickHouse user (CLICKHOUSE_USER)");
  cli.add_option("--password-file", f.password_file,
                 "file whose first line is the password (else CLICKHOUSE_PASSWORD)");
}

void add_part_options(CLI::App& cli, TargetOptions& o) {
  auto& f = o.flags;
  cli.add_option("--collector-config", f.collector_config,
                 "the collector's configuration; else that of `up`, else the sample");
  cli.add_option("--storage-config", f.storage_config, "the storage service's configuration");
  cli.add_option("--nats", f.nats, "NATS (NATS_URL)");
  cli.add_option("--nats-http", f.nats_http, "NATS monitoring; else port 8222 beside NATS");
  cli.add_option("--stream", f.stream, "name of the stream (NATS_STREAM)");
  cli.add_option("--collector-health", f.collector_health, "ADDRESS:PORT of the collector's /health (127.0.0.1:8086)");
  cli.add_option("--collector-metrics", f.collector_metrics, "ADDRESS:PORT of its /metrics (127.0.0.1:9093)");
  cli.add_option("--storage-health", f.storage_health, "ADDRESS:PORT of storage's /health (127.0.0.1:8085)");
  cli.add_option("--storage-metrics", f.storage_metrics, "ADDRESS:PORT of its /metrics (127.0.0.1:9094)");
}

Result<operate::Target> understand_target(const TargetOptions& o) {
  auto flags = o.flags;
  const int named = (o.sim ? 1 : 0) + (o.replay ? 1 : 0) + (o.cold ? 1 : 0) + (flags.database.empty() ? 0 : 1);
  if (named > 1) return Error{Errc::usage, "--database, --sim, --replay and --cold", "name one database only"};
  if (o.sim) flags.database = "marketprism_sim_hot";
  if (o.replay) flags.database = "marketprism_replay_hot";
  if (o.cold) flags.database = "marketprism_cold";
  return operate::find_target(flags);
}

}  // namespace mp::app
