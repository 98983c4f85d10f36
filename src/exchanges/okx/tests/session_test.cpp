// The session as a whole: what all fixtures give, and scripts of what may happen to a stream.
#include <gmock/gmock.h>

#include <cstdlib>
#include <map>

#include "support.hpp"

namespace mp::okx {
namespace {

using testing::HasSubstr;

const std::vector<std::string> kPushed{"ws_subscribed.json",
                                       "ws_books_snapshot.json",
                                       "ws_books_update.json",
                                       "ws_books_keep_alive.json",
                                       "ws_books_reset.json",
                                       "ws_books_after_reset.json",
                                       "ws_books_2022_snapshot.json",
                                       "ws_books_2022_update.json",
                                       "ws_trades.json",
                                       "ws_trades_2022.json",
                                       "ws_trades_all.json",
                                       "ws_funding_rate.json",
                                       "ws_funding_rate_none.json",
                                       "ws_funding_rate_xperp.json",
                                       "ws_open_interest.json",
                                       "ws_open_interest_inverse.json",
                                       "ws_liquidation_orders.json",
                                       "ws_liquidation_orders.json",
                                       "ws_instruments.json",
                                       "ws_tickers.json",
                                       "ws_bbo_tbt.json",
                                       "ws_unsubscribed.json",
                                       "ws_error.json",
                                       "ws_notice.json",
                                       "ws_connection_count.json",
                                       "ws_pong.txt"};

const std::vector<std::pair<std::string, std::string>>& answers() {
  static const std::vector<std::pair<std::string, std::string>> all{
      {kRest + "market/books?instId=BTC-USD-SWAP&sz=400", "rest_books.json"},
      {kRest + "public/funding-rate-history?instId=BTC-USDT-SWAP", "rest_funding_rate_history.json"},
      {kRest + "public/funding-rate-history?instId=BTC-USDT-SWAP", "rest_funding_rate_history.json"},
      {kAccountRatioUrl, "rest_ratio.json"},
      {kPositionRatioUrl, "rest_ratio.json"},
      {kPositionRatioUrl, "rest_ratio.json"},
      {kRest + "rubik/stat/contracts/long-short-account-ratio-contract-top-trader" + kRatioQuery, "rest_ratio.json"},
      {kRest + "rubik/stat/contracts/long-short-account-ratio?ccy=BTC", "rest_ratio.json"},
      {kRest + "market/tickers?instType=SWAP", "rest_tickers_swap.json"},
  };
  return all;
}

// One step of feeding all fixtures; false when there is none of that number.
bool feed_fixture(Script& script, std::size_t n) {
  const auto t = std::chrono::milliseconds(n);
  if (n == 0) {
    script.begin(t);
    script.lists(t);
    script.opened(1, "wss://ws.okx.com:8443/ws/v5/public", t);
  } else if (n <= kPushed.size()) {
    script.text(1, fixture(kPushed[n - 1]), t);
  } else if (n - kPushed.size() <= answers().size()) {
    const auto& [url, file] = answers()[n - kPushed.size() - 1];
    script.rest(url, fixture(file), t);
  } else {
    return false;
  }
  return true;
}

TEST(Session, GoldenEventsOfAllFixtures) {
  Script script(options_for());
  for (std::size_t n = 0; feed_fixture(script, n);) ++n;
  EXPECT_TRUE(only<Rejected>(script.all).empty()) << json(script.all);
  EXPECT_TRUE(only<Gap>(script.all).empty());
  const std::string path = std::string(MP_SOURCE_DIR) + "/src/exchanges/okx/fixtures/events.jsonl";
  if (std::getenv("MP_WRITE_GOLDEN")) std::ofstream(path, std::ios::binary) << json(script.all);
  EXPECT_EQ(json(script.all), read_file(path));
}

TEST(Session, ARunOverManyCheckpointsIsTheSameRun) {
  Script whole(options_for());
  for (std::size_t n = 0; feed_fixture(whole, n);) ++n;
  Script hopping(options_for());
  for (std::size_t n = 0; feed_fixture(hopping, n); ++n) {
    std::string saved, again;
    hopping.session->save(saved);
    auto fresh = make_okx().make_session(options_for());
    ASSERT_TRUE(fresh->restore(saved)) << n;
    fresh->save(again);
    ASSERT_EQ(again, saved) << n;
    for (std::size_t cut = 0; cut < saved.size(); cut += 1 + saved.size() / 50)
      ASSERT_FALSE(make_okx().make_session(options_for())->restore(std::string_view(saved).substr(0, cut))) << n;
    hopping.session = std::move(fresh);
  }
  EXPECT_EQ(json(hopping.all), json(whole.all));
}

TEST(Session, WhatIsNotMappedIsCountedAndNotRejected) {
  Script script(options_for());
  for (std::size_t n = 0; feed_fixture(script, n);) ++n;
  std::map<std::string, std::uint64_t> counted;
  for (const auto& [name, count] : script.session->counters().unmapped) counted[name] = count;
  EXPECT_EQ(counted.at("tickers"), 1u);
  EXPECT_EQ(counted.at("bbo-tbt"), 1u);
  EXPECT_EQ(counted.at("REST contracts/long-short-account-ratio-contract-top-trader"), 1u);
  EXPECT_EQ(counted.at("REST contracts/long-short-account-ratio"), 1u);
}

// ---- trades ---------------------------------------------------------------------------------------------------

struct Playing : Script {
  explicit Playing(const SessionOptions& options = options_for()) : Script(options) {
    begin(0ms);
    lists(0ms);
    opened(1, "wss://ws.okx.com:8443/ws/v5/public", 0ms);
    all.clear();
  }
};

TEST(Trades, AMergedRowStandsForItsFills) {
  Playing script;
  script.text(1, trade_frame(10, 1, 3), 1ms);  // 8 9 10
  script.text(1, trade_frame(12, 2, 2), 2ms);  // 11 12
  script.text(1, trade_frame(15, 3, 2), 3ms);  // 14 15: 13 is lost
  const auto trades = only<Trade>(script.all);
  ASSERT_EQ(trades.size(), 3u);
  EXPECT_EQ(trades[0].first_trade_id, "8");
  EXPECT_EQ(trades[0].last_trade_id, "10");
  EXPECT_TRUE(trades[0].is_aggregated());
  const auto gaps = only<Gap>(script.all);
  ASSERT_EQ(gaps.size(), 1u);
  EXPECT_EQ(gaps[0].last_id, "12");
  EXPECT_EQ(gaps[0].next_id, "14");
  EXPECT_EQ(gaps[0].data_type, DataType::trade);
}

TEST(Trades, ContinuityHoldsAcrossAReconnect) {
  Playing script;
  script.text(1, trade_frame(10, 1), 1ms);
  script.closed(1, 2ms);
  script.opened(2, "wss://ws.okx.com:8443/ws/v5/business", 3ms);
  script.text(2, trade_frame(10, 1), 4ms);  // the last one comes again with the subscription
  script.text(2, trade_frame(11, 5), 5ms);
  EXPECT_TRUE(only<Gap>(script.all).empty()) << "ids went on: nothing was lost";
  EXPECT_EQ(only<Trade>(script.all).size(), 2u);
  EXPECT_EQ(script.session->counters().duplicates, 1u);
  script.closed(2, 6ms);
  script.opened(3, "wss://ws.okx.com:8443/ws/v5/business", 7ms);
  script.text(3, trade_frame(14, 8), 8ms);
  const auto gaps = only<Gap>(script.all);
  ASSERT_EQ(gaps.size(), 1u);
  EXPECT_EQ(gaps[0].cause, GapCause::disconnected);
  EXPECT_EQ(gaps[0].last_id, "11");
  EXPECT_EQ(gaps[0].next_id, "14");
}

TEST(Trades, AnUnknownInstrumentIsRejectedAndAWordForTheSideToo) {
  Playing script;
  auto frame = trade_frame(10, 1);
  for (std::size_t at; (at = frame.find("BTC-USDT-SWAP")) != std::string::npos;) frame.replace(at, 13, "NEW-USDT-SWAP");
  script.text(1, frame, 1ms);
  auto side = trade_frame(11, 1);
  side.replace(side.find("buy"), 3, "hmm");
  script.text(1, side, 2ms);
  const auto rejects = only<Rejected>(script.all);
  ASSERT_EQ(rejects.size(), 2u);
  EXPECT_THAT(rejects[0].reason, HasSubstr("'NEW-USDT-SWAP' is not in the catalogue"));
  EXPECT_THAT(rejects[1].reason, HasSubstr("trades.side: hmm"));
  EXPECT_EQ(rejects[1].raw, side);
}

TEST(Trades, ABadRowIsARejectAndThoseBesideItAreTrades) {
  Playing script;
  auto frame = trade_frame(10, 1);
  auto other = frame.substr(frame.find("{\"instId", 60));
  other = other.substr(0, other.find('}') + 1);
  auto bad = other;
  other.replace(other.find("\"10\""), 4, "\"12\"");
  bad.replace(bad.find("\"10\""), 4, "\"11\"");
  bad.replace(bad.find("buy"), 3, "hmm");
  frame.insert(frame.rfind(']'), "," + bad + "," + other);
  script.text(1, frame, 1ms);
  EXPECT_EQ(only<Trade>(script.all).size(), 2u);
  const auto rejects = only<Rejected>(script.all);
  ASSERT_EQ(rejects.size(), 1u);
  EXPECT_EQ(rejects[0].raw, bad);
  EXPECT_EQ(rejects[0].data_type, DataType::trade);
  EXPECT_EQ(only<Gap>(script.all).size(), 1u) << "11 is missing among the trades";
}

TEST(Trades, ATimeFarFromNowIsRefusedLiveOnly) {
  auto options = options_for();
  options.max_clock_distance = 24h;
  Playing live(options);
  live.text(1, trade_frame(10, -90'000'000), 1ms);
  EXPECT_EQ(only<Rejected>(live.all).size(), 1u);
  options.max_clock_distance = 0h;
  Playing replay(options);
  replay.text(1, trade_frame(10, -90'000'000), 1ms);
  EXPECT_EQ(only<Trade>(replay.all).size(), 1u);
}

// ---- books ----------------------------------------------------------------------------------------------------

std::vector<std::uint64_t> ids(const std::vector<MarketEvent>& events) {
  std::vector<std::uint64_t> out;
  for (const auto& delta : only<OrderBookDelta>(events)) out.push_back(delta.last_update_id);
  return out;
}

TEST(Books, TheDocumentedSequenceIsOneChain) {
  Playing script;
  script.text(1, book_frame(true, -1, 10, 0), 1ms);
  script.text(1, book_frame(false, 10, 15, 100), 2ms);
  script.text(1, fixture("ws_books_keep_alive.json"), 3ms);  // 15 -> 15, nothing in it
  script.text(1, book_frame(false, 15, 3, 300), 4ms);        // the venue has begun to count anew
  script.text(1, book_frame(false, 3, 5, 400), 5ms);
  EXPECT_TRUE(only<Gap>(script.all).empty()) << json(script.all);
  EXPECT_EQ(ids(script.all), (std::vector<std::uint64_t>{10, 15, 3, 5}));
}

TEST(Books, AHoleEndsThatBookOnlyUntilItsSnapshot) {
  Playing script;
  script.text(1, book_frame(true, -1, 10, 0), 1ms);
  script.text(1, book_frame(true, -1, 7, 0, "ETH-USDT-SWAP"), 1ms);
  script.text(1, book_frame(false, 11, 12, 100), 2ms);  // 10 -> 11 is missing
  script.text(1, book_frame(false, 12, 13, 200), 3ms);
  ASSERT_EQ(only<Gap>(script.all).size(), 1u);
  EXPECT_EQ(only<Gap>(script.all)[0].last_id, "10");
  std::vector<OrderBook> held;
  script.session->books(0, held);
  ASSERT_EQ(held.size(), 1u);
  EXPECT_EQ(held[0].meta.instrument->symbol, "ETH-USDT");
  EXPECT_EQ(ids(script.all), (std::vector<std::uint64_t>{10, 7}));
  script.text(1, book_frame(true, -1, 20, 300), 4ms);
  script.text(1, book_frame(false, 20, 21, 400), 5ms);
  EXPECT_EQ(ids(script.all), (std::vector<std::uint64_t>{10, 7, 20, 21}));
}

TEST(Books, QuantitiesAreConvertedAndInverseOnesSayTheirUnit) {
  Playing script;
  script.text(1, book_frame(true, -1, 10, 0), 1ms);
  script.text(1, book_frame(true, -1, 10, 0, "BTC-USD-SWAP"), 2ms);
  const auto deltas = only<OrderBookDelta>(script.all);
  ASSERT_EQ(deltas.size(), 2u);
  EXPECT_EQ(deltas[0].bids[0].quantity.value.text(), "0.03");
  EXPECT_EQ(deltas[0].quantity_unit, QuantityUnit::base);
  EXPECT_EQ(deltas[1].bids[0].quantity.value.text(), "300");
  EXPECT_EQ(deltas[1].quantity_unit, QuantityUnit::quote);
}

TEST(Books, WithoutASnapshotUpdatesWaitForTheOneByRest) {
  Playing script;
  script.text(1, book_frame(false, 10, 15, 100), 2ms);
  script.text(1, book_frame(false, 15, 18, 200), 3ms);
  EXPECT_TRUE(ids(script.all).empty());
  const auto reply = [](int id) {
    return R"({"code":"0","msg":"","data":[{"asks":[],"bids":[["99","1","0","1"]],"ts":"1790000000050","seqId":)" +
           std::to_string(id) + "}]}";
  };
  const auto url = kRest + "market/books?instId=BTC-USDT-SWAP&sz=400";
  script.rest(url, reply(8), 4ms);  // ends before what waits begins
  EXPECT_TRUE(ids(script.all).empty());
  script.rest(url, reply(16), 5ms);
  EXPECT_EQ(ids(script.all), (std::vector<std::uint64_t>{16, 18})) << "15 < 16 <= 18 continues it";
  EXPECT_TRUE(only<OrderBookDelta>(script.all)[0].is_snapshot);
  script.text(1, book_frame(false, 18, 19, 300), 6ms);
  EXPECT_EQ(ids(script.all).size(), 3u);
  EXPECT_TRUE(only<Gap>(script.all).empty());
}

std::string with_checksum(std::string frame, const std::string& checksum) {
  const std::string key = "\"checksum\":";
  const auto at = frame.find(key) + key.size();
  return frame.replace(at, frame.find_first_of(",}", at) - at, checksum);
}

TEST(Books, AFailedChecksumIsAGapOnlyWhereNoIdsProveTheChain) {
  const auto snapshot = fixture("ws_books_2022_snapshot.json");
  const auto update = fixture("ws_books_2022_update.json");
  Playing old;
  old.text(1, snapshot, 1ms);
  old.text(1, with_checksum(update, "12345"), 2ms);
  ASSERT_EQ(only<Gap>(old.all).size(), 1u);
  EXPECT_EQ(only<Gap>(old.all)[0].cause, GapCause::checksum);
  EXPECT_EQ(only<OrderBookDelta>(old.all).size(), 1u) << "what failed is not published";
  old.text(1, snapshot, 3ms);
  old.text(1, update, 4ms);
  EXPECT_EQ(only<OrderBookDelta>(old.all).size(), 3u);

  Playing bad_snapshot;
  bad_snapshot.text(1, with_checksum(snapshot, "12345"), 1ms);
  ASSERT_EQ(only<Rejected>(bad_snapshot.all).size(), 1u);
  EXPECT_THAT(only<Rejected>(bad_snapshot.all)[0].reason, HasSubstr("books.checksum"));

  Playing numbered;
  numbered.text(1, with_checksum(book_frame(true, -1, 10, 0), "777"), 1ms);
  numbered.text(1, with_checksum(book_frame(false, 10, 11, 100), "777"), 2ms);
  EXPECT_TRUE(only<Gap>(numbered.all).empty());
  EXPECT_TRUE(only<Rejected>(numbered.all).empty());
  EXPECT_EQ(ids(numbered.all), (std::vector<std::uint64_t>{10, 11}));
  const auto counters = numbered.session->counters();
  EXPECT_THAT(counters.unmapped, testing::Contains(testing::Pair("book checksum failed, ids intact", 2u)));
}

TEST(Books, AnotherContractSizeEndsTheBookUntilItsSnapshot) {
  Playing script;
  script.text(1, book_frame(true, -1, 10, 0), 1ms);
  auto rebased = fixture("rest_instruments_swap.json");
  rebased.replace(rebased.find(R"("ctVal":"0.01")"), 14, R"("ctVal":"0.10")");
  script.rest(kRest + "public/instruments?instType=SWAP", rebased, 2ms);
  script.text(1, book_frame(false, 10, 11, 100), 3ms);
  ASSERT_EQ(only<Gap>(script.all).size(), 1u) << "old and new contracts in one book would be neither";
  EXPECT_EQ(ids(script.all), (std::vector<std::uint64_t>{10}));
  script.text(1, book_frame(true, -1, 12, 200), 4ms);
  const auto deltas = only<OrderBookDelta>(script.all);
  ASSERT_EQ(deltas.size(), 2u);
  EXPECT_EQ(deltas[1].bids[0].quantity.value.text(), "0.3");
}

TEST(Books, AnotherChannelOfTheSameBookIsNotMixedIn) {
  Playing script;
  script.text(1, book_frame(true, -1, 10, 0), 1ms);
  auto other = book_frame(true, -1, 900, 50);
  other.replace(other.find("\"books\""), 7, "\"books50-l2-tbt\"");
  script.text(1, other, 2ms);
  script.text(1, book_frame(false, 10, 11, 100), 3ms);
  EXPECT_EQ(ids(script.all), (std::vector<std::uint64_t>{10, 11}));
  EXPECT_TRUE(only<Gap>(script.all).empty());
}

// ---- the other types ------------------------------------------------------------------------------------------

TEST(Ratios, TheThreeEndpointsAreNotConfused) {
  Playing script;
  script.rest(kAccountRatioUrl, fixture("rest_ratio.json"), 1ms);
  EXPECT_EQ(only<LsrAllAccount>(script.all).size(), 3u);
  EXPECT_TRUE(only<LsrTopPosition>(script.all).empty());
  script.all.clear();
  script.rest(kPositionRatioUrl, fixture("rest_ratio.json"), 2ms);
  EXPECT_EQ(only<LsrTopPosition>(script.all).size(), 3u);
  EXPECT_TRUE(only<LsrAllAccount>(script.all).empty());
  script.all.clear();
  script.rest(kRest + "rubik/stat/contracts/long-short-account-ratio-contract-top-trader" + kRatioQuery,
              fixture("rest_ratio.json"), 3ms);
  script.rest(kRest + "rubik/stat/contracts/long-short-account-ratio?ccy=BTC", fixture("rest_ratio.json"), 4ms);
  EXPECT_TRUE(script.all.empty()) << "accounts of top traders, and accounts of a coin: not what we carry";
}

TEST(Ratios, ABadRowIsARejectAndThoseBesideItAreTold) {
  Script script(options_for());
  script.lists(0s);
  script.rest(
      kAccountRatioUrl,
      R"({"code":"0","msg":"","data":[["1790000600000","1.5"],["1790000300000",{"a":[1]}],["1790000000000","1.4"]]})",
      1s);
  const auto rows = only<LsrAllAccount>(script.all);
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[1].long_short_ratio.value.text(), "1.5");
  auto rejects = only<Rejected>(script.all);
  ASSERT_EQ(rejects.size(), 1u);
  EXPECT_EQ(rejects[0].raw, R"(["1790000300000",{"a":[1]}])");
  EXPECT_EQ(rejects[0].data_type, DataType::lsr_all_account);
  script.rest(kRest + "public/funding-rate-history?instId=BTC-USDT-SWAP",
              R"({"code":"0","msg":"","data":[{"instId":"BTC-USDT-SWAP","fundingTime":"soon","realizedRate":"0.1"},)"
              R"({"instId":"BTC-USDT-SWAP","fundingTime":"1789999200000","realizedRate":"0.0001"}]})",
              2s);
  EXPECT_EQ(only<FundingRate>(script.all).size(), 1u);
  EXPECT_EQ(only<Rejected>(script.all).size(), 2u);
  script.rest(kAccountRatioUrl, R"({"code":"0","msg":"","data":[["soon","1.5"]]})", 3s);
  rejects = only<Rejected>(script.all);
  ASSERT_EQ(rejects.size(), 3u);
  EXPECT_EQ(rejects[2].raw, R"({"code":"0","msg":"","data":[["soon","1.5"]]})") << "none can be read: told whole, once";
}

TEST(Ratios, RowsAreToldOldestFirstAndOnce) {
  Playing script;
  script.rest(kPositionRatioUrl, fixture("rest_ratio.json"), 1ms);
  script.rest(kPositionRatioUrl, fixture("rest_ratio.json"), 2ms);
  const auto rows = only<LsrTopPosition>(script.all);
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_LT(rows[0].meta.timestamp, rows[1].meta.timestamp);
  EXPECT_EQ(rows[0].long_short_ratio.value.text(), "2");
  EXPECT_FALSE(rows[0].long_position_ratio) << "a quotient of the ratio would not be exact";
  EXPECT_EQ(rows[0].period, "5m");
}

TEST(Liquidations, EachIsToldOnceAndOldOnesOfTheSnapshotNotAtAll) {
  auto options = options_for();
  options.max_clock_distance = 24h;
  Playing script(options);
  const auto frame = fixture("ws_liquidation_orders.json");
  script.text(1, frame, 1ms);
  script.text(1, frame, 2ms);
  auto liquidations = only<Liquidation>(script.all);
  ASSERT_EQ(liquidations.size(), 3u);
  EXPECT_EQ(liquidations[0].side, Side::sell);
  EXPECT_EQ(liquidations[0].quantity.value.text(), "1.8");
  EXPECT_EQ(liquidations[0].contracts->value.text(), "18");
  EXPECT_EQ(liquidations[0].coverage, Coverage::sampled);
  EXPECT_FALSE(liquidations[1].price);
  EXPECT_EQ(liquidations[2].quantity_unit, QuantityUnit::quote);
  auto old = frame;
  old.replace(old.find("\"ts\":\"17899"), 11, "\"ts\":\"17795");
  script.text(1, old, 3ms);
  EXPECT_EQ(only<Liquidation>(script.all).size(), 3u);
  EXPECT_TRUE(only<Rejected>(script.all).empty());
}

TEST(Funding, SettlementStateSpeaksOfThePeriodBefore) {
  Playing script;
  script.text(1, fixture("ws_funding_rate.json"), 1ms);
  script.text(1, fixture("ws_funding_rate_none.json"), 2ms);
  script.rest(kRest + "public/funding-rate-history?instId=BTC-USDT-SWAP", fixture("rest_funding_rate_history.json"),
              3ms);
  const auto rates = only<FundingRate>(script.all);
  ASSERT_EQ(rates.size(), 3u);
  EXPECT_FALSE(rates[0].is_settled) << "settState is settled, of the last period";
  EXPECT_EQ(rates[0].funding_rate.value.text(), "0.0000875210331267");
  EXPECT_EQ(rates[0].funding_interval_hours->text(), "8");
  EXPECT_TRUE(rates[1].is_settled);
  EXPECT_EQ(rates[1].funding_rate.value.text(), "-0.00001") << "oldest first";
  EXPECT_EQ(rates[2].funding_rate.value.text(), "0.0000614215") << "what was charged, not what had been predicted";
}

TEST(Funding, UnchangedValuesAreThinnedLive) {
  auto options = options_for();
  options.min_interval = 60s;
  Playing script(options);
  const auto frame = fixture("ws_open_interest.json");
  script.text(1, frame, 1s);
  script.text(1, frame, 4s);
  EXPECT_EQ(only<OpenInterest>(script.all).size(), 1u);
  script.text(1, frame, 61s);
  EXPECT_EQ(only<OpenInterest>(script.all).size(), 2u);
}

// While one connection replaces another both bring the same, one of them later.
TEST(Funding, WhatTwoConnectionsBringIsToldOnceAndNeverOlderThanBefore) {
  Script script(options_for());
  script.lists(0s);
  const auto interest = [](int ms, const char* contracts) {
    return R"({"arg":{"channel":"open-interest","instId":"BTC-USDT-SWAP"},"data":[{"instId":"BTC-USDT-SWAP","instType":"SWAP","oi":")" +
           std::string(contracts) + R"(","ts":")" + std::to_string(1'790'000'000'000 + ms) + R"("}]})";
  };
  const auto funding = [](int ms, const char* rate) {
    return R"({"arg":{"channel":"funding-rate","instId":"BTC-USDT-SWAP"},"data":[{"instId":"BTC-USDT-SWAP","fundingRate":")" +
           std::string(rate) + R"(","fundingTime":"1790006400000","nextFundingTime":"1790035200000","ts":")" +
           std::to_string(1'790'000'000'000 + ms) + R"("}]})";
  };
  for (const ConnectionId connection : {1u, 2u}) script.opened(connection, "wss://ws.okx.com:8443/ws/v5/public", 0s);
  script.text(1, interest(1000, "10"), 1s);
  script.text(1, interest(2000, "20"), 2s);
  script.text(1, funding(1000, "0.0001"), 2s);
  script.text(1, funding(2000, "0.0002"), 2s);
  script.text(2, interest(1000, "10"), 3s);
  script.text(2, interest(2000, "20"), 3s);
  script.text(2, funding(1000, "0.0001"), 3s);
  script.text(2, funding(2000, "0.0002"), 3s);
  EXPECT_EQ(only<OpenInterest>(script.all).size(), 2u);
  EXPECT_EQ(only<FundingRate>(script.all).size(), 2u);
  EXPECT_EQ(script.session->counters().duplicates, 4u);
  script.closed(1, 4s);
  script.text(2, interest(3000, "20"), 5s);
  script.text(2, funding(3000, "0.0002"), 5s);
  EXPECT_EQ(only<OpenInterest>(script.all).size(), 3u);
  EXPECT_EQ(only<FundingRate>(script.all).size(), 3u);
}

TEST(OpenInterest, TheValueInUsdIsToldOnlyWhereThatIsTheQuoteUnit) {
  Playing script;
  script.text(1, fixture("ws_open_interest.json"), 1ms);
  script.text(1, fixture("ws_open_interest_inverse.json"), 2ms);
  const auto interests = only<OpenInterest>(script.all);
  ASSERT_EQ(interests.size(), 2u);
  EXPECT_EQ(interests[0].open_interest.value.text(), "21254.1908000000001");
  EXPECT_FALSE(interests[0].open_interest_value);
  EXPECT_EQ(interests[1].open_interest.value.text(), "420031100");
  EXPECT_EQ(interests[1].quantity_unit, QuantityUnit::quote);
  EXPECT_EQ(interests[1].open_interest_value->value.text(), "420031100");
}

TEST(Session, ARefusalByTheVenueIsNoReject) {
  Playing script;
  script.rest(kAccountRatioUrl, fixture("rest_error.json"), 1ms, 429);
  script.rest(kAccountRatioUrl, fixture("rest_error.json"), 2ms);
  EXPECT_TRUE(script.all.empty()) << json(script.all);
  script.rest(kAccountRatioUrl, R"({"code":"0","data":[["x","1"]]})", 3ms);
  EXPECT_EQ(only<Rejected>(script.all).size(), 1u);
}

TEST(Session, TheVenuesAddressesAreItsOwn) {
  const auto market = [](const char* url) { return make_okx().market_of_url(url).has_value(); };
  EXPECT_TRUE(market("wss://ws.okx.com:8443/ws/v5/public"));
  EXPECT_TRUE(market("https://www.okx.com/api/v5/public/instruments?instType=SWAP"));
  EXPECT_TRUE(market("https://openapi.okx.com/api/v5/market/books"));
  EXPECT_FALSE(market("wss://ws.okx.com.example.net/ws"));
  EXPECT_FALSE(market("https://api.binance.com/api/v3/depth"));
}

}  // namespace
}  // namespace mp::okx
