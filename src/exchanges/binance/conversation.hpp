#pragma once
// How a Binance session talks: which sockets, subscriptions and REST requests, when to ask again, when to give a
// connection up. Runs on the monotonic clock and never decides what is published (it has no access to events);
// it sees the books only to know which of them need a snapshot.

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "exchanges/binance/dialect.hpp"
#include "exchanges/binance/publisher.hpp"
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
  // Of a request that is no depth request.
  void poll_failed(std::string_view url, std::string_view reason, Instant now, Outbox& out);
  void snapshot_done(std::string_view venue_symbol, Publisher::SnapshotResult result, Instant now, Outbox& out);
  void snapshot_failed(std::string_view venue_symbol, std::string_view reason, Instant now, Outbox& out);
  void tick(Instant now, Outbox& out);

  // The symbol of our own depth request, or of any url of that shape.
  static std::optional<std::string> symbol_of_depth_url(std::string_view url);

  StreamState state(Index index, DataType type) const;
  std::uint64_t reconnects(Index index, DataType type) const;
  std::uint64_t resyncs() const { return resyncs_; }
  // The rules that chose nothing of the last list.
  const std::vector<Unresolved>& unresolved() const { return unresolved_; }

 private:
  using StreamId = SubscribedSockets::StreamId;
  struct Snapshot {
    bool wanted = false;
    bool under_way = false;
    int attempt = 0;
    MonoTime not_before;
    MonoTime asked_at;
    std::optional<MonoTime> good_since;
  };

  void poll_list(Instant now, Outbox& out);
  void open_chosen(Instant now, Outbox& out);
  void want_stream(Index index, DataType type, Instant now, Outbox& out);
  void want_snapshot(Index index, Instant now, Outbox& out);
  void ask_snapshots(Instant now, Outbox& out);
  void retry_snapshot(Index index, Instant now, Outbox& out);
  void look_for_snapshots(Instant now, Outbox& out);
  std::optional<StreamId> stream_of(Index index, DataType type) const;
  Snapshot& snapshot_of(Index index);

  const Publisher& publisher_;
  Market market_;
  Source source_;
  std::string ws_base_;
  std::string rest_base_;
  std::string ws_query_;
  std::string trade_channel_;
  std::string depth_channel_;
  int snapshot_limit_ = 1000;

  BinanceDialect dialect_{market_};
  Wake wake_;
  SubscribedSockets sockets_{dialect_, wake_};
  PollSchedule polls_{wake_};
  std::vector<StreamId> trade_stream_by_index_;  // kNoStream where there is none
  std::vector<StreamId> depth_stream_by_index_;

  std::vector<Snapshot> snapshots_;  // by catalogue index
  std::deque<Index> wanted_;
  std::size_t under_way_ = 0;
  MonoTime next_snapshot_;
  std::uint64_t resyncs_ = 0;

  bool told_no_symbols_ = false;
  bool at_start_ = true;  // no list has come since the collector began
  std::vector<Unresolved> unresolved_;
};

}  // namespace mp::binance
