// marketprism query: SQL to ClickHouse, as a table in a terminal.
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>

#include "app/commands.hpp"
#include "app/operate/query.hpp"
#include "app/operate/terminal.hpp"
#include "app/target_cli.hpp"

namespace mp::app {
namespace {

const std::string kDescription =
    "Asks ClickHouse: a table in a terminal, tab-separated lines elsewhere, any of ClickHouse's formats by --format or FORMAT\n"
    "in the SQL. The database is the one named, else that of a `marketprism up` in ./data, else marketprism_hot, or\n"
    "marketprism_sim_hot or marketprism_replay_hot where only that is there (which is then said).";

const std::string kExamples =
    "  marketprism query 'SELECT exchange, symbol, count() FROM trades GROUP BY ALL ORDER BY 3 DESC'\n"
    "  marketprism query 'SELECT * FROM gaps' --format Vertical\n"
    "  marketprism query --sim 'SELECT * FROM ohlcv_1m ORDER BY minute DESC LIMIT 10' --format CSVWithNames > bars.csv\n"
    "  marketprism query --file report.sql                  several statements, one session\n"
    "  echo 'SELECT count() FROM trades' | marketprism query\n"
    "  marketprism query 'SELECT * FROM trades WHERE symbol = {s:String} LIMIT 5' --param s=BTC-USDT\n"
    "  marketprism query --setting max_threads=1 'SELECT max(timestamp) FROM trades'\n";

struct Options {
  TargetOptions target;
  std::string sql;
  std::string file;
  std::string format;
  std::vector<std::string> parameters;
  std::vector<std::string> settings;
  std::string timeout = "0";
};

Error usage(const std::string& where, const std::string& what) { return {Errc::usage, where, what}; }

Result<std::string> read_all(std::istream& in, const std::string& name) {
  std::string text{std::istreambuf_iterator<char>(in), {}};
  if (in.bad()) return Error{Errc::io, name, std::strerror(errno)};
  return text;
}

Result<std::string> sql_of(const Options& o) {
  if (!o.sql.empty() && !o.file.empty()) return usage("--file", "and SQL on the command line: one of them");
  if (!o.sql.empty() && o.sql != "-") return o.sql;
  if (o.file.empty() || o.file == "-") {
    if (::isatty(STDIN_FILENO) != 0 && o.file.empty() && o.sql.empty())
      return usage("SQL", "none given: as an argument, by --file FILE or on standard input");
    return read_all(std::cin, "standard input");
  }
  std::ifstream in(o.file);
  if (!in) return usage("--file", o.file + ": " + std::strerror(errno));
  return read_all(in, o.file);
}

Result<void> add_pairs(const std::vector<std::string>& pairs, const char* option, const std::string& prefix,
                       std::vector<clickhouse::Setting>& to) {
  for (const auto& pair : pairs) {
    const auto equals = pair.find('=');
    if (equals == std::string::npos || equals == 0) return usage(option, fmt::format("NAME=VALUE, saw '{}'", pair));
    to.emplace_back(prefix + pair.substr(0, equals), pair.substr(equals + 1));
  }
  return {};
}

struct Plan {
  operate::Target target;
  std::string sql;
  operate::QueryOptions query;
};

Result<Plan> understand(const Options& o) {
  Plan plan;
  auto target = understand_target(o.target);
  if (!target) return target.error();
  plan.target = std::move(*target);
  const auto timeout = parse_duration(o.timeout);
  if (!timeout) return usage("--timeout", fmt::format("a time like 30s or 5m, or 0 for none; saw '{}'", o.timeout));
  plan.target.storage.clickhouse.query_timeout = std::chrono::duration_cast<std::chrono::milliseconds>(*timeout);
  auto sql = sql_of(o);
  if (!sql) return sql.error();
  plan.sql = std::move(*sql);
  if (plan.sql.find_first_not_of(" \t\r\n;") == std::string::npos) return usage("SQL", "it is empty");
  auto& query = plan.query;
  if (auto ok = add_pairs(o.parameters, "--param", "param_", query.settings); !ok) return ok.error();
  const auto screen = operate::screen_of(STDOUT_FILENO);
  query.format = !o.format.empty() ? o.format : screen.is_terminal ? "PrettyCompact" : "TabSeparated";
  if (query.format.starts_with("Pretty"))
    query.settings.emplace_back("output_format_pretty_color", screen.has_colours ? "1" : "0");
  // After ours, so that the user's win.
  if (auto ok = add_pairs(o.settings, "--setting", "", query.settings); !ok) return ok.error();
  return plan;
}

Result<void> run(Plan& plan) {
  clickhouse::Client client(plan.target.storage.clickhouse);
  plan.query.database = plan.target.storage.database;
  if (!plan.target.database_is_named) {
    const auto found = operate::find_database(client);
    if (!found) return found.error();
    plan.query.database = found->name;
    if (!found->note.empty()) fmt::print(stderr, "marketprism query: {}\n", found->note);
  }
  auto done = operate::run_query(client, plan.sql, plan.query, [](std::string_view bytes) {
    return std::fwrite(bytes.data(), 1, bytes.size(), stdout) == bytes.size();
  });
  if (std::fflush(stdout) != 0 && done) return Error{Errc::io, "standard output", std::strerror(errno)};
  return done;
}

}  // namespace

int run_query(int argc, char** argv) {
  Options o;
  auto cli = make_cli("query", kDescription, kExamples);
  cli->add_option("SQL", o.sql, "the statement; - or none: from standard input");
  cli->add_option("--file", o.file, "read the SQL from this file; several statements are run in order");
  cli->add_option(
      "--format", o.format,
      "any of ClickHouse's formats: Vertical, CSVWithNames, JSONEachRow, Parquet, … FORMAT in the SQL wins");
  // One value each: what follows is the SQL.
  cli->add_option("--param", o.parameters, "NAME=VALUE for {NAME:Type} in the SQL; repeatable")
      ->allow_extra_args(false);
  cli->add_option("--setting", o.settings, "NAME=VALUE: one of ClickHouse's settings; repeatable")
      ->allow_extra_args(false);
  cli->add_option("--timeout", o.timeout, "give up after this time, e.g. 30s; 0: never");
  add_clickhouse_options(*cli, o.target);
  if (const auto status = parse_cli(*cli, argc, argv)) return *status;
  auto plan = understand(o);
  if (!plan) {
    fail("query", plan.error().text());
    return plan.error().code == Errc::usage ? 2 : 1;
  }
  const auto done = run(*plan);
  if (done) return 0;
  fail("query", done.error().text());
  return done.error().code == Errc::usage ? 2 : 1;
}

}  // namespace mp::app
