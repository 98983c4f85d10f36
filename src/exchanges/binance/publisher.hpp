#pragma once
// What a Binance session publishes: catalogue, tapes and books. A function of the records alone; it knows of
// connections only what the records tell, and asks for nothing (that is conversation.hpp).

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "exchanges/binance/catalogue.hpp"
#include "exchanges/binance/depth_feed.hpp"
#include "feed/trade_ids.hpp"

namespace mp::binance {

class Publisher {
 public:
  using Index = Catalogue::Index;
  enum class SnapshotResult { applied, too_old, not_newer, unknown_symbol, unreadable };

  Publisher(const SessionOptions& options, Market market);
  Publisher(const Publisher&) = delete;
  Publisher& operator=(const Publisher&) = delete;

  // Call first for every record: what was due before it.
  void show_due(WallTime now, std::vector<MarketEvent>& out);

  void begin();
  void opened(ConnectionId connection);
  void closed(ConnectionId connection, WallTime now, std::vector<MarketEvent>& out);
  // The symbol whose stream this frame belongs to, when it is a known one.
  std::optional<Index> trade(ConnectionId connection, Frame& frame, std::string_view raw, WallTime now,
                             std::vector<MarketEvent>& out);
  std::optional<Index> depth(ConnectionId connection, Frame& frame, std::string_view raw, WallTime now,
                             std::vector<MarketEvent>& out);
  SnapshotResult snapshot(std::string_view venue_symbol, Result<DepthReply> reply, std::string_view raw, WallTime now,
                          std::vector<MarketEvent>& out);
  // False when the answer could not be read.
  bool exchange_info(const Result<ExchangeInfo>& reply, std::string_view raw, WallTime now,
                     std::vector<MarketEvent>& out);
  void unreadable(const Error& why, std::string_view raw, WallTime now, std::vector<MarketEvent>& out);
  void unmapped(std::string_view name);

  std::optional<WallTime> next_due() const { return next_due_; }
  const Catalogue& catalogue() const { return catalogue_; }
  // nullptr while nothing of its book has come.
  const DepthFeed* depth_of(Index index) const { return entries_[index].depth.get(); }
  bool publishes_books() const { return books_wanted_; }
  bool publishes_trades() const { return trades_wanted_; }
  bool publishes_pictures() const { return !rules_.series.empty(); }
  bool publishes_deltas() const { return rules_.publish_deltas; }
  std::optional<WallTime> last_trade_at(Index index) const { return entries_[index].last_trade_at; }
  std::uint64_t trade_gaps(Index index) const { return entries_[index].trade_gaps; }
  std::uint64_t duplicates() const { return duplicates_; }
  std::vector<std::pair<std::string, std::uint64_t>> unmapped_counts() const;

  void save(StateWriter& out) const;
  void restore(StateReader& in);

 private:
  // One series of trade ids: aggregated and single ones are different series.
  struct Tape {
    TradeIds ids;
    ConnectionId connection = 0;
  };
  struct Entry {
    Tape aggregated;
    Tape single;
    ConnectionId depth_connection = 0;
    std::unique_ptr<DepthFeed> depth;
    std::optional<WallTime> last_trade_at;
    std::uint64_t trade_gaps = 0;
  };

  DepthFeed& depth_feed(Index index);
  void grow();
  bool is_open(ConnectionId connection) const;
  void seen(ConnectionId connection);
  bool others_carry(ConnectionId mine, ConnectionId last) const;
  void tell_holes(Index index, WallTime now, std::vector<MarketEvent>& out);
  void reject(std::optional<Index> index, std::optional<DataType> type, std::string reason, std::string_view raw,
              WallTime now, std::vector<MarketEvent>& out) const;
  std::optional<std::string> too_distant(WallTime timestamp, WallTime now) const;
  bool foreign(const Frame& frame);
  void note_due(const DepthFeed& feed);
  void recompute_due();

  Market market_;
  DataSource data_source_;
  std::chrono::hours max_clock_distance_;
  bool trades_wanted_ = false;
  bool books_wanted_ = false;
  DepthRules rules_;
  Catalogue catalogue_;
  std::vector<Entry> entries_;          // by catalogue index
  std::vector<ConnectionId> open_;      // connections that live, by the records
  std::optional<WallTime> next_due_;    // the earliest deadline of a conflated picture
  std::vector<IdHole> holes_;           // reused
  DepthUpdate update_;                  // reused

  std::uint64_t duplicates_ = 0;
  std::map<std::string, std::uint64_t, std::less<>> unmapped_;
};

}  // namespace mp::binance
