#include "sinks/clickhouse/row_batch.hpp"

#include <algorithm>

namespace mp::sinks::clickhouse {
namespace {

constexpr std::size_t kKeptBytes = 1u << 20;
constexpr std::size_t kKeptRows = 16'384;

// The not yet stored rows of one target; by partition where there is more than one, else in order.
std::vector<std::uint32_t> rows_to_store(const RowBatch& batch, const std::vector<bool>& stored, Target target) {
  std::vector<std::uint32_t> numbers;
  const auto& rows = batch.rows();
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (!stored[i] && rows[i].target == target) numbers.push_back(static_cast<std::uint32_t>(i));
  }
  std::stable_sort(numbers.begin(), numbers.end(),
                   [&](std::uint32_t a, std::uint32_t b) { return rows[a].partition < rows[b].partition; });
  return numbers;
}

}  // namespace

void RowBatch::add(RowKey key, Target target, std::int32_t partition, std::size_t offset) {
  rows_.push_back({key, target, partition, offset, buffer(target).size() - offset, false});
}

void RowBatch::mark_again(std::size_t from_row) {
  for (auto i = from_row; i < rows_.size(); ++i) rows_[i].again = has_again_ = true;
}

void RowBatch::move_to_stream(std::uint32_t number, std::int64_t stream) {
  const auto& row = rows_[number];
  auto& bytes = buffer(row.target);
  const auto at = row.offset + row.size - 20;
  for (std::size_t i = 0; i < 8; ++i)
    bytes[at + i] = static_cast<char>((static_cast<std::uint64_t>(stream) >> (8 * i)) & 0xff);
}

std::size_t RowBatch::byte_size() const {
  std::size_t sum = 0;
  for (const auto& buffer : buffers_) sum += buffer.size();
  return sum;
}

void RowBatch::clear() {
  rows_.clear();
  has_again_ = false;
  if (rows_.capacity() > kKeptRows) rows_.shrink_to_fit();
  for (auto& buffer : buffers_) {
    buffer.clear();
    if (buffer.capacity() > kKeptBytes) buffer.shrink_to_fit();
  }
}

std::vector<Piece> cut_pieces(const RowBatch& batch, const std::vector<bool>& stored, std::size_t max_partitions) {
  std::vector<Piece> pieces;
  for (std::size_t t = 0; t < kTargetCount; ++t) {
    const auto target = static_cast<Target>(t);
    std::size_t partitions = 0;
    std::int32_t last_partition = 0;
    for (const auto number : rows_to_store(batch, stored, target)) {
      const auto partition = batch.rows()[number].partition;
      if (partitions == 0 || partition != last_partition) {
        if (partitions == 0 || partitions == max_partitions) {
          pieces.push_back({target, {}});
          partitions = 0;
        }
        ++partitions;
        last_partition = partition;
      }
      pieces.back().rows.push_back(number);
    }
  }
  return pieces;
}

std::vector<std::string_view> body_of(const RowBatch& batch, const Piece& piece) {
  std::vector<std::string_view> parts;
  for (const auto number : piece.rows) {
    const auto bytes = batch.bytes_of(batch.rows()[number]);
    if (!parts.empty() && parts.back().data() + parts.back().size() == bytes.data()) {
      parts.back() = {parts.back().data(), parts.back().size() + bytes.size()};
    } else {
      parts.push_back(bytes);
    }
  }
  return parts;
}

}  // namespace mp::sinks::clickhouse
