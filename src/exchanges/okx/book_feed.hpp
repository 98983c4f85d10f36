#pragma once
// One instrument's book as OKX sends it: sizes converted, the chain of seqIds kept (feed/chained_book.hpp), and where
// a checksum means something, the texts beside it that it is over. A function of records only.

#include <optional>
#include <string>
#include <vector>

#include "exchanges/okx/checksum.hpp"
#include "exchanges/okx/decode.hpp"
#include "feed/chained_book.hpp"
#include "model/reports.hpp"

namespace mp::okx {

class BookFeed {
 public:
  // `rules` outlives it.
  BookFeed(const Instrument& definition, const BookRules& rules);
  BookFeed(const BookFeed&) = delete;
  BookFeed& operator=(const BookFeed&) = delete;

  // `contract_size`: the instrument's now. Error: the message cannot be taken, and nothing has changed. The row's
  // levels are moved from. `connection`: 0 where a recording does not name it; `connections`: after seen(connection).
  Result<ChainedBook::SnapshotTaken> snapshot(BookRow& row, const Decimal& contract_size, WallTime received_at,
                                              ConnectionId connection, const Connections& connections,
                                              std::vector<MarketEvent>& out);
  Result<ChainedBook::SnapshotTaken> snapshot_by_rest(BookRow& row, const Decimal& contract_size, WallTime received_at,
                                                      const Connections& connections, std::vector<MarketEvent>& out);
  Result<ChainedBook::Taken> update(BookRow& row, const Decimal& contract_size, WallTime received_at,
                                    ConnectionId connection, const Connections& connections,
                                    std::vector<MarketEvent>& out);

  ChainedBook& chained() { return chained_; }
  const ChainedBook& chained() const { return chained_; }

  // The channel that feeds it ("books"): each has a count of its own, so another one's updates cannot be mixed in.
  std::string channel;

  void save(StateWriter& out) const;
  void restore(StateReader& in);

 private:
  // By the kind of message before 2023: no sequence numbers.
  static bool is_numbered(const BookRow& row) { return row.seq_id.has_value(); }
  ChecksumOutcome verify(std::int64_t expected);
  Result<ChainedBook::SnapshotTaken> take_snapshot(BookRow& row, const Decimal& contract_size, WallTime received_at,
                                                   ConnectionId connection, const Connections& connections,
                                                   std::vector<MarketEvent>& out);
  void measure_by(const Decimal& contract_size, WallTime now, std::vector<MarketEvent>& out);
  void keep_texts();
  void drop_texts();
  void lend(BookRow& row, std::vector<BookLevel>& bids, std::vector<BookLevel>& asks);

  // The message whose levels the chained book is taking, until its texts have followed.
  const BookRow* row_ = nullptr;
  bool row_is_snapshot_ = false;
  Decimal contract_size_;         // by which the levels in the book were converted
  bool texts_are_whole_ = false;  // texts_ is the book: no change of it has been made without its texts
  ChecksumBook texts_;
  ChainRules chain_;
  BookUpdate update_;  // reused
  ChainedBook chained_;
};

}  // namespace mp::okx
