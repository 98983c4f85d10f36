#pragma once
// Websocket payloads in the venue's words (2026 form: `st` and `ps` on USD-M), without the combined wrapper.

#include <string>
#include <vector>

#include "base/decimal.hpp"
#include "sim/binance/streams.hpp"
#include "sim/market/ledger.hpp"
#include "sim/market/market.hpp"

namespace mp::sim::binance {

// Milliseconds, or microseconds when the client asked for them.
struct TimeUnit {
  std::int64_t nanos = 1'000'000;
  friend bool operator==(const TimeUnit&, const TimeUnit&) = default;
};

void append_agg_trade(std::string& out, const Symbol& s, const Trade& trade, TimeUnit unit);
// One fill of `trade`.
void append_trade(std::string& out, const Symbol& s, const Trade& trade, const Fill& fill, TimeUnit unit);

// A trade id that was used up without a trade: price and quantity 0, "X":"NA". On USD-M only.
void append_void_trade(std::string& out, const Symbol& s, std::uint64_t id, WallTime time);

void append_mark_price(std::string& out, const Symbol& s, const Derivative& derivative);
void append_force_order(std::string& out, const Symbol& s, const LiquidationNote& order, WallTime time);
// The day's figures; `names` are those of the stream or those of REST.
enum class TickerForm : std::uint8_t { stream, rest };
void append_ticker(std::string& out, const Market& market, std::size_t index, WallTime time, TimeUnit unit,
                   TickerForm form);

// "64251.12000000" of 10^-10; "0.00010000" of a funding rate.
std::string mark_text(std::int64_t price);
std::string rate_text(std::int64_t rate);
// The forced order, as the venue tells it.
LiquidationNote liquidation_of(const Symbol& s, const Trade& trade);

// Levels that changed since the stream's last message.
struct DepthUpdate {
  std::uint64_t first_id = 0;
  std::uint64_t last_id = 0;
  std::uint64_t previous_last_id = 0;  // of the stream's previous message (written on USD-M only)
  WallTime time;
  std::vector<Level> bids;  // best first
  std::vector<Level> asks;
};
void append_depth(std::string& out, const Symbol& s, const DepthUpdate& update, TimeUnit unit);

// The best levels; `previous_id` is written on USD-M only.
void append_partial_depth(std::string& out, const Symbol& s, const Book& book, std::size_t levels, std::uint64_t id,
                          std::uint64_t previous_id, WallTime time, TimeUnit unit);
void append_book_ticker(std::string& out, const Symbol& s, const Book& book, std::uint64_t id, WallTime time,
                        TimeUnit unit);

struct Candle {
  WallTime open_time;
  std::int64_t open = 0, high = 0, low = 0, close = 0;  // ticks
  std::int64_t volume = 0, taker_buy_volume = 0;        // lots
  int128 quote_volume = 0, taker_buy_quote_volume = 0;  // ticks × lots
  std::uint64_t first_fill = 0, last_fill = 0;
  bool empty() const { return first_fill == 0; }
  void add(const Trade& trade);
};
void append_kline(std::string& out, const Symbol& s, const Stream& stream, const Candle& candle, bool closed,
                  WallTime now, TimeUnit unit);

}  // namespace mp::sim::binance
