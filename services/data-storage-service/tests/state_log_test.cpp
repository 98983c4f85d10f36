#include "data-storage-service/src/state_log.hpp"

#include <gtest/gtest.h>

namespace mp::storage {
namespace {

using namespace std::chrono_literals;
using State = WorkerState;

TEST(StateLog, TellsAChangeOnce) {
  StateLog log;
  const MonoTime now{1h};
  EXPECT_FALSE(log.see(State::waiting_for_nats, "", now)) << "how it begins";
  const auto line = log.see(State::running, "", now);
  ASSERT_TRUE(line);
  EXPECT_EQ(line->before, State::waiting_for_nats);
  EXPECT_EQ(line->unsaid, 0u);
  EXPECT_FALSE(log.see(State::running, "", now + 1h));
}

TEST(StateLog, ATroubleThatComesAndGoesIsToldAFewTimesAndThenCounted) {
  StateLog log;
  MonoTime now{1h};
  int told = 0;
  for (int i = 0; i < 100; ++i, now += 100ms)
    told += log.see(i % 2 == 0 ? State::running : State::waiting_for_lease, "lost", now) ? 1 : 0;
  EXPECT_EQ(told, 3);
  const auto late = log.see(State::waiting_for_lease, "lost", MonoTime{1h} + StateLog::kWindow);
  ASSERT_TRUE(late) << "what it came to is told in the end, without another change";
  EXPECT_EQ(late->before, State::running);
  EXPECT_EQ(late->unsaid, 96u);
}

TEST(StateLog, AnotherTroubleInTheSameStateIsToldOncePerWindow) {
  StateLog log;
  const MonoTime now{1h};
  ASSERT_TRUE(log.see(State::failing, "a", now));
  EXPECT_FALSE(log.see(State::failing, "b", now + 1s));
  EXPECT_FALSE(log.see(State::failing, "c", now + 29s));
  EXPECT_TRUE(log.see(State::failing, "c", now + 30s));
  EXPECT_FALSE(log.see(State::failing, "c", now + 31s));
}

TEST(StateLog, TheEndIsAlwaysTold) {
  StateLog log;
  const MonoTime now{1h};
  for (const auto state : {State::running, State::failing, State::running}) ASSERT_TRUE(log.see(state, "", now));
  EXPECT_FALSE(log.see(State::failing, "", now));
  EXPECT_TRUE(log.see(State::stopped, "", now));
}

}  // namespace
}  // namespace mp::storage
