#include "net/proxy.hpp"

#include <arpa/inet.h>
#include <curl/urlapi.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <memory>

#include "base/base64.hpp"
#include "base/text.hpp"

namespace mp::net {
namespace {

constexpr std::size_t kMaxSocksField = 255;  // one byte says the length

std::string lower(std::string_view text) {
  std::string out(text);
  for (auto& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

std::string part(CURLU* url, CURLUPart which, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(url, which, &text, flags) != CURLUE_OK) return {};
  std::string value(text);
  curl_free(text);
  return value;
}

std::string bracketed(const std::string& host) { return host.find(':') == std::string::npos ? host : "[" + host + "]"; }

char byte(std::size_t value) { return static_cast<char>(static_cast<unsigned char>(value)); }
unsigned number(char c) { return static_cast<unsigned char>(c); }

bool is_loopback(const std::string& host) { return host == "localhost" || host == "::1" || host.starts_with("127."); }

bool excepted(const Url& target, std::string_view list) {
  const auto host = lower(target.host);
  while (!list.empty()) {
    const auto end = std::min(list.find_first_of(", "), list.size());
    auto item = lower(list.substr(0, end));
    list.remove_prefix(std::min(end + 1, list.size()));
    if (item.empty()) continue;
    if (item == "*") return true;
    if (const auto colon = item.rfind(':'); colon != std::string::npos && item.find(':') == colon) {
      if (item.substr(colon + 1) != target.port) continue;
      item.resize(colon);
    }
    if (item.starts_with('.')) item.erase(0, 1);
    if (host == item || host.ends_with("." + item)) return true;
  }
  return false;
}

struct Setting {
  const char* name;
  std::string value;
};

std::optional<Setting> first_set(const Variables& variables, std::initializer_list<const char*> names) {
  for (const auto* name : names)
    if (auto value = variables(name); value && !value->empty()) return Setting{name, std::move(*value)};
  return std::nullopt;
}

}  // namespace

std::string Proxy::name() const {
  return fmt::format("{}://{}:{}", kind == Kind::http ? "http" : "socks5", bracketed(host), port);
}

Result<Proxy> parse_proxy(std::string_view text) {
  const auto bad = [](std::string_view why) {
    constexpr std::string_view kExpected = "http://[user:password@]host:port or socks5://[user:password@]host:port";
    return Error{Errc::usage, "proxy", fmt::format("{} (expected {})", why, kExpected)};
  };
  const std::unique_ptr<CURLU, decltype(&curl_url_cleanup)> parsed(curl_url(), curl_url_cleanup);
  const auto whole = text.find("://") == std::string_view::npos ? "http://" + std::string(text) : std::string(text);
  if (!parsed || curl_url_set(parsed.get(), CURLUPART_URL, whole.c_str(), CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK)
    return bad("its address cannot be read");
  Proxy proxy;
  const auto scheme = part(parsed.get(), CURLUPART_SCHEME);
  if (scheme == "http")
    proxy.kind = Proxy::Kind::http;
  else if (scheme == "socks5" || scheme == "socks5h")
    proxy.kind = Proxy::Kind::socks5;
  else
    return bad(fmt::format("'{}' is no kind of proxy that is known", shortened(scheme, 20)));
  proxy.host = part(parsed.get(), CURLUPART_HOST);
  if (proxy.host.size() > 2 && proxy.host.front() == '[') proxy.host = proxy.host.substr(1, proxy.host.size() - 2);
  if (proxy.host.empty()) return bad("its host is missing");
  proxy.port = part(parsed.get(), CURLUPART_PORT);
  if (proxy.port.empty()) proxy.port = "1080";
  proxy.user = part(parsed.get(), CURLUPART_USER, CURLU_URLDECODE);
  proxy.password = part(parsed.get(), CURLUPART_PASSWORD, CURLU_URLDECODE);
  if (proxy.user.size() > kMaxSocksField || proxy.password.size() > kMaxSocksField)
    return bad("its user name or password is longer than 255 bytes");
  return proxy;
}

Variables process_variables() {
  return [](const char* name) -> std::optional<std::string> {
    const char* value = std::getenv(name);
    return value ? std::optional<std::string>(value) : std::nullopt;
  };
}

Result<std::optional<Proxy>> proxy_for(const Url& target, std::string_view configured, const Variables& variables) {
  if (configured == "direct") return std::optional<Proxy>{};
  if (!configured.empty()) {
    auto proxy = parse_proxy(configured);
    if (!proxy) return proxy.error();
    return std::optional<Proxy>{std::move(*proxy)};
  }
  if (is_loopback(target.host)) return std::optional<Proxy>{};
  auto setting = target.is_secure() ? first_set(variables, {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"})
                                    : first_set(variables, {"http_proxy", "all_proxy", "ALL_PROXY"});
  if (!setting) return std::optional<Proxy>{};
  const auto except = first_set(variables, {"no_proxy", "NO_PROXY"});
  if (except && excepted(target, except->value)) return std::optional<Proxy>{};
  auto proxy = parse_proxy(setting->value);
  if (!proxy) return Error{Errc::usage, std::string("environment variable ") + setting->name, proxy.error().text()};
  return std::optional<Proxy>{std::move(*proxy)};
}

// ---- HTTP CONNECT ---------------------------------------------------------------------------------------------

std::string connect_request(const Proxy& proxy, const Url& target, std::string_view user_agent) {
  const auto authority = bracketed(target.host) + ":" + target.port;
  auto text = fmt::format("CONNECT {0} HTTP/1.1\r\nHost: {0}\r\nUser-Agent: {1}\r\n", authority, user_agent);
  if (proxy.has_credentials()) {
    text += "Proxy-Authorization: Basic ";
    append_base64(text, proxy.user + ":" + proxy.password);
    text += "\r\n";
  }
  return text + "\r\n";
}

std::optional<std::string> connect_refusal(std::string_view head) {
  const auto line = head.substr(0, head.find("\r\n"));
  int status = 0;
  if (line.starts_with("HTTP/1.") && line.size() >= 12) std::from_chars(line.data() + 9, line.data() + 12, status);
  if (status >= 200 && status < 300) return std::nullopt;
  if (status == 0) return "answered what is no HTTP/1 answer: " + shortened(line, 60);
  return fmt::format("answered HTTP {}{}", shortened(line.substr(9), 100),
                     status == 407 ? " (user and password of the proxy)" : "");
}

// ---- SOCKS5 ---------------------------------------------------------------------------------------------------

std::string socks5_greeting(const Proxy& proxy) {
  // Version, how many ways to authenticate, and these: 0 none, 2 user and password.
  return proxy.has_credentials() ? std::string("\x05\x02\x00\x02", 4) : std::string("\x05\x01\x00", 3);
}

Result<bool> socks5_wants_password(std::string_view choice) {
  if (choice.size() != 2 || number(choice[0]) != 5)
    return Error{Errc::bad_value, "SOCKS5", "answered what is no SOCKS5"};
  if (number(choice[1]) == 0) return false;
  if (number(choice[1]) == 2) return true;
  return Error{Errc::refused, "SOCKS5", "accepts none of our ways to authenticate (user and password of the proxy)"};
}

std::string socks5_password(const Proxy& proxy) {
  return std::string("\x01") + byte(proxy.user.size()) + proxy.user + byte(proxy.password.size()) + proxy.password;
}

std::optional<std::string> socks5_password_refusal(std::string_view answer) {
  if (answer.size() == 2 && number(answer[1]) == 0) return std::nullopt;
  return "refused user and password";
}

std::string socks5_connect(const Url& target) {
  std::string text("\x05\x01\x00", 3);  // version, connect, reserved
  std::array<char, 16> address{};
  if (::inet_pton(AF_INET, target.host.c_str(), address.data()) == 1) {
    text += '\x01';
    text.append(address.data(), 4);
  } else if (::inet_pton(AF_INET6, target.host.c_str(), address.data()) == 1) {
    text += '\x04';
    text.append(address.data(), 16);
  } else {
    const auto host = std::string_view(target.host).substr(0, kMaxSocksField);
    text += '\x03';
    text += byte(host.size());
    text += host;
  }
  unsigned port = 0;
  std::from_chars(target.port.data(), target.port.data() + target.port.size(), port);
  text += byte(port >> 8);
  text += byte(port & 0xff);
  return text;
}

Result<std::size_t> socks5_rest(std::string_view first_five) {
  static constexpr std::array<const char*, 9> kSaid{"",
                                                    "general failure",
                                                    "connection not allowed by its rules",
                                                    "network unreachable",
                                                    "host unreachable",
                                                    "connection refused",
                                                    "time to live expired",
                                                    "command not supported",
                                                    "kind of address not supported"};
  if (first_five.size() != 5 || number(first_five[0]) != 5)
    return Error{Errc::bad_value, "SOCKS5", "answered what is no SOCKS5"};
  const auto reply = number(first_five[1]);
  if (reply != 0)
    return Error{Errc::refused, "SOCKS5",
                 fmt::format("answered {} ({})", reply, reply < kSaid.size() ? kSaid[reply] : "not a known reply")};
  switch (number(first_five[3])) {
    case 1: return std::size_t{4 + 2 - 1};
    case 3: return std::size_t{number(first_five[4])} + 2;
    case 4: return std::size_t{16 + 2 - 1};
    default: return Error{Errc::bad_value, "SOCKS5", "answered with an address of no known kind"};
  }
}

}  // namespace mp::net
