#include "sinks/clickhouse/rows/table.hpp"

namespace mp::sinks::clickhouse::rows {

std::vector<Column> liquidation_columns() {
  return {{"side", kWord},
          {"price", kOptionalMoney},
          {"average_price", kOptionalMoney},
          {"quantity", kMoney},
          {"quantity_unit", kWord},
          {"filled_quantity", kOptionalMoney},
          {"contracts", kOptionalMoney},
          {"status", kWord},
          {"coverage", kWord}};
}

void encode(RowWriter& row, const Liquidation& event) {
  row.text(to_string(event.side));
  row.optional_money(event.price, "price");
  row.optional_money(event.average_price, "average_price");
  row.money(event.quantity.value, "quantity");
  row.text(to_string(event.quantity_unit));
  row.optional_money(event.filled_quantity, "filled_quantity");
  row.optional_money(event.contracts, "contracts");
  row.text(event.status.value_or(""));
  row.text(to_string(event.coverage));
}

}  // namespace mp::sinks::clickhouse::rows
