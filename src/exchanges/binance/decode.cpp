#include "exchanges/binance/decode.hpp"

#include <simdjson.h>

#include <cstring>

#include "base/raw_record.hpp"
#include "base/text.hpp"

namespace mp::binance {
namespace {

namespace od = simdjson::ondemand;
static_assert(RawRecord::kFramePadding >= simdjson::SIMDJSON_PADDING);

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
      if (count < 2 && !raw_string(text, texts[count])) return Error{Errc::bad_type, where, "a level's part is no string"};
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
struct Fields {
  std::string_view stream, e, s, p, q, X, message;
  std::optional<std::int64_t> E, T, t, a, f, l, U, u, pu, st, code, last_update_id;
  std::optional<std::uint64_t> id;
  std::optional<bool> m;
  bool has_bids = false, has_asks = false, has_result = false, has_error = false, has_best = false;
  bool data_is_list = false;
};

void take_integer(od::value& value, std::optional<std::int64_t>& out) {
  std::int64_t number = 0;
  if (!value.get_int64().get(number)) out = number;
}

void take_string(od::value& value, std::string_view& out) {
  std::string_view text;
  if (!value.get_string().get(text)) out = text;
}

class Pass {
 public:
  Pass(Fields& fields, DepthFrame& depth) : fields_(fields), depth_(depth) {}

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
    if (key == "data") fields_.data_is_list = true;
    return {};
  }

  Result<void> nested(std::string_view key, od::value& value) {
    if (key != "data" && key != "error") return {};
    if (key == "error") fields_.has_error = true;
    od::object inner;
    if (auto error = value.get_object().get(inner)) return json_error(error, key);
    return object(inner);
  }

  Fields& fields_;
  DepthFrame& depth_;
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
  out.symbol = in.s;
  out.st = in.st;
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
  } else if (in.e == "serverShutdown") {
    out.kind = Frame::Kind::shutdown;
  } else {
    set_unmapped(in, out);
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

void assign_string(od::value& value, std::string& out) {
  std::string_view text;
  take_string(value, text);
  out = text;
}

Result<SymbolInfo> read_symbol(od::object& object) {
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
};

Decoder::Decoder() : impl_(std::make_unique<Impl>()) {}
Decoder::~Decoder() = default;
Decoder::Decoder(Decoder&&) noexcept = default;

Result<Frame*> Decoder::frame(std::string_view padded) {
  auto& out = impl_->frame;
  od::document document;
  if (auto error = impl_->parser.iterate(padded_view(padded)).get(document)) return json_error(error, "message");
  od::json_type type{};
  if (auto error = document.type().get(type)) return json_error(error, "message");
  Fields fields;
  if (type == od::json_type::array) {
    od::array list;
    if (auto error = document.get_array().get(list)) return json_error(error, "message");
    for (auto each : list)
      if (each.error()) return json_error(each.error(), "message");
    out.kind = Frame::Kind::unmapped;
    out.channel = "a list";
  } else {
    od::object object;
    if (auto error = document.get_object().get(object)) return json_error(error, "message");
    if (auto done = Pass(fields, out.depth).object(object); !done) return done.error();
    if (auto done = fill(fields, out); !done) return done.error();
  }
  if (auto done = at_end(document); !done) return done.error();
  return &out;
}

Result<DepthReply> Decoder::depth(std::string_view padded) {
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
      auto info = read_symbol(symbol);
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

}  // namespace mp::binance
