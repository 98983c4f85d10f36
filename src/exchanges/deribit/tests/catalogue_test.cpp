#include "exchanges/deribit/catalogue.hpp"

#include <set>

#include "decode_support.hpp"
#include "feed/catalogue.hpp"

namespace mp::deribit {
namespace {

InstrumentList fixture_list() {
  Decoder decoder;
  auto list = decoder.instruments(Padded(fixture("rest_instruments.json")).view());
  EXPECT_TRUE(list);
  return list ? *list : InstrumentList{};
}

ListedInstrument find(const std::string& name) {
  for (const auto& info : fixture_list().instruments)
    if (info.name == name) return *listed(info, WallTime{});
  ADD_FAILURE() << name;
  return {};
}

TEST(Catalogue, InversePerpetualCountsInDollars) {
  const auto [id, definition] = find("BTC-PERPETUAL");
  EXPECT_EQ(id, (InstrumentId{"deribit", MarketType::perpetual, "BTC-USD", "BTC-PERPETUAL"}));
  EXPECT_EQ(definition.quantity_unit, QuantityUnit::quote);
  EXPECT_EQ(definition.contract_size.text(), "10");
  EXPECT_EQ(definition.base_asset + " " + definition.quote_asset + " " + definition.settlement_asset, "BTC USD BTC");
  EXPECT_FALSE(definition.expiry);
  EXPECT_EQ(definition.tick_size->value.text(), "0.5");
  EXPECT_EQ(definition.lot_size->value.text(), "10");
  EXPECT_EQ(definition.status, "open");
}

TEST(Catalogue, FutureHasItsDay) {
  const auto [id, definition] = find("BTC-25DEC26");
  EXPECT_EQ(id, (InstrumentId{"deribit", MarketType::futures, "BTC-USD-20261225", "BTC-25DEC26"}));
  EXPECT_EQ(definition.quantity_unit, QuantityUnit::quote);
  EXPECT_EQ(iso(*definition.expiry), "2026-12-25T08:00:00.000000000Z");
}

TEST(Catalogue, InverseOptionCountsCoinsAndItsStrikeIsInDollars) {
  const auto [id, definition] = find("BTC-25DEC26-65000-C");
  EXPECT_EQ(id, (InstrumentId{"deribit", MarketType::options, "BTC-USD-20261225-65000-C", "BTC-25DEC26-65000-C"}));
  EXPECT_EQ(definition.quantity_unit, QuantityUnit::base);
  EXPECT_EQ(definition.base_asset + " " + definition.quote_asset + " " + definition.settlement_asset, "BTC USD BTC");
  EXPECT_EQ(definition.strike->value.text(), "65000");
  EXPECT_EQ(definition.option_right, OptionRight::call);
  EXPECT_EQ(definition.tick_size->value.text(), "0.0001") << "the finest; above 0.005 it is 0.0005";
}

TEST(Catalogue, LinearOptionKeepsTheVenuesDecimalStrike) {
  const auto [id, definition] = find("XRP_USDC-25DEC26-1d02-C");
  EXPECT_EQ(id.symbol, "XRP-USDC-20261225-1d02-C");
  EXPECT_EQ(definition.quantity_unit, QuantityUnit::base);
  EXPECT_EQ(definition.settlement_asset, "USDC");
  EXPECT_EQ(definition.contract_size.text(), "1000");
}

TEST(Catalogue, LinearPerpetualAndSpot) {
  const auto perpetual = find("XRP_USDC-PERPETUAL");
  EXPECT_EQ(perpetual.id, (InstrumentId{"deribit", MarketType::perpetual, "XRP-USDC", "XRP_USDC-PERPETUAL"}));
  EXPECT_EQ(perpetual.definition.quantity_unit, QuantityUnit::base);
  const auto spot = find("BTC_USDC");
  EXPECT_EQ(spot.id, (InstrumentId{"deribit", MarketType::spot, "BTC-USDC", "BTC_USDC"}));
  EXPECT_EQ(spot.definition.settlement_asset, "");
  EXPECT_EQ(spot.definition.contract_size.text(), "1") << "spot has no contracts";
}

TEST(Catalogue, ListsOfBefore2022LackWhatIsNeverDoubtful) {
  InstrumentInfo future{.name = "BTC-PERPETUAL",
                        .kind = InstrumentInfo::Kind::future,
                        .base = "BTC",
                        .quote = "USD",
                        .perpetual = true,
                        .state = "open"};
  EXPECT_EQ(listed(future, WallTime{})->definition.quantity_unit, QuantityUnit::quote);
  EXPECT_EQ(listed(future, WallTime{})->definition.settlement_asset, "BTC");
  InstrumentInfo option{.name = "BTC-24SEP21-8000-P",
                        .kind = InstrumentInfo::Kind::option,
                        .base = "BTC",
                        .quote = "BTC",
                        .expiry = *parse_iso("2021-09-24T08:00:00Z"),
                        .strike = *Price::parse("8000.0"),
                        .right = OptionRight::put,
                        .state = "open"};
  EXPECT_EQ(listed(option, WallTime{})->id.symbol, "BTC-USD-20210924-8000-P");
  InstrumentInfo linear{.name = "BTC_USDC-PERPETUAL",
                        .kind = InstrumentInfo::Kind::future,
                        .base = "BTC",
                        .quote = "USDC",
                        .perpetual = true,
                        .state = "open"};
  EXPECT_EQ(listed(linear, WallTime{})->definition.quantity_unit, QuantityUnit::base);
}

TEST(Catalogue, CombosAreNotCarried) {
  for (const auto& info : fixture_list().instruments)
    EXPECT_EQ(listed(info, WallTime{}).has_value(), info.name != "BTC-FS-25DEC26_PERP") << info.name;
}

TEST(Catalogue, CombosAreToldByTheirNames) {
  for (const auto* name : {"BTC-FS-25DEC26_PERP", "BTC-CS-19MAY26-70000_75000", "BTC-BOX-25DEC26-58000_60000",
                           "BTC-STRG-19MAY26-74000_79000", "BTC-COMBO-1", "XRP_USDC-FS-25DEC26_PERP"})
    EXPECT_TRUE(is_combo_name(name)) << name;
  for (const auto* name : {"BTC-PERPETUAL", "BTC-25DEC26", "BTC-9MAR26-65000-C", "XRP_USDC-25DEC26-1d02-C", "BTC_USDC",
                           "XRP_USDC-PERPETUAL", "", "-", "--"})
    EXPECT_EQ(is_combo_name(name), std::string_view(name) == "--") << name;
}

TEST(Catalogue, SymbolsAndNamesAreOneToOne) {
  mp::Catalogue catalogue(kExchange);
  std::set<std::string> symbols;
  std::size_t count = 0;
  for (const auto& info : fixture_list().instruments) {
    auto entry = listed(info, WallTime{});
    if (!entry) continue;
    ++count;
    const auto index = catalogue.update(std::move(entry->id), std::move(entry->definition));
    ASSERT_TRUE(index);
    const auto& ref = *catalogue.ref(*index);
    EXPECT_EQ(ref.instrument, info.name);
    symbols.insert(std::string(to_string(ref.market_type)) + " " + ref.symbol);
  }
  EXPECT_EQ(symbols.size(), count);
}

TEST(Catalogue, AVolatilityIndexIsAnInstrumentOfItsOwn) {
  EXPECT_EQ(*volatility_index("btc_usd"), (InstrumentId{"deribit", MarketType::options, "BTC-USD", "btc_usd"}));
  EXPECT_EQ(volatility_index("sol_usdc")->symbol, "SOL-USDC");
  EXPECT_EQ(underlying_asset("btc_usd"), "BTC");
}

}  // namespace
}  // namespace mp::deribit
