#include "journal/capture_set.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <charconv>
#include <deque>
#include <map>
#include <tuple>

#include "base/text.hpp"
#include "journal/byte_source.hpp"
#include "journal/capture_file.hpp"
#include "journal/record_codec.hpp"

namespace mp::journal {
namespace {

constexpr std::size_t kSkippedUrlsKept = 5;
constexpr std::size_t kBrokenTold = 10;
// Between two good lines of a file so much becomes records; the rest is counted only.
constexpr std::size_t kBrokenKept = 1000;
constexpr std::size_t kBrokenBytesKept = 4u << 20;

class Sha256 {
 public:
  Sha256() : context_(EVP_MD_CTX_new()) {
    if (context_ == nullptr || EVP_DigestInit_ex(context_, EVP_sha256(), nullptr) != 1)
      throw std::runtime_error("SHA-256 is not available");
  }
  ~Sha256() { EVP_MD_CTX_free(context_); }
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;
  void update(std::string_view bytes) { EVP_DigestUpdate(context_, bytes.data(), bytes.size()); }
  // Of what has been given so far; more may follow.
  std::string digest() const {
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    Sha256 copy;
    if (EVP_MD_CTX_copy_ex(copy.context_, context_) != 1) throw std::runtime_error("SHA-256 is not available");
    EVP_DigestFinal_ex(copy.context_, bytes, &size);
    return {bytes, bytes + size};
  }

 private:
  EVP_MD_CTX* context_;
};

JournalId id_of(const std::vector<std::string>& sorted_digests) {
  auto digest = sorted_digests.front();
  if (sorted_digests.size() > 1) {
    Sha256 all;
    for (const auto& one : sorted_digests) all.update(one);
    digest = all.digest();
  }
  JournalId id;
  std::copy_n(digest.begin(), id.bytes.size(), id.bytes.begin());
  return id;
}

std::optional<ConnectionId> number_of(std::string_view label) {
  ConnectionId number = 0;
  const auto [at, error] = std::from_chars(label.data(), label.data() + label.size(), number);
  if (error != std::errc{} || at != label.data() + label.size() || number == 0) return std::nullopt;
  return number;
}

}  // namespace

Result<std::string> sha256_of_file(const std::filesystem::path& path) {
  auto source = open_file_source(path);
  if (!source) return source.error();
  Sha256 sha;
  std::string chunk(1u << 20, '\0');
  for (std::uint64_t offset = 0;;) {
    const auto got = (*source)->read_at(offset, chunk);
    if (!got) return got.error();
    if (*got == 0) return sha.digest();
    sha.update(std::string_view(chunk).substr(0, *got));
    offset += *got;
  }
}

Result<std::map<std::uint64_t, std::string>> sha256_of_beginnings(const std::filesystem::path& path,
                                                                  const std::set<std::uint64_t>& lengths) {
  auto source = open_file_source(path);
  if (!source) return source.error();
  std::map<std::uint64_t, std::string> out;
  Sha256 sha;
  std::string chunk(1u << 20, '\0');
  std::uint64_t offset = 0;
  for (const auto length : lengths) {
    while (offset < length) {
      const auto wanted = std::min<std::uint64_t>(chunk.size(), length - offset);
      const auto got = (*source)->read_at(offset, std::span(chunk).first(wanted));
      if (!got) return got.error();
      if (*got == 0) return out;
      sha.update(std::string_view(chunk).substr(0, *got));
      offset += *got;
    }
    out[length] = sha.digest();
  }
  return out;
}

namespace {

// The files by their SHA-256.
Result<std::map<std::string, std::filesystem::path>> digests_of(const std::vector<std::filesystem::path>& files) {
  if (files.empty()) return Error{Errc::usage, "captures", "no file is given"};
  std::map<std::string, std::filesystem::path> by_digest;
  for (const auto& path : files) {
    const auto digest = sha256_of_file(path);
    if (!digest) return digest.error();
    const auto [at, added] = by_digest.emplace(*digest, path);
    if (!added)
      return Error{Errc::usage, path.string(),
                   fmt::format("has the same content as {}; name each capture once", at->second.string())};
  }
  return by_digest;
}

}  // namespace

struct CaptureSet::State {
  struct Connected {
    ConnectionId id = 0;
    const Source* source = nullptr;
    std::string url;  // of its line before: known to be this source's
  };
  // A line that could not be read; the text is padded.
  struct Broken {
    std::string padded_text;
    std::string why;
    std::uint64_t ends = 0;  // where in the file
  };
  // One file on its way.
  struct Track {
    explicit Track(CaptureFile f) : file(std::move(f)) {}
    CaptureFile file;
    std::optional<CaptureLine> line;  // read, not yet given out
    bool begun = false;
    bool finished = false;
    WallTime first;
    Nanos due{0};
    WallTime last;  // of the line given out last
    // By conn, or by url where there is none; by that and the source where another source has the name already.
    std::map<std::string, Connected, std::less<>> open;
    bool names_are_shared = false;
    std::uint64_t line_ends = 0;  // of `line`: where in the file
    std::deque<Broken> broken;    // read, not yet given out
    // Of the present run of broken lines, which a good one or a boundary ends.
    std::size_t run_lines = 0, run_bytes = 0;
    std::ptrdiff_t run_region = 0;
    std::deque<Broken> given;        // what records in `ready` refer to
    const Source* source = nullptr;  // of the line given out last
    std::set<Source> seen;
    bool given_any = false;

    void took(const Source* of) {
      if (of != source) seen.insert(*of);
      source = of;
    }
  };

  SourceOfUrl source_of_url;
  JournalId id;
  std::vector<Track> tracks;
  SourceTable sources;
  ConnectionId last_connection = 0;

  RawRecord record;
  std::deque<RawRecord> ready;  // records to give out before the next line is looked at
  bool begun = false;
  bool ended = false;
  bool stopped = false;  // the last record given out was a stop
  Nanos now{0};
  WallTime last_time;
  std::optional<Error> error;
  std::uint64_t skipped = 0;
  std::vector<std::string> skipped_urls;
  std::uint64_t broken_lines = 0;
  std::vector<Error> broken;
  bool is_part = false;
  std::deque<Boundary> boundaries;
  bool waiting = false;  // at a boundary that is undecided
  bool boundary_flushed = false;
  std::vector<RawRecord> closing;
  const std::string padding = std::string(RawRecord::kFramePadding, '\0');

  bool fetch(Track& track);
  void note_broken(Track& track, const Error& error);
  void give_broken(Track& track, const Source* source, WallTime at, std::uint64_t up_to = UINT64_MAX);
  void reach_boundary(Track& track);
  std::vector<Connected> open_of(const Track& track) const;
  RawRecord closed_record(const Connected& connection, WallTime at, std::string_view reason) const;
  Track* next_track();
  const RawRecord* next();
  const RawRecord* give(const RawRecord& what);
  void take_line(Track& track);
  void take_frame(Track& track, const CaptureLine& line);
  std::string key_of(Track& track, const CaptureLine& line);
  std::optional<Source> own_source(Connected& connection, const CaptureLine& line) const;
  void connect(Track& track, const CaptureLine& line, const std::string& key);
  void close(const Connected& connection, WallTime at, std::string_view reason);
  void close_all(Track& track, WallTime at, std::string_view reason);
  void skip(const CaptureLine& line);
  const Source* source_of(const CaptureLine& line);
  RawRecord plain(RecordKind kind, WallTime at, std::string_view words = "") const;
};

RawRecord CaptureSet::State::plain(RecordKind kind, WallTime at, std::string_view words) const {
  RawRecord made;
  made.kind = kind;
  made.received_at = at;
  made.payload = words.empty() ? std::string_view(padding).substr(0, 0) : words;
  return made;
}

// Reads the track's next line; false at its end or after an error.
bool CaptureSet::State::fetch(Track& track) {
  track.given.clear();
  track.run_lines = track.run_bytes = 0;
  auto line = track.file.next();
  for (; !line && line.error().code != Errc::io; line = track.file.next()) note_broken(track, line.error());
  if (!line) {
    error = line.error();
    return false;
  }
  track.line = *line;
  track.line_ends = track.file.text_end();
  if (!track.line) return false;
  if (!track.begun) {
    track.begun = true;
    track.first = track.line->received_at;
  }
  track.due = std::max(track.due, track.line->received_at - track.first);
  return true;
}

void CaptureSet::State::note_broken(Track& track, const Error& why) {
  ++broken_lines;
  if (broken.size() < kBrokenTold) broken.push_back(why);
  const auto text = track.file.broken_text();
  // What becomes a record must not depend on what stands behind a boundary, which was not there when that was played.
  const auto region = std::ranges::count_if(boundaries, [&](const auto& b) { return b.bytes < track.file.text_end(); });
  if (region != track.run_region) track.run_lines = track.run_bytes = 0;
  track.run_region = region;
  if (track.file.is_cut_short() || track.run_lines >= kBrokenKept || track.run_bytes + text.size() > kBrokenBytesKept)
    return;
  ++track.run_lines;
  track.run_bytes += text.size();
  track.broken.push_back({std::string(text) + padding, track.file.broken_why(), track.file.text_end()});
}

void CaptureSet::State::give_broken(Track& track, const Source* source, WallTime at, std::uint64_t up_to) {
  if (source == nullptr) return;
  for (; !track.broken.empty() && track.broken.front().ends <= up_to; track.broken.pop_front()) {
    const auto& each = track.given.emplace_back(std::move(track.broken.front()));
    auto unreadable = plain(RecordKind::unreadable, at);
    unreadable.source = source;
    unreadable.url = each.why;
    unreadable.payload = std::string_view(each.padded_text).substr(0, each.padded_text.size() - padding.size());
    ready.push_back(unreadable);
  }
}

// The one whose line is due first; the tracks stand in the order of their SHA-256.
CaptureSet::State::Track* CaptureSet::State::next_track() {
  Track* first = nullptr;
  for (auto& track : tracks)
    if (track.line && (first == nullptr || track.due < first->due)) first = &track;
  return first;
}

const Source* CaptureSet::State::source_of(const CaptureLine& line) {
  if (!line.exchange.empty()) return sources.intern({std::string(line.exchange), std::string(line.market)});
  const auto found = source_of_url ? source_of_url(line.url) : std::nullopt;
  return found ? sources.intern(*found) : nullptr;
}

void CaptureSet::State::skip(const CaptureLine& line) {
  ++skipped;
  const std::string url = shortened(line.url);
  if (skipped_urls.size() < kSkippedUrlsKept &&
      std::find(skipped_urls.begin(), skipped_urls.end(), url) == skipped_urls.end())
    skipped_urls.push_back(url);
}

RawRecord CaptureSet::State::closed_record(const Connected& connection, WallTime at, std::string_view reason) const {
  auto closed = plain(RecordKind::closed, at, reason);
  closed.connection = connection.id;
  closed.source = connection.source;
  return closed;
}

void CaptureSet::State::close(const Connected& connection, WallTime at, std::string_view reason) {
  ready.push_back(closed_record(connection, at, reason));
}

// By rising number.
std::vector<CaptureSet::State::Connected> CaptureSet::State::open_of(const Track& track) const {
  std::vector<Connected> open;
  for (const auto& [key, connection] : track.open) open.push_back(connection);
  std::sort(open.begin(), open.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  return open;
}

void CaptureSet::State::close_all(Track& track, WallTime at, std::string_view reason) {
  for (const auto& connection : open_of(track)) close(connection, at, reason);
  track.open.clear();
}

// The lines before the next boundary have been given out.
void CaptureSet::State::reach_boundary(Track& track) {
  if (!boundary_flushed) {
    boundary_flushed = true;
    give_broken(track, track.source, track.last, boundaries.front().bytes);
    for (const auto& source : track.seen) {
      auto flush = plain(RecordKind::flush, track.last);
      flush.source = sources.intern(source);
      ready.push_back(flush);
    }
    if (!ready.empty()) return;
  }
  const auto boundary = boundaries.front();
  if (!boundary.closed) {
    closing.clear();
    for (const auto& connection : open_of(track)) closing.push_back(closed_record(connection, track.last, "stopped"));
    waiting = true;
    return;
  }
  if (*boundary.closed) close_all(track, track.last, "stopped");
  boundaries.pop_front();
  boundary_flushed = false;
}

void CaptureSet::State::connect(Track& track, const CaptureLine& line, const std::string& key) {
  const auto* source = source_of(line);
  if (source == nullptr) return;
  const auto wanted = tracks.size() == 1 ? number_of(line.conn) : std::nullopt;
  last_connection = wanted && *wanted > last_connection ? *wanted : last_connection + 1;
  track.open[key] = {last_connection, source, std::string(line.url)};
  auto opened = plain(RecordKind::opened, line.received_at);
  opened.connection = last_connection;
  opened.source = source;
  opened.url = line.url;
  ready.push_back(opened);
}

// Whose the line says that it is, where that is another source than the connection's.
std::optional<Source> CaptureSet::State::own_source(Connected& connection, const CaptureLine& line) const {
  const auto& of = *connection.source;
  if (!line.exchange.empty()) {
    if (line.exchange == of.exchange && line.market == of.market) return std::nullopt;
    return Source{std::string(line.exchange), std::string(line.market)};
  }
  if (line.url == connection.url) return std::nullopt;
  const auto named = source_of_url ? source_of_url(line.url) : std::nullopt;
  if (named && *named != of) return named;
  connection.url = line.url;
  return std::nullopt;
}

// Recorders number their connections alike, so in recordings that were merged one name may stand for the connections of
// several sources: what a frame says of its own source keeps them apart.
std::string CaptureSet::State::key_of(Track& track, const CaptureLine& line) {
  std::string name(line.conn.empty() ? line.url : line.conn);
  const auto known = track.open.find(name);
  if (known != track.open.end()) {
    const auto other = own_source(known->second, line);
    if (!other) return name;
    track.names_are_shared = true;
    return name + '\n' + other->text();
  }
  if (!track.names_are_shared) return name;
  const auto* source = source_of(line);
  const auto own = source == nullptr ? name : name + '\n' + source->text();
  return track.open.contains(own) ? own : name;
}

void CaptureSet::State::take_frame(Track& track, const CaptureLine& line) {
  const auto key = key_of(track, line);
  auto known = track.open.find(key);
  if (line.kind == RecordKind::opened) {
    if (known != track.open.end()) close(known->second, line.received_at, "replaced");
    track.open.erase(key);
    connect(track, line, key);
    if (!track.open.contains(key)) skip(line);
    return;
  }
  if (known == track.open.end()) {
    connect(track, line, key);
    known = track.open.find(key);
    if (known == track.open.end()) return skip(line);
  }
  auto frame = plain(line.kind, line.received_at);
  frame.payload = line.payload;
  frame.connection = known->second.id;
  frame.source = known->second.source;
  track.took(frame.source);
  ready.push_back(frame);
  if (line.kind == RecordKind::closed) track.open.erase(known);
}

// Turns the track's line into records.
void CaptureSet::State::take_line(Track& track) {
  const auto line = *track.line;
  now = std::max(now, track.due);
  const auto before = track.given_any ? track.last : line.received_at;
  track.given_any = true;
  track.last = line.received_at;
  if (!begun && !(line.kind == RecordKind::start && tracks.size() == 1))
    ready.push_back(plain(RecordKind::start, line.received_at));
  begun = true;
  if (!track.broken.empty()) {
    const auto* of_line = line.kind == RecordKind::start || line.kind == RecordKind::stop ? nullptr : source_of(line);
    give_broken(track, track.source != nullptr ? track.source : of_line, before);
  }
  switch (line.kind) {
    case RecordKind::start:
    case RecordKind::stop:
      if (tracks.size() > 1) return close_all(track, line.received_at, "stopped");
      track.open.clear();
      ready.push_back(plain(line.kind, line.received_at));
      ready.back().payload = line.payload;
      return;
    case RecordKind::opened:
    case RecordKind::closed:
    case RecordKind::text:
    case RecordKind::binary:
    case RecordKind::sent: return take_frame(track, line);
    case RecordKind::rest:
    case RecordKind::rest_failed:
    case RecordKind::configured:
    case RecordKind::unreadable:
    case RecordKind::flush: {
      auto answer = plain(line.kind, line.received_at);
      answer.source = source_of(line);
      if (answer.source == nullptr) return skip(line);
      track.took(answer.source);
      answer.payload = line.payload;
      if (line.kind != RecordKind::flush && line.kind != RecordKind::configured) answer.url = line.url;
      answer.status = line.status;
      ready.push_back(answer);
      return;
    }
  }
}

const RawRecord* CaptureSet::State::give(const RawRecord& what) {
  record = what;
  last_time = what.received_at;
  stopped = what.kind == RecordKind::stop;
  return &record;
}

const RawRecord* CaptureSet::State::next() {
  while (true) {
    if (!ready.empty()) {
      const auto first = ready.front();
      ready.pop_front();
      return give(first);
    }
    if (error || ended || waiting) return nullptr;
    // What stands in `ready` refers to the lines of its track, so these are read on only now.
    for (auto& track : tracks) {
      if (track.line || track.finished || fetch(track)) continue;
      if (error) return nullptr;
      track.finished = true;
      if (is_part) continue;
      give_broken(track, track.source, track.last);
      close_all(track, track.last, "stopped");
    }
    if (!ready.empty()) continue;
    if (is_part && !boundaries.empty() &&
        (tracks.front().finished || tracks.front().line_ends > boundaries.front().bytes)) {
      reach_boundary(tracks.front());
      continue;
    }
    auto* track = next_track();
    if (track == nullptr) {
      ended = true;
      if (begun && !stopped && !is_part) ready.push_back(plain(RecordKind::stop, last_time));
      continue;
    }
    take_line(*track);
    track->line.reset();
  }
}

CaptureSet::CaptureSet(std::unique_ptr<State> state) : state_(std::move(state)) {}
CaptureSet::CaptureSet(CaptureSet&&) noexcept = default;
CaptureSet& CaptureSet::operator=(CaptureSet&&) noexcept = default;
CaptureSet::~CaptureSet() = default;

Result<std::vector<CaptureFacts>> look_at_captures(const std::vector<std::filesystem::path>& files,
                                                   const SourceOfUrl& source_of_url) {
  auto by_digest = digests_of(files);
  if (!by_digest) return by_digest.error();
  std::vector<CaptureFacts> out;
  for (auto& [digest, path] : *by_digest) {
    CaptureFacts facts;
    facts.path = path;
    facts.digest = digest;
    auto file = CaptureFile::open(path);
    if (!file) return file.error();
    std::optional<Error> broken;
    while (true) {
      const auto line = file->next();
      if (!line && line.error().code == Errc::io) return line.error();
      if (!line) {
        if (!broken) broken = line.error();
        if (file->is_cut_short()) facts.cut_short = line.error();
      }
      if (!facts.cut_short) facts.bytes = file->offset();
      if (!line) continue;
      if (!*line) break;
      ++facts.lines;
      facts.first = std::min(facts.first.value_or((*line)->received_at), (*line)->received_at);
      facts.last = std::max(facts.last.value_or((*line)->received_at), (*line)->received_at);
      if (!(*line)->exchange.empty()) {
        facts.sources.insert({std::string((*line)->exchange), std::string((*line)->market)});
      } else if (const auto source = source_of_url ? source_of_url((*line)->url) : std::nullopt) {
        facts.sources.insert(*source);
      }
    }
    if (facts.lines == 0 && broken)
      return Error{
          Errc::usage, broken->where,
          broken->seen +
              "; no line of it can be read: a capture is a file of JSON lines, as `marketprism journal cat` prints them"};
    out.push_back(std::move(facts));
  }
  return out;
}

std::vector<std::vector<std::filesystem::path>> in_playing_order(std::vector<CaptureFacts> captures) {
  std::stable_sort(captures.begin(), captures.end(), [](const auto& a, const auto& b) {
    return std::tie(a.first, a.digest) < std::tie(b.first, b.digest);
  });
  struct Group {
    std::set<Source> sources;
    std::vector<std::size_t> members;
  };
  std::vector<Group> groups;
  for (std::size_t i = 0; i < captures.size(); ++i) {
    Group joined{captures[i].sources, {i}};
    const auto shares = [&](const Group& group) {
      return std::ranges::any_of(captures[i].sources,
                                 [&](const Source& source) { return group.sources.contains(source); });
    };
    for (const auto& group : groups) {
      if (!shares(group)) continue;
      joined.sources.insert(group.sources.begin(), group.sources.end());
      joined.members.insert(joined.members.end(), group.members.begin(), group.members.end());
    }
    std::erase_if(groups, shares);
    std::ranges::sort(joined.members);
    groups.push_back(std::move(joined));
  }
  std::vector<std::vector<std::filesystem::path>> out;
  for (const auto& group : groups) {
    auto& paths = out.emplace_back();
    for (const auto member : group.members) paths.push_back(captures[member].path);
  }
  return out;
}

Result<CaptureSet> CaptureSet::open(std::vector<std::filesystem::path> files, SourceOfUrl source_of_url) {
  auto found = digests_of(files);
  if (!found) return found.error();
  const auto& by_digest = *found;
  auto state = std::make_unique<State>();
  state->source_of_url = std::move(source_of_url);
  std::vector<std::string> digests;
  for (const auto& [digest, path] : by_digest) {
    digests.push_back(digest);
    auto file = CaptureFile::open(path);
    if (!file) return file.error();
    state->tracks.emplace_back(std::move(*file));
  }
  state->id = id_of(digests);
  return CaptureSet(std::move(state));
}

Result<CaptureSet> CaptureSet::open_part(const std::filesystem::path& path, std::vector<Boundary> boundaries,
                                         SourceOfUrl source_of_url) {
  auto file = CaptureFile::open(path, boundaries.empty() ? 0 : boundaries.back().bytes);
  if (!file) return file.error();
  auto state = std::make_unique<State>();
  state->source_of_url = std::move(source_of_url);
  state->is_part = true;
  state->boundaries.assign(boundaries.begin(), boundaries.end());
  state->tracks.emplace_back(std::move(*file));
  return CaptureSet(std::move(state));
}

const JournalId& CaptureSet::journal_id() const { return state_->id; }
const RawRecord* CaptureSet::next() { return state_->next(); }
const std::optional<Error>& CaptureSet::error() const { return state_->error; }
bool CaptureSet::at_boundary() const { return state_->waiting; }
const std::vector<RawRecord>& CaptureSet::closing() const { return state_->closing; }
void CaptureSet::resume(bool closed) {
  auto& s = *state_;
  if (closed) s.tracks.front().open.clear();
  s.boundaries.pop_front();
  s.boundary_flushed = false;
  s.waiting = false;
}
std::uint64_t CaptureSet::broken_lines() const { return state_->broken_lines; }
const std::vector<Error>& CaptureSet::broken() const { return state_->broken; }
Nanos CaptureSet::offset() const { return state_->now; }
std::uint64_t CaptureSet::skipped_lines() const { return state_->skipped; }
const std::vector<std::string>& CaptureSet::skipped_urls() const { return state_->skipped_urls; }

}  // namespace mp::journal
