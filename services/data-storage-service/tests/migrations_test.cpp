// Databases as older versions made them, brought to today's schema on the real engine.
#include "sinks/clickhouse/migrations.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "clickhouse/client.hpp"
#include "data-storage-service/src/options.hpp"
#include "sinks/clickhouse/sink.hpp"
#include "tests/support/embedded_clickhouse.hpp"
#include "tests/support/nats_server.hpp"

namespace mp::storage {
namespace {

namespace fs = std::filesystem;
using sinks::clickhouse::apply_schema;
using sinks::clickhouse::migrations;
using sinks::clickhouse::schema_for;
using sinks::clickhouse::schema_statements;
using sinks::clickhouse::SchemaOptions;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Rows = std::vector<std::vector<std::string>>;

class Migrated : public ::testing::Test {
 protected:
  void SetUp() override {
    MP_NEEDS_CLICKHOUSE();
    clickhouse_ = std::make_unique<test::EmbeddedClickHouse>(std::string(MP_BINARY_DIR) + "/bin/marketprism");
    client_ = std::make_unique<clickhouse::Client>(clickhouse::ClientOptions{.url = clickhouse_->url()});
  }
  Rows rows(const std::string& sql) {
    const auto got = client_->rows({sql + " FORMAT TabSeparated"});
    if (!got) ADD_FAILURE() << sql << ": " << got.error().text();
    return got ? *got : Rows{};
  }
  void run(const std::string& sql) {
    const auto answer = client_->query({sql});
    ASSERT_TRUE(answer && answer->ok()) << sql << ": " << (answer ? answer->text : answer.error().text());
  }
  // The schema file as it was at that version.
  static std::string schema_of_version(int version) {
    return test::read_file(fs::path(MP_SOURCE_DIR) /
                           fmt::format("services/data-storage-service/tests/schemas/{:04}.sql", version));
  }
  void make_old(int version, const SchemaOptions& options) {
    const auto text = schema_of_version(version);
    ASSERT_FALSE(text.empty()) << "no schema of version " << version;
    for (const auto& sql : schema_statements(text, options).value()) run(sql);
  }
  // Everything of the schema that can be seen, with the database's name taken out.
  std::vector<std::string> shape(const std::string& hot, const std::string& cold) {
    std::vector<std::string> out;
    for (const auto& [database, name] : {std::pair{hot, "hot"}, std::pair{cold, "cold"}}) {
      for (
          const auto& row : rows(fmt::format(
              "SELECT table, position, name, type, default_kind, default_expression, compression_codec FROM system.columns WHERE database = '{}' ORDER BY table, position",
              database)))
        out.push_back(fmt::format("{} {}", name, fmt::join(row, " | ")));
      for (const auto& row : rows(fmt::format(
               "SELECT name, engine, partition_key, sorting_key FROM system.tables WHERE database = '{}' ORDER BY name",
               database)))
        out.push_back(fmt::format("{} {}", name, fmt::join(row, " | ")));
    }
    return out;
  }

  std::unique_ptr<test::EmbeddedClickHouse> clickhouse_;
  std::unique_ptr<clickhouse::Client> client_;
};

TEST_F(Migrated, FromEveryOldVersionADatabaseBecomesWhatAFreshOneIs) {
  ASSERT_TRUE(apply_schema(*client_, schema_for(built_in_schema(), {"fresh_hot", "fresh_cold", 3}).value()));
  const auto fresh = shape("fresh_hot", "fresh_cold");
  for (int version = 1; version < migrations().back().number; ++version) {
    SCOPED_TRACE(version);
    const SchemaOptions options{fmt::format("old{}_hot", version), fmt::format("old{}_cold", version), 3};
    make_old(version, options);
    const auto schema = schema_for(built_in_schema(), options).value();
    const auto done = apply_schema(*client_, schema);
    ASSERT_TRUE(done) << done.error().text();
    EXPECT_EQ(shape(options.database, options.cold_database), fresh);
    const auto recorded =
        rows(fmt::format("SELECT version, name FROM {}.schema_migrations ORDER BY version", options.database));
    ASSERT_EQ(recorded.size(), migrations().size());
    for (std::size_t i = 0; i < recorded.size(); ++i) EXPECT_EQ(recorded[i][1], migrations()[i].name);
    ASSERT_TRUE(apply_schema(*client_, schema)) << "again";
    EXPECT_EQ(rows(fmt::format("SELECT version, name FROM {}.schema_migrations", options.database)).size(),
              migrations().size())
        << "each is recorded once";
  }
}

TEST_F(Migrated, RowsAreKeptAndReadAsTheNewSchemaSays) {
  const SchemaOptions options{"rows_hot", "rows_cold", 3};
  make_old(1, options);
  run("INSERT INTO rows_hot.trades (timestamp, symbol, trade_id, price, quantity) VALUES (now64(9), 'BTC-USDT', '7', 1.5, 2)");
  ASSERT_TRUE(apply_schema(*client_, schema_for(built_in_schema(), options).value()));
  EXPECT_THAT(rows("SELECT trade_id, price, execution FROM rows_hot.trades"),
              ElementsAre(ElementsAre("7", "1.5", "book")));
  EXPECT_THAT(rows("SELECT trades FROM rows_hot.ohlcv_1m"), ElementsAre(ElementsAre("1"))) << "the views are today's";
}

TEST_F(Migrated, WithoutAColdDatabaseOnlyTheHotOneIsMigrated) {
  const SchemaOptions options{"alone_hot", "", std::nullopt};
  make_old(1, options);
  const auto done = apply_schema(*client_, schema_for(built_in_schema(), options).value());
  ASSERT_TRUE(done) << done.error().text();
  EXPECT_EQ(rows("SELECT version FROM alone_hot.schema_migrations").size(), migrations().size());
}

// Whoever is killed between a change and its record finds the change done.
TEST_F(Migrated, AChangeThatWasMadeAndNotRecordedIsNoObstacle) {
  const SchemaOptions options{"half_hot", "half_cold", 3};
  make_old(1, options);
  run("ALTER TABLE half_hot.trades ADD COLUMN execution LowCardinality(String) DEFAULT 'book' AFTER last_trade_id");
  const auto done = apply_schema(*client_, schema_for(built_in_schema(), options).value());
  ASSERT_TRUE(done) << done.error().text();
  EXPECT_EQ(
      rows("SELECT name FROM system.columns WHERE database = 'half_cold' AND table = 'trades' AND name = 'execution'")
          .size(),
      1u);
}

TEST_F(Migrated, WhatANewerVersionMadeIsRefusedAndLeftAlone) {
  const SchemaOptions options{"newer_hot", "newer_cold", 3};
  const auto schema = schema_for(built_in_schema(), options).value();
  ASSERT_TRUE(apply_schema(*client_, schema));
  run("INSERT INTO newer_hot.schema_migrations (version, name) VALUES (4711, 'from_the_future')");
  const auto refused = apply_schema(*client_, schema);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::conflict);
  EXPECT_THAT(refused.error().text(), AllOf(HasSubstr("migration 4711 from_the_future"), HasSubstr("no way back")));
}

TEST_F(Migrated, AForeignTableIsNamedWithWhatDiffers) {
  run("CREATE DATABASE foreign_hot");
  run("CREATE TABLE foreign_hot.trades (id UInt64, last_trade_id String) ENGINE = MergeTree ORDER BY id");
  const auto refused = apply_schema(*client_, schema_for(built_in_schema(), {"foreign_hot", "", std::nullopt}).value());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::conflict);
  EXPECT_THAT(refused.error().text(), HasSubstr("foreign_hot.trades: ORDER BY"));
  EXPECT_EQ(rows("SELECT name FROM system.columns WHERE database = 'foreign_hot' AND table = 'trades'").size(), 2u)
      << "not touched";
  EXPECT_EQ(rows("SELECT name FROM system.tables WHERE database = 'foreign_hot'").size(), 1u)
      << "nor others made beside it";
}

}  // namespace
}  // namespace mp::storage
