#include "exchanges/binance/conversation.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/backoff.hpp"
#include "base/text.hpp"

namespace mp::binance {
namespace {

using namespace std::chrono_literals;
using Patience = SubscribedSockets::Patience;

constexpr SubscribedSockets::StreamId kNoStream = UINT32_MAX;
constexpr auto kHousekeeping = 1s;
constexpr auto kRequestTimeout = 60s;  // the driver answers or fails each request; this is for one that does not
constexpr const char* kInfoPoll = "exchangeInfo";
constexpr const char* kVolumesPoll = "ticker/24hr";
constexpr std::chrono::seconds kInfoEvery = 24h;
constexpr std::chrono::seconds kInfoEveryWhileUnknown = 10min;
// A snapshot is asked for once updates flow, so that it can be aligned; a quiet symbol's after this.
constexpr auto kSnapshotWithoutData = 3s;
constexpr auto kGoodAgainAfter = 60s;
constexpr BackoffPolicy kRestBackoff{1s, 60s};

constexpr int kInfoPriority = 100;
constexpr int kSnapshotPriority = 50;

// Books of traded instruments change many times a second; trades of a quiet one may not come for minutes.
constexpr Patience kDepthPatience{.ack = 10s, .first_data = 30s, .silence_at_least = 30s};
// Many pairs are not traded for minutes or hours.
constexpr Patience kTradePatience{.ack = 10s, .silence_at_least = 120s, .only_by_rate = true};

std::string lower(std::string_view text) {
  std::string out(text);
  for (auto& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

std::string percent_encoded(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' ||
                       c == '-' || c == '.' || c == '~';
    if (plain)
      out.push_back(c);
    else
      fmt::format_to(std::back_inserter(out), "%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

std::string percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 && hex_digit(text[i + 2]) >= 0) {
      out.push_back(static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2])));
      i += 2;
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

std::string extra(const SessionOptions& options, const char* key, const char* fallback) {
  const auto found = options.extra.find(key);
  return found == options.extra.end() ? fallback : found->second;
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
      ws_query_(extra(options, "time_unit", "ms") == "us" ? "?timeUnit=MICROSECOND" : ""),
      trade_channel_(extra(options, "trade_stream", "aggTrade")),
      depth_channel_("depth@" + extra(options, "depth_speed", "100ms")) {
  const auto limit = extra(options, "snapshot_limit", "1000");
  for (const int known : {5, 10, 20, 50, 100, 500, 1000, 5000})
    if (limit == std::to_string(known)) snapshot_limit_ = known;
}

// ---- the catalogue --------------------------------------------------------------------------------------------

void Conversation::begin(Instant now, Outbox& out) {
  wake_.begin();
  sockets_.begin();
  trade_stream_by_index_.clear();
  depth_stream_by_index_.clear();
  snapshots_.clear();
  wanted_.clear();
  under_way_ = 0;
  next_snapshot_ = now.mono;
  polls_.begin();
  at_start_ = true;
  unresolved_.clear();
  if (publisher_.chooser().selection().empty() && !told_no_symbols_) {
    told_no_symbols_ = true;
    notice(out, Notice::Level::error, "no symbols chosen: nothing is subscribed", "");
  }
  // A choice by volume needs the volumes before the list.
  if (publisher_.chooser().selection().by_volume())
    polls_.add({.key = kVolumesPoll,
                .url = [this](Instant) { return rest_base_ + facts(market_).ticker_path; },
                .period = kInfoEvery,
                .first_within = 0s,
                .charges = {weight_charge(market_, facts(market_).ticker_weight)},
                .priority = kInfoPriority},
               now, out);
  else
    poll_list(now, out);
  polls_.tick(now, out);
  // What an earlier run knew need not wait for the answer.
  open_chosen(now, out);
  wake_.wish(now.mono + kHousekeeping, out);
}

void Conversation::poll_list(Instant now, Outbox& out) {
  polls_.add({.key = kInfoPoll,
              .url = [this](Instant) { return rest_base_ + facts(market_).exchange_info_path; },
              .period = kInfoEvery,
              .first_within = 0s,
              .charges = {weight_charge(market_, facts(market_).exchange_info_weight)},
              .priority = kInfoPriority},
             now, out);
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
  for (const auto index : chooser.chosen()) {
    const auto& definition = publisher_.catalogue().definition(index);
    if (definition.status != "TRADING")
      notice(out, Notice::Level::warning, "symbol is not trading",
             fmt::format("symbol={} status={}", definition.meta.instrument->symbol, definition.status));
  }
  polls_.set_period(kInfoPoll, unresolved_.empty() ? kInfoEvery : kInfoEveryWhileUnknown, now, out);
  open_chosen(now, out);
}

void Conversation::poll_failed(std::string_view url, std::string_view reason, Instant now, Outbox& out) {
  polls_.failed(url, reason, now, out);
}

// ---- sockets and subscriptions --------------------------------------------------------------------------------

std::optional<Conversation::StreamId> Conversation::stream_of(Index index, DataType type) const {
  const auto& by_index = type == DataType::trade ? trade_stream_by_index_ : depth_stream_by_index_;
  if (index >= by_index.size() || by_index[index] == kNoStream) return std::nullopt;
  return by_index[index];
}

void Conversation::want_stream(Index index, DataType type, Instant now, Outbox& out) {
  const bool trade = type == DataType::trade;
  // Futures: raw trades are served where depth is, aggregated ones elsewhere.
  const auto* path = trade && trade_channel_ != "trade" ? facts(market_).trade_socket : facts(market_).depth_socket;
  const auto& venue_symbol = publisher_.catalogue().ref(index)->instrument;
  auto& by_index = trade ? trade_stream_by_index_ : depth_stream_by_index_;
  if (by_index.size() <= index) by_index.resize(index + 1, kNoStream);
  by_index[index] = sockets_.want({.url = ws_base_ + path + ws_query_,
                                   .name = lower(venue_symbol) + "@" + (trade ? trade_channel_ : depth_channel_),
                                   .patience = trade ? kTradePatience : kDepthPatience},
                                  now, out);
}

// What the chosen symbols need and have not yet.
void Conversation::open_chosen(Instant now, Outbox& out) {
  for (const auto type : {DataType::orderbook_delta, DataType::trade}) {
    if (type == DataType::trade ? !publisher_.publishes_trades() : !publisher_.publishes_books()) continue;
    for (const auto index : publisher_.chooser().chosen())
      if (!stream_of(index, type)) want_stream(index, type, now, out);
  }
}

void Conversation::opened(ConnectionId connection, std::string_view url, Instant now, Outbox& out) {
  sockets_.opened(connection, url, now, out);
}

void Conversation::closed(ConnectionId connection, Instant now, Outbox& out) {
  sockets_.closed(connection, now, out);
}

void Conversation::data(ConnectionId connection, Index index, DataType type, Instant now, Outbox& out) {
  if (const auto stream = stream_of(index, type)) sockets_.data(connection, *stream, now);
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
  if (!stream_of(index, DataType::orderbook_delta)) return;
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
    out.requests.push_back({.url = fmt::format("{}{}?symbol={}&limit={}", rest_base_, facts(market_).depth_path,
                                               percent_encoded(symbol), snapshot_limit_),
                            .charges = {weight_charge(market_, depth_weight(market_, snapshot_limit_))},
                            .priority = kSnapshotPriority});
  }
}

std::optional<std::string> Conversation::symbol_of_depth_url(std::string_view url) {
  const auto question = url.find('?');
  if (question == std::string_view::npos || !url.substr(0, question).ends_with("/depth")) return std::nullopt;
  auto query = url.substr(question + 1);
  while (!query.empty()) {
    const auto end = std::min(query.find('&'), query.size());
    const auto item = query.substr(0, end);
    if (item.starts_with("symbol=")) return percent_decoded(item.substr(7));
    query.remove_prefix(std::min(end + 1, query.size()));
  }
  return std::nullopt;
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
  for (Index index = 0; index < depth_stream_by_index_.size(); ++index) {
    const auto stream = depth_stream_by_index_[index];
    if (stream == kNoStream) continue;
    auto& snapshot = snapshot_of(index);
    const auto* feed = publisher_.depth_of(index);
    const bool good = feed && feed->good();
    if (snapshot.under_way && now.mono - snapshot.asked_at > kRequestTimeout) {
      snapshot_failed(publisher_.catalogue().ref(index)->instrument, "no answer", now, out);
    } else if (!good && !snapshot.wanted && !snapshot.under_way) {
      const auto confirmed = sockets_.confirmed_at(stream);
      const bool long_enough = confirmed && now.mono - *confirmed >= kSnapshotWithoutData;
      if (sockets_.has_data(stream) || long_enough) want_snapshot(index, now, out);
    } else if (good && snapshot.good_since && now.mono - *snapshot.good_since > kGoodAgainAfter) {
      snapshot.attempt = 0;
      snapshot.good_since.reset();
    }
  }
  ask_snapshots(now, out);
}

// ---- the clock ------------------------------------------------------------------------------------------------

void Conversation::tick(Instant now, Outbox& out) {
  wake_.woken();
  polls_.tick(now, out);
  sockets_.tick(now, out);
  look_for_snapshots(now, out);
  wake_.wish(now.mono + kHousekeeping, out);
}

// ---- for /health ----------------------------------------------------------------------------------------------

StreamState Conversation::state(Index index, DataType type) const {
  const auto stream = stream_of(index, type);
  return stream ? sockets_.state(*stream) : StreamState::waiting;
}

std::uint64_t Conversation::reconnects(Index index, DataType type) const {
  const auto stream = stream_of(index, type);
  return stream ? sockets_.reconnects(*stream) : 0;
}

}  // namespace mp::binance
