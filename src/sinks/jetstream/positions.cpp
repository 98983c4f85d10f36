#include "sinks/jetstream/positions.hpp"

#include <algorithm>
#include <charconv>
#include <limits>

namespace mp::jetstream {
namespace {

void append_number(std::string& out, std::uint32_t value) {
  char buffer[12];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
  out.append(buffer, end);
}

// Reads a number and the `separator` behind it (0: the text must end there).
bool take_number(std::string_view& text, std::uint32_t& value, char separator) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{}) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  if (separator == '\0') return text.empty();
  if (text.empty() || text.front() != separator) return false;
  text.remove_prefix(1);
  return true;
}

}  // namespace

void append_text(std::string& out, const EventPosition& position) {
  append_number(out, position.record.segment);
  out += '-';
  append_number(out, position.record.record);
  out += '-';
  append_number(out, position.ordinal);
}

std::string to_text(const EventPosition& position) {
  std::string out;
  append_text(out, position);
  return out;
}

std::optional<EventPosition> event_position_from(std::string_view text) {
  EventPosition out;
  if (!take_number(text, out.record.segment, '-') || !take_number(text, out.record.record, '-') ||
      !take_number(text, out.ordinal, '\0')) {
    return std::nullopt;
  }
  return out;
}

std::string to_text(const RecordPosition& position) {
  std::string out;
  append_number(out, position.segment);
  out += '-';
  append_number(out, position.record);
  return out;
}

std::optional<RecordPosition> record_position_from(std::string_view text) {
  RecordPosition out;
  if (!take_number(text, out.segment, '-') || !take_number(text, out.record, '\0')) return std::nullopt;
  return out;
}

RecordPosition before(const RecordPosition& position) {
  if (position.record > 0) return {position.segment, position.record - 1};
  if (position.segment > 0) return {position.segment - 1, std::numeric_limits<std::uint32_t>::max()};
  return {};
}

void Intervals::add(const EventPosition& first, const EventPosition& last) {
  EventPosition from = first;
  EventPosition to = std::max(first, last);
  auto at = by_first_.upper_bound(from);
  if (at != by_first_.begin() && std::prev(at)->second >= from) --at;
  while (at != by_first_.end() && at->first <= to) {  // overlaps: becomes part of the new one
    from = std::min(from, at->first);
    to = std::max(to, at->second);
    at = by_first_.erase(at);
  }
  by_first_.emplace(from, to);
}

bool Intervals::contains(const EventPosition& position) const {
  const auto at = by_first_.upper_bound(position);
  return at != by_first_.begin() && std::prev(at)->second >= position;
}

void Intervals::forget_before(const EventPosition& position) {
  while (!by_first_.empty() && by_first_.begin()->second < position) by_first_.erase(by_first_.begin());
}

}  // namespace mp::jetstream
