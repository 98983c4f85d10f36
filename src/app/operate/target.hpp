#pragma once
// Where the parts of an installation are, for the commands that look at it from outside.

#include <map>
#include <optional>
#include <string>

#include "base/result.hpp"
#include "config/config.hpp"
#include "data-storage-service/src/options.hpp"
#include "services/data-collector/src/config.hpp"

namespace mp::operate {

// What the command line says; "" where it says nothing.
struct TargetFlags {
  std::string data = "data";  // of a `marketprism up`, whose addresses are read from there
  std::string storage_config, collector_config;
  std::string clickhouse, database, user, password_file;
  std::string nats, nats_http, stream;
  std::string storage_health, storage_metrics, collector_health, collector_metrics;
};

// Precedence: command line, environment, a `marketprism up` of the data folder (its addresses, and the variables that
// were set for it), configuration files, defaults.
struct Target {
  storage::StorageOptions storage;               // also where ClickHouse and NATS are
  collector::CollectorOptions collector;         // its venues only when `collector_config` is there
  std::string collector_config;                  // the file that was read; "" for none
  bool database_is_named = false;                // otherwise storage.database is only the usual one
  std::string nats_http;                         // "http://127.0.0.1:8222"
  std::string data;                              // absolute; "" when there is no such folder
  bool is_up = false;                            // the addresses are those of `marketprism up`
  std::string journal;                           // folder
  std::string command;                           // that started `up`; "" when it is not known
  std::string command_directory;                 // where it was typed
  std::map<std::string, std::string> variables;  // that were set for it
  std::string secret_variables;                  // the names of those that were and are not told, with commas
  std::string storage_config;                    // the file that was read, named or of `up`; "" for none

  std::string storage_health_url() const;
  std::string storage_metrics_url() const;
  std::string collector_health_url() const;
  std::string collector_metrics_url() const;
};

// Errc::usage for what cannot be understood, with its place.
Result<Target> find_target(const TargetFlags& flags,
                           const config::Environment& environment = config::process_environment());

// The address of a listener as a client of this machine says it: "0.0.0.0:8086" -> "http://127.0.0.1:8086".
std::string url_of_listener(const std::string& listen);

}  // namespace mp::operate
