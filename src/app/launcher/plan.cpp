#include "app/launcher/plan.hpp"

#include <fmt/format.h>

#include <array>
#include <iterator>

#include "base/text.hpp"

namespace mp::launcher {
namespace {

using namespace std::chrono_literals;

// Merges take a processor when they come; docs/decisions/0004 has what that did to the delay.
constexpr int kNiceStorage = 5;
constexpr int kNiceClickhouse = 10;

std::string local(std::uint16_t port) { return fmt::format("127.0.0.1:{}", port); }

// Each kind of data has its own bus and journal, so that none can be taken for another.
std::string nats_folder(const LaunchOptions& o) { return fmt::format("{}/nats/{}", o.data, to_string(o.mode)); }
std::string nats_file(const LaunchOptions& o) { return fmt::format("{}/run/nats-server.conf", o.data); }
std::string collector_file(const LaunchOptions& o) {
  return fmt::format("{}/run/collector-{}.yaml", o.data, to_string(o.mode));
}
std::string addresses_file(const LaunchOptions& o) { return fmt::format("{}/run/{}", o.data, kAddressesFile); }
std::string end_report_file(const LaunchOptions& o) { return fmt::format("{}/run/collector-end.json", o.data); }
std::string journal_folder(const LaunchOptions& o) {
  // A play-back's journal is named by its recordings' content; the collector does that itself.
  return o.data + "/journal" + (o.mode == Mode::replay ? "" : std::string("/") + to_string(o.mode));
}
std::string database_of(const LaunchOptions& o) {
  if (!o.database.empty()) return o.database;
  switch (o.mode) {
    case Mode::live: return "marketprism_hot";
    case Mode::simulated: return "marketprism_sim_hot";
    case Mode::replay: return "marketprism_replay_hot";
  }
  return "";
}

// marketprism_hot -> marketprism_cold, mine -> mine_cold: as the storage service does it.
std::string cold_database_of(const std::string& hot) {
  return (hot.ends_with("_hot") ? hot.substr(0, hot.size() - 4) : hot) + "_cold";
}

PartPlan nats_part(const LaunchOptions& o, const Tools& tools) {
  PartPlan part;
  part.rules = {"nats", 120s};  // it reads its whole store first
  // A write error stays with nats-server until it is started again, also when the disk has room again; it lives on and
  // /healthz says 503 (tried: 2.15.1, its store on a full tmpfs). The others reconnect; the collector's journal goes
  // on.
  part.rules.mend_after = 15s;
  part.argv = {tools.nats_server, "-c", nats_file(o)};
  part.health_url = "http://" + local(o.ports.nats_http) + "/healthz";
  return part;
}

PartPlan clickhouse_part(const LaunchOptions& o, const Tools& tools) {
  PartPlan part;
  part.rules = {"clickhouse", 120s};
  part.argv = {tools.self, "clickhouse", "--data", o.data + "/clickhouse", "--http", local(o.ports.clickhouse)};
  part.environment["MARKETPRISM_LIBCHDB"] = tools.libchdb;
  part.niceness = kNiceClickhouse;
  part.health_url = "http://" + local(o.ports.clickhouse) + "/ping";
  return part;
}

PartPlan storage_part(const LaunchOptions& o, const Tools& tools) {
  PartPlan part;
  part.rules = {"storage", 60s};
  part.niceness = kNiceStorage;
  part.argv = {tools.self,      "storage",
               "--nats",        "nats://" + local(o.ports.nats),
               "--stream",      o.stream,
               "--clickhouse",  "http://" + local(o.ports.clickhouse),
               "--database",    database_of(o),
               "--data-source", to_string(o.mode),
               "--health",      local(o.ports.storage_health),
               "--metrics",     local(o.ports.storage_metrics)};
  if (!o.storage_config.empty()) part.argv.insert(part.argv.end(), {"--config", o.storage_config});
  // The file names the cold database of marketprism_hot; another hot one has its own.
  if (!o.storage_config.empty() && !o.database.empty())
    part.environment["MARKETPRISM_CLICKHOUSE_COLD_DATABASE"] = cold_database_of(o.database);
  part.health_url = "http://" + local(o.ports.storage_health) + "/health";
  part.metrics_url = "http://" + local(o.ports.storage_metrics) + "/metrics";
  return part;
}

PartPlan sim_part(const LaunchOptions& o, const Tools& tools) {
  PartPlan part;
  part.rules = {"sim", 30s};
  part.argv = {tools.self, "sim",
               "--listen", local(o.ports.sim),
               "--rate",   std::to_string(o.rate),
               "--seed",   std::to_string(o.seed)};
  if (!o.ledger.empty()) part.argv.insert(part.argv.end(), {"--ledger", o.ledger});
  for (const auto& exchange : o.sim_exchanges) part.argv.insert(part.argv.end(), {"--exchange", exchange});
  if (!o.sim_symbols.empty()) part.argv.insert(part.argv.end(), {"--symbols", o.sim_symbols});
  part.health_url = "http://" + local(o.ports.sim) + "/";
  part.ready = Ready::answer;
  return part;
}

PartPlan collector_part(const LaunchOptions& o, const Tools& tools) {
  PartPlan part;
  part.rules = {"collector", 60s};
  part.argv = {tools.self,      "collector",
               "--data-source", to_string(o.mode),
               "--journal",     journal_folder(o),
               "--nats",        "nats://" + local(o.ports.nats),
               "--stream",      o.stream,
               "--health",      local(o.ports.collector_health),
               "--metrics",     local(o.ports.collector_metrics),
               "--end-report",  end_report_file(o)};
  if (o.mode == Mode::replay) {
    for (const auto& file : o.captures) part.argv.insert(part.argv.end(), {"--capture", file});
    part.argv.insert(part.argv.end(), {"--speed", fmt::format("{}", o.speed)});
    if (o.exit_when_done) part.argv.push_back("--exit-when-done");
    part.rules.may_finish = o.exit_when_done;
  } else {
    part.argv.insert(part.argv.end(), {"--config", o.markets.empty() ? o.config : collector_file(o)});
  }
  if (!o.final_books.empty()) part.argv.insert(part.argv.end(), {"--final-books", o.final_books});
  part.health_url = "http://" + local(o.ports.collector_health) + "/health";
  // It is up as soon as it answers; whether every venue brings data is for its health to say.
  part.ready = Ready::answer;
  part.metrics_url = "http://" + local(o.ports.collector_metrics) + "/metrics";
  return part;
}

std::vector<PortUse> port_uses(const LaunchOptions& o) {
  const auto& p = o.ports;
  std::vector<PortUse> uses{{"nats", "NATS clients", "--nats-port", p.nats},
                            {"nats", "NATS monitoring", "--nats-http-port", p.nats_http},
                            {"clickhouse", "ClickHouse HTTP", "--clickhouse-port", p.clickhouse},
                            {"storage", "storage health", "--storage-health-port", p.storage_health},
                            {"storage", "storage metrics", "--storage-metrics-port", p.storage_metrics},
                            {"collector", "collector health", "--collector-health-port", p.collector_health},
                            {"collector", "collector metrics", "--collector-metrics-port", p.collector_metrics}};
  if (o.mode == Mode::simulated) uses.push_back({"sim", "simulated exchange", "--sim-port", p.sim});
  return uses;
}

}  // namespace

const char* to_string(Mode mode) {
  switch (mode) {
    case Mode::live: return "live";
    case Mode::simulated: return "simulated";
    case Mode::replay: return "replay";
  }
  return "?";
}

std::string nats_configuration(const LaunchOptions& o, int nats_minor) {
  std::string text = "# Written by `marketprism up` at each start; changes are lost.\n";
  text += "server_name: marketprism\n";
  text += fmt::format("listen: \"{}\"\nhttp: \"{}\"\n", local(o.ports.nats), local(o.ports.nats_http));
  text += fmt::format("jetstream {{\n  store_dir: \"{}\"\n  max_memory_store: 1GB\n  max_file_store: 10GB\n",
                      nats_folder(o));
  // 2.9 refuses the key; 2 minutes are its built-in value.
  if (nats_minor >= 10) text += "  sync_interval: \"2m\"\n";
  text += "}\nmax_connections: 1000\nmax_payload: 1048576\nmax_pending: 67108864\n";
  return text;
}

std::string collector_configuration(const LaunchOptions& o) {
  const bool simulated = o.mode == Mode::simulated;
  std::string text = "# Written by `marketprism up` at each start; changes are lost.\nexchanges:\n";
  auto out = std::back_inserter(text);
  for (const auto& market : o.markets) {
    fmt::format_to(out, "  - name: {}\n", market.exchange);
    if (!market.market.empty()) fmt::format_to(out, "    market: {}\n", market.market);
    fmt::format_to(out, "    symbols: [{}]\n", fmt::join(market.symbols, ", "));
    if (simulated) {
      fmt::format_to(out, "    ws_base: ws://{0}\n    rest_base: http://{0}\n", local(o.ports.sim));
    }
  }
  return text;
}

std::string shell_quoted(const std::string& word) {
  const bool is_plain =
      !word.empty() &&
      word.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:=,@%+") ==
          std::string::npos;
  if (is_plain) return word;
  std::string quoted = "'";
  for (const char c : word) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

std::string addresses(const LaunchOptions& o) {
  const auto& p = o.ports;
  std::string text =
      "# Written by `marketprism up` at each start: where status, doctor, query and export find its parts.\n";
  const auto line = [&text](std::string_view key, const std::string& value) {
    text += key;
    text += ": ";
    append_json_string(text, value);
    text += '\n';
  };
  line("data_source", to_string(o.mode));
  line("database", database_of(o));
  line("clickhouse", "http://" + local(p.clickhouse));
  line("nats", "nats://" + local(p.nats));
  line("nats_http", "http://" + local(p.nats_http));
  line("stream", o.stream);
  line("storage_health", local(p.storage_health));
  line("storage_metrics", local(p.storage_metrics));
  line("collector_health", local(p.collector_health));
  line("collector_metrics", local(p.collector_metrics));
  line("journal", journal_folder(o));
  std::string command;
  for (const auto& word : o.command) command += (command.empty() ? "" : " ") + shell_quoted(word);
  if (!command.empty()) {
    line("command", command);
    line("directory", o.directory);
  }
  if (!o.storage_config.empty()) line("storage_config", o.storage_config);
  if (!o.storage_config.empty() && !o.database.empty()) line("cold_database", cold_database_of(o.database));
  if (o.mode != Mode::replay) line("collector_config", o.markets.empty() ? o.config : collector_file(o));
  // A shell that looks at it, or starts it again, need not have them.
  if (!o.variables.empty()) text += "variables:\n";
  for (const auto& [name, value] : o.variables) line("  " + name, value);
  if (!o.secret_variables.empty()) line("secret_variables", fmt::format("{}", fmt::join(o.secret_variables, ", ")));
  return text;
}

Plan make_plan(const LaunchOptions& o, const Tools& tools) {
  Plan plan;
  plan.database = database_of(o);
  plan.clickhouse_url = "http://" + local(o.ports.clickhouse);
  plan.nats_url = "nats://" + local(o.ports.nats);
  plan.nats_http_url = "http://" + local(o.ports.nats_http);
  plan.ports = port_uses(o);
  plan.folders = {o.data + "/run", o.data + "/logs", o.data + "/clickhouse", nats_folder(o), o.data + "/journal"};
  plan.end_report = end_report_file(o);
  plan.files = {{nats_file(o), nats_configuration(o, tools.nats_minor)}, {addresses_file(o), addresses(o)}};
  if (!o.markets.empty()) plan.files.push_back({collector_file(o), collector_configuration(o)});

  plan.parts = {nats_part(o, tools), clickhouse_part(o, tools), storage_part(o, tools)};
  const std::size_t nats = 0;
  const std::size_t clickhouse = 1;
  plan.storage = 2;
  using Kind = StopStep::Kind;
  // The source of data ends first, so that nothing is in flight when the collector is told to end.
  if (o.mode == Mode::simulated) {
    plan.stop.push_back({Kind::terminate, plan.parts.size(), 15s});
    plan.parts.push_back(sim_part(o, tools));
  }
  plan.collector = plan.parts.size();
  plan.parts.push_back(collector_part(o, tools));
  plan.stop.insert(plan.stop.end(), {{Kind::terminate, plan.collector, 30s},
                                     // Then storage has everything in hand and stores it when it is told to end.
                                     {Kind::drain, plan.storage, 60s},
                                     {Kind::terminate, plan.storage, 60s},
                                     {Kind::check, plan.storage, 30s},
                                     {Kind::terminate, clickhouse, 60s},
                                     {Kind::terminate, nats, 30s}});
  return plan;
}

Result<Ports> shifted(Ports ports, int offset) {
  const std::pair<const char*, std::uint16_t*> all[] = {{"--nats-port", &ports.nats},
                                                        {"--nats-http-port", &ports.nats_http},
                                                        {"--clickhouse-port", &ports.clickhouse},
                                                        {"--collector-health-port", &ports.collector_health},
                                                        {"--collector-metrics-port", &ports.collector_metrics},
                                                        {"--storage-health-port", &ports.storage_health},
                                                        {"--storage-metrics-port", &ports.storage_metrics},
                                                        {"--sim-port", &ports.sim}};
  for (const auto& [option, port] : all) {
    if (*port == 0)
      return Error{Errc::usage, option,
                   "must be 1 to 65535, saw 0 (others have to know the port, so none is chosen freely)"};
    const int moved = *port + offset;
    if (moved < 1 || moved > 65535) {
      return Error{Errc::usage, "--port-offset",
                   fmt::format("{} moves port {} to {}, outside 1 to 65535", offset, *port, moved)};
    }
    *port = static_cast<std::uint16_t>(moved);
  }
  return ports;
}

Result<void> check_distinct(const std::vector<PortUse>& ports) {
  for (std::size_t i = 0; i < ports.size(); ++i) {
    for (std::size_t k = 0; k < i; ++k) {
      if (ports[i].port != ports[k].port) continue;
      return Error{Errc::usage, fmt::format("{} and {}", ports[k].option, ports[i].option),
                   fmt::format("both say port {} ({} and {})", ports[i].port, ports[k].purpose, ports[i].purpose)};
    }
  }
  return {};
}

}  // namespace mp::launcher
