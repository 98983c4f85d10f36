#pragma once
// One connection to NATS. The only library that knows nats.c; its headers do not include nats.h.

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/backoff.hpp"
#include "base/result.hpp"
#include "nats/message.hpp"

namespace mp::nats {

using std::chrono::milliseconds;

struct ConnectionOptions {
  std::vector<std::string> urls{"nats://127.0.0.1:4222"};  // tls://… asks for TLS
  std::string name = "marketprism";                        // shown in the server's connection list
  std::string user = {}, password = {};                    // both, or
  std::string token = {};                                  // this, or
  std::string credentials_file = {};                       // this (a .creds file); none for an open server
  std::string tls_ca_file = {};  // certificates to trust instead of the system's; asks for TLS
  BackoffPolicy reconnect{std::chrono::milliseconds{100}, std::chrono::milliseconds{5'000}};
  milliseconds connect_timeout{2'000};  // of one attempt
  milliseconds ping_interval{5'000};    // a server that misses two pings is taken for gone
  milliseconds write_deadline{10'000};  // a write that blocks longer ends the connection
  // Every publish is written to the socket at once instead of up to a millisecond later by another thread.
  bool send_asap = true;
};

// Called on threads of nats.c, never during a call into Connection by the owner's thread: copy what is
// needed, post it to the owner and return. They must not call into the Connection and must not throw.
struct ConnectionCallbacks {
  std::function<void()> connected;     // the first time
  std::function<void()> disconnected;  // nats.c goes on trying to reconnect, for ever
  std::function<void()> reconnected;   // possibly to another server
  // For ever: closed by the owner, or the server refused the credentials twice. In the latter case
  // the owner may open a new Connection after a while (the configuration may be mended by then).
  std::function<void(std::string reason)> closed;
  std::function<void(std::string text)> error;  // e.g. a permission is missing; for the log
};

using MessageHandler = std::function<void(Message&&)>;

// Runs on: any thread; all methods may be called from several threads at once.
class Connection {
 public:
  // Tries once (connect_timeout at most for each address); when nobody is there it goes on trying for ever
  // in the background (capped back-off with jitter). Errors are those that waiting does not mend: of the
  // options (a missing credentials file, a malformed URL), and a server that refuses them (Errc::refused).
  static Result<std::unique_ptr<Connection>> open(const ConnectionOptions& options, ConnectionCallbacks callbacks = {});
  // Closes; no callback runs after it has returned.
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  bool connected() const;
  // Errc::unavailable, with the reason of the last attempt, when there is still no connection after `timeout`.
  Result<void> wait_connected(milliseconds timeout) const;
  // True once it is closed for ever.
  bool closed() const;
  // How often the connection was lost: who waits for an answer gives up when this moves.
  std::uint64_t disconnects() const;

  // The server's largest payload (headers included); 0 before the first connection.
  std::int64_t max_payload() const;
  // "2.9.10": asked of the server now (a short TCP connection of its own); "" when that failed.
  std::string server_version() const;
  std::string server_id() const;
  // The address without credentials, for messages.
  std::string server_url() const;

  // Not stored for later: while disconnected it fails with Errc::unavailable.
  Result<void> publish(std::string_view subject, std::string_view payload);
  // With reply subject and headers.
  Result<void> publish(const Message& message);
  // Errc::timeout; Errc::unavailable when nobody listens on the subject or the connection is down.
  Result<Message> request(std::string_view subject, std::string_view payload, milliseconds timeout);
  Result<Message> request(const Message& message, milliseconds timeout);
  // All published so far has reached the server.
  Result<void> flush(milliseconds timeout);

  // "_INBOX.xxxxxxxx": a subject that nobody else uses.
  static std::string new_inbox();

 private:
  friend class Subscription;
  friend class Inbox;
  struct Impl;
  explicit Connection(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// A plain subscription whose messages go to a handler, on a thread of nats.c (one per subscription,
// in order). It is renewed by itself after a reconnect; what was published in between is missed.
// Outlives: nothing; the Connection must outlive it. No handler call runs after the destructor.
class Subscription {
 public:
  static Result<std::unique_ptr<Subscription>> open(Connection& connection, std::string_view subject,
                                                    MessageHandler handler);
  ~Subscription();
  Subscription(const Subscription&) = delete;
  Subscription& operator=(const Subscription&) = delete;

  // Messages dropped because the handler was slower than the bus (64 MB or 500 000 messages are kept).
  std::uint64_t dropped() const;

 private:
  struct Impl;
  explicit Subscription(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// A plain subscription that is read by blocking calls, from one thread at a time.
class Inbox {
 public:
  static Result<std::unique_ptr<Inbox>> open(Connection& connection, std::string_view subject);
  ~Inbox();
  Inbox(const Inbox&) = delete;
  Inbox& operator=(const Inbox&) = delete;

  // Errc::timeout when nothing came; Errc::unavailable when the connection is closed.
  Result<Message> next(milliseconds timeout);

 private:
  struct Impl;
  explicit Inbox(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace mp::nats
