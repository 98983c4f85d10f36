#include "sinks/jetstream/cursor.hpp"

#include <charconv>
#include <vector>

#include "base/text.hpp"
#include "sinks/jetstream/positions.hpp"

namespace mp::jetstream {
namespace {

constexpr std::string_view kFirstLine = "marketprism publisher cursor 1";
constexpr std::string_view kLastLine = "end";

std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> out;
  while (!line.empty()) {
    const std::size_t blank = line.find(' ');
    out.push_back(line.substr(0, blank));
    line = blank == std::string_view::npos ? std::string_view{} : line.substr(blank + 1);
  }
  return out;
}

template <class Number>
bool read(std::string_view text, Number& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size();
}

bool read_time(std::string_view text, WallTime& value) {
  std::int64_t nanos = 0;
  if (!read(text, nanos)) return false;
  value = wall_from_nanos(nanos);
  return true;
}

bool read_entry(const std::vector<std::string_view>& words, HistoryEntry& entry) {
  if (words.size() != 6) return false;
  const auto through = record_position_from(words[1]);
  if (!through) return false;
  entry.through = *through;
  return read(words[2], entry.read_from) && read(words[3], entry.stored_by) &&
         read_time(words[4], entry.stored_by_time) && read_time(words[5], entry.noted_at);
}

bool take_line(const std::vector<std::string_view>& words, Cursor& cursor) {
  if (words.empty()) return false;
  if (words[0] == "journal" && words.size() == 2)
    cursor.journal = words[1];
  else if (words[0] == "stream" && words.size() == 3) {
    cursor.stream = words[1];
    return read_time(words[2], cursor.stream_created);
  } else if (words[0] == "batch" && words.size() == 3) {
    cursor.batch_id = words[1];
    cursor.batch_subject = words[2];
  } else if (words[0] == "at-rest" && words.size() == 1) {
    cursor.at_rest = true;
  } else if (words[0] == "lost-its-end" && words.size() == 1) {
    cursor.lost_its_end = true;
  } else if ((words[0] == "settled" || words[0] == "again") && words.size() == 2) {
    const auto position = record_position_from(words[1]);
    if (!position) return false;
    (words[0] == "settled" ? cursor.settled : cursor.again_through) = *position;
  } else if (words[0] == "point") {
    cursor.history.emplace_back();
    return read_entry(words, cursor.history.back());
  } else
    return false;
  return true;
}

}  // namespace

std::string Cursor::text() const {
  std::string out(kFirstLine);
  out += "\njournal " + journal + "\n";
  if (!stream.empty()) out += "stream " + stream + " " + std::to_string(nanos_since_epoch(stream_created)) + "\n";
  if (!batch_id.empty()) out += "batch " + batch_id + " " + batch_subject + "\n";
  if (at_rest) out += "at-rest\n";
  if (settled != RecordPosition{}) out += "settled " + to_text(settled) + "\n";
  if (lost_its_end) out += "lost-its-end\n";
  if (again_through != RecordPosition{}) out += "again " + to_text(again_through) + "\n";
  for (const HistoryEntry& entry : history) {
    out += "point " + to_text(entry.through) + " " + std::to_string(entry.read_from) + " " +
           std::to_string(entry.stored_by) + " " + std::to_string(nanos_since_epoch(entry.stored_by_time)) + " " +
           std::to_string(nanos_since_epoch(entry.noted_at)) + "\n";
  }
  out += kLastLine;
  out += "\n";
  return out;
}

Result<Cursor> Cursor::parse(std::string_view text) {
  Cursor out;
  bool is_whole = false;
  int number = 0;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
    ++number;
    if (number == 1 ? line == kFirstLine : line == kLastLine) {
      is_whole = number > 1;
      continue;
    }
    if (number == 1 || is_whole || !take_line(words_of(line), out)) {
      return Error{Errc::corrupt, "publisher cursor, line " + std::to_string(number), shortened(line)};
    }
  }
  if (!is_whole) return Error{Errc::corrupt, "publisher cursor", "ends too early"};
  return out;
}

}  // namespace mp::jetstream
