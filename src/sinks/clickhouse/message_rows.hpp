#pragma once
// A message of the bus -> rows. Every line of every message becomes exactly one row: of its table, or of
// rejected_messages with the reason.

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sinks/clickhouse/row_batch.hpp"
#include "sinks/clickhouse/rows/table.hpp"
#include "wire/json.hpp"

namespace mp::sinks::clickhouse {

struct BusMessage {
  std::string_view subject;
  std::string_view payload;
  std::string_view encoding;  // of the header MP-Encoding: "" or "zstd"
  std::uint64_t sequence = 0;
  WallTime stored_at;
};

struct EncodingOptions {
  DataType type{};
  WallTime stream;                  // its creation time
  std::vector<DataSource> sources;  // those that may enter this database
  // Rows that happened longer ago go to the cold table; nothing: all go to the hot one.
  std::optional<Nanos> hot_for;
};

struct EncodingCounters {
  std::uint64_t rows = 0;      // of the table, hot and cold
  std::uint64_t rejected = 0;  // of rejected_messages
  std::uint64_t foreign = 0;   // of those: of a source that may not enter this database
};

// One thread.
class MessageEncoder {
 public:
  explicit MessageEncoder(EncodingOptions options);

  // Appends the message's rows to the batch.
  void encode(const BusMessage& message, WallTime now, RowBatch& batch);
  const EncodingCounters& counters() const { return counters_; }
  // Of the last row that was foreign.
  DataSource foreign_source() const { return foreign_source_; }

 private:
  void encode_line(const BusMessage& message, std::string_view line, std::uint32_t index, WallTime now,
                   RowBatch& batch);
  Result<void> append(const MarketEvent& event, RowKey key, WallTime now, RowBatch& batch);
  void reject(const BusMessage& message, std::string_view raw, RowKey key, const std::string& reason, RowBatch& batch);

  const EncodingOptions options_;
  const Table& table_;
  wire::InstrumentPool pool_;
  wire::Decoder decoder_{pool_};
  std::string unpacked_;
  EncodingCounters counters_;
  DataSource foreign_source_{};
};

// The sources that may enter a database that is said to hold `main`: back-filled rows are real ones.
std::vector<DataSource> sources_beside(DataSource main);

}  // namespace mp::sinks::clickhouse
