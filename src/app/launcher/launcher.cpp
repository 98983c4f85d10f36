#include "app/launcher/launcher.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <limits>
#include <memory>
#include <set>
#include <sstream>
#include <thread>

#include "app/launcher/log_file.hpp"
#include "app/launcher/prober.hpp"
#include "app/launcher/process.hpp"
#include "app/launcher/replaced.hpp"
#include "app/launcher/status.hpp"
#include "app/launcher/supervisor.hpp"
#include "app/launcher/verdict.hpp"
#include "base/text.hpp"
#include "net/clock.hpp"

namespace mp::launcher {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kMissingLookedAt = 10'000;  // more than that missing is a loss, whatever they told
constexpr std::size_t kGapsAskedAtOnce = 500;     // so that the query stays far below ClickHouse's max_query_size
constexpr auto kDiskToldEvery = 60s;
// Signals that come within this time are one wish of whoever sends them.
constexpr auto kOneGesture = 400ms;

sigset_t watched_signals() {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGCHLD}) ::sigaddset(&set, number);
  return set;
}

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  ~FileDescriptor() { ::close(fd_); }
  int get() const { return fd_; }

 private:
  int fd_;
};

// What people see: lines, and below them in a terminal the table, redrawn.
class Screen {
 public:
  explicit Screen(const std::string& log_path) : terminal_(::isatty(STDOUT_FILENO) == 1), log_(log_path) {}

  void say(const std::string& text) {
    erase_table();
    const std::time_t now = std::time(nullptr);
    std::array<char, 16> time{};
    std::tm parts{};
    std::strftime(time.data(), time.size(), "%H:%M:%S", ::localtime_r(&now, &parts));
    const auto line = fmt::format("{} up: {}", time.data(), text);
    std::fputs((line + "\n").c_str(), stdout);
    std::fflush(stdout);
    log_.append_line(line);
  }

  void show(const Status& status, MonoTime now) {
    if (terminal_) {
      if (now - shown_ < 1s) return;
      erase_table();
      const auto table = status_table(status);
      std::fputs(table.c_str(), stdout);
      table_lines_ = static_cast<int>(std::count(table.begin(), table.end(), '\n'));
      std::fflush(stdout);
    } else {
      if (now - shown_ < 5s) return;
      say(status_line(status));
    }
    shown_ = now;
  }

  void erase_table() {
    if (table_lines_ > 0) std::fputs(fmt::format("\x1b[{}A\x1b[J", table_lines_).c_str(), stdout);
    table_lines_ = 0;
  }

 private:
  bool terminal_;
  LogFile log_;
  int table_lines_ = 0;
  MonoTime shown_{};
};

struct Child {
  std::optional<Process> process;
  std::unique_ptr<LogFile> log;
  int generation = 0;
  MonoTime started{};
  Observation seen;
  std::string told_failure;  // how its first start failed, as it was told last
};

class Launcher {
 public:
  Launcher(const Plan& plan, const RunOptions& options)
      : plan_(plan),
        options_(options),
        screen_(options.data + "/logs/up.log"),
        supervisor_(rules_of(plan)),
        children_(plan.parts.size()),
        wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
        signals_(open_signals()),
        begun_(net::now()),
        prober_(plan.parts, plan.nats_http_url, options.stream, wake_.get()) {
    for (std::size_t i = 0; i < children_.size(); ++i) {
      children_[i].log = std::make_unique<LogFile>(fmt::format("{}/logs/{}.log", options.data, name(i)),
                                                   options.log_max_bytes, options.log_files);
    }
  }

  int run() {
    screen_.say(fmt::format("starting: data in {}, database {}", options_.data, plan_.database));
    while (!supervisor_.over()) {
      carry_out_actions();
      if (supervisor_.over()) break;
      wait();
      read_outputs();
      reap();
      read_probes();
      decide_end();
      screen_.show(status(), net::now().mono);
    }
    screen_.erase_table();
    return finish();
  }

 private:
  static Rules rules_of(const Plan& plan) {
    Rules rules;
    for (const auto& part : plan.parts) rules.parts.push_back(part.rules);
    rules.stop = plan.stop;
    return rules;
  }
  static int open_signals() {
    const auto set = watched_signals();
    return ::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  }

  const std::string& name(std::size_t part) const { return plan_.parts[part].rules.name; }

  // --- carrying out what the supervisor decides

  void carry_out_actions() {
    // Bounded: a part that cannot be started at all is told to the supervisor, which backs off.
    for (auto actions = supervisor_.next(net::now().mono); !actions.empty();
         actions = supervisor_.next(net::now().mono)) {
      for (const auto& action : actions) carry_out(action);
    }
  }

  void carry_out(const Action& action) {
    auto& child = children_[action.part];
    switch (action.kind) {
      case Action::Kind::start: start(action.part); break;
      case Action::Kind::terminate:
        if (action.part == plan_.bus) tell_waiting();
        screen_.say(fmt::format("stopping {}", name(action.part)));
        if (child.process) child.process->signal(SIGTERM);
        break;
      case Action::Kind::kill:
        if (!supervisor_.forced()) screen_.say(fmt::format("{} did not end in time: killed", name(action.part)));
        unclean_ = true;
        if (child.process) child.process->signal(SIGKILL);
        break;
      case Action::Kind::check: check(); break;
      case Action::Kind::mend: mend(action.part); break;
    }
  }

  // It lives and is not well: started again, unless there is no room on the disk, which no start mends.
  void mend(std::size_t part) {
    const auto& problem = children_[part].seen.problem;
    const auto [folder, free] = least_free();
    if (free < options_.full_below_bytes) {
      supervisor_.on_mend_refused(part, net::now().mono);
      const auto now = net::now().mono;
      if (disk_told_ && now - *disk_told_ < kDiskToldEvery) return;
      disk_told_ = now;
      screen_.say(
          fmt::format("the disk of {} is full ({} MB free), and {} is not well: {}. Make room: until then nothing "
                      "is stored, and what does not fit into the journal either is lost. {} is started again "
                      "as soon as there is room",
                      folder, free >> 20, name(part), shortened(problem, 200), name(part)));
      return;
    }
    disk_told_.reset();
    screen_.say(fmt::format("{} lives but has not been well for long ({}): starting it again; the others wait for it",
                            name(part), problem.empty() ? "no reason told" : shortened(problem, 200)));
    if (children_[part].process) children_[part].process->signal(SIGTERM);
  }

  // The folder on whose disk there is the least room, and how many bytes. (The bus may have a disk of its own.)
  std::pair<std::string, std::uint64_t> least_free() const {
    std::pair<std::string, std::uint64_t> least{options_.data, std::numeric_limits<std::uint64_t>::max()};
    auto folders = plan_.folders;
    folders.push_back(options_.data);
    for (const auto& folder : folders) {
      std::error_code error;
      const auto space = std::filesystem::space(folder, error);
      if (!error && space.available < least.second) least = {folder, space.available};
    }
    return least;
  }

  // Before the bus ends: what it holds for storage, when nothing else has told it.
  void tell_waiting() {
    if (proved_) return;
    const auto bus = ask_bus_state(client_, plan_.nats_http_url, options_.stream);
    if (!bus || !*bus || (*bus)->waiting == 0) return;
    screen_.say(
        fmt::format("{} messages wait on the bus and are not known to be in ClickHouse: they are stored at the "
                    "next start",
                    (*bus)->waiting));
  }

  void start(std::size_t part) {
    auto& child = children_[part];
    if (part == plan_.collector && !range_) note_beginning();
    if (part == plan_.collector && !plan_.end_report.empty()) std::remove(plan_.end_report.c_str());
    child.log->forget_last_lines();
    auto process = Process::start(plan_.parts[part].argv, plan_.parts[part].environment, plan_.parts[part].niceness);
    if (!process) {
      screen_.say(process.error().text());
      supervisor_.on_exit(part, false, false, net::now().mono);
      return;
    }
    child.process.emplace(std::move(*process));
    child.started = net::now().mono;
    child.seen = {};
    write_pid_file(part, child.process->pid());
    prober_.watch(part, ++child.generation);
  }

  // So that people and tests know whom to signal.
  void write_pid_file(std::size_t part, int pid) {
    std::ofstream(fmt::format("{}/run/{}.pid", options_.data, name(part))) << pid << '\n';
  }
  void remove_pid_file(std::size_t part) {
    std::error_code ignored;
    std::filesystem::remove(fmt::format("{}/run/{}.pid", options_.data, name(part)), ignored);
  }

  // --- waiting for what happens

  void wait() {
    std::vector<pollfd> fds{{signals_.get(), POLLIN, 0}, {wake_.get(), POLLIN, 0}};
    for (const auto& child : children_) {
      if (child.process && child.process->output() >= 0) fds.push_back({child.process->output(), POLLIN, 0});
    }
    const auto now = net::now().mono;
    auto pause = 500ms;
    if (const auto at = supervisor_.wake_at()) {
      pause = std::clamp(std::chrono::duration_cast<std::chrono::milliseconds>(*at - now) + 1ms, 0ms, pause);
    }
    ::poll(fds.data(), fds.size(), static_cast<int>(pause.count()));
    std::uint64_t count = 0;
    [[maybe_unused]] const auto ignored = ::read(wake_.get(), &count, sizeof count);
    read_signals();
  }

  void read_signals() {
    signalfd_siginfo info{};
    while (::read(signals_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
      if (info.ssi_signo == SIGCHLD) continue;
      // Sent to a whole group, as `timeout` and service managers do, one signal may come twice.
      if (interrupted_ && net::now().mono - *interrupted_ < kOneGesture) continue;
      if (supervisor_.stopping() && interrupted_) {
        screen_.say("stopping at once: what was not stored yet stays in the journal and the bus");
        unclean_ = true;
        supervisor_.force_stop();
      } else {
        screen_.say("stopping in order; once more to stop at once");
        interrupted_ = net::now().mono;
        supervisor_.request_stop(net::now().mono);
      }
    }
  }

  void read_output(std::size_t part) {
    auto& child = children_[part];
    std::array<char, 16 * 1024> buffer;
    for (int round = 0; round < 16 && child.process && child.process->output() >= 0; ++round) {
      const auto size = ::read(child.process->output(), buffer.data(), buffer.size());
      if (size <= 0) return;
      child.log->append({buffer.data(), static_cast<std::size_t>(size)}, [&](const std::string& line) {
        if (!is_alarming(line) || !is_to_be_shown(part)) return;
        // While all ends, each warns of the one that ended before it: that stays in its log.
        if (supervisor_.stopping() && is_warning(line)) return;
        screen_.say(fmt::format("{} | {}", name(part), shortened(line, 400)));
      });
    }
  }
  // A part that starts may complain that it is not ready, and that others are not yet; if it fails its last lines are
  // shown anyway. One that ends complains of what ended before it.
  bool is_to_be_shown(std::size_t part) const {
    const auto view = supervisor_.view(part);
    return view.was_ready && view.state != PartState::stopping;
  }
  void read_outputs() {
    for (std::size_t i = 0; i < children_.size(); ++i) read_output(i);
  }

  void reap() {
    for (std::size_t i = 0; i < children_.size(); ++i) {
      auto& child = children_[i];
      if (!child.process) continue;
      const int pid = child.process->pid();
      const auto status = child.process->poll_exit();
      if (!status) continue;
      read_output(i);
      child.process.reset();
      child.seen = {};
      prober_.watch(i, 0);
      remove_pid_file(i);
      tell_exit(i, pid, *status);
    }
  }

  void tell_exit(std::size_t part, int pid, const ExitStatus& status) {
    const auto before = supervisor_.view(part).state;
    supervisor_.on_exit(part, status.success(), status.exited && status.code == 2, net::now().mono);
    if (before == PartState::stopping) {
      // nats-server ends with status 1 after SIGTERM in some versions; our own parts end with 0 or say why not.
      const bool ours = part == plan_.collector || part == plan_.storage;
      if (ours && !status.success() && !supervisor_.forced()) {
        unclean_ = true;
        screen_.say(fmt::format("{} ended badly: {}", name(part), status.text()));
      }
      return;
    }
    if (supervisor_.finished(part)) {
      screen_.say(fmt::format("{} is done", name(part)));
      return;
    }
    ++deaths_;
    if (!supervisor_.view(part).was_ready && is_told_failure(part, status)) return;
    screen_.say(fmt::format("{} (pid {}) ended: {}", name(part), pid, status.text()));
    const bool usage = status.exited && status.code == 2;
    if (!supervisor_.view(part).was_ready || usage) tell_last_lines(part);
  }

  // A start that fails is tried some times more: once is enough to say how, as long as it fails in the same way.
  bool is_told_failure(std::size_t part, const ExitStatus& status) {
    auto& child = children_[part];
    auto how = status.text();
    for (const auto& line : child.log->last_lines()) {
      const bool begins_with_time = !line.empty() && std::isdigit(static_cast<unsigned char>(line.front())) != 0;
      how += "\n" + (begins_with_time ? line.substr(std::min(line.find(' '), line.size())) : line);
    }
    return std::exchange(child.told_failure, how) == how;
  }

  void tell_last_lines(std::size_t part) {
    const auto& log = *children_[part].log;
    if (log.last_lines().empty()) return;
    screen_.say(fmt::format("the last lines of {}:", log.path()));
    for (const auto& line : log.last_lines()) screen_.say("  " + shortened(line, 300));
  }

  void read_probes() {
    for (auto& probe : prober_.take()) {
      auto& child = children_[probe.part];
      if (!child.process || probe.generation != child.generation) continue;
      const auto now = net::now().mono;
      if (probe.ready && supervisor_.view(probe.part).state == PartState::starting) {
        screen_.say(fmt::format("{} is ready (pid {}, {:.1f} s)", name(probe.part), child.process->pid(),
                                std::chrono::duration<double>(now - child.started).count()));
        supervisor_.on_ready(probe.part, now);
      }
      if (probe.seen.answers) supervisor_.on_health(probe.part, probe.ready, now);
      if (probe.part == plan_.storage) supervisor_.on_drained(probe.part, drained(probe));
      if (probe.part == plan_.collector) events_.add(probe.seen.events, now);
      if (probe.part == plan_.storage) rows_.add(probe.seen.rows, now);
      child.seen = std::move(probe.seen);
    }
  }

  // By the bus's word everything has been given to storage, or by its own word stored. Only what was seen after the
  // collector's end counts. (Waiting until it is stored would mean waiting for the batches' time-outs.)
  bool drained(const Probe& probe) {
    if (!supervisor_.stopping() || children_[plan_.collector].process) return false;
    if (!collector_gone_) collector_gone_ = net::now().mono;
    if (probe.seen.at < *collector_gone_ + 200ms) return false;
    auto bus = ask_bus_state(client_, plan_.nats_http_url, options_.stream);
    return bus && (!*bus || (*bus)->undelivered == 0);
  }

  // --- when to end

  void decide_end() {
    const auto now = net::now().mono;
    if (supervisor_.stopping()) {
      prober_.hurry();
      tell_failure();
      return;
    }
    if (supervisor_.all_ready() && !all_ready_since_) {
      all_ready_since_ = now;
      screen_.say(
          fmt::format("everything runs, {:.1f} s after the start; query: curl '{}/?database={}' --data 'SHOW TABLES'",
                      std::chrono::duration<double>(now - begun_.mono).count(), plan_.clickhouse_url, plan_.database));
    }
    const bool time_is_up = options_.run_for && all_ready_since_ && now - *all_ready_since_ >= *options_.run_for;
    const bool done = options_.exit_when_done && supervisor_.finished(plan_.collector);
    if (time_is_up || done) supervisor_.request_stop(now);
  }

  void tell_failure() {
    const auto& failure = supervisor_.failure();
    if (!failure || failure_told_) return;
    failure_told_ = true;
    const auto& part = plan_.parts[failure->part];
    if (failure->kind == Supervisor::Failure::Kind::not_ready) {
      screen_.say(fmt::format("{} was not ready after {} s ({}): giving up", part.rules.name,
                              part.rules.start_timeout / 1s, part.health_url));
      tell_last_lines(failure->part);
    } else {
      screen_.say(fmt::format("{} cannot be started: giving up", part.rules.name));
    }
  }

  // --- the proof at the end

  // Where the stream stood before the collector's first start: what comes after is this run's.
  void note_beginning() {
    BusRange range;
    const auto bus = ask_bus_state(client_, plan_.nats_http_url, options_.stream);
    if (bus && *bus && options_.mode != Mode::replay) {
      range.stream_created = (*bus)->created;
      range.after = (*bus)->last_sequence;
    }
    // Play-back counts from the beginning of the stream: the same files again add nothing, and are there all the same.
    range_ = range;
  }

  Result<std::string> query(const std::string& sql) {
    auto answer = client_.request(
        {.method = "POST", .url = plan_.clickhouse_url + "/", .body = sql, .timeouts = {.connect = 2s, .total = 25s}});
    if (!answer) return answer.error();
    if (answer->status != 200) return Error{Errc::refused, "ClickHouse", shortened(answer->body, 300)};
    return std::move(answer->body);
  }

  // A message that only told gaps leaves no row once newer rows about the same gaps have replaced its own. One that was
  // published again has none when its events were stored from a stream that is gone.
  Result<Known> count_replaced(const BusRange& range) {
    const auto answer = query(sql_missing_sequences(plan_.database, range, kMissingLookedAt));
    if (!answer) return answer.error();
    const auto told = told_by(plan_.nats_url, options_.stream, read_sequences(*answer));
    if (!told) return told.error();
    std::set<std::string, std::less<>> known;
    std::vector<std::string> asked;
    const auto ask = [&]() -> Result<void> {
      if (asked.empty()) return {};
      const auto ids = query(sql_known_gaps(plan_.database, asked));
      if (!ids) return ids.error();
      read_lines(*ids, known);
      asked.clear();
      return {};
    };
    std::map<std::string, std::vector<WallTime>> events;
    const auto ask_events = [&](const std::string& table) -> Result<void> {
      const auto places = query(sql_known_events(plan_.database, table, events[table]));
      if (!places) return places.error();
      read_lines(*places, known);
      events[table].clear();
      return {};
    };
    for (const auto& message : *told) {
      for (const auto& id : message.gaps) {
        asked.push_back(id);
        if (asked.size() < kGapsAskedAtOnce) continue;
        if (auto done = ask(); !done) return done.error();
      }
      for (const auto& place : message.events) {
        auto& times = events[place.table];
        times.push_back(place.received_at);
        if (times.size() < kGapsAskedAtOnce) continue;
        if (auto done = ask_events(place.table); !done) return done.error();
      }
    }
    if (auto done = ask(); !done) return done.error();
    for (const auto& [table, times] : events)
      if (!times.empty())
        if (auto done = ask_events(table); !done) return done.error();
    return count_all_known(*told, known);
  }

  Result<Verdict> prove() {
    auto bus = ask_bus_state(client_, plan_.nats_http_url, options_.stream);
    if (!bus) return bus.error();
    if (!*bus) return Error{Errc::unavailable, "stream " + options_.stream, "there is none: nothing was published"};
    BusRange range = range_.value_or(BusRange{});
    if (range.stream_created != (*bus)->created) range.after = 0;
    range.stream_created = (*bus)->created;
    range.last = (*bus)->last_sequence;
    const auto since = options_.mode == Mode::replay ? std::nullopt : std::optional(begun_.wall);
    Findings findings;
    const auto counts = query(sql_counts(plan_.database, range));
    if (!counts) return counts.error();
    read_counts(*counts, findings);
    const auto missing = query(sql_missing(plan_.database, range));
    if (!missing) return missing.error();
    read_missing(*missing, findings);
    if (findings.missing_messages > 0) {
      const auto replaced = count_replaced(range);
      if (!replaced) return replaced.error();
      findings.missing_messages -= std::min(findings.missing_messages, replaced->by_gaps + replaced->by_events);
      findings.stored_before = replaced->by_events;
    }
    const auto gaps = query(sql_gaps(plan_.database, range, since));
    if (!gaps) return gaps.error();
    read_gaps(*gaps, findings);
    findings.unpublished = unpublished();
    findings.must_report = !plan_.end_report.empty();
    findings.must_play_to_end = options_.exit_when_done;
    findings.bus_says_stored = (*bus)->waiting == 0;
    findings.data = options_.data;
    findings.is_playback = options_.mode == Mode::replay;
    if (const auto all = query(sql_all_rows(plan_.database)))
      findings.rows_of_others = std::strtoull(all->c_str(), nullptr, 10);
    return judge(findings, range, deaths_);
  }

  // What the collector left in its journal, in its own words. (A run without it has ended badly and says so elsewhere.)
  std::optional<Unpublished> unpublished() const {
    if (plan_.end_report.empty()) return std::nullopt;
    std::ifstream file(plan_.end_report);
    std::stringstream text;
    text << file.rdbuf();
    return read_end_report(text.str());
  }

  void check() {
    auto verdict = prove();
    supervisor_.on_checked();
    checked_ = true;
    if (!verdict) {
      screen_.say("cannot tell whether everything was stored: " + verdict.error().text());
      const auto left = unpublished();
      if (const auto text = left ? unpublished_text(*left) : ""; !text.empty()) screen_.say(text);
      return;
    }
    proved_ = true;
    good_ = verdict->good;
    for (const auto& line : verdict->lines) screen_.say(line);
  }

  int finish() {
    tell_failure();
    // A mistake in what was asked for is told by its part, and by the exit status.
    if (const auto& failure = supervisor_.failure()) return failure->kind == Supervisor::Failure::Kind::usage ? 2 : 1;
    if (supervisor_.forced()) return 1;
    const bool must_prove = options_.run_for || options_.exit_when_done;
    if (must_prove && !all_ready_since_ && !interrupted_) screen_.say("ended before everything ran");
    if (unclean_) screen_.say("not everything ended in order (see above)");
    screen_.say(
        fmt::format("stopped; `marketprism clickhouse --data {}/clickhouse` serves what was stored", options_.data));
    if (!must_prove) return unclean_ ? 1 : 0;
    return checked_ && good_ && !unclean_ ? 0 : 1;
  }

  Status status() {
    Status status;
    const auto now = net::now().mono;
    status.uptime = std::chrono::duration_cast<std::chrono::seconds>(now - begun_.mono);
    for (std::size_t i = 0; i < children_.size(); ++i) {
      const auto& child = children_[i];
      status.parts.push_back(
          {name(i), supervisor_.view(i), child.process ? child.process->pid() : 0, child.seen.problem});
    }
    const auto& collector = children_[plan_.collector].seen;
    const auto& storage = children_[plan_.storage].seen;
    auto& flow = status.flow;
    flow.events = collector.events;
    flow.rows = storage.rows;
    flow.gaps = collector.gaps;
    if (collector.rejected || storage.rejected)
      flow.rejected = collector.rejected.value_or(0) + storage.rejected.value_or(0);
    flow.streams = collector.streams;
    flow.live_streams = collector.live_streams;
    flow.events_per_second = events_.per_second();
    flow.rows_per_second = rows_.per_second();
    if (const auto bus = prober_.bus()) flow.waiting = bus->waiting;
    return status;
  }

  const Plan& plan_;
  const RunOptions options_;
  Screen screen_;
  Supervisor supervisor_;
  std::vector<Child> children_;
  FileDescriptor wake_;
  FileDescriptor signals_;
  const Instant begun_;
  net::HttpClient client_;
  Rate events_;
  Rate rows_;
  std::optional<BusRange> range_;
  std::optional<MonoTime> all_ready_since_;
  std::optional<MonoTime> collector_gone_;
  std::optional<MonoTime> interrupted_;
  bool unclean_ = false;
  bool failure_told_ = false;
  bool checked_ = false;
  bool proved_ = false;  // the verdict tells what is not stored
  std::optional<MonoTime> disk_told_;
  bool good_ = false;
  int deaths_ = 0;
  Prober prober_;  // last: its thread ends before what it uses
};

}  // namespace

void block_signals() {
  const auto set = watched_signals();
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  ::signal(SIGPIPE, SIG_IGN);  // a closed standard output must not end the capture
}

int run(const Plan& plan, const RunOptions& options) { return Launcher(plan, options).run(); }

}  // namespace mp::launcher
