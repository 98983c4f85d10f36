#include "feed/polls.hpp"

#include <gmock/gmock.h>

namespace mp {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

struct Polls {
  Wake wake;
  PollSchedule schedule{wake};
  Outbox out;
  std::chrono::nanoseconds now{};
  int failures = 0;  // counted by a test

  Instant at(std::chrono::nanoseconds t) {
    now = t;
    return {wall_from_nanos(1'790'000'000'000'000'000) + t, MonoTime{} + 1000h + t};
  }
  void add(const std::string& key, std::chrono::seconds period, std::chrono::seconds first_within = 0s) {
    schedule.add({.key = key,
                  .url = [key](Instant) { return "http://v/" + key; },
                  .period = period,
                  .first_within = first_within},
                 at(now), out);
  }
  std::vector<std::string> tick(std::chrono::nanoseconds t) {
    out.clear();
    wake.woken();
    schedule.tick(at(t), out);
    std::vector<std::string> urls;
    for (const auto& request : out.requests) urls.push_back(request.url);
    return urls;
  }
  // As a driver does: ticks at the times asked for, answers at once. When which key was asked for, in seconds.
  std::map<std::string, std::vector<double>> run(std::chrono::nanoseconds until) {
    std::map<std::string, std::vector<double>> asked;
    int ticks = 0;
    for (auto t = now; t <= until && ticks < 100'000; ++ticks) {
      for (const auto& url : tick(t)) {
        asked[url.substr(9)].push_back(std::chrono::duration<double>(t).count());
        schedule.answered(url, at(t), out);
      }
      if (!out.wake_at) break;
      t = std::max(t + 1ms, *out.wake_at - MonoTime{} - 1000h);
    }
    return asked;
  }
};

TEST(PollSchedule, AsksAtOnceAndThenOncePerPeriod) {
  Polls p;
  p.add("info", 60s);
  ASSERT_TRUE(p.out.wake_at);
  const auto times = p.run(10min).at("info");
  ASSERT_EQ(times.size(), 11u);
  EXPECT_EQ(times[0], 0);
  EXPECT_GE(times[1], 30);
  EXPECT_LE(times[1], 60.2);
  for (std::size_t i = 2; i < times.size(); ++i) EXPECT_NEAR(times[i] - times[i - 1], 60, 0.2);
}

TEST(PollSchedule, ManyAreSpreadFromTheFirstOnAndAlwaysTheSame) {
  const auto run = [] {
    Polls p;
    for (int i = 0; i < 200; ++i) p.add("oi " + std::to_string(i), 300s, 10s);
    return p.run(900s);
  };
  const auto asked = run();
  ASSERT_EQ(asked.size(), 200u);
  std::vector<int> per_second(901, 0);
  for (const auto& [key, times] : asked) {
    EXPECT_LE(times.front(), 10.2) << key;
    EXPECT_GE(times.size(), 3u) << key;
    for (std::size_t i = 1; i < times.size(); ++i) EXPECT_LE(times[i] - times[i - 1], 300.2) << key;
    for (const auto time : times) ++per_second[static_cast<std::size_t>(time)];
  }
  EXPECT_LE(*std::max_element(per_second.begin(), per_second.begin() + 11), 40) << "200 in 10 s";
  EXPECT_LE(*std::max_element(per_second.begin() + 11, per_second.end()), 8) << "200 in 150 s";
  EXPECT_EQ(run(), asked);
}

TEST(PollSchedule, AFailureIsTriedAgainWithBackOffForEverAndAnAnswerEndsIt) {
  Polls p;
  p.add("info", 60s);
  std::vector<double> waits;
  std::vector<std::string> told;
  auto t = 0ns;
  p.tick(t);
  for (int i = 0; i < 20; ++i) {
    p.out.clear();
    p.wake.woken();
    p.schedule.failed("http://v/info", "HTTP 503", p.at(t), p.out);
    for (const auto& notice : p.out.notices) told.push_back(notice.detail);
    ASSERT_TRUE(p.out.wake_at);
    const auto due = *p.out.wake_at - MonoTime{} - 1000h;
    EXPECT_THAT(p.tick(due - 1ms), IsEmpty());
    EXPECT_THAT(p.tick(due), ElementsAre("http://v/info"));
    waits.push_back(std::chrono::duration<double>(due - t).count());
    t = due;
  }
  EXPECT_EQ(p.schedule.failing(), 1u);
  EXPECT_LE(waits[0], 1);
  EXPECT_GE(waits[0], 0.5);
  EXPECT_GE(waits[19], 30);
  EXPECT_LE(waits[19], 60);
  EXPECT_NE(waits[18], waits[19]) << "jitter";
  EXPECT_THAT(told, ElementsAre("poll=\"info\" reason=\"HTTP 503\" failures=1", HasSubstr("failures=2"),
                                HasSubstr("failures=4"), HasSubstr("failures=8"), HasSubstr("failures=16")));
  p.schedule.answered("http://v/info", p.at(t), p.out);
  EXPECT_EQ(p.schedule.failing(), 0u);
  EXPECT_THAT(p.tick(t + 60s), ElementsAre("http://v/info"));
  p.schedule.failed("http://v/info", "HTTP 503", p.at(t + 60s), p.out);
  EXPECT_THAT(p.tick(t + 61s), ElementsAre("http://v/info")) << "the back-off begins anew";
}

TEST(PollSchedule, ARequestThatIsNeverAnsweredHasFailed) {
  Polls p;
  p.add("info", 60s);
  EXPECT_THAT(p.tick(0s), ElementsAre("http://v/info"));
  EXPECT_THAT(p.tick(299s), IsEmpty()) << "one at a time, however long it waits for its budget";
  EXPECT_THAT(p.tick(300s), IsEmpty());
  EXPECT_THAT(p.out.notices.at(0).detail, HasSubstr("no answer"));
  EXPECT_THAT(p.tick(302s), ElementsAre("http://v/info"));
}

TEST(PollSchedule, AnAnswerAfterManyPeriodsIsNotMadeUpFor) {
  Polls p;
  p.add("info", 60s);
  p.tick(0s);
  p.schedule.answered("http://v/info", p.at(250s), p.out);
  const auto asked = p.run(370s);
  EXPECT_EQ(asked.at("info").size(), 2u);
}

TEST(PollSchedule, AnswersOfOthersChangeNothing) {
  Polls p;
  p.add("info", 60s);
  p.schedule.answered("http://v/info", p.at(0s), p.out);
  EXPECT_THAT(p.tick(0s), ElementsAre("http://v/info"));
  EXPECT_EQ(p.schedule.find("http://v/info"), "info");
  EXPECT_EQ(p.schedule.find("http://v/other"), std::nullopt);
  EXPECT_EQ(p.schedule.find(""), std::nullopt);
  p.schedule.answered("http://v/other", p.at(1s), p.out);
  p.schedule.failed("http://v/other", "x", p.at(1s), p.out);
  EXPECT_TRUE(p.out.notices.empty());
  EXPECT_EQ(p.schedule.find("http://v/info"), "info");
}

TEST(PollSchedule, TheAddressIsMadeAnewEachTime) {
  Polls p;
  p.schedule.add(
      {.key = "dvol",
       .url = [](Instant now) { return "http://v/" + std::to_string(nanos_since_epoch(now.wall) / 1'000'000'000); },
       .period = 60s,
       .first_within = 0s,
       .charges = {{.budget = "v", .units = 3}},
       .priority = 7},
      p.at(0s), p.out);
  EXPECT_THAT(p.tick(0s), ElementsAre("http://v/1790000000"));
  EXPECT_EQ(p.out.requests.at(0).priority, 7);
  EXPECT_EQ(p.out.requests.at(0).charges.at(0).units, 3);
  p.schedule.answered("http://v/1790000000", p.at(0s), p.out);
  EXPECT_THAT(p.tick(60s), ElementsAre("http://v/1790000060"));
}

TEST(PollSchedule, ThePeriodMayChangeAndARequestBeHurried) {
  Polls p;
  p.add("info", 86'400s);
  EXPECT_EQ(p.tick(0s).size(), 1u);
  p.schedule.answered("http://v/info", p.at(1s), p.out);
  p.schedule.set_period("info", 600s, p.at(1s), p.out);
  EXPECT_THAT(p.tick(600s), IsEmpty());
  EXPECT_THAT(p.tick(601s), ElementsAre("http://v/info"));
  p.schedule.hurry("info", p.at(602s), p.out);
  EXPECT_THAT(p.tick(602s), IsEmpty()) << "under way";
  p.schedule.answered("http://v/info", p.at(603s), p.out);
  p.schedule.set_period("info", 86'400s, p.at(603s), p.out);
  EXPECT_THAT(p.tick(604s), IsEmpty());
  p.schedule.hurry("info", p.at(605s), p.out);
  EXPECT_THAT(p.tick(605s), ElementsAre("http://v/info"));
  p.schedule.failed("http://v/info", "x", p.at(606s), p.out);
  p.schedule.hurry("info", p.at(606s), p.out);
  EXPECT_THAT(p.tick(606s), IsEmpty()) << "waits after its failure";
  p.schedule.hurry("nobody", p.at(606s), p.out);
  p.schedule.set_period("nobody", 1s, p.at(606s), p.out);
}

TEST(PollSchedule, AddedAgainItKeepsItsTimesRemovedItIsGone) {
  Polls p;
  p.add("info", 60s);
  EXPECT_EQ(p.tick(0s).size(), 1u);
  p.add("info", 60s);
  EXPECT_EQ(p.schedule.size(), 1u);
  EXPECT_THAT(p.tick(1s), IsEmpty()) << "still under way";
  p.schedule.remove("info");
  p.schedule.remove("info");
  EXPECT_FALSE(p.schedule.has("info"));
  p.schedule.answered("http://v/info", p.at(2s), p.out);
  EXPECT_THAT(p.tick(1h), IsEmpty());
  EXPECT_FALSE(p.out.wake_at);
}

TEST(PollSchedule, AnAnswerWithoutRowsIsLiveAndFailuresInARowAreASilence) {
  Polls p;
  EXPECT_EQ(p.schedule.state("ratio"), StreamState::waiting);
  p.add("ratio", 60s);
  p.tick(0s);
  EXPECT_EQ(p.schedule.state("ratio"), StreamState::waiting);
  p.schedule.answered("http://v/ratio", p.at(1s), p.out);
  EXPECT_EQ(p.schedule.state("ratio"), StreamState::live);
  auto t = 120s;
  for (const auto state : {StreamState::live, StreamState::live, StreamState::silent, StreamState::silent}) {
    ASSERT_EQ(p.tick(t).size(), 1u);
    EXPECT_EQ(p.schedule.state("ratio"), p.failures > 2 ? StreamState::silent : StreamState::live) << "while under way";
    p.schedule.failed("http://v/ratio", "HTTP 503", p.at(t), p.out);
    ++p.failures;
    EXPECT_EQ(p.schedule.state("ratio"), state) << p.failures;
    t += 120s;
  }
  p.tick(t);
  p.schedule.answered("http://v/ratio", p.at(t), p.out);
  EXPECT_EQ(p.schedule.state("ratio"), StreamState::live);
}

}  // namespace
}  // namespace mp
