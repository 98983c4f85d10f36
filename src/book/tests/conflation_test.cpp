#include "book/conflation.hpp"

#include <gtest/gtest.h>

namespace mp::book {
namespace {

using namespace std::chrono_literals;
constexpr WallTime at(std::int64_t ms) { return wall_from_nanos(ms * 1'000'000); }

TEST(ConflationClock, FirstChangeAfterQuietIsShownAtOnceTheNextWaits) {
  ConflationClock clock{100ms};
  EXPECT_TRUE(clock.changed(at(1000)));
  EXPECT_FALSE(clock.changed(at(1010)));
  EXPECT_FALSE(clock.changed(at(1050)));
  EXPECT_EQ(clock.deadline(), at(1100));
  EXPECT_FALSE(clock.due(at(1099)));
  EXPECT_TRUE(clock.due(at(1100)));
  EXPECT_FALSE(clock.due(at(1200))) << "nothing has changed since";
  EXPECT_EQ(clock.deadline(), std::nullopt);
}

TEST(ConflationClock, LateRecordShowsWhatWasDueAsOfItsDeadline) {
  ConflationClock clock{100ms};
  EXPECT_TRUE(clock.changed(at(0)));
  EXPECT_FALSE(clock.changed(at(50)));
  EXPECT_TRUE(clock.due(at(700)));
  EXPECT_TRUE(clock.changed(at(700))) << "the deadline was at 100, so the interval is over";
}

TEST(ConflationClock, NothingIsShownForABookThatIsNotGood) {
  ConflationClock clock{100ms};
  clock.changed(at(0));
  clock.changed(at(10));
  clock.drop();
  EXPECT_FALSE(clock.due(at(1000)));
}

TEST(ConflationClock, AClockSetBackDoesNotSilenceTheSeries) {
  ConflationClock clock{100ms};
  EXPECT_TRUE(clock.changed(at(1'000'000)));
  EXPECT_FALSE(clock.changed(at(5)));
  EXPECT_TRUE(clock.due(at(105)));
}

TEST(ConflationClock, NeverMoreThanOnePerInterval) {
  ConflationClock clock{100ms};
  int shown = 0;
  for (int ms = 0; ms < 10'000; ms += 7) {
    shown += clock.due(at(ms)) ? 1 : 0;
    shown += clock.changed(at(ms)) ? 1 : 0;
  }
  EXPECT_LE(shown, 101);
  EXPECT_GE(shown, 95);
}

}  // namespace
}  // namespace mp::book
