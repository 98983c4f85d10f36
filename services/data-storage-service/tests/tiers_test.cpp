// Days that move between real tables, on one server and on two.
#include "data-storage-service/src/tiers.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <thread>

#include "data-storage-service/src/storage.hpp"
#include "net/clock.hpp"
#include "net/http_client.hpp"
#include "sinks/clickhouse/sink.hpp"
#include "tests/support/embedded_clickhouse.hpp"
#include "tests/support/nats_server.hpp"
#include "wire/json.hpp"
#include "wire/subject.hpp"

namespace mp::storage {
namespace {

using namespace std::chrono_literals;
using sinks::clickhouse::RestUntil;
using sinks::clickhouse::TierPlanner;
using sinks::clickhouse::TierStatus;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Rows = std::vector<std::vector<std::string>>;

const std::string kProgram = std::string(MP_BINARY_DIR) + "/bin/marketprism";

class Tiers : public ::testing::Test {
 protected:
  void SetUp() override {
    MP_NEEDS_CLICKHOUSE();
    first_ = std::make_unique<test::EmbeddedClickHouse>(kProgram);
    hot_ = std::make_unique<clickhouse::Client>(clickhouse::ClientOptions{.url = first_->url()});
    options_.clickhouse.url = first_->url();
    options_.database = "t_hot";
    options_.cold_database = "t_cold";
    options_.hot_ttl = 72h;
    options_.tiers.settle = 0ms;
    options_.tiers.drop_after = 1ms;
    options_.batches = default_batches();
    cold_ = std::make_unique<clickhouse::Client>(clickhouse::ClientOptions{.url = first_->url()});
  }
  void use_a_second_server() {
    second_ = std::make_unique<test::EmbeddedClickHouse>(kProgram);
    options_.tiers.cold = clickhouse::ClientOptions{.url = second_->url()};
    cold_ = std::make_unique<clickhouse::Client>(*options_.tiers.cold);
  }
  void make_tables() {
    const auto schema = schema_of(options_).value();
    ASSERT_TRUE(sinks::clickhouse::apply_schema(*hot_, schema));
    if (options_.tiers.cold) {
      ASSERT_TRUE(sinks::clickhouse::apply_schema(*cold_, schema));
    }
    // What is tested is not helped by merges.
    run(*hot_, "SYSTEM STOP MERGES t_hot.trades");
  }
  static void run(clickhouse::Client& client, const std::string& sql) {
    const auto answer = client.query({sql});
    ASSERT_TRUE(answer && answer->ok()) << sql << ": " << (answer ? answer->text : answer.error().text());
  }
  static Rows rows(clickhouse::Client& client, const std::string& sql) {
    const auto got = client.rows({sql + " FORMAT TabSeparated"});
    if (!got) ADD_FAILURE() << sql << ": " << got.error().text();
    return got ? *got : Rows{};
  }
  static std::string value(clickhouse::Client& client, const std::string& sql) {
    const auto got = rows(client, sql);
    return got.empty() ? "" : got.front().front();
  }
  // `count` trades of `days_ago`, spread over the day, two rows for each message.
  void insert_trades(int days_ago, std::uint64_t first, int count, int stream = 1) {
    run(*hot_,
        fmt::format(
            "INSERT INTO t_hot.trades (timestamp, received_at, exchange, market_type, symbol, instrument, data_source, trade_id, price, quantity, contracts, side, bus_stream, bus_sequence, bus_index) "
            "SELECT toDateTime64(today() - {}, 9, 'UTC') + toIntervalSecond(number % 80000), now64(9), 'binance', 'spot', 'BTC-USDT', 'BTCUSDT', 'live', toString(number), "
            "65000.1 + number, 0.25, if(number % 2 = 0, NULL, 3), 'buy', fromUnixTimestamp64Nano(toInt64({}), 'UTC'), {} + intDiv(number, 2), number % 2 FROM numbers({})",
            days_ago, stream * 1'000'000'000LL, first, count));
  }
  void insert_books(int days_ago, std::uint64_t first, int count) {
    run(*hot_,
        fmt::format(
            "INSERT INTO t_hot.orderbooks (timestamp, received_at, exchange, market_type, symbol, instrument, data_source, last_update_id, depth, bids, asks, bus_stream, bus_sequence, bus_index) "
            "SELECT toDateTime64(today() - {}, 9, 'UTC') + toIntervalSecond(number), now64(9), 'binance', 'spot', 'BTC-USDT', 'BTCUSDT', 'live', number, 400, "
            "arrayMap(i -> (toDecimal128(i, 12), toDecimal128(1, 12)), range(400)), [], fromUnixTimestamp64Nano(toInt64(1000000000), 'UTC'), {} + number, 0 FROM numbers({})",
            days_ago, first, count));
  }
  // Rounds until nothing is left to do; how it stands then.
  TierStatus move() {
    TierPlanner planner{tier_rules(options_)};
    TierTables tables{options_};
    for (int i = 0; i < 2000; ++i) {
      const auto step = planner.next(net::now());
      if (std::holds_alternative<RestUntil>(step)) return planner.status(net::now().wall);
      tables.carry_out(step, planner, {});
    }
    ADD_FAILURE() << "it does not come to rest";
    return {};
  }
  std::string print_of(clickhouse::Client& client, const std::string& database) {
    const auto all = rows(
        client,
        fmt::format(
            "SELECT count(), uniqExact(bus_stream, bus_sequence, bus_index), sum(cityHash64(timestamp, received_at, trade_id, price, quantity, contracts, side, execution, created_at, bus_stream, bus_sequence, bus_index)) FROM {}.trades",
            database));
    return fmt::format("{}", fmt::join(all.front(), " "));
  }

  StorageOptions options_;
  std::unique_ptr<test::EmbeddedClickHouse> first_, second_;
  std::unique_ptr<clickhouse::Client> hot_, cold_;
};

TEST_F(Tiers, ADayIsCopiedWholeVerifiedAndDropped) {
  make_tables();
  options_.tiers.chunk_bytes = 64 << 10;  // many chunks
  insert_trades(1, 100, 3000);
  insert_trades(1, 5000, 501, 2);
  insert_books(1, 9000, 40);
  insert_trades(0, 7000, 20);
  const auto yesterday = value(*hot_, "SELECT count() FROM t_hot.trades WHERE toDate(timestamp) = today() - 1");
  ASSERT_EQ(yesterday, "3501");
  const auto hash = value(
      *hot_,
      "SELECT sum(cityHash64(timestamp, price, contracts, created_at, bus_stream, bus_sequence, bus_index)) FROM t_hot.trades WHERE toDate(timestamp) = today() - 1");
  const auto status = move();
  EXPECT_EQ(status.trouble, "");
  EXPECT_THAT(status.conflicts, IsEmpty());
  EXPECT_EQ(status.rows_copied, 3541u);
  EXPECT_EQ(value(*cold_, "SELECT count() FROM t_cold.trades"), "3501");
  EXPECT_EQ(
      value(
          *cold_,
          "SELECT sum(cityHash64(timestamp, price, contracts, created_at, bus_stream, bus_sequence, bus_index)) FROM t_cold.trades"),
      hash)
      << "every value, created_at too";
  EXPECT_EQ(value(*cold_, "SELECT sum(length(bids)) FROM t_cold.orderbooks"), "16000");
  EXPECT_EQ(value(*hot_, "SELECT count() FROM t_hot.trades"), "20") << "today stays";
  EXPECT_EQ(value(*hot_, "SELECT count() FROM t_hot.orderbooks"), "0");
  EXPECT_EQ(status.days_dropped, 2u);
}

TEST_F(Tiers, LateRowsAreCopiedToTheRestAndNothingTwice) {
  options_.tiers.drop_after = 0ms;
  make_tables();
  insert_trades(1, 100, 1000);
  EXPECT_EQ(move().rows_copied, 1000u);
  EXPECT_EQ(move().rows_copied, 0u) << "a new process looks again and copies nothing";
  insert_trades(1, 300, 7, 2);
  insert_trades(1, 90, 3);
  EXPECT_EQ(move().rows_copied, 10u);
  EXPECT_EQ(print_of(*cold_, "t_cold"), print_of(*hot_, "t_hot"));
  // Some are taken out of the cold table: they are copied again by name.
  run(*cold_, "ALTER TABLE t_cold.trades DELETE WHERE bus_sequence % 10 = 3 SETTINGS mutations_sync = 1");
  EXPECT_GT(move().rows_copied, 50u);
  EXPECT_EQ(print_of(*cold_, "t_cold"), print_of(*hot_, "t_hot"));
}

TEST_F(Tiers, TheColdDatabaseMayBeOnAServerOfItsOwn) {
  use_a_second_server();
  make_tables();
  insert_trades(1, 100, 1500);
  const auto before = print_of(*hot_, "t_hot");
  const auto status = move();
  EXPECT_EQ(status.trouble, "");
  EXPECT_EQ(print_of(*cold_, "t_cold"), before);
  EXPECT_EQ(value(*hot_, "SELECT count() FROM t_hot.trades"), "0");
  EXPECT_EQ(value(*hot_, "SELECT count() FROM t_cold.trades"), "0") << "not on the hot server";
}

TEST_F(Tiers, AColdServerThatIsAwayIsToldAndNothingIsDropped) {
  use_a_second_server();
  make_tables();
  insert_trades(1, 100, 500);
  second_->kill_hard();
  options_.tiers.cold->connect_timeout = 500ms;
  const auto status = move();
  EXPECT_NE(status.trouble, "");
  EXPECT_EQ(value(*hot_, "SELECT count() FROM t_hot.trades"), "500");
  second_->start();
  EXPECT_EQ(move().trouble, "");
  EXPECT_EQ(value(*cold_, "SELECT count() FROM t_cold.trades"), "500");
  EXPECT_EQ(value(*hot_, "SELECT count() FROM t_hot.trades"), "0");
}

TEST_F(Tiers, ARowThatDiffersKeepsItsDayHot) {
  make_tables();
  insert_trades(1, 100, 100);
  run(*hot_,
      "INSERT INTO t_cold.trades SELECT * REPLACE (price + 1 AS price) FROM t_hot.trades WHERE bus_sequence = 110 AND bus_index = 0");
  const auto status = move();
  EXPECT_EQ(status.conflicts.size(), 1u);
  EXPECT_THAT(status.conflicts, ElementsAre(HasSubstr("trades ")));
  EXPECT_EQ(value(*hot_, "SELECT count() FROM t_hot.trades"), "100");
}

TEST_F(Tiers, AColumnThatOnlyTheHotTableHasStopsItInsteadOfLosingIt) {
  make_tables();
  run(*hot_, "ALTER TABLE t_hot.trades ADD COLUMN mine UInt8 DEFAULT 7");
  insert_trades(1, 100, 10);
  EXPECT_THAT(move().trouble, AllOf(HasSubstr("t_cold.trades"), HasSubstr("has no column mine")));
  run(*hot_, "ALTER TABLE t_cold.trades ADD COLUMN mine UInt8");
  EXPECT_EQ(move().trouble, "");
  EXPECT_EQ(value(*hot_, "SELECT sum(mine) FROM t_cold.trades"), "70");
}

// The engine is killed again and again while rows move.
TEST_F(Tiers, KillingClickHouseAnywhereLosesAndDoublesNothing) {
  make_tables();
  options_.tiers.chunk_bytes = 64 << 10;
  options_.clickhouse.connect_timeout = 500ms;
  insert_trades(1, 100, 4000);
  const auto before = print_of(*hot_, "t_hot");
  TierTables tables{options_};
  int kills = 0;
  for (int at = 3; kills < 5 && at < 60; at += 4) {
    TierPlanner planner{tier_rules(options_)};
    bool rested = false;
    for (int i = 0; i < at && !rested; ++i) {
      const auto step = planner.next(net::now());
      rested = std::holds_alternative<RestUntil>(step);
      if (!rested && i == at - 1) {
        std::jthread killer([&] {
          std::this_thread::sleep_for(std::chrono::milliseconds(at % 5));
          first_->kill_hard();
        });
        tables.carry_out(step, planner, {});
      } else if (!rested) {
        tables.carry_out(step, planner, {});
      }
    }
    if (rested) break;
    first_->start();
    ++kills;
  }
  EXPECT_GT(kills, 2);
  EXPECT_EQ(move().trouble, "");
  EXPECT_EQ(print_of(*cold_, "t_cold"), before);
  EXPECT_EQ(value(*hot_, "SELECT count() FROM t_hot.trades"), "0");
}

// The whole service: rows of yesterday come over the bus, and its health tells how far it is.
TEST_F(Tiers, TheServiceMovesDaysByItselfAndTellsIt) {
  MP_NEEDS_NATS(test::NatsVersion::current);
  test::NatsServer nats;
  options_.nats.urls = {nats.url()};
  options_.stream.subjects = wire::stream_subjects();
  options_.stream.max_bytes = 500'000'000;
  options_.data_source = DataSource::live;
  options_.tiers.drop_after = 0ms;
  options_.tiers.interval = 1s;
  for (auto& [type, limits] : options_.batches) limits.timeout = 200ms;
  options_.lease_ttl = 1500ms;
  options_.health_listen = options_.metrics_listen = "127.0.0.1:0";
  auto started = Storage::start(options_);
  ASSERT_TRUE(started) << started.error().text();
  auto& storage = **started;
  const auto eventually = [](auto holds) {
    const auto deadline = net::now().mono + 60s;
    while (!holds()) {
      if (net::now().mono > deadline) return false;
      std::this_thread::sleep_for(50ms);
    }
    return true;
  };
  ASSERT_TRUE(eventually([&] { return storage.health().healthy; }));
  insert_trades(1, 100, 50);
  ASSERT_TRUE(eventually([&] { return value(*cold_, "SELECT count() FROM t_cold.trades") == "50"; }));
  const auto day = value(*hot_, "SELECT toString(today() - 1)");
  ASSERT_TRUE(eventually([&] {
    return storage.health().json.find(fmt::format(R"("trades":{{"last_verified":"{}","days_waiting":0}})", day)) !=
           std::string::npos;
  })) << storage.health().json;
  EXPECT_TRUE(storage.health().healthy);
  const auto metrics =
      net::HttpClient().request({.url = "http://" + storage.metrics_address() + "/metrics"}).value().body;
  EXPECT_THAT(metrics, HasSubstr("\nmarketprism_storage_tier_rows_copied_total 50\n"));
  EXPECT_THAT(metrics, HasSubstr("\nmarketprism_storage_tier_lag_seconds 0\n"));
  // A row that differs turns it red.
  run(*hot_,
      "INSERT INTO t_cold.trades SELECT * REPLACE (price + 1 AS price, toUInt64(999) AS bus_sequence) FROM t_hot.trades LIMIT 1");
  run(*hot_, "INSERT INTO t_hot.trades SELECT * REPLACE (toUInt64(999) AS bus_sequence) FROM t_hot.trades LIMIT 1");
  ASSERT_TRUE(eventually([&] { return !storage.health().healthy; }));
  EXPECT_THAT(storage.health().json, HasSubstr(R"("problem":"rows differ between hot and cold: trades )"));
}

}  // namespace
}  // namespace mp::storage
