#include "sim/okx/exchange.hpp"

#include <algorithm>
#include <utility>

#include "base/text.hpp"
#include "sim/dialect/text.hpp"
#include "sim/okx/listed.hpp"
#include "sim/okx/listing.hpp"
#include "sim/okx/messages.hpp"

namespace mp::sim::okx {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view kExchange = "okx";
constexpr std::size_t kSlotsPerStep = 512;  // then the server may look after its clients
constexpr std::size_t kRecentLiquidations = 5;
constexpr std::uint64_t kFundingBeats = 60;  // the venue pushes every 30 to 90 s …
constexpr std::uint64_t kInterestBeats = 3;  // … and every 3 s
constexpr Nanos kLiquidationSpacing = 1s;    // at most one for an instrument in this time

// {"arg":{"channel":"books","instId":"BTC-USDT"}
std::string push_head(std::string_view channel, std::string_view key, std::string_view value) {
  std::string out = "{\"arg\":{";
  append_text(out, "channel", channel);
  append_text(out, key, value);
  out.push_back('}');
  return out;
}

std::string push_head(std::string_view channel, const Symbol& symbol) {
  return push_head(channel, "instId", symbol.instrument);
}

bool is_of_a_kind(std::string_view channel) { return channel == "liquidation-orders" || channel == "instruments"; }

// Of this kind of instruments, before anybody listened.
LiquidationNote old_liquidation(const Symbol& symbol, WallTime start) {
  LiquidationNote note;
  note.time = start - 47min;
  note.sells = true;
  note.price = symbol.start_price;
  note.quantity = symbol.typical_quantity / 10 + 1;
  return note;
}

}  // namespace

Exchange::Exchange(std::vector<Symbol> symbols, const ExchangeOptions& options, Delivery& delivery, LineSink* ledger)
    : market_(std::move(symbols), options.market),
      limits_(options.limits),
      refused_(options.refuse),
      delivery_(delivery),
      ledger_(ledger),
      now_(market_.start()),
      looked_(now_) {
  for (std::size_t i = 0; i < market_.size(); ++i) {
    const Symbol& symbol = market_.symbol(i);
    auto listed = std::make_unique<Listed>(options.history);
    const auto topic = [&](std::string_view channel) {
      return &topics_.topic(std::string(channel) + ":" + symbol.instrument);
    };
    listed->books = topic("books");
    listed->trades = topic("trades");
    listed->all_trades = topic("trades-all");
    listed->funding = topic("funding-rate");
    listed->interest = topic("open-interest");
    listed->tickers = topic("tickers");
    listed->mark = topic("mark-price");
    // Each at a moment of its own.
    if (limits_.reset_every > 0s)
      listed->beats = i * 37 % static_cast<std::uint64_t>(std::max<std::int64_t>(1, limits_.reset_every / 1s));
    if (symbol.funding_hours > 0) listed->settlements = market_.derivative(i).settlements().size();
    listed_.push_back(std::move(listed));
    by_name_.emplace(symbol.instrument, i);

    const auto kind = inst_type(symbol);
    auto [type, is_new] = types_.try_emplace(std::string(kind));
    if (is_new) {
      type->second.liquidations = &topics_.topic("liquidation-orders:" + std::string(kind));
      type->second.instruments = &topics_.topic("instruments:" + std::string(kind));
      if (kind != "SPOT") type->second.recent.push_back({i, old_liquidation(symbol, market_.start()), false});
    }
  }
}

Exchange::~Exchange() = default;

std::optional<std::size_t> Exchange::find(std::string_view inst_id) const {
  const auto found = by_name_.find(std::string(inst_id));
  if (found == by_name_.end()) return std::nullopt;
  return found->second;
}

// --- connections

std::optional<ConnectionRules> Exchange::open(ClientId id, std::string_view target) {
  const auto path = split_target(target).first;
  const bool business = path == "/ws/v5/business";
  if (!business && path != "/ws/v5/public") return std::nullopt;
  Client client;
  client.business = business;
  client.opened = client.last_sent = client.hour = now_;
  clients_[id] = client;
  return ConnectionRules{};
}

void Exchange::closed(ClientId id) {
  clients_.erase(id);
  topics_.forget(id);
}

std::string Exchange::connection_id(ClientId id) const {
  constexpr char kHex[] = "0123456789abcdef";
  std::string out;
  auto rest = static_cast<std::uint64_t>(id) * 0x9E3779B9ULL + 0x5bd1e995ULL;
  for (int i = 0; i < 8; ++i, rest >>= 4) out.push_back(kHex[rest & 15]);
  return out;
}

void Exchange::send(ClientId id, std::string_view text) {
  const auto found = clients_.find(id);
  if (found == clients_.end()) return;
  found->second.last_sent = now_;
  delivery_.send(id, text);
}

void Exchange::publish(const Topic& topic, std::string_view text) {
  for (const ClientId id : topic.clients) send(id, text);
}

bool Exchange::advance(WallTime now) {
  const bool up_to_date = market_.advance(now, kSlotsPerStep, *this);
  if (up_to_date) now_ = std::max(now_, now);
  if (ledger_ != nullptr) ledger_->flush();
  if (now_ - looked_ >= 1s) {
    looked_ = now_;
    for (const auto& [id, client] : clients_)
      if (now_ - client.last_sent >= limits_.idle) delivery_.close(id, "No data received in 30s.");
  }
  return up_to_date;
}

std::string Exchange::farewell(ClientId id, WallTime) {
  return "{\"event\":\"notice\",\"code\":\"64008\",\"msg\":\"The connection will soon be closed for a service upgrade. "
         "Please reconnect.\",\"connId\":\"" +
         connection_id(id) + "\"}";
}

// --- requests

void Exchange::text(ClientId id, std::string_view frame) {
  const auto found = clients_.find(id);
  if (found == clients_.end()) return;
  if (frame == "ping") return send(id, "pong");
  Client& client = found->second;
  Request request;
  if (!parse_request(frame, request)) {
    std::string message = "Invalid request: ";
    message += shortened(frame);
    return refuse(id, request, "60012", message);
  }
  if (request.op != "subscribe" && request.op != "unsubscribe")
    return refuse(id, request, "60012", "Illegal request: op " + shortened(request.op));
  if (frame.size() > limits_.request_bytes)
    return refuse(id, request, "60012",
                  "Illegal request: args exceed " + std::to_string(limits_.request_bytes) + " bytes");
  if (!may_ask(id, client, request)) return;
  for (const auto& argument : request.arguments) {
    if (request.op == "subscribe")
      subscribe(id, client, request, argument);
    else
      unsubscribe(id, request, argument);
  }
}

bool Exchange::may_ask(ClientId id, Client& client, const Request& request) {
  if (now_ - client.hour >= 1h) {
    client.hour = now_;
    client.requests = 0;
  }
  if (++client.requests <= limits_.requests_per_hour) return true;
  refuse(id, request, "60014", "Requests too frequent");
  return false;
}

void Exchange::refuse(ClientId id, const Request& request, std::string_view code, std::string_view message) {
  std::string out = "{";
  if (!request.id.empty()) append_text(out, "id", request.id);
  append_text(out, "event", "error");
  append_text(out, "code", code);
  append_key(out, "msg");
  append_json_string(out, message);
  append_text(out, "connId", connection_id(id));
  out.push_back('}');
  send(id, out);
}

void Exchange::answer(ClientId id, const Request& request, std::string_view event, const Argument& argument) {
  std::string out = "{";
  if (!request.id.empty()) append_text(out, "id", request.id);
  append_text(out, "event", event);
  append_raw(out, "arg", argument.text);
  append_text(out, "connId", connection_id(id));
  out.push_back('}');
  send(id, out);
}

std::string Exchange::topic_name(const Client& client, const Argument& argument) const {
  const std::string_view channel = argument.channel;
  if (is_of_a_kind(channel)) {
    if (client.business || types_.find(argument.inst_type) == types_.end()) return "";
    if (channel == "liquidation-orders" && argument.inst_type == "SPOT") return "";
    return argument.channel + ":" + argument.inst_type;
  }
  if ((channel == "trades-all") != client.business) return "";
  const auto index = find(argument.inst_id);
  if (!index) return "";
  const Symbol& symbol = market_.symbol(*index);
  const bool for_all = channel == "books" || channel == "trades" || channel == "trades-all" || channel == "tickers";
  const bool for_derivatives = channel == "open-interest" || channel == "mark-price";
  const bool fits = for_all || (for_derivatives && symbol.kind != Kind::spot) ||
                    (channel == "funding-rate" && symbol.funding_hours > 0);
  return fits ? argument.channel + ":" + argument.inst_id : "";
}

void Exchange::subscribe(ClientId id, const Client& client, const Request& request, const Argument& argument) {
  const auto name = topic_name(client, argument);
  const bool refused = std::any_of(refused_.begin(), refused_.end(),
                                   [&](const std::string& part) { return name.find(part) != name.npos; });
  if (name.empty() || refused) {
    const auto& about = argument.inst_id.empty() ? argument.inst_type : argument.inst_id;
    return refuse(id, request, "60018",
                  "Wrong URL or channel:" + shortened(argument.channel) +
                      (argument.inst_id.empty() ? ",instType:" : ",instId:") + shortened(about) +
                      " doesn't exist. Please use the correct URL, channel and parameters.");
  }
  answer(id, request, "subscribe", argument);
  if (argument.channel == "books") {
    // Who is there already is brought up to date, so that one state is known to all.
    const auto index = *find(argument.inst_id);
    Listed& listed = *listed_[index];
    if (!listed.books->empty()) {
      publish_book(index, now_, false);
    } else {
      listed.told.take(market_.book(index));
      listed.seq = market_.last_update_id(index) - listed.shift;
      listed.told_at = now_;
    }
  }
  topics_.subscribe(id, name);
  greet(id, argument);
}

void Exchange::unsubscribe(ClientId id, const Request& request, const Argument& argument) {
  const auto& about = is_of_a_kind(argument.channel) ? argument.inst_type : argument.inst_id;
  if (!topics_.unsubscribe(id, argument.channel + ":" + about))
    return refuse(id, request, "60018", "Wrong URL or channel:" + shortened(argument.channel) + " is not subscribed");
  answer(id, request, "unsubscribe", argument);
}

// What the venue sends at once, and from when on the ledger has it all.
void Exchange::greet(ClientId id, const Argument& argument) {
  const std::string_view channel = argument.channel;
  if (channel == "liquidation-orders") {
    Type& type = types_.find(argument.inst_type)->second;
    for (std::size_t i = 0; i < market_.size(); ++i)
      if (inst_type(market_.symbol(i)) == argument.inst_type) listed_[i]->ledger_liquidations = true;
    if (type.recent.empty()) return;
    Liquidation& old = type.recent.front();
    const Symbol& symbol = market_.symbol(old.index);
    if (!std::exchange(old.written, true)) write(liquidation_line(kExchange, symbol, old.note));
    if (ledger_ != nullptr) ledger_->flush();
    std::string out = push_head(channel, "instType", argument.inst_type) + ",\"data\":[";
    append_liquidation(out, symbol, old.note);
    return send(id, out + "]}");
  }
  if (channel == "instruments") {
    std::string out = push_head(channel, "instType", argument.inst_type) + ",\"data\":[";
    for (std::size_t i = 0; i < market_.size(); ++i) {
      if (inst_type(market_.symbol(i)) != argument.inst_type) continue;
      if (out.back() != '[') out.push_back(',');
      append_instrument(out, market_.symbol(i), i);
    }
    return send(id, out + "]}");
  }

  const auto index = *find(argument.inst_id);
  Listed& listed = *listed_[index];
  const Symbol& symbol = market_.symbol(index);
  std::string out = push_head(channel, symbol);
  if (channel == "books") {
    listed.ledger_book = true;
    out += ",\"action\":\"snapshot\",\"data\":[";
    out += "{\"asks\":[";
    for (const auto& level : listed.told.levels(Side::ask)) append_level(out, symbol, level);
    out += "],\"bids\":[";
    for (const auto& level : listed.told.levels(Side::bid)) append_level(out, symbol, level);
    out.push_back(']');
    append_book(out, index, listed.told_at, listed.seq, -1);
    return send(id, out + "]}");
  }
  if (channel == "trades") listed.ledger_trades = true;
  if (channel == "trades-all") listed.ledger_fills = true;
  out += ",\"data\":[";
  if (channel == "funding-rate") {
    listed.ledger_funding = true;
    note_funding(index);
    append_funding(out, symbol, market_.derivative(index));
  } else if (channel == "open-interest") {
    listed.ledger_interest = true;
    note_open_interest(index);
    append_open_interest(out, symbol, market_.derivative(index));
  } else if (channel == "mark-price") {
    append_mark(out, symbol, market_.derivative(index));
  } else if (channel == "tickers") {
    append_ticker(out, market_, index, now_);
  } else {
    return;
  }
  if (ledger_ != nullptr) ledger_->flush();
  send(id, out + "]}");
}

// --- what the market does

void Exchange::traded(std::size_t index, const Trade& trade, std::span<const Fill> fills) {
  Listed& listed = *listed_[index];
  const Symbol& symbol = market_.symbol(index);
  now_ = std::max(now_, trade.time);
  ++trades_;
  if (listed.ledger_trades) write(last_fill_trade_line(kExchange, symbol, trade));
  for (const auto& fill : fills) {
    listed.fills.add({fill.id, trade.price, fill.quantity, trade.time, trade.buyer_is_maker});
    if (listed.ledger_fills) write(fill_line(kExchange, symbol, trade, fill));
  }
  if (!listed.trades->empty()) {
    message_ = push_head("trades", symbol) + ",\"data\":[";
    append_trade(message_, symbol, trade, market_.last_update_id(index) - listed.shift);
    message_ += "]}";
    publish(*listed.trades, message_);
  }
  if (!listed.all_trades->empty()) {
    for (const auto& fill : fills) {
      message_ = push_head("trades-all", symbol) + ",\"data\":[";
      append_fill(message_, symbol, fill.id, trade.price, fill.quantity, trade.buyer_is_maker, trade.time, true);
      message_ += "]}";
      publish(*listed.all_trades, message_);
    }
  }
  if (trade.liquidated == Liquidated::taker) publish_liquidation(index, trade);
}

void Exchange::publish_liquidation(std::size_t index, const Trade& trade) {
  Listed& listed = *listed_[index];
  if (trade.time - listed.liquidated_at < kLiquidationSpacing) return;
  listed.liquidated_at = trade.time;
  const Symbol& symbol = market_.symbol(index);
  Type& type = types_.find(inst_type(symbol))->second;
  LiquidationNote note;
  note.time = trade.time;
  note.sells = trade.buyer_is_maker;
  note.price = bankruptcy_price(symbol, trade);
  note.quantity = trade.quantity;
  if (listed.ledger_liquidations) write(liquidation_line(kExchange, symbol, note));
  if (!type.liquidations->empty()) {
    message_ = push_head("liquidation-orders", "instType", inst_type(symbol)) + ",\"data\":[";
    append_liquidation(message_, symbol, note);
    message_ += "]}";
    publish(*type.liquidations, message_);
  }
  type.recent.push_back({index, note, listed.ledger_liquidations});
  if (type.recent.size() > kRecentLiquidations) type.recent.pop_front();
}

void Exchange::depth_due(std::size_t index, WallTime time) {
  now_ = std::max(now_, time);
  publish_book(index, time, false);
  publish_ticker(index, time);
}

void Exchange::beat(std::size_t index, WallTime time) {
  now_ = std::max(now_, time);
  Listed& listed = *listed_[index];
  const auto number = ++listed.beats;
  const auto resets = static_cast<std::uint64_t>(limits_.reset_every / 1s);
  if (resets > 0 && number % resets == 0) listed.reset_due = true;
  if (!listed.books->empty() && time - listed.told_at >= limits_.keep_alive) publish_book(index, time, true);

  const Derivative& derivative = market_.derivative(index);
  if (market_.symbol(index).funding_hours > 0) {
    const bool settled = derivative.settlements().back().time > time - 1s;
    if (settled || number % kFundingBeats == 0) publish_funding(index);
  }
  if (number % kInterestBeats == 0) publish_open_interest(index);
  if (!listed.mark->empty()) {
    message_ = push_head("mark-price", market_.symbol(index)) + ",\"data\":[";
    append_mark(message_, market_.symbol(index), derivative);
    message_ += "]}";
    publish(*listed.mark, message_);
  }
}

// --- what the channels tell

// "ts", "checksum", "seqId", "prevSeqId" and the end of a row. The checksum says nothing since June 2026.
void Exchange::append_book(std::string& out, std::size_t, WallTime time, std::uint64_t seq,
                           std::int64_t previous) const {
  append_text(out, "ts", std::to_string(milliseconds(time)));
  append_raw(out, "checksum", "0");
  append_raw(out, "seqId", std::to_string(seq));
  append_raw(out, "prevSeqId", std::to_string(previous));
  out.push_back('}');
}

void Exchange::publish_book(std::size_t index, WallTime time, bool keep_alive) {
  Listed& listed = *listed_[index];
  const auto id = market_.last_update_id(index);
  if (listed.books->empty()) return;
  const auto previous = listed.seq;
  listed.told.update(market_.book(index), bids_, asks_);
  if (bids_.empty() && asks_.empty()) {
    if (!keep_alive) return;
  } else {
    const auto anew = 1 + id % 97;
    if (listed.reset_due && previous > anew) listed.shift = id - anew;  // the sequence begins anew
    listed.reset_due = false;
    listed.seq = id - listed.shift;
  }
  const Symbol& symbol = market_.symbol(index);
  message_ = push_head("books", symbol) + ",\"action\":\"update\",\"data\":[{\"asks\":[";
  for (const auto& change : asks_) append_level(message_, symbol, change.level);
  message_ += "],\"bids\":[";
  for (const auto& change : bids_) append_level(message_, symbol, change.level);
  message_ += "]";
  append_book(message_, index, time, listed.seq, static_cast<std::int64_t>(previous));
  message_ += "]}";
  listed.told_at = time;
  publish(*listed.books, message_);
}

void Exchange::publish_ticker(std::size_t index, WallTime time) {
  Listed& listed = *listed_[index];
  if (listed.tickers->empty() || listed.ticker_id == market_.last_update_id(index)) return;
  listed.ticker_id = market_.last_update_id(index);
  message_ = push_head("tickers", market_.symbol(index)) + ",\"data\":[";
  append_ticker(message_, market_, index, time);
  message_ += "]}";
  publish(*listed.tickers, message_);
}

void Exchange::publish_funding(std::size_t index) {
  Listed& listed = *listed_[index];
  if (listed.ledger_funding) note_funding(index);
  if (listed.funding->empty()) return;
  message_ = push_head("funding-rate", market_.symbol(index)) + ",\"data\":[";
  append_funding(message_, market_.symbol(index), market_.derivative(index));
  message_ += "]}";
  publish(*listed.funding, message_);
}

void Exchange::publish_open_interest(std::size_t index) {
  Listed& listed = *listed_[index];
  if (listed.ledger_interest) note_open_interest(index);
  if (listed.interest->empty()) return;
  message_ = push_head("open-interest", market_.symbol(index)) + ",\"data\":[";
  append_open_interest(message_, market_.symbol(index), market_.derivative(index));
  message_ += "]}";
  publish(*listed.interest, message_);
}

// --- the ledger

void Exchange::write(std::string line) {
  if (ledger_ != nullptr) ledger_->line(line);
}

// Each state once, whether a channel or REST told it.
void Exchange::note_funding(std::size_t index) {
  const Derivative& d = market_.derivative(index);
  auto& told = listed_[index]->funding_noted;
  if (d.time() <= told) return;
  told = d.time();
  FundingNote note;
  note.time = d.time();
  note.rate = plain_decimal(d.funding_rate(), kFundingScale);
  note.funding_time = d.funding_time();
  note.next_funding_time = d.funding_time() + d.funding_interval();
  note.interval_hours = market_.symbol(index).funding_hours;
  write(funding_line(kExchange, market_.symbol(index), note));
}

void Exchange::note_open_interest(std::size_t index) {
  const Symbol& symbol = market_.symbol(index);
  const Derivative& d = market_.derivative(index);
  const std::pair state{d.time(), d.open_interest()};
  if (std::exchange(listed_[index]->interest_noted, state) == state) return;
  // Its worth is told in dollars: the quote of some instruments, and of no others.
  const auto worth = symbol.quote == "USD" ? dollars_text(symbol, d) : std::string();
  write(open_interest_line(kExchange, symbol, d.time(), d.open_interest(), worth, true));
}

void Exchange::note_ratios(std::size_t index, WallTime period, Holders holders, std::string_view ratio,
                           std::string_view length) {
  if (holders == Holders::top_accounts) return;  // none of the product's types
  RatioNote note;
  note.time = period;
  note.positions = holders == Holders::top_positions;
  note.ratio = ratio;
  note.period = length;
  write(ratio_line(kExchange, market_.symbol(index), note));
}

void Exchange::finish(WallTime now) {
  for (std::size_t i = 0; i < market_.size(); ++i) {
    Listed& listed = *listed_[i];
    publish_book(i, std::max(now, market_.last_change(i)), false);
    if (!listed.ledger_book) continue;
    if (listed.books->empty()) {
      listed.told.take(market_.book(i));
      listed.seq = market_.last_update_id(i) - listed.shift;
      listed.told_at = market_.last_change(i);
    }
    write(book_line(kExchange, market_.symbol(i), listed.told.levels(Side::bid), listed.told.levels(Side::ask),
                    listed.seq, listed.told_at));
  }
  if (ledger_ != nullptr) ledger_->flush();
}

}  // namespace mp::sim::okx
