#include "sinks/clickhouse/batcher.hpp"

#include <algorithm>
#include <utility>

namespace mp::sinks::clickhouse {
namespace {

// How long a fetch may wait when nothing is due; the driver may cut it short.
constexpr std::chrono::seconds kIdleFetch{30};
constexpr BackoffPolicy kAcknowledgeAgain{std::chrono::milliseconds{100}, std::chrono::milliseconds{2'000}};

}  // namespace

Step Batcher::next(MonoTime now) {
  switch (state_) {
    case State::collecting: return next_collecting(now);
    case State::storing: return next_storing(now);
    case State::acknowledging:
      if (now < not_before_) return Wait{not_before_};
      return Acknowledge{highest_taken_};
  }
  return Finished{};
}

Step Batcher::next_collecting(MonoTime now) {
  if (stopping_) {
    if (batch_.empty()) return Finished{};
    close_batch();
    return next_storing(now);
  }
  if (batch_.empty()) return Fetch{limits_.max_queue, now + kIdleFetch};

  const bool is_full = batch_.rows().size() >= limits_.max_rows || batch_.byte_size() >= limits_.max_bytes;
  const auto timeout_at = *waits_since_ + limits_.timeout;
  const bool is_due = is_full || batch_.rows().size() >= limits_.batch_size || now >= timeout_at;
  if (!is_due) return Fetch{limits_.max_queue, timeout_at};

  // A backlog is worked off by full batches, and these need not wait for each other: parts of that size are few.
  if (!is_full && more_waiting_) return Fetch{limits_.max_queue, now};
  // The table was written just now: what comes meanwhile waits on the bus and joins the batch at the end.
  if (!is_full && last_write_ && now < *last_write_ + limits_.min_interval)
    return Wait{*last_write_ + limits_.min_interval};
  if (!is_full && !std::exchange(looked_again_, true)) return Fetch{limits_.max_queue, now};
  close_batch();
  return next_storing(now);
}

void Batcher::close_batch() {
  state_ = State::storing;
  stored_.assign(batch_.rows().size(), false);
  max_partitions_ = limits_.max_partitions;
  in_doubt_ = batch_.rows().front().key.sequence <= doubt_through_ || batch_.has_again();
  attempts_ = 0;
  cut();
}

void Batcher::cut() {
  pieces_ = cut_pieces(batch_, stored_, max_partitions_);
  next_piece_ = 0;
}

Step Batcher::next_storing(MonoTime now) {
  if (now < not_before_) return Wait{not_before_};
  if (in_doubt_) return ReadBack{batch_.rows().front().key.sequence, batch_.rows().back().key.sequence};
  if (next_piece_ < pieces_.size()) return Insert{&batch_, &pieces_[next_piece_]};
  state_ = State::acknowledging;
  attempts_ = 0;
  return Acknowledge{highest_taken_};
}

bool Batcher::wants(std::uint64_t sequence) {
  if (sequence > highest_taken_) return true;
  ++counters_.redelivered;
  return false;
}

void Batcher::took(std::uint64_t sequence, MonoTime since) {
  if (highest_taken_ < sequence) highest_taken_ = sequence;
  if (!waits_since_) waits_since_ = since;
}

void Batcher::doubt() {
  doubt_through_ = std::max(doubt_through_, highest_taken_);
  if (state_ == State::storing) in_doubt_ = true;
}

void Batcher::failed(Verdict verdict, MonoTime now, double jitter) {
  trouble_ = verdict;
  in_doubt_ = true;
  ++attempts_;
  not_before_ = now + backoff(backoff_after(verdict), attempts_, jitter);
}

void Batcher::inserted(Verdict verdict, MonoTime now, double jitter) {
  last_write_ = now;
  if (verdict != Verdict::ok) {
    if (verdict == Verdict::too_many_partitions) max_partitions_ = std::max<std::size_t>(1, max_partitions_ / 2);
    failed(verdict, now, jitter);
    return;
  }
  const auto& piece = pieces_[next_piece_++];
  for (const auto row : piece.rows) stored_[row] = true;
  ++counters_.inserts;
  counters_.rows_inserted += piece.rows.size();
  trouble_ = Verdict::ok;
  attempts_ = 0;
}

void Batcher::read_back(std::vector<RowKey> present, MonoTime) {
  ++counters_.read_backs;
  std::sort(present.begin(), present.end());
  const auto& rows = batch_.rows();
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (stored_[i] || !std::binary_search(present.begin(), present.end(), rows[i].key)) continue;
    stored_[i] = true;
    ++counters_.rows_found;
  }
  in_doubt_ = false;
  cut();
}

void Batcher::read_back_failed(Verdict verdict, MonoTime now, double jitter) { failed(verdict, now, jitter); }

void Batcher::acknowledged(bool confirmed, MonoTime now, double jitter) {
  if (!confirmed) {
    ++attempts_;
    not_before_ = now + backoff(kAcknowledgeAgain, attempts_, jitter);
    return;
  }
  ++counters_.batches;
  trouble_ = Verdict::ok;  // all rows are there, perhaps by an insert whose answer was lost
  batch_.clear();
  stored_.clear();
  pieces_.clear();
  waits_since_.reset();
  looked_again_ = false;
  attempts_ = 0;
  state_ = State::collecting;
}

}  // namespace mp::sinks::clickhouse
