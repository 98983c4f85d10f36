// The bytes of both protocols, and websockets and REST through real proxies on loopback that were written for this.
#include "net/proxy.hpp"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/ssl.hpp>
#include <boost/beast/websocket.hpp>
#include <boost/beast/websocket/ssl.hpp>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <mutex>
#include <thread>

#include "net/http_client.hpp"
#include "net/websocket.hpp"

namespace mp::net {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using asio::as_tuple;
using asio::use_awaitable;
using testing::HasSubstr;
using testing::Not;
using namespace std::chrono_literals;
using namespace std::string_literals;

Variables only(std::map<std::string, std::string> all) {
  return [all = std::move(all)](const char* name) -> std::optional<std::string> {
    const auto found = all.find(name);
    return found == all.end() ? std::nullopt : std::optional(found->second);
  };
}

std::string chosen(const char* target, std::string_view configured, std::map<std::string, std::string> all) {
  const auto proxy = proxy_for(*parse_url(target), configured, only(std::move(all)));
  if (!proxy) return proxy.error().text();
  return *proxy ? (*proxy)->name() : "direct";
}

TEST(Proxy, AddressesAreTakenApart) {
  const auto http = parse_proxy("http://me:p%40ss%3Aword@proxy.lan:3128/");
  ASSERT_TRUE(http) << http.error().text();
  EXPECT_EQ(http->kind, Proxy::Kind::http);
  EXPECT_EQ(http->user, "me");
  EXPECT_EQ(http->password, "p@ss:word");
  EXPECT_EQ(http->name(), "http://proxy.lan:3128");
  EXPECT_EQ(parse_proxy("socks5h://[::1]:9050")->name(), "socks5://[::1]:9050");
  EXPECT_EQ(parse_proxy("socks5://p")->port, "1080");
  EXPECT_EQ(parse_proxy("proxy:3128")->name(), "http://proxy:3128");
  EXPECT_FALSE(parse_proxy("http://proxy")->has_credentials());
}

TEST(Proxy, WhatIsNoneIsRefusedWithoutRepeatingItsPassword) {
  for (const auto& bad : {"https://u:geheim@proxy:1"s, "socks4://u:geheim@proxy:1"s, "http://u:geheim@"s,
                          "http://u:geheim@p:99999"s, ""s, "http://u:" + std::string(256, 'x') + "@p:1"}) {
    const auto proxy = parse_proxy(bad);
    ASSERT_FALSE(proxy) << bad;
    EXPECT_EQ(proxy.error().code, Errc::usage);
    EXPECT_THAT(proxy.error().text(), Not(HasSubstr("geheim")));
  }
}

TEST(Proxy, TheEnvironmentDecidesAsItDoesForCurl) {
  const std::map<std::string, std::string> all{
      {"HTTPS_PROXY", "http://s:1"}, {"http_proxy", "http://p:2"}, {"ALL_PROXY", "socks5://a:3"}};
  EXPECT_EQ(chosen("wss://x.test/ws", "", all), "http://s:1");
  EXPECT_EQ(chosen("https://x.test/", "", all), "http://s:1");
  EXPECT_EQ(chosen("ws://x.test/", "", all), "http://p:2");
  EXPECT_EQ(chosen("ws://x.test/", "", {{"ALL_PROXY", "socks5://a:3"}}), "socks5://a:3");
  EXPECT_EQ(chosen("wss://x.test/", "", {{"all_proxy", "socks5://a:3"}, {"https_proxy", ""}}), "socks5://a:3");
  EXPECT_EQ(chosen("http://x.test/", "", {{"HTTP_PROXY", "http://cgi:1"}}), "direct") << "a request could set it";
  EXPECT_EQ(chosen("https://x.test/", "", {{"https_proxy", "http://low:1"}, {"HTTPS_PROXY", "http://up:1"}}),
            "http://low:1");
  EXPECT_EQ(chosen("https://x.test/", "", {}), "direct");
  EXPECT_THAT(
      chosen("https://x.test/", "", {{"HTTPS_PROXY", "ftp://u:geheim@x"}}),
      testing::AllOf(HasSubstr("environment variable HTTPS_PROXY"), HasSubstr("'ftp'"), Not(HasSubstr("geheim"))));
}

TEST(Proxy, ExceptionsAndLoopbackAreReachedDirectly) {
  const auto with = [](const char* except, const char* target) {
    return chosen(target, "", {{"ALL_PROXY", "http://p:1"}, {"NO_PROXY", except}});
  };
  EXPECT_EQ(with("a.test, binance.com ,.okx.com", "wss://stream.binance.com:9443/"), "direct");
  EXPECT_EQ(with("a.test,binance.com,.okx.com", "wss://ws.OKX.com:8443/"), "direct");
  EXPECT_EQ(with("binance.com", "wss://notbinance.com/"), "http://p:1");
  EXPECT_EQ(with("x.test:8443", "wss://x.test:8443/"), "direct");
  EXPECT_EQ(with("x.test:8443", "wss://x.test/"), "http://p:1");
  EXPECT_EQ(with("*", "wss://x.test/"), "direct");
  EXPECT_EQ(with("", "wss://x.test/"), "http://p:1");
  for (const auto* here : {"ws://localhost:1/", "ws://127.0.0.1:1/", "ws://127.8.8.8/", "ws://[::1]:1/"})
    EXPECT_EQ(with("", here), "direct");
}

TEST(Proxy, TheConfigurationBeatsTheEnvironment) {
  const std::map<std::string, std::string> all{{"ALL_PROXY", "http://env:1"}, {"NO_PROXY", "*"}};
  EXPECT_EQ(chosen("wss://x.test/", "direct", {{"ALL_PROXY", "http://env:1"}}), "direct");
  EXPECT_EQ(chosen("wss://x.test/", "socks5://conf:1", all), "socks5://conf:1");
  EXPECT_EQ(chosen("ws://127.0.0.1/", "socks5://conf:1", all), "socks5://conf:1");
}

TEST(Proxy, ConnectIsSaidAndItsAnswerRead) {
  const auto url = *parse_url("wss://stream.test:9443/x");
  EXPECT_EQ(connect_request(*parse_proxy("http://p:1"), url, "agent"),
            "CONNECT stream.test:9443 HTTP/1.1\r\nHost: stream.test:9443\r\nUser-Agent: agent\r\n\r\n");
  EXPECT_THAT(connect_request(*parse_proxy("http://Aladdin:open%20sesame@p:1"), url, "agent"),
              HasSubstr("Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n"));  // RFC 7617's example
  EXPECT_THAT(connect_request(*parse_proxy("http://p:1"), *parse_url("ws://[2001:db8::1]:80/"), "a"),
              HasSubstr("CONNECT [2001:db8::1]:80 "));
  EXPECT_EQ(connect_refusal("HTTP/1.1 200 Connection established\r\n\r\n"), std::nullopt);
  EXPECT_EQ(connect_refusal("HTTP/1.0 200\r\n\r\n"), std::nullopt);
  EXPECT_THAT(*connect_refusal("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"), HasSubstr("HTTP 407"));
  EXPECT_THAT(*connect_refusal("HTTP/1.1 403 Forbidden\r\n\r\n"), HasSubstr("HTTP 403 Forbidden"));
  for (const auto* odd :
       {"SSH-2.0-x\r\n\r\n", "", "\r\n\r\n", "HTTP/1.1", "HTTP/1.1 2\r\n\r\n", "HTTP/1.1 abc\r\n\r\n"})
    EXPECT_TRUE(connect_refusal(odd)) << odd;
}

TEST(Proxy, Socks5IsSaidAndItsAnswersRead) {
  const auto plain = *parse_proxy("socks5://p:1");
  const auto known = *parse_proxy("socks5://me:pw@p:1");
  EXPECT_EQ(socks5_greeting(plain), "\x05\x01\x00"s);
  EXPECT_EQ(socks5_greeting(known), "\x05\x02\x00\x02"s);
  EXPECT_EQ(socks5_password(known), "\x01\x02me\x02pw"s);
  EXPECT_EQ(socks5_connect(*parse_url("wss://a.test:9443/")),
            "\x05\x01\x00\x03\x06"
            "a.test\x24\xe3"s);
  EXPECT_EQ(socks5_connect(*parse_url("ws://1.2.3.4:80/")), "\x05\x01\x00\x01\x01\x02\x03\x04\x00\x50"s);
  EXPECT_EQ(socks5_connect(*parse_url("ws://[::1]:80/")).size(), 22u);
  EXPECT_EQ(*socks5_wants_password("\x05\x00"s), false);
  EXPECT_EQ(*socks5_wants_password("\x05\x02"s), true);
  EXPECT_THAT(socks5_wants_password("\x05\xff"s).error().text(), HasSubstr("authenticate"));
  EXPECT_FALSE(socks5_wants_password("HT"));
  EXPECT_EQ(socks5_password_refusal("\x01\x00"s), std::nullopt);
  EXPECT_TRUE(socks5_password_refusal("\x01\x01"s));
  EXPECT_EQ(*socks5_rest("\x05\x00\x00\x01\x7f"s), 5u);
  EXPECT_EQ(*socks5_rest("\x05\x00\x00\x03\x04"s), 6u);
  EXPECT_EQ(*socks5_rest("\x05\x00\x00\x04\x00"s), 17u);
  EXPECT_THAT(socks5_rest("\x05\x02\x00\x01\x00"s).error().text(), HasSubstr("not allowed by its rules"));
  EXPECT_THAT(socks5_rest("\x05\x63\x00\x01\x00"s).error().text(), HasSubstr("99"));
  EXPECT_FALSE(socks5_rest("\x05\x00\x00\x09\x00"s));
  EXPECT_FALSE(socks5_rest("HTTP/"));
}

// ---- real proxies ---------------------------------------------------------------------------------------------

// A proxy of a few lines, one thread per connection. It leads every name to `target` on loopback, so that a test sees
// that names are looked up by the proxy.
class TinyProxy {
 public:
  enum class Speaks { http, socks5 };
  enum class Does { lead, refuse, hang, close };

  TinyProxy(Speaks speaks, std::uint16_t target, std::string user = "", std::string password = "",
            Does does = Does::lead)
      : speaks_(speaks), does_(does), target_(target), user_(std::move(user)), password_(std::move(password)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM, 0);
    auto address = loopback(0);
    EXPECT_EQ(0, ::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address));
    EXPECT_EQ(0, ::listen(listener_, 8));
    socklen_t length = sizeof address;
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length);
    port_ = ntohs(address.sin_port);
    acceptor_ = std::jthread([this](std::stop_token stop) {
      while (!stop.stop_requested()) {
        if (!readable(listener_)) continue;
        const int peer = ::accept(listener_, nullptr, nullptr);
        const std::scoped_lock lock(mutex_);
        peers_.emplace_back([this, peer](std::stop_token s) {
          serve(peer, s);
          ::close(peer);
        });
      }
    });
  }
  ~TinyProxy() {
    acceptor_.request_stop();
    acceptor_.join();
    peers_.clear();
    ::close(listener_);
  }
  std::string url(const std::string& credentials = "") const {
    return (speaks_ == Speaks::http ? "http://" : "socks5://") + credentials + "127.0.0.1:" + std::to_string(port_);
  }
  // "stream.test:443" of each tunnel that was asked for.
  std::vector<std::string> asked() const {
    const std::scoped_lock lock(mutex_);
    return asked_;
  }

 private:
  static sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    return address;
  }
  static bool readable(int fd) {
    pollfd p{fd, POLLIN, 0};
    return ::poll(&p, 1, 10) > 0;
  }
  static void say(int peer, const std::string& bytes) { ::send(peer, bytes.data(), bytes.size(), MSG_NOSIGNAL); }
  static std::string read(int peer, std::size_t size, std::stop_token stop) {
    std::string bytes;
    char c = 0;
    while (bytes.size() < size && !stop.stop_requested()) {
      if (!readable(peer)) continue;
      if (::recv(peer, &c, 1, 0) != 1) break;
      bytes += c;
    }
    return bytes;
  }
  void note(std::string target) {
    const std::scoped_lock lock(mutex_);
    asked_.push_back(std::move(target));
  }
  void serve(int peer, std::stop_token stop) {
    if (does_ == Does::close) return;
    if (does_ == Does::hang) {
      while (!stop.stop_requested()) std::this_thread::sleep_for(5ms);
      return;
    }
    if (speaks_ == Speaks::http ? lead_http(peer, stop) : lead_socks5(peer, stop)) relay(peer, stop);
  }
  bool lead_http(int peer, std::stop_token stop) {
    std::string head;
    while (!head.ends_with("\r\n\r\n")) {
      const auto next = read(peer, 1, stop);
      if (next.empty()) return false;
      head += next;
    }
    note(head.substr(0, head.find(" HTTP/")).substr(8));
    const bool right = head.find("Proxy-Authorization: Basic bWU6cHc=\r\n") != std::string::npos;  // "me:pw"
    if (!user_.empty() && !right) {
      say(peer,
          "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"p\"\r\n"
          "Content-Length: 0\r\nConnection: close\r\n\r\n");
      return false;
    }
    if (does_ == Does::refuse) {
      say(peer, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
      return false;
    }
    say(peer, "HTTP/1.1 200 Connection established\r\nVia: tiny\r\n\r\n");
    return true;
  }
  bool lead_socks5(int peer, std::stop_token stop) {
    const auto greeting = read(peer, 2, stop);
    if (greeting.size() != 2) return false;
    const auto ways = read(peer, static_cast<unsigned char>(greeting[1]), stop);
    const char way = user_.empty() ? '\x00' : '\x02';
    if (ways.find(way) == std::string::npos) {
      say(peer, "\x05\xff"s);
      return false;
    }
    say(peer, "\x05"s + way);
    if (way == '\x02') {
      const auto name = read(peer, static_cast<unsigned char>(read(peer, 2, stop)[1]), stop);
      const auto word = read(peer, static_cast<unsigned char>(read(peer, 1, stop)[0]), stop);
      const bool right = name == user_ && word == password_;
      say(peer, "\x01"s + (right ? '\x00' : '\x01'));
      if (!right) return false;
    }
    const auto kind = read(peer, 4, stop).at(3);
    std::string host;
    if (kind == '\x03') {
      host = read(peer, static_cast<unsigned char>(read(peer, 1, stop)[0]), stop);
    } else {
      for (const char c : read(peer, kind == '\x01' ? 4 : 16, stop))
        host += (host.empty() ? "" : ".") + std::to_string(static_cast<unsigned char>(c));
    }
    const auto port = read(peer, 2, stop);
    note(host + ":" + std::to_string(static_cast<unsigned char>(port[0]) * 256 + static_cast<unsigned char>(port[1])));
    if (does_ == Does::refuse) {
      say(peer, "\x05\x02\x00\x01\x00\x00\x00\x00\x00\x00"s);
      return false;
    }
    // A name as the bound address: its length varies, so that a reader that assumes an IPv4 address is found out.
    say(peer, "\x05\x00\x00\x03\x09tiny.test\x12\x34"s);
    return true;
  }
  void relay(int peer, std::stop_token stop) const {
    const int far = ::socket(AF_INET, SOCK_STREAM, 0);
    auto address = loopback(target_);
    if (::connect(far, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) {
      std::array<char, 65536> chunk;
      const auto pass = [&](int from, int to) {
        if (!readable(from)) return true;
        const auto n = ::recv(from, chunk.data(), chunk.size(), 0);
        if (n <= 0) return false;
        ::send(to, chunk.data(), static_cast<std::size_t>(n), MSG_NOSIGNAL);
        return true;
      };
      while (!stop.stop_requested() && pass(peer, far) && pass(far, peer)) {
      }
    }
    ::close(far);
  }

  const Speaks speaks_;
  const Does does_;
  const std::uint16_t target_;
  const std::string user_, password_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  mutable std::mutex mutex_;
  std::vector<std::string> asked_;   // guarded by mutex_
  std::vector<std::jthread> peers_;  // guarded by mutex_
  std::jthread acceptor_;
};

// A websocket server on loopback (plain or TLS for "localhost") that says "hello" and closes.
class ThroughProxy : public testing::Test {
 protected:
  void serve_plain() {
    asio::co_spawn(
        loop_.context(),
        [this]() -> asio::awaitable<void> {
          beast::websocket::stream<beast::tcp_stream> ws(co_await acceptor_.async_accept(use_awaitable));
          co_await ws.async_accept(use_awaitable);
          co_await ws.async_write(asio::buffer("hello"s), use_awaitable);
          co_await ws.async_close(beast::websocket::close_code::normal, as_tuple(use_awaitable));
        },
        asio::detached);
  }
  void make_certificate() {
    std::string name = (std::filesystem::temp_directory_path() / "mp-proxy-XXXXXX").string();
    folder_ = mkdtemp(name.data());
    const auto key = (folder_ / "key.pem").string();
    certificate_ = (folder_ / "certificate.pem").string();
    const auto command =
        "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=stream.test -addext "
        "subjectAltName=DNS:stream.test -keyout " +
        key + " -out " + certificate_ + " 2>/dev/null";
    if (std::system(command.c_str()) != 0) GTEST_SKIP() << "the openssl command is missing";
    context_.use_certificate_chain_file(certificate_);
    context_.use_private_key_file(key, asio::ssl::context::pem);
  }
  void serve_tls() {
    asio::co_spawn(
        loop_.context(),
        [this]() -> asio::awaitable<void> {
          beast::websocket::stream<beast::ssl_stream<beast::tcp_stream>> ws(
              co_await acceptor_.async_accept(use_awaitable), context_);
          const auto [error] =
              co_await ws.next_layer().async_handshake(asio::ssl::stream_base::server, as_tuple(use_awaitable));
          if (error) co_return;
          co_await ws.async_accept(use_awaitable);
          co_await ws.async_write(asio::buffer("secret"s), use_awaitable);
          co_await ws.async_close(beast::websocket::close_code::normal, as_tuple(use_awaitable));
        },
        asio::detached);
  }
  void serve_https() {
    asio::co_spawn(
        loop_.context(),
        [this]() -> asio::awaitable<void> {
          beast::ssl_stream<beast::tcp_stream> tls(co_await acceptor_.async_accept(use_awaitable), context_);
          const auto [error] = co_await tls.async_handshake(asio::ssl::stream_base::server, as_tuple(use_awaitable));
          if (error) co_return;
          std::array<char, 4096> request;
          co_await tls.async_read_some(asio::buffer(request), as_tuple(use_awaitable));
          const auto answer = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nrest"s;
          co_await asio::async_write(tls, asio::buffer(answer), as_tuple(use_awaitable));
        },
        asio::detached);
  }
  ~ThroughProxy() override {
    if (!folder_.empty()) std::filesystem::remove_all(folder_);
  }
  // Runs until the client has seen its end; the watchdog is there for a broken test only.
  void run(WebSocketOptions options) {
    WebSocket::Handlers handlers;
    handlers.frame = [this](std::string_view frame, bool, Instant) { frames_.emplace_back(frame); };
    handlers.closed = [this](CloseReason reason, std::string detail) {
      reason_ = reason;
      detail_ = std::move(detail);
      loop_.stop();
    };
    WebSocket ws(loop_, std::move(options), std::move(handlers));
    Timer watchdog(loop_);
    watchdog.set_after(20s, [this] { loop_.stop(); });
    loop_.run();
    ASSERT_TRUE(reason_) << "the connection did not end";
    EXPECT_THAT(detail_, Not(HasSubstr("pw"))) << "credentials stand in no message";
  }
  std::uint16_t port() const { return acceptor_.local_endpoint().port(); }

  Loop loop_;
  asio::ip::tcp::acceptor acceptor_{loop_.context(), {asio::ip::make_address("127.0.0.1"), 0}};
  asio::ssl::context context_{asio::ssl::context::tls_server};
  std::filesystem::path folder_;
  std::string certificate_;
  std::vector<std::string> frames_;
  std::optional<CloseReason> reason_;
  std::string detail_;
};

using Speaks = TinyProxy::Speaks;
using Does = TinyProxy::Does;

TEST_F(ThroughProxy, AWebSocketByConnect) {
  TinyProxy proxy(Speaks::http, port());
  serve_plain();
  run({.url = "ws://stream.test:1234/ws", .proxy = proxy.url()});
  EXPECT_EQ(frames_, std::vector{"hello"s}) << detail_;
  EXPECT_EQ(proxy.asked(), std::vector{"stream.test:1234"s}) << "the proxy looks the name up";
}

TEST_F(ThroughProxy, AWebSocketBySocks5) {
  TinyProxy proxy(Speaks::socks5, port());
  serve_plain();
  run({.url = "ws://stream.test:1234/ws", .proxy = proxy.url()});
  EXPECT_EQ(frames_, std::vector{"hello"s}) << detail_;
  EXPECT_EQ(proxy.asked(), std::vector{"stream.test:1234"s});
}

TEST_F(ThroughProxy, WithUserAndPasswordByConnect) {
  TinyProxy proxy(Speaks::http, port(), "me", "pw");
  serve_plain();
  run({.url = "ws://stream.test/ws", .proxy = proxy.url("me:pw@")});
  EXPECT_EQ(frames_, std::vector{"hello"s}) << detail_;
}

TEST_F(ThroughProxy, WithUserAndPasswordBySocks5) {
  TinyProxy proxy(Speaks::socks5, port(), "me", "pw");
  serve_plain();
  run({.url = "ws://stream.test/ws", .proxy = proxy.url("me:pw@")});
  EXPECT_EQ(frames_, std::vector{"hello"s}) << detail_;
}

TEST_F(ThroughProxy, TlsByConnectIsVerifiedAgainstTheTarget) {
  TinyProxy proxy(Speaks::http, port());
  if (make_certificate(); IsSkipped()) return;
  serve_tls();
  run({.url = "wss://stream.test/ws", .proxy = proxy.url(), .ca_file = certificate_});
  EXPECT_EQ(frames_, std::vector{"secret"s}) << detail_;
}

TEST_F(ThroughProxy, TlsBySocks5IsVerifiedAgainstTheTarget) {
  TinyProxy proxy(Speaks::socks5, port());
  if (make_certificate(); IsSkipped()) return;
  serve_tls();
  run({.url = "wss://stream.test/ws", .proxy = proxy.url(), .ca_file = certificate_});
  EXPECT_EQ(frames_, std::vector{"secret"s}) << detail_;
}

TEST_F(ThroughProxy, AProxyThatLeadsElsewhereIsFoundOutByTls) {
  TinyProxy proxy(Speaks::http, port());
  if (make_certificate(); IsSkipped()) return;
  serve_tls();
  run({.url = "wss://other.test/ws", .proxy = proxy.url(), .ca_file = certificate_});
  EXPECT_TRUE(frames_.empty());
  EXPECT_THAT(detail_, HasSubstr("TLS handshake"));
}

TEST_F(ThroughProxy, RefusalsNameProxyTargetAndCause) {
  struct Case {
    Speaks speaks;
    Does does;
    const char* user;
    const char* credentials;
    const char* said;
  };
  for (const auto& [speaks, does, user, credentials, said] :
       {Case{Speaks::http, Does::refuse, "", "", "HTTP 403 Forbidden"},
        Case{Speaks::http, Does::lead, "me", "", "HTTP 407"},
        Case{Speaks::http, Does::lead, "me", "me:no@", "HTTP 407"},
        Case{Speaks::socks5, Does::refuse, "", "", "not allowed by its rules"},
        Case{Speaks::socks5, Does::lead, "me", "", "none of our ways to authenticate"},
        Case{Speaks::socks5, Does::lead, "me", "me:no@", "refused user and password"}}) {
    TinyProxy proxy(speaks, port(), user, "pw", does);
    reason_.reset();
    loop_.context().restart();
    run({.url = "wss://stream.test/ws", .proxy = proxy.url(credentials)});
    EXPECT_EQ(reason_, CloseReason::refused);
    EXPECT_THAT(detail_, HasSubstr("proxy " + proxy.url() + " for wss://stream.test/ws: "));
    EXPECT_THAT(detail_, HasSubstr(said));
  }
}

TEST_F(ThroughProxy, AProxyThatHangsOrHangsUpOrIsNotThereIsNamed) {
  for (const auto speaks : {Speaks::http, Speaks::socks5}) {
    for (const auto does : {Does::hang, Does::close}) {
      TinyProxy proxy(speaks, port(), "", "", does);
      reason_.reset();
      loop_.context().restart();
      run({.url = "wss://stream.test/ws", .proxy = proxy.url(), .handshake_timeout = 1s});
      EXPECT_EQ(reason_, CloseReason::network);
      EXPECT_THAT(detail_, HasSubstr("the proxy " + proxy.url() + " for wss://stream.test/ws"));
      if (does == Does::hang) {
        EXPECT_THAT(detail_, HasSubstr("no answer within 1 s"));
      }
    }
  }
  reason_.reset();
  loop_.context().restart();
  const auto nobody = std::to_string(port());
  acceptor_.close();
  run({.url = "wss://stream.test/ws", .proxy = "http://127.0.0.1:" + nobody});
  EXPECT_THAT(detail_, HasSubstr("connecting to the proxy http://127.0.0.1:" + nobody + " for wss://stream.test/ws"));
}

TEST_F(ThroughProxy, WhatIsNoProxyIsRefused) {
  run({.url = "wss://stream.test/ws", .proxy = "ftp://me:pw@x"});
  EXPECT_EQ(reason_, CloseReason::refused);
  EXPECT_THAT(detail_, HasSubstr("'ftp'"));
}

TEST_F(ThroughProxy, RestByConnectAndSocks5WithPasswordAndTls) {
  if (make_certificate(); IsSkipped()) return;
  for (const auto speaks : {Speaks::http, Speaks::socks5}) {
    TinyProxy proxy(speaks, port(), "me", "pw");
    serve_https();
    loop_.context().restart();
    std::jthread server([this] { loop_.context().run_for(10s); });
    HttpClient client({.ca_file = certificate_});
    const auto answer = client.request({.url = "https://stream.test:8443/time?x=1", .proxy = proxy.url("me:pw@")});
    EXPECT_TRUE(answer) << answer.error().text();
    EXPECT_EQ(answer ? answer->body : "", "rest");
    EXPECT_EQ(proxy.asked(), std::vector{"stream.test:8443"s});
    loop_.stop();
  }
}

TEST_F(ThroughProxy, RestFailuresNameTheProxy) {
  for (const auto speaks : {Speaks::http, Speaks::socks5}) {
    HttpClient client;
    TinyProxy closed(speaks, port(), "me", "pw");
    const auto refused = client.request({.url = "https://api.test/x?secret=1", .proxy = closed.url("me:no-pw@")});
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().text(), HasSubstr("GET https://api.test/x by proxy " + closed.url()));
    EXPECT_THAT(refused.error().text(), Not(HasSubstr("no-pw")));
    TinyProxy hangs(speaks, port(), "", "", Does::hang);
    const auto late = client.request(
        {.url = "https://api.test/x", .proxy = hangs.url(), .timeouts = {.connect = 300ms, .total = 1000ms}});
    ASSERT_FALSE(late);
    EXPECT_EQ(late.error().code, Errc::timeout) << late.error().text();
  }
  HttpClient client;
  const auto odd = client.request({.url = "https://api.test/x", .proxy = "ftp://me:pw@x"});
  ASSERT_FALSE(odd);
  EXPECT_EQ(odd.error().code, Errc::usage);
  EXPECT_THAT(odd.error().text(), Not(HasSubstr("pw@")));
}

}  // namespace
}  // namespace mp::net
