#include "exchanges/okx/instruments.hpp"

#include <filesystem>
#include <map>
#include <set>

#include "support.hpp"

namespace mp::okx {
namespace {

struct Listed {
  std::map<std::string, ListedInstrument> by_name;
  std::vector<std::string> refused;
  std::vector<UnknownValue> unknown;
  std::size_t not_carried = 0;
};

void list(const std::string& text, Listed& out) {
  Decoder decoder;
  const Padded padded(text);
  const auto rows = decoder.instruments(padded.view());
  ASSERT_TRUE(rows) << rows.error().text();
  for (const auto& row : rows->rows) {
    auto listing = listing_of(row, kStart, out.unknown);
    if (!listing)
      out.refused.push_back(listing.error().text());
    else if (!*listing)
      ++out.not_carried;
    else
      out.by_name.emplace(row.inst_id, std::move(**listing));
  }
}

Listed fixtures() {
  Listed out;
  for (const char* name : {"rest_instruments_spot.json", "rest_instruments_swap.json", "rest_instruments_futures.json",
                           "rest_instruments_option.json"})
    list(fixture(name), out);
  EXPECT_TRUE(out.refused.empty());
  EXPECT_TRUE(out.unknown.empty());
  return out;
}

TEST(Instruments, SymbolsByTheirKind) {
  const auto listed = fixtures();
  const auto symbol = [&](const std::string& name) {
    const auto& id = listed.by_name.at(name).id;
    return std::string(to_string(id.market_type)) + " " + id.symbol;
  };
  EXPECT_EQ(symbol("ETH-USDT"), "spot ETH-USDT");
  EXPECT_EQ(symbol("BTC-USDT-SWAP"), "perpetual BTC-USDT");
  EXPECT_EQ(symbol("BTC-USD-SWAP"), "perpetual BTC-USD");
  EXPECT_EQ(symbol("BTC-USDT-261225"), "futures BTC-USDT-20261225");
  EXPECT_EQ(symbol("BTC-USD-261225"), "futures BTC-USD-20261225");
  EXPECT_EQ(symbol("BTC-USD_UM-261225"), "futures BTC-USD_UM-20261225");
  EXPECT_EQ(symbol("BTC-USD_UM_XPERP-310404"), "perpetual BTC-USD_UM_XPERP");
  EXPECT_EQ(symbol("BTC-USD-261225-70000-C"), "options BTC-USD-20261225-70000-C");
  EXPECT_EQ(symbol("XRP-USD_UM-261225-1.05-P"), "options XRP-USD_UM-20261225-1d05-P");
}

TEST(Instruments, AssetsUnitsAndContractSizes) {
  const auto listed = fixtures();
  const auto& linear = listed.by_name.at("BTC-USDT-SWAP").definition;
  EXPECT_EQ(linear.base_asset + "/" + linear.quote_asset + "/" + linear.settlement_asset, "BTC/USDT/USDT");
  EXPECT_EQ(linear.contract_size.text(), "0.01");
  EXPECT_EQ(linear.quantity_unit, QuantityUnit::base);
  EXPECT_EQ(linear.lot_size->value.text(), "0.0001") << "lots are contracts at the venue";
  EXPECT_FALSE(linear.expiry);
  const auto& inverse = listed.by_name.at("BTC-USD-SWAP").definition;
  EXPECT_EQ(inverse.contract_size.text(), "100");
  EXPECT_EQ(inverse.quantity_unit, QuantityUnit::quote);
  EXPECT_EQ(listed.by_name.at("DOGE-USDC-SWAP").definition.contract_size.text(), "1000") << "ctVal × ctMult";
  const auto& forever = listed.by_name.at("BTC-USD_UM_XPERP-310404").definition;
  EXPECT_EQ(forever.quote_asset, "USD") << "the family's mark is no asset";
  EXPECT_EQ(iso(*forever.expiry), "2031-04-04T08:00:00.000000000Z");
  const auto& option = listed.by_name.at("BTC-USD-261225-70000-C").definition;
  EXPECT_EQ(option.contract_size.text(), "0.01");
  EXPECT_EQ(option.quantity_unit, QuantityUnit::base);
  EXPECT_EQ(option.strike->value.text(), "70000");
  EXPECT_EQ(option.option_right, OptionRight::call);
  const auto& spot = listed.by_name.at("BTC-USDT").definition;
  EXPECT_EQ(spot.settlement_asset, "");
  EXPECT_EQ(spot.contract_size.text(), "1");
  EXPECT_EQ(spot.lot_size->value.text(), "0.00000001");
}

InstrumentRow swap_row() {
  InstrumentRow row;
  row.inst_type = "SWAP";
  row.inst_id = "BTC-USDT-SWAP";
  row.uly = "BTC-USDT";
  row.settle_ccy = "USDT";
  row.ct_type = "linear";
  row.ct_val_ccy = "BTC";
  row.state = "live";
  row.rule_type = "normal";
  row.ct_val = *Decimal::parse("0.01");
  row.ct_mult = *Decimal::parse("1");
  return row;
}

std::string verdict(const InstrumentRow& row, std::vector<UnknownValue>* told = nullptr) {
  std::vector<UnknownValue> unknown;
  const auto listing = listing_of(row, kStart, unknown);
  if (told) *told = unknown;
  if (!listing) return listing.error().text();
  return *listing ? (*listing)->definition.status : "not carried";
}

TEST(Instruments, AnUnknownWordOfDescriptionIsToldAndTaken) {
  std::vector<UnknownValue> told;
  auto row = swap_row();
  row.state = "hibernating";
  EXPECT_EQ(verdict(row, &told), "unknown");
  ASSERT_EQ(told.size(), 1u);
  EXPECT_STREQ(told[0].field, "instruments.state");
  EXPECT_EQ(told[0].value, "hibernating");
  row = swap_row();
  row.rule_type = "festive";
  EXPECT_EQ(verdict(row, &told), "live");
  EXPECT_EQ(told.size(), 1u);
  row = swap_row();
  row.inst_type = "BASKET";
  EXPECT_EQ(verdict(row, &told), "not carried");
  EXPECT_EQ(told.size(), 1u);
}

TEST(Instruments, WhatDecidesTheMeaningOfASizeIsNeverGuessed) {
  auto row = swap_row();
  row.ct_type = "quanto";
  EXPECT_EQ(verdict(row), "bad value: instruments.ctType: quanto of BTC-USDT-SWAP");
  row = swap_row();
  row.ct_val.reset();
  EXPECT_EQ(verdict(row), "missing field: instruments.ctVal: absent or empty for BTC-USDT-SWAP");
  row = swap_row();
  row.ct_val = Decimal{};
  EXPECT_EQ(verdict(row), "bad value: instruments.ctVal: 0 of BTC-USDT-SWAP");
  row = swap_row();
  row.ct_type = "";
  row.ct_val_ccy = "ETH";
  EXPECT_EQ(verdict(row), "bad value: instruments.ctValCcy: ETH of BTC-USDT-SWAP");
  row = swap_row();
  row.inst_type = "FUTURES";
  EXPECT_EQ(verdict(row), "missing field: instruments.expTime: absent or empty for BTC-USDT-SWAP");
  row = swap_row();
  row.inst_type = "OPTION";
  row.expiry = kStart;
  row.strike = *Price::parse("1");
  row.opt_type = "X";
  EXPECT_EQ(verdict(row), "bad value: instruments.optType: X of BTC-USDT-SWAP");
}

TEST(Instruments, MarginAndPendingOnesAreNotCarried) {
  auto row = swap_row();
  row.inst_type = "MARGIN";
  EXPECT_EQ(verdict(row), "not carried");
  row = swap_row();
  row.state = "preopen";
  row.ct_val.reset();
  EXPECT_EQ(verdict(row), "not carried");
}

TEST(Instruments, TheKindOfAName) {
  EXPECT_EQ(kind_of_name("BTC-USDT"), MarketType::spot);
  EXPECT_EQ(kind_of_name("BTC-USDT-SWAP"), MarketType::perpetual);
  EXPECT_EQ(kind_of_name("BTC-USD_UM_XPERP-310404"), MarketType::perpetual);
  EXPECT_EQ(kind_of_name("BTC-USD-261225"), MarketType::futures);
  EXPECT_EQ(kind_of_name("BTC-USD-261225-70000-C"), MarketType::options);
}

// Other people's recorded lists, read in place: every entry is carried, one to one.
TEST(Instruments, RecordedListsAreCarriedWhole) {
  const std::string folder = std::string(MP_SHARED_DIR) + "/messages/okx/";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "no messages at " << folder;
  Listed listed;
  for (const char* name : {"spot", "swap", "futures", "option"})
    list(read_file(folder + "http_get_instruments_" + name + ".json"), listed);
  EXPECT_TRUE(listed.refused.empty()) << listed.refused[0];
  EXPECT_TRUE(listed.unknown.empty()) << listed.unknown[0].value;
  EXPECT_EQ(listed.not_carried, 0u);
  std::set<std::string> symbols;
  for (const auto& [name, listing] : listed.by_name)
    EXPECT_TRUE(symbols.insert(to_string(listing.id.market_type) + listing.id.symbol).second) << name;
  Listed margin;
  list(read_file(folder + "http_get_instruments_margin.json"), margin);
  EXPECT_GT(margin.not_carried, 0u);
  EXPECT_TRUE(margin.by_name.empty());
}

}  // namespace
}  // namespace mp::okx
