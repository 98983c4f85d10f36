#pragma once
// Values as ClickHouse's RowBinary wants them. https://clickhouse.com/docs/interfaces/formats/RowBinary (checked
// 2026-11-23)

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/decimal.hpp"
#include "base/time.hpp"
#include "model/order_book.hpp"

namespace mp::sinks::clickhouse {

// Decimal(38, 12): prices and quantities. Decimal(38, 18): rates and ratios.
inline constexpr int kMoneyScale = 12;
inline constexpr int kRatioScale = 18;

// Appends one row to a buffer. A value that does not fit its column exactly makes the whole row fail: nothing is
// ever rounded. After the last value, finish() says what failed first and takes a failed row away again.
class RowWriter {
 public:
  explicit RowWriter(std::string& out) : out_(out), start_(out.size()) {}

  void text(std::string_view value);
  void u32(std::uint32_t value) { little_endian(value); }
  void u64(std::uint64_t value) { little_endian(value); }
  void boolean(bool value) { out_ += value ? '\1' : '\0'; }
  void time(WallTime value) { little_endian(static_cast<std::uint64_t>(nanos_since_epoch(value))); }
  void money(const Decimal& value, const char* column) { decimal(value, kMoneyScale, column); }
  void ratio(const Decimal& value, const char* column) { decimal(value, kRatioScale, column); }
  void levels(const std::vector<BookLevel>& levels, const char* column);

  // Nullable columns.
  void optional_u64(const std::optional<std::uint64_t>& value) {
    if (mark(value.has_value())) u64(*value);
  }
  void optional_time(const std::optional<WallTime>& value) {
    if (mark(value.has_value())) time(*value);
  }
  void optional_money(const std::optional<Decimal>& value, const char* column) {
    if (mark(value.has_value())) money(*value, column);
  }
  template <class Tag>
  void optional_money(const std::optional<Exact<Tag>>& value, const char* column) {
    if (mark(value.has_value())) money(value->value, column);
  }
  template <class Tag>
  void optional_ratio(const std::optional<Exact<Tag>>& value, const char* column) {
    if (mark(value.has_value())) ratio(value->value, column);
  }

  [[nodiscard]] Result<void> finish();

 private:
  template <class Unsigned>
  void little_endian(Unsigned value) {
    for (std::size_t i = 0; i < sizeof value; ++i) out_ += static_cast<char>((value >> (8 * i)) & 0xff);
  }
  void varint(std::uint64_t value);
  void decimal(const Decimal& value, int scale, const char* column);
  bool mark(bool present) {
    out_ += present ? '\0' : '\1';
    return present;
  }

  std::string& out_;
  const std::size_t start_;
  std::optional<Error> failure_;
};

}  // namespace mp::sinks::clickhouse
