#include "exchanges/binance/decode.hpp"

#include <algorithm>
#include <filesystem>
#include <functional>
#include <random>

#include "support.hpp"

namespace mp::binance {
namespace {

const std::vector<std::string> kFrames{"spot_ws_agg_trade.json",
                                       "spot_ws_trade.json",
                                       "spot_ws_trade_us.json",
                                       "spot_ws_depth_update.json",
                                       "spot_ws_book_ticker.json",
                                       "spot_ws_partial_depth.json",
                                       "spot_ws_shutdown.json",
                                       "usdm_ws_agg_trade.json",
                                       "usdm_ws_trade.json",
                                       "usdm_ws_trade_na.json",
                                       "usdm_ws_depth_update.json",
                                       "usdm_ws_partial_depth.json",
                                       "usdm_ws_coin_margined.json",
                                       "usdm_ws_mark_price.json",
                                       "ws_answer.json",
                                       "ws_error.json",
                                       "ws_error_wrapped.json",
                                       "usdm_ws_mark_price_delivery.json",
                                       "usdm_ws_mark_price_all.json",
                                       "usdm_ws_force_order.json",
                                       "usdm_ws_force_order_all.json",
                                       "usdm_ws_force_order_coin_margined.json"};

// Every REST body with the call that reads it.
struct Body {
  std::string name;
  std::function<std::string(Decoder&, std::string_view)> read;  // "" or why not
};
template <class T>
std::string why_not(const Result<T>& result) {
  return result ? "" : result.error().text();
}
const std::vector<Body>& bodies() {
  static const std::vector<Body> all{
      {"spot_rest_depth.json", [](Decoder& d, std::string_view text) { return why_not(d.depth(text)); }},
      {"usdm_rest_depth.json", [](Decoder& d, std::string_view text) { return why_not(d.depth(text)); }},
      {"spot_rest_exchange_info.json",
       [](Decoder& d, std::string_view text) { return why_not(d.exchange_info(text)); }},
      {"usdm_rest_exchange_info.json",
       [](Decoder& d, std::string_view text) { return why_not(d.exchange_info(text)); }},
      {"spot_rest_ticker_24hr.json", [](Decoder& d, std::string_view text) { return why_not(d.volumes(text)); }},
      {"usdm_rest_funding_info.json", [](Decoder& d, std::string_view text) { return why_not(d.funding_info(text)); }},
      {"usdm_rest_funding_rate.json",
       [](Decoder& d, std::string_view text) { return why_not(d.settled_funding(text)); }},
      {"usdm_rest_premium_index.json",
       [](Decoder& d, std::string_view text) { return why_not(d.premium_index(text)); }},
      {"usdm_rest_premium_index_all.json",
       [](Decoder& d, std::string_view text) { return why_not(d.premium_index(text)); }},
      {"usdm_rest_open_interest.json",
       [](Decoder& d, std::string_view text) { return why_not(d.open_interest(text)); }},
      {"usdm_rest_top_position_ratio.json", [](Decoder& d, std::string_view text) { return why_not(d.ratios(text)); }},
      {"usdm_rest_all_account_ratio.json", [](Decoder& d, std::string_view text) { return why_not(d.ratios(text)); }},
      {"usdm_rest_top_account_ratio.json", [](Decoder& d, std::string_view text) { return why_not(d.ratios(text)); }},
  };
  return all;
}

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
  EXPECT_EQ((*Decoded(fixture("usdm_ws_partial_depth.json"))).channel, "depth20@100ms")
      << "it replaces, it is no change";
  EXPECT_EQ((*Decoded(R"({"stream":"!bookTicker","data":{"e":"bookTicker","u":1,"s":"A"}})")).channel, "!bookTicker");
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
  EXPECT_NE(error(R"({"e":"depthUpdate","s":"B","E":1,"U":5,"u":4,"b":[],"a":[]})").find("below U 5"),
            std::string::npos);
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
  for (const auto& [name, read] : bodies()) {
    const auto whole = fixture(name);
    EXPECT_EQ(read(decoder, Padded(whole).view()), "") << name;
    EXPECT_TRUE(decoder.unknown_fields().empty()) << name << ": " << decoder.unknown_fields()[0].name;
    EXPECT_NE(read(decoder, Padded(whole + "x").view()), "") << name;
    for (std::size_t n = 0; n < whole.size(); ++n)
      EXPECT_NE(read(decoder, Padded(whole.substr(0, n)).view()), "") << name << " cut at " << n;
  }
}

TEST(Decode, NoFieldOfTodaysWireFormatIsNewToUs) {
  for (const auto& name : kFrames) {
    const Decoded frame(fixture(name));
    ASSERT_TRUE(frame.result) << name;
    EXPECT_TRUE((*frame).unknown_fields.empty()) << name << ": " << (*frame).unknown_fields[0].name;
  }
}

std::vector<std::string> unknown_in(const std::string& text) {
  const Decoded frame(text);
  EXPECT_TRUE(frame.result) << text << ": " << frame.result.error().text();
  std::vector<std::string> out;
  for (const auto& each : (*frame).unknown_fields)
    out.push_back(std::string(each.where) + "." + std::string(each.name));
  return out;
}

TEST(Decode, FieldsThatAreNewToUsAreNamedAndTheMessageIsTaken) {
  using Names = std::vector<std::string>;
  EXPECT_EQ(unknown_in(R"({"e":"aggTrade","s":"B","a":1,"p":"7","q":"1","f":1,"l":1,"T":1790000000120,"m":true,)"
                       R"("rpi":false,"w":[1]})"),
            (Names{"aggTrade.rpi", "aggTrade.w"}));
  EXPECT_EQ(
      unknown_in(R"({"e":"depthUpdate","s":"B","E":1790000000120,"U":5,"u":6,"b":[],"a":[],"z":{"p":"1"},"nq":1})"),
      (Names{"depthUpdate.z", "depthUpdate.nq"}));
  EXPECT_EQ(
      unknown_in(R"([{"e":"markPriceUpdate","s":"B","E":1790000000120,"p":"1","r":"0.1","T":1790006400000,"kk":1}])"),
      (Names{"markPriceUpdate.kk"}));
  EXPECT_EQ(unknown_in(R"({"e":"forceOrder","E":1,"o":{"s":"B","S":"BUY","q":"1","T":1790000000120,"id":5}})"),
            (Names{"forceOrder.id"}));
  EXPECT_EQ(unknown_in(R"({"e":"kline","s":"A","new":1,"k":{"t":1}})"), Names{}) << "of a channel that is not mapped";
  Decoder decoder;
  const Padded interest(R"({"openInterest":"1","symbol":"A","time":1790000000000,"sumValue":{"x":[1]}})");
  ASSERT_TRUE(decoder.open_interest(interest.view()));
  ASSERT_EQ(decoder.unknown_fields().size(), 1u);
  EXPECT_EQ(decoder.unknown_fields()[0].name, "sumValue");
  const Padded list(
      R"({"symbols":[{"symbol":"A","baseAsset":"A","quoteAsset":"B","brandNew":[{"a":1}],"filters":[]}]})");
  ASSERT_TRUE(decoder.exchange_info(list.view()));
  ASSERT_EQ(decoder.unknown_fields().size(), 1u);
  EXPECT_EQ(decoder.unknown_fields()[0].name, "brandNew");
}

// ---- mark price -----------------------------------------------------------------------------------------------

TEST(Decode, AMarkPriceTellsTheRateAndWhenItIsCharged) {
  const Decoded frame(fixture("usdm_ws_mark_price.json"));
  ASSERT_TRUE(frame.result) << frame.result.error().text();
  ASSERT_EQ((*frame).kind, Frame::Kind::mark_price);
  ASSERT_EQ((*frame).mark_prices.rows.size(), 1u);
  const auto& row = (*frame).mark_prices.rows[0];
  EXPECT_EQ(row.symbol, "BTCUSDT");
  EXPECT_EQ(row.mark->value.text(), "64251.12") << "p, and neither the moving average ap nor the estimate P";
  EXPECT_EQ(row.index->value.text(), "64249.88");
  EXPECT_EQ(row.rate->value.text(), "0.0001");
  EXPECT_EQ(iso(*row.funding_time), "2026-09-21T16:00:00.000000000Z");
  EXPECT_EQ(iso(*row.time), "2026-09-21T14:13:21.000000000Z");
}

TEST(Decode, AContractThatIsDeliveredHasNoFunding) {
  const Decoded frame(fixture("usdm_ws_mark_price_delivery.json"));
  ASSERT_TRUE(frame.result) << frame.result.error().text();
  const auto& row = (*frame).mark_prices.rows.at(0);
  EXPECT_FALSE(row.rate);
  EXPECT_FALSE(row.funding_time);
  EXPECT_EQ(row.mark->value.text(), "64911.3");
}

TEST(Decode, MarkPricesOfAllSymbolsComeAsAList) {
  const auto whole = fixture("usdm_ws_mark_price_all.json");
  const Decoded frame(whole);
  ASSERT_TRUE(frame.result) << frame.result.error().text();
  ASSERT_EQ((*frame).kind, Frame::Kind::mark_price);
  const auto& rows = (*frame).mark_prices.rows;
  ASSERT_EQ(rows.size(), 4u);
  EXPECT_EQ(rows[0].rate->value.text(), "-0.0000125");
  EXPECT_EQ(rows[1].st, 2);
  EXPECT_FALSE(rows[1].index) << "COIN-M has none";
  EXPECT_EQ(rows[3].rate->value.text(), "0.00000125") << "scientific notation";
  // The same without the wrapper of combined connections.
  const auto list = whole.substr(whole.find('['), whole.rfind(']') + 1 - whole.find('['));
  const Decoded bare(list);
  ASSERT_TRUE(bare.result) << bare.result.error().text();
  EXPECT_EQ((*bare).mark_prices.rows.size(), 4u);
}

TEST(Decode, OneUnreadableMarkPriceDoesNotCostTheOthers) {
  const Decoded frame(R"([{"e":"markPriceUpdate","s":"A","E":1790000000120,"p":"x","r":"0.1","T":1790006400000},)"
                      R"({"s":"B","p":"2","r":1e-4,"T":"1790006400000","E":1790000000120,"e":"markPriceUpdate"},7])");
  ASSERT_TRUE(frame.result) << frame.result.error().text();
  const auto& list = (*frame).mark_prices;
  ASSERT_EQ(list.rows.size(), 1u);
  EXPECT_EQ(list.rows[0].rate->value.text(), "0.0001") << "a JSON number";
  EXPECT_EQ(iso(*list.rows[0].funding_time), "2026-09-21T16:00:00.000000000Z") << "a time as a string";
  ASSERT_EQ(list.unreadable.size(), 1u);
  EXPECT_EQ(list.unreadable[0].first.text(), "bad number: markPriceUpdate.p: x");
  EXPECT_EQ(list.unreadable[0].second.substr(0, 30), R"({"e":"markPriceUpdate","s":"A")");
}

// ---- liquidations ---------------------------------------------------------------------------------------------

TEST(Decode, ALiquidationOrder) {
  const Decoded frame(fixture("usdm_ws_force_order.json"));
  ASSERT_TRUE(frame.result) << frame.result.error().text();
  ASSERT_EQ((*frame).kind, Frame::Kind::liquidation);
  EXPECT_EQ((*frame).symbol, "BTCUSDT");
  EXPECT_EQ((*frame).st, 1);
  const auto& order = (*frame).liquidation;
  EXPECT_EQ(order.side, Side::sell) << "of the order: it closes a long";
  EXPECT_EQ(order.quantity.value.text(), "0.014");
  EXPECT_EQ(order.price->value.text(), "63910");
  EXPECT_EQ(order.average->value.text(), "64010.2");
  EXPECT_EQ(order.filled->value.text(), "0.014") << "z, all that was filled, and not l, the last part";
  EXPECT_EQ(order.status, "FILLED");
  EXPECT_EQ(iso(order.time), "2026-09-21T14:13:20.493000000Z") << "the order's time, not the message's";
}

TEST(Decode, WhereTheMarketStandsMayVary) {
  EXPECT_EQ((*Decoded(fixture("usdm_ws_force_order_all.json"))).st, 1) << "within the order";
  EXPECT_EQ((*Decoded(fixture("usdm_ws_force_order_coin_margined.json"))).st, 2) << "beside it";
}

TEST(Decode, AnOrderThatIsNotFilledHasNoAveragePrice) {
  const Decoded frame(fixture("usdm_ws_force_order_all.json"));
  ASSERT_TRUE(frame.result);
  const auto& order = (*frame).liquidation;
  EXPECT_EQ(order.side, Side::buy);
  EXPECT_FALSE(order.average);
  EXPECT_TRUE(order.filled->value.is_zero());
  const Decoded empty(
      R"({"e":"forceOrder","E":1,"o":{"s":"B","S":"BUY","q":2.5,"p":"","ap":"","z":"","T":1790000000120}})");
  ASSERT_TRUE(empty.result) << empty.result.error().text();
  EXPECT_EQ((*empty).liquidation.quantity.value.text(), "2.5");
  EXPECT_FALSE((*empty).liquidation.price);
  EXPECT_FALSE((*empty).liquidation.filled);
}

TEST(Decode, ALiquidationThatCannotBeUnderstoodIsRefused) {
  const auto error = [](const std::string& order) {
    const Decoded frame(R"({"e":"forceOrder","E":1)" + order + "}");
    return frame.result ? "accepted" : frame.result.error().text();
  };
  EXPECT_EQ(error(""), "missing field: forceOrder.o: absent or of another type");
  EXPECT_EQ(error(R"(,"o":"LIMIT")"), "missing field: forceOrder.o: absent or of another type");
  EXPECT_EQ(error(R"(,"o":{"s":"B","S":"HOLD","q":"1","T":1790000000120})"), "bad value: forceOrder.o.S: HOLD");
  EXPECT_EQ(error(R"(,"o":{"s":"B","S":"BUY","q":"-1","T":1790000000120})"), "bad value: forceOrder.o.q: -1");
  EXPECT_EQ(error(R"(,"o":{"s":"B","S":"BUY","T":1790000000120})"),
            "missing field: forceOrder.o.q: absent or of another type");
  EXPECT_EQ(error(R"(,"o":{"s":"B","S":"BUY","q":"1"})"), "missing field: forceOrder.o.T: absent or of another type");
  EXPECT_EQ(error(R"(,"o":{"s":"B","S":"BUY","q":"1","T":1790000000120})"), "accepted");
}

// ---- REST statistics ------------------------------------------------------------------------------------------

TEST(Decode, FundingHistoryTellsWhatWasCharged) {
  Decoder decoder;
  const Padded text(fixture("usdm_rest_funding_rate.json"));
  const auto reply = decoder.settled_funding(text.view());
  ASSERT_TRUE(reply) << reply.error().text();
  ASSERT_EQ(reply->rows.size(), 3u);
  EXPECT_EQ(reply->rows[0].rate->value.text(), "-0.000125");
  EXPECT_EQ(reply->rows[0].mark->value.text(), "64102.55");
  EXPECT_EQ(iso(reply->rows[0].funding_time), "2026-09-21T00:00:00.000000000Z");
  EXPECT_FALSE(reply->rows[1].mark) << "\"\"";
  EXPECT_EQ(reply->rows[2].rate_type, "Special");
  const Padded old(R"([{"symbol":"A","fundingRate":"1E-4","fundingTime":1570608000000}])");
  EXPECT_EQ(decoder.settled_funding(old.view())->rows.at(0).rate->value.text(), "0.0001");
}

TEST(Decode, FundingInfoTellsTheHours) {
  Decoder decoder;
  const Padded text(fixture("usdm_rest_funding_info.json"));
  const auto reply = decoder.funding_info(text.view());
  ASSERT_TRUE(reply) << reply.error().text();
  ASSERT_EQ(reply->rows.size(), 2u);
  EXPECT_EQ(reply->rows[0].symbol, "1000SHIBUSDT");
  EXPECT_EQ(reply->rows[0].hours->text(), "4");
}

TEST(Decode, PremiumIndexIsOneObjectOrAList) {
  Decoder decoder;
  const Padded one(fixture("usdm_rest_premium_index.json"));
  const auto single = decoder.premium_index(one.view());
  ASSERT_TRUE(single) << single.error().text();
  ASSERT_EQ(single->rows.size(), 1u);
  EXPECT_EQ(single->rows[0].rate->value.text(), "0.0000013");
  const Padded all(fixture("usdm_rest_premium_index_all.json"));
  const auto list = decoder.premium_index(all.view());
  ASSERT_TRUE(list) << list.error().text();
  ASSERT_EQ(list->rows.size(), 2u);
  EXPECT_EQ(list->rows[0].index->value.text(), "64249.88");
  EXPECT_FALSE(list->rows[1].rate);
  EXPECT_FALSE(list->rows[1].funding_time);
}

TEST(Decode, OpenInterestIsInBaseUnits) {
  Decoder decoder;
  const Padded text(fixture("usdm_rest_open_interest.json"));
  const auto row = decoder.open_interest(text.view());
  ASSERT_TRUE(row) << row.error().text();
  EXPECT_EQ(row->symbol, "BTCUSDT");
  EXPECT_EQ(row->quantity.value.text(), "10659.509");
  EXPECT_EQ(iso(row->time), "2026-09-21T14:13:20.000000000Z");
  const auto error = [&](const char* body) {
    const Padded padded(body);
    return why_not(decoder.open_interest(padded.view()));
  };
  EXPECT_EQ(error(R"({"openInterest":"","symbol":"A","time":1790000000000})"),
            "missing field: openInterest.openInterest: absent or empty");
  EXPECT_EQ(error(R"({"openInterest":"-1","symbol":"A","time":1790000000000})"),
            "bad value: openInterest.openInterest: -1");
  EXPECT_EQ(error(R"({"openInterest":"1","symbol":"A","time":"later"})"), "bad number: openInterest.time: later");
  EXPECT_EQ(error(R"({"code":-1121,"msg":"Invalid symbol."})"), "missing field: openInterest.symbol: absent or empty");
}

TEST(Decode, RatioTimesAreNumbersOrStrings) {
  Decoder decoder;
  for (const auto* name : {"usdm_rest_top_position_ratio.json", "usdm_rest_all_account_ratio.json"}) {
    const Padded text(fixture(name));
    const auto reply = decoder.ratios(text.view());
    ASSERT_TRUE(reply) << reply.error().text();
    ASSERT_EQ(reply->rows.size(), 2u);
    EXPECT_EQ(iso(reply->rows[1].time), "2026-09-21T14:10:00.000000000Z") << name;
  }
}

TEST(Decode, OneUnreadableRowDoesNotCostTheOthers) {
  Decoder decoder;
  const Padded text(
      R"([{"symbol":"A","longShortRatio":"x","longAccount":"0.5","timestamp":1790000000000},)"
      R"({"symbol":"B","longShortRatio":"1.5","longAccount":"","shortAccount":null,"timestamp":1790000000000},)"
      R"({"symbol":"C","longShortRatio":"1.5"}])");
  const auto reply = decoder.ratios(text.view());
  ASSERT_TRUE(reply) << reply.error().text();
  ASSERT_EQ(reply->rows.size(), 1u);
  EXPECT_EQ(reply->rows[0].symbol, "B");
  EXPECT_FALSE(reply->rows[0].long_share);
  EXPECT_FALSE(reply->rows[0].short_share);
  ASSERT_EQ(reply->unreadable.size(), 2u);
  EXPECT_EQ(reply->unreadable[0].first.text(), "bad number: LongShortRatio.longShortRatio: x");
  EXPECT_EQ(reply->unreadable[0].second,
            R"({"symbol":"A","longShortRatio":"x","longAccount":"0.5","timestamp":1790000000000})");
  EXPECT_EQ(reply->unreadable[1].first.text(), "missing field: LongShortRatio.timestamp: absent or empty");
  EXPECT_FALSE(decoder.ratios(Padded(R"({"code":-1121,"msg":"Invalid symbol."})").view()));
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
  for (const auto& [name, read] : bodies()) {
    const auto whole = fixture(name);
    for (int i = 0; i < 400; ++i) {
      auto damaged = whole;
      for (int k = 0; k < 3; ++k) damaged[random() % damaged.size()] = static_cast<char>(random());
      (void)read(decoder, Padded(damaged).view());
      (void)decoder.frame(Padded(damaged).view());
    }
  }
}

TEST(Decode, AMessageNestedWithoutEndIsRefusedAndDoesNotCostTheStack) {
  constexpr int kLevels = 100'000;
  for (const std::string key : {"data", "error", "o", "stream", "x"}) {
    for (const bool in_list : {false, true}) {
      std::string text;
      for (int i = 0; i < kLevels; ++i) text += "{\"" + key + "\":" + (in_list ? "[" : "");
      text += "1";
      for (int i = 0; i < kLevels; ++i) text += in_list ? "]}" : "}";
      const Decoded frame(text);
      if (in_list || (key != "data" && key != "error")) continue;
      ASSERT_FALSE(frame.result) << key;
      EXPECT_EQ(frame.result.error().text(), "bad value: " + key + ": nested more than 8 deep");
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
  const std::vector<Body> statistics_bodies{
      {"http_funding_rate", [](Decoder& d, std::string_view text) { return why_not(d.settled_funding(text)); }},
      {"http_premium_index", [](Decoder& d, std::string_view text) { return why_not(d.premium_index(text)); }},
      {"http_open_interest.json", [](Decoder& d, std::string_view text) { return why_not(d.open_interest(text)); }},
      {"long_short_account_ratio", [](Decoder& d, std::string_view text) { return why_not(d.ratios(text)); }},
      {"top_long_short_position_ratio", [](Decoder& d, std::string_view text) { return why_not(d.ratios(text)); }},
  };
  Decoder decoder;
  int statistics = 0;
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
      const auto kind = has("trade")                  ? Frame::Kind::trade
                        : has("depth") || has("l2_1") ? Frame::Kind::depth
                        : has("mark_price")           ? Frame::Kind::mark_price
                        : has("liquidation")          ? Frame::Kind::liquidation
                                                      : Frame::Kind::unmapped;
      EXPECT_EQ((*frame)->kind, kind) << name;
      for (const auto& each : (*frame)->unknown_fields) ADD_FAILURE() << name << ": " << each.where << "." << each.name;
      ++frames;
      statistics += kind == Frame::Kind::mark_price || kind == Frame::Kind::liquidation;
    } else if (const auto body =
                   std::ranges::find_if(statistics_bodies, [&](const Body& each) { return has(each.name.c_str()); });
               body != statistics_bodies.end()) {
      EXPECT_EQ(body->read(decoder, text.view()), "") << name;
      for (const auto& each : decoder.unknown_fields()) ADD_FAILURE() << name << ": " << each.where << "." << each.name;
      ++statistics;
    }
  }
  EXPECT_GE(frames, 20);
  EXPECT_GE(depths, 4);
  EXPECT_EQ(infos, 3);
  EXPECT_EQ(statistics, 9);
}

}  // namespace
}  // namespace mp::binance
