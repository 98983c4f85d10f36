#include "net/http_client.hpp"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <future>

#include "net/clock.hpp"

namespace mp::net {
namespace {

using ::testing::HasSubstr;
using namespace std::chrono_literals;

// A server of a few lines: reads one request after the other from one connection at a time and answers
// with what `answer` says ("" closes without an answer).
class TinyServer {
 public:
  explicit TinyServer(std::function<std::string(const std::string& request)> answer) : answer_(std::move(answer)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(0, ::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address));
    EXPECT_EQ(0, ::listen(listener_, 8));
    socklen_t length = sizeof address;
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length);
    port_ = ntohs(address.sin_port);
    thread_ = std::jthread([this](std::stop_token stop) { serve(stop); });
  }
  ~TinyServer() {
    thread_.request_stop();
    thread_.join();
    ::close(listener_);
  }
  std::string url(const std::string& path) const { return "http://127.0.0.1:" + std::to_string(port_) + path; }
  int connections() const { return connections_; }

 private:
  static bool readable(int fd) {
    pollfd p{fd, POLLIN, 0};
    return ::poll(&p, 1, 10) > 0;
  }
  void serve(std::stop_token stop) {
    while (!stop.stop_requested()) {
      if (!readable(listener_)) continue;
      const int peer = ::accept(listener_, nullptr, nullptr);
      ++connections_;
      converse(peer, stop);
      ::close(peer);
    }
  }
  void converse(int peer, std::stop_token stop) {
    std::string seen;
    while (!stop.stop_requested()) {
      // A new connection waiting means that the client has left this one.
      if (readable(listener_)) return;
      if (!readable(peer)) continue;
      std::array<char, 65536> chunk;
      const auto n = ::recv(peer, chunk.data(), chunk.size(), 0);
      if (n <= 0) return;
      seen.append(chunk.data(), static_cast<std::size_t>(n));
      while (const auto length = whole_request(seen)) {
        const auto reply = answer_(seen.substr(0, length));
        seen.erase(0, length);
        if (reply.empty()) return;
        ::send(peer, reply.data(), reply.size(), MSG_NOSIGNAL);
      }
    }
  }
  static std::size_t whole_request(const std::string& seen) {
    const auto head = seen.find("\r\n\r\n");
    if (head == std::string::npos) return 0;
    std::size_t body = 0;
    const auto at = seen.find("Content-Length: ");
    if (at < head) body = std::stoul(seen.substr(at + 16));
    return seen.size() >= head + 4 + body ? head + 4 + body : 0;
  }

  std::function<std::string(const std::string&)> answer_;
  int listener_ = -1;
  unsigned port_ = 0;
  std::atomic<int> connections_ = 0;
  std::jthread thread_;
};

std::string reply(const std::string& body, const std::string& status = "200 OK", const std::string& more = "") {
  return "HTTP/1.1 " + status + "\r\n" + more + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

TEST(HttpClient, GivesStatusHeadersAndBodyOfAnyAnswer) {
  TinyServer server([](const auto&) { return reply("gone", "404 Not Found", "X-Reason:  moved \r\n"); });
  HttpClient client;
  const auto response = client.request({.url = server.url("/x")});
  ASSERT_TRUE(response) << response.error().text();
  EXPECT_EQ(404, response->status);
  EXPECT_EQ("gone", response->body);
  EXPECT_EQ("moved", response->header("x-reason"));
  EXPECT_EQ(std::nullopt, response->header("x-other"));
}

TEST(HttpClient, SendsMethodHeadersAndAllPartsOfTheBody) {
  std::string seen;
  TinyServer server([&](const auto& request) {
    seen = request;
    return reply("ok");
  });
  HttpClient client;
  const std::string large(300'000, 'z');
  const auto response = client.request({.method = "POST",
                                        .url = server.url("/insert?query=a%20b"),
                                        .headers = {{"X-Key", "value"}},
                                        .body = "first,",
                                        .body_parts = {"second,", "", large}});
  ASSERT_TRUE(response) << response.error().text();
  EXPECT_THAT(seen, ::testing::StartsWith("POST /insert?query=a%20b HTTP/1.1\r\n"));
  EXPECT_THAT(seen, HasSubstr("X-Key: value\r\n"));
  EXPECT_THAT(seen, ::testing::EndsWith("\r\n\r\nfirst,second," + large));
  EXPECT_THAT(seen, ::testing::Not(HasSubstr("Expect:")));
}

TEST(HttpClient, KeepsItsConnectionBetweenRequests) {
  TinyServer server([](const auto&) { return reply("ok"); });
  HttpClient client;
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(client.request({.url = server.url("/")}));
  ASSERT_TRUE(client.request({.method = "POST", .url = server.url("/"), .body = "x"}));
  EXPECT_EQ(1, server.connections());
}

TEST(HttpClient, HandsABodyOnInPiecesWithoutKeepingIt) {
  const std::string large(3'000'000, 'z');
  TinyServer server([&](const auto&) { return reply(large); });
  HttpClient client;
  std::string taken;
  const auto response =
      client.request({.url = server.url("/"), .max_response_bytes = 10, .take = [&](std::string_view piece) {
                        taken += piece;
                        return true;
                      }});
  ASSERT_TRUE(response) << response.error().text();
  EXPECT_EQ(large, taken);
  EXPECT_EQ("", response->body);
}

TEST(HttpClient, KeepsTheBodyOfAnAnswerThatIsNoSuccess) {
  TinyServer server([](const auto&) { return reply("why not", "500 Internal Server Error"); });
  HttpClient client;
  std::string taken;
  const auto response = client.request({.url = server.url("/"), .take = [&](std::string_view piece) {
                                          taken += piece;
                                          return true;
                                        }});
  ASSERT_TRUE(response) << response.error().text();
  EXPECT_EQ(500, response->status);
  EXPECT_EQ("why not", response->body);
  EXPECT_EQ("", taken);
}

TEST(HttpClient, EndsARequestWhoseBodyNobodyTakes) {
  TinyServer server([](const auto&) { return reply("data"); });
  HttpClient client;
  const auto response = client.request({.url = server.url("/"), .take = [](std::string_view) { return false; }});
  ASSERT_FALSE(response);
  EXPECT_EQ(Errc::io, response.error().code);
}

TEST(HttpClient, RefusesAnAnswerThatIsTooLong) {
  TinyServer server([](const auto&) { return reply(std::string(5000, 'x')); });
  HttpClient client;
  const auto response = client.request({.url = server.url("/big"), .max_response_bytes = 4999});
  ASSERT_FALSE(response);
  EXPECT_EQ(Errc::out_of_range, response.error().code);
  EXPECT_THAT(response.error().text(), HasSubstr("longer than 4999 bytes"));
}

TEST(HttpClient, SaysThatNobodyListens) {
  std::string url;
  {
    url = TinyServer([](const auto&) { return std::string(); }).url("/ping");
  }
  HttpClient client;
  const auto response = client.request({.url = url + "?password=secret"});
  ASSERT_FALSE(response);
  EXPECT_EQ(Errc::unavailable, response.error().code);
  EXPECT_EQ("GET " + url, response.error().where);
  EXPECT_THAT(response.error().text(), ::testing::Not(HasSubstr("secret")));
}

TEST(HttpClient, SaysThatTheConnectionBroke) {
  TinyServer server([](const auto&) { return std::string(); });
  HttpClient client;
  const auto response = client.request({.method = "POST", .url = server.url("/"), .body = "x"});
  ASSERT_FALSE(response);
  EXPECT_EQ(Errc::io, response.error().code) << response.error().text();
}

TEST(HttpClient, SendsAPostAtMostOnceWhenAKeptConnectionBreaks) {
  // libcurl on its own would send it again: an insert would be carried out twice.
  std::atomic<int> posts = 0;
  TinyServer server(
      [&](const auto& request) { return request.starts_with("POST") ? (++posts, std::string()) : reply("ok"); });
  for (const std::string body : {"x", ""}) {
    HttpClient client;
    ASSERT_TRUE(client.request({.url = server.url("/")}));
    posts = 0;
    const auto response = client.request({.method = "POST", .url = server.url("/"), .body = body});
    ASSERT_FALSE(response);
    EXPECT_EQ(Errc::io, response.error().code) << response.error().text();
    EXPECT_EQ(1, posts) << "body '" << body << "'";
  }
}

TEST(HttpClient, ReachesLoopbackDirectlyAndOtherHostsThroughTheProxyOfTheEnvironment) {
  TinyServer target([](const auto&) { return reply("direct"); });
  TinyServer proxy([](const auto&) { return reply("by proxy"); });
  ::setenv("http_proxy", proxy.url("").c_str(), 1);
  ::unsetenv("no_proxy");
  ::unsetenv("NO_PROXY");
  HttpClient client;
  const auto loopback = client.request({.url = target.url("/")});
  const auto far = client.request({.url = "http://exchange.invalid/"});
  ::unsetenv("http_proxy");
  ASSERT_TRUE(loopback) << loopback.error().text();
  EXPECT_EQ("direct", loopback->body);
  ASSERT_TRUE(far) << far.error().text();
  EXPECT_EQ("by proxy", far->body);
}

TEST(HttpClient, GivesUpAfterTheTotalTimeOut) {
  std::promise<void> release;
  TinyServer server([&](const auto&) {
    release.get_future().wait();
    return reply("late");
  });
  HttpClient client;
  const auto response = client.request({.url = server.url("/slow"), .timeouts = {.total = 50ms}});
  release.set_value();
  ASSERT_FALSE(response);
  EXPECT_EQ(Errc::timeout, response.error().code) << response.error().text();
}

TEST(HttpClient, EndsARunningRequestWhenStopped) {
  std::promise<void> asked;
  std::promise<void> release;
  TinyServer server([&](const auto&) {
    asked.set_value();
    release.get_future().wait();
    return reply("late");
  });
  HttpClient client;
  std::stop_source stop;
  auto running = std::async([&] { return client.request({.url = server.url("/")}, stop.get_token()); });
  asked.get_future().wait();
  stop.request_stop();
  const auto response = running.get();
  release.set_value();
  ASSERT_FALSE(response);
  EXPECT_EQ(Errc::unavailable, response.error().code);
}

TEST(HttpClient, RefusesOtherProtocolsAndBrokenUrls) {
  HttpClient client;
  for (const auto* url : {"file:///etc/passwd", "ftp://127.0.0.1/x", "http://"}) {
    const auto response = client.request({.url = url});
    ASSERT_FALSE(response) << url;
    EXPECT_EQ(Errc::usage, response.error().code) << response.error().text();
  }
}

TEST(UrlWithoutSecrets, KeepsSchemeHostAndPathOnly) {
  EXPECT_EQ("http://h:8123/p", url_without_secrets("http://user:pa@ss@h:8123/p?password=x#y"));
  EXPECT_EQ("http://h", url_without_secrets("http://h?query=1"));
  EXPECT_EQ("http://h/a@b", url_without_secrets("http://h/a@b"));
}

TEST(UrlEncoded, KeepsOnlyUnreservedCharacters) { EXPECT_EQ("a-Z_0.~%20%26%3D%C3%A9", url_encoded("a-Z_0.~ &=é")); }

TEST(AsyncHttp, CallsBackWithAnswerAndReceiveTime) {
  TinyServer server([](const auto&) { return reply("hello"); });
  AsyncHttp http;
  std::promise<std::pair<std::string, Instant>> promise;
  const auto before = now();
  ASSERT_TRUE(http.request({.url = server.url("/")}, [&](Result<HttpResponse> response, Instant received) {
    promise.set_value({response ? response->body : response.error().text(), received});
  }));
  const auto [body, received] = promise.get_future().get();
  EXPECT_EQ("hello", body);
  EXPECT_GE(received.mono, before.mono);
}

TEST(AsyncHttp, RefusesWhenItsQueueIsFullAndCallsBackTheRestWhenStopped) {
  std::promise<void> asked;
  std::promise<void> release;
  auto released = release.get_future().share();
  TinyServer server([&, first = true](const auto&) mutable {
    if (std::exchange(first, false)) asked.set_value();
    released.wait();
    return reply("late");
  });
  AsyncHttp http({.workers = 1, .max_queue = 2});
  std::atomic<int> given_up = 0;
  const auto count = [&](Result<HttpResponse> response, Instant) {
    if (!response && response.error().code == Errc::unavailable) ++given_up;
  };
  ASSERT_TRUE(http.request({.url = server.url("/1")}, count));
  asked.get_future().wait();
  ASSERT_TRUE(http.request({.url = server.url("/2")}, count));
  ASSERT_TRUE(http.request({.url = server.url("/3")}, count));
  const auto refused = http.request({.url = server.url("/4")}, count);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().text(), HasSubstr("2 requests wait already"));
  http.stop();
  release.set_value();
  EXPECT_EQ(3, given_up);
  EXPECT_FALSE(http.request({.url = server.url("/5")}, count));
}

}  // namespace
}  // namespace mp::net
