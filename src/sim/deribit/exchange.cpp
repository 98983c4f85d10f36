#include "sim/deribit/exchange.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "sim/deribit/listed.hpp"
#include "sim/deribit/listing.hpp"
#include "sim/deribit/messages.hpp"
#include "sim/dialect/text.hpp"

namespace mp::sim::deribit {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view kExchange = "deribit";
constexpr std::size_t kSlotsPerStep = 512;  // then the server may look after its clients
constexpr std::int64_t kDvolMean = 4700;    // 47 %

// Rises by one for every trade of a currency, from a number that no earlier start has reached.
std::uint64_t first_trade_id(WallTime start) {
  constexpr WallTime k2020{std::chrono::sys_days{std::chrono::year{2020} / 1 / 1}};
  return static_cast<std::uint64_t>(std::max<std::int64_t>(1, (start - k2020) / std::chrono::microseconds{10}));
}

bool is_raw(std::string_view channel) { return channel.ends_with(".raw"); }

}  // namespace

Exchange::Exchange(std::vector<Symbol> symbols, const ExchangeOptions& options, Delivery& delivery, LineSink* ledger)
    : market_(std::move(symbols), options.market),
      limits_(options.limits),
      refused_(options.refuse),
      delivery_(delivery),
      ledger_(ledger),
      now_(market_.start()) {
  const auto channel = [&](const std::string& name) {
    Topic* topic = &topics_.topic(name);
    channels_.emplace(name, topic);
    return topic;
  };
  for (std::size_t i = 0; i < market_.size(); ++i) {
    const Symbol& symbol = market_.symbol(i);
    auto listed = std::make_unique<Listed>(options.history);
    const std::string& name = symbol.instrument;
    const std::string kind(kind_of(symbol)), currency = currency_of(symbol);
    listed->book = channel("book." + name + ".100ms");
    listed->ticker = channel("ticker." + name + ".100ms");
    listed->quote = channel("quote." + name);
    if (symbol.funding_hours > 0) listed->perpetual = channel("perpetual." + name + ".100ms");
    listed->trade_topics.push_back(channel("trades." + name + ".100ms"));
    for (const auto& k : {kind, std::string("any")})
      for (const auto& c : {currency, std::string("any")}) {
        listed->trade_topics.push_back(channel("trades." + k + "." + c + ".100ms"));
        channel("instrument.state." + k + "." + c);
      }
    listed->last_price = symbol.start_price;
    // Numbers of BTC stand alone, others say their currency.
    if (symbol.quote != "USD")
      listed->trade_prefix = symbol.base + "_" + symbol.quote + "-";
    else if (symbol.base != "BTC")
      listed->trade_prefix = symbol.base + "-";
    next_trade_.emplace(listed->trade_prefix, first_trade_id(market_.start()));
    listed_.push_back(std::move(listed));
    by_name_.emplace(name, i);
  }
  for (const char* currency : {"BTC", "ETH"}) {
    std::string name(currency);
    for (auto& c : name) c = static_cast<char>(c - 'A' + 'a');
    name += "_usd";
    const auto seed = options.market.seed * 31 + static_cast<std::uint64_t>(currency[0]);
    volatilities_.push_back({name,
                             currency,
                             VolatilityIndex(seed, market_.start(), kDvolMean + (currency[0] - 'B') * 500),
                             channel("deribit_volatility_index." + name),
                             false,
                             {}});
  }
  channel("platform_state");
}

Exchange::~Exchange() = default;

std::optional<std::size_t> Exchange::find(std::string_view instrument) const {
  const auto found = by_name_.find(std::string(instrument));
  if (found == by_name_.end()) return std::nullopt;
  return found->second;
}

// --- connections

std::optional<ConnectionRules> Exchange::open(ClientId id, std::string_view target) {
  if (split_target(target).first != "/ws/api/v2") return std::nullopt;
  clients_[id] = Client{};
  return ConnectionRules{};
}

void Exchange::closed(ClientId id) {
  clients_.erase(id);
  topics_.forget(id);
}

bool Exchange::advance(WallTime now) {
  const bool up_to_date = market_.advance(now, kSlotsPerStep, *this);
  if (up_to_date) now_ = std::max(now_, now);
  if (ledger_ != nullptr) ledger_->flush();
  for (auto& [id, client] : clients_) look_after(id, client);
  return up_to_date;
}

// Heartbeats and test requests in turn; a test request that is not answered by the next one's time ends the connection.
void Exchange::look_after(ClientId id, Client& client) {
  if (client.heartbeat <= Nanos{} || now_ < client.next_beat) return;
  client.next_beat = now_ + client.heartbeat;
  if (client.asked) {
    client.heartbeat = {};
    return delivery_.close(id, "test_request was not answered");
  }
  if (client.test_is_next) client.asked = now_;
  delivery_.send(id, client.test_is_next ? R"({"jsonrpc":"2.0","method":"heartbeat","params":{"type":"test_request"}})"
                                         : R"({"jsonrpc":"2.0","method":"heartbeat","params":{"type":"heartbeat"}})");
  client.test_is_next = !client.test_is_next;
}

// --- requests

std::string Exchange::envelope(const Outcome& outcome, std::string_view id) const {
  std::string out = R"({"jsonrpc":"2.0")";
  if (!id.empty()) append_raw(out, "id", id);
  if (outcome.code != 0) {
    append_raw(out, "error", "{\"code\":" + std::to_string(outcome.code) + ",\"message\":");
    append_json_string(out, outcome.message);
    out.push_back('}');
  } else {
    append_raw(out, "result", outcome.result);
  }
  constexpr std::int64_t kTook = 450;  // microseconds
  const auto at = nanos_since_epoch(now_) / 1000;
  append_raw(out, "usIn", std::to_string(at));
  append_raw(out, "usOut", std::to_string(at + kTook));
  append_raw(out, "usDiff", std::to_string(kTook));
  append_raw(out, "testnet", "false");
  out.push_back('}');
  return out;
}

bool Exchange::has_credits(const std::string& who, std::string_view name, WallTime now) {
  if (!limits_.credits) return true;
  if (name == "public/subscribe") return subscriptions_.take(who, 3000, now);
  if (name == "public/get_instruments" && !lists_.take(who, 1, now)) return false;
  return requests_.take(who, 500, now);
}

void Exchange::text(ClientId id, std::string_view frame) {
  const auto found = clients_.find(id);
  if (found == clients_.end()) return;
  Request request;
  if (const int code = parse_request(frame, request); code != 0)
    return delivery_.send(id, envelope(error(code, code == -32700 ? "Parse error" : "Invalid Request"), request.id));
  if (!has_credits("client " + std::to_string(id), request.method, now_)) {
    delivery_.send(id, envelope(error(10028, "too_many_requests"), request.id));
    return delivery_.close(id, "too_many_requests");
  }
  const auto outcome = socket_method(id, request);
  delivery_.send(id, envelope(outcome, request.id));
  // The answer goes first, as messages of the new channels follow at once.
  if (request.method == "public/subscribe" && outcome.code == 0) {
    for (const auto& channel : request.channels) {
      if (!is_channel(channel)) continue;
      // Who follows the book already is brought up to date, so that one state is known to all.
      for (std::size_t i = 0; i < market_.size(); ++i)
        if (listed_[i]->book->name == channel) publish_book(i, now_);
      if (topics_.subscribe(id, channel)) greet(id, channel);
    }
    if (ledger_ != nullptr) ledger_->flush();
  }
}

Exchange::Outcome Exchange::socket_method(ClientId id, const Request& request) {
  Client& client = clients_[id];
  if (request.method == "public/test") {
    client.asked.reset();
    return {R"({"version":"1.2.26"})", 0, "", 200};
  }
  if (request.method == "public/set_heartbeat") {
    const auto seconds = whole_number(request.param("interval"));
    if (!seconds || *seconds < limits_.least_heartbeat_seconds) return error(-32602, "Invalid params");
    client.heartbeat = std::chrono::seconds{*seconds};
    client.next_beat = now_ + client.heartbeat;
    return {"\"ok\"", 0, "", 200};
  }
  if (request.method == "public/disable_heartbeat") {
    client.heartbeat = {};
    client.asked.reset();
    return {"\"ok\"", 0, "", 200};
  }
  if (request.method == "public/subscribe") return subscribe(id, request);
  if (request.method == "public/unsubscribe") return unsubscribe(id, request);
  if (request.method == "public/unsubscribe_all") {
    topics_.forget(id);
    return {"\"ok\"", 0, "", 200};
  }
  return method(request.method, request, now_);
}

bool Exchange::is_channel(const std::string& channel) const {
  const bool refused = std::any_of(refused_.begin(), refused_.end(),
                                   [&](const std::string& part) { return channel.find(part) != channel.npos; });
  return !refused && channels_.find(channel) != channels_.end();
}

// Only what exists is in the answer. One raw channel refuses them all.
Exchange::Outcome Exchange::subscribe(ClientId, const Request& request) {
  if (request.channels.empty()) return error(-32602, "Invalid params");
  if (std::any_of(request.channels.begin(), request.channels.end(), [](const auto& c) { return is_raw(c); }))
    return error(13778, "raw_subscriptions_not_available_for_unauthorized");
  std::string list = "[";
  for (const auto& channel : request.channels) {
    if (!is_channel(channel)) continue;
    if (list.size() > 1) list.push_back(',');
    append_json_string(list, channel);
  }
  return {list + "]", 0, "", 200};
}

Exchange::Outcome Exchange::unsubscribe(ClientId id, const Request& request) {
  std::string list = "[";
  for (const auto& channel : request.channels) {
    if (!topics_.unsubscribe(id, channel)) continue;
    if (list.size() > 1) list.push_back(',');
    append_json_string(list, channel);
  }
  return {list + "]", 0, "", 200};
}

namespace {

std::string notification(std::string_view channel, std::string_view data) {
  std::string out = R"({"jsonrpc":"2.0","method":"subscription","params":{)";
  append_text(out, "channel", channel);
  append_raw(out, "data", data);
  out += "}}";
  return out;
}

}  // namespace

void Exchange::push(const Topic& topic, std::string_view data) {
  if (topic.empty()) return;
  message_ = notification(topic.name, data);
  for (const ClientId id : topic.clients) delivery_.send(id, message_);
}

// What a new subscriber gets at once, and from when on the ledger has it all.
void Exchange::greet(ClientId id, const std::string& channel) {
  const Topic* topic = channels_.find(channel)->second;
  for (auto& volatility : volatilities_)
    if (volatility.topic == topic) volatility.in_ledger = true;
  for (std::size_t i = 0; i < market_.size(); ++i) {
    Listed& listed = *listed_[i];
    const auto& of_trades = listed.trade_topics;
    if (std::find(of_trades.begin(), of_trades.end(), topic) != of_trades.end()) listed.ledger_trades = true;
    if (topic == listed.ticker) {
      listed.ledger_ticker = true;
      publish_ticker(i, now_);
    }
    if (topic != listed.book) continue;
    listed.ledger_book = true;
    const Symbol& symbol = market_.symbol(i);
    if (topic->clients.size() == 1) {
      listed.told.take(market_.book(i));
      listed.change_id = market_.last_update_id(i);
      listed.told_at = now_;
    }
    std::string data = "{";
    append_text(data, "type", "snapshot");
    append_raw(data, "timestamp", std::to_string(milliseconds(listed.told_at)));
    append_text(data, "instrument_name", symbol.instrument);
    append_raw(data, "change_id", std::to_string(listed.change_id));
    for (const Side side : {Side::bid, Side::ask}) {
      append_raw(data, side == Side::bid ? "bids" : "asks", "[");
      std::vector<LevelChange> levels;
      for (const auto& level : listed.told.levels(side)) levels.push_back({LevelChange::Kind::added, level});
      append_changes(data, symbol, levels);
      data.push_back(']');
    }
    data.push_back('}');
    delivery_.send(id, notification(channel, data));
  }
}

// --- what the market does

void Exchange::traded(std::size_t index, const Trade& trade, std::span<const Fill> fills) {
  Listed& listed = *listed_[index];
  const Symbol& symbol = market_.symbol(index);
  now_ = std::max(now_, trade.time);
  trades_ += fills.size();
  // 0 plus, 1 zero-plus, 2 minus, 3 zero-minus
  if (trade.price != listed.last_price)
    listed.tick_direction = trade.price > listed.last_price ? 0 : 2;
  else
    listed.tick_direction |= 1;
  listed.last_price = trade.price;

  data_ = "[";
  for (const auto& fill : fills) {
    TradeRecord record;
    record.id = record.seq = fill.id;
    record.TradeFields::id = listed.trade_prefix + std::to_string(next_trade_[listed.trade_prefix]++);
    record.price = trade.price;
    record.quantity = fill.quantity;
    record.taker_sold = trade.buyer_is_maker;
    record.liquidated = trade.liquidated;
    record.tick_direction = listed.tick_direction;
    record.time = trade.time;
    record.index = market_.index(index);
    record.mark = symbol.kind == Kind::spot ? market_.middle(index) : market_.derivative(index).mark();
    if (data_.size() > 1) data_.push_back(',');
    append_trade(data_, symbol, record);
    if (listed.ledger_trades && ledger_ != nullptr) {
      write(fill_line(kExchange, symbol, trade, fill.quantity, record.TradeFields::id));
      if (trade.liquidated != Liquidated::nobody && trade.liquidated != Liquidated::maker)
        note_liquidation(symbol, trade, fill, trade.buyer_is_maker);
      if (trade.liquidated == Liquidated::maker || trade.liquidated == Liquidated::both)
        note_liquidation(symbol, trade, fill, !trade.buyer_is_maker);
    }
    listed.trades.add(record);
  }
  data_.push_back(']');
  for (const Topic* topic : listed.trade_topics) push(*topic, data_);
}

// The liquidated order's side: the taker's, or the other one's when the maker's was.
void Exchange::note_liquidation(const Symbol& symbol, const Trade& trade, const Fill& fill, bool sells) {
  LiquidationNote note;
  note.time = trade.time;
  note.sells = sells;
  note.price = trade.price;
  note.quantity = fill.quantity;
  note.complete = true;
  write(liquidation_line(kExchange, symbol, note));
}

void Exchange::depth_due(std::size_t index, WallTime time) {
  now_ = std::max(now_, time);
  publish_book(index, time);
  Listed& listed = *listed_[index];
  if (listed.ticker_id != market_.last_update_id(index)) publish_ticker(index, time);
  const Level& bid = market_.book(index).best(Side::bid);
  const Level& ask = market_.book(index).best(Side::ask);
  if (listed.quote->empty() || (bid == listed.quoted_bid && ask == listed.quoted_ask)) return;
  listed.quoted_bid = bid;
  listed.quoted_ask = ask;
  const Symbol& symbol = market_.symbol(index);
  data_ = "{";
  append_raw(data_, "timestamp", std::to_string(milliseconds(time)));
  append_text(data_, "instrument_name", symbol.instrument);
  append_raw(data_, "best_bid_price", price_number(symbol, bid.price));
  append_raw(data_, "best_bid_amount", amount_number(symbol, bid.quantity));
  append_raw(data_, "best_ask_price", price_number(symbol, ask.price));
  append_raw(data_, "best_ask_amount", amount_number(symbol, ask.quantity));
  data_.push_back('}');
  push(*listed.quote, data_);
}

void Exchange::beat(std::size_t index, WallTime time) {
  now_ = std::max(now_, time);
  advance_indexes(time);
  publish_ticker(index, time);
  Listed& listed = *listed_[index];
  if (listed.perpetual == nullptr || listed.perpetual->empty()) return;
  const Derivative& derivative = market_.derivative(index);
  data_ = "{";
  append_raw(data_, "timestamp", std::to_string(milliseconds(time)));
  append_raw(data_, "interest", rate_number(derivative.present_rate()));
  append_raw(data_, "index_price", index_number(derivative.index()));
  data_.push_back('}');
  push(*listed.perpetual, data_);
}

void Exchange::advance_indexes(WallTime time) {
  for (auto& volatility : volatilities_) {
    while (volatility.index.time() + 1s <= time) {
      volatility.index.beat();
      const auto value = volatility.index.value();
      if (volatility.in_ledger) {
        VolatilityNote note;
        note.time = volatility.index.time();
        note.market_type = "options";
        const std::string symbol = volatility.currency + "-USD";
        note.symbol = symbol;
        note.instrument = volatility.name;
        note.underlying = volatility.currency;
        note.value = plain_decimal(value, VolatilityIndex::kScale);
        write(volatility_line(kExchange, note));
      }
      if (volatility.topic->empty()) continue;
      data_ = "{";
      append_raw(data_, "timestamp", std::to_string(milliseconds(volatility.index.time())));
      append_raw(data_, "volatility", number(value, VolatilityIndex::kScale));
      append_text(data_, "index_name", volatility.name);
      data_.push_back('}');
      push(*volatility.topic, data_);
    }
  }
}

std::int64_t Exchange::volatility_of(std::size_t index) const {
  const auto& base = market_.symbol(index).base;
  return volatilities_[base == "ETH" ? 1 : 0].index.value();
}

// --- what the channels tell

void Exchange::publish_book(std::size_t index, WallTime time) {
  Listed& listed = *listed_[index];
  if (listed.book->empty()) return;
  const Symbol& symbol = market_.symbol(index);
  listed.told.update(market_.book(index), bids_, asks_);
  if (bids_.empty() && asks_.empty()) return;
  const auto previous = listed.change_id;
  listed.change_id = market_.last_update_id(index);
  listed.told_at = time;
  data_ = "{";
  append_text(data_, "type", "change");
  append_raw(data_, "timestamp", std::to_string(milliseconds(time)));
  append_raw(data_, "prev_change_id", std::to_string(previous));
  append_text(data_, "instrument_name", symbol.instrument);
  append_raw(data_, "change_id", std::to_string(listed.change_id));
  append_raw(data_, "bids", "[");
  append_changes(data_, symbol, bids_);
  data_ += "]";
  append_raw(data_, "asks", "[");
  append_changes(data_, symbol, asks_);
  data_ += "]}";
  push(*listed.book, data_);
}

void Exchange::publish_ticker(std::size_t index, WallTime time) {
  Listed& listed = *listed_[index];
  listed.ticker_id = market_.last_update_id(index);
  if (listed.ledger_ticker) note_ticker(index, time);
  if (listed.ticker->empty()) return;
  data_.clear();
  append_ticker(data_, market_, index, time, volatility_of(index));
  push(*listed.ticker, data_);
}

// --- the ledger

void Exchange::write(std::string line) {
  if (ledger_ != nullptr) ledger_->line(line);
}

// Funding and open interest are in the ticker.
void Exchange::note_ticker(std::size_t index, WallTime time) {
  const Symbol& symbol = market_.symbol(index);
  Listed& listed = *listed_[index];
  // As the message tells it.
  time = std::chrono::floor<std::chrono::milliseconds>(time);
  if (ledger_ == nullptr || symbol.kind == Kind::spot || time <= listed.ticker_noted) return;
  listed.ticker_noted = time;
  const Derivative& d = market_.derivative(index);
  if (symbol.funding_hours > 0) {
    FundingNote note;
    note.time = time;
    note.rate = rate_number(d.present_rate());
    note.mark_price = mark_number(symbol, d.mark());
    note.index_price = index_number(market_.index(index));
    note.interval_hours = 8;  // the rate is told per eight hours
    write(funding_line(kExchange, symbol, note));
  }
  write(open_interest_line(kExchange, symbol, time, d.open_interest(), "", false));
}

void Exchange::finish(WallTime now) {
  for (std::size_t i = 0; i < market_.size(); ++i) {
    Listed& listed = *listed_[i];
    publish_book(i, std::max(now, market_.last_change(i)));
    if (!listed.ledger_book) continue;
    if (listed.book->empty()) {
      listed.told.take(market_.book(i));
      listed.change_id = market_.last_update_id(i);
      listed.told_at = market_.last_change(i);
    }
    write(book_line(kExchange, market_.symbol(i), listed.told.levels(Side::bid), listed.told.levels(Side::ask),
                    listed.change_id, listed.told_at));
  }
  if (ledger_ != nullptr) ledger_->flush();
}

}  // namespace mp::sim::deribit
