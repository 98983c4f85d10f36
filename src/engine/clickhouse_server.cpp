#include "engine/clickhouse_server.hpp"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <unistd.h>

#include <array>

#include "engine/executor.hpp"

namespace mp::engine {
namespace {

constexpr std::size_t kMaxUri = 1024 * 1024;  // ClickHouse's http_max_uri_size
// Of the body of a request that failed: read away, so that the client gets to reading the error.
constexpr std::size_t kMaxDrain = 1u << 30;

std::string make_uuid() {
  std::array<unsigned char, 16> b{};
  ::RAND_bytes(b.data(), static_cast<int>(b.size()));
  b[6] = static_cast<unsigned char>((b[6] & 0x0F) | 0x40);
  b[8] = static_cast<unsigned char>((b[8] & 0x3F) | 0x80);
  std::string out;
  for (std::size_t i = 0; i < b.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) out += '-';
    out += fmt::format("{:02x}", b[i]);
  }
  return out;
}

// In a time that does not depend on where they differ (nor on their lengths: digests are compared).
bool equal_secrets(const std::string& a, const std::string& b) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> x{};
  std::array<unsigned char, SHA256_DIGEST_LENGTH> y{};
  ::SHA256(reinterpret_cast<const unsigned char*>(a.data()), a.size(), x.data());
  ::SHA256(reinterpret_cast<const unsigned char*>(b.data()), b.size(), y.data());
  return ::CRYPTO_memcmp(x.data(), y.data(), x.size()) == 0;
}

std::string host_name() {
  char name[256] = "";
  ::gethostname(name, sizeof name - 1);
  return name;
}

void read_away(net::HttpServerRequest& request) {
  std::string scrap(256 * 1024, '\0');
  for (std::size_t total = 0; total < kMaxDrain;) {
    auto n = request.body->read(scrap.data(), scrap.size());
    if (!n || *n == 0) return;
    total += *n;
  }
}

}  // namespace

ClickHouseServer::ClickHouseServer(Engine& engine, ClickHouseServerOptions options)
    : engine_(engine),
      options_(std::move(options)),
      display_name_(host_name()),
      sessions_(std::make_unique<SessionTable>([this] { return connect(); }, options_.max_sessions)) {}

ClickHouseServer::~ClickHouseServer() {
  // The HTTP threads use the sessions: they go first.
  if (http_) stop(std::chrono::milliseconds{0});
  http_.reset();
}

Result<std::unique_ptr<ClickHouseServer>> ClickHouseServer::start(Engine& engine, ClickHouseServerOptions options) {
  std::unique_ptr<ClickHouseServer> server(new ClickHouseServer(engine, std::move(options)));
  net::HttpServerOptions http{.listen = server->options_.listen,
                              .listen_option = "--http",
                              .max_connections = server->options_.max_connections,
                              .max_header_bytes = kMaxUri,
                              .io_timeout = std::chrono::minutes(5)};
  auto started = net::HttpServer::start(
      std::move(http), [raw = server.get()](net::HttpServerRequest& request, net::HttpServerResponse& response) {
        raw->handle(request, response);
      });
  if (!started) return started.error();
  server->http_ = std::move(*started);
  return server;
}

bool ClickHouseServer::stop(std::chrono::milliseconds grace) {
  if (http_->stop(grace)) return true;
  engine_.kill_all();
  return http_->stop(std::chrono::seconds(5));
}

// A browser sends what a page tells it to send, also to this machine and without a password; it names the page's site.
// Statements can write files (the engine confines file() to no folder), so pages of other sites get nothing done.
bool ClickHouseServer::is_from_another_site(const net::HttpServerRequest& request) {
  std::string_view origin = request.header("Origin");
  if (origin.empty()) return false;
  if (const auto scheme = origin.find("://"); scheme != std::string_view::npos) origin.remove_prefix(scheme + 3);
  return origin != request.header("Host");
}

void ClickHouseServer::handle(net::HttpServerRequest& request, net::HttpServerResponse& response) {
  if (is_from_another_site(request)) {
    response.send(
        403, "text/plain; charset=UTF-8",
        fmt::format("a web page of {} may not use this server (Origin is not Host)\n", request.header("Origin")));
    return;
  }
  if (request.path == "/ping" || request.path == "/replicas_status") {
    response.send(200, "text/html; charset=UTF-8", "Ok.\n");
    return;
  }
  if (request.path != "/") {
    response.send(404, "text/plain; charset=UTF-8",
                  fmt::format("There is no handle {}\n\nUse / or /ping for health checks.\nOr POST "
                              "queries to / or send them as /?query=…\n",
                              request.path));
    return;
  }
  if (request.method == "OPTIONS") {
    response.send(204, "", "");
    return;
  }
  if (request.query.empty() && (request.method == "GET" || request.method == "HEAD")) {
    response.send(200, "text/html; charset=UTF-8", "Ok.\n");
    return;
  }
  handle_query(request, response);
}

void ClickHouseServer::handle_query(net::HttpServerRequest& request, net::HttpServerResponse& response) {
  response.set_header("X-ClickHouse-Server-Display-Name", display_name_);
  response.set_header("Access-Control-Expose-Headers",
                      "X-ClickHouse-Query-Id,X-ClickHouse-Summary,X-ClickHouse-Server-Display-Name,X-ClickHouse-"
                      "Format,"
                      "X-ClickHouse-Timezone,X-ClickHouse-Exception-Code,X-ClickHouse-Exception-Tag");
  const auto query = decode_request(request);
  if (!query) return answer_error(query.error(), request, response);
  if (auto known = authenticate(query->credentials); !known) return answer_error(known.error(), request, response);
  const std::string query_id = query->query_id.empty() ? make_uuid() : query->query_id;
  response.set_header("X-ClickHouse-Query-Id", query_id);
  auto done = execute(*query, query_id, request, response);
  if (!done) answer_error(done.error(), request, response);
}

EngineResult<void> ClickHouseServer::execute(const QueryRequest& query, const std::string& query_id,
                                             net::HttpServerRequest& request, net::HttpServerResponse& response) {
  const Executor::Context context{engine_, query, query_id, request, response};
  if (query.session) {
    auto lease = sessions_->acquire(query.credentials.user, *query.session);
    if (!lease) return lease.error();
    // Held until the statement has ended, also when its client is gone: "373" means "not ended
    // yet".
    return Executor(context, lease->session()->connection, &*lease).run();
  }
  auto connection = connect();
  if (!connection) return connection.error();
  return Executor(context, *connection, nullptr).run();
}

EngineResult<void> ClickHouseServer::authenticate(const Credentials& given) const {
  const bool same_user = equal_secrets(given.user, options_.credentials.user);
  const bool same_password = equal_secrets(given.password, options_.credentials.password);
  if (same_user && same_password) return {};
  return make_error(
      Code::authentication_failed,
      fmt::format("{}: Authentication failed: password is incorrect, or there is no user with such name", given.user));
}

EngineResult<Connection> ClickHouseServer::connect() {
  auto connection = engine_.connect();
  if (!connection) return make_error(Code::cannot_execute, connection.error().text());
  return std::move(*connection);
}

void ClickHouseServer::answer_error(const EngineError& error, net::HttpServerRequest& request,
                                    net::HttpServerResponse& response) {
  const auto text = with_version(error, engine_.version());
  if (options_.on_failure) options_.on_failure(text);
  if (response.begun()) return;
  // A client that waits for "100 Continue" has not sent its body: it gets the answer instead.
  if (request.header("Expect").empty()) read_away(request);
  response.set_header("X-ClickHouse-Exception-Code", std::to_string(error.code));
  response.send(http_status(error.code), "text/plain; charset=UTF-8", text + "\n");
}

}  // namespace mp::engine
