// JSON to events.
#include <simdjson.h>

#include "base/base64.hpp"
#include "base/text.hpp"
#include "wire/json.hpp"

namespace mp::wire {
namespace {

namespace dom = simdjson::dom;

// Reads the fields of one object and remembers the first thing that was wrong, so that a type's reader
// below is a list of its fields.
class FieldReader {
 public:
  explicit FieldReader(dom::object object) : object_(object) {}

  const std::optional<Error>& error() const { return error_; }

  std::string_view text(const char* key) {
    std::string_view value;
    read(key, value);
    return value;
  }
  std::optional<std::string> optional_text(const char* key) {
    if (!has(key)) return std::nullopt;
    return std::string(text(key));
  }
  std::uint64_t number(const char* key) {
    std::uint64_t value = 0;
    read(key, value);
    return value;
  }
  std::optional<std::uint64_t> optional_number(const char* key) {
    if (!has(key)) return std::nullopt;
    return number(key);
  }
  bool boolean(const char* key) {
    bool value = false;
    read(key, value);
    return value;
  }
  Decimal decimal(const char* key) { return keep(key, Decimal::parse(text(key)), Decimal{}); }
  template <class T>
  T exact(const char* key) {
    return T{decimal(key)};
  }
  template <class T>
  std::optional<T> optional_exact(const char* key) {
    if (!has(key)) return std::nullopt;
    return T{decimal(key)};
  }
  WallTime time(const char* key) { return keep(key, parse_iso(text(key)), WallTime{}); }
  std::optional<WallTime> optional_time(const char* key) {
    if (!has(key)) return std::nullopt;
    return time(key);
  }
  template <class E>
  E choice(const char* key, Result<E> (*from)(std::string_view)) {
    return keep(key, from(text(key)), E{});
  }
  QuantityUnit unit() {
    return has("quantity_unit") ? choice("quantity_unit", quantity_unit_from) : QuantityUnit::base;
  }
  void levels(const char* key, std::vector<BookLevel>& out) {
    dom::array array;
    read(key, array);
    if (error_) return;
    out.reserve(array.size());
    for (const dom::element row : array) {
      dom::array pair;
      std::string_view price, quantity;
      if (row.get(pair) || pair.size() != 2 || pair.at(0).get(price) || pair.at(1).get(quantity)) {
        fail({Errc::bad_type, key, "a level that is not [\"price\",\"quantity\"]"});
        return;
      }
      out.push_back({Price{keep(key, Decimal::parse(price), Decimal{})},
                     Quantity{keep(key, Decimal::parse(quantity), Decimal{})}});
    }
  }
  bool has(const char* key) const {
    dom::element unused;
    return object_.at_key(key).get(unused) == simdjson::SUCCESS;
  }
  void fail(Error error) {
    if (!error_) error_ = std::move(error);
  }

 private:
  template <class T>
  void read(const char* key, T& value) {
    const auto code = object_.at_key(key).get(value);
    if (!code) return;
    fail({code == simdjson::NO_SUCH_FIELD ? Errc::missing_field : Errc::bad_type, key, ""});
  }
  template <class T>
  T keep(const char* key, Result<T> result, T otherwise) {
    if (result) return *result;
    auto problem = result.error();
    problem.where = key;
    fail(std::move(problem));
    return otherwise;
  }

  dom::object object_;
  std::optional<Error> error_;
};

void read(FieldReader& f, OrderBook& e) {
  e.last_update_id = f.number("last_update_id");
  e.quantity_unit = f.unit();
  e.depth = static_cast<std::uint32_t>(f.number("depth"));
  f.levels("bids", e.bids);
  f.levels("asks", e.asks);
}

void read(FieldReader& f, OrderBookDelta& e) {
  e.first_update_id = f.number("first_update_id");
  e.last_update_id = f.number("last_update_id");
  e.prev_update_id = f.optional_number("prev_update_id");
  e.quantity_unit = f.unit();
  f.levels("bids", e.bids);
  f.levels("asks", e.asks);
  e.is_snapshot = f.boolean("is_snapshot");
}

void read(FieldReader& f, Trade& e) {
  e.trade_id = f.text("trade_id");
  e.price = f.exact<Price>("price");
  e.quantity = f.exact<Quantity>("quantity");
  e.quantity_unit = f.unit();
  e.contracts = f.optional_exact<Contracts>("contracts");
  e.side = f.choice("side", side_from);
  e.first_trade_id = f.optional_text("first_trade_id");
  e.last_trade_id = f.optional_text("last_trade_id");
  if (f.has("execution")) e.execution = f.choice("execution", trade_execution_from);
}

void read(FieldReader& f, FundingRate& e) {
  e.funding_rate = f.exact<Ratio>("funding_rate");
  e.funding_time = f.optional_time("funding_time");
  e.next_funding_time = f.optional_time("next_funding_time");
  e.mark_price = f.optional_exact<Price>("mark_price");
  e.index_price = f.optional_exact<Price>("index_price");
  e.funding_interval_hours = f.optional_exact<Decimal>("funding_interval_hours");
  e.is_settled = f.boolean("is_settled");
}

void read(FieldReader& f, OpenInterest& e) {
  e.open_interest = f.exact<Quantity>("open_interest");
  e.quantity_unit = f.unit();
  e.open_interest_value = f.optional_exact<Quantity>("open_interest_value");
  e.contracts = f.optional_exact<Contracts>("contracts");
}

void read(FieldReader& f, Liquidation& e) {
  e.side = f.choice("side", side_from);
  e.price = f.optional_exact<Price>("price");
  e.average_price = f.optional_exact<Price>("average_price");
  e.quantity = f.exact<Quantity>("quantity");
  e.quantity_unit = f.unit();
  e.filled_quantity = f.optional_exact<Quantity>("filled_quantity");
  e.contracts = f.optional_exact<Contracts>("contracts");
  e.status = f.optional_text("status");
  e.coverage = f.choice("coverage", coverage_from);
}

void read(FieldReader& f, LsrTopPosition& e) {
  e.long_position_ratio = f.optional_exact<Ratio>("long_position_ratio");
  e.short_position_ratio = f.optional_exact<Ratio>("short_position_ratio");
  e.long_short_ratio = f.exact<Ratio>("long_short_ratio");
  e.period = f.text("period");
}

void read(FieldReader& f, LsrAllAccount& e) {
  e.long_account_ratio = f.optional_exact<Ratio>("long_account_ratio");
  e.short_account_ratio = f.optional_exact<Ratio>("short_account_ratio");
  e.long_short_ratio = f.exact<Ratio>("long_short_ratio");
  e.period = f.text("period");
}

void read(FieldReader& f, VolatilityIndex& e) {
  e.index_value = f.exact<Ratio>("index_value");
  e.open = f.optional_exact<Ratio>("open");
  e.high = f.optional_exact<Ratio>("high");
  e.low = f.optional_exact<Ratio>("low");
  e.resolution = f.optional_text("resolution");
  e.underlying_asset = f.text("underlying_asset");
}

void read(FieldReader& f, Gap& e) {
  e.data_type = f.choice("data_type", data_type_from);
  e.cause = f.choice("cause", gap_cause_from);
  e.gap_start = f.time("gap_start");
  e.gap_end = f.time("gap_end");
  e.last_id = f.optional_text("last_id");
  e.next_id = f.optional_text("next_id");
  e.gap_id = f.optional_text("gap_id").value_or("");
}

void read(FieldReader& f, Rejected& e) {
  e.exchange = f.text("exchange");
  e.market_type = f.choice("market_type", market_type_from);
  if (f.has("data_type")) e.data_type = f.choice("data_type", data_type_from);
  e.reason = f.text("reason");
  e.raw = f.text("raw");
  const auto encoding = f.optional_text("raw_encoding");
  if (!encoding) return;
  std::string bytes;
  if (*encoding == "base64" && decode_base64(e.raw, bytes))
    e.raw = std::move(bytes);
  else
    f.fail({Errc::bad_value, "raw_encoding", shortened(*encoding)});
}

void read(FieldReader& f, Instrument& e) {
  e.base_asset = f.text("base_asset");
  e.quote_asset = f.text("quote_asset");
  e.settlement_asset = f.optional_text("settlement_asset").value_or("");
  e.contract_size = f.decimal("contract_size");
  e.quantity_unit = f.unit();
  e.tick_size = f.optional_exact<Price>("tick_size");
  e.lot_size = f.optional_exact<Quantity>("lot_size");
  e.status = f.text("status");
  e.expiry = f.optional_time("expiry");
  e.strike = f.optional_exact<Price>("strike");
  if (f.has("option_right")) e.option_right = f.choice("option_right", option_right_from);
}

template <std::size_t... I>
MarketEvent empty_event(DataType type, std::index_sequence<I...>) {
  MarketEvent event;
  // The alternatives stand in the order of DataType (checked below), so the type is the index.
  ((static_cast<std::size_t>(type) == I ? void(event.emplace<I>()) : void()), ...);
  return event;
}

template <std::size_t... I>
constexpr bool in_data_type_order(std::index_sequence<I...>) {
  return ((static_cast<std::size_t>(std::variant_alternative_t<I, MarketEvent>::kType) == I) && ...);
}
using Alternatives = std::make_index_sequence<std::variant_size_v<MarketEvent>>;
static_assert(in_data_type_order(Alternatives{}));

}  // namespace

InstrumentRef InstrumentPool::get(std::string_view exchange, MarketType market_type, std::string_view symbol,
                                  std::string_view instrument) {
  key_.assign(exchange).append(1, '\n').append(to_string(market_type)).append(1, '\n');
  key_.append(symbol).append(1, '\n').append(instrument);
  auto& ref = known_[key_];
  if (!ref) {
    ref = std::make_shared<const InstrumentId>(
        InstrumentId{std::string(exchange), market_type, std::string(symbol), std::string(instrument)});
  }
  return ref;
}

struct Decoder::Impl {
  explicit Impl(InstrumentPool& p) : pool(p) {}
  InstrumentPool& pool;
  dom::parser parser;
};

Decoder::Decoder(InstrumentPool& pool) : impl_(std::make_unique<Impl>(pool)) {}
Decoder::~Decoder() = default;
Decoder::Decoder(Decoder&&) noexcept = default;

Result<MarketEvent> Decoder::decode(std::string_view line) {
  dom::object object;
  if (const auto code = impl_->parser.parse(line.data(), line.size()).get(object); code)
    return Error{Errc::not_json, simdjson::error_message(code), shortened(line)};
  FieldReader fields(object);
  auto event = empty_event(fields.choice("type", data_type_from), Alternatives{});
  auto& meta = meta_of(event);
  meta.timestamp = fields.time("timestamp");
  meta.received_at = fields.time("received_at");
  meta.data_source = fields.choice("data_source", data_source_from);
  // Only a rejected message may be about no known instrument.
  if (!std::holds_alternative<Rejected>(event) || fields.has("symbol")) {
    const auto market_type = fields.choice("market_type", market_type_from);
    const auto exchange = fields.text("exchange");
    const auto symbol = fields.text("symbol");
    const auto instrument = fields.text("instrument");
    if (!fields.error()) meta.instrument = impl_->pool.get(exchange, market_type, symbol, instrument);
  }
  std::visit([&fields](auto& e) { read(fields, e); }, event);
  if (fields.error()) return *fields.error();
  return event;
}

}  // namespace mp::wire
