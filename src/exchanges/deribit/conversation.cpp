#include "exchanges/deribit/conversation.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/backoff.hpp"
#include "base/text.hpp"
#include "exchanges/deribit/rest.hpp"

namespace mp::deribit {
namespace {

using namespace std::chrono_literals;
using Patience = SubscribedSockets::Patience;

constexpr auto kInstrumentsEvery = 6h;
constexpr auto kListAfterNews = 60s;
constexpr auto kFundingHistoryEvery = 1h;
constexpr auto kVolatilityHistoryEvery = 10min;
// How far back the histories are asked for at first.
constexpr auto kHistoryAtFirst = 24h;
// What has expired is listened to a little longer: our clock and the venue's differ, and its last
// messages are under way. Shorter than the patience with any channel.
constexpr auto kAfterExpiry = 45s;
// A book that stays good this long has its attempts forgotten.
constexpr auto kGoodAgainAfter = 60s;
constexpr BackoffPolicy kBookBackoff{1s, 60s};
// 32 connections are allowed for one address, REST included.
constexpr std::size_t kManySockets = 28;

constexpr std::string_view kVolumesPrefix = "volumes ";
// Of the currencies that instruments are settled in.
constexpr const char* kSummaryCurrencies[] = {"BTC", "ETH", "USDC", "USDT", "EURR"};
constexpr std::string_view kPagePrefix = "volatility page ";

constexpr int kInstrumentsPriority = 100;
constexpr int kHistoryPriority = 10;

// A book's first message, the whole of it, comes at once. Whether silence after it means anything depends on how much
// the instrument is traded: most options and many spot pairs stand still for hours.
constexpr Patience kActiveBook{.ack = 10s, .first_data = 30s, .silence_at_least = 60s};
constexpr Patience kActiveTicker{.ack = 10s, .first_data = 30s, .silence_at_least = 60s};
// Trades of a quiet contract may not come for hours.
constexpr Patience kTrading{.ack = 10s, .silence_at_least = 300s, .only_by_rate = true};
constexpr Patience kVolatility{.ack = 10s, .first_data = 60s, .silence_at_least = 60s};
constexpr Patience kMayBeSilent{.ack = 10s, .may_be_silent = true};

std::string extra(const SessionOptions& options, const char* key, const char* fallback) {
  const auto found = options.extra.find(key);
  return found == options.extra.end() ? fallback : found->second;
}

std::vector<std::string> words(std::string_view text) {
  std::vector<std::string> out;
  std::string word;
  for (const char c : text) {
    if (c != ' ' && c != ',') {
      word.push_back(c);
    } else if (!word.empty()) {
      out.push_back(std::move(word));
      word.clear();
    }
  }
  if (!word.empty()) out.push_back(std::move(word));
  return out;
}

Credentials credentials_of(const SessionOptions& options) {
  const auto value = [&](const char* key) {
    const auto found = options.credentials.find(key);
    return found == options.credentials.end() ? std::string() : found->second;
  };
  return {value("client_id"), value("client_secret")};
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (auto& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

std::int64_t millis(WallTime time) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
}

std::int64_t number(std::string_view text) {
  std::int64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

void notice(Outbox& out, Notice::Level level, const char* message, std::string detail) {
  out.notices.push_back({level, message, std::move(detail)});
}

}  // namespace

Conversation::Conversation(const SessionOptions& options, Publisher& publisher)
    : publisher_(publisher),
      source_(options.source),
      ws_url_((options.ws_base.empty() ? kWebSocketBase : options.ws_base) + "/ws/api/v2"),
      rest_base_((options.rest_base.empty() ? kRestBase : options.rest_base) + "/api/v2/public/"),
      volatility_currencies_(words(extra(options, "volatility_currencies", "BTC ETH"))),
      volatility_resolution_(extra(options, "volatility_resolution", "60")),
      credentials_(credentials_of(options)),
      dialect_(credentials_.given()),
      audit_round_(options.book_audit) {
  // Every change as it happens is for connections that are logged in.
  interval_ = extra(options, "interval", credentials_.given() ? "raw" : "100ms");
}

void Conversation::begin(Instant now, Outbox& out) {
  wake_.begin();
  begun_ = true;
  sockets_.begin();
  polls_.begin();
  streams_.clear();
  over_.clear();
  next_expiry_.reset();
  logins_.clear();
  unresolved_.clear();
  audit_round_.begin(now.mono);
  audit_.reset();
  at_start_ = true;
  read_list_at_.reset();
  if (publisher_.chooser().selection().empty())
    notice(out, Notice::Level::error, "no symbols chosen: nothing is subscribed", "");
  if (interval_ == "raw" && !credentials_.given())
    notice(out, Notice::Level::error, "the interval raw needs credentials: the venue will refuse it", "");
  add_polls(now, out);
  open_platform_channels(now, out);
  // What an earlier run knew need not wait for the list.
  open_chosen(now, out);
}

// ---- channels -------------------------------------------------------------------------------------------------

void Conversation::want(const std::string& channel, const Patience& patience, Instant now, Outbox& out) {
  sockets_.want({.url = ws_url_, .name = channel, .patience = patience}, now, out);
}

void Conversation::open_platform_channels(Instant now, Outbox& out) {
  // New, locked and delivered instruments; locks of an index.
  want("instrument.state.any.any", kMayBeSilent, now, out);
  want("platform_state", kMayBeSilent, now, out);
  if (!publisher_.wants(DataType::volatility_index)) return;
  for (const auto& currency : volatility_currencies_)
    want("deribit_volatility_index." + lower(currency) + "_usd", kVolatility, now, out);
}

void Conversation::reconfigure(Instant now, Outbox& out) {
  if (!begun_) return;
  const auto& chooser = publisher_.chooser();
  for (Index index = 0; index < streams_.size(); ++index) {
    for (const auto channel : {kBook, kTrades, kTicker}) {
      auto& stream = streams_[index].of[channel];
      if (!stream || (chooser.collects(index) && wants_stream(index, channel))) continue;
      sockets_.drop(*stream, now, out);
      stream.reset();
    }
    if (!chooser.collects(index) || !publisher_.wants(DataType::funding_rate))
      polls_.remove("funding " + publisher_.catalogue().ref(index)->instrument);
  }
  if (!publisher_.wants(DataType::volatility_index)) {
    for (const auto& currency : volatility_currencies_) {
      const auto stream = sockets_.find("deribit_volatility_index." + lower(currency) + "_usd");
      if (stream) sockets_.drop(*stream, now, out);
      polls_.remove("volatility " + currency);
    }
  }
  // A mistaken name is told; it is no reason to end what is running.
  at_start_ = false;
  if (!chooser.selection().by_volume()) {
    for (const auto* currency : kSummaryCurrencies) polls_.remove(fmt::format("{}{}", kVolumesPrefix, currency));
    volumes_awaited_.clear();
  }
  if (polls_.has(kInstrumentsPoll) && !chooser.selection().by_volume()) polls_.hurry(kInstrumentsPoll, now, out);
  add_polls(now, out);
  open_platform_channels(now, out);
  // What is known already need not wait for the list.
  open_chosen(now, out);
  polls_.tick(now, out);
  wake_.wish(now.mono, out);
}

bool Conversation::wants_stream(Index index, Channel channel) const {
  switch (channel) {
    case kBook: return publisher_.wants_books();
    case kTrades: return publisher_.wants_tape();
    case kTicker: return publisher_.wants_ticker(index);
    case kChannels: break;
  }
  return false;
}

void Conversation::want_stream(Index index, Channel channel, Instant now, Outbox& out) {
  constexpr const char* kNames[kChannels] = {"book", "trades", "ticker"};
  const auto& id = *publisher_.catalogue().ref(index);
  const bool active = id.market_type == MarketType::perpetual || id.market_type == MarketType::futures;
  // That the connection lives, its heartbeats say.
  const auto& patience = channel == kTrades ? kTrading
                         : !active          ? kMayBeSilent
                         : channel == kBook ? kActiveBook
                                            : kActiveTicker;
  // Tickers by every change would be a multiple of the data, for values that change once in a while.
  const auto& interval = channel == kTicker ? "100ms" : interval_;
  streams_[index].of[channel] = sockets_.want(
      {.url = ws_url_, .name = fmt::format("{}.{}.{}", kNames[channel], id.instrument, interval), .patience = patience},
      now, out);
}

// What the chosen instruments need and have not yet. What has expired, or is not chosen any more,
// is given up.
void Conversation::open_chosen(Instant now, Outbox& out) {
  const auto& catalogue = publisher_.catalogue();
  const auto& chosen = publisher_.chooser().chosen();
  std::vector<bool> is_wanted(catalogue.size(), false);
  over_.assign(catalogue.size(), false);
  next_expiry_.reset();
  for (const auto index : chosen) {
    const auto& expiry = catalogue.definition(index).expiry;
    over_[index] = expiry && *expiry + kAfterExpiry <= now.wall;
    is_wanted[index] = !over_[index];
    if (is_wanted[index] && expiry) next_expiry_ = std::min(next_expiry_.value_or(*expiry), *expiry);
  }
  streams_.resize(catalogue.size());
  for (Index index = 0; index < streams_.size(); ++index)
    if (!is_wanted[index]) drop(index, now, out);
  for (const auto index : chosen) {
    if (!is_wanted[index]) continue;
    for (const auto channel : {kBook, kTrades, kTicker})
      if (!streams_[index].of[channel] && wants_stream(index, channel)) want_stream(index, channel, now, out);
    poll_funding_history(index, now, out);
  }
  if (sockets_.sockets() <= kManySockets || told_many_sockets_) return;
  told_many_sockets_ = true;
  notice(out, Notice::Level::warning,
         "more connections than the venue allows for one address: choose fewer instruments",
         fmt::format("connections={} allowed=32", sockets_.sockets()));
}

void Conversation::drop(Index index, Instant now, Outbox& out) {
  for (auto& stream : streams_[index].of) {
    if (!stream) continue;
    sockets_.drop(*stream, now, out);
    stream.reset();
  }
  polls_.remove("funding " + publisher_.catalogue().ref(index)->instrument);
}

void Conversation::opened(ConnectionId connection, std::string_view url, Instant now, Outbox& out) {
  if (credentials_.given()) log_in(connection, out);
  sockets_.opened(connection, url, now, out);
}

void Conversation::closed(ConnectionId connection, Instant now, Outbox& out) {
  std::erase_if(logins_, [&](const Login& each) { return each.connection == connection; });
  sockets_.closed(connection, now, out);
}

void Conversation::data(ConnectionId connection, std::string_view channel, Instant now) {
  if (const auto stream = sockets_.find(channel)) sockets_.data(connection, *stream, now);
}

void Conversation::look_at_book(Index index, Instant now, Outbox& out) {
  const auto* book = publisher_.book_of(index);
  if (!book || index >= streams_.size() || !streams_[index].of[kBook]) return;
  auto& streams = streams_[index];
  if (!book->wants_snapshot()) {
    if (streams.attempts == 0) return;
    if (!streams.good_since) streams.good_since = now.mono;
    if (now.mono - *streams.good_since > kGoodAgainAfter) streams.attempts = 0;
    return;
  }
  streams.good_since.reset();
  if (now.mono < streams.not_before) return;
  streams.not_before = now.mono + backoff(kBookBackoff, ++streams.attempts, 0);
  ++resyncs_;
  sockets_.resubscribe(*streams.of[kBook], now, out);
}

void Conversation::audit_books(Instant now, Outbox& out) {
  const auto& doubted = publisher_.audits().doubted();
  const auto again = doubted ? publisher_.catalogue().find(doubted->instrument) : std::nullopt;
  const auto index = audit_round_.due(streams_.size(), again, now.mono, [&](Index each) {
    const auto* book = publisher_.book_of(each);
    return streams_[each].of[kBook] && book && book->good();
  });
  if (!index) return;
  audit_ = index;
  RestRequest request;
  request.url = fmt::format("{}get_order_book?instrument_name={}&depth={}", rest_base_,
                            publisher_.catalogue().ref(*index)->instrument, kAuditDepth);
  request.charges = credits();
  request.priority = AuditRound::kPriority;
  request.percent_at_most = AuditRound::kPercentAtMost;
  out.requests.push_back(std::move(request));
}

// ---- requests and answers -------------------------------------------------------------------------------------

void Conversation::log_in(ConnectionId connection, Outbox& out) {
  std::erase_if(logins_, [&](const Login& each) { return each.connection == connection; });
  const auto id = sockets_.take_request_id();
  logins_.push_back({connection, id, std::nullopt});
  SendFrame frame;
  frame.connection = connection;
  frame.text = DeribitDialect::login(credentials_, id);
  frame.recorded_as = DeribitDialect::login_without_secret(id);
  out.frames.push_back(std::move(frame));
}

void Conversation::test_requested(ConnectionId connection, Outbox& out) {
  SendFrame frame;
  frame.connection = connection;
  frame.text = DeribitDialect::test();
  out.frames.push_back(std::move(frame));
}

void Conversation::answered(const Frame& frame, Instant now, Outbox& out) {
  if (!frame.request_id) return;
  const auto login = std::ranges::find(logins_, *frame.request_id, &Login::request_id);
  if (login != logins_.end()) {
    // Renewed well before it ends, since raw channels end with it.
    const std::chrono::seconds lives{std::clamp<std::int64_t>(frame.expires_in.value_or(600), 60, 86'400)};
    login->renew_at = now.mono + lives * 4 / 5;
    wake_.wish(*login->renew_at, out);
    return;
  }
  if (frame.result_is_list) sockets_.answered(*frame.request_id, frame.result_names, now, out);
}

void Conversation::error(ConnectionId connection, const Frame& frame, Instant now, Outbox& out) {
  const auto why = fmt::format("code={} message=\"{}\"", frame.error_code, shortened(frame.error_message));
  const auto login = std::ranges::find(logins_, frame.request_id.value_or(0), &Login::request_id);
  if (frame.request_id && login != logins_.end()) {
    login->renew_at = now.mono + 60s;
    wake_.wish(*login->renew_at, out);
    return notice(out, Notice::Level::error, "the venue refused the login; raw channels will not come", why);
  }
  sockets_.refused({.connection = connection,
                    .request_id = frame.request_id,
                    .why = why,
                    .again_after = again_after(frame.error_code, credentials_.given())},
                   now, out);
}

// ---- REST -----------------------------------------------------------------------------------------------------

void Conversation::poll_instruments(Instant now, Outbox& out) {
  // One request a second is what this method allows, whatever credits there are.
  auto charges = credits();
  charges.push_back({.budget = "deribit get_instruments", .units = 1, .limit = 1, .window = 1s});
  polls_.add({.key = kInstrumentsPoll,
              .url = [this](Instant) { return rest_base_ + "get_instruments?currency=any&expired=false"; },
              .period = kInstrumentsEvery,
              .first_within = 0s,
              .charges = std::move(charges),
              .priority = kInstrumentsPriority},
             now, out);
}

// The list is asked for once each of these has been answered, or has failed: a choice by volume needs them first.
void Conversation::poll_volumes(Instant now, Outbox& out) {
  volumes_awaited_.clear();
  for (const auto* currency : kSummaryCurrencies) {
    auto key = fmt::format("{}{}", kVolumesPrefix, currency);
    volumes_awaited_.push_back(key);
    polls_.add({.key = std::move(key),
                .url =
                    [this, currency](Instant) {
                      return fmt::format("{}get_book_summary_by_currency?currency={}", rest_base_, currency);
                    },
                .period = kInstrumentsEvery,
                .first_within = 0s,
                .charges = credits(),
                .priority = kInstrumentsPriority},
               now, out);
  }
}

void Conversation::volumes_settled(std::string_view key, Instant now, Outbox& out) {
  if (!key.starts_with(kVolumesPrefix) || std::erase(volumes_awaited_, key) == 0) return;
  if (!volumes_awaited_.empty()) return;
  if (polls_.has(kInstrumentsPoll))
    polls_.hurry(kInstrumentsPoll, now, out);
  else
    poll_instruments(now, out);
}

void Conversation::add_polls(Instant now, Outbox& out) {
  if (publisher_.chooser().selection().by_volume())
    poll_volumes(now, out);
  else if (!polls_.has(kInstrumentsPoll))
    poll_instruments(now, out);
  if (!publisher_.wants(DataType::volatility_index)) return;
  for (const auto& currency : volatility_currencies_) {
    const auto url = [this, currency](Instant at) {
      const auto from = publisher_.volatility_missing_from(lower(currency) + "_usd", volatility_resolution_,
                                                           at.wall - kHistoryAtFirst);
      return fmt::format("{}get_volatility_index_data?currency={}&start_timestamp={}&end_timestamp={}&resolution={}",
                         rest_base_, currency, millis(from), millis(at.wall), volatility_resolution_);
    };
    polls_.add({.key = "volatility " + currency,
                .url = url,
                .period = kVolatilityHistoryEvery,
                .charges = credits(),
                .priority = kHistoryPriority},
               now, out);
  }
}

void Conversation::poll_funding_history(Index index, Instant now, Outbox& out) {
  if (!publisher_.wants(DataType::funding_rate) || !publisher_.has(index, DataType::funding_rate)) return;
  const auto& instrument = publisher_.catalogue().ref(index)->instrument;
  auto key = "funding " + instrument;
  if (polls_.has(key)) return;
  const auto url = [this, index, instrument](Instant at) {
    const auto from = publisher_.settled_missing_from(index, at.wall - kHistoryAtFirst);
    return fmt::format("{}get_funding_rate_history?instrument_name={}&start_timestamp={}&end_timestamp={}", rest_base_,
                       instrument, millis(from), millis(at.wall));
  };
  polls_.add({.key = std::move(key),
              .url = url,
              .period = kFundingHistoryEvery,
              .first_within = 60s,
              .charges = credits(),
              .priority = kHistoryPriority},
             now, out);
}

// A page is asked for until it comes; its key leaves the schedule then.
void Conversation::volatility_page(std::string_view url, std::optional<std::int64_t> continuation, Instant now,
                                   Outbox& out) {
  const auto started = query_value(url, "start_timestamp");
  const auto currency = query_value(url, "currency");
  const auto resolution = query_value(url, "resolution");
  // Pages go back in time; one that does not would be asked for without end.
  if (!continuation || currency.empty() || *continuation <= number(started) ||
      *continuation >= number(query_value(url, "end_timestamp")))
    return;
  auto older = fmt::format("{}get_volatility_index_data?currency={}&start_timestamp={}&end_timestamp={}&resolution={}",
                           rest_base_, currency, started, *continuation, resolution);
  polls_.add({.key = fmt::format("{}{} {}", kPagePrefix, currency, *continuation),
              .url = [older](Instant) { return older; },
              .period = 24h,
              .first_within = 0s,
              .charges = credits(),
              .priority = kHistoryPriority},
             now, out);
}

void Conversation::rest_answered(std::string_view url, Instant now, Outbox& out) {
  const std::string key(polls_.find(url).value_or(""));
  polls_.answered(url, now, out);
  if (key.starts_with(kPagePrefix)) polls_.remove(key);
  volumes_settled(key, now, out);
  if (key != kInstrumentsPoll) return;
  unresolved_ = publisher_.chooser().unresolved(publisher_.catalogue());
  tell_unresolved(unresolved_, source_, std::exchange(at_start_, false), out);
  open_chosen(now, out);
}

// Expiries bring hundreds of these at once, most of instruments that nobody chose: one look at the list for all.
void Conversation::new_instrument(Instant now, Outbox& out) {
  const auto& rules = publisher_.chooser().selection().rules;
  const bool only_names = std::ranges::all_of(rules, [](const SelectionRule& each) { return each.is_name(); });
  if (read_list_at_ || (only_names && unresolved_.empty())) return;
  read_list_at_ = now.mono + kListAfterNews;
  wake_.wish(*read_list_at_, out);
}

void Conversation::rest_failed(std::string_view url, std::string_view reason, Instant now, Outbox& out) {
  const std::string key(polls_.find(url).value_or(""));
  polls_.failed(url, reason, now, out);
  volumes_settled(key, now, out);
}

// ---- the clock ------------------------------------------------------------------------------------------------

void Conversation::tick(Instant now, Outbox& out) {
  wake_.woken();
  if (next_expiry_ && now.wall >= *next_expiry_ + kAfterExpiry) open_chosen(now, out);
  sockets_.tick(now, out);
  if (read_list_at_ && now.mono >= *read_list_at_) {
    read_list_at_.reset();
    polls_.hurry(kInstrumentsPoll, now, out);
  } else if (read_list_at_) {
    wake_.wish(*read_list_at_, out);
  }
  polls_.tick(now, out);
  audit_books(now, out);
  // log_in() replaces the entry, so by index and by what it was.
  for (std::size_t i = 0; i < logins_.size(); ++i) {
    if (!logins_[i].renew_at) continue;
    if (now.mono < *logins_[i].renew_at) {
      wake_.wish(*logins_[i].renew_at, out);
      continue;
    }
    log_in(logins_[i].connection, out);
    break;  // one at a tick
  }
}

// ---- for /health ----------------------------------------------------------------------------------------------

Conversation::Channel Conversation::channel_of(DataType type) {
  switch (type) {
    case DataType::orderbook:
    case DataType::orderbook_delta: return kBook;
    case DataType::trade:
    case DataType::liquidation: return kTrades;
    case DataType::funding_rate:
    case DataType::open_interest: return kTicker;
    case DataType::lsr_top_position:
    case DataType::lsr_all_account:
    case DataType::volatility_index:
    case DataType::gap:
    case DataType::rejected:
    case DataType::instrument: break;
  }
  return kChannels;
}

StreamState Conversation::state(Index index, DataType type) const {
  const auto channel = channel_of(type);
  if (channel == kChannels || index >= streams_.size() || !streams_[index].of[channel]) return StreamState::waiting;
  return sockets_.state(*streams_[index].of[channel]);
}

StreamState Conversation::volatility_state(std::string_view index_name) const {
  const auto stream = sockets_.find("deribit_volatility_index." + std::string(index_name));
  return stream ? sockets_.state(*stream) : StreamState::waiting;
}

std::uint64_t Conversation::reconnects(Index index, DataType type) const {
  const auto channel = channel_of(type);
  if (channel == kChannels || index >= streams_.size() || !streams_[index].of[channel]) return 0;
  return sockets_.reconnects(*streams_[index].of[channel]);
}

}  // namespace mp::deribit
