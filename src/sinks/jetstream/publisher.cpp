#include "sinks/jetstream/publisher.hpp"

#include <algorithm>
#include <charconv>
#include <limits>

namespace mp::jetstream {
namespace {

// What an event costs beside its text, roughly, so that the bound in bytes holds for small events too.
constexpr std::size_t kEventCost = sizeof(MessageBody::EventEnd);
constexpr std::size_t kMarksKept = 64;
// What a stored message costs beside subject and text: four headers and the server's own record.
constexpr std::size_t kStoredCost = 320;
constexpr std::int64_t kMaxReserve = 256 << 20;
constexpr int kPollsToFinish = 2;  // one to set a point, one to confirm it

std::string_view take_token(std::string_view& text) {
  const std::size_t dot = text.find('.');
  const std::string_view token = text.substr(0, dot);
  text = dot == std::string_view::npos ? std::string_view{} : text.substr(dot + 1);
  return token;
}

std::uint64_t number(std::string_view text) {
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

std::size_t cost_of(const MessageBody& body) { return body.text.size() + body.events.size() * kEventCost; }

}  // namespace

const char* to_string(PublisherState state) {
  switch (state) {
    case PublisherState::connecting: return "connecting";
    case PublisherState::reading_back: return "reading_back";
    case PublisherState::publishing: return "publishing";
  }
  return "?";
}

Publisher::Publisher(PublisherOptions options, std::optional<Cursor> cursor)
    : options_(std::move(options)), limits_(options_.limits) {
  if (cursor) cursor_ = std::move(*cursor);
  cursor_.journal = options_.journal;
  if (!cursor_.stream.empty() && cursor_.history.empty()) cursor_.history.emplace_back();
  in_doubt_ = !(cursor_.at_rest || options_.journal_is_new);
  start_in_doubt_ = in_doubt_;  // the process before may have died with one on its way
  if (!cursor_.history.empty()) offered_through_ = highest_offered_ = cursor_.history.back().through;
}

// ---- the collector's side ----

Publisher::Subject& Publisher::subject_of(std::string_view name) {
  const auto found = subjects_.find(name);
  if (found != subjects_.end()) return *found->second;
  auto made = std::make_unique<Subject>();
  made->name = name;
  made->hash = hash_of(name);
  Subject& subject = *made;
  subjects_.emplace(subject.name, std::move(made));
  return subject;
}

bool Publisher::is_stored(const Subject& subject, const EventPosition& position) const {
  return (subject.trimmed && position <= *subject.trimmed) || subject.stored.contains(position);
}

Publisher::Pending* Publisher::at(std::uint64_t index) {
  return index >= base_ && index - base_ < queue_.size() ? &queue_[index - base_] : nullptr;
}

Offer Publisher::offer(std::string_view subject_name, const EventPosition& position, std::string_view json,
                       Instant now) {
  if (pending_ > 0 && (bytes_ + json.size() > options_.max_bytes || pending_ >= options_.max_messages)) {
    told_full_ = true;
    ++counters_.times_full;
    return Offer::full;
  }
  ++counters_.events_offered;
  highest_offered_ = std::max(highest_offered_, position.record);
  Subject& subject = subject_of(subject_name);
  if (stored_is_known_ && is_stored(subject, position)) {
    subject.open = kNone;  // a message must not reach across an event that it does not hold
    subject.stored.forget_before(position);
    ++counters_.read_back_hits;
    return Offer::taken;
  }
  queue_event(subject, position, json, now.mono);
  return Offer::taken;
}

bool Publisher::fits(std::string_view json) const { return fits_alone(json, limits_); }

void Publisher::queue_event(Subject& subject, const EventPosition& position, std::string_view json, MonoTime now) {
  if (Pending* open = at(subject.open); open != nullptr && open->state == MessageState::queued && !open->was_sent &&
                                        jetstream::fits(open->body, json, limits_)) {
    const std::size_t before_it = cost_of(open->body);
    append_event(open->body, position, json);
    bytes_ += cost_of(open->body) - before_it;
    return;
  }
  subject.open = kNone;
  auto body = message_of(position, json, limits_);
  if (!body) {
    ++counters_.events_rejected;
    commands_.push_back(Rejected{subject.name, position, json.size(),
                                 "an event of " + std::to_string(json.size()) +
                                     " bytes does not fit the server's max_payload of " +
                                     std::to_string(limits_.max_payload) + " bytes, even compressed"});
    return;
  }
  const bool takes_more = !body->compressed;
  bytes_ += cost_of(*body);
  ++pending_;
  if (takes_more) subject.open = base_ + queue_.size();
  queue_.push_back(Pending{&subject, std::move(*body), MessageState::queued, false, now, {}});
}

void Publisher::offered_through(const RecordPosition& record) { offered_through_ = std::max(offered_through_, record); }

RecordPosition Publisher::acked_through() const {
  if (pending_ == 0) return offered_through_;
  return std::min(offered_through_, before(queue_.front().body.first().record));  // the front is never done
}

PublisherState Publisher::state() const {
  switch (step_) {
    case Step::offline:
    case Step::retrying: return PublisherState::connecting;
    case Step::publishing: return PublisherState::publishing;
    case Step::waiting_fence:
    case Step::fencing:
    case Step::describing:
    case Step::looking:
    case Step::reading:
    case Step::saving: return PublisherState::reading_back;
  }
  return PublisherState::connecting;
}

std::optional<Nanos> Publisher::oldest_unacknowledged(MonoTime now) const {
  if (pending_ == 0) return std::nullopt;
  return now - queue_.front().opened_at;
}

void Publisher::finish(Instant now) {
  finishing_ = true;
  next_poll_ = now.mono;
}

// ---- queue ----

Publisher::Pending* Publisher::next_queued() {
  next_ = std::max(next_, base_);
  while (Pending* message = at(next_)) {
    if (message->state == MessageState::queued) return message;
    ++next_;
  }
  return nullptr;
}

void Publisher::mark_done(std::uint64_t index, Instant) {
  Pending* message = at(index);
  if (message == nullptr || message->state == MessageState::done) return;
  ++counters_.messages_acked;
  counters_.events_acked += message->body.events.size();
  const std::size_t cost = cost_of(message->body);
  bytes_ -= cost;
  in_flight_bytes_ -= std::min(in_flight_bytes_, message->body.text.size());
  --pending_;
  if (acked_.size() >= options_.acked_kept) {
    acked_.pop_front();
    acked_overflowed_ = true;
  }
  acked_.push_back({message->subject, message->body.first(), message->body.last()});
  message->state = MessageState::done;
  message->body.text = std::string();
  pop_done();
  tell_room();
}

void Publisher::pop_done() {
  while (!queue_.empty() && queue_.front().state == MessageState::done) {
    queue_.pop_front();
    ++base_;
  }
}

void Publisher::tell_room() {
  if (!told_full_ || bytes_ > options_.max_bytes / 2 || pending_ > options_.max_messages / 2) return;
  told_full_ = false;
  commands_.push_back(ReadyForMore{});
}

// What was sent and is surely not stored waits for its turn again.
void Publisher::requeue_unanswered() {
  for (const std::uint64_t index : in_flight_) {
    if (Pending* message = at(index); message != nullptr && message->state == MessageState::sent) {
      message->state = MessageState::queued;
      next_ = std::min(next_, index);
    }
  }
  in_flight_.clear();
  in_flight_bytes_ = 0;
}

// After a read-back: the waiting messages without the events that the stream holds already.
void Publisher::drop_what_is_stored() {
  std::deque<Pending> left;
  for (Pending& message : queue_) {
    if (message.state == MessageState::done) continue;
    const std::size_t events = message.body.events.size();
    const Subject& subject = *message.subject;
    auto pieces = cut_out(message.body, [&](const EventPosition& position) { return !is_stored(subject, position); });
    std::size_t kept = 0;
    for (MessageBody& piece : pieces) {
      kept += piece.events.size();
      left.push_back(
          Pending{message.subject, std::move(piece), MessageState::queued, message.was_sent, message.opened_at, {}});
    }
    counters_.read_back_hits += events - kept;
  }
  // A message cut in two no longer stands at its place by its first record, which acked_through() relies on.
  std::stable_sort(left.begin(), left.end(),
                   [](const Pending& a, const Pending& b) { return a.body.first().record < b.body.first().record; });
  base_ += queue_.size();  // indices of before mean nothing any more
  next_ = base_;
  queue_ = std::move(left);
  in_flight_.clear();
  in_flight_bytes_ = 0;
  for (auto& [name, subject] : subjects_) subject->open = kNone;
  pending_ = queue_.size();
  bytes_ = 0;
  for (const Pending& message : queue_) bytes_ += cost_of(message.body);
  tell_room();
}

// ---- the circle ----

void Publisher::connected(std::string batch_id, Instant now) {
  batch_id_ = std::move(batch_id);
  attempts_ = 0;
  begin(now);
}

void Publisher::disconnected(Instant) {
  if (step_ == Step::offline) return;
  in_doubt_ = in_doubt_ || in_flight() > 0;
  start_in_doubt_ = start_in_doubt_ || start_is_out_;
  start_is_out_ = false;
  ++generation_;
  step_ = Step::offline;
  stored_is_known_ = false;
}

void Publisher::begin(Instant now) {
  in_doubt_ = in_doubt_ || in_flight() > 0;
  ++generation_;
  stored_is_known_ = false;
  draining_ = answer_is_missing_ = poll_is_out_ = false;
  batch_.phase = Batch::Phase::none;
  paused_until_ = {};
  if (in_doubt_ && !cursor_.batch_id.empty()) {
    step_ = Step::fencing;
    fence_is_sent_ = false;
    deadline_ = now.mono + options_.answer_timeout;
  } else if (in_doubt_ && !cursor_.stream.empty()) {
    wait_for_late_messages(now);
  } else {
    describe();
  }
}

void Publisher::wait_for_late_messages(Instant now) {
  step_ = Step::waiting_fence;
  deadline_ = now.mono + options_.fence_wait;
  if (options_.fence_wait >= std::chrono::seconds{1}) {
    note(Level::info, "waiting " + std::to_string(options_.fence_wait.count() / 1000) +
                          " s, so that no message of the earlier connection comes in late");
  }
}

void Publisher::answered_fence(const Answer& answer, Instant now) {
  if (step_ != Step::fencing || answer.kind == Answer::Kind::batch_gap || answer.kind == Answer::Kind::batch_ack)
    return;
  // Ended now, or not known (any more), or the stream is gone: nothing of that batch can come in late, except
  // its very first message, which opens a batch.
  if (start_in_doubt_ && answer.kind == Answer::Kind::error) return wait_for_late_messages(now);
  describe();
}

void Publisher::describe() {
  step_ = Step::describing;
  commands_.push_back(Describe{generation_});
}

void Publisher::described(std::uint64_t generation, const StreamView& stream, Instant now) {
  if (generation != generation_ || step_ != Step::describing) return;
  stream_ = stream;
  reckon_room(stream);
  limit_fell_ = limit_fell_ || (stream.max_payload < limits_.max_payload && pending_ > 0);
  limits_.max_payload = stream.max_payload;
  in_doubt_ = start_in_doubt_ = start_is_out_ = false;
  for (auto& [name, subject] : subjects_) {
    subject->stored.clear();
    subject->trimmed.reset();
  }
  // Also when nothing looks lost: what was sent and not acknowledged may have been stored, taken by storage, and then
  // lost by a server that lost power. And without its cursor the publisher does not know whether there was another
  // stream before.
  if (!cursor_.stream.empty() || !options_.journal_is_new) expect_again();
  if (cursor_.stream.empty()) {
    cursor_.stream = stream.name;
    cursor_.stream_created = stream.created;
    HistoryEntry first;
    first.read_from = options_.journal_is_new ? stream.last_sequence : 0;
    cursor_.history = {first};
    return accept(first.read_from);
  }
  if (cursor_.stream != stream.name || cursor_.stream_created != stream.created) {
    note(Level::error, "stream " + stream.name + " is a new one, made at " + iso(stream.created) +
                           " (before: " + cursor_.stream + ", made at " + iso(cursor_.stream_created) +
                           "); publishing again what is not known to be stored, from record " +
                           to_text(cursor_.settled) + " on");
    cursor_.stream = stream.name;
    cursor_.stream_created = stream.created;
    go_back_to(0);
    cursor_.lost_its_end = false;
    return;
  }
  candidate_ = cursor_.history.size();
  check_candidate(now);
}

// The newest point whose messages the server still has.
void Publisher::check_candidate(Instant) {
  while (candidate_ > 0) {
    const HistoryEntry& entry = cursor_.history[candidate_ - 1];
    if (entry.stored_by > stream_.last_sequence) {
      --candidate_;
      continue;
    }
    if (entry.stored_by > 0 && entry.stored_by >= stream_.first_sequence) {
      step_ = Step::looking;
      commands_.push_back(LookAt{generation_, entry.stored_by});
      return;
    }
    break;  // trimmed since, or nothing was stored: nothing to compare
  }
  if (candidate_ == cursor_.history.size() && candidate_ > 0) return accept(cursor_.history.back().read_from);
  note(Level::error, "stream " + stream_.name + " ends at " + std::to_string(stream_.last_sequence) +
                         ", before what the server had acknowledged: it lost data, which is published again");
  go_back_to(candidate_);
}

void Publisher::looked(std::uint64_t generation, std::optional<WallTime> stored_at, Instant now) {
  if (generation != generation_ || step_ != Step::looking) return;
  const HistoryEntry& entry = cursor_.history[candidate_ - 1];
  // A message that is not there was deleted by somebody; the server does not lose one out of the middle.
  if (stored_at && *stored_at != entry.stored_by_time) {
    --candidate_;
    return check_candidate(now);
  }
  if (candidate_ == cursor_.history.size()) return accept(entry.read_from);
  note(Level::error, "stream " + stream_.name + " no longer holds what the server had acknowledged after " +
                         std::to_string(entry.stored_by) + ": it lost data, which is published again");
  go_back_to(candidate_);
}

// What may stand in ClickHouse without standing in the stream any more: everything that was ever sent.
void Publisher::expect_again() {
  for (const RecordPosition& sent : {options_.journal_end, highest_offered_})
    cursor_.again_through = std::max(cursor_.again_through, sent);
  if (highest_seen_) cursor_.again_through = std::max(cursor_.again_through, highest_seen_->record);
}

// Everything after the last of the `entries_kept` oldest points is published again; nothing of what is stored for good.
void Publisher::go_back_to(std::size_t entries_kept) {
  cursor_.lost_its_end = true;
  cursor_.history.resize(entries_kept);
  if (cursor_.history.empty()) cursor_.history.emplace_back();
  // The stream need not hold what is settled: without a sequence there is nothing to compare.
  if (cursor_.history.back().through < cursor_.settled) {
    HistoryEntry& last = cursor_.history.back();
    last.through = cursor_.settled;
    last.stored_by = 0;
    last.stored_by_time = {};
  }
  rewind(cursor_.history.back().through);
  accept(cursor_.history.back().read_from);
}

void Publisher::rewind(const RecordPosition& after) {
  ++counters_.rewinds;
  base_ += queue_.size();
  next_ = base_;
  queue_.clear();
  in_flight_.clear();
  in_flight_bytes_ = bytes_ = pending_ = 0;
  for (auto& [name, subject] : subjects_) subject->open = kNone;
  acked_.clear();
  acked_overflowed_ = false;
  marks_.clear();
  offered_through_ = highest_offered_ = after;
  told_full_ = false;
  commands_.push_back(Rewind{after});
}

void Publisher::accept(std::uint64_t read_from) {
  read_from_ = read_from;
  found_ = 0;
  step_ = Step::reading;
  ++counters_.read_backs;
  commands_.push_back(ReadBack{generation_, read_from, stream_.last_sequence, stream_.first_sequence > read_from + 1});
}

void Publisher::found(std::uint64_t generation, std::string_view subject, const EventPosition& first,
                      const EventPosition& last) {
  if (generation != generation_ || step_ != Step::reading) return;
  subject_of(subject).stored.add(first, last);
  ++found_;
  if (!highest_seen_ || *highest_seen_ < last) highest_seen_ = last;
}

void Publisher::found_trimmed(std::uint64_t generation, const TrimNote& trimmed) {
  if (generation != generation_ || step_ != Step::reading) return;
  for (const auto& [name, position] : trimmed.highest()) {
    subject_of(name).trimmed = position;
    if (!highest_seen_ || *highest_seen_ < position) highest_seen_ = position;
  }
}

// Whether the stream holds what it acknowledged since the newest point.
bool Publisher::acked_are_found() const {
  if (acked_overflowed_) return false;
  const RecordPosition& through = cursor_.history.back().through;
  return std::all_of(acked_.begin(), acked_.end(), [&](const Acked& acked) {
    return acked.last.record <= through ||
           (is_stored(*acked.subject, acked.first) && is_stored(*acked.subject, acked.last));
  });
}

void Publisher::read_back_done(std::uint64_t generation, Instant) {
  if (generation != generation_ || step_ != Step::reading) return;
  if (!acked_are_found()) {
    // Also when too many were acknowledged since the last point to remember them all: then this is not known, and
    // offering again what is there costs time only.
    if (!acked_overflowed_) {
      note(Level::error,
           "stream " + stream_.name + " lost messages that the server had acknowledged; they are published again");
    }
    cursor_.lost_its_end = true;
    rewind(cursor_.history.back().through);
  } else if (limit_fell_) {
    rewind(cursor_.history.back().through);
  }
  limit_fell_ = false;
  drop_what_is_stored();
  stored_is_known_ = true;
  fast_ = options_.allow_fast_ingest && stream_.allow_batched && !fast_is_refused_;
  cursor_.batch_id = fast_ ? batch_id_ + "g" + std::to_string(generation_) : "";
  cursor_.batch_subject = fast_ ? stream_.control_subject : "";
  cursor_.at_rest = false;
  step_ = Step::saving;
  // Before the first message: after a crash the next process must know which batch to fence.
  commands_.push_back(SaveCursor{generation_, cursor_, true});
}

void Publisher::saved(std::uint64_t generation, Instant now) {
  if (generation != generation_ || step_ != Step::saving) return;
  enter_publishing(now);
}

void Publisher::enter_publishing(Instant now) {
  step_ = Step::publishing;
  attempts_ = 0;
  refusals_in_a_row_ = 0;
  next_poll_ = now.mono;
  std::string text = "publishing to stream " + stream_.name +
                     (fast_ ? " by fast ingest"
                            : " with an asynchronous window of " + std::to_string(options_.async_window) + " messages");
  if (found_ > 0)
    text += "; " + std::to_string(found_) + " messages of this journal were found after sequence " +
            std::to_string(read_from_);
  note(Level::info, std::move(text));
}

void Publisher::retry(std::string_view why, Instant now) {
  in_doubt_ = in_doubt_ || in_flight() > 0;
  ++generation_;
  ++attempts_;
  step_ = Step::retrying;
  stored_is_known_ = false;
  deadline_ = now.mono + backoff(options_.retry, attempts_, 0.0);
  note(Level::warning, std::string(why));
}

void Publisher::failed(std::uint64_t generation, std::string_view what, Instant now) {
  if (generation != generation_ || step_ == Step::offline) return;
  if (step_ == Step::publishing) {  // a poll: the next one comes in a second
    poll_is_out_ = false;
    next_poll_ = now.mono + options_.poll_every;
    return;
  }
  retry(what, now);
}

void Publisher::send_failed(std::string_view why, Instant now) {
  if (step_ != Step::offline && step_ != Step::retrying) retry(why, now);
}

// ---- points to go on from ----

void Publisher::polled(std::uint64_t generation, const StreamView& stream, Instant now) {
  if (generation != generation_ || step_ != Step::publishing) return;
  poll_is_out_ = false;
  next_poll_ = now.mono + options_.poll_every;
  const bool is_another = stream.created != cursor_.stream_created;
  if (is_another || stream.last_sequence < cursor_.history.back().stored_by) {
    note(Level::warning, is_another ? "the stream was made anew" : "the stream's end went back");
    return begin(now);
  }
  note_point(stream, now);
  if (stream.stored_through) note_settled(*stream.stored_through);
  reckon_room(stream);
  if (finishing_ && pending_ == 0 && acked_at_poll_ == acked_through() && batch_.phase == Batch::Phase::none) {
    if (++final_polls_ < kPollsToFinish) {
      next_poll_ = now.mono;
    } else if (!finished_) {
      cursor_.at_rest = true;
      cursor_.batch_id.clear();
      cursor_.batch_subject.clear();
      finished_ = true;
    }
  }
  commands_.push_back(SaveCursor{generation_, cursor_, false});
  // Of the oldest point: should the server lose its end, reading back begins at an older one.
  commands_.push_back(NoteAcked{cursor_.history.front().read_from});
}

// The newest point of which storage has everything.
void Publisher::note_settled(std::uint64_t stored_through) {
  if (cursor_.lost_its_end) return;
  for (auto entry = cursor_.history.rbegin(); entry != cursor_.history.rend(); ++entry) {
    if (entry->stored_by == 0 || entry->stored_by > stored_through) continue;
    cursor_.settled = std::max(cursor_.settled, entry->through);
    return;
  }
}

void Publisher::note_point(const StreamView& stream, Instant now) {
  // The server answered after everything up to acked_at_poll_ had been stored: it is at or below last_sequence.
  std::optional<Mark> confirmed;
  while (!marks_.empty() && marks_.front().through <= acked_at_poll_) {
    confirmed = marks_.front();
    marks_.pop_front();
  }
  if (confirmed) {
    cursor_.history.push_back(
        {confirmed->through, confirmed->read_from, stream.last_sequence, stream.last_time, now.wall});
    while (cursor_.history.size() > options_.history_kept) cursor_.history.pop_front();
    while (!acked_.empty() && acked_.front().last.record <= confirmed->through) acked_.pop_front();
    if (acked_.empty()) acked_overflowed_ = false;
  }
  if (marks_.size() >= kMarksKept) return;
  // Whatever is sent from now on gets a sequence above last_sequence; all sent before is of records up to here. But
  // what earlier processes stored may be of later records than have been offered yet: then the point must go on
  // from where this read-back began.
  const RecordPosition through = std::max(highest_offered_, offered_through_);
  const bool is_past_the_found = !highest_seen_ || highest_seen_->record <= through;
  marks_.push_back({through, is_past_the_found ? stream.last_sequence : read_from_});
}

// ---- senders ----

const Outgoing* Publisher::send_message(Pending& message, std::uint64_t index, std::string reply, MonoTime now) {
  message.state = MessageState::sent;
  message.sent_at = now;
  if (message.subject->open == index) message.subject->open = kNone;
  if (message.was_sent) ++counters_.messages_resent;
  message.was_sent = true;
  in_flight_.push_back(index);
  in_flight_bytes_ += message.body.text.size();
  ++counters_.messages_sent;
  counters_.bytes_sent += message.body.text.size();
  out_.subject = message.subject->name;
  out_.payload = message.body.text;
  out_.reply = std::move(reply);
  out_.journal = options_.journal;
  out_.first = to_text(message.body.first());
  out_.last = to_text(message.body.last());
  out_.id = message_id(options_.journal, message.subject->hash, message.body.first(), message.body.last());
  out_.compressed = message.body.compressed;
  out_.again = message.body.first().record <= cursor_.again_through;
  return &out_;
}

const Outgoing* Publisher::send_control(std::string_view subject, std::string reply) {
  out_ = Outgoing{};
  out_.subject = subject;
  out_.reply = std::move(reply);
  return &out_;
}

const Outgoing* Publisher::next_send(Instant now) {
  if (step_ == Step::fencing && !fence_is_sent_) {
    fence_is_sent_ = true;
    // Any number but 1 ends the batch: the server takes it for a gap, and a gap ends a batch of mode "fail".
    return send_control(cursor_.batch_subject, "f." + std::to_string(generation_) + "." + cursor_.batch_id + "." +
                                                   std::to_string(options_.batch_flow) + ".fail.2.3.$FI");
  }
  if (step_ != Step::publishing || now.mono < paused_until_) return nullptr;
  return fast_ ? next_of_batch(now) : next_of_window(now);
}

std::string Publisher::batch_reply(std::uint64_t n, int operation) const {
  return "b." + std::to_string(batch_.number) + "." + cursor_.batch_id + "." + std::to_string(options_.batch_flow) +
         ".fail." + std::to_string(n) + "." + std::to_string(operation) + ".$FI";
}

const Outgoing* Publisher::next_of_batch(Instant now) {
  using Phase = Batch::Phase;
  if (batch_.phase == Phase::ending && !batch_.end_is_sent) {
    batch_.end_is_sent = true;
    return send_control(cursor_.batch_subject, batch_reply(batch_.sent + 1, 3));
  }
  if (batch_.phase != Phase::none && batch_.phase != Phase::open) return nullptr;
  if (batch_.phase == Phase::open &&
      (batch_.acked + batch_.per_ack * 2 <= batch_.sent || in_flight_bytes_ >= options_.window_bytes)) {
    return nullptr;
  }
  Pending* message = next_queued();
  if (message == nullptr) return nullptr;
  const bool is_first = batch_.phase == Phase::none;
  if (is_first) {
    const std::uint64_t batch_number = batch_.number + 1;
    batch_ = Batch{};
    batch_.number = batch_number;
    batch_.phase = Phase::starting;
    batch_.phase_since = now.mono;
    start_is_out_ = true;
    ++counters_.batches;
  }
  ++batch_.sent;
  batch_.last_sent = now.mono;
  const std::uint64_t index = next_++;
  return send_message(*message, index, batch_reply(batch_.sent, is_first ? 0 : 1), now.mono);
}

const Outgoing* Publisher::next_of_window(Instant now) {
  // While the server refuses, one message at a time asks whether it takes them again.
  const std::size_t window = refusals_in_a_row_ > 0 ? 1 : options_.async_window;
  if (draining_ || in_flight() >= window || in_flight_bytes_ >= options_.window_bytes) return nullptr;
  Pending* message = next_queued();
  if (message == nullptr || !has_room_for(*message, now)) return nullptr;
  const std::uint64_t index = next_++;
  return send_message(*message, index, "a." + std::to_string(generation_) + "." + std::to_string(index), now.mono);
}

// nats-server 2.9 compares payload and headers with what is left of max_bytes, but stores more than that, and then
// drops the oldest messages of the stream to get below max_bytes again, `discard: new` notwithstanding and without a
// word (tried with 2.9.10: of 297 acknowledged messages 69 were gone; 2.15.1 refuses as it should). So near the limit
// an older server gets nothing more until storage has made room. The reserve covers what other publishers
// add between two looks.
void Publisher::reckon_room(const StreamView& stream) {
  if (stream.max_bytes <= 0) {
    room_ = std::numeric_limits<std::int64_t>::max();
    return;
  }
  const std::int64_t reserve = std::min(stream.max_bytes / 16, kMaxReserve);
  const std::size_t on_the_way = in_flight_bytes_ + in_flight() * (kStoredCost + 100);
  room_ = stream.max_bytes - reserve - static_cast<std::int64_t>(stream.bytes + on_the_way);
}

bool Publisher::has_room_for(const Pending& message, Instant now) {
  const auto cost = static_cast<std::int64_t>(message.body.text.size() + message.subject->name.size() + kStoredCost);
  if (cost <= room_) {
    room_ -= cost;
    is_held_back_ = false;
    return true;
  }
  if (!is_held_back_) {
    is_held_back_ = true;
    ++counters_.held_back;
    note(Level::warning, "stream " + stream_.name + " is nearly full (" + std::to_string(stream_.max_bytes) +
                             " bytes); waiting until storage makes room");
  }
  // Look again soon.
  if (!poll_is_out_) next_poll_ = std::min(next_poll_, now.mono + options_.poll_every / 4);
  return false;
}

void Publisher::answered(std::string_view reply, const Answer& answer, Instant now) {
  const std::string_view kind = take_token(reply);
  const std::uint64_t first = number(take_token(reply));
  if (kind == "f" && first == generation_) return answered_fence(answer, now);
  if (step_ != Step::publishing) return;
  if (kind == "b" && fast_) return answered_batch(first, answer, now);
  if (kind == "a" && first == generation_) return answered_window(number(take_token(reply)), answer, now);
}

void Publisher::acked_through_batch(std::uint64_t n, Instant now) {
  while (batch_.acked < n && !in_flight_.empty()) {
    ++batch_.acked;
    const std::uint64_t index = in_flight_.front();
    in_flight_.pop_front();
    mark_done(index, now);
  }
}

void Publisher::answered_batch(std::uint64_t batch_number, const Answer& answer, Instant now) {
  using Phase = Batch::Phase;
  if (batch_number != batch_.number || batch_.phase == Phase::none) return;  // of an earlier batch
  start_is_out_ = false;
  switch (answer.kind) {
    case Answer::Kind::batch_ack:
      if (answer.per_ack > 0) batch_.per_ack = answer.per_ack;
      acked_through_batch(answer.sequence, now);
      if (answer.sequence > 0) refusals_in_a_row_ = 0;
      if (batch_.phase == Phase::starting) batch_.phase = Phase::open;
      return;
    case Answer::Kind::batch_gap:
    case Answer::Kind::batch_error:
      if (batch_.phase != Phase::failing) {
        batch_.phase = Phase::failing;
        batch_.phase_since = now.mono;
      }
      if (answer.code != 0) {
        batch_.refused_with = answer.code;
        refused(answer.code, answer.text, now);
      }
      return;
    case Answer::Kind::batch_end: return batch_ended(answer.count, now);
    case Answer::Kind::error: return batch_error(answer, now);
    case Answer::Kind::stored:
    case Answer::Kind::unreadable: return retry("unexpected answer in a fast-ingest batch: " + answer.text, now);
  }
}

void Publisher::batch_ended(std::uint64_t count, Instant now) {
  acked_through_batch(count, now);
  const bool was_refused = batch_.refused_with != 0;
  batch_.phase = Batch::Phase::none;
  // What the server did not count is not stored and will be refused (the batch is over).
  requeue_unanswered();
  if (was_refused)
    back_off(now);
  else
    refusals_in_a_row_ = 0;
}

void Publisher::batch_error(const Answer& answer, Instant now) {
  if (answer.code == kBatchNotEnabled || answer.code == kBatchBadPattern || answer.code == kBatchBadId) {
    if (batch_.phase == Batch::Phase::starting) {
      note(Level::warning, "the server refuses fast ingest (" + std::to_string(answer.code) + ": " + answer.text +
                               "); going on with an asynchronous window");
      batch_.phase = Batch::Phase::none;
      requeue_unanswered();
      fast_is_refused_ = true;
      fast_ = false;
      return;
    }
  }
  if (batch_.phase == Batch::Phase::starting && answer.code == kStreamIsFull) {
    refused(answer.code, answer.text, now);
    batch_.phase = Batch::Phase::none;
    requeue_unanswered();
    return back_off(now);
  }
  retry("fast-ingest batch broken off (" + std::to_string(answer.code) + ": " + answer.text + ")", now);
}

void Publisher::refused(int code, std::string_view text, Instant) {
  ++counters_.refusals;
  if (refusals_in_a_row_ > 0) return;  // told once
  note(code == kStreamIsFull ? Level::warning : Level::error, "stream " + stream_.name + " refuses messages (" +
                                                                  std::to_string(code) + ": " + std::string(text) +
                                                                  "); trying on");
}

void Publisher::back_off(Instant now) {
  ++refusals_in_a_row_;
  paused_until_ = now.mono + backoff(options_.retry, refusals_in_a_row_, 0.0);
}

void Publisher::answered_window(std::uint64_t index, const Answer& answer, Instant now) {
  const auto sent = std::find(in_flight_.begin(), in_flight_.end(), index);  // nearly always the first
  if (sent == in_flight_.end()) return;
  if (answer.kind == Answer::Kind::stored) {
    in_flight_.erase(sent);
    counters_.duplicates_filtered += answer.duplicate ? 1u : 0u;
    mark_done(index, now);
    if (!draining_) refusals_in_a_row_ = 0;
  } else {
    if (answer.code == kNobodyThere) return retry("no stream takes the messages (deleted, or without a leader)", now);
    Pending* message = at(index);
    in_flight_.erase(sent);
    if (message != nullptr) {
      message->state = MessageState::queued;
      in_flight_bytes_ -= std::min(in_flight_bytes_, message->body.text.size());
      next_ = std::min(next_, index);
    }
    draining_ = true;
    refused(answer.code, answer.text, now);
  }
  if (draining_ && in_flight_.empty()) window_drained(now);
}

void Publisher::window_drained(Instant now) {
  draining_ = false;
  if (!answer_is_missing_) return back_off(now);  // every message was answered: what is missing is known
  begin(now);
}

// ---- time ----

void Publisher::tick_batch(Instant now) {
  using Phase = Batch::Phase;
  if (batch_.phase == Phase::none) return;
  if (batch_.phase != Phase::open) {
    if (now.mono - batch_.phase_since >= options_.answer_timeout) retry("no answer to a fast-ingest batch", now);
    return;
  }
  const Pending* oldest = in_flight_.empty() ? nullptr : at(in_flight_.front());
  const bool is_late = oldest != nullptr && now.mono - oldest->sent_at >= options_.acknowledge_within;
  const bool is_idle =
      oldest == nullptr && (finishing_ || now.mono - batch_.last_sent >= options_.end_idle_batch_after);
  const bool is_last = oldest != nullptr && finishing_ && next_queued() == nullptr;
  if (!is_late && !is_idle && !is_last) return;
  batch_.phase = Phase::ending;
  batch_.phase_since = now.mono;
}

void Publisher::tick_window(Instant now) {
  if (in_flight_.empty()) return;
  const Pending* oldest = at(in_flight_.front());
  if (oldest == nullptr || now.mono - oldest->sent_at < options_.answer_timeout) return;
  if (!answer_is_missing_)
    note(Level::warning, "no answer to a published message in time; reading back what is stored");
  answer_is_missing_ = draining_ = true;
  const Pending* newest = at(in_flight_.back());
  if (newest == nullptr || now.mono - newest->sent_at >= options_.answer_timeout) window_drained(now);
}

void Publisher::tick(Instant now) {
  switch (step_) {
    case Step::waiting_fence:
      if (now.mono >= deadline_) describe();
      return;
    case Step::fencing:
      if (now.mono >= deadline_) retry("no answer to the fence of the earlier batch", now);
      return;
    case Step::retrying:
      if (now.mono >= deadline_) begin(now);
      return;
    case Step::publishing:
      if (fast_)
        tick_batch(now);
      else
        tick_window(now);
      if (step_ == Step::publishing && !poll_is_out_ && now.mono >= next_poll_) {
        poll_is_out_ = true;
        acked_at_poll_ = acked_through();
        commands_.push_back(Poll{generation_});
      }
      return;
    case Step::offline:
    case Step::describing:
    case Step::looking:
    case Step::reading:
    case Step::saving: return;
  }
}

std::optional<MonoTime> Publisher::wake_at() const {
  switch (step_) {
    case Step::waiting_fence:
    case Step::fencing:
    case Step::retrying: return deadline_;
    case Step::publishing: break;
    case Step::offline:
    case Step::describing:
    case Step::looking:
    case Step::reading:
    case Step::saving: return std::nullopt;
  }
  std::optional<MonoTime> at_first;
  const auto consider = [&](MonoTime t) { at_first = at_first ? std::min(*at_first, t) : t; };
  if (!poll_is_out_) consider(next_poll_);
  if (paused_until_ != MonoTime{} && pending_ > in_flight_.size()) consider(paused_until_);
  if (fast_ && batch_.phase != Batch::Phase::none) {
    if (batch_.phase != Batch::Phase::open)
      consider(batch_.phase_since + options_.answer_timeout);
    else if (in_flight_.empty())
      consider(batch_.last_sent + options_.end_idle_batch_after);
    else
      consider(queue_[in_flight_.front() - base_].sent_at + options_.acknowledge_within);
  }
  if (!fast_ && !in_flight_.empty()) consider(queue_[in_flight_.front() - base_].sent_at + options_.answer_timeout);
  return at_first;
}

std::vector<Command> Publisher::take_commands() {
  std::vector<Command> out;
  out.swap(commands_);
  return out;
}

}  // namespace mp::jetstream
