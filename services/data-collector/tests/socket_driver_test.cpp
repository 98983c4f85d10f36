// The driver against a real HTTP server on loopback: what it sends when.
#include "socket_driver.hpp"

#include <gmock/gmock.h>

#include <mutex>

#include "net/clock.hpp"
#include "net/http_server.hpp"

namespace mp::collector {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;

struct Answer {
  int status = 200;
  std::string retry_after{};
  std::chrono::milliseconds after{0};
};

// Answers what was put in for a path, else 200; notes what came when.
class Venue {
 public:
  Venue() {
    auto started = net::HttpServer::start({}, [this](auto& request, auto& response) {
      Answer answer;
      {
        const std::scoped_lock lock(mutex_);
        asked_.emplace_back(request.target, net::now().mono);
        if (auto found = answers_.find(request.target); found != answers_.end() && !found->second.empty()) {
          answer = found->second.front();
          found->second.erase(found->second.begin());
        }
      }
      std::this_thread::sleep_for(answer.after);
      if (!answer.retry_after.empty()) response.set_header("Retry-After", answer.retry_after);
      response.send(answer.status, "text/plain", "body");
    });
    EXPECT_TRUE(started);
    server_ = std::move(*started);
  }
  std::string http(const std::string& path) const { return "http://" + server_->address() + path; }
  std::string ws(const std::string& path) const { return "ws://" + server_->address() + path; }
  void answer(const std::string& path, std::vector<Answer> answers) { answers_[path] = std::move(answers); }
  std::vector<std::pair<std::string, MonoTime>> asked() const {
    const std::scoped_lock lock(mutex_);
    return asked_;
  }
  std::vector<std::string> paths() const {
    std::vector<std::string> out;
    for (const auto& [path, at] : asked()) out.push_back(path);
    return out;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::pair<std::string, MonoTime>> asked_;
  std::map<std::string, std::vector<Answer>> answers_;
  std::unique_ptr<net::HttpServer> server_;  // last: its threads end before what they use
};

struct Driving {
  Venue venue;
  net::Loop loop;
  net::AsyncHttp http;
  RestBudgets budgets;
  std::vector<std::string> records;
  std::unique_ptr<SocketDriver> driver;
  ConnectionId connections = 0;

  explicit Driving(DriverOptions options = {}) {
    SocketDriver::Callbacks callbacks;
    callbacks.record = [this](const RawRecord& record) {
      if (record.kind == RecordKind::rest || record.kind == RecordKind::rest_failed)
        records.push_back(std::string(record.url.substr(record.url.rfind('/'))) + " " + std::to_string(record.status));
    };
    callbacks.tick = [](Instant) {};
    callbacks.next_connection = [this] { return ++connections; };
    driver = std::make_unique<SocketDriver>(Source{"venue", ""}, options, loop, http, budgets, std::move(callbacks));
  }
  void ask(const std::string& path, std::vector<BudgetCharge> charges, int priority = 0) {
    Outbox out;
    out.requests.push_back({.url = venue.http(path), .charges = std::move(charges), .priority = priority});
    driver->carry_out(out);
  }
  // Runs the loop until `done`; the deadline is there for a broken test only.
  void run(const std::function<bool()>& done) {
    const auto deadline = net::now().mono + 20s;
    while (!done() && net::now().mono < deadline) {
      loop.poll();
      std::this_thread::sleep_for(1ms);
    }
    EXPECT_TRUE(done());
  }
};

TEST(SocketDriver, RetryAfterHoldsBackTheBudgetAndNothingElse) {
  Driving d;
  const BudgetCharge budget{.budget = "a", .limit = 100, .window = 1s};
  d.venue.answer("/first", {{.status = 429, .retry_after = "1"}});
  d.ask("/first", {budget});
  d.run([&] { return d.records.size() == 1; });
  const auto refused_at = net::now().mono;
  d.ask("/second", {budget}, 9);
  d.ask("/other", {{.budget = "b"}});
  d.run([&] { return d.records.size() == 3; });
  EXPECT_THAT(d.records, ElementsAre("/first 429", "/other 200", "/second 200"));
  EXPECT_GE(d.venue.asked()[2].second - refused_at, 900ms);
  EXPECT_EQ(d.driver->counters().requests_refused, 1u);
}

TEST(SocketDriver, WhatMattersMoreGoesBeforeWhatWaitsAlready) {
  Driving d({.max_requests_under_way = 1});
  d.venue.answer("/slow", {{.after = 100ms}});
  d.ask("/slow", {});
  d.ask("/statistics", {}, 1);
  d.ask("/more-statistics", {}, 1);
  d.ask("/snapshot", {}, 50);
  d.run([&] { return d.records.size() == 4; });
  EXPECT_THAT(d.venue.paths(), ElementsAre("/slow", "/snapshot", "/statistics", "/more-statistics"));
}

TEST(SocketDriver, RequestsAreSpreadByTheirWindow) {
  Driving d;
  for (int i = 0; i < 5; ++i) d.ask("/" + std::to_string(i), {{.budget = "a", .limit = 5, .window = 500ms}});
  d.run([&] { return d.records.size() == 5; });
  const auto asked = d.venue.asked();
  EXPECT_GE(asked[4].second - asked[0].second, 450ms) << "four of five are ours to use";
  EXPECT_LT(asked[3].second - asked[0].second, 450ms);
}

TEST(SocketDriver, AttemptsToConnectAreLimitedWhetherTheySucceedOrNot) {
  Driving d;
  const std::vector<BudgetCharge> charges{{.budget = "connections", .limit = 2, .window = 1s}};
  Outbox out;
  for (std::uint32_t slot = 0; slot < 3; ++slot)
    out.opens.push_back({slot, d.venue.ws("/" + std::to_string(slot)), charges});
  d.driver->carry_out(out);
  d.run([&] { return d.venue.asked().size() == 3; });  // the server knows no websockets and refuses each
  const auto asked = d.venue.asked();
  EXPECT_LT(asked[1].second - asked[0].second, 800ms) << "two are allowed at once";
  EXPECT_GE(asked[2].second - asked[0].second, 900ms);
  bool stopped = false;
  d.driver->stop([&] { stopped = true; });
  d.run([&] { return stopped; });
}

}  // namespace
}  // namespace mp::collector
