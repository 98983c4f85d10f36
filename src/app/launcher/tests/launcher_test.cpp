// The launcher's loop with real processes: fake parts that answer as ours do.
#include "app/launcher/launcher.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "app/launcher/preflight.hpp"
#include "tests/support/ports.hpp"

namespace mp::launcher {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

std::vector<std::string> lines_of(const fs::path& path) {
  std::vector<std::string> lines;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

class LauncherTest : public testing::Test {
 protected:
  void SetUp() override {
    block_signals();
    std::string pattern = testing::TempDir() + "launcher_XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
    trace_ = folder_ / "trace";
    fs::create_directories(folder_ / "run");
    fs::create_directories(folder_ / "logs");
    plan_.database = "marketprism_sim_hot";
    for (const char* name : {"nats", "clickhouse", "storage", "collector"}) add(name);
    plan_.storage = 2;
    plan_.collector = 3;
    plan_.nats_http_url = base(0);
    plan_.clickhouse_url = base(1);
    using Kind = StopStep::Kind;
    plan_.stop = {{Kind::terminate, 3, 5s}, {Kind::drain, 2, 5s},     {Kind::terminate, 2, 5s},
                  {Kind::check, 2, 5s},     {Kind::terminate, 1, 5s}, {Kind::terminate, 0, 5s}};
  }
  void TearDown() override { fs::remove_all(folder_); }

  void add(const std::string& name) {
    ports_.push_back(test::free_port());
    PartPlan part;
    part.rules.name = name;
    part.argv = {std::string(MP_BINARY_DIR) + "/bin/fake_part", name, std::to_string(ports_.back()), trace_};
    part.health_url = fmt::format("http://127.0.0.1:{}/health", ports_.back());
    plan_.parts.push_back(part);
  }
  std::string base(std::size_t part) const { return fmt::format("http://127.0.0.1:{}", ports_[part]); }
  void habit(std::size_t part, std::initializer_list<std::string> words) {
    plan_.parts[part].argv.insert(plan_.parts[part].argv.end(), words);
  }
  int run_for(std::chrono::milliseconds time) {
    return run(plan_, {.mode = Mode::simulated, .data = folder_, .run_for = time});
  }
  std::string said() const {
    std::stringstream text;
    text << std::ifstream(folder_ / "logs/up.log").rdbuf();
    return text.str();
  }
  // Runs the launcher in a process of its own, so that it can be signalled.
  pid_t launch() {
    const pid_t pid = ::fork();
    if (pid == 0) ::_exit(run(plan_, {.mode = Mode::simulated, .data = folder_, .run_for = {}}));
    return pid;
  }
  bool await(const std::function<bool()>& condition) {
    for (int i = 0; i < 1000; ++i) {
      if (condition()) return true;
      std::this_thread::sleep_for(10ms);
    }
    return false;
  }
  bool await_everything() {
    return await([&] { return said().find("everything runs") != std::string::npos; });
  }

  fs::path folder_;
  fs::path trace_;
  Plan plan_;
  std::vector<std::uint16_t> ports_;
};

TEST_F(LauncherTest, StartsInOrderStopsInReverseAndProvesWhatArrived) {
  EXPECT_EQ(run_for(300ms), 0) << said();
  EXPECT_THAT(lines_of(trace_), ElementsAre("start nats", "start clickhouse", "start storage", "start collector",
                                            "stop collector", "stop storage", "stop clickhouse", "stop nats"));
  EXPECT_THAT(said(), HasSubstr("rows stored: trades 7"));
  EXPECT_THAT(said(), HasSubstr("nothing of this run was lost"));
  EXPECT_THAT(lines_of(folder_ / "logs/nats.log"), ElementsAre("this is nats"));
}

TEST_F(LauncherTest, APartThatIsKilledIsStartedAgain) {
  habit(1, {"die-once", folder_ / "died"});
  EXPECT_EQ(run_for(2s), 0) << said();
  EXPECT_THAT(said(), HasSubstr("ended: killed by signal 9"));
  EXPECT_THAT(said(), HasSubstr("restarts 1"));
  EXPECT_THAT(lines_of(trace_), testing::Contains("start clickhouse").Times(2));
}

TEST_F(LauncherTest, APartThatCannotStartEndsEverythingWithItsLastWords) {
  habit(2, {"usage"});
  EXPECT_EQ(run_for(1s), 2) << "the part said that it was asked for what cannot be";
  EXPECT_THAT(said(), HasSubstr("storage cannot be started: giving up"));
  EXPECT_THAT(said(), HasSubstr("this is storage"));
  EXPECT_THAT(lines_of(trace_),
              ElementsAre("start nats", "start clickhouse", "start storage", "stop clickhouse", "stop nats"));
}

TEST_F(LauncherTest, AStartThatFailsAgainAndAgainIsToldOnce) {
  habit(2, {"die"});
  EXPECT_EQ(run_for(1s), 1);
  EXPECT_THAT(lines_of(trace_), testing::Contains("start storage").Times(3));
  const auto count = [said = said()](const std::string& text) {
    std::size_t times = 0;
    for (auto at = said.find(text); at != std::string::npos; at = said.find(text, at + 1)) ++times;
    return times;
  };
  EXPECT_EQ(count("ended: exit status 1"), 1u) << said();
  EXPECT_EQ(count("this is storage"), 1u) << said();
  EXPECT_EQ(count("storage cannot be started: giving up"), 1u) << said();
}

TEST_F(LauncherTest, APartThatIgnoresTheSignalIsKilledAndTheExitStatusSaysSo) {
  habit(2, {"stubborn"});
  plan_.stop[2].limit = 300ms;
  EXPECT_EQ(run_for(100ms), 1);
  EXPECT_THAT(said(), HasSubstr("storage did not end in time: killed"));
}

TEST_F(LauncherTest, EndsWhenTheSourceIsDone) {
  habit(3, {"finish"});
  plan_.parts[3].rules.may_finish = true;
  EXPECT_EQ(run(plan_, {.mode = Mode::replay, .data = folder_, .run_for = {}, .exit_when_done = true}), 0) << said();
  EXPECT_THAT(said(), HasSubstr("collector is done"));
}

TEST_F(LauncherTest, ASignalStopsInOrder) {
  const pid_t launcher = launch();
  ASSERT_TRUE(await_everything()) << said();
  ::kill(launcher, SIGINT);
  int status = 0;
  ::waitpid(launcher, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << said();
  EXPECT_EQ(lines_of(trace_).back(), "stop nats");
}

TEST_F(LauncherTest, ASecondSignalEndsAtOnce) {
  habit(3, {"stubborn"});
  const pid_t launcher = launch();
  ASSERT_TRUE(await_everything()) << said();
  ::kill(launcher, SIGINT);
  ASSERT_TRUE(await([&] { return said().find("stopping collector") != std::string::npos; }));
  std::this_thread::sleep_for(600ms);  // what comes at once with the first is the same gesture
  ::kill(launcher, SIGINT);
  int status = 0;
  ::waitpid(launcher, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 1);
  EXPECT_THAT(said(), HasSubstr("stopping at once"));
}

// `timeout 20 ./run --sim` signals the process and then its group: that is one wish, to stop in order.
TEST_F(LauncherTest, ASignalThatComesTwiceAtOnceStopsInOrder) {
  const pid_t launcher = launch();
  ASSERT_TRUE(await_everything()) << said();
  ::kill(launcher, SIGTERM);
  ASSERT_TRUE(await([&] { return said().find("stopping in order") != std::string::npos; }));
  ::kill(launcher, SIGTERM);
  ::kill(launcher, SIGINT);
  int status = 0;
  ::waitpid(launcher, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << said();
  EXPECT_THAT(said(), testing::Not(HasSubstr("stopping at once")));
  EXPECT_EQ(lines_of(trace_).back(), "stop nats");
}

TEST_F(LauncherTest, WhileAllEndsErrorsOfPartsAreShownAndWarningsAreNot) {
  habit(0, {"worry"});
  EXPECT_EQ(run_for(300ms), 0) << said();
  const auto text = said();
  const auto ending = text.find("stopping collector");
  ASSERT_NE(ending, std::string::npos) << text;
  EXPECT_NE(text.substr(0, ending).find("WARN nats: a worry"), std::string::npos) << text;
  EXPECT_EQ(text.find("WARN nats: a worry", ending), std::string::npos) << text;
  EXPECT_NE(text.find("ERROR nats: a loss", ending), std::string::npos) << text;
}

// As nats-server after a full disk: the process lives and answers 503 until it is started again, whatever becomes of
// the disk.
TEST_F(LauncherTest, ABusThatLivesAndStaysUnwellIsStartedAgainAloneAndNothingIsLost) {
  const auto trouble = folder_ / "trouble";
  habit(0, {"latch", trouble});
  plan_.parts[0].rules.mend_after = 500ms;
  std::jthread disk([&] {
    await_everything();
    std::ofstream(trouble) << "no space left on device\n";
  });
  EXPECT_EQ(run_for(4s), 0) << said();
  EXPECT_THAT(said(),
              HasSubstr("nats lives but has not been well for long (no space left on device): starting it again"));
  EXPECT_THAT(lines_of(trace_), testing::Contains("start nats").Times(2));
  EXPECT_THAT(lines_of(trace_), testing::Contains("start storage").Times(1));
  EXPECT_THAT(lines_of(trace_), testing::Contains("start collector").Times(1));
}

TEST_F(LauncherTest, ABusIsNotStartedAgainWhileItsDiskIsFullAndThatIsSaidOnce) {
  const auto trouble = folder_ / "trouble";
  habit(0, {"latch", trouble});
  plan_.parts[0].rules.mend_after = 200ms;
  std::jthread disk([&] {
    await_everything();
    std::ofstream(trouble) << "no space left on device\n";
  });
  // No disk has so much room: this one counts as full.
  run(plan_, {.mode = Mode::simulated, .data = folder_, .run_for = 3s, .full_below_bytes = 1ull << 62});
  const auto text = said();
  const auto first = text.find("is full (");
  EXPECT_NE(first, std::string::npos) << text;
  EXPECT_EQ(text.find("is full (", first + 1), std::string::npos) << text;
  EXPECT_THAT(lines_of(trace_), testing::Contains("start nats").Times(1));
}

TEST_F(LauncherTest, WhatTheCollectorDidNotPublishIsSaidAndIsNotSuccess) {
  plan_.end_report = folder_ / "run/collector-end.json";
  habit(3, {"report", plan_.end_report, R"({"unpublished_events":12,"unpublished_gaps":3,"all_counted":true})"});
  EXPECT_EQ(run_for(100ms), 1) << said();
  EXPECT_THAT(said(), HasSubstr("NOT GOOD: 12 events (3 of them gaps) are not published yet"));
}

TEST_F(LauncherTest, AStopBeforeStorageIsReadySaysHowManyMessagesWait) {
  habit(0, {"waiting"});
  habit(2, {"unready"});
  const pid_t launcher = launch();
  ASSERT_TRUE(await([&] { return fs::exists(trace_) && lines_of(trace_).back() == "start storage"; }));
  ::kill(launcher, SIGINT);
  int status = 0;
  ::waitpid(launcher, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << said();
  EXPECT_THAT(said(), HasSubstr("5 messages wait on the bus"));
}

TEST_F(LauncherTest, TheDeathOfTheLauncherLeavesNoPartBehind) {
  const pid_t launcher = launch();
  ASSERT_TRUE(await_everything()) << said();
  std::vector<pid_t> parts;
  for (const char* name : {"nats", "clickhouse", "storage", "collector"}) {
    const auto lines = lines_of(folder_ / "run" / fmt::format("{}.pid", name));
    ASSERT_EQ(lines.size(), 1u);
    parts.push_back(std::stoi(lines[0]));
  }
  ::kill(launcher, SIGKILL);
  ::waitpid(launcher, nullptr, 0);
  for (const auto port : ports_) {
    EXPECT_TRUE(await([&] {
      return bool(check_ports({{"x", "x", "--x", port}}));
    })) << "port "
        << port << " is still taken";
  }
}

}  // namespace
}  // namespace mp::launcher
