#include "feed/polls.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstdint>

#include "base/text.hpp"

namespace mp {
namespace {

using namespace std::chrono_literals;

// Due polls are looked for at most this often.
constexpr auto kLeastPause = 100ms;

// 0 to 1, always the same for one key and number. FNV-1a, then mixed: its high bits barely depend on the last letters.
double fraction_of(std::string_view key, int number = 0) {
  std::uint64_t hash = UINT64_C(0xcbf29ce484222325) + static_cast<std::uint64_t>(number);
  for (const char c : key) hash = (hash ^ static_cast<unsigned char>(c)) * UINT64_C(0x100000001b3);
  hash = (hash ^ (hash >> 33)) * UINT64_C(0xff51afd7ed558ccd);
  hash ^= hash >> 33;
  return static_cast<double>(hash >> 11) / static_cast<double>(UINT64_C(1) << 53);
}

MonoTime::duration part_of(std::chrono::nanoseconds whole, double fraction) {
  return std::chrono::nanoseconds{static_cast<std::int64_t>(static_cast<double>(whole.count()) * fraction)};
}

}  // namespace

void PollSchedule::add(Poll poll, Instant now, Outbox& out) {
  auto key = poll.key;
  auto [found, is_new] = polls_.try_emplace(std::move(key));
  auto& entry = found->second;
  entry.poll = std::move(poll);
  if (is_new) {
    const auto fraction = fraction_of(entry.poll.key);
    entry.due = now.mono + part_of(std::min(entry.poll.first_within, entry.poll.period), fraction);
    entry.regular = entry.due + entry.poll.period / 2 + part_of(entry.poll.period / 2, fraction);
  }
  wake_.wish(entry.due, out);
}

void PollSchedule::remove(std::string_view key) {
  if (const auto found = polls_.find(key); found != polls_.end()) polls_.erase(found);
}

void PollSchedule::set_period(std::string_view key, std::chrono::seconds period, Instant now, Outbox& out) {
  const auto found = polls_.find(key);
  if (found == polls_.end() || found->second.poll.period == period) return;
  auto& entry = found->second;
  entry.poll.period = period;
  entry.regular = now.mono + period;
  if (entry.asked_url.empty() && entry.failures == 0) entry.due = std::min(entry.due, entry.regular);
  wake_.wish(entry.due, out);
}

void PollSchedule::hurry(std::string_view key, Instant now, Outbox& out) {
  const auto found = polls_.find(key);
  if (found == polls_.end() || !found->second.asked_url.empty() || found->second.failures > 0) return;
  found->second.due = std::min(found->second.due, now.mono);
  wake_.wish(now.mono, out);
}

PollSchedule::Entry* PollSchedule::under_way(std::string_view url) {
  if (url.empty()) return nullptr;
  const auto found = std::ranges::find_if(polls_, [&](const auto& each) { return each.second.asked_url == url; });
  return found == polls_.end() ? nullptr : &found->second;
}

std::optional<std::string_view> PollSchedule::find(std::string_view url) const {
  for (const auto& [key, entry] : polls_)
    if (!url.empty() && entry.asked_url == url) return key;
  return std::nullopt;
}

void PollSchedule::answered(std::string_view url, Instant now, Outbox& out) {
  auto* entry = under_way(url);
  if (!entry) return;
  entry->asked_url.clear();
  entry->failures = 0;
  entry->ever_answered = true;
  // Requests that had to wait for their budget longer than a period are not made up for.
  while (entry->regular <= now.mono) entry->regular += entry->poll.period;
  entry->due = entry->regular;
  wake_.wish(entry->due, out);
}

void PollSchedule::failed(std::string_view url, std::string_view reason, Instant now, Outbox& out) {
  if (auto* entry = under_way(url)) fail(*entry, reason, now, out);
}

void PollSchedule::fail(Entry& entry, std::string_view reason, Instant now, Outbox& out) {
  entry.asked_url.clear();
  ++entry.failures;
  auto policy = entry.poll.after_failure;
  policy.cap = std::max<std::chrono::milliseconds>(policy.cap, entry.poll.period);
  entry.due = now.mono + backoff(policy, entry.failures, fraction_of(entry.poll.key, entry.failures));
  wake_.wish(entry.due, out);
  // The first time, then ever more rarely: a poll may fail for weeks.
  if (std::has_single_bit(static_cast<unsigned>(entry.failures)))
    out.notices.push_back(
        {Notice::Level::warning, "a REST request that is made regularly failed",
         fmt::format("poll=\"{}\" reason=\"{}\" failures={}", entry.poll.key, shortened(reason), entry.failures)});
}

void PollSchedule::ask(Entry& entry, Instant now, Outbox& out) {
  RestRequest request;
  request.url = entry.poll.url(now);
  request.charges = entry.poll.charges;
  request.priority = entry.poll.priority;
  entry.asked_url = request.url;
  entry.asked_at = now.mono;
  out.requests.push_back(std::move(request));
}

void PollSchedule::tick(Instant now, Outbox& out) {
  std::optional<MonoTime> next;
  for (auto& [key, entry] : polls_) {
    if (!entry.asked_url.empty() && now.mono - entry.asked_at >= kAnswerAtMost) fail(entry, "no answer", now, out);
    if (entry.asked_url.empty() && now.mono >= entry.due) ask(entry, now, out);
    const auto at = entry.asked_url.empty() ? entry.due : entry.asked_at + kAnswerAtMost;
    next = next ? std::min(*next, at) : at;
  }
  if (next) wake_.wish(std::max<MonoTime>(*next, now.mono + kLeastPause), out);
}

StreamState PollSchedule::state(std::string_view key) const {
  const auto found = polls_.find(key);
  if (found == polls_.end()) return StreamState::waiting;
  if (found->second.failures >= kFailuresToTell) return StreamState::silent;
  return found->second.ever_answered ? StreamState::live : StreamState::waiting;
}

std::size_t PollSchedule::failing() const {
  return static_cast<std::size_t>(
      std::ranges::count_if(polls_, [](const auto& each) { return each.second.failures > 0; }));
}

}  // namespace mp
