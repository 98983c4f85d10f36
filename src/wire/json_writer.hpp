#pragma once
// Writes one flat JSON object, key by key. Internal to wire.

#include <charconv>
#include <optional>
#include <string>
#include <string_view>

#include "base/text.hpp"
#include "model/market_event.hpp"

namespace mp::wire {

class JsonWriter {
 public:
  explicit JsonWriter(std::string& out) : out_(out) { out_.push_back('{'); }
  JsonWriter(const JsonWriter&) = delete;
  JsonWriter& operator=(const JsonWriter&) = delete;
  ~JsonWriter() { out_.push_back('}'); }

  void text(std::string_view key, std::string_view value) {
    begin(key);
    append_json_string(out_, value);
  }
  void text_if(std::string_view key, const std::optional<std::string>& value) {
    if (value) text(key, *value);
  }
  void decimal(std::string_view key, const Decimal& value) {
    begin(key);
    quoted(value);
  }
  template <class Tag>
  void decimal(std::string_view key, const Exact<Tag>& value) {
    decimal(key, value.value);
  }
  template <class T>
  void decimal(std::string_view key, const std::optional<T>& value) {
    if (value) decimal(key, *value);
  }
  void time(std::string_view key, WallTime value) {
    begin(key);
    out_.push_back('"');
    append_iso(out_, value);
    out_.push_back('"');
  }
  void time(std::string_view key, const std::optional<WallTime>& value) {
    if (value) time(key, *value);
  }
  void number(std::string_view key, std::uint64_t value) {
    begin(key);
    char digits[24];
    const auto [end, error] = std::to_chars(digits, digits + sizeof digits, value);
    out_.append(digits, end);
  }
  void number(std::string_view key, const std::optional<std::uint64_t>& value) {
    if (value) number(key, *value);
  }
  void boolean(std::string_view key, bool value) {
    begin(key);
    out_ += value ? "true" : "false";
  }
  // "base" is what an absent quantity_unit means.
  void unit(QuantityUnit value) {
    if (value != QuantityUnit::base) text("quantity_unit", to_string(value));
  }
  void levels(std::string_view key, const std::vector<BookLevel>& levels) {
    begin(key);
    out_.push_back('[');
    for (const auto& level : levels) {
      if (out_.back() != '[') out_.push_back(',');
      out_.push_back('[');
      quoted(level.price.value);
      out_.push_back(',');
      quoted(level.quantity.value);
      out_.push_back(']');
    }
    out_.push_back(']');
  }

 private:
  void begin(std::string_view key) {
    if (out_.back() != '{') out_.push_back(',');
    out_.push_back('"');
    out_ += key;
    out_ += "\":";
  }
  void quoted(const Decimal& value) {
    out_.push_back('"');
    value.append_to(out_);
    out_.push_back('"');
  }
  std::string& out_;
};

}  // namespace mp::wire
