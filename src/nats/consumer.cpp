#include "nats/consumer.hpp"

#include <algorithm>
#include <charconv>
#include <deque>
#include <optional>

#include "nats/json_api.hpp"

namespace mp::nats {
namespace {

using Clock = std::chrono::steady_clock;

// How long the server may be silent in the middle of an answer before the request counts as lost.
constexpr milliseconds kSilence{1'000};
// How often a waiting fetch looks whether its connection still stands.
constexpr milliseconds kLook{100};

std::uint64_t number(std::string_view text) {
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// $JS.ACK.<stream>.<consumer>.<deliveries>.<stream seq>.<consumer seq>.<time>.<pending>, or with
// <domain>.<account> before the stream and a random token at the end (newer servers).
bool read_ack_subject(Delivered& out) {
  std::vector<std::string_view> tokens;
  std::string_view rest = out.message.reply;
  while (!rest.empty()) {
    const std::size_t dot = rest.find('.');
    tokens.push_back(rest.substr(0, dot));
    rest = dot == std::string_view::npos ? std::string_view{} : rest.substr(dot + 1);
  }
  if (tokens.size() < 9 || tokens[0] != "$JS" || tokens[1] != "ACK") return false;
  const std::size_t first = tokens.size() == 9 ? 4 : 6;
  if (tokens.size() < first + 5) return false;
  out.deliveries = number(tokens[first]);
  out.stream_sequence = number(tokens[first + 1]);
  out.consumer_sequence = number(tokens[first + 2]);
  out.stored_at = wall_from_nanos(static_cast<std::int64_t>(number(tokens[first + 3])));
  out.pending = number(tokens[first + 4]);
  return true;
}

struct Status {
  int code = 0;
  std::string description;
};

}  // namespace

struct PullConsumer::Impl {
  Connection& connection;
  JetStream jetstream;
  std::string stream;
  std::string consumer;
  ConsumerInfo opened;
  std::string inbox_prefix;
  std::unique_ptr<Inbox> inbox;
  std::uint64_t requests = 0;  // last token of the reply subject: tells the answers of requests apart

  std::uint64_t taken_stream_sequence = 0;     // the highest handed out (or the ack floor)
  std::uint64_t taken_consumer_sequence = 0;   // …as delivered or reckoned
  std::uint64_t read_from_stream_through = 0;  // up to here messages are read from the stream, not awaited
  std::uint64_t epoch = 0;                     // Connection::disconnects() of the last look
  bool must_look = false;                      // an answer was lost: ask what the server has delivered
  std::deque<Delivered> ahead;                 // received, behind a hole that is being read

  Impl(Connection& c, std::string_view s, std::string_view n) : connection(c), jetstream(c), stream(s), consumer(n) {}

  Result<void> look();
  Result<std::optional<StoredMessage>> next_stored(std::uint64_t from);
  Result<void> read_hole(const FetchLimits& limits, std::vector<Delivered>& out, std::size_t& bytes);
  Result<Status> pull(const std::string& body, milliseconds silence, const FetchLimits& limits,
                      std::vector<Delivered>& out, std::size_t& bytes);
  void take(Delivered&& message, std::vector<Delivered>& out, std::size_t& bytes);
  void drain_ahead(const FetchLimits& limits, std::vector<Delivered>& out, std::size_t& bytes);
  bool hole_is_open() const { return taken_stream_sequence < read_from_stream_through; }
};

PullConsumer::PullConsumer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
PullConsumer::~PullConsumer() = default;
const ConsumerInfo& PullConsumer::opened_at() const { return impl_->opened; }

Result<std::unique_ptr<PullConsumer>> PullConsumer::open(Connection& connection, std::string_view stream,
                                                         std::string_view consumer) {
  auto impl = std::make_unique<Impl>(connection, stream, consumer);
  impl->epoch = connection.disconnects();
  auto info = impl->jetstream.consumer_info(stream, consumer);
  if (!info) return info.error();
  impl->opened = *info;
  impl->taken_stream_sequence = info->ack_floor_stream_sequence;
  impl->taken_consumer_sequence = info->ack_floor_consumer_sequence;
  if (info->unacknowledged > 0)
    impl->read_from_stream_through = info->delivered_stream_sequence;
  else
    impl->taken_consumer_sequence = info->delivered_consumer_sequence;
  impl->inbox_prefix = Connection::new_inbox();
  auto inbox = Inbox::open(connection, impl->inbox_prefix + ".*");
  if (!inbox) return inbox.error();
  impl->inbox = std::move(*inbox);
  return std::unique_ptr<PullConsumer>(new PullConsumer(std::move(impl)));
}

// After a lost connection or answer: what the server has delivered and we have not is to be read from the stream.
Result<void> PullConsumer::Impl::look() {
  const std::uint64_t now = connection.disconnects();
  if (now == epoch && !must_look) return {};
  auto info = jetstream.consumer_info(stream, consumer);
  if (!info) return info.error();
  // nats-server 2.9 tells a creation time some microseconds off after its restart.
  if (info->created > opened.created + std::chrono::seconds{1} ||
      info->delivered_stream_sequence < opened.delivered_stream_sequence) {
    return Error{Errc::conflict, "consumer " + consumer + " of stream " + stream,
                 "was made anew at " + iso(info->created) + ", the one in use dates from " + iso(opened.created)};
  }
  read_from_stream_through = std::max(read_from_stream_through, info->delivered_stream_sequence);
  epoch = now;
  must_look = false;
  return {};
}

// The first message at or above `from` that the consumer's filters select.
Result<std::optional<StoredMessage>> PullConsumer::Impl::next_stored(std::uint64_t from) {
  std::optional<StoredMessage> best;
  const std::vector<std::string> all{">"};
  for (const std::string& filter : opened.filter_subjects.empty() ? all : opened.filter_subjects) {
    auto found = jetstream.next_message(stream, from, filter);
    if (!found) {
      if (server_code(found.error()) == kNoMessageFound) continue;
      return found.error();
    }
    if (!best || found->sequence < best->sequence) best = std::move(*found);
  }
  return best;
}

Result<void> PullConsumer::Impl::read_hole(const FetchLimits& limits, std::vector<Delivered>& out, std::size_t& bytes) {
  while (hole_is_open() && out.size() < limits.max_messages && bytes < limits.max_bytes) {
    auto stored = next_stored(taken_stream_sequence + 1);
    if (!stored) return stored.error();
    if (!*stored || (*stored)->sequence > read_from_stream_through) {
      taken_stream_sequence = read_from_stream_through;  // the rest of the hole is other subjects' or purged
      break;
    }
    Delivered message;
    message.message = std::move((*stored)->message);
    message.stream_sequence = (*stored)->sequence;
    message.stored_at = (*stored)->time;
    // The server goes by the stream sequence; the consumer sequence must only rise above the floor.
    message.consumer_sequence = taken_consumer_sequence + 1;
    message.message.reply = "$JS.ACK." + stream + "." + consumer + ".1." + std::to_string(message.stream_sequence) +
                            "." + std::to_string(message.consumer_sequence) + "." +
                            std::to_string(nanos_since_epoch(message.stored_at)) + ".0";
    take(std::move(message), out, bytes);
  }
  return {};
}

void PullConsumer::Impl::take(Delivered&& message, std::vector<Delivered>& out, std::size_t& bytes) {
  taken_stream_sequence = message.stream_sequence;
  taken_consumer_sequence = message.consumer_sequence;
  bytes += message.message.bytes();
  out.push_back(std::move(message));
}

// Hands out what waits behind a hole, as far as there is none (any more).
void PullConsumer::Impl::drain_ahead(const FetchLimits& limits, std::vector<Delivered>& out, std::size_t& bytes) {
  while (!ahead.empty() && out.size() < limits.max_messages && bytes < limits.max_bytes) {
    Delivered& first = ahead.front();
    const bool is_new = first.stream_sequence > taken_stream_sequence;
    // A message delivered a second time does not continue the count, but neither does it leave a hole.
    if (is_new && first.consumer_sequence != taken_consumer_sequence + 1 &&
        read_from_stream_through < first.stream_sequence - 1) {
      read_from_stream_through = first.stream_sequence - 1;
      if (hole_is_open()) return;
    }
    if (is_new)
      take(std::move(first), out, bytes);
    else
      taken_consumer_sequence = std::max(taken_consumer_sequence, first.consumer_sequence);
    ahead.pop_front();
  }
}

// One request; collects what comes until the server says that it is answered.
Result<Status> PullConsumer::Impl::pull(const std::string& body, milliseconds silence, const FetchLimits& limits,
                                        std::vector<Delivered>& out, std::size_t& bytes) {
  const std::string reply = inbox_prefix + "." + std::to_string(++requests);
  const std::size_t wanted = number(body.substr(body.find(':') + 1));
  const Message request{"$JS.API.CONSUMER.MSG.NEXT." + stream + "." + consumer, reply, body, {}};
  if (auto sent = connection.publish(request); !sent) return sent.error();
  std::size_t received = 0;
  auto deadline = Clock::now() + silence;
  while (received < wanted) {
    auto next = inbox->next(kLook);
    if (!next) {
      if (next.error().code != Errc::timeout) return next.error();
      if (connection.disconnects() != epoch || !connection.connected()) {
        return Error{Errc::unavailable, "NATS", "connection lost while fetching from " + consumer};
      }
      if (Clock::now() < deadline) continue;
      must_look = true;
      return Status{408, "no answer"};
    }
    if (next->payload.empty() && next->reply.empty() && !next->header("Status").empty()) {
      if (next->subject != reply) continue;  // about an earlier request
      return Status{static_cast<int>(number(next->header("Status"))), std::string(next->header("Description"))};
    }
    Delivered message;
    message.message = std::move(*next);
    if (!read_ack_subject(message)) {
      return Error{Errc::bad_value, "reply subject of a message of " + consumer, shortened(message.message.reply)};
    }
    ++received;  // a late one of an earlier request counts too: the rest then waits in the inbox
    ahead.push_back(std::move(message));
    deadline = Clock::now() + std::max(silence, kSilence);
  }
  drain_ahead(limits, out, bytes);
  return Status{};
}

Result<std::vector<Delivered>> PullConsumer::fetch(const FetchLimits& limits, milliseconds timeout) {
  Impl& self = *impl_;
  std::vector<Delivered> out;
  std::size_t bytes = 0;
  const auto until = Clock::now() + timeout;
  if (!self.connection.connected()) {
    // Waits a little, so that a caller's loop does not spin.
    if (auto up = self.connection.wait_connected(std::min(timeout, kSilence)); !up) return up.error();
  }
  for (;;) {
    if (auto looked = self.look(); !looked) return looked.error();
    if (auto read = self.read_hole(limits, out, bytes); !read) {
      if (out.empty()) return read.error();
      return out;  // the next call meets the error again
    }
    if (!self.hole_is_open()) self.drain_ahead(limits, out, bytes);
    if (!out.empty() && (self.hole_is_open() || !self.ahead.empty())) return out;
    if (self.hole_is_open()) continue;
    if (out.size() >= limits.max_messages || bytes >= limits.max_bytes) return out;

    const std::string take_all = "{\"batch\":" + std::to_string(limits.max_messages - out.size()) +
                                 ",\"max_bytes\":" + std::to_string(limits.max_bytes - bytes) + ",\"no_wait\":true}";
    auto status = self.pull(take_all, kSilence, limits, out, bytes);
    self.drain_ahead(limits, out, bytes);
    if (!out.empty()) return out;
    if (!status) return status.error();
    if (self.hole_is_open() || self.must_look || !self.ahead.empty()) continue;
    if (status->code != 0 && status->code != 404 && status->code != 408 && status->code != 409) {
      return Error{
          Errc::unavailable, "consumer " + self.consumer + " of stream " + self.stream,
          "NATS error " + std::to_string(status->code) + ": " +
              (status->description.empty() ? "nobody answers (deleted, or no leader now)" : status->description)};
    }
    const auto left = std::chrono::duration_cast<milliseconds>(until - Clock::now());
    if (left <= milliseconds{0}) return out;
    // A message larger than max_bytes ends the request above with 409; here it comes.
    const std::string wait_one =
        "{\"batch\":1,\"expires\":" + std::to_string(std::chrono::nanoseconds(left).count()) + "}";
    status = self.pull(wait_one, left + kSilence, limits, out, bytes);
    self.drain_ahead(limits, out, bytes);
    if (!status && out.empty()) return status.error();
    if (out.empty() && status && (status->code == 503 || status->code == 409)) {
      return Error{Errc::unavailable, "consumer " + self.consumer + " of stream " + self.stream,
                   "NATS error " + std::to_string(status->code) + ": " + status->description};
    }
    if (out.empty() && Clock::now() >= until && !self.hole_is_open()) return out;
  }
}

Result<void> PullConsumer::ack_through(const Delivered& message, milliseconds timeout) {
  auto answer = impl_->connection.request(message.message.reply, "+ACK", timeout);
  if (!answer) return answer.error();
  return {};
}

Result<void> PullConsumer::working_on(const Delivered& message) {
  return impl_->connection.publish(message.message.reply, "+WPI");
}

namespace {

constexpr std::size_t kScanBatch = 2'000;
constexpr milliseconds kScanSilence{5'000};

Result<std::string> scan_consumer(Connection& connection, const std::string& stream, std::uint64_t from) {
  std::string inner = "{";
  append_field(inner, "deliver_policy", "by_start_sequence");
  append_raw_field(inner, "opt_start_seq", std::to_string(from));
  append_field(inner, "ack_policy", "none");
  append_field(inner, "replay_policy", "instant");
  append_raw_field(inner, "headers_only", "true");
  append_raw_field(inner, "mem_storage", "true");
  append_raw_field(inner, "num_replicas", "1");
  append_raw_field(inner, "inactive_threshold", "30000000000");
  std::string body = "{";
  append_field(body, "stream_name", stream);
  append_raw_field(body, "config", inner + "}");
  auto made = api_request(connection, "$JS.API.CONSUMER.CREATE." + stream, body + "}", kScanSilence);
  if (!made) return made.error();
  return made->text("/name");
}

// One request's messages. True when the scan has reached its end.
Result<bool> scan_some(Connection& connection, Inbox& inbox, const std::string& subject, const std::string& reply,
                       std::uint64_t through, std::uint64_t& read, std::uint64_t& consumer_sequence,
                       const std::function<void(Delivered&&)>& take) {
  const std::uint64_t disconnects = connection.disconnects();
  const Message request{subject, reply, "{\"batch\":" + std::to_string(kScanBatch) + ",\"no_wait\":true}", {}};
  if (auto sent = connection.publish(request); !sent) return sent.error();
  auto deadline = Clock::now() + kScanSilence;
  for (std::size_t received = 0; received < kScanBatch;) {
    auto next = inbox.next(kLook);
    if (!next) {
      if (next.error().code != Errc::timeout) return next.error();
      if (connection.disconnects() != disconnects)
        return Error{Errc::unavailable, "NATS", "connection lost while reading the stream"};
      if (Clock::now() >= deadline) return Error{Errc::timeout, subject, "no answer"};
      continue;
    }
    deadline = Clock::now() + kScanSilence;
    if (const auto status = next->header("Status"); !status.empty() && next->subject.starts_with(reply)) {
      if (status == "404" || status == "408") return true;  // nothing (more) there
      return Error{Errc::unavailable, subject,
                   "NATS error " + std::string(status) + ": " + std::string(next->header("Description"))};
    }
    Delivered message;
    message.message = std::move(*next);
    if (!read_ack_subject(message))
      return Error{Errc::bad_value, "reply subject while reading the stream", shortened(message.message.reply)};
    ++received;
    if (message.consumer_sequence != ++consumer_sequence)
      return Error{Errc::unavailable, subject, "a message was lost on the way"};
    if (message.stream_sequence > through) return true;
    read = message.stream_sequence;
    const bool is_last = message.stream_sequence == through || message.pending == 0;
    take(std::move(message));
    if (is_last) return true;
  }
  return false;
}

}  // namespace

Result<void> scan_headers(Connection& connection, std::string_view stream_name, std::uint64_t after,
                          std::uint64_t through, const std::function<void(Delivered&&)>& take) {
  const std::string stream(stream_name);
  if (after >= through) return {};
  const std::string prefix = Connection::new_inbox();
  auto inbox = Inbox::open(connection, prefix);
  if (!inbox) return inbox.error();
  auto name = scan_consumer(connection, stream, after + 1);
  if (!name) return name.error();
  std::uint64_t read = after;
  std::uint64_t consumer_sequence = 0;
  Result<void> outcome;
  for (;;) {
    auto done = scan_some(connection, **inbox, "$JS.API.CONSUMER.MSG.NEXT." + stream + "." + *name, prefix, through,
                          read, consumer_sequence, take);
    if (!done) outcome = done.error();
    if (!done || *done) break;
  }
  (void)api_request(connection, "$JS.API.CONSUMER.DELETE." + stream + "." + *name, "", milliseconds{1'000});
  return outcome;
}

}  // namespace mp::nats
