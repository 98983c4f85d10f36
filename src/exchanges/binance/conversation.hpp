#pragma once
// How a Binance session talks: which sockets, subscriptions and REST requests, when to ask again, when to give a
// connection up. Runs on the monotonic clock and never decides what is published (it has no access to events);
// it sees the books only to know which of them need a snapshot.

#include <array>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "exchanges/binance/dialect.hpp"
#include "exchanges/binance/endpoints.hpp"
#include "exchanges/binance/publisher.hpp"
#include "exchanges/binance/settings.hpp"
#include "feed/polls.hpp"
#include "feed/subscriptions.hpp"
#include "feed/wake.hpp"

namespace mp::binance {

class Conversation {
 public:
  using Index = Catalogue::Index;
  static constexpr std::chrono::milliseconds kSnapshotSpacing{150};
  static constexpr std::size_t kSnapshotsUnderWay = 4;

  Conversation(const SessionOptions& options, Market market, const Publisher& publisher);
  Conversation(const Conversation&) = delete;
  Conversation& operator=(const Conversation&) = delete;

  void begin(Instant now, Outbox& out);
  void opened(ConnectionId connection, std::string_view url, Instant now, Outbox& out);
  void closed(ConnectionId connection, Instant now, Outbox& out);
  // Any frame came over a connection.
  void heard(ConnectionId connection, Instant now) { sockets_.heard(connection, now); }
  void data(ConnectionId connection, Index index, DataType type, Instant now, Outbox& out);
  void answered(std::uint64_t request_id, Instant now, Outbox& out);
  void error(ConnectionId connection, const Frame& frame, Instant now, Outbox& out);
  void shutdown_announced(ConnectionId connection, Instant now, Outbox& out);
  // The volumes have come, before the list.
  void volumes(std::string_view url, bool readable, Instant now, Outbox& out);
  void exchange_info(std::string_view url, bool readable, Instant now, Outbox& out);
  // Of any other request that is made regularly.
  void poll_answered(std::string_view url, bool readable, Instant now, Outbox& out);
  // Of a request that is no depth request.
  void poll_failed(std::string_view url, std::string_view reason, Instant now, Outbox& out);
  void snapshot_done(std::string_view venue_symbol, Publisher::SnapshotResult result, Instant now, Outbox& out);
  void snapshot_failed(std::string_view venue_symbol, std::string_view reason, Instant now, Outbox& out);
  void tick(Instant now, Outbox& out);
  // The publisher collects something else now.
  void reconfigure(Instant now, Outbox& out);

  // A book that is being asked for to hold ours against it; once, after a tick.
  std::optional<Index> take_audit() { return std::exchange(audit_, std::nullopt); }
  // Our own audits' requests, told from snapshots' by the order of their parameters.
  static bool is_audit_url(std::string_view url) {
    return url.find("/depth?limit=100&symbol=") != std::string_view::npos;
  }

  StreamState state(Index index, DataType type) const;
  std::uint64_t reconnects(Index index, DataType type) const;
  std::uint64_t resyncs() const { return resyncs_; }
  // By the last list. Of what is not, nothing need come: that is no fault.
  bool is_trading(Index index) const;
  // It was chosen and has been delivered since: its streams are given up.
  bool is_over(Index index) const { return index < over_.size() && over_[index]; }
  // The rules that chose nothing of the last list.
  const std::vector<Unresolved>& unresolved() const { return unresolved_; }

 private:
  using StreamId = SubscribedSockets::StreamId;
  static constexpr StreamId kNoStream = UINT32_MAX;
  // The streams of each symbol.
  enum Channel : std::size_t { kDepth, kTrade, kMarkPrice, kForceOrder, kChannels };
  struct Streams {
    std::array<StreamId, kChannels> ids{kNoStream, kNoStream, kNoStream, kNoStream};
  };
  struct Snapshot {
    bool wanted = false;
    bool under_way = false;
    int attempt = 0;
    MonoTime not_before;
    MonoTime asked_at;
    std::optional<MonoTime> good_since;
  };

  void tell_not_trading(Outbox& out);
  void poll_list(Instant now, Outbox& out);
  void add_poll(std::string key, Endpoint endpoint, std::function<std::string(Instant)> query,
                std::chrono::seconds period, int priority, Instant now, Outbox& out);
  void poll_statistics(Index index, Instant now, Outbox& out);
  std::string ratio_query(Index index, DataType type, Instant now) const;
  void ratios_answered(std::string_view url, Instant now, Outbox& out);
  void open_chosen(Instant now, Outbox& out);
  void want_stream(Index index, Channel channel, Instant now, Outbox& out);
  void drop(Index index, Instant now, Outbox& out);
  void drop_polls(Index index);
  bool wants(Index index, Channel channel) const;
  void want_snapshot(Index index, Instant now, Outbox& out);
  void ask_snapshots(Instant now, Outbox& out);
  void retry_snapshot(Index index, Instant now, Outbox& out);
  void look_for_snapshots(Instant now, Outbox& out);
  void audit_books(Instant now, Outbox& out);
  static std::optional<Channel> channel_of(DataType type);
  std::optional<StreamId> stream_of(Index index, Channel channel) const;
  Snapshot& snapshot_of(Index index);

  const Publisher& publisher_;
  Market market_;
  Source source_;
  std::string ws_base_;
  std::string rest_base_;
  Result<Settings> checked_;  // as configured; what is wrong there ends the collector
  Settings settings_;

  BinanceDialect dialect_{market_};
  Wake wake_;
  SubscribedSockets sockets_{dialect_, wake_};
  PollSchedule polls_{wake_};
  std::vector<Streams> streams_;  // by catalogue index
  std::vector<bool> over_;        // likewise

  std::vector<Snapshot> snapshots_;  // by catalogue index
  AuditRound audit_round_;
  std::optional<Index> audit_;
  std::deque<Index> wanted_;
  std::size_t under_way_ = 0;
  MonoTime next_snapshot_;
  std::uint64_t resyncs_ = 0;

  std::map<std::string, WallTime, std::less<>> ratios_passed_;  // by poll: until where there is nothing to ask for
  std::map<Index, std::string> told_status_;                    // of what is not trading
  std::optional<WallTime> next_expiry_;                         // of what has streams
  bool begun_ = false;
  bool told_no_symbols_ = false;
  bool at_start_ = true;  // no list has come since the collector began
  std::vector<Unresolved> unresolved_;
};

}  // namespace mp::binance
