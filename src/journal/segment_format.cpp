#include "journal/segment_format.hpp"

#include <fmt/format.h>

#include "journal/bytes.hpp"
#include "journal/crc32c.hpp"

namespace mp::journal {
namespace {

constexpr std::string_view kMagic{"MPJRNL\r\n", 8};  // \r\n: a transfer as text shows at once

std::string encode_header_copy(const SegmentHeader& header) {
  std::string copy(kMagic);
  put_fixed(copy, kFormatVersion);
  for (const auto byte : header.journal.bytes) copy.push_back(static_cast<char>(byte));
  put_fixed(copy, header.segment);
  put_fixed(copy, nanos_since_epoch(header.created_at));
  put_fixed(copy, header.previous_segment);
  put_fixed(copy, header.previous_records);
  put_fixed(copy, header.records_before);
  put_text(copy, std::string_view(header.software).substr(0, kMaxHeaderText));
  put_text(copy, std::string_view(header.config_hash).substr(0, kMaxHeaderText));
  copy.resize(kHeaderSize - 4);
  put_fixed(copy, crc32c(0, copy));
  return copy;
}

Error corrupt(std::string what) { return {Errc::corrupt, "segment header", std::move(what)}; }

}  // namespace

std::string encode_segment_header(const SegmentHeader& header) {
  const auto copy = encode_header_copy(header);
  std::string out = copy;
  out.resize(kHeaderCopyOffset);
  out += copy;
  out.resize(kDataOffset);
  return out;
}

Result<SegmentHeader> decode_segment_header(std::string_view copy) {
  if (copy.size() < kHeaderSize) return corrupt(fmt::format("only {} bytes", copy.size()));
  copy = copy.substr(0, kHeaderSize);
  if (!copy.starts_with(kMagic)) return corrupt("not a journal segment (wrong first bytes)");
  if (load_fixed<std::uint32_t>(copy.data() + kHeaderSize - 4) != crc32c(0, copy.substr(0, kHeaderSize - 4)))
    return corrupt("checksum is wrong");
  ByteReader in(copy.substr(kMagic.size()));
  const auto version = in.fixed<std::uint32_t>();
  if (version != kFormatVersion)
    return Error{Errc::refused, "segment header",
                 fmt::format("format version {}; this program reads {}", version, kFormatVersion)};
  SegmentHeader header;
  for (auto& byte : header.journal.bytes) byte = in.fixed<std::uint8_t>();
  header.segment = in.fixed<std::uint32_t>();
  header.created_at = wall_from_nanos(in.fixed<std::int64_t>());
  header.previous_segment = in.fixed<std::uint32_t>();
  header.previous_records = in.fixed<std::uint32_t>();
  header.records_before = in.fixed<std::uint64_t>();
  header.software = std::string(in.text());
  header.config_hash = std::string(in.text());
  if (!in.ok()) return corrupt("texts do not fit");
  return header;
}

GroupCheck::GroupCheck(const JournalId& journal, std::uint32_t segment) {
  std::string place;
  for (const auto byte : journal.bytes) place.push_back(static_cast<char>(byte));
  put_fixed(place, segment);
  seed_ = crc32c(0, place);
}

namespace {

// The 12 bytes in front of the checksum.
constexpr std::size_t kCheckedHeader = kGroupHeaderSize - 4;

std::uint32_t header_crc(std::uint32_t seed, std::uint64_t offset, const char* header) {
  char bytes[8 + kCheckedHeader];
  std::memcpy(bytes, &offset, 8);
  std::memcpy(bytes + 8, header, kCheckedHeader);
  return crc32c(seed, {bytes, sizeof bytes});
}

bool known_type(char c) {
  switch (static_cast<GroupType>(c)) {
    case GroupType::checkpoint:
    case GroupType::block:
    case GroupType::more:
    case GroupType::end: return true;
  }
  return false;
}

}  // namespace

void GroupCheck::encode(const GroupHeader& header, std::uint64_t offset, char* to) const {
  to[0] = kGroupMark;
  to[1] = static_cast<char>(header.type);
  std::memcpy(to + 2, &header.records, 2);
  std::memcpy(to + 4, &header.stored, 4);
  std::memcpy(to + 8, &header.stored_crc, 4);
  const auto crc = header_crc(seed_, offset, to);
  std::memcpy(to + kCheckedHeader, &crc, 4);
}

std::optional<GroupHeader> GroupCheck::decode(std::string_view bytes, std::uint64_t offset) const {
  if (bytes.size() < kGroupHeaderSize || bytes[0] != kGroupMark || !known_type(bytes[1])) return std::nullopt;
  if (load_fixed<std::uint32_t>(bytes.data() + kCheckedHeader) != header_crc(seed_, offset, bytes.data()))
    return std::nullopt;
  return GroupHeader{static_cast<GroupType>(bytes[1]), load_fixed<std::uint16_t>(bytes.data() + 2),
                     load_fixed<std::uint32_t>(bytes.data() + 4), load_fixed<std::uint32_t>(bytes.data() + 8)};
}

void encode_checkpoint(std::string& out, const Checkpoint& checkpoint) {
  put_varint(out, checkpoint.highest_connection);
  put_varint(out, checkpoint.connections.size());
  for (const auto& connection : checkpoint.connections) {
    put_varint(out, connection.id);
    put_text(out, connection.source.exchange);
    put_text(out, connection.source.market);
    put_text(out, connection.url);
  }
  out += checkpoint.state;
}

Result<Checkpoint> decode_checkpoint(std::string_view bytes) {
  ByteReader in(bytes);
  Checkpoint checkpoint;
  checkpoint.highest_connection = static_cast<ConnectionId>(in.varint());
  const auto count = in.varint();
  for (std::uint64_t i = 0; i < count && in.ok(); ++i) {
    OpenConnection connection;
    connection.id = static_cast<ConnectionId>(in.varint());
    connection.source.exchange = std::string(in.text());
    connection.source.market = std::string(in.text());
    connection.url = std::string(in.text());
    checkpoint.connections.push_back(std::move(connection));
  }
  if (!in.ok()) return Error{Errc::corrupt, "checkpoint", "its table of connections does not fit"};
  checkpoint.state = std::string(in.left());
  return checkpoint;
}

void encode_segment_end(std::string& out, const SegmentEnd& end) {
  put_fixed(out, end.records);
  put_fixed(out, end.highest_connection);
  put_fixed(out, end.first_time);
  put_fixed(out, end.last_time);
  put_fixed(out, end.raw_bytes);
}

std::optional<SegmentEnd> decode_segment_end(std::string_view bytes) {
  if (bytes.size() != kSegmentEndSize) return std::nullopt;
  ByteReader in(bytes);
  SegmentEnd end;
  end.records = in.fixed<std::uint32_t>();
  end.highest_connection = in.fixed<std::uint32_t>();
  end.first_time = in.fixed<std::int64_t>();
  end.last_time = in.fixed<std::int64_t>();
  end.raw_bytes = in.fixed<std::uint64_t>();
  return end;
}

}  // namespace mp::journal
