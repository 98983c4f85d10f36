#pragma once
// What a websocket client asks, and the forms of our answers.

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "sim/binance/streams.hpp"

namespace mp::sim::binance {

enum class Method : std::uint8_t { subscribe, unsubscribe, list, set_property, get_property };

struct Request {
  Method method{};
  std::string id = "null";           // as JSON, to be given back
  std::vector<std::string> streams;  // of subscribe and unsubscribe
  bool combined = false;             // of set_property
};

// The venue's words for what is wrong: code and message, and the id if one could be read.
struct RequestError {
  int code = 0;
  std::string message;
  std::string id = "null";
};

// Decodes one text frame. On failure `error` is filled and false returned.
bool parse_request(Section section, std::string_view frame, Request& request, RequestError& error);

// {"result":null,"id":7} and its kin; `result` is JSON.
std::string answer_text(std::string_view result, std::string_view id);
// Spot writes the error flat, USD-M wraps it.
std::string error_text(Section section, const RequestError& error);

}  // namespace mp::sim::binance
