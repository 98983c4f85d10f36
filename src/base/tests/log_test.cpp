#include "base/log.hpp"

#include <gtest/gtest.h>

using namespace std::chrono_literals;

namespace mp::log {
namespace {

TEST(Log, FieldsFollowTheMessageAndAreQuotedWhenNeeded) {
  std::string out;
  append_text(out, "stream created",
              {{"stream", "MARKET_DATA"}, {"bytes", 8}, {"note", "two words"}, {"ok", true}, {"wait", 2s}});
  EXPECT_EQ(out, R"(stream created stream=MARKET_DATA bytes=8 note="two words" ok=true wait_ms=2000)");
}

TEST(Log, ALineCannotBeForgedByAValue) {
  std::string out;
  append_text(out, "refused", {{"raw", "a\nERROR b"}, {"bad", "\xff x"}});
  EXPECT_EQ(out, "refused raw=\"a\\nERROR b\" bad=(not UTF-8)");
}

TEST(Log, LevelsAreReadInAnyCase) {
  EXPECT_EQ(parse_level("INFO"), Level::info);
  EXPECT_EQ(parse_level("Warning"), Level::warn);
  EXPECT_EQ(parse_level("loud"), std::nullopt);
}

TEST(LogSampler, LetsOneThroughPerIntervalAndCountsTheRest) {
  Sampler sampler(10s);
  const MonoTime start{1h};
  EXPECT_EQ(sampler.admit("a", start), 0u);
  EXPECT_EQ(sampler.admit("a", start + 1s), std::nullopt);
  EXPECT_EQ(sampler.admit("b", start + 1s), 0u);
  EXPECT_EQ(sampler.admit("a", start + 9s), std::nullopt);
  EXPECT_EQ(sampler.admit("a", start + 10s), 2u);
  EXPECT_EQ(sampler.admit("a", start + 20s), 0u);
}

TEST(LogSampler, KeysBeyondItsLimitShareOne) {
  Sampler sampler(10s, 2);
  const MonoTime start{1h};
  sampler.admit("a", start);
  sampler.admit("b", start);
  EXPECT_EQ(sampler.admit("c", start), 0u);
  EXPECT_EQ(sampler.admit("d", start), std::nullopt);
}

}  // namespace
}  // namespace mp::log
