// Whole sequences through a session: snapshot late, gap, duplicate, reconnect, replacement.
#include "exchanges/binance/depth_feed.hpp"

#include <random>

#include "support.hpp"

namespace mp::binance {
namespace {

struct Spot : Script {
  explicit Spot(SessionOptions options = options_for("spot")) : Script(options) {
    rest(kSpotInfoUrl, fixture("spot_rest_exchange_info.json"), 0s);
    all.clear();
    events.clear();
  }
};
struct Usdm : Script {
  explicit Usdm(SessionOptions options = options_for("derivatives")) : Script(options) {
    rest(kUsdmInfoUrl, fixture("usdm_rest_exchange_info.json"), 0s);
    all.clear();
    events.clear();
  }
};

std::vector<std::string> summary(const std::vector<MarketEvent>& events) {
  std::vector<std::string> out;
  for (const auto& event : events) {
    if (const auto* d = std::get_if<OrderBookDelta>(&event))
      out.push_back((d->is_snapshot ? "snapshot " : "delta ") + std::to_string(d->last_update_id));
    else if (const auto* g = std::get_if<Gap>(&event))
      out.push_back(std::string("gap ") + to_string(g->cause) + " " + *g->last_id + ".." + *g->next_id);
    else
      out.emplace_back(to_string(type_of(event)));
  }
  return out;
}
using Lines = std::vector<std::string>;

TEST(SpotBook, BufferedUpdatesFollowTheirSnapshotWithTheirOwnTimes) {
  Spot s;
  s.text(1, spot_update(101, 105, 10), 11ms);
  s.text(1, spot_update(106, 110, 20), 21ms);
  s.text(1, spot_update(111, 111, 30), 31ms);
  EXPECT_TRUE(s.all.empty());
  s.rest(kSpotDepthUrl, depth_reply(107), 40ms);
  EXPECT_EQ(summary(s.all), (Lines{"snapshot 107", "delta 110", "delta 111"}));
  const auto deltas = only<OrderBookDelta>(s.all);
  EXPECT_EQ(deltas[0].meta.received_at, kStart + 40ms);
  EXPECT_EQ(deltas[0].meta.timestamp, kStart + 40ms) << "a spot answer has no time of its own";
  EXPECT_EQ(deltas[1].meta.received_at, kStart + 21ms);
  EXPECT_EQ(deltas[1].meta.timestamp, kStart + 20ms);
  s.text(1, spot_update(112, 113, 50), 51ms);
  s.text(1, spot_update(114, 114, 60), 61ms);
  EXPECT_EQ(summary(s.all).back(), "delta 114");
}

TEST(SpotBook, ASnapshotOlderThanItsUpdatesIsNotPublished) {
  Spot s;
  s.text(1, spot_update(101, 105, 10), 11ms);
  s.rest(kSpotDepthUrl, depth_reply(99), 20ms);
  EXPECT_TRUE(s.all.empty());
  s.rest(kSpotDepthUrl, depth_reply(100), 30ms);
  EXPECT_EQ(summary(s.all), (Lines{"snapshot 100", "delta 105"}));
}

TEST(SpotBook, ASnapshotNewerThanAllUpdatesWaitsForTheOneThatContinuesIt) {
  Spot s;
  s.text(1, spot_update(101, 105, 10), 11ms);
  s.rest(kSpotDepthUrl, depth_reply(120), 20ms);
  s.text(1, spot_update(106, 119, 30), 31ms);
  s.text(1, spot_update(120, 125, 40), 41ms);
  EXPECT_EQ(summary(s.all), (Lines{"snapshot 120", "delta 125"}));
}

TEST(SpotBook, AGapIsToldAtOnceAndNoUpdateComesUntilTheNextSnapshot) {
  Spot s;
  s.text(1, spot_update(1, 5, 10), 11ms);
  s.rest(kSpotDepthUrl, depth_reply(3), 20ms);
  s.text(1, spot_update(8, 9, 100), 101ms);
  s.text(1, spot_update(10, 11, 200), 201ms);
  EXPECT_EQ(summary(s.all), (Lines{"snapshot 3", "delta 5", "gap sequence 5..8"}));
  const auto gap = only<Gap>(s.all).at(0);
  EXPECT_EQ(gap.data_type, DataType::orderbook_delta);
  EXPECT_EQ(gap.gap_start, kStart + 10ms);
  EXPECT_EQ(gap.gap_end, kStart + 100ms);
  EXPECT_EQ(gap.meta.received_at, kStart + 101ms);
  std::vector<OrderBook> books;
  s.session->books(0, books);
  EXPECT_TRUE(books.empty()) << "a book that lost continuity is not shown as good";
  s.all.clear();
  s.rest(kSpotDepthUrl, depth_reply(9), 300ms);
  EXPECT_EQ(summary(s.all), (Lines{"gap sequence 5..9", "snapshot 9", "delta 11"}))
      << "what was not published until the snapshot is told too";
  EXPECT_EQ(only<Gap>(s.all).at(0).gap_start, kStart + 10ms);
  EXPECT_EQ(only<Gap>(s.all).at(0).gap_end, kStart + 300ms);
  EXPECT_EQ(only<Gap>(s.all).at(0).gap_id, gap.gap_id) << "the second row replaces the first";
}

TEST(SpotBook, RepeatedUpdatesAreDropped) {
  Spot s;
  s.rest(kSpotDepthUrl, depth_reply(3), 10ms);
  s.text(1, spot_update(4, 5, 20), 21ms);
  s.text(1, spot_update(4, 5, 20), 22ms);
  EXPECT_EQ(summary(s.all), (Lines{"snapshot 3", "delta 5"}));
  EXPECT_EQ(s.session->counters().duplicates, 1u);
}

TEST(SpotBook, ABrandNewSymbolsEmptyBookIsContinuedByWhateverComes) {
  Spot s;
  s.rest(kSpotDepthUrl, R"({"lastUpdateId":-1,"bids":[],"asks":[]})", 10ms);
  s.text(1, spot_update(44, 45, 20), 21ms);
  s.text(1, spot_update(46, 46, 30), 31ms);
  EXPECT_EQ(summary(s.all), (Lines{"snapshot 0", "delta 45", "delta 46"}));
}

TEST(SpotBook, AReconnectThatLosesNothingIsNoGap) {
  Spot s;
  s.opened(1, "wss://stream.binance.com:9443/stream", 0s);
  s.rest(kSpotDepthUrl, depth_reply(3), 10ms);
  s.text(1, spot_update(4, 5, 20), 21ms);
  s.closed(1, 30ms);
  s.opened(2, "wss://stream.binance.com:9443/stream", 40ms);
  s.text(2, spot_update(6, 7, 50), 51ms);
  EXPECT_EQ(summary(s.all), (Lines{"snapshot 3", "delta 5", "delta 7"}));
}

TEST(SpotBook, AReconnectThatLosesUpdatesSaysWhy) {
  for (const bool collector : {false, true}) {
    Spot s;
    s.opened(1, "wss://stream.binance.com:9443/stream", 0s);
    s.rest(kSpotDepthUrl, depth_reply(3), 10ms);
    s.text(1, spot_update(4, 5, 20), 21ms);
    collector ? s.begin(30ms) : s.closed(1, 30ms);
    s.opened(2, "wss://stream.binance.com:9443/stream", 40ms);
    s.text(2, spot_update(9, 9, 50), 51ms);
    EXPECT_EQ(summary(s.all).back(), collector ? "gap collector_down 5..9" : "gap disconnected 5..9");
  }
}

TEST(SpotBook, AReplacementRunningAheadIsNoGap) {
  Spot s;
  s.opened(1, "wss://stream.binance.com:9443/stream", 0s);
  s.opened(2, "wss://stream.binance.com:9443/stream", 0s);
  s.rest(kSpotDepthUrl, depth_reply(3), 10ms);
  s.text(1, spot_update(4, 5, 20), 21ms);
  s.text(2, spot_update(8, 9, 40), 41ms);  // 6..7 stand on the other connection's way
  s.text(1, spot_update(6, 7, 30), 42ms);
  s.text(1, spot_update(8, 9, 40), 43ms);
  s.closed(1, 50ms);
  s.text(2, spot_update(10, 10, 50), 60ms);
  EXPECT_EQ(summary(s.all), (Lines{"snapshot 3", "delta 5", "delta 7", "delta 9", "delta 10"}));
}

TEST(SpotBook, AReplacementRunningFarAheadIsNoGapEither) {
  Spot s;
  s.opened(1, "wss://stream.binance.com:9443/stream", 0s);
  s.opened(2, "wss://stream.binance.com:9443/stream", 0s);
  s.rest(kSpotDepthUrl, depth_reply(3), 10ms);
  s.text(1, spot_update(4, 5, 20), 21ms);
  s.text(2, spot_update(8, 9, 40), 41ms);
  s.text(2, spot_update(10, 11, 50), 51ms);
  s.text(2, spot_update(12, 12, 60), 61ms);
  s.text(1, spot_update(6, 7, 30), 62ms);
  EXPECT_EQ(summary(s.all), (Lines{"snapshot 3", "delta 5", "delta 7", "delta 9", "delta 11", "delta 12"}));
}

TEST(SpotBook, AHoleWaitsForTheBooksConnectionWhicheverOtherEnds) {
  Spot s;
  for (ConnectionId connection = 1; connection <= 3; ++connection)
    s.opened(connection, "wss://stream.binance.com:9443/stream", 0s);
  s.rest(kSpotDepthUrl, depth_reply(3), 10ms);
  s.text(1, spot_update(4, 5, 20), 21ms);
  s.text(2, spot_update(8, 9, 40), 41ms);
  s.closed(3, 45ms);
  s.closed(2, 46ms);
  s.text(1, spot_update(6, 7, 30), 62ms);
  s.text(1, spot_update(8, 9, 40), 63ms);
  s.text(1, spot_update(10, 11, 70), 71ms);
  EXPECT_EQ(summary(s.all), (Lines{"snapshot 3", "delta 5", "delta 7", "delta 9", "delta 11"}));
}

TEST(SpotBook, WhatTheOldConnectionDoesNotBringAnyMoreIsAGap) {
  Spot s;
  s.opened(1, "wss://stream.binance.com:9443/stream", 0s);
  s.opened(2, "wss://stream.binance.com:9443/stream", 0s);
  s.rest(kSpotDepthUrl, depth_reply(3), 10ms);
  s.text(1, spot_update(4, 5, 20), 21ms);
  s.text(2, spot_update(8, 9, 40), 41ms);
  s.closed(1, 50ms);
  EXPECT_EQ(summary(s.all).back(), "gap sequence 5..8");
}

// Its updates come later, or never: they are in the snapshot, and are not published.
TEST(SpotBook, ASnapshotAheadOfAGoodBookTellsWhatItCovers) {
  Spot s;
  s.rest(kSpotDepthUrl, depth_reply(3), 10ms);
  s.text(1, spot_update(4, 5, 20), 21ms);
  s.rest(kSpotDepthUrl, depth_reply(5), 25ms);
  s.rest(kSpotDepthUrl, depth_reply(9), 30ms);
  s.text(1, spot_update(6, 7, 40), 41ms);
  s.text(1, spot_update(8, 9, 50), 51ms);
  s.text(1, spot_update(10, 11, 60), 61ms);
  EXPECT_EQ(summary(s.all),
            (Lines{"snapshot 3", "delta 5", "snapshot 5", "gap sequence 5..9", "snapshot 9", "delta 11"}));
}

TEST(UsdmBook, ASnapshotAheadOfAGoodBookSaysWhy) {
  Usdm s;
  s.opened(1, "wss://fstream.binance.com/stream", 0s);
  s.rest(kUsdmDepthUrl, depth_reply(100), 10ms);
  s.text(1, usdm_update(95, 105, 90, 20), 21ms);
  s.closed(1, 25ms);
  s.rest(kUsdmDepthUrl, depth_reply(300), 30ms);
  s.opened(2, "wss://fstream.binance.com/stream", 40ms);
  s.text(2, usdm_update(290, 305, 280, 50), 51ms);
  EXPECT_EQ(summary(s.all),
            (Lines{"snapshot 100", "delta 105", "gap disconnected 105..300", "snapshot 300", "delta 305"}));
}

TEST(SpotBook, AVenueThatCountsAnewIsResynchronised) {
  Spot s;
  s.rest(kSpotDepthUrl, depth_reply(1'000'000), 10ms);
  s.text(1, spot_update(1'000'001, 1'000'005, 20), 21ms);
  s.text(1, spot_update(1, 2, 20'000), 20'001ms);
  s.text(1, spot_update(3, 4, 20'100), 20'101ms);
  s.rest(kSpotDepthUrl, depth_reply(3), 20'200ms);
  const auto lines = summary(s.all);
  EXPECT_EQ(lines, (Lines{"snapshot 1000000", "delta 1000005", "gap sequence 1000005..1", "gap sequence 1000005..3",
                          "snapshot 3", "delta 4"}));
}

TEST(UsdmBook, BridgesBySnapshotInsideTheFirstUpdate) {
  Usdm s;
  s.text(1, usdm_update(990, 1000, 985, 10), 11ms);
  s.text(1, usdm_update(1004, 1009, 1000, 20), 21ms);
  s.text(1, usdm_update(1012, 1012, 1009, 30), 31ms);
  s.rest(kUsdmDepthUrl, fixture("usdm_rest_depth.json"), 500ms);
  EXPECT_EQ(summary(s.all), (Lines{"snapshot 1006", "delta 1009", "delta 1012"}));
  const auto deltas = only<OrderBookDelta>(s.all);
  EXPECT_EQ(iso(deltas[0].meta.timestamp), "2026-09-21T14:13:20.405000000Z");
  EXPECT_EQ(deltas[1].prev_update_id, 1000u);
  s.text(1, usdm_update(1020, 1021, 1010, 40), 501ms);
  EXPECT_EQ(summary(s.all).back(), "gap sequence 1012..1020");
}

TEST(UsdmBook, AnUpdateThatEndsAtTheSnapshotBelongsToIt) {
  Usdm s;
  s.rest(kUsdmDepthUrl, depth_reply(1009), 10ms);
  s.text(1, usdm_update(1004, 1009, 1000, 20), 21ms);
  s.text(1, usdm_update(1012, 1012, 1009, 30), 31ms);
  EXPECT_EQ(summary(s.all), (Lines{"snapshot 1009", "delta 1009", "delta 1012"}));
}

TEST(UsdmBook, AnUpdateThatFollowsTheSnapshotExactlyBridges) {
  Usdm s;
  s.rest(kUsdmDepthUrl, depth_reply(1006), 10ms);
  s.text(1, usdm_update(1010, 1012, 1006, 20), 21ms);
  EXPECT_EQ(summary(s.all), (Lines{"snapshot 1006", "delta 1012"}));
}

TEST(UsdmBook, AnUpdateWithoutPreviousIdIsRejected) {
  Usdm s;
  auto frame = usdm_update(1, 2, 0, 10);
  frame.replace(frame.find(R"("pu":0,)"), 7, "");
  s.text(1, frame, 11ms);
  const auto rejected = only<Rejected>(s.all);
  ASSERT_EQ(rejected.size(), 1u);
  EXPECT_EQ(rejected[0].reason, "missing field: depthUpdate.pu");
  EXPECT_EQ(rejected[0].raw, frame);
}

TEST(Pictures, AreConflatedOnReceiveTimeAndFlushed) {
  auto options = options_for("spot");
  options.data_types = {DataType::orderbook};
  options.book_series = {{1, 100ms}};
  Spot s(options);
  EXPECT_EQ(s.rest(kSpotDepthUrl, depth_reply(3), 0ms).events.size(), 1u);
  EXPECT_EQ(s.text(1, spot_update(4, 5, 10), 10ms).events.size(), 0u);
  EXPECT_EQ(s.out.flush_at, kStart + 100ms);
  EXPECT_EQ(s.text(1, spot_update(6, 6, 20), 20ms).events.size(), 0u);
  // The next record comes late: what was due before it shows the book before it.
  auto& out = s.text(1, spot_update(7, 7, 150), 150ms);
  ASSERT_EQ(out.events.size(), 1u);
  EXPECT_EQ(std::get<OrderBook>(out.events[0]).last_update_id, 6u);
  EXPECT_EQ(std::get<OrderBook>(out.events[0]).meta.received_at, kStart + 20ms);
  EXPECT_EQ(out.flush_at, kStart + 200ms);
  EXPECT_EQ(s.flush(199ms).events.size(), 0u);
  ASSERT_EQ(s.flush(200ms).events.size(), 1u);
  EXPECT_EQ(only<OrderBook>(s.all).back().last_update_id, 7u);
  EXPECT_EQ(only<OrderBook>(s.all).back().bids.size(), 1u);
  EXPECT_FALSE(s.out.flush_at);
  EXPECT_TRUE(only<OrderBookDelta>(s.all).empty()) << "deltas were not asked for";
}

TEST(Pictures, NoneOfABookThatIsCrossedOrLost) {
  auto options = options_for("spot");
  options.book_series = {{5, 100ms}};
  Spot s(options);
  s.rest(kSpotDepthUrl, depth_reply(3), 0ms);
  auto crossing = spot_update(4, 4, 200);
  crossing.replace(crossing.find("100.4"), 5, "300");
  s.text(1, crossing, 200ms);
  EXPECT_EQ(only<OrderBook>(s.all).size(), 1u);
  std::vector<OrderBook> books;
  s.session->books(0, books);
  EXPECT_TRUE(books.empty());
}

// Random deliveries of a stream with losses, repetitions and reconnects: whenever the session holds a good book, it
// is the venue's book at that id.
TEST(SpotBook, AGoodBookIsTheVenuesBook) {
  for (unsigned seed = 0; seed < 40; ++seed) {
    std::mt19937 random(seed);
    std::map<int, int> venue;  // price in cents above 100 -> quantity
    std::map<std::uint64_t, std::map<int, int>> at;
    Spot s;
    std::uint64_t id = 100;
    std::uint64_t compared = 0;
    for (int step = 0; step < 400; ++step) {
      const auto ms = step * 10;
      const int price = 10 + static_cast<int>(random() % 20);
      const int quantity = static_cast<int>(random() % 4);
      ++id;
      quantity == 0 ? static_cast<void>(venue.erase(price)) : static_cast<void>(venue[price] = quantity);
      at[id] = venue;
      const auto frame = R"({"e":"depthUpdate","E":)" + std::to_string(1'790'000'000'000 + ms) +
                         R"(,"s":"BTCUSDT","U":)" + std::to_string(id) + R"(,"u":)" + std::to_string(id) +
                         R"(,"b":[["100.)" + std::to_string(price) + R"(",")" + std::to_string(quantity) +
                         R"("]],"a":[]})";
      const auto dice = random() % 100;
      if (dice >= 3) s.text(1, frame, ms * 1ms);
      if (dice >= 97) s.text(1, frame, ms * 1ms);
      if (dice == 50) s.closed(1, ms * 1ms);
      if (dice % 10 == 5) {
        const auto back = std::min<std::uint64_t>(id - 101, random() % 4);
        std::string bids;
        for (const auto& [p, q] : at[id - back])
          bids += (bids.empty() ? "" : ",") + std::string(R"(["100.)") + std::to_string(p) + R"(",")" +
                  std::to_string(q) + R"("])";
        s.rest(kSpotDepthUrl,
               R"({"lastUpdateId":)" + std::to_string(id - back) + R"(,"bids":[)" + bids + R"(],"asks":[]})", ms * 1ms);
      }
      std::vector<OrderBook> books;
      s.session->books(0, books);
      if (books.empty()) continue;
      std::map<int, int> held;
      for (const auto& level : books[0].bids)
        held[std::stoi(level.price.value.text().substr(4) + (level.price.value.scale() == 1 ? "0" : ""))] =
            std::stoi(level.quantity.value.text());
      ASSERT_EQ(held, at[books[0].last_update_id]) << "seed " << seed << " step " << step;
      ++compared;
    }
    EXPECT_GT(compared, 100u) << "seed " << seed;
  }
}

}  // namespace
}  // namespace mp::binance
