#include "feed/trade_ids.hpp"

namespace mp {

// A late id inside a waiting hole: what is left of the hole stays.
bool TradeIds::fills_hole(std::uint64_t id, WallTime timestamp) {
  for (std::size_t i = 0; i < waiting_.size(); ++i) {
    auto& hole = waiting_[i].hole;
    if (id <= hole.last_id || id >= hole.next_id) continue;
    Waiting above = waiting_[i];
    above.hole.last_id = id;
    above.hole.gap_start = timestamp;
    hole.next_id = id;
    hole.gap_end = timestamp;
    if (above.hole.last_id + 1 != above.hole.next_id)
      waiting_.insert(waiting_.begin() + static_cast<std::ptrdiff_t>(i) + 1, above);
    if (waiting_[i].hole.last_id + 1 == waiting_[i].hole.next_id)
      waiting_.erase(waiting_.begin() + static_cast<std::ptrdiff_t>(i));
    return true;
  }
  return false;
}

TradeIds::Verdict TradeIds::observe(std::uint64_t id, WallTime timestamp, WallTime received_at, bool others_carry_it,
                                    std::vector<IdHole>& holes) {
  settle(received_at, holes);
  if (!others_carry_it) settle(std::nullopt, holes);
  const bool begins_again = last_ && id <= *last_ && timestamp > last_timestamp_ + kResetAfter;
  if (last_ && id <= *last_ && !begins_again)
    return fills_hole(id, timestamp) ? Verdict::accept : Verdict::duplicate;

  const bool hole = last_ && (begins_again || id != *last_ + 1);
  if (hole) {
    const IdHole found{*last_, id, last_timestamp_, timestamp, cause_};
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
  last_ = id;
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
