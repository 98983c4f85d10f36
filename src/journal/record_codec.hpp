#pragma once
// Records as bytes inside a block, before compression. Pure. A block needs nothing outside itself: the first
// record of a source or connection in a block is preceded by its definition.

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/raw_record.hpp"

namespace mp::journal {

// Owns Sources and gives each a lasting address: equal ones have the same.
class SourceTable {
 public:
  const Source* intern(const Source& source) { return &*sources_.insert(source).first; }

 private:
  std::set<Source> sources_;
};

struct Connection {
  const Source* source = nullptr;
  std::string url;
};

class RecordEncoder {
 public:
  // What follows is a new block.
  void begin_block();

  // `known` is what is known of record.connection from earlier records; null when nothing is.
  void append(std::string& out, const RawRecord& record, const Connection* known);

 private:
  std::size_t source_index(std::string& out, const Source& source);
  void define_connection(std::string& out, const RawRecord& record, const Connection* known);

  std::map<Source, std::size_t> sources_;
  std::unordered_map<ConnectionId, std::size_t> connections_;  // defined in this block: source index
  std::int64_t previous_time_ = 0;
  ConnectionId previous_connection_ = 0;
};

class RecordDecoder {
 public:
  enum class Next { record, end, malformed };

  explicit RecordDecoder(SourceTable& sources) : sources_(&sources) {}

  void begin_block();
  // The bytes of one group; they must outlive the records read from it, and have
  // RawRecord::kFramePadding readable bytes behind them.
  void begin_group(std::string_view padded_bytes);
  Next next(RawRecord& record);

  // As known from the block so far; null when it is not.
  const Connection* connection(ConnectionId id) const;

 private:
  bool define_source();
  bool define_connection();
  bool read_record(unsigned char tag, RawRecord& record);

  SourceTable* sources_;
  std::string_view left_;
  std::vector<const Source*> block_sources_;
  std::unordered_map<ConnectionId, Connection> connections_;
  std::int64_t previous_time_ = 0;
  ConnectionId previous_connection_ = 0;
};

}  // namespace mp::journal
