#pragma once
// Private to this folder: one request to $JS.API.* and its JSON answer.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "base/text.hpp"
#include "base/time.hpp"
#include "nats/connection.hpp"

namespace mp::nats {

// A parsed answer; fields are named by JSON pointers ("/state/last_seq") and read as zero, "" or the given
// value when they are absent or of another type.
class JsonAnswer {
 public:
  explicit JsonAnswer(std::string_view json);
  bool valid() const;
  bool has(std::string_view pointer) const;
  std::uint64_t u64(std::string_view pointer) const;
  std::int64_t i64(std::string_view pointer, std::int64_t otherwise = 0) const;
  bool flag(std::string_view pointer) const;
  std::string text(std::string_view pointer) const;
  std::vector<std::string> texts(std::string_view pointer) const;
  WallTime time(std::string_view pointer) const;

 private:
  struct Document;
  std::shared_ptr<Document> document_;
};

// {"error":{"code":404,"err_code":10059,"description":"stream not found"}} as an Error.
Error server_error(std::string where, std::int64_t code, std::string_view description);
Result<JsonAnswer> parse_answer(std::string_view where, std::string_view json);
Result<JsonAnswer> api_request(Connection& connection, const std::string& subject, std::string_view body,
                               milliseconds timeout);

inline void append_field(std::string& out, std::string_view key, std::string_view text) {
  if (out.back() != '{') out += ',';
  append_json_string(out, key);
  out += ':';
  append_json_string(out, text);
}
inline void append_raw_field(std::string& out, std::string_view key, std::string_view json) {
  if (out.back() != '{') out += ',';
  append_json_string(out, key);
  out += ':';
  out += json;
}
std::string json_array(const std::vector<std::string>& texts);

}  // namespace mp::nats
