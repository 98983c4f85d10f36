#pragma once
// The simulation's own account of what its market did, as JSON lines in the form of the product's events.
// It shares no code with the product's encoders, so that the two can be compared.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

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
// One fill of it, as the raw trade series has it.
std::string fill_line(std::string_view exchange, const Symbol& symbol, const Trade& trade, const Fill& fill);
// All levels that the book has.
std::string book_line(std::string_view exchange, const Symbol& symbol, const Book& book, std::uint64_t last_update_id,
                      WallTime time);

// units × 10^-scale without trailing zeros: "65000.1", "0.00001", "12".
std::string plain_decimal(std::int64_t units, int scale);

}  // namespace mp::sim
