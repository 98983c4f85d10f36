#include "exchanges/binance/publisher.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace mp::binance {
namespace {

constexpr std::size_t kMaxUnmappedNames = 200;
constexpr std::size_t kMaxOpenConnections = 1024;

bool wants(const SessionOptions& options, DataType type) {
  return std::ranges::find(options.data_types, type) != options.data_types.end();
}

std::string text_of(const Error& error) { return error.text(); }

}  // namespace

Publisher::Publisher(const SessionOptions& options, Market market)
    : market_(market),
      data_source_(options.data_source),
      max_clock_distance_(options.max_clock_distance),
      trades_wanted_(wants(options, DataType::trade)),
      catalogue_(market, options.symbols) {
  const bool pictures = wants(options, DataType::orderbook);
  rules_.market = market;
  rules_.data_source = options.data_source;
  rules_.publish_deltas = wants(options, DataType::orderbook_delta);
  if (pictures) rules_.series = options.book_series;
  books_wanted_ = pictures || rules_.publish_deltas;
}

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

bool Publisher::is_open(ConnectionId connection) const { return std::ranges::find(open_, connection) != open_.end(); }

void Publisher::opened(ConnectionId connection) { seen(connection); }

// Recordings may lack the line that opened a connection.
void Publisher::seen(ConnectionId connection) {
  if (connection == 0 || is_open(connection)) return;
  if (open_.size() >= kMaxOpenConnections) open_.erase(open_.begin());
  open_.push_back(connection);
}

// Another living connection has brought this stream: what seems to be missing may come from there.
bool Publisher::others_carry(ConnectionId mine, ConnectionId last) const {
  return last != 0 && last != mine && is_open(last);
}

void Publisher::begin() {
  open_.clear();
  for (auto& entry : entries_) {
    entry.aggregated.ids.interrupted(GapCause::collector_down);
    entry.single.ids.interrupted(GapCause::collector_down);
    if (entry.depth) entry.depth->interrupted(GapCause::collector_down);
  }
}

void Publisher::closed(ConnectionId connection, WallTime now, std::vector<MarketEvent>& out) {
  std::erase(open_, connection);
  for (Index index = 0; index < entries_.size(); ++index) {
    auto& entry = entries_[index];
    // While a replacement takes over, what waited for the other connection will not come any more.
    for (auto* tape : {&entry.aggregated, &entry.single}) {
      holes_.clear();
      tape->ids.settle(std::nullopt, holes_);
      tell_holes(index, now, out);
      if (tape->connection == connection) tape->ids.interrupted(GapCause::disconnected);
    }
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
    reject(std::nullopt, DataType::trade, fmt::format("instrument '{}' is not in the catalogue", frame.symbol), raw,
           now, out);
    return std::nullopt;
  }
  auto& entry = entries_[*index];
  if (!trades_wanted_) return index;
  const auto& trade = frame.trade;
  auto& tape = trade.aggregated ? entry.aggregated : entry.single;
  seen(connection);
  const auto distant = too_distant(trade.time, now);
  holes_.clear();
  const auto verdict = tape.ids.observe(trade.id, distant ? now : trade.time, now,
                                        others_carry(connection, tape.connection), holes_);
  if (!holes_.empty()) tell_holes(*index, now, out);
  if (verdict == TradeIds::Verdict::duplicate) {
    ++duplicates_;
    return index;
  }
  tape.connection = connection;
  if (!trade.on_tape) return index;
  if (distant) {
    reject(*index, DataType::trade, *distant, raw, now, out);
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

void Publisher::tell_holes(Index index, WallTime now, std::vector<MarketEvent>& out) {
  for (const auto& hole : holes_) {
    ++entries_[index].trade_gaps;
    Gap event;
    event.meta = {catalogue_.ref(index), now, now, data_source_};
    event.data_type = DataType::trade;
    event.cause = hole.cause;
    event.gap_start = hole.gap_start;
    event.gap_end = hole.gap_end;
    event.last_id = std::to_string(hole.last_id);
    event.next_id = std::to_string(hole.next_id);
    out.emplace_back(std::move(event));
  }
}

// ---- books ----------------------------------------------------------------------------------------------------

DepthFeed& Publisher::depth_feed(Index index) {
  auto& slot = entries_[index].depth;
  if (!slot) slot = std::make_unique<DepthFeed>(catalogue_.ref(index), rules_);
  return *slot;
}

std::optional<Publisher::Index> Publisher::depth(ConnectionId connection, Frame& frame, std::string_view raw,
                                                 WallTime now, std::vector<MarketEvent>& out) {
  if (foreign(frame)) return std::nullopt;
  const auto index = catalogue_.find(frame.symbol);
  if (!index) {
    reject(std::nullopt, DataType::orderbook_delta,
           fmt::format("instrument '{}' is not in the catalogue", frame.symbol), raw, now, out);
    return std::nullopt;
  }
  if (!books_wanted_) return index;
  auto& in = frame.depth;
  if (market_ == Market::derivatives && !in.prev_id) {
    reject(*index, DataType::orderbook_delta, "missing field: depthUpdate.pu", raw, now, out);
    return index;
  }
  if (const auto distant = too_distant(in.time, now)) {
    reject(*index, DataType::orderbook_delta, *distant, raw, now, out);
    return index;
  }
  seen(connection);
  auto& entry = entries_[*index];
  auto& feed = depth_feed(*index);
  update_.ids = {in.first_id, in.last_id, in.prev_id};
  update_.timestamp = in.time;
  update_.received_at = now;
  // Swapped, not moved: the decoder gets the vectors of the update before back.
  update_.bids.swap(in.bids);
  update_.asks.swap(in.asks);
  const auto taken = feed.update(update_, others_carry(connection, entry.depth_connection), out);
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
    unmapped("REST depth");
    return SnapshotResult::not_newer;
  }
  const auto index = catalogue_.find(venue_symbol);
  if (!index) {
    reject(std::nullopt, DataType::orderbook_delta,
           fmt::format("instrument '{}' is not in the catalogue", venue_symbol), raw, now, out);
    return SnapshotResult::unknown_symbol;
  }
  if (!reply) {
    reject(*index, DataType::orderbook_delta, text_of(reply.error()), raw, now, out);
    return SnapshotResult::unreadable;
  }
  if (const auto distant = too_distant(reply->time.value_or(now), now)) {
    reject(*index, DataType::orderbook_delta, *distant, raw, now, out);
    return SnapshotResult::unreadable;
  }
  auto& feed = depth_feed(*index);
  const auto taken = feed.snapshot(*reply, now, out);
  note_due(feed);
  switch (taken) {
    case DepthFeed::SnapshotTaken::applied: return SnapshotResult::applied;
    case DepthFeed::SnapshotTaken::too_old: unmapped("REST depth older than its updates"); return SnapshotResult::too_old;
    case DepthFeed::SnapshotTaken::not_newer: unmapped("REST depth older than its book"); break;
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
    reject(std::nullopt, DataType::instrument, text_of(reply.error()), raw, now, out);
    return false;
  }
  catalogue_.forget_names();
  for (const auto& info : reply->symbols) {
    const auto index = catalogue_.update(info, now);
    if (!index) continue;
    grow();
    auto& event = std::get<Instrument>(out.emplace_back(catalogue_.definition(*index)));
    event.meta.data_source = data_source_;
  }
  for (const auto& [why, text] : reply->unreadable)
    reject(std::nullopt, DataType::instrument, text_of(why), text, now, out);
  return true;
}

// ---- what is refused, what is not ours ------------------------------------------------------------------------

void Publisher::reject(std::optional<Index> index, std::optional<DataType> type, std::string reason,
                       std::string_view raw, WallTime now, std::vector<MarketEvent>& out) const {
  Rejected event;
  event.meta = {index ? catalogue_.ref(*index) : nullptr, now, now, data_source_};
  event.exchange = "binance";
  event.market_type = index                      ? catalogue_.ref(*index)->market_type
                      : market_ == Market::spot ? MarketType::spot
                                                 : MarketType::perpetual;
  event.data_type = type;
  event.reason = std::move(reason);
  event.raw = raw;
  out.emplace_back(std::move(event));
}

void Publisher::unreadable(const Error& why, std::string_view raw, WallTime now, std::vector<MarketEvent>& out) {
  reject(std::nullopt, std::nullopt, text_of(why), raw, now, out);
}

void Publisher::unmapped(std::string_view name) {
  auto found = unmapped_.find(name);
  if (found == unmapped_.end())
    found = unmapped_.emplace(unmapped_.size() < kMaxUnmappedNames ? std::string(name) : "others", 0).first;
  ++found->second;
}

std::vector<std::pair<std::string, std::uint64_t>> Publisher::unmapped_counts() const {
  return {unmapped_.begin(), unmapped_.end()};
}

// Since June 2026 streams of both futures markets may arrive on one socket: COIN-M has other units.
bool Publisher::foreign(const Frame& frame) {
  constexpr std::int64_t kCoinMargined = 2;
  if (market_ == Market::spot || frame.st != kCoinMargined) return false;
  unmapped("COIN-M (st 2)");
  return true;
}

std::optional<std::string> Publisher::too_distant(WallTime timestamp, WallTime now) const {
  if (max_clock_distance_.count() == 0) return std::nullopt;
  const auto distance = timestamp < now ? now - timestamp : timestamp - now;
  if (distance <= max_clock_distance_) return std::nullopt;
  return fmt::format("timestamp {} is more than {} h from its receive time", iso(timestamp),
                     max_clock_distance_.count());
}

// ---- state ----------------------------------------------------------------------------------------------------

void Publisher::save(StateWriter& out) const {
  catalogue_.save(out);
  out.put(std::uint64_t{open_.size()});
  for (const auto connection : open_) out.put(std::uint64_t{connection});
  for (const auto& entry : entries_) {
    for (const auto* tape : {&entry.aggregated, &entry.single}) {
      out.put(std::uint64_t{tape->connection});
      tape->ids.save(out);
    }
    out.put(std::uint64_t{entry.depth_connection});
    out.put(entry.depth != nullptr);
    if (entry.depth) entry.depth->save(out);
  }
}

void Publisher::restore(StateReader& in) {
  catalogue_.restore(in);
  open_.clear();
  for (auto n = in.count(); n > 0 && in.ok(); --n) open_.push_back(static_cast<ConnectionId>(in.number()));
  entries_.clear();
  grow();
  for (Index index = 0; index < entries_.size() && in.ok(); ++index) {
    auto& entry = entries_[index];
    for (auto* tape : {&entry.aggregated, &entry.single}) {
      tape->connection = static_cast<ConnectionId>(in.number());
      tape->ids.restore(in);
    }
    entry.depth_connection = static_cast<ConnectionId>(in.number());
    if (in.flag() && in.ok()) depth_feed(index).restore(in);
  }
  recompute_due();
}

}  // namespace mp::binance
