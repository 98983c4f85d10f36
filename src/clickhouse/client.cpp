#include "clickhouse/client.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/text.hpp"

namespace mp::clickhouse {
namespace {

constexpr std::size_t kMaxText = 600;
constexpr std::string_view kCode = "Code: ";
constexpr std::string_view kMark = "\r\n__exception__\r\n";
// Longer than what a server writes of an error (16 kB) with its marks.
constexpr std::size_t kHeldBack = 20 * 1024;

void append_parameter(std::string& url, std::string_view name, std::string_view value) {
  url += url.find('?') == std::string::npos ? '?' : '&';
  url += net::url_encoded(name);
  url += '=';
  url += net::url_encoded(value);
}

int number_in(std::string_view text) {
  int number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

Answer answer_of(net::HttpResponse response) {
  Answer answer;
  answer.status = response.status;
  if (const auto code = response.header("X-ClickHouse-Exception-Code")) answer.code = number_in(*code);
  // Before 20.x there is no such header; and an error in the middle of an answer stands at its end only.
  const auto exception = answer.status == 200 && answer.code == 0 ? std::nullopt : exception_in(response.body);
  if (exception) {
    if (answer.code == 0) answer.code = exception->code;
    answer.text = shortened(exception->text, kMaxText);
  } else if (answer.status != 200) {
    answer.text = shortened(response.body, kMaxText);
  }
  if (answer.ok()) answer.body = std::move(response.body);
  return answer;
}

// Passes a streamed answer on, all but its end: an error in the middle of it stands there.
class HoldingBack {
 public:
  explicit HoldingBack(const Client::Take& take) : take_(take) {}
  bool add(std::string_view bytes) {
    held_ += bytes;
    if (held_.size() < 4 * kHeldBack) return true;
    const auto ready = std::string_view(held_).substr(0, held_.size() - kHeldBack);
    const bool go_on = take_(ready);
    held_.erase(0, ready.size());
    return go_on;
  }
  std::string_view tail() const { return held_; }
  bool finish(std::size_t size) { return size == 0 || take_(std::string_view(held_).substr(0, size)); }

 private:
  const Client::Take& take_;
  std::string held_;
};

std::string unescaped(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || i + 1 == text.size()) {
      out += text[i];
      continue;
    }
    switch (const char c = text[++i]) {
      case 'n': out += '\n'; break;
      case 't': out += '\t'; break;
      case 'r': out += '\r'; break;
      case '0': out += '\0'; break;
      case 'b': out += '\b'; break;
      case 'f': out += '\f'; break;
      default: out += c;
    }
  }
  return out;
}

}  // namespace

Error Answer::error(std::string where) const {
  const auto seen =
      code != 0 ? fmt::format("code {}: {}", code, text) : fmt::format("HTTP status {}: {}", status, text);
  return {Errc::refused, std::move(where), seen};
}

std::optional<ServerException> exception_in(std::string_view body) {
  const auto at = body.rfind(kCode);
  if (at == std::string_view::npos) return std::nullopt;
  ServerException found;
  found.code = number_in(body.substr(at + kCode.size()));
  if (found.code == 0) return std::nullopt;
  auto text = body.substr(at);
  static constexpr std::string_view kException = "DB::Exception: ";
  if (const auto begin = text.find(kException); begin != std::string_view::npos)
    text.remove_prefix(begin + kException.size());
  text = text.substr(
      0, std::min({text.find("Stack trace"), text.find(", e.what() ="), text.find(" (version "), text.find('\n')}));
  found.text = std::string(text);
  return found;
}

std::optional<TornTail> torn_tail(std::string_view tail, bool connection_broke, bool marks_errors) {
  if (connection_broke) {
    if (const auto mark = tail.find(kMark); mark != std::string_view::npos) {
      const auto found = exception_in(tail.substr(mark));
      return TornTail{mark, found.value_or(ServerException{0, shortened(tail.substr(mark + kMark.size()), kMaxText)})};
    }
  } else if (marks_errors) {
    return std::nullopt;
  }
  // Nothing but the last line, and only of the shape that the server gives it: the data may quote such a text.
  auto line = tail;
  while (line.ends_with('\n')) line.remove_suffix(1);
  const auto begin = line.rfind('\n') + 1;  // npos + 1 is 0
  line.remove_prefix(begin);
  const auto has = [line](std::string_view part) { return line.find(part) != std::string_view::npos; };
  const bool is_exception =
      line.starts_with(kCode) && has("DB::Exception: ") && (has("(version ") || has("e.displayText() ="));
  const auto found = is_exception ? exception_in(line) : std::nullopt;
  if (!found) return std::nullopt;
  return TornTail{begin, *found};
}

std::vector<std::vector<std::string>> parse_tab_separated(std::string_view body) {
  std::vector<std::vector<std::string>> rows;
  while (!body.empty()) {
    const auto end = std::min(body.find('\n'), body.size());
    auto line = body.substr(0, end);
    body.remove_prefix(std::min(end + 1, body.size()));
    auto& row = rows.emplace_back();
    for (;;) {
      const auto tab = line.find('\t');
      row.push_back(unescaped(line.substr(0, tab)));
      if (tab == std::string_view::npos) break;
      line.remove_prefix(tab + 1);
    }
  }
  return rows;
}

std::string sql_text(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') out += '\\';
    out += c;
  }
  return out + "'";
}

Client::Client(ClientOptions options)
    : options_([&] {
        while (options.url.ends_with('/')) options.url.pop_back();
        return std::move(options);
      }()),
      http_({.ca_file = options_.ca_file}) {}

std::string Client::url_of(const Statement& statement, bool sql_in_url) const {
  std::string url = options_.url + "/";
  if (sql_in_url) append_parameter(url, "query", statement.sql);
  if (!statement.session.empty()) append_parameter(url, "session_id", statement.session);
  for (const auto& [name, value] : statement.settings) append_parameter(url, name, value);
  return url;
}

void Client::add_credentials(net::HttpRequest& request) const {
  if (options_.user.empty()) return;
  request.headers.push_back({"X-ClickHouse-User", options_.user});
  request.headers.push_back({"X-ClickHouse-Key", options_.password});
}

Result<Answer> Client::send(net::HttpRequest request, std::stop_token stop) {
  add_credentials(request);
  request.timeouts.connect = options_.connect_timeout;
  auto response = http_.request(request, stop);
  if (!response) return response.error();
  return answer_of(std::move(*response));
}

Result<void> Client::ping(std::stop_token stop) {
  net::HttpRequest request{.url = options_.url + "/ping"};
  request.timeouts.total = options_.connect_timeout;
  const auto answer = send(std::move(request), stop);
  if (!answer) return answer.error();
  if (!answer->ok()) return answer->error("ClickHouse at " + address());
  if (!answer->body.starts_with("Ok."))
    return Error{Errc::conflict, "ClickHouse at " + address(),
                 "answers /ping with '" + shortened(answer->body, 40) + "' instead of 'Ok.'"};
  return {};
}

Result<Answer> Client::query(const Statement& statement, std::stop_token stop) {
  Statement buffered = statement;
  // The whole answer is made before its first byte is sent, so its status tells whether it is whole.
  buffered.settings.emplace_back("wait_end_of_query", "1");
  net::HttpRequest request{.method = "POST", .url = url_of(buffered, false), .body = statement.sql};
  request.timeouts.total = options_.query_timeout;
  return send(std::move(request), stop);
}

Result<Answer> Client::stream(const Statement& statement, const Take& take, std::stop_token stop) {
  Statement plain = statement;
  // A compressed answer that breaks off would take the error's text with it.
  plain.settings.emplace_back("enable_http_compression", "0");
  HoldingBack holding{take};
  net::HttpRequest request{.method = "POST", .url = url_of(plain, false), .body = statement.sql};
  request.timeouts.connect = options_.connect_timeout;
  request.timeouts.total = options_.query_timeout;
  request.take = [&](std::string_view bytes) { return holding.add(bytes); };
  add_credentials(request);
  auto response = http_.request(request, stop);
  if (response && response->status != 200) return answer_of(std::move(*response));
  const bool marks_errors = response && response->header("X-ClickHouse-Exception-Tag").has_value();
  const auto torn = torn_tail(holding.tail(), !response, marks_errors);
  if (!response && !torn) return response.error();
  Answer answer;
  answer.status = 200;
  const bool taken = holding.finish(torn ? torn->data_size : holding.tail().size());
  if (torn) {
    answer.code = torn->exception.code != 0 ? torn->exception.code : 1001;  // STD_EXCEPTION: an error without a number
    answer.text = torn->exception.text;
  } else if (!taken) {
    return Error{Errc::io, "ClickHouse at " + address(), "the answer could not be written on"};
  }
  return answer;
}

Result<Answer> Client::insert(const Statement& statement, std::vector<std::string_view> parts, std::stop_token stop) {
  net::HttpRequest request{.method = "POST", .url = url_of(statement, true), .body_parts = std::move(parts)};
  request.timeouts.total = options_.insert_timeout;
  return send(std::move(request), stop);
}

Result<std::vector<std::vector<std::string>>> Client::rows(const Statement& statement, std::stop_token stop) {
  auto answer = query(statement, stop);
  if (!answer) return answer.error();
  if (!answer->ok()) return answer->error("ClickHouse at " + address());
  return parse_tab_separated(answer->body);
}

}  // namespace mp::clickhouse
