#include "clickhouse/client.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <future>
#include <memory>
#include <thread>

#include "net/http_server.hpp"
#include "tests/support/nats_server.hpp"
#include "tests/support/ports.hpp"

namespace mp::clickhouse {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using namespace std::chrono_literals;

TEST(ExceptionIn, ReadsTheFormsOfAllVersions) {
  const auto old =
      exception_in("Code: 47, e.displayText() = DB::Exception: Unknown identifier: x, e.what() = DB::Exception\n");
  ASSERT_TRUE(old);
  EXPECT_EQ(47, old->code);
  EXPECT_EQ("Unknown identifier: x", old->text);
  const auto now =
      exception_in("Code: 60. DB::Exception: Table a.b does not exist. (UNKNOWN_TABLE) (version 23.8.1.2)\n");
  ASSERT_TRUE(now);
  EXPECT_EQ(60, now->code);
  EXPECT_EQ("Table a.b does not exist. (UNKNOWN_TABLE)", now->text);
  EXPECT_FALSE(exception_in("<html>Bad Gateway</html>"));
  EXPECT_FALSE(exception_in("Code: none"));
}

TEST(ParseTabSeparated, UnescapesFields) {
  EXPECT_THAT(parse_tab_separated("1\ta\\tb\\n\\\\\n2\t\n"),
              ElementsAre(ElementsAre("1", "a\tb\n\\"), ElementsAre("2", "")));
  EXPECT_TRUE(parse_tab_separated("").empty());
}

TEST(SqlText, EscapesQuotesAndBackslashes) { EXPECT_EQ(R"('a\'b\\c')", sql_text(R"(a'b\c)")); }

TEST(Client, SaysWhatAnswersInsteadOfClickHouse) {
  auto server = net::HttpServer::start({}, [](net::HttpServerRequest&, net::HttpServerResponse& response) {
    response.send(200, "text/html", "<html>hello</html>");
  });
  ASSERT_TRUE(server);
  Client client({.url = "http://user:secret@" + (*server)->address() + "/"});
  const auto ping = client.ping();
  ASSERT_FALSE(ping);
  EXPECT_THAT(ping.error().text(), HasSubstr("answers /ping with '<html>hello</html>'"));
  EXPECT_THAT(ping.error().text(), Not(HasSubstr("secret")));
}

TEST(Client, SendsCredentialsSessionAndSettings) {
  std::string target, user, key, body;
  auto server = net::HttpServer::start({}, [&](net::HttpServerRequest& request, net::HttpServerResponse& response) {
    target = request.target;
    user = request.header("X-ClickHouse-User");
    key = request.header("X-ClickHouse-Key");
    body = request.body->read_all(1000).value();
    response.send(200, "text/plain", "");
  });
  ASSERT_TRUE(server);
  Client client({.url = "http://" + (*server)->address(), .user = "me", .password = "pass word"});
  const auto answer = client.insert({"INSERT INTO t FORMAT RowBinary", "s 1", {{"async_insert", "0"}}}, {"ab", "cd"});
  ASSERT_TRUE(answer);
  EXPECT_TRUE(answer->ok());
  EXPECT_EQ("/?query=INSERT%20INTO%20t%20FORMAT%20RowBinary&session_id=s%201&async_insert=0", target);
  EXPECT_EQ("me", user);
  EXPECT_EQ("pass word", key);
  EXPECT_EQ("abcd", body);
}

TEST(Client, TakesTheCodeFromTheHeaderEvenWithStatus200) {
  auto server = net::HttpServer::start({}, [](net::HttpServerRequest&, net::HttpServerResponse& response) {
    response.set_header("X-ClickHouse-Exception-Code", "241");
    response.send(200, "text/plain", "Code: 241. DB::Exception: Memory limit exceeded");
  });
  ASSERT_TRUE(server);
  Client client({.url = "http://" + (*server)->address()});
  const auto answer = client.query({"SELECT 1"});
  ASSERT_TRUE(answer);
  EXPECT_FALSE(answer->ok());
  EXPECT_EQ(241, answer->code);
  EXPECT_THAT(answer->error("here").text(), HasSubstr("here: code 241: Memory limit exceeded"));
}

// What a server writes that can still mark an error in the middle of an answer.
std::string marked(const std::string& text) {
  return "\r\n__exception__\r\nTAGTAGTAGTAGTAGT\r\n" + text + "\n83 TAGTAGTAGTAGTAGT\r\n__exception__\r\n";
}

TEST(TornTail, FindsTheErrorThatStandsBehindTheData) {
  const std::string error =
      "Code: 395. DB::Exception: Value passed to 'throwIf' function is non-zero. (FUNCTION_THROW_IF_VALUE_IS_NON_ZERO) (version 26.7.2.1)";
  const auto now = torn_tail("1\n2\n" + marked(error), true, false);
  ASSERT_TRUE(now);
  EXPECT_EQ(4u, now->data_size);
  EXPECT_EQ(395, now->exception.code);
  const auto old = torn_tail("1\n2\n" + error + "\n", false, false);
  ASSERT_TRUE(old);
  EXPECT_EQ(4u, old->data_size);
  EXPECT_EQ(395, old->exception.code);
}

TEST(TornTail, DataThatQuotesAnErrorIsData) {
  const std::string error = "Code: 1. DB::Exception: x (version 26.7.2.1)\n";
  EXPECT_FALSE(torn_tail(error, false, true)) << "this server would have marked it and broken the connection";
  EXPECT_FALSE(torn_tail("raw\t" + error, false, false));
  EXPECT_FALSE(torn_tail(marked(error), false, true));
  EXPECT_FALSE(torn_tail("1\n", true, false)) << "a broken connection says nothing of an error";
  EXPECT_FALSE(torn_tail("", false, false));
}

TEST(Client, StreamsAnAnswerOfAnyLength) {
  const std::string line(1000, 'x');
  auto server = net::HttpServer::start({}, [&](net::HttpServerRequest&, net::HttpServerResponse& response) {
    response.begin(200, "text/plain");
    for (int i = 0; i < 1000; ++i) response.write(line + "\n");
    response.end();
  });
  ASSERT_TRUE(server);
  Client client({.url = "http://" + (*server)->address()});
  std::size_t taken = 0;
  const auto answer = client.stream({"SELECT 1"}, [&](std::string_view piece) {
    taken += piece.size();
    return true;
  });
  ASSERT_TRUE(answer) << answer.error().text();
  EXPECT_TRUE(answer->ok());
  EXPECT_EQ(1'001'000u, taken);
}

TEST(Client, TellsTheErrorOfAStreamThatBroke) {
  auto server = net::HttpServer::start({}, [&](net::HttpServerRequest&, net::HttpServerResponse& response) {
    response.set_header("X-ClickHouse-Exception-Tag", "TAGTAGTAGTAGTAGT");
    response.begin(200, "text/plain");
    response.write("1\n2\n");
    response.write(
        marked("Code: 241. DB::Exception: Memory limit exceeded. (MEMORY_LIMIT_EXCEEDED) (version 26.7.2.1)"));
    response.abort();
  });
  ASSERT_TRUE(server);
  Client client({.url = "http://" + (*server)->address()});
  std::string taken;
  const auto answer = client.stream({"SELECT 1"}, [&](std::string_view piece) {
    taken += piece;
    return true;
  });
  ASSERT_TRUE(answer) << answer.error().text();
  EXPECT_FALSE(answer->ok());
  EXPECT_EQ(241, answer->code);
  EXPECT_EQ("1\n2\n", taken);
}

TEST(Client, SaysThatNobodyListens) {
  std::string address;
  {
    address = net::HttpServer::start({}, [](auto&, auto&) {}).value()->address();
  }
  Client client({.url = "http://" + address});
  EXPECT_EQ(Errc::unavailable, client.ping().error().code);
  EXPECT_EQ(Errc::unavailable, client.query({"SELECT 1"}).error().code);
}

// Debian's clickhouse-server 18.16 (old: neither DateTime64 nor async_insert), in a temporary directory.
class RealServer {
 public:
  // Unpacked by tools/setup --tests, or installed. "" when there is none.
  static std::string program() {
    const std::filesystem::path unpacked = MP_SOURCE_DIR "/.deps/clickhouse-server-debian/clickhouse-server";
    const std::filesystem::path installed = "/usr/sbin/clickhouse-server";
    return std::filesystem::exists(unpacked) ? unpacked : std::filesystem::exists(installed) ? installed : "";
  }

  RealServer() {
    std::string pattern = (std::filesystem::temp_directory_path() / "mp_clickhouse_XXXXXX").string();
    directory_ = ::mkdtemp(pattern.data());
    http_port_ = test::free_port();
    write("users.xml", R"(<yandex><profiles><default/></profiles><quotas><default/></quotas><users>
      <default><password></password><networks><ip>::/0</ip></networks><profile>default</profile><quota>default</quota></default>
      <locked><password>right</password><networks><ip>::/0</ip></networks><profile>default</profile><quota>default</quota></locked>
      </users></yandex>)");
    write(
        "config.xml",
        fmt::format(R"(<yandex><logger><level>warning</level><log>{0}/log</log><errorlog>{0}/errors</errorlog></logger>
      <listen_host>127.0.0.1</listen_host><http_port>{1}</http_port><tcp_port>{2}</tcp_port><path>{0}/data/</path>
      <tmp_path>{0}/tmp/</tmp_path><users_config>{0}/users.xml</users_config><default_profile>default</default_profile>
      <default_database>default</default_database><mark_cache_size>16777216</mark_cache_size></yandex>)",
                    directory_, http_port_, test::free_port()));
    start();
  }
  ~RealServer() {
    stop(SIGKILL);
    std::filesystem::remove_all(directory_);
  }

  void start() {
    const auto server = program();
    pid_ = ::fork();
    if (pid_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // not to be left behind when the test dies
      const auto output = directory_ + "/output";
      if (::freopen(output.c_str(), "a", stdout) == nullptr || ::dup2(1, 2) < 0) ::_exit(126);
      const auto config = "--config-file=" + directory_ + "/config.xml";
      ::execl(server.c_str(), "clickhouse-server", config.c_str(), nullptr);
      ::_exit(127);
    }
    Client client({.url = url()});
    const auto deadline = std::chrono::steady_clock::now() + 30s;
    while (!client.ping()) {
      if (std::chrono::steady_clock::now() > deadline)
        throw std::runtime_error("clickhouse-server does not start, see " + directory_);
      std::this_thread::sleep_for(20ms);
    }
  }
  void stop(int signal) {
    if (pid_ <= 0) return;
    ::kill(pid_, signal);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
  std::string url() const { return fmt::format("http://127.0.0.1:{}", http_port_); }

 private:
  void write(const std::string& name, const std::string& text) { std::ofstream{directory_ + "/" + name} << text; }

  std::string directory_;
  int http_port_ = 0;
  pid_t pid_ = -1;
};

class RealClickHouse : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (!RealServer::program().empty()) server_ = std::make_unique<RealServer>();
  }
  static void TearDownTestSuite() { server_.reset(); }
  void SetUp() override {
    if (server_ != nullptr) return;
    if (test::dependencies_are_required()) FAIL() << "no clickhouse-server";
    GTEST_SKIP() << "no clickhouse-server: run tools/setup --tests";
  }
  static std::unique_ptr<RealServer> server_;
};
std::unique_ptr<RealServer> RealClickHouse::server_;

// RowBinary of (UInt64, String): little-endian and length-prefixed.
std::string row(std::uint64_t id, std::string_view name) {
  std::string out;
  for (int i = 0; i < 8; ++i) out += static_cast<char>((id >> (8 * i)) & 0xff);
  out += static_cast<char>(name.size());
  return out + std::string(name);
}

TEST_F(RealClickHouse, TakesAnInsertInSeveralPartsAndGivesItBack) {
  Client client({.url = server_->url()});
  ASSERT_TRUE(client.query({"CREATE TABLE parts (id UInt64, name String) ENGINE = MergeTree ORDER BY id"})->ok());
  const auto first = row(1, "one"), second = row(18'446'744'073'709'551'615ULL, "t\to");
  const auto inserted = client.insert({"INSERT INTO parts (id, name) FORMAT RowBinary"}, {first, second});
  ASSERT_TRUE(inserted) << inserted.error().text();
  ASSERT_TRUE(inserted->ok()) << inserted->text;
  const auto rows = client.rows({"SELECT id, name FROM parts ORDER BY id FORMAT TabSeparated"});
  ASSERT_TRUE(rows) << rows.error().text();
  EXPECT_THAT(*rows, ElementsAre(ElementsAre("1", "one"), ElementsAre("18446744073709551615", "t\to")));
}

TEST_F(RealClickHouse, TellsErrorsWithTheirCodes) {
  Client client({.url = server_->url()});
  const auto unknown = client.query({"SELECT * FROM nowhere"});
  ASSERT_TRUE(unknown);
  EXPECT_EQ(60, unknown->code);
  EXPECT_THAT(unknown->text, HasSubstr("nowhere"));
  EXPECT_THAT(unknown->text, Not(HasSubstr("Stack trace")));
  ASSERT_TRUE(client.query({"CREATE TABLE short (id UInt64) ENGINE = MergeTree ORDER BY id"})->ok());
  const auto torn = client.insert({"INSERT INTO short FORMAT RowBinary"}, {"abc"});
  ASSERT_TRUE(torn);
  EXPECT_EQ(33, torn->code) << torn->text;
}

TEST_F(RealClickHouse, StreamsAndTellsErrorsInTheMiddle) {
  Client client({.url = server_->url()});
  std::string taken;
  const auto take = [&](std::string_view piece) {
    taken += piece;
    return true;
  };
  const auto whole = client.stream({"SELECT number FROM system.numbers LIMIT 300000"}, take);
  ASSERT_TRUE(whole) << whole.error().text();
  ASSERT_TRUE(whole->ok()) << whole->text;
  EXPECT_EQ(300'000, std::count(taken.begin(), taken.end(), '\n'));
  taken.clear();
  const auto torn = client.stream(
      {"SELECT throwIf(number = 900000) FROM system.numbers LIMIT 1000000", "", {{"max_block_size", "1000"}}}, take);
  ASSERT_TRUE(torn) << torn.error().text();
  EXPECT_FALSE(torn->ok());
  EXPECT_EQ(395, torn->code);
  EXPECT_TRUE(taken.ends_with("0\n")) << taken.substr(taken.size() - std::min<std::size_t>(taken.size(), 200));
}

TEST_F(RealClickHouse, RefusesAWrongPassword) {
  Client wrong({.url = server_->url(), .user = "locked", .password = "wrong"});
  const auto refused = wrong.query({"SELECT 1"});
  ASSERT_TRUE(refused);
  EXPECT_EQ(193, refused->code) << refused->text;
  Client right({.url = server_->url(), .user = "locked", .password = "right"});
  EXPECT_TRUE(right.query({"SELECT 1"})->ok());
}

TEST_F(RealClickHouse, LocksASessionWhileItsStatementRuns) {
  auto running = std::async([] {
    Client slow({.url = server_->url()});
    return slow.query({"SELECT sleep(1.5)", "one-session"});
  });
  Client client({.url = server_->url()});
  int locked = 0;
  // Until the slow statement has begun, ours are carried out; while it runs they are refused.
  while (running.wait_for(5ms) != std::future_status::ready) {
    const auto answer = client.query({"SELECT 1", "one-session"});
    ASSERT_TRUE(answer);
    if (answer->code == 373) ++locked;
  }
  EXPECT_GT(locked, 0);
  EXPECT_TRUE(client.query({"SELECT 1", "one-session"})->ok());
}

TEST_F(RealClickHouse, IsReachedAgainAfterItWasKilled) {
  Client client({.url = server_->url()});
  ASSERT_TRUE(client.ping());
  server_->stop(SIGKILL);
  const auto gone = client.query({"SELECT 1"});
  ASSERT_FALSE(gone);
  EXPECT_EQ(Errc::unavailable, gone.error().code) << gone.error().text();
  server_->start();
  EXPECT_TRUE(client.query({"SELECT 1"})->ok());
}

}  // namespace
}  // namespace mp::clickhouse
