// The storage service between a real nats-server and the real engine.
#include "data-storage-service/src/storage.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <cstdio>
#include <functional>
#include <thread>

#include "base/log.hpp"
#include "clickhouse/client.hpp"
#include "data-storage-service/src/keeper.hpp"
#include "data-storage-service/src/worker.hpp"
#include "nats/connection.hpp"
#include "nats/jetstream.hpp"
#include "net/clock.hpp"
#include "net/http_client.hpp"
#include "net/http_server.hpp"
#include "sinks/clickhouse/sink.hpp"
#include "sinks/jetstream/trim_note.hpp"
#include "tests/support/embedded_clickhouse.hpp"
#include "tests/support/nats_server.hpp"
#include "wire/json.hpp"
#include "wire/subject.hpp"

namespace mp::storage {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Rows = std::vector<std::vector<std::string>>;

const std::string kProgram = std::string(MP_BINARY_DIR) + "/bin/marketprism";

InstrumentRef instrument() {
  static const auto about =
      std::make_shared<InstrumentId>(InstrumentId{"binance", MarketType::spot, "BTC-USDT", "BTCUSDT"});
  return about;
}
EventMeta meta() { return {instrument(), net::now().wall, net::now().wall, DataSource::simulated}; }
Decimal number(const char* text) { return Decimal::parse(text).value(); }
Trade trade(int id) {
  Trade t;
  t.meta = meta();
  t.trade_id = std::to_string(id);
  t.price = Price{number("65000.1")};
  t.quantity = Quantity{number("0.25")};
  return t;
}
nats::Message message_of(const std::vector<MarketEvent>& events) {
  nats::Message message;
  wire::append_subject(message.subject, events.front());
  for (const auto& event : events) {
    wire::append_json(message.payload, event);
    message.payload += '\n';
  }
  return message;
}

template <class Condition>
bool eventually(Condition holds, std::chrono::seconds patience = 60s) {
  const auto deadline = net::now().mono + patience;
  while (!holds()) {
    if (net::now().mono > deadline) return false;
    std::this_thread::sleep_for(20ms);
  }
  return true;
}

class StorageService : public ::testing::Test {
 protected:
  void SetUp() override {
    MP_NEEDS_NATS(test::NatsVersion::current);
    MP_NEEDS_CLICKHOUSE();
    nats_ = std::make_unique<test::NatsServer>(version_);
    clickhouse_ = std::make_unique<test::EmbeddedClickHouse>(kProgram);
    client_ = std::make_unique<clickhouse::Client>(clickhouse::ClientOptions{.url = clickhouse_->url()});
    nats::ConnectionOptions to;
    to.urls = {nats_->url()};
    connection_ = nats::Connection::open(to).value();
    ASSERT_TRUE(connection_->wait_connected(10s));
    jetstream_ = std::make_unique<nats::JetStream>(*connection_);
  }

  StorageOptions options() const {
    StorageOptions o;
    o.nats.urls = {nats_->url()};
    o.stream = stream(500'000'000);
    o.clickhouse.url = clickhouse_->url();
    o.clickhouse.connect_timeout = 1s;
    o.database = "marketprism_sim_hot";
    o.data_source = DataSource::simulated;
    o.hot_ttl.reset();
    o.batches = default_batches();
    for (auto& [type, limits] : o.batches) limits.timeout = 200ms;
    o.lease_ttl = 1500ms;
    o.health_listen = o.metrics_listen = "127.0.0.1:0";
    return o;
  }
  static nats::StreamConfig stream(std::int64_t max_bytes) {
    nats::StreamConfig config;
    config.subjects = wire::stream_subjects();
    config.max_bytes = max_bytes;
    return config;
  }
  std::unique_ptr<Storage> start(const StorageOptions& o) {
    auto started = Storage::start(o);
    if (!started) throw std::runtime_error(started.error().text());
    return std::move(*started);
  }
  void ensure_stream(std::int64_t max_bytes = 500'000'000) {
    ASSERT_TRUE(jetstream_->ensure_stream(stream(max_bytes)));
  }
  void publish(const std::vector<MarketEvent>& events) {
    const auto stored = jetstream_->publish(message_of(events));
    ASSERT_TRUE(stored) << stored.error().text();
  }
  Rows rows(const std::string& sql) {
    const auto got = client_->rows({sql + " FORMAT TabSeparated"});
    if (!got) ADD_FAILURE() << sql << ": " << got.error().text();
    return got ? *got : Rows{};
  }
  std::string value(const std::string& sql) {
    const auto got = rows(sql);
    return got.empty() ? "" : got.front().front();
  }
  // The value of one series on /metrics as it stands there; "" when it is not there.
  static std::string metric(const Storage& storage, const std::string& series) {
    const auto answer = net::HttpClient().request({.url = "http://" + storage.metrics_address() + "/metrics"});
    const auto& text = answer.value().body;
    const auto at = text.find("\n" + series + " ");
    if (at == std::string::npos) return "";
    const auto begin = at + series.size() + 2;
    return text.substr(begin, text.find('\n', begin) - begin);
  }

  test::NatsVersion version_ = test::NatsVersion::current;
  std::unique_ptr<test::NatsServer> nats_;
  std::unique_ptr<test::EmbeddedClickHouse> clickhouse_;
  std::unique_ptr<clickhouse::Client> client_;
  std::unique_ptr<nats::Connection> connection_;
  std::unique_ptr<nats::JetStream> jetstream_;
};

std::vector<MarketEvent> one_of_each() {
  std::vector<MarketEvent> events;
  OrderBook book;
  book.meta = meta();
  book.depth = 20;
  book.bids = {{Price{number("9.5")}, Quantity{number("1")}}};
  book.asks = {{Price{number("10.5")}, Quantity{number("2")}}};
  OrderBookDelta delta;
  delta.meta = meta();
  delta.is_snapshot = true;
  delta.bids = book.bids;
  FundingRate funding;
  funding.meta = meta();
  funding.funding_rate = Ratio{number("0.0001")};
  OpenInterest interest;
  interest.meta = meta();
  interest.open_interest = Quantity{number("7")};
  Liquidation liquidation;
  liquidation.meta = meta();
  liquidation.quantity = Quantity{number("3")};
  liquidation.price = Price{number("2")};
  liquidation.quantity_unit = QuantityUnit::quote;
  LsrTopPosition top;
  top.meta = meta();
  top.long_short_ratio = Ratio{number("1.5")};
  top.period = "5m";
  LsrAllAccount all;
  all.meta = meta();
  all.long_short_ratio = Ratio{number("1.5")};
  all.period = "5m";
  VolatilityIndex volatility;
  volatility.meta = meta();
  volatility.index_value = Ratio{number("55")};
  volatility.underlying_asset = "BTC";
  Gap gap;
  gap.meta = meta();
  gap.data_type = DataType::trade;
  gap.gap_start = net::now().wall - 3s;
  gap.gap_end = net::now().wall;
  gap.gap_id = "journal-1-2-0";
  Rejected rejected;
  rejected.meta = meta();
  rejected.meta.instrument = nullptr;
  rejected.exchange = "binance";
  rejected.reason = "not JSON";
  rejected.raw = "{";
  Instrument definition;
  definition.meta = meta();
  definition.base_asset = "BTC";
  definition.quote_asset = "USDT";
  definition.status = "TRADING";
  events.insert(events.end(), {book, delta, trade(1), funding, interest, liquidation, top, all, volatility, gap,
                               rejected, definition});
  return events;
}

TEST_F(StorageService, StoresEveryTypeInItsTableAndAnswersTheViews) {
  auto storage = start(options());
  ensure_stream();
  for (const auto& event : one_of_each()) publish({event});
  publish({trade(2), trade(3)});
  ASSERT_TRUE(eventually([&] { return storage->health().drained && storage->health().healthy; }))
      << storage->health().json;
  const std::string db = "marketprism_sim_hot.";
  for (int i = 0; i < kDataTypeCount; ++i) {
    const auto type = static_cast<DataType>(i);
    EXPECT_EQ(type == DataType::trade ? "3" : "1",
              value("SELECT count() FROM " + db + sinks::clickhouse::table_of(type).name))
        << to_string(type);
  }
  EXPECT_EQ("65000.1", value("SELECT price FROM " + db + "trades LIMIT 1"));
  EXPECT_EQ("0.75", value("SELECT sum(quantity) FROM " + db + "trades"));
  EXPECT_EQ("1.5", value("SELECT base_quantity FROM " + db + "liquidations"));
  EXPECT_EQ("9.5", value("SELECT bids[1].price FROM " + db + "orderbooks"));
  EXPECT_EQ("1", value("SELECT spread FROM " + db + "spreads"));
  EXPECT_EQ("10", value("SELECT mid_price FROM " + db + "spreads"));
  EXPECT_EQ("3", value("SELECT sum(trades) FROM " + db + "ohlcv_1m"));
  EXPECT_EQ("48750.075", value("SELECT sum(quote_volume) FROM " + db + "ohlcv_1m"));
  EXPECT_EQ("3", value("SELECT trade_id FROM " + db + "latest_trades"));
  EXPECT_EQ("20", value("SELECT depth FROM " + db + "latest_orderbooks"));
  EXPECT_EQ("open", value("SELECT state FROM " + db + "gaps"));
  EXPECT_EQ("BTC", value("SELECT base_asset FROM " + db + "current_instruments"));
  EXPECT_EQ("3/1", value("SELECT concat(toString(sum(rows)), '/', toString(sum(gaps))) FROM " + db +
                         "coverage WHERE data_type = 'trade'"));
  EXPECT_EQ("3", value("SELECT uniqExact(bus_sequence, bus_index) FROM " + db + "trades"));
  EXPECT_EQ("1", metric(*storage, R"(marketprism_storage_worker_state{data_type="trade",state="running"})"));
  EXPECT_EQ("0", metric(*storage, R"(marketprism_storage_worker_state{data_type="trade",state="waiting_for_nats"})"));
  EXPECT_EQ("1",
            metric(*storage, R"(marketprism_storage_bus_to_table_seconds_bucket{data_type="liquidation",le="30"})"));
  EXPECT_EQ("1", metric(*storage, "marketprism_storage_stream_known"));
  EXPECT_EQ("0", metric(*storage, R"(marketprism_storage_insert_failures_total{data_type="trade",verdict="bad_data"})"))
      << "there before the first one";
}

TEST_F(StorageService, PutsWhatCannotBeARowIntoRejectedMessagesAndGoesOn) {
  auto storage = start(options());
  ensure_stream();
  auto foreign = trade(7);
  foreign.meta.data_source = DataSource::live;
  auto tiny = trade(8);
  tiny.price = Price{number("0.0000000000001")};
  auto message = message_of({foreign, tiny, trade(9)});
  message.payload += "{broken\n";
  ASSERT_TRUE(jetstream_->publish(message));
  ASSERT_TRUE(eventually([&] { return storage->health().drained; }));
  EXPECT_THAT(rows("SELECT trade_id FROM marketprism_sim_hot.trades"), ElementsAre(ElementsAre("9")));
  const auto rejected = rows(
      "SELECT bus_index, reason, raw, origin, symbol FROM marketprism_sim_hot.rejected_messages ORDER BY bus_index");
  ASSERT_EQ(3u, rejected.size());
  EXPECT_THAT(rejected[0][1], HasSubstr("live does not belong into a database of simulated data"));
  EXPECT_THAT(rejected[1][1], HasSubstr("price: 0.0000000000001 does not fit"));
  EXPECT_EQ("{broken", rejected[2][2]);
  EXPECT_EQ("storage", rejected[2][3]);
  EXPECT_EQ("BTC-USDT", rejected[2][4]);
}

std::atomic<int> foreign_lines{0};
void count_foreign_line(log::Level, std::string_view message, log::Fields) {
  if (message == "rows are refused: they are of another data source than this database") ++foreign_lines;
}

TEST_F(StorageService, WhatHasWaitedOnTheBusIsStoredAtOnce) {
  constexpr auto kTimeout = 6s;
  ensure_stream();
  auto o = options();
  for (auto& [type, limits] : o.batches) limits.timeout = kTimeout;
  Trade trade;
  trade.meta = meta();
  trade.price = Price{number("1")};
  trade.quantity = Quantity{number("1")};
  publish({trade});
  std::this_thread::sleep_for(kTimeout);  // an outage of storage
  const auto storage = start(o);
  ASSERT_TRUE(eventually([&] { return storage->health().healthy; }));
  const auto healthy_at = net::now().mono;
  ASSERT_TRUE(eventually([&] { return storage->health().json.find(R"("rows":1,)") != std::string::npos; }));
  EXPECT_LT(net::now().mono - healthy_at, kTimeout - 1s);
}

TEST_F(StorageService, IsNotHealthyWhileItRefusesRowsOfAnotherDataSource) {
  auto storage = start(options());
  ensure_stream();
  ASSERT_TRUE(eventually([&] { return storage->health().healthy; }));
  EXPECT_THAT(storage->health().json, HasSubstr(R"("foreign_rows":{})"));
  foreign_lines = 0;
  const auto sink_before = log::set_sink(count_foreign_line);
  for (int id = 1; id <= 3; ++id) {
    auto foreign = trade(id);
    foreign.meta.data_source = DataSource::live;
    publish({foreign});
  }
  const std::string refused = R"(marketprism_storage_foreign_rows_total{data_source="live"})";
  EXPECT_TRUE(eventually([&] { return metric(*storage, refused) == "3"; }));
  log::set_sink(sink_before);
  EXPECT_EQ(foreign_lines, 1);
  const auto health = storage->health();
  EXPECT_FALSE(health.healthy);
  EXPECT_THAT(health.json, HasSubstr("refuses rows of live data: marketprism_sim_hot is a database of simulated data"));
  EXPECT_THAT(health.json, HasSubstr(R"("foreign_rows":{"live":3})"));
}

TEST(ForeignRows, ArePastAfterATimeWithoutAny) {
  StorageOptions o;
  telemetry::Metrics metrics;
  ForeignRows foreign(o, metrics);
  const auto now = net::now().mono;
  EXPECT_EQ("", foreign.problem(now));
  foreign.saw(2, DataSource::replay, now);
  EXPECT_THAT(foreign.problem(now + 4min), HasSubstr("replay data: marketprism_hot is a database of live data"));
  EXPECT_EQ("", foreign.problem(now + 6min));
}

TEST_F(StorageService, RefusesTablesThatAreNotThoseOfTheSchemaAndSaysWhatDiffers) {
  const auto schema = sinks::clickhouse::schema_for(built_in_schema(), {"d_hot", "d_cold", 3}).value();
  ASSERT_TRUE(sinks::clickhouse::apply_schema(*client_, schema));
  ASSERT_TRUE(sinks::clickhouse::apply_schema(*client_, schema)) << "applied twice";
  for (const auto* sql :
       {"ALTER TABLE d_hot.trades DROP COLUMN is_maker", "DROP TABLE d_hot.liquidations",
        "CREATE TABLE d_hot.liquidations (timestamp DateTime64(9, 'UTC')) ENGINE = MergeTree ORDER BY timestamp"}) {
    ASSERT_TRUE(client_->query({sql})->ok()) << sql;
  }
  const auto refused = sinks::clickhouse::apply_schema(*client_, schema);
  ASSERT_FALSE(refused);
  EXPECT_EQ(Errc::conflict, refused.error().code);
  EXPECT_THAT(refused.error().text(), HasSubstr("d_hot.trades: column is_maker Bool is missing"));
  EXPECT_THAT(refused.error().text(),
              HasSubstr("d_hot.liquidations: PARTITION BY is (none), must be toDate(timestamp)"));
  EXPECT_THAT(refused.error().text(),
              HasSubstr("d_hot.liquidations: column price Nullable(Decimal(38,12)) is missing"));
}

TEST_F(StorageService, SendsLiveRowsOlderThanTheHotTableKeepsToTheColdDatabase) {
  auto o = options();
  o.data_source = DataSource::live;
  o.database = "l_hot";
  o.cold_database = "l_cold";
  o.hot_ttl = 72h;
  auto storage = start(o);
  ensure_stream();
  auto fresh = trade(1), old = trade(2);
  fresh.meta.data_source = DataSource::live;
  old.meta.data_source = DataSource::backfill;
  old.meta.timestamp -= 24h * 400;
  publish({fresh, old});
  ASSERT_TRUE(eventually([&] { return storage->health().drained; }));
  EXPECT_THAT(rows("SELECT trade_id FROM l_hot.trades"), ElementsAre(ElementsAre("1")));
  EXPECT_THAT(rows("SELECT trade_id FROM l_cold.trades"), ElementsAre(ElementsAre("2")));
}

TEST_F(StorageService, WaitsForBothAndStoresWhenTheyCome) {
  ensure_stream();
  clickhouse_->kill_hard();
  auto storage = start(options());
  publish({trade(1)});
  ASSERT_TRUE(eventually([&] { return storage->health().json.find("waiting_for_clickhouse") != std::string::npos; }));
  EXPECT_FALSE(storage->health().healthy);
  ASSERT_TRUE(eventually([&] {
    return metric(*storage, R"(marketprism_storage_worker_state{data_type="trade",state="waiting_for_clickhouse"})") ==
           "1";
  }));
  EXPECT_EQ("0", metric(*storage, R"(marketprism_storage_worker_state{data_type="trade",state="running"})"));
  nats_->kill_hard();
  ASSERT_TRUE(eventually([&] { return metric(*storage, "marketprism_storage_stream_known") == "0"; }));
  clickhouse_->start();
  nats_->start();
  ASSERT_TRUE(eventually([&] { return storage->health().healthy && storage->health().drained; }))
      << storage->health().json;
  EXPECT_EQ("1", value("SELECT count() FROM marketprism_sim_hot.trades"));
}

TEST_F(StorageService, ReportsAPartOfTheStreamThatWasGoneBeforeItWasStored) {
  ensure_stream();
  auto storage = start(options());
  auto bucket = nats::KeyValue::open(*connection_, jetstream::kBucket).value();
  const auto key = stored_key("marketprism_sim_hot", jetstream_->stream_info("MARKET_DATA")->created);
  ASSERT_TRUE(eventually([&] { return storage->health().healthy && bucket.get(key).value().has_value(); }));
  storage->stop();
  for (int i = 1; i <= 10; ++i) publish({trade(i)});
  ASSERT_TRUE(jetstream_->purge_through("MARKET_DATA", 4));
  storage = start(options());
  ASSERT_TRUE(eventually([&] { return storage->health().drained && storage->health().healthy; }))
      << storage->health().json;
  EXPECT_EQ("6", value("SELECT count() FROM marketprism_sim_hot.trades"));
  const auto sql = "SELECT cause, last_id, next_id, state FROM marketprism_sim_hot.gaps WHERE data_type = 'trade'";
  EXPECT_THAT(rows(sql), ElementsAre(ElementsAre("stream_lost", "0", "5", "open")));
  EXPECT_EQ("4", metric(*storage, R"(marketprism_storage_lost_messages_total{data_type="trade"})"));
  storage->stop();
  storage = start(options());
  ASSERT_TRUE(eventually([&] { return storage->health().healthy; }));
  EXPECT_EQ(1u, rows(sql).size()) << "told once";
}

// NATS's store was lost when only a part of what it held was stored. The collector publishes again what is not known to
// be stored, from its journal, and says so: what is there is known again, the rest is stored.
TEST_F(StorageService, KnowsAgainWhatItStoredFromAStreamThatIsGone) {
  ensure_stream();
  auto storage = start(options());
  std::vector<nats::Message> messages;
  for (const auto& event : one_of_each()) messages.push_back(message_of({event}));
  const auto twin = trade(4);  // an event that a venue sent twice
  messages.push_back(message_of({trade(2), trade(3), twin, twin}));
  nats::Message broken = messages.front();
  broken.payload = "{\"type\":\"orderbook\"}\n";
  messages.push_back(broken);
  for (const auto& message : messages) ASSERT_TRUE(jetstream_->publish(message));
  ASSERT_TRUE(eventually([&] { return storage->health().healthy && storage->health().drained; }))
      << storage->health().json;
  storage->stop();
  const auto counts = [&] {
    std::map<std::string, std::string> out;
    for (int i = 0; i < kDataTypeCount; ++i) {
      const auto& table = sinks::clickhouse::table_of(static_cast<DataType>(i)).name;
      out[table] = value("SELECT count() FROM marketprism_sim_hot." + table +
                         (table == "data_gaps" || table == "instruments" ? " FINAL" : ""));
    }
    return out;
  };
  auto expected = counts();
  EXPECT_EQ("5", expected["trades"]);
  EXPECT_EQ("2", expected["rejected_messages"]);

  nats_->kill_hard();
  nats_->remove_store();
  nats_->start();
  ASSERT_TRUE(connection_->wait_connected(10s));
  ensure_stream();
  storage = start(options());
  messages.push_back(
      message_of({trade(3), trade(5)}));  // was in the old stream and not stored: another time, so other events
  expected["trades"] = "7";
  for (auto message : messages) {
    message.headers.emplace_back("MP-Again", "1");
    ASSERT_TRUE(jetstream_->publish(message));
  }
  publish({trade(6)});
  expected["trades"] = "8";
  ASSERT_TRUE(eventually([&] {
    return value("SELECT count() FROM marketprism_sim_hot.trades") >= "8" && storage->health().healthy &&
           storage->health().drained;
  })) << storage->health().json;
  EXPECT_EQ(expected, counts());
  EXPECT_EQ("2", value("SELECT count() FROM marketprism_sim_hot.trades WHERE trade_id = '4'"));
  // And once more after it was killed with nothing acknowledged: the consumer begins anew.
  storage->stop();
  ASSERT_TRUE(jetstream_->delete_consumer("MARKET_DATA", consumer_name("marketprism_sim_hot", DataType::trade)));
  storage = start(options());
  ASSERT_TRUE(eventually([&] { return storage->health().healthy && storage->health().drained; }))
      << storage->health().json;
  EXPECT_EQ(expected, counts());
}

// A storage process was frozen between its look at the lease and its insert. Another one has stored the same since;
// then the first one's insert arrives.
TEST_F(StorageService, AnInsertOfAProcessThatWasReplacedIsRefused) {
  ensure_stream();
  auto storage = start(options());
  ASSERT_TRUE(eventually([&] { return storage->health().healthy; })) << storage->health().json;
  auto bucket = nats::KeyValue::open(*connection_, jetstream::kBucket).value();
  const auto consumer = consumer_name("marketprism_sim_hot", DataType::trade);
  const auto session = bucket.get(session_key(consumer)).value().value().value;
  const auto insert = [&](const std::string& id, const std::string& in_session) {
    return client_->query({"INSERT INTO marketprism_sim_hot.trades (timestamp, trade_id) VALUES (now(), '" + id + "')",
                           in_session,
                           {{"session_check", "1"}, {"session_timeout", "600"}}});
  };
  ASSERT_TRUE(eventually(
      [&] { return insert("while it held the lease", session)->ok(); }));  // 373 while its own statement runs
  storage->stop();
  storage = start(options());
  ASSERT_TRUE(eventually([&] { return storage->health().healthy; })) << storage->health().json;
  const auto late = insert("late", session);
  ASSERT_TRUE(late);
  EXPECT_FALSE(late->ok());
  EXPECT_EQ(late->code, 164) << late->text;
  EXPECT_NE(session, bucket.get(session_key(consumer)).value().value().value);
  publish({trade(1)});
  ASSERT_TRUE(eventually([&] { return value("SELECT count() FROM marketprism_sim_hot.trades") != "1"; }))
      << storage->health().json;
  EXPECT_THAT(rows("SELECT trade_id FROM marketprism_sim_hot.trades ORDER BY trade_id"),
              ElementsAre(ElementsAre("1"), ElementsAre("while it held the lease")));
  // A session that has ended refuses too, also one that never was.
  EXPECT_EQ(insert("later", "storage-marketprism_sim_hot-trade-0")->code, 372);
}

TEST_F(StorageService, CountsALeaseThatSomebodyElseTook) {
  ensure_stream();
  auto storage = start(options());
  const std::string lost = R"(marketprism_storage_leases_lost_total{data_type="trade"})";
  ASSERT_TRUE(eventually([&] { return storage->health().healthy; })) << storage->health().json;
  EXPECT_EQ("0", metric(*storage, lost));
  auto bucket = nats::KeyValue::open(*connection_, jetstream::kBucket).value();
  ASSERT_TRUE(bucket.put("lease." + consumer_name("marketprism_sim_hot", DataType::trade), "another host/1"));
  ASSERT_TRUE(eventually([&] { return metric(*storage, lost) == "1"; })) << storage->health().json;
  EXPECT_EQ("0", metric(*storage, R"(marketprism_storage_leases_lost_total{data_type="orderbook"})"));
}

// A power cut of the NATS server: the stream comes back as it was some time ago, its consumers and buckets as they were
// at the end. `meanwhile` happens before storage looks at the stream again.
TEST_F(StorageService, StoresAllOnceWhenTheServerLostItsEndAndUsesSequencesAgain) {
  for (const int round : {0, 1, 2, 3}) {
    const bool storage_looks_first = round % 2 == 0;
    version_ = round < 2 ? test::NatsVersion::current : test::NatsVersion::debian;
    SCOPED_TRACE(std::string(to_string(version_)) +
                 (storage_looks_first ? ": storage looks first" : ": the stream has grown beyond what is stored"));
    if (!test::nats_server_program(version_)) break;
    if (round > 0) SetUp();
    ensure_stream();
    auto storage = start(options());
    const auto is_drained = [&] { return storage->health().drained && storage->health().healthy; };
    const auto old1 = trade(1), lost2 = trade(2), lost3 = trade(3), lost4 = trade(4), unstored5 = trade(5);
    publish({old1});
    ASSERT_TRUE(eventually(is_drained)) << storage->health().json;
    const auto store = nats_->directory() / "store" / "jetstream" / "$G" / "streams" / "MARKET_DATA" / "msgs";
    const auto copy = nats_->directory() / "copy";
    nats_->stop();
    ASSERT_TRUE(std::filesystem::exists(store)) << store;
    std::filesystem::copy(store, copy, std::filesystem::copy_options::recursive);
    nats_->start();
    ASSERT_TRUE(connection_->wait_connected(10s));
    publish({lost2});
    publish({lost3, lost4});
    ASSERT_TRUE(eventually([&] {
      return value("SELECT count() FROM marketprism_sim_hot.trades") == "4" && is_drained();
    })) << storage->health().json;
    if (!storage_looks_first) storage->stop();
    nats_->kill_hard();
    std::filesystem::remove_all(store);
    std::filesystem::copy(copy, store, std::filesystem::copy_options::recursive);
    nats_->start();
    ASSERT_TRUE(connection_->wait_connected(10s));
    EXPECT_EQ(1u, jetstream_->stream_info("MARKET_DATA")->last_sequence);
    if (storage_looks_first) {
      ASSERT_TRUE(eventually([&] { return storage->health().healthy; })) << storage->health().json;
    }
    // Another collector is first: what it publishes gets the sequence of a lost message. Then the lost ones come again.
    const auto new6 = trade(6), new7 = trade(7);
    publish({new6});
    for (const auto& events : {std::vector<MarketEvent>{lost2, lost3}, std::vector<MarketEvent>{lost4},
                               std::vector<MarketEvent>{unstored5}}) {
      auto message = message_of(events);
      message.headers.emplace_back("MP-Again", "1");
      ASSERT_TRUE(jetstream_->publish(message));
    }
    publish({new7});
    if (!storage_looks_first) storage = start(options());
    ASSERT_TRUE(eventually([&] {
      return is_drained() && value("SELECT max(toInt32(trade_id)) FROM marketprism_sim_hot.trades") == "7";
    })) << storage->health().json;
    EXPECT_THAT(rows("SELECT trade_id, count() FROM marketprism_sim_hot.trades GROUP BY trade_id ORDER BY trade_id"),
                ElementsAre(ElementsAre("1", "1"), ElementsAre("2", "1"), ElementsAre("3", "1"), ElementsAre("4", "1"),
                            ElementsAre("5", "1"), ElementsAre("6", "1"), ElementsAre("7", "1")));
    EXPECT_EQ("7", value("SELECT uniqExact(bus_stream, bus_sequence, bus_index) FROM marketprism_sim_hot.trades"));
    EXPECT_EQ("2", value("SELECT uniqExact(bus_stream) FROM marketprism_sim_hot.trades"))
        << "a place was used twice: the test tests something";
  }
}

TEST_F(StorageService, TrimsAFullStreamOnlyAsFarAsItIsStored) {
  ensure_stream(200'000);
  auto o = options();
  o.stream.max_bytes = 200'000;
  o.trim.interval = 100ms;
  // Without storage the stream fills up and then refuses: nothing is lost.
  int published = 0;
  auto stored = jetstream_->publish(message_of({trade(published)}));
  while (stored) stored = jetstream_->publish(message_of({trade(++published)}));
  EXPECT_EQ(nats::kStreamFull, nats::server_code(stored.error())) << stored.error().text();
  auto storage = start(o);
  ASSERT_TRUE(eventually([&] { return jetstream_->stream_info("MARKET_DATA")->bytes < 125'000; }));
  EXPECT_GT(jetstream_->stream_info("MARKET_DATA")->bytes, 60'000u) << "no more than needed is trimmed";
  ASSERT_TRUE(eventually([&] { return storage->health().drained; }));
  EXPECT_EQ(std::to_string(published), value("SELECT count() FROM marketprism_sim_hot.trades"));
  storage->stop();
  // Trimming is not taken for a loss.
  storage = start(o);
  publish({trade(++published)});
  ASSERT_TRUE(eventually([&] { return storage->health().drained && storage->health().healthy; }));
  EXPECT_EQ("0", value("SELECT count() FROM marketprism_sim_hot.data_gaps"));
}

// As a collector leaves it that was away and catches up.
TEST_F(StorageService, MakesRoomAtOnceThoughTheNewestMessagesAreTheLargest) {
  ensure_stream(400'000);
  auto o = options();
  o.stream.max_bytes = 400'000;
  o.trim.interval = 10s;
  int published = 0;
  while (published < 200) publish({trade(published++)});
  std::vector<MarketEvent> many;
  for (int i = 0; i < 100; ++i) many.push_back(trade(1000 + i));
  auto stored = jetstream_->publish(message_of(many));
  while (stored) stored = jetstream_->publish(message_of(many));
  EXPECT_EQ(nats::kStreamFull, nats::server_code(stored.error())) << stored.error().text();
  const auto full = jetstream_->stream_info("MARKET_DATA")->bytes;
  const auto storage = start(o);
  ASSERT_TRUE(eventually([&] { return jetstream_->stream_info("MARKET_DATA")->bytes < full; }));
  // In the same round, not some more of the small ones in each.
  EXPECT_TRUE(eventually([&] { return jetstream_->stream_info("MARKET_DATA")->bytes < 260'000; }, 8s))
      << jetstream_->stream_info("MARKET_DATA")->bytes;
}

TEST_F(StorageService, NotesWhatACollectorHasNotReadBackBeforeItTrims) {
  ensure_stream(200'000);
  auto bucket = nats::KeyValue::open(*connection_, jetstream::kBucket).value();
  ASSERT_TRUE(bucket.put(jetstream::acked_key("j1"), "2"));
  int published = 0;
  for (bool fits = true; fits;) {
    auto message = message_of({trade(published)});
    message.headers = {{"MP-Journal", published % 2 == 0 ? "j1" : "j2"},
                       {"MP-First", fmt::format("1-{}-0", published)},
                       {"MP-Last", fmt::format("1-{}-0", published)}};
    fits = jetstream_->publish(message).has_value();
    published += fits ? 1 : 0;
  }
  auto o = options();
  o.stream.max_bytes = 200'000;
  o.trim.interval = 100ms;
  auto storage = start(o);
  ASSERT_TRUE(eventually([&] { return jetstream_->stream_info("MARKET_DATA")->first_sequence > 1; }));
  const auto first = jetstream_->stream_info("MARKET_DATA")->first_sequence;
  const auto note = jetstream::TrimNote::parse(bucket.get(jetstream::trimmed_key("j1")).value()->value).value();
  // Sequence s holds position s - 1; even positions are j1's.
  const auto last_trimmed = static_cast<std::uint32_t>((first - 2) / 2 * 2);
  ASSERT_EQ(1u, note.highest().size());
  EXPECT_EQ("trade-data.binance.spot.BTC-USDT", note.highest().begin()->first);
  EXPECT_EQ(last_trimmed, note.highest().begin()->second.record.record);
  EXPECT_FALSE(bucket.get(jetstream::trimmed_key("j2")).value()) << "j2 never said that it collects";
}

// ---- a storage process that dies ----

// Between storage and ClickHouse: does what a test wants done at an insert.
class Between {
 public:
  enum class Fault { none, kill_before, kill_after, hang_up_before, hang_up_after, refuse };

  Between(std::string target, std::function<void()> kill) : target_(std::move(target)), kill_(std::move(kill)) {
    server_ = net::HttpServer::start({}, [this](auto& request, auto& response) { handle(request, response); }).value();
  }
  std::string url() const { return "http://" + server_->address(); }
  void next_insert(Fault fault) { fault_ = fault; }
  int faults() const { return faults_; }

 private:
  void handle(net::HttpServerRequest& request, net::HttpServerResponse& response) {
    const auto body = request.body->read_all(64u << 20).value();
    const bool is_insert = request.target.find("INSERT%20INTO%20marketprism_sim_hot.trades") != std::string::npos;
    const auto fault = is_insert ? fault_.load() : Fault::none;
    if (fault != Fault::refuse && is_insert) fault_ = Fault::none;
    if (fault != Fault::none) ++faults_;
    if (fault == Fault::refuse) {  // until it is told otherwise, as with a full disk
      response.set_header("X-ClickHouse-Exception-Code", "243");
      response.send(500, "text/plain",
                    "Code: 243. DB::Exception: Cannot reserve 1.00 MiB, not enough space. (NOT_ENOUGH_SPACE)");
      return;
    }
    if (fault == Fault::kill_before) kill_();
    if (fault == Fault::kill_before || fault == Fault::hang_up_before) return response.abort();
    net::HttpClient client;
    const auto answer = client.request({.method = request.method, .url = target_ + request.target, .body = body});
    if (fault == Fault::kill_after) kill_();
    if (fault == Fault::kill_after || fault == Fault::hang_up_after || !answer) return response.abort();
    for (const auto& header : answer->headers) {
      if (header.name.starts_with("X-ClickHouse")) response.set_header(header.name, header.value);
    }
    response.send(answer->status, "text/plain", answer->body);
  }

  const std::string target_;
  const std::function<void()> kill_;
  std::atomic<Fault> fault_ = Fault::none;
  std::atomic<int> faults_ = 0;
  std::unique_ptr<net::HttpServer> server_;
};

// Log lines since the last look, as a sink that may be called from many threads.
std::atomic<int> log_lines = 0;
void count_log_line(log::Level level, std::string_view, log::Fields) {
  if (level != log::Level::debug) ++log_lines;
}

TEST_F(StorageService, IsNotHealthyWhileInsertsFailOrTheLeaseIsLostAndSaysSoInFewLines) {
  ensure_stream();
  Between between(clickhouse_->url(), [] {});
  auto o = options();
  o.clickhouse.url = between.url();
  o.lease_ttl = 900ms;
  auto storage = start(o);
  ASSERT_TRUE(eventually([&] { return storage->health().healthy; }));
  between.next_insert(Between::Fault::refuse);
  publish({trade(1)});
  ASSERT_TRUE(eventually([&] { return between.faults() > 0; }));
  EXPECT_TRUE(eventually([&] { return !storage->health().healthy; }, 2s));
  EXPECT_THAT(storage->health().json, HasSubstr(R"("trade":{"state":"failing","trouble":"retry: )"));
  EXPECT_THAT(storage->health().json, HasSubstr("not enough space"));

  // The bus stands still for longer than the lease holds; from now on until space is free nothing is well.
  log_lines = 0;
  const auto sink_before = log::set_sink(count_log_line);
  for (int round = 0; round < 3; ++round) {
    nats_->pause();
    EXPECT_TRUE(eventually(
        [&] { return storage->health().json.find(R"("liquidation":{"state":"waiting_for_)") != std::string::npos; },
        10s));
    nats_->resume();
    EXPECT_TRUE(eventually([&] {
      const auto json = storage->health().json;
      EXPECT_THAT(json, Not(HasSubstr(R"("trade":{"state":"running")")));
      return json.find(R"("trade":{"state":"failing")") != std::string::npos;
    }));
  }
  log::set_sink(sink_before);
  EXPECT_LE(log_lines, 12 * static_cast<int>(StateLog::kLines) + 10) << "and what the connection itself has to say";
  between.next_insert(Between::Fault::none);
  EXPECT_TRUE(eventually([&] { return storage->health().healthy && storage->health().drained; }))
      << storage->health().json;
  EXPECT_EQ("1", value("SELECT count() FROM marketprism_sim_hot.trades"));
}

class StorageThatDies : public StorageService {
 protected:
  void SetUp() override {
    StorageService::SetUp();
    if (IsSkipped() || HasFailure()) return;
    ensure_stream();
    directory_ = test::temporary_directory("storage");
    between_ = std::make_unique<Between>(clickhouse_->url(), [this] { ::kill(pid_of_storage_, SIGKILL); });
    write_config("1500ms");
  }
  void write_config(const std::string& lease_ttl, const std::string& batch_timeout = "0.1") {
    const std::string config = directory_.string() + "/storage.yaml";
    std::FILE* file = std::fopen(config.c_str(), "w");
    fmt::print(
        file,
        "nats: {{url: [\"{}\"]}}\nclickhouse: {{url: \"{}\"}}\nstorage: {{data_source: simulated, lease_ttl: {}}}\n"
        "health: {{listen: \"127.0.0.1:0\"}}\nmetrics: {{listen: \"127.0.0.1:0\"}}\nbatches: {{trades: {{timeout: {}}}}}\n",
        nats_->url(), between_->url(), lease_ttl, batch_timeout);
    std::fclose(file);
  }
  void TearDown() override {
    storage_.reset();
    between_.reset();
    if (directory_.empty()) return;
    if (HasFailure()) std::fputs(test::read_file(directory_ / "log").c_str(), stderr);
    std::filesystem::remove_all(directory_);
  }
  void start_process() {
    storage_ = std::make_unique<test::Child>(
        std::vector<std::string>{kProgram, "storage", "--config", (directory_ / "storage.yaml").string()},
        directory_ / "log");
    pid_of_storage_ = storage_->pid();
  }
  void publish_trades(int messages) {
    for (int i = 0; i < messages; ++i, next_trade_ += 2) publish({trade(next_trade_), trade(next_trade_ + 1)});
  }
  // How many trades are stored; -1 while the table is not there.
  int stored() {
    const auto got = client_->rows({"SELECT count() FROM marketprism_sim_hot.trades FORMAT TabSeparated"});
    return got ? std::stoi(got->front().front()) : -1;
  }
  // All published trades are there, each once, and acknowledged.
  void expect_each_once() {
    const auto consumer = consumer_name("marketprism_sim_hot", DataType::trade);
    ASSERT_TRUE(eventually([&] {
      const auto info = jetstream_->consumer_info("MARKET_DATA", consumer);
      return info && info->pending == 0 && info->unacknowledged == 0;
    }));
    EXPECT_EQ(std::to_string(next_trade_), value("SELECT count() FROM marketprism_sim_hot.trades"));
    EXPECT_EQ(std::to_string(next_trade_), value("SELECT uniqExact(trade_id) FROM marketprism_sim_hot.trades"));
  }

  std::filesystem::path directory_;
  std::unique_ptr<Between> between_;
  std::unique_ptr<test::Child> storage_;
  std::atomic<pid_t> pid_of_storage_ = 0;
  int next_trade_ = 0;
};

TEST_F(StorageThatDies, StoresEachRowOnceWhenKilledBetweenInsertAndAcknowledgement) {
  start_process();
  publish_trades(20);
  ASSERT_TRUE(eventually([&] { return stored() == 40; }));
  for (const auto fault : {Between::Fault::kill_after, Between::Fault::kill_before}) {
    between_->next_insert(fault);
    publish_trades(20);
    ASSERT_TRUE(storage_->wait(60s)) << "storage was to be killed at its insert";
    start_process();
    expect_each_once();
  }
  EXPECT_EQ(2, between_->faults());
  storage_->signal(SIGTERM);
  EXPECT_EQ(0, storage_->wait(30s));
}

TEST_F(StorageThatDies, DoesNotWaitForTheLeaseOfAProcessThatIsDead) {
  write_config("120s");
  start_process();
  publish_trades(5);
  ASSERT_TRUE(eventually([&] { return stored() == 10; }));
  storage_->kill_hard();
  publish_trades(5);
  start_process();
  EXPECT_TRUE(eventually([&] { return stored() == 20; }, 30s)) << "long before the lease's time is over";
}

TEST_F(StorageThatDies, StoresEachRowOnceWhenTheAnswerIsLost) {
  start_process();
  publish_trades(5);
  ASSERT_TRUE(eventually([&] { return stored() == 10; }));
  for (const auto fault : {Between::Fault::hang_up_after, Between::Fault::hang_up_before}) {
    between_->next_insert(fault);
    publish_trades(20);
    expect_each_once();
  }
  EXPECT_EQ(2, between_->faults());
}

TEST_F(StorageThatDies, StoresEachRowOnceWhateverIsKilled) {
  start_process();
  for (int round = 0; round < 2; ++round) {
    publish_trades(300);
    storage_->kill_hard();
    start_process();
    publish_trades(300);
    clickhouse_->kill_hard();
    publish_trades(300);
    clickhouse_->start();
  }
  nats_->kill_hard();
  nats_->start();
  ASSERT_TRUE(connection_->wait_connected(30s));
  publish_trades(100);
  expect_each_once();
}

TEST_F(StorageThatDies, StoresWhatItHasTakenAndLeavesInOrderAtSigterm) {
  start_process();
  publish_trades(50);
  ASSERT_TRUE(eventually([&] { return stored() > 0; }));
  publish_trades(50);
  storage_->signal(SIGTERM);
  ASSERT_EQ(0, storage_->wait(30s));
  const auto info = jetstream_->consumer_info("MARKET_DATA", consumer_name("marketprism_sim_hot", DataType::trade));
  ASSERT_TRUE(info);
  EXPECT_EQ(0u, info->unacknowledged);
  start_process();  // and takes the lease at once: it was given back
  expect_each_once();
}

// What waits for its batch when storage is told to stop is stored, also when ClickHouse was started again since the
// last insert and knows storage's session no more.
TEST_F(StorageThatDies, StoresWhatItHasTakenAtSigtermThoughClickHouseWasStartedAgain) {
  write_config("1500ms", "60");
  start_process();
  ASSERT_TRUE(eventually([&] { return stored() == 0; }));
  publish_trades(1);
  const auto consumer = consumer_name("marketprism_sim_hot", DataType::trade);
  ASSERT_TRUE(eventually([&] {
    const auto info = jetstream_->consumer_info("MARKET_DATA", consumer);
    return info && info->pending == 0 && info->unacknowledged == 1;
  }));
  clickhouse_->kill_hard();
  clickhouse_->start();
  storage_->signal(SIGTERM);
  ASSERT_EQ(0, storage_->wait(30s));
  const auto info = jetstream_->consumer_info("MARKET_DATA", consumer);
  ASSERT_TRUE(info);
  EXPECT_EQ(0u, info->unacknowledged);
  EXPECT_EQ(next_trade_, stored());
}

}  // namespace
}  // namespace mp::storage
