#include "probe_report.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mp::collector {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using namespace std::chrono_literals;

InstrumentRef bitcoin() {
  return std::make_shared<const InstrumentId>(InstrumentId{"okx", MarketType::perpetual, "BTC-USDT", "BTC-USDT-SWAP"});
}

ProbeSource good_source() {
  ProbeSource source;
  source.source = {"okx", ""};
  source.wanted = {DataType::trade, DataType::liquidation};
  source.connected = 40ms;
  source.streams = {{bitcoin(), DataType::trade, StreamState::live, 55ms, 12},
                    {bitcoin(), DataType::liquidation, StreamState::subscribing, std::nullopt, 0}};
  source.clock_offset = 12ms;
  return source;
}

TEST(ProbeReport, AVenueThatDeliversIsGood) {
  EXPECT_THAT(faults_of(good_source()), IsEmpty());
  EXPECT_THAT(probe_table({good_source()}), HasSubstr("good"));
  EXPECT_THAT(probe_json({good_source()}), HasSubstr(R"("good":true)"));
}

TEST(ProbeReport, NoConnectionIsTheOnlyFaultThatMatters) {
  auto source = good_source();
  source.connected.reset();
  EXPECT_THAT(faults_of(source), ElementsAre("no connection was made"));
}

TEST(ProbeReport, ATypeWithoutDataIsAFault) {
  auto source = good_source();
  source.streams[0].messages = 0;
  source.streams[0].state = StreamState::silent;
  EXPECT_THAT(faults_of(source), ElementsAre("trade: no data has come (state silent)"));
}

TEST(ProbeReport, ATypeThatNobodySubscribedIsAFault) {
  auto source = good_source();
  source.wanted.push_back(DataType::funding_rate);
  EXPECT_THAT(faults_of(source), ElementsAre("funding_rate: nothing was subscribed"));
}

TEST(ProbeReport, LiquidationsNeedNotComeButMustNotBeRefused) {
  auto source = good_source();
  source.streams[1].state = StreamState::refused;
  EXPECT_THAT(faults_of(source), ElementsAre("liquidation: the venue refused it"));
}

TEST(ProbeReport, UnreadableMessagesAreAFaultAndTold) {
  auto source = good_source();
  source.decode_failures = 3;
  source.failure_reasons = {"missing field: px in {\"arg\":1}"};
  EXPECT_THAT(faults_of(source), ElementsAre("3 messages could not be read"));
  EXPECT_THAT(probe_table({source}), HasSubstr("not readable: missing field: px"));
  EXPECT_THAT(probe_json({source}), HasSubstr(R"(\"arg\")"));
}

TEST(ProbeReport, NewFieldsAreToldAndNoFault) {
  auto source = good_source();
  source.unknown = {{"trades.seqId2", 12}};
  EXPECT_THAT(faults_of(source), IsEmpty());
  EXPECT_THAT(probe_table({source}), HasSubstr("new to us: trades.seqId2 (12 times)"));
}

TEST(ProbeReport, AClockThatIsOffIsAFault) {
  auto source = good_source();
  source.clock_offset = -3s;
  EXPECT_THAT(faults_of(source), ElementsAre(HasSubstr("differ by -3000.0 ms")));
  source.clock_offset = 900ms;  // a long way to the venue
  EXPECT_THAT(faults_of(source), IsEmpty());
}

}  // namespace
}  // namespace mp::collector
