#include "app/launcher/supervisor.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace std::chrono_literals;

namespace mp::launcher {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using Kind = Action::Kind;
using Step = StopStep::Kind;

constexpr std::size_t kBus = 0, kStore = 1, kSource = 2;

Rules three_parts() {
  return {.parts = {{"bus"}, {"store"}, {"source"}},
          .stop = {{Step::terminate, kSource, 10s},
                   {Step::drain, kStore, 20s},
                   {Step::check, kStore, 10s},
                   {Step::terminate, kStore, 10s},
                   {Step::terminate, kBus, 10s}}};
}

// A clock and a supervisor, so that a test reads like a story.
struct Story {
  explicit Story(Rules rules = three_parts()) : supervisor(std::move(rules)) {}
  std::vector<Action> next() { return supervisor.next(now); }
  std::vector<Action> after(std::chrono::milliseconds time) {
    now += time;
    return next();
  }
  std::vector<Action> ready(std::size_t part) {
    supervisor.on_ready(part, now);
    return next();
  }
  std::vector<Action> dies(std::size_t part, bool success = false, bool bad_usage = false) {
    supervisor.on_exit(part, success, bad_usage, now);
    return next();
  }
  void all_run() {
    next();
    for (const auto part : {kBus, kStore, kSource}) ready(part);
    ASSERT_TRUE(supervisor.all_ready());
  }
  std::vector<Action> stop() {
    supervisor.request_stop(now);
    return next();
  }
  PartState state(std::size_t part) { return supervisor.view(part).state; }

  MonoTime now{1h};
  Supervisor supervisor;
};

TEST(Supervisor, EachPartStartsOnlyWhenThoseBeforeAreReady) {
  Story story;
  EXPECT_THAT(story.next(), ElementsAre(Action{Kind::start, kBus}));
  EXPECT_THAT(story.after(5s), IsEmpty());
  EXPECT_THAT(story.ready(kBus), ElementsAre(Action{Kind::start, kStore}));
  EXPECT_THAT(story.ready(kStore), ElementsAre(Action{Kind::start, kSource}));
  EXPECT_FALSE(story.supervisor.all_ready());
  EXPECT_THAT(story.ready(kSource), IsEmpty());
  EXPECT_TRUE(story.supervisor.all_ready());
}

TEST(Supervisor, APartThatDiesIsStartedAgainAloneWithGrowingCappedPauses) {
  Story story;
  story.all_run();
  std::chrono::milliseconds pause = 250ms;
  for (int i = 1; i <= 10; ++i) {
    EXPECT_THAT(story.dies(kBus), IsEmpty());
    EXPECT_EQ(story.state(kStore), PartState::running);
    EXPECT_THAT(story.after(pause - 1ms), IsEmpty());
    EXPECT_EQ(story.supervisor.wake_at(), story.now + 1ms);
    EXPECT_THAT(story.after(1ms), ElementsAre(Action{Kind::start, kBus}));
    story.ready(kBus);
    EXPECT_EQ(story.supervisor.view(kBus).restarts, i);
    pause = std::min<std::chrono::milliseconds>(pause * 2, 10s);
  }
}

TEST(Supervisor, ThePauseIsShortAgainAfterAStableWhile) {
  Story story;
  story.all_run();
  for (int i = 0; i < 5; ++i) {
    story.dies(kBus);
    story.after(10s);
    story.ready(kBus);
  }
  story.after(30s);
  story.dies(kBus);
  EXPECT_THAT(story.after(250ms), ElementsAre(Action{Kind::start, kBus}));
}

TEST(Supervisor, GivesUpAfterThreeFailedFirstStartsAndStopsWhatRuns) {
  Story story;
  story.next();
  story.ready(kBus);
  story.dies(kStore);
  EXPECT_THAT(story.after(250ms), ElementsAre(Action{Kind::start, kStore}));
  story.dies(kStore);
  EXPECT_THAT(story.after(500ms), ElementsAre(Action{Kind::start, kStore}));
  EXPECT_THAT(story.dies(kStore), ElementsAre(Action{Kind::terminate, kBus}));
  ASSERT_TRUE(story.supervisor.failure());
  EXPECT_EQ(story.supervisor.failure()->part, kStore);
  EXPECT_EQ(story.supervisor.failure()->kind, Supervisor::Failure::Kind::ended);
  EXPECT_THAT(story.dies(kBus), IsEmpty());
  EXPECT_TRUE(story.supervisor.over());
  EXPECT_TRUE(story.supervisor.check_skipped());
}

TEST(Supervisor, WrongUsageIsNotTriedAgain) {
  Story story;
  story.next();
  story.dies(kBus, false, true);
  EXPECT_EQ(story.supervisor.failure()->kind, Supervisor::Failure::Kind::usage);
  EXPECT_TRUE(story.supervisor.over());
}

TEST(Supervisor, WrongUsageThatShowsSoonAfterTheStartIsNotTriedAgainEither) {
  Story story;
  story.all_run();
  story.after(2s);
  EXPECT_THAT(story.dies(kSource, false, true), ElementsAre(Action{Kind::terminate, kStore}));
  EXPECT_EQ(story.supervisor.failure()->kind, Supervisor::Failure::Kind::usage);
}

TEST(Supervisor, APartThatHasRunForLongIsStartedAgainWhateverItSays) {
  Story story;
  story.all_run();
  story.after(30s);
  story.dies(kSource, false, true);
  EXPECT_FALSE(story.supervisor.failure());
  EXPECT_THAT(story.after(250ms), ElementsAre(Action{Kind::start, kSource}));
  story.dies(kSource, false, true);
  EXPECT_FALSE(story.supervisor.failure());
}

TEST(Supervisor, GivesUpOnAPartThatIsNeverReady) {
  Story story;
  story.next();
  EXPECT_EQ(story.supervisor.wake_at(), story.now + 60s);
  EXPECT_THAT(story.after(60s), ElementsAre(Action{Kind::terminate, kBus}));
  EXPECT_EQ(story.supervisor.failure()->kind, Supervisor::Failure::Kind::not_ready);
}

TEST(Supervisor, StopsStepByStepAndWaitsForTheDrainAndTheCheck) {
  Story story;
  story.all_run();
  EXPECT_THAT(story.stop(), ElementsAre(Action{Kind::terminate, kSource}));
  EXPECT_THAT(story.after(5s), IsEmpty());
  EXPECT_THAT(story.dies(kSource), IsEmpty());  // now draining
  EXPECT_THAT(story.after(5s), IsEmpty());
  story.supervisor.on_drained(kStore, true);
  EXPECT_THAT(story.next(), ElementsAre(Action{Kind::check, kStore}));
  EXPECT_THAT(story.after(1s), IsEmpty());
  story.supervisor.on_checked();
  EXPECT_THAT(story.next(), ElementsAre(Action{Kind::terminate, kStore}));
  EXPECT_THAT(story.dies(kStore), ElementsAre(Action{Kind::terminate, kBus}));
  EXPECT_FALSE(story.supervisor.over());
  EXPECT_THAT(story.dies(kBus), IsEmpty());
  EXPECT_TRUE(story.supervisor.over());
  EXPECT_FALSE(story.supervisor.check_skipped());
}

TEST(Supervisor, APartThatDoesNotEndInTimeIsKilled) {
  Story story;
  story.all_run();
  story.stop();
  EXPECT_THAT(story.after(9s), IsEmpty());
  EXPECT_THAT(story.after(1s), ElementsAre(Action{Kind::kill, kSource}));
  EXPECT_THAT(story.after(5s), IsEmpty());
}

TEST(Supervisor, ADrainHasItsLimit) {
  Story story;
  story.all_run();
  story.stop();
  story.dies(kSource);
  EXPECT_THAT(story.after(19s), IsEmpty());
  EXPECT_THAT(story.after(1s), ElementsAre(Action{Kind::check, kStore}));
}

TEST(Supervisor, APartThatDiesDuringTheDrainIsStartedAgainAndDrains) {
  Story story;
  story.all_run();
  story.stop();
  story.dies(kSource);
  EXPECT_THAT(story.dies(kBus), IsEmpty());
  EXPECT_THAT(story.after(250ms), ElementsAre(Action{Kind::start, kBus}));
  EXPECT_THAT(story.dies(kStore), IsEmpty());
  EXPECT_THAT(story.after(250ms), ElementsAre(Action{Kind::start, kStore}));
}

TEST(Supervisor, AStopWhileStartingStartsNothingMore) {
  Story story;
  story.next();
  story.ready(kBus);
  EXPECT_THAT(story.stop(), ElementsAre(Action{Kind::terminate, kStore}));
  EXPECT_THAT(story.dies(kStore), ElementsAre(Action{Kind::terminate, kBus}));
  story.dies(kBus);
  EXPECT_TRUE(story.supervisor.over());
}

TEST(Supervisor, AForcedStopKillsEverythingAtOnce) {
  Story story;
  story.all_run();
  story.stop();
  story.supervisor.force_stop();
  EXPECT_THAT(story.next(),
              ElementsAre(Action{Kind::kill, kBus}, Action{Kind::kill, kStore}, Action{Kind::kill, kSource}));
  EXPECT_THAT(story.next(), IsEmpty());
  for (const auto part : {kBus, kStore, kSource}) story.dies(part);
  EXPECT_TRUE(story.supervisor.over());
}

TEST(Supervisor, APartThatMayFinishEndsWithoutARestart) {
  auto rules = three_parts();
  rules.parts[kSource].may_finish = true;
  Story story(rules);
  story.all_run();
  EXPECT_THAT(story.dies(kSource, true), IsEmpty());
  EXPECT_TRUE(story.supervisor.finished(kSource));
  EXPECT_THAT(story.after(1min), IsEmpty());
  EXPECT_THAT(story.stop(), IsEmpty());  // straight to the drain
  story.supervisor.on_drained(kStore, true);
  EXPECT_THAT(story.next(), ElementsAre(Action{Kind::check, kStore}));
}

TEST(Supervisor, AFinishingPartThatFailsIsStartedAgain) {
  auto rules = three_parts();
  rules.parts[kSource].may_finish = true;
  Story story(rules);
  story.all_run();
  story.dies(kSource, false);
  EXPECT_THAT(story.after(250ms), ElementsAre(Action{Kind::start, kSource}));
}

struct Sick : Story {
  static Rules rules() {
    auto rules = three_parts();
    rules.parts[kBus].mend_after = 15s;
    return rules;
  }
  Sick() : Story(rules()) { all_run(); }
  std::vector<Action> is_well(bool well) {
    for (const auto part : {kBus, kStore, kSource}) supervisor.on_health(part, well, now);
    return next();
  }
};

TEST(Supervisor, APartThatLivesAndIsNotWellForLongIsStartedAgain) {
  Sick story;
  EXPECT_THAT(story.is_well(false), IsEmpty());
  EXPECT_EQ(story.supervisor.wake_at(), story.now + 15s);
  EXPECT_THAT(story.after(14'999ms), IsEmpty());
  EXPECT_THAT(story.after(1ms), ElementsAre(Action{Kind::mend, kBus}))
      << "and only that one: the others have no such rule";
  EXPECT_THAT(story.is_well(false), IsEmpty()) << "it is ending";
  story.dies(kBus);
  EXPECT_THAT(story.after(250ms), ElementsAre(Action{Kind::start, kBus}));
  EXPECT_EQ(story.state(kStore), PartState::running);
  EXPECT_FALSE(story.supervisor.failure());
}

TEST(Supervisor, APartThatIsNotWellForAMomentIsLeftAlone) {
  Sick story;
  for (int i = 0; i < 5; ++i) {
    story.is_well(false);
    EXPECT_THAT(story.after(14s), IsEmpty());
    story.is_well(true);
    EXPECT_THAT(story.after(14s), IsEmpty());
  }
}

TEST(Supervisor, StartingAgainInVainIsTriedLessAndLessOftenUntilItIsWellForLong) {
  Sick story;
  const auto mend = [&](std::chrono::milliseconds limit) {
    story.is_well(false);
    EXPECT_THAT(story.after(limit - 1ms), IsEmpty());
    EXPECT_THAT(story.after(1ms), ElementsAre(Action{Kind::mend, kBus}));
    story.dies(kBus);
    EXPECT_THAT(story.after(10s), ElementsAre(Action{Kind::start, kBus}));
    story.ready(kBus);
  };
  for (const auto limit : {15s, 30s, 60s, 120s, 240s, 240s}) mend(limit);
  story.is_well(true);
  story.after(30s);
  story.is_well(true);
  mend(15s);
}

TEST(Supervisor, AMendThatIsRefusedIsAskedForAgain) {
  Sick story;
  story.is_well(false);
  EXPECT_THAT(story.after(15s), ElementsAre(Action{Kind::mend, kBus}));
  story.supervisor.on_mend_refused(kBus, story.now);
  EXPECT_EQ(story.supervisor.wake_at(), story.now + 2s);
  EXPECT_THAT(story.after(1'999ms), IsEmpty());
  EXPECT_THAT(story.after(1ms), ElementsAre(Action{Kind::mend, kBus}));
}

TEST(Supervisor, APartThatDoesNotEndForItsMendIsKilledOnce) {
  Sick story;
  story.is_well(false);
  story.after(15s);
  EXPECT_EQ(story.supervisor.wake_at(), story.now + 10s);
  EXPECT_THAT(story.after(10s), ElementsAre(Action{Kind::kill, kBus}));
  EXPECT_THAT(story.after(10s), IsEmpty());
  EXPECT_EQ(story.supervisor.wake_at(), std::nullopt);
  story.dies(kBus);
  EXPECT_THAT(story.after(250ms), ElementsAre(Action{Kind::start, kBus}));
}

TEST(Supervisor, WhatIsReadAtItsStartMayTakeAsLongAsTheFirstTime) {
  Sick story;
  story.dies(kBus);
  story.after(250ms);
  story.is_well(false);
  EXPECT_THAT(story.after(59s), IsEmpty());
  EXPECT_THAT(story.after(1s), ElementsAre(Action{Kind::mend, kBus}));
}

TEST(Supervisor, NothingIsMendedWhileEverythingStops) {
  Sick story;
  story.is_well(false);
  story.stop();
  EXPECT_THAT(story.after(9s), IsEmpty());
  story.dies(kSource);
  EXPECT_THAT(story.after(15s), IsEmpty());
}

// Whatever happens in whatever order: it ends, and nothing is started after the end.
TEST(Supervisor, AlwaysComesToAnEnd) {
  std::uint64_t random = 1;
  const auto below = [&](std::uint64_t n) {
    random = random * 6364136223846793005ull + 1442695040888963407ull;
    return (random >> 33) % n;
  };
  for (int round = 0; round < 2000; ++round) {
    auto rules = three_parts();
    rules.parts[kBus].mend_after = 1s;
    Story story(rules);
    std::vector<bool> runs(3, false);
    const auto carry_out = [&](const std::vector<Action>& actions) {
      for (const auto& action : actions) {
        if (action.kind == Kind::start) {
          EXPECT_FALSE(runs[action.part]) << "started twice";
          runs[action.part] = true;
        }
        if (action.kind == Kind::kill) {
          runs[action.part] = false;
          story.supervisor.on_exit(action.part, false, false, story.now);
        }
        if (action.kind == Kind::check && below(2) == 0) story.supervisor.on_checked();
        if (action.kind == Kind::mend && below(2) == 0) story.supervisor.on_mend_refused(action.part, story.now);
      }
    };
    for (int i = 0; i < 30; ++i) {
      const auto part = below(3);
      if (below(3) == 0 && runs[part]) {
        runs[part] = false;
        story.supervisor.on_exit(part, below(2) == 0, false, story.now);
      } else if (runs[part]) {
        story.supervisor.on_ready(part, story.now);
        story.supervisor.on_health(part, below(2) == 0, story.now);
      }
      carry_out(story.after(std::chrono::milliseconds(below(3000))));
    }
    story.supervisor.request_stop(story.now);
    for (int i = 0; i < 400 && !story.supervisor.over(); ++i) carry_out(story.after(1s));
    EXPECT_TRUE(story.supervisor.over()) << "round " << round;
    EXPECT_THAT(runs, ElementsAre(false, false, false));
    EXPECT_THAT(story.after(1h), IsEmpty());
  }
}

}  // namespace
}  // namespace mp::launcher
