#include "wire/json.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "wire/subject.hpp"

namespace mp::wire {
namespace {

// The golden files: one per data type, the JSON that other programs may rely on.
std::vector<std::string> golden(DataType type) {
  std::ifstream file(std::string(MP_SOURCE_DIR "/src/wire/fixtures/") + to_string(type) + ".jsonl");
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

class GoldenEvents : public testing::TestWithParam<DataType> {
 protected:
  InstrumentPool pool_;
  Decoder decoder_{pool_};
};

TEST_P(GoldenEvents, ReadAndWrittenAgainAreTheSameBytes) {
  const auto lines = golden(GetParam());
  ASSERT_FALSE(lines.empty());
  for (const auto& line : lines) {
    const auto event = decoder_.decode(line);
    ASSERT_TRUE(event) << event.error().text() << "\n" << line;
    EXPECT_EQ(type_of(*event), GetParam());
    std::string written;
    append_json(written, *event);
    EXPECT_EQ(written, line);
  }
}

TEST_P(GoldenEvents, EveryPrefixIsRefused) {
  for (const auto& line : golden(GetParam())) {
    for (std::size_t n = 0; n < line.size(); ++n) EXPECT_FALSE(decoder_.decode(line.substr(0, n))) << n;
  }
}

// Cuts one "key":value pair out of the object.
std::string without(const std::string& line, const std::string& key) {
  const auto start = line.find("\"" + key + "\":");
  auto end = start;
  int nesting = 0;
  bool quoted = false;
  for (; end < line.size(); ++end) {
    if (line[end] == '"' && line[end - 1] != '\\') quoted = !quoted;
    if (quoted) continue;
    if (line[end] == '[') ++nesting;
    if (line[end] == ']') --nesting;
    if (nesting == 0 && (line[end] == ',' || line[end] == '}')) break;
  }
  return line[end] == ',' ? line.substr(0, start) + line.substr(end + 1) : line.substr(0, start - 1) + line.substr(end);
}

TEST_P(GoldenEvents, AMissingCommonFieldIsNamed) {
  const auto line = golden(GetParam()).front();
  for (const std::string key : {"type", "timestamp", "received_at", "data_source", "exchange", "market_type"}) {
    const auto event = decoder_.decode(without(line, key));
    ASSERT_FALSE(event) << key;
    EXPECT_EQ(event.error().code, Errc::missing_field);
    EXPECT_EQ(event.error().where, key);
  }
}

TEST_P(GoldenEvents, SubjectHasNoForbiddenCharacterAndFitsItsFilter) {
  const auto event = decoder_.decode(golden(GetParam()).front());
  ASSERT_TRUE(event);
  std::string subject;
  append_subject(subject, *event);
  EXPECT_EQ(subject.find_first_of("*> \t\n"), std::string::npos) << subject;
  const std::string filter(subject_filter(GetParam()));
  EXPECT_EQ(subject.substr(0, subject.find('.')), filter.substr(0, filter.find('.')));
}

INSTANTIATE_TEST_SUITE_P(AllTypes, GoldenEvents,
                         testing::Values(DataType::orderbook, DataType::orderbook_delta, DataType::trade,
                                         DataType::funding_rate, DataType::open_interest, DataType::liquidation,
                                         DataType::lsr_top_position, DataType::lsr_all_account,
                                         DataType::volatility_index, DataType::gap, DataType::rejected,
                                         DataType::instrument),
                         [](const auto& param) { return std::string(to_string(param.param)); });

TEST(Subjects, AreThoseOfTheDesign) {
  InstrumentPool pool;
  Trade trade;
  trade.meta.instrument = pool.get("binance", MarketType::spot, "BTC-USDT", "BTCUSDT");
  LsrTopPosition ratio;
  ratio.meta.instrument = trade.meta.instrument;
  Rejected rejected;
  rejected.exchange = "okx";
  rejected.market_type = MarketType::options;
  const auto subject = [](const MarketEvent& event) {
    std::string out;
    append_subject(out, event);
    return out;
  };
  EXPECT_EQ(subject(trade), "trade-data.binance.spot.BTC-USDT");
  EXPECT_EQ(subject(ratio), "lsr-data.binance.spot.top-position.BTC-USDT");
  EXPECT_EQ(subject(rejected), "rejected-data.okx.options");
}

TEST(Decoder, ToleratesUnknownFieldsAndRefusesWrongTypes) {
  InstrumentPool pool;
  Decoder decoder(pool);
  auto line = golden(DataType::trade).front();
  line.insert(1, R"("future_field":{"a":[1,2]},)");
  EXPECT_TRUE(decoder.decode(line));
  const auto at = line.find(R"("65000.1")");
  line.replace(at, 9, "65000.1");
  const auto event = decoder.decode(line);
  ASSERT_FALSE(event);
  EXPECT_EQ(event.error().code, Errc::bad_type);
  EXPECT_EQ(event.error().where, "price");
}

TEST(InstrumentPool, KeepsOneCopy) {
  InstrumentPool pool;
  const auto first = pool.get("binance", MarketType::spot, "BTC-USDT", "BTCUSDT");
  EXPECT_EQ(first, pool.get("binance", MarketType::spot, "BTC-USDT", "BTCUSDT"));
  EXPECT_NE(first, pool.get("binance", MarketType::perpetual, "BTC-USDT", "BTCUSDT"));
}

}  // namespace
}  // namespace mp::wire
