#pragma once
// Who is subscribed to what: websocket paths, SUBSCRIBE and its kin, and the way from a stream to its clients.

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "sim/binance/messages.hpp"
#include "sim/binance/streams.hpp"
#include "sim/dialect/query.hpp"
#include "sim/venue.hpp"

namespace mp::sim::binance {

// The venue's limits; tests and impatient users shorten them.
struct Limits {
  Nanos spot_ping{std::chrono::seconds{20}};
  Nanos spot_pong{std::chrono::seconds{60}};
  Nanos usdm_ping{std::chrono::minutes{3}};
  Nanos usdm_pong{std::chrono::minutes{10}};
  Nanos lifetime{std::chrono::hours{24}};
  int spot_incoming_per_second = 5;
  int usdm_incoming_per_second = 10;
  std::size_t streams_per_connection = 1024;
  std::int64_t spot_weight_per_minute = 6000;
  std::int64_t usdm_weight_per_minute = 2400;
};

// One stream that somebody is subscribed to.
struct Channel {
  Section section{};
  std::string name;
  TimeUnit unit;
  std::string prefix;  // {"stream":"…","data":
  struct Subscriber {
    ClientId client = 0;
    const bool* combined = nullptr;  // of the client: wrapped or bare payloads
  };
  std::vector<Subscriber> subscribers;
};

class Switchboard {
 public:
  // Called when a channel gets its first subscriber and when it loses the last.
  struct Listener {
    virtual ~Listener() = default;
    virtual void started(Channel& channel) = 0;
    virtual void stopped(Channel& channel) = 0;
  };

  // Subscriptions to streams whose name contains one of `refused` are answered with an error.
  Switchboard(const Limits& limits, Delivery& delivery, Listener& listener, std::vector<std::string> refused = {})
      : limits_(limits), delivery_(delivery), listener_(listener), refused_(std::move(refused)) {}

  std::optional<ConnectionRules> open(ClientId client, std::string_view target);
  void text(ClientId client, std::string_view frame);
  void closed(ClientId client);
  // Said before the venue cuts the connection.
  std::string farewell(ClientId client, WallTime now) const;

  // Sends `append`'s payload to everybody subscribed.
  template <class Append>
  void publish(const Channel& channel, Append&& append) {
    message_.assign(channel.prefix);
    append(message_);
    const std::string_view bare = std::string_view(message_).substr(channel.prefix.size());
    const auto size = bare.size();
    message_.push_back('}');
    const std::string_view whole = message_;
    for (const auto& to : channel.subscribers)
      delivery_.send(to.client, *to.combined ? whole : whole.substr(channel.prefix.size(), size));
  }

 private:
  struct Client {
    Route route{};
    bool combined = false;
    TimeUnit unit;
    std::vector<std::string> streams;  // in order of subscription, silent ones included
  };

  void subscribe(ClientId id, Client& client, const std::string& stream);
  void unsubscribe(ClientId id, Client& client, std::string_view stream);
  static std::string channel_key(const Client& client, std::string_view stream);
  Channel& channel_of(const Client& client, std::string_view stream);
  void detach(ClientId id, const Client& client, std::string_view stream);

  Limits limits_;
  Delivery& delivery_;
  Listener& listener_;
  std::vector<std::string> refused_;
  std::unordered_map<ClientId, std::unique_ptr<Client>> clients_;
  std::map<std::string, std::unique_ptr<Channel>, std::less<>> channels_;
  std::string message_;
};

}  // namespace mp::sim::binance
