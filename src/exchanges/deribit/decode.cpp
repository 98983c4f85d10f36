#include "exchanges/deribit/decode.hpp"

#include <simdjson.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <span>

#include "base/raw_record.hpp"
#include "base/text.hpp"

namespace mp::deribit {
namespace {

namespace od = simdjson::ondemand;
static_assert(RawRecord::kFramePadding >= simdjson::SIMDJSON_PADDING);

Error json_error(simdjson::error_code code, std::string_view where) {
  switch (code) {
    case simdjson::INCORRECT_TYPE: return {Errc::bad_type, std::string(where), ""};
    case simdjson::NUMBER_ERROR:
    case simdjson::NUMBER_OUT_OF_RANGE: return {Errc::bad_number, std::string(where), ""};
    case simdjson::NO_SUCH_FIELD: return {Errc::missing_field, std::string(where), ""};
    default: return {Errc::not_json, std::string(where), simdjson::error_message(code)};
  }
}

Error missing(const char* field) { return {Errc::missing_field, field, "absent, null or of another type"}; }

// The key between its quotes, not unescaped: the venue's names have no escapes.
std::string_view key_of(od::field& field) {
  const char* raw = field.key().raw();
  const auto* end = static_cast<const char*>(std::memchr(raw, '"', 64));
  return end ? std::string_view(raw, static_cast<std::size_t>(end - raw)) : std::string_view{};
}

// A number's text as it stands in the message, or in a string; "" for anything else, null included.
std::string_view number_text(od::value& value) {
  std::string_view token = value.raw_json_token();
  while (!token.empty() && static_cast<unsigned char>(token.back()) <= ' ') token.remove_suffix(1);
  if (token.size() >= 2 && token.front() == '"' && token.back() == '"') token = token.substr(1, token.size() - 2);
  if (token.empty() || !(token.front() == '-' || (token.front() >= '0' && token.front() <= '9'))) return {};
  return token;
}

void take_string(od::value& value, std::string_view& out) {
  std::string_view text;
  if (!value.get_string().get(text)) out = text;
}

// A string, or a number's text: ids of early recordings.
void take_id(od::value& value, std::string_view& out) {
  take_string(value, out);
  if (out.empty()) out = number_text(value);
}

template <class T>
Result<T> signed_exact(std::string_view text, const char* where) {
  if (text.empty()) return missing(where);
  auto value = T::parse(text);
  if (!value) return Error{Errc::bad_number, where, shortened(text)};
  return *value;
}

template <class T>
Result<T> exact(std::string_view text, const char* where) {
  auto value = signed_exact<T>(text, where);
  if (value && value->value.is_negative()) return Error{Errc::bad_value, where, shortened(text)};
  return value;
}

template <class T>
Result<void> optional_exact(std::string_view text, const char* where, std::optional<T>& out) {
  out.reset();
  if (text.empty()) return {};
  const auto value = exact<T>(text, where);
  if (!value) return value.error();
  out = *value;
  return {};
}

template <class Integer>
Result<Integer> integer(std::string_view text, const char* where) {
  if (text.empty()) return missing(where);
  Integer value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return Error{Errc::bad_number, where, shortened(text)};
  return value;
}

Result<WallTime> time_of(std::string_view text, const char* where) {
  const auto millis = integer<std::int64_t>(text, where);
  if (!millis) return millis.error();
  auto time = wall_from_millis(*millis);
  if (!time) return Error{Errc::bad_time, where, shortened(text)};
  return time;
}

// Calls each(key, value) for every field; each() gives nothing back: it gathers texts, which are judged after the whole
// object has been passed, so that a bad value never leaves the pass in the middle of it.
template <class F>
Result<void> for_each_field(od::object& object, const char* where, F each) {
  for (auto item : object) {
    od::field field;
    if (auto error = std::move(item).get(field)) return json_error(error, where);
    od::value& value = field.value();
    if constexpr (std::is_void_v<decltype(each(std::string_view{}, value))>) {
      each(key_of(field), value);
    } else {
      if (auto done = each(key_of(field), value); !done) return done;
    }
  }
  return {};
}

using Names = std::span<const std::string_view>;

void note_unknown(std::string_view key, Names ignored, std::vector<std::string_view>& unknown) {
  constexpr std::size_t kNamedAtMost = 16;
  if (std::ranges::find(ignored, key) != ignored.end() || unknown.size() >= kNamedAtMost) return;
  if (std::ranges::find(unknown, key) == unknown.end()) unknown.push_back(key);
}

// ---- books ----------------------------------------------------------------------------------------------------

// [["new",64250.0,12000.0],…]: action, price, amount.
Result<void> read_levels(od::value& value, std::vector<BookLevel>& out, const char* where) {
  out.clear();
  if (out.capacity() == 0) out.reserve(16);  // it is moved into an event each time
  od::array levels;
  if (auto error = value.get_array().get(levels)) return json_error(error, where);
  for (auto each : levels) {
    od::array parts;
    if (auto error = each.get_array().get(parts)) return json_error(error, where);
    std::string_view action, price_text, amount_text;
    std::size_t count = 0;
    for (auto part : parts) {
      od::value item;
      if (auto error = part.get(item)) return json_error(error, where);
      if (count == 0)
        take_string(item, action);
      else if (count == 1)
        price_text = number_text(item);
      else if (count == 2)
        amount_text = number_text(item);
      ++count;
    }
    // A state value: what a level of an action that we do not know would do to the book cannot be guessed.
    const bool removes = action == "delete";
    if (!removes && action != "new" && action != "change")
      return Error{Errc::bad_value, std::string(where) + ".action", shortened(action)};
    const auto price = exact<Price>(price_text, where);
    if (!price) return price.error();
    const auto amount = exact<Quantity>(amount_text, where);
    if (!amount) return amount.error();
    out.push_back({*price, removes ? Quantity{} : *amount});
  }
  return {};
}

Result<void> read_book(od::object& object, Frame& out) {
  auto& book = out.book;
  std::string_view type, time, change_id, prev_change_id;
  bool has_bids = false;
  bool has_asks = false;
  const auto passed = for_each_field(object, "book", [&](std::string_view key, od::value& value) -> Result<void> {
    if (key == "bids") {
      has_bids = true;
      return read_levels(value, book.bids, "book.bids");
    }
    if (key == "asks") {
      has_asks = true;
      return read_levels(value, book.asks, "book.asks");
    }
    if (key == "type")
      take_string(value, type);
    else if (key == "timestamp")
      time = number_text(value);
    else if (key == "instrument_name")
      take_string(value, out.instrument);
    else if (key == "change_id")
      change_id = number_text(value);
    else if (key == "prev_change_id")
      prev_change_id = number_text(value);
    else
      note_unknown(key, {}, out.unknown_fields);
    return {};
  });
  if (!passed) return passed;
  if (out.instrument.empty()) return missing("book.instrument_name");
  const auto id = integer<std::uint64_t>(change_id, "book.change_id");
  if (!id) return id.error();
  book.change_id = *id;
  const auto at = time_of(time, "book.timestamp");
  if (!at) return at.error();
  book.time = *at;
  if (!has_bids) return missing("book.bids");
  if (!has_asks) return missing("book.asks");
  book.prev_change_id.reset();
  if (!type.empty() && type != "snapshot" && type != "change")
    return Error{Errc::bad_value, "book.type", shortened(type)};
  // Recordings of 2019 have no type: what has no previous id is a snapshot.
  book.snapshot = type.empty() ? prev_change_id.empty() : type == "snapshot";
  if (book.snapshot) return {};
  const auto prev = integer<std::uint64_t>(prev_change_id, "book.prev_change_id");
  if (!prev) return prev.error();
  book.prev_change_id = *prev;
  return {};
}

// ---- trades ---------------------------------------------------------------------------------------------------

constexpr std::string_view kTradeIgnored[] = {"tick_direction",        "mark_price",   "index_price",   "iv",
                                              "block_trade_leg_count", "block_rfq_id", "combo_trade_id"};

struct TradeTexts {
  std::string_view seq, time, price, amount, contracts, direction;
};

Result<void> judge(const TradeTexts& texts, TradeRow& row) {
  if (row.instrument.empty()) return missing("trades.instrument_name");
  const auto seq = integer<std::uint64_t>(texts.seq, "trades.trade_seq");
  if (!seq) return seq.error();
  row.seq = *seq;
  if (row.id.empty()) return missing("trades.trade_id");
  const auto time = time_of(texts.time, "trades.timestamp");
  if (!time) return time.error();
  row.time = *time;
  const auto price = exact<Price>(texts.price, "trades.price");
  if (!price) return price.error();
  row.price = *price;
  const auto amount = exact<Quantity>(texts.amount, "trades.amount");
  if (!amount) return amount.error();
  row.amount = *amount;
  if (auto done = optional_exact(texts.contracts, "trades.contracts", row.contracts); !done) return done;
  // A state value: guessing a side would corrupt every sum over sides.
  if (texts.direction != "buy" && texts.direction != "sell")
    return Error{Errc::bad_value, "trades.direction", shortened(texts.direction)};
  row.side = texts.direction == "buy" ? Side::buy : Side::sell;
  using Liquidated = TradeRow::Liquidated;
  // "none" is written in the OpenAPI description of other methods; here the field is absent then.
  row.liquidated = row.liquidation.empty() || row.liquidation == "none" ? Liquidated::none
                   : row.liquidation == "T"                             ? Liquidated::taker
                   : row.liquidation == "M"                             ? Liquidated::maker
                   : row.liquidation == "MT"                            ? Liquidated::both
                                                                        : Liquidated::unknown;
  return {};
}

// The result is of the text (not JSON), `verdict` of the row.
Result<void> read_trade(od::object& object, TradeRow& row, Result<void>& verdict,
                        std::vector<std::string_view>& unknown) {
  TradeTexts texts;
  const auto passed = for_each_field(object, "trades", [&](std::string_view key, od::value& value) {
    if (key == "trade_seq")
      texts.seq = number_text(value);
    else if (key == "trade_id")
      take_id(value, row.id);
    else if (key == "timestamp")
      texts.time = number_text(value);
    else if (key == "price")
      texts.price = number_text(value);
    else if (key == "amount")
      texts.amount = number_text(value);
    else if (key == "contracts")
      texts.contracts = number_text(value);
    else if (key == "direction")
      take_string(value, texts.direction);
    else if (key == "instrument_name")
      take_string(value, row.instrument);
    else if (key == "liquidation")
      take_string(value, row.liquidation);
    else if (key == "block_trade_id")
      take_id(value, row.block_trade_id);
    else if (key == "combo_id")
      take_string(value, row.combo_id);
    else if (key == "legs")
      row.has_legs = true;
    else
      note_unknown(key, kTradeIgnored, unknown);
  });
  if (passed) verdict = judge(texts, row);
  return passed;
}

Result<void> read_trades(od::value& data, Frame& out) {
  out.trades.rows.clear();
  out.trades.unreadable.clear();
  od::array rows;
  if (auto error = data.get_array().get(rows)) return json_error(error, "trades");
  for (auto each : rows) {
    od::object object;
    if (auto error = each.get_object().get(object)) return json_error(error, "trades");
    TradeRow row;
    Result<void> verdict;
    if (auto done = read_trade(object, row, verdict, out.unknown_fields); !done) return done;
    if (verdict) {
      out.trades.rows.push_back(row);
      continue;
    }
    std::string_view text;
    if (auto error = object.raw_json().get(text)) return json_error(error, "trades");
    out.trades.unreadable.emplace_back(verdict.error(), text);
  }
  return {};
}

// ---- ticker, volatility, states -------------------------------------------------------------------------------

constexpr std::string_view kTickerIgnored[] = {
    "stats",           "last_price",  "best_bid_price",   "best_bid_amount",  "best_ask_price",
    "best_ask_amount", "min_price",   "max_price",        "settlement_price", "estimated_delivery_price",
    "delivery_price",  "funding_8h",  "interest_value",   "mark_iv",          "bid_iv",
    "ask_iv",          "greeks",      "underlying_price", "underlying_index", "interest_rate",
    "implied_bid",     "implied_ask", "combo_state"};

Result<void> read_ticker(od::object& object, Frame& out) {
  auto& ticker = out.ticker;
  ticker = {};
  std::string_view time, open_interest, current_funding, mark_price, index_price;
  const auto passed = for_each_field(object, "ticker", [&](std::string_view key, od::value& value) {
    if (key == "timestamp")
      time = number_text(value);
    else if (key == "instrument_name")
      take_string(value, out.instrument);
    else if (key == "state")
      take_string(value, ticker.state);
    else if (key == "open_interest")
      open_interest = number_text(value);
    else if (key == "current_funding")
      current_funding = number_text(value);
    else if (key == "mark_price")
      mark_price = number_text(value);
    else if (key == "index_price")
      index_price = number_text(value);
    else
      note_unknown(key, kTickerIgnored, out.unknown_fields);
  });
  if (!passed) return passed;
  if (out.instrument.empty()) return missing("ticker.instrument_name");
  const auto at = time_of(time, "ticker.timestamp");
  if (!at) return at.error();
  ticker.time = *at;
  if (auto done = optional_exact(open_interest, "ticker.open_interest", ticker.open_interest); !done) return done;
  if (!current_funding.empty()) {
    const auto rate = signed_exact<Ratio>(current_funding, "ticker.current_funding");
    if (!rate) return rate.error();
    ticker.current_funding = *rate;
  }
  if (auto done = optional_exact(mark_price, "ticker.mark_price", ticker.mark_price); !done) return done;
  return optional_exact(index_price, "ticker.index_price", ticker.index_price);
}

Result<void> read_volatility(od::object& object, Frame& out) {
  auto& volatility = out.volatility;
  volatility.index_name = {};
  std::string_view time, text;
  const auto passed = for_each_field(object, "volatility", [&](std::string_view key, od::value& value) {
    if (key == "timestamp")
      time = number_text(value);
    else if (key == "volatility")
      text = number_text(value);
    else if (key == "index_name")
      take_string(value, volatility.index_name);
    else
      note_unknown(key, {}, out.unknown_fields);
  });
  if (!passed) return passed;
  const auto at = time_of(time, "volatility.timestamp");
  if (!at) return at.error();
  volatility.time = *at;
  const auto value = exact<Ratio>(text, "volatility.volatility");
  if (!value) return value.error();
  volatility.volatility = *value;
  if (volatility.index_name.empty()) return missing("volatility.index_name");
  return {};
}

Result<void> read_instrument_state(od::object& object, Frame& out) {
  std::string_view time;
  out.instrument_state.state = {};
  const auto passed = for_each_field(object, "instrument.state", [&](std::string_view key, od::value& value) {
    if (key == "timestamp")
      time = number_text(value);
    else if (key == "state")
      take_string(value, out.instrument_state.state);
    else if (key == "instrument_name")
      take_string(value, out.instrument);
    else
      note_unknown(key, {}, out.unknown_fields);
  });
  if (!passed) return passed;
  const auto at = time_of(time, "instrument.state.timestamp");
  if (!at) return at.error();
  out.instrument_state.time = *at;
  if (out.instrument.empty()) return missing("instrument.state.instrument_name");
  if (out.instrument_state.state.empty()) return missing("instrument.state.state");
  return {};
}

Result<void> read_platform_state(od::object& object, Frame& out) {
  std::optional<bool> locked;
  out.platform_state.price_index = {};
  const auto passed = for_each_field(object, "platform_state", [&](std::string_view key, od::value& value) {
    bool flag = false;
    if (key == "price_index")
      take_string(value, out.platform_state.price_index);
    else if (key == "locked" && !value.get_bool().get(flag))
      locked = flag;
    else if (key != "locked" && key != "maintenance")
      note_unknown(key, {}, out.unknown_fields);
  });
  if (!passed) return passed;
  if (!locked) {
    // {"maintenance":true}: the same channel tells it, and it says nothing about one index.
    out.kind = Frame::Kind::unmapped;
    return {};
  }
  out.platform_state.locked = *locked;
  return {};
}

// ---- frames ---------------------------------------------------------------------------------------------------

Result<void> read_data(od::value& data, Frame& out) {
  using Reader = Result<void> (*)(od::object&, Frame&);
  struct Family {
    std::string_view name;
    Frame::Kind kind;
    Reader read;
  };
  constexpr Family kFamilies[] = {
      {"book", Frame::Kind::book, read_book},
      {"ticker", Frame::Kind::ticker, read_ticker},
      {"deribit_volatility_index", Frame::Kind::volatility, read_volatility},
      {"instrument.state", Frame::Kind::instrument_state, read_instrument_state},
      {"platform_state", Frame::Kind::platform_state, read_platform_state},
  };
  const auto family = channel_family(out.channel);
  if (family == "trades") {
    out.kind = Frame::Kind::trades;
    return read_trades(data, out);
  }
  const auto* found = std::ranges::find(kFamilies, family, &Family::name);
  if (found == std::end(kFamilies)) {
    out.kind = Frame::Kind::unmapped;
    out.channel = family;
    return {};
  }
  out.kind = found->kind;
  od::object object;
  if (auto error = data.get_object().get(object)) return json_error(error, family);
  return found->read(object, out);
}

// {"channel":"…","data":…} or {"type":"test_request"}
Result<void> read_params(od::value& value, Frame& out) {
  od::object params;
  if (auto error = value.get_object().get(params)) return json_error(error, "params");
  const auto channel_error = params.find_field_unordered("channel").get_string().get(out.channel);
  if (!channel_error) {
    od::value data;
    if (auto error = params.find_field_unordered("data").get(data)) return json_error(error, "params.data");
    return read_data(data, out);
  }
  if (channel_error != simdjson::NO_SUCH_FIELD) return json_error(channel_error, "params.channel");
  std::string_view type;
  const auto type_error = params.find_field_unordered("type").get_string().get(type);
  if (type_error && type_error != simdjson::NO_SUCH_FIELD) return json_error(type_error, "params.type");
  out.kind = type == "test_request" ? Frame::Kind::test_request
             : type == "heartbeat"  ? Frame::Kind::heartbeat
                                    : Frame::Kind::unmapped;
  return {};
}

Result<void> read_answer(od::value& value, Frame& out) {
  od::json_type type{};
  if (auto error = value.type().get(type)) return json_error(error, "result");
  if (type == od::json_type::array) {
    out.result_is_list = true;
    od::array names;
    if (auto error = value.get_array().get(names)) return json_error(error, "result");
    for (auto each : names) {
      od::value item;
      if (auto error = each.get(item)) return json_error(error, "result");
      std::string_view name;
      take_string(item, name);
      if (!name.empty()) out.result_names.push_back(name);
    }
    return {};
  }
  if (type != od::json_type::object) return {};
  od::object object;
  if (auto error = value.get_object().get(object)) return json_error(error, "result");
  return for_each_field(object, "result", [&](std::string_view key, od::value& item) {
    if (key != "expires_in") return;
    if (const auto seconds = integer<std::int64_t>(number_text(item), "result.expires_in")) out.expires_in = *seconds;
  });
}

Result<void> read_error(od::value& value, std::int64_t& code, std::string_view& message) {
  od::object object;
  if (auto error = value.get_object().get(object)) return json_error(error, "error");
  return for_each_field(object, "error", [&](std::string_view key, od::value& item) {
    if (key == "message") take_string(item, message);
    if (key != "code") return;
    if (const auto number = integer<std::int64_t>(number_text(item), "error.code")) code = *number;
  });
}

simdjson::padded_string_view padded_view(std::string_view text) {
  return simdjson::padded_string_view(text, text.size() + RawRecord::kFramePadding);
}

// Nothing may stand behind the document.
Result<void> at_end(od::document& document) {
  const char* place = nullptr;
  if (document.current_location().get(place) == simdjson::OUT_OF_BOUNDS) return {};
  return Error{Errc::not_json, "message", "more text after its end"};
}

Result<void> read_frame(od::object& object, Frame& out) {
  std::string_view method;
  bool has_params = false;
  bool has_result = false;
  bool has_error = false;
  const auto passed = for_each_field(object, "message", [&](std::string_view key, od::value& value) -> Result<void> {
    if (key == "method") {
      take_string(value, method);
    } else if (key == "params") {
      has_params = true;
      return read_params(value, out);
    } else if (key == "id") {
      if (const auto id = integer<std::uint64_t>(number_text(value), "id")) out.request_id = *id;
    } else if (key == "result") {
      has_result = true;
      return read_answer(value, out);
    } else if (key == "error") {
      has_error = true;
      return read_error(value, out.error_code, out.error_message);
    }
    return {};
  });
  if (!passed) return passed;
  if (has_error) {
    out.kind = Frame::Kind::error;
  } else if (has_result) {
    out.kind = Frame::Kind::answer;
  } else if (!has_params || (method != "subscription" && method != "heartbeat")) {
    out.kind = Frame::Kind::unmapped;
    out.channel = method.empty() ? std::string_view("unrecognised") : method;
  } else if (out.kind == Frame::Kind::unmapped && out.channel.empty()) {
    out.channel = method;
  }
  return {};
}

// ---- REST -----------------------------------------------------------------------------------------------------

// Calls read(value) for the answer's `result`. Errc::refused with the venue's own words when it is an error instead.
template <class F>
Result<void> read_result(od::parser& parser, std::string_view padded, const char* where, F read) {
  od::document document;
  if (auto error = parser.iterate(padded_view(padded)).get(document)) return json_error(error, where);
  od::object object;
  if (auto error = document.get_object().get(object)) return json_error(error, where);
  bool has_result = false;
  bool has_error = false;
  std::int64_t code = 0;
  std::string_view message;
  const auto passed = for_each_field(object, where, [&](std::string_view key, od::value& value) -> Result<void> {
    if (key == "result") {
      has_result = true;
      return read(value);
    }
    if (key == "error") {
      has_error = true;
      return read_error(value, code, message);
    }
    return {};
  });
  if (!passed) return passed;
  if (auto done = at_end(document); !done) return done;
  if (has_error) return Error{Errc::refused, where, std::to_string(code) + " " + shortened(message)};
  if (!has_result) return missing("result");
  return {};
}

template <class F>
Result<void> for_each_object(od::value& list, const char* where, F each) {
  od::array items;
  if (auto error = list.get_array().get(items)) return json_error(error, where);
  for (auto item : items) {
    od::object object;
    if (auto error = item.get_object().get(object)) return json_error(error, where);
    if (auto done = each(object); !done) return done;
  }
  return {};
}

struct InstrumentTexts {
  std::string_view kind, base, quote, counter, settlement, type, period, option_type, state;
  std::string_view expiry, strike, contract_size, tick_size, least_amount;
  std::optional<bool> is_active;
};

Result<void> judge_kind(const InstrumentTexts& texts, InstrumentInfo& out) {
  using Kind = InstrumentInfo::Kind;
  if (texts.kind == "spot")
    out.kind = Kind::spot;
  else if (texts.kind == "future")
    out.kind = Kind::future;
  else if (texts.kind == "option")
    out.kind = Kind::option;
  else if (texts.kind == "future_combo" || texts.kind == "option_combo")
    out.kind = Kind::combo;
  else  // a state value: without it nobody knows what its numbers mean
    return Error{Errc::bad_value, "instruments.kind", shortened(texts.kind)};
  // In which unit amounts count hangs on it, so an unknown one is refused; absent before 2022.
  if (texts.type == "reversed")
    out.inverse = true;
  else if (texts.type == "linear")
    out.inverse = false;
  else if (!texts.type.empty())
    return Error{Errc::bad_value, "instruments.instrument_type", shortened(texts.type)};
  return {};
}

Result<void> judge_numbers(const InstrumentTexts& texts, InstrumentInfo& out) {
  using Kind = InstrumentInfo::Kind;
  out.perpetual = out.kind == Kind::future && texts.period == "perpetual";
  if (out.kind == Kind::option || (out.kind == Kind::future && !out.perpetual)) {
    const auto expiry = time_of(texts.expiry, "instruments.expiration_timestamp");
    if (!expiry) return expiry.error();
    out.expiry = *expiry;
  }
  if (out.kind == Kind::option) {
    const auto strike = exact<Price>(texts.strike, "instruments.strike");
    if (!strike) return strike.error();
    out.strike = *strike;
    if (texts.option_type != "call" && texts.option_type != "put")
      return Error{Errc::bad_value, "instruments.option_type", shortened(texts.option_type)};
    out.right = texts.option_type == "call" ? OptionRight::call : OptionRight::put;
  }
  if (!texts.contract_size.empty()) {
    const auto size = exact<Quantity>(texts.contract_size, "instruments.contract_size");
    if (!size) return size.error();
    out.contract_size = size->value;
  }
  if (auto done = optional_exact(texts.tick_size, "instruments.tick_size", out.tick_size); !done) return done;
  return optional_exact(texts.least_amount, "instruments.min_trade_amount", out.least_amount);
}

Result<void> judge(const InstrumentTexts& texts, InstrumentInfo& out) {
  if (out.name.empty()) return missing("instruments.instrument_name");
  if (auto done = judge_kind(texts, out); !done) return done;
  if (texts.base.empty()) return missing("instruments.base_currency");
  if (texts.quote.empty()) return missing("instruments.quote_currency");
  out.base = texts.base;
  out.quote = texts.quote;
  out.counter = texts.counter;
  out.settlement = texts.settlement;
  out.state = !texts.state.empty() ? texts.state : texts.is_active.value_or(true) ? "open" : "closed";
  return judge_numbers(texts, out);
}

Result<void> read_instrument(od::object& object, InstrumentInfo& out, Result<void>& verdict) {
  InstrumentTexts texts;
  std::string_view future_type;
  const auto passed = for_each_field(object, "instruments", [&](std::string_view key, od::value& value) {
    std::string_view name;
    bool flag = false;
    if (key == "instrument_name") {
      take_string(value, name);
      out.name = name;
    } else if (key == "kind") {
      take_string(value, texts.kind);
    } else if (key == "base_currency") {
      take_string(value, texts.base);
    } else if (key == "quote_currency") {
      take_string(value, texts.quote);
    } else if (key == "counter_currency") {
      take_string(value, texts.counter);
    } else if (key == "settlement_currency") {
      take_string(value, texts.settlement);
    } else if (key == "instrument_type") {
      take_string(value, texts.type);
    } else if (key == "future_type") {  // the same, of 2022
      take_string(value, future_type);
    } else if (key == "settlement_period") {
      take_string(value, texts.period);
    } else if (key == "option_type") {
      take_string(value, texts.option_type);
    } else if (key == "state") {
      take_string(value, texts.state);
    } else if (key == "is_active") {
      if (!value.get_bool().get(flag)) texts.is_active = flag;
    } else if (key == "expiration_timestamp") {
      texts.expiry = number_text(value);
    } else if (key == "strike") {
      texts.strike = number_text(value);
    } else if (key == "contract_size") {
      texts.contract_size = number_text(value);
    } else if (key == "tick_size") {
      texts.tick_size = number_text(value);
    } else if (key == "min_trade_amount") {
      texts.least_amount = number_text(value);
    }
  });
  if (!passed) return passed;
  if (texts.type.empty()) texts.type = future_type;
  verdict = judge(texts, out);
  return {};
}

Result<void> add_instrument(od::object& object, InstrumentList& out) {
  InstrumentInfo info;
  Result<void> verdict;
  if (auto done = read_instrument(object, info, verdict); !done) return done;
  if (verdict) {
    out.instruments.push_back(std::move(info));
    return {};
  }
  std::string_view text;
  if (auto error = object.raw_json().get(text)) return json_error(error, "instruments");
  out.unreadable.emplace_back(verdict.error(), text);
  return {};
}

// [[64250.0,12000.0],…]: price, amount.
Result<void> read_plain_levels(od::value& value, std::vector<BookLevel>& out, const char* where) {
  od::array levels;
  if (auto error = value.get_array().get(levels)) return json_error(error, where);
  for (auto each : levels) {
    od::array parts;
    if (auto error = each.get_array().get(parts)) return json_error(error, where);
    std::string_view texts[2];
    std::size_t count = 0;
    for (auto part : parts) {
      od::value item;
      if (auto error = part.get(item)) return json_error(error, where);
      if (count < std::size(texts)) texts[count] = number_text(item);
      ++count;
    }
    const auto price = exact<Price>(texts[0], where);
    if (!price) return price.error();
    const auto amount = exact<Quantity>(texts[1], where);
    if (!amount) return amount.error();
    out.push_back({*price, *amount});
  }
  return {};
}

Result<void> read_rest_book(od::object& object, RestBook& out) {
  std::string_view time, change_id;
  bool has_bids = false;
  bool has_asks = false;
  const auto passed = for_each_field(object, "order_book", [&](std::string_view key, od::value& value) -> Result<void> {
    if (key == "bids") {
      has_bids = true;
      return read_plain_levels(value, out.bids, "order_book.bids");
    }
    if (key == "asks") {
      has_asks = true;
      return read_plain_levels(value, out.asks, "order_book.asks");
    }
    if (key == "timestamp")
      time = number_text(value);
    else if (key == "change_id")
      change_id = number_text(value);
    return {};
  });
  if (!passed) return passed;
  const auto id = integer<std::uint64_t>(change_id, "order_book.change_id");
  if (!id) return id.error();
  out.change_id = *id;
  const auto at = time_of(time, "order_book.timestamp");
  if (!at) return at.error();
  out.time = *at;
  if (!has_bids) return missing("order_book.bids");
  if (!has_asks) return missing("order_book.asks");
  return {};
}

// [1790000000000,47.1,47.9,46.8,47.36]: time, open, high, low, close
Result<void> add_bars(od::value& value, std::vector<VolatilityBar>& out) {
  od::array rows;
  if (auto error = value.get_array().get(rows)) return json_error(error, "volatility.data");
  for (auto row : rows) {
    od::array parts;
    if (auto error = row.get_array().get(parts)) return json_error(error, "volatility.data");
    std::string_view texts[5];
    std::size_t count = 0;
    for (auto part : parts) {
      od::value item;
      if (auto error = part.get(item)) return json_error(error, "volatility.data");
      if (count < std::size(texts)) texts[count] = number_text(item);
      ++count;
    }
    VolatilityBar bar;
    const auto time = time_of(texts[0], "volatility.data[0]");
    if (!time) return time.error();
    bar.time = *time;
    Ratio* const values[] = {&bar.open, &bar.high, &bar.low, &bar.close};
    for (std::size_t i = 0; i < std::size(values); ++i) {
      const auto parsed = exact<Ratio>(texts[i + 1], "volatility.data");
      if (!parsed) return parsed.error();
      *values[i] = *parsed;
    }
    out.push_back(bar);
  }
  return {};
}

Result<void> add_funding(od::object& object, std::vector<FundingRow>& out) {
  std::string_view time, interest, index_price;
  const auto passed = for_each_field(object, "funding", [&](std::string_view key, od::value& value) {
    if (key == "timestamp")
      time = number_text(value);
    else if (key == "interest_1h")
      interest = number_text(value);
    else if (key == "index_price")
      index_price = number_text(value);
  });
  if (!passed) return passed;
  FundingRow row;
  const auto at = time_of(time, "funding.timestamp");
  if (!at) return at.error();
  row.time = *at;
  const auto rate = signed_exact<Ratio>(interest, "funding.interest_1h");
  if (!rate) return rate.error();
  row.interest_1h = *rate;
  if (auto done = optional_exact(index_price, "funding.index_price", row.index_price); !done) return done;
  out.push_back(row);
  return {};
}

Result<void> add_summary(od::object& object, std::vector<SummaryRow>& out) {
  std::string_view name, volume;
  const auto passed = for_each_field(object, "summary", [&](std::string_view key, od::value& value) {
    if (key == "instrument_name")
      take_string(value, name);
    else if (key == "volume_usd")
      volume = number_text(value);
  });
  if (!passed) return passed;
  if (name.empty()) return missing("summary.instrument_name");
  SummaryRow row;
  row.name = name;
  if (const auto parsed = Decimal::parse(volume)) row.volume_usd = *parsed;
  out.push_back(std::move(row));
  return {};
}

}  // namespace

std::string_view channel_family(std::string_view channel) {
  // Names of two words: what follows is the subject.
  if (channel.starts_with("instrument.state.")) return "instrument.state";
  if (channel.starts_with("chart.trades.")) return "chart.trades";
  const auto family = channel.substr(0, channel.find('.'));
  // book.{instrument}.{interval} is the chain of changes; book.{instrument}.{group}.{depth}.{interval} replaces.
  if (family == "book" && std::ranges::count(channel, '.') > 2) return "book (grouped)";
  return family;
}

std::string_view channel_subject(std::string_view channel) {
  const auto family = channel.starts_with("instrument.state.") ? std::string_view("instrument.state")
                                                               : channel.substr(0, channel.find('.'));
  if (family.size() >= channel.size()) return {};
  channel.remove_prefix(family.size() + 1);
  return channel.substr(0, channel.find('.'));
}

struct Decoder::Impl {
  od::parser parser;
  Frame frame;
};

Decoder::Decoder() : impl_(std::make_unique<Impl>()) {}
Decoder::~Decoder() = default;
Decoder::Decoder(Decoder&&) noexcept = default;

Result<Frame*> Decoder::frame(std::string_view padded) {
  auto& out = impl_->frame;
  out.kind = Frame::Kind::unmapped;
  out.channel = {};
  out.instrument = {};
  out.request_id.reset();
  out.result_is_list = false;
  out.result_names.clear();
  out.expires_in.reset();
  out.error_code = 0;
  out.error_message = {};
  out.unknown_fields.clear();
  od::document document;
  if (auto error = impl_->parser.iterate(padded_view(padded)).get(document)) return json_error(error, "message");
  od::object object;
  if (auto error = document.get_object().get(object)) return json_error(error, "message");
  if (auto done = read_frame(object, out); !done) return done.error();
  if (auto done = at_end(document); !done) return done.error();
  return &out;
}

std::optional<RequestFrame> Decoder::request(std::string_view padded) {
  od::document document;
  if (impl_->parser.iterate(padded_view(padded)).get(document)) return std::nullopt;
  RequestFrame out;
  std::string_view method;
  if (document["method"].get(method)) return std::nullopt;
  if (method.ends_with("/subscribe"))
    out.method = RequestFrame::Method::subscribe;
  else if (method.ends_with("/unsubscribe"))
    out.method = RequestFrame::Method::unsubscribe;
  else
    return std::nullopt;
  od::array channels;
  if (document["params"]["channels"].get(channels)) return std::nullopt;
  for (auto each : channels) {
    std::string_view name;
    if (each.get(name)) return std::nullopt;
    out.channels.push_back(name);
  }
  if (document["id"].get(out.id)) return std::nullopt;
  return out;
}

Result<InstrumentList> Decoder::instruments(std::string_view padded) {
  InstrumentList out;
  const auto done = read_result(impl_->parser, padded, "instruments", [&](od::value& value) -> Result<void> {
    od::json_type type{};
    if (auto error = value.type().get(type)) return json_error(error, "instruments");
    if (type == od::json_type::array)
      return for_each_object(value, "instruments", [&](od::object& each) { return add_instrument(each, out); });
    od::object object;  // get_instrument answers with one
    if (auto error = value.get_object().get(object)) return json_error(error, "instruments");
    return add_instrument(object, out);
  });
  if (!done) return done.error();
  return out;
}

Result<RestBook> Decoder::order_book(std::string_view padded) {
  RestBook out;
  const auto done = read_result(impl_->parser, padded, "order_book", [&](od::value& value) -> Result<void> {
    od::object object;
    if (auto error = value.get_object().get(object)) return json_error(error, "order_book");
    return read_rest_book(object, out);
  });
  if (!done) return done.error();
  return out;
}

Result<VolatilityHistory> Decoder::volatility_history(std::string_view padded) {
  VolatilityHistory out;
  bool has_data = false;
  const auto done = read_result(impl_->parser, padded, "volatility", [&](od::value& value) -> Result<void> {
    od::object object;
    if (auto error = value.get_object().get(object)) return json_error(error, "volatility");
    return for_each_field(object, "volatility", [&](std::string_view key, od::value& item) -> Result<void> {
      if (key == "data") {
        has_data = true;
        return add_bars(item, out.bars);
      }
      if (key != "continuation") return {};
      const auto text = number_text(item);
      if (text.empty()) return {};
      const auto number = integer<std::int64_t>(text, "volatility.continuation");
      if (!number) return number.error();
      out.continuation = *number;
      return {};
    });
  });
  if (!done) return done.error();
  if (!has_data) return missing("volatility.data");
  return out;
}

Result<std::vector<FundingRow>> Decoder::funding_history(std::string_view padded) {
  std::vector<FundingRow> out;
  const auto done = read_result(impl_->parser, padded, "funding", [&](od::value& value) {
    return for_each_object(value, "funding", [&](od::object& each) { return add_funding(each, out); });
  });
  if (!done) return done.error();
  return out;
}

Result<std::vector<SummaryRow>> Decoder::summaries(std::string_view padded) {
  std::vector<SummaryRow> out;
  const auto done = read_result(impl_->parser, padded, "summary", [&](od::value& value) {
    return for_each_object(value, "summary", [&](od::object& each) { return add_summary(each, out); });
  });
  if (!done) return done.error();
  return out;
}

}  // namespace mp::deribit
