#include "journal/recordings.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <iterator>
#include <map>
#include <sstream>
#include <unordered_set>

#include "journal/byte_source.hpp"
#include "journal/capture_file.hpp"
#include "journal/directory.hpp"
#include "journal/files.hpp"

namespace mp::journal {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kTitle = "marketprism recording 1";
constexpr std::size_t kMaxNote = 16u << 20;

// --- the note --------------------------------------------------------------------------------------------------

std::string hex(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) fmt::format_to(std::back_inserter(out), "{:02x}", static_cast<unsigned char>(c));
  return out;
}

std::optional<std::string> unhex(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
    unsigned value = 0;
    const auto [end, error] = std::from_chars(text.data() + i, text.data() + i + 2, value, 16);
    if (error != std::errc{} || end != text.data() + i + 2) return std::nullopt;
    out.push_back(static_cast<char>(value));
  }
  if (text.size() != 64) return std::nullopt;
  return out;
}

std::string text_of(const RecordingNote& note) {
  std::string out = std::string(kTitle) + "\n";
  for (const auto& source : note.sources) out += fmt::format("source {} {}\n", source.exchange, source.market);
  out += fmt::format("times {} {}\n", nanos_since_epoch(note.first), nanos_since_epoch(note.last));
  for (const auto& part : note.parts) {
    auto path = part.path;
    std::ranges::replace(path, '\n', ' ');
    out += fmt::format("part {} {} {} {}\n", part.bytes, hex(part.digest),
                       !part.closed   ? "open"
                       : *part.closed ? "closed"
                                      : "kept",
                       path);
  }
  return out + "end\n";
}

std::optional<RecordingNote> note_of(const std::string& text) {
  RecordingNote note;
  std::istringstream in(text);
  std::string line;
  if (!std::getline(in, line) || line != kTitle) return std::nullopt;
  while (std::getline(in, line)) {
    std::istringstream words(line);
    std::string what;
    words >> what;
    if (what == "end") return note.parts.empty() ? std::nullopt : std::optional(note);
    if (what == "source") {
      Source source;
      words >> source.exchange >> source.market;
      note.sources.insert(source);
    } else if (what == "times") {
      std::int64_t first = 0;
      std::int64_t last = 0;
      if (!(words >> first >> last)) return std::nullopt;
      note.first = wall_from_nanos(first);
      note.last = wall_from_nanos(last);
    } else if (what == "part") {
      RecordingPart part;
      std::string digest;
      std::string state;
      if (!(words >> part.bytes >> digest >> state)) return std::nullopt;
      const auto bytes = unhex(digest);
      if (!bytes || (state != "open" && state != "closed" && state != "kept")) return std::nullopt;
      part.digest = *bytes;
      if (state != "open") part.closed = state == "closed";
      std::getline(words >> std::ws, part.path);
      if (!note.parts.empty() && (part.bytes <= note.parts.back().bytes || !note.parts.back().closed))
        return std::nullopt;
      note.parts.push_back(std::move(part));
    } else {
      return std::nullopt;
    }
  }
  return std::nullopt;
}

// Written beside and renamed, so that it is there whole or not at all; on the disk when this returns.
Result<void> write_whole(const fs::path& path, std::string_view bytes) {
  auto temporary = path;
  temporary += ".tmp";
  auto fd = open_file(temporary, O_WRONLY | O_CREAT | O_TRUNC);
  if (!fd) return fd.error();
  while (!bytes.empty()) {
    const auto n = ::write(fd->get(), bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return io_error("write", temporary, errno);
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  if (::fsync(fd->get()) != 0) return io_error("sync", temporary, errno);
  std::error_code error;
  fs::rename(temporary, path, error);
  if (error) return io_error("rename", temporary, error.value());
  return sync_directory(path.parent_path());
}

// --- the lines -------------------------------------------------------------------------------------------------

std::uint64_t hash_of(const CaptureLine& line) {
  std::uint64_t hash = 14695981039346656037ull;  // FNV-1a, written to disk: it must never change
  const auto take = [&](unsigned char byte) { hash = (hash ^ byte) * 1099511628211ull; };
  auto time = static_cast<std::uint64_t>(nanos_since_epoch(line.received_at));
  for (int i = 0; i < 8; ++i, time >>= 8) take(static_cast<unsigned char>(time));
  for (const char c : line.payload) take(static_cast<unsigned char>(c));
  return hash;
}

// Shorter ones (pongs, confirmations) may be alike in two recordings whose times are coarse.
constexpr std::size_t kLeastMarked = 32;

bool is_marked_frame(const CaptureLine& line) {
  return (line.kind == RecordKind::text || line.kind == RecordKind::binary) && line.payload.size() >= kLeastMarked;
}

struct Marked {
  std::vector<std::uint64_t> hashes;
  std::vector<std::uint64_t> numbers;  // of the lines
};

// What came over websockets. The answers by REST may stand in every part of a recording, since each needs the
// instruments; they count only where there is nothing else.
Result<Marked> marked_lines(const fs::path& path, std::uint64_t bytes, bool with_numbers = false) {
  auto file = CaptureFile::open(path, bytes);
  if (!file) return file.error();
  Marked frames;
  Marked answers;
  while (true) {
    const auto line = file->next();
    if (!line && line.error().code == Errc::io) return line.error();
    if (!line) continue;
    if (!*line) break;
    const bool is_frame = is_marked_frame(**line);
    if (!is_frame && ((*line)->kind != RecordKind::rest || !frames.hashes.empty())) continue;
    auto& to = is_frame ? frames : answers;
    to.hashes.push_back(hash_of(**line));
    if (with_numbers) to.numbers.push_back(file->line_number());
  }
  return frames.hashes.empty() ? std::move(answers) : std::move(frames);
}

Result<std::vector<std::uint64_t>> noted_lines(const fs::path& directory) {
  std::vector<std::uint64_t> out;
  const auto path = directory / kLinesFile;
  auto source = open_file_source(path);
  if (!source) return source.error();
  const auto size = (*source)->size();
  if (!size) return size.error();
  out.resize(*size / 8);
  for (std::uint64_t offset = 0; offset < out.size() * 8;) {
    const auto got =
        (*source)->read_at(offset, std::span(reinterpret_cast<char*>(out.data()) + offset, out.size() * 8 - offset));
    if (!got) return got.error();
    if (*got == 0) break;
    offset += *got;
  }
  return out;
}

// --- the plan --------------------------------------------------------------------------------------------------

struct Known {
  fs::path directory;
  JournalId id;
  RecordingNote note;
};

// The file has been read for its whole hash before; again only where others are asked for.
Result<std::map<std::uint64_t, std::string>> beginnings_of(const CaptureFacts& file,
                                                           const std::set<std::uint64_t>& lengths) {
  const std::set<std::uint64_t> asked(lengths.begin(), lengths.upper_bound(file.bytes));
  if (asked.size() == 1 && !file.cut_short) return std::map<std::uint64_t, std::string>{{file.bytes, file.digest}};
  return sha256_of_beginnings(file.path, asked);
}

Result<std::vector<Known>> known_recordings(const fs::path& journals) {
  std::vector<Known> out;
  std::error_code error;
  for (fs::directory_iterator at(journals, error), end; !error && at != end; at.increment(error)) {
    if (!at->path().filename().string().starts_with("replay-")) continue;
    auto note = read_recording_note(at->path());
    if (!note) return note.error();
    if (!*note) continue;
    const auto id = read_journal_id(at->path());
    if (!id) return id.error();
    out.push_back({at->path(), *id, std::move(**note)});
  }
  std::ranges::sort(out, {}, &Known::directory);
  return out;
}

// A file with what is known of it while the plan is made.
struct Candidate {
  CaptureFacts facts;
  std::map<std::uint64_t, std::string> beginnings;  // digests
  PlannedRecording planned;
  std::optional<Marked> marked;
  bool left_out = false;

  bool begins_with(std::uint64_t bytes, const std::string& digest) const {
    const auto found = beginnings.find(bytes);
    return bytes <= facts.bytes && found != beginnings.end() && found->second == digest;
  }
};

// The byte behind a beginning that has no line end must be one, or it is another line.
Result<bool> ends_a_line(const fs::path& path, std::uint64_t bytes, std::uint64_t all) {
  if (bytes == 0 || bytes >= all) return true;
  auto source = open_file_source(path);
  if (!source) return source.error();
  char around[2]{};
  const auto got = (*source)->read_at(bytes - 1, around);
  if (!got) return got.error();
  return around[0] == '\n' || around[1] == '\n' || around[1] == '\r';
}

// Finds the journal that the file continues, or gives it one.
Result<void> assign(Candidate& file, const std::vector<Known>& known, const fs::path& journals) {
  auto& planned = file.planned;
  planned.path = file.facts.path;
  planned.cut_short = file.facts.cut_short;
  const RecordingPart whole{file.facts.bytes, file.beginnings.at(file.facts.bytes), std::nullopt,
                            file.facts.path.string()};
  const Known* continued = nullptr;
  std::size_t parts = 0;
  for (const auto& each : known) {
    for (std::size_t n = each.note.parts.size(); n > 0; --n) {
      const auto& part = each.note.parts[n - 1];
      // One that goes on otherwise than it was played is no continuation.
      if (n < each.note.parts.size() && part.bytes != whole.bytes) continue;
      if (!file.begins_with(part.bytes, part.digest)) continue;
      const auto at_a_line = ends_a_line(file.facts.path, part.bytes, file.facts.bytes);
      if (!at_a_line) return at_a_line.error();
      if (!*at_a_line || (continued != nullptr && continued->note.parts[parts - 1].bytes >= part.bytes)) continue;
      continued = &each;
      parts = n;
    }
  }
  if (continued == nullptr) {
    std::copy_n(file.facts.digest.begin(), planned.id.bytes.size(), planned.id.bytes.begin());
    planned.directory = journals / ("replay-" + planned.id.text().substr(0, 16));
    planned.note.parts = {whole};
  } else {
    planned.id = continued->id;
    planned.directory = continued->directory;
    planned.note = continued->note;
    planned.note.parts.resize(parts);
    planned.is_new_part = planned.note.parts.back().bytes < whole.bytes;
    planned.goes_on_from = planned.note.parts.back().bytes;
    if (planned.is_new_part) planned.note.parts.push_back(whole);
  }
  planned.note.sources.insert(file.facts.sources.begin(), file.facts.sources.end());
  planned.note.first = file.facts.first.value_or(WallTime{});
  planned.note.last = file.facts.last.value_or(WallTime{});
  return {};
}

bool may_overlap(const CaptureFacts& file, const std::set<Source>& sources, WallTime first, WallTime last) {
  if (!file.first || *file.first > last || *file.last < first) return false;
  return std::ranges::any_of(file.sources, [&](const auto& source) { return sources.contains(source); });
}

struct Common {
  std::uint64_t lines = 0;
  std::uint64_t first_line = 0, last_line = 0;
  bool all = false;
};

Common common_lines(const Marked& file, const std::vector<std::uint64_t>& other) {
  const std::unordered_set<std::uint64_t> known(other.begin(), other.end());
  Common common;
  for (std::size_t i = 0; i < file.hashes.size(); ++i) {
    if (!known.contains(file.hashes[i])) continue;
    if (common.lines++ == 0) common.first_line = file.numbers[i];
    common.last_line = file.numbers[i];
  }
  common.all = common.lines > 0 && common.lines == file.hashes.size();
  return common;
}

Error overlap_error(const fs::path& file, const Common& common, const std::string& other) {
  return Error{
      Errc::usage, file.string(),
      fmt::format(
          "{} of its lines, from line {} to line {}, stand in {} too: they would be stored twice. Play one of the two, or "
          "make one recording of both (`marketprism journal join EARLIER LATER -o WHOLE`) and play that: it goes on where "
          "the earlier one ended; into another --data DIR it can be played as it is",
          common.lines, common.first_line, common.last_line, other)};
}

Result<const Marked*> marks_of(Candidate& file) {
  if (!file.marked) {
    auto marked = marked_lines(file.facts.path, file.facts.bytes, true);
    if (!marked) return marked.error();
    file.marked = std::move(*marked);
  }
  return &*file.marked;
}

// An Error where a part of the file's lines is another recording's; why the file is left out where all are; ""
// otherwise.
Result<std::string> look_for_overlap(Candidate& file, const std::vector<Known>& known, std::vector<Candidate>& others) {
  for (const auto& each : known) {
    if (each.directory == file.planned.directory ||
        !may_overlap(file.facts, each.note.sources, each.note.first, each.note.last))
      continue;
    const auto mine = marks_of(file);
    if (!mine) return mine.error();
    const auto theirs = noted_lines(each.directory);
    if (!theirs) return theirs.error();
    const auto common = common_lines(**mine, *theirs);
    const auto& last = each.note.parts.back();
    if (common.all)
      return fmt::format("each of its {} lines stands in {}, which was played before{}", common.lines, last.path,
                         last.closed ? "" : ", though not to its end: play that one again");
    if (common.lines > 0) return overlap_error(file.facts.path, common, last.path + ", which was played before,");
  }
  for (auto& other : others) {
    if (&other == &file || other.left_out || !other.facts.first) continue;
    if (!may_overlap(file.facts, other.facts.sources, *other.facts.first, *other.facts.last)) continue;
    const auto mine = marks_of(file);
    if (!mine) return mine.error();
    const auto theirs = marks_of(other);
    if (!theirs) return theirs.error();
    const auto common = common_lines(**mine, (*theirs)->hashes);
    if (common.all) return fmt::format("each of its {} lines stands in {}", common.lines, other.facts.path.string());
    // The other one may be the one that this one holds whole.
    if (common.lines > 0 && !common_lines(**theirs, (*mine)->hashes).all)
      return overlap_error(file.facts.path, common, other.facts.path.string());
  }
  return std::string();
}

// What stands behind a part that has not been played to its end comes into the note when it has.
RecordingNote noted_now(RecordingNote note) {
  const auto open = std::ranges::find_if(note.parts, [](const auto& part) { return !part.closed; });
  if (open != note.parts.end()) note.parts.erase(open + 1, note.parts.end());
  return note;
}

}  // namespace

Result<std::optional<RecordingNote>> read_recording_note(const fs::path& directory) {
  const auto path = directory / kRecordingFile;
  std::error_code error;
  if (!fs::exists(path, error)) {
    if (error) return io_error("look at", path, error.value());
    return std::optional<RecordingNote>();
  }
  const auto text = read_small_file(path, kMaxNote);
  if (!text) return text.error();
  auto note = note_of(*text);
  if (!note)
    return Error{Errc::corrupt, path.string(),
                 "does not tell which recording was played into this journal; move " + directory.string() +
                     " away to play that recording anew"};
  return note;
}

Result<void> write_recording_note(const fs::path& directory, const RecordingNote& note) {
  return write_whole(directory / kRecordingFile, text_of(note));
}

std::vector<CaptureSet::Boundary> PlannedRecording::boundaries() const {
  std::vector<CaptureSet::Boundary> out;
  for (const auto& part : note.parts) out.push_back({part.bytes, part.closed});
  return out;
}

Result<RecordingPlan> plan_recordings(const std::vector<fs::path>& files, const SourceOfUrl& source_of_url,
                                      const fs::path& journals) {
  auto facts = look_at_captures(files, source_of_url);
  if (!facts) return facts.error();
  const auto known = known_recordings(journals);
  if (!known) return known.error();
  std::set<std::uint64_t> lengths;
  for (const auto& each : *known)
    for (const auto& part : each.note.parts) lengths.insert(part.bytes);
  for (const auto& each : *facts) lengths.insert(each.bytes);

  std::vector<Candidate> candidates;
  for (auto& each : *facts) {
    auto beginnings = beginnings_of(each, lengths);
    if (!beginnings) return beginnings.error();
    if (!beginnings->contains(each.bytes))
      return Error{Errc::io, each.path.string(), "became shorter while it was read: wait until nobody writes it"};
    Candidate candidate;
    candidate.facts = std::move(each);
    candidate.beginnings = std::move(*beginnings);
    candidates.push_back(std::move(candidate));
    if (auto assigned = assign(candidates.back(), *known, journals); !assigned) return assigned.error();
  }

  RecordingPlan plan;
  const auto leave_out = [&](Candidate& candidate, std::string why) {
    candidate.left_out = true;
    plan.left_out.push_back({candidate.facts.path, std::move(why)});
  };
  for (auto& candidate : candidates)
    if (candidate.facts.lines == 0) leave_out(candidate, "it holds no line");
  // Of several copies of one recording that goes on, the longest tells all.
  for (auto& candidate : candidates) {
    for (const auto& longer : candidates) {
      if (&longer == &candidate || longer.left_out || candidate.left_out || longer.facts.bytes < candidate.facts.bytes)
        continue;
      if (!longer.begins_with(candidate.facts.bytes, candidate.beginnings.at(candidate.facts.bytes))) continue;
      leave_out(candidate, "it is the beginning of " + longer.facts.path.string());
      break;
    }
  }
  for (auto& candidate : candidates) {
    if (candidate.left_out) continue;
    auto overlaps = look_for_overlap(candidate, *known, candidates);
    if (!overlaps) return overlaps.error();
    if (!overlaps->empty()) leave_out(candidate, std::move(*overlaps));
  }

  std::vector<CaptureFacts> played;
  for (const auto& candidate : candidates)
    if (!candidate.left_out) played.push_back(candidate.facts);
  for (const auto& group : in_playing_order(std::move(played))) {
    auto& planned = plan.groups.emplace_back();
    for (const auto& path : group)
      planned.push_back(
          std::ranges::find(candidates, path, [](const Candidate& each) { return each.facts.path; })->planned);
  }
  return plan;
}

// The lines first: a part that is noted has its lines noted.
Result<void> claim_recording(const PlannedRecording& recording) {
  const auto marked = marked_lines(recording.path, recording.note.parts.back().bytes);
  if (!marked) return marked.error();
  const std::string_view bytes(reinterpret_cast<const char*>(marked->hashes.data()),
                               marked->hashes.size() * sizeof(std::uint64_t));
  if (auto written = write_whole(recording.directory / kLinesFile, bytes); !written) return written.error();
  return write_recording_note(recording.directory, noted_now(recording.note));
}

Result<void> settle_recording(PlannedRecording& recording, std::uint64_t bytes, bool closed) {
  for (auto& part : recording.note.parts)
    if (part.bytes == bytes) part.closed = closed;
  return write_recording_note(recording.directory, noted_now(recording.note));
}

Result<JoinedCaptures> join_captures(const fs::path& earlier, const fs::path& later) {
  const auto facts = look_at_captures({earlier, later}, {});
  if (!facts) return facts.error();
  JoinedCaptures joined;
  joined.earlier_bytes = std::ranges::find(*facts, earlier, &CaptureFacts::path)->bytes;
  const auto first = marked_lines(earlier, joined.earlier_bytes);
  if (!first) return first.error();
  const std::unordered_set<std::uint64_t> known(first->hashes.begin(), first->hashes.end());

  auto file = CaptureFile::open(later);
  if (!file) return file.error();
  std::uint64_t strange = 0;  // the first line that the earlier one has not, since the last common one
  std::optional<std::uint64_t> missed;
  while (true) {
    const auto line = file->next();
    if (!line && line.error().code == Errc::io) return line.error();
    if (!line) continue;
    if (!*line) break;
    if (!is_marked_frame(**line)) continue;
    if (known.contains(hash_of(**line))) {
      ++joined.common;
      joined.later_from = file->offset();
      if (strange != 0 && !missed) missed = strange;
    } else if (strange == 0) {
      strange = file->line_number();
    }
  }
  if (joined.common == 0)
    return Error{Errc::usage, later.string(),
                 "has no line in common with " + earlier.string() + ": there is nothing to join, both can be played"};
  if (missed)
    return Error{
        Errc::usage, fmt::format("{}: line {}", later.string(), *missed),
        fmt::format(
            "stands before lines that {} holds too, and not in that: name the earlier recording first; if it is, they are two "
            "observations, to be played into different --data directories",
            earlier.string())};
  if (joined.earlier_bytes > 0) {
    auto source = open_file_source(earlier);
    if (!source) return source.error();
    char last = 0;
    if (const auto got = (*source)->read_at(joined.earlier_bytes - 1, std::span(&last, 1)); !got) return got.error();
    joined.earlier_ends_its_line = last == '\n';
  }
  return joined;
}

}  // namespace mp::journal
