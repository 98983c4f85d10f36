#include "base/decimal.hpp"

#include <gtest/gtest.h>

#include <random>
#include <type_traits>

namespace mp {
namespace {

static_assert(!std::is_convertible_v<Price, Quantity>, "a price must not pass for a quantity");
static_assert(sizeof(Decimal) == 24);

Decimal parsed(std::string_view text) {
  const auto d = Decimal::parse(text);
  EXPECT_TRUE(d) << text;
  return d ? *d : Decimal{};
}

TEST(Decimal, KeepsEveryDigitAndDropsTrailingZeros) {
  const std::pair<const char*, const char*> cases[] = {
      {"65000.10", "65000.1"},
      {"0.00000000", "0"},
      {"-0.0", "0"},
      {"0.00000001230", "0.0000000123"},
      {"100", "100"},
      {"007.50", "7.5"},
      {"-12.5", "-12.5"},
      {"1e-7", "0.0000001"},
      {"1.5E+3", "1500"},
      {"12e0", "12"},
      {"99999999999999999999999999.999999999999", "99999999999999999999999999.999999999999"},
      {"12345678901234567890123456789012345678", "12345678901234567890123456789012345678"},
      {"1.00000000000000000000000000000000000000000000000000000", "1"},
      {"0.000000000000000000000000000000000000000000000000000001",
       "0.000000000000000000000000000000000000000000000000000001"},
  };
  for (const auto& [text, expected] : cases) EXPECT_EQ(parsed(text).text(), expected) << text;
}

TEST(Decimal, RefusesWhatIsNoDecimalOrTooLongToBeExact) {
  for (const char* text : {"", "-", ".", "1.", ".5", "+1", "1.2.3", "0x10", "nan", "inf", "1e", "1e+", "1e999999", "1 ",
                           " 1", "1,5", "123456789012345678901234567890123456789", "1e38", "4221x.9"}) {
    const auto d = Decimal::parse(text);
    ASSERT_FALSE(d) << text;
    EXPECT_EQ(d.error().code, Errc::bad_number);
    EXPECT_EQ(d.error().seen, text);
  }
}

TEST(Decimal, ComparesByValueAcrossScales) {
  const char* rising[] = {"-100",
                          "-99.5",
                          "-0.001",
                          "0",
                          "0.000000000000000000000000000000000000000000001",
                          "0.00001",
                          "0.1",
                          "0.10000000000000000000000000000000000001",
                          "0.2",
                          "1",
                          "1.5",
                          "10",
                          "12345678901234567890123456789012345678"};
  for (std::size_t i = 0; i < std::size(rising); ++i)
    for (std::size_t j = 0; j < std::size(rising); ++j)
      EXPECT_EQ(parsed(rising[i]) <=> parsed(rising[j]), i <=> j) << rising[i] << " " << rising[j];
}

TEST(Decimal, MultipliesExactlyOrNotAtAll) {
  EXPECT_EQ(Decimal::multiply(parsed("65000.5"), parsed("-0.25"))->text(), "-16250.125");
  EXPECT_EQ(Decimal::multiply(parsed("0"), parsed("1e37"))->text(), "0");
  EXPECT_FALSE(Decimal::multiply(parsed("12345678901234567890"), parsed("12345678901234567891")));
}

TEST(Decimal, ScalesToAColumnOnlyWhenNothingIsLost) {
  EXPECT_EQ(parsed("1.5").scaled_to(12), int128{1'500'000'000'000});
  EXPECT_EQ(parsed("-1.5").scaled_to(1), int128{-15});
  EXPECT_FALSE(parsed("0.0000000000001").scaled_to(12));
  EXPECT_FALSE(parsed("100000000000000000000000000").scaled_to(12));
  EXPECT_TRUE(parsed("99999999999999999999999999").scaled_to(12));
  EXPECT_FALSE(parsed("1000").scaled_to(0, 3));
}

TEST(Decimal, TextRoundTripsForRandomValues) {
  std::mt19937_64 random(7);
  for (int i = 0; i < 20'000; ++i) {
    const auto digits = static_cast<int>(random() % 38) + 1;
    const auto scale = static_cast<int>(random() % 50);
    int128 mantissa = 0;
    for (int k = 0; k < digits; ++k) mantissa = mantissa * 10 + static_cast<int>(random() % 10);
    if (random() % 2) mantissa = -mantissa;
    const auto d = Decimal::from_parts(mantissa, scale);
    ASSERT_EQ(parsed(d.text()), d) << d.text();
  }
}

}  // namespace
}  // namespace mp
