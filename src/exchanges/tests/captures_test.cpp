// Real recorded sessions, read in place: counts, numbers, books, and checkpoints at every record.
#include <gmock/gmock.h>

#include <filesystem>
#include <map>
#include <regex>
#include <set>

#include "exchanges/binance/tests/support.hpp"
#include "exchanges/tests/playback.hpp"

namespace mp {
namespace {

using namespace std::chrono_literals;

class Captures : public testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(std::string(MP_SHARED_DIR) + "/captures/binance_spot.jsonl"))
      GTEST_SKIP() << "no captures at " << MP_SHARED_DIR << "/captures";
  }
};

// Every number as the venue wrote it, cut out of the raw text by a regular expression and not by our decoder.
std::multiset<std::string> raw_numbers(const std::vector<Line>& lines, const std::string& event) {
  std::multiset<std::string> out;
  const std::regex trade(R"re("s":"(\w+)","p":"([0-9.]+)","q":"([0-9.]+)")re");
  const std::regex trade_spot(R"re("s":"(\w+)","a":\d+,"p":"([0-9.]+)","q":"([0-9.]+)")re");
  for (const auto& line : lines) {
    if (line.payload.find("\"e\":\"" + event + "\"") == std::string::npos) continue;
    std::smatch m;
    if (std::regex_search(line.payload, m, trade) || std::regex_search(line.payload, m, trade_spot))
      out.insert(m[1].str() + " " + Decimal::parse(m[2].str())->text() + " " + Decimal::parse(m[3].str())->text());
  }
  return out;
}

void expect_all_numbers(const Playback& run, const std::vector<Line>& lines) {
  std::multiset<std::string> got;
  for (const auto& trade : binance::only<Trade>(run.events))
    got.insert(trade.meta.instrument->instrument + " " + trade.price.value.text() + " " + trade.quantity.value.text());
  EXPECT_EQ(got, raw_numbers(lines, "aggTrade"));

  // Each published update's levels, in the venue's order, against the raw message with the same ids.
  std::map<std::string, std::string> raw_by_id;
  const std::regex ids(R"re("s":"(\w+)".*"u":(\d+))re");
  for (const auto& line : lines) {
    std::smatch m;
    if (line.payload.find("depthUpdate") != std::string::npos && std::regex_search(line.payload, m, ids))
      raw_by_id[m[1].str() + " " + m[2].str()] = line.payload;
  }
  const std::regex level(R"re(\["([0-9.]+)","([0-9.]+)"\])re");
  std::size_t compared = 0;
  for (const auto& delta : binance::only<OrderBookDelta>(run.events)) {
    if (delta.is_snapshot) continue;
    const auto raw = raw_by_id.at(delta.meta.instrument->instrument + " " + std::to_string(delta.last_update_id));
    std::vector<std::string> want, have;
    for (std::sregex_iterator i(raw.begin(), raw.end(), level), end; i != end; ++i)
      want.push_back(Decimal::parse((*i)[1].str())->text() + " " + Decimal::parse((*i)[2].str())->text());
    for (const auto* side : {&delta.bids, &delta.asks})
      for (const auto& each : *side) have.push_back(each.price.value.text() + " " + each.quantity.value.text());
    ASSERT_EQ(have, want) << raw;
    ++compared;
  }
  EXPECT_GT(compared, 100u);
}

void expect_books_equal_deltas(Playback& run) {
  // The book rebuilt from what was published, by the obvious means.
  std::map<std::string, std::pair<std::map<Decimal, Decimal>, std::map<Decimal, Decimal>>> rebuilt;
  const auto apply = [](std::map<Decimal, Decimal>& side, const std::vector<BookLevel>& levels) {
    for (const auto& level : levels) {
      if (level.quantity.value.is_zero())
        side.erase(level.price.value);
      else
        side[level.price.value] = level.quantity.value;
    }
  };
  for (const auto& delta : binance::only<OrderBookDelta>(run.events)) {
    auto& [bids, asks] = rebuilt[delta.meta.instrument->symbol];
    if (delta.is_snapshot) {
      bids.clear();
      asks.clear();
    }
    apply(bids, delta.bids);
    apply(asks, delta.asks);
    ASSERT_TRUE(bids.empty() || asks.empty() || bids.rbegin()->first < asks.begin()->first)
        << "crossed: " << delta.meta.instrument->symbol << " at " << delta.last_update_id;
  }
  std::vector<OrderBook> held;
  run.router->session(run.source)->books(0, held);
  EXPECT_EQ(held.size(), 4u);
  for (const auto& book : held) {
    const auto& [bids, asks] = rebuilt.at(book.meta.instrument->symbol);
    ASSERT_EQ(book.bids.size(), bids.size());
    ASSERT_EQ(book.asks.size(), asks.size());
    auto bid = bids.rbegin();
    for (const auto& level : book.bids) {
      EXPECT_EQ(level.price.value, bid->first);
      EXPECT_EQ(level.quantity.value, bid->second);
      ++bid;
    }
    auto ask = asks.begin();
    for (const auto& level : book.asks) {
      EXPECT_EQ(level.price.value, ask->first);
      EXPECT_EQ(level.quantity.value, ask->second);
      ++ask;
    }
  }
}

TEST_F(Captures, UsdmGivesEveryTradeAndEveryContinuingUpdate) {
  const auto lines = capture("binance_usdm.jsonl");
  Playback run({"binance", "derivatives"});
  run.feed_all(lines);
  EXPECT_EQ(count(run.events), (Counts{91, 752, 4, 0, 0}));
  expect_all_numbers(run, lines);
  expect_books_equal_deltas(run);
}

TEST_F(Captures, SpotGivesEveryTradeAndEveryContinuingUpdate) {
  const auto lines = capture("binance_spot.jsonl");
  Playback run({"binance", "spot"});
  run.feed_all(lines);
  EXPECT_EQ(count(run.events), (Counts{2, 172, 4, 0, 0}));
  expect_all_numbers(run, lines);
  expect_books_equal_deltas(run);
}

TEST_F(Captures, ConnectionIdsAndConnectLinesAreNotNeeded) {
  auto lines = capture("binance_usdm.jsonl");
  Playback whole({"binance", "derivatives"});
  whole.feed_all(lines);
  std::erase_if(lines, [](const Line& line) { return line.kind == RecordKind::opened; });
  for (auto& line : lines) line.connection = 0;
  Playback bare({"binance", "derivatives"});
  bare.feed_all(lines);
  EXPECT_EQ(binance::json(bare.events), binance::json(whole.events));
}

TEST_F(Captures, AMissingUpdateIsOneGapAndEndsThatBookOnly) {
  auto lines = capture("binance_usdm.jsonl");
  std::size_t seen = 0;
  std::erase_if(lines, [&](const Line& line) {
    return line.payload.find("sushiusdt@depth@100ms") != std::string::npos && ++seen == 60;
  });
  Playback run({"binance", "derivatives"});
  run.feed_all(lines);
  const auto gaps = binance::only<Gap>(run.events);
  ASSERT_EQ(gaps.size(), 1u);
  EXPECT_EQ(gaps[0].meta.instrument->symbol, "SUSHI-USDT");
  EXPECT_EQ(gaps[0].cause, GapCause::sequence);
  std::vector<OrderBook> held;
  run.router->session(run.source)->books(1, held);
  EXPECT_EQ(held.size(), 3u);
}

// At every record of the beginning, and at every fifth one later, the state is saved and the run goes on in a fresh router that has restored it; some frames are left
// out, so that gaps and buffered updates are part of that state.
TEST_F(Captures, ARunOverManyCheckpointsIsTheSameRun) {
  for (const auto& [name, source] : {std::pair{"binance_usdm.jsonl", Source{"binance", "derivatives"}},
                                     std::pair{"binance_spot.jsonl", Source{"binance", "spot"}}}) {
    auto lines = capture(name);
    std::size_t n = 0;
    std::erase_if(lines, [&](const Line& line) { return line.kind == RecordKind::text && ++n % 97 == 0; });
    // The four recorded symbols: without the other 1 800 the test takes seconds.
    const std::vector<std::string> recorded = source.market == "spot"
                                                  ? std::vector<std::string>{"NKNUSDT", "BLZETH", "LRCBTC", "RUNEEUR"}
                                                  : std::vector<std::string>{"SUSHIUSDT", "AKROUSDT", "KEEPUSDT", "CTKUSDT"};
    Playback whole(source, true);
    whole.options.symbols = recorded;
    whole.router = whole.fresh();
    whole.feed_all(lines);
    Playback hopping(source, true);
    hopping.options.symbols = recorded;
    hopping.router = hopping.fresh();
    for (std::size_t i = 0; i < lines.size(); ++i) {
      if (i < 80 || i % 5 == 0) {
        std::string saved;
        hopping.router->save(saved);
        auto fresh = hopping.fresh();
        ASSERT_TRUE(fresh->restore(saved));
        std::string again;
        fresh->save(again);
        ASSERT_EQ(again, saved);
        hopping.router = std::move(fresh);
      }
      Playback::feed(*hopping.router, source, lines[i], hopping.events);
    }
    ASSERT_EQ(binance::json(hopping.events), binance::json(whole.events)) << name;
    EXPECT_GT(binance::only<Gap>(whole.events).size(), 0u);
    EXPECT_GT(binance::only<OrderBook>(whole.events).size(), 50u);
  }
}

}  // namespace
}  // namespace mp
