#include "feed/seen_rows.hpp"

#include <gtest/gtest.h>

namespace mp {
namespace {

constexpr WallTime at(std::int64_t minute) { return wall_from_nanos(minute * 60'000'000'000); }

template <class Seen>
Seen reread(const Seen& seen) {
  std::string bytes;
  {
    StateWriter writer(bytes, "test", 1);
    seen.save(writer);
  }
  Seen restored;
  StateReader reader(bytes, "test", 1);
  restored.restore(reader);
  EXPECT_TRUE(reader.finish());
  return restored;
}

TEST(SeenRows, APollThatBringsNothingNewWritesNothing) {
  SeenRows rows;
  for (const auto minute : {5, 10, 15}) EXPECT_TRUE(rows.take(at(minute)));
  for (const auto minute : {5, 10, 15}) EXPECT_FALSE(rows.take(at(minute)));
  EXPECT_TRUE(rows.take(at(20)));
  auto restored = reread(rows);
  EXPECT_FALSE(restored.take(at(20)));
  EXPECT_TRUE(restored.take(at(25)));
  EXPECT_FALSE(reread(SeenRows{}).last());
}

TEST(SeenKeys, ARepeatedEventIsKnown) {
  SeenKeys keys;
  EXPECT_TRUE(keys.take("BTC-USDT-SWAP 1790000000000 sell 18 2951.4"));
  EXPECT_FALSE(keys.take("BTC-USDT-SWAP 1790000000000 sell 18 2951.4"));
  EXPECT_TRUE(keys.take("BTC-USDT-SWAP 1790000000000 buy 18 2951.4"));
  auto restored = reread(keys);
  EXPECT_FALSE(restored.take("BTC-USDT-SWAP 1790000000000 buy 18 2951.4"));
}

TEST(SeenKeys, TheOldestAreForgotten) {
  SeenKeys keys;
  for (std::size_t i = 0; i < SeenKeys::kMost + 1; ++i) EXPECT_TRUE(keys.take(std::to_string(i)));
  EXPECT_FALSE(keys.take("1"));
  EXPECT_TRUE(keys.take("0"));
}

}  // namespace
}  // namespace mp
