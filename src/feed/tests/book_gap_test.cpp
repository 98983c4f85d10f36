#include "feed/book_gap.hpp"

#include <gtest/gtest.h>

namespace mp {
namespace {

constexpr WallTime at(std::int64_t ns) { return wall_from_nanos(ns); }

struct BookGapTest : testing::Test {
  Gap open(std::int64_t noticed_at = 50) {
    return gap.open(instrument, DataSource::live, GapCause::sequence, {5, at(10)}, {8, at(40)}, at(noticed_at));
  }
  std::optional<Gap> close(std::int64_t received_at = 90) {
    return gap.close(instrument, DataSource::live, {12, at(80)}, at(received_at));
  }
  InstrumentRef instrument = std::make_shared<InstrumentId>();
  BookGap gap;
};

TEST_F(BookGapTest, TheWholeReplacesTheHole) {
  const Gap hole = open();
  EXPECT_EQ(hole.data_type, DataType::orderbook_delta);
  EXPECT_EQ(hole.cause, GapCause::sequence);
  EXPECT_EQ(hole.last_id, "5");
  EXPECT_EQ(hole.next_id, "8");
  EXPECT_EQ(hole.gap_start, at(10));
  EXPECT_EQ(hole.gap_end, at(40));
  EXPECT_EQ(hole.meta.received_at, at(50));
  EXPECT_EQ(hole.gap_id, "50-5");
  const auto whole = close();
  ASSERT_TRUE(whole);
  EXPECT_EQ(whole->gap_id, hole.gap_id);
  EXPECT_EQ(whole->gap_start, hole.gap_start) << "the table's partition";
  EXPECT_EQ(whole->next_id, "12");
  EXPECT_EQ(whole->gap_end, at(80));
  EXPECT_EQ(whole->meta.received_at, at(90));
}

TEST_F(BookGapTest, TheWholeIsTheNewerRowWhateverTheClockDoes) {
  for (const std::int64_t received_at : {50, 20}) {
    open();
    EXPECT_EQ(close(received_at)->meta.received_at, at(51)) << received_at;
  }
}

TEST_F(BookGapTest, NothingIsToldOfABookThatWasGood) {
  EXPECT_FALSE(close());
  open();
  EXPECT_TRUE(gap.is_open());
  EXPECT_TRUE(close());
  EXPECT_FALSE(gap.is_open());
  EXPECT_FALSE(close());
}

TEST_F(BookGapTest, ASecondBreakHasANameOfItsOwn) {
  const auto first = open(50).gap_id;
  EXPECT_NE(open(60).gap_id, first);
}

TEST_F(BookGapTest, AnOpenGapIsClosedAfterARestart) {
  const auto hole = open();
  std::string saved;
  {
    StateWriter out(saved, "test", 1);
    gap.save(out);
  }
  gap = BookGap{};
  StateReader in(saved, "test", 1);
  gap.restore(in);
  ASSERT_TRUE(in.finish());
  const auto whole = close();
  ASSERT_TRUE(whole);
  EXPECT_EQ(whole->gap_id, hole.gap_id);
  EXPECT_EQ(whole->gap_start, hole.gap_start);
  EXPECT_EQ(whole->last_id, hole.last_id);
  EXPECT_EQ(whole->cause, hole.cause);
}

}  // namespace
}  // namespace mp
