#include "catch_up.hpp"

#include "base/log.hpp"
#include "net/clock.hpp"

namespace mp::collector {

CatchUp::CatchUp(journal::Journal& journal, Router::OptionsFor options, CatchUpStart start, EventSink& sink)
    : journal_(journal),
      options_(std::move(options)),
      sink_(sink),
      next_(start),
      offers_(sink, journal.id().text()),
      loss_(options_, journal.id().text()) {}

CatchUp::~CatchUp() = default;

// Every segment decodes by itself: its checkpoint is where the one before it ended.
void CatchUp::begin_segment() {
  loss_.checkpoint(cursor_->header().created_at);
  router_ = std::make_unique<Router>(options_, journal_.id().text());
  const auto checkpoint = cursor_->checkpoint();
  const auto restored = checkpoint ? router_->restore(checkpoint->state) : Result<void>(checkpoint.error());
  has_state_ = restored.has_value();
  if (restored) return;
  log::warn("a journal checkpoint cannot be used; decoding begins without its state",
            {{"segment", cursor_->header().segment}, {"error", restored.error()}});
  router_ = std::make_unique<Router>(options_, journal_.id().text());
  loss_.lost();  // of the books at least, and of what only its state would tell
}

CatchUp::Progress CatchUp::step(std::chrono::microseconds budget) {
  if (!cursor_) {
    auto opened = journal::Cursor::open(journal_.directory(), next_.record);
    if (!opened) {
      error_ = opened.error();
      return Progress::failed;
    }
    cursor_ = std::move(*opened);
  }
  const auto deadline = net::now().mono + budget;
  for (int i = 0;; ++i) {
    if (!offer_held()) return Progress::full;
    if (i % 16 == 15 && net::now().mono >= deadline) return Progress::more;
    switch (cursor_->next()) {
      case journal::CursorState::segment: begin_segment(); break;
      case journal::CursorState::record: decode(cursor_->record(), cursor_->position()); break;
      case journal::CursorState::loss:
        log::error("a part of the journal is missing or damaged; its events cannot be published",
                   {{"loss", cursor_->loss()}});
        loss_.lost();
        break;
      case journal::CursorState::at_head:
        if (!has_state_ || !loss_.is_due()) return Progress::at_head;
        released_ = next_.events_taken;  // all of the last record
        tell_loss(net::now().wall, kFirstOfLossAtHead);
        break;
      case journal::CursorState::failed: error_ = cursor_->error(); return Progress::failed;
    }
  }
}

void CatchUp::decode(const RawRecord& record, RecordPosition position) {
  released_ = 0;
  held_record_ = position;
  router_->route(
      record, position, MonoTime{},
      [&](const Source&, Outbox& out, std::span<const EventPosition> positions) { hold(out.events, positions); });
  if (has_state_ && loss_.is_due()) tell_loss(record.received_at, kFirstOfLoss);
  loss_.read(record.received_at);
  if (position > next_.record) next_ = {position, 0};
}

void CatchUp::tell_loss(WallTime at, std::uint32_t first_ordinal) {
  const auto gaps = loss_.tell(*router_, at, held_record_);
  std::vector<EventPosition> positions;
  for (std::uint32_t i = 0; i < gaps.size(); ++i) positions.push_back({held_record_, first_ordinal + i});
  hold(gaps, positions);
}

// Events of the record at held_record_, as far as they have not been taken.
void CatchUp::hold(std::span<const MarketEvent> events, std::span<const EventPosition> positions) {
  if (held_record_ < next_.record) return;
  for (const auto& offered : offers_.of(events, positions))
    if (held_record_ > next_.record || released_++ >= next_.events_taken) held_.push_back(offered);
}

// Offers what the last record released; false when the sink is full.
bool CatchUp::offer_held() {
  while (!held_.empty()) {
    const auto& first = held_.front();
    if (sink_.offer(first.subject, first.position, first.line) == EventSink::Offer::full) return false;
    held_.pop_front();
    ++next_.events_taken;
  }
  if (held_record_ >= next_.record && held_record_ != RecordPosition{}) sink_.offered_through(held_record_);
  return true;
}

}  // namespace mp::collector
