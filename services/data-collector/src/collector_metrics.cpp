#include "collector_metrics.hpp"

#include <algorithm>
#include <limits>

namespace mp::collector {
namespace {

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();
constexpr GapCause kLossCauses[]{GapCause::sequence, GapCause::disconnected, GapCause::collector_down,
                                 GapCause::checksum, GapCause::audit,        GapCause::overflow,
                                 GapCause::stale};
constexpr StreamState kStreamStates[]{StreamState::waiting,   StreamState::subscribing, StreamState::live,
                                      StreamState::resyncing, StreamState::silent,      StreamState::refused};

double seconds(std::chrono::nanoseconds time) { return std::chrono::duration<double>(time).count(); }

}  // namespace

CollectorMetrics::CollectorMetrics(telemetry::Metrics& metrics)
    : metrics_(metrics),
      delay_(metrics.histogram("marketprism_collector_receive_to_publish_seconds",
                               "From the receipt of a group's first frame until its events were given to the bus",
                               telemetry::delay_bounds())),
      outstanding_(metrics.gauge("marketprism_collector_publish_outstanding_messages",
                                 "Messages that wait to be sent or acknowledged")),
      publishing_(metrics.gauge("marketprism_collector_publishing", "1 when the bus takes messages")),
      behind_(metrics.gauge("marketprism_collector_behind", "1 while publishing catches up from the journal")),
      unpublished_(metrics.gauge("marketprism_collector_unpublished_seconds",
                                 "How long the oldest record that the bus has not acknowledged has been waiting")),
      journal_bytes_(metrics.gauge("marketprism_collector_journal_bytes", "Size of all journal segments on the disk")) {
  telemetry::add_process_metrics(metrics, "collector");
}

void CollectorMetrics::raise(const std::string& name, const std::string& help, const telemetry::Labels& labels,
                             std::uint64_t total) {
  const auto key = std::pair(name, labels);
  auto found = mirrors_.find(key);
  if (found == mirrors_.end()) found = mirrors_.emplace(key, Mirror{metrics_.counter(name, help, labels)}).first;
  if (total <= found->second.shown) return;
  found->second.counter.add(static_cast<double>(total - found->second.shown));
  found->second.shown = total;
}

CollectorMetrics::SourceTimes& CollectorMetrics::times_of(const Source& source) {
  if (const auto found = times_.find(source); found != times_.end()) return found->second;
  const telemetry::Labels labels{{"exchange", source.exchange}, {"market", source.market}};
  SourceTimes times{
      metrics_.histogram("marketprism_collector_venue_delay_seconds",
                         "From the venue's time of a trade or book update to its receipt, by both clocks",
                         telemetry::delay_bounds(), labels),
      metrics_.gauge("marketprism_collector_venue_delay_min_seconds",
                     "The smallest such delay of the last one to two minutes; negative: our clock is behind", labels)};
  times.smallest.set(kUnknown);
  // All of them from the start: increase() does not see a series come into being at 1.
  for (const auto cause : kLossCauses) {
    auto with_cause = labels;
    with_cause["cause"] = to_string(cause);
    times.gaps.emplace(cause,
                       metrics_.counter("marketprism_collector_gaps_total", "Losses noticed, by cause", with_cause));
  }
  return times_.emplace(source, std::move(times)).first->second;
}

void CollectorMetrics::released(const Source& source, const std::vector<MarketEvent>& events, MonoTime now) {
  if (events.empty()) return;
  auto& times = times_of(source);
  for (const auto& event : events) {
    const auto* gap = std::get_if<Gap>(&event);
    if (!gap) continue;
    // The edges of a recording are no loss.
    if (const auto counter = times.gaps.find(gap->cause); counter != times.gaps.end()) counter->second.add();
  }
  if (const auto delay = venue_delay(events.front())) {
    times.window.add(*delay, now);
    times.delay.observe(std::max(0.0, seconds(*delay)));
  }
}

void CollectorMetrics::show_stream(const StreamStatus& stream) {
  const auto& id = *stream.instrument;
  const StreamName name{id.exchange, to_string(id.market_type), to_string(stream.data_type), id.symbol};
  const telemetry::Labels labels{{"exchange", id.exchange},
                                 {"market_type", to_string(id.market_type)},
                                 {"data_type", to_string(stream.data_type)},
                                 {"symbol", id.symbol}};
  auto found = streams_.find(name);
  if (found == streams_.end()) {
    StreamGauges gauges{
        metrics_.gauge("marketprism_collector_stream_live", "1 when the stream brings good data", labels)};
    found = streams_.emplace(name, gauges).first;
  }
  auto& gauges = found->second;
  gauges.is_described = true;
  gauges.live.set(stream.state == StreamState::live ? 1 : 0);
  if (!stream.last_event) return;
  if (!gauges.last_event)
    gauges.last_event = metrics_.gauge("marketprism_collector_stream_last_event_timestamp_seconds",
                                       "When the stream's last event was received, seconds since 1970", labels);
  gauges.last_event->set(seconds(stream.last_event->time_since_epoch()));
}

void CollectorMetrics::show_states(const StateCounts& counts) {
  for (const auto& [group, unused] : counts) {
    if (states_.contains(group)) continue;
    const auto& [exchange, market_type, data_type] = group;
    for (const auto state : kStreamStates)
      states_[group].emplace(state, metrics_.gauge("marketprism_collector_streams", "Streams by their state",
                                                   {{"exchange", exchange},
                                                    {"market_type", market_type},
                                                    {"data_type", data_type},
                                                    {"state", to_string(state)}}));
  }
  for (auto& [group, gauges] : states_) {
    const auto counted = counts.find(group);
    for (auto& [state, gauge] : gauges) {
      const bool any = counted != counts.end() && counted->second.contains(state);
      gauge.set(any ? counted->second.at(state) : 0);
    }
  }
}

void CollectorMetrics::update_times(const std::vector<StreamStatus>& streams, std::chrono::nanoseconds unpublished,
                                    MonoTime now) {
  unpublished_.set(seconds(unpublished));
  for (auto& [source, times] : times_) {
    const auto smallest = times.window.value(now);
    times.smallest.set(smallest ? seconds(*smallest) : kUnknown);
  }
  for (auto& [name, gauges] : streams_) gauges.is_described = false;
  StateCounts counts;
  for (const auto& stream : streams) {
    show_stream(stream);
    const auto& id = *stream.instrument;
    ++counts[{id.exchange, to_string(id.market_type), to_string(stream.data_type)}][stream.state];
  }
  show_states(counts);
  // An instrument that is not collected any more: a number would look like a stream that fell silent.
  for (auto& [name, gauges] : streams_) {
    if (gauges.is_described) continue;
    gauges.live.set(kUnknown);
    if (gauges.last_event) gauges.last_event->set(kUnknown);
  }
}

void CollectorMetrics::update(const EventCounts& events, const IngestCounters& ingest, const SinkStatus& bus,
                              const journal::JournalCounters& journal,
                              const std::map<Source, std::unique_ptr<SocketDriver>>& drivers, Router& router,
                              bool behind) {
  for (const auto& source : router.sources()) {
    const auto counted = events.by_source().find(source);
    const auto types = counted == events.by_source().end() ? EventCounts::PerType{} : counted->second;
    for (std::size_t type = 0; type < types.size(); ++type) {
      raise("marketprism_collector_events_total", "Events released, by source and type",
            {{"exchange", source.exchange},
             {"market", source.market},
             {"data_type", to_string(static_cast<DataType>(type))}},
            types[type]);
    }
  }
  for (const auto& source : router.sources()) {
    const telemetry::Labels labels{{"exchange", source.exchange}, {"market", source.market}};
    times_of(source);
    const auto counters = router.session(source)->counters();
    raise("marketprism_collector_frames_total", "Frames decoded", labels, counters.frames);
    raise("marketprism_collector_duplicates_total", "Events dropped because they had been seen", labels,
          counters.duplicates);
    raise("marketprism_collector_resyncs_total", "Book snapshots asked for again", labels, counters.resyncs);
    const auto& audits = counters.audits;
    for (const auto& [verdict, total] :
         {std::pair{"agrees", audits.agreed}, {"differs", audits.differed}, {"undecided", audits.undecided}}) {
      auto with_verdict = labels;
      with_verdict["verdict"] = verdict;
      raise("marketprism_collector_book_audits_total", "Books held against the venue's REST answer", with_verdict,
            total);
    }
    for (const auto& [verdict, total] :
         {std::pair{"same", audits.levels_same}, {"different", audits.levels_different}}) {
      auto with_verdict = labels;
      with_verdict["verdict"] = verdict;
      raise("marketprism_collector_book_audit_levels_total", "Levels compared in those audits", with_verdict, total);
    }
    for (const auto& [channel, count] : counters.unmapped) {
      auto with_channel = labels;
      with_channel["channel"] = channel;
      raise("marketprism_collector_unmapped_total", "Messages of channels that are not mapped", with_channel, count);
    }
    for (const auto& [what, count] : counters.unknown) {
      auto with_what = labels;
      with_what["what"] = what;
      raise("marketprism_collector_unknown_total", "Fields and values of the venue that are new to us", with_what,
            count);
    }
  }
  for (const auto& [source, driver] : drivers) {
    const telemetry::Labels labels{{"exchange", source.exchange}, {"market", source.market}};
    const auto& counters = driver->counters();
    raise("marketprism_collector_connects_total", "Websockets opened", labels, counters.connects);
    raise("marketprism_collector_disconnects_total", "Websockets that ended", labels, counters.disconnects);
    raise("marketprism_collector_rest_requests_total", "REST requests made", labels, counters.requests);
    raise("marketprism_collector_rest_failures_total", "REST requests without an answer", labels,
          counters.requests_failed);
    raise("marketprism_collector_rest_refusals_total", "REST answers of status 400 and above", labels,
          counters.requests_refused);
  }
  raise("marketprism_collector_records_total", "Records journalled and decoded", {}, ingest.records);
  raise("marketprism_collector_payload_bytes_total", "Bytes of their payloads", {}, ingest.bytes);
  raise("marketprism_collector_records_dropped_total", "Records lost because the journal could not be written", {},
        ingest.records_dropped);
  raise("marketprism_collector_times_behind_total", "How often publishing fell behind capture", {},
        ingest.times_behind);
  raise("marketprism_collector_journal_written_bytes_total", "Bytes written to journal segments", {},
        journal.written_bytes);
  raise("marketprism_collector_journal_segments_total", "Journal segments begun", {}, journal.segments);
  raise("marketprism_collector_journal_failed_syncs_total", "Times that forcing to the disk failed", {},
        journal.failed_syncs);
  raise("marketprism_collector_published_events_total", "Events acknowledged by the bus", {}, bus.events);
  raise("marketprism_collector_published_messages_total", "Messages acknowledged by the bus", {}, bus.messages);
  raise("marketprism_collector_published_bytes_total", "Bytes of messages acknowledged by the bus", {}, bus.bytes);
  raise("marketprism_collector_resent_messages_total", "Messages sent again", {}, bus.resent);
  raise("marketprism_collector_publish_refusals_total", "Messages that the bus refused, a full stream for instance", {},
        bus.refusals);
  raise("marketprism_collector_events_left_out_total", "Events that were too large for the bus", {}, ingest.too_large);
  raise("marketprism_collector_already_stored_events_total", "Events that the stream had when they were offered", {},
        bus.already_stored);
  outstanding_.set(static_cast<double>(bus.outstanding));
  publishing_.set(bus.publishing ? 1 : 0);
  behind_.set(behind ? 1 : 0);
}

}  // namespace mp::collector
