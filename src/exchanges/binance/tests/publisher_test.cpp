// What is published of the types beside trades and books: each field from its own source, nothing twice.
#include "exchanges/binance/publisher.hpp"

#include <gmock/gmock.h>

#include "support.hpp"

namespace mp::binance {
namespace {

using testing::HasSubstr;

const std::string kFapi = "https://fapi.binance.com/fapi/v1/";
const std::string kData = "https://fapi.binance.com/futures/data/";
const std::string kRatioQuery = "?symbol=BTCUSDT&period=5m&limit=30";

SessionOptions offline() {
  auto options = options_for("derivatives");
  options.min_interval = 0ms;
  options.max_clock_distance = 0h;
  return options;
}

// A session that knows the fixtures' instruments.
struct Playing : Script {
  explicit Playing(const SessionOptions& options = offline()) : Script(options) {
    rest(kUsdmInfoUrl, fixture("usdm_rest_exchange_info.json"), 0ms);
    all.clear();
  }
  std::map<std::string, std::uint64_t> unmapped() const {
    const auto counted = session->counters().unmapped;
    return {counted.begin(), counted.end()};
  }
};

std::string mark_price(const std::string& rate, std::int64_t funding_ms, int ms, const std::string& mark = "64251.12") {
  return R"({"stream":"btcusdt@markPrice","data":{"e":"markPriceUpdate","E":)" +
         std::to_string(1'790'000'000'000 + ms) + R"(,"s":"BTCUSDT","p":")" + mark +
         R"(","i":"64249.88","P":"1","r":")" + rate + R"(","T":)" + std::to_string(funding_ms) + "}}";
}
constexpr std::int64_t kSixteen = 1'790'006'400'000;  // 16:00, the next charge

std::string open_interest(const std::string& value, int ms) {
  return R"({"openInterest":")" + value + R"(","symbol":"BTCUSDT","time":)" + std::to_string(1'790'000'000'000 + ms) +
         "}";
}

std::string text(const std::optional<Ratio>& value) { return value ? value->value.text() : "absent"; }

// ---- ratios ---------------------------------------------------------------------------------------------------

// The venue calls the shares `longAccount` in all three; only the endpoint tells what they are shares of.
TEST(Ratios, ThePositionRatioIsNotTheAccountRatio) {
  Playing script;
  script.rest(kData + "topLongShortPositionRatio" + kRatioQuery, fixture("usdm_rest_top_position_ratio.json"), 1ms);
  ASSERT_EQ(only<LsrTopPosition>(script.all).size(), 2u);
  EXPECT_TRUE(only<LsrAllAccount>(script.all).empty());
  const auto position = only<LsrTopPosition>(script.all)[0];
  EXPECT_EQ(text(position.long_position_ratio), "0.5892");
  EXPECT_EQ(text(position.short_position_ratio), "0.4108");
  EXPECT_EQ(position.long_short_ratio.value.text(), "1.4342");
  EXPECT_EQ(position.period, "5m");
  EXPECT_EQ(iso(position.meta.timestamp), "2026-09-21T14:05:00.000000000Z");
  script.all.clear();

  script.rest(kData + "globalLongShortAccountRatio" + kRatioQuery, fixture("usdm_rest_all_account_ratio.json"), 2ms);
  ASSERT_EQ(only<LsrAllAccount>(script.all).size(), 2u);
  EXPECT_TRUE(only<LsrTopPosition>(script.all).empty());
  const auto account = only<LsrAllAccount>(script.all)[0];
  EXPECT_EQ(text(account.long_account_ratio), "0.467");
  EXPECT_EQ(text(account.short_account_ratio), "0.533");
  EXPECT_EQ(account.long_short_ratio.value.text(), "0.8762");
  script.all.clear();

  script.rest(kData + "topLongShortAccountRatio" + kRatioQuery, fixture("usdm_rest_top_account_ratio.json"), 3ms);
  EXPECT_TRUE(script.all.empty()) << "accounts of the top traders: neither of ours";
  EXPECT_EQ(script.unmapped().at("REST topLongShortAccountRatio"), 1u);
}

TEST(Ratios, EachRowIsToldOnceByTheVenuesTime) {
  Playing script;
  const auto url = kData + "topLongShortPositionRatio" + kRatioQuery;
  const auto body = fixture("usdm_rest_top_position_ratio.json");
  script.rest(url, body, 1ms);
  script.rest(url, body, 2ms);
  EXPECT_EQ(only<LsrTopPosition>(script.all).size(), 2u);
  auto newer = body;
  newer.replace(newer.find("1789999500000"), 13, "1790000100000");  // rows in no order
  script.rest(url, newer, 3ms);
  ASSERT_EQ(only<LsrTopPosition>(script.all).size(), 3u);
  EXPECT_EQ(iso(only<LsrTopPosition>(script.all)[2].meta.timestamp), "2026-09-21T14:15:00.000000000Z");
  // The other ratio has rows of the same times.
  script.rest(kData + "globalLongShortAccountRatio" + kRatioQuery, fixture("usdm_rest_all_account_ratio.json"), 4ms);
  EXPECT_EQ(only<LsrAllAccount>(script.all).size(), 2u);
}

// ---- funding --------------------------------------------------------------------------------------------------

TEST(Funding, EachFieldIsFromItsOwnSource) {
  Playing script;
  script.text(1, mark_price("0.00010000", kSixteen, 0), 1ms);
  script.rest(kFapi + "fundingInfo", fixture("usdm_rest_funding_info.json"), 2ms);
  script.text(1, mark_price("0.00010000", kSixteen, 3000), 3s);
  script.text(1, fixture("usdm_ws_mark_price_all.json"), 4s);
  const auto rates = only<FundingRate>(script.all);
  ASSERT_EQ(rates.size(), 4u) << json(script.all);
  EXPECT_EQ(rates[0].funding_rate.value.text(), "0.0001");
  EXPECT_EQ(rates[0].mark_price->value.text(), "64251.12");
  EXPECT_EQ(rates[0].index_price->value.text(), "64249.88");
  EXPECT_EQ(iso(*rates[0].funding_time), "2026-09-21T16:00:00.000000000Z") << "T";
  EXPECT_EQ(iso(rates[0].meta.timestamp), "2026-09-21T14:13:20.000000000Z") << "E";
  EXPECT_FALSE(rates[0].next_funding_time) << "the message does not say";
  EXPECT_FALSE(rates[0].is_settled);
  EXPECT_FALSE(rates[0].funding_interval_hours) << "fundingInfo has not come: not guessed";
  EXPECT_EQ(rates[1].funding_interval_hours->text(), "8") << "not listed: charged as usual";
  EXPECT_EQ(rates[2].funding_rate.value.text(), "-0.0000125");
  EXPECT_EQ(rates[3].meta.instrument->symbol, "1000SHIB-USDT");
  EXPECT_EQ(rates[3].funding_interval_hours->text(), "4");
  // The list of all symbols held a COIN-M contract and one that is delivered.
  EXPECT_EQ(script.unmapped().at("COIN-M (st 2)"), 1u);
  EXPECT_TRUE(only<Rejected>(script.all).empty());
  // Back to usual: it is listed no more.
  script.rest(kFapi + "fundingInfo", "[]", 5s);
  script.text(1, fixture("usdm_ws_mark_price_all.json"), 6s);
  EXPECT_EQ(only<FundingRate>(script.all).back().funding_interval_hours->text(), "8");
}

TEST(Funding, WithoutARateOrATimeThereIsNothingToSay) {
  Playing script;
  script.text(1, mark_price("", kSixteen, 0), 1ms);
  script.text(1, mark_price("0.00010000", 0, 0), 2ms);
  script.text(1, fixture("usdm_ws_mark_price_delivery.json"), 3ms);
  EXPECT_TRUE(script.all.empty()) << json(script.all);
}

TEST(Funding, AnUnchangedRateIsWrittenAgainAfterTheIntervalOnlyAndAChangedOneAtOnce) {
  auto options = offline();
  options.min_interval = 60s;
  Playing script(options);
  for (int second = 0; second <= 90; second += 3)
    script.text(1, mark_price("0.00010000", kSixteen, second * 1000, "6425" + std::to_string(second)),
                std::chrono::seconds(second));
  EXPECT_EQ(only<FundingRate>(script.all).size(), 2u) << "at 0 and 60 s; a mark price that moves is no change";
  script.text(1, mark_price("0.00010100", kSixteen, 93'000), 93s);
  EXPECT_EQ(only<FundingRate>(script.all).size(), 3u);
  script.text(1, mark_price("0.00010100", kSixteen + 28'800'000, 96'000), 96s);
  EXPECT_EQ(only<FundingRate>(script.all).size(), 4u);
  script.rest(kFapi + "fundingInfo", "[]", 97s);
  script.text(1, mark_price("0.00010100", kSixteen + 28'800'000, 99'000), 99s);
  EXPECT_EQ(only<FundingRate>(script.all).size(), 5u) << "the hours are news";
  EXPECT_EQ(script.session->counters().duplicates, 0u);
}

TEST(Funding, WhatTwoConnectionsBringIsTakenOnce) {
  Playing script;
  script.opened(1, "", 0ms);
  script.opened(2, "", 0ms);
  script.text(1, mark_price("0.00010000", kSixteen, 0), 1ms);
  script.text(2, mark_price("0.00010000", kSixteen, 0), 2ms);
  script.text(2, mark_price("0.00010200", kSixteen, 3000), 3001ms);
  script.text(1, mark_price("0.00010200", kSixteen, 3000), 3002ms);
  EXPECT_EQ(only<FundingRate>(script.all).size(), 2u);
  EXPECT_EQ(script.session->counters().duplicates, 2u);
}

TEST(Funding, SettledRatesAreHistoryAndToldOnce) {
  auto options = offline();
  options.max_clock_distance = 24h;
  Playing script(options);
  const auto url = kFapi + "fundingRate?symbol=BTCUSDT&limit=1000";
  const auto body = fixture("usdm_rest_funding_rate.json");
  script.rest(url, body, 48h);  // days old: no wrong clock
  script.rest(url, body, 49h);
  const auto rates = only<FundingRate>(script.all);
  ASSERT_EQ(rates.size(), 3u);
  for (const auto& each : rates) {
    EXPECT_TRUE(each.is_settled);
    EXPECT_EQ(each.meta.timestamp, *each.funding_time);
    EXPECT_FALSE(each.index_price);
  }
  EXPECT_EQ(rates[0].funding_rate.value.text(), "-0.000125");
  EXPECT_EQ(rates[0].mark_price->value.text(), "64102.55");
  EXPECT_FALSE(rates[1].mark_price);
  EXPECT_EQ(rates[2].funding_rate.value.text(), "0.0025") << "a special charge beside the regular one";
}

TEST(Funding, ADayOffIsRefusedLive) {
  auto options = offline();
  options.max_clock_distance = 24h;
  Playing script(options);
  script.text(1, mark_price("0.00010000", kSixteen, 0), 25h);
  ASSERT_EQ(only<Rejected>(script.all).size(), 1u);
  EXPECT_EQ(only<Rejected>(script.all)[0].data_type, DataType::funding_rate);
}

// ---- open interest --------------------------------------------------------------------------------------------

TEST(OpenInterest, AnAnswerThatBringsNothingNewWritesNothing) {
  Playing script;
  const auto url = kFapi + "openInterest?symbol=BTCUSDT";
  script.rest(url, open_interest("10659.509", 0), 1s);
  script.rest(url, open_interest("10659.509", 0), 11s);
  ASSERT_EQ(only<OpenInterest>(script.all).size(), 1u);
  const auto event = only<OpenInterest>(script.all)[0];
  EXPECT_EQ(event.open_interest.value.text(), "10659.509");
  EXPECT_EQ(event.quantity_unit, QuantityUnit::base);
  EXPECT_FALSE(event.open_interest_value) << "the answer does not carry it";
  EXPECT_FALSE(event.contracts);
  EXPECT_EQ(iso(event.meta.timestamp), "2026-09-21T14:13:20.000000000Z");
  EXPECT_EQ(event.meta.received_at, kStart + 1s);
  script.rest(url, open_interest("10659.509", 9000), 12s);
  EXPECT_EQ(only<OpenInterest>(script.all).size(), 2u) << "normalize thins nothing";
}

TEST(OpenInterest, UnchangedValuesAreThinnedLive) {
  auto options = offline();
  options.min_interval = 60s;
  Playing script(options);
  const auto url = kFapi + "openInterest?symbol=BTCUSDT";
  for (int second = 0; second < 120; second += 10)
    script.rest(url, open_interest("10659.509", second * 1000), std::chrono::seconds(second));
  EXPECT_EQ(only<OpenInterest>(script.all).size(), 2u);
  script.rest(url, open_interest("10659.51", 121'000), 121s);
  EXPECT_EQ(only<OpenInterest>(script.all).size(), 3u);
}

TEST(OpenInterest, OfAContractThatIsDeliveredToo) {
  Playing script;
  auto body = open_interest("12.5", 0);
  body.replace(body.find("BTCUSDT"), 7, "BTCUSDT_261225");
  script.rest(kFapi + "openInterest?symbol=BTCUSDT_261225", body, 1s);
  ASSERT_EQ(only<OpenInterest>(script.all).size(), 1u);
  EXPECT_EQ(only<OpenInterest>(script.all)[0].meta.instrument->symbol, "BTC-USDT-20261225");
}

// ---- liquidations ---------------------------------------------------------------------------------------------

TEST(Liquidations, ARepeatedOneIsToldOnceAndCoverageIsSaid) {
  Playing script;
  const auto frame = fixture("usdm_ws_force_order.json");
  script.text(1, frame, 1ms);
  auto again = frame;
  again.replace(again.find("1790000000500"), 13, "1790000000900");  // another message about the same order
  script.text(2, again, 2ms);
  ASSERT_EQ(only<Liquidation>(script.all).size(), 1u);
  const auto event = only<Liquidation>(script.all)[0];
  EXPECT_EQ(event.side, Side::sell);
  EXPECT_EQ(event.price->value.text(), "63910");
  EXPECT_EQ(event.average_price->value.text(), "64010.2");
  EXPECT_EQ(event.quantity.value.text(), "0.014");
  EXPECT_EQ(event.filled_quantity->value.text(), "0.014");
  EXPECT_EQ(event.status, "FILLED");
  EXPECT_EQ(event.coverage, Coverage::sampled);
  EXPECT_EQ(iso(event.meta.timestamp), "2026-09-21T14:13:20.493000000Z");
  EXPECT_EQ(script.session->counters().duplicates, 1u);
  auto other = frame;
  other.replace(other.find("0.014"), 5, "0.015");
  script.text(1, other, 3ms);
  EXPECT_EQ(only<Liquidation>(script.all).size(), 2u);
}

TEST(Liquidations, CoinMarginedOnesAreLeftOut) {
  Playing script;
  script.text(1, fixture("usdm_ws_force_order_coin_margined.json"), 1ms);
  EXPECT_TRUE(script.all.empty()) << "their quantities are contracts";
  EXPECT_EQ(script.unmapped().at("COIN-M (st 2)"), 1u);
}

TEST(Liquidations, AnUnknownStatusIsToldOnceAndAnUnknownSideRefused) {
  Playing script;
  auto frame = fixture("usdm_ws_force_order.json");
  frame.replace(frame.find("FILLED"), 6, "MELTED");
  script.text(1, frame, 1ms);
  EXPECT_EQ(only<Liquidation>(script.all).at(0).status, "unknown");
  ASSERT_EQ(script.out.notices.size(), 1u);
  EXPECT_THAT(script.out.notices[0].detail, HasSubstr("forceOrder.o.X value=MELTED"));
  frame.replace(frame.find("SELL"), 4, "HOLD");
  script.text(1, frame, 2ms);
  ASSERT_EQ(only<Rejected>(script.all).size(), 1u);
  EXPECT_EQ(only<Rejected>(script.all)[0].raw, frame);
}

// ---- what is refused ------------------------------------------------------------------------------------------

TEST(Statistics, OfAnInstrumentThatIsNotKnownAreRejected) {
  Playing script;
  auto mark = mark_price("0.0001", kSixteen, 0);
  mark.replace(mark.find(R"("s":"BTCUSDT")"), 13, R"("s":"NOPE")");
  script.text(1, mark, 1ms);
  script.rest(kFapi + "openInterest?symbol=NOPE", R"({"openInterest":"1","symbol":"NOPE","time":1790000000000})", 2ms);
  script.rest(kData + "topLongShortPositionRatio?symbol=NOPE&period=5m",
              R"([{"symbol":"NOPE","longShortRatio":"1","timestamp":1790000000000}])", 3ms);
  const auto rejected = only<Rejected>(script.all);
  ASSERT_EQ(rejected.size(), 3u);
  for (const auto& each : rejected) EXPECT_EQ(each.reason, "instrument 'NOPE' is not in the catalogue");
  EXPECT_EQ(rejected[1].data_type, DataType::open_interest);
}

TEST(Statistics, ARefusalByTheVenueIsNoReject) {
  Playing script;
  const std::string refusal = R"({"code":-1003,"msg":"Too many requests."})";
  for (const auto& url : {kFapi + "openInterest?symbol=BTCUSDT", kFapi + "fundingInfo", kFapi + "fundingRate",
                          kData + "globalLongShortAccountRatio"})
    script.rest(url, refusal, 1ms, 429);
  EXPECT_TRUE(script.all.empty());
  EXPECT_EQ(script.unmapped().at("REST openInterest answered 429"), 1u);
  script.rest(kFapi + "openInterest?symbol=BTCUSDT", "<html>", 2ms);
  ASSERT_EQ(only<Rejected>(script.all).size(), 1u);
  EXPECT_EQ(only<Rejected>(script.all)[0].raw, "<html>");
}

TEST(Statistics, OneUnreadableRowDoesNotCostTheOthers) {
  Playing script;
  script.rest(kFapi + "fundingRate?symbol=BTCUSDT",
              R"([{"symbol":"BTCUSDT","fundingTime":1789948800000,"fundingRate":"much"},)"
              R"({"symbol":"BTCUSDT","fundingTime":1789977600000,"fundingRate":"0.0001"}])",
              1ms);
  EXPECT_EQ(only<FundingRate>(script.all).size(), 1u);
  ASSERT_EQ(only<Rejected>(script.all).size(), 1u);
  EXPECT_EQ(only<Rejected>(script.all)[0].raw,
            R"({"symbol":"BTCUSDT","fundingTime":1789948800000,"fundingRate":"much"})");
}

TEST(Statistics, TypesThatAreNotAskedForAreNotTold) {
  auto options = offline();
  options.data_types = {DataType::trade};
  Playing script(options);
  script.text(1, mark_price("0.0001", kSixteen, 0), 1ms);
  script.text(1, fixture("usdm_ws_force_order.json"), 2ms);
  script.rest(kFapi + "openInterest?symbol=BTCUSDT", open_interest("1", 0), 3ms);
  script.rest(kData + "topLongShortPositionRatio" + kRatioQuery, fixture("usdm_rest_top_position_ratio.json"), 4ms);
  EXPECT_TRUE(script.all.empty()) << json(script.all);
}

// ---- the catalogue --------------------------------------------------------------------------------------------

TEST(Instruments, AChangeIsToldAndSamenessIsNot) {
  Playing script;
  const auto list = fixture("usdm_rest_exchange_info.json");
  script.rest(kUsdmInfoUrl, list, 1h);
  EXPECT_TRUE(script.all.empty());
  auto changed = list;
  changed.replace(changed.find(R"("tickSize":"0.10")"), 17, R"("tickSize":"0.50")");
  script.rest(kUsdmInfoUrl, changed, 2h);
  ASSERT_EQ(only<Instrument>(script.all).size(), 1u);
  const auto definition = only<Instrument>(script.all)[0];
  EXPECT_EQ(definition.meta.instrument->symbol, "BTC-USDT");
  EXPECT_EQ(definition.tick_size->value.text(), "0.5");
  EXPECT_EQ(definition.lot_size->value.text(), "0.001");
  EXPECT_EQ(definition.contract_size.text(), "1");
  EXPECT_EQ(definition.meta.timestamp, kStart + 2h);
}

TEST(Instruments, AnUnknownStatusIsToldAndAnUnknownFieldCounted) {
  Playing script;
  auto list = fixture("usdm_rest_exchange_info.json");
  list.replace(list.find("TRADING"), 7, "ASLEEP");
  list.replace(list.find(R"("pair")"), 6, R"("twin")");
  script.rest(kUsdmInfoUrl, list, 1h);
  EXPECT_EQ(only<Instrument>(script.all).at(0).status, "unknown");
  const auto unknown = script.session->counters().unknown;
  ASSERT_EQ(unknown.size(), 2u);
  EXPECT_EQ(unknown[0].first, "field=exchangeInfo.status value=ASLEEP");
  EXPECT_EQ(unknown[1].first, "field=exchangeInfo.twin");
}

}  // namespace
}  // namespace mp::binance
