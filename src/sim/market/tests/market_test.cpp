#include "sim/market/market.hpp"

#include <gmock/gmock.h>

#include <map>
#include <set>

#include "sim/market/assets.hpp"
#include "sim/market/ledger.hpp"
#include "sim/market/told_book.hpp"
#include "sim/market/volatility.hpp"

namespace mp::sim {
namespace {

using namespace std::chrono_literals;

Symbol spot(const std::string& base, std::int64_t price, std::int64_t gap) {
  Symbol s;
  s.kind = Kind::spot;
  s.base = base;
  s.quote = "USDT";
  s.instrument = base + "USDT";
  s.price_scale = 2;
  s.quantity_scale = 5;
  s.start_price = price;
  s.gap = gap;
  s.typical_quantity = 20'000;
  s.weight = 3;
  return s;
}

Symbol perpetual(const std::string& base, std::int64_t price) {
  Symbol s = spot(base, price, 2);
  s.kind = Kind::perpetual;
  s.id_group = 0;
  s.weight = 2;
  return s;
}

std::vector<Symbol> some_symbols() {
  return {spot("BTC", 6'425'010, 12), spot("PEPE", 2'450, 1), perpetual("BTC", 642'501), perpetual("ETH", 310'000)};
}

const WallTime kStart = *parse_iso("2026-11-23T04:00:00Z");

// Writes everything down and checks every step against a book of its own.
class Witness : public MarketSink {
 public:
  explicit Witness(const Market& market) : market_(market) {
    for (std::size_t i = 0; i < market.size(); ++i) {
      Levels levels;
      for (const Side side : {Side::bid, Side::ask})
        for (std::size_t n = 0; n < market.book(i).size(side); ++n) {
          const auto& level = market.book(i).level(side, n);
          levels[{side, level.price}] = level.quantity;
        }
      books_.push_back(levels);
      last_id_.push_back(market.last_update_id(i));
      next_trade_.push_back(0);
      next_fill_.push_back(0);
    }
  }

  void changed(std::size_t i, Side side, const Level& level, std::uint64_t id) override {
    ASSERT_GE(level.quantity, 0);
    ASSERT_GE(level.price, 1);
    if (market_.symbol(i).id_group < 0) {
      ASSERT_EQ(id, last_id_[i] + 1);
    } else {
      ASSERT_GT(id, group_id_);
      group_id_ = id;
    }
    last_id_[i] = id;
    if (level.quantity == 0)
      books_[i].erase({side, level.price});
    else
      books_[i][{side, level.price}] = level.quantity;
    if (pending_) {
      // A trade is followed by the change that it made.
      ASSERT_EQ(pending_->price, level.price);
      ASSERT_EQ(quantity_before_ - pending_->quantity, level.quantity);
      ASSERT_EQ(side, pending_->buyer_is_maker ? Side::bid : Side::ask);
      pending_.reset();
    }
    const auto& book = market_.book(i);
    ASSERT_LT(book.best(Side::bid).price, book.best(Side::ask).price) << market_.symbol(i).instrument;
    ++changes;
  }

  void traded(std::size_t i, const Trade& trade, std::span<const Fill> fills) override {
    const Side from = trade.buyer_is_maker ? Side::bid : Side::ask;
    const Level best = market_.book(i).best(from);
    ASSERT_EQ(trade.price, best.price);
    ASSERT_LE(trade.quantity, best.quantity);
    ASSERT_FALSE(fills.empty());
    std::int64_t sum = 0;
    for (std::size_t n = 0; n < fills.size(); ++n) {
      ASSERT_EQ(fills[n].id, trade.first_fill + n);
      ASSERT_GT(fills[n].quantity, 0);
      sum += fills[n].quantity;
    }
    ASSERT_EQ(sum, trade.quantity);
    ASSERT_EQ(fills.back().id, trade.last_fill);
    if (next_trade_[i] != 0) {
      ASSERT_EQ(trade.id, next_trade_[i]);
      ASSERT_EQ(trade.first_fill, next_fill_[i]);
    }
    next_trade_[i] = trade.id + 1;
    next_fill_[i] = trade.last_fill + 1;
    ASSERT_EQ(trade.time, std::chrono::floor<std::chrono::milliseconds>(trade.time));
    ASSERT_GE(trade.time, last_time_);
    last_time_ = trade.time;
    pending_ = trade;
    quantity_before_ = best.quantity;
    ++trades;
  }

  void depth_due(std::size_t i, WallTime time) override {
    ASSERT_GE(time, last_time_);
    last_time_ = time;
    ++depths;
    const auto& book = market_.book(i);
    for (const Side side : {Side::bid, Side::ask}) {
      ASSERT_GE(book.size(side), 1000U) << market_.symbol(i).instrument;
      ASSERT_LE(book.size(side), Market::kMaxLevels + 1);
    }
    ASSERT_EQ(market_.last_update_id(i), last_id_[i]);
  }

  // What the deltas made of the first picture is what the market holds.
  void expect_same_books() const {
    for (std::size_t i = 0; i < market_.size(); ++i) {
      Levels levels;
      for (const Side side : {Side::bid, Side::ask})
        for (std::size_t n = 0; n < market_.book(i).size(side); ++n) {
          const auto& level = market_.book(i).level(side, n);
          levels[{side, level.price}] = level.quantity;
        }
      EXPECT_EQ(levels, books_[i]) << market_.symbol(i).instrument;
    }
  }

  std::uint64_t changes = 0, trades = 0, depths = 0;

 private:
  using Levels = std::map<std::pair<Side, std::int64_t>, std::int64_t>;
  const Market& market_;
  std::vector<Levels> books_;
  std::vector<std::uint64_t> last_id_, next_trade_, next_fill_;
  std::uint64_t group_id_ = 0;
  std::optional<Trade> pending_;
  std::int64_t quantity_before_ = 0;
  WallTime last_time_ = kStart;
};

class Recorder : public MarketSink {
 public:
  void changed(std::size_t i, Side side, const Level& level, std::uint64_t id) override {
    note({i, side == Side::bid ? 0U : 1U, level.price, level.quantity, id});
  }
  void traded(std::size_t i, const Trade& t, std::span<const Fill> fills) override {
    note({i, t.id, t.price, t.quantity, nanos_since_epoch(t.time)});
    for (const auto& fill : fills) note({fill.id, fill.quantity});
  }
  void depth_due(std::size_t i, WallTime time) override { note({i, nanos_since_epoch(time)}); }

  std::vector<std::vector<long long>> notes;

 private:
  struct Number {
    long long value;
    template <class T>
    Number(T v) : value(static_cast<long long>(v)) {}  // NOLINT
  };
  void note(std::initializer_list<Number> numbers) {
    auto& row = notes.emplace_back();
    for (const auto& n : numbers) row.push_back(n.value);
  }
};

std::vector<std::vector<long long>> record(std::uint64_t seed, WallTime start, std::vector<Nanos> stops) {
  Market market(some_symbols(), {seed, start, 2000});
  Recorder recorder;
  for (const auto stop : stops) EXPECT_TRUE(market.advance(start + stop, SIZE_MAX, recorder));
  return recorder.notes;
}

TEST(MarketModel, StaysConsistentOverALongRun) {
  Market market(some_symbols(), {7, kStart, 20'000});
  Witness witness(market);
  for (int second = 1; second <= 25 && !HasFatalFailure(); ++second)
    ASSERT_TRUE(market.advance(kStart + std::chrono::seconds{second}, SIZE_MAX, witness));
  witness.expect_same_books();
  EXPECT_GT(witness.trades, 200'000U);
  EXPECT_GT(witness.depths, 200'000U);
  EXPECT_GT(witness.changes, 1'000'000U);
}

TEST(MarketModel, KeepsTheRateItWasAskedFor) {
  for (const int rate : {10, 1000, 50'000}) {
    Market market(some_symbols(), {3, kStart, rate});
    Witness witness(market);
    const int seconds = rate == 10 ? 200 : 5;
    ASSERT_TRUE(market.advance(kStart + std::chrono::seconds{seconds}, SIZE_MAX, witness));
    const auto per_second = static_cast<double>(witness.trades + witness.depths) / seconds;
    EXPECT_NEAR(per_second, rate, rate * 0.08) << rate;
  }
}

TEST(MarketModel, SameSeedAndStartMakeTheSameMarketHoweverItIsAdvanced) {
  const auto whole = record(42, kStart, {3s});
  const auto in_steps = record(42, kStart, {1ms, 2ms, 700ms, 701ms, 2500ms, 3s});
  EXPECT_GT(whole.size(), 5000U);
  EXPECT_EQ(whole, in_steps);
  EXPECT_NE(whole, record(43, kStart, {3s}));
}

TEST(MarketModel, StopsAtTheLimitAndGoesOnFromThere) {
  Market market(some_symbols(), {42, kStart, 2000});
  Recorder recorder;
  int calls = 1;
  while (!market.advance(kStart + 3s, 10, recorder)) ++calls;
  EXPECT_GT(calls, 100);
  EXPECT_EQ(recorder.notes, record(42, kStart, {3s}));
}

TEST(MarketModel, IdsOfALaterStartLieAboveThoseOfAnEarlierOne) {
  Market first(some_symbols(), {1, kStart, Market::kMaxRate});
  Witness witness(first);
  ASSERT_TRUE(first.advance(kStart + 2s, SIZE_MAX, witness));
  const Market second(some_symbols(), {1, kStart + 2s, 1});
  for (std::size_t i = 0; i < first.size(); ++i) EXPECT_GT(second.last_update_id(i), first.last_update_id(i));
}

TEST(MarketModel, PricesMove) {
  Market market(some_symbols(), {9, kStart, 20'000});
  Witness witness(market);
  const auto before = market.book(0).best(Side::bid).price;
  ASSERT_TRUE(market.advance(kStart + 10s, SIZE_MAX, witness));
  EXPECT_NE(before, market.book(0).best(Side::bid).price);
}

TEST(SymbolNames, FuturesCarryTheirDay) {
  Symbol s = spot("BTC", 1, 1);
  EXPECT_EQ(s.canonical(), "BTC-USDT");
  s.kind = Kind::future;
  s.expiry = *parse_iso("2026-12-25T08:00:00Z");
  EXPECT_EQ(s.canonical(), "BTC-USDT-20261225");
}

// --- derivatives

class Beats : public MarketSink {
 public:
  void changed(std::size_t, Side, const Level&, std::uint64_t) override {}
  void traded(std::size_t i, const Trade& trade, std::span<const Fill>) override {
    ++trades;
    if (trade.liquidated != Liquidated::nobody) liquidations.emplace_back(i, trade);
  }
  void depth_due(std::size_t, WallTime) override {}
  void beat(std::size_t i, WallTime time) override { beats.emplace_back(i, time); }
  std::vector<std::pair<std::size_t, Trade>> liquidations;
  std::vector<std::pair<std::size_t, WallTime>> beats;
  int trades = 0;
};

std::vector<Symbol> funded_symbols() {
  auto symbols = some_symbols();
  for (auto& s : symbols)
    if (s.kind == Kind::perpetual) s.funding_hours = 8;
  symbols[2].price_scale = 1;  // the same price as the spot book's
  Symbol future = perpetual("BTC", 648'000);
  future.price_scale = 1;
  future.kind = Kind::future;
  future.expiry = kStart + std::chrono::hours{24 * 30};
  symbols.push_back(future);
  return symbols;
}

TEST(Derivatives, BeatEverySecondAndSpotDoesNot) {
  Market market(funded_symbols(), {7, kStart, 200});
  Beats sink;
  ASSERT_TRUE(market.advance(kStart + 10s, SIZE_MAX, sink));
  ASSERT_EQ(sink.beats.size(), 30U);
  for (const auto& [i, time] : sink.beats) {
    EXPECT_NE(market.symbol(i).kind, Kind::spot);
    EXPECT_EQ(time, std::chrono::floor<std::chrono::seconds>(time));
  }
}

TEST(Derivatives, MarkStaysNearTheIndexAndTheIndexIsTheSpotBook) {
  Market market(funded_symbols(), {7, kStart, 5000});
  Beats sink;
  for (int minute = 1; minute <= 3; ++minute) {
    ASSERT_TRUE(market.advance(kStart + std::chrono::minutes{minute}, SIZE_MAX, sink));
    for (const std::size_t i : {2U, 4U}) {
      const auto& d = market.derivative(i);
      EXPECT_EQ(d.index(), market.derivative(2).index()) << "one coin, one index";
      EXPECT_LT(std::abs(d.mark() - d.index()), d.index() / 50) << "within two per cent";
      EXPECT_LT(std::abs(market.middle(i) - d.mark()), d.mark() / 50);
    }
    EXPECT_EQ(market.index(2), market.middle(0));
  }
}

TEST(Derivatives, FundingFollowsThePremiumWithinItsBoundsAndIsChargedWhenDue) {
  Symbol s = perpetual("BTC", 642'501);
  s.funding_hours = 8;
  const std::int64_t index = 642'501'000'000'000;
  Derivative rich(s, 1, kStart, index), poor(s, 1, kStart, index);
  EXPECT_EQ(rich.funding_time(), *parse_iso("2026-11-23T08:00:00Z"));
  ASSERT_EQ(rich.settlements().size(), Derivative::kSettlements);
  EXPECT_EQ(rich.settlements().back().time, *parse_iso("2026-11-23T00:00:00Z"));
  const auto charge = *parse_iso("2026-11-23T08:00:00Z");
  for (WallTime now = kStart; now < charge; now += 1s) {
    rich.beat(now, index, index + index / 200);  // 0.5 % above
    poor.beat(now, index, index - index / 30);   // 3 % below: beyond every bound
  }
  EXPECT_NEAR(static_cast<double>(rich.funding_rate()), 45e12, 3e12) << "0.5 % less the band of 0.05 %";
  EXPECT_EQ(poor.funding_rate(), -Derivative::kMaxRate);
  const auto last = rich.funding_rate();
  rich.beat(charge, index, index + index / 200);
  EXPECT_EQ(rich.settlements().back().time, charge);
  EXPECT_NEAR(static_cast<double>(rich.settlements().back().rate), static_cast<double>(last), 1e9);
  EXPECT_EQ(rich.funding_time(), charge + std::chrono::hours{8});
  EXPECT_GT(rich.present_rate(), 0);
  EXPECT_LT(poor.present_rate(), 0);
}

TEST(Derivatives, OpenInterestFollowsTheTrades) {
  Market market(funded_symbols(), {7, kStart, 5000});
  const auto before = market.derivative(2).open_interest();
  EXPECT_GT(before, 0);
  EXPECT_EQ(market.derivative(2).open_interest_time(), kStart);
  Beats sink;
  ASSERT_TRUE(market.advance(kStart + 20s, SIZE_MAX, sink));
  EXPECT_NE(market.derivative(2).open_interest(), before);
  EXPECT_GT(market.derivative(2).open_interest(), before / 2);
  EXPECT_GT(market.derivative(2).open_interest_time(), kStart);
}

TEST(Derivatives, LiquidationsComeWithTheMove) {
  Market market(funded_symbols(), {7, kStart, 20'000});
  Beats sink;
  ASSERT_TRUE(market.advance(kStart + 20s, SIZE_MAX, sink));
  ASSERT_GT(sink.liquidations.size(), 20U);
  EXPECT_LT(static_cast<int>(sink.liquidations.size()), sink.trades / 20);
  int sells = 0;
  for (const auto& [i, trade] : sink.liquidations) {
    EXPECT_NE(market.symbol(i).kind, Kind::spot);
    EXPECT_EQ(trade.liquidated, Liquidated::taker) << "no maker ones were asked for";
    sells += trade.buyer_is_maker ? 1 : 0;
  }
  EXPECT_GT(sells, 0);
  EXPECT_LT(sells, static_cast<int>(sink.liquidations.size()));
}

TEST(Derivatives, TradeIdsThatAreUsedUpLeaveAHole) {
  struct Voids : Beats {
    void voided(std::size_t, std::uint64_t fill, WallTime) override { ids.push_back(fill); }
    void traded(std::size_t, const Trade& trade, std::span<const Fill>) override {
      if (last != 0) {
        const bool after_a_void = !ids.empty() && ids.back() == last + 1;
        EXPECT_EQ(trade.first_fill, last + (after_a_void ? 2 : 1));
      }
      last = trade.last_fill;
    }
    std::vector<std::uint64_t> ids;
    std::uint64_t last = 0;
  };
  Symbol s = perpetual("BTC", 642'501);
  s.void_fills = true;
  Market market({s}, {7, kStart, 5000});
  Voids sink;
  ASSERT_TRUE(market.advance(kStart + 4s, SIZE_MAX, sink));
  EXPECT_GT(sink.ids.size(), 20U);
}

TEST(LongShares, StayInRangeAndMoveAndAreTheSameWhenAskedAgain) {
  std::set<std::int64_t> seen;
  std::int64_t previous = 0;
  for (int i = 0; i < 2000; ++i) {
    const auto at = kStart + i * std::chrono::minutes{5};
    const auto share = long_share(99, Holders::all_accounts, at);
    EXPECT_GE(share, 3000);
    EXPECT_LE(share, 7000);
    EXPECT_EQ(share, long_share(99, Holders::all_accounts, at + 299s)) << "one value for five minutes";
    if (previous != 0) {
      EXPECT_LT(std::abs(share - previous), 500);
    }
    previous = share;
    seen.insert(share);
  }
  EXPECT_GT(seen.size(), 500U);
  EXPECT_NE(long_share(99, Holders::top_positions, kStart), long_share(99, Holders::all_accounts, kStart));
}

TEST(VolatilityIndexes, GoBackToTheirMeanAndGiveCandlesOfTheirValues) {
  VolatilityIndex index(5, kStart, 4700);
  EXPECT_EQ(index.time(), kStart);
  std::int64_t low = index.value(), high = low;
  double sum = 0;
  for (int i = 0; i < 50'000; ++i) {
    index.beat();
    low = std::min(low, index.value());
    high = std::max(high, index.value());
    sum += static_cast<double>(index.value());
  }
  EXPECT_NEAR(sum / 50'000, 4700, 60) << "back to the mean";
  EXPECT_LT(low, 4690);
  EXPECT_GT(high, 4710);
  const auto end = index.time();
  const auto minutes = index.candles(end - std::chrono::minutes{10}, end, std::chrono::seconds{60});
  const auto seconds = index.candles(minutes.front().time, minutes.front().time + 59s, std::chrono::seconds{1});
  ASSERT_EQ(seconds.size(), 60U);
  EXPECT_EQ(minutes.front().open, seconds.front().open);
  EXPECT_EQ(minutes.front().close, seconds.back().close);
  for (const auto& c : seconds) {
    EXPECT_LE(minutes.front().low, c.low);
    EXPECT_GE(minutes.front().high, c.high);
  }
}

TEST(ToldBooks, WhatIsToldMakesTheBestLevelsOfTheBook) {
  Market market(some_symbols(), {7, kStart, 5000});
  ToldBook told(40);
  told.take(market.book(0));
  std::map<std::int64_t, std::int64_t> bids;
  for (const auto& level : told.levels(Side::bid)) bids[level.price] = level.quantity;
  Beats sink;
  std::vector<LevelChange> up, down;
  std::set<LevelChange::Kind> kinds;
  for (int i = 1; i <= 200; ++i) {
    ASSERT_TRUE(market.advance(kStart + i * 20ms, SIZE_MAX, sink));
    told.update(market.book(0), up, down);
    for (const auto& change : up) {
      kinds.insert(change.kind);
      EXPECT_EQ(change.kind == LevelChange::Kind::added, bids.count(change.level.price) == 0);
      EXPECT_EQ(change.kind == LevelChange::Kind::removed, change.level.quantity == 0);
      if (change.level.quantity == 0)
        bids.erase(change.level.price);
      else
        bids[change.level.price] = change.level.quantity;
    }
    ASSERT_EQ(bids.size(), 40U);
    for (std::size_t n = 0; n < 40; ++n) {
      const Level& level = market.book(0).level(Side::bid, n);
      ASSERT_EQ(bids[level.price], level.quantity);
    }
  }
  EXPECT_EQ(kinds.size(), 3U);
}

TEST(AssetTable, HasMoreThanFiftyCoinsOnceEach) {
  std::set<std::string> names;
  for (const auto& asset : assets()) names.insert(asset.base);
  EXPECT_EQ(names.size(), assets().size());
  EXPECT_GT(names.size(), 50U);
  EXPECT_EQ(find_asset("ETH")->base, std::string("ETH"));
  EXPECT_EQ(find_asset("NONE"), nullptr);
}

TEST(SymbolNames, OptionsCarryStrikeAndRight) {
  Symbol s = spot("XRP", 1, 1);
  s.kind = Kind::option;
  s.quote = "USDC";
  s.strike = "1.02";
  s.right = 'C';
  s.expiry = *parse_iso("2026-12-25T08:00:00Z");
  EXPECT_EQ(s.canonical(), "XRP-USDC-20261225-1d02-C");
}

TEST(LedgerLines, CountContractsInTheUnitInWhichTheyAreLinear) {
  Symbol s = inverse_of(*find_asset("BTC"), Kind::perpetual, 100);
  s.instrument = "BTC-USD-SWAP";
  EXPECT_EQ(
      open_interest_line("okx", s, kStart, 12, "1200", true),
      R"({"type":"open_interest","exchange":"okx","market_type":"perpetual","symbol":"BTC-USD","instrument":"BTC-USD-SWAP",)"
      R"("timestamp":"2026-11-23T04:00:00.000000000Z","open_interest":"1200","quantity_unit":"quote",)"
      R"("open_interest_value":"1200","contracts":"12"})");
  Symbol linear = symbol_of(*find_asset("BTC"), Kind::perpetual, "USDT", {2, 1, 2});
  EXPECT_EQ(quantity_text(linear, 125), "0.0125") << "1.25 contracts of 0.01 coins";
  EXPECT_EQ(contracts_text(linear, 125), "1.25");
}

TEST(LedgerLines, WriteDecimalsPlainly) {
  EXPECT_EQ(plain_decimal(-1'234'500, 7), "-0.12345");
  EXPECT_EQ(plain_decimal(0, 5), "0");
  EXPECT_EQ(plain_decimal(1200, 0), "1200");
  EXPECT_EQ(without_zeros("0.00010000"), "0.0001");
  EXPECT_EQ(without_zeros("100"), "100");
  EXPECT_EQ(without_zeros("5.000"), "5");
}

}  // namespace
}  // namespace mp::sim
