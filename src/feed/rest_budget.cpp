#include "feed/rest_budget.hpp"

#include <algorithm>
#include <charconv>

namespace mp {
namespace {

using namespace std::chrono;

constexpr auto kLongestBan = hours{72};

std::optional<seconds> seconds_of(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < 0) return std::nullopt;
  return std::min<seconds>(seconds{value}, kLongestBan);
}

}  // namespace

void RestBudget::roll(Instant now) {
  const auto minute = floor<minutes>(now.wall).time_since_epoch().count();
  if (minute != minute_) {
    minute_ = minute;
    used_ = 0;
  }
  if (blocked_until_ && now.mono >= *blocked_until_) blocked_until_.reset();
}

std::optional<MonoTime> RestBudget::take(int weight, Instant now) {
  roll(now);
  if (blocked_until_) return blocked_until_;
  if (used_ > 0 && used_ + weight > limit()) {
    const auto next_minute = floor<minutes>(now.wall) + minutes{1};
    // A little after it: the venue's clock is not ours.
    return now.mono + duration_cast<MonoTime::duration>(next_minute - now.wall) + milliseconds{500};
  }
  used_ += weight;
  return std::nullopt;
}

void RestBudget::answered(int status, std::optional<int> used_weight, std::string_view retry_after, Instant now) {
  roll(now);
  // The venue's count holds what others at our address have used; ours holds what is under way.
  if (used_weight) used_ = std::max(used_, *used_weight);
  if (status != 429 && status != 418) {
    if (status >= 200 && status < 300) refusals_ = 0;
    return;
  }
  ++refusals_;
  const auto least = status == 418 ? seconds{120} : seconds{5};
  // Without the header the wait doubles with each refusal in a row.
  const auto doubled = std::min<seconds>(least * (1LL << std::min(refusals_ - 1, 12)), kLongestBan);
  const auto told = retry_after.empty() ? std::nullopt : std::optional{seconds_of(retry_after).value_or(seconds{60})};
  const auto until = now.mono + (told ? std::max<seconds>(*told, seconds{1}) : doubled);
  blocked_until_ = blocked_until_ ? std::max(*blocked_until_, until) : until;
}

}  // namespace mp
