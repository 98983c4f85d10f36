#include "exchanges/binance/settings.hpp"

#include <gmock/gmock.h>

#include "support.hpp"

namespace mp::binance {
namespace {

using testing::HasSubstr;

Result<Settings> read(Market market, std::map<std::string, std::string> extra) {
  auto options = options_for(market == Market::spot ? "spot" : "derivatives", {"BTCUSDT"});
  options.extra = std::move(extra);
  return read_settings(options, market);
}

TEST(Settings, NothingMeansTheDefaults) {
  const auto settings = read(Market::derivatives, {});
  ASSERT_TRUE(settings);
  EXPECT_EQ(settings->trade_stream, "aggTrade");
  EXPECT_EQ(settings->open_interest_every, 10s);
  EXPECT_EQ(settings->ratio_period, "5m");
  EXPECT_EQ(settings->ratio_length, 5min);
}

TEST(Settings, AllThatCanBeSaid) {
  const auto settings = read(Market::derivatives, {{"trade_stream", "trade"},
                                                   {"depth_speed", "250ms"},
                                                   {"snapshot_limit", "500"},
                                                   {"mark_price_speed", "1s"},
                                                   {"open_interest_every", "30s"},
                                                   {"ratio_period", "1d"}});
  ASSERT_TRUE(settings) << settings.error().text();
  EXPECT_EQ(settings->trade_stream, "trade");
  EXPECT_EQ(settings->snapshot_limit, 500);
  EXPECT_EQ(settings->open_interest_every, 30s);
  EXPECT_EQ(settings->ratio_length, 24h);
  EXPECT_TRUE(read(Market::spot, {{"snapshot_limit", "5000"}, {"time_unit", "us"}})->microseconds);
}

TEST(Settings, WhatIsNotUnderstoodIsNamedAllAtOnce) {
  const auto settings = read(
      Market::derivatives,
      {{"trade_stream", "raw"}, {"ratio_periode", "5m"}, {"open_interest_every", "soon"}, {"snapshot_limit", "5000"}});
  ASSERT_FALSE(settings);
  EXPECT_EQ(settings.error().code, Errc::usage);
  const auto text = settings.error().text();
  EXPECT_THAT(text, HasSubstr("extra of binance.derivatives"));
  EXPECT_THAT(text, HasSubstr("trade_stream: expected one of aggTrade, trade, saw 'raw'"));
  EXPECT_THAT(text, HasSubstr("unknown key 'ratio_periode'; did you mean 'ratio_period'?"));
  EXPECT_THAT(text, HasSubstr("open_interest_every: expected seconds from 1s to 3600s, saw 'soon'"));
  EXPECT_THAT(text, HasSubstr("snapshot_limit: expected one of 5, 10, 20, 50, 100, 500, 1000, saw '5000'"));
  EXPECT_FALSE(read(Market::spot, {{"ratio_period", "5m"}})) << "spot has no ratios";
}

TEST(Settings, AMistakeEndsTheCollectorAtStart) {
  auto options = options_for("spot", {"BTC-USDT"});
  options.extra["depth_speed"] = "fast";
  Script s(options);
  ASSERT_TRUE(s.begin(0s).refusal);
  EXPECT_THAT(s.out.refusal->text(), HasSubstr("depth_speed: expected one of 100ms, 1000ms, saw 'fast'"));
}

}  // namespace
}  // namespace mp::binance
