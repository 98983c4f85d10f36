#include "base/crc32.hpp"

#include <gtest/gtest.h>

namespace mp {
namespace {

TEST(Crc32, KnownValues) {
  EXPECT_EQ(crc32(""), 0u);
  EXPECT_EQ(crc32("123456789"), 0xCBF43926u);
}

TEST(Crc32, GoesOnFromWhatCameBefore) { EXPECT_EQ(crc32("6789", crc32("12345")), 0xCBF43926u); }

}  // namespace
}  // namespace mp
