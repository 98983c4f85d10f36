#pragma once
// Events of one subject as one message of the bus: lines of JSON, cut at a size, with headers that say which
// positions of which journal it holds.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/raw_record.hpp"

namespace mp::jetstream {

inline constexpr const char* kJournalHeader = "MP-Journal";
inline constexpr const char* kFirstHeader = "MP-First";
inline constexpr const char* kLastHeader = "MP-Last";
inline constexpr const char* kEncodingHeader = "MP-Encoding";
// On a message whose events may stand in ClickHouse under another stream (or another life of this one): "1".
inline constexpr const char* kAgainHeader = "MP-Again";
inline constexpr const char* kIdHeader = "Nats-Msg-Id";
inline constexpr const char* kZstd = "zstd";

struct MessageLimits {
  std::size_t cut_at = 256 * 1024;       // a message is not made longer than this by coalescing
  std::size_t compress_above = 900'000;  // an event longer than this travels compressed
  std::size_t max_payload = 1'048'576;   // the server's, headers included
  std::size_t reserved_for_headers = 1'024;
  int compression_level = 3;
};

// One message on its way, with the places of its events, so that it can be cut anew.
struct MessageBody {
  struct EventEnd {
    EventPosition position;
    std::size_t end = 0;  // offset behind its line in the text
  };
  std::vector<EventEnd> events;  // positions rise; at least one
  std::string text;              // the lines, each with its line end; compressed when `compressed`
  bool compressed = false;       // then it holds exactly one event

  const EventPosition& first() const { return events.front().position; }
  const EventPosition& last() const { return events.back().position; }
};

// Whether an event fits a message at all.
bool fits_alone(std::string_view json, const MessageLimits& limits);
// An event alone in a message; nullopt when it is too large even compressed.
std::optional<MessageBody> message_of(const EventPosition& position, std::string_view json,
                                      const MessageLimits& limits);
// Whether the event can still be put into that message.
bool fits(const MessageBody& body, std::string_view json, const MessageLimits& limits);
void append_event(MessageBody& body, const EventPosition& position, std::string_view json);

// The events for which `keep` says yes, as messages that never reach across one that was left out.
template <class Keep>
std::vector<MessageBody> cut_out(const MessageBody& body, Keep keep) {
  std::vector<MessageBody> out;
  std::size_t begin = 0;
  bool joined = false;
  for (const MessageBody::EventEnd& event : body.events) {
    const std::string_view line = std::string_view(body.text).substr(begin, event.end - begin);
    begin = event.end;
    const bool kept = keep(event.position);
    if (kept) {
      if (!joined) out.push_back(MessageBody{{}, {}, body.compressed});
      out.back().text += line;
      out.back().events.push_back({event.position, out.back().text.size()});
    }
    joined = kept;
  }
  return out;
}

// For stream-wide deduplication: unlike positions alone it tells subjects apart.
std::string message_id(std::string_view journal, std::uint64_t subject_hash, const EventPosition& first,
                       const EventPosition& last);
std::uint64_t hash_of(std::string_view subject);

// What zstd made of it; nullopt when it is not zstd or larger than `limit`. For readers of the bus.
std::optional<std::string> decompressed(std::string_view payload, std::size_t limit = 64 << 20);

}  // namespace mp::jetstream
