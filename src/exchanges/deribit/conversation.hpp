#pragma once
// How a Deribit session talks: which channels on which sockets, which REST requests, when to ask again. Runs on the
// monotonic clock and never decides what is published (it has no access to events); it sees the books only to know
// which of them need a new subscription.

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "exchanges/deribit/dialect.hpp"
#include "exchanges/deribit/publisher.hpp"
#include "feed/polls.hpp"
#include "feed/subscriptions.hpp"
#include "feed/wake.hpp"

namespace mp::deribit {

// The venue's own addresses.
inline constexpr const char* kWebSocketBase = "wss://www.deribit.com";
inline constexpr const char* kRestBase = "https://www.deribit.com";

class Conversation {
 public:
  using Index = Catalogue::Index;

  Conversation(const SessionOptions& options, Publisher& publisher);
  Conversation(const Conversation&) = delete;
  Conversation& operator=(const Conversation&) = delete;

  void begin(Instant now, Outbox& out);
  void opened(ConnectionId connection, std::string_view url, Instant now, Outbox& out);
  void closed(ConnectionId connection, Instant now, Outbox& out);
  // Any frame came over a connection.
  void heard(ConnectionId connection, Instant now) { sockets_.heard(connection, now); }
  // Data of a channel came.
  void data(ConnectionId connection, std::string_view channel, Instant now);
  // A book's message has been taken: if it is not good now, its channel is subscribed again.
  void look_at_book(Index index, Instant now, Outbox& out);
  void test_requested(ConnectionId connection, Outbox& out);
  void answered(const Frame& frame, Instant now, Outbox& out);
  void error(ConnectionId connection, const Frame& frame, Instant now, Outbox& out);
  // An instrument has come that the catalogue does not have: new, or not chosen.
  void new_instrument(Instant now, Outbox& out);
  void rest_answered(std::string_view url, Instant now, Outbox& out);
  void rest_failed(std::string_view url, std::string_view reason, Instant now, Outbox& out);
  // Rules that chose nothing of the venue's list.
  const std::vector<Unresolved>& unresolved() const { return unresolved_; }
  // A page of the volatility history: where the next, older one ends, if there is one.
  void volatility_page(std::string_view url, std::optional<std::int64_t> continuation, Instant now, Outbox& out);
  void tick(Instant now, Outbox& out);
  // A book that is being asked for to hold ours against it; once, after a tick.
  std::optional<Index> take_audit() { return std::exchange(audit_, std::nullopt); }
  // The publisher collects something else now.
  void reconfigure(Instant now, Outbox& out);

  // It has expired and nothing is expected of it any more.
  bool is_over(Index index) const { return index < over_.size() && over_[index]; }
  StreamState state(Index index, DataType type) const;
  StreamState volatility_state(std::string_view index_name) const;
  std::uint64_t reconnects(Index index, DataType type) const;
  std::uint64_t resyncs() const { return resyncs_; }

 private:
  static constexpr const char* kInstrumentsPoll = "instruments";
  using StreamId = SubscribedSockets::StreamId;
  enum Channel { kBook, kTrades, kTicker, kChannels };
  struct Streams {
    std::array<std::optional<StreamId>, kChannels> of{};
    int attempts = 0;       // of the book, since it was last good for a while
    MonoTime not_before{};  // the next attempt
    std::optional<MonoTime> good_since{};
  };
  struct Login {
    ConnectionId connection = 0;
    std::uint64_t request_id = 0;
    std::optional<MonoTime> renew_at{};
  };

  void want(const std::string& channel, const SubscribedSockets::Patience& patience, Instant now, Outbox& out);
  void want_stream(Index index, Channel channel, Instant now, Outbox& out);
  bool wants_stream(Index index, Channel channel) const;
  void open_chosen(Instant now, Outbox& out);
  void drop(Index index, Instant now, Outbox& out);
  void open_platform_channels(Instant now, Outbox& out);
  void log_in(ConnectionId connection, Outbox& out);
  void add_polls(Instant now, Outbox& out);
  void poll_volumes(Instant now, Outbox& out);
  void poll_instruments(Instant now, Outbox& out);
  void volumes_settled(std::string_view key, Instant now, Outbox& out);
  void poll_funding_history(Index index, Instant now, Outbox& out);
  void audit_books(Instant now, Outbox& out);
  static Channel channel_of(DataType type);

  Publisher& publisher_;
  Source source_;
  std::string ws_url_;
  std::string rest_base_;
  std::string interval_;
  std::vector<std::string> volatility_currencies_;
  std::string volatility_resolution_;
  Credentials credentials_;

  DeribitDialect dialect_;
  Wake wake_;
  SubscribedSockets sockets_{dialect_, wake_};
  PollSchedule polls_{wake_};
  std::vector<Streams> streams_;         // by catalogue index
  std::vector<bool> over_;               // likewise
  std::optional<WallTime> next_expiry_;  // when channels are next to be given up
  AuditRound audit_round_;
  std::optional<Index> audit_;
  std::vector<Login> logins_;
  std::vector<std::string> volumes_awaited_;  // keys of the polls that the first list waits for
  std::vector<Unresolved> unresolved_;
  bool begun_ = false;
  bool at_start_ = true;
  std::optional<MonoTime> read_list_at_;  // an instrument may be new
  std::uint64_t resyncs_ = 0;
  bool told_many_sockets_ = false;
};

}  // namespace mp::deribit
