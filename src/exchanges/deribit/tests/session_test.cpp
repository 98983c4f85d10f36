// The session as the driver sees it: fixtures to events, scripts of a conversation, checkpoints.
#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <set>

#include "support.hpp"

namespace mp::deribit {
namespace {

// ---- what is published ----------------------------------------------------------------------------------------

TEST(Session, GoldenEventsOfAllFixtures) {
  Script script(options_for());
  script.rest(kInstrumentsUrl, fixture("rest_instruments.json"), 0s);
  for (const auto& name : frame_fixtures())
    if (name.find("_old_") == std::string::npos) script.text(1, fixture(name), 1s);
  script.rest(rest_url("get_volatility_index_data?currency=BTC&resolution=60"), fixture("rest_volatility_history.json"),
              5s);
  script.rest(rest_url("get_funding_rate_history?instrument_name=BTC-PERPETUAL"), fixture("rest_funding_history.json"),
              5s);
  script.rest(rest_url("get_book_summary_by_currency?currency=BTC"), fixture("rest_book_summary.json"), 5s);
  const auto path = std::string(MP_SOURCE_DIR) + "/src/exchanges/deribit/fixtures/events.jsonl";
  if (std::getenv("MP_WRITE_GOLDEN")) std::ofstream(path, std::ios::binary) << script.events;
  EXPECT_EQ(script.events, read_file(path));
  EXPECT_TRUE(only<Rejected>(script.all).empty());
  EXPECT_TRUE(only<Gap>(script.all).empty());
}

struct Known : testing::Test {
  Known() : script(options_for()) { script.rest(kInstrumentsUrl, fixture("rest_instruments.json"), 0s); }
  Script script;
};

TEST_F(Known, BooksOf2019WithoutType) {
  script.text(1, fixture("ws_book_old_snapshot.json"), 1s);
  script.text(1, fixture("ws_book_old_change.json"), 1s);
  const auto deltas = only<OrderBookDelta>(script.all);
  ASSERT_EQ(deltas.size(), 2u);
  EXPECT_TRUE(deltas[0].is_snapshot);
  EXPECT_FALSE(deltas[1].is_snapshot);
  EXPECT_EQ(deltas[1].quantity_unit, QuantityUnit::quote);
}

TEST_F(Known, ABreakInTheChainIsAGapAndNothingIsPublishedUntilTheNextSnapshot) {
  script.text(1, book_snapshot(10, 0), 1s);
  script.text(1, book_change(10, 14, 10), 1s);
  script.text(1, book_change(17, 19, 20), 1s);
  auto gaps = only<Gap>(script.all);
  ASSERT_EQ(gaps.size(), 1u);
  EXPECT_EQ(gaps[0].cause, GapCause::sequence);
  EXPECT_EQ(gaps[0].last_id, "14");
  script.text(1, book_change(19, 21, 30), 1s);
  EXPECT_EQ(only<OrderBookDelta>(script.all).size(), 2u);
  std::vector<OrderBook> books;
  script.session->books(0, books);
  EXPECT_TRUE(books.empty());
  script.text(1, book_snapshot(30, 40), 2s);
  script.text(1, book_change(30, 31, 50), 2s);
  EXPECT_EQ(only<OrderBookDelta>(script.all).size(), 4u);
  script.session->books(0, books);
  EXPECT_EQ(books.size(), 1u);
}

TEST_F(Known, ATradeThatIsMissingIsAGapAndARepeatedOneIsDropped) {
  script.text(1, trade(100, 0), 1s);
  script.text(1, trade(101, 1), 1s);
  script.text(1, trade(101, 1), 1s);
  script.text(1, trade(104, 2), 1s);
  EXPECT_EQ(only<Trade>(script.all).size(), 3u);
  const auto gaps = only<Gap>(script.all);
  ASSERT_EQ(gaps.size(), 2u);
  EXPECT_EQ(gaps[0].data_type, DataType::trade);
  EXPECT_EQ(gaps[1].data_type, DataType::liquidation) << "they are marked in the trades";
  for (const auto& gap : gaps) {
    EXPECT_EQ(gap.last_id, "101");
    EXPECT_EQ(gap.next_id, "104");
  }
  EXPECT_EQ(script.session->counters().duplicates, 1u);
}

TEST_F(Known, ALiquidationIsOnTheSideOfTheOneWhoWasLiquidated) {
  script.text(1, fixture("ws_trades.json"), 1s);
  std::vector<std::string> sides;
  for (const auto& each : only<Liquidation>(script.all)) {
    sides.emplace_back(to_string(each.side));
    EXPECT_EQ(each.coverage, Coverage::complete);
    EXPECT_EQ(each.quantity_unit, QuantityUnit::quote);
  }
  // T of a sell, M of a sell, MT of a buy.
  EXPECT_EQ(sides, (std::vector<std::string>{"sell", "buy", "buy", "sell"}));
  script.text(1, fixture("ws_trades.json"), 1s);
  EXPECT_EQ(only<Liquidation>(script.all).size(), 4u) << "what is repeated appears once";
  EXPECT_EQ(only<Trade>(script.all).size(), 4u);
}

TEST_F(Known, ALiquidationFlagThatIsNewIsRefusedAndItsTradeIsTold) {
  script.text(1, trade(100, 0, R"(,"liquidation":"X")"), 1s);
  EXPECT_EQ(only<Trade>(script.all).size(), 1u);
  EXPECT_TRUE(only<Liquidation>(script.all).empty());
  const auto rejected = only<Rejected>(script.all);
  ASSERT_EQ(rejected.size(), 1u);
  EXPECT_EQ(rejected[0].data_type, DataType::liquidation);
  EXPECT_EQ(rejected[0].reason, "bad value: trades.liquidation: X");
}

TEST_F(Known, BlockTradesAndLegsOfCombosAreToldApart) {
  script.text(1, fixture("ws_trades_option.json"), 1s);
  script.text(1, fixture("ws_trades_combo.json"), 1s);
  script.text(1, fixture("ws_trades_combo_leg.json"), 1s);
  std::vector<std::string> executions;
  for (const auto& each : only<Trade>(script.all)) executions.emplace_back(to_string(each.execution));
  EXPECT_EQ(executions, (std::vector<std::string>{"book", "block", "combo"})) << "a combo's own trade is its legs";
  const auto unmapped = script.session->counters().unmapped;
  EXPECT_NE(
      std::ranges::find(unmapped, std::pair<std::string, std::uint64_t>{"trades of combos (their legs are told)", 1}),
      unmapped.end());
}

TEST_F(Known, AnUnknownInstrumentIsRejectedByNameOncePerFrame) {
  script.text(1, book_snapshot(1, 0, "DOGE_USDC-PERPETUAL"), 1s);
  const auto rejected = only<Rejected>(script.all);
  ASSERT_EQ(rejected.size(), 1u);
  EXPECT_NE(rejected[0].reason.find("DOGE_USDC-PERPETUAL"), std::string::npos);
}

TEST_F(Known, FundingOfPerpetualsOnlyAndOpenInterestInItsUnit) {
  script.text(1, fixture("ws_ticker_perpetual.json"), 1s);
  script.text(1, fixture("ws_ticker_option.json"), 1s);
  const auto funding = only<FundingRate>(script.all);
  ASSERT_EQ(funding.size(), 1u);
  EXPECT_EQ(funding[0].funding_rate.value.text(), "-0.0000125");
  EXPECT_EQ(funding[0].funding_interval_hours->text(), "8");
  EXPECT_FALSE(funding[0].funding_time);
  EXPECT_FALSE(funding[0].next_funding_time);
  const auto interest = only<OpenInterest>(script.all);
  ASSERT_EQ(interest.size(), 2u);
  EXPECT_EQ(interest[0].quantity_unit, QuantityUnit::quote);
  EXPECT_EQ(interest[1].quantity_unit, QuantityUnit::base);
}

TEST_F(Known, APolledHistoryIsWrittenOnceAndItsUnfinishedBarNotYet) {
  const auto volatility = rest_url("get_volatility_index_data?currency=BTC&resolution=60");
  script.rest(volatility, fixture("rest_volatility_history.json"), 0s);
  EXPECT_EQ(only<VolatilityIndex>(script.all).size(), 1u) << "the bar of the last minute still moves";
  script.rest(volatility, fixture("rest_volatility_history.json"), 60s);
  script.rest(volatility, fixture("rest_volatility_history.json"), 61s);
  EXPECT_EQ(only<VolatilityIndex>(script.all).size(), 2u);
  const auto funding = rest_url("get_funding_rate_history?instrument_name=BTC-PERPETUAL");
  script.rest(funding, fixture("rest_funding_history.json"), 1s);
  script.rest(funding, fixture("rest_funding_history.json"), 2s);
  const auto rates = only<FundingRate>(script.all);
  ASSERT_EQ(rates.size(), 2u);
  EXPECT_LT(rates[0].meta.timestamp, rates[1].meta.timestamp) << "oldest first, whatever order they came in";
  EXPECT_TRUE(rates[0].is_settled);
}

TEST_F(Known, AChangedStateIsANewDefinition) {
  script.all.clear();
  script.text(1, fixture("ws_instrument_state.json"), 1s);
  const auto instruments = only<Instrument>(script.all);
  ASSERT_EQ(instruments.size(), 1u);
  EXPECT_EQ(instruments[0].status, "locked");
  script.text(1, fixture("ws_instrument_state.json"), 1s);
  EXPECT_EQ(only<Instrument>(script.all).size(), 1u);
}

TEST_F(Known, AStateThatIsNewBecomesUnknownWithOneWarning) {
  auto frame = fixture("ws_instrument_state.json");
  frame.replace(frame.find("\"locked\""), 8, "\"dormant\"");
  script.all.clear();
  const auto& out = script.text(1, frame, 1s);
  ASSERT_EQ(only<Instrument>(script.all).size(), 1u);
  EXPECT_EQ(only<Instrument>(script.all)[0].status, "unknown");
  ASSERT_EQ(out.notices.size(), 1u);
  EXPECT_NE(out.notices[0].detail.find("instrument.state.state value=dormant"), std::string::npos);
  EXPECT_TRUE(script.text(1, frame, 2s).notices.empty());
  auto list = fixture("rest_instruments.json");
  list.replace(list.find("\"state\":\"open\""), 14, "\"state\":\"dozing\"");
  EXPECT_EQ(script.rest(kInstrumentsUrl, list, 3s).notices.size(), 1u);
  EXPECT_TRUE(std::ranges::any_of(only<Instrument>(script.all), [](const Instrument& each) {
    return each.meta.instrument->instrument == "BTC-PERPETUAL" && each.status == "unknown";
  }));
}

TEST_F(Known, NewFieldsAreCountedAndToldOnce) {
  const auto frame =
      notification("deribit_volatility_index.btc_usd",
                   R"({"volatility":47.3,"timestamp":1790000000000,"index_name":"btc_usd","mood":"calm"})");
  EXPECT_EQ(script.text(1, frame, 1s).notices.size(), 1u);
  EXPECT_TRUE(script.text(1, frame, 1s).notices.empty());
  EXPECT_EQ(only<VolatilityIndex>(script.all).size(), 2u);
  const auto unknown = script.session->counters().unknown;
  ASSERT_EQ(unknown.size(), 1u);
  EXPECT_NE(unknown[0].first.find("deribit_volatility_index.mood"), std::string::npos);
  EXPECT_EQ(unknown[0].second, 2u);
}

TEST(Session, ALiveEventFarFromItsReceiveTimeIsRejected) {
  auto options = options_for();
  options.max_clock_distance = 24h;
  Script script(options);
  script.rest(kInstrumentsUrl, fixture("rest_instruments.json"), 0s);
  script.text(1, trade(100, 0), 25h);
  EXPECT_TRUE(only<Trade>(script.all).empty());
  EXPECT_EQ(only<Rejected>(script.all).size(), 1u);
}

TEST(Session, UrlsOfTheVenue) {
  const auto exchange = make_deribit();
  EXPECT_EQ(exchange.market_of_url("wss://www.deribit.com/ws/api/v2"), "");
  EXPECT_EQ(exchange.market_of_url("https://test.deribit.com/api/v2/public/get_time"), "");
  EXPECT_FALSE(exchange.market_of_url("wss://ws.okx.com:8443/ws/v5/public"));
  EXPECT_FALSE(exchange.market_of_url("deribit"));
  SessionOptions options;
  options.source = {"deribit", "spot"};
  EXPECT_EQ(exchange.make_session(options), nullptr);
}

// ---- the conversation -----------------------------------------------------------------------------------------

bool sends(const Outbox& out, std::string_view text) {
  return std::ranges::any_of(out.frames,
                             [&](const SendFrame& each) { return each.text.find(text) != std::string::npos; });
}

// The id of the request in the frame that holds `text`.
std::string id_of(const Outbox& out, std::string_view text) {
  for (const auto& each : out.frames) {
    if (each.text.find(text) == std::string::npos) continue;
    const auto from = each.text.find("\"id\":") + 5;
    return each.text.substr(from, each.text.find(',', from) - from);
  }
  ADD_FAILURE() << "no frame with " << text;
  return "0";
}

std::string names_in(const Outbox& out, std::string_view text) {
  for (const auto& each : out.frames)
    if (each.text.find(text) != std::string::npos) {
      const auto from = each.text.find('[');
      return each.text.substr(from, each.text.find(']') - from + 1);
    }
  return "[]";
}

std::string answer(const std::string& id, const std::string& result) {
  return R"({"jsonrpc":"2.0","id":)" + id + R"(,"result":)" + result +
         R"(,"usIn":1,"usOut":2,"usDiff":1,"testnet":false})";
}

// A session that has its list and one open connection, everything subscribed.
struct Talking {
  explicit Talking(SessionOptions options = options_for({"BTC-PERPETUAL"})) : script(options) {
    script.begin(0s);
    script.tick(100ms);
    script.rest(kInstrumentsUrl, fixture("rest_instruments.json"), 200ms);
    script.opened(1, kSocketUrl, 300ms);
    collect();
  }
  // Runs the clock and answers every subscription with all its names.
  void collect() {
    for (auto t = 300ms; t < 5s; t += 100ms) {
      const auto sent = script.out.frames;
      for (const auto& frame : sent) {
        all_sent.push_back(frame);
        if (frame.text.find("subscribe\"") == std::string::npos) continue;
        Outbox one;
        one.frames.push_back(frame);
        script.text(1, answer(id_of(one, "subscribe"), names_in(one, "subscribe")), t);
      }
      script.tick(t);
    }
  }
  bool sent(std::string_view text) const {
    return std::ranges::any_of(all_sent,
                               [&](const SendFrame& each) { return each.text.find(text) != std::string::npos; });
  }
  Script script;
  std::vector<SendFrame> all_sent;
};

TEST(Conversation, AsksForTheListThenSubscribesWithAHeartbeat) {
  Script script(options_for({"BTC-USD"}));
  const auto opens = script.begin(0s).opens;
  ASSERT_EQ(opens.size(), 1u);
  EXPECT_EQ(opens[0].url, kSocketUrl);
  const auto requests = script.tick(1s).requests;
  EXPECT_TRUE(std::ranges::any_of(requests, [](const RestRequest& each) { return each.url == kInstrumentsUrl; }));
  const auto& out = script.opened(1, kSocketUrl, 2s);
  EXPECT_TRUE(sends(out, R"("method":"public/set_heartbeat","params":{"interval":30})"));
}

TEST(Conversation, ManyChannelsGoInOneRequest) {
  Talking talking;
  EXPECT_TRUE(talking.sent("\"book.BTC-PERPETUAL.100ms\""));
  EXPECT_TRUE(talking.sent("\"trades.BTC-PERPETUAL.100ms\""));
  EXPECT_TRUE(talking.sent("\"ticker.BTC-PERPETUAL.100ms\""));
  EXPECT_TRUE(talking.sent("\"instrument.state.any.any\""));
  EXPECT_TRUE(talking.sent("\"deribit_volatility_index.btc_usd\""));
  EXPECT_FALSE(talking.sent("XRP_USDC"));
  const auto requests = std::ranges::count_if(
      talking.all_sent, [](const SendFrame& each) { return each.text.find("public/subscribe") != std::string::npos; });
  EXPECT_LE(requests, 3);
}

TEST(Conversation, ATestRequestIsAnsweredAtOnce) {
  Talking talking;
  const auto& out = talking.script.text(1, fixture("ws_test_request.json"), 6s);
  ASSERT_EQ(out.frames.size(), 1u);
  EXPECT_EQ(out.frames[0].connection, 1u);
  EXPECT_NE(out.frames[0].text.find("\"public/test\""), std::string::npos);
  EXPECT_TRUE(talking.script.text(1, fixture("ws_heartbeat.json"), 6s).frames.empty());
}

TEST(Conversation, AChannelThatTheAnswerLacksIsRefusedByName) {
  Script script(options_for({"BTC-PERPETUAL"}));
  script.begin(0s);
  script.tick(100ms);
  script.rest(kInstrumentsUrl, fixture("rest_instruments.json"), 200ms);
  script.opened(1, kSocketUrl, 300ms);
  Outbox request;
  for (auto t = 300ms; t < 3s; t += 100ms) {
    for (const auto& frame : script.out.frames)
      if (frame.text.find("book.BTC-PERPETUAL") != std::string::npos) request.frames.push_back(frame);
    script.tick(t);
  }
  ASSERT_EQ(request.frames.size(), 1u);
  auto names = names_in(request, "subscribe");
  const std::string missing = "\"book.BTC-PERPETUAL.100ms\"";
  const auto where = names.find(missing);
  names.erase(where, missing.size() + (names[where + missing.size()] == ',' ? 1 : 0));
  if (names.ends_with(",]")) names.erase(names.size() - 2, 1);
  const auto& out = script.text(1, answer(id_of(request, "subscribe"), names), 3s);
  ASSERT_FALSE(out.notices.empty());
  EXPECT_NE((out.notices[0].message + out.notices[0].detail).find("book.BTC-PERPETUAL.100ms"), std::string::npos);
  std::vector<StreamStatus> status;
  script.session->describe(status);
  const auto book = std::ranges::find(status, DataType::orderbook_delta, &StreamStatus::data_type);
  ASSERT_NE(book, status.end());
  EXPECT_EQ(book->state, StreamState::refused);
}

TEST(Conversation, ABrokenBookIsUnsubscribedAndSubscribedAgain) {
  Talking talking;
  auto& script = talking.script;
  script.text(1, book_snapshot(10, 0), 6s);
  EXPECT_TRUE(script.text(1, book_change(10, 11, 1), 6s).frames.empty());
  script.text(1, book_change(13, 14, 2), 7s);
  Outbox seen;
  for (auto t = 7s; t < 9s && seen.frames.empty(); t += 1s) {
    for (const auto& frame : script.out.frames) seen.frames.push_back(frame);
    script.tick(t);
  }
  ASSERT_TRUE(sends(seen, "public/unsubscribe"));
  EXPECT_FALSE(sends(seen, "public/subscribe")) << "first the answer";
  EXPECT_EQ(names_in(seen, "unsubscribe"), "[\"book.BTC-PERPETUAL.100ms\"]") << "that book alone";
  script.text(1, answer(id_of(seen, "unsubscribe"), "[\"book.BTC-PERPETUAL.100ms\"]"), 9s);
  bool again = false;
  for (auto t = 9s; t < 12s; t += 1s) {
    again = again || sends(script.out, "public/subscribe");
    script.tick(t);
  }
  EXPECT_TRUE(again);
  script.text(1, book_snapshot(20, 10), 12s);
  std::vector<OrderBook> books;
  script.session->books(0, books);
  EXPECT_EQ(books.size(), 1u);
  EXPECT_EQ(script.session->counters().resyncs, 1u);
}

TEST(Conversation, RawNeedsALoginWhoseSecretIsNotJournalled) {
  auto options = options_for({"BTC-PERPETUAL"});
  options.credentials = {{"client_id", "some-id"}, {"client_secret", "hush"}};
  Talking talking(options);
  ASSERT_TRUE(talking.sent("public/auth"));
  const auto login = std::ranges::find_if(
      talking.all_sent, [](const SendFrame& each) { return each.text.find("public/auth") != std::string::npos; });
  EXPECT_EQ(login, talking.all_sent.begin()) << "before the first subscription";
  EXPECT_NE(login->text.find("hush"), std::string::npos);
  ASSERT_FALSE(login->recorded_as.empty());
  EXPECT_EQ(login->recorded_as.find("hush"), std::string::npos);
  EXPECT_TRUE(talking.sent("private/subscribe"));
  EXPECT_TRUE(talking.sent("\"book.BTC-PERPETUAL.raw\""));
  EXPECT_TRUE(talking.sent("\"ticker.BTC-PERPETUAL.100ms\""));
}

TEST(Conversation, ALoginIsRenewedBeforeItEnds) {
  auto options = options_for({"BTC-PERPETUAL"});
  options.credentials = {{"client_id", "some-id"}, {"client_secret", "hush"}};
  Script script(options);
  script.begin(0s);
  const auto id = id_of(script.opened(1, kSocketUrl, 1s), "public/auth");
  auto granted = fixture("ws_auth.json");
  granted.replace(granted.find("\"id\":4"), 6, "\"id\":" + id);
  script.text(1, granted, 2s);
  bool early = false;
  for (auto t = 3s; t < 700s; t += 10s) early = early || sends(script.tick(t), "public/auth");
  EXPECT_FALSE(early);
  bool renewed = false;
  for (auto t = 700s; t < 900s; t += 10s) renewed = renewed || sends(script.tick(t), "public/auth");
  EXPECT_TRUE(renewed);
}

TEST(Conversation, OlderPagesOfTheVolatilityHistoryAreAskedForUntilThereAreNone) {
  Script script(options_for({"BTC-PERPETUAL"}));
  script.begin(0s);
  std::string asked;
  for (auto t = 0s; t < 30s && asked.empty(); t += 1s)
    for (const auto& request : script.tick(t).requests)
      if (request.url.find("get_volatility_index_data?currency=BTC") != std::string::npos) asked = request.url;
  ASSERT_FALSE(asked.empty());
  EXPECT_NE(asked.find("resolution=60"), std::string::npos);
  script.rest(asked, fixture("rest_volatility_history.json"), 40s);
  std::string older;
  for (auto t = 40s; t < 50s && older.empty(); t += 1s)
    for (const auto& request : script.tick(t).requests)
      if (request.url.find("end_timestamp=1789999860000") != std::string::npos) older = request.url;
  ASSERT_FALSE(older.empty()) << "the continuation is the next page's end";
  script.rest(older, R"({"result":{"data":[[1789999800000,46.1,46.9,45.8,46.36]],"continuation":null}})", 51s);
  EXPECT_EQ(only<VolatilityIndex>(script.all).size(), 3u);
  for (auto t = 52s; t < 120s; t += 1s)
    for (const auto& request : script.tick(t).requests)
      EXPECT_EQ(request.url.find("end_timestamp=1789999860000"), std::string::npos);
}

// How often the list is asked for within five minutes of a hundred instruments that are not in the catalogue.
int lists_after_news(const std::vector<std::string>& symbols) {
  Talking talking(options_for(symbols));
  for (int i = 0; i < 100; ++i)
    talking.script.text(1,
                        notification("instrument.state.any.any", R"({"timestamp":1790000002000,"state":"open",)"
                                                                 R"("instrument_name":"BTC-26MAR27-)" +
                                                                     std::to_string(1000 * i) + R"(-C"})"),
                        10s);
  int lists = 0;
  for (auto t = 10s; t < 310s; t += 1s) {
    talking.script.tick(t);
    const auto requests = talking.script.out.requests;
    for (const auto& request : requests) {
      if (request.url != kInstrumentsUrl) continue;
      ++lists;
      talking.script.rest(request.url, fixture("rest_instruments.json"), t);
    }
  }
  return lists;
}

TEST(Conversation, NewInstrumentsMakeTheListBeReadOnceAndOnlyWhenTheyMayBeChosen) {
  EXPECT_EQ(lists_after_news({"BTC-*"}), 1);
  EXPECT_EQ(lists_after_news({"BTC-PERPETUAL"}), 0);
}

TEST(Conversation, ABookIsHeldAgainstTheVenuesOwnNowAndThen) {
  Talking talking;
  auto& script = talking.script;
  script.text(1, fixture("ws_book_snapshot.json"), 6s);
  const auto audit_of = [](const Outbox& out) {
    const auto found = std::ranges::find_if(
        out.requests, [](const RestRequest& each) { return each.url.find("get_order_book") != std::string::npos; });
    return found == out.requests.end() ? std::optional<RestRequest>{} : *found;
  };
  std::optional<RestRequest> request;
  auto t = 7s;
  for (; !request && t < 60s; t += 1s) request = audit_of(script.tick(t));
  ASSERT_TRUE(request) << "every 30 s one";
  EXPECT_EQ(request->url, rest_url("get_order_book?instrument_name=BTC-PERPETUAL&depth=1000"));
  EXPECT_LT(request->percent_at_most, 80);
  EXPECT_EQ(request->charges.at(0).units, 500);
  const auto events = script.all.size();
  // It stands between the snapshot and the change that follows, of whose prices it knows one.
  script.rest(request->url, fixture("rest_order_book.json"), t);
  EXPECT_EQ(script.all.size(), events) << "nothing is published of it";
  EXPECT_EQ(script.session->counters().audits.agreed, 0u) << "undecided until the next change";
  script.text(1, fixture("ws_book_change.json"), t + 1s);
  EXPECT_EQ(script.session->counters().audits.agreed, 1u);
  EXPECT_EQ(script.session->counters().audits.levels_same, 3u);
  request.reset();
  for (; !request && t < 120s; t += 1s) request = audit_of(script.tick(t));
  ASSERT_TRUE(request);
  auto other = fixture("rest_order_book.json");
  other.replace(other.find("90010000004"), 11, "90010000007");
  const auto& out = script.rest(request->url, other, t);
  EXPECT_EQ(script.session->counters().audits.differed, 1u);
  ASSERT_EQ(out.notices.size(), 1u);
  EXPECT_NE(out.notices[0].detail.find(R"(different=2 first="bid 64249.5 ours=none theirs=5000")"), std::string::npos)
      << out.notices[0].detail;
  // The same id and another book: ours was wrong, and its channel is subscribed again.
  ASSERT_EQ(out.events.size(), 1u);
  const auto* gap = std::get_if<Gap>(&out.events[0]);
  ASSERT_TRUE(gap);
  EXPECT_EQ(gap->cause, GapCause::audit);
  EXPECT_EQ(script.session->counters().resyncs, 1u);
}

TEST(Conversation, WhatHasExpiredIsGivenUp) {
  // 2026-12-25 08:00.
  constexpr auto kExpiry = 1'798'185'600s - 1'790'000'000s;
  Script script(options_for({"BTC-PERPETUAL", "BTC-25DEC26"}));
  std::vector<SendFrame> sent;
  const auto run = [&](std::chrono::nanoseconds from, std::chrono::nanoseconds to) {
    for (auto t = from; t <= to; t += 500ms) {
      script.tick(t);
      auto frames = script.out.frames;
      for (std::size_t i = 0; i < frames.size(); ++i) {
        const auto frame = frames[i];
        sent.push_back(frame);
        if (frame.text.find("subscribe\"") == std::string::npos) continue;
        Outbox one;
        one.frames.push_back(frame);
        const auto& more = script.text(1, answer(id_of(one, "subscribe"), names_in(one, "subscribe")), t).frames;
        frames.insert(frames.end(), more.begin(), more.end());
      }
    }
  };
  const auto was_sent = [&](std::string_view text) {
    return std::ranges::any_of(sent, [&](const SendFrame& each) { return each.text.find(text) != std::string::npos; });
  };
  const auto described = [&] {
    std::vector<StreamStatus> status;
    script.session->describe(status);
    std::set<std::string> names;
    for (const auto& each : status)
      if (each.instrument->market_type != MarketType::options) names.insert(each.instrument->instrument);
    return names;
  };
  script.begin(kExpiry - 31s);
  script.tick(kExpiry - 30s);
  script.rest(kInstrumentsUrl, fixture("rest_instruments.json"), kExpiry - 29s);
  script.opened(1, kSocketUrl, kExpiry - 28s);
  run(kExpiry - 28s, kExpiry - 10s);
  EXPECT_TRUE(was_sent("book.BTC-25DEC26.100ms"));
  EXPECT_EQ(described().size(), 2u);
  sent.clear();
  run(kExpiry - 9s, kExpiry + 14s);
  EXPECT_FALSE(was_sent("unsubscribe")) << "what was sent until the last moment is under way";
  sent.clear();
  run(kExpiry + 45s, kExpiry + 50s);
  EXPECT_TRUE(was_sent("public/unsubscribe"));
  EXPECT_TRUE(was_sent("book.BTC-25DEC26.100ms"));
  EXPECT_FALSE(was_sent("book.BTC-PERPETUAL.100ms"));
  EXPECT_EQ(described(), std::set<std::string>{"BTC-PERPETUAL"}) << "of what is over nothing is waited for";
}

TEST(Conversation, WhatIsNotChosenAnyMoreIsGivenUpWithTheNewList) {
  auto options = options_for({"BTC-PERPETUAL", "BTC-25DEC26"});
  Script before(options);
  before.begin(0s);
  before.tick(500ms);
  before.rest(kInstrumentsUrl, fixture("rest_instruments.json"), 1s);
  std::string state;
  before.session->save(state);
  options.symbols = Selection{"BTC-PERPETUAL"};
  Script script(options);
  ASSERT_TRUE(script.session->restore(state));
  script.begin(2s);
  script.tick(2500ms);
  script.rest(kInstrumentsUrl, fixture("rest_instruments.json"), 3s);
  std::string sent;
  for (const auto& frame : script.opened(1, kSocketUrl, 4s).frames) sent += frame.text;
  for (auto t = 4s; t < 8s; t += 1s)
    for (const auto& frame : script.tick(t).frames) sent += frame.text;
  EXPECT_NE(sent.find("book.BTC-PERPETUAL.100ms"), std::string::npos);
  EXPECT_EQ(sent.find("BTC-25DEC26"), std::string::npos) << sent;
}

TEST(Conversation, ALockedInstrumentIsShownAsSilent) {
  Talking talking;
  auto& script = talking.script;
  script.text(1, book_snapshot(10, 0), 6s);
  const auto state = [&] {
    std::vector<StreamStatus> status;
    script.session->describe(status);
    for (const auto& each : status)
      if (each.data_type == DataType::orderbook_delta) return each.state;
    return StreamState::refused;
  };
  EXPECT_EQ(state(), StreamState::live);
  script.text(1, fixture("ws_platform_state.json"), 7s);
  EXPECT_EQ(state(), StreamState::silent);
  std::vector<OrderBook> books;
  script.session->books(0, books);
  EXPECT_EQ(books.size(), 1u) << "the last book is kept";
  script.text(1, notification("platform_state", R"({"price_index":"btc_usd","locked":false})"), 8s);
  EXPECT_EQ(state(), StreamState::live);
}

// ---- checkpoints ----------------------------------------------------------------------------------------------

TEST(Session, ASavedStateGoesOnAsTheSessionWould) {
  const std::vector<std::string> frames{book_snapshot(10, 0),
                                        trade(100, 1),
                                        book_change(10, 12, 2),
                                        trade(102, 3),
                                        book_change(13, 14, 4),
                                        book_snapshot(20, 5),
                                        trade(101, 6),
                                        book_change(20, 22, 7),
                                        fixture("ws_ticker_perpetual.json"),
                                        fixture("ws_volatility_index.json")};
  Script whole(options_for());
  whole.rest(kInstrumentsUrl, fixture("rest_instruments.json"), 0s);
  for (const auto& frame : frames) whole.text(1, frame, 1s);
  auto hopping = std::make_unique<Script>(options_for());
  hopping->rest(kInstrumentsUrl, fixture("rest_instruments.json"), 0s);
  std::string events = hopping->events;
  for (const auto& frame : frames) {
    std::string saved;
    hopping->session->save(saved);
    hopping = std::make_unique<Script>(options_for());
    ASSERT_TRUE(hopping->session->restore(saved));
    std::string again;
    hopping->session->save(again);
    ASSERT_EQ(again, saved);
    for (std::size_t size = 0; size < saved.size(); size += 7) {
      Script damaged(options_for());
      EXPECT_FALSE(damaged.session->restore(std::string_view(saved).substr(0, size)));
    }
    hopping->text(1, frame, 1s);
    events += hopping->events;
  }
  EXPECT_EQ(events, whole.events);
}

TEST(Session, AnotherConfigurationIsTakenOverTheSocketThatThereIs) {
  auto options = options_for();
  options.conversing = true;
  options.symbols = Selection{"BTC-PERPETUAL", "ETH-PERPETUAL"};
  Script s(options);
  s.begin(0s);
  s.rest(kInstrumentsUrl, fixture("rest_instruments.json"), 100ms);
  s.opened(1, kSocketUrl, 200ms);
  s.tick(2s);
  s.text(1, trade(100, 2100), 2100ms);
  s.text(1, book_snapshot(10, 2200), 2200ms);

  auto other = options;
  other.symbols = Selection{"ETH-PERPETUAL"};
  s.out.clear();
  s.session->reconfigure(other, s.at(3s), s.out);
  const auto gaps = only<Gap>(s.out.events);
  EXPECT_FALSE(gaps.empty());
  for (const auto& gap : gaps) {
    EXPECT_EQ(gap.cause, GapCause::end);
    EXPECT_EQ(gap.meta.instrument->instrument, "BTC-PERPETUAL");
  }
  EXPECT_TRUE(s.out.opens.empty());
  s.text(1, trade(101, 3100), 3100ms);
  EXPECT_TRUE(s.out.events.empty()) << "its series has ended";

  s.out.clear();
  s.session->reconfigure(options, s.at(4s), s.out);
  s.rest(kInstrumentsUrl, fixture("rest_instruments.json"), 4100ms);
  s.text(1, trade(200, 4200), 4200ms);
  EXPECT_EQ(only<Trade>(s.out.events).size(), 1u);
  EXPECT_TRUE(only<Gap>(s.out.events).empty()) << "it begins anew, without a hole where nobody listened";
}

}  // namespace
}  // namespace mp::deribit
