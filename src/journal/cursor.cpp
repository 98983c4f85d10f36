#include "journal/cursor.hpp"

#include <fmt/format.h>

namespace mp::journal {

struct Cursor::State {
  std::filesystem::path directory;
  std::shared_ptr<SourceTable> sources = std::make_shared<SourceTable>();
  RecordPosition from;
  std::optional<SegmentReader> reader;
  std::uint32_t segment = 0;  // being read; 0: none yet
  bool announced = false;     // `segment` was told
  bool told_first_gap = false;
  std::string loss;
  std::uint64_t lost_records = 0;
  Error error;

  CursorState next();
  std::optional<CursorState> read();
  std::optional<CursorState> next_segment();
  CursorState begin(const SegmentFile& file);
  CursorState fail(Error e) {
    error = std::move(e);
    return CursorState::failed;
  }
  CursorState lose(std::uint64_t records, std::string what) {
    lost_records += records;
    loss = std::move(what);
    return CursorState::loss;
  }
  Result<std::optional<SegmentFile>> following();
  std::optional<CursorState> compare(const SegmentHeader& next);
};

// The first segment behind the present one.
Result<std::optional<SegmentFile>> Cursor::State::following() {
  const auto files = list_segments(directory);
  if (!files) return files.error();
  const auto least = segment == 0 ? from.segment : segment + 1;
  for (const auto& file : *files)
    if (file.number >= least) return std::optional<SegmentFile>(file);
  return std::optional<SegmentFile>();
}

// What the next segment's header says about this one and those between.
std::optional<CursorState> Cursor::State::compare(const SegmentHeader& next) {
  if (segment == 0) {
    if (told_first_gap || from.segment == 0 || next.segment == from.segment) return std::nullopt;
    const bool had_ended = from.segment > next.previous_segment ||
                           (from.segment == next.previous_segment && from.record >= next.previous_records);
    if (next.previous_segment != 0 && had_ended) return std::nullopt;
    told_first_gap = true;
    return lose(0, fmt::format("segment {} is not on disk; the journal begins with {}", from.segment, next.segment));
  }
  const SegmentReached reached{segment, reader ? std::optional(reader->next_record()) : std::nullopt};
  const auto missing = missing_before(next, reached);
  if (!missing) return std::nullopt;
  return lose(missing->records, missing->what);
}

CursorState Cursor::State::begin(const SegmentFile& file) {
  auto opened = SegmentReader::open(file.path);
  if (!opened && opened.error().code == Errc::io) return fail(opened.error());
  std::optional<CursorState> difference;
  if (opened) difference = compare(opened->header());
  if (opened && difference && segment == 0) return *difference;  // told once; then the segment is begun
  segment = file.number;
  announced = !opened;
  reader.reset();
  if (!opened) return lose(0, fmt::format("segment {} cannot be read: {}", file.number, opened.error().text()));
  opened->share_sources(sources);
  reader = std::move(*opened);
  if (difference) return *difference;
  announced = true;
  return CursorState::segment;
}

std::optional<CursorState> Cursor::State::next_segment() {
  const auto file = following();
  if (!file) return fail(file.error());
  if (!*file) return CursorState::at_head;
  // The writer may have appended to the present segment after we saw its end, and then begun this one.
  if (reader) {
    const auto last_look = reader->next();
    if (last_look == ReadState::record) return CursorState::record;
    if (last_look == ReadState::failed) return fail(reader->error());
    if (last_look == ReadState::damaged)
      return lose(reader->damage().records.value_or(0),
                  fmt::format("segment {}, {}", segment, reader->damage().text()));
  }
  return begin(**file);
}

std::optional<CursorState> Cursor::State::read() {
  switch (reader->next()) {
    case ReadState::record: return CursorState::record;
    case ReadState::damaged:
      return lose(reader->damage().records.value_or(0),
                  fmt::format("segment {}, {}", segment, reader->damage().text()));
    case ReadState::failed: return fail(reader->error());
    case ReadState::end:
    case ReadState::no_more_yet:
    case ReadState::torn: break;
  }
  return std::nullopt;
}

CursorState Cursor::State::next() {
  if (segment != 0 && !announced) {
    announced = true;
    return CursorState::segment;
  }
  if (reader)
    if (const auto state = read()) return *state;
  return *next_segment();
}

Cursor::Cursor(std::unique_ptr<State> state) : state_(std::move(state)) {}
Cursor::Cursor(Cursor&&) noexcept = default;
Cursor& Cursor::operator=(Cursor&&) noexcept = default;
Cursor::~Cursor() = default;

Result<Cursor> Cursor::open(const std::filesystem::path& directory, RecordPosition from) {
  const auto files = list_segments(directory);
  if (!files) return files.error();
  auto state = std::make_unique<State>();
  state->directory = directory;
  state->from = from;
  return Cursor(std::move(state));
}

CursorState Cursor::next() { return state_->next(); }
const RawRecord& Cursor::record() const { return state_->reader->record(); }
RecordPosition Cursor::position() const { return state_->reader->position(); }
std::string_view Cursor::connection_url() const { return state_->reader->connection_url(); }
const SegmentHeader& Cursor::header() const { return state_->reader->header(); }
Result<Checkpoint> Cursor::checkpoint() { return state_->reader->checkpoint(); }
const std::string& Cursor::loss() const { return state_->loss; }
std::uint64_t Cursor::lost_records() const { return state_->lost_records; }
const Error& Cursor::error() const { return state_->error; }

}  // namespace mp::journal
