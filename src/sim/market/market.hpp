#pragma once
// The market model: books, order flow and trades of many symbols as a function of (symbols, seed, start
// time, rate) and nothing else. It knows no venue, no clock and no socket.
//
// The flow is a schedule of slots per symbol. A trade slot is one taker order that hits the best level
// (rarely two): one aggregated trade per level hit. A depth slot is a handful of orders placed and cancelled,
// then a call of depth_due(): the moment at which a venue would publish what changed since the last one.
// At `rate` messages a second half of the slots are trades and half are depth updates. Depth slots come
// at most every 100 ms per symbol while the rate is low; when half of the rate is more than ten a second for every
// symbol, the rest goes to the symbols by weight, as the trades do.
//
// Instruments of one coin move together: the first spot book of a base (else the first perpetual, else the first
// future) leads, its middle is the coin's index, and the fair prices of the others are drawn to the index and their
// premium. Every second a derivative has a beat of its own (derivative.hpp), which does not count as a message. After a
// move of the price some of the taker orders in its direction are liquidations.

#include <cstdint>
#include <span>
#include <vector>

#include "base/decimal.hpp"
#include "base/time.hpp"
#include "sim/market/book.hpp"
#include "sim/market/derivative.hpp"
#include "sim/market/random.hpp"
#include "sim/market/symbol.hpp"

namespace mp::sim {

struct Fill {
  std::uint64_t id = 0;
  std::int64_t quantity = 0;  // lots
};

// Whose order in a trade was a liquidation.
enum class Liquidated : std::uint8_t { nobody, taker, maker, both };

// What one taker order took from one level: fills first_fill … last_fill, all at one price.
struct Trade {
  std::uint64_t id = 0;
  std::uint64_t first_fill = 0;
  std::uint64_t last_fill = 0;
  std::int64_t price = 0;       // ticks
  std::int64_t quantity = 0;    // lots
  bool buyer_is_maker = false;  // the taker sold
  WallTime time;                // whole milliseconds
  Liquidated liquidated{};
};

// Since the simulation began.
struct Session {
  std::int64_t open = 0, high = 0, low = 0, last = 0;  // ticks
  std::int64_t last_quantity = 0;                      // lots
  int128 volume = 0;                                   // lots
  int128 turnover = 0;                                 // ticks × lots
  std::uint64_t trades = 0;
  std::uint64_t first_fill = 0, last_fill = 0;
};

struct MarketSink {
  virtual ~MarketSink() = default;
  // The level's quantity is now `quantity` (0: gone).
  virtual void changed(std::size_t symbol, Side side, const Level& level, std::uint64_t update_id) = 0;
  virtual void traded(std::size_t symbol, const Trade& trade, std::span<const Fill> fills) = 0;
  virtual void depth_due(std::size_t symbol, WallTime time) = 0;
  // A trade id was used up without a trade.
  virtual void voided(std::size_t, std::uint64_t /*fill*/, WallTime) {}
  // A derivative's second is over: market.derivative(symbol) is new.
  virtual void beat(std::size_t /*symbol*/, WallTime) {}
};

struct MarketOptions {
  std::uint64_t seed = 1;
  WallTime start;
  int rate = 250;  // aggregated trades and depth updates a second, all symbols together
};

class Market {
 public:
  static constexpr int kMaxRate = 100'000;
  static constexpr std::size_t kMinLevels = 1100;  // per side, once the price leaves room for them
  static constexpr std::size_t kMaxLevels = 1300;

  Market(std::vector<Symbol> symbols, const MarketOptions& options);

  // When something next happens.
  WallTime next_event() const { return schedule_.front().at; }
  // Lets everything up to and including `until` happen, `limit` slots at most; false when some are left.
  bool advance(WallTime until, std::size_t limit, MarketSink& sink);

  std::size_t size() const { return states_.size(); }
  const Symbol& symbol(std::size_t i) const { return states_[i].symbol; }
  const Book& book(std::size_t i) const { return states_[i].book; }
  // Of the last change of this symbol's book.
  std::uint64_t last_update_id(std::size_t i) const { return states_[i].last_update_id; }
  WallTime last_change(std::size_t i) const { return states_[i].last_change; }
  const Session& session(std::size_t i) const { return states_[i].session; }
  WallTime start() const { return start_; }

  // Of anything but spot.
  const Derivative& derivative(std::size_t i) const { return states_[i].derivative; }
  // Of the symbol's coin, 10^-10 of the quote; a spot book's is its own middle.
  std::int64_t index(std::size_t i) const;
  // 10^-10 of the quote.
  std::int64_t middle(std::size_t i) const;
  // In ten-thousandths, of the five minutes that begin at `period`.
  std::int64_t long_share(std::size_t i, Holders holders, WallTime period) const {
    return sim::long_share(states_[i].ratio_seed, holders, period);
  }

 private:
  struct State {
    Symbol symbol;
    Random random{0};
    Book book;
    std::int64_t fair = 0;  // ticks; where the price is drawn to
    std::uint64_t own_update_id = 0;
    std::uint64_t last_update_id = 0;
    std::uint64_t next_trade_id = 0;
    std::uint64_t next_fill_id = 0;
    WallTime last_change;
    Nanos depth_interval{};
    Nanos trade_interval{};  // on average
    std::int64_t quotes_per_depth = 1;
    std::size_t min_levels = kMinLevels, max_levels = kMaxLevels;

    int leader = -1;  // whose middle gives the index; -1: nobody's
    Derivative derivative;
    std::uint64_t ratio_seed = 0;
    std::int64_t slow_price = 0;  // ticks × 512, of the sum of both best prices: where the price was
    Session session;
  };
  enum class Slot : std::uint8_t { depth, trade, beat };
  struct Entry {
    WallTime at;
    std::uint32_t symbol = 0;
    Slot slot{};
    bool operator>(const Entry& other) const {
      if (at != other.at) return at > other.at;
      if (symbol != other.symbol) return symbol > other.symbol;
      return slot > other.slot;
    }
  };

  void share_rate(int rate);
  void fill_book(State& state);
  void find_leaders();
  void start_derivatives(Random& seeds);
  void start_schedule();
  Nanos wait_after(State& state, Slot slot);

  void take(std::size_t index, MarketSink& sink);
  bool take_level(std::size_t index, Side from, Liquidated liquidated, MarketSink& sink);
  Liquidated draw_liquidation(State& state, Side from);
  void note_trade(State& state, const Trade& trade);
  void walk_fair(std::size_t index);
  void beat(std::size_t index, MarketSink& sink);
  void quote(std::size_t index, MarketSink& sink);
  void narrow_spread(std::size_t index, MarketSink& sink);
  void place(std::size_t index, Side side, MarketSink& sink);
  void cancel(std::size_t index, Side side, MarketSink& sink);
  void keep_depth(std::size_t index, Side side, MarketSink& sink);
  void change(std::size_t index, Side side, Level level, MarketSink& sink);

  std::uint64_t next_update_id(State& state);
  std::int64_t draw_quantity(State& state, std::int64_t distance);
  bool fair_is_above(const State& state) const;

  std::vector<State> states_;
  std::vector<Entry> schedule_;  // a heap, earliest first
  std::vector<std::uint64_t> group_ids_;
  std::vector<Fill> fills_;  // of the trade being made; kept for its memory
  WallTime start_, now_;
};

}  // namespace mp::sim
