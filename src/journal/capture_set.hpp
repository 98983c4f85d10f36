#pragma once
// Several capture files played as one recording: one sequence of records, the same each time, whatever the
// order in which the files are named.

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/raw_record.hpp"
#include "journal/journal_id.hpp"

namespace mp::journal {

// Whose data comes from this address; nothing when nobody's that we know.
using SourceOfUrl = std::function<std::optional<Source>(std::string_view url)>;

// The files run side by side, each starting at once with its first line, however far apart their days are; where
// two have a line at the same moment the file with the smaller SHA-256 goes first. Lines of one file keep their
// order, also where their times step back. The sequence:
//
//   - a start record first (unless the only file begins with one itself);
//   - each line as the record that it is, with its own time; an `opened` record before the first frame of a connection
//     that has no connect line, a `closed` one before a second connect line of the same connection;
//   - behind a file's last line a `closed` record for each connection of it that is still open;
//   - a stop record last (unless the only file ends with one itself).
//
// With several files, start and stop lines inside them only close the connections of their own file: the
// others go on. Connections are numbered from 1 in the order in which they appear; the only file's numeric
// `conn` keeps its number where that rises.
// A line's source is its own exchange and market keys, or else what source_of_url says of its url (for a frame: of
// its connection's url). Lines whose source is not known are left out and counted.
class CaptureSet {
 public:
  // Reads every file once, for its SHA-256. Errc::usage: no file, or one given twice.
  [[nodiscard]] static Result<CaptureSet> open(std::vector<std::filesystem::path> files, SourceOfUrl source_of_url);
  CaptureSet(CaptureSet&&) noexcept;
  CaptureSet& operator=(CaptureSet&&) noexcept;
  ~CaptureSet();

  // The first 128 bits of the SHA-256 over the files' SHA-256s in rising order (of the file's own, if it is one).
  const JournalId& journal_id() const;

  // The next record; null at the end and after an error. Its views are valid until the next call, its Source as long as
  // this object; the payload is padded.
  const RawRecord* next();
  // Why next() gave null before the end: a file could not be read, or a line is no capture line.
  const std::optional<Error>& error() const;

  // When the record that next() gave is due, counted from the start of the recording; never steps back.
  Nanos offset() const;

  std::uint64_t skipped_lines() const;
  // The first few urls of skipped lines, for a message.
  const std::vector<std::string>& skipped_urls() const;

 private:
  struct State;
  explicit CaptureSet(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// What a recording is made of, found out by reading it once.
struct CaptureFacts {
  std::filesystem::path path;
  std::string digest;            // SHA-256, 32 bytes
  std::set<Source> sources;      // whose lines it holds, as CaptureSet tells them
  std::optional<WallTime> first; // the earliest of its lines
};
// In the order of their digests. Errc::usage: one content given twice. A line that is no capture line ends the look at its
// file: whoever plays it is told.
[[nodiscard]] Result<std::vector<CaptureFacts>> look_at_captures(const std::vector<std::filesystem::path>& files, const SourceOfUrl& source_of_url);

// Groups of recordings that have a source in common with another of their group: each to be played in its order, by first
// line, then by digest. Different groups have no source in common.
std::vector<std::vector<std::filesystem::path>> in_playing_order(std::vector<CaptureFacts> captures);

// 32 bytes.
[[nodiscard]] Result<std::string> sha256_of_file(const std::filesystem::path& path);

}  // namespace mp::journal
