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
#include "base/text.hpp"
#include "base/time.hpp"
#include "sim/binance/exchange.hpp"
#include "sim/binance/playback.hpp"
#include "sim/capture_file.hpp"
#include "sim/ledger_file.hpp"
#include "sim/server.hpp"

namespace mp::app {
namespace {

const std::string kExamples =
    "  marketprism sim\n"
    "      simulated Binance (spot and USD-M) on http://127.0.0.1:9443 and ws://127.0.0.1:9443\n"
    "  marketprism sim --rate 5000 --seed 7 --ledger ledger.jsonl --for 20s\n"
    "      5000 messages a second for 20 seconds; every trade and the last books stand in ledger.jsonl\n"
    "  marketprism sim --listen 127.0.0.1:0 --symbols BTCUSDT,usdm:ETHUSDT\n"
    "      a free port (told on standard output), three instruments\n"
    "  marketprism sim --tls --certificate cert.pem --key key.pem\n"
    "  marketprism sim --capture binance_usdm.jsonl --capture binance_spot.jsonl --speed 2\n"
    "      plays recorded messages at twice their pace, from the first subscription on, and ends with the last one\n";

struct Options {
  std::string listen = "127.0.0.1:9443";
  bool tls = false;
  std::string certificate, key;
  std::string exchange = "binance";
  std::string symbols;
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
  sim::binance::ExchangeOptions exchange;
  std::vector<sim::Symbol> symbols;
  std::vector<std::string> captures;
  sim::binance::PlaybackOptions playback;
  std::optional<Nanos> duration;
};

void add_options(CLI::App& cli, Options& o) {
  cli.add_option("--listen", o.listen, "ADDRESS:PORT to serve websockets and REST on; port 0 takes a free one");
  cli.add_flag("--tls", o.tls, "serve https and wss (needs --certificate and --key)");
  cli.add_option("--certificate", o.certificate, "certificate chain, a PEM file");
  cli.add_option("--key", o.key, "its private key, a PEM file");
  cli.add_option("--exchange", o.exchange, "whose protocol to speak: binance");
  cli.add_option("--symbols", o.symbols,
                 "how many instruments of each market, or their names, separated by commas (spot:BTCUSDT or "
                 "usdm:BTCUSDT for one market alone); default: all");
  cli.add_option("--rate", o.rate,
                 fmt::format("messages a second, 1 to {}: aggregated trades and 100 ms depth updates of all "
                             "instruments together; other streams come on top",
                             sim::Market::kMaxRate));
  cli.add_option("--seed", o.seed, "the same seed and start time make the same market");
  cli.add_option("--start-time", o.start_time,
                 "where the simulation's clock starts, e.g. 2026-11-23T00:00:00Z; default: now");
  cli.add_option("--ledger", o.ledger,
                 "append what the market did to this file, as JSON lines: every trade of every subscribed trade "
                 "stream from its first subscription on, and at the end one orderbook per subscribed book");
  cli.add_option("--for", o.duration, "end after this time, e.g. 20s; default: at SIGINT or SIGTERM");
  cli.add_option("--queue-bytes", o.queue_bytes, "a client with more than this unread is disconnected");
  cli.add_option("--history", o.history, "trades kept for REST, per instrument");
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

Result<std::vector<sim::Symbol>> read_symbols(const std::string& text, WallTime now) {
  if (text.empty()) return sim::binance::all_symbols(now);
  int count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error == std::errc{} && end == text.data() + text.size()) return sim::binance::first_symbols(now, count);
  std::vector<std::string> names;
  for (std::size_t at = 0; at <= text.size();) {
    const auto comma = std::min(text.find(',', at), text.size());
    names.push_back(text.substr(at, comma - at));
    at = comma + 1;
  }
  return sim::binance::named_symbols(now, names);
}

WallTime wall_now() { return std::chrono::time_point_cast<Nanos>(std::chrono::system_clock::now()); }

Result<Plan> make_plan(const Options& o) {
  Plan plan;
  if (auto ok = read_listen(o.listen, plan.server); !ok) return ok.error();
  if (o.exchange != "binance") {
    const std::string known[] = {"binance"};
    const auto near = nearest(o.exchange, known);
    return Error{Errc::usage, "--exchange: there is only binance so far",
                 o.exchange + (near.empty() ? "" : "; did you mean " + near + "?")};
  }
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
  if (o.captures.empty() && o.speed != 1.0) return Error{Errc::usage, "--speed is for --capture, which is not there", ""};
  if (!o.captures.empty() && !o.ledger.empty())
    return Error{Errc::usage, "--ledger tells what a simulated market did; with --capture there is none", o.ledger};

  plan.server.tls = o.tls;
  plan.server.certificate = o.certificate;
  plan.server.key = o.key;
  plan.server.queue_bytes = o.queue_bytes;
  plan.server.handle_signals = true;

  plan.exchange.market.start = wall_now();
  if (!o.start_time.empty()) {
    const auto start = parse_iso(o.start_time);
    if (!start) return Error{Errc::usage, "--start-time must be like 2026-11-23T00:00:00Z", o.start_time};
    plan.exchange.market.start = *start;
  }
  plan.exchange.market.seed = o.seed;
  plan.exchange.market.rate = o.rate;
  plan.exchange.history = o.history;
  plan.exchange.limits.spot_weight_per_minute = o.spot_weight;
  plan.exchange.limits.usdm_weight_per_minute = o.usdm_weight;
  const auto lifetime = parse_duration(o.lifetime);
  if (!lifetime) return Error{Errc::usage, "--connection-lifetime: " + lifetime.error().where, o.lifetime};
  plan.exchange.limits.lifetime = *lifetime;
  if (!o.duration.empty()) {
    const auto duration = parse_duration(o.duration);
    if (!duration) return Error{Errc::usage, "--for: " + duration.error().where, o.duration};
    plan.duration = *duration;
  }
  plan.captures = o.captures;
  plan.playback.speed = o.speed;
  plan.playback.limits = plan.exchange.limits;
  auto symbols = read_symbols(o.symbols, plan.exchange.market.start);
  if (!symbols) return Error{symbols.error().code, "--" + symbols.error().where, symbols.error().seen};
  plan.symbols = std::move(*symbols);
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
      c.messages, source, c.bytes, c.clients,
      c.dropped_slow + c.dropped_silent + c.dropped_talking + c.dropped_at_end, c.dropped_slow, c.dropped_silent,
      c.dropped_talking, c.dropped_at_end, c.requests);
  std::fflush(stdout);
}

int simulate(const Plan& plan, sim::LedgerFile* ledger) {
  auto server = sim::Server::listen(plan.server);
  if (!server) return fail("sim", server.error().text());
  sim::binance::Exchange exchange(plan.symbols, plan.exchange, **server, ledger);
  const sim::SimClock clock(plan.exchange.market.start);
  tell_ready(**server, plan);
  (*server)->run(exchange, clock, plan.duration);
  tell_end((*server)->counters(), fmt::format("{} trades", exchange.trades()));
  const auto lag = (*server)->counters().worst_lag;
  if (lag > std::chrono::seconds{1})
    fmt::print(stderr, "sim: was up to {} ms behind its own clock: --rate {} is more than this machine does\n",
               lag / std::chrono::milliseconds{1}, plan.exchange.market.rate);
  if (ledger != nullptr && !ledger->failure().empty()) return fail("sim", ledger->failure());
  return 0;
}

int play_back(const Plan& plan) {
  std::vector<sim::binance::Recording> recordings;
  for (const auto& path : plan.captures) {
    auto recording = sim::read_capture(path);
    if (!recording) return fail("sim", recording.error().text());
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
  tell_end((*server)->counters(), fmt::format("{} played back, {} of them to nobody", playback.played(), playback.unheard()));
  return 0;
}

}  // namespace

int run_sim(int argc, char** argv) {
  Options options;
  const auto cli = make_cli(
      "sim", "Simulated exchanges that speak the real wire protocols over websockets and REST.", kExamples);
  add_options(*cli, options);
  if (const auto status = parse_cli(*cli, argc, argv)) return *status;
  const auto plan = make_plan(options);
  if (!plan) {
    fmt::print(stderr, "marketprism sim: {} (see --help)\n", plan.error().text());
    return 2;
  }
  if (!plan->captures.empty()) return play_back(*plan);
  if (options.ledger.empty()) return simulate(*plan, nullptr);
  const auto ledger = sim::LedgerFile::open(options.ledger);
  if (!ledger) return fail("sim", ledger.error().text());
  return simulate(*plan, ledger->get());
}

}  // namespace mp::app
