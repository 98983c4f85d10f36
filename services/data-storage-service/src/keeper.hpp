#pragma once
// Watches the stream and its consumers, for /health and /metrics, and trims the stream behind what is stored.

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <stop_token>
#include <vector>

#include "data-storage-service/src/options.hpp"
#include "data-storage-service/src/worker.hpp"
#include "nats/jetstream.hpp"
#include "nats/kv.hpp"
#include "sinks/jetstream/trim_note.hpp"
#include "telemetry/metrics.hpp"

namespace mp::storage {

struct ConsumerBacklog {
  std::uint64_t pending = 0;         // not delivered yet
  std::uint64_t unacknowledged = 0;  // delivered, not known to be stored
  std::uint64_t ack_floor = 0;
};

struct Backlog {
  WallTime asked_at;
  nats::StreamInfo stream;                        // read before the consumers
  std::map<DataType, ConsumerBacklog> consumers;  // of all types that are stored
  bool drained() const;
};

// ---- pure ----

// The sequence up to which everything is stored: a consumer that has nothing to do counts as being at the end of
// the stream as it was before its state was asked (its own ack floor stands still without messages).
std::uint64_t stored_through(const Backlog& backlog);

// The same for one consumer, and the note of all (stored_key()).
std::uint64_t stored_through(const Backlog& backlog, const ConsumerBacklog& consumer);
std::string stored_note(const Backlog& backlog);

// How full the stream is, in percent of its bound; 0 without a bound.
int fill_percent(const nats::StreamInfo& stream);

// The highest sequence to trim so that about `low_percent` of the bound is left: by the average size of a message.
std::uint64_t sequence_for_fill(const nats::StreamInfo& stream, int low_percent);

// ---- edge ----

// Runs on: its own thread (run) and those that ask for the backlog.
class Keeper {
 public:
  // `may_note`: whether the note of an earlier process is not needed any more (WorkerStatus::looked_for_losses).
  Keeper(const StorageOptions& options, Bus& bus, telemetry::Metrics& metrics, std::function<bool()> may_note);

  void run(std::stop_token stop);
  // Not older than `age`; nothing when NATS does not answer.
  std::optional<Backlog> backlog(std::chrono::milliseconds age);

 private:
  Result<Backlog> ask(nats::Connection& connection);
  void show(const Backlog& backlog);
  telemetry::Counter trimmed();
  telemetry::Gauge known();
  Result<void> note_stored(nats::Connection& connection, const Backlog& backlog);
  Result<void> trim(nats::Connection& connection, const Backlog& backlog);
  Result<void> remove_through(nats::Connection& connection, const nats::StreamInfo& stream, std::uint64_t through);
  // Notes for each collector what it may not have read back yet and is about to leave the stream.
  Result<void> note_positions(nats::JetStream& jetstream, nats::KeyValue& bucket, const nats::StreamInfo& stream,
                              std::uint64_t through);
  Result<jetstream::TrimNote> positions_of(nats::JetStream& jetstream, const std::string& journal, std::uint64_t from,
                                           std::uint64_t through, WallTime until);
  Result<std::uint64_t> first_inside_window(nats::JetStream& jetstream, const nats::StreamInfo& stream);

  const StorageOptions& options_;
  Bus& bus_;
  telemetry::Metrics& metrics_;
  const std::function<bool()> may_note_;
  std::mutex mutex_;
  std::optional<Backlog> last_;
  MonoTime last_asked_{};
  std::string noted_stored_;                            // the last note; the keeper's thread only
  std::map<std::string, std::uint64_t> noted_through_;  // journal -> sequence; the keeper's thread only
  std::condition_variable_any wake_;
};

}  // namespace mp::storage
