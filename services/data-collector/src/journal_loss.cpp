#include "journal_loss.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "feed/published_options.hpp"

namespace mp::collector {

void JournalLoss::lost() {
  if (!hole_) since_ = last_;
  if (!broken_) broken_since_ = last_;
  hole_ = broken_ = true;
}

void JournalLoss::checkpoint(WallTime begun) {
  if (!last_) last_ = begun;
  books_ = std::exchange(broken_, false) && !hole_;
}

std::vector<MarketEvent> JournalLoss::tell(const Router& router, WallTime at, RecordPosition position) {
  const bool all = std::exchange(hole_, false);
  const bool books = std::exchange(books_, false);
  std::vector<MarketEvent> out;
  if (!all && !books) return out;
  // Told again with a later end it replaces itself.
  if (all) gap_id_ = fmt::format("{}-lost-{}-{}", journal_id_, position.segment, position.record);
  const auto since = (all ? since_ : broken_since_).value_or(at);
  for (auto& gap : streams_of(router, at)) {
    if (!all && gap.data_type != DataType::orderbook && gap.data_type != DataType::orderbook_delta) continue;
    gap.cause = GapCause::journal_lost;
    gap.gap_start = since;
    gap.gap_end = std::max(since, at);
    gap.gap_id = gap_id_;
    out.emplace_back(std::move(gap));
  }
  return out;
}

// Each stream that is collected says so when it is told to be collected no more; so a copy is told.
std::vector<Gap> JournalLoss::streams_of(const Router& router, WallTime at) const {
  std::vector<Gap> streams;
  std::string state;
  router.save(state);
  Router copy(options_, journal_id_);
  if (!copy.restore(state)) return streams;  // it was saved just now: cannot be
  for (const auto& source : copy.sources()) {
    auto nothing = options_(source);
    if (!take_published_options(copy.published_options_of(source), nothing)) continue;
    nothing.data_types.clear();
    Outbox out;
    copy.session(source)->reconfigure(nothing, {at, MonoTime{}}, out);
    for (auto& event : out.events)
      if (auto* gap = std::get_if<Gap>(&event); gap && gap->cause == GapCause::end) streams.push_back(std::move(*gap));
  }
  return streams;
}

}  // namespace mp::collector
