#include "sinks/clickhouse/rows/table.hpp"

namespace mp::sinks::clickhouse::rows {

std::vector<Column> funding_rate_columns() {
  return {{"funding_rate", kRatio},       {"funding_time", kOptionalTime}, {"next_funding_time", kOptionalTime},
          {"mark_price", kOptionalMoney}, {"index_price", kOptionalMoney}, {"funding_interval_hours", kOptionalMoney},
          {"is_settled", "Bool"}};
}

void encode(RowWriter& row, const FundingRate& event) {
  row.ratio(event.funding_rate.value, "funding_rate");
  row.optional_time(event.funding_time);
  row.optional_time(event.next_funding_time);
  row.optional_money(event.mark_price, "mark_price");
  row.optional_money(event.index_price, "index_price");
  row.optional_money(event.funding_interval_hours, "funding_interval_hours");
  row.boolean(event.is_settled);
}

}  // namespace mp::sinks::clickhouse::rows
