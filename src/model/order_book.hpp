#pragma once
#include "model/event.hpp"

namespace mp {

struct BookLevel {
  Price price;
  Quantity quantity;
  friend bool operator==(const BookLevel&, const BookLevel&) = default;
};

// A conflated picture of the top of a book; the deltas hold everything.
struct OrderBook {
  static constexpr DataType kType = DataType::orderbook;
  EventMeta meta;  // timestamp and received_at: of the last update in it
  std::uint64_t last_update_id = 0;
  QuantityUnit quantity_unit = QuantityUnit::base;
  std::uint32_t depth = 0;      // the level count that was asked for, per side
  std::vector<BookLevel> bids;  // best first
  std::vector<BookLevel> asks;
};

// A change of a book, or (is_snapshot) the whole of it. Quantity 0 removes a level.
struct OrderBookDelta {
  static constexpr DataType kType = DataType::orderbook_delta;
  EventMeta meta;
  std::uint64_t first_update_id = 0;
  std::uint64_t last_update_id = 0;
  std::optional<std::uint64_t> prev_update_id;
  QuantityUnit quantity_unit = QuantityUnit::base;
  std::vector<BookLevel> bids;  // in the venue's order
  std::vector<BookLevel> asks;
  bool is_snapshot = false;
};

}  // namespace mp
