// marketprism probe: does a venue still speak what we understand?
#include <fmt/format.h>

#include <algorithm>

#include "app/cli.hpp"
#include "app/commands.hpp"
#include "base/time.hpp"
#include "config/files.hpp"
#include "exchanges/exchange.hpp"
#include "services/data-collector/src/config.hpp"
#include "services/data-collector/src/probe.hpp"
#include "telemetry/logging.hpp"

namespace mp::app {
namespace {

const std::string kExamples =
    "  marketprism probe\n"
    "      every venue and market, one symbol each, 30 seconds\n"
    "  marketprism probe --exchange okx --symbol ETH-USDT-SWAP --for 2m\n"
    "  marketprism probe --config collector.yaml\n"
    "      the venues, addresses, certificates and proxies of a collector's configuration; one symbol of each\n"
    "  marketprism probe --exchange binance --market spot --ws-base ws://127.0.0.1:9443 --rest-base http://127.0.0.1:9443\n"
    "      the simulator instead of the venue\n"
    "  marketprism probe --json | jq '.sources[] | select(.good | not)'\n";
constexpr auto kDescription =
    "Connects to each venue, subscribes one symbol to every data type, and prints what came: connected, subscribed, first "
    "data after, messages, messages that could not be read, fields that are new to us, clock offset. Nothing is stored. "
    "Exit status 0: all of them speak what we understand; 1: one does not (a line FAULT says what).";

struct Options {
  std::string config;
  std::vector<std::string> exchanges;
  std::string market;
  std::vector<std::string> symbols;
  std::string time = "30s";
  std::string ws_base, rest_base, ca_file;
  bool json = false;
  bool verbose = false;
};

Error usage(std::string what, std::string why) { return Error{Errc::usage, std::move(what), std::move(why)}; }

SessionOptions session_for(const Exchange& exchange, const std::string& market) {
  SessionOptions session;
  session.source = {exchange.name, market};
  return session;
}

// One symbol of each kind that the venue has, unless named; and every data type.
void narrow(SessionOptions& session, const Exchange& exchange, const Options& o) {
  session.data_types = exchange.data_types_of(session.source.market);
  const auto index = std::ranges::find(exchange.markets, session.source.market) - exchange.markets.begin();
  session.symbols = o.symbols.empty() ? exchange.probe_symbols[static_cast<std::size_t>(index)] : o.symbols;
}

bool is_asked_for(const Options& o, const Source& source) {
  const bool named = o.exchanges.empty() || std::ranges::count(o.exchanges, source.exchange) > 0;
  return named && (o.market.empty() || o.market == source.market);
}

Result<void> from_config(const Options& o, collector::ProbeOptions& probe) {
  auto loaded = config::load_files({o.config});
  if (!loaded) return loaded.error();
  config::Config config(std::move(*loaded), config::process_environment(), {});
  auto settings = collector::read_settings(config);
  if (!settings) return settings.error();
  probe.driver.ca_file = settings->options.ca_file;
  probe.driver.compression = settings->options.compression;
  for (auto& session : settings->options.sources)
    if (is_asked_for(o, session.source)) probe.sources.push_back(std::move(session));
  return {};
}

void from_registry(const Options& o, collector::ProbeOptions& probe) {
  for (const auto& exchange : exchanges())
    for (const auto& market : exchange.markets)
      if (is_asked_for(o, {exchange.name, market})) probe.sources.push_back(session_for(exchange, market));
}

Result<collector::ProbeOptions> understand(const Options& o) {
  collector::ProbeOptions probe;
  const auto time = parse_duration(o.time);
  if (!time || *time <= Nanos{0}) return usage("--for", fmt::format("a time like 30s or 2m, saw '{}'", o.time));
  probe.duration = std::chrono::duration_cast<std::chrono::milliseconds>(*time);
  for (const auto& name : o.exchanges)
    if (auto found = find_exchange(name); !found) return found.error();
  if (o.config.empty())
    from_registry(o, probe);
  else if (auto read = from_config(o, probe); !read)
    return read.error();
  if (probe.sources.empty())
    return usage(o.market.empty() ? "--exchange" : "--market", "no venue is left to be probed");
  if (!o.ca_file.empty()) probe.driver.ca_file = o.ca_file;
  const bool elsewhere = !o.ws_base.empty() || !o.rest_base.empty();
  if (elsewhere && probe.sources.size() != 1)
    return usage("--ws-base", "an address is of one market: name it by --exchange and --market");
  for (auto& session : probe.sources) {
    narrow(session, **find_exchange(session.source.exchange), o);
    if (!o.ws_base.empty()) session.ws_base = o.ws_base;
    if (!o.rest_base.empty()) session.rest_base = o.rest_base;
  }
  return probe;
}

void add_options(CLI::App& cli, Options& o) {
  cli.add_option("--exchange", o.exchanges, "only this venue; repeatable");
  cli.add_option("--market", o.market, "only this market of it (spot, derivatives)");
  cli.add_option("--symbol", o.symbols, "instead of the venue's usual one; repeatable");
  cli.add_option("--for", o.time, "how long (30s)");
  cli.add_option("--config", o.config, "a collector's configuration: its venues, addresses, certificates, proxies");
  cli.add_option("--ws-base", o.ws_base, "instead of the venue's websocket address");
  cli.add_option("--rest-base", o.rest_base, "instead of the venue's REST address");
  cli.add_option("--ca-file", o.ca_file, "certificates to trust instead of the system's, PEM");
  cli.add_flag("--json", o.json, "for programs");
  cli.add_flag("--verbose", o.verbose, "log connections and requests on standard error");
}

}  // namespace

int run_probe(int argc, char** argv) {
  Options options;
  auto cli = make_cli("probe", kDescription, kExamples);
  add_options(*cli, options);
  if (const auto status = parse_cli(*cli, argc, argv)) return *status;
  const auto probe = understand(options);
  if (!probe) {
    fail("probe", probe.error().text());
    return probe.error().code == Errc::usage ? 2 : 1;
  }
  telemetry::LoggingOptions logging;
  logging.part = "probe";
  logging.level = options.verbose ? log::Level::info : log::Level::error;
  if (const auto started = telemetry::start_logging(logging); !started) return fail("probe", started.error().text());
  const auto found = collector::run_probe(*probe);
  telemetry::stop_logging();
  if (!found) return fail("probe", found.error().text());
  fmt::print("{}", options.json ? collector::probe_json(*found) : collector::probe_table(*found));
  const bool good =
      std::ranges::all_of(*found, [](const auto& source) { return collector::faults_of(source).empty(); });
  return good ? 0 : 1;
}

}  // namespace mp::app
