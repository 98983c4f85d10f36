#pragma once
// Runs one decoded request on a connection of the engine and writes its answer.

#include <memory>
#include <optional>
#include <string>

#include "engine/engine.hpp"
#include "engine/query_request.hpp"
#include "engine/sessions.hpp"
#include "engine/statement.hpp"
#include "net/http_server.hpp"

namespace mp::engine {

// Settings, database and read-only mode on a connection that serves this request alone.
EngineResult<void> prepare_own_connection(Connection& connection, const QueryRequest& request);
// The same on a session's connection: laid over for this statement, taken off before one that wants
// others.
EngineResult<void> prepare_session(Session& session, const QueryRequest& request, const StatementShape& shape);

// Runs on: the connection's thread. One object for each request.
class Executor {
 public:
  struct Context {
    const Engine& engine;
    const QueryRequest& request;
    const std::string& query_id;
    net::HttpServerRequest& http;
    net::HttpServerResponse& response;
  };
  Executor(Context context, Connection& connection, SessionLease* lease);

  // An error is for the caller to answer, unless response.begun().
  EngineResult<void> run();

 private:
  EngineResult<void> read_statement();
  EngineResult<void> take_piece(std::string_view piece);
  EngineResult<void> prepare();
  EngineResult<void> begin_insert();
  EngineResult<void> finish_insert();
  EngineResult<void> run_statement();
  EngineResult<void> check_statement();
  EngineResult<void> answer_whole(std::string_view format, bool has_rows);
  EngineResult<void> answer_in_pieces(std::string_view format);
  void send_whole(std::string_view bytes, std::string_view format, const Progress& progress);
  void begin_pieces(std::string_view format, const Progress& progress);
  bool send_piece(std::string_view bytes);
  void end_pieces();
  void fail_after_begin(const EngineError& error);
  void set_headers(std::string_view format, const Progress& progress);
  void release_session();
  Coding answer_coding() const;

  Context context_;
  Connection& connection_;
  SessionLease* lease_;  // null without a session
  std::string text_;     // the statement, or its beginning
  StatementShape shape_;
  bool looked_for_insert_ = false;
  std::optional<InsertStream> insert_;
  bool insert_refused_ = false;  // the engine wants no more data
  std::unique_ptr<Compressor> compressor_;
  std::string exception_tag_;
  std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
};

}  // namespace mp::engine
