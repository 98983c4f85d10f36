#include "exchanges/okx/decode.hpp"

#include <simdjson.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <span>

#include "base/raw_record.hpp"
#include "base/text.hpp"

namespace mp::okx {
namespace {

namespace od = simdjson::ondemand;
static_assert(RawRecord::kFramePadding >= simdjson::SIMDJSON_PADDING);

using Names = std::span<const std::string_view>;

// Fields of each message that we know and do not use; what is neither used nor listed here is told as unknown.
constexpr std::string_view kUnusedOfFrame[]{"connId", "curPage", "lastPage", "eventType", "extra", "uid"};
constexpr std::string_view kUnusedOfArg[]{"instFamily", "uly", "ccy", "sprdId", "extraParams"};
constexpr std::string_view kUnusedOfReply[]{"timestamp"};
constexpr std::string_view kUnusedOfTrade[]{"source", "seqId"};
constexpr std::string_view kUnusedOfBook[]{"instId", "timestamp"};
// settState and settFundingRate speak of the period before: they settle nothing of this row.
constexpr std::string_view kUnusedOfFunding[]{"instType",     "nextFundingRate", "formulaType",     "impactValue",
                                              "interestRate", "maxFundingRate",  "minFundingRate",  "method",
                                              "premium",      "prevFundingTime", "settFundingRate", "settState"};
constexpr std::string_view kUnusedOfSettledFunding[]{"instType", "fundingRate", "formulaType", "method"};
constexpr std::string_view kUnusedOfOpenInterest[]{"instType", "oiCcy"};
constexpr std::string_view kUnusedOfLiquidation[]{"instFamily", "uly"};
constexpr std::string_view kUnusedOfLiquidationDetail[]{"posSide", "bkLoss", "ccy"};
constexpr std::string_view kUnusedOfTicker[]{"lastSz",  "askPx",  "askSz",   "bidPx",   "bidSz", "open24h",
                                             "high24h", "low24h", "sodUtc0", "sodUtc8", "ts",    "vol24h"};
constexpr std::string_view kUnusedOfInstrument[]{"alias",
                                                 "auctionEndTime",
                                                 "category",
                                                 "contTdSwTime",
                                                 "futureSettlement",
                                                 "groupId",
                                                 "initPxLmtPct",
                                                 "floatPxLmtPct",
                                                 "maxPxLmtPct",
                                                 "instIdCode",
                                                 "lever",
                                                 "listTime",
                                                 "maxIcebergSz",
                                                 "maxLmtAmt",
                                                 "maxLmtSz",
                                                 "maxMktAmt",
                                                 "maxMktSz",
                                                 "maxPlatOILmt",
                                                 "maxPlatOICoinLmt",
                                                 "maxStopSz",
                                                 "maxTriggerSz",
                                                 "maxTwapSz",
                                                 "minSz",
                                                 "openType",
                                                 "posLmtAmt",
                                                 "posLmtPct",
                                                 "preMktSwTime",
                                                 "tradeQuoteCcyList",
                                                 "upcChg",
                                                 "seriesId",
                                                 "instCategory",
                                                 "longPosRemainingQuota",
                                                 "shortPosRemainingQuota",
                                                 "elp",
                                                 "rpi"};

bool is_one_of(std::string_view name, Names names) { return std::ranges::find(names, name) != names.end(); }

Error json_error(simdjson::error_code code, std::string_view where) {
  switch (code) {
    case simdjson::INCORRECT_TYPE: return {Errc::bad_type, std::string(where), "another JSON type than expected"};
    case simdjson::NUMBER_ERROR:
    case simdjson::NUMBER_OUT_OF_RANGE: return {Errc::bad_number, std::string(where), ""};
    case simdjson::NO_SUCH_FIELD: return {Errc::missing_field, std::string(where), ""};
    default: return {Errc::not_json, std::string(where), simdjson::error_message(code)};
  }
}

Error missing(const char* where, const char* field) {
  return {Errc::missing_field, std::string(where) + "." + field, "absent or empty"};
}

// The key between its quotes, not unescaped: the venue's names have no escapes.
std::string_view key_of(od::field& field) {
  const char* raw = field.key().raw();
  const auto* end = static_cast<const char*>(std::memchr(raw, '"', 32));
  return end ? std::string_view(raw, static_cast<std::size_t>(end - raw)) : std::string_view{};
}

// A string's bytes as they stand in the text, or a bare word (a number, true). Nothing for lists and objects.
std::optional<std::string_view> raw_text(od::value& value) {
  od::json_type type{};
  if (value.type().get(type)) return std::nullopt;
  if (type == od::json_type::array || type == od::json_type::object) return std::nullopt;
  std::string_view token = value.raw_json_token();
  if (type != od::json_type::string) {
    while (!token.empty() && static_cast<unsigned char>(token.back()) <= ' ') token.remove_suffix(1);
    return token == "null" ? std::string_view{} : token;
  }
  if (token.size() < 2) return std::nullopt;
  token.remove_prefix(1);
  const auto end = token.rfind('"');
  if (end == std::string_view::npos) return std::nullopt;
  return token.substr(0, end);
}

// Reads one field after the other; the first failure is kept, with the field's name.
class Fields {
 public:
  explicit Fields(const char* where) : where_(where) {}

  std::string_view text(od::value& value, std::string_view key) {
    const auto out = raw_text(value);
    if (!out) fail({Errc::bad_type, place(key), "no text"});
    return out.value_or(std::string_view{});
  }
  std::optional<std::int64_t> integer(od::value& value, std::string_view key) {
    const auto digits = text(value, key);
    if (digits.empty()) return std::nullopt;
    std::int64_t out = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), out);
    if (error == std::errc{} && end == digits.data() + digits.size()) return out;
    fail({Errc::bad_number, place(key), shortened(digits)});
    return std::nullopt;
  }
  std::optional<WallTime> time(od::value& value, std::string_view key) {
    const auto ms = integer(value, key);
    if (!ms) return std::nullopt;
    const auto out = wall_from_millis(*ms);
    if (out) return *out;
    fail({Errc::bad_time, place(key), std::to_string(*ms)});
    return std::nullopt;
  }
  std::optional<Decimal> decimal(od::value& value, std::string_view key) {
    const auto digits = text(value, key);
    if (digits.empty()) return std::nullopt;
    const auto out = Decimal::parse(digits);
    if (out) return *out;
    fail({out.error().code, place(key), out.error().seen});
    return std::nullopt;
  }
  std::optional<Decimal> not_negative(od::value& value, std::string_view key) {
    const auto out = decimal(value, key);
    if (!out || !out->is_negative()) return out;
    fail({Errc::bad_value, place(key), out->text()});
    return std::nullopt;
  }
  std::optional<Side> side(od::value& value, std::string_view key) {
    const auto word = text(value, key);
    if (word == "buy") return Side::buy;
    if (word == "sell") return Side::sell;
    if (!word.empty()) fail({Errc::bad_value, place(key), shortened(word)});
    return std::nullopt;
  }
  // Each field of `object` to `take(key, value)`, whose answer is whether it is one of ours. A value that is refused
  // does not end the pass: what stands behind the object can be read all the same.
  template <class Take>
  Result<void> each(od::object& object, Names unused, std::vector<UnknownField>& unknown, Take take) {
    for (auto item : object) {
      od::field field;
      if (auto error = std::move(item).get(field)) return json_error(error, where_);
      const auto key = key_of(field);
      const bool used = take(key, field.value());
      if (failure_ && failure_->code == Errc::not_json) return *failure_;
      if (!used && !is_one_of(key, unused)) unknown.push_back({where_, key});
    }
    if (failure_) return *failure_;
    return {};
  }
  const std::optional<Error>& failure() const { return failure_; }
  void fail(Error error) {
    if (!failure_) failure_ = std::move(error);
  }
  std::string place(std::string_view key) const { return std::string(where_) + "." + std::string(key); }

 private:
  const char* where_;
  std::optional<Error> failure_;
};

template <class T>
std::optional<T> tagged(const std::optional<Decimal>& value) {
  if (!value) return std::nullopt;
  return T{*value};
}

// [["64250.2","7","0","2"],…]: price, size, a dead field, the number of orders (not always there).
Result<void> read_levels(od::value& value, std::vector<BookLevel>& out, std::vector<LevelText>& texts,
                         const char* where) {
  od::array levels;
  if (auto error = value.get_array().get(levels)) return json_error(error, where);
  if (out.capacity() == 0) out.reserve(16);  // it is moved into an event each time
  for (auto item : levels) {
    od::array parts;
    if (auto error = item.get_array().get(parts)) return json_error(error, where);
    std::string_view pair[2];
    std::size_t count = 0;
    for (auto part : parts) {
      od::value text;
      if (auto error = part.get(text)) return json_error(error, where);
      if (count < 2) {
        const auto raw = raw_text(text);
        if (!raw) return Error{Errc::bad_type, where, "a level's part is no text"};
        pair[count] = *raw;
      }
      ++count;
    }
    if (count < 2) return Error{Errc::missing_field, where, "a level without size"};
    const auto price = Price::parse(pair[0]);
    if (!price) return Error{price.error().code, where, price.error().seen};
    const auto size = Quantity::parse(pair[1]);
    if (!size) return Error{size.error().code, where, size.error().seen};
    if (price->value.is_negative() || size->value.is_negative())
      return Error{Errc::bad_value, where, shortened(pair[0]) + " " + shortened(pair[1])};
    out.push_back({*price, *size});
    texts.push_back({pair[0], pair[1]});
  }
  return {};
}

Result<void> read_book(od::object& object, BookRow& out, std::vector<UnknownField>& unknown) {
  out.seq_id.reset();
  out.prev_seq_id.reset();
  out.checksum.reset();
  out.bids.clear();
  out.asks.clear();
  out.bid_texts.clear();
  out.ask_texts.clear();
  bool has_bids = false;
  bool has_asks = false;
  std::optional<WallTime> time;
  Fields fields("books");
  const auto levels = [&](od::value& value, std::vector<BookLevel>& to, std::vector<LevelText>& texts,
                          const char* where) {
    if (auto done = read_levels(value, to, texts, where); !done) fields.fail(done.error());
    return true;
  };
  const auto done = fields.each(object, kUnusedOfBook, unknown, [&](std::string_view key, od::value& value) {
    if (key == "bids") return has_bids = levels(value, out.bids, out.bid_texts, "books.bids");
    if (key == "asks") return has_asks = levels(value, out.asks, out.ask_texts, "books.asks");
    if (key == "ts") return time = fields.time(value, key), true;
    if (key == "seqId") return out.seq_id = fields.integer(value, key), true;
    if (key == "prevSeqId") return out.prev_seq_id = fields.integer(value, key), true;
    if (key == "checksum") return out.checksum = fields.integer(value, key), true;
    return false;
  });
  if (!done) return done;
  if (!has_bids) return missing("books", "bids");
  if (!has_asks) return missing("books", "asks");
  if (!time) return missing("books", "ts");
  if (out.seq_id && *out.seq_id < 0) return Error{Errc::bad_value, "books.seqId", std::to_string(*out.seq_id)};
  out.time = *time;
  return {};
}

Result<TradeRow> read_trade(od::object& object, std::vector<UnknownField>& unknown) {
  TradeRow out;
  std::optional<std::int64_t> id, count;
  std::optional<Decimal> price, size;
  std::optional<Side> side;
  std::optional<WallTime> time;
  Fields fields("trades");
  const auto done = fields.each(object, kUnusedOfTrade, unknown, [&](std::string_view key, od::value& value) {
    if (key == "instId") return out.inst_id = fields.text(value, key), true;
    if (key == "tradeId") return id = fields.integer(value, key), true;
    if (key == "px") return price = fields.not_negative(value, key), true;
    if (key == "sz") return size = fields.not_negative(value, key), true;
    if (key == "side") return side = fields.side(value, key), true;
    if (key == "ts") return time = fields.time(value, key), true;
    if (key == "count") return count = fields.integer(value, key), true;
    return false;
  });
  if (!done) return done.error();
  if (out.inst_id.empty()) return missing("trades", "instId");
  if (!id) return missing("trades", "tradeId");
  if (*id < 0) return Error{Errc::bad_value, "trades.tradeId", std::to_string(*id)};
  if (count && (*count < 1 || *count > *id + 1)) return Error{Errc::bad_value, "trades.count", std::to_string(*count)};
  if (!price) return missing("trades", "px");
  if (!size) return missing("trades", "sz");
  if (!side) return missing("trades", "side");
  if (!time) return missing("trades", "ts");
  out.id = static_cast<std::uint64_t>(*id);
  out.count = static_cast<std::uint64_t>(count.value_or(0));
  out.price = Price{*price};
  out.size = Contracts{*size};
  out.side = *side;
  out.time = *time;
  return out;
}

Result<FundingRow> read_funding(od::object& object, std::vector<UnknownField>& unknown) {
  FundingRow out;
  Fields fields("funding-rate");
  const auto done = fields.each(object, kUnusedOfFunding, unknown, [&](std::string_view key, od::value& value) {
    if (key == "instId") return out.inst_id = fields.text(value, key), true;
    if (key == "fundingRate") return out.rate = tagged<Ratio>(fields.decimal(value, key)), true;
    if (key == "fundingTime") return out.funding_time = fields.time(value, key), true;
    if (key == "nextFundingTime") return out.next_funding_time = fields.time(value, key), true;
    if (key == "ts") return out.time = fields.time(value, key), true;
    return false;
  });
  if (!done) return done.error();
  if (out.inst_id.empty()) return missing("funding-rate", "instId");
  return out;
}

Result<SettledFundingRow> read_settled_funding(od::object& object, std::vector<UnknownField>& unknown) {
  SettledFundingRow out;
  std::optional<WallTime> time;
  Fields fields("funding-rate-history");
  const auto done = fields.each(object, kUnusedOfSettledFunding, unknown, [&](std::string_view key, od::value& value) {
    if (key == "instId") return out.inst_id = fields.text(value, key), true;
    if (key == "realizedRate") return out.realized_rate = tagged<Ratio>(fields.decimal(value, key)), true;
    if (key == "fundingTime") return time = fields.time(value, key), true;
    return false;
  });
  if (!done) return done.error();
  if (out.inst_id.empty()) return missing("funding-rate-history", "instId");
  if (!time) return missing("funding-rate-history", "fundingTime");
  out.funding_time = *time;
  return out;
}

Result<OpenInterestRow> read_open_interest(od::object& object, std::vector<UnknownField>& unknown) {
  OpenInterestRow out;
  std::optional<WallTime> time;
  Fields fields("open-interest");
  const auto done = fields.each(object, kUnusedOfOpenInterest, unknown, [&](std::string_view key, od::value& value) {
    if (key == "instId") return out.inst_id = fields.text(value, key), true;
    if (key == "oi") return out.contracts = tagged<Contracts>(fields.not_negative(value, key)), true;
    if (key == "oiUsd") return out.usd = tagged<Quantity>(fields.not_negative(value, key)), true;
    if (key == "ts") return time = fields.time(value, key), true;
    return false;
  });
  if (!done) return done.error();
  if (out.inst_id.empty()) return missing("open-interest", "instId");
  if (!time) return missing("open-interest", "ts");
  out.time = *time;
  return out;
}

Result<LiquidationRow> read_liquidation(od::object& object, std::vector<UnknownField>& unknown) {
  LiquidationRow out;
  std::optional<Side> side;
  std::optional<Decimal> size;
  std::optional<WallTime> time;
  Fields fields("liquidation-orders");
  const auto done =
      fields.each(object, kUnusedOfLiquidationDetail, unknown, [&](std::string_view key, od::value& value) {
        if (key == "side") return side = fields.side(value, key), true;
        if (key == "bkPx") return out.price = tagged<Price>(fields.not_negative(value, key)), true;
        if (key == "sz") return size = fields.not_negative(value, key), true;
        if (key == "ts") return time = fields.time(value, key), true;
        return false;
      });
  if (!done) return done.error();
  if (!side) return missing("liquidation-orders", "side");
  if (!size) return missing("liquidation-orders", "sz");
  if (!time) return missing("liquidation-orders", "ts");
  out.side = *side;
  out.size = Contracts{*size};
  out.time = *time;
  return out;
}

// A row's text, for the reject; what cannot be got at is no JSON. `object`: what it was read from, an array or an
// object.
template <class Row, class Json>
Result<void> keep(Result<Row> row, Json& object, std::vector<Row>& out, Unreadable& unreadable) {
  if (row) {
    out.push_back(std::move(*row));
    return {};
  }
  if (row.error().code == Errc::not_json) return row.error();
  std::string_view text;
  if (auto error = object.raw_json().get(text)) return json_error(error, row.error().where);
  unreadable.emplace_back(row.error(), text);
  return {};
}

// {"instType":"SWAP","instId":"ETH-USDT-SWAP","details":[{…},…]}
Result<void> read_liquidations(od::object& object, std::vector<LiquidationRow>& out, Unreadable& unreadable,
                               std::vector<UnknownField>& unknown) {
  std::string_view inst_id, inst_type;
  const auto first = out.size();
  bool has_details = false;
  Fields fields("liquidation-orders");
  const auto details = [&](od::value& value) -> Result<void> {
    od::array list;
    if (auto error = value.get_array().get(list)) return json_error(error, "liquidation-orders.details");
    for (auto item : list) {
      od::object detail;
      if (auto error = item.get_object().get(detail)) return json_error(error, "liquidation-orders.details");
      if (auto done = keep(read_liquidation(detail, unknown), detail, out, unreadable); !done) return done;
    }
    return {};
  };
  const auto done = fields.each(object, kUnusedOfLiquidation, unknown, [&](std::string_view key, od::value& value) {
    if (key == "instId") return inst_id = fields.text(value, key), true;
    if (key == "instType") return inst_type = fields.text(value, key), true;
    if (key != "details") return false;
    has_details = true;
    if (auto read = details(value); !read) fields.fail(read.error());
    return true;
  });
  if (!done) return done;
  if (inst_id.empty()) return missing("liquidation-orders", "instId");
  if (!has_details) return missing("liquidation-orders", "details");
  for (auto i = first; i < out.size(); ++i) {
    out[i].inst_id = inst_id;
    out[i].inst_type = inst_type;
  }
  return {};
}

Result<TickerRow> read_ticker(od::object& object, std::vector<UnknownField>& unknown) {
  TickerRow out;
  Fields fields("tickers");
  const auto done = fields.each(object, kUnusedOfTicker, unknown, [&](std::string_view key, od::value& value) {
    if (key == "instId") return out.inst_id = fields.text(value, key), true;
    if (key == "instType") return out.inst_type = fields.text(value, key), true;
    if (key == "last") return out.last = tagged<Price>(fields.not_negative(value, key)), true;
    if (key == "volCcy24h") return out.volume_ccy = fields.not_negative(value, key), true;
    return false;
  });
  if (!done) return done.error();
  if (out.inst_id.empty()) return missing("tickers", "instId");
  return out;
}

// ["1790000000000","1.25"]
Result<RatioRow> read_ratio(od::array& parts) {
  std::optional<WallTime> time;
  std::optional<Decimal> ratio;
  std::size_t count = 0;
  Fields fields("ratio");
  for (auto part : parts) {
    od::value value;
    if (auto error = part.get(value)) return json_error(error, "ratio");
    if (count == 0) time = fields.time(value, "ts");
    if (count == 1) ratio = fields.not_negative(value, "ratio");
    ++count;
  }
  if (fields.failure()) return *fields.failure();
  if (count != 2) return Error{Errc::bad_value, "ratio", std::to_string(count) + " elements instead of 2"};
  if (!time) return missing("ratio", "ts");
  if (!ratio) return missing("ratio", "ratio");
  return RatioRow{*time, Ratio{*ratio}};
}

Result<InstrumentRow> read_instrument(od::object& object, std::vector<UnknownField>& unknown) {
  InstrumentRow out;
  // A refused value must not stop the pass: the rest of the list is read after this entry.
  Fields fields("instruments");
  std::optional<Error> refused;
  const auto texts = [&](std::string_view key) -> std::string_view* {
    if (key == "instId") return &out.inst_id;
    if (key == "instType") return &out.inst_type;
    if (key == "instFamily") return &out.inst_family;
    if (key == "uly") return &out.uly;
    if (key == "baseCcy") return &out.base_ccy;
    if (key == "quoteCcy") return &out.quote_ccy;
    if (key == "settleCcy") return &out.settle_ccy;
    if (key == "ctType") return &out.ct_type;
    if (key == "ctValCcy") return &out.ct_val_ccy;
    if (key == "state") return &out.state;
    if (key == "ruleType") return &out.rule_type;
    if (key == "optType") return &out.opt_type;
    if (key == "stk") return &out.strike_text;
    return nullptr;
  };
  std::string_view ct_val, ct_mult, tick, lot, expiry;
  const auto done = fields.each(object, kUnusedOfInstrument, unknown, [&](std::string_view key, od::value& value) {
    auto* to = texts(key);
    if (!to) {
      to = key == "ctVal"     ? &ct_val
           : key == "ctMult"  ? &ct_mult
           : key == "tickSz"  ? &tick
           : key == "lotSz"   ? &lot
           : key == "expTime" ? &expiry
                              : nullptr;
      if (!to) return false;
    }
    if (const auto text = raw_text(value))
      *to = *text;
    else if (!refused)
      refused = Error{Errc::bad_type, fields.place(key), "no text"};
    return true;
  });
  if (!done) return done.error();
  if (refused) return *refused;
  const auto number = [&](std::string_view text, const char* key) -> std::optional<Decimal> {
    if (text.empty() || refused) return std::nullopt;
    const auto value = Decimal::parse(text);
    if (value && !value->is_negative()) return *value;
    refused = Error{Errc::bad_number, fields.place(key), shortened(text)};
    return std::nullopt;
  };
  out.ct_val = number(ct_val, "ctVal");
  out.ct_mult = number(ct_mult, "ctMult");
  out.tick_size = tagged<Price>(number(tick, "tickSz"));
  out.lot_size = number(lot, "lotSz");
  out.strike = tagged<Price>(number(out.strike_text, "stk"));
  if (!expiry.empty() && !refused) {
    std::int64_t ms = -1;
    const auto [end, error] = std::from_chars(expiry.data(), expiry.data() + expiry.size(), ms);
    const auto time = wall_from_millis(error == std::errc{} && end == expiry.data() + expiry.size() ? ms : -1);
    if (time)
      out.expiry = *time;
    else
      refused = Error{Errc::bad_time, "instruments.expTime", shortened(expiry)};
  }
  if (refused) return *refused;
  if (out.inst_id.empty()) return missing("instruments", "instId");
  if (out.inst_type.empty()) return missing("instruments", "instType");
  return out;
}

Result<void> read_instruments(od::array& list, InstrumentList& out, std::vector<UnknownField>& unknown) {
  for (auto item : list) {
    od::object object;
    if (auto error = item.get_object().get(object)) return json_error(error, "instruments");
    auto row = read_instrument(object, unknown);
    if (row) {
      out.rows.push_back(std::move(*row));
      continue;
    }
    if (row.error().code == Errc::not_json) return row.error();
    std::string_view text;
    if (auto error = object.raw_json().get(text)) return json_error(error, "instruments");
    out.unreadable.emplace_back(row.error(), text);
  }
  return {};
}

// Every object of a list to `read`. A row that cannot be read does not take those beside it with it.
template <class Row>
Result<void> read_rows(od::array& list, const char* where, std::vector<Row>& out, Unreadable& unreadable,
                       std::vector<UnknownField>& unknown,
                       Result<Row> (*read)(od::object&, std::vector<UnknownField>&)) {
  for (auto item : list) {
    od::object object;
    if (auto error = item.get_object().get(object)) return json_error(error, where);
    if (auto done = keep(read(object, unknown), object, out, unreadable); !done) return done;
  }
  return {};
}

// Nothing may stand behind the document.
Result<void> at_end(od::document& document) {
  const char* place = nullptr;
  if (document.current_location().get(place) == simdjson::OUT_OF_BOUNDS) return {};
  return Error{Errc::not_json, "message", "more text after its end"};
}

simdjson::padded_string_view padded_view(std::string_view padded) {
  return simdjson::padded_string_view(padded.data(), padded.size(), padded.size() + RawRecord::kFramePadding);
}

Frame::Kind kind_of_channel(std::string_view channel) {
  if (channel == "books" || channel == "books-l2-tbt" || channel == "books50-l2-tbt") return Frame::Kind::book;
  if (channel == "trades" || channel == "trades-all") return Frame::Kind::trades;
  if (channel == "funding-rate") return Frame::Kind::funding;
  if (channel == "open-interest") return Frame::Kind::open_interest;
  if (channel == "liquidation-orders") return Frame::Kind::liquidations;
  if (channel == "instruments") return Frame::Kind::instruments;
  return Frame::Kind::unmapped;
}

// What a frame says beside its data.
struct Envelope {
  std::string_view event, action;
  bool has_arg = false;
  bool has_data = false;
  bool data_came_first = false;
};

class FramePass {
 public:
  FramePass(Frame& frame, Envelope& envelope) : frame_(frame), envelope_(envelope) {}

  Result<void> document(od::object& object) {
    Fields fields("message");
    return fields.each(object, kUnusedOfFrame, frame_.unknown_fields, [&](std::string_view key, od::value& value) {
      if (key == "arg") {
        if (auto done = arg(value); !done) fields.fail(done.error());
        return true;
      }
      if (key == "data") {
        if (auto done = data(value); !done) fields.fail(done.error());
        return true;
      }
      if (key == "action") return envelope_.action = fields.text(value, key), true;
      if (key == "event") return envelope_.event = fields.text(value, key), true;
      if (key == "code") return frame_.code = fields.text(value, key), true;
      if (key == "msg") return frame_.message = fields.text(value, key), true;
      if (key == "id") return frame_.request_id = fields.text(value, key), true;
      // {"event":"channel-conn-count","channel":"orders","connCount":"2"}
      if (key == "channel" || key == "connCount") return true;
      return false;
    });
  }

 private:
  Result<void> arg(od::value& value) {
    if (envelope_.has_arg) return {};  // the second pass of a frame whose data came first
    envelope_.has_arg = true;
    od::object object;
    if (auto error = value.get_object().get(object)) return json_error(error, "arg");
    Fields fields("arg");
    return fields.each(object, kUnusedOfArg, frame_.unknown_fields, [&](std::string_view key, od::value& each) {
      if (key == "channel") return frame_.channel = fields.text(each, key), true;
      if (key == "instId") return frame_.inst_id = fields.text(each, key), true;
      if (key == "instType") return frame_.inst_type = fields.text(each, key), true;
      return false;
    });
  }

  Result<void> data(od::value& value) {
    envelope_.has_data = true;
    if (!envelope_.has_arg) {
      envelope_.data_came_first = true;
      return {};
    }
    const auto kind = kind_of_channel(frame_.channel);
    if (kind == Frame::Kind::unmapped) return {};
    od::array list;
    if (auto error = value.get_array().get(list)) return json_error(error, "data");
    switch (kind) {
      case Frame::Kind::book: return book(list);
      case Frame::Kind::trades: return rows(list, "trades", frame_.trades, read_trade);
      case Frame::Kind::funding: return rows(list, "funding-rate", frame_.funding, read_funding);
      case Frame::Kind::open_interest: return rows(list, "open-interest", frame_.open_interest, read_open_interest);
      case Frame::Kind::liquidations:
        for (auto item : list) {
          od::object object;
          if (auto error = item.get_object().get(object)) return json_error(error, "liquidation-orders");
          if (auto done = read_liquidations(object, frame_.liquidations, frame_.unreadable, frame_.unknown_fields);
              !done)
            return done;
        }
        return {};
      case Frame::Kind::instruments: return read_instruments(list, frame_.instruments, frame_.unknown_fields);
      case Frame::Kind::pong:
      case Frame::Kind::subscribed:
      case Frame::Kind::unsubscribed:
      case Frame::Kind::error:
      case Frame::Kind::notice:
      case Frame::Kind::unmapped: return {};
    }
    return {};
  }

  template <class Row>
  Result<void> rows(od::array& list, const char* where, std::vector<Row>& out,
                    Result<Row> (*read)(od::object&, std::vector<UnknownField>&)) {
    return read_rows(list, where, out, frame_.unreadable, frame_.unknown_fields, read);
  }

  // One book per frame: the ids of a second one could not be told from the first one's.
  Result<void> book(od::array& list) {
    std::size_t count = 0;
    for (auto item : list) {
      if (++count > 1) return Error{Errc::bad_value, "books.data", "more than one book"};
      od::object object;
      if (auto error = item.get_object().get(object)) return json_error(error, "books");
      if (auto done = read_book(object, frame_.book, frame_.unknown_fields); !done) return done;
    }
    if (count == 0) return Error{Errc::missing_field, "books.data", "an empty list"};
    return {};
  }

  Frame& frame_;
  Envelope& envelope_;
};

void clear(Frame& frame) {
  frame.kind = Frame::Kind::unmapped;
  frame.channel = frame.inst_id = frame.inst_type = frame.request_id = frame.code = frame.message = {};
  frame.snapshot = false;
  frame.trades.clear();
  frame.funding.clear();
  frame.open_interest.clear();
  frame.liquidations.clear();
  frame.instruments.rows.clear();
  frame.instruments.unreadable.clear();
  frame.unreadable.clear();
  frame.unknown_fields.clear();
}

// What follows from the whole frame, once it has been read.
Result<void> conclude(const Envelope& envelope, Frame& frame) {
  if (!envelope.event.empty()) {
    frame.kind = envelope.event == "subscribe"     ? Frame::Kind::subscribed
                 : envelope.event == "unsubscribe" ? Frame::Kind::unsubscribed
                 : envelope.event == "error"       ? Frame::Kind::error
                 : envelope.event == "notice"      ? Frame::Kind::notice
                                                   : Frame::Kind::unmapped;
    if (frame.kind == Frame::Kind::unmapped) frame.channel = envelope.event;
    return {};
  }
  if (!envelope.has_arg || !envelope.has_data) {
    // An error may come without `event`: {"code":"60012","msg":"…"}.
    if (!frame.code.empty() && frame.code != "0") {
      frame.kind = Frame::Kind::error;
      return {};
    }
    frame.kind = Frame::Kind::unmapped;
    frame.channel = "unrecognised";
    return {};
  }
  frame.kind = kind_of_channel(frame.channel);
  const bool any =
      !frame.trades.empty() || !frame.funding.empty() || !frame.open_interest.empty() || !frame.liquidations.empty();
  if (!any && !frame.unreadable.empty()) return frame.unreadable.front().first;
  if (frame.kind != Frame::Kind::book) return {};
  if (frame.inst_id.empty()) return missing("arg", "instId");
  // What a book message does to the book is a state: an unknown word is refused, never guessed.
  if (envelope.action != "snapshot" && envelope.action != "update")
    return Error{Errc::bad_value, "books.action", shortened(envelope.action)};
  frame.snapshot = envelope.action == "snapshot";
  if (!frame.snapshot && frame.book.seq_id && !frame.book.prev_seq_id) return missing("books", "prevSeqId");
  return {};
}

}  // namespace

struct Decoder::Impl {
  od::parser parser;
  Frame frame;
  std::vector<UnknownField> unknown;
  Unreadable unreadable;  // rows of the last REST answer

  // {"code":"0","msg":"","data":[…]}: the list to `read`. A refusal is told with the venue's words.
  template <class Read>
  Result<void> reply(std::string_view padded, const char* where, Read read) {
    unknown.clear();
    unreadable.clear();
    od::document document;
    if (auto error = parser.iterate(padded_view(padded)).get(document)) return json_error(error, where);
    od::object object;
    if (auto error = document.get_object().get(object)) return json_error(error, where);
    std::string_view code, message;
    bool has_data = false;
    Fields fields(where);
    const auto done = fields.each(object, kUnusedOfReply, unknown, [&](std::string_view key, od::value& value) {
      if (key == "code") return code = fields.text(value, key), true;
      if (key == "msg") return message = fields.text(value, key), true;
      if (key != "data") return false;
      has_data = true;
      od::array list;
      if (auto error = value.get_array().get(list)) {
        fields.fail(json_error(error, where));
      } else if (auto rows = read(list); !rows) {
        fields.fail(rows.error());
      }
      return true;
    });
    if (!done) return done;
    if (auto end = at_end(document); !end) return end;
    if (code.empty()) return missing(where, "code");
    if (code != "0") return Error{Errc::refused, std::string(where) + ": code " + shortened(code), shortened(message)};
    if (!has_data) return missing(where, "data");
    return {};
  }

  template <class Row>
  Result<std::vector<Row>> rows(std::string_view padded, const char* where,
                                Result<Row> (*read)(od::object&, std::vector<UnknownField>&)) {
    std::vector<Row> out;
    const auto done =
        reply(padded, where, [&](od::array& list) { return read_rows(list, where, out, unreadable, unknown, read); });
    if (!done) return done.error();
    return whole_or_refused(std::move(out));
  }

  // An answer none of whose rows can be read is refused whole.
  template <class Row>
  Result<std::vector<Row>> whole_or_refused(std::vector<Row> out) {
    if (!out.empty() || unreadable.empty()) return out;
    const auto why = unreadable.front().first;
    unreadable.clear();
    return why;
  }
};

Decoder::Decoder() : impl_(std::make_unique<Impl>()) {}
Decoder::~Decoder() = default;
Decoder::Decoder(Decoder&&) noexcept = default;

const std::vector<UnknownField>& Decoder::unknown_fields() const { return impl_->unknown; }

Result<Frame*> Decoder::frame(std::string_view padded) {
  auto& out = impl_->frame;
  clear(out);
  if (padded == "pong") {
    out.kind = Frame::Kind::pong;
    return &out;
  }
  od::document document;
  if (auto error = impl_->parser.iterate(padded_view(padded)).get(document)) return json_error(error, "message");
  od::object object;
  if (auto error = document.get_object().get(object)) return json_error(error, "message");
  Envelope envelope;
  if (auto done = FramePass(out, envelope).document(object); !done) return done.error();
  if (auto done = at_end(document); !done) return done.error();
  if (envelope.data_came_first && envelope.has_arg) {
    // Only arg tells what data is: once more, now that it is known.
    document.rewind();
    out.unknown_fields.clear();
    if (auto error = document.get_object().get(object)) return json_error(error, "message");
    if (auto done = FramePass(out, envelope).document(object); !done) return done.error();
  }
  if (auto done = conclude(envelope, out); !done) return done.error();
  return &out;
}

Result<BookRow> Decoder::book(std::string_view padded) {
  BookRow out;
  std::size_t count = 0;
  const auto done = impl_->reply(padded, "books", [&](od::array& list) -> Result<void> {
    for (auto item : list) {
      if (++count > 1) return Error{Errc::bad_value, "books.data", "more than one book"};
      od::object object;
      if (auto error = item.get_object().get(object)) return json_error(error, "books");
      if (auto read = read_book(object, out, impl_->unknown); !read) return read;
    }
    return {};
  });
  if (!done) return done.error();
  if (count == 0) return Error{Errc::missing_field, "books.data", "an empty list"};
  return out;
}

Result<InstrumentList> Decoder::instruments(std::string_view padded) {
  InstrumentList out;
  const auto done =
      impl_->reply(padded, "instruments", [&](od::array& list) { return read_instruments(list, out, impl_->unknown); });
  if (!done) return done.error();
  return out;
}

Result<std::vector<FundingRow>> Decoder::funding(std::string_view padded) {
  return impl_->rows<FundingRow>(padded, "funding-rate", read_funding);
}

Result<std::vector<SettledFundingRow>> Decoder::settled_funding(std::string_view padded) {
  return impl_->rows<SettledFundingRow>(padded, "funding-rate-history", read_settled_funding);
}

Result<std::vector<OpenInterestRow>> Decoder::open_interest(std::string_view padded) {
  return impl_->rows<OpenInterestRow>(padded, "open-interest", read_open_interest);
}

Result<std::vector<TickerRow>> Decoder::tickers(std::string_view padded) {
  return impl_->rows<TickerRow>(padded, "tickers", read_ticker);
}

Result<std::vector<RatioRow>> Decoder::ratios(std::string_view padded) {
  std::vector<RatioRow> out;
  const auto done = impl_->reply(padded, "ratio", [&](od::array& list) -> Result<void> {
    for (auto item : list) {
      od::array parts;
      if (auto error = item.get_array().get(parts)) return json_error(error, "ratio");
      if (auto kept = keep(read_ratio(parts), parts, out, impl_->unreadable); !kept) return kept;
    }
    return {};
  });
  if (!done) return done.error();
  return impl_->whole_or_refused(std::move(out));
}

const Unreadable& Decoder::unreadable_rows() const { return impl_->unreadable; }

}  // namespace mp::okx
