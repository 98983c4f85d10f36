#pragma once
// The simulation's own account of what its market did, as JSON lines in the form of the product's events.
// It shares no code with the product's encoders, so that the two can be compared. A line has the fields that the
// venue's message carries, and no others.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/market/market.hpp"

namespace mp::sim {

// Where finished lines go; without the newline.
struct LineSink {
  virtual ~LineSink() = default;
  virtual void line(std::string_view text) = 0;
  // Lets go of everything gathered so far; called before the same trades are sent to clients.
  virtual void flush() {}
};

// An aggregated trade: its id, its sum, first_trade_id and last_trade_id.
std::string trade_line(std::string_view exchange, const Symbol& symbol, const Trade& trade);
// The same where the venue gives it the id of its last fill.
std::string last_fill_trade_line(std::string_view exchange, const Symbol& symbol, const Trade& trade);
// One fill of it, as the raw trade series has it; `id` as the venue writes it.
std::string fill_line(std::string_view exchange, const Symbol& symbol, const Trade& trade, const Fill& fill);
std::string fill_line(std::string_view exchange, const Symbol& symbol, const Trade& trade, std::int64_t quantity,
                      std::string_view id);
// All levels that the book has.
std::string book_line(std::string_view exchange, const Symbol& symbol, const Book& book, std::uint64_t last_update_id,
                      WallTime time);
// Levels best first.
std::string book_line(std::string_view exchange, const Symbol& symbol, const std::vector<Level>& bids,
                      const std::vector<Level>& asks, std::uint64_t last_update_id, WallTime time);

// Decimals as the venue writes them or without trailing zeros; "" where the message has no such field.
struct FundingNote {
  WallTime time;
  std::string rate;
  std::optional<WallTime> funding_time, next_funding_time;
  std::string mark_price, index_price;
  int interval_hours = 0;  // 0: not told
  bool settled = false;
};
std::string funding_line(std::string_view exchange, const Symbol& symbol, const FundingNote& note);

// `value` in the quote, "" where it is not told.
std::string open_interest_line(std::string_view exchange, const Symbol& symbol, WallTime time, std::int64_t lots,
                               std::string_view value, bool tells_contracts);

struct LiquidationNote {
  WallTime time;
  bool sells = false;      // the liquidation order: it closes a long
  std::int64_t price = 0;  // ticks
  std::optional<std::int64_t> average_price;
  std::int64_t quantity = 0;  // lots
  bool tells_filled = false;
  std::string_view status;
  bool complete = false;  // the venue tells all of them
};
std::string liquidation_line(std::string_view exchange, const Symbol& symbol, const LiquidationNote& note);

// Decimal text; `long_share` and `short_share` may be "".
struct RatioNote {
  WallTime time;
  bool positions = false;  // of top traders' positions; else of all accounts
  std::string long_share, short_share, ratio;
  std::string_view period;
};
std::string ratio_line(std::string_view exchange, const Symbol& symbol, const RatioNote& note);

struct VolatilityNote {
  WallTime time;
  std::string_view market_type, symbol, instrument, underlying;
  std::string value;
  std::string open, high, low;  // of a candle, else ""
  std::string_view resolution;
};
std::string volatility_line(std::string_view exchange, const VolatilityNote& note);

// units × 10^-scale without trailing zeros: "65000.1", "-0.00001", "12".
std::string plain_decimal(int128 units, int scale);
// The same with no more than `decimals` decimals, the others cut off.
std::string cut_decimal(int128 units, int scale, int decimals);
int128 power_of_ten(int exponent);
// The text of a decimal without trailing zeros: "0.00010000" → "0.0001".
std::string without_zeros(std::string_view decimal);

// Prices and quantities of a symbol in plain decimals.
std::string price_text(const Symbol& symbol, std::int64_t ticks);
// In coins, or in the quote of an inverse contract.
std::string quantity_text(const Symbol& symbol, int128 lots);
// The venue's own count.
std::string contracts_text(const Symbol& symbol, int128 lots);

}  // namespace mp::sim
