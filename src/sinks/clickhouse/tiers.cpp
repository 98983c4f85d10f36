#include "sinks/clickhouse/tiers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "base/backoff.hpp"

namespace mp::sinks::clickhouse {
namespace {

using namespace std::chrono_literals;

constexpr BackoffPolicy kAfterFailure{5s, 300s};
constexpr std::uint64_t kMostChunkRows = 50'000;
// Keys that one statement names: it must stay below max_query_size (256 kB by default).
constexpr std::size_t kMostNamedKeys = 4'000;
// A day to which rows keep coming is left to the next round.
constexpr int kMostRounds = 10;

WallTime begin_of(std::chrono::sys_days day) { return WallTime{day.time_since_epoch()}; }
WallTime end_of(std::chrono::sys_days day) { return begin_of(day + std::chrono::days{1}); }

std::string text_of(std::chrono::sys_days day) {
  const std::chrono::year_month_day date{day};
  return fmt::format("{:04}-{:02}-{:02}", static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                     static_cast<unsigned>(date.day()));
}

}  // namespace

TierStep TierPlanner::next(Instant now) {
  if (resting_) {
    if (now.mono < rest_until_) return RestUntil{rest_until_};
    resting_ = false;
    phase_ = Phase::list;
  }
  const auto& [table, day] = at_;
  switch (phase_) {
    case Phase::list: return ListDays{};
    case Phase::measure: return Measure{table, day};
    case Phase::sum_up: return SumUp{table, day, days_.at(at_).day.parts, width_};
    case Phase::read: {
      const auto& bucket = differing_.back();
      return ReadPrints{table, day, bucket.stream, bucket.number * width_, bucket.number * width_ + (width_ - 1)};
    }
    case Phase::copy: return copies_.back();
    case Phase::drop: return DropParts{table, day, days_.at(at_).day.parts};
  }
  return ListDays{};
}

bool TierPlanner::is_verified(const Known& known) {
  return known.verified && *known.verified == std::pair{known.day.rows, known.day.highest_block};
}

bool TierPlanner::is_due(const Known& known, WallTime now) const {
  return end_of(known.day.day) + rules_.settle <= now;
}

bool TierPlanner::drop_is_due(const Known& known, WallTime now) const {
  return rules_.drop_after > 0ns && end_of(known.day.day) + rules_.drop_after <= now;
}

void TierPlanner::listed(std::vector<HotDay> days, Instant now) {
  std::map<Key, Known> known;
  for (auto& day : days) {
    const Key key{day.table, day.day};
    auto& entry = known[key];
    if (const auto before = days_.find(key); before != days_.end()) entry = std::move(before->second);
    // Something has come since: whatever was the matter is looked at again.
    if (entry.day.rows != day.rows || entry.day.highest_block != day.highest_block) entry.conflict = false;
    entry.day = std::move(day);
  }
  days_ = std::move(known);
  to_do_.clear();
  for (const auto& [key, entry] : days_) {
    if (entry.conflict || !is_due(entry, now.wall)) continue;
    if (!is_verified(entry) || drop_is_due(entry, now.wall)) to_do_.push_back(key);
  }
  // The oldest day first, whatever its table: it expires first.
  std::ranges::sort(
      to_do_, [](const Key& a, const Key& b) { return std::tie(b.second, b.first) < std::tie(a.second, a.first); });
  choose(now);
}

void TierPlanner::choose(Instant now) {
  if (to_do_.empty()) return end_of_round(now);
  at_ = std::move(to_do_.back());
  to_do_.pop_back();
  for_drop_ = drop_is_due(days_.at(at_), now.wall);
  rounds_ = 0;
  phase_ = Phase::measure;
}

void TierPlanner::end_of_round(Instant now) {
  failures_ = 0;
  status_.trouble.clear();
  status_.looked = true;
  resting_ = true;
  rest_until_ = now.mono + std::chrono::duration_cast<MonoTime::duration>(rules_.interval);
}

std::uint64_t TierPlanner::chunk_rows() const {
  const auto& day = days_.at(at_).day;
  const auto row_bytes = std::max<std::uint64_t>(1, day.bytes / std::max<std::uint64_t>(1, day.rows));
  return std::clamp<std::uint64_t>(rules_.chunk_bytes / row_bytes, 1, kMostChunkRows);
}

void TierPlanner::measured(std::uint64_t span) {
  const auto rows = std::max<std::uint64_t>(1, days_.at(at_).day.rows);
  const auto buckets = rows / chunk_rows() + 1;
  width_ = std::max<std::uint64_t>(1, span / buckets + 1);
  phase_ = Phase::sum_up;
}

void TierPlanner::summed_up(const Buckets& hot, const Buckets& cold, Instant now) {
  std::uint64_t rows = 0;
  differing_.clear();
  for (const auto& [bucket, sum] : hot) {
    rows += sum.rows;
    const auto other = cold.find(bucket);
    if (other == cold.end() || other->second != sum) differing_.push_back(bucket);
  }
  // The parts that were listed are not there any more (merged, or expired): the next list tells what is.
  if (rows != days_.at(at_).day.rows) return choose(now);
  std::ranges::reverse(differing_);
  copied_any_ = false;
  if (differing_.empty()) return verified(now);
  phase_ = Phase::read;
}

void TierPlanner::prints(const std::vector<RowPrint>& hot, const std::vector<RowPrint>& cold, Instant now) {
  std::size_t at = 0;
  bool conflict = false;
  for (std::size_t i = 0; i < cold.size() && !conflict; ++i) {
    conflict = i > 0 && cold[i].key == cold[i - 1].key;  // there twice
    while (at < hot.size() && hot[at].key < cold[i].key) ++at;
    if (at < hot.size() && hot[at].key == cold[i].key) conflict = conflict || hot[at].hash != cold[i].hash;
  }
  for (std::size_t i = 1; i < hot.size() && !conflict; ++i) conflict = hot[i].key == hot[i - 1].key;
  if (conflict) {
    days_.at(at_).conflict = true;
    return choose(now);
  }
  cut_copies(hot, cold);
  if (copies_.empty()) return next_bucket(now);
  copied_any_ = true;
  phase_ = Phase::copy;
}

// Neighbours that are all missing are copied by their range; where others stand between them, by name.
void TierPlanner::cut_copies(const std::vector<RowPrint>& hot, const std::vector<RowPrint>& cold) {
  copies_.clear();
  const auto most = chunk_rows();
  std::vector<RowKey> chunk;
  bool gap = false;
  bool gap_after = false;  // rows that are not missing came since the last of the chunk
  const auto flush = [&] {
    if (chunk.empty()) return;
    CopyRows copy{at_.first, at_.second, differing_.back().stream, chunk.front(), chunk.back(), {}, chunk.size()};
    if (gap) copy.only = chunk;
    copies_.push_back(std::move(copy));
    chunk.clear();
    gap = gap_after = false;
  };
  std::size_t at = 0;
  for (const auto& row : hot) {
    while (at < cold.size() && cold[at].key < row.key) ++at;
    if (at < cold.size() && cold[at].key == row.key) {
      gap_after = true;
      continue;
    }
    const bool with_gap = gap || (gap_after && !chunk.empty());
    if (chunk.size() >= most || (with_gap && chunk.size() >= kMostNamedKeys)) flush();
    gap = gap || (gap_after && !chunk.empty());
    gap_after = false;
    chunk.push_back(row.key);
  }
  flush();
  std::ranges::reverse(copies_);
}

void TierPlanner::copied(std::uint64_t rows, Instant now) {
  status_.rows_copied += rows;
  copies_.pop_back();
  if (copies_.empty()) next_bucket(now);
}

void TierPlanner::next_bucket(Instant now) {
  differing_.pop_back();
  if (!differing_.empty()) {
    phase_ = Phase::read;
  } else if (!copied_any_) {
    verified(now);  // the cold table has more, and all of this
  } else if (++rounds_ < kMostRounds) {
    phase_ = Phase::sum_up;  // what was copied is not believed but read
  } else {
    choose(now);
  }
}

void TierPlanner::verified(Instant now) {
  auto& known = days_.at(at_);
  known.verified = {known.day.rows, known.day.highest_block};
  ++status_.days_verified;
  auto& last = status_.tables[at_.first].last_verified;
  last = std::max(last.value_or(at_.second), at_.second);
  if (for_drop_)
    phase_ = Phase::drop;
  else
    choose(now);
}

void TierPlanner::dropped(Instant now) {
  ++status_.days_dropped;
  days_.erase(at_);
  choose(now);
}

// What was done of the step is seen when the day is looked at again.
void TierPlanner::failed(const std::string& why, Instant now) {
  status_.trouble = why;
  resting_ = true;
  rest_until_ =
      now.mono + std::chrono::duration_cast<MonoTime::duration>(Nanos{backoff(kAfterFailure, ++failures_, 0)});
}

TierStatus TierPlanner::status(WallTime now) const {
  auto status = status_;
  for (auto& [table, of] : status.tables) of.days_waiting = 0;
  for (const auto& [key, known] : days_) {
    auto& table = status.tables[key.first];
    const auto name = fmt::format("{} {}", key.first, text_of(key.second));
    if (known.conflict) status.conflicts.push_back(name);
    if (is_verified(known)) continue;
    if (begin_of(key.second) + rules_.expires_after - rules_.warn_before <= now) status.expiring.push_back(name);
    if (!is_due(known, now)) continue;
    ++table.days_waiting;
    status.lag = std::max(status.lag,
                          std::chrono::duration_cast<std::chrono::seconds>(now - end_of(key.second) - rules_.settle));
  }
  return status;
}

}  // namespace mp::sinks::clickhouse
