#include "base/decimal.hpp"

#include <algorithm>
#include <array>

namespace mp {
namespace {

constexpr auto kPowersOfTen = [] {
  std::array<uint128, 39> powers{};
  powers[0] = 1;
  for (std::size_t i = 1; i < powers.size(); ++i) powers[i] = powers[i - 1] * 10;
  return powers;
}();

uint128 power_of_ten(int exponent) { return kPowersOfTen[static_cast<std::size_t>(exponent)]; }

uint128 magnitude(int128 value) { return value < 0 ? -static_cast<uint128>(value) : static_cast<uint128>(value); }

int digit_count(uint128 value) {
  int digits = 0;
  while (digits < 39 && value >= power_of_ten(digits)) ++digits;
  return digits;
}

Error bad_number(std::string_view text) { return {Errc::bad_number, "decimal", std::string(text.substr(0, 80))}; }

// value × 10^exponent < 10^38, and the product.
std::optional<uint128> times_power(uint128 value, int exponent) {
  if (value == 0) return uint128{0};
  if (exponent > Decimal::kMaxDigits || digit_count(value) + exponent > Decimal::kMaxDigits) return std::nullopt;
  return value * power_of_ten(exponent);
}

// Splits a magnitude × 10^-scale at the decimal point.
struct Split {
  uint128 whole;
  uint128 fraction;  // as a number of `scale` digits
};
Split split(uint128 value, int scale) {
  if (scale > Decimal::kMaxDigits) return {0, value};
  return {value / power_of_ten(scale), value % power_of_ten(scale)};
}

std::strong_ordering order(uint128 a, uint128 b) {
  return a < b ? std::strong_ordering::less : a > b ? std::strong_ordering::greater : std::strong_ordering::equal;
}

// Compares fractions of different digit counts, digit by digit from the left.
std::strong_ordering order_fractions(uint128 a, int a_scale, uint128 b, int b_scale) {
  const int common = std::min(a_scale, b_scale);
  const auto head = [common](uint128 v, int scale) {
    const int cut = scale - common;
    return cut > Decimal::kMaxDigits ? uint128{0} : v / power_of_ten(cut);
  };
  const uint128 a_head = head(a, a_scale);
  const uint128 b_head = head(b, b_scale);
  if (a_head != b_head) return order(a_head, b_head);
  const auto rest = [common](uint128 v, int scale) {
    const int cut = scale - common;
    return cut > Decimal::kMaxDigits ? v : v % power_of_ten(cut);
  };
  // At most one of the two has digits beyond the common ones.
  return order(rest(a, a_scale), rest(b, b_scale));
}

std::strong_ordering order_magnitudes(uint128 a, int a_scale, uint128 b, int b_scale) {
  if (a_scale == b_scale) return order(a, b);
  const Split left = split(a, a_scale);
  const Split right = split(b, b_scale);
  if (left.whole != right.whole) return order(left.whole, right.whole);
  return order_fractions(left.fraction, a_scale, right.fraction, b_scale);
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

Decimal Decimal::from_parts(int128 mantissa, int scale) {
  while (scale > 0 && mantissa % 10 == 0) {
    mantissa /= 10;
    --scale;
    if (mantissa == 0) scale = 0;
  }
  Decimal d;
  d.low_ = static_cast<std::uint64_t>(static_cast<uint128>(mantissa));
  d.high_ = static_cast<std::int64_t>(mantissa >> 64);
  d.scale_ = static_cast<std::uint8_t>(scale);
  return d;
}

Result<Decimal> Decimal::parse(std::string_view text) {
  std::size_t i = 0;
  const bool negative = !text.empty() && text[0] == '-';
  if (negative) ++i;

  // Significant digits are gathered up to the last one that is not zero: "1.000…0" is 1.
  uint128 value = 0;
  int used = 0;      // digits in value
  int zeros = 0;     // zeros seen after them, not yet in value
  int exponent = 0;  // the number is value × 10^(zeros + exponent)
  const auto take = [&](char c) {
    if (c == '0') {
      if (used > 0) ++zeros;
      return true;
    }
    if (used + zeros + 1 > kMaxDigits) return false;
    value = value * power_of_ten(zeros + 1) + static_cast<unsigned>(c - '0');
    used += zeros + 1;
    zeros = 0;
    return true;
  };

  const std::size_t whole_start = i;
  for (; i < text.size() && is_digit(text[i]); ++i)
    if (!take(text[i])) return bad_number(text);
  if (i == whole_start) return bad_number(text);
  if (i < text.size() && text[i] == '.') {
    const std::size_t fraction_start = ++i;
    for (; i < text.size() && is_digit(text[i]); ++i) {
      if (!take(text[i])) return bad_number(text);
      --exponent;
    }
    if (i == fraction_start) return bad_number(text);
  }
  if (i < text.size() && (text[i] == 'e' || text[i] == 'E')) {
    ++i;
    const bool minus = i < text.size() && text[i] == '-';
    if (i < text.size() && (text[i] == '-' || text[i] == '+')) ++i;
    const std::size_t start = i;
    int written = 0;
    for (; i < text.size() && is_digit(text[i]); ++i) {
      if (i - start > 4) return bad_number(text);
      written = written * 10 + (text[i] - '0');
    }
    if (i == start) return bad_number(text);
    exponent += minus ? -written : written;
  }
  if (i != text.size()) return bad_number(text);
  if (value == 0) return Decimal{};

  exponent += zeros;
  int scale = 0;
  if (exponent >= 0) {
    const auto scaled = times_power(value, exponent);
    if (!scaled) return bad_number(text);
    value = *scaled;
  } else {
    scale = -exponent;
    if (scale > kMaxScale) return bad_number(text);
  }
  const auto mantissa = static_cast<int128>(value);
  return from_parts(negative ? -mantissa : mantissa, scale);
}

Result<Decimal> Decimal::multiply(const Decimal& a, const Decimal& b) {
  const uint128 x = magnitude(a.mantissa());
  const uint128 y = magnitude(b.mantissa());
  const Error too_long{Errc::out_of_range, "product", a.text() + " * " + b.text()};
  if (x != 0 && y > (power_of_ten(kMaxDigits) - 1) / x) return too_long;
  const int scale = a.scale_ + b.scale_;
  if (scale > kMaxScale) return too_long;
  const auto product = static_cast<int128>(x * y);
  return from_parts(a.is_negative() != b.is_negative() ? -product : product, scale);
}

std::optional<int128> Decimal::scaled_to(int scale, int digits) const {
  if (scale < scale_) return std::nullopt;  // normal form: a digit would be lost
  const auto scaled = times_power(magnitude(mantissa()), scale - scale_);
  if (!scaled || *scaled >= power_of_ten(digits)) return std::nullopt;
  const auto value = static_cast<int128>(*scaled);
  return is_negative() ? -value : value;
}

void Decimal::append_to(std::string& out) const {
  char digits[48];
  int count = 0;
  uint128 rest = magnitude(mantissa());
  // Most values fit 64 bits, where division is many times cheaper.
  while (rest > UINT64_MAX) {
    digits[count++] = static_cast<char>('0' + static_cast<int>(rest % 10));
    rest /= 10;
  }
  for (auto small = static_cast<std::uint64_t>(rest); small != 0; small /= 10)
    digits[count++] = static_cast<char>('0' + small % 10);
  if (is_negative()) out.push_back('-');
  if (count <= scale_) out.push_back('0');
  for (int i = count; i > scale_; --i) out.push_back(digits[i - 1]);
  if (scale_ == 0) return;
  out.push_back('.');
  for (int i = scale_; i > 0; --i) out.push_back(i > count ? '0' : digits[i - 1]);
}

std::strong_ordering operator<=>(const Decimal& a, const Decimal& b) {
  if (a.is_negative() != b.is_negative())
    return a.is_negative() ? std::strong_ordering::less : std::strong_ordering::greater;
  const auto by_size = order_magnitudes(magnitude(a.mantissa()), a.scale_, magnitude(b.mantissa()), b.scale_);
  if (!a.is_negative()) return by_size;
  return 0 <=> by_size;
}

}  // namespace mp
