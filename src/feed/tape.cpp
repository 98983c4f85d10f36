#include "feed/tape.hpp"

namespace mp {

Tape::Verdict Tape::observe(IdRange ids, const TapeArrival& arrival, const Connections& connections,
                            const TapeOwner& owner, std::vector<MarketEvent>& out) {
  std::vector<IdHole> holes;  // allocates only when there are any
  const bool is_awaited = ids_.waiting() > 0 && arrival.connection == connection_;
  const bool others_carry_it = is_awaited || connections.others_carry(arrival.connection, connection_);
  const auto verdict = ids_.observe(ids, arrival.timestamp, arrival.received_at, others_carry_it, holes);
  tell(holes, arrival.received_at, owner, out);
  if (verdict == Verdict::accept && ids_.waiting() == 0) connection_ = arrival.connection;
  return verdict;
}

void Tape::closed(ConnectionId connection, WallTime now, const TapeOwner& owner, std::vector<MarketEvent>& out) {
  if (connection_ != connection) return;
  // While holes wait for this one another has gone on: nothing else is interrupted.
  if (ids_.waiting() == 0) return ids_.interrupted(GapCause::disconnected);
  std::vector<IdHole> holes;
  ids_.settle(std::nullopt, holes);
  tell(holes, now, owner, out);
}

void Tape::tell(const std::vector<IdHole>& holes, WallTime now, const TapeOwner& owner, std::vector<MarketEvent>& out) {
  for (const auto& hole : holes) {
    ++gaps_;
    Gap event;
    event.meta = {owner.instrument, now, now, owner.data_source};
    event.data_type = DataType::trade;
    event.cause = hole.cause;
    event.gap_start = hole.gap_start;
    event.gap_end = hole.gap_end;
    event.last_id = std::to_string(hole.last_id);
    event.next_id = std::to_string(hole.next_id);
    out.emplace_back(std::move(event));
  }
}

void Tape::save(StateWriter& out) const {
  out.put(std::uint64_t{connection_});
  ids_.save(out);
}

void Tape::restore(StateReader& in) {
  connection_ = static_cast<ConnectionId>(in.number());
  ids_.restore(in);
}

}  // namespace mp
