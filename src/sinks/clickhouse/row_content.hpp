#pragma once
// What a row says, apart from where it stood on the bus: by this a row is known again that was stored before the
// stream it came from was lost, and is published once more into another one. Pure: RowBinary in, bytes out.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sinks/clickhouse/row_batch.hpp"
#include "sinks/clickhouse/rows/table.hpp"

namespace mp::sinks::clickhouse {

// How many bytes the value at the beginning of `bytes` takes, written as RowBinary; nothing when it is cut short or
// the type is not one of ours.
std::optional<std::size_t> value_size(std::string_view type, std::string_view bytes);

// Which columns make up the content, in their order. Levels are left out (a book's ids tell its levels, and
// they would be most of what is read back), and of a line that storage itself rejected the time, which is the bus's.
struct Content {
  Content(const Table& table, bool rejected_by_storage);

  std::vector<std::string> names;   // to select
  std::vector<std::string> ranges;  // those of them that are times: a search can be limited by them

  // The content of an encoded row of the table. Nothing when it is no such row.
  struct Row {
    std::string content;
    std::vector<std::int64_t> times;  // beside `ranges`, in ns
    std::int64_t stream = 0;          // bus_stream, in ns
  };
  std::optional<Row> of_row(std::string_view row) const;

  // The next row of an answer to "SELECT <bus_stream>, <names> … FORMAT RowBinary", taken off `answer`.
  struct Found {
    std::int64_t stream = 0;
    std::string content;
  };
  std::optional<Found> take(std::string_view& answer) const;

 private:
  struct Step {
    const char* type;
    bool chosen;
    bool is_range;
  };
  std::vector<Step> steps_;  // all columns of the table but the bus's
};

// Rows of a batch that say what rows of another stream say. Each row found stands for one of the batch: an event that was
// published twice in its time is there twice.
class Recognition {
 public:
  // Takes the rows of the batch that were published again and go to `target`.
  Recognition(const RowBatch& batch, Target target, const Content& content);

  bool empty() const { return wanted_.empty(); }
  // "timestamp BETWEEN … AND … AND received_at BETWEEN …"; "" when there is no time to go by.
  std::string where(const Content& content) const;
  void found(const Content::Found& row);
  // The keys of the rows that were recognised.
  const std::vector<RowKey>& keys() const { return keys_; }

 private:
  struct Wanted {
    std::string content;
    std::int64_t stream = 0;
    RowKey key;
    bool recognised = false;
  };
  std::vector<Wanted> wanted_;  // by content, then by key
  std::vector<std::pair<std::int64_t, std::int64_t>> ranges_;
  std::vector<RowKey> keys_;
};

}  // namespace mp::sinks::clickhouse
