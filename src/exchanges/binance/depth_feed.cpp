#include "exchanges/binance/depth_feed.hpp"

#include <algorithm>

namespace mp::binance {

Continuation DepthFeed::continuation(const BookUpdate& update) const {
  return any_continues_ ? Continuation::apply : continues(market_, kept_.last_id(), bridged_, update.ids);
}

DepthFeed::Taken DepthFeed::update(BookUpdate& update, bool others_carry_it, std::vector<MarketEvent>& out) {
  const auto now = update.received_at;
  // Has what waits for another connection had its time?
  if (kept_.synced() && !buffer_.empty() && (!others_carry_it || now - buffer_.front().received_at >= kLongestWait))
    lose(out, now);
  if (!kept_.synced()) {
    buffer(update);
    return Taken::buffered;
  }
  auto verdict = continuation(update);
  // Lower ids with clearly later times: the venue has begun to count anew.
  if (verdict == Continuation::old && bridged_ && update.timestamp > kept_.last_timestamp() + kResetAfter)
    verdict = Continuation::gap;
  switch (verdict) {
    case Continuation::old: return Taken::old;
    case Continuation::apply: {
      const auto before = kept_.last_id();
      apply(update, out);
      apply_buffered(out);
      if (end_if_refuted(now, out)) return Taken::lost;
      // An update that ends where the snapshot did holds nothing that the snapshot had not.
      if (kept_.last_id() != before) kept_.changed(now, out);
      return Taken::applied;
    }
    case Continuation::gap: break;
  }
  buffer(update);
  if (others_carry_it && buffer_.size() < kMaxBuffered) return Taken::buffered;
  lose(out, now);
  return Taken::lost;
}

// Keeps the buffer one unbroken chain: what stands before a hole could never be used.
void DepthFeed::buffer(BookUpdate& update) {
  if (!buffer_.empty() && !follows(market_, buffer_.back().ids.last, update.ids)) {
    const bool seen = update.ids.last <= buffer_.back().ids.last;
    if (seen && update.timestamp <= buffer_.back().timestamp + kResetAfter) return;
    buffer_.clear();
  }
  if (buffer_.size() >= kMaxBuffered) buffer_.erase(buffer_.begin(), buffer_.begin() + kMaxBuffered / 2);
  buffer_.push_back(std::move(update));
}

void DepthFeed::apply(BookUpdate& update, std::vector<MarketEvent>& out) {
  kept_.apply(update, out);
  bridged_ = true;
  any_continues_ = false;
}

void DepthFeed::apply_buffered(std::vector<MarketEvent>& out) {
  std::size_t done = 0;
  for (; done < buffer_.size(); ++done) {
    const auto verdict = continuation(buffer_[done]);
    if (verdict == Continuation::gap) break;
    if (verdict == Continuation::apply) apply(buffer_[done], out);
  }
  buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(done));
}

DepthFeed::SnapshotTaken DepthFeed::snapshot(DepthReply& reply, WallTime received_at, std::vector<MarketEvent>& out) {
  const bool brand_new = reply.last_update_id < 0;
  const auto id = brand_new ? 0 : static_cast<std::uint64_t>(reply.last_update_id);
  if (kept_.synced() && (brand_new || id < kept_.last_id())) return SnapshotTaken::not_newer;
  if (!kept_.synced() && !brand_new) {
    const auto first = std::ranges::find_if(
        buffer_, [&](const BookUpdate& each) { return continues(market_, id, false, each.ids) != Continuation::old; });
    if (first != buffer_.end() && continues(market_, id, false, first->ids) == Continuation::gap)
      return SnapshotTaken::too_old;
  }
  // Alignment with the updates is as after the first snapshot, unless the book was at this very id.
  if (!kept_.synced() || id != kept_.last_id()) bridged_ = false;
  any_continues_ = brand_new;
  BookSnapshot snapshot{.id = id,
                        .timestamp = reply.time.value_or(received_at),
                        .received_at = received_at,
                        .bids = std::move(reply.bids),
                        .asks = std::move(reply.asks)};
  // What is between a good book and a later snapshot is in the snapshot, and will not be published.
  if (kept_.synced() && id > kept_.last_id())
    kept_.jump(GapCause::sequence, {id, snapshot.timestamp}, received_at, out);
  kept_.assign(snapshot, out);
  apply_buffered(out);
  kept_.changed(received_at, out);
  return SnapshotTaken::applied;
}

bool DepthFeed::audit(DepthReply& reply, std::size_t asked, WallTime received_at, std::vector<MarketEvent>& out) {
  if (reply.last_update_id < 0) return false;
  BookSnapshot answer{.id = static_cast<std::uint64_t>(reply.last_update_id),
                      .received_at = received_at,
                      .bids = std::move(reply.bids),
                      .asks = std::move(reply.asks),
                      .asked = asked};
  kept_.audit(answer);
  return end_if_refuted(received_at, out);
}

bool DepthFeed::end_if_refuted(WallTime now, std::vector<MarketEvent>& out) {
  if (!kept_.refuted()) return false;
  kept_.refute(now, out);
  bridged_ = false;
  return true;
}

// The chain is broken before what stands in the buffer.
void DepthFeed::lose(std::vector<MarketEvent>& out, WallTime noticed_at) {
  const auto& next = buffer_.front();
  kept_.lose(GapCause::sequence, {next.ids.first, next.timestamp}, noticed_at, out);
  bridged_ = false;
}

void DepthFeed::settle(std::vector<MarketEvent>& out, WallTime received_at) {
  if (kept_.synced() && !buffer_.empty()) lose(out, received_at);
}

void DepthFeed::save(StateWriter& out) const {
  kept_.save(out);
  out.put(bridged_);
  out.put(any_continues_);
  out.put(std::uint64_t{buffer_.size()});
  for (const auto& update : buffer_) mp::save(out, update);
}

void DepthFeed::restore(StateReader& in) {
  kept_.restore(in);
  bridged_ = in.flag();
  any_continues_ = in.flag();
  buffer_.clear();
  for (auto n = in.count(kLeastUpdateBytes); n > 0 && in.ok(); --n) buffer_.push_back(restore_update(in));
}

}  // namespace mp::binance
