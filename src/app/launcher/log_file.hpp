#pragma once
// A part's output as a file: DIR/logs/<part>.log, renamed to .1, that to .2 … when it grows over its limit.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace mp::launcher {

class LogFile {
 public:
  explicit LogFile(std::string path, std::uint64_t limit_bytes = 32u << 20, int older_files = 4);
  LogFile(const LogFile&) = delete;
  LogFile& operator=(const LogFile&) = delete;
  ~LogFile();

  // Writes the bytes and calls back for each line that they complete (longer than 16 kB: in pieces).
  void append(std::string_view bytes, const std::function<void(const std::string&)>& line);
  void append_line(const std::string& line);
  const std::vector<std::string>& last_lines() const { return last_; }  // at most 8
  void forget_last_lines() { last_.clear(); }                           // at a new start
  const std::string& path() const { return path_; }

 private:
  void write(std::string_view bytes);
  void remember(const std::string& line);
  std::string path_;
  std::uint64_t limit_;
  int older_files_;
  int file_ = -1;
  std::uint64_t size_ = 0;
  std::string partial_;
  std::vector<std::string> last_;
};

// Whether a line of any part is worth showing: warnings and errors of ours and of nats-server.
bool is_alarming(std::string_view line);
// Of these: a warning, and no error.
bool is_warning(std::string_view line);

}  // namespace mp::launcher
