#include "offers.hpp"

#include <fmt/format.h>

#include "base/log.hpp"
#include "wire/json.hpp"
#include "wire/subject.hpp"

namespace mp::collector {
namespace {

// The beginning of a text, cut between two characters of UTF-8.
std::string_view beginning_of(std::string_view text, std::size_t most) {
  if (text.size() <= most) return text;
  while (most > 0 && (static_cast<unsigned char>(text[most]) & 0xc0) == 0x80) --most;
  return text.substr(0, most);
}

// What the event's own numbering says about the place that stays empty.
void tell_ids(const OrderBookDelta& delta, Gap& gap) {
  if (delta.prev_update_id)
    gap.last_id = std::to_string(*delta.prev_update_id);
  else if (!delta.is_snapshot && delta.first_update_id > 0)
    gap.last_id = std::to_string(delta.first_update_id - 1);
  gap.next_id = std::to_string(delta.last_update_id + 1);
}

}  // namespace

std::vector<MarketEvent> replacements_of(const MarketEvent& event, std::size_t bytes, std::string_view text,
                                         const std::string& gap_id) {
  std::vector<MarketEvent> out;
  const auto type = type_of(event);
  Rejected rejected;
  rejected.meta = meta_of(event);
  rejected.meta.timestamp = rejected.meta.received_at;
  if (const auto* original = std::get_if<Rejected>(&event)) {
    // The frame itself is too large: less of it says as much.
    rejected = *original;
    rejected.reason += fmt::format(" (and {} bytes are too many for the bus: this is the beginning)", bytes);
    rejected.raw = std::string(beginning_of(original->raw, kKeptOfText));
    out.emplace_back(std::move(rejected));
    return out;
  }
  rejected.exchange = rejected.meta.instrument->exchange;
  rejected.market_type = rejected.meta.instrument->market_type;
  rejected.data_type = type;
  rejected.reason = fmt::format(
      "an event of {} bytes is too large for the bus (max_payload of the NATS server), even compressed; this is its beginning",
      bytes);
  rejected.raw = std::string(beginning_of(text, kKeptOfText));
  out.emplace_back(std::move(rejected));
  if (type == DataType::gap || type == DataType::instrument) return out;
  Gap gap;
  gap.meta = meta_of(event);
  gap.data_type = type;
  gap.cause = GapCause::overflow;
  gap.gap_start = gap.gap_end = gap.meta.timestamp;
  gap.meta.timestamp = gap.meta.received_at;
  gap.gap_id = gap_id;
  if (const auto* delta = std::get_if<OrderBookDelta>(&event)) tell_ids(*delta, gap);
  out.emplace_back(std::move(gap));
  return out;
}

OfferedEvent& Offers::next() {
  if (count_ == offers_.size()) offers_.emplace_back();
  auto& offer = offers_[count_++];
  offer.subject.clear();
  offer.line.clear();
  return offer;
}

std::span<const OfferedEvent> Offers::of(std::span<const MarketEvent> events,
                                         std::span<const EventPosition> positions) {
  count_ = 0;
  std::vector<std::size_t> large;
  for (std::size_t i = 0; i < events.size(); ++i) {
    auto& offer = next();
    offer.position = positions[i];
    wire::append_json(offer.line, events[i]);
    if (sink_.fits(offer.line)) {
      wire::append_subject(offer.subject, events[i]);
    } else {
      --count_;
      large.push_back(i);
    }
  }
  // Behind all others: positions rise within a subject.
  std::string text;
  std::uint32_t number = kFirstReplacement;
  for (const auto i : large) {
    ++too_large_;
    text.clear();
    wire::append_json(text, events[i]);
    const auto record = positions[i].record;
    const auto gap_id = fmt::format("{}-{}-{}-{}", journal_id_, record.segment, record.record, number);
    for (const auto& replacement : replacements_of(events[i], text.size(), text, gap_id)) {
      auto& offer = next();
      offer.position = {record, number++};
      wire::append_subject(offer.subject, replacement);
      wire::append_json(offer.line, replacement);
      log::error(
          "an event is too large for the bus; told in rejected_messages and data_gaps",
          {{"subject", offer.subject}, {"bytes", text.size()}, {"segment", record.segment}, {"record", record.record}});
    }
  }
  return {offers_.data(), count_};
}

}  // namespace mp::collector
