#include "sim/okx/request.hpp"

#include <algorithm>

#include <simdjson.h>

namespace mp::sim::okx {
namespace {

bool read_argument(const simdjson::dom::element& element, Argument& argument) {
  simdjson::dom::object object;
  if (element.get_object().get(object) != simdjson::SUCCESS) return false;
  for (const auto field : object) {
    std::string_view value;
    if (field.value.get_string().get(value) != simdjson::SUCCESS) return false;
    if (field.key == "channel") argument.channel = value;
    if (field.key == "instId") argument.inst_id = value;
    if (field.key == "instType") argument.inst_type = value;
    if (field.key == "instFamily") argument.inst_family = value;
  }
  argument.text = simdjson::minify(element);
  return !argument.channel.empty();
}

bool is_id(std::string_view id) {
  return id.size() <= 32 && std::all_of(id.begin(), id.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
         });
}

}  // namespace

bool parse_request(std::string_view frame, Request& request) {
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  if (parser.parse(simdjson::padded_string(frame)).get(root) != simdjson::SUCCESS) return false;
  std::string_view text;
  if (root["id"].get_string().get(text) == simdjson::SUCCESS) {
    if (!is_id(text)) return false;
    request.id = text;
  }
  if (root["op"].get_string().get(text) != simdjson::SUCCESS) return false;
  request.op = text;
  simdjson::dom::array arguments;
  if (root["args"].get_array().get(arguments) != simdjson::SUCCESS || arguments.size() == 0) return false;
  for (const auto element : arguments) {
    Argument argument;
    if (!read_argument(element, argument)) return false;
    request.arguments.push_back(std::move(argument));
  }
  return true;
}

}  // namespace mp::sim::okx
