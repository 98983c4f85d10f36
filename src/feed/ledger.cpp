#include "feed/ledger.hpp"

#include <algorithm>

namespace mp {
namespace {

using namespace std::chrono;

// Arrivals at random (Poisson) pause for 20 mean gaps once in 5e8 times.
constexpr std::int64_t kMeanGaps = 20;
// Bursts with long pauses between them: three times the longest pause seen lately.
constexpr std::int64_t kLongestGaps = 3;
constexpr int kMaxDoublings = 8;

nanoseconds stretched(nanoseconds base, int doublings) {
  return std::min<nanoseconds>(base * (std::int64_t{1} << doublings), SubscriptionLedger::kSilenceAtMost);
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
  if (entry.patience.may_be_silent) entry.state = StreamState::live;
}

void SubscriptionLedger::refused(StreamId stream) { entries_[stream].state = StreamState::refused; }

void SubscriptionLedger::data(StreamId stream, MonoTime now) {
  auto& entry = entries_[stream];
  if (entry.has_data && entry.state == StreamState::live) {
    const auto gap = std::max<std::int64_t>(0, nanoseconds{now - entry.since}.count());
    entry.mean_gap_ns = entry.mean_gap_ns == 0 ? gap : entry.mean_gap_ns + (gap - entry.mean_gap_ns) / 16;
    entry.longest_gap_ns = std::max(gap, entry.longest_gap_ns - entry.longest_gap_ns / 256);
  }
  entry.state = StreamState::live;
  entry.has_data = true;
  entry.since = now;
  entry.doublings = 0;
}

void SubscriptionLedger::disconnected(StreamId stream) {
  auto& entry = entries_[stream];
  entry.state = StreamState::waiting;
  entry.has_data = false;
  entry.confirmed_at.reset();
}

nanoseconds SubscriptionLedger::silence_limit(StreamId stream) const {
  const auto& entry = entries_[stream];
  const auto learnt = nanoseconds{
      std::max(std::min(entry.mean_gap_ns, INT64_MAX / 64) * kMeanGaps,
               std::min(entry.longest_gap_ns, INT64_MAX / 64) * kLongestGaps)};
  return stretched(std::max<nanoseconds>(entry.patience.silence_at_least, learnt), entry.doublings);
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
        if (!entry.patience.may_be_silent && lasted >= silence_limit(id)) trouble = Trouble::silent;
        break;
      case StreamState::waiting:
      case StreamState::resyncing:
      case StreamState::silent:
      case StreamState::refused:
        break;
    }
    if (!trouble) continue;
    entry.doublings = std::min(entry.doublings + 1, kMaxDoublings);
    if (*trouble == Trouble::silent) entry.state = StreamState::silent;
    out.push_back({id, *trouble, duration_cast<seconds>(lasted)});
  }
}

}  // namespace mp
