// The methods that the simulated Deribit answers over the websocket and over GET /api/v2/public/….
#include <algorithm>
#include <utility>

#include "base/text.hpp"
#include "sim/deribit/exchange.hpp"
#include "sim/deribit/listed.hpp"
#include "sim/deribit/listing.hpp"
#include "sim/deribit/messages.hpp"
#include "sim/dialect/text.hpp"

namespace mp::sim::deribit {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view kRoot = "/api/v2/";

// Milliseconds between both, both included; nothing when a text is no number.
struct Range {
  std::int64_t from = 0;
  std::int64_t to = INT64_MAX;
};
std::optional<Range> read_range(const Request& request, bool mandatory) {
  const auto from = whole_number(request.param("start_timestamp"));
  const auto to = whole_number(request.param("end_timestamp"));
  if ((mandatory && (!from || !to)) || from == -1 || to == -1) return std::nullopt;
  return Range{from.value_or(0), to.value_or(INT64_MAX)};
}

}  // namespace

HttpAnswer Exchange::rest(const HttpRequest& http, WallTime now) {
  HttpAnswer answer;
  const auto [path, query] = split_target(http.target);
  Outcome outcome;
  Request request;
  if (!path.starts_with(kRoot)) {
    outcome = error(-32601, "Method not found", 404);
  } else {
    request.method = path.substr(kRoot.size());
    for (auto& [name, value] : parse_query(query)) request.params.emplace(name, value);
    if (!has_credits("address " + std::string(http.address), request.method, now))
      outcome = error(10028, "too_many_requests", 429);
    else if (request.method == "public/test")
      outcome = {R"({"version":"1.2.26"})", 0, "", 200};
    else
      outcome = method(request.method, request, now);
  }
  if (outcome.code != 0) answer.status = outcome.status;
  answer.body = envelope(outcome, "");
  if (ledger_ != nullptr) ledger_->flush();
  return answer;
}

Exchange::Outcome Exchange::method(std::string_view name, const Request& request, WallTime now) {
  if (name == "public/get_time") return {std::to_string(milliseconds(now)), 0, "", 200};
  if (name == "public/hello") return {R"({"version":"1.2.26"})", 0, "", 200};
  if (name == "public/status") return {R"({"locked":"false","locked_indices":[]})", 0, "", 200};
  if (name == "public/get_instruments") return instruments(request);
  if (name == "public/get_instrument") return instrument(request);
  if (name == "public/get_book_summary_by_currency") return summaries(request, now);
  if (name == "public/get_order_book") return order_book(request);
  if (name == "public/ticker") return ticker(request, now);
  if (name == "public/get_last_trades_by_instrument") return last_trades(request);
  if (name == "public/get_funding_rate_history") return funding_history(request);
  if (name == "public/get_volatility_index_data") return volatility_data(request, now);
  return error(-32601, "Method not found");
}

Exchange::Outcome Exchange::instruments(const Request& request) const {
  const auto currency = request.param("currency");
  const auto kind = request.param("kind");
  if (currency.empty()) return error(-32602, "Invalid params");
  std::string list = "[";
  for (std::size_t i = 0; i < market_.size(); ++i) {
    const Symbol& symbol = market_.symbol(i);
    if (currency != "any" && currency != currency_of(symbol)) continue;
    if (!kind.empty() && kind != "any" && kind != kind_of(symbol)) continue;
    if (request.param("expired") == "true") continue;  // none of them is
    if (list.size() > 1) list.push_back(',');
    append_instrument(list, symbol, i, market_.start());
  }
  return {list + "]", 0, "", 200};
}

Exchange::Outcome Exchange::instrument(const Request& request) const {
  const auto index = find(request.param("instrument_name"));
  if (!index) return error(13020, "instrument_not_found");
  std::string out;
  append_instrument(out, market_.symbol(*index), *index, market_.start());
  return {out, 0, "", 200};
}

Exchange::Outcome Exchange::summaries(const Request& request, WallTime now) const {
  const auto currency = request.param("currency");
  const auto kind = request.param("kind");
  if (currency.empty()) return error(-32602, "Invalid params");
  std::string list = "[";
  for (std::size_t i = 0; i < market_.size(); ++i) {
    const Symbol& symbol = market_.symbol(i);
    if (currency != "any" && currency != currency_of(symbol)) continue;
    if (!kind.empty() && kind != "any" && kind != kind_of(symbol)) continue;
    if (list.size() > 1) list.push_back(',');
    append_summary(list, market_, i, now, volatility_of(i));
  }
  return {list + "]", 0, "", 200};
}

Exchange::Outcome Exchange::order_book(const Request& request) const {
  const auto index = find(request.param("instrument_name"));
  if (!index) return error(13020, "instrument_not_found");
  const auto depth = whole_number(request.param("depth")).value_or(5);
  constexpr std::int64_t kDepths[] = {1, 5, 10, 20, 50, 100, 1000, 10'000};
  if (std::find(std::begin(kDepths), std::end(kDepths), depth) == std::end(kDepths))
    return error(-32602, "Invalid params");
  const Symbol& symbol = market_.symbol(*index);
  std::string out = "{";
  append_raw(out, "timestamp", std::to_string(milliseconds(market_.last_change(*index))));
  append_text(out, "state", "open");
  append_text(out, "instrument_name", symbol.instrument);
  append_raw(out, "change_id", std::to_string(market_.last_update_id(*index)));
  for (const Side side : {Side::bid, Side::ask}) {
    append_key(out, side == Side::bid ? "bids" : "asks");
    append_levels(out, symbol, market_.book(*index), side, static_cast<std::size_t>(depth));
  }
  append_raw(out, "index_price", index_number(market_.index(*index)));
  if (symbol.kind != Kind::spot) {
    append_raw(out, "mark_price", mark_number(symbol, market_.derivative(*index).mark()));
    append_raw(out, "open_interest", interest_number(symbol, market_.derivative(*index)));
  }
  return {out + "}", 0, "", 200};
}

Exchange::Outcome Exchange::ticker(const Request& request, WallTime now) {
  const auto index = find(request.param("instrument_name"));
  if (!index) return error(13020, "instrument_not_found");
  std::string out;
  append_ticker(out, market_, *index, now, volatility_of(*index));
  note_ticker(*index, now);
  return {out, 0, "", 200};
}

Exchange::Outcome Exchange::last_trades(const Request& request) const {
  const auto index = find(request.param("instrument_name"));
  if (!index) return error(13020, "instrument_not_found");
  const auto range = read_range(request, false);
  const auto count = whole_number(request.param("count")).value_or(10);
  const auto first = whole_number(request.param("start_seq"));
  const auto last = whole_number(request.param("end_seq"));
  const auto sorting = request.param("sorting");
  if (!range || count < 1 || count > 1000 || first == -1 || last == -1) return error(-32602, "Invalid params");
  // From the oldest on when that is asked for, else from the newest back.
  const bool ascending = sorting == "asc" || (sorting != "desc" && first && !last);
  const auto& history = listed_[*index]->trades;
  const auto all = history.latest(SIZE_MAX / 2);
  std::vector<const TradeRecord*> found;
  bool more = false;
  for (std::size_t n = 0; n < all.second - all.first; ++n) {
    const TradeRecord& record = history[ascending ? all.first + n : all.second - 1 - n];
    const auto seq = static_cast<std::int64_t>(record.seq);
    if ((first && seq < *first) || (last && seq > *last)) continue;
    if (milliseconds(record.time) < range->from || milliseconds(record.time) > range->to) continue;
    more = found.size() == static_cast<std::size_t>(count);
    if (more) break;
    found.push_back(&record);
  }
  std::string out = "{\"trades\":[";
  for (const auto* record : found) {
    if (out.back() != '[') out.push_back(',');
    append_trade(out, market_.symbol(*index), *record);
  }
  return {out + "],\"has_more\":" + (more ? "true}" : "false}"), 0, "", 200};
}

// Hourly rows, oldest first.
Exchange::Outcome Exchange::funding_history(const Request& request) {
  const auto index = find(request.param("instrument_name"));
  if (!index || market_.symbol(*index).funding_hours == 0) return error(13020, "instrument_not_found");
  const auto range = read_range(request, true);
  if (!range) return error(-32602, "Invalid params");
  const Symbol& symbol = market_.symbol(*index);
  std::string list = "[";
  const Settlement* previous = nullptr;
  for (const auto& row : market_.derivative(*index).settlements()) {
    const Settlement* before = std::exchange(previous, &row);
    if (milliseconds(row.time) < range->from || milliseconds(row.time) > range->to) continue;
    if (list.size() > 1) list.push_back(',');
    list.push_back('{');
    append_raw(list, "timestamp", std::to_string(milliseconds(row.time)));
    append_raw(list, "index_price", index_number(row.index));
    append_raw(list, "prev_index_price", index_number(before == nullptr ? row.index : before->index));
    append_raw(list, "interest_8h", rate_number(row.rate * 8));
    append_raw(list, "interest_1h", rate_number(row.rate));
    list.push_back('}');
    if (!listed_[*index]->ledger_settled.insert(row.time).second) continue;
    FundingNote note;
    note.time = row.time;
    note.rate = rate_number(row.rate);
    note.index_price = index_number(row.index);
    note.interval_hours = 1;
    note.settled = true;
    write(funding_line("deribit", symbol, note));
  }
  return {list + "]", 0, "", 200};
}

// [[time, open, high, low, close], …], the newest page first.
Exchange::Outcome Exchange::volatility_data(const Request& request, WallTime now) {
  const auto found = std::find_if(volatilities_.begin(), volatilities_.end(),
                                  [&](const Volatility& v) { return v.currency == request.param("currency"); });
  const auto range = read_range(request, true);
  const auto resolution = request.param("resolution");
  const std::int64_t seconds = resolution == "1D" ? 86'400 : whole_number(resolution).value_or(-1);
  const bool known =
      resolution == "1" || resolution == "60" || resolution == "3600" || resolution == "43200" || resolution == "1D";
  if (found == volatilities_.end() || !range || !known) return error(-32602, "Invalid params");
  const auto from = wall_from_millis(range->from);
  const auto to = wall_from_millis(std::min<std::int64_t>(range->to, milliseconds(kMaxWallTime)));
  if (!from || !to) return error(-32602, "Invalid params");
  auto candles = found->index.candles(*from, *to, std::chrono::seconds{seconds});
  std::string continuation = "null";
  if (candles.size() > limits_.volatility_rows) {
    // What is older comes with the next call's end_timestamp.
    const auto page = static_cast<std::ptrdiff_t>(limits_.volatility_rows);
    continuation = std::to_string(milliseconds((candles.end() - page - 1)->time));
    candles.erase(candles.begin(), candles.end() - page);
  }
  const auto decimal = [](std::int64_t value) { return plain_decimal(value, VolatilityIndex::kScale); };
  auto& told = found->told[std::string(resolution)];
  std::string list;
  for (const auto& c : candles) {
    if (!list.empty()) list.push_back(',');
    list += "[" + std::to_string(milliseconds(c.time));
    for (const auto value : {c.open, c.high, c.low, c.close}) list += "," + number(value, VolatilityIndex::kScale);
    list += "]";
    // The newest one still moves.
    if (c.time + std::chrono::seconds{seconds} > now || !told.insert(c.time).second) continue;
    VolatilityNote note;
    note.time = c.time;
    note.market_type = "options";
    const std::string symbol = found->currency + "-USD";
    note.symbol = symbol;
    note.instrument = found->name;
    note.underlying = found->currency;
    note.value = decimal(c.close);
    note.open = decimal(c.open);
    note.high = decimal(c.high);
    note.low = decimal(c.low);
    note.resolution = resolution;
    write(volatility_line("deribit", note));
  }
  return {"{\"data\":[" + list + "],\"continuation\":" + continuation + "}", 0, "", 200};
}

}  // namespace mp::sim::deribit
