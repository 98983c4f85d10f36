#include "exchanges/okx/decode.hpp"

#include <filesystem>
#include <functional>
#include <random>

#include "support.hpp"

namespace mp::okx {
namespace {

const std::vector<std::string> kFrames{"ws_books_snapshot.json",
                                       "ws_books_update.json",
                                       "ws_books_keep_alive.json",
                                       "ws_books_reset.json",
                                       "ws_books_after_reset.json",
                                       "ws_books_2022_snapshot.json",
                                       "ws_books_2022_update.json",
                                       "ws_trades.json",
                                       "ws_trades_2022.json",
                                       "ws_trades_all.json",
                                       "ws_funding_rate.json",
                                       "ws_funding_rate_none.json",
                                       "ws_funding_rate_xperp.json",
                                       "ws_open_interest.json",
                                       "ws_open_interest_inverse.json",
                                       "ws_liquidation_orders.json",
                                       "ws_instruments.json",
                                       "ws_tickers.json",
                                       "ws_bbo_tbt.json",
                                       "ws_subscribed.json",
                                       "ws_unsubscribed.json",
                                       "ws_error.json",
                                       "ws_notice.json",
                                       "ws_connection_count.json"};

struct Decoded {
  explicit Decoded(std::string_view text) : padded(text), result(decoder.frame(padded.view())) {}
  Decoder decoder;
  Padded padded;
  Result<Frame*> result;
  const Frame& operator*() const { return **result; }
};

std::string error_of(const std::string& text) {
  const Decoded frame(text);
  return frame.result ? "accepted" : frame.result.error().text();
}

TEST(Decode, ABookUpdateHasItsIdsAndItsTextsAsReceived) {
  const Decoded frame(fixture("ws_books_update.json"));
  ASSERT_TRUE(frame.result) << frame.result.error().text();
  EXPECT_EQ((*frame).kind, Frame::Kind::book);
  EXPECT_EQ((*frame).inst_id, "BTC-USDT-SWAP");
  EXPECT_FALSE((*frame).snapshot);
  const auto& book = (*frame).book;
  EXPECT_EQ(book.seq_id, 15);
  EXPECT_EQ(book.prev_seq_id, 10);
  EXPECT_EQ(book.checksum, 0);
  EXPECT_EQ(iso(book.time), "2026-09-21T14:13:20.110000000Z");
  ASSERT_EQ(book.asks.size(), 2u);
  EXPECT_TRUE(book.asks[0].quantity.value.is_zero());
  EXPECT_EQ(book.asks[1].quantity.value.text(), "2.25");
  EXPECT_TRUE((*frame).unknown_fields.empty());
}

TEST(Decode, ASnapshotBeginsTheSeries) {
  const Decoded frame(fixture("ws_books_snapshot.json"));
  ASSERT_TRUE(frame.result);
  EXPECT_TRUE((*frame).snapshot);
  EXPECT_EQ((*frame).book.prev_seq_id, -1);
}

TEST(Decode, BooksOf2022HaveNoIdsAndKeepTrailingZeros) {
  const Decoded frame(fixture("ws_books_2022_snapshot.json"));
  ASSERT_TRUE(frame.result);
  const auto& book = (*frame).book;
  EXPECT_FALSE(book.seq_id);
  EXPECT_NE(book.checksum, 0);
  ASSERT_EQ(book.bid_texts.size(), 3u);
  EXPECT_EQ(book.bid_texts[0].price, "2950.10");
  EXPECT_EQ(book.bid_texts[0].size, "0.5000");
  EXPECT_EQ(book.bids[0].price.value.text(), "2950.1");
}

TEST(Decode, ATradeMayStandForSeveralFills) {
  const Decoded frame(fixture("ws_trades.json"));
  ASSERT_TRUE(frame.result);
  ASSERT_EQ((*frame).trades.size(), 1u);
  const auto& trade = (*frame).trades[0];
  EXPECT_EQ(trade.id, 130639474u);
  EXPECT_EQ(trade.count, 3u);
  EXPECT_EQ(trade.size.value.text(), "12");
  EXPECT_EQ(trade.side, Side::buy);
  EXPECT_EQ((*Decoded(fixture("ws_trades_2022.json"))).trades[0].count, 0u);
  EXPECT_EQ((*Decoded(fixture("ws_trades_all.json"))).trades[0].count, 0u);
}

TEST(Decode, EmptyStringsAreAbsentNumbers) {
  const Decoded none(fixture("ws_funding_rate_none.json"));
  ASSERT_TRUE(none.result) << none.result.error().text();
  EXPECT_FALSE((*none).funding[0].rate);
  EXPECT_FALSE((*none).funding[0].funding_time);
  const Decoded liquidations(fixture("ws_liquidation_orders.json"));
  ASSERT_TRUE(liquidations.result) << liquidations.result.error().text();
  ASSERT_EQ((*liquidations).liquidations.size(), 3u);
  EXPECT_TRUE((*liquidations).liquidations[0].price);
  EXPECT_FALSE((*liquidations).liquidations[1].price);
  EXPECT_EQ((*liquidations).liquidations[1].inst_id, "ETH-USDT-SWAP");
  EXPECT_EQ((*liquidations).liquidations[2].inst_id, "BTC-USD-SWAP");
}

TEST(Decode, AFundingRateIsThatOfTheCurrentPeriod) {
  const Decoded frame(fixture("ws_funding_rate.json"));
  ASSERT_TRUE(frame.result);
  const auto& row = (*frame).funding.at(0);
  EXPECT_EQ(row.rate->value.text(), "0.0000875210331267");
  EXPECT_EQ(iso(*row.funding_time), "2026-09-21T16:00:00.000000000Z");
  EXPECT_EQ(*row.next_funding_time - *row.funding_time, 8h);
}

TEST(Decode, AnswersErrorsAndNotices) {
  const Decoded subscribed(fixture("ws_subscribed.json"));
  EXPECT_EQ((*subscribed).kind, Frame::Kind::subscribed);
  EXPECT_EQ((*subscribed).channel, "books");
  EXPECT_EQ((*subscribed).inst_id, "BTC-USDT-SWAP");
  EXPECT_EQ((*subscribed).request_id, "a1");
  EXPECT_EQ((*Decoded(fixture("ws_unsubscribed.json"))).kind, Frame::Kind::unsubscribed);
  const Decoded error(fixture("ws_error.json"));
  EXPECT_EQ((*error).kind, Frame::Kind::error);
  EXPECT_EQ((*error).code, "60018");
  const Decoded notice(fixture("ws_notice.json"));
  EXPECT_EQ((*notice).kind, Frame::Kind::notice);
  EXPECT_EQ((*notice).code, "64008");
  EXPECT_EQ((*Decoded(R"({"code":"60012","msg":"Illegal request"})")).kind, Frame::Kind::error);
  EXPECT_EQ((*Decoded(fixture("ws_connection_count.json"))).channel, "channel-conn-count");
}

TEST(Decode, PongIsNoJson) {
  EXPECT_EQ((*Decoded(fixture("ws_pong.txt"))).kind, Frame::Kind::pong);
  for (const std::string text : {"", "p", "pon", "pongs", "ping"}) EXPECT_NE(error_of(text), "accepted") << text;
}

TEST(Decode, WhatIsNotMappedIsNamed) {
  for (const auto& [name, channel] : {std::pair{"ws_tickers.json", "tickers"}, {"ws_bbo_tbt.json", "bbo-tbt"}}) {
    const Decoded frame(fixture(name));
    ASSERT_TRUE(frame.result) << name;
    EXPECT_EQ((*frame).kind, Frame::Kind::unmapped);
    EXPECT_EQ((*frame).channel, channel);
  }
  EXPECT_EQ((*Decoded(R"({"a":1})")).channel, "unrecognised");
  // Its levels have another shape: [price, total, without RPI, orders].
  EXPECT_EQ((*Decoded(R"({"arg":{"channel":"books-rpi","instId":"A-B"},"action":"update","data":[{}]})")).kind,
            Frame::Kind::unmapped);
}

TEST(Decode, TheOrderOfFieldsDoesNotMatter) {
  const Decoded frame(
      R"({"data":[{"prevSeqId":10,"bids":[["1","2","0","1"]],"ts":"1790000000123","seqId":15,"asks":[]}],)"
      R"("action":"update","arg":{"instId":"BTC-USDT-SWAP","channel":"books"}})");
  ASSERT_TRUE(frame.result) << frame.result.error().text();
  EXPECT_EQ((*frame).kind, Frame::Kind::book);
  EXPECT_EQ((*frame).book.bids.size(), 1u);
}

TEST(Decode, UnknownFieldsAreToldAndOtherwiseIgnored) {
  auto text = fixture("ws_trades.json");
  text.replace(text.find("\"px\""), 0, R"("novel":{"a":[1,{"b":"]"}]},)");
  const Decoded frame(text);
  ASSERT_TRUE(frame.result) << frame.result.error().text();
  ASSERT_EQ((*frame).unknown_fields.size(), 1u);
  EXPECT_EQ((*frame).unknown_fields[0].name, "novel");
  EXPECT_STREQ((*frame).unknown_fields[0].where, "trades");
  for (const auto& name : kFrames) EXPECT_TRUE((*Decoded(fixture(name))).unknown_fields.empty()) << name;
}

TEST(Decode, AMissingOrMalformedFieldIsNamed) {
  const auto with = [](const char* file, const std::string& from, const std::string& to) {
    auto text = fixture(file);
    const auto at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return error_of(text.replace(at, from.size(), to));
  };
  const auto trade = [&](const std::string& from, const std::string& to) { return with("ws_trades.json", from, to); };
  EXPECT_EQ(trade(R"("px":"64250.2")", R"("px":"6425x")"), "bad number: trades.px: 6425x");
  EXPECT_EQ(trade(R"("px":"64250.2")", R"("px":"-1")"), "bad value: trades.px: -1");
  EXPECT_EQ(trade(R"("px":"64250.2")", R"("px":"")"), "missing field: trades.px: absent or empty");
  EXPECT_EQ(trade(R"("px":"64250.2")", R"("px":["1"])"), "wrong JSON type: trades.px: no text");
  EXPECT_EQ(trade(R"("tradeId":"130639474",)", ""), "missing field: trades.tradeId: absent or empty");
  EXPECT_EQ(trade(R"("tradeId":"130639474",)", R"("tradeId":"12a",)"), "bad number: trades.tradeId: 12a");
  EXPECT_EQ(trade(R"("count":"3")", R"("count":"0")"), "bad value: trades.count: 0");
  EXPECT_EQ(trade(R"("side":"buy")", R"("side":"hold")"), "bad value: trades.side: hold");
  EXPECT_EQ(trade(R"("ts":"1790000000123")", R"("ts":"-5")"), "bad time: trades.ts: -5");
  const auto book = [&](const std::string& from, const std::string& to) {
    return with("ws_books_update.json", from, to);
  };
  EXPECT_EQ(book(R"("action":"update")", R"("action":"merge")"), "bad value: books.action: merge");
  EXPECT_EQ(book(R"("action":"update",)", ""), "bad value: books.action");
  EXPECT_EQ(book(R"(,"prevSeqId":10)", ""), "missing field: books.prevSeqId: absent or empty");
  EXPECT_EQ(book(R"(["64250.1","11.75","0","3"])", R"(["64250.1"])"),
            "missing field: books.bids: a level without size");
  EXPECT_EQ(book(R"(["64250.1","11.75","0","3"])", R"(["64250.1","-1"])"), "bad value: books.bids: 64250.1 -1");
  EXPECT_EQ(book(R"(["64250.1","11.75","0","3"])", R"(["","1"])"), "bad number: books.bids");
  EXPECT_NE(error_of(fixture("ws_trades.json") + "x"), "accepted");
  EXPECT_NE(error_of(fixture("ws_trades.json") + fixture("ws_trades.json")), "accepted");
  for (const std::string text : {"", " ", "null", "1", "\"x\"", "{", "[", "}", "[]", "nonsense", "{\"e\"}"})
    EXPECT_NE(error_of(text), "accepted") << text;
}

TEST(Decode, ARowThatCannotBeReadDoesNotTakeThoseBesideItWithIt) {
  const auto row = [](const char* id, const char* size) {
    return R"({"instId":"BTC-USDT-SWAP","tradeId":")" + std::string(id) + R"(","px":"100.5","sz":)" + size +
           R"(,"side":"buy","ts":"1790000000001"})";
  };
  const auto frame = [](const std::string& rows) {
    return R"({"arg":{"channel":"trades-all","instId":"BTC-USDT-SWAP"},"data":[)" + rows + "]}";
  };
  const auto bad = row("11", R"({"n":[1,"2"]})");
  Decoder decoder;
  const Padded text(frame(row("10", "\"1\"") + "," + bad + "," + row("12", "\"3\"")));
  const auto read = decoder.frame(text.view());
  ASSERT_TRUE(read) << read.error().text();
  ASSERT_EQ((*read)->trades.size(), 2u);
  EXPECT_EQ((*read)->trades[1].id, 12u);
  ASSERT_EQ((*read)->unreadable.size(), 1u);
  EXPECT_EQ((*read)->unreadable[0].first.text(), "wrong JSON type: trades.sz: no text");
  EXPECT_EQ((*read)->unreadable[0].second, bad);
  EXPECT_EQ(error_of(frame(bad)), "wrong JSON type: trades.sz: no text") << "none can be read: the frame is refused";
  const Padded liquidations(
      R"({"arg":{"channel":"liquidation-orders","instType":"SWAP"},"data":[{"instType":"SWAP","instId":"ETH-USDT-SWAP",)"
      R"("details":[{"side":"long","bkPx":"1","sz":"1","ts":"1790000000000"},)"
      R"({"side":"sell","bkPx":"2951.4","sz":"18","ts":"1790000000000"}]}]})");
  const auto two = decoder.frame(liquidations.view());
  ASSERT_TRUE(two) << two.error().text();
  ASSERT_EQ((*two)->liquidations.size(), 1u);
  EXPECT_EQ((*two)->liquidations[0].inst_id, "ETH-USDT-SWAP");
  EXPECT_EQ((*two)->unreadable.at(0).first.text(), "bad value: liquidation-orders.side: long");
}

// Every REST body with the reader that it is for.
struct Body {
  const char* file;
  std::function<std::string(Decoder&, std::string_view)> read;
};
template <class R>
std::string verdict(const R& result) {
  return result ? "" : result.error().text();
}
const std::vector<Body>& bodies() {
  static const std::vector<Body> all{
      {"rest_books.json", [](Decoder& d, std::string_view t) { return verdict(d.book(t)); }},
      {"rest_instruments_spot.json", [](Decoder& d, std::string_view t) { return verdict(d.instruments(t)); }},
      {"rest_instruments_swap.json", [](Decoder& d, std::string_view t) { return verdict(d.instruments(t)); }},
      {"rest_instruments_futures.json", [](Decoder& d, std::string_view t) { return verdict(d.instruments(t)); }},
      {"rest_instruments_option.json", [](Decoder& d, std::string_view t) { return verdict(d.instruments(t)); }},
      {"rest_funding_rate.json", [](Decoder& d, std::string_view t) { return verdict(d.funding(t)); }},
      {"rest_funding_rate_history.json", [](Decoder& d, std::string_view t) { return verdict(d.settled_funding(t)); }},
      {"rest_open_interest.json", [](Decoder& d, std::string_view t) { return verdict(d.open_interest(t)); }},
      {"rest_ratio.json", [](Decoder& d, std::string_view t) { return verdict(d.ratios(t)); }},
      {"rest_tickers_swap.json", [](Decoder& d, std::string_view t) { return verdict(d.tickers(t)); }},
  };
  return all;
}

TEST(Decode, RestBodies) {
  Decoder decoder;
  for (const auto& body : bodies()) {
    EXPECT_EQ(body.read(decoder, Padded(fixture(body.file)).view()), "") << body.file;
    EXPECT_TRUE(decoder.unknown_fields().empty()) << body.file;
    const auto refused = body.read(decoder, Padded(fixture("rest_error.json")).view());
    EXPECT_NE(refused.find("code 50011: Too Many Requests"), std::string::npos) << refused;
    EXPECT_NE(body.read(decoder, Padded("{}").view()), "");
  }
  const Padded history(fixture("rest_funding_rate_history.json"));
  const auto settled = decoder.settled_funding(history.view());
  ASSERT_EQ(settled->size(), 2u);
  EXPECT_EQ(settled->at(0).realized_rate->value.text(), "0.0000614215");
  const Padded text(fixture("rest_ratio.json"));
  const auto ratios = decoder.ratios(text.view());
  ASSERT_EQ(ratios->size(), 3u);
  EXPECT_EQ(ratios->at(1).ratio.value.text(), "0.8333");
  EXPECT_NE(verdict(decoder.ratios(Padded(R"({"code":"0","msg":"","data":[["1790000000000","1","2"]]})").view())), "")
      << "taker volumes have three columns: another meaning";
}

TEST(Decode, EveryPrefixOfEveryFrameIsRefused) {
  for (const auto& name : kFrames) {
    const auto whole = fixture(name);
    EXPECT_EQ(error_of(whole), "accepted") << name;
    for (std::size_t n = 0; n < whole.size(); ++n)
      EXPECT_NE(error_of(whole.substr(0, n)), "accepted") << name << " cut at " << n;
  }
}

TEST(Decode, EveryPrefixOfEveryRestBodyIsRefused) {
  Decoder decoder;
  for (const auto& body : bodies()) {
    const auto whole = fixture(body.file);
    for (std::size_t n = 0; n < whole.size(); ++n)
      EXPECT_NE(body.read(decoder, Padded(whole.substr(0, n)).view()), "") << body.file << " cut at " << n;
  }
}

TEST(Decode, RandomDamageNeverCrashes) {
  std::mt19937 random(7);
  Decoder decoder;
  const auto damaged = [&](std::string text) {
    for (int k = 0; k < 3; ++k) text[random() % text.size()] = static_cast<char>(random());
    return text;
  };
  for (int i = 0; i < 300; ++i) {
    for (const auto& name : kFrames) (void)decoder.frame(Padded(damaged(fixture(name))).view());
    for (const auto& body : bodies()) (void)body.read(decoder, Padded(damaged(fixture(body.file))).view());
  }
}

TEST(Decode, OneUnreadableInstrumentDoesNotCostTheOthers) {
  auto text = fixture("rest_instruments_swap.json");
  const std::string tick = R"("tickSz":"0.1")";
  text.replace(text.find(tick), tick.size(), R"("tickSz":"?")");
  Decoder decoder;
  const Padded padded(text);
  const auto list = decoder.instruments(padded.view());
  ASSERT_TRUE(list) << list.error().text();
  EXPECT_EQ(list->rows.size(), 3u);
  ASSERT_EQ(list->unreadable.size(), 1u);
  EXPECT_EQ(list->unreadable[0].first.text(), "bad number: instruments.tickSz: ?");
  EXPECT_NE(list->unreadable[0].second.find("BTC-USDT-SWAP"), std::string_view::npos);
}

// Other people's recorded or documented messages, read in place: those of mapped types decode.
TEST(Decode, KnownMessagesOfMappedTypesDecode) {
  const std::filesystem::path folder = std::string(MP_SHARED_DIR) + "/messages/okx";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "no messages at " << folder;
  Decoder decoder;
  int frames = 0;
  int replies = 0;
  for (const auto& file : std::filesystem::directory_iterator(folder)) {
    const auto name = file.path().filename().string();
    const Padded text(read_file(file.path().string()));
    const auto has = [&](const char* part) { return name.find(part) != std::string::npos; };
    if (name == "ws_opt_summary.json") {  // its envelope was taken off: no frame of OKX's
      EXPECT_FALSE(decoder.frame(text.view()));
    } else if (has("ws_") || has("barter_")) {
      const auto frame = decoder.frame(text.view());
      ASSERT_TRUE(frame) << name << ": " << frame.error().text();
      EXPECT_TRUE((*frame)->unknown_fields.empty()) << name << " " << (*frame)->unknown_fields[0].name;
      const bool mapped = has("books") || has("trade") || has("funding") || has("instruments");
      EXPECT_EQ((*frame)->kind != Frame::Kind::unmapped, mapped) << name;
      ++frames;
    } else if (has("instruments")) {
      const auto list = decoder.instruments(text.view());
      ASSERT_TRUE(list) << name << ": " << list.error().text();
      EXPECT_FALSE(list->rows.empty());
      EXPECT_TRUE(list->unreadable.empty());
      EXPECT_TRUE(decoder.unknown_fields().empty()) << name << " " << decoder.unknown_fields()[0].name;
      ++replies;
    } else if (has("order_book")) {
      EXPECT_EQ(verdict(decoder.book(text.view())), "") << name;
      ++replies;
    } else if (has("funding_rate_history")) {
      EXPECT_EQ(verdict(decoder.settled_funding(text.view())), "") << name;
      ++replies;
    }
  }
  EXPECT_GE(frames, 9);
  EXPECT_EQ(replies, 7);
}

}  // namespace
}  // namespace mp::okx
