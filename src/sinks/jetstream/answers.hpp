#pragma once
// What the server answers to a publish: one line of JSON as a value.

#include <cstdint>
#include <string>
#include <string_view>

namespace mp::jetstream {

// Codes that decide what is done next.
inline constexpr int kStreamIsFull = 10077;
inline constexpr int kBatchNotEnabled = 10205;
inline constexpr int kBatchBadPattern = 10206;
inline constexpr int kBatchBadId = 10207;
inline constexpr int kBatchUnknown = 10208;
inline constexpr int kNobodyThere = 503;  // no stream listens on the subject, or JetStream is down

struct Answer {
  enum class Kind {
    stored,       // {"stream":"T","seq":9,"duplicate":true}: a message of its own is in the stream
    batch_ack,    // {"type":"ack","seq":7,"msgs":8}: of the batch, all up to 7 are stored
    batch_gap,    // {"type":"gap",…}: the batch misses a message; batch_end follows
    batch_error,  // {"type":"err","seq":10,"error":{…}}: message 10 was refused; batch_end follows
    batch_end,    // {"stream":"T","seq":5,"batch":"b","count":5}: over, the first 5 are stored
    error,        // {"error":{"err_code":10208,…}}, or an empty answer with status 503
    unreadable,
  };
  Kind kind = Kind::unreadable;
  std::uint64_t sequence = 0;  // stored, batch_end: in the stream; batch_ack: in the batch
  std::uint64_t per_ack = 0;   // batch_ack: how many messages until the next one
  std::uint64_t count = 0;     // batch_end
  bool duplicate = false;
  int code = 0;      // batch_error, error
  std::string text;  // …in words
};

Answer read_answer(std::string_view json);

}  // namespace mp::jetstream
