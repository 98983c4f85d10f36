#include "journal/segment_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <span>

#include "journal/bytes.hpp"
#include "journal/crc32c.hpp"
#include "journal/zstd_stream.hpp"

namespace mp::journal {
namespace {

constexpr std::size_t kReadAhead = 256u << 10;
constexpr std::size_t kKeptBuffer = 8u << 20;  // a buffer that grew beyond is given back

// A window on a ByteSource.
class Window {
 public:
  explicit Window(std::unique_ptr<ByteSource> source) : source_(std::move(source)) {}

  // At most `count` bytes from `offset`: fewer only at the present end. Valid until the next call.
  Result<std::string_view> at(std::uint64_t offset, std::size_t count) {
    if (offset < start_ || offset + count > start_ + bytes_.size()) {
      if (auto read = load(offset, std::max(count, kReadAhead)); !read) return read.error();
    }
    const auto skipped = static_cast<std::size_t>(offset - start_);
    return std::string_view(bytes_).substr(skipped, count);
  }

  // Whether the source has `count` bytes from `offset`; asks for its size only when it must.
  Result<bool> has(std::uint64_t offset, std::uint64_t count) {
    if (offset + count > size_) {
      const auto size = source_->size();
      if (!size) return size.error();
      size_ = *size;
    }
    return offset + count <= size_;
  }

  Result<std::uint64_t> size() { return source_->size(); }

  void forget() {
    if (bytes_.capacity() > kKeptBuffer) bytes_ = std::string();
    bytes_.clear();
    start_ = 0;
    size_ = 0;
  }

 private:
  Result<void> load(std::uint64_t offset, std::size_t count) {
    if (bytes_.capacity() > kKeptBuffer && count <= kReadAhead) bytes_ = std::string();
    bytes_.resize(count);
    start_ = offset;
    const auto got = source_->read_at(offset, bytes_);
    bytes_.resize(got ? *got : 0);
    if (!got) return got.error();
    return {};
  }

  std::unique_ptr<ByteSource> source_;
  std::string bytes_;
  std::uint64_t start_ = 0;
  std::uint64_t size_ = 0;
};

struct Headers {
  SegmentHeader header;
  std::optional<Damage> damage;
};

Result<Headers> read_headers(ByteSource& source, const std::string& name) {
  const auto copy_at = [&](std::uint64_t offset) -> Result<SegmentHeader> {
    char bytes[kHeaderSize];
    const auto got = source.read_at(offset, bytes);
    if (!got) return got.error();
    if (*got < kHeaderSize)
      return Error{Errc::unavailable, "segment header", fmt::format("the file ends after {} bytes", offset + *got)};
    return decode_segment_header({bytes, kHeaderSize});
  };
  const auto first = copy_at(0);
  const auto second = copy_at(kHeaderCopyOffset);
  const auto damage = [](std::uint64_t at, const Error& e) {
    return Damage{at, kHeaderSize, 0, 0, "segment header: " + e.seen + " (its other copy is good)"};
  };
  if (first && second) return Headers{*first, std::nullopt};
  if (first) {
    // A file that ends in front of the second copy is torn there, which is told by next().
    if (second.error().code == Errc::unavailable) return Headers{*first, std::nullopt};
    return Headers{*first, damage(kHeaderCopyOffset, second.error())};
  }
  if (second) return Headers{*second, damage(0, first.error())};
  auto error = first.error();
  error.where = name + ": " + error.where;
  return error;
}

}  // namespace

std::string Damage::text() const {
  std::string text = fmt::format("bytes {} to {}: {}", offset, offset + bytes, what);
  if (!records)
    text += fmt::format("; how many records were lost from {} on cannot be known", first_record);
  else if (*records > 0)
    text += fmt::format("; {} records lost from {} on", *records, first_record);
  return text;
}

struct SegmentReader::State {
  State(std::unique_ptr<ByteSource> source, Headers headers)
      : window(std::move(source)),
        header(std::move(headers.header)),
        header_damage(std::move(headers.damage)),
        check(header.journal, header.segment) {}

  // What looking at the place `offset` decided: a state to return, or nothing to go on.
  using Step = std::optional<ReadState>;

  ReadState next();
  Step read_group();
  Step read_end(const GroupHeader& group);
  Step unpack(const GroupHeader& group, std::string_view stored);
  Step take_record();
  Step resync();
  Step missing_bytes(ReadState state);
  Step fail(Error e);
  Step lose(std::string what, std::uint64_t scan_from, std::optional<std::uint32_t> known_records);
  Step found_again(std::uint64_t at, std::uint32_t record);
  Step lost_to_the_end(std::uint64_t size);
  Result<bool> only_zeros_from(std::uint64_t from);
  Result<std::string_view> stored_bytes(std::uint64_t at, const GroupHeader& group);

  Window window;
  SegmentHeader header;
  std::optional<Damage> header_damage;
  GroupCheck check;
  std::shared_ptr<SourceTable> sources = std::make_shared<SourceTable>();
  RecordDecoder decoder{*sources};
  BlockDecompressor decompressor;

  std::uint64_t offset = kDataOffset;  // of the next group
  std::uint32_t expected = 0;          // number of the next record
  bool in_block = false;
  bool looked_twice = false;  // at the bytes here, which were not good the first time
  bool ended = false;
  bool trailing_told = false;
  SegmentEnd end_note;

  std::string raw;  // of the group whose records are being given out
  std::uint32_t left_in_group = 0;
  RawRecord record;
  RecordPosition position;

  // While `lost`: no block to go on with has been found yet.
  bool lost = false;
  std::uint64_t lost_at = 0;
  std::uint64_t scan_at = 0;
  std::uint64_t told_to = 0;  // the loss has been reported up to here; 0: not yet
  std::optional<std::uint32_t> lost_records;
  std::string lost_why;

  Damage damage;
  Error error;
  std::uint64_t raw_bytes = 0;
  std::uint64_t torn_bytes = 0;
  std::uint32_t groups = 0;
  std::uint32_t blocks = 0;
};

SegmentReader::State::Step SegmentReader::State::fail(Error e) {
  error = std::move(e);
  return ReadState::failed;
}

// The bytes needed are not there. What was read ahead is dropped: a writer that could not finish a group takes
// it back, and other bytes may stand here next time.
SegmentReader::State::Step SegmentReader::State::missing_bytes(ReadState state) {
  window.forget();
  if (state == ReadState::torn) {
    const auto size = window.size();
    if (!size) return fail(size.error());
    torn_bytes = *size > offset ? *size - offset : 0;
  }
  return state;
}

SegmentReader::State::Step SegmentReader::State::lose(std::string what, std::uint64_t scan_from,
                                                      std::optional<std::uint32_t> known_records) {
  if (!looked_twice) {  // perhaps the bytes read ahead are out of date
    looked_twice = true;
    window.forget();
    return std::nullopt;
  }
  lost = true;
  lost_at = offset;
  scan_at = scan_from;
  told_to = 0;
  lost_records = known_records;
  lost_why = std::move(what);
  in_block = false;
  left_in_group = 0;
  return std::nullopt;
}

Result<bool> SegmentReader::State::only_zeros_from(std::uint64_t from) {
  while (true) {
    const auto bytes = window.at(from, kReadAhead);
    if (!bytes) return bytes.error();
    if (bytes->empty()) return true;
    if (bytes->find_first_not_of('\0') != bytes->npos) return false;
    from += bytes->size();
  }
}

// Empty when the checksum is wrong. The caller knows that the bytes are there.
Result<std::string_view> SegmentReader::State::stored_bytes(std::uint64_t at, const GroupHeader& group) {
  const auto stored = window.at(at + kGroupHeaderSize, group.stored);
  if (!stored) return stored.error();
  if (stored->size() != group.stored || crc32c(0, *stored) != group.stored_crc) return std::string_view();
  return *stored;
}

SegmentReader::State::Step SegmentReader::State::read_end(const GroupHeader& group) {
  const auto stored = stored_bytes(offset, group);
  if (!stored) return fail(stored.error());
  const auto note = decode_segment_end(*stored);
  const auto behind = offset + kGroupHeaderSize + group.stored;
  if (!note) return lose("the closing note's checksum is wrong", behind, std::nullopt);
  end_note = *note;
  ended = true;
  offset = behind;
  if (note->records > expected) {
    damage = {behind - kGroupHeaderSize - group.stored, 0, expected, note->records - expected,
              "the closing note counts more records than were found"};
    expected = note->records;
    return ReadState::damaged;
  }
  return std::nullopt;
}

SegmentReader::State::Step SegmentReader::State::unpack(const GroupHeader& group, std::string_view stored) {
  const auto behind = offset + kGroupHeaderSize + group.stored;
  if (group.type == GroupType::block) {
    const auto first = load_fixed<std::uint32_t>(stored.data());
    if (first != expected) return lose("record numbers do not continue", behind, std::nullopt);
    stored.remove_prefix(4);
    decompressor.begin_block();
    decoder.begin_block();
  }
  if (raw.capacity() > kKeptBuffer) raw = std::string();
  if (!decompressor.unpack_group(stored, kMaxGroupRaw, raw))
    return lose("cannot be decompressed", behind, group.records);
  const auto size = raw.size();
  raw.resize(size + RawRecord::kFramePadding);
  decoder.begin_group(std::string_view(raw).substr(0, size));
  if (group.type == GroupType::block) ++blocks;
  ++groups;
  raw_bytes += size;
  in_block = true;
  looked_twice = false;
  left_in_group = group.records;
  offset = behind;
  return std::nullopt;
}

SegmentReader::State::Step SegmentReader::State::read_group() {
  const auto bytes = window.at(offset, kGroupHeaderSize);
  if (!bytes) return fail(bytes.error());
  if (bytes->size() < kGroupHeaderSize) {
    // The file may even end inside its own header.
    const auto size = window.size();
    if (!size) return fail(size.error());
    if (*size == offset) return missing_bytes(ReadState::no_more_yet);
    return missing_bytes(ReadState::torn);
  }
  const auto group = check.decode(*bytes, offset);
  if (!group) {
    const auto zeros = only_zeros_from(offset);
    if (!zeros) return fail(zeros.error());
    // After a power cut a file may have its new length, but not yet its new bytes.
    if (*zeros) return missing_bytes(ReadState::torn);
    return lose("a group's header is damaged", offset + 1, std::nullopt);
  }
  const auto behind = offset + kGroupHeaderSize + group->stored;
  const auto complete = window.has(offset, kGroupHeaderSize + std::uint64_t{group->stored});
  if (!complete) return fail(complete.error());
  if (!*complete) return missing_bytes(ReadState::torn);

  if (group->type == GroupType::checkpoint) {
    if (offset != kDataOffset) return lose("a checkpoint in the midst of records", behind, 0);
    offset = behind;
    return std::nullopt;
  }
  if (group->type == GroupType::end) return read_end(*group);

  const auto stored = stored_bytes(offset, *group);
  if (!stored) return fail(stored.error());
  if (stored->size() != group->stored || (group->type == GroupType::block && stored->size() < 4))
    return lose("a group's checksum is wrong", behind, group->records);
  if (group->type == GroupType::more && !in_block)
    return lose("a group continues a block that is not there", behind, group->records);
  return unpack(*group, *stored);
}

SegmentReader::State::Step SegmentReader::State::take_record() {
  switch (decoder.next(record)) {
    case RecordDecoder::Next::record:
      position = {header.segment, expected};
      ++expected;
      --left_in_group;
      return ReadState::record;
    case RecordDecoder::Next::end:
    case RecordDecoder::Next::malformed: break;
  }
  looked_twice = true;  // its checksum was good: looking again would not help
  return lose("a group does not hold the records that it announces", offset, left_in_group);
}

SegmentReader::State::Step SegmentReader::State::found_again(std::uint64_t at, std::uint32_t number) {
  const auto from = told_to == 0 ? lost_at : told_to;
  damage = {from, at > from ? at - from : 0, expected, number - expected, lost_why};
  lost = false;
  looked_twice = false;
  offset = at;
  expected = number;
  return ReadState::damaged;
}

SegmentReader::State::Step SegmentReader::State::lost_to_the_end(std::uint64_t size) {
  window.forget();
  if (told_to != 0) return ReadState::no_more_yet;
  damage = {lost_at, size > lost_at ? size - lost_at : 0, expected, lost_records, lost_why};
  told_to = std::max(size, lost_at);
  return ReadState::damaged;
}

// Looks for the next block (or the closing note) behind the damage.
SegmentReader::State::Step SegmentReader::State::resync() {
  const auto size = window.size();
  if (!size) return fail(size.error());
  while (scan_at + kGroupHeaderSize <= *size) {
    auto bytes = window.at(scan_at, kReadAhead);
    if (!bytes) return fail(bytes.error());
    const auto mark = bytes->find(kGroupMark);
    if (mark == bytes->npos) {
      scan_at += std::max<std::size_t>(bytes->size(), 1);
      lost_records.reset();
      continue;
    }
    if (mark > 0) lost_records.reset();
    scan_at += mark;
    bytes = window.at(scan_at, kGroupHeaderSize);
    if (!bytes) return fail(bytes.error());
    const auto group = check.decode(*bytes, scan_at);
    if (!group) {
      ++scan_at;
      lost_records.reset();
      continue;
    }
    const auto behind = scan_at + kGroupHeaderSize + group->stored;
    if (behind > *size) break;  // perhaps its rest is written later
    if (group->type == GroupType::block || group->type == GroupType::end) {
      const auto stored = stored_bytes(scan_at, *group);
      if (!stored) return fail(stored.error());
      const auto note = group->type == GroupType::end ? decode_segment_end(*stored) : std::nullopt;
      if (note && note->records >= expected) return found_again(scan_at, note->records);
      if (group->type == GroupType::block && stored->size() >= 4 && stored->size() == group->stored) {
        const auto number = load_fixed<std::uint32_t>(stored->data());
        if (number >= expected) return found_again(scan_at, number);
      }
    }
    // A group that needs what was lost: it is lost too, but it tells how many records it had.
    if (lost_records) *lost_records += group->records;
    scan_at = behind;
  }
  return lost_to_the_end(*size);
}

ReadState SegmentReader::State::next() {
  while (true) {
    Step step;
    if (left_in_group > 0) {
      step = take_record();
    } else if (ended) {
      const auto size = window.size();
      if (!size) return *fail(size.error());
      if (*size <= offset || trailing_told) return ReadState::end;
      trailing_told = true;
      damage = {offset, *size - offset, expected, 0, "bytes behind the closing note"};
      return ReadState::damaged;
    } else if (lost) {
      step = resync();
    } else {
      step = read_group();
    }
    if (step) return *step;
  }
}

SegmentReader::SegmentReader(std::unique_ptr<State> state) : state_(std::move(state)) {}
SegmentReader::SegmentReader(SegmentReader&&) noexcept = default;
SegmentReader& SegmentReader::operator=(SegmentReader&&) noexcept = default;
SegmentReader::~SegmentReader() = default;

Result<SegmentReader> SegmentReader::open(const std::filesystem::path& path) {
  auto source = open_file_source(path);
  if (!source) return source.error();
  return open(std::move(*source), path.string());
}

Result<SegmentReader> SegmentReader::open(std::unique_ptr<ByteSource> source, std::string name) {
  auto headers = read_headers(*source, name);
  if (!headers) return headers.error();
  return SegmentReader(std::make_unique<State>(std::move(source), std::move(*headers)));
}

const SegmentHeader& SegmentReader::header() const { return state_->header; }
const std::optional<Damage>& SegmentReader::header_damage() const { return state_->header_damage; }

Result<Checkpoint> SegmentReader::checkpoint() {
  auto& s = *state_;
  const Error too_short{Errc::unavailable, "checkpoint", "the file ends before it"};
  const Error damaged{Errc::corrupt, "checkpoint", "its checksum is wrong"};
  const auto bytes = s.window.at(kDataOffset, kGroupHeaderSize);
  if (!bytes) return bytes.error();
  if (bytes->size() < kGroupHeaderSize) return too_short;
  const auto group = s.check.decode(*bytes, kDataOffset);
  if (!group || group->type != GroupType::checkpoint) return damaged;
  const auto complete = s.window.has(kDataOffset, kGroupHeaderSize + std::uint64_t{group->stored});
  if (!complete) return complete.error();
  if (!*complete) return too_short;
  const auto stored = s.stored_bytes(kDataOffset, *group);
  if (!stored) return stored.error();
  std::string raw;
  if (!decompress(*stored, kMaxCheckpoint, raw)) return damaged;
  return decode_checkpoint(raw);
}

ReadState SegmentReader::next() { return state_->next(); }
const RawRecord& SegmentReader::record() const { return state_->record; }
RecordPosition SegmentReader::position() const { return state_->position; }

std::string_view SegmentReader::connection_url() const {
  const auto* connection = state_->decoder.connection(state_->record.connection);
  return connection == nullptr ? std::string_view() : std::string_view(connection->url);
}

const Damage& SegmentReader::damage() const { return state_->damage; }
const Error& SegmentReader::error() const { return state_->error; }
const SegmentEnd& SegmentReader::closing_note() const { return state_->end_note; }
std::uint32_t SegmentReader::next_record() const { return state_->expected; }
std::uint64_t SegmentReader::offset() const { return state_->offset; }
std::uint64_t SegmentReader::raw_bytes() const { return state_->raw_bytes; }
std::uint32_t SegmentReader::groups() const { return state_->groups; }
std::uint32_t SegmentReader::blocks() const { return state_->blocks; }
std::uint64_t SegmentReader::torn_bytes() const { return state_->torn_bytes; }

void SegmentReader::share_sources(std::shared_ptr<SourceTable> sources) {
  state_->sources = std::move(sources);
  state_->decoder = RecordDecoder(*state_->sources);
}

}  // namespace mp::journal
