// How fast the embedded ClickHouse takes trade-like rows: by the engine's own interface and by
// HTTP, each in inserts of several sizes.
//   cmake --build --preset release --target clickhouse_insert &&
//   build/release/bin/clickhouse_insert [seconds per case]
#include <fmt/format.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>

#include "engine/clickhouse_server.hpp"
#include "net/http_client.hpp"

namespace {

using mp::engine::InsertStream;
using Clock = std::chrono::steady_clock;

constexpr const char* kTable =
    "CREATE OR REPLACE TABLE trades (exchange LowCardinality(String), symbol "
    "LowCardinality(String), timestamp DateTime64(9, 'UTC') "
    "CODEC(DoubleDelta, ZSTD), trade_id String, price Decimal(38, 12), quantity Decimal(38, 12), "
    "bus_sequence UInt64) "
    "ENGINE = MergeTree ORDER BY (exchange, symbol, timestamp, trade_id) SETTINGS "
    "fsync_after_insert = {0}, fsync_part_directory = {0}";

void put(std::string& out, const void* bytes, std::size_t size) { out.append(static_cast<const char*>(bytes), size); }
void put_text(std::string& out, const std::string& text) {
  out += static_cast<char>(text.size());
  out += text;
}

std::string row_binary(std::size_t rows) {
  std::string out;
  for (std::uint64_t i = 0; i < rows; ++i) {
    const std::int64_t at = 1'790'000'000'000'000'000 + static_cast<std::int64_t>(i) * 1'000'000;
    const std::uint64_t price[2] = {650'001'000'000'000 + i, 0};
    const std::uint64_t quantity[2] = {250'000'000'000, 0};
    put_text(out, "binance");
    put_text(out, i % 3 == 0 ? "BTC-USDT" : "ETH-USDT");
    put(out, &at, sizeof at);
    put_text(out, std::to_string(2'718'281'828 + i));
    put(out, price, sizeof price);
    put(out, quantity, sizeof quantity);
    put(out, &i, sizeof i);
  }
  return out;
}

void measure(const std::string& name, std::size_t rows, double seconds, const std::function<bool()>& insert) {
  const auto begin = Clock::now();
  std::size_t inserts = 0;
  double elapsed = 0;
  while (elapsed < seconds) {
    if (!insert()) return;
    ++inserts;
    elapsed = std::chrono::duration<double>(Clock::now() - begin).count();
  }
  fmt::print("{:<34} {:>8} rows/insert {:>10.0f} rows/s {:>8.2f} ms/insert\n", name, rows,
             static_cast<double>(rows * inserts) / elapsed, elapsed * 1000 / static_cast<double>(inserts));
}

bool insert_direct(mp::engine::Connection& connection, const std::string& data) {
  auto stream = InsertStream::open(connection, "INSERT INTO trades", "RowBinary", {});
  const bool done = stream && stream->append(data) && stream->finish();
  if (!done) fmt::print("direct insert failed\n");
  return done;
}

bool insert_by_http(mp::net::HttpClient& client, const std::string& url, const std::string& data) {
  const auto answer = client.request({.method = "POST", .url = url, .body_parts = {data}});
  const bool done = answer && answer->status == 200;
  if (!done) fmt::print("insert failed: {}\n", answer ? answer->body : answer.error().text());
  return done;
}

}  // namespace

int main(int argc, char** argv) {
  const double seconds = argc > 1 ? std::atof(argv[1]) : 3.0;
  std::string directory = (std::filesystem::temp_directory_path() / "mp-bench-XXXXXX").string();
  if (::mkdtemp(directory.data()) == nullptr) return 1;
  {
    auto engine = mp::engine::Engine::open(directory);
    if (!engine) return fmt::print("{}\n", engine.error().text()), 1;
    auto server = mp::engine::ClickHouseServer::start(**engine, {.listen = "127.0.0.1:0"});
    auto connection = (*engine)->connect();
    mp::net::HttpClient client;
    const std::string url = "http://" + (*server)->address() + "/?query=INSERT%20INTO%20trades%20FORMAT%20RowBinary";
    const std::string settings = "&async_insert=0&max_insert_block_size=1048576";
    for (const int fsync : {0, 1}) {
      fmt::print("fsync_after_insert = {}\n", fsync);
      for (const std::size_t rows :
           {std::size_t{1}, std::size_t{100}, std::size_t{1000}, std::size_t{10'000}, std::size_t{100'000}}) {
        const std::string data = row_binary(rows);
        if (auto made = connection->query(fmt::format(kTable, fsync), "Null"); !made)
          return fmt::print("{}\n", made.error().text), 1;
        measure("direct", rows, seconds, [&] { return insert_direct(*connection, data); });
        measure("HTTP", rows, seconds, [&] { return insert_by_http(client, url, data); });
        measure("HTTP, session and settings", rows, seconds,
                [&] { return insert_by_http(client, url + settings + "&session_id=s", data); });
      }
    }
    (*server)->stop(std::chrono::seconds(5));
  }
  std::error_code ec;
  std::filesystem::remove_all(directory, ec);
}
