#include "app/operate/export_plan.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.hpp"

namespace mp::operate {
namespace {

using clickhouse::sql_text;

// The first of these that a table has is its time.
constexpr const char* kTimes[] = {"timestamp", "gap_start", "valid_from", "received_at", "minute", "hour"};
constexpr const char* kKeys[] = {"exchange", "market_type", "symbol"};
constexpr const char* kPlace[] = {"bus_stream", "bus_sequence", "bus_index"};

std::string sql_name(std::string_view name) {
  std::string out = "`";
  for (const char c : name) {
    if (c == '`' || c == '\\') out += '\\';
    out += c;
  }
  return out + "`";
}
std::string quoted_all(const std::vector<std::string>& names) {
  std::string out;
  for (const auto& name : names) out += (out.empty() ? "" : ", ") + sql_name(name);
  return out;
}
std::string from_table(const ExportRequest& r) { return " FROM " + sql_name(r.database) + "." + sql_name(r.table); }

// "2026-11-22 17:44:30.123456789" is exact in every version; a number of nanoseconds is not taken by all functions.
std::string sql_time(WallTime t) {
  auto text = iso(t);
  text.pop_back();
  std::replace(text.begin(), text.end(), 'T', ' ');
  return fmt::format("toDateTime64('{}', 9, 'UTC')", text);
}

std::string condition(const char* column, const std::vector<std::string>& values) {
  if (values.empty()) return "";
  std::string list;
  for (const auto& value : values) list += (list.empty() ? "" : ", ") + sql_text(value);
  return fmt::format(" AND {} IN ({})", column, list);
}

std::string where(const ExportRequest& r, const ExportTable& table, const TimeRange& range) {
  const auto time = sql_name(table.time);
  return fmt::format(" WHERE {0} >= {1} AND {0} < {2}", time, sql_time(range.from), sql_time(range.to)) +
         condition("exchange", r.exchanges) + condition("market_type", r.market_types) + condition("symbol", r.symbols);
}

}  // namespace

const char* to_string(ExportFormat format) {
  switch (format) {
    case ExportFormat::parquet: return "parquet";
    case ExportFormat::csv: return "csv";
    case ExportFormat::jsonl: return "jsonl";
  }
  return "?";
}

Result<ExportFormat> export_format_from(std::string_view text) {
  for (const auto format : {ExportFormat::parquet, ExportFormat::csv, ExportFormat::jsonl})
    if (text == to_string(format)) return format;
  return Error{Errc::usage, "--format", fmt::format("parquet, csv or jsonl, saw '{}'", text)};
}

Result<ExportTable> table_of(const ExportRequest& r, const std::vector<ExportColumn>& columns) {
  std::vector<std::string> all;
  for (const auto& column : columns) all.push_back(column.name);
  const auto has = [&](const std::string& name) { return std::find(all.begin(), all.end(), name) != all.end(); };
  ExportTable table;
  for (const char* time : kTimes) {
    if (table.time.empty() && has(time)) table.time = time;
  }
  if (table.time.empty())
    return Error{Errc::usage, "--table",
                 fmt::format("{} has no column that says when ({})", r.table, fmt::join(kTimes, ", "))};
  const std::pair<const char*, const std::vector<std::string>*> filters[] = {
      {"exchange", &r.exchanges}, {"market_type", &r.market_types}, {"symbol", &r.symbols}};
  for (const auto& [column, values] : filters) {
    if (!values->empty() && !has(column))
      return Error{Errc::usage, "--table", fmt::format("{} has no column {} to choose by", r.table, column)};
  }
  for (const auto& name : r.columns) {
    if (!has(name)) {
      const auto near = nearest(name, all);
      return Error{
          Errc::usage, "--columns",
          fmt::format("{} has no column '{}'{}", r.table, name, near.empty() ? "" : "; did you mean " + near + "?")};
    }
    table.columns.push_back(name);
  }
  if (r.columns.empty()) {
    for (const auto& column : columns)
      if (column.kind != "ALIAS" && column.kind != "EPHEMERAL") table.columns.push_back(column.name);
  }
  const auto add = [&](const std::string& name) {
    if (has(name) && std::find(table.order.begin(), table.order.end(), name) == table.order.end())
      table.order.push_back(name);
  };
  add(table.time);
  for (const char* key : kKeys) add(key);
  for (const char* place : kPlace) add(place);
  // A row's place on the bus is its own; views have none: there all columns decide.
  if (!has(kPlace[1]))
    for (const auto& column : columns) add(column.name);
  return table;
}

std::string sql_columns(const ExportRequest& r) {
  return fmt::format(
      "SELECT name, type, default_kind FROM system.columns WHERE database = {} AND table = {} ORDER BY position FORMAT TabSeparated",
      sql_text(r.database), sql_text(r.table));
}

std::string sql_names(const ExportRequest& r, const std::string& column) {
  return "SELECT DISTINCT " + sql_name(column) + from_table(r) + " LIMIT 100000 FORMAT TabSeparated";
}

std::string sql_counts(const ExportRequest& r, const ExportTable& table, const TimeRange& range,
                       std::chrono::seconds step) {
  return fmt::format(
      "SELECT intDiv(toUnixTimestamp({}), {}) * {} AS step_begin, count(){}{} GROUP BY step_begin ORDER BY step_begin FORMAT TabSeparated",
      sql_name(table.time), step.count(), step.count(), from_table(r), where(r, table, range));
}

std::string sql_row_size(const ExportRequest& r) {
  return fmt::format(
      "SELECT intDiv(sum(data_uncompressed_bytes), sum(rows)) FROM system.parts WHERE active AND database = {} AND table = {} HAVING "
      "sum(rows) > 0 FORMAT TabSeparated",
      sql_text(r.database), sql_text(r.table));
}

std::string sql_rows(const ExportRequest& r, const ExportTable& table, const TimeRange& range, bool with_names) {
  const char* format = "";
  switch (r.format) {
    case ExportFormat::parquet: format = "Parquet"; break;
    case ExportFormat::csv: format = with_names ? "CSVWithNames" : "CSV"; break;
    case ExportFormat::jsonl: format = "JSONEachRow"; break;
  }
  return "SELECT " + quoted_all(table.columns) + from_table(r) + where(r, table, range) + " ORDER BY " +
         quoted_all(table.order) + " FORMAT " + format;
}

std::vector<clickhouse::Setting> export_settings(ExportFormat format) {
  switch (format) {
    case ExportFormat::parquet:
      return {{"output_format_parquet_string_as_string", "1"}, {"output_format_parquet_compression_method", "zstd"}};
    case ExportFormat::csv:
      return {{"date_time_output_format", "iso"},
              {"output_format_decimal_trailing_zeros", "0"},
              {"format_csv_delimiter", ","}};
    case ExportFormat::jsonl:
      return {{"date_time_output_format", "iso"},
              {"output_format_decimal_trailing_zeros", "0"},
              {"output_format_json_quote_decimals", "1"},
              {"output_format_json_quote_64bit_integers", "1"},
              {"output_format_json_named_tuples_as_objects", "1"},
              {"output_format_json_escape_forward_slashes", "0"}};
  }
  return {};
}

std::vector<ExportPiece> pieces_of(const TimeRange& range, const std::vector<ExportPiece>& counts, std::uint64_t most) {
  std::vector<ExportPiece> pieces{{range, 0}};
  for (const auto& step : counts) {
    auto& last = pieces.back();
    if (last.rows > 0 && last.rows + step.rows > most) {
      last.range.to = step.range.from;
      pieces.push_back({{step.range.from, range.to}, step.rows});
    } else {
      last.rows += step.rows;
    }
  }
  return pieces;
}

void RowCounter::add(std::string_view bytes) {
  if (!has_quotes_) {
    lines_ += static_cast<std::uint64_t>(std::count(bytes.begin(), bytes.end(), '\n'));
    return;
  }
  for (const char c : bytes) {
    // A doubled quote within quotes closes and opens again.
    if (c == '"') inside_ = !inside_;
    if (c == '\n' && !inside_) ++lines_;
  }
}

Result<WallTime> parse_moment(std::string_view text) {
  constexpr std::size_t kDay = 10, kMinute = 16;  // of "2026-11-22T10:00"
  std::string whole(text);
  const bool has_zone = whole.ends_with('Z');
  if (has_zone) whole.pop_back();
  if (whole.size() == kDay) whole += "T00:00:00";
  if (whole.size() == kMinute) whole += ":00";
  if (auto time = parse_iso(has_zone ? whole + "Z" : whole)) return *time;
  return Error{Errc::usage, "", fmt::format("a UTC time like 2026-11-22 or 2026-11-22T10:00:00Z, saw '{}'", text)};
}

}  // namespace mp::operate
