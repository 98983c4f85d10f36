#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <thread>

#include "nats/connection.hpp"
#include "nats/consumer.hpp"
#include "nats/jetstream.hpp"
#include "nats/kv.hpp"
#include "tests/support/nats_server.hpp"

namespace mp::nats {
namespace {

using namespace std::chrono_literals;
using test::NatsServer;
using test::NatsVersion;
using testing::ElementsAre;

template <class Condition>
bool eventually(Condition condition, milliseconds within = 10s) {
  const auto until = std::chrono::steady_clock::now() + within;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::sleep_for(2ms);
  }
  return true;
}

// Every test of this file runs against both servers.
class Nats : public testing::TestWithParam<NatsVersion> {
 protected:
  void SetUp() override { MP_NEEDS_NATS(GetParam()); }

  NatsServer& server() {
    if (!server_) server_ = std::make_unique<NatsServer>(GetParam());
    return *server_;
  }
  std::unique_ptr<Connection> connect(ConnectionCallbacks callbacks = {}) {
    ConnectionOptions options;
    options.urls = {server().url()};
    options.reconnect = {10ms, 100ms};
    auto opened = Connection::open(options, std::move(callbacks));
    EXPECT_TRUE(opened) << opened.error().text();
    EXPECT_TRUE((*opened)->wait_connected(5s));
    return std::move(*opened);
  }
  static StreamConfig config() {
    StreamConfig out;
    out.name = "T";
    out.subjects = {"a.>", "b.>"};
    out.max_bytes = 100'000'000;
    return out;
  }
  static void store(Connection& connection, const std::string& subject, int from, int to) {
    for (int i = from; i <= to; ++i) {
      auto stored =
          JetStream(connection).publish({subject, "", std::to_string(i), {{"MP-First", "1-2-" + std::to_string(i)}}});
      ASSERT_TRUE(stored) << stored.error().text();
    }
  }
  static std::vector<std::string> payloads(const std::vector<Delivered>& messages) {
    std::vector<std::string> out;
    for (const Delivered& m : messages) out.push_back(m.message.payload);
    return out;
  }

 private:
  std::unique_ptr<NatsServer> server_;
};
INSTANTIATE_TEST_SUITE_P(Servers, Nats, testing::Values(NatsVersion::debian, NatsVersion::current),
                         [](const auto& param_info) { return std::string(test::to_string(param_info.param)); });

TEST_P(Nats, TellsItsServersVersionAndLimits) {
  auto connection = connect();
  EXPECT_EQ(connection->max_payload(), 1'048'576);
  EXPECT_THAT(connection->server_version(), testing::StartsWith(GetParam() == NatsVersion::debian ? "2.9" : "2."));
  EXPECT_EQ(connection->server_url(), server().url());
}

TEST_P(Nats, DeliversPlainMessagesWithHeaders) {
  auto connection = connect();
  std::mutex mutex;
  std::vector<Message> got;
  auto subscription = Subscription::open(*connection, "x.*", [&](Message&& message) {
    const std::lock_guard lock(mutex);
    got.push_back(std::move(message));
  });
  ASSERT_TRUE(subscription);
  ASSERT_TRUE(connection->flush(1s));
  ASSERT_TRUE(connection->publish({"x.y", "", "hello", {{"MP-Journal", "j1"}}}));
  ASSERT_TRUE(eventually([&] {
    const std::lock_guard lock(mutex);
    return got.size() == 1;
  }));
  EXPECT_EQ(got[0].subject, "x.y");
  EXPECT_EQ(got[0].payload, "hello");
  EXPECT_EQ(got[0].header("MP-Journal"), "j1");
}

TEST_P(Nats, SaysWhichStreamHoldsTheSubjectsOfANewOne) {
  auto connection = connect();
  JetStream js(*connection);
  ASSERT_TRUE(js.ensure_stream(config()));
  auto other = config();
  other.name = "OTHER";
  const auto refused = js.ensure_stream(other);
  ASSERT_FALSE(refused);
  EXPECT_EQ(server_code(refused.error()), kSubjectsTaken);
  EXPECT_EQ(refused.error().where, "stream OTHER");
  EXPECT_THAT(refused.error().seen, ::testing::HasSubstr("stream T holds them"));
  EXPECT_THAT(refused.error().seen, ::testing::HasSubstr("set nats.stream (NATS_STREAM, --stream) to T"));
  EXPECT_EQ(js.streams_on({"b.x"}).value(), std::vector<std::string>{"T"});
  EXPECT_TRUE(js.streams_on({"c.>"}).value().empty());
}

TEST_P(Nats, MakesTheStreamOnceAndNamesWhatDiffers) {
  auto connection = connect();
  JetStream js(*connection);
  auto first = js.ensure_stream(config());
  ASSERT_TRUE(first) << first.error().text();
  EXPECT_EQ(first->outcome, EnsuredStream::Outcome::created);
  EXPECT_EQ(first->info.allow_batched, GetParam() == NatsVersion::current);
  EXPECT_TRUE(first->info.allow_direct);
  EXPECT_GT(nanos_since_epoch(first->info.created), 0);

  auto second = js.ensure_stream(config());
  ASSERT_TRUE(second);
  EXPECT_EQ(second->outcome, EnsuredStream::Outcome::unchanged) << second->differences.front().text();
  EXPECT_EQ(second->info.created, first->info.created);

  StreamConfig wanted = config();
  wanted.max_bytes = 50'000'000;
  wanted.subjects = {"a.>"};
  auto differs = js.ensure_stream(wanted);
  ASSERT_TRUE(differs);
  EXPECT_EQ(differs->outcome, EnsuredStream::Outcome::differs);
  ASSERT_EQ(differs->differences.size(), 2u);
  EXPECT_EQ(differs->differences[0].text(), R"(subjects: has ["a.>","b.>"], wanted ["a.>"])");
  EXPECT_EQ(differs->differences[1].text(), "max_bytes: has 100000000, wanted 50000000");
  EXPECT_EQ(js.stream_info("T")->max_bytes, 100'000'000);

  auto changed = js.ensure_stream(wanted, true);
  ASSERT_TRUE(changed) << changed.error().text();
  EXPECT_EQ(changed->outcome, EnsuredStream::Outcome::updated);
  EXPECT_EQ(js.stream_info("T")->max_bytes, 50'000'000);
}

TEST_P(Nats, AStreamKeepsItsIdentityAcrossARestartAndGetsANewOneWhenMadeAgain) {
  auto connection = connect();
  JetStream js(*connection);
  const auto made = js.ensure_stream(config());
  ASSERT_TRUE(made);
  store(*connection, "a.1", 1, 2);
  const std::uint64_t before = connection->disconnects();
  server().kill_hard();
  server().start();
  ASSERT_TRUE(eventually([&] { return connection->disconnects() > before && connection->connected(); }));
  auto after = js.stream_info("T");
  ASSERT_TRUE(after) << after.error().text();
  EXPECT_EQ(after->created, made->info.created);
  EXPECT_EQ(after->last_sequence, 2u);
  ASSERT_TRUE(js.delete_stream("T"));
  auto again = js.ensure_stream(config());
  ASSERT_TRUE(again);
  EXPECT_GT(again->info.created, made->info.created);
}

TEST_P(Nats, GivesTheServersErrorCodes) {
  auto connection = connect();
  JetStream js(*connection);
  auto none = js.stream_info("NONE");
  ASSERT_FALSE(none);
  EXPECT_EQ(server_code(none.error()), kStreamNotFound);
  EXPECT_THAT(none.error().text(), testing::HasSubstr("10059: stream not found"));
  ASSERT_TRUE(js.ensure_stream(config()));
  EXPECT_EQ(server_code(js.consumer_info("T", "none").error()), kConsumerNotFound);
  EXPECT_EQ(server_code(js.last_message("T", "a.b").error()), kNoMessageFound);
  EXPECT_EQ(js.publish({"nobody.listens", "", "x", {}}).error().code, Errc::unavailable);
}

TEST_P(Nats, ReadsStoredMessagesAndPurges) {
  auto connection = connect();
  JetStream js(*connection);
  ASSERT_TRUE(js.ensure_stream(config()));
  store(*connection, "a.1", 1, 3);
  store(*connection, "b.1", 4, 5);
  auto last = js.last_message("T", "a.1");
  ASSERT_TRUE(last);
  EXPECT_EQ(last->sequence, 3u);
  EXPECT_EQ(last->message.payload, "3");
  EXPECT_EQ(last->message.header("MP-First"), "1-2-3");
  EXPECT_EQ(js.next_message("T", 2, "b.*")->sequence, 4u);
  auto purged = js.purge_through("T", 2);
  ASSERT_TRUE(purged);
  EXPECT_EQ(*purged, 2u);
  auto info = js.stream_info("T");
  EXPECT_EQ(info->first_sequence, 3u);
  EXPECT_EQ(info->last_sequence, 5u);
  EXPECT_EQ(info->messages, 3u);
}

TEST_P(Nats, FetchesWithinItsBoundsAndAcknowledgesAllBefore) {
  auto connection = connect();
  JetStream js(*connection);
  ASSERT_TRUE(js.ensure_stream(config()));
  store(*connection, "a.1", 1, 10);
  ConsumerConfig consumer;
  consumer.name = "c";
  consumer.filter_subjects = {"a.>"};
  ASSERT_TRUE(js.ensure_consumer("T", consumer));
  ASSERT_TRUE(js.ensure_consumer("T", consumer));  // the same again
  auto pull = PullConsumer::open(*connection, "T", "c");
  ASSERT_TRUE(pull);
  auto some = (*pull)->fetch({.max_messages = 4}, 1s);
  ASSERT_TRUE(some) << some.error().text();
  EXPECT_THAT(payloads(*some), ElementsAre("1", "2", "3", "4"));
  EXPECT_EQ(some->at(3).stream_sequence, 4u);
  EXPECT_EQ(some->at(3).consumer_sequence, 4u);
  EXPECT_EQ(some->at(3).pending, 6u);
  EXPECT_EQ(some->at(3).message.header("MP-First"), "1-2-4");
  ASSERT_TRUE((*pull)->working_on(some->at(3)));
  ASSERT_TRUE((*pull)->ack_through(some->at(2), 1s));
  auto info = js.consumer_info("T", "c");
  EXPECT_EQ(info->ack_floor_stream_sequence, 3u);
  EXPECT_EQ(info->unacknowledged, 1u);
  EXPECT_THAT(payloads(*(*pull)->fetch({}, 1s)), ElementsAre("5", "6", "7", "8", "9", "10"));
  EXPECT_TRUE((*pull)->fetch({}, 20ms)->empty());
}

TEST_P(Nats, ALargeMessagePassesASmallByteBound) {
  auto connection = connect();
  JetStream js(*connection);
  ASSERT_TRUE(js.ensure_stream(config()));
  ASSERT_TRUE(js.publish({"a.1", "", std::string(5'000, 'x'), {}}));
  ASSERT_TRUE(js.publish({"a.1", "", std::string(5'000, 'y'), {}}));
  ASSERT_TRUE(js.ensure_consumer("T", {.name = "c", .filter_subjects = {}}));
  auto pull = PullConsumer::open(*connection, "T", "c");
  ASSERT_TRUE(pull);
  auto one = (*pull)->fetch({.max_messages = 10, .max_bytes = 1'000}, 1s);
  ASSERT_TRUE(one) << one.error().text();
  EXPECT_EQ(one->size(), 1u);
  EXPECT_EQ((*pull)->fetch({.max_messages = 10, .max_bytes = 1'000}, 1s)->size(), 1u);
}

TEST_P(Nats, AWaitingFetchReturnsWhenAMessageComes) {
  auto connection = connect();
  JetStream js(*connection);
  ASSERT_TRUE(js.ensure_stream(config()));
  ASSERT_TRUE(js.ensure_consumer("T", {.name = "c", .filter_subjects = {"a.>"}}));
  auto pull = PullConsumer::open(*connection, "T", "c");
  std::thread later([&] {
    eventually([&] { return js.consumer_info("T", "c")->waiting_pulls == 1; });
    store(*connection, "a.1", 1, 1);
  });
  auto got = (*pull)->fetch({}, 10s);
  later.join();
  ASSERT_TRUE(got) << got.error().text();
  EXPECT_THAT(payloads(*got), ElementsAre("1"));
}

TEST_P(Nats, ANewReaderBeginsAtTheAckFloorWithoutWaitingForRedelivery) {
  auto connection = connect();
  JetStream js(*connection);
  ASSERT_TRUE(js.ensure_stream(config()));
  ASSERT_TRUE(js.ensure_consumer("T", {.name = "c", .filter_subjects = {"a.>"}}));
  for (int i = 0; i < 6; ++i) {
    store(*connection, "a.1", 2 * i, 2 * i);
    store(*connection, "b.1", 2 * i + 1, 2 * i + 1);
  }
  {
    auto first = PullConsumer::open(*connection, "T", "c");
    auto got = (*first)->fetch({.max_messages = 4}, 1s);
    ASSERT_EQ(got->size(), 4u);
    ASSERT_TRUE((*first)->ack_through(got->at(0), 1s));
  }  // dies with three messages taken and not acknowledged
  auto second = PullConsumer::open(*connection, "T", "c");
  ASSERT_TRUE(second);
  std::vector<std::string> got;
  for (int i = 0; i < 5 && got.size() < 5; ++i) {
    auto some = (*second)->fetch({}, 1s);
    ASSERT_TRUE(some) << some.error().text();
    for (const auto& text : payloads(*some)) got.push_back(text);
    ASSERT_TRUE((*second)->ack_through(some->back(), 1s));
  }
  EXPECT_THAT(got, ElementsAre("2", "4", "6", "8", "10"));
  EXPECT_EQ(js.consumer_info("T", "c")->ack_floor_stream_sequence, 11u);
  EXPECT_EQ(js.consumer_info("T", "c")->unacknowledged, 0u);
}

TEST_P(Nats, FetchGoesOnAfterTheServerWasKilled) {
  std::atomic<int> disconnected = 0, reconnected = 0;
  auto connection = connect({.connected = {},
                             .disconnected = [&] { ++disconnected; },
                             .reconnected = [&] { ++reconnected; },
                             .closed = {},
                             .error = {}});
  JetStream js(*connection);
  ASSERT_TRUE(js.ensure_stream(config()));
  ASSERT_TRUE(js.ensure_consumer("T", {.name = "c", .filter_subjects = {"a.>"}}));
  store(*connection, "a.1", 1, 6);
  auto pull = PullConsumer::open(*connection, "T", "c");
  auto got = (*pull)->fetch({.max_messages = 3}, 1s);
  ASSERT_EQ(got->size(), 3u);
  std::thread killer([&] {
    std::this_thread::sleep_for(50ms);
    server().kill_hard();
    server().start();
  });
  std::vector<std::string> all = payloads(*got);
  int failures = 0;
  bool stored_more = false;
  eventually(
      [&] {
        auto some = (*pull)->fetch({.max_messages = 1}, 200ms);
        if (!some) {
          ++failures;
          EXPECT_NE(some.error().code, Errc::conflict) << some.error().text();
          return false;
        }
        for (const auto& text : payloads(*some)) all.push_back(text);
        if (!some->empty()) {
          EXPECT_TRUE((*pull)->ack_through(some->back(), 1s) || true);
        }
        if (all.size() >= 6 && reconnected > 0 && !stored_more) {
          stored_more = true;
          store(*connection, "a.1", 7, 9);
        }
        return all.size() >= 9;
      },
      20s);
  killer.join();
  EXPECT_THAT(all, ElementsAre("1", "2", "3", "4", "5", "6", "7", "8", "9"));
  EXPECT_GE(disconnected, 1);
}

TEST_P(Nats, KeepsKeysWithRevisions) {
  auto connection = connect();
  auto bucket = KeyValue::open(*connection, "MARKETPRISM");
  ASSERT_TRUE(bucket) << bucket.error().text();
  ASSERT_TRUE(KeyValue::open(*connection, "MARKETPRISM"));
  EXPECT_FALSE(bucket->get("k").value().has_value());
  auto first = bucket->create("k", "1");
  ASSERT_TRUE(first) << first.error().text();
  EXPECT_EQ(bucket->create("k", "2").error().code, Errc::conflict);
  EXPECT_EQ(bucket->update("k", "2", *first + 7).error().code, Errc::conflict);
  auto second = bucket->update("k", "2", *first);
  ASSERT_TRUE(second);
  EXPECT_GT(*second, *first);
  EXPECT_EQ(bucket->get("k").value()->value, "2");
  EXPECT_EQ(bucket->get("k").value()->revision, *second);
  ASSERT_TRUE(bucket->put("collector.x", "9"));
  EXPECT_THAT(bucket->keys().value(), ElementsAre("k", "collector.x"));
  EXPECT_THAT(bucket->keys("coll").value(), ElementsAre("collector.x"));
  ASSERT_TRUE(bucket->remove("k"));
  EXPECT_FALSE(bucket->get("k").value().has_value());
  EXPECT_TRUE(bucket->create("k", "again"));
}

TEST_P(Nats, ALeasePassesOnWhenItsHolderDiesOrGivesItBack) {
  auto holder_connection = connect();
  auto other_connection = connect();
  auto bucket_a = KeyValue::open(*holder_connection, "MARKETPRISM");
  auto bucket_b = KeyValue::open(*other_connection, "MARKETPRISM");
  std::atomic<int> lost = 0;
  auto a =
      std::make_unique<Lease>(*bucket_a, Lease::Options{"lease.trade", "a", 600ms},
                              Lease::Callbacks{.acquired = {}, .lost = [&](std::string) { ++lost; }, .waiting = {}});
  ASSERT_TRUE(a->wait_held(5s));
  const auto first = a->held();
  ASSERT_TRUE(first);
  std::atomic<int> waiting = 0;
  Lease b(*bucket_b, Lease::Options{"lease.trade", "b", 600ms},
          Lease::Callbacks{.acquired = {}, .lost = {}, .waiting = [&](std::string) { ++waiting; }});
  ASSERT_TRUE(eventually([&] { return waiting > 0; }));
  EXPECT_FALSE(b.wait_held(1'000ms));  // renewed in time: nobody takes it
  EXPECT_TRUE(a->held());
  a.reset();  // given back
  ASSERT_TRUE(b.wait_held(400ms));
  EXPECT_GT(*b.held(), *first);
  EXPECT_EQ(lost, 0);
}

TEST_P(Nats, ALeaseOfAHolderThatIsKnownToBeDeadIsTakenAtOnce) {
  auto connection = connect();
  auto bucket = KeyValue::open(*connection, "MARKETPRISM");
  ASSERT_TRUE(bucket->put("lease.trade", R"({"owner":"gone \"1\"","ttl_ms":60000})"));
  std::mutex mutex;
  std::vector<std::string> asked;
  std::atomic<bool> is_dead = false;
  Lease lease(*bucket,
              Lease::Options{"lease.trade", "b", 1'200ms,
                             [&](std::string_view owner) {
                               const std::lock_guard lock(mutex);
                               asked.emplace_back(owner);
                               return is_dead.load();
                             }},
              {});
  EXPECT_FALSE(lease.wait_held(500ms)) << "in doubt it waits";
  is_dead = true;
  ASSERT_TRUE(lease.wait_held(500ms)) << "long before the time to live is over";
  const std::lock_guard lock(mutex);
  EXPECT_EQ(asked.front(), "gone \"1\"");
}

TEST_P(Nats, AHolderThatCannotRenewLosesItsLeaseBeforeAnotherOneTakesIt) {
  auto connection = connect();
  auto bucket = KeyValue::open(*connection, "MARKETPRISM", 300ms);
  std::atomic<int> lost = 0;
  Lease lease(*bucket, Lease::Options{"lease.trade", "a", 900ms},
              Lease::Callbacks{.acquired = {}, .lost = [&](std::string) { ++lost; }, .waiting = {}});
  ASSERT_TRUE(lease.wait_held(5s));
  server().pause();
  EXPECT_TRUE(eventually([&] { return !lease.held(); }, 700ms));
  EXPECT_FALSE(lease.wait_held(1ms)) << "not while its last renewal still hangs";
  EXPECT_TRUE(eventually([&] { return lost == 1; }, 2s));
  server().resume();
  EXPECT_TRUE(eventually([&] { return lease.held().has_value(); }, 5s));
}

TEST_P(Nats, RefusesAWrongPasswordWithTheReason) {
  NatsServer guarded({GetParam(), "mp", "secret", ""});
  ConnectionOptions options;
  options.urls = {guarded.url()};
  options.reconnect = {10ms, 50ms};
  options.user = "mp";
  options.password = "wrong";
  auto refused = Connection::open(options);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::refused);
  EXPECT_THAT(refused.error().text(), testing::HasSubstr("uthoriz"));
  options.password = "secret";
  auto accepted = Connection::open(options);
  ASSERT_TRUE(accepted);
  EXPECT_TRUE((*accepted)->wait_connected(3s));
}

TEST_P(Nats, ConnectsWhenTheServerComesUpLater) {
  server().kill_hard();
  ConnectionOptions options;
  options.urls = {server().url()};
  options.reconnect = {10ms, 50ms};
  std::atomic<int> connected = 0;
  auto connection = Connection::open(
      options, {.connected = [&] { ++connected; }, .disconnected = {}, .reconnected = {}, .closed = {}, .error = {}});
  ASSERT_TRUE(connection) << connection.error().text();
  EXPECT_FALSE((*connection)->connected());
  EXPECT_EQ((*connection)->publish("x", "y").error().code, Errc::unavailable);
  EXPECT_EQ((*connection)->wait_connected(30ms).error().code, Errc::unavailable);
  server().start();
  EXPECT_TRUE((*connection)->wait_connected(5s));
  EXPECT_TRUE(eventually([&] { return connected == 1; }));
}

}  // namespace
}  // namespace mp::nats
