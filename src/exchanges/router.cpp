#include "exchanges/router.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "feed/checkpoint.hpp"
#include "feed/published_options.hpp"

namespace mp {
namespace {

constexpr std::string_view kStateKind = "router";
constexpr std::uint32_t kStateVersion = 2;

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

Result<Router::Known*> Router::make(SessionOptions options) {
  const auto source = options.source;
  const auto exchange = find_exchange(source.exchange);
  if (!exchange) return exchange.error();
  auto session = (*exchange)->make_session(options);
  if (!session) return Error{Errc::bad_value, "market of " + source.exchange, source.market};
  return &sessions_.insert_or_assign(source, Known{std::move(session), std::move(options)}).first->second;
}

Result<void> Router::add(const Source& source) {
  if (sessions_.contains(source)) return {};
  if (const auto made = make(options_for_(source)); !made) return made.error();
  return {};
}

Session* Router::session_for(const Source& source) {
  if (auto* known = session(source)) return known;
  return add(source) ? session(source) : nullptr;
}

Session* Router::session(const Source& source) {
  const auto found = sessions_.find(source);
  return found == sessions_.end() ? nullptr : found->second.session.get();
}

std::string Router::published_options_of(const Source& source) const {
  const auto found = sessions_.find(source);
  return found == sessions_.end() ? "" : published_options(found->second.options);
}

std::vector<Source> Router::sources() const {
  std::vector<Source> out;
  for (const auto& [source, known] : sessions_) out.push_back(source);
  return out;
}

void Router::route(const RawRecord& record, RecordPosition position, MonoTime mono, const Sink& sink) {
  const Instant now{record.received_at, mono};
  if (record.kind == RecordKind::start) {
    started_ = true;
    for (const auto& [source, known] : sessions_) {
      out_.clear();
      known.session->begin(now, out_);
      hand_over(source, position, sink);
    }
    return;
  }
  if (record.kind == RecordKind::stop) return;
  if (record.kind == RecordKind::configured) return configure(record, position, now, sink);
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
    case RecordKind::sent: session->sent(record.connection, record.payload, now); return;
    case RecordKind::unreadable: session->unreadable(record.payload, record.url, now, out_); break;
    case RecordKind::start:
    case RecordKind::stop:
    case RecordKind::configured: return;
  }
  hand_over(*record.source, position, sink);
}

// Offline and in play-back everything that was recorded is decoded, whatever a collector was told to publish of it.
void Router::configure(const RawRecord& record, RecordPosition position, Instant now, const Sink& sink) {
  if (!record.source) {
    ++unroutable_;
    return;
  }
  if (journal_id_.empty() || options_for_(*record.source).data_source == DataSource::replay) return;
  const auto known = sessions_.find(*record.source);
  const bool is_new = known == sessions_.end();
  auto options = is_new ? options_for_(*record.source) : known->second.options;
  if (!take_published_options(record.payload, options)) {
    ++unroutable_;
    return;
  }
  out_.clear();
  if (is_new) {
    const auto made = make(std::move(options));
    if (!made) {
      ++unroutable_;
      return;
    }
    if (started_) (*made)->session->begin(now, out_);
  } else {
    known->second.options = options;
    known->second.session->reconfigure(options, now, out_);
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
    gap.gap_id =
        fmt::format("{}-{}-{}-{}", journal_id_, position.record.segment, position.record.record, position.ordinal);
  else
    gap.gap_id = journal_id_ + "-" + gap.gap_id;
}

void Router::save(std::string& out) const {
  StateWriter writer(out, kStateKind, kStateVersion);
  writer.put(std::uint64_t{sessions_.size()});
  std::string state;
  for (const auto& [source, known] : sessions_) {
    state.clear();
    known.session->save(state);
    writer.put(std::string_view{source.exchange});
    writer.put(std::string_view{source.market});
    writer.put(std::string_view{published_options(known.options)});
    writer.put(std::string_view{state});
  }
}

Result<void> Router::restore(std::string_view saved) {
  StateReader current(saved, kStateKind, kStateVersion);
  // Version 1 did not hold what was published by: as it is configured now.
  StateReader earlier(saved, kStateKind, 1);
  const bool is_earlier = !current.ok() && earlier.ok();
  auto& reader = is_earlier ? earlier : current;
  for (auto n = reader.count(3); n > 0 && reader.ok(); --n) {
    Source source;
    source.exchange = reader.text();
    source.market = reader.text();
    const auto published = is_earlier ? "" : reader.text();
    const auto state = reader.text();
    if (!reader.ok()) break;
    auto options = options_for_(source);
    if (!is_earlier)
      if (auto taken = take_published_options(published, options); !taken) return taken.error();
    const auto made = make(std::move(options));
    if (!made) return made.error();
    if (auto restored = (*made)->session->restore(state); !restored)
      return Error{restored.error().code, source.text() + ": " + restored.error().where, restored.error().seen};
  }
  return reader.finish();
}

}  // namespace mp
