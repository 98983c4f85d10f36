// marketprism sim: simulated exchanges.
#include <fmt/format.h>

#include <charconv>
#include <chrono>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "app/cli.hpp"
#include "app/commands.hpp"
#include "app/variables.hpp"
#include "base/text.hpp"
#include "base/time.hpp"
#include "sim/binance/playback.hpp"
#include "sim/capture_file.hpp"
#include "sim/ledger_file.hpp"
#include "sim/server.hpp"
#include "sim/world.hpp"

namespace mp::app {
namespace {

const std::string kExamples =
    "  marketprism sim\n"
    "      every simulated venue (binance, okx, deribit) on http://127.0.0.1:9443 and ws://127.0.0.1:9443\n"
    "  marketprism sim --rate 5000 --seed 7 --ledger ledger.jsonl --for 20s\n"
    "      5000 messages a second for 20 seconds; every event and the last books stand in ledger.jsonl\n"
    "  marketprism sim --listen 127.0.0.1:0 --symbols okx:BTC-USDT,binance:spot:ETHUSDT\n"
    "      a free port (told on standard output), three instruments\n"
    "  marketprism sim --exchange okx --exchange binance:spot --symbols 50\n"
    "  marketprism sim --fault drop=30s --fault skip=20s --fault notice=60s --fault refuse=trades:BTC-USDT\n"
    "      connections cut, book updates left out, connections told to go, a subscription refused\n"
    "  marketprism sim --tls --certificate cert.pem --key key.pem\n"
    "  marketprism sim --capture binance_usdm.jsonl --capture binance_spot.jsonl --speed 2\n"
    "      plays recorded messages at twice their pace, from the first subscription on, and ends with the last one\n";

struct Options {
  std::string listen = "127.0.0.1:9443";
  bool tls = false;
  std::string certificate, key;
  std::vector<std::string> exchanges;
  std::vector<std::string> faults;
  std::string symbols;
  bool has_symbols = false;
  int rate = 250;
  std::uint64_t seed = 1;
  std::string start_time;
  std::string ledger;
  std::string duration;
  std::size_t queue_bytes = 16 << 20;
  std::size_t history = 50'000;
  std::int64_t spot_weight = 6000;
  std::int64_t usdm_weight = 2400;
  std::string lifetime = "24h";
  std::vector<std::string> captures;
  double speed = 1.0;
};

// What the options mean.
struct Plan {
  sim::ServerOptions server;
  sim::WorldOptions world;
  std::vector<sim::Source> sources;
  std::vector<std::string> captures;
  sim::binance::PlaybackOptions playback;
  std::optional<Nanos> duration;
};

void add_options(CLI::App& cli, Options& o) {
  cli.add_option("--listen", o.listen, "ADDRESS:PORT to serve websockets and REST on; port 0 takes a free one");
  cli.add_flag("--tls", o.tls, "serve https and wss (needs --certificate and --key)");
  cli.add_option("--certificate", o.certificate, "certificate chain, a PEM file");
  cli.add_option("--key", o.key, "its private key, a PEM file");
  cli.add_option("--exchange", o.exchanges,
                 "which venues: NAME or NAME:MARKET, repeatable; default: all (" +
                     fmt::format("{}", fmt::join(sim::source_names(), ", ")) + ")");
  cli.add_option("--symbols", o.symbols,
                 "how many instruments of each market, or their names, separated by commas (okx:BTC-USDT or "
                 "binance:spot:BTCUSDT for one alone); default: 8");
  cli.add_option(
      "--fault", o.faults,
      "make this happen, repeatable: drop=TIME (every so often a connection is closed), skip=TIME (a book update "
      "is not sent), notice=TIME (a connection is told to go and closed 5 s later), refuse=TEXT (subscriptions "
      "whose name contains it)");
  cli.add_option("--rate", o.rate,
                 fmt::format("messages a second, 1 to {}: aggregated trades and 100 ms depth updates of all "
                             "instruments together; other streams come on top",
                             sim::Market::kMaxRate));
  cli.add_option("--seed", o.seed, "the same seed and start time make the same market")->check(CLI::NonNegativeNumber);
  cli.add_option("--start-time", o.start_time,
                 "where the simulation's clock starts, e.g. 2026-11-23T00:00:00Z; default: now");
  cli.add_option(
      "--ledger", o.ledger,
      "append what the markets did to this file, as JSON lines: every event of every subscribed stream from its "
      "first subscription on, what REST told, and at the end one orderbook per subscribed book");
  cli.add_option("--for", o.duration, "end after this time, e.g. 20s; default: at SIGINT or SIGTERM");
  cli.add_option("--queue-bytes", o.queue_bytes, "a client with more than this unread is disconnected")
      ->check(CLI::NonNegativeNumber);
  cli.add_option("--history", o.history, "trades kept for REST, per instrument")->check(CLI::NonNegativeNumber);
  cli.add_option("--spot-weight", o.spot_weight, "spot's REST weight per minute and address");
  cli.add_option("--usdm-weight", o.usdm_weight, "USD-M's REST weight per minute and address");
  cli.add_option("--capture", o.captures,
                 "serve the recorded messages and REST answers of this file (JSON lines) instead of a simulated "
                 "market; can be given several times; files are held in memory");
  cli.add_option("--speed", o.speed, "pace of --capture: 2 is twice as fast as recorded");
  cli.add_option("--connection-lifetime", o.lifetime, "websockets are closed after this time");
}

Result<bool> read_listen(const std::string& text, sim::ServerOptions& server) {
  const auto colon = text.rfind(':');
  int port = -1;
  if (colon != text.npos) {
    const auto [end, error] = std::from_chars(text.data() + colon + 1, text.data() + text.size(), port);
    if (error != std::errc{} || end != text.data() + text.size()) port = -1;
  }
  if (port < 0 || port > 65535) return Error{Errc::usage, "--listen must be ADDRESS:PORT, e.g. 127.0.0.1:9443", text};
  server.address = text.substr(0, colon);
  if (server.address == "localhost") server.address = "127.0.0.1";
  if (server.address.starts_with('[') && server.address.ends_with(']'))
    server.address = server.address.substr(1, server.address.size() - 2);
  server.port = static_cast<std::uint16_t>(port);
  return true;
}

// drop=30s, skip=20s, notice=1m, refuse=trades:BTC-USDT
Result<bool> read_fault(const std::string& text, sim::WorldOptions& world) {
  const auto equals = text.find('=');
  const auto name = text.substr(0, equals);
  const auto value = equals == text.npos ? "" : text.substr(equals + 1);
  if (name == "refuse" && !value.empty()) {
    world.refuse.push_back(value);
    return true;
  }
  Nanos* const every = name == "drop"     ? &world.faults.drop_every
                       : name == "skip"   ? &world.faults.skip_every
                       : name == "notice" ? &world.faults.notice_every
                                          : nullptr;
  const auto time = parse_duration(value);
  if (every == nullptr || !time || *time <= Nanos{})
    return Error{Errc::usage, "--fault must be drop=TIME, skip=TIME, notice=TIME (a time like 30s) or refuse=TEXT",
                 text};
  *every = *time;
  return true;
}

WallTime wall_now() { return std::chrono::time_point_cast<Nanos>(std::chrono::system_clock::now()); }

Result<Plan> make_plan(const Options& o) {
  Plan plan;
  if (auto ok = read_listen(o.listen, plan.server); !ok) return ok.error();
  if (o.tls && (o.certificate.empty() || o.key.empty()))
    return Error{Errc::usage, "--tls needs --certificate FILE and --key FILE", ""};
  if (!o.tls && !(o.certificate.empty() && o.key.empty()))
    return Error{Errc::usage, "--certificate and --key are for --tls, which is not there", ""};
  if (o.rate < 1 || o.rate > sim::Market::kMaxRate)
    return Error{Errc::usage, fmt::format("--rate must be 1 to {}", sim::Market::kMaxRate), std::to_string(o.rate)};
  if (o.history < 1) return Error{Errc::usage, "--history must be at least 1", "0"};
  if (o.spot_weight < 1 || o.usdm_weight < 1)
    return Error{Errc::usage, "--spot-weight and --usdm-weight must be at least 1", ""};

  if (!(o.speed > 0.0 && o.speed <= 1e6)) return Error{Errc::usage, "--speed must be above 0", std::to_string(o.speed)};
  if (o.captures.empty() && o.speed != 1.0)
    return Error{Errc::usage, "--speed is for --capture, which is not there", ""};
  if (!o.captures.empty() && !o.ledger.empty())
    return Error{Errc::usage, "--ledger tells what a simulated market did; with --capture there is none", o.ledger};

  plan.server.tls = o.tls;
  plan.server.certificate = o.certificate;
  plan.server.key = o.key;
  plan.server.queue_bytes = o.queue_bytes;
  plan.server.handle_signals = true;

  plan.world.market.start = wall_now();
  if (!o.start_time.empty()) {
    const auto start = parse_iso(o.start_time);
    if (!start) return Error{Errc::usage, "--start-time must be like 2026-11-23T00:00:00Z", o.start_time};
    plan.world.market.start = *start;
  }
  plan.world.market.seed = o.seed;
  plan.world.market.rate = o.rate;
  plan.world.history = o.history;
  plan.world.binance_limits.spot_weight_per_minute = o.spot_weight;
  plan.world.binance_limits.usdm_weight_per_minute = o.usdm_weight;
  const auto lifetime = parse_duration(o.lifetime);
  if (!lifetime) return Error{Errc::usage, "--connection-lifetime: " + lifetime.error().where, o.lifetime};
  plan.world.binance_limits.lifetime = *lifetime;
  if (!o.duration.empty()) {
    const auto duration = parse_duration(o.duration);
    if (!duration) return Error{Errc::usage, "--for: " + duration.error().where, o.duration};
    plan.duration = *duration;
  }
  plan.captures = o.captures;
  plan.playback.speed = o.speed;
  plan.playback.limits = plan.world.binance_limits;
  for (const auto& fault : o.faults)
    if (const auto ok = read_fault(fault, plan.world); !ok) return ok.error();
  if (o.has_symbols && o.symbols.find_first_not_of(" ,") == std::string::npos)
    return Error{Errc::usage, "--symbols", fmt::format("names none, saw '{}'", o.symbols)};
  if (!o.captures.empty() && !(o.faults.empty() && o.exchanges.empty() && o.symbols.empty()))
    return Error{Errc::usage, "--exchange, --symbols and --fault are for simulated markets, not for --capture", ""};
  auto sources = sim::choose_sources(plan.world.market.start, o.exchanges, o.symbols);
  if (!sources) return Error{sources.error().code, "--" + sources.error().where, sources.error().seen};
  plan.sources = std::move(*sources);
  return plan;
}

void tell_ready(const sim::Server& server, const Plan& plan) {
  const bool v6 = plan.server.address.find(':') != std::string::npos;
  fmt::print("sim: listening on {}://{}{}{}:{}\n", plan.server.tls ? "https" : "http", v6 ? "[" : "",
             plan.server.address, v6 ? "]" : "", server.port());
  std::fflush(stdout);
}

void tell_end(const sim::ServerCounters& c, const std::string& source) {
  fmt::print(
      "sim: {} messages, {}, {} bytes, {} clients, {} dropped (slow {}, silent {}, talking {}, unread at the end "
      "{}), {} REST requests\n",
      c.messages, source, c.bytes, c.clients, c.dropped_slow + c.dropped_silent + c.dropped_talking + c.dropped_at_end,
      c.dropped_slow, c.dropped_silent, c.dropped_talking, c.dropped_at_end, c.requests);
  std::fflush(stdout);
}

int simulate(const Plan& plan, sim::LedgerFile* ledger) {
  auto server = sim::Server::listen(plan.server);
  if (!server) return fail("sim", server.error().text());
  // The clock goes from the start on, though many instruments take a second to be made: now is to be now.
  const sim::SimClock clock(plan.world.market.start);
  const auto world = sim::make_world(plan.sources, plan.world, **server, ledger);
  while (!world->advance(clock.now())) {
  }
  tell_ready(**server, plan);
  (*server)->run(*world, clock, plan.duration);
  tell_end((*server)->counters(), fmt::format("{} trades", world->trades()));
  if (plan.world.faults.any()) {
    const auto& faults = world->faults();
    fmt::print("sim: faults: {} connections dropped, {} told to go, {} book updates skipped\n", faults.dropped,
               faults.noticed, faults.skipped);
  }
  const auto lag = (*server)->counters().worst_lag;
  if (lag > std::chrono::seconds{1})
    fmt::print(stderr, "sim: was up to {} ms behind its own clock: --rate {} is more than this machine does\n",
               lag / std::chrono::milliseconds{1}, plan.world.market.rate);
  if (ledger != nullptr && !ledger->failure().empty()) return fail("sim", ledger->failure());
  return 0;
}

int play_back(const Plan& plan) {
  std::vector<sim::binance::Recording> recordings;
  for (const auto& path : plan.captures) {
    auto recording = sim::read_capture(path);
    if (!recording) return fail("sim", recording.error().text());
    for (const auto& error : recording->first_broken) fmt::print(stderr, "sim: {}\n", error.text());
    if (recording->broken > 0)
      fmt::print(stderr, "sim: {}: {} lines cannot be read and are left out\n", path, recording->broken);
    if (recording->skipped > 0)
      fmt::print(stderr, "sim: {}: {} received lines have no stream name or belong to other markets and are left out\n",
                 path, recording->skipped);
    recordings.push_back(std::move(*recording));
  }
  auto server = sim::Server::listen(plan.server);
  if (!server) return fail("sim", server.error().text());
  sim::binance::Playback playback(std::move(recordings), plan.playback, **server);
  const sim::SimClock clock(wall_now());
  tell_ready(**server, plan);
  (*server)->run(playback, clock, plan.duration);
  tell_end((*server)->counters(),
           fmt::format("{} played back, {} of them to nobody", playback.played(), playback.unheard()));
  return 0;
}

}  // namespace

int run_sim(int argc, char** argv) {
  Options options;
  const auto cli =
      make_cli("sim", "Simulated exchanges that speak the real wire protocols over websockets and REST.", kExamples);
  add_options(*cli, options);
  if (const auto status = parse_cli(*cli, argc, argv)) return *status;
  options.has_symbols = cli->count("--symbols") > 0;
  const auto plan = make_plan(options);
  if (!plan) {
    fmt::print(stderr, "marketprism sim: {} (see --help)\n", plan.error().text());
    return 2;
  }
  warn_about_variables();
  if (!plan->captures.empty()) return play_back(*plan);
  if (options.ledger.empty()) return simulate(*plan, nullptr);
  const auto ledger = sim::LedgerFile::open(options.ledger);
  if (!ledger) return fail("sim", ledger.error().text());
  return simulate(*plan, ledger->get());
}

}  // namespace mp::app
