// Driven by a fake clock and a made-up venue that speaks plain words: "1 subscribe a,b".
#include "feed/subscriptions.hpp"

#include <gmock/gmock.h>

#include <functional>
#include <map>

namespace mp {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr const char* kUrl = "wss://venue.test/ws";

struct PlainDialect : Dialect {
  Limits set{.streams_per_socket = 4, .streams_per_frame = 3, .frame_spacing = 100ms};
  std::vector<std::string> first;
  Limits limits() const override { return set; }
  void append_stream(std::string& out, std::string_view name) const override { out += name; }
  std::string request(Operation operation, std::string_view streams, std::uint64_t id) const override {
    return std::to_string(id) + (operation == Operation::subscribe ? " subscribe " : " unsubscribe ") +
           std::string(streams);
  }
  std::vector<std::string> greetings(std::uint64_t& next_id) const override {
    std::vector<std::string> out;
    for (const auto& text : first) out.push_back(std::to_string(next_id++) + " " + text);
    return out;
  }
};

// Plays session and driver.
struct Venue {
  PlainDialect dialect;
  Wake wake;
  std::unique_ptr<SubscribedSockets> sockets;
  Outbox out;
  std::chrono::nanoseconds now{};

  explicit Venue(PlainDialect d = {}) : dialect(std::move(d)) {
    sockets = std::make_unique<SubscribedSockets>(dialect, wake);
    sockets->begin();
  }
  Instant at(std::chrono::nanoseconds t) {
    now = t;
    return {wall_from_nanos(1'790'000'000'000'000'000) + t, MonoTime{} + 1000h + t};
  }
  template <class F>
  Outbox& step(std::chrono::nanoseconds t, F f) {
    out.clear();
    f(at(t));
    return out;
  }
  SubscribedSockets::StreamId want(const std::string& name, SubscribedSockets::Patience patience = {},
                                   std::uint32_t group = 0, std::size_t per_socket = 0) {
    return sockets->want({kUrl, name, patience, group, per_socket}, at(now), out);
  }
  Outbox& tick(std::chrono::nanoseconds t) {
    return step(t, [&](Instant i) {
      wake.woken();
      sockets->tick(i, out);
    });
  }
  Outbox& opened(ConnectionId c, std::chrono::nanoseconds t, const char* url = kUrl) {
    return step(t, [&](Instant i) { sockets->opened(c, url, i, out); });
  }
  Outbox& closed(ConnectionId c, std::chrono::nanoseconds t) {
    return step(t, [&](Instant i) { sockets->closed(c, i, out); });
  }
  Outbox& answered(std::uint64_t id, std::chrono::nanoseconds t) {
    return step(t, [&](Instant i) { sockets->answered(id, i, out); });
  }
  Outbox& refused(const SubscribedSockets::Refusal& refusal, std::chrono::nanoseconds t) {
    return step(t, [&](Instant i) { sockets->refused(refusal, i, out); });
  }
  void data(ConnectionId c, SubscribedSockets::StreamId stream, std::chrono::nanoseconds t) {
    sockets->heard(c, at(t));
    sockets->data(c, stream, at(t));
  }
  std::vector<std::string> frames() const {
    std::vector<std::string> texts;
    for (const auto& frame : out.frames) texts.push_back(frame.text);
    return texts;
  }
  std::vector<std::string> notices() const {
    std::vector<std::string> texts;
    for (const auto& notice : out.notices) texts.push_back(notice.message + " | " + notice.detail);
    return texts;
  }
  // Ticks once a second; all frames with their times in milliseconds.
  std::vector<std::string> run(std::chrono::nanoseconds until, std::chrono::nanoseconds every = 1s) {
    std::vector<std::string> sent;
    for (auto t = now + every; t <= until; t += every) {
      tick(t);
      for (const auto& frame : out.frames) sent.push_back(std::to_string(t / 1ms) + ": " + frame.text);
    }
    return sent;
  }
};

TEST(SubscribedSockets, OpensASocketAndSubscribesOnIt) {
  Venue v;
  const auto a = v.want("a");
  v.want("b");
  ASSERT_EQ(v.out.opens.size(), 1u);
  EXPECT_EQ(v.out.opens[0].url, kUrl);
  EXPECT_EQ(v.want("a"), a) << "wanted already";
  EXPECT_EQ(v.out.opens.size(), 1u);
  EXPECT_EQ(v.sockets->state(a), StreamState::waiting);
  v.opened(1, 1s);
  EXPECT_THAT(v.frames(), ElementsAre("1 subscribe a,b"));
  EXPECT_EQ(v.sockets->state(a), StreamState::subscribing);
  v.answered(1, 2s);
  EXPECT_TRUE(v.sockets->confirmed_at(a));
  EXPECT_FALSE(v.sockets->has_data(a));
  v.data(1, a, 3s);
  EXPECT_TRUE(v.sockets->has_data(a));
  EXPECT_EQ(v.sockets->state(a), StreamState::live);
}

TEST(SubscribedSockets, SplitsByStreamsOnASocketByCountAndByBytes) {
  PlainDialect d;
  d.set.bytes_per_frame = 24;  // "1 subscribe " is 12
  Venue v(d);
  for (const auto* name : {"aaaaa", "bbbbb", "ccccc", "d", "e"}) v.want(name);
  EXPECT_EQ(v.out.opens.size(), 2u) << "four on a socket";
  v.opened(1, 0s);
  EXPECT_THAT(v.frames(), ElementsAre("1 subscribe aaaaa,bbbbb"));
  EXPECT_THAT(v.tick(100ms).frames.at(0).text, "2 subscribe ccccc,d");
  v.opened(2, 200ms);
  EXPECT_THAT(v.frames(), ElementsAre("3 subscribe e"));
  v.want("a-name-that-is-longer-than-a-request-may-be");
  EXPECT_THAT(v.tick(400ms).frames.at(0).text, HasSubstr("4 subscribe a-name")) << "one stream always goes";
}

TEST(SubscribedSockets, GroupsDoNotShareASocketAndHaveTheirOwnSize) {
  Venue v;
  v.want("book1", {}, 1, 2);
  v.want("trade1");
  v.want("book2", {}, 1, 2);
  v.want("book3", {}, 1, 2);
  EXPECT_EQ(v.out.opens.size(), 3u);
  v.opened(1, 0s);
  EXPECT_THAT(v.frames(), ElementsAre("1 subscribe book1,book2"));
  v.opened(2, 0s);
  EXPECT_THAT(v.frames(), ElementsAre("2 subscribe trade1"));
}

TEST(SubscribedSockets, LaterWantedStreamsFillTheSocketsThatAreThere) {
  Venue v;
  v.want("a");
  v.opened(1, 0s);
  v.tick(10ms);
  v.out.clear();
  v.want("b");
  v.want("c");
  EXPECT_TRUE(v.out.opens.empty());
  EXPECT_TRUE(v.out.frames.empty()) << "those wanted together go together";
  ASSERT_TRUE(v.out.wake_at);
  v.tick(100ms);
  EXPECT_THAT(v.frames(), ElementsAre("2 subscribe b,c"));
}

TEST(SubscribedSockets, SpacesFramesOfOneConnectionAndOfAllTogether) {
  PlainDialect d;
  d.set.streams_per_frame = 1;
  d.set.frame_spacing_together = 40ms;
  Venue v(d);
  for (const auto* name : {"a", "b", "c", "d", "e", "f"}) v.want(name);  // a to d on one socket, e and f on another
  v.opened(1, 0s);
  EXPECT_THAT(v.frames(), ElementsAre("1 subscribe a"));
  v.opened(2, 0s);
  EXPECT_THAT(v.frames(), IsEmpty()) << "not together with the other's";
  EXPECT_THAT(v.run(400ms, 10ms), ElementsAre("40: 2 subscribe e", "100: 3 subscribe b", "140: 4 subscribe f",
                                              "200: 5 subscribe c", "300: 6 subscribe d"));
}

TEST(SubscribedSockets, KeepsToTheFramesThatAWindowAllows) {
  PlainDialect d;
  d.set.streams_per_frame = 1;
  d.set.frame_limits = {{2, 10s}, {3, 60s}};
  d.first = {"hello"};
  Venue v(d);
  for (const auto* name : {"a", "b", "c", "d"}) v.want(name);
  v.opened(1, 0s);
  EXPECT_THAT(v.frames(), ElementsAre("1 hello"));
  EXPECT_THAT(v.run(80s), ElementsAre("1000: 2 subscribe a", "10000: 3 subscribe b", "60000: 4 subscribe c",
                                      "61000: 5 subscribe d"));
  // The next connection has windows of its own.
  v.closed(1, 81s);
  v.opened(2, 82s);
  EXPECT_THAT(v.frames(), ElementsAre("6 hello"));
  EXPECT_THAT(v.run(84s), ElementsAre("83000: 7 subscribe a"));
}

TEST(SubscribedSockets, GreetsFirst) {
  PlainDialect d;
  d.first = {"hello", "heartbeat"};
  Venue v(d);
  v.want("a");
  v.opened(1, 0s);
  EXPECT_THAT(v.frames(), ElementsAre("1 hello", "2 heartbeat"));
  v.answered(1, 50ms);
  EXPECT_THAT(v.tick(100ms).frames.at(0).text, "3 subscribe a");
}

TEST(SubscribedSockets, PingsWhenNothingComesAndGivesUpWhenNothingStillComes) {
  PlainDialect d;
  d.set.idle_ping = 20s;
  Venue v(d);
  const auto a = v.want("a", {.may_be_silent = true});
  v.opened(1, 0s);
  v.answered(1, 0s);
  EXPECT_THAT(v.run(19s), IsEmpty());
  EXPECT_THAT(v.run(25s), ElementsAre("20000: ping"));
  v.sockets->heard(1, v.at(25s));  // any frame will do
  EXPECT_THAT(v.run(44s), IsEmpty());
  v.data(1, a, 44s);
  EXPECT_THAT(v.run(83s), ElementsAre("64000: ping"));
  EXPECT_TRUE(v.out.closes.empty());
  v.tick(84s);
  ASSERT_EQ(v.out.closes.size(), 1u);
  EXPECT_EQ(v.out.closes[0].reason, CloseReason::stale);
  EXPECT_THAT(v.notices(), ElementsAre(HasSubstr("does not answer; reconnecting | connection=1 silent_seconds=40")));
}

TEST(SubscribedSockets, AnswersByNameCompleteARequest) {
  Venue v;
  const auto a = v.want("a");
  const auto b = v.want("b");
  v.opened(1, 0s);
  v.sockets->confirmed(1, "b", v.at(1s), v.out);
  EXPECT_TRUE(v.sockets->confirmed_at(b));
  EXPECT_FALSE(v.sockets->confirmed_at(a));
  v.sockets->confirmed(1, "nobody", v.at(1s), v.out);
  v.sockets->confirmed(7, "a", v.at(1s), v.out);
  EXPECT_FALSE(v.sockets->confirmed_at(a)) << "of another connection";
  v.sockets->confirmed(1, "a", v.at(2s), v.out);
  EXPECT_EQ(v.sockets->confirmed_at(a), v.at(2s).mono);
}

TEST(SubscribedSockets, WhatAnAnswerDoesNotListIsRefused) {
  Venue v;
  const auto a = v.want("a");
  const auto b = v.want("b");
  v.opened(1, 0s);
  const std::string_view listed[] = {"a", "never-asked"};
  v.step(1s, [&](Instant i) { v.sockets->answered(1, listed, i, v.out); });
  EXPECT_TRUE(v.sockets->confirmed_at(a));
  EXPECT_EQ(v.sockets->state(b), StreamState::refused);
  EXPECT_THAT(v.notices(), ElementsAre(HasSubstr("streams=b")));
  v.data(1, a, 2s);
  EXPECT_THAT(v.run(599s), IsEmpty());
  EXPECT_THAT(v.run(602s), ElementsAre("601000: 2 subscribe b")) << "perhaps it exists now";
}

TEST(SubscribedSockets, ARequestRefusedWholeComesAgainInHalvesUntilTheBadOneIsAlone) {
  PlainDialect d;
  d.set.streams_per_frame = 4;
  Venue v(d);
  std::map<std::string, SubscribedSockets::StreamId> ids;
  for (const auto* name : {"a", "b", "bad", "d"}) ids[name] = v.want(name, {.may_be_silent = true});
  v.opened(1, 0s);
  std::vector<std::string> frames = v.frames();
  for (std::size_t i = 0; i < frames.size(); ++i) {
    const auto id = std::stoull(frames[i]);
    if (frames[i].find("bad") != std::string::npos)
      v.refused({.connection = 1, .request_id = id, .why = "code=1"}, v.now + 10ms);
    else
      v.answered(id, v.now + 10ms);
    if (i + 1 < frames.size()) continue;
    for (auto t = v.now + 100ms; t < 60s && i + 1 == frames.size(); t += 100ms) {
      v.tick(t);
      for (const auto& text : v.frames()) frames.push_back(text);
    }
  }
  EXPECT_THAT(frames, ElementsAre("1 subscribe a,b,bad,d", "2 subscribe a,b", "3 subscribe bad,d", "4 subscribe bad",
                                  "5 subscribe d"));
  for (const auto& [name, id] : ids)
    EXPECT_EQ(v.sockets->state(id), name == "bad" ? StreamState::refused : StreamState::live) << name;
  // On the next connection the bad one is asked for by itself: the others come in one request.
  v.closed(1, 61s);
  v.opened(2, 62s);
  EXPECT_THAT(v.frames(), ElementsAre("6 subscribe a,b"));
  EXPECT_THAT(v.run(63s, 100ms), ElementsAre(HasSubstr("subscribe bad"), HasSubstr("subscribe d")));
}

TEST(SubscribedSockets, ARefusalForTheMomentPausesTheConnection) {
  Venue v;
  const auto a = v.want("a");
  const auto b = v.want("b");
  v.opened(1, 0s);
  v.refused({.connection = 1, .request_id = 1, .name = "a", .why = "code=10028", .again_after = 30s}, 1s);
  EXPECT_EQ(v.sockets->state(a), StreamState::refused);
  EXPECT_EQ(v.sockets->state(b), StreamState::subscribing) << "only the one that was named";
  v.answered(1, 2s);
  v.want("c");
  EXPECT_THAT(v.run(30s), IsEmpty());
  EXPECT_THAT(v.run(32s), ElementsAre("31000: 2 subscribe a,c"));
}

TEST(SubscribedSockets, ARefusalWithoutIdBelongsToTheOldestOpenRequest) {
  Venue v;
  const auto a = v.want("a");
  v.opened(1, 0s);
  v.refused({.connection = 1, .why = "code=2"}, 1s);
  EXPECT_EQ(v.sockets->state(a), StreamState::refused);
  v.refused({.connection = 1, .why = "code=3"}, 2s);
  EXPECT_THAT(v.notices(), ElementsAre("the venue refused a request | code=3 streams=")) << "none is open";
  v.refused({.connection = 9, .why = "code=4"}, 2s);
  EXPECT_THAT(v.notices(), ElementsAre(HasSubstr("code=4")));
}

TEST(SubscribedSockets, OneStreamIsResubscribedAfterItsUnsubscriptionIsAnswered) {
  Venue v;
  const auto a = v.want("a");
  const auto b = v.want("b");
  v.opened(1, 0s);
  v.answered(1, 1s);
  v.data(1, a, 2s);
  v.data(1, b, 2s);
  v.step(3s, [&](Instant i) { v.sockets->resubscribe(a, i, v.out); });
  EXPECT_THAT(v.frames(), ElementsAre("2 unsubscribe a"));
  v.step(3s, [&](Instant i) { v.sockets->resubscribe(a, i, v.out); });
  EXPECT_THAT(v.frames(), IsEmpty()) << "is under way";
  v.data(1, b, 4s);
  EXPECT_THAT(v.run(5s), IsEmpty());
  v.step(6s, [&](Instant i) { v.sockets->unsubscribed(1, "a", i, v.out); });
  EXPECT_THAT(v.frames(), ElementsAre("3 subscribe a"));
  EXPECT_EQ(v.sockets->state(b), StreamState::live);
  v.answered(3, 7s);
  v.data(1, a, 8s);
  EXPECT_EQ(v.sockets->state(a), StreamState::live);
  EXPECT_EQ(v.sockets->reconnects(a), 0u);
}

TEST(SubscribedSockets, AnUnsubscriptionThatIsRefusedIsFollowedByTheSubscription) {
  Venue v;
  const auto a = v.want("a");
  v.opened(1, 0s);
  v.answered(1, 1s);
  v.step(2s, [&](Instant i) { v.sockets->resubscribe(a, i, v.out); });
  v.refused({.connection = 1, .request_id = 2, .why = "not subscribed"}, 3s);
  EXPECT_THAT(v.frames(), ElementsAre("3 subscribe a"));
}

TEST(SubscribedSockets, AnUnansweredUnsubscriptionEndsTheConnection) {
  Venue v;
  const auto a = v.want("a");
  v.opened(1, 0s);
  v.answered(1, 1s);
  v.step(2s, [&](Instant i) { v.sockets->resubscribe(a, i, v.out); });
  v.run(11s);
  EXPECT_TRUE(v.out.closes.empty());
  v.tick(12s);
  ASSERT_EQ(v.out.closes.size(), 1u);
  v.closed(1, 12s);
  v.opened(2, 13s);
  EXPECT_THAT(v.frames(), ElementsAre("3 subscribe a"));
}

TEST(SubscribedSockets, ASilentStreamIsResubscribedWhereOthersGoOnAndReconnectedWhereNoneDoes) {
  Venue v;
  const SubscribedSockets::Patience patience{.ack = 10s, .first_data = 30s, .silence_at_least = 20s};
  const auto a = v.want("a", patience);
  const auto b = v.want("b", patience);
  v.opened(1, 0s);
  v.answered(1, 0s);
  for (auto t = 100ms; t <= 5s; t += 100ms) v.data(1, a, t);
  for (auto t = 100ms; t <= 40s; t += 100ms) {
    v.data(1, b, t);
    if (t % 1s != 0s) continue;
    v.tick(t);
    EXPECT_TRUE(v.out.closes.empty());
    if (t == 25s) {
      EXPECT_THAT(v.frames(), ElementsAre("2 unsubscribe a"));
      EXPECT_THAT(v.notices(), ElementsAre(HasSubstr("silent for longer than its own rate allows | "
                                                     "stream=a seconds=20 then=resubscribe")));
    }
    if (t == 26s) {
      v.answered(2, t);
      EXPECT_THAT(v.frames(), ElementsAre("3 subscribe a"));
    }
    if (t == 27s) v.answered(3, t);
  }
  v.run(59s);
  EXPECT_TRUE(v.out.closes.empty());
  v.tick(60s);  // b is silent since 40 s, and nothing else comes either
  ASSERT_EQ(v.out.closes.size(), 1u);
  EXPECT_EQ(v.out.closes[0].reason, CloseReason::stale);
  v.closed(1, 61s);
  EXPECT_EQ(v.sockets->reconnects(a), 1u);
  EXPECT_EQ(v.sockets->state(b), StreamState::waiting);
}

constexpr SubscribedSockets::Patience kTrades{.ack = 10s, .silence_at_least = 300s, .only_by_rate = true};

TEST(SubscribedSockets, AStreamThatNeedNotBringDataIsNotAskedAgainWhileItsConnectionBringsOther) {
  Venue v;
  const auto option = v.want("option", kTrades);
  const auto busy = v.want("busy", kTrades);
  v.opened(1, 0s);
  v.answered(1, 0s);
  for (auto t = 1s; t <= 2h; t += 1s) {
    v.data(1, busy, t);
    v.tick(t);
    ASSERT_THAT(v.frames(), IsEmpty()) << t.count();
    ASSERT_THAT(v.notices(), IsEmpty()) << t.count();
    ASSERT_TRUE(v.out.closes.empty());
  }
  EXPECT_EQ(v.sockets->state(option), StreamState::live);
  EXPECT_FALSE(v.sockets->has_data(option));
}

TEST(SubscribedSockets, WhereAnAnswerProvesNothingAQuietStreamIsLiveOnceItsConnectionDelivers) {
  PlainDialect dialect;
  dialect.set.confirms_anything = true;
  Venue v(dialect);
  const auto quiet = v.want("quiet", kTrades);
  const auto other = v.want("other", kTrades);
  v.opened(1, 0s);
  v.answered(1, 0s);
  EXPECT_EQ(v.sockets->state(quiet), StreamState::subscribing) << "it may be served over another address";
  v.data(1, other, 1s);
  EXPECT_EQ(v.sockets->state(quiet), StreamState::live);
  v.closed(1, 2s);
  v.opened(2, 3s);
  v.answered(2, 3s);
  EXPECT_EQ(v.sockets->state(quiet), StreamState::subscribing) << "a new connection, to be proven anew";
}

TEST(SubscribedSockets, AQuietConnectionIsMadeAnewAlsoWithStreamsThatMayBeSilentForEver) {
  Venue v;
  v.want("trades", kTrades);
  v.want("liquidations", {.ack = 10s, .may_be_silent = true});
  v.opened(1, 0s);
  v.answered(1, 0s);
  v.run(299s);
  EXPECT_TRUE(v.out.closes.empty());
  v.tick(300s);
  ASSERT_EQ(v.out.closes.size(), 1u);
  EXPECT_EQ(v.out.closes[0].reason, CloseReason::stale);
}

TEST(SubscribedSockets, AConnectionOfSuchStreamsThatBringsNothingAtAllIsMadeAnewEverMoreRarely) {
  Venue v;
  v.want("a", kTrades);
  const auto b = v.want("b", kTrades);
  ConnectionId connection = 0;
  std::uint64_t request = 0;
  const auto open = [&](std::chrono::nanoseconds t) {
    v.opened(++connection, t);
    v.answered(++request, t);
  };
  const auto ends_at = [&]() -> std::chrono::seconds {
    for (auto t = v.now + 1s;; t += 1s)
      if (!v.tick(t).closes.empty()) return std::chrono::duration_cast<std::chrono::seconds>(t);
  };
  open(0s);
  EXPECT_EQ(ends_at(), 300s);
  EXPECT_EQ(v.out.closes[0].reason, CloseReason::stale);
  EXPECT_THAT(v.notices(), ElementsAre(HasSubstr("brings nothing; made anew | connection=1 streams=2")));
  EXPECT_EQ(v.out.notices[0].level, Notice::Level::info);
  v.closed(1, 301s);
  open(301s);
  EXPECT_EQ(ends_at(), 901s);
  v.closed(2, 901s);
  open(901s);
  v.data(3, b, 902s);
  EXPECT_EQ(ends_at(), 1202s) << "it had data, so the patience begins anew";
}

TEST(SubscribedSockets, AConnectionThatEndsIsToldOnceHoweverManyStreamsItCarried) {
  Venue v;
  for (const auto* name : {"a", "b", "c"}) v.want(name);
  v.opened(1, 0s);
  v.tick(10s);
  EXPECT_EQ(v.out.closes.size(), 1u);
  EXPECT_THAT(v.notices(), ElementsAre(HasSubstr("no answer to a subscription; reconnecting | stream=a seconds=10")));
}

TEST(SubscribedSockets, ASubscriptionWithoutAnswerEndsTheConnection) {
  Venue v;
  v.want("a");
  v.opened(1, 0s);
  v.run(9s);
  EXPECT_TRUE(v.out.closes.empty());
  v.tick(10s);
  ASSERT_EQ(v.out.closes.size(), 1u);
  EXPECT_THAT(v.notices(), ElementsAre(HasSubstr("no answer to a subscription")));
}

TEST(SubscribedSockets, AReplacementTakesOverOnlyWhenItDelivers) {
  Venue v;
  const auto a = v.want("a");
  v.want("b");
  v.opened(1, 0s);
  v.answered(1, 0s);
  v.data(1, a, 1s);
  v.step(2s, [&](Instant i) { v.sockets->replace(1, i, v.out); });
  ASSERT_EQ(v.out.opens.size(), 1u);
  v.step(2s, [&](Instant i) { v.sockets->replace(1, i, v.out); });
  EXPECT_TRUE(v.out.opens.empty()) << "told twice, replaced once";
  v.opened(2, 3s);
  EXPECT_THAT(v.frames(), ElementsAre("2 subscribe a,b"));
  EXPECT_EQ(v.sockets->state(a), StreamState::live) << "over the old one";
  // What is wanted meanwhile is on both, what is dropped on neither.
  const auto c = v.want("c");
  v.tick(4s);
  EXPECT_THAT(v.frames(), ElementsAre("3 subscribe c", "4 subscribe c"));
  v.answered(2, 5s);
  v.answered(3, 5s);
  v.data(1, a, 5s);
  v.tick(5s);
  EXPECT_TRUE(v.out.closes.empty()) << "a request of the replacement is open";
  v.answered(4, 6s);
  v.tick(7s);
  EXPECT_TRUE(v.out.closes.empty()) << "no data over it yet";
  v.data(2, c, 8s);
  v.tick(9s);
  ASSERT_EQ(v.out.closes.size(), 1u);
  EXPECT_EQ(v.out.closes[0].connection, 1u);
  EXPECT_EQ(v.out.closes[0].reason, CloseReason::replaced);
  v.closed(1, 10s);
  EXPECT_EQ(v.sockets->reconnects(a), 0u);
  EXPECT_EQ(v.sockets->state(a), StreamState::live);
  v.opened(3, 11s);
  ASSERT_EQ(v.out.closes.size(), 1u) << "left over: nobody needs it";
}

TEST(SubscribedSockets, AQuietReplacementTakesOverAfterAWhile) {
  Venue v;
  v.want("a", {.may_be_silent = true});
  v.opened(1, 0s);
  v.answered(1, 0s);
  v.step(1s, [&](Instant i) { v.sockets->replace(1, i, v.out); });
  v.opened(2, 2s);
  v.answered(2, 3s);
  v.run(32s);
  EXPECT_TRUE(v.out.closes.empty());
  v.tick(33s);
  ASSERT_EQ(v.out.closes.size(), 1u);
  EXPECT_EQ(v.out.closes[0].connection, 1u);
}

TEST(SubscribedSockets, AReplacementWithoutAnswerIsTriedAgainWhileTheOldOneDelivers) {
  Venue v;
  const auto a = v.want("a");
  v.opened(1, 0s);
  v.answered(1, 0s);
  v.step(1s, [&](Instant i) { v.sockets->replace(1, i, v.out); });
  v.opened(2, 2s);
  for (auto t = 3s; t < 12s; t += 1s) {
    v.data(1, a, t);
    EXPECT_TRUE(v.tick(t).closes.empty());
  }
  v.tick(12s);
  ASSERT_EQ(v.out.closes.size(), 1u);
  EXPECT_EQ(v.out.closes[0].connection, 2u);
  v.closed(2, 12s);
  EXPECT_EQ(v.sockets->state(a), StreamState::live);
  EXPECT_EQ(v.sockets->reconnects(a), 0u);
  v.opened(3, 13s);
  EXPECT_THAT(v.frames(), ElementsAre("3 subscribe a"));
}

// At each point of a replacement the old connection may end: the streams then stand where the new one has them.
TEST(SubscribedSockets, TheOldConnectionMayEndAtAnyPointOfItsReplacement) {
  for (int point = 0; point < 4; ++point) {
    Venue v;
    const auto a = v.want("a");
    v.opened(1, 0s);
    v.answered(1, 0s);
    v.data(1, a, 1s);
    v.step(1s, [&](Instant i) { v.sockets->replace(1, i, v.out); });
    const std::function<void()> steps[] = {[&] { v.opened(2, 2s); }, [&] { v.answered(2, 3s); },
                                           [&] { v.data(2, a, 4s); }};
    for (int i = 0; i < 3; ++i) {
      if (i == point) v.closed(1, v.now);
      if (i == point && point < 2) {
        EXPECT_NE(v.sockets->state(a), StreamState::live) << point;
      }
      steps[i]();
    }
    if (point == 3) v.closed(1, v.now);
    v.tick(5s);
    if (point == 3) v.data(2, a, 6s);
    EXPECT_TRUE(v.out.closes.empty()) << point;
    EXPECT_EQ(v.sockets->state(a), StreamState::live) << point;
    EXPECT_EQ(v.sockets->sockets(), 1u) << point;
    EXPECT_EQ(v.sockets->reconnects(a), point < 2 ? 1u : 0u) << point;
  }
}

TEST(SubscribedSockets, ConnectionsAreReplacedBeforeTheirLifeEndsOneAfterTheOther) {
  PlainDialect d;
  d.set.streams_per_socket = 1;
  d.set.connection_life = 1h;
  Venue v(d);
  v.want("a", {.may_be_silent = true});
  v.want("b", {.may_be_silent = true});
  v.opened(1, 0s);
  v.opened(2, 0s);
  v.answered(1, 1s);
  v.answered(2, 1s);
  v.now = 59min;
  std::vector<std::chrono::nanoseconds> opens;
  for (auto t = v.now; t < 61min; t += 1s)
    if (!v.tick(t).opens.empty()) opens.push_back(t);
  EXPECT_THAT(opens, ElementsAre(1h + 1s, 1h + 16s));
}

TEST(SubscribedSockets, ADroppedStreamIsUnsubscribedAndAnEmptySocketClosed) {
  Venue v;
  const auto a = v.want("a");
  const auto b = v.want("b");
  v.opened(1, 0s);
  v.answered(1, 1s);
  v.step(2s, [&](Instant i) { v.sockets->drop(a, i, v.out); });
  v.tick(2s);
  EXPECT_THAT(v.frames(), ElementsAre("2 unsubscribe a"));
  EXPECT_FALSE(v.sockets->find("a"));
  v.answered(2, 3s);
  EXPECT_THAT(v.run(4s), IsEmpty()) << "not subscribed again";
  EXPECT_EQ(v.want("c"), a) << "numbers are used again, so that they do not grow with uptime";
  EXPECT_THAT(v.run(5s), ElementsAre("5000: 3 subscribe c"));
  v.answered(2, 5s);
  EXPECT_FALSE(v.sockets->confirmed_at(a)) << "the answer to an old request";
  v.answered(3, 5s);
  EXPECT_TRUE(v.sockets->confirmed_at(a));
  v.sockets->drop(b, v.at(6s), v.out);
  v.sockets->drop(a, v.at(6s), v.out);
  v.tick(6s);
  EXPECT_THAT(v.frames(), ElementsAre("4 unsubscribe b,c"));
  ASSERT_EQ(v.out.closes.size(), 1u);
  EXPECT_EQ(v.out.closes[0].reason, CloseReason::replaced);
  EXPECT_EQ(v.sockets->sockets(), 0u);
  EXPECT_EQ(v.sockets->streams(), 0u);
}

TEST(SubscribedSockets, AStreamDroppedAndWantedAgainBeforeItWasSaidStays) {
  Venue v;
  const auto a = v.want("a", {.may_be_silent = true});
  v.opened(1, 0s);
  v.answered(1, 1s);
  v.sockets->drop(a, v.at(2s), v.out);
  EXPECT_EQ(v.want("a"), a);
  EXPECT_THAT(v.run(4s), IsEmpty());
  v.data(1, a, 5s);
  EXPECT_EQ(v.sockets->state(a), StreamState::live);
}

TEST(SubscribedSockets, ADroppedStreamOfAClosedSocketIsGoneAtOnce) {
  Venue v;
  const auto a = v.want("a");
  v.sockets->drop(a, v.at(1s), v.out);
  EXPECT_EQ(v.sockets->sockets(), 0u);
  v.opened(1, 2s);
  ASSERT_EQ(v.out.closes.size(), 1u);
  EXPECT_EQ(v.out.closes[0].reason, CloseReason::replaced);
}

TEST(SubscribedSockets, BeginForgetsEverything) {
  Venue v;
  v.want("a");
  v.opened(1, 0s);
  v.sockets->begin();
  EXPECT_EQ(v.sockets->streams(), 0u);
  EXPECT_EQ(v.sockets->sockets(), 0u);
  v.out.clear();
  v.want("a");
  EXPECT_EQ(v.out.opens.size(), 1u);
}

}  // namespace
}  // namespace mp
