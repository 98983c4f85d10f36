#include "exchanges/binance/publisher.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "exchanges/binance/catalogue.hpp"

namespace mp::binance {
namespace {

constexpr std::int64_t kCoinMargined = 2;

// How often a symbol is charged that fundingInfo does not list.
const Decimal kUsualFundingHours = Decimal::from_parts(8, 0);

bool is_known_order_status(std::string_view status) {
  constexpr std::string_view kStatuses[] = {"NEW",      "PARTIALLY_FILLED", "FILLED",          "CANCELED",
                                            "REJECTED", "EXPIRED",          "EXPIRED_IN_MATCH"};
  return std::ranges::find(kStatuses, status) != std::end(kStatuses);
}

bool can_have(MarketType kind, DataType type) {
  switch (type) {
    case DataType::trade:
    case DataType::orderbook:
    case DataType::orderbook_delta: return true;
    case DataType::funding_rate: return kind == MarketType::perpetual;
    case DataType::open_interest:
    case DataType::liquidation:
    case DataType::lsr_top_position:
    case DataType::lsr_all_account: return kind != MarketType::spot;
    case DataType::volatility_index:
    case DataType::gap:
    case DataType::rejected:
    case DataType::instrument: return false;
  }
  return false;
}

}  // namespace

Publisher::Publisher(const SessionOptions& options, Market market)
    : market_(market),
      data_source_(options.data_source),
      min_interval_(options.min_interval),
      rules_(book_rules(options)),
      catalogue_("binance"),
      chooser_(options.symbols),
      reports_(options, market == Market::spot ? MarketType::spot : MarketType::perpetual) {
  for (const auto type : options.data_types) wanted_types_[static_cast<std::size_t>(type)] = true;
  rules_.audits = &audits_;
}

// ---- time -----------------------------------------------------------------------------------------------------

void Publisher::show_due(WallTime now, Events& out) {
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

void Publisher::opened(ConnectionId connection, WallTime now) { connections_.heard(connection, now); }

void Publisher::begin(WallTime now, Events& out) {
  show_due(now, out);
  chooser_.begin(catalogue_);
  for (Index index = 0; index < entries_.size(); ++index) {
    auto& entry = entries_[index];
    entry.aggregated.begin();
    entry.single.begin();
    if (entry.depth) entry.depth->interrupted(GapCause::collector_down);
    entry.covers.begin(connections_);
    entry.top_position_grid.begin();
    entry.all_account_grid.begin();
    const auto not_asked = entry.open_interest_samples.begin(now);
    if (chooser_.collects(index)) tell(index, DataType::open_interest, not_asked, now, out);
  }
  connections_.clear();
}

void Publisher::closed(ConnectionId connection, std::string_view reason, WallTime now, Events& out) {
  const auto heard = connections_.last_heard(connection);
  const auto end = end_of_connection(reason);
  connections_.closed(connection);
  for (Index index = 0; index < entries_.size(); ++index) {
    auto& entry = entries_[index];
    if (heard)
      entry.covers.closed(*heard, end, [&](DataType type, const Outage& outage) {
        tell_unless_numbered(index, type, outage, now, out);
      });
    entry.aggregated.closed(connection, now, owner(index), out);
    entry.single.closed(connection, now, owner(index), out);
    if (!entry.depth) continue;
    // While a replacement takes over, what waited for the book's connection will not come any more.
    if (entry.book_connection == connection) entry.depth->settle(out, now);
    if (entry.depth_connection == connection) entry.depth->interrupted(GapCause::disconnected);
  }
  recompute_due();
}

// ---- what is covered ------------------------------------------------------------------------------------------

std::optional<DataType> Publisher::type_of_stream(std::string_view name) const {
  const auto channel = channel_of(name);
  if (channel == "aggTrade" || channel == "trade") return DataType::trade;
  if (channel.starts_with("markPrice") || channel.starts_with("!markPrice@arr")) return DataType::funding_rate;
  if (channel == "forceOrder" || channel == "!forceOrder@arr") return DataType::liquidation;
  return std::nullopt;
}

std::vector<Publisher::Index> Publisher::instruments_of_stream(std::string_view name) const {
  std::vector<Index> out;
  if (name.starts_with('!')) {
    for (Index index = 0; index < entries_.size(); ++index)
      if (chooser_.collects(index)) out.push_back(index);
    return out;
  }
  std::string symbol(name.substr(0, name.find('@')));
  for (auto& c : symbol)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  const auto index = catalogue_.find(symbol);
  if (index && chooser_.collects(*index)) out.push_back(*index);
  return out;
}

// Nothing comes of a contract that has been delivered.
bool Publisher::has_ended(Index index, WallTime at) const {
  const auto& expiry = catalogue_.definition(index).expiry;
  return expiry && *expiry <= at;
}

void Publisher::tell(Index index, DataType type, const std::optional<Outage>& outage, WallTime now, Events& out) {
  if (!outage || !publishes(index, type) || has_ended(index, outage->start + kInFlight)) return;
  ++entries_[index].outages[static_cast<std::size_t>(type)];
  append_outage(catalogue_.ref(index), type, data_source_, *outage, now, out);
}

// Trades whose ids are known tell more exactly what is missing, and whether anything is.
void Publisher::tell_unless_numbered(Index index, DataType type, const std::optional<Outage>& outage, WallTime now,
                                     Events& out) {
  const auto& entry = entries_[index];
  if (type == DataType::trade && (entry.aggregated.ids().last() || entry.single.ids().last())) return;
  tell(index, type, outage, now, out);
}

void Publisher::cover(Index index, DataType type, ConnectionId connection, WallTime now, Events& out) {
  tell_unless_numbered(index, type, entries_[index].covers.of(type).covered(connection, now), now, out);
}

void Publisher::sent(ConnectionId connection, const RequestFrame& request, WallTime now) {
  for (const auto name : request.streams) {
    const auto type = type_of_stream(name);
    if (!type) continue;
    for (const auto index : instruments_of_stream(name)) {
      auto& stream = entries_[index].covers.of(*type);
      if (request.method == RequestFrame::Method::subscribe)
        stream.asked(connection, request.id);
      else if (has_ended(index, now))
        stream = {};
      else
        stream.given_up(connection);
    }
  }
}

// The venue confirms whatever it is asked for, also what it will not serve at this address: only what the connection
// delivers proves that it serves at all.
void Publisher::answered(ConnectionId connection, std::uint64_t request_id, WallTime now, Events& out) {
  const auto heard = connections_.last_heard(connection);
  const bool delivers = heard && heard->data_at;
  for (Index index = 0; index < entries_.size(); ++index)
    for (const auto type : StreamCovers::kTypes)
      if (entries_[index].covers.of(type).answered(connection, request_id) && delivers)
        cover(index, type, connection, now, out);
}

void Publisher::brought(ConnectionId connection, WallTime now, Events& out) {
  if (!connections_.brought(connection, now)) return;
  for (Index index = 0; index < entries_.size(); ++index)
    for (const auto type : StreamCovers::kTypes)
      if (entries_[index].covers.of(type).is_answered(connection)) cover(index, type, connection, now, out);
}

// ---- whose message --------------------------------------------------------------------------------------------

// Since June 2026 streams of both futures markets may arrive on one socket: COIN-M has other units.
bool Publisher::foreign(std::optional<std::int64_t> st) {
  if (market_ == Market::spot || st != kCoinMargined) return false;
  reports_.unmapped("COIN-M (st 2)");
  return true;
}

std::optional<Publisher::Index> Publisher::find(std::string_view venue_symbol, DataType type, const Received& from,
                                                Events& out) {
  const auto index = catalogue_.find(venue_symbol);
  if (!index) reports_.unknown_instrument(venue_symbol, type, from.raw, from.at, out);
  if (index && !chooser_.collects(*index)) return std::nullopt;
  return index;
}

// True (and a reject) when a live event's time is too far from now.
bool Publisher::refuse_distant(Index index, DataType type, WallTime timestamp, const Received& from, Events& out) {
  const auto distant = reports_.too_distant(timestamp, from.at);
  if (distant) reports_.reject(catalogue_.ref(index), type, *distant, from.raw, from.at, out);
  return distant.has_value();
}

template <class Event>
Event& Publisher::emit(Index index, WallTime timestamp, const Received& from, Events& out) {
  auto& event = std::get<Event>(out.emplace_back(std::in_place_type<Event>));
  event.meta = {catalogue_.ref(index), timestamp, from.at, data_source_};
  last_of(index, Event::kType) = from.at;
  return event;
}

template <class Event>
void Publisher::publish_thinned(Index index, Event event, Events& out) {
  last_of(index, Event::kType) = event.meta.received_at;
  if (entries_[index].thinning.admits(event)) out.emplace_back(std::move(event));
}

// ---- trades ---------------------------------------------------------------------------------------------------

std::optional<Publisher::Index> Publisher::trade(Frame& frame, const Received& from, Events& out) {
  if (foreign(frame.st)) return std::nullopt;
  const auto index = find(frame.symbol, DataType::trade, from, out);
  if (!index || !wants(DataType::trade)) return index;
  auto& entry = entries_[*index];
  const auto& trade = frame.trade;
  auto& tape = trade.aggregated ? entry.aggregated : entry.single;
  connections_.seen(from.connection);
  const auto outage = entry.covers.of(DataType::trade).data(from.connection, trade.time, from.at);
  tell_unless_numbered(*index, DataType::trade, outage, from.at, out);
  const auto distant = reports_.too_distant(trade.time, from.at);
  const auto verdict = tape.observe({trade.id, trade.id}, {from.connection, distant ? from.at : trade.time, from.at},
                                    connections_, owner(*index), out);
  if (verdict == Tape::Verdict::duplicate) {
    ++duplicates_;
    return index;
  }
  if (!trade.on_tape) return index;
  if (distant) {
    reports_.reject(catalogue_.ref(*index), DataType::trade, *distant, from.raw, from.at, out);
    return index;
  }
  auto& event = emit<Trade>(*index, trade.time, from, out);
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

std::optional<Publisher::Index> Publisher::depth(Frame& frame, const Received& from, Events& out) {
  if (foreign(frame.st)) return std::nullopt;
  const auto index = find(frame.symbol, DataType::orderbook_delta, from, out);
  if (!index || !wants_books()) return index;
  auto& in = frame.depth;
  if (market_ == Market::derivatives && !in.prev_id) {
    reports_.reject(catalogue_.ref(*index), DataType::orderbook_delta, "missing field: depthUpdate.pu", from.raw,
                    from.at, out);
    return index;
  }
  if (refuse_distant(*index, DataType::orderbook_delta, in.time, from, out)) return index;
  connections_.seen(from.connection);
  auto& entry = entries_[*index];
  auto& feed = depth_feed(*index);
  update_.ids = {in.first_id, in.last_id, in.prev_id};
  update_.timestamp = in.time;
  update_.received_at = from.at;
  // Swapped, not moved: the decoder gets the vectors of the update before back.
  update_.bids.swap(in.bids);
  update_.asks.swap(in.asks);
  // A replacement may run several updates ahead: the book's own connection still brings what is before them, also when
  // the replacement has ended meanwhile.
  const bool is_awaited = feed.buffering() && from.connection == entry.book_connection;
  const bool others_carry_it = is_awaited || connections_.others_carry(from.connection, entry.depth_connection) ||
                               connections_.others_carry(from.connection, entry.book_connection);
  const auto taken = feed.update(update_, others_carry_it, out);
  if (taken == DepthFeed::Taken::applied) entry.book_connection = from.connection;
  if (taken == DepthFeed::Taken::old) {
    ++duplicates_;
  } else {
    entry.depth_connection = from.connection;
    note_due(feed);
  }
  return index;
}

Publisher::SnapshotResult Publisher::snapshot(std::string_view venue_symbol, Result<DepthReply> reply,
                                              const Received& from, Events& out) {
  if (!wants_books()) {
    reports_.unmapped("REST depth");
    return SnapshotResult::not_newer;
  }
  const auto index = find(venue_symbol, DataType::orderbook_delta, from, out);
  if (!index) return SnapshotResult::unknown_symbol;
  if (!reply) {
    reports_.reject(catalogue_.ref(*index), DataType::orderbook_delta, reply.error().text(), from.raw, from.at, out);
    return SnapshotResult::unreadable;
  }
  if (refuse_distant(*index, DataType::orderbook_delta, reply->time.value_or(from.at), from, out))
    return SnapshotResult::unreadable;
  auto& feed = depth_feed(*index);
  const auto taken = feed.snapshot(*reply, from.at, out);
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

bool Publisher::audit(std::string_view venue_symbol, Result<DepthReply>& reply, const Received& from, Events& out) {
  const auto index = catalogue_.find(venue_symbol);
  if (!reply || !index) return false;
  auto* feed = entries_[*index].depth.get();
  // Lost meanwhile: as its snapshot these few levels would be all that is known of the book.
  if (!feed || !feed->kept().synced()) {
    reports_.unmapped("REST depth for an audit of a lost book");
    return true;
  }
  feed->audit(*reply, kAuditLimit, from.at, out);
  return true;
}

// ---- funding --------------------------------------------------------------------------------------------------

// fundingInfo lists those that are not charged as usual; what it says is known only once it has come.
std::optional<Decimal> Publisher::funding_hours(Index index) const {
  if (!adjusted_hours_) return std::nullopt;
  const auto found = adjusted_hours_->find(catalogue_.ref(index)->instrument);
  return found == adjusted_hours_->end() ? kUsualFundingHours : found->second;
}

std::optional<Publisher::Index> Publisher::mark_price(const MarkPriceRow& row, const Received& from, Events& out) {
  if (foreign(row.st)) return std::nullopt;
  const auto index = catalogue_.find(row.symbol);
  if (!index) {
    // Only what is chosen is in the catalogue; the stream of all symbols brings the others too.
    if (chooser_.selection().empty())
      reports_.unknown_instrument(row.symbol, DataType::funding_rate, from.raw, from.at, out);
    else
      reports_.unmapped("instruments that are not chosen");
    return std::nullopt;
  }
  if (!chooser_.collects(*index)) return std::nullopt;
  // A contract that is delivered has a mark price and no funding: nothing to say.
  if (!publishes(*index, DataType::funding_rate) || !row.rate || !row.funding_time) return index;
  const auto time = row.time.value_or(from.at);
  if (refuse_distant(*index, DataType::funding_rate, time, from, out)) return index;
  connections_.seen(from.connection);
  auto& entry = entries_[*index];
  tell(*index, DataType::funding_rate, entry.covers.of(DataType::funding_rate).data(from.connection, time, from.at),
       from.at, out);
  // While one connection replaces another, both bring the same.
  if (connections_.others_carry(from.connection, entry.mark_connection) && time <= entry.mark_time) {
    ++duplicates_;
    return index;
  }
  entry.mark_connection = from.connection;
  entry.mark_time = time;
  FundingRate event;
  event.meta = {catalogue_.ref(*index), time, from.at, data_source_};
  event.funding_rate = *row.rate;
  event.funding_time = row.funding_time;
  event.mark_price = row.mark;
  event.index_price = row.index;
  event.funding_interval_hours = funding_hours(*index);
  publish_thinned(*index, std::move(event), out);
  return index;
}

void Publisher::mark_prices(const Rows<MarkPriceRow>& rows, const Received& from, Events& out,
                            std::vector<Index>& seen) {
  for (const auto& row : rows.rows)
    if (const auto index = mark_price(row, from, out)) seen.push_back(*index);
  reject_unreadable(rows, DataType::funding_rate, from, out);
}

// The same facts as the stream's.
bool Publisher::premium_index(const Result<Rows<MarkPriceRow>>& reply, const Received& from, Events& out) {
  if (!readable(reply, DataType::funding_rate, from, out)) return false;
  for (const auto& row : reply->rows) mark_price(row, from, out);
  reject_unreadable(*reply, DataType::funding_rate, from, out);
  return true;
}

bool Publisher::funding_info(const Result<Rows<FundingInfoRow>>& reply, const Received& from, Events& out) {
  if (!readable(reply, DataType::funding_rate, from, out)) return false;
  auto& hours = adjusted_hours_.emplace();
  for (const auto& row : reply->rows)
    if (row.hours && !row.hours->is_zero()) hours.insert_or_assign(std::string(row.symbol), *row.hours);
  reject_unreadable(*reply, DataType::funding_rate, from, out);
  return true;
}

// History, so its rows may be of any age; each is told once.
bool Publisher::settled_funding(const Result<Rows<SettledFundingRow>>& reply, const Received& from, Events& out) {
  if (!readable(reply, DataType::funding_rate, from, out)) return false;
  auto rows = reply->rows;
  std::ranges::stable_sort(rows, {}, &SettledFundingRow::funding_time);
  for (const auto& row : rows) {
    const auto index = find(row.symbol, DataType::funding_rate, from, out);
    if (!index || !publishes(*index, DataType::funding_rate) || !row.rate) continue;
    const bool regular = row.rate_type.empty() || row.rate_type == "Regular";
    if (!regular && row.rate_type != "Special") reports_.unknown_value("fundingRate.rateType", row.rate_type);
    auto& entry = entries_[*index];
    if (!(regular ? entry.settled : entry.settled_special).take(row.funding_time)) continue;
    auto& event = emit<FundingRate>(*index, row.funding_time, from, out);
    event.funding_rate = *row.rate;
    event.funding_time = row.funding_time;
    event.mark_price = row.mark;
    event.is_settled = true;
  }
  reject_unreadable(*reply, DataType::funding_rate, from, out);
  return true;
}

// ---- open interest, liquidations, ratios ----------------------------------------------------------------------

bool Publisher::open_interest(const Result<OpenInterestRow>& reply, const Received& from, Events& out) {
  if (!readable(reply, DataType::open_interest, from, out)) return false;
  const auto index = find(reply->symbol, DataType::open_interest, from, out);
  if (!index || !publishes(*index, DataType::open_interest)) return true;
  if (refuse_distant(*index, DataType::open_interest, reply->time, from, out)) return false;
  tell(*index, DataType::open_interest, entries_[*index].open_interest_samples.answered(from.at), from.at, out);
  // The venue has counted no further since the last answer.
  if (!entries_[*index].open_interest.take(reply->time)) {
    last_of(*index, DataType::open_interest) = from.at;
    return true;
  }
  OpenInterest event;
  event.meta = {catalogue_.ref(*index), reply->time, from.at, data_source_};
  event.open_interest = reply->quantity;
  publish_thinned(*index, std::move(event), out);
  return true;
}

std::optional<Publisher::Index> Publisher::liquidation(const Frame& frame, const Received& from, Events& out) {
  if (foreign(frame.st)) return std::nullopt;
  const auto index = catalogue_.find(frame.symbol);
  if (!index) {
    if (chooser_.selection().empty())
      reports_.unknown_instrument(frame.symbol, DataType::liquidation, from.raw, from.at, out);
    else
      reports_.unmapped("instruments that are not chosen");
    return std::nullopt;
  }
  if (!chooser_.collects(*index)) return std::nullopt;
  if (!publishes(*index, DataType::liquidation)) return index;
  const auto& order = frame.liquidation;
  connections_.seen(from.connection);
  tell(*index, DataType::liquidation,
       entries_[*index].covers.of(DataType::liquidation).data(from.connection, order.time, from.at), from.at, out);
  const auto text = [](const auto& value) { return value ? value->value.text() : std::string(); };
  // Orders have no id: all that tells two of them apart.
  key_.clear();
  fmt::format_to(std::back_inserter(key_), "{} {} {} {} {} {} {} {}", frame.symbol, nanos_since_epoch(order.time),
                 to_string(order.side), order.quantity.value.text(), text(order.price), text(order.average),
                 text(order.filled), order.status);
  if (!liquidations_seen_.take(key_)) {
    ++duplicates_;
    return index;
  }
  if (refuse_distant(*index, DataType::liquidation, order.time, from, out)) return index;
  auto& event = emit<Liquidation>(*index, order.time, from, out);
  event.side = order.side;
  event.price = order.price;
  event.average_price = order.average;
  event.quantity = order.quantity;
  event.filled_quantity = order.filled;
  event.coverage = Coverage::sampled;
  if (order.status.empty()) return index;
  event.status = order.status;
  if (is_known_order_status(order.status)) return index;
  reports_.unknown_value("forceOrder.o.X", order.status);
  event.status = "unknown";
  return index;
}

bool Publisher::ratios(DataType type, std::string_view period, const Result<Rows<RatioRow>>& reply,
                       const Received& from, Events& out) {
  if (!readable(reply, type, from, out)) return false;
  const bool top = type == DataType::lsr_top_position;
  const auto length = period_length(period);
  auto rows = reply->rows;
  std::ranges::stable_sort(rows, {}, &RatioRow::time);
  for (const auto& row : rows) {
    const auto index = find(row.symbol, type, from, out);
    if (!index || !publishes(*index, type)) continue;
    auto& entry = entries_[*index];
    auto& seen = top ? entry.top_position : entry.all_account;
    const auto last = seen.last();
    if (!seen.take(row.time)) continue;
    tell(*index, type, (top ? entry.top_position_grid : entry.all_account_grid).row(last, row.time, length), from.at,
         out);
    if (top) {
      auto& event = emit<LsrTopPosition>(*index, row.time, from, out);
      event.long_position_ratio = row.long_share;
      event.short_position_ratio = row.short_share;
      event.long_short_ratio = row.ratio;
      event.period = period;
    } else {
      auto& event = emit<LsrAllAccount>(*index, row.time, from, out);
      event.long_account_ratio = row.long_share;
      event.short_account_ratio = row.short_share;
      event.long_short_ratio = row.ratio;
      event.period = period;
    }
  }
  reject_unreadable(*reply, type, from, out);
  return true;
}

// ---- catalogue ------------------------------------------------------------------------------------------------

void Publisher::grow() {
  while (entries_.size() < catalogue_.size()) entries_.emplace_back(min_interval_);
}

bool Publisher::exchange_info(const Result<ExchangeInfo>& reply, const Received& from, Events& out) {
  if (!readable(reply, DataType::instrument, from, out)) return false;
  std::vector<ListedInstrument> list;
  for (const auto& info : reply->symbols) {
    const auto type = market_type_of(market_, info);
    if (!type) continue;
    list.push_back({id_of(*type, info), definition_of(*type, info, from.at)});
    if (is_known_status(market_, info.status)) continue;
    reports_.unknown_value("exchangeInfo.status", info.status);
    list.back().definition.status = "unknown";
  }
  std::vector<Index> changed;
  const auto before = collected();
  chooser_.take("", list, catalogue_, changed);
  grow();
  end_others(before, from.at, out);
  for (const auto index : changed) {
    auto& event = std::get<Instrument>(out.emplace_back(catalogue_.definition(index)));
    event.meta.data_source = data_source_;
    // Statistics are not asked for while it is not traded.
    if (event.status != "TRADING" && event.status != "unknown") entries_[index].open_interest_samples.forget();
  }
  for (const auto& [why, text] : reply->unreadable)
    reports_.reject(nullptr, DataType::instrument, why.text(), text, from.at, out);
  return true;
}

bool Publisher::volumes(const Result<std::vector<InstrumentVolume>>& reply, const Received& from, Events& out) {
  if (!readable(reply, DataType::instrument, from, out)) return false;
  chooser_.volumes(*reply);
  return true;
}

// ---- another configuration ------------------------------------------------------------------------------------

Collected Publisher::collected() const {
  Collected out;
  for (const auto index : chooser_.chosen())
    for (const auto type : collectable_types())
      if (publishes(index, type)) out.emplace_back(index, type);
  return out;
}

// What is not collected any more ends here; should it come back one day, it begins anew.
void Publisher::end_others(const Collected& before, WallTime now, Events& out) {
  for (const auto& [index, type] : ended_since(before, collected())) {
    auto& entry = entries_[index];
    if (StreamCovers::has(type)) {
      // No id will tell any more what is missing up to here.
      const auto outage = entry.covers.of(type).ended(now);
      if (outage && !has_ended(index, outage->start + kInFlight))
        append_outage(catalogue_.ref(index), type, data_source_, *outage, now, out);
    }
    if (type == DataType::open_interest) entry.open_interest_samples.forget();
    if (type == DataType::lsr_top_position) entry.top_position_grid.ended();
    if (type == DataType::lsr_all_account) entry.all_account_grid.ended();
    append_end(catalogue_.ref(index), type, data_source_, now, out);
    last_of(index, type).reset();
    if (type == DataType::trade) {
      entry.aggregated = {};
      entry.single = {};
    } else if (type == DataType::funding_rate || type == DataType::open_interest) {
      entry.thinning = Thinning(min_interval_);
    } else if ((type == DataType::orderbook || type == DataType::orderbook_delta) &&
               (!wants_books() || !chooser_.collects(index))) {
      entry.depth.reset();
      entry.depth_connection = entry.book_connection = 0;
    }
  }
  recompute_due();
}

void Publisher::reconfigure(const SessionOptions& options, WallTime now, Events& out) {
  const auto before = collected();
  wanted_types_ = {};
  for (const auto type : options.data_types) wanted_types_[static_cast<std::size_t>(type)] = true;
  auto rules = book_rules(options);
  rules.audits = rules_.audits;
  if (rules != rules_ || options.min_interval != min_interval_) {
    // Books are what their rules make of them: they are brought over as they are for a restart.
    std::string state;
    {
      StateWriter writer(state, "books", 1);
      save(writer);
    }
    rules_ = std::move(rules);
    min_interval_ = options.min_interval;
    StateReader reader(state, "books", 1);
    restore(reader);
  }
  data_source_ = options.data_source;
  chooser_.reselect(options.symbols, catalogue_);
  end_others(before, now, out);
}

// ---- what is refused ------------------------------------------------------------------------------------------

void Publisher::unreadable(const Error& why, const Received& from, Events& out) {
  reports_.reject(nullptr, std::nullopt, why.text(), from.raw, from.at, out);
}

template <class Reply>
bool Publisher::readable(const Result<Reply>& reply, DataType type, const Received& from, Events& out) {
  if (!reply) reports_.reject(nullptr, type, reply.error().text(), from.raw, from.at, out);
  return static_cast<bool>(reply);
}

template <class Row>
void Publisher::reject_unreadable(const Rows<Row>& rows, DataType type, const Received& from, Events& out) {
  for (const auto& [why, text] : rows.unreadable) reports_.reject(nullptr, type, why.text(), text, from.at, out);
}

// ---- for the conversation and /health -------------------------------------------------------------------------

bool Publisher::publishes(Index index, DataType type) const {
  if (!wants(type) || !can_have(catalogue_.ref(index)->market_type, type)) return false;
  if (type == DataType::orderbook) return !rules_.series.empty();
  return type != DataType::orderbook_delta || rules_.publish_deltas;
}

std::optional<WallTime> Publisher::last_row(Index index, DataType type) const {
  if (index >= entries_.size()) return std::nullopt;
  const auto& entry = entries_[index];
  if (type == DataType::lsr_top_position) return entry.top_position.last();
  if (type == DataType::lsr_all_account) return entry.all_account.last();
  if (type == DataType::funding_rate) return entry.settled.last();
  return std::nullopt;
}

std::optional<WallTime> Publisher::last_event(Index index, DataType type) const {
  const auto& entry = entries_[index];
  if (entry.depth && type == DataType::orderbook) return entry.depth->kept().last_picture_at();
  if (entry.depth && type == DataType::orderbook_delta) return entry.depth->kept().last_delta_at();
  return entry.last[static_cast<std::size_t>(type)];
}

std::uint64_t Publisher::gaps(Index index, DataType type) const {
  const auto& entry = entries_[index];
  if (type == DataType::trade)
    return entry.aggregated.gaps() + entry.single.gaps() + entry.outages[static_cast<std::size_t>(type)];
  const bool book = type == DataType::orderbook || type == DataType::orderbook_delta;
  if (book) return entry.depth ? entry.depth->kept().gaps() : 0;
  return entry.outages[static_cast<std::size_t>(type)];
}

// ---- state ----------------------------------------------------------------------------------------------------

void Publisher::save(StateWriter& out) const {
  catalogue_.save(out);
  chooser_.save(out);
  connections_.save(out);
  liquidations_seen_.save(out);
  out.put(adjusted_hours_.has_value());
  if (adjusted_hours_) {
    out.put(std::uint64_t{adjusted_hours_->size()});
    for (const auto& [symbol, hours] : *adjusted_hours_) {
      out.put(std::string_view{symbol});
      out.put(hours);
    }
  }
  for (const auto& entry : entries_) {
    entry.aggregated.save(out);
    entry.single.save(out);
    out.put(std::uint64_t{entry.depth_connection});
    out.put(std::uint64_t{entry.book_connection});
    entry.thinning.save(out);
    out.put(std::uint64_t{entry.mark_connection});
    out.put(entry.mark_time);
    for (const auto* rows :
         {&entry.settled, &entry.settled_special, &entry.open_interest, &entry.top_position, &entry.all_account})
      rows->save(out);
    entry.covers.save(out);
    entry.open_interest_samples.save(out);
    entry.top_position_grid.save(out);
    entry.all_account_grid.save(out);
    out.put(entry.depth != nullptr);
    if (entry.depth) entry.depth->save(out);
  }
}

void Publisher::restore(StateReader& in) {
  catalogue_.restore(in);
  chooser_.restore(in, catalogue_);
  connections_.restore(in);
  liquidations_seen_.restore(in);
  adjusted_hours_.reset();
  if (in.flag() && in.ok()) {
    auto& hours = adjusted_hours_.emplace();
    for (auto n = in.count(5); n > 0 && in.ok(); --n) {
      auto symbol = in.text();
      hours.insert_or_assign(std::move(symbol), in.decimal());
    }
  }
  entries_.clear();
  grow();
  for (Index index = 0; index < entries_.size() && in.ok(); ++index) {
    auto& entry = entries_[index];
    entry.aggregated.restore(in);
    entry.single.restore(in);
    entry.depth_connection = static_cast<ConnectionId>(in.number());
    entry.book_connection = static_cast<ConnectionId>(in.number());
    entry.thinning.restore(in);
    entry.mark_connection = static_cast<ConnectionId>(in.number());
    entry.mark_time = in.time();
    for (auto* rows :
         {&entry.settled, &entry.settled_special, &entry.open_interest, &entry.top_position, &entry.all_account})
      rows->restore(in);
    entry.covers.restore(in);
    entry.open_interest_samples.restore(in);
    entry.top_position_grid.restore(in);
    entry.all_account_grid.restore(in);
    if (in.flag() && in.ok()) depth_feed(index).restore(in);
  }
  recompute_due();
}

}  // namespace mp::binance
