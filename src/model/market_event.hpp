#pragma once
// The closed set of what flows over the bus. Handle it with std::visit and no catch-all, so that the
// compiler names every place that a new data type must touch.

#include <variant>

#include "model/derivatives.hpp"
#include "model/order_book.hpp"
#include "model/reports.hpp"
#include "model/trade.hpp"

namespace mp {

using MarketEvent = std::variant<OrderBook, OrderBookDelta, Trade, FundingRate, OpenInterest, Liquidation,
                                 LsrTopPosition, LsrAllAccount, VolatilityIndex, Gap, Rejected, Instrument>;
static_assert(std::variant_size_v<MarketEvent> == kDataTypeCount);

inline DataType type_of(const MarketEvent& event) {
  return std::visit([](const auto& e) { return e.kType; }, event);
}
inline const EventMeta& meta_of(const MarketEvent& event) {
  return std::visit([](const auto& e) -> const EventMeta& { return e.meta; }, event);
}
inline EventMeta& meta_of(MarketEvent& event) {
  return std::visit([](auto& e) -> EventMeta& { return e.meta; }, event);
}

}  // namespace mp
