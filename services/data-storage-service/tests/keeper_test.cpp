#include "data-storage-service/src/keeper.hpp"

#include <gtest/gtest.h>

namespace mp::storage {
namespace {

Backlog backlog(std::uint64_t last, std::map<DataType, ConsumerBacklog> consumers) {
  Backlog b;
  b.stream.first_sequence = 1;
  b.stream.last_sequence = last;
  b.consumers = std::move(consumers);
  return b;
}

TEST(StoredThrough, IsTheLowestAckFloorOfThoseThatHaveSomethingToDo) {
  EXPECT_EQ(40u, stored_through(backlog(100, {{DataType::trade, {5, 0, 90}}, {DataType::gap, {0, 3, 40}}})));
}

TEST(StoredThrough, CountsAnIdleConsumerAsBeingAtTheEnd) {
  EXPECT_EQ(90u, stored_through(backlog(100, {{DataType::trade, {5, 0, 90}}, {DataType::gap, {0, 0, 0}}})));
  EXPECT_EQ(100u, stored_through(backlog(100, {{DataType::gap, {0, 0, 0}}})));
}

TEST(StoredNote, IsReadBackByDataType) {
  const auto note = stored_note(backlog(100, {{DataType::trade, {5, 0, 90}}, {DataType::orderbook, {0, 0, 3}}}));
  EXPECT_EQ(90u, stored_in_note(note, DataType::trade));
  EXPECT_EQ(100u, stored_in_note(note, DataType::orderbook));
  EXPECT_EQ(std::nullopt, stored_in_note(note, DataType::orderbook_delta));
  EXPECT_EQ(std::nullopt, stored_in_note("", DataType::trade));
}

TEST(Drained, MeansThatNothingIsPendingAndNothingUnacknowledged) {
  EXPECT_TRUE(backlog(1, {{DataType::gap, {0, 0, 0}}}).drained());
  EXPECT_FALSE(backlog(1, {{DataType::gap, {1, 0, 0}}}).drained());
  EXPECT_FALSE(backlog(1, {{DataType::gap, {0, 1, 0}}}).drained());
}

TEST(SequenceForFill, LeavesAboutTheWantedShare) {
  nats::StreamInfo stream;
  stream.first_sequence = 101;
  stream.last_sequence = 200;
  stream.messages = 100;
  stream.bytes = 900;
  stream.max_bytes = 1000;
  EXPECT_EQ(90, fill_percent(stream));
  // 300 of 900 bytes are a third of 100 messages: 101 to 133.
  EXPECT_EQ(133u, sequence_for_fill(stream, 60));
  EXPECT_EQ(0u, sequence_for_fill(stream, 90));
  stream.max_bytes = -1;
  EXPECT_EQ(0, fill_percent(stream));
  EXPECT_EQ(0u, sequence_for_fill(stream, 60));
}

}  // namespace
}  // namespace mp::storage
