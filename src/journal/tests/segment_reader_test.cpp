#include "journal/segment_reader.hpp"

#include <gmock/gmock.h>

#include "journal/tests/support.hpp"

namespace mp::journal {
namespace {

using namespace testing_support;
using testing::HasSubstr;

struct SegmentRead {
  bool opened = false;
  std::vector<OwnedRecord> records;
  std::vector<std::uint32_t> numbers;
  std::vector<Damage> damages;
  ReadState last{};
};

SegmentRead read_segment(std::string bytes) {
  SegmentRead read;
  auto reader = SegmentReader::open(memory_source(std::move(bytes)), "memory");
  if (!reader) return read;
  read.opened = true;
  while (true) {
    read.last = reader->next();
    if (read.last == ReadState::record) {
      read.records.push_back(owned(reader->record()));
      read.numbers.push_back(reader->position().record);
    } else if (read.last == ReadState::damaged) {
      read.damages.push_back(reader->damage());
    } else {
      return read;
    }
  }
}

// A closed segment of `groups`, its bytes, and where each group ended.
struct WrittenSegment {
  std::string bytes;
  std::vector<OwnedRecord> records;
  std::vector<std::size_t> ends;             // of the file after the group
  std::vector<std::size_t> records_by_then;  // how many records it held then
};

WrittenSegment write_segment(const std::vector<std::vector<OwnedRecord>>& groups,
                             std::string_view checkpoint = "state") {
  TemporaryDirectory directory;
  JournalOptions options;
  options.directory = directory.path();
  options.config_hash = "c0ffee";
  WrittenSegment segment;
  {
    const auto journal = started_journal(options, checkpoint);
    const auto path = only_segment(directory.path());
    for (const auto& group : groups) {
      EXPECT_TRUE(journal->append(views(group)).has_value());
      segment.records.insert(segment.records.end(), group.begin(), group.end());
      segment.ends.push_back(std::filesystem::file_size(path));
      segment.records_by_then.push_back(segment.records.size());
    }
    EXPECT_TRUE(journal->close().has_value());
    segment.bytes = file_bytes(path);
  }
  return segment;
}

// Several blocks: the second and third group are too large to share one.
std::vector<std::vector<OwnedRecord>> groups_in_three_blocks() {
  auto large = [](std::uint64_t seed) {
    OwnedRecord record = text_record(seed);
    record.payload = std::string(600u << 10, static_cast<char>('a' + seed % 26));
    return record;
  };
  return {assorted_records(), {large(1), text_record(2)},       {text_record(3)},
          {large(4)},         {text_record(5), text_record(6)}, {large(7)}};
}

TEST(SegmentReader, GivesBackEveryKindOfRecordAsItWasWritten) {
  const auto segment = write_segment({assorted_records(), {text_record(2)}});
  const auto read = read_segment(segment.bytes);
  EXPECT_EQ(read.records, segment.records);
  EXPECT_EQ(read.last, ReadState::end);
  EXPECT_TRUE(read.damages.empty());
  for (std::size_t i = 0; i < read.numbers.size(); ++i) EXPECT_EQ(read.numbers[i], i);
}

TEST(SegmentReader, ReadsHeaderAndCheckpoint) {
  const std::string state(300'000, 's');
  const auto segment = write_segment({assorted_records()}, state);
  auto reader = SegmentReader::open(memory_source(segment.bytes), "memory");
  ASSERT_TRUE(reader.has_value());
  EXPECT_EQ(reader->header().segment, 1u);
  EXPECT_EQ(reader->header().config_hash, "c0ffee");
  EXPECT_EQ(reader->header().software, std::string("marketprism ") + kVersion);
  EXPECT_EQ(reader->header().created_at, wall_from_nanos(kStartTime));
  const auto checkpoint = reader->checkpoint();
  ASSERT_TRUE(checkpoint.has_value()) << checkpoint.error().text();
  EXPECT_EQ(checkpoint->state, state);
  EXPECT_TRUE(checkpoint->connections.empty());
}

TEST(SegmentReader, TellsTheAddressOfAFramesConnectionInEveryBlock) {
  const auto segment = write_segment(groups_in_three_blocks());
  auto reader = SegmentReader::open(memory_source(segment.bytes), "memory");
  ASSERT_TRUE(reader.has_value());
  const Source* source = nullptr;
  while (reader->next() == ReadState::record) {
    if (reader->record().connection != 1) continue;
    EXPECT_EQ(reader->connection_url(), "wss://stream.example/stream?streams=a@b/c@d");
    if (source != nullptr) {
      EXPECT_EQ(reader->record().source, source);
    }
    source = reader->record().source;
  }
  EXPECT_EQ(reader->blocks(), 3u);
}

TEST(SegmentReader, PayloadsHaveReadableBytesBehindThem) {
  const auto segment = write_segment({{text_record(1)}});
  auto reader = SegmentReader::open(memory_source(segment.bytes), "memory");
  ASSERT_EQ(reader->next(), ReadState::record);
  const auto payload = reader->record().payload;
  unsigned sum = 0;  // the address sanitizer is what judges this
  for (std::size_t i = 0; i < RawRecord::kFramePadding; ++i)
    sum += static_cast<unsigned char>(payload.data()[payload.size() + i]);
  EXPECT_LE(sum, 255u * RawRecord::kFramePadding);
}

// Whatever the length at which the file was cut: the groups that are whole are read, the rest is
// reported as torn, and nothing is invented.
TEST(SegmentReader, ReadsTheWholeGroupsOfEveryTruncation) {
  const auto segment = write_segment({assorted_records(), {text_record(2)}, {text_record(3), text_record(4)}});
  for (std::size_t length = 0; length <= segment.bytes.size(); ++length) {
    const auto read = read_segment(segment.bytes.substr(0, length));
    ASSERT_EQ(read.opened, length >= kHeaderSize) << length;
    if (!read.opened) continue;
    std::size_t whole = 0;
    bool at_a_boundary = length == kDataOffset;
    for (std::size_t i = 0; i < segment.ends.size(); ++i) {
      if (length < segment.ends[i]) break;
      whole = segment.records_by_then[i];
      at_a_boundary = length == segment.ends[i];
    }
    ASSERT_EQ(read.records.size(), whole) << length;
    ASSERT_TRUE(std::equal(read.records.begin(), read.records.end(), segment.records.begin())) << length;
    ASSERT_TRUE(read.damages.empty()) << length << ": " << read.damages[0].text();
    if (length == segment.bytes.size()) {
      ASSERT_EQ(read.last, ReadState::end);
    } else if (length > kDataOffset + 200 && length < segment.ends[0]) {
      ASSERT_EQ(read.last, ReadState::torn) << length;
    } else if (whole > 0) {
      ASSERT_EQ(read.last, at_a_boundary ? ReadState::no_more_yet : ReadState::torn) << length;
    }
  }
}

TEST(SegmentReader, ATailOfZerosIsTornNotDamaged) {
  const auto segment = write_segment({{text_record(1)}, {text_record(2)}});
  auto bytes = segment.bytes.substr(0, segment.ends[0]);
  bytes.resize(bytes.size() + 5000);
  const auto read = read_segment(bytes);
  EXPECT_EQ(read.records.size(), 1u);
  EXPECT_EQ(read.last, ReadState::torn);
  EXPECT_TRUE(read.damages.empty());
}

// Each byte of a segment inverted in turn. What is promised: the damage is found, no record comes out
// other than it was written, and only records of the damaged group's block from that group on are missing.
TEST(SegmentReader, FindsEveryDamagedByteAndKeepsWhatStandsBesideIt) {
  // Small blocks would need a megabyte each; so one block before and one behind the damaged groups are
  // got by an append that fails, which begins a new block.
  TemporaryDirectory directory;
  JournalOptions options;
  options.directory = directory.path();
  bool fail = false;
  options.write = [&fail](int fd, const void* bytes, std::size_t count) -> ssize_t {
    if (!fail) return ::write(fd, bytes, count);
    errno = ENOSPC;
    return -1;
  };
  const auto journal = started_journal(options);
  const auto path = only_segment(directory.path());
  std::vector<OwnedRecord> records;
  struct Group {
    std::size_t begin, end;   // in the file
    std::size_t first, last;  // records
    int block;
  };
  std::vector<Group> groups;
  const auto put = [&](const std::vector<OwnedRecord>& group, int block) {
    const auto begin = std::filesystem::file_size(path);
    ASSERT_TRUE(journal->append(views(group)).has_value());
    groups.push_back({begin, std::filesystem::file_size(path), records.size(), records.size() + group.size(), block});
    records.insert(records.end(), group.begin(), group.end());
  };
  const auto new_block = [&] {
    fail = true;
    const auto record = text_record(99);
    const auto view = record.view();
    ASSERT_FALSE(journal->append({&view, 1}).has_value());
    fail = false;
  };
  put(assorted_records(), 0);
  put({text_record(1)}, 0);
  new_block();
  put({text_record(2), text_record(3)}, 1);
  put({text_record(4)}, 1);
  put({text_record(5)}, 1);
  new_block();
  put({text_record(6)}, 2);
  put({text_record(7)}, 2);
  ASSERT_TRUE(journal->close().has_value());
  const auto bytes = file_bytes(path);
  ASSERT_EQ(read_segment(bytes).records, records);

  for (std::size_t at = 0; at < bytes.size(); ++at) {
    auto damaged = bytes;
    damaged[at] = static_cast<char>(~damaged[at]);
    auto reader = SegmentReader::open(memory_source(damaged), "memory");
    ASSERT_TRUE(reader.has_value()) << at;
    const bool in_checkpoint = at >= kDataOffset && at < groups[0].begin;
    if (at < kDataOffset) {
      const bool meaningful = at < kHeaderSize || (at >= kHeaderCopyOffset && at < kHeaderCopyOffset + kHeaderSize);
      ASSERT_EQ(reader->header_damage().has_value(), meaningful) << at;
    }
    ASSERT_EQ(reader->checkpoint().has_value(), !in_checkpoint) << at;

    const auto read = read_segment(damaged);
    // Which records may be missing: those of the damaged group and of the groups behind it in its block.
    std::size_t lost_first = 0, lost_last = 0;
    for (const auto& group : groups) {
      if (at < group.begin || at >= group.end) continue;
      lost_first = group.first;
      for (const auto& other : groups)
        if (other.block == group.block) lost_last = other.last;
    }
    std::vector<OwnedRecord> good(records.begin(), records.begin() + static_cast<std::ptrdiff_t>(lost_first));
    good.insert(good.end(), records.begin() + static_cast<std::ptrdiff_t>(lost_last), records.end());
    ASSERT_EQ(read.records, good) << at;
    if (lost_last > lost_first) {
      ASSERT_EQ(read.damages.size(), 1u) << at;
      ASSERT_EQ(read.damages[0].first_record, lost_first) << at;
      ASSERT_EQ(read.damages[0].records, lost_last - lost_first) << at << " " << read.damages[0].text();
    } else if (at >= groups.back().end) {
      ASSERT_EQ(read.damages.size(), 1u) << at;  // the closing note: no record is lost
    }
  }
}

TEST(SegmentReader, CountsWhatIsLostBehindTheLastGoodBlock) {
  auto segment = write_segment({{text_record(1)}, {text_record(2), text_record(3)}, {text_record(4)}});
  auto bytes = segment.bytes.substr(0, segment.ends.back());  // no closing note
  bytes[segment.ends[0] + kGroupHeaderSize] ^= 1;
  const auto read = read_segment(bytes);
  ASSERT_EQ(read.damages.size(), 1u);
  EXPECT_EQ(read.damages[0].records, 3u) << read.damages[0].text();
  EXPECT_EQ(read.records.size(), 1u);
  EXPECT_EQ(read.last, ReadState::no_more_yet);
}

TEST(SegmentReader, AGroupFromAnotherPlaceIsNoGroup) {
  // The same bytes at another offset, or in another segment, do not pass.
  const auto segment = write_segment({{text_record(1)}, {text_record(2)}});
  auto bytes = segment.bytes.substr(0, segment.ends[1]);
  bytes += segment.bytes.substr(segment.ends[0], segment.ends[1] - segment.ends[0]);
  const auto read = read_segment(bytes);
  EXPECT_EQ(read.records.size(), 2u);
  EXPECT_EQ(read.damages.size(), 1u);
}

TEST(SegmentReader, RefusesOtherFilesWithAReason) {
  const auto text = SegmentReader::open(memory_source(std::string(20000, 'x')), "notes.txt");
  ASSERT_FALSE(text.has_value());
  EXPECT_EQ(text.error().code, Errc::corrupt);
  EXPECT_THAT(text.error().text(), HasSubstr("notes.txt"));
  EXPECT_THAT(text.error().text(), HasSubstr("not a journal segment"));
  EXPECT_EQ(SegmentReader::open(memory_source(""), "x").error().code, Errc::unavailable);
}

TEST(SegmentReader, BytesBehindTheClosingNoteAreDamage) {
  auto segment = write_segment({{text_record(1)}});
  const auto read = read_segment(segment.bytes + "tail");
  ASSERT_EQ(read.damages.size(), 1u);
  EXPECT_EQ(read.damages[0].bytes, 4u);
  EXPECT_EQ(read.last, ReadState::end);
}

}  // namespace
}  // namespace mp::journal
