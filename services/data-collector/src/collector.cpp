#include "collector.hpp"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>

#include <fstream>
#include <mutex>

#include "base/log.hpp"
#include "base/text.hpp"
#include "collector_metrics.hpp"
#include "feed/published_options.hpp"
#include "health.hpp"
#include "lanes.hpp"
#include "net/clock.hpp"
#include "net/http_client.hpp"
#include "net/loop.hpp"
#include "socket_driver.hpp"
#include "telemetry/endpoints.hpp"
#include "wire/json.hpp"

namespace mp::collector {
namespace {

using namespace std::chrono_literals;

constexpr auto kHousekeeping = 200ms;
constexpr auto kFlushCheck = 20ms;  // how late a conflated book of a quiet market may be
constexpr auto kRetention = 10s;
constexpr auto kCountUnpublished = 3000ms;  // at the end, at most
constexpr auto kStreamMetrics = 1s;         // there may be hundreds of streams

SessionOptions for_catch_up(SessionOptions options) {
  options.conversing = false;
  return options;
}

class Collector {
 public:
  Collector(CollectorOptions options, Reread reread)
      : options_(std::move(options)),
        reread_(std::move(reread)),
        housekeeping_(loop_),
        flush_check_(loop_),
        drain_timer_(loop_),
        metrics_view_(metrics_),
        lanes_(options_, loop_, lane_makers()) {}

  Result<void> start();
  Result<Ended> run();

 private:
  Lanes::Makers lane_makers();
  SessionOptions options_for(const Source& source) const;
  void add_driver(const Source& source);
  void configure_sources();
  void reload();
  void leave(const Source& source);
  void take_outbox(const Source& source, const RawRecord* record, Outbox& out);
  void tell(const Source& source, const Notice& notice);
  void flush_due_sources();
  void keep_house();
  void publish_health();
  HealthInputs health_inputs() const;
  std::vector<StreamStatus> streams();
  void request_stop();
  void drain();
  void finish();
  void write_final_books();
  void write_end_report();
  RawRecord control_record(RecordKind kind) const;

  CollectorOptions options_;
  const Reread reread_;
  net::Loop loop_;
  net::Timer housekeeping_, flush_check_, drain_timer_;
  telemetry::Metrics metrics_;
  CollectorMetrics metrics_view_;
  net::AsyncHttp http_;
  RestBudgets budgets_;
  Lanes lanes_;
  std::map<Source, std::unique_ptr<SocketDriver>> drivers_;
  std::vector<std::unique_ptr<SocketDriver>> leaving_;  // of sources that are not collected any more; closing
  std::map<Source, WallTime> flush_due_;
  EventCounts counts_;
  log::Sampler notices_;
  ConnectionId last_connection_ = 0;
  MonoTime started_ = net::now().mono;
  MonoTime next_retention_{};
  MonoTime next_stream_metrics_{};
  bool stopping_ = false;
  std::optional<Error> refusal_;  // of the configuration, by a venue's own list
  std::optional<Error> failure_;  // a recording's journal could not be opened
  std::size_t drivers_to_stop_ = 0;
  std::size_t unfinished_recordings_ = 0;  // when it was told to stop

  std::mutex health_mutex_;
  // Guarded by health_mutex_; read by the endpoint's threads.
  HealthText health_{false, R"({"status":"starting","problem":"","drained":false,"streams":[]})"};
  // Declared last: its threads end before what they read.
  std::unique_ptr<telemetry::Endpoints> endpoints_;
};

Result<void> Collector::start() {
  // Before anybody can take it for running: a signal in the middle of this waits for the loop, and ends it in order.
  loop_.on_signals({SIGINT, SIGTERM}, [this](int) { request_stop(); });
  loop_.on_signals({SIGHUP}, [this](int) { reload(); });
  // The ports first: a second instance is told before it touches anything.
  telemetry::EndpointOptions listen;
  listen.health_listen = options_.health_listen;
  listen.metrics_listen = options_.metrics_listen;
  auto endpoints = telemetry::Endpoints::start(listen, metrics_, [this] {
    const std::scoped_lock lock(health_mutex_);
    return telemetry::HealthReport{health_.healthy, health_.json};
  });
  if (!endpoints) return endpoints.error();
  endpoints_ = std::move(*endpoints);
  if (!options_.playback.files.empty()) {
    if (auto opened = lanes_.open_recordings(); !opened) return opened.error();
  } else {
    if (auto opened = lanes_.open_live(); !opened) return opened.error();
    last_connection_ = lanes_.live_journal().highest_connection();
    configure_sources();  // before there are drivers: what sessions wish for is for their beginning to say
    for (const auto& source : options_.sources) add_driver(source.source);
    for (const auto& source : options_.sources)
      if (auto added = lanes_.live().router().add(source.source); !added) return added.error();
    lanes_.live().add(control_record(RecordKind::start));
  }
  keep_house();
  flush_due_sources();
  return {};
}

Lanes::Makers Collector::lane_makers() {
  Lanes::Makers make;
  make.live_options = [this](const Source& source) { return options_for(source); };
  make.catch_up_options = [this](const Source& source) { return for_catch_up(options_for(source)); };
  make.callbacks.outbox = [this](const Source& source, const RawRecord* record, Outbox& out) {
    take_outbox(source, record, out);
  };
  make.callbacks.group_done = [this](std::chrono::nanoseconds delay) { metrics_view_.group_done(delay); };
  make.journal_opened = [this](const journal::Journal& journal) {
    telemetry::add_disk_metrics(metrics_, "journal", journal.directory().string());
  };
  return make;
}

SessionOptions Collector::options_for(const Source& source) const {
  for (const auto& configured : options_.sources)
    if (configured.source == source) return configured;
  // Play-back: whatever the recording holds.
  SessionOptions all;
  all.source = source;
  all.data_source = options_.data_source;
  all.max_clock_distance = std::chrono::hours(0);
  all.conversing = false;
  return all;
}

void Collector::add_driver(const Source& source) {
  DriverOptions driver;
  driver.ca_file = options_.ca_file;
  driver.compression = options_.compression;
  const auto proxy = options_.proxies.find(source);
  driver.proxy = proxy == options_.proxies.end() ? "" : proxy->second;
  SocketDriver::Callbacks callbacks;
  callbacks.record = [this](const RawRecord& record) { lanes_.live().add(record); };
  callbacks.tick = [this, source](Instant now) { lanes_.live().tick(source, now); };
  callbacks.next_connection = [this] { return ++last_connection_; };
  drivers_[source] = std::make_unique<SocketDriver>(source, driver, loop_, http_, budgets_, std::move(callbacks));
}

// What is collected of each source is part of the journal: a record wherever it differs from what the journal says so
// far.
void Collector::configure_sources() {
  auto record = control_record(RecordKind::configured);
  const auto tell = [&](const SessionOptions& wanted) {
    const auto text = published_options(wanted);
    if (lanes_.live().router().published_options_of(wanted.source) == text) return false;
    record.source = &wanted.source;
    record.payload = text;
    lanes_.live().add(record);
    lanes_.live().commit();  // before what the record refers to is gone
    return true;
  };
  for (const auto& wanted : options_.sources) tell(wanted);
  for (const auto& source : lanes_.live().router().sources()) {
    if (std::ranges::any_of(options_.sources, [&](const auto& each) { return each.source == source; })) continue;
    SessionOptions nothing;
    nothing.source = source;
    if (!take_published_options(lanes_.live().router().published_options_of(source), nothing)) continue;
    nothing.data_types.clear();
    if (tell(nothing)) log::info("a source is not collected any more", {{"source", source.text()}});
  }
}

void Collector::reload() {
  if (stopping_ || !reread_) return;
  if (!options_.playback.files.empty())
    return log::info("a recording is played as it is: the configuration is not read again");
  auto options = reread_();
  if (!options) return;
  const auto before = options_.sources;
  // Only what a running collector can take over; `reread_` has told the rest.
  options_.sources = std::move(options->sources);
  options_.proxies = std::move(options->proxies);
  options_.drain_timeout = options->drain_timeout;
  for (auto& source : options_.sources) {
    const auto old = std::ranges::find(before, source.source, &SessionOptions::source);
    if (old == before.end()) {
      add_driver(source.source);
      continue;
    }
    // How the venue is spoken to stays as it is while the session lives.
    source.ws_base = old->ws_base;
    source.rest_base = old->rest_base;
    source.credentials = old->credentials;
    source.extra = old->extra;
    source.book_audit = old->book_audit;
    if (published_options(*old) != published_options(source))
      log::info("what is collected of a source changes", {{"source", source.source.text()}});
  }
  configure_sources();
  for (const auto& old : before) {
    const bool stays =
        std::ranges::any_of(options_.sources, [&](const auto& each) { return each.source == old.source; });
    if (!stays) leave(old.source);
  }
  log::info("the configuration has been taken over", {{"sources", options_.sources.size()}});
}

// Its series have ended with the record; what still comes until its sockets are closed is journalled and not published.
void Collector::leave(const Source& source) {
  const auto driver = drivers_.extract(source);
  if (driver.empty()) return;
  flush_due_.erase(source);
  auto* leaving = leaving_.emplace_back(std::move(driver.mapped())).get();
  leaving->stop([this, leaving] { std::erase_if(leaving_, [&](const auto& each) { return each.get() == leaving; }); });
}

void Collector::take_outbox(const Source& source, const RawRecord* record, Outbox& out) {
  counts_.add(source, out.events);
  metrics_view_.released(source, out.events, net::now().mono);
  for (const auto& notice : out.notices) tell(source, notice);
  if (out.refusal && !refusal_) {
    refusal_ = *out.refusal;
    // After this record is through: what has been collected is kept in order.
    drain_timer_.set_after(0ms, [this] {
      if (!stopping_) request_stop();
    });
  }
  if (out.flush_at) flush_due_[source] = *out.flush_at;
  const auto driver = drivers_.find(source);
  if (driver == drivers_.end()) return;
  if (record && !out.events.empty()) driver->second->data_arrived(record->connection);
  driver->second->carry_out(out);
}

void Collector::tell(const Source& source, const Notice& notice) {
  const auto skipped = notices_.admit(notice.message + notice.detail, net::now().mono);
  if (!skipped) return;
  const auto level = notice.level == Notice::Level::info      ? log::Level::info
                     : notice.level == Notice::Level::warning ? log::Level::warn
                                                              : log::Level::error;
  log::write(level, notice.message, {{"source", source.text()}, {"detail", notice.detail}, {"skipped", *skipped}});
}

// Conflated books whose market has gone quiet: time itself becomes a record, so that a replay knows it too.
void Collector::flush_due_sources() {
  const auto now = net::now();
  for (auto due = flush_due_.begin(); due != flush_due_.end();) {
    if (due->second > now.wall) {
      ++due;
      continue;
    }
    const auto source = drivers_.find(due->first);
    due = flush_due_.erase(due);
    if (source == drivers_.end() || stopping_) continue;
    auto record = control_record(RecordKind::flush);
    record.source = &source->second->source();
    lanes_.live().add(record);
  }
  flush_check_.set_after(kFlushCheck, [this] { flush_due_sources(); });
}

void Collector::keep_house() {
  const auto now = net::now();
  const bool with_retention = now.mono >= next_retention_;
  if (with_retention) next_retention_ = now.mono + kRetention;
  if (const auto kept = lanes_.keep_house(now, with_retention); !kept && !failure_) {
    failure_ = kept.error();
    if (!stopping_) request_stop();
  }
  if (const auto kept = lanes_.kept()) metrics_view_.update_journal(*kept);
  lanes_.each_router([&](Router& router) {
    metrics_view_.update(counts_, lanes_.counters(), lanes_.bus(), lanes_.journal_counters(), drivers_, router,
                         lanes_.behind());
  });
  if (now.mono >= next_stream_metrics_) {
    next_stream_metrics_ = now.mono + kStreamMetrics;
    metrics_view_.update_times(streams(), lanes_.unpublished_for(now.mono), now.mono);
  }
  publish_health();
  if (options_.exit_when_done && lanes_.is_playback() && lanes_.playback_is_done() && lanes_.is_drained() && !stopping_)
    request_stop();
  housekeeping_.set_after(kHousekeeping, [this] { keep_house(); });
}

std::vector<StreamStatus> Collector::streams() {
  std::vector<StreamStatus> all;
  lanes_.each_router([&](Router& router) {
    for (const auto& source : router.sources()) router.session(source)->describe(all);
  });
  return all;
}

HealthInputs Collector::health_inputs() const {
  const auto bus = lanes_.bus();
  const auto now = net::now();
  HealthInputs in;
  in.now = now.wall;
  in.uptime = std::chrono::duration_cast<std::chrono::seconds>(now.mono - started_);
  in.data_source = to_string(options_.data_source);
  in.events = counts_.total();
  for (const auto& [source, types] : counts_.by_source()) {
    in.gaps += types[static_cast<std::size_t>(DataType::gap)];
    in.rejected += types[static_cast<std::size_t>(DataType::rejected)];
  }
  in.journal_failing = lanes_.journal_is_failing();
  in.records_dropped = lanes_.counters().records_dropped;
  in.bus_publishing = bus.publishing;
  in.bus_state = bus.state;
  in.outstanding = bus.outstanding;
  in.behind = lanes_.behind();
  in.drained = lanes_.is_drained();
  in.connected = std::ranges::all_of(drivers_, [](const auto& entry) { return entry.second->is_connected(); });
  if (lanes_.is_playback()) in.playback_done = lanes_.playback_is_done();
  in.stopping = stopping_;
  return in;
}

void Collector::publish_health() {
  auto text = render_health(health_inputs(), streams());
  const std::scoped_lock lock(health_mutex_);
  health_ = std::move(text);
}

RawRecord Collector::control_record(RecordKind kind) const {
  RawRecord record;
  record.kind = kind;
  record.received_at = net::now().wall;
  return record;
}

void Collector::request_stop() {
  if (stopping_) {
    log::warn("stopping at once; what is not published stays in the journal");
    return loop_.stop();
  }
  stopping_ = true;
  log::info("stopping");
  drivers_to_stop_ = drivers_.size();
  if (drivers_.empty()) return drain();
  for (auto& [source, driver] : drivers_) {
    driver->stop([this] {
      if (--drivers_to_stop_ == 0) drain();
    });
  }
}

void Collector::drain() {
  unfinished_recordings_ = lanes_.unfinished_recordings();
  lanes_.stop_playing();
  if (!lanes_.is_playback()) lanes_.live().add(control_record(RecordKind::stop));
  lanes_.commit();
  const auto deadline = net::now().mono + options_.drain_timeout;
  auto check = std::make_shared<std::function<void()>>();
  *check = [this, deadline, weak = std::weak_ptr(check)] {
    if (lanes_.is_drained()) return finish();
    if (net::now().mono >= deadline) {
      log::warn("the bus has not taken everything in time", {{"outstanding", lanes_.bus().outstanding}});
      return finish();
    }
    drain_timer_.set_after(5ms, [again = weak.lock()] { (*again)(); });
  };
  (*check)();
}

void Collector::finish() {
  write_final_books();
  publish_health();
  lanes_.stop_sinks();
  write_end_report();
  lanes_.close_journals();
  log::info("stopped", {{"events", counts_.total()}});
  loop_.stop();
}

void Collector::write_end_report() {
  const auto left = lanes_.count_unpublished(kCountUnpublished);
  if (left.events > 0 || !left.all_counted) {
    log::warn("not everything is published; the rest stays in the journal and is published at the next start",
              {{"events", left.events}, {"gaps", left.gaps}, {"all_counted", left.all_counted}});
  }
  if (options_.end_report_file.empty()) return;
  std::ofstream file(options_.end_report_file, std::ios::trunc);
  std::string failed, broken;
  append_json_string(failed, lanes_.failed_recording());
  append_json_string(broken, lanes_.broken_recording());
  file << fmt::format(R"({{"unpublished_events":{},"unpublished_gaps":{},"all_counted":{},"records_dropped":{},)"
                      R"("failed_recording":{},"broken_recording":{},"broken_lines":{},"unfinished_recordings":{}}})",
                      left.events, left.gaps, left.all_counted, lanes_.counters().records_dropped, failed, broken,
                      lanes_.broken_lines(), unfinished_recordings_)
       << '\n';
  if (!file.flush()) log::warn("the report of the end could not be written", {{"file", options_.end_report_file}});
}

void Collector::write_final_books() {
  if (options_.final_books_file.empty()) return;
  std::vector<OrderBook> books;
  lanes_.each_router([&](Router& router) {
    for (const auto& source : router.sources()) router.session(source)->books(0, books);
  });
  std::ofstream file(options_.final_books_file, std::ios::trunc);
  std::string line;
  for (auto& book : books) {
    line.clear();
    wire::append_json(line, MarketEvent(std::move(book)));
    file << line << '\n';
  }
  if (!file.flush()) log::warn("the final books could not be written", {{"file", options_.final_books_file}});
}

Result<Ended> Collector::run() {
  loop_.run();
  endpoints_->stop();
  drivers_.clear();
  leaving_.clear();
  if (failure_) return *failure_;
  if (refusal_) return Ended{Ended::Why::refused, *refusal_};
  return Ended{};
}

}  // namespace

Result<Ended> run_collector(const CollectorOptions& options, Reread reread) {
  Collector collector(options, std::move(reread));
  if (auto started = collector.start(); !started) return started.error();
  return collector.run();
}

}  // namespace mp::collector
