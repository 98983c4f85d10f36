#pragma once
// One or more SQL statements to ClickHouse, their answers passed on as they come.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "clickhouse/client.hpp"

namespace mp::operate {

struct QueryOptions {
  std::string database;                         // "": the server's own
  std::string format;                           // for statements that name none
  std::vector<clickhouse::Setting> settings{};  // param_<name> for {name:Type} in the SQL
};

// The statements one after another, in one session when there are several (so that SET, USE and temporary tables last).
// Ends with the first error: ClickHouse's with its code, or the connection's.
Result<void> run_query(clickhouse::Client& client, const std::string& sql, const QueryOptions& options,
                       const clickhouse::Client::Take& take);

// ---- pure ----

// The text's statements. One alone that brings data with it (INSERT … FORMAT) or does not read as SQL stays as it is.
// Errc::usage when there is none, only comments, and for data among several statements: where it ends cannot be told,
// as it may hold ';'.
Result<std::vector<std::string>> statements_of(const std::string& sql);
// The database that `USE name` names; nothing for any other statement.
std::optional<std::string> database_of_use(std::string_view statement);

// The database to ask when none is named: live data before simulated before played-back.
struct DatabaseChoice {
  std::string name;  // "": none of ours is there
  std::string note;  // what the user should know of the choice; "" for the usual one
};
DatabaseChoice choose_database(const std::vector<std::string>& there);

// ---- edge ----
Result<DatabaseChoice> find_database(clickhouse::Client& client);

}  // namespace mp::operate
