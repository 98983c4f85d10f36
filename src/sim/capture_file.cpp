#include "sim/capture_file.hpp"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

namespace mp::sim {

Result<binance::Recording> read_capture(const std::string& path) {
  if (std::filesystem::is_directory(path))
    return Error{Errc::io, "cannot read the capture " + path, "it is a directory"};
  std::ifstream in(path, std::ios::binary);
  if (!in) return Error{Errc::io, "cannot read the capture " + path, std::strerror(errno)};
  constexpr std::size_t kTold = 10;
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  binance::RecordingReader reader(path);
  std::size_t number = 0;
  std::uint64_t broken = 0;
  std::vector<Error> first_broken;
  for (std::string line; std::getline(in, line);) {
    ++number;
    if (number == 1 && line.starts_with(kByteOrderMark)) line.erase(0, kByteOrderMark.size());
    if (line.find_first_not_of(" \t\r") == line.npos) continue;
    const auto read = reader.line(line);
    if (read) continue;
    ++broken;
    if (first_broken.size() < kTold)
      first_broken.push_back(
          {read.error().code, path + " line " + std::to_string(number) + ", " + read.error().where, read.error().seen});
  }
  if (in.bad()) return Error{Errc::io, "cannot read the capture " + path, std::strerror(errno)};
  auto recording = reader.take();
  recording.broken = broken;
  recording.first_broken = std::move(first_broken);
  if (broken == number && broken > 0) return recording.first_broken.front();
  if (recording.messages.empty() && recording.answers.empty())
    return Error{Errc::usage, "the capture " + path + " holds nothing of Binance spot or USD-M", ""};
  return recording;
}

}  // namespace mp::sim
