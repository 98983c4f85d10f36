#include "feed/subscriptions.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.hpp"

namespace mp {
namespace {

using namespace std::chrono_literals;
using Operation = Dialect::Operation;

// Requests that the ledger does not watch (of replacements, and unsubscriptions) end their connection after this.
constexpr auto kAnswerAtMost = 10s;
// Connections that were opened together grow old together: they are replaced one after the other.
constexpr auto kReplacementSpacing = 15s;

void notice(Outbox& out, Notice::Level level, const char* message, std::string detail) {
  out.notices.push_back({level, message, std::move(detail)});
}

}  // namespace

void Dialect::append_stream(std::string& out, std::string_view name) const { append_json_string(out, name); }

std::vector<std::string> Dialect::greetings(std::uint64_t&) const { return {}; }

SubscribedSockets::SubscribedSockets(const Dialect& dialect, Wake& wake)
    : dialect_(dialect), limits_(dialect.limits()), wake_(wake) {}

void SubscribedSockets::begin() {
  sockets_.clear();
  streams_.clear();
  free_.clear();
  by_name_.clear();
  ledger_ = {};
  next_send_together_ = {};
  next_replacement_ = {};
}

// ---- what is wanted -------------------------------------------------------------------------------------------

std::optional<SubscribedSockets::StreamId> SubscribedSockets::find(std::string_view name) const {
  const auto found = by_name_.find(name);
  if (found == by_name_.end()) return std::nullopt;
  return found->second;
}

SubscribedSockets::StreamId SubscribedSockets::want(const Wanted& wanted, Instant now, Outbox& out) {
  wake_.wish(now.mono, out);  // several are wanted at once: they go into one request
  if (const auto known = find(wanted.name)) {
    for (auto& socket : sockets_) {
      auto* member = member_of(*socket, *known);
      if (member && std::exchange(member->dropped, false)) member->phase = Phase::subscribed;
    }
    return *known;
  }
  StreamId id = 0;
  if (free_.empty()) {
    id = ledger_.add(wanted.patience);
    streams_.emplace_back();
  } else {
    id = free_.back();
    free_.pop_back();
    ledger_.renew(id, wanted.patience);
  }
  streams_[id] = {wanted.name};
  by_name_.emplace(wanted.name, id);

  const auto room = wanted.streams_per_socket != 0 ? wanted.streams_per_socket : limits_.streams_per_socket;
  const auto found = std::ranges::find_if(sockets_, [&](const auto& each) {
    // Without members it is being closed.
    return !each->replaces && each->url == wanted.url && each->group == wanted.group && !each->members.empty() &&
           each->members.size() < room;
  });
  auto& socket = found != sockets_.end() ? **found : add_socket(wanted.url, wanted.group, std::nullopt, out);
  const auto slot = socket.slot;
  for (auto& each : sockets_)
    if (each->slot == slot || each->replaces == slot) each->members.push_back({.stream = id});
  return id;
}

void SubscribedSockets::drop(StreamId stream, Instant now, Outbox& out) {
  for (auto& socket : sockets_) {
    auto* member = member_of(*socket, stream);
    if (!member) continue;
    member->dropped = true;
    const bool may_be_on = member->phase == Phase::subscribing || member->phase == Phase::subscribed;
    if (may_be_on) member->phase = Phase::to_unsubscribe;
  }
  ledger_.disconnected(stream);
  for (auto& socket : sockets_) erase_members(*socket, out);
  std::erase_if(sockets_, [](const auto& each) { return each->members.empty(); });
  wake_.wish(now.mono, out);
}

// Dropped streams that need no unsubscription (any more); closes a socket that is left without streams.
void SubscribedSockets::erase_members(Socket& socket, Outbox& out) {
  for (std::size_t i = 0; i < socket.members.size();) {
    const auto& member = socket.members[i];
    const auto id = member.stream;
    if (!member.dropped || (member.phase == Phase::to_unsubscribe && socket.connection != 0)) {
      ++i;
      continue;
    }
    socket.members.erase(socket.members.begin() + static_cast<std::ptrdiff_t>(i));
    for (auto& request : socket.requests) std::erase(request.open, id);
    std::erase_if(socket.requests, [](const Request& each) { return each.open.empty(); });
    if (std::ranges::any_of(sockets_, [&](const auto& each) { return member_of(*each, id) != nullptr; })) continue;
    by_name_.erase(streams_[id].name);
    free_.push_back(id);
  }
  if (socket.members.empty()) close(socket, CloseReason::replaced, out);
}

SubscribedSockets::Socket& SubscribedSockets::add_socket(std::string url, std::uint32_t group,
                                                         std::optional<std::uint32_t> replaces, Outbox& out) {
  auto& socket = *sockets_.emplace_back(std::make_unique<Socket>());
  socket.slot = next_slot_++;
  socket.url = std::move(url);
  socket.group = group;
  socket.replaces = replaces;
  out.opens.push_back({socket.slot, socket.url, limits_.connecting});
  return socket;
}

SubscribedSockets::Socket* SubscribedSockets::socket_of(ConnectionId connection) {
  if (connection == 0) return nullptr;
  for (const auto& socket : sockets_)
    if (socket->connection == connection) return socket.get();
  return nullptr;
}

SubscribedSockets::Socket* SubscribedSockets::socket_of_stream(StreamId stream) const {
  for (const auto& socket : sockets_)
    if (!socket->replaces && member_of(*socket, stream)) return socket.get();
  return nullptr;
}

SubscribedSockets::Member* SubscribedSockets::member_of(Socket& socket, StreamId stream) {
  const auto found = std::ranges::find(socket.members, stream, &Member::stream);
  return found == socket.members.end() ? nullptr : &*found;
}

StreamState SubscribedSockets::state(StreamId stream) const {
  const auto state = ledger_.state(stream);
  const bool has_a_rate = ledger_.patience(stream).only_by_rate;
  if (state != StreamState::live || !limits_.confirms_anything || !has_a_rate || ledger_.has_data(stream)) return state;
  const auto* socket = socket_of_stream(stream);
  return socket && socket->data_at ? StreamState::live : StreamState::subscribing;
}

// ---- connections come and go ----------------------------------------------------------------------------------

void SubscribedSockets::opened(ConnectionId connection, std::string_view url, Instant now, Outbox& out) {
  const auto found =
      std::ranges::find_if(sockets_, [&](const auto& each) { return each->connection == 0 && each->url == url; });
  if (found == sockets_.end()) {
    // Left over from a socket that has been replaced meanwhile.
    out.closes.push_back({connection, CloseReason::replaced});
    return;
  }
  auto& socket = **found;
  socket.connection = connection;
  socket.opened_at = socket.heard_at = socket.confirmed_at = socket.next_send = now.mono;
  socket.pinged_at.reset();
  socket.data_at.reset();
  socket.sent_at.clear();
  for (auto& text : dialect_.greetings(next_request_id_)) {
    out.frames.push_back({connection, std::move(text)});
    socket.sent_at.push_back(now.mono);
    socket.next_send = now.mono + limits_.frame_spacing;
  }
  send_pending(socket, now, out);
  wake_.wish(now.mono + kHousekeeping, out);
}

void SubscribedSockets::closed(ConnectionId connection, Instant now, Outbox& out) {
  auto* socket = socket_of(connection);
  if (!socket) return;
  socket->connection = 0;
  socket->requests.clear();
  for (auto& member : socket->members) member.phase = Phase::to_subscribe;
  erase_members(*socket, out);
  const auto slot = socket->slot;
  const auto heir = std::ranges::find_if(sockets_, [&](const auto& each) { return each->replaces == slot; });
  if (heir != sockets_.end()) {
    // The venue was quicker: its replacement is all there is now.
    inherit(**heir, now);
    std::erase_if(sockets_, [&](const auto& each) { return each->slot == slot; });
  } else if (!socket->replaces) {  // else the older one still delivers
    for (const auto& member : socket->members) {
      ledger_.disconnected(member.stream);
      ++streams_[member.stream].reconnects;
    }
  }
  wake_.wish(now.mono + kHousekeeping, out);
}

// The streams of a replacement whose predecessor ended too early: where each of them stands there, it stands now.
void SubscribedSockets::inherit(Socket& heir, Instant now) {
  heir.replaces.reset();
  for (const auto& member : heir.members) {
    ledger_.disconnected(member.stream);
    const bool asked = member.phase == Phase::subscribing || member.phase == Phase::subscribed;
    if (asked) ledger_.requested(member.stream, now.mono);
    if (member.phase == Phase::subscribed) ledger_.confirmed(member.stream, now.mono);
    if (member.phase == Phase::refused) ledger_.refused(member.stream);
    if (member.phase != Phase::subscribed) ++streams_[member.stream].reconnects;
  }
}

void SubscribedSockets::heard(ConnectionId connection, Instant now) {
  auto* socket = socket_of(connection);
  if (!socket) return;
  socket->heard_at = now.mono;
  socket->pinged_at.reset();
}

void SubscribedSockets::data(ConnectionId connection, StreamId stream, Instant now) {
  if (auto* socket = socket_of(connection)) {
    socket->data_at = now.mono;
    socket->found_quiet = 0;
  }
  ledger_.data(stream, now.mono);
}

// ---- requests -------------------------------------------------------------------------------------------------

MonoTime SubscribedSockets::may_send_at(Socket& socket, MonoTime now) const {
  auto at = std::max(socket.next_send, next_send_together_);
  std::size_t needed = 0;
  for (const auto& limit : limits_.frame_limits) {
    // The oldest of the last `count` frames must have left the window.
    if (socket.sent_at.size() >= limit.count)
      at = std::max<MonoTime>(at, socket.sent_at[socket.sent_at.size() - limit.count] + limit.window);
    needed = std::max(needed, limit.count);
  }
  while (socket.sent_at.size() > needed) socket.sent_at.pop_front();
  return std::max(at, now);
}

std::vector<SubscribedSockets::StreamId> SubscribedSockets::next_batch(const Socket& socket, Operation operation,
                                                                       std::string& text) const {
  const auto phase = operation == Operation::subscribe ? Phase::to_subscribe : Phase::to_unsubscribe;
  const auto around = dialect_.request(operation, {}, next_request_id_).size();
  std::vector<StreamId> batch;
  auto at_most = limits_.streams_per_frame;
  for (const auto& member : socket.members) {
    if (member.phase != phase) continue;
    at_most = std::min(at_most, member.at_most_with);
    if (batch.size() >= at_most) break;
    const auto before = text.size();
    if (!batch.empty()) text.push_back(',');
    dialect_.append_stream(text, streams_[member.stream].name);
    if (!batch.empty() && around + text.size() > limits_.bytes_per_frame) {
      text.resize(before);
      break;
    }
    batch.push_back(member.stream);
  }
  return batch;
}

void SubscribedSockets::send_pending(Socket& socket, Instant now, Outbox& out) {
  while (socket.connection != 0) {
    auto operation = Operation::unsubscribe;
    std::string text;
    auto batch = next_batch(socket, operation, text);
    if (batch.empty()) batch = next_batch(socket, operation = Operation::subscribe, text);
    if (batch.empty()) return;
    if (const auto at = may_send_at(socket, now.mono); now.mono < at) return wake_.wish(at, out);
    send_request(socket, operation, batch, text, now, out);
  }
}

void SubscribedSockets::send_request(Socket& socket, Operation operation, const std::vector<StreamId>& batch,
                                     std::string_view text, Instant now, Outbox& out) {
  const auto id = next_request_id_++;
  out.frames.push_back({socket.connection, dialect_.request(operation, text, id)});
  socket.requests.push_back({id, operation, now.mono, batch});
  socket.sent_at.push_back(now.mono);
  socket.next_send = now.mono + limits_.frame_spacing;
  next_send_together_ = now.mono + limits_.frame_spacing_together;
  for (const auto stream : batch) {
    member_of(socket, stream)->phase = operation == Operation::subscribe ? Phase::subscribing : Phase::unsubscribing;
    // A replacement's streams are live over the older connection: their watch goes on undisturbed.
    if (operation == Operation::subscribe && !socket.replaces) ledger_.requested(stream, now.mono);
  }
  if (operation == Operation::unsubscribe) erase_members(socket, out);
}

// A stream of a request is answered with yes.
void SubscribedSockets::settle(Socket& socket, Request& request, StreamId stream, Instant now) {
  std::erase(request.open, stream);
  auto* member = member_of(socket, stream);
  if (!member) return;
  if (request.operation == Operation::unsubscribe) {
    if (member->phase == Phase::unsubscribing) member->phase = Phase::to_subscribe;
  } else if (member->phase == Phase::subscribing) {
    member->phase = Phase::subscribed;
    member->at_most_with = SIZE_MAX;
    socket.confirmed_at = now.mono;
    if (!socket.replaces) ledger_.confirmed(stream, now.mono);
  }
}

void SubscribedSockets::end_request(Socket& socket, std::uint64_t id, Instant now, Outbox& out) {
  std::erase_if(socket.requests, [&](const Request& each) { return each.id == id; });
  send_pending(socket, now, out);
}

void SubscribedSockets::answered(std::uint64_t request_id, Instant now, Outbox& out) {
  for (auto& socket : sockets_) {
    const auto request = std::ranges::find(socket->requests, request_id, &Request::id);
    if (request == socket->requests.end()) continue;
    while (!request->open.empty()) settle(*socket, *request, request->open.back(), now);
    return end_request(*socket, request_id, now, out);
  }
}

void SubscribedSockets::answered(std::uint64_t request_id, std::span<const std::string_view> names, Instant now,
                                 Outbox& out) {
  for (auto& socket : sockets_) {
    const auto request = std::ranges::find(socket->requests, request_id, &Request::id);
    if (request == socket->requests.end()) continue;
    for (const auto listed : names)
      if (const auto stream = find(listed); stream && std::ranges::count(request->open, *stream) != 0)
        settle(*socket, *request, *stream, now);
    const auto missing = request->open;
    if (request->operation == Operation::unsubscribe) {
      while (!request->open.empty()) settle(*socket, *request, request->open.back(), now);  // it was not on
    } else if (!missing.empty()) {
      for (const auto stream : missing) refuse(*socket, stream, 1, kRefusedAgainAfter, now);
      tell_refused(missing, "missing in the answer to the subscription", out);
    }
    return end_request(*socket, request_id, now, out);
  }
}

void SubscribedSockets::confirmed(ConnectionId connection, std::string_view name, Instant now, Outbox& out) {
  one_settled(connection, name, Operation::subscribe, now, out);
}

void SubscribedSockets::unsubscribed(ConnectionId connection, std::string_view name, Instant now, Outbox& out) {
  one_settled(connection, name, Operation::unsubscribe, now, out);
}

void SubscribedSockets::one_settled(ConnectionId connection, std::string_view name, Operation operation, Instant now,
                                    Outbox& out) {
  auto* socket = socket_of(connection);
  const auto stream = find(name);
  if (!socket || !stream) return;
  const auto request = std::ranges::find_if(socket->requests, [&](const Request& each) {
    return each.operation == operation && std::ranges::count(each.open, *stream) != 0;
  });
  if (request == socket->requests.end()) return;
  settle(*socket, *request, *stream, now);
  if (request->open.empty())
    end_request(*socket, request->id, now, out);
  else
    send_pending(*socket, now, out);
}

// ---- what the venue refuses -----------------------------------------------------------------------------------

void SubscribedSockets::refuse(Socket& socket, StreamId stream, std::size_t asked_with,
                               std::chrono::nanoseconds again_after, Instant now) {
  auto* member = member_of(socket, stream);
  if (!member || member->phase != Phase::subscribing) return;
  member->phase = Phase::refused;
  member->at_most_with = asked_with;
  member->again_at = now.mono + std::chrono::duration_cast<MonoTime::duration>(again_after);
  if (!socket.replaces) ledger_.refused(stream);
}

void SubscribedSockets::refused(const Refusal& refusal, Instant now, Outbox& out) {
  wake_.wish(now.mono + kHousekeeping, out);
  auto* socket = socket_of(refusal.connection);
  if (!socket) return tell_refused({}, refusal.why, out);
  auto& requests = socket->requests;
  const auto named = find(refusal.name);
  const auto request = std::ranges::find_if(requests, [&](const Request& each) {
    if (refusal.request_id) return each.id == *refusal.request_id;
    return refusal.name.empty() || (named && std::ranges::count(each.open, *named) != 0);
  });
  if (request == requests.end()) return tell_refused({}, refusal.why, out);

  const auto id = request->id;
  const bool one = named && std::ranges::count(request->open, *named) != 0;
  const auto streams = one ? std::vector{*named} : request->open;
  if (request->operation == Operation::unsubscribe) {
    for (const auto stream : streams) settle(*socket, *request, stream, now);  // it is not on, so may be asked for
  } else {
    // Which of several is to blame is found out by halves.
    const bool halves = streams.size() > 1 && !refusal.again_after;
    const auto with = halves ? streams.size() / 2 : refusal.again_after ? SIZE_MAX : 1;
    const auto after = halves ? std::chrono::nanoseconds{kHalvesAfter}
                              : refusal.again_after.value_or(std::chrono::nanoseconds{kRefusedAgainAfter});
    for (const auto stream : streams) {
      std::erase(request->open, stream);
      refuse(*socket, stream, with, after, now);
    }
  }
  if (refusal.again_after)
    socket->next_send =
        std::max(socket->next_send, now.mono + std::chrono::duration_cast<MonoTime::duration>(*refusal.again_after));
  tell_refused(streams, refusal.why, out);
  if (request->open.empty()) end_request(*socket, id, now, out);
}

void SubscribedSockets::tell_refused(const std::vector<StreamId>& streams, std::string_view why, Outbox& out) const {
  std::string names;
  for (const auto stream : streams) {
    if (!names.empty()) names += ",";
    names += streams_[stream].name;
  }
  notice(out, Notice::Level::error, "the venue refused a request", fmt::format("{} streams={}", why, shortened(names)));
}

// ---- connections that end -------------------------------------------------------------------------------------

void SubscribedSockets::replace(ConnectionId connection, Instant now, Outbox& out) {
  auto* socket = socket_of(connection);
  if (!socket) return;
  notice(out, Notice::Level::info, "the venue will close a connection; a replacement is opened",
         fmt::format("connection={}", connection));
  replace(*socket, out);
  wake_.wish(now.mono + kHousekeeping, out);
}

void SubscribedSockets::replace(Socket& socket, Outbox& out) {
  const auto slot = socket.slot;
  const bool under_way = std::ranges::any_of(sockets_, [&](const auto& each) { return each->replaces == slot; });
  if (under_way || socket.replaces) return;
  auto& heir = add_socket(socket.url, socket.group, slot, out);
  for (const auto& member : socket.members)
    if (!member.dropped) heir.members.push_back({.stream = member.stream, .at_most_with = member.at_most_with});
}

// Subscribed whole, and data comes: what the old connection brings is here too from now on.
bool SubscribedSockets::takes_over(const Socket& socket, Instant now) const {
  if (!socket.replaces || socket.connection == 0 || !socket.requests.empty()) return false;
  bool any = false;
  for (const auto& member : socket.members) {
    if (member.phase != Phase::subscribed && member.phase != Phase::refused) return false;
    any = any || member.phase == Phase::subscribed;
  }
  return any && (socket.data_at || now.mono - socket.confirmed_at >= kQuietReplacement);
}

void SubscribedSockets::finish_replacements(Instant now, Outbox& out) {
  std::vector<std::uint32_t> ended;
  for (auto& socket : sockets_) {
    if (!takes_over(*socket, now)) continue;
    ended.push_back(*socket->replaces);
    socket->replaces.reset();
    for (const auto& member : socket->members)
      if (member.phase == Phase::refused) ledger_.refused(member.stream);
  }
  std::erase_if(sockets_, [&](const auto& each) {
    if (std::ranges::count(ended, each->slot) == 0) return false;
    close(*each, CloseReason::replaced, out);
    return true;
  });
}

void SubscribedSockets::close(const Socket& socket, CloseReason reason, Outbox& out) {
  const bool told =
      std::ranges::any_of(out.closes, [&](const CloseSocket& each) { return each.connection == socket.connection; });
  if (socket.connection != 0 && !told) out.closes.push_back({socket.connection, reason});
}

void SubscribedSockets::resubscribe(StreamId stream, Instant now, Outbox& out) {
  auto* socket = socket_of_stream(stream);
  if (!socket || socket->connection == 0) return;
  auto* member = member_of(*socket, stream);
  if (member->phase != Phase::subscribed || member->dropped) return;
  member->phase = Phase::to_unsubscribe;
  ledger_.asked_again(stream);
  send_pending(*socket, now, out);
}

// ---- the clock ------------------------------------------------------------------------------------------------

void SubscribedSockets::look_after(Socket& socket, Instant now, Outbox& out) {
  if (socket.connection == 0) return;
  for (auto& member : socket.members) {
    if (member.phase != Phase::refused) continue;
    if (now.mono >= member.again_at) member.phase = Phase::to_subscribe;
  }
  send_pending(socket, now, out);
  if (limits_.idle_ping > 0s) {
    if (!socket.pinged_at && now.mono - socket.heard_at >= limits_.idle_ping) {
      out.frames.push_back({socket.connection, dialect_.ping()});
      socket.pinged_at = now.mono;
    } else if (socket.pinged_at && now.mono - *socket.pinged_at >= limits_.idle_ping) {
      notice(out, Notice::Level::warning, "a connection does not answer; reconnecting",
             fmt::format("connection={} silent_seconds={}", socket.connection,
                         std::chrono::duration_cast<std::chrono::seconds>(now.mono - socket.heard_at).count()));
      close(socket, CloseReason::stale, out);
    }
  }
  const bool unanswered = std::ranges::any_of(socket.requests, [&](const Request& each) {
    const bool watched_by_ledger = each.operation == Operation::subscribe && !socket.replaces;
    return !watched_by_ledger && now.mono - each.sent_at >= kAnswerAtMost;
  });
  if (unanswered) {
    notice(out, Notice::Level::warning, "no answer to a request; reconnecting",
           fmt::format("connection={}", socket.connection));
    close(socket, CloseReason::stale, out);
  }
}

void SubscribedSockets::replace_old(Instant now, Outbox& out) {
  if (limits_.connection_life == 0s || now.mono < next_replacement_) return;
  for (std::size_t i = 0; i < sockets_.size(); ++i) {
    auto& socket = *sockets_[i];
    if (socket.connection == 0 || socket.replaces || now.mono - socket.opened_at <= limits_.connection_life) continue;
    const auto before = sockets_.size();
    replace(socket, out);
    if (sockets_.size() == before) continue;  // was under way
    next_replacement_ = now.mono + kReplacementSpacing;
    return;
  }
}

void SubscribedSockets::watch(Instant now, Outbox& out) {
  using Trouble = SubscriptionLedger::Trouble;
  findings_.clear();
  ledger_.overdue(now.mono, findings_);
  for (const auto& finding : findings_) {
    auto* socket = socket_of_stream(finding.stream);
    if (!socket || socket->connection == 0) continue;
    // One reason is enough to end a connection, and one line to tell it.
    const bool ended =
        std::ranges::any_of(out.closes, [&](const CloseSocket& each) { return each.connection == socket->connection; });
    if (ended) continue;
    const auto detail = fmt::format("stream={} seconds={}", streams_[finding.stream].name, finding.lasted.count());
    if (finding.trouble == Trouble::no_answer) {
      notice(out, Notice::Level::warning, "no answer to a subscription; reconnecting", detail);
      close(*socket, CloseReason::stale, out);
      continue;
    }
    // Where other streams of the connection have gone on meanwhile, the connection is not to blame.
    const bool others_go_on = socket->data_at && now.mono - *socket->data_at < finding.lasted / 2;
    // An acknowledgement proves nothing: a stream on the wrong path, or of a wrong name, stays silent.
    const auto* what = finding.trouble == Trouble::silent ? "a stream is silent for longer than its own rate allows"
                                                          : "subscribed and confirmed, but no data has come";
    notice(out, Notice::Level::warning, what, detail + (others_go_on ? " then=resubscribe" : " then=reconnect"));
    if (others_go_on)
      resubscribe(finding.stream, now, out);
    else
      close(*socket, CloseReason::stale, out);
  }
}

// None of its streams is missed by itself; of all of them together, something should have come.
void SubscribedSockets::watch_quiet(Socket& socket, Instant now, Outbox& out) {
  if (socket.connection == 0 || socket.replaces || !socket.requests.empty()) return;
  const bool none_must = std::ranges::all_of(socket.members, [&](const Member& each) {
    const auto& patience = ledger_.patience(each.stream);
    return each.phase == Phase::subscribed && (patience.only_by_rate || patience.may_be_silent);
  });
  const bool some_may_well = std::ranges::any_of(
      socket.members, [&](const Member& each) { return ledger_.patience(each.stream).only_by_rate; });
  if (!none_must || !some_may_well) return;
  constexpr int kMaxDoublings = 4;
  const auto limit = std::min<std::chrono::seconds>(kQuietSocket * (1 << std::min(socket.found_quiet, kMaxDoublings)),
                                                    SubscriptionLedger::kPatienceAtMost);
  const auto lasted = now.mono - socket.data_at.value_or(socket.confirmed_at);
  if (lasted < limit) return;
  ++socket.found_quiet;
  notice(out, Notice::Level::info, "a connection is open and brings nothing; made anew",
         fmt::format("connection={} streams={} silent_seconds={}", socket.connection, socket.members.size(),
                     std::chrono::duration_cast<std::chrono::seconds>(lasted).count()));
  close(socket, CloseReason::stale, out);
}

void SubscribedSockets::tick(Instant now, Outbox& out) {
  for (auto& socket : sockets_) {
    look_after(*socket, now, out);
    watch_quiet(*socket, now, out);
  }
  std::erase_if(sockets_, [](const auto& each) { return each->members.empty(); });
  replace_old(now, out);
  finish_replacements(now, out);
  watch(now, out);
  wake_.wish(now.mono + kHousekeeping, out);
}

}  // namespace mp
