#include "net/http_client.hpp"

#include <curl/curl.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <new>

#include "base/text.hpp"
#include "net/clock.hpp"
#include "net/proxy.hpp"

namespace mp::net {
namespace {

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
    return std::tolower(static_cast<unsigned char>(x)) == std::tolower(static_cast<unsigned char>(y));
  });
}

// libcurl wants this once per process, before any thread uses it; a static does both.
void init_curl_once() {
  static const CURLcode done = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (done != CURLE_OK) throw std::runtime_error(fmt::format("libcurl does not start: {}", curl_easy_strerror(done)));
}

struct HeaderList {
  curl_slist* first = nullptr;
  HeaderList() = default;
  HeaderList(const HeaderList&) = delete;
  HeaderList& operator=(const HeaderList&) = delete;
  ~HeaderList() { curl_slist_free_all(first); }
  void add(const std::string& line) {
    auto* longer = curl_slist_append(first, line.c_str());
    if (longer == nullptr) throw std::bad_alloc();
    first = longer;
  }
};

// The request body as libcurl reads it: several buffers, one after the other. It cannot be rewound once a byte
// was read: libcurl sends a request again by itself when a kept-alive connection breaks before any answer, and
// the server may have carried the first one out.
struct BodyReader {
  std::vector<std::string_view> parts;
  std::size_t part = 0;
  std::size_t offset = 0;

  explicit BodyReader(const HttpRequest& request) {
    if (!request.body.empty()) parts.push_back(request.body);
    for (auto view : request.body_parts) {
      if (!view.empty()) parts.push_back(view);
    }
  }
  curl_off_t size() const {
    curl_off_t sum = 0;
    for (auto view : parts) sum += static_cast<curl_off_t>(view.size());
    return sum;
  }
  std::size_t read(char* to, std::size_t room) {
    std::size_t given = 0;
    while (given < room && part < parts.size()) {
      const auto rest = parts[part].substr(offset);
      const auto n = std::min(rest.size(), room - given);
      std::memcpy(to + given, rest.data(), n);
      given += n;
      offset += n;
      if (offset == parts[part].size()) {
        ++part;
        offset = 0;
      }
    }
    return given;
  }
  bool untouched() const { return part == 0 && offset == 0; }
};

struct Answer {
  HttpResponse response;
  std::size_t max_bytes = 0;
  bool too_long = false;
  const std::stop_token* stop = nullptr;
  const std::function<bool(std::string_view)>* take = nullptr;  // null: the body is kept
  bool not_taken = false;
};

// "HTTP/1.1 200 OK" -> 200
int status_in(std::string_view line) {
  int status = 0;
  if (const auto blank = line.find(' '); blank != std::string_view::npos)
    std::from_chars(line.data() + blank + 1, line.data() + line.size(), status);
  return status;
}

extern "C" {
static std::size_t mp_http_read(char* to, std::size_t size, std::size_t count, void* reader) {
  return static_cast<BodyReader*>(reader)->read(to, size * count);
}
static int mp_http_seek(void* reader, curl_off_t offset, int origin) {
  const bool is_there = origin == SEEK_SET && offset == 0 && static_cast<BodyReader*>(reader)->untouched();
  return is_there ? CURL_SEEKFUNC_OK : CURL_SEEKFUNC_FAIL;
}
static std::size_t mp_http_body(char* data, std::size_t size, std::size_t count, void* to) {
  auto& answer = *static_cast<Answer*>(to);
  const std::size_t n = size * count;
  if (answer.take != nullptr && answer.response.status == 200) {
    answer.not_taken = !(*answer.take)({data, n});
    return answer.not_taken ? 0 : n;  // anything but n ends the transfer
  }
  if (answer.response.body.size() + n > answer.max_bytes) {
    answer.too_long = true;
    return 0;
  }
  answer.response.body.append(data, n);
  return n;
}
static std::size_t mp_http_header(char* data, std::size_t size, std::size_t count, void* to) {
  auto& answer = *static_cast<Answer*>(to);
  const std::size_t n = size * count;
  std::string_view line{data, n};
  if (line.starts_with("HTTP/")) {
    answer.response.headers.clear();  // an earlier answer (100 Continue, a proxy's) is not ours
    answer.response.status = status_in(line);
    return n;
  }
  const auto colon = line.find(':');
  if (colon == std::string_view::npos) return n;
  auto value = line.substr(colon + 1);
  while (!value.empty() && (value.front() == ' ' || value.front() == '\t')) value.remove_prefix(1);
  while (!value.empty() && std::isspace(static_cast<unsigned char>(value.back()))) value.remove_suffix(1);
  answer.response.headers.push_back({std::string(line.substr(0, colon)), std::string(value)});
  return n;
}
static int mp_http_progress(void* to, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return static_cast<Answer*>(to)->stop->stop_requested() ? 1 : 0;
}
}  // extern "C"

Errc errc_of(CURLcode code) {
  switch (code) {
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL: return Errc::usage;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT: return Errc::unavailable;
    case CURLE_OPERATION_TIMEDOUT: return Errc::timeout;
    case CURLE_SEND_FAIL_REWIND:  // the connection broke before an answer, and the request is not sent again
      return Errc::io;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_ISSUER_ERROR: return Errc::refused;
    default: return Errc::io;
  }
}

template <class Value>
void set(CURL* handle, CURLoption option, Value value) {
  const CURLcode code = curl_easy_setopt(handle, option, value);
  if (code != CURLE_OK)
    throw std::logic_error(fmt::format("libcurl option {}: {}", static_cast<int>(option), curl_easy_strerror(code)));
}

void set_method(CURL* handle, const HttpRequest& request, BodyReader& body) {
  if (request.method == "GET" && body.parts.empty()) {
    set(handle, CURLOPT_HTTPGET, 1L);
    return;
  }
  if (request.method == "HEAD") {
    set(handle, CURLOPT_NOBODY, 1L);
    return;
  }
  set(handle, CURLOPT_POST, 1L);
  if (request.method != "POST") set(handle, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  set(handle, CURLOPT_POSTFIELDSIZE_LARGE, body.size());
  set(handle, CURLOPT_READFUNCTION, mp_http_read);
  set(handle, CURLOPT_READDATA, static_cast<void*>(&body));
  set(handle, CURLOPT_SEEKFUNCTION, mp_http_seek);
  set(handle, CURLOPT_SEEKDATA, static_cast<void*>(&body));
  // Without a body nothing would stop libcurl from sending it again; on a new connection it does not.
  if (body.parts.empty()) set(handle, CURLOPT_FRESH_CONNECT, 1L);
}

void set_proxy(CURL* handle, const std::optional<Proxy>& proxy) {
  // Decided already: libcurl is not to look at the environment again.
  set(handle, CURLOPT_NOPROXY, "");
  if (!proxy) return set(handle, CURLOPT_PROXY, "");
  set(handle, CURLOPT_PROXY, proxy->host.c_str());
  set(handle, CURLOPT_PROXYPORT, std::strtol(proxy->port.c_str(), nullptr, 10));
  set(handle, CURLOPT_PROXYTYPE,
      static_cast<long>(proxy->kind == Proxy::Kind::http ? CURLPROXY_HTTP : CURLPROXY_SOCKS5_HOSTNAME));
  if (!proxy->has_credentials()) return;
  set(handle, CURLOPT_PROXYUSERNAME, proxy->user.c_str());
  set(handle, CURLOPT_PROXYPASSWORD, proxy->password.c_str());
}

void set_timeouts(CURL* handle, const HttpTimeouts& timeouts) {
  set(handle, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(timeouts.connect.count()));
  set(handle, CURLOPT_TIMEOUT_MS, static_cast<long>(timeouts.total.count()));
  if (timeouts.low_speed.count() > 0) {
    set(handle, CURLOPT_LOW_SPEED_LIMIT, 1L);
    set(handle, CURLOPT_LOW_SPEED_TIME, static_cast<long>(timeouts.low_speed.count()));
  }
}

}  // namespace

std::optional<std::string_view> HttpResponse::header(std::string_view name) const {
  for (const auto& h : headers) {
    if (equal_ignoring_case(h.name, name)) return h.value;
  }
  return std::nullopt;
}

std::string url_without_secrets(std::string_view url) {
  std::string out{url.substr(0, url.find_first_of("?#"))};
  const auto scheme = out.find("://");
  const auto host = scheme == std::string::npos ? 0 : scheme + 3;
  const auto authority_end = std::min(out.find('/', host), out.size());
  const auto at = out.rfind('@', authority_end);
  if (at != std::string::npos && at >= host && at < authority_end) out.erase(host, at + 1 - host);
  return out;
}

std::string url_encoded(std::string_view text) {
  static constexpr std::array<char, 17> kHex{"0123456789ABCDEF"};
  std::string out;
  out.reserve(text.size() + text.size() / 4);
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
                       byte == '-' || byte == '_' || byte == '.' || byte == '~';
    if (plain) {
      out += c;
    } else {
      out += '%';
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    }
  }
  return out;
}

struct HttpClient::Impl {
  HttpOptions options;
  CURL* handle = nullptr;
  std::array<char, CURL_ERROR_SIZE> error_text{};

  explicit Impl(HttpOptions o) : options(std::move(o)) {
    init_curl_once();
    handle = curl_easy_init();
    if (handle == nullptr) throw std::bad_alloc();
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl() { curl_easy_cleanup(handle); }

  // curl_easy_reset keeps open connections, the DNS cache and TLS sessions, and forgets every option.
  void prepare(const HttpRequest& request, const std::optional<Proxy>& proxy, BodyReader& body, HeaderList& headers,
               Answer& answer) {
    curl_easy_reset(handle);
    error_text[0] = '\0';
    set(handle, CURLOPT_ERRORBUFFER, error_text.data());
    set(handle, CURLOPT_URL, request.url.c_str());
    set(handle, CURLOPT_PROTOCOLS_STR, "http,https");
    set_proxy(handle, proxy);
    set(handle, CURLOPT_NOSIGNAL, 1L);
    set(handle, CURLOPT_TCP_NODELAY, 1L);
    set(handle, CURLOPT_USERAGENT, options.user_agent.c_str());
    if (!options.ca_file.empty()) set(handle, CURLOPT_CAINFO, options.ca_file.c_str());
    if (options.accept_compressed) set(handle, CURLOPT_ACCEPT_ENCODING, "");
    set_timeouts(handle, request.timeouts);
    set_method(handle, request, body);
    for (const auto& h : request.headers) headers.add(h.name + ": " + h.value);
    headers.add("Expect:");  // no round trip to ask whether a large body is welcome
    set(handle, CURLOPT_HTTPHEADER, headers.first);
    set(handle, CURLOPT_WRITEFUNCTION, mp_http_body);
    set(handle, CURLOPT_WRITEDATA, static_cast<void*>(&answer));
    set(handle, CURLOPT_HEADERFUNCTION, mp_http_header);
    set(handle, CURLOPT_HEADERDATA, static_cast<void*>(&answer));
    set(handle, CURLOPT_XFERINFOFUNCTION, mp_http_progress);
    set(handle, CURLOPT_XFERINFODATA, static_cast<void*>(&answer));
    set(handle, CURLOPT_NOPROGRESS, 0L);
  }

  Error error_of(CURLcode code, const HttpRequest& request, const std::optional<Proxy>& proxy,
                 const Answer& answer) const {
    const auto where = request.method + " " + url_without_secrets(request.url) +
                       (proxy ? " by proxy " + proxy->name() : std::string());
    if (answer.too_long)
      return {Errc::out_of_range, where, fmt::format("the answer is longer than {} bytes", request.max_response_bytes)};
    if (answer.not_taken) return {Errc::io, where, "the answer could not be written on; given up"};
    if (code == CURLE_ABORTED_BY_CALLBACK) return {Errc::unavailable, where, "given up: stopping"};
    if (code == CURLE_SEND_FAIL_REWIND) return {Errc::io, where, "the connection broke before an answer came"};
    const std::string detail = error_text[0] != '\0' ? error_text.data() : curl_easy_strerror(code);
    return {errc_of(code), where, detail};
  }
};

HttpClient::HttpClient(HttpOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
HttpClient::~HttpClient() = default;
HttpClient::HttpClient(HttpClient&&) noexcept = default;
HttpClient& HttpClient::operator=(HttpClient&&) noexcept = default;

Result<HttpResponse> HttpClient::request(const HttpRequest& request, std::stop_token stop) {
  // What is no address libcurl says better.
  std::optional<Proxy> proxy;
  if (const auto url = parse_url(request.url)) {
    auto found = proxy_for(*url, request.proxy, process_variables());
    if (!found)
      return Error{Errc::usage, request.method + " " + url_without_secrets(request.url), found.error().text()};
    proxy = std::move(*found);
  }
  BodyReader body{request};
  HeaderList headers;
  Answer answer;
  answer.max_bytes = request.max_response_bytes;
  answer.stop = &stop;
  if (request.take) answer.take = &request.take;
  impl_->prepare(request, proxy, body, headers, answer);
  const CURLcode code = curl_easy_perform(impl_->handle);
  if (code != CURLE_OK) return impl_->error_of(code, request, proxy, answer);
  long status = 0;
  curl_easy_getinfo(impl_->handle, CURLINFO_RESPONSE_CODE, &status);
  answer.response.status = static_cast<int>(status);
  return std::move(answer.response);
}

AsyncHttp::AsyncHttp(AsyncHttpOptions options) : options_(std::move(options)) {
  for (std::size_t i = 0; i < std::max<std::size_t>(options_.workers, 1); ++i) {
    workers_.emplace_back([this](std::stop_token stop) { work(stop); });
  }
}

AsyncHttp::~AsyncHttp() { stop(); }

Result<void> AsyncHttp::request(HttpRequest request, Callback callback) {
  const auto where = request.method + " " + url_without_secrets(request.url);
  if (!request.body_parts.empty())
    throw std::logic_error("AsyncHttp: " + where + ": body_parts would not live long enough");
  {
    const std::lock_guard lock{mutex_};
    if (stopped_) return Error{Errc::unavailable, where, "the HTTP client has been stopped"};
    if (queue_.size() >= options_.max_queue)
      return Error{Errc::unavailable, where, fmt::format("{} requests wait already", queue_.size())};
    queue_.push_back({std::move(request), std::move(callback)});
  }
  wake_.notify_one();
  return {};
}

std::optional<AsyncHttp::Job> AsyncHttp::next(std::stop_token stop) {
  std::unique_lock lock{mutex_};
  if (!wake_.wait(lock, stop, [this] { return !queue_.empty(); })) return std::nullopt;
  if (stop.stop_requested()) return std::nullopt;
  Job job = std::move(queue_.front());
  queue_.pop_front();
  return job;
}

void AsyncHttp::work(std::stop_token stop) {
  HttpClient client{options_.http};
  while (auto job = next(stop)) {
    auto result = client.request(job->request, stop);
    const Instant received = now();
    job->callback(std::move(result), received);
  }
}

void AsyncHttp::stop() {
  {
    const std::lock_guard lock{mutex_};
    if (stopped_) return;
    stopped_ = true;
  }
  for (auto& worker : workers_) worker.request_stop();
  workers_.clear();  // joins
  for (auto& job : queue_) {
    const auto where = job.request.method + " " + url_without_secrets(job.request.url);
    job.callback(Error{Errc::unavailable, where, "given up: stopping"}, now());
  }
  queue_.clear();
}

}  // namespace mp::net
