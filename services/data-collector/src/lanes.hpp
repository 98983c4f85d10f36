#pragma once
// A lane is one journal with its way in and its way to the bus. What is collected has one; each recorded file that is
// played has its own, named by the file's SHA-256, so that its events and their positions are a function of
// that file alone, whatever is played beside it, before or after; a longer copy of a file that was played goes on in
// its lane (docs/decisions/0007-a-journal-for-each-recording.md).
//
// Recordings that hold the same source are played one after the other, the earlier one first; all others side by side.
//
// Runs on: the collector's loop thread. Outlives: nothing; the loop and the options outlive it.

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "event_sink.hpp"
#include "feed_times.hpp"
#include "ingest.hpp"
#include "journal/capture_set.hpp"
#include "journal/journal.hpp"
#include "journal/recordings.hpp"
#include "net/loop.hpp"
#include "options.hpp"
#include "playback.hpp"

namespace mp::collector {

class Lanes {
 public:
  struct Makers {
    Router::OptionsFor live_options, catch_up_options;
    Ingest::Callbacks callbacks;  // of every lane
    // A journal was opened, the first time.
    std::function<void(const journal::Journal&)> journal_opened;
  };

  Lanes(const CollectorOptions& options, net::Loop& loop, Makers makers);

  // The one lane of what is collected.
  [[nodiscard]] Result<void> open_live();
  // Looks at every file (errors of usage come from here), then opens the first lanes.
  [[nodiscard]] Result<void> open_recordings();
  // Acknowledgements, retention of the journal where it is due, catching up after errors; closes the lanes of
  // recordings that are through, and opens the next ones. An Error: a lane could not be opened.
  [[nodiscard]] Result<void> keep_house(Instant now, bool with_retention);

  // Of the live lane.
  Ingest& live() { return *lanes_.front()->ingest; }
  journal::Journal& live_journal() { return *lanes_.front()->journal; }

  bool is_playback() const { return is_playback_; }
  bool playback_is_done() const;  // nothing is left to be played
  // The first recording that could not be read to its end; "" when all could.
  std::string failed_recording() const;
  // Lines of recordings that could not be read, and the first such recording; "" when all could.
  std::uint64_t broken_lines() const;
  std::string broken_recording() const;
  // How many recordings have not been played to their end. To be asked before stop_playing().
  std::size_t unfinished_recordings() const;
  // Nothing waits to be decoded or acknowledged, and no recording is left.
  bool is_drained() const;
  void stop_playing();  // what has not begun is not begun
  void commit();
  void each_router(const std::function<void(Router&)>& see);

  // Of all lanes together.
  IngestCounters counters() const;
  SinkStatus bus() const;
  journal::JournalCounters journal_counters() const;
  std::optional<journal::RetentionReport> kept();  // once after each time
  bool behind() const;
  bool journal_is_failing() const;
  Nanos unpublished_for(MonoTime now) const;
  Unpublished count_unpublished(std::chrono::milliseconds limit) const;

  void stop_sinks();
  void close_journals();

 private:
  struct Lane {
    std::string name;  // of the file, for the log
    std::unique_ptr<journal::Journal> journal;
    std::unique_ptr<EventSink> sink;
    std::unique_ptr<Ingest> ingest;
    journal::PlannedRecording recording;
    std::unique_ptr<Playback> playback;
    UnpublishedAge unpublished;
    std::size_t group = 0;
    bool closed = false;  // a recording that is through: its sessions and counts remain

    bool is_drained() const { return closed || (ingest->is_caught_up() && sink->acked_through() >= ingest->head()); }
    bool is_through() const { return playback && playback->is_done() && is_drained(); }
  };

  Result<Lane*> open(std::string name, const journal::PlannedRecording* recording);
  Result<void> begin_playing(Lane& lane, const journal::PlannedRecording& recording);
  Result<void> open_next(std::size_t group);
  void close(Lane& lane);
  Result<void> keep(Lane& lane, Instant now, bool with_retention);

  const CollectorOptions& options_;
  net::Loop& loop_;
  Makers makers_;
  bool is_playback_ = false;
  std::vector<std::unique_ptr<Lane>> lanes_;
  // Of each group of recordings with a source in common: those that have not begun, the next one last.
  std::vector<std::vector<journal::PlannedRecording>> waiting_;
  std::optional<journal::RetentionReport> kept_;
  log::Sampler failures_;
};

}  // namespace mp::collector
