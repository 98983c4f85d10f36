#include "journal/journal.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "base/text.hpp"
#include "journal/bytes.hpp"
#include "journal/crc32c.hpp"
#include "journal/directory.hpp"
#include "journal/files.hpp"
#include "journal/record_codec.hpp"
#include "journal/segment_format.hpp"
#include "journal/zstd_stream.hpp"

namespace mp::journal {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kKeptBuffer = 8u << 20;  // a buffer that grew beyond is given back

using WriteCall = std::function<ssize_t(int, const void*, std::size_t)>;

// All bytes or an errno. The file's position is at its end.
int write_all(const WriteCall& write, int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto n = write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    if (n == 0) return EIO;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return 0;
}

Result<OwnedFd> lock_directory(const fs::path& directory) {
  const auto path = directory / kLockFile;
  auto fd = open_file(path, O_RDWR | O_CREAT);
  if (!fd) return fd.error();
  if (::flock(fd->get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return io_error("lock", path, errno);
    const auto text = read_small_file(path, 64);
    const auto holder = text ? text->substr(0, text->find('\n')) : std::string();
    return Error{Errc::conflict, fmt::format("journal directory {}", directory.string()),
                 fmt::format("process {} is writing it; stop that one, or use another data directory",
                             holder.empty() ? "?" : holder)};
  }
  const auto pid = fmt::format("{}\n", ::getpid());
  if (::ftruncate(fd->get(), 0) != 0 || ::pwrite(fd->get(), pid.data(), pid.size(), 0) < 0)
    return io_error("write", path, errno);
  return std::move(*fd);
}

// A line of text, written beside and renamed, so that it is there whole or not at all; on the disk when this returns.
Result<void> write_line(const fs::path& path, const std::string& line) {
  auto temporary = path;
  temporary += ".tmp";
  auto fd = open_file(temporary, O_WRONLY | O_CREAT | O_TRUNC);
  if (!fd) return fd.error();
  if (const int error = write_all(::write, fd->get(), line + "\n")) return io_error("write", temporary, error);
  if (::fsync(fd->get()) != 0) return io_error("sync", temporary, errno);
  std::error_code error;
  fs::rename(temporary, path, error);
  if (error) return io_error("rename", temporary, error.value());
  return sync_directory(path.parent_path());
}

// The highest number given out; 0 where none was noted (a journal of an earlier version, or a new one).
Result<std::uint32_t> read_numbered(const fs::path& directory) {
  const auto path = directory / kNumberedFile;
  std::error_code error;
  if (!fs::exists(path, error)) return error ? Result<std::uint32_t>(io_error("look at", path, error.value())) : 0u;
  const auto text = read_small_file(path, 64);
  if (!text) return text.error();
  std::uint32_t number = 0;
  const auto [end, wrong] = std::from_chars(text->data(), text->data() + text->size(), number);
  if (wrong == std::errc{} && std::string_view(end) == "\n") return number;
  return Error{Errc::corrupt, path.string(),
               "holds no segment number: " + shortened(*text, 40) +
                   "; write into it a number above every segment that this journal can ever have had (1000000, say)"};
}

// The directory's id; makes one where there is none. `created` tells which.
Result<JournalId> settle_id(const fs::path& directory, const std::optional<JournalId>& given, bool& created) {
  created = !fs::exists(directory / kIdFile);
  if (created) {
    const auto id = given ? *given : JournalId::random();
    if (auto written = write_line(directory / kIdFile, id.text()); !written) return written.error();
    return id;
  }
  const auto id = read_journal_id(directory);
  if (!id || !given || *id == *given) return id;
  return Error{Errc::conflict, fmt::format("journal directory {}", directory.string()),
               fmt::format("it holds journal {}, and what is to be written is journal {} (other files were "
                           "played back into it?); use another data directory",
                           id->text(), given->text())};
}

// Segments whose making was cut short by the death of their writer. Nobody has seen them.
void remove_unfinished(const fs::path& day) {
  const auto suffix = std::string(kSegmentSuffix) + ".tmp";
  std::error_code error;
  for (fs::directory_iterator at(day, error), end; !error && at != end; at.increment(error)) {
    std::error_code ignored;
    if (at->path().filename().string().ends_with(suffix)) fs::remove(at->path(), ignored);
  }
}

Result<void> check_sizes(std::span<const RawRecord> records) {
  for (const auto& record : records) {
    if (record.payload.size() > kMaxPayload)
      return Error{Errc::out_of_range, "payload of " + shortened(record.url),
                   fmt::format("{} bytes; a journal record holds at most {}", record.payload.size(), kMaxPayload)};
    if (record.url.size() > kMaxUrl)
      return Error{Errc::out_of_range, "url", fmt::format("{} bytes; at most {}", record.url.size(), kMaxUrl)};
  }
  return {};
}

}  // namespace

// What the writer notes of a segment on disk, for retention.
struct KnownSegment {
  SegmentFile file;
  std::optional<std::uint32_t> records;        // of segments before this start: found out when needed
  std::optional<WallTime> acknowledged_since;  // when retention first saw it wholly acknowledged
};

// Forces files to the disk in a thread of its own. All members behind `mutex`.
class Syncer {
 public:
  Syncer(std::chrono::milliseconds interval) : interval_(interval) {
    if (interval_.count() > 0) thread_ = std::jthread([this](std::stop_token stop) { run(stop); });
  }
  ~Syncer() {
    if (!thread_.joinable()) return;
    thread_.request_stop();
    wake_.notify_all();
  }

  // From now on `fd` is what grows. The caller closes it with retire() only.
  void begin(int fd, fs::path path) {
    const std::lock_guard lock(mutex_);
    fd_ = fd;
    path_ = std::move(path);
    written_.reset();
    new_names_ = true;
  }

  void wrote(RecordPosition last) {
    const std::lock_guard lock(mutex_);
    written_ = last;
  }

  // Takes over a file that grows no more: it is forced to the disk and closed.
  void retire(OwnedFd fd, std::optional<RecordPosition> last) {
    const std::lock_guard lock(mutex_);
    retired_.push_back({std::move(fd), path_, last, std::exchange(new_names_, false)});
    fd_ = -1;
  }

  Result<void> sync() {
    const std::lock_guard one_at_a_time(sync_mutex_);
    std::vector<Retired> retired;
    int fd = -1;
    bool new_names = false;
    fs::path path;
    std::optional<RecordPosition> written;
    std::optional<Error> no_descriptor;
    {
      const std::lock_guard lock(mutex_);
      retired.swap(retired_);
      written = written_;
      path = path_;
      new_names = std::exchange(new_names_, false);
      // A descriptor of our own: the writer may retire its one meanwhile.
      if (fd_ >= 0 && (new_names || (written && (!synced_ || *synced_ < *written)))) {
        fd = ::fcntl(fd_, F_DUPFD_CLOEXEC, 0);
        if (fd < 0) no_descriptor = io_error("sync", path, errno);
      }
    }
    const OwnedFd owned(fd);
    // Every file gets its try, whatever became of the one before: it is closed behind this.
    std::optional<Error> failure;
    for (const auto& old : retired)
      if (auto done = force(old.fd.get(), old.path, old.last, old.new_names); !done) failure = done.error();
    if (no_descriptor) return note_failure(*no_descriptor);
    if (failure) return *failure;
    if (fd < 0) return {};
    return force(fd, path, written, new_names);
  }

  std::optional<RecordPosition> synced() const {
    const std::lock_guard lock(mutex_);
    return synced_;
  }
  std::optional<Error> take_error() {
    const std::lock_guard lock(mutex_);
    return std::exchange(error_, std::nullopt);
  }
  bool distrusts_file() const {
    const std::lock_guard lock(mutex_);
    return !distrusted_.empty() && distrusted_ == path_;
  }
  void count(JournalCounters& counters) const {
    const std::lock_guard lock(mutex_);
    counters.syncs = syncs_;
    counters.failed_syncs = failed_;
  }

 private:
  struct Retired {
    OwnedFd fd;
    fs::path path;
    std::optional<RecordPosition> last;
    bool new_names = false;
  };

  Result<void> note_failure(Error error) {
    const std::lock_guard lock(mutex_);
    ++failed_;
    distrusted_ = path_;
    error_ = error;
    return error;
  }

  // `new_names`: its name stands in its day's directory, whose name stands in the journal's.
  Result<void> force(int fd, const fs::path& path, std::optional<RecordPosition> last, bool new_names) {
    if (new_names)
      for (const auto& directory : {path.parent_path(), path.parent_path().parent_path()})
        if (auto done = sync_directory(directory); !done) return note_failure(done.error());
    if (::fdatasync(fd) != 0 && errno != EINVAL) return note_failure(io_error("sync", path, errno));
    const std::lock_guard lock(mutex_);
    ++syncs_;
    if (last && (!synced_ || *synced_ < *last)) synced_ = last;
    return {};
  }

  void run(const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    while (!wake_.wait_for(lock, stop, interval_, [] { return false; })) {
      if (stop.stop_requested()) return;
      lock.unlock();
      [[maybe_unused]] const auto told_by_take_error = sync();
      lock.lock();
    }
  }

  const std::chrono::milliseconds interval_;
  std::mutex sync_mutex_;  // taken before mutex_; held while the disk works
  mutable std::mutex mutex_;
  std::condition_variable_any wake_;
  int fd_ = -1;  // the writer's
  fs::path path_;
  std::optional<RecordPosition> written_;
  std::optional<RecordPosition> synced_;
  bool new_names_ = false;
  std::vector<Retired> retired_;
  std::optional<Error> error_;
  fs::path distrusted_;
  std::uint64_t syncs_ = 0;
  std::uint64_t failed_ = 0;
  std::jthread thread_;  // last, so that it ends before what it uses
};

struct Journal::State {
  explicit State(JournalOptions o)
      : options(std::move(o)), compressor(options.compression_level), syncer(options.sync_interval) {}

  JournalOptions options;
  OwnedFd lock;
  JournalId id;
  RecoveredJournal recovered;
  std::vector<KnownSegment> segments;  // on disk, by rising number; the last one is the present one once begun
  std::uint32_t floor = 0;
  ConnectionId highest_connection = 0;
  std::optional<RecordPosition> acknowledged;

  // The present segment.
  OwnedFd file;
  SegmentHeader header;
  GroupCheck check;
  std::uint64_t offset = 0;  // its good length
  bool broken = false;       // bytes behind `offset` could not be taken back
  std::uint32_t records = 0;
  SegmentEnd totals;

  // The present block.
  BlockCompressor compressor;
  RecordEncoder encoder;
  std::size_t block_raw = 0;
  bool block_open = false;

  SourceTable sources;
  std::map<ConnectionId, Connection> connections;  // open ones
  std::map<ConnectionId, Connection> opening;      // by the records that are being appended
  std::string raw;
  std::string out;
  JournalCounters counters;
  bool closed = false;
  Syncer syncer;

  Result<void> open();
  Result<void> find_segments();
  Result<OwnedFd> create_segment(const SegmentHeader& next, std::string_view first_bytes, const fs::path& path);
  SegmentHeader next_header(WallTime now) const;
  std::string first_bytes(const SegmentHeader& next, std::string_view checkpoint) const;
  void seal();

  std::size_t encode_group(std::span<const RawRecord> records_left, std::uint32_t first);
  void put_group(GroupType type, std::size_t count, std::uint32_t first);
  Result<void> write_out();
  Result<void> sync_or_take_back();
  void take_back();
  void note(std::span<const RawRecord> written);
  const Connection* known(ConnectionId connection) const {
    for (const auto* map : {&opening, &connections})
      if (const auto found = map->find(connection); found != map->end()) return &found->second;
    return nullptr;
  }
  Connection connection_of(const RawRecord& opened) {
    return {opened.source == nullptr ? nullptr : sources.intern(*opened.source), std::string(opened.url)};
  }
  std::optional<std::uint32_t> records_of(KnownSegment& segment);
  bool is_acknowledged(KnownSegment& segment);
};

// --- opening ---------------------------------------------------------------------------------------------------

Result<void> Journal::State::open() {
  if (options.directory.empty()) return Error{Errc::usage, "journal directory", "is not given"};
  if (!options.write) options.write = [](int fd, const void* bytes, std::size_t n) { return ::write(fd, bytes, n); };
  if (auto made = make_directories(options.directory); !made) return made.error();
  auto locked = lock_directory(options.directory);
  if (!locked) return locked.error();
  lock = std::move(*locked);
  auto settled = settle_id(options.directory, options.id, recovered.created);
  if (!settled) return settled.error();
  id = *settled;
  const auto numbered = read_numbered(options.directory);
  if (!numbered) return numbered.error();
  recovered.numbered = *numbered;
  floor = std::max(options.floor, *numbered);
  return find_segments();
}

Result<void> Journal::State::find_segments() {
  const auto files = list_segments(options.directory);
  if (!files) return files.error();
  for (const auto& found : *files) {
    segments.push_back({found, std::nullopt, std::nullopt});
    remove_unfinished(found.path.parent_path());
  }
  recovered.segments = static_cast<std::uint32_t>(files->size());
  if (files->empty()) return {};

  recovered.last_segment = files->back().number;
  floor = std::max(floor, recovered.last_segment);
  for (auto segment = segments.rbegin(); segment != segments.rend(); ++segment) {
    const auto summary = summarize(segment->file);
    if (!summary && summary.error().code == Errc::io) return summary.error();
    if (!summary) {  // not even its header is good: the number stays used, the segment before tells what is known
      recovered.closed_in_order = false;
      ++recovered.damages;
      continue;
    }
    if (summary->header.journal != id)
      return Error{Errc::conflict, segment->file.path.string(),
                   fmt::format("belongs to journal {}, its directory to {}; move it away",
                               summary->header.journal.text(), id.text())};
    if (segment == segments.rbegin()) {
      recovered.last_records = summary->records;
      recovered.closed_in_order = summary->closed;
    }
    recovered.records = summary->header.records_before + summary->records;
    recovered.torn_bytes = summary->torn_bytes;
    recovered.damages += summary->damages;
    segment->records = summary->records;
    highest_connection = summary->highest_connection;
    // A closed segment's note knows all; a segment without one knows what its checkpoint knew.
    if (auto reader = SegmentReader::open(segment->file.path); reader)
      if (const auto checkpoint = reader->checkpoint(); checkpoint)
        highest_connection = std::max(highest_connection, checkpoint->highest_connection);
    return {};
  }
  return {};
}

// --- segments --------------------------------------------------------------------------------------------------

SegmentHeader Journal::State::next_header(WallTime now) const {
  SegmentHeader next;
  next.journal = id;
  next.segment = floor + 1;
  next.created_at = now;
  next.software = options.software;
  next.config_hash = options.config_hash;
  if (file) {
    next.previous_segment = header.segment;
    next.previous_records = records;
    next.records_before = header.records_before + records;
  } else {
    next.records_before = recovered.records;
    next.previous_segment = recovered.last_segment;
    next.previous_records = recovered.last_records;
  }
  return next;
}

std::string Journal::State::first_bytes(const SegmentHeader& next, std::string_view state) const {
  Checkpoint checkpoint;
  checkpoint.highest_connection = highest_connection;
  checkpoint.state = std::string(state);
  for (const auto& [number, connection] : connections)
    checkpoint.connections.push_back(
        {number, connection.source == nullptr ? Source{} : *connection.source, connection.url});
  std::string plain;
  encode_checkpoint(plain, checkpoint);

  auto bytes = encode_segment_header(next);
  bytes.resize(kDataOffset + kGroupHeaderSize);
  append_compressed(bytes, plain, options.compression_level);
  const auto stored = std::string_view(bytes).substr(kDataOffset + kGroupHeaderSize);
  GroupCheck(next.journal, next.segment)
      .encode({GroupType::checkpoint, 0, static_cast<std::uint32_t>(stored.size()), crc32c(0, stored)}, kDataOffset,
              bytes.data() + kDataOffset);
  return bytes;
}

// Under another name first: a segment that can be seen has its whole header and checkpoint.
Result<OwnedFd> Journal::State::create_segment(const SegmentHeader& next, std::string_view bytes,
                                               const fs::path& path) {
  if (auto made = make_directories(path.parent_path()); !made) return made.error();
  auto temporary = path;
  temporary += ".tmp";
  auto fd = open_file(temporary, O_RDWR | O_CREAT | O_TRUNC | O_APPEND);
  if (!fd) return fd.error();
  const auto give_up = [&](Error error) {
    std::error_code ignored;
    fs::remove(temporary, ignored);
    return error;
  };
  if (const int error = write_all(options.write, fd->get(), bytes))
    return give_up(
        io_error(fmt::format("begin segment {} in journal directory {}:", next.segment, options.directory.string()),
                 temporary, error));
  std::error_code error;
  fs::rename(temporary, path, error);
  if (error) return give_up(io_error("rename", temporary, error.value()));
  return std::move(*fd);
}

// Notes the end of the present segment in it. When that fails the segment is as one whose writer was killed:
// the next one's header still tells how many records it has.
void Journal::State::seal() {
  if (!file) return;
  const auto last = records > 0 ? std::optional(RecordPosition{header.segment, records - 1}) : std::nullopt;
  if (!broken) {
    totals.records = records;
    totals.highest_connection = highest_connection;
    std::string bytes(kGroupHeaderSize, '\0');
    encode_segment_end(bytes, totals);
    const auto stored = std::string_view(bytes).substr(kGroupHeaderSize);
    check.encode({GroupType::end, 0, kSegmentEndSize, crc32c(0, stored)}, offset, bytes.data());
    if (write_all(options.write, file.get(), bytes) == 0)
      offset += bytes.size();
    else
      take_back();
  }
  segments.back().records = records;
  segments.back().file.bytes = offset;
  syncer.retire(std::move(file), last);
}

// --- appending -------------------------------------------------------------------------------------------------

// Encodes as many of the records as one group takes into `raw`; returns how many.
std::size_t Journal::State::encode_group(std::span<const RawRecord> left, std::uint32_t first) {
  const auto size_of = [](const RawRecord& record) { return record.payload.size() + record.url.size() + 32; };
  std::size_t count = 0;
  std::size_t bytes = 0;
  while (count < left.size() && count < kMaxGroupRecords) {
    const auto size = size_of(left[count]);
    if (count > 0 && bytes + size > kMaxBlockRaw) break;
    bytes += size;
    ++count;
  }
  const bool new_block = !block_open || block_raw + bytes > kMaxBlockRaw;
  if (new_block) {
    encoder.begin_block();
    compressor.begin_block();
    block_raw = 0;
    block_open = true;
  }
  raw.clear();
  for (const auto& record : left.first(count)) {
    encoder.append(raw, record, known(record.connection));
    if (record.kind == RecordKind::opened) opening[record.connection] = connection_of(record);
  }
  block_raw += raw.size();
  put_group(new_block ? GroupType::block : GroupType::more, count, first);
  return count;
}

// Appends the group in `raw` to what is to be written.
void Journal::State::put_group(GroupType type, std::size_t count, std::uint32_t first) {
  const auto at = out.size();
  out.resize(at + kGroupHeaderSize);
  if (type == GroupType::block) put_fixed(out, first);
  compressor.append_group(out, raw);
  const auto stored = std::string_view(out).substr(at + kGroupHeaderSize);
  check.encode({type, static_cast<std::uint16_t>(count), static_cast<std::uint32_t>(stored.size()), crc32c(0, stored)},
               offset + at, out.data() + at);
  ++counters.groups;
  if (type == GroupType::block) ++counters.blocks;
  counters.raw_bytes += raw.size();
  totals.raw_bytes += raw.size();
}

// Removes what an append that failed has left behind the last good group, and begins a new block: the
// compressor's window holds what readers will never see.
void Journal::State::take_back() {
  block_open = false;
  broken = ::ftruncate(file.get(), static_cast<off_t>(offset)) != 0;
}

Result<void> Journal::State::write_out() {
  if (broken) take_back();
  const auto where = fmt::format("append to journal directory {}:", options.directory.string());
  if (broken) return io_error(where, segments.back().file.path, EIO);
  if (const int error = write_all(options.write, file.get(), out)) {
    take_back();
    return io_error(where, segments.back().file.path, error);
  }
  offset += out.size();
  counters.written_bytes += out.size();
  return {};
}

// With a sync interval of 0 a record counts as written only when it is on the disk.
Result<void> Journal::State::sync_or_take_back() {
  auto synced = syncer.sync();
  if (synced) return synced;
  offset -= out.size();
  take_back();
  return synced;
}

// What the records say about connections and times, once they are written.
void Journal::State::note(std::span<const RawRecord> written) {
  for (const auto& record : written) {
    highest_connection = std::max(highest_connection, record.connection);
    if (record.kind == RecordKind::start) connections.clear();
    if (record.kind == RecordKind::opened) connections[record.connection] = connection_of(record);
    if (record.kind == RecordKind::closed) connections.erase(record.connection);
    const auto time = nanos_since_epoch(record.received_at);
    totals.first_time = records == 0 ? time : std::min(totals.first_time, time);
    totals.last_time = records == 0 ? time : std::max(totals.last_time, time);
    ++records;
  }
  counters.records += written.size();
}

// --- retention -------------------------------------------------------------------------------------------------

std::optional<std::uint32_t> Journal::State::records_of(KnownSegment& segment) {
  if (!segment.records)
    if (const auto summary = summarize(segment.file); summary) segment.records = summary->records;
  return segment.records;
}

bool Journal::State::is_acknowledged(KnownSegment& segment) {
  if (!acknowledged || segment.file.number > acknowledged->segment) return false;
  if (segment.file.number < acknowledged->segment) return true;
  const auto count = records_of(segment);
  return count && acknowledged->record + std::uint64_t{1} >= *count;
}

// --- the interface ---------------------------------------------------------------------------------------------

Journal::Journal(std::unique_ptr<State> state) : state_(std::move(state)) {}

Journal::~Journal() {
  if (!state_->closed) [[maybe_unused]]
    const auto not_told = close();
}

Result<std::unique_ptr<Journal>> Journal::open(JournalOptions options) {
  auto state = std::make_unique<State>(std::move(options));
  if (auto opened = state->open(); !opened) return opened.error();
  return std::unique_ptr<Journal>(new Journal(std::move(state)));
}

const fs::path& Journal::directory() const { return state_->options.directory; }
const JournalId& Journal::id() const { return state_->id; }
const RecoveredJournal& Journal::recovered() const { return state_->recovered; }
void Journal::raise_floor(std::uint32_t segment) { state_->floor = std::max(state_->floor, segment); }

Result<void> Journal::start_segment(std::string_view checkpoint, WallTime now) {
  auto& s = *state_;
  const auto where = fmt::format("journal directory {}", s.options.directory.string());
  if (checkpoint.size() > kMaxCheckpoint / 2)
    return Error{Errc::out_of_range, where,
                 fmt::format("a checkpoint of {} bytes; at most {}", checkpoint.size(), kMaxCheckpoint / 2)};
  if (s.floor == UINT32_MAX) return Error{Errc::out_of_range, where, "segment numbers are used up"};
  const auto next = s.next_header(now);
  const auto bytes = s.first_bytes(next, checkpoint);
  const auto path = segment_path(s.options.directory, utc_day(now), next.segment);
  // Before anybody can learn a position of it.
  if (auto noted = write_line(s.options.directory / kNumberedFile, std::to_string(next.segment)); !noted)
    return noted.error();
  auto created = s.create_segment(next, bytes, path);
  if (!created) return created.error();

  s.seal();
  s.file = std::move(*created);
  s.header = next;
  s.check = GroupCheck(next.journal, next.segment);
  s.floor = next.segment;
  s.offset = bytes.size();
  s.broken = false;
  s.records = 0;
  s.totals = {};
  s.block_open = false;
  s.segments.push_back({{next.segment, utc_day(now), path, bytes.size()}, std::nullopt, std::nullopt});
  ++s.counters.segments;
  s.counters.written_bytes += bytes.size();
  s.syncer.begin(s.file.get(), path);
  return {};
}

bool Journal::needs_new_segment(WallTime now) const {
  const auto& s = *state_;
  const auto age = now - s.header.created_at;  // negative when the clock was set back
  return !s.file || s.offset >= s.options.segment_bytes || std::max(age, -age) >= s.options.segment_age ||
         s.records > UINT32_MAX / 2 || s.syncer.distrusts_file();
}

Result<RecordPosition> Journal::append(std::span<const RawRecord> records) {
  auto& s = *state_;
  if (!s.file || records.empty())
    return Error{Errc::usage, fmt::format("journal directory {}", s.options.directory.string()),
                 records.empty() ? "nothing to append" : "no segment was begun"};
  if (auto fits = check_sizes(records); !fits) return fits.error();
  if (s.out.capacity() > kKeptBuffer) s.out = std::string();
  if (s.raw.capacity() > kKeptBuffer) s.raw = std::string();
  s.out.clear();
  s.opening.clear();
  const RecordPosition first{s.header.segment, s.records};
  const auto totals_before = s.totals;
  const auto counters_before = s.counters;
  for (std::size_t done = 0; done < records.size();)
    done += s.encode_group(records.subspan(done), s.records + static_cast<std::uint32_t>(done));
  auto written = s.write_out();
  if (written) {
    s.syncer.wrote({first.segment, first.record + static_cast<std::uint32_t>(records.size()) - 1});
    if (s.options.sync_interval.count() == 0) written = s.sync_or_take_back();
  }
  if (!written) {
    s.totals = totals_before;
    s.counters = counters_before;
    ++s.counters.failed_appends;
    return written.error();
  }
  s.note(records);
  return first;
}

RecordPosition Journal::next_position() const { return {state_->header.segment, state_->records}; }
ConnectionId Journal::highest_connection() const { return state_->highest_connection; }
std::optional<RecordPosition> Journal::synced() const { return state_->syncer.synced(); }
Result<void> Journal::sync() { return state_->syncer.sync(); }
std::optional<Error> Journal::take_sync_error() { return state_->syncer.take_error(); }

void Journal::set_acknowledged(RecordPosition position) {
  auto& acknowledged = state_->acknowledged;
  if (!acknowledged || *acknowledged < position) acknowledged = position;
}

Result<RetentionReport> Journal::apply_retention(WallTime now) {
  auto& s = *state_;
  if (s.file) s.segments.back().file.bytes = s.offset;
  const auto deletable_end = s.segments.size() - (s.file ? 1u : 0u);
  RetentionReport report;
  for (const auto& segment : s.segments) report.kept_bytes += segment.file.bytes;
  for (std::size_t i = 0; i < deletable_end; ++i) {
    auto& segment = s.segments[i];
    // A clock that is set back must not keep them until it has caught up.
    if (segment.acknowledged_since) segment.acknowledged_since = std::min(*segment.acknowledged_since, now);
    if (!segment.acknowledged_since && s.is_acknowledged(segment)) segment.acknowledged_since = now;
  }

  const auto& policy = s.options.retention;
  std::size_t deleted = 0;
  std::optional<Error> failure;
  for (; deleted < deletable_end; ++deleted) {
    const auto& segment = s.segments[deleted];
    const bool too_much = policy.max_bytes != 0 && report.kept_bytes > policy.max_bytes;
    std::error_code gone;
    const auto written = fs::last_write_time(segment.file.path, gone);
    const auto written_at = std::chrono::time_point_cast<Nanos>(std::chrono::file_clock::to_sys(written));
    const bool too_old = policy.max_age.count() != 0 && !gone && now - written_at > policy.max_age;
    if (!too_much && !too_old && !gone) break;
    if (!gone && (!segment.acknowledged_since || now - *segment.acknowledged_since < policy.keep_acknowledged)) {
      report.over_limit = true;
      break;
    }
    std::error_code error;
    fs::remove(segment.file.path, error);
    if (error) {
      failure = io_error("delete", segment.file.path, error.value());
      break;
    }
    fs::remove(segment.file.path.parent_path(), error);  // the day, if this was its last one
    ++report.deleted_segments;
    report.deleted_bytes += segment.file.bytes;
    report.kept_bytes -= segment.file.bytes;
  }
  s.segments.erase(s.segments.begin(), s.segments.begin() + static_cast<std::ptrdiff_t>(deleted));
  if (failure) return *failure;
  return report;
}

JournalCounters Journal::counters() const {
  auto counters = state_->counters;
  state_->syncer.count(counters);
  return counters;
}

Result<void> Journal::close() {
  auto& s = *state_;
  s.closed = true;
  s.seal();
  auto synced = s.syncer.sync();
  s.lock.reset();
  return synced;
}

}  // namespace mp::journal
