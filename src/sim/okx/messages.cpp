#include "sim/okx/messages.hpp"

#include "sim/dialect/text.hpp"
#include "sim/market/ledger.hpp"
#include "sim/okx/listing.hpp"

namespace mp::sim::okx {
namespace {

std::string millis(WallTime t) { return std::to_string(milliseconds(t)); }

// The open interest in coins.
std::string coins_text(const Symbol& s, const Derivative& d) {
  const int128 quantity = static_cast<int128>(d.open_interest()) * s.contract_units;
  const int scale = s.quantity_scale + s.contract_scale;
  if (!s.inverse) return plain_decimal(quantity, scale);
  return cut_decimal(quantity * power_of_ten(kIndexScale + 8 - scale) / d.index(), 8, 8);
}

}  // namespace

std::string mark_text(const Symbol& symbol, std::int64_t price) {
  return cut_decimal(price, kIndexScale, symbol.price_scale + 1);
}

std::string dollars_text(const Symbol& s, const Derivative& d) {
  const int128 quantity = static_cast<int128>(d.open_interest()) * s.contract_units;
  const int scale = s.quantity_scale + s.contract_scale;
  if (s.inverse) return plain_decimal(quantity, scale);
  // Price first cut to cents of cents, so that large holdings stay within 128 bits.
  return cut_decimal(quantity * d.index(), scale + kIndexScale, 8);
}

std::int64_t bankruptcy_price(const Symbol& symbol, const Trade& trade) {
  const auto beyond = static_cast<std::int64_t>(1 + trade.id % 8) * symbol.gap;
  return trade.buyer_is_maker ? std::max<std::int64_t>(1, trade.price - beyond) : trade.price + beyond;
}

void append_level(std::string& out, const Symbol& symbol, const Level& level) {
  if (out.back() != '[') out.push_back(',');
  // How many orders stand there is invented from their sum.
  const auto orders = level.quantity == 0 ? 0 : 1 + level.quantity % 7;
  out += "[\"" + price_text(symbol, level.price) + "\",\"" + contracts_text(symbol, level.quantity) + "\",\"0\",\"" +
         std::to_string(orders) + "\"]";
}

void append_trade(std::string& out, const Symbol& symbol, const Trade& trade, std::uint64_t seq) {
  out.push_back('{');
  append_text(out, "instId", symbol.instrument);
  append_text(out, "tradeId", std::to_string(trade.last_fill));
  append_text(out, "px", price_text(symbol, trade.price));
  append_text(out, "sz", contracts_text(symbol, trade.quantity));
  append_text(out, "side", trade.buyer_is_maker ? "sell" : "buy");
  append_text(out, "ts", millis(trade.time));
  append_text(out, "count", std::to_string(trade.last_fill - trade.first_fill + 1));
  append_text(out, "source", "0");
  append_raw(out, "seqId", std::to_string(seq));
  out.push_back('}');
}

void append_fill(std::string& out, const Symbol& symbol, std::uint64_t id, std::int64_t price, std::int64_t lots,
                 bool taker_sold, WallTime time, bool with_source) {
  out.push_back('{');
  append_text(out, "instId", symbol.instrument);
  append_text(out, "tradeId", std::to_string(id));
  append_text(out, "px", price_text(symbol, price));
  append_text(out, "sz", contracts_text(symbol, lots));
  append_text(out, "side", taker_sold ? "sell" : "buy");
  if (with_source) append_text(out, "source", "0");
  append_text(out, "ts", millis(time));
  out.push_back('}');
}

void append_funding(std::string& out, const Symbol& symbol, const Derivative& d) {
  const auto& last = d.settlements().back();
  out.push_back('{');
  append_text(out, "formulaType", "withRate");
  append_text(out, "fundingRate", plain_decimal(d.funding_rate(), kFundingScale));
  append_text(out, "fundingTime", millis(d.funding_time()));
  append_text(out, "impactValue", "20000");
  append_text(out, "instId", symbol.instrument);
  append_text(out, "instType", inst_type(symbol));
  append_text(out, "interestRate", "0.0001");
  append_text(out, "maxFundingRate", plain_decimal(Derivative::kMaxRate, kFundingScale));
  append_text(out, "method", "current_period");
  append_text(out, "minFundingRate", plain_decimal(-Derivative::kMaxRate, kFundingScale));
  append_text(out, "nextFundingRate", "");
  append_text(out, "nextFundingTime", millis(d.funding_time() + d.funding_interval()));
  append_text(out, "premium", plain_decimal(d.premium(), kPremiumScale));
  append_text(out, "settFundingRate", plain_decimal(last.rate, kFundingScale));
  append_text(out, "settState", "settled");
  append_text(out, "ts", millis(d.time()));
  out.push_back('}');
}

void append_settlement(std::string& out, const Symbol& symbol, const Settlement& settlement) {
  out.push_back('{');
  append_text(out, "formulaType", "withRate");
  append_text(out, "fundingRate", plain_decimal(settlement.predicted, kFundingScale));
  append_text(out, "fundingTime", millis(settlement.time));
  append_text(out, "instId", symbol.instrument);
  append_text(out, "instType", inst_type(symbol));
  append_text(out, "method", "current_period");
  append_text(out, "realizedRate", plain_decimal(settlement.rate, kFundingScale));
  out.push_back('}');
}

void append_open_interest(std::string& out, const Symbol& symbol, const Derivative& d) {
  out.push_back('{');
  append_text(out, "instId", symbol.instrument);
  append_text(out, "instType", inst_type(symbol));
  append_text(out, "oi", contracts_text(symbol, d.open_interest()));
  append_text(out, "oiCcy", coins_text(symbol, d));
  append_text(out, "oiUsd", dollars_text(symbol, d));
  append_text(out, "ts", millis(d.time()));
  out.push_back('}');
}

void append_mark(std::string& out, const Symbol& symbol, const Derivative& d) {
  out.push_back('{');
  append_text(out, "instId", symbol.instrument);
  append_text(out, "instType", inst_type(symbol));
  append_text(out, "markPx", mark_text(symbol, d.mark()));
  append_text(out, "ts", millis(d.time()));
  out.push_back('}');
}

void append_liquidation(std::string& out, const Symbol& symbol, const LiquidationNote& order) {
  out.push_back('{');
  append_raw(out, "details", "[{");
  append_text(out, "bkLoss", "0");
  append_text(out, "bkPx", price_text(symbol, order.price));
  append_text(out, "ccy", "");
  append_text(out, "posSide", order.sells ? "long" : "short");
  append_text(out, "side", order.sells ? "sell" : "buy");
  append_text(out, "sz", contracts_text(symbol, order.quantity));
  append_text(out, "ts", millis(order.time));
  out += "}]";
  append_text(out, "instFamily", inst_family(symbol));
  append_text(out, "instId", symbol.instrument);
  append_text(out, "instType", inst_type(symbol));
  append_text(out, "uly", symbol.base + "-" + symbol.quote);
  out.push_back('}');
}

void append_ticker(std::string& out, const Market& market, std::size_t index, WallTime time) {
  const Symbol& s = market.symbol(index);
  const Session& session = market.session(index);
  const Level& bid = market.book(index).best(Side::bid);
  const Level& ask = market.book(index).best(Side::ask);
  // As if the day before the start had been like the usual one.
  const int128 volume = session.volume + static_cast<int128>(s.typical_quantity) * s.weight * 20'000;
  const int128 turnover =
      session.turnover + static_cast<int128>(s.typical_quantity) * s.weight * 20'000 * s.start_price;
  out.push_back('{');
  append_text(out, "instType", inst_type(s));
  append_text(out, "instId", s.instrument);
  append_text(out, "last", price_text(s, session.last));
  append_text(out, "lastSz", contracts_text(s, session.last_quantity));
  append_text(out, "askPx", price_text(s, ask.price));
  append_text(out, "askSz", contracts_text(s, ask.quantity));
  append_text(out, "bidPx", price_text(s, bid.price));
  append_text(out, "bidSz", contracts_text(s, bid.quantity));
  append_text(out, "open24h", price_text(s, session.open));
  append_text(out, "high24h", price_text(s, session.high));
  append_text(out, "low24h", price_text(s, session.low));
  // Of derivatives in coins, of spot in the quote.
  std::string in_currency;
  if (s.kind == Kind::spot)
    in_currency = plain_decimal(turnover * s.tick_units, s.price_scale + s.quantity_scale);
  else if (s.inverse)
    in_currency = cut_decimal(
        volume * s.contract_units * power_of_ten(kIndexScale + 4 - s.quantity_scale) / market.index(index), 4, 4);
  else
    in_currency = quantity_text(s, volume);
  append_text(out, "volCcy24h", in_currency);
  append_text(out, "vol24h", contracts_text(s, volume));
  append_text(out, "sodUtc0", price_text(s, session.open));
  append_text(out, "sodUtc8", price_text(s, session.open));
  append_text(out, "ts", millis(time));
  out.push_back('}');
}

void append_instrument(std::string& out, const Symbol& s, std::size_t number) {
  const bool spot = s.kind == Kind::spot;
  const bool option = s.kind == Kind::option;
  const bool expires = s.kind == Kind::future || option || is_xperp(s);
  const std::string contract = plain_decimal(s.contract_units, s.contract_scale);
  const std::string lot = plain_decimal(1, s.quantity_scale);
  const std::string most = spot ? "999999999999" : "100000000";
  out.push_back('{');
  append_text(out, "alias", s.kind == Kind::future ? "quarter" : "");
  append_text(out, "auctionEndTime", "");
  append_text(out, "baseCcy", spot ? s.base : "");
  append_text(out, "category", "1");
  append_text(out, "contTdSwTime", "");
  // An option's contract is a part (ctMult) of one coin (ctVal).
  append_text(out, "ctMult", spot ? "" : option ? contract : "1");
  append_text(out, "ctType", spot || option ? "" : s.inverse ? "inverse" : "linear");
  append_text(out, "ctVal", spot ? "" : option ? "1" : contract);
  append_text(out, "ctValCcy", spot ? "" : s.inverse ? "USD" : s.base);
  append_text(out, "expTime", expires ? millis(s.expiry) : "");
  append_raw(out, "futureSettlement", "false");
  append_text(out, "groupId", spot ? "1" : "4");
  append_text(out, "instFamily", inst_family(s));
  append_text(out, "instId", s.instrument);
  append_raw(out, "instIdCode", std::to_string(10'000 + number));
  append_text(out, "instType", inst_type(s));
  append_text(out, "lever", option ? "" : "50");
  append_text(out, "listTime", "1573557408000");
  append_text(out, "lotSz", lot);
  append_text(out, "maxIcebergSz", most);
  append_text(out, "maxLmtAmt", "20000000");
  append_text(out, "maxLmtSz", most);
  append_text(out, "maxMktAmt", spot ? "1000000" : "");
  append_text(out, "maxMktSz", "1000000");
  append_text(out, "maxStopSz", "1000000");
  append_text(out, "maxTriggerSz", most);
  append_text(out, "maxTwapSz", most);
  append_text(out, "minSz", lot);
  append_text(out, "openType", "");
  append_text(out, "optType", option ? std::string(1, s.right) : "");
  append_text(out, "preMktSwTime", "");
  append_text(out, "quoteCcy", spot ? s.quote : "");
  append_raw(out, "tradeQuoteCcyList", spot ? "[\"" + s.quote + "\"]" : "[]");
  append_text(out, "ruleType", is_xperp(s) ? "xperp" : "normal");
  append_text(out, "settleCcy", spot ? "" : s.settle);
  append_text(out, "state", "live");
  append_text(out, "stk", s.strike);
  append_text(out, "tickSz", plain_decimal(s.tick_units, s.price_scale));
  append_text(out, "uly", spot ? "" : s.base + "-" + s.quote);
  out.push_back('}');
}

}  // namespace mp::sim::okx
