#include "sim/binance/playback.hpp"

#include <gmock/gmock.h>

namespace mp::sim::binance {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const WallTime kStart = *parse_iso("2026-11-23T04:00:00Z");

struct Inbox : Delivery {
  void send(ClientId client, std::string_view text) override { messages[client].emplace_back(text); }
  void close(ClientId, std::string_view) override {}
  std::vector<std::string> take(ClientId client) { return std::exchange(messages[client], {}); }
  std::map<ClientId, std::vector<std::string>> messages;
};

Recording record(std::initializer_list<const char*> lines) {
  RecordingReader reader("test");
  for (const char* line : lines) {
    const auto read = reader.line(line);
    EXPECT_TRUE(read.has_value()) << read.error().text();
  }
  return reader.take();
}

Recording usdm() {
  return record({
      R"({"t":1700000000.5,"dir":"recv","transport":"rest","url":"https://fapi.binance.com/fapi/v1/exchangeInfo","raw":"{\"symbols\":[]}","conn":"0"})",
      R"({"t":1700000001,"dir":"connect","transport":"ws","url":"wss://fstream.binance.com/stream?streams=xusdt@aggTrade/xusdt@depth@100ms","raw":"","conn":"1"})",
      R"({"t":1700000001.25,"dir":"recv","transport":"ws","url":"wss://fstream.binance.com/stream","raw":"{\"stream\":\"xusdt@aggTrade\",\"data\":{\"a\":1}}","conn":"1"})",
      R"({"t":1700000001.75,"dir":"recv","transport":"rest","url":"https://fapi.binance.com/fapi/v1/depth?symbol=XUSDT&limit=1000","raw":"{\"lastUpdateId\":5}","conn":"0"})",
      R"({"t":1700000002.25,"dir":"recv","transport":"ws","url":"wss://fstream.binance.com/stream","raw":"{\"stream\":\"xusdt@depth@100ms\",\"data\":{\"U\":4,\"u\":6}}","conn":"1"})",
      R"({"t":1700000003.25,"dir":"recv","transport":"rest","url":"https://fapi.binance.com/fapi/v1/depth?symbol=XUSDT&limit=1000","raw":"{\"lastUpdateId\":9}","conn":"0"})",
      R"({"t":1700000005.25,"dir":"recv","transport":"ws","url":"wss://fstream.binance.com/stream","raw":"{\"stream\":\"xusdt@aggTrade\",\"data\":{\"a\":2}}","conn":"1"})",
  });
}

struct PlayedBack : testing::Test {
  void make(std::vector<Recording> recordings, double speed = 1.0) {
    PlaybackOptions options;
    options.speed = speed;
    options.start_delay = 100ms;
    playback = std::make_unique<Playback>(std::move(recordings), options, inbox);
  }
  HttpAnswer get(std::string_view target, Nanos after) {
    HttpRequest request;
    request.target = target;
    return playback->rest(request, kStart + after);
  }
  Inbox inbox;
  std::unique_ptr<Playback> playback;
};

TEST_F(PlayedBack, KeepsThePaceFromTheFirstSubscriptionOn) {
  make({usdm()});
  EXPECT_TRUE(playback->advance(kStart));
  EXPECT_FALSE(playback->next_due()) << "nobody listens yet";
  ASSERT_TRUE(playback->open(1, "/market/stream?streams=xusdt@aggTrade"));
  ASSERT_TRUE(playback->open(2, "/public/ws/xusdt@depth@100ms"));
  EXPECT_TRUE(playback->advance(kStart));
  EXPECT_EQ(*playback->next_due(), kStart + 100ms);
  playback->advance(kStart + 99ms);
  EXPECT_THAT(inbox.take(1), IsEmpty());
  playback->advance(kStart + 100ms);
  EXPECT_THAT(inbox.take(1), ElementsAre(R"({"stream":"xusdt@aggTrade","data":{"a":1}})"));
  playback->advance(kStart + 1099ms);
  EXPECT_THAT(inbox.take(2), IsEmpty());
  playback->advance(kStart + 1100ms);
  EXPECT_THAT(inbox.take(2), ElementsAre(R"({"U":4,"u":6})"));
  EXPECT_FALSE(playback->done());
  playback->advance(kStart + 4100ms);
  EXPECT_THAT(inbox.take(1), ElementsAre(R"({"stream":"xusdt@aggTrade","data":{"a":2}})"));
  EXPECT_TRUE(playback->done());
  EXPECT_EQ(playback->played(), 3U);
  EXPECT_EQ(playback->unheard(), 0U);
}

TEST_F(PlayedBack, GoesFasterWhenTold) {
  make({usdm()}, 10.0);
  ASSERT_TRUE(playback->open(1, "/market/ws/xusdt@aggTrade"));
  playback->advance(kStart);
  playback->advance(kStart + 499ms);
  EXPECT_THAT(inbox.take(1), ElementsAre(R"({"a":1})"));
  playback->advance(kStart + 500ms);
  EXPECT_THAT(inbox.take(1), ElementsAre(R"({"a":2})"));
  EXPECT_EQ(playback->unheard(), 1U);
}

TEST_F(PlayedBack, OfUsdmIsSilentOnTheWrongRouteAndOnSpot) {
  make({usdm()});
  ASSERT_TRUE(playback->open(1, "/public/ws/xusdt@aggTrade"));
  ASSERT_TRUE(playback->open(2, "/ws/xusdt@aggTrade"));
  playback->advance(kStart);
  playback->advance(kStart + 60s);
  EXPECT_THAT(inbox.messages, IsEmpty());
  EXPECT_FALSE(playback->done());
}

TEST_F(PlayedBack, AnswersRestAtAnyTimeWhateverTheLimit) {
  make({usdm()});
  EXPECT_EQ(get("/fapi/v1/exchangeInfo", 0s).body, R"({"symbols":[]})");
  EXPECT_EQ(get("/fapi/v1/depth?limit=50&symbol=XUSDT", 0s).body, R"({"lastUpdateId":5})");
  ASSERT_TRUE(playback->open(1, "/market/ws/xusdt@aggTrade"));
  playback->advance(kStart);
  EXPECT_EQ(get("/fapi/v1/depth?symbol=XUSDT", 2099ms).body, R"({"lastUpdateId":5})");
  EXPECT_EQ(get("/fapi/v1/depth?symbol=XUSDT", 2101ms).body, R"({"lastUpdateId":9})") << "by then it had been recorded";
  EXPECT_EQ(get("/fapi/v1/depth?symbol=YUSDT", 0s).status, 404);
  EXPECT_EQ(get("/fapi/v1/ping", 0s).body, "{}");
}

TEST_F(PlayedBack, WaitsForEveryRecording) {
  Recording spot = record({
      R"({"t":1600000000,"dir":"recv","transport":"ws","url":"wss://stream.binance.com:9443/ws/abc@trade","raw":"{\"t\":7}"})",
  });
  make({usdm(), std::move(spot)});
  ASSERT_TRUE(playback->open(1, "/market/ws/xusdt@aggTrade"));
  playback->advance(kStart);
  playback->advance(kStart + 10s);
  EXPECT_FALSE(playback->done());
  ASSERT_TRUE(playback->open(2, "/stream?streams=abc@trade"));
  playback->advance(kStart + 10s);
  playback->advance(kStart + 11s);
  EXPECT_THAT(inbox.take(2), ElementsAre(R"({"stream":"abc@trade","data":{"t":7}})"));
  EXPECT_TRUE(playback->done());
}

TEST(Recordings, CountWhatCannotBeServed) {
  const auto recording = record({
      R"({"t":1,"dir":"recv","transport":"ws","url":"wss://dstream.binance.com/stream","raw":"{\"stream\":\"a@trade\",\"data\":{}}"})",
      R"({"t":1,"dir":"recv","transport":"ws","url":"wss://stream.binance.com/stream","raw":"{\"result\":null,\"id\":1}"})",
      R"({"t":1,"dir":"send","transport":"ws","url":"wss://stream.binance.com/stream","raw":"{}"})",
  });
  EXPECT_EQ(recording.skipped, 2U);
  EXPECT_THAT(recording.messages, IsEmpty());
}

TEST(Recordings, RefuseLinesThatAreNone) {
  RecordingReader reader("x");
  EXPECT_EQ(reader.line("hello").error().code, Errc::not_json);
  EXPECT_EQ(reader.line(R"({"a":1})").error().code, Errc::missing_field);
  EXPECT_EQ(reader.line(R"({"t":"x","dir":"recv","transport":"ws"})").error().code, Errc::bad_time);
}

}  // namespace
}  // namespace mp::sim::binance
