#include "collector_metrics.hpp"

namespace mp::collector {

CollectorMetrics::CollectorMetrics(telemetry::Metrics& metrics)
    : metrics_(metrics),
      delay_(metrics.histogram("marketprism_collector_receive_to_publish_seconds",
                               "From the receipt of a group's first frame until its events were given to the bus",
                               telemetry::delay_bounds())),
      outstanding_(metrics.gauge("marketprism_collector_publish_outstanding_messages",
                                 "Messages that wait to be sent or acknowledged")),
      publishing_(metrics.gauge("marketprism_collector_publishing", "1 when the bus takes messages")),
      behind_(metrics.gauge("marketprism_collector_behind", "1 while publishing catches up from the journal")) {
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

void CollectorMetrics::update(const EventCounts& events, const IngestCounters& ingest, const SinkStatus& bus,
                              const journal::JournalCounters& journal,
                              const std::map<Source, std::unique_ptr<SocketDriver>>& drivers, Router& router,
                              bool behind) {
  for (const auto& [source, types] : events.by_source()) {
    for (std::size_t type = 0; type < types.size(); ++type) {
      if (types[type] == 0) continue;
      raise("marketprism_collector_events_total", "Events released, by source and type",
            {{"exchange", source.exchange}, {"market", source.market},
             {"data_type", to_string(static_cast<DataType>(type))}},
            types[type]);
    }
  }
  for (const auto& source : router.sources()) {
    const telemetry::Labels labels{{"exchange", source.exchange}, {"market", source.market}};
    const auto counters = router.session(source)->counters();
    raise("marketprism_collector_frames_total", "Frames decoded", labels, counters.frames);
    raise("marketprism_collector_duplicates_total", "Events dropped because they had been seen", labels,
          counters.duplicates);
    raise("marketprism_collector_resyncs_total", "Book snapshots asked for again", labels, counters.resyncs);
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
  raise("marketprism_collector_already_stored_events_total", "Events that the stream had when they were offered", {},
        bus.already_stored);
  outstanding_.set(static_cast<double>(bus.outstanding));
  publishing_.set(bus.publishing ? 1 : 0);
  behind_.set(behind ? 1 : 0);
}

}  // namespace mp::collector
