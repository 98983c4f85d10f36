#include "app/operate/query.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <random>

#include "sinks/clickhouse/schema.hpp"

namespace mp::operate {
namespace {

std::string first_word(std::string_view sql) {
  std::string word;
  for (const char c : sql) {
    if (std::isalpha(static_cast<unsigned char>(c)) == 0) break;
    word += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  return word;
}

// "INSERT INTO t FORMAT CSV …": a word of its own, outside texts and brackets; VALUES and SELECT bring none.
bool brings_data_in_a_format(std::string_view statement) {
  int depth = 0;
  char quote = 0;
  std::string word;
  for (std::size_t i = 0; i <= statement.size(); ++i) {
    const char c = i < statement.size() ? statement[i] : ' ';
    if (quote != 0) {
      if (c == '\\')
        ++i;
      else if (c == quote)
        quote = 0;
      continue;
    }
    if (c == '\'' || c == '"' || c == '`') quote = c;
    if (c == '(') ++depth;
    if (c == ')') --depth;
    if (std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_') {
      word += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
      continue;
    }
    if (depth == 0 && (word == "VALUES" || word == "SELECT" || word == "WITH")) return false;
    if (depth == 0 && word == "FORMAT") return true;
    word.clear();
  }
  return false;
}

std::string new_session() { return fmt::format("marketprism-query-{}-{:08x}", ::getpid(), std::random_device{}()); }

}  // namespace

Result<std::vector<std::string>> statements_of(const std::string& sql) {
  auto statements = sinks::clickhouse::split_statements(sql);
  if (!statements) return std::vector{sql};
  if (statements->empty()) return Error{Errc::usage, "SQL", "it holds no statement, only comments"};
  if (statements->size() == 1) {
    if (database_of_use(statements->front()))
      return Error{Errc::usage, "SQL",
                   "USE is for the statements after it, and there is none: name the database by --database"};
    return std::vector{sql};
  }
  for (const auto& statement : *statements) {
    if (first_word(statement) != "INSERT" || !brings_data_in_a_format(statement)) continue;
    // All of it may be one statement, whose data holds a ';'.
    if (&statement == &statements->front()) return std::vector{sql};
    return Error{
        Errc::usage, "SQL",
        "an INSERT with data in a FORMAT stands alone, since its data may hold ';': run it by itself, or write VALUES"};
  }
  return std::move(*statements);
}

std::optional<std::string> database_of_use(std::string_view statement) {
  if (first_word(statement) != "USE") return std::nullopt;
  std::string name(statement.substr(3));
  std::erase_if(name, [](char c) {
    return c == '`' || c == '"' || std::isspace(static_cast<unsigned char>(c)) != 0 || c == ';';
  });
  return name.empty() ? std::nullopt : std::optional(name);
}

Result<void> run_query(clickhouse::Client& client, const std::string& sql, const QueryOptions& options,
                       const clickhouse::Client::Take& take) {
  const auto statements = statements_of(sql);
  if (!statements) return statements.error();
  const auto session = statements->size() > 1 ? new_session() : "";
  auto database = options.database;
  for (const auto& text : *statements) {
    clickhouse::Statement statement{.sql = text, .session = session, .settings = options.settings};
    if (!database.empty()) statement.settings.emplace_back("database", database);
    if (!options.format.empty()) statement.settings.emplace_back("default_format", options.format);
    const auto answer = client.stream(statement, take);
    if (!answer) return answer.error();
    if (!answer->ok()) return answer->error("ClickHouse at " + client.address());
    // Each request names its database, which would win over the session's.
    if (auto used = database_of_use(text)) database = std::move(*used);
  }
  return {};
}

DatabaseChoice choose_database(const std::vector<std::string>& there) {
  const auto has = [&](const char* name) { return std::find(there.begin(), there.end(), name) != there.end(); };
  if (has("marketprism_hot")) return {"marketprism_hot", ""};
  for (const char* name : {"marketprism_sim_hot", "marketprism_replay_hot"}) {
    if (has(name))
      return {name, fmt::format("there is no marketprism_hot here: asking {} ({} data)", name,
                                std::string_view(name) == "marketprism_sim_hot" ? "simulated" : "played-back")};
  }
  return {};
}

Result<DatabaseChoice> find_database(clickhouse::Client& client) {
  const auto rows = client.rows({"SELECT name FROM system.databases FORMAT TabSeparated"});
  if (!rows) return rows.error();
  std::vector<std::string> names;
  for (const auto& row : *rows)
    if (!row.empty()) names.push_back(row.front());
  return choose_database(names);
}

}  // namespace mp::operate
