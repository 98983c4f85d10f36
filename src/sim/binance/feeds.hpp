#pragma once
// The inner state of Exchange: what each active stream has still to tell, and what each symbol keeps.

#include <map>
#include <optional>
#include <set>

#include "sim/binance/exchange.hpp"

namespace mp::sim::binance {

struct Exchange::Feed {
  Channel* channel = nullptr;
  Stream stream;
  std::size_t symbol = 0;
  WallTime last_sent;
  std::uint64_t last_id = 0;  // told to the subscribers, or what the book had at the subscription

  // Of diff depth: prices that changed since the last message, and the first change's id.
  std::vector<std::int64_t> bids, asks;
  std::uint64_t first_id = 0;

  Level best_bid, best_ask;  // of bookTicker: what was last told

  Candle candle;
  bool candle_changed = false;
};

struct Exchange::Listed {
  explicit Listed(std::size_t history) : aggregated(history), fills(history) {}

  std::vector<std::unique_ptr<Feed>> feeds;
  std::vector<Feed*> depth_feeds;  // those that want every change

  // Somebody has subscribed to it at least once: from then on the ledger has all of it.
  bool ledger_aggregated = false;
  bool ledger_fills = false;
  bool ledger_book = false;
  bool ledger_funding = false, ledger_liquidations = false;
  // What REST has told already, so that it stands in the ledger once: times, by what it is about.
  std::map<std::string, std::set<WallTime>> ledger_told;
  WallTime funding_noted, interest_noted;  // the state that stands there last

  // The latest forced order of this second: the venue tells one a second.
  std::optional<LiquidationNote> liquidation;

  History<Trade> aggregated;
  History<FillRecord> fills;
};

}  // namespace mp::sim::binance
