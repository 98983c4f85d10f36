#pragma once
// One instrument's series of trades, over all its connections: which trades are new, and a Gap for each hole in
// their ids. A series of its own for each numbering that a venue has (Binance's aggregated and single trades).

#include <vector>

#include "feed/connections.hpp"
#include "feed/trade_ids.hpp"
#include "model/market_event.hpp"

namespace mp {

// Whose trades they are, for the events about them.
struct TapeOwner {
  const InstrumentRef& instrument;
  DataSource data_source{};
};

// How trades came.
struct TapeArrival {
  ConnectionId connection = 0;
  WallTime timestamp;  // by the venue's clock
  WallTime received_at;
};

class Tape {
 public:
  using Verdict = TradeIds::Verdict;

  // Trades `ids` came; Gap events of what is certainly missing now are appended before the owner appends the trade.
  // A duplicate is dropped by the owner.
  Verdict observe(IdRange ids, const TapeArrival& arrival, const Connections& connections, const TapeOwner& owner,
                  std::vector<MarketEvent>& out);
  // A connection has ended (and is no more in Connections): what waited for it will not come any more.
  void closed(ConnectionId connection, WallTime now, const TapeOwner& owner, std::vector<MarketEvent>& out);
  // A collector begins.
  void begin() { ids_.interrupted(GapCause::collector_down); }

  const TradeIds& ids() const { return ids_; }
  // Told since the session was made; for /health only.
  std::uint64_t gaps() const { return gaps_; }

  void save(StateWriter& out) const;
  void restore(StateReader& in);

 private:
  void tell(const std::vector<IdHole>& holes, WallTime now, const TapeOwner& owner, std::vector<MarketEvent>& out);

  TradeIds ids_;
  // That brought the last new trade. While holes wait, the one that they wait for: a replacement may run many trades
  // ahead of it.
  ConnectionId connection_ = 0;
  std::uint64_t gaps_ = 0;
};

}  // namespace mp
