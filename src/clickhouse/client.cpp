#include "clickhouse/client.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/text.hpp"

namespace mp::clickhouse {
namespace {

constexpr std::size_t kMaxText = 600;
constexpr std::string_view kCode = "Code: ";

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

std::string unescaped(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || i + 1 == text.size()) {
      out += text[i];
      continue;
    }
    switch (const char c = text[++i]) {
      case 'n':
        out += '\n';
        break;
      case 't':
        out += '\t';
        break;
      case 'r':
        out += '\r';
        break;
      case '0':
        out += '\0';
        break;
      case 'b':
        out += '\b';
        break;
      case 'f':
        out += '\f';
        break;
      default:
        out += c;
    }
  }
  return out;
}

}  // namespace

Error Answer::error(std::string where) const {
  const auto seen = code != 0 ? fmt::format("code {}: {}", code, text) : fmt::format("HTTP status {}: {}", status, text);
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
  if (const auto begin = text.find(kException); begin != std::string_view::npos) text.remove_prefix(begin + kException.size());
  text = text.substr(0, std::min({text.find("Stack trace"), text.find(", e.what() ="), text.find(" (version "), text.find('\n')}));
  found.text = std::string(text);
  return found;
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

Result<Answer> Client::send(net::HttpRequest request, std::stop_token stop) {
  if (!options_.user.empty()) {
    request.headers.push_back({"X-ClickHouse-User", options_.user});
    request.headers.push_back({"X-ClickHouse-Key", options_.password});
  }
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
    return Error{Errc::conflict, "ClickHouse at " + address(), "answers /ping with '" + shortened(answer->body, 40) + "' instead of 'Ok.'"};
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
