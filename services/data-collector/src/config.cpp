#include "config.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.hpp"
#include "exchanges/exchange.hpp"
#include "nats/names.hpp"
#include "net/proxy.hpp"

namespace mp::collector {
namespace {

using config::Section;

std::vector<std::string> exchange_names() {
  std::vector<std::string> names;
  for (const auto& exchange : exchanges()) names.push_back(exchange.name);
  return names;
}

void read_bus(Section nats, BusOptions& bus) {
  bus.url = nats.text("url", bus.url, {.help = "where NATS is", .env = "NATS_URL"});
  if (!mp::nats::is_server_address(bus.url))
    nats.refuse("url",
                fmt::format("expected {}, saw '{}'", mp::nats::kServerAddressRule, mp::nats::without_login(bus.url)));
  bus.stream = nats.text("stream", bus.stream, {.help = "name of the JetStream stream", .env = "NATS_STREAM"});
  if (!mp::nats::is_stream_name(bus.stream))
    nats.refuse("stream", fmt::format("{}, saw '{}'", mp::nats::kStreamNameRule, bus.stream));
  bus.user = nats.text("user", "", {.help = "user name, when the server asks for one", .env = "NATS_USER"});
  bus.password = nats.text("password", "", {.help = "password of the user", .env = "NATS_PASSWORD", .secret = true});
  bus.token =
      nats.text("token", "", {.help = "token, instead of user and password", .env = "NATS_TOKEN", .secret = true});
  bus.credentials_file = nats.text("credentials_file", "", {.help = "a .creds file, instead of the above"});
  bus.tls_ca_file = nats.text("ca_file", "", {.help = "certificates to trust, PEM"});
  bus.max_bytes = nats.size("max_bytes", bus.max_bytes, {.help = "of the stream, when it is created"});
  bus.duplicate_window = std::chrono::duration_cast<std::chrono::seconds>(
      nats.duration("duplicate_window", bus.duplicate_window, {.help = "of the stream, when it is created"}));
  bus.max_outstanding_bytes = nats.size("max_outstanding", bus.max_outstanding_bytes,
                                        {.help = "published and not yet acknowledged; beyond, the journal waits"});
}

void read_journal(Section section, JournalOptions& journal) {
  journal.directory = section.text("directory", "data/journal/live", {.help = "where raw frames are kept"});
  journal.fsync_interval = section.duration("fsync_interval", journal.fsync_interval,
                                            {.help = "what a power cut can cost at most; 0: every group is forced"});
  journal.keep_acknowledged = std::chrono::duration_cast<std::chrono::minutes>(
      section.duration("keep", journal.keep_acknowledged, {.help = "how long published segments are kept"}));
  journal.keep_bytes = section.size("keep_bytes", journal.keep_bytes, {.help = "and how much of them at most"});
  journal.segment_bytes =
      section.size("segment_bytes", journal.segment_bytes, {.help = "a segment is closed at this size"});
  journal.segment_age = std::chrono::duration_cast<std::chrono::seconds>(
      section.duration("segment_age", journal.segment_age, {.help = "or at this age"}));
}

void read_series(Section item, SessionOptions& session) {
  auto series = item.list("books");
  if (series.empty()) return;
  session.book_series.clear();
  for (auto& entry : series) {
    BookSeries one;
    one.depth = static_cast<std::uint32_t>(entry.integer("depth", one.depth, 1, 5000, {.help = "levels per side"}));
    one.interval = entry.duration("interval", one.interval, {.help = "at most one book in this time"});
    if (one.interval < std::chrono::milliseconds(1)) entry.refuse("interval", "must be at least 1ms");
    session.book_series.push_back(one);
  }
}

SelectionRule read_rule(Section item) {
  SelectionRule rule;
  rule.symbol = item.text("symbol", "", {.help = "a symbol or a pattern: BTC-USDT, *-USDT"});
  const auto kind =
      item.one_of("kind", "", {"spot", "perpetual", "futures", "options"}, {.help = "the kind of market"});
  if (const auto parsed = market_type_from(kind)) rule.kind = *parsed;
  rule.base = item.text("base", "", {.help = "the base asset: BTC"});
  rule.quote = item.text("quote", "", {.help = "the quote asset: USDT"});
  rule.top = static_cast<std::uint32_t>(
      item.integer("top", 0, 0, 10'000, {.help = "of those, so many of the highest volume in 24 h; 0: all"}));
  const auto keys = item.keys();
  if (rule == SelectionRule{} && std::find(keys.begin(), keys.end(), "top") != keys.end())
    item.refuse(
        "top",
        "0 stands for all, so this rule has no condition; write how many, or '*' to collect everything that the venue lists");
  else if (rule == SelectionRule{})
    item.refuse("symbol", "a rule without any condition; write '*' to collect everything that the venue lists");
  return rule;
}

Selection read_symbols(Section& item) {
  Selection selection;
  for (auto& each : item.items("symbols", {.help = "symbols, patterns (*-USDT) and rules", .required = true}))
    selection.rules.push_back(each.mapping ? read_rule(*each.mapping) : SelectionRule{.symbol = each.value});
  if (selection.empty() && std::ranges::count(item.keys(), "symbols") > 0)
    item.refuse("symbols", "name at least one symbol, such as BTC-USDT");
  return selection;
}

// What this market can deliver; everything of it unless the file says less.
std::vector<DataType> read_data_types(Section& item, const Exchange* exchange, const std::string& market) {
  std::vector<std::string> names;
  for (const auto type : exchange ? exchange->data_types_of(market) : collectable_types())
    names.emplace_back(to_string(type));
  std::vector<DataType> types;
  for (const auto& name : item.some_of("data", names, names, {.help = "which data types; all that the market has"}))
    if (const auto type = data_type_from(name)) types.push_back(*type);
  return types;
}

// A proxy's address may hold a password: it is not shown, and complaints do not repeat it.
std::string read_proxy(Section& section, const std::string& fallback, const char* help) {
  auto text = section.text("proxy", fallback, {.help = help, .secret = true});
  if (text.empty() || text == "direct") return text;
  if (const auto parsed = net::parse_proxy(text); !parsed) section.refuse("proxy", parsed.error().text());
  return text;
}

SessionOptions read_source(Section& item, DataSource data_source) {
  SessionOptions session;
  session.data_source = data_source;
  session.source.exchange = item.one_of("name", "", exchange_names(), {.help = "the venue", .required = true});
  const auto found = find_exchange(session.source.exchange);
  // A name that is not known has been refused; its market is then any word.
  const auto markets = found ? (*found)->markets : std::vector<std::string>{};
  const bool has_one = found && markets.size() == 1 && markets.front().empty();
  session.source.market = found && !has_one
                              ? item.one_of("market", markets.front(), markets, {.help = "which of its markets"})
                              : item.text("market", "");
  if (has_one && !session.source.market.empty()) {
    item.refuse("market", fmt::format("{} has no markets to choose from: leave the key out, saw '{}'",
                                      session.source.exchange, shortened(session.source.market, 60)));
    session.source.market.clear();
  }
  session.symbols = read_symbols(item);
  session.data_types = read_data_types(item, found ? *found : nullptr, session.source.market);
  session.min_interval =
      item.duration("min_interval", session.min_interval,
                    {.help = "an unchanged funding rate or open interest is written again after this"});
  read_series(item, session);
  const auto audit = item.duration("book_audit", session.book_audit,
                                   {.help = "one book, each in its turn, is held against the venue's REST answer this "
                                            "often; 0s: never"});
  session.book_audit = std::chrono::ceil<std::chrono::seconds>(audit);
  session.ws_base = item.text("ws_base", "", {.help = "instead of the venue's own address: ws://127.0.0.1:9443"});
  session.rest_base = item.text("rest_base", "", {.help = "likewise: http://127.0.0.1:9443"});
  session.extra = item.table("extra");
  session.credentials = item.table("credentials", true);
  return session;
}

}  // namespace

Result<Settings> read_settings(config::Config& config) {
  Settings settings;
  auto& options = settings.options;
  auto root = config.root();
  // The guide's launcher mode is the complete collector, which this one always is. Read all the same, so that a word
  // that would once have meant less is refused instead of ignored.
  root.one_of("mode", "launcher", {"launcher"}, {.help = "the complete data collection", .env = "COLLECTOR_MODE"});
  const auto source = root.one_of("data_source", "live", {"live", "simulated", "replay"},
                                  {.help = "marks every event: whether it may be taken for real"});
  if (const auto parsed = data_source_from(source)) options.data_source = *parsed;
  read_bus(root.section("nats"), options.bus);
  read_journal(root.section("journal"), options.journal);
  options.health_listen = root.section("health").address("listen", options.health_listen, {.help = "GET /health"});
  options.metrics_listen = root.section("metrics").address("listen", options.metrics_listen, {.help = "GET /metrics"});
  auto network = root.section("network");
  options.ca_file = network.text("ca_file", "", {.help = "certificates to trust instead of the system's, PEM"});
  options.compression = network.boolean("compression", true, {.help = "offer permessage-deflate to the venues"});
  options.drain_timeout = std::chrono::duration_cast<std::chrono::seconds>(
      root.duration("drain_timeout", options.drain_timeout, {.help = "at the end: how long to wait for the bus"}));
  settings.logging = config::read_log_settings(root.section("logging"));
  const auto proxy =
      read_proxy(network, "", "http://, socks5://, direct; nothing: HTTPS_PROXY, ALL_PROXY and NO_PROXY decide");
  for (auto& item : root.list("exchanges")) {
    options.sources.push_back(read_source(item, options.data_source));
    options.proxies[options.sources.back().source] = read_proxy(item, proxy, "of this venue alone");
  }
  if (auto ok = config.finish(); !ok) return ok.error();
  settings.effective = config.settings();
  return settings;
}

std::vector<std::string> keys_that_need_a_restart(const Settings& before, const Settings& now) {
  std::vector<std::string> keys;
  const auto value_of = [](const Settings& settings, const std::string& path) -> const std::string* {
    const auto found = std::ranges::find(settings.effective, path, &config::Setting::path);
    return found == settings.effective.end() ? nullptr : &found->value;
  };
  for (const auto& setting : now.effective) {
    if (setting.path.starts_with("exchanges[") || setting.path == "logging.level" || setting.path == "drain_timeout")
      continue;
    const auto* old = value_of(before, setting.path);
    if (old == nullptr || *old != setting.value) keys.push_back(setting.path);
  }
  // Secrets are compared as they are, and exchanges by what they are, not by where they stand in the list.
  for (const auto& [key, changed] :
       {std::pair{"nats.password", before.options.bus.password != now.options.bus.password},
        std::pair{"nats.token", before.options.bus.token != now.options.bus.token}})
    if (changed && std::ranges::find(keys, key) == keys.end()) keys.emplace_back(key);
  for (std::size_t i = 0; i < now.options.sources.size(); ++i) {
    const auto& source = now.options.sources[i];
    const auto old = std::ranges::find(before.options.sources, source.source, &SessionOptions::source);
    if (old == before.options.sources.end()) continue;
    const auto add = [&](const char* key, bool changed) {
      if (changed) keys.push_back("exchanges[" + std::to_string(i) + "]." + key);
    };
    add("ws_base", old->ws_base != source.ws_base);
    add("rest_base", old->rest_base != source.rest_base);
    add("extra", old->extra != source.extra);
    add("book_audit", old->book_audit != source.book_audit);
    add("credentials", old->credentials != source.credentials);
    add("proxy", before.options.proxies.at(source.source) != now.options.proxies.at(source.source));
  }
  return keys;
}

}  // namespace mp::collector
