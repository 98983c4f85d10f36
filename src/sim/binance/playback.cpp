#include "sim/binance/playback.hpp"

#include <simdjson.h>

#include <algorithm>
#include <set>

#include "base/text.hpp"

namespace mp::sim::binance {
namespace {

namespace ondemand = simdjson::ondemand;
constexpr std::size_t kMessagesPerStep = 512;

struct Url {
  std::string_view host;
  std::string_view target;  // path and query
};

Url split_url(std::string_view url) {
  const auto scheme = url.find("://");
  if (scheme != url.npos) url.remove_prefix(scheme + 3);
  const auto slash = std::min(url.find('/'), url.size());
  return {url.substr(0, slash), url.substr(slash)};
}

// Whose websocket an address is; nothing when it is none that is served here.
std::optional<Section> websocket_section(const Url& url) {
  const auto path = split_target(url.target).first;
  if (path.starts_with("/public/") || path.starts_with("/market/")) return Section::usdm;
  if (!path.starts_with("/ws") && !path.starts_with("/stream")) return std::nullopt;
  if (url.host.find("dstream") != url.host.npos) return std::nullopt;
  return url.host.find("fstream") != url.host.npos ? Section::usdm : Section::spot;
}

// The stream's name and the payload of a frame: from the combined wrapper, else from a path /ws/<stream>.
struct Payload {
  std::string stream;
  std::string_view data;
};
std::optional<Payload> unwrap(std::string_view raw, std::string_view target) {
  constexpr std::string_view kOpen = "{\"stream\":\"";
  constexpr std::string_view kData = "\",\"data\":";
  if (raw.starts_with(kOpen) && raw.ends_with('}')) {
    const auto data = raw.find(kData, kOpen.size());
    if (data == raw.npos) return std::nullopt;
    const auto from = data + kData.size();
    return Payload{std::string(raw.substr(kOpen.size(), data - kOpen.size())), raw.substr(from, raw.size() - from - 1)};
  }
  const auto path = split_target(target).first;
  const auto ws = path.find("/ws/");
  if (ws == path.npos || path.find('/', ws + 4) != path.npos || ws + 4 == path.size()) return std::nullopt;
  return Payload{std::string(path.substr(ws + 4)), raw};
}

// A request as it is looked up: path, then its parameters in order, without the limit.
std::string request_key(std::string_view target) {
  const auto [path, query] = split_target(target);
  auto fields = parse_query(query);
  std::erase_if(fields, [](const auto& field) { return field.first == "limit"; });
  std::sort(fields.begin(), fields.end());
  std::string key(path);
  for (const auto& [name, value] : fields) key += "|" + name + "=" + value;
  return key;
}

}  // namespace

Result<bool> RecordingReader::line(std::string_view text) {
  thread_local ondemand::parser parser;
  const simdjson::padded_string padded(text);
  ondemand::document document;
  ondemand::object object;
  if (parser.iterate(padded).get(document) != simdjson::SUCCESS ||
      document.get_object().get(object) != simdjson::SUCCESS)
    return Error{Errc::not_json, "capture line", shortened(text)};
  std::string t;
  std::string_view direction, transport, url, raw;
  for (auto field : object) {
    std::string_view key;
    if (field.unescaped_key().get(key) != simdjson::SUCCESS)
      return Error{Errc::not_json, "capture line", shortened(text)};
    auto value = field.value();
    if (key == "t") {
      t = std::string_view(value.raw_json_token());
      while (!t.empty() && (t.back() == ' ' || t.back() == ',')) t.pop_back();
    } else if (key == "dir") {
      if (value.get_string().get(direction) != simdjson::SUCCESS) direction = {};
    } else if (key == "transport") {
      if (value.get_string().get(transport) != simdjson::SUCCESS) transport = {};
    } else if (key == "url") {
      if (value.get_string().get(url) != simdjson::SUCCESS) url = {};
    } else if (key == "raw") {
      if (value.get_string().get(raw) != simdjson::SUCCESS) raw = {};
    }
  }
  if (t.empty() || direction.empty() || transport.empty())
    return Error{Errc::missing_field, "capture line: t, dir and transport must be there", shortened(text)};
  if (direction != "recv") return true;
  const auto time = parse_epoch_seconds(t);
  if (!time) return time.error();
  if (!first_) first_ = *time;
  const Nanos at = std::max(Nanos{0}, *time - *first_);
  const Url where = split_url(url);

  if (transport == "rest") {
    recording_.answers.push_back({at, std::string(where.target), std::string(raw)});
    return true;
  }
  const auto section = websocket_section(where);
  const auto payload = section ? unwrap(raw, where.target) : std::nullopt;
  if (!payload) {
    ++recording_.skipped;
    return true;
  }
  recording_.messages.push_back({at, *section, payload->stream, std::string(payload->data)});
  return true;
}

Playback::Playback(std::vector<Recording> recordings, const PlaybackOptions& options, Delivery& delivery)
    : options_(options), switchboard_(options.limits, delivery, *this) {
  for (auto& recording : recordings) {
    const auto index = tapes_.size();
    std::stable_sort(recording.messages.begin(), recording.messages.end(),
                     [](const auto& a, const auto& b) { return a.at < b.at; });
    std::set<StreamKey> streams;
    for (const auto& message : recording.messages) streams.insert({message.section, message.stream});
    for (const auto& stream : streams) tapes_of_[stream].push_back(index);
    for (auto& answer : recording.answers)
      answers_[request_key(answer.target)].push_back({index, answer.at, std::move(answer.body)});
    tapes_.push_back({std::move(recording), 0, false, std::nullopt});
  }
}

std::optional<ConnectionRules> Playback::open(ClientId client, std::string_view target) {
  return switchboard_.open(client, target);
}

void Playback::started(Channel& channel) {
  const StreamKey key{channel.section, channel.name};
  channels_[key].push_back(&channel);
  const auto found = tapes_of_.find(key);
  if (found == tapes_of_.end()) return;
  for (const auto index : found->second) tapes_[index].wanted = true;
}

void Playback::stopped(Channel& channel) {
  const auto found = channels_.find({channel.section, channel.name});
  if (found == channels_.end()) return;
  std::erase(found->second, &channel);
  if (found->second.empty()) channels_.erase(found);
}

WallTime Playback::due(const Tape& tape) const {
  const auto at = static_cast<double>(tape.recording.messages[tape.next].at.count()) / options_.speed;
  return *tape.begun_at + Nanos{static_cast<std::int64_t>(at)};
}

bool Playback::advance(WallTime now) {
  now_ = now;
  std::size_t left = kMessagesPerStep;
  for (auto& tape : tapes_) {
    if (tape.wanted && !tape.begun_at) {
      // Time zero is the first message, not the REST answers that may come before it in the file.
      const auto lead = tape.recording.messages.front().at;
      tape.begun_at = now + options_.start_delay -
                      Nanos{static_cast<std::int64_t>(static_cast<double>(lead.count()) / options_.speed)};
    }
    while (tape.begun_at && tape.next < tape.recording.messages.size() && due(tape) <= now) {
      if (left-- == 0) return false;
      play(tape.recording.messages[tape.next++]);
    }
  }
  return true;
}

void Playback::play(const Recording::Message& message) {
  ++played_;
  const auto found = channels_.find({message.section, message.stream});
  if (found == channels_.end()) {
    ++unheard_;
    return;
  }
  for (const Channel* channel : found->second)
    switchboard_.publish(*channel, [&](std::string& out) { out += message.data; });
}

std::optional<WallTime> Playback::next_due() const {
  std::optional<WallTime> next;
  for (const auto& tape : tapes_) {
    if (!tape.begun_at || tape.next == tape.recording.messages.size()) continue;
    next = next ? std::min(*next, due(tape)) : due(tape);
  }
  return next;
}

bool Playback::done() const {
  return std::all_of(tapes_.begin(), tapes_.end(),
                     [](const Tape& tape) { return tape.next == tape.recording.messages.size(); }) &&
         played_ > 0;
}

HttpAnswer Playback::rest(const HttpRequest& request, WallTime now) {
  HttpAnswer answer;
  answer.headers.emplace_back("X-MBX-USED-WEIGHT-1M", "1");
  const auto path = split_target(request.target).first;
  if (path.ends_with("/v3/ping") || path.ends_with("/v1/ping")) {
    answer.body = "{}";
    return answer;
  }
  if (path.ends_with("/v3/time") || path.ends_with("/v1/time")) {
    answer.body = "{\"serverTime\":" + std::to_string(nanos_since_epoch(now) / 1'000'000) + "}";
    return answer;
  }
  const auto found = answers_.find(request_key(request.target));
  if (found == answers_.end()) {
    answer.status = 404;
    answer.body = R"({"code":-1000,"msg":"the capture has no answer to this request"})";
    return answer;
  }
  // The latest one that had been recorded by now, else the first.
  const Stored* best = &found->second.front();
  for (const auto& stored : found->second) {
    const auto& begun = tapes_[stored.tape].begun_at;
    if (begun &&
        *begun + Nanos{static_cast<std::int64_t>(static_cast<double>(stored.at.count()) / options_.speed)} <= now)
      best = &stored;
  }
  answer.body = best->body;
  return answer;
}

}  // namespace mp::sim::binance
