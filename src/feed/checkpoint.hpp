#pragma once
// A session's saved state: a small binary form, versioned, whose every prefix and every damage of a length is
// refused (the journal's own checksum protects the bytes; this protects the reader).

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/decimal.hpp"
#include "base/time.hpp"
#include "model/event.hpp"
#include "model/order_book.hpp"

namespace mp {

// Appends to a string: header (name, version, length), then what is put.
class StateWriter {
 public:
  // `kind` names what is saved ("binance"), `version` its layout.
  StateWriter(std::string& out, std::string_view kind, std::uint32_t version);
  ~StateWriter();  // fills the length in
  StateWriter(const StateWriter&) = delete;
  StateWriter& operator=(const StateWriter&) = delete;

  void put(std::uint64_t value);
  void put(bool value) { out_.push_back(value ? '\1' : '\0'); }
  void put(std::string_view text);
  void put(const char*) = delete;  // would be taken for a bool
  void put(WallTime t) { put_signed(nanos_since_epoch(t)); }
  void put(const Decimal& value);
  void put(const BookLevel& level);
  void put(const std::vector<BookLevel>& levels);
  void put_signed(std::int64_t value);
  template <class T>
  void put(const std::optional<T>& value) {
    put(value.has_value());
    if (value) put(*value);
  }
  template <class E>
  requires std::is_enum_v<E>
  void put(E value) { put(static_cast<std::uint64_t>(value)); }

 private:
  std::string& out_;
  std::size_t length_at_;
};

// Reads it back. After the first failure every get() gives nothing useful and ok() stays false: check at the end.
class StateReader {
 public:
  StateReader(std::string_view saved, std::string_view kind, std::uint32_t version);

  bool ok() const { return error_.empty(); }
  // ok and everything has been read.
  Result<void> finish() const;
  void fail(std::string what);

  std::uint64_t number();
  std::int64_t signed_number();
  bool flag();
  std::string text();
  WallTime time() { return wall_from_nanos(signed_number()); }
  Decimal decimal();
  BookLevel level();
  std::vector<BookLevel> levels();
  // A count of things that take at least `least_bytes` each: more than the rest can hold is refused, so that a
  // damaged count never becomes memory.
  std::size_t count(std::size_t least_bytes = 1);
  template <class T, class F>
  std::optional<T> optional(F get) {
    if (!flag()) return std::nullopt;
    return std::optional<T>{get()};
  }
  // A value of a closed set with `size` members.
  template <class E>
  E choice(std::uint64_t size) {
    const auto value = number();
    if (value >= size) fail("value of a closed set");
    return ok() ? static_cast<E>(value) : E{};
  }

 private:
  std::string_view rest_;
  std::string error_;
};

}  // namespace mp
