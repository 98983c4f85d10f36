#pragma once
// What storage notes before it trims messages that a collector may not have read back yet: for each journal, the
// highest position of each subject that is about to leave the stream. A publisher takes positions up to it for
// stored. Kept in the bucket MARKETPRISM under trimmed_key(journal); a text line per subject: "<subject> <position>".

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/raw_record.hpp"
#include "base/result.hpp"
#include "base/time.hpp"

namespace mp::jetstream {

inline constexpr const char* kBucket = "MARKETPRISM";
// Where storage notes what it trimmed.
std::string trimmed_key(std::string_view journal);
// Where a collector writes, every second, after which sequence of the stream it would read back (decimal text):
// trimming up to and including it needs no note.
std::string acked_key(std::string_view journal);

// Where storage notes, for each of its databases, up to which sequence of the stream each data type is stored: a line
// "<type> <sequence>" each. Key: kStoredPrefix, the database, ".", the stream's creation time in ns.
inline constexpr std::string_view kStoredPrefix = "storage.stored.";
bool is_stored_key(std::string_view key, WallTime stream_created);
// The lowest sequence of such a note: everything up to it is stored. Nothing when it cannot be read.
std::optional<std::uint64_t> stored_through_note(std::string_view note);

class TrimNote {
 public:
  // Keeps the higher one.
  void add(std::string_view subject, const EventPosition& highest);
  // All of the other note as well.
  void add(const TrimNote& other);
  const std::map<std::string, EventPosition, std::less<>>& highest() const { return highest_; }
  bool empty() const { return highest_.empty(); }

  std::string text() const;
  static Result<TrimNote> parse(std::string_view text);

 private:
  std::map<std::string, EventPosition, std::less<>> highest_;
};

}  // namespace mp::jetstream
