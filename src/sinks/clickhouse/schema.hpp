#pragma once
// The schema file as data: its statements fitted to a database, its tables for comparing with what is there.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace mp::sinks::clickhouse {

// The databases that the schema file names.
inline constexpr std::string_view kSchemaHot = "marketprism_hot";
inline constexpr std::string_view kSchemaCold = "marketprism_cold";

struct SchemaOptions {
  std::string database;             // takes the place of marketprism_hot
  std::string cold_database;        // takes the place of marketprism_cold; "": none, its statements are left out
  std::optional<int> ttl_days = 3;  // of the hot data tables; nothing: rows are kept
};

// The statements of an SQL text, without their semicolons and without comments. Quoted text stays as it is.
// Errc::corrupt, with the line, when a quote or a comment does not end.
Result<std::vector<std::string>> split_statements(std::string_view sql);

// The schema's statements for these databases. Errc::usage when a database name is not a plain identifier.
Result<std::vector<std::string>> schema_statements(std::string_view sql, const SchemaOptions& options);

struct SchemaColumn {
  std::string name;
  std::string type;          // without blanks: "Decimal(38,12)"
  std::string kind;          // "", "DEFAULT", "ALIAS", "MATERIALIZED"
  std::string definition{};  // as the schema file has it; "" when it was read from a server
};

struct SchemaTable {
  std::string database;
  std::string name;
  std::string engine;         // without arguments
  std::string partition_key;  // without blanks; "" when there is none
  std::string sorting_key;    // without blanks and outer parentheses
  std::vector<SchemaColumn> columns;
};

// The tables that the statements create.
Result<std::vector<SchemaTable>> schema_tables(const std::vector<std::string>& statements);

struct SchemaView {
  std::string database;
  std::string name;
  std::string select;     // behind AS
  std::string statement;  // that makes it, in the place of one that is there
};

// The views that the statements create.
Result<std::vector<SchemaView>> schema_views(const std::vector<std::string>& statements);

// What makes `have` unfit for us, one line each, naming table, what is there and what must be; empty when it fits.
// Columns that we do not know are allowed. A replicated form of the engine counts as the engine.
std::vector<std::string> schema_differences(const std::vector<SchemaTable>& wanted,
                                            const std::vector<SchemaTable>& have);

// Statements that mend the differences that a statement can mend: columns that are missing or of another type. What is
// left (missing tables, engines, keys) needs new tables.
std::vector<std::string> schema_mends(const std::vector<SchemaTable>& wanted, const std::vector<SchemaTable>& have);

// The form in which types and keys are compared.
std::string without_blanks(std::string_view text);
std::string normal_key(std::string_view key);

}  // namespace mp::sinks::clickhouse
