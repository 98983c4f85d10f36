#pragma once
// ClickHouse by its HTTP interface.

#include <chrono>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "net/http_client.hpp"

namespace mp::clickhouse {

struct ClientOptions {
  std::string url = "http://127.0.0.1:8123";  // a path is kept: "https://gateway/clickhouse"
  std::string user{};                         // "": none is sent, the server takes `default`
  std::string password{};
  std::string ca_file{};
  std::chrono::milliseconds connect_timeout{5'000};
  std::chrono::milliseconds query_timeout{60'000};  // 0: none
  std::chrono::milliseconds insert_timeout{120'000};
};

using Setting = std::pair<std::string, std::string>;

struct Statement {
  std::string sql;
  std::string session{};  // "": none. The server runs one statement of a session at a time, others get code 373
  std::vector<Setting> settings{};
};

// What the server said. Not ok(): it has refused, `code` and `text` say why.
struct Answer {
  int status = 0;    // of HTTP
  int code = 0;      // ClickHouse's exception code; 0 when there is none
  std::string text;  // of the exception, without stack trace
  std::string body;  // of a success

  bool ok() const { return status == 200 && code == 0; }
  // As an Error: "<where>: code 60: Table … doesn't exist".
  Error error(std::string where) const;
};

// One statement at a time over a kept-alive connection. Runs on: one thread.
class Client {
 public:
  explicit Client(ClientOptions options);

  // The server is there and answers; otherwise what was seen instead.
  Result<void> ping(std::stop_token stop = {});
  // An Error means that no whole answer came: the statement may have been carried out or not.
  Result<Answer> query(const Statement& statement, std::stop_token stop = {});
  // As query(), but the answer goes to `take` as it comes, so that it may be of any length, and Answer::body stays
  // empty. What the server could not finish is not ok(), and what was taken is then only a part. `take` says false when
  // it can use no more: the request ends with Errc::io.
  using Take = std::function<bool(std::string_view)>;
  Result<Answer> stream(const Statement& statement, const Take& take, std::stop_token stop = {});
  // `statement.sql` ends with FORMAT …; the data is all parts, one after the other.
  Result<Answer> insert(const Statement& statement, std::vector<std::string_view> parts, std::stop_token stop = {});

  // As query(), with everything but a success as an Error, and the rows of a statement that ends with
  // FORMAT TabSeparated.
  Result<std::vector<std::vector<std::string>>> rows(const Statement& statement, std::stop_token stop = {});

  // The address without credentials, for messages.
  std::string address() const { return net::url_without_secrets(options_.url); }

 private:
  std::string url_of(const Statement& statement, bool sql_in_url) const;
  void add_credentials(net::HttpRequest& request) const;
  Result<Answer> send(net::HttpRequest request, std::stop_token stop);

  const ClientOptions options_;
  net::HttpClient http_;
};

// ---- pure ----

// An exception's code and text out of an answer's body: "Code: 60. DB::Exception: Table … (UNKNOWN_TABLE) (version …)".
// Nothing when it holds none.
struct ServerException {
  int code = 0;
  std::string text;
};
std::optional<ServerException> exception_in(std::string_view body);

// The beginning of a streamed answer's last bytes that is data, when an error stands behind it. A server that marks
// errors (since 24.11) says so in the header X-ClickHouse-Exception-Tag and breaks the connection; an older one only
// writes the text at the end.
struct TornTail {
  std::size_t data_size = 0;
  ServerException exception;
};
std::optional<TornTail> torn_tail(std::string_view tail, bool connection_broke, bool marks_errors);

std::vector<std::vector<std::string>> parse_tab_separated(std::string_view body);

// A string as an SQL literal, quotes included.
std::string sql_text(std::string_view text);

}  // namespace mp::clickhouse
