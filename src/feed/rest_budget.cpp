#include "feed/rest_budget.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace mp {
namespace {

using namespace std::chrono;

constexpr auto kLongestBan = hours{72};
constexpr auto kUnreadable = seconds{60};

std::optional<std::int64_t> whole(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  // A venue may write more digits than fit: then it is a very long time.
  if (error == std::errc::result_out_of_range && end == text.data() + text.size()) return INT64_MAX;
  if (error != std::errc{} || end != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

// "Wed, 21 Oct 2026 07:28:00 GMT": the one form of RFC 9110 5.6.7 that is still to be sent.
std::optional<sys_seconds> http_date(std::string_view text) {
  constexpr std::array<std::string_view, 12> kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  if (text.size() != 29 || !text.ends_with(" GMT") || text.substr(3, 2) != ", ") return std::nullopt;
  const auto found = std::ranges::find(kMonths, text.substr(8, 3));
  const auto day = whole(text.substr(5, 2)), years = whole(text.substr(12, 4)), h = whole(text.substr(17, 2)),
             m = whole(text.substr(20, 2)), s = whole(text.substr(23, 2));
  if (found == kMonths.end() || !day || !years || !h || !m || !s) return std::nullopt;
  const auto month = static_cast<unsigned>(found - kMonths.begin()) + 1;
  const year_month_day date{year{static_cast<int>(*years)}, std::chrono::month{month},
                            std::chrono::day{static_cast<unsigned>(*day)}};
  if (!date.ok()) return std::nullopt;
  return sys_days{date} + hours{*h} + minutes{*m} + seconds{*s};
}

// "https://api.venue.com:443" of a whole address.
std::string_view host_of(std::string_view url) {
  const auto scheme = url.find("://");
  if (scheme == std::string_view::npos) return url;
  return url.substr(0, url.find_first_of("/?", scheme + 3));
}

MonoTime::duration mono(nanoseconds length) { return duration_cast<MonoTime::duration>(length); }

}  // namespace

seconds retry_after(std::string_view text, WallTime now) {
  auto wait = kUnreadable;
  if (const auto told = whole(text))
    wait = seconds{std::min<std::int64_t>(*told, seconds{kLongestBan}.count())};
  else if (const auto date = http_date(text))
    wait = *date - floor<seconds>(now);
  return std::clamp<seconds>(wait, seconds{1}, kLongestBan);
}

// ---- one limit ------------------------------------------------------------------------------------------------

void RestBudget::configure(const BudgetCharge& charge) {
  limit_ = charge.limit;
  window_ = std::max(charge.window, milliseconds{1});
  of_the_clock_ = !charge.used_header.empty();
}

void RestBudget::roll(Instant now) {
  if (of_the_clock_) {
    const auto number = duration_cast<milliseconds>(now.wall.time_since_epoch()) / window_;
    if (number != number_) used_ = 0;
    number_ = number;
    return;
  }
  while (!spent_.empty() && now.mono - spent_.front().at >= window_) {
    used_ -= spent_.front().units;
    spent_.pop_front();
  }
}

std::optional<MonoTime> RestBudget::wait(int units, int percent, Instant now) {
  if (const auto until = blocked_until(now.mono)) return until;
  roll(now);
  if (limit_ <= 0 || used_ <= 0) return std::nullopt;
  const auto allowed = std::int64_t{limit_} * percent / 100;
  if (used_ + units <= allowed) return std::nullopt;
  if (of_the_clock_) {
    const auto next = WallTime{window_ * (number_ + 1)};
    // A little after it: the venue's clock is not ours.
    return now.mono + mono(next - now.wall) + milliseconds{500};
  }
  auto left = std::int64_t{used_};
  auto until = now.mono;
  for (const auto& spent : spent_) {
    if (left == 0 || left + units <= allowed) break;
    left -= spent.units;
    until = spent.at + window_;
  }
  return until;
}

void RestBudget::spend(int units, Instant now) {
  roll(now);
  used_ += units;
  if (!of_the_clock_) spent_.push_back({now.mono, units});
}

void RestBudget::told_used(int units, Instant now) {
  roll(now);
  // Ours holds what is under way, theirs what others have used.
  if (of_the_clock_) used_ = std::max(used_, units);
}

int RestBudget::used(Instant now) {
  roll(now);
  return used_;
}

// ---- all limits -----------------------------------------------------------------------------------------------

RestBudget& RestBudgets::get(const BudgetCharge& charge) {
  auto found = budgets_.find(charge.budget);
  if (found == budgets_.end()) found = budgets_.emplace(charge.budget, RestBudget{}).first;
  found->second.configure(charge);
  return found->second;
}

std::optional<RestBudgets::Wait> RestBudgets::take(const RestRequest& request, Instant now) {
  if (const auto host = hosts_.find(host_of(request.url)); host != hosts_.end())
    if (const auto until = host->second.blocked_until(now.mono)) return Wait{*until, host->first};
  return take(request.charges, request.percent_at_most, now);
}

std::optional<RestBudgets::Wait> RestBudgets::take(std::span<const BudgetCharge> charges, int percent_at_most,
                                                   Instant now) {
  std::optional<Wait> longest;
  for (const auto& charge : charges) {
    const auto until = get(charge).wait(charge.units, percent_at_most, now);
    if (until && (!longest || *until > longest->until)) longest = Wait{*until, charge.budget};
  }
  if (longest) return longest;
  for (const auto& charge : charges) get(charge).spend(charge.units, now);
  return std::nullopt;
}

void RestBudgets::answered(const RestRequest& request, int status, const Header& header, Instant now) {
  std::vector<RestBudget*> concerned;
  for (const auto& charge : request.charges) {
    auto& budget = get(charge);
    concerned.push_back(&budget);
    if (charge.used_header.empty()) continue;
    const auto told = header(charge.used_header);
    const auto units = told ? whole(*told) : std::nullopt;
    if (units) budget.told_used(static_cast<int>(std::min<std::int64_t>(*units, INT32_MAX)), now);
  }
  const auto host = hosts_.find(host_of(request.url));
  if (status != 429 && status != 418) {
    if (status < 200 || status >= 300) return;
    for (auto* budget : concerned) budget->refusals = 0;
    if (host != hosts_.end()) host->second.refusals = 0;
    return;
  }
  // A ban is of the address, whatever was asked for.
  if (status == 418 || concerned.empty())
    concerned = {host != hosts_.end() ? &host->second : &hosts_[std::string(host_of(request.url))]};
  const auto told = header("Retry-After");
  const auto least = status == 418 ? seconds{120} : seconds{5};
  for (auto* budget : concerned) {
    ++budget->refusals;
    // Without the header the wait doubles with each refusal in a row.
    const auto doubled = std::min<seconds>(least * (1LL << std::min(budget->refusals - 1, 12)), kLongestBan);
    budget->block(now.mono + (told && !told->empty() ? retry_after(*told, now.wall) : doubled));
  }
}

void RestBudgets::visit(Instant now, const std::function<void(std::string_view, int, bool)>& f) {
  for (auto* all : {&budgets_, &hosts_})
    for (auto& [name, budget] : *all) f(name, budget.used(now), budget.blocked_until(now.mono).has_value());
}

// ---- requests that wait ---------------------------------------------------------------------------------------

bool RestQueue::push(RestRequest request) {
  if (waiting_.size() >= most_) return false;
  Waiting one{std::move(request), next_number_++};
  const auto after = std::ranges::upper_bound(waiting_, one.request.priority, std::ranges::greater{},
                                              [](const Waiting& each) { return each.request.priority; });
  waiting_.insert(after, std::move(one));
  return true;
}

std::optional<RestRequest> RestQueue::pop(Instant now) {
  next_at_.reset();
  std::vector<std::string_view> waited_for;
  for (auto it = waiting_.begin(); it != waiting_.end(); ++it) {
    const auto& request = it->request;
    const bool behind = std::ranges::any_of(request.charges, [&](const BudgetCharge& each) {
      return std::ranges::count(waited_for, std::string_view{each.budget}) != 0;
    });
    if (behind) continue;
    const auto wait = budgets_.take(request, now);
    if (!wait) {
      auto out = std::move(it->request);
      waiting_.erase(it);
      return out;
    }
    next_at_ = next_at_ ? std::min(*next_at_, wait->until) : wait->until;
    for (const auto& charge : request.charges) waited_for.push_back(charge.budget);
  }
  return std::nullopt;
}

}  // namespace mp
