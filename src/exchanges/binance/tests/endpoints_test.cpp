#include "exchanges/binance/endpoints.hpp"

#include <gtest/gtest.h>

namespace mp::binance {
namespace {

TEST(Endpoints, AreKnownByTheLastPartOfTheirPath) {
  EXPECT_EQ(endpoint_of("https://api.binance.com/api/v3/depth?symbol=A&limit=5"), Endpoint::depth);
  EXPECT_EQ(endpoint_of("https://fapi.binance.com/fapi/v1/exchangeInfo"), Endpoint::exchange_info);
  EXPECT_EQ(endpoint_of("http://127.0.0.1:9/fapi/v1/ticker/24hr"), Endpoint::day_ticker);
  EXPECT_EQ(endpoint_of("https://fapi.binance.com/fapi/v1/openInterest?symbol=A"), Endpoint::open_interest);
  EXPECT_EQ(endpoint_of("https://fapi.binance.com/fapi/v1/fundingRate"), Endpoint::funding_rate);
  EXPECT_EQ(endpoint_of("https://fapi.binance.com/fapi/v1/fundingInfo"), Endpoint::funding_info);
  for (const auto* other : {"https://fapi.binance.com/futures/data/openInterestHist?symbol=A", "/fapi/v1/klines",
                            "https://fapi.binance.com/fapi/v1/ticker/price", "https://x/24hr", "", "?", "depths"})
    EXPECT_FALSE(endpoint_of(other)) << other;
}

TEST(Endpoints, TheThreeRatiosAreNotConfused) {
  const std::string data = "https://fapi.binance.com/futures/data/";
  EXPECT_EQ(endpoint_of(data + "topLongShortPositionRatio?symbol=A&period=5m"), Endpoint::top_position_ratio);
  EXPECT_EQ(endpoint_of(data + "globalLongShortAccountRatio?symbol=A&period=5m"), Endpoint::all_account_ratio);
  EXPECT_FALSE(endpoint_of(data + "topLongShortAccountRatio?symbol=A&period=5m"));
  EXPECT_EQ(path_of(Market::derivatives, Endpoint::top_position_ratio), "/futures/data/topLongShortPositionRatio");
  EXPECT_EQ(path_of(Market::derivatives, Endpoint::all_account_ratio), "/futures/data/globalLongShortAccountRatio");
}

TEST(Endpoints, QueryValuesAreDecoded) {
  const std::string url = "https://x/depth?limit=5&symbol=%E5%B8%81USDT&empty=&last";
  EXPECT_EQ(query_value(url, "symbol"), "\xE5\xB8\x81USDT");
  EXPECT_EQ(query_value(url, "limit"), "5");
  EXPECT_EQ(query_value(url, "empty"), "");
  EXPECT_EQ(query_value(url, "last"), "");
  EXPECT_EQ(query_value(url, "sym"), "");
  EXPECT_EQ(query_value("https://x/depth", "symbol"), "");
  EXPECT_EQ(percent_encoded(query_value(url, "symbol")), "%E5%B8%81USDT");
}

TEST(Endpoints, WhatARequestCosts) {
  const auto one = [](Market market, Endpoint endpoint, int limit = 0) {
    const auto charges = charges_of(market, endpoint, limit);
    EXPECT_EQ(charges.size(), 1u);
    return charges.at(0);
  };
  EXPECT_EQ(one(Market::spot, Endpoint::depth, 5000).units, 250);
  EXPECT_EQ(one(Market::derivatives, Endpoint::depth, 1000).units, 20);
  EXPECT_EQ(one(Market::derivatives, Endpoint::open_interest).budget, "binance.derivatives");
  EXPECT_EQ(one(Market::derivatives, Endpoint::open_interest).units, 1);
  EXPECT_EQ(one(Market::derivatives, Endpoint::open_interest).used_header, "X-MBX-USED-WEIGHT-1M");
  // Counted apart from the weight: 1000 and 500 requests in 5 minutes, told by no header.
  EXPECT_EQ(one(Market::derivatives, Endpoint::top_position_ratio).budget,
            one(Market::derivatives, Endpoint::all_account_ratio).budget);
  EXPECT_EQ(one(Market::derivatives, Endpoint::top_position_ratio).limit, 1000);
  EXPECT_EQ(one(Market::derivatives, Endpoint::funding_rate).budget,
            one(Market::derivatives, Endpoint::funding_info).budget);
  EXPECT_EQ(one(Market::derivatives, Endpoint::funding_rate).limit, 500);
  EXPECT_EQ(one(Market::derivatives, Endpoint::funding_rate).window, std::chrono::minutes{5});
  EXPECT_EQ(one(Market::derivatives, Endpoint::funding_rate).used_header, "");
}

}  // namespace
}  // namespace mp::binance
