#include "sinks/clickhouse/migrations.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sinks/clickhouse/schema.hpp"

namespace mp::sinks::clickhouse {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const std::vector<Migration> kThree{{1, "first", {}},
                                    {2, "two", {"ALTER TABLE marketprism_hot.t ADD COLUMN IF NOT EXISTS a UInt8"}},
                                    {3, "three", {"ALTER TABLE marketprism_hot.t ADD COLUMN IF NOT EXISTS b UInt8"}}};

std::vector<int> numbers(const std::vector<const Migration*>& all) {
  std::vector<int> out;
  for (const auto* each : all) out.push_back(each->number);
  return out;
}

TEST(Migrations, OfAnEmptyDatabaseAreOnlyRecorded) {
  const auto plan = plan_migrations(kThree, false, {});
  ASSERT_TRUE(plan);
  EXPECT_THAT(plan->run, IsEmpty());
  EXPECT_THAT(numbers(plan->record), ElementsAre(1, 2, 3));
}

TEST(Migrations, OfTablesWithoutARecordBeginAtTheFirst) {
  const auto plan = plan_migrations(kThree, true, {});
  ASSERT_TRUE(plan);
  EXPECT_THAT(numbers(plan->run), ElementsAre(2, 3));
  EXPECT_THAT(numbers(plan->record), ElementsAre(1, 2, 3));
}

TEST(Migrations, ThatAreRecordedAreNotCarriedOutAgain) {
  const auto plan = plan_migrations(kThree, true, {{1, "first"}, {2, "two"}});
  ASSERT_TRUE(plan);
  EXPECT_THAT(numbers(plan->run), ElementsAre(3));
  EXPECT_THAT(numbers(plan->record), ElementsAre(3));
  EXPECT_THAT(plan_migrations(kThree, true, {{1, "first"}, {2, "two"}, {3, "three"}})->record, IsEmpty());
}

TEST(Migrations, GoForwardOnly) {
  const auto newer = plan_migrations(kThree, true, {{1, "first"}, {4, "four"}});
  ASSERT_FALSE(newer);
  EXPECT_EQ(newer.error().code, Errc::conflict);
  EXPECT_THAT(newer.error().text(), AllOf(HasSubstr("migration 4 four"), HasSubstr("no way back")));
  EXPECT_THAT(plan_migrations(kThree, true, {{2, "other"}}).error().text(),
              HasSubstr("recorded as other, must be two"));
}

// What a migration does must be harmless when it is done again, and reach hot and cold alike.
TEST(Migrations, AreNumberedWithoutHolesAndMayBeRepeated) {
  int number = 0;
  for (const auto& migration : migrations()) {
    EXPECT_EQ(migration.number, ++number);
    for (const auto& statement : migration.statements) {
      EXPECT_THAT(statement, ::testing::AnyOf(HasSubstr("IF NOT EXISTS"), HasSubstr("IF EXISTS"), HasSubstr("MODIFY")))
          << migration.name;
      const auto [database, table] = altered_table(statement);
      EXPECT_TRUE(database == kSchemaHot || database == kSchemaCold) << statement;
      EXPECT_FALSE(table.empty()) << statement;
    }
  }
}

TEST(Migrations, TellTheTableThatTheyChange) {
  EXPECT_EQ(altered_table("ALTER TABLE a.b ADD COLUMN c UInt8"), (std::pair<std::string, std::string>{"a", "b"}));
  EXPECT_EQ(altered_table("CREATE TABLE a.b (x UInt8)"), (std::pair<std::string, std::string>{}));
}

}  // namespace
}  // namespace mp::sinks::clickhouse
