#include "exchanges/binance/decode.hpp"

#include <filesystem>
#include <random>

#include "support.hpp"

namespace mp::binance {
namespace {

const std::vector<std::string> kFrames{
    "spot_ws_agg_trade.json",    "spot_ws_trade.json",        "spot_ws_trade_us.json",   "spot_ws_depth_update.json",
    "spot_ws_book_ticker.json",  "spot_ws_partial_depth.json", "spot_ws_shutdown.json",  "usdm_ws_agg_trade.json",
    "usdm_ws_trade.json",        "usdm_ws_trade_na.json",     "usdm_ws_depth_update.json", "usdm_ws_partial_depth.json",
    "usdm_ws_coin_margined.json", "usdm_ws_mark_price.json",  "ws_answer.json",          "ws_error.json",
    "ws_error_wrapped.json"};

struct Decoded {
  explicit Decoded(std::string_view text) : padded(text), result(decoder.frame(padded.view())) {}
  Decoder decoder;
  Padded padded;
  Result<Frame*> result;
  const Frame& operator*() const { return **result; }
};

TEST(Decode, SpotAggregatedTrade) {
  const Decoded frame(fixture("spot_ws_agg_trade.json"));
  ASSERT_TRUE(frame.result);
  EXPECT_EQ((*frame).kind, Frame::Kind::trade);
  EXPECT_EQ((*frame).symbol, "BTCUSDT");
  const auto& trade = (*frame).trade;
  EXPECT_TRUE(trade.aggregated);
  EXPECT_EQ(trade.id, 3300000001u);
  EXPECT_EQ(trade.first_id, 5123456789u);
  EXPECT_EQ(trade.last_id, 5123456791u);
  EXPECT_EQ(trade.price.value.text(), "64250.1");
  EXPECT_EQ(trade.quantity.value.text(), "0.01");
  EXPECT_EQ(iso(trade.time), "2026-09-21T14:13:20.120000000Z");
  EXPECT_FALSE(trade.buyer_is_maker);
  EXPECT_TRUE(trade.on_tape);
}

TEST(Decode, MicrosecondTimesAreToldByTheirSize) {
  const Decoded frame(fixture("spot_ws_trade_us.json"));
  ASSERT_TRUE(frame.result);
  EXPECT_EQ(iso((*frame).trade.time), "2026-09-21T14:13:20.320123000Z");
}

TEST(Decode, FuturesRowsWithoutAPublicFillAreNotOnTheTape) {
  const Decoded market(fixture("usdm_ws_trade.json"));
  ASSERT_TRUE(market.result);
  EXPECT_TRUE((*market).trade.on_tape);
  const Decoded none(fixture("usdm_ws_trade_na.json"));
  ASSERT_TRUE(none.result);
  EXPECT_FALSE((*none).trade.on_tape);
  EXPECT_EQ((*none).trade.id, 6100000005u);
}

TEST(Decode, FuturesDepthHasTransactionTimeAndPreviousId) {
  const Decoded frame(fixture("usdm_ws_depth_update.json"));
  ASSERT_TRUE(frame.result);
  ASSERT_EQ((*frame).kind, Frame::Kind::depth);
  const auto& depth = (*frame).depth;
  EXPECT_EQ(depth.first_id, 1004u);
  EXPECT_EQ(depth.last_id, 1009u);
  EXPECT_EQ(depth.prev_id, 1000u);
  EXPECT_EQ(iso(depth.time), "2026-09-21T14:13:20.419000000Z");
  ASSERT_EQ(depth.bids.size(), 1u);
  ASSERT_EQ(depth.asks.size(), 2u);
  EXPECT_TRUE(depth.asks[0].quantity.value.is_zero());
  EXPECT_EQ((*frame).st, 1);
}

TEST(Decode, WhatIsNotMappedIsNamed) {
  EXPECT_EQ((*Decoded(fixture("spot_ws_book_ticker.json"))).channel, "bookTicker");
  EXPECT_EQ((*Decoded(fixture("spot_ws_partial_depth.json"))).channel, "depth5@100ms");
  EXPECT_EQ((*Decoded(fixture("usdm_ws_partial_depth.json"))).channel, "depth20@100ms") << "it replaces, it is no change";
  EXPECT_EQ((*Decoded(fixture("usdm_ws_mark_price.json"))).channel, "markPrice@1s");
  EXPECT_EQ((*Decoded(R"({"u":1,"s":"A","b":"1","B":"1","a":"2","A":"1"})")).channel, "bookTicker");
  EXPECT_EQ((*Decoded(R"({"lastUpdateId":160,"bids":[],"asks":[]})")).channel, "partial depth");
  EXPECT_EQ((*Decoded(R"([{"e":"24hrTicker"}])")).channel, "a list");
  EXPECT_EQ((*Decoded(R"({"stream":"!ticker@arr","data":[{"e":"24hrTicker","b":["x"]}]})")).channel, "!ticker@arr");
  EXPECT_EQ((*Decoded(R"({"e":"kline","s":"A","k":{"t":1,"a":["x"],"l":"0.1"}})")).channel, "kline");
}

TEST(Decode, AnswersErrorsAndTheShutdownNotice) {
  const Decoded answer(fixture("ws_answer.json"));
  EXPECT_EQ((*answer).kind, Frame::Kind::answer);
  EXPECT_EQ((*answer).request_id, 7u);
  const Decoded error(fixture("ws_error.json"));
  EXPECT_EQ((*error).kind, Frame::Kind::error);
  EXPECT_EQ((*error).error_code, 2);
  EXPECT_EQ((*error).error_message, "Invalid request: unknown method");
  const Decoded wrapped(fixture("ws_error_wrapped.json"));
  EXPECT_EQ((*wrapped).kind, Frame::Kind::error);
  EXPECT_EQ((*wrapped).error_code, 3);
  EXPECT_EQ((*wrapped).request_id, 9u);
  EXPECT_EQ((*Decoded(fixture("spot_ws_shutdown.json"))).kind, Frame::Kind::shutdown);
  EXPECT_EQ((*Decoded(R"({"e":"serverShutdown","E":1790000000000})")).kind, Frame::Kind::shutdown);
}

TEST(Decode, FieldOrderAndUnknownFieldsDoNotMatter) {
  const Decoded frame(R"({"data":{"zz":{"p":["1"]},"m":true,"T":1790000000120,"l":3,"f":2,"q":"0.5","p":"7","a":1,)"
                      R"("s":"BTCUSDT","new":[1,[2]],"e":"aggTrade"},"stream":"btcusdt@aggTrade"})");
  ASSERT_TRUE(frame.result) << frame.result.error().text();
  EXPECT_EQ((*frame).trade.price.value.text(), "7");
}

TEST(Decode, AMissingOrMalformedFieldIsNamed) {
  const auto error = [](std::string text) {
    const Decoded frame(text);
    return frame.result ? "accepted" : frame.result.error().text();
  };
  const std::string good = R"({"e":"aggTrade","s":"B","a":1,"p":"7","q":"1","f":1,"l":1,"T":1790000000120,"m":true})";
  EXPECT_EQ(error(good), "accepted");
  const auto with = [&](const std::string& from, const std::string& to) {
    auto text = good;
    text.replace(text.find(from), from.size(), to);
    return error(text);
  };
  EXPECT_EQ(with(R"("a":1,)", ""), "missing field: aggTrade.a: absent or of another type");
  EXPECT_EQ(with(R"("a":1,)", R"("a":"1",)"), "missing field: aggTrade.a: absent or of another type");
  EXPECT_EQ(with(R"("a":1,)", R"("a":-1,)"), "bad value: aggTrade.a: -1");
  EXPECT_EQ(with(R"("p":"7")", R"("p":"7x")"), "bad number: price: 7x");
  EXPECT_EQ(with(R"("p":"7")", R"("p":"-7")"), "bad value: price: -7");
  EXPECT_EQ(with(R"("q":"1",)", ""), "missing field: aggTrade.q: absent or of another type");
  EXPECT_EQ(with(R"(,"m":true)", ""), "missing field: aggTrade.m: absent or of another type");
  EXPECT_EQ(with(R"("T":1790000000120)", R"("T":-5)"), "bad time: epoch time: -5");
  EXPECT_NE(error(R"({"e":"depthUpdate","s":"B","E":1,"U":5,"u":4,"b":[],"a":[]})").find("below U 5"), std::string::npos);
  EXPECT_NE(error(R"({"e":"depthUpdate","s":"B","E":1,"U":5,"u":6,"b":[["1"]],"a":[]})").find("without quantity"),
            std::string::npos);
  EXPECT_NE(error(R"({"e":"depthUpdate","s":"B","E":1,"U":5,"u":6,"b":[["1",2]],"a":[]})"), "accepted");
  EXPECT_NE(error(R"({"e":"depthUpdate","s":"B","E":1,"U":5,"u":6,"b":[["1","-2"]],"a":[]})"), "accepted");
  EXPECT_NE(error(good + good), "accepted");
  EXPECT_NE(error(good + "x"), "accepted");
  for (const std::string text : {"", " ", "null", "1", "\"x\"", "{", "[", "}", "nonsense", "{\"e\"}"})
    EXPECT_NE(error(text), "accepted") << text;
}

TEST(Decode, EveryPrefixOfEveryFrameIsRefused) {
  for (const auto& name : kFrames) {
    const auto whole = fixture(name);
    EXPECT_TRUE(Decoded(whole).result) << name;
    for (std::size_t n = 0; n < whole.size(); ++n)
      EXPECT_FALSE(Decoded(whole.substr(0, n)).result) << name << " cut at " << n;
  }
}

TEST(Decode, EveryPrefixOfEveryRestBodyIsRefused) {
  Decoder decoder;
  for (const std::string name : {"spot_rest_depth.json", "usdm_rest_depth.json"}) {
    const auto whole = fixture(name);
    EXPECT_TRUE(decoder.depth(Padded(whole).view())) << name;
    for (std::size_t n = 0; n < whole.size(); ++n)
      EXPECT_FALSE(decoder.depth(Padded(whole.substr(0, n)).view())) << name << " cut at " << n;
  }
  for (const std::string name : {"spot_rest_exchange_info.json", "usdm_rest_exchange_info.json"}) {
    const auto whole = fixture(name);
    EXPECT_TRUE(decoder.exchange_info(Padded(whole).view())) << name;
    for (std::size_t n = 0; n < whole.size(); ++n)
      EXPECT_FALSE(decoder.exchange_info(Padded(whole.substr(0, n)).view())) << name << " cut at " << n;
  }
}

TEST(Decode, RandomDamageNeverCrashes) {
  std::mt19937 random(7);
  Decoder decoder;
  for (const auto& name : kFrames) {
    const auto whole = fixture(name);
    for (int i = 0; i < 400; ++i) {
      auto damaged = whole;
      for (int k = 0; k < 3; ++k) damaged[random() % damaged.size()] = static_cast<char>(random());
      (void)decoder.frame(Padded(damaged).view());
      (void)decoder.depth(Padded(damaged).view());
      (void)decoder.exchange_info(Padded(damaged).view());
    }
  }
}

TEST(Decode, VolumesOf24Hours) {
  Decoder decoder;
  const auto volumes = decoder.volumes(Padded(fixture("spot_rest_ticker_24hr.json")).view());
  ASSERT_TRUE(volumes) << volumes.error().text();
  ASSERT_EQ(volumes->size(), 3u);
  EXPECT_EQ((*volumes)[0].instrument, "BTCUSDT");
  EXPECT_EQ((*volumes)[0].volume.text(), "915318900.12345678");
  EXPECT_EQ(decoder.volumes(Padded(R"([{"symbol":"A"}])").view()).error().text(),
            "missing field: ticker.quoteVolume: absent or of another type");
  EXPECT_EQ(decoder.volumes(Padded(R"([{"symbol":"A","quoteVolume":"1,5"}])").view()).error().code, Errc::bad_number);
  EXPECT_FALSE(decoder.volumes(Padded(R"({"code":-1121})").view()));
  const auto whole = fixture("spot_rest_ticker_24hr.json");
  for (std::size_t cut = 0; cut < whole.size(); ++cut)
    EXPECT_FALSE(decoder.volumes(Padded(whole.substr(0, cut)).view())) << cut;
}

TEST(Decode, RestDepthOfBothMarkets) {
  Decoder decoder;
  const auto spot = decoder.depth(Padded(fixture("spot_rest_depth.json")).view());
  ASSERT_TRUE(spot);
  EXPECT_EQ(spot->last_update_id, 158);
  EXPECT_FALSE(spot->time);
  EXPECT_EQ(spot->bids.size(), 2u);
  const auto usdm = decoder.depth(Padded(fixture("usdm_rest_depth.json")).view());
  ASSERT_TRUE(usdm);
  EXPECT_EQ(iso(*usdm->time), "2026-09-21T14:13:20.405000000Z");
  const auto brand_new = decoder.depth(Padded(R"({"lastUpdateId":-1,"bids":[],"asks":[]})").view());
  ASSERT_TRUE(brand_new);
  EXPECT_EQ(brand_new->last_update_id, -1);
  EXPECT_FALSE(decoder.depth(Padded(R"({"code":-1121,"msg":"Invalid symbol."})").view()));
}

TEST(Decode, OneUnreadableSymbolDoesNotCostTheOthers) {
  Decoder decoder;
  const auto info = decoder.exchange_info(
      Padded(R"({"symbols":[{"symbol":"A","baseAsset":"A","quoteAsset":"B","filters":[{"filterType":"PRICE_FILTER",)"
             R"("tickSize":"x"}]},{"symbol":"CD","status":"TRADING","baseAsset":"C","quoteAsset":"D","filters":[]},)"
             R"({"status":"TRADING"}]})")
          .view());
  ASSERT_TRUE(info) << info.error().text();
  ASSERT_EQ(info->symbols.size(), 1u);
  EXPECT_EQ(info->symbols[0].symbol, "CD");
  ASSERT_EQ(info->unreadable.size(), 2u);
  EXPECT_NE(info->unreadable[0].second.find("tickSize"), std::string::npos);
}

// Other people's recorded or documented messages, read in place: those of mapped types decode.
TEST(Decode, KnownMessagesOfMappedTypesDecode) {
  const std::filesystem::path folder = std::string(MP_SHARED_DIR) + "/messages/binance";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "no messages at " << folder;
  Decoder decoder;
  int frames = 0;
  int depths = 0;
  int infos = 0;
  for (const auto& file : std::filesystem::directory_iterator(folder)) {
    const auto name = file.path().filename().string();
    const Padded text(read_file(file.path().string()));
    const auto has = [&](const char* part) { return name.find(part) != std::string::npos; };
    if (has("exchange_info")) {
      const auto info = decoder.exchange_info(text.view());
      EXPECT_TRUE(info) << name << ": " << (info ? "" : info.error().text());
      if (info) {
        EXPECT_FALSE(info->symbols.empty()) << name;
      }
      ++infos;
    } else if (has("http_depth") || has("barter_book_l2")) {
      const auto depth = decoder.depth(text.view());
      EXPECT_TRUE(depth) << name << ": " << (depth ? "" : depth.error().text());
      ++depths;
    } else if (has("_ws_") || has("barter_")) {
      const auto frame = decoder.frame(text.view());
      if (name == "barter_trade_2.json") {  // made to be wrong: "m":"yes"
        EXPECT_FALSE(frame);
        continue;
      }
      ASSERT_TRUE(frame) << name << ": " << frame.error().text();
      const bool trade = has("trade");
      const bool depth = has("depth") || has("l2_1");
      EXPECT_EQ((*frame)->kind, trade ? Frame::Kind::trade : depth ? Frame::Kind::depth : Frame::Kind::unmapped) << name;
      ++frames;
    }
  }
  EXPECT_GE(frames, 20);
  EXPECT_GE(depths, 4);
  EXPECT_EQ(infos, 3);
}

}  // namespace
}  // namespace mp::binance
