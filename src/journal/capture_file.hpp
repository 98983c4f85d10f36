#pragma once
// Reads capture files line by line, in bounded memory.

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "journal/capture_line.hpp"

namespace mp::journal {

// Owned by one thread.
class CaptureFile {
 public:
  // "-" is standard input.
  [[nodiscard]] static Result<CaptureFile> open(const std::filesystem::path& path);
  CaptureFile(CaptureFile&&) noexcept;
  CaptureFile& operator=(CaptureFile&&) noexcept;
  ~CaptureFile();

  // Nothing at the end. Blank lines are passed over. The views are valid until the next call.
  // Errors name file, line and field; the next call goes on with the next line, except after
  // Errc::io and for a line longer than kMaxCaptureLine.
  [[nodiscard]] Result<std::optional<CaptureLine>> next();

  std::uint64_t line_number() const;  // of the line read last, from 1
  const std::filesystem::path& path() const;

 private:
  struct State;
  explicit CaptureFile(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace mp::journal
