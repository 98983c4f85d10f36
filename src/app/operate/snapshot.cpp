#include "app/operate/snapshot.hpp"

#include <fmt/format.h>
#include <simdjson.h>

#include <cstdlib>
#include <future>

#include "app/operate/query.hpp"
#include "base/text.hpp"
#include "net/clock.hpp"
#include "net/http_client.hpp"

namespace mp::operate {
namespace {

namespace dom = simdjson::dom;
using std::chrono::milliseconds;

std::uint64_t number(const dom::element& object, const char* key) {
  std::uint64_t value = 0;
  [[maybe_unused]] const auto absent = object[key].get(value);
  return value;
}
std::optional<double> real(const dom::element& object, const char* key) {
  double value = 0;
  if (object[key].get(value) == simdjson::SUCCESS) return value;
  return std::nullopt;
}
bool yes(const dom::element& object, const char* key) {
  bool value = false;
  return object[key].get(value) == simdjson::SUCCESS && value;
}
std::string text(const dom::element& object, const char* key) {
  std::string_view value;
  return object[key].get(value) == simdjson::SUCCESS ? std::string(value) : "";
}

struct Page {
  PartState state;
  std::string body;
};

// Any status below 400 is an answer of a part that is well; what it says else is for its reader.
Page get(const std::string& url, milliseconds patience) {
  Page page;
  net::HttpClient client;
  net::HttpRequest request{.url = url, .proxy = "direct"};
  request.timeouts = {.connect = patience, .total = patience};
  auto response = client.request(request);
  if (!response) {
    page.state.trouble = fmt::format("does not answer at {}: {}", url, shortened(response.error().seen, 200));
    return page;
  }
  page.state.answers = true;
  page.state.http_status = response->status;
  if (response->status >= 400) page.state.trouble = fmt::format("{} answers {}", url, response->status);
  page.body = std::move(response->body);
  return page;
}

CollectorSeen look_at_collector(const Target& target, milliseconds patience) {
  CollectorSeen seen;
  const auto health = get(target.collector_health_url() + "/health", patience);
  seen.state = health.state;
  if (health.state.answers) read_collector_health(health.body, seen);
  const auto metrics = get(target.collector_metrics_url() + "/metrics", patience);
  seen.metrics_state = metrics.state;
  seen.metrics = MetricsPage::parse(metrics.body);
  return seen;
}

StorageSeen look_at_storage(const Target& target, milliseconds patience) {
  StorageSeen seen;
  const auto health = get(target.storage_health_url() + "/health", patience);
  seen.state = health.state;
  if (health.state.answers) read_storage_health(health.body, seen);
  const auto metrics = get(target.storage_metrics_url() + "/metrics", patience);
  seen.metrics_state = metrics.state;
  seen.metrics = MetricsPage::parse(metrics.body);
  return seen;
}

NatsSeen look_at_nats(const Target& target, milliseconds patience) {
  NatsSeen seen;
  const auto varz = get(target.nats_http + "/varz", patience);
  seen.state = varz.state;
  if (!varz.state.is_well()) return seen;
  seen.clock_read_at = net::now().mono;
  read_varz(varz.body, seen);
  const auto jsz = get(target.nats_http + "/jsz?streams=true&config=true", patience);
  if (jsz.state.is_well()) read_jsz(jsz.body, target.storage.stream.name, seen);
  const auto health = get(target.nats_http + "/healthz", patience);
  if (health.state.http_status >= 400) seen.state.trouble = "is not well: " + shortened(health.body, 200);
  return seen;
}

std::uint64_t number_of(const std::string& text) { return std::strtoull(text.c_str(), nullptr, 10); }

ClickHouseSeen look_at_clickhouse(const Target& target, const std::string& database, milliseconds patience) {
  ClickHouseSeen seen;
  auto to = target.storage.clickhouse;
  to.connect_timeout = to.query_timeout = patience;
  clickhouse::Client client(to);
  const auto there = client.ping();
  if (!there) {
    seen.state.trouble = fmt::format("does not answer at {}: {}", client.address(), shortened(there.error().seen, 200));
    return seen;
  }
  const auto version = client.query({"SELECT version() FORMAT TabSeparated"});
  seen.state.answers = true;
  if (!version || !version->ok()) {
    seen.code = version ? version->code : 0;
    seen.state.trouble =
        version ? fmt::format("refuses: code {}: {}", version->code, version->text) : version.error().text();
    return seen;
  }
  seen.version = version->body.substr(0, version->body.find('\n'));
  const auto name = clickhouse::sql_text(database);
  if (const auto found =
          client.rows({"SELECT count() FROM system.databases WHERE name = " + name + " FORMAT TabSeparated"}))
    seen.has_database = !found->empty() && found->front().at(0) == "1";
  if (const auto disks = client.rows(
          {"SELECT path, free_space, total_space FROM system.disks WHERE total_space > 0 FORMAT TabSeparated"}))
    for (const auto& row : *disks) seen.disks.push_back({row.at(0), number_of(row.at(1)), number_of(row.at(2))});
  if (!seen.has_database) return seen;
  if (const auto size =
          client.rows({"SELECT sum(bytes_on_disk), count() FROM system.parts WHERE active AND database = " + name +
                       " FORMAT TabSeparated"});
      size && !size->empty()) {
    seen.database_bytes = number_of(size->front().at(0));
    seen.parts = number_of(size->front().at(1));
  }
  const auto gaps = client.rows({fmt::format(
      "SELECT exchange, market_type, data_type, count() FROM `{}`.gaps WHERE gap_end >= toStartOfDay(now('UTC')) "
      "AND cause NOT IN ('start', 'end') "
      "AND state != 'recovered' GROUP BY exchange, market_type, data_type FORMAT TabSeparated",
      database)});
  if (gaps) {
    seen.gaps_today.emplace();
    for (const auto& row : *gaps) seen.gaps_today->push_back({row.at(0), row.at(1), row.at(2), number_of(row.at(3))});
  }
  const auto rejects = client.rows({fmt::format(
      "SELECT exchange, market_type, data_type, countIf(received_at >= toStartOfDay(now('UTC'))), countIf(received_at > now() - 300) "
      "FROM `{}`.rejected_messages WHERE received_at >= least(toStartOfDay(now('UTC')), now() - 300) "
      "GROUP BY exchange, market_type, data_type FORMAT TabSeparated",
      database)});
  if (rejects) {
    seen.rejects.emplace();
    for (const auto& row : *rejects)
      seen.rejects->push_back({row.at(0), row.at(1), row.at(2), number_of(row.at(3)), number_of(row.at(4))});
  }
  return seen;
}

}  // namespace

void read_collector_health(std::string_view json, CollectorSeen& seen) {
  dom::parser parser;
  dom::element health;
  if (parser.parse(json.data(), json.size()).get(health) != simdjson::SUCCESS || text(health, "status").empty()) {
    seen.state.trouble = "what answers there is not a collector: " + shortened(json, 60);
    return;
  }
  const auto status = text(health, "status");
  seen.state.trouble = text(health, "problem");
  if (seen.state.trouble.empty() && status != "healthy") seen.state.trouble = status;
  seen.data_source = text(health, "data_source");
  seen.uptime_seconds = number(health, "uptime_seconds");
  seen.events = number(health, "events");
  seen.gaps = number(health, "gaps");
  seen.rejected = number(health, "rejected");
  seen.connected = yes(health, "connected");
  dom::element part;
  if (health["journal"].get(part) == simdjson::SUCCESS) seen.journal_failing = yes(part, "failing");
  if (health["bus"].get(part) == simdjson::SUCCESS) {
    seen.bus_state = text(part, "state");
    seen.bus_behind = yes(part, "behind");
  }
  dom::array streams;
  if (health["streams"].get(streams) != simdjson::SUCCESS) return;
  for (const dom::element stream : streams)
    seen.streams.push_back({text(stream, "exchange"), text(stream, "market_type"), text(stream, "data_type"),
                            text(stream, "symbol"), text(stream, "state"), real(stream, "last_event_age_seconds")});
}

void read_storage_health(std::string_view json, StorageSeen& seen) {
  dom::parser parser;
  dom::element health;
  dom::object types;
  if (parser.parse(json.data(), json.size()).get(health) != simdjson::SUCCESS ||
      health["data_types"].get(types) != simdjson::SUCCESS) {
    seen.state.trouble = "what answers there is not the storage service: " + shortened(json, 60);
    return;
  }
  seen.database = text(health, "database");
  seen.stream = text(health, "stream");
  seen.data_source = text(health, "data_source");
  seen.state.trouble = text(health, "problem");
  if (std::uint64_t days = 0; health["hot_ttl_days"].get(days) == simdjson::SUCCESS)
    seen.hot_ttl_days = static_cast<int>(days);
  if (std::int64_t bytes = 0; health["nats_max_bytes"].get(bytes) == simdjson::SUCCESS) seen.nats_max_bytes = bytes;
  dom::object foreign;
  if (health["foreign_rows"].get(foreign) == simdjson::SUCCESS)
    for (const auto& [source, rows] : foreign)
      seen.foreign[std::string(source)] = rows.is_uint64() ? rows.get_uint64().value_unsafe() : 0;
  for (const auto& [name, type] : types) {
    auto& row = seen.types[std::string(name)];
    row.state = text(type, "state");
    row.trouble = text(type, "trouble");
    row.waiting = number(type, "pending") + number(type, "unacknowledged");
    row.rows = number(type, "rows");
    row.rejected = number(type, "rejected");
    row.last_insert_age_seconds = real(type, "last_insert_age_seconds");
    row.held_for_seconds = real(type, "held_for_seconds");
    if (row.state != "running" && seen.state.trouble.empty())
      seen.state.trouble = fmt::format("{}: {}{}", name, row.state, row.trouble.empty() ? "" : ": " + row.trouble);
  }
  if (seen.state.trouble.empty() && text(health, "status") != "healthy")
    seen.state.trouble = "NATS does not tell the state of the stream";
}

void read_varz(std::string_view json, NatsSeen& seen) {
  dom::parser parser;
  dom::element page;
  if (parser.parse(json.data(), json.size()).get(page) != simdjson::SUCCESS || text(page, "server_id").empty()) {
    seen.state.trouble = "what answers there is not NATS' monitoring: " + shortened(json, 60);
    return;
  }
  seen.version = text(page, "version");
  if (auto clock = parse_iso(text(page, "now"))) seen.clock = *clock;
}

void read_jsz(std::string_view json, const std::string& stream, NatsSeen& seen) {
  dom::parser parser;
  dom::element page;
  if (parser.parse(json.data(), json.size()).get(page) != simdjson::SUCCESS) return;
  seen.has_jetstream = !yes(page, "disabled");
  seen.store_bytes = number(page, "storage");
  dom::element config;
  if (page["config"].get(config) == simdjson::SUCCESS) {
    seen.store = text(config, "store_dir");
    seen.store_max_bytes = number(config, "max_storage");
  }
  dom::array accounts;
  if (page["account_details"].get(accounts) != simdjson::SUCCESS) return;
  for (const dom::element account : accounts) {
    dom::array streams;
    if (account["stream_detail"].get(streams) != simdjson::SUCCESS) continue;
    for (const dom::element candidate : streams) {
      if (text(candidate, "name") != stream) continue;
      seen.has_stream = true;
      dom::element state;
      if (candidate["state"].get(state) == simdjson::SUCCESS) {
        seen.stream_messages = number(state, "messages");
        seen.stream_bytes = number(state, "bytes");
        if (auto last = parse_iso(text(state, "last_ts"))) seen.stream_last_time = *last;
      }
      if (candidate["config"].get(config) == simdjson::SUCCESS) {
        std::int64_t most = -1;
        if (config["max_bytes"].get(most) == simdjson::SUCCESS) seen.stream_max_bytes = most;
      }
    }
  }
}

Snapshot look(const Target& target, milliseconds patience) {
  Snapshot seen;
  seen.database = target.storage.database;
  auto collector = std::async(std::launch::async, [&] { return look_at_collector(target, patience); });
  auto storage = std::async(std::launch::async, [&] { return look_at_storage(target, patience); });
  auto nats = std::async(std::launch::async, [&] { return look_at_nats(target, patience); });
  seen.clickhouse = look_at_clickhouse(target, seen.database, patience);
  seen.collector = collector.get();
  seen.storage = storage.get();
  seen.nats = nats.get();
  seen.at = net::now();
  return seen;
}

}  // namespace mp::operate
