#include "sim/ledger_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace mp::sim {
namespace {
constexpr std::size_t kBufferBytes = 64 * 1024;
}  // namespace

Result<std::unique_ptr<LedgerFile>> LedgerFile::open(const std::string& path) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (file < 0) return Error{Errc::io, "cannot write the ledger " + path, std::strerror(errno)};
  return std::unique_ptr<LedgerFile>(new LedgerFile(file, path));
}

LedgerFile::~LedgerFile() {
  flush();
  ::close(file_);
}

void LedgerFile::line(std::string_view text) {
  buffer_ += text;
  buffer_.push_back('\n');
  if (buffer_.size() >= kBufferBytes) flush();
}

void LedgerFile::flush() {
  std::string_view rest = buffer_;
  while (!rest.empty() && failure_.empty()) {
    const auto n = ::write(file_, rest.data(), rest.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      failure_ = "the ledger " + path_ + " is incomplete: " + std::strerror(errno);
      break;
    }
    rest.remove_prefix(static_cast<std::size_t>(n));
  }
  buffer_.clear();
}

}  // namespace mp::sim
