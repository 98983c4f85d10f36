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

const char* table_of(DataType type) {
  switch (type) {
    case DataType::orderbook: return "orderbooks";
    case DataType::orderbook_delta: return "orderbook_deltas";
    case DataType::trade: return "trades";
    case DataType::funding_rate: return "funding_rates";
    case DataType::open_interest: return "open_interests";
    case DataType::liquidation: return "liquidations";
    case DataType::lsr_top_position: return "lsr_top_positions";
    case DataType::lsr_all_account: return "lsr_all_accounts";
    case DataType::volatility_index: return "volatility_indices";
    case DataType::gap: return "data_gaps";
    case DataType::rejected: return "rejected_messages";
    case DataType::instrument: return "instruments";
  }
  return "";
}

}  // namespace

std::string EventPlace::text() const {
  return table + "|" + exchange + "|" + market_type + "|" + symbol + "|" +
         std::to_string(nanos_since_epoch(received_at));
}

std::vector<EventPlace> places_of(std::string_view payload) {
  wire::InstrumentPool pool;
  wire::Decoder decoder{pool};
  std::vector<EventPlace> out;
  while (!payload.empty()) {
    const auto event = decoder.decode(take_line(payload));
    if (!event) return {};
    const auto& meta = meta_of(*event);
    EventPlace place{table_of(type_of(*event)), "", "", "", meta.received_at};
    if (meta.instrument) {
      place.exchange = meta.instrument->exchange;
      place.market_type = to_string(meta.instrument->market_type);
      place.symbol = meta.instrument->symbol;
    }
    if (const auto* rejected = std::get_if<Rejected>(&*event)) {
      place.exchange = rejected->exchange;
      place.market_type = to_string(rejected->market_type);
    }
    out.push_back(std::move(place));
  }
  return out;
}

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

Result<std::vector<Told>> told_by(const std::string& nats_url, const std::string& stream,
                                  const std::vector<std::uint64_t>& sequences) {
  std::vector<Told> told;
  if (sequences.empty()) return told;
  auto connection = nats::Connection::open({.urls = {nats_url}, .name = "marketprism-up"});
  if (!connection) return connection.error();
  if (auto up = (*connection)->wait_connected(kPatience); !up) return up.error();
  nats::JetStream jetstream{**connection};
  for (const auto sequence : sequences) {
    const auto stored = jetstream.message(stream, sequence);
    if (!stored && nats::server_code(stored.error()) == nats::kNoMessageFound) continue;
    if (!stored) return stored.error();
    if (auto ids = gap_ids_of(stored->message.subject, stored->message.payload); !ids.empty()) {
      told.push_back({std::move(ids), {}});
    } else if (!stored->message.header("MP-Again").empty() && stored->message.header("MP-Encoding").empty()) {
      if (auto places = places_of(stored->message.payload); !places.empty()) told.push_back({{}, std::move(places)});
    }
  }
  return told;
}

void read_lines(std::string_view answer, std::set<std::string, std::less<>>& into) {
  while (!answer.empty()) into.emplace(take_line(answer));
}

Known count_all_known(const std::vector<Told>& told, const std::set<std::string, std::less<>>& known) {
  Known count;
  for (const Told& message : told) {
    const bool all =
        std::ranges::all_of(message.gaps, [&](const std::string& id) { return known.contains(id); }) &&
        std::ranges::all_of(message.events, [&](const EventPlace& place) { return known.contains(place.text()); });
    if (all) ++(message.events.empty() ? count.by_gaps : count.by_events);
  }
  return count;
}

}  // namespace mp::launcher
