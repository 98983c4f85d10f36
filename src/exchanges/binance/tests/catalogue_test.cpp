#include "exchanges/binance/catalogue.hpp"

#include <set>

#include "feed/catalogue.hpp"
#include "support.hpp"

namespace mp::binance {
namespace {

Catalogue filled(Market market, const std::string& text) {
  Catalogue catalogue("binance");
  Decoder decoder;
  const auto info = decoder.exchange_info(Padded(text).view());
  EXPECT_TRUE(info);
  for (const auto& each : info->symbols)
    if (const auto type = market_type_of(market, each))
      catalogue.update(id_of(*type, each), definition_of(*type, each, kStart));
  return catalogue;
}

void expect_one_to_one(const Catalogue& catalogue) {
  std::set<std::string> canonical;
  for (Catalogue::Index i = 0; i < catalogue.size(); ++i) {
    const auto& id = *catalogue.ref(i);
    EXPECT_TRUE(canonical.insert(std::string(to_string(id.market_type)) + " " + id.symbol).second) << id.symbol;
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

}  // namespace
}  // namespace mp::binance
