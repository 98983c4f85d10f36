#include "sim/binance/messages.hpp"

#include <algorithm>

#include "sim/binance/text.hpp"

namespace mp::sim::binance {
namespace {

// Writes one flat JSON object, field by field.
class Object {
 public:
  Object(std::string& out, const Symbol& symbol, TimeUnit unit) : out_(out), symbol_(symbol), unit_(unit) {
    out_.push_back('{');
  }
  Object& text(const char* key, std::string_view value) {
    name(key);
    out_.push_back('"');
    out_ += value;
    out_.push_back('"');
    return *this;
  }
  template <class Integer>
  Object& number(const char* key, Integer value) {
    name(key);
    append_integer(out_, value);
    return *this;
  }
  Object& time(const char* key, WallTime t) { return number(key, nanos_since_epoch(t) / unit_.nanos); }
  Object& flag(const char* key, bool value) {
    name(key);
    out_ += value ? "true" : "false";
    return *this;
  }
  Object& price(const char* key, std::int64_t ticks) {
    open_text(key);
    append_price(out_, symbol_, ticks);
    out_.push_back('"');
    return *this;
  }
  Object& quantity(const char* key, std::int64_t lots) {
    open_text(key);
    append_quantity(out_, symbol_, lots);
    out_.push_back('"');
    return *this;
  }
  // A product of ticks and lots: all its decimals.
  Object& value(const char* key, int128 product) {
    open_text(key);
    Decimal::from_parts(product * symbol_.tick_units, symbol_.price_scale + symbol_.quantity_scale).append_to(out_);
    out_.push_back('"');
    return *this;
  }
  std::string& raw(const char* key) {
    name(key);
    return out_;
  }
  // USD-M messages say which market (1: USD-M) and which pair.
  Object& market_fields() { return text("ps", symbol_.base + symbol_.quote).number("st", std::int64_t{1}); }
  void end() { out_.push_back('}'); }

 private:
  void name(const char* key) {
    if (out_.back() != '{') out_.push_back(',');
    out_.push_back('"');
    out_ += key;
    out_ += "\":";
  }
  void open_text(const char* key) {
    name(key);
    out_.push_back('"');
  }

  std::string& out_;
  const Symbol& symbol_;
  TimeUnit unit_;
};

bool is_spot(const Symbol& s) { return s.kind == Kind::spot; }

}  // namespace

void append_agg_trade(std::string& out, const Symbol& s, const Trade& trade, TimeUnit unit) {
  Object o(out, s, unit);
  o.text("e", "aggTrade").time("E", trade.time).text("s", s.instrument);
  if (!is_spot(s)) o.market_fields();
  o.number("a", trade.id).price("p", trade.price).quantity("q", trade.quantity);
  if (!is_spot(s)) o.quantity("nq", trade.quantity);
  o.number("f", trade.first_fill).number("l", trade.last_fill).time("T", trade.time).flag("m", trade.buyer_is_maker);
  if (is_spot(s)) o.flag("M", true);
  o.end();
}

void append_trade(std::string& out, const Symbol& s, const Trade& trade, const Fill& fill, TimeUnit unit) {
  Object o(out, s, unit);
  o.text("e", "trade").time("E", trade.time);
  if (is_spot(s)) {
    o.text("s", s.instrument).number("t", fill.id).price("p", trade.price).quantity("q", fill.quantity);
    o.time("T", trade.time).flag("m", trade.buyer_is_maker).flag("M", true).end();
    return;
  }
  o.time("T", trade.time).text("s", s.instrument).market_fields().number("t", fill.id);
  o.price("p", trade.price).quantity("q", fill.quantity).text("X", "MARKET").flag("m", trade.buyer_is_maker).end();
}

void append_void_trade(std::string& out, const Symbol& s, std::uint64_t id, WallTime time) {
  Object o(out, s, {});
  o.text("e", "trade").time("E", time).time("T", time).text("s", s.instrument).market_fields().number("t", id);
  o.text("p", "0").text("q", "0").text("X", "NA").flag("m", true).end();
}

std::string mark_text(std::int64_t price) {
  std::string out;
  append_fixed(out, price / 100, 8, 8);
  return out;
}

std::string rate_text(std::int64_t rate) {
  std::string out;
  append_signed(out, rate / 100'000'000, 8, 8);
  return out;
}

void append_mark_price(std::string& out, const Symbol& s, const Derivative& d) {
  Object o(out, s, {});
  o.text("e", "markPriceUpdate").time("E", d.time()).text("s", s.instrument).market_fields();
  o.text("p", mark_text(d.mark())).text("ap", mark_text(d.mark())).text("i", mark_text(d.index()));
  o.text("P", mark_text(d.index()));
  // A delivery contract has no funding.
  if (s.funding_hours > 0)
    o.text("r", rate_text(d.funding_rate())).time("T", d.funding_time());
  else
    o.text("r", "").number("T", std::int64_t{0});
  o.end();
}

LiquidationNote liquidation_of(const Symbol& s, const Trade& trade) {
  const auto beyond = static_cast<std::int64_t>(1 + trade.id % 8) * s.gap;
  LiquidationNote note;
  note.time = trade.time;
  note.sells = trade.buyer_is_maker;
  // The order's own price is the bankruptcy price: worse than what it got.
  note.price = trade.buyer_is_maker ? std::max<std::int64_t>(1, trade.price - beyond) : trade.price + beyond;
  note.average_price = trade.price;
  note.quantity = trade.quantity;
  note.tells_filled = true;
  note.status = "FILLED";
  return note;
}

void append_force_order(std::string& out, const Symbol& s, const LiquidationNote& order, WallTime time) {
  Object o(out, s, {});
  o.text("e", "forceOrder").time("E", time).raw("o");
  Object i(out, s, {});
  i.text("s", s.instrument).text("ps", s.base + s.quote).text("S", order.sells ? "SELL" : "BUY");
  i.text("o", "LIMIT").text("f", "IOC").quantity("q", order.quantity).price("p", order.price);
  i.price("ap", *order.average_price)
      .text("X", order.status)
      .quantity("l", order.quantity)
      .quantity("z", order.quantity);
  i.time("T", order.time).end();
  o.number("st", std::int64_t{1}).end();
}

void append_ticker(std::string& out, const Market& market, std::size_t index, WallTime time, TimeUnit unit,
                   TickerForm form) {
  const Symbol& s = market.symbol(index);
  const Session& day = market.session(index);
  const bool stream = form == TickerForm::stream;
  // As if the day before the start had been like the usual one.
  const int128 before = static_cast<int128>(s.typical_quantity) * s.weight * 20'000;
  const int128 volume = day.volume + before;
  const int128 turnover = day.turnover + before * s.start_price;
  const auto change = day.last - day.open;
  std::string change_text, percent;
  append_signed(change_text, change, s.price_scale, s.price_digits);
  append_signed(percent, change * 100'000 / day.open, 3, 3);
  std::string volume_text;
  Decimal::from_parts(volume, s.quantity_scale).append_to(volume_text);
  Object o(out, s, unit);
  if (stream) o.text("e", "24hrTicker").time("E", time);
  o.text(stream ? "s" : "symbol", s.instrument);
  if (stream && !is_spot(s)) o.market_fields();
  o.text(stream ? "p" : "priceChange", change_text).text(stream ? "P" : "priceChangePercent", percent);
  o.price(stream ? "w" : "weightedAvgPrice", static_cast<std::int64_t>(turnover / volume));
  o.price(stream ? "c" : "lastPrice", day.last).quantity(stream ? "Q" : "lastQty", day.last_quantity);
  if (is_spot(s)) {
    const Level& bid = market.book(index).best(Side::bid);
    const Level& ask = market.book(index).best(Side::ask);
    o.price(stream ? "b" : "bidPrice", bid.price).quantity(stream ? "B" : "bidQty", bid.quantity);
    o.price(stream ? "a" : "askPrice", ask.price).quantity(stream ? "A" : "askQty", ask.quantity);
  }
  o.price(stream ? "o" : "openPrice", day.open).price(stream ? "h" : "highPrice", day.high);
  o.price(stream ? "l" : "lowPrice", day.low).text(stream ? "v" : "volume", volume_text);
  o.value(stream ? "q" : "quoteVolume", turnover);
  o.time(stream ? "O" : "openTime", time - std::chrono::hours{24}).time(stream ? "C" : "closeTime", time);
  o.number(stream ? "F" : "firstId", day.first_fill).number(stream ? "L" : "lastId", day.last_fill);
  o.number(stream ? "n" : "count", day.trades).end();
}

void append_depth(std::string& out, const Symbol& s, const DepthUpdate& update, TimeUnit unit) {
  Object o(out, s, unit);
  o.text("e", "depthUpdate").time("E", update.time);
  if (!is_spot(s)) o.time("T", update.time);
  o.text("s", s.instrument);
  if (!is_spot(s)) o.market_fields();
  o.number("U", update.first_id).number("u", update.last_id);
  if (!is_spot(s)) o.number("pu", update.previous_last_id);
  append_levels(o.raw("b"), s, update.bids);
  append_levels(o.raw("a"), s, update.asks);
  o.end();
}

void append_partial_depth(std::string& out, const Symbol& s, const Book& book, std::size_t levels, std::uint64_t id,
                          std::uint64_t previous_id, WallTime time, TimeUnit unit) {
  Object o(out, s, unit);
  if (is_spot(s)) {
    o.number("lastUpdateId", id);
  } else {
    o.text("e", "depthUpdate").time("E", time).time("T", time).text("s", s.instrument).market_fields();
    o.number("U", id).number("u", id).number("pu", previous_id);
  }
  append_side(o.raw(is_spot(s) ? "bids" : "b"), s, book, Side::bid, levels);
  append_side(o.raw(is_spot(s) ? "asks" : "a"), s, book, Side::ask, levels);
  o.end();
}

void append_book_ticker(std::string& out, const Symbol& s, const Book& book, std::uint64_t id, WallTime time,
                        TimeUnit unit) {
  Object o(out, s, unit);
  if (!is_spot(s)) o.text("e", "bookTicker");
  o.number("u", id).text("s", s.instrument);
  if (!is_spot(s)) o.market_fields();
  const Level& bid = book.best(Side::bid);
  const Level& ask = book.best(Side::ask);
  o.price("b", bid.price).quantity("B", bid.quantity).price("a", ask.price).quantity("A", ask.quantity);
  if (!is_spot(s)) o.time("T", time).time("E", time);
  o.end();
}

void Candle::add(const Trade& trade) {
  if (empty()) {
    open = high = low = trade.price;
    first_fill = trade.first_fill;
  }
  high = std::max(high, trade.price);
  low = std::min(low, trade.price);
  close = trade.price;
  last_fill = trade.last_fill;
  volume += trade.quantity;
  const auto value = static_cast<int128>(trade.price) * trade.quantity;
  quote_volume += value;
  if (!trade.buyer_is_maker) {
    taker_buy_volume += trade.quantity;
    taker_buy_quote_volume += value;
  }
}

void append_kline(std::string& out, const Symbol& s, const Stream& stream, const Candle& candle, bool closed,
                  WallTime now, TimeUnit unit) {
  Object o(out, s, unit);
  o.text("e", "kline").time("E", now).text("s", s.instrument);
  if (!is_spot(s)) o.market_fields();
  o.raw("k");
  Object k(out, s, unit);
  const WallTime last = candle.open_time + stream.interval - Nanos{unit.nanos};
  k.time("t", candle.open_time).time("T", last).text("s", s.instrument).text("i", stream.candle);
  k.number("f", candle.first_fill).number("L", candle.last_fill);
  k.price("o", candle.open).price("c", candle.close).price("h", candle.high).price("l", candle.low);
  k.quantity("v", candle.volume).number("n", candle.last_fill - candle.first_fill + 1).flag("x", closed);
  k.value("q", candle.quote_volume).quantity("V", candle.taker_buy_volume);
  k.value("Q", candle.taker_buy_quote_volume).text("B", "0").end();
  o.end();
}

}  // namespace mp::sim::binance
