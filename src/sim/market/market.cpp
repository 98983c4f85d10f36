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

}  // namespace

Market::Market(std::vector<Symbol> symbols, const MarketOptions& options) : now_(whole_milliseconds(options.start)) {
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
    states_.push_back(std::move(state));
  }
  group_ids_.assign(static_cast<std::size_t>(groups), id);
  for (auto& state : states_) fill_book(state);
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
    for (std::size_t i = 0; i < (kMinLevels + kMaxLevels) / 2 && price >= 1; ++i) {
      const auto distance = std::abs(price - state.fair);
      state.book.set(side, price, draw_quantity(state, distance));
      price = worse(side, price, state.random.between(1, 2 * state.symbol.gap - 1));
    }
  }
}

void Market::start_schedule() {
  for (std::uint32_t i = 0; i < states_.size(); ++i) {
    auto& state = states_[i];
    const auto phase = state.random.below(state.depth_interval.count());
    schedule_.push_back({now_ + Nanos{phase}, i, Slot::depth});
    schedule_.push_back({now_ + wait_after(state, Slot::trade), i, Slot::trade});
  }
  std::make_heap(schedule_.begin(), schedule_.end(), std::greater<>{});
}

Nanos Market::wait_after(State& state, Slot slot) {
  if (slot == Slot::depth) return state.depth_interval;
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
  const bool level_is_gone = take_level(index, from, sink);
  if (level_is_gone && state.random.percent(20)) take_level(index, from, sink);
}

// Takes part or all of the best level, in one to three fills; true when the level is gone.
bool Market::take_level(std::size_t index, Side from, MarketSink& sink) {
  State& state = states_[index];
  Random& random = state.random;
  const Level best = state.book.best(from);
  const auto roll = random.below(100);
  const std::int64_t quantity = roll < 60   ? 1 + random.below(best.quantity)
                                : roll < 85 ? 1 + random.below(best.quantity / 10 + 1)
                                            : best.quantity;

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
  sink.traded(index, trade, fills_);
  change(index, from, {best.price, best.quantity - quantity}, sink);
  return best.quantity == quantity;
}

// --- maker orders

void Market::quote(std::size_t index, MarketSink& sink) {
  State& state = states_[index];
  Random& random = state.random;
  const auto& symbol = state.symbol;
  state.fair = std::clamp(state.fair + random.between(-symbol.gap, symbol.gap), symbol.start_price * 7 / 10,
                          symbol.start_price * 13 / 10);

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
  if (state.book.size(side) < 100) return;
  const Level level = state.book.level(side, static_cast<std::size_t>(random.below(std::int64_t{1} << random.below(7))));
  const bool whole = level.quantity == 1 || random.percent(50);
  change(index, side, {level.price, whole ? 0 : 1 + random.below(level.quantity - 1)}, sink);
}

// Far away orders come and go so that the number of levels stays between its bounds.
void Market::keep_depth(std::size_t index, Side side, MarketSink& sink) {
  State& state = states_[index];
  const auto count = state.book.size(side);
  const Level far = state.book.farthest(side);
  if (count > kMaxLevels) {
    change(index, side, {far.price, 0}, sink);
  } else if (count < kMinLevels) {
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
