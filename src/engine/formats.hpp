#pragma once
// What the front must know of ClickHouse's output formats: the content type, and how documents
// follow one another. Pure.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace mp::engine {

std::string_view content_type_of(std::string_view format);

// The engine gives a streamed result as documents, each with what the format puts before its rows.
enum class StreamRule {
  as_is,         // nothing stands before the rows: documents can follow one another
  one_line,      // a line of names: to be cut off all but the first document
  two_lines,     // names and types
  csv_one_line,  // the same, where a quoted name may hold a line break
  csv_two_lines,
  binary_names,            // RowBinaryWithNames: count and names
  binary_names_and_types,  // RowBinaryWithNamesAndTypes
  whole,                   // brackets, totals, footers: read at once
};
StreamRule stream_rule(std::string_view format);

// How many bytes stand before the rows of this document. Nothing when it has no whole header.
std::optional<std::size_t> header_size(StreamRule rule, std::string_view document);

}  // namespace mp::engine
