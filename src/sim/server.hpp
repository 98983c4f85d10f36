#pragma once
// One listening port that serves a Venue over HTTP and websockets, plain or TLS, on the calling thread.

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/result.hpp"
#include "sim/venue.hpp"

namespace mp::sim {

struct ServerOptions {
  std::string address = "127.0.0.1";
  std::uint16_t port = 9443;  // 0: any free one
  bool tls = false;
  std::string certificate;  // PEM files, with tls
  std::string key;
  std::size_t queue_bytes = 16 << 20;     // unsent, per client; a slower reader is disconnected
  int send_buffer = 0;                    // the kernel's share of that, per client; 0: as the system has it
  bool handle_signals = false;            // SIGINT and SIGTERM stop it
  std::chrono::milliseconds drain{5000};  // how long clients may take to read what is queued at the end
};

struct ServerCounters {
  std::uint64_t messages = 0;         // sent to websocket clients, one for each client
  std::uint64_t bytes = 0;            // of their payloads
  std::uint64_t clients = 0;          // websockets accepted
  std::uint64_t requests = 0;         // REST
  std::uint64_t dropped_slow = 0;     // queue full
  std::uint64_t dropped_silent = 0;   // no pong in time
  std::uint64_t dropped_talking = 0;  // too many frames a second
  std::uint64_t expired = 0;          // lifetime over
  std::uint64_t closed_by_venue = 0;  // as the venue's rules or a fault have it
  std::uint64_t dropped_at_end = 0;   // had not read everything when the drain time was over
  Nanos worst_lag{};                  // of the venue's time behind the clock
};

// Simulated time: starts at `start` and runs with the steady clock.
class SimClock {
 public:
  explicit SimClock(WallTime start) : start_(start), origin_(std::chrono::steady_clock::now()) {}
  WallTime now() const { return start_ + (std::chrono::steady_clock::now() - origin_); }

 private:
  WallTime start_;
  MonoTime origin_;
};

class Server final : public Delivery {
 public:
  // Errc::conflict when the port is taken, Errc::usage for an address or certificate that cannot be used.
  static Result<std::unique_ptr<Server>> listen(const ServerOptions& options);
  ~Server() override;

  std::uint16_t port() const;

  // Serves until stop(), a signal, `duration` or the venue's own end; then lets the venue finish, delivers what is
  // queued, closes the websockets and returns. Call it once.
  void run(Venue& venue, const SimClock& clock, std::optional<Nanos> duration);
  // From any thread.
  void stop();

  // After run(), or from within it.
  const ServerCounters& counters() const;

  void send(ClientId client, std::string_view text) override;
  void close(ClientId client, std::string_view reason) override;

  class Impl;

 private:
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace mp::sim
