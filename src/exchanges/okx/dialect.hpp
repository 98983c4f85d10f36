#pragma once
// How OKX is spoken to over its websockets, and what it allows there. A stream's name in here and in logs is
// "channel:INSTRUMENT" ("books:BTC-USDT-SWAP"), or "channel:KIND" where the channel is of a whole kind of instruments.
// Source: docs-v5 "WebSocket API - Overview", "Connect", "Subscribe", as of 2026-08-22; README.md.

#include "feed/subscriptions.hpp"

namespace mp::okx {

class OkxDialect final : public Dialect {
 public:
  Limits limits() const override {
    using namespace std::chrono_literals;
    return {
        // None is told but for books (kBooksPerSocket). Fewer, so that one connection's end touches fewer instruments.
        .streams_per_socket = 100,
        .streams_per_frame = 50,
        // 64 KB are allowed.
        .bytes_per_frame = 16 * 1024,
        .frame_spacing = 300ms,
        // Subscribe, unsubscribe and login requests on one connection; a few are left for what goes wrong.
        .frame_limits = {{.count = 460, .window = 1h}},
        // The venue closes a connection without pushes for 30 s; its `pong` counts as one.
        .idle_ping = 20s,
        .connecting = {{.budget = "okx connect", .units = 1, .limit = 3, .window = 1s}},
    };
  }
  // "fewer than 30 book channels per connection" is recommended.
  static constexpr std::size_t kBooksPerSocket = 25;

  void append_stream(std::string& out, std::string_view name) const override;
  std::string request(Operation operation, std::string_view streams, std::uint64_t id) const override;
};

std::string stream_name(std::string_view channel, std::string_view instrument_or_kind);

}  // namespace mp::okx
