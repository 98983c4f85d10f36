#include "sim/server.hpp"

#include <gmock/gmock.h>
#include <simdjson.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <thread>

#include "sim/binance/exchange.hpp"
#include "sim/binance/playback.hpp"
#include "sim/capture_file.hpp"
#include "sim/ledger_file.hpp"
#include "sim/tests/raw_client.hpp"

namespace mp::sim {
namespace {

using namespace std::chrono_literals;
using test::RawClient;
using testing::HasSubstr;
using testing::StartsWith;
namespace dom = simdjson::dom;

struct TemporaryDirectory {
  TemporaryDirectory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "mp-sim-XXXXXX").string();
    path = ::mkdtemp(pattern.data());
  }
  ~TemporaryDirectory() { std::filesystem::remove_all(path); }
  std::string file(const std::string& name) const { return path + "/" + name; }
  std::string path;
};

std::vector<std::string> lines_of(const std::string& path) {
  std::ifstream in(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

// A simulated Binance on a free port, served by a thread of its own.
class Running {
 public:
  struct Setup {
    ServerOptions server;
    binance::ExchangeOptions exchange;
    LedgerFile* ledger = nullptr;
  };
  static Setup setup(int rate = 2000) {
    Setup s;
    s.server.port = 0;
    s.exchange.market.start = std::chrono::time_point_cast<Nanos>(std::chrono::system_clock::now());
    s.exchange.market.rate = rate;
    return s;
  }

  explicit Running(const Setup& s) : clock_(s.exchange.market.start) {
    auto listening = Server::listen(s.server);
    if (!listening) throw std::runtime_error(listening.error().text());
    server_ = std::move(*listening);
    exchange_ = std::make_unique<binance::Exchange>(binance::usual_symbols(s.exchange.market.start), s.exchange,
                                                    *server_, s.ledger);
    thread_ = std::thread([this] { server_->run(*exchange_, clock_, std::nullopt); });
  }
  ~Running() { stop(); }
  std::uint16_t port() const { return server_->port(); }
  void request_stop() { server_->stop(); }
  // Everything is over when it returns.
  ServerCounters stop() {
    if (thread_.joinable()) {
      server_->stop();
      thread_.join();
    }
    return server_->counters();
  }

 private:
  SimClock clock_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<binance::Exchange> exchange_;
  std::thread thread_;
};

TEST(SimServer, LedgerEqualsWhatARawClientReceivedUpToTheLastMessage) {
  TemporaryDirectory directory;
  auto ledger = LedgerFile::open(directory.file("ledger.jsonl"));
  ASSERT_TRUE(ledger.has_value()) << ledger.error().text();
  auto setup = Running::setup(5000);
  setup.ledger = ledger->get();
  Running sim(setup);
  RawClient client(sim.port());
  ASSERT_EQ(client.upgrade("/stream?streams=btcusdt@aggTrade/ethusdt@depth@100ms").status, 101);

  std::vector<std::string> trades;
  std::uint64_t last_update = 0;
  const auto take = [&](const std::string& message) {
    dom::parser parser;
    const dom::element root = parser.parse(message);
    if (std::string_view{root["stream"]} == "btcusdt@aggTrade")
      trades.push_back(std::to_string(std::uint64_t{root["data"]["a"]}) + " " +
                       Decimal::parse(std::string_view{root["data"]["p"]})->text());
    else
      last_update = std::uint64_t{root["data"]["u"]};
  };
  while (trades.size() < 500) {
    const auto message = client.message();
    ASSERT_TRUE(message) << "after " << trades.size();
    take(*message);
  }
  sim.request_stop();
  while (const auto message = client.message()) take(*message);
  EXPECT_EQ(client.close_code, 1001);
  client.goodbye();
  const auto counters = sim.stop();
  EXPECT_EQ(counters.clients, 1U);
  EXPECT_EQ(counters.dropped_at_end, 0U);

  const auto lines = lines_of(directory.file("ledger.jsonl"));
  ASSERT_EQ(lines.size(), trades.size() + 1);
  for (std::size_t i = 0; i < trades.size(); ++i) {
    dom::parser parser;
    const dom::element root = parser.parse(lines[i]);
    EXPECT_EQ(std::string(std::string_view{root["trade_id"]}) + " " + std::string(std::string_view{root["price"]}),
              trades[i]);
  }
  dom::parser parser;
  const dom::element book = parser.parse(lines.back());
  EXPECT_EQ(std::string_view{book["type"]}, "orderbook");
  EXPECT_EQ(std::string_view{book["symbol"]}, "ETH-USDT");
  EXPECT_EQ(std::uint64_t{book["last_update_id"]}, last_update);
}

TEST(SimServer, AppendsToALedgerThatIsThere) {
  TemporaryDirectory directory;
  for (int i = 0; i < 2; ++i) {
    auto ledger = LedgerFile::open(directory.file("ledger.jsonl"));
    ASSERT_TRUE(ledger.has_value());
    (*ledger)->line("{}");
  }
  EXPECT_EQ(lines_of(directory.file("ledger.jsonl")).size(), 2U);
  const auto refused = LedgerFile::open(directory.file("no/such/ledger.jsonl"));
  ASSERT_FALSE(refused.has_value());
  EXPECT_THAT(refused.error().text(), HasSubstr("no/such/ledger.jsonl"));
}

TEST(SimServer, TellsWhenTheLedgerCannotBeWritten) {
  auto ledger = LedgerFile::open("/dev/full");
  ASSERT_TRUE(ledger.has_value());
  (*ledger)->line("{}");
  (*ledger)->flush();
  EXPECT_THAT((*ledger)->failure(), HasSubstr("/dev/full is incomplete"));
}

TEST(SimServer, AnswersRestOnOneConnectionAfterTheOther) {
  Running sim(Running::setup());
  RawClient client(sim.port());
  const auto depth = client.get("/api/v3/depth?symbol=BTCUSDT&limit=5000");
  EXPECT_EQ(depth.status, 200);
  EXPECT_EQ(depth.header("X-MBX-USED-WEIGHT-1M"), "250");
  EXPECT_THAT(depth.body, StartsWith("{\"lastUpdateId\":"));
  EXPECT_EQ(client.get("/fapi/v1/ping").body, "{}");
  EXPECT_EQ(client.get("/nothing").status, 404);
  EXPECT_EQ(client.get("/ws/btcusdt@trade").status, 404) << "not without an upgrade";
  EXPECT_EQ(client.upgrade("/nowhere").status, 404);
  EXPECT_EQ(client.get("/fapi/v1/historicalTrades?symbol=BTCUSDT", "X-MBX-APIKEY: k\r\n").status, 200);
  EXPECT_THAT(client.get("/api/v3/time", "X-MBX-TIME-UNIT: MICROSECOND\r\n").body.size(), 31U);
  EXPECT_EQ(sim.stop().requests, 6U);
}

TEST(SimServer, RefusesRequestsBeyondTheWeightLimit) {
  auto setup = Running::setup();
  setup.exchange.limits.spot_weight_per_minute = 300;
  Running sim(setup);
  RawClient client(sim.port());
  int refused = 0;
  for (int i = 0; i < 3; ++i) {
    const auto answer = client.get("/api/v3/depth?symbol=BTCUSDT&limit=5000");
    if (answer.status != 429) continue;
    ++refused;
    EXPECT_GT(std::stoi(answer.header("Retry-After")), 0);
  }
  EXPECT_GE(refused, 1);  // one or two: a minute may have ended in between
}

TEST(SimServer, DisconnectsTheClientThatDoesNotReadAndServesTheOthers) {
  auto setup = Running::setup(10'000);
  setup.server.queue_bytes = 1 << 20;
  setup.server.send_buffer = 64 * 1024;
  setup.server.drain = 300ms;
  Running sim(setup);
  RawClient slow(sim.port(), "", 4096);
  ASSERT_EQ(slow.upgrade("/stream?streams=btcusdt@depth20@100ms/ethusdt@depth20@100ms/solusdt@depth20@100ms").status,
            101);
  RawClient reading(sim.port());
  ASSERT_EQ(reading.upgrade("/ws/btcusdt@aggTrade").status, 101);
  // By the simulation's own clock, however loaded the machine is: in this time the slow one is sent several megabytes.
  std::uint64_t first = 0, last = 0;
  while (last < first + 2500 || first == 0) {
    const auto message = reading.message();
    ASSERT_TRUE(message) << "close code " << reading.close_code << " at " << last - first << " ms";
    dom::parser parser;
    last = std::uint64_t{parser.parse(*message)["E"]};
    if (first == 0) first = last;
  }
  reading.goodbye();
  EXPECT_TRUE(slow.ends());
  EXPECT_EQ(sim.stop().dropped_slow, 1U);
}

TEST(SimServer, DropsTheClientThatDoesNotAnswerPings) {
  auto setup = Running::setup(100);
  setup.exchange.limits.spot_ping = 150ms;
  setup.exchange.limits.spot_pong = 1000ms;
  setup.exchange.limits.spot_incoming_per_second = 0;
  Running sim(setup);
  RawClient answering(sim.port());
  ASSERT_EQ(answering.upgrade("/ws").status, 101);
  RawClient silent(sim.port());
  ASSERT_EQ(silent.upgrade("/ws").status, 101);
  RawClient empty_pongs(sim.port());
  ASSERT_EQ(empty_pongs.upgrade("/ws").status, 101);

  int pings = 0;
  while (pings < 12) {
    auto f = answering.frame();
    ASSERT_TRUE(f);
    if (!f->is_ping()) continue;
    ++pings;
    answering.send(10, f->payload);
    if (pings < 5) empty_pongs.send(10, "");  // a pong without the payload does not count
  }
  EXPECT_TRUE(silent.ends());
  EXPECT_TRUE(empty_pongs.ends());
  EXPECT_FALSE(answering.closed());
  answering.text(R"({"method":"LIST_SUBSCRIPTIONS","id":1})");
  EXPECT_EQ(answering.message().value_or("nothing"), R"({"result":[],"id":1})");
  answering.goodbye();
  EXPECT_EQ(sim.stop().dropped_silent, 2U);
}

TEST(SimServer, DisconnectsTheClientThatTalksTooMuch) {
  Running sim(Running::setup(100));
  RawClient client(sim.port());
  ASSERT_EQ(client.upgrade("/ws").status, 101);
  for (int i = 0; i < 6; ++i) client.text(R"({"method":"LIST_SUBSCRIPTIONS","id":1})");
  int answers = 0;
  while (client.message()) ++answers;
  EXPECT_EQ(answers, 5);
  EXPECT_EQ(client.close_code, 1008);
  client.goodbye();
  EXPECT_EQ(sim.stop().dropped_talking, 1U);
}

TEST(SimServer, EndsConnectionsAfterTheirLifetime) {
  auto setup = Running::setup(100);
  setup.exchange.limits.lifetime = 200ms;
  Running sim(setup);
  RawClient client(sim.port());
  ASSERT_EQ(client.upgrade("/ws/btcusdt@trade").status, 101);
  while (client.message()) {
  }
  EXPECT_EQ(client.close_code, 1001);
  client.goodbye();
  EXPECT_EQ(sim.stop().expired, 1U);
}

TEST(SimServer, CompressesForTheClientThatAsksForIt) {
  Running sim(Running::setup(2000));
  RawClient plain(sim.port());
  RawClient compressed(sim.port());
  const std::string target = "/ws/btcusdt@aggTrade";
  EXPECT_EQ(plain.upgrade(target).header("Sec-WebSocket-Extensions"), "");
  EXPECT_THAT(
      compressed.upgrade(target, "Sec-WebSocket-Extensions: permessage-deflate\r\n").header("Sec-WebSocket-Extensions"),
      HasSubstr("permessage-deflate"));
  const auto first = compressed.message();
  ASSERT_TRUE(first);
  std::optional<std::string> same;
  do {
    same = plain.message();
    ASSERT_TRUE(same);
  } while (*same != *first);
  for (int i = 0; i < 50; ++i) EXPECT_EQ(plain.message(), compressed.message());
}

TEST(SimServer, SpeaksTlsWithTheCertificateItWasGiven) {
  TemporaryDirectory directory;
  const std::string certificate = directory.file("cert.pem");
  const std::string key = directory.file("key.pem");
  const std::string command =
      "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext "
      "subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout " +
      key + " -out " + certificate + " 2>/dev/null";
  ASSERT_EQ(std::system(command.c_str()), 0) << "the openssl command is needed";
  auto setup = Running::setup();
  setup.server.tls = true;
  setup.server.certificate = certificate;
  setup.server.key = key;
  {
    Running sim(setup);
    RawClient rest(sim.port(), certificate);
    EXPECT_EQ(rest.get("/fapi/v1/ping").body, "{}");
    RawClient client(sim.port(), certificate);
    ASSERT_EQ(client.upgrade("/market/ws/btcusdt@aggTrade").status, 101);
    for (int i = 0; i < 100; ++i) ASSERT_TRUE(client.message());
    EXPECT_THROW(RawClient(sim.port(), "/dev/null"), std::runtime_error) << "an unknown authority";
  }
  setup.server.certificate = key;
  const auto refused = Server::listen(setup.server);
  ASSERT_FALSE(refused.has_value());
  EXPECT_THAT(refused.error().text(), HasSubstr("--certificate " + key));
}

TEST(SimServer, PlaysACaptureAndEndsWithIt) {
  TemporaryDirectory directory;
  std::ofstream(directory.file("capture.jsonl"))
      << R"({"t":1700000000,"dir":"recv","transport":"rest","url":"https://api.binance.com/api/v3/depth?symbol=XUSDT&limit=5000","raw":"{\"lastUpdateId\":5}"})"
      << "\n\n"
      << R"({"t":1700000000.1,"dir":"recv","transport":"ws","url":"wss://stream.binance.com:9443/stream","raw":"{\"stream\":\"xusdt@trade\",\"data\":{\"t\":1}}"})"
      << "\n"
      << R"({"t":1700000000.4,"dir":"recv","transport":"ws","url":"wss://stream.binance.com:9443/stream","raw":"{\"stream\":\"xusdt@trade\",\"data\":{\"t\":2}}"})"
      << "\n";
  auto recording = read_capture(directory.file("capture.jsonl"));
  ASSERT_TRUE(recording.has_value()) << recording.error().text();
  std::vector<binance::Recording> recordings;
  recordings.push_back(std::move(*recording));

  ServerOptions options;
  options.port = 0;
  auto server = Server::listen(options);
  ASSERT_TRUE(server.has_value());
  binance::PlaybackOptions playback_options;
  playback_options.start_delay = 50ms;
  binance::Playback playback(std::move(recordings), playback_options, **server);
  const SimClock clock(std::chrono::time_point_cast<Nanos>(std::chrono::system_clock::now()));
  std::thread thread([&] { (*server)->run(playback, clock, std::nullopt); });

  RawClient rest((*server)->port());
  EXPECT_EQ(rest.get("/api/v3/depth?symbol=XUSDT&limit=100").body, R"({"lastUpdateId":5})");
  RawClient client((*server)->port());
  const auto subscribed = std::chrono::steady_clock::now();
  EXPECT_EQ(client.upgrade("/stream?streams=xusdt@trade").status, 101);
  EXPECT_EQ(client.message().value_or("nothing"), R"({"stream":"xusdt@trade","data":{"t":1}})");
  EXPECT_EQ(client.message().value_or("nothing"), R"({"stream":"xusdt@trade","data":{"t":2}})");
  EXPECT_GE(std::chrono::steady_clock::now() - subscribed, 350ms);
  EXPECT_EQ(client.message(), std::nullopt);
  EXPECT_EQ(client.close_code, 1001);
  client.goodbye();
  thread.join();
}

TEST(SimServer, GoesOnBehindABadLineOfACaptureAndNamesIt) {
  TemporaryDirectory directory;
  std::ofstream(directory.file("bad.jsonl"))
      << "\xEF\xBB\xBF"
      << R"({"t":1,"dir":"send","transport":"ws"})"
      << "\r\nnonsense\n"
      << R"({"t":2,"dir":"recv","transport":"ws","url":"wss://stream.binance.com/stream","raw":"{\"stream\":\"xusdt@trade\",\"data\":{\"t\":1}}"})"
      << "\n{\"t\":3,\"dir\":";
  const auto recording = read_capture(directory.file("bad.jsonl"));
  ASSERT_TRUE(recording) << recording.error().text();
  EXPECT_EQ(recording->messages.size(), 1u);
  EXPECT_EQ(recording->broken, 2u);
  ASSERT_EQ(recording->first_broken.size(), 2u);
  EXPECT_THAT(recording->first_broken[0].text(), HasSubstr("bad.jsonl line 2"));
  EXPECT_THAT(recording->first_broken[1].text(), HasSubstr("bad.jsonl line 4"));
}

TEST(SimServer, RefusesWhatIsNoCapture) {
  TemporaryDirectory directory;
  std::ofstream(directory.file("notes.txt")) << "nonsense\nmore\n";
  EXPECT_THAT(read_capture(directory.file("notes.txt")).error().text(), HasSubstr("notes.txt line 1"));
  EXPECT_THAT(read_capture(directory.file("none.jsonl")).error().text(), HasSubstr("none.jsonl"));
  EXPECT_THAT(read_capture(directory.path).error().text(), HasSubstr("directory"));
  std::ofstream(directory.file("empty.jsonl")) << "\n";
  EXPECT_THAT(read_capture(directory.file("empty.jsonl")).error().text(), HasSubstr("holds nothing"));
}

TEST(SimServer, NamesAPortThatIsTaken) {
  Running sim(Running::setup());
  ServerOptions options;
  options.port = sim.port();
  const auto refused = Server::listen(options);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Errc::conflict);
  EXPECT_THAT(refused.error().text(), HasSubstr("127.0.0.1:" + std::to_string(sim.port())));
}

}  // namespace
}  // namespace mp::sim
