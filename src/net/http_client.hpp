#pragma once
// HTTP requests: HttpClient blocks its caller, AsyncHttp runs requests on a few threads of its own.
// Proxies: proxy.hpp says which one leads to an address, by a request's own setting or the environment.

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/result.hpp"
#include "base/time.hpp"

namespace mp::net {

struct HttpHeader {
  std::string name;
  std::string value;
};

struct HttpTimeouts {
  std::chrono::milliseconds connect{5'000};
  // The whole request. 0: none, then `low_speed` ends one that stands still.
  std::chrono::milliseconds total{30'000};
  // Less than one byte per second for this long ends the request; whole seconds, 0: never.
  std::chrono::seconds low_speed{0};
};

struct HttpRequest {
  std::string method = "GET";
  std::string url{};
  std::string proxy{};  // as proxy_for() takes it: "" the environment decides, "direct", or a proxy's address
  std::vector<HttpHeader> headers{};
  std::string body{};
  // Sent after `body`, without a copy: what they point to must live until the answer is there.
  std::vector<std::string_view> body_parts{};
  HttpTimeouts timeouts{};
  std::size_t max_response_bytes = 64u << 20;  // of the body, after decompression; a longer one is an error
  // Given, the body of an answer with status 200 goes here piece by piece as it comes (decompressed, without bound),
  // and HttpResponse::body stays empty. False ends the request with Errc::io. Runs on: the thread of request().
  std::function<bool(std::string_view)> take{};
};

struct HttpResponse {
  int status = 0;
  std::vector<HttpHeader> headers{};
  std::string body{};

  // The first header of that name, letter case aside; nothing when absent.
  std::optional<std::string_view> header(std::string_view name) const;
};

struct HttpOptions {
  std::string ca_file{};  // PEM certificates to trust instead of the system's; "" means the system's
  std::string user_agent = "marketprism";
  bool accept_compressed = true;  // the body is given decompressed
};

// The url without user, password and query: fit for logs and messages.
std::string url_without_secrets(std::string_view url);

// Percent-encodes everything but unreserved characters, for one query parameter's name or value.
std::string url_encoded(std::string_view text);

// One request at a time over kept-alive connections. Certificates and host names are always verified;
// redirects are not followed. Runs on: the caller's thread, one at a time.
class HttpClient {
 public:
  explicit HttpClient(HttpOptions options = {});
  ~HttpClient();
  HttpClient(HttpClient&&) noexcept;
  HttpClient& operator=(HttpClient&&) noexcept;

  // Sent at most once, unless it is a GET or HEAD (then libcurl may repeat it when a kept-alive connection breaks).
  // Any answer of the server, whatever its status, is a response. Otherwise an Error whose `where` says method, url
  // (without query) and proxy: Errc::unavailable (not reached), timeout, refused (TLS), out_of_range (answer too
  // long), usage (bad url), io (the connection broke; the server may have carried the request out). Any error may come
  // after `take` was given a part of the body.
  // A stop request ends a running call within about a second, with Errc::unavailable.
  Result<HttpResponse> request(const HttpRequest& request, std::stop_token stop = {});

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

struct AsyncHttpOptions {
  HttpOptions http{};
  std::size_t workers = 2;
  std::size_t max_queue = 256;  // requests that wait for a worker
};

// Runs requests on a fixed set of threads. When the queue is full a request is refused at once: the caller
// decides what to drop.
class AsyncHttp {
 public:
  // `received` is read as soon as the whole answer (or the failure) is there. Runs on: a worker thread.
  using Callback = std::function<void(Result<HttpResponse>, Instant received)>;

  explicit AsyncHttp(AsyncHttpOptions options = {});
  ~AsyncHttp();  // stop()

  // Errc::unavailable when the queue is full or after stop(); then the callback is not called.
  // Otherwise the callback is called exactly once. `body_parts` must be empty: the request outlives the caller.
  Result<void> request(HttpRequest request, Callback callback);

  // Ends running requests and calls back the waiting ones with Errc::unavailable; returns when all threads have ended.
  // Must not be called from a callback.
  void stop();

 private:
  struct Job {
    HttpRequest request;
    Callback callback;
  };
  void work(std::stop_token stop);
  std::optional<Job> next(std::stop_token stop);

  const AsyncHttpOptions options_;
  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::deque<Job> queue_;
  bool stopped_ = false;
  // Declared last: the threads end before what they use.
  std::vector<std::jthread> workers_;
};

}  // namespace mp::net
