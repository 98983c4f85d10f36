#include "feed/rest_budget.hpp"

#include <gmock/gmock.h>

namespace mp {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;

// Both clocks `t` after a full minute.
Instant at(std::chrono::milliseconds t) { return {wall_from_nanos(60'000'000'000) + t, MonoTime{} + 1h + t}; }

constexpr auto kNoHeaders = [](std::string_view) -> std::optional<std::string_view> { return std::nullopt; };
RestBudgets::Header headers(std::map<std::string, std::string, std::less<>> all) {
  return [all = std::move(all)](std::string_view name) -> std::optional<std::string_view> {
    const auto found = all.find(name);
    if (found == all.end()) return std::nullopt;
    return found->second;
  };
}

BudgetCharge minute(int units, int limit = 100) {
  return {.budget = "v", .units = units, .limit = limit, .window = 60s, .used_header = "Used"};
}
BudgetCharge sliding(int units, int limit, std::chrono::milliseconds window, const char* name = "s") {
  return {.budget = name, .units = units, .limit = limit, .window = window};
}
RestRequest request(std::vector<BudgetCharge> charges, int priority = 0, std::string url = "https://v.test/a") {
  return {.url = std::move(url), .charges = std::move(charges), .priority = priority};
}
// When it may go: 0 for now.
std::chrono::milliseconds wait(RestBudgets& budgets, const RestRequest& r, std::chrono::milliseconds t) {
  const auto until = budgets.take(r, at(t));
  return until ? std::chrono::ceil<std::chrono::milliseconds>(until->until - at(0ms).mono) : 0ms;
}

TEST(RestBudgets, GoesAheadUntilTheMinuteIsUsedUp) {
  RestBudgets budgets;
  EXPECT_EQ(wait(budgets, request({minute(50)}), 1s), 0ms);
  EXPECT_EQ(wait(budgets, request({minute(30)}), 2s), 0ms);
  EXPECT_EQ(wait(budgets, request({minute(1)}), 3s), 60s + 500ms);
  EXPECT_EQ(wait(budgets, request({minute(1)}), 61s), 0ms) << "a new minute";
}

TEST(RestBudgets, AnyStretchIsAWindowWhereTheVenueTellsNoCount) {
  RestBudgets budgets;
  const auto three_in_two_seconds = request({sliding(1, 4, 2s)});  // 80 % of 4
  EXPECT_EQ(wait(budgets, three_in_two_seconds, 1900ms), 0ms);
  EXPECT_EQ(wait(budgets, three_in_two_seconds, 1950ms), 0ms);
  EXPECT_EQ(wait(budgets, three_in_two_seconds, 2500ms), 0ms);
  EXPECT_EQ(wait(budgets, three_in_two_seconds, 2600ms), 3900ms) << "not at the next even second";
  EXPECT_EQ(wait(budgets, three_in_two_seconds, 3900ms), 0ms);
  EXPECT_EQ(wait(budgets, three_in_two_seconds, 3900ms), 3950ms);
  EXPECT_EQ(wait(budgets, request({sliding(2, 4, 2s)}), 3950ms), 4500ms) << "two have to leave";
}

// Whatever the alignment of the venue's windows, no window of theirs sees more than the limit.
TEST(RestBudgets, NoWindowOfAnyAlignmentSeesMoreThanTheLimit) {
  RestBudgets budgets;
  std::vector<std::chrono::milliseconds> sent;
  for (auto t = 0ms; t < 20s; t += 7ms)
    if (wait(budgets, request({sliding(1, 10, 2s)}), t) == 0ms) sent.push_back(t);
  ASSERT_GT(sent.size(), 60u) << "and it is made use of";
  for (auto start = 0ms; start < 18s; start += 10ms)
    EXPECT_LE(std::ranges::count_if(sent, [&](auto t) { return t >= start && t < start + 2s; }), 8);
}

TEST(RestBudgets, TheVenuesOwnCountWins) {
  RestBudgets budgets;
  const auto one = request({minute(1)});
  EXPECT_EQ(wait(budgets, one, 1s), 0ms);
  budgets.answered(one, 200, headers({{"Used", "79"}}), at(2s));
  EXPECT_GT(wait(budgets, request({minute(5)}), 3s), 0ms);
  budgets.answered(one, 200, headers({{"Used", "many"}}), at(4s));
  budgets.answered(one, 200, headers({{"Used", "3"}}), at(4s));
  EXPECT_GT(wait(budgets, request({minute(5)}), 5s), 0ms) << "a late answer does not lower it";
  EXPECT_EQ(wait(budgets, request({minute(5)}), 61s), 0ms);
}

TEST(RestBudgets, ARequestLargerThanTheBudgetIsNotStuckForEver) {
  RestBudgets budgets;
  EXPECT_EQ(wait(budgets, request({minute(50, 10)}), 1s), 0ms);
  EXPECT_GT(wait(budgets, request({minute(1, 10)}), 2s), 0ms);
  EXPECT_EQ(wait(budgets, request({sliding(50, 10, 2s)}), 1s), 0ms);
  EXPECT_EQ(wait(budgets, request({sliding(50, 10, 2s)}), 2s), 3s);
  EXPECT_EQ(wait(budgets, request({sliding(50, 10, 2s)}), 3s), 0ms);
}

TEST(RestBudgets, AllChargesOrNone) {
  RestBudgets budgets;
  EXPECT_EQ(wait(budgets, request({sliding(8, 10, 2s, "full")}), 0ms), 0ms);
  const auto both = request({minute(40), sliding(1, 10, 2s, "full")});
  EXPECT_EQ(budgets.take(both, at(100ms))->budget, "full");
  EXPECT_EQ(wait(budgets, request({minute(80)}), 200ms), 0ms) << "nothing was spent while the other was full";
  EXPECT_EQ(wait(budgets, both, 2500ms), 60'500ms) << "now the first is";
}

TEST(RestBudgets, WhatMattersLessMayFillLessOfABudget) {
  RestBudgets budgets;
  auto audit = request({minute(30)});
  audit.percent_at_most = 40;
  EXPECT_EQ(wait(budgets, audit, 0ms), 0ms);
  EXPECT_GT(wait(budgets, audit, 1s), 0ms);
  EXPECT_EQ(wait(budgets, request({minute(50)}), 1s), 0ms);
}

TEST(RestBudgets, AnUnknownLimitHoldsNothingBack) {
  RestBudgets budgets;
  for (int i = 0; i < 1000; ++i) ASSERT_EQ(wait(budgets, request({{.budget = "x"}}), 0ms), 0ms);
  EXPECT_EQ(wait(budgets, request({}), 0ms), 0ms);
}

TEST(RestBudgets, RetryAfterIsObeyedByAllWhoUseTheBudget) {
  RestBudgets budgets;
  budgets.answered(request({minute(1)}), 429, headers({{"Retry-After", "17"}}), at(1s));
  EXPECT_EQ(wait(budgets, request({minute(2)}, 9, "https://v.test/b"), 2s), 18s);
  EXPECT_EQ(wait(budgets, request({sliding(1, 10, 2s)}), 2s), 0ms) << "another limit of the same venue";
  EXPECT_EQ(wait(budgets, request({minute(2)}), 18s), 0ms);
}

TEST(RestBudgets, RefusalsWithoutAHeaderWaitLongerEachTime) {
  RestBudgets budgets;
  const auto one = request({minute(1)});
  budgets.answered(one, 429, kNoHeaders, at(0s));
  EXPECT_EQ(wait(budgets, one, 0s), 5s);
  budgets.answered(one, 429, kNoHeaders, at(5s));
  EXPECT_EQ(wait(budgets, one, 5s), 15s);
  budgets.answered(one, 503, kNoHeaders, at(15s));
  budgets.answered(one, 429, kNoHeaders, at(15s));
  EXPECT_EQ(wait(budgets, one, 15s), 35s) << "an error of another kind is no success";
  budgets.answered(one, 200, kNoHeaders, at(35s));
  budgets.answered(one, 429, kNoHeaders, at(40s));
  EXPECT_EQ(wait(budgets, one, 40s), 45s) << "an answer between starts the count anew";
}

TEST(RestBudgets, ABanIsOfTheHostWhateverWasAsked) {
  RestBudgets budgets;
  budgets.answered(request({minute(1)}, 0, "https://v.test/a?x=1"), 418, kNoHeaders, at(0s));
  EXPECT_EQ(wait(budgets, request({sliding(1, 10, 2s)}, 0, "https://v.test/other"), 1s), 120s);
  EXPECT_EQ(wait(budgets, request({}, 0, "https://v.test"), 1s), 120s);
  EXPECT_EQ(wait(budgets, request({minute(1)}, 0, "https://v.test.other/a"), 1s), 0ms);
  budgets.answered(request({}, 0, "https://w.test/a"), 429, headers({{"Retry-After", "9"}}), at(0s));
  EXPECT_EQ(wait(budgets, request({}, 0, "https://w.test/b"), 1s), 9s) << "a request without a budget";
}

TEST(RestBudgets, ReadsRetryAfterAsSecondsOrDate) {
  const auto now = *parse_iso("2026-10-21T07:27:30Z");
  EXPECT_EQ(retry_after("17", now), 17s);
  EXPECT_EQ(retry_after("0", now), 1s);
  EXPECT_EQ(retry_after("9223372036854775807", now), 72h);
  EXPECT_EQ(retry_after("99999999999999999999999", now), 72h);
  EXPECT_EQ(retry_after("Wed, 21 Oct 2026 07:28:00 GMT", now), 30s);
  EXPECT_EQ(retry_after("Tue, 20 Oct 2026 07:28:00 GMT", now), 1s) << "past";
  EXPECT_EQ(retry_after("Thu, 21 Oct 2027 07:28:00 GMT", now), 72h);
  for (const auto* odd : {"soon", "-5", "", "1.5", "Wed, 21 Okt 2026 07:28:00 GMT", "Wed, 99 Oct 2026 07:28:00 GMT",
                          "Wed, 21 Oct 2026 07:28:00 CET", "Wed, 2x Oct 2026 07:28:00 GMT"})
    EXPECT_EQ(retry_after(odd, now), 60s) << odd;
}

TEST(RestBudgets, ShowsWhatIsUsedAndBlocked) {
  RestBudgets budgets;
  EXPECT_EQ(wait(budgets, request({minute(7)}), 0s), 0ms);
  budgets.answered(request({}, 0, "https://w.test/a"), 418, kNoHeaders, at(0s));
  std::vector<std::string> seen;
  budgets.visit(at(1s), [&](std::string_view name, int used, bool blocked) {
    seen.push_back(std::string(name) + " " + std::to_string(used) + (blocked ? " blocked" : ""));
  });
  EXPECT_THAT(seen, ElementsAre("v 7", "https://w.test 0 blocked"));
}

// ---- the queue ------------------------------------------------------------------------------------------------

struct Queue {
  RestBudgets budgets;
  RestQueue queue{budgets, 8};
  std::string pop(std::chrono::milliseconds t) {
    const auto got = queue.pop(at(t));
    return got ? got->url : "";
  }
};

TEST(RestQueue, HighestPriorityFirstThenFirstCome) {
  Queue q;
  for (const auto& [url, priority] : {std::pair{"a", 1}, {"b", 5}, {"c", 1}, {"d", 5}, {"e", 9}})
    ASSERT_TRUE(q.queue.push(request({}, priority, url)));
  std::string order;
  for (int i = 0; i < 6; ++i) order += q.pop(0s);
  EXPECT_EQ(order, "ebdac");
  EXPECT_EQ(q.queue.next_at(), std::nullopt);
}

TEST(RestQueue, OneThatWaitsLetsOthersPassThatWantNoneOfTheSame) {
  Queue q;
  ASSERT_TRUE(q.queue.push(request({sliding(8, 10, 2s)}, 9, "fills")));
  ASSERT_TRUE(q.queue.push(request({sliding(4, 10, 2s)}, 8, "waits")));
  ASSERT_TRUE(q.queue.push(request({sliding(1, 10, 2s), minute(1)}, 7, "behind it")));
  ASSERT_TRUE(q.queue.push(request({minute(1)}, 1, "passes")));
  EXPECT_EQ(q.pop(0s), "fills");
  EXPECT_EQ(q.pop(100ms), "passes");
  EXPECT_EQ(q.pop(100ms), "");
  EXPECT_EQ(q.queue.next_at(), at(2s).mono);
  EXPECT_EQ(q.pop(2s), "waits") << "a small one did not take what it waited for";
  EXPECT_EQ(q.pop(2s), "behind it");
}

TEST(RestQueue, IsBounded) {
  Queue q;
  for (int i = 0; i < 8; ++i) EXPECT_TRUE(q.queue.push(request({})));
  EXPECT_FALSE(q.queue.push(request({})));
  q.queue.clear();
  EXPECT_TRUE(q.queue.push(request({})));
}

}  // namespace
}  // namespace mp
