#include "sinks/clickhouse/message_rows.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zstd.h>

#include "sinks/clickhouse/tests/row_binary_reader.hpp"

namespace mp::sinks::clickhouse {
namespace {

using ::testing::HasSubstr;
using testing::RowBinaryReader;

const WallTime kNow = parse_iso("2026-11-22T18:00:00Z").value();

std::string trade(const std::string& price, const std::string& source = "live", const std::string& day = "22") {
  return R"({"type":"trade","exchange":"binance","market_type":"spot","symbol":"BTC-USDT","instrument":"BTCUSDT","timestamp":"2026-11-)" +
         day + R"(T17:44:30.123000000Z","received_at":"2026-11-22T17:44:30.187654321Z","data_source":")" + source +
         R"(","trade_id":"1","price":")" + price + R"(","quantity":"0.25","side":"buy","is_maker":false})";
}

EncodingOptions options() {
  return {.type = DataType::trade,
          .stream = kNow,
          .sources = sources_beside(DataSource::live),
          .hot_for = std::chrono::hours{72}};
}

BusMessage message(std::string_view payload, std::string_view encoding = "") {
  return {.subject = "trade-data.binance.spot.BTC-USDT",
          .payload = payload,
          .encoding = encoding,
          .sequence = 9,
          .stored_at = kNow};
}

std::map<std::string, std::string> row_of(const RowBatch& batch, std::size_t number) {
  const auto& row = batch.rows().at(number);
  RowBinaryReader reader{batch.bytes_of(row)};
  auto out = reader.row(table_of(row.target == Target::rejected ? DataType::rejected : DataType::trade).columns);
  EXPECT_TRUE(reader.at_end());
  return out;
}

TEST(MessageEncoder, MakesOneRowOfEachLine) {
  MessageEncoder encoder{options()};
  RowBatch batch;
  encoder.encode(message(trade("65000.1") + "\n" + trade("65000.2") + "\n"), kNow, batch);
  ASSERT_EQ(2u, batch.rows().size());
  EXPECT_EQ((RowKey{9, 0}), batch.rows()[0].key);
  EXPECT_EQ((RowKey{9, 1}), batch.rows()[1].key);
  EXPECT_EQ(Target::hot, batch.rows()[1].target);
  EXPECT_EQ("65000.2", row_of(batch, 1).at("price"));
  EXPECT_EQ("1", row_of(batch, 1).at("bus_index"));
  EXPECT_EQ(2u, encoder.counters().rows);
}

TEST(MessageEncoder, UnpacksZstd) {
  const auto text = trade("1") + "\n" + trade("2");
  std::string packed(ZSTD_compressBound(text.size()), '\0');
  packed.resize(ZSTD_compress(packed.data(), packed.size(), text.data(), text.size(), 3));
  MessageEncoder encoder{options()};
  RowBatch batch;
  encoder.encode(message(packed, "zstd"), kNow, batch);
  ASSERT_EQ(2u, batch.rows().size());
  EXPECT_EQ("2", row_of(batch, 1).at("price"));
}

TEST(MessageEncoder, SendsRowsOlderThanTheHotTableKeepsToTheColdOne) {
  MessageEncoder encoder{options()};
  RowBatch batch;
  encoder.encode(message(trade("1", "backfill", "19") + "\n" + trade("2", "backfill", "20")), kNow, batch);
  ASSERT_EQ(2u, batch.rows().size());
  EXPECT_EQ(Target::cold, batch.rows()[0].target);
  EXPECT_EQ(202611, batch.rows()[0].partition);
  EXPECT_EQ(Target::hot, batch.rows()[1].target);
  EXPECT_EQ(20777, batch.rows()[1].partition);
}

struct Refusal {
  std::string payload;
  std::string encoding;
  std::string reason;
};

TEST(MessageEncoder, RejectsWhatCannotBeARowWithItsTextAndTheReason) {
  const std::vector<Refusal> cases{
      {"{broken", "", "JSON"},
      {trade("0.0000000000001"), "", "price: 0.0000000000001 does not fit"},
      {trade("1", "simulated"), "", "simulated does not belong into a database of live data"},
      {R"({"type":"trade"})", "", "missing field"},
      {"\xff\xfe", "", ""},
      {"not packed", "zstd", "not a zstd frame"},
      {"x", "gzip", "MP-Encoding is 'gzip'"},
  };
  for (const auto& c : cases) {
    MessageEncoder encoder{options()};
    RowBatch batch;
    encoder.encode(message(c.payload, c.encoding), kNow, batch);
    ASSERT_EQ(1u, batch.rows().size()) << c.payload;
    ASSERT_EQ(Target::rejected, batch.rows()[0].target) << c.payload;
    const auto row = row_of(batch, 0);
    EXPECT_EQ(c.payload, row.at("raw"));
    EXPECT_THAT(row.at("reason"), HasSubstr(c.reason));
    EXPECT_EQ("storage", row.at("origin"));
    EXPECT_EQ("binance", row.at("exchange"));
    EXPECT_EQ("spot", row.at("market_type"));
    EXPECT_EQ("BTC-USDT", row.at("symbol"));
    EXPECT_EQ("trade", row.at("data_type"));
    EXPECT_EQ("9", row.at("bus_sequence"));
    EXPECT_EQ("0", row.at("bus_index"));
    EXPECT_EQ(1u, encoder.counters().rejected);
    EXPECT_EQ("", batch.buffer(Target::hot));
  }
}

TEST(MessageEncoder, CountsRowsThatBelongIntoAnotherDatabase) {
  MessageEncoder encoder{options()};
  RowBatch batch;
  encoder.encode(message(trade("1", "replay") + "\n{\n" + trade("2", "simulated")), kNow, batch);
  EXPECT_EQ(3u, encoder.counters().rejected);
  EXPECT_EQ(2u, encoder.counters().foreign) << "a broken line is of no source";
  EXPECT_EQ(DataSource::simulated, encoder.foreign_source());
}

TEST(MessageEncoder, RejectsOneLineOfSeveral) {
  MessageEncoder encoder{options()};
  RowBatch batch;
  encoder.encode(message(trade("1") + "\n{\n" + trade("3")), kNow, batch);
  ASSERT_EQ(3u, batch.rows().size());
  EXPECT_EQ(Target::rejected, batch.rows()[1].target);
  EXPECT_EQ((RowKey{9, 2}), batch.rows()[2].key);
  EXPECT_EQ("3", row_of(batch, 2).at("price"));
}

TEST(MessageEncoder, GivesAnEmptyMessageARowToo) {
  MessageEncoder encoder{options()};
  RowBatch batch;
  encoder.encode(message("\n"), kNow, batch);
  ASSERT_EQ(1u, batch.rows().size());
  EXPECT_THAT(row_of(batch, 0).at("reason"), HasSubstr("empty"));
}

TEST(MessageEncoder, RejectsAnEventOfAnotherType) {
  auto o = options();
  o.type = DataType::orderbook;
  MessageEncoder encoder{o};
  RowBatch batch;
  encoder.encode(message(trade("1")), kNow, batch);
  ASSERT_EQ(1u, batch.rows().size());
  EXPECT_THAT(row_of(batch, 0).at("reason"), HasSubstr("trade on a subject of orderbook"));
}

}  // namespace
}  // namespace mp::sinks::clickhouse
