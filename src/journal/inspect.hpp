#pragma once
// Journals as a user names them: which segments a path means, and whether they are sound.

#include <filesystem>
#include <string>
#include <vector>

#include "journal/directory.hpp"

namespace mp::journal {

// Segments that belong together, by rising number.
struct JournalFiles {
  std::filesystem::path directory;  // of the journal; the file's own folder when a single file was named
  std::optional<JournalId> id;      // nothing when the directory has none that can be read
  bool whole = false;               // all segments of the journal, not a selection of them
  std::vector<SegmentFile> segments;
};

// What `path` means: a journal directory, a directory of journals (data/journal), a day's directory in a
// journal, or one segment file. Errc::usage when it is none of these, saying what was expected.
[[nodiscard]] Result<std::vector<JournalFiles>> find_journals(const std::filesystem::path& path);

// What reading a segment from end to end found.
struct SegmentVerdict {
  SegmentFile file;
  SegmentSummary summary;
  std::vector<std::string> damages;  // bytes that are not as they were written, records that are missing
  std::vector<std::string> notes;    // worth knowing, nothing is lost
  std::uint32_t groups = 0;
  std::uint32_t blocks = 0;
  std::uint64_t checkpoint_bytes = 0;
};

// Checks every checksum, the checkpoint, the order of positions and times, and that the notes in header and
// closing note agree with what is there. `before`: up to where the journal was verified so far; updated.
SegmentVerdict verify_segment(const JournalFiles& journal, const SegmentFile& file,
                              std::optional<SegmentReached>& before);

}  // namespace mp::journal
