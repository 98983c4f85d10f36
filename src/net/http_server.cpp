#include "net/http_server.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/buffer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <list>
#include <mutex>
#include <optional>
#include <thread>

namespace mp::net {
namespace {

namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::system::error_code;
using std::chrono::milliseconds;

constexpr std::size_t kReadBuffer = 64 * 1024;
// What a handler left unread of a body is read away up to here so that the connection can go on.
constexpr std::size_t kMaxDrain = 1024 * 1024;

class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_ = -1;
};

std::string system_text(int error) { return std::error_code(error, std::generic_category()).message(); }

// ---- addresses -------------------------------------------------------------------------------------------------

struct ListenAddress {
  std::string host;
  std::string port;
};

Result<ListenAddress> split_address(const std::string& listen) {
  const auto colon = listen.rfind(':');
  const auto wrong = Error{Errc::usage, "listen address " + listen, "expected host:port, for example 127.0.0.1:8123"};
  if (colon == std::string::npos || colon == 0 || colon + 1 == listen.size()) return wrong;
  ListenAddress address{listen.substr(0, colon), listen.substr(colon + 1)};
  if (address.host.size() > 1 && address.host.front() == '[' && address.host.back() == ']') {
    address.host = address.host.substr(1, address.host.size() - 2);
  }
  const bool digits =
      std::all_of(address.port.begin(), address.port.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!digits || address.port.size() > 5 || std::stoi(address.port) > 65535) return wrong;
  return address;
}

std::string text_of(const sockaddr_storage& address, std::uint16_t* port_out = nullptr) {
  char host[INET6_ADDRSTRLEN] = "";
  std::uint16_t port = 0;
  if (address.ss_family == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&address);
    ::inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host);
    port = ntohs(v6->sin6_port);
  } else {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(&address);
    ::inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host);
    port = ntohs(v4->sin_port);
  }
  if (port_out != nullptr) *port_out = port;
  return address.ss_family == AF_INET6 ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
}

Error listen_error(const HttpServerOptions& options, int error) {
  if (error == EADDRINUSE) {
    return Error{
        Errc::conflict, "cannot listen on " + options.listen,
        fmt::format("another program has that port: stop it, or choose another port with {}", options.listen_option)};
  }
  if (error == EACCES) {
    return Error{
        Errc::io, "cannot listen on " + options.listen,
        fmt::format("no permission (ports below 1024 need root): choose another port with {}", options.listen_option)};
  }
  return Error{Errc::io, "cannot listen on " + options.listen,
               fmt::format("{} (set by {})", system_text(error), options.listen_option)};
}

Result<Descriptor> open_listener(const HttpServerOptions& options) {
  auto split = split_address(options.listen);
  if (!split) return split.error();
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  if (const int rc = ::getaddrinfo(split->host.c_str(), split->port.c_str(), &hints, &found); rc != 0) {
    return Error{Errc::usage, "cannot listen on " + options.listen,
                 fmt::format("{} (set by {})", ::gai_strerror(rc), options.listen_option)};
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, &::freeaddrinfo);
  Descriptor fd(::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int on = 1;
  if (fd.get() < 0) return listen_error(options, errno);
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::bind(fd.get(), found->ai_addr, found->ai_addrlen) != 0 || ::listen(fd.get(), 511) != 0) {
    return listen_error(options, errno);
  }
  return fd;
}

// ---- one socket ------------------------------------------------------------------------------------------------

// A non-blocking socket read and written with a time-out for every wait. Satisfies Beast's
// SyncReadStream. (Asio's own blocking calls cannot time out.) `wake` is the server's stop signal;
// it interrupts only the wait for a next request.
class Socket {
 public:
  Socket(Descriptor fd, int wake, milliseconds timeout) : fd_(std::move(fd)), wake_(wake), timeout_(timeout) {}

  int fd() const { return fd_.get(); }

  // True when bytes (or the end) are there to read; false on time-out or when the server stops.
  bool wait_for_request(milliseconds idle) {
    pollfd fds[2] = {{fd(), POLLIN, 0}, {wake_, POLLIN, 0}};
    const int rc = poll_again(fds, 2, idle);
    return rc > 0 && fds[0].revents != 0 && (fds[1].revents & POLLIN) == 0;
  }

  bool peer_closed() const {
    pollfd p{fd(), POLLRDHUP, 0};
    return ::poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
  }

  template <class Buffers>
  std::size_t read_some(const Buffers& buffers, error_code& ec) {
    ec = {};
    const boost::asio::mutable_buffer into = *boost::asio::buffer_sequence_begin(buffers);
    for (;;) {
      const ssize_t n = ::recv(fd(), into.data(), into.size(), 0);
      if (n > 0) return static_cast<std::size_t>(n);
      if (n == 0) {
        ec = boost::asio::error::eof;
        return 0;
      }
      if (!wait_after(errno, POLLIN, ec)) return 0;
    }
  }
  template <class Buffers>
  std::size_t read_some(const Buffers& buffers) {
    error_code ec;
    const auto n = read_some(buffers, ec);
    if (ec) throw boost::system::system_error(ec);
    return n;
  }

  bool write_all(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::send(fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n >= 0) {
        bytes.remove_prefix(static_cast<std::size_t>(n));
        continue;
      }
      error_code ec;
      if (!wait_after(errno, POLLOUT, ec)) return false;
    }
    return true;
  }

  using executor_type = boost::asio::system_executor;
  executor_type get_executor() const { return {}; }

 private:
  static int poll_again(pollfd* fds, nfds_t count, milliseconds timeout) {
    const auto deadline = std::chrono::steady_clock::now() + timeout;
    for (;;) {
      const auto left = std::chrono::duration_cast<milliseconds>(deadline - std::chrono::steady_clock::now());
      const int rc = ::poll(fds, count, static_cast<int>(std::max<milliseconds::rep>(0, left.count())));
      if (rc >= 0 || errno != EINTR) return rc;
    }
  }

  // After a call failed with `error`: true to try again, false with `ec` when it is over.
  bool wait_after(int error, short events, error_code& ec) {
    if (error == EINTR) return true;
    if (error != EAGAIN && error != EWOULDBLOCK) {
      ec = error_code(error, boost::system::system_category());
      return false;
    }
    pollfd p{fd(), events, 0};
    if (poll_again(&p, 1, timeout_) > 0) return true;
    ec = boost::asio::error::timed_out;
    return false;
  }

  Descriptor fd_;
  int wake_;
  milliseconds timeout_;
};

// ---- one request -----------------------------------------------------------------------------------------------

using Parser = http::request_parser<http::buffer_body>;

class BodyReader final : public HttpRequestBody {
 public:
  BodyReader(Socket& socket, beast::flat_buffer& buffer, Parser& parser)
      : socket_(socket), buffer_(buffer), parser_(parser) {
    awaits_continue_ = beast::iequals(parser.get()[http::field::expect], "100-continue");
  }

  Result<std::size_t> read(char* into, std::size_t size) override {
    if (parser_.is_done() || size == 0) return std::size_t{0};
    if (awaits_continue_) {
      awaits_continue_ = false;
      if (!socket_.write_all("HTTP/1.1 100 Continue\r\n\r\n")) return failed(boost::asio::error::broken_pipe);
    }
    auto& body = parser_.get().body();
    body.data = into;
    body.size = size;
    // A read may move only framing (a chunk's header): go on until a byte of the body came or it is
    // over.
    while (!parser_.is_done() && body.size == size) {
      error_code ec;
      http::read_some(socket_, buffer_, parser_, ec);
      if (ec == http::error::need_buffer) break;
      if (ec) return failed(ec);
    }
    return size - body.size;
  }

  // Reads away what is left; false when the connection cannot be used for another request.
  bool drain() {
    if (parser_.is_done()) return true;
    if (awaits_continue_ || broken_) return false;
    std::string scrap(kReadBuffer, '\0');
    for (std::size_t total = 0; total < kMaxDrain && !parser_.is_done();) {
      auto n = read(scrap.data(), scrap.size());
      if (!n) return false;
      total += *n;
    }
    return parser_.is_done();
  }

 private:
  Error failed(const error_code& ec) {
    broken_ = true;
    if (ec == boost::asio::error::timed_out)
      return Error{Errc::timeout, "request body", "the client sent nothing for too long"};
    if (ec == http::error::partial_message || ec == boost::asio::error::eof || ec == http::error::end_of_stream) {
      return Error{Errc::io, "request body", "the client closed the connection before the end"};
    }
    return Error{Errc::io, "request body", ec.message()};
  }

  Socket& socket_;
  beast::flat_buffer& buffer_;
  Parser& parser_;
  bool awaits_continue_ = false;
  bool broken_ = false;
};

struct ResponseTraits {
  bool is_head = false;
  bool chunked_allowed = true;  // HTTP/1.1
  bool keep_alive = true;
  milliseconds idle_timeout{};
};

class ResponseWriter final : public HttpServerResponse {
 public:
  ResponseWriter(Socket& socket, ResponseTraits traits) : socket_(socket), traits_(traits) {}

  void set_header(std::string name, std::string value) override {
    // A line break in a value would start a header of its own.
    std::replace_if(
        value.begin(), value.end(), [](char c) { return c == '\r' || c == '\n' || c == '\0'; }, ' ');
    headers_.push_back({std::move(name), std::move(value)});
  }

  bool send(int status, std::string_view content_type, std::string_view body) override {
    std::string out = head(status, content_type);
    out += fmt::format("Content-Length: {}\r\n\r\n", body.size());
    begun_ = ended_ = true;
    if (traits_.is_head) return put(out);
    // One system call for the usual small answer, no copy of a large one.
    if (body.size() <= kReadBuffer) return put(out.append(body));
    return put(out) && put(body);
  }

  bool begin(int status, std::string_view content_type) override {
    if (!traits_.chunked_allowed) traits_.keep_alive = false;
    std::string out = head(status, content_type);
    out += traits_.chunked_allowed ? "Transfer-Encoding: chunked\r\n\r\n" : "\r\n";
    begun_ = true;
    return put(out);
  }

  bool write(std::string_view bytes) override {
    if (bytes.empty() || traits_.is_head) return !broken_;
    if (!traits_.chunked_allowed) return put(bytes);
    return put(fmt::format("{:x}\r\n", bytes.size())) && put(bytes) && put("\r\n");
  }

  bool end() override {
    ended_ = true;
    if (!traits_.chunked_allowed || traits_.is_head) return !broken_;
    return put("0\r\n\r\n");
  }

  void abort() override {
    broken_ = true;
    traits_.keep_alive = false;
  }

  bool begun() const override { return begun_; }
  bool client_gone() override { return broken_ || socket_.peer_closed(); }

  bool whole() const { return begun_ && ended_ && !broken_; }
  bool keep_alive() const { return traits_.keep_alive && whole(); }
  void close_after() { traits_.keep_alive = false; }

 private:
  std::string head(int status, std::string_view content_type) {
    std::string out = fmt::format("HTTP/1.1 {} {}\r\n", status, http_reason(status));
    if (!content_type.empty()) out += fmt::format("Content-Type: {}\r\n", content_type);
    for (const auto& header : headers_) out += fmt::format("{}: {}\r\n", header.name, header.value);
    if (traits_.keep_alive) {
      const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(traits_.idle_timeout).count();
      out += fmt::format("Connection: Keep-Alive\r\nKeep-Alive: timeout={}\r\n", seconds);
    } else {
      out += "Connection: close\r\n";
    }
    return out;
  }

  bool put(std::string_view bytes) {
    if (!broken_ && !socket_.write_all(bytes)) abort();
    return !broken_;
  }

  Socket& socket_;
  ResponseTraits traits_;
  std::vector<HttpField> headers_;
  bool begun_ = false;
  bool ended_ = false;
  bool broken_ = false;
};

HttpServerRequest to_request(const Parser::value_type& message, std::string peer) {
  HttpServerRequest request;
  request.method = std::string(message.method_string());
  request.target = std::string(message.target());
  const auto mark = request.target.find('?');
  request.path = percent_decode(std::string_view(request.target).substr(0, mark), false);
  if (mark != std::string::npos) request.query = request.target.substr(mark + 1);
  request.peer = std::move(peer);
  for (const auto& field : message) {
    request.headers.push_back({std::string(field.name_string()), std::string(field.value())});
  }
  return request;
}

// Why a request could not be read, as a status to answer; 0 when nobody waits for an answer.
int status_for(const error_code& ec) {
  if (ec == http::error::end_of_stream || ec == boost::asio::error::eof) return 0;
  if (ec == http::error::header_limit || ec == http::error::buffer_overflow) return 431;
  if (ec == boost::asio::error::timed_out) return 408;
  if (ec.category() == http::make_error_code(http::error::bad_method).category()) return 400;
  return 0;
}

// ---- the server ------------------------------------------------------------------------------------------------

class Server final : public HttpServer {
 public:
  Server(HttpServerOptions options, HttpHandler handler, Descriptor listener)
      : options_(std::move(options)),
        handler_(std::move(handler)),
        listener_(std::move(listener)),
        wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    sockaddr_storage bound{};
    socklen_t size = sizeof bound;
    ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&bound), &size);
    address_ = text_of(bound, &port_);
    acceptor_ = std::thread([this] { accept_loop(); });
  }

  ~Server() override {
    stop(milliseconds{0});
    for (auto& connection : connections_) connection.thread.join();
  }

  std::string address() const override { return address_; }
  std::uint16_t port() const override { return port_; }
  std::size_t connections() const override {
    const std::lock_guard lock(mutex_);
    return open_;
  }
  std::uint64_t refused_connections() const override { return refused_; }

  bool stop(milliseconds grace) override {
    stopping_ = true;
    const std::uint64_t one = 1;
    if (::write(wake_.get(), &one, sizeof one) < 0) {
      // The counter is full only after 2^64 stops: it is readable then, which is all that is
      // needed.
    }
    if (acceptor_.joinable()) acceptor_.join();
    listener_ = Descriptor();
    std::unique_lock lock(mutex_);
    if (all_closed_.wait_for(lock, grace, [this] { return open_ == 0; })) return true;
    for (auto& connection : connections_) {
      if (!connection.done) ::shutdown(connection.fd, SHUT_RDWR);
    }
    return false;
  }

 private:
  struct Connection {
    std::thread thread;
    int fd = -1;
    bool done = false;  // guarded by mutex_; the thread touches nothing of ours afterwards
  };

  void accept_loop() {
    while (!stopping_) {
      pollfd fds[2] = {{listener_.get(), POLLIN, 0}, {wake_.get(), POLLIN, 0}};
      // The time-out lets finished threads be joined even when nobody connects.
      if (::poll(fds, 2, 1000) < 0 && errno != EINTR) break;
      reap();
      if (stopping_ || (fds[0].revents & POLLIN) == 0) continue;
      sockaddr_storage peer{};
      socklen_t size = sizeof peer;
      Descriptor fd(
          ::accept4(listener_.get(), reinterpret_cast<sockaddr*>(&peer), &size, SOCK_CLOEXEC | SOCK_NONBLOCK));
      if (fd.get() >= 0) {
        admit(std::move(fd), text_of(peer));
      } else if (errno == EMFILE || errno == ENFILE) {
        // Out of descriptors: the client waits in the backlog; do not spin meanwhile.
        std::this_thread::sleep_for(milliseconds{50});
      }
    }
  }

  void reap() {
    std::list<Connection> finished;
    {
      const std::lock_guard lock(mutex_);
      for (auto it = connections_.begin(); it != connections_.end();) {
        const auto next = std::next(it);
        if (it->done) finished.splice(finished.end(), connections_, it);
        it = next;
      }
    }
    for (auto& connection : finished) connection.thread.join();
  }

  void admit(Descriptor fd, std::string peer) {
    const std::lock_guard lock(mutex_);
    if (open_ >= options_.max_connections) return refuse(fd);
    const int on = 1;
    ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    auto& connection = connections_.emplace_back();
    connection.fd = fd.get();
    ++open_;
    connection.thread =
        std::thread([this, &connection, socket = Socket(std::move(fd), wake_.get(), options_.io_timeout),
                     peer = std::move(peer)]() mutable { run(connection, socket, peer); });
  }

  void refuse(const Descriptor& fd) {
    ++refused_;
    const auto text = fmt::format("too many connections: the limit is {}\n", options_.max_connections);
    const auto answer = fmt::format(
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nRetry-After: "
        "1\r\nConnection: close\r\n"
        "Content-Length: {}\r\n\r\n{}",
        text.size(), text);
    // Best effort without waiting: a client that does not read cannot hold up the others.
    (void)::send(fd.get(), answer.data(), answer.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    ::shutdown(fd.get(), SHUT_WR);
    char scrap[4096];
    while (::recv(fd.get(), scrap, sizeof scrap, MSG_DONTWAIT) > 0) {
      // What was sent already is read away, else closing would reset the connection and lose the
      // answer.
    }
  }

  void run(Connection& connection, Socket& socket, const std::string& peer) {
    try {
      serve(socket, peer);
    } catch (const std::exception&) {
      // Out of memory for this connection: it is closed, the others go on.
    }
    const std::lock_guard lock(mutex_);
    // The descriptor closes with the thread's socket, after `done`: nobody shuts down a number that
    // was reused.
    connection.done = true;
    --open_;
    all_closed_.notify_all();
  }

  void serve(Socket& socket, const std::string& peer) {
    beast::flat_buffer buffer(options_.max_header_bytes + kReadBuffer);
    buffer.reserve(kReadBuffer);
    bool more = true;
    while (more && !stopping_) {
      if (buffer.size() == 0 && !socket.wait_for_request(options_.idle_timeout)) return;
      more = serve_one(socket, buffer, peer);
    }
  }

  // One request and its answer; false when the connection is over.
  bool serve_one(Socket& socket, beast::flat_buffer& buffer, const std::string& peer) {
    Parser parser;
    parser.header_limit(static_cast<std::uint32_t>(options_.max_header_bytes));
    parser.body_limit(boost::none);
    error_code ec;
    http::read_header(socket, buffer, parser, ec);
    if (ec) {
      refuse_request(socket, ec);
      return false;
    }
    const auto& message = parser.get();
    ResponseWriter response(socket, {.is_head = message.method() == http::verb::head,
                                     .chunked_allowed = message.version() >= 11,
                                     .keep_alive = parser.keep_alive() && !stopping_,
                                     .idle_timeout = options_.idle_timeout});
    BodyReader body(socket, buffer, parser);
    HttpServerRequest request = to_request(message, peer);
    request.body = &body;
    call_handler(request, response);
    const bool reusable = response.keep_alive() && body.drain();
    if (!reusable) linger(socket);
    return reusable;
  }

  void call_handler(HttpServerRequest& request, HttpServerResponse& response) {
    std::string problem = "the handler sent no answer";
    try {
      handler_(request, response);
    } catch (const std::exception& e) {
      problem = e.what();
    }
    if (!response.begun()) response.send(500, "text/plain; charset=UTF-8", problem + "\n");
  }

  static void refuse_request(Socket& socket, const error_code& ec) {
    const int status = status_for(ec);
    if (status == 0) return;
    ResponseWriter response(socket, {.keep_alive = false});
    response.send(status, "text/plain; charset=UTF-8", fmt::format("{}: {}\n", http_reason(status), ec.message()));
    linger(socket);
  }

  // Closing with unread bytes resets the connection, and the client may lose our answer: tell it
  // that we are done and read away for a moment what it is still sending.
  static void linger(Socket& socket) {
    ::shutdown(socket.fd(), SHUT_WR);
    char scrap[4096];
    pollfd p{socket.fd(), POLLIN, 0};
    const auto deadline = std::chrono::steady_clock::now() + milliseconds{500};
    while (std::chrono::steady_clock::now() < deadline && ::poll(&p, 1, 100) > 0) {
      if (::recv(socket.fd(), scrap, sizeof scrap, MSG_DONTWAIT) <= 0) return;
    }
  }

  HttpServerOptions options_;
  HttpHandler handler_;
  Descriptor listener_;
  Descriptor wake_;
  std::string address_;
  std::uint16_t port_ = 0;
  std::atomic<bool> stopping_{false};
  std::atomic<std::uint64_t> refused_{0};
  mutable std::mutex mutex_;
  std::condition_variable all_closed_;
  std::list<Connection> connections_;  // guarded by mutex_
  std::size_t open_ = 0;               // guarded by mutex_
  std::thread acceptor_;
};

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

Result<std::string> HttpRequestBody::read_all(std::size_t limit) {
  std::string all;
  for (;;) {
    const std::size_t had = all.size();
    all.resize(had + kReadBuffer);
    auto n = read(all.data() + had, kReadBuffer);
    if (!n) return n.error();
    all.resize(had + *n);
    if (*n == 0) return all;
    if (all.size() > limit) return Error{Errc::out_of_range, "request body", fmt::format("more than {} bytes", limit)};
  }
}

std::string_view HttpServerRequest::header(std::string_view name) const {
  for (const auto& header : headers) {
    if (beast::iequals(header.name, name)) return header.value;
  }
  return {};
}

Result<std::unique_ptr<HttpServer>> HttpServer::start(HttpServerOptions options, HttpHandler handler) {
  auto listener = open_listener(options);
  if (!listener) return listener.error();
  return std::unique_ptr<HttpServer>(
      std::make_unique<Server>(std::move(options), std::move(handler), std::move(*listener)));
}

std::string percent_decode(std::string_view text, bool plus_is_blank) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 && hex_digit(text[i + 2]) >= 0) {
      out += static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
      i += 2;
    } else {
      out += text[i] == '+' && plus_is_blank ? ' ' : text[i];
    }
  }
  return out;
}

std::vector<std::pair<std::string, std::string>> parse_query(std::string_view query) {
  std::vector<std::pair<std::string, std::string>> out;
  while (!query.empty()) {
    const auto end = std::min(query.find('&'), query.size());
    const auto part = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    if (part.empty()) continue;
    const auto equals = std::min(part.find('='), part.size());
    const auto value = equals < part.size() ? part.substr(equals + 1) : std::string_view{};
    out.emplace_back(percent_decode(part.substr(0, equals), true), percent_decode(value, true));
  }
  return out;
}

std::string_view http_reason(int status) {
  return std::string_view(http::obsolete_reason(static_cast<http::status>(status)));
}

}  // namespace mp::net
