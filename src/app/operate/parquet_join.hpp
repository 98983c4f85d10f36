#pragma once
// Several Parquet files of one schema as one: their row groups one after the other under one footer. Pure.
//
// A Parquet file is "PAR1", data, a footer, its length (4 bytes, little-endian) and "PAR1" again. The footer names
// places in the data by their distance from the file's beginning: those are moved. Page indexes hold such distances
// too, within the data: the references to them are left out, which every reader must be able to do without
// (https://github.com/apache/parquet-format, FileFormat and PageIndex, checked 2026-11-28).

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace mp::operate {

inline constexpr std::string_view kParquetMagic = "PAR1";
inline constexpr std::size_t kParquetTail = 8;  // the footer's length and the magic

// From a file's last 8 bytes. Errc::corrupt when they are not the end of a Parquet file.
Result<std::uint32_t> parquet_footer_size(std::string_view tail);

class ParquetJoin {
 public:
  ParquetJoin();
  ~ParquetJoin();
  // `footer` of a file whose bytes from the fifth on stand in the joined file from `data_begin` on. Returns its rows.
  // Errc::corrupt when it is none, Errc::conflict when its columns are not those of the first.
  Result<std::uint64_t> add(std::string_view footer, std::uint64_t data_begin);
  // What ends the joined file. At least one file has been added.
  std::string end() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mp::operate
