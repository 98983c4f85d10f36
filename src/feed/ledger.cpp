#include "feed/ledger.hpp"

#include <algorithm>

namespace mp {
namespace {

using namespace std::chrono;

// Arrivals at random (Poisson) pause for 20 mean gaps once in 5e8 times.
constexpr std::int64_t kMeanGaps = 20;
// Bursts with long pauses between them: three times the longest pause seen lately. "Lately" is a matter of time, not of
// messages: one burst of a thousand must not wipe out that an hour without any came before it.
constexpr std::int64_t kLongestGaps = 3;
constexpr nanoseconds kRemembered = 1h;
constexpr int kMaxDoublings = 8;

nanoseconds stretched(nanoseconds base, int doublings) {
  // The base may be long itself, where that is the stream's own rate.
  const auto at_most = std::max<nanoseconds>(base, SubscriptionLedger::kPatienceAtMost);
  return std::min<nanoseconds>(base * (std::int64_t{1} << doublings), at_most);
}

std::int64_t faded(std::int64_t longest_gap_ns, std::int64_t after_ns) {
  const auto share = static_cast<double>(after_ns) / static_cast<double>(kRemembered.count());
  return share >= 1 ? 0 : static_cast<std::int64_t>(static_cast<double>(longest_gap_ns) * (1 - share));
}

}  // namespace

SubscriptionLedger::StreamId SubscriptionLedger::add(const Patience& patience) {
  entries_.emplace_back();
  entries_.back().patience = patience;
  return static_cast<StreamId>(entries_.size() - 1);
}

void SubscriptionLedger::requested(StreamId stream, MonoTime now) {
  auto& entry = entries_[stream];
  entry.state = StreamState::subscribing;
  entry.has_data = false;
  entry.since = now;
  entry.confirmed_at.reset();
}

void SubscriptionLedger::confirmed(StreamId stream, MonoTime now) {
  auto& entry = entries_[stream];
  entry.confirmed_at = now;
  if (entry.state != StreamState::subscribing) return;
  entry.since = now;
  if (!entry.gap_since) entry.gap_since = now;
  if (entry.patience.may_be_silent) entry.state = StreamState::live;
  // Asking again does not mend a silence that its own rate does not allow; data does.
  if (entry.patience.only_by_rate) entry.state = entry.found_silent ? StreamState::silent : StreamState::live;
}

void SubscriptionLedger::refused(StreamId stream) { entries_[stream].state = StreamState::refused; }

void SubscriptionLedger::data(StreamId stream, MonoTime now) {
  auto& entry = entries_[stream];
  if (entry.gap_since) {
    const auto gap = std::max<std::int64_t>(0, nanoseconds{now - *entry.gap_since}.count());
    entry.mean_gap_ns = entry.mean_gap_ns == 0 ? gap : entry.mean_gap_ns + (gap - entry.mean_gap_ns) / 16;
    entry.longest_gap_ns = std::max(gap, faded(entry.longest_gap_ns, gap));
    entry.listened_ns += gap;
  }
  entry.state = StreamState::live;
  entry.has_data = true;
  entry.found_silent = false;
  entry.since = now;
  entry.gap_since = now;
  entry.doublings = 0;
}

void SubscriptionLedger::disconnected(StreamId stream) {
  auto& entry = entries_[stream];
  entry.state = StreamState::waiting;
  entry.has_data = false;
  entry.confirmed_at.reset();
  entry.gap_since.reset();
}

void SubscriptionLedger::asked_again(StreamId stream) {
  auto& entry = entries_[stream];
  const auto gap_since = entry.gap_since;
  disconnected(stream);
  if (entry.patience.only_by_rate) entry.gap_since = gap_since;
}

nanoseconds SubscriptionLedger::allowed_silence(const Entry& entry) {
  // No gap of more than a week is believed: nothing overflows, doubled or not.
  constexpr std::int64_t kWeek = nanoseconds{days{7}}.count();
  const auto learnt = nanoseconds{
      std::max(std::min(entry.mean_gap_ns, kWeek) * kMeanGaps, std::min(entry.longest_gap_ns, kWeek) * kLongestGaps)};
  return std::max<nanoseconds>(entry.patience.silence_at_least, learnt);
}

nanoseconds SubscriptionLedger::silence_limit(StreamId stream) const {
  return stretched(allowed_silence(entries_[stream]), entries_[stream].doublings);
}

bool SubscriptionLedger::is_judged(const Entry& entry) {
  if (entry.patience.may_be_silent) return false;
  return !entry.patience.only_by_rate || nanoseconds{entry.listened_ns} / kListenedTimes >= allowed_silence(entry);
}

void SubscriptionLedger::overdue(MonoTime now, std::vector<Finding>& out) {
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    auto& entry = entries_[i];
    const auto id = static_cast<StreamId>(i);
    const auto lasted = nanoseconds{now - entry.since};
    std::optional<Trouble> trouble;
    switch (entry.state) {
      case StreamState::subscribing:
        if (!entry.confirmed_at && lasted >= stretched(entry.patience.ack, entry.doublings))
          trouble = Trouble::no_answer;
        else if (entry.confirmed_at && lasted >= stretched(entry.patience.first_data, entry.doublings))
          trouble = Trouble::no_first_data;
        break;
      case StreamState::live:
        if (is_judged(entry) && lasted >= silence_limit(id)) trouble = Trouble::silent;
        break;
      case StreamState::silent:
        // Asked for again, confirmed, and still nothing.
        if (entry.patience.only_by_rate && lasted >= silence_limit(id)) trouble = Trouble::silent;
        break;
      case StreamState::waiting:
      case StreamState::resyncing:
      case StreamState::refused: break;
    }
    if (!trouble) continue;
    entry.doublings = std::min(entry.doublings + 1, kMaxDoublings);
    if (*trouble == Trouble::silent) {
      entry.state = StreamState::silent;
      entry.found_silent = true;
    }
    out.push_back({id, *trouble, duration_cast<seconds>(lasted)});
  }
}

}  // namespace mp
