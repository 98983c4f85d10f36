#include "sinks/clickhouse/batcher.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

namespace mp::sinks::clickhouse {
namespace {

using namespace std::chrono_literals;

constexpr MonoTime at(std::chrono::milliseconds since) { return MonoTime{} + 1h + since; }

template <class Wanted>
Wanted expect(const Step& step) {
  const auto* wanted = std::get_if<Wanted>(&step);
  if (wanted == nullptr) throw std::runtime_error("another step: number " + std::to_string(step.index()));
  return *wanted;
}

void take(Batcher& batcher, std::uint64_t sequence, MonoTime now, std::uint32_t rows = 1, Target target = Target::hot,
          std::int32_t partition = 1) {
  ASSERT_TRUE(batcher.wants(sequence));
  for (std::uint32_t i = 0; i < rows; ++i) {
    auto& batch = batcher.open_batch();
    const auto offset = batch.buffer(target).size();
    batch.buffer(target) += "row" + std::to_string(sequence) + ";";
    batch.add({sequence, i}, target, partition, offset);
  }
  batcher.took(sequence, now);
}

// A fetch that brings nothing.
void nothing_came(Batcher& batcher, MonoTime now) {
  const auto fetch = expect<Fetch>(batcher.next(now));
  batcher.fetched(0, fetch.max_messages);
}

TEST(Batcher, InsertsWhenTheBatchSizeIsReachedThenAcknowledges) {
  Batcher batcher({.batch_size = 3, .max_queue = 10}, 0);
  for (std::uint64_t s = 1; s <= 3; ++s) {
    expect<Fetch>(batcher.next(at(0ms)));
    take(batcher, s, at(0ms));
    batcher.fetched(1, 10);
  }
  nothing_came(batcher, at(1ms));
  const auto insert = expect<Insert>(batcher.next(at(1ms)));
  EXPECT_EQ(3u, insert.piece->rows.size());
  EXPECT_THAT(body_of(*insert.batch, *insert.piece), ::testing::ElementsAre("row1;row2;row3;"));
  batcher.inserted(Verdict::ok, at(5ms), 0);
  EXPECT_EQ(3u, expect<Acknowledge>(batcher.next(at(5ms))).sequence);
  batcher.acknowledged(true, at(6ms), 0);
  EXPECT_TRUE(batcher.idle());
  expect<Fetch>(batcher.next(at(6ms)));
  EXPECT_EQ(3u, batcher.counters().rows_inserted);
}

TEST(Batcher, InsertsASmallBatchAfterTheTimeout) {
  Batcher batcher({.batch_size = 100, .timeout = 2s}, 0);
  take(batcher, 1, at(0ms));
  batcher.fetched(1, 1000);
  EXPECT_EQ(at(2s), expect<Fetch>(batcher.next(at(1s))).until);
  nothing_came(batcher, at(2s));
  expect<Insert>(batcher.next(at(2s)));
}

TEST(Batcher, WhatHasWaitedOnTheBusDoesNotBeginToWaitAnew) {
  Batcher batcher({.batch_size = 100, .timeout = 10s, .max_queue = 2}, 0);
  take(batcher, 1, at(0ms) - 9s);
  take(batcher, 2, at(0ms));
  batcher.fetched(2, 2);
  EXPECT_EQ(at(1s), expect<Fetch>(batcher.next(at(0ms))).until);
  // It is due; what waits behind it on the bus joins it, and nothing else is waited for.
  expect<Fetch>(batcher.next(at(1s)));
  take(batcher, 3, at(1s));
  batcher.fetched(1, 2);
  nothing_came(batcher, at(1s));
  EXPECT_EQ(3u, expect<Insert>(batcher.next(at(1s))).piece->rows.size());
}

TEST(Batcher, GrowsWhileTheTableWasWrittenJustNow) {
  Batcher batcher({.batch_size = 1, .max_queue = 2, .min_interval = 250ms}, 0);
  take(batcher, 1, at(0ms));
  nothing_came(batcher, at(0ms));
  expect<Insert>(batcher.next(at(0ms)));
  batcher.inserted(Verdict::ok, at(10ms), 0);
  expect<Acknowledge>(batcher.next(at(10ms)));
  batcher.acknowledged(true, at(10ms), 0);
  take(batcher, 2, at(11ms));
  batcher.fetched(1, 2);
  EXPECT_EQ(at(260ms), expect<Wait>(batcher.next(at(11ms))).until);
  // At the end of the wait everything that came meanwhile is taken: as long as fetches bring as many as asked.
  for (std::uint64_t s = 3; s < 9; s += 2) {
    EXPECT_EQ(at(260ms), expect<Fetch>(batcher.next(at(260ms))).until);
    take(batcher, s, at(260ms));
    take(batcher, s + 1, at(260ms));
    batcher.fetched(2, 2);
  }
  nothing_came(batcher, at(260ms));
  EXPECT_EQ(7u, expect<Insert>(batcher.next(at(260ms))).piece->rows.size());
}

TEST(Batcher, StopsGrowingAtTheCaps) {
  Batcher by_rows({.batch_size = 1, .max_queue = 2, .max_rows = 4}, 0);
  take(by_rows, 1, at(0ms), 4);
  by_rows.fetched(2, 2);
  expect<Insert>(by_rows.next(at(0ms)));
  Batcher by_bytes({.batch_size = 100, .max_queue = 1, .max_bytes = 10}, 0);
  take(by_bytes, 1, at(0ms), 2);
  by_bytes.fetched(1, 1);
  expect<Insert>(by_bytes.next(at(0ms)));
}

TEST(Batcher, AFullBatchDoesNotWaitForTheInterval) {
  Batcher batcher({.batch_size = 1, .max_queue = 2, .max_rows = 3}, 0);
  take(batcher, 1, at(0ms), 3);
  expect<Insert>(batcher.next(at(0ms)));
  batcher.inserted(Verdict::ok, at(0ms), 0);
  expect<Acknowledge>(batcher.next(at(0ms)));
  batcher.acknowledged(true, at(0ms), 0);
  take(batcher, 4, at(1ms), 2);
  batcher.fetched(2, 2);
  EXPECT_EQ(at(1ms), expect<Fetch>(batcher.next(at(1ms))).until) << "as many came as were asked for: a backlog";
  take(batcher, 6, at(2ms));
  batcher.fetched(1, 2);
  expect<Insert>(batcher.next(at(2ms)));
}

TEST(Batcher, ReadsBackAfterAnyFailureAndInsertsOnlyWhatIsMissing) {
  for (const auto verdict :
       {Verdict::unreachable, Verdict::retry, Verdict::back_pressure, Verdict::session_locked,
        Verdict::too_many_partitions, Verdict::schema_mismatch, Verdict::access_denied, Verdict::bad_data}) {
    Batcher batcher({.batch_size = 2, .max_rows = 2}, 0);
    take(batcher, 5, at(0ms));
    take(batcher, 7, at(0ms), 2);
    expect<Insert>(batcher.next(at(0ms)));
    batcher.inserted(verdict, at(1ms), 0);
    EXPECT_EQ(verdict, batcher.trouble());
    auto now = at(1ms);
    if (const auto step = batcher.next(now); std::holds_alternative<Wait>(step)) now = std::get<Wait>(step).until;
    const auto read = expect<ReadBack>(batcher.next(now));
    EXPECT_EQ(5u, read.first);
    EXPECT_EQ(7u, read.last);
    batcher.read_back({{7, 0}, {5, 0}, {6, 0}}, now);
    const auto again = expect<Insert>(batcher.next(now));
    ASSERT_EQ(1u, again.piece->rows.size());
    EXPECT_EQ((RowKey{7, 1}), again.batch->rows()[again.piece->rows[0]].key);
    batcher.inserted(Verdict::ok, now, 0);
    EXPECT_EQ(7u, expect<Acknowledge>(batcher.next(now)).sequence);
    EXPECT_EQ(Verdict::ok, batcher.trouble());
    EXPECT_EQ(2u, batcher.counters().rows_found);
  }
}

TEST(Batcher, ALostAnswerOfAnInsertThatSucceededIsOnlyAcknowledged) {
  Batcher batcher({.batch_size = 1, .max_rows = 1}, 0);
  take(batcher, 1, at(0ms));
  expect<Insert>(batcher.next(at(0ms)));
  batcher.inserted(Verdict::unreachable, at(1ms), 0);
  const auto now = expect<Wait>(batcher.next(at(1ms))).until;
  expect<ReadBack>(batcher.next(now));
  batcher.read_back({{1, 0}}, now);
  expect<Acknowledge>(batcher.next(now));
  EXPECT_EQ(Verdict::unreachable, batcher.trouble());
  batcher.acknowledged(true, now, 0);
  EXPECT_EQ(Verdict::ok, batcher.trouble()) << "nothing is the matter any more, though no insert has succeeded since";
}

TEST(Batcher, WaitsLongerEachTimeTheReadBackFails) {
  Batcher batcher({.batch_size = 1, .max_rows = 1}, 0);
  take(batcher, 1, at(0ms));
  expect<Insert>(batcher.next(at(0ms)));
  batcher.inserted(Verdict::unreachable, at(0ms), 0);
  auto now = at(0ms);
  std::vector<long> waits;
  for (int i = 0; i < 7; ++i) {
    const auto until = expect<Wait>(batcher.next(now)).until;
    waits.push_back((until - now) / 1ms);
    now = until;
    expect<ReadBack>(batcher.next(now));
    batcher.read_back_failed(Verdict::unreachable, now, 0);
  }
  EXPECT_THAT(waits, ::testing::ElementsAre(200, 400, 800, 1600, 3200, 5000, 5000));
}

TEST(Batcher, ReadsBackFirstWhatMayHaveBeenDeliveredBefore) {
  Batcher batcher({.batch_size = 1, .max_rows = 1}, 10);
  take(batcher, 10, at(0ms));
  expect<ReadBack>(batcher.next(at(0ms)));
  batcher.read_back({}, at(0ms));
  expect<Insert>(batcher.next(at(0ms)));
  batcher.inserted(Verdict::ok, at(0ms), 0);
  expect<Acknowledge>(batcher.next(at(0ms)));
  batcher.acknowledged(true, at(0ms), 0);
  take(batcher, 11, at(1s));
  expect<Insert>(batcher.next(at(1s)));
}

TEST(Batcher, ReadsBackFirstWhatAnotherMayHaveStoredMeanwhile) {
  Batcher batcher({.batch_size = 2}, 0);
  take(batcher, 1, at(0ms));
  batcher.doubt();  // while it is collecting
  take(batcher, 2, at(0ms));
  nothing_came(batcher, at(0ms));
  expect<ReadBack>(batcher.next(at(0ms)));
  batcher.read_back({{1, 0}}, at(1ms));
  EXPECT_EQ(1u, expect<Insert>(batcher.next(at(1ms))).piece->rows.size());
  batcher.doubt();  // while it is storing
  expect<ReadBack>(batcher.next(at(2ms)));
  batcher.read_back({{1, 0}, {2, 0}}, at(3ms));
  EXPECT_EQ(2u, expect<Acknowledge>(batcher.next(at(3ms))).sequence);
  batcher.acknowledged(true, at(4ms), 0);
  EXPECT_EQ(0u, batcher.counters().rows_inserted);

  // What comes after it is not in doubt.
  take(batcher, 3, at(2s));
  take(batcher, 4, at(2s));
  nothing_came(batcher, at(2s));
  expect<Insert>(batcher.next(at(2s)));
}

TEST(Batcher, DoesNotTakeAMessageTwice) {
  Batcher batcher({}, 0);
  take(batcher, 4, at(0ms));
  EXPECT_FALSE(batcher.wants(4));
  EXPECT_FALSE(batcher.wants(2));
  EXPECT_TRUE(batcher.wants(5));
  EXPECT_EQ(2u, batcher.counters().redelivered);
}

TEST(Batcher, AsksForTheAcknowledgementUntilItIsConfirmed) {
  Batcher batcher({.batch_size = 1, .max_rows = 1}, 0);
  take(batcher, 1, at(0ms));
  expect<Insert>(batcher.next(at(0ms)));
  batcher.inserted(Verdict::ok, at(0ms), 0);
  expect<Acknowledge>(batcher.next(at(0ms)));
  batcher.acknowledged(false, at(0ms), 0);
  const auto now = expect<Wait>(batcher.next(at(0ms))).until;
  expect<Acknowledge>(batcher.next(now));
  batcher.acknowledged(true, now, 0);
  EXPECT_TRUE(batcher.idle());
}

TEST(Batcher, CutsByTargetAndPartitions) {
  Batcher batcher({.batch_size = 1, .max_rows = 200, .max_partitions = 50}, 0);
  for (std::uint64_t s = 1; s <= 120; ++s)
    take(batcher, s, at(0ms), 1, s == 60 ? Target::rejected : Target::hot, static_cast<std::int32_t>(s % 110));
  nothing_came(batcher, at(0ms));
  std::vector<std::size_t> sizes;
  for (auto step = batcher.next(at(0ms)); std::holds_alternative<Insert>(step); step = batcher.next(at(0ms))) {
    const auto& insert = std::get<Insert>(step);
    std::set<std::int32_t> partitions;
    for (const auto row : insert.piece->rows) partitions.insert(insert.batch->rows()[row].partition);
    EXPECT_LE(partitions.size(), 50u);
    sizes.push_back(insert.piece->rows.size());
    batcher.inserted(Verdict::ok, at(0ms), 0);
  }
  EXPECT_EQ(4u, sizes.size());
  EXPECT_EQ(120u, batcher.counters().rows_inserted);
  EXPECT_EQ(120u, expect<Acknowledge>(batcher.next(at(0ms))).sequence);
}

TEST(Batcher, MakesSmallerPiecesWhenTheServerFindsTooManyPartitions) {
  Batcher batcher({.batch_size = 1, .max_rows = 4, .max_partitions = 4}, 0);
  for (std::uint64_t s = 1; s <= 4; ++s) take(batcher, s, at(0ms), 1, Target::hot, static_cast<std::int32_t>(s));
  EXPECT_EQ(4u, expect<Insert>(batcher.next(at(0ms))).piece->rows.size());
  batcher.inserted(Verdict::too_many_partitions, at(0ms), 0);
  expect<ReadBack>(batcher.next(at(0ms)));
  batcher.read_back({}, at(0ms));
  EXPECT_EQ(2u, expect<Insert>(batcher.next(at(0ms))).piece->rows.size());
}

TEST(Batcher, StoresWhatItHasWhenStoppedAndThenFinishes) {
  Batcher batcher({.batch_size = 100}, 0);
  take(batcher, 1, at(0ms));
  batcher.stop();
  expect<Insert>(batcher.next(at(0ms)));
  batcher.inserted(Verdict::ok, at(0ms), 0);
  expect<Acknowledge>(batcher.next(at(0ms)));
  batcher.acknowledged(true, at(0ms), 0);
  expect<Finished>(batcher.next(at(0ms)));
}

// The whole of it against a world in which everything fails at random: inserts that are carried out wholly, in part
// or not at all, answered or not; acknowledgements lost; redeliveries; and a storage process that dies between
// any two steps.
class World {
 public:
  explicit World(unsigned seed) : random_(seed) {
    std::uint64_t sequence = 0;
    for (int i = 0; i < 60; ++i) {
      sequence += 1 + pick(3);  // other consumers' messages lie between
      messages_[sequence] = 1 + pick(4);
      for (std::uint32_t row = 0; row < messages_[sequence]; ++row) expected_.insert({sequence, row});
    }
  }

  void run() {
    for (int lives = 0; acknowledged_ < messages_.rbegin()->first; ++lives) {
      ASSERT_LT(lives, 10'000);
      live();
    }
    EXPECT_EQ(expected_.size(), table_.size());
    for (const auto& key : expected_) EXPECT_EQ(1u, table_.count(key)) << key.sequence << "/" << key.index;
  }

 private:
  unsigned pick(unsigned below) { return std::uniform_int_distribution<unsigned>{0, below - 1}(random_); }
  bool chance(unsigned percent) { return pick(100) < percent; }

  std::uint64_t highest_in_table() const { return table_.empty() ? 0 : table_.rbegin()->sequence; }

  // One life of the storage process.
  void live() {
    const BatchLimits limits{.batch_size = 1 + pick(6),
                             .timeout = 50ms,
                             .max_queue = 1 + pick(5),
                             .min_interval = 5ms,
                             .max_rows = 12,
                             .max_partitions = 2};
    Batcher batcher(limits, std::max(delivered_, highest_in_table()));
    // The consumer is made anew above its ack floor.
    auto next_message = messages_.upper_bound(acknowledged_);
    for (int steps = 0; steps < 200; ++steps) {
      if (chance(4)) return;  // SIGKILL
      now_ += 1ms;
      const auto step = batcher.next(now_);
      if (const auto* fetch = std::get_if<Fetch>(&step)) {
        std::size_t count = 0;
        if (next_message != messages_.begin() && chance(5)) next_message = std::prev(next_message);  // redelivery
        for (; count < fetch->max_messages && next_message != messages_.end() && !chance(20); ++next_message, ++count)
          deliver(batcher, *next_message);
        if (count == 0) now_ = std::max(now_, fetch->until);
        batcher.fetched(count, fetch->max_messages);
        if (next_message == messages_.end() && batcher.idle()) return;
      } else if (const auto* insert = std::get_if<Insert>(&step)) {
        if (!carry_out(batcher, *insert)) return;
      } else if (const auto* read = std::get_if<ReadBack>(&step)) {
        read_back(batcher, *read);
      } else if (const auto* acknowledge = std::get_if<Acknowledge>(&step)) {
        const bool counts = !chance(20);
        if (counts) acknowledged_ = std::max(acknowledged_, acknowledge->sequence);
        if (counts) check_acknowledged_is_stored();
        batcher.acknowledged(counts && !chance(20), now_, 0.5);
      } else if (const auto* wait = std::get_if<Wait>(&step)) {
        now_ = wait->until;
      }
    }
  }

  void deliver(Batcher& batcher, const std::pair<const std::uint64_t, unsigned>& message) {
    delivered_ = std::max(delivered_, message.first);
    if (!batcher.wants(message.first)) return;
    for (std::uint32_t row = 0; row < message.second; ++row) {
      const auto target = row == 2 ? Target::rejected : row == 3 ? Target::cold : Target::hot;
      batcher.open_batch().add({message.first, row}, target, static_cast<std::int32_t>(message.first % 5), 0);
    }
    batcher.took(message.first, now_);
  }

  // False: killed before the answer came.
  bool carry_out(Batcher& batcher, const Insert& insert) {
    const auto outcome = pick(10);
    std::size_t rows = insert.piece->rows.size();
    if (outcome == 0) rows = 0;
    if (outcome == 1) rows = pick(static_cast<unsigned>(rows) + 1);  // some partitions only
    for (std::size_t i = 0; i < rows; ++i) table_.insert(insert.batch->rows()[insert.piece->rows[i]].key);
    const bool answered_ok = outcome > 2;
    if (chance(5)) return false;
    batcher.inserted(answered_ok ? Verdict::ok : outcome == 2 ? Verdict::unreachable : Verdict::retry, now_, 0.5);
    return true;
  }

  void read_back(Batcher& batcher, const ReadBack& read) {
    if (chance(20)) return batcher.read_back_failed(Verdict::unreachable, now_, 0.5);
    std::vector<RowKey> present;
    for (const auto& key : table_) {
      if (key.sequence >= read.first && key.sequence <= read.last) present.push_back(key);
    }
    batcher.read_back(std::move(present), now_);
  }

  void check_acknowledged_is_stored() {
    for (const auto& key : expected_) {
      if (key.sequence > acknowledged_) break;
      ASSERT_EQ(1u, table_.count(key)) << key.sequence << "/" << key.index;
    }
  }

  std::mt19937 random_;
  std::map<std::uint64_t, unsigned> messages_;  // sequence -> rows
  std::set<RowKey> expected_;
  std::multiset<RowKey> table_;
  std::uint64_t acknowledged_ = 0;
  std::uint64_t delivered_ = 0;
  MonoTime now_ = at(0ms);
};

TEST(Batcher, StoresEveryRowExactlyOnceWhateverFails) {
  for (unsigned seed = 0; seed < 400; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    World{seed}.run();
    if (::testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace mp::sinks::clickhouse
