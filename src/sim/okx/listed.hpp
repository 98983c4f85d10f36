#pragma once
// The inner state of Exchange: what each instrument keeps.

#include <map>
#include <set>
#include <utility>

#include "sim/okx/exchange.hpp"

namespace mp::sim::okx {

struct FillRecord {
  std::uint64_t id = 0;
  std::int64_t price = 0;
  std::int64_t quantity = 0;
  WallTime time;
  bool buyer_is_maker = false;
};

struct Exchange::Listed {
  explicit Listed(std::size_t history) : fills(history) {}

  Topic* books = nullptr;
  Topic* trades = nullptr;
  Topic* all_trades = nullptr;  // every fill, on /business
  Topic* funding = nullptr;
  Topic* interest = nullptr;
  Topic* tickers = nullptr;
  Topic* mark = nullptr;

  ToldBook told{400};
  std::uint64_t shift = 0;  // what the sequence has fallen behind the market's own ids by resets
  std::uint64_t seq = 0;    // told last
  WallTime told_at;
  bool reset_due = false;
  std::uint64_t beats = 0;
  std::uint64_t ticker_id = 0;  // the book's state that the ticker told last
  WallTime liquidated_at;       // the last liquidation that was told
  std::size_t settlements = 0;  // told by the funding channel

  // Somebody has subscribed to it at least once: from then on the ledger has all of it.
  bool ledger_trades = false, ledger_fills = false, ledger_book = false;
  bool ledger_funding = false, ledger_interest = false, ledger_liquidations = false;
  // What REST has told already, so that it stands in the ledger once: times, by what it is about.
  std::map<std::string, std::set<WallTime>> ledger_told;
  WallTime funding_noted;                            // the state that stands there last
  std::pair<WallTime, std::int64_t> interest_noted;  // its time is the beat's; trades change it in between

  History<FillRecord> fills;
};

}  // namespace mp::sim::okx
