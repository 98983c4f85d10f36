#pragma once
// Positions of a journal as text, and sets of them.

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/raw_record.hpp"

namespace mp::jetstream {

// "12-3456-0": segment, record, ordinal.
void append_text(std::string& out, const EventPosition& position);
std::string to_text(const EventPosition& position);
std::optional<EventPosition> event_position_from(std::string_view text);
// "12-3456"
std::string to_text(const RecordPosition& position);
std::optional<RecordPosition> record_position_from(std::string_view text);

// The last position that is surely before `position`: what holds for all records up to it holds for all
// records before `position`.
RecordPosition before(const RecordPosition& position);

// Which positions of one subject the stream holds: closed intervals. What lies between the ends of one
// message is in that message (Publisher never cuts across an event that it leaves out), what lies between two
// messages is not known to be stored.
class Intervals {
 public:
  void add(const EventPosition& first, const EventPosition& last);
  bool contains(const EventPosition& position) const;
  bool empty() const { return by_first_.empty(); }
  std::size_t size() const { return by_first_.size(); }
  void clear() { by_first_.clear(); }
  // Forgets what ends before `position`: positions are asked for in rising order.
  void forget_before(const EventPosition& position);

 private:
  std::map<EventPosition, EventPosition> by_first_;  // first -> last, disjoint
};

}  // namespace mp::jetstream
