#include "sinks/clickhouse/rows/table.hpp"

#include <array>
#include <type_traits>

namespace mp::sinks::clickhouse {
namespace {

void append_all(std::vector<Column>& to, const std::vector<Column>& more) {
  to.insert(to.end(), more.begin(), more.end());
}

std::vector<Column> common_columns() {
  return {{"timestamp", kTime}, {"received_at", kTime}, {"exchange", kWord},   {"market_type", kWord},
          {"symbol", kWord},    {"instrument", kWord},  {"data_source", kWord}};
}

std::vector<Column> bus_columns() {
  return {{"bus_stream", kTime}, {"bus_sequence", "UInt64"}, {"bus_index", "UInt32"}};
}

Table data_table(DataType type, std::string name, const std::vector<Column>& own) {
  Table table{type, std::move(name), common_columns(), Partitioning::day, true};
  append_all(table.columns, own);
  append_all(table.columns, bus_columns());
  return table;
}

Table report_table(DataType type, std::string name, std::vector<Column> own, Partitioning partitioning) {
  Table table{type, std::move(name), std::move(own), partitioning, false};
  append_all(table.columns, bus_columns());
  return table;
}

Table make_table(DataType type) {
  switch (type) {
    case DataType::orderbook: return data_table(type, "orderbooks", rows::orderbook_columns());
    case DataType::orderbook_delta: return data_table(type, "orderbook_deltas", rows::orderbook_delta_columns());
    case DataType::trade: return data_table(type, "trades", rows::trade_columns());
    case DataType::funding_rate: return data_table(type, "funding_rates", rows::funding_rate_columns());
    case DataType::open_interest: return data_table(type, "open_interests", rows::open_interest_columns());
    case DataType::liquidation: return data_table(type, "liquidations", rows::liquidation_columns());
    case DataType::lsr_top_position: return data_table(type, "lsr_top_positions", rows::lsr_top_position_columns());
    case DataType::lsr_all_account: return data_table(type, "lsr_all_accounts", rows::lsr_all_account_columns());
    case DataType::volatility_index: return data_table(type, "volatility_indices", rows::volatility_index_columns());
    case DataType::gap: return report_table(type, "data_gaps", rows::gap_columns(), Partitioning::month);
    case DataType::rejected:
      return report_table(type, "rejected_messages", rows::rejected_columns(), Partitioning::month);
    case DataType::instrument: return report_table(type, "instruments", rows::instrument_columns(), Partitioning::none);
  }
  throw std::logic_error("table_of: no such data type");
}

std::array<Table, kDataTypeCount> make_tables() {
  std::array<Table, kDataTypeCount> tables;
  for (int i = 0; i < kDataTypeCount; ++i) tables[static_cast<std::size_t>(i)] = make_table(static_cast<DataType>(i));
  return tables;
}

void write_common(RowWriter& row, const EventMeta& meta) {
  row.time(meta.timestamp);
  row.time(meta.received_at);
  row.text(meta.instrument->exchange);
  row.text(to_string(meta.instrument->market_type));
  row.text(meta.instrument->symbol);
  row.text(meta.instrument->instrument);
  row.text(to_string(meta.data_source));
}

void write_position(RowWriter& row, const BusPosition& position) {
  row.time(position.stream);
  row.u64(position.sequence);
  row.u32(position.index);
}

template <class Event>
constexpr bool kIsReport =
    std::is_same_v<Event, Gap> || std::is_same_v<Event, Rejected> || std::is_same_v<Event, Instrument>;

}  // namespace

const Table& table_of(DataType type) {
  static const auto tables = make_tables();
  return tables[static_cast<std::size_t>(type)];
}

std::int32_t partition_number(Partitioning partitioning, WallTime time) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  switch (partitioning) {
    case Partitioning::day: return static_cast<std::int32_t>(day.time_since_epoch().count());
    case Partitioning::month: {
      const std::chrono::year_month_day date{day};
      return static_cast<int>(date.year()) * 100 + static_cast<std::int32_t>(static_cast<unsigned>(date.month()));
    }
    case Partitioning::none: return 0;
  }
  return 0;
}

WallTime partition_time(const MarketEvent& event) {
  return std::visit(
      [](const auto& e) {
        using Event = std::decay_t<decltype(e)>;
        if constexpr (std::is_same_v<Event, Gap>) {
          return e.gap_start;
        } else if constexpr (std::is_same_v<Event, Rejected>) {
          return e.meta.received_at;
        } else {
          return e.meta.timestamp;
        }
      },
      event);
}

Result<void> append_row(std::string& out, const MarketEvent& event, const BusPosition& position) {
  RowWriter row{out};
  std::visit(
      [&](const auto& e) {
        if constexpr (!kIsReport<std::decay_t<decltype(e)>>) write_common(row, e.meta);
        rows::encode(row, e);
      },
      event);
  write_position(row, position);
  return row.finish();
}

void append_rejected_row(std::string& out, const RejectedLine& line, const BusPosition& position) {
  RowWriter row{out};
  rows::encode(row, line);
  write_position(row, position);
}

}  // namespace mp::sinks::clickhouse
