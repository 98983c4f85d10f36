#include "sim/binance/exchange.hpp"

#include <algorithm>
#include <functional>

#include "sim/binance/feeds.hpp"

namespace mp::sim::binance {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view kExchange = "binance";
constexpr std::size_t kSlotsPerStep = 512;  // then the server may look after its clients

// How often an open candle is told, as on the venue.
Nanos kline_interval(const Stream& stream, Section section) {
  if (section == Section::usdm) return 250ms;
  return stream.interval == Nanos{1s} ? Nanos{1s} : Nanos{2s};
}

WallTime candle_start(WallTime t, Nanos length) {
  const auto ns = nanos_since_epoch(t);
  return wall_from_nanos(ns - ns % length.count());
}

// The touched prices, each once and best first, with what the book holds there now.
void collect(std::vector<std::int64_t>& prices, Side side, const Book& book, std::vector<Level>& out) {
  out.clear();
  if (side == Side::bid)
    std::sort(prices.begin(), prices.end(), std::greater<>{});
  else
    std::sort(prices.begin(), prices.end());
  prices.erase(std::unique(prices.begin(), prices.end()), prices.end());
  for (const auto price : prices) out.push_back({price, book.quantity_at(side, price)});
  prices.clear();
}

}  // namespace

Exchange::Exchange(std::vector<Symbol> symbols, const ExchangeOptions& options, Delivery& delivery, LineSink* ledger)
    : market_(std::move(symbols), options.market),
      switchboard_(options.limits, delivery, *this, options.refuse),
      weights_(options.limits),
      limits_(options.limits),
      ledger_(ledger) {
  for (std::size_t i = 0; i < market_.size(); ++i) listed_.push_back(std::make_unique<Listed>(options.history));
}

Exchange::~Exchange() = default;

std::optional<ConnectionRules> Exchange::open(ClientId client, std::string_view target) {
  return switchboard_.open(client, target);
}
void Exchange::text(ClientId client, std::string_view frame) { switchboard_.text(client, frame); }
void Exchange::closed(ClientId client) { switchboard_.closed(client); }
bool Exchange::advance(WallTime now) {
  const bool up_to_date = market_.advance(now, kSlotsPerStep, *this);
  if (ledger_ != nullptr) ledger_->flush();
  return up_to_date;
}

std::optional<std::size_t> Exchange::find_symbol(Section section, std::string_view instrument) const {
  for (std::size_t i = 0; i < market_.size(); ++i)
    if (section_of(market_.symbol(i)) == section && market_.symbol(i).instrument == instrument) return i;
  return std::nullopt;
}

// --- subscriptions

void Exchange::started(Channel& channel) {
  const auto stream = parse_stream(channel.section, channel.name);
  if (!stream) return;
  if (stream->symbol.empty()) {
    for (std::size_t i = 0; i < market_.size(); ++i)
      if (section_of(market_.symbol(i)) == channel.section) follow(channel, *stream, i);
  } else if (const auto symbol = find_symbol(channel.section, stream->symbol)) {
    follow(channel, *stream, *symbol);
  }
}

void Exchange::follow(Channel& channel, const Stream& stream, std::size_t symbol) {
  Listed& listed = *listed_[symbol];
  auto feed = std::make_unique<Feed>();
  feed->channel = &channel;
  feed->stream = stream;
  feed->symbol = symbol;
  feed->last_id = market_.last_update_id(symbol);
  switch (stream.type) {
    case StreamType::agg_trade: listed.ledger_aggregated = true; break;
    case StreamType::trade: listed.ledger_fills = true; break;
    case StreamType::depth: listed.depth_feeds.push_back(feed.get()); [[fallthrough]];
    case StreamType::partial_depth: listed.ledger_book = true; break;
    case StreamType::mark_price: listed.ledger_funding = true; break;
    case StreamType::force_order: listed.ledger_liquidations = true; break;
    case StreamType::book_ticker:
    case StreamType::ticker:
    case StreamType::kline: break;
  }
  listed.feeds.push_back(std::move(feed));
}

void Exchange::stopped(Channel& channel) {
  for (auto& listed : listed_) {
    std::erase_if(listed->depth_feeds, [&](const Feed* feed) { return feed->channel == &channel; });
    std::erase_if(listed->feeds, [&](const auto& feed) { return feed->channel == &channel; });
  }
}

// --- what the market does

void Exchange::changed(std::size_t symbol, Side side, const Level& level, std::uint64_t update_id) {
  for (Feed* feed : listed_[symbol]->depth_feeds) {
    if (feed->bids.empty() && feed->asks.empty()) feed->first_id = update_id;
    (side == Side::bid ? feed->bids : feed->asks).push_back(level.price);
  }
}

void Exchange::traded(std::size_t index, const Trade& trade, std::span<const Fill> fills) {
  Listed& listed = *listed_[index];
  const Symbol& symbol = market_.symbol(index);
  ++trades_;
  listed.aggregated.add(trade);
  for (const auto& fill : fills)
    listed.fills.add({fill.id, trade.price, fill.quantity, trade.time, trade.buyer_is_maker});
  if (ledger_ != nullptr) write_trades(listed, symbol, trade, fills);
  if (trade.liquidated == Liquidated::taker) listed.liquidation = liquidation_of(symbol, trade);

  for (const auto& feed : listed.feeds) {
    const TimeUnit unit = feed->channel->unit;
    if (feed->stream.type == StreamType::agg_trade) {
      switchboard_.publish(*feed->channel, [&](std::string& out) { append_agg_trade(out, symbol, trade, unit); });
    } else if (feed->stream.type == StreamType::trade) {
      for (const auto& fill : fills)
        switchboard_.publish(*feed->channel, [&](std::string& out) { append_trade(out, symbol, trade, fill, unit); });
    } else if (feed->stream.type == StreamType::kline) {
      const auto start = candle_start(trade.time, feed->stream.interval);
      if (start != feed->candle.open_time) {
        if (!feed->candle.empty()) publish_kline(*feed, trade.time, true);
        feed->candle = Candle{};
        feed->candle.open_time = start;
      }
      feed->candle.add(trade);
      feed->candle_changed = true;
    }
  }
}

void Exchange::voided(std::size_t index, std::uint64_t fill, WallTime time) {
  Listed& listed = *listed_[index];
  listed.fills.add({fill, 0, 0, time, true});
  for (const auto& feed : listed.feeds)
    if (feed->stream.type == StreamType::trade)
      switchboard_.publish(*feed->channel,
                           [&](std::string& out) { append_void_trade(out, market_.symbol(index), fill, time); });
}

// A second of a contract is over.
void Exchange::beat(std::size_t index, WallTime time) {
  Listed& listed = *listed_[index];
  const Symbol& symbol = market_.symbol(index);
  if (listed.ledger_funding) note_funding(index);
  if (listed.liquidation && listed.ledger_liquidations && ledger_ != nullptr)
    ledger_->line(liquidation_line(kExchange, symbol, *listed.liquidation));
  const auto second = nanos_since_epoch(time) / 1'000'000'000;
  for (const auto& feed : listed.feeds) {
    if (feed->stream.type == StreamType::mark_price && (feed->stream.interval == Nanos{1s} || second % 3 == 0))
      switchboard_.publish(*feed->channel,
                           [&](std::string& out) { append_mark_price(out, symbol, market_.derivative(index)); });
    if (feed->stream.type == StreamType::force_order && listed.liquidation)
      switchboard_.publish(*feed->channel,
                           [&](std::string& out) { append_force_order(out, symbol, *listed.liquidation, time); });
  }
  listed.liquidation.reset();
}

// Each state once, whichever stream or request told it.
void Exchange::note_funding(std::size_t index) {
  const Symbol& symbol = market_.symbol(index);
  const Derivative& d = market_.derivative(index);
  auto& told = listed_[index]->funding_noted;
  if (ledger_ == nullptr || symbol.funding_hours == 0 || d.time() <= told) return;
  told = d.time();
  FundingNote note;
  note.time = d.time();
  note.rate = rate_text(d.funding_rate());
  note.funding_time = d.funding_time();
  note.mark_price = mark_text(d.mark());
  note.index_price = mark_text(d.index());
  ledger_->line(funding_line(kExchange, symbol, note));
}

void Exchange::note_open_interest(std::size_t index) {
  const Derivative& d = market_.derivative(index);
  auto& told = listed_[index]->interest_noted;
  if (ledger_ == nullptr || d.open_interest_time() <= told) return;
  told = d.open_interest_time();
  ledger_->line(open_interest_line(kExchange, market_.symbol(index), told, d.open_interest(), "", false));
}

void Exchange::write_trades(const Listed& listed, const Symbol& symbol, const Trade& trade,
                            std::span<const Fill> fills) {
  if (listed.ledger_aggregated) ledger_->line(trade_line(kExchange, symbol, trade));
  if (!listed.ledger_fills) return;
  for (const auto& fill : fills) ledger_->line(fill_line(kExchange, symbol, trade, fill));
}

void Exchange::depth_due(std::size_t symbol, WallTime time) {
  for (const auto& feed : listed_[symbol]->feeds) publish_due(*feed, time, false);
}

// --- what the streams tell

void Exchange::publish_due(Feed& feed, WallTime now, bool even_if_early) {
  switch (feed.stream.type) {
    case StreamType::trade:
    case StreamType::agg_trade:
    case StreamType::mark_price:
    case StreamType::force_order: return;
    case StreamType::ticker:
      if (even_if_early || now - feed.last_sent >= feed.stream.interval) publish_ticker(feed, now);
      return;
    case StreamType::depth:
    case StreamType::partial_depth:
      // The 100 ms streams follow the market's own beat, which is faster than that at high rates.
      if (!even_if_early && feed.stream.interval > 100ms && now - feed.last_sent < feed.stream.interval) return;
      if (feed.stream.type == StreamType::depth)
        publish_depth(feed, now);
      else
        publish_book_picture(feed, now);
      return;
    case StreamType::book_ticker: publish_book_picture(feed, now); return;
    case StreamType::kline:
      if (feed.candle_changed && now - feed.last_sent >= kline_interval(feed.stream, feed.channel->section))
        publish_kline(feed, now, false);
      return;
  }
}

void Exchange::publish_depth(Feed& feed, WallTime now) {
  if (feed.bids.empty() && feed.asks.empty()) return;
  const Symbol& symbol = market_.symbol(feed.symbol);
  const Book& book = market_.book(feed.symbol);
  DepthUpdate update;
  update.first_id = feed.first_id;
  update.last_id = market_.last_update_id(feed.symbol);
  update.previous_last_id = feed.last_id;
  update.time = now;
  update.bids.swap(bids_);
  update.asks.swap(asks_);
  collect(feed.bids, Side::bid, book, update.bids);
  collect(feed.asks, Side::ask, book, update.asks);
  switchboard_.publish(*feed.channel, [&](std::string& out) { append_depth(out, symbol, update, feed.channel->unit); });
  update.bids.swap(bids_);
  update.asks.swap(asks_);
  feed.last_id = update.last_id;
  feed.last_sent = now;
}

// A partial depth or a best price, when it has changed.
void Exchange::publish_book_picture(Feed& feed, WallTime now) {
  const auto id = market_.last_update_id(feed.symbol);
  if (id == feed.last_id) return;
  const Symbol& symbol = market_.symbol(feed.symbol);
  const Book& book = market_.book(feed.symbol);
  const TimeUnit unit = feed.channel->unit;
  if (feed.stream.type == StreamType::book_ticker) {
    if (book.best(Side::bid) == feed.best_bid && book.best(Side::ask) == feed.best_ask) return;
    feed.best_bid = book.best(Side::bid);
    feed.best_ask = book.best(Side::ask);
    switchboard_.publish(*feed.channel,
                         [&](std::string& out) { append_book_ticker(out, symbol, book, id, now, unit); });
  } else {
    const auto levels = static_cast<std::size_t>(feed.stream.levels);
    switchboard_.publish(*feed.channel, [&](std::string& out) {
      append_partial_depth(out, symbol, book, levels, id, feed.last_id, now, unit);
    });
  }
  feed.last_id = id;
  feed.last_sent = now;
}

void Exchange::publish_ticker(Feed& feed, WallTime now) {
  switchboard_.publish(*feed.channel, [&](std::string& out) {
    append_ticker(out, market_, feed.symbol, now, feed.channel->unit, TickerForm::stream);
  });
  feed.last_sent = now;
}

void Exchange::publish_kline(Feed& feed, WallTime now, bool closed) {
  const Symbol& symbol = market_.symbol(feed.symbol);
  switchboard_.publish(*feed.channel, [&](std::string& out) {
    append_kline(out, symbol, feed.stream, feed.candle, closed, now, feed.channel->unit);
  });
  feed.candle_changed = false;
  feed.last_sent = now;
}

void Exchange::finish(WallTime now) {
  for (std::size_t i = 0; i < market_.size(); ++i) {
    Listed& listed = *listed_[i];
    const WallTime time = std::max(now, market_.last_change(i));
    for (const auto& feed : listed.feeds) publish_due(*feed, time, true);
    if (ledger_ == nullptr || !listed.ledger_book) continue;
    ledger_->line(
        book_line(kExchange, market_.symbol(i), market_.book(i), market_.last_update_id(i), market_.last_change(i)));
  }
  if (ledger_ != nullptr) ledger_->flush();
}

}  // namespace mp::sim::binance
