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

// A collector that starts replays its journal into the sessions and throws their wishes away; then they begin anew.
TEST(Registry, EverySessionWantsToBeWokenWhenItBeginsAgain) {
  using namespace std::chrono_literals;
  const Instant first{wall_from_nanos(1'790'000'000'000'000'000), MonoTime{} + 1000h};
  for (const auto& exchange : exchanges()) {
    for (std::size_t i = 0; i < exchange.markets.size(); ++i) {
      SessionOptions options;
      options.source = {exchange.name, exchange.markets[i]};
      options.symbols = exchange.probe_symbols[i];
      options.data_types = exchange.data_types[i];
      const auto session = exchange.make_session(options);
      ASSERT_TRUE(session) << options.source.text();
      Outbox out;
      session->begin(first, out);
      out.clear();
      const Instant again{first.wall + 30s, first.mono + 30s};
      session->begin(again, out);
      ASSERT_TRUE(out.wake_at) << options.source.text();
      EXPECT_GE(*out.wake_at, again.mono) << options.source.text() << ": a wish of before";
      EXPECT_LE(*out.wake_at, again.mono + 1s) << options.source.text();
    }
  }
}

// doctor tries what stands there; whether that is all shows in what a session asks for.
TEST(Registry, TheAddressesAreTheVenuesOwn) {
  const Instant now{wall_from_nanos(1'790'000'000'000'000'000), MonoTime{} + std::chrono::hours(1000)};
  for (const auto& exchange : exchanges()) {
    ASSERT_EQ(exchange.addresses.size(), exchange.markets.size()) << exchange.name;
    for (std::size_t i = 0; i < exchange.markets.size(); ++i) {
      for (const auto& address : exchange.addresses[i]) {
        EXPECT_TRUE(address.starts_with("wss://") || address.starts_with("https://")) << address;
        EXPECT_EQ(source_of_url(address + "/"), (Source{exchange.name, exchange.markets[i]})) << address;
      }
      SessionOptions options;
      options.source = {exchange.name, exchange.markets[i]};
      options.symbols = exchange.probe_symbols[i];
      options.data_types = exchange.data_types[i];
      Outbox out;
      exchange.make_session(options)->begin(now, out);
      std::vector<std::string> asked;
      for (const auto& request : out.requests) asked.push_back(request.url);
      for (const auto& open : out.opens) asked.push_back(open.url);
      EXPECT_FALSE(asked.empty()) << options.source.text();
      for (const auto& url : asked) {
        const bool is_known = std::ranges::any_of(exchange.addresses[i],
                                                  [&](const auto& address) { return url.starts_with(address + "/"); });
        EXPECT_TRUE(is_known) << url;
      }
    }
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
