#include "sinks/clickhouse/rows/table.hpp"

namespace mp::sinks::clickhouse::rows {

std::vector<Column> gap_columns() {
  return {{"exchange", kWord},        {"market_type", kWord},       {"symbol", kWord},      {"instrument", kWord},
          {"data_type", kWord},       {"data_source", kWord},       {"gap_start", kTime},   {"gap_end", kTime},
          {"last_id", "String"},      {"next_id", "String"},        {"cause", kWord},       {"state", kWord},
          {"recovered_by", "String"}, {"recovered_rows", "UInt64"}, {"detected_at", kTime}, {"gap_id", "String"},
          {"version", "UInt64"}};
}

void encode(RowWriter& row, const Gap& event) {
  const auto& about = *event.meta.instrument;
  row.text(about.exchange);
  // A gap of the bus itself belongs to no market: it has no exchange, and then no market type either.
  row.text(about.exchange.empty() ? "" : to_string(about.market_type));
  row.text(about.symbol);
  row.text(about.instrument);
  row.text(to_string(event.data_type));
  row.text(to_string(event.meta.data_source));
  row.time(event.gap_start);
  row.time(event.gap_end);
  row.text(event.last_id.value_or(""));
  row.text(event.next_id.value_or(""));
  row.text(to_string(event.cause));
  row.text("open");
  row.text("");  // recovered_by
  row.u64(0);    // recovered_rows
  row.time(event.meta.received_at);
  row.text(event.gap_id);
  // Later states of the same gap have later versions.
  row.u64(static_cast<std::uint64_t>(nanos_since_epoch(event.meta.received_at)));
}

}  // namespace mp::sinks::clickhouse::rows
