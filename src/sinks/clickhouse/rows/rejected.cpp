#include "sinks/clickhouse/rows/table.hpp"

namespace mp::sinks::clickhouse::rows {

std::vector<Column> rejected_columns() {
  return {{"received_at", kTime}, {"exchange", kWord},  {"market_type", kWord}, {"symbol", kWord},
          {"instrument", kWord},  {"data_type", kWord}, {"data_source", kWord}, {"reason", "String"},
          {"raw", "String"},      {"origin", kWord}};
}

void encode(RowWriter& row, const Rejected& event) {
  const auto* about = event.meta.instrument.get();
  row.time(event.meta.received_at);
  row.text(event.exchange);
  row.text(to_string(event.market_type));
  row.text(about != nullptr ? about->symbol : "");
  row.text(about != nullptr ? about->instrument : "");
  row.text(event.data_type ? to_string(*event.data_type) : "");
  row.text(to_string(event.meta.data_source));
  row.text(event.reason);
  row.text(event.raw);
  row.text("collector");
}

void encode(RowWriter& row, const RejectedLine& line) {
  row.time(line.received_at);
  row.text(line.exchange);
  row.text(line.market_type);
  row.text(line.symbol);
  row.text(line.instrument);
  row.text(to_string(line.data_type));
  row.text(line.data_source);
  row.text(line.reason);
  row.text(line.raw);
  row.text("storage");
}

}  // namespace mp::sinks::clickhouse::rows
