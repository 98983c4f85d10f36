// The small values of the publisher: positions, messages, answers, cursor, note of trimmed positions.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sinks/jetstream/answers.hpp"
#include "sinks/jetstream/cursor.hpp"
#include "sinks/jetstream/messages.hpp"
#include "sinks/jetstream/positions.hpp"
#include "sinks/jetstream/trim_note.hpp"

namespace mp::jetstream {
namespace {

EventPosition at(std::uint32_t record, std::uint32_t ordinal = 0) { return {{1, record}, ordinal}; }

TEST(Positions, TextComesBackAndAnythingElseIsRefused) {
  const EventPosition position{{12, 3456}, 7};
  EXPECT_EQ(to_text(position), "12-3456-7");
  EXPECT_EQ(event_position_from("12-3456-7"), position);
  for (const char* wrong :
       {"", "12", "12-3456", "12-3456-", "12-3456-7x", "-1-2-3", "1-2-3-4", "1--2", "99999999999-1-1"}) {
    EXPECT_FALSE(event_position_from(wrong)) << wrong;
  }
  EXPECT_EQ(record_position_from("12-3456"), (RecordPosition{12, 3456}));
}

TEST(Positions, BeforeTheFirstRecordOfASegmentIsTheSegmentBefore) {
  EXPECT_EQ(before({3, 5}), (RecordPosition{3, 4}));
  EXPECT_EQ(before({3, 0}), (RecordPosition{2, 0xffffffff}));
  EXPECT_EQ(before({0, 0}), (RecordPosition{0, 0}));
}

TEST(Intervals, HoldWhatLiesInsideAndMergeWhenTheyOverlap) {
  Intervals set;
  set.add(at(10), at(20));
  set.add(at(30), at(40));
  EXPECT_TRUE(set.contains(at(10)));
  EXPECT_TRUE(set.contains(at(15, 3)));
  EXPECT_TRUE(set.contains(at(20)));
  EXPECT_FALSE(set.contains(at(20, 1)));
  EXPECT_FALSE(set.contains(at(25)));
  set.add(at(18), at(35));
  EXPECT_EQ(set.size(), 1u);
  EXPECT_TRUE(set.contains(at(25)));
  set.forget_before(at(39));
  EXPECT_EQ(set.size(), 1u);
  set.forget_before(at(41));
  EXPECT_TRUE(set.empty());
}

TEST(Messages, CutsNeverReachAcrossAnEventThatIsLeftOut) {
  MessageBody body = *message_of(at(1), "one", {});
  append_event(body, at(2), "two");
  append_event(body, at(3), "three");
  append_event(body, at(4), "four");
  const auto pieces = cut_out(body, [](const EventPosition& p) { return p != at(2); });
  ASSERT_EQ(pieces.size(), 2u);
  EXPECT_EQ(pieces[0].text, "one\n");
  EXPECT_EQ(pieces[1].text, "three\nfour\n");
  EXPECT_EQ(pieces[1].first(), at(3));
  EXPECT_EQ(pieces[1].last(), at(4));
  EXPECT_EQ(cut_out(body, [](const EventPosition&) { return true; }).front().text, body.text);
}

TEST(Messages, IdsTellSubjectsAndCutsApart) {
  const std::string journal(32, 'a');
  const auto id = [&](const char* subject, std::uint32_t last) {
    return message_id(journal, hash_of(subject), at(1), at(last));
  };
  EXPECT_EQ(id("s", 2), id("s", 2));
  EXPECT_NE(id("s", 2), id("t", 2));
  EXPECT_NE(id("s", 2), id("s", 3));
}

TEST(Answers, AreReadAsTheServersWriteThem) {
  Answer a = read_answer(R"({"stream":"T", "seq":17})");  // 2.9 puts a blank there
  EXPECT_EQ(a.kind, Answer::Kind::stored);
  EXPECT_EQ(a.sequence, 17u);
  EXPECT_FALSE(a.duplicate);
  EXPECT_TRUE(read_answer(R"({"stream":"T", "seq":17,"duplicate": true})").duplicate);
  a = read_answer(R"({"type":"ack","seq":7,"msgs":8})");
  EXPECT_EQ(a.kind, Answer::Kind::batch_ack);
  EXPECT_EQ(a.sequence, 7u);
  EXPECT_EQ(a.per_ack, 8u);
  EXPECT_EQ(read_answer(R"({"type":"gap","last_seq":6,"seq":3})").kind, Answer::Kind::batch_gap);
  a = read_answer(
      R"({"type":"err","seq":10,"error":{"code":400,"err_code":10077,"description":"maximum bytes exceeded"}})");
  EXPECT_EQ(a.kind, Answer::Kind::batch_error);
  EXPECT_EQ(a.code, kStreamIsFull);
  a = read_answer(R"({"stream":"T","seq":15,"batch":"b","count":5})");
  EXPECT_EQ(a.kind, Answer::Kind::batch_end);
  EXPECT_EQ(a.count, 5u);
  a = read_answer(
      R"({"error":{"code":400,"err_code":10208,"description":"batch publish ID unknown"},"stream":"T","seq":0})");
  EXPECT_EQ(a.kind, Answer::Kind::error);
  EXPECT_EQ(a.code, kBatchUnknown);
  EXPECT_EQ(a.text, "batch publish ID unknown");
}

TEST(Answers, NoPrefixOfOneIsTakenForAnother) {
  const std::string whole = R"({"stream":"T","seq":15,"batch":"b","count":5})";
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_EQ(read_answer(whole.substr(0, size)).kind, Answer::Kind::unreadable) << size;
  }
}

TEST(Cursor, ComesBackFromItsText) {
  Cursor cursor;
  cursor.journal = "abc";
  cursor.stream = "T";
  cursor.stream_created = wall_from_nanos(1'700'000'000'123'456'789);
  cursor.history = {{{1, 2}, 3, 4, wall_from_nanos(5), wall_from_nanos(6)},
                    {{1, 9}, 30, 40, wall_from_nanos(50), wall_from_nanos(60)}};
  cursor.batch_id = "b1";
  cursor.batch_subject = "trade-data.control";
  cursor.at_rest = true;
  const auto again = Cursor::parse(cursor.text());
  ASSERT_TRUE(again) << again.error().text();
  EXPECT_EQ(*again, cursor);
}

TEST(Cursor, APrefixIsRefusedWithItsLine) {
  Cursor cursor;
  cursor.journal = "abc";
  cursor.stream = "T";
  cursor.history.emplace_back();
  const std::string whole = cursor.text();
  for (std::size_t size = 0; size + 1 < whole.size(); ++size)
    EXPECT_FALSE(Cursor::parse(whole.substr(0, size))) << size;
  const auto wrong = Cursor::parse("marketprism publisher cursor 1\njournal abc\nnonsense 1\nend\n");
  ASSERT_FALSE(wrong);
  EXPECT_THAT(wrong.error().text(), testing::HasSubstr("line 3"));
}

TEST(TrimNote, KeepsTheHighestOfEachSubject) {
  TrimNote note;
  note.add("s", at(5));
  note.add("s", at(3));
  note.add("t", at(1));
  TrimNote other;
  other.add("t", at(9));
  note.add(other);
  EXPECT_EQ(note.text(), "s 1-5-0\nt 1-9-0\n");
  const auto again = TrimNote::parse(note.text());
  ASSERT_TRUE(again);
  EXPECT_EQ(again->highest(), note.highest());
  EXPECT_FALSE(TrimNote::parse("s 1-5\n"));
}

}  // namespace
}  // namespace mp::jetstream
