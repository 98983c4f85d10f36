#include "base/text.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace mp {
namespace {

TEST(Nearest, FindsTheMistypedWordAndNothingForAStrangeOne) {
  const std::vector<std::string> names{"binance", "okx", "deribit"};
  EXPECT_EQ(nearest("binnance", names), "binance");
  EXPECT_EQ(nearest("oxk", names), "okx");
  EXPECT_EQ(nearest("kraken-futures", names), "");
  const std::vector<std::string> symbols{"ETHUSDT", "BTCUSDT"};
  EXPECT_EQ(nearest("btcusdt", symbols), "BTCUSDT");
}

TEST(JsonString, EscapesWhatMustBe) {
  std::string out;
  append_json_string(out, std::string_view("a\"b\\c\n\0é", 9));
  EXPECT_EQ(out, "\"a\\\"b\\\\c\\n\\u0000é\"");
}

TEST(Utf8, OverlongSurrogateAndCutSequencesAreNotValid) {
  EXPECT_TRUE(is_valid_utf8("aé€😀"));
  for (const char* bad : {"\xC0\x80", "\xED\xA0\x80", "\xF5\x80\x80\x80", "\xE2\x82", "\xFF", "\x80"})
    EXPECT_FALSE(is_valid_utf8(bad));
}

TEST(Shortened, CutsBetweenCharacters) {
  EXPECT_EQ(shortened("abc", 3), "abc");
  EXPECT_EQ(shortened("aé", 2), "a…");
}

}  // namespace
}  // namespace mp
