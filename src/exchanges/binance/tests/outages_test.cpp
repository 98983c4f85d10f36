// What a session tells of the times in which nobody listened.
#include <algorithm>

#include "exchanges/tests/outage_records.hpp"
#include "support.hpp"

namespace mp::binance {
namespace {

class Records : public OutageRecords<Records> {
 public:
  Records() : OutageRecords(make_binance(), "wss://fstream.binance.com/market/stream", kStart) {}

  Records& list(Nanos t) {
    return rest("https://fapi.binance.com/fapi/v1/exchangeInfo", fixture("usdm_rest_exchange_info.json"), t);
  }
  Records& sent(ConnectionId id, std::string method, std::string streams, int request, Nanos t) {
    return OutageRecords::sent(
        id, R"({"method":")" + method + R"(","params":[)" + streams + R"(],"id":)" + std::to_string(request) + "}", t);
  }
  Records& answer(ConnectionId id, int request, Nanos t) {
    return text(id, R"({"result":null,"id":)" + std::to_string(request) + "}", t);
  }
  Records& subscribe(ConnectionId id, std::string streams, int request, Nanos t) {
    return sent(id, "SUBSCRIBE", std::move(streams), request, t).answer(id, request, t + 50ms);
  }
  std::vector<std::string> gaps(std::vector<std::string> symbols = {"BTCUSDT"}) const {
    return OutageRecords::gaps(options_for("derivatives", std::move(symbols)));
  }
  std::vector<std::string> gaps_whole() const {
    return OutageRecords::gaps_whole(options_for("derivatives", {"BTCUSDT"}));
  }
};

std::string agg_trade(int id, int ms) {
  return R"({"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","E":)" + std::to_string(1'790'000'000'000 + ms) +
         R"(,"s":"BTCUSDT","a":)" + std::to_string(id) + R"(,"p":"1","q":"1","f":1,"l":1,"T":)" +
         std::to_string(1'790'000'000'000 + ms) + R"(,"m":true}})";
}
std::string mark_price(int ms) {
  return R"({"stream":"btcusdt@markPrice","data":{"e":"markPriceUpdate","E":)" +
         std::to_string(1'790'000'000'000 + ms) +
         R"(,"s":"BTCUSDT","p":"64251.12","i":"64249.88","P":"64260.00","r":"0.00010000","T":1790006400000}})";
}
std::string liquidation(int ms, std::string symbol = "BTCUSDT") {
  return R"({"stream":"btcusdt@forceOrder","data":{"e":"forceOrder","E":)" + std::to_string(1'790'000'000'000 + ms) +
         R"(,"o":{"s":")" + symbol +
         R"(","S":"SELL","o":"LIMIT","f":"IOC","q":"0.014","p":"63910","ap":"64010","X":"FILLED","l":"0.004","z":"0.014","T":)" +
         std::to_string(1'790'000'000'000 + ms) + "}}}";
}

const std::string kAll = R"("btcusdt@aggTrade","btcusdt@markPrice","btcusdt@forceOrder")";
using Gaps = std::vector<std::string>;

// Everything is on from 1 s on, and mark prices come.
Records running() {
  Records r;
  r.begin(0s).list(100ms).opened(1, 900ms).subscribe(1, kAll, 1, 950ms);
  return r.text(1, mark_price(1000), 1s).text(1, mark_price(4000), 4s);
}

TEST(Outages, TheFirstStartIsNone) { EXPECT_EQ(running().gaps(), Gaps{}); }

TEST(Outages, AConnectionThatBreaksIsOneOfEachOfItsStreams) {
  auto r = running().closed(1, 5s).opened(2, 9s).subscribe(2, kAll, 2, 9100ms).text(2, mark_price(10'000), 10s);
  EXPECT_EQ(r.gaps(), (Gaps{"BTCUSDT trade disconnected 3000 10000", "BTCUSDT funding_rate disconnected 4000 10000",
                            "BTCUSDT liquidation disconnected 3000 10000"}))
      << "the answer alone proves nothing: the venue gives it to anything";
}

TEST(Outages, AnAnswerCountsWhereTheConnectionDelivers) {
  auto r = running().closed(1, 5s).opened(2, 9s).subscribe(2, R"("btcusdt@markPrice")", 2, 9100ms);
  r.text(2, mark_price(10'000), 10s).subscribe(2, R"("btcusdt@aggTrade","btcusdt@forceOrder")", 3, 11s);
  EXPECT_EQ(r.gaps(), (Gaps{"BTCUSDT funding_rate disconnected 4000 10000", "BTCUSDT trade disconnected 3000 11050",
                            "BTCUSDT liquidation disconnected 3000 11050"}));
}

TEST(Outages, DataBeforeTheAnswerIsAsGood) {
  auto r = running().closed(1, 5s).opened(2, 9s).sent(2, "SUBSCRIBE", kAll, 2, 9100ms);
  r.text(2, liquidation(9200), 9300ms).answer(2, 2, 9400ms);
  EXPECT_EQ(r.gaps(), (Gaps{"BTCUSDT liquidation disconnected 3000 9300", "BTCUSDT trade disconnected 3000 9400",
                            "BTCUSDT funding_rate disconnected 4000 9400"}));
}

TEST(Outages, TradesWithIdsTellThemselvesWhatIsMissing) {
  auto nothing =
      running().text(1, agg_trade(7, 4500), 4500ms).closed(1, 5s).opened(2, 9s).subscribe(2, kAll, 2, 9100ms);
  nothing.text(2, agg_trade(8, 10'000), 10s);
  EXPECT_EQ(nothing.gaps(),
            (Gaps{"BTCUSDT funding_rate disconnected 4000 10000", "BTCUSDT liquidation disconnected 3500 10000"}));
  auto hole = running().text(1, agg_trade(7, 4500), 4500ms).closed(1, 5s).opened(2, 9s).subscribe(2, kAll, 2, 9100ms);
  hole.text(2, agg_trade(9, 10'000), 10s);
  EXPECT_EQ(hole.gaps(),
            (Gaps{"BTCUSDT funding_rate disconnected 4000 10000", "BTCUSDT liquidation disconnected 3500 10000",
                  "BTCUSDT trade disconnected 4500 10000"}));
}

TEST(Outages, TheFirstTradeOfAllMayEndOne) {
  auto r = running().closed(1, 5s).opened(2, 9s).text(2, agg_trade(9, 10'000), 10s);
  EXPECT_EQ(r.gaps(), (Gaps{"BTCUSDT trade disconnected 3000 10000"}));
}

TEST(Outages, AReplacementThatIsUpBeforeTheOldOneEndsMakesNone) {
  auto r = running().opened(2, 5s).subscribe(2, kAll, 2, 5100ms).text(2, mark_price(7000), 7s);
  r.text(1, mark_price(7000), 7010ms).closed(1, 8s, "replaced: ").text(2, mark_price(10'000), 10s);
  r.text(2, liquidation(11'000), 11s);
  EXPECT_EQ(r.gaps(), Gaps{});
}

TEST(Outages, OneThatWasDeadBeforeItWasRelievedIsToldAtItsEnd) {
  auto r = running().opened(2, 20s).subscribe(2, kAll, 2, 20100ms).text(2, mark_price(21'000), 21s);
  r.text(2, mark_price(24'000), 24s).closed(1, 30s, "network: reset").text(2, mark_price(31'000), 31s);
  EXPECT_EQ(r.gaps(), (Gaps{"BTCUSDT trade disconnected 3000 21000", "BTCUSDT funding_rate disconnected 4000 21000",
                            "BTCUSDT liquidation disconnected 3000 21000"}));
}

TEST(Outages, AReplacementThatWasNotUpYetDoes) {
  auto r = running().opened(2, 5s).sent(2, "SUBSCRIBE", kAll, 2, 5100ms).closed(1, 8s).answer(2, 2, 9s);
  r.text(2, mark_price(10'000), 10s);
  EXPECT_EQ(r.gaps().size(), 3u);
}

TEST(Outages, ACollectorThatWasDown) {
  auto r = running().begin(20s).opened(2, 21s).subscribe(2, kAll, 2, 21100ms).text(2, mark_price(22'000), 22s);
  EXPECT_EQ(r.gaps(), (Gaps{"BTCUSDT trade collector_down 3000 22000", "BTCUSDT funding_rate collector_down 4000 22000",
                            "BTCUSDT liquidation collector_down 3000 22000"}));
}

TEST(Outages, ASilenceThatEndsAConnection) {
  auto r = running().closed(1, 40s, "stale: ").opened(2, 41s).subscribe(2, kAll, 2, 41100ms);
  r.text(2, mark_price(42'000), 42s);
  EXPECT_EQ(r.gaps()[1], "BTCUSDT funding_rate stale 4000 42000");
}

TEST(Outages, AStreamThatIsSubscribedAnewForItsSilence) {
  auto r = running().text(1, liquidation(30'000), 30s).sent(1, "UNSUBSCRIBE", R"("btcusdt@markPrice")", 2, 40s);
  r.answer(1, 2, 40100ms).subscribe(1, R"("btcusdt@markPrice")", 3, 41s);
  EXPECT_EQ(r.gaps(), (Gaps{"BTCUSDT funding_rate stale 4000 41050"}));
}

TEST(Outages, OfWhatIsNotCollectedNothingIsTold) {
  auto r = running().closed(1, 5s).opened(2, 9s).subscribe(2, kAll, 2, 9100ms).text(2, mark_price(10'000), 10s);
  EXPECT_EQ(r.gaps({"XAUUSDT"}), Gaps{});
}

TEST(Outages, WhatEndsWhileItIsAwayIsToldUpToThere) {
  auto r = running().closed(1, 5s).add([](Session& s, Outbox& out) {
    auto options = options_for("derivatives", {"BTCUSDT"});
    options.data_types = {DataType::trade, DataType::liquidation};
    s.reconfigure(options, {kStart + 8s, MonoTime{}}, out);
  });
  r.opened(2, 9s).subscribe(2, kAll, 2, 9100ms).text(2, mark_price(10'000), 10s);
  // The options are no part of what save() keeps: checked whole only.
  auto gaps = r.gaps_whole();
  EXPECT_EQ(std::ranges::count(gaps, "BTCUSDT funding_rate disconnected 4000 8000"), 1);
  EXPECT_EQ(std::ranges::count(gaps, "BTCUSDT funding_rate end 8000 8000"), 1);
  EXPECT_EQ(std::ranges::count(gaps, "BTCUSDT liquidation disconnected 3000 10000"), 1);
}

TEST(Outages, ARecordingWithoutTheFramesThatWereSentIsProvenByItsData) {
  Records r;
  r.begin(0s).list(100ms).opened(1, 1s).text(1, mark_price(1000), 1s).text(1, liquidation(2000), 2s);
  r.closed(1, 5s).opened(2, 9s).text(2, mark_price(10'000), 10s);
  EXPECT_EQ(r.gaps({}), (Gaps{"BTCUSDT funding_rate disconnected 1000 10000"}));
}

std::string open_interest(int s) {
  return R"({"openInterest":"10659.509","symbol":"BTCUSDT","time":)" + std::to_string(1'790'000'000'000 + s * 1000) +
         "}";
}
const std::string kOpenInterest = "https://fapi.binance.com/fapi/v1/openInterest?symbol=BTCUSDT";

TEST(Outages, OpenInterestThatIsNotAnsweredForMoreThanTwoPauses) {
  Records r;
  r.begin(0s).list(100ms);
  for (int s = 1; s <= 41; s += 10) r.rest(kOpenInterest, open_interest(s), std::chrono::seconds(s));
  r.rest(kOpenInterest, open_interest(61), 61s).rest(kOpenInterest, open_interest(105), 105s);
  EXPECT_EQ(r.gaps(), (Gaps{"BTCUSDT open_interest stale 61000 105000"}));
}

TEST(Outages, NobodyAsksForOpenInterestWhileTheCollectorIsDown) {
  Records r;
  r.begin(0s).list(100ms).rest(kOpenInterest, open_interest(1), 1s).opened(1, 8s).begin(30s);
  r.rest(kOpenInterest, open_interest(35), 35s);
  EXPECT_EQ(r.gaps(), (Gaps{"BTCUSDT open_interest collector_down 1000 30000"}));
}

std::string ratio(int minutes) {
  return R"({"symbol":"BTCUSDT","longShortRatio":"1.4","longAccount":"0.5","shortAccount":"0.4","timestamp":)" +
         std::to_string(1'790'000'000'000 + minutes * 60'000) + "}";
}

TEST(Outages, ARatioThatTheHistoryDoesNotHave) {
  const std::string url = "https://fapi.binance.com/futures/data/topLongShortPositionRatio?symbol=BTCUSDT&period=5m";
  Records r;
  r.begin(0s).list(100ms).rest(url, "[" + ratio(-10) + "," + ratio(-5) + "]", 1s);
  r.begin(20min).rest(url, "[" + ratio(0) + "," + ratio(5) + "," + ratio(10) + "]", 21min);
  r.begin(60min).rest(url, "[" + ratio(40) + "," + ratio(45) + "]", 61min);
  r.rest(url, "[" + ratio(60) + "]", 66min);
  EXPECT_EQ(r.gaps(), (Gaps{"BTCUSDT lsr_top_position collector_down 600000 2400000",
                            "BTCUSDT lsr_top_position sequence 2700000 3600000"}));
}

}  // namespace
}  // namespace mp::binance
