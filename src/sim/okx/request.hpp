#pragma once
// What a websocket client asks: {"id":"a1","op":"subscribe","args":[{"channel":"books","instId":"BTC-USDT"}]}

#include <string>
#include <string_view>
#include <vector>

namespace mp::sim::okx {

struct Argument {
  std::string channel, inst_id, inst_type, inst_family;
  std::string text;  // as it came, to be given back
};

struct Request {
  std::string id;  // "" when there was none
  std::string op;
  std::vector<Argument> arguments;
};

// False when the frame is no such request; the id is filled if one could be read.
bool parse_request(std::string_view frame, Request& request);

}  // namespace mp::sim::okx
