#include "feed/checkpoint.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace mp {
namespace {

constexpr std::string_view kMagic = "MPst";
constexpr std::size_t kLengthBytes = 8;

}  // namespace

StateWriter::StateWriter(std::string& out, std::string_view kind, std::uint32_t version) : out_(out) {
  out_.append(kMagic);
  put(kind);
  put(std::uint64_t{version});
  length_at_ = out_.size();
  out_.append(kLengthBytes, '\0');
}

StateWriter::~StateWriter() {
  std::uint64_t length = out_.size() - length_at_ - kLengthBytes;
  for (std::size_t i = 0; i < kLengthBytes; ++i, length >>= 8) out_[length_at_ + i] = static_cast<char>(length & 0xff);
}

void StateWriter::put(std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) out_.push_back(static_cast<char>((value & 0x7f) | 0x80));
  out_.push_back(static_cast<char>(value));
}

void StateWriter::put_signed(std::int64_t value) {
  const auto bits = static_cast<std::uint64_t>(value);
  put((bits << 1) ^ (value < 0 ? ~std::uint64_t{0} : 0));
}

void StateWriter::put(std::string_view text) {
  put(std::uint64_t{text.size()});
  out_.append(text);
}

void StateWriter::put(const Decimal& value) {
  const auto mantissa = value.mantissa();
  put(value.is_negative());
  const auto size = static_cast<uint128>(mantissa < 0 ? -mantissa : mantissa);
  put(static_cast<std::uint64_t>(size));
  put(static_cast<std::uint64_t>(size >> 64));
  put(static_cast<std::uint64_t>(value.scale()));
}

void StateWriter::put(const BookLevel& level) {
  put(level.price.value);
  put(level.quantity.value);
}

void StateWriter::put(const std::vector<BookLevel>& levels) {
  put(std::uint64_t{levels.size()});
  for (const auto& level : levels) put(level);
}

StateReader::StateReader(std::string_view saved, std::string_view kind, std::uint32_t version) : rest_(saved) {
  if (!saved.starts_with(kMagic)) fail("does not begin as a saved state does");
  rest_.remove_prefix(std::min(kMagic.size(), rest_.size()));
  if (const auto seen = text(); ok() && seen != kind)
    fail(fmt::format("state of '{}', expected '{}'", seen.substr(0, 40), kind));
  if (const auto seen = number(); ok() && seen != version)
    fail(fmt::format("layout version {}, this program reads {}", seen, version));
  if (rest_.size() < kLengthBytes) fail("cut short");
  if (!ok()) return;
  std::uint64_t length = 0;
  for (std::size_t i = kLengthBytes; i-- > 0;) length = (length << 8) | static_cast<unsigned char>(rest_[i]);
  rest_.remove_prefix(kLengthBytes);
  if (rest_.size() != length) fail(fmt::format("{} bytes where {} were written", rest_.size(), length));
}

Result<void> StateReader::finish() const {
  if (!ok()) return Error{Errc::corrupt, "saved state", error_};
  if (!rest_.empty()) return Error{Errc::corrupt, "saved state", fmt::format("{} bytes too many", rest_.size())};
  return {};
}

void StateReader::fail(std::string what) {
  if (error_.empty()) error_ = std::move(what);
  rest_ = {};
}

std::uint64_t StateReader::number() {
  std::uint64_t value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    if (rest_.empty()) {
      fail("cut short");
      return 0;
    }
    const auto byte = static_cast<unsigned char>(rest_.front());
    rest_.remove_prefix(1);
    value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
  fail("number too long");
  return 0;
}

std::int64_t StateReader::signed_number() {
  const auto bits = number();
  return static_cast<std::int64_t>((bits >> 1) ^ (~(bits & 1) + 1));
}

bool StateReader::flag() {
  if (rest_.empty()) {
    fail("cut short");
    return false;
  }
  const char c = rest_.front();
  rest_.remove_prefix(1);
  if (c != '\0' && c != '\1') fail("flag");
  return c == '\1';
}

std::string StateReader::text() {
  const auto size = count();
  std::string out(rest_.substr(0, size));
  rest_.remove_prefix(std::min(size, rest_.size()));
  return out;
}

Decimal StateReader::decimal() {
  const bool negative = flag();
  const uint128 low = number();
  const uint128 size = (static_cast<uint128>(number()) << 64) | low;
  const auto scale = number();
  constexpr auto kLimit = static_cast<uint128>(10'000'000'000'000'000'000ULL) * 10'000'000'000'000'000'000ULL;
  if (size >= kLimit || scale > Decimal::kMaxScale) {
    fail("decimal");
    return {};
  }
  const auto mantissa = static_cast<int128>(size);
  return Decimal::from_parts(negative ? -mantissa : mantissa, static_cast<int>(scale));
}

BookLevel StateReader::level() {
  const Price price{decimal()};
  return {price, Quantity{decimal()}};
}

std::vector<BookLevel> StateReader::levels() {
  std::vector<BookLevel> out;
  const auto n = count(8);
  out.reserve(n);
  for (std::size_t i = 0; i < n && ok(); ++i) out.push_back(level());
  return out;
}

std::size_t StateReader::count(std::size_t least_bytes) {
  const auto n = number();
  if (n > rest_.size() / least_bytes) {
    fail("a count larger than the rest");
    return 0;
  }
  return static_cast<std::size_t>(n);
}

}  // namespace mp
