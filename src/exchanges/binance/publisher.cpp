#include "exchanges/binance/publisher.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "exchanges/binance/catalogue.hpp"

namespace mp::binance {
namespace {

bool wants(const SessionOptions& options, DataType type) {
  return std::ranges::find(options.data_types, type) != options.data_types.end();
}

std::string text_of(const Error& error) { return error.text(); }

}  // namespace

Publisher::Publisher(const SessionOptions& options, Market market)
    : market_(market),
      data_source_(options.data_source),
      trades_wanted_(wants(options, DataType::trade)),
      books_wanted_(wants(options, DataType::orderbook) || wants(options, DataType::orderbook_delta)),
      rules_(book_rules(options)),
      catalogue_("binance"),
      chooser_(options.symbols),
      reports_(options, market == Market::spot ? MarketType::spot : MarketType::perpetual) {}

// ---- time -----------------------------------------------------------------------------------------------------

void Publisher::show_due(WallTime now, std::vector<MarketEvent>& out) {
  if (!next_due_ || now < *next_due_) return;
  for (auto& entry : entries_)
    if (entry.depth) entry.depth->show_due(now, out);
  recompute_due();
}

void Publisher::note_due(const DepthFeed& feed) {
  const auto due = feed.next_due();
  if (due && (!next_due_ || *due < *next_due_)) next_due_ = due;
}

void Publisher::recompute_due() {
  next_due_.reset();
  for (const auto& entry : entries_)
    if (entry.depth) note_due(*entry.depth);
}

// ---- connections ----------------------------------------------------------------------------------------------

void Publisher::opened(ConnectionId connection) { connections_.seen(connection); }

void Publisher::begin() {
  chooser_.begin(catalogue_);
  connections_.clear();
  for (auto& entry : entries_) {
    entry.aggregated.begin();
    entry.single.begin();
    if (entry.depth) entry.depth->interrupted(GapCause::collector_down);
  }
}

void Publisher::closed(ConnectionId connection, WallTime now, std::vector<MarketEvent>& out) {
  connections_.closed(connection);
  for (Index index = 0; index < entries_.size(); ++index) {
    auto& entry = entries_[index];
    // While a replacement takes over, what waited for the other connection will not come any more.
    entry.aggregated.closed(connection, now, owner(index), out);
    entry.single.closed(connection, now, owner(index), out);
    if (!entry.depth) continue;
    entry.depth->settle(out, now);
    if (entry.depth_connection == connection) entry.depth->interrupted(GapCause::disconnected);
  }
  recompute_due();
}

// ---- trades ---------------------------------------------------------------------------------------------------

std::optional<Publisher::Index> Publisher::trade(ConnectionId connection, Frame& frame, std::string_view raw,
                                                 WallTime now, std::vector<MarketEvent>& out) {
  if (foreign(frame)) return std::nullopt;
  const auto index = catalogue_.find(frame.symbol);
  if (!index) {
    reports_.unknown_instrument(frame.symbol, DataType::trade, raw, now, out);
    return std::nullopt;
  }
  auto& entry = entries_[*index];
  if (!trades_wanted_) return index;
  const auto& trade = frame.trade;
  auto& tape = trade.aggregated ? entry.aggregated : entry.single;
  connections_.seen(connection);
  const auto distant = reports_.too_distant(trade.time, now);
  const auto verdict = tape.observe({trade.id, trade.id}, {connection, distant ? now : trade.time, now}, connections_,
                                    owner(*index), out);
  if (verdict == Tape::Verdict::duplicate) {
    ++duplicates_;
    return index;
  }
  if (!trade.on_tape) return index;
  if (distant) {
    reports_.reject(catalogue_.ref(*index), DataType::trade, *distant, raw, now, out);
    return index;
  }
  entry.last_trade_at = now;
  auto& event = std::get<Trade>(out.emplace_back(std::in_place_type<Trade>));
  event.meta = {catalogue_.ref(*index), trade.time, now, data_source_};
  event.trade_id = std::to_string(trade.id);
  event.price = trade.price;
  event.quantity = trade.quantity;
  event.side = trade.buyer_is_maker ? Side::sell : Side::buy;
  if (trade.aggregated) {
    event.first_trade_id = std::to_string(trade.first_id);
    event.last_trade_id = std::to_string(trade.last_id);
  }
  return index;
}

// ---- books ----------------------------------------------------------------------------------------------------

DepthFeed& Publisher::depth_feed(Index index) {
  auto& slot = entries_[index].depth;
  if (!slot) slot = std::make_unique<DepthFeed>(catalogue_.ref(index), market_, rules_);
  return *slot;
}

std::optional<Publisher::Index> Publisher::depth(ConnectionId connection, Frame& frame, std::string_view raw,
                                                 WallTime now, std::vector<MarketEvent>& out) {
  if (foreign(frame)) return std::nullopt;
  const auto index = catalogue_.find(frame.symbol);
  if (!index) {
    reports_.unknown_instrument(frame.symbol, DataType::orderbook_delta, raw, now, out);
    return std::nullopt;
  }
  if (!books_wanted_) return index;
  auto& in = frame.depth;
  if (market_ == Market::derivatives && !in.prev_id) {
    reports_.reject(catalogue_.ref(*index), DataType::orderbook_delta, "missing field: depthUpdate.pu", raw, now, out);
    return index;
  }
  if (const auto distant = reports_.too_distant(in.time, now)) {
    reports_.reject(catalogue_.ref(*index), DataType::orderbook_delta, *distant, raw, now, out);
    return index;
  }
  connections_.seen(connection);
  auto& entry = entries_[*index];
  auto& feed = depth_feed(*index);
  update_.ids = {in.first_id, in.last_id, in.prev_id};
  update_.timestamp = in.time;
  update_.received_at = now;
  // Swapped, not moved: the decoder gets the vectors of the update before back.
  update_.bids.swap(in.bids);
  update_.asks.swap(in.asks);
  // A replacement may run several updates ahead: the book's own connection still brings what is before them.
  const bool others_carry_it = connections_.others_carry(connection, entry.depth_connection) ||
                               connections_.others_carry(connection, entry.book_connection);
  const auto taken = feed.update(update_, others_carry_it, out);
  if (taken == DepthFeed::Taken::applied) entry.book_connection = connection;
  if (taken == DepthFeed::Taken::old) {
    ++duplicates_;
  } else {
    entry.depth_connection = connection;
    note_due(feed);
  }
  return index;
}

Publisher::SnapshotResult Publisher::snapshot(std::string_view venue_symbol, Result<DepthReply> reply,
                                              std::string_view raw, WallTime now, std::vector<MarketEvent>& out) {
  if (!books_wanted_) {
    reports_.unmapped("REST depth");
    return SnapshotResult::not_newer;
  }
  const auto index = catalogue_.find(venue_symbol);
  if (!index) {
    reports_.unknown_instrument(venue_symbol, DataType::orderbook_delta, raw, now, out);
    return SnapshotResult::unknown_symbol;
  }
  if (!reply) {
    reports_.reject(catalogue_.ref(*index), DataType::orderbook_delta, text_of(reply.error()), raw, now, out);
    return SnapshotResult::unreadable;
  }
  if (const auto distant = reports_.too_distant(reply->time.value_or(now), now)) {
    reports_.reject(catalogue_.ref(*index), DataType::orderbook_delta, *distant, raw, now, out);
    return SnapshotResult::unreadable;
  }
  auto& feed = depth_feed(*index);
  const auto taken = feed.snapshot(*reply, now, out);
  note_due(feed);
  switch (taken) {
    case DepthFeed::SnapshotTaken::applied: return SnapshotResult::applied;
    case DepthFeed::SnapshotTaken::too_old:
      reports_.unmapped("REST depth older than its updates");
      return SnapshotResult::too_old;
    case DepthFeed::SnapshotTaken::not_newer: reports_.unmapped("REST depth older than its book"); break;
  }
  return SnapshotResult::not_newer;
}

// ---- catalogue ------------------------------------------------------------------------------------------------

void Publisher::grow() {
  while (entries_.size() < catalogue_.size()) entries_.emplace_back();
}

bool Publisher::exchange_info(const Result<ExchangeInfo>& reply, std::string_view raw, WallTime now,
                              std::vector<MarketEvent>& out) {
  if (!reply) {
    reports_.reject(nullptr, DataType::instrument, text_of(reply.error()), raw, now, out);
    return false;
  }
  std::vector<ListedInstrument> list;
  for (const auto& info : reply->symbols)
    if (const auto type = market_type_of(market_, info))
      list.push_back({id_of(*type, info), definition_of(*type, info, now)});
  std::vector<Index> changed;
  chooser_.take("", list, catalogue_, changed);
  grow();
  for (const auto index : changed) {
    auto& event = std::get<Instrument>(out.emplace_back(catalogue_.definition(index)));
    event.meta.data_source = data_source_;
  }
  for (const auto& [why, text] : reply->unreadable)
    reports_.reject(nullptr, DataType::instrument, text_of(why), text, now, out);
  return true;
}

bool Publisher::volumes(const Result<std::vector<InstrumentVolume>>& reply, std::string_view raw, WallTime now,
                        std::vector<MarketEvent>& out) {
  if (!reply) {
    reports_.reject(nullptr, DataType::instrument, text_of(reply.error()), raw, now, out);
    return false;
  }
  chooser_.volumes(*reply);
  return true;
}

// ---- what is refused, what is not ours ------------------------------------------------------------------------

void Publisher::unreadable(const Error& why, std::string_view raw, WallTime now, std::vector<MarketEvent>& out) {
  reports_.reject(nullptr, std::nullopt, text_of(why), raw, now, out);
}

// Since June 2026 streams of both futures markets may arrive on one socket: COIN-M has other units.
bool Publisher::foreign(const Frame& frame) {
  constexpr std::int64_t kCoinMargined = 2;
  if (market_ == Market::spot || frame.st != kCoinMargined) return false;
  reports_.unmapped("COIN-M (st 2)");
  return true;
}

// ---- state ----------------------------------------------------------------------------------------------------

void Publisher::save(StateWriter& out) const {
  catalogue_.save(out);
  chooser_.save(out);
  connections_.save(out);
  for (const auto& entry : entries_) {
    entry.aggregated.save(out);
    entry.single.save(out);
    out.put(std::uint64_t{entry.depth_connection});
    out.put(std::uint64_t{entry.book_connection});
    out.put(entry.depth != nullptr);
    if (entry.depth) entry.depth->save(out);
  }
}

void Publisher::restore(StateReader& in) {
  catalogue_.restore(in);
  chooser_.restore(in, catalogue_);
  connections_.restore(in);
  entries_.clear();
  grow();
  for (Index index = 0; index < entries_.size() && in.ok(); ++index) {
    auto& entry = entries_[index];
    entry.aggregated.restore(in);
    entry.single.restore(in);
    entry.depth_connection = static_cast<ConnectionId>(in.number());
    entry.book_connection = static_cast<ConnectionId>(in.number());
    if (in.flag() && in.ok()) depth_feed(index).restore(in);
  }
  recompute_due();
}

}  // namespace mp::binance
