#pragma once
// One thing that happened at the collector's edge, as it is journalled and as sessions see it.

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/time.hpp"

namespace mp {

// Identifies one connection in one journal; 0 is "none". Rises with every connection opened.
using ConnectionId = std::uint32_t;

// A venue's market with endpoints of its own: one Session serves one Source.
// `exchange` is the folder's name ("binance"); `market` as in `normalize --market` ("spot",
// "derivatives"), "" for venues whose markets share one protocol.
struct Source {
  std::string exchange;
  std::string market;
  friend auto operator<=>(const Source&, const Source&) = default;
  std::string text() const { return market.empty() ? exchange : exchange + "." + market; }
};

enum class RecordKind : std::uint8_t {
  start = 1,         // a collector (or a recording) began; connections of earlier records are over
  stop = 2,          // it ended in order
  opened = 3,        // a websocket is up; url is its address
  closed = 4,        // it is down; payload is the reason in words
  text = 5,          // a text frame was received
  binary = 6,        // a binary frame was received
  rest = 7,          // a REST answer was received: url, status, body
  sent = 8,          // a frame was sent (subscriptions)
  flush = 9,         // time passed without records while conflated events were due
  rest_failed = 10,  // a REST request got no answer: url, payload is the reason in words
  configured = 11,   // from here on the source is collected as the payload says (feed/published_options.hpp)
  unreadable = 12,   // a line of a recording could not be read: payload is its text, url says where it stood and why
};

// Views are valid during the call they are passed to. A text payload has at least
// kFramePadding readable bytes past its end (simdjson reads beyond).
struct RawRecord {
  static constexpr std::size_t kFramePadding = 64;

  RecordKind kind{};
  ConnectionId connection = 0;
  const Source* source = nullptr;  // null for start and stop only
  WallTime received_at;
  int status = 0;        // HTTP status of a rest record
  std::string_view url;  // of opened (whole), rest and rest_failed (whole, with query); of unreadable words
  std::string_view payload;
};

// Where a record stands in a journal. Positions are never used twice.
struct RecordPosition {
  std::uint32_t segment = 0;
  std::uint32_t record = 0;
  friend auto operator<=>(const RecordPosition&, const RecordPosition&) = default;
};

// Where an event stands: the record whose processing released it, and its number among the events
// of its subject that this record released. Rises within a subject. Text form: "12-3456-0".
struct EventPosition {
  RecordPosition record;
  std::uint32_t ordinal = 0;
  friend auto operator<=>(const EventPosition&, const EventPosition&) = default;
};

}  // namespace mp
