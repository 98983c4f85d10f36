#pragma once
#include <algorithm>
#include <memory>
#include <string_view>

#include "base/raw_record.hpp"

namespace mp {

// A text with the readable bytes behind it that decoders need.
class PaddedText {
 public:
  explicit PaddedText(std::string_view text)
      : size_(text.size()), bytes_(new char[size_ + RawRecord::kFramePadding]()) {
    std::copy(text.begin(), text.end(), bytes_.get());
  }
  std::string_view view() const { return {bytes_.get(), size_}; }

 private:
  std::size_t size_;
  std::unique_ptr<char[]> bytes_;
};

}  // namespace mp
