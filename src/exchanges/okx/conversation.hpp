#pragma once
// How an OKX session talks: which streams on which sockets, which polls, when to ask for a book again. Runs on the
// monotonic clock and never decides what is published (it has no access to events); it sees the publisher only to
// know what is chosen and which books are lost.

#include <array>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "exchanges/okx/dialect.hpp"
#include "exchanges/okx/endpoints.hpp"
#include "exchanges/okx/publisher.hpp"
#include "feed/polls.hpp"
#include "feed/subscriptions.hpp"
#include "feed/wake.hpp"

namespace mp::okx {

// The venue's own addresses.
inline constexpr std::string_view kWsBase = "wss://ws.okx.com:8443";
inline constexpr std::string_view kRestBase = "https://openapi.okx.com";

class Conversation {
 public:
  using Index = Catalogue::Index;

  Conversation(const SessionOptions& options, const Publisher& publisher);
  Conversation(const Conversation&) = delete;
  Conversation& operator=(const Conversation&) = delete;

  void begin(Instant now, Outbox& out);
  void opened(ConnectionId connection, std::string_view url, Instant now, Outbox& out);
  void closed(ConnectionId connection, Instant now, Outbox& out);
  void tick(Instant now, Outbox& out);
  // The publisher collects something else now.
  void reconfigure(const SessionOptions& options, Instant now, Outbox& out);

  // Any frame came over a connection; then what it was. `frame`: of a kind that carries data.
  void heard(ConnectionId connection, Instant now) { sockets_.heard(connection, now); }
  void data(ConnectionId connection, const Frame& frame, Instant now, Outbox& out);
  void subscribed(ConnectionId connection, const Frame& frame, Instant now, Outbox& out);
  void unsubscribed(ConnectionId connection, const Frame& frame, Instant now, Outbox& out);
  void error(ConnectionId connection, const Frame& frame, Instant now, Outbox& out);
  void notice(ConnectionId connection, const Frame& frame, Instant now, Outbox& out);

  // A REST answer has been given to the publisher; `usable`: it could be read.
  void answered(std::string_view url, bool usable, std::string_view why, Instant now, Outbox& out);
  void failed(std::string_view url, std::string_view reason, Instant now, Outbox& out);

  // A book that is being asked for to hold ours against it; once, after a tick.
  std::optional<Index> take_audit() { return std::exchange(audit_, std::nullopt); }

  // It has expired and nothing is expected of it any more.
  bool is_over(Index index) const { return index < over_.size() && over_[index]; }
  StreamState state(Index index, DataType type) const;
  std::uint64_t reconnects(Index index, DataType type) const;
  std::uint64_t resyncs() const { return resyncs_; }
  // Rules that choose nothing of the venue's lists.
  const std::vector<Unresolved>& unresolved() const { return unresolved_; }

 private:
  using StreamId = SubscribedSockets::StreamId;
  static constexpr StreamId kNoStream = UINT32_MAX;
  // The channels that are subscribed for each instrument.
  enum Channel : std::size_t { kBook, kTrade, kFunding, kOpenInterest, kChannels };
  struct Streams {
    std::array<StreamId, kChannels> ids{kNoStream, kNoStream, kNoStream, kNoStream};
  };
  // How a lost book is brought back.
  struct Resync {
    int attempt = 0;
    MonoTime not_before;
    bool rest_under_way = false;
    MonoTime rest_asked_at;
    std::optional<MonoTime> good_since;
  };

  void want_chosen(Instant now, Outbox& out);
  void want_instrument(Index index, Instant now, Outbox& out);
  void want_kinds(const std::set<std::string_view>& kinds, Instant now, Outbox& out);
  std::optional<StreamId> kind_stream(std::string_view name) const;
  void drop_instrument(Index index, Instant now, Outbox& out);
  bool wants(Channel channel) const;
  StreamId want(std::string_view channel, std::string_view of, const SubscribedSockets::Patience& patience,
                std::uint32_t group, Instant now, Outbox& out);
  void poll_lists(Instant now, Outbox& out);
  void poll_list(const std::string& kind, const std::string& family, Instant now, Outbox& out);
  void look_at_choice(Instant now, Outbox& out);
  void poll_statistics(Index index, Instant now, Outbox& out);
  std::string ratio_query(Index index, DataType type, const std::string& key, Instant now) const;
  void ratios_answered(std::string_view url, const std::string& key, Instant now, Outbox& out);
  void add_poll(std::string key, Endpoint endpoint, std::function<std::string(Instant)> query,
                std::chrono::seconds period, int priority, Instant now, Outbox& out);
  void look_after_book(Index index, Instant now, Outbox& out);
  void look_after_books(Instant now, Outbox& out);
  void ask_book(Index index, Instant now, Outbox& out);
  RestRequest book_request(Index index) const;
  void audit_books(Instant now, Outbox& out);
  Streams& streams_of(Index index);
  Resync& resync_of(Index index);
  std::optional<StreamId> stream_of(Index index, DataType type) const;
  std::string socket_url(std::string_view channel) const;

  const Publisher& publisher_;
  std::string ws_base_;
  std::string rest_base_;
  std::string trade_channel_;
  std::string ratio_period_;
  std::vector<std::string> option_families_;
  Source source_;

  OkxDialect dialect_;
  Wake wake_;
  SubscribedSockets sockets_{dialect_, wake_};
  PollSchedule polls_{wake_};
  std::vector<Streams> streams_;         // by catalogue index
  std::vector<bool> over_;               // likewise
  std::optional<WallTime> next_expiry_;  // when streams are next to be given up
  std::vector<Resync> resyncs_by_index_;
  AuditRound audit_round_;
  std::optional<Index> audit_;
  std::vector<std::pair<std::string, StreamId>> kind_streams_;  // channels of a whole kind of instruments
  std::map<std::string, WallTime> ratios_passed_;               // by poll: up to here all has been asked for
  std::vector<std::string> lists_missing_;                      // keys of lists that have not come since begin()
  bool begun_ = false;
  bool choice_is_new_ = false;  // reconfigured, and no look at the choice since
  bool at_start_ = true;        // no look at the choice since begin()
  std::vector<Unresolved> unresolved_;
  // Learnt: subscribing brings no snapshot any more (announced in 2026-02), so it is asked for by REST at once.
  bool snapshots_by_rest_ = false;
  std::uint64_t resyncs_ = 0;
};

}  // namespace mp::okx
