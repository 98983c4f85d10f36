#pragma once
// Carries out what the batcher asks of ClickHouse, for one consumer: inserts and read-backs, all in one HTTP session,
// so that a read-back never overtakes an insert that is still running, and so that a successor can shut it:
//
// Each process that serves the consumer begins a session of its own, and every statement asks for it to exist
// (session_check). Its successor first makes the predecessor's session read-only, which waits until a running statement
// of it has ended. What the predecessor sends later, after a sleep of any length, is refused: by the read-only session,
// or because the session has ended meanwhile. Where the cold database is on a server of its own, all of this holds for
// both.

#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "clickhouse/client.hpp"
#include "model/event.hpp"
#include "sinks/clickhouse/migrations.hpp"
#include "sinks/clickhouse/row_batch.hpp"
#include "sinks/clickhouse/row_content.hpp"
#include "sinks/clickhouse/schema.hpp"
#include "sinks/clickhouse/verdict.hpp"

namespace mp::sinks::clickhouse {

struct SinkOptions {
  mp::clickhouse::ClientOptions client;
  DataType type{};
  std::string database;
  std::string cold_database;                                   // "": none
  std::optional<mp::clickhouse::ClientOptions> cold_client{};  // of the cold database; nothing: on the same server
};

struct Outcome {
  Verdict verdict = Verdict::ok;
  std::string text{};  // what was said, when it is not ok
};

// Runs on: the consumer's thread.
class ClickHouseSink {
 public:
  explicit ClickHouseSink(SinkOptions options);

  // Refuses all further inserts of that session, there or not; session_locked: one of its statements still runs.
  Outcome shut(const std::string& session, std::stop_token stop = {});
  // Begins a session; the statements that follow are carried out in it. Without one they are carried out in none.
  Outcome begin(std::string session, std::stop_token stop = {});
  // Keeps the session from ending for want of statements.
  Outcome touch(std::stop_token stop = {});

  Outcome insert(const RowBatch& batch, const Piece& piece, std::stop_token stop = {});

  // The keys of those rows of the batch that stand in the table, its cold twin or rejected_messages.
  struct Present {
    Outcome outcome;
    std::vector<RowKey> keys{};
    std::size_t displaced = 0;
  };
  // Rows whose place is taken by an event that the server has lost since get a place of their own (row_content.hpp).
  Present read_back(RowBatch& batch, WallTime stream, std::stop_token stop = {});

  // Those rows of the batch that were published again and stand in their tables under another stream, or from a message
  // of this stream that the server has lost. `is_current`: see Recognition.
  Present recognise(const RowBatch& batch, const Recognition::IsCurrent& is_current, std::stop_token stop = {});

  // How many rows of the data type's tables came from the message with this sequence.
  Outcome count_at(WallTime stream, std::uint64_t sequence, std::size_t& rows, std::stop_token stop = {});

  // The highest sequence above `floor` of which a row is stored; `floor` when there is none.
  struct Highest {
    Outcome outcome;
    std::uint64_t sequence = 0;
  };
  Highest highest_stored(WallTime stream, std::uint64_t floor, std::stop_token stop = {});

  // When the newest row of the type's table was received, whatever its stream; nothing when there is none or no answer.
  std::optional<WallTime> last_received(std::stop_token stop = {});

 private:
  std::string insert_statement(Target target) const;
  // A table, and the server that has it.
  struct Place {
    mp::clickhouse::Client* client;
    std::string table;
  };
  // All that may hold rows of this consumer, rejected ones aside.
  std::vector<Place> data_tables();
  Place rejected_table();
  // Each server that rows go to, once.
  std::vector<mp::clickhouse::Client*> servers();
  // Rows of a table with their contents; `ok` with the rows in `found`.
  Outcome select(const Place& place, const Content& content, const std::string& where,
                 std::vector<Content::Found>& found, std::stop_token stop);
  mp::clickhouse::Statement statement(std::string sql) const;

  const SinkOptions options_;
  std::string session_;
  mp::clickhouse::Client client_;
  std::optional<mp::clickhouse::Client> cold_;
};

// The schema of a pair of databases: what creates it, and what brings an older one there.
struct Schema {
  std::vector<std::string> statements;  // schema_statements()
  std::vector<Migration> migrations{};  // theirs with the same database names; none: nothing is migrated or recorded
};
// Of the schema file's text and migrations().
Result<Schema> schema_for(std::string_view sql, const SchemaOptions& options);

// Migrates what is there, creates what is missing, records it, then compares. Errc::conflict lists the differences, or
// says that a newer version has been here; Errc::unavailable: not now. A user who may not create but finds everything
// in place is fine.
Result<void> apply_schema(mp::clickhouse::Client& client, const Schema& schema, std::stop_token stop = {});

// The tables that are there, of the databases of `wanted`: for schema_differences().
Result<std::vector<SchemaTable>> read_schema(mp::clickhouse::Client& client, const std::vector<SchemaTable>& wanted,
                                             std::stop_token stop = {});

// Those of `wanted` that are missing or select something else, each with what is wrong: "db.gaps: the view is missing".
// Something else than a view in its place has an empty statement. A server that cannot format queries (before 23.10)
// tells only what is missing.
struct ViewDifference {
  SchemaView view;
  std::string text;
};
Result<std::vector<ViewDifference>> view_differences(mp::clickhouse::Client& client,
                                                     const std::vector<SchemaView>& wanted, std::stop_token stop = {});

// The settings of every insert: those whose defaults differ between versions, named.
const std::vector<mp::clickhouse::Setting>& insert_settings();

}  // namespace mp::sinks::clickhouse
