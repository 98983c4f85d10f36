#include "sim/binance/weights.hpp"

#include <chrono>

namespace mp::sim::binance {

using namespace std::chrono_literals;

Weights::Verdict Weights::charge(Section section, std::string_view address, std::int64_t weight, WallTime now) {
  const auto minute = nanos_since_epoch(now) / 60'000'000'000;
  if (accounts_.size() >= kMaxAddresses)
    std::erase_if(accounts_, [&](const auto& a) { return a.second.minute != minute && a.second.banned_until < now; });
  Account& account = accounts_[{section, std::string(address)}];
  if (account.minute != minute) {
    account.minute = minute;
    account.used = 0;
    account.refusals = 0;
  }

  Verdict verdict;
  verdict.limit = section == Section::spot ? limits_.spot_weight_per_minute : limits_.usdm_weight_per_minute;
  const auto seconds_until = [now](WallTime t) { return std::chrono::ceil<std::chrono::seconds>(t - now).count(); };
  if (now < account.banned_until) {
    verdict.status = 418;
    verdict.used = account.used;
    verdict.retry_after = seconds_until(account.banned_until);
    return verdict;
  }
  account.used += weight;
  verdict.used = account.used;
  if (account.used <= verdict.limit) return verdict;
  if (++account.refusals > kRefusalsBeforeBan) {
    account.banned_until = now + 2min;
    verdict.status = 418;
    verdict.retry_after = 120;
    return verdict;
  }
  verdict.status = 429;
  verdict.retry_after = seconds_until(WallTime{std::chrono::minutes{minute + 1}});
  return verdict;
}

}  // namespace mp::sim::binance
