#include "sinks/clickhouse/rows/table.hpp"

namespace mp::sinks::clickhouse::rows {

std::vector<Column> lsr_all_account_columns() {
  return {{"long_account_ratio", kOptionalRatio},
          {"short_account_ratio", kOptionalRatio},
          {"long_short_ratio", kRatio},
          {"period", kWord}};
}

void encode(RowWriter& row, const LsrAllAccount& event) {
  row.optional_ratio(event.long_account_ratio, "long_account_ratio");
  row.optional_ratio(event.short_account_ratio, "short_account_ratio");
  row.ratio(event.long_short_ratio.value, "long_short_ratio");
  row.text(event.period);
}

}  // namespace mp::sinks::clickhouse::rows
