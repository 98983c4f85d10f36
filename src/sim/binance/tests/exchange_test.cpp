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
  void close(ClientId, std::string_view) override {}
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
    exchange = std::make_unique<Exchange>(usual_symbols(kStart), options, inbox, &ledger);
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
    for (const char* key : {"p", "q"}) EXPECT_EQ(std::string_view{row[key]}, std::string_view{wire[key]});
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

std::string text_of(const dom::element& e) { return std::string(std::string_view{e}); }
std::string plain(const dom::element& e) { return Decimal::parse(std::string_view{e})->text(); }

TEST_F(SimulatedBinance, MarkPriceComesOnTheMarketRouteWithItsFunding) {
  make(500);
  ASSERT_TRUE(
      exchange->open(1, "/market/stream?streams=btcusdt@markPrice@1s/ethusdt@markPrice/btcusdt_261225@markPrice@1s"));
  ASSERT_TRUE(exchange->open(2, "/public/ws/btcusdt@markPrice@1s"));
  run_to(9s);
  EXPECT_THAT(inbox.take(2), IsEmpty()) << "the wrong route is silent";
  std::map<std::string, int> count;
  std::map<std::string, std::string> last;
  dom::parser parser, other;
  for (const auto& message : inbox.take(1)) {
    const dom::element data = dom::element(parser.parse(message))["data"];
    ++count[text_of(data["s"])];
    last[text_of(data["s"])] = simdjson::minify(data);
  }
  EXPECT_EQ(count["BTCUSDT"], 9);
  EXPECT_EQ(count["ETHUSDT"], 3);
  EXPECT_EQ(count["BTCUSDT_261225"], 9);
  const dom::element delivery = parser.parse(last["BTCUSDT_261225"]);
  EXPECT_EQ(text_of(delivery["r"]), "");
  EXPECT_EQ(std::int64_t{delivery["T"]}, 0);
  const dom::element mark = parser.parse(last["BTCUSDT"]);
  EXPECT_EQ(text_of(mark["e"]), "markPriceUpdate");
  EXPECT_EQ(std::int64_t{mark["T"]}, 1795420800000) << "2026-11-23T08:00:00Z";
  std::string line;
  int lines = 0;
  for (const auto& l : ledger.lines) {
    if (l.find("\"funding_rate\",") == l.npos || l.find("\"BTCUSDT\"") == l.npos) continue;
    line = l;
    ++lines;
  }
  EXPECT_EQ(lines, 9);
  const dom::element event = other.parse(line);
  EXPECT_EQ(text_of(event["funding_rate"]), plain(mark["r"]));
  EXPECT_EQ(text_of(event["mark_price"]), plain(mark["p"]));
  EXPECT_EQ(text_of(event["index_price"]), plain(mark["i"]));
  EXPECT_EQ(text_of(event["funding_time"]), "2026-11-23T08:00:00.000000000Z");
  EXPECT_EQ(text_of(event["timestamp"]), iso(*wall_from_millis(std::int64_t{mark["E"]})));
  for (const auto& l : ledger.lines) EXPECT_EQ(l.find("BTCUSDT_261225"), l.npos) << "no funding, no event";
}

TEST_F(SimulatedBinance, AForcedOrderIsToldOnceASecondAndSymbol) {
  make(50'000);
  ASSERT_TRUE(exchange->open(1, "/market/ws/btcusdt@forceOrder"));
  ASSERT_TRUE(exchange->open(2, "/market/ws/!forceOrder@arr"));
  ASSERT_TRUE(exchange->open(3, "/public/ws/btcusdt@forceOrder"));
  run_to(10s);
  EXPECT_THAT(inbox.take(3), IsEmpty());
  const auto orders = inbox.take(1);
  ASSERT_GT(orders.size(), 2U);
  EXPECT_LE(orders.size(), 10U);
  EXPECT_GT(inbox.take(2).size(), orders.size()) << "all symbols";
  std::vector<std::string> lines;
  for (const auto& l : ledger.lines) {
    EXPECT_THAT(l, StartsWith("{\"type\":\"liquidation\""));
    if (l.find("\"BTCUSDT\"") != l.npos) lines.push_back(l);
  }
  ASSERT_EQ(lines.size(), orders.size()) << "what was not told is not there";
  dom::parser parser, other;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const dom::element o = dom::element(parser.parse(orders[i]))["o"];
    const dom::element event = other.parse(lines[i]);
    EXPECT_EQ(text_of(event["side"]), text_of(o["S"]) == "SELL" ? "sell" : "buy");
    EXPECT_EQ(text_of(event["price"]), plain(o["p"]));
    EXPECT_EQ(text_of(event["average_price"]), plain(o["ap"]));
    EXPECT_EQ(text_of(event["quantity"]), plain(o["q"]));
    EXPECT_EQ(text_of(event["filled_quantity"]), plain(o["z"]));
    EXPECT_EQ(text_of(event["status"]), "FILLED");
    EXPECT_EQ(text_of(event["coverage"]), "sampled");
    EXPECT_EQ(text_of(event["timestamp"]), iso(*wall_from_millis(std::int64_t{o["T"]})));
    // The bankruptcy price is the worse one.
    const auto worse = *Decimal::parse(std::string_view{o["p"]}) < *Decimal::parse(std::string_view{o["ap"]});
    EXPECT_EQ(worse, text_of(o["S"]) == "SELL");
  }
}

TEST_F(SimulatedBinance, RawTradesOfUsdmHaveRowsWithoutATradeAndContiguousIds) {
  make(20'000);
  ASSERT_TRUE(exchange->open(1, "/public/ws/btcusdt@trade"));
  ASSERT_TRUE(exchange->open(2, "/market/ws/btcusdt@trade"));
  run_to(5s);
  EXPECT_THAT(inbox.take(2), IsEmpty());
  dom::parser parser;
  std::uint64_t next = 0;
  std::size_t market = 0, na = 0;
  for (const auto& message : inbox.take(1)) {
    const dom::element trade = parser.parse(message);
    const auto id = std::uint64_t{trade["t"]};
    if (next != 0) {
      ASSERT_EQ(id, next);
    }
    next = id + 1;
    if (text_of(trade["X"]) == "MARKET") {
      ++market;
      continue;
    }
    ++na;
    EXPECT_EQ(text_of(trade["X"]), "NA");
    EXPECT_EQ(text_of(trade["p"]), "0");
    EXPECT_EQ(text_of(trade["q"]), "0");
  }
  EXPECT_GT(na, 3U);
  EXPECT_GT(market, na * 30);
  EXPECT_EQ(ledger.lines.size(), market) << "they are no trades";
  for (const auto row : dom::array{parser.parse(get("/fapi/v1/trades?symbol=BTCUSDT&limit=1000", 5s).body)})
    EXPECT_NE(text_of(row["qty"]), "0");
}

TEST_F(SimulatedBinance, FundingIsInfoAndHistory) {
  make();
  dom::parser parser;
  for (const auto row : dom::array{parser.parse(get("/fapi/v1/fundingInfo").body)})
    EXPECT_EQ(std::int64_t{row["fundingIntervalHours"]}, 4) << "only what differs is listed";
  const dom::array rows = parser.parse(get("/fapi/v1/fundingRate?symbol=BTCUSDT&limit=3").body);
  ASSERT_EQ(rows.size(), 3U);
  EXPECT_EQ(std::int64_t{rows.at(2)["fundingTime"]}, 1795392000000) << "the most recent ones, oldest first";
  EXPECT_EQ(std::int64_t{rows.at(0)["fundingTime"]}, 1795392000000 - 16 * 3'600'000);
  EXPECT_EQ(text_of(rows.at(0)["rateType"]), "Regular");
  ASSERT_EQ(ledger.lines.size(), 3U);
  EXPECT_THAT(ledger.lines.back(), HasSubstr(R"("is_settled":true)"));
  EXPECT_THAT(ledger.lines.back(), HasSubstr(R"("timestamp":"2026-11-23T00:00:00.000000000Z")"));
  get("/fapi/v1/fundingRate?symbol=BTCUSDT&limit=3");
  EXPECT_EQ(ledger.lines.size(), 3U) << "what was told stands there once";
  EXPECT_EQ(get("/fapi/v1/fundingRate?symbol=NOPE").status, 400);
  int refused = 0;
  for (int i = 0; i < 510; ++i) refused += get("/fapi/v1/fundingInfo").status == 429 ? 1 : 0;
  EXPECT_EQ(refused, 14) << "500 in five minutes together, four were used";
}

TEST_F(SimulatedBinance, OpenInterestHasTheTimeOfItsChange) {
  make(2000);
  run_to(3s);
  dom::parser parser;
  const dom::element oi = parser.parse(get("/fapi/v1/openInterest?symbol=BTCUSDT", 3s).body);
  ASSERT_EQ(ledger.lines.size(), 1U);
  EXPECT_THAT(ledger.lines[0], HasSubstr("\"open_interest\":\"" + plain(oi["openInterest"]) + "\""));
  EXPECT_THAT(ledger.lines[0], HasSubstr(iso(*wall_from_millis(std::int64_t{oi["time"]}))));
  get("/fapi/v1/openInterest?symbol=BTCUSDT", 3s);
  EXPECT_EQ(ledger.lines.size(), 1U) << "unchanged";
  EXPECT_THAT(get("/fapi/v1/openInterest", 3s).body, HasSubstr("-1102"));
  EXPECT_EQ(get("/api/v3/openInterest?symbol=BTCUSDT", 3s).status, 404);
}

TEST_F(SimulatedBinance, RatiosAreOldestFirstAndTheirSharesMakeOne) {
  make();
  dom::parser parser;
  const std::string path = "/futures/data/";
  const dom::array rows =
      parser.parse(get(path + "topLongShortPositionRatio?symbol=BTCUSDT&period=5m&limit=2", 60s).body);
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(std::int64_t{rows.at(1)["timestamp"]}, 1795406400000);
  EXPECT_EQ(std::int64_t{rows.at(0)["timestamp"]}, 1795406400000 - 300'000);
  const auto whole = *Decimal::parse(std::string_view{rows.at(0)["longAccount"]});
  const auto rest = *Decimal::parse(std::string_view{rows.at(0)["shortAccount"]});
  EXPECT_EQ(std::stod(whole.text()) + std::stod(rest.text()), 1.0);
  ASSERT_EQ(ledger.lines.size(), 2U);
  EXPECT_THAT(ledger.lines[0], StartsWith("{\"type\":\"lsr_top_position\""));
  EXPECT_THAT(ledger.lines[0], HasSubstr("\"long_position_ratio\":\"" + whole.text() + "\""));
  get(path + "globalLongShortAccountRatio?symbol=BTCUSDT&period=1h&limit=1", 60s);
  EXPECT_THAT(ledger.lines.back(), StartsWith("{\"type\":\"lsr_all_account\""));
  EXPECT_THAT(ledger.lines.back(), HasSubstr(R"("period":"1h")"));
  get(path + "topLongShortAccountRatio?symbol=BTCUSDT&period=5m", 60s);
  EXPECT_EQ(ledger.lines.size(), 3U) << "none of the product's types";
  EXPECT_EQ(get(path + "globalLongShortAccountRatio?symbol=BTCUSDT&period=7m").status, 400);
  EXPECT_EQ(get(path + "nothing?symbol=BTCUSDT&period=5m").status, 404);
  int refused = 0;
  for (int i = 0; i < 1000; ++i)
    refused += get(path + "globalLongShortAccountRatio?symbol=BTCUSDT&period=5m&limit=1").status == 429;
  EXPECT_GT(refused, 0);
  EXPECT_EQ(get("/fapi/v1/ping").status, 200) << "a budget of its own";
}

TEST_F(SimulatedBinance, DayTickersAreStreamedAndAsked) {
  make(2000);
  ASSERT_TRUE(exchange->open(1, "/ws/btcusdt@ticker"));
  ASSERT_TRUE(exchange->open(2, "/market/ws/btcusdt@ticker"));
  run_to(5s);
  EXPECT_NEAR(static_cast<double>(inbox.take(1).size()), 5, 1);
  const auto usdm = inbox.take(2);
  ASSERT_GE(usdm.size(), 2U);
  dom::parser parser;
  const dom::element t = parser.parse(usdm.back());
  EXPECT_EQ(text_of(t["e"]), "24hrTicker");
  EXPECT_GE(std::stod(text_of(t["h"])), std::stod(text_of(t["l"])));
  const dom::array all = parser.parse(get("/fapi/v1/ticker/24hr", 5s).body);
  ASSERT_EQ(all.size(), 9U);
  EXPECT_GT(std::stod(text_of(all.at(0)["quoteVolume"])), 0);
  const dom::element one = parser.parse(get("/api/v3/ticker/24hr?symbol=BTCUSDT", 5s).body);
  EXPECT_EQ(text_of(one["symbol"]), "BTCUSDT");
  EXPECT_THAT(get("/api/v3/ticker/24hr?symbol=NOPE").body, HasSubstr("-1121"));
}

TEST_F(SimulatedBinance, SaysGoodbyeInTheFormOfTheConnection) {
  make();
  ASSERT_TRUE(exchange->open(1, "/ws/btcusdt@trade"));
  ASSERT_TRUE(exchange->open(2, "/stream?streams=btcusdt@trade"));
  EXPECT_EQ(exchange->farewell(1, kStart), R"({"e":"serverShutdown","E":1795406400000})");
  EXPECT_EQ(exchange->farewell(2, kStart),
            R"({"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1795406400000}})");
  EXPECT_EQ(exchange->farewell(9, kStart), "");
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
