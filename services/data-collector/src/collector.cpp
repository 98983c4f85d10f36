#include "collector.hpp"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>

#include <fstream>
#include <mutex>

#include "base/log.hpp"
#include "base/text.hpp"
#include "collector_metrics.hpp"
#include "health.hpp"
#include "ingest.hpp"
#include "jetstream_sink.hpp"
#include "journal/journal.hpp"
#include "net/clock.hpp"
#include "net/http_client.hpp"
#include "net/loop.hpp"
#include "playback.hpp"
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
constexpr auto kStreamMetrics = 1s;  // there may be hundreds of streams

SessionOptions for_catch_up(SessionOptions options) {
  options.conversing = false;
  return options;
}

class Collector {
 public:
  explicit Collector(const CollectorOptions& options)
      : options_(options), housekeeping_(loop_), flush_check_(loop_), drain_timer_(loop_), metrics_view_(metrics_) {}

  Result<void> start();
  Result<Ended> run();

 private:
  Result<void> open_journal();
  Result<void> open_sink();
  Result<void> open_captures();
  SessionOptions options_for(const Source& source) const;
  void add_drivers();
  void take_outbox(const Source& source, const RawRecord* record, Outbox& out);
  void tell(const Source& source, const Notice& notice);
  void flush_due_sources();
  void keep_house();
  void publish_health();
  HealthInputs health_inputs() const;
  std::vector<StreamStatus> streams();
  bool is_drained() const;
  void request_stop();
  void drain();
  void finish();
  void write_final_books();
  void write_end_report();
  RawRecord control_record(RecordKind kind) const;

  const CollectorOptions& options_;
  net::Loop loop_;
  net::Timer housekeeping_, flush_check_, drain_timer_;
  telemetry::Metrics metrics_;
  CollectorMetrics metrics_view_;
  net::AsyncHttp http_;
  RestBudgets budgets_;
  std::unique_ptr<journal::CaptureSet> captures_;
  std::unique_ptr<journal::Journal> journal_;
  std::unique_ptr<EventSink> sink_;
  std::unique_ptr<Ingest> ingest_;
  std::map<Source, std::unique_ptr<SocketDriver>> drivers_;
  std::map<Source, WallTime> flush_due_;
  std::unique_ptr<Playback> playback_;
  EventCounts counts_;
  log::Sampler notices_;
  ConnectionId last_connection_ = 0;
  MonoTime started_ = net::now().mono;
  UnpublishedAge unpublished_;
  MonoTime next_retention_{};
  MonoTime next_stream_metrics_{};
  bool stopping_ = false;
  std::optional<Error> refusal_;  // of the configuration, by a venue's own list
  std::size_t drivers_to_stop_ = 0;

  std::mutex health_mutex_;
  // Guarded by health_mutex_; read by the endpoint's threads.
  HealthText health_{false, R"({"status":"starting","problem":"","drained":false,"streams":[]})"};
  // Declared last: its threads end before what they read.
  std::unique_ptr<telemetry::Endpoints> endpoints_;
};

Result<void> Collector::start() {
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
  if (auto opened = open_captures(); !opened) return opened.error();
  if (auto opened = open_journal(); !opened) return opened.error();
  if (auto opened = open_sink(); !opened) return opened.error();

  Ingest::Callbacks callbacks;
  callbacks.outbox = [this](const Source& source, const RawRecord* record, Outbox& out) {
    take_outbox(source, record, out);
  };
  callbacks.group_done = [this](std::chrono::nanoseconds delay) { metrics_view_.group_done(delay); };
  ingest_ = std::make_unique<Ingest>(
      *journal_, [this](const Source& source) { return options_for(source); },
      [this](const Source& source) { return for_catch_up(options_for(source)); }, *sink_, loop_,
      std::move(callbacks));
  if (auto recovered = ingest_->recover(); !recovered) return recovered.error();
  last_connection_ = journal_->highest_connection();

  if (captures_) {
    // What an earlier run has played stands in the journal record by record.
    playback_ = std::make_unique<Playback>(std::move(captures_), options_.playback.speed, journal_->recovered().records,
                                           *ingest_, loop_, [] { log::info("the recording has been played"); });
    playback_->start();
  } else {
    add_drivers();
    for (const auto& source : options_.sources)
      if (auto added = ingest_->router().add(source.source); !added) return added.error();
    ingest_->add(control_record(RecordKind::start));
  }
  keep_house();
  flush_due_sources();
  loop_.on_signals({SIGINT, SIGTERM}, [this](int) { request_stop(); });
  return {};
}

Result<void> Collector::open_captures() {
  if (options_.playback.files.empty()) return {};
  const std::vector<std::filesystem::path> files(options_.playback.files.begin(), options_.playback.files.end());
  auto captures = journal::CaptureSet::open(files, source_of_url);
  if (!captures) return captures.error();
  captures_ = std::make_unique<journal::CaptureSet>(std::move(*captures));
  return {};
}

Result<void> Collector::open_journal() {
  journal::JournalOptions journal;
  journal.directory = options_.journal.directory;
  journal.sync_interval = options_.journal.fsync_interval;
  journal.segment_bytes = options_.journal.segment_bytes;
  journal.segment_age = options_.journal.segment_age;
  journal.retention.max_age = options_.journal.keep_acknowledged;
  journal.retention.max_bytes = options_.journal.keep_bytes;
  if (captures_) {
    journal.id = captures_->journal_id();
    journal.directory /= "replay-" + journal.id->text().substr(0, 16);
  }
  auto opened = journal::Journal::open(std::move(journal));
  if (!opened) return opened.error();
  journal_ = std::move(*opened);
  telemetry::add_disk_metrics(metrics_, "journal", journal_->directory().string());
  const auto& found = journal_->recovered();
  if (found.numbered > found.last_segment) {
    log::warn("the journal's newest segments are not on the disk, as after a power cut; their numbers are not used again",
              {{"last_found", found.last_segment}, {"last_begun", found.numbered}});
  }
  log::info("journal opened", {{"directory", journal_->directory().string()}, {"id", journal_->id().text()},
                               {"segments", found.segments}, {"closed_in_order", found.closed_in_order}});
  return {};
}

Result<void> Collector::open_sink() {
  auto bus = options_.bus;
  bus.journal_id_is_random = !captures_;
  auto sink = open_jetstream_sink(bus, *journal_, loop_);
  if (!sink) return sink.error();
  sink_ = std::move(*sink);
  return {};
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

void Collector::add_drivers() {
  DriverOptions driver;
  driver.ca_file = options_.ca_file;
  driver.compression = options_.compression;
  for (const auto& configured : options_.sources) {
    const auto& source = configured.source;
    const auto proxy = options_.proxies.find(source);
    driver.proxy = proxy == options_.proxies.end() ? "" : proxy->second;
    SocketDriver::Callbacks callbacks;
    callbacks.record = [this](const RawRecord& record) { ingest_->add(record); };
    callbacks.tick = [this, source](Instant now) { ingest_->tick(source, now); };
    callbacks.next_connection = [this] { return ++last_connection_; };
    drivers_[source] =
        std::make_unique<SocketDriver>(source, driver, loop_, http_, budgets_, std::move(callbacks));
  }
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
    ingest_->add(record);
  }
  flush_check_.set_after(kFlushCheck, [this] { flush_due_sources(); });
}

void Collector::keep_house() {
  const auto now = net::now();
  journal_->set_acknowledged(sink_->acked_through());
  if (const auto error = journal_->take_sync_error())
    log::error("the journal could not be forced to the disk", {{"error", *error}});
  if (now.mono >= next_retention_) {
    next_retention_ = now.mono + kRetention;
    if (const auto kept = journal_->apply_retention(now.wall))
      metrics_view_.update_journal(*kept);
    else
      log::warn("old journal segments could not be removed", {{"error", kept.error()}});
  }
  ingest_->retry_catch_up();
  if (const auto seen = sink_->status().highest_seen) journal_->raise_floor(seen->segment);
  metrics_view_.update(counts_, ingest_->counters(), sink_->status(), journal_->counters(), drivers_,
                       ingest_->router(), ingest_->behind_from().has_value());
  unpublished_.update(ingest_->head(), sink_->acked_through(), now.mono);
  if (now.mono >= next_stream_metrics_) {
    next_stream_metrics_ = now.mono + kStreamMetrics;
    metrics_view_.update_times(streams(), unpublished_.value(now.mono), now.mono);
  }
  publish_health();
  if (options_.exit_when_done && playback_ && playback_->is_done() && is_drained() && !stopping_) request_stop();
  housekeeping_.set_after(kHousekeeping, [this] { keep_house(); });
}

std::vector<StreamStatus> Collector::streams() {
  std::vector<StreamStatus> all;
  for (const auto& source : ingest_->router().sources()) ingest_->router().session(source)->describe(all);
  return all;
}

HealthInputs Collector::health_inputs() const {
  const auto bus = sink_->status();
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
  in.journal_failing = ingest_->journal_is_failing();
  in.records_dropped = ingest_->counters().records_dropped;
  in.bus_publishing = bus.publishing;
  in.bus_state = bus.state;
  in.outstanding = bus.outstanding;
  in.behind = ingest_->behind_from().has_value();
  in.drained = is_drained();
  in.connected = std::ranges::all_of(drivers_, [](const auto& entry) { return entry.second->is_connected(); });
  if (playback_) in.playback_done = playback_->is_done();
  in.stopping = stopping_;
  return in;
}

void Collector::publish_health() {
  auto text = render_health(health_inputs(), streams());
  const std::scoped_lock lock(health_mutex_);
  health_ = std::move(text);
}

bool Collector::is_drained() const {
  return ingest_->is_caught_up() && sink_->acked_through() >= ingest_->head();
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
  if (!playback_) ingest_->add(control_record(RecordKind::stop));
  ingest_->commit();
  const auto deadline = net::now().mono + options_.drain_timeout;
  auto check = std::make_shared<std::function<void()>>();
  *check = [this, deadline, weak = std::weak_ptr(check)] {
    if (is_drained()) return finish();
    if (net::now().mono >= deadline) {
      log::warn("the bus has not taken everything in time", {{"outstanding", sink_->status().outstanding}});
      return finish();
    }
    drain_timer_.set_after(5ms, [again = weak.lock()] { (*again)(); });
  };
  (*check)();
}

void Collector::finish() {
  write_final_books();
  publish_health();
  sink_->stop();
  write_end_report();
  journal_->set_acknowledged(sink_->acked_through());
  if (const auto closed = journal_->close(); !closed)
    log::error("the journal could not be closed in order", {{"error", closed.error()}});
  log::info("stopped", {{"events", counts_.total()}});
  loop_.stop();
}

void Collector::write_end_report() {
  const auto left = ingest_->count_unpublished(kCountUnpublished);
  if (left.events > 0 || !left.all_counted) {
    log::warn("not everything is published; the rest stays in the journal and is published at the next start",
              {{"events", left.events}, {"gaps", left.gaps}, {"all_counted", left.all_counted}});
  }
  if (options_.end_report_file.empty()) return;
  std::ofstream file(options_.end_report_file, std::ios::trunc);
  file << fmt::format(R"({{"unpublished_events":{},"unpublished_gaps":{},"all_counted":{}}})", left.events, left.gaps,
                      left.all_counted)
       << '\n';
  if (!file.flush()) log::warn("the report of the end could not be written", {{"file", options_.end_report_file}});
}

void Collector::write_final_books() {
  if (options_.final_books_file.empty()) return;
  std::vector<OrderBook> books;
  for (const auto& source : ingest_->router().sources()) ingest_->router().session(source)->books(0, books);
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
  if (refusal_) return Ended{Ended::Why::refused, *refusal_};
  return Ended{};
}

}  // namespace

Result<Ended> run_collector(const CollectorOptions& options) {
  Collector collector(options);
  if (auto started = collector.start(); !started) return started.error();
  return collector.run();
}

}  // namespace mp::collector
