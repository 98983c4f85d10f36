#include "sinks/clickhouse/rows/table.hpp"

namespace mp::sinks::clickhouse::rows {

std::vector<Column> orderbook_delta_columns() {
  return {{"first_update_id", "UInt64"},
          {"last_update_id", "UInt64"},
          {"prev_update_id", "Nullable(UInt64)"},
          {"quantity_unit", kWord},
          {"is_snapshot", "Bool"},
          {"bid_count", "UInt32"},
          {"ask_count", "UInt32"},
          {"bids", kLevels},
          {"asks", kLevels}};
}

void encode(RowWriter& row, const OrderBookDelta& event) {
  row.u64(event.first_update_id);
  row.u64(event.last_update_id);
  row.optional_u64(event.prev_update_id);
  row.text(to_string(event.quantity_unit));
  row.boolean(event.is_snapshot);
  row.u32(static_cast<std::uint32_t>(event.bids.size()));
  row.u32(static_cast<std::uint32_t>(event.asks.size()));
  row.levels(event.bids, "bids");
  row.levels(event.asks, "asks");
}

}  // namespace mp::sinks::clickhouse::rows
