#include "exchanges/deribit/decode.hpp"

#include <algorithm>
#include <filesystem>
#include <random>

#include "decode_support.hpp"

namespace mp::deribit {
namespace {

using Kind = Frame::Kind;
using Liquidated = TradeRow::Liquidated;

struct Decoded {
  explicit Decoded(std::string_view text) : padded(text), result(decoder.frame(padded.view())) {}
  Decoder decoder;
  Padded padded;
  Result<Frame*> result;
  const Frame& operator*() const { return **result; }
  const Frame* operator->() const { return *result; }
};

std::string outcome(const std::string& text) {
  const Decoded frame(text);
  return frame.result ? "accepted" : frame.result.error().text();
}

TEST(Decode, EveryFixtureIsInTheLists) {
  std::vector<std::string> listed = frame_fixtures();
  listed.insert(listed.end(), rest_fixtures().begin(), rest_fixtures().end());
  std::size_t found = 0;
  for (const auto& each :
       std::filesystem::directory_iterator(std::string(MP_SOURCE_DIR) + "/src/exchanges/deribit/fixtures")) {
    if (each.path().extension() != ".json") continue;
    ++found;
    EXPECT_NE(std::ranges::find(listed, each.path().filename().string()), listed.end()) << each.path();
  }
  EXPECT_EQ(found, listed.size());
}

TEST(Decode, BookSnapshot) {
  const Decoded frame(fixture("ws_book_snapshot.json"));
  ASSERT_TRUE(frame.result) << frame.result.error().text();
  ASSERT_EQ(frame->kind, Kind::book);
  EXPECT_EQ(frame->channel, "book.BTC-PERPETUAL.100ms");
  EXPECT_EQ(frame->instrument, "BTC-PERPETUAL");
  EXPECT_TRUE(frame->book.snapshot);
  EXPECT_EQ(frame->book.change_id, 90010000001u);
  EXPECT_FALSE(frame->book.prev_change_id);
  EXPECT_EQ(iso(frame->book.time), "2026-09-21T14:13:20.100000000Z");
  ASSERT_EQ(frame->book.bids.size(), 3u);
  EXPECT_EQ(frame->book.bids[0].price.value.text(), "64250");
  EXPECT_EQ(frame->book.bids[1].quantity.value.text(), "5000") << "5.0e3";
  EXPECT_EQ(frame->book.asks.size(), 2u);
}

TEST(Decode, BookChangeChainsAndADeletedLevelIsZero) {
  const Decoded frame(fixture("ws_book_change.json"));
  ASSERT_TRUE(frame.result) << frame.result.error().text();
  EXPECT_FALSE(frame->book.snapshot);
  EXPECT_EQ(frame->book.prev_change_id, 90010000001u);
  EXPECT_EQ(frame->book.change_id, 90010000007u);
  EXPECT_TRUE(frame->book.bids[1].quantity.value.is_zero());
  const Decoded odd(notification("book.X.raw",
                                 R"({"type":"change","timestamp":1790000000000,"prev_change_id":0,)"
                                 R"("change_id":1,"instrument_name":"X","bids":[["delete",1.0,7.0]],"asks":[]})"));
  ASSERT_TRUE(odd.result);
  EXPECT_EQ(odd->book.prev_change_id, 0u) << "0 is an id";
  EXPECT_TRUE(odd->book.bids[0].quantity.value.is_zero()) << "the amount beside a delete says nothing";
}

TEST(Decode, BooksWithoutTypeAreOfTheOldForm) {
  const Decoded snapshot(fixture("ws_book_old_snapshot.json"));
  ASSERT_TRUE(snapshot.result);
  EXPECT_TRUE(snapshot->book.snapshot);
  const Decoded change(fixture("ws_book_old_change.json"));
  ASSERT_TRUE(change.result);
  EXPECT_FALSE(change->book.snapshot);
}

TEST(Decode, ASnapshotThatNamesAPreviousIdIsASnapshotAllTheSame) {
  const Decoded frame(notification("book.X.raw", R"({"type":"snapshot","timestamp":1790000000000,"prev_change_id":20,)"
                                                 R"("change_id":21,"instrument_name":"X","bids":[],"asks":[]})"));
  ASSERT_TRUE(frame.result);
  EXPECT_TRUE(frame->book.snapshot);
  EXPECT_FALSE(frame->book.prev_change_id);
}

TEST(Decode, Trades) {
  const Decoded frame(fixture("ws_trades.json"));
  ASSERT_TRUE(frame.result) << frame.result.error().text();
  ASSERT_EQ(frame->kind, Kind::trades);
  const auto& rows = frame->trades.rows;
  ASSERT_EQ(rows.size(), 4u);
  EXPECT_EQ(rows[0].instrument, "BTC-PERPETUAL");
  EXPECT_EQ(rows[0].seq, 300123u);
  EXPECT_EQ(rows[0].id, "412345678");
  EXPECT_EQ(rows[0].price.value.text(), "64250.5");
  EXPECT_EQ(rows[0].amount.value.text(), "1200");
  EXPECT_EQ(rows[0].contracts->value.text(), "120");
  EXPECT_EQ(rows[0].side, Side::sell);
  EXPECT_EQ(iso(rows[0].time), "2026-09-21T14:13:20.123000000Z");
  EXPECT_EQ(rows[0].liquidated, Liquidated::none);
  EXPECT_EQ(rows[1].liquidated, Liquidated::taker);
  EXPECT_EQ(rows[2].liquidated, Liquidated::maker);
  EXPECT_EQ(rows[3].liquidated, Liquidated::both);
  EXPECT_TRUE(frame->unknown_fields.empty());
}

TEST(Decode, BlockTradesAndLegsOfCombosAreMarked) {
  const Decoded options(fixture("ws_trades_option.json"));
  ASSERT_TRUE(options.result);
  EXPECT_EQ(options->trades.rows[0].block_trade_id, "");
  EXPECT_EQ(options->trades.rows[1].block_trade_id, "BLOCK-312345");
  EXPECT_FALSE(options->trades.rows[1].has_legs);
  const Decoded combo(fixture("ws_trades_combo.json"));
  ASSERT_TRUE(combo.result) << combo.result.error().text();
  ASSERT_EQ(combo->trades.rows.size(), 1u);
  EXPECT_TRUE(combo->trades.rows[0].has_legs);
  EXPECT_EQ(combo->trades.rows[0].instrument, "BTC-FS-25DEC26_PERP") << "not a leg's";
  EXPECT_EQ(combo->trades.rows[0].id, "412345700");
  const Decoded leg(fixture("ws_trades_combo_leg.json"));
  ASSERT_TRUE(leg.result);
  EXPECT_EQ(leg->trades.rows[0].combo_id, "BTC-FS-25DEC26_PERP");
}

TEST(Decode, OneBadTradeDoesNotTakeTheOthersWithIt) {
  auto text = fixture("ws_trades.json");
  text.replace(text.find(R"("direction":"sell")"), 18, R"("direction":"hold")");
  const Decoded frame(text);
  ASSERT_TRUE(frame.result) << frame.result.error().text();
  EXPECT_EQ(frame->trades.rows.size(), 3u);
  ASSERT_EQ(frame->trades.unreadable.size(), 1u);
  EXPECT_EQ(frame->trades.unreadable[0].first.text(), "bad value: trades.direction: hold");
  EXPECT_NE(frame->trades.unreadable[0].second.find("412345678"), std::string::npos);
}

TEST(Decode, ALiquidationFlagThatIsNewIsKeptApart) {
  auto text = fixture("ws_trades.json");
  text.replace(text.find(R"("MT")"), 4, R"("X")");
  const Decoded frame(text);
  ASSERT_TRUE(frame.result);
  EXPECT_EQ(frame->trades.rows[3].liquidated, Liquidated::unknown);
  EXPECT_EQ(frame->trades.rows[3].liquidation, "X");
}

TEST(Decode, TickersOfAPerpetualAndOfAnOption) {
  const Decoded perpetual(fixture("ws_ticker_perpetual.json"));
  ASSERT_TRUE(perpetual.result) << perpetual.result.error().text();
  ASSERT_EQ(perpetual->kind, Kind::ticker);
  EXPECT_EQ(perpetual->ticker.open_interest->value.text(), "1132329370");
  EXPECT_EQ(perpetual->ticker.current_funding->value.text(), "-0.0000125");
  EXPECT_EQ(perpetual->ticker.mark_price->value.text(), "64249.93");
  EXPECT_EQ(perpetual->ticker.index_price->value.text(), "64248.1");
  EXPECT_EQ(perpetual->ticker.state, "open");
  const Decoded option(fixture("ws_ticker_option.json"));
  ASSERT_TRUE(option.result) << option.result.error().text();
  EXPECT_FALSE(option->ticker.current_funding);
  EXPECT_EQ(option->ticker.open_interest->value.text(), "568.3");
  EXPECT_TRUE(option->unknown_fields.empty());
}

TEST(Decode, NullsAreAbsentNotZero) {
  const Decoded frame(notification("ticker.X.100ms",
                                   R"({"timestamp":1790000000500,"instrument_name":"X",)"
                                   R"("open_interest":null,"mark_price":null,"current_funding":null})"));
  ASSERT_TRUE(frame.result);
  EXPECT_FALSE(frame->ticker.open_interest);
  EXPECT_FALSE(frame->ticker.mark_price);
  EXPECT_FALSE(frame->ticker.current_funding);
}

TEST(Decode, VolatilityAndStates) {
  const Decoded volatility(fixture("ws_volatility_index.json"));
  ASSERT_TRUE(volatility.result);
  ASSERT_EQ(volatility->kind, Kind::volatility);
  EXPECT_EQ(volatility->volatility.volatility.value.text(), "47.36");
  EXPECT_EQ(volatility->volatility.index_name, "btc_usd");
  const Decoded state(fixture("ws_instrument_state.json"));
  ASSERT_TRUE(state.result);
  EXPECT_EQ(state->kind, Kind::instrument_state);
  EXPECT_EQ(state->instrument_state.state, "locked");
  EXPECT_EQ(state->instrument, "BTC-25DEC26");
  const Decoded platform(fixture("ws_platform_state.json"));
  ASSERT_TRUE(platform.result);
  EXPECT_EQ(platform->kind, Kind::platform_state);
  EXPECT_TRUE(platform->platform_state.locked);
  EXPECT_EQ(Decoded(notification("platform_state", R"({"maintenance":true})"))->kind, Kind::unmapped);
}

TEST(Decode, AnswersErrorsAndHeartbeats) {
  const Decoded subscribed(fixture("ws_subscribed.json"));
  ASSERT_TRUE(subscribed.result);
  EXPECT_EQ(subscribed->kind, Kind::answer);
  EXPECT_EQ(subscribed->request_id, 5u);
  EXPECT_EQ(subscribed->result_names,
            (std::vector<std::string_view>{"book.BTC-PERPETUAL.100ms", "trades.BTC-PERPETUAL.100ms"}));
  EXPECT_EQ(Decoded(fixture("ws_heartbeat_set.json"))->kind, Kind::answer);
  const Decoded auth(fixture("ws_auth.json"));
  ASSERT_TRUE(auth.result);
  EXPECT_EQ(auth->kind, Kind::answer);
  EXPECT_EQ(auth->expires_in, 900);
  const Decoded error(fixture("ws_error.json"));
  ASSERT_TRUE(error.result);
  EXPECT_EQ(error->kind, Kind::error);
  EXPECT_EQ(error->error_code, 13778);
  EXPECT_EQ(error->error_message, "raw_subscriptions_not_available_for_unauthorized");
  EXPECT_EQ(error->request_id, 6u);
  EXPECT_EQ(Decoded(fixture("ws_heartbeat.json"))->kind, Kind::heartbeat);
  EXPECT_EQ(Decoded(fixture("ws_test_request.json"))->kind, Kind::test_request);
}

TEST(Decode, WhatIsNotMappedIsNamed) {
  EXPECT_EQ(Decoded(fixture("ws_quote.json"))->channel, "quote");
  EXPECT_EQ(Decoded(fixture("ws_book_grouped.json"))->channel, "book (grouped)");
  EXPECT_EQ(Decoded(notification("chart.trades.BTC-PERPETUAL.1", R"({"tick":1})"))->channel, "chart.trades");
  EXPECT_EQ(Decoded(notification("perpetual.BTC-PERPETUAL.raw", "{}"))->channel, "perpetual");
  EXPECT_EQ(Decoded(R"({"jsonrpc":"2.0","method":"other","params":{"x":1}})")->channel, "other");
  EXPECT_EQ(Decoded(R"({"hello":[1,{"a":2}]})")->channel, "unrecognised");
  EXPECT_EQ(Decoded(R"({"method":"heartbeat","params":{"type":"new"}})")->channel, "heartbeat");
}

TEST(Decode, FieldOrderDoesNotMatterAndNewFieldsAreNamed) {
  const Decoded frame(
      R"({"params":{"data":{"zz":{"bids":[1]},"asks":[["new",2.0,1.0]],"new_id":null,"instrument_name":"X","change_id":9,)"
      R"("timestamp":1790000000000,"bids":[],"type":"snapshot"},"label":[1],"channel":"book.X.raw"},)"
      R"("method":"subscription","jsonrpc":"2.0"})");
  ASSERT_TRUE(frame.result) << frame.result.error().text();
  ASSERT_EQ(frame->kind, Kind::book);
  EXPECT_EQ(frame->book.asks.size(), 1u);
  EXPECT_EQ(frame->unknown_fields, (std::vector<std::string_view>{"zz", "new_id"}));
}

TEST(Decode, AMissingOrMalformedFieldIsNamed) {
  const std::string good = fixture("ws_book_change.json");
  const auto with = [&](const std::string& from, const std::string& to) {
    auto text = good;
    text.replace(text.find(from), from.size(), to);
    return outcome(text);
  };
  EXPECT_EQ(with("64250.0", "64250.0"), "accepted");
  EXPECT_EQ(with("\"change\",64250.0", "\"move\",64250.0"), "bad value: book.bids.action: move");
  EXPECT_EQ(with("\"type\":\"change\"", "\"type\":\"merge\""), "bad value: book.type: merge");
  EXPECT_EQ(with("\"change_id\":90010000007", "\"change_id\":9e9"), "bad number: book.change_id: 9e9");
  EXPECT_EQ(with("\"change_id\":90010000007", "\"change_id\":-1"), "bad number: book.change_id: -1");
  EXPECT_EQ(with("\"prev_change_id\":90010000001", "\"prev_change_id\":null"),
            "missing field: book.prev_change_id: absent, null or of another type");
  EXPECT_EQ(with("9000.0", "-9000.0"), "bad value: book.bids: -9000.0");
  EXPECT_EQ(with("9000.0", "\"9000\""), "accepted") << "a number in a string";
  EXPECT_EQ(with("9000.0", "[9000]"), "missing field: book.bids: absent, null or of another type");
  EXPECT_EQ(with("9000.0", "9000x"), "bad number: book.bids: 9000x");
  EXPECT_EQ(with("\"asks\"", "\"a\""), "missing field: book.asks: absent, null or of another type");
  EXPECT_EQ(with("1790000000200", "-5"), "bad time: book.timestamp: -5");
  EXPECT_EQ(with("\"instrument_name\"", "\"instrument\""),
            "missing field: book.instrument_name: absent, null or of another type");
}

TEST(Decode, EveryDigitIsKept) {
  const Decoded frame(
      notification("ticker.X.raw",
                   R"({"timestamp":1790000000500,"instrument_name":"X","mark_price":0.1000000000000000055511151231,)"
                   R"("index_price":12345678901234567890.123456789,"current_funding":1.2E-05,"open_interest":1e3})"));
  ASSERT_TRUE(frame.result) << frame.result.error().text();
  EXPECT_EQ(frame->ticker.mark_price->value.text(), "0.1000000000000000055511151231");
  EXPECT_EQ(frame->ticker.index_price->value.text(), "12345678901234567890.123456789");
  EXPECT_EQ(frame->ticker.current_funding->value.text(), "0.000012");
  EXPECT_EQ(frame->ticker.open_interest->value.text(), "1000");
}

TEST(Decode, EveryPrefixOfEveryFrameIsRefused) {
  Decoder decoder;
  for (const auto& name : frame_fixtures()) {
    auto text = fixture(name);
    while (!text.empty() && text.back() == '\n') text.pop_back();
    ASSERT_TRUE(decoder.frame(Padded(text).view())) << name;
    for (std::size_t size = 0; size < text.size(); ++size)
      EXPECT_FALSE(decoder.frame(Padded(text.substr(0, size)).view())) << name << " at " << size;
    EXPECT_FALSE(decoder.frame(Padded(text + "x").view())) << name;
  }
}

TEST(Decode, EveryPrefixOfEveryAnswerIsRefused) {
  Decoder decoder;
  for (const auto& name : rest_fixtures()) {
    auto text = fixture(name);
    while (!text.empty() && text.back() == '\n') text.pop_back();
    for (std::size_t size = 0; size < text.size(); ++size) {
      const Padded cut(text.substr(0, size));
      EXPECT_FALSE(decoder.instruments(cut.view())) << name << " at " << size;
      EXPECT_FALSE(decoder.order_book(cut.view())) << name << " at " << size;
      EXPECT_FALSE(decoder.volatility_history(cut.view())) << name << " at " << size;
      EXPECT_FALSE(decoder.funding_history(cut.view())) << name << " at " << size;
      EXPECT_FALSE(decoder.summaries(cut.view())) << name << " at " << size;
    }
  }
}

TEST(Decode, DamagedBytesNeverCrash) {
  Decoder decoder;
  std::minstd_rand random(7);
  for (const auto& name : frame_fixtures()) {
    const auto whole = fixture(name);
    for (int i = 0; i < 300; ++i) {
      auto text = whole;
      for (int n = 0; n < 3; ++n) text[random() % text.size()] = static_cast<char>(random() % 256);
      (void)decoder.frame(Padded(text).view());
    }
  }
  const auto whole = fixture("rest_instruments.json");
  for (int i = 0; i < 300; ++i) {
    auto text = whole;
    for (int n = 0; n < 3; ++n) text[random() % text.size()] = static_cast<char>(random() % 256);
    (void)decoder.instruments(Padded(text).view());
  }
}

TEST(Decode, InstrumentList) {
  Decoder decoder;
  const auto list = decoder.instruments(Padded(fixture("rest_instruments.json")).view());
  ASSERT_TRUE(list) << list.error().text();
  EXPECT_TRUE(list->unreadable.empty());
  ASSERT_EQ(list->instruments.size(), 7u);
  const auto& perpetual = list->instruments[0];
  EXPECT_TRUE(perpetual.perpetual);
  EXPECT_FALSE(perpetual.expiry) << "the year 3000";
  EXPECT_EQ(perpetual.inverse, true);
  EXPECT_EQ(perpetual.contract_size.text(), "10");
  const auto& option = list->instruments[3];
  EXPECT_EQ(option.kind, InstrumentInfo::Kind::option);
  EXPECT_EQ(option.strike->value.text(), "1.02");
  EXPECT_EQ(option.right, OptionRight::call);
  EXPECT_EQ(iso(*option.expiry), "2026-12-25T08:00:00.000000000Z");
  EXPECT_EQ(option.tick_size->value.text(), "0.0001");
  EXPECT_EQ(list->instruments[5].kind, InstrumentInfo::Kind::spot);
  EXPECT_EQ(list->instruments[6].kind, InstrumentInfo::Kind::combo);
}

TEST(Decode, AnInstrumentOfAKindThatIsNewIsRefusedAlone) {
  auto text = fixture("rest_instruments.json");
  text.replace(text.find(R"("kind":"option")"), 15, R"("kind":"basket")");
  text.replace(text.find(R"("instrument_type":"linear")"), 26, R"("instrument_type":"quanto")");
  Decoder decoder;
  const auto list = decoder.instruments(Padded(text).view());
  ASSERT_TRUE(list) << list.error().text();
  EXPECT_EQ(list->instruments.size(), 5u);
  ASSERT_EQ(list->unreadable.size(), 2u);
  EXPECT_EQ(list->unreadable[0].first.text(), "bad value: instruments.kind: basket");
  EXPECT_EQ(list->unreadable[1].first.text(), "bad value: instruments.instrument_type: quanto");
}

TEST(Decode, HistoriesAndSummaries) {
  Decoder decoder;
  const auto volatility = decoder.volatility_history(Padded(fixture("rest_volatility_history.json")).view());
  ASSERT_TRUE(volatility) << volatility.error().text();
  ASSERT_EQ(volatility->bars.size(), 2u);
  EXPECT_EQ(volatility->bars[0].close.value.text(), "47.36");
  EXPECT_EQ(volatility->continuation, 1789999860000);
  const auto funding = decoder.funding_history(Padded(fixture("rest_funding_history.json")).view());
  ASSERT_TRUE(funding) << funding.error().text();
  EXPECT_EQ((*funding)[0].interest_1h.value.text(), "0.00000021512");
  EXPECT_EQ((*funding)[1].interest_1h.value.text(), "-0.0000032");
  const auto summaries = decoder.summaries(Padded(fixture("rest_book_summary.json")).view());
  ASSERT_TRUE(summaries) << summaries.error().text();
  EXPECT_EQ((*summaries)[0].volume_usd->text(), "912345670");
  EXPECT_FALSE((*summaries)[1].volume_usd);
  const auto refused = decoder.instruments(Padded(fixture("rest_error.json")).view());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::refused);
  EXPECT_EQ(refused.error().seen, "10028 too_many_requests");
}

TEST(Decode, ABookByRestHasPlainLevels) {
  Decoder decoder;
  const auto book = decoder.order_book(Padded(fixture("rest_order_book.json")).view());
  ASSERT_TRUE(book) << book.error().text();
  EXPECT_EQ(book->change_id, 90010000004u);
  ASSERT_EQ(book->bids.size(), 3u);
  EXPECT_EQ(book->bids[1].price.value.text(), "64249.5");
  EXPECT_EQ(book->bids[1].quantity.value.text(), "5000");
  EXPECT_EQ(book->asks.size(), 2u);
  const auto why = [&](std::string_view from, std::string_view to) {
    auto text = fixture("rest_order_book.json");
    text.replace(text.find(from), from.size(), to);
    const auto read = decoder.order_book(Padded(text).view());
    return read ? std::string("accepted") : read.error().text();
  };
  EXPECT_EQ(why("\"change_id\"", "\"other\""), "missing field: order_book.change_id: absent, null or of another type");
  EXPECT_EQ(why("\"bids\"", "\"other\""), "missing field: order_book.bids: absent, null or of another type");
  EXPECT_EQ(why("[64249.5,5.0e3]", "[64249.5,-1]"), "bad value: order_book.bids: -1");
  EXPECT_EQ(why("[64249.5,5.0e3]", "[64249.5]"), "missing field: order_book.bids: absent, null or of another type");
}

TEST(Decode, ANumberMayStandInAString) {
  const Decoded frame(
      notification("ticker.X.100ms",
                   R"({"timestamp":"1790000000500","instrument_name":"X","mark_price":"64250.50","index_price":"",)"
                   R"("current_funding":"1.2E-05","open_interest":"1e3"})"));
  ASSERT_TRUE(frame.result) << frame.result.error().text();
  EXPECT_EQ(frame->ticker.mark_price->value.text(), "64250.5");
  EXPECT_FALSE(frame->ticker.index_price) << "nothing to say";
  EXPECT_EQ(frame->ticker.current_funding->value.text(), "0.000012");
  EXPECT_EQ(frame->ticker.open_interest->value.text(), "1000");
}

TEST(Decode, ChannelNames) {
  EXPECT_EQ(channel_family("instrument.state.any.any"), "instrument.state");
  EXPECT_EQ(channel_family("trades.option.BTC.100ms"), "trades");
  EXPECT_EQ(channel_subject("book.MATIC_USDC-9MAR24-1d02-C.100ms"), "MATIC_USDC-9MAR24-1d02-C");
  EXPECT_EQ(channel_subject("platform_state"), "");
  EXPECT_EQ(channel_subject("instrument.state.any.any"), "any");
}

}  // namespace
}  // namespace mp::deribit
