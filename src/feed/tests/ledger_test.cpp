#include "feed/ledger.hpp"

#include <gtest/gtest.h>

namespace mp {
namespace {

using namespace std::chrono_literals;
using Trouble = SubscriptionLedger::Trouble;

struct Ledger {
  SubscriptionLedger ledger;
  SubscriptionLedger::StreamId stream = ledger.add({.ack = 10s, .first_data = 30s, .silence_at_least = 20s});
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

TEST(SubscriptionLedger, ARenewedNumberKnowsNothingOfTheOneBefore) {
  Ledger l;
  for (int i = 0; i < 100; ++i) l.ledger.data(l.stream, l.start + i * 10s);
  l.ledger.renew(l.stream, {.silence_at_least = 7s});
  EXPECT_EQ(l.ledger.state(l.stream), StreamState::waiting);
  EXPECT_EQ(l.ledger.silence_limit(l.stream), 7s);
}

}  // namespace
}  // namespace mp
