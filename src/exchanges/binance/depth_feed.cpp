#include "exchanges/binance/depth_feed.hpp"

#include <algorithm>

namespace mp::binance {

DepthFeed::DepthFeed(InstrumentRef instrument, const DepthRules& rules)
    : instrument_(std::move(instrument)), rules_(&rules) {
  for (const auto& series : rules.series) clocks_.emplace_back(series.interval);
}

DepthFeed::Taken DepthFeed::update(DepthUpdate& update, bool others_carry_it, std::vector<MarketEvent>& out) {
  const auto now = update.received_at;
  // Has what waits for another connection had its time?
  if (synced_ && !buffer_.empty() && (!others_carry_it || now - buffer_.front().received_at >= kLongestWait))
    lose(out, now);
  if (!synced_) {
    buffer(update);
    return Taken::buffered;
  }
  auto verdict = any_continues_ ? Continuation::apply : continues(rules_->market, last_id_, bridged_, update.ids);
  // Lower ids with clearly later times: the venue has begun to count anew.
  if (verdict == Continuation::old && bridged_ && update.timestamp > last_timestamp_ + kResetAfter)
    verdict = Continuation::gap;
  switch (verdict) {
    case Continuation::old: return Taken::old;
    case Continuation::apply: {
      const auto before = last_id_;
      apply(update, out);
      apply_buffered(out);
      // An update that ends where the snapshot did holds nothing that the snapshot had not.
      if (last_id_ != before) changed(now, out);
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
void DepthFeed::buffer(DepthUpdate& update) {
  if (!buffer_.empty() && !follows(rules_->market, buffer_.back().ids.last, update.ids)) {
    const bool seen = update.ids.last <= buffer_.back().ids.last;
    if (seen && update.timestamp <= buffer_.back().timestamp + kResetAfter) return;
    buffer_.clear();
  }
  if (buffer_.size() >= kMaxBuffered) buffer_.erase(buffer_.begin(), buffer_.begin() + kMaxBuffered / 2);
  buffer_.push_back(std::move(update));
}

void DepthFeed::apply(DepthUpdate& update, std::vector<MarketEvent>& out) {
  book_.apply(update.bids, update.asks);
  bridged_ = true;
  any_continues_ = false;
  interrupted_by_.reset();
  last_id_ = update.ids.last;
  last_timestamp_ = update.timestamp;
  last_received_ = update.received_at;
  last_delta_at_ = update.received_at;
  if (!rules_->publish_deltas) return;
  auto& event = std::get<OrderBookDelta>(out.emplace_back(std::in_place_type<OrderBookDelta>));
  event.meta = {instrument_, update.timestamp, update.received_at, rules_->data_source};
  event.first_update_id = update.ids.first;
  event.last_update_id = update.ids.last;
  event.prev_update_id = update.ids.prev;
  event.bids = std::move(update.bids);
  event.asks = std::move(update.asks);
}

void DepthFeed::apply_buffered(std::vector<MarketEvent>& out) {
  std::size_t done = 0;
  for (; done < buffer_.size(); ++done) {
    const auto verdict =
        any_continues_ ? Continuation::apply : continues(rules_->market, last_id_, bridged_, buffer_[done].ids);
    if (verdict == Continuation::gap) break;
    if (verdict == Continuation::apply) apply(buffer_[done], out);
  }
  buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(done));
}

DepthFeed::SnapshotTaken DepthFeed::snapshot(DepthReply& reply, WallTime received_at, std::vector<MarketEvent>& out) {
  const bool brand_new = reply.last_update_id < 0;
  const auto id = brand_new ? 0 : static_cast<std::uint64_t>(reply.last_update_id);
  if (synced_ && (brand_new || id < last_id_)) return SnapshotTaken::not_newer;
  if (!synced_ && !brand_new) {
    const auto first = std::ranges::find_if(buffer_, [&](const DepthUpdate& each) {
      return continues(rules_->market, id, false, each.ids) != Continuation::old;
    });
    if (first != buffer_.end() && continues(rules_->market, id, false, first->ids) == Continuation::gap)
      return SnapshotTaken::too_old;
  }
  const auto timestamp = reply.time.value_or(received_at);
  if (auto whole = gap_.close(instrument_, rules_->data_source, {id, timestamp}, received_at))
    out.emplace_back(*std::move(whole));
  book_.assign(reply.bids, reply.asks);
  // Alignment with the updates is as after the first snapshot, unless the book was at this very id.
  if (!synced_ || id != last_id_) bridged_ = false;
  synced_ = true;
  any_continues_ = brand_new;
  interrupted_by_.reset();
  last_id_ = id;
  last_timestamp_ = timestamp;
  last_received_ = received_at;
  last_delta_at_ = received_at;
  if (rules_->publish_deltas) {
    OrderBookDelta event;
    event.meta = {instrument_, timestamp, received_at, rules_->data_source};
    event.first_update_id = id;
    event.last_update_id = id;
    event.bids = std::move(reply.bids);
    event.asks = std::move(reply.asks);
    event.is_snapshot = true;
    out.emplace_back(std::move(event));
  }
  apply_buffered(out);
  changed(received_at, out);
  return SnapshotTaken::applied;
}

// The chain is broken before what stands in the buffer.
void DepthFeed::lose(std::vector<MarketEvent>& out, WallTime noticed_at) {
  const auto& next = buffer_.front();
  out.emplace_back(gap_.open(instrument_, rules_->data_source, interrupted_by_.value_or(GapCause::sequence),
                             {last_id_, last_timestamp_}, {next.ids.first, next.timestamp}, noticed_at));
  ++gaps_;
  synced_ = false;
  bridged_ = false;
  interrupted_by_.reset();
  book_.clear();
  for (auto& clock : clocks_) clock.drop();
}

void DepthFeed::settle(std::vector<MarketEvent>& out, WallTime received_at) {
  if (synced_ && !buffer_.empty()) lose(out, received_at);
}

void DepthFeed::changed(WallTime now, std::vector<MarketEvent>& out) {
  if (clocks_.empty()) return;
  // A crossed book is an error of somebody's: no picture of it.
  if (book_.crossed()) {
    for (auto& clock : clocks_) clock.drop();
    return;
  }
  for (std::size_t i = 0; i < clocks_.size(); ++i)
    if (clocks_[i].changed(now)) show(rules_->series[i].depth, out);
}

void DepthFeed::show_due(WallTime now, std::vector<MarketEvent>& out) {
  for (std::size_t i = 0; i < clocks_.size(); ++i)
    if (clocks_[i].due(now)) show(rules_->series[i].depth, out);
}

std::optional<WallTime> DepthFeed::next_due() const {
  std::optional<WallTime> next;
  for (const auto& clock : clocks_) {
    const auto deadline = clock.deadline();
    if (deadline && (!next || *deadline < *next)) next = deadline;
  }
  return next;
}

OrderBook DepthFeed::picture(std::uint32_t depth) const {
  OrderBook event;
  event.meta = {instrument_, last_timestamp_, last_received_, rules_->data_source};
  event.last_update_id = last_id_;
  event.depth = depth;
  book_.top_bids(depth, event.bids);
  book_.top_asks(depth, event.asks);
  return event;
}

void DepthFeed::show(std::uint32_t depth, std::vector<MarketEvent>& out) {
  out.emplace_back(picture(depth));
  last_picture_at_ = last_received_;
}

void DepthFeed::save(StateWriter& out) const {
  out.put(synced_);
  out.put(bridged_);
  out.put(any_continues_);
  out.put(last_id_);
  out.put(last_timestamp_);
  out.put(last_received_);
  std::vector<BookLevel> levels;
  book_.top_bids(0, levels);
  out.put(levels);
  levels.clear();
  book_.top_asks(0, levels);
  out.put(levels);
  out.put(std::uint64_t{buffer_.size()});
  for (const auto& update : buffer_) {
    out.put(update.ids.first);
    out.put(update.ids.last);
    out.put(update.ids.prev);
    out.put(update.timestamp);
    out.put(update.received_at);
    out.put(update.bids);
    out.put(update.asks);
  }
  out.put(interrupted_by_);
  gap_.save(out);
  out.put(std::uint64_t{clocks_.size()});
  for (std::size_t i = 0; i < clocks_.size(); ++i) {
    out.put(std::uint64_t{rules_->series[i].depth});
    out.put_signed(rules_->series[i].interval.count());
    out.put(clocks_[i].last_shown());
    out.put(clocks_[i].pending());
  }
}

void DepthFeed::restore(StateReader& in) {
  constexpr auto kCauses = static_cast<std::uint64_t>(GapCause::end) + 1;
  synced_ = in.flag();
  bridged_ = in.flag();
  any_continues_ = in.flag();
  last_id_ = in.number();
  last_timestamp_ = in.time();
  last_received_ = in.time();
  const auto bids = in.levels();
  const auto asks = in.levels();
  book_.assign(bids, asks);
  buffer_.clear();
  for (auto n = in.count(7); n > 0 && in.ok(); --n) {
    DepthUpdate update;
    update.ids.first = in.number();
    update.ids.last = in.number();
    update.ids.prev = in.optional<std::uint64_t>([&] { return in.number(); });
    update.timestamp = in.time();
    update.received_at = in.time();
    update.bids = in.levels();
    update.asks = in.levels();
    buffer_.push_back(std::move(update));
  }
  interrupted_by_ = in.optional<GapCause>([&] { return in.choice<GapCause>(kCauses); });
  gap_.restore(in);
  for (auto n = in.count(4); n > 0 && in.ok(); --n) {
    const auto depth = in.number();
    const auto interval = in.signed_number();
    const auto last_shown = in.optional<WallTime>([&] { return in.time(); });
    const bool pending = in.flag();
    // A series that is not configured any more is forgotten.
    for (std::size_t i = 0; i < clocks_.size(); ++i)
      if (rules_->series[i].depth == depth && rules_->series[i].interval.count() == interval)
        clocks_[i].restore(last_shown, pending);
  }
}

}  // namespace mp::binance
