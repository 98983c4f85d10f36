#include "collector_metrics.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mp::collector {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr MonoTime at(Nanos since) { return MonoTime(std::chrono::hours(1) + since); }

InstrumentRef instrument(std::string symbol) {
  auto id = std::make_shared<InstrumentId>();
  id->exchange = "binance";
  id->market_type = MarketType::spot;
  id->symbol = std::move(symbol);
  return id;
}

Trade trade(Nanos delay, DataSource data_source = DataSource::live) {
  Trade event;
  event.meta.instrument = instrument("BTC-USDT");
  event.meta.received_at = wall_from_nanos(1'795'369'470'000'000'000);
  event.meta.timestamp = event.meta.received_at - delay;
  event.meta.data_source = data_source;
  return event;
}

TEST(VenueDelay, IsReceiptMinusTheVenuesTime) {
  EXPECT_EQ(venue_delay(trade(35ms)), 35ms);
  EXPECT_EQ(venue_delay(trade(-2ms)), -2ms);
  EXPECT_EQ(venue_delay(trade(35ms, DataSource::simulated)), 35ms);
}

TEST(VenueDelay, IsNotToldByWhatIsNotFresh) {
  EXPECT_EQ(venue_delay(trade(35ms, DataSource::replay)), std::nullopt);
  EXPECT_EQ(venue_delay(trade(35ms, DataSource::backfill)), std::nullopt);
  EXPECT_EQ(venue_delay(trade(0ms)), std::nullopt) << "a message without a time has its receive time";
  OrderBookDelta delta;
  delta.meta = trade(20ms).meta;
  EXPECT_EQ(venue_delay(delta), 20ms);
  delta.is_snapshot = true;
  EXPECT_EQ(venue_delay(delta), std::nullopt);
  FundingRate polled;
  polled.meta = trade(20ms).meta;
  EXPECT_EQ(venue_delay(polled), std::nullopt);
}

TEST(SmallestDelay, IsOfTheLastOneToTwoWindows) {
  SmallestDelay smallest(1min);
  EXPECT_EQ(smallest.value(at(0s)), std::nullopt);
  smallest.add(5ms, at(0s));
  smallest.add(9ms, at(1s));
  EXPECT_EQ(smallest.value(at(2s)), 5ms);
  smallest.add(7ms, at(61s));
  EXPECT_EQ(smallest.value(at(62s)), 5ms) << "still of the window before";
  smallest.add(8ms, at(122s));
  EXPECT_EQ(smallest.value(at(123s)), 7ms);
  EXPECT_EQ(smallest.value(at(122s + 2min)), std::nullopt) << "nothing has come since";
  smallest.add(30ms, at(10min));
  EXPECT_EQ(smallest.value(at(10min)), 30ms) << "what was before a silence is forgotten";
}

TEST(UnpublishedAge, IsZeroWhenEverythingIsAcknowledged) {
  UnpublishedAge age;
  age.update({0, 0}, {0, 0}, at(0s));
  age.update({1, 10}, {1, 10}, at(1s));
  EXPECT_EQ(age.value(at(5s)), 0s);
}

TEST(UnpublishedAge, CountsFromWhenTheOldestOneCame) {
  UnpublishedAge age;
  age.update({1, 10}, {1, 5}, at(1s));
  age.update({1, 20}, {1, 5}, at(2s));
  age.update({2, 3}, {1, 5}, at(3s));
  EXPECT_EQ(age.value(at(4s)), 3s);
  age.update({2, 3}, {1, 10}, at(4s));
  EXPECT_EQ(age.value(at(4s)), 2s);
  age.update({2, 3}, {2, 0}, at(5s));
  EXPECT_EQ(age.value(at(5s)), 2s);
  age.update({2, 3}, {2, 3}, at(6s));
  EXPECT_EQ(age.value(at(6s)), 0s);
}

TEST(UnpublishedAge, AnOutageOfADayTakesNoMoreMemoryAndStaysExact) {
  UnpublishedAge age;
  constexpr std::uint32_t kTicks = 24 * 3600 * 5;  // five a second
  for (std::uint32_t tick = 1; tick <= kTicks; ++tick) {
    age.update({1, tick}, {0, 0}, at(tick * 200ms));
    ASSERT_LE(age.marks(), UnpublishedAge::kMaxMarks);
  }
  const auto end = at(kTicks * 200ms);
  EXPECT_EQ(age.value(end), (kTicks - 1) * 200ms);
  // Half of it is published: up to 1/512 of the outage more than exact.
  age.update({1, kTicks}, {1, kTicks / 2}, end);
  const auto exact = (kTicks - kTicks / 2 - 1) * 200ms;
  EXPECT_GE(age.value(end), exact);
  EXPECT_LE(age.value(end), exact + kTicks * 200ms / 512);
}

TEST(CollectorMetrics, ShowsStreamsByStateAndForgetsThoseThatAreGone) {
  telemetry::Metrics metrics;
  CollectorMetrics view(metrics);
  const auto heard = wall_from_nanos(1'795'369'470'500'000'000);
  std::vector<StreamStatus> streams{{instrument("BTC-USDT"), DataType::trade, StreamState::live, heard, 0, 0},
                                    {instrument("ETH-USDT"), DataType::trade, StreamState::silent, {}, 0, 0}};
  view.update_times(streams, 1500ms, at(0s));
  const std::string of_trades = R"(data_type="trade",exchange="binance",market_type="spot",)";
  auto text = metrics.text();
  EXPECT_THAT(text, AllOf(HasSubstr("marketprism_collector_streams{" + of_trades + "state=\"live\"} 1\n"),
                          HasSubstr("marketprism_collector_streams{" + of_trades + "state=\"silent\"} 1\n"),
                          HasSubstr("marketprism_collector_streams{" + of_trades + "state=\"refused\"} 0\n"),
                          HasSubstr("marketprism_collector_stream_live{" + of_trades + "symbol=\"BTC-USDT\"} 1\n"),
                          HasSubstr("marketprism_collector_stream_live{" + of_trades + "symbol=\"ETH-USDT\"} 0\n"),
                          HasSubstr("marketprism_collector_unpublished_seconds 1.5\n")));
  EXPECT_THAT(text, HasSubstr("last_event_timestamp_seconds{" + of_trades + "symbol=\"BTC-USDT\"} 1795369470.5\n"));
  EXPECT_THAT(text, Not(HasSubstr("last_event_timestamp_seconds{" + of_trades + "symbol=\"ETH-USDT\"}")))
      << "no event yet: no time of it";

  streams.erase(streams.begin());
  view.update_times(streams, 0s, at(1s));
  text = metrics.text();
  EXPECT_THAT(text, AllOf(HasSubstr("marketprism_collector_streams{" + of_trades + "state=\"live\"} 0\n"),
                          HasSubstr("marketprism_collector_stream_live{" + of_trades + "symbol=\"BTC-USDT\"} Nan\n"),
                          HasSubstr("last_event_timestamp_seconds{" + of_trades + "symbol=\"BTC-USDT\"} Nan\n")));
}

TEST(CollectorMetrics, CountsLossesByCauseFromZero) {
  telemetry::Metrics metrics;
  CollectorMetrics view(metrics);
  const Source source{"binance", "spot"};
  view.released(source, {trade(35ms)}, at(0s));
  const std::string labels = R"(,exchange="binance",market="spot"})";
  EXPECT_THAT(metrics.text(), HasSubstr("marketprism_collector_gaps_total{cause=\"sequence\"" + labels + " 0\n"));
  Gap loss, edge;
  loss.meta = edge.meta = trade(0ms).meta;
  loss.cause = GapCause::sequence;
  edge.cause = GapCause::start;
  auto audit = loss;
  audit.cause = GapCause::audit;
  view.released(source, {loss, edge, loss, audit}, at(1s));
  view.update_times({}, 0s, at(2s));
  EXPECT_THAT(metrics.text(), AllOf(HasSubstr("marketprism_collector_gaps_total{cause=\"sequence\"" + labels + " 2\n"),
                                    HasSubstr("marketprism_collector_gaps_total{cause=\"audit\"" + labels + " 1\n"),
                                    Not(HasSubstr("cause=\"start\"")),
                                    HasSubstr(R"(venue_delay_min_seconds{exchange="binance",market="spot"} 0.035)"),
                                    HasSubstr(R"(venue_delay_seconds_count{exchange="binance",market="spot"} 1)")));
  view.update_times({}, 0s, at(10min));
  EXPECT_THAT(metrics.text(),
              HasSubstr(R"(marketprism_collector_venue_delay_min_seconds{exchange="binance",market="spot"} Nan)"));
}

}  // namespace
}  // namespace mp::collector
