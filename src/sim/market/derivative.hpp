#pragma once
// What a derivative has beside its book: index and mark price, premium and funding, open interest, and what its
// holders' positions say. A function of what the market tells it, of its seed and of the time; a second is its beat.

#include <cstdint>
#include <deque>

#include "base/time.hpp"
#include "sim/market/random.hpp"
#include "sim/market/symbol.hpp"

namespace mp::sim {

constexpr int kIndexScale = 10;    // index and mark prices: 10^-10 of the quote
constexpr int kFundingScale = 16;  // funding rates: 10^-16
constexpr int kPremiumScale = 9;   // premiums: 10^-9 of the index

// A funding that was charged.
struct Settlement {
  WallTime time;
  std::int64_t predicted = 0;  // the rate that was told last
  std::int64_t rate = 0;       // the one that was charged
  std::int64_t mark = 0;
  std::int64_t index = 0;
};

class Derivative {
 public:
  static constexpr std::size_t kSettlements = 200;  // kept; as many lie before the start

  Derivative() = default;
  // `index` and `mid` in 10^-10 of the quote at the start.
  Derivative(const Symbol& symbol, std::uint64_t seed, WallTime start, std::int64_t index);

  // A second has passed; `mid` is the middle of its book.
  void beat(WallTime now, std::int64_t index, std::int64_t mid);
  // So many lots were traded.
  void traded(std::int64_t lots, WallTime now);

  // The premium over the index that its traders agree on at the moment; prices are drawn to it.
  std::int64_t wanted_premium() const { return wanted_; }

  WallTime time() const { return time_; }  // of the last beat
  std::int64_t index() const { return index_; }
  std::int64_t mark() const { return mark_; }
  std::int64_t premium() const { return premium_; }  // of the mark over the index
  // For one interval, as it would be charged at funding_time() if nothing changed.
  std::int64_t funding_rate() const { return rate_; }
  // The same for a contract that is funded every moment, per eight hours: the premium beyond ±0.025 %.
  std::int64_t present_rate() const;
  WallTime funding_time() const { return funding_time_; }
  Nanos funding_interval() const { return interval_; }
  const std::deque<Settlement>& settlements() const { return settlements_; }  // oldest first
  static constexpr std::int64_t kMaxRate = 75'000'000'000'000;                // ±0.75 %

  std::int64_t open_interest() const { return open_interest_; }        // lots
  WallTime open_interest_time() const { return open_interest_time_; }  // of its last change

 private:
  std::int64_t rate_of(std::int64_t average_premium) const;
  void settle();

  Random random_{0};
  Kind kind_{};
  Nanos interval_{};
  std::int64_t carry_ = 0;  // of a future: its usual premium
  std::int64_t wanted_ = 0;
  WallTime time_;
  std::int64_t index_ = 0, mark_ = 0, premium_ = 0;
  std::int64_t premium_sum_ = 0, premium_count_ = 0;  // of this funding interval
  std::int64_t rate_ = 0;
  WallTime funding_time_;
  std::deque<Settlement> settlements_;
  std::int64_t usual_interest_ = 0, open_interest_ = 0;
  WallTime open_interest_time_;
};

// Whose share is long.
enum class Holders : std::uint8_t { top_positions, top_accounts, all_accounts };
// In ten-thousandths, 3000 to 7000: a function of these three alone, so that any past can be asked for.
std::int64_t long_share(std::uint64_t seed, Holders holders, WallTime period);

}  // namespace mp::sim
