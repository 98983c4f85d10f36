#include "sim/binance/messages.hpp"

#include <gtest/gtest.h>

#include "sim/binance/text.hpp"
#include "sim/market/ledger.hpp"

namespace mp::sim::binance {
namespace {

const WallTime kTime = *wall_from_millis(1'790'000'000'120);

Symbol listed(const std::string& instrument, Kind kind) {
  for (const auto& s : usual_symbols(kTime))
    if (s.instrument == instrument && s.kind == kind) return s;
  ADD_FAILURE() << instrument;
  return {};
}

Trade a_trade() {
  Trade t;
  t.id = 3'300'000'001;
  t.first_fill = 5'123'456'789;
  t.last_fill = 5'123'456'791;
  t.price = 6'425'010;
  t.quantity = 1000;
  t.buyer_is_maker = false;
  t.time = kTime;
  return t;
}

Book a_book() {
  Book book;
  book.set(Side::bid, 642'501, 3215);
  book.set(Side::bid, 642'499, 1);
  book.set(Side::ask, 642'502, 40);
  return book;
}

template <class Append>
std::string text(Append append) {
  std::string out;
  append(out);
  return out;
}

TEST(Numbers, AreWrittenWithTheVenuesDigits) {
  const auto fixed = [](std::int64_t units, int scale, int digits) {
    return text([&](std::string& out) { append_fixed(out, units, scale, digits); });
  };
  EXPECT_EQ(fixed(6'425'010, 2, 8), "64250.10000000");
  EXPECT_EQ(fixed(642'501, 1, 2), "64250.10");
  EXPECT_EQ(fixed(0, 5, 8), "0.00000000");
  EXPECT_EQ(fixed(2450, 8, 8), "0.00002450");
  EXPECT_EQ(fixed(1'200'000'000, 0, 8), "1200000000.00000000");
  EXPECT_EQ(fixed(7, 0, 0), "7");
}

TEST(Numbers, AreNormalInTheLedger) {
  EXPECT_EQ(plain_decimal(6'425'010, 2), "64250.1");
  EXPECT_EQ(plain_decimal(2450, 8), "0.0000245");
  EXPECT_EQ(plain_decimal(1200, 0), "1200");
  EXPECT_EQ(plain_decimal(12'000, 3), "12");
  EXPECT_EQ(plain_decimal(0, 3), "0");
}

TEST(SpotMessages, AggregatedTrade) {
  EXPECT_EQ(text([](std::string& out) { append_agg_trade(out, listed("BTCUSDT", Kind::spot), a_trade(), {}); }),
            R"({"e":"aggTrade","E":1790000000120,"s":"BTCUSDT","a":3300000001,"p":"64250.10000000","q":"0.01000000",)"
            R"("f":5123456789,"l":5123456791,"T":1790000000120,"m":false,"M":true})");
}

TEST(SpotMessages, TradeInMicrosecondsWhenAskedFor) {
  EXPECT_EQ(text([](std::string& out) {
              append_trade(out, listed("BTCUSDT", Kind::spot), a_trade(), {5'123'456'790, 420}, TimeUnit{1000});
            }),
            R"({"e":"trade","E":1790000000120000,"s":"BTCUSDT","t":5123456790,"p":"64250.10000000",)"
            R"("q":"0.00420000","T":1790000000120000,"m":false,"M":true})");
}

TEST(SpotMessages, DepthUpdate) {
  DepthUpdate update{157, 160, 150, kTime, {{6'425'010, 0}, {6'425'000, 12'345}}, {}};
  EXPECT_EQ(text([&](std::string& out) { append_depth(out, listed("BTCUSDT", Kind::spot), update, {}); }),
            R"({"e":"depthUpdate","E":1790000000120,"s":"BTCUSDT","U":157,"u":160,)"
            R"("b":[["64250.10000000","0.00000000"],["64250.00000000","0.12345000"]],"a":[]})");
}

TEST(SpotMessages, BookTickerAndPartialDepthHaveNoTime) {
  const Symbol s = listed("XRPUSDT", Kind::spot);
  Book book;
  book.set(Side::bid, 21'437, 15);
  book.set(Side::ask, 21'439, 7);
  EXPECT_EQ(text([&](std::string& out) { append_book_ticker(out, s, book, 400'900'217, kTime, {}); }),
            R"({"u":400900217,"s":"XRPUSDT","b":"2.14370000","B":"1.50000000","a":"2.14390000","A":"0.70000000"})");
  EXPECT_EQ(text([&](std::string& out) { append_partial_depth(out, s, book, 5, 160, 150, kTime, {}); }),
            R"({"lastUpdateId":160,"bids":[["2.14370000","1.50000000"]],"asks":[["2.14390000","0.70000000"]]})");
}

TEST(UsdmMessages, CarryTheMarketAndThePair) {
  const Symbol s = listed("BTCUSDT", Kind::perpetual);
  Trade trade = a_trade();
  trade.price = 642'501;
  trade.quantity = 120;
  trade.buyer_is_maker = true;
  EXPECT_EQ(text([&](std::string& out) { append_agg_trade(out, s, trade, {}); }),
            R"({"e":"aggTrade","E":1790000000120,"s":"BTCUSDT","ps":"BTCUSDT","st":1,"a":3300000001,"p":"64250.10",)"
            R"("q":"0.120","nq":"0.120","f":5123456789,"l":5123456791,"T":1790000000120,"m":true})");
  EXPECT_EQ(text([&](std::string& out) {
              append_trade(out, s, trade, {5'123'456'789, 20}, {});
            }),
            R"({"e":"trade","E":1790000000120,"T":1790000000120,"s":"BTCUSDT","ps":"BTCUSDT","st":1,"t":5123456789,)"
            R"("p":"64250.10","q":"0.020","X":"MARKET","m":true})");
  DepthUpdate update{1001, 1007, 1000, kTime, {{642'501, 3215}}, {{642'502, 0}}};
  EXPECT_EQ(text([&](std::string& out) { append_depth(out, s, update, {}); }),
            R"({"e":"depthUpdate","E":1790000000120,"T":1790000000120,"s":"BTCUSDT","ps":"BTCUSDT","st":1,"U":1001,)"
            R"("u":1007,"pu":1000,"b":[["64250.10","3.215"]],"a":[["64250.20","0.000"]]})");
  EXPECT_EQ(text([&](std::string& out) { append_book_ticker(out, s, a_book(), 9, kTime, {}); }),
            R"({"e":"bookTicker","u":9,"s":"BTCUSDT","ps":"BTCUSDT","st":1,"b":"64250.10","B":"3.215","a":"64250.20",)"
            R"("A":"0.040","T":1790000000120,"E":1790000000120})");
}

TEST(UsdmMessages, QuarterlyFutureNamesItsPair) {
  Symbol s;
  for (const auto& symbol : usual_symbols(*parse_iso("2026-11-23T04:00:00Z")))
    if (symbol.kind == Kind::future) s = symbol;
  EXPECT_EQ(s.instrument, "BTCUSDT_261225");
  EXPECT_EQ(s.canonical(), "BTC-USDT-20261225");
  EXPECT_NE(text([&](std::string& out) {
              append_agg_trade(out, s, a_trade(), {});
            }).find(R"("s":"BTCUSDT_261225","ps":"BTCUSDT","st":1)"),
            std::string::npos);
}

TEST(Klines, AddUpTheirTrades) {
  const Symbol s = listed("BTCUSDT", Kind::spot);
  Candle candle;
  candle.open_time = *wall_from_millis(1'789'999'980'000);
  Trade trade = a_trade();
  candle.add(trade);
  trade.price -= 10;
  trade.buyer_is_maker = true;
  trade.first_fill = trade.last_fill = 5'123'456'792;
  candle.add(trade);
  const auto stream = *parse_stream(Section::spot, "btcusdt@kline_1m");
  EXPECT_EQ(text([&](std::string& out) { append_kline(out, s, stream, candle, true, kTime, {}); }),
            R"({"e":"kline","E":1790000000120,"s":"BTCUSDT","k":{"t":1789999980000,"T":1790000039999,"s":"BTCUSDT",)"
            R"("i":"1m","f":5123456789,"L":5123456792,"o":"64250.10000000","c":"64250.00000000","h":"64250.10000000",)"
            R"("l":"64250.00000000","v":"0.02000000","n":4,"x":true,"q":"1285.001","V":"0.01000000","Q":"642.501",)"
            R"("B":"0"}})");
}

TEST(LedgerLines, AreTheEventsOfTheDesign) {
  const Symbol s = listed("BTCUSDT", Kind::spot);
  EXPECT_EQ(trade_line("binance", s, a_trade()),
            R"({"type":"trade","exchange":"binance","market_type":"spot","symbol":"BTC-USDT","instrument":"BTCUSDT",)"
            R"("timestamp":"2026-09-21T14:13:20.120000000Z","trade_id":"3300000001","price":"64250.1",)"
            R"("quantity":"0.01","side":"buy","is_maker":false,"first_trade_id":"5123456789",)"
            R"("last_trade_id":"5123456791"})");
  EXPECT_EQ(fill_line("binance", s, a_trade(), {5'123'456'790, 420}),
            R"({"type":"trade","exchange":"binance","market_type":"spot","symbol":"BTC-USDT","instrument":"BTCUSDT",)"
            R"("timestamp":"2026-09-21T14:13:20.120000000Z","trade_id":"5123456790","price":"64250.1",)"
            R"("quantity":"0.0042","side":"buy","is_maker":false})");
  EXPECT_EQ(book_line("binance", listed("BTCUSDT", Kind::perpetual), a_book(), 1007, kTime),
            R"({"type":"orderbook","exchange":"binance","market_type":"perpetual","symbol":"BTC-USDT",)"
            R"("instrument":"BTCUSDT","timestamp":"2026-09-21T14:13:20.120000000Z","last_update_id":1007,"depth":2,)"
            R"("bids":[["64250.1","3.215"],["64249.9","0.001"]],"asks":[["64250.2","0.04"]]})");
}

TEST(Streams, AreUnderstoodByName) {
  EXPECT_EQ(parse_stream(Section::spot, "btcusdt@depth")->interval, std::chrono::seconds{1});
  EXPECT_EQ(parse_stream(Section::usdm, "btcusdt@depth")->interval, std::chrono::milliseconds{250});
  EXPECT_EQ(parse_stream(Section::usdm, "btcusdt_261225@depth20@500ms")->levels, 20);
  EXPECT_EQ(parse_stream(Section::usdm, "btcusdt_261225@depth20@500ms")->symbol, "BTCUSDT_261225");
  EXPECT_EQ(parse_stream(Section::spot, "btcusdt@kline_1h")->candle, "1h");
  for (const char* name : {"", "btcusdt", "BTCUSDT@trade", "btcusdt@depth7", "btcusdt@depth@50ms", "btcusdt@depth@",
                           "btcusdt@depth@500ms", "btcusdt@kline_7m", "@trade", "btcusdt@depthx"})
    EXPECT_FALSE(parse_stream(Section::spot, name)) << name;
}

TEST(Streams, OfUsdmAreRoutedAsSinceApril2026) {
  for (const char* name : {"btcusdt@depth", "btcusdt@depth@100ms", "btcusdt@depth5", "btcusdt@bookTicker",
                           "!bookTicker", "btcusdt@trade", "btcusdt@rpiDepth@500ms"})
    EXPECT_EQ(route_of(Section::usdm, name), Route::usdm_public) << name;
  for (const char* name : {"btcusdt@aggTrade", "btcusdt@markPrice@1s", "btcusdt@kline_1m", "!forceOrder@arr",
                           "btcusdt@forceOrder", "btcusdt@ticker"})
    EXPECT_EQ(route_of(Section::usdm, name), Route::usdm_market) << name;
  EXPECT_EQ(route_of(Section::spot, "btcusdt@aggTrade"), Route::spot);
}

TEST(Listing, HasSaneNumbers) {
  for (const auto& s : all_symbols(kTime)) {
    EXPECT_GE(s.price_digits, s.price_scale) << s.instrument;
    EXPECT_GE(s.quantity_digits, s.quantity_scale) << s.instrument;
    EXPECT_GT(s.start_price * 7 / 10, 1400) << s.instrument << ": no room for a thousand bids";
    if (s.kind == Kind::future) {
      EXPECT_GT(s.expiry, kTime);
    }
  }
}

}  // namespace
}  // namespace mp::sim::binance
