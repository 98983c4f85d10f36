#pragma once
// ClickHouse's HTTP interface in front of the embedded engine.

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "base/result.hpp"
#include "engine/engine.hpp"
#include "engine/query_request.hpp"
#include "engine/sessions.hpp"
#include "net/http_server.hpp"

namespace mp::engine {

struct ClickHouseServerOptions {
  std::string listen = "127.0.0.1:8123";
  Credentials credentials{};  // the one user there is
  std::size_t max_connections = 128;
  std::size_t max_sessions = 128;
  // A failed statement, told in one line; may be empty. Runs on: the threads of connections.
  std::function<void(const std::string&)> on_failure{};
};

// Outlived by: the Engine.
class ClickHouseServer {
 public:
  static Result<std::unique_ptr<ClickHouseServer>> start(Engine& engine, ClickHouseServerOptions options);
  ~ClickHouseServer();

  std::string address() const { return http_->address(); }
  std::uint16_t port() const { return http_->port(); }
  // Ends listening, lets statements finish for `grace`, then asks the engine to end them. False
  // when one still runs after that: the process cannot be taken down in order.
  bool stop(std::chrono::milliseconds grace);

 private:
  ClickHouseServer(Engine& engine, ClickHouseServerOptions options);
  static bool is_from_another_site(const net::HttpServerRequest& request);
  void handle(net::HttpServerRequest& request, net::HttpServerResponse& response);
  void handle_query(net::HttpServerRequest& request, net::HttpServerResponse& response);
  EngineResult<void> execute(const QueryRequest& query, const std::string& query_id, net::HttpServerRequest& request,
                             net::HttpServerResponse& response);
  EngineResult<void> authenticate(const Credentials& given) const;
  EngineResult<Connection> connect();
  void answer_error(const EngineError& error, net::HttpServerRequest& request, net::HttpServerResponse& response);

  Engine& engine_;
  ClickHouseServerOptions options_;
  std::string display_name_;
  std::unique_ptr<SessionTable> sessions_;
  // Declared last: its threads end before what they use.
  std::unique_ptr<net::HttpServer> http_;
};

}  // namespace mp::engine
