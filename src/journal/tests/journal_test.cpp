#include "journal/journal.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <fstream>
#include <random>
#include <thread>

#include "journal/files.hpp"
#include "journal/tests/support.hpp"

namespace {
std::vector<std::string> forced_to_the_disk;  // by fsync(): directories
}

// In place of libc's, so that a test can see which names a power cut would leave.
extern "C" int fsync(int fd) {
  std::error_code ignored;
  forced_to_the_disk.push_back(std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(fd), ignored).string());
  return static_cast<int>(::syscall(SYS_fsync, fd));
}

namespace mp::journal {
namespace {

using namespace testing_support;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
namespace fs = std::filesystem;

WallTime at(std::int64_t seconds) { return wall_from_nanos(kStartTime) + std::chrono::seconds(seconds); }

struct JournalTest : testing::Test {
  TemporaryDirectory directory;
  JournalOptions options() {
    JournalOptions o;
    o.directory = directory.path() / "journal" / "main";
    return o;
  }
  std::vector<std::uint32_t> numbers_on_disk() {
    std::vector<std::uint32_t> numbers;
    for (const auto& file : *list_segments(options().directory)) numbers.push_back(file.number);
    return numbers;
  }
};

TEST_F(JournalTest, WhatIsAppendedIsReadBackWithItsPositions) {
  const auto records = assorted_records();
  const auto journal = started_journal(options());
  const auto first = journal->append(views(records));
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(*first, (RecordPosition{1, 0}));
  EXPECT_EQ(append_one(*journal, text_record(1)), (RecordPosition{1, static_cast<std::uint32_t>(records.size())}));
  const auto read = read_all(options().directory);
  auto expected = records;
  expected.push_back(text_record(1));
  // Its connection was never told, so all that is known of it is its source.
  EXPECT_EQ(read.records, expected);
  EXPECT_EQ(read.positions.back(), (RecordPosition{1, static_cast<std::uint32_t>(records.size())}));
  EXPECT_TRUE(read.losses.empty());
  EXPECT_EQ(journal->highest_connection(), 2u);
}

TEST_F(JournalTest, LaysSegmentsOutByDayWithIdAndLockBeside) {
  auto journal = started_journal(options());
  EXPECT_TRUE(fs::exists(options().directory / "2023-11-14" / "00000001.mpj"));
  EXPECT_EQ(read_journal_id(options().directory).value(), journal->id());
  EXPECT_EQ(file_bytes(options().directory / "lock"), std::to_string(::getpid()) + "\n");
  EXPECT_FALSE(fs::exists(options().directory / "2023-11-14" / "00000001.mpj.tmp"));
}

TEST_F(JournalTest, KeepsItsIdAcrossStartsAndRefusesAnother) {
  const auto id = open_journal(options())->id();
  EXPECT_EQ(open_journal(options())->id(), id);
  auto other = options();
  other.id = JournalId::random();
  const auto refused = Journal::open(other);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Errc::conflict);
  EXPECT_THAT(refused.error().text(), HasSubstr(id.text()));
  EXPECT_THAT(refused.error().text(), HasSubstr(other.id->text()));
  other.id = id;
  EXPECT_TRUE(Journal::open(other).has_value());
}

TEST_F(JournalTest, TakesAGivenIdWhenTheDirectoryIsNew) {
  auto o = options();
  o.id = JournalId::parse("000102030405060708090a0b0c0d0eff").value();
  EXPECT_EQ(open_journal(o)->id(), *o.id);
  EXPECT_EQ(open_journal(options())->id().text(), "000102030405060708090a0b0c0d0eff");
}

TEST_F(JournalTest, EveryStartOpensASegmentAboveThoseOnDiskAndTheFloor) {
  started_journal(options());
  started_journal(options());
  EXPECT_THAT(numbers_on_disk(), ElementsAre(1, 2));
  auto o = options();
  o.floor = 17;
  started_journal(o);
  EXPECT_THAT(numbers_on_disk(), ElementsAre(1, 2, 18));
  {
    const auto journal = open_journal(options());
    journal->raise_floor(40);
    journal->raise_floor(30);
    ASSERT_TRUE(journal->start_segment("", at(0)).has_value());
    EXPECT_EQ(journal->next_position(), (RecordPosition{41, 0}));
  }
  EXPECT_THAT(numbers_on_disk(), ElementsAre(1, 2, 18, 41));
}

TEST_F(JournalTest, ANumberIsNotGivenTwiceWhenAPowerCutCostTheWholeSegment) {
  auto journal = started_journal(options());
  append_one(*journal, text_record(1));
  ASSERT_TRUE(journal->start_segment("", at(1)));
  EXPECT_EQ(append_one(*journal, text_record(2)), (RecordPosition{2, 0}));
  journal.reset();
  fs::remove_all(options().directory / "2023-11-14" / "00000002.mpj");  // its name was not on the disk yet
  journal = *Journal::open(options());
  EXPECT_EQ(journal->recovered().last_segment, 1u);
  EXPECT_EQ(journal->recovered().numbered, 2u);
  ASSERT_TRUE(journal->start_segment("", at(2)));
  EXPECT_EQ(append_one(*journal, text_record(3)), (RecordPosition{3, 0}));
  journal.reset();
  fs::remove_all(options().directory / "2023-11-14");  // and all of them
  journal = *Journal::open(options());
  EXPECT_EQ(journal->recovered().last_segment, 0u);
  ASSERT_TRUE(journal->start_segment("", at(3)));
  EXPECT_EQ(append_one(*journal, text_record(4)), (RecordPosition{4, 0}));
}

TEST_F(JournalTest, WhatWasCountedIsKnownWhenAPowerCutCostTheContentOfTheNewestSegments) {
  auto journal = started_journal(options());
  append_one(*journal, {RecordKind::opened, 77, kSpot, kStartTime, 0, "wss://a", ""});
  append_one(*journal, text_record(1));
  for (const std::uint32_t segment : {2u, 3u}) {
    ASSERT_TRUE(journal->start_segment("", at(segment)));
    append_one(*journal, text_record(segment));
  }
  journal.reset();
  for (const char* name : {"00000002.mpj", "00000003.mpj"}) {
    const auto path = options().directory / "2023-11-14" / name;
    const auto size = fs::file_size(path);
    fs::resize_file(path, 0);
    fs::resize_file(path, size);  // the names and lengths were on the disk
  }
  journal = open_journal(options());
  EXPECT_EQ(journal->recovered().last_segment, 3u);
  EXPECT_EQ(journal->recovered().damages, 2u);
  EXPECT_FALSE(journal->recovered().closed_in_order);
  EXPECT_EQ(journal->recovered().records, 2u);
  EXPECT_EQ(journal->highest_connection(), 77u);
  ASSERT_TRUE(journal->start_segment("", at(9)));
  EXPECT_EQ(append_one(*journal, text_record(9)), (RecordPosition{4, 0}));
}

TEST_F(JournalTest, ADamagedNoteOfTheNumbersIsRefusedWithWhatToDo) {
  started_journal(options()).reset();
  std::ofstream(options().directory / "numbered") << "2x\n";
  const auto opened = Journal::open(options());
  ASSERT_FALSE(opened);
  EXPECT_THAT(opened.error().text(), AllOf(HasSubstr("numbered"), HasSubstr("2x"), HasSubstr("1000000")));
}

TEST_F(JournalTest, ASecondWriterIsRefusedWithPidAndDirectory) {
  const auto journal = open_journal(options());
  const auto second = Journal::open(options());
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code, Errc::conflict);
  EXPECT_THAT(second.error().text(), HasSubstr(std::to_string(::getpid())));
  EXPECT_THAT(second.error().text(), HasSubstr(options().directory.string()));
  ASSERT_TRUE(journal->close().has_value());
  EXPECT_TRUE(Journal::open(options()).has_value());
}

TEST_F(JournalTest, RotatesBySizeAndByAgeWithoutLosingOrder) {
  auto o = options();
  o.segment_bytes = 20'000;
  o.segment_age = std::chrono::seconds(600);
  const auto journal = open_journal(o);
  EXPECT_TRUE(journal->needs_new_segment(at(0)));
  std::vector<OwnedRecord> written;
  std::vector<RecordPosition> positions;
  for (std::uint64_t n = 0; n < 1000; ++n) {
    if (journal->needs_new_segment(at(0))) {
      ASSERT_TRUE(journal->start_segment("checkpoint " + std::to_string(n), at(0)).has_value());
    }
    written.push_back(text_record(n));
    positions.push_back(append_one(*journal, written.back()));
  }
  EXPECT_FALSE(journal->needs_new_segment(at(599)));
  EXPECT_TRUE(journal->needs_new_segment(at(600)));
  const auto read = read_all(o.directory);
  EXPECT_GT(read.segments.size(), 3u);
  EXPECT_EQ(read.records, written);
  EXPECT_EQ(read.positions, positions);
  EXPECT_TRUE(read.losses.empty());
  EXPECT_TRUE(std::is_sorted(positions.begin(), positions.end()));
}

TEST_F(JournalTest, ACheckpointHoldsTheConnectionsThatAreOpen) {
  const auto journal = started_journal(options());
  const auto records = assorted_records();  // opens 1 and 2, closes 2
  ASSERT_TRUE(journal->append(views(records)).has_value());
  ASSERT_TRUE(journal->start_segment("later", at(700)).has_value());
  append_one(*journal, text_record(5));
  auto cursor = Cursor::open(options().directory, {2, 0});
  ASSERT_EQ(cursor->next(), CursorState::segment);
  const auto checkpoint = cursor->checkpoint();
  ASSERT_TRUE(checkpoint.has_value());
  EXPECT_EQ(checkpoint->state, "later");
  EXPECT_EQ(checkpoint->highest_connection, 2u);
  EXPECT_THAT(checkpoint->connections,
              ElementsAre(OpenConnection{1, kSpot, "wss://stream.example/stream?streams=a@b/c@d"}));
  ASSERT_EQ(cursor->next(), CursorState::record);
  EXPECT_EQ(cursor->connection_url(), "wss://stream.example/stream?streams=a@b/c@d");
  EXPECT_EQ(cursor->header().previous_segment, 1u);
  EXPECT_EQ(cursor->header().previous_records, records.size());
}

TEST_F(JournalTest, HighestConnectionSurvivesARestart) {
  for (const bool orderly : {true, false}) {
    const auto journal = started_journal(options());
    if (orderly) append_one(*journal, {RecordKind::opened, 77, kSpot, kStartTime, 0, "wss://a", ""});
  }
  const auto journal = open_journal(options());
  EXPECT_EQ(journal->highest_connection(), 77u);
}

TEST_F(JournalTest, RefusesWhatItCannotHold) {
  const auto journal = started_journal(options());
  OwnedRecord record = text_record(1);
  record.payload.resize(kMaxPayload + 1);
  const auto view = record.view();
  const auto refused = journal->append({&view, 1});
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Errc::out_of_range);
  EXPECT_FALSE(journal->append({}).has_value());
  EXPECT_EQ(append_one(*journal, text_record(2)), (RecordPosition{1, 0}));
}

TEST_F(JournalTest, HoldsALargeAnswerAndManyRecordsInOneAppend) {
  const auto journal = started_journal(options());
  OwnedRecord large{RecordKind::rest, 0, kSpot, kStartTime, 200, "https://a/exchangeInfo", ""};
  for (std::uint64_t n = 0; large.payload.size() < (20u << 20); ++n) large.payload += trade_text(n);
  std::vector<OwnedRecord> records{text_record(0), large};
  for (std::uint64_t n = 1; n < 70'000; ++n) records.push_back(text_record(n));
  const auto first = journal->append(views(records));
  ASSERT_TRUE(first.has_value()) << first.error().text();
  EXPECT_EQ(read_all(options().directory).records, records);
}

TEST_F(JournalTest, AConnectionIsKnownInEachBlockOfTheAppendThatOpensIt) {
  const auto journal = started_journal(options());
  auto large = text_record(1);
  large.payload.resize(kMaxBlockRaw, ' ');
  const auto records = std::vector<OwnedRecord>{
      {RecordKind::opened, 1, kSpot, kStartTime, 0, "wss://a", ""}, large, large, text_record(2)};
  ASSERT_TRUE(journal->append(views(records)));
  EXPECT_GT(journal->counters().blocks, 1u);
  auto cursor = Cursor::open(options().directory, {});
  ASSERT_EQ(cursor->next(), CursorState::segment);
  for (std::size_t i = 0; i < records.size(); ++i) {
    ASSERT_EQ(cursor->next(), CursorState::record);
    EXPECT_EQ(cursor->connection_url(), "wss://a") << i;
  }
}

TEST_F(JournalTest, AnAppendWithoutASegmentIsRefused) {
  const auto journal = open_journal(options());
  const auto record = text_record(1);
  const auto view = record.view();
  const auto refused = journal->append({&view, 1});
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Errc::usage);
}

// --- the end of a writer -----------------------------------------------------------------------------------------

TEST_F(JournalTest, AfterAnOrderlyEndTheNextStartKnowsThatNothingIsMissing) {
  {
    const auto journal = started_journal(options());
    EXPECT_TRUE(journal->recovered().created);
    append_one(*journal, text_record(1));
  }
  const auto journal = open_journal(options());
  EXPECT_FALSE(journal->recovered().created);
  EXPECT_TRUE(journal->recovered().closed_in_order);
  EXPECT_EQ(journal->recovered().last_segment, 1u);
  EXPECT_EQ(journal->recovered().last_records, 1u);
  EXPECT_EQ(journal->recovered().records, 1u);
}

TEST_F(JournalTest, CountsTheRecordsOfItsWholeLifeDeletedSegmentsIncluded) {
  for (std::uint64_t start = 0; start < 3; ++start) {
    const auto journal = started_journal(options());
    EXPECT_EQ(journal->recovered().records, start * 3);
    append_one(*journal, text_record(1));
    ASSERT_TRUE(journal->start_segment("", at(600)).has_value());
    append_one(*journal, text_record(2));
    append_one(*journal, text_record(3));
  }
  fs::remove(list_segments(options().directory)->front().path);
  EXPECT_EQ(open_journal(options())->recovered().records, 9u);
}

TEST_F(JournalTest, ATornTailIsReportedAndTheNextSegmentBegins) {
  fs::path path;
  {
    const auto journal = started_journal(options());
    for (std::uint64_t n = 0; n < 10; ++n) append_one(*journal, text_record(n));
    path = only_segment(options().directory);
  }
  // Without closing note, and with half a group behind the ninth record.
  auto bytes = file_bytes(path);
  bytes.resize(bytes.size() - kGroupHeaderSize - kSegmentEndSize - 10);
  write_file(path, bytes);
  const auto journal = started_journal(options());
  EXPECT_FALSE(journal->recovered().closed_in_order);
  EXPECT_EQ(journal->recovered().last_records, 9u);
  EXPECT_GT(journal->recovered().torn_bytes, 10u);
  EXPECT_EQ(journal->recovered().damages, 0u);
  EXPECT_EQ(append_one(*journal, text_record(100)), (RecordPosition{2, 0}));
  const auto read = read_all(options().directory);
  EXPECT_EQ(read.records.size(), 10u);
  EXPECT_TRUE(read.losses.empty()) << read.losses[0];
  EXPECT_EQ(file_bytes(path), bytes);  // evidence is not touched
}

TEST_F(JournalTest, ASegmentCutBetweenTwoGroupsIsFoundOutByTheNextOne) {
  std::size_t after_five = 0;
  fs::path path;
  {
    const auto journal = started_journal(options());
    path = only_segment(options().directory);
    for (std::uint64_t n = 0; n < 10; ++n) {
      append_one(*journal, text_record(n));
      if (n == 4) after_five = fs::file_size(path);
    }
    ASSERT_TRUE(journal->start_segment("", at(600)).has_value());
    append_one(*journal, text_record(10));
  }
  fs::resize_file(path, after_five);
  const auto read = read_all(options().directory);
  EXPECT_EQ(read.records.size(), 6u);
  ASSERT_EQ(read.losses.size(), 1u);
  EXPECT_THAT(read.losses[0], HasSubstr("5 records lost"));
  EXPECT_EQ(read.lost_records, 5u);
}

// The child appends and tells the parent after each append how many records it has; the parent kills it
// at a moment of its own choosing. Whatever had been told must be there.
TEST_F(JournalTest, AKilledWriterLosesNothingThatWasAppended) {
  std::mt19937 random(20261122);
  std::uint64_t told_in_all = 0;
  for (int round = 0; round < 12; ++round) {
    int channel[2];
    ASSERT_EQ(::pipe(channel), 0);
    const auto first_text = static_cast<std::uint64_t>(round) * 1'000'000;
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      ::close(channel[0]);
      auto o = options();
      o.segment_bytes = 60'000;
      o.sync_interval = std::chrono::milliseconds(3);
      auto journal = Journal::open(o);
      if (!journal) ::_exit(2);
      std::mt19937 sizes(static_cast<unsigned>(round));
      for (std::uint64_t n = 0;;) {
        const auto now = at(static_cast<std::int64_t>(n / 100));
        if ((*journal)->needs_new_segment(now) && !(*journal)->start_segment("state", now)) ::_exit(3);
        std::vector<OwnedRecord> group;
        for (auto count = 1 + sizes() % 5; count > 0; --count) group.push_back(text_record(first_text + n++));
        if (!(*journal)->append(views(group))) ::_exit(4);
        if (::write(channel[1], &n, sizeof n) != sizeof n) ::_exit(5);
      }
    }
    ::close(channel[1]);
    std::uint64_t told = 0;
    const std::uint64_t enough = 1 + random() % 3000;
    while (told < enough && ::read(channel[0], &told, sizeof told) == sizeof told) {
    }
    ::kill(child, SIGKILL);
    for (std::uint64_t n = 0; ::read(channel[0], &n, sizeof n) == sizeof n;) told = n;
    ::close(channel[0]);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the writer ended by itself: " << WEXITSTATUS(status);

    const auto read = read_all(options().directory);
    ASSERT_TRUE(read.losses.empty()) << read.losses[0];
    std::vector<OwnedRecord> of_this_round;
    for (const auto& record : read.records)
      if (record.time >= text_record(first_text).time) of_this_round.push_back(record);
    ASSERT_GE(of_this_round.size(), told);
    ASSERT_LE(of_this_round.size(), told + 5);  // one append may have been written and not yet told
    for (std::uint64_t n = 0; n < of_this_round.size(); ++n) ASSERT_EQ(of_this_round[n], text_record(first_text + n));
    ASSERT_TRUE(std::is_sorted(read.positions.begin(), read.positions.end()));
    ASSERT_EQ(std::adjacent_find(read.positions.begin(), read.positions.end()), read.positions.end());
    told_in_all += told;
  }
  EXPECT_GT(told_in_all, 1000u);
}

TEST_F(JournalTest, ALeftOverOfAnUnfinishedSegmentIsRemoved) {
  started_journal(options());
  const auto left_over = options().directory / "2023-11-14" / "00000002.mpj.tmp";
  write_file(left_over, "half a header");
  open_journal(options());
  EXPECT_FALSE(fs::exists(left_over));
}

// --- readers beside the writer -----------------------------------------------------------------------------------

TEST_F(JournalTest, AReaderFollowsTheWriterToItsHead) {
  auto o = options();
  o.segment_bytes = 100'000;
  const auto journal = started_journal(o);
  constexpr std::uint64_t kRecords = 20'000;
  std::atomic<std::uint64_t> appended = 0;
  std::atomic<bool> failed = false;
  std::thread reader([&] {
    auto cursor = Cursor::open(o.directory, {1, 0});
    std::uint64_t seen = 0;
    while (seen < kRecords && !failed) {
      const auto known = appended.load();
      switch (cursor->next()) {
        case CursorState::record:
          if (owned(cursor->record()) != text_record(seen)) failed = true;
          ++seen;
          break;
        case CursorState::segment: break;
        case CursorState::at_head:
          if (seen < known) failed = true;  // what was appended before we asked must be there
          std::this_thread::yield();
          break;
        case CursorState::loss:
        case CursorState::failed: failed = true;
      }
    }
  });
  for (std::uint64_t n = 0; n < kRecords && !failed; ++n) {
    if (journal->needs_new_segment(at(0))) {
      ASSERT_TRUE(journal->start_segment("", at(0)).has_value());
    }
    append_one(*journal, text_record(n));
    appended = n + 1;
  }
  reader.join();
  EXPECT_FALSE(failed);
  EXPECT_GT(numbers_on_disk().size(), 2u);
}

TEST_F(JournalTest, ACursorBeginsAtTheSegmentOfAPosition) {
  const auto journal = started_journal(options());
  append_one(*journal, text_record(1));
  ASSERT_TRUE(journal->start_segment("", at(600)).has_value());
  append_one(*journal, text_record(2));
  append_one(*journal, text_record(3));
  const auto read = read_all(options().directory, {2, 1});
  EXPECT_THAT(read.segments, ElementsAre(2));
  EXPECT_EQ(read.records.size(), 2u);
  EXPECT_TRUE(read.losses.empty());
}

TEST_F(JournalTest, ACursorTellsOfSegmentsThatAreGone) {
  auto o = options();
  const auto journal = started_journal(o);
  for (int i = 0; i < 3; ++i) {
    append_one(*journal, text_record(1));
    append_one(*journal, text_record(2));
    ASSERT_TRUE(journal->start_segment("", at(600 * i)).has_value());
  }
  append_one(*journal, text_record(3));
  const auto files = *list_segments(o.directory);
  fs::remove(files[1].path);
  const auto from_the_start = read_all(o.directory);
  ASSERT_EQ(from_the_start.losses.size(), 1u);
  EXPECT_THAT(from_the_start.losses[0], HasSubstr("behind 1 and up to 2"));
  EXPECT_EQ(from_the_start.lost_records, 2u);
  EXPECT_THAT(from_the_start.segments, ElementsAre(1, 3, 4));
  fs::remove(files[0].path);
  const auto from_a_lost_one = read_all(o.directory, {2, 0});
  ASSERT_EQ(from_a_lost_one.losses.size(), 1u);
  EXPECT_THAT(from_a_lost_one.losses[0], HasSubstr("segment 2 is not on disk"));
  EXPECT_EQ(read_all(o.directory, {2, 1}).losses.size(), 1u);
  EXPECT_TRUE(read_all(o.directory, {2, 2}).losses.empty()) << "it had two records: nothing is missing from there on";
  EXPECT_THAT(from_a_lost_one.segments, ElementsAre(3, 4));
}

// --- retention ---------------------------------------------------------------------------------------------------

struct RetentionTest : JournalTest {
  // Segments 1 to 4 with three records each; 5 is being written.
  std::unique_ptr<Journal> with_five_segments(const RetentionPolicy& policy) {
    auto o = options();
    o.retention = policy;
    auto journal = started_journal(o);
    for (int i = 0; i < 4; ++i) {
      for (std::uint64_t n = 0; n < 3; ++n) append_one(*journal, text_record(n));
      EXPECT_TRUE(journal->start_segment("", at(0)).has_value());
    }
    append_one(*journal, text_record(9));
    return journal;
  }
  static RetentionReport apply(Journal& journal, WallTime now) {
    const auto report = journal.apply_retention(now);
    EXPECT_TRUE(report.has_value());
    return report.has_value() ? *report : RetentionReport{};
  }
};

TEST_F(RetentionTest, NeverDeletesWhatIsNotAcknowledged) {
  const auto journal = with_five_segments(
      {.max_age = std::chrono::seconds(1), .max_bytes = 1, .keep_acknowledged = std::chrono::seconds(0)});
  const auto later = std::chrono::time_point_cast<Nanos>(std::chrono::system_clock::now()) + std::chrono::hours(1000);
  auto report = apply(*journal, later);
  EXPECT_EQ(report.deleted_segments, 0u);
  EXPECT_TRUE(report.over_limit);
  EXPECT_THAT(numbers_on_disk(), ElementsAre(1, 2, 3, 4, 5));

  journal->set_acknowledged({2, 1});  // its last record is 2
  report = apply(*journal, later);
  EXPECT_THAT(numbers_on_disk(), ElementsAre(2, 3, 4, 5));
  journal->set_acknowledged({1, 0});  // never goes back
  journal->set_acknowledged({2, 2});
  report = apply(*journal, later);
  EXPECT_THAT(numbers_on_disk(), ElementsAre(3, 4, 5));
  EXPECT_EQ(report.deleted_segments, 1u);

  journal->set_acknowledged({5, 0});
  report = apply(*journal, later);
  EXPECT_THAT(numbers_on_disk(), ElementsAre(5));  // the one being written stays
  EXPECT_FALSE(append_one(*journal, text_record(10)) == RecordPosition{});
}

TEST_F(RetentionTest, KeepsAcknowledgedSegmentsForTheirTime) {
  const auto journal = with_five_segments({.max_bytes = 1, .keep_acknowledged = std::chrono::seconds(300)});
  journal->set_acknowledged({5, 0});
  EXPECT_EQ(apply(*journal, at(0)).deleted_segments, 0u);
  const auto before = apply(*journal, at(299));
  EXPECT_EQ(before.deleted_segments, 0u);
  EXPECT_TRUE(before.over_limit);
  EXPECT_EQ(apply(*journal, at(300)).deleted_segments, 4u);
}

TEST_F(RetentionTest, AClockThatIsSetBackDoesNotKeepSegmentsUntilItHasCaughtUp) {
  const auto journal = with_five_segments({.max_bytes = 1, .keep_acknowledged = std::chrono::seconds(300)});
  journal->set_acknowledged({5, 0});
  EXPECT_EQ(apply(*journal, at(1'000'000)).deleted_segments, 0u);
  EXPECT_EQ(apply(*journal, at(0)).deleted_segments, 0u);
  EXPECT_EQ(apply(*journal, at(299)).deleted_segments, 0u);
  EXPECT_EQ(apply(*journal, at(300)).deleted_segments, 4u);
}

TEST_F(JournalTest, AClockThatIsSetBackDoesNotKeepASegmentUntilItHasCaughtUp) {
  auto o = options();
  o.segment_age = std::chrono::seconds(600);
  const auto journal = open_journal(o);
  ASSERT_TRUE(journal->start_segment("", at(1'000'000)));
  EXPECT_FALSE(journal->needs_new_segment(at(1'000'000 - 599)));
  EXPECT_TRUE(journal->needs_new_segment(at(1'000'000 - 600)));
}

TEST_F(RetentionTest, DeletesOnlyAsMuchAsTheLimitAsksForOldestFirst) {
  const auto size = [&] {
    std::uint64_t bytes = 0;
    for (const auto& file : *list_segments(options().directory)) bytes += file.bytes;
    return bytes;
  };
  const auto journal = with_five_segments({.max_bytes = 0, .keep_acknowledged = std::chrono::seconds(0)});
  const auto all = size();
  journal->set_acknowledged({5, 0});
  EXPECT_EQ(apply(*journal, at(0)).deleted_segments, 0u);  // no limits: all is kept
  ASSERT_TRUE(journal->close().has_value());

  auto o = options();
  o.retention = {.max_bytes = all - 1, .keep_acknowledged = std::chrono::seconds(0)};
  const auto again = open_journal(o);
  again->set_acknowledged({5, 0});
  const auto report = apply(*again, at(0));
  EXPECT_EQ(report.deleted_segments, 1u);
  EXPECT_EQ(report.kept_bytes, size());
  EXPECT_FALSE(report.over_limit);
  EXPECT_THAT(numbers_on_disk(), ElementsAre(2, 3, 4, 5));
}

// --- when the disk does not take it ------------------------------------------------------------------------------

// A disk with room for so many bytes: takes what fits, and then fails, as a real one does.
struct SmallDisk {
  std::size_t room = 0;
  int error = ENOSPC;
  ssize_t write(int fd, const void* bytes, std::size_t count) {
    if (room == 0) {
      errno = error;
      return -1;
    }
    const auto n = ::write(fd, bytes, std::min(count, room));
    if (n > 0) room -= static_cast<std::size_t>(n);
    return n;
  }
};

TEST_F(JournalTest, AFullDiskIsToldAndTheJournalGoesOnWhenThereIsSpace) {
  SmallDisk disk{.room = 1u << 20};
  auto o = options();
  o.write = [&disk](int fd, const void* bytes, std::size_t count) { return disk.write(fd, bytes, count); };
  const auto journal = started_journal(o);
  std::vector<OwnedRecord> written;
  for (std::uint64_t n = 0; n < 20; ++n) {
    // Every number of bytes that a group may find room for, from none to all but one.
    written.push_back(text_record(n));
    append_one(*journal, written.back());
    for (std::size_t room = 0; room < 40; room += 13) {
      disk.room = room;
      const auto record = text_record(1000 + n);
      const auto view = record.view();
      const auto position = journal->next_position();
      const auto refused = journal->append({&view, 1});
      ASSERT_FALSE(refused.has_value());
      EXPECT_EQ(refused.error().code, Errc::io);
      EXPECT_THAT(refused.error().text(), HasSubstr("No space left on device"));
      EXPECT_THAT(refused.error().text(), HasSubstr(o.directory.string()));
      EXPECT_THAT(refused.error().text(), HasSubstr("free disk space"));
      EXPECT_EQ(journal->next_position(), position);
      disk.room = 1u << 20;
    }
  }
  EXPECT_EQ(journal->counters().failed_appends, 20u * 4);
  const auto read = read_all(o.directory);
  EXPECT_EQ(read.records, written);
  EXPECT_TRUE(read.losses.empty());
}

TEST_F(JournalTest, ASegmentThatCannotBeBegunLeavesThePresentOneInUse) {
  SmallDisk disk{.room = 1u << 20};
  auto o = options();
  o.write = [&disk](int fd, const void* bytes, std::size_t count) { return disk.write(fd, bytes, count); };
  const auto journal = started_journal(o);
  append_one(*journal, text_record(1));
  disk.room = 100;
  const auto refused = journal->start_segment("state", at(600));
  ASSERT_FALSE(refused.has_value());
  EXPECT_THAT(refused.error().text(), HasSubstr("segment 2"));
  EXPECT_THAT(refused.error().text(), HasSubstr("free disk space"));
  disk.room = 1u << 20;
  EXPECT_EQ(append_one(*journal, text_record(2)), (RecordPosition{1, 1}));
  EXPECT_THAT(numbers_on_disk(), ElementsAre(1));
  ASSERT_TRUE(journal->start_segment("state", at(600)).has_value());
  EXPECT_EQ(append_one(*journal, text_record(3)), (RecordPosition{2, 0}));
  EXPECT_TRUE(read_all(o.directory).losses.empty());
}

TEST_F(JournalTest, ARealFileSizeLimitIsToldAndSurvived) {
  // In a child, since the limit is the process's.
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    ::signal(SIGXFSZ, SIG_IGN);
    auto journal = Journal::open(options());
    if (!journal || !(*journal)->start_segment("", at(0))) ::_exit(10);
    rlimit limit{};
    ::getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = 12'000;
    if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) ::_exit(11);
    std::uint64_t n = 0;
    const auto append = [&] {
      const auto record = text_record(n);
      const auto view = record.view();
      return (*journal)->append({&view, 1});
    };
    while (append()) ++n;
    const auto refused = append();
    if (refused || refused.error().text().find("ulimit -f") == std::string::npos) ::_exit(12);
    limit.rlim_cur = limit.rlim_max;
    if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) ::_exit(13);
    for (const auto end = n + 10; n < end; ++n)
      if (!append()) ::_exit(14);
    if (!(*journal)->close()) ::_exit(15);
    ::_exit(n > 20 ? 0 : 16);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  ASSERT_EQ(WEXITSTATUS(status), 0);
  const auto read = read_all(options().directory);
  EXPECT_TRUE(read.losses.empty());
  for (std::uint64_t n = 0; n < read.records.size(); ++n) ASSERT_EQ(read.records[n], text_record(n));
}

TEST_F(JournalTest, ADirectoryThatCannotBeWrittenIsNamedWithWhatToDo) {
  // A file stands where the directory should be: fails for root too.
  write_file(directory.path() / "journal", "");
  const auto refused = Journal::open(options());
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Errc::io);
  EXPECT_THAT(refused.error().text(), HasSubstr((directory.path() / "journal").string()));

  if (::geteuid() == 0) GTEST_SKIP() << "root may write everywhere: the rest needs another user";
  fs::remove(directory.path() / "journal");
  fs::permissions(directory.path(), fs::perms::owner_read | fs::perms::owner_exec);
  const auto read_only = Journal::open(options());
  fs::permissions(directory.path(), fs::perms::owner_all);
  ASSERT_FALSE(read_only.has_value());
  EXPECT_THAT(read_only.error().text(), HasSubstr("give this user the right to write there"));
}

TEST_F(JournalTest, SyncTellsUpToWhereThePowerMayFail) {
  auto o = options();
  o.sync_interval = std::chrono::hours(1);
  const auto journal = started_journal(o);
  EXPECT_EQ(journal->synced(), std::nullopt);
  append_one(*journal, text_record(1));
  append_one(*journal, text_record(2));
  EXPECT_EQ(journal->synced(), std::nullopt);
  ASSERT_TRUE(journal->sync().has_value());
  EXPECT_EQ(journal->synced(), (RecordPosition{1, 1}));
  append_one(*journal, text_record(3));
  ASSERT_TRUE(journal->start_segment("", at(600)).has_value());
  ASSERT_TRUE(journal->sync().has_value());  // the segment before is forced too
  EXPECT_EQ(journal->synced(), (RecordPosition{1, 2}));
}

TEST_F(JournalTest, ASegmentThatBeganAndEndedBetweenTwoSyncsIsOnTheDiskWithItsName) {
  auto o = options();
  o.sync_interval = std::chrono::hours(1);
  const auto journal = started_journal(o);
  append_one(*journal, text_record(1));
  forced_to_the_disk.clear();
  ASSERT_TRUE(journal->close());
  EXPECT_THAT(forced_to_the_disk, testing::IsSupersetOf({fs::canonical(o.directory).string(),
                                                         fs::canonical(o.directory / "2023-11-14").string()}));
}

TEST_F(JournalTest, WithoutADescriptorNothingIsSaidToBeOnTheDisk) {
  for (const int interval_ms : {0, 3'600'000}) {
    auto o = options();
    o.sync_interval = std::chrono::milliseconds(interval_ms);
    const auto journal = started_journal(o);
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
    const OwnedFd next(::dup(0));
    rlimit none = before;
    none.rlim_cur = static_cast<rlim_t>(next.get());
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
    const auto record = text_record(1).view();
    const auto appended = journal->append({&record, 1});
    const auto synced = journal->sync();
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
    EXPECT_EQ(appended.has_value(), interval_ms > 0);
    EXPECT_FALSE(interval_ms > 0 && synced.has_value());
    EXPECT_TRUE(journal->needs_new_segment(at(0)));
    EXPECT_EQ(journal->synced(), std::nullopt);
    EXPECT_TRUE(journal->sync());
  }
}

TEST_F(JournalTest, SyncsByItselfAtItsInterval) {
  auto o = options();
  o.sync_interval = std::chrono::milliseconds(1);
  const auto journal = started_journal(o);
  const auto last = append_one(*journal, text_record(1));
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (journal->synced() != last && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  EXPECT_EQ(journal->synced(), last);
}

TEST_F(JournalTest, WithAnIntervalOfZeroEveryAppendIsOnTheDiskWhenItReturns) {
  auto o = options();
  o.sync_interval = std::chrono::milliseconds(0);
  const auto journal = started_journal(o);
  for (std::uint64_t n = 0; n < 3; ++n) {
    const auto last = append_one(*journal, text_record(n));
    EXPECT_EQ(journal->synced(), last);
  }
}

}  // namespace
}  // namespace mp::journal
