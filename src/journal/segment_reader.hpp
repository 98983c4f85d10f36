#pragma once
// Reads one segment, record by record, also while it is being written.

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "journal/byte_source.hpp"
#include "journal/record_codec.hpp"
#include "journal/segment_format.hpp"

namespace mp::journal {

// Bytes of a segment that cannot be read as what was written.
struct Damage {
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
  std::uint32_t first_record = 0;        // the first one lost, if any is
  std::optional<std::uint32_t> records;  // how many were lost; nothing when it cannot be known
  std::string what;

  // "bytes 8192 to 9000: checksum is wrong; 12 records lost from 34 on"
  std::string text() const;
};

// What next() found.
enum class ReadState {
  record,       // record() is the next one
  end,          // the writer closed the segment here
  no_more_yet,  // the file ends behind a whole group: still being written, or its writer was killed
  torn,         // the file ends inside a group: being written just now, or its writer was killed
  damaged,      // damage() tells; the next call goes on behind it
  failed,       // the file could not be read: error()
};

// Owned by one thread. Records, their Sources and connections are valid as documented at each function.
class SegmentReader {
 public:
  // Errc::corrupt when neither copy of the header is good; Errc::refused for another format version.
  [[nodiscard]] static Result<SegmentReader> open(const std::filesystem::path& path);
  [[nodiscard]] static Result<SegmentReader> open(std::unique_ptr<ByteSource> source, std::string name);
  SegmentReader(SegmentReader&&) noexcept;
  SegmentReader& operator=(SegmentReader&&) noexcept;
  ~SegmentReader();

  const SegmentHeader& header() const;
  // Which of the header's two copies is damaged; nothing when both are good.
  const std::optional<Damage>& header_damage() const;

  // The checkpoint that the segment starts with. May be called at any time.
  // Errc::corrupt when it is damaged (the records still decode); Errc::unavailable when the file ends before it.
  [[nodiscard]] Result<Checkpoint> checkpoint();

  // After end, no_more_yet, torn and failed it may be called again: it looks for what was written since.
  [[nodiscard]] ReadState next();

  // The views are valid until the next call of next(); the payload is padded. The Source lives as
  // long as this reader (or the table given to share_sources()).
  const RawRecord& record() const;
  RecordPosition position() const;
  // Address and source of the record's connection ("" and null when it has none or none was noted).
  std::string_view connection_url() const;

  const Damage& damage() const;
  const Error& error() const;
  // After end: what the writer noted about the whole segment.
  const SegmentEnd& closing_note() const;

  std::uint32_t next_record() const;  // number of the record expected next
  std::uint64_t offset() const;       // everything before it has been read
  std::uint64_t raw_bytes() const;    // of the records read so far, before compression
  std::uint32_t groups() const;
  std::uint32_t blocks() const;
  // After torn: how many bytes the unfinished group has.
  std::uint64_t torn_bytes() const;

  // Sources come from this table instead of the reader's own; call before the first next().
  void share_sources(std::shared_ptr<SourceTable> sources);

 private:
  struct State;
  explicit SegmentReader(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace mp::journal
