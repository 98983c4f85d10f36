#include "sinks/clickhouse/tiers.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <random>
#include <set>

namespace mp::sinks::clickhouse {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr std::chrono::sys_days kDay{std::chrono::days{20'000}};

// Two tables in memory, as ClickHouse keeps them: parts with names, and block numbers that rise with inserts.
struct World {
  struct Row {
    std::int64_t stream = 0;
    RowKey key;
    std::uint64_t content = 0;
    friend auto operator<=>(const Row&, const Row&) = default;
  };
  struct Part {
    std::chrono::sys_days day;
    std::uint64_t block = 0;
    std::vector<Row> rows;
  };
  std::map<std::string, Part> hot;  // by name
  std::vector<std::pair<std::chrono::sys_days, Row>> cold;
  std::uint64_t blocks = 0;
  int names = 0;
  std::set<Row> all;  // that were ever inserted into the hot table

  void insert(std::chrono::sys_days day, std::vector<Row> rows) {
    all.insert(rows.begin(), rows.end());
    hot["p" + std::to_string(++names)] = {day, ++blocks, std::move(rows)};
  }
  void merge(std::chrono::sys_days day) {
    Part whole{day, 0, {}};
    for (auto at = hot.begin(); at != hot.end();) {
      if (at->second.day != day) {
        ++at;
        continue;
      }
      whole.block = std::max(whole.block, at->second.block);
      whole.rows.insert(whole.rows.end(), at->second.rows.begin(), at->second.rows.end());
      at = hot.erase(at);
    }
    if (!whole.rows.empty()) hot["m" + std::to_string(++names)] = std::move(whole);
  }

  std::vector<HotDay> list() const {
    std::map<std::chrono::sys_days, HotDay> days;
    for (const auto& [name, part] : hot) {
      auto& day = days[part.day];
      day.table = "trades";
      day.day = part.day;
      day.rows += part.rows.size();
      day.bytes += part.rows.size() * 100;
      day.highest_block = std::max(day.highest_block, part.block);
      day.parts.push_back(name);
    }
    std::vector<HotDay> out;
    for (auto& [key, day] : days) out.push_back(std::move(day));
    return out;
  }
  static void sum(Buckets& into, const Row& row, std::uint64_t width) {
    auto& bucket = into[{row.stream, row.key.sequence / width}];
    ++bucket.rows;
    bucket.hash += row.content * 1'000'003 + row.key.sequence * 31 + row.key.index;
  }
  std::vector<Row> hot_rows(std::chrono::sys_days day) const {
    std::vector<Row> rows;
    for (const auto& [name, part] : hot)
      if (part.day == day) rows.insert(rows.end(), part.rows.begin(), part.rows.end());
    std::ranges::sort(rows);
    return rows;
  }
  std::vector<Row> cold_rows(std::chrono::sys_days day) const {
    std::vector<Row> rows;
    for (const auto& [of, row] : cold)
      if (of == day) rows.push_back(row);
    std::ranges::sort(rows);
    return rows;
  }
  std::vector<Row> to_copy(const CopyRows& step) const {
    std::vector<Row> rows;
    for (const auto& row : hot_rows(step.day)) {
      if (row.stream != step.stream || row.key < step.first || step.last < row.key) continue;
      if (!step.only.empty() && !std::ranges::binary_search(step.only, row.key)) continue;
      rows.push_back(row);
    }
    return rows;
  }
};

struct Clock {
  Instant now{WallTime{(kDay + std::chrono::days{1}).time_since_epoch()} + 3h, MonoTime{} + 1000h};
  void pass(Nanos time) {
    now.wall += time;
    now.mono += std::chrono::duration_cast<MonoTime::duration>(time);
  }
};

enum class Fault { none, before, after };  // the step is lost before it is done, or its answer is

// Carries one step out; false when the planner rests.
bool carry_out(TierPlanner& planner, World& world, Clock& clock, Fault fault = Fault::none) {
  const auto step = planner.next(clock.now);
  if (std::holds_alternative<RestUntil>(step)) return false;
  if (fault == Fault::before) {
    planner.failed("the connection was cut", clock.now);
    return true;
  }
  const auto rows_of = [](const std::vector<World::Row>& rows, const ReadPrints& read) {
    std::vector<RowPrint> out;
    for (const auto& row : rows)
      if (row.stream == read.stream && row.key.sequence >= read.first && row.key.sequence <= read.last)
        out.push_back({row.key, row.content});
    return out;
  };
  const auto tell = [&](auto call) {
    if (fault == Fault::after)
      planner.failed("the answer was lost", clock.now);
    else
      call();
  };
  if (std::holds_alternative<ListDays>(step)) {
    tell([&] { planner.listed(world.list(), clock.now); });
  } else if (const auto* measure = std::get_if<Measure>(&step)) {
    const auto rows = world.hot_rows(measure->day);
    std::map<std::int64_t, std::pair<std::uint64_t, std::uint64_t>> spans;
    for (const auto& row : rows) {
      auto& span = spans.try_emplace(row.stream, row.key.sequence, row.key.sequence).first->second;
      span = {std::min(span.first, row.key.sequence), std::max(span.second, row.key.sequence)};
    }
    std::uint64_t sum = 0;
    for (const auto& [stream, span] : spans) sum += span.second - span.first + 1;
    tell([&] { planner.measured(sum); });
  } else if (const auto* sum_up = std::get_if<SumUp>(&step)) {
    Buckets hot, cold;
    for (const auto& name : sum_up->parts)
      if (const auto part = world.hot.find(name); part != world.hot.end())
        for (const auto& row : part->second.rows) World::sum(hot, row, sum_up->width);
    for (const auto& row : world.cold_rows(sum_up->day)) World::sum(cold, row, sum_up->width);
    tell([&] { planner.summed_up(hot, cold, clock.now); });
  } else if (const auto* read = std::get_if<ReadPrints>(&step)) {
    tell([&] {
      planner.prints(rows_of(world.hot_rows(read->day), *read), rows_of(world.cold_rows(read->day), *read), clock.now);
    });
  } else if (const auto* copy = std::get_if<CopyRows>(&step)) {
    const auto rows = world.to_copy(*copy);
    for (const auto& row : rows) world.cold.emplace_back(copy->day, row);
    tell([&] { planner.copied(rows.size(), clock.now); });
  } else if (const auto* drop = std::get_if<DropParts>(&step)) {
    bool all_there = true;
    for (const auto& name : drop->parts) {
      const auto part = world.hot.find(name);
      if (part == world.hot.end()) {
        all_there = false;
        break;
      }
      // The promise: nothing leaves the hot table that is not in the cold one.
      const auto cold = world.cold_rows(drop->day);
      for (const auto& row : part->second.rows)
        EXPECT_TRUE(std::ranges::binary_search(cold, row)) << "row " << row.key.sequence << " is lost";
      world.hot.erase(part);
      if (fault == Fault::after) break;  // died between two of them
    }
    if (!all_there)
      planner.failed("no such part", clock.now);
    else
      tell([&] { planner.dropped(clock.now); });
  }
  return true;
}

void run_until_rest(TierPlanner& planner, World& world, Clock& clock) {
  for (int i = 0; i < 10'000; ++i)
    if (!carry_out(planner, world, clock)) return;
  FAIL() << "it does not come to rest";
}

std::vector<World::Row> some_rows(std::uint64_t first, std::uint64_t count, std::int64_t stream = 5) {
  std::vector<World::Row> rows;
  for (std::uint64_t i = 0; i < count; ++i)
    rows.push_back({stream, {first + i / 2, static_cast<std::uint32_t>(i % 2)}, first + i});
  return rows;
}

void expect_cold_once(const World& world) {
  std::multiset<World::Row> cold;
  for (const auto& [day, row] : world.cold) cold.insert(row);
  for (const auto& row : world.all) EXPECT_EQ(cold.count(row), 1u) << row.key.sequence << "-" << row.key.index;
  EXPECT_EQ(cold.size(), world.all.size());
}

TierRules rules() {
  TierRules rules;
  rules.chunk_bytes = 1'000;  // ten rows
  return rules;
}

TEST(Tiers, ADayIsCopiedOnceItIsOverAndSettledAndThenVerified) {
  World world;
  Clock clock;
  clock.pass(-2h);
  world.insert(kDay, some_rows(100, 57));
  world.insert(kDay, some_rows(500, 8, 6));
  TierPlanner planner(rules());
  run_until_rest(planner, world, clock);
  EXPECT_THAT(world.cold, IsEmpty()) << "an hour after its end rows may still come";
  EXPECT_EQ(planner.status(clock.now.wall).tables["trades"].days_waiting, 0u);
  clock.pass(2h);
  run_until_rest(planner, world, clock);
  expect_cold_once(world);
  EXPECT_EQ(world.hot.size(), 2u) << "dropped later";
  const auto status = planner.status(clock.now.wall);
  EXPECT_EQ(status.tables.at("trades").last_verified, kDay);
  EXPECT_EQ(status.rows_copied, 65u);
  EXPECT_EQ(status.lag, 0s);
  EXPECT_TRUE(planner.done());
  EXPECT_THAT(status.expiring, IsEmpty());
}

TEST(Tiers, ADayThatHasNotChangedIsNotReadAgainAndOneThatHasGetsWhatIsMissing) {
  World world;
  Clock clock;
  world.insert(kDay, some_rows(100, 40));
  TierPlanner planner(rules());
  run_until_rest(planner, world, clock);
  clock.pass(61s);
  EXPECT_TRUE(std::holds_alternative<ListDays>(planner.next(clock.now)));
  planner.listed(world.list(), clock.now);
  EXPECT_TRUE(std::holds_alternative<RestUntil>(planner.next(clock.now)));
  world.merge(kDay);
  clock.pass(61s);
  planner.next(clock.now);
  planner.listed(world.list(), clock.now);
  EXPECT_TRUE(std::holds_alternative<RestUntil>(planner.next(clock.now))) << "a merge brings nothing new";

  world.insert(kDay, some_rows(90, 5));
  world.insert(kDay, some_rows(300, 3));
  clock.pass(61s);
  run_until_rest(planner, world, clock);
  expect_cold_once(world);
  EXPECT_EQ(planner.status(clock.now.wall).rows_copied, 48u);
}

TEST(Tiers, PartsAreDroppedOnlyAfterAVerificationAndByName) {
  World world;
  Clock clock;
  world.insert(kDay, some_rows(100, 40));
  TierPlanner planner(rules());
  run_until_rest(planner, world, clock);
  clock.pass(40h);
  // Up to the drop, then a late row comes.
  while (!std::holds_alternative<DropParts>(planner.next(clock.now))) ASSERT_TRUE(carry_out(planner, world, clock));
  world.insert(kDay, some_rows(700, 2));
  ASSERT_TRUE(carry_out(planner, world, clock));
  EXPECT_EQ(world.hot_rows(kDay).size(), 2u) << "the late rows stay";
  run_until_rest(planner, world, clock);
  clock.pass(61s);
  run_until_rest(planner, world, clock);
  EXPECT_THAT(world.hot, IsEmpty());
  expect_cold_once(world);
}

TEST(Tiers, AMergeBeforeTheDropOnlyPutsItOff) {
  World world;
  Clock clock;
  world.insert(kDay, some_rows(100, 20));
  world.insert(kDay, some_rows(200, 20));
  clock.pass(50h);
  TierPlanner planner(rules());
  while (!std::holds_alternative<DropParts>(planner.next(clock.now))) ASSERT_TRUE(carry_out(planner, world, clock));
  world.insert(kDay, some_rows(900, 2));
  world.merge(kDay);
  ASSERT_TRUE(carry_out(planner, world, clock));
  EXPECT_EQ(world.hot_rows(kDay).size(), 42u);
  EXPECT_THAT(planner.status(clock.now.wall).trouble, HasSubstr("no such part"));
  clock.pass(10min);
  run_until_rest(planner, world, clock);
  EXPECT_THAT(world.hot, IsEmpty());
  expect_cold_once(world);
}

TEST(Tiers, WithoutADropDaysAreLeftToExpire) {
  World world;
  Clock clock;
  world.insert(kDay, some_rows(100, 20));
  auto keep = rules();
  keep.drop_after = 0ns;
  TierPlanner planner(keep);
  clock.pass(1000h);
  run_until_rest(planner, world, clock);
  EXPECT_EQ(world.hot.size(), 1u);
  expect_cold_once(world);
}

TEST(Tiers, RowsThatOnlyTheColdTableHasAreNoHindrance) {
  World world;
  Clock clock;
  world.insert(kDay, some_rows(100, 30));
  world.cold.emplace_back(kDay, World::Row{5, {104, 9}, 1});  // came late and went there at once
  TierPlanner planner(rules());
  run_until_rest(planner, world, clock);
  EXPECT_EQ(planner.status(clock.now.wall).tables["trades"].last_verified, kDay);
  EXPECT_EQ(world.cold.size(), 31u);
}

TEST(Tiers, ARowOfOtherContentIsNeverDroppedAndTold) {
  World world;
  Clock clock;
  world.insert(kDay, some_rows(100, 30));
  world.cold.emplace_back(kDay, World::Row{5, {104, 0}, 4711});
  clock.pass(60h);
  TierPlanner planner(rules());
  run_until_rest(planner, world, clock);
  EXPECT_EQ(world.hot_rows(kDay).size(), 30u);
  const auto status = planner.status(clock.now.wall);
  EXPECT_THAT(status.conflicts, ElementsAre("trades 2024-10-04"));
  EXPECT_THAT(status.expiring, ElementsAre("trades 2024-10-04"));
  EXPECT_FALSE(status.tables.at("trades").last_verified);
}

TEST(Tiers, AColdRowThatIsThereTwiceIsTold) {
  World world;
  Clock clock;
  world.insert(kDay, some_rows(100, 4));
  const auto row = some_rows(100, 1).front();
  world.cold.emplace_back(kDay, row);
  world.cold.emplace_back(kDay, row);
  TierPlanner planner(rules());
  run_until_rest(planner, world, clock);
  EXPECT_THAT(planner.status(clock.now.wall).conflicts, ElementsAre("trades 2024-10-04"));
}

TEST(Tiers, ADayThatIsNotVerifiedInTimeIsTold) {
  World world;
  Clock clock;
  world.insert(kDay, some_rows(100, 4));
  TierPlanner planner(rules());
  planner.next(clock.now);
  planner.listed(world.list(), clock.now);
  planner.failed("cold ClickHouse: no route", clock.now);
  EXPECT_EQ(planner.status(clock.now.wall).lag, 1h);
  EXPECT_THAT(planner.status(clock.now.wall).expiring, IsEmpty());
  clock.pass(33h);  // 60 h after its beginning: 12 before its first rows expire
  EXPECT_THAT(planner.status(clock.now.wall).expiring, ElementsAre("trades 2024-10-04"));
  EXPECT_EQ(planner.status(clock.now.wall).trouble, "cold ClickHouse: no route");
  run_until_rest(planner, world, clock);
  EXPECT_THAT(planner.status(clock.now.wall).expiring, IsEmpty());
  EXPECT_EQ(planner.status(clock.now.wall).trouble, "");
}

TEST(Tiers, TheOldestDayComesFirst) {
  World world;
  Clock clock;
  world.insert(kDay, some_rows(100, 4));
  world.insert(kDay - std::chrono::days{1}, some_rows(50, 4));
  TierPlanner planner(rules());
  carry_out(planner, world, clock);
  EXPECT_EQ(std::get<Measure>(planner.next(clock.now)).day, kDay - std::chrono::days{1});
}

// Killed before or after any step, or with its answer lost: nothing is lost and nothing is there twice.
TEST(Tiers, DyingAnywhereLosesNothingAndDoublesNothing) {
  int steps = 0;
  for (const auto fault : {Fault::before, Fault::after}) {
    for (const bool dies : {false, true}) {
      for (int at = 0;; ++at) {
        World world;
        Clock clock;
        world.insert(kDay, some_rows(100, 35));
        world.insert(kDay, some_rows(400, 10, 6));
        world.cold.emplace_back(kDay, some_rows(100, 3)[2]);
        clock.pass(50h);
        auto planner = std::make_unique<TierPlanner>(rules());
        bool was_hit = false;
        for (int i = 0; i < 1000; ++i) {
          const bool hit = i == at;
          if (!carry_out(*planner, world, clock, hit ? fault : Fault::none)) {
            if (world.hot.empty()) break;
            clock.pass(10min);
            continue;
          }
          was_hit = was_hit || hit;
          if (hit && dies) planner = std::make_unique<TierPlanner>(rules());
        }
        EXPECT_THAT(world.hot, IsEmpty()) << at;
        expect_cold_once(world);
        if (!was_hit) break;
        steps = std::max(steps, at);
      }
    }
  }
  EXPECT_GT(steps, 10) << "there was something to be interrupted";
}

// The same with everything at once, by chance: inserts, merges, faults and deaths between any two steps.
TEST(Tiers, WhateverHappensBetweenTheStepsEveryRowEndsInTheColdTableOnce) {
  for (unsigned seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    const auto one_in = [&](unsigned n) { return random() % n == 0; };
    World world;
    Clock clock;
    std::uint64_t sequence = 100;
    const auto insert = [&] {
      world.insert(kDay - std::chrono::days{static_cast<int>(random() % 2)},
                   some_rows(sequence, 1 + random() % 30, 5 + static_cast<std::int64_t>(random() % 2)));
      sequence += 20;
    };
    insert();
    insert();
    clock.pass(30h);
    auto planner = std::make_unique<TierPlanner>(rules());
    for (int i = 0; i < 400; ++i) {
      if (one_in(12)) insert();
      if (one_in(10)) world.merge(kDay - std::chrono::days{static_cast<int>(random() % 2)});
      if (one_in(40)) planner = std::make_unique<TierPlanner>(rules());
      const auto fault = one_in(10) ? (one_in(2) ? Fault::before : Fault::after) : Fault::none;
      if (!carry_out(*planner, world, clock, fault)) clock.pass(5min);
    }
    clock.pass(100h);
    for (int i = 0; i < 5000 && !world.hot.empty(); ++i)
      if (!carry_out(*planner, world, clock)) clock.pass(10min);
    EXPECT_THAT(world.hot, IsEmpty());
    expect_cold_once(world);
  }
}

TEST(Tiers, FewMissingRowsAmongManyAreCopiedByName) {
  World world;
  Clock clock;
  world.insert(kDay, some_rows(100, 10));
  for (const auto& row : some_rows(100, 10))
    if (row.content % 3 != 0) world.cold.emplace_back(kDay, row);
  TierPlanner planner(rules());
  std::vector<CopyRows> copies;
  for (;;) {
    const auto step = planner.next(clock.now);
    if (const auto* copy = std::get_if<CopyRows>(&step)) copies.push_back(*copy);
    if (!carry_out(planner, world, clock)) break;
  }
  ASSERT_FALSE(copies.empty());
  std::uint64_t rows = 0;
  for (const auto& copy : copies) rows += copy.rows;
  EXPECT_EQ(rows, 3u);
  expect_cold_once(world);
}

}  // namespace
}  // namespace mp::sinks::clickhouse
