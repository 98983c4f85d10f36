#include "exchanges/binance/catalogue.hpp"

#include <set>

#include "support.hpp"

namespace mp::binance {
namespace {

Catalogue filled(Market market, const std::string& text, std::vector<std::string> chosen = {}) {
  Catalogue catalogue(market, std::move(chosen));
  Decoder decoder;
  const auto info = decoder.exchange_info(Padded(text).view());
  EXPECT_TRUE(info);
  for (const auto& each : info->symbols) catalogue.update(each, kStart);
  return catalogue;
}

void expect_one_to_one(const Catalogue& catalogue) {
  std::set<std::string> venue, canonical;
  for (Catalogue::Index i = 0; i < catalogue.size(); ++i) {
    const auto& id = *catalogue.ref(i);
    EXPECT_TRUE(venue.insert(id.instrument).second) << id.instrument;
    EXPECT_TRUE(canonical.insert(std::string(to_string(id.market_type)) + " " + id.symbol).second) << id.symbol;
    EXPECT_EQ(id.symbol.find_first_of(".*> \t"), std::string::npos) << id.symbol;
    EXPECT_EQ(catalogue.find(id.instrument), i);
  }
}

TEST(Catalogue, SpotSymbolsAreBaseAndQuote) {
  const auto catalogue = filled(Market::spot, fixture("spot_rest_exchange_info.json"));
  ASSERT_EQ(catalogue.size(), 3u);
  const auto& btc = catalogue.definition(*catalogue.find("BTCUSDT"));
  EXPECT_EQ(btc.meta.instrument->symbol, "BTC-USDT");
  EXPECT_EQ(btc.meta.instrument->market_type, MarketType::spot);
  EXPECT_EQ(btc.tick_size->value.text(), "0.01");
  EXPECT_EQ(btc.lot_size->value.text(), "0.00001");
  EXPECT_EQ(btc.settlement_asset, "");
  EXPECT_EQ(btc.contract_size.text(), "1");
  EXPECT_EQ(catalogue.ref(*catalogue.find("1000CATUSDT"))->symbol, "1000CAT-USDT");
  EXPECT_EQ(catalogue.definition(*catalogue.find("ETHBTC")).status, "BREAK");
  expect_one_to_one(catalogue);
}

TEST(Catalogue, FuturesContractsByTheirKind) {
  const auto catalogue = filled(Market::derivatives, fixture("usdm_rest_exchange_info.json"));
  ASSERT_EQ(catalogue.size(), 4u) << "pending and COIN-M contracts are not carried";
  const auto& perpetual = *catalogue.ref(*catalogue.find("BTCUSDT"));
  EXPECT_EQ(perpetual.symbol, "BTC-USDT");
  EXPECT_EQ(perpetual.market_type, MarketType::perpetual);
  EXPECT_FALSE(catalogue.definition(*catalogue.find("BTCUSDT")).expiry);
  const auto& delivery = *catalogue.ref(*catalogue.find("BTCUSDT_261225"));
  EXPECT_EQ(delivery.symbol, "BTC-USDT-20261225");
  EXPECT_EQ(delivery.market_type, MarketType::futures);
  EXPECT_EQ(iso(*catalogue.definition(*catalogue.find("BTCUSDT_261225")).expiry), "2026-12-25T08:00:00.000000000Z");
  EXPECT_EQ(catalogue.ref(*catalogue.find("XAUUSDT"))->market_type, MarketType::perpetual);
  EXPECT_EQ(catalogue.ref(*catalogue.find("1000SHIBUSDT"))->symbol, "1000SHIB-USDT");
  EXPECT_EQ(catalogue.definition(*catalogue.find("XAUUSDT")).settlement_asset, "USDT");
  expect_one_to_one(catalogue);
}

TEST(Catalogue, OnlyNewOrChangedDefinitionsAreTold) {
  Catalogue catalogue(Market::spot, {});
  SymbolInfo info{.symbol = "BTCUSDT", .status = "TRADING", .base_asset = "BTC", .quote_asset = "USDT"};
  EXPECT_TRUE(catalogue.update(info, kStart));
  EXPECT_FALSE(catalogue.update(info, kStart + 1h));
  info.status = "BREAK";
  EXPECT_EQ(catalogue.update(info, kStart + 2h), 0u);
  EXPECT_FALSE(catalogue.update(info, kStart + 3h));
  EXPECT_EQ(catalogue.definition(0).meta.timestamp, kStart + 2h);
}

TEST(Catalogue, TwoSymbolsOfTheSameAssetsStayTwo) {
  Catalogue catalogue(Market::spot, {});
  catalogue.update({.symbol = "ABC", .base_asset = "A", .quote_asset = "BC"}, kStart);
  catalogue.update({.symbol = "ABCX", .base_asset = "A", .quote_asset = "BC"}, kStart);
  catalogue.update({.symbol = "D.EF", .base_asset = "D.E", .quote_asset = "F"}, kStart);
  ASSERT_EQ(catalogue.size(), 3u);
  expect_one_to_one(catalogue);
}

TEST(Catalogue, ChosenInEitherSpelling) {
  const auto catalogue =
      filled(Market::derivatives, fixture("usdm_rest_exchange_info.json"), {"BTC-USDT-20261225", "XAUUSDT", "NOPE"});
  EXPECT_EQ(catalogue.size(), 2u);
  EXPECT_TRUE(catalogue.find_chosen("BTC-USDT-20261225"));
  EXPECT_TRUE(catalogue.find_chosen("XAUUSDT"));
  EXPECT_FALSE(catalogue.find_chosen("NOPE"));
}

}  // namespace
}  // namespace mp::binance
