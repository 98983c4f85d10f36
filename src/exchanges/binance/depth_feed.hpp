#pragma once
// One symbol's book: aligns updates with REST snapshots, proves their chain, keeps the book, and says what is
// published: every update of a proven chain, gaps, and conflated pictures. A function of records only.

#include <vector>

#include "exchanges/binance/book_rule.hpp"
#include "exchanges/binance/decode.hpp"
#include "feed/kept_book.hpp"

namespace mp::binance {

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

  // `rules` outlives it.
  DepthFeed(InstrumentRef instrument, Market market, const BookRules& rules)
      : market_(market), kept_(std::move(instrument), QuantityUnit::base, rules) {}

  // The update's levels are moved from. `others_carry_it`: another open connection delivers the same stream.
  Taken update(BookUpdate& update, bool others_carry_it, std::vector<MarketEvent>& out);
  SnapshotTaken snapshot(DepthReply& reply, WallTime received_at, std::vector<MarketEvent>& out);
  // The connection (or the collector) ended: if the chain does not simply continue, this is why.
  void interrupted(GapCause cause) { kept_.interrupted(cause); }
  // No other connection can bring what is missing any more.
  void settle(std::vector<MarketEvent>& out, WallTime received_at);

  // Its book has been asked for, to hold ours against it; the answer (feed/book_audit.hpp).
  void begin_audit() { kept_.begin_audit(); }
  // True when it has shown that the book was wrong.
  bool audit(DepthReply& reply, std::size_t asked, WallTime received_at, std::vector<MarketEvent>& out);

  void show_due(WallTime now, std::vector<MarketEvent>& out) { kept_.show_due(now, out); }
  std::optional<WallTime> next_due() const { return kept_.next_due(); }

  bool good() const { return kept_.good(); }
  const KeptBook& kept() const { return kept_; }
  bool buffering() const { return !buffer_.empty(); }

  void save(StateWriter& out) const;
  void restore(StateReader& in);

 private:
  Continuation continuation(const BookUpdate& update) const;
  void buffer(BookUpdate& update);
  void apply(BookUpdate& update, std::vector<MarketEvent>& out);
  void apply_buffered(std::vector<MarketEvent>& out);
  void lose(std::vector<MarketEvent>& out, WallTime noticed_at);
  bool end_if_refuted(WallTime now, std::vector<MarketEvent>& out);

  Market market_;
  KeptBook kept_;
  bool bridged_ = false;            // an update has been applied since the snapshot
  bool any_continues_ = false;      // the snapshot of a brand-new symbol: whatever comes first continues it
  std::vector<BookUpdate> buffer_;  // contiguous; not synced: waits for a snapshot; synced: for what is before it
};

}  // namespace mp::binance
