#pragma once
// Stream names and where they may be subscribed.

#include <optional>
#include <string>
#include <string_view>

#include "base/time.hpp"
#include "sim/binance/listing.hpp"

namespace mp::sim::binance {

enum class StreamType : std::uint8_t {
  trade,
  agg_trade,
  depth,
  partial_depth,
  book_ticker,
  kline,
  ticker,
  mark_price,
  force_order
};

// What a name means. Names are lower case, as on the venue: "btcusdt@depth@100ms".
struct Stream {
  StreamType type{};
  std::string symbol;  // upper case, as in messages; "" for all (!forceOrder@arr)
  Nanos interval{};    // of depth, partial depth, kline, ticker and mark price
  int levels = 0;      // of partial depth
  std::string candle;  // "1m", of kline
};

// Nothing for names that this simulation does not know: the venue acknowledges such a subscription and then
// stays silent.
std::optional<Stream> parse_stream(Section section, std::string_view name);

// USD-M's websocket is split: each stream is served by one of the two paths, and silent on the other.
// Spot's has one path.
enum class Route : std::uint8_t { spot, usdm_public, usdm_market };
inline Section section_of(Route route) { return route == Route::spot ? Section::spot : Section::usdm; }
// The route that serves a stream of this name, by the part behind the symbol alone (a play-back has names
// that the simulation itself does not serve).
Route route_of(Section section, std::string_view name);

}  // namespace mp::sim::binance
