#include "feed/ledger.hpp"

#include <gtest/gtest.h>

namespace mp {
namespace {

using namespace std::chrono_literals;
using Trouble = SubscriptionLedger::Trouble;

constexpr SubscriptionLedger::Patience kPatience{.ack = 10s, .first_data = 30s, .silence_at_least = 20s};

struct Ledger {
  SubscriptionLedger ledger;
  SubscriptionLedger::StreamId stream = ledger.add(kPatience);
  MonoTime start = MonoTime{} + 1h;
  std::vector<SubscriptionLedger::Finding> overdue(std::chrono::milliseconds t) {
    std::vector<SubscriptionLedger::Finding> out;
    ledger.overdue(start + t, out);
    return out;
  }
};

TEST(SubscriptionLedger, FromRequestOverAnswerToData) {
  Ledger l;
  EXPECT_EQ(l.ledger.state(l.stream), StreamState::waiting);
  l.ledger.requested(l.stream, l.start);
  EXPECT_EQ(l.ledger.state(l.stream), StreamState::subscribing);
  l.ledger.confirmed(l.stream, l.start + 1s);
  EXPECT_EQ(l.ledger.state(l.stream), StreamState::subscribing) << "an answer is no data";
  EXPECT_EQ(l.ledger.confirmed_at(l.stream), l.start + 1s);
  l.ledger.data(l.stream, l.start + 2s);
  EXPECT_EQ(l.ledger.state(l.stream), StreamState::live);
  EXPECT_TRUE(l.overdue(15s).empty());
}

TEST(SubscriptionLedger, NoAnswerIsFoundThenAskedAboutMoreSlowly) {
  Ledger l;
  l.ledger.requested(l.stream, l.start);
  EXPECT_TRUE(l.overdue(9s).empty());
  ASSERT_EQ(l.overdue(10s).size(), 1u);
  EXPECT_TRUE(l.overdue(19s).empty());
  ASSERT_EQ(l.overdue(20s).size(), 1u);
  EXPECT_EQ(l.overdue(40s).front().trouble, Trouble::no_answer);
}

TEST(SubscriptionLedger, AConfirmedStreamWithoutDataIsFound) {
  Ledger l;
  l.ledger.requested(l.stream, l.start);
  l.ledger.confirmed(l.stream, l.start + 1s);
  EXPECT_TRUE(l.overdue(30s).empty());
  const auto found = l.overdue(31s);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].trouble, Trouble::no_first_data);
}

TEST(SubscriptionLedger, SilenceIsMeasuredAgainstTheStreamsOwnRate) {
  Ledger busy;
  for (int i = 0; i < 100; ++i) busy.ledger.data(busy.stream, busy.start + i * 100ms);
  EXPECT_EQ(busy.ledger.silence_limit(busy.stream), 20s) << "never below the floor";
  Ledger slow;
  for (int i = 0; i < 100; ++i) slow.ledger.data(slow.stream, slow.start + i * 10s);
  EXPECT_GE(slow.ledger.silence_limit(slow.stream), 190s);
  EXPECT_TRUE(slow.overdue(990s + 100s).empty());
  ASSERT_EQ(slow.overdue(990s + 260s).size(), 1u);
  EXPECT_EQ(slow.ledger.state(slow.stream), StreamState::silent);
}

TEST(SubscriptionLedger, ALongPauseAmongBurstsIsRemembered) {
  Ledger l;
  auto t = l.start;
  for (int burst = 0; burst < 4; ++burst, t += 60s)
    for (int i = 0; i < 50; ++i, t += 10ms) l.ledger.data(l.stream, t);
  EXPECT_GT(l.ledger.silence_limit(l.stream), 100s);
}

TEST(SubscriptionLedger, TheRateSurvivesAReconnectTheStateDoesNot) {
  Ledger l;
  for (int i = 0; i < 100; ++i) l.ledger.data(l.stream, l.start + i * 10s);
  const auto before = l.ledger.silence_limit(l.stream);
  l.ledger.disconnected(l.stream);
  EXPECT_EQ(l.ledger.state(l.stream), StreamState::waiting);
  EXPECT_EQ(l.ledger.silence_limit(l.stream), before);
  EXPECT_TRUE(l.overdue(100h).empty()) << "not subscribed, so not overdue";
}

TEST(SubscriptionLedger, ARefusedStreamIsNotWaitedFor) {
  Ledger l;
  const auto other = l.ledger.add({});
  l.ledger.requested(l.stream, l.start);
  l.ledger.requested(other, l.start);
  l.ledger.refused(l.stream);
  EXPECT_EQ(l.ledger.state(l.stream), StreamState::refused);
  EXPECT_EQ(l.ledger.state(other), StreamState::subscribing);
  const auto found = l.overdue(1h);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].stream, other);
}

TEST(SubscriptionLedger, AStreamThatMayBeSilentIsLiveOnceConfirmedAndNeverOverdue) {
  Ledger l;
  const auto rare = l.ledger.add({.ack = 10s, .may_be_silent = true});
  l.ledger.requested(rare, l.start);
  EXPECT_EQ(l.overdue(10s).size(), 1u) << "its answer is waited for like any other's";
  l.ledger.confirmed(rare, l.start + 11s);
  EXPECT_EQ(l.ledger.state(rare), StreamState::live);
  EXPECT_FALSE(l.ledger.has_data(rare));
  EXPECT_TRUE(l.overdue(1000h).empty());
  l.ledger.data(rare, l.start + 500h);
  EXPECT_TRUE(l.ledger.has_data(rare));
  EXPECT_TRUE(l.overdue(1000h).empty());
}

// Trades of any instrument: minutes, or days, between two.
struct Traded : Ledger {
  Traded() {
    stream = ledger.add({.ack = 10s, .silence_at_least = 300s, .only_by_rate = true});
    ledger.requested(stream, start);
    ledger.confirmed(stream, start);
  }
  // Data every `every` from `from` to `to`.
  void trades(std::chrono::milliseconds from, std::chrono::milliseconds to, std::chrono::milliseconds every) {
    for (auto t = from; t <= to; t += every) ledger.data(stream, start + t);
  }
  StreamState state() const { return ledger.state(stream); }
};

TEST(SubscriptionLedger, WithoutATradeSinceTheStartAStreamIsQuietNotBroken) {
  Traded l;
  EXPECT_EQ(l.state(), StreamState::live) << "from the answer on";
  EXPECT_FALSE(l.ledger.has_data(l.stream));
  EXPECT_TRUE(l.overdue(1000h).empty());
  Traded unanswered;
  unanswered.ledger.disconnected(unanswered.stream);
  unanswered.ledger.requested(unanswered.stream, unanswered.start);
  EXPECT_EQ(unanswered.overdue(10s).front().trouble, Trouble::no_answer);
}

TEST(SubscriptionLedger, ABurstOfTradesIsNoRateYet) {
  Traded l;
  l.trades(1s, 300s, 500ms);
  EXPECT_TRUE(l.overdue(1000h).empty()) << "5 minutes say nothing about the next 5";
  EXPECT_EQ(l.state(), StreamState::live);
}

TEST(SubscriptionLedger, AStreamThatTradedSteadilyForLongIsFoundSilentUntilItTradesAgain) {
  Traded l;
  l.trades(1s, 1900s, 1s);
  EXPECT_TRUE(l.overdue(2199s).empty());
  ASSERT_EQ(l.overdue(2200s).size(), 1u);
  EXPECT_EQ(l.state(), StreamState::silent);
  l.ledger.asked_again(l.stream);
  l.ledger.requested(l.stream, l.start + 2201s);
  l.ledger.confirmed(l.stream, l.start + 2201s);
  EXPECT_EQ(l.state(), StreamState::silent) << "an answer is no data";
  EXPECT_TRUE(l.overdue(2800s).empty());
  ASSERT_EQ(l.overdue(2801s).size(), 1u) << "asked again after twice as long";
  l.ledger.data(l.stream, l.start + 2900s);
  EXPECT_EQ(l.state(), StreamState::live);
  EXPECT_GE(l.ledger.silence_limit(l.stream), 3000s) << "the pause of 1000 s is learnt, though it was asked about";
}

TEST(SubscriptionLedger, ThePauseBeforeTheFirstTradeIsLearnt) {
  Traded l;
  l.trades(40min, 100min, 2s);
  // Three times 40 minutes, less what it has forgotten since: but never found silent before six times that was heard.
  EXPECT_TRUE(l.overdue(100min + 1h).empty());
}

TEST(SubscriptionLedger, ABurstDoesNotWipeOutThePauseBeforeIt) {
  Traded l;
  l.trades(10min, 10min + 60s, 20ms);
  EXPECT_GT(l.ledger.silence_limit(l.stream), 25min);
  l.trades(11min + 1s, 11min + 2h, 1s);
  EXPECT_EQ(l.ledger.silence_limit(l.stream), 300s) << "an hour later it is forgotten";
}

TEST(SubscriptionLedger, ALearntRateDoesNotMakeANewConnectionSuspicious) {
  Traded l;
  l.trades(1s, 3600s, 60s);
  l.ledger.disconnected(l.stream);
  l.ledger.requested(l.stream, l.start + 3600s);
  l.ledger.confirmed(l.stream, l.start + 3601s);
  EXPECT_EQ(l.state(), StreamState::live) << "no trade yet, and none is due";
}

TEST(SubscriptionLedger, ASlowStreamsOwnRateIsNotCapped) {
  Traded l;
  l.trades(10min, 400h, 10min);
  EXPECT_EQ(l.ledger.silence_limit(l.stream), 200min);
  EXPECT_TRUE(l.overdue(400h + 199min).empty());
  EXPECT_EQ(l.overdue(400h + 200min).size(), 1u);
}

TEST(SubscriptionLedger, ARenewedNumberKnowsNothingOfTheOneBefore) {
  Ledger l;
  for (int i = 0; i < 100; ++i) l.ledger.data(l.stream, l.start + i * 10s);
  l.ledger.renew(l.stream, {.silence_at_least = 7s});
  EXPECT_EQ(l.ledger.state(l.stream), StreamState::waiting);
  EXPECT_EQ(l.ledger.silence_limit(l.stream), 7s);
}

}  // namespace
}  // namespace mp
