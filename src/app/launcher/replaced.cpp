#include "app/launcher/replaced.hpp"

#include <algorithm>
#include <chrono>

#include "nats/jetstream.hpp"
#include "wire/json.hpp"
#include "wire/subject.hpp"

namespace mp::launcher {
namespace {

using namespace std::chrono_literals;

constexpr auto kPatience = 5'000ms;

std::string_view take_line(std::string_view& text) {
  const auto line = text.substr(0, text.find('\n'));
  text.remove_prefix(std::min(line.size() + 1, text.size()));
  return line;
}

}  // namespace

GapIds gap_ids_of(std::string_view subject, std::string_view payload) {
  auto prefix = wire::subject_filter(DataType::gap);
  prefix.remove_suffix(1);  // the '>'
  if (!subject.starts_with(prefix)) return {};
  wire::InstrumentPool pool;
  wire::Decoder decoder{pool};
  GapIds ids;
  while (!payload.empty()) {
    const auto event = decoder.decode(take_line(payload));
    const auto* gap = event ? std::get_if<Gap>(&*event) : nullptr;
    if (gap == nullptr || gap->gap_id.empty()) return {};
    ids.push_back(gap->gap_id);
  }
  return ids;
}

Result<std::vector<GapIds>> gaps_told(const std::string& nats_url, const std::string& stream, const std::vector<std::uint64_t>& sequences) {
  std::vector<GapIds> told;
  if (sequences.empty()) return told;
  auto connection = nats::Connection::open({.urls = {nats_url}, .name = "marketprism-up"});
  if (!connection) return connection.error();
  if (auto up = (*connection)->wait_connected(kPatience); !up) return up.error();
  nats::JetStream jetstream{**connection};
  for (const auto sequence : sequences) {
    const auto stored = jetstream.message(stream, sequence);
    if (!stored && nats::server_code(stored.error()) == nats::kNoMessageFound) continue;
    if (!stored) return stored.error();
    if (auto ids = gap_ids_of(stored->message.subject, stored->message.payload); !ids.empty()) told.push_back(std::move(ids));
  }
  return told;
}

void read_lines(std::string_view answer, std::set<std::string, std::less<>>& into) {
  while (!answer.empty()) into.emplace(take_line(answer));
}

std::uint64_t count_all_known(const std::vector<GapIds>& told, const std::set<std::string, std::less<>>& known) {
  return static_cast<std::uint64_t>(std::ranges::count_if(
      told, [&](const GapIds& ids) { return std::ranges::all_of(ids, [&](const std::string& id) { return known.contains(id); }); }));
}

}  // namespace mp::launcher
