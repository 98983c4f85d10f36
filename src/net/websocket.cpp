#include "net/websocket.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/ssl.hpp>
#include <boost/beast/websocket.hpp>
#include <boost/beast/websocket/ssl.hpp>
#include <deque>
#include <optional>

#include "net/clock.hpp"
#include "net/proxy.hpp"
#include "net/url.hpp"

namespace mp::net {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace websocket = beast::websocket;
using asio::as_tuple;
using asio::use_awaitable;
using error_code = boost::system::error_code;
using Tcp = beast::tcp_stream;
using Tls = beast::ssl_stream<Tcp>;

namespace {

constexpr auto kClosingTimeout = std::chrono::seconds(2);

// Certificates are verified always; there is no switch to turn it off.
Result<std::shared_ptr<asio::ssl::context>> make_tls_context(const std::string& ca_file) {
  auto context = std::make_shared<asio::ssl::context>(asio::ssl::context::tls_client);
  error_code error;
  if (ca_file.empty())
    context->set_default_verify_paths(error);
  else
    context->load_verify_file(ca_file, error);
  if (error) return Error{Errc::io, "certificates " + (ca_file.empty() ? "of the system" : ca_file), error.message()};
  context->set_verify_mode(asio::ssl::verify_peer);
  return context;
}

struct Outcome {
  CloseReason reason{};
  std::string detail;
};

Outcome network_failure(const std::string& step, const WebSocketOptions& options, const error_code& error) {
  return {CloseReason::network, step + " " + options.url + ": " + error.message()};
}

}  // namespace

// What the two kinds of stream (plain and TLS) have in common. Kept alive by its own coroutines.
struct WebSocket::Impl {
  virtual ~Impl() = default;
  virtual void send(std::string text) = 0;
  virtual void close(CloseReason reason) = 0;
  virtual void abandon() = 0;
};

namespace {

template <class Stream>
class Connection final : public WebSocket::Impl, public std::enable_shared_from_this<Connection<Stream>> {
 public:
  template <class... Args>
  Connection(asio::io_context& context, WebSocketOptions options, Url url, std::optional<Proxy> proxy,
             WebSocket::Handlers handlers, std::shared_ptr<asio::ssl::context> tls, Args&&... args)
      : options_(std::move(options)),
        url_(std::move(url)),
        proxy_(std::move(proxy)),
        handlers_(std::move(handlers)),
        tls_(std::move(tls)),
        resolver_(context),
        ws_(context, std::forward<Args>(args)...),
        deadline_(context) {}

  void start() {
    // The handler keeps this object alive until the conversation is over.
    asio::co_spawn(
        ws_.get_executor(), [self = this->shared_from_this()] { return self->converse(); },
        [self = this->shared_from_this()](std::exception_ptr failure) {
          if (failure) self->finish({CloseReason::network, "internal failure on " + self->options_.url});
        });
  }

  void send(std::string text) override {
    if (outgoing_.size() >= options_.max_queued_frames) return close(CloseReason::peer_slow);
    outgoing_.push_back(std::move(text));
    pump();
  }

  void close(CloseReason reason) override {
    if (close_reason_) return;
    close_reason_ = reason;
    if (!is_open_) return drop_socket();
    pump();
    // The peer may never answer the close frame.
    deadline_.expires_after(kClosingTimeout);
    deadline_.async_wait([self = this->shared_from_this()](const error_code& error) {
      if (!error) self->drop_socket();
    });
  }

  void abandon() override {
    handlers_ = {};
    close_reason_ = CloseReason::stopped;
    drop_socket();
  }

 private:
  // co_spawn copies the lambda that returned this coroutine; `this` lives as long as start()'s handler.
  asio::awaitable<void> converse() {
    auto outcome = co_await open();
    if (!outcome) {
      if (handlers_.opened) handlers_.opened();
      outcome = co_await read_frames();
    }
    finish(std::move(*outcome));
  }

  asio::awaitable<std::optional<Outcome>> open() {
    deadline_.expires_after(options_.handshake_timeout);
    deadline_.async_wait([self = this->shared_from_this()](const error_code& error) {
      if (error || self->is_open_) return;
      self->timed_out_ = true;
      self->drop_socket();
    });
    const auto [resolve_error, endpoints] = co_await resolver_.async_resolve(
        proxy_ ? proxy_->host : url_.host, proxy_ ? proxy_->port : url_.port, as_tuple(use_awaitable));
    if (resolve_error) co_return failure(step("looking up", "looking up the proxy"), resolve_error);
    const auto [connect_error, endpoint] =
        co_await beast::get_lowest_layer(ws_).async_connect(endpoints, as_tuple(use_awaitable));
    if (connect_error) co_return failure(step("connecting to", "connecting to the proxy"), connect_error);
    error_code ignored;
    beast::get_lowest_layer(ws_).socket().set_option(asio::ip::tcp::no_delay(true), ignored);
    if (proxy_) {
      // No ?: here: GCC 12 destroys the temporaries of both its co_awaits.
      std::optional<Outcome> refused;
      if (proxy_->kind == Proxy::Kind::http)
        refused = co_await open_http_tunnel();
      else
        refused = co_await open_socks5_tunnel();
      if (refused) co_return refused;
    }
    if constexpr (std::is_same_v<Stream, Tls>) {
      if (const auto error = co_await tls_handshake()) co_return failure("TLS handshake with", error);
    }
    co_return co_await upgrade();
  }

  std::string step(const char* direct, const char* by_proxy) const {
    return proxy_ ? std::string(by_proxy) + " " + proxy_->name() + " for" : direct;
  }

  Outcome proxy_refused(const std::string& what) const {
    return {CloseReason::refused, "proxy " + proxy_->name() + " for " + options_.url + ": " + what};
  }

  asio::awaitable<std::optional<Outcome>> open_http_tunnel() {
    auto& socket = beast::get_lowest_layer(ws_).socket();
    const auto request = connect_request(*proxy_, url_, options_.user_agent);
    const auto [write_error, written] =
        co_await asio::async_write(socket, asio::buffer(request), as_tuple(use_awaitable));
    if (write_error) co_return failure(step("", "writing to the proxy"), write_error);
    std::string head;
    const auto [read_error, size] = co_await asio::async_read_until(socket, asio::dynamic_buffer(head, kMaxConnectHead),
                                                                    "\r\n\r\n", as_tuple(use_awaitable));
    if (read_error == asio::error::not_found) co_return proxy_refused("its answer has no end");
    if (read_error) co_return failure(step("", "reading from the proxy"), read_error);
    if (const auto refusal = connect_refusal(std::string_view(head).substr(0, size))) co_return proxy_refused(*refusal);
    // Neither kind of server speaks before we have.
    if (head.size() != size) co_return proxy_refused("sent bytes before the tunnel was used");
    co_return std::nullopt;
  }

  // Says `request`, reads an answer of `size` bytes into `answer`.
  asio::awaitable<error_code> ask_socks5(std::string request, std::string& answer, std::size_t size) {
    auto& socket = beast::get_lowest_layer(ws_).socket();
    const auto [write_error, written] =
        co_await asio::async_write(socket, asio::buffer(request), as_tuple(use_awaitable));
    if (write_error) co_return write_error;
    answer.resize(size);
    const auto [read_error, got] = co_await asio::async_read(socket, asio::buffer(answer), as_tuple(use_awaitable));
    co_return read_error;
  }

  asio::awaitable<std::optional<Outcome>> open_socks5_tunnel() {
    const auto talking = step("", "talking to the proxy");
    std::string answer;
    if (const auto error = co_await ask_socks5(socks5_greeting(*proxy_), answer, 2)) co_return failure(talking, error);
    const auto wants_password = socks5_wants_password(answer);
    if (!wants_password) co_return proxy_refused(wants_password.error().text());
    if (*wants_password) {
      if (const auto error = co_await ask_socks5(socks5_password(*proxy_), answer, 2))
        co_return failure(talking, error);
      if (const auto refusal = socks5_password_refusal(answer)) co_return proxy_refused(*refusal);
    }
    if (const auto error = co_await ask_socks5(socks5_connect(url_), answer, 5)) co_return failure(talking, error);
    const auto rest = socks5_rest(answer);
    if (!rest) co_return proxy_refused(rest.error().text());
    if (const auto error = co_await ask_socks5({}, answer, *rest)) co_return failure(talking, error);
    co_return std::nullopt;
  }

  asio::awaitable<error_code> tls_handshake() {
    auto& tls = ws_.next_layer();
    // SSL_set_tlsext_host_name, without the macro's C casts.
    if (!SSL_ctrl(tls.native_handle(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, url_.host.data()))
      co_return error_code(static_cast<int>(::ERR_get_error()), asio::error::get_ssl_category());
    tls.set_verify_callback(asio::ssl::host_name_verification(url_.host));
    const auto [error] = co_await tls.async_handshake(asio::ssl::stream_base::client, as_tuple(use_awaitable));
    co_return error;
  }

  asio::awaitable<std::optional<Outcome>> upgrade() {
    websocket::permessage_deflate deflate;
    deflate.client_enable = options_.compression;
    ws_.set_option(deflate);
    ws_.set_option(websocket::stream_base::decorator([agent = options_.user_agent](websocket::request_type& request) {
      request.set(beast::http::field::user_agent, agent);
    }));
    ws_.read_message_max(options_.max_message_bytes);
    websocket::response_type response;
    const auto host = url_.host + ":" + url_.port;
    const auto [error] = co_await ws_.async_handshake(response, host, url_.target, as_tuple(use_awaitable));
    if (error == websocket::error::upgrade_declined) {
      co_return Outcome{CloseReason::refused, options_.url + " refused the upgrade: HTTP " +
                                                  std::to_string(response.result_int()) + " " +
                                                  response.body().substr(0, 200)};
    }
    if (error) co_return failure("upgrading", error);
    is_open_ = true;
    deadline_.cancel();
    if (close_reason_) co_return Outcome{*close_reason_, "closed by us while opening " + options_.url};
    co_return std::nullopt;
  }

  asio::awaitable<Outcome> read_frames() {
    beast::flat_buffer buffer;
    for (;;) {
      const auto [error, size] = co_await ws_.async_read(buffer, as_tuple(use_awaitable));
      const auto received_at = now();
      if (error) co_return ended(error);
      // Decoders may read past the end (RawRecord::kFramePadding); reserve keeps what is there.
      buffer.reserve(buffer.size() + RawRecord::kFramePadding);
      const auto data = buffer.cdata();
      if (handlers_.frame)
        handlers_.frame({static_cast<const char*>(data.data()), data.size()}, ws_.got_binary(), received_at);
      buffer.clear();
    }
  }

  Outcome ended(const error_code& error) {
    if (close_reason_) return {*close_reason_, "closed by us"};
    if (error == websocket::error::closed) {
      const auto& reason = ws_.reason();
      return {CloseReason::network, options_.url + " closed the connection: code " + std::to_string(reason.code) + " " +
                                        std::string(reason.reason.data(), reason.reason.size())};
    }
    return network_failure("reading from", options_, error);
  }

  Outcome failure(const std::string& step, const error_code& error) {
    if (timed_out_)
      return {CloseReason::network, step + " " + options_.url + ": no answer within " +
                                        std::to_string(options_.handshake_timeout.count()) + " s"};
    if (close_reason_) return {*close_reason_, "closed by us while opening " + options_.url};
    return network_failure(step, options_, error);
  }

  // One write at a time; the close frame goes when the queue is empty.
  void pump() {
    if (writing_ || !is_open_) return;
    if (!outgoing_.empty()) {
      writing_ = true;
      ws_.text(true);
      ws_.async_write(asio::buffer(outgoing_.front()),
                      [self = this->shared_from_this()](const error_code& error, std::size_t) {
                        self->writing_ = false;
                        self->outgoing_.pop_front();
                        if (error) return self->drop_socket();
                        self->pump();
                      });
      return;
    }
    if (!close_reason_) return;
    writing_ = true;  // for good: nothing may follow a close frame
    ws_.async_close(websocket::close_code::normal,
                    [self = this->shared_from_this()](const error_code&) { self->drop_socket(); });
  }

  void drop_socket() {
    resolver_.cancel();
    error_code ignored;
    beast::get_lowest_layer(ws_).socket().close(ignored);
    deadline_.cancel();
  }

  void finish(Outcome outcome) {
    is_open_ = false;
    drop_socket();
    if (handlers_.closed) std::exchange(handlers_.closed, nullptr)(outcome.reason, std::move(outcome.detail));
  }

  WebSocketOptions options_;
  Url url_;
  std::optional<Proxy> proxy_;
  WebSocket::Handlers handlers_;
  std::shared_ptr<asio::ssl::context> tls_;  // outlives ws_, which uses it
  asio::ip::tcp::resolver resolver_;
  websocket::stream<Stream> ws_;
  asio::steady_timer deadline_;
  std::deque<std::string> outgoing_;
  std::optional<CloseReason> close_reason_;
  bool is_open_ = false;
  bool writing_ = false;
  bool timed_out_ = false;
};

// For an address that cannot even be tried.
class Unusable final : public WebSocket::Impl, public std::enable_shared_from_this<Unusable> {
 public:
  Unusable(Loop& loop, WebSocket::Handlers handlers, Error error)
      : loop_(loop), handlers_(std::move(handlers)), error_(std::move(error)) {}
  void start() {
    loop_.post([self = shared_from_this()] {
      if (self->handlers_.closed) self->handlers_.closed(CloseReason::refused, self->error_.text());
    });
  }
  void send(std::string) override {}
  void close(CloseReason) override {}
  void abandon() override { handlers_ = {}; }

 private:
  Loop& loop_;
  WebSocket::Handlers handlers_;
  Error error_;
};

template <class Connection>
std::shared_ptr<WebSocket::Impl> started(std::shared_ptr<Connection> connection) {
  connection->start();
  return connection;
}

std::shared_ptr<WebSocket::Impl> make_impl(Loop& loop, WebSocketOptions options, WebSocket::Handlers handlers) {
  auto url = parse_url(options.url);
  if (!url) return started(std::make_shared<Unusable>(loop, std::move(handlers), url.error()));
  auto proxy = proxy_for(*url, options.proxy, process_variables());
  if (!proxy) return started(std::make_shared<Unusable>(loop, std::move(handlers), proxy.error()));
  if (!url->is_secure()) {
    return started(std::make_shared<Connection<Tcp>>(loop.context(), std::move(options), std::move(*url),
                                                     std::move(*proxy), std::move(handlers), nullptr));
  }
  auto tls = make_tls_context(options.ca_file);
  if (!tls) return started(std::make_shared<Unusable>(loop, std::move(handlers), tls.error()));
  auto& context = **tls;
  return started(std::make_shared<Connection<Tls>>(loop.context(), std::move(options), std::move(*url),
                                                   std::move(*proxy), std::move(handlers), std::move(*tls), context));
}

}  // namespace

WebSocket::WebSocket(Loop& loop, WebSocketOptions options, Handlers handlers)
    : impl_(make_impl(loop, std::move(options), std::move(handlers))) {}
WebSocket::~WebSocket() { impl_->abandon(); }
void WebSocket::send(std::string text) { impl_->send(std::move(text)); }
void WebSocket::close(CloseReason reason) { impl_->close(reason); }

}  // namespace mp::net
