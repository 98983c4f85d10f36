#include "exchanges/binance/conversation.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/backoff.hpp"
#include "base/text.hpp"

namespace mp::binance {
namespace {

using namespace std::chrono_literals;
using Patience = SubscriptionLedger::Patience;

constexpr SubscriptionLedger::StreamId kNoStream = UINT32_MAX;
constexpr auto kHousekeeping = 1s;
constexpr auto kRequestTimeout = 60s;  // the driver answers or fails each request; this is for one that does not
constexpr auto kInfoEvery = 24h;
constexpr auto kInfoEveryWhileUnknown = 10min;
// A connection lives 24 h at most; it is replaced before the venue ends it.
constexpr auto kConnectionLife = 23h + 50min;
// A snapshot is asked for once updates flow, so that it can be aligned; a quiet symbol's after this.
constexpr auto kSnapshotWithoutData = 3s;
constexpr auto kGoodAgainAfter = 60s;
constexpr BackoffPolicy kRestBackoff{1s, 60s};

constexpr int kInfoPriority = 100;
constexpr int kSnapshotPriority = 50;

// Books of traded instruments change many times a second; trades of a quiet one may not come for minutes.
constexpr Patience kDepthPatience{.ack = 10s, .first_data = 30s, .silence_at_least = 30s};
constexpr Patience kTradePatience{.ack = 10s, .first_data = 120s, .silence_at_least = 120s};

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
      ws_base_(options.ws_base.empty() ? facts(market).ws_base : options.ws_base),
      rest_base_(options.rest_base.empty() ? facts(market).rest_base : options.rest_base),
      ws_query_(extra(options, "time_unit", "ms") == "us" ? "?timeUnit=MICROSECOND" : ""),
      trade_channel_(extra(options, "trade_stream", "aggTrade")),
      depth_channel_("depth@" + extra(options, "depth_speed", "100ms")) {
  const auto limit = extra(options, "snapshot_limit", "1000");
  for (const int known : {5, 10, 20, 50, 100, 500, 1000, 5000})
    if (limit == std::to_string(known)) snapshot_limit_ = known;
}

void Conversation::wish(MonoTime at, Outbox& out) {
  if (wake_at_ && *wake_at_ <= at) return;
  wake_at_ = at;
  out.wake_at = at;
}

// ---- the catalogue --------------------------------------------------------------------------------------------

void Conversation::begin(Instant now, Outbox& out) {
  sockets_.clear();
  streams_.clear();
  ledger_ = {};
  trade_stream_by_index_.clear();
  depth_stream_by_index_.clear();
  snapshots_.clear();
  wanted_.clear();
  under_way_ = 0;
  next_snapshot_ = now.mono;
  info_under_way_ = false;
  info_attempt_ = 0;
  wake_at_.reset();
  if (publisher_.catalogue().chosen().empty() && !told_no_symbols_) {
    told_no_symbols_ = true;
    notice(out, Notice::Level::error, "no symbols chosen: nothing is subscribed", "");
  }
  ask_exchange_info(now, out);
  // What an earlier run knew need not wait for the answer.
  open_chosen(out);
  wish(now.mono + kHousekeeping, out);
}

void Conversation::ask(std::string url, int weight, int priority, Outbox& out) const {
  RestRequest request;
  request.url = std::move(url);
  request.weight = weight;
  request.budget = facts(market_).budget;
  request.priority = priority;
  request.used_weight_header = kUsedWeightHeader;
  request.budget_per_minute = facts(market_).weight_per_minute;
  out.requests.push_back(std::move(request));
}

void Conversation::ask_exchange_info(Instant now, Outbox& out) {
  info_under_way_ = true;
  info_asked_at_ = now.mono;
  next_info_.reset();
  ask(rest_base_ + facts(market_).exchange_info_path, facts(market_).exchange_info_weight, kInfoPriority, out);
}

void Conversation::exchange_info(bool readable, Instant now, Outbox& out) {
  if (!readable) return exchange_info_failed("unreadable answer", now, out);
  info_under_way_ = false;
  info_attempt_ = 0;
  bool all_known = true;
  for (const auto& name : publisher_.catalogue().chosen()) {
    const auto index = publisher_.catalogue().find_chosen(name);
    if (!index) {
      all_known = false;
      const auto near = nearest(name, publisher_.catalogue().names());
      notice(out, Notice::Level::error, "unknown symbol: nothing is collected for it",
             fmt::format("symbol={}{}", name, near.empty() ? "" : " did_you_mean=" + near));
    } else if (publisher_.catalogue().definition(*index).status != "TRADING") {
      notice(out, Notice::Level::warning, "symbol is not trading",
             fmt::format("symbol={} status={}", name, publisher_.catalogue().definition(*index).status));
    }
  }
  next_info_ = now.mono + (all_known ? std::chrono::nanoseconds{kInfoEvery} : kInfoEveryWhileUnknown);
  open_chosen(out);
}

void Conversation::exchange_info_failed(std::string_view reason, Instant now, Outbox& out) {
  info_under_way_ = false;
  ++info_attempt_;
  next_info_ = now.mono + backoff(kRestBackoff, info_attempt_, 0);
  notice(out, Notice::Level::warning, "the list of instruments could not be read",
         fmt::format("reason=\"{}\" attempt={}", reason, info_attempt_));
  wish(*next_info_, out);
}

// ---- sockets and subscriptions --------------------------------------------------------------------------------

std::optional<Conversation::StreamId> Conversation::stream_of(Index index, DataType type) const {
  const auto& by_index = type == DataType::trade ? trade_stream_by_index_ : depth_stream_by_index_;
  if (index >= by_index.size() || by_index[index] == kNoStream) return std::nullopt;
  return by_index[index];
}

Conversation::StreamId Conversation::add_stream(Index index, DataType type) {
  const bool trade = type == DataType::trade;
  const auto id = ledger_.add(trade ? kTradePatience : kDepthPatience);
  const auto& venue_symbol = publisher_.catalogue().ref(index)->instrument;
  streams_.push_back({lower(venue_symbol) + "@" + (trade ? trade_channel_ : depth_channel_), index, type});
  auto& by_index = trade ? trade_stream_by_index_ : depth_stream_by_index_;
  if (by_index.size() <= index) by_index.resize(index + 1, kNoStream);
  by_index[index] = id;
  return id;
}

// Opens what the chosen symbols need and have not yet.
void Conversation::open_chosen(Outbox& out) {
  std::vector<StreamId> depth;
  std::vector<StreamId> trades;
  for (const auto& name : publisher_.catalogue().chosen()) {
    const auto index = publisher_.catalogue().find_chosen(name);
    if (!index) continue;
    if (publisher_.publishes_books() && !stream_of(*index, DataType::orderbook_delta))
      depth.push_back(add_stream(*index, DataType::orderbook_delta));
    if (publisher_.publishes_trades() && !stream_of(*index, DataType::trade))
      trades.push_back(add_stream(*index, DataType::trade));
  }
  // Futures: raw trades are served where depth is, aggregated ones elsewhere.
  const std::string depth_path = facts(market_).depth_socket;
  const std::string trade_path = trade_channel_ == "trade" ? depth_path : facts(market_).trade_socket;
  if (depth_path == trade_path) {
    depth.insert(depth.end(), trades.begin(), trades.end());
    trades.clear();
  }
  add_sockets(depth_path, depth, out);
  add_sockets(trade_path, trades, out);
}

void Conversation::add_sockets(const std::string& path, const std::vector<StreamId>& streams, Outbox& out) {
  for (std::size_t from = 0; from < streams.size(); from += kStreamsPerSocket) {
    const auto to = std::min(streams.size(), from + kStreamsPerSocket);
    add_socket(ws_base_ + path + ws_query_,
               {streams.begin() + static_cast<std::ptrdiff_t>(from), streams.begin() + static_cast<std::ptrdiff_t>(to)},
               std::nullopt, out);
  }
}

void Conversation::add_socket(const std::string& url, std::vector<StreamId> streams,
                              std::optional<std::uint32_t> replaces, Outbox& out) {
  Socket socket;
  socket.slot = next_slot_++;
  socket.url = url;
  socket.streams = std::move(streams);
  socket.replaces = replaces;
  out.opens.push_back({socket.slot, url});
  sockets_.push_back(std::move(socket));
}

Conversation::Socket* Conversation::socket_of(ConnectionId connection) {
  const auto found = std::ranges::find_if(
      sockets_, [&](const Socket& each) { return connection != 0 && each.connection == connection; });
  return found == sockets_.end() ? nullptr : &*found;
}

void Conversation::opened(ConnectionId connection, std::string_view url, Instant now, Outbox& out) {
  const auto free = std::ranges::find_if(
      sockets_, [&](const Socket& each) { return each.connection == 0 && each.url == url; });
  if (free == sockets_.end()) {
    // Left over from a socket that has been replaced meanwhile.
    out.closes.push_back({connection, CloseReason::replaced});
    return;
  }
  free->connection = connection;
  free->opened_at = now.mono;
  free->heard = false;
  free->sent = 0;
  free->unanswered.clear();
  free->next_send = now.mono;
  send_subscriptions(*free, now, out);
}

void Conversation::closed(ConnectionId connection, Instant now, Outbox& out) {
  auto* socket = socket_of(connection);
  if (!socket) return;
  socket->connection = 0;
  socket->sent = 0;
  socket->unanswered.clear();
  const auto slot = socket->slot;
  const auto heir = std::ranges::find_if(sockets_, [&](const Socket& each) { return each.replaces == slot; });
  if (heir != sockets_.end()) {
    // The venue was quicker: its replacement is all there is now.
    heir->replaces.reset();
    std::erase_if(sockets_, [&](const Socket& each) { return each.slot == slot; });
    return;
  }
  if (socket->replaces) return;  // the older one still delivers
  for (const auto stream : socket->streams) {
    ledger_.disconnected(stream);
    ++streams_[stream].reconnects;
  }
  wish(now.mono + kHousekeeping, out);
}

std::string Conversation::subscribe_frame(const std::vector<StreamId>& streams, std::uint64_t id) const {
  std::string text = R"({"method":"SUBSCRIBE","params":[)";
  for (const auto stream : streams) {
    if (text.back() != '[') text.push_back(',');
    append_json_string(text, streams_[stream].name);
  }
  fmt::format_to(std::back_inserter(text), R"(],"id":{}}})", id);
  return text;
}

void Conversation::send_subscriptions(Socket& socket, Instant now, Outbox& out) {
  if (socket.connection == 0 || socket.sent >= socket.streams.size()) return;
  if (now.mono < socket.next_send) return wish(socket.next_send, out);
  const auto to = std::min(socket.streams.size(), socket.sent + kStreamsPerFrame);
  const std::vector<StreamId> streams(socket.streams.begin() + static_cast<std::ptrdiff_t>(socket.sent),
                                      socket.streams.begin() + static_cast<std::ptrdiff_t>(to));
  const auto id = next_request_id_++;
  out.frames.push_back({socket.connection, subscribe_frame(streams, id)});
  // A replacement's streams are live over the older connection: their watch goes on undisturbed.
  if (!socket.replaces)
    for (const auto stream : streams) ledger_.requested(stream, id, now.mono);
  socket.unanswered.push_back(id);
  socket.sent = to;
  socket.next_send = now.mono + kFrameSpacing;
  if (socket.sent < socket.streams.size()) wish(socket.next_send, out);
}

void Conversation::resubscribe(Socket& socket, StreamId stream, Instant now, Outbox& out) {
  if (now.mono < socket.next_send) return;  // the finding comes again
  const auto id = next_request_id_++;
  out.frames.push_back({socket.connection, subscribe_frame({stream}, id)});
  ledger_.requested(stream, id, now.mono);
  socket.unanswered.push_back(id);
  socket.next_send = now.mono + kFrameSpacing;
}

void Conversation::heard(ConnectionId connection, Instant) {
  if (auto* socket = socket_of(connection)) socket->heard = true;
}

void Conversation::data(Index index, DataType type, Instant now, Outbox& out) {
  if (const auto stream = stream_of(index, type)) ledger_.data(*stream, now.mono);
  if (type != DataType::orderbook_delta) return;
  const auto* feed = publisher_.depth_of(index);
  if (feed && !feed->good()) want_snapshot(index, now, out);
}

void Conversation::answered(std::uint64_t request_id, Instant now, Outbox& out) {
  ledger_.acked(request_id, now.mono);
  for (auto& socket : sockets_) std::erase(socket.unanswered, request_id);
  wish(now.mono + kSnapshotWithoutData, out);
}

void Conversation::error(ConnectionId connection, const Frame& frame, Instant now, Outbox& out) {
  auto* socket = socket_of(connection);
  auto request_id = frame.request_id;
  // Some error shapes lack the id: answers come in order, so it is the oldest request's.
  if (!request_id && socket && !socket->unanswered.empty()) request_id = socket->unanswered.front();
  std::string names;
  if (request_id) {
    for (const auto stream : ledger_.refused(*request_id)) {
      if (!names.empty()) names += ",";
      names += streams_[stream].name;
    }
    if (socket) std::erase(socket->unanswered, *request_id);
  }
  notice(out, Notice::Level::error, "the venue refused a request",
         fmt::format("code={} message=\"{}\" streams={}", frame.error_code, shortened(frame.error_message),
                     shortened(names)));
  wish(now.mono + kHousekeeping, out);
}

// ---- connections that end -------------------------------------------------------------------------------------

void Conversation::shutdown_announced(ConnectionId connection, Instant now, Outbox& out) {
  auto* socket = socket_of(connection);
  if (!socket) return;
  notice(out, Notice::Level::info, "the venue will close a connection; a replacement is opened",
         fmt::format("connection={}", connection));
  replace(*socket, out);
  wish(now.mono + kHousekeeping, out);
}

void Conversation::replace(Socket& socket, Outbox& out) {
  const auto slot = socket.slot;
  const bool under_way = std::ranges::any_of(sockets_, [&](const Socket& each) { return each.replaces == slot; });
  if (under_way || socket.replaces) return;
  auto streams = socket.streams;
  const auto url = socket.url;  // sockets_ grows below
  add_socket(url, std::move(streams), slot, out);
}

// A replacement that is subscribed whole and delivers ends the one it replaces.
void Conversation::finish_replacements(Outbox& out) {
  for (auto& socket : sockets_) {
    if (!socket.replaces || socket.connection == 0 || socket.sent < socket.streams.size() ||
        !socket.unanswered.empty() || !socket.heard)
      continue;
    const auto old_slot = *socket.replaces;
    socket.replaces.reset();
    const auto old = std::ranges::find_if(sockets_, [&](const Socket& each) { return each.slot == old_slot; });
    if (old == sockets_.end()) continue;
    if (old->connection != 0) out.closes.push_back({old->connection, CloseReason::replaced});
    sockets_.erase(old);
    return finish_replacements(out);  // the vector has changed
  }
}

void Conversation::close(Socket& socket, CloseReason reason, Outbox& out) {
  const bool told = std::ranges::any_of(
      out.closes, [&](const CloseSocket& each) { return each.connection == socket.connection; });
  if (socket.connection != 0 && !told) out.closes.push_back({socket.connection, reason});
}

Conversation::Socket* Conversation::socket_of_stream(StreamId stream) {
  const auto found = std::ranges::find_if(sockets_, [&](const Socket& each) {
    return !each.replaces && std::ranges::find(each.streams, stream) != each.streams.end();
  });
  return found == sockets_.end() ? nullptr : &*found;
}

void Conversation::watch(Instant now, Outbox& out) {
  findings_.clear();
  ledger_.overdue(now.mono, findings_);
  for (const auto& finding : findings_) {
    auto* socket = socket_of_stream(finding.stream);
    if (!socket || socket->connection == 0) continue;
    const auto detail = fmt::format("stream={} seconds={}", streams_[finding.stream].name, finding.lasted.count());
    switch (finding.trouble) {
      case SubscriptionLedger::Trouble::no_answer:
        notice(out, Notice::Level::warning, "no answer to a subscription; reconnecting", detail);
        close(*socket, CloseReason::stale, out);
        break;
      case SubscriptionLedger::Trouble::no_first_data: {
        // An acknowledgement proves nothing: a stream on the wrong path, or of a wrong name, stays silent.
        const bool others_live =
            std::ranges::any_of(socket->streams, [&](StreamId each) { return ledger_.has_data(each); });
        notice(out, Notice::Level::warning, "subscribed and confirmed, but no data has come", detail);
        if (others_live)
          resubscribe(*socket, finding.stream, now, out);
        else
          close(*socket, CloseReason::stale, out);
        break;
      }
      case SubscriptionLedger::Trouble::silent:
        notice(out, Notice::Level::warning, "a stream is silent for longer than its own rate allows; reconnecting",
               detail);
        close(*socket, CloseReason::stale, out);
        break;
    }
  }
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
    if (now.mono < next_snapshot_) return wish(next_snapshot_, out);
    const auto index = wanted_.front();
    wanted_.pop_front();
    auto& snapshot = snapshots_[index];
    if (now.mono < snapshot.not_before) {
      wanted_.push_back(index);
      wish(snapshot.not_before, out);
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
    ask(fmt::format("{}{}?symbol={}&limit={}", rest_base_, facts(market_).depth_path, percent_encoded(symbol),
                    snapshot_limit_),
        depth_weight(market_, snapshot_limit_), kSnapshotPriority, out);
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
  for (StreamId id = 0; id < streams_.size(); ++id) {
    const auto& stream = streams_[id];
    if (stream.type != DataType::orderbook_delta) continue;
    auto& snapshot = snapshot_of(stream.index);
    const auto* feed = publisher_.depth_of(stream.index);
    const bool good = feed && feed->good();
    if (snapshot.under_way && now.mono - snapshot.asked_at > kRequestTimeout) {
      snapshot_failed(publisher_.catalogue().ref(stream.index)->instrument, "no answer", now, out);
    } else if (!good && !snapshot.wanted && !snapshot.under_way) {
      const auto confirmed = ledger_.confirmed_at(id);
      const bool long_enough = confirmed && now.mono - *confirmed >= kSnapshotWithoutData;
      if (ledger_.has_data(id) || long_enough) want_snapshot(stream.index, now, out);
    } else if (good && snapshot.good_since && now.mono - *snapshot.good_since > kGoodAgainAfter) {
      snapshot.attempt = 0;
      snapshot.good_since.reset();
    }
  }
  ask_snapshots(now, out);
}

// ---- the clock ------------------------------------------------------------------------------------------------

void Conversation::tick(Instant now, Outbox& out) {
  wake_at_.reset();
  if (info_under_way_ && now.mono - info_asked_at_ > kRequestTimeout) exchange_info_failed("no answer", now, out);
  if (next_info_ && now.mono >= *next_info_) ask_exchange_info(now, out);
  for (std::size_t i = 0; i < sockets_.size(); ++i) {
    send_subscriptions(sockets_[i], now, out);
    if (sockets_[i].connection != 0 && now.mono - sockets_[i].opened_at > kConnectionLife) replace(sockets_[i], out);
  }
  finish_replacements(out);
  watch(now, out);
  look_for_snapshots(now, out);
  wish(now.mono + kHousekeeping, out);
}

// ---- for /health ----------------------------------------------------------------------------------------------

StreamState Conversation::state(Index index, DataType type) const {
  const auto stream = stream_of(index, type);
  return stream ? ledger_.state(*stream) : StreamState::waiting;
}

std::uint64_t Conversation::reconnects(Index index, DataType type) const {
  const auto stream = stream_of(index, type);
  return stream ? streams_[*stream].reconnects : 0;
}

}  // namespace mp::binance
