// What OKX's documentation says that it does (API v5, as of 2026-08-22), asked of the simulation.
#include "sim/okx/exchange.hpp"

#include <gmock/gmock.h>
#include <simdjson.h>

#include <map>
#include <set>

#include "base/decimal.hpp"
#include "sim/dialect/tests/support.hpp"
#include "sim/okx/listing.hpp"

namespace mp::sim::okx {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;
namespace dom = simdjson::dom;

const WallTime kStart = *parse_iso("2026-11-23T04:00:10Z");

// The first eight derivatives hold one of each kind.
std::vector<Symbol> some_symbols() {
  std::vector<Symbol> chosen;
  int spot = 0, derivatives = 0;
  for (auto& s : all_symbols(kStart))
    if (s.kind == Kind::spot ? spot++ < 3 : derivatives++ < 8) chosen.push_back(std::move(s));
  return chosen;
}

struct SimulatedOkx : testing::Test {
  void make(int rate = 500, std::uint64_t seed = 5) {
    options.market = {seed, kStart, rate};
    exchange = std::make_unique<Exchange>(some_symbols(), options, inbox, &ledger);
  }
  void run_to(Nanos after_start) {
    while (!exchange->advance(kStart + after_start)) {
    }
  }
  HttpAnswer get(std::string_view target, Nanos after_start = 0s) {
    HttpRequest request;
    request.target = target;
    request.address = "127.0.0.1";
    return exchange->rest(request, kStart + after_start);
  }
  void subscribe(ClientId client, const std::string& channel, const std::string& about,
                 const std::string& key = "instId") {
    exchange->text(
        client, R"({"op":"subscribe","args":[{"channel":")" + channel + R"(",")" + key + R"(":")" + about + R"("}]})");
  }
  // Messages of a channel that have data.
  std::vector<std::string> pushes(ClientId client, const std::string& channel) {
    std::vector<std::string> out;
    for (const auto& message : inbox.messages[client])
      if (message.starts_with(R"({"arg":{"channel":")" + channel + "\"") && message.find("\"data\":") != message.npos)
        out.push_back(message);
    return out;
  }

  ExchangeOptions options;
  test::Inbox inbox;
  test::Lines ledger;
  std::unique_ptr<Exchange> exchange;
};

std::string text_of(const dom::element& e) { return std::string(std::string_view{e}); }

// Kept by the rules of the documentation alone.
class ClientBook {
 public:
  void take(const std::string& message) {
    dom::parser parser;
    const dom::element root = parser.parse(message);
    const std::string action = text_of(root["action"]);
    const dom::element row = root["data"].at(0);
    const auto seq = std::int64_t{row["seqId"]};
    const auto previous = std::int64_t{row["prevSeqId"]};
    EXPECT_EQ(std::int64_t{row["checksum"]}, 0);
    if (action == "snapshot") {
      EXPECT_EQ(previous, -1);
      bids.clear();
      asks.clear();
    } else {
      ASSERT_EQ(action, "update");
      ASSERT_EQ(previous, last);
      if (seq == previous) ++keep_alives;
      if (seq < previous) ++resets;
      ++updates;
    }
    last = seq;
    apply(bids, row["bids"]);
    apply(asks, row["asks"]);
    ASSERT_LE(bids.size(), 400U);
    ASSERT_LE(asks.size(), 400U);
    if (!bids.empty() && !asks.empty()) {
      ASSERT_LT(bids.rbegin()->first, asks.begin()->first) << "crossed";
    }
  }
  std::string text() const {
    std::string out;
    for (auto it = bids.rbegin(); it != bids.rend(); ++it) out += it->first.text() + " " + it->second.text() + "\n";
    for (const auto& [price, size] : asks) out += price.text() + " " + size.text() + "\n";
    return out;
  }

  using Levels = std::map<Decimal, Decimal>;
  Levels bids, asks;
  std::int64_t last = 0;
  int updates = 0, keep_alives = 0, resets = 0;

 private:
  static void apply(Levels& levels, dom::array rows) {
    for (const dom::array row : rows) {
      ASSERT_EQ(row.size(), 4U);
      EXPECT_EQ(text_of(row.at(2)), "0");
      const auto price = *Decimal::parse(std::string_view{row.at(0)});
      const auto size = *Decimal::parse(std::string_view{row.at(1)});
      if (size.is_zero()) {
        EXPECT_EQ(levels.erase(price), 1U) << "a level that was never told goes: " << price.text();
      } else {
        levels[price] = size;
      }
    }
  }
};

std::string levels_of(const dom::element& row, std::size_t columns) {
  std::string out;
  for (const char* side : {"bids", "asks"})
    for (const dom::array level : dom::array{row[side]}) {
      EXPECT_EQ(level.size(), columns);
      out += Decimal::parse(std::string_view{level.at(0)})->text() + " " +
             Decimal::parse(std::string_view{level.at(1)})->text() + "\n";
    }
  return out;
}

TEST_F(SimulatedOkx, EachArgumentIsAcknowledgedWithTheRequestsId) {
  make();
  ASSERT_TRUE(exchange->open(1, "/ws/v5/public"));
  exchange->text(1, R"({"id":"a1","op":"subscribe","args":[{"channel":"trades","instId":"BTC-USDT"},)"
                    R"({"channel":"trades","instId":"NOPE-USDT"},{"channel":"trades","instId":"BTC-USDT-SWAP"}]})");
  const auto answers = inbox.take(1);
  ASSERT_EQ(answers.size(), 3U);
  EXPECT_THAT(
      answers[0],
      StartsWith(R"({"id":"a1","event":"subscribe","arg":{"channel":"trades","instId":"BTC-USDT"},"connId":")"));
  EXPECT_THAT(answers[1],
              AllOf(StartsWith(R"({"id":"a1","event":"error","code":"60018","msg":")"), HasSubstr("NOPE-USDT")));
  EXPECT_THAT(answers[2], HasSubstr("BTC-USDT-SWAP"));
  run_to(2s);
  EXPECT_THAT(pushes(1, "trades"), testing::Not(IsEmpty()));
  exchange->text(
      1,
      R"({"op":"unsubscribe","args":[{"channel":"trades","instId":"BTC-USDT"},{"channel":"trades","instId":"BTC-USDT-SWAP"}]})");
  EXPECT_THAT(inbox.take(1).back(),
              StartsWith(R"({"event":"unsubscribe","arg":{"channel":"trades","instId":"BTC-USDT-SWAP"},)"));
  run_to(4s);
  EXPECT_THAT(inbox.take(1), IsEmpty());
}

TEST_F(SimulatedOkx, ChannelsOfTheOtherPathAreRefused) {
  make();
  EXPECT_FALSE(exchange->open(9, "/ws/v5/private"));
  EXPECT_FALSE(exchange->open(9, "/ws"));
  ASSERT_TRUE(exchange->open(1, "/ws/v5/public"));
  ASSERT_TRUE(exchange->open(2, "/ws/v5/business"));
  subscribe(1, "trades-all", "BTC-USDT");
  subscribe(2, "books", "BTC-USDT");
  EXPECT_THAT(inbox.take(1).at(0), HasSubstr("60018"));
  EXPECT_THAT(inbox.take(2).at(0), HasSubstr("60018"));
  subscribe(1, "funding-rate", "BTC-USDT");
  subscribe(1, "nonsense", "BTC-USDT");
  subscribe(1, "liquidation-orders", "SPOT", "instType");
  for (const auto& message : inbox.take(1)) EXPECT_THAT(message, HasSubstr("60018"));
}

TEST_F(SimulatedOkx, PingIsAnsweredInPlainTextAndNonsenseWithAnError) {
  make();
  ASSERT_TRUE(exchange->open(1, "/ws/v5/public"));
  exchange->text(1, "ping");
  EXPECT_THAT(inbox.take(1), ElementsAre("pong"));
  for (const char* bad :
       {"{", "[]", R"({"op":"fly","args":[{"channel":"books"}]})", R"({"op":"subscribe"})",
        R"({"op":"subscribe","args":[]})", R"({"op":"subscribe","args":[1]})",
        R"({"id":"too_strange!","op":"subscribe","args":[{"channel":"books","instId":"BTC-USDT"}]})"}) {
    exchange->text(1, bad);
    EXPECT_THAT(inbox.take(1).at(0), AllOf(HasSubstr(R"("event":"error")"), HasSubstr("60012"))) << bad;
  }
}

TEST_F(SimulatedOkx, RequestsAreLimitedPerHour) {
  options.limits.requests_per_hour = 3;
  make();
  ASSERT_TRUE(exchange->open(1, "/ws/v5/public"));
  for (int i = 0; i < 4; ++i) subscribe(1, "tickers", "BTC-USDT");
  EXPECT_THAT(inbox.take(1).back(), HasSubstr("60014"));
}

TEST_F(SimulatedOkx, AConnectionThatIsSentNothingIsClosed) {
  make();
  ASSERT_TRUE(exchange->open(1, "/ws/v5/public"));
  ASSERT_TRUE(exchange->open(2, "/ws/v5/public"));
  ASSERT_TRUE(exchange->open(3, "/ws/v5/public"));
  subscribe(2, "trades", "BTC-USDT");
  for (int second = 1; second <= 40; ++second) {
    run_to(std::chrono::seconds{second});
    if (second % 20 == 0) exchange->text(3, "ping");
  }
  EXPECT_EQ(inbox.closed.count(1), 1U);
  EXPECT_EQ(inbox.closed.count(2), 0U);
  EXPECT_EQ(inbox.closed.count(3), 0U) << "a pong is something";
}

TEST_F(SimulatedOkx, SnapshotAndUpdatesMakeTheBookOfTheLedger) {
  make(3000);
  for (ClientId id = 1; id <= 3; ++id) {
    ASSERT_TRUE(exchange->open(id, "/ws/v5/public"));
    // At moments of their own: all see one sequence.
    run_to(id * 333ms);
    for (const char* name : {"BTC-USDT", "BTC-USDT-SWAP", "BTC-USD-SWAP", "BTC-USD-261225-70000-C"})
      subscribe(id, "books", name);
  }
  run_to(4s);
  exchange->finish(kStart + 4s);
  const auto books = ledger.of_type("orderbook");
  ASSERT_EQ(books.size(), 4U);
  for (const auto& line : books) {
    dom::parser parser;
    const dom::element told = parser.parse(line);
    const std::string instrument = text_of(told["instrument"]);
    for (ClientId id = 1; id <= 3; ++id) {
      ClientBook book;
      for (const auto& message : inbox.messages[id])
        if (message.starts_with(R"({"arg":{"channel":"books","instId":")" + instrument + "\"")) {
          book.take(message);
          if (HasFatalFailure()) FAIL() << instrument << ": " << message;
        }
      EXPECT_GT(book.updates, 4) << instrument;
      EXPECT_EQ(book.last, std::int64_t{told["last_update_id"]});
      if (instrument == "BTC-USDT") {
        EXPECT_EQ(book.text(), levels_of(told, 2));
      }
      EXPECT_EQ(book.bids.size(), dom::array{told["bids"]}.size());
    }
    // Sizes are contracts on the wire and coins or dollars in an event.
    const double size = std::stod(text_of(dom::array{told["bids"]}.at(0).at(1)));
    if (instrument == "BTC-USD-SWAP") {
      EXPECT_EQ(text_of(told["quantity_unit"]), "quote");
      EXPECT_EQ(static_cast<std::int64_t>(size) % 100, 0) << "dollars, a hundred for each contract";
    }
  }
}

TEST_F(SimulatedOkx, AQuietBookIsKeptAliveAndASequenceBeginsAnewNowAndThen) {
  options.limits.keep_alive = 1s;
  options.limits.reset_every = 20s;
  make(1);
  ASSERT_TRUE(exchange->open(1, "/ws/v5/public"));
  subscribe(1, "books", "BTC-USDT-SWAP");
  run_to(1200s);
  ClientBook book;
  for (const auto& message : pushes(1, "books")) {
    book.take(message);
    if (HasFatalFailure()) FAIL() << message;
  }
  EXPECT_GT(book.keep_alives, 100);
  EXPECT_GT(book.resets, 2);
}

TEST_F(SimulatedOkx, RestBookContinuesWithTheChannel) {
  make(3000);
  ASSERT_TRUE(exchange->open(1, "/ws/v5/public"));
  subscribe(1, "books", "BTC-USDT");
  run_to(1s);
  const auto answer = get("/api/v5/market/books?instId=BTC-USDT&sz=400", 1s);
  dom::parser parser;
  const dom::element row = dom::element(parser.parse(answer.body))["data"].at(0);
  ClientBook book;
  for (const auto& message : pushes(1, "books")) book.take(message);
  EXPECT_EQ(book.last, std::int64_t{row["seqId"]});
  EXPECT_EQ(book.text(), levels_of(row, 4));
  EXPECT_THAT(get("/api/v5/market/books?instId=NOPE").body, HasSubstr("51001"));
}

TEST_F(SimulatedOkx, TradesAreMergedAndTradesAllAreNot) {
  make(3000);
  ASSERT_TRUE(exchange->open(1, "/ws/v5/public"));
  ASSERT_TRUE(exchange->open(2, "/ws/v5/business"));
  subscribe(1, "trades", "BTC-USDT-SWAP");
  subscribe(2, "trades-all", "BTC-USDT-SWAP");
  run_to(3s);
  dom::parser parser;
  std::uint64_t next = 0;
  std::map<std::uint64_t, Decimal> sums;  // by the last id
  for (const auto& message : pushes(1, "trades")) {
    const dom::element row = dom::element(parser.parse(message))["data"].at(0);
    const auto id = std::stoull(text_of(row["tradeId"]));
    const auto count = std::stoull(text_of(row["count"]));
    if (next != 0) {
      EXPECT_EQ(id - count + 1, next) << "ids are contiguous";
    }
    next = id + 1;
    sums[id] = *Decimal::parse(std::string_view{row["sz"]});
  }
  ASSERT_GT(sums.size(), 50U);
  std::uint64_t fill = 0;
  for (const auto& message : pushes(2, "trades-all")) {
    const dom::element row = dom::element(parser.parse(message))["data"].at(0);
    EXPECT_TRUE(row["count"].error() != simdjson::SUCCESS);
    const auto id = std::stoull(text_of(row["tradeId"]));
    if (fill != 0) {
      EXPECT_EQ(id, fill + 1);
    }
    fill = id;
  }
  EXPECT_EQ(fill + 1, next);

  // The ledger: one line for each of both series, in coins with the count of contracts.
  std::size_t merged = 0, single = 0;
  for (const auto& line : ledger.of_type("trade")) {
    const dom::element event = parser.parse(line);
    const bool is_merged = event["first_trade_id"].error() == simdjson::SUCCESS;
    (is_merged ? merged : single) += 1;
    if (is_merged) {
      const auto wire = sums.at(std::stoull(text_of(event["trade_id"])));
      EXPECT_EQ(text_of(event["contracts"]), wire.text());
      EXPECT_EQ(text_of(event["quantity"]), Decimal::from_parts(wire.mantissa(), wire.scale() + 2).text());
    }
  }
  EXPECT_EQ(merged, sums.size());
  EXPECT_EQ(single, pushes(2, "trades-all").size());

  // Back-fill: newest first, `after` is older than.
  const auto answer =
      get("/api/v5/market/history-trades?instId=BTC-USDT-SWAP&type=1&limit=3&after=" + std::to_string(fill), 3s);
  const dom::array rows = dom::element(parser.parse(answer.body))["data"];
  ASSERT_EQ(rows.size(), 3U);
  EXPECT_EQ(text_of(rows.at(0)["tradeId"]), std::to_string(fill - 1));
  EXPECT_EQ(text_of(rows.at(2)["tradeId"]), std::to_string(fill - 3));
}

TEST_F(SimulatedOkx, FundingAndOpenInterestAreToldAndStandInTheLedger) {
  make();
  ASSERT_TRUE(exchange->open(1, "/ws/v5/public"));
  subscribe(1, "funding-rate", "BTC-USDT-SWAP");
  subscribe(1, "open-interest", "BTC-USD-SWAP");
  run_to(130s);
  const auto funding = pushes(1, "funding-rate");
  ASSERT_GE(funding.size(), 3U) << "one at once, then one a minute";
  dom::parser parser, other;
  const dom::element row = dom::element(parser.parse(funding.back()))["data"].at(0);
  EXPECT_EQ(text_of(row["method"]), "current_period");
  EXPECT_EQ(text_of(row["nextFundingRate"]), "");
  EXPECT_EQ(text_of(row["fundingTime"]), "1795420800000");  // 2026-11-23T08:00:00Z
  EXPECT_EQ(text_of(row["nextFundingTime"]), "1795449600000");
  const auto lines = ledger.of_type("funding_rate");
  ASSERT_EQ(lines.size(), funding.size());
  const dom::element event = other.parse(lines.back());
  EXPECT_EQ(text_of(event["funding_rate"]), text_of(row["fundingRate"]));
  EXPECT_EQ(text_of(event["funding_time"]), "2026-11-23T08:00:00.000000000Z");
  EXPECT_EQ(text_of(event["next_funding_time"]), "2026-11-23T16:00:00.000000000Z");

  const auto interest = pushes(1, "open-interest");
  EXPECT_GE(interest.size(), 40U);
  const dom::element oi = dom::element(parser.parse(interest.back()))["data"].at(0);
  const auto told = ledger.of_type("open_interest");
  ASSERT_EQ(told.size(), interest.size());
  const dom::element line = other.parse(told.back());
  EXPECT_EQ(text_of(line["contracts"]), text_of(oi["oi"]));
  EXPECT_EQ(text_of(line["open_interest"]), text_of(oi["oiUsd"])) << "an inverse contract counts in dollars";
  EXPECT_EQ(text_of(line["quantity_unit"]), "quote");
  EXPECT_EQ(text_of(line["open_interest_value"]), text_of(oi["oiUsd"]));

  const auto history = get("/api/v5/public/funding-rate-history?instId=BTC-USDT-SWAP&limit=3", 130s);
  const dom::array rows = dom::element(parser.parse(history.body))["data"];
  ASSERT_EQ(rows.size(), 3U);
  EXPECT_EQ(text_of(rows.at(0)["fundingTime"]), "1795392000000") << "newest first";
  EXPECT_EQ(text_of(rows.at(1)["fundingTime"]), "1795363200000");
  EXPECT_FALSE(text_of(rows.at(0)["realizedRate"]).empty());
  const auto before = ledger.lines.size();
  get("/api/v5/public/funding-rate-history?instId=BTC-USDT-SWAP&limit=3", 130s);
  EXPECT_EQ(ledger.lines.size(), before) << "what was told stands there once";
}

TEST_F(SimulatedOkx, LiquidationsComeForAKindOfInstrumentsAndBeginWithAnOldOne) {
  make(20'000);
  ASSERT_TRUE(exchange->open(1, "/ws/v5/public"));
  subscribe(1, "liquidation-orders", "SWAP", "instType");
  auto first = pushes(1, "liquidation-orders");
  ASSERT_EQ(first.size(), 1U);
  dom::parser parser, other;
  const dom::element old = dom::element(parser.parse(first[0]))["data"].at(0)["details"].at(0);
  EXPECT_LT(std::stoll(text_of(old["ts"])), nanos_since_epoch(kStart) / 1'000'000 - 600'000);
  EXPECT_EQ(ledger.of_type("liquidation").size(), 1U);
  run_to(10s);
  const auto all = pushes(1, "liquidation-orders");
  const auto lines = ledger.of_type("liquidation");
  ASSERT_GT(all.size(), 4U);
  ASSERT_EQ(lines.size(), all.size());
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const dom::element row = dom::element(parser.parse(all[i]))["data"].at(0);
    const dom::element detail = row["details"].at(0);
    const dom::element event = other.parse(lines[i]);
    EXPECT_EQ(text_of(event["side"]), text_of(detail["side"]));
    EXPECT_EQ(text_of(detail["posSide"]), text_of(detail["side"]) == "sell" ? "long" : "short");
    EXPECT_EQ(text_of(event["price"]), text_of(detail["bkPx"]));
    EXPECT_EQ(text_of(event["contracts"]), text_of(detail["sz"]));
    EXPECT_EQ(text_of(event["coverage"]), "sampled");
    EXPECT_EQ(text_of(row["instType"]), "SWAP");
  }
}

TEST_F(SimulatedOkx, RatiosAreTheNewestFirstAndOfTheRightHolders) {
  make();
  const std::string path = "/api/v5/rubik/stat/contracts/long-short-";
  dom::parser parser;
  const auto answer = get(path + "position-ratio-contract-top-trader?instId=BTC-USDT-SWAP&period=5m&limit=3", 60s);
  const dom::array rows = dom::element(parser.parse(answer.body))["data"];
  ASSERT_EQ(rows.size(), 3U);
  EXPECT_EQ(text_of(rows.at(0).at(0)), "1795406100000") << "03:55: the five minutes that are over";
  EXPECT_EQ(text_of(rows.at(1).at(0)), "1795405800000");
  ASSERT_EQ(ledger.of_type("lsr_top_position").size(), 3U);
  EXPECT_THAT(ledger.lines.back(), HasSubstr("\"timestamp\":\"2026-11-23T03:55:00.000000000Z\""));
  EXPECT_THAT(ledger.lines.back(),
              HasSubstr("\"long_short_ratio\":\"" + Decimal::parse(std::string_view{rows.at(0).at(1)})->text() + "\""));
  get(path + "account-ratio-contract-top-trader?instId=BTC-USDT-SWAP&period=5m", 60s);
  EXPECT_EQ(ledger.lines.size(), 3U) << "accounts of top traders are none of the product's types";
  get(path + "account-ratio-contract?instId=BTC-USDT-SWAP&period=1H&limit=2", 60s);
  EXPECT_EQ(ledger.of_type("lsr_all_account").size(), 2U);
  EXPECT_THAT(get(path + "account-ratio-contract?instId=BTC-USDT-SWAP&period=7m").body, HasSubstr("51000"));
}

TEST_F(SimulatedOkx, InstrumentsSayWhatAContractIs) {
  make();
  dom::parser parser;
  const auto list = [&](const std::string& query) {
    return dom::array{dom::element(parser.parse(get("/api/v5/public/instruments?" + query).body))["data"]};
  };
  const auto swaps = list("instType=SWAP");
  ASSERT_EQ(swaps.size(), 4U);
  EXPECT_EQ(text_of(swaps.at(0)["instId"]), "BTC-USDT-SWAP");
  EXPECT_EQ(text_of(swaps.at(0)["ctVal"]), "0.01");
  EXPECT_EQ(text_of(swaps.at(0)["ctValCcy"]), "BTC");
  EXPECT_EQ(text_of(swaps.at(0)["ctType"]), "linear");
  EXPECT_EQ(text_of(swaps.at(0)["lotSz"]), "0.01");
  EXPECT_EQ(text_of(swaps.at(0)["tickSz"]), "0.1");
  EXPECT_EQ(text_of(swaps.at(2)["instId"]), "BTC-USD-SWAP");
  EXPECT_EQ(text_of(swaps.at(2)["ctVal"]), "100");
  EXPECT_EQ(text_of(swaps.at(2)["ctValCcy"]), "USD");
  EXPECT_EQ(text_of(swaps.at(2)["ctType"]), "inverse");
  std::map<std::string, std::string> futures;
  for (const auto f : list("instType=FUTURES")) futures[text_of(f["instId"])] = text_of(f["ruleType"]);
  EXPECT_EQ(futures.at("BTC-USD-261225"), "normal");
  EXPECT_EQ(futures.at("BTC-USDT-261225"), "normal");
  EXPECT_EQ(futures.at("BTC-USD_UM_XPERP-310404"), "xperp");
  EXPECT_EQ(get("/api/v5/public/instruments?instType=OPTION").status, 400) << "the family is mandatory";
  const auto options_list = list("instType=OPTION&instFamily=BTC-USD");
  ASSERT_EQ(options_list.size(), 1U);
  EXPECT_EQ(text_of(options_list.at(0)["stk"]), "70000");
  EXPECT_EQ(text_of(options_list.at(0)["ctMult"]), "0.01");
  const auto spot = list("instType=SPOT");
  ASSERT_EQ(spot.size(), 3U);
  EXPECT_EQ(text_of(spot.at(0)["baseCcy"]), "BTC");
}

TEST_F(SimulatedOkx, RestIsLimitedByEndpointInWindowsOfTwoSeconds) {
  make();
  int refused = 0;
  for (int i = 0; i < 25; ++i) {
    const auto answer = get("/api/v5/public/instruments?instType=SPOT", 1s);
    if (answer.status != 429) continue;
    ++refused;
    EXPECT_THAT(answer.body, HasSubstr(R"("code":"50011")"));
  }
  EXPECT_EQ(refused, 5);
  EXPECT_EQ(get("/api/v5/market/tickers?instType=SPOT", 1s).status, 200) << "another endpoint";
  EXPECT_EQ(get("/api/v5/public/instruments?instType=SPOT", 2s).status, 200) << "another window";
  EXPECT_EQ(get("/api/v5/nothing").status, 404);
}

TEST_F(SimulatedOkx, RefusesWhatItIsToldToAndSaysGoodbye) {
  options.refuse = {"trades:BTC-USDT-SWAP"};
  make();
  ASSERT_TRUE(exchange->open(1, "/ws/v5/public"));
  subscribe(1, "trades", "BTC-USDT-SWAP");
  subscribe(1, "trades", "ETH-USDT-SWAP");
  const auto answers = inbox.take(1);
  EXPECT_THAT(answers.at(0), HasSubstr("60018"));
  EXPECT_THAT(answers.at(1), HasSubstr(R"("event":"subscribe")"));
  EXPECT_THAT(exchange->farewell(1, kStart), AllOf(HasSubstr(R"("event":"notice")"), HasSubstr(R"("code":"64008")")));
}

TEST_F(SimulatedOkx, SameSeedAndStartGiveTheSameMessagesAndLedger) {
  const auto run = [&](std::uint64_t seed) {
    ledger.lines.clear();
    inbox.messages.clear();
    make(2000, seed);
    EXPECT_TRUE(exchange->open(1, "/ws/v5/public"));
    for (const char* channel : {"books", "trades", "funding-rate", "open-interest", "tickers", "mark-price"})
      subscribe(1, channel, "BTC-USDT-SWAP");
    run_to(5s);
    exchange->finish(kStart + 5s);
    auto all = inbox.take(1);
    all.insert(all.end(), ledger.lines.begin(), ledger.lines.end());
    return all;
  };
  const auto first = run(11);
  EXPECT_GT(first.size(), 500U);
  EXPECT_EQ(first, run(11));
  EXPECT_NE(first, run(12));
}

TEST(OkxListing, NamesAreUniqueAndThereAreMoreThanFiftyOfEachMarket) {
  std::set<std::string> instruments, canonical;
  int spot = 0, derivatives = 0;
  for (const auto& s : all_symbols(kStart)) {
    EXPECT_TRUE(instruments.insert(s.instrument).second) << s.instrument;
    EXPECT_TRUE(canonical.insert(std::string(to_string(s.kind)) + s.canonical()).second) << s.canonical();
    (s.kind == Kind::spot ? spot : derivatives) += 1;
  }
  EXPECT_GT(spot, 50);
  EXPECT_GT(derivatives, 50);
  EXPECT_EQ(canonical.count("perpetualBTC-USD_UM_XPERP"), 1U);
}

}  // namespace
}  // namespace mp::sim::okx
