#pragma once
// Reads a whole journal across its segments, and follows it to its head while it is being written.

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "journal/directory.hpp"

namespace mp::journal {

// What Cursor::next() found.
enum class CursorState {
  segment,  // a segment begins: header() and checkpoint() are its own
  record,   // record() and position()
  at_head,  // no more yet; call again when more was written
  loss,     // loss() tells what is missing or damaged; the next call goes on behind it
  failed,   // error(); the next call tries again
};

// Owned by one thread, which need not be the writer's.
class Cursor {
 public:
  // Begins at the start of the segment of `from` (at its checkpoint), not at `from` itself: what is decided from a
  // record depends on those before it, so the caller decodes them silently up to `from`. When that segment is
  // not on disk, a loss is told first if there is a later one, and the cursor begins there. (No loss when that one says
  // that there was nothing from `from` on: what is acknowledged to its end may have been deleted.)
  // {0, 0} begins at the oldest segment.
  [[nodiscard]] static Result<Cursor> open(const std::filesystem::path& directory, RecordPosition from);
  Cursor(Cursor&&) noexcept;
  Cursor& operator=(Cursor&&) noexcept;
  ~Cursor();

  [[nodiscard]] CursorState next();

  // Valid until the next call of next(), as with SegmentReader; Sources as long as the cursor.
  const RawRecord& record() const;
  RecordPosition position() const;
  std::string_view connection_url() const;

  // Of the segment being read. Precondition: a segment was told.
  const SegmentHeader& header() const;
  [[nodiscard]] Result<Checkpoint> checkpoint();

  // What is missing: "segment 12, bytes …: …; 3 records lost from 45 on". An unfinished group at the end of a segment
  // whose writer was killed is no loss: nobody was told that it was written.
  const std::string& loss() const;
  // Records known to be lost by all losses so far.
  std::uint64_t lost_records() const;
  const Error& error() const;

 private:
  struct State;
  explicit Cursor(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace mp::journal
