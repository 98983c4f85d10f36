#include "feed/trade_ids.hpp"

#include <gtest/gtest.h>

#include <random>
#include <set>

namespace mp {
namespace {

using Verdict = TradeIds::Verdict;
constexpr WallTime at(std::int64_t ms) { return wall_from_nanos(ms * 1'000'000); }

struct Series {
  TradeIds ids;
  std::vector<IdHole> holes;
  Verdict see(std::uint64_t id, std::int64_t ms, bool others = false) {
    return ids.observe(id, at(ms), at(ms), others, holes);
  }
};

TEST(TradeIds, ContiguousIdsAreNoLossEvenOverAReconnect) {
  Series s;
  EXPECT_EQ(s.see(10, 1), Verdict::accept);
  s.ids.interrupted(GapCause::disconnected);
  EXPECT_EQ(s.see(11, 9000), Verdict::accept);
  EXPECT_TRUE(s.holes.empty());
}

TEST(TradeIds, AHoleIsToldWithItsEdges) {
  Series s;
  s.see(10, 1);
  s.see(14, 5);
  ASSERT_EQ(s.holes.size(), 1u);
  EXPECT_EQ(s.holes[0].last_id, 10u);
  EXPECT_EQ(s.holes[0].next_id, 14u);
  EXPECT_EQ(s.holes[0].gap_start, at(1));
  EXPECT_EQ(s.holes[0].gap_end, at(5));
  EXPECT_EQ(s.holes[0].cause, GapCause::sequence);
}

TEST(TradeIds, AHoleAfterAnInterruptionHasItsCauseAndTheNextOneNot) {
  Series s;
  s.see(10, 1);
  s.ids.interrupted(GapCause::collector_down);
  s.see(20, 5);
  s.see(30, 6);
  ASSERT_EQ(s.holes.size(), 2u);
  EXPECT_EQ(s.holes[0].cause, GapCause::collector_down);
  EXPECT_EQ(s.holes[1].cause, GapCause::sequence);
}

TEST(TradeIds, RepeatedIdsAreDuplicates) {
  Series s;
  s.see(10, 1);
  s.see(11, 2);
  EXPECT_EQ(s.see(10, 1), Verdict::duplicate);
  EXPECT_EQ(s.see(11, 2), Verdict::duplicate);
  EXPECT_TRUE(s.holes.empty());
}

TEST(TradeIds, ASeriesThatBeginsAgainLowerIsAcceptedWithAGap) {
  Series s;
  s.see(1'000'000, 1000);
  EXPECT_EQ(s.see(1, 2000), Verdict::duplicate) << "not clearly later";
  EXPECT_EQ(s.see(2, 7000), Verdict::accept);
  EXPECT_EQ(s.see(3, 7001), Verdict::accept);
  ASSERT_EQ(s.holes.size(), 1u);
  EXPECT_EQ(s.holes[0].last_id, 1'000'000u);
  EXPECT_EQ(s.holes[0].next_id, 2u);
}

TEST(TradeIds, AHoleThatTheOtherConnectionFillsIsNone) {
  Series s;
  s.see(10, 1);
  s.see(13, 4, true);  // the replacement runs ahead
  EXPECT_TRUE(s.holes.empty());
  EXPECT_EQ(s.see(11, 2, true), Verdict::accept);
  EXPECT_EQ(s.see(12, 3, true), Verdict::accept);
  EXPECT_EQ(s.see(13, 4, true), Verdict::duplicate);
  s.ids.settle(std::nullopt, s.holes);
  EXPECT_TRUE(s.holes.empty());
}

TEST(TradeIds, WhatTheOtherConnectionDidNotBringIsLost) {
  Series s;
  s.see(10, 1);
  s.see(14, 4, true);
  s.see(12, 2, true);
  s.ids.settle(std::nullopt, s.holes);
  ASSERT_EQ(s.holes.size(), 2u);
  EXPECT_EQ(s.holes[0].last_id, 10u);
  EXPECT_EQ(s.holes[0].next_id, 12u);
  EXPECT_EQ(s.holes[1].last_id, 12u);
  EXPECT_EQ(s.holes[1].next_id, 14u);
}

TEST(TradeIds, WaitingHolesAreBounded) {
  Series s;
  s.see(1, 1);
  for (std::uint64_t i = 0; i < 200; ++i) s.see(10 + i * 2, 2, true);
  EXPECT_LE(s.ids.waiting(), TradeIds::kMaxWaiting);
  s.ids.settle(std::nullopt, s.holes);
  EXPECT_EQ(s.holes.size(), 200u);
}

// Whatever arrives: an id is either published once or inside a hole, and never both.
TEST(TradeIds, EveryIdIsPublishedOnceOrInsideAHole) {
  for (unsigned seed = 0; seed < 200; ++seed) {
    std::mt19937 random(seed);
    Series s;
    std::multiset<std::uint64_t> published;
    std::uint64_t a = 1;
    std::uint64_t b = 1;
    const auto deliver = [&](std::uint64_t id) {
      if (s.see(id, static_cast<std::int64_t>(id), true) == Verdict::accept) published.insert(id);
    };
    deliver(1);
    while (a < 100 || b < 100) {
      auto& side = random() % 2 ? a : b;
      if (side >= 100) continue;
      ++side;
      if (random() % 5 != 0) deliver(side);
    }
    s.ids.settle(std::nullopt, s.holes);
    const auto last = *published.rbegin();
    for (std::uint64_t id = 1; id <= last; ++id) {
      int in_holes = 0;
      for (const auto& hole : s.holes) in_holes += hole.last_id < id && id < hole.next_id ? 1 : 0;
      ASSERT_EQ(published.count(id) + static_cast<std::size_t>(in_holes), 1u) << "seed " << seed << " id " << id;
    }
  }
}

TEST(TradeIds, SavedStateContinues) {
  Series s;
  s.see(10, 1);
  s.see(13, 4, true);
  s.ids.interrupted(GapCause::disconnected);
  std::string saved;
  {
    StateWriter out(saved, "ids", 1);
    s.ids.save(out);
  }
  Series t;
  StateReader in(saved, "ids", 1);
  t.ids.restore(in);
  ASSERT_TRUE(in.finish());
  for (auto* series : {&s, &t}) {
    series->see(11, 2, true);
    series->see(20, 9, false);
  }
  ASSERT_EQ(s.holes.size(), t.holes.size());
  ASSERT_EQ(t.holes.size(), 2u);
  for (std::size_t i = 0; i < s.holes.size(); ++i) {
    EXPECT_EQ(s.holes[i].last_id, t.holes[i].last_id);
    EXPECT_EQ(s.holes[i].next_id, t.holes[i].next_id);
    EXPECT_EQ(s.holes[i].cause, t.holes[i].cause);
  }
}

}  // namespace
}  // namespace mp
