#pragma once
// How whole days move from the hot to the cold tables before they expire, as a pure state machine.
//
// A day of a table is looked at once it is over for a while: both sides are summed up by ranges of the bus's sequence
// (rows and the sum of their hashes). Where they differ the rows' keys are read from both, and what the cold table has
// not is copied; then it is summed up again. A day is verified when every row of the parts that were listed is in the
// cold table with the same content. Nothing is remembered but in memory: whoever begins anew looks again, and copies
// only what is missing, so it may be killed anywhere. Only parts that have been verified are dropped, by name: a row
// that came since is in another part.
//
// All statements about one table share one ClickHouse session, so that keys are never read while a copy still runs.

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/time.hpp"
#include "sinks/clickhouse/row_batch.hpp"

namespace mp::sinks::clickhouse {

struct TierRules {
  std::chrono::nanoseconds settle = std::chrono::hours{2};
  std::chrono::nanoseconds interval = std::chrono::seconds{60};
  std::chrono::nanoseconds drop_after = std::chrono::hours{42};     // after the day's end; 0: never
  std::chrono::nanoseconds warn_before = std::chrono::hours{12};    // of the expiry of the day's first rows
  std::chrono::nanoseconds expires_after = std::chrono::hours{72};  // a row, after its time
  std::uint64_t chunk_bytes = 16u << 20;
};

// A day of a hot table as its active parts are.
struct HotDay {
  std::string table;
  std::chrono::sys_days day;
  std::uint64_t rows = 0;
  std::uint64_t bytes = 0;          // uncompressed
  std::uint64_t highest_block = 0;  // rises with every insert, not with merges
  std::vector<std::string> parts;
};

// Rows of one stream whose sequence divided by the width is `number`.
struct BucketId {
  std::int64_t stream = 0;  // nanoseconds since 1970
  std::uint64_t number = 0;
  friend auto operator<=>(const BucketId&, const BucketId&) = default;
};
struct BucketSum {
  std::uint64_t rows = 0;
  std::uint64_t hash = 0;
  friend bool operator==(const BucketSum&, const BucketSum&) = default;
};
using Buckets = std::map<BucketId, BucketSum>;

// A row's key and the hash of its content.
struct RowPrint {
  RowKey key;
  std::uint64_t hash = 0;
};

// What the driver is to do next. `day` and `table` say where; the answer goes to the function named.
struct ListDays {};  // listed()
struct Measure {     // the span of sequences of the day's rows, all streams together: measured()
  std::string table;
  std::chrono::sys_days day;
};
struct SumUp {  // both sides; the hot one of these parts only: summed_up()
  std::string table;
  std::chrono::sys_days day;
  std::vector<std::string> parts;
  std::uint64_t width = 1;
};
struct ReadPrints {  // of both sides, the day's rows of the stream with sequences from `first` to `last`: prints()
  std::string table;
  std::chrono::sys_days day;
  std::int64_t stream = 0;
  std::uint64_t first = 0;
  std::uint64_t last = 0;
};
struct CopyRows {  // the day's rows of the stream with keys from `first` to `last`, or `only` those: copied()
  std::string table;
  std::chrono::sys_days day;
  std::int64_t stream = 0;
  RowKey first;
  RowKey last;
  std::vector<RowKey> only;
  std::uint64_t rows = 0;
};
struct DropParts {  // of the hot table: dropped()
  std::string table;
  std::chrono::sys_days day;
  std::vector<std::string> parts;
};
struct RestUntil {
  MonoTime until;
};
using TierStep = std::variant<ListDays, Measure, SumUp, ReadPrints, CopyRows, DropParts, RestUntil>;

// For /health and /metrics.
struct TierStatus {
  struct Table {
    std::optional<std::chrono::sys_days> last_verified;
    std::uint64_t days_waiting = 0;  // over and settled, and not verified
  };
  std::map<std::string, Table> tables;
  std::chrono::seconds lag{0};  // for how long the oldest of them has been waiting
  bool looked = false;          // at every day at least once
  // Of the days that are not verified, those whose first rows expire soon: "trades 2026-11-25".
  std::vector<std::string> expiring;
  // Days whose rows differ between hot and cold in more than being there: somebody must look.
  std::vector<std::string> conflicts;
  std::string trouble;  // why it does not advance; "" when it does
  std::uint64_t rows_copied = 0;
  std::uint64_t days_verified = 0;
  std::uint64_t days_dropped = 0;
};

class TierPlanner {
 public:
  explicit TierPlanner(const TierRules& rules) : rules_(rules) {}

  TierStep next(Instant now);

  void listed(std::vector<HotDay> days, Instant now);
  void measured(std::uint64_t span);
  void summed_up(const Buckets& hot, const Buckets& cold, Instant now);
  // In the order of their keys.
  void prints(const std::vector<RowPrint>& hot, const std::vector<RowPrint>& cold, Instant now);
  void copied(std::uint64_t rows, Instant now);
  void dropped(Instant now);
  // The present step could not be done, or it is not known whether it was.
  void failed(const std::string& why, Instant now);

  // Every day that can be verified has been, and nothing is left to be dropped: for a run that ends by itself.
  bool done() const { return resting_ && status_.trouble.empty() && status_.looked; }
  TierStatus status(WallTime now) const;

 private:
  enum class Phase { list, measure, sum_up, read, copy, drop };
  struct Known {
    HotDay day;
    std::optional<std::pair<std::uint64_t, std::uint64_t>> verified;  // rows and highest block then
    bool conflict = false;
  };
  using Key = std::pair<std::string, std::chrono::sys_days>;

  void choose(Instant now);
  bool is_due(const Known& known, WallTime now) const;
  bool drop_is_due(const Known& known, WallTime now) const;
  static bool is_verified(const Known& known);
  void end_of_round(Instant now);
  void verified(Instant now);
  void next_bucket(Instant now);
  std::uint64_t chunk_rows() const;
  void cut_copies(const std::vector<RowPrint>& hot, const std::vector<RowPrint>& cold);

  const TierRules rules_;
  std::map<Key, Known> days_;
  TierStatus status_;

  Phase phase_ = Phase::list;
  bool resting_ = false;
  MonoTime rest_until_{};
  int failures_ = 0;
  std::vector<Key> to_do_;  // the last is the next one

  // Of the day that is looked at.
  Key at_;
  bool for_drop_ = false;
  std::uint64_t width_ = 1;
  int rounds_ = 0;
  bool copied_any_ = false;
  std::vector<BucketId> differing_;  // the last is the next one
  std::vector<CopyRows> copies_;     // likewise
};

}  // namespace mp::sinks::clickhouse
