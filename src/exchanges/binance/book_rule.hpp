#pragma once
// Does a depth update continue a book? Binance's own rules ("How to manage a local order book correctly", spot and
// USD-M, checked 2026-07): ids in, verdict out.

#include <cstdint>

#include "exchanges/binance/market.hpp"
#include "feed/kept_book.hpp"

namespace mp::binance {

// Of a depth update: BookIds{U, u, pu}; only futures have pu.

enum class Continuation {
  apply,
  old,  // the book has it already: drop it
  gap,  // something between the book and this update is missing
};

// `book`: the book's last update id. `bridged`: an update has been applied since the snapshot.
// Spot: U..u counts up without holes; an update that overlaps the book is right, quantities being absolute.
constexpr Continuation continue_spot(std::uint64_t book, const BookIds& update) {
  if (update.last <= book) return Continuation::old;
  return update.first <= book + 1 ? Continuation::apply : Continuation::gap;
}

// USD-M: ids are shared by all symbols, so only `pu` (the previous update's `u`) proves continuity. The first update
// after a snapshot holds the snapshot's id inside U..u (its end included), or follows it exactly: pu == snapshot id.
constexpr Continuation continue_derivatives(std::uint64_t book, bool bridged, const BookIds& update) {
  if (update.prev == book) return Continuation::apply;
  if (bridged) return update.last <= book ? Continuation::old : Continuation::gap;
  if (update.last < book) return Continuation::old;
  return update.first <= book ? Continuation::apply : Continuation::gap;
}

constexpr Continuation continues(Market market, std::uint64_t book, bool bridged, const BookIds& update) {
  return market == Market::spot ? continue_spot(book, update) : continue_derivatives(book, bridged, update);
}

// Do two updates of the stream follow each other?
constexpr bool follows(Market market, std::uint64_t last_of_first, const BookIds& second) {
  return market == Market::spot ? second.first == last_of_first + 1 : second.prev == last_of_first;
}

}  // namespace mp::binance
