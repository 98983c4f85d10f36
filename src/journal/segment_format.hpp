#pragma once
// The bytes of a segment file, above the records: headers of segments and groups. Pure.
// docs/journal.md has the picture and the reasons.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/raw_record.hpp"
#include "journal/journal_id.hpp"

namespace mp::journal {

inline constexpr std::uint32_t kFormatVersion = 1;

// The segment's header stands twice, a disk page apart, so that one damaged page does not cost the segment.
inline constexpr std::uint64_t kHeaderCopyOffset = 4096;
inline constexpr std::uint64_t kDataOffset = 8192;
inline constexpr std::size_t kHeaderSize = 512;     // bytes of a copy that mean something
inline constexpr std::size_t kMaxHeaderText = 128;  // of software and config_hash

inline constexpr std::size_t kGroupHeaderSize = 16;
inline constexpr std::size_t kMaxGroupRecords = 65535;
inline constexpr std::size_t kMaxPayload = 64u << 20;
inline constexpr std::size_t kMaxUrl = 1u << 20;
inline constexpr std::size_t kMaxBlockRaw = 1u << 20;                   // a block takes no further group beyond
inline constexpr std::size_t kMaxGroupRaw = kMaxPayload + (16u << 20);  // no reader unpacks more
inline constexpr std::size_t kMaxCheckpoint = 1u << 30;

struct SegmentHeader {
  JournalId journal;
  std::uint32_t segment = 0;
  WallTime created_at;
  std::string software;     // "marketprism 0.1.0"
  std::string config_hash;  // of the collector that wrote it
  // The segment before this one and how many records it held when this one began; 0: none known.
  // With these a segment that was cut off exactly between two groups is found out.
  std::uint32_t previous_segment = 0;
  std::uint32_t previous_records = 0;
  // Records of the whole journal before this segment, deleted segments included.
  std::uint64_t records_before = 0;

  friend bool operator==(const SegmentHeader&, const SegmentHeader&) = default;
};

// kDataOffset bytes: both copies. Texts beyond kMaxHeaderText are cut.
std::string encode_segment_header(const SegmentHeader& header);
// From one copy (kHeaderSize bytes).
[[nodiscard]] Result<SegmentHeader> decode_segment_header(std::string_view copy);

enum class GroupType : char {
  checkpoint = 'K',  // first in the file
  block = 'B',       // begins a block: its zstd frame starts here, it needs nothing before it
  more = 'G',        // continues the block
  end = 'E',         // the writer closed the segment; nothing follows
};

struct GroupHeader {
  GroupType type{};
  std::uint16_t records = 0;
  std::uint32_t stored = 0;  // bytes that follow the header
  std::uint32_t stored_crc = 0;
};

// Checks groups against the place where they stand, so that no bytes from elsewhere (another
// segment, a payload that looks like a group) pass for a group of this segment.
class GroupCheck {
 public:
  GroupCheck() = default;
  GroupCheck(const JournalId& journal, std::uint32_t segment);

  // kGroupHeaderSize bytes.
  void encode(const GroupHeader& header, std::uint64_t offset, char* to) const;
  // Nothing when the bytes are no group header that was written at this offset.
  std::optional<GroupHeader> decode(std::string_view bytes, std::uint64_t offset) const;

 private:
  std::uint32_t seed_ = 0;
};

// What stands in front of a group header, to look for after damage.
inline constexpr char kGroupMark = '\xA7';

struct OpenConnection {
  ConnectionId id = 0;
  Source source;
  std::string url;
  friend bool operator==(const OpenConnection&, const OpenConnection&) = default;
};

// What a segment starts with: whatever its writer's sessions need to go on from here, and the
// connections that are open.
struct Checkpoint {
  std::vector<OpenConnection> connections;  // by rising id
  ConnectionId highest_connection = 0;      // ever used in this journal, as far as the writer knew
  std::string state;                        // opaque
  friend bool operator==(const Checkpoint&, const Checkpoint&) = default;
};

void encode_checkpoint(std::string& out, const Checkpoint& checkpoint);
[[nodiscard]] Result<Checkpoint> decode_checkpoint(std::string_view bytes);

// The last group of a segment that was closed in order.
struct SegmentEnd {
  std::uint32_t records = 0;
  ConnectionId highest_connection = 0;
  std::int64_t first_time = 0;  // receive times in nanoseconds: earliest and latest; 0 without records
  std::int64_t last_time = 0;
  std::uint64_t raw_bytes = 0;  // before compression
  friend bool operator==(const SegmentEnd&, const SegmentEnd&) = default;
};
inline constexpr std::size_t kSegmentEndSize = 32;

void encode_segment_end(std::string& out, const SegmentEnd& end);
[[nodiscard]] std::optional<SegmentEnd> decode_segment_end(std::string_view bytes);

}  // namespace mp::journal
