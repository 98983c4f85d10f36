#include "sinks/clickhouse/rows/row_writer.hpp"

#include <fmt/format.h>

namespace mp::sinks::clickhouse {

void RowWriter::varint(std::uint64_t value) {
  while (value >= 0x80) {
    out_ += static_cast<char>((value & 0x7f) | 0x80);
    value >>= 7;
  }
  out_ += static_cast<char>(value);
}

void RowWriter::text(std::string_view value) {
  varint(value.size());
  out_ += value;
}

void RowWriter::decimal(const Decimal& value, int scale, const char* column) {
  const auto scaled = value.scaled_to(scale);
  if (!scaled && !failure_)
    failure_ =
        Error{Errc::out_of_range, column, fmt::format("{} does not fit Decimal(38, {}) exactly", value.text(), scale)};
  const auto bits = static_cast<uint128>(scaled.value_or(0));
  little_endian(static_cast<std::uint64_t>(bits));
  little_endian(static_cast<std::uint64_t>(bits >> 64));
}

void RowWriter::levels(const std::vector<BookLevel>& levels, const char* column) {
  varint(levels.size());
  for (const auto& level : levels) {
    money(level.price.value, column);
    money(level.quantity.value, column);
  }
}

Result<void> RowWriter::finish() {
  if (!failure_) return {};
  out_.resize(start_);
  return *failure_;
}

}  // namespace mp::sinks::clickhouse
