#include "data-storage-service/src/worker.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "base/log.hpp"
#include "data-storage-service/src/process_identity.hpp"
#include "net/clock.hpp"
#include "sinks/jetstream/messages.hpp"
#include "sinks/jetstream/trim_note.hpp"
#include "wire/subject.hpp"

namespace mp::storage {
namespace {

using namespace std::chrono_literals;
using sinks::clickhouse::Batcher;
using sinks::clickhouse::Verdict;

constexpr BackoffPolicy kTryAgain{500ms, 10'000ms};
constexpr auto kConnectionPatience = 1'000ms;
constexpr auto kLookForStop = 250ms;     // how late a stop may be noticed while waiting
constexpr auto kLongestFetch = 1'000ms;  // and while the bus is quiet: each fetch is a request to the server
constexpr auto kAckTimeout = 5'000ms;
constexpr auto kWorkingEvery = 60s;
constexpr auto kTouchEvery = 60s;    // ClickHouse's session: ten minutes without a statement end it
constexpr Nanos kLongestWait = 24h;  // of a message that counts
constexpr auto kStable = 10s;        // a session that went well for so long: what went wrong before is forgotten
constexpr WorkerState kWorkerStates[]{
    WorkerState::waiting_for_nats, WorkerState::waiting_for_lease, WorkerState::waiting_for_clickhouse,
    WorkerState::running,          WorkerState::failing,           WorkerState::stopped};
constexpr Verdict kFailures[]{Verdict::unreachable,     Verdict::retry,         Verdict::back_pressure,
                              Verdict::session_locked,  Verdict::session_gone,  Verdict::too_many_partitions,
                              Verdict::schema_mismatch, Verdict::access_denied, Verdict::bad_data};

sinks::clickhouse::SinkOptions sink_options(const StorageOptions& o, DataType type) {
  return {.client = o.clickhouse,
          .type = type,
          .database = o.database,
          .cold_database = o.cold_database,
          .cold_client = o.tiers.cold};
}

// Up to where the loss of a part of the stream has been written down for this data type.
std::string told_key(DataType type, const std::string& database, WallTime stream_created) {
  return fmt::format("storage.lost.{}.{}.{}", database, nanos_since_epoch(stream_created), to_string(type));
}

// NATS's wildcards: '*' stands for one token, '>' for the rest.
bool subject_matches(std::string_view filter, std::string_view subject) {
  while (!filter.empty() && !subject.empty()) {
    const auto wanted = filter.substr(0, filter.find('.'));
    const auto token = subject.substr(0, subject.find('.'));
    if (wanted == ">") return true;
    if (wanted != "*" && wanted != token) return false;
    filter.remove_prefix(std::min(wanted.size() + 1, filter.size()));
    subject.remove_prefix(std::min(token.size() + 1, subject.size()));
  }
  return filter.empty() && subject.empty();
}

}  // namespace

std::string lease_owner() {
  if (const auto own = own_identity()) return own->text();
  std::array<char, 256> host{};
  ::gethostname(host.data(), host.size() - 1);
  return fmt::format("{}/{}", host.data(), ::getpid());
}

bool holder_is_dead(std::string_view owner) {
  const auto own = own_identity();
  const auto other = ProcessIdentity::parse(owner);
  if (!own || !other || !is_known_dead(*own, *other)) return false;
  log::info("the lease's holder does not run any more: not waiting for it", {{"holder", owner}});
  return true;
}

// A day that may leave the hot tables gets no rows any more.
std::optional<Nanos> hot_for(const StorageOptions& options) {
  if (options.cold_database.empty() || !options.hot_ttl) return std::nullopt;
  const bool drops = options.tiers.enabled && options.tiers.drop_after > 0ms;
  return std::min<Nanos>(*options.hot_ttl, drops ? Nanos{options.tiers.drop_after} : Nanos{*options.hot_ttl});
}

std::string consumer_name(const std::string& database, DataType type) {
  return fmt::format("storage-{}-{}", database, to_string(type));
}

std::string trimmed_key(const std::string& database, WallTime stream_created) {
  return fmt::format("storage.trimmed.{}.{}", database, nanos_since_epoch(stream_created));
}

std::string session_key(const std::string& consumer) { return "session." + consumer; }

std::string stored_key(const std::string& database, WallTime stream_created) {
  return fmt::format("storage.stored.{}.{}", database, nanos_since_epoch(stream_created));
}

std::optional<std::uint64_t> stored_in_note(std::string_view note, DataType type) {
  const auto begin = fmt::format("{} ", to_string(type));
  while (!note.empty()) {
    const auto line = note.substr(0, note.find('\n'));
    note.remove_prefix(std::min(line.size() + 1, note.size()));
    if (line.starts_with(begin)) return std::strtoull(std::string(line.substr(begin.size())).c_str(), nullptr, 10);
  }
  return std::nullopt;
}

std::shared_ptr<nats::Connection> Bus::get() {
  const std::lock_guard lock{mutex_};
  if (connection_ && !connection_->closed()) return connection_;
  const auto now = net::now().mono;
  if (now < not_before_) return nullptr;
  not_before_ = now + 5s;  // closed for ever means refused: no hurry
  connection_.reset();
  nats::ConnectionCallbacks callbacks;
  callbacks.connected = [] { log::info("connected to NATS"); };
  callbacks.disconnected = [] { log::warn("connection to NATS lost, trying again"); };
  callbacks.reconnected = [] { log::info("connected to NATS again"); };
  callbacks.closed = [](const std::string& reason) { log::error("NATS refuses the connection", {{"reason", reason}}); };
  callbacks.error = [](const std::string& text) { log::warn("NATS reports an error", {{"error", text}}); };
  auto opened = nats::Connection::open(options_.nats, callbacks);
  if (!opened) {
    log::error("NATS connection cannot be made", {{"error", opened.error()}});
    return nullptr;
  }
  connection_ = std::move(*opened);
  return connection_;
}

Result<nats::StreamInfo> Bus::stream(nats::Connection& connection) {
  const std::lock_guard lock{stream_mutex_};
  auto ensured = nats::JetStream{connection}.ensure_stream(options_.stream, options_.change_stream);
  if (!ensured) return ensured.error();
  using Outcome = nats::EnsuredStream::Outcome;
  if (ensured->outcome == Outcome::created)
    log::info("stream created", {{"stream", ensured->info.name}, {"max_bytes", ensured->info.max_bytes}});
  if (!std::exchange(stream_told_, true)) {
    for (const auto& difference : ensured->differences) {
      log::warn(ensured->outcome == Outcome::updated ? "stream setting changed"
                                                     : "stream setting differs and is left as it is",
                {{"stream", ensured->info.name}, {"difference", difference.text()}});
    }
  }
  return ensured->info;
}

Result<void> Schema::ensure(std::stop_token stop) {
  const std::lock_guard lock{mutex_};
  if (fits_) return {};
  clickhouse::Client client{options_.clickhouse};
  if (auto there = client.ping(stop); !there) return there;
  if (auto applied = sinks::clickhouse::apply_schema(client, schema_, stop); !applied) return applied;
  log::info("tables are in place", {{"database", options_.database}, {"clickhouse", client.address()}});
  // A cold server of its own gets the whole schema; its hot tables stay empty.
  if (options_.tiers.cold && !options_.cold_database.empty()) {
    clickhouse::Client cold{*options_.tiers.cold};
    if (auto there = cold.ping(stop); !there) return there;
    if (auto applied = sinks::clickhouse::apply_schema(cold, schema_, stop); !applied) return applied;
    log::info("tables are in place", {{"database", options_.cold_database}, {"clickhouse", cold.address()}});
  }
  fits_ = true;
  return {};
}

void Schema::forget() {
  const std::lock_guard lock{mutex_};
  fits_ = false;
}

struct Worker::Meters {
  telemetry::Metrics& metrics;
  std::string type;
  telemetry::Counter rows, rejected, messages, duplicates, read_backs, batches, lost, leases_lost;
  telemetry::Histogram insert_seconds, batch_rows, bus_to_table_seconds;
  std::map<WorkerState, telemetry::Gauge> states;

  Meters(telemetry::Metrics& m, const std::string& t)
      : metrics(m),
        type(t),
        rows(
            m.counter("marketprism_storage_rows_inserted_total", "Rows that ClickHouse confirmed", {{"data_type", t}})),
        rejected(m.counter("marketprism_storage_rejected_total", "Lines that went to rejected_messages",
                           {{"data_type", t}})),
        messages(m.counter("marketprism_storage_messages_total", "Messages taken from the stream", {{"data_type", t}})),
        duplicates(m.counter("marketprism_storage_duplicates_skipped_total",
                             "Rows and messages that came again and were not stored twice", {{"data_type", t}})),
        read_backs(m.counter("marketprism_storage_readbacks_total", "Times the table was read to learn what is stored",
                             {{"data_type", t}})),
        batches(m.counter("marketprism_storage_batches_total", "Batches stored and acknowledged", {{"data_type", t}})),
        lost(m.counter("marketprism_storage_lost_messages_total",
                       "Messages that had left the stream before they were stored", {{"data_type", t}})),
        leases_lost(m.counter("marketprism_storage_leases_lost_total", "Times that the lease was lost while storing",
                              {{"data_type", t}})),
        insert_seconds(m.histogram("marketprism_storage_insert_duration_seconds", "Duration of inserts",
                                   telemetry::delay_bounds(), {{"data_type", t}})),
        batch_rows(m.histogram("marketprism_storage_batch_rows", "Rows of one insert",
                               {1, 3, 10, 30, 100, 300, 1e3, 3e3, 1e4, 3e4, 1e5}, {{"data_type", t}})),
        bus_to_table_seconds(m.histogram(
            "marketprism_storage_bus_to_table_seconds",
            "From the bus's storing of a batch's oldest message until the batch was stored and acknowledged",
            bus_to_table_bounds(), {{"data_type", t}})) {
    for (const auto state : kWorkerStates)
      states.emplace(state,
                     m.gauge("marketprism_storage_worker_state", "1 for the state that the data type's worker is in",
                             {{"data_type", t}, {"state", to_string(state)}}));
    entered(WorkerState::waiting_for_nats);
    // All from the start: increase() does not see a series come into being at 1.
    for (const auto verdict : kFailures) failures(verdict);
  }

  void entered(WorkerState now) {
    for (auto& [state, gauge] : states) gauge.set(state == now ? 1 : 0);
  }

  void failure(Verdict verdict) { failures(verdict).add(); }

 private:
  static std::vector<double> bus_to_table_bounds() {
    auto bounds = telemetry::delay_bounds();
    bounds.insert(bounds.end(), {60, 300, 1800, 7200});  // an outage of ClickHouse
    return bounds;
  }

  telemetry::Counter failures(Verdict verdict) {
    return metrics.counter("marketprism_storage_insert_failures_total", "Inserts and read-backs that failed",
                           {{"data_type", type}, {"verdict", sinks::clickhouse::to_string(verdict)}});
  }
};

Worker::Worker(const StorageOptions& options, DataType type, Bus& bus, Schema& schema, ForeignRows& foreign,
               telemetry::Metrics& metrics)
    : options_(options),
      type_(type),
      name_(consumer_name(options.database, type)),
      bus_(bus),
      schema_(schema),
      foreign_(foreign),
      meters_(std::make_shared<Meters>(metrics, to_string(type))),
      sink_(sink_options(options, type)),
      random_(std::random_device{}()),
      limits_(options.batches.at(type)) {}

void Worker::set_limits(const sinks::clickhouse::BatchLimits& limits) {
  const std::lock_guard lock{mutex_};
  limits_ = limits;
  ++limits_version_;
}

WorkerStatus Worker::status() const {
  const std::lock_guard lock{mutex_};
  return status_;
}

void Worker::set_state(WorkerState state, const std::string& trouble) {
  std::optional<StateLog::Line> line;
  {
    const std::lock_guard lock{mutex_};
    if (status_.state != state) meters_->entered(state);
    status_.state = state;
    status_.trouble = trouble;
    line = state_log_.see(state, trouble, net::now().mono);
  }
  if (line) tell(*line, state, trouble);
}

void Worker::tell(const StateLog::Line& line, WorkerState state, const std::string& trouble) {
  const char* type = to_string(type_);
  const auto unsaid = line.unsaid == 0 ? "" : fmt::format(" (and {} changes before that are not told)", line.unsaid);
  const auto reason = trouble + unsaid;
  // Waiting at the beginning is how it begins; what had worked and does not any more is not expected.
  const bool worked = line.before == WorkerState::running || line.before == WorkerState::failing;
  switch (state) {
    case WorkerState::running: log::info("storing", {{"data_type", type}}); break;
    case WorkerState::failing:
      log::warn("inserts fail, trying again", {{"data_type", type}, {"trouble", reason}});
      break;
    case WorkerState::stopped: log::debug("stopped", {{"data_type", type}}); break;
    case WorkerState::waiting_for_nats:
    case WorkerState::waiting_for_lease:
    case WorkerState::waiting_for_clickhouse:
      log::write(worked ? log::Level::warn : log::Level::info, to_string(state),
                 {{"data_type", type}, {"reason", reason}});
      break;
  }
}

bool Worker::pause(std::chrono::milliseconds time, std::stop_token stop) {
  std::unique_lock lock{mutex_};
  wake_.wait_for(lock, stop, time, [] { return false; });
  return !stop.stop_requested();
}

void Worker::run(std::stop_token stop) {
  while (!stop.stop_requested()) {
    if (const auto connection = bus_.get()) {
      serve_connection(*connection, stop);
    } else {
      set_state(WorkerState::waiting_for_nats, "no connection");
    }
    if (!stop.stop_requested()) pause(500ms, stop);
  }
  set_state(WorkerState::stopped);
}

// As long as this connection is not closed for good.
void Worker::serve_connection(nats::Connection& connection, std::stop_token stop) {
  while (!connection.wait_connected(kLookForStop)) {
    if (stop.stop_requested() || connection.closed()) return;
    set_state(WorkerState::waiting_for_nats, "no connection to " + options_.nats.urls.front());
  }
  auto bucket = nats::KeyValue::open(connection, jetstream::kBucket);
  if (!bucket) return set_state(WorkerState::waiting_for_nats, bucket.error().text());
  nats::Lease::Callbacks callbacks;
  callbacks.waiting = [this](const std::string& holder) {
    set_state(WorkerState::waiting_for_lease, "held by " + holder);
  };
  nats::Lease lease{
      *bucket,
      {.key = "lease." + name_, .owner = lease_owner(), .ttl = options_.lease_ttl, .is_dead = holder_is_dead},
      callbacks};
  while (!stop.stop_requested() && !connection.closed()) {
    if (!lease.wait_held(kLookForStop)) {
      const auto now = status();
      if (!connection.connected())
        set_state(WorkerState::waiting_for_nats, "no connection to " + options_.nats.urls.front());
      else
        set_state(now.state, now.trouble);  // the same again: what the log has not been told yet
      continue;
    }
    const auto ended = serve_consumer(connection, *bucket, lease, stop);
    if (stop.stop_requested()) return;
    if (ended) {
      failures_ = 0;
      continue;
    }
    if (!lease.held()) lease_lost("lost to another storage process, or NATS did not renew it in time");
    interrupted(ended.error());
    if (!pause(backoff(kTryAgain, ++failures_, jitter()), stop)) return;
  }
}

void Worker::interrupted(const Error& why) {
  // The other states have been told by what led to them.
  if (status().state != WorkerState::running) return;
  set_state(WorkerState::waiting_for_nats, "interrupted, beginning anew: " + why.text());
}

// Inserts that fail are not better for it.
void Worker::lease_lost(const std::string& reason) {
  const auto earlier = insert_trouble_.empty() ? "" : "; before that inserts failed: " + insert_trouble_;
  set_state(WorkerState::waiting_for_lease, reason + earlier);
}

// One consumer from its ack floor on, until something forces a new beginning. What was taken and not stored by then is
// delivered again: nothing was acknowledged.
class Worker::Session {
 public:
  Session(Worker& worker, nats::PullConsumer& consumer, nats::KeyValue& bucket, nats::Lease& lease, WallTime stream,
          std::uint64_t doubt_through, nats::Connection& connection)
      : worker_(worker),
        consumer_(consumer),
        bucket_(bucket),
        lease_(lease),
        connection_(connection),
        disconnects_(connection.disconnects()),
        stream_(stream),
        batcher_(worker.options_.batches.at(worker.type_), doubt_through),
        encoding_(worker.encoding(stream)),
        encoder_(encoding_) {}

  Result<void> run(std::stop_token stop) {
    std::optional<MonoTime> give_up_at;
    while (true) {
      const auto now = net::now().mono;
      take_over_limits();
      if (stop.stop_requested() && !give_up_at) {
        batcher_.stop();
        give_up_at = now + worker_.options_.drain_timeout;
      }
      if (give_up_at && now > *give_up_at) {
        log::warn("stopped before everything was stored; it will be delivered again",
                  {{"data_type", to_string(worker_.type_)}, {"rows", batcher_.rows_held()}});
        return {};
      }
      if (!lease_.held()) {
        worker_.meters_->leases_lost.add();
        return Error{Errc::conflict, "lease", "lost to another storage process or to a silent NATS"};
      }
      // A server that was killed comes back with its consumers as it last wrote them down: it takes no acknowledgement
      // of what it does not know to have delivered. What is held is taken again from the consumer as it is now.
      if (connection_.disconnects() != disconnects_)
        return Error{Errc::unavailable, "the connection to NATS was lost",
                     "looking anew at the stream and its consumer"};
      const auto step = batcher_.next(now);
      if (std::holds_alternative<sinks::clickhouse::Finished>(step)) return {};
      if (auto done = std::visit([&](const auto& s) { return carry_out(s, stop); }, step); !done) return done;
      if (session_is_gone_ && !give_up_at)
        return Error{Errc::unavailable, "the session in ClickHouse has ended", "beginning another"};
      if (session_is_gone_) go_on_in_another_session();
      keep_alive();
      publish_status();
    }
  }

 private:
  Result<void> carry_out(const sinks::clickhouse::Finished&, std::stop_token) { return {}; }

  Result<void> carry_out(const sinks::clickhouse::Fetch& fetch, std::stop_token) {
    const auto now = net::now().mono;
    const auto wait = std::clamp<Nanos>(fetch.until - now, 0ms, kLongestFetch);
    auto messages = consumer_.fetch({.max_messages = fetch.max_messages, .max_bytes = 4u << 20},
                                    std::chrono::duration_cast<nats::milliseconds>(wait));
    if (!messages) return fetch_failed(messages.error());
    fetch_failures_ = 0;  // an empty answer is one too: a quiet type is as well as a busy one
    for (auto& message : *messages) take(std::move(message));
    batcher_.fetched(messages->size(), fetch.max_messages);
    return {};
  }

  // A connection that is down comes back by itself; the consumer then continues where it was.
  Result<void> fetch_failed(const Error& error) {
    if (error.code == Errc::conflict) return error;
    worker_.set_state(WorkerState::waiting_for_nats, error.text());
    fetch_failures_ += 1;
    if (fetch_failures_ > kPatience) return error;
    worker_.pause(backoff(kTryAgain, fetch_failures_, worker_.jitter()), {});
    batcher_.fetched(0, 1);
    return {};
  }

  void take(nats::Delivered&& message) {
    if (!batcher_.wants(message.stream_sequence)) return;
    const auto now = net::now();
    const auto rows_before = batcher_.rows_held();
    const auto foreign_before = encoder_.counters().foreign;
    encoder_.encode({.subject = message.message.subject,
                     .payload = message.message.payload,
                     .encoding = message.message.header("MP-Encoding"),
                     .sequence = message.stream_sequence,
                     .stored_at = message.stored_at},
                    now.wall, batcher_.open_batch());
    if (const auto foreign = encoder_.counters().foreign - foreign_before; foreign > 0)
      worker_.foreign_.saw(foreign, encoder_.foreign_source(), now.mono);
    if (!message.message.header(jetstream::kAgainHeader).empty()) batcher_.open_batch().mark_again(rows_before);
    // A bus whose clock is off makes batches wait too long or too short, by no more than their time-out.
    const auto waited = std::clamp<Nanos>(now.wall - message.stored_at, 0ns, kLongestWait);
    batcher_.took(message.stream_sequence, now.mono - waited);
    worker_.meters_->messages.add();
    message.message.payload.clear();
    message.message.payload.shrink_to_fit();
    last_ = std::move(message);
    if (!taken_) {
      oldest_stored_at_ = last_.stored_at;
      oldest_taken_at_ = now.mono;
    }
    taken_ = true;
  }

  Result<void> carry_out(const sinks::clickhouse::Insert& insert, std::stop_token) {
    const auto begin = net::now().mono;
    const auto outcome = worker_.sink_.insert(*insert.batch, *insert.piece);
    const auto end = net::now().mono;
    worker_.meters_->insert_seconds.observe(std::chrono::duration<double>(end - begin).count());
    if (outcome.verdict == Verdict::ok) {
      const auto rows = static_cast<double>(insert.piece->rows.size());
      worker_.meters_->batch_rows.observe(rows);
      (insert.piece->target == sinks::clickhouse::Target::rejected ? worker_.meters_->rejected : worker_.meters_->rows)
          .add(rows);
      worker_.insert_trouble_.clear();
      note_insert(*insert.piece, end);
    } else {
      failed(outcome);
    }
    batcher_.inserted(outcome.verdict, end, worker_.jitter());
    return {};
  }

  Result<void> carry_out(const sinks::clickhouse::ReadBack& read, std::stop_token) {
    auto present = worker_.sink_.read_back(batcher_.open_batch(), stream_);
    worker_.meters_->read_backs.add();
    if (present.displaced > 0) {
      log::warn(
          "the bus uses sequences again whose messages it has lost; the rows of the new messages are stored beside those of the lost ones",
          {{"data_type", to_string(worker_.type_)},
           {"rows", present.displaced},
           {"from_sequence", read.first},
           {"through_sequence", read.last}});
    }
    if (present.outcome.verdict == Verdict::ok) {
      StreamMessages messages{*this};
      auto recognised = worker_.sink_.recognise(
          batcher_.open_batch(), [&](const auto& key, const auto& content) { return messages.hold(key, content); });
      if (messages.trouble) {
        batcher_.read_back_failed(Verdict::unreachable, net::now().mono, worker_.jitter());
        return {};
      }
      present.outcome = recognised.outcome;
      present.keys.insert(present.keys.end(), recognised.keys.begin(), recognised.keys.end());
    }
    if (present.outcome.verdict == Verdict::ok) {
      batcher_.read_back(std::move(present.keys), net::now().mono);
    } else {
      failed(present.outcome);
      batcher_.read_back_failed(present.outcome.verdict, net::now().mono, worker_.jitter());
    }
    return {};
  }

  Result<void> carry_out(const sinks::clickhouse::Acknowledge&, std::stop_token) {
    const auto acknowledged = consumer_.ack_through(last_, kAckTimeout);
    if (!acknowledged && acknowledged.error().code == Errc::conflict) return acknowledged;
    if (!acknowledged && ++ack_failures_ > kPatience) return acknowledged;
    if (acknowledged) {
      ack_failures_ = 0;
      if (taken_)
        worker_.meters_->bus_to_table_seconds.observe(
            std::chrono::duration<double>(net::now().wall - oldest_stored_at_).count());
      taken_ = false;
      worker_.meters_->batches.add();
    }
    batcher_.acknowledged(acknowledged.has_value(), net::now().mono, worker_.jitter());
    return {};
  }

  Result<void> carry_out(const sinks::clickhouse::Wait& wait, std::stop_token stop) {
    const auto time = std::min<Nanos>(wait.until - net::now().mono, kLookForStop);
    // After a stop request pause() would return at once.
    worker_.pause(std::chrono::ceil<std::chrono::milliseconds>(std::max<Nanos>(time, 0ns)),
                  stop.stop_requested() ? std::stop_token{} : stop);
    return {};
  }

  // What the stream holds now at the places of rows that say what a row of the batch says.
  struct StreamMessages {
    explicit StreamMessages(Session& s) : session(s), jetstream(s.connection_) {}

    bool hold(const sinks::clickhouse::RowKey& key, const std::string& content) {
      if (trouble) return true;
      auto [at, is_new] = contents.try_emplace(key.sequence);
      if (is_new && !read(key.sequence, at->second)) return true;
      if (at->second.empty()) return key.sequence < first_sequence;  // trimmed: it was stored, and was current then
      return key.index < at->second.size() && at->second[key.index] == content;
    }

   private:
    bool read(std::uint64_t sequence, std::vector<std::string>& into) {
      const auto& options = session.worker_.options_;
      const auto message = jetstream.message(options.stream.name, sequence);
      if (!message) {
        if (nats::server_code(message.error()) != nats::kNoMessageFound) return give_up(message.error());
        const auto stream = jetstream.stream_info(options.stream.name);
        if (!stream) return give_up(stream.error());
        first_sequence = stream->first_sequence;
        return true;
      }
      sinks::clickhouse::RowBatch batch;
      sinks::clickhouse::MessageEncoder encoder{session.encoding_};
      encoder.encode({.subject = message->message.subject,
                      .payload = message->message.payload,
                      .encoding = message->message.header("MP-Encoding"),
                      .sequence = sequence,
                      .stored_at = message->time},
                     net::now().wall, batch);
      for (const auto& row : batch.rows()) {
        const bool rejected = row.target == sinks::clickhouse::Target::rejected;
        const sinks::clickhouse::Content content{
            sinks::clickhouse::table_of(rejected ? DataType::rejected : session.worker_.type_), rejected};
        const auto read = content.of_row(batch.bytes_of(row));
        into.push_back(read ? read->content : "");
      }
      return true;
    }
    bool give_up(const Error& error) {
      trouble = error;
      return false;
    }

    Session& session;
    nats::JetStream jetstream;
    std::map<std::uint64_t, std::vector<std::string>> contents;
    std::uint64_t first_sequence = 0;

   public:
    std::optional<Error> trouble;
  };

  void take_over_limits() {
    const std::lock_guard lock{worker_.mutex_};
    if (limits_version_ == worker_.limits_version_) return;
    limits_version_ = worker_.limits_version_;
    batcher_.set_limits(worker_.limits_);
  }

  void failed(const sinks::clickhouse::Outcome& outcome) {
    worker_.meters_->failure(outcome.verdict);
    session_is_gone_ = outcome.verdict == Verdict::session_gone;
    if (session_is_gone_)
      return;  // no trouble yet: ClickHouse was started again, or a successor has said that it is one
    worker_.insert_trouble_ = fmt::format("{}: {}", sinks::clickhouse::to_string(outcome.verdict), outcome.text);
    worker_.set_working();
    // The tables may have been dropped: the next beginning makes them again, or says what differs.
    if (outcome.verdict == Verdict::schema_mismatch) {
      worker_.schema_.forget();
      if (const auto mended = worker_.schema_.ensure({}); !mended)
        log::error("the tables do not fit", {{"data_type", to_string(worker_.type_)}, {"error", mended.error()}});
    }
  }

  // Told to stop there is no new beginning that would take again what is held, so it is stored from here. The batch is
  // in doubt, also where only the look for the session has told that it is gone: a successor may have been there
  // meanwhile. The table is read first, and the session that has ended can bring nothing any more.
  void go_on_in_another_session() {
    batcher_.doubt();
    if (const auto begun = worker_.take_over(bucket_, lease_, {}); begun)
      session_is_gone_ = false;
    else
      worker_.pause(kLookForStop, {});
  }

  void note_insert(const sinks::clickhouse::Piece& piece, MonoTime at) {
    const std::lock_guard lock{worker_.mutex_};
    worker_.status_.last_insert = at;
    (piece.target == sinks::clickhouse::Target::rejected ? worker_.status_.rejected : worker_.status_.rows) +=
        piece.rows.size();
  }

  // So that the server does not deliver again what we still hold, and ClickHouse does not forget us.
  void keep_alive() {
    const auto now = net::now().mono;
    if (now >= touched_at_ + kTouchEvery) {
      touched_at_ = now;
      session_is_gone_ = session_is_gone_ || worker_.sink_.touch().verdict == Verdict::session_gone;
    }
    if (!taken_ || now < working_at_ + kWorkingEvery) return;
    working_at_ = now;
    if (const auto told = consumer_.working_on(last_); !told)
      log::debug("not told that we work on it", {{"error", told.error()}});
  }

  void publish_status() {
    const auto& counters = batcher_.counters();
    const auto skipped = counters.rows_found + counters.redelivered;
    worker_.meters_->duplicates.add(static_cast<double>(skipped - skipped_));
    skipped_ = skipped;
    {
      const std::lock_guard lock{worker_.mutex_};
      worker_.status_.rows_held = batcher_.rows_held();
      worker_.status_.held_since = taken_ ? std::optional(oldest_taken_at_) : std::nullopt;
    }
    if (counters.batches > batches_) worker_.insert_trouble_.clear();
    batches_ = counters.batches;
    if (fetch_failures_ == 0) worker_.set_working();
  }

  static constexpr int kPatience = 20;

  Worker& worker_;
  nats::PullConsumer& consumer_;
  nats::KeyValue& bucket_;
  nats::Lease& lease_;
  nats::Connection& connection_;
  const std::uint64_t disconnects_;
  const WallTime stream_;
  Batcher batcher_;
  const sinks::clickhouse::EncodingOptions encoding_;
  sinks::clickhouse::MessageEncoder encoder_;
  nats::Delivered last_;
  bool taken_ = false;  // something, and not acknowledged it
  MonoTime oldest_taken_at_{};
  WallTime oldest_stored_at_{};  // of what was taken, by the bus's clock
  MonoTime working_at_ = net::now().mono;
  MonoTime touched_at_ = net::now().mono;
  bool session_is_gone_ = false;
  int fetch_failures_ = 0;
  int ack_failures_ = 0;
  std::uint64_t limits_version_ = 0;
  std::uint64_t skipped_ = 0;
  std::uint64_t batches_ = 0;
};

sinks::clickhouse::EncodingOptions Worker::encoding(WallTime stream) const {
  return {.type = type_,
          .stream = stream,
          .sources = sinks::clickhouse::sources_beside(options_.data_source),
          .hot_for = hot_for(options_)};
}

// A process may be frozen between its look at the lease and its insert, for longer than the lease, and insert what its
// successor has stored. So the successor shuts the predecessor's session in ClickHouse (sink.hpp). Who that is stands
// in the bus's bucket; whoever replaces a name there has shut its session before, and begins its own one after.
Result<void> Worker::take_over(nats::KeyValue& bucket, nats::Lease& lease, std::stop_token stop) {
  const auto key = session_key(name_);
  const auto before = bucket.get(key);
  if (!before) return before.error();
  if (*before && !(*before)->value.empty()) {
    const auto shut = sink_.shut((*before)->value, stop);
    if (shut.verdict == Verdict::session_locked)
      return Error{Errc::unavailable, "ClickHouse", "an insert of an earlier storage process is still running"};
    if (shut.verdict == Verdict::unreachable || shut.verdict == Verdict::retry)
      return Error{Errc::unavailable, "ClickHouse", shut.text};
    // A user who may not be made read-only: then only the lease keeps two processes apart.
    if (shut.verdict != Verdict::ok)
      log::warn("an earlier session cannot be shut", {{"data_type", to_string(type_)}, {"error", shut.text}});
  }
  const auto session = fmt::format("{}-{:016x}", name_, std::uniform_int_distribution<std::uint64_t>{}(random_source_));
  const auto noted = *before ? bucket.update(key, session, (*before)->revision) : bucket.create(key, session);
  if (!noted) return noted.error();
  if (const auto begun = sink_.begin(session, stop); begun.verdict != Verdict::ok)
    return Error{Errc::unavailable, "ClickHouse", begun.text};
  // Only now: whoever takes the lease from here on finds our session and shuts it.
  if (!lease.held()) return Error{Errc::conflict, "lease", "lost to another storage process or to a silent NATS"};
  return {};
}

// Whether the last message that the consumer has acknowledged is still the one that was stored. nats-server 2.9 keeps a
// consumer's ack floor when the stream has lost its end: what gets these sequences afterwards would never be delivered
// (tried with 2.9.10; 2.15.1 sets the floor back). False: the consumer must be made anew.
Result<bool> Worker::floor_holds(nats::JetStream& jetstream, const nats::StreamInfo& stream,
                                 const nats::ConsumerInfo& consumer, std::stop_token stop) {
  const auto floor = consumer.ack_floor_stream_sequence;
  if (floor == 0 || floor < stream.first_sequence) return true;
  if (floor > stream.last_sequence) return false;
  const auto message = jetstream.message(options_.stream.name, floor);
  if (!message)
    return nats::server_code(message.error()) == nats::kNoMessageFound ? Result<bool>(true)
                                                                       : Result<bool>(message.error());
  sinks::clickhouse::RowBatch batch;
  sinks::clickhouse::MessageEncoder encoder{encoding(stream.created)};
  encoder.encode({.subject = message->message.subject,
                  .payload = message->message.payload,
                  .encoding = message->message.header(jetstream::kEncodingHeader),
                  .sequence = floor,
                  .stored_at = message->time},
                 net::now().wall, batch);
  const auto there = sink_.read_back(batch, stream.created, stop);
  if (there.outcome.verdict != Verdict::ok)
    return Error{Errc::unavailable, "reading what is stored", there.outcome.text};
  // An acknowledged message has its rows, or they stand under another stream (published again), or have expired.
  if (subject_matches(wire::subject_filter(type_), message->message.subject)) return there.displaced == 0;
  std::size_t rows = 0;
  if (const auto counted = sink_.count_at(stream.created, floor, rows, stop); counted.verdict != Verdict::ok)
    return Error{Errc::unavailable, "reading what is stored", counted.text};
  return rows == 0;
}

void Worker::set_working() {
  set_state(insert_trouble_.empty() ? WorkerState::running : WorkerState::failing, insert_trouble_);
}

Result<void> Worker::serve_consumer(nats::Connection& connection, nats::KeyValue& bucket, nats::Lease& lease,
                                    std::stop_token stop) {
  if (auto fit = schema_.ensure(stop); !fit) {
    set_state(WorkerState::waiting_for_clickhouse, fit.error().text());
    return fit;
  }
  if (auto taken = take_over(bucket, lease, stop); !taken) {
    if (lease.held()) set_state(WorkerState::waiting_for_clickhouse, taken.error().text());
    return taken;
  }
  nats::JetStream jetstream{connection};
  const auto stream = bus_.stream(connection);
  if (!stream) {
    set_state(WorkerState::waiting_for_nats, stream.error().text());
    return stream.error();
  }
  const auto made = jetstream.ensure_consumer(
      options_.stream.name,
      {.name = name_, .filter_subjects = {std::string(wire::subject_filter(type_))}, .ack_wait = options_.ack_wait});
  if (!made) return made.error();
  auto consumer = nats::PullConsumer::open(connection, options_.stream.name, name_);
  if (!consumer) return consumer.error();
  const auto& info = (*consumer)->opened_at();
  if (auto reported = report_lost_part(jetstream, bucket, *stream, info); !reported) return reported;
  {
    const std::lock_guard lock{mutex_};
    status_.looked_for_losses = true;
  }
  const auto holds = floor_holds(jetstream, *stream, info, stop);
  if (!holds) {
    set_state(WorkerState::waiting_for_clickhouse, holds.error().text());
    return holds.error();
  }
  if (!*holds) {
    log::warn(
        "the server has lost the end of the stream and would not deliver what has its sequences now: the consumer is made anew",
        {{"data_type", to_string(type_)},
         {"acknowledged", info.ack_floor_stream_sequence},
         {"stream_ends_at", stream->last_sequence}});
    if (const auto removed = jetstream.delete_consumer(options_.stream.name, name_); !removed) return removed;
    return Error{Errc::unavailable, "consumer " + name_, "made anew"};
  }
  const auto highest = sink_.highest_stored(stream->created, info.ack_floor_stream_sequence, stop);
  if (highest.outcome.verdict != Verdict::ok) {
    set_state(WorkerState::waiting_for_clickhouse, highest.outcome.text);
    return Error{Errc::unavailable, "reading what is stored", highest.outcome.text};
  }
  // A server that lost power may have lost what it had acknowledged, and then gives the same sequences to other
  // messages. Up to the highest that is stored every message is compared with what stands at its place.
  if (highest.sequence > stream->last_sequence) {
    log::warn(
        "the stream ends before what is stored: the server has lost messages that it had acknowledged; collectors publish them again",
        {{"data_type", to_string(type_)},
         {"stream_ends_at", stream->last_sequence},
         {"stored_through", highest.sequence}});
  }
  if (info.pending == 0 && info.unacknowledged == 0) insert_trouble_.clear();  // another process has stored it
  set_working();
  const auto begun = net::now().mono;
  const auto doubt_through = std::max(highest.sequence, info.delivered_stream_sequence);
  auto ended = Session{*this, **consumer, bucket, lease, stream->created, doubt_through, connection}.run(stop);
  if (net::now().mono - begun >= kStable) failures_ = 0;
  return ended;
}

// Messages that left the stream before they were stored, otherwise than by our trimming, are a gap.
Result<void> Worker::report_lost_part(nats::JetStream& jetstream, nats::KeyValue& bucket,
                                      const nats::StreamInfo& stream, const nats::ConsumerInfo& consumer) {
  const auto note = bucket.get(stored_key(options_.database, stream.created));
  if (!note) return note.error();
  // Without a note this database has never stored from this stream: what was there before is not its loss.
  const auto stored = *note ? stored_in_note((*note)->value, type_) : std::nullopt;
  auto known = stored.value_or(consumer.ack_floor_stream_sequence);
  for (const auto& key :
       {trimmed_key(options_.database, stream.created), told_key(type_, options_.database, stream.created)}) {
    const auto noted = bucket.get(key);
    if (!noted) return noted.error();
    if (*noted) known = std::max<std::uint64_t>(known, std::strtoull((*noted)->value.c_str(), nullptr, 10));
  }
  const auto first_missing = known + 1;
  if (first_missing >= stream.first_sequence) return {};
  const auto last_missing = stream.first_sequence - 1;
  const auto now = net::now().wall;
  WallTime gap_end = now;
  if (stream.messages > 0) {
    if (const auto first = jetstream.message(options_.stream.name, stream.first_sequence)) gap_end = first->time;
  }
  Gap gap;
  gap.meta.instrument = std::make_shared<InstrumentId>();
  gap.meta.timestamp = gap.meta.received_at = now;
  gap.meta.data_source = options_.data_source;
  gap.data_type = type_;
  gap.cause = GapCause::stream_lost;
  gap.gap_start = std::min(sink_.last_received().value_or(stream.created), gap_end);
  gap.gap_end = gap_end;
  gap.last_id = fmt::format("{}", first_missing - 1);
  gap.next_id = fmt::format("{}", stream.first_sequence);
  gap.gap_id = fmt::format("{}-{}-{}-{}", stream.name, nanos_since_epoch(stream.created), first_missing, last_missing);
  log::error("a part of the stream was gone before it was stored",
             {{"data_type", to_string(type_)}, {"first_sequence", first_missing}, {"last_sequence", last_missing}});
  // Written again after a lost answer it replaces itself: the gap's id is its key.
  sinks::clickhouse::ClickHouseSink gaps{sink_options(options_, DataType::gap)};
  sinks::clickhouse::RowBatch batch;
  const auto row =
      sinks::clickhouse::append_row(batch.buffer(sinks::clickhouse::Target::hot), gap,
                                    {stream.created, last_missing, 0xffff'0000u + static_cast<std::uint32_t>(type_)});
  if (!row) return row.error();
  batch.add({last_missing, 0}, sinks::clickhouse::Target::hot, 0, 0);
  const auto outcome = gaps.insert(batch, {sinks::clickhouse::Target::hot, {0}});
  if (outcome.verdict != Verdict::ok) return Error{Errc::unavailable, "writing the gap", outcome.text};
  // Noted, so that the next beginning does not tell it again.
  const auto noted = bucket.put(told_key(type_, options_.database, stream.created), std::to_string(last_missing));
  if (!noted) return noted.error();
  meters_->lost.add(static_cast<double>(last_missing - first_missing + 1));
  return {};
}

}  // namespace mp::storage
