#pragma once
// The streams that a session wants, and the sockets that carry them: which sockets to open, what to subscribe on each
// and at what pace, what the venue answered, which stream is silent, when a connection is to be replaced. What a venue
// says and allows is its Dialect; what it says to us, the venue's folder decodes and tells here.
//
// Part of a conversation: on the monotonic clock, asks (Outbox: opens, frames, closes, notices, wake_at), never
// publishes. One thread.

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "feed/ledger.hpp"
#include "feed/session.hpp"
#include "feed/wake.hpp"

namespace mp {

// How one venue is spoken to over its websockets. Stateless; every number comes from the venue's documentation (say
// where in the venue's README.md).
class Dialect {
 public:
  enum class Operation { subscribe, unsubscribe };
  // At most `count` frames in any `window` on one connection.
  struct FrameLimit {
    std::size_t count = 0;
    std::chrono::seconds window{};
  };
  struct Limits {
    std::size_t streams_per_socket = 400;
    std::size_t streams_per_frame = 100;
    std::size_t bytes_per_frame = 16 * 1024;             // of the whole request; one stream always fits
    std::chrono::milliseconds frame_spacing{300};        // between two frames on one connection
    std::chrono::milliseconds frame_spacing_together{};  // between two frames on any of this session's connections
    std::vector<FrameLimit> frame_limits{};
    // A connection is replaced at this age (before the venue ends it); 0: it may live for ever.
    std::chrono::seconds connection_life{};
    // When nothing has come for this long, ping() is sent; when nothing has come for as long again, the connection is
    // given up. 0: no pings of ours (websocket pings are answered by the driver).
    std::chrono::seconds idle_ping{};
    // The venue says yes to names that it does not know and to streams that it serves elsewhere. Then a stream that
    // need not bring anything for long (Patience::only_by_rate) counts as live only once its connection has brought
    // data of some stream. One that may be silent for ever proves nothing either way.
    bool confirms_anything = false;
    // What each attempt to connect costs, where the venue limits them.
    std::vector<BudgetCharge> connecting{};
  };

  virtual ~Dialect() = default;
  virtual Limits limits() const = 0;
  // Appends a stream as it stands in a request; the names are JSON strings with most venues.
  virtual void append_stream(std::string& out, std::string_view name) const;
  // The whole request: `streams` are the appended ones, with commas between them.
  virtual std::string request(Operation operation, std::string_view streams, std::uint64_t id) const = 0;
  // What is to be said first on a new connection (a heartbeat to be set up); takes ids from `next_id`.
  virtual std::vector<std::string> greetings(std::uint64_t& next_id) const;
  virtual std::string ping() const { return "ping"; }
};

class SubscribedSockets {
 public:
  using StreamId = SubscriptionLedger::StreamId;
  using Patience = SubscriptionLedger::Patience;

  static constexpr std::chrono::seconds kHousekeeping{1};
  // A refused stream is asked for again after this; a request of several that was refused whole comes again in
  // halves after kHalvesAfter, so that one bad name does not keep the others out.
  static constexpr std::chrono::minutes kRefusedAgainAfter{10};
  static constexpr std::chrono::seconds kHalvesAfter{5};
  // A replacement over which no data comes takes over all the same, this long after its last confirmation.
  static constexpr std::chrono::seconds kQuietReplacement{30};
  // A connection of streams none of which need bring anything, over which nothing at all has come for this long, is
  // made anew (it may have been forgotten by the venue, which still answers pings); after twice as long the next time,
  // up to an hour.
  static constexpr std::chrono::seconds kQuietSocket{300};

  struct Wanted {
    std::string url;   // of the socket that serves it, whole
    std::string name;  // as the dialect's append_stream() takes it; unique in the session
    Patience patience{};
    // Streams of different groups never share a socket ("few books per connection").
    std::uint32_t group = 0;
    std::size_t streams_per_socket = 0;  // of this group; 0: the dialect's limit
  };

  // Both outlive this.
  SubscribedSockets(const Dialect& dialect, Wake& wake);

  // Forgets sockets and streams: every connection of before is over.
  void begin();

  // Opens a socket for the stream when none of its url and group has room. The same name again gives the same id.
  // Ids of dropped streams are used again.
  StreamId want(const Wanted& wanted, Instant now, Outbox& out);
  // No longer wanted: unsubscribed; a socket without streams is closed.
  void drop(StreamId stream, Instant now, Outbox& out);
  std::optional<StreamId> find(std::string_view name) const;
  const std::string& name(StreamId stream) const { return streams_[stream].name; }

  // As the session is told.
  void opened(ConnectionId connection, std::string_view url, Instant now, Outbox& out);
  void closed(ConnectionId connection, Instant now, Outbox& out);
  void tick(Instant now, Outbox& out);

  // Any frame came (call first for each), and it was data of this stream. Hot: no allocation.
  void heard(ConnectionId connection, Instant now);
  void data(ConnectionId connection, StreamId stream, Instant now);

  // The venue said yes: to a whole request;
  void answered(std::uint64_t request_id, Instant now, Outbox& out);
  // to those of a request that it lists (the others are refused by their absence);
  void answered(std::uint64_t request_id, std::span<const std::string_view> names, Instant now, Outbox& out);
  // to one stream (venues that answer each stream of a request by its name).
  void confirmed(ConnectionId connection, std::string_view name, Instant now, Outbox& out);
  void unsubscribed(ConnectionId connection, std::string_view name, Instant now, Outbox& out);

  // The venue said no.
  struct Refusal {
    ConnectionId connection = 0;
    std::optional<std::uint64_t> request_id{};  // without id and name: the oldest open request of the connection
    std::string_view name{};                    // the one stream that is refused; "": the whole request
    std::string why;                            // for the log, fields: "code=60018 message=\"…\""
    // When to ask again; nothing: kRefusedAgainAfter. Say so where the venue refuses for the moment only ("too many
    // requests"): then nothing is asked on this connection before that.
    std::optional<std::chrono::nanoseconds> again_after{};
  };
  void refused(const Refusal& refusal, Instant now, Outbox& out);

  // The venue said that it is about to close this connection: a replacement is opened, subscribed, and takes over
  // before the old one is closed.
  void replace(ConnectionId connection, Instant now, Outbox& out);
  // This stream alone from the beginning (its book is lost): unsubscribe, wait for the answer, subscribe.
  // Nothing happens while that is under way already, or while it is not subscribed.
  void resubscribe(StreamId stream, Instant now, Outbox& out);

  StreamState state(StreamId stream) const;
  bool has_data(StreamId stream) const { return ledger_.has_data(stream); }
  std::optional<MonoTime> confirmed_at(StreamId stream) const { return ledger_.confirmed_at(stream); }
  // How often its connection ended without a replacement.
  std::uint64_t reconnects(StreamId stream) const { return streams_[stream].reconnects; }
  std::size_t streams() const { return by_name_.size(); }
  std::size_t sockets() const { return sockets_.size(); }
  // For requests of the venue's own, so that answers are told apart.
  std::uint64_t take_request_id() { return next_request_id_++; }

 private:
  struct Stream {
    std::string name;
    std::uint64_t reconnects = 0;
  };
  enum class Phase { to_subscribe, subscribing, subscribed, to_unsubscribe, unsubscribing, refused };
  // A stream on one socket.
  struct Member {
    StreamId stream;
    Phase phase = Phase::to_subscribe;
    bool dropped = false;
    // A request that holds it names this many at most (halves of one that was refused).
    std::size_t at_most_with = SIZE_MAX;
    MonoTime again_at{};  // refused only
  };
  struct Request {
    std::uint64_t id = 0;
    Dialect::Operation operation{};
    MonoTime sent_at;
    std::vector<StreamId> open;  // not answered yet
  };
  // Sockets of one url are alike: whichever connection opens first gets the first that has none.
  struct Socket {
    std::uint32_t slot = 0;
    std::string url;
    std::uint32_t group = 0;
    std::vector<Member> members;
    ConnectionId connection = 0;
    MonoTime opened_at;
    MonoTime heard_at;
    std::optional<MonoTime> pinged_at;
    std::optional<MonoTime> data_at;  // since it opened
    int found_quiet = 0;              // in a row, over its connections
    MonoTime confirmed_at;            // the last of its requests
    MonoTime next_send;
    std::deque<MonoTime> sent_at;           // as far back as frame_limits reach
    std::vector<Request> requests;          // open ones, oldest first
    std::optional<std::uint32_t> replaces;  // the slot that ends once this one delivers
  };

  Socket& add_socket(std::string url, std::uint32_t group, std::optional<std::uint32_t> replaces, Outbox& out);
  Socket* socket_of(ConnectionId connection);
  Socket* socket_of_stream(StreamId stream) const;
  static Member* member_of(Socket& socket, StreamId stream);
  void send_pending(Socket& socket, Instant now, Outbox& out);
  MonoTime may_send_at(Socket& socket, MonoTime now) const;
  std::vector<StreamId> next_batch(const Socket& socket, Dialect::Operation operation, std::string& text) const;
  void send_request(Socket& socket, Dialect::Operation operation, const std::vector<StreamId>& batch,
                    std::string_view text, Instant now, Outbox& out);
  void settle(Socket& socket, Request& request, StreamId stream, Instant now);
  void refuse(Socket& socket, StreamId stream, std::size_t asked_with, std::chrono::nanoseconds again_after,
              Instant now);
  void end_request(Socket& socket, std::uint64_t id, Instant now, Outbox& out);
  void one_settled(ConnectionId connection, std::string_view name, Dialect::Operation operation, Instant now,
                   Outbox& out);
  void tell_refused(const std::vector<StreamId>& streams, std::string_view why, Outbox& out) const;
  void replace(Socket& socket, Outbox& out);
  bool takes_over(const Socket& socket, Instant now) const;
  void finish_replacements(Instant now, Outbox& out);
  void inherit(Socket& heir, Instant now);
  void replace_old(Instant now, Outbox& out);
  void look_after(Socket& socket, Instant now, Outbox& out);
  void watch(Instant now, Outbox& out);
  void watch_quiet(Socket& socket, Instant now, Outbox& out);
  void erase_members(Socket& socket, Outbox& out);
  static void close(const Socket& socket, CloseReason reason, Outbox& out);

  struct TextHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };

  const Dialect& dialect_;
  const Dialect::Limits limits_;
  Wake& wake_;
  std::vector<std::unique_ptr<Socket>> sockets_;
  std::uint32_t next_slot_ = 0;
  std::uint64_t next_request_id_ = 1;
  MonoTime next_send_together_;
  MonoTime next_replacement_;
  std::vector<Stream> streams_;  // by ledger id
  std::vector<StreamId> free_;   // ids of dropped streams
  std::unordered_map<std::string, StreamId, TextHash, std::equal_to<>> by_name_;
  SubscriptionLedger ledger_;
  std::vector<SubscriptionLedger::Finding> findings_;  // reused
};

}  // namespace mp
