#include "feed/thinning.hpp"

namespace mp {

template <class Value>
bool Thinning::admits(std::optional<Written<Value>>& last, const Value& value, WallTime received_at) {
  // A receive clock that was set back must not silence it until it has caught up.
  const bool too_soon = last && received_at >= last->received_at && received_at - last->received_at < min_interval_;
  if (too_soon && last->value == value) return false;
  last = Written<Value>{value, received_at};
  return true;
}

bool Thinning::admits(const FundingRate& event) {
  return admits(funding_,
                Funding{event.funding_rate, event.funding_time, event.next_funding_time, event.funding_interval_hours,
                        event.is_settled},
                event.meta.received_at);
}

bool Thinning::admits(const OpenInterest& event) {
  return admits(interest_, Interest{event.open_interest, event.contracts}, event.meta.received_at);
}

void Thinning::save(StateWriter& out) const {
  out.put(funding_.has_value());
  if (funding_) {
    out.put(funding_->value.rate.value);
    out.put(funding_->value.at);
    out.put(funding_->value.next);
    out.put(funding_->value.hours);
    out.put(funding_->value.is_settled);
    out.put(funding_->received_at);
  }
  out.put(interest_.has_value());
  if (interest_) {
    out.put(interest_->value.quantity.value);
    out.put(interest_->value.contracts.has_value());
    if (interest_->value.contracts) out.put(interest_->value.contracts->value);
    out.put(interest_->received_at);
  }
}

void Thinning::restore(StateReader& in) {
  const auto time = [&] { return in.time(); };
  funding_ = in.optional<Written<Funding>>([&] {
    Written<Funding> out;
    out.value.rate = Ratio{in.decimal()};
    out.value.at = in.optional<WallTime>(time);
    out.value.next = in.optional<WallTime>(time);
    out.value.hours = in.optional<Decimal>([&] { return in.decimal(); });
    out.value.is_settled = in.flag();
    out.received_at = in.time();
    return out;
  });
  interest_ = in.optional<Written<Interest>>([&] {
    Written<Interest> out;
    out.value.quantity = Quantity{in.decimal()};
    out.value.contracts = in.optional<Contracts>([&] { return Contracts{in.decimal()}; });
    out.received_at = in.time();
    return out;
  });
}

}  // namespace mp
