#include "probe.hpp"

#include <signal.h>

#include <algorithm>
#include <deque>
#include <map>
#include <memory>

#include "base/text.hpp"
#include "exchanges/router.hpp"
#include "net/clock.hpp"
#include "net/http_client.hpp"
#include "net/loop.hpp"

namespace mp::collector {
namespace {

constexpr std::size_t kMostReasons = 5;
constexpr std::size_t kMostProblems = 20;

// A record that is its own owner: it waits here for the end of the call that brought it.
struct Arrived {
  RawRecord record;
  std::string url;
  std::string payload;  // padded
  std::size_t payload_size = 0;
  MonoTime mono;
};

class Probe {
 public:
  explicit Probe(const ProbeOptions& options)
      : options_(options), end_(loop_), router_([this](const Source& source) { return options_for(source); }) {}

  Result<std::vector<ProbeSource>> run();

 private:
  struct Seen {
    ProbeSource found;
    std::map<std::pair<const InstrumentId*, DataType>, ProbeStream> events;
  };

  SessionOptions options_for(const Source& source) const;
  Result<void> start();
  void arrived(const RawRecord& record);
  void take_arrived();
  void route(const RawRecord& record, MonoTime mono);
  void take(const Source& source, const RawRecord* record, Outbox& out);
  void note_record(Seen& seen, const RawRecord& record) const;
  void note_event(Seen& seen, const MarketEvent& event) const;
  std::chrono::milliseconds elapsed() const;
  void finish();
  ProbeSource findings(const Source& source, Seen& seen);

  const ProbeOptions& options_;
  net::Loop loop_;
  net::Timer end_;
  net::AsyncHttp http_;
  RestBudgets budgets_;
  Router router_;
  std::map<Source, std::unique_ptr<SocketDriver>> drivers_;
  std::map<Source, Seen> seen_;
  std::deque<Arrived> waiting_;
  ConnectionId last_connection_ = 0;
  RecordPosition position_;
  MonoTime started_ = net::now().mono;
  std::size_t drivers_to_stop_ = 0;
  bool stopping_ = false;
};

SessionOptions Probe::options_for(const Source& source) const {
  return *std::ranges::find(options_.sources, source, &SessionOptions::source);
}

std::chrono::milliseconds Probe::elapsed() const {
  return std::chrono::duration_cast<std::chrono::milliseconds>(net::now().mono - started_);
}

Result<void> Probe::start() {
  for (const auto& wanted : options_.sources) {
    const auto& source = wanted.source;
    auto& seen = seen_[source];
    seen.found.source = source;
    seen.found.wanted = wanted.data_types;
    SocketDriver::Callbacks callbacks;
    callbacks.record = [this](const RawRecord& record) { arrived(record); };
    callbacks.tick = [this, source](Instant now) {
      if (!stopping_)
        router_.tick(source, now, [this](const Source& of, Outbox& out, auto) { take(of, nullptr, out); });
    };
    callbacks.next_connection = [this] { return ++last_connection_; };
    drivers_[source] =
        std::make_unique<SocketDriver>(source, options_.driver, loop_, http_, budgets_, std::move(callbacks));
    if (auto added = router_.add(source); !added) return added.error();
  }
  RawRecord begin;
  begin.kind = RecordKind::start;
  begin.received_at = net::now().wall;
  route(begin, net::now().mono);
  return {};
}

// Comes from within the driver, which may be carrying out what a session asked for: taken when that is over.
void Probe::arrived(const RawRecord& record) {
  auto& kept = waiting_.emplace_back();
  kept.record = record;
  kept.url = record.url;
  kept.payload_size = record.payload.size();
  kept.payload = record.payload;
  kept.payload.append(RawRecord::kFramePadding, ' ');
  kept.mono = net::now().mono;
  if (waiting_.size() == 1) loop_.post([this] { take_arrived(); });
}

void Probe::take_arrived() {
  while (!waiting_.empty()) {
    const auto kept = std::move(waiting_.front());
    waiting_.pop_front();
    if (stopping_) continue;  // the streams are judged as they stood before the sockets were closed
    auto record = kept.record;
    record.url = kept.url;
    record.payload = std::string_view(kept.payload).substr(0, kept.payload_size);
    if (record.source != nullptr) note_record(seen_.at(*record.source), record);
    route(record, kept.mono);
  }
}

void Probe::note_record(Seen& seen, const RawRecord& record) const {
  auto& found = seen.found;
  switch (record.kind) {
    case RecordKind::opened:
      if (!found.connected) found.connected = elapsed();
      break;
    case RecordKind::text: ++found.frames; break;
    case RecordKind::rest:
      ++found.rest_answers;
      if (record.status >= 400) ++found.rest_failures;
      break;
    case RecordKind::rest_failed:
      ++found.rest_failures;
      if (found.problems.size() < kMostProblems)
        found.problems.push_back("no answer: " + shortened(record.url) + ": " + shortened(record.payload));
      break;
    default: break;
  }
}

void Probe::route(const RawRecord& record, MonoTime mono) {
  ++position_.record;
  router_.route(record, position_, mono, [&](const Source& source, Outbox& out, auto) { take(source, &record, out); });
}

void Probe::take(const Source& source, const RawRecord* record, Outbox& out) {
  auto& seen = seen_.at(source);
  for (const auto& event : out.events) note_event(seen, event);
  for (const auto& notice : out.notices)
    if (notice.level != Notice::Level::info && seen.found.problems.size() < kMostProblems)
      seen.found.problems.push_back(notice.message + (notice.detail.empty() ? "" : ": " + notice.detail));
  if (stopping_) return;
  auto& driver = *drivers_.at(source);
  if (record != nullptr && !out.events.empty()) driver.data_arrived(record->connection);
  driver.carry_out(out);
}

void Probe::note_event(Seen& seen, const MarketEvent& event) const {
  if (const auto* rejected = std::get_if<Rejected>(&event)) {
    ++seen.found.decode_failures;
    if (seen.found.failure_reasons.size() < kMostReasons)
      seen.found.failure_reasons.push_back(rejected->reason + " in " + shortened(rejected->raw));
    return;
  }
  const auto& meta = meta_of(event);
  const auto type = type_of(event);
  if (type == DataType::gap || type == DataType::instrument) return;
  auto& stream = seen.events[{meta.instrument.get(), type}];
  stream.instrument = meta.instrument;
  stream.type = type;
  if (!stream.first_data) stream.first_data = elapsed();
  ++stream.messages;
  // What the venue stamps as it happens; polled rows and funding times are older by their nature.
  if (type != DataType::trade && type != DataType::orderbook_delta) return;
  const Nanos offset = meta.received_at - meta.timestamp;
  if (!seen.found.clock_offset || offset < *seen.found.clock_offset) seen.found.clock_offset = offset;
}

void Probe::finish() {
  if (std::exchange(stopping_, true)) return;
  drivers_to_stop_ = drivers_.size();
  for (auto& [source, driver] : drivers_)
    driver->stop([this] {
      if (--drivers_to_stop_ == 0) loop_.stop();
    });
}

ProbeSource Probe::findings(const Source& source, Seen& seen) {
  auto found = std::move(seen.found);
  const auto* session = router_.session(source);
  std::vector<StreamStatus> streams;
  session->describe(streams);
  for (const auto& stream : streams) {
    auto& row = seen.events[{stream.instrument.get(), stream.data_type}];
    row.instrument = stream.instrument;
    row.type = stream.data_type;
    row.state = stream.state;
  }
  for (auto& [key, row] : seen.events) found.streams.push_back(std::move(row));
  std::ranges::sort(found.streams, {}, [](const ProbeStream& each) {
    return std::tuple(each.instrument->market_type, each.instrument->symbol, each.type);
  });
  found.unknown = session->counters().unknown;
  return found;
}

Result<std::vector<ProbeSource>> Probe::run() {
  if (auto ok = start(); !ok) return ok.error();
  loop_.on_signals({SIGINT, SIGTERM}, [this](int) { finish(); });
  std::vector<ProbeSource> all;
  end_.set_after(options_.duration, [this] { finish(); });
  loop_.run();
  for (const auto& wanted : options_.sources) all.push_back(findings(wanted.source, seen_.at(wanted.source)));
  drivers_.clear();
  return all;
}

}  // namespace

Result<std::vector<ProbeSource>> run_probe(const ProbeOptions& options) {
  Probe probe(options);
  return probe.run();
}

}  // namespace mp::collector
