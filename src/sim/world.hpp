#pragma once
// What is simulated: which venues with which instruments, and all of them behind one port.

#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "sim/binance/exchange.hpp"
#include "sim/market/market.hpp"
#include "sim/venues.hpp"

namespace mp::sim {

// A venue's market, as the collector's configuration names it, and its chosen instruments.
struct Source {
  std::string exchange;  // "binance"
  std::string market;    // "spot", "derivatives"; "" where the venue has one
  std::vector<Symbol> symbols;
};

// All there are: binance:spot, binance:derivatives, okx:spot, okx:derivatives, deribit.
std::vector<std::string> source_names();

// `venues`: NAME or NAME:MARKET, all when empty. `symbols`: "" (the eight best known of each source), a number for each
// source (all it has when that are fewer), or names separated by commas: the venue's own or ours, for one source alone
// with its name before it (okx:BTC-USDT, binance:spot:BTCUSDT, spot:BTCUSDT).
// Errc::usage for what does not exist, with the nearest known name.
Result<std::vector<Source>> choose_sources(WallTime now, const std::vector<std::string>& venues,
                                           const std::string& symbols);

struct WorldOptions {
  MarketOptions market;  // the rate is shared out by the number of instruments
  binance::Limits binance_limits;
  std::size_t history = 50'000;
  std::vector<std::string> refuse;  // subscriptions that contain one of these are refused
  FaultOptions faults;
};
// `ledger` may be null; it and `delivery` must outlive what is made.
std::unique_ptr<Venues> make_world(const std::vector<Source>& sources, const WorldOptions& options, Delivery& delivery,
                                   LineSink* ledger);

}  // namespace mp::sim
