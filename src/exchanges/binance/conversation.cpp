#include "exchanges/binance/conversation.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/backoff.hpp"
#include "base/text.hpp"

namespace mp::binance {
namespace {

using namespace std::chrono_literals;
using Patience = SubscribedSockets::Patience;

constexpr auto kHousekeeping = 1s;
constexpr auto kRequestTimeout = 60s;  // the driver answers or fails each request; this is for one that does not
constexpr const char* kInfoPoll = "exchangeInfo";
constexpr const char* kVolumesPoll = "ticker/24hr";
constexpr const char* kFundingInfoPoll = "fundingInfo";
constexpr std::chrono::seconds kInfoEvery = 1h;
constexpr std::chrono::seconds kInfoEveryWhileUnknown = 10min;
// Intervals of funding change by themselves, when a rate reaches its cap, and go back.
constexpr std::chrono::seconds kFundingInfoEvery = 10min;
constexpr std::chrono::seconds kSettledFundingEvery = 30min;
constexpr std::chrono::seconds kRatiosEvery = 5min;
// A snapshot is asked for once updates flow, so that it can be aligned; a quiet symbol's after this.
constexpr auto kSnapshotWithoutData = 3s;
constexpr auto kGoodAgainAfter = 60s;
constexpr BackoffPolicy kRestBackoff{1s, 60s};

constexpr int kInfoPriority = 100;
constexpr int kFundingInfoPriority = 90;
constexpr int kSnapshotPriority = 50;
constexpr int kStatisticsPriority = 10;

// Open interest may take this of the 2400 units of weight in a minute; with more symbols each is asked for less often.
constexpr int kOpenInterestWeight = 600;
// Both ratios together, of the 1000 requests in 5 minutes.
constexpr int kRatioRequests = 400;
// First requests of more symbols than this are spread over a longer time.
constexpr std::size_t kManySymbols = 100;
// Ratios of the last 30 days are kept by the venue; earlier ones are refused.
constexpr auto kRatioReach = 30 * 24h - 1h;
constexpr int kRatioRows = 500;  // in an answer, at most
// A row of the last hour may still come.
constexpr auto kRatioMayCome = 1h;

// Books of traded instruments change many times a second; mark prices come every 3 seconds at least. Many pairs are not
// traded for minutes or hours, and a quiet market has no liquidation for days.
constexpr Patience kDepthPatience{.ack = 10s, .first_data = 30s, .silence_at_least = 30s};
constexpr Patience kTradePatience{.ack = 10s, .silence_at_least = 120s, .only_by_rate = true};
constexpr Patience kMarkPricePatience{.ack = 10s, .first_data = 30s, .silence_at_least = 30s};
constexpr Patience kLiquidationPatience{.ack = 10s, .may_be_silent = true};
// Of symbols that are not traded now: lists keep them for years.
constexpr Patience kIdlePatience{.ack = 10s, .silence_at_least = 120s, .only_by_rate = true};

// More symbols that are not trading are told in one notice.
constexpr std::size_t kMostTold = 5;

std::string lower(std::string_view text) {
  std::string out(text);
  for (auto& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

std::int64_t millis(WallTime t) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(t.time_since_epoch()).count();
}

std::optional<WallTime> time_in(std::string_view url, std::string_view item) {
  const auto text = query_value(url, item);
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  const auto time = wall_from_millis(number);
  return time ? std::optional{*time} : std::nullopt;
}

// Of what is polled for one symbol: "open_interest BTCUSDT".
std::string poll_key(DataType type, std::string_view symbol) { return fmt::format("{} {}", to_string(type), symbol); }

// The slowest speed has no suffix.
std::string depth_channel(const Settings& settings, Market market) {
  const auto usual = market == Market::spot ? "1000ms" : "250ms";
  return settings.depth_speed == usual ? "depth" : "depth@" + settings.depth_speed;
}

void notice(Outbox& out, Notice::Level level, const char* message, std::string detail) {
  out.notices.push_back({level, message, std::move(detail)});
}

}  // namespace

Conversation::Conversation(const SessionOptions& options, Market market, const Publisher& publisher)
    : publisher_(publisher),
      market_(market),
      source_(options.source),
      ws_base_(options.ws_base.empty() ? facts(market).ws_base : options.ws_base),
      rest_base_(options.rest_base.empty() ? facts(market).rest_base : options.rest_base),
      checked_(read_settings(options, market)),
      settings_(checked_ ? *checked_ : Settings{}),
      audit_round_(options.book_audit) {}

// ---- the catalogue --------------------------------------------------------------------------------------------

void Conversation::begin(Instant now, Outbox& out) {
  if (!checked_) out.refusal = checked_.error();
  begun_ = true;
  wake_.begin();
  sockets_.begin();
  streams_.clear();
  over_.clear();
  snapshots_.clear();
  audit_round_.begin(now.mono);
  audit_.reset();
  wanted_.clear();
  under_way_ = 0;
  next_snapshot_ = now.mono;
  polls_.begin();
  ratios_passed_.clear();
  told_status_.clear();
  at_start_ = true;
  unresolved_.clear();
  if (publisher_.chooser().selection().empty() && !told_no_symbols_) {
    told_no_symbols_ = true;
    notice(out, Notice::Level::error, "no symbols chosen: nothing is subscribed", "");
  }
  // A choice by volume needs the volumes before the list.
  if (publisher_.chooser().selection().by_volume())
    add_poll(kVolumesPoll, Endpoint::day_ticker, nullptr, kInfoEvery, kInfoPriority, now, out);
  else
    poll_list(now, out);
  if (market_ == Market::derivatives && publisher_.wants(DataType::funding_rate))
    add_poll(kFundingInfoPoll, Endpoint::funding_info, nullptr, kFundingInfoEvery, kFundingInfoPriority, now, out);
  // What an earlier run knew need not wait for the answer.
  open_chosen(now, out);
  polls_.tick(now, out);
  wake_.wish(now.mono + kHousekeeping, out);
}

void Conversation::reconfigure(Instant now, Outbox& out) {
  if (!begun_) return;
  for (Index index = 0; index < streams_.size(); ++index) {
    for (const auto channel : {kDepth, kTrade, kMarkPrice, kForceOrder}) {
      auto& stream = streams_[index].ids[channel];
      if (stream == kNoStream || wants(index, channel)) continue;
      sockets_.drop(stream, now, out);
      stream = kNoStream;
    }
    const auto& name = publisher_.catalogue().ref(index)->instrument;
    for (const auto type :
         {DataType::open_interest, DataType::funding_rate, DataType::lsr_top_position, DataType::lsr_all_account})
      if (!publisher_.publishes(index, type)) polls_.remove(poll_key(type, name));
  }
  // A mistaken name is told; it is no reason to end what is running.
  at_start_ = false;
  const bool by_volume = publisher_.chooser().selection().by_volume();
  if (by_volume && !polls_.has(kVolumesPoll))
    add_poll(kVolumesPoll, Endpoint::day_ticker, nullptr, kInfoEvery, kInfoPriority, now, out);  // the list follows
  else if (polls_.has(kInfoPoll))
    polls_.hurry(kInfoPoll, now, out);
  if (!by_volume) polls_.remove(kVolumesPoll);
  if (!by_volume && !polls_.has(kInfoPoll)) poll_list(now, out);
  const bool wants_funding = market_ == Market::derivatives && publisher_.wants(DataType::funding_rate);
  if (wants_funding && !polls_.has(kFundingInfoPoll))
    add_poll(kFundingInfoPoll, Endpoint::funding_info, nullptr, kFundingInfoEvery, kFundingInfoPriority, now, out);
  else if (!wants_funding)
    polls_.remove(kFundingInfoPoll);
  // What is known already need not wait for the list.
  open_chosen(now, out);
  polls_.tick(now, out);
  wake_.wish(now.mono + kHousekeeping, out);
}

bool Conversation::wants(Index index, Channel channel) const {
  if (channel == kDepth) return publisher_.wants_books();
  const auto type = channel == kTrade       ? DataType::trade
                    : channel == kMarkPrice ? DataType::funding_rate
                                            : DataType::liquidation;
  return publisher_.publishes(index, type);
}

// `query` without the question mark, or nullptr. A poll that is there keeps its times and takes the new period.
void Conversation::add_poll(std::string key, Endpoint endpoint, std::function<std::string(Instant)> query,
                            std::chrono::seconds period, int priority, Instant now, Outbox& out) {
  PollSchedule::Poll poll;
  poll.key = std::move(key);
  poll.url = [base = rest_base_ + std::string(path_of(market_, endpoint)), query = std::move(query)](Instant at) {
    return query ? base + "?" + query(at) : base;
  };
  poll.period = period;
  const auto symbols = publisher_.chooser().chosen().size();
  if (priority > kStatisticsPriority)
    poll.first_within = 0s;
  else if (symbols > kManySymbols)
    poll.first_within = std::chrono::seconds{symbols * 3 / 4};
  poll.charges = charges_of(market_, endpoint);
  poll.priority = priority;
  polls_.add(std::move(poll), now, out);
}

void Conversation::poll_list(Instant now, Outbox& out) {
  add_poll(kInfoPoll, Endpoint::exchange_info, nullptr, kInfoEvery, kInfoPriority, now, out);
}

void Conversation::volumes(std::string_view url, bool readable, Instant now, Outbox& out) {
  if (!readable) return polls_.failed(url, "unreadable answer", now, out);
  polls_.answered(url, now, out);
  if (polls_.has(kInfoPoll))
    polls_.hurry(kInfoPoll, now, out);
  else
    poll_list(now, out);
  polls_.tick(now, out);
}

void Conversation::exchange_info(std::string_view url, bool readable, Instant now, Outbox& out) {
  if (!readable) return polls_.failed(url, "unreadable answer", now, out);
  polls_.answered(url, now, out);
  const auto& chooser = publisher_.chooser();
  unresolved_ = chooser.unresolved(publisher_.catalogue());
  tell_unresolved(unresolved_, source_, std::exchange(at_start_, false), out);
  tell_not_trading(out);
  polls_.set_period(kInfoPoll, unresolved_.empty() ? kInfoEvery : kInfoEveryWhileUnknown, now, out);
  open_chosen(now, out);
}

// A status that is new to us may well mean that it trades.
bool Conversation::is_trading(Index index) const {
  const auto& status = publisher_.catalogue().definition(index).status;
  return status == "TRADING" || status == "unknown";
}

// Each once, until its status changes.
void Conversation::tell_not_trading(Outbox& out) {
  std::vector<std::string> news;
  for (const auto index : publisher_.chooser().chosen()) {
    const auto& definition = publisher_.catalogue().definition(index);
    if (is_trading(index)) {
      told_status_.erase(index);
    } else if (auto& told = told_status_[index]; told != definition.status) {
      told = definition.status;
      news.push_back(fmt::format("symbol={} status={}", definition.meta.instrument->symbol, told));
    }
  }
  if (news.size() > kMostTold)
    return notice(out, Notice::Level::warning, "symbols are not trading",
                  fmt::format("count={} first: {}", news.size(), news[0]));
  for (auto& each : news) notice(out, Notice::Level::warning, "symbol is not trading", std::move(each));
}

void Conversation::poll_answered(std::string_view url, bool readable, Instant now, Outbox& out) {
  if (!readable) return polls_.failed(url, "unreadable answer", now, out);
  const auto endpoint = endpoint_of(url);
  if (endpoint == Endpoint::top_position_ratio || endpoint == Endpoint::all_account_ratio)
    ratios_answered(url, now, out);
  else
    polls_.answered(url, now, out);
}

void Conversation::poll_failed(std::string_view url, std::string_view reason, Instant now, Outbox& out) {
  polls_.failed(url, reason, now, out);
}

// ---- statistics -----------------------------------------------------------------------------------------------

void Conversation::poll_statistics(Index index, Instant now, Outbox& out) {
  if (!is_trading(index)) return drop_polls(index);
  const auto& name = publisher_.catalogue().ref(index)->instrument;
  const auto symbol = "symbol=" + percent_encoded(name);
  const auto symbols = static_cast<int>(publisher_.chooser().chosen().size());
  if (publisher_.publishes(index, DataType::open_interest)) {
    const std::chrono::seconds within_budget{(symbols * 60 + kOpenInterestWeight - 1) / kOpenInterestWeight};
    add_poll(
        poll_key(DataType::open_interest, name), Endpoint::open_interest, [symbol](Instant) { return symbol; },
        std::max(settings_.open_interest_every, within_budget), kStatisticsPriority, now, out);
  }
  const auto ratios_every = kRatiosEvery * ((2 * symbols + kRatioRequests - 1) / kRatioRequests);
  for (const auto& [type, endpoint] : {std::pair{DataType::lsr_top_position, Endpoint::top_position_ratio},
                                       std::pair{DataType::lsr_all_account, Endpoint::all_account_ratio}})
    if (publisher_.publishes(index, type))
      add_poll(
          poll_key(type, name), endpoint,
          [this, index, type = type](Instant at) { return ratio_query(index, type, at); }, ratios_every,
          kStatisticsPriority, now, out);
  if (publisher_.publishes(index, DataType::funding_rate))
    add_poll(
        poll_key(DataType::funding_rate, name), Endpoint::funding_rate,
        [this, index, symbol](Instant) {
          const auto last = publisher_.last_row(index, DataType::funding_rate);
          return symbol + (last ? fmt::format("&startTime={}&limit=1000", millis(*last) + 1) : "&limit=2");
        },
        kSettledFundingEvery, kStatisticsPriority, now, out);
}

// What is newer than the last row that is known, so that an outage is filled: from the oldest on, as many rows as one
// answer holds. The very first time the last two rows.
std::string Conversation::ratio_query(Index index, DataType type, Instant now) const {
  const auto& name = publisher_.catalogue().ref(index)->instrument;
  auto query = fmt::format("symbol={}&period={}", percent_encoded(name), settings_.ratio_period);
  const auto last = publisher_.last_row(index, type);
  if (!last) return query + "&limit=2";
  auto from = std::max(*last + 1ms, now.wall - std::chrono::duration_cast<Nanos>(kRatioReach));
  const auto passed = ratios_passed_.find(poll_key(type, name));
  if (passed != ratios_passed_.end()) from = std::max(from, passed->second);
  const auto to = std::min(now.wall, from + settings_.ratio_length * kRatioRows);
  return query + fmt::format("&startTime={}&endTime={}&limit={}", millis(from), millis(to), kRatioRows);
}

// After an outage there may be more to ask for than what this answer's time could hold.
void Conversation::ratios_answered(std::string_view url, Instant now, Outbox& out) {
  const std::string key(polls_.find(url).value_or(""));
  polls_.answered(url, now, out);
  const auto asked_until = time_in(url, "endTime");
  if (key.empty() || !asked_until || now.wall - *asked_until < kRatioMayCome) return;
  // It may have held nothing; that time is not asked for again.
  ratios_passed_.insert_or_assign(key, *asked_until);
  polls_.hurry(key, now, out);
}

// ---- sockets and subscriptions --------------------------------------------------------------------------------

std::optional<Conversation::Channel> Conversation::channel_of(DataType type) {
  switch (type) {
    case DataType::orderbook:
    case DataType::orderbook_delta: return kDepth;
    case DataType::trade: return kTrade;
    case DataType::funding_rate: return kMarkPrice;
    case DataType::liquidation: return kForceOrder;
    case DataType::open_interest:
    case DataType::lsr_top_position:
    case DataType::lsr_all_account:
    case DataType::volatility_index:
    case DataType::gap:
    case DataType::rejected:
    case DataType::instrument: break;
  }
  return std::nullopt;
}

std::optional<Conversation::StreamId> Conversation::stream_of(Index index, Channel channel) const {
  if (index >= streams_.size() || streams_[index].ids[channel] == kNoStream) return std::nullopt;
  return streams_[index].ids[channel];
}

void Conversation::want_stream(Index index, Channel channel, Instant now, Outbox& out) {
  const auto& market = facts(market_);
  std::string name;
  const char* path = market.market_socket;
  Patience patience;
  switch (channel) {
    case kDepth:
      name = depth_channel(settings_, market_);
      path = market.public_socket;
      patience = kDepthPatience;
      break;
    case kTrade:
      name = settings_.trade_stream;
      // Futures: raw trades are served where depth is, aggregated ones elsewhere.
      if (name == "trade") path = market.public_socket;
      patience = kTradePatience;
      break;
    case kMarkPrice:
      name = settings_.mark_price_speed == "1s" ? "markPrice@1s" : "markPrice";
      patience = kMarkPricePatience;
      break;
    case kForceOrder:
      name = "forceOrder";
      patience = kLiquidationPatience;
      break;
    case kChannels: return;
  }
  if (!is_trading(index) && channel != kForceOrder) patience = kIdlePatience;
  streams_[index].ids[channel] =
      sockets_.want({.url = ws_base_ + path + (settings_.microseconds ? "?timeUnit=MICROSECOND" : ""),
                     .name = lower(publisher_.catalogue().ref(index)->instrument) + "@" + name,
                     .patience = patience},
                    now, out);
}

void Conversation::drop(Index index, Instant now, Outbox& out) {
  for (auto& stream : streams_[index].ids) {
    if (stream == kNoStream) continue;
    sockets_.drop(stream, now, out);
    stream = kNoStream;
  }
  drop_polls(index);
}

void Conversation::drop_polls(Index index) {
  const auto& name = publisher_.catalogue().ref(index)->instrument;
  for (const auto type :
       {DataType::open_interest, DataType::funding_rate, DataType::lsr_top_position, DataType::lsr_all_account})
    polls_.remove(poll_key(type, name));
}

// What the chosen symbols need and have not yet. What is not chosen any more, or has been delivered, is given up.
void Conversation::open_chosen(Instant now, Outbox& out) {
  const auto& catalogue = publisher_.catalogue();
  const auto& chosen = publisher_.chooser().chosen();
  std::vector<bool> is_wanted(catalogue.size(), false);
  next_expiry_.reset();
  over_.assign(catalogue.size(), false);
  for (const auto index : chosen) {
    const auto& expiry = catalogue.definition(index).expiry;
    over_[index] = expiry && *expiry <= now.wall;
    is_wanted[index] = !over_[index];
    if (is_wanted[index] && expiry) next_expiry_ = std::min(next_expiry_.value_or(*expiry), *expiry);
  }
  streams_.resize(catalogue.size());
  for (Index index = 0; index < streams_.size(); ++index)
    if (!is_wanted[index]) drop(index, now, out);
  for (const auto channel : {kDepth, kTrade, kMarkPrice, kForceOrder})
    for (const auto index : chosen)
      if (is_wanted[index] && !stream_of(index, channel) && wants(index, channel))
        want_stream(index, channel, now, out);
  for (const auto index : chosen)
    if (is_wanted[index]) poll_statistics(index, now, out);
}

void Conversation::opened(ConnectionId connection, std::string_view url, Instant now, Outbox& out) {
  sockets_.opened(connection, url, now, out);
}

void Conversation::closed(ConnectionId connection, Instant now, Outbox& out) { sockets_.closed(connection, now, out); }

void Conversation::data(ConnectionId connection, Index index, DataType type, Instant now, Outbox& out) {
  const auto channel = channel_of(type);
  const auto stream = channel ? stream_of(index, *channel) : std::nullopt;
  if (stream) sockets_.data(connection, *stream, now);
  if (type != DataType::orderbook_delta) return;
  const auto* feed = publisher_.depth_of(index);
  if (feed && !feed->good()) want_snapshot(index, now, out);
}

void Conversation::answered(std::uint64_t request_id, Instant now, Outbox& out) {
  sockets_.answered(request_id, now, out);
  wake_.wish(now.mono + kSnapshotWithoutData, out);
}

void Conversation::error(ConnectionId connection, const Frame& frame, Instant now, Outbox& out) {
  sockets_.refused({.connection = connection,
                    .request_id = frame.request_id,
                    .why = fmt::format("code={} message=\"{}\"", frame.error_code, shortened(frame.error_message))},
                   now, out);
}

void Conversation::shutdown_announced(ConnectionId connection, Instant now, Outbox& out) {
  sockets_.replace(connection, now, out);
}

// ---- snapshots ------------------------------------------------------------------------------------------------

Conversation::Snapshot& Conversation::snapshot_of(Index index) {
  if (snapshots_.size() <= index) snapshots_.resize(index + 1);
  return snapshots_[index];
}

void Conversation::want_snapshot(Index index, Instant now, Outbox& out) {
  if (!stream_of(index, kDepth)) return;
  auto& snapshot = snapshot_of(index);
  snapshot.good_since.reset();
  if (snapshot.wanted || snapshot.under_way) return;
  snapshot.wanted = true;
  wanted_.push_back(index);
  ask_snapshots(now, out);
}

void Conversation::ask_snapshots(Instant now, Outbox& out) {
  for (std::size_t looked = 0, n = wanted_.size(); looked < n && under_way_ < kSnapshotsUnderWay; ++looked) {
    if (now.mono < next_snapshot_) return wake_.wish(next_snapshot_, out);
    const auto index = wanted_.front();
    wanted_.pop_front();
    auto& snapshot = snapshots_[index];
    if (!stream_of(index, kDepth)) {  // given up meanwhile
      snapshot.wanted = false;
      continue;
    }
    if (now.mono < snapshot.not_before) {
      wanted_.push_back(index);
      wake_.wish(snapshot.not_before, out);
      continue;
    }
    snapshot.wanted = false;
    snapshot.under_way = true;
    snapshot.asked_at = now.mono;
    snapshot.not_before = now.mono + backoff(kRestBackoff, ++snapshot.attempt, 0);
    if (snapshot.attempt > 1) ++resyncs_;
    ++under_way_;
    next_snapshot_ = now.mono + kSnapshotSpacing;
    const auto& symbol = publisher_.catalogue().ref(index)->instrument;
    out.requests.push_back({.url = fmt::format("{}{}?symbol={}&limit={}", rest_base_, path_of(market_, Endpoint::depth),
                                               percent_encoded(symbol), settings_.snapshot_limit),
                            .charges = charges_of(market_, Endpoint::depth, settings_.snapshot_limit),
                            .priority = kSnapshotPriority});
  }
}

void Conversation::snapshot_done(std::string_view venue_symbol, Publisher::SnapshotResult result, Instant now,
                                 Outbox& out) {
  const auto index = publisher_.catalogue().find(venue_symbol);
  if (!index) return;
  auto& snapshot = snapshot_of(*index);
  if (snapshot.under_way) {
    snapshot.under_way = false;
    --under_way_;
  }
  const auto* feed = publisher_.depth_of(*index);
  if (feed && feed->good())
    snapshot.good_since = now.mono;
  else if (result != Publisher::SnapshotResult::unknown_symbol)
    want_snapshot(*index, now, out);
  ask_snapshots(now, out);
}

void Conversation::snapshot_failed(std::string_view venue_symbol, std::string_view reason, Instant now, Outbox& out) {
  const auto index = publisher_.catalogue().find(venue_symbol);
  if (!index) return;
  notice(out, Notice::Level::warning, "a book snapshot could not be read",
         fmt::format("symbol={} reason=\"{}\"", venue_symbol, shortened(reason)));
  retry_snapshot(*index, now, out);
}

void Conversation::retry_snapshot(Index index, Instant now, Outbox& out) {
  auto& snapshot = snapshot_of(index);
  if (snapshot.under_way) {
    snapshot.under_way = false;
    --under_way_;
  }
  want_snapshot(index, now, out);
}

// The slow path: symbols whose stream is confirmed but quiet, requests that were never answered, books that have
// stayed good long enough for their back-off to begin anew.
void Conversation::look_for_snapshots(Instant now, Outbox& out) {
  for (Index index = 0; index < streams_.size(); ++index) {
    const auto stream = streams_[index].ids[kDepth];
    if (stream == kNoStream) continue;
    auto& snapshot = snapshot_of(index);
    const auto* feed = publisher_.depth_of(index);
    const bool good = feed && feed->good();
    if (snapshot.under_way && now.mono - snapshot.asked_at > kRequestTimeout) {
      snapshot_failed(publisher_.catalogue().ref(index)->instrument, "no answer", now, out);
    } else if (!good && !snapshot.wanted && !snapshot.under_way) {
      const auto confirmed = sockets_.confirmed_at(stream);
      const bool long_enough = confirmed && now.mono - *confirmed >= kSnapshotWithoutData && is_trading(index);
      if (sockets_.has_data(stream) || long_enough) want_snapshot(index, now, out);
    } else if (good && snapshot.good_since && now.mono - *snapshot.good_since > kGoodAgainAfter) {
      snapshot.attempt = 0;
      snapshot.good_since.reset();
    }
  }
  ask_snapshots(now, out);
}

void Conversation::audit_books(Instant now, Outbox& out) {
  const auto& doubted = publisher_.audits().doubted();
  const auto again = doubted ? publisher_.catalogue().find(doubted->instrument) : std::nullopt;
  const auto index = audit_round_.due(streams_.size(), again, now.mono, [&](Index each) {
    const auto* feed = publisher_.depth_of(each);
    return streams_[each].ids[kDepth] != kNoStream && feed && feed->good();
  });
  if (!index) return;
  audit_ = index;
  const auto symbol = percent_encoded(publisher_.catalogue().ref(*index)->instrument);
  out.requests.push_back({.url = fmt::format("{}{}?limit={}&symbol={}", rest_base_, path_of(market_, Endpoint::depth),
                                             kAuditLimit, symbol),
                          .charges = charges_of(market_, Endpoint::depth, kAuditLimit),
                          .priority = AuditRound::kPriority,
                          .percent_at_most = AuditRound::kPercentAtMost});
}

// ---- the clock ------------------------------------------------------------------------------------------------

void Conversation::tick(Instant now, Outbox& out) {
  wake_.woken();
  if (next_expiry_ && now.wall >= *next_expiry_) open_chosen(now, out);
  polls_.tick(now, out);
  sockets_.tick(now, out);
  look_for_snapshots(now, out);
  audit_books(now, out);
  wake_.wish(now.mono + kHousekeeping, out);
}

// ---- for /health ----------------------------------------------------------------------------------------------

StreamState Conversation::state(Index index, DataType type) const {
  if (const auto channel = channel_of(type)) {
    const auto stream = stream_of(index, *channel);
    return stream ? sockets_.state(*stream) : StreamState::waiting;
  }
  if (!is_trading(index)) return StreamState::live;  // not asked for: nothing need come
  return polls_.state(poll_key(type, publisher_.catalogue().ref(index)->instrument));
}

std::uint64_t Conversation::reconnects(Index index, DataType type) const {
  const auto channel = channel_of(type);
  const auto stream = channel ? stream_of(index, *channel) : std::nullopt;
  return stream ? sockets_.reconnects(*stream) : 0;
}

}  // namespace mp::binance
