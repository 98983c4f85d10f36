#pragma once
// Deribit's objects: `data` of the channels and `result` of the methods. Prices, amounts and times are JSON numbers.

#include <string>
#include <vector>

#include "sim/market/ledger.hpp"
#include "sim/market/market.hpp"
#include "sim/market/told_book.hpp"

namespace mp::sim::deribit {

// "64250.0", "0.0425": a number's text has a decimal point.
std::string number(int128 units, int scale);
std::string price_number(const Symbol& symbol, std::int64_t ticks);
// Dollars of inverse futures, else coins.
std::string amount_number(const Symbol& symbol, int128 lots);
std::string mark_number(const Symbol& symbol, std::int64_t price);  // 10^-10
std::string index_number(std::int64_t price);
std::string rate_number(std::int64_t rate);  // of funding, 10^-16
// The open interest in the unit of amounts.
std::string interest_number(const Symbol& symbol, const Derivative& derivative);

// ["new",64250.0,1200.0],… without the brackets around
void append_changes(std::string& out, const Symbol& symbol, const std::vector<LevelChange>& changes);
void append_levels(std::string& out, const Symbol& symbol, const Book& book, Side side, std::size_t count);

struct TradeFields {
  std::string id;
  std::uint64_t seq = 0;
  std::int64_t price = 0;
  std::int64_t quantity = 0;
  bool taker_sold = false;
  Liquidated liquidated{};
  int tick_direction = 0;
  WallTime time;
  std::int64_t mark = 0, index = 0;
};
void append_trade(std::string& out, const Symbol& symbol, const TradeFields& trade);
void append_ticker(std::string& out, const Market& market, std::size_t index, WallTime time, std::int64_t volatility);
void append_summary(std::string& out, const Market& market, std::size_t index, WallTime time, std::int64_t volatility);
void append_instrument(std::string& out, const Symbol& symbol, std::size_t number, WallTime start);

}  // namespace mp::sim::deribit
