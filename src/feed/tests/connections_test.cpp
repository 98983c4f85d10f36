#include "feed/connections.hpp"

#include <gtest/gtest.h>

namespace mp {
namespace {

TEST(Connections, OnlyALivingOtherOneCarriesAStream) {
  Connections connections;
  connections.seen(1);
  connections.seen(2);
  EXPECT_TRUE(connections.others_carry(2, 1));
  EXPECT_FALSE(connections.others_carry(1, 1)) << "itself";
  EXPECT_FALSE(connections.others_carry(1, 0)) << "nobody has brought it yet";
  connections.closed(1);
  EXPECT_FALSE(connections.others_carry(2, 1));
  connections.clear();
  EXPECT_FALSE(connections.is_open(2));
}

TEST(Connections, KnowWhenEachWasHeardLast) {
  const auto at = [](int s) { return wall_from_nanos(s * 1'000'000'000LL); };
  Connections connections;
  EXPECT_FALSE(connections.last_heard(7));
  EXPECT_FALSE(connections.brought(0, at(1))) << "0 is no connection";
  connections.heard(7, at(1));
  EXPECT_FALSE(connections.last_heard(7)->data_at);
  EXPECT_TRUE(connections.brought(7, at(2)));
  EXPECT_FALSE(connections.brought(7, at(3))) << "only the first time";
  connections.heard(7, at(5));
  connections.heard(7, at(4));  // a clock that is set back takes nothing back
  std::string saved;
  {
    StateWriter out(saved, "t", 1);
    connections.save(out);
  }
  StateReader in(saved, "t", 1);
  Connections restored;
  restored.restore(in);
  ASSERT_TRUE(in.finish());
  EXPECT_EQ(restored.last_heard(7)->frame_at, at(5));
  EXPECT_EQ(restored.last_heard(7)->data_at, at(3));
  restored.closed(7);
  EXPECT_FALSE(restored.last_heard(7));
}

TEST(Connections, ZeroIsNone) {
  Connections connections;
  connections.seen(0);
  EXPECT_FALSE(connections.is_open(0));
}

TEST(Connections, AreBounded) {
  Connections connections;
  for (ConnectionId id = 1; id <= Connections::kMostOpen + 1; ++id) connections.seen(id);
  EXPECT_FALSE(connections.is_open(1)) << "the oldest is forgotten";
  EXPECT_TRUE(connections.is_open(2));
}

TEST(Connections, RestoresWhatItSaved) {
  Connections connections;
  connections.seen(7);
  connections.seen(7);
  connections.seen(9);
  std::string bytes;
  {
    StateWriter writer(bytes, "test", 1);
    connections.save(writer);
  }
  Connections restored;
  StateReader reader(bytes, "test", 1);
  restored.restore(reader);
  ASSERT_TRUE(reader.finish());
  EXPECT_TRUE(restored.is_open(7) && restored.is_open(9));
}

}  // namespace
}  // namespace mp
