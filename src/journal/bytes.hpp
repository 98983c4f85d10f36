#pragma once
// Little-endian numbers and variable-length integers in byte strings. Pure.

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>

namespace mp::journal {

static_assert(std::endian::native == std::endian::little, "the journal's format is little-endian");

template <class T>
void put_fixed(std::string& out, T value) {
  static_assert(std::is_trivially_copyable_v<T>);
  char bytes[sizeof(T)];
  std::memcpy(bytes, &value, sizeof(T));
  out.append(bytes, sizeof(T));
}

template <class T>
T load_fixed(const char* from) {
  T value;
  std::memcpy(&value, from, sizeof(T));
  return value;
}

inline void put_varint(std::string& out, std::uint64_t value) {
  while (value >= 0x80) {
    out.push_back(static_cast<char>((value & 0x7F) | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<char>(value));
}

constexpr std::uint64_t zigzag(std::int64_t value) {
  return (static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63);
}
constexpr std::int64_t unzigzag(std::uint64_t value) {
  return static_cast<std::int64_t>(value >> 1) ^ -static_cast<std::int64_t>(value & 1);
}

inline void put_text(std::string& out, std::string_view text) {
  put_varint(out, text.size());
  out += text;
}

// Reads from the front of a byte string. After a read that did not fit, ok() is false and every
// further read gives zero or nothing.
class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : left_(bytes) {}

  bool ok() const { return ok_; }
  std::string_view left() const { return left_; }

  template <class T>
  T fixed() {
    if (left_.size() < sizeof(T)) return fail<T>();
    const T value = load_fixed<T>(left_.data());
    left_.remove_prefix(sizeof(T));
    return value;
  }

  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      if (left_.empty()) return fail<std::uint64_t>();
      const auto byte = static_cast<unsigned char>(left_.front());
      left_.remove_prefix(1);
      if (shift == 63 && byte > 1) return fail<std::uint64_t>();
      value |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return value;
    }
    return fail<std::uint64_t>();
  }

  std::string_view bytes(std::uint64_t count) {
    if (!ok_ || count > left_.size()) return fail<std::string_view>();
    const auto taken = left_.substr(0, static_cast<std::size_t>(count));
    left_.remove_prefix(taken.size());
    return taken;
  }

  std::string_view text() { return bytes(varint()); }

 private:
  template <class T>
  T fail() {
    ok_ = false;
    left_ = left_.substr(left_.size());
    return T{};
  }

  std::string_view left_;
  bool ok_ = true;
};

}  // namespace mp::journal
