#include "sinks/clickhouse/row_content.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mp::sinks::clickhouse {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const WallTime kFirst = wall_from_nanos(1'000'000'000), kSecond = wall_from_nanos(2'000'000'000);

Trade trade(const char* id, std::int64_t received_at = 5) {
  Trade out;
  out.meta = {std::make_shared<InstrumentId>(InstrumentId{"binance", MarketType::spot, "BTC-USDT", "BTCUSDT"}),
              wall_from_nanos(3), wall_from_nanos(received_at), DataSource::live};
  out.trade_id = id;
  out.price = Price{Decimal::parse("65000.1").value()};
  out.quantity = Quantity{Decimal::parse("0.25").value()};
  out.contracts = Contracts{Decimal::parse("2").value()};
  return out;
}

void add(RowBatch& batch, const MarketEvent& event, BusPosition position, bool again) {
  const auto rows = batch.rows().size();
  auto& buffer = batch.buffer(Target::hot);
  const auto offset = buffer.size();
  ASSERT_TRUE(append_row(buffer, event, position));
  batch.add({position.sequence, position.index}, Target::hot, 0, offset);
  if (again) batch.mark_again(rows);
}

// As ClickHouse would answer for rows that stand in the table.
std::string answer_of(const Content& content, const std::vector<std::pair<WallTime, MarketEvent>>& rows) {
  std::string out;
  for (const auto& [stream, event] : rows) {
    std::string row;
    EXPECT_TRUE(append_row(row, event, {stream, 77, 3}));
    const auto read = content.of_row(row);
    EXPECT_TRUE(read);
    RowWriter writer{out};
    writer.time(stream);
    writer.u64(77);
    writer.u32(3);
    out += read->content;
  }
  return out;
}

std::vector<RowKey> recognised(const RowBatch& batch, const Content& content, std::string_view answer) {
  Recognition rows{batch, Target::hot, content};
  while (const auto found = content.take(answer))
    rows.found(*found, [](const RowKey& key, const std::string&) {
      EXPECT_EQ(key, (RowKey{77, 3}));
      return true;
    });
  EXPECT_TRUE(answer.empty());
  return rows.keys();
}

const Content kTrades{table_of(DataType::trade), false};

TEST(RowContent, ARowOfAnotherStreamIsRecognised) {
  RowBatch batch;
  add(batch, trade("1"), {kSecond, 10, 0}, true);
  add(batch, trade("2"), {kSecond, 10, 1}, true);
  add(batch, trade("3"), {kSecond, 11, 0}, false);
  const auto answer = answer_of(kTrades, {{kFirst, trade("2")}, {kFirst, trade("3")}, {kFirst, trade("2", 6)}});
  EXPECT_THAT(recognised(batch, kTrades, answer), ElementsAre(RowKey{10, 1})) << "the third was not published again";
}

TEST(RowContent, ARowOfTheSameStreamIsAnotherEvent) {
  RowBatch batch;
  add(batch, trade("1"), {kSecond, 10, 0}, true);
  EXPECT_THAT(recognised(batch, kTrades, answer_of(kTrades, {{kSecond, trade("1")}})), IsEmpty());
}

// A server lost messages that were stored; 10 and 12 are other messages now.
TEST(RowContent, ARowWhoseMessageTheServerLostIsRecognised) {
  RowBatch batch;
  add(batch, trade("new"), {kSecond, 10, 0}, false);
  add(batch, trade("lost"), {kSecond, 12, 0}, true);
  const auto there = [&](std::uint64_t sequence, const char* id) {
    std::string row;
    EXPECT_TRUE(append_row(row, trade(id), {kSecond, sequence, 0}));
    return Content::Found{nanos_since_epoch(kSecond), {sequence, 0}, kTrades.of_row(row)->content};
  };
  const auto current = [](bool yes) { return [yes](const RowKey&, const std::string&) { return yes; }; };
  const auto keys_for = [&](const Content::Found& row, bool is_current) {
    Recognition rows{batch, Target::hot, kTrades};
    rows.found(row, current(is_current));
    return rows.keys();
  };
  EXPECT_THAT(keys_for(there(10, "lost"), true), ElementsAre(RowKey{12, 0}))
      << "the batch knows that 10 is another one";
  EXPECT_THAT(keys_for(there(11, "lost"), true), ElementsAre(RowKey{12, 0})) << "and that 11 is none of this type";
  EXPECT_THAT(keys_for(there(12, "lost"), true), IsEmpty()) << "its own row: the read-back finds it";
  EXPECT_THAT(keys_for(there(9, "lost"), true), IsEmpty()) << "another event that says the same";
  EXPECT_THAT(keys_for(there(9, "lost"), false), ElementsAre(RowKey{12, 0}));
  EXPECT_THAT(keys_for(there(20, "lost"), false), ElementsAre(RowKey{12, 0}));
}

TEST(RowContent, ARowWhosePlaceIsTakenByALostEventGetsAnotherLifeOfTheStream) {
  RowBatch batch;
  add(batch, trade("1"), {kSecond, 10, 0}, false);
  add(batch, trade("2"), {kSecond, 10, 1}, false);
  add(batch, trade("3"), {kSecond, 11, 0}, false);
  const Content rejected{table_of(DataType::rejected), true};
  const auto there = [&](RowKey key, const char* id, std::int64_t life) {
    std::string row;
    EXPECT_TRUE(append_row(row, trade(id), {kSecond, key.sequence, key.index}));
    return Content::Found{nanos_since_epoch(kSecond) + life, key, kTrades.of_row(row)->content};
  };
  const std::vector<Content::Found> rows{there({10, 0}, "1", 0), there({10, 1}, "lost", 0),
                                         there({10, 1}, "lost too", 1)};
  auto found = occupation_of(batch, kTrades, rejected, rows, {});
  EXPECT_THAT(found.present, ElementsAre(RowKey{10, 0}));
  ASSERT_EQ(found.displaced.size(), 1u);
  EXPECT_EQ(found.displaced[0], (std::pair<std::uint32_t, std::int64_t>{1, nanos_since_epoch(kSecond) + 2}));
  const std::string before(batch.bytes_of(batch.rows()[1]));
  batch.move_to_stream(1, found.displaced[0].second);
  const auto moved = kTrades.of_row(batch.bytes_of(batch.rows()[1]));
  EXPECT_EQ(moved->stream, nanos_since_epoch(kSecond) + 2);
  EXPECT_EQ(moved->content, kTrades.of_row(before)->content);
  // Inserted, and read back after a lost answer.
  auto after = rows;
  after.push_back(there({10, 1}, "2", 2));
  found = occupation_of(batch, kTrades, rejected, after, {});
  EXPECT_THAT(found.present, ElementsAre(RowKey{10, 0}, RowKey{10, 1}));
  EXPECT_TRUE(found.displaced.empty());
  // What an earlier version rejected is there, whatever this one makes of it.
  found = occupation_of(batch, kTrades, rejected, {}, {Content::Found{nanos_since_epoch(kSecond), {11, 0}, "?"}});
  EXPECT_THAT(found.present, ElementsAre(RowKey{11, 0}));
}

TEST(RowContent, EachRowFoundStandsForOneOfTheBatch) {
  RowBatch batch;
  for (std::uint32_t i = 0; i < 3; ++i) add(batch, trade("1"), {kSecond, 10, i}, true);
  EXPECT_THAT(recognised(batch, kTrades, answer_of(kTrades, {{kFirst, trade("1")}, {kFirst, trade("1")}})),
              ElementsAre(RowKey{10, 0}, RowKey{10, 1}));
}

TEST(RowContent, TheSearchIsLimitedToTheTimesOfTheBatch) {
  RowBatch batch;
  add(batch, trade("1", 50), {kSecond, 10, 0}, true);
  add(batch, trade("2", 40), {kSecond, 10, 1}, true);
  add(batch, trade("3", 9), {kSecond, 10, 2}, false);
  const auto where = Recognition(batch, Target::hot, kTrades).where(kTrades);
  EXPECT_THAT(where, HasSubstr("timestamp BETWEEN fromUnixTimestamp64Nano(toInt64(3), 'UTC') AND"));
  EXPECT_THAT(
      where,
      HasSubstr(
          "received_at BETWEEN fromUnixTimestamp64Nano(toInt64(40), 'UTC') AND fromUnixTimestamp64Nano(toInt64(50), 'UTC')"));
}

TEST(RowContent, EveryColumnTypeOfEveryTableIsKnown) {
  const std::string bytes(64, '\0');
  for (int i = 0; i < kDataTypeCount; ++i) {
    const auto& table = table_of(static_cast<DataType>(i));
    for (const auto& column : table.columns)
      EXPECT_TRUE(value_size(column.type, bytes)) << table.name << "." << column.name << " " << column.type;
    EXPECT_FALSE(Content(table, false).ranges.empty()) << table.name;
  }
}

TEST(RowContent, NoPrefixOfARowIsARow) {
  OrderBook book;
  book.meta = trade("1").meta;
  book.bids = {{Price{Decimal::parse("9.5").value()}, Quantity{Decimal::parse("1").value()}}};
  for (const MarketEvent& event : {MarketEvent(trade("1")), MarketEvent(book)}) {
    const Content content{table_of(type_of(event)), false};
    std::string row;
    ASSERT_TRUE(append_row(row, event, {kFirst, 1, 0}));
    for (std::size_t size = 0; size < row.size(); ++size)
      EXPECT_FALSE(content.of_row(std::string_view(row).substr(0, size)));
    const auto answer = answer_of(content, {{kFirst, event}});
    for (std::size_t size = 0; size < answer.size(); ++size) {
      auto rest = std::string_view(answer).substr(0, size);
      EXPECT_FALSE(content.take(rest));
    }
  }
}

TEST(RowContent, ALineThatStorageRejectedIsKnownAgainAtAnotherTime) {
  const Content content{table_of(DataType::rejected), true};
  const auto rejected_at = [&](std::int64_t time, WallTime stream) {
    std::string row;
    append_rejected_row(row,
                        {.received_at = wall_from_nanos(time),
                         .exchange = "x",
                         .market_type = "spot",
                         .symbol = "A",
                         .instrument = "",
                         .data_type = DataType::trade,
                         .data_source = "live",
                         .reason = "bad",
                         .raw = "{"},
                        {stream, 4, 0});
    return content.of_row(row)->content;
  };
  EXPECT_EQ(rejected_at(1, kFirst), rejected_at(2, kSecond));
  EXPECT_TRUE(content.ranges.empty());
}

}  // namespace
}  // namespace mp::sinks::clickhouse
