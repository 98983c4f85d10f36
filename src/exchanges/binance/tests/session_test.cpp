// The conversation: what a session asks of its driver, step by step, and what it does when a step fails.
#include "exchanges/binance/conversation.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <cstdlib>
#include <deque>
#include <map>
#include <set>

#include "support.hpp"

namespace mp::binance {
namespace {

using testing::HasSubstr;

constexpr const char* kSpotSocket = "wss://stream.binance.com:9443/stream";
constexpr const char* kPublicSocket = "wss://fstream.binance.com/public/stream";
constexpr const char* kMarketSocket = "wss://fstream.binance.com/market/stream";

std::string answer(int id) { return R"({"result":null,"id":)" + std::to_string(id) + "}"; }

std::vector<std::string> messages(const Outbox& out) {
  std::vector<std::string> texts;
  for (const auto& notice : out.notices) texts.push_back(notice.message + " | " + notice.detail);
  return texts;
}

// A spot session of BTCUSDT whose catalogue is read and whose socket is open.
struct Talking : Script {
  explicit Talking(std::vector<std::string> symbols = {"BTC-USDT"}, const std::string& market = "spot")
      : Script(options_for(market, std::move(symbols))) {
    begin(0s);
    rest(market == "spot" ? kSpotInfoUrl : kUsdmInfoUrl,
         fixture(market == "spot" ? "spot_rest_exchange_info.json" : "usdm_rest_exchange_info.json"), 100ms);
    opens = out.opens;
  }
  std::vector<OpenSocket> opens;
};

TEST(Session, AsksForTheInstrumentsFirst) {
  Script s(options_for("spot", {"BTC-USDT"}));
  auto& out = s.begin(0s);
  ASSERT_EQ(out.requests.size(), 1u);
  EXPECT_EQ(out.requests[0].url, kSpotInfoUrl);
  ASSERT_EQ(out.requests[0].charges.size(), 1u);
  EXPECT_EQ(out.requests[0].charges[0].units, 20);
  EXPECT_EQ(out.requests[0].charges[0].budget, "binance.spot");
  EXPECT_EQ(out.requests[0].charges[0].limit, 6000);
  EXPECT_TRUE(out.opens.empty());
  EXPECT_TRUE(out.wake_at);
}

TEST(Session, OpensItsSocketSubscribesAndAsksForASnapshotWhenDataFlows) {
  Talking s;
  ASSERT_EQ(s.opens.size(), 1u);
  EXPECT_EQ(s.opens[0].url, kSpotSocket);
  ASSERT_EQ(only<Instrument>(s.all).size(), 1u) << "only what was chosen";

  auto& out = s.opened(5, kSpotSocket, 200ms);
  ASSERT_EQ(out.frames.size(), 1u);
  EXPECT_EQ(out.frames[0].connection, 5u);
  EXPECT_EQ(out.frames[0].text, R"({"method":"SUBSCRIBE","params":["btcusdt@depth@100ms","btcusdt@aggTrade"],"id":1})");
  EXPECT_TRUE(s.text(5, answer(1), 300ms).requests.empty());
  s.text(5, spot_update(101, 105, 400), 400ms);
  ASSERT_EQ(s.out.requests.size(), 1u);
  EXPECT_EQ(s.out.requests[0].url, kSpotDepthUrl);
  EXPECT_EQ(s.out.requests[0].charges.at(0).units, 50);
  s.text(5, spot_update(106, 110, 500), 500ms);
  EXPECT_TRUE(s.out.requests.empty()) << "one is under way";
  s.rest(kSpotDepthUrl, depth_reply(104), 600ms);
  EXPECT_EQ(only<OrderBookDelta>(s.all).size(), 3u);
  EXPECT_TRUE(s.out.requests.empty());

  std::vector<StreamStatus> status;
  s.session->describe(status);
  ASSERT_EQ(status.size(), 2u);
  // Without a trade yet: quiet, not broken.
  for (const auto& each : status) EXPECT_EQ(each.state, StreamState::live);
}

TEST(Session, ABookIsHeldAgainstTheVenuesOwnNowAndThen) {
  Talking s;
  s.opened(1, kSpotSocket, 0s);
  s.text(1, answer(1), 100ms);
  s.text(1, spot_update(101, 105, 200), 200ms);
  s.rest(kSpotDepthUrl, depth_reply(104), 300ms);
  std::string url;
  std::uint64_t last = 105;
  auto t = 1s;
  const auto run_until_asked = [&](std::chrono::seconds at_most) {
    url.clear();
    for (; url.empty() && t < at_most; t += 1s) {
      ++last;
      s.text(1, spot_update(last, last, static_cast<int>(t / 1ms)), t);
      for (const auto& request : s.tick(t).requests) {
        if (!request.url.ends_with("/api/v3/depth?limit=100&symbol=BTCUSDT")) continue;
        url = request.url;
        EXPECT_EQ(request.charges.at(0).units, 5);
        EXPECT_LT(request.percent_at_most, 80);
      }
    }
  };
  const auto body = [&](const std::string& ask) {
    std::vector<OrderBook> held;
    s.session->books(0, held);
    std::string bids;
    for (const auto& each : held.at(0).bids)
      bids +=
          fmt::format(R"({}["{}","{}"])", bids.empty() ? "" : ",", each.price.value.text(), each.quantity.value.text());
    return fmt::format(R"({{"lastUpdateId":{},"bids":[{}],"asks":[["200","{}"]]}})", last, bids, ask);
  };
  run_until_asked(60s);
  ASSERT_FALSE(url.empty()) << "every 30 s one";
  const auto events = s.all.size();
  s.rest(url, body("7"), t);
  EXPECT_EQ(s.session->counters().audits.agreed, 1u);
  run_until_asked(120s);
  const auto before = s.all.size();
  EXPECT_GT(before, events);
  // One that fails is no snapshot that must be asked for again.
  s.session->rest_failed(url, "no route", s.at(t), s.out);
  EXPECT_TRUE(s.tick(t + 1s).requests.empty());
  const auto other = body("8");
  s.rest(url, other, t + 1s);
  EXPECT_EQ(s.session->counters().audits.differed, 1u);
  EXPECT_THAT(messages(s.out), testing::Contains(HasSubstr(R"(first="ask 200 ours=7 theirs=8")")));
  // The same id and another book: ours was wrong, and is asked for anew.
  ASSERT_EQ(s.all.size(), before + 1);
  const auto* gap = std::get_if<Gap>(&s.all.back());
  ASSERT_TRUE(gap);
  EXPECT_EQ(gap->cause, GapCause::audit);
  std::vector<OrderBook> held;
  s.session->books(0, held);
  EXPECT_TRUE(held.empty()) << "a book that is wrong is not published as good";
  s.rest(url, other, t + 2s);
  EXPECT_EQ(s.all.size(), before + 1) << "an audit's few levels are no snapshot";
  const auto& asked = s.tick(t + 3s).requests;
  EXPECT_TRUE(std::ranges::any_of(asked, [](const RestRequest& each) {
    return each.url.find("/api/v3/depth?symbol=BTCUSDT") != std::string::npos;
  }));
}

TEST(Session, FuturesSpeakOverTwoSocketsByClassOfStream) {
  Talking s({"BTCUSDT"}, "derivatives");
  ASSERT_EQ(s.opens.size(), 2u);
  EXPECT_EQ(s.opens[0].url, kPublicSocket);
  EXPECT_EQ(s.opens[1].url, kMarketSocket);
  EXPECT_NE(s.opens[0].slot, s.opens[1].slot);
  EXPECT_THAT(s.opened(1, kMarketSocket, 1s).frames.at(0).text,
              HasSubstr(R"(["btcusdt@aggTrade","btcusdt@markPrice","btcusdt@forceOrder"])"));
  EXPECT_THAT(s.opened(2, kPublicSocket, 1s).frames.at(0).text, HasSubstr(R"(["btcusdt@depth@100ms"])"));
}

TEST(Session, RawTradesOfFuturesAreServedWhereDepthIs) {
  auto options = options_for("derivatives", {"BTCUSDT"});
  options.extra["trade_stream"] = "trade";
  options.data_types = {DataType::orderbook_delta, DataType::trade};
  Script s(options);
  s.begin(0s);
  auto& out = s.rest(kUsdmInfoUrl, fixture("usdm_rest_exchange_info.json"), 100ms);
  ASSERT_EQ(out.opens.size(), 1u);
  EXPECT_EQ(out.opens[0].url, kPublicSocket);
  EXPECT_THAT(s.opened(1, kPublicSocket, 1s).frames.at(0).text, HasSubstr(R"("btcusdt@trade")"));
}

TEST(Session, TradesOfSpotAreEitherSeries) {
  for (const std::string stream : {"aggTrade", "trade"}) {
    auto options = options_for("spot", {"BTC-USDT"});
    options.extra["trade_stream"] = stream;
    options.data_types = {DataType::trade};
    Script s(options);
    s.begin(0s);
    s.rest(kSpotInfoUrl, fixture("spot_rest_exchange_info.json"), 100ms);
    EXPECT_EQ(s.opened(1, kSpotSocket, 1s).frames.at(0).text,
              R"({"method":"SUBSCRIBE","params":["btcusdt@)" + stream + R"("],"id":1})");
    EXPECT_TRUE(s.tick(1min).requests.empty()) << "spot has no statistics to ask for";
  }
}

TEST(Session, OwnAddressesReplaceSchemeHostAndPort) {
  auto options = options_for("derivatives", {"BTCUSDT"});
  options.ws_base = "ws://127.0.0.1:9443";
  options.rest_base = "http://127.0.0.1:9080";
  options.extra["time_unit"] = "us";
  Script s(options);
  EXPECT_EQ(s.begin(0s).requests.at(0).url, "http://127.0.0.1:9080/fapi/v1/exchangeInfo");
  s.rest("http://127.0.0.1:9080/fapi/v1/exchangeInfo", fixture("usdm_rest_exchange_info.json"), 100ms);
  EXPECT_EQ(s.out.opens.at(1).url, "ws://127.0.0.1:9443/market/stream?timeUnit=MICROSECOND");
}

TEST(Session, AnUnknownSymbolIsToldWithTheNearestAndTheOthersGoOn) {
  Talking s({"BTC-USTD", "ETHBTC"});
  EXPECT_THAT(messages(s.out),
              testing::Contains(HasSubstr("unknown symbol: nothing is collected for it | symbol=BTC-USTD "
                                          "did_you_mean=BTC-USDT")));
  EXPECT_THAT(messages(s.out), testing::Contains(HasSubstr("symbol is not trading | symbol=ETH-BTC status=BREAK")));
  EXPECT_EQ(s.opens.size(), 1u);
}

constexpr const char* kSpotTickerUrl = "https://api.binance.com/api/v3/ticker/24hr";

TEST(Session, ASymbolThatNeverWasIsRefusedAtStartOnly) {
  Script s(options_for("spot", {"BTC-USTD", "ETHBTC"}));
  s.begin(0s);
  auto& first = s.rest(kSpotInfoUrl, fixture("spot_rest_exchange_info.json"), 100ms);
  ASSERT_TRUE(first.refusal);
  EXPECT_EQ(first.refusal->code, Errc::usage);
  EXPECT_EQ(first.refusal->where, "symbols of binance.spot");
  EXPECT_THAT(first.refusal->seen, HasSubstr("no symbol 'BTC-USTD', did you mean BTC-USDT"));
  std::vector<StreamStatus> status;
  s.session->describe(status);
  ASSERT_FALSE(status.empty());
  EXPECT_EQ(status[0].instrument->symbol, "BTC-USTD");
  EXPECT_EQ(status[0].data_type, DataType::instrument);
  EXPECT_EQ(status[0].state, StreamState::refused);
  EXPECT_FALSE(s.rest(kSpotInfoUrl, fixture("spot_rest_exchange_info.json"), 11min).refusal);
}

TEST(Session, ASymbolThatWasDelistedDoesNotStopTheOthers) {
  Talking before({"BTC-USDT", "1000CATUSDT"});
  std::string state;
  before.session->save(state);
  Script s(options_for("spot", {"BTC-USDT", "1000CATUSDT"}));
  ASSERT_TRUE(s.session->restore(state));
  EXPECT_EQ(s.begin(0s).opens.size(), 1u) << "known symbols need not wait for the list";
  auto list = fixture("spot_rest_exchange_info.json");
  for (auto at = list.find("1000CATUSDT"); at != std::string::npos; at = list.find("1000CATUSDT"))
    list.replace(at, 11, "1000DOGUSDT");
  for (auto at = list.find("1000CAT"); at != std::string::npos; at = list.find("1000CAT"))
    list.replace(at, 7, "1000DOG");
  auto& out = s.rest(kSpotInfoUrl, list, 100ms);
  EXPECT_FALSE(out.refusal);
  EXPECT_THAT(messages(out),
              testing::Contains(HasSubstr("a chosen symbol is not listed any more | symbol=1000CATUSDT")));
  std::vector<StreamStatus> status;
  s.session->describe(status);
  for (const auto& each : status) EXPECT_EQ(each.instrument->symbol, "BTC-USDT");
}

TEST(Session, TheTopByVolumeNeedsTheVolumesBeforeTheList) {
  auto options = options_for("spot", {"BTC-USDT"});
  options.symbols = std::vector<SelectionRule>{{.quote = "USDT", .top = 1}};
  Script s(options);
  auto& begun = s.begin(0s);
  ASSERT_EQ(begun.requests.size(), 1u);
  EXPECT_EQ(begun.requests[0].url, kSpotTickerUrl);
  EXPECT_EQ(begun.requests[0].charges.at(0).units, 80);
  s.rest_failed(kSpotTickerUrl, 1s);
  auto& again = s.tick(3s);
  ASSERT_EQ(again.requests.size(), 1u);
  EXPECT_EQ(again.requests[0].url, kSpotTickerUrl);
  EXPECT_EQ(s.rest(kSpotTickerUrl, fixture("spot_rest_ticker_24hr.json"), 4s).requests.at(0).url, kSpotInfoUrl);
  auto& listed = s.rest(kSpotInfoUrl, fixture("spot_rest_exchange_info.json"), 5s);
  ASSERT_EQ(only<Instrument>(listed.events).size(), 1u);
  EXPECT_EQ(only<Instrument>(listed.events)[0].meta.instrument->symbol, "BTC-USDT");
  EXPECT_EQ(listed.opens.size(), 1u);
  std::set<std::string> daily;
  for (const auto& request : s.tick(49h).requests) daily.insert(request.url);
  EXPECT_TRUE(daily.contains(kSpotTickerUrl)) << "read again daily";
  EXPECT_TRUE(daily.contains(kSpotInfoUrl));
  EXPECT_EQ(only<Rejected>(s.rest(kSpotTickerUrl, "[{}]", 50h).events).size(), 1u);
}

TEST(Session, ARecordedTickerIsNotMappedWhenNothingIsChosenByVolume) {
  Script s(options_for("spot"));
  s.rest(kSpotTickerUrl, fixture("spot_rest_ticker_24hr.json"), 0s);
  EXPECT_TRUE(s.all.empty());
  EXPECT_EQ(s.session->counters().unmapped.at(0).first, "REST 24hr");
}

TEST(Session, TheInstrumentListIsAskedForAgainUntilItComes) {
  Script s(options_for("spot", {"BTC-USDT"}));
  s.begin(0s);
  s.rest_failed(kSpotInfoUrl, 1s);
  EXPECT_TRUE(s.out.events.empty());
  EXPECT_EQ(s.out.notices.size(), 1u);
  EXPECT_TRUE(s.tick(1500ms).requests.empty());
  EXPECT_EQ(s.tick(2s).requests.size(), 1u);
  s.rest(kSpotInfoUrl, "<html>", 3s, 503);
  EXPECT_TRUE(s.out.events.empty()) << "no answer, so nothing is rejected";
  EXPECT_EQ(s.tick(6s).requests.size(), 1u);
  s.rest(kSpotInfoUrl, R"({"symbols":)", 7s);
  EXPECT_EQ(only<Rejected>(s.out.events).size(), 1u) << "an answer that cannot be read";
  EXPECT_EQ(s.tick(20s).requests.size(), 1u);
  s.rest(kSpotInfoUrl, fixture("spot_rest_exchange_info.json"), 21s);
  EXPECT_EQ(s.out.opens.size(), 1u);
  EXPECT_TRUE(s.tick(22s).requests.empty());
  EXPECT_EQ(s.tick(25h).requests.at(0).url, kSpotInfoUrl) << "read again daily";
}

TEST(Session, ManySymbolsAreSubscribedInSpacedChunks) {
  std::string info = R"({"symbols":[)";
  std::vector<std::string> symbols;
  for (int i = 0; i < 450; ++i) {
    const auto name = "S" + std::to_string(i);
    symbols.push_back(name + "-USDT");
    info += (i ? "," : "") + std::string(R"({"symbol":")") + name + R"(USDT","status":"TRADING","baseAsset":")" + name +
            R"(","quoteAsset":"USDT"})";
  }
  Script s(options_for("spot", symbols));
  s.begin(0s);
  s.rest(kSpotInfoUrl, info + "]}", 0s);
  ASSERT_EQ(s.out.opens.size(), 3u) << "900 streams, 400 on a socket";
  std::set<std::uint32_t> slots;
  for (const auto& open : s.out.opens) slots.insert(open.slot);
  EXPECT_EQ(slots.size(), 3u);
  std::map<ConnectionId, std::vector<std::chrono::nanoseconds>> sent;
  std::string names;
  const auto note = [&](std::chrono::nanoseconds t) {
    for (const auto& frame : s.out.frames) {
      sent[frame.connection].push_back(t);
      names += frame.text;
    }
  };
  for (ConnectionId c = 1; c <= 3; ++c) {
    s.opened(c, kSpotSocket, 0s);
    note(0s);
  }
  for (auto t = 50ms; t < 5s; t += 50ms) {
    s.tick(t);
    note(t);
  }
  EXPECT_EQ(sent[1].size(), 4u);
  EXPECT_EQ(sent[2].size(), 4u);
  EXPECT_EQ(sent[3].size(), 1u);
  for (const auto& [connection, times] : sent)
    for (std::size_t i = 1; i < times.size(); ++i) EXPECT_GE(times[i] - times[i - 1], 250ms);
  for (int i = 0; i < 450; ++i) {
    EXPECT_THAT(names, HasSubstr("\"s" + std::to_string(i) + "usdt@depth@100ms\""));
    EXPECT_THAT(names, HasSubstr("\"s" + std::to_string(i) + "usdt@aggTrade\""));
  }
}

TEST(Session, SnapshotsOfManySymbolsAreSpacedAndFew) {
  std::string info = R"({"symbols":[)";
  std::vector<std::string> symbols;
  for (int i = 0; i < 50; ++i) {
    const auto name = "S" + std::to_string(i);
    symbols.push_back(name + "USDT");
    info += (i ? "," : "") + std::string(R"({"symbol":")") + name + R"(USDT","status":"TRADING","baseAsset":")" + name +
            R"(","quoteAsset":"USDT"})";
  }
  Script s(options_for("spot", symbols));
  s.begin(0s);
  s.rest(kSpotInfoUrl, info + "]}", 0s);
  s.opened(1, kSpotSocket, 0s);
  std::vector<std::string> asked;
  const auto note = [&] {
    for (const auto& request : s.out.requests) asked.push_back(request.url);
  };
  for (int i = 0; i < 50; ++i) {
    s.text(1, spot_update(5, 5, 10, "S" + std::to_string(i) + "USDT"), 10ms);
    note();
  }
  EXPECT_EQ(asked.size(), 1u);
  for (auto t = 20ms; t < 2s; t += 20ms) {
    s.tick(t);
    note();
  }
  EXPECT_EQ(asked.size(), Conversation::kSnapshotsUnderWay) << "no more until one is answered";
  for (std::size_t i = 0; i < asked.size() && i < 100; ++i) {
    s.rest(asked[i], depth_reply(5), 2s + i * 200ms);
    note();
    s.tick(2s + i * 200ms + 160ms);
    note();
  }
  EXPECT_EQ(std::set<std::string>(asked.begin(), asked.end()).size(), 50u);
  std::vector<OrderBook> books;
  s.session->books(1, books);
  EXPECT_EQ(books.size(), 50u);
}

// As in a collector that was killed: the journal is replayed, nobody carries out what is wished for meanwhile, and then
// the session begins anew. Ticks come here when they are wished for, and at no other time.
TEST(Session, AfterAReplayEveryBookIsAskedForAgain) {
  std::string info = R"({"symbols":[)";
  std::vector<std::string> symbols;
  for (int i = 0; i < 8; ++i) {
    const auto name = "S" + std::to_string(i);
    symbols.push_back(name + "USDT");
    info += (i ? "," : "") + std::string(R"({"symbol":")") + name + R"(USDT","status":"TRADING","baseAsset":")" + name +
            R"(","quoteAsset":"USDT"})";
  }
  Script s(options_for("spot", symbols));
  std::optional<MonoTime> wake;
  std::deque<std::string> asked;  // and not answered
  std::set<std::string> all_asked;
  std::optional<std::chrono::nanoseconds> all_asked_after;
  const auto carry_out = [&](std::chrono::nanoseconds t) {
    if (s.out.wake_at) wake = s.out.wake_at;
    for (const auto& request : s.out.requests) {
      if (request.url.find("/depth?") == std::string::npos) continue;
      asked.push_back(request.url);
      all_asked.insert(request.url);
      if (all_asked.size() == 8 && !all_asked_after) all_asked_after = t;
    }
  };
  const auto history = [&] {
    s.begin(0s);
    s.rest(kSpotInfoUrl, info + "]}", 1ms);
    s.opened(1, kSpotSocket, 2ms);
    s.text(1, answer(1), 3ms);
    for (int i = 0; i < 8; ++i) s.text(1, spot_update(5, 5, 10, "S" + std::to_string(i) + "USDT"), 10ms);
  };
  history();  // what came out is thrown away

  constexpr auto kAgain = 20s;
  s.begin(kAgain);
  carry_out(kAgain);
  ASSERT_TRUE(wake) << "or the session's clock stands still";
  s.opened(2, kSpotSocket, kAgain + 10ms);
  carry_out(kAgain + 10ms);
  s.text(2, answer(2), kAgain + 20ms);
  carry_out(kAgain + 20ms);
  for (auto t = kAgain + 30ms; t < kAgain + 10s; t += 10ms) {
    if (wake && s.at(t).mono >= *wake) {
      wake.reset();
      s.tick(t);
      carry_out(t);
    }
    const auto ms = static_cast<int>(std::chrono::milliseconds(t).count());
    if (ms % 100 == 50)
      for (int i = 0; i < 8; ++i) {
        const auto id = static_cast<std::uint64_t>(ms);
        s.text(2, spot_update(id - 99, id, ms, "S" + std::to_string(i) + "USDT"), t);
        carry_out(t);
      }
    if (asked.empty() || ms % 40 != 0) continue;
    const auto url = asked.front();
    asked.pop_front();
    s.rest(url, depth_reply(ms), t);
    carry_out(t);
  }
  EXPECT_EQ(all_asked.size(), 8u);
  ASSERT_TRUE(all_asked_after);
  EXPECT_LE(*all_asked_after, kAgain + 8 * Conversation::kSnapshotSpacing + 300ms);
  std::vector<OrderBook> books;
  s.session->books(1, books);
  EXPECT_EQ(books.size(), 8u);
}

TEST(Session, AFailedSnapshotIsAskedForAgainWithBackOff) {
  Talking s;
  s.opened(1, kSpotSocket, 1s);
  s.text(1, answer(1), 1s);
  EXPECT_EQ(s.text(1, spot_update(101, 105, 1100), 1100ms).requests.size(), 1u);
  s.rest_failed(kSpotDepthUrl, 1200ms);
  EXPECT_TRUE(s.out.requests.empty());
  EXPECT_TRUE(s.out.events.empty());
  EXPECT_TRUE(s.tick(1900ms).requests.empty());
  EXPECT_EQ(s.tick(2200ms).requests.size(), 1u);
  s.rest(kSpotDepthUrl, "busy", 2300ms, 503);
  EXPECT_TRUE(s.tick(3s).requests.empty());
  EXPECT_EQ(s.tick(4500ms).requests.size(), 1u) << "the second wait is longer";
  s.rest(kSpotDepthUrl, depth_reply(50), 4600ms);  // older than the updates
  EXPECT_TRUE(s.all.size() == 1) << "the instrument, and no book";
  EXPECT_EQ(s.tick(9s).requests.size(), 1u);
  s.rest(kSpotDepthUrl, depth_reply(104), 9100ms);
  EXPECT_EQ(only<OrderBookDelta>(s.all).size(), 2u);
}

TEST(Session, AGapResynchronisesThatSymbolOnly) {
  Talking s({"BTC-USDT", "ETH-BTC"});
  s.opened(1, kSpotSocket, 0s);
  s.text(1, spot_update(1, 5, 10), 10ms);
  s.rest(kSpotDepthUrl, depth_reply(5), 20ms);
  s.text(1, spot_update(1, 5, 300, "ETHBTC"), 300ms);
  s.rest("https://api.binance.com/api/v3/depth?symbol=ETHBTC&limit=1000", depth_reply(5), 310ms);
  auto& out = s.text(1, spot_update(9, 9, 2000), 2000ms);
  EXPECT_EQ(only<Gap>(out.events).size(), 1u);
  ASSERT_EQ(out.requests.size(), 1u);
  EXPECT_EQ(out.requests[0].url, kSpotDepthUrl);
  EXPECT_TRUE(out.closes.empty());
  EXPECT_EQ(only<OrderBookDelta>(s.text(1, spot_update(6, 6, 2100, "ETHBTC"), 2100ms).events).size(), 1u);
  std::vector<StreamStatus> status;
  s.session->describe(status);
  for (const auto& each : status) {
    if (each.data_type != DataType::orderbook_delta) continue;
    const bool btc = each.instrument->instrument == "BTCUSDT";
    EXPECT_EQ(each.state, btc ? StreamState::resyncing : StreamState::live);
    EXPECT_EQ(each.gaps, btc ? 1u : 0u);
  }
}

TEST(Session, AQuietSymbolGetsItsSnapshotOnceTheSubscriptionIsConfirmed) {
  Talking s;
  s.opened(1, kSpotSocket, 0s);
  EXPECT_TRUE(s.tick(5s).requests.empty()) << "not confirmed yet";
  s.text(1, answer(1), 5s);
  EXPECT_TRUE(s.tick(6s).requests.empty());
  EXPECT_EQ(s.tick(8s).requests.size(), 1u);
}

TEST(Session, ASubscriptionWithoutAnswerEndsTheConnection) {
  Talking s;
  s.opened(1, kSpotSocket, 0s);
  EXPECT_TRUE(s.tick(9s).closes.empty());
  auto& out = s.tick(10s);
  ASSERT_EQ(out.closes.size(), 1u);
  EXPECT_EQ(out.closes[0].connection, 1u);
  EXPECT_EQ(out.closes[0].reason, CloseReason::stale);
  s.closed(1, 10s);
  EXPECT_EQ(s.opened(2, kSpotSocket, 11s).frames.size(), 1u) << "subscribed again on the new connection";
}

// What a subscription on the wrong path of the futures looks like.
TEST(Session, AConfirmedButSilentSocketIsReopened) {
  Talking s({"BTCUSDT"}, "derivatives");
  s.opened(1, kPublicSocket, 0s);
  s.text(1, answer(1), 100ms);
  EXPECT_TRUE(s.tick(29s).closes.empty());
  auto& out = s.tick(31s);
  ASSERT_EQ(out.closes.size(), 1u);
  EXPECT_THAT(messages(out), testing::Contains(HasSubstr("confirmed, but no data")));
}

TEST(Session, OneSilentStreamAmongLiveOnesIsSubscribedAgain) {
  Talking s({"BTC-USDT", "1000CATUSDT"});
  s.opened(1, kSpotSocket, 0s);
  s.text(1, answer(1), 100ms);
  for (int i = 1; i <= 40; ++i)
    s.text(1, spot_update(static_cast<std::uint64_t>(i), static_cast<std::uint64_t>(i), i * 1000), i * 1s);
  auto& out = s.tick(41s);
  EXPECT_TRUE(out.closes.empty());
  ASSERT_EQ(out.frames.size(), 1u);
  EXPECT_EQ(out.frames[0].text, R"({"method":"UNSUBSCRIBE","params":["1000catusdt@depth@100ms"],"id":2})");
  ASSERT_TRUE(s.text(1, answer(2), 41'050ms).frames.empty()) << "300 ms between frames";
  EXPECT_EQ(s.tick(41'350ms).frames.at(0).text,
            R"({"method":"SUBSCRIBE","params":["1000catusdt@depth@100ms"],"id":3})");
}

TEST(Session, AStreamThatFallsSilentEndsItsConnection) {
  Talking s;
  s.opened(1, kSpotSocket, 0s);
  s.text(1, answer(1), 100ms);
  for (int i = 1; i <= 100; ++i)
    s.text(1, spot_update(static_cast<std::uint64_t>(i), static_cast<std::uint64_t>(i), i * 100), i * 100ms);
  EXPECT_TRUE(s.tick(39s).closes.empty());
  auto& out = s.tick(41s);
  ASSERT_EQ(out.closes.size(), 1u);
  EXPECT_EQ(out.closes[0].reason, CloseReason::stale);
  EXPECT_THAT(messages(out), testing::Contains(HasSubstr("silent for longer")));
  EXPECT_TRUE(s.out.events.empty()) << "a tick publishes nothing";
  s.closed(1, 42s);
  EXPECT_EQ(s.opened(2, kSpotSocket, 43s).frames.size(), 1u);
  std::vector<StreamStatus> status;
  s.session->describe(status);
  EXPECT_EQ(status.back().reconnects, 1u);
}

// Lists keep what is not traded any more for years, and patterns choose it.
TEST(Session, ASymbolThatIsNotTradingIsQuietAndNoFault) {
  Talking s({"BTC-USDT", "ETH-BTC"});
  EXPECT_THAT(messages(s.out), testing::Contains(HasSubstr("symbol is not trading | symbol=ETH-BTC status=BREAK")));
  s.opened(1, kSpotSocket, 0s);
  s.text(1, answer(1), 100ms);
  std::vector<std::string> books;
  const auto answer_all = [&](std::chrono::nanoseconds t) {
    const auto requests = s.out.requests;
    for (const auto& request : requests) {
      const bool list = request.url == kSpotInfoUrl;
      if (!list) books.push_back(request.url);
      s.rest(request.url, list ? fixture("spot_rest_exchange_info.json") : depth_reply(1), t);
      EXPECT_TRUE(s.out.notices.empty()) << "told once, not with every list";
    }
  };
  for (int second = 1; second < 3000; ++second) {
    const auto id = static_cast<std::uint64_t>(second);
    s.text(1, spot_update(id, id, second * 1000), second * 1s);
    answer_all(second * 1s);
    s.tick(second * 1s);
    ASSERT_TRUE(s.out.closes.empty());
    ASSERT_TRUE(s.out.notices.empty()) << s.out.notices[0].message;
    answer_all(second * 1s);
  }
  EXPECT_THAT(books, testing::Contains(kSpotDepthUrl));
  EXPECT_THAT(books, testing::Not(testing::Contains(HasSubstr("ETHBTC")))) << "no book of the other is asked for";
  std::vector<StreamStatus> status;
  s.session->describe(status);
  ASSERT_EQ(status.size(), 4u);
  for (const auto& each : status) EXPECT_EQ(each.state, StreamState::live) << each.instrument->symbol;
  // It is traded again: as any other.
  EXPECT_THAT(s.text(1, spot_update(1, 5, 3'700'000, "ETHBTC"), 3700s).requests, testing::SizeIs(1));
}

TEST(Session, ManySymbolsThatAreNotTradingAreToldTogether) {
  std::string info = R"({"symbols":[)";
  for (int i = 0; i < 300; ++i)
    info += (i ? "," : "") + std::string(R"({"symbol":"S)") + std::to_string(i) +
            R"(USDT","status":"BREAK","baseAsset":"S)" + std::to_string(i) + R"(","quoteAsset":"USDT"})";
  auto options = options_for("spot", {"*-USDT"});
  Script s(options);
  s.begin(0s);
  s.rest(kSpotInfoUrl, info + "]}", 0s);
  EXPECT_THAT(messages(s.out),
              testing::ElementsAre("symbols are not trading | count=300 first: symbol=S0-USDT status=BREAK"));
}

TEST(Session, ARefusedSubscriptionIsNamed) {
  Talking s;
  s.opened(1, kSpotSocket, 0s);
  auto& out = s.text(1, R"({"error":{"code":2,"msg":"Invalid request"},"id":1})", 100ms);
  ASSERT_EQ(out.notices.size(), 1u);
  EXPECT_THAT(out.notices[0].detail, HasSubstr("btcusdt@aggTrade"));
  std::vector<StreamStatus> status;
  s.session->describe(status);
  EXPECT_EQ(status.at(0).state, StreamState::refused);
}

TEST(Session, AnErrorWithoutIdBelongsToTheOldestOpenRequest) {
  Talking s;
  s.opened(1, kSpotSocket, 0s);
  EXPECT_THAT(s.text(1, fixture("ws_error.json"), 100ms).notices.at(0).detail, HasSubstr("btcusdt@depth@100ms"));
}

TEST(Session, TheShutdownNoticeBringsAReplacementThatTakesOver) {
  Talking s;
  s.opened(1, kSpotSocket, 0s);
  s.text(1, answer(1), 100ms);
  s.text(1, spot_update(1, 5, 200), 200ms);
  s.rest(kSpotDepthUrl, depth_reply(5), 300ms);
  auto& notice = s.text(1, fixture("spot_ws_shutdown.json"), 1s);
  ASSERT_EQ(notice.opens.size(), 1u);
  EXPECT_EQ(notice.opens[0].url, kSpotSocket);
  EXPECT_NE(notice.opens[0].slot, s.opens[0].slot);
  EXPECT_TRUE(s.text(1, fixture("spot_ws_shutdown.json"), 1s).opens.empty()) << "told twice, replaced once";
  EXPECT_EQ(s.opened(2, kSpotSocket, 1500ms).frames.size(), 1u);
  s.text(1, spot_update(6, 6, 1600), 1600ms);
  EXPECT_TRUE(s.tick(1700ms).closes.empty()) << "not confirmed yet";
  s.text(2, answer(2), 1800ms);
  s.text(2, spot_update(8, 8, 1900), 1900ms);
  auto& handover = s.tick(2s);
  ASSERT_EQ(handover.closes.size(), 1u);
  EXPECT_EQ(handover.closes[0].connection, 1u);
  EXPECT_EQ(handover.closes[0].reason, CloseReason::replaced);
  s.text(1, spot_update(7, 7, 1850), 2001ms);
  s.closed(1, 2010ms);
  s.text(2, spot_update(9, 9, 2100), 2100ms);
  EXPECT_TRUE(only<Gap>(s.all).empty());
  EXPECT_EQ(only<OrderBookDelta>(s.all).back().last_update_id, 9u);
  // A connection that the driver opens for the socket that is no more.
  EXPECT_EQ(s.opened(3, kSpotSocket, 3s).closes.at(0).reason, CloseReason::replaced);
}

TEST(Session, ConnectionsAreReplacedBeforeTheVenueEndsThem) {
  Talking s;
  s.opened(1, kSpotSocket, 0s);
  EXPECT_TRUE(s.tick(23h).opens.empty());
  EXPECT_EQ(s.tick(23h + 51min).opens.size(), 1u);
}

TEST(Session, TheOldConnectionMayEndBeforeItsReplacementIsUp) {
  Talking s;
  s.opened(1, kSpotSocket, 0s);
  s.text(1, answer(1), 100ms);
  s.text(1, fixture("spot_ws_shutdown.json"), 1s);
  s.closed(1, 1100ms);
  EXPECT_EQ(s.opened(2, kSpotSocket, 1200ms).frames.size(), 1u);
  EXPECT_TRUE(s.out.closes.empty());
  EXPECT_EQ(s.opened(3, kSpotSocket, 1300ms).closes.size(), 1u) << "one is enough";
}

TEST(Session, UnknownInstrumentsAndUnreadableFramesAreRejectedWithTheirText) {
  Talking s;
  s.opened(1, kSpotSocket, 0s);
  s.text(1, agg_trade(1, 10, "NOPEUSDT"), 10ms);
  s.text(1, "{\"e\":", 20ms);
  s.text(1, R"({"e":"aggTrade","s":"BTCUSDT","a":1})", 30ms);
  const auto rejected = only<Rejected>(s.all);
  ASSERT_EQ(rejected.size(), 3u);
  EXPECT_EQ(rejected[0].reason, "instrument 'NOPEUSDT' is not in the catalogue");
  EXPECT_EQ(rejected[0].raw, agg_trade(1, 10, "NOPEUSDT"));
  EXPECT_EQ(rejected[1].raw, "{\"e\":");
  EXPECT_THAT(rejected[2].reason, HasSubstr("missing field: aggTrade."));
  EXPECT_EQ(rejected[2].market_type, MarketType::spot);
}

TEST(Session, LiveEventsFarFromTheirReceiveTimeAreRejected) {
  Talking s;
  s.text(1, agg_trade(1, 0), 23h + 59min);
  EXPECT_EQ(only<Trade>(s.out.events).size(), 1u);
  s.text(1, agg_trade(2, 0), 24h + 1s);
  ASSERT_EQ(only<Rejected>(s.out.events).size(), 1u);
  EXPECT_THAT(only<Rejected>(s.out.events)[0].reason, HasSubstr("more than 24 h"));
  s.text(1, agg_trade(3, 86'400'000), 24h + 2s);
  EXPECT_TRUE(only<Gap>(s.all).empty()) << "a rejected trade is not a missing one";
  auto options = options_for("spot");
  options.max_clock_distance = 0h;
  Script replay(options);
  replay.rest(kSpotInfoUrl, fixture("spot_rest_exchange_info.json"), 0s);
  replay.text(1, agg_trade(1, 0), 1000h);
  EXPECT_EQ(only<Trade>(replay.all).size(), 1u);
}

TEST(Session, TradesOfBothSeriesAreTrackedApart) {
  Script s(options_for("derivatives"));
  s.rest(kUsdmInfoUrl, fixture("usdm_rest_exchange_info.json"), 0s);
  for (const auto* name :
       {"usdm_ws_agg_trade.json", "usdm_ws_trade.json", "usdm_ws_trade_na.json", "usdm_ws_coin_margined.json"})
    s.text(1, fixture(name), 1s);
  auto next = fixture("usdm_ws_trade.json");
  next.replace(next.find("6100000004"), 10, "6100000006");
  s.text(1, next, 2s);
  EXPECT_EQ(only<Trade>(s.all).size(), 3u);
  EXPECT_TRUE(only<Gap>(s.all).empty()) << "the id of the NA row is used up, not missing";
  EXPECT_TRUE(only<Rejected>(s.all).empty());
  EXPECT_EQ(s.session->counters().unmapped, (std::vector<std::pair<std::string, std::uint64_t>>{{"COIN-M (st 2)", 1}}));
}

TEST(Session, ATradeGapHasItsCause) {
  Talking s;
  s.opened(1, kSpotSocket, 0s);
  s.text(1, agg_trade(10, 100), 100ms);
  s.text(1, agg_trade(12, 200), 200ms);
  s.closed(1, 300ms);
  s.opened(2, kSpotSocket, 400ms);
  s.text(2, agg_trade(13, 500), 500ms);
  s.closed(2, 600ms);
  s.opened(3, kSpotSocket, 700ms);
  s.text(3, agg_trade(20, 800), 800ms);
  s.begin(900ms);
  s.text(4, agg_trade(30, 1000), 1000ms);
  const auto gaps = only<Gap>(s.all);
  ASSERT_EQ(gaps.size(), 3u);
  EXPECT_EQ(gaps[0].cause, GapCause::sequence);
  EXPECT_EQ(gaps[1].cause, GapCause::disconnected);
  EXPECT_EQ(gaps[1].gap_start, kStart + 500ms);
  EXPECT_EQ(gaps[1].gap_end, kStart + 800ms);
  EXPECT_EQ(gaps[1].last_id, "13");
  EXPECT_EQ(gaps[1].next_id, "20");
  EXPECT_EQ(gaps[2].cause, GapCause::collector_down);
}

// Which address each REST fixture answers.
std::string url_of(const std::string& name) {
  const std::string fapi = "https://fapi.binance.com/fapi/v1/";
  const std::string data = "https://fapi.binance.com/futures/data/";
  const std::string ratio = "?symbol=BTCUSDT&period=5m&limit=2";
  static const std::map<std::string, std::string> urls{
      {"spot_rest_exchange_info.json", kSpotInfoUrl},
      {"spot_rest_depth.json", kSpotDepthUrl},
      {"usdm_rest_exchange_info.json", kUsdmInfoUrl},
      {"usdm_rest_depth.json", kUsdmDepthUrl},
      {"usdm_rest_funding_info.json", fapi + "fundingInfo"},
      {"usdm_rest_funding_rate.json", fapi + "fundingRate?symbol=BTCUSDT&limit=2"},
      {"usdm_rest_premium_index.json", fapi + "premiumIndex?symbol=1000SHIBUSDT"},
      {"usdm_rest_premium_index_all.json", fapi + "premiumIndex"},
      {"usdm_rest_open_interest.json", fapi + "openInterest?symbol=BTCUSDT"},
      {"usdm_rest_top_position_ratio.json", data + "topLongShortPositionRatio" + ratio},
      {"usdm_rest_all_account_ratio.json", data + "globalLongShortAccountRatio" + ratio},
      {"usdm_rest_top_account_ratio.json", data + "topLongShortAccountRatio" + ratio}};
  return urls.at(name);
}

struct Feed {
  std::string market;
  std::vector<std::string> names;
};
const std::vector<Feed>& feeds() {
  static const std::vector<Feed> all{
      {"spot",
       {"spot_rest_exchange_info.json", "spot_ws_agg_trade.json", "spot_ws_trade.json", "spot_ws_trade_us.json",
        "spot_ws_depth_update.json", "spot_ws_book_ticker.json", "spot_ws_partial_depth.json", "spot_rest_depth.json"}},
      {"derivatives",
       {"usdm_rest_exchange_info.json",
        "usdm_ws_agg_trade.json",
        "usdm_ws_trade.json",
        "usdm_ws_trade_na.json",
        "usdm_ws_depth_update.json",
        "usdm_ws_partial_depth.json",
        "usdm_ws_coin_margined.json",
        "usdm_ws_mark_price.json",
        "usdm_rest_depth.json",
        "usdm_rest_funding_info.json",
        "usdm_ws_mark_price_delivery.json",
        "usdm_ws_mark_price_all.json",
        "usdm_rest_premium_index.json",
        "usdm_rest_premium_index_all.json",
        "usdm_rest_funding_rate.json",
        "usdm_rest_funding_rate.json",
        "usdm_rest_open_interest.json",
        "usdm_rest_open_interest.json",
        "usdm_ws_force_order.json",
        "usdm_ws_force_order.json",
        "usdm_ws_force_order_all.json",
        "usdm_ws_force_order_coin_margined.json",
        "usdm_rest_top_position_ratio.json",
        "usdm_rest_top_position_ratio.json",
        "usdm_rest_all_account_ratio.json",
        "usdm_rest_top_account_ratio.json"}}};
  return all;
}

SessionOptions offline(const std::string& market) {
  auto options = options_for(market);
  options.min_interval = 0ms;  // as normalize
  options.max_clock_distance = 0h;
  return options;
}

void feed_fixture(Script& script, const Feed& feed, std::size_t n) {
  const auto at = std::chrono::milliseconds(n);
  const auto& name = feed.names[n];
  if (name.find("_rest_") == std::string::npos)
    script.text(1, fixture(name), at);
  else
    script.rest(url_of(name), fixture(name), at);
}

TEST(Session, GoldenEventsOfAllFixtures) {
  std::string got;
  for (const auto& feed : feeds()) {
    Script s(offline(feed.market));
    for (std::size_t n = 0; n < feed.names.size(); ++n) feed_fixture(s, feed, n);
    EXPECT_TRUE(only<Rejected>(s.all).empty()) << json(s.all);
    EXPECT_TRUE(only<Gap>(s.all).empty());
    EXPECT_TRUE(s.session->counters().unknown.empty()) << s.session->counters().unknown[0].first;
    got += s.events;
  }
  const auto path = std::string(MP_SOURCE_DIR) + "/src/exchanges/binance/fixtures/events.jsonl";
  if (std::getenv("MP_WRITE_GOLDEN")) std::ofstream(path, std::ios::binary) << got;
  EXPECT_EQ(got, read_file(path));
}

TEST(Session, ARunOverManyCheckpointsIsTheSameRun) {
  for (const auto& feed : feeds()) {
    Script whole(offline(feed.market));
    Script hopping(offline(feed.market));
    for (std::size_t n = 0; n < feed.names.size(); ++n) {
      feed_fixture(whole, feed, n);
      std::string saved, again;
      hopping.session->save(saved);
      auto fresh = make_binance().make_session(offline(feed.market));
      ASSERT_TRUE(fresh->restore(saved)) << feed.names[n];
      fresh->save(again);
      ASSERT_EQ(again, saved) << feed.names[n];
      for (std::size_t cut = 0; cut < saved.size(); cut += 1 + saved.size() / 50)
        ASSERT_FALSE(
            make_binance().make_session(offline(feed.market))->restore(std::string_view(saved).substr(0, cut)));
      hopping.session = std::move(fresh);
      feed_fixture(hopping, feed, n);
    }
    EXPECT_EQ(hopping.events, whole.events);
  }
}

// ---- another configuration while it runs ----------------------------------------------------------------------

std::vector<std::pair<std::string, std::string>> ends(const std::vector<MarketEvent>& events) {
  std::vector<std::pair<std::string, std::string>> out;
  for (const auto& gap : only<Gap>(events)) {
    EXPECT_EQ(gap.cause, GapCause::end) << json(MarketEvent(gap));
    out.emplace_back(gap.meta.instrument->symbol, to_string(gap.data_type));
  }
  return out;
}

TEST(Reconfigure, SubscribesAndUnsubscribesOverTheSameConnectionAndTouchesNothingElse) {
  Talking s({"BTC-USDT", "ETH-BTC"});
  s.opened(5, kSpotSocket, 200ms);
  s.text(5, answer(1), 300ms);
  s.text(5, agg_trade(1, 400), 400ms);
  s.text(5, agg_trade(1, 401, "ETHBTC"), 401ms);
  const auto before = s.all.size();

  auto other = options_for("spot", {"BTC-USDT"});
  s.out.clear();
  s.session->reconfigure(other, s.at(500ms), s.out);
  EXPECT_THAT(ends(s.out.events), testing::UnorderedElementsAre(testing::Pair("ETH-BTC", "trade"),
                                                                testing::Pair("ETH-BTC", "orderbook_delta")));
  EXPECT_TRUE(s.out.opens.empty());
  EXPECT_TRUE(s.out.closes.empty());
  std::string frames;
  for (const auto& frame : s.out.frames) frames += frame.text;
  auto& later = s.tick(2s);
  for (const auto& frame : later.frames) frames += frame.text;
  EXPECT_THAT(frames, HasSubstr(R"("method":"UNSUBSCRIBE")"));
  EXPECT_THAT(frames, HasSubstr("ethbtc@depth@100ms"));
  EXPECT_THAT(frames, testing::Not(HasSubstr("btcusdt")));

  s.text(5, agg_trade(2, 2100, "ETHBTC"), 2100ms);
  EXPECT_TRUE(s.out.events.empty()) << "its series has ended";
  s.text(5, agg_trade(2, 2200), 2200ms);
  EXPECT_EQ(only<Trade>(s.out.events).size(), 1u);
  EXPECT_TRUE(only<Gap>(s.out.events).empty());

  // Back again: from anew, without a hole where nobody was listening.
  s.out.clear();
  s.session->reconfigure(options_for("spot", {"BTC-USDT", "ETH-BTC"}), s.at(3s), s.out);
  EXPECT_TRUE(s.out.events.empty());
  s.rest(kSpotInfoUrl, fixture("spot_rest_exchange_info.json"), 3100ms);
  s.text(5, agg_trade(90, 4000, "ETHBTC"), 4000ms);
  EXPECT_EQ(only<Trade>(s.out.events).size(), 1u);
  EXPECT_TRUE(only<Gap>(s.out.events).empty());
  EXPECT_GT(s.all.size(), before);
}

TEST(Reconfigure, ANameThatTheVenueDoesNotHaveIsToldAndEndsNothing) {
  Talking s({"BTC-USDT"});
  s.opened(5, kSpotSocket, 200ms);
  s.out.clear();
  s.session->reconfigure(options_for("spot", {"BTC-USDT", "BTC-USDX"}), s.at(1s), s.out);
  auto asked = s.out.requests;
  s.rest(kSpotInfoUrl, fixture("spot_rest_exchange_info.json"), 2s);
  EXPECT_FALSE(s.out.refusal);
  EXPECT_THAT(messages(s.out), testing::Contains(HasSubstr("BTC-USDX")));
  EXPECT_EQ(asked.size(), 1u) << "the list is read again at once";
}

TEST(Reconfigure, ADataTypeThatIsLeftOutEndsForAllSymbols) {
  Talking s({"BTC-USDT", "ETH-BTC"});
  s.opened(5, kSpotSocket, 200ms);
  auto other = options_for("spot", {"BTC-USDT", "ETH-BTC"});
  other.data_types = {DataType::trade};
  s.out.clear();
  s.session->reconfigure(other, s.at(1s), s.out);
  EXPECT_THAT(ends(s.out.events), testing::UnorderedElementsAre(testing::Pair("BTC-USDT", "orderbook_delta"),
                                                                testing::Pair("ETH-BTC", "orderbook_delta")));
  s.text(5, spot_update(101, 105, 1100), 1100ms);
  EXPECT_TRUE(s.out.events.empty());
  EXPECT_TRUE(s.out.requests.empty()) << "no snapshot for a book that nobody wants";
}

// What it publishes afterwards follows from its state alone: continued from a checkpoint anywhere it is the same.
TEST(Reconfigure, GoesOnTheSameFromACheckpoint) {
  const auto play = [](int restart_after) {
    auto options = options_for("spot", {"BTC-USDT", "ETH-BTC"});
    options.conversing = false;
    auto one = options;
    one.symbols = Selection{"ETH-BTC"};
    one.book_series = {{5, 100ms}};
    auto session = make_binance().make_session(options);
    std::string events;
    int number = 0;
    const auto step = [&](auto call) {
      if (number++ == restart_after) {
        std::string state;
        session->save(state);
        session = make_binance().make_session(options);
        EXPECT_TRUE(session->restore(state));
      }
      Outbox out;
      call(out);
      events += json(out.events);
    };
    const auto text = [&](const std::string& frame, int ms) {
      step([&](Outbox& out) { session->text(5, Padded(frame).view(), {kStart + ms * 1ms, {}}, out); });
    };
    step([&](Outbox& out) {
      session->rest({kSpotInfoUrl, 200, Padded(fixture("spot_rest_exchange_info.json")).view()}, {kStart, {}}, out);
    });
    text(agg_trade(1, 1), 1);
    text(agg_trade(1, 2, "ETHBTC"), 2);
    text(spot_update(101, 105, 3, "ETHBTC"), 3);
    step([&](Outbox& out) {
      options = one;
      session->reconfigure(one, {kStart + 10ms, {}}, out);
    });
    text(agg_trade(2, 11), 11);
    text(agg_trade(2, 12, "ETHBTC"), 12);
    step([&](Outbox& out) {
      session->rest(
          {"https://api.binance.com/api/v3/depth?symbol=ETHBTC&limit=1000", 200, Padded(depth_reply(104)).view()},
          {kStart + 13ms, {}}, out);
    });
    text(spot_update(106, 107, 14, "ETHBTC"), 14);
    step([&](Outbox& out) { session->flush({kStart + 500ms, {}}, out); });
    return events;
  };
  const auto whole = play(-1);
  EXPECT_THAT(whole, HasSubstr(R"("cause":"end")"));
  EXPECT_THAT(whole, HasSubstr(R"("type":"orderbook",)"));
  for (int at = 0; at <= 9; ++at) EXPECT_EQ(play(at), whole) << at;
}

}  // namespace
}  // namespace mp::binance
