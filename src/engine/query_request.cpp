#include "engine/query_request.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "base/base64.hpp"
#include "base/text.hpp"

namespace mp::engine {
namespace {

// Parameters of the interface itself that need no action here (or were read already).
const std::set<std::string, std::less<>> kInterfaceParameters{
    "user",           "password",      "quota_key",         "stacktrace",
    "role",           "query",         "query_id",          "database",
    "default_format", "buffer_size",   "session_id",        "session_timeout",
    "session_check",  "close_session", "wait_end_of_query", "client_protocol_version",
    "compress",       "decompress"};

constexpr int kDefaultSessionSeconds = 60;
constexpr int kMaxSessionSeconds = 3600;

class Parameters {
 public:
  explicit Parameters(std::string_view query) : all_(net::parse_query(query)) {}
  const NameValues& all() const { return all_; }
  // The first of that name.
  std::optional<std::string> find(std::string_view name) const {
    for (const auto& [key, value] : all_) {
      if (key == name) return value;
    }
    return std::nullopt;
  }
  std::string get(std::string_view name) const { return find(name).value_or(""); }
  bool flag(std::string_view name) const {
    const auto value = get(name);
    return value == "1" || value == "true";
  }

 private:
  NameValues all_;
};

EngineResult<Credentials> basic_credentials(std::string_view header) {
  constexpr std::string_view kBasic = "basic ";
  const auto scheme = header.substr(0, header.find(' '));
  std::string lower(header.substr(0, kBasic.size()));
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (lower != kBasic) {
    return make_error(Code::authentication_failed,
                      fmt::format("Invalid authentication: '{}' HTTP Authorization scheme is not supported", scheme));
  }
  std::string decoded;
  if (!decode_base64(header.substr(kBasic.size()), decoded))
    return make_error(Code::authentication_failed, "Invalid authentication: the Authorization header is not base64");
  const auto colon = std::min(decoded.find(':'), decoded.size());
  return Credentials{decoded.substr(0, colon), colon < decoded.size() ? decoded.substr(colon + 1) : ""};
}

// By headers, by basic authentication or by parameters; the real server too refuses a mixture.
EngineResult<Credentials> decode_credentials(const net::HttpServerRequest& request, const Parameters& parameters) {
  const auto user = request.header("X-ClickHouse-User");
  const auto key = request.header("X-ClickHouse-Key");
  const auto authorization = request.header("Authorization");
  const bool in_parameters = parameters.find("user") || parameters.find("password");
  if (!user.empty() || !key.empty()) {
    if (!authorization.empty() || in_parameters) {
      return make_error(Code::authentication_failed,
                        "Invalid authentication: it is not allowed to use X-ClickHouse HTTP "
                        "headers and other authentication methods simultaneously");
    }
    return Credentials{user.empty() ? "default" : std::string(user), std::string(key)};
  }
  if (!authorization.empty()) {
    if (in_parameters) {
      return make_error(Code::authentication_failed,
                        "Invalid authentication: it is not allowed to use Authorization HTTP "
                        "header and authentication via parameters simultaneously");
    }
    return basic_credentials(authorization);
  }
  return Credentials{parameters.find("user").value_or("default"), parameters.get("password")};
}

EngineResult<std::optional<SessionRequest>> decode_session(const Parameters& parameters) {
  const auto id = parameters.find("session_id");
  if (!id) return std::optional<SessionRequest>{};
  SessionRequest session{.id = *id, .timeout = std::chrono::seconds(kDefaultSessionSeconds)};
  if (const auto text = parameters.find("session_timeout")) {
    int seconds = 0;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), seconds);
    if (error != std::errc{} || end != text->data() + text->size() || seconds < 0) {
      return make_error(Code::invalid_session_timeout, fmt::format("Invalid session timeout: '{}'", *text));
    }
    if (seconds > kMaxSessionSeconds) {
      return make_error(
          Code::invalid_session_timeout,
          fmt::format("Session timeout '{}' is larger than max_session_timeout: {}", *text, kMaxSessionSeconds));
    }
    session.timeout = std::chrono::seconds(seconds);
  }
  session.must_exist = parameters.flag("session_check");
  session.close_afterwards = parameters.flag("close_session");
  return std::optional(session);
}

EngineResult<void> decode_encodings(const net::HttpServerRequest& request, const Parameters& parameters,
                                    QueryRequest& out) {
  for (const char* name : {"compress", "decompress"}) {
    if (parameters.flag(name)) {
      return make_error(Code::not_implemented,
                        fmt::format("{}=1 (ClickHouse's own compressed blocks) is not supported by this front; "
                                    "use HTTP compression "
                                    "(Content-Encoding, Accept-Encoding with enable_http_compression=1)",
                                    name));
    }
  }
  const auto encoding = request.header("Content-Encoding");
  const auto coding = coding_named(encoding);
  if (!coding) {
    return make_error(Code::not_implemented,
                      fmt::format("Content-Encoding '{}' is not supported; known are gzip, deflate, zstd and lz4",
                                  shortened(encoding)));
  }
  out.body_coding = *coding;
  out.accepted_coding = choose_coding(request.header("Accept-Encoding"));
  if (const auto flag = parameters.find("enable_http_compression"))
    out.compress_answer = *flag == "1" || *flag == "true";
  return {};
}

}  // namespace

EngineResult<QueryRequest> decode_request(const net::HttpServerRequest& request) {
  const Parameters parameters(request.query);
  QueryRequest out;
  out.readonly = request.method == "GET" || request.method == "HEAD";
  auto credentials = decode_credentials(request, parameters);
  if (!credentials) return credentials.error();
  out.credentials = *credentials;
  auto session = decode_session(parameters);
  if (!session) return session.error();
  out.session = *session;
  if (auto encodings = decode_encodings(request, parameters, out); !encodings) return encodings.error();
  if (request.header("Content-Type").substr(0, 19) == "multipart/form-data") {
    return make_error(Code::not_implemented, "external tables (multipart/form-data) are not supported by this front");
  }

  out.query = parameters.get("query");
  out.query_id = parameters.find("query_id").value_or(std::string(request.header("X-ClickHouse-Query-Id")));
  out.database = request.header("X-ClickHouse-Database");
  if (out.database.empty()) out.database = parameters.get("database");
  out.default_format = request.header("X-ClickHouse-Format");
  if (out.default_format.empty()) out.default_format = parameters.get("default_format");
  out.wait_end_of_query = parameters.flag("wait_end_of_query");
  if (const auto size = parameters.find("buffer_size")) {
    std::from_chars(size->data(), size->data() + size->size(), out.buffer_size);
  }
  constexpr std::string_view kPrefix = "param_";
  for (const auto& [name, value] : parameters.all()) {
    if (name.compare(0, kPrefix.size(), kPrefix) == 0) {
      out.parameters.emplace_back(name.substr(kPrefix.size()), value);
    } else if (!name.empty() && kInterfaceParameters.count(name) == 0) {
      out.settings.emplace_back(name, value);
    }
  }
  return out;
}

}  // namespace mp::engine
