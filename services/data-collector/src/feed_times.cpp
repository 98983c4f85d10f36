#include "feed_times.hpp"

#include <algorithm>

namespace mp::collector {

std::optional<Nanos> venue_delay(const MarketEvent& event) {
  const auto* delta = std::get_if<OrderBookDelta>(&event);
  if (delta ? delta->is_snapshot : !std::holds_alternative<Trade>(event)) return std::nullopt;
  const auto& meta = meta_of(event);
  if (meta.data_source != DataSource::live && meta.data_source != DataSource::simulated) return std::nullopt;
  // Equal to the nanosecond: the message had no time of its own.
  if (meta.timestamp == meta.received_at) return std::nullopt;
  return meta.received_at - meta.timestamp;
}

void SmallestDelay::add(Nanos delay, MonoTime now) {
  if (now >= began_ + window_) {
    before_ = now < began_ + 2 * window_ ? current_ : std::nullopt;
    current_.reset();
    began_ = now;
  }
  current_ = std::min(current_.value_or(delay), delay);
}

std::optional<Nanos> SmallestDelay::value(MonoTime now) const {
  if (now >= began_ + 2 * window_) return std::nullopt;
  return before_ ? std::min(*before_, current_.value_or(*before_)) : current_;
}

void UnpublishedAge::update(RecordPosition head, RecordPosition acknowledged, MonoTime now) {
  while (!marks_.empty() && marks_.front().head <= acknowledged) marks_.pop_front();
  if (marks_.empty()) spacing_ = Nanos{0};
  if (head <= acknowledged || (!marks_.empty() && head <= marks_.back().head)) return;
  if (!marks_.empty() && now < marks_.back().began + spacing_) {
    marks_.back().head = head;
    return;
  }
  if (marks_.size() >= kMaxMarks) merge_pairs();
  marks_.push_back({head, now});
}

// Each two marks become one, and new ones come half as often.
void UnpublishedAge::merge_pairs() {
  spacing_ = 2 * (marks_.back().began - marks_.front().began) / static_cast<long>(marks_.size());
  std::deque<Mark> merged;
  for (std::size_t i = 0; i + 1 < marks_.size(); i += 2) merged.push_back({marks_[i + 1].head, marks_[i].began});
  marks_ = std::move(merged);
}

}  // namespace mp::collector
