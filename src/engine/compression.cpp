#include "engine/compression.hpp"

#include <fmt/format.h>
#include <lz4frame.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <cstring>
#include <new>

namespace mp::engine {
namespace {

constexpr std::size_t kPiece = 256 * 1024;

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

class Identity final : public Decompressor, public Compressor {
 public:
  EngineResult<void> feed(std::string_view in, const Sink& sink) override {
    if (!in.empty()) sink(in);
    return {};
  }
  bool at_end() const override { return true; }
  void add(std::string_view in, std::string& out) override { out += in; }
  void finish(std::string&) override {}
};

// ---- gzip and deflate ------------------------------------------------------------------------------------------

Bytef* input_of(std::string_view in) { return reinterpret_cast<Bytef*>(const_cast<char*>(in.data())); }

class ZlibDecompressor final : public Decompressor {
 public:
  // 32 + 15: gzip or zlib, told by the first bytes; -15: the bare deflate that some clients send.
  ZlibDecompressor() : piece_(kPiece, '\0') {
    if (::inflateInit2(&stream_, 32 + 15) != Z_OK) throw std::bad_alloc();
  }
  ~ZlibDecompressor() override { ::inflateEnd(&stream_); }

  EngineResult<void> feed(std::string_view in, const Sink& sink) override {
    stream_.next_in = input_of(in);
    stream_.avail_in = static_cast<uInt>(in.size());
    while (stream_.avail_in > 0) {
      if (ended_) begin_next_member();
      if (auto rc = step(sink); rc != Z_OK) {
        return rc == Z_ERRNO ? EngineResult<void>{}
                             : make_error(Code::zlib_inflate_failed, fmt::format("inflate failed: {}", message()));
      }
    }
    return {};
  }
  bool at_end() const override { return ended_; }

 private:
  // Z_OK; Z_ERRNO when the sink wants no more; zlib's code otherwise.
  int step(const Sink& sink) {
    do {
      stream_.next_out = reinterpret_cast<Bytef*>(piece_.data());
      stream_.avail_out = kPiece;
      const int rc = ::inflate(&stream_, Z_NO_FLUSH);
      if (rc == Z_DATA_ERROR && begin_bare_deflate()) continue;
      if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR) return rc;
      started_ = true;
      ended_ = rc == Z_STREAM_END;
      const std::size_t made = kPiece - stream_.avail_out;
      if (made > 0 && !sink({piece_.data(), made})) return Z_ERRNO;
      if (rc == Z_BUF_ERROR) break;
    } while (!ended_ && (stream_.avail_out == 0 || stream_.avail_in > 0));
    return Z_OK;
  }
  void begin_next_member() {
    ::inflateReset(&stream_);
    ended_ = false;
  }
  bool begin_bare_deflate() {
    if (started_ || bare_) return false;
    bare_ = true;
    const auto used = stream_.total_in;
    stream_.next_in -= used;
    stream_.avail_in += static_cast<uInt>(used);
    return ::inflateReset2(&stream_, -15) == Z_OK;
  }
  const char* message() const { return stream_.msg == nullptr ? "unknown error" : stream_.msg; }

  z_stream stream_{};
  std::string piece_;
  bool started_ = false;
  bool bare_ = false;
  bool ended_ = false;
};

class ZlibCompressor final : public Compressor {
 public:
  explicit ZlibCompressor(bool gzip) {
    // ClickHouse's http_zlib_compression_level default.
    if (::deflateInit2(&stream_, 3, Z_DEFLATED, gzip ? 16 + 15 : 15, 8, Z_DEFAULT_STRATEGY) != Z_OK)
      throw std::bad_alloc();
  }
  ~ZlibCompressor() override { ::deflateEnd(&stream_); }
  void add(std::string_view in, std::string& out) override { run(in, out, Z_NO_FLUSH); }
  void finish(std::string& out) override { run({}, out, Z_FINISH); }

 private:
  void run(std::string_view in, std::string& out, int flush) {
    stream_.next_in = input_of(in);
    stream_.avail_in = static_cast<uInt>(in.size());
    do {
      const auto had = out.size();
      out.resize(had + kPiece);
      stream_.next_out = reinterpret_cast<Bytef*>(out.data() + had);
      stream_.avail_out = kPiece;
      ::deflate(&stream_, flush);
      out.resize(had + kPiece - stream_.avail_out);
    } while (stream_.avail_out == 0);
  }
  z_stream stream_{};
};

// ---- zstd ------------------------------------------------------------------------------------------------------

class ZstdDecompressor final : public Decompressor {
 public:
  ZstdDecompressor() : stream_(::ZSTD_createDCtx()), piece_(kPiece, '\0') {
    if (stream_ == nullptr) throw std::bad_alloc();
  }
  ~ZstdDecompressor() override { ::ZSTD_freeDCtx(stream_); }
  EngineResult<void> feed(std::string_view in, const Sink& sink) override {
    ZSTD_inBuffer input{in.data(), in.size(), 0};
    bool full = false;
    while (input.pos < input.size || full) {
      ZSTD_outBuffer output{piece_.data(), piece_.size(), 0};
      const std::size_t rc = ::ZSTD_decompressStream(stream_, &output, &input);
      if (::ZSTD_isError(rc) != 0) {
        return make_error(Code::zstd_decoder_failed, fmt::format("zstd decoding failed: {}", ::ZSTD_getErrorName(rc)));
      }
      at_end_ = rc == 0;
      full = output.pos == output.size;
      if (output.pos > 0 && !sink({piece_.data(), output.pos})) return {};
    }
    return {};
  }
  bool at_end() const override { return at_end_; }

 private:
  ZSTD_DCtx* stream_;
  std::string piece_;
  bool at_end_ = false;
};

class ZstdCompressor final : public Compressor {
 public:
  ZstdCompressor() : stream_(::ZSTD_createCCtx()) {
    if (stream_ == nullptr) throw std::bad_alloc();
    ::ZSTD_CCtx_setParameter(stream_, ZSTD_c_compressionLevel, 1);
  }
  ~ZstdCompressor() override { ::ZSTD_freeCCtx(stream_); }
  void add(std::string_view in, std::string& out) override { run(in, out, ZSTD_e_continue); }
  void finish(std::string& out) override { run({}, out, ZSTD_e_end); }

 private:
  void run(std::string_view in, std::string& out, ZSTD_EndDirective mode) {
    ZSTD_inBuffer input{in.data(), in.size(), 0};
    for (bool more = true; more;) {
      const auto had = out.size();
      out.resize(had + kPiece);
      ZSTD_outBuffer output{out.data() + had, kPiece, 0};
      const std::size_t left = ::ZSTD_compressStream2(stream_, &output, &input, mode);
      out.resize(had + output.pos);
      more = ::ZSTD_isError(left) == 0 && (mode == ZSTD_e_end ? left != 0 : input.pos < input.size);
    }
  }
  ZSTD_CCtx* stream_;
};

// ---- lz4 -------------------------------------------------------------------------------------------------------

class Lz4Decompressor final : public Decompressor {
 public:
  Lz4Decompressor() : piece_(kPiece, '\0') {
    if (::LZ4F_isError(::LZ4F_createDecompressionContext(&stream_, LZ4F_VERSION)) != 0) throw std::bad_alloc();
  }
  ~Lz4Decompressor() override { ::LZ4F_freeDecompressionContext(stream_); }
  EngineResult<void> feed(std::string_view in, const Sink& sink) override {
    bool full = false;
    while (!in.empty() || full) {
      std::size_t made = piece_.size();
      std::size_t used = in.size();
      const std::size_t rc = ::LZ4F_decompress(stream_, piece_.data(), &made, in.data(), &used, nullptr);
      if (::LZ4F_isError(rc) != 0) {
        return make_error(Code::lz4_decoder_failed, fmt::format("LZ4 decoding failed: {}", ::LZ4F_getErrorName(rc)));
      }
      in.remove_prefix(used);
      at_end_ = rc == 0;
      full = made == piece_.size();
      if (made > 0 && !sink({piece_.data(), made})) return {};
    }
    return {};
  }
  bool at_end() const override { return at_end_; }

 private:
  LZ4F_dctx* stream_ = nullptr;
  std::string piece_;
  bool at_end_ = false;
};

class Lz4Compressor final : public Compressor {
 public:
  Lz4Compressor() {
    if (::LZ4F_isError(::LZ4F_createCompressionContext(&stream_, LZ4F_VERSION)) != 0) throw std::bad_alloc();
  }
  ~Lz4Compressor() override { ::LZ4F_freeCompressionContext(stream_); }
  void add(std::string_view in, std::string& out) override {
    begin(out);
    while (!in.empty()) {
      const auto part = in.substr(0, kPiece);
      in.remove_prefix(part.size());
      append(out, ::LZ4F_compressBound(part.size(), nullptr), [&](char* to, std::size_t room) {
        return ::LZ4F_compressUpdate(stream_, to, room, part.data(), part.size(), nullptr);
      });
    }
  }
  void finish(std::string& out) override {
    begin(out);
    append(out, ::LZ4F_compressBound(0, nullptr),
           [&](char* to, std::size_t room) { return ::LZ4F_compressEnd(stream_, to, room, nullptr); });
  }

 private:
  void begin(std::string& out) {
    if (begun_) return;
    begun_ = true;
    append(out, LZ4F_HEADER_SIZE_MAX,
           [&](char* to, std::size_t room) { return ::LZ4F_compressBegin(stream_, to, room, nullptr); });
  }
  template <class F>
  static void append(std::string& out, std::size_t room, F write) {
    const auto had = out.size();
    out.resize(had + room);
    const std::size_t made = write(out.data() + had, room);
    out.resize(had + (::LZ4F_isError(made) != 0 ? 0 : made));
  }
  LZ4F_cctx* stream_ = nullptr;
  bool begun_ = false;
};

}  // namespace

std::optional<Coding> coding_named(std::string_view name) {
  if (name.empty() || name == "identity") return Coding::identity;
  if (name == "gzip" || name == "x-gzip") return Coding::gzip;
  if (name == "deflate") return Coding::deflate;
  if (name == "zstd") return Coding::zstd;
  if (name == "lz4") return Coding::lz4;
  return std::nullopt;
}

std::string_view to_string(Coding coding) {
  switch (coding) {
    case Coding::identity: return "identity";
    case Coding::gzip: return "gzip";
    case Coding::deflate: return "deflate";
    case Coding::zstd: return "zstd";
    case Coding::lz4: return "lz4";
  }
  return "identity";
}

Coding choose_coding(std::string_view accept_encoding) {
  bool accepted[5] = {};
  while (!accept_encoding.empty()) {
    const auto end = std::min(accept_encoding.find(','), accept_encoding.size());
    const auto part = accept_encoding.substr(0, end);
    accept_encoding.remove_prefix(std::min(end + 1, accept_encoding.size()));
    const auto name = trimmed(part.substr(0, part.find(';')));
    const bool refused = part.find("q=0") != std::string_view::npos &&
                         part.find_first_of("123456789", part.find("q=0")) == std::string_view::npos;
    const auto coding = coding_named(name);
    if (coding && !name.empty() && !refused) accepted[static_cast<int>(*coding)] = true;
  }
  for (const auto coding : {Coding::lz4, Coding::zstd, Coding::gzip, Coding::deflate}) {
    if (accepted[static_cast<int>(coding)]) return coding;
  }
  return Coding::identity;
}

std::unique_ptr<Decompressor> make_decompressor(Coding coding) {
  switch (coding) {
    case Coding::identity: return std::make_unique<Identity>();
    case Coding::gzip:
    case Coding::deflate: return std::make_unique<ZlibDecompressor>();
    case Coding::zstd: return std::make_unique<ZstdDecompressor>();
    case Coding::lz4: return std::make_unique<Lz4Decompressor>();
  }
  return std::make_unique<Identity>();
}

std::unique_ptr<Compressor> make_compressor(Coding coding) {
  switch (coding) {
    case Coding::identity: return std::make_unique<Identity>();
    case Coding::gzip: return std::make_unique<ZlibCompressor>(true);
    case Coding::deflate: return std::make_unique<ZlibCompressor>(false);
    case Coding::zstd: return std::make_unique<ZstdCompressor>();
    case Coding::lz4: return std::make_unique<Lz4Compressor>();
  }
  return std::make_unique<Identity>();
}

}  // namespace mp::engine
