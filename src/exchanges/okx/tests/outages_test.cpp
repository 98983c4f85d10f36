// What a session tells of the times in which nobody listened.
#include <algorithm>

#include "exchanges/tests/outage_records.hpp"
#include "support.hpp"

namespace mp::okx {
namespace {

using namespace std::chrono_literals;

class Records : public OutageRecords<Records> {
 public:
  Records() : OutageRecords(make_okx(), "wss://ws.okx.com:8443/ws/v5/public", kStart) {}

  std::vector<std::string> gaps(std::vector<std::string> symbols) const {
    return OutageRecords::gaps(options_for(std::move(symbols)));
  }
};

using Gaps = std::vector<std::string>;

std::string event(const char* word, std::string channel, std::string of = "BTC-USDT-SWAP") {
  const auto key = channel == "liquidation-orders" ? "instType" : "instId";
  return std::string(R"({"id":"1","event":")") + word + R"(","arg":{"channel":")" + channel + R"(",")" + key +
         R"(":")" + of + R"("},"connId":"a"})";
}
std::string on(std::string channel, std::string of = "BTC-USDT-SWAP") { return event("subscribe", channel, of); }

std::string funding(int ms) {
  return R"({"arg":{"channel":"funding-rate","instId":"BTC-USDT-SWAP"},"data":[{"fundingRate":"0.0001","fundingTime":"1790006400000","instId":"BTC-USDT-SWAP","nextFundingTime":"1790035200000","ts":")" +
         std::to_string(1'790'000'000'000 + ms) + R"("}]})";
}
std::string interest(int ms) {
  return R"({"arg":{"channel":"open-interest","instId":"BTC-USDT-SWAP"},"data":[{"instId":"BTC-USDT-SWAP","instType":"SWAP","oi":"21","oiCcy":"2","oiUsd":"5","ts":")" +
         std::to_string(1'790'000'000'000 + ms) + R"("}]})";
}
std::string liquidation(std::string instrument, int ms) {
  return R"({"arg":{"channel":"liquidation-orders","instType":"SWAP"},"data":[{"details":[{"bkPx":"2951.4","side":"sell","sz":"18","ts":")" +
         std::to_string(1'790'000'000'000 + ms) + R"("}],"instId":")" + instrument + R"(","instType":"SWAP"}]})";
}

Records& listed(Records& r, Nanos t) {
  return r.rest(kRest + "public/instruments?instType=SWAP", fixture("rest_instruments_swap.json"), t);
}
Records& subscribed(Records& r, ConnectionId id, Nanos t) {
  return r.text(id, on("trades-all"), t)
      .text(id, on("funding-rate"), t)
      .text(id, on("open-interest"), t)
      .text(id, on("liquidation-orders", "SWAP"), t);
}
Records running() {
  Records r;
  listed(r.begin(0s), 100ms).opened(1, 900ms);
  return subscribed(r, 1, 1s).text(1, funding(4000), 4s);
}

TEST(Outages, TheFirstStartIsNone) { EXPECT_EQ(running().gaps({"BTC-USDT-SWAP"}), Gaps{}); }

TEST(Outages, AConnectionThatBreaksIsOneOfEachOfItsStreams) {
  auto r = running().closed(1, 5s).opened(2, 9s);
  subscribed(r, 2, 10s).text(2, funding(11'000), 11s);
  EXPECT_EQ(r.gaps({"BTC-USDT-SWAP"}),
            (Gaps{"BTC-USDT-SWAP trade disconnected 3000 10000", "BTC-USDT-SWAP funding_rate disconnected 4000 10000",
                  "BTC-USDT-SWAP open_interest disconnected 3000 10000",
                  "BTC-USDT-SWAP liquidation disconnected 3000 10000"}));
}

TEST(Outages, DataBeforeTheConfirmationIsAsGood) {
  auto r = running().closed(1, 5s).opened(2, 9s).text(2, interest(9100), 9200ms);
  subscribed(r, 2, 10s);
  EXPECT_EQ(r.gaps({"BTC-USDT-SWAP"})[0], "BTC-USDT-SWAP open_interest disconnected 3000 9200");
}

TEST(Outages, TheChannelOfAKindCoversAllOfIt) {
  auto r = running().closed(1, 5s).opened(2, 9s).text(2, liquidation("ETH-USDT-SWAP", 9500), 10s);
  EXPECT_EQ(r.gaps({"BTC-USDT-SWAP", "ETH-USDT-SWAP"}), (Gaps{"BTC-USDT-SWAP liquidation disconnected 3000 10000",
                                                              "ETH-USDT-SWAP liquidation disconnected 3000 10000"}));
}

TEST(Outages, WhatIsChosenLaterIsCoveredByTheChannelThatIsThere) {
  Records r;
  listed(r.begin(0s).opened(1, 900ms).text(1, on("liquidation-orders", "SWAP"), 1s), 2s);
  r.text(1, funding(4000), 4s).begin(20s).opened(2, 21s).text(2, on("liquidation-orders", "SWAP"), 22s);
  const auto gaps = r.gaps({"BTC-USDT-SWAP"});
  EXPECT_EQ(std::ranges::count(gaps, "BTC-USDT-SWAP liquidation collector_down 3000 22000"), 1);
}

TEST(Outages, ACollectorThatWasDown) {
  auto r = running().begin(20s).opened(2, 21s);
  subscribed(r, 2, 22s);
  EXPECT_EQ(r.gaps({"BTC-USDT-SWAP"}), (Gaps{"BTC-USDT-SWAP trade collector_down 3000 22000",
                                             "BTC-USDT-SWAP funding_rate collector_down 4000 22000",
                                             "BTC-USDT-SWAP open_interest collector_down 3000 22000",
                                             "BTC-USDT-SWAP liquidation collector_down 3000 22000"}));
}

TEST(Outages, TradesWithIdsTellThemselvesWhatIsMissing) {
  auto r = running().text(1, trade_frame(7, 4500), 4500ms).closed(1, 5s).opened(2, 9s);
  r.text(2, on("trades-all"), 10s).text(2, trade_frame(8, 11'000), 11s);
  EXPECT_EQ(r.gaps({"BTC-USDT-SWAP"}), Gaps{});
}

TEST(Outages, AReplacementThatIsUpBeforeTheOldOneEndsMakesNone) {
  auto r = running().opened(2, 5s);
  subscribed(r, 2, 6s).text(2, funding(7000), 7s).closed(1, 8s, "replaced: ").text(2, interest(9000), 9s);
  EXPECT_EQ(r.gaps({"BTC-USDT-SWAP"}), Gaps{});
}

TEST(Outages, OneThatWasDeadBeforeItWasRelievedIsToldAtItsEnd) {
  auto r = running().opened(2, 19s);
  subscribed(r, 2, 20s).text(2, funding(21'000), 21s).closed(1, 30s, "network: reset").text(2, funding(31'000), 31s);
  EXPECT_EQ(r.gaps({"BTC-USDT-SWAP"}),
            (Gaps{"BTC-USDT-SWAP trade disconnected 3000 20000", "BTC-USDT-SWAP funding_rate disconnected 4000 20000",
                  "BTC-USDT-SWAP open_interest disconnected 3000 20000",
                  "BTC-USDT-SWAP liquidation disconnected 3000 20000"}));
}

TEST(Outages, AStreamThatIsSubscribedAnewForItsSilence) {
  auto r = running().text(1, event("unsubscribe", "funding-rate"), 60s).text(1, on("funding-rate"), 61s);
  r.text(1, event("unsubscribe", "liquidation-orders", "SWAP"), 70s).text(1, on("liquidation-orders", "SWAP"), 71s);
  const auto gaps = r.gaps({"BTC-USDT-SWAP"});
  ASSERT_EQ(gaps.size(), 2u);
  EXPECT_EQ(gaps[0], "BTC-USDT-SWAP funding_rate stale 4000 61000");
  EXPECT_EQ(gaps[1], "BTC-USDT-SWAP liquidation stale 0 71000");
}

TEST(Outages, WhatEndsWhileItIsAwayIsToldUpToThere) {
  auto r = running().closed(1, 5s).add([](Session& s, Outbox& out) {
    auto options = options_for({"BTC-USDT-SWAP"});
    std::erase(options.data_types, DataType::liquidation);
    s.reconfigure(options, {kStart + 8s, MonoTime{}}, out);
  });
  EXPECT_EQ(r.gaps({"BTC-USDT-SWAP"}),
            (Gaps{"BTC-USDT-SWAP liquidation disconnected 3000 8000", "BTC-USDT-SWAP liquidation end 8000 8000"}));
}

TEST(Outages, ARatioThatTheHistoryDoesNotHave) {
  const auto rows = [](int from, int to) {
    std::string out;
    for (int m = to; m >= from; m -= 5)
      out += (out.empty() ? "" : ",") + std::string("[\"") + std::to_string(1'790'000'000'000 + m * 60'000) +
             R"(","1.2"])";
    return R"({"code":"0","msg":"","data":[)" + out + "]}";
  };
  auto r = running().rest(kAccountRatioUrl, rows(-10, -5), 5s).begin(30min).rest(kAccountRatioUrl, rows(0, 20), 31min);
  r.begin(60min).rest(kAccountRatioUrl, rows(40, 50), 61min);
  EXPECT_EQ(r.gaps({"BTC-USDT-SWAP"}), (Gaps{"BTC-USDT-SWAP lsr_all_account collector_down 1200000 2400000"}));
}

}  // namespace
}  // namespace mp::okx
