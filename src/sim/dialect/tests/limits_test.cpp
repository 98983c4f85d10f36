#include "sim/dialect/limits.hpp"

#include <gmock/gmock.h>

#include "sim/dialect/query.hpp"

namespace mp::sim {
namespace {

using namespace std::chrono_literals;

const WallTime kStart = *parse_iso("2026-11-23T04:00:00Z");

TEST(FixedWindows, CountEachKeyAnewInEveryWindow) {
  FixedWindows windows;
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(windows.take("a", 3, 2s, kStart + 1s));
  EXPECT_FALSE(windows.take("a", 3, 2s, kStart + 1999ms));
  EXPECT_TRUE(windows.take("b", 3, 2s, kStart + 1999ms));
  EXPECT_TRUE(windows.take("a", 3, 2s, kStart + 2s));
}

TEST(Credits, FlowBackWithTimeUpToThePool) {
  Credits credits(1000, 100);
  EXPECT_TRUE(credits.take("a", 1000, kStart));
  EXPECT_FALSE(credits.take("a", 1, kStart + 5ms));
  EXPECT_FALSE(credits.take("a", 101, kStart + 1s));
  EXPECT_TRUE(credits.take("a", 100, kStart + 1s));
  EXPECT_TRUE(credits.take("a", 1000, kStart + 1h));
  EXPECT_FALSE(credits.take("a", 1, kStart + 1h)) << "the pool is not larger after a long time";
}

TEST(Queries, AreDecoded) {
  const auto query = parse_query("a=1&b=x%40y&c&d=");
  EXPECT_EQ(query_value(query, "a"), "1");
  EXPECT_EQ(query_value(query, "b"), "x@y");
  EXPECT_EQ(query_value(query, "nothing"), "");
  EXPECT_EQ(split_target("/x?y=1").first, "/x");
  EXPECT_EQ(whole_number("12"), 12);
  EXPECT_EQ(whole_number("12x"), -1);
  EXPECT_EQ(whole_number("-3"), -1);
  EXPECT_EQ(whole_number(""), std::nullopt);
}

}  // namespace
}  // namespace mp::sim
