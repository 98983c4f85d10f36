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

void field_if(std::string& out, const char* key, std::string_view text) {
  if (!text.empty()) field(out, key, text);
}

void number(std::string& out, const char* key, std::uint64_t value) {
  out += ",\"";
  out += key;
  out += "\":";
  out += std::to_string(value);
}

void flag(std::string& out, const char* key, bool value) {
  out += ",\"";
  out += key;
  out += value ? "\":true" : "\":false";
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

void quantity_unit(std::string& out, const Symbol& symbol) {
  if (symbol.inverse) field(out, "quantity_unit", "quote");
}

// With the venue's own count where it counts in contracts.
void quantity(std::string& out, const char* key, const Symbol& symbol, std::int64_t lots) {
  field(out, key, quantity_text(symbol, lots));
  quantity_unit(out, symbol);
  if (symbol.tells_contracts) field(out, "contracts", contracts_text(symbol, lots));
}

std::string any_trade(std::string_view exchange, const Symbol& symbol, const Trade& trade, std::string_view id,
                      std::int64_t lots) {
  std::string out = head("trade", exchange, symbol, trade.time);
  field(out, "trade_id", id);
  field(out, "price", price_text(symbol, trade.price));
  quantity(out, "quantity", symbol, lots);
  field(out, "side", trade.buyer_is_maker ? "sell" : "buy");
  flag(out, "is_maker", trade.buyer_is_maker);
  return out;
}

std::string aggregated(std::string_view exchange, const Symbol& symbol, const Trade& trade, std::uint64_t id) {
  std::string out = any_trade(exchange, symbol, trade, std::to_string(id), trade.quantity);
  field(out, "first_trade_id", std::to_string(trade.first_fill));
  field(out, "last_trade_id", std::to_string(trade.last_fill));
  out.push_back('}');
  return out;
}

void append_levels(std::string& out, const char* key, const Symbol& symbol, const std::vector<Level>& levels) {
  out += ",\"";
  out += key;
  out += "\":[";
  for (const Level& level : levels) {
    if (out.back() == ']') out.push_back(',');
    out += "[\"" + price_text(symbol, level.price) + "\",\"" + quantity_text(symbol, level.quantity) + "\"]";
  }
  out.push_back(']');
}

std::vector<Level> all_levels(const Book& book, Side side) {
  std::vector<Level> out;
  for (std::size_t i = 0; i < book.size(side); ++i) out.push_back(book.level(side, i));
  return out;
}

}  // namespace

std::string plain_decimal(int128 units, int scale) {
  const bool negative = units < 0;
  auto rest = negative ? -units : units;
  while (scale > 0 && rest % 10 == 0) {
    rest /= 10;
    --scale;
  }
  char text[64];
  char* const end = text + sizeof text;
  char* at = end;
  for (int i = 0; i < scale; ++i, rest /= 10) *--at = static_cast<char>('0' + static_cast<int>(rest % 10));
  if (scale > 0) *--at = '.';
  do {
    *--at = static_cast<char>('0' + static_cast<int>(rest % 10));
    rest /= 10;
  } while (rest != 0);
  if (negative) *--at = '-';
  return {at, end};
}

int128 power_of_ten(int exponent) {
  int128 value = 1;
  for (; exponent > 0; --exponent) value *= 10;
  return value;
}

std::string cut_decimal(int128 units, int scale, int decimals) {
  if (scale > decimals) {
    units /= power_of_ten(scale - decimals);
    scale = decimals;
  }
  return plain_decimal(units, scale);
}

std::string without_zeros(std::string_view decimal) {
  if (decimal.find('.') != decimal.npos) {
    while (decimal.ends_with('0')) decimal.remove_suffix(1);
    if (decimal.ends_with('.')) decimal.remove_suffix(1);
  }
  return decimal == "-0" ? "0" : std::string(decimal);
}

std::string price_text(const Symbol& symbol, std::int64_t ticks) {
  return plain_decimal(static_cast<int128>(ticks) * symbol.tick_units, symbol.price_scale);
}
std::string quantity_text(const Symbol& symbol, int128 lots) {
  return plain_decimal(lots * symbol.contract_units, symbol.quantity_scale + symbol.contract_scale);
}
std::string contracts_text(const Symbol& symbol, int128 lots) { return plain_decimal(lots, symbol.quantity_scale); }

std::string trade_line(std::string_view exchange, const Symbol& symbol, const Trade& trade) {
  return aggregated(exchange, symbol, trade, trade.id);
}

std::string last_fill_trade_line(std::string_view exchange, const Symbol& symbol, const Trade& trade) {
  return aggregated(exchange, symbol, trade, trade.last_fill);
}

std::string fill_line(std::string_view exchange, const Symbol& symbol, const Trade& trade, const Fill& fill) {
  return fill_line(exchange, symbol, trade, fill.quantity, std::to_string(fill.id));
}

std::string fill_line(std::string_view exchange, const Symbol& symbol, const Trade& trade, std::int64_t lots,
                      std::string_view id) {
  return any_trade(exchange, symbol, trade, id, lots) + "}";
}

std::string book_line(std::string_view exchange, const Symbol& symbol, const Book& book, std::uint64_t last_update_id,
                      WallTime time) {
  return book_line(exchange, symbol, all_levels(book, Side::bid), all_levels(book, Side::ask), last_update_id, time);
}

std::string book_line(std::string_view exchange, const Symbol& symbol, const std::vector<Level>& bids,
                      const std::vector<Level>& asks, std::uint64_t last_update_id, WallTime time) {
  std::string out = head("orderbook", exchange, symbol, time);
  number(out, "last_update_id", last_update_id);
  quantity_unit(out, symbol);
  number(out, "depth", std::max(bids.size(), asks.size()));
  append_levels(out, "bids", symbol, bids);
  append_levels(out, "asks", symbol, asks);
  out.push_back('}');
  return out;
}

std::string funding_line(std::string_view exchange, const Symbol& symbol, const FundingNote& note) {
  std::string out = head("funding_rate", exchange, symbol, note.time);
  field(out, "funding_rate", without_zeros(note.rate));
  if (note.funding_time) field(out, "funding_time", iso(*note.funding_time));
  if (note.next_funding_time) field(out, "next_funding_time", iso(*note.next_funding_time));
  field_if(out, "mark_price", without_zeros(note.mark_price));
  field_if(out, "index_price", without_zeros(note.index_price));
  if (note.interval_hours > 0) field(out, "funding_interval_hours", std::to_string(note.interval_hours));
  flag(out, "is_settled", note.settled);
  return out + "}";
}

std::string open_interest_line(std::string_view exchange, const Symbol& symbol, WallTime time, std::int64_t lots,
                               std::string_view value, bool tells_contracts) {
  std::string out = head("open_interest", exchange, symbol, time);
  field(out, "open_interest", quantity_text(symbol, lots));
  quantity_unit(out, symbol);
  field_if(out, "open_interest_value", without_zeros(value));
  if (tells_contracts) field(out, "contracts", contracts_text(symbol, lots));
  return out + "}";
}

std::string liquidation_line(std::string_view exchange, const Symbol& symbol, const LiquidationNote& note) {
  std::string out = head("liquidation", exchange, symbol, note.time);
  field(out, "side", note.sells ? "sell" : "buy");
  field(out, "price", price_text(symbol, note.price));
  if (note.average_price) field(out, "average_price", price_text(symbol, *note.average_price));
  quantity(out, "quantity", symbol, note.quantity);
  if (note.tells_filled) field(out, "filled_quantity", quantity_text(symbol, note.quantity));
  field_if(out, "status", note.status);
  field(out, "coverage", note.complete ? "complete" : "sampled");
  return out + "}";
}

std::string ratio_line(std::string_view exchange, const Symbol& symbol, const RatioNote& note) {
  std::string out = head(note.positions ? "lsr_top_position" : "lsr_all_account", exchange, symbol, note.time);
  field_if(out, note.positions ? "long_position_ratio" : "long_account_ratio", without_zeros(note.long_share));
  field_if(out, note.positions ? "short_position_ratio" : "short_account_ratio", without_zeros(note.short_share));
  field(out, "long_short_ratio", without_zeros(note.ratio));
  field(out, "period", note.period);
  return out + "}";
}

std::string volatility_line(std::string_view exchange, const VolatilityNote& note) {
  std::string out = "{";
  field(out, "type", "volatility_index");
  field(out, "exchange", exchange);
  field(out, "market_type", note.market_type);
  field(out, "symbol", note.symbol);
  field(out, "instrument", note.instrument);
  field(out, "timestamp", iso(note.time));
  field(out, "index_value", without_zeros(note.value));
  field_if(out, "open", without_zeros(note.open));
  field_if(out, "high", without_zeros(note.high));
  field_if(out, "low", without_zeros(note.low));
  field_if(out, "resolution", note.resolution);
  field(out, "underlying_asset", note.underlying);
  return out + "}";
}

}  // namespace mp::sim
