#include "nats/jetstream.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <charconv>

#include "base/base64.hpp"
#include "nats/json_api.hpp"

namespace mp::nats {
namespace {

constexpr std::string_view kErrorPrefix = "NATS error ";
// JetStream API level from which a stream can have allow_batched (nats-server 2.14).
constexpr std::int64_t kBatchedApiLevel = 4;

std::string config_json(const StreamConfig& config, bool allow_batched) {
  std::string out = "{";
  append_field(out, "name", config.name);
  append_raw_field(out, "subjects", json_array(config.subjects));
  append_field(out, "storage", "file");
  append_field(out, "retention", "limits");
  append_field(out, "discard", "new");
  append_raw_field(out, "max_age", "0");
  append_raw_field(out, "max_msgs", "-1");
  append_raw_field(out, "max_bytes", std::to_string(config.max_bytes));
  append_raw_field(out, "num_replicas", std::to_string(config.replicas));
  append_raw_field(out, "duplicate_window", std::to_string(config.duplicate_window.count()));
  append_raw_field(out, "allow_direct", "true");
  if (allow_batched) append_raw_field(out, "allow_batched", "true");
  return out + "}";
}

StreamInfo info_of(const JsonAnswer& answer) {
  StreamInfo info;
  info.name = answer.text("/config/name");
  info.created = answer.time("/created");
  info.first_sequence = answer.u64("/state/first_seq");
  info.last_sequence = answer.u64("/state/last_seq");
  info.last_time = answer.time("/state/last_ts");  // "0001-01-01…" of an empty stream is before our range: epoch
  info.messages = answer.u64("/state/messages");
  info.bytes = answer.u64("/state/bytes");
  info.max_bytes = answer.i64("/config/max_bytes", -1);
  info.subjects = answer.texts("/config/subjects");
  info.allow_batched = answer.flag("/config/allow_batched");
  info.allow_direct = answer.flag("/config/allow_direct");
  info.duplicate_window = std::chrono::nanoseconds{answer.i64("/config/duplicate_window")};
  return info;
}

std::vector<Difference> differences(const JsonAnswer& have, const StreamConfig& want, bool batched_is_known) {
  std::vector<Difference> out;
  const auto compare = [&out](const char* key, std::string a, std::string b) {
    if (a != b) out.push_back({key, std::move(a), std::move(b)});
  };
  const auto sorted = [](std::vector<std::string> texts) {
    std::sort(texts.begin(), texts.end());
    return json_array(texts);
  };
  const auto flag_text = [](bool b) { return std::string(b ? "true" : "false"); };
  compare("subjects", sorted(have.texts("/config/subjects")), sorted(want.subjects));
  compare("storage", have.text("/config/storage"), "file");
  compare("retention", have.text("/config/retention"), "limits");
  compare("discard", have.text("/config/discard"), "new");
  compare("max_age", std::to_string(have.i64("/config/max_age")), "0");
  compare("max_msgs", std::to_string(have.i64("/config/max_msgs", -1)), "-1");
  compare("max_bytes", std::to_string(have.i64("/config/max_bytes", -1)), std::to_string(want.max_bytes));
  compare("num_replicas", std::to_string(have.i64("/config/num_replicas", 1)), std::to_string(want.replicas));
  compare("duplicate_window", std::to_string(have.i64("/config/duplicate_window")),
          std::to_string(want.duplicate_window.count()));
  compare("allow_direct", flag_text(have.flag("/config/allow_direct")), "true");
  if (batched_is_known)
    compare("allow_batched", flag_text(have.flag("/config/allow_batched")), flag_text(want.allow_batched));
  return out;
}

ConsumerInfo consumer_of(const JsonAnswer& answer) {
  ConsumerInfo info;
  info.name = answer.text("/name");
  info.created = answer.time("/created");
  info.delivered_stream_sequence = answer.u64("/delivered/stream_seq");
  info.delivered_consumer_sequence = answer.u64("/delivered/consumer_seq");
  info.ack_floor_stream_sequence = answer.u64("/ack_floor/stream_seq");
  info.ack_floor_consumer_sequence = answer.u64("/ack_floor/consumer_seq");
  info.unacknowledged = answer.u64("/num_ack_pending");
  info.pending = answer.u64("/num_pending");
  info.waiting_pulls = answer.u64("/num_waiting");
  info.filter_subjects = answer.texts("/config/filter_subjects");
  if (const std::string one = answer.text("/config/filter_subject"); !one.empty()) info.filter_subjects.push_back(one);
  return info;
}

// "NATS/1.0\r\nKey: value\r\n…" as kept with a stored message.
std::vector<Header> headers_of(std::string_view block) {
  std::vector<Header> out;
  std::size_t at = block.find("\r\n");
  while (at != std::string_view::npos && at + 2 < block.size()) {
    const std::size_t from = at + 2;
    at = block.find("\r\n", from);
    const std::string_view line = block.substr(from, at == std::string_view::npos ? at : at - from);
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    std::string_view value = line.substr(colon + 1);
    while (!value.empty() && value.front() == ' ') value.remove_prefix(1);
    out.emplace_back(line.substr(0, colon), value);
  }
  return out;
}

// The server writes base64 of the strict form; what is not is no payload.
std::string decoded(const std::string& text) {
  std::string out;
  if (!decode_base64(text, out)) out.clear();
  return out;
}

StoredMessage stored_of(const JsonAnswer& answer) {
  StoredMessage out;
  out.message.subject = answer.text("/message/subject");
  out.message.payload = decoded(answer.text("/message/data"));
  out.message.headers = headers_of(decoded(answer.text("/message/hdrs")));
  out.sequence = answer.u64("/message/seq");
  out.time = answer.time("/message/time");
  return out;
}

}  // namespace

int server_code(const Error& error) {
  if (!std::string_view(error.seen).starts_with(kErrorPrefix)) return 0;
  int code = 0;
  std::from_chars(error.seen.data() + kErrorPrefix.size(), error.seen.data() + error.seen.size(), code);
  return code;
}

JetStream::JetStream(Connection& connection, milliseconds timeout) : connection_(connection), timeout_(timeout) {}

Result<EnsuredStream> JetStream::ensure_stream(const StreamConfig& config, bool change) {
  auto account = api_request(connection_, "$JS.API.INFO", "", timeout_);
  if (!account) {
    if (account.error().code != Errc::unavailable || !connection_.connected()) return account.error();
    return Error{Errc::unavailable, "JetStream of " + connection_.server_url(),
                 "not enabled (start nats-server with -js or a jetstream block)"};
  }
  const bool server_has_batched = account->i64("/api/level") >= kBatchedApiLevel;
  const std::string body = config_json(config, config.allow_batched && server_has_batched);

  EnsuredStream out;
  auto have = api_request(connection_, "$JS.API.STREAM.INFO." + config.name, "", timeout_);
  if (!have) {
    if (server_code(have.error()) != kStreamNotFound) return have.error();
    auto made = api_request(connection_, "$JS.API.STREAM.CREATE." + config.name, body, timeout_);
    if (!made && server_code(made.error()) == kSubjectsTaken) return subjects_taken(made.error(), config);
    if (!made) return made.error();
    out.outcome = EnsuredStream::Outcome::created;
    out.info = info_of(*made);
    return out;
  }
  out.info = info_of(*have);
  out.differences = differences(*have, config, server_has_batched);
  if (out.differences.empty()) return out;
  out.outcome = EnsuredStream::Outcome::differs;
  if (!change) return out;
  auto changed = api_request(connection_, "$JS.API.STREAM.UPDATE." + config.name, body, timeout_);
  if (!changed) return changed.error();
  out.outcome = EnsuredStream::Outcome::updated;
  out.info = info_of(*changed);
  return out;
}

// The server does not say whose they are.
Error JetStream::subjects_taken(const Error& refusal, const StreamConfig& config) {
  auto error = refusal;
  const auto holders = streams_on(config.subjects);
  std::string names;
  if (holders)
    for (const auto& name : *holders) names += (names.empty() ? "" : ", ") + name;
  if (names.empty()) return error;
  error.where = "stream " + config.name;
  error.seen += "; stream " + names +
                " holds them, and a subject can be in one stream only: set nats.stream (NATS_STREAM, --stream) to " +
                names + " for collector and storage, or remove that stream when all of it is stored";
  return error;
}

Result<std::vector<std::string>> JetStream::streams_on(const std::vector<std::string>& subjects) {
  std::vector<std::string> names;
  for (const auto& subject : subjects) {
    std::string body = "{\"subject\":";
    append_json_string(body, subject);
    auto answer = api_request(connection_, "$JS.API.STREAM.NAMES", body + "}", timeout_);
    if (!answer) return answer.error();
    for (auto& name : answer->texts("/streams"))
      if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(std::move(name));
  }
  return names;
}

Result<StreamInfo> JetStream::stream_info(std::string_view stream) {
  auto answer = api_request(connection_, "$JS.API.STREAM.INFO." + std::string(stream), "", timeout_);
  if (!answer) return answer.error();
  return info_of(*answer);
}

Result<std::vector<std::string>> JetStream::stream_names() {
  std::vector<std::string> names;
  for (;;) {
    auto answer =
        api_request(connection_, "$JS.API.STREAM.NAMES", "{\"offset\":" + std::to_string(names.size()) + "}", timeout_);
    if (!answer) return answer.error();
    const auto page = answer->texts("/streams");
    names.insert(names.end(), page.begin(), page.end());
    if (page.empty() || names.size() >= answer->u64("/total")) return names;
  }
}

Result<void> JetStream::delete_stream(std::string_view stream) {
  auto answer = api_request(connection_, "$JS.API.STREAM.DELETE." + std::string(stream), "", timeout_);
  if (!answer) return answer.error();
  return {};
}

Result<std::uint64_t> JetStream::purge_through(std::string_view stream, std::uint64_t sequence) {
  const std::string body = "{\"seq\":" + std::to_string(sequence + 1) + "}";  // the server keeps from "seq" on
  auto answer = api_request(connection_, "$JS.API.STREAM.PURGE." + std::string(stream), body, timeout_);
  if (!answer) return answer.error();
  return answer->u64("/purged");
}

Result<std::uint64_t> JetStream::purge_all(std::string_view stream) {
  auto answer = api_request(connection_, "$JS.API.STREAM.PURGE." + std::string(stream), "", timeout_);
  if (!answer) return answer.error();
  return answer->u64("/purged");
}

Result<ConsumerInfo> JetStream::ensure_consumer(std::string_view stream, const ConsumerConfig& config) {
  auto have = consumer_info(stream, config.name);
  if (have) {
    auto sorted_have = have->filter_subjects;
    auto sorted_want = config.filter_subjects;
    std::sort(sorted_have.begin(), sorted_have.end());
    std::sort(sorted_want.begin(), sorted_want.end());
    if (sorted_have != sorted_want) {
      return Error{Errc::conflict, "consumer " + config.name + " of stream " + std::string(stream),
                   "has filter subjects " + json_array(sorted_have) + ", wanted " + json_array(sorted_want)};
    }
    return have;
  }
  if (server_code(have.error()) != kConsumerNotFound) return have.error();
  std::string inner = "{";
  append_field(inner, "durable_name", config.name);
  append_field(inner, "deliver_policy", "all");
  append_field(inner, "replay_policy", "instant");
  append_field(inner, "ack_policy", "all");
  append_raw_field(inner, "max_ack_pending", "-1");
  append_raw_field(inner, "ack_wait", std::to_string(config.ack_wait.count()));
  if (config.filter_subjects.size() == 1) append_field(inner, "filter_subject", config.filter_subjects.front());
  if (config.filter_subjects.size() > 1) append_raw_field(inner, "filter_subjects", json_array(config.filter_subjects));
  std::string body = "{";
  append_field(body, "stream_name", stream);
  append_raw_field(body, "config", inner + "}");
  auto made = api_request(connection_, "$JS.API.CONSUMER.DURABLE.CREATE." + std::string(stream) + "." + config.name,
                          body + "}", timeout_);
  if (!made) return made.error();
  return consumer_of(*made);
}

Result<ConsumerInfo> JetStream::consumer_info(std::string_view stream, std::string_view consumer) {
  auto answer = api_request(connection_, "$JS.API.CONSUMER.INFO." + std::string(stream) + "." + std::string(consumer),
                            "", timeout_);
  if (!answer) return answer.error();
  return consumer_of(*answer);
}

Result<void> JetStream::delete_consumer(std::string_view stream, std::string_view consumer) {
  auto answer = api_request(connection_, "$JS.API.CONSUMER.DELETE." + std::string(stream) + "." + std::string(consumer),
                            "", timeout_);
  if (!answer) return answer.error();
  return {};
}

Result<StoredMessage> JetStream::message(std::string_view stream, std::uint64_t sequence) {
  auto answer = api_request(connection_, "$JS.API.STREAM.MSG.GET." + std::string(stream),
                            "{\"seq\":" + std::to_string(sequence) + "}", timeout_);
  if (!answer) return answer.error();
  return stored_of(*answer);
}

Result<StoredMessage> JetStream::next_message(std::string_view stream, std::uint64_t sequence,
                                              std::string_view filter) {
  std::string body = "{";
  append_raw_field(body, "seq", std::to_string(sequence));
  append_field(body, "next_by_subj", filter);
  auto answer = api_request(connection_, "$JS.API.STREAM.MSG.GET." + std::string(stream), body + "}", timeout_);
  if (!answer) return answer.error();
  return stored_of(*answer);
}

Result<StoredMessage> JetStream::last_message(std::string_view stream, std::string_view subject) {
  std::string body = "{";
  append_field(body, "last_by_subj", subject);
  auto answer = api_request(connection_, "$JS.API.STREAM.MSG.GET." + std::string(stream), body + "}", timeout_);
  if (!answer) return answer.error();
  return stored_of(*answer);
}

Result<JetStream::Stored> JetStream::publish(const Message& message) {
  auto reply = connection_.request(message, timeout_);
  if (!reply) return reply.error();
  auto answer = parse_answer("publish " + message.subject, reply->payload);
  if (!answer) return answer.error();
  return Stored{answer->u64("/seq"), answer->flag("/duplicate")};
}

}  // namespace mp::nats
