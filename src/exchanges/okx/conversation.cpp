#include "exchanges/okx/conversation.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/backoff.hpp"
#include "base/text.hpp"
#include "exchanges/okx/instruments.hpp"
#include "feed/outages.hpp"

namespace mp::okx {
namespace {

using namespace std::chrono_literals;
using Patience = SubscribedSockets::Patience;

// Books have a keep-alive every 60 s; open interest comes every 3 s, funding every 30 to 90 s. Trades of an option may
// not come for days, liquidations and changes of the instruments list neither. (A wrong name or path is refused by the
// venue, so its answer can be trusted.)
constexpr Patience kBookPatience{.ack = 10s, .first_data = 30s, .silence_at_least = 90s};
constexpr Patience kTradePatience{.ack = 10s, .silence_at_least = 300s, .only_by_rate = true};
constexpr Patience kFundingPatience{.ack = 10s, .first_data = 180s, .silence_at_least = 300s};
constexpr Patience kOpenInterestPatience{.ack = 10s, .first_data = 60s, .silence_at_least = 60s};
constexpr Patience kSeldom{.ack = 10s, .may_be_silent = true};

// Streams of different groups share no socket.
enum Group : std::uint32_t { kPlainGroup, kBookGroup };

// Keys of polls of one instrument: these and its name.
constexpr const char* kAllAccountPoll = "all-account ";
constexpr const char* kTopPositionPoll = "top-position ";
constexpr const char* kSettledFundingPoll = "settled-funding ";

constexpr const char* kListedKinds[] = {"SPOT", "SWAP", "FUTURES"};
constexpr std::chrono::seconds kInstrumentsEvery = 1h;
constexpr std::chrono::seconds kInstrumentsEveryWhileUnknown = 10min;
constexpr auto kTickersEvery = 1h;
constexpr auto kRatiosEvery = 5min;
// In an answer, at most; of each series the venue keeps the latest 1440.
constexpr int kRatioRows = 100;
constexpr int kRatioRowsKept = 1440;
constexpr int kSettledRows = 400;
constexpr auto kSettledFundingEvery = 30min;
constexpr int kInstrumentsPriority = 100;
constexpr int kBookPriority = 80;
constexpr int kTickersPriority = 60;
constexpr int kStatisticsPriority = 10;

// What has expired is listened to a little longer: our clock and the venue's differ, and its last
// messages are under way. Shorter than the patience with any stream.
constexpr auto kAfterExpiry = 45s;

constexpr auto kBookReplyAtMost = 60s;
constexpr auto kGoodAgainAfter = 60s;
constexpr BackoffPolicy kResyncBackoff{5s, 120s};

std::string extra(const SessionOptions& options, const char* key, const char* fallback) {
  const auto found = options.extra.find(key);
  return found == options.extra.end() ? fallback : found->second;
}

std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> out;
  while (!text.empty()) {
    const auto end = std::min(text.find(','), text.size());
    if (end > 0) out.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

// Options are listed by family only ("BTC-USD"): those that are configured, and those of options that are chosen by
// name or by kind and base.
std::vector<std::string> families(const SessionOptions& options) {
  auto out = split(extra(options, "option_families", ""));
  const auto add = [&](std::string family) {
    if (std::ranges::find(out, family) == out.end()) out.push_back(std::move(family));
  };
  for (const auto& rule : options.symbols.rules) {
    const auto& name = rule.symbol;
    if (std::ranges::count(name, '-') >= 4 && kind_of_name(name) == MarketType::options) {
      const auto family = name.substr(0, name.find('-', name.find('-') + 1));
      if (family.find_first_of("*?") == std::string::npos) add(family);
    } else if (rule.kind == MarketType::options && !rule.base.empty()) {
      add(rule.base + "-" + (rule.quote.empty() ? "USD" : rule.quote));
    }
  }
  return out;
}

std::int64_t millis(WallTime t) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(t.time_since_epoch()).count();
}

std::optional<WallTime> time_in(std::string_view url, std::string_view item) {
  const auto text = query_value(url, item);
  std::int64_t ms = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), ms);
  if (read.ec != std::errc{} || read.ptr != text.data() + text.size()) return std::nullopt;
  const auto time = wall_from_millis(ms);
  return time ? std::optional{*time} : std::nullopt;
}

void notice_to(Outbox& out, Notice::Level level, const char* message, std::string detail) {
  out.notices.push_back({level, message, std::move(detail)});
}

}  // namespace

Conversation::Conversation(const SessionOptions& options, const Publisher& publisher)
    : publisher_(publisher),
      ws_base_(options.ws_base.empty() ? kWsBase : options.ws_base),
      rest_base_(options.rest_base.empty() ? kRestBase : options.rest_base),
      trade_channel_(extra(options, "trade_stream", "trades-all")),
      ratio_period_(extra(options, "ratio_period", "5m")),
      option_families_(families(options)),
      source_(options.source),
      audit_round_(options.book_audit) {}

void Conversation::begin(Instant now, Outbox& out) {
  wake_.begin();
  begun_ = true;
  sockets_.begin();
  polls_.begin();
  audit_round_.begin(now.mono);
  audit_.reset();
  streams_.clear();
  over_.clear();
  next_expiry_.reset();
  resyncs_by_index_.clear();
  kind_streams_.clear();
  ratios_passed_.clear();
  lists_missing_.clear();
  at_start_ = true;
  unresolved_.clear();
  if (publisher_.chooser().selection().empty())
    notice_to(out, Notice::Level::error, "no symbols chosen: nothing is subscribed", "exchange=okx");
  poll_lists(now, out);
  polls_.tick(now, out);
  // What an earlier run knew need not wait for the answer.
  want_chosen(now, out);
  wake_.wish(now.mono + SubscribedSockets::kHousekeeping, out);
}

// ---- what is wanted -------------------------------------------------------------------------------------------

void Conversation::want_chosen(Instant now, Outbox& out) {
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
  // What has expired, or is not chosen any more, frees its streams first.
  for (Index index = 0; index < streams_.size(); ++index)
    if (!is_wanted[index]) drop_instrument(index, now, out);
  std::set<std::string_view> kinds;
  for (const auto index : chosen) {
    if (!is_wanted[index]) continue;
    want_instrument(index, now, out);
    kinds.insert(inst_type_of(*catalogue.ref(index)));
  }
  want_kinds(kinds, now, out);
}

void Conversation::want_instrument(Index index, Instant now, Outbox& out) {
  const auto& id = *publisher_.catalogue().ref(index);
  const bool derivative = id.market_type != MarketType::spot;
  const bool perpetual = id.market_type == MarketType::perpetual;
  const auto subscribe = [&](Channel which, std::string_view channel, const Patience& patience, Group group) {
    auto& stream = streams_of(index).ids[which];
    if (stream == kNoStream) stream = want(channel, id.instrument, patience, group, now, out);
  };
  if (publisher_.wants_books()) subscribe(kBook, "books", kBookPatience, kBookGroup);
  if (publisher_.wants(DataType::trade)) subscribe(kTrade, trade_channel_, kTradePatience, kPlainGroup);
  if (perpetual && publisher_.wants(DataType::funding_rate))
    subscribe(kFunding, "funding-rate", kFundingPatience, kPlainGroup);
  if (derivative && publisher_.wants(DataType::open_interest))
    subscribe(kOpenInterest, "open-interest", kOpenInterestPatience, kPlainGroup);
  poll_statistics(index, now, out);
}

// Channels of a whole kind of instruments, for those kinds that something is wanted of.
void Conversation::want_kinds(const std::set<std::string_view>& kinds, Instant now, Outbox& out) {
  std::vector<std::pair<const char*, std::string_view>> wanted;
  for (const auto kind : kinds) {
    wanted.emplace_back("instruments", kind);
    if (kind != "SPOT" && publisher_.wants(DataType::liquidation)) wanted.emplace_back("liquidation-orders", kind);
  }
  std::erase_if(kind_streams_, [&](const auto& each) {
    const bool stays =
        std::ranges::any_of(wanted, [&](const auto& of) { return stream_name(of.first, of.second) == each.first; });
    if (!stays) sockets_.drop(each.second, now, out);
    return !stays;
  });
  for (const auto& [channel, kind] : wanted) {
    auto name = stream_name(channel, kind);
    if (kind_stream(name)) continue;
    const auto stream = want(channel, kind, kSeldom, kPlainGroup, now, out);
    kind_streams_.emplace_back(std::move(name), stream);
  }
}

std::optional<Conversation::StreamId> Conversation::kind_stream(std::string_view name) const {
  const auto found = std::ranges::find(kind_streams_, name, &std::pair<std::string, StreamId>::first);
  return found == kind_streams_.end() ? std::nullopt : std::optional{found->second};
}

void Conversation::drop_instrument(Index index, Instant now, Outbox& out) {
  if (index >= streams_.size()) return;
  for (auto& stream : streams_[index].ids) {
    if (stream == kNoStream) continue;
    sockets_.drop(stream, now, out);
    stream = kNoStream;
  }
  const auto& name = publisher_.catalogue().ref(index)->instrument;
  for (const char* what : {kAllAccountPoll, kTopPositionPoll, kSettledFundingPoll}) polls_.remove(what + name);
}

Conversation::StreamId Conversation::want(std::string_view channel, std::string_view of, const Patience& patience,
                                          std::uint32_t group, Instant now, Outbox& out) {
  SubscribedSockets::Wanted wanted;
  wanted.url = socket_url(channel);
  wanted.name = stream_name(channel, of);
  wanted.patience = patience;
  wanted.group = group;
  if (group == kBookGroup) wanted.streams_per_socket = OkxDialect::kBooksPerSocket;
  return sockets_.want(wanted, now, out);
}

// trades-all is on /business; on the wrong path it is refused (60018, 64001).
std::string Conversation::socket_url(std::string_view channel) const {
  return ws_base_ + (channel == "trades-all" ? "/ws/v5/business" : "/ws/v5/public");
}

bool Conversation::wants(Channel channel) const {
  switch (channel) {
    case kBook: return publisher_.wants_books();
    case kTrade: return publisher_.wants(DataType::trade);
    case kFunding: return publisher_.wants(DataType::funding_rate);
    case kOpenInterest: return publisher_.wants(DataType::open_interest);
    case kChannels: break;
  }
  return false;
}

void Conversation::reconfigure(const SessionOptions& options, Instant now, Outbox& out) {
  option_families_ = families(options);
  if (!begun_) return;
  for (Index index = 0; index < streams_.size(); ++index) {
    for (std::size_t channel = 0; channel < kChannels; ++channel) {
      auto& stream = streams_[index].ids[channel];
      if (stream == kNoStream || wants(static_cast<Channel>(channel))) continue;
      sockets_.drop(stream, now, out);
      stream = kNoStream;
    }
    const auto& name = publisher_.catalogue().ref(index)->instrument;
    if (!publisher_.wants(DataType::lsr_all_account)) polls_.remove("all-account " + name);
    if (!publisher_.wants(DataType::lsr_top_position)) polls_.remove("top-position " + name);
    if (!publisher_.wants(DataType::funding_rate)) polls_.remove("settled-funding " + name);
  }
  // A mistaken name is told; it is no reason to end what is running.
  at_start_ = false;
  choice_is_new_ = true;
  lists_missing_.clear();
  // What is known already need not wait for the lists.
  want_chosen(now, out);
  poll_lists(now, out);
  polls_.tick(now, out);
  wake_.wish(now.mono + SubscribedSockets::kHousekeeping, out);
}

// ---- polls ----------------------------------------------------------------------------------------------------

void Conversation::add_poll(std::string key, Endpoint endpoint, std::function<std::string(Instant)> query,
                            std::chrono::seconds period, int priority, Instant now, Outbox& out) {
  if (polls_.has(key)) return;
  PollSchedule::Poll poll;
  poll.key = std::move(key);
  poll.url = [base = rest_base_ + std::string(path_of(endpoint)) + "?", query = std::move(query)](Instant at) {
    return base + query(at);
  };
  poll.period = period;
  if (priority >= kTickersPriority) poll.first_within = 0s;
  poll.charges = charges_of(endpoint);
  poll.priority = priority;
  polls_.add(std::move(poll), now, out);
}

// Rules by volume need the volumes before the lists.
void Conversation::poll_lists(Instant now, Outbox& out) {
  const bool by_volume = publisher_.chooser().selection().by_volume();
  for (const std::string kind : kListedKinds) {
    lists_missing_.push_back("instruments " + kind);
    if (!by_volume) {
      polls_.remove("tickers " + kind);
      poll_list(kind, "", now, out);
    } else if (polls_.has("tickers " + kind)) {
      polls_.hurry("tickers " + kind, now, out);  // the list follows
    } else {
      add_poll(
          "tickers " + kind, Endpoint::tickers, [kind](Instant) { return "instType=" + kind; }, kTickersEvery,
          kTickersPriority, now, out);
    }
  }
  // Options are listed by family.
  for (const auto& family : option_families_) {
    lists_missing_.push_back("instruments OPTION " + family);
    poll_list("OPTION", family, now, out);
  }
}

void Conversation::poll_list(const std::string& kind, const std::string& family, Instant now, Outbox& out) {
  auto query = "instType=" + kind + (family.empty() ? "" : "&instFamily=" + family);
  const auto key = "instruments " + kind + (family.empty() ? "" : " " + family);
  // The volumes are new: choose again by them.
  if (polls_.has(key)) return polls_.hurry(key, now, out);
  add_poll(
      key, Endpoint::instruments, [query = std::move(query)](Instant) { return query; }, kInstrumentsEvery,
      kInstrumentsPriority, now, out);
}

// Once every list has come: what chose nothing.
void Conversation::look_at_choice(Instant now, Outbox& out) {
  if (!lists_missing_.empty()) return;
  const auto& chooser = publisher_.chooser();
  unresolved_ = chooser.unresolved(publisher_.catalogue());
  const bool is_first = std::exchange(at_start_, false);
  if (is_first || std::exchange(choice_is_new_, false)) tell_unresolved(unresolved_, source_, is_first, out);
  for (const std::string kind : kListedKinds)
    polls_.set_period("instruments " + kind, unresolved_.empty() ? kInstrumentsEvery : kInstrumentsEveryWhileUnknown,
                      now, out);
}

void Conversation::poll_statistics(Index index, Instant now, Outbox& out) {
  const auto& id = *publisher_.catalogue().ref(index);
  if (id.market_type != MarketType::perpetual && id.market_type != MarketType::futures) return;
  const auto& name = id.instrument;
  const auto ratio = [&](DataType type, const char* what, Endpoint endpoint) {
    if (!publisher_.wants(type)) return;
    add_poll(
        what + name, endpoint,
        [this, index, type, key = what + name](Instant at) { return ratio_query(index, type, key, at); }, kRatiosEvery,
        kStatisticsPriority, now, out);
  };
  ratio(DataType::lsr_all_account, kAllAccountPoll, Endpoint::all_account_ratio);
  ratio(DataType::lsr_top_position, kTopPositionPoll, Endpoint::top_position_ratio);
  if (id.market_type == MarketType::perpetual && publisher_.wants(DataType::funding_rate))
    add_poll(
        kSettledFundingPoll + name, Endpoint::funding_rate_history,
        [this, index, name](Instant) {
          const auto last = publisher_.last_row(index, DataType::funding_rate);
          if (!last) return fmt::format("instId={}&limit=2", name);
          // `before` is "newer than" with OKX.
          return fmt::format("instId={}&before={}&limit={}", name, millis(*last), kSettledRows);
        },
        kSettledFundingEvery, kStatisticsPriority, now, out);
}

// What is newer than the last row that is known, the very first time the last two. An answer holds the newest rows of
// what is asked for: after a long outage it is asked for piece by piece, from the oldest on.
std::string Conversation::ratio_query(Index index, DataType type, const std::string& key, Instant now) const {
  auto query = fmt::format("instId={}&period={}", publisher_.catalogue().ref(index)->instrument, ratio_period_);
  const auto last = publisher_.last_row(index, type);
  if (!last) return query + "&limit=2";
  auto from = *last;
  std::string until;
  if (const auto length = period_length(ratio_period_)) {
    const auto passed = ratios_passed_.find(key);
    if (passed != ratios_passed_.end()) from = std::max(from, passed->second);
    from = std::max(from, now.wall - *length * kRatioRowsKept);
    // `begin` and `end` are themselves left out.
    const auto end = from + *length * kRatioRows + 1ms;  // not a row more than an answer holds
    if (end < now.wall) until = fmt::format("&end={}", millis(end));
  }
  return query + fmt::format("&begin={}{}&limit={}", millis(from), until, kRatioRows);
}

void Conversation::ratios_answered(std::string_view url, const std::string& key, Instant now, Outbox& out) {
  const auto end = time_in(url, "end");
  if (key.empty() || !end) return;
  // It may have held nothing; that time is not asked for again.
  ratios_passed_.insert_or_assign(key, *end - 1ms);
  polls_.hurry(key, now, out);
}

void Conversation::answered(std::string_view url, bool usable, std::string_view why, Instant now, Outbox& out) {
  const auto endpoint = endpoint_of(url);
  if (endpoint == Endpoint::books) {
    const auto index = publisher_.catalogue().find(query_value(url, "instId"));
    if (!index) return;
    auto& resync = resync_of(*index);
    // A new subscription had brought updates and no snapshot, and this answer did what it should have done.
    const bool asked = std::exchange(resync.rest_under_way, false);
    const auto* book = publisher_.book_of(*index);
    if (asked && usable && book && !book->chained().wants_snapshot()) snapshots_by_rest_ = true;
    if (!asked && usable && book) look_after_book(*index, now, out);  // it may have shown that the book was wrong
    if (!usable)
      notice_to(out, Notice::Level::warning, "a book's answer could not be used",
                fmt::format("symbol={} reason=\"{}\"", query_value(url, "instId"), shortened(why)));
    return;
  }
  if (!usable) return polls_.failed(url, why, now, out);
  const std::string answered_key(polls_.find(url).value_or(""));
  polls_.answered(url, now, out);
  if (endpoint == Endpoint::all_account_ratio || endpoint == Endpoint::top_position_ratio)
    return ratios_answered(url, answered_key, now, out);
  if (endpoint == Endpoint::tickers) {
    poll_list(std::string(query_value(url, "instType")), "", now, out);
    polls_.tick(now, out);
  }
  if (endpoint != Endpoint::instruments) return;
  std::erase(lists_missing_, answered_key);
  want_chosen(now, out);
  look_at_choice(now, out);
}

void Conversation::failed(std::string_view url, std::string_view reason, Instant now, Outbox& out) {
  if (endpoint_of(url) == Endpoint::books) {
    const auto name = query_value(url, "instId");
    notice_to(out, Notice::Level::warning, "a book could not be asked for",
              fmt::format("symbol={} reason=\"{}\"", name, shortened(reason)));
    if (const auto index = publisher_.catalogue().find(name)) resync_of(*index).rest_under_way = false;
    return;
  }
  polls_.failed(url, reason, now, out);
}

// ---- connections ----------------------------------------------------------------------------------------------

void Conversation::opened(ConnectionId connection, std::string_view url, Instant now, Outbox& out) {
  sockets_.opened(connection, url, now, out);
}

void Conversation::closed(ConnectionId connection, Instant now, Outbox& out) { sockets_.closed(connection, now, out); }

void Conversation::subscribed(ConnectionId connection, const Frame& frame, Instant now, Outbox& out) {
  const auto of = frame.inst_id.empty() ? frame.inst_type : frame.inst_id;
  sockets_.confirmed(connection, stream_name(frame.channel, of), now, out);
}

void Conversation::unsubscribed(ConnectionId connection, const Frame& frame, Instant now, Outbox& out) {
  const auto of = frame.inst_id.empty() ? frame.inst_type : frame.inst_id;
  sockets_.unsubscribed(connection, stream_name(frame.channel, of), now, out);
}

namespace {

// The stream is told in words only: "Wrong URL or channel:books,instId:NOPE-USDT-SWAP doesn't exist. …".
std::string stream_of_error(std::string_view message) {
  const auto after = [&](std::string_view key) -> std::string_view {
    const auto at = message.find(key);
    if (at == std::string_view::npos) return {};
    const auto rest = message.substr(at + key.size());
    return rest.substr(0, rest.find_first_of(", "));
  };
  const auto channel = after("channel:");
  const auto instrument = after("instId:");
  const auto of = instrument.empty() ? after("instType:") : instrument;
  return channel.empty() || of.empty() ? "" : stream_name(channel, of);
}

}  // namespace

void Conversation::error(ConnectionId connection, const Frame& frame, Instant now, Outbox& out) {
  SubscribedSockets::Refusal refusal;
  refusal.connection = connection;
  std::uint64_t id = 0;
  const auto* const end = frame.request_id.data() + frame.request_id.size();
  const auto read = std::from_chars(frame.request_id.data(), end, id);
  if (read.ec == std::errc{} && read.ptr == end) refusal.request_id = id;
  const auto name = stream_of_error(frame.message);
  if (!name.empty() && sockets_.find(name)) refusal.name = name;
  refusal.why = fmt::format("code={} message=\"{}\"", frame.code, shortened(frame.message));
  // "Requests too frequent"
  if (frame.code == "60014") refusal.again_after = 30s;
  sockets_.refused(refusal, now, out);
}

void Conversation::notice(ConnectionId connection, const Frame& frame, Instant now, Outbox& out) {
  notice_to(out, Notice::Level::info, "the venue has a notice",
            fmt::format("connection={} code={} message=\"{}\"", connection, frame.code, shortened(frame.message)));
  // A service upgrade: the connection is cut in about 60 s.
  if (frame.code == "64008") sockets_.replace(connection, now, out);
}

// ---- data -----------------------------------------------------------------------------------------------------

void Conversation::data(ConnectionId connection, const Frame& frame, Instant now, Outbox& out) {
  const auto mark = [&](Channel which) -> std::optional<Index> {
    const auto index = publisher_.catalogue().find(frame.inst_id);
    if (!index || *index >= streams_.size()) return std::nullopt;
    const auto stream = streams_[*index].ids[which];
    if (stream != kNoStream) sockets_.data(connection, stream, now);
    return index;
  };
  switch (frame.kind) {
    case Frame::Kind::book:
      if (frame.snapshot) snapshots_by_rest_ = false;
      if (const auto index = mark(kBook)) look_after_book(*index, now, out);
      return;
    case Frame::Kind::trades: mark(kTrade); return;
    case Frame::Kind::funding: mark(kFunding); return;
    case Frame::Kind::open_interest: mark(kOpenInterest); return;
    case Frame::Kind::liquidations:
    case Frame::Kind::instruments:
      for (const auto& [name, stream] : kind_streams_) {
        const std::string_view text = name;
        if (text.starts_with(frame.channel) && text.ends_with(frame.inst_type)) sockets_.data(connection, stream, now);
      }
      if (frame.kind == Frame::Kind::instruments) want_chosen(now, out);
      return;
    case Frame::Kind::pong:
    case Frame::Kind::subscribed:
    case Frame::Kind::unsubscribed:
    case Frame::Kind::error:
    case Frame::Kind::notice:
    case Frame::Kind::unmapped: return;
  }
}

// ---- lost books -----------------------------------------------------------------------------------------------

// A lost book's stream alone is subscribed again, which brings a snapshot. Should that bring updates and no snapshot
// (announced by the venue), the snapshot is asked for by REST, then and for every book after it.
void Conversation::look_after_book(Index index, Instant now, Outbox& out) {
  const auto* book = publisher_.book_of(index);
  if (!book) return;
  if (!book->chained().wants_snapshot()) return;
  const auto stream = stream_of(index, DataType::orderbook_delta);
  if (!stream || !sockets_.has_data(*stream)) return;
  auto& resync = resync_of(index);
  resync.good_since.reset();
  if (resync.rest_under_way || now.mono < resync.not_before) return;
  ++resyncs_;
  const bool by_rest = snapshots_by_rest_ || resync.attempt > 0;
  resync.not_before = now.mono + backoff(kResyncBackoff, ++resync.attempt, index);
  if (by_rest)
    ask_book(index, now, out);
  else
    sockets_.resubscribe(*stream, now, out);
}

void Conversation::ask_book(Index index, Instant now, Outbox& out) {
  auto& resync = resync_of(index);
  resync.rest_under_way = true;
  resync.rest_asked_at = now.mono;
  auto request = book_request(index);
  request.priority = kBookPriority;
  out.requests.push_back(std::move(request));
}

RestRequest Conversation::book_request(Index index) const {
  RestRequest request;
  request.url = fmt::format("{}{}?instId={}&sz=400", rest_base_, path_of(Endpoint::books),
                            publisher_.catalogue().ref(index)->instrument);
  request.charges = charges_of(Endpoint::books);
  return request;
}

void Conversation::audit_books(Instant now, Outbox& out) {
  const auto& doubted = publisher_.audits().doubted();
  const auto again = doubted ? publisher_.catalogue().find(doubted->instrument) : std::nullopt;
  const auto index = audit_round_.due(streams_.size(), again, now.mono, [&](Index each) {
    const auto* book = publisher_.book_of(each);
    return streams_[each].ids[kBook] != kNoStream && book && book->chained().good();
  });
  if (!index) return;
  audit_ = index;
  auto request = book_request(*index);
  request.priority = AuditRound::kPriority;
  request.percent_at_most = AuditRound::kPercentAtMost;
  out.requests.push_back(std::move(request));
}

// The slow path: requests that were never answered, and books good for long enough to begin anew with patience.
void Conversation::look_after_books(Instant now, Outbox& out) {
  for (Index index = 0; index < resyncs_by_index_.size(); ++index) {
    auto& resync = resyncs_by_index_[index];
    if (resync.rest_under_way && now.mono - resync.rest_asked_at > kBookReplyAtMost) resync.rest_under_way = false;
    if (resync.attempt == 0) continue;
    const auto* book = publisher_.book_of(index);
    if (!book || book->chained().wants_snapshot()) {
      look_after_book(index, now, out);
    } else if (!resync.good_since) {
      resync.good_since = now.mono;
    } else if (now.mono - *resync.good_since > kGoodAgainAfter) {
      resync = {};
    }
  }
}

// ---- the clock ------------------------------------------------------------------------------------------------

void Conversation::tick(Instant now, Outbox& out) {
  wake_.woken();
  if (next_expiry_ && now.wall >= *next_expiry_ + kAfterExpiry) want_chosen(now, out);
  sockets_.tick(now, out);
  polls_.tick(now, out);
  look_after_books(now, out);
  audit_books(now, out);
  wake_.wish(now.mono + SubscribedSockets::kHousekeeping, out);
}

// ---- by instrument --------------------------------------------------------------------------------------------

Conversation::Streams& Conversation::streams_of(Index index) {
  if (streams_.size() <= index) streams_.resize(index + 1);
  return streams_[index];
}

Conversation::Resync& Conversation::resync_of(Index index) {
  if (resyncs_by_index_.size() <= index) resyncs_by_index_.resize(index + 1);
  return resyncs_by_index_[index];
}

std::optional<Conversation::StreamId> Conversation::stream_of(Index index, DataType type) const {
  if (index >= streams_.size()) return std::nullopt;
  const auto of = [&](Channel which) -> std::optional<StreamId> {
    const auto stream = streams_[index].ids[which];
    return stream == kNoStream ? std::nullopt : std::optional{stream};
  };
  switch (type) {
    case DataType::orderbook:
    case DataType::orderbook_delta: return of(kBook);
    case DataType::trade: return of(kTrade);
    case DataType::funding_rate: return of(kFunding);
    case DataType::open_interest: return of(kOpenInterest);
    case DataType::liquidation:
      return kind_stream(stream_name("liquidation-orders", inst_type_of(*publisher_.catalogue().ref(index))));
    case DataType::lsr_top_position:
    case DataType::lsr_all_account:
    case DataType::volatility_index:
    case DataType::gap:
    case DataType::rejected:
    case DataType::instrument: return std::nullopt;
  }
  return std::nullopt;
}

StreamState Conversation::state(Index index, DataType type) const {
  const auto stream = stream_of(index, type);
  if (stream) return sockets_.state(*stream);
  const auto& name = publisher_.catalogue().ref(index)->instrument;
  if (type == DataType::lsr_all_account) return polls_.state(kAllAccountPoll + name);
  if (type == DataType::lsr_top_position) return polls_.state(kTopPositionPoll + name);
  return StreamState::waiting;
}

std::uint64_t Conversation::reconnects(Index index, DataType type) const {
  const auto stream = stream_of(index, type);
  return stream ? sockets_.reconnects(*stream) : 0;
}

}  // namespace mp::okx
