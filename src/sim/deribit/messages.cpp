#include "sim/deribit/messages.hpp"

#include <algorithm>
#include <chrono>

#include "sim/deribit/listing.hpp"
#include "sim/dialect/text.hpp"

namespace mp::sim::deribit {
namespace {

using namespace std::chrono_literals;

std::string millis(WallTime t) { return std::to_string(milliseconds(t)); }

std::string with_point(std::string text) {
  if (text.find('.') == text.npos) text += ".0";
  return text;
}

const char* word_of(LevelChange::Kind kind) {
  switch (kind) {
    case LevelChange::Kind::added: return "new";
    case LevelChange::Kind::changed: return "change";
    case LevelChange::Kind::removed: return "delete";
  }
  return "";
}

// As if the day before the start had been like the usual one.
int128 day_volume(const Symbol& s, const Session& session) {
  return session.volume + static_cast<int128>(s.typical_quantity) * s.weight * 5'000;
}

// Of the volume, in dollars and whole cents.
std::string day_dollars(const Market& market, std::size_t i) {
  const Symbol& s = market.symbol(i);
  const int128 volume = day_volume(s, market.session(i)) * s.contract_units;
  const int scale = s.quantity_scale + s.contract_scale;
  if (s.inverse) return with_point(cut_decimal(volume, scale, 2));
  return with_point(cut_decimal(volume * market.index(i), scale + kIndexScale, 2));
}

void append_best(std::string& out, const Market& market, std::size_t i) {
  const Symbol& s = market.symbol(i);
  const Level& bid = market.book(i).best(Side::bid);
  const Level& ask = market.book(i).best(Side::ask);
  append_raw(out, "best_bid_price", price_number(s, bid.price));
  append_raw(out, "best_bid_amount", amount_number(s, bid.quantity));
  append_raw(out, "best_ask_price", price_number(s, ask.price));
  append_raw(out, "best_ask_amount", amount_number(s, ask.quantity));
}

}  // namespace

std::string number(int128 units, int scale) { return with_point(plain_decimal(units, scale)); }
std::string price_number(const Symbol& s, std::int64_t ticks) { return with_point(price_text(s, ticks)); }
std::string amount_number(const Symbol& s, int128 lots) { return with_point(quantity_text(s, lots)); }
std::string mark_number(const Symbol& s, std::int64_t price) {
  return with_point(cut_decimal(price, kIndexScale, std::max(2, s.price_scale + 1)));
}
std::string index_number(std::int64_t price) { return with_point(cut_decimal(price, kIndexScale, 4)); }
std::string rate_number(std::int64_t rate) { return with_point(cut_decimal(rate, kFundingScale, 8)); }
std::string interest_number(const Symbol& s, const Derivative& d) { return amount_number(s, d.open_interest()); }

void append_changes(std::string& out, const Symbol& s, const std::vector<LevelChange>& changes) {
  for (const auto& change : changes) {
    if (out.back() != '[') out.push_back(',');
    out += "[\"";
    out += word_of(change.kind);
    out += "\"," + price_number(s, change.level.price) + "," + amount_number(s, change.level.quantity) + "]";
  }
}

void append_levels(std::string& out, const Symbol& s, const Book& book, Side side, std::size_t count) {
  out.push_back('[');
  for (std::size_t i = 0; i < std::min(count, book.size(side)); ++i) {
    const Level& level = book.level(side, i);
    if (i > 0) out.push_back(',');
    out += "[" + price_number(s, level.price) + "," + amount_number(s, level.quantity) + "]";
  }
  out.push_back(']');
}

void append_trade(std::string& out, const Symbol& s, const TradeFields& t) {
  out.push_back('{');
  append_raw(out, "timestamp", millis(t.time));
  append_raw(out, "price", price_number(s, t.price));
  append_raw(out, "amount", amount_number(s, t.quantity));
  append_text(out, "direction", t.taker_sold ? "sell" : "buy");
  append_raw(out, "index_price", index_number(t.index));
  append_text(out, "instrument_name", s.instrument);
  append_raw(out, "trade_seq", std::to_string(t.seq));
  append_raw(out, "mark_price", mark_number(s, t.mark));
  append_raw(out, "tick_direction", std::to_string(t.tick_direction));
  if (s.kind == Kind::option) append_raw(out, "iv", "47.5");
  if (s.kind != Kind::spot) append_raw(out, "contracts", with_point(contracts_text(s, t.quantity)));
  switch (t.liquidated) {
    case Liquidated::nobody: break;
    case Liquidated::taker: append_text(out, "liquidation", "T"); break;
    case Liquidated::maker: append_text(out, "liquidation", "M"); break;
    case Liquidated::both: append_text(out, "liquidation", "MT"); break;
  }
  append_text(out, "trade_id", t.id);
  out.push_back('}');
}

void append_ticker(std::string& out, const Market& market, std::size_t i, WallTime time, std::int64_t volatility) {
  const Symbol& s = market.symbol(i);
  const Session& session = market.session(i);
  const bool spot = s.kind == Kind::spot;
  out.push_back('{');
  append_raw(out, "timestamp", millis(time));
  append_text(out, "state", "open");
  append_raw(out, "stats", "{");
  append_raw(out, "high", price_number(s, session.high));
  append_raw(out, "low", price_number(s, session.low));
  append_raw(out, "price_change", number((session.last - session.open) * 10'000 / session.open, 2));
  append_raw(out, "volume", amount_number(s, day_volume(s, session)));
  append_raw(out, "volume_usd", day_dollars(market, i));
  append_raw(out, "volume_notional", day_dollars(market, i));
  out.push_back('}');
  append_raw(out, "index_price", index_number(market.index(i)));
  append_text(out, "instrument_name", s.instrument);
  append_raw(out, "last_price", price_number(s, session.last));
  append_raw(out, "min_price", price_number(s, session.last * 9 / 10));
  append_raw(out, "max_price", price_number(s, session.last * 11 / 10 + 1));
  append_raw(out, "mark_price", mark_number(s, spot ? market.middle(i) : market.derivative(i).mark()));
  append_best(out, market, i);
  append_raw(out, "estimated_delivery_price", index_number(market.index(i)));
  if (!spot) {
    const Derivative& d = market.derivative(i);
    append_raw(out, "open_interest", interest_number(s, d));
    append_raw(out, "settlement_price", mark_number(s, d.mark()));
    if (s.funding_hours > 0) {
      append_raw(out, "current_funding", rate_number(d.present_rate()));
      append_raw(out, "funding_8h", rate_number(d.settlements().back().rate * 8));
      append_raw(out, "interest_value", rate_number(d.present_rate()));
    }
  }
  if (s.kind == Kind::option) {
    // What is written of volatilities and greeks is of the right form and of about the right size, no more.
    append_raw(out, "mark_iv", number(volatility, 2));
    append_raw(out, "bid_iv", number(volatility - 45, 2));
    append_raw(out, "ask_iv", number(volatility + 52, 2));
    append_text(out, "underlying_index", "index_price");
    append_raw(out, "underlying_price", index_number(market.index(i)));
    append_raw(out, "interest_rate", "0.0");
    append_raw(out, "greeks",
               s.right == 'C' ? R"({"delta":0.42,"gamma":0.00003,"vega":61.2,"theta":-48.5,"rho":19.7})"
                              : R"({"delta":-0.31,"gamma":0.00002,"vega":53.8,"theta":-44.1,"rho":-16.2})");
  }
  out.push_back('}');
}

void append_summary(std::string& out, const Market& market, std::size_t i, WallTime time, std::int64_t volatility) {
  const Symbol& s = market.symbol(i);
  const Session& session = market.session(i);
  const bool spot = s.kind == Kind::spot;
  out.push_back('{');
  append_text(out, "instrument_name", s.instrument);
  append_text(out, "base_currency", s.base);
  append_text(out, "quote_currency", s.kind == Kind::option && s.quote == "USD" ? s.base : s.quote);
  append_raw(out, "bid_price", price_number(s, market.book(i).best(Side::bid).price));
  append_raw(out, "ask_price", price_number(s, market.book(i).best(Side::ask).price));
  append_raw(out, "mid_price", number(market.middle(i), kIndexScale));
  append_raw(out, "mark_price", mark_number(s, spot ? market.middle(i) : market.derivative(i).mark()));
  append_raw(out, "last", price_number(s, session.last));
  append_raw(out, "high", price_number(s, session.high));
  append_raw(out, "low", price_number(s, session.low));
  append_raw(out, "volume", amount_number(s, day_volume(s, session)));
  append_raw(out, "volume_usd", day_dollars(market, i));
  append_raw(out, "volume_notional", day_dollars(market, i));
  if (!spot) {
    const Derivative& d = market.derivative(i);
    append_raw(out, "open_interest", interest_number(s, d));
    append_raw(out, "estimated_delivery_price", index_number(d.index()));
    if (s.funding_hours > 0) {
      append_raw(out, "current_funding", rate_number(d.present_rate()));
      append_raw(out, "funding_8h", rate_number(d.settlements().back().rate * 8));
    }
  }
  if (s.kind == Kind::option) {
    append_raw(out, "mark_iv", number(volatility, 2));
    append_raw(out, "underlying_price", index_number(market.index(i)));
    append_text(out, "underlying_index", "index_price");
    append_raw(out, "interest_rate", "0.0");
  }
  append_raw(out, "creation_timestamp", millis(time));
  out.push_back('}');
}

void append_instrument(std::string& out, const Symbol& s, std::size_t number_of_it, WallTime start) {
  const bool spot = s.kind == Kind::spot;
  const bool option = s.kind == Kind::option;
  const bool perpetual = s.kind == Kind::perpetual;
  const bool coin_priced = option && s.quote == "USD";  // and settled: "reversed"
  constexpr std::int64_t kNever = 32'503'708'800'000;
  const std::string smallest = amount_number(s, 1);
  out.push_back('{');
  append_text(out, "price_index", index_name(s));
  append_text(out, "kind", kind_of(s));
  append_text(out, "instrument_name", s.instrument);
  append_raw(out, "instrument_id", std::to_string(200'000 + number_of_it));
  append_raw(out, "maker_commission", "0.0");
  append_raw(out, "taker_commission", option ? "0.0003" : "0.0005");
  append_text(out, "instrument_type", s.inverse || coin_priced ? "reversed" : "linear");
  if (!spot) {
    append_raw(out, "expiration_timestamp", perpetual ? std::to_string(kNever) : millis(s.expiry));
    append_text(out, "settlement_period", perpetual ? "perpetual" : "month");
    append_text(out, "settlement_currency", s.settle);
  }
  append_raw(out, "creation_timestamp", millis(std::chrono::floor<std::chrono::days>(start) - std::chrono::days{90}));
  append_raw(out, "is_active", "true");
  append_text(out, "state", "open");
  append_raw(out, "tick_size", number(coin_priced ? 1 : s.tick_units, s.price_scale));
  append_raw(
      out, "tick_size_steps",
      coin_priced ? "[{\"above_price\":0.005,\"tick_size\":" + number(s.tick_units, s.price_scale) + "}]" : "[]");
  append_raw(out, "contract_size", spot ? smallest : number(s.contract_units, s.contract_scale));
  append_raw(out, "min_trade_amount", smallest);
  append_text(out, "base_currency", s.base);
  append_text(out, "counter_currency", s.quote);
  append_text(out, "quote_currency", coin_priced ? s.base : s.quote);
  if (option) {
    append_text(out, "option_type", s.right == 'C' ? "call" : "put");
    append_raw(out, "strike", with_point(s.strike));
  } else if (!spot) {
    append_raw(out, "max_leverage", "50");
    append_text(out, "future_type", s.inverse ? "reversed" : "linear");
  }
  append_raw(out, "block_trade_commission", "0.00025");
  append_raw(out, "block_trade_min_trade_amount", option ? "25" : "200000");
  append_raw(out, "block_trade_tick_size", number(1, s.price_scale));
  append_raw(out, "rfq", "false");
  out.push_back('}');
}

}  // namespace mp::sim::deribit
