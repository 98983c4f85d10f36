#include "nats/kv.hpp"

#include <condition_variable>
#include <mutex>
#include <thread>

#include "nats/json_api.hpp"

namespace mp::nats {
namespace {

constexpr std::string_view kOperationHeader = "KV-Operation";

std::string bucket_config(const std::string& bucket) {
  std::string out = "{";
  append_field(out, "name", "KV_" + bucket);
  append_raw_field(out, "subjects", json_array({"$KV." + bucket + ".>"}));
  append_field(out, "storage", "file");
  append_field(out, "retention", "limits");
  append_field(out, "discard", "new");
  append_raw_field(out, "max_msgs_per_subject", "1");
  append_raw_field(out, "max_bytes", "-1");
  append_raw_field(out, "num_replicas", "1");
  append_raw_field(out, "allow_rollup_hdrs", "true");
  append_raw_field(out, "deny_delete", "true");
  append_raw_field(out, "allow_direct", "true");
  return out + "}";
}

bool is_deleted(const StoredMessage& stored) { return !stored.message.header(kOperationHeader).empty(); }

}  // namespace

KeyValue::KeyValue(Connection& connection, std::string bucket, milliseconds timeout)
    : connection_(&connection), bucket_(std::move(bucket)), timeout_(timeout) {}

Result<KeyValue> KeyValue::open(Connection& connection, std::string_view bucket, milliseconds timeout) {
  KeyValue out(connection, std::string(bucket), timeout);
  JetStream js(connection, timeout);
  auto info = js.stream_info("KV_" + out.bucket_);
  if (info) return out;
  if (server_code(info.error()) != kStreamNotFound) return info.error();
  auto made = api_request(connection, "$JS.API.STREAM.CREATE.KV_" + out.bucket_, bucket_config(out.bucket_), timeout);
  if (made) return out;
  // Another process may have made it in between.
  if (js.stream_info("KV_" + out.bucket_)) return out;
  return made.error();
}

Result<std::optional<KeyValueEntry>> KeyValue::get(std::string_view key) {
  auto stored =
      JetStream(*connection_, timeout_).last_message("KV_" + bucket_, "$KV." + bucket_ + "." + std::string(key));
  if (!stored) {
    if (server_code(stored.error()) == kNoMessageFound) return std::optional<KeyValueEntry>{};
    return stored.error();
  }
  if (is_deleted(*stored)) return std::optional<KeyValueEntry>{};
  return std::optional<KeyValueEntry>(
      KeyValueEntry{std::move(stored->message.payload), stored->sequence, stored->time});
}

Result<std::uint64_t> KeyValue::write(std::string_view key, std::string_view value,
                                      std::optional<std::uint64_t> expected, std::string_view operation) {
  Message message{"$KV." + bucket_ + "." + std::string(key), "", std::string(value), {}};
  if (expected) message.headers.emplace_back("Nats-Expected-Last-Subject-Sequence", std::to_string(*expected));
  if (!operation.empty()) message.headers.emplace_back(kOperationHeader, operation);
  auto stored = JetStream(*connection_, timeout_).publish(message);
  if (!stored) return stored.error();
  return stored->sequence;
}

Result<std::uint64_t> KeyValue::put(std::string_view key, std::string_view value) { return write(key, value, {}, ""); }

Result<std::uint64_t> KeyValue::create(std::string_view key, std::string_view value) {
  auto first = write(key, value, 0, "");
  if (first || first.error().code != Errc::conflict) return first;
  // The key's last entry may be the mark of a deletion.
  auto last =
      JetStream(*connection_, timeout_).last_message("KV_" + bucket_, "$KV." + bucket_ + "." + std::string(key));
  if (!last) return last.error();
  if (!is_deleted(*last)) return first;
  return write(key, value, last->sequence, "");
}

Result<std::uint64_t> KeyValue::update(std::string_view key, std::string_view value, std::uint64_t revision) {
  return write(key, value, revision, "");
}

Result<void> KeyValue::remove(std::string_view key) {
  auto done = write(key, "", {}, "DEL");
  if (!done) return done.error();
  return {};
}

Result<std::vector<std::string>> KeyValue::keys(std::string_view prefix) {
  const std::string root = "$KV." + bucket_ + ".";
  std::vector<std::string> out;
  std::uint64_t from = 1;
  // One request per key: buckets of this project hold a handful.
  for (;;) {
    auto stored = JetStream(*connection_, timeout_).next_message("KV_" + bucket_, from, root + ">");
    if (!stored) {
      if (server_code(stored.error()) == kNoMessageFound) return out;
      return stored.error();
    }
    from = stored->sequence + 1;
    const std::string key = stored->message.subject.substr(root.size());
    if (!is_deleted(*stored) && key.starts_with(prefix)) out.push_back(key);
  }
}

// ---- the lease ----

using Clock = std::chrono::steady_clock;

struct Lease::Impl {
  KeyValue bucket;
  Options options;
  Callbacks callbacks;

  mutable std::mutex mutex;
  mutable std::condition_variable changed;
  bool stopping = false;
  std::optional<std::uint64_t> fencing_number;
  Clock::time_point held_until{};  // by our own clock: 2/3 of the ttl after the begin of the last renewal

  // Of the thread only.
  std::uint64_t revision = 0;       // the entry's, when we hold it
  std::uint64_t seen_revision = 0;  // somebody else's entry
  Clock::time_point seen_since{};   // …unchanged since
  std::string told_holder;

  std::thread thread;  // last: it uses the members above

  Impl(KeyValue b, Options o, Callbacks c) : bucket(std::move(b)), options(std::move(o)), callbacks(std::move(c)) {}

  std::string value() const {
    std::string out = "{";
    append_field(out, "owner", options.owner);
    append_raw_field(out, "ttl_ms", std::to_string(options.ttl.count()));
    return out + "}";
  }

  void hold(std::uint64_t new_revision, Clock::time_point asked_at) {
    const bool is_new = revision == 0;
    revision = new_revision;
    {
      const std::lock_guard lock(mutex);
      held_until = asked_at + options.ttl * 2 / 3;
      if (is_new) fencing_number = new_revision;
      changed.notify_all();
    }
    if (is_new) told_holder.clear();
    if (is_new && callbacks.acquired) callbacks.acquired(new_revision);
  }

  void lose(std::string reason) {
    revision = 0;
    seen_revision = 0;
    {
      const std::lock_guard lock(mutex);
      fencing_number.reset();
    }
    if (callbacks.lost) callbacks.lost(std::move(reason));
  }

  void renew() {
    const auto asked_at = Clock::now();
    auto renewed = bucket.update(options.key, value(), revision);
    if (renewed) return hold(*renewed, asked_at);
    if (renewed.error().code == Errc::conflict) {
      // A renewal whose answer was lost may have counted: then the entry is still ours.
      auto entry = bucket.get(options.key);
      if (entry && *entry && (*entry)->value == value() && (*entry)->revision > revision)
        return hold((*entry)->revision, asked_at);
      if (entry) return lose("somebody else holds " + options.key + " now" + (*entry ? ": " + (*entry)->value : ""));
    }
    if (Clock::now() >= held_until) lose(options.key + " could not be renewed in time: " + renewed.error().text());
  }

  void try_to_get() {
    const auto asked_at = Clock::now();
    auto entry = bucket.get(options.key);
    if (!entry) return;  // no connection: the Connection reports it
    if (!*entry) {
      if (auto made = bucket.create(options.key, value())) hold(*made, asked_at);
      return;
    }
    if ((*entry)->revision != seen_revision) {
      seen_revision = (*entry)->revision;
      seen_since = asked_at;
    }
    const bool is_orphan = options.is_dead && options.is_dead(JsonAnswer((*entry)->value).text("/owner"));
    if (is_orphan || asked_at - seen_since >= options.ttl) {
      if (auto taken = bucket.update(options.key, value(), seen_revision)) hold(*taken, asked_at);
      return;
    }
    if (callbacks.waiting && told_holder != (*entry)->value) {
      told_holder = (*entry)->value;
      callbacks.waiting(told_holder);
    }
  }

  void run() {
    std::unique_lock lock(mutex);
    while (!stopping) {
      lock.unlock();
      if (revision != 0)
        renew();
      else
        try_to_get();
      lock.lock();
      changed.wait_for(lock, options.ttl / (revision != 0 ? 3 : 6), [this] { return stopping; });
    }
    lock.unlock();
    if (revision != 0) give_back();
  }

  void give_back() {
    // By update, so that an entry that is no longer ours stays; the deletion mark then frees it at once.
    if (auto mine = bucket.update(options.key, value(), revision)) (void)bucket.remove(options.key);
  }
};

Lease::Lease(KeyValue bucket, Options options, Callbacks callbacks)
    : impl_(std::make_unique<Impl>(std::move(bucket), std::move(options), std::move(callbacks))) {
  impl_->thread = std::thread([this] { impl_->run(); });
}

Lease::~Lease() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
    impl_->changed.notify_all();
  }
  impl_->thread.join();
}

std::optional<std::uint64_t> Lease::held() const {
  const std::lock_guard lock(impl_->mutex);
  if (!impl_->fencing_number || Clock::now() >= impl_->held_until) return std::nullopt;
  return impl_->fencing_number;
}

bool Lease::wait_held(std::chrono::milliseconds timeout) const {
  std::unique_lock lock(impl_->mutex);
  // Not the number alone: it stays until a renewal that hangs has given up, long after the lease has run out.
  const auto is_held = [this] { return impl_->fencing_number && Clock::now() < impl_->held_until; };
  return impl_->changed.wait_for(lock, timeout, is_held);
}

}  // namespace mp::nats
