#pragma once
// What a row says, apart from where it stood on the bus: by this a row is known again that was stored before the
// stream it came from was lost, and is published once more into another one. Pure: RowBinary in, bytes out.

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sinks/clickhouse/row_batch.hpp"
#include "sinks/clickhouse/rows/table.hpp"

namespace mp::sinks::clickhouse {

// How many bytes the value at the beginning of `bytes` takes, written as RowBinary; nothing when it is cut short or
// the type is not one of ours.
std::optional<std::size_t> value_size(std::string_view type, std::string_view bytes);

// A row's content: the columns that tell one event from another, in their order. Not all of them: a version that
// decodes a column anew, or adds one, must know its rows again; a book's ids tell its levels, which would be most of
// what is read back; and the time of a line that storage itself rejected is the bus's.
struct Content {
  Content(const Table& table, bool rejected_by_storage);

  std::vector<std::string> names;   // to select, behind bus_stream, bus_sequence, bus_index
  std::vector<std::string> ranges;  // those of them that are times: a search can be limited by them

  // The content of an encoded row of the table. Nothing when it is no such row.
  struct Row {
    std::string content;
    std::vector<std::int64_t> times;  // beside `ranges`, in ns
    std::int64_t stream = 0;          // bus_stream, in ns
  };
  std::optional<Row> of_row(std::string_view row) const;

  // The next row of an answer to "SELECT bus_stream, bus_sequence, bus_index, <names> … FORMAT RowBinary", taken off
  // `answer`.
  struct Found {
    std::int64_t stream = 0;
    RowKey key;
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

// A server that lost power may lose the end of its stream and give the same sequences to other messages. Rows of these
// carry bus_stream one nanosecond later than the rows that were there before, so that a row's identity stays its own.
// So these are the streams that are one and the same for ClickHouse:
inline constexpr std::int64_t kLivesOfAStream = 1'000;
inline bool is_same_stream(std::int64_t a, std::int64_t b) { return (a < b ? b - a : a - b) < kLivesOfAStream; }
// "bus_stream BETWEEN …", all lives of the stream.
std::string where_stream(WallTime stream);

// A message's place in the batch is taken in the table: by its own row, or by one of a message that the server has
// lost.
struct Occupation {
  std::vector<RowKey> present;  // rows of the batch that are there
  // Rows of the batch (by number) whose place is taken by another event's, and the bus_stream they get instead.
  std::vector<std::pair<std::uint32_t, std::int64_t>> displaced;
};
// What stands in the tables at the batch's places. `data`: rows of the data type's table and its cold twin; `rejected`:
// of rejected_messages (a line that an earlier version rejected is there, whatever this one makes of it).
Occupation occupation_of(const RowBatch& batch, const Content& data, const Content& rejected,
                         std::vector<Content::Found> data_rows, std::vector<Content::Found> rejected_rows);

// Rows of a batch that were stored before, from a message that is not in the stream (any more): of another stream, or
// lost by the server. Each row found stands for one of the batch: an event that was published twice in its time is
// there twice.
class Recognition {
 public:
  // Whether the stream's message with this sequence, which is not in the batch, is the one that the row came from.
  using IsCurrent = std::function<bool(const RowKey& key, const std::string& content)>;

  // Takes the rows of the batch that were published again and go to `target`.
  Recognition(const RowBatch& batch, Target target, const Content& content);

  bool empty() const { return wanted_.empty(); }
  // "timestamp BETWEEN … AND … AND received_at BETWEEN …"; "" when there is no time to go by.
  std::string where(const Content& content) const;
  void found(const Content::Found& row, const IsCurrent& is_current);
  // The keys of the rows that were recognised.
  const std::vector<RowKey>& keys() const { return keys_; }

 private:
  struct Wanted {
    std::string content;
    std::int64_t stream = 0;
    RowKey key;
    bool recognised = false;
  };
  bool is_stale(const Content::Found& row, const IsCurrent& is_current) const;

  std::vector<Wanted> wanted_;  // by content, then by key
  std::vector<std::pair<std::int64_t, std::int64_t>> ranges_;
  std::vector<RowKey> keys_;
  std::map<RowKey, std::string> in_batch_;  // all its rows of the target: their contents
  std::uint64_t first_ = 0, last_ = 0;      // sequences of the batch
};

}  // namespace mp::sinks::clickhouse
