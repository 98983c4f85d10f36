#pragma once
// What a Binance session publishes: catalogue, tapes and books. A function of the records alone; it knows of
// connections only what the records tell, and asks for nothing (that is conversation.hpp).

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "exchanges/binance/depth_feed.hpp"
#include "feed/catalogue.hpp"
#include "feed/connections.hpp"
#include "feed/reports.hpp"
#include "feed/selection.hpp"
#include "feed/tape.hpp"

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
  // The venue's volumes of 24 hours; false when the answer could not be read.
  bool volumes(const Result<std::vector<InstrumentVolume>>& reply, std::string_view raw, WallTime now,
               std::vector<MarketEvent>& out);
  void unreadable(const Error& why, std::string_view raw, WallTime now, std::vector<MarketEvent>& out);

  Reports& reports() { return reports_; }
  const Reports& reports() const { return reports_; }
  std::optional<WallTime> next_due() const { return next_due_; }
  const Catalogue& catalogue() const { return catalogue_; }
  // What is collected, and what of it the venue has.
  const Chooser& chooser() const { return chooser_; }
  // nullptr while nothing of its book has come.
  const DepthFeed* depth_of(Index index) const { return entries_[index].depth.get(); }
  bool publishes_books() const { return books_wanted_; }
  bool publishes_trades() const { return trades_wanted_; }
  bool publishes_pictures() const { return !rules_.series.empty(); }
  bool publishes_deltas() const { return rules_.publish_deltas; }
  std::optional<WallTime> last_trade_at(Index index) const { return entries_[index].last_trade_at; }
  std::uint64_t trade_gaps(Index index) const {
    return entries_[index].aggregated.gaps() + entries_[index].single.gaps();
  }
  std::uint64_t duplicates() const { return duplicates_; }

  void save(StateWriter& out) const;
  void restore(StateReader& in);

 private:
  struct Entry {
    Tape aggregated;  // aggregated and single trades are different series of ids
    Tape single;
    ConnectionId depth_connection = 0;  // that brought the last new update, in the book or ahead of it
    ConnectionId book_connection = 0;   // that brought the last one in the book
    std::unique_ptr<DepthFeed> depth;
    std::optional<WallTime> last_trade_at;
  };

  DepthFeed& depth_feed(Index index);
  void grow();
  TapeOwner owner(Index index) const { return {catalogue_.ref(index), data_source_}; }
  bool foreign(const Frame& frame);
  void note_due(const DepthFeed& feed);
  void recompute_due();

  Market market_;
  DataSource data_source_;
  bool trades_wanted_ = false;
  bool books_wanted_ = false;
  BookRules rules_;
  Catalogue catalogue_;
  Chooser chooser_;
  std::vector<Entry> entries_;        // by catalogue index
  Connections connections_;
  std::optional<WallTime> next_due_;  // the earliest deadline of a conflated picture
  BookUpdate update_;                 // reused
  Reports reports_;
  std::uint64_t duplicates_ = 0;
};

}  // namespace mp::binance
