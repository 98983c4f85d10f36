#pragma once
// One request to ClickHouse's HTTP interface, decoded. Pure.

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "engine/compression.hpp"
#include "engine/engine.hpp"
#include "engine/engine_error.hpp"
#include "net/http_server.hpp"

namespace mp::engine {

struct Credentials {
  std::string user = "default";
  std::string password;
};

struct SessionRequest {
  std::string id;
  std::chrono::seconds timeout{60};
  bool must_exist = false;        // session_check=1
  bool close_afterwards = false;  // close_session=1
};

struct QueryRequest {
  bool readonly = false;  // GET and HEAD
  Credentials credentials;
  std::string query;     // of the URL
  std::string query_id;  // "" when the client gave none
  std::string database;
  std::string default_format;  // "" when the client gave none
  NameValues settings;         // every parameter that is nothing else
  NameValues parameters;       // param_<name>
  std::optional<SessionRequest> session;
  Coding body_coding = Coding::identity;
  Coding accepted_coding = Coding::identity;
  std::optional<bool> compress_answer;  // enable_http_compression
  bool wait_end_of_query = false;
  std::size_t buffer_size = 0;
};

EngineResult<QueryRequest> decode_request(const net::HttpServerRequest& request);

}  // namespace mp::engine
