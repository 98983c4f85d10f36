#include "socket_driver.hpp"

#include <algorithm>
#include <random>

#include "base/log.hpp"
#include "base/text.hpp"
#include "feed/reconnect.hpp"
#include "net/clock.hpp"

namespace mp::collector {
namespace {

double random_jitter() {
  thread_local std::mt19937_64 random{std::random_device{}()};
  return std::uniform_real_distribution<double>(0, 1)(random);
}

}  // namespace

struct SocketDriver::Socket {
  Socket(net::Loop& loop, OpenSocket w) : wish(std::move(w)), retry(loop) {}
  OpenSocket wish;
  ConnectionId connection = 0;  // 0 while it is not open
  int attempts = 0;             // since the last good data
  bool wanted = true;           // to be opened again when it ends
  net::Timer retry;
  std::unique_ptr<net::WebSocket> ws;
};

SocketDriver::SocketDriver(Source source, DriverOptions options, net::Loop& loop, net::AsyncHttp& http,
                           RestBudgets& budgets, Callbacks callbacks)
    : source_(std::move(source)),
      options_(std::move(options)),
      loop_(loop),
      http_(http),
      budgets_(budgets),
      callbacks_(std::move(callbacks)),
      waiting_(budgets, options_.max_requests_waiting),
      wake_timer_(loop),
      request_timer_(loop) {}

SocketDriver::~SocketDriver() { *alive_ = false; }

void SocketDriver::carry_out(Outbox& wishes) {
  if (stopped_) return;
  for (auto& wish : wishes.opens) open(std::move(wish));
  for (auto& frame : wishes.frames) {
    if (auto* socket = find(frame.connection); socket && socket->ws) {
      record(RecordKind::sent, frame.connection, net::now(), {},
             frame.recorded_as.empty() ? frame.text : frame.recorded_as);
      socket->ws->send(std::move(frame.text));
    }
  }
  for (const auto& wish : wishes.closes) {
    auto* socket = find(wish.connection);
    if (!socket || !socket->ws) continue;
    if (wish.reason == CloseReason::replaced) socket->wanted = false;
    socket->ws->close(wish.reason);
  }
  for (auto& request : wishes.requests) {
    if (waiting_.push(request)) continue;
    record(RecordKind::rest_failed, 0, net::now(), request.url, "too many requests are waiting");
  }
  if (!wishes.requests.empty()) send_waiting_requests();
  if (wishes.wake_at) wake_timer_.set(*wishes.wake_at, [this] { callbacks_.tick(net::now()); });
}

void SocketDriver::data_arrived(ConnectionId connection) {
  if (auto* socket = find(connection)) socket->attempts = 0;
}

void SocketDriver::open(OpenSocket wish) {
  const auto slot = wish.slot;
  auto& socket = sockets_[slot];
  if (socket && std::exchange(socket->wanted, true)) return;  // is kept up already
  if (socket && socket->connection != 0) return;              // is closing: opened again when it has ended
  if (!socket) socket = std::make_unique<Socket>(loop_, std::move(wish));
  // Not from within the session's call that asked for it.
  socket->retry.set_after(std::chrono::seconds(0), [this, slot] { connect(*sockets_[slot]); });
}

void SocketDriver::connect(Socket& socket) {
  // Nothing is of more importance than a connection: attempts may use the whole of what the venue allows.
  if (const auto wait = budgets_.take(socket.wish.charges, 100, net::now())) {
    log::info("waiting to connect: the venue limits attempts", {{"source", source_.text()}, {"budget", wait->budget}});
    socket.retry.set(wait->until, [this, &socket] { connect(socket); });
    return;
  }
  net::WebSocketOptions options;
  options.url = socket.wish.url;
  options.proxy = options_.proxy;
  options.ca_file = options_.ca_file;
  options.compression = options_.compression;
  net::WebSocket::Handlers handlers;
  handlers.opened = [this, &socket] { socket_opened(socket); };
  handlers.frame = [this, &socket](std::string_view frame, bool is_binary, Instant received_at) {
    record(is_binary ? RecordKind::binary : RecordKind::text, socket.connection, received_at, {}, frame);
  };
  handlers.closed = [this, &socket](CloseReason reason, std::string detail) { socket_closed(socket, reason, detail); };
  socket.ws = std::make_unique<net::WebSocket>(loop_, std::move(options), std::move(handlers));
}

void SocketDriver::socket_opened(Socket& socket) {
  ++counters_.connects;
  socket.connection = callbacks_.next_connection();
  log::info("connected", {{"source", source_.text()}, {"url", shortened(socket.wish.url)}});
  record(RecordKind::opened, socket.connection, net::now(), socket.wish.url, {});
}

void SocketDriver::socket_closed(Socket& socket, CloseReason reason, const std::string& detail) {
  if (const auto connection = std::exchange(socket.connection, 0); connection != 0) {
    ++counters_.disconnects;
    record(RecordKind::closed, connection, net::now(), {}, std::string(to_string(reason)) + ": " + detail);
  }
  if (stopped_) {
    socket.wanted = false;
    return check_stopped();
  }
  if (!socket.wanted) return;
  const auto verdict = reconnect_policy(reason, ++socket.attempts, random_jitter());
  log::warn("connection ended", {{"source", source_.text()},
                                 {"reason", to_string(reason)},
                                 {"detail", detail},
                                 {"again_in_ms", verdict.reconnect ? std::to_string(verdict.wait.count()) : "never"}});
  if (!verdict.reconnect) {
    socket.wanted = false;
    return;
  }
  socket.retry.set_after(verdict.wait, [this, &socket] { connect(socket); });
}

SocketDriver::Socket* SocketDriver::find(ConnectionId connection) {
  if (connection == 0) return nullptr;
  for (const auto& [slot, socket] : sockets_)
    if (socket->connection == connection) return socket.get();
  return nullptr;
}

bool SocketDriver::is_connected() const {
  return !sockets_.empty() && std::ranges::all_of(sockets_, [](const auto& entry) {
    return !entry.second->wanted || entry.second->connection != 0;
  });
}

void SocketDriver::send_waiting_requests() {
  while (under_way_ < options_.max_requests_under_way) {
    const auto next = waiting_.pop(net::now());
    if (!next) break;
    if (!start_request(*next)) record(RecordKind::rest_failed, 0, net::now(), next->url, "no worker is free");
  }
  if (const auto at = waiting_.next_at()) request_timer_.set(*at, [this] { send_waiting_requests(); });
}

bool SocketDriver::start_request(const RestRequest& request) {
  net::HttpRequest http;
  http.url = request.url;
  http.proxy = options_.proxy;
  ++counters_.requests;
  const auto started = http_.request(
      std::move(http), [this, &loop = loop_, alive = alive_, request](Result<net::HttpResponse> answer, Instant at) {
        // On a worker's thread: only move it home.
        loop.post([this, alive, request, answer = std::move(answer), at]() mutable {
          if (*alive) answered(request, std::move(answer), at);
        });
      });
  if (started) ++under_way_;
  return started.has_value();
}

void SocketDriver::answered(const RestRequest& request, Result<net::HttpResponse> answer, Instant received_at) {
  --under_way_;
  if (!answer) {
    ++counters_.requests_failed;
    record(RecordKind::rest_failed, 0, received_at, request.url, answer.error().text());
    return send_waiting_requests();
  }
  budgets_.answered(
      request, answer->status, [&](std::string_view name) { return answer->header(name); }, received_at);
  if (answer->status >= 400) {
    ++counters_.requests_refused;
    log::warn("REST request refused", {{"source", source_.text()},
                                       {"url", shortened(request.url)},
                                       {"status", std::to_string(answer->status)},
                                       {"answer", shortened(answer->body)}});
  }
  record(RecordKind::rest, 0, received_at, request.url, answer->body, answer->status);
  send_waiting_requests();
}

void SocketDriver::record(RecordKind kind, ConnectionId connection, Instant at, std::string_view url,
                          std::string_view payload, int status) {
  RawRecord record;
  record.kind = kind;
  record.connection = connection;
  record.source = &source_;
  record.received_at = at.wall;
  record.status = status;
  record.url = url;
  record.payload = payload;
  callbacks_.record(record);
}

void SocketDriver::stop(std::function<void()> done) {
  stopped_ = std::move(done);
  waiting_.clear();
  wake_timer_.cancel();
  request_timer_.cancel();
  for (auto& [slot, socket] : sockets_) {
    socket->retry.cancel();
    if (socket->connection != 0)
      socket->ws->close(CloseReason::stopped);
    else
      socket->wanted = false;
  }
  check_stopped();
}

void SocketDriver::check_stopped() {
  if (!stopped_) return;
  if (std::ranges::any_of(sockets_, [](const auto& entry) { return entry.second->connection != 0; })) return;
  // Not from within a socket's own call.
  loop_.post([done = stopped_] { done(); });
}

}  // namespace mp::collector
