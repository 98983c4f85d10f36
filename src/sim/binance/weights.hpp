#pragma once
// The venue's request budget: weight per minute, market and address.

#include <cstdint>
#include <map>
#include <string>

#include "sim/binance/switchboard.hpp"
#include "sim/venue.hpp"

namespace mp::sim::binance {

class Weights {
 public:
  static constexpr int kRefusalsBeforeBan = 20;  // in one minute
  static constexpr std::size_t kMaxAddresses = 1024;

  explicit Weights(const Limits& limits) : limits_(limits) {}

  struct Verdict {
    int status = 200;              // 429: budget spent; 418: banned for not heeding that
    std::int64_t used = 0;         // of this minute, this request included
    std::int64_t retry_after = 0;  // seconds
    std::int64_t limit = 0;
  };
  Verdict charge(Section section, std::string_view address, std::int64_t weight, WallTime now);

 private:
  struct Account {
    std::int64_t minute = 0;
    std::int64_t used = 0;
    int refusals = 0;
    WallTime banned_until;
  };
  Limits limits_;
  std::map<std::pair<Section, std::string>, Account> accounts_;
};

}  // namespace mp::sim::binance
