#pragma once
// Where a segment's bytes come from: a file that may still grow, or memory (tests, fuzzing).

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

#include "base/result.hpp"

namespace mp::journal {

class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // Reads at most to.size() bytes from `offset`; fewer only at the present end.
  [[nodiscard]] virtual Result<std::size_t> read_at(std::uint64_t offset, std::span<char> to) = 0;
  [[nodiscard]] virtual Result<std::uint64_t> size() = 0;
};

[[nodiscard]] Result<std::unique_ptr<ByteSource>> open_file_source(const std::filesystem::path& path);
std::unique_ptr<ByteSource> memory_source(std::string bytes);

}  // namespace mp::journal
