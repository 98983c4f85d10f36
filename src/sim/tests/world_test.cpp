#include "sim/world.hpp"

#include <gmock/gmock.h>

#include "sim/dialect/tests/support.hpp"

namespace mp::sim {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;

const WallTime kStart = *parse_iso("2026-11-23T04:00:00Z");

std::vector<std::string> names_of(const std::vector<Source>& sources) {
  std::vector<std::string> names;
  for (const auto& source : sources)
    for (const auto& symbol : source.symbols)
      names.push_back(source.exchange + " " + source.market + " " + symbol.instrument);
  return names;
}

std::vector<std::string> chosen(const std::vector<std::string>& venues, const std::string& symbols) {
  const auto sources = choose_sources(kStart, venues, symbols);
  return sources ? names_of(*sources) : std::vector<std::string>{sources.error().text()};
}

TEST(Sources, AreAllThereAreUnlessChosen) {
  const auto all = choose_sources(kStart, {}, "");
  ASSERT_TRUE(all.has_value());
  EXPECT_EQ(all->size(), source_names().size());
  for (const auto& source : *all) EXPECT_EQ(source.symbols.size(), 8U) << source.exchange << source.market;
  EXPECT_EQ(choose_sources(kStart, {"okx:spot"}, "")->size(), 1U);
  EXPECT_EQ(choose_sources(kStart, {"okx"}, "")->size(), 2U);
  EXPECT_THAT(chosen({"okex"}, "").at(0), HasSubstr("did you mean okx"));
}

TEST(Sources, TakeAsManyInstrumentsAsAskedFor) {
  for (const auto& source : *choose_sources(kStart, {"binance", "okx"}, "50"))
    EXPECT_EQ(source.symbols.size(), 50U) << source.exchange << source.market;
  EXPECT_THAT(chosen({}, "0").at(0), HasSubstr("must be 1 to"));
  EXPECT_THAT(chosen({}, "9999").at(0), HasSubstr("must be 1 to"));
}

TEST(Sources, FindInstrumentsByTheVenuesNameAndByOurs) {
  EXPECT_THAT(chosen({"binance"}, "BTCUSDT"), ElementsAre("binance spot BTCUSDT", "binance derivatives BTCUSDT"));
  EXPECT_THAT(chosen({"binance"}, "spot:BTCUSDT,usdm:ETHUSDT"),
              ElementsAre("binance spot BTCUSDT", "binance derivatives ETHUSDT"));
  EXPECT_THAT(chosen({}, "okx:BTC-USD"), ElementsAre("okx derivatives BTC-USD-SWAP"));
  EXPECT_THAT(chosen({"okx"}, "okx:spot:BTC-USDT,BTC-USDT"),
              ElementsAre("okx spot BTC-USDT", "okx derivatives BTC-USDT-SWAP"));
  EXPECT_THAT(chosen({}, "BTCUSD").at(0), HasSubstr("did you mean BTCUSDT"));
}

struct World : testing::Test {
  void make(const FaultOptions& faults) {
    WorldOptions options;
    options.market = {3, kStart, 2000};
    options.faults = faults;
    sources = *choose_sources(kStart, {"binance", "okx"}, "2");
    world = make_world(sources, options, inbox, nullptr);
  }
  void run_to(Nanos after_start) {
    for (auto at = kStart; at <= kStart + after_start; at += 10ms)
      while (!world->advance(at)) {
      }
  }
  std::vector<Source> sources;
  test::Inbox inbox;
  std::unique_ptr<Venues> world;
};

TEST_F(World, EachVenueAnswersOnItsOwnPaths) {
  make({});
  HttpRequest request;
  request.address = "127.0.0.1";
  for (const char* target : {"/api/v3/ping", "/fapi/v1/ping", "/api/v5/public/time"}) {
    request.target = target;
    EXPECT_EQ(world->rest(request, kStart).status, 200) << target;
  }
  ASSERT_TRUE(world->open(1, "/stream?streams=btcusdt@trade"));
  ASSERT_TRUE(world->open(2, "/ws/v5/public"));
  world->text(2, R"({"op":"subscribe","args":[{"channel":"trades","instId":"BTC-USDT"}]})");
  run_to(2s);
  EXPECT_GT(inbox.take(1).size(), 10U);
  EXPECT_THAT(inbox.take(2).at(1), HasSubstr(R"("channel":"trades")"));
  world->closed(1);
  world->closed(2);
  run_to(1s);
  EXPECT_GT(world->trades(), 100U);
}

TEST_F(World, FaultsSkipUpdatesDropConnectionsAndGiveNotice) {
  FaultOptions faults;
  faults.skip_every = 1s;
  faults.notice_every = 4s;
  faults.notice_before = 1s;
  make(faults);
  ASSERT_TRUE(world->open(1, "/ws/v5/public"));
  world->text(1, R"({"op":"subscribe","args":[{"channel":"books","instId":"BTC-USDT"}]})");
  run_to(3500ms);
  EXPECT_EQ(world->faults().skipped, 3U);
  // The sequence has three holes.
  int holes = 0;
  std::string last;
  for (const auto& message : inbox.messages[1]) {
    const auto number = [&](const std::string& key) {
      const auto at = message.find("\"" + key + "\":");
      return at == message.npos
                 ? std::string()
                 : message.substr(at + key.size() + 3, message.find_first_of(",}", at) - at - key.size() - 3);
    };
    if (number("prevSeqId").empty()) continue;
    if (!last.empty() && number("prevSeqId") != last) ++holes;
    last = number("seqId");
  }
  EXPECT_EQ(holes, 3);
  EXPECT_EQ(inbox.closed.count(1), 0U);
  run_to(4500ms);
  EXPECT_THAT(inbox.messages[1], testing::Contains(HasSubstr("64008")));
  EXPECT_EQ(inbox.closed.count(1), 0U) << "it has a second left";
  run_to(5200ms);
  EXPECT_EQ(inbox.closed.count(1), 1U);

  faults = {};
  faults.drop_every = 2s;
  inbox.closed.clear();
  make(faults);
  ASSERT_TRUE(world->open(1, "/ws"));
  ASSERT_TRUE(world->open(2, "/ws/v5/public"));
  run_to(2100ms);
  EXPECT_EQ(inbox.closed.size(), 1U);
  run_to(4100ms);
  EXPECT_EQ(inbox.closed.size(), 2U) << "each in its turn";
}

}  // namespace
}  // namespace mp::sim
