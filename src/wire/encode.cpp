// Events to JSON. The order of the keys is part of the golden files, not of the contract.
#include "base/base64.hpp"
#include "wire/json.hpp"
#include "wire/json_writer.hpp"

namespace mp::wire {
namespace {

void write_meta(JsonWriter& json, const EventMeta& meta) {
  if (meta.instrument) {
    json.text("exchange", meta.instrument->exchange);
    json.text("market_type", to_string(meta.instrument->market_type));
    json.text("symbol", meta.instrument->symbol);
    json.text("instrument", meta.instrument->instrument);
  }
  json.time("timestamp", meta.timestamp);
  json.time("received_at", meta.received_at);
  json.text("data_source", to_string(meta.data_source));
}

void write(JsonWriter& json, const OrderBook& e) {
  json.number("last_update_id", e.last_update_id);
  json.unit(e.quantity_unit);
  json.number("depth", std::uint64_t{e.depth});
  json.levels("bids", e.bids);
  json.levels("asks", e.asks);
}

void write(JsonWriter& json, const OrderBookDelta& e) {
  json.number("first_update_id", e.first_update_id);
  json.number("last_update_id", e.last_update_id);
  json.number("prev_update_id", e.prev_update_id);
  json.unit(e.quantity_unit);
  json.levels("bids", e.bids);
  json.levels("asks", e.asks);
  json.boolean("is_snapshot", e.is_snapshot);
}

void write(JsonWriter& json, const Trade& e) {
  json.text("trade_id", e.trade_id);
  json.decimal("price", e.price);
  json.decimal("quantity", e.quantity);
  json.unit(e.quantity_unit);
  json.decimal("contracts", e.contracts);
  json.text("side", to_string(e.side));
  json.boolean("is_maker", e.is_maker());
  json.text_if("first_trade_id", e.first_trade_id);
  json.text_if("last_trade_id", e.last_trade_id);
  if (e.execution != TradeExecution::book) json.text("execution", to_string(e.execution));
}

void write(JsonWriter& json, const FundingRate& e) {
  json.decimal("funding_rate", e.funding_rate);
  json.time("funding_time", e.funding_time);
  json.time("next_funding_time", e.next_funding_time);
  json.decimal("mark_price", e.mark_price);
  json.decimal("index_price", e.index_price);
  json.decimal("funding_interval_hours", e.funding_interval_hours);
  json.boolean("is_settled", e.is_settled);
}

void write(JsonWriter& json, const OpenInterest& e) {
  json.decimal("open_interest", e.open_interest);
  json.unit(e.quantity_unit);
  json.decimal("open_interest_value", e.open_interest_value);
  json.decimal("contracts", e.contracts);
}

void write(JsonWriter& json, const Liquidation& e) {
  json.text("side", to_string(e.side));
  json.decimal("price", e.price);
  json.decimal("average_price", e.average_price);
  json.decimal("quantity", e.quantity);
  json.unit(e.quantity_unit);
  json.decimal("filled_quantity", e.filled_quantity);
  json.decimal("contracts", e.contracts);
  json.text_if("status", e.status);
  json.text("coverage", to_string(e.coverage));
}

void write(JsonWriter& json, const LsrTopPosition& e) {
  json.decimal("long_position_ratio", e.long_position_ratio);
  json.decimal("short_position_ratio", e.short_position_ratio);
  json.decimal("long_short_ratio", e.long_short_ratio);
  json.text("period", e.period);
}

void write(JsonWriter& json, const LsrAllAccount& e) {
  json.decimal("long_account_ratio", e.long_account_ratio);
  json.decimal("short_account_ratio", e.short_account_ratio);
  json.decimal("long_short_ratio", e.long_short_ratio);
  json.text("period", e.period);
}

void write(JsonWriter& json, const VolatilityIndex& e) {
  json.decimal("index_value", e.index_value);
  json.decimal("open", e.open);
  json.decimal("high", e.high);
  json.decimal("low", e.low);
  json.text_if("resolution", e.resolution);
  json.text("underlying_asset", e.underlying_asset);
}

void write(JsonWriter& json, const Gap& e) {
  json.text("data_type", to_string(e.data_type));
  json.text("cause", to_string(e.cause));
  json.time("gap_start", e.gap_start);
  json.time("gap_end", e.gap_end);
  json.text_if("last_id", e.last_id);
  json.text_if("next_id", e.next_id);
  if (!e.gap_id.empty()) json.text("gap_id", e.gap_id);
}

void write(JsonWriter& json, const Rejected& e) {
  if (!e.meta.instrument) {
    json.text("exchange", e.exchange);
    json.text("market_type", to_string(e.market_type));
  }
  if (e.data_type) json.text("data_type", to_string(*e.data_type));
  json.text("reason", e.reason);
  if (is_valid_utf8(e.raw)) {
    json.text("raw", e.raw);
    return;
  }
  std::string encoded;
  append_base64(encoded, e.raw);
  json.text("raw", encoded);
  json.text("raw_encoding", "base64");
}

void write(JsonWriter& json, const Instrument& e) {
  json.text("base_asset", e.base_asset);
  json.text("quote_asset", e.quote_asset);
  if (!e.settlement_asset.empty()) json.text("settlement_asset", e.settlement_asset);
  json.decimal("contract_size", e.contract_size);
  json.unit(e.quantity_unit);
  json.decimal("tick_size", e.tick_size);
  json.decimal("lot_size", e.lot_size);
  json.text("status", e.status);
  json.time("expiry", e.expiry);
  json.decimal("strike", e.strike);
  if (e.option_right) json.text("option_right", to_string(*e.option_right));
}

}  // namespace

void append_json(std::string& out, const MarketEvent& event) {
  std::visit(
      [&out](const auto& e) {
        JsonWriter json(out);
        json.text("type", to_string(e.kType));
        write_meta(json, e.meta);
        write(json, e);
      },
      event);
}

}  // namespace mp::wire
