#include "exchanges/okx/publisher.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "exchanges/okx/instruments.hpp"

namespace mp::okx {
namespace {

using namespace std::chrono_literals;

std::optional<DataType> type_of_rows(Frame::Kind kind) {
  switch (kind) {
    case Frame::Kind::trades: return DataType::trade;
    case Frame::Kind::funding: return DataType::funding_rate;
    case Frame::Kind::open_interest: return DataType::open_interest;
    case Frame::Kind::liquidations: return DataType::liquidation;
    case Frame::Kind::book:
    case Frame::Kind::instruments:
    case Frame::Kind::pong:
    case Frame::Kind::subscribed:
    case Frame::Kind::unsubscribed:
    case Frame::Kind::error:
    case Frame::Kind::notice:
    case Frame::Kind::unmapped: break;
  }
  return std::nullopt;
}

constexpr std::array<std::string_view, 3> kKindsWithLiquidations{"SWAP", "FUTURES", "OPTION"};

// The type that an instrument's own channel brings, where no number proves it whole.
std::optional<DataType> type_of_channel(std::string_view channel) {
  if (channel == "trades" || channel == "trades-all") return DataType::trade;
  if (channel == "funding-rate") return DataType::funding_rate;
  if (channel == "open-interest") return DataType::open_interest;
  return std::nullopt;
}

// 28800000 ms -> 8. Nothing for what is not positive, or no finite decimal of hours.
std::optional<Decimal> hours_between(const std::optional<WallTime>& from, const std::optional<WallTime>& to) {
  if (!from || !to || *to <= *from) return std::nullopt;
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(*to - *from).count();
  // 1 h = 3 600 000 ms = 9 × 400 000, and 1 / 400 000 = 25 / 10^7.
  if (ms % 9 != 0) return std::nullopt;
  return Decimal::from_parts(static_cast<int128>(ms / 9) * 25, 7);
}

}  // namespace

Publisher::Publisher(const SessionOptions& options)
    : data_source_(options.data_source),
      min_interval_(options.min_interval),
      book_rules_(book_rules(options)),
      chooser_(options.symbols),
      reports_(options, MarketType::spot) {
  for (const auto type : options.data_types) wanted_types_[static_cast<std::size_t>(type)] = true;
  book_rules_.audits = &audits_;
}

// ---- time -----------------------------------------------------------------------------------------------------

void Publisher::show_due(WallTime now, Events& out) {
  if (!next_due_ || now < *next_due_) return;
  for (auto& entry : entries_)
    if (entry.book) entry.book->chained().show_due(now, out);
  recompute_due();
}

void Publisher::note_due(const BookFeed& feed) {
  const auto due = feed.chained().next_due();
  if (due && (!next_due_ || *due < *next_due_)) next_due_ = due;
}

void Publisher::recompute_due() {
  next_due_.reset();
  for (const auto& entry : entries_)
    if (entry.book) note_due(*entry.book);
}

// ---- connections ----------------------------------------------------------------------------------------------

void Publisher::begin(WallTime now, Events& out) {
  show_due(now, out);
  for (auto& entry : entries_) entry.covers.begin(connections_);
  for (auto& channel : kind_channels_) channel.begin(connections_);
  connections_.clear();
  chooser_.begin(catalogue_);
  for (auto& entry : entries_) {
    entry.aggregated.begin();
    entry.single.begin();
    entry.top_position_grid.begin();
    entry.all_account_grid.begin();
    if (entry.book) entry.book->chained().begin();
  }
}

void Publisher::opened(ConnectionId connection, WallTime now) { connections_.heard(connection, now); }

void Publisher::closed(ConnectionId connection, std::string_view reason, WallTime now, Events& out) {
  const auto heard = connections_.last_heard(connection);
  const auto end = end_of_connection(reason);
  connections_.closed(connection);
  if (heard)
    for (auto& channel : kind_channels_) channel.closed(*heard, end);
  for (Index index = 0; index < entries_.size(); ++index) {
    auto& entry = entries_[index];
    if (heard)
      entry.covers.closed(*heard, end, [&](DataType type, const Outage& outage) {
        tell_unless_numbered(index, type, outage, now, out);
      });
    const TapeOwner owner{catalogue_.ref(index), data_source_};
    entry.aggregated.closed(connection, now, owner, out);
    entry.single.closed(connection, now, owner, out);
    if (entry.book) entry.book->chained().closed(connection, now, out);
  }
  recompute_due();
}

// ---- what is covered ------------------------------------------------------------------------------------------

// Nothing comes of a contract that has been delivered.
bool Publisher::has_ended(Index index, WallTime at) const {
  const auto& expiry = catalogue_.definition(index).expiry;
  return expiry && *expiry <= at;
}

bool Publisher::publishes(Index index, DataType type) const {
  if (!wants(type) || !chooser_.collects(index)) return false;
  const auto market = catalogue_.ref(index)->market_type;
  switch (type) {
    case DataType::funding_rate: return market == MarketType::perpetual;
    case DataType::open_interest:
    case DataType::liquidation: return market != MarketType::spot;
    case DataType::lsr_top_position:
    case DataType::lsr_all_account: return market == MarketType::perpetual || market == MarketType::futures;
    case DataType::volatility_index: return false;
    case DataType::orderbook:
    case DataType::orderbook_delta:
    case DataType::trade:
    case DataType::gap:
    case DataType::rejected:
    case DataType::instrument: break;
  }
  return true;
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
  if (!publishes(index, type)) return;
  tell_unless_numbered(index, type, entries_[index].covers.of(type).covered(connection, now), now, out);
}

// nullptr for a kind that has no liquidations.
StreamCover* Publisher::kind_channel(std::string_view inst_type) {
  const auto found = std::ranges::find(kKindsWithLiquidations, inst_type);
  if (found == kKindsWithLiquidations.end()) return nullptr;
  return &kind_channels_[static_cast<std::size_t>(found - kKindsWithLiquidations.begin())];
}

// One channel brings the liquidations of all instruments of a kind. Where everything is decoded, a list names hundreds
// that nobody asks about: there each is covered by what comes of it.
void Publisher::cover_kind(std::string_view inst_type, ConnectionId connection, WallTime now, Events& out) {
  auto* channel = kind_channel(inst_type);
  if (!channel || channel->newest_carrier() == connection) return;
  channel->covered(connection, now);
  if (chooser_.selection().empty()) return;
  for (Index index = 0; index < entries_.size(); ++index)
    if (inst_type_of(*catalogue_.ref(index)) == inst_type) cover(index, DataType::liquidation, connection, now, out);
}

// The channel of its kind was there before it.
void Publisher::cover_newly_chosen(WallTime now, Events& out) {
  if (!wants(DataType::liquidation)) return;
  for (const auto index : chooser_.chosen()) {
    if (entries_[index].covers.of(DataType::liquidation).is_carried()) continue;
    const auto* channel = kind_channel(inst_type_of(*catalogue_.ref(index)));
    if (channel && channel->is_carried()) cover(index, DataType::liquidation, channel->newest_carrier(), now, out);
  }
}

void Publisher::subscribed(ConnectionId connection, const Frame& frame, WallTime now, Events& out) {
  connections_.seen(connection);
  if (frame.channel == "liquidation-orders") {
    if (auto* channel = kind_channel(frame.inst_type)) channel->asked(connection, 0);
    for (Index index = 0; index < entries_.size(); ++index)
      if (inst_type_of(*catalogue_.ref(index)) == frame.inst_type)
        entries_[index].covers.of(DataType::liquidation).asked(connection, 0);
    return cover_kind(frame.inst_type, connection, now, out);
  }
  const auto type = type_of_channel(frame.channel);
  const auto index = catalogue_.find(frame.inst_id);
  if (!type || !index) return;
  entries_[*index].covers.of(*type).asked(connection, 0);
  cover(*index, *type, connection, now, out);
}

void Publisher::unsubscribed(ConnectionId connection, const Frame& frame, WallTime now) {
  const auto give_up = [&](Index index, DataType type) {
    auto& stream = entries_[index].covers.of(type);
    if (has_ended(index, now))
      stream = {};
    else
      stream.given_up(connection);
  };
  if (frame.channel == "liquidation-orders") {
    auto* channel = kind_channel(frame.inst_type);
    if (!channel) return;
    channel->given_up(connection);
    for (Index index = 0; index < entries_.size(); ++index)
      if (inst_type_of(*catalogue_.ref(index)) == frame.inst_type) give_up(index, DataType::liquidation);
    return;
  }
  const auto type = type_of_channel(frame.channel);
  const auto index = catalogue_.find(frame.inst_id);
  if (type && index) give_up(*index, *type);
}

// ---- frames ---------------------------------------------------------------------------------------------------

void Publisher::push(ConnectionId connection, Frame& frame, const Received& from, Events& out) {
  connections_.brought(connection, from.at);
  for (const auto& [why, text] : frame.unreadable)
    reports_.reject(nullptr, type_of_rows(frame.kind), why.text(), text, from.at, out);
  switch (frame.kind) {
    case Frame::Kind::book: return book(connection, frame, from, out);
    case Frame::Kind::trades: return trades(connection, frame, from, out);
    case Frame::Kind::funding: return funding(connection, frame.funding, from, out);
    case Frame::Kind::open_interest: return open_interest(connection, frame.open_interest, from, out);
    case Frame::Kind::liquidations: return liquidations(connection, frame, from, out);
    case Frame::Kind::instruments: return changed_instruments(frame.instruments, from, out);
    case Frame::Kind::pong:
    case Frame::Kind::subscribed:
    case Frame::Kind::unsubscribed:
    case Frame::Kind::error:
    case Frame::Kind::notice:
    case Frame::Kind::unmapped: return;
  }
}

void Publisher::unreadable(const Error& why, const Received& from, Events& out) {
  reports_.reject(nullptr, std::nullopt, why.text(), from.raw, from.at, out);
}

// ---- sizes ----------------------------------------------------------------------------------------------------

// The quantity that a size of this instrument is; nothing (and a reject) when it has more digits than can be kept.
std::optional<Publisher::Measured> Publisher::measured(Index index, const Decimal& size, DataType type,
                                                       const Received& from, Events& out) const {
  const auto& definition = catalogue_.definition(index);
  if (definition.meta.instrument->market_type == MarketType::spot)
    return Measured{Quantity{size}, std::nullopt, QuantityUnit::base};
  const auto quantity = Decimal::multiply(size, definition.contract_size);
  if (quantity) return Measured{Quantity{*quantity}, Contracts{size}, definition.quantity_unit};
  reports_.reject(catalogue_.ref(index), type, quantity.error().text(), from.raw, from.at, out);
  return std::nullopt;
}

// Whose row it is, if it is to be published.
std::optional<Publisher::Index> Publisher::wanted(std::string_view inst_id, DataType type, const Received& from,
                                                  Events& out) {
  const auto index = catalogue_.find(inst_id);
  if (index) return wants(type) && chooser_.collects(*index) ? index : std::nullopt;
  // Only what is chosen is in the catalogue; channels of a whole kind bring the others too.
  if (chooser_.selection().empty())
    reports_.unknown_instrument(inst_id, type, from.raw, from.at, out);
  else
    reports_.unmapped("instruments that are not chosen");
  return std::nullopt;
}

template <class Event>
Event& Publisher::emit(Index index, WallTime timestamp, const Received& from, Events& out) {
  auto& event = std::get<Event>(out.emplace_back(std::in_place_type<Event>));
  event.meta = {catalogue_.ref(index), timestamp, from.at, data_source_};
  entries_[index].last[static_cast<std::size_t>(Event::kType)] = from.at;
  return event;
}

template <class Event>
void Publisher::publish_thinned(Index index, Event event, Events& out) {
  if (!entries_[index].thinning.admits(event)) return;
  entries_[index].last[static_cast<std::size_t>(Event::kType)] = event.meta.received_at;
  out.emplace_back(std::move(event));
}

// An answer that could not be read is a reject; a refusal by the venue is not (it is asked again).
template <class Rows>
bool Publisher::readable(const Result<Rows>& reply, DataType type, const Received& from, Events& out) {
  if (reply) return true;
  if (reply.error().code == Errc::refused)
    reports_.unmapped("REST " + reply.error().where);
  else
    reports_.reject(nullptr, type, reply.error().text(), from.raw, from.at, out);
  return false;
}

// ---- trades ---------------------------------------------------------------------------------------------------

void Publisher::trades(ConnectionId connection, const Frame& frame, const Received& from, Events& out) {
  for (const auto& row : frame.trades) {
    const auto index = wanted(row.inst_id, DataType::trade, from, out);
    if (index) trade(connection, *index, row, from, out);
  }
}

void Publisher::trade(ConnectionId connection, Index index, const TradeRow& row, const Received& from, Events& out) {
  auto& entry = entries_[index];
  // Fills of one order that the venue has merged are another series than single fills, though they share ids.
  const bool aggregated = row.count > 0;
  const auto outage = entry.covers.of(DataType::trade).data(connection, row.time, from.at);
  tell_unless_numbered(index, DataType::trade, outage, from.at, out);
  auto& tape = aggregated ? entry.aggregated : entry.single;
  const auto distant = reports_.too_distant(row.time, from.at);
  const IdRange ids{aggregated ? row.id - row.count + 1 : row.id, row.id};
  const auto verdict = tape.observe(ids, {connection, distant ? from.at : row.time, from.at}, connections_,
                                    {catalogue_.ref(index), data_source_}, out);
  if (verdict == Tape::Verdict::duplicate) {
    ++duplicates_;
    return;
  }
  if (distant) {
    reports_.reject(catalogue_.ref(index), DataType::trade, *distant, from.raw, from.at, out);
    return;
  }
  const auto size = measured(index, row.size.value, DataType::trade, from, out);
  if (!size) return;
  auto& event = emit<Trade>(index, row.time, from, out);
  event.trade_id = std::to_string(row.id);
  event.price = row.price;
  event.quantity = size->quantity;
  event.quantity_unit = size->unit;
  event.contracts = size->contracts;
  event.side = row.side;
  if (aggregated) {
    event.first_trade_id = std::to_string(ids.first);
    event.last_trade_id = std::to_string(ids.last);
  }
}

// ---- books ----------------------------------------------------------------------------------------------------

BookFeed& Publisher::book_feed(Index index) {
  auto& slot = entries_[index].book;
  if (!slot) slot = std::make_unique<BookFeed>(catalogue_.definition(index), book_rules_);
  return *slot;
}

void Publisher::refuse_book(Index index, const Error& why, const Received& from, Events& out) {
  reports_.reject(catalogue_.ref(index), DataType::orderbook_delta, why.text(), from.raw, from.at, out);
}

void Publisher::book(ConnectionId connection, Frame& frame, const Received& from, Events& out) {
  const auto index = wanted(frame.inst_id, DataType::orderbook_delta, from, out);
  if (!index) return;
  auto& row = frame.book;
  if (const auto distant = reports_.too_distant(row.time, from.at))
    return reports_.reject(catalogue_.ref(*index), DataType::orderbook_delta, *distant, from.raw, from.at, out);
  auto& feed = book_feed(*index);
  const auto failed_before = feed.chained().checksums().failed;
  if (feed.channel.empty()) feed.channel = frame.channel;
  if (feed.channel != frame.channel) return reports_.unmapped(fmt::format("{} beside {}", frame.channel, feed.channel));
  const auto& size = catalogue_.definition(*index).contract_size;
  if (frame.snapshot) {
    const auto taken = feed.snapshot(row, size, from.at, connection, connections_, out);
    if (!taken) return refuse_book(*index, taken.error(), from, out);
    if (*taken == ChainedBook::SnapshotTaken::old) ++duplicates_;
  } else {
    const auto taken = feed.update(row, size, from.at, connection, connections_, out);
    if (!taken) return refuse_book(*index, taken.error(), from, out);
    if (*taken == ChainedBook::Taken::old) ++duplicates_;
  }
  if (row.seq_id && feed.chained().checksums().failed > failed_before)
    reports_.unmapped("book checksum failed, ids intact");
  note_due(feed);
}

bool Publisher::book(std::string_view inst_id, Result<BookRow> reply, const Received& from, Events& out) {
  const auto index = wanted(inst_id, DataType::orderbook_delta, from, out);
  if (!index) return true;
  if (!reply) {
    refuse_book(*index, reply.error(), from, out);
    return false;
  }
  // Before 2023 the answer said nothing about its place among the updates.
  if (!reply->seq_id) {
    reports_.unmapped("REST market/books without seqId");
    return true;
  }
  if (const auto distant = reports_.too_distant(reply->time, from.at)) {
    reports_.reject(catalogue_.ref(*index), DataType::orderbook_delta, *distant, from.raw, from.at, out);
    return false;
  }
  auto& feed = book_feed(*index);
  const auto taken =
      feed.snapshot_by_rest(*reply, catalogue_.definition(*index).contract_size, from.at, connections_, out);
  if (!taken) {
    refuse_book(*index, taken.error(), from, out);
    return false;
  }
  // `old`: the book is good, and has been held against it.
  if (*taken == ChainedBook::SnapshotTaken::too_old) reports_.unmapped("REST market/books that fits no update");
  note_due(feed);
  return true;
}

// ---- funding, open interest -----------------------------------------------------------------------------------

// A REST answer (connection 0) is never behind: it is asked for, not pushed.
bool Publisher::told_by_another(Told& last, ConnectionId connection, WallTime timestamp) {
  if (connections_.others_carry(connection, last.connection) && timestamp <= last.timestamp) {
    ++duplicates_;
    return true;
  }
  last = {connection, timestamp};
  return false;
}

void Publisher::funding(ConnectionId connection, const std::vector<FundingRow>& rows, const Received& from,
                        Events& out) {
  for (const auto& row : rows) {
    const auto index = wanted(row.inst_id, DataType::funding_rate, from, out);
    // A dated future has the channel and no funding: nothing to say.
    if (!index || !row.rate || !row.funding_time) continue;
    const auto time = row.time.value_or(from.at);
    if (const auto distant = reports_.too_distant(time, from.at)) {
      reports_.reject(catalogue_.ref(*index), DataType::funding_rate, *distant, from.raw, from.at, out);
      continue;
    }
    tell(*index, DataType::funding_rate,
         entries_[*index].covers.of(DataType::funding_rate).data(connection, time, from.at), from.at, out);
    if (told_by_another(entries_[*index].funding, connection, time)) continue;
    FundingRate event;
    event.meta = {catalogue_.ref(*index), time, from.at, data_source_};
    event.funding_rate = *row.rate;
    event.funding_time = row.funding_time;
    event.next_funding_time = row.next_funding_time;
    event.funding_interval_hours = hours_between(row.funding_time, row.next_funding_time);
    publish_thinned(*index, std::move(event), out);
  }
}

bool Publisher::funding(const Result<std::vector<FundingRow>>& reply, const Received& from, Events& out) {
  if (!readable(reply, DataType::funding_rate, from, out)) return false;
  funding(0, *reply, from, out);
  return true;
}

// Rows are newest first; they are told in the order of time, each once.
bool Publisher::settled_funding(const Result<std::vector<SettledFundingRow>>& reply, const Received& from,
                                Events& out) {
  if (!readable(reply, DataType::funding_rate, from, out)) return false;
  for (auto row = reply->rbegin(); row != reply->rend(); ++row) {
    const auto index = wanted(row->inst_id, DataType::funding_rate, from, out);
    if (!index || !row->realized_rate) continue;
    if (!entries_[*index].settled_funding.take(row->funding_time)) continue;
    auto& event = emit<FundingRate>(*index, row->funding_time, from, out);
    event.funding_rate = *row->realized_rate;
    event.funding_time = row->funding_time;
    event.is_settled = true;
  }
  return true;
}

void Publisher::open_interest(ConnectionId connection, const std::vector<OpenInterestRow>& rows, const Received& from,
                              Events& out) {
  for (const auto& row : rows) {
    const auto index = wanted(row.inst_id, DataType::open_interest, from, out);
    if (!index || !row.contracts) continue;
    if (const auto distant = reports_.too_distant(row.time, from.at)) {
      reports_.reject(catalogue_.ref(*index), DataType::open_interest, *distant, from.raw, from.at, out);
      continue;
    }
    tell(*index, DataType::open_interest,
         entries_[*index].covers.of(DataType::open_interest).data(connection, row.time, from.at), from.at, out);
    if (told_by_another(entries_[*index].open_interest, connection, row.time)) continue;
    const auto size = measured(*index, row.contracts->value, DataType::open_interest, from, out);
    if (!size) continue;
    OpenInterest event;
    event.meta = {catalogue_.ref(*index), row.time, from.at, data_source_};
    event.open_interest = size->quantity;
    event.quantity_unit = size->unit;
    event.contracts = size->contracts;
    // The venue tells the value in USD: it is the value in quote units only where those are USD.
    if (catalogue_.definition(*index).quote_asset == "USD") event.open_interest_value = row.usd;
    publish_thinned(*index, std::move(event), out);
  }
}

bool Publisher::open_interest(const Result<std::vector<OpenInterestRow>>& reply, const Received& from, Events& out) {
  if (!readable(reply, DataType::open_interest, from, out)) return false;
  open_interest(0, *reply, from, out);
  return true;
}

// ---- liquidations ---------------------------------------------------------------------------------------------

void Publisher::liquidations(ConnectionId connection, const Frame& frame, const Received& from, Events& out) {
  if (connection != 0) cover_kind(frame.inst_type, connection, from.at, out);
  for (const auto& row : frame.liquidations) {
    if (row.inst_type == "MARGIN") {
      // A margin loan's collateral sold on the spot market: no position of ours, and its sizes count differently.
      reports_.unmapped("liquidation-orders MARGIN");
      continue;
    }
    const auto index = wanted(row.inst_id, DataType::liquidation, from, out);
    if (!index) continue;
    tell(*index, DataType::liquidation,
         entries_[*index].covers.of(DataType::liquidation).data(connection, row.time, from.at), from.at, out);
    liquidation(*index, row, from, out);
  }
}

void Publisher::liquidation(Index index, const LiquidationRow& row, const Received& from, Events& out) {
  // All that tells two of them apart.
  key_.clear();
  fmt::format_to(std::back_inserter(key_), "{} {} {} {} {}", row.inst_id, nanos_since_epoch(row.time),
                 to_string(row.side), row.size.value.text(), row.price ? row.price->value.text() : "");
  if (!liquidations_seen_.take(key_)) {
    ++duplicates_;
    return;
  }
  if (const auto distant = reports_.too_distant(row.time, from.at)) {
    // The first message after a subscription tells older ones: history, not a wrong clock.
    if (row.time < from.at) return reports_.unmapped("liquidation-orders, old ones");
    return reports_.reject(catalogue_.ref(index), DataType::liquidation, *distant, from.raw, from.at, out);
  }
  const auto size = measured(index, row.size.value, DataType::liquidation, from, out);
  if (!size) return;
  auto& event = emit<Liquidation>(index, row.time, from, out);
  event.side = row.side;
  event.price = row.price;
  event.quantity = size->quantity;
  event.quantity_unit = size->unit;
  event.contracts = size->contracts;
  event.coverage = Coverage::sampled;
}

// ---- ratios ---------------------------------------------------------------------------------------------------

bool Publisher::ratios(DataType type, std::string_view inst_id, std::string_view period,
                       const Result<std::vector<RatioRow>>& reply, const Received& from, Events& out) {
  const auto index = wanted(inst_id, type, from, out);
  if (!index) return true;
  if (!readable(reply, type, from, out)) return false;
  auto& entry = entries_[*index];
  const bool top = type == DataType::lsr_top_position;
  auto& seen = top ? entry.top_position : entry.all_account;
  auto& grid = top ? entry.top_position_grid : entry.all_account_grid;
  const auto length = period_length(period);
  // Rows are newest first. The shares would be quotients of the ratio, and not exact: absent.
  for (auto row = reply->rbegin(); row != reply->rend(); ++row) {
    const auto last = seen.last();
    if (!seen.take(row->time)) continue;
    tell(*index, type, grid.row(last, row->time, length), from.at, out);
    if (top) {
      auto& event = emit<LsrTopPosition>(*index, row->time, from, out);
      event.long_short_ratio = row->ratio;
      event.period = period;
    } else {
      auto& event = emit<LsrAllAccount>(*index, row->time, from, out);
      event.long_short_ratio = row->ratio;
      event.period = period;
    }
  }
  return true;
}

// ---- the catalogue --------------------------------------------------------------------------------------------

// The list's entries as we understand them; the others are told.
void Publisher::listed(const InstrumentList& list, const Received& from, std::vector<ListedInstrument>& entries,
                       Events& out) {
  entries.reserve(list.rows.size());
  for (const auto& row : list.rows) {
    unknown_values_.clear();
    auto listing = listing_of(row, from.at, unknown_values_);
    for (const auto& each : unknown_values_) reports_.unknown_value(each.field, each.value);
    if (!listing)
      reports_.reject(nullptr, DataType::instrument, listing.error().text(), row.inst_id, from.at, out);
    else if (*listing)
      entries.push_back(std::move(**listing));
  }
  for (const auto& [why, text] : list.unreadable)
    reports_.reject(nullptr, DataType::instrument, why.text(), text, from.at, out);
}

void Publisher::tell_instrument(Index index, Events& out) {
  grow();
  auto& event = std::get<Instrument>(out.emplace_back(catalogue_.definition(index)));
  event.meta.data_source = data_source_;
}

bool Publisher::instruments(std::string_view list_name, const Result<InstrumentList>& reply, const Received& from,
                            Events& out) {
  if (!readable(reply, DataType::instrument, from, out)) return false;
  std::vector<ListedInstrument> entries;
  listed(*reply, from, entries, out);
  std::vector<Index> changed;
  const auto before = collected();
  chooser_.take(list_name, entries, catalogue_, changed);
  grow();
  end_others(before, from.at, out);
  cover_newly_chosen(from.at, out);
  for (const auto index : changed) tell_instrument(index, out);
  return true;
}

// The channel tells changes, not whole lists: what is new to us waits for the next list, where it can be chosen.
void Publisher::changed_instruments(const InstrumentList& list, const Received& from, Events& out) {
  std::vector<ListedInstrument> entries;
  listed(list, from, entries, out);
  for (auto& entry : entries) {
    if (!chooser_.selection().empty() && !catalogue_.find(entry.id.instrument)) continue;
    const auto index = catalogue_.update(std::move(entry.id), std::move(entry.definition));
    if (index) tell_instrument(*index, out);
  }
}

// volCcy24h counts the quote currency for spot, the coin for contracts.
bool Publisher::tickers(const Result<std::vector<TickerRow>>& reply, const Received& from, Events& out) {
  if (!readable(reply, DataType::instrument, from, out)) return false;
  std::vector<InstrumentVolume> volumes;
  for (const auto& row : *reply) {
    if (!row.volume_ccy) continue;
    if (row.inst_type == "SPOT") {
      volumes.push_back({std::string(row.inst_id), *row.volume_ccy});
    } else if (row.last) {
      const auto volume = Decimal::multiply(*row.volume_ccy, row.last->value);
      if (volume) volumes.push_back({std::string(row.inst_id), *volume});
    }
  }
  chooser_.volumes(volumes);
  return true;
}

void Publisher::grow() {
  while (entries_.size() < catalogue_.size()) entries_.emplace_back(min_interval_);
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
    if (type == DataType::lsr_top_position) entry.top_position_grid.ended();
    if (type == DataType::lsr_all_account) entry.all_account_grid.ended();
    append_end(catalogue_.ref(index), type, data_source_, now, out);
    entry.last[static_cast<std::size_t>(type)].reset();
    if (type == DataType::trade) {
      entry.aggregated = {};
      entry.single = {};
    } else if (type == DataType::funding_rate || type == DataType::open_interest) {
      entry.thinning = Thinning(min_interval_);
    } else if ((type == DataType::orderbook || type == DataType::orderbook_delta) &&
               (!wants_books() || !chooser_.collects(index))) {
      entry.book.reset();
    }
  }
  recompute_due();
}

void Publisher::reconfigure(const SessionOptions& options, WallTime now, Events& out) {
  const auto before = collected();
  wanted_types_ = {};
  for (const auto type : options.data_types) wanted_types_[static_cast<std::size_t>(type)] = true;
  auto rules = book_rules(options);
  rules.audits = book_rules_.audits;
  if (rules != book_rules_ || options.min_interval != min_interval_) {
    // Books are what their rules make of them: they are brought over as they are for a restart.
    std::string state;
    {
      StateWriter writer(state, "books", 1);
      save(writer);
    }
    book_rules_ = std::move(rules);
    min_interval_ = options.min_interval;
    StateReader reader(state, "books", 1);
    restore(reader);
  }
  data_source_ = options.data_source;
  chooser_.reselect(options.symbols, catalogue_);
  end_others(before, now, out);
}

// ---- for /health ----------------------------------------------------------------------------------------------

std::optional<WallTime> Publisher::last_row(Index index, DataType type) const {
  if (index >= entries_.size()) return std::nullopt;
  const auto& entry = entries_[index];
  if (type == DataType::lsr_top_position) return entry.top_position.last();
  if (type == DataType::lsr_all_account) return entry.all_account.last();
  if (type == DataType::funding_rate) return entry.settled_funding.last();
  return std::nullopt;
}

std::optional<WallTime> Publisher::last_event(Index index, DataType type) const {
  const auto& entry = entries_[index];
  if (entry.book && type == DataType::orderbook) return entry.book->chained().kept().last_picture_at();
  if (entry.book && type == DataType::orderbook_delta) return entry.book->chained().kept().last_delta_at();
  return entry.last[static_cast<std::size_t>(type)];
}

std::uint64_t Publisher::gaps(Index index, DataType type) const {
  const auto& entry = entries_[index];
  if (type == DataType::trade)
    return entry.aggregated.gaps() + entry.single.gaps() + entry.outages[static_cast<std::size_t>(type)];
  const bool book = type == DataType::orderbook || type == DataType::orderbook_delta;
  if (book) return entry.book ? entry.book->chained().kept().gaps() : 0;
  return entry.outages[static_cast<std::size_t>(type)];
}

// ---- state ----------------------------------------------------------------------------------------------------

void Publisher::save(StateWriter& out) const {
  catalogue_.save(out);
  chooser_.save(out);
  connections_.save(out);
  liquidations_seen_.save(out);
  for (const auto& channel : kind_channels_) channel.save(out);
  for (const auto& entry : entries_) {
    entry.aggregated.save(out);
    entry.single.save(out);
    entry.thinning.save(out);
    for (const auto* told : {&entry.funding, &entry.open_interest}) {
      out.put(std::uint64_t{told->connection});
      out.put(told->timestamp);
    }
    entry.settled_funding.save(out);
    entry.top_position.save(out);
    entry.all_account.save(out);
    entry.covers.save(out);
    entry.top_position_grid.save(out);
    entry.all_account_grid.save(out);
    out.put(entry.book != nullptr);
    if (entry.book) entry.book->save(out);
  }
}

void Publisher::restore(StateReader& in) {
  catalogue_.restore(in);
  chooser_.restore(in, catalogue_);
  connections_.restore(in);
  liquidations_seen_.restore(in);
  for (auto& channel : kind_channels_) channel.restore(in);
  entries_.clear();
  grow();
  for (Index index = 0; index < entries_.size() && in.ok(); ++index) {
    auto& entry = entries_[index];
    entry.aggregated.restore(in);
    entry.single.restore(in);
    entry.thinning.restore(in);
    for (auto* told : {&entry.funding, &entry.open_interest}) {
      told->connection = static_cast<ConnectionId>(in.number());
      told->timestamp = in.time();
    }
    entry.settled_funding.restore(in);
    entry.top_position.restore(in);
    entry.all_account.restore(in);
    entry.covers.restore(in);
    entry.top_position_grid.restore(in);
    entry.all_account_grid.restore(in);
    if (in.flag() && in.ok()) book_feed(index).restore(in);
  }
  recompute_due();
}

}  // namespace mp::okx
