#include "net/http_server.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <atomic>
#include <future>
#include <thread>

namespace mp::net {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Pair;
using ::testing::StartsWith;
using namespace std::chrono_literals;

std::unique_ptr<HttpServer> serve(HttpHandler handler, HttpServerOptions options = {}) {
  auto server = HttpServer::start(std::move(options), std::move(handler));
  if (!server) throw std::runtime_error(server.error().text());
  return std::move(*server);
}

void echo(HttpServerRequest& request, HttpServerResponse& response) {
  auto body = request.body->read_all(1 << 24);
  if (!body) {
    response.send(400, "text/plain", body.error().text());
    return;
  }
  response.send(200, "text/plain", request.method + " " + request.path + " " + request.query + " " + *body);
}

// A client that sends exactly the bytes it is told to. Reads give up after 10 s, so a failing test
// ends.
class RawClient {
 public:
  explicit RawClient(const HttpServer& server) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(server.port());
    const timeval limit{10, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    EXPECT_EQ(0, ::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address));
  }
  ~RawClient() { close(); }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  void send(std::string_view bytes) {
    EXPECT_EQ(static_cast<ssize_t>(bytes.size()), ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL));
  }
  // Reads until `mark` was seen (what lies behind stays for the next call); all there was when the
  // peer closed before.
  std::string read_until(std::string_view mark) {
    for (;;) {
      if (const auto at = seen_.find(mark); at != std::string::npos) return take(at + mark.size());
      if (!read_more()) return take(seen_.size());
    }
  }
  std::string read_to_end() {
    while (read_more()) {
    }
    return take(seen_.size());
  }

 private:
  bool read_more() {
    char bytes[4096];
    const ssize_t n = ::recv(fd_, bytes, sizeof bytes, 0);
    if (n > 0) seen_.append(bytes, static_cast<std::size_t>(n));
    return n > 0;
  }
  std::string take(std::size_t n) {
    std::string out = seen_.substr(0, n);
    seen_.erase(0, n);
    return out;
  }
  int fd_;
  std::string seen_;
};

TEST(HttpServer, AnswersSeveralRequestsOnOneConnection) {
  const auto server = serve(echo);
  RawClient client(*server);
  client.send("GET /a%20b?c=d HTTP/1.1\r\nHost: x\r\n\r\n");
  const auto first = client.read_until("GET /a b c=d ");
  EXPECT_THAT(first, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(first, HasSubstr("Connection: Keep-Alive"));
  client.send("POST /two HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello");
  EXPECT_THAT(client.read_until("hello"), HasSubstr("POST /two  hello"));
  EXPECT_EQ(server->connections(), 1u);
}

TEST(HttpServer, AnswersPipelinedRequestsInOrder) {
  const auto server = serve(echo);
  RawClient client(*server);
  client.send("GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  const auto all = client.read_to_end();
  EXPECT_LT(all.find("GET /1"), all.find("GET /2"));
  EXPECT_NE(all.find("GET /2"), std::string::npos);
}

TEST(HttpServer, ReadsAChunkedBodyPieceByPiece) {
  std::promise<std::string> first_piece;
  const auto server = serve([&](HttpServerRequest& request, HttpServerResponse& response) {
    char bytes[64];
    const auto n = request.body->read(bytes, sizeof bytes);
    first_piece.set_value(std::string(bytes, *n));
    const auto rest = request.body->read_all(100);
    response.send(200, "", *rest);
  });
  RawClient client(*server);
  client.send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
  // Handed over before the body is whole: this would hang if the server waited for the end.
  EXPECT_EQ(first_piece.get_future().get(), "abc");
  client.send("2;note=1\r\nde\r\n0\r\n\r\n");
  EXPECT_THAT(client.read_until("\r\n\r\nde"), HasSubstr("Content-Length: 2"));
}

TEST(HttpServer, AsksForTheBodyOnlyWhenTheHandlerReadsIt) {
  const auto server = serve([](HttpServerRequest& request, HttpServerResponse& response) {
    if (request.path == "/no") {
      response.send(403, "text/plain", "no\n");
      return;
    }
    echo(request, response);
  });
  RawClient yes(*server);
  yes.send("POST /yes HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  EXPECT_EQ(yes.read_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  yes.send("ok");
  EXPECT_THAT(yes.read_until("ok"), StartsWith("HTTP/1.1 200"));
  RawClient no(*server);
  no.send("POST /no HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  // The unsent body makes the connection useless: it is closed after the answer.
  const auto answer = no.read_to_end();
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 403"));
  EXPECT_THAT(answer, Not(HasSubstr("100 Continue")));
}

TEST(HttpServer, StreamsAnAnswerInChunksAndAnAbortedOneHasNoEnd) {
  const auto server = serve([](HttpServerRequest& request, HttpServerResponse& response) {
    response.begin(200, "text/plain");
    response.write("hello");
    if (request.path == "/abort") return response.abort();
    response.write(" world");
    response.end();
  });
  RawClient whole(*server);
  whole.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  const auto answer = whole.read_until("0\r\n\r\n");
  EXPECT_THAT(answer, HasSubstr("Transfer-Encoding: chunked"));
  EXPECT_THAT(answer, HasSubstr("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"));
  RawClient cut(*server);
  cut.send("GET /abort HTTP/1.1\r\nHost: x\r\n\r\n");
  const auto torn = cut.read_to_end();
  EXPECT_THAT(torn, HasSubstr("5\r\nhello\r\n"));
  EXPECT_THAT(torn, Not(HasSubstr("0\r\n\r\n")));
}

TEST(HttpServer, AStreamForHttp10IsNotChunkedAndEndsWithTheConnection) {
  const auto server = serve([](HttpServerRequest&, HttpServerResponse& response) {
    response.begin(200, "text/plain");
    response.write("plain");
    response.end();
  });
  RawClient client(*server);
  client.send("GET / HTTP/1.0\r\n\r\n");
  const auto answer = client.read_to_end();
  EXPECT_THAT(answer, ::testing::EndsWith("\r\n\r\nplain"));
  EXPECT_THAT(answer, Not(HasSubstr("chunked")));
}

TEST(HttpServer, HeadHasTheHeadersOfGetAndNoBody) {
  const auto server = serve([](HttpServerRequest&, HttpServerResponse& r) { r.send(200, "text/plain", "12345"); });
  RawClient client(*server);
  client.send("HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  const auto answer = client.read_to_end();
  EXPECT_THAT(answer, HasSubstr("Content-Length: 5"));
  EXPECT_THAT(answer, ::testing::EndsWith("\r\n\r\n"));
}

TEST(HttpServer, RefusesWhatIsNotHttpAndHeadersThatAreTooLong) {
  const auto server = serve(echo, {.max_header_bytes = 4096});
  RawClient noise(*server);
  noise.send("\x16\x03\x01 this is not HTTP\r\n\r\n");
  EXPECT_THAT(noise.read_to_end(), StartsWith("HTTP/1.1 400"));
  RawClient large(*server);
  large.send("GET / HTTP/1.1\r\nX: " + std::string(5000, 'x') + "\r\n\r\n");
  EXPECT_THAT(large.read_to_end(), StartsWith("HTTP/1.1 431"));
}

TEST(HttpServer, ABodyOverTheBoundIsAnErrorForTheHandler) {
  const auto server = serve([](HttpServerRequest& request, HttpServerResponse& response) {
    auto body = request.body->read_all(10);
    response.send(body ? 200 : 413, "text/plain", body ? *body : body.error().text());
  });
  RawClient client(*server);
  client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\nhello world");
  EXPECT_THAT(client.read_until("more than 10 bytes"), StartsWith("HTTP/1.1 413"));
}

TEST(HttpServer, AConnectionOverTheBoundGets503AndIsCounted) {
  const auto server = serve(echo, {.max_connections = 1});
  RawClient first(*server);
  first.send("GET /1 HTTP/1.1\r\nHost: x\r\n\r\n");
  first.read_until("GET /1");
  RawClient second(*server);
  EXPECT_THAT(second.read_to_end(), StartsWith("HTTP/1.1 503"));
  EXPECT_EQ(server->refused_connections(), 1u);
  first.send("GET /2 HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(first.read_until("GET /2"), HasSubstr("HTTP/1.1 200"));
}

TEST(HttpServer, AnIdleConnectionIsClosedAndAStalledBodyTimesOut) {
  const auto server = serve(echo, {.idle_timeout = 50ms, .io_timeout = 50ms});
  RawClient idle(*server);
  EXPECT_EQ(idle.read_to_end(), "");
  RawClient stalled(*server);
  stalled.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab");
  EXPECT_THAT(stalled.read_to_end(), HasSubstr("timed out"));
}

TEST(HttpServer, AHandlerSeesThatItsClientHasGone) {
  std::promise<void> entered;
  std::promise<bool> gone;
  const auto server = serve([&](HttpServerRequest&, HttpServerResponse& response) {
    EXPECT_FALSE(response.client_gone());
    entered.set_value();
    const auto deadline = std::chrono::steady_clock::now() + 10s;
    while (!response.client_gone() && std::chrono::steady_clock::now() < deadline) std::this_thread::sleep_for(1ms);
    gone.set_value(response.client_gone());
  });
  RawClient client(*server);
  client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  entered.get_future().get();
  client.close();
  EXPECT_TRUE(gone.get_future().get());
}

TEST(HttpServer, AnExceptionOfTheHandlerIsA500) {
  const auto server = serve([](HttpServerRequest&, HttpServerResponse&) { throw std::runtime_error("no such luck"); });
  RawClient client(*server);
  client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(client.read_until("no such luck\n"), StartsWith("HTTP/1.1 500"));
}

TEST(HttpServer, StopLetsARunningRequestFinish) {
  std::promise<void> entered;
  std::promise<void> release;
  const auto server = serve([&](HttpServerRequest&, HttpServerResponse& response) {
    entered.set_value();
    release.get_future().wait();
    response.send(200, "text/plain", "done");
  });
  RawClient idle(*server);
  RawClient client(*server);
  client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  entered.get_future().get();
  auto stopped = std::async(std::launch::async, [&] { return server->stop(10s); });
  EXPECT_EQ(idle.read_to_end(), "");  // closed at once, which also shows that stop() has begun
  release.set_value();
  EXPECT_THAT(client.read_until("done"), StartsWith("HTTP/1.1 200"));
  EXPECT_TRUE(stopped.get());
}

TEST(HttpServer, StopCutsWhatOutlivesTheGraceAndSaysSo) {
  std::promise<void> release;
  std::promise<void> entered;
  const auto server = serve([&](HttpServerRequest&, HttpServerResponse&) {
    entered.set_value();
    release.get_future().wait();
  });
  RawClient client(*server);
  client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  entered.get_future().get();
  EXPECT_FALSE(server->stop(1ms));
  EXPECT_EQ(client.read_to_end(), "");
  release.set_value();
  EXPECT_TRUE(server->stop(10s));
}

TEST(HttpServer, ATakenPortIsToldWithWhatToDo) {
  const auto first = serve(echo);
  const auto second = HttpServer::start({.listen = first->address(), .listen_option = "--http"}, echo);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Errc::conflict);
  EXPECT_THAT(second.error().text(), HasSubstr(first->address()));
  EXPECT_THAT(second.error().text(), HasSubstr("--http"));
}

TEST(HttpServer, AnAddressThatIsNoneIsRefused) {
  for (const char* listen : {"8123", ":8123", "localhost:", "localhost:http", "127.0.0.1:70000", "300.1.2.3:0"}) {
    const auto server = HttpServer::start({.listen = listen}, echo);
    ASSERT_FALSE(server) << listen;
    EXPECT_EQ(server.error().code, Errc::usage) << listen;
    EXPECT_THAT(server.error().text(), HasSubstr(listen));
  }
}

TEST(HttpServer, ManyClientsAtOnceAllGetTheirOwnAnswer) {
  const auto server = serve(echo);
  std::atomic<int> right{0};
  std::vector<std::thread> clients;
  for (int c = 0; c < 16; ++c) {
    clients.emplace_back([&, c] {
      RawClient client(*server);
      for (int i = 0; i < 20; ++i) {
        const auto body = fmt::format("client {} request {}.", c, i);
        client.send(fmt::format("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{}", body.size(), body));
        if (client.read_until(body).find("200 OK") != std::string::npos) ++right;
      }
    });
  }
  for (auto& client : clients) client.join();
  EXPECT_EQ(right, 16 * 20);
}

TEST(HttpQuery, IsDecodedInOrder) {
  EXPECT_THAT(parse_query("a=1&b=x%20y+z&&flag&c=%zz=&%41="),
              ElementsAre(Pair("a", "1"), Pair("b", "x y z"), Pair("flag", ""), Pair("c", "%zz="), Pair("A", "")));
  EXPECT_EQ(percent_decode("a+b%2", false), "a+b%2");
}

}  // namespace
}  // namespace mp::net
