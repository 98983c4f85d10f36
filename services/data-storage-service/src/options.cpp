#include "data-storage-service/src/options.hpp"

#include <fmt/format.h>

#include <array>
#include <filesystem>

#include "config/files.hpp"
#include "config/log_settings.hpp"
#include "nats/names.hpp"
#include "net/url.hpp"
#include "wire/subject.hpp"

namespace mp::storage {
namespace {

using namespace std::chrono_literals;
using sinks::clickhouse::BatchLimits;

constexpr const char* kTiersFileVariable = "MARKETPRISM_STORAGE_TIERS_FILE";

// The guide's names of the batch table, which are neither all tables nor all data types.
struct BatchKey {
  DataType type;
  const char* key;
  std::size_t batch_size;
  std::chrono::milliseconds timeout;
  std::size_t max_queue;
};
constexpr std::array<BatchKey, kDataTypeCount> kBatchTable{{
    {DataType::orderbook, "orderbooks", 100, 10s, 1000},
    {DataType::orderbook_delta, "orderbook_deltas", 1000, 2s, 1000},
    {DataType::trade, "trades", 100, 10s, 1000},
    {DataType::funding_rate, "funding_rates", 10, 2s, 500},
    {DataType::open_interest, "open_interests", 50, 10s, 500},
    {DataType::liquidation, "liquidations", 5, 10s, 200},
    {DataType::lsr_top_position, "lsr_top_position", 1, 1s, 50},
    {DataType::lsr_all_account, "lsr_all_account", 1, 1s, 50},
    {DataType::volatility_index, "volatility_index", 1, 1s, 50},
    {DataType::gap, "gaps", 1, 1s, 500},
    {DataType::rejected, "rejected", 100, 2s, 500},
    {DataType::instrument, "instruments", 500, 2s, 1000},
}};

// marketprism_hot -> marketprism_cold, mine -> mine_cold.
std::string cold_name_of(const std::string& database) {
  constexpr std::string_view kHot = "_hot";
  if (database.ends_with(kHot)) return database.substr(0, database.size() - kHot.size()) + "_cold";
  return database + "_cold";
}

void refuse_unless_http(config::Section& section, const std::string& key, const std::string& url) {
  const auto parsed = net::parse_url(url);
  if (!parsed || !parsed->scheme.starts_with("http"))
    section.refuse(key, fmt::format("expected an address like http://127.0.0.1:8123 (or https://…), saw '{}'", url));
}

void read_nats(config::Section nats, StorageOptions& o) {
  o.nats.name = "marketprism storage";
  o.nats.urls = nats.texts("url", {"nats://127.0.0.1:4222"},
                           {.help = "the bus; several servers separated by commas", .env = "NATS_URL"});
  for (const auto& url : o.nats.urls)
    if (!mp::nats::is_server_address(url))
      nats.refuse("url",
                  fmt::format("expected {}, saw '{}'", mp::nats::kServerAddressRule, mp::nats::without_login(url)));
  o.nats.user = nats.text("user", "", {.help = "user name", .env = "NATS_USER"});
  o.nats.password = nats.text("password", "", {.help = "its password", .env = "NATS_PASSWORD", .secret = true});
  o.nats.token = nats.text("token", "", {.help = "a token instead", .env = "NATS_TOKEN", .secret = true});
  o.nats.credentials_file = nats.text("credentials_file", "", {.help = "a .creds file instead"});
  o.nats.tls_ca_file = nats.text("ca_file", "", {.help = "certificates to trust instead of the system's"});
  o.stream.name = nats.text("stream", "MARKET_DATA", {.help = "name of the stream", .env = "NATS_STREAM"});
  if (!mp::nats::is_stream_name(o.stream.name))
    nats.refuse("stream", fmt::format("{}, saw '{}'", mp::nats::kStreamNameRule, o.stream.name));
  o.stream.max_bytes =
      static_cast<std::int64_t>(nats.size("max_bytes", 8ULL << 30, {.help = "bound of a stream that is made new"}));
  o.change_stream = nats.boolean("change_stream", false, {.help = "bring an existing stream to our settings"});
  o.stream.subjects = wire::stream_subjects();
}

void read_clickhouse(config::Section clickhouse, StorageOptions& o) {
  o.clickhouse.url =
      clickhouse.text("url", "http://localhost:8123", {.help = "ClickHouse's HTTP interface", .env = "CLICKHOUSE_URL"});
  refuse_unless_http(clickhouse, "url", o.clickhouse.url);
  o.clickhouse.user =
      clickhouse.text("user", "", {.help = "user name; none is sent when empty", .env = "CLICKHOUSE_USER"});
  o.clickhouse.password =
      clickhouse.text("password", "", {.help = "its password", .env = "CLICKHOUSE_PASSWORD", .secret = true});
  o.clickhouse.ca_file = clickhouse.text("ca_file", "", {.help = "certificates to trust instead of the system's"});
  o.clickhouse.insert_timeout =
      clickhouse.duration("insert_timeout", 120s, {.help = "an insert without an answer for so long is in doubt"});
  o.clickhouse.query_timeout = clickhouse.duration("query_timeout", 60s, {.help = "the same for read-backs"});
}

void read_database(config::Section clickhouse, StorageOptions& o) {
  const bool is_live = o.data_source == DataSource::live;
  o.database = clickhouse.text(
      "database", usual_database(o.data_source),
      {.help = "where rows go; simulated and played-back data have databases of their own", .env = "CLICKHOUSE_DB"});
  const auto cold = clickhouse.text("cold_database", is_live ? cold_name_of(o.database) : "",
                                    {.help = "where rows go that are older than hot_ttl when they arrive"});
  const auto ttl = clickhouse.duration("hot_ttl", is_live ? 72h : 0h,
                                       {.help = "how long the hot data tables keep rows; 0: for ever"});
  o.cold_database = cold;
  o.hot_ttl = std::nullopt;
  if (ttl > 0ms) o.hot_ttl = ttl;
  if (ttl % 24h != 0ms) clickhouse.refuse("hot_ttl", "must be whole days, such as 3d");
  if (!is_live && o.hot_ttl)
    clickhouse.refuse("hot_ttl", "only live data expires: captures are older than any time to live");
  if (!o.hot_ttl) o.cold_database.clear();
}

void read_batches(config::Section batches, StorageOptions& o) {
  const BatchLimits defaults;
  const auto interval = batches.duration("min_interval", defaults.min_interval,
                                         {.help = "a table is not written more often, but for full batches"});
  const auto rows = batches.integer("max_rows", static_cast<std::int64_t>(defaults.max_rows), 1, 1'000'000,
                                    {.help = "cap of a batch that grows"});
  const auto bytes = batches.size("max_bytes", defaults.max_bytes, {.help = "the same in encoded bytes"});
  for (const auto& entry : kBatchTable) {
    auto section = batches.section(entry.key);
    BatchLimits limits;
    limits.batch_size = static_cast<std::size_t>(section.integer(
        "batch_size", static_cast<std::int64_t>(entry.batch_size), 1, 100'000, {.help = "rows that make a batch due"}));
    limits.timeout =
        section.duration("timeout", entry.timeout, {.help = "age that makes a batch due", .bare_seconds = true});
    limits.max_queue = static_cast<std::size_t>(section.integer("max_queue", static_cast<std::int64_t>(entry.max_queue),
                                                                1, 100'000, {.help = "messages asked for at once"}));
    limits.min_interval = interval;
    limits.max_rows = static_cast<std::size_t>(rows);
    limits.max_bytes = bytes;
    o.batches[entry.type] = limits;
  }
}

void read_trim(config::Section trim, StorageOptions& o) {
  o.trim.enabled = trim.boolean("enabled", true, {.help = "remove from the stream what is stored"});
  o.trim.replay_window = trim.duration("replay_window", o.trim.replay_window,
                                       {.help = "stored messages stay so long, or as long as fits"});
  o.trim.high_percent = static_cast<int>(trim.integer("high_percent", o.trim.high_percent, 1, 100,
                                                      {.help = "a fuller stream is trimmed below the window"}));
  o.trim.low_percent =
      static_cast<int>(trim.integer("low_percent", o.trim.low_percent, 0, 99, {.help = "down to this"}));
  if (o.trim.low_percent >= o.trim.high_percent) trim.refuse("low_percent", "must be below high_percent");
}

void read_tiers(config::Section tiers, StorageOptions& o) {
  auto& t = o.tiers;
  t.enabled = tiers.boolean("enabled", t.enabled, {.help = "copy days to the cold database before they expire"});
  clickhouse::ClientOptions cold = o.clickhouse;
  cold.url = tiers.text("cold_url", "", {.help = "ClickHouse of the cold database; empty: that of the hot one"});
  cold.user = tiers.text("cold_user", "", {.help = "its user name; none is sent when empty"});
  cold.password = tiers.text("cold_password", "", {.help = "its password", .secret = true});
  cold.ca_file = tiers.text("cold_ca_file", "", {.help = "certificates to trust instead of the system's"});
  if (!cold.url.empty()) refuse_unless_http(tiers, "cold_url", cold.url);
  if (!cold.url.empty()) t.cold = cold;
  if (o.hot_ttl) t.drop_after = std::max<std::chrono::milliseconds>(*o.hot_ttl - 30h, 0ms);
  t.settle = tiers.duration("settle", t.settle, {.help = "a day is copied once it has been over for so long"});
  t.interval = tiers.duration("interval", t.interval, {.help = "between two looks at what there is to do"});
  t.drop_after =
      tiers.duration("drop_after", t.drop_after,
                     {.help = "a verified day leaves the hot tables so long after its end; 0: it expires there"});
  t.warn_before = tiers.duration("warn_before", t.warn_before,
                                 {.help = "unhealthy when a day that is not verified expires so soon"});
  t.chunk_bytes = tiers.size("chunk_bytes", t.chunk_bytes, {.help = "about so much is copied by one insert"});
  if (t.interval < 1s) tiers.refuse("interval", "must be at least 1s");
  if (t.chunk_bytes < (64u << 10)) tiers.refuse("chunk_bytes", "must be at least 64KB");
  if (!t.enabled || !o.hot_ttl || o.cold_database.empty()) return;
  // A day's first rows expire hot_ttl after its beginning.
  const auto expires = *o.hot_ttl - 24h;
  if (t.settle + t.warn_before > expires)
    tiers.refuse(
        "settle",
        fmt::format(
            "a day's first rows expire {} after its end (clickhouse.hot_ttl less a day); settle and warn_before together must be less. Raise hot_ttl, "
            "or set tiers.enabled to false to lose them",
            config::duration_text(std::max<std::chrono::milliseconds>(expires, 0ms))));
  else if (t.drop_after > expires)
    tiers.refuse("drop_after",
                 fmt::format("a day's first rows expire {} after its end (clickhouse.hot_ttl less a day): must be less",
                             config::duration_text(expires)));
  else if (t.drop_after > 0ms && t.drop_after < t.settle)
    tiers.refuse("drop_after", "must not be less than settle");
}

void read_logging(config::Section logging, StorageOptions& o) {
  const auto settings = config::read_log_settings(std::move(logging));
  o.logging.part = "storage";
  o.logging.level = settings.level;
  o.logging.format = settings.json ? telemetry::LogFormat::json : telemetry::LogFormat::text;
  o.logging.file = settings.file;
  o.logging.file_max_bytes = settings.max_bytes;
  o.logging.file_count = settings.files;
}

}  // namespace

const char* usual_database(DataSource source) {
  switch (source) {
    case DataSource::live:
    case DataSource::backfill: return "marketprism_hot";
    case DataSource::simulated: return "marketprism_sim_hot";
    case DataSource::replay: return "marketprism_replay_hot";
  }
  return "";
}

std::map<DataType, BatchLimits> default_batches() {
  std::map<DataType, BatchLimits> out;
  for (const auto& entry : kBatchTable) {
    out[entry.type] = {.batch_size = entry.batch_size, .timeout = entry.timeout, .max_queue = entry.max_queue};
  }
  return out;
}

Result<config::Node> load_configuration(const std::vector<std::string>& paths, const config::Environment& environment,
                                        const std::vector<config::Flag>& flags) {
  auto root = config::load_files(paths);
  if (!root) return root.error();
  // What it names has to be read before the keys are: so it is looked up here, in the usual order.
  std::filesystem::path file;
  const auto* storage = root->find("storage");
  const auto* entry = storage == nullptr ? nullptr : storage->value.find("tiers_file");
  if (entry != nullptr && entry->value.kind == config::Node::Kind::scalar && !entry->value.scalar.empty())
    file = std::filesystem::path(entry->place.file).parent_path() / entry->value.scalar;
  if (const auto set = environment(kTiersFileVariable)) file = *set;
  for (const auto& flag : flags)
    if (flag.path == "storage.tiers_file") file = flag.value;
  if (file.empty()) return root;
  auto tiers = config::load_yaml(file.lexically_normal().string());
  if (!tiers) return Error{Errc::usage, "storage.tiers_file", tiers.error().text()};
  std::vector<config::Node> parts;
  parts.push_back(std::move(*root));
  parts.push_back(std::move(*tiers));
  return config::joined(std::move(parts));
}

StorageOptions read_options(config::Config& config) {
  StorageOptions o;
  auto root = config.root();
  read_nats(root.section("nats"), o);
  auto storage = root.section("storage");
  o.data_source = data_source_from(storage.one_of("data_source", "live", {"live", "simulated", "replay"},
                                                  {.help = "what kind of data may enter the database"}))
                      .value();
  o.schema_file = storage.text("schema_file", "", {.help = "instead of the schema in the program"});
  // Read by load_configuration() already.
  storage.text("tiers_file", "", {.help = "a file with the section tiers, beside this one", .env = kTiersFileVariable});
  o.drain_timeout =
      storage.duration("drain_timeout", o.drain_timeout, {.help = "at SIGTERM: to store what has been taken"});
  o.lease_ttl =
      storage.duration("lease_ttl", o.lease_ttl, {.help = "a storage process that died is followed after so long"});
  auto clickhouse = root.section("clickhouse");
  read_clickhouse(clickhouse, o);
  read_database(clickhouse, o);
  read_batches(root.section("batches"), o);
  read_trim(root.section("trim"), o);
  read_tiers(root.section("tiers"), o);
  o.health_listen = root.section("health").address("listen", o.health_listen, {.help = "GET /health; empty for none"});
  o.metrics_listen =
      root.section("metrics").address("listen", o.metrics_listen, {.help = "GET /metrics; empty for none"});
  read_logging(root.section("logging"), o);
  return o;
}

}  // namespace mp::storage
