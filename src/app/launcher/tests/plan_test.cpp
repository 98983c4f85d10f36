#include "app/launcher/plan.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mp::launcher {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;
using testing::Not;

const Tools kTools{
    .self = "/bin/marketprism", .nats_server = "/bin/nats-server", .nats_minor = 15, .libchdb = "/lib/libchdb.so"};

LaunchOptions options_for(Mode mode) {
  LaunchOptions options;
  options.mode = mode;
  options.data = "/d";
  options.config = "/c.yaml";
  if (mode == Mode::simulated) options.markets = {{"binance", "spot", {"BTCUSDT"}}};
  if (mode == Mode::replay) options.captures = {"/a.jsonl", "/b.jsonl"};
  return options;
}

std::string command_of(const Plan& plan, const std::string& part) {
  for (const auto& candidate : plan.parts) {
    if (candidate.rules.name != part) continue;
    std::string text;
    for (const auto& word : candidate.argv) text += word + " ";
    return text;
  }
  return "";
}

TEST(Plan, EachKindOfDataHasItsOwnBusJournalAndDatabase) {
  const auto live = make_plan(options_for(Mode::live), kTools);
  const auto sim = make_plan(options_for(Mode::simulated), kTools);
  const auto replay = make_plan(options_for(Mode::replay), kTools);
  EXPECT_EQ(live.database, "marketprism_hot");
  EXPECT_EQ(sim.database, "marketprism_sim_hot");
  EXPECT_EQ(replay.database, "marketprism_replay_hot");
  EXPECT_THAT(live.folders, Contains("/d/nats/live"));
  EXPECT_THAT(sim.folders, Contains("/d/nats/simulated"));
  auto with_files = options_for(Mode::live);
  with_files.storage_config = "/s.yaml";
  with_files.database = "mine_hot";
  const auto configured = make_plan(with_files, kTools);
  EXPECT_THAT(command_of(configured, "storage"), HasSubstr("--config /s.yaml"));
  EXPECT_EQ(configured.parts[configured.storage].environment.at("MARKETPRISM_CLICKHOUSE_COLD_DATABASE"), "mine_cold")
      << "not the one that the file names";
  EXPECT_THAT(command_of(live, "storage"), Not(HasSubstr("--config")));
  EXPECT_THAT(command_of(live, "collector"),
              AllOf(HasSubstr("--journal /d/journal/live "), HasSubstr("--config /c.yaml")));
  EXPECT_THAT(command_of(sim, "collector"), HasSubstr("--journal /d/journal/simulated "));
  EXPECT_THAT(command_of(replay, "collector"),
              AllOf(HasSubstr("--journal /d/journal "), HasSubstr("--capture /a.jsonl --capture /b.jsonl")));
  for (const auto* plan : {&live, &sim, &replay})
    EXPECT_THAT(command_of(*plan, "storage"), HasSubstr("--database " + plan->database));
}

TEST(Plan, CollectorAndStorageHaveOneStream) {
  for (const auto mode : {Mode::live, Mode::simulated, Mode::replay}) {
    auto options = options_for(mode);
    EXPECT_THAT(command_of(make_plan(options, kTools), "collector"), HasSubstr("--stream MARKET_DATA "));
    options.stream = "MINE";
    const auto plan = make_plan(options, kTools);
    for (const auto* part : {"collector", "storage"}) EXPECT_THAT(command_of(plan, part), HasSubstr("--stream MINE "));
  }
}

TEST(Plan, TellsOtherCommandsWhereItsPartsAre) {
  auto options = options_for(Mode::simulated);
  options.ports.clickhouse = 18123;
  const auto plan = make_plan(options, kTools);
  const auto file = std::find_if(plan.files.begin(), plan.files.end(),
                                 [](const auto& f) { return f.first == "/d/run/addresses.yaml"; });
  ASSERT_NE(file, plan.files.end());
  for (const char* line :
       {"data_source: \"simulated\"\n", "database: \"marketprism_sim_hot\"\n",
        "clickhouse: \"http://127.0.0.1:18123\"\n", "collector_config: \"/d/run/collector-simulated.yaml\"\n"})
    EXPECT_THAT(file->second, HasSubstr(line));
}

TEST(Plan, TellsOtherCommandsTheVariablesThatWereSetForItAndNoSecrets) {
  auto options = options_for(Mode::live);
  options.stream = "MINE";
  options.variables = {{"MARKETPRISM_NATS_MAX_BYTES", "64MB"}, {"NO_PROXY", "a \"b\""}};
  options.secret_variables = {"NATS_PASSWORD", "CLICKHOUSE_PASSWORD"};
  const auto text = addresses(options);
  EXPECT_THAT(text, HasSubstr("variables:\n  MARKETPRISM_NATS_MAX_BYTES: \"64MB\"\n  NO_PROXY: \"a \\\"b\\\"\"\n"));
  EXPECT_THAT(text, HasSubstr("secret_variables: \"NATS_PASSWORD, CLICKHOUSE_PASSWORD\"\n"));
  EXPECT_THAT(text, HasSubstr("stream: \"MINE\"\n"));
}

TEST(Plan, WhatOnlyStoresStandsBackForWhatCaptures) {
  const auto plan = make_plan(options_for(Mode::live), kTools);
  EXPECT_EQ(plan.parts[plan.collector].niceness, 0);
  EXPECT_EQ(plan.parts[plan.bus].niceness, 0);
  EXPECT_GT(plan.parts[plan.storage].niceness, 0);
}

TEST(Plan, TheSimulatorIsStoppedFirst) {
  const auto plan = make_plan(options_for(Mode::simulated), kTools);
  EXPECT_EQ(plan.parts[plan.stop[0].part].rules.name, "sim");
  EXPECT_EQ(plan.parts[plan.stop[1].part].rules.name, "collector");
  EXPECT_EQ(plan.parts[plan.stop.back().part].rules.name, "nats");
}

TEST(Plan, OldServersAreNotGivenAKeyThatTheyRefuse) {
  const auto options = options_for(Mode::live);
  EXPECT_THAT(nats_configuration(options, 15), HasSubstr("sync_interval: \"2m\""));
  EXPECT_THAT(nats_configuration(options, 9), Not(HasSubstr("sync_interval")));
}

TEST(Plan, TheSimulatorsAddressStandsInTheCollectorsConfiguration) {
  EXPECT_THAT(collector_configuration(options_for(Mode::simulated)),
              AllOf(HasSubstr("ws_base: ws://127.0.0.1:9443"), HasSubstr("symbols: [BTCUSDT]")));
  auto options = options_for(Mode::simulated);
  options.markets.push_back({"okx", "", {"BTC-USDT", "BTC-USDT-SWAP"}});
  options.sim_exchanges = {"binance:spot", "okx"};
  EXPECT_THAT(collector_configuration(options),
              HasSubstr("  - name: okx\n    symbols: [BTC-USDT, BTC-USDT-SWAP]\n    ws_base:"))
      << "a venue with one market does not name it";
  EXPECT_THAT(command_of(make_plan(options, kTools), "sim"), HasSubstr("--exchange binance:spot --exchange okx"));
}

TEST(Ports, MoveTogetherAndStayDistinct) {
  EXPECT_EQ(shifted({}, 1000)->nats, 5222);
  EXPECT_FALSE(shifted({}, 60000));
  EXPECT_FALSE(shifted({}, -5000));
  auto options = options_for(Mode::live);
  EXPECT_TRUE(check_distinct(make_plan(options, kTools).ports));
  options.ports.nats = 8123;
  const auto conflict = check_distinct(make_plan(options, kTools).ports);
  ASSERT_FALSE(conflict);
  EXPECT_THAT(conflict.error().text(),
              AllOf(HasSubstr("--nats-port"), HasSubstr("--clickhouse-port"), HasSubstr("8123")));
}

}  // namespace
}  // namespace mp::launcher
