#include "net/websocket.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/ssl.hpp>
#include <boost/beast/websocket.hpp>
#include <boost/beast/websocket/ssl.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "net/url.hpp"

namespace mp::net {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using asio::as_tuple;
using asio::use_awaitable;
using testing::HasSubstr;
using namespace std::chrono_literals;

// A certificate for "localhost", made anew for each run.
struct Certificate {
  Certificate() {
    const auto command =
        "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost -addext "
        "subjectAltName=DNS:localhost -keyout " +
        key() + " -out " + file() + " 2>/dev/null";
    made = std::system(command.c_str()) == 0;
  }
  ~Certificate() { std::filesystem::remove_all(folder); }
  std::string key() const { return (folder / "key.pem").string(); }
  std::string file() const { return (folder / "certificate.pem").string(); }
  std::filesystem::path folder = [] {
    std::string name = (std::filesystem::temp_directory_path() / "mp-ws-XXXXXX").string();
    return std::filesystem::path(mkdtemp(name.data()));
  }();
  bool made = false;
};

// What one client saw.
struct Seen {
  bool opened = false;
  std::vector<std::string> frames;
  std::optional<CloseReason> reason;
  std::string detail;
};

class WebSocketTest : public testing::Test {
 protected:
  std::string address(const std::string& scheme, const std::string& host = "localhost") const {
    return scheme + "://" + host + ":" + std::to_string(acceptor_.local_endpoint().port()) + "/ws/btcusdt@trade";
  }

  std::unique_ptr<WebSocket> connect(WebSocketOptions options) {
    WebSocket::Handlers handlers;
    handlers.opened = [this] {
      seen_.opened = true;
      if (on_open_) on_open_();
    };
    handlers.frame = [this](std::string_view frame, bool, Instant) {
      seen_.frames.emplace_back(frame);
      if (on_frame_) on_frame_();
    };
    handlers.closed = [this](CloseReason reason, std::string detail) {
      seen_.reason = reason;
      seen_.detail = std::move(detail);
      loop_.stop();
    };
    return std::make_unique<WebSocket>(loop_, std::move(options), std::move(handlers));
  }

  // Runs until the client has seen its end; the watchdog is there for a broken test only.
  void run() {
    Timer watchdog(loop_);
    watchdog.set_after(20s, [this] { loop_.stop(); });
    loop_.run();
    ASSERT_TRUE(seen_.reason) << "the connection did not end";
  }

  // Accepts one plain websocket, sends the greeting, echoes one frame, closes.
  asio::awaitable<void> serve_one_echo(bool compression) {
    beast::websocket::stream<beast::tcp_stream> ws(co_await acceptor_.async_accept(use_awaitable));
    if (compression) {
      beast::websocket::permessage_deflate deflate;
      deflate.server_enable = true;
      ws.set_option(deflate);
    }
    co_await ws.async_accept(use_awaitable);
    co_await ws.async_write(asio::buffer(std::string("hello")), use_awaitable);
    beast::flat_buffer buffer;
    co_await ws.async_read(buffer, use_awaitable);
    co_await ws.async_write(buffer.data(), use_awaitable);
    co_await ws.async_close({beast::websocket::close_code::going_away, "maintenance"}, use_awaitable);
  }

  Loop loop_;
  asio::ip::tcp::acceptor acceptor_{loop_.context(), {asio::ip::make_address("127.0.0.1"), 0}};
  Seen seen_;
  std::function<void()> on_open_;
  std::function<void()> on_frame_;
};

TEST_F(WebSocketTest, ReadsAndSendsThenTellsWhyThePeerClosed) {
  asio::co_spawn(loop_.context(), serve_one_echo(false), asio::detached);
  const auto ws = connect({.url = address("ws")});
  on_open_ = [&] { ws->send("subscribe"); };
  run();
  EXPECT_TRUE(seen_.opened);
  EXPECT_EQ(seen_.frames, (std::vector<std::string>{"hello", "subscribe"}));
  EXPECT_EQ(seen_.reason, CloseReason::network);
  EXPECT_THAT(seen_.detail, HasSubstr("maintenance"));
}

TEST_F(WebSocketTest, AcceptsCompressedFrames) {
  asio::co_spawn(loop_.context(), serve_one_echo(true), asio::detached);
  const auto ws = connect({.url = address("ws")});
  const std::string long_text(100'000, 'x');
  on_open_ = [&] { ws->send(long_text); };
  run();
  ASSERT_EQ(seen_.frames.size(), 2u);
  EXPECT_EQ(seen_.frames[1], long_text);
}

TEST_F(WebSocketTest, OurCloseIsAnsweredAndReported) {
  asio::co_spawn(
      loop_.context(),
      [this]() -> asio::awaitable<void> {
        beast::websocket::stream<beast::tcp_stream> ws(co_await acceptor_.async_accept(use_awaitable));
        co_await ws.async_accept(use_awaitable);
        beast::flat_buffer buffer;
        const auto [error, size] = co_await ws.async_read(buffer, as_tuple(use_awaitable));
        EXPECT_EQ(error, beast::websocket::error::closed);
      },
      asio::detached);
  const auto ws = connect({.url = address("ws")});
  on_open_ = [&] { ws->close(CloseReason::stale); };
  run();
  EXPECT_EQ(seen_.reason, CloseReason::stale);
}

TEST_F(WebSocketTest, APeerThatNeverAnswersTheCloseIsDropped) {
  std::optional<beast::websocket::stream<beast::tcp_stream>> ws_kept;
  asio::co_spawn(
      loop_.context(),
      [&]() -> asio::awaitable<void> {
        ws_kept.emplace(co_await acceptor_.async_accept(use_awaitable));
        co_await ws_kept->async_accept(use_awaitable);
      },
      asio::detached);
  const auto ws = connect({.url = address("ws")});
  on_open_ = [&] { ws->close(CloseReason::stopped); };
  run();
  EXPECT_EQ(seen_.reason, CloseReason::stopped);
}

TEST_F(WebSocketTest, ARefusedUpgradeNamesTheStatus) {
  asio::co_spawn(
      loop_.context(),
      [this]() -> asio::awaitable<void> {
        auto socket = co_await acceptor_.async_accept(use_awaitable);
        char request[4096];
        co_await socket.async_read_some(asio::buffer(request), use_awaitable);
        co_await asio::async_write(
            socket, asio::buffer(std::string("HTTP/1.1 403 Forbidden\r\nContent-Length: 3\r\n\r\nWAF")), use_awaitable);
      },
      asio::detached);
  const auto ws = connect({.url = address("ws")});
  run();
  EXPECT_FALSE(seen_.opened);
  EXPECT_EQ(seen_.reason, CloseReason::refused);
  EXPECT_THAT(seen_.detail, HasSubstr("403"));
}

TEST_F(WebSocketTest, NobodyListeningIsANetworkFailureThatNamesTheAddress) {
  const auto url = address("ws");
  acceptor_.close();
  const auto ws = connect({.url = url});
  run();
  EXPECT_EQ(seen_.reason, CloseReason::network);
  EXPECT_THAT(seen_.detail, HasSubstr(url));
}

TEST_F(WebSocketTest, ASilentServerTimesOut) {
  std::optional<asio::ip::tcp::socket> held;
  acceptor_.async_accept([&](const auto&, asio::ip::tcp::socket socket) { held = std::move(socket); });
  const auto ws = connect({.url = address("ws"), .handshake_timeout = 1s});
  run();
  EXPECT_EQ(seen_.reason, CloseReason::network);
  EXPECT_THAT(seen_.detail, HasSubstr("no answer within 1 s"));
}

TEST_F(WebSocketTest, AnAddressThatIsNoneIsRefused) {
  const auto ws = connect({.url = "fstream.binance.com"});
  run();
  EXPECT_EQ(seen_.reason, CloseReason::refused);
  EXPECT_THAT(seen_.detail, HasSubstr("fstream.binance.com"));
}

class TlsWebSocketTest : public WebSocketTest {
 protected:
  void SetUp() override {
    if (!certificate_.made) GTEST_SKIP() << "the openssl command is missing";
    context_.use_certificate_chain_file(certificate_.file());
    context_.use_private_key_file(certificate_.key(), asio::ssl::context::pem);
    asio::co_spawn(
        loop_.context(),
        [this]() -> asio::awaitable<void> {
          beast::websocket::stream<beast::ssl_stream<beast::tcp_stream>> ws(
              co_await acceptor_.async_accept(use_awaitable), context_);
          const auto [error] =
              co_await ws.next_layer().async_handshake(asio::ssl::stream_base::server, as_tuple(use_awaitable));
          if (error) co_return;
          co_await ws.async_accept(use_awaitable);
          co_await ws.async_write(asio::buffer(std::string("secret")), use_awaitable);
          co_await ws.async_close(beast::websocket::close_code::normal, as_tuple(use_awaitable));
        },
        asio::detached);
  }
  Certificate certificate_;
  asio::ssl::context context_{asio::ssl::context::tls_server};
};

TEST_F(TlsWebSocketTest, ReadsFromAServerWhoseCertificateIsTrusted) {
  const auto ws = connect({.url = address("wss"), .ca_file = certificate_.file()});
  run();
  EXPECT_EQ(seen_.frames, (std::vector<std::string>{"secret"})) << seen_.detail;
}

TEST_F(TlsWebSocketTest, AnUntrustedCertificateIsRefused) {
  const auto ws = connect({.url = address("wss")});
  run();
  EXPECT_FALSE(seen_.opened);
  EXPECT_THAT(seen_.detail, HasSubstr("TLS handshake"));
}

TEST_F(TlsWebSocketTest, ACertificateForAnotherNameIsRefused) {
  const auto ws = connect({.url = address("wss", "127.0.0.1"), .ca_file = certificate_.file()});
  run();
  EXPECT_FALSE(seen_.opened);
}

TEST(Url, IsTakenApart) {
  const auto url = parse_url("wss://stream.binance.com:9443/stream?streams=a/b");
  ASSERT_TRUE(url);
  EXPECT_EQ(url->host, "stream.binance.com");
  EXPECT_EQ(url->port, "9443");
  EXPECT_EQ(url->target, "/stream?streams=a/b");
  EXPECT_TRUE(url->is_secure());
  EXPECT_EQ(parse_url("ws://[::1]:80/x")->host, "::1");
  EXPECT_EQ(parse_url("https://api.binance.com")->port, "443");
  EXPECT_EQ(parse_url("https://api.binance.com")->target, "/");
  for (const char* bad : {"", "binance", "ftp://x/", "ws://", "//x"}) EXPECT_FALSE(parse_url(bad)) << bad;
}

}  // namespace
}  // namespace mp::net
