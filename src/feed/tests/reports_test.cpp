#include "feed/reports.hpp"

#include <gtest/gtest.h>

namespace mp {
namespace {

using namespace std::chrono_literals;
constexpr WallTime kNow = wall_from_nanos(1'790'000'000'000'000'000);

SessionOptions options() {
  SessionOptions out;
  out.source = {"okx", ""};
  return out;
}
SessionCounters counted(const Reports& reports) {
  SessionCounters out;
  reports.count(out);
  return out;
}

TEST(Reports, ARejectCarriesItsTextAndItsInstrumentsKind) {
  const Reports reports(options(), MarketType::spot);
  std::vector<MarketEvent> out;
  const auto swap =
      std::make_shared<const InstrumentId>(InstrumentId{"okx", MarketType::perpetual, "BTC-USDT", "BTC-USDT-SWAP"});
  reports.reject(swap, DataType::trade, "why", "{\"raw\"", kNow, out);
  reports.unknown_instrument("NO-PE", DataType::liquidation, "x", kNow, out);
  ASSERT_EQ(out.size(), 2u);
  const auto& known = std::get<Rejected>(out[0]);
  EXPECT_EQ(known.market_type, MarketType::perpetual);
  EXPECT_EQ(known.exchange, "okx");
  EXPECT_EQ(known.raw, "{\"raw\"");
  EXPECT_EQ(known.reason, "why");
  EXPECT_EQ(known.data_type, DataType::trade);
  EXPECT_EQ(known.meta.received_at, kNow);
  const auto& unknown = std::get<Rejected>(out[1]);
  EXPECT_EQ(unknown.market_type, MarketType::spot);
  EXPECT_EQ(unknown.meta.instrument, nullptr);
  EXPECT_EQ(unknown.reason, "instrument 'NO-PE' is not in the catalogue");
}

TEST(Reports, TimesTooFarFromTheirReceiveTime) {
  const Reports reports(options(), MarketType::spot);
  EXPECT_FALSE(reports.too_distant(kNow - 24h, kNow));
  EXPECT_FALSE(reports.too_distant(kNow + 24h, kNow));
  EXPECT_TRUE(reports.too_distant(kNow - 24h - 1ns, kNow));
  EXPECT_EQ(reports.too_distant(kNow + 24h + 1ns, kNow),
            "timestamp 2026-09-22T14:13:20.000000001Z is more than 24 h from its receive time");
  auto replay = options();
  replay.max_clock_distance = 0h;
  EXPECT_FALSE(Reports(replay, MarketType::spot).too_distant(WallTime{}, kNow));
}

TEST(Reports, WhatIsNewIsCountedAndToldOnce) {
  Reports reports(options(), MarketType::spot);
  reports.unknown_field("trades.foo");
  reports.unknown_field("trades.foo");
  reports.unknown_value("state", "paused");
  std::vector<Notice> told;
  reports.tell(told);
  ASSERT_EQ(told.size(), 2u);
  EXPECT_EQ(told[0].detail, "exchange=okx field=trades.foo");
  EXPECT_EQ(told[1].detail, "exchange=okx field=state value=paused");
  EXPECT_EQ(told[1].level, Notice::Level::warning);
  reports.unknown_field("trades.foo");
  reports.tell(told);
  EXPECT_EQ(told.size(), 2u) << "once";
  using Counts = std::vector<std::pair<std::string, std::uint64_t>>;
  EXPECT_EQ(counted(reports).unknown, (Counts{{"field=state value=paused", 1}, {"field=trades.foo", 3}}));
}

TEST(Reports, NamesAreBounded) {
  Reports reports(options(), MarketType::spot);
  for (std::size_t i = 0; i < Reports::kMostNames + 50; ++i) {
    reports.unmapped("channel" + std::to_string(i));
    reports.unknown_field("field" + std::to_string(i));
  }
  reports.unknown_field(std::string(10'000, 'x'));
  const auto counts = counted(reports);
  EXPECT_EQ(counts.unmapped.size(), Reports::kMostNames + 1);
  EXPECT_EQ(counts.unmapped.back(), (std::pair<std::string, std::uint64_t>{"others", 50}));
  EXPECT_EQ(counts.unknown.size(), Reports::kMostNames + 1);
  std::vector<Notice> told;
  reports.tell(told);
  EXPECT_LE(told.size(), Reports::kMostNames + 1) << "a venue that invents names does not fill the log";
}

}  // namespace
}  // namespace mp
