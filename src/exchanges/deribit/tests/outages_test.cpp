// What a session tells of the times in which nobody listened.
#include <algorithm>

#include "exchanges/tests/outage_records.hpp"
#include "support.hpp"

namespace mp::deribit {
namespace {

using namespace std::chrono_literals;

class Records : public OutageRecords<Records> {
 public:
  Records() : OutageRecords(make_deribit(), "wss://www.deribit.com/ws/api/v2", kStart) {}

  std::vector<std::string> gaps(std::vector<std::string> symbols) const {
    return OutageRecords::gaps(options_for(std::move(symbols)));
  }
};

using Gaps = std::vector<std::string>;

std::string request(const char* method, std::string channels, int id) {
  return std::string(R"({"jsonrpc":"2.0","id":)") + std::to_string(id) + R"(,"method":"public/)" + method +
         R"(","params":{"channels":[)" + channels + "]}}";
}
std::string answer(std::string channels, int id) {
  return R"({"jsonrpc":"2.0","id":)" + std::to_string(id) + R"(,"result":[)" + channels + "]}";
}
const std::string kTicker = R"("ticker.BTC-PERPETUAL.100ms")";
const std::string kAll =
    R"("trades.BTC-PERPETUAL.100ms",)" + kTicker + R"(,"deribit_volatility_index.btc_usd","book.BTC-PERPETUAL.100ms")";

std::string ticker(int ms) {
  return notification(
      "ticker.BTC-PERPETUAL.100ms",
      R"({"timestamp":)" + std::to_string(1'790'000'000'000 + ms) +
          R"(,"open_interest":1132329370,"mark_price":1.5,"instrument_name":"BTC-PERPETUAL","index_price":1.5,"current_funding":-1.25e-5})");
}
std::string volatility(int ms) {
  return notification(
      "deribit_volatility_index.btc_usd",
      R"({"volatility":47.36,"timestamp":)" + std::to_string(1'790'000'000'000 + ms) + R"(,"index_name":"btc_usd"})");
}

Records& subscribe(Records& r, ConnectionId id, std::string channels, int number, Nanos t) {
  return r.sent(id, request("subscribe", channels, number), t).text(id, answer(channels, number), t + 50ms);
}
Records running() {
  Records r;
  r.begin(0s).rest(kInstrumentsUrl, fixture("rest_instruments.json"), 100ms).opened(1, 900ms);
  return subscribe(r, 1, kAll, 1, 950ms).text(1, ticker(4000), 4s);
}

TEST(Outages, TheFirstStartIsNone) { EXPECT_EQ(running().gaps({"BTC-PERPETUAL"}), Gaps{}); }

TEST(Outages, AConnectionThatBreaksIsOneOfEachOfItsStreams) {
  auto r = running().text(1, volatility(4500), 4500ms).closed(1, 5s).opened(2, 9s);
  subscribe(r, 2, kAll, 2, 10s).text(2, ticker(11'000), 11s);
  EXPECT_EQ(
      r.gaps({"BTC-PERPETUAL"}),
      (Gaps{"BTC-PERPETUAL trade disconnected 3500 10050", "BTC-PERPETUAL liquidation disconnected 3500 10050",
            "BTC-PERPETUAL funding_rate disconnected 4000 10050", "BTC-PERPETUAL open_interest disconnected 4000 10050",
            "btc_usd volatility_index disconnected 4500 10050"}));
}

TEST(Outages, DataBeforeTheAnswerIsAsGood) {
  auto r = running().closed(1, 5s).opened(2, 9s).text(2, volatility(9100), 9200ms);
  subscribe(r, 2, kAll, 2, 10s);
  EXPECT_EQ(r.gaps({"BTC-PERPETUAL"})[0], "btc_usd volatility_index disconnected 3000 9200");
}

TEST(Outages, ACollectorThatWasDown) {
  auto r = running().begin(20s).opened(2, 21s);
  subscribe(r, 2, kAll, 2, 22s);
  EXPECT_EQ(r.gaps({"BTC-PERPETUAL"}), (Gaps{"BTC-PERPETUAL trade collector_down 3000 22050",
                                             "BTC-PERPETUAL liquidation collector_down 3000 22050",
                                             "BTC-PERPETUAL funding_rate collector_down 4000 22050",
                                             "BTC-PERPETUAL open_interest collector_down 4000 22050",
                                             "btc_usd volatility_index collector_down 3000 22050"}));
}

TEST(Outages, WhereTradesAreMissingLiquidationsMayBeToo) {
  auto whole = running().text(1, trade(7, 4500), 4500ms).closed(1, 5s).opened(2, 9s);
  subscribe(whole, 2, R"("trades.BTC-PERPETUAL.100ms")", 2, 10s).text(2, trade(8, 11'000), 11s);
  EXPECT_EQ(whole.gaps({"BTC-PERPETUAL"}), Gaps{}) << "the numbers go on";
  auto hole = running().text(1, trade(7, 4500), 4500ms).closed(1, 5s).opened(2, 9s);
  subscribe(hole, 2, R"("trades.BTC-PERPETUAL.100ms")", 2, 10s).text(2, trade(10, 11'000), 11s);
  EXPECT_EQ(hole.gaps({"BTC-PERPETUAL"}),
            (Gaps{"BTC-PERPETUAL trade disconnected 4500 11000", "BTC-PERPETUAL liquidation disconnected 4500 11000"}));
}

TEST(Outages, AReplacementThatIsUpBeforeTheOldOneEndsMakesNone) {
  auto r = running().opened(2, 5s);
  subscribe(r, 2, kAll, 2, 6s).text(2, ticker(7000), 7s).closed(1, 8s, "replaced: ").text(2, volatility(9000), 9s);
  EXPECT_EQ(r.gaps({"BTC-PERPETUAL"}), Gaps{});
}

TEST(Outages, OneThatWasDeadBeforeItWasRelievedIsToldAtItsEnd) {
  auto r = running().opened(2, 19s);
  subscribe(r, 2, kAll, 2, 20s).text(2, ticker(21'000), 21s).closed(1, 30s, "stale: ").text(2, ticker(31'000), 31s);
  EXPECT_EQ(r.gaps({"BTC-PERPETUAL"}),
            (Gaps{"btc_usd volatility_index stale 3000 20050", "BTC-PERPETUAL trade stale 3000 20050",
                  "BTC-PERPETUAL liquidation stale 3000 20050", "BTC-PERPETUAL funding_rate stale 4000 20050",
                  "BTC-PERPETUAL open_interest stale 4000 20050"}));
}

TEST(Outages, TheAnswerToAnUnsubscriptionConfirmsNothing) {
  auto r = running().sent(1, request("unsubscribe", kTicker, 2), 60s).text(1, answer(kTicker, 2), 61s);
  subscribe(r, 1, kTicker, 3, 70s);
  EXPECT_EQ(r.gaps({"BTC-PERPETUAL"}),
            (Gaps{"BTC-PERPETUAL funding_rate stale 4000 70050", "BTC-PERPETUAL open_interest stale 4000 70050"}));
}

TEST(Outages, ALoginThatIsRecordedWithoutItsSecretIsNoMatter) {
  auto r = running();
  r.sent(1, R"({"jsonrpc":"2.0","id":4,"method":"public/auth","params":"[not recorded]"})", 5s);
  r.sent(1, "no JSON", 5s).sent(1, R"({"id":4,"method":"public/subscribe","params":{"channels":[7]}})", 5s);
  EXPECT_EQ(r.gaps({"BTC-PERPETUAL"}), Gaps{});
}

TEST(Outages, WhatEndsWhileItIsAwayIsToldUpToThere) {
  auto r = running().closed(1, 5s).add([](Session& s, Outbox& out) {
    auto options = options_for({"BTC-PERPETUAL"});
    std::erase(options.data_types, DataType::funding_rate);
    std::erase(options.data_types, DataType::volatility_index);
    s.reconfigure(options, {kStart + 8s, MonoTime{}}, out);
  });
  EXPECT_EQ(r.gaps({"BTC-PERPETUAL"}),
            (Gaps{"BTC-PERPETUAL funding_rate disconnected 4000 8000", "BTC-PERPETUAL funding_rate end 8000 8000",
                  "btc_usd volatility_index disconnected 3000 8000", "btc_usd volatility_index end 8000 8000"}));
}

}  // namespace
}  // namespace mp::deribit
