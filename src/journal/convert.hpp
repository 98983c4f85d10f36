#pragma once
// Captures into a journal and back.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "journal/capture_set.hpp"
#include "journal/inspect.hpp"

namespace mp::journal {

struct ConvertedCaptures {
  JournalId id;
  std::uint64_t records = 0;
  std::uint32_t segments = 0;
  std::uint64_t bytes = 0;  // on disk
  std::uint64_t payload_bytes = 0;
  std::uint64_t skipped_lines = 0;  // whose source is not known
  std::vector<std::string> skipped_urls;
  std::uint64_t broken_lines = 0;  // that could not be read; they stand in the journal as `unreadable` records
  std::vector<Error> broken;       // the first few
};

// Writes the files as one journal (see CaptureSet) into `directory`, which must not hold one. The same files give the
// same bytes. Errors leave what was written so far. Errc::usage, and nothing is made: a file of which no line can be
// read.
[[nodiscard]] Result<ConvertedCaptures> write_captures_as_journal(std::vector<std::filesystem::path> files,
                                                                  const SourceOfUrl& source_of_url,
                                                                  const std::filesystem::path& directory,
                                                                  std::uint64_t segment_bytes = 256ull << 20);

// Which records to print; everything by default.
struct RecordSelection {
  std::optional<WallTime> from;  // received at or after
  std::optional<WallTime> to;    // received before
  std::set<std::string> exchanges;
  std::optional<std::string> market;
  std::optional<std::uint32_t> segment;
};

// Where capture lines go. False: stop, nobody reads them any more.
using LineSink = std::function<bool(std::string_view lines)>;

struct PrintedRecords {
  std::uint64_t records = 0;
  std::uint64_t printed = 0;
  std::uint64_t lost_records = 0;
  std::vector<std::string> losses;
};

// Prints records as capture lines, in the order of their positions. Damage is passed over and told in the result.
[[nodiscard]] Result<PrintedRecords> print_capture_lines(const JournalFiles& journal, const RecordSelection& selection,
                                                         const LineSink& sink);

}  // namespace mp::journal
