#include "sinks/jetstream/publisher.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sinks/jetstream/tests/model_world.hpp"

namespace mp::jetstream {
namespace {

using test::journal_of;
using test::ModelServer;
using test::World;
using namespace std::chrono_literals;

// Both senders: fast ingest and the asynchronous window.
class Publishing : public testing::TestWithParam<bool> {
 protected:
  World world(unsigned seed, int records = 40) {
    World out(journal_of(records), seed);
    out.server.has_fast_ingest = GetParam();
    return out;
  }
};
INSTANTIATE_TEST_SUITE_P(Senders, Publishing, testing::Bool(),
                         [](const auto& param_info) { return param_info.param ? "fast_ingest" : "window"; });

// Different memory and cuts after a crash, so that the same events travel in other messages.
void vary(World& world, unsigned how) {
  world.options.async_window = 1 + how % 5;
  world.options.batch_flow = 1 + how % 3 * 3;
  world.options.limits.cut_at = 40 + how % 4 * 60;
  world.options.max_messages = 6 + how % 3 * 8;
}

TEST_P(Publishing, StoresEveryEventOnceAndInOrder) {
  for (unsigned seed = 1; seed <= 30; ++seed) {
    World w = world(seed);
    ASSERT_TRUE(w.run_to_end()) << "seed " << seed << testing::PrintToString(w.notes);
    EXPECT_EQ(w.wrong_copies(), "") << "seed " << seed;
    EXPECT_EQ(w.inversions(), 0);
    EXPECT_EQ(w.publisher->acked_through(), w.journal.back().position.record);
    EXPECT_TRUE(w.rewinds.empty());
    EXPECT_EQ(w.publisher->counters().events_acked, w.journal.size());
  }
}

TEST_P(Publishing, StoresEveryEventOnceWhenKilledAfterAnyStep) {
  for (unsigned seed = 1; seed <= 4; ++seed) {
    World whole = world(seed);
    int steps = 0;
    while (!whole.all_is_acked() && ++steps < 20'000) whole.step();
    for (int kill_at = 1; kill_at <= steps; ++kill_at) {
      World w = world(seed);
      for (int i = 0; i < kill_at; ++i) w.step();
      vary(w, static_cast<unsigned>(kill_at));
      w.crash(kill_at % 2 == 0);
      ASSERT_TRUE(w.run_to_end()) << "seed " << seed << " step " << kill_at << testing::PrintToString(w.notes);
      ASSERT_EQ(w.wrong_copies(), "") << "seed " << seed << " killed after step " << kill_at;
      ASSERT_EQ(w.inversions(), 0) << "seed " << seed << " killed after step " << kill_at;
    }
  }
}

TEST_P(Publishing, WhatADeadProcessHadOnItsWayIsNotStoredBesideWhatItsSuccessorPublishes) {
  for (unsigned seed = 1; seed <= 2; ++seed) {
    World whole = world(seed);
    int steps = 0;
    while (!whole.all_is_acked() && ++steps < 20'000) whole.step();
    for (int kill_at = 1; kill_at <= steps; ++kill_at) {
      World w = world(seed);
      for (int i = 0; i < kill_at; ++i) w.step();
      vary(w, static_cast<unsigned>(kill_at));
      w.crash_with_a_slow_wire();
      ASSERT_TRUE(w.run_to_end()) << "seed " << seed << " step " << kill_at << testing::PrintToString(w.notes);
      ASSERT_EQ(w.wrong_copies(), "") << "seed " << seed << " killed after step " << kill_at;
      ASSERT_EQ(w.inversions(), 0) << "seed " << seed << " killed after step " << kill_at;
    }
  }
}

TEST_P(Publishing, WhatIsOnItsWayWhenASilentConnectionBreaksIsNotStoredTwice) {
  for (unsigned seed = 1; seed <= 2; ++seed) {
    World whole = world(seed);
    int steps = 0;
    while (!whole.all_is_acked() && ++steps < 20'000) whole.step();
    for (int stall_at = static_cast<int>(seed); stall_at <= steps; stall_at += 9) {
      World w = world(seed);
      for (int i = 0; i < stall_at; ++i) w.step();
      w.stalled = true;
      // Until it has given up on the answers, and goes round.
      for (auto i = w.options.answer_timeout + 50ms; i > 0ms; i -= 1ms) w.step();
      w.stalled = false;
      w.lose_connection_with_a_slow_wire();
      ASSERT_TRUE(w.run_to_end()) << "seed " << seed << " step " << stall_at << testing::PrintToString(w.notes);
      ASSERT_EQ(w.wrong_copies(), "") << "seed " << seed << " stalled after step " << stall_at;
    }
  }
}

TEST_P(Publishing, StoresEveryEventOnceWhenKilledAgainAndAgain) {
  for (unsigned seed = 1; seed <= 150; ++seed) {
    World w = world(seed);
    std::minstd_rand chaos(seed * 977);
    for (int kills = 0; kills < 6; ++kills) {
      for (auto i = chaos() % 250; i > 0; --i) w.step();
      vary(w, static_cast<unsigned>(chaos() % 64));
      w.crash(chaos() % 2 == 0);
    }
    ASSERT_TRUE(w.run_to_end()) << "seed " << seed << testing::PrintToString(w.notes);
    ASSERT_EQ(w.wrong_copies(), "") << "seed " << seed;
  }
}

TEST_P(Publishing, StoresEveryEventOnceWhenTheConnectionBreaksAfterAnyStep) {
  for (unsigned seed = 1; seed <= 3; ++seed) {
    World whole = world(seed);
    int steps = 0;
    while (!whole.all_is_acked() && ++steps < 20'000) whole.step();
    for (int break_at = 1; break_at <= steps; ++break_at) {
      World w = world(seed);
      for (int i = 0; i < break_at; ++i) w.step();
      w.lose_connection(break_at % 2 == 0);
      if (break_at % 3 == 0) w.server.restart();
      ASSERT_TRUE(w.run_to_end()) << "seed " << seed << " step " << break_at << testing::PrintToString(w.notes);
      ASSERT_EQ(w.wrong_copies(), "") << "seed " << seed << " broken after step " << break_at;
      ASSERT_EQ(w.inversions(), 0);
      ASSERT_TRUE(w.rewinds.empty()) << "nothing was lost: the journal need not be read again";
    }
  }
}

TEST_P(Publishing, PublishesAgainWhatTheServerLost) {
  int rewound = 0;
  for (unsigned seed = 1; seed <= 200; ++seed) {
    World w = world(seed, 80);
    std::minstd_rand chaos(seed * 31);
    for (auto i = 100 + chaos() % 900; i > 0; --i) w.step();
    const bool dies_too = chaos() % 2 == 0;
    if (!dies_too) w.lose_connection(false);
    w.server.lose_last(chaos() % 12);
    if (chaos() % 2 == 0) w.server.store_of_others(chaos() % 20);  // the sequences are used again
    if (dies_too) w.crash(false);
    ASSERT_TRUE(w.run_to_end()) << "seed " << seed << testing::PrintToString(w.notes);
    ASSERT_EQ(w.wrong_copies(), "") << "seed " << seed << testing::PrintToString(w.notes);
    rewound += w.rewinds.empty() ? 0 : 1;
  }
  EXPECT_GT(rewound, 20);
}

TEST_P(Publishing, PublishesTheWholeJournalIntoAStreamThatWasMadeAnew) {
  for (unsigned seed = 1; seed <= 60; ++seed) {
    World w = world(seed);
    for (unsigned i = 50 + seed * 13; i > 0; --i) w.step();
    w.server.make_anew();
    if (seed % 2 == 0)
      w.crash(false);
    else
      w.lose_connection(false);
    ASSERT_TRUE(w.run_to_end()) << "seed " << seed << testing::PrintToString(w.notes);
    ASSERT_EQ(w.wrong_copies(), "") << "seed " << seed << testing::PrintToString(w.notes);
  }
}

// What ClickHouse has: storage that takes messages in order, notes now and then how far it is, and looks for rows of
// other streams when a message says that it comes again.
struct Database {
  std::map<std::string, int> rows;
  std::size_t taken = 0;  // of the present stream

  void store(const ModelServer& server, std::size_t up_to) {
    for (; taken < std::min(up_to, server.stored.size()); ++taken) {
      const auto& message = server.stored[taken];
      for (const auto& line : message.lines) {
        int& count = rows[line];
        if (!message.again || count == 0) ++count;
      }
    }
  }
};

TEST_P(Publishing, WhatWasStoredFromALostStreamIsNotStoredTwiceAndTheRestIsNotLost) {
  int rewound_within = 0;
  int offered = 0;
  for (unsigned seed = 1; seed <= 300; ++seed) {
    World w = world(seed, 80);
    std::minstd_rand chaos(seed * 131);
    Database database;
    for (int lives = 1 + static_cast<int>(chaos() % 3); lives > 0; --lives) {
      for (auto i = 50 + chaos() % 700; i > 0; --i) {
        w.step();
        if (chaos() % 4 == 0) database.store(w.server, database.taken + chaos() % 3);
        if (chaos() % 8 == 0 && database.taken > 0)
          w.server.stored_through = w.server.stored[database.taken - 1].sequence;
      }
      const bool dies_too = chaos() % 2 == 0;
      if (!dies_too) w.lose_connection(chaos() % 2 == 0);
      database.store(w.server, database.taken + chaos() % 5);
      w.server.make_anew();
      database.taken = 0;
      vary(w, static_cast<unsigned>(chaos() % 64));
      if (dies_too) w.crash(false);
    }
    ASSERT_TRUE(w.run_to_end()) << "seed " << seed << testing::PrintToString(w.notes);
    database.store(w.server, w.server.stored.size());
    std::string wrong;
    for (const auto& event : w.journal)
      if (database.rows[event.json] != 1) wrong += event.json + " x" + std::to_string(database.rows[event.json]) + "; ";
    ASSERT_EQ(wrong, "") << "seed " << seed << testing::PrintToString(w.notes);
    for (const auto& after : w.rewinds) rewound_within += after != RecordPosition{} ? 1 : 0;
    offered += static_cast<int>(w.rewinds.size());
  }
  EXPECT_GT(rewound_within, 100) << "what storage has noted is not published again";
  EXPECT_GT(offered, rewound_within);
}

TEST_P(Publishing, WhatAServerLostAndStorageHadIsNotStoredTwice) {
  for (unsigned seed = 1; seed <= 200; ++seed) {
    World w = world(seed, 80);
    std::minstd_rand chaos(seed * 53);
    std::map<std::string, int> rows;
    for (auto i = 100 + chaos() % 900; i > 0; --i) w.step();
    // All that the server has is stored, and noted, when it loses its end.
    for (const auto& message : w.server.stored)
      for (const auto& line : message.lines) ++rows[line];
    w.server.stored_through = w.server.last_sequence;
    const auto kept = w.server.stored.size() - std::min<std::size_t>(w.server.stored.size(), chaos() % 12);
    const bool dies_too = chaos() % 2 == 0;
    if (!dies_too) w.lose_connection(false);
    w.server.lose_last(w.server.stored.size() - kept);
    if (dies_too) w.crash(false);
    ASSERT_TRUE(w.run_to_end()) << "seed " << seed << testing::PrintToString(w.notes);
    for (std::size_t i = kept; i < w.server.stored.size(); ++i) {
      for (const auto& line : w.server.stored[i].lines)
        if (!w.server.stored[i].again || rows[line] == 0) ++rows[line];
    }
    for (const auto& event : w.journal)
      ASSERT_EQ(rows[event.json], 1) << event.json << " seed " << seed << testing::PrintToString(w.notes);
  }
}

TEST_P(Publishing, AFullStreamHoldsEventsBackAndLosesNone) {
  for (unsigned seed = 1; seed <= 4; ++seed) {
    World w = world(seed, 60);
    w.server.capacity = 10;
    for (int i = 0; i < 3'000; ++i) w.step();
    ASSERT_FALSE(w.all_is_acked());
    EXPECT_LE(w.server.stored.size(), 10u);
    EXPECT_THAT(w.notes, testing::Contains(testing::HasSubstr("10077")));
    for (int i = 0; i < 40; ++i) {
      w.server.trim(4);  // storage makes room, bit by bit
      for (int k = 0; k < 200; ++k) w.step();
      if (i == 5) w.crash(true);
    }
    w.server.capacity = 1'000'000;
    ASSERT_TRUE(w.run_to_end()) << "seed " << seed << testing::PrintToString(w.notes);
    ASSERT_EQ(w.wrong_copies(), "") << "seed " << seed;
  }
}

TEST_P(Publishing, WhatWasTrimmedBeforeItCouldBeReadBackCountsAsStored) {
  for (unsigned seed = 1; seed <= 80; ++seed) {
    World w = world(seed);
    for (unsigned i = 50 + seed * 9; i > 0; --i) w.step();
    w.publisher.reset();
    w.lose_connection(true);
    w.server.trim(w.server.stored.size());  // while the collector is away
    w.crash(false);
    ASSERT_TRUE(w.run_to_end()) << "seed " << seed << testing::PrintToString(w.notes);
    ASSERT_EQ(w.wrong_copies(), "") << "seed " << seed;
  }
}

TEST_P(Publishing, WithoutItsCursorReadsTheWholeStream) {
  World w = world(5);
  for (int i = 0; i < 300; ++i) w.step();
  w.disk.reset();
  w.options.journal_is_new = false;
  w.crash(true);
  ASSERT_TRUE(w.run_to_end());
  EXPECT_EQ(w.wrong_copies(), "");
}

TEST_P(Publishing, AnOrderlyStopLeavesNothingToReadBack) {
  World w = world(3);
  ASSERT_TRUE(w.run_to_end());
  for (int i = 0; i < 50; ++i) w.step();
  ASSERT_TRUE(w.disk.has_value());
  EXPECT_TRUE(w.disk->at_rest);
  EXPECT_EQ(w.disk->history.back().through, w.journal.back().position.record);
  const std::uint64_t messages = w.server.last_sequence;
  w.crash(false);
  EXPECT_EQ(w.publisher->acked_through(), w.journal.back().position.record);
  ASSERT_TRUE(w.run_to_end());
  EXPECT_EQ(w.server.last_sequence, messages);
  EXPECT_EQ(w.publisher->counters().events_offered, 0u);
}

// ---- single decisions ----

struct Idle {
  World world{{}, 1};
  explicit Idle(bool fast) {
    world.server.has_fast_ingest = fast;
    for (int i = 0; i < 10'000 && world.publisher->state() != PublisherState::publishing; ++i) world.step();
  }
  Publisher& publisher() { return *world.publisher; }
};

TEST_P(Publishing, AnEventGoesAtOnceWhenTheBusIsIdle) {
  Idle idle(GetParam());
  ASSERT_EQ(idle.publisher().state(), PublisherState::publishing);
  ASSERT_EQ(idle.publisher().offer("s", {{1, 1}, 0}, "one", idle.world.now), Offer::taken);
  const Outgoing* out = idle.publisher().next_send(idle.world.now);
  ASSERT_NE(out, nullptr);
  EXPECT_EQ(out->payload, "one\n");
  EXPECT_EQ(out->first, "1-1-0");
  EXPECT_EQ(out->last, "1-1-0");
  EXPECT_EQ(out->journal, idle.world.options.journal);
  EXPECT_EQ(idle.publisher().next_send(idle.world.now), nullptr);
}

TEST_P(Publishing, WaitingEventsOfOneSubjectShareAMessageUpToTheCut) {
  Idle idle(GetParam());
  Publisher& p = idle.publisher();
  const std::string line(100'000, 'x');
  for (std::uint32_t i = 0; i < 5; ++i) {
    ASSERT_EQ(p.offer("s", {{1, i}, 0}, line, idle.world.now), Offer::taken);
    ASSERT_EQ(p.offer("t", {{1, i}, 1}, "small", idle.world.now), Offer::taken);
  }
  EXPECT_EQ(p.outstanding_messages(), 4u);  // s: 2 + 2 + 1, t: 5
  const Outgoing* first = p.next_send(idle.world.now);
  EXPECT_EQ(first->first, "1-0-0");
  EXPECT_EQ(first->last, "1-1-0");
  EXPECT_EQ(first->payload.size(), 200'002u);
}

TEST_P(Publishing, AnEventTooLargeEvenCompressedIsReported) {
  Idle idle(GetParam());
  Publisher& p = idle.publisher();
  std::string noise(3'000'000, ' ');
  std::minstd_rand random(1);
  for (char& c : noise) c = static_cast<char>('!' + random() % 90);
  EXPECT_FALSE(p.fits(noise));
  EXPECT_TRUE(p.fits("{}"));
  EXPECT_EQ(p.offer("s", {{1, 1}, 0}, noise, idle.world.now), Offer::taken);
  const auto commands = p.take_commands();
  ASSERT_EQ(commands.size(), 1u);
  const auto& rejected = std::get<Rejected>(commands[0]);
  EXPECT_EQ(rejected.position, (EventPosition{{1, 1}, 0}));
  EXPECT_THAT(rejected.reason, testing::HasSubstr("3000000 bytes"));
  EXPECT_EQ(p.outstanding_messages(), 0u);
  const std::string smooth(3'000'000, 'a');
  EXPECT_TRUE(p.fits(smooth));
  EXPECT_EQ(p.offer("s", {{1, 2}, 0}, smooth, idle.world.now), Offer::taken);
  const Outgoing* out = p.next_send(idle.world.now);
  ASSERT_NE(out, nullptr);
  EXPECT_TRUE(out->compressed);
  EXPECT_EQ(decompressed(out->payload), smooth + "\n");
}

TEST_P(Publishing, AServerThatTakesLessIsOfferedEverythingAgain) {
  World w = world(3);
  w.server.max_payload = 200'000;
  ASSERT_TRUE(w.run_to_end()) << testing::PrintToString(w.notes);
  EXPECT_EQ(w.wrong_copies(), "");
  w.lose_connection(true);
  std::string noise(150'000, ' ');
  std::minstd_rand random(1);
  for (char& c : noise) c = static_cast<char>('!' + random() % 90);
  const EventPosition last{{99, 1}, 0};
  ASSERT_TRUE(w.publisher->fits(noise));
  w.journal.push_back({"trade-data.x.spot.A", last, noise});
  while (w.publisher->outstanding_messages() == 0) w.step_offering();
  w.server.max_payload = 100'000;
  const auto before = w.rewinds.size();
  while (w.rewinds.size() == before) w.step();
  EXPECT_FALSE(w.publisher->fits(noise));
}

TEST(Publisher, MemoryIsBoundedAndSaysWhenThereIsRoom) {
  PublisherOptions options;
  options.journal = "j";
  options.journal_is_new = true;
  options.max_bytes = 1'000'000;
  Publisher p(options, std::nullopt);
  const Instant now{wall_from_nanos(1), MonoTime{} + 1h};
  const std::string line(10'000, 'x');
  std::uint32_t taken = 0;
  while (p.offer("s", {{1, taken}, 0}, line, now) == Offer::taken) ++taken;
  EXPECT_EQ(taken, 99u);
  EXPECT_LE(p.outstanding_bytes(), 1'010'000u);
  EXPECT_EQ(p.counters().times_full, 1u);
  EXPECT_EQ(p.oldest_unacknowledged(now.mono + 2s), 2s);
}

TEST(Publisher, ALostAckIsFoundByEndingTheBatch) {
  Idle idle(true);
  Publisher& p = idle.publisher();
  ASSERT_EQ(p.offer("s", {{1, 1}, 0}, "one", idle.world.now), Offer::taken);
  p.offered_through({1, 1});
  const Outgoing* out = p.next_send(idle.world.now);
  ASSERT_NE(out, nullptr);
  const std::string reply = out->reply;
  p.answered(reply, read_answer(R"({"type":"ack","seq":0,"msgs":1})"), idle.world.now);
  EXPECT_EQ(p.outstanding_messages(), 1u);  // an ack of 0 proves nothing
  idle.world.now.mono += 1s;
  p.tick(idle.world.now);
  const Outgoing* end = p.next_send(idle.world.now);
  ASSERT_NE(end, nullptr);
  EXPECT_THAT(end->reply, testing::EndsWith(".fail.2.3.$FI"));
  EXPECT_TRUE(end->journal.empty());
  p.answered(end->reply, read_answer(R"({"stream":"T","seq":1,"batch":"x","count":1})"), idle.world.now);
  EXPECT_EQ(p.outstanding_messages(), 0u);
  EXPECT_EQ(p.acked_through(), (RecordPosition{1, 1}));
}

TEST(Publisher, AnOlderServersStreamIsNotFilledToItsLimit) {
  World w(journal_of(40), 1);
  w.server.has_fast_ingest = false;
  w.server.max_bytes = 100'000;
  w.server.bytes = 95'000;
  for (int i = 0; i < 3'000; ++i) w.step();
  EXPECT_TRUE(w.server.stored.empty());
  EXPECT_EQ(w.publisher->counters().held_back, 1u);
  EXPECT_THAT(w.notes, testing::Contains(testing::HasSubstr("nearly full")));
  w.server.bytes = 10'000;
  ASSERT_TRUE(w.run_to_end());
  EXPECT_EQ(w.wrong_copies(), "");
}

TEST(Publisher, FallsBackToTheWindowWhenTheServerRefusesBatches) {
  Idle idle(true);
  Publisher& p = idle.publisher();
  ASSERT_EQ(p.offer("s", {{1, 1}, 0}, "one", idle.world.now), Offer::taken);
  const std::string reply = p.next_send(idle.world.now)->reply;
  p.answered(reply, read_answer(R"({"error":{"code":400,"err_code":10205,"description":"batch publish is disabled"}})"),
             idle.world.now);
  const Outgoing* out = p.next_send(idle.world.now);
  ASSERT_NE(out, nullptr);
  EXPECT_THAT(out->reply, testing::StartsWith("a."));
  EXPECT_FALSE(p.uses_fast_ingest());
}

}  // namespace
}  // namespace mp::jetstream
