#pragma once
// Proxies: which one leads to an address, and the bytes that are said to it. HTTP CONNECT (RFC 9110 9.3.6) and SOCKS5
// (RFC 1928, user and password by RFC 1929). The proxy looks the target's name up, with both.
//
// Pure but for process_variables(). User and password stand in no message.

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "net/url.hpp"

namespace mp::net {

struct Proxy {
  enum class Kind { http, socks5 };
  Kind kind{};
  std::string host;  // without the brackets of an IPv6 address
  std::string port;
  std::string user;  // "" with an empty password: none
  std::string password;

  bool has_credentials() const { return !user.empty() || !password.empty(); }
  std::string name() const;  // "http://host:port": for messages, without credentials
};

// "http://[user:password@]host[:port]", or socks5:// or socks5h:// (the same here); user and password percent-encoded.
// Without port 1080, as curl has it; without scheme http. Errc::usage naming what is wrong, never the credentials.
Result<Proxy> parse_proxy(std::string_view text);

// Gives a variable of the environment, nothing when it is not set.
using Variables = std::function<std::optional<std::string>(const char* name)>;
Variables process_variables();

// The proxy that leads to `target`; nothing: it is reached directly.
// `configured`: a proxy's address, for every target; "direct": none; "": the environment decides as it does for curl:
// https_proxy or HTTPS_PROXY for https and wss, http_proxy (lower case only: a CGI server would set the other from a
// request) for http and ws, else all_proxy or ALL_PROXY; but not for hosts of no_proxy or NO_PROXY (comma separated:
// "host", which covers its subdomains, ".domain", "host:port", "*") nor for this machine's loopback.
// Errc::usage when the proxy's address cannot be read; the message names the variable.
Result<std::optional<Proxy>> proxy_for(const Url& target, std::string_view configured, const Variables& variables);

// ---- what is said ---------------------------------------------------------------------------------------------

std::string connect_request(const Proxy& proxy, const Url& target, std::string_view user_agent);
// `head`: everything up to and with the empty line. Nothing when the tunnel is open, else what the proxy said.
std::optional<std::string> connect_refusal(std::string_view head);

inline constexpr std::size_t kMaxConnectHead = 16 * 1024;

std::string socks5_greeting(const Proxy& proxy);
// The proxy's choice of two bytes: whether user and password are asked for. Errc::refused when none is acceptable.
Result<bool> socks5_wants_password(std::string_view choice);
std::string socks5_password(const Proxy& proxy);
std::optional<std::string> socks5_password_refusal(std::string_view answer);  // two bytes
std::string socks5_connect(const Url& target);
// Of the first five bytes of the answer: how many follow, or what the proxy said.
Result<std::size_t> socks5_rest(std::string_view first_five);

}  // namespace mp::net
