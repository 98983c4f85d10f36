#include "app/launcher/log_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>

namespace mp::launcher {
namespace {
constexpr std::size_t kLongestLine = 16 * 1024;
constexpr std::size_t kLastLines = 8;
}  // namespace

LogFile::LogFile(std::string path, std::uint64_t limit_bytes, int older_files)
    : path_(std::move(path)), limit_(limit_bytes), older_files_(older_files) {}

LogFile::~LogFile() {
  if (file_ >= 0) ::close(file_);
}

void LogFile::write(std::string_view bytes) {
  if (file_ >= 0 && size_ + bytes.size() > limit_) {
    ::close(file_);
    file_ = -1;
    const auto older = [this](int number) { return path_ + "." + std::to_string(number); };
    for (int number = older_files_ - 1; number > 0; --number)
      ::rename(older(number).c_str(), older(number + 1).c_str());
    ::rename(path_.c_str(), older(1).c_str());
  }
  if (file_ < 0) {
    file_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    struct stat info {};
    size_ = file_ >= 0 && ::fstat(file_, &info) == 0 ? static_cast<std::uint64_t>(info.st_size) : 0;
  }
  // A log that cannot be written (full disk) must not stop the capture.
  if (file_ >= 0 && ::write(file_, bytes.data(), bytes.size()) > 0) size_ += bytes.size();
}

void LogFile::remember(const std::string& line) {
  last_.push_back(line);
  if (last_.size() > kLastLines) last_.erase(last_.begin());
}

void LogFile::append(std::string_view bytes, const std::function<void(const std::string&)>& line) {
  write(bytes);
  for (const char c : bytes) {
    if (c != '\n') partial_ += c;
    if (c == '\n' || partial_.size() >= kLongestLine) {
      remember(partial_);
      line(partial_);
      partial_.clear();
    }
  }
}

void LogFile::append_line(const std::string& line) { write(line + "\n"); }

bool is_alarming(std::string_view line) {
  const auto head = line.substr(0, 80);
  // nats-server's answer to our own question, above all while it starts and ends; what it says is in our status.
  if (line.find("[WRN] Healthcheck failed") != std::string_view::npos) return false;
  for (const std::string_view mark :
       {" WARN ", " ERROR ", "[WRN]", "[ERR]", "[FTL]", "\"level\":\"warn\"", "\"level\":\"error\""}) {
    if (head.find(mark) != std::string_view::npos) return true;
  }
  // "marketprism storage: …": the one clear line of a command that fails.
  return head.starts_with("marketprism ") && head.find(": ") != std::string_view::npos;
}

bool is_warning(std::string_view line) {
  const auto head = line.substr(0, 80);
  return is_alarming(line) &&
         (head.find(" WARN ") != std::string_view::npos || head.find("[WRN]") != std::string_view::npos ||
          head.find("\"level\":\"warn\"") != std::string_view::npos);
}

}  // namespace mp::launcher
