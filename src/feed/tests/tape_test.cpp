#include "feed/tape.hpp"

#include <gtest/gtest.h>

namespace mp {
namespace {

constexpr WallTime at(std::int64_t ms) { return wall_from_nanos(ms * 1'000'000); }

struct Script {
  InstrumentRef instrument =
      std::make_shared<const InstrumentId>(InstrumentId{"okx", MarketType::perpetual, "BTC-USDT", "BTC-USDT-SWAP"});
  Connections connections;
  Tape tape;
  std::vector<MarketEvent> out;

  TapeOwner owner() const { return {instrument, DataSource::live}; }
  Tape::Verdict see(IdRange ids, std::int64_t ms, ConnectionId connection = 1) {
    connections.seen(connection);
    return tape.observe(ids, {connection, at(ms), at(ms + 1)}, connections, owner(), out);
  }
  void close(ConnectionId connection, std::int64_t ms) {
    connections.closed(connection);
    tape.closed(connection, at(ms), owner(), out);
  }
  std::vector<std::string> gaps() const {
    std::vector<std::string> lines;
    for (const auto& event : out) {
      const auto& gap = std::get<Gap>(event);
      lines.push_back(std::string(to_string(gap.cause)) + " " + *gap.last_id + ".." + *gap.next_id);
    }
    return lines;
  }
};
using Lines = std::vector<std::string>;
using Verdict = Tape::Verdict;

TEST(Tape, AHoleIsAGapWithItsEdges) {
  Script s;
  s.see({10, 10}, 100);
  s.see({14, 14}, 500);
  ASSERT_EQ(s.gaps(), Lines{"sequence 10..14"});
  const auto& gap = std::get<Gap>(s.out[0]);
  EXPECT_EQ(gap.data_type, DataType::trade);
  EXPECT_EQ(gap.meta.instrument.get(), s.instrument.get());
  EXPECT_EQ(gap.meta.received_at, at(501));
  EXPECT_EQ(gap.gap_start, at(100));
  EXPECT_EQ(gap.gap_end, at(500));
  EXPECT_EQ(s.tape.gaps(), 1u);
}

TEST(Tape, WhatWasDownIsTheCause) {
  Script s;
  s.see({10, 10}, 1);
  s.close(1, 2);
  s.see({13, 13}, 3, 2);
  s.connections.clear();
  s.tape.begin();
  s.see({20, 20}, 4, 3);
  EXPECT_EQ(s.gaps(), (Lines{"disconnected 10..13", "collector_down 13..20"}));
}

TEST(Tape, AnotherConnectionsEndIsNotTheCause) {
  Script s;
  s.see({10, 10}, 1, 1);
  s.connections.seen(2);
  s.close(2, 2);
  s.see({13, 13}, 3, 1);
  EXPECT_EQ(s.gaps(), Lines{"sequence 10..13"});
}

TEST(Tape, AReplacementRunningAheadIsNoGap) {
  Script s;
  s.see({10, 10}, 1, 1);
  s.see({13, 13}, 2, 2);
  EXPECT_EQ(s.see({11, 12}, 3, 1), Verdict::accept);
  EXPECT_EQ(s.see({13, 13}, 4, 1), Verdict::duplicate);
  s.close(1, 5);
  EXPECT_TRUE(s.out.empty());
}

TEST(Tape, AReplacementRunningFarAheadIsNoGapEither) {
  Script s;
  s.see({10, 10}, 1, 1);
  s.see({14, 14}, 2, 2);
  s.see({15, 15}, 3, 2);
  s.see({18, 18}, 4, 2);
  for (const std::uint64_t id : {11u, 12u, 13u}) EXPECT_EQ(s.see({id, id}, 5, 1), Verdict::accept) << id;
  EXPECT_EQ(s.see({14, 14}, 6, 1), Verdict::duplicate);
  EXPECT_EQ(s.see({15, 15}, 7, 1), Verdict::duplicate);
  EXPECT_EQ(s.see({16, 17}, 8, 1), Verdict::accept);
  s.see({19, 19}, 9, 2);
  s.close(1, 10);
  s.see({20, 20}, 11, 2);
  EXPECT_TRUE(s.out.empty());
}

TEST(Tape, AHoleBehindAReplacementWaitsForTheOldConnectionOnly) {
  Script s;
  s.see({10, 10}, 1, 1);
  s.see({14, 14}, 2, 2);
  s.connections.seen(3);
  s.close(3, 3);
  EXPECT_EQ(s.see({11, 13}, 4, 1), Verdict::accept);
  s.see({20, 20}, 5, 2);
  s.close(2, 6);
  EXPECT_EQ(s.see({15, 20}, 7, 1), Verdict::accept);
  EXPECT_TRUE(s.out.empty());
  s.see({25, 25}, 8, 1);
  EXPECT_EQ(s.gaps(), Lines{"sequence 20..25"});
}

TEST(Tape, AHoleBehindAReplacementIsToldWhenItHasWaitedLongEnough) {
  Script s;
  s.see({10, 10}, 1, 1);
  s.see({14, 14}, 2, 2);
  s.see({15, 15}, 4'000, 2);
  EXPECT_TRUE(s.out.empty());
  s.see({16, 16}, 5'100, 2);
  EXPECT_EQ(s.gaps(), Lines{"sequence 10..14"});
  s.see({18, 18}, 5'200, 2);
  s.close(1, 5'300);
  s.see({20, 20}, 5'400, 2);
  EXPECT_EQ(s.gaps(), (Lines{"sequence 10..14", "sequence 16..18", "sequence 18..20"}));
}

TEST(Tape, WhatTheOldConnectionDoesNotBringAnyMoreIsAGap) {
  Script s;
  s.see({10, 10}, 1, 1);
  s.see({20, 20}, 2, 2);
  s.see({14, 15}, 3, 1);
  s.close(1, 5);
  EXPECT_EQ(s.gaps(), (Lines{"sequence 10..14", "sequence 15..20"}));
}

TEST(Tape, RangesOfMergedFills) {
  Script s;
  s.see({10, 12}, 1);
  EXPECT_EQ(s.see({13, 13}, 2), Verdict::accept);
  EXPECT_EQ(s.see({12, 13}, 2), Verdict::duplicate);
  EXPECT_EQ(s.see({13, 15}, 3), Verdict::accept) << "new in part";
  EXPECT_TRUE(s.out.empty());
  s.see({17, 20}, 4);
  EXPECT_EQ(s.gaps(), Lines{"sequence 15..17"});
}

TEST(Tape, RestoresWhatItSaved) {
  Script s;
  s.see({10, 10}, 1, 1);
  s.see({20, 20}, 2, 2);
  std::string bytes;
  {
    StateWriter writer(bytes, "test", 1);
    s.tape.save(writer);
  }
  Script restored;
  restored.connections = s.connections;
  StateReader reader(bytes, "test", 1);
  restored.tape.restore(reader);
  ASSERT_TRUE(reader.finish());
  for (auto* each : {&s, &restored}) {
    each->close(1, 5);
    each->see({22, 22}, 6, 2);
  }
  EXPECT_EQ(restored.gaps(), (Lines{"sequence 10..20", "sequence 20..22"}));
  EXPECT_EQ(restored.gaps(), s.gaps());
}

}  // namespace
}  // namespace mp
