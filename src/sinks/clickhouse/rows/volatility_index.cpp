#include "sinks/clickhouse/rows/table.hpp"

namespace mp::sinks::clickhouse::rows {

std::vector<Column> volatility_index_columns() {
  return {{"index_value", kRatio}, {"open", kOptionalRatio}, {"high", kOptionalRatio},
          {"low", kOptionalRatio}, {"resolution", kWord},    {"underlying_asset", kWord}};
}

void encode(RowWriter& row, const VolatilityIndex& event) {
  row.ratio(event.index_value.value, "index_value");
  row.optional_ratio(event.open, "open");
  row.optional_ratio(event.high, "high");
  row.optional_ratio(event.low, "low");
  row.text(event.resolution.value_or(""));
  row.text(event.underlying_asset);
}

}  // namespace mp::sinks::clickhouse::rows
