// The doctor on real parts, with another clock or disk than the machine's; the rest of its findings: doctor_test.py.
#include "app/operate/doctor.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/clock.hpp"
#include "tests/support/embedded_clickhouse.hpp"
#include "tests/support/nats_server.hpp"
#include "tests/support/ports.hpp"

namespace mp::operate {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

const Finding* find(const Diagnosis& diagnosis, const std::string& id) {
  for (const auto& finding : diagnosis.findings)
    if (finding.id == id) return &finding;
  return nullptr;
}

class Doctor : public ::testing::Test {
 protected:
  void SetUp() override {
    MP_NEEDS_NATS(test::NatsVersion::current);
    MP_NEEDS_CLICKHOUSE();
    monitoring_ = test::free_port();
    nats_ = std::make_unique<test::NatsServer>(test::NatsServer::Options{
        test::NatsVersion::current, "", "", fmt::format("http: \"127.0.0.1:{}\"", monitoring_)});
    clickhouse_ = std::make_unique<test::EmbeddedClickHouse>(std::string(MP_BINARY_DIR) + "/bin/marketprism");
    const config::Environment nothing = [](const std::string&) { return std::nullopt; };
    const auto target = find_target({.data = "",
                                     .storage_config = "",
                                     .collector_config = "",
                                     .clickhouse = clickhouse_->url(),
                                     .database = "",
                                     .user = "",
                                     .password_file = "",
                                     .nats = nats_->url(),
                                     .nats_http = fmt::format("http://127.0.0.1:{}", monitoring_),
                                     .stream = "",
                                     .storage_health = "",
                                     .storage_metrics = "",
                                     .collector_health = "",
                                     .collector_metrics = ""},
                                    nothing);
    ASSERT_TRUE(target) << target.error().text();
    options_.target = *target;
    options_.target.data = "/d";
    options_.target.journal = "/d/journal";
    options_.offline = true;
    options_.machine.disk = [](const std::string& folder) { return DiskSeen{folder, 50'000'000'000, 100'000'000'000}; };
    options_.machine.clock_is_synchronised = [] { return true; };
  }

  int monitoring_ = 0;
  std::unique_ptr<test::NatsServer> nats_;
  std::unique_ptr<test::EmbeddedClickHouse> clickhouse_;
  DoctorOptions options_;
};

TEST_F(Doctor, AClockThatIsOffIsToldAndTheFindingGoesWithTheCure) {
  options_.machine.now = [] {
    auto now = net::now();
    now.wall -= 37s;
    return now;
  };
  const auto off = examine(options_);
  const auto* finding = find(off, "clock_off");
  ASSERT_NE(finding, nullptr);
  EXPECT_THAT(finding->what, testing::ContainsRegex("3[67].[0-9] s behind"));
  EXPECT_THAT(finding->what, HasSubstr("ClickHouse"));
  EXPECT_THAT(finding->cure, HasSubstr("set the clock"));
  EXPECT_EQ(exit_status(off), 4);
  options_.machine.now = [] { return net::now(); };  // as chronyc makestep leaves it
  EXPECT_EQ(find(examine(options_), "clock_off"), nullptr);
}

TEST_F(Doctor, ADiskThatIsNearlyFullIsToldAndTheFindingGoesWithTheCure) {
  std::uint64_t free = 500'000'000;
  options_.machine.disk = [&](const std::string& folder) { return DiskSeen{folder, free, 100'000'000'000}; };
  const auto full = examine(options_);
  const auto* finding = find(full, "disk_full");
  ASSERT_NE(finding, nullptr);
  EXPECT_THAT(finding->what, HasSubstr("500.0 MB free of 100.0 GB"));
  EXPECT_THAT(finding->cure, HasSubstr("make room"));
  free = 5'000'000'000;
  ASSERT_NE(find(examine(options_), "disk_low"), nullptr);
  free = 50'000'000'000;  // room has been made
  const auto mended = examine(options_);
  EXPECT_EQ(find(mended, "disk_full"), nullptr);
  EXPECT_EQ(find(mended, "disk_low"), nullptr);
}

TEST_F(Doctor, PartsThatAreWellAreFine) {
  const auto diagnosis = examine(options_);
  for (const char* name : {"NATS", "ClickHouse", "JetStream", "clock", "disk", "versions"}) {
    const auto check =
        std::find_if(diagnosis.checks.begin(), diagnosis.checks.end(), [&](const auto& c) { return c.name == name; });
    ASSERT_NE(check, diagnosis.checks.end()) << name;
    if (std::string_view(name) != "JetStream") {
      EXPECT_EQ(check->result, Check::Result::fine) << name << diagnosis_text(diagnosis, {});
    }
  }
  EXPECT_EQ(find(diagnosis, "stream_missing")->severity, Severity::note);
}

TEST(Judgement, OneClockAmongManyThatDiffersIsThatOnes) {
  EXPECT_FALSE(judge_clocks({{"a", 0.1, 0}, {"b", 30, 0.5}, {"c", -0.2, 0}}, true));
  EXPECT_EQ(judge_clocks({{"a", 30.1, 0}, {"b", 30, 0.5}, {"c", -0.2, 0}}, true)->id, "clock_off");
  EXPECT_FALSE(judge_clocks({{"a", 1.4, 0.5}}, true)) << "within its doubt";
  EXPECT_EQ(judge_clocks({}, false)->severity, Severity::warning);
  EXPECT_EQ(judge_clocks({{"a", 0.1, 0}}, false)->severity, Severity::note);
  EXPECT_FALSE(judge_clocks({}, std::nullopt));
}

TEST(Judgement, StreamsThatBringNothingAreToldBySource) {
  CollectorSeen collector;
  collector.uptime_seconds = 30;
  collector.streams = {{"okx", "spot", "trade", "BTC-USDT", "waiting", 20.0},
                       {"okx", "spot", "orderbook", "BTC-USDT", "silent", 40.0},
                       {"binance", "spot", "trade", "BTC-USDT", "live", 0.1},
                       {"binance", "spot", "trade", "X-USDT", "silent", 90.0},
                       {"deribit", "options", "trade", "B-C", "subscribing", {}}};
  const auto findings = judge_streams(collector, {{"okx", "http://x/ is not reached"}});
  ASSERT_EQ(findings.size(), 2u) << "deribit has only just begun";
  EXPECT_EQ(findings[0].id, "stale_streams");
  EXPECT_THAT(findings[0].what, HasSubstr("binance spot: 1 of 2"));
  EXPECT_EQ(findings[1].id, "stale_source");
  EXPECT_THAT(findings[1].what,
              testing::AllOf(HasSubstr("okx: 2 of 2"), HasSubstr("20 s ago"), HasSubstr("http://x/ is not reached")));
  EXPECT_THAT(findings[0].cure, HasSubstr("delisted"));
  const auto away = judge_streams(collector, {{"binance", "http://y/ is not reached"}});
  EXPECT_THAT(away[0].cure, HasSubstr("as soon as the venue can be reached")) << "that some are late to be missed";
}

TEST(Judgement, TheWorstDecidesTheExitStatus) {
  Diagnosis diagnosis;
  EXPECT_EQ(exit_status(diagnosis), 0);
  diagnosis.findings.push_back({"a", Severity::note, "", "", {}});
  EXPECT_EQ(exit_status(diagnosis), 0);
  diagnosis.findings.push_back({"a", Severity::warning, "", "", {}});
  EXPECT_EQ(exit_status(diagnosis), 3);
  diagnosis.findings.push_back({"a", Severity::error, "", "say \"x\"", {"kill 1"}});
  EXPECT_EQ(exit_status(diagnosis), 4);
  EXPECT_THAT(diagnosis_json(diagnosis), HasSubstr(R"("cure":"say \"x\"","commands":["kill 1"])"));
  EXPECT_THAT(diagnosis_text(diagnosis, {}), HasSubstr("  $ kill 1\n"));
}

TEST(Judgement, ReadsDatesOfHttp) {
  EXPECT_EQ(iso(parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").value()), "1994-11-06T08:49:37.000000000Z");
  EXPECT_FALSE(parse_http_date("yesterday"));
}

}  // namespace
}  // namespace mp::operate
