// Against the real engine. It is one per process, and a directory has one process at a time: what
// needs a second one runs this program again (ServedElsewhere).
#include "engine/clickhouse_server.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <future>
#include <thread>

#include "engine/compression.hpp"
#include "net/http_client.hpp"

extern char** environ;

namespace mp::engine {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;
using ::testing::StartsWith;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

bool is_set(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0' && std::string(value) != "0";
}

#define NEED_LIBCHDB()                                                                    \
  if (const auto api = load_chdb(); !api) {                                               \
    if (is_set("CI") || is_set("MARKETPRISM_REQUIRE_DEPS")) FAIL() << api.error().text(); \
    GTEST_SKIP() << api.error().text();                                                   \
  }

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string pattern = (fs::temp_directory_path() / "mp-engine-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~TemporaryDirectory() {
    std::error_code ec;
    fs::remove_all(path_, ec);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

using Headers = std::vector<net::HttpHeader>;

net::HttpResponse ask(const std::string& address, const std::string& parameters, std::string body, Headers headers = {},
                      const std::string& method = "POST") {
  net::HttpClient client({.accept_compressed = false});
  auto answer = client.request({.method = method,
                                .url = "http://" + address + "/" + (parameters.empty() ? "" : "?" + parameters),
                                .headers = std::move(headers),
                                .body = std::move(body),
                                .timeouts = {.total = 60s}});
  if (!answer) {
    ADD_FAILURE() << answer.error().text();
    return {};
  }
  return *answer;
}

std::string header_of(const net::HttpResponse& answer, std::string_view name) {
  return std::string(answer.header(name).value_or(""));
}

// Sends bytes as they are and can go away at any moment.
class RawClient {
 public:
  explicit RawClient(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    const timeval limit{30, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    EXPECT_EQ(0, ::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address));
  }
  ~RawClient() { ::close(fd_); }
  void send(std::string_view bytes) {
    while (!bytes.empty()) {
      const auto n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return;
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
  }
  // Reads to the end and tells how many bytes there were; `tail` gets the last ones.
  std::size_t read_to_end(std::string* tail = nullptr) {
    std::string piece(1 << 20, '\0');
    std::size_t total = 0;
    for (;;) {
      const auto n = ::recv(fd_, piece.data(), piece.size(), 0);
      if (n <= 0) return total;
      total += static_cast<std::size_t>(n);
      if (tail != nullptr)
        *tail = (*tail + piece.substr(0, static_cast<std::size_t>(n)))
                    .substr(std::max<std::size_t>(tail->size() + static_cast<std::size_t>(n), 2000) - 2000);
    }
  }

 private:
  int fd_;
};

std::string post(const std::string& parameters, std::size_t length) {
  return fmt::format("POST /?{} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", parameters,
                     length);
}

class EmbeddedClickHouse : public testing::Test {
 protected:
  void SetUp() override {
    NEED_LIBCHDB();
    auto engine = Engine::open(directory_.path());
    ASSERT_TRUE(engine) << engine.error().text();
    engine_ = std::move(*engine);
    auto server = ClickHouseServer::start(*engine_, options());
    ASSERT_TRUE(server) << server.error().text();
    server_ = std::move(*server);
  }
  virtual ClickHouseServerOptions options() { return {.listen = "127.0.0.1:0"}; }

  net::HttpResponse post(const std::string& parameters, std::string body, Headers headers = {}) const {
    return ask(server_->address(), parameters, std::move(body), std::move(headers));
  }
  net::HttpResponse get(const std::string& parameters) const {
    return ask(server_->address(), parameters, "", {}, "GET");
  }
  // The answer's text, which must be a success.
  std::string run(std::string body, const std::string& parameters = "") const {
    const auto answer = post(parameters, std::move(body));
    EXPECT_EQ(answer.status, 200) << answer.body;
    return answer.body;
  }
  void make_table() const { run("CREATE TABLE t (a UInt64, b String) ENGINE = MergeTree ORDER BY a"); }

  TemporaryDirectory directory_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<ClickHouseServer> server_;
};

TEST_F(EmbeddedClickHouse, AnswersPingAndRoot) {
  net::HttpClient client;
  const auto ping = client.request({.url = "http://" + server_->address() + "/ping"});
  EXPECT_EQ(ping->body, "Ok.\n");
  EXPECT_EQ(get("").body, "Ok.\n");
  EXPECT_EQ(client.request({.url = "http://" + server_->address() + "/nothing"})->status, 404);
}

TEST_F(EmbeddedClickHouse, PagesOfOtherSitesGetNothingDone) {
  for (const char* origin : {"http://evil.example", "https://127.0.0.1.evil.example", "null"}) {
    const auto answer = post("", "CREATE TABLE t (a UInt8) ENGINE = MergeTree ORDER BY a", {{"Origin", origin}});
    EXPECT_EQ(answer.status, 403) << origin;
    EXPECT_THAT(answer.body, HasSubstr(origin));
  }
  EXPECT_EQ(run("EXISTS TABLE t"), "0\n");
  EXPECT_EQ(post("", "SELECT 1", {{"Origin", "http://" + server_->address()}}).body, "1\n");
}

TEST_F(EmbeddedClickHouse, SelectsFromQueryBodyOrBoth) {
  EXPECT_EQ(get("query=SELECT%201").body, "1\n");
  EXPECT_EQ(run("SELECT 2"), "2\n");
  EXPECT_EQ(run("3", "query=SELECT"), "3\n");
  const auto answer = post("query_id=my-id", "SELECT 1 AS x FORMAT JSONEachRow");
  EXPECT_EQ(answer.body, "{\"x\":1}\n");
  EXPECT_EQ(header_of(answer, "X-ClickHouse-Query-Id"), "my-id");
  EXPECT_EQ(header_of(answer, "X-ClickHouse-Format"), "JSONEachRow");
  EXPECT_EQ(header_of(answer, "X-ClickHouse-Timezone"), engine_->timezone());
  EXPECT_THAT(header_of(answer, "Content-Type"), StartsWith("application/json"));
  EXPECT_THAT(header_of(answer, "X-ClickHouse-Summary"), HasSubstr("\"result_rows\":\"1\""));
}

TEST_F(EmbeddedClickHouse, InsertsInEveryWayThatClientsUse) {
  make_table();
  using namespace std::string_literals;
  run("{\"a\":1,\"b\":\"x\"}\n{\"a\":2,\"b\":\"y\"}", "query=INSERT%20INTO%20t%20FORMAT%20JSONEachRow");
  run("INSERT INTO t FORMAT TSV\n3\tz\n");
  run("INSERT INTO t VALUES (4, 'q'), (2 + 3, upper('r'));");
  run("INSERT INTO t (b, a) VALUES ('s', 6)");
  // RowBinary whose first byte is a line break (a = 10).
  run("INSERT INTO t FORMAT RowBinary\n\x0A\0\0\0\0\0\0\0\x01w"s);
  const auto native = run("SELECT toUInt64(number + 20) AS a, 'n' AS b FROM numbers(2) FORMAT Native");
  const auto answer = post("query=INSERT%20INTO%20t%20FORMAT%20Native", native);
  EXPECT_EQ(answer.status, 200) << answer.body;
  EXPECT_THAT(header_of(answer, "X-ClickHouse-Summary"), HasSubstr("\"written_rows\":\"2\""));
  run("INSERT INTO t SELECT 30, 'sel'");
  EXPECT_EQ(run("SELECT * FROM t ORDER BY a"), "1\tx\n2\ty\n3\tz\n4\tq\n5\tR\n6\ts\n10\tw\n20\tn\n21\tn\n30\tsel\n");
}

TEST_F(EmbeddedClickHouse, GivesEveryKindOfFormat) {
  EXPECT_EQ(run("SELECT 1 AS a, 'x' AS b FORMAT CSVWithNames"), "\"a\",\"b\"\n1,\"x\"\n");
  EXPECT_EQ(run("SELECT 1 AS a", "default_format=JSONCompactEachRowWithNamesAndTypes"), "[\"a\"]\n[\"UInt8\"]\n[1]\n");
  EXPECT_THAT(run("SELECT 1 AS a FORMAT JSON"), HasSubstr("\"rows\": 1"));
  EXPECT_EQ(run("SELECT toUInt16(258) FORMAT RowBinary"), "\x02\x01");
  EXPECT_EQ(post("", "SELECT 1", {{"X-ClickHouse-Format", "TSKV"}}).body, "1=1\n");
  EXPECT_EQ(run("SHOW DATABASES LIKE 'default'"), "default\n");
  EXPECT_EQ(run("SELECT 1 WHERE 0"), "");
}

// Formats with a header come from the engine as one document per block: the header must stand once.
TEST_F(EmbeddedClickHouse, LargeResultsAreWholeInEveryStreamedFormat) {
  const std::string select = "SELECT number AS n, toString(number) AS s FROM numbers(300000) ORDER BY n FORMAT ";
  for (const char* format :
       {"TabSeparated", "TabSeparatedWithNames", "TabSeparatedWithNamesAndTypes", "CSV", "CSVWithNames",
        "CSVWithNamesAndTypes", "JSONEachRow", "JSONCompactEachRowWithNames", "JSONCompactEachRowWithNamesAndTypes",
        "RowBinary", "RowBinaryWithNames", "RowBinaryWithNamesAndTypes"}) {
    const auto streamed = post("max_block_size=10000", select + format);
    const auto whole = post("max_block_size=10000&wait_end_of_query=1", select + format);
    EXPECT_EQ(header_of(streamed, "Transfer-Encoding"), "chunked") << format;
    EXPECT_NE(header_of(whole, "Content-Length"), "") << format;
    EXPECT_TRUE(streamed.body == whole.body)
        << format << ": " << streamed.body.size() << " and " << whole.body.size() << " bytes";
  }
}

TEST_F(EmbeddedClickHouse, ParametersAreTypedAndNeverText) {
  EXPECT_EQ(run("SELECT {n:UInt8} + 1, {s:String}, {i:Identifier} FROM (SELECT 5 AS col)",
                "param_n=7&param_s=it's%20;DROP&param_i=col"),
            "8\tit\\'s ;DROP\t5\n");
  EXPECT_EQ(run("SELECT {a:Array(String)}", "param_a=['x','y']"), "['x','y']\n");
  const auto missing = post("", "SELECT {n:UInt8}");
  EXPECT_EQ(header_of(missing, "X-ClickHouse-Exception-Code"), "456");
  make_table();
  run("INSERT INTO t SELECT {n:UInt64}, 'p'", "param_n=9");
  EXPECT_EQ(run("SELECT a FROM t"), "9\n");
}

TEST_F(EmbeddedClickHouse, SettingsAndDatabaseHoldForOneRequest) {
  run("CREATE DATABASE other");
  run("CREATE TABLE other.t (a UInt8) ENGINE = Memory");
  const std::string ask_all = "SELECT currentDatabase(), getSetting('max_threads') = 1, getSetting('max_block_size')";
  EXPECT_EQ(run(ask_all, "database=other&max_threads=1&max_block_size=77"), "other\t1\t77\n");
  EXPECT_THAT(run(ask_all), Not(HasSubstr("77")));
  EXPECT_THAT(run(ask_all), StartsWith("default"));
  EXPECT_EQ(post("", "SHOW TABLES", {{"X-ClickHouse-Database", "other"}}).body, "t\n");
  // Settings of an insert reach it.
  EXPECT_EQ(post("database=other&query=INSERT%20INTO%20t%20FORMAT%20JSONEachRow&input_format_skip_"
                 "unknown_fields=0",
                 "{\"a\":1,\"z\":2}")
                .status,
            400);
  EXPECT_EQ(post("database=other&query=INSERT%20INTO%20t%20FORMAT%20JSONEachRow&input_format_skip_"
                 "unknown_fields=1",
                 "{\"a\":1,\"z\":2}")
                .status,
            200);
  const auto unknown = post("no_such_setting=1", "SELECT 1");
  EXPECT_EQ(unknown.status, 404);
  EXPECT_EQ(header_of(unknown, "X-ClickHouse-Exception-Code"), "115");
  EXPECT_EQ(post("a'b=1", "SELECT 1").status, 404);
}

struct ErrorCase {
  const char* sql;
  int code;
  int status;
  const char* name;
};

TEST_F(EmbeddedClickHouse, ErrorsAreTheServers) {
  make_table();
  for (const auto& c :
       {ErrorCase{"SELECT * FROM nope", 60, 404, "UNKNOWN_TABLE"},
        ErrorCase{"SELECT * FROM nodb.t", 81, 404, "UNKNOWN_DATABASE"}, ErrorCase{"SELEC 1", 62, 400, "SYNTAX_ERROR"},
        ErrorCase{"nonsense", 62, 400, "SYNTAX_ERROR"},
        ErrorCase{"SELECT nothing FROM t", 47, 404, "UNKNOWN_IDENTIFIER"}, ErrorCase{"", 62, 400, "SYNTAX_ERROR"},
        ErrorCase{"SELECT 1; SELECT 2", 62, 400, "SYNTAX_ERROR"},
        ErrorCase{"SELECT throwIf(1)", 395, 500, "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO"},
        ErrorCase{"INSERT INTO nope FORMAT CSV\n1\n", 60, 404, "UNKNOWN_TABLE"},
        ErrorCase{"INSERT INTO t FORMAT RowBinary\nxx", 33, 500, "CANNOT_READ_ALL_DATA"},
        ErrorCase{"SELECT 1 FORMAT NoSuchFormat", 73, 404, "UNKNOWN_FORMAT"},
        ErrorCase{"SELECT 1 INTO OUTFILE '/tmp/x'", 358, 500, "INTO_OUTFILE_NOT_ALLOWED"}}) {
    const auto answer = post("", c.sql);
    EXPECT_EQ(answer.status, c.status) << c.sql << ": " << answer.body;
    EXPECT_EQ(header_of(answer, "X-ClickHouse-Exception-Code"), std::to_string(c.code)) << c.sql << ": " << answer.body;
    EXPECT_THAT(answer.body, StartsWith(fmt::format("Code: {}. DB::Exception: ", c.code)));
    EXPECT_THAT(answer.body, HasSubstr(fmt::format("({}) (version {})\n", c.name, engine_->version()))) << c.sql;
  }
  // The library would drop the data and report success.
  EXPECT_EQ(post("", "INSERT INTO t SELECT * FROM input('a UInt64, b String') FORMAT CSV\n1,x\n").status, 501);
  EXPECT_EQ(run("SELECT count() FROM t"), "0\n");
}

TEST_F(EmbeddedClickHouse, AnErrorBehindTheFirstRowsBreaksTheAnswerAndSaysWhy) {
  RawClient client(server_->port());
  const std::string sql = "SELECT number, throwIf(number = 500000) FROM numbers(1000000)";
  client.send(mp::engine::post("max_block_size=1000&max_threads=1", sql.size()) + sql);
  std::string tail;
  client.read_to_end(&tail);
  EXPECT_THAT(tail, HasSubstr("__exception__\r\n"));
  EXPECT_THAT(tail, HasSubstr("Code: 395. DB::Exception: "));
  EXPECT_THAT(tail, Not(HasSubstr("\r\n0\r\n\r\n")));
  EXPECT_EQ(run("SELECT 1"), "1\n");
}

TEST_F(EmbeddedClickHouse, AGetOnlyReads) {
  make_table();
  for (const char* query :
       {"query=CREATE%20TABLE%20u%20(a%20UInt8)%20ENGINE=Memory", "query=INSERT%20INTO%20t%20VALUES%20(1,'x')",
        "query=DROP%20TABLE%20t", "session_id=s&query=DROP%20TABLE%20t",
        "session_id=s&query=INSERT%20INTO%20t%20VALUES%20(1,'x')"}) {
    const auto answer = get(query);
    EXPECT_EQ(header_of(answer, "X-ClickHouse-Exception-Code"), "164") << query << answer.body;
    EXPECT_EQ(answer.status, 500);
  }
  EXPECT_EQ(get("query=SELECT%20count()%20FROM%20t").body, "0\n");
  EXPECT_EQ(get("session_id=s&query=SELECT%20count()%20FROM%20t").body, "0\n");
}

TEST_F(EmbeddedClickHouse, CompressesBothWays) {
  make_table();
  std::string rows;
  for (int i = 0; i < 50'000; ++i) rows += fmt::format("{{\"a\":{},\"b\":\"row {}\"}}\n", i, i);
  for (const auto coding : {Coding::gzip, Coding::deflate, Coding::zstd, Coding::lz4}) {
    const auto compressor = make_compressor(coding);
    std::string body;
    compressor->add(rows, body);
    compressor->finish(body);
    const std::string name(to_string(coding));
    run("TRUNCATE TABLE t");
    const auto inserted = post("query=INSERT%20INTO%20t%20FORMAT%20JSONEachRow", body, {{"Content-Encoding", name}});
    ASSERT_EQ(inserted.status, 200) << name << inserted.body;
    EXPECT_EQ(run("SELECT count(), sum(a) FROM t"), "50000\t1249975000\n") << name;

    const auto answer = post("enable_http_compression=1", "SELECT a, b FROM t ORDER BY a FORMAT JSONEachRow",
                             {{"Accept-Encoding", name}});
    EXPECT_EQ(header_of(answer, "Content-Encoding"), name);
    std::string text;
    const auto decompressor = make_decompressor(coding);
    ASSERT_TRUE(decompressor->feed(answer.body, [&](std::string_view piece) {
      text += piece;
      return true;
    }));
    EXPECT_TRUE(text == rows) << name;
    EXPECT_EQ(header_of(post("enable_http_compression=0", "SELECT 1", {{"Accept-Encoding", name}}), "Content-Encoding"),
              "");

    const auto torn = post("query=INSERT%20INTO%20t%20FORMAT%20JSONEachRow", body.substr(0, body.size() / 2),
                           {{"Content-Encoding", name}});
    EXPECT_NE(torn.status, 200) << name;
    EXPECT_EQ(run("SELECT count() FROM t"), "50000\n") << name;
  }
}

TEST_F(EmbeddedClickHouse, ALargeInsertIsOnePartAndComesBackWhole) {
  make_table();
  std::string rows;
  for (std::uint64_t i = 0; i < 300'000; ++i) {
    rows.append(reinterpret_cast<const char*>(&i), 8);
    rows += "\x03row";
  }
  const auto answer = post("query=INSERT%20INTO%20t%20FORMAT%20RowBinary", rows);
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(run("SELECT count() FROM system.parts WHERE table = 't' AND active"), "1\n");
  const auto back = run("SELECT a, b FROM t ORDER BY a FORMAT RowBinary");
  EXPECT_TRUE(back == rows);
}

// ---- sessions --------------------------------------------------------------------------------------------------

TEST_F(EmbeddedClickHouse, ASessionKeepsItsState) {
  run("SET max_block_size = 123", "session_id=s");
  run("CREATE TEMPORARY TABLE mine AS SELECT 42 AS x", "session_id=s");
  EXPECT_EQ(run("SELECT x, getSetting('max_block_size') FROM mine", "session_id=s"), "42\t123\n");
  EXPECT_EQ(post("session_id=other", "SELECT x FROM mine").status, 404);
  EXPECT_EQ(post("", "SELECT x FROM mine").status, 404);
  run("CREATE DATABASE d2");
  run("USE d2", "session_id=s");
  EXPECT_EQ(run("SELECT currentDatabase()", "session_id=s"), "d2\n");
  EXPECT_EQ(header_of(post("session_id=new&session_check=1", "SELECT 1"), "X-ClickHouse-Exception-Code"), "372");
  EXPECT_EQ(run("SELECT 1", "session_id=s&session_check=1&close_session=1"), "1\n");
  EXPECT_EQ(header_of(post("session_id=s&session_check=1", "SELECT 1"), "X-ClickHouse-Exception-Code"), "372");
}

TEST_F(EmbeddedClickHouse, SettingsOfOneStatementDoNotStayInItsSession) {
  run("SET max_block_size = 123", "session_id=s");
  const std::string sql =
      "SELECT getSetting('max_block_size'), getSetting('max_insert_block_size') = 55, "
      "currentDatabase()";
  run("CREATE DATABASE d2");
  EXPECT_EQ(run(sql, "session_id=s&max_block_size=77&max_insert_block_size=55&database=d2"), "77\t1\td2\n");
  EXPECT_EQ(run(sql, "session_id=s&max_block_size=78"), "78\t0\tdefault\n");
  EXPECT_EQ(run(sql, "session_id=s"), "123\t0\tdefault\n");
  // A SET while settings of an earlier statement lie over the session goes to the session itself.
  run(sql, "session_id=s&max_block_size=77");
  run("SET max_block_size = 124", "session_id=s&max_block_size=77");
  EXPECT_EQ(run(sql, "session_id=s"), "124\t0\tdefault\n");
  EXPECT_EQ(header_of(post("session_id=s&max_block_size=79&no_such=1", sql), "X-ClickHouse-Exception-Code"), "115");
  EXPECT_EQ(run(sql, "session_id=s"), "124\t0\tdefault\n");
}

TEST_F(EmbeddedClickHouse, AnExpiredSessionIsGone) {
  run("CREATE TEMPORARY TABLE mine AS SELECT 1 AS x", "session_id=s&session_timeout=0");
  EXPECT_EQ(header_of(post("session_id=s&session_check=1", "SELECT 1"), "X-ClickHouse-Exception-Code"), "372");
}

constexpr const char* kSlowInsert = "INSERT INTO t SELECT number, toString(sleepEachRow(0.1)) FROM numbers(15)";

TEST_F(EmbeddedClickHouse, ASecondRequestOfASessionGets373UntilTheFirstHasEnded) {
  make_table();
  auto slow = std::async(std::launch::async, [&] { return post("session_id=s", kSlowInsert); });
  int locked = 0;
  while (slow.wait_for(10ms) != std::future_status::ready) {
    const auto answer = post("session_id=s", "SELECT 1");
    if (answer.status == 200) continue;
    EXPECT_EQ(header_of(answer, "X-ClickHouse-Exception-Code"), "373");
    EXPECT_THAT(answer.body, HasSubstr("is locked by a concurrent client"));
    ++locked;
  }
  EXPECT_EQ(slow.get().status, 200);
  EXPECT_GT(locked, 10);
  // Whoever has the answer finds the session free.
  EXPECT_EQ(run("SELECT count() FROM t", "session_id=s"), "15\n");
}

// What the storage relies on: after a lost answer, the session's next statement sees all that the
// earlier one did.
TEST_F(EmbeddedClickHouse, TheLockHoldsWhileTheStatementOfAVanishedClientRuns) {
  make_table();
  {
    RawClient client(server_->port());
    client.send(mp::engine::post("session_id=s", std::strlen(kSlowInsert)) + kSlowInsert);
    // Away as soon as the statement runs.
    while (run("SELECT count() FROM system.processes WHERE query LIKE 'INSERT INTO t SELECT%'") == "0\n")
      std::this_thread::sleep_for(5ms);
  }
  int locked = 0;
  for (;;) {
    const auto answer = post("session_id=s", "SELECT count() FROM t");
    if (header_of(answer, "X-ClickHouse-Exception-Code") == "373") {
      ++locked;
      std::this_thread::sleep_for(10ms);
      continue;
    }
    EXPECT_EQ(answer.body, "15\n");
    break;
  }
  EXPECT_GT(locked, 5);
}

TEST_F(EmbeddedClickHouse, ATornInsertCommitsNothingAndFreesItsSession) {
  make_table();
  {
    RawClient client(server_->port());
    client.send(mp::engine::post("session_id=s&query=INSERT%20INTO%20t%20FORMAT%20TSV", 1'000'000) + "1\tx\n2\ty\n");
    while (run("SELECT count() FROM system.processes WHERE query LIKE 'INSERT INTO t%'") == "0\n")
      std::this_thread::sleep_for(5ms);
  }
  for (;;) {
    const auto answer = post("session_id=s", "SELECT count() FROM t");
    if (header_of(answer, "X-ClickHouse-Exception-Code") == "373") continue;
    EXPECT_EQ(answer.body, "0\n");
    break;
  }
}

TEST_F(EmbeddedClickHouse, AClientThatDoesNotReadItsAnswerToTheEndStopsTheStatement) {
  {
    RawClient client(server_->port());
    const std::string sql = "SELECT number FROM system.numbers";
    client.send(mp::engine::post("session_id=s", sql.size()) + sql);
    while (run("SELECT count() FROM system.processes WHERE query LIKE 'SELECT number FROM "
               "system.numbers%'") == "0\n")
      std::this_thread::sleep_for(5ms);
  }
  const auto deadline = std::chrono::steady_clock::now() + 20s;
  while (post("session_id=s", "SELECT 1").status != 200 && std::chrono::steady_clock::now() < deadline)
    std::this_thread::sleep_for(10ms);
  EXPECT_EQ(run("SELECT 1", "session_id=s"), "1\n");
}

TEST_F(EmbeddedClickHouse, StatementsOfDifferentClientsRunSideBySide) {
  make_table();
  auto slow = std::async(std::launch::async, [&] { return post("", kSlowInsert); });
  int answered = 0;
  while (slow.wait_for(1ms) != std::future_status::ready) {
    EXPECT_EQ(run("SELECT 1"), "1\n");
    ++answered;
  }
  EXPECT_GT(answered, 5);
}

// ---- users -----------------------------------------------------------------------------------------------------

class WithPassword : public EmbeddedClickHouse {
  ClickHouseServerOptions options() override { return {.listen = "127.0.0.1:0", .credentials = {"market", "s3cret"}}; }
};

TEST_F(WithPassword, OnlyTheRightUserAndPasswordComeIn) {
  EXPECT_EQ(post("user=market&password=s3cret", "SELECT 1").body, "1\n");
  EXPECT_EQ(post("", "SELECT 1", {{"X-ClickHouse-User", "market"}, {"X-ClickHouse-Key", "s3cret"}}).body, "1\n");
  EXPECT_EQ(post("", "SELECT 1", {{"Authorization", "Basic bWFya2V0OnMzY3JldA=="}}).body, "1\n");
  for (const char* parameters : {"", "user=market", "user=market&password=wrong", "user=default&password=s3cret",
                                 "user=market&password=s3cre"}) {
    const auto answer = post(parameters, "SELECT 1");
    EXPECT_EQ(answer.status, 403) << parameters;
    EXPECT_EQ(header_of(answer, "X-ClickHouse-Exception-Code"), "516");
    EXPECT_THAT(answer.body,
                HasSubstr("Authentication failed: password is incorrect, or there is no user with such name"));
    EXPECT_THAT(answer.body, Not(HasSubstr("s3cret")));
  }
  EXPECT_EQ(ask(server_->address(), "", "", {}, "GET").body, "Ok.\n");  // health checks need none
}

// ---- directories -----------------------------------------------------------------------------------------------

TEST(EngineDirectory, AFileInItsPlaceIsToldWithWhatToDo) {
  NEED_LIBCHDB();
  TemporaryDirectory directory;
  std::ofstream(directory.path() + "/file") << "x";
  const auto engine = Engine::open(directory.path() + "/file/data");
  ASSERT_FALSE(engine);
  EXPECT_THAT(engine.error().text(), HasSubstr(directory.path() + "/file/data"));
  EXPECT_THAT(engine.error().text(), HasSubstr("--data"));
}

TEST(EngineDirectory, AReadOnlyOneIsToldWithWhatToDo) {
  NEED_LIBCHDB();
  if (::geteuid() == 0) GTEST_SKIP() << "root may write everywhere";
  TemporaryDirectory directory;
  ::chmod(directory.path().c_str(), 0500);
  const auto engine = Engine::open(directory.path());
  ::chmod(directory.path().c_str(), 0700);
  ASSERT_FALSE(engine);
  EXPECT_THAT(engine.error().text(), HasSubstr("cannot be written"));
}

TEST(EngineDirectory, AFullDiskIsToldWithWhatToDo) {
  NEED_LIBCHDB();
  if (!fs::exists("/dev/full")) GTEST_SKIP() << "no /dev/full";
  TemporaryDirectory directory;
  fs::create_symlink("/dev/full", directory.path() + "/.marketprism-write-test");
  const auto engine = Engine::open(directory.path());
  ASSERT_FALSE(engine);
  EXPECT_THAT(engine.error().text(), HasSubstr("No space left"));
  EXPECT_THAT(engine.error().text(), HasSubstr("free space"));
}

TEST(EngineMemory, IsBoundedForStatementsAndCaches) {
  NEED_LIBCHDB();
  TemporaryDirectory directory;
  const auto engine = Engine::open(directory.path(), {.max_memory_bytes = 700'000'000, .mark_cache_bytes = 64u << 20});
  ASSERT_TRUE(engine) << engine.error().text();
  auto connection = (*engine)->connect();
  const std::string setting = "SELECT value FROM system.server_settings WHERE name = ";
  EXPECT_EQ(*connection->scalar(setting + "'max_server_memory_usage'"), "700000000");
  EXPECT_EQ(*connection->scalar(setting + "'mark_cache_size'"), "67108864");
  const auto greedy = connection->query("SELECT length(groupArray(number)) FROM numbers(300000000)", "TSV");
  ASSERT_FALSE(greedy);
  EXPECT_EQ(greedy.error().code, 241);
  EXPECT_EQ(*connection->scalar("SELECT 1"), "1");
}

// ---- a second process ------------------------------------------------------------------------------------------

// Not a test of its own: the process that ServedElsewhere starts.
TEST(ServeForAnotherTest, DISABLED_Serve) {
  const char* directory = std::getenv("MP_TEST_DATA");
  const char* report = std::getenv("MP_TEST_REPORT");
  ASSERT_TRUE(directory != nullptr && report != nullptr);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  auto engine = Engine::open(directory);
  ASSERT_TRUE(engine) << engine.error().text();
  auto server = ClickHouseServer::start(**engine, {.listen = "127.0.0.1:0"});
  ASSERT_TRUE(server) << server.error().text();
  std::ofstream(std::string(report) + ".new") << (*server)->address() << "\n";
  fs::rename(std::string(report) + ".new", report);
  int signal = 0;
  ::sigwait(&set, &signal);
  EXPECT_TRUE((*server)->stop(20s));
}

class ServedElsewhere : public testing::Test {
 protected:
  void SetUp() override { NEED_LIBCHDB(); }
  void TearDown() override {
    if (pid_ > 0) end(SIGKILL);
  }
  void start() {
    fs::remove(report_);
    std::vector<std::string> environment{"MP_TEST_DATA=" + data_, "MP_TEST_REPORT=" + report_};
    for (char** e = environ; *e != nullptr; ++e) {
      // gtest's sharding and output settings are not for the child.
      if (std::strncmp(*e, "GTEST_", 6) != 0) environment.emplace_back(*e);
    }
    std::vector<std::string> arguments{"/proc/self/exe", "--gtest_filter=ServeForAnotherTest.DISABLED_Serve",
                                       "--gtest_also_run_disabled_tests", "--gtest_brief=1"};
    std::vector<char*> envp, argv;
    for (auto& e : environment) envp.push_back(e.data());
    for (auto& a : arguments) argv.push_back(a.data());
    envp.push_back(nullptr);
    argv.push_back(nullptr);
    ASSERT_EQ(0, ::posix_spawn(&pid_, "/proc/self/exe", nullptr, nullptr, argv.data(), envp.data()));
    const auto deadline = std::chrono::steady_clock::now() + 60s;
    while (!fs::exists(report_) && std::chrono::steady_clock::now() < deadline) {
      ASSERT_EQ(0, ::waitpid(pid_, nullptr, WNOHANG)) << "the other process ended early";
      std::this_thread::sleep_for(5ms);
    }
    std::ifstream(report_) >> address_;
    ASSERT_NE(address_, "");
  }
  int end(int signal) {
    ::kill(pid_, signal);
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = 0;
    return status;
  }
  std::string run(const std::string& sql, const std::string& parameters = "") {
    const auto answer = ask(address_, parameters, sql);
    EXPECT_EQ(answer.status, 200) << answer.body;
    return answer.body;
  }
  long resident_kb() const {
    std::ifstream status(fmt::format("/proc/{}/status", pid_));
    std::string word;
    long kb = 0;
    while (status >> word) {
      if (word == "VmHWM:") status >> kb;
    }
    return kb;
  }

  TemporaryDirectory directory_;
  std::string data_ = directory_.path() + "/data";
  std::string report_ = directory_.path() + "/address";
  std::string address_;
  pid_t pid_ = 0;
};

TEST_F(ServedElsewhere, ARestartKeepsTheDataAndReleasesTheLock) {
  start();
  run("CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a");
  run("INSERT INTO t SELECT number FROM numbers(1000)");
  EXPECT_EQ(end(SIGTERM), 0);
  start();
  EXPECT_EQ(run("SELECT count(), sum(a) FROM t"), "1000\t499500\n");
}

TEST_F(ServedElsewhere, AKillKeepsWhatWasAcknowledgedAndLeavesNoStaleLock) {
  start();
  run("CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a SETTINGS fsync_after_insert = 1, "
      "fsync_part_directory = 1");
  for (int i = 0; i < 20; ++i) run(fmt::format("INSERT INTO t VALUES ({})", i));
  end(SIGKILL);
  start();
  EXPECT_EQ(run("SELECT count(), sum(a) FROM t"), "20\t190\n");
}

TEST_F(ServedElsewhere, AStopWaitsForTheStatementUnderWay) {
  start();
  run("CREATE TABLE t (a UInt64, b String) ENGINE = MergeTree ORDER BY a");
  auto slow = std::async(std::launch::async, [&] { return ask(address_, "", kSlowInsert); });
  while (run("SELECT count() FROM system.processes WHERE query LIKE 'INSERT%'") == "0\n")
    std::this_thread::sleep_for(5ms);
  EXPECT_EQ(end(SIGTERM), 0);
  EXPECT_EQ(slow.get().status, 200);
  start();
  EXPECT_EQ(run("SELECT count() FROM t"), "15\n");
}

TEST_F(ServedElsewhere, ADirectoryInUseIsToldWithItsHolder) {
  start();
  const auto pid = pid_;
  const auto second = Engine::open(data_);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Errc::conflict);
  EXPECT_THAT(second.error().text(), HasSubstr(data_));
  EXPECT_THAT(second.error().text(), HasSubstr(fmt::format("(process {})", pid)));
}

TEST_F(ServedElsewhere, ALargeResultDoesNotPassThroughMemoryAsAWhole) {
  start();
  run("SELECT number FROM numbers(1000000) FORMAT TSV");
  const long before = resident_kb();
  RawClient client(static_cast<std::uint16_t>(std::stoi(address_.substr(address_.rfind(':') + 1))));
  const std::string sql = "SELECT number, number, number FROM numbers(10000000) FORMAT TSV";
  client.send(mp::engine::post("", sql.size()) + sql);
  EXPECT_GT(client.read_to_end(), 230'000'000u);
  EXPECT_LT(resident_kb() - before, 100'000) << "of a result of 236 MB";
}

}  // namespace
}  // namespace mp::engine
