#include "journal/capture_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <iterator>

#include "base/text.hpp"
#include "journal/files.hpp"

namespace mp::journal {
namespace {

constexpr std::size_t kChunk = 1u << 20;
constexpr std::size_t kShown = 60;  // of a broken line in a message
// UTF-8's, which some editors put in front of a file.
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

// For messages and reasons: printable ASCII and whole UTF-8 stay, all else as \xNN.
std::string escaped(std::string_view text) {
  const bool utf8 = is_valid_utf8(text);
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f || (byte >= 0x80 && !utf8))
      fmt::format_to(std::back_inserter(out), "\\x{:02x}", byte);
    else
      out.push_back(c);
  }
  return out;
}

struct Foreign {
  std::string_view begins;
  std::string_view what;
};
using namespace std::string_view_literals;
constexpr Foreign kForeign[] = {
    {"\x1f\x8b"sv, "is compressed by gzip: `gzip -dc FILE > capture.jsonl`, and name that"},
    {"\x28\xb5\x2f\xfd"sv, "is compressed by zstd: `zstd -dc FILE > capture.jsonl`, and name that"},
    {"\xfd\x37zXZ\x00"sv, "is compressed by xz: `xz -dc FILE > capture.jsonl`, and name that"},
    {"BZh"sv, "is compressed by bzip2: `bzip2 -dc FILE > capture.jsonl`, and name that"},
    {"\x04\x22\x4d\x18"sv, "is compressed by lz4: `lz4 -dc FILE > capture.jsonl`, and name that"},
    {"PK\x03\x04"sv, "is a zip archive: `unzip -p FILE > capture.jsonl`, and name that"},
    {"MPJRNL\r\n"sv, "is a segment of a journal: `marketprism journal cat FILE > capture.jsonl`, and name that"},
    {"\xff\xfe"sv, "is UTF-16: `iconv -f UTF-16 -t UTF-8 FILE > capture.jsonl`, and name that"},
    {"\xfe\xff"sv, "is UTF-16: `iconv -f UTF-16 -t UTF-8 FILE > capture.jsonl`, and name that"},
};

// What the file is, when it cannot be a capture.
std::string_view foreign_kind(int fd) {
  char bytes[8];
  const auto n = ::pread(fd, bytes, sizeof bytes, 0);  // fails on pipes, which are taken as they come
  if (n <= 0) return {};
  const std::string_view begin(bytes, static_cast<std::size_t>(n));
  for (const auto& foreign : kForeign)
    if (begin.starts_with(foreign.begins)) return foreign.what;
  return {};
}

}  // namespace

struct CaptureFile::State {
  std::filesystem::path path;
  OwnedFd fd;
  std::uint64_t limit = UINT64_MAX;
  std::uint64_t fetched = 0;  // bytes read from the file
  CaptureLineReader reader;
  // Bytes [begin, end) of the buffer are read and not yet given out; the padding stands behind them.
  std::string buffer = std::string(kChunk + RawRecord::kFramePadding, '\0');
  std::size_t begin = 0;
  std::size_t end = 0;
  bool at_end = false;
  std::uint64_t line = 0;
  std::uint64_t offset = 0;
  std::uint64_t text_end = 0;
  bool cut_short = false;
  std::string_view broken_text;
  std::string broken_why;
  std::string long_text;  // the beginning of a line that is too long
  std::optional<Error> final_error;

  Result<bool> read_more();
  Result<std::optional<std::string_view>> next_text();
  Error pass_long_line();
  Error broken(Error error, std::string_view text);
};

// False at the end of the file.
Result<bool> CaptureFile::State::read_more() {
  if (begin > 0) {
    std::memmove(buffer.data(), buffer.data() + begin, end - begin);
    end -= begin;
    begin = 0;
  }
  if (end + kChunk + RawRecord::kFramePadding > buffer.size())
    buffer.resize(std::max(2 * buffer.size(), end + kChunk + RawRecord::kFramePadding));
  const auto room = std::min<std::uint64_t>(buffer.size() - RawRecord::kFramePadding - end, limit - fetched);
  if (room == 0) return false;
  while (true) {
    const auto n = ::read(fd.get(), buffer.data() + end, room);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return io_error("read", path, errno);
    end += static_cast<std::size_t>(n);
    fetched += static_cast<std::size_t>(n);
    return n > 0;
  }
}

// Reads on to the line's end without keeping it.
Error CaptureFile::State::pass_long_line() {
  long_text = buffer.substr(begin, std::min(end - begin, kMaxBrokenText));
  std::uint64_t size = 0;
  while (true) {
    const auto pending = std::string_view(buffer).substr(begin, end - begin);
    const auto newline = pending.find('\n');
    const auto passed = newline == pending.npos ? pending.size() : newline + 1;
    begin += passed;
    offset += passed;
    size += passed;
    cut_short = newline == pending.npos;
    if (!cut_short || at_end) break;
    const auto more = read_more();
    if (!more) return more.error();
    at_end = !*more;
  }
  ++line;
  text_end = offset - (cut_short ? 0 : 1);
  return Error{Errc::out_of_range, fmt::format("line {}", line),
               fmt::format("{} bytes; a line has at most {}", size, kMaxCaptureLine)};
}

Result<std::optional<std::string_view>> CaptureFile::State::next_text() {
  std::size_t searched = 0;
  while (true) {
    const auto pending = std::string_view(buffer).substr(begin, end - begin);
    const auto newline = pending.find('\n', searched);
    if (newline != pending.npos || (at_end && !pending.empty())) {
      auto text = pending.substr(0, newline);
      cut_short = newline == pending.npos;
      const auto passed = cut_short ? pending.size() : newline + 1;
      begin += passed;
      text_end = offset + text.size() - (text.ends_with('\r') ? 1 : 0);
      offset += passed;
      ++line;
      if (line == 1 && text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
      if (text.ends_with('\r')) text.remove_suffix(1);
      return std::optional(text);
    }
    if (at_end) return std::optional<std::string_view>();
    searched = pending.size();
    if (searched > kMaxCaptureLine) return pass_long_line();
    const auto more = read_more();
    if (!more) return more.error();
    at_end = !*more;
  }
}

Error CaptureFile::State::broken(Error error, std::string_view text) {
  error.seen = escaped(error.seen);
  // A field's value has been shown; of a line that is none the error shows a piece already.
  if (error.code != Errc::not_json) error.seen += (error.seen.empty() ? "" : ": ") + escaped(shortened(text, kShown));
  if (cut_short) error.seen += " (the file ends in this line)";
  broken_text = text.substr(0, kMaxBrokenText);
  broken_why = error.text();
  error.where = path.string() + ": " + error.where;
  return error;
}

CaptureFile::CaptureFile(std::unique_ptr<State> state) : state_(std::move(state)) {}
CaptureFile::CaptureFile(CaptureFile&&) noexcept = default;
CaptureFile& CaptureFile::operator=(CaptureFile&&) noexcept = default;
CaptureFile::~CaptureFile() = default;

Result<CaptureFile> CaptureFile::open(const std::filesystem::path& path, std::uint64_t limit) {
  auto state = std::make_unique<State>();
  state->path = path;
  state->limit = limit;
  if (path == "-") {
    state->path = "standard input";
    state->fd = OwnedFd(::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0));
    if (!state->fd) return io_error("read", state->path, errno);
    return CaptureFile(std::move(state));
  }
  auto fd = open_file(path, O_RDONLY);
  if (!fd) return fd.error();
  if (std::filesystem::is_directory(path))
    return Error{Errc::usage, path.string(), "is a directory; a capture is a file of JSON lines"};
  if (const auto what = foreign_kind(fd->get()); !what.empty()) {
    std::string told(what);
    return Error{Errc::usage, path.string(), told.replace(told.find("FILE"), 4, path.string())};
  }
  state->fd = std::move(*fd);
  return CaptureFile(std::move(state));
}

Result<std::optional<CaptureLine>> CaptureFile::next() {
  auto& s = *state_;
  if (s.final_error) return *s.final_error;
  while (true) {
    const auto text = s.next_text();
    if (!text && text.error().code == Errc::io) {
      s.final_error = text.error();
      return *s.final_error;
    }
    if (!text) return s.broken(text.error(), s.long_text);
    if (!*text) return std::optional<CaptureLine>();
    if ((*text)->find_first_not_of(" \t") == (*text)->npos) continue;
    auto line = s.reader.read(**text, s.line);
    if (!line) return s.broken(line.error(), **text);
    return std::optional(*line);
  }
}

std::string_view CaptureFile::broken_text() const { return state_->broken_text; }
const std::string& CaptureFile::broken_why() const { return state_->broken_why; }
bool CaptureFile::is_cut_short() const { return state_->cut_short; }
std::uint64_t CaptureFile::line_number() const { return state_->line; }
std::uint64_t CaptureFile::offset() const { return state_->offset; }
std::uint64_t CaptureFile::text_end() const { return state_->text_end; }
const std::filesystem::path& CaptureFile::path() const { return state_->path; }

}  // namespace mp::journal
