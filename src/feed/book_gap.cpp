#include "feed/book_gap.hpp"

#include <algorithm>

namespace mp {

Gap BookGap::told(const InstrumentRef& instrument, DataSource source, const Open& open, const BookPoint& next,
                  WallTime received_at) {
  Gap event;
  event.meta = {instrument, received_at, received_at, source};
  event.data_type = DataType::orderbook_delta;
  event.cause = open.cause;
  event.gap_start = open.last_good.at;
  event.gap_end = next.at;
  event.last_id = std::to_string(open.last_good.id);
  event.next_id = std::to_string(next.id);
  event.gap_id = std::to_string(nanos_since_epoch(open.noticed_at)) + "-" + *event.last_id;
  return event;
}

Gap BookGap::open(const InstrumentRef& instrument, DataSource source, GapCause cause, const BookPoint& last_good,
                  const BookPoint& next, WallTime noticed_at) {
  open_ = Open{last_good, noticed_at, cause};
  return told(instrument, source, *open_, next, noticed_at);
}

std::optional<Gap> BookGap::close(const InstrumentRef& instrument, DataSource source, const BookPoint& snapshot,
                                  WallTime received_at) {
  if (!open_) return std::nullopt;
  // The receive time is the row's version and the higher version stays: it must be this one, whatever the clock did.
  Gap event = told(instrument, source, *open_, snapshot, std::max(received_at, open_->noticed_at + Nanos{1}));
  open_.reset();
  return event;
}

void BookGap::save(StateWriter& out) const {
  out.put(open_.has_value());
  if (!open_) return;
  out.put(open_->last_good.id);
  out.put(open_->last_good.at);
  out.put(open_->noticed_at);
  out.put(open_->cause);
}

void BookGap::restore(StateReader& in) {
  constexpr auto kCauses = static_cast<std::uint64_t>(GapCause::end) + 1;
  open_ = in.optional<Open>([&] {
    Open open;
    open.last_good.id = in.number();
    open.last_good.at = in.time();
    open.noticed_at = in.time();
    open.cause = in.choice<GapCause>(kCauses);
    return open;
  });
}

}  // namespace mp
