#include "sinks/clickhouse/sink.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "base/version.hpp"
#include "sinks/clickhouse/rows/table.hpp"

namespace mp::sinks::clickhouse {
namespace {

using mp::clickhouse::Answer;
using mp::clickhouse::Client;

// Seconds; no longer than ClickHouse's max_session_timeout (an hour), and than anybody wants to wait for a forgotten
// session.
constexpr const char* kSessionTimeout = "600";
constexpr int kReadOnly = 164;
constexpr int kUnknownFunction = 46;

std::uint64_t number(const std::string& text) {
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

Outcome outcome_of(const Result<Answer>& answer) {
  if (!answer) return {Verdict::unreachable, answer.error().text()};
  const auto verdict = verdict_of(answer->status, answer->code, answer->text);
  if (verdict == Verdict::ok) return {};
  return {verdict, answer->error("ClickHouse").text()};
}

std::string column_list(const Table& table) {
  std::string out;
  for (const auto& column : table.columns) {
    if (!out.empty()) out += ", ";
    out += column.name;
  }
  return out;
}

}  // namespace

// The tables of the wanted databases as they are.
Result<std::vector<SchemaTable>> read_schema(Client& client, const std::vector<SchemaTable>& wanted,
                                             std::stop_token stop) {
  std::set<std::string> databases;
  for (const auto& table : wanted) databases.insert(mp::clickhouse::sql_text(table.database));
  const auto in = fmt::format("database IN ({})", fmt::join(databases, ", "));
  const auto tables =
      client.rows({"SELECT database, name, engine, partition_key, sorting_key FROM system.tables WHERE " + in +
                   " FORMAT TabSeparated"},
                  stop);
  if (!tables) return tables.error();
  const auto columns = client.rows(
      {"SELECT database, table, name, type, default_kind FROM system.columns WHERE " + in + " FORMAT TabSeparated"},
      stop);
  if (!columns) return columns.error();
  std::vector<SchemaTable> have;
  for (const auto& row : *tables) {
    if (row.size() != 5)
      return Error{Errc::corrupt, "system.tables", "an answer with " + std::to_string(row.size()) + " columns"};
    have.push_back({row[0], row[1], row[2], normal_key(row[3]), normal_key(row[4]), {}});
  }
  for (const auto& row : *columns) {
    if (row.size() != 5)
      return Error{Errc::corrupt, "system.columns", "an answer with " + std::to_string(row.size()) + " columns"};
    const auto table =
        std::find_if(have.begin(), have.end(), [&](const auto& t) { return t.database == row[0] && t.name == row[1]; });
    if (table != have.end()) table->columns.push_back({row[2], without_blanks(row[3]), row[4]});
  }
  return have;
}

Result<std::vector<ViewDifference>> view_differences(Client& client, const std::vector<SchemaView>& wanted,
                                                     std::stop_token stop) {
  using mp::clickhouse::sql_text;
  std::vector<ViewDifference> out;
  if (wanted.empty()) return out;
  std::set<std::string> databases;
  for (const auto& view : wanted) databases.insert(sql_text(view.database));
  const auto have = client.rows(
      {fmt::format(
          "SELECT database, name, engine, as_select FROM system.tables WHERE database IN ({}) FORMAT TabSeparated",
          fmt::join(databases, ", "))},
      stop);
  if (!have) return have.error();
  for (const auto& view : wanted) {
    const auto name = view.database + "." + view.name;
    const auto there = std::ranges::find_if(
        *have, [&](const auto& row) { return row.size() == 4 && row[0] == view.database && row[1] == view.name; });
    if (there == have->end()) {
      out.push_back({view, name + ": the view is missing"});
      continue;
    }
    if ((*there)[2] != "View") {
      // To replace it would remove what is in it.
      out.push_back({view, fmt::format("{}: is of engine {}, must be a view", name, (*there)[2])});
      out.back().view.statement.clear();
      continue;
    }
    // The server keeps it in its own spelling: both as it would write them.
    const auto same =
        client.query({fmt::format("SELECT formatQuerySingleLine({}) = formatQuerySingleLine({}) FORMAT TabSeparated",
                                  sql_text(view.select), sql_text((*there)[3]))},
                     stop);
    if (!same) return same.error();
    if (same->code == kUnknownFunction) continue;
    if (!same->ok()) return same->error("comparing view " + name);
    if (same->body.starts_with("0")) out.push_back({view, name + ": the view selects something else"});
  }
  return out;
}

const std::vector<mp::clickhouse::Setting>& insert_settings() {
  // One insert makes one block (per partition): the thresholds lie above every batch, 100 000 rows or 16 MB.
  static const std::vector<mp::clickhouse::Setting> settings{
      {"async_insert", "0"},
      {"max_insert_block_size", "1048576"},
      {"min_insert_block_size_rows", "1048576"},
      {"min_insert_block_size_bytes", "268435456"},
      {"max_partitions_per_insert_block", "100"},
      {"insert_deduplicate", "0"},
      {"input_format_parallel_parsing", "0"},
      {"insert_quorum", "0"},
  };
  return settings;
}

ClickHouseSink::ClickHouseSink(SinkOptions options) : options_(std::move(options)), client_(options_.client) {
  if (options_.cold_client) cold_.emplace(*options_.cold_client);
}

mp::clickhouse::Statement ClickHouseSink::statement(std::string sql) const {
  if (session_.empty()) return {std::move(sql), "", {}};
  return {std::move(sql), session_, {{"session_timeout", kSessionTimeout}, {"session_check", "1"}}};
}

std::vector<Client*> ClickHouseSink::servers() {
  std::vector<Client*> all{&client_};
  if (cold_) all.push_back(&*cold_);
  return all;
}

Outcome ClickHouseSink::shut(const std::string& session, std::stop_token stop) {
  for (auto* server : servers()) {
    const auto answer = server->query({"SET readonly = 1", session, {{"session_timeout", kSessionTimeout}}}, stop);
    if (answer && answer->code == kReadOnly) continue;  // it is shut already
    if (auto outcome = outcome_of(answer); outcome.verdict != Verdict::ok) return outcome;
  }
  return {};
}

Outcome ClickHouseSink::begin(std::string session, std::stop_token stop) {
  for (auto* server : servers()) {
    auto outcome = outcome_of(server->query({"SELECT 1", session, {{"session_timeout", kSessionTimeout}}}, stop));
    if (outcome.verdict != Verdict::ok) return outcome;
  }
  session_ = std::move(session);
  return {};
}

Outcome ClickHouseSink::touch(std::stop_token stop) {
  for (auto* server : servers())
    if (auto outcome = outcome_of(server->query(statement("SELECT 1"), stop)); outcome.verdict != Verdict::ok)
      return outcome;
  return {};
}

std::string ClickHouseSink::insert_statement(Target target) const {
  const auto& table = table_of(target == Target::rejected ? DataType::rejected : options_.type);
  const auto& database = target == Target::cold ? options_.cold_database : options_.database;
  return fmt::format("INSERT INTO {}.{} ({}) FORMAT RowBinary", database, table.name, column_list(table));
}

Outcome ClickHouseSink::insert(const RowBatch& batch, const Piece& piece, std::stop_token stop) {
  auto insert = statement(insert_statement(piece.target));
  insert.settings.insert(insert.settings.end(), insert_settings().begin(), insert_settings().end());
  auto& client = piece.target == Target::cold && cold_ ? *cold_ : client_;
  return outcome_of(client.insert(insert, body_of(batch, piece), stop));
}

std::vector<ClickHouseSink::Place> ClickHouseSink::data_tables() {
  const auto& table = table_of(options_.type);
  std::vector<Place> places{{&client_, options_.database + "." + table.name}};
  if (table.expires && !options_.cold_database.empty())
    places.push_back({cold_ ? &*cold_ : &client_, options_.cold_database + "." + table.name});
  return places;
}

ClickHouseSink::Place ClickHouseSink::rejected_table() {
  return {&client_, options_.database + "." + table_of(DataType::rejected).name};
}

Outcome ClickHouseSink::select(const Place& place, const Content& content, const std::string& where,
                               std::vector<Content::Found>& found, std::stop_token stop) {
  const auto answer = place.client->query(
      statement(fmt::format("SELECT bus_stream, bus_sequence, bus_index, {} FROM {} WHERE {} FORMAT RowBinary",
                            fmt::join(content.names, ", "), place.table, where)),
      stop);
  auto outcome = outcome_of(answer);
  if (outcome.verdict != Verdict::ok) return outcome;
  std::string_view rest = answer->body;
  while (auto row = content.take(rest)) found.push_back(std::move(*row));
  if (!rest.empty()) return {Verdict::bad_data, "the rows of " + place.table + " are not understood"};
  return outcome;
}

ClickHouseSink::Present ClickHouseSink::read_back(RowBatch& batch, WallTime stream, std::stop_token stop) {
  const auto where = fmt::format("{} AND bus_sequence BETWEEN {} AND {}", where_stream(stream),
                                 batch.rows().front().key.sequence, batch.rows().back().key.sequence);
  const Content data{table_of(options_.type), false};
  const Content rejected{table_of(DataType::rejected), true};
  std::vector<Content::Found> data_rows, rejected_rows;
  Present present;
  for (const auto& place : data_tables())
    if (present.outcome = select(place, data, where, data_rows, stop); present.outcome.verdict != Verdict::ok)
      return present;
  if (options_.type != DataType::rejected) {
    present.outcome = select(rejected_table(), rejected, where, rejected_rows, stop);
    if (present.outcome.verdict != Verdict::ok) return present;
  }
  auto occupation = occupation_of(batch, data, rejected, std::move(data_rows), std::move(rejected_rows));
  present.keys = std::move(occupation.present);
  present.displaced = occupation.displaced.size();
  for (const auto& [number, life] : occupation.displaced) batch.move_to_stream(number, life);
  return present;
}

ClickHouseSink::Present ClickHouseSink::recognise(const RowBatch& batch, const Recognition::IsCurrent& is_current,
                                                  std::stop_token stop) {
  Present present;
  if (!batch.has_again()) return present;
  for (const auto target : {Target::hot, Target::cold, Target::rejected}) {
    const bool by_storage = target == Target::rejected;
    const auto& table = table_of(by_storage ? DataType::rejected : options_.type);
    const Content content{table, by_storage};
    Recognition rows{batch, target, content};
    if (rows.empty()) continue;
    const auto where = by_storage ? fmt::format("origin = 'storage' AND data_type = '{}'", to_string(options_.type))
                                  : rows.where(content);
    std::vector<Content::Found> found;
    // What has grown old since goes to the other table now.
    for (const auto& place : by_storage ? std::vector{rejected_table()} : data_tables())
      if (present.outcome = select(place, content, where, found, stop); present.outcome.verdict != Verdict::ok)
        return present;
    for (const auto& row : found) rows.found(row, is_current);
    present.keys.insert(present.keys.end(), rows.keys().begin(), rows.keys().end());
  }
  return present;
}

Outcome ClickHouseSink::count_at(WallTime stream, std::uint64_t sequence, std::size_t& rows, std::stop_token stop) {
  const Content content{table_of(options_.type), false};
  std::vector<Content::Found> found;
  Outcome outcome;
  for (const auto& place : data_tables()) {
    outcome =
        select(place, content, fmt::format("{} AND bus_sequence = {}", where_stream(stream), sequence), found, stop);
    if (outcome.verdict != Verdict::ok) return outcome;
  }
  rows = found.size();
  return outcome;
}

ClickHouseSink::Highest ClickHouseSink::highest_stored(WallTime stream, std::uint64_t floor, std::stop_token stop) {
  auto places = data_tables();
  if (options_.type != DataType::rejected) places.push_back(rejected_table());
  Highest highest{{}, floor};
  for (const auto& [client, table] : places) {
    const auto answer = client->query(
        statement(fmt::format("SELECT max(bus_sequence) FROM {} WHERE {} AND bus_sequence > {} FORMAT TabSeparated",
                              table, where_stream(stream), floor)),
        stop);
    highest.outcome = outcome_of(answer);
    if (highest.outcome.verdict != Verdict::ok) return highest;
    const auto rows = mp::clickhouse::parse_tab_separated(answer->body);
    if (!rows.empty()) highest.sequence = std::max(highest.sequence, number(rows.front().front()));
  }
  return highest;
}

std::optional<WallTime> ClickHouseSink::last_received(std::stop_token stop) {
  const auto& table = table_of(options_.type);
  const auto* column = options_.type == DataType::gap ? "detected_at" : "received_at";
  const auto rows =
      client_.rows(statement(fmt::format("SELECT toUnixTimestamp64Nano(max({})) FROM {}.{} FORMAT TabSeparated", column,
                                         options_.database, table.name)),
                   stop);
  if (!rows || rows->empty()) return std::nullopt;
  const auto nanos = number(rows->front().front());
  if (nanos == 0) return std::nullopt;
  return wall_from_nanos(static_cast<std::int64_t>(nanos));
}

namespace {

// The migrations that the hot database has a record of; none when it has no such table.
Result<std::vector<RecordedMigration>> recorded_migrations(Client& client, const std::string& table,
                                                           std::stop_token stop) {
  const auto rows =
      client.rows({"SELECT version, name FROM " + table + " FINAL ORDER BY version FORMAT TabSeparated"}, stop);
  if (!rows) return rows.error();
  std::vector<RecordedMigration> recorded;
  for (const auto& row : *rows)
    if (row.size() == 2) recorded.push_back({static_cast<int>(number(row[0])), row[1]});
  return recorded;
}

bool is_there(const std::vector<SchemaTable>& have, const std::string& database, const std::string& name) {
  return std::ranges::any_of(
      have, [&](const SchemaTable& table) { return table.database == database && table.name == name; });
}

// What differs already in the tables that are there, whatever the migrations `to_run` will change: columns that these
// name are left out.
std::vector<std::string> differences_before(const std::vector<SchemaTable>& wanted,
                                            const std::vector<SchemaTable>& have,
                                            const std::vector<const Migration*>& to_run) {
  std::vector<SchemaTable> there;
  for (const auto& table : wanted) {
    if (!is_there(have, table.database, table.name)) continue;
    auto& kept = there.emplace_back(table);
    for (const auto* migration : to_run)
      for (const auto& sql : migration->statements)
        if (altered_table(sql) == std::pair(table.database, table.name))
          std::erase_if(kept.columns, [&](const SchemaColumn& column) { return names_column(sql, column.name); });
  }
  return schema_differences(there, have);
}

Error not_ours(const Client& client, const std::vector<std::string>& differences) {
  return {Errc::conflict, "the tables of ClickHouse at " + client.address() + " are not those of the schema file",
          fmt::format("{}", fmt::join(differences, "; "))};
}

// One migration: of tables that are not there yet nothing has to be changed.
Result<void> run_migration(Client& client, const Migration& migration, const std::vector<SchemaTable>& have,
                           std::stop_token stop) {
  for (const auto& sql : migration.statements) {
    const auto [database, table] = altered_table(sql);
    if (!is_there(have, database, table)) continue;
    const auto answer = client.query({sql}, stop);
    if (!answer) return answer.error();
    const auto verdict = verdict_of(answer->status, answer->code, answer->text);
    if (verdict == Verdict::retry) return Error{Errc::unavailable, "ClickHouse at " + client.address(), answer->text};
    if (verdict != Verdict::ok)
      return Error{
          Errc::conflict, fmt::format("migration {} ({}) of {}.{}", migration.number, migration.name, database, table),
          answer->error("ClickHouse at " + client.address()).text() +
              "; nothing is written until it can be done: mend the table, or give the user the right to ALTER"};
  }
  return {};
}

std::string record_of(const std::string& table, const Migration& migration) {
  return fmt::format("INSERT INTO {} (version, name, software) VALUES ({}, {}, {})", table, migration.number,
                     mp::clickhouse::sql_text(migration.name),
                     mp::clickhouse::sql_text(std::string("marketprism ") + kVersion));
}

// `*first`: the first refusal that is not passing.
Result<void> carry_out(Client& client, const std::string& sql, std::optional<Error>& first, std::stop_token stop) {
  const auto answer = client.query({sql}, stop);
  if (!answer) return answer.error();
  const auto verdict = verdict_of(answer->status, answer->code, answer->text);
  if (verdict == Verdict::retry) return Error{Errc::unavailable, "ClickHouse at " + client.address(), answer->text};
  if (verdict != Verdict::ok && !first)
    first = answer->error("applying the schema to ClickHouse at " + client.address());
  return {};
}

}  // namespace

Result<Schema> schema_for(std::string_view sql, const SchemaOptions& options) {
  Schema schema;
  auto statements = schema_statements(sql, options);
  if (!statements) return statements.error();
  schema.statements = std::move(*statements);
  for (const auto& migration : migrations()) {
    Migration fitted{migration.number, migration.name, {}};
    for (const auto& each : migration.statements) {
      auto own = schema_statements(each, options);
      if (!own) return own.error();
      fitted.statements.insert(fitted.statements.end(), own->begin(), own->end());
    }
    schema.migrations.push_back(std::move(fitted));
  }
  return schema;
}

Result<void> apply_schema(Client& client, const Schema& schema, std::stop_token stop) {
  const auto wanted = schema_tables(schema.statements);
  if (!wanted) return wanted.error();
  const auto records = std::ranges::find(*wanted, kMigrationsTable, &SchemaTable::name);
  MigrationPlan plan;
  std::string table_of_records;
  std::optional<Error> refused;
  if (records != wanted->end() && !schema.migrations.empty()) {
    table_of_records = records->database + "." + records->name;
    const auto before = read_schema(client, *wanted, stop);
    if (!before) return before.error();
    std::vector<RecordedMigration> recorded;
    if (is_there(*before, records->database, records->name)) {
      auto read = recorded_migrations(client, table_of_records, stop);
      if (!read) return read.error();
      recorded = std::move(*read);
    }
    const bool has_tables = std::ranges::any_of(*before, [&](const SchemaTable& have) {
      return have.name != kMigrationsTable && is_there(*wanted, have.database, have.name);
    });
    auto planned = plan_migrations(schema.migrations, has_tables, recorded);
    if (!planned)
      return Error{planned.error().code, planned.error().where + " of ClickHouse at " + client.address(),
                   planned.error().seen};
    plan = std::move(*planned);
    // Somebody else's tables are not touched.
    if (const auto differences = differences_before(*wanted, *before, plan.run); !differences.empty())
      return not_ours(client, differences);
    for (const auto* migration : plan.run)
      if (auto done = run_migration(client, *migration, *before, stop); !done) return done;
  }
  for (const auto& sql : schema.statements)
    if (auto done = carry_out(client, sql, refused, stop); !done) return done;
  for (const auto* migration : plan.record)
    if (auto done = carry_out(client, record_of(table_of_records, *migration), refused, stop); !done) return done;
  const auto have = read_schema(client, *wanted, stop);
  if (!have) return refused ? *refused : have.error();
  const auto differences = schema_differences(*wanted, *have);
  if (differences.empty()) return {};
  auto error = not_ours(client, differences);
  if (refused) error.seen += "; " + refused->text();
  return error;
}

}  // namespace mp::sinks::clickhouse
