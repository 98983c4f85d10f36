#include "app/operate/export_plan.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/operate/parquet_join.hpp"

namespace mp::operate {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

WallTime at(const char* text) { return parse_moment(text).value(); }

const std::vector<ExportColumn> kTrades{{"timestamp", "DateTime64(9, 'UTC')", ""},
                                        {"received_at", "", ""},
                                        {"exchange", "", ""},
                                        {"market_type", "", ""},
                                        {"symbol", "", ""},
                                        {"price", "", ""},
                                        {"base_quantity", "", "ALIAS"},
                                        {"bus_stream", "", ""},
                                        {"bus_sequence", "", ""},
                                        {"bus_index", "", ""}};

ExportRequest trades() {
  ExportRequest request;
  request.database = "d";
  request.table = "trades";
  request.from = at("2026-11-22");
  request.to = at("2026-11-23");
  request.format = ExportFormat::csv;
  return request;
}

TEST(ExportPlan, OrdersByTimeThenByThePlaceThatIsARowsOwn) {
  const auto table = table_of(trades(), kTrades);
  ASSERT_TRUE(table);
  EXPECT_EQ(table->time, "timestamp");
  EXPECT_THAT(table->order,
              ElementsAre("timestamp", "exchange", "market_type", "symbol", "bus_stream", "bus_sequence", "bus_index"));
  EXPECT_THAT(table->columns, testing::Not(testing::Contains("base_quantity")));
}

TEST(ExportPlan, OrdersAViewByAllItsColumns) {
  auto request = trades();
  request.table = "bars";
  const auto table = table_of(request, {{"exchange", "", ""}, {"minute", "", ""}, {"open", "", ""}});
  ASSERT_TRUE(table);
  EXPECT_THAT(table->order, ElementsAre("minute", "exchange", "open"));
}

TEST(ExportPlan, NamesTheNearestColumn) {
  auto request = trades();
  request.columns = {"prize"};
  EXPECT_THAT(table_of(request, kTrades).error().text(), HasSubstr("did you mean price?"));
  request.columns = {"base_quantity"};
  EXPECT_THAT(table_of(request, kTrades)->columns, ElementsAre("base_quantity"))
      << "what is asked for by name is given";
}

TEST(ExportPlan, RangesAreHalfOpenAndTextIsQuoted) {
  auto request = trades();
  request.symbols = {"a'b"};
  const auto sql = sql_rows(request, *table_of(request, kTrades), {request.from, request.to}, true);
  EXPECT_THAT(sql, HasSubstr("`timestamp` >= toDateTime64('2026-11-22 00:00:00.000000000', 9, 'UTC') AND `timestamp` < "
                             "toDateTime64('2026-11-23 00:00:00.000000000', 9, 'UTC')"));
  EXPECT_THAT(sql, HasSubstr(R"(symbol IN ('a\'b'))"));
  EXPECT_TRUE(sql.ends_with("FORMAT CSVWithNames"));
}

TEST(ExportPlan, PiecesCoverTheRangeAndJoinWhatIsSmall) {
  using std::chrono::hours;
  const auto from = at("2026-11-22");
  std::vector<ExportPiece> counts;
  for (const std::uint64_t rows : {10u, 20u, 100u, 5u, 5u}) {
    const auto begin = from + hours{counts.size() + 1};
    counts.push_back({{begin, begin + hours{1}}, rows});
  }
  const TimeRange all{from, from + hours{24}};
  const auto pieces = pieces_of(all, counts, 50);
  ASSERT_EQ(pieces.size(), 3u);
  EXPECT_EQ(pieces[0].rows, 30u);
  EXPECT_EQ(pieces[1].rows, 100u);
  EXPECT_EQ(pieces[2].rows, 10u);
  EXPECT_EQ(pieces.front().range.from, all.from);
  for (std::size_t i = 1; i < pieces.size(); ++i) EXPECT_EQ(pieces[i - 1].range.to, pieces[i].range.from);
  EXPECT_EQ(pieces.back().range.to, all.to);
  EXPECT_EQ(pieces_of(all, {}, 50).size(), 1u) << "also nothing makes a file";
}

TEST(ExportPlan, CountsRowsWhereverThePiecesAreCut) {
  const std::string text = "\"a\",\"b\"\n1,\"x\ny\"\n2,\"say \"\"hi\"\"\n\"\n";
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    RowCounter counter(true, true);
    counter.add(std::string_view(text).substr(0, cut));
    counter.add(std::string_view(text).substr(cut));
    EXPECT_EQ(counter.rows(), 2u) << cut;
  }
}

TEST(ExportPlan, UnderstandsMoments) {
  EXPECT_EQ(iso(at("2026-11-22")), "2026-11-22T00:00:00.000000000Z");
  EXPECT_EQ(iso(at("2026-11-22T10:30")), "2026-11-22T10:30:00.000000000Z");
  EXPECT_EQ(iso(at("2026-11-22 10:30:01.5Z")), "2026-11-22T10:30:01.500000000Z");
  for (const char* bad : {"", "yesterday", "2026-13-01", "2026-11-22T", "22.11.2026", "Z"})
    EXPECT_FALSE(parse_moment(bad)) << bad;
}

TEST(ParquetJoin, RefusesWhatIsNoFooter) {
  EXPECT_FALSE(parquet_footer_size("\x04\0\0\0PAR2"));
  EXPECT_EQ(parquet_footer_size(std::string_view("\x04\x01\0\0PAR1", 8)).value(), 260u);
  // version 1; schema: a list of no structures; 0 rows; no row groups
  const std::string footer("\x15\x02\x19\x0c\x16\x00\x19\x0c\x00", 9);
  EXPECT_EQ(ParquetJoin().add(footer, 4).value(), 0u);
  for (std::size_t size = 0; size < footer.size(); ++size)
    EXPECT_FALSE(ParquetJoin().add(footer.substr(0, size), 4)) << size;
  for (std::size_t i = 0; i < footer.size(); ++i) {
    auto damaged = footer;
    for (int byte = 0; byte < 256; ++byte) {
      damaged[i] = static_cast<char>(byte);
      ParquetJoin join;
      if (join.add(damaged, 4)) {
        EXPECT_TRUE(join.end().ends_with("PAR1"));
      }
    }
  }
}

}  // namespace
}  // namespace mp::operate
