#pragma once
// A book whose snapshot comes over the websocket and whose updates say what they follow: previous id -> id (OKX
// prevSeqId/seqId, Deribit prev_change_id/change_id). Proves the chain, merges two connections while one replaces the
// other, and asks for a new subscription when the chain is broken. A function of records only.
//
// Rules, and where they come from: OKX docs-v5 "Order book channel" (keep-alive: empty, id == prev; maintenance
// reset: id < prev, legal while prev is the book's id), checked 2026-08; Deribit "book.{instrument}" (prev_change_id
// must be the book's change_id; ids are not +1), checked 2026-03.

#include <functional>
#include <optional>
#include <vector>

#include "feed/connections.hpp"
#include "feed/kept_book.hpp"

namespace mp {

// What a venue's checksum says of the book after an update. `unverifiable`: it cannot be computed from what is kept
// (the venue hashes its own spelling of the numbers, or levels that are not known).
enum class ChecksumOutcome { verified, unverifiable, failed };

// What all chained books of a session have in common; outlives them.
struct ChainRules {
  // Null where the venue has none. Called with the book after each update that carries one.
  std::function<ChecksumOutcome(const book::Book& book, std::int64_t expected)> checksum{};
  // Updates that come before any snapshot are kept for one that is asked for by REST. Otherwise they are dropped: a
  // subscription's own snapshot comes before what continues it.
  bool snapshots_by_rest = false;
};

class ChainedBook {
 public:
  // Updates kept while a REST snapshot is under way or another connection may bring what is before them.
  static constexpr std::size_t kMostBuffered = 2000;
  static constexpr Nanos kLongestWait = std::chrono::seconds{5};

  enum class Taken {
    applied,
    unchanged,  // a keep-alive
    buffered,   // another connection, or a REST snapshot, may bring what is before it
    old,        // the book has it already
    dropped,    // the book waits for its snapshot
    lost,       // the chain is broken: see wants_snapshot()
  };
  enum class SnapshotTaken {
    applied,
    old,      // the book is good and has it
    ahead,    // the book is good, and the connection that it goes on over will bring what is between
    too_old,  // by REST: it ends before the buffered updates begin; another one is needed
    refuted,  // by REST: it shows that the book was wrong; see wants_snapshot()
  };
  // Of updates and snapshots, since the session was made. A failure alone never drops a book whose chain is intact.
  struct ChecksumCounts {
    std::uint64_t verified = 0;
    std::uint64_t unverifiable = 0;
    std::uint64_t failed = 0;
  };

  ChainedBook(InstrumentRef instrument, QuantityUnit unit, const BookRules& rules, const ChainRules& chain);

  // `update.ids.prev` is there, ids.first == ids.last. The levels are moved from or swapped away when it is taken.
  // `connections`: after seen(connection). `checksum`: where the message carries one that means something.
  Taken update(BookUpdate& update, ConnectionId connection, const Connections& connections,
               std::optional<std::int64_t> checksum, std::vector<MarketEvent>& out);
  // An update of a venue without ids, proven by its checksum alone (OKX before 2023): each continues the one before
  // it, and a failure is a gap. `update.ids.last` is only published.
  Taken unnumbered(BookUpdate& update, ConnectionId connection, std::optional<std::int64_t> checksum,
                   std::vector<MarketEvent>& out);
  // `connection` 0: an answer by REST.
  SnapshotTaken snapshot(BookSnapshot& snapshot, ConnectionId connection, const Connections& connections,
                         std::optional<std::int64_t> checksum, std::vector<MarketEvent>& out);

  // A REST snapshot has been asked for to hold this book against. It comes by audit(), or by snapshot() like any other:
  // it changes nothing of a book that is good, and ends one that it proves wrong.
  void begin_audit() { kept_.begin_audit(); }
  SnapshotTaken audit(BookSnapshot& answer, std::vector<MarketEvent>& out);

  // What it holds means nothing any more (the instrument's contract size has changed): as if the chain were broken.
  void abandon(WallTime now, std::vector<MarketEvent>& out);
  // A connection has ended, any of the session's.
  void closed(ConnectionId connection, WallTime now, std::vector<MarketEvent>& out);
  // A collector begins; Connections has been cleared.
  void begin() { kept_.interrupted(GapCause::collector_down); }

  void show_due(WallTime now, std::vector<MarketEvent>& out) { kept_.show_due(now, out); }
  std::optional<WallTime> next_due() const { return kept_.next_due(); }

  // The chain is broken, or updates come and no snapshot: this stream alone is to be subscribed again (or a snapshot
  // asked for by REST). True until a snapshot has been taken; who asks must not ask at every look.
  bool wants_snapshot() const { return wants_snapshot_; }
  bool good() const { return kept_.good(); }
  const KeptBook& kept() const { return kept_; }
  const ChecksumCounts& checksums() const { return checksums_; }

  void save(StateWriter& out) const;
  void restore(StateReader& in);

 private:
  enum class Link { follows, old, broken };
  Link link(const BookUpdate& update, ConnectionId connection) const;
  bool is_behind(std::uint64_t id, WallTime timestamp) const;
  bool waiting() const { return ahead_ || !buffer_.empty(); }
  bool hopeful(WallTime now, const Connections& connections) const;
  void wait(ConnectionId connection, WallTime now);
  void settle(WallTime now, std::vector<MarketEvent>& out);
  void buffer(BookUpdate& update);
  void apply_buffered(std::vector<MarketEvent>& out);
  void ended();
  Taken lose(GapCause cause, const BookPoint& next, WallTime now, std::vector<MarketEvent>& out);
  void adopt(BookSnapshot& snapshot, bool bridged, std::vector<MarketEvent>& out);
  ChecksumOutcome verify(std::optional<std::int64_t> expected);

  KeptBook kept_;
  const ChainRules* chain_;
  bool wants_snapshot_ = false;
  bool bridged_ = true;          // false: by a REST snapshot, and no update has continued it yet
  ConnectionId connection_ = 0;  // over which the book goes on
  // What another connection has brought that is ahead of the book: the snapshot with which it began, and updates, each
  // following the one before it. Or the book is not synced: updates that wait for a REST snapshot.
  std::optional<BookSnapshot> ahead_;
  std::vector<BookUpdate> buffer_;
  ConnectionId ahead_connection_ = 0;
  WallTime waiting_since_;
  ChecksumCounts checksums_;
};

}  // namespace mp
