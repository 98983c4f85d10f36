#include "data-storage-service/src/options.hpp"

#include "data-storage-service/src/foreign_rows.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mp::storage {
namespace {

using ::testing::HasSubstr;
using namespace std::chrono_literals;

Result<StorageOptions> read(const std::string& yaml, std::map<std::string, std::string> environment = {},
                            std::vector<config::Flag> flags = {}) {
  auto root = config::parse_yaml(yaml, "storage.yaml");
  if (!root) return root.error();
  config::Config config{std::move(*root),
                        [&](const std::string& name) -> std::optional<std::string> {
                          const auto found = environment.find(name);
                          if (found == environment.end()) return std::nullopt;
                          return found->second;
                        },
                        std::move(flags)};
  auto options = read_options(config);
  if (auto finished = config.finish(); !finished) return finished.error();
  return options;
}

TEST(StorageOptions, HaveTheGuidesDefaults) {
  const auto o = read("").value();
  EXPECT_EQ("nats://127.0.0.1:4222", o.nats.urls.front());
  EXPECT_EQ("MARKET_DATA", o.stream.name);
  EXPECT_EQ(std::int64_t{8} << 30, o.stream.max_bytes);
  EXPECT_EQ("http://localhost:8123", o.clickhouse.url);
  EXPECT_EQ("marketprism_hot", o.database);
  EXPECT_EQ("marketprism_cold", o.cold_database);
  EXPECT_EQ(72h, o.hot_ttl);
  EXPECT_EQ(12u, o.batches.size());
  const auto& trades = o.batches.at(DataType::trade);
  EXPECT_EQ(100u, trades.batch_size);
  EXPECT_EQ(10s, trades.timeout);
  EXPECT_EQ(1000u, trades.max_queue);
  EXPECT_EQ(1s, trades.min_interval);
  EXPECT_EQ(1u, o.batches.at(DataType::lsr_top_position).batch_size);
  EXPECT_EQ(50u, o.batches.at(DataType::volatility_index).max_queue);
  EXPECT_EQ("127.0.0.1:8085", o.health_listen);
  EXPECT_EQ("127.0.0.1:9094", o.metrics_listen);
}

TEST(StorageOptions, OfTheSampleFileAreTheDefaults) {
  const auto nothing = [](const std::string&) { return std::nullopt; };
  auto root = load_configuration(
      {std::string(MP_SOURCE_DIR) + "/services/data-storage-service/config/unified_storage_service.yaml"}, nothing, {});
  ASSERT_TRUE(root) << root.error().text();
  config::Config config{std::move(*root), nothing};
  const auto sample = read_options(config);
  const auto finished = config.finish();
  ASSERT_TRUE(finished) << finished.error().text();
  const auto defaults = read("").value();
  EXPECT_EQ(defaults.nats.urls, sample.nats.urls);
  EXPECT_EQ(defaults.stream.max_bytes, sample.stream.max_bytes);
  EXPECT_EQ(defaults.cold_database, sample.cold_database);
  EXPECT_EQ(defaults.hot_ttl, sample.hot_ttl);
  EXPECT_EQ(defaults.trim.replay_window, sample.trim.replay_window);
  EXPECT_EQ(defaults.lease_ttl, sample.lease_ttl);
  for (const auto& [type, limits] : defaults.batches) {
    const auto& other = sample.batches.at(type);
    EXPECT_EQ(limits.batch_size, other.batch_size) << to_string(type);
    EXPECT_EQ(limits.timeout, other.timeout) << to_string(type);
    EXPECT_EQ(limits.max_queue, other.max_queue) << to_string(type);
    EXPECT_EQ(limits.max_bytes, other.max_bytes) << to_string(type);
  }
  // The sample names every key there is: nothing is left at a default.
  for (const auto& setting : config.settings()) EXPECT_EQ(config::Origin::file, setting.origin) << setting.path;
}

TEST(StorageOptions, GiveSimulatedAndPlayedBackDataDatabasesOfTheirOwnThatKeepEverything) {
  for (const auto& [source, database] :
       {std::pair{"simulated", "marketprism_sim_hot"}, std::pair{"replay", "marketprism_replay_hot"}}) {
    const auto o = read("", {}, {{"storage.data_source", source, "--data-source"}}).value();
    EXPECT_EQ(database, o.database);
    EXPECT_EQ("", o.cold_database);
    EXPECT_FALSE(o.hot_ttl);
  }
}

TEST(StorageOptions, PreferFlagsToTheEnvironmentToTheFile) {
  const std::string yaml = "clickhouse: {database: from_file, url: 'http://file:1'}\nnats: {stream: FROM_FILE}\n";
  const auto o = read(yaml, {{"CLICKHOUSE_DB", "from_environment"}, {"CLICKHOUSE_URL", "http://environment:2"}},
                      {{"clickhouse.database", "from_flag", "--database"}})
                     .value();
  EXPECT_EQ("from_flag", o.database);
  EXPECT_EQ("http://environment:2", o.clickhouse.url);
  EXPECT_EQ("FROM_FILE", o.stream.name);
  EXPECT_EQ("from_flag_cold", o.cold_database);
}

TEST(StorageOptions, RefuseMistakesWithPlaceAndNearestKey) {
  EXPECT_THAT(read("batches:\n  trade: {batch_size: 5}\n").error().text(),
              AllOf(HasSubstr("storage.yaml:2"), HasSubstr("trades")));
  EXPECT_THAT(read("clickhouse: {hot_ttl: 90m}\n").error().text(), HasSubstr("whole days"));
  EXPECT_THAT(read("trim: {high_percent: 50, low_percent: 60}\n").error().text(),
              HasSubstr("must be below high_percent"));
  EXPECT_THAT(read("storage: {data_source: simulated}\nclickhouse: {hot_ttl: 3d}\n").error().text(),
              HasSubstr("only live data expires"));
  EXPECT_THAT(read("nats: {url: ['nats://ok:4222', 'nats://me:pw@foo:::bar']}\n").error().text(),
              AllOf(HasSubstr("storage.yaml:1"), HasSubstr("nats.url: expected an address like nats://"),
                    HasSubstr("'foo:::bar'"), Not(HasSubstr("pw"))));
  EXPECT_THAT(read("clickhouse: {url: 'ftp://x'}\n").error().text(), HasSubstr("clickhouse.url: expected an address"));
  EXPECT_THAT(read("logging: {level: loud}\n").error().text(), HasSubstr("loud"));
}

TEST(StorageOptions, TheProductionTiersReplaceTheDefaultOnes) {
  const std::string folder = std::string(MP_SOURCE_DIR) + "/services/data-storage-service/config/";
  const auto environment = [&](const std::string& name) -> std::optional<std::string> {
    if (name != "MARKETPRISM_STORAGE_TIERS_FILE") return std::nullopt;
    return folder + "production_tiered_storage_config.yaml";
  };
  auto root = load_configuration({folder + "unified_storage_service.yaml"}, environment, {});
  ASSERT_TRUE(root) << root.error().text();
  config::Config config{std::move(*root), environment};
  const auto o = read_options(config);
  const auto finished = config.finish();
  ASSERT_TRUE(finished) << finished.error().text();
  ASSERT_TRUE(o.tiers.cold);
  EXPECT_EQ("http://clickhouse-cold:8123", o.tiers.cold->url);
  EXPECT_EQ(36h, o.tiers.drop_after);
  for (const auto& setting : config.settings()) {
    const bool is_ours = setting.path.starts_with("tiers.");
    EXPECT_TRUE(!is_ours || setting.origin == config::Origin::file) << setting.path;
  }
}

TEST(StorageOptions, ADatabaseOfAnotherDataSourceIsRefused) {
  const auto live = read("clickhouse: {database: marketprism_sim_hot}\n").value();
  EXPECT_THAT(
      check_database(live).error().text(),
      AllOf(HasSubstr("marketprism_sim_hot is the database of simulated data"), HasSubstr("data_source is live")));
  EXPECT_TRUE(check_database(read("").value()));
  EXPECT_TRUE(check_database(read("storage: {data_source: replay}\n").value()));
  EXPECT_TRUE(check_database(read("clickhouse: {database: mine}\n").value()));
  EXPECT_FALSE(
      check_database(read("storage: {data_source: simulated}\nclickhouse: {database: marketprism_hot}\n").value()));
}

TEST(StorageOptions, ATiersFileThatIsNotThereIsNamed) {
  const auto missing = load_configuration({}, [](const std::string&) { return std::nullopt; },
                                          {{"storage.tiers_file", "/nowhere/t.yaml", "--tiers"}});
  ASSERT_FALSE(missing);
  EXPECT_THAT(missing.error().text(), AllOf(HasSubstr("storage.tiers_file"), HasSubstr("/nowhere/t.yaml")));
}

TEST(StorageOptions, OfTiersFitTheTimeToLive) {
  EXPECT_EQ(42h, read("").value().tiers.drop_after);
  EXPECT_EQ(18h, read("clickhouse: {hot_ttl: 2d}\n").value().tiers.drop_after);
  EXPECT_THAT(read("clickhouse: {hot_ttl: 1d}\n").error().text(), HasSubstr("Raise hot_ttl"));
  EXPECT_TRUE(read("clickhouse: {hot_ttl: 1d}\ntiers: {enabled: false}\n"));
  EXPECT_THAT(read("tiers: {drop_after: 3d}\n").error().text(),
              AllOf(HasSubstr("storage.yaml:1"), HasSubstr("expire 2d after its end")));
  EXPECT_THAT(read("tiers: {drop_after: 1h}\n").error().text(), HasSubstr("settle"));
  EXPECT_TRUE(read("tiers: {drop_after: 0}\n"));
}

}  // namespace
}  // namespace mp::storage
