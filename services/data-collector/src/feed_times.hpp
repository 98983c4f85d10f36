#pragma once
// Two delays that no counter shows: from the venue's clock to ours, and how long the oldest record has been waiting in
// the journal for the bus. Pure; the clocks are arguments.

#include <chrono>
#include <deque>
#include <optional>

#include "base/raw_record.hpp"
#include "base/time.hpp"
#include "model/market_event.hpp"

namespace mp::collector {

// Receive time minus the venue's time of one event; nothing for what does not tell it: snapshots, polled values,
// recordings, events whose message had no time. Negative when the venue's clock is ahead of ours.
std::optional<Nanos> venue_delay(const MarketEvent& event);

// The smallest delay of the last one to two windows. The path's part of a delay is never negative, so the smallest one
// tells how far the two clocks are apart at least.
class SmallestDelay {
 public:
  explicit SmallestDelay(Nanos window = std::chrono::minutes(1)) : window_(window) {}
  void add(Nanos delay, MonoTime now);
  // Nothing when none has come in the last two windows.
  std::optional<Nanos> value(MonoTime now) const;

 private:
  const Nanos window_;
  MonoTime began_{};
  std::optional<Nanos> current_, before_;
};

// For how long the oldest record that the stream has not acknowledged has been in the journal. Remembers when the
// journal reached which position, at most `max_marks` times: in an outage the marks become coarser, exact while nothing
// is acknowledged, afterwards up to 1/512 of the outage too long. What an earlier process left counts from the first
// update() on.
class UnpublishedAge {
 public:
  static constexpr std::size_t kMaxMarks = 1024;
  // `head`: the journal's last record; `acknowledged`: everything up to it is in the stream.
  void update(RecordPosition head, RecordPosition acknowledged, MonoTime now);
  // 0 when nothing is waiting.
  Nanos value(MonoTime now) const { return marks_.empty() ? Nanos{0} : now - marks_.front().began; }
  std::size_t marks() const { return marks_.size(); }

 private:
  // The records up to `head`, behind those of the mark before, came from `began` on.
  struct Mark {
    RecordPosition head;
    MonoTime began;
  };
  void merge_pairs();

  std::deque<Mark> marks_;
  Nanos spacing_{0};
};

}  // namespace mp::collector
