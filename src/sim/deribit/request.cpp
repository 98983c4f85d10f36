#include "sim/deribit/request.hpp"

#include <simdjson.h>

namespace mp::sim::deribit {
namespace dom = simdjson::dom;

int parse_request(std::string_view frame, Request& request) {
  dom::parser parser;
  dom::element root;
  if (parser.parse(simdjson::padded_string(frame)).get(root) != simdjson::SUCCESS) return -32700;
  dom::element id;
  if (root["id"].get(id) == simdjson::SUCCESS) request.id = simdjson::minify(id);
  std::string_view text;
  if (root["jsonrpc"].get_string().get(text) != simdjson::SUCCESS || text != "2.0") return -32600;
  if (root["method"].get_string().get(text) != simdjson::SUCCESS) return -32600;
  request.method = text;
  dom::object params;
  if (root["params"].get_object().get(params) != simdjson::SUCCESS) return 0;
  for (const auto field : params) {
    dom::array list;
    if (field.key == "channels" && field.value.get_array().get(list) == simdjson::SUCCESS) {
      for (const auto name : list)
        if (name.get_string().get(text) == simdjson::SUCCESS) request.channels.emplace_back(text);
    } else if (field.value.get_string().get(text) == simdjson::SUCCESS) {
      request.params.emplace(field.key, text);
    } else {
      request.params.emplace(field.key, simdjson::minify(field.value));
    }
  }
  return 0;
}

}  // namespace mp::sim::deribit
