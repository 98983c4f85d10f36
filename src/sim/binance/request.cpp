#include "sim/binance/request.hpp"

#include <simdjson.h>

#include <algorithm>

#include "base/text.hpp"

namespace mp::sim::binance {
namespace {

namespace dom = simdjson::dom;

bool fail(RequestError& error, int code, std::string message) {
  error.code = code;
  error.message = std::move(message);
  return false;
}

bool is_alphanumeric(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
  });
}

// Spot: an integer, a short alphanumeric string or null (or nothing). USD-M: an unsigned integer.
bool read_id(Section section, const dom::element& root, std::string& id) {
  dom::element value;
  if (root["id"].get(value) != simdjson::SUCCESS) return section == Section::spot;
  if (value.is_uint64()) {
    id = std::to_string(std::uint64_t{value});
    return true;
  }
  if (section == Section::usdm) return false;
  if (value.is_null()) return true;
  if (value.is_int64()) {
    id = std::to_string(std::int64_t{value});
    return true;
  }
  std::string_view text;
  if (value.get(text) != simdjson::SUCCESS || text.size() > 36 || !is_alphanumeric(text)) return false;
  id.clear();
  append_json_string(id, text);
  return true;
}

bool read_method(const dom::element& root, Method& method) {
  std::string_view name;
  if (root["method"].get(name) != simdjson::SUCCESS) return false;
  constexpr std::pair<std::string_view, Method> kMethods[] = {{"SUBSCRIBE", Method::subscribe},
                                                              {"UNSUBSCRIBE", Method::unsubscribe},
                                                              {"LIST_SUBSCRIPTIONS", Method::list},
                                                              {"SET_PROPERTY", Method::set_property},
                                                              {"GET_PROPERTY", Method::get_property}};
  for (const auto& [text, value] : kMethods)
    if (text == name) {
      method = value;
      return true;
    }
  return false;
}

bool read_streams(const dom::element& root, Request& request, RequestError& error) {
  dom::array params;
  if (root["params"].get(params) != simdjson::SUCCESS)
    return fail(error, 2, "Invalid request: params must be an array of stream names");
  for (const auto item : params) {
    std::string_view name;
    if (item.get(name) != simdjson::SUCCESS)
      return fail(error, 2, "Invalid request: params must be an array of stream names");
    request.streams.emplace_back(name);
  }
  if (request.streams.empty()) return fail(error, 2, "Invalid request: params is empty");
  return true;
}

// The only property is `combined`.
bool read_property(const dom::element& root, Request& request, RequestError& error) {
  dom::array params;
  std::string_view name;
  if (root["params"].get(params) != simdjson::SUCCESS || params.at(0).get(name) != simdjson::SUCCESS ||
      name != "combined")
    return fail(error, 0, "Unknown property");
  if (request.method == Method::get_property) return true;
  if (params.at(1).get(request.combined) != simdjson::SUCCESS)
    return fail(error, 1, "Invalid value type: expected Boolean");
  return true;
}

}  // namespace

bool parse_request(Section section, std::string_view frame, Request& request, RequestError& error) {
  thread_local dom::parser parser;
  dom::element root;
  const simdjson::padded_string text(frame);
  const auto status = parser.parse(text).get(root);
  if (status != simdjson::SUCCESS)
    return fail(error, 3, std::string("Invalid JSON: ") + simdjson::error_message(status));
  if (!root.is_object()) return fail(error, 3, "Invalid JSON: expected an object");
  if (!read_id(section, root, request.id)) return fail(error, 2, "Invalid request: request ID is not valid");
  error.id = request.id;
  if (!read_method(root, request.method)) return fail(error, 2, "Invalid request: unknown method");
  switch (request.method) {
    case Method::subscribe:
    case Method::unsubscribe: return read_streams(root, request, error);
    case Method::list: return true;
    case Method::set_property:
    case Method::get_property: return read_property(root, request, error);
  }
  return false;
}

std::string answer_text(std::string_view result, std::string_view id) {
  return "{\"result\":" + std::string(result) + ",\"id\":" + std::string(id) + "}";
}

std::string error_text(Section section, const RequestError& error) {
  std::string flat = "{\"code\":" + std::to_string(error.code) + ",\"msg\":";
  append_json_string(flat, error.message);
  if (section == Section::spot) return flat + ",\"id\":" + error.id + "}";
  return "{\"error\":" + flat + "},\"id\":" + error.id + "}";
}

}  // namespace mp::sim::binance
