#include "feed/thinning.hpp"

#include <gtest/gtest.h>

namespace mp {
namespace {

using namespace std::chrono_literals;
constexpr WallTime kStart = wall_from_nanos(1'790'000'000'000'000'000);
Decimal dec(const char* text) { return Decimal::parse(text).value(); }

FundingRate funding(const char* rate, Nanos after, const char* mark = "65000") {
  FundingRate out;
  out.meta.received_at = kStart + after;
  out.funding_rate = Ratio{dec(rate)};
  out.funding_time = kStart + 8h;
  out.mark_price = Price{dec(mark)};
  return out;
}
OpenInterest interest(const char* quantity, Nanos after) {
  OpenInterest out;
  out.meta.received_at = kStart + after;
  out.open_interest = Quantity{dec(quantity)};
  out.contracts = Contracts{dec("7")};
  return out;
}

TEST(Thinning, AnUnchangedValueIsWrittenAgainAfterTheIntervalOnly) {
  Thinning thinning(60s);
  EXPECT_TRUE(thinning.admits(funding("0.0001", 0s)));
  EXPECT_FALSE(thinning.admits(funding("0.0001", 1s, "65001"))) << "the mark price alone is no change";
  EXPECT_FALSE(thinning.admits(funding("0.00010", 59'999ms)));
  EXPECT_TRUE(thinning.admits(funding("0.0001", 60s)));
  EXPECT_FALSE(thinning.admits(funding("0.0001", 61s)));
}

TEST(Thinning, AChangedOneIsWrittenAtOnce) {
  Thinning thinning(60s);
  thinning.admits(funding("0.0001", 0s));
  EXPECT_TRUE(thinning.admits(funding("0.0002", 1s)));
  EXPECT_TRUE(thinning.admits(funding("0.0001", 2s))) << "back again is a change too";
  auto next_period = funding("0.0001", 3s);
  next_period.funding_time = kStart + 16h;
  EXPECT_TRUE(thinning.admits(next_period));
  auto hours = next_period;
  hours.funding_interval_hours = dec("4");
  EXPECT_TRUE(thinning.admits(hours));
  EXPECT_TRUE(thinning.admits(interest("5", 4s))) << "another type has its own clock";
  EXPECT_FALSE(thinning.admits(interest("5", 5s)));
  auto value = interest("5", 6s);
  value.open_interest_value = Quantity{dec("325000")};
  EXPECT_FALSE(thinning.admits(value));
  EXPECT_TRUE(thinning.admits(interest("6", 7s)));
}

TEST(Thinning, ZeroThinsNothing) {
  Thinning thinning(0s);
  EXPECT_TRUE(thinning.admits(interest("5", 0s)));
  EXPECT_TRUE(thinning.admits(interest("5", 0s)));
}

TEST(Thinning, AClockSetBackSilencesNothing) {
  Thinning thinning(60s);
  thinning.admits(interest("5", 1h));
  EXPECT_TRUE(thinning.admits(interest("5", 0s)));
  EXPECT_FALSE(thinning.admits(interest("5", 1s)));
}

TEST(Thinning, RestoresWhatItSaved) {
  Thinning thinning(60s);
  auto event = funding("0.0001", 0s);
  event.next_funding_time = kStart + 16h;
  event.funding_interval_hours = dec("8");
  thinning.admits(event);
  thinning.admits(interest("5", 10s));
  std::string bytes;
  {
    StateWriter writer(bytes, "test", 1);
    thinning.save(writer);
  }
  Thinning restored(60s);
  StateReader reader(bytes, "test", 1);
  restored.restore(reader);
  ASSERT_TRUE(reader.finish());
  event.meta.received_at = kStart + 59s;
  EXPECT_FALSE(restored.admits(event));
  EXPECT_FALSE(restored.admits(interest("5", 69s)));
  event.meta.received_at = kStart + 60s;
  EXPECT_TRUE(restored.admits(event));
  EXPECT_TRUE(restored.admits(interest("5", 70s)));
}

}  // namespace
}  // namespace mp
