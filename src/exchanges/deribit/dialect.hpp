#pragma once
// How Deribit is spoken to over its websockets: JSON-RPC 2.0, many channels in one request.
// Source: docs.deribit.com "Connection management", "Rate limits" and "public/subscribe", as of March 2026; README.md.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "feed/subscriptions.hpp"

namespace mp::deribit {

// API key for channels of the interval `raw`; empty: none. Never written to a log or a journal.
struct Credentials {
  std::string client_id;
  std::string client_secret;
  bool given() const { return !client_id.empty(); }
};

class DeribitDialect final : public Dialect {
 public:
  // `logged_in`: connections log in first, and subscribe as private/subscribe, which takes raw channels too.
  explicit DeribitDialect(bool logged_in) : logged_in_(logged_in) {}

  // The venue then says "heartbeat", and asks with "test_request", at least this often.
  static constexpr std::chrono::seconds kHeartbeat{30};

  Limits limits() const override {
    using namespace std::chrono_literals;
    return {
        // No limit is documented. 32 connections are allowed for one address, REST ones included; a connection's end
        // should not touch too many instruments.
        .streams_per_socket = 500,
        .streams_per_frame = 200,
        .bytes_per_frame = 16 * 1024,
        // A subscribe request costs 3 000 credits of 30 000, and 10 000 come back a second, for all connections of an
        // account together (of an address, without login). Overdrawn: the session is terminated.
        .frame_spacing = 350ms,
        .frame_spacing_together = 350ms,
        // Nothing at all for longer than the heartbeats allow: ask once more, then give the connection up.
        .idle_ping = kHeartbeat + 10s,
    };
  }
  std::string request(Operation operation, std::string_view streams, std::uint64_t id) const override;
  std::vector<std::string> greetings(std::uint64_t& next_id) const override;
  std::string ping() const override { return test(); }

  // Answers the venue's test_request; any request would.
  static std::string test() { return R"({"jsonrpc":"2.0","id":0,"method":"public/test","params":{}})"; }
  static std::string login(const Credentials& credentials, std::uint64_t id);
  // The same request as the journal shows it.
  static std::string login_without_secret(std::uint64_t id);

 private:
  bool logged_in_;
};

// What follows from an error code: nothing means that asking again as it was will not help soon.
std::optional<std::chrono::seconds> again_after(std::int64_t code, bool logged_in);

}  // namespace mp::deribit
