#include "sinks/clickhouse/rows/table.hpp"

namespace mp::sinks::clickhouse::rows {

std::vector<Column> lsr_top_position_columns() {
  return {{"long_position_ratio", kOptionalRatio},
          {"short_position_ratio", kOptionalRatio},
          {"long_short_ratio", kRatio},
          {"period", kWord}};
}

void encode(RowWriter& row, const LsrTopPosition& event) {
  row.optional_ratio(event.long_position_ratio, "long_position_ratio");
  row.optional_ratio(event.short_position_ratio, "short_position_ratio");
  row.ratio(event.long_short_ratio.value, "long_short_ratio");
  row.text(event.period);
}

}  // namespace mp::sinks::clickhouse::rows
