#include "app/operate/target.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <fstream>

#include "app/launcher/plan.hpp"
#include "app/launcher/preflight.hpp"
#include "config/files.hpp"
#include "net/url.hpp"

namespace mp::operate {
namespace {

namespace fs = std::filesystem;
using Values = std::map<std::string, std::string>;

// What `marketprism up` wrote; empty when there is no such file.
struct Written {
  Values addresses;
  Values variables;
};

Result<config::Node> load(const std::string& file) {
  config::Node empty;
  empty.kind = config::Node::Kind::map;
  if (file.empty()) return empty;
  return config::load_files({file});
}

Result<Written> read_addresses(const std::string& data) {
  const auto file = fs::path(data) / "run" / launcher::kAddressesFile;
  if (data.empty() || !fs::is_regular_file(file)) return Written{};
  const auto node = config::load_yaml(file.string());
  if (!node) return node.error();
  Written written;
  for (const auto& entry : node->entries) {
    if (entry.key == "variables")
      for (const auto& variable : entry.value.entries) written.variables[variable.key] = variable.value.scalar;
    else
      written.addresses[entry.key] = entry.value.scalar;
  }
  return written;
}

// Each variable that stands for an address, behind the variables that are really set.
struct Named {
  const char* variable;
  const char* address;
};
constexpr Named kBoth[] = {{"NATS_URL", "nats"}, {"NATS_STREAM", "stream"}};
constexpr Named kStorage[] = {{"CLICKHOUSE_URL", "clickhouse"},
                              {"CLICKHOUSE_DB", "database"},
                              {"MARKETPRISM_CLICKHOUSE_COLD_DATABASE", "cold_database"},
                              {"MARKETPRISM_STORAGE_DATA_SOURCE", "data_source"},
                              {"MARKETPRISM_HEALTH_LISTEN", "storage_health"},
                              {"MARKETPRISM_METRICS_LISTEN", "storage_metrics"}};
constexpr Named kCollector[] = {{"MARKETPRISM_DATA_SOURCE", "data_source"},
                                {"MARKETPRISM_JOURNAL_DIRECTORY", "journal"},
                                {"MARKETPRISM_HEALTH_LISTEN", "collector_health"},
                                {"MARKETPRISM_METRICS_LISTEN", "collector_metrics"}};

template <std::size_t size>
void add_named(Values& to, const Values& addresses, const Named (&names)[size]) {
  for (const auto& name : names) {
    if (const auto found = addresses.find(name.address); found != addresses.end()) to[name.variable] = found->second;
  }
}

config::Environment behind(const config::Environment& first, Values then) {
  return [first, then = std::move(then)](const std::string& name) -> std::optional<std::string> {
    if (auto set = first(name); set && !set->empty()) return set;
    const auto found = then.find(name);
    return found == then.end() ? std::nullopt : std::optional(found->second);
  };
}

void add_flag(std::vector<config::Flag>& flags, const std::string& path, const std::string& value,
              const std::string& option) {
  if (!value.empty()) flags.push_back({path, value, option});
}

Result<storage::StorageOptions> read_storage(const TargetFlags& f, const std::string& file,
                                             const config::Environment& environment, const Written& written) {
  std::vector<std::string> files;
  if (!file.empty()) files.push_back(file);
  // What `up` tells its parts by options wins over its environment.
  Values then = written.variables;
  add_named(then, written.addresses, kBoth);
  add_named(then, written.addresses, kStorage);
  const auto all = behind(environment, std::move(then));
  auto root = storage::load_configuration(files, all, {});
  if (!root) return root.error();
  std::vector<config::Flag> flags;
  add_flag(flags, "clickhouse.url", f.clickhouse, "--url");
  add_flag(flags, "clickhouse.database", f.database, "--database");
  add_flag(flags, "clickhouse.user", f.user, "--user");
  add_flag(flags, "nats.url", f.nats, "--nats");
  add_flag(flags, "nats.stream", f.stream, "--stream");
  add_flag(flags, "health.listen", f.storage_health, "--storage-health");
  add_flag(flags, "metrics.listen", f.storage_metrics, "--storage-metrics");
  config::Config config{std::move(*root), all, std::move(flags)};
  auto options = storage::read_options(config);
  if (auto ok = config.finish(); !ok) return ok.error();
  if (f.password_file.empty()) return options;
  std::ifstream in(f.password_file);
  if (!in || !std::getline(in, options.clickhouse.password))
    return Error{Errc::usage, "--password-file", f.password_file + " cannot be read"};
  if (options.clickhouse.password.ends_with('\r')) options.clickhouse.password.pop_back();
  if (options.clickhouse.user.empty()) options.clickhouse.user = "default";
  return options;
}

Result<collector::CollectorOptions> read_collector(const TargetFlags& f, const std::string& file,
                                                   const config::Environment& environment, const Written& written) {
  auto root = load(file);
  if (!root) return root.error();
  Values then = written.variables;
  add_named(then, written.addresses, kBoth);
  add_named(then, written.addresses, kCollector);
  std::vector<config::Flag> flags;
  add_flag(flags, "nats.url", f.nats, "--nats");
  add_flag(flags, "nats.stream", f.stream, "--stream");
  add_flag(flags, "health.listen", f.collector_health, "--collector-health");
  add_flag(flags, "metrics.listen", f.collector_metrics, "--collector-metrics");
  config::Config config{std::move(*root), behind(environment, std::move(then)), std::move(flags)};
  auto settings = collector::read_settings(config);
  if (!settings) return settings.error();
  return std::move(settings->options);
}

// Beside the clients' address, on its usual port.
std::string monitoring_of(const std::vector<std::string>& urls) {
  const std::string first = urls.empty() ? "" : urls.front();
  auto host = first.substr(first.find("://") == std::string::npos ? 0 : first.find("://") + 3);
  host = host.substr(host.rfind('@') == std::string::npos ? 0 : host.rfind('@') + 1);
  host = host.substr(0, host.starts_with('[') ? host.find(']') + 1 : host.find(':'));
  return "http://" + (host.empty() ? "127.0.0.1" : host) + ":8222";
}

std::string collector_file(const TargetFlags& f, const Values& addresses) {
  if (!f.collector_config.empty()) return f.collector_config;
  if (const auto found = addresses.find("collector_config"); found != addresses.end() && fs::exists(found->second))
    return found->second;
  // A play-back has no venues.
  if (!addresses.empty()) return "";
  const auto sample = launcher::install_root() + "/services/data-collector/config";
  return fs::is_directory(sample) ? sample : "";
}

}  // namespace

std::string url_of_listener(const std::string& listen) {
  const auto colon = listen.rfind(':');
  if (colon == std::string::npos) return "";
  const auto host = listen.substr(0, colon);
  const bool is_any = host.empty() || host == "0.0.0.0" || host == "[::]" || host == "*";
  return "http://" + (is_any ? "127.0.0.1" : host) + listen.substr(colon);
}

std::string Target::storage_health_url() const { return url_of_listener(storage.health_listen); }
std::string Target::storage_metrics_url() const { return url_of_listener(storage.metrics_listen); }
std::string Target::collector_health_url() const { return url_of_listener(collector.health_listen); }
std::string Target::collector_metrics_url() const { return url_of_listener(collector.metrics_listen); }

Result<Target> find_target(const TargetFlags& f, const config::Environment& environment) {
  Target target;
  const auto written = read_addresses(f.data);
  if (!written) return written.error();
  const auto* addresses = &written->addresses;
  target.variables = written->variables;
  if (const auto names = addresses->find("secret_variables"); names != addresses->end())
    target.secret_variables = names->second;
  target.is_up = !addresses->empty();
  if (const auto command = addresses->find("command"); command != addresses->end()) target.command = command->second;
  if (const auto directory = addresses->find("directory"); directory != addresses->end())
    target.command_directory = directory->second;
  target.storage_config = f.storage_config;
  if (const auto file = addresses->find("storage_config"); target.storage_config.empty() && file != addresses->end())
    target.storage_config = file->second;
  auto storage = read_storage(f, target.storage_config, environment, *written);
  if (!storage) return storage.error();
  target.storage = std::move(*storage);
  target.collector_config = collector_file(f, *addresses);
  auto collector = read_collector(f, target.collector_config, environment, *written);
  if (!collector) return collector.error();
  target.collector = std::move(*collector);
  target.journal = target.collector.journal.directory;
  const auto set = environment("CLICKHOUSE_DB");
  target.database_is_named = !f.database.empty() || (set && !set->empty()) || target.is_up || !f.storage_config.empty();
  std::error_code error;
  if (fs::is_directory(f.data, error)) target.data = fs::absolute(f.data).lexically_normal().string();
  target.nats_http = !f.nats_http.empty()             ? f.nats_http
                     : target.is_up && f.nats.empty() ? addresses->at("nats_http")
                                                      : monitoring_of(target.storage.nats.urls);
  if (target.nats_http.find("://") == std::string::npos) target.nats_http = "http://" + target.nats_http;
  return target;
}

}  // namespace mp::operate
