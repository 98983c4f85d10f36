// Every simulated venue over real sockets on one port, each spoken to as its documentation says.
#include <gmock/gmock.h>

#include <thread>

#include "sim/ledger_file.hpp"
#include "sim/server.hpp"
#include "sim/tests/raw_client.hpp"
#include "sim/world.hpp"

namespace mp::sim {
namespace {

using namespace std::chrono_literals;
using test::RawClient;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

class Loopback : public testing::Test {
 protected:
  void start(const FaultOptions& faults = {}, int rate = 2000) {
    WorldOptions options;
    options.market.start = std::chrono::time_point_cast<Nanos>(std::chrono::system_clock::now());
    options.market.rate = rate;
    options.faults = faults;
    ServerOptions where;
    where.port = 0;
    auto listening = Server::listen(where);
    ASSERT_TRUE(listening.has_value()) << listening.error().text();
    server_ = std::move(*listening);
    clock_.emplace(options.market.start);
    world_ = make_world(*choose_sources(options.market.start, {}, "4"), options, *server_, nullptr);
    thread_ = std::thread([this] { server_->run(*world_, *clock_, std::nullopt); });
  }
  void TearDown() override {
    if (!thread_.joinable()) return;
    server_->stop();
    thread_.join();
  }
  // The first message that contains the text, of the next two hundred.
  static std::string find(RawClient& client, const std::string& text) {
    for (int i = 0; i < 200; ++i) {
      const auto message = client.message();
      if (!message) break;
      if (message->find(text) != std::string::npos) return *message;
    }
    return "";
  }

  std::unique_ptr<Server> server_;
  std::optional<SimClock> clock_;
  std::unique_ptr<Venues> world_;
  std::thread thread_;
};

TEST_F(Loopback, Okx) {
  start();
  RawClient client(server_->port());
  ASSERT_EQ(client.upgrade("/ws/v5/public").status, 101);
  client.text("ping");
  EXPECT_EQ(client.message().value_or(""), "pong");
  client.text(
      R"({"id":"1","op":"subscribe","args":[{"channel":"books","instId":"BTC-USDT"},{"channel":"trades","instId":"BTC-USDT-SWAP"}]})");
  EXPECT_THAT(client.message().value_or(""), StartsWith(R"({"id":"1","event":"subscribe","arg":{"channel":"books")"));
  EXPECT_THAT(client.message().value_or(""),
              AllOf(HasSubstr(R"("action":"snapshot")"), HasSubstr(R"("prevSeqId":-1)")));
  EXPECT_NE(find(client, R"("action":"update")"), "");
  EXPECT_NE(find(client, R"("channel":"trades")"), "");
  RawClient rest(server_->port());
  EXPECT_THAT(rest.get("/api/v5/public/instruments?instType=SWAP").body, StartsWith(R"({"code":"0","data":[{)"));
  client.goodbye();
}

TEST_F(Loopback, Deribit) {
  start();
  RawClient client(server_->port());
  ASSERT_EQ(client.upgrade("/ws/api/v2").status, 101);
  client.text(
      R"({"jsonrpc":"2.0","id":5,"method":"public/subscribe","params":{"channels":["book.BTC-PERPETUAL.100ms","trades.future.any.100ms","none"]}})");
  EXPECT_THAT(
      client.message().value_or(""),
      StartsWith(R"({"jsonrpc":"2.0","id":5,"result":["book.BTC-PERPETUAL.100ms","trades.future.any.100ms"],)"));
  EXPECT_THAT(client.message().value_or(""), HasSubstr(R"("type":"snapshot")"));
  EXPECT_NE(find(client, R"("type":"change")"), "");
  EXPECT_NE(find(client, R"("trade_seq":)"), "");
  RawClient rest(server_->port());
  EXPECT_THAT(rest.get("/api/v2/public/get_instruments?currency=BTC").body,
              HasSubstr(R"("instrument_name":"BTC-PERPETUAL")"));
  EXPECT_EQ(rest.get("/api/v2/public/nothing").status, 400);
  client.goodbye();
}

TEST_F(Loopback, BinanceBesideThem) {
  start();
  RawClient client(server_->port());
  ASSERT_EQ(client.upgrade("/market/stream?streams=btcusdt@markPrice@1s/btcusdt@aggTrade").status, 101);
  EXPECT_NE(find(client, R"("e":"markPriceUpdate")"), "");
  RawClient rest(server_->port());
  EXPECT_THAT(rest.get("/fapi/v1/openInterest?symbol=BTCUSDT").body, StartsWith(R"({"openInterest":")"));
  EXPECT_EQ(rest.get("/api/v3/ping").body, "{}");
  client.goodbye();
}

TEST_F(Loopback, AConnectionIsToldToGoAndClosed) {
  FaultOptions faults;
  faults.notice_every = 300ms;
  faults.notice_before = 200ms;
  start(faults, 10);
  RawClient client(server_->port());
  ASSERT_EQ(client.upgrade("/ws/v5/public").status, 101);
  EXPECT_NE(find(client, R"("code":"64008")"), "");
  while (client.message()) {
  }
  EXPECT_EQ(client.close_code, 1001);
  client.goodbye();
  TearDown();
  EXPECT_GE(server_->counters().closed_by_venue, 1U);
}

}  // namespace
}  // namespace mp::sim
