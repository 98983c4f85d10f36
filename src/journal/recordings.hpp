#pragma once
// Which journal each recorded file is played into: its own, or, when the file is a longer copy of one that was played
// into this data directory before, that one's, which goes on (docs/decisions/0007-a-journal-for-each-recording.md).
//
// Each such journal's directory notes what it holds: in `recording` up to where the file was played (length and SHA-256
// of that beginning), in `lines` a hash of each line that came over a websocket, but for very short ones. By these the
// lines of a file that overlaps another are known.

#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "journal/capture_set.hpp"
#include "journal/journal_id.hpp"

namespace mp::journal {

inline constexpr const char* kRecordingFile = "recording";
inline constexpr const char* kLinesFile = "lines";

// A length up to which the file was played.
struct RecordingPart {
  std::uint64_t bytes = 0;
  std::string digest;  // SHA-256 of these, 32 bytes
  std::optional<bool>
      closed;        // CaptureSet::Boundary::closed; nothing: it has not been played to there, or not to its end
  std::string path;  // for messages
};

struct RecordingNote {
  std::vector<RecordingPart> parts;  // each longer than the one before; all but the last have been played to their end
  std::set<Source> sources;
  WallTime first, last;
};

// Nothing where there is none. Errc::corrupt: it cannot be read, and what to do.
[[nodiscard]] Result<std::optional<RecordingNote>> read_recording_note(const std::filesystem::path& directory);
// Whole or not at all, and on the disk.
[[nodiscard]] Result<void> write_recording_note(const std::filesystem::path& directory, const RecordingNote& note);

struct PlannedRecording {
  std::filesystem::path path;
  std::filesystem::path directory;  // of its journal
  JournalId id;                     // of its journal
  RecordingNote note;               // with this file as its last part
  bool is_new_part = true;          // the note is to be written before the first record is
  std::uint64_t goes_on_from = 0;   // bytes that were played before; 0: a new recording
  std::optional<Error> cut_short;
  // Valid for CaptureSet::open_part.
  std::vector<CaptureSet::Boundary> boundaries() const;
};

struct RecordingPlan {
  // As in_playing_order() has it.
  std::vector<std::vector<PlannedRecording>> groups;
  // Files that hold nothing that is not played from another one, and why.
  struct LeftOut {
    std::filesystem::path path;
    std::string why;
  };
  std::vector<LeftOut> left_out;
};

// Reads every file, changes nothing. `journals`: the directory whose folders replay-… are their journals.
// Errc::usage: as look_at_captures; or two recordings have lines in common, and none holds the other: both are named.
[[nodiscard]] Result<RecordingPlan> plan_recordings(const std::vector<std::filesystem::path>& files,
                                                    const SourceOfUrl& source_of_url,
                                                    const std::filesystem::path& journals);

// Notes in the journal's directory what will be played: before its first record.
[[nodiscard]] Result<void> claim_recording(const PlannedRecording& recording);
// The part that ends at `bytes` has been played, and all its records are on the disk.
[[nodiscard]] Result<void> settle_recording(PlannedRecording& recording, std::uint64_t bytes, bool closed);

// Two recordings whose lines overlap as one: all of the earlier one, then what the later one has behind their last
// common line, byte for byte.
struct JoinedCaptures {
  std::uint64_t common = 0;         // lines that both hold
  std::uint64_t earlier_bytes = 0;  // of the earlier file: all, or all before a last line that is cut short
  bool earlier_ends_its_line = true;
  std::uint64_t later_from = 0;  // byte of the later file
};
// Errc::usage: they have nothing in common, or the later one has lines before their last common one that the earlier
// one has not; names the first.
[[nodiscard]] Result<JoinedCaptures> join_captures(const std::filesystem::path& earlier,
                                                   const std::filesystem::path& later);

}  // namespace mp::journal
