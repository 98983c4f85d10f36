#pragma once
// Fuzzed bytes with the padding that decoders are promised, in an allocation of exactly that size.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <string_view>

#include "base/raw_record.hpp"

namespace mp {

class Padded {
 public:
  Padded(const std::uint8_t* data, std::size_t size)
      : size_(size), bytes_(new char[size + RawRecord::kFramePadding]()) {
    std::copy(data, data + size, bytes_.get());
  }
  std::string_view view() const { return {bytes_.get(), size_}; }

 private:
  std::size_t size_;
  std::unique_ptr<char[]> bytes_;
};

}  // namespace mp
