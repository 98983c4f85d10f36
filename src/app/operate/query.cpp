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

std::string new_session() { return fmt::format("marketprism-query-{}-{:08x}", ::getpid(), std::random_device{}()); }

}  // namespace

std::vector<std::string> statements_of(const std::string& sql) {
  auto statements = sinks::clickhouse::split_statements(sql);
  if (!statements || statements->size() < 2) return {sql};
  const bool has_data = std::any_of(statements->begin(), statements->end(), [](const auto& s) { return first_word(s) == "INSERT"; });
  if (has_data) return {sql};
  return std::move(*statements);
}

Result<void> run_query(clickhouse::Client& client, const std::string& sql, const QueryOptions& options,
                       const clickhouse::Client::Take& take) {
  const auto statements = statements_of(sql);
  clickhouse::Statement statement{.sql = {}, .session = statements.size() > 1 ? new_session() : "", .settings = options.settings};
  if (!options.database.empty()) statement.settings.emplace_back("database", options.database);
  if (!options.format.empty()) statement.settings.emplace_back("default_format", options.format);
  for (const auto& text : statements) {
    statement.sql = text;
    const auto answer = client.stream(statement, take);
    if (!answer) return answer.error();
    if (!answer->ok()) return answer->error("ClickHouse at " + client.address());
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
