#pragma once
// JetStream's management API, spoken as JSON requests to $JS.API.* (the structs of nats.c 3.4.1 lack
// newer settings such as allow_batched).
//
// An error of the server comes as an Error that ends in its code and text, "NATS error 10059: stream not found";
// server_code() gives it back.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "base/time.hpp"
#include "nats/connection.hpp"

namespace mp::nats {

// Codes of the server that callers tell apart.
inline constexpr int kNoMessageFound = 10037;
inline constexpr int kConsumerNotFound = 10014;
inline constexpr int kStreamNotFound = 10059;
inline constexpr int kSubjectsTaken = 10065;
inline constexpr int kStreamFull = 10077;
inline constexpr int kWrongLastSequence = 10071;
inline constexpr int kDirectGetNotFound = 404;

// The server's error code, 0 when the error is not one of the server's.
int server_code(const Error& error);

struct StreamConfig {
  std::string name = "MARKET_DATA";
  std::vector<std::string> subjects;
  std::int64_t max_bytes = 8LL << 30;
  std::chrono::nanoseconds duplicate_window = std::chrono::seconds{120};
  int replicas = 1;
  // Fast ingest; asked for, and given up without an error where the server does not have it.
  bool allow_batched = true;
  // Fixed by design: file storage, limits retention, discard new, no max_age, allow_direct.
};

struct StreamInfo {
  std::string name;
  WallTime created;  // exact: the identity of the stream together with its name
  std::uint64_t first_sequence = 0;
  std::uint64_t last_sequence = 0;
  WallTime last_time;  // when last_sequence was stored
  std::uint64_t messages = 0;
  std::uint64_t bytes = 0;
  std::int64_t max_bytes = -1;
  std::vector<std::string> subjects;
  bool allow_batched = false;
  bool allow_direct = false;
  std::chrono::nanoseconds duplicate_window{};
};

// One setting of an existing stream that is not as wanted; values as JSON text.
struct Difference {
  std::string key;
  std::string have;
  std::string want;
  std::string text() const { return key + ": has " + have + ", wanted " + want; }
};

struct EnsuredStream {
  enum class Outcome { created, unchanged, differs, updated };
  Outcome outcome = Outcome::unchanged;
  std::vector<Difference> differences;  // what differs (differs) or was changed (updated)
  StreamInfo info;
};

struct ConsumerConfig {
  std::string name;                          // durable
  std::vector<std::string> filter_subjects;  // empty: all; several need server 2.10
  std::chrono::nanoseconds ack_wait = std::chrono::minutes{5};
  // Fixed by design: pull, ack_policy all, max_ack_pending -1, deliver all, replay instant.
};

struct ConsumerInfo {
  std::string name;
  WallTime created;
  std::uint64_t delivered_stream_sequence = 0;
  std::uint64_t delivered_consumer_sequence = 0;
  std::uint64_t ack_floor_stream_sequence = 0;
  std::uint64_t ack_floor_consumer_sequence = 0;
  std::uint64_t unacknowledged = 0;  // delivered and not acknowledged
  std::uint64_t pending = 0;         // not delivered yet
  std::uint64_t waiting_pulls = 0;
  std::vector<std::string> filter_subjects;
};

// A message as it is stored.
struct StoredMessage {
  Message message;
  std::uint64_t sequence = 0;
  WallTime time;
};

// Runs on: any thread; every call blocks until the answer or `timeout`.
class JetStream {
 public:
  explicit JetStream(Connection& connection, milliseconds timeout = milliseconds{5'000});

  // Creates the stream, or compares an existing one with `config` key by key. What differs is changed
  // only when `change` is true (and only as far as the server allows; otherwise its refusal is returned).
  Result<EnsuredStream> ensure_stream(const StreamConfig& config, bool change = false);
  // kStreamNotFound when there is none.
  Result<StreamInfo> stream_info(std::string_view stream);
  Result<std::vector<std::string>> stream_names();
  // Of those that hold any of these subjects.
  Result<std::vector<std::string>> streams_on(const std::vector<std::string>& subjects);
  Result<void> delete_stream(std::string_view stream);
  // Removes all messages with sequences up to and including `sequence`; the number of them.
  Result<std::uint64_t> purge_through(std::string_view stream, std::uint64_t sequence);
  Result<std::uint64_t> purge_all(std::string_view stream);

  // The consumer with that name, made when it is not there. Errc::conflict, naming the difference, when one
  // is there with another configuration.
  Result<ConsumerInfo> ensure_consumer(std::string_view stream, const ConsumerConfig& config);
  Result<ConsumerInfo> consumer_info(std::string_view stream, std::string_view consumer);
  Result<void> delete_consumer(std::string_view stream, std::string_view consumer);

  // kNoMessageFound when there is none. Not cached, answered by the stream's leader.
  Result<StoredMessage> message(std::string_view stream, std::uint64_t sequence);
  // The first at or above `sequence` whose subject `filter` selects.
  Result<StoredMessage> next_message(std::string_view stream, std::uint64_t sequence, std::string_view filter);
  Result<StoredMessage> last_message(std::string_view stream, std::string_view subject);

  // An awaited publish: the sequence at which the message is stored now (or was before, by its Nats-Msg-Id).
  struct Stored {
    std::uint64_t sequence = 0;
    bool duplicate = false;
  };
  Result<Stored> publish(const Message& message);

  Connection& connection() { return connection_; }
  milliseconds timeout() const { return timeout_; }

 private:
  Error subjects_taken(const Error& refusal, const StreamConfig& config);
  Connection& connection_;
  milliseconds timeout_;
};

}  // namespace mp::nats
