#include "sinks/jetstream/trim_note.hpp"

#include "base/text.hpp"
#include "sinks/jetstream/positions.hpp"

namespace mp::jetstream {

std::string trimmed_key(std::string_view journal) { return "trimmed." + std::string(journal); }
std::string acked_key(std::string_view journal) { return "collector." + std::string(journal) + ".acked"; }

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
