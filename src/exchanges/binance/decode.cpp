#include "exchanges/binance/decode.hpp"

#include <simdjson.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <span>

#include "base/raw_record.hpp"
#include "base/text.hpp"

namespace mp::binance {
namespace {

namespace od = simdjson::ondemand;
static_assert(RawRecord::kFramePadding >= simdjson::SIMDJSON_PADDING);

using Names = std::span<const std::string_view>;

// Whole microseconds of the year 1973, milliseconds of the year 5138.
constexpr std::int64_t kLeastMicroseconds = 100'000'000'000'000;

Error json_error(simdjson::error_code code, std::string_view where) {
  switch (code) {
    case simdjson::INCORRECT_TYPE: return {Errc::bad_type, std::string(where), ""};
    case simdjson::NUMBER_ERROR:
    case simdjson::NUMBER_OUT_OF_RANGE: return {Errc::bad_number, std::string(where), ""};
    case simdjson::NO_SUCH_FIELD: return {Errc::missing_field, std::string(where), ""};
    default: return {Errc::not_json, std::string(where), simdjson::error_message(code)};
  }
}

Error missing(std::string_view event, const char* field) {
  return {Errc::missing_field, std::string(event) + "." + field, "absent or of another type"};
}

// The key between its quotes, not unescaped: our names have no escapes.
std::string_view key_of(od::field& field) {
  const char* raw = field.key().raw();
  const auto* end = static_cast<const char*>(std::memchr(raw, '"', 32));
  return end ? std::string_view(raw, static_cast<std::size_t>(end - raw)) : std::string_view{};
}

// A string's bytes as they stand in the text. Decimals have no escapes; an escaped one is refused as a number.
bool raw_string(od::value& value, std::string_view& out) {
  std::string_view token = value.raw_json_token();
  if (token.size() < 2 || token.front() != '"') return false;
  token.remove_prefix(1);
  const auto end = token.rfind('"');
  if (end == std::string_view::npos) return false;
  out = token.substr(0, end);
  return true;
}

// A string's bytes or those of a number, as they stand in the text; nothing for lists and objects.
std::optional<std::string_view> scalar_text(od::value& value) {
  od::json_type type{};
  if (value.type().get(type)) return std::nullopt;
  if (type == od::json_type::array || type == od::json_type::object) return std::nullopt;
  std::string_view text;
  if (type == od::json_type::string) return raw_string(value, text) ? std::optional{text} : std::nullopt;
  text = value.raw_json_token();
  while (!text.empty() && static_cast<unsigned char>(text.back()) <= ' ') text.remove_suffix(1);
  return text == "null" ? std::string_view{} : text;
}

std::optional<std::int64_t> whole_number(std::string_view text) {
  std::int64_t out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc{} && end == text.data() + text.size() ? std::optional{out} : std::nullopt;
}

Error with_place(Error error, std::string_view where) {
  error.where = where;
  return error;
}

template <class T>
Result<T> exact(std::string_view text, std::string_view where) {
  auto value = T::parse(text);
  if (!value) return with_place(value.error(), where);
  if (value->value.is_negative()) return Error{Errc::bad_value, std::string(where), shortened(text)};
  return *value;
}

// [["price","quantity"],…]; further elements of a level are ignored (old replies had an empty list there).
Result<void> read_levels(od::value& value, std::vector<BookLevel>& out, const char* where) {
  out.clear();
  if (out.capacity() == 0) out.reserve(16);  // it is moved into an event each time
  od::array levels;
  if (auto error = value.get_array().get(levels)) return json_error(error, where);
  for (auto each : levels) {
    od::array pair;
    if (auto error = each.get_array().get(pair)) return json_error(error, where);
    std::string_view texts[2];
    std::size_t count = 0;
    for (auto part : pair) {
      od::value text;
      if (auto error = part.get(text)) return json_error(error, where);
      if (count < 2 && !raw_string(text, texts[count]))
        return Error{Errc::bad_type, where, "a level's part is no string"};
      ++count;
    }
    if (count < 2) return Error{Errc::missing_field, where, "a level without quantity"};
    const auto price = exact<Price>(texts[0], where);
    if (!price) return price.error();
    const auto quantity = exact<Quantity>(texts[1], where);
    if (!quantity) return quantity.error();
    out.push_back({*price, *quantity});
  }
  return {};
}

// The fields that any of our messages may have, gathered in one pass whatever their order. A field of another JSON
// type than ours belongs to another message (a ticker's `b` is a string) and is left out.
struct OrderFields {
  std::string_view s, S, q, p, ap, X, z;
  std::optional<std::int64_t> T, st;
};
struct Fields {
  std::string_view stream, e, s, p, q, i, r, X, message;
  std::optional<std::int64_t> E, T, t, a, f, l, U, u, pu, st, code, last_update_id;
  std::optional<std::uint64_t> id;
  std::optional<bool> m;
  bool has_bids = false, has_asks = false, has_result = false, has_error = false, has_best = false;
  bool data_is_list = false;
  std::optional<OrderFields> o;
  std::uint64_t seen = 0;  // keys of the message, a bit for each that we know of any message
};

// One bit for each letter that is a key, and one for each of our longer keys.
constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
constexpr std::string_view kWords[] = {"pu", "ps", "st", "nq", "ap"};
static_assert(kLetters.size() + std::size(kWords) < 64);

constexpr std::uint64_t bit_of(std::string_view key) {
  if (key.size() == 1) {
    const char c = key[0];
    if (c >= 'a' && c <= 'z') return std::uint64_t{1} << (c - 'a');
    if (c >= 'A' && c <= 'Z') return std::uint64_t{1} << (26 + c - 'A');
    return 0;
  }
  for (std::size_t i = 0; i < std::size(kWords); ++i)
    if (key == kWords[i]) return std::uint64_t{1} << (kLetters.size() + i);
  return 0;
}
constexpr std::uint64_t bits_of(std::string_view letters, std::initializer_list<std::string_view> words) {
  std::uint64_t out = 0;
  for (std::size_t i = 0; i < letters.size(); ++i) out |= bit_of(letters.substr(i, 1));
  for (const auto word : words) out |= bit_of(word);
  return out;
}

// What each message is known to have, in either market and in old recordings (`a` and `b` of trade were order ids).
struct KnownKeys {
  const char* event;
  std::uint64_t keys;
};
constexpr KnownKeys kTradeKeys{"trade", bits_of("eEsabtpqTmMX", {"ps", "st"})};
constexpr KnownKeys kAggTradeKeys{"aggTrade", bits_of("eEsapqflTmM", {"ps", "st", "nq"})};
constexpr KnownKeys kDepthKeys{"depthUpdate", bits_of("eETsUuba", {"pu", "ps", "st"})};
constexpr KnownKeys kMarkPriceKeys{"markPriceUpdate", bits_of("eEspiPrT", {"ap", "ps", "st"})};
constexpr KnownKeys kForceOrderKeys{"forceOrder", bits_of("eEo", {"ps", "st"})};
// Of the order within; o and f are its type and its time in force, l what was filled last.
constexpr std::string_view kOrderKeys[] = {"s", "ps", "st", "S", "o", "f", "q", "p", "ap", "X", "l", "z", "T"};
// Around the message, or of messages that are none of data.
constexpr std::string_view kWrapperKeys[] = {"stream", "data", "id", "result", "error", "code", "msg", "lastUpdateId"};

bool is_one_of(std::string_view name, Names names) { return std::ranges::find(names, name) != names.end(); }

void take_integer(od::value& value, std::optional<std::int64_t>& out) {
  std::int64_t number = 0;
  if (!value.get_int64().get(number)) out = number;
}

void take_string(od::value& value, std::string_view& out) {
  std::string_view text;
  if (!value.get_string().get(text)) out = text;
}

void take_decimal(od::value& value, std::string_view& out) { out = scalar_text(value).value_or(std::string_view{}); }

class Pass {
 public:
  // What stands in it under names that no message of ours has comes to `strange`.
  // A list of messages goes to `list`.
  using List = Result<void> (*)(od::array&, Frame&);
  Pass(Fields& fields, Frame& frame, std::vector<std::string_view>& strange, List list = nullptr)
      : fields_(fields), frame_(frame), depth_(frame.depth), strange_(strange), list_(list) {}

  Result<void> object(od::object& object) {
    for (auto each : object) {
      od::field field;
      if (auto error = std::move(each).get(field)) return json_error(error, "message");
      od::value& value = field.value();
      od::json_type type{};
      if (auto error = value.type().get(type)) return json_error(error, "message");
      if (auto done = one(key_of(field), value, type); !done) return done;
    }
    return {};
  }

 private:
  Result<void> one(std::string_view key, od::value& value, od::json_type type) {
    if (const auto bit = bit_of(key))
      fields_.seen |= bit;
    else if (!is_one_of(key, kWrapperKeys))
      strange_.push_back(key);
    switch (type) {
      case od::json_type::string: string(key, value); return {};
      case od::json_type::number: number(key, value); return {};
      case od::json_type::array: return array(key, value);
      case od::json_type::object: return nested(key, value);
      case od::json_type::boolean: {
        bool b = false;
        if (key == "m" && !value.get_bool().get(b)) fields_.m = b;
        return {};
      }
      case od::json_type::null:
        if (key == "result") fields_.has_result = true;
        return {};
    }
    return {};
  }

  void string(std::string_view key, od::value& value) {
    if (key == "p") {
      raw_string(value, fields_.p);
    } else if (key == "q") {
      raw_string(value, fields_.q);
    } else if (key == "e") {
      take_string(value, fields_.e);
    } else if (key == "s") {
      take_string(value, fields_.s);
    } else if (key == "stream") {
      take_string(value, fields_.stream);
    } else if (key == "X") {
      take_string(value, fields_.X);
    } else if (key == "r") {
      raw_string(value, fields_.r);
    } else if (key == "i") {
      raw_string(value, fields_.i);
    } else if (key == "T" || key == "E") {
      std::string_view text;
      if (raw_string(value, text)) (key == "T" ? fields_.T : fields_.E) = whole_number(text);
    } else if (key == "msg") {
      take_string(value, fields_.message);
    } else if (key == "B") {
      fields_.has_best = true;
    }
  }

  void number(std::string_view key, od::value& value) {
    if (key.size() == 1) {
      switch (key[0]) {
        case 'E': return take_integer(value, fields_.E);
        case 'T': return take_integer(value, fields_.T);
        case 't': return take_integer(value, fields_.t);
        case 'a': return take_integer(value, fields_.a);
        case 'f': return take_integer(value, fields_.f);
        case 'l': return take_integer(value, fields_.l);
        case 'U': return take_integer(value, fields_.U);
        case 'u': return take_integer(value, fields_.u);
        // Decimals come as strings; as numbers they are as exact in the text.
        case 'p': return take_decimal(value, fields_.p);
        case 'q': return take_decimal(value, fields_.q);
        case 'i': return take_decimal(value, fields_.i);
        case 'r': return take_decimal(value, fields_.r);
        default: return;
      }
    }
    if (key == "pu") {
      take_integer(value, fields_.pu);
    } else if (key == "st") {
      take_integer(value, fields_.st);
    } else if (key == "code") {
      take_integer(value, fields_.code);
    } else if (key == "lastUpdateId") {
      take_integer(value, fields_.last_update_id);
    } else if (key == "id") {
      std::uint64_t id = 0;
      if (!value.get_uint64().get(id)) fields_.id = id;
    }
  }

  Result<void> array(std::string_view key, od::value& value) {
    // Only depth messages have lists under these names.
    if (key == "b") {
      fields_.has_bids = true;
      return read_levels(value, depth_.bids, "bids");
    }
    if (key == "a") {
      fields_.has_asks = true;
      return read_levels(value, depth_.asks, "asks");
    }
    if (key == "result") fields_.has_result = true;
    if (key != "data") return {};
    fields_.data_is_list = true;
    od::array list;
    if (auto error = value.get_array().get(list)) return json_error(error, key);
    return list_ ? list_(list, frame_) : Result<void>{};
  }

  Result<void> nested(std::string_view key, od::value& value) {
    if (key != "data" && key != "error" && key != "o") return {};
    if (key == "error") fields_.has_error = true;
    // A message stands within one wrapper. What goes on like that must not cost us the stack.
    if (level_ == kMaxLevels)
      return Error{Errc::bad_value, std::string(key), fmt::format("nested more than {} deep", kMaxLevels)};
    od::object inner;
    if (auto error = value.get_object().get(inner)) return json_error(error, key);
    if (key == "o") return order(inner);
    ++level_;
    auto done = object(inner);
    --level_;
    return done;
  }

  Result<void> order(od::object& object) {
    auto& out = fields_.o.emplace();
    for (auto each : object) {
      od::field field;
      if (auto error = std::move(each).get(field)) return json_error(error, "forceOrder");
      const auto key = key_of(field);
      if (!is_one_of(key, kOrderKeys)) strange_.push_back(key);
      const auto text = scalar_text(field.value());
      if (!text) continue;
      if (key == "s") out.s = *text;
      if (key == "S") out.S = *text;
      if (key == "q") out.q = *text;
      if (key == "p") out.p = *text;
      if (key == "ap") out.ap = *text;
      if (key == "X") out.X = *text;
      if (key == "z") out.z = *text;
      if (key == "T") out.T = whole_number(*text);
      if (key == "st") out.st = whole_number(*text);
    }
    return {};
  }

  Fields& fields_;
  Frame& frame_;
  DepthFrame& depth_;
  std::vector<std::string_view>& strange_;
  List list_;
  static constexpr int kMaxLevels = 8;
  int level_ = 0;
};

Result<std::uint64_t> id_field(std::string_view event, const char* name, const std::optional<std::int64_t>& value) {
  if (!value) return missing(event, name);
  if (*value < 0) return Error{Errc::bad_value, std::string(event) + "." + name, std::to_string(*value)};
  return static_cast<std::uint64_t>(*value);
}

Result<void> fill_trade(const Fields& in, TradeFrame& out) {
  out.aggregated = in.e == "aggTrade";
  const auto id = id_field(in.e, out.aggregated ? "a" : "t", out.aggregated ? in.a : in.t);
  if (!id) return id.error();
  out.id = *id;
  if (out.aggregated) {
    const auto first = id_field(in.e, "f", in.f);
    if (!first) return first.error();
    const auto last = id_field(in.e, "l", in.l);
    if (!last) return last.error();
    out.first_id = *first;
    out.last_id = *last;
  }
  if (in.s.empty()) return missing(in.e, "s");
  if (!in.T) return missing(in.e, "T");
  const auto time = time_of(*in.T);
  if (!time) return time.error();
  out.time = *time;
  if (!in.m) return missing(in.e, "m");
  out.buyer_is_maker = *in.m;
  out.on_tape = in.X.empty() || in.X == "MARKET";
  if (!out.on_tape) return {};
  if (in.p.empty()) return missing(in.e, "p");
  const auto price = exact<Price>(in.p, "price");
  if (!price) return price.error();
  if (in.q.empty()) return missing(in.e, "q");
  const auto quantity = exact<Quantity>(in.q, "quantity");
  if (!quantity) return quantity.error();
  out.price = *price;
  out.quantity = *quantity;
  return {};
}

Result<void> fill_depth(const Fields& in, DepthFrame& out) {
  if (in.s.empty()) return missing(in.e, "s");
  const auto first = id_field(in.e, "U", in.U);
  if (!first) return first.error();
  const auto last = id_field(in.e, "u", in.u);
  if (!last) return last.error();
  if (*last < *first)
    return Error{Errc::bad_value, "depthUpdate.u", std::to_string(*last) + " below U " + std::to_string(*first)};
  out.first_id = *first;
  out.last_id = *last;
  out.prev_id.reset();
  if (in.pu && *in.pu >= 0) out.prev_id = static_cast<std::uint64_t>(*in.pu);
  if (!in.T && !in.E) return missing(in.e, "E");
  const auto time = time_of(in.T ? *in.T : *in.E);
  if (!time) return time.error();
  out.time = *time;
  if (!in.has_bids) return missing(in.e, "b");
  if (!in.has_asks) return missing(in.e, "a");
  return {};
}

// "" is a value that is not there.
template <class T>
Result<std::optional<T>> exact_or_none(std::string_view text, std::string_view where) {
  if (text.empty()) return std::optional<T>{};
  const auto value = exact<T>(text, where);
  if (!value) return value.error();
  return std::optional<T>{*value};
}

// Rates may be below zero.
Result<std::optional<Ratio>> rate_or_none(std::string_view text, std::string_view where) {
  if (text.empty()) return std::optional<Ratio>{};
  const auto value = Ratio::parse(text);
  if (!value) return with_place(value.error(), where);
  return std::optional<Ratio>{*value};
}

Result<std::optional<WallTime>> time_or_none(const std::optional<std::int64_t>& value) {
  if (!value) return std::optional<WallTime>{};
  const auto time = time_of(*value);
  if (!time) return time.error();
  return std::optional<WallTime>{*time};
}

// The next charge: 0 where there is none.
Result<std::optional<WallTime>> funding_time_of(const std::optional<std::int64_t>& value) {
  return value == 0 ? std::optional<WallTime>{} : time_or_none(value);
}

Result<void> fill_mark_price(const Fields& in, MarkPriceRow& out) {
  if (in.s.empty()) return missing(in.e, "s");
  out.symbol = in.s;
  out.st = in.st;
  const auto mark = exact_or_none<Price>(in.p, "markPriceUpdate.p");
  if (!mark) return mark.error();
  const auto index = exact_or_none<Price>(in.i, "markPriceUpdate.i");
  if (!index) return index.error();
  const auto rate = rate_or_none(in.r, "markPriceUpdate.r");
  if (!rate) return rate.error();
  const auto funding_time = funding_time_of(in.T);
  if (!funding_time) return funding_time.error();
  const auto time = time_or_none(in.E);
  if (!time) return time.error();
  out.mark = *mark;
  out.index = *index;
  out.rate = *rate;
  out.funding_time = *funding_time;
  out.time = *time;
  return {};
}

template <class T>
void drop_zero(std::optional<T>& value) {
  if (value && value->value.is_zero()) value.reset();
}

Result<void> fill_liquidation(const OrderFields& in, LiquidationFrame& out) {
  constexpr std::string_view kWhere = "forceOrder.o";
  if (in.s.empty()) return missing(kWhere, "s");
  if (in.S.empty()) return missing(kWhere, "S");
  if (in.S != "SELL" && in.S != "BUY") return Error{Errc::bad_value, "forceOrder.o.S", shortened(in.S)};
  out.side = in.S == "SELL" ? Side::sell : Side::buy;
  if (in.q.empty()) return missing(kWhere, "q");
  const auto quantity = exact<Quantity>(in.q, "forceOrder.o.q");
  if (!quantity) return quantity.error();
  const auto price = exact_or_none<Price>(in.p, "forceOrder.o.p");
  if (!price) return price.error();
  const auto average = exact_or_none<Price>(in.ap, "forceOrder.o.ap");
  if (!average) return average.error();
  const auto filled = exact_or_none<Quantity>(in.z, "forceOrder.o.z");
  if (!filled) return filled.error();
  if (!in.T) return missing(kWhere, "T");
  const auto time = time_of(*in.T);
  if (!time) return time.error();
  out.quantity = *quantity;
  out.price = *price;
  out.average = *average;
  drop_zero(out.price);
  drop_zero(out.average);
  out.filled = *filled;
  out.status = in.X;
  out.time = *time;
  return {};
}

// Diff depth only: partial books (depth5, depth20@100ms) replace, and have the same event name on futures.
bool is_diff_depth(std::string_view stream) {
  if (stream.empty()) return true;
  const auto channel = channel_of(stream);
  return channel == "depth" || channel.starts_with("depth@");
}

void set_unmapped(const Fields& in, Frame& out) {
  out.kind = Frame::Kind::unmapped;
  if (!in.stream.empty())
    out.channel = channel_of(in.stream);
  else if (!in.e.empty())
    out.channel = in.e;
  else if (in.last_update_id)
    out.channel = "partial depth";
  else if (in.u && in.has_best)
    out.channel = "bookTicker";
  else
    out.channel = "unrecognised";
}

Result<void> fill(const Fields& in, Frame& out) {
  out.stream = in.stream;
  out.symbol = in.o ? in.o->s : in.s;
  out.st = in.st || !in.o ? in.st : in.o->st;
  out.request_id = in.id;
  if (in.has_error || (in.code && in.e.empty() && in.stream.empty())) {
    out.kind = Frame::Kind::error;
    out.error_code = in.code.value_or(0);
    out.error_message = in.message;
  } else if (in.has_result) {
    out.kind = Frame::Kind::answer;
  } else if (in.e == "depthUpdate" && is_diff_depth(in.stream)) {
    out.kind = Frame::Kind::depth;
    return fill_depth(in, out.depth);
  } else if (in.e == "aggTrade" || in.e == "trade") {
    out.kind = Frame::Kind::trade;
    return fill_trade(in, out.trade);
  } else if (in.e == "markPriceUpdate") {
    out.kind = Frame::Kind::mark_price;
    return fill_mark_price(in, out.mark_prices.rows.emplace_back());
  } else if (in.e == "forceOrder") {
    out.kind = Frame::Kind::liquidation;
    if (!in.o) return missing(in.e, "o");
    return fill_liquidation(*in.o, out.liquidation);
  } else if (in.data_is_list && (!out.mark_prices.rows.empty() || !out.mark_prices.unreadable.empty())) {
    out.kind = Frame::Kind::mark_price;
  } else if (in.e == "serverShutdown") {
    out.kind = Frame::Kind::shutdown;
  } else {
    set_unmapped(in, out);
  }
  return {};
}

void note_unknown(const KnownKeys& known, const Fields& in, const std::vector<std::string_view>& strange, Frame& out) {
  for (const auto key : strange) out.unknown_fields.push_back({known.event, key});
  auto rest = in.seen & ~known.keys;
  for (std::size_t bit = 0; rest != 0; ++bit, rest >>= 1) {
    if ((rest & 1) == 0) continue;
    out.unknown_fields.push_back(
        {known.event, bit < kLetters.size() ? kLetters.substr(bit, 1) : kWords[bit - kLetters.size()]});
  }
}

void note_unknown(const Fields& in, const std::vector<std::string_view>& strange, Frame& out) {
  switch (out.kind) {
    case Frame::Kind::trade: return note_unknown(out.trade.aggregated ? kAggTradeKeys : kTradeKeys, in, strange, out);
    case Frame::Kind::depth: return note_unknown(kDepthKeys, in, strange, out);
    case Frame::Kind::mark_price: return note_unknown(kMarkPriceKeys, in, strange, out);
    case Frame::Kind::liquidation: return note_unknown(kForceOrderKeys, in, strange, out);
    case Frame::Kind::answer:
    case Frame::Kind::error:
    case Frame::Kind::shutdown:
    case Frame::Kind::unmapped: return;
  }
}

// The one list of messages that we take: !markPrice@arr. Messages of other kinds in it are left out.
Result<void> read_mark_prices(od::array& list, Frame& out) {
  std::vector<std::string_view> strange;
  for (auto each : list) {
    od::value item;
    if (auto error = each.get(item)) return json_error(error, "message");
    od::json_type type{};
    if (auto error = item.type().get(type)) return json_error(error, "message");
    od::object object;
    if (type != od::json_type::object) continue;
    if (auto error = item.get_object().get(object)) return json_error(error, "message");
    std::string_view event;
    if (object.find_field_unordered("e").get_string().get(event) || event != "markPriceUpdate") continue;
    if (auto error = object.reset().error()) return json_error(error, "message");
    Fields fields;
    strange.clear();
    if (auto done = Pass(fields, out, strange).object(object); !done) return done;
    MarkPriceRow row;
    if (auto done = fill_mark_price(fields, row); !done) {
      std::string_view text;
      if (auto error = object.raw_json().get(text)) return json_error(error, "message");
      out.mark_prices.unreadable.emplace_back(done.error(), text);
      continue;
    }
    out.mark_prices.rows.push_back(row);
    note_unknown(kMarkPriceKeys, fields, strange, out);
  }
  return {};
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

Result<void> read_filters(od::value& value, SymbolInfo& out) {
  od::array filters;
  if (auto error = value.get_array().get(filters)) return json_error(error, "filters");
  for (auto each : filters) {
    od::object filter;
    if (auto error = each.get_object().get(filter)) return json_error(error, "filters");
    std::string_view type, tick, step;
    for (auto item : filter) {
      od::field field;
      if (auto error = std::move(item).get(field)) return json_error(error, "filters");
      const auto key = key_of(field);
      if (key == "filterType")
        take_string(field.value(), type);
      else if (key == "tickSize")
        raw_string(field.value(), tick);
      else if (key == "stepSize")
        raw_string(field.value(), step);
    }
    if (type == "PRICE_FILTER" && !tick.empty()) {
      const auto value_ = exact<Price>(tick, "tickSize");
      if (!value_) return value_.error();
      if (!value_->value.is_zero()) out.tick_size = *value_;
    } else if (type == "LOT_SIZE" && !step.empty()) {
      const auto value_ = exact<Quantity>(step, "stepSize");
      if (!value_) return value_.error();
      if (!value_->value.is_zero()) out.step_size = *value_;
    }
  }
  return {};
}

// Reads the fields of one entry of a REST answer, all of them: the first value that cannot be read is kept, and the
// entry goes on being read, so that those after it are not lost.
class Reading {
 public:
  Reading(const char* where, std::vector<UnknownField>& unknown) : where_(where), unknown_(unknown) {}

  std::string_view text(od::value& value, std::string_view key) {
    const auto out = scalar_text(value);
    if (!out) fail({Errc::bad_type, place(key), "no text"});
    return out.value_or(std::string_view{});
  }
  // A symbol may have escapes.
  std::string_view name(od::value& value, std::string_view key) {
    std::string_view out;
    if (value.get_string().get(out)) fail({Errc::bad_type, place(key), "no text"});
    return out;
  }
  std::optional<WallTime> time(od::value& value, std::string_view key) {
    const auto digits = text(value, key);
    if (digits.empty()) return std::nullopt;
    const auto number = whole_number(digits);
    if (!number) {
      fail({Errc::bad_number, place(key), shortened(digits)});
      return std::nullopt;
    }
    if (const auto out = time_of(*number)) return *out;
    fail({Errc::bad_time, place(key), std::to_string(*number)});
    return std::nullopt;
  }
  template <class T>
  std::optional<T> not_negative(od::value& value, std::string_view key) {
    return keep(exact_or_none<T>(text(value, key), place(key)));
  }
  std::optional<Ratio> rate(od::value& value, std::string_view key) {
    return keep(rate_or_none(text(value, key), place(key)));
  }
  // `take(key, value)` answers whether the field is one of ours.
  template <class Take>
  Result<void> each(od::object& object, Names unused, Take take) {
    for (auto item : object) {
      od::field field;
      if (auto error = std::move(item).get(field)) return json_error(error, where_);
      const auto key = key_of(field);
      if (!take(key, field.value()) && !is_one_of(key, unused)) unknown_.push_back({where_, key});
    }
    if (failure_) return *failure_;
    return {};
  }
  Error missing(const char* field) const { return {Errc::missing_field, place(field), "absent or empty"}; }

 private:
  std::string place(std::string_view key) const { return std::string(where_) + "." + std::string(key); }
  void fail(Error error) {
    if (!failure_) failure_ = std::move(error);
  }
  template <class T>
  std::optional<T> keep(const Result<std::optional<T>>& value) {
    if (value) return *value;
    fail(value.error());
    return std::nullopt;
  }

  const char* where_;
  std::vector<UnknownField>& unknown_;
  std::optional<Error> failure_;
};

// Fields that we know and do not use.
constexpr std::string_view kUnusedOfFundingInfo[] = {"adjustedFundingRateCap", "adjustedFundingRateFloor", "disclaimer",
                                                     "updateTime"};
constexpr std::string_view kUnusedOfPremiumIndex[] = {"estimatedSettlePrice", "interestRate", "pair"};
constexpr std::string_view kUnusedOfDepth[] = {"symbol", "pair", "ps", "st"};
constexpr std::string_view kUnusedOfSymbol[] = {"pair",
                                                "onboardDate",
                                                "maintMarginPercent",
                                                "requiredMarginPercent",
                                                "pricePrecision",
                                                "quantityPrecision",
                                                "baseAssetPrecision",
                                                "quotePrecision",
                                                "underlyingType",
                                                "underlyingSubType",
                                                "settlePlan",
                                                "triggerProtect",
                                                "liquidationFee",
                                                "marketTakeBound",
                                                "maxMoveOrderLimit",
                                                "orderTypes",
                                                "OrderType",
                                                "timeInForce",
                                                "permissionSets",
                                                "permissions",
                                                "quoteAssetPrecision",
                                                "baseCommissionPrecision",
                                                "quoteCommissionPrecision",
                                                "icebergAllowed",
                                                "ocoAllowed",
                                                "otoAllowed",
                                                "opoAllowed",
                                                "quoteOrderQtyMarketAllowed",
                                                "allowTrailingStop",
                                                "cancelReplaceAllowed",
                                                "amendAllowed",
                                                "pegInstructionsAllowed",
                                                "isSpotTradingAllowed",
                                                "isMarginTradingAllowed",
                                                "defaultSelfTradePreventionMode",
                                                "allowedSelfTradePreventionModes",
                                                "ps"};

Result<FundingInfoRow> read_funding_info(od::object& object, std::vector<UnknownField>& unknown) {
  FundingInfoRow out;
  Reading in("fundingInfo", unknown);
  const auto done = in.each(object, kUnusedOfFundingInfo, [&](std::string_view key, od::value& value) {
    if (key == "symbol") return out.symbol = in.name(value, key), true;
    if (key != "fundingIntervalHours") return false;
    if (const auto hours = in.not_negative<Quantity>(value, key)) out.hours = hours->value;
    return true;
  });
  if (!done) return done.error();
  if (out.symbol.empty()) return in.missing("symbol");
  return out;
}

Result<SettledFundingRow> read_settled_funding(od::object& object, std::vector<UnknownField>& unknown) {
  SettledFundingRow out;
  std::optional<WallTime> time;
  Reading in("fundingRate", unknown);
  const auto done = in.each(object, {}, [&](std::string_view key, od::value& value) {
    if (key == "symbol") return out.symbol = in.name(value, key), true;
    if (key == "fundingRate") return out.rate = in.rate(value, key), true;
    if (key == "fundingTime") return time = in.time(value, key), true;
    if (key == "markPrice") return out.mark = in.not_negative<Price>(value, key), true;
    if (key == "rateType") return out.rate_type = in.text(value, key), true;
    return false;
  });
  if (!done) return done.error();
  if (out.symbol.empty()) return in.missing("symbol");
  if (!time) return in.missing("fundingTime");
  out.funding_time = *time;
  return out;
}

Result<MarkPriceRow> read_premium_index(od::object& object, std::vector<UnknownField>& unknown) {
  MarkPriceRow out;
  Reading in("premiumIndex", unknown);
  const auto done = in.each(object, kUnusedOfPremiumIndex, [&](std::string_view key, od::value& value) {
    if (key == "symbol") return out.symbol = in.name(value, key), true;
    if (key == "markPrice") return out.mark = in.not_negative<Price>(value, key), true;
    if (key == "indexPrice") return out.index = in.not_negative<Price>(value, key), true;
    if (key == "lastFundingRate") return out.rate = in.rate(value, key), true;
    if (key == "nextFundingTime") return out.funding_time = in.time(value, key), true;
    if (key == "time") return out.time = in.time(value, key), true;
    if (key == "st") return out.st = whole_number(in.text(value, key)), true;
    return false;
  });
  if (!done) return done.error();
  if (out.symbol.empty()) return in.missing("symbol");
  if (out.funding_time == wall_from_nanos(0)) out.funding_time.reset();
  return out;
}

Result<OpenInterestRow> read_open_interest(od::object& object, std::vector<UnknownField>& unknown) {
  OpenInterestRow out;
  std::optional<Quantity> quantity;
  std::optional<WallTime> time;
  Reading in("openInterest", unknown);
  const auto done = in.each(object, {}, [&](std::string_view key, od::value& value) {
    if (key == "symbol") return out.symbol = in.name(value, key), true;
    if (key == "openInterest") return quantity = in.not_negative<Quantity>(value, key), true;
    if (key == "time") return time = in.time(value, key), true;
    return false;
  });
  if (!done) return done.error();
  if (out.symbol.empty()) return in.missing("symbol");
  if (!quantity) return in.missing("openInterest");
  if (!time) return in.missing("time");
  out.quantity = *quantity;
  out.time = *time;
  return out;
}

Result<RatioRow> read_ratio(od::object& object, std::vector<UnknownField>& unknown) {
  RatioRow out;
  std::optional<Ratio> ratio;
  std::optional<WallTime> time;
  Reading in("LongShortRatio", unknown);
  const auto done = in.each(object, {}, [&](std::string_view key, od::value& value) {
    if (key == "symbol") return out.symbol = in.name(value, key), true;
    if (key == "longShortRatio") return ratio = in.not_negative<Ratio>(value, key), true;
    if (key == "longAccount") return out.long_share = in.not_negative<Ratio>(value, key), true;
    if (key == "shortAccount") return out.short_share = in.not_negative<Ratio>(value, key), true;
    if (key == "timestamp") return time = in.time(value, key), true;
    return false;
  });
  if (!done) return done.error();
  if (out.symbol.empty()) return in.missing("symbol");
  if (!ratio) return in.missing("longShortRatio");
  if (!time) return in.missing("timestamp");
  out.ratio = *ratio;
  out.time = *time;
  return out;
}

// One entry, to the rows or to those that cannot be read. An answer that is no JSON is refused whole.
template <class Row>
Result<void> read_entry(od::object& object, Result<Row> (*read)(od::object&, std::vector<UnknownField>&),
                        Rows<Row>& out, std::vector<UnknownField>& unknown) {
  const auto row = read(object, unknown);
  if (row) {
    out.rows.push_back(*row);
    return {};
  }
  if (row.error().code == Errc::not_json) return row.error();
  std::string_view text;
  if (auto error = object.raw_json().get(text)) return json_error(error, "answer");
  out.unreadable.emplace_back(row.error(), text);
  return {};
}

template <class Row>
Result<Rows<Row>> read_rows(od::document& document, Result<Row> (*read)(od::object&, std::vector<UnknownField>&),
                            const char* where, std::vector<UnknownField>& unknown) {
  Rows<Row> out;
  od::array list;
  if (auto error = document.get_array().get(list)) return json_error(error, where);
  for (auto entry : list) {
    od::object object;
    if (auto error = entry.get_object().get(object)) return json_error(error, where);
    if (auto done = read_entry(object, read, out, unknown); !done) return done.error();
  }
  if (auto done = at_end(document); !done) return done.error();
  return out;
}

void assign_string(od::value& value, std::string& out) {
  std::string_view text;
  take_string(value, text);
  out = text;
}

Result<SymbolInfo> read_symbol(od::object& object, std::vector<UnknownField>& unknown) {
  SymbolInfo out;
  // A refused filter must not stop the pass: the rest of the document is read after it.
  Result<void> verdict;
  for (auto each : object) {
    od::field field;
    if (auto error = std::move(each).get(field)) return json_error(error, "symbols");
    auto& value = field.value();
    const auto key = key_of(field);
    std::optional<std::int64_t> number;
    if (key == "symbol") {
      assign_string(value, out.symbol);
    } else if (key == "status") {
      assign_string(value, out.status);
    } else if (key == "baseAsset") {
      assign_string(value, out.base_asset);
    } else if (key == "quoteAsset") {
      assign_string(value, out.quote_asset);
    } else if (key == "marginAsset") {
      assign_string(value, out.margin_asset);
    } else if (key == "contractType") {
      assign_string(value, out.contract_type);
    } else if (key == "st") {
      take_integer(value, out.st);
    } else if (key == "deliveryDate") {
      take_integer(value, number);
      if (!number) continue;
      const auto time = time_of(*number);
      if (time) out.delivery_date = *time;
    } else if (key == "filters") {
      if (auto done = read_filters(value, out); !done) {
        if (done.error().code == Errc::not_json) return done.error();
        verdict = done;
      }
    } else if (!is_one_of(key, kUnusedOfSymbol)) {
      unknown.push_back({"exchangeInfo", key});
    }
  }
  if (!verdict) return verdict.error();
  if (out.symbol.empty()) return missing("symbols", "symbol");
  if (out.base_asset.empty()) return missing("symbols", "baseAsset");
  if (out.quote_asset.empty()) return missing("symbols", "quoteAsset");
  return out;
}

}  // namespace

Result<WallTime> time_of(std::int64_t value) {
  return value >= kLeastMicroseconds ? wall_from_micros(value) : wall_from_millis(value);
}

std::string_view channel_of(std::string_view stream) {
  if (stream.starts_with('!')) return stream;
  const auto at = stream.find('@');
  return at == std::string_view::npos ? stream : stream.substr(at + 1);
}

struct Decoder::Impl {
  od::parser parser;
  Frame frame;
  std::vector<std::string_view> strange;
  std::vector<UnknownField> unknown;  // of the last REST answer
};

Decoder::Decoder() : impl_(std::make_unique<Impl>()) {}
Decoder::~Decoder() = default;
Decoder::Decoder(Decoder&&) noexcept = default;

const std::vector<UnknownField>& Decoder::unknown_fields() const { return impl_->unknown; }

Result<Frame*> Decoder::frame(std::string_view padded) {
  auto& out = impl_->frame;
  auto& strange = impl_->strange;
  out.mark_prices.rows.clear();
  out.mark_prices.unreadable.clear();
  out.unknown_fields.clear();
  strange.clear();
  od::document document;
  if (auto error = impl_->parser.iterate(padded_view(padded)).get(document)) return json_error(error, "message");
  od::json_type type{};
  if (auto error = document.type().get(type)) return json_error(error, "message");
  Fields fields;
  if (type == od::json_type::array) {
    od::array list;
    if (auto error = document.get_array().get(list)) return json_error(error, "message");
    if (auto done = read_mark_prices(list, out); !done) return done.error();
    fields.data_is_list = true;
    if (auto done = fill(fields, out); !done) return done.error();
    if (out.kind == Frame::Kind::unmapped) out.channel = "a list";
  } else {
    od::object object;
    if (auto error = document.get_object().get(object)) return json_error(error, "message");
    if (auto done = Pass(fields, out, strange, read_mark_prices).object(object); !done) return done.error();
    if (auto done = fill(fields, out); !done) return done.error();
    if (!fields.data_is_list) note_unknown(fields, strange, out);
  }
  if (auto done = at_end(document); !done) return done.error();
  return &out;
}

std::optional<RequestFrame> Decoder::request(std::string_view padded) {
  od::document document;
  if (impl_->parser.iterate(padded_view(padded)).get(document)) return std::nullopt;
  RequestFrame out;
  std::string_view method;
  if (document["method"].get(method)) return std::nullopt;
  if (method != "SUBSCRIBE" && method != "UNSUBSCRIBE") return std::nullopt;
  out.method = method == "SUBSCRIBE" ? RequestFrame::Method::subscribe : RequestFrame::Method::unsubscribe;
  od::array params;
  if (document["params"].get(params)) return std::nullopt;
  for (auto each : params) {
    std::string_view name;
    if (each.get(name)) return std::nullopt;
    out.streams.push_back(name);
  }
  if (document["id"].get(out.id)) return std::nullopt;
  return out;
}

Result<DepthReply> Decoder::depth(std::string_view padded) {
  impl_->unknown.clear();
  od::document document;
  if (auto error = impl_->parser.iterate(padded_view(padded)).get(document)) return json_error(error, "depth");
  od::object object;
  if (auto error = document.get_object().get(object)) return json_error(error, "depth");
  DepthReply out;
  std::optional<std::int64_t> id, E, T;
  bool has_bids = false;
  bool has_asks = false;
  for (auto each : object) {
    od::field field;
    if (auto error = std::move(each).get(field)) return json_error(error, "depth");
    auto& value = field.value();
    const auto key = key_of(field);
    Result<void> done;
    if (key == "lastUpdateId") {
      take_integer(value, id);
    } else if (key == "E") {
      take_integer(value, E);
    } else if (key == "T") {
      take_integer(value, T);
    } else if (key == "bids") {
      has_bids = true;
      done = read_levels(value, out.bids, "bids");
    } else if (key == "asks") {
      has_asks = true;
      done = read_levels(value, out.asks, "asks");
    } else if (!is_one_of(key, kUnusedOfDepth)) {
      impl_->unknown.push_back({"depth", key});
    }
    if (!done) return done.error();
  }
  if (auto done = at_end(document); !done) return done.error();
  if (!id) return missing("depth", "lastUpdateId");
  if (*id < -1) return Error{Errc::bad_value, "depth.lastUpdateId", std::to_string(*id)};
  if (!has_bids) return missing("depth", "bids");
  if (!has_asks) return missing("depth", "asks");
  out.last_update_id = *id;
  if (T || E) {
    const auto time = time_of(T ? *T : *E);
    if (!time) return time.error();
    out.time = *time;
  }
  return out;
}

Result<std::vector<InstrumentVolume>> Decoder::volumes(std::string_view padded) {
  impl_->unknown.clear();
  od::document document;
  if (auto error = impl_->parser.iterate(padded_view(padded)).get(document)) return json_error(error, "ticker");
  od::array list;
  if (auto error = document.get_array().get(list)) return json_error(error, "ticker");
  std::vector<InstrumentVolume> out;
  for (auto entry : list) {
    od::object object;
    if (auto error = entry.get_object().get(object)) return json_error(error, "ticker");
    std::string_view symbol, volume;
    for (auto each : object) {
      od::field field;
      if (auto error = std::move(each).get(field)) return json_error(error, "ticker");
      const auto key = key_of(field);
      if (key == "symbol")
        take_string(field.value(), symbol);
      else if (key == "quoteVolume")
        raw_string(field.value(), volume);
    }
    if (symbol.empty()) return missing("ticker", "symbol");
    if (volume.empty()) return missing("ticker", "quoteVolume");
    auto value = Decimal::parse(volume);
    if (!value) return Error{Errc::bad_number, "ticker.quoteVolume", std::string(volume.substr(0, 60))};
    out.push_back({std::string(symbol), *value});
  }
  if (auto done = at_end(document); !done) return done.error();
  return out;
}

Result<ExchangeInfo> Decoder::exchange_info(std::string_view padded) {
  impl_->unknown.clear();
  od::document document;
  if (auto error = impl_->parser.iterate(padded_view(padded)).get(document)) return json_error(error, "exchangeInfo");
  od::object object;
  if (auto error = document.get_object().get(object)) return json_error(error, "exchangeInfo");
  ExchangeInfo out;
  bool has_symbols = false;
  for (auto each : object) {
    od::field field;
    if (auto error = std::move(each).get(field)) return json_error(error, "exchangeInfo");
    if (key_of(field) != "symbols") continue;
    has_symbols = true;
    od::array symbols;
    if (auto error = field.value().get_array().get(symbols)) return json_error(error, "symbols");
    for (auto entry : symbols) {
      od::object symbol;
      if (auto error = entry.get_object().get(symbol)) return json_error(error, "symbols");
      auto info = read_symbol(symbol, impl_->unknown);
      if (info) {
        out.symbols.push_back(std::move(*info));
      } else if (info.error().code == Errc::not_json) {
        return info.error();
      } else {
        std::string_view text;
        if (auto error = symbol.raw_json().get(text)) return json_error(error, "symbols");
        out.unreadable.emplace_back(info.error(), text);
      }
    }
  }
  if (auto done = at_end(document); !done) return done.error();
  if (!has_symbols) return missing("exchangeInfo", "symbols");
  return out;
}

Result<Rows<FundingInfoRow>> Decoder::funding_info(std::string_view padded) {
  impl_->unknown.clear();
  od::document document;
  if (auto error = impl_->parser.iterate(padded_view(padded)).get(document)) return json_error(error, "fundingInfo");
  return read_rows(document, read_funding_info, "fundingInfo", impl_->unknown);
}

Result<Rows<SettledFundingRow>> Decoder::settled_funding(std::string_view padded) {
  impl_->unknown.clear();
  od::document document;
  if (auto error = impl_->parser.iterate(padded_view(padded)).get(document)) return json_error(error, "fundingRate");
  return read_rows(document, read_settled_funding, "fundingRate", impl_->unknown);
}

Result<Rows<MarkPriceRow>> Decoder::premium_index(std::string_view padded) {
  impl_->unknown.clear();
  od::document document;
  if (auto error = impl_->parser.iterate(padded_view(padded)).get(document)) return json_error(error, "premiumIndex");
  od::json_type type{};
  if (auto error = document.type().get(type)) return json_error(error, "premiumIndex");
  if (type == od::json_type::array) return read_rows(document, read_premium_index, "premiumIndex", impl_->unknown);
  Rows<MarkPriceRow> out;
  od::object object;
  if (auto error = document.get_object().get(object)) return json_error(error, "premiumIndex");
  if (auto done = read_entry(object, read_premium_index, out, impl_->unknown); !done) return done.error();
  if (auto done = at_end(document); !done) return done.error();
  return out;
}

Result<OpenInterestRow> Decoder::open_interest(std::string_view padded) {
  impl_->unknown.clear();
  od::document document;
  if (auto error = impl_->parser.iterate(padded_view(padded)).get(document)) return json_error(error, "openInterest");
  od::object object;
  if (auto error = document.get_object().get(object)) return json_error(error, "openInterest");
  const auto row = read_open_interest(object, impl_->unknown);
  if (!row) return row.error();
  if (auto done = at_end(document); !done) return done.error();
  return *row;
}

Result<Rows<RatioRow>> Decoder::ratios(std::string_view padded) {
  impl_->unknown.clear();
  od::document document;
  if (auto error = impl_->parser.iterate(padded_view(padded)).get(document)) return json_error(error, "LongShortRatio");
  return read_rows(document, read_ratio, "LongShortRatio", impl_->unknown);
}

}  // namespace mp::binance
