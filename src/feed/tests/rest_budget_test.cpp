#include "feed/rest_budget.hpp"

#include <gtest/gtest.h>

namespace mp {
namespace {

using namespace std::chrono_literals;

// Both clocks `s` seconds after a full minute.
Instant at(std::chrono::milliseconds t) { return {wall_from_nanos(60'000'000'000) + t, MonoTime{} + 1h + t}; }

TEST(RestBudget, GoesAheadUntilTheMinuteIsUsedUp) {
  RestBudget budget{{.weight_per_minute = 100, .percent_used_at_most = 80}};
  EXPECT_EQ(budget.take(50, at(1s)), std::nullopt);
  EXPECT_EQ(budget.take(30, at(2s)), std::nullopt);
  const auto wait = budget.take(1, at(3s));
  ASSERT_TRUE(wait);
  EXPECT_EQ(*wait, at(60s).mono + 500ms);
  EXPECT_EQ(budget.take(1, at(61s)), std::nullopt) << "a new minute";
}

TEST(RestBudget, TheVenuesOwnCountWins) {
  RestBudget budget{{.weight_per_minute = 100, .percent_used_at_most = 80}};
  EXPECT_EQ(budget.take(1, at(1s)), std::nullopt);
  budget.answered(200, 79, "", at(2s));
  EXPECT_TRUE(budget.take(5, at(3s)));
}

TEST(RestBudget, ARequestLargerThanTheBudgetIsNotStuckForEver) {
  RestBudget budget{{.weight_per_minute = 10, .percent_used_at_most = 80}};
  EXPECT_EQ(budget.take(50, at(1s)), std::nullopt);
  EXPECT_TRUE(budget.take(1, at(2s)));
}

TEST(RestBudget, RetryAfterIsObeyed) {
  RestBudget budget{{.weight_per_minute = 100}};
  budget.answered(429, std::nullopt, "17", at(1s));
  const auto wait = budget.take(1, at(2s));
  ASSERT_TRUE(wait);
  EXPECT_EQ(*wait, at(18s).mono);
  EXPECT_EQ(budget.take(1, at(18s)), std::nullopt);
}

TEST(RestBudget, RefusalsWithoutAHeaderWaitLongerEachTime) {
  RestBudget budget{{.weight_per_minute = 100}};
  budget.answered(429, std::nullopt, "", at(0s));
  EXPECT_EQ(budget.blocked_until(), at(5s).mono);
  budget.answered(429, std::nullopt, "", at(5s));
  EXPECT_EQ(budget.blocked_until(), at(15s).mono);
  budget.answered(200, std::nullopt, "", at(15s));
  budget.answered(429, std::nullopt, "", at(20s));
  EXPECT_EQ(budget.blocked_until(), at(25s).mono) << "an answer between starts the count anew";
}

TEST(RestBudget, ABanLastsAtLeastTwoMinutesAndAnUnreadableHeaderAMinute) {
  RestBudget ban{{.weight_per_minute = 100}};
  ban.answered(418, std::nullopt, "", at(0s));
  EXPECT_EQ(ban.blocked_until(), at(120s).mono);
  RestBudget odd{{.weight_per_minute = 100}};
  odd.answered(429, std::nullopt, "Wed, 21 Oct 2026 07:28:00 GMT", at(0s));
  EXPECT_EQ(odd.blocked_until(), at(60s).mono);
}

TEST(RestBudget, AnAbsurdRetryAfterIsCapped) {
  RestBudget budget{{.weight_per_minute = 100}};
  budget.answered(418, std::nullopt, "9223372036854775807", at(0s));
  EXPECT_EQ(budget.blocked_until(), at(72h).mono);
}

}  // namespace
}  // namespace mp
