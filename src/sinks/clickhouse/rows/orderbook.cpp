#include "sinks/clickhouse/rows/table.hpp"

namespace mp::sinks::clickhouse::rows {

namespace {

// The best price and quantity of one side; an empty side has none.
void best(RowWriter& row, const std::vector<BookLevel>& side, const char* price_column, const char* quantity_column) {
  using Optional = std::optional<Decimal>;
  row.optional_money(side.empty() ? Optional{} : Optional{side.front().price.value}, price_column);
  row.optional_money(side.empty() ? Optional{} : Optional{side.front().quantity.value}, quantity_column);
}

}  // namespace

std::vector<Column> orderbook_columns() {
  return {{"last_update_id", "UInt64"},
          {"quantity_unit", kWord},
          {"depth", "UInt32"},
          {"best_bid_price", kOptionalMoney},
          {"best_bid_quantity", kOptionalMoney},
          {"best_ask_price", kOptionalMoney},
          {"best_ask_quantity", kOptionalMoney},
          {"bid_count", "UInt32"},
          {"ask_count", "UInt32"},
          {"bids", kLevels},
          {"asks", kLevels}};
}

void encode(RowWriter& row, const OrderBook& event) {
  row.u64(event.last_update_id);
  row.text(to_string(event.quantity_unit));
  row.u32(event.depth);
  best(row, event.bids, "best_bid_price", "best_bid_quantity");
  best(row, event.asks, "best_ask_price", "best_ask_quantity");
  row.u32(static_cast<std::uint32_t>(event.bids.size()));
  row.u32(static_cast<std::uint32_t>(event.asks.size()));
  row.levels(event.bids, "bids");
  row.levels(event.asks, "asks");
}

}  // namespace mp::sinks::clickhouse::rows
