#include "exchanges/okx/book_feed.hpp"

#include <utility>

namespace mp::okx {
namespace {

// Sizes to quantities, in place: contracts × contract size.
Result<void> convert(std::vector<BookLevel>& levels, const Decimal& contract_size) {
  for (auto& level : levels) {
    const auto quantity = Decimal::multiply(level.quantity.value, contract_size);
    if (!quantity) return quantity.error();
    level.quantity = Quantity{*quantity};
  }
  return {};
}

Result<void> convert(BookRow& row, const Decimal& contract_size) {
  static const Decimal kOne = Decimal::from_parts(1, 0);
  if (contract_size == kOne) return {};
  if (auto done = convert(row.bids, contract_size); !done) return done;
  return convert(row.asks, contract_size);
}

// Messages of before 2023 have no ids: their time stands in, so that rows keep an order and a later snapshot is
// known to be another one.
std::uint64_t id_of(const BookRow& row) {
  if (row.seq_id) return static_cast<std::uint64_t>(*row.seq_id);
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(row.time.time_since_epoch()).count());
}

// A recording may lack the name of a connection; 0 would mean REST.
constexpr ConnectionId kUnnamedConnection = UINT32_MAX;
// The channel's depth, and what we ask for by REST.
constexpr std::size_t kDepth = 400;

// Since 2026-06-23 it is always 0.
bool means_something(const BookRow& row) { return row.checksum.value_or(0) != 0; }

}  // namespace

BookFeed::BookFeed(const Instrument& definition, const BookRules& rules)
    : contract_size_(definition.contract_size),
      chained_(definition.meta.instrument, definition.quantity_unit, rules, chain_) {
  chain_.checksum = [this](const book::Book&, std::int64_t expected) { return verify(expected); };
  chain_.snapshots_by_rest = true;
}

// A rebase changes what a contract is: levels of before and after do not make one book.
void BookFeed::measure_by(const Decimal& contract_size, WallTime now, std::vector<MarketEvent>& out) {
  if (contract_size == contract_size_) return;
  contract_size_ = contract_size;
  chained_.abandon(now, out);
  drop_texts();
}

// The texts follow the book: they are applied when the chained book asks, after it has taken the message's levels.
ChecksumOutcome BookFeed::verify(std::int64_t expected) {
  keep_texts();
  if (expected == 0 || !texts_are_whole_) return ChecksumOutcome::unverifiable;
  return texts_.checksum() == expected ? ChecksumOutcome::verified : ChecksumOutcome::failed;
}

// Texts are kept as long as every change of the book comes with a checksum that means something: since June 2026
// none does, and none are kept.
void BookFeed::keep_texts() {
  const auto* row = std::exchange(row_, nullptr);
  if (!row) return;
  if (!means_something(*row)) return drop_texts();
  if (row_is_snapshot_) {
    texts_.assign(*row);
    texts_are_whole_ = true;
  } else if (texts_are_whole_) {
    texts_.apply(*row);
  }
}

void BookFeed::drop_texts() {
  if (!texts_are_whole_) return;
  texts_.clear();
  texts_are_whole_ = false;
}

// Levels for the chained book. They are moved from there, so the row keeps its own where its texts will be needed.
void BookFeed::lend(BookRow& row, std::vector<BookLevel>& bids, std::vector<BookLevel>& asks) {
  row_ = &row;
  if (means_something(row)) {
    bids = row.bids;
    asks = row.asks;
  } else {
    bids.swap(row.bids);
    asks.swap(row.asks);
  }
}

Result<ChainedBook::SnapshotTaken> BookFeed::take_snapshot(BookRow& row, const Decimal& contract_size,
                                                           WallTime received_at, ConnectionId connection,
                                                           const Connections& connections,
                                                           std::vector<MarketEvent>& out) {
  const auto checksum = row.checksum.value_or(0);
  measure_by(contract_size, received_at, out);
  if (!is_numbered(row) && means_something(row)) {
    ChecksumBook proof;
    proof.assign(row);
    if (proof.checksum() != checksum)
      return Error{Errc::bad_value, "books.checksum",
                   "the snapshot's levels give " + std::to_string(proof.checksum()) + ", the venue says " +
                       std::to_string(checksum)};
  }
  if (auto done = convert(row, contract_size); !done) return done.error();
  BookSnapshot snapshot;
  snapshot.id = id_of(row);
  snapshot.timestamp = row.time;
  snapshot.received_at = received_at;
  // Of deeper books the channel tells what enters and leaves the best 400: none of them is ever unknown.
  snapshot.whole = true;
  snapshot.asked = kDepth;
  row_is_snapshot_ = true;
  lend(row, snapshot.bids, snapshot.asks);
  const auto taken = chained_.snapshot(snapshot, connection, connections, checksum, out);
  row_ = nullptr;
  // Should it be taken later, its texts are gone by then.
  if (taken == ChainedBook::SnapshotTaken::ahead || taken == ChainedBook::SnapshotTaken::refuted) drop_texts();
  return taken;
}

Result<ChainedBook::SnapshotTaken> BookFeed::snapshot(BookRow& row, const Decimal& contract_size, WallTime received_at,
                                                      ConnectionId connection, const Connections& connections,
                                                      std::vector<MarketEvent>& out) {
  return take_snapshot(row, contract_size, received_at, connection == 0 ? kUnnamedConnection : connection, connections,
                       out);
}

Result<ChainedBook::SnapshotTaken> BookFeed::snapshot_by_rest(BookRow& row, const Decimal& contract_size,
                                                              WallTime received_at, const Connections& connections,
                                                              std::vector<MarketEvent>& out) {
  return take_snapshot(row, contract_size, received_at, 0, connections, out);
}

Result<ChainedBook::Taken> BookFeed::update(BookRow& row, const Decimal& contract_size, WallTime received_at,
                                            ConnectionId connection, const Connections& connections,
                                            std::vector<MarketEvent>& out) {
  measure_by(contract_size, received_at, out);
  if (auto done = convert(row, contract_size); !done) return done.error();
  const auto from = connection == 0 ? kUnnamedConnection : connection;
  const auto checksum = row.checksum.value_or(0);
  update_.ids.first = update_.ids.last = id_of(row);
  update_.ids.prev.reset();
  if (row.prev_seq_id && *row.prev_seq_id >= 0) update_.ids.prev = static_cast<std::uint64_t>(*row.prev_seq_id);
  if (is_numbered(row) && !update_.ids.prev)
    return Error{Errc::bad_value, "books.prevSeqId", "an update that follows nothing"};
  update_.timestamp = row.time;
  update_.received_at = received_at;
  row_is_snapshot_ = false;
  lend(row, update_.bids, update_.asks);
  const auto taken = is_numbered(row) ? chained_.update(update_, from, connections, checksum, out)
                                      : chained_.unnumbered(update_, from, checksum, out);
  row_ = nullptr;
  if (taken == ChainedBook::Taken::buffered || taken == ChainedBook::Taken::lost) drop_texts();
  return taken;
}

void BookFeed::save(StateWriter& out) const {
  out.put(std::string_view{channel});
  out.put(contract_size_);
  chained_.save(out);
  out.put(texts_are_whole_);
  if (texts_are_whole_) texts_.save(out);
}

void BookFeed::restore(StateReader& in) {
  channel = in.text();
  contract_size_ = in.decimal();
  chained_.restore(in);
  texts_are_whole_ = in.flag();
  if (texts_are_whole_) texts_.restore(in);
}

}  // namespace mp::okx
