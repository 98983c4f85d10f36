#include "sinks/jetstream/sink.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <thread>

#include "nats/consumer.hpp"
#include "nats/jetstream.hpp"
#include "nats/kv.hpp"
#include "tests/support/nats_server.hpp"

namespace mp::jetstream {
namespace {

using namespace std::chrono_literals;
using mp::test::NatsServer;
using mp::test::NatsVersion;

// The owner's loop: the test's own thread.
class Loop {
 public:
  void post(std::function<void()> task) {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
    arrived_.notify_one();
  }
  void run_for(milliseconds time) {
    const auto until = std::chrono::steady_clock::now() + time;
    for (;;) {
      std::unique_lock lock(mutex_);
      if (!arrived_.wait_until(lock, until, [this] { return !tasks_.empty(); })) return;
      auto task = std::move(tasks_.front());
      tasks_.pop_front();
      lock.unlock();
      task();
    }
  }

 private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<std::function<void()>> tasks_;
};

// Stands for a collector: a journal of numbered events that it offers, as fast as it may, from where it has to.
class TestCollector {
 public:
  TestCollector(std::string url, std::filesystem::path cursor_file, std::uint32_t events) : events_(events) {
    options_.connection.urls = {std::move(url)};
    options_.connection.reconnect = {10ms, 50ms};
    options_.connection.ping_interval = 500ms;
    options_.stream.name = "T";
    options_.stream.subjects = {"trade-data.>", "orderbook-data.>"};
    options_.stream.max_bytes = 1'000'000'000;
    options_.cursor_file = std::move(cursor_file);
    options_.publisher.journal = "00112233445566778899aabbccddeeff";
    options_.publisher.journal_is_new = true;
    options_.publisher.fence_wait = 300ms;
    options_.publisher.poll_every = 50ms;
    options_.publisher.answer_timeout = 2s;
    options_.publisher.retry = {20ms, 200ms};
    options_.publisher.max_messages = 2'000;
  }

  SinkOptions& options() { return options_; }
  Sink& sink() { return *sink_; }
  bool has_sink() const { return sink_ != nullptr; }
  const std::vector<std::string>& notes() const { return notes_; }
  int rewinds() const { return rewinds_; }
  void set_events(std::uint32_t events) { events_ = events; }

  void start() {
    auto opened = Sink::open(options_,
                             {.ready_for_more = [this] { is_full_ = false; },
                              .rewind =
                                  [this](const RecordPosition& after) {
                                    ++rewinds_;
                                    offer_after(after);
                                  },
                              .rejected = [](const Rejected& rejected) { FAIL() << rejected.reason; },
                              .note = [this](Level, const std::string& text) { notes_.push_back(text); }},
                             [loop = loop_](std::function<void()> task) { loop->post(std::move(task)); });
    ASSERT_TRUE(opened) << opened.error().text();
    sink_ = std::move(*opened);
    offer_after(sink_->acked_through());
    sink_->start();
  }
  // As SIGKILL: nothing is finished or saved.
  void kill() {
    sink_.reset();
    options_.publisher.journal_is_new = false;
  }

  template <class Condition>
  bool run_until(Condition condition, milliseconds within = 20s) {
    const auto until = std::chrono::steady_clock::now() + within;
    while (!condition()) {
      if (std::chrono::steady_clock::now() > until) return false;
      offer_some();
      loop_->run_for(is_full_ || next_ >= events_ ? 5ms : 0ms);
    }
    return true;
  }
  bool run_until_all_acked(milliseconds within = 30s) {
    return run_until(
        [this] {
          return next_ >= events_ && sink_->outstanding_messages() == 0 && sink_->state() == PublisherState::publishing;
        },
        within);
  }

  static std::string subject_of(std::uint32_t i) {
    return i % 3 == 0 ? "orderbook-data.x.spot.A" : i % 3 == 1 ? "trade-data.x.spot.A" : "trade-data.x.spot.B";
  }

 private:
  // Event i is the only one of record (1 + i / 1000, i % 1000).
  static EventPosition position_of(std::uint32_t i) { return {{1 + i / 1000, i % 1000}, 0}; }

  void offer_after(const RecordPosition& record) {
    next_ = 0;
    while (next_ < events_ && position_of(next_).record <= record) ++next_;
    is_full_ = false;
  }
  void offer_some() {
    for (int k = 0; k < 20 && next_ < events_ && !is_full_; ++k) {
      const EventPosition position = position_of(next_);
      if (sink_->offer(subject_of(next_), position, R"({"n":)" + std::to_string(next_) + "}") == Offer::full) {
        is_full_ = true;
        return;
      }
      sink_->offered_through(position.record);
      ++next_;
    }
  }

  std::shared_ptr<Loop> loop_ = std::make_shared<Loop>();
  SinkOptions options_;
  std::uint32_t events_;
  std::uint32_t next_ = 0;
  bool is_full_ = false;
  int rewinds_ = 0;
  std::vector<std::string> notes_;
  std::unique_ptr<Sink> sink_;
};

class SinkOn : public testing::TestWithParam<NatsVersion> {
 protected:
  void SetUp() override { MP_NEEDS_NATS(GetParam()); }

  NatsServer& server() {
    if (!server_) server_ = std::make_unique<NatsServer>(GetParam());
    return *server_;
  }
  TestCollector collector(std::uint32_t events) {
    return TestCollector(server().url(), server().directory() / "publisher.cursor", events);
  }
  bool is_fast() const { return GetParam() == NatsVersion::current; }
  std::unique_ptr<nats::Connection> connect() {
    nats::ConnectionOptions options;
    options.urls = {server().url()};
    options.reconnect = {10ms, 50ms};
    auto opened = nats::Connection::open(options);
    EXPECT_TRUE(opened && (*opened)->wait_connected(5s));
    return std::move(*opened);
  }
  // How often each number is in the stream, read by a consumer of its own.
  std::map<int, int> numbers_in_stream(std::uint64_t* last = nullptr) {
    auto connection = connect();
    nats::JetStream js(*connection);
    static int count = 0;
    nats::ConsumerConfig config;
    config.name = "check" + std::to_string(++count);
    EXPECT_TRUE(js.ensure_consumer("T", config));
    auto pull = nats::PullConsumer::open(*connection, "T", config.name);
    std::map<int, int> out;
    const auto info = js.stream_info("T");
    if (last != nullptr) *last = info->last_sequence;
    std::uint64_t seen = info->first_sequence > 0 ? info->first_sequence - 1 : 0;
    while (seen < info->last_sequence) {
      auto some = (*pull)->fetch({.max_messages = 5'000, .max_bytes = 32 << 20}, 2s);
      if (!some || some->empty()) {
        ADD_FAILURE() << "stream ends early" << (some ? "" : some.error().text());
        break;
      }
      for (const nats::Delivered& message : *some) {
        seen = message.stream_sequence;
        if (seen > info->last_sequence) return out;
        std::string_view text = message.message.payload;
        while (!text.empty()) {
          ++out[std::atoi(text.substr(5).data())];
          text.remove_prefix(text.find('\n') + 1);
        }
      }
    }
    return out;
  }
  ::testing::AssertionResult each_once(const std::map<int, int>& numbers, std::uint32_t events) {
    std::string wrong;
    for (std::uint32_t i = 0; i < events; ++i) {
      const auto found = numbers.find(static_cast<int>(i));
      const int count = found == numbers.end() ? 0 : found->second;
      if (count != 1 && wrong.size() < 300) wrong += std::to_string(i) + " x" + std::to_string(count) + "; ";
    }
    if (wrong.empty() && numbers.size() == events) return ::testing::AssertionSuccess();
    return ::testing::AssertionFailure() << wrong << numbers.size() << " numbers";
  }

 private:
  std::unique_ptr<NatsServer> server_;
};
INSTANTIATE_TEST_SUITE_P(Servers, SinkOn, testing::Values(NatsVersion::debian, NatsVersion::current),
                         [](const auto& param_info) { return std::string(mp::test::to_string(param_info.param)); });

TEST_P(SinkOn, PublishesEachEventOnceAndStopsInOrder) {
  auto c = collector(20'000);
  c.start();
  ASSERT_TRUE(c.run_until_all_acked()) << testing::PrintToString(c.notes());
  EXPECT_EQ(c.sink().uses_fast_ingest(), is_fast());
  EXPECT_THAT(c.notes(), testing::Contains(testing::HasSubstr(is_fast() ? "by fast ingest" : "asynchronous window")));
  EXPECT_EQ(c.sink().acked_through(), (RecordPosition{20, 999}));
  EXPECT_TRUE(c.sink().stop(10s));
  EXPECT_TRUE(each_once(numbers_in_stream(), 20'000));
  EXPECT_EQ(c.rewinds(), 0);
  // The next start reads nothing back and goes on.
  c.kill();
  c.set_events(20'100);
  c.start();
  EXPECT_EQ(c.sink().acked_through(), (RecordPosition{20, 999}));
  ASSERT_TRUE(c.run_until_all_acked());
  EXPECT_EQ(c.sink().counters().events_offered, 100u);
  EXPECT_TRUE(c.sink().stop(10s));
  EXPECT_TRUE(each_once(numbers_in_stream(), 20'100));
}

TEST_P(SinkOn, HeadersTellJournalAndPositions) {
  auto c = collector(1);
  c.start();
  ASSERT_TRUE(c.run_until_all_acked());
  auto connection = connect();
  nats::JetStream js(*connection);
  auto stored = js.message("T", 1);
  ASSERT_TRUE(stored) << stored.error().text();
  EXPECT_EQ(stored->message.subject, "orderbook-data.x.spot.A");
  EXPECT_EQ(stored->message.header("MP-Journal"), "00112233445566778899aabbccddeeff");
  EXPECT_EQ(stored->message.header("MP-First"), "1-0-0");
  EXPECT_EQ(stored->message.header("MP-Last"), "1-0-0");
  EXPECT_THAT(std::string(stored->message.header("Nats-Msg-Id")), testing::StartsWith("0011223344556677."));
  EXPECT_EQ(stored->message.payload, "{\"n\":0}\n");
  auto bucket = nats::KeyValue::open(*connection, kBucket);
  ASSERT_TRUE(c.run_until([&] {
    auto noted = bucket->get(acked_key("00112233445566778899aabbccddeeff"));
    return noted && *noted;
  }));
  EXPECT_TRUE(c.sink().stop(5s));
}

TEST_P(SinkOn, AKilledServerCostsNothingAndDoublesNothing) {
  auto c = collector(40'000);
  c.start();
  for (int kill = 1; kill <= 3; ++kill) {
    ASSERT_TRUE(c.run_until([&] {
      return c.sink().counters().events_acked > static_cast<std::uint64_t>(kill) * 10'000 - 9'000;
    })) << testing::PrintToString(c.notes());
    server().kill_hard();
    c.run_until([&] { return !c.sink().connected(); }, 5s);
    server().start();
    ASSERT_TRUE(c.run_until([&] { return c.sink().state() == PublisherState::publishing; }))
        << testing::PrintToString(c.notes());
  }
  ASSERT_TRUE(c.run_until_all_acked()) << testing::PrintToString(c.notes());
  EXPECT_TRUE(each_once(numbers_in_stream(), 40'000)) << testing::PrintToString(c.notes());
  EXPECT_TRUE(c.sink().stop(5s));
}

TEST_P(SinkOn, AnOutageLongerThanTheDuplicateWindowDoublesNothing) {
  auto c = collector(30'000);
  c.options().stream.duplicate_window = 1s;
  c.start();
  ASSERT_TRUE(c.run_until([&] { return c.sink().counters().events_acked > 2'000; }));
  server().pause();  // what is on its way is stored later, its acknowledgements come to nobody
  c.run_until([&] { return false; }, 30ms);
  c.kill();
  server().resume();
  std::this_thread::sleep_for(1'500ms);      // the window is over
  c.options().publisher.limits.cut_at = 64;  // and the messages are cut differently
  c.start();
  ASSERT_TRUE(c.run_until_all_acked()) << testing::PrintToString(c.notes());
  EXPECT_TRUE(each_once(numbers_in_stream(), 30'000)) << testing::PrintToString(c.notes());
  EXPECT_EQ(c.sink().counters().duplicates_filtered, 0u);
  EXPECT_TRUE(c.sink().stop(5s));
}

TEST_P(SinkOn, AKilledCollectorGoesOnWhereItWas) {
  // More than all lives can bring: what is offered while one waits for its fence, 2 000 messages, goes at once.
  constexpr int kEvents = 120'000;
  auto c = collector(kEvents);
  c.options().publisher.limits.cut_at = 100;
  c.start();
  for (std::uint64_t kill = 1; kill <= 5; ++kill) {
    const std::uint64_t before = c.sink().counters().events_acked;
    ASSERT_TRUE(c.run_until([&] { return c.sink().counters().events_acked > before + 3'000; }))
        << testing::PrintToString(c.notes());
    c.kill();
    c.options().publisher.limits.cut_at = 50 * kill;
    c.options().publisher.async_window = 100 * kill;
    c.start();
  }
  ASSERT_TRUE(c.run_until_all_acked()) << testing::PrintToString(c.notes());
  EXPECT_TRUE(each_once(numbers_in_stream(), kEvents)) << testing::PrintToString(c.notes());
  EXPECT_TRUE(c.sink().stop(5s));
}

TEST_P(SinkOn, AFullStreamHoldsBackAndGoesOnWhenThereIsRoom) {
  auto c = collector(40'000);
  c.options().stream.max_bytes = 200'000;
  c.options().publisher.limits.cut_at = 200;
  c.start();
  ASSERT_TRUE(c.run_until([&] { return c.sink().counters().refusals + c.sink().counters().held_back > 0; }))
      << testing::PrintToString(c.notes());
  // An older server must not be let come to its limit: it would drop the oldest messages instead of refusing.
  EXPECT_THAT(c.notes(), testing::Contains(testing::HasSubstr(is_fast() ? "10077" : "nearly full")));
  auto connection = connect();
  nats::JetStream js(*connection);
  // As storage would: reads what is there, then makes room for more.
  std::map<int, int> all;
  const auto until = std::chrono::steady_clock::now() + 40s;
  while (all.size() < 40'000 && std::chrono::steady_clock::now() < until) {
    std::uint64_t last = 0;
    for (const auto& [n, count] : numbers_in_stream(&last)) all[n] += count;
    ASSERT_TRUE(js.purge_through("T", last));
    c.run_until([&] { return js.stream_info("T")->bytes > 100'000; }, 500ms);
  }
  const PublisherCounters& counters = c.sink().counters();
  EXPECT_TRUE(each_once(all, 40'000)) << "acked " << counters.events_acked << " sent " << counters.messages_sent
                                      << " resent " << counters.messages_resent << " duplicates "
                                      << counters.duplicates_filtered << " refusals " << counters.refusals
                                      << " outstanding " << c.sink().outstanding_messages() << " read back "
                                      << counters.read_back_hits;
  EXPECT_TRUE(c.sink().stop(5s));
}

TEST_P(SinkOn, AStreamMadeAgainGetsTheWholeJournal) {
  auto c = collector(20'000);
  c.start();
  ASSERT_TRUE(c.run_until([&] { return c.sink().counters().events_acked > 5'000; }));
  auto connection = connect();
  nats::JetStream js(*connection);
  ASSERT_TRUE(js.delete_stream("T"));
  ASSERT_TRUE(c.run_until([&] { return c.rewinds() > 0; })) << testing::PrintToString(c.notes());
  ASSERT_TRUE(c.run_until_all_acked()) << testing::PrintToString(c.notes());
  EXPECT_TRUE(each_once(numbers_in_stream(), 20'000)) << testing::PrintToString(c.notes());
  EXPECT_THAT(c.notes(), testing::Contains(testing::HasSubstr("is a new one")));
  EXPECT_TRUE(c.sink().stop(5s));
}

TEST_P(SinkOn, AServerThatLostItsStoreGetsTheWholeJournal) {
  auto c = collector(20'000);
  c.start();
  ASSERT_TRUE(c.run_until([&] { return c.sink().counters().events_acked > 5'000; }));
  server().kill_hard();
  server().remove_store();
  server().start();
  ASSERT_TRUE(c.run_until([&] { return c.rewinds() > 0; })) << testing::PrintToString(c.notes());
  ASSERT_TRUE(c.run_until_all_acked()) << testing::PrintToString(c.notes());
  EXPECT_TRUE(each_once(numbers_in_stream(), 20'000)) << testing::PrintToString(c.notes());
  EXPECT_TRUE(c.sink().stop(5s));
}

TEST_P(SinkOn, StartsBeforeItsServerDoes) {
  server().kill_hard();
  auto c = collector(1'000);
  c.start();
  ASSERT_TRUE(c.run_until(
      [&] { return testing::Value(c.notes(), testing::Contains(testing::StartsWith("waiting for NATS"))); }));
  EXPECT_EQ(c.sink().state(), PublisherState::connecting);
  server().start();
  ASSERT_TRUE(c.run_until_all_acked()) << testing::PrintToString(c.notes());
  EXPECT_TRUE(c.sink().stop(5s));
  EXPECT_TRUE(each_once(numbers_in_stream(), 1'000));
}

TEST_P(SinkOn, AServerThatRefusesTheCredentialsForAWhileIsTriedAgain) {
  auto c = collector(5'000);
  c.start();
  ASSERT_TRUE(c.run_until([&] { return c.sink().counters().events_acked > 500; }));
  server().kill_hard();
  server().ask_for_password("mp", "secret");
  server().start();
  ASSERT_TRUE(
      c.run_until([&] { return testing::Value(c.notes(), testing::Contains(testing::HasSubstr("trying again"))); }));
  server().kill_hard();
  server().ask_for_password("", "");
  server().start();
  ASSERT_TRUE(c.run_until_all_acked()) << testing::PrintToString(c.notes());
  EXPECT_TRUE(each_once(numbers_in_stream(), 5'000));
  EXPECT_TRUE(c.sink().stop(5s));
}

TEST_P(SinkOn, StopsInTimeWithoutAServer) {
  auto c = collector(1'000);
  c.start();
  ASSERT_TRUE(c.run_until([&] { return c.sink().counters().events_acked > 100; }));
  server().kill_hard();
  c.set_events(2'000);
  c.run_until([&] { return c.sink().outstanding_messages() > 0; });
  EXPECT_FALSE(c.sink().stop(200ms));
  c.kill();
  server().start();
  c.start();
  ASSERT_TRUE(c.run_until_all_acked()) << testing::PrintToString(c.notes());
  EXPECT_TRUE(each_once(numbers_in_stream(), 2'000));
  EXPECT_TRUE(c.sink().stop(5s));
}

TEST_P(SinkOn, RefusesTheCursorOfAnotherJournalAndADamagedOne) {
  auto c = collector(10);
  c.start();
  ASSERT_TRUE(c.run_until_all_acked());
  ASSERT_TRUE(c.sink().stop(5s));
  c.kill();
  SinkOptions other = c.options();
  other.publisher.journal = "ffffffffffffffffffffffffffffffff";
  auto refused = Sink::open(other, {}, [](std::function<void()>) {});
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().text(), testing::HasSubstr("belongs to journal 0011"));
  std::filesystem::resize_file(c.options().cursor_file, 40);
  auto damaged = Sink::open(c.options(), {}, [](std::function<void()>) {});
  ASSERT_FALSE(damaged);
  EXPECT_EQ(damaged.error().code, Errc::corrupt);
}

}  // namespace
}  // namespace mp::jetstream
