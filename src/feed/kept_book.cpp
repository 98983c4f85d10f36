#include "feed/kept_book.hpp"

#include <algorithm>
#include <utility>

namespace mp {
namespace {

constexpr auto kCauses = static_cast<std::uint64_t>(GapCause::end) + 1;

// How far a side of a snapshot reaches; nothing where it holds no level.
template <class Worse>
std::optional<Price> furthest(const std::vector<BookLevel>& levels, Worse worse) {
  if (levels.empty()) return std::nullopt;
  return std::ranges::max_element(levels, worse, &BookLevel::price)->price;
}

std::optional<Price> get_price(StateReader& in) {
  return in.optional<Price>([&] { return Price{in.decimal()}; });
}
void put_price(StateWriter& out, const std::optional<Price>& price) {
  out.put(price.has_value());
  if (price) out.put(price->value);
}

}  // namespace

BookRules book_rules(const SessionOptions& options) {
  const auto wants = [&](DataType type) {
    return std::ranges::find(options.data_types, type) != options.data_types.end();
  };
  BookRules rules{.data_source = options.data_source, .publish_deltas = wants(DataType::orderbook_delta)};
  if (wants(DataType::orderbook)) rules.series = options.book_series;
  return rules;
}

KeptBook::KeptBook(InstrumentRef instrument, QuantityUnit unit, const BookRules& rules)
    : instrument_(std::move(instrument)), unit_(unit), rules_(&rules) {
  for (const auto& series : rules.series) clocks_.emplace_back(series.interval);
}

void KeptBook::accept(BookUpdate& update, std::vector<MarketEvent>& out) {
  if (audit_) {
    audit_->took(update.ids.last, update.bids, update.asks);
    look_at_audit();
  }
  interrupted_by_.reset();
  if (update.ids.last < last_id_) answer_.reset();  // the venue counts anew
  last_id_ = update.ids.last;
  last_timestamp_ = update.timestamp;
  last_received_ = update.received_at;
  last_delta_at_ = update.received_at;
  prove(update.received_at);
  if (!rules_->publish_deltas) return;
  auto& event = std::get<OrderBookDelta>(out.emplace_back(std::in_place_type<OrderBookDelta>));
  event.meta = {instrument_, update.timestamp, update.received_at, rules_->data_source};
  event.first_update_id = update.ids.first;
  event.last_update_id = update.ids.last;
  event.prev_update_id = update.ids.prev;
  event.quantity_unit = unit_;
  event.bids = std::move(update.bids);
  event.asks = std::move(update.asks);
}

void KeptBook::assign(BookSnapshot& snapshot, std::vector<MarketEvent>& out) {
  const BookPoint here{snapshot.id, snapshot.timestamp};
  if (auto whole = gap_.close(instrument_, rules_->data_source, here, snapshot.received_at))
    out.emplace_back(*std::move(whole));
  drop_audit();
  answer_.reset();
  proven_ = here;
  book_.assign(snapshot.bids, snapshot.asks);
  lowest_known_bid_.reset();
  highest_known_ask_.reset();
  if (!snapshot.whole) {
    lowest_known_bid_ = furthest(snapshot.bids, std::greater<>{});
    highest_known_ask_ = furthest(snapshot.asks, std::less<>{});
  }
  synced_ = true;
  interrupted_by_.reset();
  last_id_ = snapshot.id;
  last_timestamp_ = snapshot.timestamp;
  last_received_ = snapshot.received_at;
  last_delta_at_ = snapshot.received_at;
  if (!rules_->publish_deltas) return;
  OrderBookDelta event;
  event.meta = {instrument_, snapshot.timestamp, snapshot.received_at, rules_->data_source};
  event.first_update_id = snapshot.id;
  event.last_update_id = snapshot.id;
  event.quantity_unit = unit_;
  event.bids = std::move(snapshot.bids);
  event.asks = std::move(snapshot.asks);
  event.is_snapshot = true;
  out.emplace_back(std::move(event));
}

void KeptBook::lose(GapCause cause, const BookPoint& next, WallTime noticed_at, std::vector<MarketEvent>& out) {
  end(interrupted_by_.value_or(cause), last(), next, noticed_at, out);
}

void KeptBook::refute(WallTime noticed_at, std::vector<MarketEvent>& out) {
  refuted_at_ = noticed_at;
  end(GapCause::audit, proven_, last(), noticed_at, out);
}

void KeptBook::end(GapCause cause, const BookPoint& last_good, const BookPoint& next, WallTime noticed_at,
                   std::vector<MarketEvent>& out) {
  out.emplace_back(gap_.open(instrument_, rules_->data_source, cause, last_good, next, noticed_at));
  ++gaps_;
  synced_ = false;
  interrupted_by_.reset();
  drop_audit();
  answer_.reset();
  refuted_ = false;
  book_.clear();
  lowest_known_bid_.reset();
  highest_known_ask_.reset();
  for (auto& clock : clocks_) clock.drop();
}

void KeptBook::jump(GapCause cause, const BookPoint& snapshot, WallTime noticed_at, std::vector<MarketEvent>& out) {
  lose(cause, snapshot, noticed_at, out);
  gap_ = {};
}

void KeptBook::changed(WallTime now, std::vector<MarketEvent>& out) {
  if (clocks_.empty()) return;
  if (book_.crossed()) {
    for (auto& clock : clocks_) clock.drop();
    return;
  }
  for (std::size_t i = 0; i < clocks_.size(); ++i)
    if (clocks_[i].changed(now)) show(rules_->series[i].depth, out);
}

void KeptBook::show_due(WallTime now, std::vector<MarketEvent>& out) {
  for (std::size_t i = 0; i < clocks_.size(); ++i)
    if (clocks_[i].due(now)) show(rules_->series[i].depth, out);
}

std::optional<WallTime> KeptBook::next_due() const {
  std::optional<WallTime> next;
  for (const auto& clock : clocks_) {
    const auto deadline = clock.deadline();
    if (deadline && (!next || *deadline < *next)) next = deadline;
  }
  return next;
}

OrderBook KeptBook::picture(std::uint32_t depth) const {
  OrderBook event;
  event.meta = {instrument_, last_timestamp_, last_received_, rules_->data_source};
  event.last_update_id = last_id_;
  event.quantity_unit = unit_;
  event.depth = depth;
  book_.top_bids(depth, event.bids);
  book_.top_asks(depth, event.asks);
  if (depth == 0) return event;
  // Between levels that are not known to be neighbours others may stand.
  while (lowest_known_bid_ && !event.bids.empty() && event.bids.back().price < *lowest_known_bid_)
    event.bids.pop_back();
  while (highest_known_ask_ && !event.asks.empty() && *highest_known_ask_ < event.asks.back().price)
    event.asks.pop_back();
  return event;
}

void KeptBook::begin_audit() {
  drop_audit();
  if (synced_) audit_ = std::make_unique<BookAudit>(book_, last_id_, KnownRange{lowest_known_bid_, highest_known_ask_});
}

void KeptBook::audit(BookSnapshot& answer) {
  if (synced_ && answer.id >= last_id_) {
    answer_ = answer;
    prove(answer.received_at);
  }
  if (!audit_) return;
  audit_->answered(answer.id, std::move(answer.bids), std::move(answer.asks), answer.asked);
  look_at_audit();
}

// Only an answer of the book's own id shows anything: between two updates an order may have come and gone.
void KeptBook::prove(WallTime now) {
  if (!answer_ || (answer_->id > last_id_ && now - answer_->received_at < kAnswerWaits)) return;
  auto answer = *std::exchange(answer_, std::nullopt);
  if (answer.id != last_id_) return;
  BookAudit proof(book_, last_id_, KnownRange{lowest_known_bid_, highest_known_ask_});
  proof.answered(answer.id, std::move(answer.bids), std::move(answer.asks), answer.asked);
  if (!proof.finding()) return;
  if (proof.finding()->verdict == AuditFinding::Verdict::agrees) proven_ = last();
  refuted_ = proof.finding()->verdict == AuditFinding::Verdict::differs &&
             !(refuted_at_ && now >= *refuted_at_ && now - *refuted_at_ < kRefutedAgainAfter);
}

// No answer will be compared any more: the book is another one, or the next answer is asked for.
void KeptBook::drop_audit() {
  if (audit_ && rules_->audits) rules_->audits->done(instrument_, {.verdict = AuditFinding::Verdict::undecided});
  audit_.reset();
}

void KeptBook::look_at_audit() {
  if (!audit_->finding()) return;
  if (rules_->audits) rules_->audits->done(instrument_, *audit_->finding());
  audit_.reset();
}

void KeptBook::show(std::uint32_t depth, std::vector<MarketEvent>& out) {
  out.emplace_back(picture(depth));
  last_picture_at_ = last_received_;
}

void KeptBook::save(StateWriter& out) const {
  out.put(synced_);
  out.put(last_id_);
  out.put(last_timestamp_);
  out.put(last_received_);
  put_price(out, lowest_known_bid_);
  put_price(out, highest_known_ask_);
  std::vector<BookLevel> levels;
  book_.top_bids(0, levels);
  out.put(levels);
  levels.clear();
  book_.top_asks(0, levels);
  out.put(levels);
  out.put(interrupted_by_);
  out.put(answer_.has_value());
  if (answer_) {
    mp::save(out, *answer_);
    out.put(std::uint64_t{answer_->asked});
  }
  out.put(proven_.id);
  out.put(proven_.at);
  out.put(refuted_at_);
  gap_.save(out);
  out.put(std::uint64_t{clocks_.size()});
  for (std::size_t i = 0; i < clocks_.size(); ++i) {
    out.put(std::uint64_t{rules_->series[i].depth});
    out.put_signed(rules_->series[i].interval.count());
    out.put(clocks_[i].last_shown());
    out.put(clocks_[i].pending());
  }
}

void KeptBook::restore(StateReader& in) {
  synced_ = in.flag();
  last_id_ = in.number();
  last_timestamp_ = in.time();
  last_received_ = in.time();
  lowest_known_bid_ = get_price(in);
  highest_known_ask_ = get_price(in);
  const auto bids = in.levels();
  const auto asks = in.levels();
  book_.assign(bids, asks);
  interrupted_by_ = in.optional<GapCause>([&] { return in.choice<GapCause>(kCauses); });
  answer_ = in.optional<BookSnapshot>([&] {
    auto answer = restore_snapshot(in);
    answer.asked = in.number();
    return answer;
  });
  proven_.id = in.number();
  proven_.at = in.time();
  refuted_at_ = in.optional<WallTime>([&] { return in.time(); });
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

void save(StateWriter& out, const BookUpdate& update) {
  out.put(update.ids.first);
  out.put(update.ids.last);
  out.put(update.ids.prev);
  out.put(update.timestamp);
  out.put(update.received_at);
  out.put(update.bids);
  out.put(update.asks);
}

BookUpdate restore_update(StateReader& in) {
  BookUpdate update;
  update.ids.first = in.number();
  update.ids.last = in.number();
  update.ids.prev = in.optional<std::uint64_t>([&] { return in.number(); });
  update.timestamp = in.time();
  update.received_at = in.time();
  update.bids = in.levels();
  update.asks = in.levels();
  return update;
}

void save(StateWriter& out, const BookSnapshot& snapshot) {
  out.put(snapshot.id);
  out.put(snapshot.timestamp);
  out.put(snapshot.received_at);
  out.put(snapshot.bids);
  out.put(snapshot.asks);
  out.put(snapshot.whole);
}

BookSnapshot restore_snapshot(StateReader& in) {
  BookSnapshot snapshot;
  snapshot.id = in.number();
  snapshot.timestamp = in.time();
  snapshot.received_at = in.time();
  snapshot.bids = in.levels();
  snapshot.asks = in.levels();
  snapshot.whole = in.flag();
  return snapshot;
}

}  // namespace mp
