#include "app/operate/status_view.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mp::operate {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

// Ten seconds apart: 100 events, 40 rows in two batches.
Snapshot snapshot(int second) {
  Snapshot s;
  s.at = {WallTime{std::chrono::seconds{1'800'000'000 + second}}, MonoTime{std::chrono::seconds{second}}};
  s.database = "marketprism_hot";
  const int n = second / 10;
  s.collector.state = s.storage.state = s.nats.state = s.clickhouse.state = s.collector.metrics_state =
      s.storage.metrics_state = {true, 200, ""};
  s.collector.data_source = "live";
  s.collector.streams = {{"binance", "perpetual", "trade", "BTC-USDT", "live", 0.25},
                         {"binance", "futures", "trade", "BTC-USDT-20261225", "live", 4.0}};
  s.collector.metrics = MetricsPage::parse(
      "marketprism_collector_events_total{exchange=\"binance\",market=\"derivatives\",data_type=\"trade\"} " +
      std::to_string(100 * n) +
      "\nmarketprism_collector_events_total{exchange=\"binance\",market=\"spot\",data_type=\"trade\"} "
      "0\nmarketprism_collector_unpublished_seconds 0.5\n"
      "marketprism_disk_free_bytes{use=\"journal\"} 50000000000\nmarketprism_disk_size_bytes{use=\"journal\"} "
      "100000000000\nmarketprism_collector_journal_bytes 1000\n");
  s.storage.database = "marketprism_hot";
  s.storage.types["trade"] = {"running", "", 7, 1000, 0, 1.0};
  s.storage.metrics =
      MetricsPage::parse("marketprism_storage_rows_inserted_total{data_type=\"trade\"} " + std::to_string(40 * n) +
                         "\nmarketprism_storage_batch_rows_sum{data_type=\"trade\"} " + std::to_string(40 * n) +
                         "\nmarketprism_storage_batch_rows_count{data_type=\"trade\"} " + std::to_string(2 * n) + "\n");
  s.nats.version = "2.15.1";
  s.nats.has_jetstream = s.nats.has_stream = true;
  s.nats.stream_bytes = 10;
  s.nats.stream_max_bytes = 100;
  s.clickhouse.version = "26.7";
  s.clickhouse.has_database = true;
  s.clickhouse.gaps_today = {{{"binance", "perpetual", "trade", 2}}};
  return s;
}

TEST(StatusView, ShowsRatesAgesAndGapsBySourceAndType) {
  const auto view = status_view(snapshot(10), snapshot(20));
  ASSERT_EQ(view.sources.size(), 1u) << "a market that nobody collects is not shown";
  const auto& row = view.sources.front();
  EXPECT_EQ(row.market, "derivatives");
  EXPECT_EQ(row.events_per_second, 10);
  EXPECT_EQ(row.last_event_age_seconds, 0.25);
  EXPECT_EQ(row.streams, 2u);
  EXPECT_EQ(row.gaps_today, 2u);
  EXPECT_EQ(view.types.front().rows_per_second, 4);
  EXPECT_EQ(view.types.front().rows_per_batch, 20);
  EXPECT_THAT(view.problems, IsEmpty());
  const auto screen = status_screen(view, {});
  EXPECT_THAT(screen, HasSubstr("binance derivatives"));
  EXPECT_THAT(screen, HasSubstr("all is well"));
  EXPECT_THAT(screen, Not(HasSubstr("\x1b")));
}

TEST(StatusView, ShowsRejectsBySource) {
  auto now = snapshot(20);
  now.clickhouse.rejects = {{{"binance", "perpetual", "trade", 7, 2}, {"okx", "spot", "orderbook", 5, 0}}};
  const auto view = status_view(snapshot(10), now);
  ASSERT_EQ(view.sources.size(), 2u) << "a source that has rejects only is shown";
  EXPECT_EQ(view.sources[0].rejected_today, 7u);
  EXPECT_EQ(view.sources[0].rejected_lately, 2u);
  EXPECT_EQ(view.sources[1].rejected_today, 5u);
  EXPECT_THAT(status_screen(view, {}), HasSubstr("7 (2 new)"));
  EXPECT_THAT(status_json(view), HasSubstr(R"("rejected_today":7,"rejected_last_5_minutes":2)"));
  EXPECT_EQ(status_view(snapshot(10), snapshot(20)).sources[0].rejected_today, std::nullopt) << "not known is not none";
}

TEST(StatusView, APartThatIsAwayIsShownSo) {
  auto now = snapshot(20);
  now.clickhouse = {};
  now.clickhouse.state.trouble = "does not answer at http://127.0.0.1:8123: refused";
  const auto view = status_view(snapshot(10), now);
  EXPECT_THAT(view.problems, ElementsAre("clickhouse does not answer at http://127.0.0.1:8123: refused"));
  EXPECT_EQ(view.sources.front().gaps_today, std::nullopt) << "not known is not none";
  const auto screen = status_screen(view, {.is_terminal = true, .has_colours = true, .width = 200});
  EXPECT_THAT(screen, HasSubstr("AWAY"));
  EXPECT_THAT(screen, HasSubstr("\x1b[31m"));
  EXPECT_THAT(status_json(view), HasSubstr(R"("well":false)"));
  EXPECT_THAT(status_json(view), HasSubstr(R"("gaps_today":null)"));
}

TEST(StatusView, AFullDiskOrStreamIsUnwell) {
  auto now = snapshot(20);
  now.nats.stream_bytes = 95;
  now.clickhouse.disks = {{"/x", 100, 1'000'000}};
  EXPECT_THAT(status_view(snapshot(10), now).problems,
              ElementsAre(HasSubstr("stream: only 5 B of 100 B"), HasSubstr("ClickHouse: only 100 B")));
}

TEST(StatusView, ACounterThatFellHasNoRate) {
  const auto view = status_view(snapshot(20), snapshot(10));
  EXPECT_EQ(view.sources.front().events_per_second, std::nullopt);
}

TEST(Snapshot, ReadsWhatTheServicesSay) {
  CollectorSeen collector;
  read_collector_health(
      R"({"status":"unhealthy","problem":"1 of 1 streams bring no good data","data_source":"live","uptime_seconds":7,"events":5,"gaps":1,"rejected":0,"connected":true,
    "journal":{"failing":false,"records_dropped":0},"bus":{"state":"publishing","outstanding":0,"behind":false},"drained":true,
    "streams":[{"exchange":"okx","market_type":"spot","data_type":"trade","symbol":"BTC-USDT","state":"silent","last_event_age_seconds":null,"gaps":0,"reconnects":0}]})",
      collector);
  EXPECT_EQ(collector.state.trouble, "1 of 1 streams bring no good data");
  ASSERT_EQ(collector.streams.size(), 1u);
  EXPECT_EQ(collector.streams.front().last_event_age_seconds, std::nullopt);
  StorageSeen storage;
  read_storage_health(
      R"({"status":"unhealthy","drained":false,"database":"d","stream":"S","data_source":"live","data_types":{"trade":{"state":"waiting_for_clickhouse","trouble":"refused","pending":3,"unacknowledged":4,"rows":1,"rejected":0,"rows_held":0}}})",
      storage);
  EXPECT_EQ(storage.state.trouble, "trade: waiting_for_clickhouse: refused");
  EXPECT_EQ(storage.types.at("trade").waiting, 7u);
  read_storage_health(
      R"({"status":"unhealthy","problem":"refuses rows of live data","foreign_rows":{"live":9},"data_types":{"trade":{"state":"running"}}})",
      storage);
  EXPECT_EQ(storage.state.trouble, "refuses rows of live data");
  EXPECT_EQ(storage.foreign.at("live"), 9u);
  NatsSeen nats;
  read_jsz(
      R"({"config":{"store_dir":"/s","max_storage":1000},"storage":10,"account_details":[{"stream_detail":[{"name":"S","config":{"max_bytes":500},"state":{"messages":3,"bytes":9,"last_ts":"2026-11-22T10:00:00Z"}}]}]})",
      "S", nats);
  EXPECT_TRUE(nats.has_stream);
  EXPECT_EQ(nats.stream_max_bytes, 500);
  for (const char* other : {"", "<html>", "[]", "{}"}) {
    CollectorSeen stranger;
    read_collector_health(other, stranger);
    EXPECT_THAT(stranger.state.trouble, HasSubstr("not a collector")) << other;
  }
}

}  // namespace
}  // namespace mp::operate
