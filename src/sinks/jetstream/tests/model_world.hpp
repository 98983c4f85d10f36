#pragma once
// A server, a journal and a publisher as values, moved by single steps, so that a test can break anything between
// any two of them.

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "sinks/jetstream/publisher.hpp"

namespace mp::jetstream::test {

using namespace std::chrono_literals;

struct JournalEvent {
  std::string subject;
  EventPosition position;
  std::string json;
};

// `records` records with zero to three events each, over three subjects.
inline std::vector<JournalEvent> journal_of(int records) {
  std::vector<JournalEvent> out;
  std::minstd_rand random(7);
  static const char* const kSubjects[] = {"trade-data.x.spot.A", "trade-data.x.spot.B", "orderbook-data.x.spot.A"};
  for (int i = 0; i < records; ++i) {
    const RecordPosition record{1u + static_cast<std::uint32_t>(i) / 10, static_cast<std::uint32_t>(i) % 10};
    std::map<std::string, std::uint32_t> ordinals;
    for (auto k = random() % 4; k > 0; --k) {
      const std::string subject = kSubjects[random() % 3];
      const EventPosition position{record, ordinals[subject]++};
      out.push_back({subject, position, subject + "@" + to_text(position)});
    }
  }
  return out;
}

struct Sent {  // on its way to the server
  std::string subject, payload, reply, first, last, id;
  bool again = false;
};

struct Stored {
  std::uint64_t sequence = 0;
  std::string subject, first, last;
  std::vector<std::string> lines;
  WallTime time;
  bool again = false;
};

// JetStream's side: one stream, fast ingest with gap "fail", or plain publishing.
class ModelServer {
 public:
  bool has_fast_ingest = true;
  bool remembers_ids = false;
  std::size_t capacity = 1'000'000;  // messages
  std::int64_t max_bytes = -1;       // told, not enforced
  std::uint64_t bytes = 0;
  std::size_t max_payload = 1'048'576;
  std::vector<Stored> stored;
  std::uint64_t last_sequence = 0;
  std::uint64_t first_sequence = 1;
  WallTime created = wall_from_nanos(1'000);
  TrimNote trim_note;
  std::optional<std::uint64_t> stored_through;  // what storage has noted

  StreamView view() const {
    StreamView out;
    out.name = "T";
    out.created = created;
    out.first_sequence = first_sequence;
    out.last_sequence = last_sequence;
    out.last_time = stored.empty() ? WallTime{} : stored.back().time;
    out.bytes = bytes;
    out.max_bytes = max_bytes;
    out.allow_batched = has_fast_ingest;
    out.control_subject = "trade-data.x";
    out.stored_through = stored_through;
    out.max_payload = max_payload;
    return out;
  }

  // The answers to one message.
  std::vector<std::string> take(const Sent& message) {
    if (message.reply.starts_with("a.")) return take_plain(message);
    return take_batch(message);
  }

  void restart() {
    batches_.clear();
    ids_.clear();
  }
  void lose_last(std::size_t count) {
    restart();
    for (; count > 0 && !stored.empty(); --count) stored.pop_back();
    last_sequence = stored.empty() ? first_sequence - 1 : stored.back().sequence;
  }
  void make_anew() {
    restart();
    stored_through.reset();
    stored.clear();
    last_sequence = 0;
    first_sequence = 1;
    created += 1s;
  }
  void store_of_others(std::size_t count) {
    for (; count > 0; --count) stored.push_back({++last_sequence, "other", "", "", {}, next_time(), false});
  }
  void trim(std::size_t count) {
    for (; count > 0 && !stored.empty(); --count) {
      if (const auto last = event_position_from(stored.front().last)) trim_note.add(stored.front().subject, *last);
      trimmed.push_back(stored.front());
      first_sequence = stored.front().sequence + 1;
      stored.erase(stored.begin());
    }
  }
  std::vector<Stored> trimmed;

 private:
  struct Batch {
    std::uint64_t stored = 0, since_ack = 0, per_ack = 1;
  };

  WallTime next_time() { return time_ += 1ms; }

  void store(const Sent& m) {
    Stored out{++last_sequence, m.subject, m.first, m.last, {}, next_time(), m.again};
    std::string_view text = m.payload;
    while (!text.empty()) {
      out.lines.emplace_back(text.substr(0, text.find('\n')));
      text.remove_prefix(text.find('\n') + 1);
    }
    stored.push_back(std::move(out));
  }

  std::vector<std::string> take_plain(const Sent& m) {
    if (stored.size() >= capacity) {
      return {R"({"error":{"code":400,"err_code":10077,"description":"maximum bytes exceeded"},"stream":"T","seq":0})"};
    }
    if (remembers_ids && !ids_.insert(m.id).second) return {R"({"stream":"T", "seq":1,"duplicate": true})"};
    store(m);
    return {R"({"stream":"T", "seq":)" + std::to_string(last_sequence) + "}"};
  }

  std::vector<std::string> take_batch(const Sent& m) {
    // <…>.<id>.<flow>.fail.<n>.<op>.$FI
    std::vector<std::string> tokens;
    for (std::size_t from = 0; from <= m.reply.size();) {
      const std::size_t dot = std::min(m.reply.find('.', from), m.reply.size());
      tokens.push_back(m.reply.substr(from, dot - from));
      from = dot + 1;
    }
    const std::size_t size = tokens.size();
    const std::string& id = tokens[size - 6];
    const std::uint64_t flow = std::stoull(tokens[size - 5]);
    const std::uint64_t n = std::stoull(tokens[size - 3]);
    const std::string& op = tokens[size - 2];
    std::vector<std::string> answers;
    if (op == "0") {
      batches_[id] = Batch{};
      answers.push_back(R"({"type":"ack","seq":0,"msgs":1})");
    }
    const auto found = batches_.find(id);
    if (found == batches_.end()) {
      return {
          R"({"error":{"code":400,"err_code":10208,"description":"batch publish ID unknown"},"stream":"T","seq":0})"};
    }
    Batch& batch = found->second;
    const auto end = [&] {
      answers.push_back(R"({"stream":"T","seq":)" + std::to_string(last_sequence) + R"(,"batch":")" + id +
                        R"(","count":)" + std::to_string(batch.stored) + "}");
      batches_.erase(found);
      return answers;
    };
    if (n != batch.stored + 1) {
      answers.push_back(R"({"type":"gap","last_seq":)" + std::to_string(batch.stored + 1) + R"(,"seq":)" +
                        std::to_string(n) + "}");
      return end();
    }
    if (op == "3") return end();
    if (stored.size() >= capacity) {
      answers.push_back(R"({"type":"err","seq":)" + std::to_string(n) +
                        R"(,"error":{"code":400,"err_code":10077,"description":"maximum bytes exceeded"}})");
      return end();
    }
    store(m);
    ++batch.stored;
    if (++batch.since_ack >= batch.per_ack) {
      batch.since_ack = 0;
      batch.per_ack = std::min(flow, batch.per_ack * 2);
      answers.push_back(R"({"type":"ack","seq":)" + std::to_string(batch.stored) + R"(,"msgs":)" +
                        std::to_string(batch.per_ack) + "}");
    }
    return answers;
  }

  std::map<std::string, Batch> batches_;
  std::set<std::string> ids_;
  WallTime time_ = wall_from_nanos(1'000'000);
};

// Everything together. step() makes one move; which one is a matter of the seed.
class World {
 public:
  ModelServer server;
  PublisherOptions options;
  std::vector<JournalEvent> journal;
  std::unique_ptr<Publisher> publisher;
  std::optional<Cursor> disk;
  std::vector<std::string> notes;
  std::vector<RecordPosition> rewinds;
  std::vector<Rejected> rejected;
  std::optional<std::uint64_t> noted_acked;
  bool connected = false;
  Instant now{wall_from_nanos(1'700'000'000'000'000'000), MonoTime{} + 1h};
  std::minstd_rand random;

  World(std::vector<JournalEvent> events, unsigned seed) : journal(std::move(events)), random(seed) {
    options.journal = "0123456789abcdef0123456789abcdef";
    options.journal_is_new = true;
    options.async_window = 4;
    options.batch_flow = 4;
    options.fence_wait = 100ms;
    options.poll_every = 20ms;
    options.acknowledge_within = 10ms;
    options.end_idle_batch_after = 15ms;
    options.retry = {5ms, 40ms};
    options.max_messages = 12;
    start();
  }

  void start() {
    options.journal_end =
        journal.empty() ? RecordPosition{} : journal.back().position.record;  // all is journalled first
    publisher = std::make_unique<Publisher>(options, disk);
    offer_after(publisher->acked_through());
    is_full_ = false;
    ++incarnation_;
    finish_is_told_ = false;
  }
  // SIGKILL of the publisher; what is on the wire arrives when a new connection has long been made (the kernel goes on
  // sending for a process that is dead), but within fence_wait.
  void crash_with_a_slow_wire() {
    slow_the_wire();
    crash(false);
  }
  void lose_connection_with_a_slow_wire() {
    slow_the_wire();
    lose_connection(false);
  }
  // SIGKILL of the publisher; what is on the wire arrives or not.
  void crash(bool wire_arrives) {
    publisher.reset();
    lose_connection(wire_arrives);
    options.journal_is_new = options.journal_is_new && !disk;
    start();
  }
  void lose_connection(bool wire_arrives) {
    if (wire_arrives) {
      for (const Sent& message : to_server_) server.take(message);
    }
    to_server_.clear();
    to_client_.clear();
    questions_.clear();
    connected = false;
    if (publisher) publisher->disconnected(now);
  }
  void connect() {
    connected = true;
    publisher->connected("id" + std::to_string(++connections_), now);
  }

  void step() {
    now.wall += 1ms;
    now.mono += 1ms;
    if (now.mono >= late_at_)
      for (const Sent& message : std::exchange(late_, {})) server.take(message);
    if (!connected && random() % 3 == 0) connect();
    switch (random() % 8) {
      case 0:
      case 1: offer_some(); break;
      case 2:
      case 3:
        if (const Outgoing* out = connected ? publisher->next_send(now) : nullptr) {
          to_server_.push_back({std::string(out->subject), std::string(out->payload), out->reply, out->first, out->last,
                                out->id, out->again});
        }
        break;
      case 4:
      case 5: deliver_to_server(); break;
      case 6: deliver_to_client(); break;
      case 7: publisher->tick(now); break;
    }
    do_commands();
    answer_one_question();
  }

  // Nothing comes through, and the connection looks as good as ever.
  bool stalled = false;

  // The collector goes on while the connection is down.
  void step_offering() { offer_some(); }

  bool all_is_acked() const {
    return next_offer_ == journal.size() && publisher->outstanding_messages() == 0 &&
           publisher->state() == PublisherState::publishing;
  }
  // Goes on until the publisher says that it is finished.
  bool run_to_end(int most_steps = 60'000) {
    for (int i = 0; i < most_steps; ++i) {
      if (next_offer_ == journal.size() && !finish_is_told_) {
        publisher->finish(now);
        finish_is_told_ = true;
      }
      if (next_offer_ < journal.size()) finish_is_told_ = false;
      step();
      if (publisher->finished() && all_is_acked()) return true;
    }
    return false;
  }

  // How often each event of the journal is in the stream (or was trimmed from it).
  std::map<std::string, int> copies() const {
    std::map<std::string, int> out;
    for (const JournalEvent& event : journal) out[event.json] = 0;
    for (const auto* part : {&server.trimmed, &server.stored}) {
      for (const Stored& message : *part) {
        for (const std::string& line : message.lines) ++out[line];
      }
    }
    return out;
  }
  std::string wrong_copies() const {
    std::string out;
    for (const auto& [event, count] : copies()) {
      if (count != 1) out += event + " x" + std::to_string(count) + "; ";
    }
    return out;
  }
  // Positions that go down within a subject.
  int inversions() const {
    std::map<std::string, EventPosition> last;
    int count = 0;
    for (const Stored& message : server.stored) {
      for (const std::string& line : message.lines) {
        const auto position = *event_position_from(line.substr(line.find('@') + 1));
        auto [at, is_new] = last.try_emplace(message.subject, position);
        if (!is_new && position <= at->second) ++count;
        at->second = std::max(at->second, position);
      }
    }
    return count;
  }
  int incarnation() const { return incarnation_; }
  std::size_t on_the_wire() const { return to_server_.size(); }

 private:
  void slow_the_wire() {
    late_ = std::exchange(to_server_, {});
    late_at_ = now.mono + options.fence_wait / 2;
  }

  void offer_after(const RecordPosition& record) {
    next_offer_ = 0;
    while (next_offer_ < journal.size() && journal[next_offer_].position.record <= record) ++next_offer_;
  }

  void offer_some() {
    for (auto k = random() % 4; k > 0 && next_offer_ < journal.size() && !is_full_; --k) {
      const JournalEvent& event = journal[next_offer_];
      if (publisher->offer(event.subject, event.position, event.json, now) == Offer::full) {
        is_full_ = true;
        return;
      }
      ++next_offer_;
      const bool record_is_over =
          next_offer_ == journal.size() || journal[next_offer_].position.record != event.position.record;
      if (record_is_over) publisher->offered_through(event.position.record);
    }
  }

  void deliver_to_server() {
    if (to_server_.empty() || !connected || stalled) return;
    const Sent message = to_server_.front();
    to_server_.pop_front();
    for (const std::string& answer : server.take(message)) to_client_.emplace_back(message.reply, answer);
  }

  void deliver_to_client() {
    if (to_client_.empty() || stalled) return;
    const auto [reply, json] = to_client_.front();
    to_client_.pop_front();
    publisher->answered(reply, read_answer(json), now);
  }

  void do_commands() {
    for (Command& command : publisher->take_commands()) {
      if (auto* save = std::get_if<SaveCursor>(&command)) {
        const auto again = Cursor::parse(save->cursor.text());  // as it comes back from the disk
        disk = *again;
        if (save->answer) questions_.push_back(command);
      } else if (auto* to = std::get_if<Rewind>(&command)) {
        rewinds.push_back(to->after);
        offer_after(to->after);
        is_full_ = false;
      } else if (std::holds_alternative<ReadyForMore>(command)) {
        is_full_ = false;
      } else if (auto* noted = std::get_if<Note>(&command)) {
        notes.push_back(noted->text);
      } else if (auto* r = std::get_if<Rejected>(&command)) {
        rejected.push_back(*r);
      } else if (auto* acked = std::get_if<NoteAcked>(&command)) {
        noted_acked = acked->sequence;
      } else {
        questions_.push_back(command);
      }
    }
  }

  void answer_one_question() {
    if (questions_.empty() || !connected || stalled || random() % 3 != 0) return;
    const Command question = questions_.front();
    questions_.pop_front();
    if (auto* d = std::get_if<Describe>(&question)) publisher->described(d->generation, server.view(), now);
    if (auto* p = std::get_if<Poll>(&question)) publisher->polled(p->generation, server.view(), now);
    if (auto* s = std::get_if<SaveCursor>(&question)) publisher->saved(s->generation, now);
    if (auto* l = std::get_if<LookAt>(&question)) {
      std::optional<WallTime> time;
      for (const Stored& message : server.stored) {
        if (message.sequence == l->sequence) time = message.time;
      }
      publisher->looked(l->generation, time, now);
    }
    if (auto* r = std::get_if<ReadBack>(&question)) {
      if (r->with_trim_note) publisher->found_trimmed(r->generation, server.trim_note);
      for (const Stored& message : server.stored) {
        if (message.sequence <= r->after || message.sequence > r->through || message.first.empty()) continue;
        publisher->found(r->generation, message.subject, *event_position_from(message.first),
                         *event_position_from(message.last));
      }
      publisher->read_back_done(r->generation, now);
    }
    do_commands();
  }

  std::deque<Sent> to_server_;
  std::deque<Sent> late_;  // of a connection that is no more
  MonoTime late_at_{};
  std::deque<std::pair<std::string, std::string>> to_client_;
  std::deque<Command> questions_;
  std::size_t next_offer_ = 0;
  bool is_full_ = false;
  bool finish_is_told_ = false;
  int incarnation_ = 0;
  int connections_ = 0;
};

}  // namespace mp::jetstream::test
