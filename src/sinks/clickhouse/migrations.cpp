#include "sinks/clickhouse/migrations.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>

namespace mp::sinks::clickhouse {

const std::vector<Migration>& migrations() {
  static const std::vector<Migration> all{
      {1, "first", {}},
      {2,
       "trades_execution",
       {"ALTER TABLE marketprism_hot.trades ADD COLUMN IF NOT EXISTS execution LowCardinality(String) DEFAULT 'book' AFTER last_trade_id",
        "ALTER TABLE marketprism_cold.trades ADD COLUMN IF NOT EXISTS execution LowCardinality(String) DEFAULT 'book' AFTER last_trade_id"}},
  };
  return all;
}

Result<MigrationPlan> plan_migrations(std::span<const Migration> known, bool has_tables,
                                      const std::vector<RecordedMigration>& recorded) {
  const auto number_of = [](const RecordedMigration& each) { return each.number; };
  for (const auto& each : recorded) {
    const auto ours = std::ranges::find(known, each.number, &Migration::number);
    if (ours == known.end())
      return Error{
          Errc::conflict, "schema_migrations",
          fmt::format(
              "the database has been changed by a newer version (migration {} {}; this one knows {}): run that version or a "
              "later one, there is no way back",
              each.number, each.name, known.empty() ? 0 : known.back().number)};
    if (ours->name != each.name)
      return Error{
          Errc::conflict, "schema_migrations",
          fmt::format("migration {} is recorded as {}, must be {}: the database is not of this program's making",
                      each.number, each.name, ours->name)};
  }
  MigrationPlan plan;
  for (const auto& migration : known) {
    if (std::ranges::find(recorded, migration.number, number_of) != recorded.end()) continue;
    // What is made anew has the newest shape.
    if (has_tables && !migration.statements.empty()) plan.run.push_back(&migration);
    plan.record.push_back(&migration);
  }
  return plan;
}

std::pair<std::string, std::string> altered_table(std::string_view statement) {
  std::istringstream words{std::string(statement)};
  std::string alter, table, name;
  words >> alter >> table >> name;
  const auto dot = name.find('.');
  if (alter != "ALTER" || table != "TABLE" || dot == std::string::npos) return {};
  return {name.substr(0, dot), name.substr(dot + 1)};
}

bool names_column(std::string_view statement, std::string_view column) {
  const auto is_of_word = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  };
  for (auto at = statement.find(column); at != std::string_view::npos; at = statement.find(column, at + 1)) {
    const auto end = at + column.size();
    const bool begins = at == 0 || !is_of_word(statement[at - 1]);
    if (begins && (end == statement.size() || !is_of_word(statement[end]))) return true;
  }
  return false;
}

}  // namespace mp::sinks::clickhouse
