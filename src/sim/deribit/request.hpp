#pragma once
// JSON-RPC requests, from a websocket frame or from a GET's query.

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace mp::sim::deribit {

struct Request {
  std::string id;                                          // as JSON; "" when there was none
  std::string method;                                      // "public/subscribe"
  std::map<std::string, std::string, std::less<>> params;  // texts and numbers as text, others left out
  std::vector<std::string> channels;

  // "" when it was not sent.
  std::string_view param(std::string_view name) const {
    const auto found = params.find(name);
    return found == params.end() ? std::string_view{} : found->second;
  }
};

// 0, or the error's code: -32700 (no JSON), -32600 (no request).
int parse_request(std::string_view frame, Request& request);

}  // namespace mp::sim::deribit
