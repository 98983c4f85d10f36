#include "base/time.hpp"

#include <gtest/gtest.h>

#include "base/backoff.hpp"

namespace mp {
namespace {

TEST(Time, IsoHasNineDecimalsAndReadsBack) {
  const auto t = wall_from_nanos(1'763'833'470'123'000'001);
  EXPECT_EQ(iso(t), "2025-11-22T17:44:30.123000001Z");
  EXPECT_EQ(*parse_iso(iso(t)), t);
  EXPECT_EQ(*parse_iso("2025-11-22 17:44:30.123000001"), t);
  EXPECT_EQ(*parse_iso("2025-11-22T17:44:30.123000001+00:00"), t);
  EXPECT_EQ(iso(*parse_iso("1970-01-01T00:00:00Z")), "1970-01-01T00:00:00.000000000Z");
}

TEST(Time, RefusesWhatIsNoTime) {
  for (const char* text : {"", "2025-11-22", "2025-13-22T00:00:00Z", "2025-02-30T00:00:00Z", "2025-11-22T24:00:00Z",
                           "2025-11-22T17:44:30+08:00", "2025-11-22T17:44:30.Z", "2025-11-22T17:44:30.1234567891Z",
                           "1969-12-31T23:59:59Z", "2300-01-01T00:00:00Z"}) {
    EXPECT_FALSE(parse_iso(text)) << text;
  }
}

TEST(Time, EpochSecondsAreExact) {
  EXPECT_EQ(nanos_since_epoch(*parse_epoch_seconds("1626992741.3105128")), 1'626'992'741'310'512'800);
  EXPECT_EQ(nanos_since_epoch(*parse_epoch_seconds("1626992741")), 1'626'992'741'000'000'000);
  std::string text;
  append_epoch_seconds(text, wall_from_nanos(1'626'992'741'081'672'000));
  EXPECT_EQ(text, "1626992741.081672");
  text.clear();
  append_epoch_seconds(text, wall_from_nanos(1'626'992'740'000'000'000));
  EXPECT_EQ(text, "1626992740");
  for (const char* bad : {"", "-1", "1.", "1e9", "x", "1626992741.0000000001", "99999999999"})
    EXPECT_FALSE(parse_epoch_seconds(bad)) << bad;
}

TEST(Time, MillisecondsBeyondTheRangeAreRefused) {
  EXPECT_EQ(iso(*wall_from_millis(1'790'000'000'123)), "2026-09-21T14:13:20.123000000Z");
  EXPECT_FALSE(wall_from_millis(-1));
  EXPECT_FALSE(wall_from_millis(INT64_MAX));
}

TEST(Backoff, DoublesToTheCapAndJitterTakesUpToHalf) {
  using std::chrono::milliseconds;
  const BackoffPolicy policy{milliseconds{500}, milliseconds{30'000}};
  EXPECT_EQ(backoff(policy, 1, 0), milliseconds{500});
  EXPECT_EQ(backoff(policy, 3, 0), milliseconds{2000});
  EXPECT_EQ(backoff(policy, 1000, 0), milliseconds{30'000});
  EXPECT_EQ(backoff(policy, 1000, 1), milliseconds{15'000});
}

TEST(ParseDuration, ReadsNumberAndUnit) {
  EXPECT_EQ(*parse_duration("20s"), Nanos{20'000'000'000});
  EXPECT_EQ(*parse_duration("500ms"), Nanos{500'000'000});
  EXPECT_EQ(*parse_duration("1.5m"), Nanos{90'000'000'000});
  EXPECT_EQ(*parse_duration("24h"), Nanos{86'400'000'000'000});
  EXPECT_EQ(*parse_duration("0.25ms"), Nanos{250'000});
  EXPECT_EQ(*parse_duration("0"), Nanos{0});
}

TEST(ParseDuration, RefusesWhatHasNoUnitOrIsNoLength) {
  for (const char* text : {"", "20", "s", "-1s", "1 s", "1x", "1.s", "9999999999999h", "1e3s"})
    EXPECT_FALSE(parse_duration(text).has_value()) << text;
}

}  // namespace
}  // namespace mp
