#include "feed/catalogue.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <set>

namespace mp {
namespace {

using namespace std::chrono_literals;
constexpr WallTime kStart = wall_from_nanos(1'790'000'000'000'000'000);

InstrumentId id(std::string venue_symbol, std::string canonical, MarketType type = MarketType::spot) {
  return {"", type, std::move(canonical), std::move(venue_symbol)};
}
Instrument told_at(WallTime t, std::string status = "TRADING") {
  Instrument out;
  out.meta.timestamp = out.meta.received_at = t;
  out.base_asset = "BTC";
  out.quote_asset = "USDT";
  out.status = std::move(status);
  return out;
}
Decimal dec(const char* text) { return Decimal::parse(text).value(); }

void expect_one_to_one(const Catalogue& catalogue) {
  std::set<std::string> venue, canonical;
  for (Catalogue::Index i = 0; i < catalogue.size(); ++i) {
    const auto& each = *catalogue.ref(i);
    EXPECT_TRUE(venue.insert(each.instrument).second) << each.instrument;
    EXPECT_TRUE(canonical.insert(std::string(to_string(each.market_type)) + " " + each.symbol).second) << each.symbol;
    EXPECT_EQ(each.symbol.find_first_of(".*> \t"), std::string::npos) << each.symbol;
    EXPECT_EQ(catalogue.find(each.instrument), i);
  }
}

// Every field set, two instruments of different kinds.
Catalogue full() {
  Catalogue catalogue("deribit");
  auto perpetual = told_at(kStart, "open");
  perpetual.meta.received_at = kStart + 5ms;
  perpetual.settlement_asset = "BTC";
  perpetual.contract_size = dec("10");
  perpetual.quantity_unit = QuantityUnit::quote;
  catalogue.update(id("BTC-PERPETUAL", "BTC-USD", MarketType::perpetual), perpetual);
  auto option = told_at(kStart + 1s, "open");
  option.tick_size = Price{dec("0.0001")};
  option.lot_size = Quantity{dec("0.1")};
  option.expiry = kStart + 24h * 30;
  option.strike = Price{dec("1.02")};
  option.option_right = OptionRight::put;
  catalogue.update(id("XRP_USDC-25DEC26-1d02-P", "XRP-USDC-20261225-1d02-P", MarketType::options), option);
  return catalogue;
}

TEST(Catalogue, OnlyNewOrChangedDefinitionsAreTold) {
  Catalogue catalogue("binance");
  EXPECT_EQ(catalogue.update(id("BTCUSDT", "BTC-USDT"), told_at(kStart)), 0u);
  EXPECT_FALSE(catalogue.update(id("BTCUSDT", "BTC-USDT"), told_at(kStart + 1h)));
  EXPECT_EQ(catalogue.update(id("BTCUSDT", "BTC-USDT"), told_at(kStart + 2h, "BREAK")), 0u);
  EXPECT_FALSE(catalogue.update(id("BTCUSDT", "BTC-USDT"), told_at(kStart + 3h, "BREAK")));
  EXPECT_EQ(catalogue.definition(0).meta.timestamp, kStart + 2h);
  EXPECT_EQ(catalogue.ref(0)->exchange, "binance");
}

TEST(Catalogue, EveryFieldOfADefinitionIsAChange) {
  const auto changes = [](auto change) {
    auto catalogue = full();
    auto definition = catalogue.definition(1);
    change(definition);
    return catalogue.update(*catalogue.ref(1), definition).has_value();
  };
  EXPECT_FALSE(changes([](Instrument&) {}));
  EXPECT_TRUE(changes([](Instrument& i) { i.base_asset = "XRP"; }));
  EXPECT_TRUE(changes([](Instrument& i) { i.quote_asset = "USD"; }));
  EXPECT_TRUE(changes([](Instrument& i) { i.settlement_asset = "USDC"; }));
  EXPECT_TRUE(changes([](Instrument& i) { i.contract_size = dec("1000"); }));
  EXPECT_TRUE(changes([](Instrument& i) { i.quantity_unit = QuantityUnit::quote; }));
  EXPECT_TRUE(changes([](Instrument& i) { i.tick_size.reset(); }));
  EXPECT_TRUE(changes([](Instrument& i) { i.lot_size = Quantity{dec("1")}; }));
  EXPECT_TRUE(changes([](Instrument& i) { i.status = "locked"; }));
  EXPECT_TRUE(changes([](Instrument& i) { i.expiry.reset(); }));
  EXPECT_TRUE(changes([](Instrument& i) { i.strike = Price{dec("1.03")}; }));
  EXPECT_TRUE(changes([](Instrument& i) { i.option_right = OptionRight::call; }));
}

TEST(Catalogue, AnInstrumentKeepsItsNameWhileItIsKnown) {
  Catalogue catalogue("okx");
  catalogue.update(id("BTC-USDT-SWAP", "BTC-USDT", MarketType::perpetual), told_at(kStart));
  const auto before = catalogue.ref(0);
  EXPECT_TRUE(catalogue.update(id("BTC-USDT-SWAP", "XBT-USDT", MarketType::perpetual), told_at(kStart, "suspend")));
  EXPECT_EQ(catalogue.ref(0).get(), before.get());
  EXPECT_EQ(catalogue.ref(0)->symbol, "BTC-USDT");
}

TEST(Catalogue, InstrumentsOfOneCanonicalSymbolStayApart) {
  Catalogue catalogue("binance");
  catalogue.update(id("ABC", "A-BC"), told_at(kStart));
  catalogue.update(id("ABCX", "A-BC"), told_at(kStart));
  catalogue.update(id("A.X", "A-BC"), told_at(kStart));
  catalogue.update(id("A_X", "A-BC"), told_at(kStart));
  EXPECT_EQ(catalogue.ref(1)->symbol, "A-BC_ABCX");
  EXPECT_EQ(catalogue.ref(2)->symbol, "A-BC_A_X");
  EXPECT_EQ(catalogue.ref(3)->symbol, "A-BC_A_X_2");
  catalogue.update(id("ABC-SWAP", "A-BC", MarketType::perpetual), told_at(kStart));
  EXPECT_EQ(catalogue.ref(4)->symbol, "A-BC") << "another kind is another subject";
  EXPECT_FALSE(catalogue.update(id("ABCX", "A-BC"), told_at(kStart)));
  expect_one_to_one(catalogue);
}

TEST(Catalogue, IsFoundByEitherSpelling) {
  Catalogue catalogue("okx");
  catalogue.update(id("BTC-USDT", "BTC-USDT"), told_at(kStart));
  catalogue.update(id("BTC-USDT-SWAP", "BTC-USDT", MarketType::perpetual), told_at(kStart));
  using Indices = std::vector<Catalogue::Index>;
  EXPECT_EQ(catalogue.find_named("BTC-USDT"), (Indices{0, 1}));
  EXPECT_EQ(catalogue.find_named("BTC-USDT-SWAP"), Indices{1});
  EXPECT_TRUE(catalogue.find_named("BTC").empty());
  EXPECT_FALSE(catalogue.find("btc-usdt")) << "as the venue writes it";
}

TEST(Catalogue, RestoresWhatItSaved) {
  const auto saved = full();
  std::string bytes;
  {
    StateWriter writer(bytes, "test", 1);
    saved.save(writer);
  }
  Catalogue restored("deribit");
  StateReader reader(bytes, "test", 1);
  restored.restore(reader);
  ASSERT_TRUE(reader.finish());
  ASSERT_EQ(restored.size(), 2u);
  for (Catalogue::Index i = 0; i < 2; ++i) {
    EXPECT_EQ(*restored.ref(i), *saved.ref(i));
    EXPECT_EQ(restored.definition(i).meta.received_at, saved.definition(i).meta.received_at);
    EXPECT_FALSE(restored.update(*saved.ref(i), saved.definition(i))) << "as it was: nothing is to be published";
  }
  std::string again;
  {
    StateWriter writer(again, "test", 1);
    restored.save(writer);
  }
  EXPECT_EQ(again, bytes);
}

TEST(CanonicalSymbol, OfEveryKind) {
  EXPECT_EQ(canonical_symbol({.base = "BTC", .quote = "USDT"}), "BTC-USDT");
  const auto expiry = parse_iso("2026-12-25T08:00:00Z").value();
  EXPECT_EQ(canonical_symbol({.base = "BTC", .quote = "USD_UM", .expiry = expiry}), "BTC-USD_UM-20261225");
  EXPECT_EQ(canonical_symbol(
                {.base = "XRP", .quote = "USDC", .expiry = expiry, .strike = "1d02", .right = OptionRight::call}),
            "XRP-USDC-20261225-1d02-C");
  EXPECT_EQ(canonical_symbol({.base = "D.E", .quote = "* >"}), "D_E-___");
}

}  // namespace
}  // namespace mp
