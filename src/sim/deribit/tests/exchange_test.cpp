// What Deribit's documentation says that it does (API v2, as of 2026-08), asked of the simulation.
#include "sim/deribit/exchange.hpp"

#include <gmock/gmock.h>
#include <simdjson.h>

#include <charconv>
#include <cmath>
#include <map>
#include <set>

#include "base/decimal.hpp"
#include "sim/deribit/listing.hpp"
#include "sim/dialect/tests/support.hpp"

namespace mp::sim::deribit {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;
namespace dom = simdjson::dom;

const WallTime kStart = *parse_iso("2026-11-23T04:00:10Z");

std::string text_of(const dom::element& e) { return std::string(std::string_view{e}); }
// The shortest text of a number: the one it was sent with, as none here has more than fifteen digits.
std::string raw(const dom::element& e) {
  char text[64];
  const auto end = std::to_chars(text, text + sizeof text, double{e}, std::chars_format::fixed).ptr;
  return {text, end};
}

struct SimulatedDeribit : testing::Test {
  void make(int rate = 500, std::uint64_t seed = 5) {
    options.market = {seed, kStart, rate};
    auto symbols = all_symbols(kStart);
    symbols.resize(12);
    exchange = std::make_unique<Exchange>(std::move(symbols), options, inbox, &ledger);
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
  std::string call(ClientId client, const std::string& method, const std::string& params) {
    const auto before = inbox.messages[client].size();
    exchange->text(client, R"({"jsonrpc":"2.0","id":7,"method":")" + method + R"(","params":)" + params + "}");
    return inbox.messages[client].at(before);
  }
  std::string subscribe(ClientId client, const std::string& channels) {
    return call(client, "public/subscribe", R"({"channels":[)" + channels + "]}");
  }
  std::vector<std::string> pushes(ClientId client, const std::string& channel) {
    std::vector<std::string> out;
    for (const auto& message : inbox.messages[client])
      if (message.starts_with(R"({"jsonrpc":"2.0","method":"subscription","params":{"channel":")" + channel + "\""))
        out.push_back(message);
    return out;
  }

  ExchangeOptions options;
  test::Inbox inbox;
  test::Lines ledger;
  std::unique_ptr<Exchange> exchange;
};

// Kept by the rules of the documentation alone; numbers by their text.
class ClientBook {
 public:
  void take(const dom::element& data) {
    const auto id = std::uint64_t{data["change_id"]};
    if (text_of(data["type"]) == "snapshot") {
      EXPECT_NE(data["prev_change_id"].error(), simdjson::SUCCESS);
      bids.clear();
      asks.clear();
    } else {
      ASSERT_EQ(std::uint64_t{data["prev_change_id"]}, last);
      ASSERT_GT(id, last);
      ++changes;
    }
    last = id;
    apply(bids, data["bids"]);
    apply(asks, data["asks"]);
    if (!bids.empty() && !asks.empty()) {
      ASSERT_LT(bids.rbegin()->first, asks.begin()->first) << "crossed";
    }
  }
  std::string text() const {
    std::string out;
    for (auto it = bids.rbegin(); it != bids.rend(); ++it) out += it->first.text() + " " + it->second.text() + "\n";
    for (const auto& [price, amount] : asks) out += price.text() + " " + amount.text() + "\n";
    return out;
  }
  using Levels = std::map<Decimal, Decimal>;
  Levels bids, asks;
  std::uint64_t last = 0;
  int changes = 0;

 private:
  static void apply(Levels& levels, dom::array rows) {
    for (const dom::array row : rows) {
      ASSERT_EQ(row.size(), 3U);
      const auto action = text_of(row.at(0));
      const auto price = *Decimal::parse(raw(row.at(1)));
      const auto amount = *Decimal::parse(raw(row.at(2)));
      if (action == "new") {
        EXPECT_TRUE(levels.emplace(price, amount).second) << "new, but there already: " << price.text();
      } else if (action == "change") {
        ASSERT_EQ(levels.count(price), 1U);
        levels[price] = amount;
      } else {
        ASSERT_EQ(action, "delete");
        EXPECT_TRUE(amount.is_zero());
        EXPECT_EQ(levels.erase(price), 1U);
      }
    }
  }
};

TEST_F(SimulatedDeribit, TheAnswerToASubscriptionListsOnlyWhatExists) {
  make();
  EXPECT_FALSE(exchange->open(9, "/ws/api/v1"));
  ASSERT_TRUE(exchange->open(1, "/ws/api/v2"));
  const auto answer =
      subscribe(1, R"("trades.BTC-PERPETUAL.100ms","book.NOPE.100ms","ticker.BTC-PERPETUAL.100ms","nonsense")");
  EXPECT_THAT(
      answer,
      StartsWith(R"({"jsonrpc":"2.0","id":7,"result":["trades.BTC-PERPETUAL.100ms","ticker.BTC-PERPETUAL.100ms"],)"));
  for (const char* part : {"\"usIn\":", "\"usOut\":", "\"usDiff\":", "\"testnet\":false"})
    EXPECT_THAT(answer, HasSubstr(part));
  EXPECT_THAT(
      subscribe(1, R"("book.BTC-PERPETUAL.raw","trades.ETH-PERPETUAL.100ms")"),
      AllOf(HasSubstr(R"("error":{"code":13778,)"), HasSubstr("raw_subscriptions_not_available_for_unauthorized")));
  run_to(2s);
  EXPECT_THAT(pushes(1, "trades.ETH-PERPETUAL.100ms"), IsEmpty()) << "the whole request was refused";
  EXPECT_THAT(
      call(1, "public/unsubscribe", R"({"channels":["trades.BTC-PERPETUAL.100ms","book.ETH-PERPETUAL.100ms"]})"),
      HasSubstr(R"("result":["trades.BTC-PERPETUAL.100ms"])"));
  const auto before = pushes(1, "trades.BTC-PERPETUAL.100ms").size();
  EXPECT_GT(before, 0U);
  run_to(4s);
  EXPECT_EQ(pushes(1, "trades.BTC-PERPETUAL.100ms").size(), before);
}

TEST_F(SimulatedDeribit, MalformedRequestsAreAnsweredWithTheirCode) {
  make();
  ASSERT_TRUE(exchange->open(1, "/ws/api/v2"));
  exchange->text(1, "{");
  exchange->text(1, R"({"id":1})");
  EXPECT_THAT(inbox.take(1), ElementsAre(HasSubstr("-32700"), HasSubstr("-32600")));
  EXPECT_THAT(call(1, "public/fly", "{}"), HasSubstr("-32601"));
  EXPECT_THAT(call(1, "public/set_heartbeat", R"({"interval":5})"), HasSubstr("-32602"));
  EXPECT_THAT(call(1, "public/ticker", R"({"instrument_name":"NOPE"})"), HasSubstr("13020"));
  EXPECT_THAT(call(1, "public/get_time", "{}"), HasSubstr(R"("id":7,"result":1795406410000,)"));
}

TEST_F(SimulatedDeribit, ATestRequestThatIsNotAnsweredEndsTheConnection) {
  make(10);
  ASSERT_TRUE(exchange->open(1, "/ws/api/v2"));
  ASSERT_TRUE(exchange->open(2, "/ws/api/v2"));
  ASSERT_TRUE(exchange->open(3, "/ws/api/v2"));
  EXPECT_THAT(call(1, "public/set_heartbeat", R"({"interval":10})"), HasSubstr(R"("result":"ok")"));
  call(2, "public/set_heartbeat", R"({"interval":10})");
  std::size_t seen = 0;
  for (int second = 1; second <= 60; ++second) {
    run_to(std::chrono::seconds{second});
    // The first answers, the second does not, the third never asked for heartbeats.
    for (; seen < inbox.messages[1].size(); ++seen)
      if (inbox.messages[1][seen].find("test_request") != std::string::npos) {
        exchange->text(1, R"({"jsonrpc":"2.0","id":3,"method":"public/test","params":{}})");
      }
  }
  EXPECT_EQ(inbox.closed.count(1), 0U);
  EXPECT_EQ(inbox.closed.count(2), 1U);
  EXPECT_EQ(inbox.closed.count(3), 0U);
  EXPECT_THAT(inbox.messages[1],
              testing::Contains(R"({"jsonrpc":"2.0","method":"heartbeat","params":{"type":"heartbeat"}})"));
}

TEST_F(SimulatedDeribit, SnapshotAndChangesMakeTheBookOfTheLedger) {
  make(3000);
  const std::vector<std::string> names{"BTC-PERPETUAL", "BTC_USDC-PERPETUAL", "BTC-25DEC26", "BTC-25DEC26-70000-C",
                                       "BTC_USDC"};
  for (ClientId id = 1; id <= 2; ++id) {
    ASSERT_TRUE(exchange->open(id, "/ws/api/v2"));
    run_to(id * 333ms);
    for (const auto& name : names) subscribe(id, "\"book." + name + ".100ms\"");
  }
  run_to(4s);
  exchange->finish(kStart + 4s);
  const auto lines = ledger.of_type("orderbook");
  ASSERT_EQ(lines.size(), names.size());
  for (const auto& line : lines) {
    dom::parser parser, other;
    const dom::element told = parser.parse(line);
    const auto name = text_of(told["instrument"]);
    for (ClientId id = 1; id <= 2; ++id) {
      ClientBook book;
      for (const auto& message : pushes(id, "book." + name + ".100ms")) {
        book.take(dom::element(other.parse(message))["params"]["data"]);
        if (HasFatalFailure()) FAIL() << name;
      }
      EXPECT_GT(book.changes, 4) << name;
      EXPECT_EQ(book.last, std::uint64_t{told["last_update_id"]});
      std::string wanted;
      for (const char* side : {"bids", "asks"})
        for (const dom::array level : dom::array{told[side]})
          wanted += text_of(level.at(0)) + " " + text_of(level.at(1)) + "\n";
      EXPECT_EQ(book.text(), wanted) << name << ": amounts are quantities as they are";
    }
    const bool in_dollars = name == "BTC-PERPETUAL" || name == "BTC-25DEC26";
    EXPECT_EQ(told["quantity_unit"].error() == simdjson::SUCCESS, in_dollars) << name;
  }
}

TEST_F(SimulatedDeribit, TradesAreArraysWithContiguousSequencesAndLiquidationsInThem) {
  make(20'000);
  ASSERT_TRUE(exchange->open(1, "/ws/api/v2"));
  ASSERT_TRUE(exchange->open(2, "/ws/api/v2"));
  subscribe(1, R"("trades.BTC-PERPETUAL.100ms")");
  subscribe(2, R"("trades.future.any.100ms","trades.option.BTC.100ms")");
  run_to(10s);
  dom::parser parser;
  std::uint64_t next = 0, rows = 0, liquidations = 0;
  std::map<std::string, std::string> flags;
  for (const auto& message : pushes(1, "trades.BTC-PERPETUAL.100ms"))
    for (const auto row : dom::array{dom::element(parser.parse(message))["params"]["data"]}) {
      const auto seq = std::uint64_t{row["trade_seq"]};
      if (next != 0) {
        EXPECT_EQ(seq, next);
      }
      next = seq + 1;
      ++rows;
      EXPECT_EQ(text_of(row["trade_id"]).find('-'), std::string::npos) << "plain numbers for BTC";
      EXPECT_EQ(std::fmod(double{row["amount"]}, 10.0), 0.0) << "dollars, ten for each contract";
      EXPECT_EQ(double{row["contracts"]} * 10, double{row["amount"]});
      EXPECT_EQ(std::fmod(double{row["price"]} * 2, 1.0), 0.0) << "ticks of half a dollar";
      std::string_view flag;
      if (row["liquidation"].get(flag) != simdjson::SUCCESS) continue;
      flags[text_of(row["trade_id"])] = std::string(flag) + " " + text_of(row["direction"]);
      liquidations += flag == "MT" ? 2U : 1U;
    }
  std::uint64_t trades = 0, told = 0;
  for (const auto& line : ledger.lines) {
    const dom::element event = parser.parse(line);
    if (text_of(event["instrument"]) != "BTC-PERPETUAL") continue;
    if (text_of(event["type"]) == "trade") ++trades;
    if (text_of(event["type"]) != "liquidation") continue;
    ++told;
    EXPECT_EQ(text_of(event["coverage"]), "complete");
  }
  EXPECT_EQ(trades, rows);
  EXPECT_EQ(told, liquidations);
  std::set<std::string> kinds;
  for (const auto& [id, flag] : flags) kinds.insert(flag.substr(0, flag.find(' ')));
  EXPECT_TRUE(kinds.count("T")) << "the usual ones";
  EXPECT_FALSE(pushes(2, "trades.future.any.100ms").empty());
  EXPECT_FALSE(pushes(2, "trades.option.BTC.100ms").empty());

  const auto answer =
      get("/api/v2/public/get_last_trades_by_instrument?instrument_name=BTC-PERPETUAL&start_seq=" +
              std::to_string(next - 5) + "&end_seq=" + std::to_string(next - 1) + "&sorting=asc&count=3",
          10s);
  const dom::element result = dom::element(parser.parse(answer.body))["result"];
  ASSERT_EQ(dom::array{result["trades"]}.size(), 3U);
  EXPECT_EQ(std::uint64_t{result["trades"].at(0)["trade_seq"]}, next - 5);
  EXPECT_TRUE(bool{result["has_more"]});
}

TEST_F(SimulatedDeribit, ALiquidatedMakerStandsOnTheOtherSide) {
  make(50'000);
  ASSERT_TRUE(exchange->open(1, "/ws/api/v2"));
  subscribe(1, R"("trades.any.any.100ms")");
  run_to(20s);
  dom::parser parser;
  std::map<std::string, std::vector<std::string>> wanted;  // by instrument, time and price
  std::set<std::string> kinds;
  std::size_t wanted_count = 0;
  for (const auto& message : pushes(1, "trades.any.any.100ms"))
    for (const auto row : dom::array{dom::element(parser.parse(message))["params"]["data"]}) {
      std::string_view flag;
      if (row["liquidation"].get(flag) != simdjson::SUCCESS) continue;
      kinds.insert(std::string(flag));
      const std::string side = text_of(row["direction"]), other = side == "buy" ? "sell" : "buy";
      if (flag != "M") wanted[text_of(row["instrument_name"])].push_back(side);
      if (flag != "T") wanted[text_of(row["instrument_name"])].push_back(other);
      wanted_count += flag == "MT" ? 2U : 1U;
    }
  EXPECT_EQ(kinds, (std::set<std::string>{"M", "MT", "T"}));
  std::map<std::string, std::vector<std::string>> told;
  for (const auto& line : ledger.of_type("liquidation")) {
    const dom::element event = parser.parse(line);
    told[text_of(event["instrument"])].push_back(text_of(event["side"]));
  }
  EXPECT_EQ(told, wanted);
  EXPECT_GT(wanted_count, 100U);
}

TEST_F(SimulatedDeribit, TickersTellFundingAndOpenInterest) {
  make();
  ASSERT_TRUE(exchange->open(1, "/ws/api/v2"));
  subscribe(1, R"("ticker.BTC-PERPETUAL.100ms","ticker.BTC-25DEC26-70000-C.100ms","perpetual.BTC-PERPETUAL.100ms")");
  run_to(10s);
  dom::parser parser, other;
  const auto tickers = pushes(1, "ticker.BTC-PERPETUAL.100ms");
  ASSERT_GT(tickers.size(), 9U);
  const dom::element data = dom::element(parser.parse(tickers.back()))["params"]["data"];
  const auto funding = ledger.of_type("funding_rate");
  ASSERT_FALSE(funding.empty());
  const dom::element event = other.parse(funding.back());
  EXPECT_EQ(text_of(event["funding_rate"]), Decimal::parse(raw(data["current_funding"]))->text());
  EXPECT_EQ(text_of(event["funding_interval_hours"]), "8");
  EXPECT_NE(event["funding_time"].error(), simdjson::SUCCESS) << "it is charged every moment";
  std::string interest;
  for (const auto& line : ledger.of_type("open_interest"))
    if (line.find("\"BTC-PERPETUAL\"") != line.npos) interest = line;
  const dom::element oi = other.parse(interest);
  EXPECT_EQ(text_of(oi["open_interest"]), Decimal::parse(raw(data["open_interest"]))->text());
  EXPECT_EQ(text_of(oi["quantity_unit"]), "quote");
  EXPECT_EQ(pushes(1, "perpetual.BTC-PERPETUAL.100ms").size(), 10U);
  const auto option = pushes(1, "ticker.BTC-25DEC26-70000-C.100ms");
  ASSERT_FALSE(option.empty());
  const dom::element o = dom::element(parser.parse(option.back()))["params"]["data"];
  EXPECT_NE(o["current_funding"].error(), simdjson::SUCCESS);
  EXPECT_EQ(o["greeks"].error(), simdjson::SUCCESS);
  for (const auto& line : ledger.of_type("funding_rate")) EXPECT_THAT(line, HasSubstr("\"BTC-PERPETUAL\""));
}

TEST_F(SimulatedDeribit, FundingHistoryIsHourlyAndOldestFirst) {
  make();
  dom::parser parser;
  const auto end = nanos_since_epoch(kStart) / 1'000'000;
  const auto target = "/api/v2/public/get_funding_rate_history?instrument_name=BTC-PERPETUAL&start_timestamp=" +
                      std::to_string(end - 3 * 3'600'000) + "&end_timestamp=" + std::to_string(end);
  const dom::array rows = dom::element(parser.parse(get(target).body))["result"];
  ASSERT_EQ(rows.size(), 3U);
  EXPECT_EQ(std::int64_t{rows.at(0)["timestamp"]}, 1795399200000) << "02:00";
  EXPECT_EQ(std::int64_t{rows.at(2)["timestamp"]}, 1795406400000) << "04:00";
  const auto lines = ledger.of_type("funding_rate");
  ASSERT_EQ(lines.size(), 3U);
  dom::parser other;
  const dom::element event = other.parse(lines[0]);
  EXPECT_TRUE(bool{event["is_settled"]});
  EXPECT_EQ(text_of(event["funding_rate"]), Decimal::parse(raw(rows.at(0)["interest_1h"]))->text());
  EXPECT_EQ(text_of(event["funding_interval_hours"]), "1");
  get(target);
  EXPECT_EQ(ledger.lines.size(), 3U) << "what was told stands there once";
  EXPECT_THAT(get("/api/v2/public/get_funding_rate_history?instrument_name=BTC-PERPETUAL").body, HasSubstr("-32602"));
}

TEST_F(SimulatedDeribit, TheVolatilityIndexIsToldEverySecondAndItsHistoryInPages) {
  options.limits.volatility_rows = 100;
  make();
  ASSERT_TRUE(exchange->open(1, "/ws/api/v2"));
  subscribe(1, R"("deribit_volatility_index.btc_usd")");
  run_to(30s);
  const auto told = pushes(1, "deribit_volatility_index.btc_usd");
  ASSERT_EQ(told.size(), 30U);
  dom::parser parser, other;
  const dom::element data = dom::element(parser.parse(told.back()))["params"]["data"];
  EXPECT_NEAR(double{data["volatility"]}, 47, 20) << "per cent";
  EXPECT_EQ(text_of(data["index_name"]), "btc_usd");
  auto lines = ledger.of_type("volatility_index");
  ASSERT_EQ(lines.size(), 30U);
  const dom::element event = other.parse(lines.back());
  EXPECT_EQ(text_of(event["index_value"]), Decimal::parse(raw(data["volatility"]))->text());
  EXPECT_EQ(text_of(event["symbol"]), "BTC-USD");

  const auto end = nanos_since_epoch(kStart + 30s) / 1'000'000;
  const auto target = [&](std::int64_t to) {
    return "/api/v2/public/get_volatility_index_data?currency=BTC&resolution=60&start_timestamp=" +
           std::to_string(end - 7'200'000) + "&end_timestamp=" + std::to_string(to);
  };
  const dom::element first = dom::element(parser.parse(get(target(end), 30s).body))["result"];
  const dom::array page = first["data"];
  ASSERT_EQ(page.size(), 100U);
  EXPECT_EQ(std::int64_t{page.at(99).at(0)}, end / 60'000 * 60'000) << "the newest page first";
  const auto continuation = std::int64_t{first["continuation"]};
  EXPECT_EQ(continuation, std::int64_t{page.at(0).at(0)} - 60'000);
  const dom::element second = dom::element(other.parse(get(target(continuation), 30s).body))["result"];
  EXPECT_EQ(dom::array{second["data"]}.size(), 20U);
  EXPECT_TRUE(second["continuation"].is_null());
  EXPECT_EQ(ledger.of_type("volatility_index").size(), 30U + 119U) << "the candle that still moves is not in it";
  EXPECT_THAT(
      get("/api/v2/public/get_volatility_index_data?currency=BTC&resolution=7&start_timestamp=1&end_timestamp=2").body,
      HasSubstr("-32602"));
}

TEST_F(SimulatedDeribit, InstrumentsSayWhatAmountsAre) {
  options.limits.credits = false;
  make();
  dom::parser parser;
  std::map<std::string, dom::element> found;
  const dom::array list = dom::element(parser.parse(get("/api/v2/public/get_instruments?currency=any").body))["result"];
  for (const auto i : list) found[text_of(i["instrument_name"])] = i;
  ASSERT_EQ(found.size(), 12U);
  const auto perpetual = found.at("BTC-PERPETUAL");
  EXPECT_EQ(raw(perpetual["tick_size"]), "0.5");
  EXPECT_THAT(get("/api/v2/public/get_instrument?instrument_name=BTC-PERPETUAL").body,
              HasSubstr("\"contract_size\":10.0,"));
  EXPECT_EQ(double{perpetual["contract_size"]}, 10);
  EXPECT_EQ(double{perpetual["min_trade_amount"]}, 10);
  EXPECT_EQ(text_of(perpetual["instrument_type"]), "reversed");
  EXPECT_EQ(text_of(perpetual["settlement_period"]), "perpetual");
  EXPECT_EQ(text_of(found.at("BTC_USDC-PERPETUAL")["instrument_type"]), "linear");
  EXPECT_EQ(text_of(found.at("BTC_USDC-PERPETUAL")["settlement_currency"]), "USDC");
  EXPECT_EQ(std::int64_t{found.at("BTC-25DEC26")["expiration_timestamp"]}, 1798185600000) << "08:00 UTC";
  const auto option = found.at("BTC-25DEC26-70000-C");
  EXPECT_EQ(text_of(option["option_type"]), "call");
  EXPECT_EQ(double{option["strike"]}, 70'000);
  EXPECT_EQ(text_of(option["quote_currency"]), "BTC");
  EXPECT_EQ(text_of(option["counter_currency"]), "USD");
  EXPECT_EQ(double{option["tick_size_steps"].at(0)["above_price"]}, 0.005);
  EXPECT_EQ(double{found.at("XRP_USDC-25DEC26-2d1-C")["strike"]}, 2.1);
  EXPECT_EQ(text_of(found.at("BTC_USDC")["kind"]), "spot");
  dom::parser other;
  const dom::array options_only =
      dom::element(other.parse(get("/api/v2/public/get_instruments?currency=BTC&kind=option").body))["result"];
  EXPECT_EQ(options_only.size(), 2U);
  const dom::array summaries = dom::element(
      other.parse(get("/api/v2/public/get_book_summary_by_currency?currency=BTC&kind=future").body))["result"];
  ASSERT_EQ(summaries.size(), 2U);
  EXPECT_EQ(summaries.at(0)["open_interest"].error(), simdjson::SUCCESS);
  EXPECT_GT(double{summaries.at(0)["volume_usd"]}, 0);
}

TEST_F(SimulatedDeribit, OverdrawnCreditsEndTheSession) {
  make();
  ASSERT_TRUE(exchange->open(1, "/ws/api/v2"));
  for (int i = 0; i < 10; ++i) EXPECT_THAT(subscribe(1, R"("ticker.BTC-PERPETUAL.100ms")"), HasSubstr("result"));
  EXPECT_THAT(subscribe(1, R"("ticker.BTC-PERPETUAL.100ms")"),
              HasSubstr(R"("code":10028,"message":"too_many_requests")"));
  EXPECT_EQ(inbox.closed.count(1), 1U);
  int refused = 0;
  for (int i = 0; i < 8; ++i) {
    const auto answer = get("/api/v2/public/get_instruments?currency=BTC");
    if (answer.status == 429) ++refused;
  }
  EXPECT_EQ(refused, 3) << "five at once, one a second";
}

TEST_F(SimulatedDeribit, RefusesWhatItIsToldTo) {
  options.refuse = {"trades.BTC-PERPETUAL"};
  make();
  ASSERT_TRUE(exchange->open(1, "/ws/api/v2"));
  EXPECT_THAT(subscribe(1, R"("trades.BTC-PERPETUAL.100ms","trades.ETH-PERPETUAL.100ms")"),
              HasSubstr(R"("result":["trades.ETH-PERPETUAL.100ms"])"));
}

TEST_F(SimulatedDeribit, SameSeedAndStartGiveTheSameMessagesAndLedger) {
  const auto run = [&](std::uint64_t seed, bool in_steps) {
    ledger.lines.clear();
    inbox.messages.clear();
    make(2000, seed);
    EXPECT_TRUE(exchange->open(1, "/ws/api/v2"));
    subscribe(
        1,
        R"("book.BTC-PERPETUAL.100ms","trades.any.any.100ms","ticker.BTC-PERPETUAL.100ms","deribit_volatility_index.eth_usd")");
    for (int i = 1; in_steps && i < 50; ++i) run_to(i * 100ms);
    run_to(5s);
    exchange->finish(kStart + 5s);
    auto all = inbox.take(1);
    all.insert(all.end(), ledger.lines.begin(), ledger.lines.end());
    return all;
  };
  const auto first = run(11, false);
  EXPECT_GT(first.size(), 500U);
  EXPECT_EQ(first, run(11, true));
  EXPECT_NE(first, run(12, false));
}

TEST(DeribitListing, NamesAreUniqueAndThereAreMoreThanFifty) {
  std::set<std::string> instruments, canonical;
  for (const auto& s : all_symbols(kStart)) {
    EXPECT_TRUE(instruments.insert(s.instrument).second) << s.instrument;
    EXPECT_TRUE(canonical.insert(std::string(to_string(s.kind)) + s.canonical()).second) << s.canonical();
  }
  EXPECT_GT(instruments.size(), 50U);
  EXPECT_EQ(canonical.count("optionsXRP-USDC-20261225-2d1-C"), 1U);
  EXPECT_EQ(canonical.count("optionsBTC-USD-20261225-70000-C"), 1U);
  EXPECT_EQ(canonical.count("perpetualBTC-USDC"), 1U);
}

}  // namespace
}  // namespace mp::sim::deribit
