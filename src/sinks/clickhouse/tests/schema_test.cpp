#include "sinks/clickhouse/schema.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

namespace mp::sinks::clickhouse {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

std::string schema_text() {
  std::ifstream file{std::string(MP_SOURCE_DIR) + "/services/data-storage-service/config/clickhouse_schema.sql"};
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST(SplitStatements, KnowsQuotesAndComments) {
  const auto statements =
      split_statements("SELECT 'a;b''c\\';' -- not; this\n ; /* nor; this */ SELECT `x;y`, \"z;\" ;\n;# a line;\n");
  ASSERT_TRUE(statements);
  EXPECT_THAT(*statements, ElementsAre("SELECT 'a;b''c\\';'", "SELECT `x;y`, \"z;\""));
}

TEST(SplitStatements, NamesTheLineOfWhatDoesNotEnd) {
  EXPECT_THAT(split_statements("SELECT 1;\nSELECT 'abc").error().text(),
              HasSubstr("SQL line 2: quoted text does not end"));
  EXPECT_THAT(split_statements("/* x").error().text(), HasSubstr("SQL line 1: a comment does not end"));
}

TEST(SchemaStatements, PutTheDatabaseInThePlaceOfOursButNotIntoText) {
  const auto statements = schema_statements(
      "CREATE DATABASE marketprism_hot; SELECT 'marketprism_hot', marketprism_hot.x, marketprism_hot_2",
      {"mine", "", {}});
  ASSERT_TRUE(statements);
  EXPECT_THAT(*statements, ElementsAre("CREATE DATABASE mine", "SELECT 'marketprism_hot', mine.x, marketprism_hot_2"));
}

TEST(SchemaStatements, OfSimulatedDataHaveNeitherTtlNorColdDatabase) {
  const auto statements = schema_statements(schema_text(), {"marketprism_sim_hot", "", std::nullopt});
  ASSERT_TRUE(statements);
  EXPECT_THAT(*statements, Each(Not(HasSubstr("TTL"))));
  EXPECT_THAT(*statements, Each(Not(HasSubstr("marketprism_hot"))));
  EXPECT_THAT(*statements, Each(Not(HasSubstr("marketprism_cold"))));
  const auto tables = schema_tables(*statements);
  ASSERT_TRUE(tables);
  EXPECT_EQ(13u, tables->size());
  for (const auto& statement : *statements) {
    if (!statement.starts_with("CREATE TABLE")) continue;
    EXPECT_THAT(statement, HasSubstr("fsync_after_insert = 1"));
  }
}

TEST(SchemaStatements, OfLiveDataExpireInHotDataTablesOnly) {
  const auto statements = schema_statements(schema_text(), {"hot", "cold", 5});
  ASSERT_TRUE(statements);
  int expiring = 0;
  for (const auto& statement : *statements) {
    if (statement.find("TTL toDateTime(timestamp) + INTERVAL 5 DAY DELETE SETTINGS") == std::string::npos) {
      EXPECT_THAT(statement, Not(HasSubstr("INTERVAL")));
      continue;
    }
    ++expiring;
    EXPECT_THAT(statement, ::testing::StartsWith("CREATE TABLE IF NOT EXISTS hot."));
  }
  EXPECT_EQ(9, expiring);
  EXPECT_EQ(22u, schema_tables(*statements).value().size());
}

TEST(SchemaStatements, RefuseADatabaseNameThatIsNoIdentifier) {
  for (const auto* name : {"", "a b", "x;DROP", "1a", "a-b"}) {
    const auto statements = schema_statements("SELECT 1", {name, "", {}});
    ASSERT_FALSE(statements) << name;
    EXPECT_EQ(Errc::usage, statements.error().code);
  }
}

TEST(SchemaTables, ReadColumnsKeysAndEngine) {
  const auto tables = schema_tables(
      {"CREATE TABLE IF NOT EXISTS d.t (a DateTime64(9, 'UTC') CODEC(DoubleDelta, ZSTD(1)), b Array(Tuple(p Decimal(38, 12), q UInt8)), "
       "c UInt8 ALIAS if(a > 1, 2, 3), d LowCardinality(String) DEFAULT 'x', INDEX i b TYPE minmax GRANULARITY 1) "
       "ENGINE = ReplacingMergeTree(version) PARTITION BY toDate(a) ORDER BY (a, b) TTL a + INTERVAL 1 DAY SETTINGS x = 1",
       "CREATE TABLE c.t AS d.t ENGINE = MergeTree PARTITION BY tuple() ORDER BY a"});
  ASSERT_TRUE(tables) << tables.error().text();
  ASSERT_EQ(2u, tables->size());
  const auto& t = tables->front();
  EXPECT_EQ("d", t.database);
  EXPECT_EQ("t", t.name);
  EXPECT_EQ("ReplacingMergeTree", t.engine);
  EXPECT_EQ("toDate(a)", t.partition_key);
  EXPECT_EQ("a,b", t.sorting_key);
  ASSERT_EQ(4u, t.columns.size());
  EXPECT_EQ("DateTime64(9,'UTC')", t.columns[0].type);
  EXPECT_EQ("Array(Tuple(pDecimal(38,12),qUInt8))", t.columns[1].type);
  EXPECT_EQ("ALIAS", t.columns[2].kind);
  EXPECT_EQ("LowCardinality(String)", t.columns[3].type);
  const auto& copy = tables->back();
  EXPECT_EQ("c", copy.database);
  EXPECT_EQ(4u, copy.columns.size());
  EXPECT_EQ("", copy.partition_key);
  EXPECT_EQ("a", copy.sorting_key);
}

TEST(SchemaViews, AreReadWithWhatTheySelect) {
  const auto views = schema_views({"CREATE TABLE d.t (a UInt8) ENGINE = MergeTree ORDER BY a",
                                   "CREATE OR REPLACE VIEW d.v AS SELECT a AS b FROM d.t",
                                   "CREATE VIEW IF NOT EXISTS d.w AS SELECT 1"})
                         .value();
  ASSERT_EQ(views.size(), 2u);
  EXPECT_EQ(views[0].database + "." + views[0].name, "d.v");
  EXPECT_EQ(views[0].select, "SELECT a AS b FROM d.t");
  EXPECT_EQ(views[0].statement, "CREATE OR REPLACE VIEW d.v AS SELECT a AS b FROM d.t");
  EXPECT_EQ(views[1].name, "w");
  EXPECT_FALSE(schema_views({"CREATE VIEW v AS SELECT 1"}));
}

TEST(SchemaDifferences, NameTableWhatIsAndWhatMustBe) {
  const auto wanted =
      schema_tables(
          {"CREATE TABLE d.t (a UInt8, b Decimal(38, 12)) ENGINE = MergeTree PARTITION BY toDate(a) ORDER BY (a, b)",
           "CREATE TABLE d.u (a UInt8) ENGINE = MergeTree ORDER BY a"})
          .value();
  EXPECT_THAT(schema_differences(wanted, wanted), IsEmpty());
  auto have =
      schema_tables({"CREATE TABLE d.t (b Decimal(18, 8), z String) ENGINE = Log PARTITION BY toYYYYMM(a) ORDER BY a"})
          .value();
  EXPECT_THAT(
      schema_differences(wanted, have),
      ElementsAre("d.t: the engine is Log, must be MergeTree", "d.t: PARTITION BY is toYYYYMM(a), must be toDate(a)",
                  "d.t: ORDER BY is a, must be a,b", "d.t: column a UInt8 is missing",
                  "d.t: column b is Decimal(18,8), must be Decimal(38,12)", "d.u: the table is missing"));
}

TEST(SchemaMends, AddAndChangeColumnsAsTheSchemaHasThem) {
  const auto wanted =
      schema_tables(
          {"CREATE TABLE d.t (a UInt8, b Decimal(38, 12) CODEC(ZSTD(1)), c LowCardinality(String) DEFAULT 'book') "
           "ENGINE = MergeTree ORDER BY a",
           "CREATE TABLE d.u (a UInt8) ENGINE = MergeTree ORDER BY a"})
          .value();
  const auto have = schema_tables({"CREATE TABLE d.t (a UInt8, b Decimal(18, 8)) ENGINE = Log ORDER BY a"}).value();
  const auto mends = schema_mends(wanted, have);
  ASSERT_EQ(mends.size(), 2u) << "neither engines nor missing tables";
  EXPECT_EQ(without_blanks(mends[0]), "ALTERTABLEd.tMODIFYCOLUMNbDecimal(38,12)CODEC(ZSTD(1))");
  EXPECT_TRUE(mends[1].starts_with("ALTER TABLE d.t ADD COLUMN c LowCardinality")) << mends[1];
  EXPECT_TRUE(mends[1].ends_with("DEFAULT 'book'")) << mends[1];
}

TEST(SchemaDifferences, AllowMoreColumnsAndReplicatedEngines) {
  const auto wanted = schema_tables({"CREATE TABLE d.t (a UInt8) ENGINE = MergeTree ORDER BY a"}).value();
  const auto have =
      schema_tables({"CREATE TABLE d.t (x String, a UInt8) ENGINE = ReplicatedMergeTree('/p', 'r') ORDER BY a"})
          .value();
  EXPECT_THAT(schema_differences(wanted, have), IsEmpty());
}

}  // namespace
}  // namespace mp::sinks::clickhouse
