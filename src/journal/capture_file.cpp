#include "journal/capture_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "journal/files.hpp"

namespace mp::journal {
namespace {
constexpr std::size_t kChunk = 1u << 20;
}

struct CaptureFile::State {
  std::filesystem::path path;
  OwnedFd fd;
  CaptureLineReader reader;
  // Bytes [begin, end) of the buffer are read and not yet given out; the padding stands behind them.
  std::string buffer = std::string(kChunk + RawRecord::kFramePadding, '\0');
  std::size_t begin = 0;
  std::size_t end = 0;
  bool at_end = false;
  std::uint64_t line = 0;
  std::optional<Error> final_error;

  Result<bool> read_more();
  Result<std::optional<std::string_view>> next_text();
  Error in_file(Error error) const {
    error.where = path.string() + ": " + error.where;
    return error;
  }
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
  while (true) {
    const auto n = ::read(fd.get(), buffer.data() + end, buffer.size() - RawRecord::kFramePadding - end);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return io_error("read", path, errno);
    end += static_cast<std::size_t>(n);
    return n > 0;
  }
}

Result<std::optional<std::string_view>> CaptureFile::State::next_text() {
  std::size_t searched = 0;
  while (true) {
    const auto pending = std::string_view(buffer).substr(begin, end - begin);
    const auto newline = pending.find('\n', searched);
    if (newline != pending.npos || (at_end && !pending.empty())) {
      auto text = pending.substr(0, newline);
      begin += newline == pending.npos ? pending.size() : newline + 1;
      ++line;
      if (text.ends_with('\r')) text.remove_suffix(1);
      return std::optional(text);
    }
    if (at_end) return std::optional<std::string_view>();
    searched = pending.size();
    if (searched > kMaxCaptureLine)
      return Error{Errc::out_of_range, fmt::format("line {}", line + 1),
                   fmt::format("longer than {} bytes; is this a capture file?", kMaxCaptureLine)};
    const auto more = read_more();
    if (!more) return more.error();
    at_end = !*more;
  }
}

CaptureFile::CaptureFile(std::unique_ptr<State> state) : state_(std::move(state)) {}
CaptureFile::CaptureFile(CaptureFile&&) noexcept = default;
CaptureFile& CaptureFile::operator=(CaptureFile&&) noexcept = default;
CaptureFile::~CaptureFile() = default;

Result<CaptureFile> CaptureFile::open(const std::filesystem::path& path) {
  auto state = std::make_unique<State>();
  state->path = path;
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
  state->fd = std::move(*fd);
  return CaptureFile(std::move(state));
}

Result<std::optional<CaptureLine>> CaptureFile::next() {
  auto& s = *state_;
  if (s.final_error) return *s.final_error;
  while (true) {
    const auto text = s.next_text();
    if (!text) {
      s.final_error = text.error().code == Errc::io ? text.error() : s.in_file(text.error());
      return *s.final_error;
    }
    if (!*text) return std::optional<CaptureLine>();
    if ((*text)->find_first_not_of(" \t") == (*text)->npos) continue;
    auto line = s.reader.read(**text, s.line);
    if (!line) return s.in_file(line.error());
    return std::optional(*line);
  }
}

std::uint64_t CaptureFile::line_number() const { return state_->line; }
const std::filesystem::path& CaptureFile::path() const { return state_->path; }

}  // namespace mp::journal
