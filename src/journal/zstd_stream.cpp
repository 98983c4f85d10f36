#include "journal/zstd_stream.hpp"

#include <zstd.h>

#include <algorithm>
#include <new>
#include <stdexcept>

namespace mp::journal {
namespace {

// The window of a block: larger does not help, since a block ends at 1 MB.
constexpr int kWindowLog = 20;
constexpr std::size_t kFirstGrowth = 64u << 10;

// zstd fails only when it is used wrongly or without memory.
std::size_t must(std::size_t result) {
  if (ZSTD_isError(result) != 0) throw std::runtime_error(std::string("zstd: ") + ZSTD_getErrorName(result));
  return result;
}

// Unpacks all of `stored` behind the context's earlier input; the bytes become `raw`.
// `finished` tells whether the frame came to its end.
bool unpack(ZSTD_DCtx* context, std::string_view stored, std::size_t limit, std::string& raw, bool& finished) {
  if (raw.capacity() < kFirstGrowth) raw.reserve(kFirstGrowth);
  raw.resize(raw.capacity());
  std::size_t filled = 0;
  ZSTD_inBuffer in{stored.data(), stored.size(), 0};
  finished = false;
  while (true) {
    if (filled == raw.size()) {
      if (filled >= limit) return false;
      raw.resize(std::min(limit, 2 * raw.size()));
    }
    ZSTD_outBuffer out{raw.data(), std::min(raw.size(), limit), filled};
    const auto result = ZSTD_decompressStream(context, &out, &in);
    if (ZSTD_isError(result) != 0) return false;
    filled = out.pos;
    finished = result == 0;
    // With room left in the output nothing can be waiting inside zstd.
    if (in.pos == in.size && (finished || filled < out.size)) break;
    if (finished || filled >= limit) return false;  // more bytes than the frame, or than allowed
  }
  raw.resize(filled);
  return true;
}

}  // namespace

BlockCompressor::BlockCompressor(int level) : context_(ZSTD_createCCtx()) {
  if (context_ == nullptr) throw std::bad_alloc();
  must(ZSTD_CCtx_setParameter(context_, ZSTD_c_compressionLevel, level));
  must(ZSTD_CCtx_setParameter(context_, ZSTD_c_windowLog, kWindowLog));
  must(ZSTD_CCtx_setParameter(context_, ZSTD_c_checksumFlag, 0));
}

BlockCompressor::~BlockCompressor() { ZSTD_freeCCtx(context_); }

void BlockCompressor::begin_block() { must(ZSTD_CCtx_reset(context_, ZSTD_reset_session_only)); }

void BlockCompressor::append_group(std::string& out, std::string_view raw) {
  ZSTD_inBuffer in{raw.data(), raw.size(), 0};
  auto filled = out.size();
  out.resize(filled + ZSTD_compressBound(raw.size()) + 32);
  while (true) {
    ZSTD_outBuffer room{out.data(), out.size(), filled};
    const auto left = must(ZSTD_compressStream2(context_, &room, &in, ZSTD_e_flush));
    filled = room.pos;
    if (left == 0 && in.pos == in.size) break;
    out.resize(out.size() + left + 1024);
  }
  out.resize(filled);
}

BlockDecompressor::BlockDecompressor() : context_(ZSTD_createDCtx()) {
  if (context_ == nullptr) throw std::bad_alloc();
  // A damaged or foreign frame may not ask for more memory than ours ever need.
  must(ZSTD_DCtx_setParameter(context_, ZSTD_d_windowLogMax, kWindowLog));
}

BlockDecompressor::~BlockDecompressor() { ZSTD_freeDCtx(context_); }

void BlockDecompressor::begin_block() { must(ZSTD_DCtx_reset(context_, ZSTD_reset_session_only)); }

bool BlockDecompressor::unpack_group(std::string_view stored, std::size_t limit, std::string& raw) {
  bool finished = false;
  return unpack(context_, stored, limit, raw, finished) && !finished;
}

void append_compressed(std::string& out, std::string_view raw, int level) {
  const auto before = out.size();
  out.resize(before + ZSTD_compressBound(raw.size()));
  const auto size = must(ZSTD_compress(out.data() + before, out.size() - before, raw.data(), raw.size(), level));
  out.resize(before + size);
}

bool decompress(std::string_view stored, std::size_t limit, std::string& raw) {
  ZSTD_DCtx* context = ZSTD_createDCtx();
  if (context == nullptr) throw std::bad_alloc();
  bool finished = false;
  const bool good = unpack(context, stored, limit, raw, finished);
  ZSTD_freeDCtx(context);
  return good && finished;
}

}  // namespace mp::journal
