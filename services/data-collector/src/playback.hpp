#pragma once
// Plays recorded sessions into the ingest at their own pace: same records, same times, so the same positions and
// the same events each time.
//
// Runs on: the collector's loop thread.

#include <functional>
#include <memory>

#include "ingest.hpp"
#include "journal/capture_set.hpp"

namespace mp::collector {

class Playback {
 public:
  // `skip`: so many records of the recording are in the journal already.
  Playback(std::unique_ptr<journal::CaptureSet> captures, double speed, std::uint64_t skip, Ingest& ingest,
           net::Loop& loop, std::function<void()> done);

  void start();
  bool is_done() const { return done_; }
  // The recording could not be read to its end.
  bool has_failed() const { return failed_; }

 private:
  void play();
  MonoTime due_at() const;

  std::unique_ptr<journal::CaptureSet> captures_;
  const double speed_;
  std::uint64_t skip_;
  Ingest& ingest_;
  net::Loop& loop_;
  std::function<void()> on_done_;
  net::Timer timer_;
  const RawRecord* next_ = nullptr;
  MonoTime started_;
  Nanos origin_{0};
  bool done_ = false;
  bool failed_ = false;
};

}  // namespace mp::collector
