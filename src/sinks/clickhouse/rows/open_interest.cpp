#include "sinks/clickhouse/rows/table.hpp"

namespace mp::sinks::clickhouse::rows {

std::vector<Column> open_interest_columns() {
  return {{"open_interest", kMoney},
          {"quantity_unit", kWord},
          {"open_interest_value", kOptionalMoney},
          {"contracts", kOptionalMoney}};
}

void encode(RowWriter& row, const OpenInterest& event) {
  row.money(event.open_interest.value, "open_interest");
  row.text(to_string(event.quantity_unit));
  row.optional_money(event.open_interest_value, "open_interest_value");
  row.optional_money(event.contracts, "contracts");
}

}  // namespace mp::sinks::clickhouse::rows
