#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "sinks/clickhouse/rows/table.hpp"
#include "sinks/clickhouse/schema.hpp"
#include "sinks/clickhouse/tests/row_binary_reader.hpp"

namespace mp::sinks::clickhouse {
namespace {

using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using testing::RowBinaryReader;

std::string schema_text() {
  std::ifstream file{std::string(MP_SOURCE_DIR) + "/services/data-storage-service/config/clickhouse_schema.sql"};
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::vector<SchemaTable> schema() {
  const auto statements = schema_statements(schema_text(), {"marketprism_hot", "marketprism_cold", 3});
  return schema_tables(statements.value()).value();
}

const SchemaTable& schema_table(const std::vector<SchemaTable>& tables, const std::string& database,
                                const std::string& name) {
  const auto found = std::find_if(tables.begin(), tables.end(),
                                  [&](const auto& t) { return t.database == database && t.name == name; });
  if (found == tables.end()) throw std::runtime_error("the schema has no table " + database + "." + name);
  return *found;
}

EventMeta meta() {
  static const auto about =
      std::make_shared<InstrumentId>(InstrumentId{"binance", MarketType::perpetual, "BTC-USDT", "BTCUSDT"});
  return {about, parse_iso("2026-11-22T17:44:30.123Z").value(), parse_iso("2026-11-22T17:44:30.187654321Z").value(),
          DataSource::live};
}
const BusPosition kPosition{parse_iso("2026-11-22T00:00:00.000000001Z").value(), 18'446'744'073'709'551'615ULL, 7};

std::map<std::string, std::string> written(const MarketEvent& event) {
  std::string out = "before";
  EXPECT_TRUE(append_row(out, event, kPosition));
  RowBinaryReader reader{std::string_view{out}.substr(6)};
  auto row = reader.row(table_of(type_of(event)).columns);
  EXPECT_TRUE(reader.at_end());
  return row;
}

class EveryTable : public ::testing::TestWithParam<int> {};

TEST_P(EveryTable, HasTheColumnsOfTheSchema) {
  const auto& table = table_of(static_cast<DataType>(GetParam()));
  const auto tables = schema();
  std::vector<std::pair<std::string, std::string>> ours, schemas;
  for (const auto& c : table.columns) ours.emplace_back(c.name, without_blanks(c.type));
  // created_at is filled by its default, an ALIAS is never inserted.
  for (const auto& c : schema_table(tables, "marketprism_hot", table.name).columns) {
    if (c.kind != "ALIAS" && c.name != "created_at") schemas.emplace_back(c.name, c.type);
  }
  EXPECT_THAT(ours, ElementsAreArray(schemas));
}

TEST_P(EveryTable, IsPartitionedAsInTheSchema) {
  const auto& table = table_of(static_cast<DataType>(GetParam()));
  const auto tables = schema();
  const auto key = schema_table(tables, "marketprism_hot", table.name).partition_key;
  switch (table.partitioning) {
    case Partitioning::day: EXPECT_EQ("toDate(timestamp)", key); break;
    case Partitioning::month: EXPECT_THAT(key, ::testing::StartsWith("toYYYYMM(")); break;
    case Partitioning::none: EXPECT_EQ("", key); break;
  }
  if (table.expires) {
    EXPECT_EQ("toYYYYMM(timestamp)", schema_table(tables, "marketprism_cold", table.name).partition_key);
  }
}

INSTANTIATE_TEST_SUITE_P(Rows, EveryTable, ::testing::Range(0, kDataTypeCount),
                         [](const auto& test) { return std::string(to_string(static_cast<DataType>(test.param))); });

Decimal number(const char* text) { return Decimal::parse(text).value(); }

TEST(Rows, TradeKeepsEveryDigit) {
  Trade trade{.meta = meta(),
              .trade_id = "2718281828",
              .price = Price{number("65000.100000000001")},
              .quantity = Quantity{number("99999999999999999999999999.999999999999")},
              .quantity_unit = QuantityUnit::quote,
              .contracts = Contracts{number("-3")},
              .side = Side::sell,
              .first_trade_id = {},
              .last_trade_id = {}};
  const auto row = written(trade);
  EXPECT_EQ("2026-11-22T17:44:30.123000000Z", row.at("timestamp"));
  EXPECT_EQ("2026-11-22T17:44:30.187654321Z", row.at("received_at"));
  EXPECT_EQ("binance", row.at("exchange"));
  EXPECT_EQ("perpetual", row.at("market_type"));
  EXPECT_EQ("BTC-USDT", row.at("symbol"));
  EXPECT_EQ("BTCUSDT", row.at("instrument"));
  EXPECT_EQ("live", row.at("data_source"));
  EXPECT_EQ("2718281828", row.at("trade_id"));
  EXPECT_EQ("65000.100000000001", row.at("price"));
  EXPECT_EQ("99999999999999999999999999.999999999999", row.at("quantity"));
  EXPECT_EQ("quote", row.at("quantity_unit"));
  EXPECT_EQ("-3", row.at("contracts"));
  EXPECT_EQ("sell", row.at("side"));
  EXPECT_EQ("true", row.at("is_maker"));
  EXPECT_EQ("false", row.at("is_aggregated"));
  EXPECT_EQ("book", row.at("execution"));
  trade.execution = TradeExecution::block;
  EXPECT_EQ("block", written(trade).at("execution"));
  EXPECT_EQ("2026-11-22T00:00:00.000000001Z", row.at("bus_stream"));
  EXPECT_EQ("18446744073709551615", row.at("bus_sequence"));
  EXPECT_EQ("7", row.at("bus_index"));
}

TEST(Rows, AValueThatDoesNotFitIsRefusedAndLeavesNothingBehind) {
  Trade trade{.meta = meta(),
              .trade_id = "1",
              .price = Price{number("0.0000000000001")},
              .quantity = Quantity{number("1")},
              .contracts = {},
              .first_trade_id = {},
              .last_trade_id = {}};
  std::string out = "before";
  auto refused = append_row(out, trade, kPosition);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().text(), HasSubstr("price: 0.0000000000001 does not fit Decimal(38, 12) exactly"));
  EXPECT_EQ("before", out);
  trade.price = Price{number("100000000000000000000000000")};  // 10^26
  refused = append_row(out, trade, kPosition);
  ASSERT_FALSE(refused);
  EXPECT_EQ("before", out);
}

TEST(Rows, OrderBookTellsItsBestLevelsAndCounts) {
  OrderBook book{.meta = meta(), .last_update_id = 42, .depth = 20, .bids = {}, .asks = {}};
  book.bids = {{Price{number("9.5")}, Quantity{number("1")}}, {Price{number("9")}, Quantity{number("2")}}};
  const auto row = written(book);
  EXPECT_EQ("9.5", row.at("best_bid_price"));
  EXPECT_EQ("1", row.at("best_bid_quantity"));
  EXPECT_EQ("NULL", row.at("best_ask_price"));
  EXPECT_EQ("NULL", row.at("best_ask_quantity"));
  EXPECT_EQ("2", row.at("bid_count"));
  EXPECT_EQ("0", row.at("ask_count"));
  EXPECT_EQ("(9.5,1)(9,2)", row.at("bids"));
  EXPECT_EQ("", row.at("asks"));
  EXPECT_EQ("42", row.at("last_update_id"));
  EXPECT_EQ("20", row.at("depth"));
}

TEST(Rows, DeltaWithoutPreviousIdHasNull) {
  OrderBookDelta delta{
      .meta = meta(), .first_update_id = 1, .last_update_id = 3, .prev_update_id = {}, .bids = {}, .asks = {}};
  for (int i = 0; i < 200; ++i) delta.asks.push_back({Price{Decimal::from_parts(i + 1, 0)}, Quantity{number("0")}});
  auto row = written(delta);
  EXPECT_EQ("NULL", row.at("prev_update_id"));
  EXPECT_EQ("false", row.at("is_snapshot"));
  EXPECT_EQ("200", row.at("ask_count"));
  EXPECT_THAT(row.at("asks"), ::testing::EndsWith("(199,0)(200,0)"));
  delta.prev_update_id = 0;
  delta.is_snapshot = true;
  row = written(delta);
  EXPECT_EQ("0", row.at("prev_update_id"));
  EXPECT_EQ("true", row.at("is_snapshot"));
}

TEST(Rows, RatesHaveEighteenDecimals) {
  FundingRate funding{.meta = meta(),
                      .funding_rate = Ratio{number("-0.0000123456789012")},
                      .funding_time = meta().timestamp,
                      .next_funding_time = {},
                      .mark_price = {},
                      .index_price = {},
                      .funding_interval_hours = number("8"),
                      .is_settled = true};
  const auto row = written(funding);
  EXPECT_EQ("-0.0000123456789012", row.at("funding_rate"));
  EXPECT_EQ("2026-11-22T17:44:30.123000000Z", row.at("funding_time"));
  EXPECT_EQ("NULL", row.at("next_funding_time"));
  EXPECT_EQ("8", row.at("funding_interval_hours"));
  EXPECT_EQ("true", row.at("is_settled"));
}

TEST(Rows, EveryOtherTypeIsReadBackAsWritten) {
  EXPECT_EQ(
      "7.5",
      written(OpenInterest{
                  .meta = meta(), .open_interest = Quantity{number("7.5")}, .open_interest_value = {}, .contracts = {}})
          .at("open_interest"));
  EXPECT_EQ("sampled", written(Liquidation{.meta = meta(),
                                           .side = Side::buy,
                                           .price = {},
                                           .average_price = Price{number("2")},
                                           .quantity = Quantity{number("1")},
                                           .filled_quantity = {},
                                           .contracts = {},
                                           .status = "FILLED",
                                           .coverage = Coverage::sampled})
                           .at("coverage"));
  EXPECT_EQ("5m", written(LsrTopPosition{.meta = meta(),
                                         .long_position_ratio = {},
                                         .short_position_ratio = {},
                                         .long_short_ratio = Ratio{number("1.5")},
                                         .period = "5m"})
                      .at("period"));
  EXPECT_EQ("0.6", written(LsrAllAccount{.meta = meta(),
                                         .long_account_ratio = Ratio{number("0.6")},
                                         .short_account_ratio = {},
                                         .long_short_ratio = Ratio{number("1.5")},
                                         .period = "1h"})
                       .at("long_account_ratio"));
  EXPECT_EQ("BTC", written(VolatilityIndex{.meta = meta(),
                                           .index_value = Ratio{number("55.1")},
                                           .open = {},
                                           .high = {},
                                           .low = {},
                                           .resolution = {},
                                           .underlying_asset = "BTC"})
                       .at("underlying_asset"));
  Instrument instrument{.meta = meta(),
                        .base_asset = "BTC",
                        .quote_asset = "USDT",
                        .settlement_asset = "USDT",
                        .tick_size = Price{number("0.1")},
                        .lot_size = {},
                        .status = "TRADING",
                        .expiry = {},
                        .strike = {},
                        .option_right = OptionRight::call};
  const auto row = written(instrument);
  EXPECT_EQ("C", row.at("option_right"));
  EXPECT_EQ("0.1", row.at("tick_size"));
  EXPECT_EQ("1", row.at("contract_size"));
}

TEST(Rows, GapIsOpenAndVersionedByItsDetection) {
  Gap gap{.meta = meta(),
          .data_type = DataType::trade,
          .cause = GapCause::disconnected,
          .gap_start = meta().timestamp,
          .gap_end = meta().received_at,
          .last_id = "10",
          .next_id = {},
          .gap_id = "j-1-2-0"};
  const auto row = written(gap);
  EXPECT_EQ("trade", row.at("data_type"));
  EXPECT_EQ("disconnected", row.at("cause"));
  EXPECT_EQ("open", row.at("state"));
  EXPECT_EQ("10", row.at("last_id"));
  EXPECT_EQ("", row.at("next_id"));
  EXPECT_EQ("j-1-2-0", row.at("gap_id"));
  EXPECT_EQ(std::to_string(nanos_since_epoch(meta().received_at)), row.at("version"));
}

TEST(Rows, RejectedMessagesKeepAnyBytes) {
  Rejected rejected{.meta = meta(),
                    .exchange = "okx",
                    .market_type = MarketType::spot,
                    .data_type = {},
                    .reason = "not JSON",
                    .raw = std::string("\0\xff{", 3)};
  rejected.meta.instrument = nullptr;
  auto row = written(rejected);
  EXPECT_EQ(std::string("\0\xff{", 3), row.at("raw"));
  EXPECT_EQ("collector", row.at("origin"));
  EXPECT_EQ("", row.at("symbol"));
  std::string out;
  append_rejected_row(out,
                      {.received_at = meta().received_at,
                       .exchange = "okx",
                       .market_type = "spot",
                       .symbol = "A-B",
                       .instrument = "",
                       .data_type = DataType::trade,
                       .data_source = "live",
                       .reason = "why",
                       .raw = "x"},
                      kPosition);
  row = RowBinaryReader{out}.row(table_of(DataType::rejected).columns);
  EXPECT_EQ("storage", row.at("origin"));
  EXPECT_EQ("trade", row.at("data_type"));
}

TEST(Partitions, AreDaysMonthsOrOne) {
  const auto time = parse_iso("2026-11-22T23:59:59.999Z").value();
  EXPECT_EQ(20779, partition_number(Partitioning::day, time));
  EXPECT_EQ(20780, partition_number(Partitioning::day, time + std::chrono::milliseconds{1}));
  EXPECT_EQ(202611, partition_number(Partitioning::month, time));
  EXPECT_EQ(0, partition_number(Partitioning::none, time));
}

}  // namespace
}  // namespace mp::sinks::clickhouse
