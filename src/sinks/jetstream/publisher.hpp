#pragma once
// Brings events of a journal into a JetStream stream, each exactly once, whatever breaks in between: all its
// decisions, without a socket, a clock or a thread (sink.cpp drives it). One owner, one thread.
//
// The life of a connection: fence (what an earlier connection still has on its way must be refused) → describe
// the stream → look whether it still ends as remembered → read back what it holds of this journal → save the
// cursor → publish. A connection that breaks, an answer that does not come or says something unexpected begins the
// same circle again.
//
// Events of one subject share a message while it waits for its turn. When nothing is outstanding every event goes
// at once, in a message of its own.

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include "base/backoff.hpp"
#include "base/raw_record.hpp"
#include "base/time.hpp"
#include "sinks/jetstream/answers.hpp"
#include "sinks/jetstream/cursor.hpp"
#include "sinks/jetstream/messages.hpp"
#include "sinks/jetstream/positions.hpp"
#include "sinks/jetstream/trim_note.hpp"

namespace mp::jetstream {

using std::chrono::milliseconds;

struct PublisherOptions {
  std::string journal;          // its id
  bool journal_is_new = false;  // made just now: no stream can hold anything of it
  // Its last record when it was opened: what earlier processes published is of records up to it. A play-back whose
  // journal was made just now says the highest there is: its recordings may have been played before.
  RecordPosition journal_end;
  // What is offered and not acknowledged yet; above either, offer() says full.
  std::size_t max_bytes = 64u << 20;
  std::size_t max_messages = 100'000;
  MessageLimits limits;
  std::size_t async_window = 1'024;     // messages on their way without fast ingest
  std::size_t window_bytes = 8u << 20;  // bytes on their way, either sender
  std::uint32_t batch_flow = 256;       // fast ingest: at most so many messages between two acknowledgements
  bool allow_fast_ingest = true;
  milliseconds fence_wait{10'000};  // without fast ingest: how long a message may still be on its way
  milliseconds answer_timeout{5'000};
  milliseconds acknowledge_within{250};  // fast ingest: a batch is ended to learn what is stored
  milliseconds end_idle_batch_after{1'000};
  milliseconds poll_every{1'000};  // stream state, cursor and KV
  BackoffPolicy retry{milliseconds{100}, milliseconds{5'000}};
  std::size_t history_kept = 700;    // points, one a second: more than ten minutes
  std::size_t acked_kept = 200'000;  // acknowledged messages remembered until a point covers them
};

// The stream as the server describes it.
struct StreamView {
  std::string name;
  WallTime created;
  std::uint64_t first_sequence = 0;
  std::uint64_t last_sequence = 0;
  WallTime last_time;
  std::uint64_t bytes = 0;
  std::int64_t max_bytes = -1;  // no limit when not positive
  bool allow_batched = false;
  std::size_t max_payload = 1'048'576;  // of the connection
  std::string control_subject;          // one that the stream listens on, for messages that are not stored
  // Every storage process that stores this stream has all messages up to here; nothing when none says so.
  std::optional<std::uint64_t> stored_through;
};

enum class Level { info, warning, error };

// What the publisher asks of its driver, in order. `generation` comes back with the answer; answers to questions
// of an earlier generation are ignored.
struct Describe {
  std::uint64_t generation = 0;
};  // -> described()
struct LookAt {
  std::uint64_t generation = 0;
  std::uint64_t sequence = 0;
};                 // -> looked()
struct ReadBack {  // -> found()…, read_back_done()
  std::uint64_t generation = 0;
  std::uint64_t after = 0;    // sequences after this one…
  std::uint64_t through = 0;  // …up to and including this one; none when after >= through
  bool with_trim_note = false;
};
struct SaveCursor {
  std::uint64_t generation = 0;
  Cursor cursor;
  bool answer = false;
};  // -> saved(), if answer
struct Poll {
  std::uint64_t generation = 0;
};  // -> polled()
struct NoteAcked {
  std::uint64_t sequence = 0;
};  // write acked_key(journal)
// To the collector:
struct Rewind {
  RecordPosition after;
};  // offer again everything of later records; forget what was offered
// An event that does not fit was offered all the same. It is not published.
struct Rejected {
  std::string subject;
  EventPosition position;
  std::size_t bytes = 0;
  std::string reason;
};
struct ReadyForMore {};
struct Note {
  Level level = Level::info;
  std::string text;
};
using Command =
    std::variant<Describe, LookAt, ReadBack, SaveCursor, Poll, NoteAcked, Rewind, Rejected, ReadyForMore, Note>;

// A message to publish now. Views are valid until the next call.
struct Outgoing {
  std::string_view subject;
  std::string_view payload;
  std::string reply;  // behind the inbox given to connected()
  // Empty for a message that is not to be stored (end of a batch, fence).
  std::string_view journal;
  std::string first, last, id;
  bool compressed = false;
  bool again = false;  // see kAgainHeader
};

enum class Offer { taken, full };
enum class PublisherState { connecting, reading_back, publishing };
const char* to_string(PublisherState state);

struct PublisherCounters {
  std::uint64_t events_offered = 0;
  std::uint64_t events_acked = 0;
  std::uint64_t messages_sent = 0;
  std::uint64_t bytes_sent = 0;
  std::uint64_t messages_acked = 0;
  std::uint64_t messages_resent = 0;
  std::uint64_t duplicates_filtered = 0;  // by the server, from message ids
  std::uint64_t read_back_hits = 0;       // events that the stream had already
  std::uint64_t events_rejected = 0;
  std::uint64_t refusals = 0;    // answers that refused a message (a full stream, for instance)
  std::uint64_t held_back = 0;   // times that an older server's stream was too full to be trusted
  std::uint64_t times_full = 0;  // offer() said full
  std::uint64_t read_backs = 0;
  std::uint64_t rewinds = 0;
  std::uint64_t batches = 0;
};

class Publisher {
 public:
  // `cursor`: as saved by an earlier process, if there is one.
  Publisher(PublisherOptions options, std::optional<Cursor> cursor);

  // ---- the collector's side
  // Whether the event fits a message of the server, compressed if need be. (Before the first connection: of its default
  // max_payload; a server that takes less makes everything unacknowledged be offered again.)
  bool fits(std::string_view json) const;
  Offer offer(std::string_view subject, const EventPosition& position, std::string_view json, Instant now);
  void offered_through(const RecordPosition& record);
  // Everything of records up to it is stored. At the start: where offering has to begin after.
  RecordPosition acked_through() const;
  PublisherState state() const;
  bool uses_fast_ingest() const { return fast_; }
  const PublisherCounters& counters() const { return counters_; }
  std::size_t outstanding_messages() const { return pending_; }
  std::size_t outstanding_bytes() const { return bytes_; }
  std::optional<Nanos> oldest_unacknowledged(MonoTime now) const;
  // The highest position of this journal that a read-back has seen: a journal must go on above it.
  std::optional<EventPosition> highest_seen() const { return highest_seen_; }
  // No more offers will come: finish, save a last point. Then done() once everything is stored.
  void finish(Instant now);
  bool finished() const { return finished_; }

  // ---- the driver's side
  // `batch_id`: unique for ever, without dots.
  void connected(std::string batch_id, Instant now);
  void disconnected(Instant now);
  void described(std::uint64_t generation, const StreamView& stream, Instant now);
  void looked(std::uint64_t generation, std::optional<WallTime> stored_at, Instant now);  // nullopt: not there
  void found(std::uint64_t generation, std::string_view subject, const EventPosition& first, const EventPosition& last);
  void found_trimmed(std::uint64_t generation, const TrimNote& note);
  void read_back_done(std::uint64_t generation, Instant now);
  void saved(std::uint64_t generation, Instant now);
  void polled(std::uint64_t generation, const StreamView& stream, Instant now);
  // A question could not be answered.
  void failed(std::uint64_t generation, std::string_view what, Instant now);
  // The answer to an Outgoing: `reply` is what followed the inbox in its reply subject.
  void answered(std::string_view reply, const Answer& answer, Instant now);
  // Publishing an Outgoing failed at once; a disconnect will follow or not.
  void send_failed(std::string_view why, Instant now);
  void tick(Instant now);
  // When tick() wants to be called.
  std::optional<MonoTime> wake_at() const;

  // The next message to publish, nullptr when none may go now.
  const Outgoing* next_send(Instant now);
  std::vector<Command> take_commands();
  bool has_commands() const { return !commands_.empty(); }

 private:
  enum class Step { offline, waiting_fence, fencing, describing, looking, reading, saving, publishing, retrying };
  enum class MessageState : std::uint8_t { queued, sent, done };
  static constexpr std::uint64_t kNone = ~std::uint64_t{0};

  struct Subject {
    std::string name;
    std::uint64_t hash = 0;
    Intervals stored;
    std::optional<EventPosition> trimmed;  // up to here all is stored
    std::uint64_t open = kNone;            // the queued message that takes more events
  };
  struct Pending {
    Subject* subject = nullptr;
    MessageBody body;
    MessageState state = MessageState::queued;
    bool was_sent = false;
    MonoTime opened_at;
    MonoTime sent_at;
  };
  struct Acked {
    Subject* subject;
    EventPosition first, last;
  };
  // A point that becomes an entry of the history once all up to `through` is acknowledged.
  struct Mark {
    RecordPosition through;
    std::uint64_t read_from = 0;
  };
  struct Batch {
    enum class Phase { none, starting, open, ending, failing };
    Phase phase = Phase::none;
    std::uint64_t number = 0;  // tells the answers of one batch from those of the next, which may have its id
    std::uint64_t sent = 0;
    std::uint64_t acked = 0;
    std::uint64_t per_ack = 1;
    bool end_is_sent = false;
    int refused_with = 0;
    MonoTime phase_since;
    MonoTime last_sent;
  };

  // the circle
  void begin(Instant now);
  void wait_for_late_messages(Instant now);
  void describe();
  void check_candidate(Instant now);
  void accept(std::uint64_t read_from);
  void go_back_to(std::size_t entries_kept);
  void note_settled(std::uint64_t stored_through);
  void expect_again();
  void rewind(const RecordPosition& after);
  void retry(std::string_view why, Instant now);
  void enter_publishing(Instant now);
  bool acked_are_found() const;
  void drop_what_is_stored();

  // queue
  Subject& subject_of(std::string_view name);
  bool is_stored(const Subject& subject, const EventPosition& position) const;
  Pending* at(std::uint64_t index);
  void queue_event(Subject& subject, const EventPosition& position, std::string_view json, MonoTime now);
  Pending* next_queued();
  void mark_done(std::uint64_t index, Instant now);
  void pop_done();
  void requeue_unanswered();
  void tell_room();
  std::size_t in_flight() const { return in_flight_.size(); }

  // senders
  const Outgoing* send_message(Pending& message, std::uint64_t index, std::string reply, MonoTime now);
  const Outgoing* send_control(std::string_view subject, std::string reply);
  const Outgoing* next_of_batch(Instant now);
  const Outgoing* next_of_window(Instant now);
  std::string batch_reply(std::uint64_t n, int operation) const;
  void answered_fence(const Answer& answer, Instant now);
  void answered_batch(std::uint64_t number, const Answer& answer, Instant now);
  void batch_ended(std::uint64_t count, Instant now);
  void batch_error(const Answer& answer, Instant now);
  void answered_window(std::uint64_t index, const Answer& answer, Instant now);
  void acked_through_batch(std::uint64_t n, Instant now);
  void window_drained(Instant now);
  void refused(int code, std::string_view text, Instant now);
  void back_off(Instant now);
  void tick_batch(Instant now);
  void tick_window(Instant now);
  void note_point(const StreamView& stream, Instant now);
  void reckon_room(const StreamView& stream);
  bool has_room_for(const Pending& message, Instant now);
  void note(Level level, std::string text) { commands_.push_back(Note{level, std::move(text)}); }

  PublisherOptions options_;
  MessageLimits limits_;
  Cursor cursor_;
  PublisherCounters counters_;
  std::vector<Command> commands_;
  Outgoing out_;

  Step step_ = Step::offline;
  std::uint64_t generation_ = 0;
  MonoTime deadline_{};          // of waiting_fence, fencing, retrying
  int attempts_ = 0;             // failed circles in a row
  bool in_doubt_ = true;         // something may still be on its way from an earlier connection
  bool start_in_doubt_ = false;  // …the beginning of a batch, which a fence does not stop
  bool start_is_out_ = false;    // of a batch, over this connection: nothing is known of it yet
  bool fence_is_sent_ = false;
  std::string batch_id_;
  StreamView stream_;
  std::size_t candidate_ = 0;
  std::uint64_t read_from_ = 0;
  std::uint64_t found_ = 0;       // messages of this journal that the read-back saw
  bool limit_fell_ = false;       // what waits may be too large for this server
  bool stored_is_known_ = false;  // the subjects' intervals are those of the stream

  std::unordered_map<std::string_view, std::unique_ptr<Subject>> subjects_;
  std::deque<Pending> queue_;            // in the order in which they were opened
  std::uint64_t base_ = 0;               // index of queue_.front()
  std::uint64_t next_ = 0;               // nothing before this index is queued
  std::deque<std::uint64_t> in_flight_;  // indices, in the order of sending
  std::size_t in_flight_bytes_ = 0;
  std::size_t pending_ = 0;  // messages of queue_ not done
  std::size_t bytes_ = 0;    // …their bytes
  bool told_full_ = false;
  RecordPosition offered_through_;
  RecordPosition highest_offered_;
  std::optional<EventPosition> highest_seen_;

  std::deque<Acked> acked_;  // acknowledged, not covered by the history yet
  bool acked_overflowed_ = false;
  std::deque<Mark> marks_;
  RecordPosition acked_at_poll_;
  bool poll_is_out_ = false;
  MonoTime next_poll_{};

  bool fast_ = false;
  bool fast_is_refused_ = false;  // by the server, in spite of the stream's setting
  Batch batch_;
  // Bytes that may still be published before the stream is too full to be trusted (window only).
  std::int64_t room_ = 0;
  bool is_held_back_ = false;
  bool draining_ = false;  // the window is not filled until all answers are here
  bool answer_is_missing_ = false;
  int refusals_in_a_row_ = 0;
  MonoTime paused_until_{};

  bool finishing_ = false;
  int final_polls_ = 0;
  bool finished_ = false;
};

}  // namespace mp::jetstream
