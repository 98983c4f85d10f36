#pragma once
// Faults on request, between the venues and the server: what a collector must live with, made to happen often.

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "sim/venue.hpp"

namespace mp::sim {

// Zero: never.
struct FaultOptions {
  Nanos drop_every{};                            // a connection is closed without a word
  Nanos notice_every{};                          // a connection is told to go (64008, serverShutdown) …
  Nanos notice_before{std::chrono::seconds{5}};  // … and closed that much later
  Nanos skip_every{};                            // one book update is not sent to one client, so that it has a gap
  bool any() const { return drop_every > Nanos{} || notice_every > Nanos{} || skip_every > Nanos{}; }
};

struct FaultCounters {
  std::uint64_t dropped = 0, noticed = 0, skipped = 0;
};

class Faults final : public Delivery {
 public:
  Faults(const FaultOptions& options, WallTime start, Delivery& next);

  void send(ClientId client, std::string_view text) override;
  void close(ClientId client, std::string_view reason) override { next_.close(client, reason); }

  void opened(ClientId client, Venue& venue) { clients_[client] = &venue; }
  void closed(ClientId client) { clients_.erase(client); }
  // Does what is due.
  void advance(WallTime now);
  const FaultCounters& counters() const { return counters_; }

 private:
  // The next client in turn; nobody when there is none.
  std::map<ClientId, Venue*>::iterator next_client();

  FaultOptions options_;
  Delivery& next_;
  std::map<ClientId, Venue*> clients_;
  ClientId turn_ = 0;
  WallTime drop_at_, notice_at_, skip_at_;
  bool skip_ = false;  // the next book update
  std::vector<std::pair<WallTime, ClientId>> leaving_;
  FaultCounters counters_;
};

}  // namespace mp::sim
