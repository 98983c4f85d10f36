#pragma once
// Binance's bytes as values: one websocket frame or one REST body in, fields out. No state beyond reused buffers,
// no knowledge of what came before; what follows from it is decided in publisher.cpp and conversation.cpp.

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "feed/selection.hpp"
#include "model/order_book.hpp"

namespace mp::binance {

// {"e":"aggTrade","E":1790000000123,"s":"BTCUSDT","a":33,"p":"64250.1","q":"0.01","f":51,"l":52,"T":1790000000120,"m":false}
// {"e":"trade","E":…,"s":"BTCUSDT","t":51,"p":"64250.1","q":"0.01","T":…,"m":true}   futures: and "X":"MARKET"
struct TradeFrame {
  bool aggregated = false;
  std::uint64_t id = 0;
  std::uint64_t first_id = 0;  // aggregated only
  std::uint64_t last_id = 0;
  Price price;
  Quantity quantity;
  WallTime time;
  bool buyer_is_maker = false;
  // False for the futures' insurance fund, ADL and NA rows: their ids are used up, they are no public trades.
  bool on_tape = true;
};

// {"e":"depthUpdate","E":…,"s":"BTCUSDT","U":157,"u":160,"b":[["64250.1","3"]],"a":[]}   futures: and "T", "pu"
struct DepthFrame {
  std::uint64_t first_id = 0;
  std::uint64_t last_id = 0;
  std::optional<std::uint64_t> prev_id;
  WallTime time;  // T where there is one, else E
  std::vector<BookLevel> bids;
  std::vector<BookLevel> asks;
};

struct Frame {
  enum class Kind {
    trade,
    depth,
    answer,    // {"result":null,"id":7}
    error,     // {"code":2,"msg":"…"} or {"error":{"code":2,"msg":"…"},"id":7}
    shutdown,  // {"e":"serverShutdown","E":…}: open a replacement connection
    unmapped,  // a channel that gives no events; `channel` names it
  };
  Kind kind{};
  // Views of the frame or of the decoder's buffers: good until the next call.
  std::string_view stream;  // "" when the connection is not a combined one
  std::string_view symbol;
  std::optional<std::int64_t> st;  // 1 USD-M, 2 COIN-M
  TradeFrame trade;
  DepthFrame depth;
  std::optional<std::uint64_t> request_id;
  std::int64_t error_code = 0;
  std::string_view error_message;
  std::string channel;
};

// {"lastUpdateId":160,"bids":[["64250.1","3"]],"asks":[]}   futures: and "E", "T"
struct DepthReply {
  std::int64_t last_update_id = 0;  // -1: the book of a brand-new symbol
  std::optional<WallTime> time;     // T, else E
  std::vector<BookLevel> bids;
  std::vector<BookLevel> asks;
};

// One entry of exchangeInfo's `symbols`.
struct SymbolInfo {
  std::string symbol{};
  std::string status{};
  std::string base_asset{};
  std::string quote_asset{};
  std::string margin_asset{};   // futures
  std::string contract_type{};  // futures; "" while pending
  std::optional<WallTime> delivery_date{};
  std::optional<Price> tick_size{};
  std::optional<Quantity> step_size{};
  std::optional<std::int64_t> st{};
};
struct ExchangeInfo {
  std::vector<SymbolInfo> symbols;
  std::vector<std::pair<Error, std::string>> unreadable;  // entries that could not be read: why, and their text
};

class Decoder {
 public:
  Decoder();
  ~Decoder();
  Decoder(Decoder&&) noexcept;

  // `padded`: with RawRecord::kFramePadding readable bytes behind it. The frame is the decoder's own: what is in it
  // may be moved away, and is gone with the next call.
  Result<Frame*> frame(std::string_view padded);
  Result<DepthReply> depth(std::string_view padded);
  // [{"symbol":"BTCUSDT","quoteVolume":"15245.10",…}]: what each symbol turned over in 24 hours, in quote units.
  Result<std::vector<InstrumentVolume>> volumes(std::string_view padded);
  Result<ExchangeInfo> exchange_info(std::string_view padded);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Milliseconds, or microseconds when the connection was asked for them: told apart by their size.
Result<WallTime> time_of(std::int64_t value);

// "btcusdt@depth@100ms" -> "depth@100ms"; all-market streams keep their whole name.
std::string_view channel_of(std::string_view stream);

}  // namespace mp::binance
