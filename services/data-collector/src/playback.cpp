#include "playback.hpp"

#include "net/clock.hpp"

namespace mp::collector {
namespace {
constexpr int kRecordsPerTurn = 64;
}

Playback::Playback(journal::PlannedRecording recording, std::unique_ptr<journal::CaptureSet> capture, double speed,
                   std::uint64_t skip, Ingest& ingest, net::Loop& loop, Callbacks callbacks)
    : recording_(std::move(recording)),
      capture_(std::move(capture)),
      speed_(speed),
      skip_(skip),
      ingest_(ingest),
      loop_(loop),
      callbacks_(std::move(callbacks)),
      timer_(loop) {}

void Playback::start() {
  next_ = next();
  while (skip_ > 0 && next_) {
    --skip_;
    next_ = next();
  }
  origin_ = capture_->offset();  // what has been played before is not waited for again
  started_ = net::now().mono;
  loop_.post([this] { play(); });
}

void Playback::play() {
  // What comes behind a hole would be taken for what is missing when it is played again.
  if (const auto lost = ingest_.counters().records_dropped; lost > 0 && !failure_) {
    failure_ = lost_records();
    next_ = nullptr;
  }
  for (int i = 0; next_; ++i, next_ = next()) {
    if (const auto due = due_at(); due > net::now().mono) return timer_.set(due, [this] { play(); });
    if (i == kRecordsPerTurn) return loop_.post([this] { play(); });
    ingest_.add(*next_);
  }
  finish();
}

// The next record; null at the end and after a failure.
const RawRecord* Playback::next() {
  while (!failure_) {
    const auto* record = capture_->next();
    tell_broken();
    if (record) return record;
    if (!capture_->at_boundary()) break;
    settle();
  }
  if (!failure_) failure_ = capture_->error();
  return nullptr;
}

// An end of the recording, for now or as it was once. Connections stay open there, since the recording may go on; they
// are closed only where that brings out what waits in the sessions, which would otherwise not be stored if it never
// does.
void Playback::settle() {
  const auto boundaries = recording_.boundaries();
  while (boundaries.at(boundary_).closed) ++boundary_;
  const auto& closing = capture_->closing();
  // Nothing stands behind an end that was not settled: more records in the journal are these.
  const bool closed = !closing.empty() && (skip_ > 0 || ingest_.would_release(closing));
  for (const auto& record : closing) {
    if (!closed) break;
    if (skip_ > 0)
      --skip_;
    else
      ingest_.add(record);
  }
  skip_ = 0;
  ingest_.commit();
  if (ingest_.counters().records_dropped > 0) {
    failure_ = lost_records();
    return;
  }
  if (auto settled = callbacks_.settled(boundaries[boundary_].bytes, closed); !settled) {
    failure_ = settled.error();
    return;
  }
  ++boundary_;
  capture_->resume(closed);
}

Error Playback::lost_records() const {
  return Error{
      Errc::io, recording_.directory.string(),
      "records could not be written into this journal; make room on its disk and play the recording again, it goes on there"};
}

void Playback::tell_broken() {
  for (const auto& broken = capture_->broken(); told_ < broken.size(); ++told_)
    log::warn("a line of the recording cannot be read; play-back goes on behind it", {{"error", broken[told_]}});
}

void Playback::finish() {
  if (failure_) log::error("the recording cannot be read to its end", {{"error", *failure_}});
  if (recording_.cut_short)
    log::warn("the recording ends in the middle of a line; when it is whole play it again, and it goes on there",
              {{"error", *recording_.cut_short}});
  if (broken_lines() > 0)
    log::warn("lines of the recording could not be read",
              {{"file", recording_.path.string()}, {"lines", broken_lines()}});
  if (capture_->skipped_lines() > 0) {
    const auto& urls = capture_->skipped_urls();
    log::warn("lines of unknown venues were left out",
              {{"lines", capture_->skipped_lines()}, {"first_url", urls.empty() ? std::string() : urls.front()}});
  }
  done_ = true;
  callbacks_.done();
}

MonoTime Playback::due_at() const {
  if (speed_ <= 0) return started_;
  const auto since = static_cast<double>((capture_->offset() - origin_).count()) / speed_;
  return started_ + Nanos(static_cast<std::int64_t>(since));
}

}  // namespace mp::collector
