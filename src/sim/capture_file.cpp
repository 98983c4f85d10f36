#include "sim/capture_file.hpp"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

namespace mp::sim {

Result<binance::Recording> read_capture(const std::string& path) {
  if (std::filesystem::is_directory(path)) return Error{Errc::io, "cannot read the capture " + path, "it is a directory"};
  std::ifstream in(path, std::ios::binary);
  if (!in) return Error{Errc::io, "cannot read the capture " + path, std::strerror(errno)};
  binance::RecordingReader reader(path);
  std::size_t number = 0;
  for (std::string line; std::getline(in, line);) {
    ++number;
    if (line.find_first_not_of(" \t\r") == line.npos) continue;
    if (auto read = reader.line(line); !read)
      return Error{read.error().code, path + " line " + std::to_string(number) + ", " + read.error().where,
                   read.error().seen};
  }
  if (in.bad()) return Error{Errc::io, "cannot read the capture " + path, std::strerror(errno)};
  auto recording = reader.take();
  if (recording.messages.empty() && recording.answers.empty())
    return Error{Errc::usage, "the capture " + path + " holds nothing of Binance spot or USD-M", ""};
  return recording;
}

}  // namespace mp::sim
