// What a session of the futures asks for beside books and trades: streams, polls, and when they are given up.
#include "exchanges/binance/conversation.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <map>

#include "support.hpp"

namespace mp::binance {
namespace {

using testing::Contains;
using testing::HasSubstr;

constexpr const char* kMarketSocket = "wss://fstream.binance.com/market/stream";
const std::string kFapi = "https://fapi.binance.com/fapi/v1/";
const std::string kData = "https://fapi.binance.com/futures/data/";

// A session that remembers what it has asked for, and when.
struct Live : Script {
  explicit Live(const SessionOptions& options) : Script(options) {}

  struct Asked {
    std::chrono::nanoseconds at;
    RestRequest request;
  };
  void note(std::chrono::nanoseconds t) {
    for (const auto& each : out.requests) asked.push_back({t, each});
  }
  void start(const std::string& list = fixture("usdm_rest_exchange_info.json")) {
    begin(0s);
    note(0s);
    rest(kUsdmInfoUrl, list, 100ms);
    note(100ms);
  }
  void run(std::chrono::nanoseconds from, std::chrono::nanoseconds to, std::chrono::nanoseconds step = 1s) {
    for (auto t = from; t <= to; t += step) {
      tick(t);
      note(t);
    }
  }
  std::size_t count(const std::string& part) const {
    return static_cast<std::size_t>(std::ranges::count_if(
        asked, [&](const Asked& each) { return each.request.url.find(part) != std::string::npos; }));
  }
  const RestRequest& last(const std::string& part) const {
    for (auto each = asked.rbegin(); each != asked.rend(); ++each)
      if (each->request.url.find(part) != std::string::npos) return each->request;
    static const RestRequest none;
    ADD_FAILURE() << part << " was not asked for";
    return none;
  }
  std::vector<Asked> asked;
};

std::string info_of(int symbols) {
  std::string list = R"({"symbols":[)";
  for (int i = 0; i < symbols; ++i)
    list += (i ? "," : "") + std::string(R"({"symbol":"S)") + std::to_string(i) +
            R"(USDT","status":"TRADING","contractType":"PERPETUAL","baseAsset":"S)" + std::to_string(i) +
            R"(","quoteAsset":"USDT"})";
  return list + "]}";
}
SessionOptions all_of(std::vector<DataType> types) {
  auto options = options_for("derivatives", {"BTC-USDT"});
  options.symbols = std::vector<SelectionRule>{{.quote = "USDT"}};
  options.data_types = std::move(types);
  return options;
}

TEST(Conversation, StatisticsAreAskedForPerSymbol) {
  Live live(options_for("derivatives", {"BTCUSDT"}));
  live.start();
  EXPECT_EQ(live.count(kFapi + "fundingInfo"), 1u) << "before the list has come: the first rate shall have its hours";
  live.run(1s, 12s);
  EXPECT_GE(live.count(kFapi + "openInterest?symbol=BTCUSDT"), 1u);
  EXPECT_EQ(live.last("openInterest").charges.at(0).units, 1);
  EXPECT_EQ(live.count(kFapi + "fundingRate?symbol=BTCUSDT&limit=2"), 1u);
  EXPECT_EQ(live.count(kData + "topLongShortPositionRatio?symbol=BTCUSDT&period=5m&limit=2"), 1u);
  EXPECT_EQ(live.count(kData + "globalLongShortAccountRatio?symbol=BTCUSDT&period=5m&limit=2"), 1u);
  EXPECT_EQ(live.count("topLongShortAccountRatio"), 0u);
  EXPECT_LT(live.last("openInterest").priority, live.last("exchangeInfo").priority);
}

TEST(Conversation, ADatedContractHasNoFunding) {
  Live live(options_for("derivatives", {"BTC-USDT-20261225"}));
  live.start();
  ASSERT_EQ(live.out.opens.size(), 2u);
  EXPECT_THAT(live.opened(1, kMarketSocket, 200ms).frames.at(0).text,
              HasSubstr(R"(["btcusdt_261225@aggTrade","btcusdt_261225@forceOrder"])"));
  live.run(1s, 12s);
  EXPECT_EQ(live.count("fundingRate"), 0u);
  EXPECT_GE(live.count("openInterest?symbol=BTCUSDT_261225"), 1u);
  EXPECT_EQ(live.count("topLongShortPositionRatio?symbol=BTCUSDT_261225"), 1u);
}

TEST(Conversation, OnlyWhatIsConfiguredIsAskedFor) {
  auto options = options_for("derivatives", {"BTCUSDT"});
  options.data_types = {DataType::lsr_all_account};
  Live live(options);
  live.start();
  EXPECT_TRUE(live.out.opens.empty());
  live.run(1s, 12s);
  EXPECT_EQ(live.asked.size(), 2u) << "the list, the ratio";
  EXPECT_EQ(live.count("globalLongShortAccountRatio"), 1u);
}

TEST(Conversation, RatiosAreAskedForFromTheLastRowOn) {
  auto options = options_for("derivatives", {"BTCUSDT"});
  options.data_types = {DataType::lsr_top_position};
  Live live(options);
  live.start();
  live.run(1s, 12s);
  live.rest(live.last("topLongShortPositionRatio").url, fixture("usdm_rest_top_position_ratio.json"), 13s);
  live.asked.clear();
  live.run(14s, 6min);
  // The last row is of 14:10:00, it is 14:13:20 and some minutes now.
  EXPECT_THAT(live.last("topLongShortPositionRatio").url,
              HasSubstr("symbol=BTCUSDT&period=5m&startTime=1789999800001&endTime=1790000"));
  EXPECT_EQ(live.asked.size(), 1u) << "not again while it is under way";
  live.rest(live.asked[0].request.url, "[]", 6min + 1s);
  EXPECT_TRUE(live.out.requests.empty());
  live.run(6min + 2s, 12min);
  EXPECT_EQ(live.asked.size(), 2u);
}

// A collector that was away for ten days: as much at a time as an answer holds, one after the other, and the time
// without rows only once.
TEST(Conversation, AnOutageOfDaysIsFilledInPieces) {
  auto options = options_for("derivatives", {"BTCUSDT"});
  options.data_types = {DataType::lsr_top_position};
  options.max_clock_distance = 0h;
  Live before(options);
  before.start();
  before.rest(kData + "topLongShortPositionRatio?symbol=BTCUSDT&period=5m",
              fixture("usdm_rest_top_position_ratio.json"), 1s);
  std::string state;
  before.session->save(state);

  Live live(options);
  ASSERT_TRUE(live.session->restore(state));
  const auto day = 24h;
  live.begin(10 * day);
  live.rest(kUsdmInfoUrl, fixture("usdm_rest_exchange_info.json"), 10 * day);
  std::int64_t from = 1'789'999'800'001;
  for (int piece = 0; piece < 6; ++piece) {  // of 500 × 5 minutes each
    live.asked.clear();
    const auto t = 10 * day + piece * 20s;
    live.run(t, t + 15s);
    ASSERT_EQ(live.asked.size(), 1u) << piece;
    const auto url = live.asked[0].request.url;
    EXPECT_EQ(query_value(url, "startTime"), std::to_string(from)) << piece;
    const auto to = std::stoll(query_value(url, "endTime"));
    EXPECT_LE(to - from, 500 * 300'000);
    EXPECT_EQ(query_value(url, "limit"), "500");
    from = to;
    live.rest(url, "[]", t + 16s);  // nothing is known of that time
    live.note(t + 16s);
  }
  live.asked.clear();
  live.run(10 * day + 200s, 10 * day + 450s);
  EXPECT_LE(live.asked.size(), 1u) << "the present is reached: at the usual pace again";
}

TEST(Conversation, RatiosOlderThanTheVenueKeepsAreNotAskedFor) {
  auto options = options_for("derivatives", {"BTCUSDT"});
  options.data_types = {DataType::lsr_top_position};
  Live before(options);
  before.start();
  before.rest(kData + "topLongShortPositionRatio?symbol=BTCUSDT&period=5m",
              fixture("usdm_rest_top_position_ratio.json"), 1s);
  std::string state;
  before.session->save(state);
  Live live(options);
  ASSERT_TRUE(live.session->restore(state));
  const auto t = 90 * 24h;
  live.begin(t);
  live.run(t, t + 12s);
  const auto from = std::stoll(query_value(live.last("topLongShortPositionRatio").url, "startTime"));
  EXPECT_GE(from, 1'790'000'000'000 + 60LL * 24 * 3'600'000);
}

TEST(Conversation, SettledFundingIsAskedForFromTheLastOneOn) {
  auto options = options_for("derivatives", {"BTCUSDT"});
  options.data_types = {DataType::funding_rate};
  Live live(options);
  live.start();
  live.run(1s, 12s);
  live.rest(live.last("fundingRate?").url, fixture("usdm_rest_funding_rate.json"), 13s);
  live.run(14s, 31min);
  EXPECT_EQ(live.last("fundingRate?").url, kFapi + "fundingRate?symbol=BTCUSDT&startTime=1789977600004&limit=1000");
}

TEST(Conversation, ManySymbolsAreAskedForLessOftenEach) {
  Live live(all_of({DataType::open_interest, DataType::lsr_top_position, DataType::lsr_all_account}));
  live.start(info_of(300));
  const auto answer_all = [&](std::chrono::nanoseconds t) {
    auto requests = live.out.requests;
    for (const auto& request : requests) {
      const auto symbol = query_value(request.url, "symbol");
      if (request.url.find("openInterest") != std::string::npos)
        live.rest(request.url, R"({"openInterest":"1","symbol":")" + symbol + R"(","time":1790000000000})", t);
      else if (request.url.find("Ratio") != std::string::npos)
        live.rest(request.url, "[]", t);
      live.note(t);
    }
  };
  std::map<std::int64_t, int> weight, ratios;
  for (auto t = 1s; t < 15min; t += 1s) {
    live.asked.clear();
    live.tick(t);
    live.note(t);
    answer_all(t);
    for (const auto& each : live.asked) {
      if (each.request.url.find("openInterest") != std::string::npos) ++weight[t / 60s];
      if (each.request.url.find("Ratio") != std::string::npos) ++ratios[t / 300s];
    }
  }
  for (const auto& [minute, units] : weight) {
    if (minute >= 5) {
      EXPECT_LE(units, 660) << minute;
      EXPECT_GE(units, 500) << minute;
    }
  }
  for (const auto& [five, requests] : ratios) {
    if (five >= 1) {
      EXPECT_LE(requests, 500) << five;
      EXPECT_GE(requests, 100) << five;
    }
  }
  EXPECT_EQ(weight.size(), 15u);
}

TEST(Conversation, FewSymbolsAreAskedForOftenAsConfigured) {
  auto options = options_for("derivatives", {"BTCUSDT"});
  options.data_types = {DataType::open_interest};
  options.extra["open_interest_every"] = "5s";
  Live live(options);
  live.start();
  for (auto t = 1s; t <= 61s; t += 1s) {
    live.tick(t);
    live.note(t);
    const auto requests = live.out.requests;
    for (const auto& request : requests)
      live.rest(request.url, R"({"openInterest":"1","symbol":"BTCUSDT","time":1790000000000})", t);
  }
  EXPECT_GE(live.count("openInterest"), 11u);
  EXPECT_LE(live.count("openInterest"), 13u);
}

TEST(Conversation, TheListIsReadAgainEveryHourAndNewContractsAreTaken) {
  Live live(all_of({DataType::trade}));
  live.start(info_of(1));
  live.opened(1, kMarketSocket, 1s);
  live.text(1, R"({"result":null,"id":1})", 1s);
  live.asked.clear();
  live.run(2s, 61min);
  ASSERT_GE(live.count("exchangeInfo"), 1u);
  auto& out = live.rest(kUsdmInfoUrl, info_of(2), 62min);
  EXPECT_EQ(only<Instrument>(out.events).size(), 1u);
  EXPECT_THAT(live.tick(62min + 1s).frames.at(0).text, HasSubstr(R"(["s1usdt@aggTrade"])"));
}

TEST(Conversation, AContractThatIsNotTradingIsNotPolled) {
  auto list = fixture("usdm_rest_exchange_info.json");
  const auto settling = [&] {
    auto out = list;
    return out.replace(out.find("TRADING"), 7, "SETTLING");
  };
  Live live(options_for("derivatives", {"BTCUSDT"}));
  live.start(settling());
  live.run(1s, 12s);
  EXPECT_EQ(live.count("symbol="), 0u);
  std::vector<StreamStatus> status;
  live.session->describe(status);
  for (const auto& each : status)
    if (each.data_type == DataType::open_interest || each.data_type == DataType::lsr_all_account) {
      EXPECT_EQ(each.state, StreamState::live) << "quiet, not broken";
    }
  live.rest(kUsdmInfoUrl, list, 1h);
  live.run(1h + 1s, 1h + 12s);
  EXPECT_EQ(live.count("openInterest?symbol=BTCUSDT"), 1u);
  EXPECT_EQ(live.count("topLongShortPositionRatio?symbol=BTCUSDT"), 1u);
  live.rest(kUsdmInfoUrl, settling(), 2h);
  live.asked.clear();
  live.run(2h + 1s, 2h + 10min);
  EXPECT_EQ(live.count("symbol="), 0u);
}

TEST(Conversation, WhatHasBeenDeliveredIsGivenUp) {
  auto options = options_for("derivatives", {"BTC-USDT-20261225", "BTC-USDT"});
  options.max_clock_distance = 0h;
  options.data_types = {DataType::trade, DataType::open_interest};
  // 2026-12-25 08:00.
  constexpr auto kDelivery = 1'798'185'600s - 1'790'000'000s;
  Live live(options);
  live.begin(kDelivery - 20s);
  live.rest(kUsdmInfoUrl, fixture("usdm_rest_exchange_info.json"), kDelivery - 20s);
  live.opened(1, kMarketSocket, kDelivery - 19s);
  live.text(1, R"({"result":null,"id":1})", kDelivery - 19s);
  live.run(kDelivery - 18s, kDelivery - 1s);
  EXPECT_GE(live.count("openInterest?symbol=BTCUSDT_261225"), 1u);
  EXPECT_TRUE(live.out.frames.empty());
  std::vector<std::string> sent;
  for (const auto t : {kDelivery, kDelivery + 1s})
    for (const auto& frame : live.tick(t).frames) sent.push_back(frame.text);
  EXPECT_THAT(sent, Contains(HasSubstr(R"("UNSUBSCRIBE","params":["btcusdt_261225@aggTrade"])")));
  live.asked.clear();
  live.run(kDelivery + 2s, kDelivery + 10min, 5s);
  EXPECT_EQ(live.count("BTCUSDT_261225"), 0u);
  std::vector<StreamStatus> status;
  live.session->describe(status);
  ASSERT_EQ(status.size(), 2u) << "of what is over nothing is waited for";
  for (const auto& each : status) EXPECT_EQ(each.instrument->symbol, "BTC-USDT");
}

TEST(Conversation, WhatIsNotChosenAnyMoreIsGivenUpWithTheNewList) {
  auto options = all_of({DataType::trade, DataType::orderbook_delta, DataType::open_interest});
  Live before(options);
  before.start(info_of(2));
  std::string state;
  before.session->save(state);
  Live live(options);
  ASSERT_TRUE(live.session->restore(state));
  live.begin(0s);
  live.note(0s);
  live.opened(1, kMarketSocket, 10ms);
  EXPECT_THAT(live.out.frames.at(0).text, HasSubstr("s1usdt@aggTrade"));
  live.text(1, R"({"result":null,"id":1})", 50ms);
  live.rest(kUsdmInfoUrl, info_of(1), 100ms);
  std::vector<std::string> sent;
  for (auto t = 200ms; t < 3s; t += 100ms)
    for (const auto& frame : live.tick(t).frames) sent.push_back(frame.text);
  EXPECT_THAT(sent, Contains(HasSubstr(R"("UNSUBSCRIBE","params":["s1usdt@aggTrade"])")));
  live.asked.clear();
  live.run(3s, 1min);
  EXPECT_EQ(live.count("S1USDT"), 0u);
}

TEST(Conversation, AQuietMarketIsNoFault) {
  auto options = options_for("derivatives", {"BTCUSDT"});
  options.data_types = {DataType::liquidation};
  Live live(options);
  live.start();
  live.opened(1, kMarketSocket, 1s);
  live.text(1, R"({"result":null,"id":1})", 1s);
  for (auto t = 1min; t < 23h; t += 10min) EXPECT_TRUE(live.tick(t).closes.empty());
  std::vector<StreamStatus> status;
  live.session->describe(status);
  ASSERT_EQ(status.size(), 1u);
  EXPECT_EQ(status[0].data_type, DataType::liquidation);
  EXPECT_EQ(status[0].state, StreamState::live);
}

TEST(Conversation, SilentMarkPricesAreNoticed) {
  auto options = options_for("derivatives", {"BTCUSDT"});
  options.data_types = {DataType::funding_rate};
  Live live(options);
  live.start();
  live.opened(1, kMarketSocket, 1s);
  live.text(1, R"({"result":null,"id":1})", 1s);
  EXPECT_TRUE(live.tick(30s).closes.empty());
  ASSERT_EQ(live.tick(32s).closes.size(), 1u);
  EXPECT_EQ(live.out.closes[0].reason, CloseReason::stale);
}

TEST(Conversation, EveryTypeHasALineInHealth) {
  Live live(options_for("derivatives", {"BTCUSDT", "BTC-USDT-20261225"}));
  live.start();
  std::vector<StreamStatus> status;
  live.session->describe(status);
  const auto lines = [&](const std::string& symbol) {
    std::vector<DataType> types;
    for (const auto& each : status)
      if (each.instrument->symbol == symbol) types.push_back(each.data_type);
    return types;
  };
  using enum DataType;
  EXPECT_THAT(lines("BTC-USDT"), testing::ElementsAre(trade, orderbook_delta, funding_rate, open_interest, liquidation,
                                                      lsr_top_position, lsr_all_account));
  EXPECT_THAT(lines("BTC-USDT-20261225"), testing::ElementsAre(trade, orderbook_delta, open_interest, liquidation,
                                                               lsr_top_position, lsr_all_account));
  live.run(1s, 12s);
  live.rest(kFapi + "openInterest?symbol=BTCUSDT", fixture("usdm_rest_open_interest.json"), 13s);
  status.clear();
  live.session->describe(status);
  const auto interest = std::ranges::find(status, open_interest, &StreamStatus::data_type);
  ASSERT_NE(interest, status.end());
  EXPECT_EQ(interest->state, StreamState::live);
  EXPECT_EQ(interest->last_event, kStart + 13s);
}

}  // namespace
}  // namespace mp::binance
