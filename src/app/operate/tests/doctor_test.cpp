// The doctor on real parts, with another clock or disk than the machine's; the rest of its findings: doctor_test.py.
#include "app/operate/doctor.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/clock.hpp"
#include "telemetry/endpoints.hpp"
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

std::string options_journal() { return "/d/journal"; }

// Takes connections (the kernel does), and says nothing.
class SilentServer {
 public:
  SilentServer() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    void* raw = &address;
    const bool listens = ::bind(fd_, static_cast<sockaddr*>(raw), size) == 0 && ::listen(fd_, 8) == 0 &&
                         ::getsockname(fd_, static_cast<sockaddr*>(raw), &size) == 0;
    if (!listens) throw std::runtime_error("no socket");
    port_ = ntohs(address.sin_port);
  }
  ~SilentServer() { ::close(fd_); }
  SilentServer(const SilentServer&) = delete;
  SilentServer& operator=(const SilentServer&) = delete;
  std::uint16_t port() const { return port_; }

 private:
  int fd_;
  std::uint16_t port_ = 0;
};

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

TEST_F(Doctor, ADiskIsToldOnceWithAllThatLiesOnIt) {
  options_.machine.disk = [](const std::string& folder) {
    // All on one, whose room changes while it is looked at; the journal has a disk of its own of the same size.
    static std::uint64_t free = 500'000'000;
    free += 300u << 20;
    const bool is_journal = folder == options_journal();
    return DiskSeen{folder, is_journal ? 1'000'000'000 : free, 100'000'000'000, is_journal ? 2u : 1u};
  };
  options_.target.journal = options_journal();
  const auto full = examine(options_);
  std::vector<Finding> disks;
  for (const auto& finding : full.findings)
    if (finding.id == "disk_full" || finding.id == "disk_low") disks.push_back(finding);
  ASSERT_EQ(disks.size(), 2u) << diagnosis_text(full, {});
  const auto& own = disks[0].what.find("the journal") != std::string::npos ? disks[0] : disks[1];
  const auto& shared = &own == &disks[0] ? disks[1] : disks[0];
  EXPECT_THAT(own.commands, testing::ElementsAre("du -xshl /d/journal | sort -rh"));
  for (const char* use : {"JetStream", "ClickHouse", "the data folder"}) EXPECT_THAT(shared.what, HasSubstr(use));
  ASSERT_EQ(shared.commands.size(), 1u);
  EXPECT_THAT(shared.commands[0], HasSubstr(" /d | sort -rh"));
}

TEST_F(Doctor, VenuesThatHangAreWaitedForTogether) {
  // They accept, and say nothing.
  std::vector<std::unique_ptr<SilentServer>> silent;
  for (const char* market : {"spot", "derivatives"})
    for (int i = 0; i < 2; ++i) {
      silent.push_back(std::make_unique<SilentServer>());
      auto& session = options_.target.collector.sources.emplace_back();
      session.source = {"binance", market};
      session.ws_base = fmt::format("ws://127.0.0.1:{}", silent.back()->port());
      session.rest_base = session.ws_base;
      session.rest_base.replace(0, 2, "http");
    }
  options_.patience = 500ms;
  const auto begin = std::chrono::steady_clock::now();
  const auto diagnosis = examine(options_);
  const auto took = std::chrono::steady_clock::now() - begin;
  std::size_t away = 0;
  for (const auto& finding : diagnosis.findings) away += finding.id == "venue_unreachable" ? 1u : 0u;
  EXPECT_EQ(away, 4u) << diagnosis_text(diagnosis, {});
  // One after the other they take four times three times the patience.
  EXPECT_LT(took, 4 * 3 * options_.patience);
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
  const std::vector<std::string> commands{"set it"};
  EXPECT_FALSE(judge_clocks({{"a", 0.1, 0}, {"b", 30, 0.5}, {"c", -0.2, 0}}, true, commands));
  EXPECT_EQ(judge_clocks({{"a", 30.1, 0}, {"b", 30, 0.5}, {"c", -0.2, 0}}, true, commands)->id, "clock_off");
  EXPECT_FALSE(judge_clocks({{"a", 1.4, 0.5}}, true, commands)) << "within its doubt";
  EXPECT_EQ(judge_clocks({}, false, commands)->severity, Severity::warning);
  EXPECT_EQ(judge_clocks({{"a", 0.1, 0}}, false, commands)->severity, Severity::note);
  EXPECT_EQ(judge_clocks({{"a", 30, 0}}, false, commands)->commands, commands);
  EXPECT_THAT(judge_clocks({{"a", 30, 0}}, false, {})->cure, HasSubstr("on the host of this container"));
  EXPECT_FALSE(judge_clocks({}, std::nullopt, commands));
}

TEST(Judgement, TheClockIsMendedByWhatIsThere) {
  using testing::ElementsAre;
  EXPECT_THAT(clock_commands({.has_systemd = true, .has_chrony = true, .has_timesyncd = true}),
              ElementsAre("sudo systemctl start chrony", "sudo chronyc makestep"));
  EXPECT_THAT(clock_commands({.is_root = true, .has_systemd = true, .has_timesyncd = true}),
              ElementsAre("timedatectl set-ntp true"));
  EXPECT_THAT(clock_commands({}), ElementsAre("sudo apt-get install -y chrony"));
  EXPECT_THAT(clock_commands({.is_container = true, .has_chrony = true}), ElementsAre());
}

// NATS and ClickHouse of this machine share its clock: they do not outvote a venue.
TEST_F(Doctor, ThatItsOwnPartsAgreeSaysNothingOfItsClock) {
  const auto port = test::free_port();
  options_.target.collector.metrics_listen = fmt::format("127.0.0.1:{}", port);
  telemetry::Metrics metrics;
  metrics.gauge("marketprism_collector_venue_delay_min_seconds", "", {{"exchange", "okx"}}).set(-37);
  const auto endpoints = telemetry::Endpoints::start({.metrics_listen = options_.target.collector.metrics_listen},
                                                     metrics, [] { return telemetry::HealthReport{}; });
  ASSERT_TRUE(endpoints) << endpoints.error().text();
  const auto off = examine(options_);
  const auto* finding = find(off, "clock_off");
  ASSERT_NE(finding, nullptr) << diagnosis_text(off, {});
  EXPECT_THAT(finding->what, HasSubstr("37.0 s behind by that of okx's events"));
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
