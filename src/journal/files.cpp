#include "journal/files.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "journal/byte_source.hpp"

namespace mp::journal {
namespace {

const char* advice(int error_number) {
  switch (error_number) {
    case ENOSPC:
    case EDQUOT: return "; free disk space there, or lower the journal's retention (age, bytes)";
    case EFBIG: return "; raise the file size limit (ulimit -f), or lower the journal's segment size";
    case EROFS: return "; the file system is read-only: mount it writable, or choose another data directory";
    case EACCES:
    case EPERM: return "; give this user the right to write there, or choose another data directory";
    case EMFILE:
    case ENFILE: return "; raise the limit of open files (ulimit -n)";
    case EIO: return "; the disk reports an error: check it (dmesg) before trusting it further";
    default: return "";
  }
}

class FileSource final : public ByteSource {
 public:
  FileSource(OwnedFd fd, std::filesystem::path path) : fd_(std::move(fd)), path_(std::move(path)) {}

  Result<std::size_t> read_at(std::uint64_t offset, std::span<char> to) override {
    std::size_t done = 0;
    while (done < to.size()) {
      const auto n = ::pread(fd_.get(), to.data() + done, to.size() - done, static_cast<off_t>(offset + done));
      if (n == 0) break;
      if (n > 0)
        done += static_cast<std::size_t>(n);
      else if (errno != EINTR)
        return io_error("read", path_, errno);
    }
    return done;
  }

  Result<std::uint64_t> size() override {
    const auto end = ::lseek(fd_.get(), 0, SEEK_END);
    if (end < 0) return io_error("find the size of", path_, errno);
    return static_cast<std::uint64_t>(end);
  }

 private:
  OwnedFd fd_;
  std::filesystem::path path_;
};

class MemorySource final : public ByteSource {
 public:
  explicit MemorySource(std::string bytes) : bytes_(std::move(bytes)) {}

  Result<std::size_t> read_at(std::uint64_t offset, std::span<char> to) override {
    if (offset >= bytes_.size()) return std::size_t{0};
    const auto count = std::min<std::size_t>(to.size(), bytes_.size() - static_cast<std::size_t>(offset));
    std::memcpy(to.data(), bytes_.data() + offset, count);
    return count;
  }
  Result<std::uint64_t> size() override { return static_cast<std::uint64_t>(bytes_.size()); }

 private:
  std::string bytes_;
};

}  // namespace

Error io_error(const std::string& doing, const std::filesystem::path& path, int error_number) {
  return {Errc::io, fmt::format("cannot {} {}", doing, path.string()),
          fmt::format("{}{}", std::strerror(error_number), advice(error_number))};
}

void OwnedFd::reset() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

Result<OwnedFd> open_file(const std::filesystem::path& path, int flags, unsigned mode) {
  const int fd = ::open(path.c_str(), flags | O_CLOEXEC, static_cast<mode_t>(mode));
  if (fd < 0) return io_error("open", path, errno);
  return OwnedFd(fd);
}

Result<std::string> read_small_file(const std::filesystem::path& path, std::size_t limit) {
  auto source = open_file_source(path);
  if (!source) return source.error();
  std::string text(limit, '\0');
  const auto size = (*source)->read_at(0, text);
  if (!size) return size.error();
  text.resize(*size);
  return text;
}

Result<void> make_directories(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return io_error("make directory", path, error.value());
  return {};
}

Result<void> sync_directory(const std::filesystem::path& path) {
  auto fd = open_file(path, O_RDONLY | O_DIRECTORY);
  if (!fd) return fd.error();
  if (::fsync(fd->get()) != 0 && errno != EINVAL) return io_error("sync directory", path, errno);
  return {};
}

Result<std::unique_ptr<ByteSource>> open_file_source(const std::filesystem::path& path) {
  auto fd = open_file(path, O_RDONLY);
  if (!fd) return fd.error();
  return std::unique_ptr<ByteSource>(std::make_unique<FileSource>(std::move(*fd), path));
}

std::unique_ptr<ByteSource> memory_source(std::string bytes) {
  return std::make_unique<MemorySource>(std::move(bytes));
}

}  // namespace mp::journal
