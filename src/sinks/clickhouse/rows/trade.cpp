#include "sinks/clickhouse/rows/table.hpp"

namespace mp::sinks::clickhouse::rows {

std::vector<Column> trade_columns() {
  return {{"trade_id", "String"},        {"price", kMoney},
          {"quantity", kMoney},          {"quantity_unit", kWord},
          {"contracts", kOptionalMoney}, {"side", kWord},
          {"is_maker", "Bool"},          {"is_aggregated", "Bool"},
          {"first_trade_id", "String"},  {"last_trade_id", "String"},
          {"execution", kWord}};
}

void encode(RowWriter& row, const Trade& event) {
  row.text(event.trade_id);
  row.money(event.price.value, "price");
  row.money(event.quantity.value, "quantity");
  row.text(to_string(event.quantity_unit));
  row.optional_money(event.contracts, "contracts");
  row.text(to_string(event.side));
  row.boolean(event.is_maker());
  row.boolean(event.is_aggregated());
  row.text(event.first_trade_id.value_or(""));
  row.text(event.last_trade_id.value_or(""));
  row.text(to_string(event.execution));
}

}  // namespace mp::sinks::clickhouse::rows
