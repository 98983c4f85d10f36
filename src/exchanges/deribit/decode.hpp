#pragma once
// Deribit's bytes as values: one JSON-RPC frame or one REST body in, fields out. No state beyond reused buffers, no
// knowledge of what came before; what follows from it is decided in publisher.cpp and conversation.cpp.
//
// Deribit writes prices and amounts as JSON numbers (64250.0, 6.55e-6). Their text is cut out of the message and parsed
// as a decimal: no number of the venue ever is a double here.

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/order_book.hpp"
#include "model/reports.hpp"

namespace mp::deribit {

// {"type":"change","timestamp":1790000000200,"instrument_name":"BTC-PERPETUAL","prev_change_id":9001,"change_id":9004,
//  "bids":[["change",64250.0,9000.0],["delete",64249.5,0.0]],"asks":[]}
struct BookFrame {
  bool snapshot = false;  // type "snapshot"; recordings of 2019 lack `type`: then no prev_change_id
  std::uint64_t change_id = 0;
  std::optional<std::uint64_t> prev_change_id;  // never of a snapshot (some carry one that chains to nothing)
  WallTime time;
  std::vector<BookLevel> bids;  // absolute amounts; "delete" has become 0, whatever amount stood beside it
  std::vector<BookLevel> asks;
};

// {"trade_seq":300123,"trade_id":"412345678","timestamp":1790000000123,"tick_direction":1,"price":64250.5,
//  "mark_price":64249.9,"instrument_name":"BTC-PERPETUAL","index_price":64248.1,"direction":"sell","contracts":120.0,
//  "amount":1200.0}
struct TradeRow {
  // Who was liquidated in it. `unknown`: a value that is none of T, M, MT; whose order it was cannot be told.
  enum class Liquidated { none, taker, maker, both, unknown };
  std::string_view instrument;
  std::uint64_t seq = 0;  // contiguous per instrument
  std::string_view id;    // unique per currency: "412345678", "ETH-284830839"
  WallTime time;
  Price price;
  Quantity amount;                     // USD for inverse futures, else base coins
  std::optional<Contracts> contracts;  // may be missing in old ones
  Side side{};                         // `direction`: the taker's
  Liquidated liquidated = Liquidated::none;
  std::string_view liquidation;     // the venue's word, "" when there is none
  std::string_view block_trade_id;  // "" when it was not a block trade
  std::string_view combo_id;        // "" when it is no leg of a combo trade
  bool has_legs = false;            // the combo's own trade; its legs come under their instruments too
};

struct TradesFrame {
  std::vector<TradeRow> rows;
  std::vector<std::pair<Error, std::string>> unreadable;  // rows that could not be read: why, and their text
};

// {"timestamp":…,"state":"open","instrument_name":"BTC-PERPETUAL","open_interest":1132329370.0,"mark_price":92281.78,
//  "index_price":92263.55,"current_funding":0.0,"funding_8h":0.00001742,…}
struct TickerFrame {
  WallTime time;
  std::string_view state;
  std::optional<Quantity> open_interest;  // USD for inverse futures, else base coins
  std::optional<Ratio> current_funding;   // perpetuals: the rate now, per 8 hours
  std::optional<Price> mark_price;
  std::optional<Price> index_price;
};

// {"timestamp":1790000000000,"volatility":47.36,"index_name":"btc_usd"}: percent per year
struct VolatilityFrame {
  WallTime time;
  Ratio volatility;
  std::string_view index_name;
};

// instrument.state.*: {"timestamp":…,"state":"started","instrument_name":"BTC-25DEC26"}
struct InstrumentStateFrame {
  WallTime time;
  std::string_view state;
};

// platform_state: {"price_index":"btc_usd","locked":true}
struct PlatformStateFrame {
  std::string_view price_index;
  bool locked = false;
};

struct Frame {
  enum class Kind {
    book,
    trades,
    ticker,
    volatility,
    instrument_state,
    platform_state,
    heartbeat,
    test_request,  // wants public/test at once, else the connection is closed
    answer,        // {"id":5,"result":…}
    error,         // {"id":5,"error":{"code":10028,"message":"too_many_requests"}}
    unmapped,      // a channel that gives no events; `channel` names it
  };
  Kind kind{};
  // Views are of the frame or of the decoder's buffers: good until the next call.
  std::string_view channel;     // whole: "book.BTC-PERPETUAL.100ms"; of an unmapped frame: what it is
  std::string_view instrument;  // of book, ticker, instrument_state
  BookFrame book;
  TradesFrame trades;
  TickerFrame ticker;
  VolatilityFrame volatility;
  InstrumentStateFrame instrument_state;
  PlatformStateFrame platform_state;
  std::optional<std::uint64_t> request_id;
  bool result_is_list = false;                 // of names: an answer to subscribe or unsubscribe
  std::vector<std::string_view> result_names;  // the channels that were subscribed or removed
  std::optional<std::int64_t> expires_in;      // public/auth: seconds that the login lives
  std::int64_t error_code = 0;
  std::string_view error_message;
  // Fields of a mapped message that we do not know, for a warning: "ticker.new_field". Almost always empty.
  std::vector<std::string_view> unknown_fields;
};

// One entry of get_instruments.
struct InstrumentInfo {
  enum class Kind { spot, future, option, combo };
  std::string name{};
  Kind kind{};
  std::string base{};
  std::string quote{};    // the currency of the price: BTC for inverse options
  std::string counter{};  // the currency of strike and index: USD for them; "" before 2022
  std::string settlement{};
  // Inverse ("reversed"): futures then count in USD. Nothing before 2022.
  std::optional<bool> inverse{};
  bool perpetual = false;
  std::optional<WallTime> expiry{};  // nothing for spot and perpetuals
  std::optional<Price> strike{};
  std::optional<OptionRight> right{};
  Decimal contract_size{Decimal::from_parts(1, 0)};
  std::optional<Price> tick_size{};  // the finest; steps above a price are coarser
  std::optional<Quantity> least_amount{};
  std::string state{};  // `state` where there is one, else "open" or "closed" from is_active
};
struct InstrumentList {
  std::vector<InstrumentInfo> instruments;
  std::vector<std::pair<Error, std::string>> unreadable;  // entries that could not be read: why, and their text
};

// get_order_book: the book at `change_id`, of the same count as the channel's.
inline constexpr int kAuditDepth = 1000;  // as asked for; 1, 5, 10, 20, 50, 100, 1000, 10000 may be
struct RestBook {
  WallTime time;
  std::uint64_t change_id = 0;
  std::vector<BookLevel> bids;
  std::vector<BookLevel> asks;
};

// One row of get_volatility_index_data.
struct VolatilityBar {
  WallTime time;
  Ratio open, high, low, close;
};
struct VolatilityHistory {
  std::vector<VolatilityBar> bars;           // as they come: newest page first, each page ascending
  std::optional<std::int64_t> continuation;  // milliseconds: end_timestamp of the next, older page
};

// One row of get_funding_rate_history.
struct FundingRow {
  WallTime time;      // the end of the hour
  Ratio interest_1h;  // charged in that hour
  std::optional<Price> index_price;
};

// One row of get_book_summary_by_currency: what a choice by volume needs.
struct SummaryRow {
  std::string name;
  std::optional<Decimal> volume_usd;
};

// What we have sent: {"id":5,"method":"public/subscribe","params":{"channels":["trades.BTC-PERPETUAL.100ms"]}}
struct RequestFrame {
  enum class Method { subscribe, unsubscribe } method{};
  std::vector<std::string_view> channels;
  std::uint64_t id = 0;
};

class Decoder {
 public:
  Decoder();
  ~Decoder();
  Decoder(Decoder&&) noexcept;

  // `padded`: with RawRecord::kFramePadding readable bytes behind it. The frame is the decoder's own: what is in it
  // may be moved away, and is gone with the next call.
  Result<Frame*> frame(std::string_view padded);
  // Nothing for any other request.
  std::optional<RequestFrame> request(std::string_view padded);
  // The bodies of REST answers: {"jsonrpc":"2.0","result":…}. An error answer is Errc::refused with code and message.
  Result<InstrumentList> instruments(std::string_view padded);  // get_instruments, get_instrument
  Result<RestBook> order_book(std::string_view padded);         // get_order_book
  Result<VolatilityHistory> volatility_history(std::string_view padded);
  Result<std::vector<FundingRow>> funding_history(std::string_view padded);
  Result<std::vector<SummaryRow>> summaries(std::string_view padded);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// "book.BTC-PERPETUAL.100ms" -> "book"; "book.BTC-PERPETUAL.none.10.100ms" -> "book (grouped)".
std::string_view channel_family(std::string_view channel);
// The part behind the family, instruments and indexes have no dots: "BTC-PERPETUAL"; "" when there is none.
std::string_view channel_subject(std::string_view channel);

}  // namespace mp::deribit
