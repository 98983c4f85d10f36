#include "sim/server.hpp"

#include <algorithm>
#include <deque>
#include <unordered_map>
#include <vector>

#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>
#include <boost/beast/websocket.hpp>
#include <boost/beast/websocket/ssl.hpp>

#include "sim/coalescing_stream.hpp"

namespace mp::sim {

// Beast ends the connection below a websocket through these; what is unsent goes first.
template <class Next>
void teardown(boost::beast::role_type role, CoalescingStream<Next>& stream, boost::beast::error_code& error) {
  using boost::beast::websocket::teardown;
  teardown(role, stream.next_layer(), error);
}
template <class Next, class Handler>
void async_teardown(boost::beast::role_type role, CoalescingStream<Next>& stream, Handler&& handler) {
  stream.when_drained([role, &stream, handler = std::forward<Handler>(handler)]() mutable {
    using boost::beast::websocket::async_teardown;
    async_teardown(role, stream.next_layer(), std::move(handler));
  });
}

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace websocket = beast::websocket;
using boost::system::error_code;
using tcp = asio::ip::tcp;
using namespace std::chrono_literals;

constexpr auto kHttpTimeout = 75s;    // idle keep-alive connections
constexpr auto kHousekeeping = 50ms;  // pings, lifetimes, the drain's end
constexpr auto kCoalesce = 500us;     // what falls due within it is sent together
constexpr auto kIdle = 20ms;
// A venue's machines compress for themselves; here it is this machine's processor that the rest needs.
constexpr int kCompressionLevel = 1;
constexpr std::size_t kMaxRequestBytes = 64 * 1024;
constexpr std::size_t kMaxConnections = 4096;

}  // namespace

// Why a client was let go by us.
enum class Drop { slow, silent, talking, expired, end };

class Server::Impl {
 public:
  // One accepted connection, HTTP at first and possibly a websocket afterwards.
  class Connection {
   public:
    virtual ~Connection() = default;
    virtual void start() = 0;
    virtual void send(std::string_view text) = 0;
    virtual void flush() = 0;
    // Nothing that was sent can be missing: it has answered our close frame (or is no websocket).
    virtual bool has_taken_all() const = 0;
    virtual void housekeep(MonoTime now) = 0;
    // With a close frame after what is queued.
    virtual void close(websocket::close_code code, std::string_view reason) = 0;
    // At once.
    virtual void cut() = 0;
  };

  explicit Impl(const ServerOptions& options) : options_(options), acceptor_(io_), pump_(io_), house_(io_), end_(io_) {}

  Result<bool> listen();
  void run(Venue& venue, const SimClock& clock, std::optional<Nanos> duration);
  void stop();

  // Of connections:
  Venue& venue() { return *venue_; }
  WallTime now() const { return clock_->now(); }
  ServerCounters& counters() { return counters_; }
  const ServerOptions& options() const { return options_; }
  bool stopping() const { return stopping_; }
  void mark_dirty(ClientId id) { dirty_.push_back(id); }
  void drop(ClientId id, Drop why);
  void close(ClientId id, std::string_view reason);
  void gone(ClientId id);
  void kick() { flush_dirty(); }

  void send(ClientId id, std::string_view text) {
    const auto found = connections_.find(id);
    if (found != connections_.end()) found->second->send(text);
  }
  std::uint16_t port() const { return port_; }
  asio::io_context& io() { return io_; }

 private:
  void accept();
  void accepted(tcp::socket socket);
  void pump();
  void flush_dirty();
  void housekeep();
  void finish_if_empty();

  ServerOptions options_;
  asio::io_context io_{1};
  asio::ssl::context tls_{asio::ssl::context::tls_server};
  tcp::acceptor acceptor_;
  asio::steady_timer pump_, house_, end_;
  std::uint16_t port_ = 0;
  Venue* venue_ = nullptr;
  const SimClock* clock_ = nullptr;
  bool stopping_ = false;
  MonoTime drained_by_;
  ClientId next_id_ = 1;
  std::unordered_map<ClientId, std::shared_ptr<Connection>> connections_;
  std::vector<ClientId> dirty_;
  ServerCounters counters_;
};

namespace {

template <class Next>
class Peer final : public Server::Impl::Connection, public std::enable_shared_from_this<Peer<Next>> {
 public:
  template <class... Args>
  Peer(Server::Impl& server, ClientId id, std::string address, Args&&... args)
      : server_(server), id_(id), address_(std::move(address)), ws_(std::forward<Args>(args)...) {}

  void start() override {
    stream().set_owner(this->weak_from_this());
    error_code ignored;
    socket().socket().set_option(tcp::no_delay(true), ignored);
    if (server_.options().send_buffer > 0)
      socket().socket().set_option(asio::socket_base::send_buffer_size(server_.options().send_buffer), ignored);
    if constexpr (requires {
                    stream().next_layer().async_handshake(asio::ssl::stream_base::server, [](error_code) {});
                  }) {
      socket().expires_after(10s);
      stream().next_layer().async_handshake(asio::ssl::stream_base::server,
                                            [self = this->shared_from_this()](error_code error) {
                                              if (error) return self->over();
                                              self->read_request();
                                            });
    } else {
      read_request();
    }
  }

  void send(std::string_view text) override {
    if (!open_ || !ws_.is_open()) return;
    error_code error;
    ws_.write(asio::buffer(text.data(), text.size()), error);
    if (error) return;  // the reader notices too, and says goodbye
    ++server_.counters().messages;
    server_.counters().bytes += text.size();
    if (!dirty_) {
      dirty_ = true;
      server_.mark_dirty(id_);
    }
  }

  void flush() override {
    dirty_ = false;
    stream().flush();
    if (open_ && stream().pending() > server_.options().queue_bytes) server_.drop(id_, Drop::slow);
  }

  void housekeep(MonoTime now) override {
    if (!open_) return;
    if (rules_.lifetime > 0ns && now - opened_at_ > rules_.lifetime) return server_.drop(id_, Drop::expired);
    if (!unanswered_.empty() && rules_.pong_timeout > 0ns && now - unanswered_.front().at > rules_.pong_timeout)
      return server_.drop(id_, Drop::silent);
    if (rules_.ping_interval > 0ns && now - pinged_at_ > rules_.ping_interval) ping(now);
  }

  void close(websocket::close_code code, std::string_view reason) override {
    if (!is_websocket_) return cut();
    if (!open_) return;
    open_ = false;
    leave_venue();
    ws_.async_close(websocket::close_reason(code, beast::string_view(reason.data(), reason.size())),
                    [self = this->shared_from_this()](error_code) { self->over(); });
  }

  bool has_taken_all() const override { return !is_websocket_ || said_goodbye_; }

  void cut() override {
    error_code ignored;
    socket().socket().close(ignored);
    over();
  }

 private:
  CoalescingStream<Next>& stream() { return ws_.next_layer(); }
  beast::tcp_stream& socket() { return beast::get_lowest_layer(stream().next_layer()); }

  // --- HTTP

  void read_request() {
    socket().expires_after(kHttpTimeout);
    parser_.emplace();
    parser_->body_limit(kMaxRequestBytes);
    http::async_read(stream(), buffer_, *parser_, [self = this->shared_from_this()](error_code error, std::size_t) {
      if (error) return self->over();
      self->answer();
    });
  }

  void answer() {
    request_ = parser_->release();
    const std::string target(request_.target());
    if (websocket::is_upgrade(request_)) return upgrade(target);
    ++server_.counters().requests;
    HttpAnswer answer;
    if (request_.method() != http::verb::get) {
      answer.status = 405;
      answer.body = R"({"code":-1000,"msg":"only GET is served here"})";
    } else {
      HttpRequest request;
      request.target = target;
      request.address = address_;
      request.has_key = request_.count("X-MBX-APIKEY") > 0;
      request.microseconds = beast::iequals(request_["X-MBX-TIME-UNIT"], "MICROSECOND");
      answer = server_.venue().rest(request, server_.now());
    }
    respond(std::move(answer));
  }

  void respond(HttpAnswer answer) {
    auto response = std::make_shared<http::response<http::string_body>>(static_cast<http::status>(answer.status),
                                                                        request_.version());
    response->set(http::field::content_type, "application/json;charset=UTF-8");
    response->set(http::field::server, "marketprism-sim");
    for (const auto& [name, value] : answer.headers) response->set(name, value);
    response->body() = std::move(answer.body);
    response->keep_alive(request_.keep_alive() && !server_.stopping());
    response->prepare_payload();
    http::async_write(stream(), *response, [self = this->shared_from_this(), response](error_code error, std::size_t) {
      if (error) return self->over();
      if (response->keep_alive()) return self->read_request();
      self->stream().when_drained([self] { self->cut(); });
    });
  }

  // --- websocket

  void upgrade(const std::string& target) {
    if (server_.stopping()) return cut();
    const auto rules = server_.venue().open(id_, target);
    if (!rules) {
      HttpAnswer answer;
      answer.status = 404;
      answer.body = R"({"code":-1000,"msg":"no websocket at this path"})";
      return respond(std::move(answer));
    }
    rules_ = *rules;
    in_venue_ = true;
    socket().expires_never();
    ws_.set_option(websocket::stream_base::timeout{10s, websocket::stream_base::none(), false});
    websocket::permessage_deflate deflate;
    deflate.server_enable = true;  // if the client asks for it
    deflate.compLevel = kCompressionLevel;
    ws_.set_option(deflate);
    ws_.auto_fragment(false);
    ws_.read_message_max(kMaxRequestBytes);
    // Into memory, thus done at once: no message of the venue can fall between the subscription and the handshake.
    error_code error;
    ws_.accept(request_, error);
    if (error) return cut();
    stream().flush();
    is_websocket_ = open_ = true;
    ++server_.counters().clients;
    opened_at_ = pinged_at_ = std::chrono::steady_clock::now();
    ws_.control_callback([this](websocket::frame_type kind, beast::string_view payload) { control(kind, payload); });
    read();
  }

  void read() {
    ws_.async_read(buffer_, [self = this->shared_from_this()](error_code error, std::size_t) {
      if (error) return self->over();
      self->received();
    });
  }

  void received() {
    const auto data = buffer_.data();
    if (open_ && may_talk())
      server_.venue().text(id_, std::string_view(static_cast<const char*>(data.data()), data.size()));
    buffer_.consume(buffer_.size());
    server_.kick();
    read();
  }

  void control(websocket::frame_type kind, beast::string_view payload) {
    if (kind == websocket::frame_type::close) said_goodbye_ = true;
    if (!open_ || said_goodbye_) return;
    // A pong counts only when it gives one of our payloads back; it answers the earlier pings too.
    if (kind == websocket::frame_type::pong) {
      const auto ping = std::find_if(unanswered_.begin(), unanswered_.end(),
                                     [&](const Ping& p) { return payload == beast::string_view(p.payload); });
      if (ping != unanswered_.end()) unanswered_.erase(unanswered_.begin(), ping + 1);
    }
    may_talk();
  }

  // Counts an incoming frame; false when that is one too many.
  bool may_talk() {
    if (rules_.incoming_per_second <= 0) return true;
    const auto now = std::chrono::steady_clock::now();
    while (!heard_.empty() && now - heard_.front() > 1s) heard_.pop_front();
    heard_.push_back(now);
    if (heard_.size() <= static_cast<std::size_t>(rules_.incoming_per_second)) return true;
    server_.drop(id_, Drop::talking);
    return false;
  }

  void ping(MonoTime now) {
    const auto text = std::to_string(now.time_since_epoch().count());
    websocket::ping_data payload;
    payload.assign(text);
    error_code error;
    ws_.ping(payload, error);
    stream().flush();
    pinged_at_ = now;
    unanswered_.push_back({text, now});
    // Without a time limit for pongs the list would grow for ever.
    if (unanswered_.size() > 64) unanswered_.pop_front();
  }

  void leave_venue() {
    if (std::exchange(in_venue_, false)) server_.venue().closed(id_);
  }

  void over() {
    open_ = false;
    leave_venue();
    server_.gone(id_);
  }

  Server::Impl& server_;
  ClientId id_;
  std::string address_;
  websocket::stream<CoalescingStream<Next>> ws_;
  beast::flat_buffer buffer_;
  std::optional<http::request_parser<http::string_body>> parser_;
  http::request<http::string_body> request_;
  ConnectionRules rules_;
  bool is_websocket_ = false;
  bool open_ = false;          // a websocket, and not being closed
  bool in_venue_ = false;      // the venue knows this client
  bool said_goodbye_ = false;  // a close frame has come
  bool dirty_ = false;
  MonoTime opened_at_, pinged_at_;
  struct Ping {
    std::string payload;
    MonoTime at;
  };
  std::deque<Ping> unanswered_;
  std::deque<MonoTime> heard_;
};

Error listen_error(const ServerOptions& options, const error_code& error) {
  const std::string where = options.address + ":" + std::to_string(options.port);
  if (error == asio::error::address_in_use)
    return {Errc::conflict, where, "the port is taken; stop what listens there or choose another one with --listen"};
  if (error == asio::error::access_denied)
    return {Errc::usage, where, "not allowed to listen there; choose a port above 1023 with --listen"};
  return {Errc::usage, where, "cannot listen: " + error.message()};
}

}  // namespace

Result<bool> Server::Impl::listen() {
  error_code error;
  if (options_.tls) {
    tls_.set_options(asio::ssl::context::default_workarounds | asio::ssl::context::no_tlsv1 |
                     asio::ssl::context::no_tlsv1_1);
    tls_.use_certificate_chain_file(options_.certificate, error);
    if (error) return Error{Errc::usage, "--certificate " + options_.certificate, error.message()};
    tls_.use_private_key_file(options_.key, asio::ssl::context::pem, error);
    if (error) return Error{Errc::usage, "--key " + options_.key, error.message()};
  }
  const auto address = asio::ip::make_address(options_.address, error);
  if (error) return Error{Errc::usage, "--listen: not an IP address", options_.address};
  const tcp::endpoint endpoint(address, options_.port);
  acceptor_.open(endpoint.protocol(), error);
  if (!error) acceptor_.set_option(asio::socket_base::reuse_address(true), error);
  if (!error) acceptor_.bind(endpoint, error);
  if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
  if (error) return listen_error(options_, error);
  port_ = acceptor_.local_endpoint().port();
  return true;
}

void Server::Impl::accept() {
  acceptor_.async_accept([this](error_code error, tcp::socket socket) {
    if (error == asio::error::operation_aborted || stopping_) return;
    if (!error) accepted(std::move(socket));
    accept();
  });
}

void Server::Impl::accepted(tcp::socket socket) {
  error_code error;
  const auto remote = socket.remote_endpoint(error);
  if (error || connections_.size() >= kMaxConnections) return;
  const ClientId id = next_id_++;
  std::shared_ptr<Connection> connection;
  if (options_.tls)
    connection = std::make_shared<Peer<beast::ssl_stream<beast::tcp_stream>>>(
        *this, id, remote.address().to_string(), beast::tcp_stream(std::move(socket)), tls_);
  else
    connection = std::make_shared<Peer<beast::tcp_stream>>(*this, id, remote.address().to_string(), std::move(socket));
  connections_[id] = connection;
  connection->start();
}

// Lets the venue do what is due, sends it, and sleeps until the next thing is.
void Server::Impl::pump() {
  if (stopping_) return;
  const WallTime now = clock_->now();
  const bool up_to_date = venue_->advance(now);
  flush_dirty();
  if (venue_->done()) return stop();
  const auto due = venue_->next_due();
  if (due) counters_.worst_lag = std::max(counters_.worst_lag, Nanos{now - *due});
  if (!up_to_date) {
    asio::post(io_, [this] { pump(); });
    return;
  }
  const Nanos wait = due ? *due - clock_->now() : Nanos{kIdle};
  pump_.expires_after(std::clamp<Nanos>(wait, kCoalesce, kIdle));
  pump_.async_wait([this](error_code error) {
    if (!error) pump();
  });
}

void Server::Impl::flush_dirty() {
  // Flushing may drop a client, never add one.
  for (std::size_t i = 0; i < dirty_.size(); ++i) {
    const auto found = connections_.find(dirty_[i]);
    if (found != connections_.end()) found->second->flush();
  }
  dirty_.clear();
}

void Server::Impl::drop(ClientId id, Drop why) {
  // Later: the caller may be in the middle of this client's read or of a message to many.
  asio::post(io_, [this, id, why] {
    const auto found = connections_.find(id);
    if (found == connections_.end()) return;
    const auto connection = found->second;
    switch (why) {
      case Drop::slow:
        ++counters_.dropped_slow;
        return connection->cut();  // a close frame would wait behind what it does not read
      case Drop::silent: ++counters_.dropped_silent; return connection->cut();
      case Drop::talking:
        ++counters_.dropped_talking;
        return connection->close(websocket::close_code::policy_error, "Too many requests");
      case Drop::expired:
        ++counters_.expired;
        return connection->close(websocket::close_code::going_away, "connection lifetime is over");
      case Drop::end:
        if (!connection->has_taken_all()) ++counters_.dropped_at_end;
        return connection->cut();
    }
  });
}

void Server::Impl::close(ClientId id, std::string_view reason) {
  asio::post(io_, [this, id, text = std::string(reason)] {
    const auto found = connections_.find(id);
    if (found == connections_.end()) return;
    ++counters_.closed_by_venue;
    const auto connection = found->second;
    connection->close(websocket::close_code::going_away, text);
  });
}

void Server::Impl::gone(ClientId id) {
  connections_.erase(id);
  finish_if_empty();
}

void Server::Impl::housekeep() {
  const auto now = std::chrono::steady_clock::now();
  std::vector<std::shared_ptr<Connection>> all;
  for (const auto& [id, connection] : connections_) all.push_back(connection);
  for (const auto& connection : all) connection->housekeep(now);
  if (stopping_ && now > drained_by_) {
    std::vector<ClientId> left;
    for (const auto& [id, connection] : connections_) left.push_back(id);
    for (const ClientId id : left) drop(id, Drop::end);
  }
  house_.expires_after(kHousekeeping);
  house_.async_wait([this](error_code error) {
    if (!error) housekeep();
  });
}

void Server::Impl::run(Venue& venue, const SimClock& clock, std::optional<Nanos> duration) {
  venue_ = &venue;
  clock_ = &clock;
  asio::signal_set signals(io_);
  if (options_.handle_signals) {
    signals.add(SIGINT);
    signals.add(SIGTERM);
    signals.async_wait([this](error_code error, int) {
      if (!error) stop();
    });
  }
  if (duration) {
    end_.expires_after(*duration);
    end_.async_wait([this](error_code error) {
      if (!error) stop();
    });
  }
  accept();
  housekeep();
  pump();
  io_.run();
  connections_.clear();
}

// The venue says its last words, then every websocket gets what is queued for it and a close frame.
void Server::Impl::stop() {
  if (std::exchange(stopping_, true)) return;
  error_code ignored;
  acceptor_.close(ignored);
  pump_.cancel();
  drained_by_ = std::chrono::steady_clock::now() + options_.drain;
  venue_->finish(clock_->now());
  flush_dirty();
  std::vector<std::shared_ptr<Connection>> all;
  for (const auto& [id, connection] : connections_) all.push_back(connection);
  for (const auto& connection : all) connection->close(websocket::close_code::going_away, "the simulation ends");
  finish_if_empty();
}

void Server::Impl::finish_if_empty() {
  if (stopping_ && connections_.empty()) io_.stop();
}

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Server::~Server() = default;

Result<std::unique_ptr<Server>> Server::listen(const ServerOptions& options) {
  auto impl = std::make_unique<Impl>(options);
  auto listening = impl->listen();
  if (!listening) return listening.error();
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

std::uint16_t Server::port() const { return impl_->port(); }
void Server::run(Venue& venue, const SimClock& clock, std::optional<Nanos> duration) {
  impl_->run(venue, clock, duration);
}
void Server::stop() {
  asio::post(impl_->io(), [this] { impl_->stop(); });
}
const ServerCounters& Server::counters() const { return impl_->counters(); }
void Server::send(ClientId client, std::string_view text) { impl_->send(client, text); }
void Server::close(ClientId client, std::string_view reason) { impl_->close(client, reason); }

}  // namespace mp::sim
