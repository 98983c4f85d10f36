#include "sim/binance/exchange.hpp"

#include <gmock/gmock.h>
#include <simdjson.h>

#include <map>

#include "base/decimal.hpp"

namespace mp::sim::binance {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;
namespace dom = simdjson::dom;

const WallTime kStart = *parse_iso("2026-11-23T04:00:00Z");

struct Inbox : Delivery {
  void send(ClientId client, std::string_view text) override { messages[client].emplace_back(text); }
  std::vector<std::string> take(ClientId client) { return std::exchange(messages[client], {}); }
  std::map<ClientId, std::vector<std::string>> messages;
};

struct Lines : LineSink {
  void line(std::string_view text) override { lines.emplace_back(text); }
  std::vector<std::string> lines;
};

struct SimulatedBinance : testing::Test {
  void make(int rate = 2000, std::uint64_t seed = 5) {
    ExchangeOptions options;
    options.market = {seed, kStart, rate};
    options.limits = limits;
    options.history = history;
    exchange = std::make_unique<Exchange>(all_symbols(kStart), options, inbox, &ledger);
  }
  void run_to(Nanos after_start) {
    while (!exchange->advance(kStart + after_start)) {
    }
  }
  HttpAnswer get(std::string_view target, Nanos after_start = 0s, bool has_key = false) {
    HttpRequest request;
    request.target = target;
    request.address = "127.0.0.1";
    request.has_key = has_key;
    return exchange->rest(request, kStart + after_start);
  }

  Limits limits;
  std::size_t history = 50'000;
  Inbox inbox;
  Lines ledger;
  std::unique_ptr<Exchange> exchange;
};

// A client's own book, kept from the wire text by the venue's rules alone.
class ClientBook {
 public:
  void snapshot(const std::string& body) {
    dom::parser parser;
    const dom::element root = parser.parse(body);
    id_ = std::uint64_t{root["lastUpdateId"]};
    apply(root["bids"], root["asks"]);
  }

  void update(Section section, const std::string& data) {
    dom::parser parser;
    const dom::element root = parser.parse(data);
    const std::uint64_t first = root["U"];
    const std::uint64_t last = root["u"];
    ASSERT_LE(first, last);
    if (section == Section::spot) {
      if (last <= id_) return;
      if (synced_) {
        ASSERT_EQ(first, id_ + 1);
      } else {
        ASSERT_LE(first, id_ + 1);
      }
    } else {
      const std::uint64_t previous = root["pu"];
      if (!synced_ && last < id_) return;
      if (synced_) {
        ASSERT_EQ(previous, id_);
      } else {
        ASSERT_TRUE((first <= id_ && id_ <= last) || previous == id_) << first << " " << last << " " << id_;
      }
    }
    synced_ = true;
    id_ = last;
    apply(root["b"], root["a"]);
    ASSERT_LT(bids_.rbegin()->first, asks_.begin()->first) << "crossed";
    ++updates;
  }

  // In the ledger's form.
  std::string text() const {
    std::string out;
    for (auto it = bids_.rbegin(); it != bids_.rend(); ++it) out += it->first.text() + " " + it->second.text() + "\n";
    for (const auto& [price, quantity] : asks_) out += price.text() + " " + quantity.text() + "\n";
    return out + std::to_string(id_);
  }
  std::size_t size() const { return bids_.size(); }
  int updates = 0;

 private:
  using Levels = std::map<Decimal, Decimal>;
  static void apply_side(Levels& levels, dom::array rows) {
    for (const dom::array row : rows) {
      const auto price = *Decimal::parse(std::string_view{row.at(0)});
      const auto quantity = *Decimal::parse(std::string_view{row.at(1)});
      if (quantity.is_zero())
        levels.erase(price);
      else
        levels[price] = quantity;
    }
  }
  void apply(dom::array bids, dom::array asks) {
    apply_side(bids_, bids);
    apply_side(asks_, asks);
  }

  std::uint64_t id_ = 0;
  bool synced_ = false;
  Levels bids_, asks_;
};

std::string book_text_of_ledger(const std::string& line) {
  dom::parser parser;
  const dom::element root = parser.parse(line);
  std::string out;
  for (const char* side : {"bids", "asks"})
    for (const dom::array row : dom::array{root[side]})
      out += std::string(std::string_view{row.at(0)}) + " " + std::string(std::string_view{row.at(1)}) + "\n";
  return out + std::to_string(std::uint64_t{root["last_update_id"]});
}

struct BookCase {
  const char* path;
  const char* rest;
  const char* symbol;
  Section section;
};

TEST_F(SimulatedBinance, SnapshotAtAnyTimePlusUpdatesIsTheBookOfTheLedger) {
  const BookCase cases[] = {
      {"/ws/btcusdt@depth@100ms", "/api/v3/depth?symbol=BTCUSDT&limit=5000", "BTCUSDT", Section::spot},
      {"/ws/pepeusdt@depth", "/api/v3/depth?symbol=PEPEUSDT&limit=5000", "PEPEUSDT", Section::spot},
      {"/public/ws/btcusdt@depth@100ms", "/fapi/v1/depth?symbol=BTCUSDT&limit=1000", "BTCUSDT", Section::usdm},
      {"/public/ws/btcusdt_261225@depth@500ms", "/fapi/v1/depth?symbol=BTCUSDT_261225&limit=1000", "BTCUSDT_261225",
       Section::usdm},
      {"/public/ws/btcusdt@depth@0ms", "/fapi/v1/depth?symbol=BTCUSDT&limit=1000", "BTCUSDT", Section::usdm},
  };
  for (const auto& c : cases) {
    for (const auto snapshot_at : {0ms, 130ms, 1037ms, 2500ms}) {
      ledger.lines.clear();
      make();
      ASSERT_TRUE(exchange->open(1, c.path));
      run_to(snapshot_at);
      const auto snapshot = get(c.rest);
      ASSERT_EQ(snapshot.status, 200) << snapshot.body;
      run_to(6s);
      exchange->finish(kStart + 6s);
      ClientBook book;
      book.snapshot(snapshot.body);
      for (const auto& message : inbox.take(1)) {
        book.update(c.section, message);
        if (HasFatalFailure()) FAIL() << c.path << " after " << snapshot_at.count() << " ms: " << message;
      }
      EXPECT_GT(book.updates, 3) << c.path;
      ASSERT_EQ(ledger.lines.size(), 1U);
      EXPECT_THAT(ledger.lines[0], HasSubstr(std::string("\"instrument\":\"") + c.symbol + "\""));
      const auto truth = book_text_of_ledger(ledger.lines[0]);
      if (c.section == Section::spot) {
        EXPECT_EQ(book.text(), truth) << c.path;
      } else {
        // USD-M gives 1000 levels at most: what lay beyond and did not change stays unknown. The best levels agree.
        EXPECT_EQ(book.text().substr(0, 2000), truth.substr(0, 2000)) << c.path;
        EXPECT_GE(book.size(), 950U);
      }
    }
  }
}

TEST_F(SimulatedBinance, LedgerHasEveryTradeFromTheFirstSubscriptionOnAlsoWhenNobodyListens) {
  make();
  run_to(500ms);
  ASSERT_TRUE(exchange->open(1, "/ws/btcusdt@aggTrade"));
  ASSERT_TRUE(exchange->open(2, "/ws/ethusdt@trade"));
  run_to(1500ms);
  exchange->closed(1);
  exchange->closed(2);
  const auto received = inbox.take(1).size();
  const auto before = ledger.lines.size();
  EXPECT_GT(received, 50U);
  run_to(2500ms);
  EXPECT_THAT(inbox.take(1), IsEmpty());
  EXPECT_GT(ledger.lines.size(), before + 50);

  // Contiguous ids in each series, without a hole where nobody was there; nothing of other instruments.
  std::map<std::string, std::uint64_t> next;
  for (const auto& line : ledger.lines) {
    dom::parser parser;
    const dom::element root = parser.parse(line);
    const std::string instrument(std::string_view{root["instrument"]});
    const auto id = std::stoull(std::string(std::string_view{root["trade_id"]}));
    if (next.count(instrument)) {
      ASSERT_EQ(id, next[instrument]) << line;
    }
    next[instrument] = id + 1;
    EXPECT_EQ(root["market_type"].get_string().value(), "spot");
  }
  EXPECT_EQ(next.size(), 2U);
}

TEST_F(SimulatedBinance, ClientReceivesTheTradesOfTheLedgerInTheVenuesWords) {
  make();
  ASSERT_TRUE(exchange->open(1, "/market/stream?streams=btcusdt@aggTrade/1000pepeusdt@aggTrade"));
  run_to(3s);
  const auto received = inbox.take(1);
  ASSERT_EQ(received.size(), ledger.lines.size());
  ASSERT_GT(received.size(), 300U);
  for (std::size_t i = 0; i < received.size(); ++i) {
    dom::parser wire_parser, ledger_parser;
    const dom::element wire = wire_parser.parse(received[i])["data"];
    const dom::element line = ledger_parser.parse(ledger.lines[i]);
    const auto decimal = [](const dom::element& e) { return Decimal::parse(std::string_view{e})->text(); };
    EXPECT_EQ(decimal(wire["p"]), std::string_view{line["price"]});
    EXPECT_EQ(decimal(wire["q"]), std::string_view{line["quantity"]});
    EXPECT_EQ(std::to_string(std::uint64_t{wire["a"]}), std::string_view{line["trade_id"]});
    EXPECT_EQ(std::to_string(std::uint64_t{wire["f"]}), std::string_view{line["first_trade_id"]});
    EXPECT_EQ(std::to_string(std::uint64_t{wire["l"]}), std::string_view{line["last_trade_id"]});
    EXPECT_EQ(wire["s"].get_string().value(), line["instrument"].get_string().value());
    EXPECT_EQ(bool{wire["m"]} ? "sell" : "buy", std::string_view{line["side"]});
    EXPECT_EQ(iso(*wall_from_millis(std::int64_t{wire["T"]})), std::string_view{line["timestamp"]});
  }
}

TEST_F(SimulatedBinance, UsdmStreamOfTheOtherRouteIsAcknowledgedAndSilent) {
  make();
  ASSERT_TRUE(exchange->open(1, "/market/ws"));
  ASSERT_TRUE(exchange->open(2, "/public/ws"));
  exchange->text(1, R"({"method":"SUBSCRIBE","params":["btcusdt@depth@100ms","btcusdt@bookTicker"],"id":1})");
  exchange->text(2, R"({"method":"SUBSCRIBE","params":["btcusdt@aggTrade"],"id":2})");
  run_to(2s);
  EXPECT_THAT(inbox.take(1), ElementsAre(R"({"result":null,"id":1})"));
  EXPECT_THAT(inbox.take(2), ElementsAre(R"({"result":null,"id":2})"));
  EXPECT_THAT(ledger.lines, IsEmpty());

  exchange->text(1, R"({"method":"LIST_SUBSCRIPTIONS","id":3})");
  EXPECT_THAT(inbox.take(1), ElementsAre(R"({"result":["btcusdt@depth@100ms","btcusdt@bookTicker"],"id":3})"));
  exchange->text(1, R"({"method":"SUBSCRIBE","params":["btcusdt@aggTrade"],"id":4})");
  run_to(3s);
  EXPECT_GT(inbox.take(1).size(), 50U);
}

TEST_F(SimulatedBinance, PathsOfBothMarkets) {
  make();
  for (const char* path : {"/ws", "/stream", "/ws/btcusdt@trade", "/ws/btcusdt@trade/ethusdt@trade",
                           "/stream?streams=btcusdt@trade", "/public/ws", "/market/stream?streams=btcusdt@aggTrade",
                           "/stream?timeUnit=MICROSECOND&streams=btcusdt%40trade"})
    EXPECT_TRUE(exchange->open(1, path)) << path;
  for (const char* path : {"/", "/wss", "/private/ws", "/public", "/public/market/ws", "/api/v3/ping", "/streams"})
    EXPECT_FALSE(exchange->open(2, path)) << path;
}

TEST_F(SimulatedBinance, CombinedAndBarePayloadsOfOneStream) {
  make();
  ASSERT_TRUE(exchange->open(1, "/ws/btcusdt@trade"));
  ASSERT_TRUE(exchange->open(2, "/stream?streams=btcusdt%40trade"));
  run_to(1s);
  const auto bare = inbox.take(1);
  const auto wrapped = inbox.take(2);
  ASSERT_GT(bare.size(), 20U);
  ASSERT_EQ(bare.size(), wrapped.size());
  for (std::size_t i = 0; i < bare.size(); ++i)
    EXPECT_EQ(wrapped[i], R"({"stream":"btcusdt@trade","data":)" + bare[i] + "}");

  exchange->text(1, R"({"method":"SET_PROPERTY","params":["combined",true],"id":"a1"})");
  exchange->text(1, R"({"method":"GET_PROPERTY","params":["combined"],"id":null})");
  EXPECT_THAT(inbox.take(1), ElementsAre(R"({"result":null,"id":"a1"})", R"({"result":true,"id":null})"));
  run_to(1500ms);
  EXPECT_THAT(inbox.take(1).back(), StartsWith(R"({"stream":"btcusdt@trade")"));
}

TEST_F(SimulatedBinance, BadRequestsAreToldInTheVenuesForm) {
  make();
  ASSERT_TRUE(exchange->open(1, "/ws"));
  ASSERT_TRUE(exchange->open(2, "/public/ws"));
  const auto spot = [&](const char* text) {
    exchange->text(1, text);
    return inbox.take(1).at(0);
  };
  EXPECT_THAT(spot("{"), StartsWith(R"({"code":3,"msg":"Invalid JSON)"));
  EXPECT_THAT(spot("[]"), StartsWith(R"({"code":3,"msg":"Invalid JSON)"));
  EXPECT_THAT(spot(R"({"method":"SUBSCRIBE","params":"btcusdt@trade","id":1})"), StartsWith(R"({"code":2,)"));
  EXPECT_THAT(spot(R"({"method":"SUBSCRIBE","params":[1],"id":1})"), StartsWith(R"({"code":2,)"));
  EXPECT_THAT(spot(R"({"method":"FLY","id":9})"), EndsWith(R"(,"id":9})"));
  EXPECT_THAT(spot(R"({"method":"SET_PROPERTY","params":["speed",1],"id":9})"), HasSubstr("Unknown property"));
  EXPECT_THAT(spot(R"({"method":"LIST_SUBSCRIPTIONS","id":1.5})"), HasSubstr("request ID"));
  exchange->text(2, R"({"method":"LIST_SUBSCRIPTIONS","id":"abc"})");
  EXPECT_THAT(inbox.take(2).at(0), StartsWith(R"({"error":{"code":2,)"));
}

TEST_F(SimulatedBinance, StreamsPerConnectionAreLimited) {
  limits.streams_per_connection = 3;
  make();
  ASSERT_TRUE(exchange->open(1, "/ws/btcusdt@trade"));
  exchange->text(1, R"({"method":"SUBSCRIBE","params":["a@trade","b@trade","c@trade"],"id":1})");
  EXPECT_THAT(inbox.take(1).at(0), HasSubstr("at most 3 streams"));
  exchange->text(1, R"({"method":"SUBSCRIBE","params":["a@trade","b@trade"],"id":2})");
  EXPECT_THAT(inbox.take(1).at(0), R"({"result":null,"id":2})");
  EXPECT_FALSE(exchange->open(2, "/ws/a@trade/b@trade/c@trade/d@trade"));
}

TEST_F(SimulatedBinance, UnsubscribedStreamsFallSilent) {
  make();
  ASSERT_TRUE(exchange->open(1, "/ws/btcusdt@trade/ethusdt@trade"));
  exchange->text(1, R"({"method":"UNSUBSCRIBE","params":["btcusdt@trade"],"id":5})");
  inbox.take(1);
  run_to(1s);
  const auto received = inbox.take(1);
  ASSERT_GT(received.size(), 10U);
  for (const auto& message : received) EXPECT_THAT(message, HasSubstr("ETHUSDT"));
}

TEST_F(SimulatedBinance, TradesAreInTheRestHistoryAsTheyWereStreamed) {
  make();
  ASSERT_TRUE(exchange->open(1, "/ws/btcusdt@aggTrade"));
  run_to(2s);
  const auto received = inbox.take(1);
  ASSERT_GT(received.size(), 100U);
  dom::parser parser;
  const std::uint64_t tenth = parser.parse(received[10])["a"];
  const auto answer = get("/api/v3/aggTrades?symbol=BTCUSDT&limit=5&fromId=" + std::to_string(tenth));
  ASSERT_EQ(answer.status, 200);
  const dom::array rows = parser.parse(answer.body);
  ASSERT_EQ(rows.size(), 5U);
  std::size_t i = 10;
  for (const auto row : rows) {
    dom::parser other;
    const dom::element wire = other.parse(received[i++]);
    for (const char* key : {"p", "q"})
      EXPECT_EQ(std::string_view{row[key]}, std::string_view{wire[key]});
    for (const char* key : {"a", "f", "l", "T"}) EXPECT_EQ(std::uint64_t{row[key]}, std::uint64_t{wire[key]});
    EXPECT_EQ(bool{row["m"]}, bool{wire["m"]});
  }
}

TEST_F(SimulatedBinance, RestHistoryIsBoundedAndAskedByTime) {
  history = 100;
  make();
  run_to(5s);
  dom::parser parser;
  EXPECT_EQ(dom::array{parser.parse(get("/fapi/v1/aggTrades?symbol=BTCUSDT&limit=1000").body)}.size(), 100U);
  EXPECT_EQ(dom::array{parser.parse(get("/fapi/v1/trades?symbol=BTCUSDT&limit=7").body)}.size(), 7U);
  const auto ms = std::to_string(nanos_since_epoch(kStart + 4900ms) / 1'000'000);
  const dom::array recent = parser.parse(get("/api/v3/aggTrades?symbol=BTCUSDT&startTime=" + ms).body);
  ASSERT_GT(recent.size(), 0U);
  for (const auto row : recent) EXPECT_GE(std::to_string(std::uint64_t{row["T"]}), ms);
  EXPECT_EQ(get("/api/v3/aggTrades?symbol=BTCUSDT&fromId=1&startTime=" + ms).status, 400);
  EXPECT_EQ(get("/fapi/v1/historicalTrades?symbol=BTCUSDT").status, 401);
  EXPECT_EQ(get("/fapi/v1/historicalTrades?symbol=BTCUSDT", 0s, true).status, 200);
}

TEST_F(SimulatedBinance, RestErrorsAreTheVenues) {
  make();
  EXPECT_THAT(get("/api/v3/depth").body, HasSubstr("-1102"));
  EXPECT_THAT(get("/api/v3/depth?symbol=NOPE").body, HasSubstr("-1121"));
  EXPECT_THAT(get("/fapi/v1/depth?symbol=BTCUSDT&limit=7").body, HasSubstr("-4021"));
  EXPECT_EQ(get("/api/v3/nothing").status, 404);
  EXPECT_EQ(get("/dapi/v1/ping").status, 404);
  EXPECT_EQ(get("/api/v3/ping").body, "{}");
}

TEST_F(SimulatedBinance, ExchangeInfoListsEveryInstrumentWithItsFilters) {
  make();
  dom::parser parser;
  const dom::element spot = parser.parse(get("/api/v3/exchangeInfo").body);
  EXPECT_EQ(dom::array{spot["symbols"]}.size(), 8U);
  EXPECT_EQ(std::string_view{spot["symbols"].at(0)["filters"].at(0)["tickSize"]}, "0.01000000");
  const dom::element usdm = parser.parse(get("/fapi/v1/exchangeInfo").body);
  EXPECT_EQ(dom::array{usdm["symbols"]}.size(), 9U);
  std::map<std::string, std::string> contract;
  for (const auto s : dom::array{usdm["symbols"]})
    contract[std::string(std::string_view{s["symbol"]})] = std::string_view{s["contractType"]};
  EXPECT_EQ(contract["BTCUSDT"], "PERPETUAL");
  EXPECT_EQ(contract["BTCUSDT_261225"], "CURRENT_QUARTER");
}

TEST_F(SimulatedBinance, SpentWeightIs429WithRetryAfterThen418) {
  limits.usdm_weight_per_minute = 50;
  make();
  const auto header = [](const HttpAnswer& answer, std::string_view name) -> std::string {
    for (const auto& [key, value] : answer.headers)
      if (key == name) return value;
    return "";
  };
  const char* target = "/fapi/v1/depth?symbol=BTCUSDT&limit=1000";
  EXPECT_EQ(header(get(target, 15s), "X-MBX-USED-WEIGHT-1M"), "20");
  EXPECT_EQ(header(get(target, 15s), "X-MBX-USED-WEIGHT-1M"), "40");
  const auto refused = get(target, 15s);
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(header(refused, "Retry-After"), "45");
  EXPECT_THAT(refused.body, HasSubstr("-1003"));
  EXPECT_EQ(get("/api/v3/ping", 15s).status, 200) << "spot has a budget of its own";
  EXPECT_EQ(get(target, 61s).status, 200) << "a new minute";
  for (int i = 0; i < 30; ++i) get(target, 62s);
  const auto banned = get(target, 62s);
  EXPECT_EQ(banned.status, 418);
  EXPECT_FALSE(header(banned, "Retry-After").empty());
  EXPECT_EQ(get(target, 130s).status, 418) << "the ban outlives the minute";
  EXPECT_EQ(get(target, 200s).status, 200);
}

TEST_F(SimulatedBinance, SameSeedAndStartGiveTheSameMessagesAndLedger) {
  const auto run = [&](std::uint64_t seed) {
    ledger.lines.clear();
    inbox.messages.clear();
    make(2000, seed);
    EXPECT_TRUE(exchange->open(1, "/stream?streams=btcusdt@aggTrade/btcusdt@depth@100ms/btcusdt@kline_1m"));
    run_to(2s);
    exchange->finish(kStart + 2s);
    auto all = inbox.take(1);
    all.insert(all.end(), ledger.lines.begin(), ledger.lines.end());
    return all;
  };
  const auto first = run(11);
  EXPECT_GT(first.size(), 500U);
  EXPECT_EQ(first, run(11));
  EXPECT_NE(first, run(12));
}

}  // namespace
}  // namespace mp::sim::binance
