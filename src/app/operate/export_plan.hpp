#pragma once
// What an export asks of ClickHouse: statements, pieces of time, and the counting of rows in what comes. Pure.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "base/time.hpp"
#include "clickhouse/client.hpp"

namespace mp::operate {

enum class ExportFormat { parquet, csv, jsonl };
const char* to_string(ExportFormat format);
Result<ExportFormat> export_format_from(std::string_view text);

struct ExportRequest {
  std::string database;
  std::string table;
  std::vector<std::string> exchanges, market_types, symbols;  // empty: all
  std::vector<std::string> columns;                           // empty: all that the table stores
  WallTime from, to;                                          // from <= time < to
  ExportFormat format{};
};

struct ExportColumn {
  std::string name;
  std::string type;
  std::string kind;  // "", DEFAULT, ALIAS …
};

// A table or view as far as it matters here.
struct ExportTable {
  std::string time;                  // the column that from and to mean
  std::vector<std::string> columns;  // that are written
  std::vector<std::string> order;    // a total order: no two rows have all of these alike
};
// Errc::usage naming the nearest column for one that is not there, or when the table has no time.
Result<ExportTable> table_of(const ExportRequest& request, const std::vector<ExportColumn>& columns);

struct TimeRange {
  WallTime from, to;
};
struct ExportPiece {
  TimeRange range;
  std::uint64_t rows = 0;
};

// Each statement's answer is tab-separated.
std::string sql_columns(const ExportRequest& request);
std::string sql_names(const ExportRequest& request, const std::string& column);  // all that there are, at most 100 000
// "<beginning in seconds since 1970>\t<rows>" for each step of that length with rows.
std::string sql_counts(const ExportRequest& request, const ExportTable& table, const TimeRange& range,
                       std::chrono::seconds step);
// Average size of a row in bytes, uncompressed; no line for a view.
std::string sql_row_size(const ExportRequest& request);

// The rows of a piece, with FORMAT. `with_names`: CSV's line of names.
std::string sql_rows(const ExportRequest& request, const ExportTable& table, const TimeRange& range, bool with_names);
// Numbers as they are, times in ISO 8601 with Z, whatever the server's defaults.
std::vector<clickhouse::Setting> export_settings(ExportFormat format);

// Neighbours together as long as they stay within `most` rows; together they cover the range.
std::vector<ExportPiece> pieces_of(const TimeRange& range, const std::vector<ExportPiece>& counts, std::uint64_t most);

// Rows in text that comes in pieces: ends of lines, but for those within quotes where the format has such.
class RowCounter {
 public:
  explicit RowCounter(bool has_quotes, bool has_names) : has_quotes_(has_quotes), names_(has_names ? 1 : 0) {}
  void add(std::string_view bytes);
  std::uint64_t rows() const { return lines_ > names_ ? lines_ - names_ : 0; }

 private:
  bool has_quotes_;
  std::uint64_t names_;
  std::uint64_t lines_ = 0;
  bool inside_ = false;
};

// "2026-11-22", "2026-11-22T10:00", "2026-11-22 10:00:00.5", with or without Z: UTC. Errc::usage.
Result<WallTime> parse_moment(std::string_view text);

}  // namespace mp::operate
