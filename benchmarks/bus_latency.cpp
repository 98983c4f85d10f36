// How long from the receipt of a frame at the collector's socket until its events are at a NATS subscriber.
// Run it on the collector's machine (both times are of one clock) while data flows:
//
//   build/release/bin/bus_latency nats://127.0.0.1:4222 20      20 seconds; percentiles by subject kind
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/time.hpp"
#include "nats/connection.hpp"

namespace {

using mp::Nanos;

class Delays {
 public:
  // Every line of a message carries its own time of receipt.
  void add(const std::string& subject, std::string_view payload, mp::WallTime now) {
    static constexpr std::string_view kKey = "\"received_at\":\"";
    const std::scoped_lock lock(mutex_);
    auto& delays = by_kind_[subject.substr(0, subject.find('.'))];
    for (auto at = payload.find(kKey); at != payload.npos; at = payload.find(kKey, at)) {
      at += kKey.size();
      const auto received_at = mp::parse_iso(payload.substr(at, payload.find('"', at) - at));
      if (received_at) delays.push_back(now - *received_at);
    }
  }

  void print() {
    const std::scoped_lock lock(mutex_);
    std::vector<Nanos> all;
    for (auto& [kind, delays] : by_kind_) {
      print_row(kind, delays);
      all.insert(all.end(), delays.begin(), delays.end());
    }
    print_row("all", all);
  }

 private:
  static void print_row(const std::string& kind, std::vector<Nanos>& delays) {
    if (delays.empty()) return fmt::print("{:24} no events\n", kind);
    std::ranges::sort(delays);
    const auto at = [&](double part) {
      const auto index = static_cast<std::size_t>(part * static_cast<double>(delays.size() - 1));
      return std::chrono::duration<double, std::micro>(delays[index]).count();
    };
    fmt::print("{:24} {:>9} events   median {:>8.0f} us   p90 {:>8.0f}   p99 {:>8.0f}   max {:>8.0f}\n", kind,
               delays.size(), at(0.5), at(0.9), at(0.99), at(1));
  }

  std::mutex mutex_;
  std::map<std::string, std::vector<Nanos>> by_kind_;
};

mp::WallTime now() { return std::chrono::time_point_cast<Nanos>(std::chrono::system_clock::now()); }

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    fmt::print(stderr, "usage: bus_latency NATS_URL SECONDS\n");
    return 2;
  }
  mp::nats::ConnectionOptions options;
  options.urls = {argv[1]};
  options.name = "bus_latency";
  auto connection = mp::nats::Connection::open(options);
  if (!connection) return fmt::print(stderr, "bus_latency: {}\n", connection.error().text()), 1;
  if (const auto up = (*connection)->wait_connected(std::chrono::seconds(5)); !up)
    return fmt::print(stderr, "bus_latency: {}\n", up.error().text()), 1;
  Delays delays;
  std::vector<std::unique_ptr<mp::nats::Subscription>> subscriptions;
  // Not the conflated books: they carry the time of an update that waited on purpose.
  for (const char* subject : {"trade-data.>", "orderbook-delta-data.>"}) {
    auto subscription = mp::nats::Subscription::open(**connection, subject, [&delays](mp::nats::Message&& message) {
      const auto at = now();
      delays.add(message.subject, message.payload, at);
    });
    if (!subscription) return fmt::print(stderr, "bus_latency: {}\n", subscription.error().text()), 1;
    subscriptions.push_back(std::move(*subscription));
  }
  std::this_thread::sleep_for(std::chrono::seconds(std::stoi(argv[2])));
  subscriptions.clear();
  delays.print();
  return 0;
}
