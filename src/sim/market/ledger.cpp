#include "sim/market/ledger.hpp"

namespace mp::sim {
namespace {

// Everything that goes into a line is plain ASCII without quotes, so nothing needs escaping.
void field(std::string& out, const char* key, std::string_view text) {
  if (out.back() != '{') out.push_back(',');
  out.push_back('"');
  out += key;
  out += "\":\"";
  out += text;
  out.push_back('"');
}

void number(std::string& out, const char* key, std::uint64_t value) {
  out += ",\"";
  out += key;
  out += "\":";
  out += std::to_string(value);
}

std::string head(const char* type, std::string_view exchange, const Symbol& symbol, WallTime time) {
  std::string out = "{";
  field(out, "type", type);
  field(out, "exchange", exchange);
  field(out, "market_type", to_string(symbol.kind));
  field(out, "symbol", symbol.canonical());
  field(out, "instrument", symbol.instrument);
  field(out, "timestamp", iso(time));
  return out;
}

std::string any_trade(std::string_view exchange, const Symbol& symbol, const Trade& trade, std::uint64_t id,
                      std::int64_t quantity) {
  std::string out = head("trade", exchange, symbol, trade.time);
  field(out, "trade_id", std::to_string(id));
  field(out, "price", plain_decimal(trade.price, symbol.price_scale));
  field(out, "quantity", plain_decimal(quantity, symbol.quantity_scale));
  field(out, "side", trade.buyer_is_maker ? "sell" : "buy");
  out += trade.buyer_is_maker ? ",\"is_maker\":true" : ",\"is_maker\":false";
  return out;
}

void levels(std::string& out, const char* key, const Symbol& symbol, const Book& book, Side side) {
  out += ",\"";
  out += key;
  out += "\":[";
  for (std::size_t i = 0; i < book.size(side); ++i) {
    const Level& level = book.level(side, i);
    if (i > 0) out.push_back(',');
    out += "[\"" + plain_decimal(level.price, symbol.price_scale) + "\",\"" +
           plain_decimal(level.quantity, symbol.quantity_scale) + "\"]";
  }
  out.push_back(']');
}

}  // namespace

std::string plain_decimal(std::int64_t units, int scale) {
  while (scale > 0 && units % 10 == 0) {
    units /= 10;
    --scale;
  }
  std::string digits = std::to_string(units);
  if (scale == 0) return digits;
  const auto decimals = static_cast<std::size_t>(scale);
  if (digits.size() <= decimals) digits.insert(0, decimals + 1 - digits.size(), '0');
  digits.insert(digits.size() - decimals, ".");
  return digits;
}

std::string trade_line(std::string_view exchange, const Symbol& symbol, const Trade& trade) {
  std::string out = any_trade(exchange, symbol, trade, trade.id, trade.quantity);
  field(out, "first_trade_id", std::to_string(trade.first_fill));
  field(out, "last_trade_id", std::to_string(trade.last_fill));
  out.push_back('}');
  return out;
}

std::string fill_line(std::string_view exchange, const Symbol& symbol, const Trade& trade, const Fill& fill) {
  return any_trade(exchange, symbol, trade, fill.id, fill.quantity) + "}";
}

std::string book_line(std::string_view exchange, const Symbol& symbol, const Book& book, std::uint64_t last_update_id,
                      WallTime time) {
  std::string out = head("orderbook", exchange, symbol, time);
  number(out, "last_update_id", last_update_id);
  number(out, "depth", std::max(book.size(Side::bid), book.size(Side::ask)));
  levels(out, "bids", symbol, book, Side::bid);
  levels(out, "asks", symbol, book, Side::ask);
  out.push_back('}');
  return out;
}

}  // namespace mp::sim
