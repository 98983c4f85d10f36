#include "feed/outages.hpp"

#include <gtest/gtest.h>

#include <random>
#include <utility>

namespace mp {
namespace {

using namespace std::chrono_literals;

constexpr WallTime kStart = wall_from_nanos(1'790'000'000'000'000'000);
WallTime at(Nanos t) { return kStart + t; }

Connections::Heard heard(ConnectionId connection, Nanos frame, std::optional<Nanos> data = std::nullopt) {
  return {connection, at(frame), data ? std::optional{at(*data)} : std::nullopt};
}

TEST(StreamCover, TheFirstCoverIsNoOutage) {
  StreamCover stream;
  EXPECT_FALSE(stream.covered(1, at(1s)));
  EXPECT_TRUE(stream.is_carried_by(1));
  EXPECT_FALSE(stream.data(1, at(2s), at(2s)));
}

TEST(StreamCover, AnOutageIsFromTheLastProofToTheConfirmation) {
  StreamCover stream;
  stream.covered(1, at(1s));
  stream.closed(heard(1, 10s), {GapCause::disconnected});
  EXPECT_FALSE(stream.is_carried());
  EXPECT_EQ(stream.covered(2, at(15s)), (Outage{at(9s), at(15s), GapCause::disconnected}));
  EXPECT_FALSE(stream.data(2, at(16s), at(16s))) << "told once";
}

TEST(StreamCover, OrToTheFirstData) {
  StreamCover stream;
  stream.data(1, at(1s), at(1s));
  stream.closed(heard(1, 10s), {GapCause::disconnected});
  // What a venue repeats at a subscription may be older than the outage: when it came is what
  // counts.
  EXPECT_EQ(stream.data(2, at(500ms), at(15s)), (Outage{at(9s), at(15s), GapCause::disconnected}));
  EXPECT_FALSE(stream.covered(2, at(16s)));
}

TEST(StreamCover, ItsOwnLastEventProvesMoreThanTheConnectionsFrames) {
  StreamCover stream;
  stream.data(1, at(9700ms), at(9800ms));
  stream.closed(heard(1, 9800ms), {GapCause::disconnected});
  EXPECT_EQ(stream.covered(2, at(15s))->start, at(9700ms));
}

TEST(StreamCover, AVenuesWrongClockProvesNothing) {
  StreamCover stream;
  stream.data(1, at(100h), at(10s));
  stream.closed(heard(1, 10s), {GapCause::disconnected});
  EXPECT_EQ(stream.covered(2, at(15s)), (Outage{at(10s), at(15s), GapCause::disconnected}));
}

TEST(StreamCover, NoOutageWhileAnotherConnectionCarriesIt) {
  StreamCover stream;
  stream.data(1, at(1s), at(1s));
  stream.covered(2, at(2s));
  stream.data(1, at(3s), at(3s));
  stream.closed(heard(1, 4s), {GapCause::disconnected});
  EXPECT_TRUE(stream.is_carried_by(2));
  EXPECT_FALSE(stream.data(2, at(5s), at(5s)));
  // Nor when it is the replacement that ends.
  stream.covered(3, at(6s));
  stream.closed(heard(3, 7s), {GapCause::disconnected});
  EXPECT_FALSE(stream.data(2, at(8s), at(8s)));
}

// It was dead, and nobody knew it, when the other took over.
TEST(StreamCover, WhatADeadConnectionLeftUntilItWasRelievedIsToldAtItsEnd) {
  StreamCover stream;
  stream.data(1, at(1s), at(1s));
  EXPECT_FALSE(stream.covered(2, at(20s)));
  EXPECT_FALSE(stream.data(2, at(21s), at(21s)));
  EXPECT_EQ(stream.closed(heard(1, 10s), {GapCause::disconnected}), (Outage{at(9s), at(20s), GapCause::disconnected}));
  EXPECT_TRUE(stream.is_carried_by(2));
  EXPECT_FALSE(stream.closed(heard(1, 10s), {GapCause::disconnected})) << "told once";
}

TEST(StreamCover, ItsOwnLastEventBeforeTheReliefProvesMore) {
  StreamCover stream;
  stream.data(1, at(9800ms), at(9900ms));
  stream.data(2, at(20s), at(20s));
  EXPECT_EQ(stream.closed(heard(1, 9900ms), {GapCause::stale}), (Outage{at(9800ms), at(20s), GapCause::stale}));
}

TEST(StreamCover, NothingIsMissingWhereTheRelievedOneLivedLongEnough) {
  StreamCover stream;
  stream.data(1, at(1s), at(1s));
  stream.covered(2, at(20s));
  stream.data(1, at(20500ms), at(21s));
  stream.data(2, at(22s), at(22s));
  EXPECT_FALSE(stream.closed(heard(1, 21s), {GapCause::disconnected}));
}

TEST(StreamCover, OneThatWeReplacedMayHaveBeenWellAndQuiet) {
  StreamCover stream;
  stream.data(1, at(1s), at(1s));
  stream.covered(2, at(200s));
  EXPECT_FALSE(stream.closed(heard(1, 10s), {GapCause::disconnected, true}));
}

TEST(StreamCover, AConnectionThatNeverCarriedItIsNoMatter) {
  StreamCover stream;
  stream.data(1, at(1s), at(1s));
  stream.closed(heard(2, 2s), {GapCause::disconnected});
  EXPECT_FALSE(stream.data(1, at(3s), at(3s)));
  stream.closed(heard(1, 4s), {GapCause::disconnected});
  stream.closed(heard(3, 9s), {GapCause::stale});  // an attempt that came to nothing
  EXPECT_EQ(stream.covered(4, at(12s)), (Outage{at(3s), at(12s), GapCause::disconnected}));
}

TEST(StreamCover, AConnectionEndedForItsSilenceProvesNothingByAnswersToPings) {
  StreamCover stream;
  stream.covered(1, at(1s));
  stream.closed(heard(1, 60s, 20s), {GapCause::stale});
  EXPECT_EQ(stream.covered(2, at(70s)), (Outage{at(19s), at(70s), GapCause::stale}));
}

TEST(StreamCover, ACollectorThatBeginsEndsAll) {
  Connections connections;
  connections.heard(1, at(10s));
  connections.heard(2, at(12s));
  StreamCover stream, away, never;
  stream.covered(1, at(1s));
  stream.covered(2, at(2s));
  away.covered(1, at(1s));
  away.closed(heard(1, 5s), {GapCause::disconnected});
  for (auto* each : {&stream, &away, &never}) each->begin(connections);
  EXPECT_EQ(stream.covered(3, at(20s)), (Outage{at(11s), at(20s), GapCause::collector_down}));
  EXPECT_EQ(away.covered(3, at(20s)), (Outage{at(4s), at(20s), GapCause::collector_down}));
  EXPECT_FALSE(never.covered(3, at(20s)));
}

TEST(StreamCover, OneThatIsUnsubscribedWasSilentSinceItsLastEvent) {
  StreamCover stream;
  stream.data(1, at(10s), at(10s));
  stream.given_up(1);
  EXPECT_FALSE(stream.data(1, at(11s), at(11s))) << "was under way";
  EXPECT_FALSE(stream.covered(1, at(11s))) << "the answer to the unsubscription";
  stream.asked(1, 7);
  EXPECT_EQ(stream.covered(1, at(50s)), (Outage{at(10s), at(50s), GapCause::stale}));
}

TEST(StreamCover, AnAnswerIsToOneRequestOfOneConnection) {
  StreamCover stream;
  stream.asked(1, 7);
  EXPECT_FALSE(stream.answered(2, 7));
  EXPECT_FALSE(stream.answered(1, 8));
  EXPECT_FALSE(stream.is_answered(1));
  EXPECT_TRUE(stream.answered(1, 7));
  EXPECT_TRUE(stream.is_answered(1));
  stream.closed(heard(1, 1s), {GapCause::disconnected});
  EXPECT_FALSE(stream.is_answered(1));
}

TEST(StreamCover, WhatIsMissingWhenItEnds) {
  StreamCover stream;
  stream.covered(1, at(1s));
  EXPECT_FALSE(stream.ended(at(5s)));
  stream.covered(1, at(6s));
  stream.closed(heard(1, 10s), {GapCause::disconnected});
  EXPECT_EQ(stream.ended(at(30s)), (Outage{at(9s), at(30s), GapCause::disconnected}));
  EXPECT_FALSE(stream.covered(2, at(40s))) << "begins anew";
}

TEST(StreamCover, AClockThatIsSetBackMakesNoGapThatEndsBeforeItBegins) {
  StreamCover stream;
  stream.covered(1, at(1s));
  stream.closed(heard(1, 10s), {GapCause::disconnected});
  EXPECT_EQ(stream.covered(2, at(5s)), (Outage{at(9s), at(9s), GapCause::disconnected}));
}

// Whatever happens: saved and restored at any moment it says the same; every moment in which nobody
// listened after somebody did lies in an outage, and no outage is told while somebody listens all
// the time.
TEST(StreamCover, TellsEveryOutageOverAnyHistory) {
  std::mt19937 random(7);
  for (int round = 0; round < 300; ++round) {
    Connections connections;
    StreamCover stream;
    std::vector<ConnectionId> carrying;  // the oldest first
    ConnectionId next = 1;
    std::optional<Nanos> down_since;
    bool was_covered = false;
    Nanos relieved_at{0};
    Nanos last_frame{0};            // over any connection,
    Nanos last_frame_at_relief{0};  // and before the newest was there
    for (auto t = Nanos{10s}; t < 300s; t += 2s) {
      std::string saved;
      {
        StateWriter out(saved, "t", 1);
        stream.save(out);
        connections.save(out);
      }
      StateReader in(saved, "t", 1);
      StreamCover copy;
      Connections connections_copy;
      copy.restore(in);
      connections_copy.restore(in);
      ASSERT_TRUE(in.finish());
      stream = copy;
      connections = connections_copy;

      std::optional<Outage> told;
      switch (random() % 4) {
        case 0:
          if (carrying.size() == 2) break;
          connections.heard(next, at(t));
          told = random() % 2 == 0 ? stream.covered(next, at(t)) : stream.data(next, at(t), at(t));
          carrying.push_back(next++);
          relieved_at = t;
          last_frame_at_relief = std::exchange(last_frame, t);
          break;
        case 1:
          if (carrying.empty()) break;
          {
            const auto end = carrying[random() % carrying.size()];
            const auto last = connections.last_heard(end);
            connections.closed(end);
            ASSERT_TRUE(last);
            const bool was_relieved = carrying.size() == 2 && end == carrying[0];
            const auto left = stream.closed(*last, {GapCause::disconnected});
            std::erase(carrying, end);
            ASSERT_EQ(left.has_value(), was_relieved && last->frame_at < at(relieved_at)) << "round " << round;
            if (!left) break;
            ASSERT_LE(left->start, at(last_frame_at_relief));
            ASSERT_EQ(left->end, at(relieved_at));
          }
          break;
        case 2:
          if (random() % 4 != 0) break;
          stream.begin(connections);
          connections.clear();
          carrying.clear();
          break;
        default:
          if (!carrying.empty()) {
            const auto from = carrying[random() % carrying.size()];
            connections.heard(from, at(t));
            last_frame = t;
            told = stream.data(from, at(t), at(t));
          }
      }
      if (carrying.empty()) {
        if (was_covered && !down_since) down_since = t;
        ASSERT_FALSE(told);
      } else if (down_since) {
        ASSERT_TRUE(told) << "round " << round;
        ASSERT_LE(told->start, at(*down_since));
        ASSERT_EQ(told->end, at(t));
        down_since.reset();
      } else {
        ASSERT_FALSE(told) << "round " << round;
      }
      was_covered = was_covered || !carrying.empty();
    }
  }
}

TEST(EndOfConnection, IsInTheRecordsWords) {
  EXPECT_EQ(end_of_connection("stale: ").cause, GapCause::stale);
  EXPECT_EQ(end_of_connection("stopped: ").cause, GapCause::collector_down);
  EXPECT_EQ(end_of_connection("network: end of stream").cause, GapCause::disconnected);
  EXPECT_EQ(end_of_connection("").cause, GapCause::disconnected);
  EXPECT_TRUE(end_of_connection("replaced: 24 h").replaced);
  EXPECT_FALSE(end_of_connection("network: reset").replaced);
}

TEST(SampledSeries, MoreThanTwoOfItsUsualPausesAreAnOutage) {
  SampledSeries series;
  for (auto t = 0s; t <= 300s; t += 10s) EXPECT_FALSE(series.answered(at(t)));
  EXPECT_FALSE(series.answered(at(321s))) << "one was left out";
  for (auto t = 330s; t <= 600s; t += 10s) EXPECT_FALSE(series.answered(at(t)));
  EXPECT_EQ(series.answered(at(630s)), (Outage{at(600s), at(630s), GapCause::stale}));
  EXPECT_FALSE(series.answered(at(640s)));
}

TEST(SampledSeries, TheFirstPausesOfAScheduleAreNotTheUsualOnes) {
  SampledSeries series;
  for (const Nanos t : {Nanos{0s}, Nanos{5s}, Nanos{15s + 100ms}, Nanos{25s}, Nanos{35s}})
    EXPECT_FALSE(series.answered(at(t)));
  SampledSeries failing;
  failing.answered(at(0s));
  EXPECT_EQ(failing.answered(at(1h)), (Outage{at(0s), at(1h), GapCause::stale}));
}

TEST(SampledSeries, ARetryDoesNotMakeTheNextAnswerLate) {
  SampledSeries series;
  for (const auto t : {0s, 10s, 20s, 22s, 32s, 42s}) EXPECT_FALSE(series.answered(at(t)));
}

TEST(SampledSeries, AnotherPeriodIsLearnt) {
  SampledSeries series;
  for (auto t = 0s; t <= 100s; t += 10s) series.answered(at(t));
  int outages = 0;
  for (auto t = 160s; t <= 1000s; t += 60s) outages += series.answered(at(t)).has_value();
  EXPECT_LE(outages, 3);
}

TEST(SampledSeries, NobodyAskedWhileTheCollectorWasDown) {
  SampledSeries series;
  EXPECT_FALSE(series.begin(at(5s))) << "nothing was covered";
  for (const auto t : {0s, 5s, 10s, 20s}) series.answered(at(t));
  EXPECT_EQ(series.begin(at(40s)), (Outage{at(20s), at(40s), GapCause::collector_down}));
  EXPECT_FALSE(series.answered(at(45s)));
  EXPECT_EQ(series.answered(at(70s)), (Outage{at(45s), at(70s), GapCause::stale}))
      << "the pause after a start counts not";
  std::string saved;
  {
    StateWriter out(saved, "t", 1);
    series.save(out);
  }
  StateReader in(saved, "t", 1);
  SampledSeries again;
  again.restore(in);
  ASSERT_TRUE(in.finish());
  EXPECT_EQ(again.begin(at(90s)), series.begin(at(90s)));
}

TEST(PeriodLength, IsInMinutesHoursOrDays) {
  EXPECT_EQ(period_length("5m"), Nanos{5min});
  EXPECT_EQ(period_length("1H"), Nanos{1h});
  EXPECT_EQ(period_length("4h"), Nanos{4h});
  EXPECT_EQ(period_length("1D"), Nanos{24h});
  EXPECT_EQ(period_length("12Hutc"), Nanos{12h});
  EXPECT_EQ(period_length("1W"), Nanos{7 * 24h});
  for (const auto* each : {"", "m", "5", "1M", "-5m", "0m", "99999999m"}) EXPECT_FALSE(period_length(each)) << each;
}

TEST(GridSeries, AHoleInTheGridIsAnOutage) {
  GridSeries series;
  const Nanos five{5min};
  EXPECT_FALSE(series.row(std::nullopt, at(0min), five));
  EXPECT_FALSE(series.row(at(0min), at(5min), five));
  EXPECT_EQ(series.row(at(5min), at(15min), five), (Outage{at(5min), at(15min), GapCause::sequence}));
  series.begin();
  EXPECT_FALSE(series.row(at(15min), at(20min), five)) << "the history has filled it";
  EXPECT_EQ(series.row(at(20min), at(30min), five)->cause, GapCause::sequence);
  series.begin();
  EXPECT_EQ(series.row(at(30min), at(60min), five)->cause, GapCause::collector_down);
  EXPECT_FALSE(series.row(at(60min), at(90min), std::nullopt)) << "a period that is not understood";
  series.ended();
  EXPECT_FALSE(series.row(at(90min), at(300min), five));
}

TEST(AppendOutage, IsARowOfItsStream) {
  std::vector<MarketEvent> out;
  const auto instrument = std::make_shared<const InstrumentId>();
  append_outage(instrument, DataType::liquidation, DataSource::live, {at(1s), at(5s), GapCause::stale}, at(5s), out);
  ASSERT_EQ(out.size(), 1u);
  const auto& gap = std::get<Gap>(out[0]);
  EXPECT_EQ(gap.data_type, DataType::liquidation);
  EXPECT_EQ(gap.cause, GapCause::stale);
  EXPECT_EQ(gap.gap_start, at(1s));
  EXPECT_EQ(gap.gap_end, at(5s));
  EXPECT_EQ(gap.meta.received_at, at(5s));
  EXPECT_FALSE(gap.last_id);
}

}  // namespace
}  // namespace mp
