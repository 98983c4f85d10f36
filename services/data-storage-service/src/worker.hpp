#pragma once
// One data type from the bus to its table: lease, consumer, batches, inserts, acknowledgements; for ever.

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <stop_token>
#include <string>

#include "data-storage-service/src/foreign_rows.hpp"
#include "data-storage-service/src/options.hpp"
#include "data-storage-service/src/state_log.hpp"
#include "nats/consumer.hpp"
#include "nats/kv.hpp"
#include "sinks/clickhouse/message_rows.hpp"
#include "sinks/clickhouse/sink.hpp"
#include "telemetry/metrics.hpp"

namespace mp::storage {

// For /health.
struct WorkerStatus {
  WorkerState state = WorkerState::waiting_for_nats;
  std::string trouble;  // why it does not run
  std::optional<MonoTime> last_insert;
  std::uint64_t rows = 0;
  std::uint64_t rejected = 0;
  std::uint64_t rows_held = 0;           // taken and not acknowledged yet
  std::optional<MonoTime> held_since{};  // the oldest of them
  bool looked_for_losses = false;  // what left the stream unstored before this process began has been written down
};

// The connection that all workers share, made anew when NATS closed it for good.
class Bus {
 public:
  explicit Bus(const StorageOptions& options) : options_(options) {}
  // The present connection, whether it is up or not; null while none can be made (bad options are told in the log).
  std::shared_ptr<nats::Connection> get();
  // The stream, made when it is not there; one that differs from our settings is told once and used as it is.
  Result<nats::StreamInfo> stream(nats::Connection& connection);

 private:
  const StorageOptions& options_;
  std::mutex mutex_;
  std::shared_ptr<nats::Connection> connection_;
  MonoTime not_before_{};
  std::mutex stream_mutex_;
  bool stream_told_ = false;
};

// Applies and checks the schema, once for all workers, again after forget().
class Schema {
 public:
  Schema(const StorageOptions& options, sinks::clickhouse::Schema schema)
      : options_(options), schema_(std::move(schema)) {}
  Result<void> ensure(std::stop_token stop);
  void forget();

 private:
  const StorageOptions& options_;
  const sinks::clickhouse::Schema schema_;
  std::mutex mutex_;
  bool fits_ = false;
};

// How this process calls itself in a lease, and whether the one that calls itself so is known to be dead.
std::string lease_owner();
bool holder_is_dead(std::string_view owner);
// Rows that are older than this when they arrive go to the cold tables at once; nothing: none do.
std::optional<Nanos> hot_for(const StorageOptions& options);

// The names under which storage is known on the bus.
std::string consumer_name(const std::string& database, DataType type);
// The sequence up to which a storage process of this database has trimmed the stream.
std::string trimmed_key(const std::string& database, WallTime stream_created);
// The session in ClickHouse of the process that serves, or served last, this consumer.
std::string session_key(const std::string& consumer);
// Up to where each data type is stored, a line "<type> <sequence>" each. Our own note: the server raises a consumer's
// ack floor when somebody purges the stream.
std::string stored_key(const std::string& database, WallTime stream_created);
// The type's sequence in such a note; nothing when it is not in there.
std::optional<std::uint64_t> stored_in_note(std::string_view note, DataType type);

// Runs on: one thread, run(). status() from any.
class Worker {
 public:
  Worker(const StorageOptions& options, DataType type, Bus& bus, Schema& schema, ForeignRows& foreign,
         telemetry::Metrics& metrics);

  // Until `stop`; then stores and acknowledges what it has taken (at most options.drain_timeout) and gives the lease
  // back.
  void run(std::stop_token stop);

  // For the open batch and all after it. Any thread.
  void set_limits(const sinks::clickhouse::BatchLimits& limits);

  DataType type() const { return type_; }
  WorkerStatus status() const;

 private:
  class Session;
  struct Meters;

  void serve_connection(nats::Connection& connection, std::stop_token stop);
  Result<void> serve_consumer(nats::Connection& connection, nats::KeyValue& bucket, nats::Lease& lease,
                              std::stop_token stop);
  Result<void> take_over(nats::KeyValue& bucket, nats::Lease& lease, std::stop_token stop);
  sinks::clickhouse::EncodingOptions encoding(WallTime stream) const;
  Result<bool> floor_holds(nats::JetStream& jetstream, const nats::StreamInfo& stream,
                           const nats::ConsumerInfo& consumer, std::stop_token stop);
  Result<void> report_lost_part(nats::JetStream& jetstream, nats::KeyValue& bucket, const nats::StreamInfo& stream,
                                const nats::ConsumerInfo& consumer);
  void interrupted(const Error& why);
  void lease_lost(const std::string& reason);
  void set_working();  // running, or failing while inserts fail
  void set_state(WorkerState state, const std::string& trouble = "");
  void tell(const StateLog::Line& line, WorkerState state, const std::string& trouble);
  // False when stopped meanwhile.
  bool pause(std::chrono::milliseconds time, std::stop_token stop);
  double jitter() { return std::uniform_real_distribution<>{0, 1}(random_); }

  const StorageOptions& options_;
  const DataType type_;
  const std::string name_;  // of the consumer
  Bus& bus_;
  Schema& schema_;
  ForeignRows& foreign_;
  std::shared_ptr<Meters> meters_;
  sinks::clickhouse::ClickHouseSink sink_;
  std::minstd_rand random_;
  std::random_device random_source_;  // names of sessions: unique for ever
  int failures_ = 0;
  // Why inserts fail, from the first that failed until one succeeds or nothing waits: it outlives the lease and the
  // session, so that a new beginning does not look like an end of the trouble.
  std::string insert_trouble_;

  mutable std::mutex mutex_;
  std::condition_variable_any wake_;
  WorkerStatus status_;
  sinks::clickhouse::BatchLimits limits_;
  std::uint64_t limits_version_ = 1;
  StateLog state_log_;
};

}  // namespace mp::storage
