#include "feed/outages.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include "feed/session.hpp"

namespace mp {
namespace {

constexpr auto kCauses = static_cast<std::uint64_t>(GapCause::end) + 1;

}  // namespace

void append_outage(const InstrumentRef& instrument, DataType type, DataSource source, const Outage& outage,
                   WallTime now, std::vector<MarketEvent>& out) {
  auto& gap = std::get<Gap>(out.emplace_back(std::in_place_type<Gap>));
  gap.meta = {instrument, now, now, source};
  gap.data_type = type;
  gap.cause = outage.cause;
  gap.gap_start = outage.start;
  gap.gap_end = outage.end;
}

ConnectionEnd end_of_connection(std::string_view reason) {
  const auto begins_with = [reason](CloseReason with) { return reason.starts_with(to_string(with)); };
  if (begins_with(CloseReason::stale)) return {GapCause::stale};
  if (begins_with(CloseReason::not_recorded)) return {GapCause::overflow};
  if (begins_with(CloseReason::stopped)) return {GapCause::collector_down};
  return {GapCause::disconnected, begins_with(CloseReason::replaced)};
}

// ---- what is pushed --------------------------------------------------------------------------------------------

std::optional<Outage> StreamCover::covered(ConnectionId connection, WallTime now) {
  if (connection == 0 || connection == given_up_on_) return std::nullopt;
  if (is_carried_by(connection)) return std::nullopt;
  carriers_[1] = carriers_[0];
  carriers_[0] = connection;
  before_ = last_;
  since_ = now;
  // Until its first event there is nothing of its own to begin a gap with.
  last_ = std::max(last_, now - kInFlight);
  const auto outage = open(now);
  interrupted_.reset();
  return outage;
}

void StreamCover::asked(ConnectionId connection, std::uint64_t request_id) {
  asked_over_ = connection;
  asked_id_ = request_id;
  answered_ = false;
  if (given_up_on_ == connection) given_up_on_ = 0;
}

bool StreamCover::answered(ConnectionId connection, std::uint64_t request_id) {
  if (connection == 0 || asked_over_ != connection || asked_id_ != request_id) return false;
  answered_ = true;
  return true;
}

// True when nobody brings it any more, and this one did.
bool StreamCover::let_go(ConnectionId connection) {
  if (asked_over_ == connection) asked_over_ = 0;
  if (!is_carried_by(connection)) return false;
  if (carriers_[0] == connection) carriers_[0] = carriers_[1];
  carriers_[1] = 0;
  return carriers_[0] == 0;
}

void StreamCover::given_up(ConnectionId connection) {
  if (connection == 0) return;
  if (let_go(connection)) interrupted(last_, GapCause::stale);
  given_up_on_ = connection;
}

std::optional<Outage> StreamCover::closed(const Connections::Heard& heard, const ConnectionEnd& end) {
  if (given_up_on_ == heard.connection) given_up_on_ = 0;
  const bool was_relieved = heard.connection != 0 && heard.connection == carriers_[1];
  // One that was ended for its silence had frames that carry nothing (answers to pings) to the
  // last.
  const auto proof = end.cause == GapCause::stale ? heard.data_at.value_or(WallTime{}) : heard.frame_at;
  if (let_go(heard.connection)) interrupted(std::max(last_, proof - kInFlight), end.cause);
  // One that was dead when the other took over is often found to be so only afterwards. Of one that
  // we ended nothing says so: it may have been well and quiet.
  if (!was_relieved || end.replaced || proof >= since_) return std::nullopt;
  const auto start = std::max(before_, proof - kInFlight);
  return start < since_ ? std::optional{Outage{start, since_, end.cause}} : std::nullopt;
}

void StreamCover::begin(const Connections& connections) {
  given_up_on_ = asked_over_ = 0;
  if (is_carried()) {
    auto since = last_;
    for (const auto carrier : carriers_)
      if (const auto heard = connections.last_heard(carrier)) since = std::max(since, heard->frame_at - kInFlight);
    interrupted(since, GapCause::collector_down);
    carriers_ = {};
  } else if (interrupted_) {
    interrupted_->cause = GapCause::collector_down;
  }
}

std::optional<Outage> StreamCover::open(WallTime now) const {
  if (!interrupted_) return std::nullopt;
  return Outage{interrupted_->since, std::max(interrupted_->since, now), interrupted_->cause};
}

std::optional<Outage> StreamCover::ended(WallTime now) {
  const auto outage = open(now);
  *this = {};
  return outage;
}

void StreamCover::save(StateWriter& out) const {
  for (const auto carrier : carriers_) out.put(std::uint64_t{carrier});
  out.put(std::uint64_t{asked_over_});
  out.put(std::uint64_t{given_up_on_});
  out.put(asked_id_);
  out.put(answered_);
  for (const auto time : {last_, before_, since_}) out.put(time);
  out.put(interrupted_.has_value());
  if (!interrupted_) return;
  out.put(interrupted_->since);
  out.put(interrupted_->cause);
}

void StreamCover::restore(StateReader& in) {
  for (auto& carrier : carriers_) carrier = static_cast<ConnectionId>(in.number());
  asked_over_ = static_cast<ConnectionId>(in.number());
  given_up_on_ = static_cast<ConnectionId>(in.number());
  asked_id_ = in.number();
  answered_ = in.flag();
  for (auto* time : {&last_, &before_, &since_}) *time = in.time();
  interrupted_ = in.optional<Interrupted>([&] {
    Interrupted since;
    since.since = in.time();
    since.cause = in.choice<GapCause>(kCauses);
    return since;
  });
}

// ---- what is asked for -----------------------------------------------------------------------------------------

std::optional<Outage> SampledSeries::answered(WallTime now) {
  std::optional<Outage> outage;
  if (last_) {
    const auto pause = std::max(Nanos{0}, Nanos{now - *last_});
    const auto usual = pauses_ < kPausesToKnow ? std::max(pause_, kLongestUsual) : pause_;
    const bool too_long = pause > 2 * usual + kInFlight;
    if (too_long) outage = Outage{*last_, now, GapCause::stale};
    // One that is shorter by chance (after a retry) is forgotten slowly; one that is longer may be
    // the new rule. The pause after a beginning is none of the schedule's.
    if (is_answer_) {
      pause_ = too_long ? 2 * usual : std::max(pause, pause_ - pause_ / 8);
      pauses_ = std::min(pauses_ + 1, kPausesToKnow);
    }
  }
  last_ = now;
  is_answer_ = true;
  return outage;
}

std::optional<Outage> SampledSeries::begin(WallTime now) {
  if (!last_) return std::nullopt;
  const Outage outage{*last_, std::max(*last_, now), GapCause::collector_down};
  last_ = outage.end;
  is_answer_ = false;
  return outage;
}

void SampledSeries::save(StateWriter& out) const {
  out.put(last_);
  out.put(is_answer_);
  out.put(pauses_);
  out.put_signed(pause_.count());
}

void SampledSeries::restore(StateReader& in) {
  last_ = in.optional<WallTime>([&] { return in.time(); });
  is_answer_ = in.flag();
  pauses_ = std::min(in.number(), kPausesToKnow);
  // Doubled it must still be a time.
  constexpr Nanos kLongest = std::chrono::hours{24 * 365};
  pause_ = std::clamp(Nanos{in.signed_number()}, Nanos{0}, kLongest);
}

std::optional<Nanos> period_length(std::string_view period) {
  std::int64_t number = 0;
  const auto [rest, error] = std::from_chars(period.data(), period.data() + period.size(), number);
  constexpr std::int64_t kMost = 1000;
  if (error != std::errc{} || number <= 0 || number > kMost || rest == period.data() + period.size())
    return std::nullopt;
  switch (*rest) {
    case 'm': return number * Nanos{std::chrono::minutes{1}};
    case 'h':
    case 'H': return number * Nanos{std::chrono::hours{1}};
    case 'd':
    case 'D': return number * Nanos{std::chrono::hours{24}};
    case 'w':
    case 'W': return number * Nanos{std::chrono::hours{7 * 24}};
    default: return std::nullopt;  // months and years are of no one length
  }
}

std::optional<Outage> GridSeries::row(const std::optional<WallTime>& last, WallTime at,
                                      const std::optional<Nanos>& period) {
  const bool was_down = std::exchange(was_down_, false);
  const bool was_over = std::exchange(is_over_, false);
  if (was_over || !last || !period || at - *last <= *period) return std::nullopt;
  return Outage{*last, at, was_down ? GapCause::collector_down : GapCause::sequence};
}

}  // namespace mp
