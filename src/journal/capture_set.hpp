#pragma once
// Several capture files played as one recording: one sequence of records, the same each time, whatever the
// order in which the files are named.

#include <filesystem>
#include <functional>
#include <map>
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
// A line that cannot be read is an `unreadable` record of the source of the line before it (of the first line behind
// it, at a file's beginning), with that line's time; the next line goes on. It is told in broken() and counted. No
// record comes of a last line without line end (the file may go on there), nor of broken lines beyond a bound between
// two good ones. A line's source is its own exchange and market keys, or else what source_of_url says of its url (for a
// frame: of its connection's url). Lines whose source is not known are left out and counted.
//
// A recording that may be continued (open_part) ends otherwise: see there.
class CaptureSet {
 public:
  // Up to where a recording was played at some time, and what its end was.
  struct Boundary {
    std::uint64_t bytes = 0;
    // Whether the connections that were open there were closed; nothing: that is still to be decided.
    std::optional<bool> closed;
  };

  // Reads every file once, for its SHA-256. Errc::usage: no file, or one given twice.
  [[nodiscard]] static Result<CaptureSet> open(std::vector<std::filesystem::path> files, SourceOfUrl source_of_url);
  // One file, of which the last boundary's bytes are read: a recording that ends there for now, and may be longer
  // another time. There is no stop record. At each boundary a flush record of each source stands, so that what is due
  // comes out, and then `closed` records of the open connections if its `closed` says so. At one that is undecided
  // next() gives null and at_boundary() is true until resume().
  [[nodiscard]] static Result<CaptureSet> open_part(const std::filesystem::path& file, std::vector<Boundary> boundaries,
                                                    SourceOfUrl source_of_url);
  CaptureSet(CaptureSet&&) noexcept;
  CaptureSet& operator=(CaptureSet&&) noexcept;
  ~CaptureSet();

  // The first 128 bits of the SHA-256 over the files' SHA-256s in rising order (of the file's own, if it is one).
  const JournalId& journal_id() const;

  // The next record; null at the end and after an error. Its views are valid until the next call, its Source as long as
  // this object; the payload is padded.
  const RawRecord* next();
  // Why next() gave null before the end: a file could not be read.
  const std::optional<Error>& error() const;

  bool at_boundary() const;
  // The `closed` records of what is open at the boundary; valid until resume().
  const std::vector<RawRecord>& closing() const;
  // `closed`: those records have been played.
  void resume(bool closed);

  // When the record that next() gave is due, counted from the start of the recording; never steps back.
  Nanos offset() const;

  // Lines that could not be read so far; the errors of the first few.
  std::uint64_t broken_lines() const;
  const std::vector<Error>& broken() const;
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
  std::string digest;                   // SHA-256, 32 bytes
  std::set<Source> sources;             // whose lines it holds, as CaptureSet tells them
  std::optional<WallTime> first, last;  // the earliest and the latest of its lines
  std::uint64_t lines = 0;              // that can be read
  // How many bytes can be played: all, or all before a last line that is cut short, and why that cannot be read.
  std::uint64_t bytes = 0;
  std::optional<Error> cut_short;
};
// In the order of their digests. Errc::usage: one content given twice; a file with lines of which none can be read.
[[nodiscard]] Result<std::vector<CaptureFacts>> look_at_captures(const std::vector<std::filesystem::path>& files,
                                                                 const SourceOfUrl& source_of_url);

// Groups of recordings that have a source in common with another of their group: each to be played in its order, by
// first line, then by digest. Different groups have no source in common.
std::vector<std::vector<std::filesystem::path>> in_playing_order(std::vector<CaptureFacts> captures);

// 32 bytes.
[[nodiscard]] Result<std::string> sha256_of_file(const std::filesystem::path& path);
// Of the first so many bytes, by their number; without those that the file does not have.
[[nodiscard]] Result<std::map<std::uint64_t, std::string>> sha256_of_beginnings(const std::filesystem::path& path,
                                                                                const std::set<std::uint64_t>& lengths);

}  // namespace mp::journal
