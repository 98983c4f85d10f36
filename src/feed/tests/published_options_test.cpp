#include "feed/published_options.hpp"

#include <gtest/gtest.h>

namespace mp {
namespace {

SessionOptions example() {
  SessionOptions options;
  options.data_source = DataSource::simulated;
  options.data_types = {DataType::trade, DataType::orderbook};
  options.book_series = {{20, std::chrono::milliseconds{100}}, {400, std::chrono::milliseconds{1000}}};
  options.min_interval = std::chrono::milliseconds{5000};
  options.symbols =
      Selection(std::vector<SelectionRule>{{.symbol = "BTC-USDT"},
                                           {.symbol = "odd, =%name\n"},
                                           {.kind = MarketType::perpetual, .base = "BTC", .quote = "USDT", .top = 50}});
  return options;
}

TEST(PublishedOptions, ComeBackAsTheyWere) {
  const auto text = published_options(example());
  SessionOptions back;
  back.source = {"binance", "spot"};
  back.ws_base = "ws://here";
  ASSERT_TRUE(take_published_options(text, back));
  EXPECT_EQ(published_options(back), text);
  EXPECT_EQ(back.symbols.rules, example().symbols.rules);
  EXPECT_EQ(back.data_source, DataSource::simulated);
  EXPECT_EQ(back.min_interval, std::chrono::milliseconds{5000});
  EXPECT_EQ(back.book_series.size(), 2u);
  EXPECT_EQ(back.ws_base, "ws://here") << "what decides nothing stays";
}

TEST(PublishedOptions, NothingToCollectComesBackToo) {
  auto options = example();
  options.data_types.clear();
  options.book_series.clear();
  SessionOptions back;
  ASSERT_TRUE(take_published_options(published_options(options), back));
  EXPECT_TRUE(back.data_types.empty());
  EXPECT_TRUE(back.book_series.empty());
}

TEST(PublishedOptions, AnotherOrderOfTheTypesIsNoChangeAndAnotherSymbolIs) {
  auto other = example();
  std::swap(other.data_types[0], other.data_types[1]);
  EXPECT_EQ(published_options(other), published_options(example()));
  other.symbols.rules.pop_back();
  EXPECT_NE(published_options(other), published_options(example()));
}

TEST(PublishedOptions, OfAnotherKindAreRefusedAndChangeNothing) {
  for (const char* text : {"data trade,nothing\n", "books 20\n", "books x:1\n", "symbol kind=odd\n",
                           "symbol top=many\n", "min_interval_ms \n", "\x01\x02"}) {
    auto options = example();
    EXPECT_FALSE(take_published_options(text, options)) << text;
    EXPECT_EQ(published_options(options), published_options(example()));
  }
}

}  // namespace
}  // namespace mp
