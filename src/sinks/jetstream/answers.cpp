#include "sinks/jetstream/answers.hpp"

#include <charconv>

namespace mp::jetstream {
namespace {

// A walk over one JSON object that reports its members, nested ones with a path ("error.err_code"). Answers are
// a hundred bytes and come by the hundred thousand: this reads them without allocating.
class Walker {
 public:
  explicit Walker(std::string_view text) : at_(text.data()), end_(text.data() + text.size()) {}

  template <class Take>  // take(in_error, key, raw value)
  bool object(bool in_error, Take& take, int depth = 0) {
    if (depth > 4 || !eat('{')) return false;
    if (eat('}')) return true;
    do {
      std::string_view key;
      if (!string(key) || !eat(':')) return false;
      blank();
      if (at_ < end_ && *at_ == '{') {
        if (!object(in_error || key == "error", take, depth + 1)) return false;
        if (key == "error") take(true, std::string_view{}, std::string_view{});
      } else {
        std::string_view value;
        if (!scalar(value)) return false;
        take(in_error, key, value);
      }
    } while (eat(','));
    return eat('}');
  }

 private:
  void blank() {
    while (at_ < end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\t' || *at_ == '\r')) ++at_;
  }
  bool eat(char c) {
    blank();
    if (at_ == end_ || *at_ != c) return false;
    ++at_;
    return true;
  }
  bool string(std::string_view& out) {
    if (!eat('"')) return false;
    const char* const begin = at_;
    while (at_ < end_ && *at_ != '"') at_ += *at_ == '\\' ? 2 : 1;
    if (at_ >= end_) return false;
    out = std::string_view(begin, static_cast<std::size_t>(at_ - begin));
    ++at_;
    return true;
  }
  bool scalar(std::string_view& out) {
    blank();
    if (at_ < end_ && *at_ == '"') return string(out);
    const char* const begin = at_;
    while (at_ < end_ && *at_ != ',' && *at_ != '}' && *at_ != '{' && *at_ != '[') ++at_;
    out = std::string_view(begin, static_cast<std::size_t>(at_ - begin));
    return !out.empty();
  }

  const char* at_;
  const char* end_;
};

std::uint64_t number(std::string_view text) {
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

struct Members {
  std::string_view type, batch, description;
  std::uint64_t sequence = 0, messages = 0, count = 0, code = 0, error_code = 0;
  bool duplicate = false, has_error = false, has_stream = false, has_batch = false;

  void operator()(bool in_error, std::string_view key, std::string_view value) {
    if (in_error) {
      has_error = true;
      if (key == "err_code") error_code = number(value);
      if (key == "code") code = number(value);
      if (key == "description") description = value;
      return;
    }
    if (key == "type") type = value;
    if (key == "seq") sequence = number(value);
    if (key == "msgs") messages = number(value);
    if (key == "count") count = number(value);
    if (key == "duplicate") duplicate = value.starts_with("true");
    if (key == "stream") has_stream = true;
    if (key == "batch") has_batch = true;
  }
};

Answer::Kind kind_of(const Members& m) {
  if (m.type == "ack") return Answer::Kind::batch_ack;
  if (m.type == "gap") return Answer::Kind::batch_gap;
  if (m.type == "err") return Answer::Kind::batch_error;
  if (m.has_error) return Answer::Kind::error;
  if (m.has_batch) return Answer::Kind::batch_end;
  if (m.has_stream && m.sequence > 0) return Answer::Kind::stored;
  return Answer::Kind::unreadable;
}

}  // namespace

Answer read_answer(std::string_view json) {
  Members members;
  Answer out;
  if (!Walker(json).object(false, members)) {
    out.text = "not understood: " + std::string(json.substr(0, 200));
    return out;
  }
  out.kind = kind_of(members);
  out.sequence = members.sequence;
  out.per_ack = members.messages;
  out.count = members.count;
  out.duplicate = members.duplicate;
  out.code = static_cast<int>(members.error_code != 0 ? members.error_code : members.code);
  out.text = members.description;
  if (out.kind == Answer::Kind::unreadable) out.text = "not understood: " + std::string(json.substr(0, 200));
  return out;
}

}  // namespace mp::jetstream
