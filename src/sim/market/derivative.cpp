#include "sim/market/derivative.hpp"

#include <algorithm>

#include "base/decimal.hpp"

namespace mp::sim {
namespace {

using namespace std::chrono_literals;

constexpr std::int64_t kMaxPremium = 20'000'000;         // ±2 %
constexpr std::int64_t kInterest8h = 1'000'000'000'000;  // 0.01 % in funding units
constexpr std::int64_t kBand8h = 5'000'000'000'000;      // 0.05 %
constexpr std::int64_t kFundingPerPremium = 10'000'000;  // 10^-9 in 10^-16
constexpr std::int64_t kPremiumStep = 60'000;            // of a second, at most; pulled back by 1/512 of itself

WallTime next_multiple(WallTime t, Nanos interval) {
  const auto ns = nanos_since_epoch(t);
  return wall_from_nanos(ns - ns % interval.count() + interval.count());
}

}  // namespace

Derivative::Derivative(const Symbol& symbol, std::uint64_t seed, WallTime start, std::int64_t index)
    : random_(seed),
      kind_(symbol.kind),
      interval_(std::chrono::hours{symbol.funding_hours}),
      time_(start),
      index_(index),
      mark_(index) {
  if (kind_ == Kind::future) {
    // Five per cent a year.
    const auto days = std::chrono::duration_cast<std::chrono::hours>(symbol.expiry - start).count() / 24;
    carry_ = std::clamp<std::int64_t>(days * 50'000'000 / 365, 0, kMaxPremium / 2);
  }
  if (kind_ != Kind::option) wanted_ = premium_ = carry_ + random_.between(-400'000, 600'000);
  usual_interest_ = symbol.typical_quantity * random_.between(2000, 6000);
  open_interest_ = usual_interest_;
  open_interest_time_ = start;
  if (interval_ == Nanos{}) return;

  // As if the market had been there before.
  premium_count_ = 600;
  premium_sum_ = premium_ * premium_count_;
  rate_ = rate_of(premium_);
  funding_time_ = next_multiple(start, interval_);
  for (auto n = static_cast<std::int64_t>(kSettlements); n > 0; --n) {
    Settlement past;
    past.time = funding_time_ - n * interval_;
    past.predicted = past.rate = rate_of(random_.between(-900'000, 1'200'000));
    past.index = index - index / 10'000 * random_.between(-50, 50);
    past.mark = past.index + past.index / 10'000 * random_.between(-4, 6);
    settlements_.push_back(past);
  }
}

std::int64_t Derivative::rate_of(std::int64_t average_premium) const {
  const auto hours = interval_ / 1h;
  const auto premium = average_premium * kFundingPerPremium;
  // The venues' formula: premium + clamp(interest - premium, ±0.05 %), for eight hours, a part of it for shorter ones.
  const auto for_8h = premium + std::clamp(kInterest8h - premium, -kBand8h, kBand8h);
  return std::clamp(for_8h * hours / 8, -kMaxRate, kMaxRate);
}

std::int64_t Derivative::present_rate() const {
  constexpr std::int64_t kDead = 250'000;  // 0.025 %
  const auto beyond = std::max(kDead, premium_) + std::min(-kDead, premium_);
  return std::clamp(beyond * kFundingPerPremium, -kMaxRate, kMaxRate);
}

void Derivative::beat(WallTime now, std::int64_t index, std::int64_t mid) {
  time_ = now;
  index_ = index;
  if (kind_ == Kind::option) {
    mark_ = mid;
    return;
  }
  wanted_ += random_.between(-kPremiumStep, kPremiumStep) - (wanted_ - carry_) / 512;
  const auto seen = static_cast<std::int64_t>(static_cast<int128>(mid - index) * 1'000'000'000 / index);
  // The mark follows the traded price slowly, so that a single order does not move it.
  premium_ += (std::clamp(seen, -kMaxPremium, kMaxPremium) - premium_) / 20;
  mark_ = index + static_cast<std::int64_t>(static_cast<int128>(index) * premium_ / 1'000'000'000);
  if (interval_ == Nanos{}) return;
  premium_sum_ += premium_;
  ++premium_count_;
  rate_ = rate_of(premium_sum_ / premium_count_);
  while (now >= funding_time_) settle();
}

void Derivative::settle() {
  settlements_.push_back({funding_time_, rate_, rate_, mark_, index_});
  if (settlements_.size() > kSettlements) settlements_.pop_front();
  funding_time_ += interval_;
  premium_sum_ = premium_;
  premium_count_ = 1;
  rate_ = rate_of(premium_);
}

void Derivative::traded(std::int64_t lots, WallTime now) {
  // New positions, closed ones, or from hand to hand; the more there are, the more are closed.
  const auto roll = random_.below(100);
  const int opens = open_interest_ > usual_interest_ ? 30 : 45;
  const auto before = open_interest_;
  if (roll < opens)
    open_interest_ += lots;
  else if (roll < 75 && open_interest_ - lots > usual_interest_ / 2)
    open_interest_ -= lots;
  if (open_interest_ != before) open_interest_time_ = now;
}

std::int64_t long_share(std::uint64_t seed, Holders holders, WallTime period) {
  // Straight lines between one value for every two hours, and a little of its own in every five minutes.
  const auto value_at = [&](std::int64_t number, std::uint64_t salt, std::int64_t bound) {
    Random random(seed ^ (static_cast<std::uint64_t>(number) * 0xD6E8FEB86659FD93ULL) ^ (salt << 56));
    random.next();
    return random.between(-bound, bound);
  };
  const auto salt = static_cast<std::uint64_t>(holders) + 1;
  const auto fives = nanos_since_epoch(period) / 300'000'000'000;
  const auto lattice = fives / 24;
  const auto part = fives % 24;
  const auto slow = (value_at(lattice, salt, 1800) * (24 - part) + value_at(lattice + 1, salt, 1800) * part) / 24;
  return 5000 + slow + value_at(fives, salt + 8, 120);
}

}  // namespace mp::sim
