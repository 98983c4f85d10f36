#pragma once
// The inner state of Exchange: what each instrument keeps.

#include <cstddef>
#include <set>

#include "sim/deribit/exchange.hpp"
#include "sim/deribit/messages.hpp"
#include "sim/dialect/history.hpp"

namespace mp::sim::deribit {

// A trade by its trade_seq.
struct TradeRecord : TradeFields {
  std::uint64_t id = 0;  // its trade_seq; TradeFields::id is the venue's trade_id
};

struct Exchange::Listed {
  explicit Listed(std::size_t history) : trades(history) {}

  Topic* book = nullptr;
  Topic* ticker = nullptr;
  Topic* perpetual = nullptr;
  Topic* quote = nullptr;
  std::vector<Topic*> trade_topics;  // of the instrument, its kind and its currency

  ToldBook told{static_cast<std::size_t>(PTRDIFF_MAX)};  // the whole depth
  std::uint64_t change_id = 0;                           // told last
  WallTime told_at;
  std::uint64_t ticker_id = 0;  // the book's state that the ticker told last
  Level quoted_bid, quoted_ask;
  std::int64_t last_price = 0;
  int tick_direction = 0;
  std::string trade_prefix;  // "ETH-"

  // Somebody has subscribed to it at least once: from then on the ledger has all of it.
  bool ledger_trades = false, ledger_book = false, ledger_ticker = false;
  WallTime ticker_noted;
  std::set<WallTime> ledger_settled;  // rows of the history that stand in it

  History<TradeRecord> trades;
};

}  // namespace mp::sim::deribit
