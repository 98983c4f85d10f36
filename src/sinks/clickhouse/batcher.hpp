#pragma once
// When to insert what, and when to acknowledge: the storage of one consumer as a pure state machine.
//
// Exactly once comes from the table itself. A row is inserted only when it is known not to be there: because its
// message was never delivered to anybody before, or because the table was read after the last insert that could have
// brought it had ended (all statements of a consumer share one ClickHouse session). A message that was published again,
// because a stream or its end was lost, is looked for first: its rows may be there under the other stream. A message is
// acknowledged only after all its rows are known to be there.

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <variant>
#include <vector>

#include "base/time.hpp"
#include "sinks/clickhouse/row_batch.hpp"
#include "sinks/clickhouse/verdict.hpp"

namespace mp::sinks::clickhouse {

struct BatchLimits {
  // Triggers, not caps: a batch is due with so many rows or after so long.
  std::size_t batch_size = 100;
  std::chrono::milliseconds timeout{10'000};
  // Messages asked for at once: those fetched and not yet taken into the batch.
  std::size_t max_queue = 1'000;
  // A table is not written more often than this; meanwhile the batch grows. One that has reached a cap goes at once:
  // parts of that size are few. docs/decisions/0004 has what the interval costs.
  std::chrono::milliseconds min_interval{1'000};
  std::size_t max_rows = 100'000;
  std::size_t max_bytes = 16u << 20;  // encoded; the messages of one fetch may go beyond
  std::size_t max_partitions = 50;    // of one insert
};

// What the driver is to do next.
struct Fetch {  // ask the bus, then call fetched()
  std::size_t max_messages = 0;
  MonoTime until;  // wait so long for a first message
};
struct Insert {  // then call inserted()
  const RowBatch* batch = nullptr;
  const Piece* piece = nullptr;
};
struct ReadBack {  // which rows of these sequences are in the tables? then call read_back()
  std::uint64_t first = 0;
  std::uint64_t last = 0;
};
struct Acknowledge {  // the message with this sequence and all before it; then call acknowledged()
  std::uint64_t sequence = 0;
};
struct Wait {
  MonoTime until;
};
struct Finished {};  // after stop(): everything taken is stored and acknowledged
using Step = std::variant<Fetch, Insert, ReadBack, Acknowledge, Wait, Finished>;

struct BatcherCounters {
  std::uint64_t batches = 0;        // stored and acknowledged
  std::uint64_t inserts = 0;        // that succeeded
  std::uint64_t rows_inserted = 0;  // by them
  std::uint64_t read_backs = 0;
  std::uint64_t rows_found = 0;   // by them: not inserted again
  std::uint64_t redelivered = 0;  // messages that came again
};

// Runs on: the consumer's thread. Never reads a clock.
class Batcher {
 public:
  // Messages up to `doubt_through` may have been delivered, and stored, before.
  Batcher(const BatchLimits& limits, std::uint64_t doubt_through) : limits_(limits), doubt_through_(doubt_through) {}

  Step next(MonoTime now);

  // Whether this message must be taken; one that comes again must not.
  bool wants(std::uint64_t sequence);
  // Where the message's rows go to; then took(). `since`: for how long the message waits, on the bus or here. What had
  // been taken and not stored before a new beginning does not begin to wait anew: where beginnings follow one another
  // faster than batches time out, nothing would ever be stored.
  RowBatch& open_batch() { return batch_; }
  void took(std::uint64_t sequence, MonoTime since);
  // A fetch ended with `count` messages of `asked`.
  void fetched(std::size_t count, std::size_t asked) { more_waiting_ = count >= asked; }

  // The end of the Insert. `jitter` is a random number from 0 to 1, for the wait after a failure.
  void inserted(Verdict verdict, MonoTime now, double jitter);
  // `present`: the keys that are there, in any order, or why they are not known.
  void read_back(std::vector<RowKey> present, MonoTime now);
  void read_back_failed(Verdict verdict, MonoTime now, double jitter);
  void acknowledged(bool confirmed, MonoTime now, double jitter);
  // Another process may have stored what has been taken so far: the table is read before it is inserted.
  void doubt();

  // Other limits, for the batch that is open and all after it.
  void set_limits(const BatchLimits& limits) { limits_ = limits; }
  // Store what has been taken, take no more.
  void stop() { stopping_ = true; }

  bool collecting() const { return state_ == State::collecting; }
  // Nothing taken that is not stored and acknowledged.
  bool idle() const { return collecting() && batch_.empty(); }
  std::size_t rows_held() const { return batch_.rows().size(); }
  // The last message of the open batch.
  std::uint64_t highest_taken() const { return highest_taken_; }
  // Why the last insert or read-back failed; ok when it did not.
  Verdict trouble() const { return trouble_; }
  const BatcherCounters& counters() const { return counters_; }

 private:
  enum class State { collecting, storing, acknowledging };

  Step next_collecting(MonoTime now);
  Step next_storing(MonoTime now);
  void close_batch();
  void cut();
  void failed(Verdict verdict, MonoTime now, double jitter);

  BatchLimits limits_;
  std::uint64_t doubt_through_;

  State state_ = State::collecting;
  RowBatch batch_;
  std::uint64_t highest_taken_ = 0;
  std::optional<MonoTime> waits_since_;  // the first message of the open batch
  std::optional<MonoTime> last_write_;
  bool more_waiting_ = false;
  bool looked_again_ = false;  // the bus was asked once more after the batch had become due
  bool stopping_ = false;

  // Of the batch that is being stored.
  std::vector<bool> stored_;
  std::vector<Piece> pieces_;
  std::size_t next_piece_ = 0;
  bool in_doubt_ = false;
  std::size_t max_partitions_ = 0;

  int attempts_ = 0;
  MonoTime not_before_{};
  Verdict trouble_ = Verdict::ok;
  BatcherCounters counters_;
};

}  // namespace mp::sinks::clickhouse
