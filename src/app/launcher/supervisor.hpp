#pragma once
// The launcher's policy as a pure state machine: what happened and the time go in, what is to be done comes out.
// It knows nothing of processes, sockets or databases.
//
// Start: each part only when all before it are ready. A part that ends by itself is started again after a capped
// back-off, for ever once it has been ready; before that three times, then the whole gives up. Stop: the steps of
// Rules::stop one after another, each with its time limit; parts whose step has not come go on being supervised.
// A part that lives and answers for long that it is not well is started again, if its rules say so and the driver finds
// that this can help; each time it waits longer before the next.

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "base/backoff.hpp"
#include "base/time.hpp"

namespace mp::launcher {

enum class PartState {
  waiting,      // for those before it
  starting,     // runs, not ready yet
  running,      // ready
  backing_off,  // ended by itself; will be started again
  stopping,     // was told to end
  ended,        // as it should
};
const char* to_string(PartState state);

struct PartRules {
  std::string name;
  std::chrono::milliseconds start_timeout{60'000};  // to be ready, the first time
  bool may_finish = false;                          // ending with status 0 is success (play-back), not a death
  // Once it has run: not well for so long without a break, and it is to be started again; nothing: never.
  std::optional<std::chrono::milliseconds> mend_after = std::nullopt;
};

struct StopStep {
  enum class Kind {
    terminate,  // SIGTERM to the part, SIGKILL when the limit is over
    drain,      // wait until the part says that nothing is left to do
    check,      // the driver looks whether everything arrived
  };
  Kind kind = Kind::terminate;
  std::size_t part = 0;
  std::chrono::milliseconds limit{30'000};
};

struct Rules {
  std::vector<PartRules> parts;  // in start order
  std::vector<StopStep> stop;
  BackoffPolicy backoff{std::chrono::milliseconds(250), std::chrono::milliseconds(10'000)};
  std::chrono::milliseconds stable_after{30'000};  // ready for this long: the back-off begins anew
  int first_start_attempts = 3;
  std::chrono::milliseconds mend_stop_limit{10'000};  // to end when it is told to, for starting it again; then killed
  std::chrono::milliseconds mend_ask_again{2'000};    // after the driver refused
};

struct Action {
  enum class Kind {
    start,
    terminate,
    kill,
    check,
    mend,  // it is not well: the driver terminates it (it is started again then), or calls on_mend_refused()
  };
  Kind kind;
  std::size_t part;
  friend bool operator==(const Action&, const Action&) = default;
};

struct PartView {
  PartState state = PartState::waiting;
  int restarts = 0;
  bool was_ready = false;
  std::optional<MonoTime> starts_again_at;
};

class Supervisor {
 public:
  explicit Supervisor(Rules rules);

  // What happened. Each is followed by a call of next().
  void on_exit(std::size_t part, bool success, bool bad_usage, MonoTime now);
  void on_ready(std::size_t part, MonoTime now);
  // What the part says of itself, each time that it answered.
  void on_health(std::size_t part, bool well, MonoTime now);
  // After Action mend: starting it again cannot help now. Asked again a little later.
  void on_mend_refused(std::size_t part, MonoTime now);
  void on_drained(std::size_t part, bool drained);
  void on_checked();
  void request_stop(MonoTime now);  // again: nothing more
  void force_stop();                // kill everything now

  // What is to be done now; call until it is empty, then again at wake_at().
  std::vector<Action> next(MonoTime now);
  std::optional<MonoTime> wake_at() const;

  bool all_ready() const;  // every part has been started and is ready (or has finished)
  bool finished(std::size_t part) const { return parts_[part].finished; }
  bool stopping() const { return stopping_; }
  bool forced() const { return forced_; }
  bool over() const;  // nothing runs and nothing will be started
  bool check_skipped() const { return check_skipped_; }
  // Why the whole gives up: the part, and whether it ended (or was never ready in time).
  struct Failure {
    std::size_t part;
    enum class Kind { ended, not_ready, usage } kind;
  };
  const std::optional<Failure>& failure() const { return failure_; }
  PartView view(std::size_t part) const;
  std::size_t size() const { return parts_.size(); }
  const Rules& rules() const { return rules_; }

 private:
  struct Part {
    PartState state = PartState::waiting;
    int restarts = 0;
    int attempts = 0;  // since it was last stable
    bool was_ready = false;
    bool was_stable = false;  // has run for stable_after
    bool finished = false;
    bool drained = false;
    bool killed = false;
    MonoTime since{};  // of this state
    MonoTime again_at{};
    std::optional<MonoTime> unwell_since;
    std::optional<MonoTime> well_since;
    std::optional<MonoTime> told_to_mend;
    std::optional<MonoTime> mend_not_before;
    int mends = 0;  // since it was last well for long
    friend class Supervisor;
  };
  bool runs(const Part& part) const;
  bool ready_or_done(const Part& part) const { return part.state == PartState::running || part.finished; }
  void enter(Part& part, PartState state, MonoTime now);
  void give_up(std::size_t part, Failure::Kind kind, MonoTime now);
  void start_what_may(MonoTime now, std::vector<Action>& actions);
  void watch_first_starts(MonoTime now);
  std::optional<MonoTime> mend_at(std::size_t part) const;
  void mend_the_unwell(MonoTime now, std::vector<Action>& actions);
  void walk_stop_steps(MonoTime now, std::vector<Action>& actions);
  bool step_done(const StopStep& step, MonoTime now, std::vector<Action>& actions);
  bool told_to_end(std::size_t part) const;

  Rules rules_;
  std::vector<Part> parts_;
  bool stopping_ = false;
  bool forced_ = false;
  std::size_t step_ = 0;  // of rules_.stop
  bool step_begun_ = false;
  MonoTime step_since_{};
  bool checked_ = false;
  bool check_skipped_ = false;
  std::optional<Failure> failure_;
};

}  // namespace mp::launcher
