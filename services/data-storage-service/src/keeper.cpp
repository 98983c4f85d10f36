#include "data-storage-service/src/keeper.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.hpp"
#include "net/clock.hpp"
#include "sinks/jetstream/messages.hpp"
#include "sinks/jetstream/positions.hpp"

namespace mp::storage {
namespace {

using namespace std::chrono_literals;

constexpr auto kAnswerTimeout = 2'000ms;
constexpr auto kWatchEvery = 1'000ms;
// jetstream::acked_key() around the journal's name.
constexpr std::string_view kCollectorPrefix = "collector.";
constexpr std::string_view kAckedSuffix = ".acked";
constexpr auto kCollectorSilence = 60s;

}  // namespace

bool Backlog::drained() const {
  return std::all_of(consumers.begin(), consumers.end(),
                     [](const auto& c) { return c.second.pending == 0 && c.second.unacknowledged == 0; });
}

std::uint64_t stored_through(const Backlog& backlog, const ConsumerBacklog& consumer) {
  const bool is_idle = consumer.pending == 0 && consumer.unacknowledged == 0;
  return is_idle ? backlog.stream.last_sequence : consumer.ack_floor;
}

std::uint64_t stored_through(const Backlog& backlog) {
  auto through = backlog.stream.last_sequence;
  for (const auto& [type, consumer] : backlog.consumers) through = std::min(through, stored_through(backlog, consumer));
  return through;
}

std::string stored_note(const Backlog& backlog) {
  std::string out;
  for (const auto& [type, consumer] : backlog.consumers)
    out += fmt::format("{} {}\n", to_string(type), stored_through(backlog, consumer));
  return out;
}

int fill_percent(const nats::StreamInfo& stream) {
  if (stream.max_bytes <= 0) return 0;
  return static_cast<int>(100.0 * static_cast<double>(stream.bytes) / static_cast<double>(stream.max_bytes));
}

std::uint64_t sequence_for_fill(const nats::StreamInfo& stream, int low_percent) {
  if (stream.messages == 0 || stream.max_bytes <= 0) return 0;
  const double wanted = static_cast<double>(stream.max_bytes) * low_percent / 100.0;
  const double excess = static_cast<double>(stream.bytes) - wanted;
  if (excess <= 0) return 0;
  // Holes are counted as messages: in doubt less is trimmed, and the next round goes on.
  const double share = excess / static_cast<double>(stream.bytes);
  const auto span = static_cast<double>(stream.last_sequence - stream.first_sequence + 1);
  return stream.first_sequence + static_cast<std::uint64_t>(share * span) - 1;
}

Keeper::Keeper(const StorageOptions& options, Bus& bus, telemetry::Metrics& metrics, std::function<bool()> may_note)
    : options_(options), bus_(bus), metrics_(metrics), may_note_(std::move(may_note)) {
  trimmed().add(0);
  known().set(0);
}

telemetry::Counter Keeper::trimmed() {
  return metrics_.counter("marketprism_storage_trimmed_messages_total", "Stored messages removed from the stream");
}

telemetry::Gauge Keeper::known() {
  return metrics_.gauge("marketprism_storage_stream_known",
                        "1 when NATS told the state of the stream and its consumers the last time it was asked");
}

Result<Backlog> Keeper::ask(nats::Connection& connection) {
  nats::JetStream jetstream{connection, kAnswerTimeout};
  Backlog backlog;
  auto stream = jetstream.stream_info(options_.stream.name);
  if (!stream) return stream.error();
  backlog.stream = std::move(*stream);
  for (const auto& [type, limits] : options_.batches) {
    const auto info = jetstream.consumer_info(options_.stream.name, consumer_name(options_.database, type));
    if (!info) return info.error();
    backlog.consumers[type] = {info->pending, info->unacknowledged, info->ack_floor_stream_sequence};
  }
  backlog.asked_at = net::now().wall;
  return backlog;
}

std::optional<Backlog> Keeper::backlog(std::chrono::milliseconds age) {
  const std::lock_guard lock{mutex_};
  const auto now = net::now().mono;
  if (last_ && now - last_asked_ <= age) return last_;
  last_.reset();
  const auto connection = bus_.get();
  if (!connection || !connection->connected()) {
    known().set(0);
    return std::nullopt;
  }
  auto asked = ask(*connection);
  if (!asked) {
    known().set(0);
    log::debug("backlog not known", {{"error", asked.error()}});
    return std::nullopt;
  }
  last_asked_ = now;
  last_ = std::move(*asked);
  known().set(1);
  show(*last_);
  return last_;
}

void Keeper::show(const Backlog& backlog) {
  for (const auto& [type, consumer] : backlog.consumers) {
    const telemetry::Labels labels{{"data_type", to_string(type)}};
    metrics_
        .gauge("marketprism_storage_consumer_pending", "Messages of the stream that storage has not been given yet",
               labels)
        .set(static_cast<double>(consumer.pending));
    metrics_
        .gauge("marketprism_storage_consumer_unacknowledged", "Messages that storage holds and has not acknowledged",
               labels)
        .set(static_cast<double>(consumer.unacknowledged));
  }
  const auto set = [&](const char* name, const char* help, std::uint64_t value) {
    metrics_.gauge(name, help).set(static_cast<double>(value));
  };
  set("marketprism_storage_stream_bytes", "Size of the stream", backlog.stream.bytes);
  set("marketprism_storage_stream_messages", "Messages in the stream", backlog.stream.messages);
  set("marketprism_storage_stream_first_sequence", "Oldest message of the stream", backlog.stream.first_sequence);
  set("marketprism_storage_stream_last_sequence", "Newest message of the stream", backlog.stream.last_sequence);
  set("marketprism_storage_stream_max_bytes", "Bound of the stream",
      static_cast<std::uint64_t>(std::max<std::int64_t>(backlog.stream.max_bytes, 0)));
}

void Keeper::run(std::stop_token stop) {
  auto trim_at = net::now().mono + options_.trim.interval;
  std::mutex mutex;
  while (!stop.stop_requested()) {
    const auto known = backlog(0ms);
    const auto connection = bus_.get();
    if (known && connection && may_note_()) {
      if (const auto noted = note_stored(*connection, *known); !noted)
        log::debug("not noted what is stored", {{"error", noted.error()}});
    }
    if (known && connection && options_.trim.enabled && may_note_() && net::now().mono >= trim_at) {
      if (const auto trimmed = trim(*connection, *known); !trimmed)
        log::warn("the stream is not trimmed", {{"error", trimmed.error()}});
      trim_at = net::now().mono + options_.trim.interval;
    }
    std::unique_lock lock{mutex};
    wake_.wait_for(lock, stop, kWatchEvery, [] { return false; });
  }
}

Result<void> Keeper::note_stored(nats::Connection& connection, const Backlog& backlog) {
  auto note = stored_note(backlog);
  if (note == noted_stored_) return {};
  auto bucket = nats::KeyValue::open(connection, jetstream::kBucket);
  if (!bucket) return bucket.error();
  if (const auto put = bucket->put(stored_key(options_.database, backlog.stream.created), note); !put)
    return put.error();
  noted_stored_ = std::move(note);
  return {};
}

// The first message that is younger than the replay window, by halving: a message's time rises with its sequence.
Result<std::uint64_t> Keeper::first_inside_window(nats::JetStream& jetstream, const nats::StreamInfo& stream) {
  const auto oldest_kept = net::now().wall - options_.trim.replay_window;
  auto low = stream.first_sequence;
  auto high = stream.last_sequence + 1;
  while (low < high) {
    const auto middle = low + (high - low) / 2;
    const auto message = jetstream.next_message(options_.stream.name, middle, ">");
    if (!message) {
      if (nats::server_code(message.error()) != nats::kNoMessageFound) return message.error();
      high = middle;
      continue;
    }
    if (message->time < oldest_kept) {
      low = message->sequence + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

Result<jetstream::TrimNote> Keeper::positions_of(nats::JetStream& jetstream, const std::string& journal,
                                                 std::uint64_t from, std::uint64_t through, WallTime until) {
  jetstream::TrimNote note;
  while (from <= through) {
    const auto message = jetstream.next_message(options_.stream.name, from, ">");
    if (!message) {
      if (nats::server_code(message.error()) == nats::kNoMessageFound) break;
      return message.error();
    }
    if (message->sequence > through || message->time > until) break;
    from = message->sequence + 1;
    if (message->message.header(jetstream::kJournalHeader) != journal) continue;
    if (const auto last = jetstream::event_position_from(message->message.header(jetstream::kLastHeader)))
      note.add(message->message.subject, *last);
  }
  return note;
}

Result<void> Keeper::note_positions(nats::JetStream& jetstream, nats::KeyValue& bucket, const nats::StreamInfo& stream,
                                    std::uint64_t through) {
  const auto keys = bucket.keys(kCollectorPrefix);
  if (!keys) return keys.error();
  for (const auto& key : *keys) {
    if (!key.ends_with(kAckedSuffix)) continue;
    const std::string journal =
        key.substr(kCollectorPrefix.size(), key.size() - kCollectorPrefix.size() - kAckedSuffix.size());
    const auto acked = bucket.get(key);
    if (!acked) return acked.error();
    if (!*acked) continue;
    const std::uint64_t reads_back_after = std::strtoull((*acked)->value.c_str(), nullptr, 10);
    const auto from =
        std::max<std::uint64_t>({stream.first_sequence, reads_back_after + 1, noted_through_[journal] + 1});
    if (from > through) continue;
    // It writes its sequence every second: what came long after the last time is not its own.
    auto note = positions_of(jetstream, journal, from, through, (*acked)->written_at + kCollectorSilence);
    if (!note) return note.error();
    if (!note->empty()) {
      const auto before = bucket.get(jetstream::trimmed_key(journal));
      if (!before) return before.error();
      if (*before) {
        const auto earlier = jetstream::TrimNote::parse((*before)->value);
        if (!earlier) return earlier.error();
        note->add(*earlier);
      }
      if (const auto put = bucket.put(jetstream::trimmed_key(journal), note->text()); !put) return put.error();
      log::info("noted what a collector has not read back yet",
                {{"journal", journal}, {"subjects", note->highest().size()}});
    }
    noted_through_[journal] = through;
  }
  return {};
}

Result<void> Keeper::trim(nats::Connection& connection, const Backlog& backlog) {
  auto stream = backlog.stream;
  if (stream.messages == 0) return {};
  nats::JetStream jetstream{connection};
  const auto inside = first_inside_window(jetstream, stream);
  if (!inside) return inside.error();
  const bool is_full = fill_percent(stream) >= options_.trim.high_percent;
  auto through = *inside - 1;
  if (is_full) through = std::max(through, sequence_for_fill(stream, options_.trim.low_percent));
  // What was stored then is stored.
  const auto stored = stored_through(backlog);
  for (;;) {
    through = std::min(through, stored);
    if (through < stream.first_sequence) return {};
    if (auto removed = remove_through(connection, stream, through); !removed || !is_full) return removed;
    // Where the newest messages are the largest (a collector that catches up puts many events into each) too little
    // has gone by their average size, and a stream that stays full takes no more: again, until there is room.
    auto now = jetstream.stream_info(options_.stream.name);
    if (!now) return now.error();
    stream = std::move(*now);
    through = sequence_for_fill(stream, options_.trim.low_percent);
  }
}

Result<void> Keeper::remove_through(nats::Connection& connection, const nats::StreamInfo& stream,
                                    std::uint64_t through) {
  nats::JetStream jetstream{connection};
  auto bucket = nats::KeyValue::open(connection, jetstream::kBucket);
  if (!bucket) return bucket.error();
  if (auto noted = note_positions(jetstream, *bucket, stream, through); !noted) return noted;
  // Noted before it is done: a consumer that begins anew tells trimming from loss by it.
  const auto noted = bucket->put(trimmed_key(options_.database, stream.created), std::to_string(through));
  if (!noted) return noted.error();
  const auto removed = jetstream.purge_through(options_.stream.name, through);
  if (!removed) return removed.error();
  log::info("stream trimmed",
            {{"through", through}, {"messages", *removed}, {"was_full_percent", fill_percent(stream)}});
  trimmed().add(static_cast<double>(*removed));
  return {};
}

}  // namespace mp::storage
