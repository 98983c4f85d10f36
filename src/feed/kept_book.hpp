#pragma once
// One instrument's book as every venue's feed keeps it: the levels, the place in the chain of updates, what is
// published of it (every update of a proven chain, gaps, conflated pictures), saved and restored. Which update
// continues which book is not decided here: chained_book.hpp (previous id -> id), Binance's depth_feed.hpp (REST
// snapshots).
// A function of records only.

#include <memory>
#include <optional>
#include <vector>

#include "book/book.hpp"
#include "book/conflation.hpp"
#include "feed/book_audit.hpp"
#include "feed/book_gap.hpp"
#include "feed/checkpoint.hpp"
#include "feed/session_options.hpp"
#include "model/market_event.hpp"

namespace mp {

// What all books of a session have in common; outlives them.
struct BookRules {
  DataSource data_source{};
  bool publish_deltas = true;
  std::vector<BookSeries> series{};  // empty: no conflated pictures
  BookAudits* audits = nullptr;      // told what audits have shown
  friend bool operator==(const BookRules&, const BookRules&) = default;
};
BookRules book_rules(const SessionOptions& options);

struct BookIds {
  std::uint64_t first = 0;  // the same as `last` where the venue numbers whole messages
  std::uint64_t last = 0;
  std::optional<std::uint64_t> prev{};  // the `last` of the update before it, where the venue tells it
};

// A change of a book: quantities are absolute, 0 removes the level.
struct BookUpdate {
  BookIds ids{};
  WallTime timestamp{};  // by the venue's clock
  WallTime received_at{};
  std::vector<BookLevel> bids{};  // in the venue's order
  std::vector<BookLevel> asks{};
};

// All levels of a book, or the best ones of it.
struct BookSnapshot {
  std::uint64_t id = 0;
  WallTime timestamp{};
  WallTime received_at{};
  std::vector<BookLevel> bids{};
  std::vector<BookLevel> asks{};
  bool whole = false;     // there are no other levels, or the venue tells when any comes to matter
  std::size_t asked = 0;  // for audits: a side may end here because no more levels were asked for; 0: never
};

class KeptBook {
 public:
  // `rules` outlives it. `unit`: in what the levels' quantities count.
  KeptBook(InstrumentRef instrument, QuantityUnit unit, const BookRules& rules);

  // An update that continues the book; its levels are moved from when deltas are published. Call changed() after the
  // last one of a record.
  void apply(BookUpdate& update, std::vector<MarketEvent>& out) {
    try_levels(update);
    accept(update, out);
  }
  // apply() in two, for a book that is proven by what it is afterwards: the levels, then accept() or lose().
  void try_levels(const BookUpdate& update) { book_.apply(update.bids, update.asks); }
  void accept(BookUpdate& update, std::vector<MarketEvent>& out);
  // The book is this from now on; an open gap ends here. The levels are moved from when deltas are published.
  void assign(BookSnapshot& snapshot, std::vector<MarketEvent>& out);
  // The book has changed with the record received at `now`: pictures that are due at once.
  void changed(WallTime now, std::vector<MarketEvent>& out);

  // The chain is broken before `next`. The hole is told now, in case no snapshot ever comes; with the next snapshot the
  // whole is told that was not published. `cause`: unless an interruption explains it.
  void lose(GapCause cause, const BookPoint& next, WallTime noticed_at, std::vector<MarketEvent>& out);
  // The chain is broken, and what comes next is the snapshot that mends it: told once.
  void jump(GapCause cause, const BookPoint& snapshot, WallTime noticed_at, std::vector<MarketEvent>& out);
  // The connection (or the collector) ended: if the chain does not simply continue, this is why.
  void interrupted(GapCause cause) { interrupted_by_ = cause; }

  // Conflated pictures that are due at `now`; call before a record of that time is processed.
  void show_due(WallTime now, std::vector<MarketEvent>& out);
  std::optional<WallTime> next_due() const;

  bool synced() const { return synced_; }
  // A crossed book is an error of somebody's, or a venue's pre-open: no picture of it.
  bool good() const { return synced_ && !book_.crossed(); }
  const book::Book& book() const { return book_; }
  std::uint64_t last_id() const { return last_id_; }
  WallTime last_timestamp() const { return last_timestamp_; }
  BookPoint last() const { return {last_id_, last_timestamp_}; }
  const InstrumentRef& instrument() const { return instrument_; }
  OrderBook picture(std::uint32_t depth) const;  // 0: all levels
  // From now on what the book takes is noted, for the answer that has been asked for. One at a time: an earlier one
  // that is still open is forgotten.
  void begin_audit();
  // An answer by REST. As a record, it is also what proves this book right or wrong, at once or when the book has come
  // to the answer's id, asked for or not. The levels are moved from.
  void audit(BookSnapshot& answer);
  // The venue's own book of the very same id is another one: refute() is to follow before anything else is done.
  bool refuted() const { return refuted_; }
  // As lose(), from where the book was last known to be right. Not again for a while: what a new snapshot does not mend
  // would end the book with every look.
  void refute(WallTime noticed_at, std::vector<MarketEvent>& out);

  // Levels beyond these prices are known only where an update has named them: the snapshot did not reach further. No
  // picture has them, which may so have fewer levels than its depth.
  // Nothing: the whole side is known.
  std::optional<Price> lowest_known_bid() const { return lowest_known_bid_; }
  std::optional<Price> highest_known_ask() const { return highest_known_ask_; }

  // For /health only: since the session was made.
  std::uint64_t gaps() const { return gaps_; }
  std::optional<WallTime> last_delta_at() const { return last_delta_at_; }
  std::optional<WallTime> last_picture_at() const { return last_picture_at_; }

  void save(StateWriter& out) const;
  void restore(StateReader& in);

 private:
  // How long an answer waits for the book to come to its id.
  static constexpr Nanos kAnswerWaits = std::chrono::seconds{5};
  static constexpr Nanos kRefutedAgainAfter = std::chrono::hours{1};

  void show(std::uint32_t depth, std::vector<MarketEvent>& out);
  void end(GapCause cause, const BookPoint& last_good, const BookPoint& next, WallTime noticed_at,
           std::vector<MarketEvent>& out);
  void prove(WallTime now);
  void look_at_audit();
  void drop_audit();

  InstrumentRef instrument_;
  QuantityUnit unit_;
  const BookRules* rules_;

  bool synced_ = false;
  book::Book book_;
  std::uint64_t last_id_ = 0;
  WallTime last_timestamp_;  // of the last update in the book
  WallTime last_received_;
  std::optional<Price> lowest_known_bid_;
  std::optional<Price> highest_known_ask_;
  std::optional<GapCause> interrupted_by_;
  std::unique_ptr<BookAudit> audit_;    // while one is under way; decides nothing, so it is not saved
  std::optional<BookSnapshot> answer_;  // by REST, at an id that the book has not come to
  BookPoint proven_;                    // where it was last known to be right
  std::optional<WallTime> refuted_at_;
  bool refuted_ = false;                       // within one record only
  BookGap gap_;                                // open while the book waits for a snapshot after a break
  std::vector<book::ConflationClock> clocks_;  // as rules_->series

  std::uint64_t gaps_ = 0;
  std::optional<WallTime> last_delta_at_;
  std::optional<WallTime> last_picture_at_;
};

// For the buffers of those who keep updates until they fit.
void save(StateWriter& out, const BookUpdate& update);
BookUpdate restore_update(StateReader& in);
void save(StateWriter& out, const BookSnapshot& snapshot);
BookSnapshot restore_snapshot(StateReader& in);
// The least bytes that a saved update takes, for StateReader::count().
inline constexpr std::size_t kLeastUpdateBytes = 7;

}  // namespace mp
