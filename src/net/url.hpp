#pragma once
// The parts of an address that a client needs.

#include <string>

#include "base/result.hpp"

namespace mp::net {

struct Url {
  std::string scheme;  // ws, wss, http, https
  std::string host;    // without the brackets of an IPv6 address
  std::string port;    // as given, or the scheme's
  std::string target;  // path and query, at least "/"
  bool is_secure() const { return scheme == "wss" || scheme == "https"; }
};

// Errc::usage naming the text when it is not an absolute URL of one of the schemes above.
Result<Url> parse_url(std::string_view text);

}  // namespace mp::net
