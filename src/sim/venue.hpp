#pragma once
// What the server serves: a venue as a pure state machine. Requests and clocks in, answers and messages out.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/time.hpp"

namespace mp::sim {

using ClientId = std::uint32_t;

// The way back to the websocket clients.
struct Delivery {
  virtual ~Delivery() = default;
  // Must not call back into the venue: a client that is to be dropped is dropped later.
  virtual void send(ClientId client, std::string_view text) = 0;
  // Ends its connection with a close frame behind what was sent; later, like every dropping.
  virtual void close(ClientId client, std::string_view reason) = 0;
};

struct HttpRequest {
  std::string_view target;    // path and query, as it came
  std::string_view address;   // of the client; limits are per address
  bool has_key = false;       // an API key was sent
  bool microseconds = false;  // times in that unit were asked for
};

struct HttpAnswer {
  int status = 200;
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;
};

// What the venue asks of one websocket connection. Zero: no such rule.
struct ConnectionRules {
  Nanos ping_interval{};
  Nanos pong_timeout{};
  Nanos lifetime{};
  int incoming_per_second = 0;  // frames of the client, pings and pongs included
};

class Venue {
 public:
  virtual ~Venue() = default;

  // A client wants a websocket at this target. Nothing: there is no websocket there.
  virtual std::optional<ConnectionRules> open(ClientId client, std::string_view target) = 0;
  virtual void text(ClientId client, std::string_view frame) = 0;
  virtual void closed(ClientId client) = 0;
  // What the venue says some time before it cuts this connection by itself; "" where it says nothing.
  virtual std::string farewell(ClientId client, WallTime now) = 0;
  virtual HttpAnswer rest(const HttpRequest& request, WallTime now) = 0;

  // Does what is due up to `now`, or a bounded part of it: false when some is left.
  virtual bool advance(WallTime now) = 0;
  // When advance() next has something to do; nothing: not before a client asks for something.
  virtual std::optional<WallTime> next_due() const = 0;
  // True when nothing will ever be due again (a play-back at its end).
  virtual bool done() const = 0;
  // Last messages before the clients are let go.
  virtual void finish(WallTime now) = 0;
  // How many trades its market made, or messages a play-back played.
  virtual std::uint64_t trades() const = 0;
};

}  // namespace mp::sim
