#include "sinks/clickhouse/rows/table.hpp"

namespace mp::sinks::clickhouse::rows {

std::vector<Column> instrument_columns() {
  return {{"valid_from", kTime},
          {"received_at", kTime},
          {"exchange", kWord},
          {"market_type", kWord},
          {"symbol", kWord},
          {"instrument", kWord},
          {"data_source", kWord},
          {"base_asset", kWord},
          {"quote_asset", kWord},
          {"settlement_asset", kWord},
          {"contract_size", kMoney},
          {"quantity_unit", kWord},
          {"tick_size", kOptionalMoney},
          {"lot_size", kOptionalMoney},
          {"status", kWord},
          {"expiry", kOptionalTime},
          {"strike", kOptionalMoney},
          {"option_right", kWord},
          {"version", "UInt64"}};
}

void encode(RowWriter& row, const Instrument& event) {
  const auto& about = *event.meta.instrument;
  row.time(event.meta.timestamp);
  row.time(event.meta.received_at);
  row.text(about.exchange);
  row.text(to_string(about.market_type));
  row.text(about.symbol);
  row.text(about.instrument);
  row.text(to_string(event.meta.data_source));
  row.text(event.base_asset);
  row.text(event.quote_asset);
  row.text(event.settlement_asset);
  row.money(event.contract_size, "contract_size");
  row.text(to_string(event.quantity_unit));
  row.optional_money(event.tick_size, "tick_size");
  row.optional_money(event.lot_size, "lot_size");
  row.text(event.status);
  row.optional_time(event.expiry);
  row.optional_money(event.strike, "strike");
  row.text(event.option_right ? to_string(*event.option_right) : "");
  row.u64(static_cast<std::uint64_t>(nanos_since_epoch(event.meta.received_at)));
}

}  // namespace mp::sinks::clickhouse::rows
