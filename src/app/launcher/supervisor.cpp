#include "app/launcher/supervisor.hpp"

#include <algorithm>

namespace mp::launcher {

const char* to_string(PartState state) {
  switch (state) {
    case PartState::waiting: return "waiting";
    case PartState::starting: return "starting";
    case PartState::running: return "running";
    case PartState::backing_off: return "restarting";
    case PartState::stopping: return "stopping";
    case PartState::ended: return "ended";
  }
  return "?";
}

Supervisor::Supervisor(Rules rules) : rules_(std::move(rules)), parts_(rules_.parts.size()) {}

bool Supervisor::runs(const Part& part) const {
  return part.state == PartState::starting || part.state == PartState::running || part.state == PartState::stopping;
}

void Supervisor::enter(Part& part, PartState state, MonoTime now) {
  part.state = state;
  part.since = now;
}

void Supervisor::give_up(std::size_t part, Failure::Kind kind, MonoTime now) {
  if (failure_ || stopping_) return;
  failure_ = Failure{part, kind};
  request_stop(now);
}

void Supervisor::on_exit(std::size_t index, bool success, bool bad_usage, MonoTime now) {
  auto& part = parts_[index];
  part.drained = false;
  if (part.told_to_mend) ++part.mends;
  part.unwell_since.reset();
  part.well_since.reset();
  part.told_to_mend.reset();
  part.mend_not_before.reset();
  if (!stopping_) part.killed = false;
  if (part.state == PartState::stopping) {
    enter(part, PartState::ended, now);
    return;
  }
  if (success && rules_.parts[index].may_finish) {
    part.finished = true;
    enter(part, PartState::ended, now);
    return;
  }
  if (part.state == PartState::running && now - part.since >= rules_.stable_after) {
    part.attempts = 0;
    part.was_stable = true;
  }
  ++part.attempts;
  part.again_at = now + backoff(rules_.backoff, part.attempts, 0);
  enter(part, PartState::backing_off, now);
  // Some mistakes show only after it is ready: a venue's list comes, and lacks a symbol that is to be collected. A part
  // that has run for long is started again whatever it says.
  if (bad_usage && !part.was_stable) give_up(index, Failure::Kind::usage, now);
  if (part.was_ready) return;
  if (part.attempts >= rules_.first_start_attempts) give_up(index, Failure::Kind::ended, now);
}

void Supervisor::on_ready(std::size_t index, MonoTime now) {
  auto& part = parts_[index];
  if (part.state != PartState::starting) return;
  part.was_ready = true;
  enter(part, PartState::running, now);
}

void Supervisor::on_health(std::size_t index, bool well, MonoTime now) {
  auto& part = parts_[index];
  if (!part.was_ready) return;  // its first start has a limit of its own
  if (well) {
    part.unwell_since.reset();
    if (!part.well_since) part.well_since = now;
    if (now - *part.well_since >= rules_.stable_after) part.mends = 0;
  } else {
    part.well_since.reset();
    if (!part.unwell_since) part.unwell_since = now;
  }
}

void Supervisor::on_mend_refused(std::size_t index, MonoTime now) {
  auto& part = parts_[index];
  part.told_to_mend.reset();
  part.mend_not_before = now + rules_.mend_ask_again;
}

void Supervisor::on_drained(std::size_t part, bool drained) { parts_[part].drained = drained; }

void Supervisor::on_checked() { checked_ = true; }

void Supervisor::request_stop(MonoTime now) {
  if (stopping_) return;
  stopping_ = true;
  step_since_ = now;
}

void Supervisor::force_stop() {
  stopping_ = true;
  forced_ = true;
}

bool Supervisor::all_ready() const {
  return std::all_of(parts_.begin(), parts_.end(), [&](const Part& part) { return ready_or_done(part); });
}

bool Supervisor::over() const {
  return stopping_ && (forced_ || step_ >= rules_.stop.size()) &&
         std::none_of(parts_.begin(), parts_.end(), [&](const Part& part) { return runs(part); });
}

PartView Supervisor::view(std::size_t index) const {
  const auto& part = parts_[index];
  PartView view{part.state, part.restarts, part.was_ready, std::nullopt};
  if (part.state == PartState::backing_off) view.starts_again_at = part.again_at;
  return view;
}

// Whether the stop has come to this part's step (or past it): then it is not started any more.
bool Supervisor::told_to_end(std::size_t index) const {
  if (!stopping_) return false;
  if (forced_ || failure_ || !parts_[index].was_ready) return true;
  for (std::size_t i = 0; i < rules_.stop.size() && i <= step_; ++i) {
    if (rules_.stop[i].kind == StopStep::Kind::terminate && rules_.stop[i].part == index) return true;
  }
  return false;
}

void Supervisor::start_what_may(MonoTime now, std::vector<Action>& actions) {
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    auto& part = parts_[i];
    const bool first = part.state == PartState::waiting;
    const bool again = part.state == PartState::backing_off && now >= part.again_at;
    if ((first || again) && !told_to_end(i)) {
      if (again) ++part.restarts;
      enter(part, PartState::starting, now);
      actions.push_back({Action::Kind::start, i});
    }
    // The next one waits for this one the first time only: once everything has run, each part mends alone.
    if (!ready_or_done(part) && !part.was_ready) return;
  }
}

void Supervisor::watch_first_starts(MonoTime now) {
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    const auto& part = parts_[i];
    if (part.state == PartState::starting && !part.was_ready && now - part.since >= rules_.parts[i].start_timeout) {
      give_up(i, Failure::Kind::not_ready, now);
    }
  }
}

// When a part that is not well is to be started again, if it stays so; nothing: not at all.
std::optional<MonoTime> Supervisor::mend_at(std::size_t index) const {
  constexpr int kMostDoublings = 4;
  const auto& part = parts_[index];
  const auto& rules = rules_.parts[index];
  const bool lives = part.state == PartState::running || part.state == PartState::starting;
  if (!rules.mend_after || !part.unwell_since || !lives || stopping_) return std::nullopt;
  auto limit = *rules.mend_after * (1 << std::min(part.mends, kMostDoublings));
  // It may have much to read before it is well again.
  if (part.state == PartState::starting) limit = std::max(limit, rules.start_timeout);
  const auto due = *part.unwell_since + limit;
  return part.mend_not_before ? std::max(due, *part.mend_not_before) : due;
}

void Supervisor::mend_the_unwell(MonoTime now, std::vector<Action>& actions) {
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    auto& part = parts_[i];
    const auto due = mend_at(i);
    if (!due || now < *due) continue;
    if (!part.told_to_mend) {
      part.told_to_mend = now;
      actions.push_back({Action::Kind::mend, i});
    } else if (now - *part.told_to_mend >= rules_.mend_stop_limit && !part.killed) {
      part.killed = true;
      actions.push_back({Action::Kind::kill, i});
    }
  }
}

// True when the stop may go on to the next step.
bool Supervisor::step_done(const StopStep& step, MonoTime now, std::vector<Action>& actions) {
  auto& part = parts_[step.part];
  const bool late = now - step_since_ >= step.limit;
  switch (step.kind) {
    case StopStep::Kind::terminate:
      if (!runs(part)) {
        enter(part, PartState::ended, now);
        return true;
      }
      if (part.state != PartState::stopping) {
        enter(part, PartState::stopping, now);
        actions.push_back({Action::Kind::terminate, step.part});
      } else if (late && !part.killed) {
        part.killed = true;
        actions.push_back({Action::Kind::kill, step.part});
      }
      return false;
    case StopStep::Kind::drain: return failure_ || part.drained || late || !part.was_ready;
    case StopStep::Kind::check:
      if (failure_ || !part.was_ready) {
        check_skipped_ = true;
        return true;
      }
      if (!step_begun_) actions.push_back({Action::Kind::check, step.part});
      return checked_ || late;
  }
  return true;
}

void Supervisor::walk_stop_steps(MonoTime now, std::vector<Action>& actions) {
  while (step_ < rules_.stop.size()) {
    if (!step_begun_) step_since_ = now;
    const bool done = step_done(rules_.stop[step_], now, actions);
    step_begun_ = true;
    if (!done) return;
    ++step_;
    step_begun_ = false;
  }
}

std::vector<Action> Supervisor::next(MonoTime now) {
  std::vector<Action> actions;
  if (forced_) {
    for (std::size_t i = 0; i < parts_.size(); ++i) {
      auto& part = parts_[i];
      if (!runs(part)) {
        if (part.state != PartState::ended) enter(part, PartState::ended, now);
      } else if (!part.killed) {
        part.killed = true;
        enter(part, PartState::stopping, now);
        actions.push_back({Action::Kind::kill, i});
      }
    }
    return actions;
  }
  watch_first_starts(now);
  start_what_may(now, actions);
  mend_the_unwell(now, actions);
  if (stopping_) walk_stop_steps(now, actions);
  return actions;
}

std::optional<MonoTime> Supervisor::wake_at() const {
  std::optional<MonoTime> earliest;
  const auto consider = [&](MonoTime at) {
    if (!earliest || at < *earliest) earliest = at;
  };
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    const auto& part = parts_[i];
    if (part.state == PartState::backing_off && !told_to_end(i)) consider(part.again_at);
    if (part.state == PartState::starting && !part.was_ready) consider(part.since + rules_.parts[i].start_timeout);
    const auto due = mend_at(i);
    if (due && !part.killed) consider(part.told_to_mend ? *part.told_to_mend + rules_.mend_stop_limit : *due);
  }
  if (stopping_ && step_begun_ && step_ < rules_.stop.size()) consider(step_since_ + rules_.stop[step_].limit);
  return earliest;
}

}  // namespace mp::launcher
