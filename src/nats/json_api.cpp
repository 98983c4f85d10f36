#include "nats/json_api.hpp"

#include <simdjson.h>

namespace mp::nats {

struct JsonAnswer::Document {
  simdjson::dom::parser parser;
  simdjson::dom::element root;  // points into the parser
  bool valid = false;

  template <class T>
  T at(std::string_view pointer, T otherwise) const {
    T value{};
    return valid && root.at_pointer(pointer).get(value) == simdjson::SUCCESS ? value : otherwise;
  }
};

JsonAnswer::JsonAnswer(std::string_view json) : document_(std::make_shared<Document>()) {
  document_->valid = document_->parser.parse(json.data(), json.size()).get(document_->root) == simdjson::SUCCESS;
}

bool JsonAnswer::valid() const { return document_->valid; }
bool JsonAnswer::has(std::string_view pointer) const {
  return document_->valid && document_->root.at_pointer(pointer).error() == simdjson::SUCCESS;
}
std::uint64_t JsonAnswer::u64(std::string_view pointer) const { return document_->at<std::uint64_t>(pointer, 0); }
std::int64_t JsonAnswer::i64(std::string_view pointer, std::int64_t otherwise) const {
  return document_->at(pointer, otherwise);
}
bool JsonAnswer::flag(std::string_view pointer) const { return document_->at(pointer, false); }
std::string JsonAnswer::text(std::string_view pointer) const {
  return std::string(document_->at<std::string_view>(pointer, ""));
}

std::vector<std::string> JsonAnswer::texts(std::string_view pointer) const {
  std::vector<std::string> out;
  simdjson::dom::array array;
  if (!document_->valid || document_->root.at_pointer(pointer).get(array) != simdjson::SUCCESS) return out;
  for (simdjson::dom::element element : array) {
    std::string_view text;
    if (element.get(text) == simdjson::SUCCESS) out.emplace_back(text);
  }
  return out;
}

WallTime JsonAnswer::time(std::string_view pointer) const {
  const auto parsed = parse_iso(text(pointer));
  return parsed ? *parsed : WallTime{};  // the zero time of an empty stream is before our range
}

Error server_error(std::string where, std::int64_t code, std::string_view description) {
  Errc errc = Errc::refused;
  if (code == 10071 || code == 10164) errc = Errc::conflict;                                   // wrong last sequence
  if (code == 503 || code == 408 || code == 10008 || code == 10077) errc = Errc::unavailable;  // no leader now, full
  return Error{errc, std::move(where), "NATS error " + std::to_string(code) + ": " + std::string(description)};
}

Result<JsonAnswer> parse_answer(std::string_view where, std::string_view json) {
  JsonAnswer answer(json);
  if (!answer.valid()) return Error{Errc::not_json, std::string(where), shortened(json)};
  if (answer.has("/error")) {
    std::int64_t code = answer.i64("/error/err_code");
    if (code == 0) code = answer.i64("/error/code");
    return server_error(std::string(where), code, answer.text("/error/description"));
  }
  return answer;
}

Result<JsonAnswer> api_request(Connection& connection, const std::string& subject, std::string_view body,
                               milliseconds timeout) {
  auto answer = connection.request(subject, body, timeout);
  if (!answer) return answer.error();
  return parse_answer(subject, answer->payload);
}

std::string json_array(const std::vector<std::string>& texts) {
  std::string out = "[";
  for (const std::string& text : texts) {
    if (out.size() > 1) out += ',';
    append_json_string(out, text);
  }
  return out + "]";
}

}  // namespace mp::nats
