#include "nats/connection.hpp"

#include <nats/nats.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <random>
#include <utility>
#include <vector>

namespace mp::nats {
namespace {

template <auto destroy>
struct Destroyer {
  template <class T>
  void operator()(T* object) const {
    destroy(object);
  }
};
using OptionsHandle = std::unique_ptr<natsOptions, Destroyer<natsOptions_Destroy>>;
using MsgHandle = std::unique_ptr<natsMsg, Destroyer<natsMsg_Destroy>>;

Errc errc_of(natsStatus status) {
  switch (status) {
    case NATS_TIMEOUT: return Errc::timeout;
    case NATS_NO_SERVER:
    case NATS_NOT_YET_CONNECTED:
    case NATS_CONNECTION_CLOSED:
    case NATS_CONNECTION_DISCONNECTED:
    case NATS_STALE_CONNECTION:
    case NATS_NO_RESPONDERS:
    case NATS_INSUFFICIENT_BUFFER:  // while reconnecting: nothing is kept for later
    case NATS_IO_ERROR: return Errc::unavailable;
    case NATS_CONNECTION_AUTH_FAILED:
    case NATS_NOT_PERMITTED: return Errc::refused;
    case NATS_MAX_PAYLOAD: return Errc::out_of_range;
    case NATS_INVALID_ARG:
    case NATS_INVALID_SUBJECT:
    case NATS_ADDRESS_MISSING: return Errc::usage;
    default: return Errc::io;
  }
}

// nats.c would keep the message and send it after the reconnect, when nobody expects it any more.
Error not_connected(const std::string& subject) {
  return Error{Errc::unavailable, "publish " + subject, "not connected to NATS"};
}

// scheme://user:secret@host -> scheme://host
std::string without_credentials(std::string url) {
  const auto scheme = url.find("://");
  const auto from = scheme == std::string::npos ? 0 : scheme + 3;
  const auto at = url.find('@', from);
  if (at != std::string::npos) url.erase(from, at + 1 - from);
  return url;
}

// What nats.c's status means to our callers, with its text and that of the last error.
Error error_of(natsStatus status, std::string where) {
  const char* detail = nats_GetLastError(nullptr);
  std::string seen = natsStatus_GetText(status);
  if (detail != nullptr && *detail != '\0' && seen != detail) seen += std::string(" (") + detail + ")";
  return Error{errc_of(status), std::move(where), std::move(seen)};
}

// Copies out of nats.c.
Message copy_of(natsMsg* msg) {
  Message out;
  out.subject = natsMsg_GetSubject(msg);
  if (const char* reply = natsMsg_GetReply(msg)) out.reply = reply;
  out.payload.assign(natsMsg_GetData(msg), static_cast<std::size_t>(natsMsg_GetDataLength(msg)));
  const char** keys = nullptr;
  int count = 0;
  if (natsMsgHeader_Keys(msg, &keys, &count) == NATS_OK) {
    for (int i = 0; i < count; ++i) {
      const char* value = nullptr;
      if (natsMsgHeader_Get(msg, keys[i], &value) == NATS_OK)
        out.headers.emplace_back(keys[i], value == nullptr ? "" : value);
    }
    std::free(const_cast<char**>(keys));
  }
  return out;
}

// Copies into nats.c.
Result<MsgHandle> to_nats(const Message& message) {
  natsMsg* raw = nullptr;
  natsStatus status =
      natsMsg_Create(&raw, message.subject.c_str(), message.reply.empty() ? nullptr : message.reply.c_str(),
                     message.payload.data(), static_cast<int>(message.payload.size()));
  MsgHandle msg(raw);
  for (const Header& header : message.headers) {
    if (status == NATS_OK) status = natsMsgHeader_Set(raw, header.first.c_str(), header.second.c_str());
  }
  if (status != NATS_OK) return error_of(status, "message for " + message.subject);
  return msg;
}

}  // namespace

// What nats.c's threads may touch. It lives until nats.c has made its last call (closed), whatever
// happens to the Connection; `mutex` is held during every call to the owner, so that the destructor
// of Connection can wait for a running one and forbid later ones.
struct Shared {
  std::mutex mutex;
  bool owner_is_there = true;
  ConnectionCallbacks callbacks;
  BackoffPolicy policy;
  std::atomic<bool> closed{false};
  std::atomic<std::uint64_t> disconnects{0};
  std::mutex reason_mutex;
  std::string reason;  // why the last attempt to connect failed
  std::minstd_rand random{std::random_device{}()};
  std::mutex random_mutex;
  std::shared_ptr<Shared> self;  // reset by the last call

  template <class Callback, class... Args>
  void call(Callback ConnectionCallbacks::*which, Args&&... args) {
    const std::lock_guard lock(mutex);
    if (owner_is_there && callbacks.*which) (callbacks.*which)(std::forward<Args>(args)...);
  }
  static Shared& of(void* closure) { return *static_cast<Shared*>(closure); }

  static void on_connected(natsConnection*, void* c) { of(c).call(&ConnectionCallbacks::connected); }
  static void on_disconnected(natsConnection*, void* c) {
    ++of(c).disconnects;
    of(c).call(&ConnectionCallbacks::disconnected);
  }
  static void on_reconnected(natsConnection*, void* c) { of(c).call(&ConnectionCallbacks::reconnected); }
  static void on_error(natsConnection*, natsSubscription* subscription, natsStatus status, void* c) {
    std::string text = natsStatus_GetText(status);
    if (subscription != nullptr) text += std::string(" on ") + natsSubscription_GetSubject(subscription);
    of(c).call(&ConnectionCallbacks::error, std::move(text));
  }
  static void on_closed(natsConnection* nc, void* c) {
    const std::shared_ptr<Shared> keep = std::move(of(c).self);
    const char* reason = nullptr;
    std::string text = "closed";
    if (natsConnection_GetLastError(nc, &reason) != NATS_OK && reason != nullptr && *reason != '\0') text = reason;
    if (const std::string earlier = of_last_attempt(*keep); !earlier.empty()) text += " (" + earlier + ")";
    keep->closed = true;
    keep->call(&ConnectionCallbacks::closed, std::move(text));
  }
  static std::string of_last_attempt(Shared& shared) {
    const std::lock_guard lock(shared.reason_mutex);
    return shared.reason;
  }
  static int64_t reconnect_delay(natsConnection* nc, int attempts, void* c) {
    Shared& shared = of(c);
    const char* why = nullptr;
    if (natsConnection_GetLastError(nc, &why) != NATS_OK && why != nullptr && *why != '\0') {
      // Kept, because a server that refused twice is struck off the list and all that nats.c then says is
      // that no server is left.
      const std::lock_guard lock(shared.reason_mutex);
      shared.reason = why;
    }
    const std::lock_guard lock(shared.random_mutex);
    const double jitter = std::uniform_real_distribution<double>(0, 1)(shared.random);
    return backoff(shared.policy, attempts, jitter).count();
  }
};

// Messages that were sent. nats.c frees each on a thread of its own, which it wakes for it: a sixth of the processor
// time of a collector that publishes 5 000 a second. Given back in bundles, they wake it once for each bundle.
class SentMessages {
 public:
  void add(MsgHandle message, std::size_t bytes) {
    std::vector<MsgHandle> full;  // destroyed outside the lock
    const std::lock_guard lock(mutex_);
    messages_.push_back(std::move(message));
    bytes_ += bytes;
    if (messages_.size() < kMost && bytes_ < kMostBytes) return;
    full.swap(messages_);
    bytes_ = 0;
  }

 private:
  static constexpr std::size_t kMost = 64;
  static constexpr std::size_t kMostBytes = 1u << 20;
  std::mutex mutex_;
  std::vector<MsgHandle> messages_;
  std::size_t bytes_ = 0;
};

struct Connection::Impl {
  natsConnection* nc = nullptr;
  std::shared_ptr<Shared> shared;
  SentMessages sent;
};

namespace {

natsStatus set_credentials(natsOptions* o, const ConnectionOptions& options) {
  natsStatus s = NATS_OK;
  if (!options.user.empty()) s = natsOptions_SetUserInfo(o, options.user.c_str(), options.password.c_str());
  if (s == NATS_OK && !options.token.empty()) s = natsOptions_SetToken(o, options.token.c_str());
  if (s == NATS_OK && !options.credentials_file.empty()) {
    s = natsOptions_SetUserCredentialsFromFiles(o, options.credentials_file.c_str(), nullptr);
  }
  if (s == NATS_OK && !options.tls_ca_file.empty()) {
    s = natsOptions_LoadCATrustedCertificates(o, options.tls_ca_file.c_str());
    if (s == NATS_OK) s = natsOptions_SetSecure(o, true);
  }
  return s;
}

natsStatus set_behaviour(natsOptions* o, const ConnectionOptions& options, Shared* shared) {
  natsStatus s = natsOptions_SetName(o, options.name.c_str());
  if (s == NATS_OK) s = natsOptions_SetTimeout(o, options.connect_timeout.count());
  if (s == NATS_OK) s = natsOptions_SetPingInterval(o, options.ping_interval.count());
  if (s == NATS_OK) s = natsOptions_SetMaxPingsOut(o, 2);
  if (s == NATS_OK) s = natsOptions_SetWriteDeadline(o, options.write_deadline.count());
  if (s == NATS_OK) s = natsOptions_SetSendAsap(o, options.send_asap);
  // What is published while disconnected fails instead of being sent after the reconnect, when nobody
  // expects it any more (one byte: 0 would mean the library's 8 MB).
  if (s == NATS_OK) s = natsOptions_SetReconnectBufSize(o, 1);
  if (s == NATS_OK) s = natsOptions_SetFailRequestsOnDisconnect(o, true);
  if (s == NATS_OK) s = natsOptions_SetAllowReconnect(o, true);
  if (s == NATS_OK) s = natsOptions_SetMaxReconnect(o, -1);
  if (s == NATS_OK) s = natsOptions_SetCustomReconnectDelay(o, Shared::reconnect_delay, shared);
  if (s == NATS_OK) s = natsOptions_SetDisconnectedCB(o, Shared::on_disconnected, shared);
  if (s == NATS_OK) s = natsOptions_SetReconnectedCB(o, Shared::on_reconnected, shared);
  if (s == NATS_OK) s = natsOptions_SetErrorHandler(o, Shared::on_error, shared);
  if (s == NATS_OK) s = natsOptions_SetClosedCB(o, Shared::on_closed, shared);
  return s;
}

std::string address_text(const ConnectionOptions& options) {
  std::string text;
  for (const std::string& url : options.urls) text += (text.empty() ? "" : ", ") + without_credentials(url);
  return "NATS at " + text;
}

}  // namespace

Connection::Connection(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Result<std::unique_ptr<Connection>> Connection::open(const ConnectionOptions& options, ConnectionCallbacks callbacks) {
  if (options.urls.empty()) return Error{Errc::usage, "NATS url", "none given"};
  natsOptions* raw = nullptr;
  natsStatus status = natsOptions_Create(&raw);
  const OptionsHandle handle(raw);
  std::vector<const char*> urls;
  for (const std::string& url : options.urls) urls.push_back(url.c_str());
  auto shared = std::make_shared<Shared>();
  shared->callbacks = std::move(callbacks);
  shared->policy = options.reconnect;
  if (status == NATS_OK) status = natsOptions_SetServers(raw, urls.data(), static_cast<int>(urls.size()));
  if (status != NATS_OK) return error_of(status, address_text(options));
  status = set_credentials(raw, options);
  if (status != NATS_OK) {
    return error_of(status, options.tls_ca_file.empty() ? "NATS credentials " + options.credentials_file
                                                        : "NATS certificates " + options.tls_ca_file);
  }
  status = set_behaviour(raw, options, shared.get());
  if (status != NATS_OK) return error_of(status, address_text(options));

  auto impl = std::make_unique<Impl>();
  impl->shared = shared;
  shared->self = shared;
  // First without retrying: that is how nats.c tells why it failed; with its retries wrong credentials end as
  // "no server available".
  status = natsConnection_Connect(&impl->nc, raw);
  if (status != NATS_OK && status != NATS_CONNECTION_AUTH_FAILED && status != NATS_SSL_ERROR) {
    {
      const std::lock_guard lock(shared->reason_mutex);
      shared->reason = error_of(status, "").seen;
    }
    status = natsOptions_SetRetryOnFailedConnect(raw, true, Shared::on_connected, shared.get());
    if (status == NATS_OK) status = natsConnection_Connect(&impl->nc, raw);
  }
  if (status != NATS_OK && status != NATS_NOT_YET_CONNECTED) {
    shared->self.reset();
    return error_of(status, address_text(options));
  }
  // nats.c calls back for a connection made later only.
  if (status == NATS_OK) shared->call(&ConnectionCallbacks::connected);
  return std::unique_ptr<Connection>(new Connection(std::move(impl)));
}

Connection::~Connection() {
  {
    const std::lock_guard lock(impl_->shared->mutex);
    impl_->shared->owner_is_there = false;
  }
  natsConnection_Close(impl_->nc);
  natsConnection_Destroy(impl_->nc);
}

bool Connection::connected() const { return natsConnection_Status(impl_->nc) == NATS_CONN_STATUS_CONNECTED; }
bool Connection::closed() const { return impl_->shared->closed; }
std::uint64_t Connection::disconnects() const { return impl_->shared->disconnects; }

Result<void> Connection::wait_connected(milliseconds timeout) const {
  const auto until = std::chrono::steady_clock::now() + timeout;
  while (!connected()) {
    const char* reason = nullptr;
    natsConnection_GetLastError(impl_->nc, &reason);
    std::string why = reason == nullptr || *reason == '\0' ? "not connected yet" : reason;
    if (const std::string earlier = Shared::of_last_attempt(*impl_->shared); !earlier.empty() && earlier != why) {
      why += " (" + earlier + ")";
    }
    if (closed()) return Error{Errc::refused, "NATS", "connection closed: " + why};
    if (std::chrono::steady_clock::now() >= until) return Error{Errc::unavailable, "NATS", why};
    nats_Sleep(5);
  }
  return {};
}

std::int64_t Connection::max_payload() const { return natsConnection_GetMaxPayload(impl_->nc); }

std::string Connection::server_id() const {
  char buffer[128] = "";
  return natsConnection_GetConnectedServerId(impl_->nc, buffer, sizeof buffer) == NATS_OK ? buffer : "";
}

std::string Connection::server_url() const {
  char buffer[512] = "";
  if (natsConnection_GetConnectedUrl(impl_->nc, buffer, sizeof buffer) != NATS_OK) return "";
  return without_credentials(buffer);
}

Result<void> Connection::publish(std::string_view subject, std::string_view payload) {
  const std::string name(subject);
  if (!connected()) return not_connected(name);
  const natsStatus status =
      natsConnection_Publish(impl_->nc, name.c_str(), payload.data(), static_cast<int>(payload.size()));
  if (status != NATS_OK) return error_of(status, "publish " + name);
  return {};
}

Result<void> Connection::publish(const Message& message) {
  if (!connected()) return not_connected(message.subject);
  auto msg = to_nats(message);
  if (!msg) return msg.error();
  const natsStatus status = natsConnection_PublishMsg(impl_->nc, msg->get());
  impl_->sent.add(std::move(*msg), message.payload.size());
  if (status != NATS_OK) return error_of(status, "publish " + message.subject);
  return {};
}

Result<Message> Connection::request(std::string_view subject, std::string_view payload, milliseconds timeout) {
  return request(Message{std::string(subject), "", std::string(payload), {}}, timeout);
}

Result<Message> Connection::request(const Message& message, milliseconds timeout) {
  if (!connected()) return not_connected(message.subject);
  auto msg = to_nats(message);
  if (!msg) return msg.error();
  natsMsg* raw = nullptr;
  const natsStatus status = natsConnection_RequestMsg(&raw, impl_->nc, msg->get(), timeout.count());
  const MsgHandle answer(raw);
  if (status != NATS_OK) return error_of(status, "request " + message.subject);
  return copy_of(raw);
}

Result<void> Connection::flush(milliseconds timeout) {
  const natsStatus status = natsConnection_FlushTimeout(impl_->nc, timeout.count());
  if (status != NATS_OK) return error_of(status, "flush");
  return {};
}

std::string Connection::new_inbox() {
  natsInbox* inbox = nullptr;
  if (natsInbox_Create(&inbox) != NATS_OK) throw std::bad_alloc();
  std::string text = inbox;
  natsInbox_Destroy(inbox);
  return text;
}

// ---- subscriptions ----

struct Subscription::Impl {
  natsSubscription* sub = nullptr;
  MessageHandler handler;
  std::mutex mutex;
  std::condition_variable completed;
  bool is_complete = false;

  static void on_message(natsConnection*, natsSubscription*, natsMsg* msg, void* closure) {
    const MsgHandle handle(msg);
    static_cast<Impl*>(closure)->handler(copy_of(msg));
  }
  static void on_complete(void* closure) {
    auto& self = *static_cast<Impl*>(closure);
    const std::lock_guard lock(self.mutex);
    self.is_complete = true;
    self.completed.notify_all();
  }
};

Subscription::Subscription(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Result<std::unique_ptr<Subscription>> Subscription::open(Connection& connection, std::string_view subject,
                                                         MessageHandler handler) {
  auto impl = std::make_unique<Impl>();
  impl->handler = std::move(handler);
  const std::string name(subject);
  natsStatus status =
      natsConnection_Subscribe(&impl->sub, connection.impl_->nc, name.c_str(), Impl::on_message, impl.get());
  if (status == NATS_OK) status = natsSubscription_SetOnCompleteCB(impl->sub, Impl::on_complete, impl.get());
  if (status == NATS_OK) status = natsSubscription_SetPendingLimits(impl->sub, 500'000, 64 << 20);
  if (status != NATS_OK) {
    natsSubscription_Destroy(impl->sub);
    return error_of(status, "subscribe " + name);
  }
  return std::unique_ptr<Subscription>(new Subscription(std::move(impl)));
}

Subscription::~Subscription() {
  natsSubscription_Unsubscribe(impl_->sub);
  {
    std::unique_lock lock(impl_->mutex);
    impl_->completed.wait(lock, [this] { return impl_->is_complete; });
  }
  natsSubscription_Destroy(impl_->sub);
}

std::uint64_t Subscription::dropped() const {
  int64_t count = 0;
  natsSubscription_GetDropped(impl_->sub, &count);
  return static_cast<std::uint64_t>(count);
}

struct Inbox::Impl {
  natsSubscription* sub = nullptr;
  ~Impl() { natsSubscription_Destroy(sub); }
};

Inbox::Inbox(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Inbox::~Inbox() = default;

Result<std::unique_ptr<Inbox>> Inbox::open(Connection& connection, std::string_view subject) {
  auto impl = std::make_unique<Impl>();
  const std::string name(subject);
  natsStatus status = natsConnection_SubscribeSync(&impl->sub, connection.impl_->nc, name.c_str());
  if (status == NATS_OK) status = natsSubscription_SetPendingLimits(impl->sub, -1, -1);
  if (status != NATS_OK) return error_of(status, "subscribe " + name);
  return std::unique_ptr<Inbox>(new Inbox(std::move(impl)));
}

Result<Message> Inbox::next(milliseconds timeout) {
  natsMsg* raw = nullptr;
  const natsStatus status = natsSubscription_NextMsg(&raw, impl_->sub, timeout.count());
  const MsgHandle msg(raw);
  if (status != NATS_OK) return error_of(status, "subscription");
  return copy_of(raw);
}

// ---- the server's version, which nats.c 3.4.1 keeps to itself ----

namespace {

// host and port of "scheme://host:port"
std::pair<std::string, std::string> host_and_port(std::string url) {
  if (const auto scheme = url.find("://"); scheme != std::string::npos) url.erase(0, scheme + 3);
  const auto colon = url.rfind(':');
  if (colon == std::string::npos) return {url, "4222"};
  std::string host = url.substr(0, colon);
  if (host.size() > 1 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  return {host, url.substr(colon + 1)};
}

// The first line that a NATS server sends on a connection, before any TLS: INFO {…}
std::string greeting_of(const std::string& host, const std::string& port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), port.c_str(), &hints, &found) != 0) return "";
  const std::unique_ptr<addrinfo, Destroyer<freeaddrinfo>> list(found);
  const int fd = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return "";
  std::string text;
  pollfd wait{fd, POLLOUT, 0};
  const bool up =
      connect(fd, found->ai_addr, found->ai_addrlen) == 0 || (errno == EINPROGRESS && poll(&wait, 1, 1'000) == 1);
  while (up && text.find('\n') == std::string::npos && text.size() < 64 * 1024) {
    wait.events = POLLIN;
    char buffer[4096];
    if (poll(&wait, 1, 1'000) != 1) break;
    const ssize_t n = read(fd, buffer, sizeof buffer);
    if (n <= 0) break;
    text.append(buffer, static_cast<std::size_t>(n));
  }
  close(fd);
  return text;
}

}  // namespace

std::string Connection::server_version() const {
  const std::string url = server_url();
  if (url.empty()) return "";
  const auto [host, port] = host_and_port(url);
  const std::string text = greeting_of(host, port);
  static constexpr std::string_view kKey = "\"version\":\"";
  const auto at = text.find(kKey);
  if (at == std::string::npos) return "";
  const auto from = at + kKey.size();
  return text.substr(from, text.find('"', from) - from);
}

}  // namespace mp::nats
