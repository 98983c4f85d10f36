#pragma once
// Reads capture files line by line, in bounded memory.

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "journal/capture_line.hpp"

namespace mp::journal {

// Of a line that cannot be read so much is kept.
inline constexpr std::size_t kMaxBrokenText = 64u << 10;

// Owned by one thread.
class CaptureFile {
 public:
  // "-" is standard input. `limit`: bytes behind it are not read. Errc::usage: what is no text at all, by its first
  // bytes (compressed files, segments of a journal, UTF-16), and how to make a capture of it.
  [[nodiscard]] static Result<CaptureFile> open(const std::filesystem::path& path, std::uint64_t limit = UINT64_MAX);
  CaptureFile(CaptureFile&&) noexcept;
  CaptureFile& operator=(CaptureFile&&) noexcept;
  ~CaptureFile();

  // Nothing at the end. Blank lines are passed over, and a byte order mark at the beginning. The views are valid until
  // the next call. Errors name file, line and field, and show a piece of the line with escapes for what is not
  // printable; the next call goes on with the next line, except after Errc::io.
  [[nodiscard]] Result<std::optional<CaptureLine>> next();

  // After an error that is not Errc::io: the line, at most kMaxBrokenText bytes of it; and the error without the file.
  std::string_view broken_text() const;
  const std::string& broken_why() const;
  // The line read last has no line end: the file ends in it.
  bool is_cut_short() const;

  std::uint64_t line_number() const;  // of the line read last, from 1
  std::uint64_t offset() const;       // how many bytes have been read up to its end, line end included
  std::uint64_t text_end() const;     // the same without the line end
  const std::filesystem::path& path() const;

 private:
  struct State;
  explicit CaptureFile(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace mp::journal
