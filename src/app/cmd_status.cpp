// marketprism status: what flows, on one screen.
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <deque>
#include <thread>

#include "app/commands.hpp"
#include "app/operate/query.hpp"
#include "app/operate/status_view.hpp"
#include "app/target_cli.hpp"

namespace mp::app {
namespace {

using namespace std::chrono_literals;

const std::string kDescription =
    "What flows: each part, each source and type (events a second, last event, gaps of this UTC day), what storage does, delay of\n"
    "each hop, disks. Asks /health and /metrics of both services, NATS' monitoring and ClickHouse; a part that does not answer\n"
    "is shown so. Exit status 1 when something is unwell.";

const std::string kExamples =
    "  marketprism status\n"
    "  marketprism status --watch                         every 2 s, until Ctrl-C\n"
    "  marketprism status --json | python3 -m json.tool\n"
    "  marketprism status --data /srv/marketprism         of a `marketprism up` with that data folder\n"
    "  marketprism status --collector-health 10.0.0.5:8086 --collector-metrics 10.0.0.5:9093 --nats nats://10.0.0.6:4222\n";

// Delays are those of the last half minute: batches come every few seconds.
constexpr auto kWindow = 30s;

struct Options {
  TargetOptions target;
  bool watch = false;
  bool json = false;
  std::string interval = "2s";
};

volatile std::sig_atomic_t interrupt_seen = 0;
extern "C" void mp_status_interrupt(int) { interrupt_seen = 1; }

void show(const operate::StatusView& view, const Options& o, const operate::Screen& screen) {
  if (o.json) {
    fmt::print("{}\n", operate::status_json(view));
  } else {
    auto text = operate::status_screen(view, screen);
    // Over the old screen, each line cleared to its end, then what is left below: nothing flickers.
    if (o.watch && screen.is_terminal) {
      std::string lines = "\x1b[H";
      for (const char c : text) lines += c == '\n' ? std::string("\x1b[K\n") : std::string(1, c);
      text = lines + "\x1b[J";
    }
    fmt::print("{}", text);
  }
  std::fflush(stdout);
}

int watch(const operate::Target& target, const Options& o, std::chrono::milliseconds interval) {
  struct sigaction action {};
  action.sa_handler = mp_status_interrupt;
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
  const auto at_once = operate::screen_of(STDOUT_FILENO);
  if (o.watch && !o.json && at_once.is_terminal) fmt::print("\x1b[2J");
  std::deque<operate::Snapshot> seen;
  seen.push_back(operate::look(target));
  bool is_well = false;
  do {
    const auto until = std::chrono::steady_clock::now() + interval;
    while (!interrupt_seen && std::chrono::steady_clock::now() < until)
      std::this_thread::sleep_for(std::min<std::chrono::nanoseconds>(50ms, interval));
    if (interrupt_seen) break;
    seen.push_back(operate::look(target));
    while (seen.size() > 2 && seen.back().at.mono - seen[1].at.mono >= kWindow) seen.pop_front();
    const auto view = operate::status_view(seen.front(), seen.back());
    is_well = view.problems.empty();
    show(view, o, operate::screen_of(STDOUT_FILENO));
  } while (o.watch && !interrupt_seen && std::ferror(stdout) == 0);
  return is_well ? 0 : 1;
}

}  // namespace

int run_status(int argc, char** argv) {
  Options o;
  auto cli = make_cli("status", kDescription, kExamples);
  cli->add_flag("--watch", o.watch, "again and again, until Ctrl-C");
  cli->add_flag("--json", o.json, "one line of JSON for programs");
  cli->add_option("--interval", o.interval, "time between the two looks that rates are made of");
  add_clickhouse_options(*cli, o.target);
  add_part_options(*cli, o.target);
  if (const auto status = parse_cli(*cli, argc, argv)) return *status;
  const auto interval = parse_duration(o.interval);
  if (!interval || *interval < 100ms || *interval > 1h) {
    fail("status", fmt::format("--interval: a time of 100ms to 1h, saw '{}'", o.interval));
    return 2;
  }
  auto target = understand_target(o.target);
  if (!target) {
    fail("status", target.error().text());
    return target.error().code == Errc::usage ? 2 : 1;
  }
  if (!target->database_is_named) {
    clickhouse::Client client(target->storage.clickhouse);
    if (const auto found = operate::find_database(client); found && !found->name.empty())
      target->storage.database = found->name;
  }
  return watch(*target, o, std::chrono::duration_cast<std::chrono::milliseconds>(*interval));
}

}  // namespace mp::app
