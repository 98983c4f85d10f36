#pragma once
// Reads RowBinary by the columns' types, for tests: an independent reading of what the encoders wrote.

#include <fmt/format.h>

#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "base/decimal.hpp"
#include "base/time.hpp"
#include "sinks/clickhouse/rows/table.hpp"

namespace mp::sinks::clickhouse::testing {

class RowBinaryReader {
 public:
  explicit RowBinaryReader(std::string_view bytes) : bytes_(bytes) {}
  bool at_end() const { return bytes_.empty(); }

  // column -> value as text
  std::map<std::string, std::string> row(const std::vector<Column>& columns) {
    std::map<std::string, std::string> out;
    for (const auto& column : columns) out[column.name] = value(column.type);
    return out;
  }

 private:
  std::string_view take(std::size_t n) {
    if (bytes_.size() < n) throw std::runtime_error("the row ends too early");
    const auto taken = bytes_.substr(0, n);
    bytes_.remove_prefix(n);
    return taken;
  }
  template <class Number>
  Number number() {
    Number out = 0;
    int shift = 0;
    for (const char c : take(sizeof(Number))) {
      out |= static_cast<Number>(static_cast<unsigned char>(c)) << shift;
      shift += 8;
    }
    return out;
  }
  std::size_t varint() {
    std::size_t out = 0;
    for (int shift = 0;; shift += 7) {
      const auto byte = number<std::uint8_t>();
      out |= static_cast<std::size_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return out;
    }
  }
  std::string decimal(int scale) { return Decimal::from_parts(static_cast<int128>(number<uint128>()), scale).text(); }

  std::string value(std::string_view type) {
    if (type.starts_with("Nullable(")) {
      if (number<std::uint8_t>() == 1) return "NULL";
      return value(type.substr(9, type.size() - 10));
    }
    if (type == "String" || type == "LowCardinality(String)") return std::string(take(varint()));
    if (type == "UInt32") return std::to_string(number<std::uint32_t>());
    if (type == "UInt64") return std::to_string(number<std::uint64_t>());
    if (type == "Bool") return number<std::uint8_t>() != 0 ? "true" : "false";
    if (type == "DateTime64(9, 'UTC')") return iso(wall_from_nanos(static_cast<std::int64_t>(number<std::uint64_t>())));
    if (type == "Decimal(38, 12)") return decimal(12);
    if (type == "Decimal(38, 18)") return decimal(18);
    if (type == kLevels) {
      std::string out;
      for (auto n = varint(); n > 0; --n) {
        const auto price = decimal(12);
        out += fmt::format("({},{})", price, decimal(12));
      }
      return out;
    }
    throw std::runtime_error(fmt::format("no column type {}", type));
  }

  std::string_view bytes_;
};

}  // namespace mp::sinks::clickhouse::testing
