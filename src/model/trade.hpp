#pragma once
#include "model/event.hpp"

namespace mp {

// How a match came about: in the order book of its instrument, or agreed elsewhere and only reported there. Block
// trades (negotiated off the book) and the legs of combo trades (matched in the combo's own book) are part of the
// venue's volume, but prices and flows of a tape are usually meant without them.
enum class TradeExecution { book, block, combo };
const char* to_string(TradeExecution execution);
Result<TradeExecution> trade_execution_from(std::string_view text);

// One match at the venue (or one aggregate of fills: then first/last_trade_id are there).
struct Trade {
  static constexpr DataType kType = DataType::trade;
  EventMeta meta;
  std::string trade_id;
  Price price;
  Quantity quantity;
  QuantityUnit quantity_unit = QuantityUnit::base;
  std::optional<Contracts> contracts;         // the venue's own count
  Side side{};                                // the taker's; the buyer was the maker when it is sell
  std::optional<std::string> first_trade_id;  // of an aggregated trade
  std::optional<std::string> last_trade_id;
  TradeExecution execution = TradeExecution::book;

  bool is_aggregated() const { return first_trade_id.has_value(); }
  bool is_maker() const { return side == Side::sell; }
};

}  // namespace mp
