#include "ingest.hpp"

#include <algorithm>
#include <utility>

#include "journal/directory.hpp"
#include "net/clock.hpp"

namespace mp::collector {
namespace {

constexpr std::size_t kMaxGroupRecords = 512;
constexpr std::size_t kMaxGroupBytes = 1u << 20;
constexpr auto kCatchUpSlice = std::chrono::microseconds(2000);

// Appends with the padding that decoders may read, and tells where it begins.
std::size_t append_padded(std::string& arena, std::string_view text) {
  const auto at = arena.size();
  arena.append(text);
  arena.append(RawRecord::kFramePadding, '\0');
  return at;
}

// The first record behind what is acknowledged. All before a segment is said by the highest number of the one before.
RecordPosition behind(RecordPosition acknowledged) {
  if (acknowledged.segment == 0) return {};
  if (acknowledged.record == UINT32_MAX) return {acknowledged.segment + 1, 0};
  return {acknowledged.segment, acknowledged.record + 1};
}

}  // namespace

Ingest::Ingest(journal::Journal& journal, Router::OptionsFor live_options, Router::OptionsFor catch_up_options,
               EventSink& sink, net::Loop& loop, Callbacks callbacks)
    : journal_(journal),
      live_options_(std::move(live_options)),
      catch_up_options_(std::move(catch_up_options)),
      sink_(sink),
      loop_(loop),
      callbacks_(std::move(callbacks)),
      router_(live_options_, journal.id().text()),
      offers_(sink, journal.id().text()) {
  EventSink::Callbacks on_sink;
  on_sink.ready_for_more = [this] { continue_catching_up(); };
  on_sink.rewind = [this](RecordPosition acknowledged) {
    log::warn("the stream lost acknowledged messages; offering them again from the journal",
              {{"from_segment", acknowledged.segment}, {"from_record", acknowledged.record}});
    fall_behind({behind(acknowledged), 0});
  };
  sink_.set_callbacks(std::move(on_sink));
}

Ingest::~Ingest() { *alive_ = false; }

Result<void> Ingest::recover() {
  if (auto restored = restore_sessions(behind(sink_.acked_through())); !restored) return restored.error();
  return start_segment();
}

// From the newest checkpoint that can be read, decoding to the journal's end.
Result<void> Ingest::restore_sessions(RecordPosition first_to_publish) {
  const auto segments = journal::list_segments(journal_.directory());
  if (!segments) return segments.error();
  const auto& found = journal_.recovered();
  const bool all_published = RecordPosition{found.last_segment, found.last_records} <= first_to_publish;
  for (auto segment = segments->rbegin(); segment != segments->rend(); ++segment) {
    auto cursor = journal::Cursor::open(journal_.directory(), {segment->number, 0});
    if (!cursor) return cursor.error();
    if (cursor->next() == journal::CursorState::segment && cursor->checkpoint()) {
      const bool nothing_before = first_to_publish == RecordPosition{} && std::next(segment) == segments->rend();
      // What is to be published begins in an older segment: that is read on its own.
      if (!all_published && first_to_publish.segment < segment->number && !nothing_before)
        fall_behind({first_to_publish, 0});
      return replay(*cursor, first_to_publish);
    }
    log::warn("a journal segment has no usable checkpoint; going back one more", {{"segment", segment->number}});
  }
  if (!all_published) fall_behind({first_to_publish, 0});
  return {};
}

Result<void> Ingest::replay(journal::Cursor& cursor, RecordPosition first_to_publish) {
  if (const auto restored = router_.restore(cursor.checkpoint()->state); !restored) {
    log::warn("the journal's last checkpoint cannot be used; sessions begin anew", {{"error", restored.error()}});
    router_ = Router(live_options_, journal_.id().text());
  }
  JournalLoss loss(catch_up_options_, journal_.id().text());
  for (;;) {
    switch (cursor.next()) {
      case journal::CursorState::record:
        replay_record(cursor.record(), cursor.position(), cursor.position() >= first_to_publish, loss);
        break;
      case journal::CursorState::segment: break;
      case journal::CursorState::loss:
        log::error("a part of the journal is damaged; its events cannot be published", {{"loss", cursor.loss()}});
        loss.lost();
        break;
      case journal::CursorState::at_head: return {};  // a hole at the very end is one that the next start shows
      case journal::CursorState::failed: return cursor.error();
    }
  }
}

// What the sessions wish for is not done: begin() makes them wish anew.
void Ingest::replay_record(const RawRecord& record, RecordPosition position, bool publish, JournalLoss& loss) {
  head_ = position;
  events_of_record_ = 0;
  const auto offer = [&](const Outbox& out, std::span<const EventPosition> positions) {
    if (!publish || offer_events(out, positions, position)) return;
    log::info("more waits to be published than the bus takes at once; it goes on from the journal",
              {{"segment", position.segment}, {"record", position.record}});
  };
  router_.route(record, position, net::now().mono,
                [&](const Source&, Outbox& out, std::span<const EventPosition> positions) { offer(out, positions); });
  if (loss.is_due()) {
    Outbox gaps;
    gaps.events = loss.tell(router_, record.received_at, position);
    std::vector<EventPosition> positions;
    for (std::uint32_t i = 0; i < gaps.events.size(); ++i) positions.push_back({position, kFirstOfLoss + i});
    offer(gaps, positions);
  }
  loss.read(record.received_at);
  if (publish && !behind_) sink_.offered_through(position);
}

Result<void> Ingest::start_segment() {
  std::string state;
  router_.save(state);
  return journal_.start_segment(state, net::now().wall);
}

void Ingest::put(const RawRecord& record, MonoTime mono) {
  Pending pending;
  pending.record = record;
  pending.mono = mono;
  pending.url_size = record.url.size();
  pending.payload_size = record.payload.size();
  pending.url_at = append_padded(arena_, record.url);
  pending.payload_at = append_padded(arena_, record.payload);
  pending_.push_back(pending);
}

void Ingest::add(const RawRecord& record) {
  if (comes_too_late(record)) {
    ++counters_.records_dropped;
    return;
  }
  put(record, net::now().mono);
  if (commit_is_posted_) return;
  commit_is_posted_ = true;
  size_at_last_turn_ = 0;
  loop_.post([this, alive = alive_] {
    if (*alive) commit_when_group_is_whole();
  });
}

// While frames keep coming turn by turn they are cheaper journalled together: one write, one flush.
void Ingest::commit_when_group_is_whole() {
  if (pending_.size() > size_at_last_turn_ && pending_.size() > 1 && pending_.size() < kMaxGroupRecords &&
      arena_.size() < kMaxGroupBytes) {
    size_at_last_turn_ = pending_.size();
    loop_.post([this, alive = alive_] {
      if (*alive) commit_when_group_is_whole();
    });
    return;
  }
  commit_is_posted_ = false;
  commit();
}

void Ingest::put_kept_first() {
  const auto later = std::exchange(pending_, {});
  const auto later_arena = std::exchange(arena_, {});
  for (auto& each : kept_) {
    each.record.url = each.url;
    each.record.payload = each.payload;
    put(each.record, each.mono);
  }
  for (const auto& each : later) {
    auto record = each.record;
    record.url = std::string_view(later_arena).substr(each.url_at, each.url_size);
    record.payload = std::string_view(later_arena).substr(each.payload_at, each.payload_size);
    put(record, each.mono);
  }
  kept_.clear();
}

// Of a group that could not be journalled; what was kept before stands in it again.
void Ingest::keep_of_group() {
  for (const auto& pending : group_)
    if (!keep(pending)) ++counters_.records_dropped;
  if (keeps_) end_connections_that_lost_frames();
}

// Where events have no numbers nothing else would show that some are missing.
void Ingest::end_connections_that_lost_frames() {
  for (const auto& pending : group_) {
    const auto& record = pending.record;
    if (record.source == nullptr || (record.kind != RecordKind::text && record.kind != RecordKind::binary)) continue;
    if (!lost_frames_of_.emplace(*record.source, record.connection).second) continue;
    Outbox wishes;
    wishes.closes.push_back({record.connection, CloseReason::not_recorded});
    callbacks_.outbox(*record.source, nullptr, wishes);
  }
}

// What still comes of a connection that lost frames would hide the hole behind it.
bool Ingest::comes_too_late(const RawRecord& record) {
  if (lost_frames_of_.empty() || record.source == nullptr) return false;
  const auto at = lost_frames_of_.find({*record.source, record.connection});
  if (at == lost_frames_of_.end()) return false;
  if (record.kind == RecordKind::closed) lost_frames_of_.erase(at);
  return record.kind == RecordKind::text || record.kind == RecordKind::binary;
}

// False: the record is lost.
bool Ingest::keep(const Pending& pending) {
  if (!keeps_) return false;
  const auto kind = pending.record.kind;
  const auto same_place = [&](RecordKind of, const Kept& each) {
    return each.record.kind == of && each.record.source != nullptr && pending.record.source != nullptr &&
           *each.record.source == *pending.record.source;
  };
  Kept kept{pending.record, pending.mono, std::string(pending.record.url), std::string(pending.record.payload)};
  switch (kind) {
    case RecordKind::start:
    case RecordKind::stop:
    case RecordKind::opened:
    case RecordKind::configured: break;
    case RecordKind::closed: {
      // Of one that nobody has been told of nobody needs to know.
      const auto opened = std::ranges::find_if(kept_, [&](const Kept& each) {
        return same_place(RecordKind::opened, each) && each.record.connection == pending.record.connection;
      });
      if (opened == kept_.end()) break;
      kept_.erase(opened);
      return true;
    }
    case RecordKind::rest:
    case RecordKind::rest_failed:
      if (std::ranges::any_of(kept_, [&](const Kept& each) {
            return same_place(RecordKind::rest_failed, each) && each.url == kept.url;
          }))
        return false;
      if (kind == RecordKind::rest_failed) break;
      kept.record.kind = RecordKind::rest_failed;
      kept.record.status = 0;
      kept.payload = "the answer came while the journal could not be written";
      break;
    default: return false;
  }
  // Its owner may be gone when it is journalled: another configuration.
  if (kept.record.source != nullptr) kept.record.source = &*kept_sources_.insert(*kept.record.source).first;
  kept_.push_back(std::move(kept));
  return kind != RecordKind::rest;
}

void Ingest::commit() {
  if (!kept_.empty()) put_kept_first();
  if (pending_.empty()) return;
  // What the sessions ask for while this group is decoded may add records (frames sent): to the next group.
  group_.swap(pending_);
  group_arena_.swap(arena_);
  pending_.clear();
  arena_.clear();
  rotate_segment_if_due();
  RecordPosition position;
  if (journal_group(position)) {
    for (const auto& pending : group_) {
      process(pending, position);
      ++position.record;
    }
    callbacks_.group_done(net::now().mono - group_.front().mono);
  }
  group_.clear();
  group_arena_.clear();
}

bool Ingest::journal_group(RecordPosition& first) {
  views_.clear();
  for (auto& pending : group_) {
    pending.record.url = std::string_view(group_arena_).substr(pending.url_at, pending.url_size);
    pending.record.payload = std::string_view(group_arena_).substr(pending.payload_at, pending.payload_size);
    views_.push_back(pending.record);
    counters_.bytes += pending.payload_size;
  }
  const auto appended = journal_.append(views_);
  if (!appended) {
    // What is not in the journal is not published either: the sequence numbers of what follows show the hole.
    keep_of_group();
    failing_ = true;
    if (const auto skipped = failures_.admit("append", net::now().mono))
      log::error("the journal cannot be written; records are lost",
                 {{"error", appended.error()}, {"skipped", *skipped}});
    return false;
  }
  failing_ = false;
  ++counters_.groups;
  counters_.records += group_.size();
  first = *appended;
  return true;
}

void Ingest::rotate_segment_if_due() {
  if (!journal_.needs_new_segment(net::now().wall)) return;
  if (const auto started = start_segment(); !started) {
    if (const auto skipped = failures_.admit("segment", net::now().mono))
      log::error("no new journal segment could be begun; the old one goes on",
                 {{"error", started.error()}, {"skipped", *skipped}});
  }
}

void Ingest::process(const Pending& pending, RecordPosition position) {
  head_ = position;
  events_of_record_ = 0;
  router_.route(pending.record, position, pending.mono,
                [&](const Source& source, Outbox& out, std::span<const EventPosition> positions) {
                  callbacks_.outbox(source, &pending.record, out);
                  counters_.events += out.events.size();
                  if (offer_events(out, positions, position)) return;
                  log::warn("the bus is slower than the venue; publishing goes on from the journal",
                            {{"segment", position.segment}, {"record", position.record}});
                });
  if (!behind_) sink_.offered_through(position);
}

void Ingest::tick(const Source& source, Instant now) {
  // Without connections nothing else may come that would try the journal again.
  if (!kept_.empty()) commit();
  router_.tick(source, now, [&](const Source& of, Outbox& out, std::span<const EventPosition>) {
    callbacks_.outbox(of, nullptr, out);
  });
}

bool Ingest::would_release(std::span<const RawRecord> records) {
  commit();
  std::string state;
  router_.save(state);
  Router copy(catch_up_options_, journal_.id().text());
  if (!copy.restore(state)) return true;  // not known
  bool any = false;
  for (const auto& record : records)
    copy.route(record, head_, MonoTime{}, [&](const Source&, Outbox& out, auto) { any = any || !out.events.empty(); });
  return any;
}

// False: with one of them we have fallen behind.
bool Ingest::offer_events(const Outbox& out, std::span<const EventPosition> positions, RecordPosition record) {
  if (behind_) return true;
  for (const auto& offered : offers_.of(out.events, positions)) {
    if (sink_.offer(offered.subject, offered.position, offered.line) == EventSink::Offer::full) {
      ++counters_.times_behind;
      behind_ = CatchUpStart{record, events_of_record_};
      break;
    }
    ++events_of_record_;
  }
  counters_.too_large = too_large_before_ + offers_.too_large();
  return !behind_;
}

std::optional<RecordPosition> Ingest::behind_from() const {
  if (catch_up_) return catch_up_->position().record;
  if (behind_) return behind_->record;
  return std::nullopt;
}

namespace {

// Takes everything, publishes nothing.
class CountingSink final : public EventSink {
 public:
  Unpublished counted;

  void set_callbacks(Callbacks) override {}
  Offer offer(std::string_view subject, EventPosition, std::string_view) override {
    ++counted.events;
    if (subject.starts_with(kGapSubjects)) ++counted.gaps;
    return Offer::taken;
  }
  void offered_through(RecordPosition) override {}
  RecordPosition acked_through() const override { return {}; }
  SinkStatus status() const override { return {}; }
  void stop() override {}

 private:
  static constexpr std::string_view kGapSubjects = "gap-data.";
};

}  // namespace

Unpublished Ingest::count_unpublished(std::chrono::milliseconds limit) const {
  CountingSink sink;
  const auto acknowledged = sink_.acked_through();
  if (acknowledged >= head_) return sink.counted;
  CatchUp reader(journal_, catch_up_options_, {behind(acknowledged), 0}, sink);
  const auto end = net::now().mono + limit;
  auto progress = CatchUp::Progress::more;
  while (progress == CatchUp::Progress::more && net::now().mono < end) progress = reader.step(kCatchUpSlice);
  sink.counted.all_counted = progress == CatchUp::Progress::at_head;
  return sink.counted;
}

void Ingest::end_catch_up() {
  if (catch_up_) too_large_before_ += catch_up_->too_large();
  catch_up_.reset();
  counters_.too_large = too_large_before_ + offers_.too_large();
}

void Ingest::fall_behind(CatchUpStart from) {
  end_catch_up();
  behind_ = from;
  loop_.post([this, alive = alive_] {
    if (*alive) continue_catching_up();
  });
}

// One slice now; the next one after whatever else is ready.
void Ingest::continue_catching_up() {
  if (!behind_ || catch_up_is_posted_) return;
  if (!catch_up_) catch_up_ = std::make_unique<CatchUp>(journal_, catch_up_options_, *behind_, sink_);
  const auto progress = catch_up_->step(kCatchUpSlice);
  switch (progress) {
    case CatchUp::Progress::at_head:
      // Nothing can have been appended since: this is the thread that appends.
      end_catch_up();
      behind_.reset();
      log::info("publishing has caught up with the journal");
      return;
    case CatchUp::Progress::full: return;  // ready_for_more calls
    case CatchUp::Progress::failed:
      if (const auto skipped = failures_.admit("catch-up", net::now().mono))
        log::error("the journal cannot be read for publishing", {{"error", catch_up_->error()}, {"skipped", *skipped}});
      return;  // the collector's periodic work calls again
    case CatchUp::Progress::more:
      catch_up_is_posted_ = true;
      loop_.post([this, alive = alive_] {
        if (!*alive) return;
        catch_up_is_posted_ = false;
        continue_catching_up();
      });
      return;
  }
}

}  // namespace mp::collector
