#include "sinks/jetstream/sink.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <fstream>
#include <mutex>
#include <sstream>
#include <thread>

#include "base/text.hpp"
#include "nats/consumer.hpp"
#include "nats/kv.hpp"

namespace mp::jetstream {
namespace {

using Clock = std::chrono::steady_clock;
namespace fs = std::filesystem;

Instant now() { return {std::chrono::time_point_cast<Nanos>(std::chrono::system_clock::now()), Clock::now()}; }

constexpr std::size_t kFoundPerPost = 5'000;
constexpr std::uint64_t kPollsPerKeyList = 10;

// ---- files ----

Result<std::optional<Cursor>> read_cursor(const fs::path& path) {
  if (!fs::exists(path)) return std::optional<Cursor>{};
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  if (!file) return Error{Errc::io, path.string(), "cannot be read"};
  auto cursor = Cursor::parse(text.str());
  if (!cursor) return Error{cursor.error().code, path.string() + ": " + cursor.error().where, cursor.error().seen};
  return std::optional<Cursor>(std::move(*cursor));
}

// The file has the old text or the new one, whatever happens: written beside, synced, renamed, directory synced.
Result<void> write_atomically(const fs::path& path, std::string_view text) {
  const std::string beside = path.string() + ".new";
  const auto failure = [&](const char* what) {
    return Error{Errc::io, path.string(),
                 std::string(what) + ": " + std::string(std::error_code(errno, std::generic_category()).message())};
  };
  const int fd = ::open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return failure("cannot be created");
  const char* at = text.data();
  std::size_t left = text.size();
  while (left > 0) {
    const ssize_t written = ::write(fd, at, left);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      const Error error = failure("cannot be written");
      ::close(fd);
      return error;
    }
    at += written;
    left -= static_cast<std::size_t>(written);
  }
  const bool synced = ::fsync(fd) == 0;
  const Error sync_error = failure("cannot be synced");
  ::close(fd);
  if (!synced) return sync_error;
  if (::rename(beside.c_str(), path.c_str()) != 0) return failure("cannot be renamed to");
  const int directory =
      ::open(path.parent_path().empty() ? "." : path.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory >= 0) {
    ::fsync(directory);
    ::close(directory);
  }
  return {};
}

// ---- the connection ----

// A connection and its subscription to the answers. Members die in reverse: the subscription first.
struct Link {
  std::unique_ptr<nats::Connection> connection;
  std::string inbox;
  std::unique_ptr<nats::Subscription> answers;
  std::optional<nats::KeyValue> bucket;  // of the worker
};

// "trade-data.>" -> "trade-data.control"
std::string concrete_subject(std::string subject) {
  std::string out;
  std::string_view rest = subject;
  while (!rest.empty()) {
    const std::size_t dot = rest.find('.');
    const std::string_view token = rest.substr(0, dot);
    rest = dot == std::string_view::npos ? std::string_view{} : rest.substr(dot + 1);
    if (!out.empty()) out += '.';
    out += token == "*" || token == ">" ? std::string_view("control") : token;
  }
  return out;
}

StreamView view_of(const nats::StreamInfo& info, std::int64_t max_payload) {
  StreamView out;
  out.name = info.name;
  out.created = info.created;
  out.first_sequence = info.first_sequence;
  out.last_sequence = info.last_sequence;
  out.last_time = info.last_time;
  out.bytes = info.bytes;
  out.max_bytes = info.max_bytes;
  out.allow_batched = info.allow_batched;
  if (max_payload > 0) out.max_payload = static_cast<std::size_t>(max_payload);
  if (!info.subjects.empty()) out.control_subject = concrete_subject(info.subjects.front());
  return out;
}

struct Found {
  std::string subject;
  EventPosition first, last;
};

// What threads hand to the owner.
struct LinkIsReady {
  std::shared_ptr<Link> link;
};
struct ConnectionIsUp {};
struct ConnectionIsDown {};
struct ConnectionIsClosed {
  std::string reason;
};
struct Answered {
  std::string reply;
  Answer answer;
};
struct Described {
  std::uint64_t generation;
  nats::StreamInfo info;
  std::int64_t max_payload;
};
struct Looked {
  std::uint64_t generation;
  std::optional<WallTime> stored_at;
};
struct FoundSome {
  std::uint64_t generation;
  std::vector<Found> found;
};
struct FoundTrimmed {
  std::uint64_t generation;
  TrimNote note;
};
struct ReadBackIsDone {
  std::uint64_t generation;
};
struct Saved {
  std::uint64_t generation;
};
struct Polled {
  std::uint64_t generation;
  nats::StreamInfo info;
  std::int64_t max_payload;
  std::optional<std::uint64_t> stored_through;
};
struct Failed {
  std::uint64_t generation;
  std::string what;
};
struct Tick {};
using Letter = std::variant<Answered, LinkIsReady, ConnectionIsUp, ConnectionIsDown, ConnectionIsClosed, Described,
                            Looked, FoundSome, FoundTrimmed, ReadBackIsDone, Saved, Polled, Failed, Note, Tick>;

// From any thread to the owner. Outlives the Sink in callbacks that still run.
class Mailbox {
 public:
  void put(Letter letter) {
    std::function<void()> wake;
    {
      const std::lock_guard lock(mutex_);
      letters_.push_back(std::move(letter));
      if (!is_posted_ && wake_) {
        is_posted_ = true;
        wake = wake_;
      }
      arrived_.notify_one();
    }
    if (wake) wake();
  }
  // `wake` is called once for all letters that came since the last take().
  void open(std::function<void()> wake) {
    const std::lock_guard lock(mutex_);
    wake_ = std::move(wake);
  }
  void close() {
    const std::lock_guard lock(mutex_);
    wake_ = nullptr;
    letters_.clear();
  }
  void take(std::vector<Letter>& out) {
    const std::lock_guard lock(mutex_);
    out.swap(letters_);
    is_posted_ = false;
  }
  void wait(milliseconds timeout) {
    std::unique_lock lock(mutex_);
    arrived_.wait_for(lock, timeout, [this] { return !letters_.empty(); });
  }

 private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::vector<Letter> letters_;
  std::function<void()> wake_;
  bool is_posted_ = false;
};

// ---- the worker: everything that blocks ----

struct OpenLink {
  milliseconds after{0};
};
using Task = std::variant<OpenLink, Describe, LookAt, ReadBack, SaveCursor, Poll, NoteAcked>;
struct Job {
  Task task;
  std::shared_ptr<Link> link;
};

class Worker {
 public:
  Worker(const SinkOptions& options, std::shared_ptr<Mailbox> mailbox)
      : options_(options), mailbox_(std::move(mailbox)) {}

  void start() {
    thread_ = std::thread([this] { run(); });
  }
  void give(Job job) {
    const std::lock_guard lock(mutex_);
    jobs_.push_back(std::move(job));
    changed_.notify_one();
  }
  // Writes cursors that wait, leaves the rest.
  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
      changed_.notify_one();
    }
    if (thread_.joinable()) thread_.join();
  }

 private:
  void run() {
    for (;;) {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
      if (jobs_.empty()) return;
      Job job = std::move(jobs_.front());
      jobs_.pop_front();
      const bool only_saves = stopping_;
      lock.unlock();
      if (only_saves && !std::holds_alternative<SaveCursor>(job.task)) continue;
      std::visit([&](const auto& task) { perform(task, job.link); }, job.task);
    }
  }

  void perform(const OpenLink& task, const std::shared_ptr<Link>&) {
    {
      std::unique_lock lock(mutex_);
      if (changed_.wait_for(lock, task.after, [this] { return stopping_; })) return;
    }
    auto link = std::make_shared<Link>();
    auto mailbox = mailbox_;
    nats::ConnectionCallbacks callbacks;
    callbacks.connected = callbacks.reconnected = [mailbox] { mailbox->put(ConnectionIsUp{}); };
    callbacks.disconnected = [mailbox] { mailbox->put(ConnectionIsDown{}); };
    callbacks.closed = [mailbox](std::string reason) { mailbox->put(ConnectionIsClosed{std::move(reason)}); };
    callbacks.error = [mailbox](std::string text) { mailbox->put(Note{Level::warning, "NATS: " + text}); };
    auto connection = nats::Connection::open(options_.connection, std::move(callbacks));
    if (!connection) return mailbox_->put(ConnectionIsClosed{connection.error().text()});
    link->connection = std::move(*connection);
    link->inbox = nats::Connection::new_inbox();
    auto answers = nats::Subscription::open(*link->connection, link->inbox + ".>",
                                            [mailbox, skip = link->inbox.size() + 1](nats::Message&& message) {
                                              mailbox->put(answer_of(std::move(message), skip));
                                            });
    if (!answers) return mailbox_->put(ConnectionIsClosed{answers.error().text()});
    link->answers = std::move(*answers);
    mailbox_->put(LinkIsReady{std::move(link)});
  }

  static Answered answer_of(nats::Message&& message, std::size_t skip) {
    Answered out;
    out.reply = message.subject.substr(skip);
    if (message.payload.empty()) {
      out.answer.kind = Answer::Kind::error;
      out.answer.code = std::atoi(std::string(message.header("Status")).c_str());
      out.answer.text = message.header("Description");
    } else {
      out.answer = read_answer(message.payload);
    }
    return out;
  }

  void perform(const Describe& task, const std::shared_ptr<Link>& link) {
    auto ensured = nats::JetStream(*link->connection).ensure_stream(options_.stream, options_.change_stream);
    if (!ensured) return fail(task.generation, ensured.error());
    using Outcome = nats::EnsuredStream::Outcome;
    if (ensured->outcome == Outcome::created)
      mailbox_->put(Note{Level::info, "stream " + ensured->info.name + " made"});
    for (const nats::Difference& difference : ensured->differences) {
      mailbox_->put(Note{ensured->outcome == Outcome::updated ? Level::info : Level::warning,
                         "stream " + ensured->info.name +
                             (ensured->outcome == Outcome::updated ? " changed, " : " is not as configured, ") +
                             difference.text()});
    }
    mailbox_->put(Described{task.generation, std::move(ensured->info), link->connection->max_payload()});
  }

  void perform(const Poll& task, const std::shared_ptr<Link>& link) {
    auto info = nats::JetStream(*link->connection).stream_info(options_.stream.name);
    if (!info) return fail(task.generation, info.error());
    const auto stored = stored_through(*link, info->created);
    mailbox_->put(Polled{task.generation, std::move(*info), link->connection->max_payload(), stored});
  }

  // The lowest of what the storage processes of this stream have noted. Which databases there are is asked now and
  // then.
  std::optional<std::uint64_t> stored_through(Link& link, WallTime created) {
    auto bucket = bucket_of(link);
    if (!bucket) return std::nullopt;
    if (created != stored_keys_of_ || polls_++ % kPollsPerKeyList == 0) {
      const auto keys = (*bucket)->keys(std::string(kStoredPrefix));
      if (!keys) return std::nullopt;
      stored_keys_.clear();
      for (const auto& key : *keys)
        if (is_stored_key(key, created)) stored_keys_.push_back(key);
      stored_keys_of_ = created;
    }
    std::optional<std::uint64_t> lowest;
    for (const auto& key : stored_keys_) {
      const auto entry = (*bucket)->get(key);
      const auto through = entry && *entry ? stored_through_note((*entry)->value) : std::nullopt;
      if (!through) return std::nullopt;
      lowest = std::min(lowest.value_or(*through), *through);
    }
    return lowest;
  }

  void perform(const LookAt& task, const std::shared_ptr<Link>& link) {
    auto stored = nats::JetStream(*link->connection).message(options_.stream.name, task.sequence);
    if (!stored && nats::server_code(stored.error()) != nats::kNoMessageFound)
      return fail(task.generation, stored.error());
    mailbox_->put(Looked{task.generation, stored ? std::optional(stored->time) : std::nullopt});
  }

  void perform(const ReadBack& task, const std::shared_ptr<Link>& link) {
    if (task.with_trim_note) {
      auto trimmed = trim_note(*link);
      if (!trimmed) return fail(task.generation, trimmed.error());
      mailbox_->put(FoundTrimmed{task.generation, std::move(*trimmed)});
    }
    std::vector<Found> found;
    auto read = nats::scan_headers(*link->connection, options_.stream.name, task.after, task.through,
                                   [&](nats::Delivered&& message) {
                                     if (message.message.header(kJournalHeader) != options_.publisher.journal) return;
                                     const auto first = event_position_from(message.message.header(kFirstHeader));
                                     const auto last = event_position_from(message.message.header(kLastHeader));
                                     if (!first || !last) return;  // not ours: nobody else writes this journal's id
                                     found.push_back({std::move(message.message.subject), *first, *last});
                                     if (found.size() >= kFoundPerPost)
                                       mailbox_->put(FoundSome{task.generation, std::exchange(found, {})});
                                   });
    if (!read) return fail(task.generation, read.error());
    mailbox_->put(FoundSome{task.generation, std::move(found)});
    mailbox_->put(ReadBackIsDone{task.generation});
  }

  void perform(const SaveCursor& task, const std::shared_ptr<Link>&) {
    auto written = write_atomically(options_.cursor_file, task.cursor.text());
    if (written) {
      if (task.answer) mailbox_->put(Saved{task.generation});
      return;
    }
    mailbox_->put(Note{Level::error, "publisher cursor: " + written.error().text()});
    if (task.answer) fail(task.generation, written.error());
  }

  void perform(const NoteAcked& task, const std::shared_ptr<Link>& link) {
    auto bucket = bucket_of(*link);
    if (bucket) (void)(*bucket)->put(acked_key(options_.publisher.journal), std::to_string(task.sequence));
    // A failure matters little: storage then trims less, and the next second writes again.
  }

  Result<TrimNote> trim_note(Link& link) {
    auto bucket = bucket_of(link);
    if (!bucket) return bucket.error();
    auto entry = (*bucket)->get(trimmed_key(options_.publisher.journal));
    if (!entry) return entry.error();
    return *entry ? TrimNote::parse((*entry)->value) : TrimNote{};
  }

  Result<nats::KeyValue*> bucket_of(Link& link) {
    if (!link.bucket) {
      auto opened = nats::KeyValue::open(*link.connection, kBucket);
      if (!opened) return opened.error();
      link.bucket = std::move(*opened);
    }
    return &*link.bucket;
  }

  void fail(std::uint64_t generation, const Error& error) { mailbox_->put(Failed{generation, error.text()}); }

  const SinkOptions& options_;
  std::shared_ptr<Mailbox> mailbox_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Job> jobs_;
  bool stopping_ = false;
  // Of the worker's thread.
  std::vector<std::string> stored_keys_;
  WallTime stored_keys_of_{};
  std::uint64_t polls_ = 0;
  std::thread thread_;
};

// Puts a Tick when it is time. Deadlines come from the owner.
class Alarm {
 public:
  explicit Alarm(std::shared_ptr<Mailbox> mailbox) : mailbox_(std::move(mailbox)) {}
  void start() {
    thread_ = std::thread([this] { run(); });
  }
  void set(std::optional<MonoTime> deadline) {
    const std::lock_guard lock(mutex_);
    const bool is_earlier = deadline && (!deadline_ || *deadline < *deadline_);
    deadline_ = deadline;
    if (is_earlier) changed_.notify_one();
  }
  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
      changed_.notify_one();
    }
    if (thread_.joinable()) thread_.join();
  }

 private:
  void run() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
      if (!deadline_) {
        changed_.wait(lock);
      } else if (Clock::now() < *deadline_) {
        changed_.wait_until(lock, *deadline_);
      } else {
        deadline_.reset();
        lock.unlock();
        mailbox_->put(Tick{});
        lock.lock();
      }
    }
  }
  std::shared_ptr<Mailbox> mailbox_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<MonoTime> deadline_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace

struct Sink::Impl {
  SinkOptions options;
  SinkCallbacks callbacks;
  std::function<void(std::function<void()>)> post;
  Publisher publisher;
  std::shared_ptr<Mailbox> mailbox = std::make_shared<Mailbox>();
  Worker worker;
  Alarm alarm;
  std::shared_ptr<Link> link;
  std::shared_ptr<char> alive = std::make_shared<char>();  // posted tasks look whether it is still there
  bool online = false;
  bool pumping = false;
  bool started = false;
  int closed_in_a_row = 0;
  nats::Message wire;  // reused
  std::vector<Letter> letters;
  std::optional<nats::StreamInfo> info;

  Impl(SinkOptions o, SinkCallbacks c, std::function<void(std::function<void()>)> p, std::optional<Cursor> cursor)
      : options(std::move(o)),
        callbacks(std::move(c)),
        post(std::move(p)),
        publisher(options.publisher, std::move(cursor)),
        worker(options, mailbox),
        alarm(mailbox) {}

  void drain() {
    letters.clear();
    mailbox->take(letters);
    for (Letter& letter : letters) std::visit([this](auto& content) { open(content); }, letter);
    pump();
  }

  // Everything that the publisher wants done, until it wants nothing.
  void pump() {
    if (pumping) return;
    pumping = true;
    do {
      for (Command& command : publisher.take_commands()) std::visit([this](auto& c) { obey(c); }, command);
    } while (send_some() || publisher.has_commands());
    pumping = false;
    if (started) alarm.set(publisher.wake_at());
  }

  // Publishes what may go; true when something happened that may have left commands.
  bool send_some() {
    const Instant at = now();
    bool sent = false;
    while (const Outgoing* out = online ? publisher.next_send(at) : nullptr) {
      sent = true;
      if (auto done = publish(*out); !done) {
        if (done.error().code == Errc::unavailable) return false;  // the disconnect is on its way here
        publisher.send_failed(done.error().text(), at);
        return true;
      }
    }
    return sent;
  }

  Result<void> publish(const Outgoing& out) {
    wire.subject = out.subject;
    wire.reply = link->inbox;
    wire.reply += '.';
    wire.reply += out.reply;
    wire.payload = out.payload;
    wire.headers.clear();
    if (!out.journal.empty()) {
      wire.headers.emplace_back(kJournalHeader, out.journal);
      wire.headers.emplace_back(kFirstHeader, out.first);
      wire.headers.emplace_back(kLastHeader, out.last);
      wire.headers.emplace_back(kIdHeader, out.id);
      if (out.compressed) wire.headers.emplace_back(kEncodingHeader, kZstd);
      if (out.again) wire.headers.emplace_back(kAgainHeader, "1");
    }
    return link->connection->publish(wire);
  }

  // ---- letters

  void open(Answered& a) { publisher.answered(a.reply, a.answer, now()); }
  void open(LinkIsReady& ready) {
    link = std::move(ready.link);
    go_online();
    if (online) return;
    const auto reason = link->connection->wait_connected(milliseconds{0});
    if (!reason)
      tell(Level::warning, "waiting for NATS (" + reason.error().text() +
                               "); is it running, and is the address right? What comes waits in the journal");
  }
  void open(ConnectionIsUp&) { go_online(); }
  void go_online() {
    if (online || !link || !link->connection->connected()) return;
    online = true;
    closed_in_a_row = 0;
    tell(Level::info, "connected to NATS at " + link->connection->server_url());
    const std::string inbox = nats::Connection::new_inbox();
    publisher.connected(inbox.substr(inbox.rfind('.') + 1), now());
  }
  void open(ConnectionIsDown&) {
    if (online) tell(Level::warning, "connection to NATS lost; reconnecting");
    online = false;
    publisher.disconnected(now());
  }
  void open(ConnectionIsClosed& closed) {
    online = false;
    publisher.disconnected(now());
    link.reset();
    ++closed_in_a_row;
    tell(Level::error, "NATS: " + closed.reason + "; trying again");
    worker.give({OpenLink{backoff(options.connection.reconnect, std::max(closed_in_a_row, 4), 0.0)}, nullptr});
  }
  void open(Described& d) {
    info = d.info;
    publisher.described(d.generation, view_of(d.info, d.max_payload), now());
  }
  void open(Polled& p) {
    info = p.info;
    auto view = view_of(p.info, p.max_payload);
    view.stored_through = p.stored_through;
    publisher.polled(p.generation, view, now());
  }
  void open(Looked& l) { publisher.looked(l.generation, l.stored_at, now()); }
  void open(FoundSome& f) {
    for (const Found& found : f.found) publisher.found(f.generation, found.subject, found.first, found.last);
  }
  void open(FoundTrimmed& f) { publisher.found_trimmed(f.generation, f.note); }
  void open(ReadBackIsDone& r) { publisher.read_back_done(r.generation, now()); }
  void open(Saved& s) { publisher.saved(s.generation, now()); }
  void open(Failed& f) { publisher.failed(f.generation, f.what, now()); }
  void open(Note& n) { tell(n.level, n.text); }
  void open(Tick&) { publisher.tick(now()); }

  // ---- commands

  template <class Blocking>
  void give(const Blocking& command) {
    if (link)
      worker.give({command, link});
    else
      publisher.failed(command.generation, "not connected", now());
  }
  void obey(const Describe& c) { give(c); }
  void obey(const LookAt& c) { give(c); }
  void obey(const ReadBack& c) { give(c); }
  void obey(const Poll& c) { give(c); }
  void obey(const SaveCursor& c) { worker.give({c, link}); }
  void obey(const NoteAcked& c) {
    if (link) worker.give({c, link});
  }
  void obey(const Rewind& c) {
    if (callbacks.rewind) callbacks.rewind(c.after);
  }
  void obey(const Rejected& c) {
    if (callbacks.rejected) callbacks.rejected(c);
  }
  void obey(const ReadyForMore&) {
    if (callbacks.ready_for_more) callbacks.ready_for_more();
  }
  void obey(const Note& c) { tell(c.level, c.text); }
  void tell(Level level, const std::string& text) {
    if (callbacks.note) callbacks.note(level, text);
  }
};

Sink::Sink(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Result<std::unique_ptr<Sink>> Sink::open(SinkOptions options, SinkCallbacks callbacks,
                                         std::function<void(std::function<void()>)> post) {
  auto cursor = read_cursor(options.cursor_file);
  if (!cursor) return cursor.error();
  if (*cursor && (*cursor)->journal != options.publisher.journal) {
    return Error{Errc::conflict, options.cursor_file.string(),
                 "belongs to journal " + (*cursor)->journal + ", this one is " + options.publisher.journal};
  }
  return std::unique_ptr<Sink>(
      new Sink(std::make_unique<Impl>(std::move(options), std::move(callbacks), std::move(post), std::move(*cursor))));
}

void Sink::start() {
  Impl& self = *impl_;
  std::weak_ptr<char> alive = self.alive;
  // The Impl stays where it is for the Sink's life; a task that comes later finds `alive` gone.
  self.mailbox->open([&self, alive, post = self.post] {
    post([&self, alive] {
      if (alive.lock()) self.drain();
    });
  });
  self.started = true;
  self.worker.start();
  self.alarm.start();
  self.worker.give({OpenLink{}, nullptr});
}

bool Sink::stop(milliseconds timeout) {
  Impl& self = *impl_;
  const auto until = Clock::now() + timeout;
  self.publisher.finish(now());
  self.publisher.tick(now());
  self.pump();
  while (self.started && !self.publisher.finished()) {
    const auto left = std::chrono::duration_cast<milliseconds>(until - Clock::now());
    if (left <= milliseconds{0}) break;
    self.mailbox->wait(std::min(left, milliseconds{50}));
    self.drain();
  }
  const bool finished = self.publisher.finished();
  self.alarm.stop();
  self.worker.stop();
  self.mailbox->close();
  self.online = false;
  self.started = false;
  self.link.reset();
  return finished;
}

Sink::~Sink() {
  impl_->alive.reset();
  impl_->mailbox->close();
  impl_->alarm.stop();
  impl_->worker.stop();
}

bool Sink::fits(std::string_view json) const { return impl_->publisher.fits(json); }

Offer Sink::offer(std::string_view subject, const EventPosition& position, std::string_view json) {
  const Offer outcome = impl_->publisher.offer(subject, position, json, now());
  impl_->pump();
  return outcome;
}

void Sink::offered_through(const RecordPosition& record) { impl_->publisher.offered_through(record); }
RecordPosition Sink::acked_through() const { return impl_->publisher.acked_through(); }
PublisherState Sink::state() const { return impl_->publisher.state(); }
bool Sink::connected() const { return impl_->online; }
bool Sink::uses_fast_ingest() const { return impl_->publisher.uses_fast_ingest(); }
const PublisherCounters& Sink::counters() const { return impl_->publisher.counters(); }
std::size_t Sink::outstanding_messages() const { return impl_->publisher.outstanding_messages(); }
std::size_t Sink::outstanding_bytes() const { return impl_->publisher.outstanding_bytes(); }
std::optional<Nanos> Sink::oldest_unacknowledged() const {
  return impl_->publisher.oldest_unacknowledged(Clock::now());
}
std::optional<EventPosition> Sink::highest_seen() const { return impl_->publisher.highest_seen(); }
std::optional<nats::StreamInfo> Sink::stream_info() const { return impl_->info; }

}  // namespace mp::jetstream
