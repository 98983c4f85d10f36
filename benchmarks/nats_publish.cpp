// How fast the publisher brings events into a stream, and how long an event takes from offer() to a subscriber.
//   nats_publish URL throughput [EVENTS] [BYTES] [SUBJECTS] [CUT_AT]
//   nats_publish URL latency [PER_SECOND] [SECONDS] [BYTES] [SUBJECTS]
// Uses (and empties) the stream BENCH of that server.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <mutex>
#include <thread>

#include "nats/connection.hpp"
#include "sinks/jetstream/sink.hpp"

namespace {

using namespace mp;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

class Loop {
 public:
  void post(std::function<void()> task) {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
    arrived_.notify_one();
  }
  void run_until(Clock::time_point until) {
    for (;;) {
      std::unique_lock lock(mutex_);
      if (tasks_.empty() &&
          (Clock::now() >= until || !arrived_.wait_until(lock, until, [this] { return !tasks_.empty(); })))
        return;
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

struct Bench {
  std::string url;
  Loop loop;
  bool is_full = false;
  std::unique_ptr<jetstream::Sink> sink;
  std::filesystem::path directory = std::filesystem::temp_directory_path() / ("mp-bench-" + std::to_string(getpid()));

  void start(std::size_t cut_at) {
    {
      auto connection = nats::Connection::open({.urls = {url}});
      if (!connection) std::exit((std::fprintf(stderr, "%s\n", connection.error().text().c_str()), 1));
      (void)(*connection)->wait_connected(3s);
      (void)nats::JetStream(**connection).delete_stream("BENCH");
    }
    std::filesystem::create_directories(directory);
    jetstream::SinkOptions options;
    options.connection.urls = {url};
    options.stream.name = "BENCH";
    options.stream.subjects = {"trade-data.>"};
    options.cursor_file = directory / "cursor";
    options.publisher.journal = "00112233445566778899aabbccddeeff";
    options.publisher.journal_is_new = true;
    if (cut_at > 0) options.publisher.limits.cut_at = cut_at;
    if (const char* window = std::getenv("WINDOW")) options.publisher.async_window = std::strtoul(window, nullptr, 10);
    if (const char* flow = std::getenv("FLOW"))
      options.publisher.batch_flow = static_cast<std::uint32_t>(std::atoi(flow));
    if (std::getenv("BUFFERED") != nullptr) options.connection.send_asap = false;
    auto opened = jetstream::Sink::open(
        options,
        {.ready_for_more = [this] { is_full = false; },
         .rewind = {},
         .rejected = {},
         .note = [](jetstream::Level, const std::string& text) { std::printf("  %s\n", text.c_str()); }},
        [this](std::function<void()> task) { loop.post(std::move(task)); });
    sink = std::move(*opened);
    sink->start();
    while (sink->state() != jetstream::PublisherState::publishing) loop.run_until(Clock::now() + 5ms);
  }
  ~Bench() { std::filesystem::remove_all(directory); }
};

void throughput(Bench& bench, std::uint32_t events, std::size_t bytes, std::size_t subjects, std::size_t cut_at) {
  bench.start(cut_at);
  std::vector<std::string> names;
  for (std::size_t i = 0; i < subjects; ++i) names.push_back("trade-data.binance.spot.S" + std::to_string(i));
  const std::string json(bytes, 'x');
  const auto begin = Clock::now();
  for (std::uint32_t i = 0; i < events;) {
    if (!bench.is_full) {
      const RecordPosition record{1 + i / 1'000'000, i % 1'000'000};
      if (bench.sink->offer(names[i % subjects], {record, 0}, json) == jetstream::Offer::full) {
        bench.is_full = true;
        continue;
      }
      bench.sink->offered_through(record);
      ++i;
      if (i % 64 == 0) bench.loop.run_until(Clock::now());
    } else {
      bench.loop.run_until(Clock::now() + 1ms);
    }
  }
  while (bench.sink->outstanding_messages() > 0) bench.loop.run_until(Clock::now() + 1ms);
  const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  const auto& counters = bench.sink->counters();
  std::printf(
      "%u events of %zu B over %zu subjects in %.2f s: %.0f events/s, %.0f messages/s (%.1f events each), %.1f MB/s\n",
      events, bytes, subjects, seconds, events / seconds, static_cast<double>(counters.messages_acked) / seconds,
      static_cast<double>(events) / static_cast<double>(counters.messages_acked),
      static_cast<double>(counters.bytes_sent) / seconds / 1e6);
  bench.sink->stop(5s);
}

void latency(Bench& bench, int per_second, int seconds, std::size_t bytes, std::size_t subjects) {
  bench.start(0);
  auto connection = nats::Connection::open({.urls = {bench.url}});
  (void)(*connection)->wait_connected(3s);
  std::vector<double> micros;
  std::mutex mutex;
  auto subscription = nats::Subscription::open(**connection, "trade-data.>", [&](nats::Message&& message) {
    const auto now = Clock::now().time_since_epoch().count();
    std::string_view text = message.payload;
    const std::lock_guard lock(mutex);
    while (text.size() > 20) {
      micros.push_back(static_cast<double>(now - std::atoll(text.data())) / 1e3);
      text.remove_prefix(text.find('\n') + 1);
    }
  });
  (void)(*connection)->flush(1s);
  std::vector<std::string> names;
  for (std::size_t i = 0; i < subjects; ++i) names.push_back("trade-data.binance.spot.S" + std::to_string(i));
  const auto begin = Clock::now();
  const auto events = static_cast<std::uint32_t>(per_second * seconds);
  for (std::uint32_t i = 0; i < events; ++i) {
    bench.loop.run_until(begin + i * (1'000'000'000ns / per_second));
    std::string json = std::to_string(Clock::now().time_since_epoch().count()) + " ";
    json.resize(std::max(bytes, json.size()), 'x');
    const RecordPosition record{1, i};
    (void)bench.sink->offer(names[(i * 7) % subjects], {record, 0}, json);
    bench.sink->offered_through(record);
  }
  bench.loop.run_until(Clock::now() + 300ms);
  const std::lock_guard lock(mutex);
  std::sort(micros.begin(), micros.end());
  const auto at = [&](double q) {
    return micros[static_cast<std::size_t>(q * static_cast<double>(micros.size() - 1))];
  };
  std::printf(
      "%zu of %u events at %d/s: median %.0f us, p90 %.0f us, p99 %.0f us, p99.9 %.0f us, max %.0f us; %lu messages, %lu batches\n",
      micros.size(), events, per_second, at(0.5), at(0.9), at(0.99), at(0.999), micros.back(),
      bench.sink->counters().messages_sent, bench.sink->counters().batches);
  subscription->reset();
  bench.sink->stop(5s);
}

}  // namespace

int main(int argc, char** argv) {
  const auto argument = [&](int i, long otherwise) { return argc > i ? std::atol(argv[i]) : otherwise; };
  if (argc < 3) {
    std::fprintf(
        stderr,
        "usage: %s URL throughput [EVENTS] [BYTES] [SUBJECTS] [CUT_AT] | latency [PER_SECOND] [SECONDS] [BYTES] [SUBJECTS]\n",
        argv[0]);
    return 2;
  }
  Bench bench{.url = argv[1], .loop = {}, .sink = {}};
  if (std::string_view(argv[2]) == "latency") {
    latency(bench, static_cast<int>(argument(3, 5'000)), static_cast<int>(argument(4, 5)),
            static_cast<std::size_t>(argument(5, 250)), static_cast<std::size_t>(argument(6, 20)));
  } else {
    throughput(bench, static_cast<std::uint32_t>(argument(3, 1'000'000)), static_cast<std::size_t>(argument(4, 200)),
               static_cast<std::size_t>(argument(5, 20)), static_cast<std::size_t>(argument(6, 0)));
  }
}
