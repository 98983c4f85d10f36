#pragma once
// HTTP content codings, piece by piece. Pure: bytes in, bytes out.

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "engine/engine_error.hpp"

namespace mp::engine {

enum class Coding { identity, gzip, deflate, zstd, lz4 };

// "gzip", "x-gzip", "deflate", "zstd", "lz4", "" and "identity"; nothing for others.
std::optional<Coding> coding_named(std::string_view name);
std::string_view to_string(Coding coding);

// The coding for an answer, from Accept-Encoding ("gzip, deflate;q=0.5"): the first that we have in
// the order lz4, zstd, gzip, deflate among those with q > 0; identity when there is none.
Coding choose_coding(std::string_view accept_encoding);

class Decompressor {
 public:
  virtual ~Decompressor() = default;
  // Gives the bytes that `in` becomes to `sink`, in pieces of a bounded size; stops early when sink
  // returns false.
  using Sink = std::function<bool(std::string_view)>;
  virtual EngineResult<void> feed(std::string_view in, const Sink& sink) = 0;
  // True between frames: the input may end here.
  virtual bool at_end() const = 0;
};
std::unique_ptr<Decompressor> make_decompressor(Coding coding);

class Compressor {
 public:
  virtual ~Compressor() = default;
  virtual void add(std::string_view in, std::string& out) = 0;
  virtual void finish(std::string& out) = 0;
};
std::unique_ptr<Compressor> make_compressor(Coding coding);

}  // namespace mp::engine
