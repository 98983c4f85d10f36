#include "sim/binance/switchboard.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "sim/binance/request.hpp"
#include "sim/dialect/text.hpp"

namespace mp::sim::binance {
namespace {

std::vector<std::string> split_streams(std::string_view text) {
  std::vector<std::string> streams;
  while (!text.empty()) {
    const auto slash = text.find('/');
    if (slash != 0) streams.push_back(percent_decoded(text.substr(0, slash)));
    text = slash == text.npos ? std::string_view{} : text.substr(slash + 1);
  }
  return streams;
}

struct Address {
  Route route{};
  bool combined = false;
  std::vector<std::string> streams;
  TimeUnit unit;
};

// Spot: /ws, /ws/<stream>[/<stream>…], /stream[?streams=…]. USD-M: the same behind /public or /market; its
// unrouted paths of before April 2026 are spot's here, where both share one port.
std::optional<Address> parse_address(std::string_view target) {
  const auto [path, query] = split_target(target);
  Address address;
  std::string_view rest = path;
  const auto take = [&rest](std::string_view prefix) {
    if (!rest.starts_with(prefix)) return false;
    const auto after = rest.substr(prefix.size());
    if (!after.empty() && after.front() != '/') return false;
    rest = after;
    return true;
  };
  if (take("/public"))
    address.route = Route::usdm_public;
  else if (take("/market"))
    address.route = Route::usdm_market;

  const auto fields = parse_query(query);
  if (query_value(fields, "timeUnit") == "MICROSECOND" || query_value(fields, "timeUnit") == "microsecond")
    address.unit.nanos = 1000;
  if (take("/ws")) {
    address.streams = split_streams(rest);
    return address;
  }
  if (!take("/stream") || rest.size() > 1) return std::nullopt;
  address.combined = true;
  address.streams = split_streams(query_value(fields, "streams"));
  return address;
}

}  // namespace

std::optional<ConnectionRules> Switchboard::open(ClientId id, std::string_view target) {
  auto address = parse_address(target);
  if (!address || address->streams.size() > limits_.streams_per_connection) return std::nullopt;
  for (const auto& stream : address->streams)
    if (!is_valid_utf8(stream)) return std::nullopt;
  auto client = std::make_unique<Client>();
  client->route = address->route;
  client->combined = address->combined;
  client->unit = address->unit;
  Client& opened = *(clients_[id] = std::move(client));
  for (const auto& stream : address->streams) subscribe(id, opened, stream);

  const bool spot = section_of(address->route) == Section::spot;
  ConnectionRules rules;
  rules.ping_interval = spot ? limits_.spot_ping : limits_.usdm_ping;
  rules.pong_timeout = spot ? limits_.spot_pong : limits_.usdm_pong;
  rules.lifetime = limits_.lifetime;
  rules.incoming_per_second = spot ? limits_.spot_incoming_per_second : limits_.usdm_incoming_per_second;
  return rules;
}

std::string Switchboard::farewell(ClientId id, WallTime now) const {
  const auto found = clients_.find(id);
  if (found == clients_.end()) return "";
  std::string out = "{\"e\":\"serverShutdown\",\"E\":";
  append_integer(out, nanos_since_epoch(now) / found->second->unit.nanos);
  out.push_back('}');
  return found->second->combined ? "{\"stream\":\"!serverShutdown\",\"data\":" + out + "}" : out;
}

void Switchboard::text(ClientId id, std::string_view frame) {
  const auto found = clients_.find(id);
  if (found == clients_.end()) return;
  Client& client = *found->second;
  const Section section = section_of(client.route);
  Request request;
  RequestError error;
  if (!parse_request(section, frame, request, error)) {
    delivery_.send(id, error_text(section, error));
    return;
  }
  std::string result = "null";
  switch (request.method) {
    case Method::subscribe:
      if (client.streams.size() + request.streams.size() > limits_.streams_per_connection) {
        error.code = 2;
        error.message = "Invalid request: a connection takes at most " +
                        std::to_string(limits_.streams_per_connection) + " streams";
        delivery_.send(id, error_text(section, error));
        return;
      }
      for (const auto& stream : request.streams)
        for (const auto& part : refused_)
          if (stream.find(part) != stream.npos) {
            error.code = 2;
            error.message = "Invalid request: " + shortened(stream) + " is refused";
            error.id = request.id;
            delivery_.send(id, error_text(section, error));
            return;
          }
      // The acknowledgement goes first, as messages of the new streams may follow at once.
      delivery_.send(id, answer_text(result, request.id));
      for (const auto& stream : request.streams) subscribe(id, client, stream);
      return;
    case Method::unsubscribe:
      for (const auto& stream : request.streams) unsubscribe(id, client, stream);
      break;
    case Method::list: {
      result = "[";
      for (const auto& stream : client.streams) {
        if (result.size() > 1) result.push_back(',');
        append_json_string(result, stream);
      }
      result.push_back(']');
      break;
    }
    case Method::set_property: client.combined = request.combined; break;
    case Method::get_property: result = client.combined ? "true" : "false"; break;
  }
  delivery_.send(id, answer_text(result, request.id));
}

void Switchboard::closed(ClientId id) {
  const auto found = clients_.find(id);
  if (found == clients_.end()) return;
  for (const auto& stream : found->second->streams) detach(id, *found->second, stream);
  clients_.erase(found);
}

void Switchboard::subscribe(ClientId id, Client& client, const std::string& stream) {
  if (std::find(client.streams.begin(), client.streams.end(), stream) != client.streams.end()) return;
  client.streams.push_back(stream);
  // On the wrong one of USD-M's two routes a subscription is accepted, and nothing ever comes.
  if (route_of(section_of(client.route), stream) != client.route) return;
  Channel& channel = channel_of(client, stream);
  channel.subscribers.push_back({id, &client.combined});
  if (channel.subscribers.size() == 1) listener_.started(channel);
}

void Switchboard::unsubscribe(ClientId id, Client& client, std::string_view stream) {
  const auto at = std::find(client.streams.begin(), client.streams.end(), stream);
  if (at == client.streams.end()) return;
  detach(id, client, stream);
  client.streams.erase(at);
}

void Switchboard::detach(ClientId id, const Client& client, std::string_view stream) {
  if (route_of(section_of(client.route), stream) != client.route) return;
  Channel& channel = channel_of(client, stream);
  std::erase_if(channel.subscribers, [id](const Channel::Subscriber& s) { return s.client == id; });
  if (!channel.subscribers.empty()) return;
  listener_.stopped(channel);
  channels_.erase(channel_key(client, stream));
}

std::string Switchboard::channel_key(const Client& client, std::string_view stream) {
  std::string key = section_of(client.route) == Section::spot ? "s" : "u";
  key += client.unit == TimeUnit{} ? "m:" : "u:";
  key += stream;
  return key;
}

Channel& Switchboard::channel_of(const Client& client, std::string_view stream) {
  const Section section = section_of(client.route);
  auto& channel = channels_[channel_key(client, stream)];
  if (!channel) {
    channel = std::make_unique<Channel>();
    channel->section = section;
    channel->name = stream;
    channel->unit = client.unit;
    channel->prefix = "{\"stream\":";
    append_json_string(channel->prefix, stream);
    channel->prefix += ",\"data\":";
  }
  return *channel;
}

}  // namespace mp::sim::binance
