#pragma once
// OKX's rows: `data` of the websocket channels and of the REST answers, which are alike. All numbers are strings.

#include <string>

#include "sim/market/ledger.hpp"
#include "sim/market/market.hpp"

namespace mp::sim::okx {

// ["64250.1","12","0","3"]
void append_level(std::string& out, const Symbol& symbol, const Level& level);
// One of `trades` (with `count`, the id is the last fill's) …
void append_trade(std::string& out, const Symbol& symbol, const Trade& trade, std::uint64_t seq);
// … and one fill, as `trades-all` and REST have it.
void append_fill(std::string& out, const Symbol& symbol, std::uint64_t id, std::int64_t price, std::int64_t lots,
                 bool taker_sold, WallTime time, bool with_source);
void append_funding(std::string& out, const Symbol& symbol, const Derivative& derivative);
void append_settlement(std::string& out, const Symbol& symbol, const Settlement& settlement);
void append_open_interest(std::string& out, const Symbol& symbol, const Derivative& derivative);
void append_mark(std::string& out, const Symbol& symbol, const Derivative& derivative);
// {"instType":"SWAP",…,"details":[{…}]}
void append_liquidation(std::string& out, const Symbol& symbol, const LiquidationNote& order);
void append_ticker(std::string& out, const Market& market, std::size_t index, WallTime time);
void append_instrument(std::string& out, const Symbol& symbol, std::size_t number);

// The mark price has one decimal more than the tick.
std::string mark_text(const Symbol& symbol, std::int64_t price);
// In the last contract's worth: "oiUsd".
std::string dollars_text(const Symbol& symbol, const Derivative& derivative);
// Where a liquidated position was worth nothing any more: beyond the price at which it was closed. Ticks.
std::int64_t bankruptcy_price(const Symbol& symbol, const Trade& trade);

}  // namespace mp::sim::okx
