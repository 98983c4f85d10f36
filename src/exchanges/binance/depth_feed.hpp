#pragma once
// One symbol's book: aligns updates with REST snapshots, proves their chain, keeps the book, and says what is
// published: every update of a proven chain, gaps, and conflated pictures. A function of records only.

#include <optional>
#include <vector>

#include "book/book.hpp"
#include "book/conflation.hpp"
#include "exchanges/binance/book_rule.hpp"
#include "exchanges/binance/decode.hpp"
#include "feed/book_gap.hpp"
#include "feed/checkpoint.hpp"
#include "feed/session_options.hpp"
#include "model/market_event.hpp"

namespace mp::binance {

// What all symbols' books have in common.
struct DepthRules {
  Market market{};
  DataSource data_source{};
  bool publish_deltas = true;
  std::vector<BookSeries> series;  // empty: no conflated pictures
};

// A depth update with its times.
struct DepthUpdate {
  UpdateIds ids;
  WallTime timestamp;
  WallTime received_at;
  std::vector<BookLevel> bids;
  std::vector<BookLevel> asks;
};

class DepthFeed {
 public:
  // Updates kept while a snapshot is under way (or another connection may bring what is missing). Spot and futures
  // send 10 a second: 200 s' worth; the oldest fall out, and a snapshot must then be newer.
  static constexpr std::size_t kMaxBuffered = 2000;
  static constexpr Nanos kLongestWait = std::chrono::seconds{5};
  // Lower ids that are this much later are a new count, not a repetition.
  static constexpr Nanos kResetAfter = std::chrono::seconds{5};

  enum class Taken { applied, buffered, old, lost };
  enum class SnapshotTaken {
    applied,
    too_old,    // it ends before the buffered updates begin: another one is needed
    not_newer,  // the book is good and further on
  };

  DepthFeed(InstrumentRef instrument, const DepthRules& rules);

  // The update's levels are moved from. `others_carry_it`: another open connection delivers the same stream.
  Taken update(DepthUpdate& update, bool others_carry_it, std::vector<MarketEvent>& out);
  SnapshotTaken snapshot(DepthReply& reply, WallTime received_at, std::vector<MarketEvent>& out);
  // The connection (or the collector) ended: if the chain does not simply continue, this is why.
  void interrupted(GapCause cause) { interrupted_by_ = cause; }
  // No other connection can bring what is missing any more.
  void settle(std::vector<MarketEvent>& out, WallTime received_at);

  // Conflated pictures that are due at `now`; call before a record of that time is processed.
  void show_due(WallTime now, std::vector<MarketEvent>& out);
  std::optional<WallTime> next_due() const;

  bool good() const { return synced_ && !book_.crossed(); }
  bool synced() const { return synced_; }
  bool buffering() const { return !buffer_.empty(); }
  const book::Book& book() const { return book_; }
  std::uint64_t last_id() const { return last_id_; }
  OrderBook picture(std::uint32_t depth) const;
  std::uint64_t gaps() const { return gaps_; }
  std::optional<WallTime> last_delta_at() const { return last_delta_at_; }
  std::optional<WallTime> last_picture_at() const { return last_picture_at_; }

  void save(StateWriter& out) const;
  void restore(StateReader& in);

 private:
  void buffer(DepthUpdate& update);
  void apply(DepthUpdate& update, std::vector<MarketEvent>& out);
  void apply_buffered(std::vector<MarketEvent>& out);
  void lose(std::vector<MarketEvent>& out, WallTime noticed_at);
  void changed(WallTime now, std::vector<MarketEvent>& out);
  void show(std::uint32_t depth, std::vector<MarketEvent>& out);

  InstrumentRef instrument_;
  const DepthRules* rules_;

  bool synced_ = false;
  bool bridged_ = false;
  bool any_continues_ = false;  // the snapshot of a brand-new symbol: whatever comes first continues it
  book::Book book_;
  std::uint64_t last_id_ = 0;
  WallTime last_timestamp_;  // of the last update in the book
  WallTime last_received_;
  std::vector<DepthUpdate> buffer_;  // contiguous; not synced: waits for a snapshot; synced: for what is before it
  std::optional<GapCause> interrupted_by_;
  BookGap gap_;  // open while the book waits for a snapshot after a break
  std::vector<book::ConflationClock> clocks_;  // as rules_->series

  // For /health only.
  std::uint64_t gaps_ = 0;
  std::optional<WallTime> last_delta_at_;
  std::optional<WallTime> last_picture_at_;
};

}  // namespace mp::binance
