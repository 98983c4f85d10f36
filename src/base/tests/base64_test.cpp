#include "base/base64.hpp"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

namespace mp {
namespace {

TEST(Base64, MatchesTheVectorsOfRfc4648AndRefusesOtherForms) {
  const std::vector<std::pair<std::string, std::string>> vectors{{"", ""},
                                                                 {"f", "Zg=="},
                                                                 {"fo", "Zm8="},
                                                                 {"foo", "Zm9v"},
                                                                 {"foob", "Zm9vYg=="},
                                                                 {"fooba", "Zm9vYmE="},
                                                                 {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, text] : vectors) {
    std::string encoded, decoded;
    append_base64(encoded, plain);
    EXPECT_EQ(encoded, text);
    EXPECT_TRUE(decode_base64(text, decoded));
    EXPECT_EQ(decoded, plain);
  }
  std::string out;
  for (const char* bad : {"Zg", "Zg=", "Z===", "====", "Zh==", "Zm9=", "Zm 9", "Zg==Zg=="})
    EXPECT_FALSE(decode_base64(bad, out)) << bad;
}

}  // namespace
}  // namespace mp
