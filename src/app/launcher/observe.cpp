#include "app/launcher/observe.hpp"

#include <simdjson.h>

namespace mp::launcher {
namespace {

namespace dom = simdjson::dom;

std::optional<std::uint64_t> number(const dom::element& object, const char* key) {
  std::uint64_t value = 0;
  if (object[key].get(value) == simdjson::SUCCESS) return value;
  return std::nullopt;
}

bool yes(const dom::element& object, const char* key) {
  bool value = false;
  return object[key].get(value) == simdjson::SUCCESS && value;
}

std::string text(const dom::element& object, const char* key) {
  std::string_view value;
  return object[key].get(value) == simdjson::SUCCESS ? std::string(value) : "";
}

void count_streams(const dom::element& health, Observation& observation) {
  dom::array streams;
  if (health["streams"].get(streams) != simdjson::SUCCESS) return;
  observation.streams = 0;
  observation.live_streams = 0;
  for (const dom::element stream : streams) {
    ++*observation.streams;
    if (text(stream, "state") == "live") ++*observation.live_streams;
  }
}

// Storage counts by data type.
void add_data_types(const dom::element& health, Observation& observation) {
  dom::object types;
  if (health["data_types"].get(types) != simdjson::SUCCESS) return;
  observation.rows = 0;
  observation.rejected = 0;
  for (const auto& [type, state] : types) {
    *observation.rows += number(state, "rows").value_or(0);
    *observation.rejected += number(state, "rejected").value_or(0);
    if (const auto trouble = text(state, "trouble"); !trouble.empty())
      observation.problem = std::string(type) + ": " + trouble;
  }
}

std::uint64_t sum_over_consumers(const dom::element& stream, const char* key) {
  std::uint64_t sum = 0;
  dom::array consumers;
  if (stream["consumer_detail"].get(consumers) != simdjson::SUCCESS) return 0;
  for (const dom::element consumer : consumers) sum += number(consumer, key).value_or(0);
  return sum;
}

std::optional<BusState> bus_state(const dom::element& stream) {
  dom::element state;
  const auto created = parse_iso(text(stream, "created"));
  if (!created || stream["state"].get(state) != simdjson::SUCCESS) return std::nullopt;
  const auto undelivered = sum_over_consumers(stream, "num_pending");
  dom::array consumers;
  // Nobody has ever stored from this stream: nothing of it is stored.
  const bool is_unserved = stream["consumer_detail"].get(consumers) != simdjson::SUCCESS || consumers.size() == 0;
  return BusState{*created,
                  number(state, "first_seq").value_or(0),
                  number(state, "last_seq").value_or(0),
                  number(state, "bytes").value_or(0),
                  undelivered,
                  is_unserved ? number(state, "messages").value_or(0)
                              : undelivered + sum_over_consumers(stream, "num_ack_pending")};
}

}  // namespace

Observation read_health(std::string_view body, int http_status, MonoTime at) {
  Observation observation;
  observation.at = at;
  observation.answers = true;
  observation.http_status = http_status;
  dom::parser parser;
  dom::element health;
  if (parser.parse(body.data(), body.size()).get(health) != simdjson::SUCCESS) return observation;
  observation.problem = text(health, "problem");
  if (observation.problem.empty()) observation.problem = text(health, "error");  // nats-server's word for it
  observation.drained = yes(health, "drained");
  observation.events = number(health, "events");
  observation.rows = number(health, "rows");
  observation.gaps = number(health, "gaps");
  observation.rejected = number(health, "rejected");
  dom::element bus;
  if (health["bus"].get(bus) == simdjson::SUCCESS) observation.behind = yes(bus, "behind");
  count_streams(health, observation);
  add_data_types(health, observation);
  return observation;
}

std::optional<Unpublished> read_end_report(std::string_view json) {
  dom::parser parser;
  dom::element report;
  if (parser.parse(json.data(), json.size()).get(report) != simdjson::SUCCESS) return std::nullopt;
  const auto events = number(report, "unpublished_events");
  const auto gaps = number(report, "unpublished_gaps");
  if (!events || !gaps) return std::nullopt;
  return Unpublished{*events,
                     *gaps,
                     yes(report, "all_counted"),
                     number(report, "records_dropped").value_or(0),
                     text(report, "failed_recording"),
                     number(report, "unfinished_recordings").value_or(0),
                     text(report, "broken_recording"),
                     number(report, "broken_lines").value_or(0)};
}

std::optional<BusState> read_bus(std::string_view jsz, std::string_view stream) {
  dom::parser parser;
  dom::element page;
  dom::array accounts;
  if (parser.parse(jsz.data(), jsz.size()).get(page) != simdjson::SUCCESS) return std::nullopt;
  if (page["account_details"].get(accounts) != simdjson::SUCCESS) return std::nullopt;
  for (const dom::element account : accounts) {
    dom::array streams;
    if (account["stream_detail"].get(streams) != simdjson::SUCCESS) continue;
    for (const dom::element candidate : streams) {
      if (text(candidate, "name") == stream) return bus_state(candidate);
    }
  }
  return std::nullopt;
}

}  // namespace mp::launcher
