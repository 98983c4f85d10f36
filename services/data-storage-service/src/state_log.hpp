#pragma once
// Which changes of a worker's state are written to the log: a trouble that comes and goes several times a second, for
// twelve data types at once, must not bury everything else. Pure.

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "base/time.hpp"

namespace mp::storage {

enum class WorkerState {
  waiting_for_nats,
  waiting_for_lease,       // another storage process serves this data type, or it could not be renewed
  waiting_for_clickhouse,  // not there, or its tables are not fit yet
  running,
  failing,  // inserts fail; they are tried again
  stopped,
};
const char* to_string(WorkerState state);

class StateLog {
 public:
  // At most so many lines in any such time; `stopped` is always told.
  static constexpr std::size_t kLines = 3;
  static constexpr std::chrono::seconds kWindow{30};

  struct Line {
    WorkerState before;        // as it was told last
    std::uint64_t unsaid = 0;  // changes since then that were not told
  };
  // To be called with the present state at every change and again and again without one (a change that was not told is
  // told when its time has come, if it still holds). Another trouble in the same state is told once per window.
  std::optional<Line> see(WorkerState state, const std::string& trouble, MonoTime now);

 private:
  WorkerState told_ = WorkerState::waiting_for_nats;  // how every worker begins: not worth a line
  std::string told_trouble_;
  WorkerState seen_ = WorkerState::waiting_for_nats;
  std::uint64_t unsaid_ = 0;
  std::deque<MonoTime> lines_;  // of the last window
};

}  // namespace mp::storage
