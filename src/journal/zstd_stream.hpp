#pragma once
// One zstd frame per block, flushed after each group: a group can be unpacked as soon as it is on disk,
// and profits from what the block held before it. Pure.

#include <memory>
#include <string>
#include <string_view>

struct ZSTD_CCtx_s;
struct ZSTD_DCtx_s;

namespace mp::journal {

class BlockCompressor {
 public:
  explicit BlockCompressor(int level);
  ~BlockCompressor();
  BlockCompressor(const BlockCompressor&) = delete;
  BlockCompressor& operator=(const BlockCompressor&) = delete;

  void begin_block();
  // Appends what unpacks to `raw` by itself, given the block's earlier groups.
  void append_group(std::string& out, std::string_view raw);

 private:
  ZSTD_CCtx_s* context_;
};

class BlockDecompressor {
 public:
  BlockDecompressor();
  ~BlockDecompressor();
  BlockDecompressor(const BlockDecompressor&) = delete;
  BlockDecompressor& operator=(const BlockDecompressor&) = delete;

  void begin_block();
  // Replaces `raw`. False when `stored` is no group that continues this block, or unpacks to more
  // than `limit` bytes.
  [[nodiscard]] bool unpack_group(std::string_view stored, std::size_t limit, std::string& raw);

 private:
  ZSTD_DCtx_s* context_;
};

// A zstd frame of its own.
void append_compressed(std::string& out, std::string_view raw, int level);
[[nodiscard]] bool decompress(std::string_view stored, std::size_t limit, std::string& raw);

}  // namespace mp::journal
