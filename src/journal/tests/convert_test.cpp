#include "journal/convert.hpp"

#include <gmock/gmock.h>

#include "journal/capture_file.hpp"
#include "journal/tests/support.hpp"

namespace mp::journal {
namespace {

using namespace testing_support;
using testing::ElementsAre;
using testing::HasSubstr;
namespace fs = std::filesystem;

std::optional<Source> any_source(std::string_view) { return kSpot; }

struct ConvertTest : testing::Test {
  TemporaryDirectory directory;
  fs::path at(const std::string& name) { return directory.path() / name; }

  std::string printed(const fs::path& path, const RecordSelection& selection = {}) {
    std::string out;
    const auto journals = find_journals(path);
    EXPECT_TRUE(journals.has_value()) << (journals ? "" : journals.error().text());
    for (const auto& journal : *journals) {
      const auto result = print_capture_lines(journal, selection, [&](std::string_view lines) {
        out += lines;
        return true;
      });
      EXPECT_TRUE(result.has_value());
      EXPECT_TRUE(result->losses.empty()) << result->losses[0];
    }
    return out;
  }
  std::string converted_and_printed(const fs::path& capture, const std::string& name) {
    const auto converted = write_captures_as_journal({capture}, any_source, at(name));
    EXPECT_TRUE(converted.has_value()) << (converted ? "" : converted.error().text());
    return printed(at(name));
  }
};

TEST_F(ConvertTest, AJournalPrintedAndReadAgainPrintsTheSameBytes) {
  // Frames, answers, binary and broken payloads, connections that open and close, over several segments.
  std::string expected;
  {
    JournalOptions options;
    options.directory = at("first");
    const auto journal = started_journal(options);
    auto records = assorted_records();
    std::erase_if(records, [](const auto& r) { return r.time == 0 || r.time == INT64_MAX; });
    records.insert(records.end() - 1,
                   {RecordKind::text, 1, kSpot, kStartTime + 20, 0, "", std::string("\x80 not UTF-8 \0", 13)});
    ASSERT_TRUE(journal->append(views({records.begin(), records.begin() + 5})).has_value());
    ASSERT_TRUE(journal->start_segment("", wall_from_nanos(kStartTime)).has_value());
    ASSERT_TRUE(journal->append(views({records.begin() + 5, records.end()})).has_value());
  }
  const auto capture = printed(at("first"));
  EXPECT_EQ(std::count(capture.begin(), capture.end(), '\n'), 16);
  write_file(at("capture.jsonl"), capture);
  EXPECT_EQ(converted_and_printed(at("capture.jsonl"), "second"), capture);
  EXPECT_THAT(
      capture,
      HasSubstr(
          R"({"t":1700000000.000000006,"dir":"send","transport":"ws","url":"wss://stream.example/stream?streams=a@b/c@d","raw":"{\"method\":\"SUBSCRIBE\"}","conn":"1","exchange":"binance","market":"spot"})"));
}

TEST_F(ConvertTest, TheSameCapturesGiveTheSameJournalBytes) {
  write_file(at("a.jsonl"), R"({"t":5.5,"dir":"recv","transport":"ws","url":"wss://spot","raw":"x"})"
                            "\n");
  write_file(at("b.jsonl"), R"({"t":7,"dir":"recv","transport":"ws","url":"wss://spot","raw":"y"})"
                            "\n");
  ASSERT_TRUE(write_captures_as_journal({at("a.jsonl"), at("b.jsonl")}, any_source, at("one")).has_value());
  ASSERT_TRUE(write_captures_as_journal({at("b.jsonl"), at("a.jsonl")}, any_source, at("two")).has_value());
  EXPECT_EQ(file_bytes(only_segment(at("one"))), file_bytes(only_segment(at("two"))));
  EXPECT_EQ(*read_journal_id(at("one")), *read_journal_id(at("two")));
}

TEST_F(ConvertTest, RefusesADirectoryThatHoldsRecords) {
  write_file(at("a.jsonl"), R"({"t":5.5,"dir":"recv","transport":"ws","url":"wss://spot","raw":"x"})"
                            "\n");
  ASSERT_TRUE(write_captures_as_journal({at("a.jsonl")}, any_source, at("one")).has_value());
  const auto again = write_captures_as_journal({at("a.jsonl")}, any_source, at("one"));
  ASSERT_FALSE(again.has_value());
  EXPECT_EQ(again.error().code, Errc::conflict);
}

TEST_F(ConvertTest, MakesNothingOutOfAFileThatIsNoCapture) {
  write_file(at("notes.txt"), "hello\n");
  const auto refused = write_captures_as_journal({at("notes.txt")}, any_source, at("one"));
  ASSERT_FALSE(refused.has_value());
  EXPECT_THAT(refused.error().text(), HasSubstr("notes.txt: line 1"));
  EXPECT_FALSE(fs::exists(at("one")));
}

TEST_F(ConvertTest, GoesOnBehindALineThatCannotBeReadAndPrintsItAgain) {
  const auto good = [](int n) {
    return R"({"t":)" + std::to_string(n) +
           R"(,"dir":"recv","transport":"ws","url":"wss://spot/a","raw":"x","conn":"1","exchange":"binance","market":"spot"})" +
           "\n";
  };
  write_file(at("a.jsonl"), good(1) + "{\"t\":\n" + good(2));
  const auto converted = write_captures_as_journal({at("a.jsonl")}, any_source, at("one"));
  ASSERT_TRUE(converted.has_value()) << converted.error().text();
  EXPECT_EQ(converted->broken_lines, 1u);
  ASSERT_EQ(converted->broken.size(), 1u);
  EXPECT_THAT(converted->broken[0].text(), HasSubstr("a.jsonl: line 2"));
  const auto lines = printed(at("one"));
  EXPECT_THAT(lines, HasSubstr(R"("dir":"unreadable","transport":"control")"));
  EXPECT_THAT(lines, HasSubstr(R"("raw":"{\"t\":","exchange":"binance","market":"spot"})"));
  write_file(at("b.jsonl"), lines);
  EXPECT_EQ(converted_and_printed(at("b.jsonl"), "two"), lines);
}

TEST_F(ConvertTest, SplitsIntoSegmentsBySize) {
  std::string lines;
  for (int i = 0; i < 30'000; ++i)
    lines += R"({"t":)" + std::to_string(1000 + i) + R"(,"dir":"recv","transport":"ws","url":"wss://spot","raw":")" +
             std::to_string(i * 7919) + "\"}\n";
  write_file(at("a.jsonl"), lines);
  const auto converted = write_captures_as_journal({at("a.jsonl")}, any_source, at("one"), 20'000);
  ASSERT_TRUE(converted.has_value());
  EXPECT_GT(converted->segments, 3u);
  EXPECT_EQ(converted->records, 30'000u + 4);
  const auto read = read_all(at("one"));
  EXPECT_EQ(read.records.size(), converted->records);
  EXPECT_TRUE(read.losses.empty());
  RecordSelection second;
  second.segment = 2;
  EXPECT_LT(printed(at("one"), second).size(), lines.size() / 3);
}

TEST_F(ConvertTest, SelectsByTimeExchangeAndMarket) {
  JournalOptions options;
  options.directory = at("journal");
  {
    const auto journal = started_journal(options);
    ASSERT_TRUE(journal->append(views(assorted_records())).has_value());
  }
  const auto count = [&](const RecordSelection& selection) {
    const auto text = printed(at("journal"), selection);
    return std::count(text.begin(), text.end(), '\n');
  };
  EXPECT_EQ(count({}), 17);
  RecordSelection selection;
  selection.from = wall_from_nanos(kStartTime + 8);
  selection.to = wall_from_nanos(kStartTime + 11);
  EXPECT_EQ(count(selection), 3);
  selection = {};
  selection.exchanges = {"okx"};
  EXPECT_EQ(count(selection), 5 + 2);  // with start and stop
  selection.market = "spot";
  EXPECT_EQ(count(selection), 2);
}

TEST_F(ConvertTest, RecordedSessionsGoThroughTheJournalUnchanged) {
  for (const char* name : {"binance_usdm", "binance_spot", "okx_mixed", "deribit_derivatives", "upbit_spot"}) {
    const fs::path original = fs::path(MP_SHARED_DIR) / "captures" / (std::string(name) + ".jsonl");
    if (!fs::exists(original)) GTEST_SKIP() << "no recorded sessions at " MP_SHARED_DIR "/captures";
    const auto once = converted_and_printed(original, std::string(name) + "1");
    write_file(at("once.jsonl"), once);
    EXPECT_EQ(converted_and_printed(at("once.jsonl"), std::string(name) + "2"), once);

    // Every line of the original, in its order, with its time, kind and payload.
    auto before = CaptureFile::open(original);
    auto after = CaptureFile::open(at("once.jsonl"));
    std::size_t lines = 0;
    const auto next = [](CaptureFile& file, bool& more) {
      OwnedRecord read;
      while (true) {
        const auto line = file.next();
        more = line && line->has_value();
        if (!more) return read;
        const auto kind = (*line)->kind;
        if (kind == RecordKind::start || kind == RecordKind::stop || kind == RecordKind::closed) continue;
        read.kind = kind;
        read.time = nanos_since_epoch((*line)->received_at);
        read.payload = (*line)->payload;
        return read;
      }
    };
    for (bool more_before = true, more_after = true; more_before || more_after; ++lines) {
      const auto a = next(*before, more_before);
      const auto b = next(*after, more_after);
      ASSERT_EQ(a, b) << name << " line " << before->line_number();
    }
    EXPECT_GT(lines, 100u);
  }
}

// --- verify and finding journals ---------------------------------------------------------------------------------

struct InspectTest : ConvertTest {
  fs::path two_segments(const std::string& name) {
    JournalOptions options;
    options.directory = at(name);
    const auto journal = started_journal(options);
    for (std::uint64_t n = 0; n < 5; ++n) append_one(*journal, text_record(n));
    EXPECT_TRUE(journal->start_segment("", wall_from_nanos(kStartTime) + std::chrono::hours(24)).has_value());
    for (std::uint64_t n = 0; n < 5; ++n) append_one(*journal, text_record(n));
    return options.directory;
  }
  static std::vector<SegmentVerdict> verify(const fs::path& path) {
    std::vector<SegmentVerdict> verdicts;
    const auto journals = find_journals(path);
    EXPECT_TRUE(journals.has_value()) << (journals ? "" : journals.error().text());
    for (const auto& journal : *journals) {
      std::optional<SegmentReached> before;
      for (const auto& file : journal.segments) verdicts.push_back(verify_segment(journal, file, before));
    }
    return verdicts;
  }
};

TEST_F(InspectTest, FindsJournalsByEveryNameAUserMayGive) {
  const auto one = two_segments("data/one");
  two_segments("data/two");
  EXPECT_EQ(find_journals(at("data"))->size(), 2u);
  EXPECT_EQ(find_journals(at("data/"))->size(), 2u);
  EXPECT_EQ(find_journals(one)->at(0).segments.size(), 2u);
  const auto day = find_journals(one / "2023-11-14");
  ASSERT_TRUE(day.has_value());
  EXPECT_EQ(day->at(0).segments.size(), 1u);
  EXPECT_EQ(day->at(0).id, *read_journal_id(one));
  const auto file = find_journals(day->at(0).segments[0].path);
  ASSERT_TRUE(file.has_value());
  EXPECT_EQ(file->at(0).segments.at(0).number, 1u);
  EXPECT_EQ(file->at(0).id, *read_journal_id(one));
  EXPECT_EQ(find_journals(at("nowhere")).error().code, Errc::usage);
  fs::create_directory(at("empty"));
  EXPECT_THAT(find_journals(at("empty")).error().text(), HasSubstr("holds no journal"));
}

TEST_F(InspectTest, ASoundJournalIsGood) {
  for (const auto& verdict : verify(two_segments("one"))) {
    EXPECT_TRUE(verdict.damages.empty()) << verdict.damages[0];
    EXPECT_TRUE(verdict.notes.empty()) << verdict.notes[0];
    EXPECT_EQ(verdict.summary.records, 5u);
    EXPECT_TRUE(verdict.summary.closed);
  }
}

TEST_F(InspectTest, EveryDamagedByteOfAJournalIsFound) {
  const auto journal = two_segments("one");
  const auto path = list_segments(journal)->at(0).path;
  const auto bytes = file_bytes(path);
  for (std::size_t i = 0; i < bytes.size(); i += i < kDataOffset ? 97 : 1) {
    if (i < kDataOffset && i % kHeaderCopyOffset >= kHeaderSize) continue;  // filling between the headers means nothing
    auto damaged = bytes;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x10);
    write_file(path, damaged);
    ASSERT_FALSE(verify(journal)[0].damages.empty()) << i;
  }
}

TEST_F(InspectTest, TellsWhatIsMissingBetweenSegments) {
  const auto journal = two_segments("one");
  const auto path = list_segments(journal)->at(0).path;
  const auto bytes = file_bytes(path);
  write_file(path, std::string_view(bytes).substr(0, bytes.size() - kGroupHeaderSize - kSegmentEndSize - 3));
  const auto verdicts = verify(journal);
  EXPECT_TRUE(verdicts[0].damages.empty());
  EXPECT_THAT(verdicts[0].notes, ElementsAre(HasSubstr("ends inside a group")));
  ASSERT_EQ(verdicts[1].damages.size(), 1u);
  EXPECT_THAT(verdicts[1].damages[0], HasSubstr("1 records lost"));
  EXPECT_EQ(verdicts[1].summary.lost_records, 1u);
}

TEST_F(InspectTest, FindsASegmentThatIsNotThisJournals) {
  const auto one = two_segments("one");
  const auto two = two_segments("two");
  const auto path = list_segments(one)->at(0).path;
  fs::copy_file(list_segments(two)->at(0).path, path, fs::copy_options::overwrite_existing);
  EXPECT_THAT(verify(one)[0].damages, ElementsAre(HasSubstr("belongs to journal")));
  fs::rename(path, path.parent_path() / "00000009.mpj");
  EXPECT_THAT(verify(path.parent_path() / "00000009.mpj")[0].damages, testing::Contains(HasSubstr("numbered 9")));
}

}  // namespace
}  // namespace mp::journal
