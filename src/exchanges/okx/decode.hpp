#pragma once
// OKX's bytes as values: one websocket frame or one REST body in, fields out. No state beyond reused buffers, no
// knowledge of instruments: sizes are as the venue wrote them (contracts, or base units of spot), and what they
// mean is decided in publisher.cpp.
//
// Wire format: OKX API v5 documentation, "WebSocket" and "Public Data" (https://www.okx.com/docs-v5/en/, as of
// 2026-08-22), and recorded sessions of 2022. All numbers and times are strings, except seqId, prevSeqId and
// checksum; a string may be empty where there is nothing to say.

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/derivatives.hpp"
#include "model/order_book.hpp"

namespace mp::okx {

// A level's texts as received: the book's checksum is over these, trailing zeros included.
struct LevelText {
  std::string_view price;
  std::string_view size;
};

// {"asks":[["64250.2","7","0","2"]],"bids":[],"ts":"1790000000123","checksum":0,"seqId":15,"prevSeqId":10}
struct BookRow {
  // Absent in messages before 2023; the REST answer has only seq_id.
  std::optional<std::int64_t> seq_id;
  std::optional<std::int64_t> prev_seq_id;  // -1 in a snapshot
  std::optional<std::int64_t> checksum;     // 0 since 2026-06-23: says nothing
  WallTime time;
  std::vector<BookLevel> bids;  // the quantity is the venue's size, not converted yet
  std::vector<BookLevel> asks;
  std::vector<LevelText> bid_texts;  // as bids, asks; views of the frame
  std::vector<LevelText> ask_texts;
};

// {"instId":"BTC-USDT-SWAP","tradeId":"130","px":"64250.1","sz":"12","side":"buy","ts":"1790000000123","count":"3"}
struct TradeRow {
  std::string_view inst_id;
  std::uint64_t id = 0;     // of the last fill that the row stands for
  std::uint64_t count = 0;  // of fills; 0: not told (trades-all, messages before 2023), then it is one
  Price price;
  Contracts size;
  Side side{};  // the taker's
  WallTime time;
};

// {"instId":"BTC-USDT-SWAP","fundingRate":"0.0001","fundingTime":"1790006400000","nextFundingTime":"1790035200000",…}
struct FundingRow {
  std::string_view inst_id;
  std::optional<Ratio> rate;  // of the period that ends at funding_time
  std::optional<WallTime> funding_time;
  std::optional<WallTime> next_funding_time;
  std::optional<WallTime> time;
};

// One row of funding-rate-history.
struct SettledFundingRow {
  std::string_view inst_id;
  std::optional<Ratio> realized_rate;  // what was charged; `fundingRate` is only what had been predicted
  WallTime funding_time;
};

// {"instId":"BTC-USDT-SWAP","instType":"SWAP","oi":"1000","oiCcy":"10","oiUsd":"642501.5","ts":"1790000000123"}
struct OpenInterestRow {
  std::string_view inst_id;
  std::optional<Contracts> contracts;
  std::optional<Quantity> usd;
  WallTime time;
};

// One of `details`, with its instrument.
struct LiquidationRow {
  std::string_view inst_type;
  std::string_view inst_id;
  Side side{};  // of the liquidation order
  std::optional<Price> price;
  Contracts size;
  WallTime time;
};

// One entry of instruments. Texts are the venue's, "" where it has nothing to say.
struct InstrumentRow {
  std::string_view inst_type, inst_id, inst_family, uly, base_ccy, quote_ccy, settle_ccy;
  std::string_view ct_type, ct_val_ccy, state, rule_type, opt_type;
  std::string_view strike_text;
  std::optional<Decimal> ct_val;
  std::optional<Decimal> ct_mult;
  std::optional<Price> tick_size;
  std::optional<Decimal> lot_size;  // contracts; base units of spot
  std::optional<WallTime> expiry;
  std::optional<Price> strike;
};
struct InstrumentList {
  std::vector<InstrumentRow> rows;                             // views of the text
  std::vector<std::pair<Error, std::string_view>> unreadable;  // entries that could not be read: why, and their text
};

// [ts, ratio]
struct RatioRow {
  WallTime time;
  Ratio ratio;  // long / short
};

// {"instId":…,"last":"64250.1","volCcy24h":"1234.5",…}
struct TickerRow {
  std::string_view inst_type;
  std::string_view inst_id;
  std::optional<Price> last;
  std::optional<Decimal> volume_ccy;  // 24 h: base coin for derivatives, quote currency for spot
};

// A field that our tables do not know: counted, told once, and otherwise ignored.
struct UnknownField {
  const char* where;  // "trades", "instruments"
  std::string_view name;
};

// Rows that could not be read beside ones that could: why, and their text. Where none could, all is refused.
using Unreadable = std::vector<std::pair<Error, std::string_view>>;

struct Frame {
  enum class Kind {
    pong,  // the answer to our "ping": no JSON
    book,
    trades,
    funding,
    open_interest,
    liquidations,
    instruments,
    subscribed,    // {"event":"subscribe","arg":{…}}
    unsubscribed,  // {"event":"unsubscribe","arg":{…}}
    error,         // {"event":"error","code":"60018","msg":"…"}
    notice,        // {"event":"notice","code":"64008","msg":"…"}: the connection will be closed
    unmapped,      // a channel or an event that gives nothing; `channel` names it
  };
  Kind kind{};
  // Views of the frame or of the decoder's buffers: good until the next call.
  std::string_view channel;
  std::string_view inst_id;    // of arg; "" where the channel is of a kind of instruments
  std::string_view inst_type;  // of arg
  std::string_view request_id;
  std::string_view code;
  std::string_view message;
  bool snapshot = false;  // of a book
  BookRow book;
  std::vector<TradeRow> trades;
  std::vector<FundingRow> funding;
  std::vector<OpenInterestRow> open_interest;
  std::vector<LiquidationRow> liquidations;
  InstrumentList instruments;
  Unreadable unreadable;
  std::vector<UnknownField> unknown_fields;
};

// A REST answer whose code is not "0" is Errc::refused with the venue's code and words. `padded`: with
// RawRecord::kFramePadding readable bytes behind it; what is returned holds views of it.
class Decoder {
 public:
  Decoder();
  ~Decoder();
  Decoder(Decoder&&) noexcept;

  // The frame is the decoder's own: what is in it may be moved away, and is gone with the next call.
  Result<Frame*> frame(std::string_view padded);

  Result<BookRow> book(std::string_view padded);  // /api/v5/market/books
  Result<InstrumentList> instruments(std::string_view padded);
  Result<std::vector<FundingRow>> funding(std::string_view padded);
  Result<std::vector<SettledFundingRow>> settled_funding(std::string_view padded);
  Result<std::vector<OpenInterestRow>> open_interest(std::string_view padded);
  // Any of the long/short ratios: which one, only the url tells. Newest first, as the venue has it.
  Result<std::vector<RatioRow>> ratios(std::string_view padded);
  Result<std::vector<TickerRow>> tickers(std::string_view padded);
  // Fields that the last call met and does not know.
  const std::vector<UnknownField>& unknown_fields() const;
  // Of the last REST answer that was read.
  const Unreadable& unreadable_rows() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mp::okx
