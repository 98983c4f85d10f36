#pragma once
// Plays a recorded session into the ingest at its own pace: same records, same times, so the same positions and
// the same events each time.
//
// Runs on: the collector's loop thread.

#include <functional>
#include <memory>

#include "base/log.hpp"
#include "ingest.hpp"
#include "journal/capture_set.hpp"
#include "journal/recordings.hpp"

namespace mp::collector {

class Playback {
 public:
  struct Callbacks {
    // The recording has been played up to here, which is an end that it had or has; its records are journalled. An
    // Error ends the play-back.
    std::function<Result<void>(std::uint64_t bytes, bool closed)> settled;
    std::function<void()> done;
  };
  // `skip`: so many records of the recording are in the journal already.
  Playback(journal::PlannedRecording recording, std::unique_ptr<journal::CaptureSet> capture, double speed,
           std::uint64_t skip, Ingest& ingest, net::Loop& loop, Callbacks callbacks);

  void start();
  bool is_done() const { return done_; }
  // Why the recording could not be played to its end.
  const std::optional<Error>& failure() const { return failure_; }
  // Lines that could not be read so far, one that the file ends in included.
  std::uint64_t broken_lines() const { return capture_->broken_lines() + (recording_.cut_short ? 1 : 0); }

 private:
  void play();
  const RawRecord* next();
  void settle();
  Error lost_records() const;
  void tell_broken();
  void finish();
  MonoTime due_at() const;

  const journal::PlannedRecording recording_;
  std::unique_ptr<journal::CaptureSet> capture_;
  const double speed_;
  std::uint64_t skip_;
  Ingest& ingest_;
  net::Loop& loop_;
  Callbacks callbacks_;
  net::Timer timer_;
  const RawRecord* next_ = nullptr;
  std::size_t boundary_ = 0;  // the next one that is undecided
  std::size_t told_ = 0;      // broken lines, in the log
  MonoTime started_;
  Nanos origin_{0};
  bool done_ = false;
  std::optional<Error> failure_;
};

}  // namespace mp::collector
