#include "jetstream_sink.hpp"

#include "base/log.hpp"
#include "sinks/jetstream/sink.hpp"
#include "wire/subject.hpp"

namespace mp::collector {
namespace {

constexpr auto kStopTimeout = std::chrono::milliseconds(2000);

std::string state_text(const jetstream::Sink& sink) {
  std::string text = to_string(sink.state());
  if (sink.state() == jetstream::PublisherState::publishing)
    text += sink.uses_fast_ingest() ? ", fast ingest" : ", asynchronous window";
  return text;
}

void tell(jetstream::Level level, const std::string& text) {
  switch (level) {
    case jetstream::Level::info: return log::info(text);
    case jetstream::Level::warning: return log::warn("publishing: " + std::string(text));
    case jetstream::Level::error: return log::error("publishing: " + std::string(text));
  }
}

class JetStreamSink final : public EventSink {
 public:
  Result<void> open(const BusOptions& options, const journal::Journal& journal, net::Loop& loop) {
    jetstream::SinkOptions sink;
    sink.connection.urls = {options.url};
    sink.connection.name = "marketprism-collector";
    sink.connection.user = options.user;
    sink.connection.password = options.password;
    sink.connection.token = options.token;
    sink.connection.credentials_file = options.credentials_file;
    sink.connection.tls_ca_file = options.tls_ca_file;
    sink.stream.name = options.stream;
    sink.stream.subjects = wire::stream_subjects();
    sink.stream.max_bytes = static_cast<std::int64_t>(options.max_bytes);
    sink.stream.duplicate_window = options.duplicate_window;
    sink.cursor_file = journal.directory() / ("cursor-" + options.stream);
    sink.publisher.journal = journal.id().text();
    // A play-back's journal has the id of its recordings: a stream may know it from an earlier directory.
    sink.publisher.journal_is_new = journal.recovered().created && options.journal_id_is_random;
    const auto& found = journal.recovered();
    sink.publisher.journal_end = {found.last_segment, found.last_records};
    if (!options.journal_id_is_random) sink.publisher.journal_end = {UINT32_MAX, UINT32_MAX};
    sink.publisher.max_bytes = options.max_outstanding_bytes;
    jetstream::SinkCallbacks callbacks;
    callbacks.ready_for_more = [this] {
      if (callbacks_.ready_for_more) callbacks_.ready_for_more();
    };
    callbacks.rewind = [this](const RecordPosition& after) {
      if (callbacks_.rewind) callbacks_.rewind(after);
    };
    callbacks.rejected = [](const jetstream::Rejected& event) {
      log::error("an event became too large for the bus while it waited; it is replaced when it is offered again",
                 {{"subject", event.subject}, {"bytes", event.bytes}, {"reason", event.reason}});
    };
    callbacks.note = tell;
    auto opened = jetstream::Sink::open(std::move(sink), std::move(callbacks),
                                        [&loop](std::function<void()> task) { loop.post(std::move(task)); });
    if (!opened) return opened.error();
    sink_ = std::move(*opened);
    return {};
  }

  void set_callbacks(Callbacks callbacks) override {
    callbacks_ = std::move(callbacks);
    sink_->start();
  }
  bool fits(std::string_view line) const override { return sink_->fits(line); }
  Offer offer(std::string_view subject, EventPosition position, std::string_view line) override {
    return sink_->offer(subject, position, line) == jetstream::Offer::taken ? Offer::taken : Offer::full;
  }
  void offered_through(RecordPosition position) override { sink_->offered_through(position); }
  RecordPosition acked_through() const override { return sink_->acked_through(); }

  SinkStatus status() const override {
    const auto& counters = sink_->counters();
    SinkStatus status;
    status.state = state_text(*sink_);
    status.publishing = sink_->state() == jetstream::PublisherState::publishing;
    status.outstanding = sink_->outstanding_messages();
    status.events = counters.events_acked;
    status.messages = counters.messages_acked;
    status.bytes = counters.bytes_sent;
    status.resent = counters.messages_resent;
    status.refusals = counters.refusals;
    status.already_stored = counters.read_back_hits;
    if (const auto seen = sink_->highest_seen()) status.highest_seen = seen->record;
    return status;
  }
  void stop() override {
    if (!sink_->stop(kStopTimeout)) log::warn("what the bus has not acknowledged is published at the next start");
  }

 private:
  Callbacks callbacks_;
  std::unique_ptr<jetstream::Sink> sink_;
};

}  // namespace

Result<std::unique_ptr<EventSink>> open_jetstream_sink(const BusOptions& options, const journal::Journal& journal,
                                                       net::Loop& loop) {
  auto sink = std::make_unique<JetStreamSink>();
  if (auto opened = sink->open(options, journal, loop); !opened) return opened.error();
  return std::unique_ptr<EventSink>(std::move(sink));
}

}  // namespace mp::collector
