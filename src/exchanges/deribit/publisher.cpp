#include "exchanges/deribit/publisher.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace mp::deribit {
namespace {

// Deribit's funding accrues every moment; its rates are told per this many hours.
const Decimal kFundingHours = Decimal::from_parts(8, 0);
const Decimal kSettledHours = Decimal::from_parts(1, 0);
// More indexes than the venue could sensibly have: what comes beyond is counted and not told.
constexpr std::size_t kMostVolatilityIndexes = 64;

Side opposite(Side side) { return side == Side::buy ? Side::sell : Side::buy; }

TradeExecution execution_of(const TradeRow& row) {
  if (!row.block_trade_id.empty()) return TradeExecution::block;
  return row.combo_id.empty() ? TradeExecution::book : TradeExecution::combo;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (auto& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

// The lifecycle of an instrument, as it is called since 2026 and before.
bool is_known_state(std::string_view state) {
  constexpr std::string_view kStates[] = {"open",       "settlement", "delivered", "inactive", "locked", "halted",
                                          "archivized", "created",    "started",   "settled",  "closed", "terminated"};
  return std::ranges::find(kStates, state) != std::end(kStates);
}

// What a state that we do not know becomes; its word is counted, and told once.
constexpr std::string_view kUnknownState = "unknown";

// How long a bar of this `resolution` is; nothing when it is none that the venue has.
std::optional<std::chrono::seconds> length_of(std::string_view resolution) {
  for (const auto seconds : {1, 60, 3600, 43200})
    if (resolution == std::to_string(seconds)) return std::chrono::seconds{seconds};
  if (resolution == "1D") return std::chrono::hours{24};
  return std::nullopt;
}

}  // namespace

Publisher::Publisher(const SessionOptions& options)
    : data_source_(options.data_source),
      wanted_(options.data_types.begin(), options.data_types.end()),
      min_interval_(options.min_interval),
      book_rules_(book_rules(options)),
      catalogue_(kExchange),
      chooser_(options.symbols),
      reports_(options, MarketType::perpetual) {
  book_rules_.audits = &audits_;
}

// ---- time, connections ----------------------------------------------------------------------------------------

void Publisher::show_due(WallTime now, Events& out) {
  if (!next_due_ || now < *next_due_) return;
  for (auto& entry : entries_)
    if (entry.book) entry.book->show_due(now, out);
  recompute_due();
}

void Publisher::note_due(const ChainedBook& book) {
  const auto due = book.next_due();
  if (due && (!next_due_ || *due < *next_due_)) next_due_ = due;
}

void Publisher::recompute_due() {
  next_due_.reset();
  for (const auto& entry : entries_)
    if (entry.book) note_due(*entry.book);
}

void Publisher::begin(WallTime now, Events& out) {
  show_due(now, out);
  for (auto& entry : entries_) {
    entry.tape_cover.begin(connections_);
    entry.ticker_cover.begin(connections_);
  }
  for (auto& [name, entry] : volatility_) entry.cover.begin(connections_);
  connections_.clear();
  locked_indexes_.clear();
  chooser_.begin(catalogue_);
  for (auto& entry : entries_) {
    entry.tape.begin();
    if (entry.book) entry.book->begin();
  }
}

void Publisher::closed(ConnectionId connection, std::string_view reason, WallTime now, Events& out) {
  const auto heard = connections_.last_heard(connection);
  const auto end = end_of_connection(reason);
  connections_.closed(connection);
  if (heard)
    for (auto& [name, entry] : volatility_) tell(entry, entry.cover.closed(*heard, end), now, out);
  for (Index index = 0; index < entries_.size(); ++index) {
    auto& entry = entries_[index];
    if (heard) {
      tell_tape(index, entry.tape_cover.closed(*heard, end), now, out);
      tell_ticker(index, entry.ticker_cover.closed(*heard, end), now, out);
    }
    const auto before = out.size();
    entry.tape.closed(connection, now, owner(index), out);
    share_gaps(index, before, out);
    if (entry.book) entry.book->closed(connection, now, out);
  }
  recompute_due();
}

// ---- what is covered ------------------------------------------------------------------------------------------

// Of an instrument's channel, or an index's; nullptr for any other.
StreamCover* Publisher::cover_of(std::string_view channel) {
  const auto family = channel_family(channel);
  const auto subject = channel_subject(channel);
  if (family == "deribit_volatility_index") {
    auto* entry = wants(DataType::volatility_index) ? volatility_index_of(subject) : nullptr;
    return entry ? &entry->cover : nullptr;
  }
  const auto index = catalogue_.find(subject);
  if (!index || !chooser_.collects(*index)) return nullptr;
  if (family == "trades" && wants_tape()) return &entries_[*index].tape_cover;
  if (family == "ticker" && wants_ticker(*index)) return &entries_[*index].ticker_cover;
  return nullptr;
}

bool Publisher::publishes(Index index, DataType type) const {
  return wants(type) && has(index, type) && chooser_.collects(index);
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

// Once their numbers are known, these tell more exactly what is missing, and whether anything is.
void Publisher::tell_tape(Index index, const std::optional<Outage>& outage, WallTime now, Events& out) {
  if (entries_[index].tape.ids().last()) return;
  tell(index, DataType::trade, outage, now, out);
  tell(index, DataType::liquidation, outage, now, out);
}

void Publisher::tell_ticker(Index index, const std::optional<Outage>& outage, WallTime now, Events& out) {
  tell(index, DataType::funding_rate, outage, now, out);
  tell(index, DataType::open_interest, outage, now, out);
}

void Publisher::tell(VolatilityIndexEntry& entry, const std::optional<Outage>& outage, WallTime now,
                     Events& out) const {
  if (!outage) return;
  ++entry.outages;
  append_outage(entry.ref, DataType::volatility_index, data_source_, *outage, now, out);
}

// Liquidations are marked in the trades: where trades are missing (told from `since` on), they may be too.
void Publisher::share_gaps(Index index, std::size_t since, Events& out) const {
  if (out.size() == since || !publishes(index, DataType::liquidation)) return;
  const auto end = out.size();
  for (auto at = since; at < end; ++at) {
    auto* gap = std::get_if<Gap>(&out[at]);
    if (!gap || gap->data_type != DataType::trade) continue;
    auto shared = *gap;
    shared.data_type = DataType::liquidation;
    if (wants(DataType::trade))
      out.emplace_back(std::move(shared));
    else
      *gap = std::move(shared);
  }
}

void Publisher::sent(ConnectionId connection, const RequestFrame& request, WallTime now) {
  for (const auto channel : request.channels) {
    auto* cover = cover_of(channel);
    if (!cover) continue;
    if (request.method == RequestFrame::Method::subscribe) {
      cover->asked(connection, request.id);
      continue;
    }
    const auto index = catalogue_.find(channel_subject(channel));
    if (index && has_ended(*index, now))
      *cover = {};
    else
      cover->given_up(connection);
  }
}

// The answer to an unsubscription lists them too: a channel that was given up takes no such answer.
void Publisher::answered(ConnectionId connection, const std::vector<std::string_view>& channels, WallTime now,
                         Events& out) {
  for (const auto channel : channels) {
    auto* cover = cover_of(channel);
    if (!cover) continue;
    const auto outage = cover->covered(connection, now);
    if (!outage) continue;
    const auto index = catalogue_.find(channel_subject(channel));
    if (!index)
      tell(*volatility_index_of(channel_subject(channel)), outage, now, out);
    else if (channel_family(channel) == "trades")
      tell_tape(*index, outage, now, out);
    else
      tell_ticker(*index, outage, now, out);
  }
}

// ---- which instrument -----------------------------------------------------------------------------------------

std::optional<Publisher::Index> Publisher::find(std::string_view venue_symbol, DataType type, const char* combo_channel,
                                                const Received& from, Events& out) {
  if (const auto index = catalogue_.find(venue_symbol)) return chooser_.collects(*index) ? index : std::nullopt;
  if (is_combo_name(venue_symbol))
    reports_.unmapped(combo_channel);
  else
    reports_.unknown_instrument(venue_symbol, type, from.raw, from.at, out);
  return std::nullopt;
}

bool Publisher::has(Index index, DataType type) const {
  const auto market = catalogue_.ref(index)->market_type;
  switch (type) {
    case DataType::funding_rate: return market == MarketType::perpetual;
    case DataType::open_interest:
    case DataType::liquidation: return market != MarketType::spot;
    case DataType::orderbook:
    case DataType::orderbook_delta:
    case DataType::trade: return true;
    case DataType::lsr_top_position:
    case DataType::lsr_all_account:
    case DataType::volatility_index:
    case DataType::gap:
    case DataType::rejected:
    case DataType::instrument: break;
  }
  return false;
}

bool Publisher::wants_ticker(Index index) const {
  return (wants(DataType::funding_rate) && has(index, DataType::funding_rate)) ||
         (wants(DataType::open_interest) && has(index, DataType::open_interest));
}

// ---- books ----------------------------------------------------------------------------------------------------

ChainedBook& Publisher::book_of_mine(Index index) {
  auto& slot = entries_[index].book;
  if (!slot)
    slot = std::make_unique<ChainedBook>(catalogue_.ref(index), catalogue_.definition(index).quantity_unit, book_rules_,
                                         chain_rules_);
  return *slot;
}

std::optional<Publisher::Index> Publisher::book(Frame& frame, const Received& from, Events& out) {
  const auto index = find(frame.instrument, DataType::orderbook_delta, "book of a combo", from, out);
  if (!index || !wants_books()) return index;
  auto& in = frame.book;
  if (const auto distant = reports_.too_distant(in.time, from.at)) {
    reports_.reject(catalogue_.ref(*index), DataType::orderbook_delta, *distant, from.raw, from.at, out);
    return index;
  }
  connections_.seen(from.connection);
  auto& book = book_of_mine(*index);
  bool is_news = true;
  // Swapped, not moved: the decoder gets the vectors of the message before back.
  if (in.snapshot) {
    snapshot_.id = in.change_id;
    snapshot_.timestamp = in.time;
    snapshot_.received_at = from.at;
    snapshot_.whole = true;  // the channel has the full depth
    snapshot_.bids.swap(in.bids);
    snapshot_.asks.swap(in.asks);
    is_news =
        book.snapshot(snapshot_, from.connection, connections_, std::nullopt, out) != ChainedBook::SnapshotTaken::old;
  } else {
    update_.ids = {in.change_id, in.change_id, in.prev_change_id};
    update_.timestamp = in.time;
    update_.received_at = from.at;
    update_.bids.swap(in.bids);
    update_.asks.swap(in.asks);
    is_news = book.update(update_, from.connection, connections_, std::nullopt, out) != ChainedBook::Taken::old;
  }
  if (is_news)
    note_due(book);
  else
    ++duplicates_;
  return index;
}

bool Publisher::audit(std::string_view instrument, Result<RestBook> reply, const Received& from, Events& out) {
  const auto index = catalogue_.find(instrument);
  if (!reply) {
    reports_.reject(index ? catalogue_.ref(*index) : nullptr, DataType::orderbook_delta, reply.error().text(), from.raw,
                    from.at, out);
    return false;
  }
  auto* book = index ? entries_[*index].book.get() : nullptr;
  if (!book || !book->good()) {
    reports_.unmapped("REST get_order_book");
    return true;
  }
  BookSnapshot answer{.id = reply->change_id, .timestamp = reply->time, .received_at = from.at};
  answer.bids = std::move(reply->bids);
  answer.asks = std::move(reply->asks);
  answer.asked = kAuditDepth;
  book->audit(answer, out);
  return true;
}

// ---- trades and liquidations ----------------------------------------------------------------------------------

void Publisher::trades(const Frame& frame, const Received& from, Events& out) {
  std::string_view unknown;
  for (const auto& row : frame.trades.rows) {
    // The combo's own trade: its legs come as trades of their instruments, taking both would count them twice.
    if (row.has_legs) {
      reports_.unmapped("trades of combos (their legs are told)");
      continue;
    }
    if (row.instrument == unknown) continue;  // told for this frame
    const auto index = find(row.instrument, DataType::trade, "trades of combos (their legs are told)", from, out);
    if (index)
      take(row, *index, from, out);
    else
      unknown = row.instrument;
  }
  for (const auto& [why, text] : frame.trades.unreadable)
    reports_.reject(nullptr, DataType::trade, why.text(), text, from.at, out);
}

void Publisher::take(const TradeRow& row, Index index, const Received& from, Events& out) {
  if (!wants_tape()) return;
  connections_.seen(from.connection);
  const auto distant = reports_.too_distant(row.time, from.at);
  auto& entry = entries_[index];
  const TapeArrival arrival{from.connection, distant ? from.at : row.time, from.at};
  tell_tape(index, entry.tape_cover.data(from.connection, row.time, from.at), from.at, out);
  const auto before = out.size();
  const auto verdict = entry.tape.observe({row.seq, row.seq}, arrival, connections_, owner(index), out);
  share_gaps(index, before, out);
  if (verdict == Tape::Verdict::duplicate) {
    ++duplicates_;
    return;
  }
  if (distant) return reports_.reject(catalogue_.ref(index), DataType::trade, *distant, from.raw, from.at, out);
  if (wants(DataType::trade)) {
    entry.last_trade_at = from.at;
    auto& event = std::get<Trade>(out.emplace_back(std::in_place_type<Trade>));
    event.meta = meta(index, row.time, from.at);
    event.trade_id = row.id;
    event.price = row.price;
    event.quantity = row.amount;
    event.quantity_unit = catalogue_.definition(index).quantity_unit;
    event.contracts = row.contracts;
    event.side = row.side;
    event.execution = execution_of(row);
  }
  using Liquidated = TradeRow::Liquidated;
  if (row.liquidated == Liquidated::none || !wants(DataType::liquidation)) return;
  switch (row.liquidated) {
    case Liquidated::none: return;
    case Liquidated::taker: return tell_liquidation(row, index, row.side, from.at, out);
    // `direction` is the taker's: the liquidated maker's order stood on the other side.
    case Liquidated::maker: return tell_liquidation(row, index, opposite(row.side), from.at, out);
    case Liquidated::both:
      tell_liquidation(row, index, row.side, from.at, out);
      return tell_liquidation(row, index, opposite(row.side), from.at, out);
    case Liquidated::unknown:
      return reports_.reject(catalogue_.ref(index), DataType::liquidation,
                             fmt::format("bad value: trades.liquidation: {}", row.liquidation), from.raw, from.at, out);
  }
}

void Publisher::tell_liquidation(const TradeRow& row, Index index, Side side, WallTime now, Events& out) {
  entries_[index].last_liquidation_at = now;
  auto& event = std::get<Liquidation>(out.emplace_back(std::in_place_type<Liquidation>));
  event.meta = meta(index, row.time, now);
  event.side = side;
  event.price = row.price;
  event.quantity = row.amount;
  event.quantity_unit = catalogue_.definition(index).quantity_unit;
  event.contracts = row.contracts;
  event.coverage = Coverage::complete;
}

// ---- ticker: funding, open interest ---------------------------------------------------------------------------

void Publisher::ticker(const Frame& frame, const Received& from, Events& out) {
  const auto index = find(frame.instrument, DataType::open_interest, "ticker of a combo", from, out);
  if (!index || !wants_ticker(*index)) return;
  const auto& ticker = frame.ticker;
  if (const auto distant = reports_.too_distant(ticker.time, from.at))
    return reports_.reject(catalogue_.ref(*index), DataType::open_interest, *distant, from.raw, from.at, out);
  connections_.seen(from.connection);
  auto& entry = entries_[*index];
  tell_ticker(*index, entry.ticker_cover.data(from.connection, ticker.time, from.at), from.at, out);
  // While one connection replaces another, both bring the same.
  if (connections_.others_carry(from.connection, entry.ticker.connection) && ticker.time <= entry.ticker.timestamp) {
    ++duplicates_;
    return;
  }
  entry.ticker = {from.connection, ticker.time};
  if (ticker.current_funding && wants(DataType::funding_rate) && has(*index, DataType::funding_rate)) {
    FundingRate event;
    event.meta = meta(*index, ticker.time, from.at);
    event.funding_rate = *ticker.current_funding;
    event.mark_price = ticker.mark_price;
    event.index_price = ticker.index_price;
    event.funding_interval_hours = kFundingHours;
    entry.last_funding_at = from.at;
    if (entry.thinning.admits(event)) out.emplace_back(std::move(event));
  }
  if (ticker.open_interest && wants(DataType::open_interest) && has(*index, DataType::open_interest)) {
    OpenInterest event;
    event.meta = meta(*index, ticker.time, from.at);
    event.open_interest = *ticker.open_interest;
    event.quantity_unit = catalogue_.definition(*index).quantity_unit;
    entry.last_open_interest_at = from.at;
    if (entry.thinning.admits(event)) out.emplace_back(std::move(event));
  }
}

bool Publisher::funding_history(std::string_view instrument, const Result<std::vector<FundingRow>>& reply,
                                const Received& from, Events& out) {
  const auto index = catalogue_.find(instrument);
  if (!index) {
    reports_.unknown_instrument(instrument, DataType::funding_rate, from.raw, from.at, out);
    return true;
  }
  if (!reply) {
    reports_.reject(catalogue_.ref(*index), DataType::funding_rate, reply.error().text(), from.raw, from.at, out);
    return false;
  }
  if (!wants(DataType::funding_rate) || !chooser_.collects(*index)) return true;
  auto rows = *reply;
  std::ranges::sort(rows, {}, &FundingRow::time);
  for (const auto& row : rows) {
    if (!entries_[*index].settled.take(row.time)) continue;
    FundingRate event;
    event.meta = meta(*index, row.time, from.at);
    event.funding_rate = row.interest_1h;
    event.index_price = row.index_price;
    event.funding_interval_hours = kSettledHours;
    event.is_settled = true;
    out.emplace_back(std::move(event));
  }
  return true;
}

// ---- volatility indexes ---------------------------------------------------------------------------------------

Publisher::VolatilityIndexEntry* Publisher::volatility_index_of(std::string_view index_name) {
  const auto found = volatility_.find(index_name);
  if (found != volatility_.end()) return &found->second;
  if (volatility_.size() >= kMostVolatilityIndexes) return nullptr;
  VolatilityIndexEntry entry;
  entry.ref = volatility_index(index_name);
  entry.underlying = underlying_asset(index_name);
  return &volatility_.emplace(index_name, std::move(entry)).first->second;
}

void Publisher::volatility(const Frame& frame, const Received& from, Events& out) {
  if (!wants(DataType::volatility_index)) return;
  const auto& in = frame.volatility;
  auto* entry = volatility_index_of(in.index_name);
  if (!entry) return reports_.unmapped("further volatility indexes");
  if (const auto distant = reports_.too_distant(in.time, from.at))
    return reports_.reject(entry->ref, DataType::volatility_index, *distant, from.raw, from.at, out);
  connections_.seen(from.connection);
  tell(*entry, entry->cover.data(from.connection, in.time, from.at), from.at, out);
  if (connections_.others_carry(from.connection, entry->connection) && in.time <= entry->last_timestamp) {
    ++duplicates_;
    return;
  }
  entry->connection = from.connection;
  entry->last_timestamp = in.time;
  entry->last_event = from.at;
  VolatilityIndex event;
  event.meta = {entry->ref, in.time, from.at, data_source_};
  event.index_value = in.volatility;
  event.underlying_asset = entry->underlying;
  out.emplace_back(std::move(event));
}

bool Publisher::volatility_history(std::string_view currency, std::string_view resolution,
                                   const Result<VolatilityHistory>& reply, const Received& from, Events& out) {
  // The channel says btc_usd where this endpoint is asked for BTC: one index, one name.
  auto* entry = volatility_index_of(lower(currency) + "_usd");
  if (!entry) {
    reports_.unmapped("further volatility indexes");
    return true;
  }
  if (!reply) {
    reports_.reject(entry->ref, DataType::volatility_index, reply.error().text(), from.raw, from.at, out);
    return false;
  }
  if (!wants(DataType::volatility_index)) return true;
  const auto length = length_of(resolution);
  if (!length) {
    reports_.unknown_value("volatility.resolution", resolution);
    return true;
  }
  auto& seen = entry->bars[std::string(resolution)];
  std::optional<WallTime> first, last;
  for (const auto& bar : reply->bars) {
    // The newest one still moves.
    if (bar.time + *length > from.at) continue;
    first = std::min(first.value_or(bar.time), bar.time);
    last = std::max(last.value_or(bar.time), bar.time);
    if (seen.has(bar.time)) continue;
    VolatilityIndex event;
    event.meta = {entry->ref, bar.time, from.at, data_source_};
    event.index_value = bar.close;
    event.open = bar.open;
    event.high = bar.high;
    event.low = bar.low;
    event.resolution = resolution;
    event.underlying_asset = entry->underlying;
    out.emplace_back(std::move(event));
  }
  if (first) seen.add(*first, *last, *length);
  return true;
}

WallTime Publisher::volatility_missing_from(std::string_view index_name, std::string_view resolution,
                                            WallTime least) const {
  const auto entry = volatility_.find(index_name);
  if (entry == volatility_.end()) return least;
  const auto bars = entry->second.bars.find(resolution);
  return bars == entry->second.bars.end() ? least : bars->second.missing_from(least);
}

WallTime Publisher::settled_missing_from(Index index, WallTime least) const {
  return std::max(entries_[index].settled.last().value_or(least), least);
}

// ---- catalogue ------------------------------------------------------------------------------------------------

void Publisher::grow() {
  while (entries_.size() < catalogue_.size()) entries_.emplace_back(min_interval_);
}

void Publisher::tell_definition(Index index, Events& out) {
  auto& event = std::get<Instrument>(out.emplace_back(catalogue_.definition(index)));
  event.meta.data_source = data_source_;
}

bool Publisher::instruments(std::string_view list, const Result<InstrumentList>& reply, const Received& from,
                            Events& out) {
  if (!reply) {
    reports_.reject(nullptr, DataType::instrument, reply.error().text(), from.raw, from.at, out);
    return false;
  }
  std::vector<ListedInstrument> entries;
  entries.reserve(reply->instruments.size());
  for (const auto& info : reply->instruments) {
    auto entry = listed(info, from.at);
    if (!is_known_state(info.state)) {
      reports_.unknown_value("instruments.state", info.state);
      if (entry) entry->definition.status = kUnknownState;
    }
    if (entry)
      entries.push_back(std::move(*entry));
    else
      reports_.unmapped("instruments that are combos");
  }
  std::vector<Index> changed;
  const auto before = collected();
  chooser_.take(list, entries, catalogue_, changed);
  grow();
  end_others(before, from.at, out);
  for (const auto index : changed) tell_definition(index, out);
  for (const auto& [why, text] : reply->unreadable)
    reports_.reject(nullptr, DataType::instrument, why.text(), text, from.at, out);
  return true;
}

// ---- another configuration ------------------------------------------------------------------------------------

Collected Publisher::collected() const {
  Collected out;
  for (const auto index : chooser_.chosen())
    for (const auto type : collectable_types())
      if (wants(type) && has(index, type)) out.emplace_back(index, type);
  return out;
}

// What is not collected any more ends here; should it come back one day, it begins anew.
void Publisher::end_others(const Collected& before, WallTime now, Events& out) {
  for (const auto& [index, type] : ended_since(before, collected())) {
    auto& entry = entries_[index];
    const bool let_go = !chooser_.collects(index);
    const bool of_tape = type == DataType::trade || type == DataType::liquidation;
    const bool of_ticker = type == DataType::funding_rate || type == DataType::open_interest;
    // No id will tell any more what is missing up to here.
    const auto outage = of_tape ? entry.tape_cover.open(now) : of_ticker ? entry.ticker_cover.open(now) : std::nullopt;
    if (outage && !has_ended(index, outage->start + kInFlight))
      append_outage(catalogue_.ref(index), type, data_source_, *outage, now, out);
    append_end(catalogue_.ref(index), type, data_source_, now, out);
    if ((type == DataType::trade || type == DataType::liquidation) && (let_go || !wants_tape())) entry.tape = {};
    if (type == DataType::funding_rate || type == DataType::open_interest) entry.thinning = Thinning(min_interval_);
    const bool of_book = type == DataType::orderbook || type == DataType::orderbook_delta;
    if (of_book && (let_go || !wants_books())) entry.book.reset();
  }
  // After all of them: two types share a channel.
  for (const auto& [index, type] : ended_since(before, collected())) {
    const bool let_go = !chooser_.collects(index);
    if (let_go || !wants_tape()) entries_[index].tape_cover = {};
    if (let_go || !wants_ticker(index)) entries_[index].ticker_cover = {};
  }
  recompute_due();
}

void Publisher::reconfigure(const SessionOptions& options, WallTime now, Events& out) {
  const auto before = collected();
  const bool had_volatility = wants(DataType::volatility_index);
  wanted_ = {options.data_types.begin(), options.data_types.end()};
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
  if (!had_volatility || wants(DataType::volatility_index)) return;
  for (auto& [name, entry] : volatility_) {
    tell(entry, entry.cover.ended(now), now, out);
    append_end(entry.ref, DataType::volatility_index, data_source_, now, out);
  }
  volatility_.clear();
}

bool Publisher::volumes(const Result<std::vector<SummaryRow>>& reply, const Received& from, Events& out) {
  if (!reply) {
    reports_.reject(nullptr, DataType::instrument, reply.error().text(), from.raw, from.at, out);
    return false;
  }
  std::vector<InstrumentVolume> volumes;
  for (const auto& row : *reply)
    if (row.volume_usd) volumes.push_back({row.name, *row.volume_usd});
  chooser_.volumes(volumes);
  return true;
}

bool Publisher::instrument_state(const Frame& frame, const Received& from, Events& out) {
  const auto state = frame.instrument_state.state;
  const bool known = is_known_state(state);
  if (!known) reports_.unknown_value("instrument.state.state", state);
  const auto index = catalogue_.find(frame.instrument);
  if (!index) return is_combo_name(frame.instrument);
  auto definition = catalogue_.definition(*index);
  definition.status = known ? state : kUnknownState;
  definition.meta.timestamp = from.at;
  definition.meta.received_at = from.at;
  InstrumentId id = *definition.meta.instrument;
  if (catalogue_.update(std::move(id), std::move(definition))) tell_definition(*index, out);
  return true;
}

void Publisher::platform_state(const Frame& frame) {
  const auto& state = frame.platform_state;
  if (!state.locked)
    locked_indexes_.erase(std::string(state.price_index));
  else if (locked_indexes_.size() < Reports::kMostNames)
    locked_indexes_.emplace(state.price_index);
}

bool Publisher::is_locked(Index index) const {
  const auto& definition = catalogue_.definition(index);
  if (definition.status == "locked" || definition.status == "halted" || definition.status == "inactive") return true;
  if (locked_indexes_.empty()) return false;
  return locked_indexes_.contains(lower(definition.base_asset + "_" + definition.quote_asset));
}

void Publisher::unreadable(const Error& why, const Received& from, Events& out) {
  reports_.reject(nullptr, std::nullopt, why.text(), from.raw, from.at, out);
}

// ---- for /health ----------------------------------------------------------------------------------------------

std::optional<WallTime> Publisher::last_event(Index index, DataType type) const {
  const auto& entry = entries_[index];
  switch (type) {
    case DataType::orderbook: return entry.book ? entry.book->kept().last_picture_at() : std::nullopt;
    case DataType::orderbook_delta: return entry.book ? entry.book->kept().last_delta_at() : std::nullopt;
    case DataType::trade: return entry.last_trade_at;
    case DataType::liquidation: return entry.last_liquidation_at;
    case DataType::funding_rate: return entry.last_funding_at;
    case DataType::open_interest: return entry.last_open_interest_at;
    case DataType::lsr_top_position:
    case DataType::lsr_all_account:
    case DataType::volatility_index:
    case DataType::gap:
    case DataType::rejected:
    case DataType::instrument: break;
  }
  return std::nullopt;
}

std::uint64_t Publisher::gaps(Index index, DataType type) const {
  const auto& entry = entries_[index];
  const bool of_book = type == DataType::orderbook || type == DataType::orderbook_delta;
  if (of_book) return entry.book ? entry.book->kept().gaps() : 0;
  const auto outages = entry.outages[static_cast<std::size_t>(type)];
  return type == DataType::trade || type == DataType::liquidation ? entry.tape.gaps() + outages : outages;
}

// ---- state ----------------------------------------------------------------------------------------------------

void Publisher::save(StateWriter& out) const {
  catalogue_.save(out);
  chooser_.save(out);
  connections_.save(out);
  for (const auto& entry : entries_) {
    entry.tape.save(out);
    entry.thinning.save(out);
    entry.settled.save(out);
    entry.tape_cover.save(out);
    entry.ticker_cover.save(out);
    out.put(std::uint64_t{entry.ticker.connection});
    out.put(entry.ticker.timestamp);
    out.put(entry.book != nullptr);
    if (entry.book) entry.book->save(out);
  }
  out.put(std::uint64_t{volatility_.size()});
  for (const auto& [name, entry] : volatility_) {
    out.put(std::string_view{name});
    out.put(std::uint64_t{entry.connection});
    out.put(entry.last_timestamp);
    entry.cover.save(out);
    out.put(std::uint64_t{entry.bars.size()});
    for (const auto& [resolution, bars] : entry.bars) {
      out.put(std::string_view{resolution});
      bars.save(out);
    }
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
    entry.tape.restore(in);
    entry.thinning.restore(in);
    entry.settled.restore(in);
    entry.tape_cover.restore(in);
    entry.ticker_cover.restore(in);
    entry.ticker.connection = static_cast<ConnectionId>(in.number());
    entry.ticker.timestamp = in.time();
    if (in.flag() && in.ok()) book_of_mine(index).restore(in);
  }
  volatility_.clear();
  for (auto n = in.count(4); n > 0 && in.ok(); --n) {
    const auto name = in.text();
    const auto connection = static_cast<ConnectionId>(in.number());
    const auto timestamp = in.time();
    StreamCover cover;
    cover.restore(in);
    decltype(VolatilityIndexEntry::bars) bars;
    for (auto m = in.count(2); m > 0 && in.ok(); --m) {
      auto resolution = in.text();
      bars[std::move(resolution)].restore(in);
    }
    auto* entry = in.ok() ? volatility_index_of(name) : nullptr;
    if (!entry) continue;
    entry->connection = connection;
    entry->last_timestamp = timestamp;
    entry->cover = cover;
    entry->bars = std::move(bars);
  }
  recompute_due();
}

}  // namespace mp::deribit
