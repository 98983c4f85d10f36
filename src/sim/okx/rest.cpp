// The REST side of the simulated OKX.
#include <algorithm>

#include "base/text.hpp"
#include "sim/dialect/text.hpp"
#include "sim/okx/exchange.hpp"
#include "sim/okx/listed.hpp"
#include "sim/okx/listing.hpp"
#include "sim/okx/messages.hpp"

namespace mp::sim::okx {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view kRoot = "/api/v5/";

struct Budget {
  std::string_view path;
  int per_window;       // of two seconds
  bool per_instrument;  // and instrument, not only address
};
constexpr Budget kBudgets[] = {
    {"public/instruments", 20, false},
    {"public/funding-rate", 10, false},
    {"public/funding-rate-history", 10, true},
    {"public/open-interest", 20, false},
    {"public/mark-price", 10, false},
    {"public/time", 10, false},
    {"market/books", 40, false},
    {"market/tickers", 20, false},
    {"market/ticker", 20, false},
    {"market/trades", 100, false},
    {"market/history-trades", 20, false},
    {"rubik/stat/contracts/long-short-account-ratio-contract", 5, true},
    {"rubik/stat/contracts/long-short-account-ratio-contract-top-trader", 5, true},
    {"rubik/stat/contracts/long-short-position-ratio-contract-top-trader", 5, true},
};

HttpAnswer json(std::string body) {
  HttpAnswer answer;
  answer.body = std::move(body);
  return answer;
}

HttpAnswer error(int status, std::string_view code, std::string_view message) {
  HttpAnswer answer;
  answer.status = status;
  answer.body = "{";
  append_text(answer.body, "code", code);
  append_raw(answer.body, "data", "[]");
  append_key(answer.body, "msg");
  append_json_string(answer.body, message);
  answer.body.push_back('}');
  return answer;
}

HttpAnswer bad_parameter(std::string_view name) {
  return error(400, "51000", "Parameter " + std::string(name) + " error");
}
HttpAnswer unknown_instrument() { return error(200, "51001", "Instrument ID doesn't exist."); }

HttpAnswer rows(std::string list) { return json("{\"code\":\"0\",\"data\":[" + std::move(list) + "],\"msg\":\"\"}"); }

void begin_row(std::string& list) {
  if (!list.empty()) list.push_back(',');
}

// Nothing when the number is no such one.
std::optional<std::size_t> read_limit(const Query& query, std::string_view name, std::size_t usual, std::size_t most) {
  const auto asked = whole_number(query_value(query, name)).value_or(static_cast<std::int64_t>(usual));
  if (asked < 1) return std::nullopt;
  return std::min(static_cast<std::size_t>(asked), most);
}

// 5m, 1H, …: how long; nothing for names that there are not.
std::optional<Nanos> period_length(std::string_view name) {
  constexpr std::pair<std::string_view, Nanos> kPeriods[] = {
      {"5m", 5min}, {"15m", 15min}, {"30m", 30min}, {"1H", 1h},    {"2H", 2h},      {"4H", 4h},
      {"6H", 6h},   {"12H", 12h},   {"1D", 24h},    {"6Hutc", 6h}, {"12Hutc", 12h}, {"1Dutc", 24h}};
  for (const auto& [text, length] : kPeriods)
    if (text == name) return length;
  return std::nullopt;
}

// long / short with four decimals
std::string ratio_of(std::int64_t share) {
  std::string out;
  append_fixed(out, share * 10'000 / (10'000 - share), 4, 4);
  return out;
}

}  // namespace

HttpAnswer Exchange::rest(const HttpRequest& request, WallTime now) {
  const auto [path, query_text] = split_target(request.target);
  if (!path.starts_with(kRoot)) return error(404, "404", "no such path: " + shortened(path));
  const auto endpoint = path.substr(kRoot.size());
  const auto query = parse_query(query_text);
  const auto budget =
      std::find_if(std::begin(kBudgets), std::end(kBudgets), [&](const Budget& b) { return b.path == endpoint; });
  if (budget == std::end(kBudgets)) return error(404, "404", "no such endpoint: " + shortened(endpoint));
  if (limits_.rest_limits) {
    std::string key = std::string(endpoint) + " " + std::string(request.address);
    if (budget->per_instrument) key += " " + std::string(query_value(query, "instId"));
    if (!windows_.take(key, budget->per_window, 2s, now)) return error(429, "50011", "Too Many Requests");
  }
  auto answer = rest_route(endpoint, query, now);
  if (ledger_ != nullptr) ledger_->flush();
  return answer;
}

HttpAnswer Exchange::rest_route(std::string_view path, const Query& query, WallTime now) {
  if (path == "public/time") return rows("{\"ts\":\"" + std::to_string(milliseconds(now)) + "\"}");
  if (path == "public/instruments") return rest_instruments(query);
  if (path == "public/funding-rate") return rest_funding(query);
  if (path == "public/funding-rate-history") return rest_funding_history(query);
  if (path == "public/open-interest") return rest_open_interest(query);
  if (path == "public/mark-price") return rest_mark_price(query);
  if (path == "market/books") return rest_book(query);
  if (path == "market/tickers" || path == "market/ticker") return rest_tickers(query, path == "market/ticker", now);
  if (path == "market/trades" || path == "market/history-trades")
    return rest_trades(query, path == "market/history-trades");
  return rest_ratio(path, query, now);
}

HttpAnswer Exchange::rest_instruments(const Query& query) {
  const auto type = query_value(query, "instType");
  if (type != "MARGIN" && type != "EVENTS" && types_.find(type) == types_.end() && type != "SPOT" && type != "SWAP" &&
      type != "FUTURES" && type != "OPTION")
    return bad_parameter("instType");
  const auto family = query_value(query, "instFamily");
  const auto name = query_value(query, "instId");
  if (type == "OPTION" && family.empty() && query_value(query, "uly").empty())
    return error(400, "50015", "Either parameter uly or instFamily is required");
  std::string list;
  for (std::size_t i = 0; i < market_.size(); ++i) {
    const Symbol& symbol = market_.symbol(i);
    if (inst_type(symbol) != type || (!name.empty() && symbol.instrument != name)) continue;
    if (!family.empty() && inst_family(symbol) != family) continue;
    begin_row(list);
    append_instrument(list, symbol, i);
  }
  return rows(std::move(list));
}

// Who subscribes to the channel is told the same states: while somebody does, this is the one that was told last (the
// venue caches it for 50 ms, too).
HttpAnswer Exchange::rest_book(const Query& query) {
  const auto index = find(query_value(query, "instId"));
  if (!index) return unknown_instrument();
  const auto limit = read_limit(query, "sz", 1, 400);
  if (!limit) return bad_parameter("sz");
  Listed& listed = *listed_[*index];
  if (listed.books->empty()) {
    listed.told.take(market_.book(*index));
    listed.seq = market_.last_update_id(*index) - listed.shift;
    listed.told_at = market_.last_change(*index);
  }
  const Symbol& symbol = market_.symbol(*index);
  std::string row = "{";
  for (const Side side : {Side::ask, Side::bid}) {
    append_key(row, side == Side::ask ? "asks" : "bids");
    row.push_back('[');
    const auto& levels = listed.told.levels(side);
    for (std::size_t i = 0; i < std::min(*limit, levels.size()); ++i) append_level(row, symbol, levels[i]);
    row.push_back(']');
  }
  append_text(row, "ts", std::to_string(milliseconds(listed.told_at)));
  append_raw(row, "seqId", std::to_string(listed.seq));
  return rows(row + "}");
}

HttpAnswer Exchange::rest_trades(const Query& query, bool is_history) {
  const auto index = find(query_value(query, "instId"));
  if (!index) return unknown_instrument();
  const auto limit = is_history ? read_limit(query, "limit", 100, 100) : read_limit(query, "limit", 100, 500);
  if (!limit) return bad_parameter("limit");
  const auto after = is_history ? whole_number(query_value(query, "after")) : std::nullopt;
  const auto before = is_history ? whole_number(query_value(query, "before")) : std::nullopt;
  if (after == -1 || before == -1) return bad_parameter(after == -1 ? "after" : "before");
  const bool by_time = query_value(query, "type") == "2";

  // Newest first; `after` is older than that, `before` newer than that.
  const auto& history = listed_[*index]->fills;
  const auto all = history.latest(SIZE_MAX / 2);
  std::string list;
  std::size_t count = 0;
  for (auto i = all.second; i > all.first && count < *limit; --i) {
    const FillRecord& fill = history[i - 1];
    const auto place = by_time ? milliseconds(fill.time) : static_cast<std::int64_t>(fill.id);
    if (after && place >= *after) continue;
    if (before && static_cast<std::int64_t>(fill.id) <= *before) break;
    begin_row(list);
    append_fill(list, market_.symbol(*index), fill.id, fill.price, fill.quantity, fill.buyer_is_maker, fill.time, true);
    ++count;
  }
  return rows(std::move(list));
}

HttpAnswer Exchange::rest_tickers(const Query& query, bool one, WallTime now) {
  const auto wanted = one ? query_value(query, "instId") : query_value(query, "instType");
  if (one ? !find(wanted) : wanted.empty()) return one ? unknown_instrument() : bad_parameter("instType");
  std::string list;
  for (std::size_t i = 0; i < market_.size(); ++i) {
    const Symbol& symbol = market_.symbol(i);
    if (one ? symbol.instrument != wanted : inst_type(symbol) != wanted) continue;
    begin_row(list);
    append_ticker(list, market_, i, now);
  }
  return rows(std::move(list));
}

HttpAnswer Exchange::rest_funding(const Query& query) {
  const auto name = query_value(query, "instId");
  std::string list;
  for (std::size_t i = 0; i < market_.size(); ++i) {
    const Symbol& symbol = market_.symbol(i);
    if (symbol.funding_hours == 0 || (name != "ANY" && symbol.instrument != name)) continue;
    begin_row(list);
    append_funding(list, symbol, market_.derivative(i));
    note_funding(i);
  }
  return list.empty() ? unknown_instrument() : rows(std::move(list));
}

HttpAnswer Exchange::rest_funding_history(const Query& query) {
  const auto index = find(query_value(query, "instId"));
  if (!index || market_.symbol(*index).funding_hours == 0) return unknown_instrument();
  const auto limit = read_limit(query, "limit", 400, 400);
  const auto before = whole_number(query_value(query, "before"));
  const auto after = whole_number(query_value(query, "after"));
  if (!limit || before == -1 || after == -1) return bad_parameter(!limit ? "limit" : before == -1 ? "before" : "after");
  const Symbol& symbol = market_.symbol(*index);
  const auto& settlements = market_.derivative(*index).settlements();
  auto& told = listed_[*index]->ledger_told["settled"];
  std::vector<const Settlement*> fresh;
  std::string list;
  std::size_t count = 0;
  for (auto it = settlements.rbegin(); it != settlements.rend() && count < *limit; ++it) {
    if (after && milliseconds(it->time) >= *after) continue;
    if (before && milliseconds(it->time) <= *before) break;
    begin_row(list);
    append_settlement(list, symbol, *it);
    ++count;
    if (told.insert(it->time).second) fresh.push_back(&*it);
  }
  for (auto it = fresh.rbegin(); it != fresh.rend(); ++it) {
    FundingNote note;
    note.time = (*it)->time;
    note.rate = plain_decimal((*it)->rate, kFundingScale);
    note.funding_time = (*it)->time;
    note.settled = true;
    write(funding_line("okx", symbol, note));
  }
  return rows(std::move(list));
}

HttpAnswer Exchange::rest_open_interest(const Query& query) {
  const auto type = query_value(query, "instType");
  if (type != "SWAP" && type != "FUTURES" && type != "OPTION") return bad_parameter("instType");
  const auto name = query_value(query, "instId");
  const auto family = query_value(query, "instFamily");
  std::string list;
  for (std::size_t i = 0; i < market_.size(); ++i) {
    const Symbol& symbol = market_.symbol(i);
    if (inst_type(symbol) != type || (!name.empty() && symbol.instrument != name)) continue;
    if (!family.empty() && inst_family(symbol) != family) continue;
    begin_row(list);
    append_open_interest(list, symbol, market_.derivative(i));
    note_open_interest(i);
  }
  return rows(std::move(list));
}

HttpAnswer Exchange::rest_mark_price(const Query& query) {
  const auto type = query_value(query, "instType");
  const auto name = query_value(query, "instId");
  std::string list;
  for (std::size_t i = 0; i < market_.size(); ++i) {
    const Symbol& symbol = market_.symbol(i);
    if (symbol.kind == Kind::spot || inst_type(symbol) != type) continue;
    if (!name.empty() && symbol.instrument != name) continue;
    begin_row(list);
    append_mark(list, symbol, market_.derivative(i));
  }
  return rows(std::move(list));
}

HttpAnswer Exchange::rest_ratio(std::string_view path, const Query& query, WallTime now) {
  const auto index = find(query_value(query, "instId"));
  if (!index || market_.symbol(*index).kind == Kind::spot) return unknown_instrument();
  auto period = query_value(query, "period");
  if (period.empty()) period = "5m";
  const auto length = period_length(period);
  if (!length) return bad_parameter("period");
  const auto limit = read_limit(query, "limit", 100, 100);
  const auto begin = whole_number(query_value(query, "begin"));
  const auto end = whole_number(query_value(query, "end"));
  if (!limit || begin == -1 || end == -1) return bad_parameter(!limit ? "limit" : begin == -1 ? "begin" : "end");
  const Holders holders = path.find("position-ratio") != path.npos ? Holders::top_positions
                          : path.find("top-trader") != path.npos   ? Holders::top_accounts
                                                                   : Holders::all_accounts;

  constexpr int kKept = 1440;  // rows of each series
  auto& told = listed_[*index]->ledger_told[std::string(path) + " " + std::string(period)];
  // The latest period that has ended.
  const auto ns = nanos_since_epoch(now);
  WallTime at = wall_from_nanos(ns - ns % length->count()) - *length;
  std::vector<std::pair<WallTime, std::string>> fresh;
  std::string list;
  std::size_t count = 0;
  for (int i = 0; i < kKept && count < *limit; ++i, at -= *length) {
    if (end && milliseconds(at) >= *end) continue;
    if (begin && milliseconds(at) <= *begin) break;
    const auto ratio = ratio_of(market_.long_share(*index, holders, at));
    begin_row(list);
    list += "[\"" + std::to_string(milliseconds(at)) + "\",\"" + ratio + "\"]";
    ++count;
    if (told.insert(at).second) fresh.emplace_back(at, ratio);
  }
  for (auto it = fresh.rbegin(); it != fresh.rend(); ++it) note_ratios(*index, it->first, holders, it->second, period);
  return rows(std::move(list));
}

}  // namespace mp::sim::okx
