#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "net/http_client.hpp"
#include "telemetry/endpoints.hpp"
#include "telemetry/logging.hpp"

namespace mp::telemetry {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

TEST(LogLine, TextHasTimeLevelPartMessageAndFields) {
  EXPECT_EQ(text_line(wall_from_nanos(1'795'369'470'123'456'789), log::Level::warn, "storage", "insert failed",
                      {{"table", "trades"}}),
            "2026-11-22T17:44:30.123Z WARN storage: insert failed table=trades");
}

TEST(LogLine, JsonKeepsNumbersAndEscapes) {
  EXPECT_EQ(
      json_line(wall_from_nanos(0), log::Level::info, "sim", "a \"b\"", {{"n", 5}, {"text", "x\n"}}),
      R"({"time":"1970-01-01T00:00:00.000000000Z","level":"info","part":"sim","message":"a \"b\"","n":5,"text":"x\n"})");
}

TEST(LogLine, OfAWarningSaysWhatToDo) {
  EXPECT_THAT(text_line(wall_from_nanos(0), log::Level::warn, "storage", "stream setting changed", {{"stream", "S"}}),
              testing::EndsWith(
                  " WARN storage: stream setting changed stream=S do=\"nothing: nats.change_stream asked for it\""));
  EXPECT_THAT(json_line(wall_from_nanos(0), log::Level::error, "collector",
                        "publishing: stream MARKET_DATA is nearly full (5 bytes); waiting", {}),
              testing::EndsWith(
                  R"(,"do":"let storage catch up (its /health), or raise nats.max_bytes with nats.change_stream"})"));
  EXPECT_THAT(text_line(wall_from_nanos(0), log::Level::info, "storage", "stream setting changed", {}),
              Not(HasSubstr("do=")));
}

TEST(Logging, AnotherLevelHoldsFromThenOn) {
  const auto path = std::filesystem::path(testing::TempDir()) / "mp_logging_level_test.log";
  std::filesystem::remove(path);
  ASSERT_TRUE(start_logging({.part = "test", .level = log::Level::warn, .standard_output = false, .file = path}));
  log::debug("too early");
  set_log_level(log::Level::debug);
  log::debug("heard");
  set_log_level(log::Level::error);
  log::warn("too late");
  stop_logging();
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  EXPECT_THAT(text.str(), AllOf(HasSubstr("heard"), Not(HasSubstr("too early")), Not(HasSubstr("too late"))));
  std::filesystem::remove(path);
}

TEST(Logging, AFullFileIsRenamedAndSoManyAreKept) {
  const auto folder = std::filesystem::path(testing::TempDir()) / "mp_logging_rotated";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  ASSERT_TRUE(start_logging(
      {.part = "test", .standard_output = false, .file = folder / "x.log", .file_max_bytes = 2000, .file_count = 2}));
  for (int i = 0; i < 200; ++i) log::info("a line of the log that is not very long", {{"number", i}});
  stop_logging();
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    ++files;
    EXPECT_LE(entry.file_size(), 2000u);
  }
  EXPECT_EQ(files, 3u) << "the present one and two older ones";
  std::filesystem::remove_all(folder);
}

std::string content(const std::filesystem::path& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

TEST(Logging, WritesToItsFileWhatReachesTheLevel) {
  const auto path = std::filesystem::path(testing::TempDir()) / "mp_logging_test.log";
  std::filesystem::remove(path);
  ASSERT_TRUE(start_logging({.part = "test", .level = log::Level::warn, .standard_output = false, .file = path}));
  log::info("not this");
  log::warn("but this", {{"n", 1}});
  stop_logging();
  EXPECT_THAT(content(path), AllOf(HasSubstr("WARN test: but this n=1\n"), Not(HasSubstr("not this"))));
  std::filesystem::remove(path);
}

TEST(Logging, SaysWhichFileCannotBeOpened) {
  const auto result = start_logging({.part = "test", .standard_output = false, .file = "/proc/none/x.log"});
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error().text(), HasSubstr("/proc/none/x.log"));
}

TEST(Metrics, AreShownInPrometheusText) {
  Metrics metrics;
  metrics.counter("marketprism_events_total", "Events", {{"exchange", "binance"}}).add(3);
  metrics.gauge("marketprism_lag_seconds", "Lag").set(0.5);
  metrics.histogram("marketprism_delay_seconds", "Delay", {0.1, 1}).observe(0.2);
  EXPECT_THAT(metrics.text(), AllOf(HasSubstr("marketprism_events_total{exchange=\"binance\"} 3"),
                                    HasSubstr("marketprism_lag_seconds 0.5"),
                                    HasSubstr("marketprism_delay_seconds_bucket{le=\"1\"} 1")));
}

TEST(Metrics, TheSameNameAndLabelsAreOneSeries) {
  Metrics metrics;
  metrics.counter("marketprism_a_total", "A").add(1);
  metrics.counter("marketprism_a_total", "A").add(1);
  EXPECT_EQ(metrics.counter("marketprism_a_total", "A").value(), 2);
}

TEST(Metrics, SeriesBeyondTheLimitAreCountedAndNotShown) {
  Metrics metrics(2);
  for (int i = 0; i < 4; ++i) metrics.counter("marketprism_a_total", "A", {{"i", std::to_string(i)}}).add();
  EXPECT_THAT(metrics.text(), AllOf(HasSubstr("marketprism_a_total{i=\"1\"} 1"), Not(HasSubstr("i=\"2\"")),
                                    HasSubstr("marketprism_metric_series_refused_total 2")));
}

TEST(Metrics, GaugesAreBroughtUpToDateBeforeAScrape) {
  Metrics metrics;
  add_process_metrics(metrics, "test");
  const auto text = metrics.text();
  EXPECT_THAT(text,
              AllOf(HasSubstr("process_resident_memory_bytes"), HasSubstr("marketprism_build_info{part=\"test\"")));
  EXPECT_THAT(text, Not(HasSubstr("process_resident_memory_bytes 0\n")));
}

TEST(Metrics, TheDiskIsAskedAtEachScrape) {
  Metrics metrics;
  const auto directory = std::filesystem::path(testing::TempDir()) / "mp_disk_metrics_test";
  std::filesystem::create_directories(directory);
  add_disk_metrics(metrics, "journal", directory.string());
  EXPECT_THAT(metrics.text(), testing::ContainsRegex("marketprism_disk_free_bytes\\{use=\"journal\"\\} [1-9]"));
  EXPECT_THAT(metrics.text(), testing::ContainsRegex("marketprism_disk_size_bytes\\{use=\"journal\"\\} [1-9]"));
  std::filesystem::remove_all(directory);
  // Gone, or unmounted: not known is neither full nor empty.
  EXPECT_THAT(metrics.text(), HasSubstr("marketprism_disk_free_bytes{use=\"journal\"} Nan"));
}

TEST(Endpoints, HealthAnswers200Or503WithItsJson) {
  Metrics metrics;
  metrics.counter("marketprism_a_total", "A").add();
  bool healthy = true;
  auto started = Endpoints::start({.health_listen = "127.0.0.1:0", .metrics_listen = "127.0.0.1:0"}, metrics, [&] {
    return HealthReport{healthy, R"({"status":"x"})"};
  });
  ASSERT_TRUE(started) << started.error().text();
  net::HttpClient client;
  const auto get = [&](const std::string& url) { return client.request({.url = "http://" + url}).value(); };
  const auto health = get((*started)->health_address() + "/health");
  EXPECT_EQ(health.status, 200);
  EXPECT_EQ(health.body, "{\"status\":\"x\"}\n");
  healthy = false;
  EXPECT_EQ(get((*started)->health_address() + "/health").status, 503);
  EXPECT_EQ(get((*started)->health_address() + "/metrics").status, 404);
  EXPECT_THAT(get((*started)->metrics_address() + "/metrics").body, HasSubstr("marketprism_a_total 1"));
}

TEST(Endpoints, ATakenPortIsNamedWithTheOptionThatMovesIt) {
  Metrics metrics;
  const auto health = [] { return HealthReport{true, "{}"}; };
  auto first = Endpoints::start({.health_listen = "127.0.0.1:0"}, metrics, health);
  ASSERT_TRUE(first);
  const auto second = Endpoints::start({.health_listen = (*first)->health_address()}, metrics, health);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Errc::conflict);
  EXPECT_THAT(second.error().text(), HasSubstr("--health"));
}

}  // namespace
}  // namespace mp::telemetry
