#include "exchanges/router.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "feed/checkpoint.hpp"

namespace mp {
namespace {

constexpr std::string_view kStateKind = "router";
constexpr std::uint32_t kStateVersion = 1;

// What decides an event's subject: its type and instrument; rejects of one market share a subject.
void subject_key(const MarketEvent& event, std::string& out) {
  out.clear();
  out.push_back(static_cast<char>('a' + static_cast<int>(type_of(event))));
  if (const auto* rejected = std::get_if<Rejected>(&event)) {
    out.append(rejected->exchange);
    out.push_back(static_cast<char>('a' + static_cast<int>(rejected->market_type)));
    return;
  }
  const auto& id = *meta_of(event).instrument;
  out.append(id.exchange);
  out.push_back(static_cast<char>('a' + static_cast<int>(id.market_type)));
  out.append(id.symbol);
}

}  // namespace

Router::Router(OptionsFor options_for, std::string journal_id)
    : options_for_(std::move(options_for)), journal_id_(std::move(journal_id)) {}
Router::~Router() = default;
Router::Router(Router&&) noexcept = default;
Router& Router::operator=(Router&&) noexcept = default;

Result<void> Router::add(const Source& source) {
  if (sessions_.contains(source)) return {};
  const auto exchange = find_exchange(source.exchange);
  if (!exchange) return exchange.error();
  auto session = (*exchange)->make_session(options_for_(source));
  if (!session) return Error{Errc::bad_value, "market of " + source.exchange, source.market};
  sessions_.emplace(source, std::move(session));
  return {};
}

Session* Router::session_for(const Source& source) {
  if (auto* known = session(source)) return known;
  return add(source) ? session(source) : nullptr;
}

Session* Router::session(const Source& source) {
  const auto found = sessions_.find(source);
  return found == sessions_.end() ? nullptr : found->second.get();
}

std::vector<Source> Router::sources() const {
  std::vector<Source> out;
  for (const auto& [source, session] : sessions_) out.push_back(source);
  return out;
}

void Router::route(const RawRecord& record, RecordPosition position, MonoTime mono, const Sink& sink) {
  const Instant now{record.received_at, mono};
  if (record.kind == RecordKind::start) {
    for (const auto& [source, session] : sessions_) {
      out_.clear();
      session->begin(now, out_);
      hand_over(source, position, sink);
    }
    return;
  }
  if (record.kind == RecordKind::stop) return;
  auto* session = record.source ? session_for(*record.source) : nullptr;
  if (!session) {
    ++unroutable_;
    return;
  }
  out_.clear();
  switch (record.kind) {
    case RecordKind::opened: session->opened(record.connection, record.url, now, out_); break;
    case RecordKind::closed: session->closed(record.connection, record.payload, now, out_); break;
    case RecordKind::text:
    case RecordKind::binary: session->text(record.connection, record.payload, now, out_); break;
    case RecordKind::rest: session->rest({record.url, record.status, record.payload}, now, out_); break;
    case RecordKind::rest_failed: session->rest_failed(record.url, record.payload, now, out_); break;
    case RecordKind::flush: session->flush(now, out_); break;
    case RecordKind::sent:
    case RecordKind::start:
    case RecordKind::stop: return;
  }
  hand_over(*record.source, position, sink);
}

void Router::tick(const Source& source, Instant now, const Sink& sink) {
  auto* known = session(source);
  if (!known) return;
  out_.clear();
  known->tick(now, out_);
  hand_over(source, {}, sink);
}

void Router::hand_over(const Source& source, RecordPosition position, const Sink& sink) {
  number(position);
  sink(source, out_, positions_);
  out_.clear();
}

// The ordinal counts the events of one subject that this record released.
void Router::number(RecordPosition position) {
  positions_.clear();
  if (out_.events.size() > 1) ordinals_.clear();
  for (auto& event : out_.events) {
    std::uint32_t ordinal = 0;
    if (out_.events.size() > 1) {
      subject_key(event, subject_key_);
      ordinal = ordinals_[subject_key_]++;
    }
    positions_.push_back({position, ordinal});
    if (auto* gap = std::get_if<Gap>(&event)) name(*gap, {position, ordinal});
  }
}

// A gap that is told in several rows has a name of its session's; others are named by where they were noticed.
void Router::name(Gap& gap, const EventPosition& position) const {
  if (journal_id_.empty())
    gap.gap_id.clear();
  else if (gap.gap_id.empty())
    gap.gap_id = fmt::format("{}-{}-{}-{}", journal_id_, position.record.segment, position.record.record, position.ordinal);
  else
    gap.gap_id = journal_id_ + "-" + gap.gap_id;
}

void Router::save(std::string& out) const {
  StateWriter writer(out, kStateKind, kStateVersion);
  writer.put(std::uint64_t{sessions_.size()});
  std::string state;
  for (const auto& [source, session] : sessions_) {
    state.clear();
    session->save(state);
    writer.put(std::string_view{source.exchange});
    writer.put(std::string_view{source.market});
    writer.put(std::string_view{state});
  }
}

Result<void> Router::restore(std::string_view saved) {
  StateReader reader(saved, kStateKind, kStateVersion);
  for (auto n = reader.count(3); n > 0 && reader.ok(); --n) {
    Source source;
    source.exchange = reader.text();
    source.market = reader.text();
    const auto state = reader.text();
    if (!reader.ok()) break;
    if (auto added = add(source); !added) return added.error();
    if (auto restored = session(source)->restore(state); !restored)
      return Error{restored.error().code, source.text() + ": " + restored.error().where, restored.error().seen};
  }
  return reader.finish();
}

}  // namespace mp
