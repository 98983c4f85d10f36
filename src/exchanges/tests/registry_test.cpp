#include <gtest/gtest.h>

#include <algorithm>

#include "exchanges/exchange.hpp"

namespace mp {
namespace {

TEST(Registry, EveryMarketSaysWhatItDelivers) {
  const auto collectable = collectable_types();
  for (const auto& exchange : exchanges()) {
    EXPECT_EQ(exchange.data_types.size(), exchange.markets.size()) << exchange.name;
    for (const auto& market : exchange.markets) {
      const auto types = exchange.data_types_of(market);
      EXPECT_FALSE(types.empty()) << exchange.name << "." << market;
      for (const auto type : types)
        EXPECT_EQ(std::ranges::count(types, type), std::ranges::count(collectable, type))
            << exchange.name << "." << market << ": " << to_string(type);
    }
    EXPECT_TRUE(exchange.data_types_of("no such market").empty());
  }
}

TEST(Registry, AVenueIsFoundByItsNameAndANearOneIsNamed) {
  ASSERT_TRUE(find_exchange("binance"));
  EXPECT_EQ((*find_exchange("binance"))->name, "binance");
  const auto wrong = find_exchange("binnance");
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code, Errc::usage);
  EXPECT_NE(wrong.error().text().find("did you mean binance?"), std::string::npos);
}

}  // namespace
}  // namespace mp
