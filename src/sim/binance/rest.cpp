// The REST side of the simulated Binance.
#include <algorithm>
#include <charconv>

#include "base/text.hpp"
#include "sim/binance/exchange.hpp"
#include "sim/binance/feeds.hpp"
#include "sim/binance/text.hpp"

namespace mp::sim::binance {
namespace {

using namespace std::chrono_literals;

HttpAnswer json(std::string body) {
  HttpAnswer answer;
  answer.body = std::move(body);
  return answer;
}

HttpAnswer error(int status, int code, std::string_view message) {
  HttpAnswer answer;
  answer.status = status;
  answer.body = "{\"code\":" + std::to_string(code) + ",\"msg\":";
  append_json_string(answer.body, message);
  answer.body.push_back('}');
  return answer;
}

HttpAnswer bad_parameter(std::string_view name) {
  return error(400, -1130, "Data sent for parameter '" + std::string(name) + "' is not valid.");
}

// What a request costs, before it is known whether it is a good one.
std::int64_t weight_of(Section section, std::string_view endpoint, const Query& query) {
  const bool spot = section == Section::spot;
  if (endpoint == "depth") {
    const auto asked = whole_number(query_value(query, "limit"));
    const auto limit = asked.value_or(spot ? 100 : 500);
    if (spot) return limit <= 100 ? 5 : limit <= 500 ? 25 : limit <= 1000 ? 50 : 250;
    return limit <= 50 ? 2 : limit <= 100 ? 5 : limit <= 500 ? 10 : 20;
  }
  if (endpoint == "trades") return spot ? 25 : 5;
  if (endpoint == "historicalTrades") return spot ? 25 : 20;
  if (endpoint == "aggTrades") return spot ? 4 : 20;
  if (endpoint == "exchangeInfo") return spot ? 20 : 1;
  if (endpoint == "ticker/24hr") {
    const bool all = query_value(query, "symbol").empty();
    return spot ? (all ? 80 : 2) : (all ? 40 : 1);
  }
  if (endpoint == "premiumIndex") return query_value(query, "symbol").empty() ? 10 : 1;
  if (endpoint == "fundingRate" || endpoint == "fundingInfo") return 0;  // a budget of their own
  if (endpoint == "ticker/bookTicker") return query_value(query, "symbol").empty() ? (spot ? 4 : 5) : 2;
  return 1;
}

std::string decimal_text(std::int64_t units, int scale, int digits) {
  std::string out;
  append_fixed(out, units, scale, digits);
  return out;
}

// "0.01000000": one unit of the scale.
std::string step_text(int scale, int digits) { return decimal_text(1, scale, digits); }

void append_rate_limits(std::string& out, Section section, std::int64_t weight) {
  out += "\"rateLimits\":[{\"rateLimitType\":\"REQUEST_WEIGHT\",\"interval\":\"MINUTE\",\"intervalNum\":1,\"limit\":" +
         std::to_string(weight) + "}";
  if (section == Section::spot)
    out += ",{\"rateLimitType\":\"RAW_REQUESTS\",\"interval\":\"MINUTE\",\"intervalNum\":5,\"limit\":300000}";
  out += "]";
}

void append_spot_symbol(std::string& out, const Symbol& s) {
  const std::string tick = step_text(s.price_scale, 8);
  const std::string lot = step_text(s.quantity_scale, 8);
  out +=
      "{\"symbol\":\"" + s.instrument + "\",\"status\":\"TRADING\",\"baseAsset\":\"" + s.base +
      "\",\"baseAssetPrecision\":8,\"quoteAsset\":\"" + s.quote +
      "\",\"quotePrecision\":8,\"quoteAssetPrecision\":8,\"baseCommissionPrecision\":8,"
      "\"quoteCommissionPrecision\":8,\"orderTypes\":[\"LIMIT\",\"LIMIT_MAKER\",\"MARKET\"],\"icebergAllowed\":true,"
      "\"ocoAllowed\":true,\"otoAllowed\":true,\"opoAllowed\":true,\"quoteOrderQtyMarketAllowed\":true,"
      "\"allowTrailingStop\":true,\"cancelReplaceAllowed\":true,\"amendAllowed\":true,\"pegInstructionsAllowed\":true,"
      "\"isSpotTradingAllowed\":true,\"isMarginTradingAllowed\":false,\"filters\":["
      "{\"filterType\":\"PRICE_FILTER\",\"minPrice\":\"" +
      tick + "\",\"maxPrice\":\"" + decimal_text(s.start_price * 100, s.price_scale, 8) + "\",\"tickSize\":\"" + tick +
      "\"},"
      "{\"filterType\":\"LOT_SIZE\",\"minQty\":\"" +
      lot + "\",\"maxQty\":\"" + decimal_text(s.typical_quantity * 10'000, s.quantity_scale, 8) + "\",\"stepSize\":\"" +
      lot +
      "\"},"
      "{\"filterType\":\"NOTIONAL\",\"minNotional\":\"5.00000000\",\"applyMinToMarket\":true,"
      "\"maxNotional\":\"9000000.00000000\",\"applyMaxToMarket\":false,\"avgPriceMins\":5}],"
      "\"permissions\":[],\"permissionSets\":[[\"SPOT\"]],\"defaultSelfTradePreventionMode\":\"EXPIRE_MAKER\","
      "\"allowedSelfTradePreventionModes\":[\"EXPIRE_TAKER\",\"EXPIRE_MAKER\",\"EXPIRE_BOTH\"]}";
}

void append_usdm_symbol(std::string& out, const Symbol& s) {
  constexpr std::int64_t kPerpetualDelivery = 4'133'404'800'000;  // 2100-12-25: "never", as the venue says it
  constexpr std::int64_t kOnboard = 1'569'398'400'000;
  const bool perpetual = s.kind == Kind::perpetual;
  const std::string tick = step_text(s.price_scale, s.price_digits);
  const std::string lot = step_text(s.quantity_scale, s.quantity_digits);
  out +=
      "{\"symbol\":\"" + s.instrument + "\",\"pair\":\"" + s.base + s.quote + "\",\"contractType\":\"" +
      (perpetual ? "PERPETUAL" : "CURRENT_QUARTER") +
      "\",\"deliveryDate\":" + std::to_string(perpetual ? kPerpetualDelivery : milliseconds(s.expiry)) +
      ",\"onboardDate\":" + std::to_string(kOnboard) +
      ",\"status\":\"TRADING\",\"maintMarginPercent\":\"2.5000\",\"requiredMarginPercent\":\"5.0000\",\"baseAsset\":\"" +
      s.base + "\",\"quoteAsset\":\"" + s.quote + "\",\"marginAsset\":\"" + s.quote +
      "\",\"pricePrecision\":" + std::to_string(s.price_digits) +
      ",\"quantityPrecision\":" + std::to_string(s.quantity_digits) +
      ",\"baseAssetPrecision\":8,\"quotePrecision\":8,\"underlyingType\":\"COIN\",\"underlyingSubType\":[\"PoW\"],"
      "\"triggerProtect\":\"0.0500\",\"liquidationFee\":\"0.012500\",\"marketTakeBound\":\"0.05\",\"filters\":["
      "{\"filterType\":\"PRICE_FILTER\",\"minPrice\":\"" +
      tick + "\",\"maxPrice\":\"" + decimal_text(s.start_price * 100, s.price_scale, s.price_digits) +
      "\",\"tickSize\":\"" + tick +
      "\"},"
      "{\"filterType\":\"LOT_SIZE\",\"stepSize\":\"" +
      lot + "\",\"maxQty\":\"" + decimal_text(s.typical_quantity * 10'000, s.quantity_scale, s.quantity_digits) +
      "\",\"minQty\":\"" + lot +
      "\"},{\"filterType\":\"MIN_NOTIONAL\",\"notional\":\"5\"}],"
      "\"orderTypes\":[\"LIMIT\",\"MARKET\"],\"timeInForce\":[\"GTC\",\"IOC\",\"FOK\",\"GTX\"]}";
}

HttpAnswer too_many(WallTime now) {
  auto answer = error(429, -1003, "Too many requests.");
  const auto seconds = nanos_since_epoch(now) / 1'000'000'000;
  answer.headers.emplace_back("Retry-After", std::to_string(300 - seconds % 300));
  return answer;
}

std::optional<Nanos> period_length(std::string_view name) {
  constexpr std::pair<std::string_view, Nanos> kPeriods[] = {{"5m", 5min}, {"15m", 15min}, {"30m", 30min},
                                                             {"1h", 1h},   {"2h", 2h},     {"4h", 4h},
                                                             {"6h", 6h},   {"12h", 12h},   {"1d", 24h}};
  for (const auto& [text, length] : kPeriods)
    if (text == name) return length;
  return std::nullopt;
}

}  // namespace

HttpAnswer Exchange::rest(const HttpRequest& request, WallTime now) {
  const auto [path, query_text] = split_target(request.target);
  constexpr std::string_view kSpot = "/api/v3/";
  constexpr std::string_view kUsdm = "/fapi/v1/";
  constexpr std::string_view kData = "/futures/data/";
  if (path.starts_with(kData)) {
    if (!windows_.take("data " + std::string(request.address), 1000, 5min, now)) return too_many(now);
    auto data = rest_ratio(path.substr(kData.size()), parse_query(query_text), now);
    if (ledger_ != nullptr) ledger_->flush();
    return data;
  }
  const bool spot = path.starts_with(kSpot);
  if (!spot && !path.starts_with(kUsdm)) return error(404, -1000, "no such path: " + shortened(path));
  const Section section = spot ? Section::spot : Section::usdm;
  const auto endpoint = path.substr(spot ? kSpot.size() : kUsdm.size());
  const auto query = parse_query(query_text);

  const auto verdict = weights_.charge(section, request.address, weight_of(section, endpoint, query), now);
  HttpAnswer answer;
  if (verdict.status == 200) {
    answer = rest_route(request, section, endpoint, query, now);
    if (ledger_ != nullptr) ledger_->flush();
  } else if (verdict.status == 429) {
    answer = error(429, -1003,
                   "Too many requests; current limit is " + std::to_string(verdict.limit) +
                       " request weight per 1 MINUTE. Please use WebSocket Streams for live updates to avoid polling "
                       "the API.");
  } else {
    answer = error(418, -1003,
                   "Way too much request weight used; IP banned until " +
                       std::to_string(milliseconds(now) + verdict.retry_after * 1000) +
                       ". Please use WebSocket Streams for live updates to avoid bans.");
  }
  answer.headers.emplace_back("X-MBX-USED-WEIGHT", std::to_string(verdict.used));
  answer.headers.emplace_back("X-MBX-USED-WEIGHT-1M", std::to_string(verdict.used));
  if (verdict.status != 200) answer.headers.emplace_back("Retry-After", std::to_string(verdict.retry_after));
  return answer;
}

HttpAnswer Exchange::rest_route(const HttpRequest& request, Section section, std::string_view endpoint,
                                const Query& query, WallTime now) {
  const TimeUnit unit{request.microseconds && section == Section::spot ? 1000 : 1'000'000};
  if (endpoint == "ping") return json("{}");
  if (endpoint == "time") return json("{\"serverTime\":" + std::to_string(nanos_since_epoch(now) / unit.nanos) + "}");
  if (endpoint == "exchangeInfo") return rest_exchange_info(section, now);
  if (endpoint == "ticker/bookTicker") return rest_book_ticker(section, query_value(query, "symbol"));
  if (endpoint == "ticker/24hr") return rest_day_ticker(section, query_value(query, "symbol"), now);
  const bool usdm = section == Section::usdm;
  if (usdm && endpoint == "premiumIndex") return rest_premium_index(query_value(query, "symbol"));
  if (usdm && (endpoint == "fundingInfo" || endpoint == "fundingRate")) {
    if (!windows_.take("funding " + std::string(request.address), 500, 5min, now)) return too_many(now);
    return endpoint == "fundingInfo" ? rest_funding_info() : rest_funding_rate(query);
  }
  const bool about_a_symbol = (usdm && endpoint == "openInterest") || endpoint == "depth" || endpoint == "aggTrades" ||
                              endpoint == "trades" || endpoint == "historicalTrades";
  if (!about_a_symbol) return error(404, -1000, "no such endpoint: " + shortened(endpoint));

  const auto name = query_value(query, "symbol");
  if (name.empty())
    return error(400, -1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.");
  const auto symbol = find_symbol(section, name);
  if (!symbol) return error(400, -1121, "Invalid symbol.");
  if (endpoint == "depth") return rest_depth(section, *symbol, query_value(query, "limit"));
  if (endpoint == "openInterest") return rest_open_interest(*symbol);
  if (endpoint == "aggTrades") return rest_aggregated(*symbol, query, unit);
  const bool historical = endpoint == "historicalTrades";
  if (historical && section == Section::usdm && !request.has_key) return error(401, -2014, "API-key format invalid.");
  return rest_fills(*symbol, historical, query, unit);
}

HttpAnswer Exchange::rest_depth(Section section, std::size_t index, std::string_view limit_text) {
  const bool spot = section == Section::spot;
  const auto limit = whole_number(limit_text).value_or(spot ? 100 : 500);
  if (spot && limit < 1) return bad_parameter("limit");
  constexpr std::int64_t kAllowed[] = {5, 10, 20, 50, 100, 500, 1000};
  if (!spot && std::find(std::begin(kAllowed), std::end(kAllowed), limit) == std::end(kAllowed))
    return error(400, -4021, shortened(limit_text) + " is not valid depth limit.");

  const auto levels = static_cast<std::size_t>(std::min<std::int64_t>(limit, 5000));
  const Symbol& symbol = market_.symbol(index);
  const Book& book = market_.book(index);
  std::string body = "{\"lastUpdateId\":" + std::to_string(market_.last_update_id(index));
  if (!spot) {
    const auto time = std::to_string(milliseconds(market_.last_change(index)));
    body += ",\"E\":" + time + ",\"T\":" + time;
  }
  body += ",\"bids\":";
  append_side(body, symbol, book, Side::bid, levels);
  body += ",\"asks\":";
  append_side(body, symbol, book, Side::ask, levels);
  body.push_back('}');
  return json(std::move(body));
}

HttpAnswer Exchange::rest_aggregated(std::size_t index, const Query& query, TimeUnit unit) {
  const auto limit = whole_number(query_value(query, "limit")).value_or(500);
  const auto from_id = whole_number(query_value(query, "fromId"));
  const auto start = whole_number(query_value(query, "startTime"));
  const auto end = whole_number(query_value(query, "endTime"));
  if (limit < 1 || limit > 1000) return bad_parameter("limit");
  if (from_id == -1) return bad_parameter("fromId");
  if (start == -1 || end == -1) return bad_parameter(start == -1 ? "startTime" : "endTime");
  if (from_id && (start || end)) return error(400, -1128, "Combination of optional parameters invalid.");

  const auto& history = listed_[index]->aggregated;
  const auto count = static_cast<std::size_t>(limit);
  auto range = history.latest(count);
  if (from_id) {
    range = history.from_id(static_cast<std::uint64_t>(*from_id), count);
  } else if (start || end) {
    const auto from = wall_from_millis(start.value_or(0));
    const auto to = end ? wall_from_millis(*end) : Result<WallTime>{kMaxWallTime};
    if (!from || !to) return bad_parameter(from ? "endTime" : "startTime");
    range = history.between(*from, *to, start ? count : SIZE_MAX / 2);
    if (!start) range.first = std::max(range.first, range.second - std::min(range.second, count));
  }

  const Symbol& s = market_.symbol(index);
  std::string body = "[";
  for (auto i = range.first; i < range.second; ++i) {
    const Trade& t = history[i];
    if (body.size() > 1) body.push_back(',');
    body += "{\"a\":" + std::to_string(t.id) + ",\"p\":\"";
    append_price(body, s, t.price);
    body += "\",\"q\":\"";
    append_quantity(body, s, t.quantity);
    if (s.kind != Kind::spot) {
      body += "\",\"nq\":\"";
      append_quantity(body, s, t.quantity);
    }
    body += "\",\"f\":" + std::to_string(t.first_fill) + ",\"l\":" + std::to_string(t.last_fill) +
            ",\"T\":" + std::to_string(nanos_since_epoch(t.time) / unit.nanos) +
            ",\"m\":" + (t.buyer_is_maker ? "true" : "false");
    if (s.kind == Kind::spot) body += ",\"M\":true";
    body.push_back('}');
  }
  body.push_back(']');
  return json(std::move(body));
}

HttpAnswer Exchange::rest_fills(std::size_t index, bool may_have_from, const Query& query, TimeUnit unit) {
  const auto limit = whole_number(query_value(query, "limit")).value_or(500);
  const auto from_id = may_have_from ? whole_number(query_value(query, "fromId")) : std::nullopt;
  if (limit < 1 || limit > 1000) return bad_parameter("limit");
  if (from_id == -1) return bad_parameter("fromId");
  const auto& history = listed_[index]->fills;
  const auto count = static_cast<std::size_t>(limit);
  const auto range = from_id ? history.from_id(static_cast<std::uint64_t>(*from_id), count) : history.latest(count);

  const Symbol& s = market_.symbol(index);
  std::string body = "[";
  for (auto i = range.first; i < range.second; ++i) {
    const FillRecord& t = history[i];
    if (t.quantity == 0) continue;  // an id that was used up without a trade
    if (body.size() > 1) body.push_back(',');
    body += "{\"id\":" + std::to_string(t.id) + ",\"price\":\"";
    append_price(body, s, t.price);
    body += "\",\"qty\":\"";
    append_quantity(body, s, t.quantity);
    body += "\",\"quoteQty\":\"";
    Decimal::from_parts(static_cast<int128>(t.price) * t.quantity, s.price_scale + s.quantity_scale).append_to(body);
    body += "\",\"time\":" + std::to_string(nanos_since_epoch(t.time) / unit.nanos) +
            ",\"isBuyerMaker\":" + (t.buyer_is_maker ? "true" : "false");
    body += s.kind == Kind::spot ? ",\"isBestMatch\":true}" : ",\"isRPITrade\":false}";
  }
  body.push_back(']');
  return json(std::move(body));
}

HttpAnswer Exchange::rest_book_ticker(Section section, std::string_view name) {
  std::string body;
  for (std::size_t i = 0; i < market_.size(); ++i) {
    const Symbol& s = market_.symbol(i);
    if (section_of(s) != section || (!name.empty() && s.instrument != name)) continue;
    const Level& bid = market_.book(i).best(Side::bid);
    const Level& ask = market_.book(i).best(Side::ask);
    if (!body.empty()) body.push_back(',');
    body += "{\"symbol\":\"" + s.instrument + "\",\"bidPrice\":\"";
    append_price(body, s, bid.price);
    body += "\",\"bidQty\":\"";
    append_quantity(body, s, bid.quantity);
    body += "\",\"askPrice\":\"";
    append_price(body, s, ask.price);
    body += "\",\"askQty\":\"";
    append_quantity(body, s, ask.quantity);
    body.push_back('"');
    if (section == Section::usdm)
      body += ",\"time\":" + std::to_string(milliseconds(market_.last_change(i))) +
              ",\"lastUpdateId\":" + std::to_string(market_.last_update_id(i));
    body.push_back('}');
  }
  if (!name.empty()) return body.empty() ? error(400, -1121, "Invalid symbol.") : json(std::move(body));
  return json("[" + body + "]");
}

HttpAnswer Exchange::rest_day_ticker(Section section, std::string_view name, WallTime now) {
  std::string body;
  for (std::size_t i = 0; i < market_.size(); ++i) {
    const Symbol& s = market_.symbol(i);
    if (section_of(s) != section || (!name.empty() && s.instrument != name)) continue;
    if (!body.empty()) body.push_back(',');
    append_ticker(body, market_, i, now, {}, TickerForm::rest);
  }
  if (body.empty()) return error(400, -1121, "Invalid symbol.");
  return json(name.empty() ? "[" + body + "]" : body);
}

HttpAnswer Exchange::rest_premium_index(std::string_view name) {
  std::string body;
  for (std::size_t i = 0; i < market_.size(); ++i) {
    const Symbol& s = market_.symbol(i);
    if (s.kind == Kind::spot || (!name.empty() && s.instrument != name)) continue;
    const Derivative& d = market_.derivative(i);
    const bool funded = s.funding_hours > 0;
    if (!body.empty()) body.push_back(',');
    body += "{\"symbol\":\"" + s.instrument + "\",\"markPrice\":\"" + mark_text(d.mark()) + "\",\"indexPrice\":\"" +
            mark_text(d.index()) + "\",\"estimatedSettlePrice\":\"" + mark_text(d.index()) +
            "\",\"lastFundingRate\":\"" + (funded ? rate_text(d.funding_rate()) : "") +
            "\",\"interestRate\":\"0.00010000\",\"nextFundingTime\":" +
            std::to_string(funded ? milliseconds(d.funding_time()) : 0) +
            ",\"time\":" + std::to_string(milliseconds(d.time())) + "}";
    note_funding(i);
  }
  if (body.empty()) return error(400, -1121, "Invalid symbol.");
  return json(name.empty() ? "[" + body + "]" : body);
}

// Only those that are not funded as usual.
HttpAnswer Exchange::rest_funding_info() {
  std::string body = "[";
  for (std::size_t i = 0; i < market_.size(); ++i) {
    const Symbol& s = market_.symbol(i);
    if (s.funding_hours == 0 || s.funding_hours == 8) continue;
    if (body.size() > 1) body.push_back(',');
    body += "{\"symbol\":\"" + s.instrument + "\",\"adjustedFundingRateCap\":\"" + rate_text(Derivative::kMaxRate) +
            "\",\"adjustedFundingRateFloor\":\"" + rate_text(-Derivative::kMaxRate) +
            "\",\"fundingIntervalHours\":" + std::to_string(s.funding_hours) + ",\"disclaimer\":false}";
  }
  return json(body + "]");
}

// Oldest first; without a time the most recent ones.
HttpAnswer Exchange::rest_funding_rate(const Query& query) {
  const auto name = query_value(query, "symbol");
  const auto limit = whole_number(query_value(query, "limit")).value_or(100);
  const auto start = whole_number(query_value(query, "startTime"));
  const auto end = whole_number(query_value(query, "endTime"));
  if (limit < 1 || limit > 1000) return bad_parameter("limit");
  if (start == -1 || end == -1) return bad_parameter(start == -1 ? "startTime" : "endTime");
  if (!name.empty() && !find_symbol(Section::usdm, name)) return error(400, -1121, "Invalid symbol.");

  std::vector<std::pair<std::size_t, const Settlement*>> found;
  for (std::size_t i = 0; i < market_.size(); ++i) {
    const Symbol& s = market_.symbol(i);
    if (s.funding_hours == 0 || (!name.empty() && s.instrument != name)) continue;
    for (const auto& row : market_.derivative(i).settlements())
      if ((!start || milliseconds(row.time) >= *start) && (!end || milliseconds(row.time) <= *end))
        found.emplace_back(i, &row);
  }
  std::stable_sort(found.begin(), found.end(),
                   [](const auto& a, const auto& b) { return a.second->time < b.second->time; });
  const auto count = static_cast<std::ptrdiff_t>(std::min(found.size(), static_cast<std::size_t>(limit)));
  if (start)
    found.erase(found.begin() + count, found.end());
  else
    found.erase(found.begin(), found.end() - count);

  std::string body = "[";
  for (const auto& [i, row] : found) {
    const Symbol& s = market_.symbol(i);
    if (body.size() > 1) body.push_back(',');
    body += "{\"symbol\":\"" + s.instrument + "\",\"fundingTime\":" + std::to_string(milliseconds(row->time)) +
            ",\"fundingRate\":\"" + rate_text(row->rate) + "\",\"markPrice\":\"" + mark_text(row->mark) +
            "\",\"rateType\":\"Regular\"}";
    if (ledger_ == nullptr || !listed_[i]->ledger_told["settled"].insert(row->time).second) continue;
    FundingNote note;
    note.time = row->time;
    note.rate = rate_text(row->rate);
    note.funding_time = row->time;
    note.mark_price = mark_text(row->mark);
    note.settled = true;
    ledger_->line(funding_line("binance", s, note));
  }
  return json(body + "]");
}

HttpAnswer Exchange::rest_open_interest(std::size_t index) {
  const Symbol& s = market_.symbol(index);
  const Derivative& d = market_.derivative(index);
  std::string body = "{\"openInterest\":\"";
  append_quantity(body, s, d.open_interest());
  body +=
      "\",\"symbol\":\"" + s.instrument + "\",\"time\":" + std::to_string(milliseconds(d.open_interest_time())) + "}";
  note_open_interest(index);
  return json(std::move(body));
}

// Oldest first; shares of long and short, which make one together.
HttpAnswer Exchange::rest_ratio(std::string_view name, const Query& query, WallTime now) {
  Holders holders{};
  if (name == "topLongShortPositionRatio")
    holders = Holders::top_positions;
  else if (name == "topLongShortAccountRatio")
    holders = Holders::top_accounts;
  else if (name == "globalLongShortAccountRatio")
    holders = Holders::all_accounts;
  else
    return error(404, -1000, "no such endpoint: " + shortened(name));
  const auto index = find_symbol(Section::usdm, query_value(query, "symbol"));
  if (!index) return error(400, -1121, "Invalid symbol.");
  const auto period = query_value(query, "period");
  const auto length = period_length(period);
  const auto limit = whole_number(query_value(query, "limit")).value_or(30);
  const auto start = whole_number(query_value(query, "startTime"));
  const auto end = whole_number(query_value(query, "endTime"));
  if (!length) return bad_parameter("period");
  if (limit < 1 || limit > 500) return bad_parameter("limit");
  if (start == -1 || end == -1) return bad_parameter(start == -1 ? "startTime" : "endTime");

  const auto ns = nanos_since_epoch(now);
  std::vector<WallTime> times;  // newest first
  for (WallTime at = wall_from_nanos(ns - ns % length->count()); now - at < 720h && std::ssize(times) < limit;
       at -= *length) {
    if (end && milliseconds(at) > *end) continue;
    if (start && milliseconds(at) < *start) break;
    times.push_back(at);
  }
  const Symbol& s = market_.symbol(*index);
  auto& told = listed_[*index]->ledger_told[std::string(name) + " " + std::string(period)];
  std::string body = "[";
  for (auto at = times.rbegin(); at != times.rend(); ++at) {
    const auto share = market_.long_share(*index, holders, *at);
    RatioNote note;
    note.time = *at;
    note.positions = holders == Holders::top_positions;
    note.long_share = decimal_text(share, 4, 4);
    note.short_share = decimal_text(10'000 - share, 4, 4);
    note.ratio = decimal_text(share * 10'000 / (10'000 - share), 4, 4);
    note.period = period;
    if (body.size() > 1) body.push_back(',');
    body += "{\"symbol\":\"" + s.instrument + "\",\"longShortRatio\":\"" + note.ratio + "\",\"longAccount\":\"" +
            note.long_share + "\",\"shortAccount\":\"" + note.short_share +
            "\",\"timestamp\":" + std::to_string(milliseconds(*at)) + "}";
    // Accounts of top traders are none of the product's types.
    if (holders != Holders::top_accounts && ledger_ != nullptr && told.insert(*at).second)
      ledger_->line(ratio_line("binance", s, note));
  }
  return json(body + "]");
}

HttpAnswer Exchange::rest_exchange_info(Section section, WallTime now) {
  const bool spot = section == Section::spot;
  std::string body = "{\"timezone\":\"UTC\",\"serverTime\":" + std::to_string(milliseconds(now)) + ",";
  if (!spot) body += "\"futuresType\":\"U_MARGINED\",";
  append_rate_limits(body, section, spot ? limits_.spot_weight_per_minute : limits_.usdm_weight_per_minute);
  body += ",\"exchangeFilters\":[],";
  if (!spot) body += "\"assets\":[{\"asset\":\"USDT\",\"marginAvailable\":true,\"autoAssetExchange\":\"-10000\"}],";
  body += "\"symbols\":[";
  bool first = true;
  for (std::size_t i = 0; i < market_.size(); ++i) {
    const Symbol& s = market_.symbol(i);
    if (section_of(s) != section) continue;
    if (!first) body.push_back(',');
    first = false;
    if (spot)
      append_spot_symbol(body, s);
    else
      append_usdm_symbol(body, s);
  }
  body += "]}";
  return json(std::move(body));
}

}  // namespace mp::sim::binance
