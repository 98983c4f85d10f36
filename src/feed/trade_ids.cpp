#include "feed/trade_ids.hpp"

namespace mp {

// Late ids inside waiting holes: what is left of the holes stays.
bool TradeIds::fills_hole(IdRange ids, WallTime timestamp) {
  bool filled = false;
  for (std::size_t i = waiting_.size(); i-- > 0;) {
    auto& hole = waiting_[i].hole;
    if (ids.last <= hole.last_id || ids.first >= hole.next_id) continue;
    filled = true;
    Waiting above = waiting_[i];
    above.hole.last_id = ids.last;
    above.hole.gap_start = timestamp;
    hole.next_id = ids.first;
    hole.gap_end = timestamp;
    const bool left_below = hole.last_id + 1 < hole.next_id;
    const auto at = waiting_.begin() + static_cast<std::ptrdiff_t>(i);
    if (above.hole.last_id + 1 < above.hole.next_id) waiting_.insert(at + 1, above);
    if (!left_below) waiting_.erase(waiting_.begin() + static_cast<std::ptrdiff_t>(i));
  }
  return filled;
}

TradeIds::Verdict TradeIds::observe(IdRange ids, WallTime timestamp, WallTime received_at, bool others_carry_it,
                                    std::vector<IdHole>& holes) {
  settle(received_at, holes);
  if (!others_carry_it) settle(std::nullopt, holes);
  const bool begins_again = last_ && ids.last <= *last_ && timestamp > last_timestamp_ + kResetAfter;
  if (last_ && ids.last <= *last_ && !begins_again)
    return fills_hole(ids, timestamp) ? Verdict::accept : Verdict::duplicate;

  const bool hole = last_ && (begins_again || ids.first > *last_ + 1);
  if (hole) {
    const IdHole found{*last_, ids.first, last_timestamp_, timestamp, cause_};
    if (others_carry_it && !begins_again) {
      waiting_.push_back({found, received_at});
      if (waiting_.size() > kMaxWaiting) {
        holes.push_back(waiting_.front().hole);
        waiting_.erase(waiting_.begin());
      }
    } else {
      holes.push_back(found);
    }
  }
  last_ = ids.last;
  last_timestamp_ = timestamp;
  cause_ = GapCause::sequence;
  return Verdict::accept;
}

void TradeIds::settle(std::optional<WallTime> received_at, std::vector<IdHole>& holes) {
  std::erase_if(waiting_, [&](const Waiting& waiting) {
    if (received_at && *received_at - waiting.noticed_at < kLongestWait) return false;
    holes.push_back(waiting.hole);
    return true;
  });
}

void TradeIds::save(StateWriter& out) const {
  out.put(last_);
  out.put(last_timestamp_);
  out.put(cause_);
  out.put(std::uint64_t{waiting_.size()});
  for (const auto& [hole, noticed_at] : waiting_) {
    out.put(hole.last_id);
    out.put(hole.next_id);
    out.put(hole.gap_start);
    out.put(hole.gap_end);
    out.put(hole.cause);
    out.put(noticed_at);
  }
}

void TradeIds::restore(StateReader& in) {
  last_ = in.optional<std::uint64_t>([&] { return in.number(); });
  last_timestamp_ = in.time();
  constexpr auto kCauses = static_cast<std::uint64_t>(GapCause::end) + 1;
  cause_ = in.choice<GapCause>(kCauses);
  waiting_.clear();
  for (auto n = in.count(6); n > 0 && in.ok(); --n) {
    Waiting waiting;
    waiting.hole.last_id = in.number();
    waiting.hole.next_id = in.number();
    waiting.hole.gap_start = in.time();
    waiting.hole.gap_end = in.time();
    waiting.hole.cause = in.choice<GapCause>(kCauses);
    waiting.noticed_at = in.time();
    waiting_.push_back(waiting);
  }
}

}  // namespace mp
