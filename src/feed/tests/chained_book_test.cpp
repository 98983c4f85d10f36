// Whole sequences: snapshots, keep-alives, resets, gaps, reconnects, replacements, checksums.
#include "feed/chained_book.hpp"

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <random>

namespace mp {
namespace {

using namespace std::chrono_literals;
using Taken = ChainedBook::Taken;
using SnapshotTaken = ChainedBook::SnapshotTaken;
using Lines = std::vector<std::string>;

constexpr WallTime at(std::int64_t ms) { return wall_from_nanos(1'790'000'000'000'000'000 + ms * 1'000'000); }
BookLevel level(const std::string& price, const std::string& quantity) {
  return {Price{Decimal::parse(price).value()}, Quantity{Decimal::parse(quantity).value()}};
}
using Levels = std::vector<BookLevel>;

struct Script {
  BookRules rules;
  ChainRules chain;
  Connections connections;
  ChainedBook book;
  std::vector<MarketEvent> out;

  explicit Script(ChainRules chain_rules = {}, std::vector<BookSeries> series = {})
      : rules{.series = std::move(series)},
        chain(std::move(chain_rules)),
        book(
            std::make_shared<const InstrumentId>(InstrumentId{"okx", MarketType::perpetual, "BTC-USD", "BTC-USD-SWAP"}),
            QuantityUnit::quote, rules, chain) {}
  Script(const Script&) = delete;

  // The message's venue time is `ms`, it is received 5 ms later.
  SnapshotTaken snapshot(std::uint64_t id, std::int64_t ms, ConnectionId connection = 1,
                         Levels bids = {level("100", "1")}, Levels asks = {level("101", "1")},
                         std::optional<std::int64_t> checksum = {}) {
    connections.seen(connection);
    BookSnapshot s{
        .id = id, .timestamp = at(ms), .received_at = at(ms + 5), .bids = std::move(bids), .asks = std::move(asks)};
    return book.snapshot(s, connection, connections, checksum, out);
  }
  Taken update(std::uint64_t prev, std::uint64_t id, std::int64_t ms, ConnectionId connection = 1,
               Levels bids = {level("100", "2")}, std::optional<std::int64_t> checksum = {}) {
    connections.seen(connection);
    BookUpdate u{.ids = {id, id, prev}, .timestamp = at(ms), .received_at = at(ms + 5), .bids = std::move(bids)};
    return book.update(u, connection, connections, checksum, out);
  }
  Taken unnumbered(std::int64_t ms, std::int64_t checksum) {
    BookUpdate u{.timestamp = at(ms), .received_at = at(ms + 5), .bids = {level("100", "2")}};
    return book.unnumbered(u, 1, checksum, out);
  }
  void closed(ConnectionId connection, std::int64_t ms) {
    connections.closed(connection);
    book.closed(connection, at(ms), out);
  }
  void begin() {
    connections.clear();
    book.begin();
  }
  Lines lines() const {
    Lines all;
    for (const auto& event : out) {
      if (const auto* d = std::get_if<OrderBookDelta>(&event))
        all.push_back((d->is_snapshot ? "snapshot " : "delta ") + std::to_string(d->last_update_id));
      else if (const auto* g = std::get_if<Gap>(&event))
        all.push_back(std::string("gap ") + to_string(g->cause) + " " + *g->last_id + ".." + *g->next_id);
      else
        all.emplace_back(to_string(type_of(event)));
    }
    return all;
  }
};

// OKX's own example: (-1,10) (10,15) (15,15) (15,3) (3,5).
TEST(ChainedBook, KeepAlivesAndMaintenanceResetsContinueTheChain) {
  Script s;
  EXPECT_EQ(s.snapshot(10, 0), SnapshotTaken::applied);
  EXPECT_EQ(s.update(10, 15, 100), Taken::applied);
  EXPECT_EQ(s.update(15, 15, 60'000, 1, {}), Taken::unchanged);
  EXPECT_EQ(s.update(15, 3, 60'100), Taken::applied);
  EXPECT_EQ(s.update(3, 5, 60'200), Taken::applied);
  EXPECT_EQ(s.lines(), (Lines{"snapshot 10", "delta 15", "delta 3", "delta 5"}));
  EXPECT_TRUE(s.book.good());
  EXPECT_EQ(s.book.kept().last_id(), 5u);
}

TEST(ChainedBook, EventsCarryIdsTimesAndUnit) {
  Script s;
  s.snapshot(10, 0);
  s.update(10, 15, 100);
  const auto& first = std::get<OrderBookDelta>(s.out.at(0));
  EXPECT_TRUE(first.is_snapshot);
  EXPECT_EQ(first.quantity_unit, QuantityUnit::quote);
  EXPECT_FALSE(first.prev_update_id);
  const auto& delta = std::get<OrderBookDelta>(s.out.at(1));
  EXPECT_EQ(delta.first_update_id, 15u);
  EXPECT_EQ(delta.prev_update_id, 10u);
  EXPECT_EQ(delta.meta.timestamp, at(100));
  EXPECT_EQ(delta.meta.received_at, at(105));
  EXPECT_EQ(delta.quantity_unit, QuantityUnit::quote);
  EXPECT_EQ(s.book.kept().picture(0).quantity_unit, QuantityUnit::quote);
}

TEST(ChainedBook, AGapIsToldAtOnceAndNothingComesUntilTheNextSnapshot) {
  Script s;
  s.snapshot(10, 0);
  EXPECT_EQ(s.update(12, 13, 100), Taken::lost);
  EXPECT_TRUE(s.book.wants_snapshot());
  EXPECT_FALSE(s.book.good());
  EXPECT_EQ(s.update(13, 14, 200), Taken::dropped);
  EXPECT_EQ(s.lines(), (Lines{"snapshot 10", "gap sequence 10..13"}));
  const auto hole = std::get<Gap>(s.out.back());
  s.snapshot(20, 300);
  EXPECT_FALSE(s.book.wants_snapshot());
  EXPECT_EQ(s.lines(), (Lines{"snapshot 10", "gap sequence 10..13", "gap sequence 10..20", "snapshot 20"}));
  EXPECT_EQ(std::get<Gap>(s.out.at(2)).gap_id, hole.gap_id) << "two rows of one gap";
  EXPECT_EQ(s.book.kept().gaps(), 1u);
}

TEST(ChainedBook, AHoleIsAGapWhateverTheVenuesClockDoes) {
  Script s;
  s.snapshot(10, 10'000);
  s.update(10, 11, 10'100);
  EXPECT_EQ(s.update(10, 11, 10'100), Taken::old);
  EXPECT_EQ(s.update(12, 13, 10'099), Taken::lost) << "it comes behind the book on the book's own connection";
  EXPECT_EQ(s.lines(), (Lines{"snapshot 10", "delta 11", "gap sequence 11..13"}));
}

TEST(ChainedBook, UpdatesWithoutASnapshotAskForOne) {
  Script s;
  EXPECT_FALSE(s.book.wants_snapshot()) << "the subscription brings it";
  EXPECT_EQ(s.update(10, 11, 0), Taken::dropped);
  EXPECT_TRUE(s.book.wants_snapshot());
  EXPECT_TRUE(s.out.empty());
}

TEST(ChainedBook, AReconnectIsAGapUnlessTheBookStoodStill) {
  for (const bool collector : {false, true}) {
    Script s;
    s.snapshot(10, 0);
    collector ? s.begin() : s.closed(1, 50);
    s.snapshot(10, 100, 2);
    EXPECT_EQ(s.lines(), (Lines{"snapshot 10", "snapshot 10"})) << "nothing was missed";
    collector ? s.begin() : s.closed(2, 150);
    s.snapshot(17, 200, 3);
    EXPECT_EQ(s.lines().at(2), collector ? "gap collector_down 10..17" : "gap disconnected 10..17");
    EXPECT_EQ(s.lines().back(), "snapshot 17");
    EXPECT_EQ(s.lines().size(), 4u) << "noticed and mended at once: one row";
  }
}

TEST(ChainedBook, ASnapshotOnTheSameConnectionThatSkipsUpdatesIsAGap) {
  Script s;
  s.snapshot(10, 0);
  s.snapshot(20, 100);
  EXPECT_EQ(s.lines(), (Lines{"snapshot 10", "gap sequence 10..20", "snapshot 20"}));
}

// ---- two connections ------------------------------------------------------------------------------------------

TEST(ChainedBook, AReplacementIsMergedById) {
  Script s;
  s.snapshot(10, 0, 1);
  EXPECT_EQ(s.snapshot(12, 100, 2), SnapshotTaken::ahead) << "1 will bring 11 and 12";
  EXPECT_EQ(s.update(12, 13, 150, 2), Taken::buffered);
  EXPECT_EQ(s.update(13, 14, 160, 2), Taken::buffered);
  EXPECT_EQ(s.update(10, 11, 50, 1), Taken::applied);
  EXPECT_EQ(s.update(11, 12, 100, 1), Taken::applied);
  EXPECT_EQ(s.lines(), (Lines{"snapshot 10", "delta 11", "delta 12", "delta 13", "delta 14"}));
  EXPECT_EQ(s.update(12, 13, 150, 1), Taken::old);
  EXPECT_EQ(s.update(14, 15, 170, 2), Taken::applied);
  s.closed(1, 180);
  EXPECT_EQ(s.update(15, 16, 190, 2), Taken::applied);
  EXPECT_EQ(s.lines().back(), "delta 16");
  EXPECT_EQ(s.book.kept().gaps(), 0u);
}

TEST(ChainedBook, ASnapshotBehindTheBookIsDropped) {
  Script s;
  s.snapshot(10, 0, 1);
  s.update(10, 20, 100, 1);
  EXPECT_EQ(s.snapshot(15, 60, 2), SnapshotTaken::old);
  EXPECT_EQ(s.update(15, 20, 100, 2), Taken::old);
  s.closed(1, 150);
  EXPECT_EQ(s.update(20, 21, 200, 2), Taken::applied);
  EXPECT_EQ(s.lines(), (Lines{"snapshot 10", "delta 20", "delta 21"}));
}

TEST(ChainedBook, WhatTheOldConnectionDoesNotBringAnyMoreIsAGapMendedByTheSnapshotThatWaits) {
  Script s;
  s.snapshot(10, 0, 1);
  s.snapshot(12, 100, 2);
  s.update(12, 13, 150, 2);
  s.closed(1, 160);
  EXPECT_EQ(s.lines(), (Lines{"snapshot 10", "gap sequence 10..12", "snapshot 12", "delta 13"}));
  EXPECT_EQ(std::get<OrderBookDelta>(s.out.at(2)).meta.received_at, at(105)) << "of the frame that brought it";
  EXPECT_FALSE(s.book.wants_snapshot());
  EXPECT_EQ(s.update(13, 14, 200, 2), Taken::applied);
}

TEST(ChainedBook, WaitingForTheOtherConnectionEnds) {
  Script s;
  s.snapshot(10, 0, 1);
  s.snapshot(12, 100, 2);
  EXPECT_EQ(s.update(12, 13, 5'099, 2), Taken::buffered);
  EXPECT_EQ(s.update(13, 14, 5'100, 2), Taken::applied);
  EXPECT_EQ(s.lines(), (Lines{"snapshot 10", "gap sequence 10..12", "snapshot 12", "delta 13", "delta 14"}));
}

TEST(ChainedBook, TheReplacementsEndLeavesTheBookWhereItWas) {
  Script s;
  s.snapshot(10, 0, 1);
  s.snapshot(12, 100, 2);
  s.update(12, 13, 150, 2);
  s.closed(2, 160);
  EXPECT_EQ(s.update(10, 11, 50, 1), Taken::applied);
  EXPECT_EQ(s.update(11, 12, 100, 1), Taken::applied);
  EXPECT_EQ(s.update(12, 13, 150, 1), Taken::applied);
  EXPECT_EQ(s.lines(), (Lines{"snapshot 10", "delta 11", "delta 12", "delta 13"}));
}

TEST(ChainedBook, AHoleInBothConnectionsIsAGap) {
  Script s;
  s.snapshot(10, 0, 1);
  s.snapshot(10, 10, 2);
  EXPECT_EQ(s.update(12, 13, 100, 2), Taken::buffered);
  EXPECT_EQ(s.update(12, 13, 100, 1), Taken::lost);
  EXPECT_EQ(s.lines(), (Lines{"snapshot 10", "gap sequence 10..13"}));
  EXPECT_TRUE(s.book.wants_snapshot());
}

TEST(ChainedBook, TheSlowerConnectionsCopyOfAResetIsOld) {
  Script s;
  s.snapshot(10, 0, 1);
  s.snapshot(10, 10, 2);
  s.update(10, 15, 100, 1);
  s.update(15, 3, 200, 1);
  EXPECT_EQ(s.update(10, 15, 100, 2), Taken::old);
  EXPECT_EQ(s.update(15, 3, 200, 2), Taken::old);
  EXPECT_EQ(s.update(3, 5, 300, 2), Taken::applied);
  EXPECT_EQ(s.book.kept().gaps(), 0u);
}

// ---- snapshots by REST ----------------------------------------------------------------------------------------

TEST(ChainedBook, ARestSnapshotStandsBetweenTwoUpdates) {
  Script s({.snapshots_by_rest = true});
  EXPECT_EQ(s.update(10, 15, 100), Taken::buffered);
  EXPECT_EQ(s.update(15, 20, 200), Taken::buffered);
  EXPECT_TRUE(s.book.wants_snapshot());
  EXPECT_EQ(s.snapshot(9, 250, 0), SnapshotTaken::too_old);
  EXPECT_EQ(s.snapshot(17, 300, 0), SnapshotTaken::applied);
  EXPECT_EQ(s.lines(), (Lines{"snapshot 17", "delta 20"}));
  EXPECT_EQ(s.update(20, 21, 400), Taken::applied);
  EXPECT_EQ(s.snapshot(30, 500, 0), SnapshotTaken::old) << "the book is good";
}

TEST(ChainedBook, ARestSnapshotNewerThanAllUpdatesWaitsForTheOneThatContinuesIt) {
  Script s({.snapshots_by_rest = true});
  s.update(10, 15, 100);
  EXPECT_EQ(s.snapshot(22, 300, 0), SnapshotTaken::applied);
  EXPECT_EQ(s.update(15, 20, 200), Taken::old);
  EXPECT_EQ(s.update(20, 25, 210), Taken::applied);
  EXPECT_EQ(s.update(26, 27, 400), Taken::lost);
  EXPECT_EQ(s.lines(), (Lines{"snapshot 22", "delta 25", "gap sequence 25..27"}));
  EXPECT_EQ(s.snapshot(27, 500, 0), SnapshotTaken::applied);
  EXPECT_EQ(s.lines().back(), "snapshot 27") << "the update that showed the gap is in it";
}

// ---- checksums ------------------------------------------------------------------------------------------------

// 1: right, 2: cannot be told, anything else: wrong.
ChecksumOutcome told(const book::Book&, std::int64_t expected) {
  return expected == 1   ? ChecksumOutcome::verified
         : expected == 2 ? ChecksumOutcome::unverifiable
                         : ChecksumOutcome::failed;
}

TEST(ChainedBook, AFailedChecksumAloneDropsNoBookWhoseChainIsIntact) {
  Script s({.checksum = told});
  s.snapshot(10, 0, 1, {level("100", "1")}, {level("101", "1")}, 1);
  EXPECT_EQ(s.update(10, 11, 100, 1, {level("100", "2")}, 2), Taken::applied);
  EXPECT_EQ(s.update(11, 12, 200, 1, {level("100", "2")}, 3), Taken::applied);
  EXPECT_EQ(s.update(12, 13, 300, 1, {level("100", "2")}), Taken::applied) << "none was sent";
  EXPECT_TRUE(s.book.good());
  EXPECT_EQ(s.book.checksums().verified, 1u);
  EXPECT_EQ(s.book.checksums().unverifiable, 1u);
  EXPECT_EQ(s.book.checksums().failed, 1u);
}

TEST(ChainedBook, WithoutIdsTheChecksumIsTheProof) {
  Script s({.checksum = told});
  EXPECT_EQ(s.unnumbered(0, 1), Taken::dropped) << "no snapshot yet";
  s.snapshot(0, 0);
  EXPECT_EQ(s.unnumbered(100, 1), Taken::applied);
  EXPECT_EQ(s.unnumbered(200, 2), Taken::applied) << "nothing speaks against it";
  EXPECT_EQ(s.unnumbered(300, 3), Taken::lost);
  EXPECT_FALSE(s.book.good());
  EXPECT_TRUE(s.book.wants_snapshot());
  EXPECT_EQ(s.lines(), (Lines{"snapshot 0", "delta 0", "delta 0", "gap checksum 0..0"}));
  EXPECT_EQ(std::get<Gap>(s.out.back()).gap_start, at(200));
}

// ---- pictures, range ------------------------------------------------------------------------------------------

TEST(ChainedBook, PicturesAreConflatedAndNoneShowsACrossedBook) {
  Script s({}, {{1, 100ms}});
  s.snapshot(10, 0);
  EXPECT_EQ(s.lines(), (Lines{"snapshot 10", "orderbook"}));
  s.update(10, 11, 50);
  EXPECT_EQ(s.book.next_due(), at(105));
  s.book.show_due(at(105), s.out);
  EXPECT_EQ(s.lines().back(), "orderbook");
  s.update(11, 12, 300, 1, {level("101", "1")});
  EXPECT_EQ(s.lines().back(), "delta 12");
  EXPECT_FALSE(s.book.good()) << "bid 101 meets ask 101";
  EXPECT_FALSE(s.book.next_due());
}

TEST(ChainedBook, LevelsBeyondTheSnapshotsRangeAreKnownAsSuch) {
  Script s;
  s.snapshot(10, 0, 1, {level("100", "1"), level("99", "1")}, {level("101", "1"), level("103", "1")});
  EXPECT_EQ(s.book.kept().lowest_known_bid()->value.text(), "99");
  EXPECT_EQ(s.book.kept().highest_known_ask()->value.text(), "103");
  BookSnapshot whole{.id = 11, .timestamp = at(1), .received_at = at(2), .bids = {level("100", "1")}, .whole = true};
  s.book.snapshot(whole, 1, s.connections, {}, s.out);
  EXPECT_FALSE(s.book.kept().lowest_known_bid());
}

// ---- answers by REST that prove something ---------------------------------------------------------------------

TEST(ChainedBook, AnAnswerOfTheSameIdEndsABookThatDiffersSinceItWasLastProven) {
  Script s;
  const Levels asks{level("101", "1")};
  s.snapshot(10, 0);
  s.update(10, 11, 100);
  EXPECT_EQ(s.snapshot(11, 100, 0, {level("100", "2")}), SnapshotTaken::old) << "it agrees: proven at 11";
  s.update(11, 12, 200, 1, {level("99", "1")});
  s.update(12, 13, 300, 1, {level("98", "1")});
  // Ahead of the book; it has an ask that we have not, and the update that comes to it says nothing of that.
  EXPECT_EQ(s.snapshot(14, 350, 0, {level("100", "2"), level("99", "1"), level("98", "5")}, {level("101", "7")}),
            SnapshotTaken::old);
  EXPECT_TRUE(s.book.good());
  EXPECT_EQ(s.update(13, 14, 400, 1, {level("98", "5")}), Taken::lost);
  EXPECT_FALSE(s.book.good());
  EXPECT_TRUE(s.book.wants_snapshot());
  EXPECT_EQ(s.update(14, 15, 500), Taken::dropped);
  EXPECT_EQ(s.snapshot(15, 500), SnapshotTaken::applied);
  EXPECT_EQ(s.lines(), (Lines{"snapshot 10", "delta 11", "delta 12", "delta 13", "delta 14", "gap audit 11..14",
                              "gap audit 11..15", "snapshot 15"}));
  const auto& gap = std::get<Gap>(s.out.at(6));
  EXPECT_EQ(gap.gap_start, at(100)) << "what was published since then may be wrong";
  EXPECT_EQ(gap.gap_end, at(500));
  EXPECT_EQ(gap.gap_id, std::get<Gap>(s.out.at(5)).gap_id) << "the second row replaces the first";
  EXPECT_TRUE(s.book.good());
}

TEST(ChainedBook, WhatASnapshotDoesNotMendEndsABookOnceInAnHour) {
  Script s;
  s.snapshot(10, 0);
  EXPECT_EQ(s.snapshot(10, 10, 0, {level("100", "3")}), SnapshotTaken::refuted);
  EXPECT_EQ(s.snapshot(11, 100), SnapshotTaken::applied);
  EXPECT_EQ(s.snapshot(11, 3'000'000, 0, {level("100", "3")}), SnapshotTaken::old) << "50 minutes later";
  EXPECT_TRUE(s.book.good());
  EXPECT_EQ(s.snapshot(11, 3'700'000, 0, {level("100", "3")}), SnapshotTaken::refuted);
  EXPECT_FALSE(s.book.good());
}

// ---- state ----------------------------------------------------------------------------------------------------

std::string saved(const ChainedBook& book) {
  std::string bytes;
  StateWriter writer(bytes, "test", 1);
  book.save(writer);
  return bytes;
}

TEST(ChainedBook, RestoredAtEveryPointItGoesOnTheSame) {
  using Step = std::function<void(Script&)>;
  const std::vector<Step> steps{[](Script& s) { s.snapshot(10, 0, 1); },
                                [](Script& s) { s.update(10, 11, 50, 1); },
                                [](Script& s) { s.snapshot(13, 100, 2); },
                                [](Script& s) { s.update(13, 14, 150, 2); },
                                [](Script& s) { s.update(11, 12, 160, 1); },
                                [](Script& s) { s.closed(1, 170); },
                                [](Script& s) { s.update(14, 15, 180, 2); },
                                [](Script& s) { s.update(16, 17, 190, 2); },
                                [](Script& s) { s.update(17, 18, 200, 2); },
                                [](Script& s) { s.snapshot(18, 210, 2); },
                                [](Script& s) { s.closed(2, 220); },
                                [](Script& s) { s.snapshot(30, 300, 3); },
                                [](Script& s) { s.snapshot(30, 310, 0); },
                                [](Script& s) { s.update(30, 31, 320, 3); },
                                [](Script& s) { s.snapshot(32, 330, 0); },
                                [](Script& s) { s.update(31, 32, 340, 3); },
                                [](Script& s) { s.snapshot(40, 400, 3); },
                                [](Script& s) { s.snapshot(40, 410, 0, {level("97", "1")}); },
                                [](Script& s) { s.book.show_due(at(900), s.out); }};
  Script whole({}, {{5, 100ms}});
  for (const auto& step : steps) step(whole);
  for (std::size_t cut = 0; cut <= steps.size(); ++cut) {
    Script before({}, {{5, 100ms}});
    for (std::size_t i = 0; i < cut; ++i) steps[i](before);
    Script after({}, {{5, 100ms}});
    after.connections = before.connections;
    const auto bytes = saved(before.book);
    StateReader reader(bytes, "test", 1);
    after.book.restore(reader);
    ASSERT_TRUE(reader.finish()) << cut;
    EXPECT_EQ(saved(after.book), bytes) << cut;
    for (std::size_t i = cut; i < steps.size(); ++i) steps[i](after);
    auto lines = before.lines();
    for (const auto& line : after.lines()) lines.push_back(line);
    EXPECT_EQ(lines, whole.lines()) << "cut at " << cut;
    EXPECT_EQ(saved(after.book), saved(whole.book)) << cut;
  }
}

// Random deliveries over two connections, with losses, repetitions, resets and reconnects: whenever the book is good,
// it is the venue's book at that id, and its deltas are one chain from each snapshot on.
TEST(ChainedBook, AGoodBookIsTheVenuesBook) {
  struct Message {
    std::uint64_t prev, id;
    std::int64_t ms;
    int price, quantity;
  };
  std::uint64_t compared = 0, gaps = 0;
  for (unsigned seed = 0; seed < 60; ++seed) {
    std::mt19937 random(seed);
    Script s({}, {});
    std::map<int, int> venue{{50, 1}};
    std::uint64_t id = 1'000'000'000;
    std::map<std::int64_t, std::pair<std::uint64_t, std::map<int, int>>> at_time;
    const auto levels = [](const std::map<int, int>& from) {
      Levels out;
      for (const auto& [price, quantity] : from) out.push_back(level(std::to_string(price), std::to_string(quantity)));
      return out;
    };
    struct Way {
      ConnectionId connection = 0;
      std::deque<Message> queue;
      bool subscribed = false;
    };
    Way ways[2];
    ConnectionId next_connection = 1;
    for (int step = 0; step < 600; ++step) {
      const std::int64_t ms = step * 10;
      const auto prev = id;
      if (random() % 50 == 0)
        id = random() % 2 == 0 ? id - 1'000'000 - random() % 1000 : id + 2000;  // a reset, or a leap
      else
        id += 1 + random() % 3;
      const Message message{prev, id, ms, static_cast<int>(40 + random() % 20), static_cast<int>(random() % 4)};
      if (message.quantity == 0)
        venue.erase(message.price);
      else
        venue[message.price] = message.quantity;
      at_time[ms] = {id, venue};
      for (auto& way : ways) {
        if (way.subscribed && random() % 60 != 0) way.queue.push_back(message);  // now and then one is lost
        const auto dice = random() % 100;
        if (way.connection == 0 && dice < 5) {
          way = {next_connection++, {}, true};
          s.snapshot(id, ms, way.connection, levels(venue), {});
        } else if (way.connection != 0 && dice == 99) {
          s.closed(std::exchange(way.connection, 0), ms);
          way = {};
        } else if (way.connection != 0 && s.book.wants_snapshot() && dice < 20) {
          way.queue.clear();
          s.snapshot(id, ms, way.connection, levels(venue), {});
        }
        while (!way.queue.empty() && random() % 2 == 0) {
          const auto m = way.queue.front();
          way.queue.pop_front();
          s.update(m.prev, m.id, m.ms, way.connection, {level(std::to_string(m.price), std::to_string(m.quantity))});
        }
      }
      if (!s.book.good()) continue;
      std::map<int, int> held;
      for (const auto& l : s.book.kept().picture(0).bids)
        held[std::stoi(l.price.value.text())] = std::stoi(l.quantity.value.text());
      const auto& [venue_id, venue_book] =
          at_time.at((nanos_since_epoch(s.book.kept().last_timestamp()) - nanos_since_epoch(at(0))) / 1'000'000);
      ASSERT_EQ(s.book.kept().last_id(), venue_id) << "seed " << seed << " step " << step;
      ASSERT_EQ(held, venue_book) << "seed " << seed << " step " << step;
      ++compared;
    }
    std::optional<std::uint64_t> last;
    for (const auto& event : s.out) {
      if (std::holds_alternative<Gap>(event)) {
        last.reset();
        ++gaps;
      }
      const auto* delta = std::get_if<OrderBookDelta>(&event);
      if (!delta) continue;
      ASSERT_TRUE(delta->is_snapshot || last == delta->prev_update_id) << "seed " << seed;
      last = delta->last_update_id;
    }
  }
  EXPECT_GT(compared, 10'000u);
  EXPECT_GT(gaps, 100u);
}

}  // namespace
}  // namespace mp
