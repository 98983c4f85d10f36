#pragma once
// What the journal asks of the operating system, with errors that name the file and what to do.

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>

#include "base/result.hpp"

namespace mp::journal {

// "cannot append to /data/journal/x: No space left on device; free disk space, …"
Error io_error(const std::string& doing, const std::filesystem::path& path, int error_number);

// A file descriptor that closes itself.
class OwnedFd {
 public:
  OwnedFd() = default;
  explicit OwnedFd(int fd) : fd_(fd) {}
  OwnedFd(OwnedFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  OwnedFd& operator=(OwnedFd&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  ~OwnedFd() { reset(); }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  void reset();

 private:
  int fd_ = -1;
};

[[nodiscard]] Result<OwnedFd> open_file(const std::filesystem::path& path, int flags, unsigned mode = 0644);
[[nodiscard]] Result<std::string> read_small_file(const std::filesystem::path& path, std::size_t limit);
[[nodiscard]] Result<void> make_directories(const std::filesystem::path& path);
// Makes names in this directory durable.
[[nodiscard]] Result<void> sync_directory(const std::filesystem::path& path);

}  // namespace mp::journal
