#pragma once
// Exact decimals: what the venue wrote, never a binary float.

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace mp {

__extension__ typedef __int128 int128;
__extension__ typedef unsigned __int128 uint128;

// A decimal number: mantissa × 10^-scale, kept normal (no trailing zeros in the mantissa when the
// scale is above 0; zero is 0 × 10^0), so equal numbers are equal member by member.
// Up to 38 significant digits; parse() refuses longer ones, it never rounds.
class Decimal {
 public:
  static constexpr int kMaxDigits = 38;
  static constexpr int kMaxScale = 96;

  constexpr Decimal() = default;

  // mantissa × 10^-scale. Precondition: |mantissa| < 10^38, 0 <= scale <= kMaxScale.
  static Decimal from_parts(int128 mantissa, int scale);

  // [-]digits[.digits][(e|E)[+|-]digits]; a digit on both sides of the point. Errc::bad_number otherwise.
  static Result<Decimal> parse(std::string_view text);

  int128 mantissa() const {
    return static_cast<int128>((static_cast<uint128>(static_cast<std::uint64_t>(high_)) << 64) | low_);
  }
  int scale() const { return scale_; }
  bool is_zero() const { return low_ == 0 && high_ == 0; }
  bool is_negative() const { return high_ < 0; }

  // Exact product; Errc::out_of_range when it needs more than 38 digits.
  static Result<Decimal> multiply(const Decimal& a, const Decimal& b);
  Decimal negated() const { return from_parts(-mantissa(), scale_); }

  // The integer value × 10^scale if that is exact and its magnitude is below 10^digits (a column's
  // precision); nothing otherwise.
  std::optional<int128> scaled_to(int scale, int digits = kMaxDigits) const;

  // Without exponent and trailing zeros: "65000.1", "0.00000123", "0".
  void append_to(std::string& out) const;
  std::string text() const {
    std::string out;
    append_to(out);
    return out;
  }

  friend bool operator==(const Decimal&, const Decimal&) = default;
  friend std::strong_ordering operator<=>(const Decimal& a, const Decimal& b);

 private:
  // Two halves instead of one __int128, so that a Decimal takes 24 bytes and not 32.
  std::uint64_t low_ = 0;
  std::int64_t high_ = 0;
  std::uint8_t scale_ = 0;
};

// A decimal with a unit: a Price is not a Quantity.
template <class Tag>
struct Exact {
  Decimal value;

  constexpr Exact() = default;
  explicit constexpr Exact(Decimal d) : value(d) {}
  static Result<Exact> parse(std::string_view text) {
    auto d = Decimal::parse(text);
    if (!d) return d.error();
    return Exact{*d};
  }
  friend bool operator==(const Exact&, const Exact&) = default;
  friend auto operator<=>(const Exact&, const Exact&) = default;
};

using Price = Exact<struct PriceTag>;          // quote units per base unit (or per contract's unit)
using Quantity = Exact<struct QuantityTag>;    // base units, or quote units where quantity_unit says so
using Contracts = Exact<struct ContractsTag>;  // the venue's own count of contracts
using Ratio = Exact<struct RatioTag>;          // funding rates, long/short shares and ratios

}  // namespace mp
