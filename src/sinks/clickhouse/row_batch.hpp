#pragma once
// Encoded rows on their way to the tables, and how they are cut into inserts.

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mp::sinks::clickhouse {

// Which table a row of a data type's consumer goes to.
enum class Target : std::uint8_t {
  hot,       // the data type's table
  cold,      // its twin in the cold database: the row is older than the hot table keeps
  rejected,  // rejected_messages
};
inline constexpr std::size_t kTargetCount = 3;

// A row's identity within a stream.
struct RowKey {
  std::uint64_t sequence = 0;
  std::uint32_t index = 0;
  friend auto operator<=>(const RowKey&, const RowKey&) = default;
};

struct BatchRow {
  RowKey key;
  Target target{};
  std::int32_t partition = 0;
  std::size_t offset = 0;  // of its bytes in its target's buffer
  std::size_t size = 0;
  bool again = false;  // its message says that the row may stand in the table under another stream
};

// Rows of consecutive messages of one consumer. Rows stand in the order of their keys.
class RowBatch {
 public:
  // The buffer to append a row of that target to; add() then says how far it goes.
  std::string& buffer(Target target) { return buffers_[static_cast<std::size_t>(target)]; }
  void add(RowKey key, Target target, std::int32_t partition, std::size_t offset);

  // The rows from this one on are of a message that was published again.
  void mark_again(std::size_t from_row);
  bool has_again() const { return has_again_; }
  // Writes another bus_stream (ns) into an encoded row: it stands 20 bytes before its end.
  void move_to_stream(std::uint32_t number, std::int64_t stream);

  const std::vector<BatchRow>& rows() const { return rows_; }
  std::string_view bytes_of(const BatchRow& row) const {
    return std::string_view{buffers_[static_cast<std::size_t>(row.target)]}.substr(row.offset, row.size);
  }
  std::size_t byte_size() const;
  bool empty() const { return rows_.empty(); }
  // Forgets the rows. Memory beyond what an ordinary batch needs is given back.
  void clear();

 private:
  std::vector<BatchRow> rows_;
  std::array<std::string, kTargetCount> buffers_;
  bool has_again_ = false;
};

// One INSERT: rows of one target, as numbers into RowBatch::rows().
struct Piece {
  Target target{};
  std::vector<std::uint32_t> rows;
};

// The inserts for the rows that are not `stored` yet, each within `max_partitions` partitions (ClickHouse refuses an
// insert of more than 100 and nobody wants that many parts at once).
std::vector<Piece> cut_pieces(const RowBatch& batch, const std::vector<bool>& stored, std::size_t max_partitions);

// The piece's bytes as few buffers: neighbours in memory are joined.
std::vector<std::string_view> body_of(const RowBatch& batch, const Piece& piece);

}  // namespace mp::sinks::clickhouse
