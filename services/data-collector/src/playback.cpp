#include "playback.hpp"

#include "base/log.hpp"
#include "net/clock.hpp"

namespace mp::collector {
namespace {
constexpr int kRecordsPerTurn = 64;
}

Playback::Playback(std::unique_ptr<journal::CaptureSet> captures, double speed, std::uint64_t skip, Ingest& ingest,
                   net::Loop& loop, std::function<void()> done)
    : captures_(std::move(captures)),
      speed_(speed),
      skip_(skip),
      ingest_(ingest),
      loop_(loop),
      on_done_(std::move(done)),
      timer_(loop) {}

void Playback::start() {
  for (; skip_ > 0 && captures_->next(); --skip_) continue;
  origin_ = captures_->offset();  // what has been played before is not waited for again
  started_ = net::now().mono;
  next_ = captures_->next();
  loop_.post([this] { play(); });
}

void Playback::play() {
  for (int i = 0; next_; ++i, next_ = captures_->next()) {
    if (const auto due = due_at(); due > net::now().mono) return timer_.set(due, [this] { play(); });
    if (i == kRecordsPerTurn) return loop_.post([this] { play(); });
    ingest_.add(*next_);
  }
  if (captures_->error())
    log::error("the recording cannot be read to its end", {{"error", *captures_->error()}});
  if (captures_->skipped_lines() > 0) {
    const auto& urls = captures_->skipped_urls();
    log::warn("lines of unknown venues were left out",
              {{"lines", captures_->skipped_lines()}, {"first_url", urls.empty() ? std::string() : urls.front()}});
  }
  failed_ = captures_->error().has_value();
  done_ = true;
  on_done_();
}

MonoTime Playback::due_at() const {
  if (speed_ <= 0) return started_;
  const auto since = static_cast<double>((captures_->offset() - origin_).count()) / speed_;
  return started_ + Nanos(static_cast<std::int64_t>(since));
}

}  // namespace mp::collector
