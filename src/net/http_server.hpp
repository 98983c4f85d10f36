#pragma once
// A small HTTP/1.1 server: one blocking thread per connection. Made for a handful of clients and
// large bodies (the embedded ClickHouse) and for health endpoints; not for thousands of idle
// connections.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"

namespace mp::net {

struct HttpServerOptions {
  std::string listen = "127.0.0.1:0";  // host:port, [v6]:port; port 0 picks a free one
  // What the user changes to move the port; named in the message when the port is taken.
  std::string listen_option = "the listen address";
  // Full-policy: one connection more gets 503 with Retry-After and is closed.
  std::size_t max_connections = 64;
  // Request line and headers; more gets 431.
  std::size_t max_header_bytes = 64 * 1024;
  std::chrono::milliseconds idle_timeout{30'000};  // between requests of one connection
  std::chrono::milliseconds io_timeout{60'000};    // no byte moved while reading or writing one
};

struct HttpField {
  std::string name;
  std::string value;
};

// The body of the request under way, read as it arrives (chunked or with a length).
class HttpRequestBody {
 public:
  virtual ~HttpRequestBody() = default;
  // At most `size` bytes; 0 at the end. Errc::io when the client vanished, Errc::timeout when it
  // stalls.
  virtual Result<std::size_t> read(char* into, std::size_t size) = 0;
  // All that is left; Errc::out_of_range when that is more than `limit` bytes.
  Result<std::string> read_all(std::size_t limit);
};

struct HttpServerRequest {
  std::string method;  // "GET"
  std::string target;  // "/a%20b?c=d", as sent
  std::string path;    // "/a b", percent-decoded
  std::string query;   // "c=d", as sent; see parse_query()
  std::string peer;    // "127.0.0.1:40312"
  std::vector<HttpField> headers;
  HttpRequestBody* body = nullptr;  // never null in a handler

  // The first header of that name (any case), "" when there is none.
  std::string_view header(std::string_view name) const;
};

// The answer to one request: either send(), or begin() + write()… + end(). A handler that sends
// nothing answers 500. Every call returns false once the client is gone; later calls then do
// nothing.
class HttpServerResponse {
 public:
  virtual ~HttpServerResponse() = default;
  // To be called before send() or begin().
  virtual void set_header(std::string name, std::string value) = 0;
  virtual bool send(int status, std::string_view content_type, std::string_view body) = 0;
  virtual bool begin(int status, std::string_view content_type) = 0;
  virtual bool write(std::string_view bytes) = 0;
  virtual bool end() = 0;
  // Closes the connection without the end mark, so that the client knows the answer is not whole.
  virtual void abort() = 0;
  virtual bool begun() const = 0;
  // The client has closed its side (so nobody waits for this answer). Cheap: one system call.
  virtual bool client_gone() = 0;
};

// Runs on the connection's thread; several at a time. An exception answers 500 with its text.
using HttpHandler = std::function<void(HttpServerRequest&, HttpServerResponse&)>;

class HttpServer {
 public:
  // Listens and serves from now on. Errc::conflict when the port is taken, Errc::usage for an
  // address that cannot be understood, Errc::io otherwise.
  static Result<std::unique_ptr<HttpServer>> start(HttpServerOptions options, HttpHandler handler);

  virtual ~HttpServer() = default;  // stop() with no grace

  virtual std::string address() const = 0;  // "127.0.0.1:8123", with the port that was bound
  virtual std::uint16_t port() const = 0;
  virtual std::size_t connections() const = 0;
  virtual std::uint64_t refused_connections() const = 0;  // by max_connections

  // Ends listening, closes idle connections, gives requests under way `grace` to finish. Returns
  // true when all did; otherwise their sockets are cut (reads and writes fail at once) and false is
  // returned: the caller ends what its handlers wait for, then calls stop() again or destroys the
  // server, which waits for the threads.
  virtual bool stop(std::chrono::milliseconds grace) = 0;
};

// "%41+b" -> "A b" (plus is a blank where `plus_is_blank`); a broken escape stays as it is.
std::string percent_decode(std::string_view text, bool plus_is_blank);
// "a=1&b=%20" -> {{"a","1"},{"b"," "}}, in order, decoded; a name without "=" has an empty value.
std::vector<std::pair<std::string, std::string>> parse_query(std::string_view query);
// "OK" for 200; "" for a status that we have no words for.
std::string_view http_reason(int status);

}  // namespace mp::net
