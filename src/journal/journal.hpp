#pragma once
// The journal's writer: what arrives is appended here before anything else happens to it.

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/raw_record.hpp"
#include "base/version.hpp"
#include "journal/journal_id.hpp"

namespace mp::journal {

// What may be deleted, in whole segments. Never the segment being written, never one that holds a record
// which is not acknowledged.
struct RetentionPolicy {
  std::chrono::seconds max_age{0};  // since the segment was last written; 0: no limit
  std::uint64_t max_bytes = 0;      // of all segments together; 0: no limit
  // An acknowledged segment stays at least this long after its acknowledgement was first seen here. Choose
  // twice the server's sync_interval or more: until then a power cut there can lose what it acknowledged.
  std::chrono::seconds keep_acknowledged{300};
};

struct JournalOptions {
  std::filesystem::path directory;  // of one collector; made if it is not there
  std::optional<JournalId> id;      // given for play-back; otherwise the directory's, or a new random one
  std::string config_hash;
  std::string software = std::string("marketprism ") + kVersion;
  std::uint32_t floor = 0;  // segments are numbered above it; see also Journal::raise_floor
  std::uint64_t segment_bytes = 256ull << 20;
  std::chrono::seconds segment_age{600};
  // How often what was written is forced to the disk (in a thread of its own); a power cut can cost what came
  // after the last time. 0: before append() returns. A killed process loses nothing either way.
  std::chrono::milliseconds sync_interval{1000};
  RetentionPolicy retention;
  int compression_level = 1;  // zstd's
  // Stands in for ::write in tests of full disks. Must behave like it.
  std::function<ssize_t(int fd, const void* bytes, std::size_t count)> write;
};

// What was found on opening.
struct RecoveredJournal {
  bool created = false;  // the directory held no journal before
  std::uint32_t segments = 0;
  std::uint32_t last_segment = 0;  // 0: none
  std::uint32_t last_records = 0;  // in it
  std::uint32_t numbered = 0;    // the highest number that was given out; above last_segment: a power cut cost segments
  std::uint64_t records = 0;     // in the whole journal so far, segments that were deleted since included
  bool closed_in_order = true;   // false: the last writer was killed, or the power was cut
  std::uint64_t torn_bytes = 0;  // of a group that was not finished then; nobody had been told of it
  std::uint64_t damages = 0;     // in the last segment, when it had to be read
};

struct RetentionReport {
  std::uint32_t deleted_segments = 0;
  std::uint64_t deleted_bytes = 0;
  std::uint64_t kept_bytes = 0;
  // The limits ask for more than could be deleted, since it is not acknowledged (long enough).
  bool over_limit = false;
};

struct JournalCounters {
  std::uint64_t records = 0;
  std::uint64_t groups = 0;
  std::uint64_t blocks = 0;
  std::uint64_t raw_bytes = 0;      // before compression
  std::uint64_t written_bytes = 0;  // to segments
  std::uint64_t segments = 0;       // begun by this process
  std::uint64_t failed_appends = 0;
  std::uint64_t syncs = 0;
  std::uint64_t failed_syncs = 0;
};

// Owned by one thread, which makes all calls; its own thread only forces files to the disk.
// Never decodes a payload, never deletes what is not acknowledged.
class Journal {
 public:
  // Errc::conflict: another process holds the directory (named with its pid), or its id is not the given one.
  // Errc::io: cannot be read or written; says what to do.
  [[nodiscard]] static Result<std::unique_ptr<Journal>> open(JournalOptions options);
  // Closes in order if close() was not called, telling no error.
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  const std::filesystem::path& directory() const;
  const JournalId& id() const;
  const RecoveredJournal& recovered() const;

  // Segments to come are numbered above `segment` too (what the read-back found in the stream).
  void raise_floor(std::uint32_t segment);

  // Begins a segment with what its readers need to decode it by itself; must be called once before the first append.
  // On an error the segment before, if any, stays in use: try again later.
  [[nodiscard]] Result<void> start_segment(std::string_view checkpoint, WallTime now);
  // Whether the present segment is full or old enough (or there is none).
  bool needs_new_segment(WallTime now) const;

  // Hands the records to the operating system by one write(), all or none: when this returns a position
  // (the first record's; the others follow it in the same segment), they survive the death of this process.
  // On Errc::io nothing of them stands in the journal; the same call can be tried again, and succeeds
  // when there is space again. Errc::out_of_range: a payload or url is larger than a journal holds.
  // At least one record must be given.
  [[nodiscard]] Result<RecordPosition> append(std::span<const RawRecord> records);

  // Where the next record will stand, if no segment is begun before.
  RecordPosition next_position() const;
  // The highest connection number seen in this journal, across restarts; number new ones above it.
  ConnectionId highest_connection() const;
  // The last record that is known to be on the disk; nothing before the first one is.
  std::optional<RecordPosition> synced() const;
  // Forces what was written to the disk now.
  [[nodiscard]] Result<void> sync();
  // The last failure of the background thread, once. After one, needs_new_segment() is true: the kernel forgets
  // what it could not write, so that only a new file can be trusted.
  std::optional<Error> take_sync_error();

  // Everything up to here, including it, has been acknowledged by the stream.
  void set_acknowledged(RecordPosition position);
  // Deletes what the policy allows. Call it now and then, with each new segment at least.
  [[nodiscard]] Result<RetentionReport> apply_retention(WallTime now);

  JournalCounters counters() const;

  // Closes the segment in order, forces it to the disk and releases the directory. Nothing else may be called after it.
  [[nodiscard]] Result<void> close();

 private:
  struct State;
  explicit Journal(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace mp::journal
