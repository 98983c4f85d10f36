#include "journal/directory.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/text.hpp"
#include "journal/crc32c.hpp"
#include "journal/files.hpp"

namespace mp::journal {
namespace {

namespace fs = std::filesystem;

bool is_day(const std::string& name) {
  if (name.size() != 10) return false;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const bool dash = i == 4 || i == 7;
    if (dash ? name[i] != '-' : (name[i] < '0' || name[i] > '9')) return false;
  }
  return true;
}

std::optional<std::uint32_t> number_of(const std::string& file_name) {
  const std::string_view suffix = kSegmentSuffix;
  if (!file_name.ends_with(suffix)) return std::nullopt;
  const char* end = file_name.data() + file_name.size() - suffix.size();
  std::uint32_t number = 0;
  const auto [at, error] = std::from_chars(file_name.data(), end, number);
  if (error != std::errc{} || at != end || number == 0) return std::nullopt;
  return number;
}

Result<void> list_day(const fs::path& day, std::vector<SegmentFile>& out) {
  std::error_code error;
  for (fs::directory_iterator at(day, error), end; !error && at != end; at.increment(error)) {
    const auto number = number_of(at->path().filename().string());
    if (!number) continue;
    std::error_code gone;  // retention may delete it meanwhile
    const auto bytes = fs::file_size(at->path(), gone);
    if (!gone) out.push_back({*number, day.filename().string(), at->path(), bytes});
  }
  if (error && error != std::errc::no_such_file_or_directory) return io_error("list", day, error.value());
  return {};
}

// The closing note has a fixed size, so it is found from the file's end.
std::optional<SegmentEnd> read_closing_note(const SegmentFile& file, const SegmentHeader& header) {
  constexpr auto kWhole = kGroupHeaderSize + kSegmentEndSize;
  if (file.bytes < kDataOffset + kWhole) return std::nullopt;
  auto source = open_file_source(file.path);
  if (!source) return std::nullopt;
  char bytes[kWhole];
  const auto offset = file.bytes - kWhole;
  const auto got = (*source)->read_at(offset, bytes);
  if (!got || *got != kWhole) return std::nullopt;
  const std::string_view whole(bytes, kWhole);
  const auto group = GroupCheck(header.journal, header.segment).decode(whole, offset);
  const auto stored = whole.substr(kGroupHeaderSize);
  if (!group || group->type != GroupType::end || crc32c(0, stored) != group->stored_crc) return std::nullopt;
  return decode_segment_end(stored);
}

}  // namespace

std::string name_of(const SegmentFile& file) {
  return file.number == 0 ? file.path.string() : fmt::format("segment {}", file.number);
}

Result<std::vector<SegmentFile>> list_segments(const fs::path& directory) {
  std::vector<SegmentFile> segments;
  std::error_code error;
  for (fs::directory_iterator at(directory, error), end; !error && at != end; at.increment(error)) {
    if (!is_day(at->path().filename().string())) continue;
    if (auto listed = list_day(at->path(), segments); !listed) return listed.error();
  }
  if (error) return io_error("list", directory, error.value());
  std::sort(segments.begin(), segments.end(),
            [](const SegmentFile& a, const SegmentFile& b) { return a.number < b.number; });
  const auto twice = std::adjacent_find(segments.begin(), segments.end(),
                                        [](const auto& a, const auto& b) { return a.number == b.number; });
  if (twice != segments.end())
    return Error{Errc::conflict, fmt::format("journal directory {}", directory.string()),
                 fmt::format("two segments have the number {}: {} and {}; move one of them away", twice->number,
                             twice->path.string(), std::next(twice)->path.string())};
  return segments;
}

Result<JournalId> read_journal_id(const fs::path& directory) {
  const auto path = directory / kIdFile;
  auto text = read_small_file(path, 256);
  if (!text) return text.error();
  while (!text->empty() && (text->back() == '\n' || text->back() == '\r')) text->pop_back();
  auto id = JournalId::parse(*text);
  if (!id) return Error{Errc::corrupt, path.string(), "holds no journal id: " + shortened(*text, 40)};
  return *id;
}

fs::path segment_path(const fs::path& directory, const std::string& day, std::uint32_t number) {
  return directory / day / fmt::format("{:08}{}", number, kSegmentSuffix);
}

Result<SegmentSummary> summarize_all(SegmentReader& reader) {
  SegmentSummary summary;
  summary.header = reader.header();
  while (true) {
    switch (reader.next()) {
      case ReadState::record: {
        const auto& record = reader.record();
        const auto at = record.received_at;
        summary.first_time = std::min(summary.first_time.value_or(at), at);
        summary.last_time = std::max(summary.last_time.value_or(at), at);
        summary.highest_connection = std::max(summary.highest_connection, record.connection);
        continue;
      }
      case ReadState::damaged:
        ++summary.damages;
        summary.lost_records += reader.damage().records.value_or(0);
        continue;
      case ReadState::torn: summary.torn_bytes = reader.torn_bytes(); break;
      case ReadState::end:
        summary.closed = true;
        summary.highest_connection = std::max(summary.highest_connection, reader.closing_note().highest_connection);
        break;
      case ReadState::no_more_yet: break;
      case ReadState::failed: return reader.error();
    }
    summary.records = reader.next_record();
    summary.raw_bytes = reader.raw_bytes();
    return summary;
  }
}

Result<SegmentSummary> summarize(const SegmentFile& file) {
  auto reader = SegmentReader::open(file.path);
  if (!reader) return reader.error();
  const auto note = read_closing_note(file, reader->header());
  if (!note) return summarize_all(*reader);
  SegmentSummary summary;
  summary.header = reader->header();
  summary.records = note->records;
  summary.highest_connection = note->highest_connection;
  summary.raw_bytes = note->raw_bytes;
  summary.closed = true;
  if (note->records > 0) {
    summary.first_time = wall_from_nanos(note->first_time);
    summary.last_time = wall_from_nanos(note->last_time);
  }
  return summary;
}

std::optional<MissingRecords> missing_before(const SegmentHeader& next, const SegmentReached& reached) {
  if (next.previous_segment > reached.segment)
    return MissingRecords{
        next.previous_records,
        fmt::format("segments behind {} and up to {} are not on disk; the last of them held {} records",
                    reached.segment, next.previous_segment, next.previous_records)};
  if (next.previous_segment != reached.segment || !reached.records || next.previous_records <= *reached.records)
    return std::nullopt;
  const auto missing = next.previous_records - *reached.records;
  return MissingRecords{missing,
                        fmt::format("segment {} ends at record {}, but held {} when segment {} began; {} records lost",
                                    reached.segment, *reached.records, next.previous_records, next.segment, missing)};
}

}  // namespace mp::journal
