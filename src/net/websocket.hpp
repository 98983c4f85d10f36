#pragma once
// One websocket connection, as a client: dials, verifies, reads frames, sends frames, ends once.
// It does not reconnect: who owns it decides that (feed/reconnect).
//
// Runs on: its Loop's thread, handlers too. Outlives: nothing; the handlers must stay callable until
// `closed` has been called or stop() has returned.

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "feed/session.hpp"
#include "net/loop.hpp"

namespace mp::net {

struct WebSocketOptions {
  std::string url{};        // ws:// or wss://
  std::string proxy{};      // as proxy_for() takes it: "" the environment decides, "direct", or a proxy's address
  std::string ca_file{};    // PEM; "" means the system's certificates
  bool compression = true;  // offer permessage-deflate (RFC 7692)
  std::chrono::seconds handshake_timeout{10};  // for resolving, TCP, proxy, TLS and the upgrade together
  std::size_t max_message_bytes = 64u << 20;
  std::size_t max_queued_frames = 256;  // to send; more ends the connection as peer_slow
  std::string user_agent = "marketprism";
};

class WebSocket {
 public:
  struct Handlers {
    std::function<void()> opened;
    // The frame has RawRecord::kFramePadding readable bytes behind it and lives during the call.
    std::function<void(std::string_view padded, bool is_binary, Instant received_at)> frame;
    // Called exactly once, unless stop() came first; also when opening failed. `detail` says who and what.
    std::function<void(CloseReason reason, std::string detail)> closed;
  };

  WebSocket(Loop& loop, WebSocketOptions options, Handlers handlers);
  // Ends at once, without a call of `closed`.
  ~WebSocket();
  WebSocket(const WebSocket&) = delete;
  WebSocket& operator=(const WebSocket&) = delete;

  void send(std::string text);
  // Sends a close frame, waits for the answer a short while, then `closed` is called with this reason.
  void close(CloseReason reason);

  struct Impl;

 private:
  std::shared_ptr<Impl> impl_;
};

}  // namespace mp::net
