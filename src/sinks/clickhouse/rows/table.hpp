#pragma once
// Which table holds which data type, its columns in the order in which rows are encoded, and the encoders.
// A test compares the columns with clickhouse_schema.sql.

#include <span>
#include <string>
#include <vector>

#include "model/market_event.hpp"
#include "sinks/clickhouse/rows/row_writer.hpp"

namespace mp::sinks::clickhouse {

struct Column {
  const char* name;
  const char* type;  // as ClickHouse writes it in system.columns
};

// Column types that recur.
inline constexpr const char* kTime = "DateTime64(9, 'UTC')";
inline constexpr const char* kOptionalTime = "Nullable(DateTime64(9, 'UTC'))";
inline constexpr const char* kWord = "LowCardinality(String)";
inline constexpr const char* kMoney = "Decimal(38, 12)";
inline constexpr const char* kOptionalMoney = "Nullable(Decimal(38, 12))";
inline constexpr const char* kRatio = "Decimal(38, 18)";
inline constexpr const char* kOptionalRatio = "Nullable(Decimal(38, 18))";
inline constexpr const char* kLevels = "Array(Tuple(price Decimal(38, 12), quantity Decimal(38, 12)))";

// Where a row stood on the bus: its identity.
struct BusPosition {
  WallTime stream;  // the stream's creation time
  std::uint64_t sequence = 0;
  std::uint32_t index = 0;  // the event's number in its message
};

// A table is divided by day (hot data), by month, or not at all; see PARTITION BY in the schema.
enum class Partitioning { day, month, none };

struct Table {
  DataType type{};
  std::string name;
  std::vector<Column> columns;  // of RowBinary, in order; the others have defaults
  Partitioning partitioning{};
  bool expires = false;  // a data table: TTL in the hot database, a twin in the cold one
};

const Table& table_of(DataType type);

// The number of the partition that a row of that time is in; equal numbers, equal partitions.
std::int32_t partition_number(Partitioning partitioning, WallTime time);
// The time that decides the partition of the event's row.
WallTime partition_time(const MarketEvent& event);

// Appends the event's row; nothing when a value does not fit (the Error names column and value).
Result<void> append_row(std::string& out, const MarketEvent& event, const BusPosition& position);

// What storage itself could not turn into a row. Appended to the table of DataType::rejected; always fits.
struct RejectedLine {
  WallTime received_at;                       // when the bus stored the message
  std::string exchange, market_type, symbol;  // as far as the subject tells
  std::string instrument;
  DataType data_type{};
  std::string data_source;  // as far as it is known
  std::string reason;
  std::string_view raw;
};
void append_rejected_row(std::string& out, const RejectedLine& line, const BusPosition& position);

// The encoders, one file each: what follows the common columns and stands before the bus's (data tables),
// or all but the bus's (the three tables about the data).
namespace rows {
std::vector<Column> orderbook_columns();
void encode(RowWriter& row, const OrderBook& event);
std::vector<Column> orderbook_delta_columns();
void encode(RowWriter& row, const OrderBookDelta& event);
std::vector<Column> trade_columns();
void encode(RowWriter& row, const Trade& event);
std::vector<Column> funding_rate_columns();
void encode(RowWriter& row, const FundingRate& event);
std::vector<Column> open_interest_columns();
void encode(RowWriter& row, const OpenInterest& event);
std::vector<Column> liquidation_columns();
void encode(RowWriter& row, const Liquidation& event);
std::vector<Column> lsr_top_position_columns();
void encode(RowWriter& row, const LsrTopPosition& event);
std::vector<Column> lsr_all_account_columns();
void encode(RowWriter& row, const LsrAllAccount& event);
std::vector<Column> volatility_index_columns();
void encode(RowWriter& row, const VolatilityIndex& event);
std::vector<Column> gap_columns();
void encode(RowWriter& row, const Gap& event);
std::vector<Column> rejected_columns();
void encode(RowWriter& row, const Rejected& event);
void encode(RowWriter& row, const RejectedLine& line);
std::vector<Column> instrument_columns();
void encode(RowWriter& row, const Instrument& event);
}  // namespace rows

}  // namespace mp::sinks::clickhouse
