#pragma once
// The segments of a journal directory: <directory>/<UTC day>/<n>.mpj, beside them `id` and `lock`.

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "journal/segment_reader.hpp"

namespace mp::journal {

inline constexpr const char* kIdFile = "id";
inline constexpr const char* kLockFile = "lock";
// The highest segment number that was ever given out, in decimal: a power cut may cost whole segments, but their
// numbers stay used, since the stream may hold positions of them.
inline constexpr const char* kNumberedFile = "numbered";
inline constexpr const char* kSegmentSuffix = ".mpj";

struct SegmentFile {
  std::uint32_t number = 0;
  std::string day;  // "2026-11-22"
  std::filesystem::path path;
  std::uint64_t bytes = 0;
};

// For messages: "segment 12", or the path of a file that is not numbered as a segment is.
std::string name_of(const SegmentFile& file);

// By rising number. A directory without segments gives an empty list; Errc::io when it cannot be read.
// Errc::conflict when two files have one number.
[[nodiscard]] Result<std::vector<SegmentFile>> list_segments(const std::filesystem::path& directory);

[[nodiscard]] Result<JournalId> read_journal_id(const std::filesystem::path& directory);

// <directory>/2026-11-22/00000012.mpj
std::filesystem::path segment_path(const std::filesystem::path& directory, const std::string& day,
                                   std::uint32_t number);

// What a segment holds, at a glance.
struct SegmentSummary {
  SegmentHeader header;
  std::uint32_t records = 0;
  std::optional<WallTime> first_time;  // receive times, earliest and latest
  std::optional<WallTime> last_time;
  ConnectionId highest_connection = 0;
  std::uint64_t raw_bytes = 0;
  bool closed = false;           // its writer closed it; otherwise it is being written, or its writer was killed
  std::uint64_t torn_bytes = 0;  // of an unfinished group at its end
  std::uint64_t damages = 0;     // known only when the whole was read
  std::uint32_t lost_records = 0;
};

// Reads the closing note, or the whole segment when there is none.
[[nodiscard]] Result<SegmentSummary> summarize(const SegmentFile& file);
// Reads the whole segment.
[[nodiscard]] Result<SegmentSummary> summarize_all(SegmentReader& reader);

// Up to where a journal has been read.
struct SegmentReached {
  std::uint32_t segment = 0;
  std::optional<std::uint32_t> records;  // that it held; nothing when it could not be read at all
};
struct MissingRecords {
  std::uint64_t records = 0;  // known to be missing
  std::string what;
};
// What the header of the segment read next says that should have been found before it.
std::optional<MissingRecords> missing_before(const SegmentHeader& next, const SegmentReached& reached);

}  // namespace mp::journal
