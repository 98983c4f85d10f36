#pragma once
// Contiguous ids of one series (an instrument's trades): what has been seen, what is missing, what comes twice.
//
// Contiguous ids prove that nothing was lost, even over a reconnect; a hole is a loss. While two connections carry
// the stream (a replacement is taking over), what looks like a hole may still arrive over the other one: such holes
// wait until that is over.

#include <cstdint>
#include <optional>
#include <vector>

#include "base/time.hpp"
#include "feed/checkpoint.hpp"
#include "model/reports.hpp"

namespace mp {

// The ids that one event covers: one of them, or several where a venue merges fills (OKX `trades`: count).
struct IdRange {
  std::uint64_t first = 0;
  std::uint64_t last = 0;  // not below first
};

// Where an id series has a hole.
struct IdHole {
  std::uint64_t last_id = 0;  // the last good one before it
  std::uint64_t next_id = 0;  // the first good one after it
  WallTime gap_start;         // timestamps of those two
  WallTime gap_end;
  GapCause cause{};
};

class TradeIds {
 public:
  static constexpr std::size_t kMaxWaiting = 64;  // holes that wait; beyond it the oldest is told
  // A series that begins again lower, with times later than this, is a new one and no repetition.
  static constexpr Nanos kResetAfter = std::chrono::seconds{5};
  // How long a hole may wait for another connection.
  static constexpr Nanos kLongestWait = std::chrono::seconds{5};

  enum class Verdict { accept, duplicate };
  // `ids` with `timestamp` arrived. `others_carry_it`: another open connection delivers the same stream. Holes that
  // are certain now are appended. A range that is new in part is accepted whole.
  Verdict observe(IdRange ids, WallTime timestamp, WallTime received_at, bool others_carry_it,
                  std::vector<IdHole>& holes);
  Verdict observe(std::uint64_t id, WallTime timestamp, WallTime received_at, bool others_carry_it,
                  std::vector<IdHole>& holes) {
    return observe(IdRange{id, id}, timestamp, received_at, others_carry_it, holes);
  }
  // The other connection is gone, or has had its time by `received_at`: what still waits is lost.
  void settle(std::optional<WallTime> received_at, std::vector<IdHole>& holes);

  // The connection ended (or the collector did): a hole that shows now is due to that.
  void interrupted(GapCause cause) {
    if (last_) cause_ = cause;
  }

  std::optional<std::uint64_t> last() const { return last_; }
  std::size_t waiting() const { return waiting_.size(); }

  void save(StateWriter& out) const;
  void restore(StateReader& in);

 private:
  struct Waiting {
    IdHole hole;
    WallTime noticed_at;
  };
  bool fills_hole(IdRange ids, WallTime timestamp);

  std::optional<std::uint64_t> last_;
  WallTime last_timestamp_;
  GapCause cause_ = GapCause::sequence;
  std::vector<Waiting> waiting_;
};

}  // namespace mp
