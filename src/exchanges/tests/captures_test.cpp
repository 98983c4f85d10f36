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

// What gave no event is of channels that are not mapped, as many as were recorded; nothing in it was new to us.
void expect_explained(const Playback& run, const std::vector<std::pair<std::string, std::uint64_t>>& unmapped) {
  const auto counters = run.router->session(run.source)->counters();
  EXPECT_EQ(counters.unmapped, unmapped);
  for (const auto& [name, times] : counters.unknown) ADD_FAILURE() << name << ", " << times << " times";
}

TEST_F(Captures, UsdmGivesEveryTradeAndEveryContinuingUpdate) {
  const auto lines = capture("binance_usdm.jsonl");
  Playback run({"binance", "derivatives"});
  run.feed_all(lines);
  EXPECT_EQ(count(run.events), (Counts{91, 752, 4, 0, 0}));
  expect_explained(run, {{"bookTicker", 613}, {"kline_1m", 67}});
  expect_all_numbers(run, lines);
  expect_books_equal_deltas(run);
}

TEST_F(Captures, SpotGivesEveryTradeAndEveryContinuingUpdate) {
  const auto lines = capture("binance_spot.jsonl");
  Playback run({"binance", "spot"});
  run.feed_all(lines);
  EXPECT_EQ(count(run.events), (Counts{2, 172, 4, 0, 0}));
  expect_explained(run, {{"bookTicker", 84}, {"kline_1m", 2}});
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

// ---- single messages of the types that no capture has -----------------------------------------------------------

std::string message(const std::string& name) {
  return binance::read_file(std::string(MP_SHARED_DIR) + "/messages/binance/" + name);
}

// The text of a field, cut out by a regular expression and not by our decoder; the n-th of that name.
std::string field(const std::string& text, const std::string& name, std::size_t n = 0) {
  const std::regex pattern("\"" + name + "\"\\s*:\\s*\"?([-+0-9.eE]+)");
  std::sregex_iterator found(text.begin(), text.end(), pattern);
  const std::sregex_iterator end;
  for (; n > 0 && found != end; --n) ++found;
  return found == end ? "" : (*found)[1].str();
}

// Plain notation without zeros at the end.
std::string without_zeros(std::string text) {
  if (text.find('.') == std::string::npos) return text;
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text;
}

std::string millis(WallTime t) { return std::to_string(nanos_since_epoch(t) / 1'000'000); }

class BinanceMessages : public testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(std::string(MP_SHARED_DIR) + "/messages/binance"))
      GTEST_SKIP() << "no messages at " << MP_SHARED_DIR << "/messages/binance";
    rest("/fapi/v1/exchangeInfo", "py_usdm_http_exchange_info.json");
    run.events.clear();
  }
  void TearDown() override {
    for (const auto& event : run.events)
      if (const auto* rejected = std::get_if<Rejected>(&event))
        ADD_FAILURE() << rejected->reason << ": " << rejected->raw;
    if (const auto* session = run.router->session(run.source))
      for (const auto& [name, times] : session->counters().unknown) ADD_FAILURE() << name;
  }
  void rest(const std::string& path, const std::string& name) {
    Playback::feed(*run.router, run.source,
                   {RecordKind::rest, at, "https://fapi.binance.com" + path, message(name), 0, 200}, run.events);
  }
  void text(const std::string& name) {
    Playback::feed(*run.router, run.source, {RecordKind::text, at, "", message(name), 1, 0}, run.events);
  }
  static constexpr WallTime at = wall_from_nanos(1'650'000'000'000'000'000);
  static Playback player() {
    Playback made({"binance", "derivatives"});
    made.options.min_interval = std::chrono::milliseconds{0};
    made.router = made.fresh();
    return made;
  }
  Playback run = player();
};

TEST_F(BinanceMessages, MarkPricesAreFundingRates) {
  text("usdm_ws_mark_price.json");
  rest("/fapi/v1/premiumIndex?symbol=BTCUSDT", "py_usdm_http_premium_index.json");
  const auto rates = binance::only<FundingRate>(run.events);
  ASSERT_EQ(rates.size(), 2u);
  const auto expect = [](const FundingRate& rate, const std::string& raw, const std::vector<std::string>& names) {
    EXPECT_EQ(rate.funding_rate.value.text(), without_zeros(field(raw, names[0])));
    EXPECT_EQ(millis(*rate.funding_time), field(raw, names[1]));
    EXPECT_EQ(rate.mark_price->value.text(), without_zeros(field(raw, names[2])));
    EXPECT_EQ(rate.index_price->value.text(), without_zeros(field(raw, names[3])));
    EXPECT_EQ(millis(rate.meta.timestamp), field(raw, names[4]));
    EXPECT_FALSE(rate.is_settled);
  };
  expect(rates[0], message("usdm_ws_mark_price.json"), {"r", "T", "p", "i", "E"});
  expect(rates[1], message("py_usdm_http_premium_index.json"),
         {"lastFundingRate", "nextFundingTime", "markPrice", "indexPrice", "time"});
}

TEST_F(BinanceMessages, TheFundingHistoryIsSettled) {
  rest("/fapi/v1/fundingRate?symbol=BTCUSDT", "py_usdm_http_funding_rate.json");
  const auto raw = message("py_usdm_http_funding_rate.json");
  const auto rates = binance::only<FundingRate>(run.events);
  ASSERT_EQ(rates.size(), 2u);
  for (std::size_t n = 0; n < 2; ++n) {
    EXPECT_EQ(rates[n].funding_rate.value.text(), without_zeros(field(raw, "fundingRate", n)));
    EXPECT_EQ(millis(*rates[n].funding_time), field(raw, "fundingTime", n));
    EXPECT_TRUE(rates[n].is_settled);
  }
}

TEST_F(BinanceMessages, OpenInterest) {
  rest("/fapi/v1/openInterest?symbol=BTCUSDT", "py_usdm_http_open_interest.json");
  const auto raw = message("py_usdm_http_open_interest.json");
  const auto events = binance::only<OpenInterest>(run.events);
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].open_interest.value.text(), without_zeros(field(raw, "openInterest")));
  EXPECT_EQ(millis(events[0].meta.timestamp), field(raw, "time"));
}

TEST_F(BinanceMessages, Liquidations) {
  std::size_t n = 0;
  for (const auto* name : {"usdm_ws_liquidation.json", "barter_futures_liquidation_1.json"}) {
    text(name);
    const auto raw = message(name);
    const auto events = binance::only<Liquidation>(run.events);
    ASSERT_EQ(events.size(), ++n);
    EXPECT_EQ(events.back().side, Side::sell);
    EXPECT_EQ(events.back().quantity.value.text(), without_zeros(field(raw, "q")));
    EXPECT_EQ(events.back().price->value.text(), without_zeros(field(raw, "p")));
    EXPECT_EQ(events.back().average_price->value.text(), without_zeros(field(raw, "ap")));
    EXPECT_EQ(events.back().filled_quantity->value.text(), without_zeros(field(raw, "z")));
    EXPECT_EQ(millis(events.back().meta.timestamp), field(raw, "T"));
  }
}

TEST_F(BinanceMessages, EachRatioIsWhatItsEndpointSays) {
  const auto expect = [&](const std::string& raw, const auto& events, auto long_share, auto short_share) {
    ASSERT_EQ(events.size(), 2u);
    for (std::size_t n = 0; n < 2; ++n) {
      EXPECT_EQ(events[n].long_short_ratio.value.text(), without_zeros(field(raw, "longShortRatio", n)));
      EXPECT_EQ((events[n].*long_share)->value.text(), without_zeros(field(raw, "longAccount", n)));
      EXPECT_EQ((events[n].*short_share)->value.text(), without_zeros(field(raw, "shortAccount", n)));
      EXPECT_EQ(millis(events[n].meta.timestamp), field(raw, "timestamp", n));
    }
  };
  rest("/futures/data/topLongShortPositionRatio?symbol=BTCUSDT&period=5m",
       "py_usdm_http_top_long_short_position_ratio.json");
  expect(message("py_usdm_http_top_long_short_position_ratio.json"), binance::only<LsrTopPosition>(run.events),
         &LsrTopPosition::long_position_ratio, &LsrTopPosition::short_position_ratio);
  EXPECT_TRUE(binance::only<LsrAllAccount>(run.events).empty());
  rest("/futures/data/globalLongShortAccountRatio?symbol=BTCUSDT&period=5m",
       "py_usdm_http_global_long_short_account_ratio.json");
  expect(message("py_usdm_http_global_long_short_account_ratio.json"), binance::only<LsrAllAccount>(run.events),
         &LsrAllAccount::long_account_ratio, &LsrAllAccount::short_account_ratio);
  const auto before = run.events.size();
  rest("/futures/data/topLongShortAccountRatio?symbol=BTCUSDT&period=5m",
       "py_usdm_http_top_long_short_account_ratio.json");
  EXPECT_EQ(run.events.size(), before);
}

// At every record of the beginning, and at every fifth one later, the state is saved and the run goes on in a fresh
// router that has restored it; some frames are left out, so that gaps and buffered updates are part of that state.
TEST_F(Captures, ARunOverManyCheckpointsIsTheSameRun) {
  for (const auto& [name, source] : {std::pair{"binance_usdm.jsonl", Source{"binance", "derivatives"}},
                                     std::pair{"binance_spot.jsonl", Source{"binance", "spot"}}}) {
    auto lines = capture(name);
    std::size_t n = 0;
    std::erase_if(lines, [&](const Line& line) { return line.kind == RecordKind::text && ++n % 97 == 0; });
    // The four recorded symbols: without the other 1 800 the test takes seconds.
    const std::vector<std::string> recorded =
        source.market == "spot" ? std::vector<std::string>{"NKNUSDT", "BLZETH", "LRCBTC", "RUNEEUR"}
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
