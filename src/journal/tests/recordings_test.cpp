#include "journal/recordings.hpp"

#include <gmock/gmock.h>

#include "journal/tests/support.hpp"

namespace mp::journal {
namespace {

using namespace testing_support;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
namespace fs = std::filesystem;

std::optional<Source> any_source(std::string_view url) { return url.find("okx") != url.npos ? kOkx : kSpot; }

std::string frame(int n, const std::string& host = "spot") {
  return R"({"t":)" + std::to_string(n) + R"(,"dir":"recv","transport":"ws","url":"wss://)" + host +
         R"(/a","raw":"a frame that is long enough to be known again )" + std::to_string(n) + "\"}\n";
}
std::string frames(int from, int to, const std::string& host = "spot") {
  std::string out;
  for (int n = from; n < to; ++n) out += frame(n, host);
  return out;
}
std::string answer(int n) {
  return R"({"t":)" + std::to_string(n) +
         R"(,"dir":"recv","transport":"rest","url":"https://spot/info","raw":"{}"})"
         "\n";
}

struct RecordingsTest : testing::Test {
  TemporaryDirectory directory;
  fs::path journals = directory.path() / "journal";

  fs::path file(const std::string& name, const std::string& text) {
    write_file(directory.path() / name, text);
    return directory.path() / name;
  }
  RecordingPlan plan(const std::vector<fs::path>& files) {
    auto planned = plan_recordings(files, any_source, journals);
    EXPECT_TRUE(planned) << planned.error().text();
    return planned ? *planned : RecordingPlan{};
  }
  Error refusal(const std::vector<fs::path>& files) {
    const auto planned = plan_recordings(files, any_source, journals);
    EXPECT_FALSE(planned);
    return planned ? Error{} : planned.error();
  }
  // As the collector does, up to `until` settled parts.
  PlannedRecording play(PlannedRecording recording, std::size_t until = SIZE_MAX) {
    fs::create_directories(recording.directory);
    write_file(recording.directory / kIdFile, recording.id.text() + "\n");
    if (recording.is_new_part) {
      EXPECT_TRUE(claim_recording(recording));
    }
    for (const auto& boundary : recording.boundaries()) {
      if (boundary.closed || until == 0) continue;
      --until;
      EXPECT_TRUE(settle_recording(recording, boundary.bytes, false));
    }
    return recording;
  }
  PlannedRecording only(const std::vector<fs::path>& files) {
    const auto planned = plan(files);
    EXPECT_EQ(planned.groups.size(), 1u);
    if (planned.groups.size() != 1) return {};
    EXPECT_EQ(planned.groups[0].size(), 1u);
    return planned.groups[0][0];
  }
};

TEST_F(RecordingsTest, ANewRecordingIsNamedByItsHash) {
  const auto path = file("a", frames(0, 10));
  const auto recording = only({path});
  EXPECT_EQ(recording.id.text(), CaptureSet::open({path}, any_source)->journal_id().text());
  EXPECT_EQ(recording.directory, journals / ("replay-" + recording.id.text().substr(0, 16)));
  EXPECT_EQ(recording.goes_on_from, 0u);
  EXPECT_TRUE(recording.is_new_part);
}

TEST_F(RecordingsTest, TheSameFileIsTheSameRecordingUnderAnyName) {
  const auto first = play(only({file("a", frames(0, 10))}));
  const auto again = only({file("b", frames(0, 10))});
  EXPECT_EQ(again.id, first.id);
  EXPECT_FALSE(again.is_new_part);
  EXPECT_EQ(again.boundaries().size(), 1u);
  EXPECT_EQ(again.boundaries()[0].closed, false);
}

TEST_F(RecordingsTest, ALongerCopyContinuesItsJournal) {
  const auto first = play(only({file("a", frames(0, 10))}));
  const auto second = play(only({file("a", frames(0, 20))}));
  EXPECT_EQ(second.id, first.id);
  EXPECT_EQ(second.directory, first.directory);
  EXPECT_EQ(second.goes_on_from, frames(0, 10).size());
  const auto third = only({file("c", frames(0, 30))});
  EXPECT_EQ(third.id, first.id);
  EXPECT_EQ(third.note.parts.size(), 3u);
  // An earlier state of it has nothing new.
  const auto earlier = only({file("d", frames(0, 10))});
  EXPECT_EQ(earlier.id, first.id);
  EXPECT_FALSE(earlier.is_new_part);
  EXPECT_EQ(earlier.note.parts.size(), 1u);
}

TEST_F(RecordingsTest, AFileThatWasCutInALineGoesOnWithThatLine) {
  const auto whole = frames(0, 20);
  for (const std::size_t cut : {frames(0, 10).size() - 20, frames(0, 10).size() - 1, frames(0, 10).size() - 2}) {
    fs::remove_all(journals);
    const auto first = play(only({file("a", whole.substr(0, cut))}));
    EXPECT_EQ(first.cut_short.has_value(), cut != frames(0, 10).size() - 1)
        << "a line that is whole but for its end is none";
    const auto second = only({file("b", whole)});
    EXPECT_EQ(second.id, first.id) << cut;
    EXPECT_EQ(second.goes_on_from, first.cut_short ? frames(0, 9).size() : cut);
  }
}

TEST_F(RecordingsTest, WhatGoesOnInTheSameLineIsAnotherRecording) {
  auto first = play(only({file("a", frames(0, 3).substr(0, frames(0, 3).size() - 1))}));
  // Its last line is another one here: the two overlap, and neither holds the other.
  EXPECT_THAT(refusal({file("b", frames(0, 3).substr(0, frames(0, 3).size() - 1) + " x\n" + frame(4))}).text(),
              HasSubstr("stand in"));
}

TEST_F(RecordingsTest, APartThatWasNotPlayedToItsEndIsFinishedBeforeTheNextOne) {
  const auto a = only({file("a", frames(0, 10))});
  play(a, 0);  // killed on the way
  auto longer = only({file("b", frames(0, 20))});
  EXPECT_EQ(longer.id, a.id);
  ASSERT_EQ(longer.boundaries().size(), 2u);
  EXPECT_FALSE(longer.boundaries()[0].closed.has_value());
  play(longer, 0);  // killed again
  EXPECT_EQ((*read_recording_note(a.directory))->parts.size(), 1u)
      << "the longer part is noted when the first is settled";
  play(longer, 1);
  const auto note = *read_recording_note(a.directory);
  ASSERT_EQ(note->parts.size(), 2u);
  EXPECT_EQ(note->parts[0].closed, false);
  EXPECT_FALSE(note->parts[1].closed.has_value());
  // The shorter one named now changes nothing of that.
  const auto shorter = only({file("c", frames(0, 10))});
  EXPECT_FALSE(shorter.is_new_part);
  EXPECT_EQ(shorter.boundaries().size(), 1u);
}

TEST_F(RecordingsTest, OneThatGoesOnOtherwiseIsRefused) {
  play(only({file("a", frames(0, 10))}));
  play(only({file("b", frames(0, 20))}));
  const auto error = refusal({file("c", frames(0, 10) + frames(50, 60))});
  EXPECT_EQ(error.code, Errc::usage);
  EXPECT_THAT(error.text(), AllOf(HasSubstr("/c"), HasSubstr("10 of its lines, from line 1 to line 10"),
                                  HasSubstr("/b"), HasSubstr("journal join")));
}

TEST_F(RecordingsTest, OverlapsArePlayedByNobodyUnnoticed) {
  play(only({file("a", frames(0, 100))}));
  EXPECT_THAT(refusal({file("b", answer(89) + frames(90, 150))}).text(),
              AllOf(HasSubstr("10 of its lines, from line 2 to line 11"), HasSubstr("/a, which was played before")));
  EXPECT_THAT(refusal({file("c", frames(200, 210)), file("d", frames(205, 215))}).text(),
              AllOf(HasSubstr("5 of its lines"), HasSubstr("would be stored twice")));
}

TEST_F(RecordingsTest, ACopyOfAPieceIsLeftOut) {
  play(only({file("a", frames(0, 100))}));
  auto planned = plan({file("piece", answer(39) + frames(40, 50))});
  EXPECT_TRUE(planned.groups.empty());
  ASSERT_EQ(planned.left_out.size(), 1u);
  EXPECT_THAT(planned.left_out[0].why, HasSubstr("each of its 10 lines stands in"));
  // So is the same with other line ends.
  std::string crlf;
  for (const char c : frames(0, 100)) crlf += c == '\n' ? "\r\n" : std::string(1, c);
  EXPECT_EQ(plan({file("crlf", crlf)}).left_out.size(), 1u);
}

TEST_F(RecordingsTest, OfCopiesNamedTogetherTheLongestIsPlayed) {
  const auto planned = plan({file("a", frames(0, 10)), file("b", frames(0, 30)), file("c", frames(0, 20)),
                             file("piece", frames(12, 15)), file("empty", "")});
  ASSERT_EQ(planned.groups.size(), 1u);
  ASSERT_EQ(planned.groups[0].size(), 1u);
  EXPECT_EQ(planned.groups[0][0].path.filename(), "b");
  EXPECT_EQ(planned.left_out.size(), 4u);
}

TEST_F(RecordingsTest, OtherMarketsOtherTimesAndAnswersByRestAreNoOverlap) {
  play(only({file("a", answer(0) + frames(0, 10))}));
  EXPECT_EQ(plan({file("okx", frames(0, 10, "okx"))}).groups.size(), 1u);
  EXPECT_EQ(plan({file("later", frames(10, 20))}).groups.size(), 1u);
  const auto pong = [](const char* url) {
    return std::string(R"({"t":5,"dir":"recv","transport":"ws","url":")") + url +
           R"(","raw":"pong"})"
           "\n";
  };
  play(only({file("one", pong("wss://spot/1") + frames(100, 102))}));
  EXPECT_EQ(plan({file("two", pong("wss://spot/2") + frames(103, 105))}).groups.size(), 1u) << "a pong says nothing";
  // Each part of a recording has its instruments.
  EXPECT_EQ(plan({file("part", answer(0) + frames(10, 20))}).groups.size(), 1u);
}

TEST_F(RecordingsTest, ANoteThatCannotBeReadIsNamed) {
  const auto a = play(only({file("a", frames(0, 10))}));
  for (const std::string text :
       {"", "marketprism recording 1\n", "marketprism recording 1\npart 5 abc kept x\nend\n"}) {
    write_file(a.directory / kRecordingFile, text);
    const auto error = refusal({file("b", frames(0, 20))});
    EXPECT_EQ(error.code, Errc::corrupt);
    EXPECT_THAT(error.text(), AllOf(HasSubstr(a.directory.string()), HasSubstr("move")));
  }
}

TEST_F(RecordingsTest, ANoteSurvivesWritingAndReading) {
  RecordingNote note;
  note.parts = {{10, std::string(32, '\x01'), true, "/a b\nc"},
                {20, std::string(32, '\xfe'), false, "/x"},
                {30, std::string(32, '\x00'), std::nullopt, ""}};
  note.sources = {kSpot, kOkx};
  note.first = wall_from_nanos(kStartTime);
  note.last = wall_from_nanos(kStartTime + 1);
  ASSERT_TRUE(write_recording_note(directory.path(), note));
  const auto read = read_recording_note(directory.path());
  ASSERT_TRUE(read && *read);
  EXPECT_EQ((*read)->sources, note.sources);
  EXPECT_EQ((*read)->first, note.first);
  EXPECT_EQ((*read)->last, note.last);
  ASSERT_EQ((*read)->parts.size(), 3u);
  EXPECT_EQ((*read)->parts[0].path, "/a b c");
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ((*read)->parts[i].bytes, note.parts[i].bytes);
    EXPECT_EQ((*read)->parts[i].digest, note.parts[i].digest);
    EXPECT_EQ((*read)->parts[i].closed, note.parts[i].closed);
  }
}

TEST_F(RecordingsTest, JoinsWhatOverlaps) {
  const auto a = file("a", frames(0, 20) + R"({"t":20,)");  // cut short
  const auto b = file("b", answer(15) + frames(15, 30));
  const auto joined = join_captures(a, b);
  ASSERT_TRUE(joined) << joined.error().text();
  EXPECT_EQ(joined->common, 5u);
  EXPECT_EQ(joined->earlier_bytes, frames(0, 20).size());
  EXPECT_EQ(joined->later_from, (answer(15) + frames(15, 20)).size());
  EXPECT_THAT(join_captures(b, a).error().text(), AllOf(HasSubstr("/a: line 1"), HasSubstr("earlier recording first")));
  EXPECT_THAT(join_captures(a, file("c", frames(40, 50))).error().text(), HasSubstr("no line in common"));
  EXPECT_THAT(join_captures(a, file("d", frame(17) + frame(100) + frame(18))).error().text(), HasSubstr("line 2"));
}

}  // namespace
}  // namespace mp::journal
