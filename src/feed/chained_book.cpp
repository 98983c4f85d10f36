#include "feed/chained_book.hpp"

#include <utility>

namespace mp {
namespace {

BookPoint point_of(const BookUpdate& update) { return {update.ids.last, update.timestamp}; }
BookPoint point_of(const BookSnapshot& snapshot) { return {snapshot.id, snapshot.timestamp}; }

}  // namespace

ChainedBook::ChainedBook(InstrumentRef instrument, QuantityUnit unit, const BookRules& rules, const ChainRules& chain)
    : kept_(std::move(instrument), unit, rules), chain_(&chain) {}

// ---- the chain ------------------------------------------------------------------------------------------------

// The book has been there. Ids alone do not tell: a maintenance reset lowers them.
bool ChainedBook::is_behind(std::uint64_t id, WallTime timestamp) const {
  return timestamp < kept_.last_timestamp() || (id <= kept_.last_id() && timestamp == kept_.last_timestamp());
}

ChainedBook::Link ChainedBook::link(const BookUpdate& update, ConnectionId connection) const {
  const auto prev = update.ids.prev.value_or(0);
  if (prev == kept_.last_id()) return Link::follows;
  // A REST snapshot stands somewhere between two updates: prev <= snapshot < id (OKX changelog, 2026-02).
  if (!bridged_) {
    if (update.ids.last <= kept_.last_id()) return Link::old;
    return prev < kept_.last_id() ? Link::follows : Link::broken;
  }
  // One connection does not go back: what it brings with a higher id is later, whatever the venue's clock says.
  if (connection == connection_ && update.ids.last > kept_.last_id()) return Link::broken;
  return is_behind(update.ids.last, update.timestamp) ? Link::old : Link::broken;
}

ChainedBook::Taken ChainedBook::update(BookUpdate& update, ConnectionId connection, const Connections& connections,
                                       std::optional<std::int64_t> checksum, std::vector<MarketEvent>& out) {
  const auto now = update.received_at;
  if (kept_.synced() && waiting() && !hopeful(now, connections)) settle(now, out);
  if (!kept_.synced()) {
    wants_snapshot_ = true;
    if (!chain_->snapshots_by_rest) return Taken::dropped;
    buffer(update);
    return Taken::buffered;
  }
  switch (link(update, connection)) {
    case Link::old: return Taken::old;
    case Link::follows: {
      connection_ = connection;
      if (update.ids.last == update.ids.prev && update.bids.empty() && update.asks.empty()) return Taken::unchanged;
      bridged_ = true;
      kept_.apply(update, out);
      verify(checksum);
      apply_buffered(out);
      if (kept_.refuted()) {
        kept_.refute(now, out);
        ended();
        return Taken::lost;
      }
      kept_.changed(now, out);
      return Taken::applied;
    }
    case Link::broken: break;
  }
  if (connections.others_carry(connection, connection_)) {
    wait(connection, now);
    buffer(update);
    return Taken::buffered;
  }
  // The very connection that carries the book has a hole; what another one is ahead with may mend it.
  if (waiting()) {
    settle(now, out);
    if (kept_.synced()) return this->update(update, connection, connections, checksum, out);
  } else {
    lose(GapCause::sequence, point_of(update), now, out);
  }
  if (chain_->snapshots_by_rest) buffer(update);
  return Taken::lost;
}

ChainedBook::Taken ChainedBook::unnumbered(BookUpdate& update, ConnectionId connection,
                                           std::optional<std::int64_t> checksum, std::vector<MarketEvent>& out) {
  if (!kept_.synced()) {
    wants_snapshot_ = true;
    return Taken::dropped;
  }
  const auto now = update.received_at;
  connection_ = connection;
  kept_.try_levels(update);
  if (verify(checksum) == ChecksumOutcome::failed) return lose(GapCause::checksum, point_of(update), now, out);
  kept_.accept(update, out);
  if (kept_.refuted()) {
    kept_.refute(now, out);
    ended();
    return Taken::lost;
  }
  kept_.changed(now, out);
  return Taken::applied;
}

ChainedBook::Taken ChainedBook::lose(GapCause cause, const BookPoint& next, WallTime now,
                                     std::vector<MarketEvent>& out) {
  kept_.lose(cause, next, now, out);
  ended();
  return Taken::lost;
}

void ChainedBook::ended() {
  wants_snapshot_ = true;
  ahead_.reset();
  if (!chain_->snapshots_by_rest) buffer_.clear();
}

void ChainedBook::abandon(WallTime now, std::vector<MarketEvent>& out) {
  if (kept_.synced()) lose(GapCause::sequence, {kept_.last_id(), now}, now, out);
  buffer_.clear();
}

// ---- snapshots ------------------------------------------------------------------------------------------------

ChainedBook::SnapshotTaken ChainedBook::snapshot(BookSnapshot& snapshot, ConnectionId connection,
                                                 const Connections& connections, std::optional<std::int64_t> checksum,
                                                 std::vector<MarketEvent>& out) {
  const auto now = snapshot.received_at;
  const bool by_rest = connection == 0;
  if (kept_.synced() && by_rest) return audit(snapshot, out);
  if (kept_.synced() && connections.others_carry(connection, connection_)) {
    // A replacement begins with a snapshot of its own: the book goes on, and the two are merged by their ids.
    if (snapshot.id == kept_.last_id() || is_behind(snapshot.id, snapshot.timestamp)) return SnapshotTaken::old;
    buffer_.clear();
    ahead_.reset();
    wait(connection, now);
    ahead_ = std::move(snapshot);
    return SnapshotTaken::ahead;
  }
  if (by_rest) {
    for (const auto& each : buffer_) {
      if (each.ids.last <= snapshot.id) continue;
      if (each.ids.prev.value_or(0) > snapshot.id) return SnapshotTaken::too_old;
      break;
    }
  }
  if (kept_.synced() && snapshot.id != kept_.last_id()) kept_.jump(GapCause::sequence, point_of(snapshot), now, out);
  if (!by_rest) {
    connection_ = connection;
    buffer_.clear();
  }
  adopt(snapshot, !by_rest, out);
  verify(checksum);
  apply_buffered(out);
  kept_.changed(now, out);
  return SnapshotTaken::applied;
}

ChainedBook::SnapshotTaken ChainedBook::audit(BookSnapshot& answer, std::vector<MarketEvent>& out) {
  const auto now = answer.received_at;
  kept_.audit(answer);
  if (!kept_.refuted()) return SnapshotTaken::old;
  kept_.refute(now, out);
  ended();
  return SnapshotTaken::refuted;
}

void ChainedBook::adopt(BookSnapshot& snapshot, bool bridged, std::vector<MarketEvent>& out) {
  kept_.assign(snapshot, out);
  bridged_ = bridged;
  wants_snapshot_ = false;
  ahead_.reset();
}

// ---- two connections ------------------------------------------------------------------------------------------

// The connection that carries the book may still bring what is before that which waits.
bool ChainedBook::hopeful(WallTime now, const Connections& connections) const {
  return connections.others_carry(ahead_connection_, connection_) && now - waiting_since_ < kLongestWait &&
         buffer_.size() < kMostBuffered;
}

void ChainedBook::wait(ConnectionId connection, WallTime now) {
  if (!waiting()) waiting_since_ = now;
  ahead_connection_ = connection;
}

// Nobody will bring what is before that which waits: a hole. The snapshot that waits, if there is one, mends it.
void ChainedBook::settle(WallTime now, std::vector<MarketEvent>& out) {
  if (!kept_.synced() || !waiting()) return;
  if (!ahead_) {
    lose(GapCause::sequence, point_of(buffer_.front()), now, out);
    return;
  }
  auto snapshot = *std::exchange(ahead_, std::nullopt);
  kept_.jump(GapCause::sequence, point_of(snapshot), now, out);
  connection_ = ahead_connection_;
  adopt(snapshot, true, out);
  apply_buffered(out);
  buffer_.clear();  // an unbroken chain behind it has been applied; anything else is of no use
  kept_.changed(now, out);
}

void ChainedBook::closed(ConnectionId connection, WallTime now, std::vector<MarketEvent>& out) {
  if (!kept_.synced()) return;
  if (connection == connection_) {
    settle(now, out);
    if (connection == connection_) kept_.interrupted(GapCause::disconnected);
  } else if (connection == ahead_connection_) {
    // What it was ahead with comes over the connection that carries the book.
    ahead_.reset();
    buffer_.clear();
  }
}

// Keeps the buffer one unbroken chain: what stands before a hole could never be used.
void ChainedBook::buffer(BookUpdate& update) {
  if (!buffer_.empty() && buffer_.back().ids.last != update.ids.prev) {
    if (update.timestamp <= buffer_.back().timestamp && update.ids.last <= buffer_.back().ids.last) return;
    buffer_.clear();
  }
  if (buffer_.size() >= kMostBuffered) buffer_.erase(buffer_.begin(), buffer_.begin() + kMostBuffered / 2);
  buffer_.push_back(std::move(update));
}

void ChainedBook::apply_buffered(std::vector<MarketEvent>& out) {
  std::size_t done = 0;
  for (; done < buffer_.size(); ++done) {
    const auto verdict = link(buffer_[done], ahead_connection_);
    if (verdict == Link::broken) break;
    if (verdict == Link::old) continue;
    bridged_ = true;
    kept_.apply(buffer_[done], out);
  }
  buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(done));
  if (ahead_ && (ahead_->id == kept_.last_id() || is_behind(ahead_->id, ahead_->timestamp))) ahead_.reset();
}

// ---- checksums ------------------------------------------------------------------------------------------------

ChecksumOutcome ChainedBook::verify(std::optional<std::int64_t> expected) {
  if (!expected || !chain_->checksum) return ChecksumOutcome::unverifiable;
  const auto outcome = chain_->checksum(kept_.book(), *expected);
  switch (outcome) {
    case ChecksumOutcome::verified: ++checksums_.verified; break;
    case ChecksumOutcome::unverifiable: ++checksums_.unverifiable; break;
    case ChecksumOutcome::failed: ++checksums_.failed; break;
  }
  return outcome;
}

// ---- state ----------------------------------------------------------------------------------------------------

void ChainedBook::save(StateWriter& out) const {
  kept_.save(out);
  out.put(wants_snapshot_);
  out.put(bridged_);
  out.put(std::uint64_t{connection_});
  out.put(std::uint64_t{ahead_connection_});
  out.put(waiting_since_);
  out.put(ahead_.has_value());
  if (ahead_) mp::save(out, *ahead_);
  out.put(std::uint64_t{buffer_.size()});
  for (const auto& update : buffer_) mp::save(out, update);
}

void ChainedBook::restore(StateReader& in) {
  kept_.restore(in);
  wants_snapshot_ = in.flag();
  bridged_ = in.flag();
  connection_ = static_cast<ConnectionId>(in.number());
  ahead_connection_ = static_cast<ConnectionId>(in.number());
  waiting_since_ = in.time();
  ahead_ = in.optional<BookSnapshot>([&] { return restore_snapshot(in); });
  buffer_.clear();
  for (auto n = in.count(kLeastUpdateBytes); n > 0 && in.ok(); --n) {
    buffer_.push_back(restore_update(in));
    if (!buffer_.back().ids.prev) in.fail("an update that follows none");
  }
}

}  // namespace mp
