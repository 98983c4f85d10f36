#pragma once
// Values that a venue sends again and again: a changed one is written at once, an unchanged one again only after
// min_interval, so that a table shows that it was still so. Runs on the records' receive times: a replay writes the
// same.

#include <optional>

#include "feed/checkpoint.hpp"
#include "model/derivatives.hpp"

namespace mp {

// One instrument's.
class Thinning {
 public:
  // 0: everything is written (normalize).
  explicit Thinning(Nanos min_interval) : min_interval_(min_interval) {}

  // Is this one to be written? Then it is what the next one is compared with. What moves with every price (mark and
  // index price, the value in quote units) is no change.
  bool admits(const FundingRate& event);
  bool admits(const OpenInterest& event);

  void save(StateWriter& out) const;
  void restore(StateReader& in);

 private:
  struct Funding {
    Ratio rate;
    std::optional<WallTime> at, next;
    std::optional<Decimal> hours;
    bool is_settled = false;
    friend bool operator==(const Funding&, const Funding&) = default;
  };
  struct Interest {
    Quantity quantity;
    std::optional<Contracts> contracts;
    friend bool operator==(const Interest&, const Interest&) = default;
  };
  template <class Value>
  struct Written {
    Value value;
    WallTime received_at;
  };
  template <class Value>
  bool admits(std::optional<Written<Value>>& last, const Value& value, WallTime received_at);

  Nanos min_interval_;
  std::optional<Written<Funding>> funding_;
  std::optional<Written<Interest>> interest_;
};

}  // namespace mp
