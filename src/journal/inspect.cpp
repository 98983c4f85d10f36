#include "journal/inspect.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <unordered_map>

#include "journal/files.hpp"

namespace mp::journal {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxDamagesTold = 100;

Result<JournalFiles> whole_journal(const fs::path& directory) {
  JournalFiles journal;
  journal.directory = directory;
  journal.whole = true;
  if (const auto id = read_journal_id(directory)) journal.id = *id;
  auto segments = list_segments(directory);
  if (!segments) return segments.error();
  journal.segments = std::move(*segments);
  return journal;
}

bool is_journal(const fs::path& directory) {
  if (fs::is_regular_file(directory / kIdFile)) return true;
  const auto segments = list_segments(directory);
  return segments && !segments->empty();
}

// The journal that holds this file or day, when it can be told from where it lies.
std::optional<JournalId> id_beside(const fs::path& directory) {
  if (!fs::is_regular_file(directory / kIdFile)) return std::nullopt;
  const auto id = read_journal_id(directory);
  return id ? std::optional(*id) : std::nullopt;
}

Result<JournalFiles> single_file(const fs::path& path) {
  JournalFiles journal;
  const auto absolute = fs::absolute(path).lexically_normal();
  journal.directory = absolute.parent_path();
  journal.id = id_beside(absolute.parent_path().parent_path());
  std::error_code error;
  const auto bytes = fs::file_size(path, error);
  if (error) return io_error("read", path, error.value());
  std::uint32_t number = 0;
  const auto stem = path.stem().string();
  std::from_chars(stem.data(), stem.data() + stem.size(), number);
  journal.segments.push_back({number, absolute.parent_path().filename().string(), path, bytes});
  return journal;
}

Result<JournalFiles> single_day(const fs::path& day) {
  const auto absolute = fs::absolute(day).lexically_normal();
  auto journal = whole_journal(absolute.parent_path());
  if (!journal) return journal.error();
  journal->whole = false;
  std::erase_if(journal->segments, [&](const SegmentFile& file) { return file.day != absolute.filename(); });
  return journal;
}

bool holds_segments(const fs::path& directory) {
  std::error_code error;
  for (fs::directory_iterator at(directory, error), end; !error && at != end; at.increment(error))
    if (at->path().extension() == kSegmentSuffix) return true;
  return false;
}

Result<std::vector<JournalFiles>> journals_in(const fs::path& directory) {
  std::vector<fs::path> found;
  std::error_code error;
  for (fs::directory_iterator at(directory, error), end; !error && at != end; at.increment(error))
    if (at->is_directory() && is_journal(at->path())) found.push_back(at->path());
  if (error) return io_error("list", directory, error.value());
  if (found.empty())
    return Error{
        Errc::usage, directory.string(),
        "holds no journal; expected a journal directory (with a file `id` and a folder for each day), a folder of "
        "such directories, a day's folder in one, or a segment file (*.mpj)"};
  std::sort(found.begin(), found.end());
  std::vector<JournalFiles> journals;
  for (const auto& path : found) {
    auto journal = whole_journal(path);
    if (!journal) return journal.error();
    journals.push_back(std::move(*journal));
  }
  return journals;
}

}  // namespace

Result<std::vector<JournalFiles>> find_journals(const fs::path& path) {
  const auto one = [](Result<JournalFiles> journal) -> Result<std::vector<JournalFiles>> {
    if (!journal) return journal.error();
    return std::vector<JournalFiles>{std::move(*journal)};
  };
  const fs::path given = path.has_filename() ? path : path.parent_path();
  std::error_code error;
  const auto status = fs::status(given, error);
  if (status.type() == fs::file_type::not_found)
    return Error{Errc::usage, given.string(), "there is no such file or directory"};
  if (error) return io_error("read", given, error.value());
  if (!fs::is_directory(status)) return one(single_file(given));
  if (is_journal(given)) return one(whole_journal(given));
  if (holds_segments(given)) return one(single_day(given));
  return journals_in(given);
}

namespace {

class Verification {
 public:
  Verification(const JournalFiles& journal, const SegmentFile& file, std::optional<SegmentReached>& before)
      : journal_(journal), before_(before) {
    verdict_.file = file;
  }

  SegmentVerdict run() {
    auto reader = SegmentReader::open(verdict_.file.path);
    if (!reader) {
      damage(reader.error().text());
      before_ = SegmentReached{verdict_.file.number, std::nullopt};
      return std::move(verdict_);
    }
    check_header(*reader);
    check_checkpoint(*reader);
    read_records(*reader);
    before_ = SegmentReached{verdict_.file.number, reader->next_record()};
    tell_steps_back();
    if (damages_not_told_ > 0) verdict_.damages.push_back(fmt::format("and {} more", damages_not_told_));
    return std::move(verdict_);
  }

 private:
  void damage(std::string text) {
    ++verdict_.summary.damages;
    if (verdict_.damages.size() < kMaxDamagesTold)
      verdict_.damages.push_back(std::move(text));
    else
      ++damages_not_told_;
  }

  void check_header(const SegmentReader& reader) {
    const auto& header = reader.header();
    verdict_.summary.header = header;
    if (const auto& broken = reader.header_damage()) damage(broken->text());
    if (journal_.id && *journal_.id != header.journal)
      damage(fmt::format("belongs to journal {}, the directory to {}", header.journal.text(), journal_.id->text()));
    // A copy under a name that is no number says nothing.
    if (verdict_.file.number != 0 && verdict_.file.number != header.segment)
      damage(fmt::format("the file is numbered {}, its header says {}", verdict_.file.number, header.segment));
    if (before_ && header.segment <= before_->segment)
      damage(fmt::format("segment {} comes after segment {}", header.segment, before_->segment));
    if (!before_) return;
    if (const auto missing = missing_before(header, *before_)) {
      damage(missing->what);
      verdict_.summary.lost_records += static_cast<std::uint32_t>(missing->records);
    }
  }

  void check_checkpoint(SegmentReader& reader) {
    const auto checkpoint = reader.checkpoint();
    if (checkpoint)
      verdict_.checkpoint_bytes = checkpoint->state.size();
    else if (checkpoint.error().code == Errc::unavailable)
      verdict_.notes.push_back("ends before its checkpoint");
    else
      damage(checkpoint.error().text());
  }

  void take(const RawRecord& record) {
    const auto at = record.received_at;
    auto& summary = verdict_.summary;
    summary.first_time = std::min(summary.first_time.value_or(at), at);
    summary.last_time = std::max(summary.last_time.value_or(at), at);
    summary.highest_connection = std::max(summary.highest_connection, record.connection);
    if (nanos_since_epoch(at) < 0) damage(fmt::format("record has a time before 1970: {} ns", nanos_since_epoch(at)));
    if (last_time_ && at < *last_time_) {
      ++steps_back_;
      longest_step_back_ = std::max(longest_step_back_, *last_time_ - at);
    }
    last_time_ = at;
  }

  void read_records(SegmentReader& reader) {
    auto& summary = verdict_.summary;
    bool more = true;
    while (more) {
      switch (reader.next()) {
        case ReadState::record:
          if (reader.position().record < expected_)
            damage(fmt::format("record {} comes again", reader.position().record));
          expected_ = reader.position().record + 1;
          take(reader.record());
          break;
        case ReadState::damaged:
          damage(reader.damage().text());
          summary.lost_records += reader.damage().records.value_or(0);
          break;
        case ReadState::torn:
          summary.torn_bytes = reader.torn_bytes();
          verdict_.notes.push_back(
              fmt::format("ends inside a group, {} bytes of it: being written, or its writer was killed; "
                          "nobody had been told of that group",
                          summary.torn_bytes));
          more = false;
          break;
        case ReadState::no_more_yet:
          verdict_.notes.push_back("has no closing note: being written, or its writer was killed");
          more = false;
          break;
        case ReadState::end:
          summary.closed = true;
          check_closing_note(reader.closing_note());
          more = false;
          break;
        case ReadState::failed:
          damage(reader.error().text());
          more = false;
          break;
      }
    }
    summary.records = reader.next_record();
    summary.raw_bytes = reader.raw_bytes();
    verdict_.groups = reader.groups();
    verdict_.blocks = reader.blocks();
  }

  void check_closing_note(const SegmentEnd& note) {
    const auto& summary = verdict_.summary;
    if (summary.lost_records > 0 || note.records == 0) return;
    const auto first = summary.first_time.value_or(WallTime{});
    const auto last = summary.last_time.value_or(WallTime{});
    if (note.first_time != nanos_since_epoch(first) || note.last_time != nanos_since_epoch(last))
      damage("the closing note's times are not those of the records");
  }

  void tell_steps_back() {
    if (steps_back_ == 0) return;
    verdict_.notes.push_back(
        fmt::format("receive times step back {} times, by at most {:.6f} s (the clock was set, or a recording "
                    "is like this); positions are in order",
                    steps_back_, std::chrono::duration<double>(longest_step_back_).count()));
  }

  const JournalFiles& journal_;
  std::optional<SegmentReached>& before_;
  SegmentVerdict verdict_;
  std::size_t damages_not_told_ = 0;
  std::uint32_t expected_ = 0;
  std::optional<WallTime> last_time_;
  std::uint64_t steps_back_ = 0;
  Nanos longest_step_back_{0};
};

}  // namespace

SegmentVerdict verify_segment(const JournalFiles& journal, const SegmentFile& file,
                              std::optional<SegmentReached>& before) {
  return Verification(journal, file, before).run();
}

}  // namespace mp::journal
