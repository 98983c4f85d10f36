#include "sim/market/market.hpp"

#include <gmock/gmock.h>

#include <map>

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

}  // namespace
}  // namespace mp::sim
