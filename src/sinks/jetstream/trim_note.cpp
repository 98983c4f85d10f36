#include "sinks/jetstream/trim_note.hpp"

#include <algorithm>
#include <charconv>

#include "base/text.hpp"
#include "sinks/jetstream/positions.hpp"

namespace mp::jetstream {

std::string trimmed_key(std::string_view journal) { return "trimmed." + std::string(journal); }
std::string acked_key(std::string_view journal) { return "collector." + std::string(journal) + ".acked"; }

bool is_stored_key(std::string_view key, WallTime stream_created) {
  return key.starts_with(kStoredPrefix) && key.ends_with("." + std::to_string(nanos_since_epoch(stream_created)));
}

std::optional<std::uint64_t> stored_through_note(std::string_view note) {
  std::optional<std::uint64_t> lowest;
  while (!note.empty()) {
    const auto line = note.substr(0, note.find('\n'));
    note.remove_prefix(std::min(line.size() + 1, note.size()));
    const auto blank = line.rfind(' ');
    if (blank == std::string_view::npos) return std::nullopt;
    std::uint64_t sequence = 0;
    const auto [end, error] = std::from_chars(line.data() + blank + 1, line.data() + line.size(), sequence);
    if (error != std::errc{} || end != line.data() + line.size()) return std::nullopt;
    lowest = std::min(lowest.value_or(sequence), sequence);
  }
  return lowest;
}

void TrimNote::add(std::string_view subject, const EventPosition& highest) {
  const auto [at, is_new] = highest_.try_emplace(std::string(subject), highest);
  if (!is_new && at->second < highest) at->second = highest;
}

void TrimNote::add(const TrimNote& other) {
  for (const auto& [subject, position] : other.highest_) add(subject, position);
}

std::string TrimNote::text() const {
  std::string out;
  for (const auto& [subject, position] : highest_) {
    out += subject;
    out += ' ';
    append_text(out, position);
    out += '\n';
  }
  return out;
}

Result<TrimNote> TrimNote::parse(std::string_view text) {
  TrimNote out;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
    const std::size_t blank = line.find(' ');
    const auto position = blank == std::string_view::npos ? std::nullopt : event_position_from(line.substr(blank + 1));
    if (!position) return Error{Errc::bad_value, "note of trimmed positions", shortened(line)};
    out.add(line.substr(0, blank), *position);
  }
  return out;
}

}  // namespace mp::jetstream
