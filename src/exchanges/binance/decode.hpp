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

// {"e":"markPriceUpdate","E":…,"s":"BTCUSDT","p":"64251.12","i":"64249.88","P":"…","r":"0.0001","T":1790006400000}
// and an entry of GET premiumIndex, which tells the same under longer names.
struct MarkPriceRow {
  std::string_view symbol;
  std::optional<std::int64_t> st;
  std::optional<Price> mark;
  std::optional<Price> index;
  // Absent ("" and 0) for contracts that are delivered: they have no funding.
  std::optional<Ratio> rate;  // that will be charged at funding_time if nothing changes
  std::optional<WallTime> funding_time;
  std::optional<WallTime> time;
};
// {"e":"forceOrder","E":…,"o":{"s":"BTCUSDT","S":"SELL","q":"0.014","p":"63910","ap":"64010.2","X":"FILLED",
//  "l":"0.014","z":"0.014","T":…}}
struct LiquidationFrame {
  Side side{};  // of the liquidation order: sell closes a long
  Quantity quantity;
  std::optional<Price> price;    // of the order; none where there is no limit (0)
  std::optional<Price> average;  // none while nothing is filled (0)
  std::optional<Quantity> filled;
  std::string_view status;
  WallTime time;
};

// A field that our tables do not know: counted, told once, and otherwise ignored.
struct UnknownField {
  const char* where;  // "aggTrade", "exchangeInfo"
  std::string_view name;
};

// Rows of a list; one that cannot be read does not cost the others: why, and its text.
template <class Row>
struct Rows {
  std::vector<Row> rows;
  std::vector<std::pair<Error, std::string_view>> unreadable;
};

struct Frame {
  enum class Kind {
    trade,
    depth,
    mark_price,
    liquidation,
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
  Rows<MarkPriceRow> mark_prices;  // one, or those of all symbols (!markPrice@arr)
  LiquidationFrame liquidation;
  std::optional<std::uint64_t> request_id;
  std::int64_t error_code = 0;
  std::string_view error_message;
  std::string channel;
  std::vector<UnknownField> unknown_fields;
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

// One entry of fundingInfo, which lists only symbols that are not charged as usual.
struct FundingInfoRow {
  std::string_view symbol;
  std::optional<Decimal> hours;
};
// One entry of fundingRate: what was charged.
struct SettledFundingRow {
  std::string_view symbol;
  std::optional<Ratio> rate;
  std::optional<Price> mark;
  std::string_view rate_type;  // Regular, Special; "" before July 2026
  WallTime funding_time;
};
// {"openInterest":"10659.509","symbol":"BTCUSDT","time":1790000000000}
struct OpenInterestRow {
  std::string_view symbol;
  Quantity quantity;  // base units
  WallTime time;
};
// {"symbol":"A","longShortRatio":"1.4342","longAccount":"0.5892","shortAccount":"0.4108","timestamp":1790000100000}
// The names are the same whoever's ratio it is: `longAccount` is a share of positions in topLongShortPositionRatio.
struct RatioRow {
  std::string_view symbol;
  Ratio ratio;  // long / short
  std::optional<Ratio> long_share;
  std::optional<Ratio> short_share;
  WallTime time;
};

// What we have sent: {"method":"SUBSCRIBE","params":["btcusdt@aggTrade"],"id":7}
struct RequestFrame {
  enum class Method { subscribe, unsubscribe } method{};
  std::vector<std::string_view> streams;
  std::uint64_t id = 0;
};

// Everywhere `padded`: with RawRecord::kFramePadding readable bytes behind it. What is returned may hold views of it
// and of the decoder's buffers, good until the next call.
class Decoder {
 public:
  Decoder();
  ~Decoder();
  Decoder(Decoder&&) noexcept;

  // The frame is the decoder's own: what is in it may be moved away, and is gone with the next call.
  Result<Frame*> frame(std::string_view padded);

  // Nothing for any other request.
  std::optional<RequestFrame> request(std::string_view padded);

  Result<DepthReply> depth(std::string_view padded);
  // [{"symbol":"BTCUSDT","quoteVolume":"15245.10",…}]: what each symbol turned over in 24 hours, in quote units.
  Result<std::vector<InstrumentVolume>> volumes(std::string_view padded);
  Result<ExchangeInfo> exchange_info(std::string_view padded);
  Result<Rows<FundingInfoRow>> funding_info(std::string_view padded);
  Result<Rows<SettledFundingRow>> settled_funding(std::string_view padded);  // in the order of the answer
  Result<Rows<MarkPriceRow>> premium_index(std::string_view padded);         // one object, or a list of all
  Result<OpenInterestRow> open_interest(std::string_view padded);
  // Any of the long/short ratios: whose, only the url tells.
  Result<Rows<RatioRow>> ratios(std::string_view padded);

  // Fields that the last call of a REST answer met and does not know.
  const std::vector<UnknownField>& unknown_fields() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Milliseconds, or microseconds when the connection was asked for them: told apart by their size.
Result<WallTime> time_of(std::int64_t value);

// "btcusdt@depth@100ms" -> "depth@100ms"; all-market streams keep their whole name.
std::string_view channel_of(std::string_view stream);

}  // namespace mp::binance
