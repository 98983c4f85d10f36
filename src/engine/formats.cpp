#include "engine/formats.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdint>

namespace mp::engine {
namespace {

bool starts_with(std::string_view text, std::string_view what) { return text.substr(0, what.size()) == what; }

struct NamedRule {
  std::string_view format;
  StreamRule rule;
};

constexpr std::array kRules{
    NamedRule{"TabSeparated", StreamRule::as_is},
    NamedRule{"TSV", StreamRule::as_is},
    NamedRule{"TabSeparatedRaw", StreamRule::as_is},
    NamedRule{"TSVRaw", StreamRule::as_is},
    NamedRule{"TSKV", StreamRule::as_is},
    NamedRule{"CSV", StreamRule::as_is},
    NamedRule{"JSONEachRow", StreamRule::as_is},
    NamedRule{"JSONLines", StreamRule::as_is},
    NamedRule{"NDJSON", StreamRule::as_is},
    NamedRule{"JSONStringsEachRow", StreamRule::as_is},
    NamedRule{"JSONCompactEachRow", StreamRule::as_is},
    NamedRule{"JSONCompactStringsEachRow", StreamRule::as_is},
    NamedRule{"RowBinary", StreamRule::as_is},
    NamedRule{"Native", StreamRule::as_is},
    NamedRule{"LineAsString", StreamRule::as_is},
    NamedRule{"RawBLOB", StreamRule::as_is},
    NamedRule{"TabSeparatedWithNames", StreamRule::one_line},
    NamedRule{"TSVWithNames", StreamRule::one_line},
    NamedRule{"TabSeparatedWithNamesAndTypes", StreamRule::two_lines},
    NamedRule{"TSVWithNamesAndTypes", StreamRule::two_lines},
    NamedRule{"JSONCompactEachRowWithNames", StreamRule::one_line},
    NamedRule{"JSONCompactEachRowWithNamesAndTypes", StreamRule::two_lines},
    NamedRule{"JSONCompactStringsEachRowWithNames", StreamRule::one_line},
    NamedRule{"JSONCompactStringsEachRowWithNamesAndTypes", StreamRule::two_lines},
    NamedRule{"CSVWithNames", StreamRule::csv_one_line},
    NamedRule{"CSVWithNamesAndTypes", StreamRule::csv_two_lines},
    NamedRule{"RowBinaryWithNames", StreamRule::binary_names},
    NamedRule{"RowBinaryWithNamesAndTypes", StreamRule::binary_names_and_types},
};

std::optional<std::size_t> lines_size(std::string_view document, int lines, bool quotes) {
  bool inside = false;
  for (std::size_t i = 0; i < document.size(); ++i) {
    if (quotes && document[i] == '"') inside = !inside;
    if (document[i] == '\n' && !inside && --lines == 0) return i + 1;
  }
  return std::nullopt;
}

// LEB128, as ClickHouse writes lengths.
std::optional<std::uint64_t> read_varint(std::string_view text, std::size_t& at) {
  std::uint64_t value = 0;
  for (int shift = 0; shift < 64 && at < text.size(); shift += 7) {
    const auto byte = static_cast<std::uint8_t>(text[at++]);
    value |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
    if ((byte & 0x80) == 0) return value;
  }
  return std::nullopt;
}

std::optional<std::size_t> binary_size(std::string_view document, std::uint64_t strings_per_column) {
  std::size_t at = 0;
  const auto columns = read_varint(document, at);
  if (!columns) return std::nullopt;
  for (std::uint64_t i = 0; i < *columns * strings_per_column; ++i) {
    const auto size = read_varint(document, at);
    if (!size || *size > document.size() - at) return std::nullopt;
    at += *size;
  }
  return at;
}

}  // namespace

std::string_view content_type_of(std::string_view format) {
  if (starts_with(format, "JSON") || format == "NDJSON") return "application/json; charset=UTF-8";
  if (starts_with(format, "TabSeparated") || starts_with(format, "TSV") || format == "TSKV") {
    return "text/tab-separated-values; charset=UTF-8";
  }
  if (format == "CSVWithNames" || format == "CSVWithNamesAndTypes") return "text/csv; charset=UTF-8; header=present";
  if (starts_with(format, "CSV")) return "text/csv; charset=UTF-8; header=absent";
  if (format == "XML") return "application/xml; charset=UTF-8";
  if (format == "Markdown") return "text/markdown; charset=UTF-8";
  for (const auto binary : {"Native", "RowBinary", "Parquet", "Arrow", "ORC", "Avro", "MsgPack", "Protobuf", "BSON",
                            "CapnProto", "Npy", "RawBLOB"}) {
    if (starts_with(format, binary)) return "application/octet-stream";
  }
  return "text/plain; charset=UTF-8";
}

StreamRule stream_rule(std::string_view format) {
  const auto found = std::find_if(kRules.begin(), kRules.end(), [&](const NamedRule& r) { return r.format == format; });
  return found == kRules.end() ? StreamRule::whole : found->rule;
}

std::optional<std::size_t> header_size(StreamRule rule, std::string_view document) {
  switch (rule) {
    case StreamRule::as_is:
    case StreamRule::whole: return 0;
    case StreamRule::one_line: return lines_size(document, 1, false);
    case StreamRule::two_lines: return lines_size(document, 2, false);
    case StreamRule::csv_one_line: return lines_size(document, 1, true);
    case StreamRule::csv_two_lines: return lines_size(document, 2, true);
    case StreamRule::binary_names: return binary_size(document, 1);
    case StreamRule::binary_names_and_types: return binary_size(document, 2);
  }
  return 0;
}

}  // namespace mp::engine
