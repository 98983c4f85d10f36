#include "sim/market/market.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <functional>
#include <numeric>

namespace mp::sim {
namespace {

using namespace std::chrono_literals;

constexpr std::int64_t kWidestSpread = 3;  // ticks; a wider one is narrowed by the next order
constexpr std::int64_t kMinQuotes = 3;     // placed or cancelled orders per depth slot
constexpr std::int64_t kMaxQuotes = 20;

// Ids start at the milliseconds since 2020 times a thousand: a later start begins above everything that an earlier
// one can have reached (at the highest rate some 250 update ids are used in a millisecond).
std::uint64_t first_id(WallTime start) {
  constexpr WallTime k2020{std::chrono::sys_days{std::chrono::year{2020} / 1 / 1}};
  const auto ms = std::chrono::floor<std::chrono::milliseconds>(start - k2020).count();
  return ms > 0 ? static_cast<std::uint64_t>(ms) * 1000 : 1;
}

// Waiting times of a Poisson process as thousandths of their mean, one of 1024 equally likely ones.
const std::array<std::int64_t, 1024>& waiting_times() {
  static const auto table = [] {
    std::array<std::int64_t, 1024> waits{};
    for (std::size_t i = 0; i < waits.size(); ++i)
      waits[i] = std::llround(-1000.0 * std::log((static_cast<double>(i) + 0.5) / 1024.0));
    return waits;
  }();
  return table;
}

WallTime whole_milliseconds(WallTime t) { return std::chrono::floor<std::chrono::milliseconds>(t); }

std::int64_t worse(Side side, std::int64_t price, std::int64_t distance) {
  return side == Side::bid ? price - distance : price + distance;
}

// One tick in 10^-10.
std::int64_t tick_value(const Symbol& symbol) {
  std::int64_t value = symbol.tick_units;
  for (int i = symbol.price_scale; i < kIndexScale; ++i) value *= 10;
  return value;
}

}  // namespace

Market::Market(std::vector<Symbol> symbols, const MarketOptions& options)
    : start_(whole_milliseconds(options.start)), now_(start_) {
  Random seeds(options.seed);
  const auto id = first_id(options.start);
  int groups = 0;
  for (auto& symbol : symbols) {
    State state;
    groups = std::max(groups, symbol.id_group + 1);
    state.symbol = std::move(symbol);
    state.random = Random(seeds.next());
    state.fair = state.symbol.start_price;
    state.own_update_id = state.last_update_id = id;
    state.next_trade_id = state.next_fill_id = id;
    state.last_change = now_;
    state.min_levels = static_cast<std::size_t>(state.symbol.levels * 11 / 12);
    state.max_levels = static_cast<std::size_t>(state.symbol.levels * 13 / 12);
    state.session.open = state.session.high = state.session.low = state.session.last = state.symbol.start_price;
    state.session.last_quantity = 1;
    states_.push_back(std::move(state));
  }
  group_ids_.assign(static_cast<std::size_t>(groups), id);
  find_leaders();
  for (auto& state : states_) fill_book(state);
  start_derivatives(seeds);
  share_rate(options.rate);
  start_schedule();
}

// Half of the messages are depth updates: evenly up to ten a second for each symbol, the rest by weight.
void Market::share_rate(int rate) {
  const auto count = static_cast<double>(states_.size());
  const double weights = std::accumulate(states_.begin(), states_.end(), 0.0,
                                         [](double sum, const State& s) { return sum + s.symbol.weight; });
  const double half = rate / 2.0;
  const double even = std::min(half / count, 10.0);
  for (auto& state : states_) {
    const double share = state.symbol.weight / weights;
    const double depths = even + (half - even * count) * share;
    state.depth_interval = Nanos{std::llround(1e9 / depths)};
    state.trade_interval = Nanos{std::llround(1e9 / (half * share))};
    state.quotes_per_depth = std::clamp<std::int64_t>(state.depth_interval / 5ms, kMinQuotes, kMaxQuotes);
  }
}

void Market::fill_book(State& state) {
  for (const Side side : {Side::bid, Side::ask}) {
    std::int64_t price = worse(side, state.fair, 1);
    for (std::size_t i = 0; i < (state.min_levels + state.max_levels) / 2 && price >= 1; ++i) {
      const auto distance = std::abs(price - state.fair);
      state.book.set(side, price, draw_quantity(state, distance));
      price = worse(side, price, state.random.between(1, 2 * state.symbol.gap - 1));
    }
  }
}

void Market::find_leaders() {
  const auto rank = [](const Symbol& s) { return s.kind == Kind::spot ? 0 : s.kind == Kind::perpetual ? 1 : 2; };
  for (auto& state : states_)
    for (std::size_t i = 0; i < states_.size(); ++i) {
      const Symbol& other = states_[i].symbol;
      if (other.base != state.symbol.base || other.kind == Kind::option) continue;
      if (state.leader < 0 || rank(other) < rank(states_[static_cast<std::size_t>(state.leader)].symbol))
        state.leader = static_cast<int>(i);
    }
}

void Market::start_derivatives(Random& seeds) {
  for (std::size_t i = 0; i < states_.size(); ++i) {
    State& state = states_[i];
    const auto seed = seeds.next();
    state.ratio_seed = seeds.next();
    state.slow_price = (state.book.best(Side::bid).price + state.book.best(Side::ask).price) * 512;
    if (state.symbol.kind != Kind::spot) state.derivative = Derivative(state.symbol, seed, now_, index(i));
  }
}

void Market::start_schedule() {
  for (std::uint32_t i = 0; i < states_.size(); ++i) {
    auto& state = states_[i];
    const auto phase = state.random.below(state.depth_interval.count());
    schedule_.push_back({now_ + Nanos{phase}, i, Slot::depth});
    schedule_.push_back({now_ + wait_after(state, Slot::trade), i, Slot::trade});
    if (state.symbol.kind != Kind::spot)
      schedule_.push_back({std::chrono::floor<std::chrono::seconds>(now_) + 1s, i, Slot::beat});
  }
  std::make_heap(schedule_.begin(), schedule_.end(), std::greater<>{});
}

Nanos Market::wait_after(State& state, Slot slot) {
  if (slot == Slot::depth) return state.depth_interval;
  if (slot == Slot::beat) return 1s;
  const auto thousandths = waiting_times()[static_cast<std::size_t>(state.random.below(1024))];
  return Nanos{std::max<std::int64_t>(1, state.trade_interval.count() * thousandths / 1000)};
}

bool Market::advance(WallTime until, std::size_t limit, MarketSink& sink) {
  for (; schedule_.front().at <= until; --limit) {
    if (limit == 0) return false;
    std::pop_heap(schedule_.begin(), schedule_.end(), std::greater<>{});
    Entry& entry = schedule_.back();
    auto& state = states_[entry.symbol];
    now_ = whole_milliseconds(entry.at);
    if (entry.slot == Slot::trade) {
      take(entry.symbol, sink);
    } else if (entry.slot == Slot::beat) {
      beat(entry.symbol, sink);
    } else {
      for (auto n = state.random.between(1, 2 * state.quotes_per_depth - 1); n > 0; --n) quote(entry.symbol, sink);
      sink.depth_due(entry.symbol, now_);
    }
    entry.at += wait_after(state, entry.slot);
    std::push_heap(schedule_.begin(), schedule_.end(), std::greater<>{});
  }
  return true;
}

// --- taker orders

void Market::take(std::size_t index, MarketSink& sink) {
  State& state = states_[index];
  const int buys = fair_is_above(state) ? 75 : 25;
  const Side from = state.random.percent(buys) ? Side::ask : Side::bid;
  const auto liquidated = draw_liquidation(state, from);
  const bool level_is_gone = take_level(index, from, liquidated, sink);
  if (level_is_gone && state.random.percent(20)) take_level(index, from, liquidated, sink);
}

// Orders in the direction of a move are the likelier to be liquidations the farther it went.
Liquidated Market::draw_liquidation(State& state, Side from) {
  const auto both = state.book.best(Side::bid).price + state.book.best(Side::ask).price;
  const auto move = both * 512 - state.slow_price;
  state.slow_price += move / 256;
  if (state.symbol.kind != Kind::perpetual && state.symbol.kind != Kind::future) return Liquidated::nobody;
  const bool with_the_move = (from == Side::ask) == (move > 0);
  const auto gaps = std::abs(move) / 1024 / state.symbol.gap;
  const auto roll = state.random.below(1000);
  if (!with_the_move || roll >= std::min<std::int64_t>(100, gaps * 2)) return Liquidated::nobody;
  if (!state.symbol.maker_liquidations) return Liquidated::taker;
  const auto kind = state.random.below(100);
  return kind < 85 ? Liquidated::taker : kind < 95 ? Liquidated::maker : Liquidated::both;
}

// Takes part or all of the best level, in one to three fills; true when the level is gone.
bool Market::take_level(std::size_t index, Side from, Liquidated liquidated, MarketSink& sink) {
  State& state = states_[index];
  Random& random = state.random;
  const Level best = state.book.best(from);
  const auto roll = random.below(100);
  const std::int64_t quantity = roll < 60   ? 1 + random.below(best.quantity)
                                : roll < 85 ? 1 + random.below(best.quantity / 10 + 1)
                                            : best.quantity;

  if (state.symbol.void_fills && random.percent(1)) sink.voided(index, state.next_fill_id++, now_);
  fills_.clear();
  const auto parts = random.below(100);
  std::int64_t rest = quantity;
  for (int left = parts < 70 ? 0 : parts < 90 ? 1 : 2; left > 0 && rest > 1; --left) {
    fills_.push_back({state.next_fill_id++, 1 + random.below(rest - 1)});
    rest -= fills_.back().quantity;
  }
  fills_.push_back({state.next_fill_id++, rest});

  Trade trade;
  trade.id = state.next_trade_id++;
  trade.first_fill = fills_.front().id;
  trade.last_fill = fills_.back().id;
  trade.price = best.price;
  trade.quantity = quantity;
  trade.buyer_is_maker = from == Side::bid;
  trade.time = now_;
  trade.liquidated = liquidated;
  note_trade(state, trade);
  sink.traded(index, trade, fills_);
  change(index, from, {best.price, best.quantity - quantity}, sink);
  return best.quantity == quantity;
}

void Market::note_trade(State& state, const Trade& trade) {
  Session& session = state.session;
  session.high = std::max(session.high, trade.price);
  session.low = std::min(session.low, trade.price);
  session.last = trade.price;
  session.last_quantity = trade.quantity;
  session.volume += trade.quantity;
  session.turnover += static_cast<int128>(trade.price) * trade.quantity;
  if (session.trades++ == 0) session.first_fill = trade.first_fill;
  session.last_fill = trade.last_fill;
  if (state.symbol.kind != Kind::spot) state.derivative.traded(trade.quantity, trade.time);
}

// --- prices of one coin

std::int64_t Market::middle(std::size_t i) const {
  const State& state = states_[i];
  return (state.book.best(Side::bid).price + state.book.best(Side::ask).price) * tick_value(state.symbol) / 2;
}

std::int64_t Market::index(std::size_t i) const {
  if (states_[i].leader < 0) return states_[i].symbol.start_index;
  const auto leader = static_cast<std::size_t>(states_[i].leader);
  if (states_[leader].symbol.kind == Kind::spot) return middle(leader);
  const auto premium = states_[leader].derivative.wanted_premium();
  return static_cast<std::int64_t>(static_cast<int128>(middle(leader)) * 1'000'000'000 / (1'000'000'000 + premium));
}

void Market::walk_fair(std::size_t i) {
  State& state = states_[i];
  const auto& symbol = state.symbol;
  state.fair += state.random.between(-symbol.gap, symbol.gap);
  if (state.leader >= 0 && static_cast<std::size_t>(state.leader) != i && symbol.kind != Kind::option) {
    const auto premium = symbol.kind == Kind::spot ? 0 : state.derivative.wanted_premium();
    const auto at = index(i);
    const auto wanted = at + static_cast<std::int64_t>(static_cast<int128>(at) * premium / 1'000'000'000);
    state.fair += (wanted / tick_value(symbol) - state.fair) / 2;
  }
  state.fair =
      std::clamp(state.fair, symbol.start_price * 7 / 10, std::max<std::int64_t>(symbol.start_price * 13 / 10, 4));
}

void Market::beat(std::size_t i, MarketSink& sink) {
  states_[i].derivative.beat(now_, index(i), middle(i));
  sink.beat(i, now_);
}

// --- maker orders

void Market::quote(std::size_t index, MarketSink& sink) {
  State& state = states_[index];
  Random& random = state.random;
  walk_fair(index);

  const auto spread = state.book.best(Side::ask).price - state.book.best(Side::bid).price;
  const Side side = random.percent(50) ? Side::bid : Side::ask;
  const auto roll = random.below(100);
  if (spread > kWidestSpread || (spread > 1 && roll < 15)) {
    narrow_spread(index, sink);
  } else if (roll < 55) {
    place(index, side, sink);
  } else {
    cancel(index, side, sink);
  }
  keep_depth(index, Side::bid, sink);
  keep_depth(index, Side::ask, sink);
}

// A better price on the side towards which the fair price pulls, one to three ticks from the other side.
void Market::narrow_spread(std::size_t index, MarketSink& sink) {
  State& state = states_[index];
  const Side side = fair_is_above(state) ? Side::bid : Side::ask;
  const auto other = state.book.best(opposite(side)).price;
  const auto spread = std::abs(other - state.book.best(side).price);
  const auto distance = state.random.between(1, std::min(kWidestSpread, spread - 1));
  change(index, side, {worse(side, other, distance), draw_quantity(state, 0)}, sink);
}

void Market::place(std::size_t index, Side side, MarketSink& sink) {
  State& state = states_[index];
  Random& random = state.random;
  const auto best = state.book.best(side).price;
  const auto distance = random.below(state.symbol.gap * (std::int64_t{4} << random.below(6)));
  const auto price = worse(side, best, distance);
  if (price < 1) return;
  const auto there = state.book.quantity_at(side, price);
  const auto more = draw_quantity(state, distance);
  // A level that has grown very large loses orders instead.
  const bool too_much = there > 40 * state.symbol.typical_quantity;
  change(index, side, {price, too_much ? there / 4 + 1 : there + more}, sink);
}

void Market::cancel(std::size_t index, Side side, MarketSink& sink) {
  State& state = states_[index];
  Random& random = state.random;
  const auto size = static_cast<std::int64_t>(state.book.size(side));
  if (size < 4 || size < state.symbol.levels / 12) return;
  const auto reach = std::min(std::int64_t{1} << random.below(7), size);
  const Level level = state.book.level(side, static_cast<std::size_t>(random.below(reach)));
  const bool whole = level.quantity == 1 || random.percent(50);
  change(index, side, {level.price, whole ? 0 : 1 + random.below(level.quantity - 1)}, sink);
}

// Far away orders come and go so that the number of levels stays between its bounds.
void Market::keep_depth(std::size_t index, Side side, MarketSink& sink) {
  State& state = states_[index];
  const auto count = state.book.size(side);
  const Level far = state.book.farthest(side);
  if (count > state.max_levels) {
    change(index, side, {far.price, 0}, sink);
  } else if (count < state.min_levels) {
    const auto price = worse(side, far.price, state.random.between(1, 2 * state.symbol.gap - 1));
    if (price < 1) return;
    const auto distance = std::abs(price - state.book.best(side).price);
    change(index, side, {price, draw_quantity(state, distance)}, sink);
  }
}

void Market::change(std::size_t index, Side side, Level level, MarketSink& sink) {
  State& state = states_[index];
  state.book.set(side, level.price, level.quantity);
  state.last_update_id = next_update_id(state);
  state.last_change = now_;
  sink.changed(index, side, level, state.last_update_id);
}

// --- small things

std::uint64_t Market::next_update_id(State& state) {
  if (state.symbol.id_group < 0) return ++state.own_update_id;
  // Between two of our changes other instruments of the venue may have changed.
  auto& id = group_ids_[static_cast<std::size_t>(state.symbol.id_group)];
  return id += static_cast<std::uint64_t>(state.random.between(1, 3));
}

// More is offered farther from the best price.
std::int64_t Market::draw_quantity(State& state, std::int64_t distance) {
  const auto steps = std::min<std::int64_t>(distance / (state.symbol.gap * 8), 8);
  const auto typical = state.symbol.typical_quantity * (2 + steps) / 2;
  return 1 + state.random.below(2 * typical);
}

bool Market::fair_is_above(const State& state) const {
  return 2 * state.fair > state.book.best(Side::bid).price + state.book.best(Side::ask).price;
}

}  // namespace mp::sim
