#pragma once
// Messages of the bus that have no row of their own and are in ClickHouse all the same: those that told nothing but
// gaps which newer rows tell, and those that were published again and whose events were stored from a stream that is
// gone. They are looked for in the stream itself.

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "base/time.hpp"

namespace mp::launcher {

// The gap_ids that one message told.
using GapIds = std::vector<std::string>;

// An event by which its row is found, whatever stream it came from.
struct EventPlace {
  std::string table, exchange, market_type, symbol;
  WallTime received_at;
  std::string text() const;  // as sql_known_events() answers
};

// What is to be found in ClickHouse instead of a message's own rows: either of the two.
struct Told {
  GapIds gaps;
  std::vector<EventPlace> events;
};

// Of each of these messages that told nothing but gaps with a gap_id, or was published again; the others are left out,
// and those that the stream does not hold any more. Blocks; Errc::unavailable when NATS does not answer.
Result<std::vector<Told>> told_by(const std::string& nats_url, const std::string& stream,
                                  const std::vector<std::uint64_t>& sequences);

// The places of a message's events; empty when a line cannot be read.
std::vector<EventPlace> places_of(std::string_view payload);

// The gap_ids of a message; empty when it has lines of any other kind, or cannot be read.
GapIds gap_ids_of(std::string_view subject, std::string_view payload);

// Splits an answer (TSV, one column) into `into`.
void read_lines(std::string_view answer, std::set<std::string, std::less<>>& into);
// Messages all of whose gaps, or events, are known.
struct Known {
  std::uint64_t by_gaps = 0;
  std::uint64_t by_events = 0;
  friend bool operator==(const Known&, const Known&) = default;
};
Known count_all_known(const std::vector<Told>& told, const std::set<std::string, std::less<>>& known);

}  // namespace mp::launcher
