// Whatever a segment file holds, reading it ends, stays in its memory, and gives no record beyond
// what its groups announce. The checksums would keep a fuzzer outside, so it is let in behind them: the first
// byte of the input says whether the rest is a file, the records of a group before compression, or groups that
// are given right checksums.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "journal/bytes.hpp"
#include "journal/capture_line.hpp"
#include "journal/crc32c.hpp"
#include "journal/segment_reader.hpp"
#include "journal/zstd_stream.hpp"

namespace {

using namespace mp;
using namespace mp::journal;

void must(bool holds) {
  if (!holds) std::abort();
}

void touch(const RawRecord& record) {
  unsigned sum = 0;
  for (std::size_t i = 0; i < record.payload.size() + RawRecord::kFramePadding; ++i)
    sum += static_cast<unsigned char>(record.payload.data()[i]);
  for (const char c : record.url) sum += static_cast<unsigned char>(c);
  must(sum < 0xFFFFFFFF);  // so that the reading is not left out
}

void read_file(std::string bytes) {
  const auto size = bytes.size();
  auto reader = SegmentReader::open(memory_source(std::move(bytes)), "fuzz");
  if (!reader) return;
  (void)reader->checkpoint();
  // Each state but `record` moves forward or ends; more steps than this would be a loop.
  std::size_t steps = 0;
  while (true) {
    must(++steps < 70'000 * (size / kGroupHeaderSize + 2));
    const auto state = reader->next();
    if (state == ReadState::record) {
      touch(reader->record());
      (void)reader->connection_url();
      // What was read can be printed.
      std::string line;
      append_capture_line(line, capture_line_of(reader->record(), reader->connection_url(), "1"));
    } else if (state != ReadState::damaged) {
      break;
    }
  }
}

void read_records(std::string_view raw) {
  SourceTable sources;
  RecordDecoder decoder(sources);
  std::string padded(raw);
  padded.resize(raw.size() + RawRecord::kFramePadding);
  decoder.begin_block();
  decoder.begin_group(std::string_view(padded).substr(0, raw.size()));
  RawRecord record;
  while (decoder.next(record) == RecordDecoder::Next::record) touch(record);
}

// Groups of the form: type, records, length of what follows (two bytes each but the first), bytes before compression.
std::string file_of_groups(std::string_view input) {
  SegmentHeader header;
  header.segment = 1;
  const GroupCheck check(header.journal, header.segment);
  auto file = encode_segment_header(header);
  BlockCompressor compressor(1);
  ByteReader in(input);
  std::uint32_t records = 0;
  compressor.begin_block();
  while (!in.left().empty()) {
    GroupHeader group;
    static constexpr GroupType kTypes[] = {GroupType::block, GroupType::more, GroupType::checkpoint, GroupType::end};
    const auto choice = in.fixed<std::uint8_t>();
    group.type = kTypes[choice % 4];
    group.records = in.fixed<std::uint16_t>();
    const auto length = in.fixed<std::uint16_t>();
    const auto raw = in.bytes(std::min<std::size_t>(length, in.left().size()));
    std::string stored;
    if (group.type == GroupType::block) {
      compressor.begin_block();
      put_fixed(stored, records + (choice >> 6));  // now and then a number that does not continue
    }
    if ((choice & 0x20) != 0 || group.type == GroupType::end)
      stored += raw;  // as it is
    else if (group.type == GroupType::checkpoint)
      append_compressed(stored, raw, 1);
    else
      compressor.append_group(stored, raw);
    records += group.records;
    group.stored = static_cast<std::uint32_t>(stored.size());
    group.stored_crc = crc32c(0, stored);
    const auto at = file.size();
    file.resize(at + kGroupHeaderSize);
    check.encode(group, at, file.data() + at);
    file += stored;
  }
  return file;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string input(data + 1, data + size);
  switch (data[0] % 3) {
    case 0: read_file(input); break;
    case 1: read_records(input); break;
    default: read_file(file_of_groups(input)); break;
  }
  return 0;
}
