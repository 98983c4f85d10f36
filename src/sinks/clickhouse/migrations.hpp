#pragma once
// From the tables as an older version made them to those of the schema file: numbered changes, forward only, each
// carried out once and recorded in schema_migrations. The schema file stays the one source: a database that is made
// anew begins at the newest number, and a test compares one that was migrated from every older version with it.
//
// To change the schema: change the file, append a Migration with the next number, and put the file as it was before
// into services/data-storage-service/tests/schemas/<number before>.sql.

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace mp::sinks::clickhouse {

inline constexpr std::string_view kMigrationsTable = "schema_migrations";

struct Migration {
  int number = 0;
  std::string name;
  // With the database names of the schema file. Each can be carried out again without harm: whoever dies between it and
  // its record does so.
  std::vector<std::string> statements;
};

// All of them, from 1: the first state that was recorded, without statements.
const std::vector<Migration>& migrations();

struct RecordedMigration {
  int number = 0;
  std::string name;
};

// What is to be carried out, and what is only to be recorded, in order.
struct MigrationPlan {
  std::vector<const Migration*> run;
  std::vector<const Migration*> record;
};

// `has_tables`: there are tables of ours. Without a record they are of version 1, which had none.
// Errc::conflict when the database is newer than this program, or has another history.
Result<MigrationPlan> plan_migrations(std::span<const Migration> known, bool has_tables,
                                      const std::vector<RecordedMigration>& recorded);

// "ALTER TABLE a.b …" -> {"a", "b"}; empty for anything else.
std::pair<std::string, std::string> altered_table(std::string_view statement);
// Whether a statement names this column.
bool names_column(std::string_view statement, std::string_view column);

}  // namespace mp::sinks::clickhouse
