#include "net/loop.hpp"

#include <gtest/gtest.h>
#include <signal.h>

#include <thread>

namespace mp::net {
namespace {

using namespace std::chrono_literals;

TEST(Timer, TheLaterDeadlineReplacesTheEarlierOne) {
  Loop loop;
  Timer timer(loop);
  std::string ran;
  timer.set_after(1ms, [&] { ran += "first"; });
  timer.set_after(5ms, [&] {
    ran += "second";
    loop.stop();
  });
  loop.run();
  EXPECT_EQ(ran, "second");
  EXPECT_FALSE(timer.is_set());
}

TEST(Loop, TasksOfOtherThreadsRunOnTheLoopInOrder) {
  Loop loop;
  std::vector<int> order;
  std::thread other([&] {
    for (int i = 0; i < 100; ++i) loop.post([&order, i] { order.push_back(i); });
    loop.post([&] { loop.stop(); });
  });
  loop.run();
  other.join();
  ASSERT_EQ(order.size(), 100u);
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
}

TEST(Loop, SignalsArriveEachTime) {
  Loop loop;
  int count = 0;
  loop.on_signals({SIGUSR1}, [&](int) {
    if (++count == 2) return loop.stop();
    raise(SIGUSR1);
  });
  raise(SIGUSR1);
  loop.run();
  EXPECT_EQ(count, 2);
}

}  // namespace
}  // namespace mp::net
