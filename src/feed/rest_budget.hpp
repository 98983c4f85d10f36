#pragma once
// One REST weight budget, shared by all who ask one venue from one address: a minute window, the venue's own count
// where it tells it, and its 429 / 418 / Retry-After. Pure: clocks are arguments. One thread.

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/time.hpp"

namespace mp {

class RestBudget {
 public:
  struct Limits {
    int weight_per_minute = 1200;
    // Of the limit that we let ourselves use: others may share the address.
    int percent_used_at_most = 80;
  };

  explicit RestBudget(Limits limits) : limits_(limits) {}

  // Nothing: go ahead, the weight is taken. Otherwise: when to ask again.
  // A weight above the whole budget is let through alone, at a window's start.
  std::optional<MonoTime> take(int weight, Instant now);

  // Call with each answer. `used_weight`: the venue's own count of this minute (X-MBX-USED-WEIGHT-1M), when it was
  // there; `retry_after`: the header's text, seconds (or a date, which is read as a minute), "" when absent.
  void answered(int status, std::optional<int> used_weight, std::string_view retry_after, Instant now);

  // Set while the venue has told us to be quiet.
  std::optional<MonoTime> blocked_until() const { return blocked_until_; }
  int used() const { return used_; }
  void set_limit(int weight_per_minute) { limits_.weight_per_minute = weight_per_minute; }
  int limit() const { return limits_.weight_per_minute * limits_.percent_used_at_most / 100; }

 private:
  void roll(Instant now);

  Limits limits_;
  std::int64_t minute_ = 0;  // of the wall clock: venues count whole minutes
  int used_ = 0;
  int refusals_ = 0;  // in a row
  std::optional<MonoTime> blocked_until_;
};

}  // namespace mp
