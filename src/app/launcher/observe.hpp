#pragma once
// What the parts say of themselves: their health JSON, and NATS' monitoring page. Parsing is pure.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/time.hpp"

namespace mp::launcher {

struct Observation {
  MonoTime at{};
  bool answers = false;
  int http_status = 0;
  std::string problem;  // in the part's own words; "" when it has none
  bool drained = false;
  std::optional<std::uint64_t> events;  // released by the collector
  std::optional<std::uint64_t> rows;    // stored
  std::optional<std::uint64_t> gaps;
  std::optional<std::uint64_t> rejected;
  std::optional<std::uint64_t> streams;  // the collector's
  std::optional<std::uint64_t> live_streams;
  bool behind = false;  // the collector publishes from its journal
};

// The body of a /health answer; what cannot be read stays empty.
Observation read_health(std::string_view body, int http_status, MonoTime at);

// What the collector says of itself when it ends (its --end-report): above all what it left in its journal because the
// bus had not taken it.
struct Unpublished {
  std::uint64_t events = 0;  // gaps included
  std::uint64_t gaps = 0;
  bool all_counted = true;  // otherwise there are more: counting took too long
  std::uint64_t records_dropped =
      0;                           // the journal could not be written: what they held is lost, and no gap may tell it
  std::string failed_recording{};  // the first that could not be read to its end
  std::uint64_t unfinished_recordings = 0;
  std::string broken_recording{};  // the first with lines that could not be read
  std::uint64_t broken_lines = 0;  // of all
};
std::optional<Unpublished> read_end_report(std::string_view json);

// The stream as NATS' /jsz shows it.
struct BusState {
  WallTime created;
  std::uint64_t first_sequence = 0;
  std::uint64_t last_sequence = 0;
  std::uint64_t bytes = 0;
  std::uint64_t undelivered = 0;  // messages that a consumer has not been given, of all consumers
  std::uint64_t waiting = 0;      // these and those that are not acknowledged; without any consumer all there are
};
// Nothing when there is no such stream (yet).
std::optional<BusState> read_bus(std::string_view jsz, std::string_view stream);

}  // namespace mp::launcher
