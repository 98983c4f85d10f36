#pragma once
// What the storage service is told: flags over environment over file over defaults.

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "clickhouse/client.hpp"
#include "config/config.hpp"
#include "model/event.hpp"
#include "nats/connection.hpp"
#include "nats/jetstream.hpp"
#include "sinks/clickhouse/batcher.hpp"
#include "telemetry/logging.hpp"

namespace mp::storage {

struct TrimOptions {
  std::chrono::milliseconds replay_window = std::chrono::hours{48};
  // A stream fuller than `high` percent is brought back to `low`, as far as everything there is stored.
  int high_percent = 80;
  int low_percent = 60;
  std::chrono::milliseconds interval = std::chrono::seconds{5};
  bool enabled = true;
};

// How whole days move from the hot to the cold database before they expire.
struct TierOptions {
  bool enabled = true;                                       // and there is a cold database and a time to live
  std::optional<clickhouse::ClientOptions> cold;             // nothing: the cold database is on the hot one's server
  std::chrono::milliseconds settle = std::chrono::hours{2};  // a day is copied once it has been over for so long
  std::chrono::milliseconds interval = std::chrono::seconds{60};  // between two looks
  std::chrono::milliseconds drop_after = std::chrono::hours{42};  // a verified day leaves the hot tables; 0: it expires
  std::chrono::milliseconds warn_before = std::chrono::hours{12};  // unhealthy when an unverified day expires so soon
  std::uint64_t chunk_bytes = 16u << 20;                           // of one insert, about
};

struct StorageOptions {
  nats::ConnectionOptions nats;
  nats::StreamConfig stream;
  bool change_stream = false;  // bring an existing stream to our settings

  clickhouse::ClientOptions clickhouse;
  std::string database = "marketprism_hot";
  std::string cold_database;  // "": none
  DataSource data_source = DataSource::live;
  std::optional<std::chrono::milliseconds> hot_ttl = std::chrono::hours{72};  // nothing: rows are kept
  std::string schema_file;                                                    // "": the one in the program

  std::map<DataType, sinks::clickhouse::BatchLimits> batches;  // of every type that is stored
  TrimOptions trim;
  TierOptions tiers;
  std::chrono::milliseconds lease_ttl = std::chrono::seconds{10};
  std::chrono::milliseconds ack_wait = std::chrono::minutes{5};
  std::chrono::milliseconds drain_timeout = std::chrono::seconds{20};  // after SIGTERM

  std::string health_listen = "127.0.0.1:8085";
  std::string metrics_listen = "127.0.0.1:9094";
  telemetry::LoggingOptions logging;
};

// The guide's batch table, and ours for the four types that it does not have.
std::map<DataType, sinks::clickhouse::BatchLimits> default_batches();

// The files of the service, and with them the one that storage.tiers_file names (relative to the file that names it).
Result<config::Node> load_configuration(const std::vector<std::string>& paths, const config::Environment& environment,
                                        const std::vector<config::Flag>& flags);

// Reads everything; what is wrong is told by config.finish().
StorageOptions read_options(config::Config& config);

// Where data of a source goes when nothing else is said: "marketprism_sim_hot".
const char* usual_database(DataSource source);

// services/data-storage-service/config/clickhouse_schema.sql as it was when the program was built.
std::string_view built_in_schema();

}  // namespace mp::storage
