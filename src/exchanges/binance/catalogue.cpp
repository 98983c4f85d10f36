#include "exchanges/binance/catalogue.hpp"

#include <algorithm>

#include "feed/catalogue.hpp"

namespace mp::binance {
namespace {

std::optional<WallTime> expiry_of(MarketType type, const SymbolInfo& info) {
  return type == MarketType::futures ? info.delivery_date : std::nullopt;
}

// "Enums" of both markets' documentation, as of 2026-07, and what older lists had.
constexpr std::string_view kSpotStatuses[] = {"TRADING",    "HALT",        "BREAK",        "CANCEL_ONLY",
                                              "END_OF_DAY", "PRE_TRADING", "POST_TRADING", "AUCTION_MATCH"};
constexpr std::string_view kDerivativesStatuses[] = {"TRADING",   "PENDING_TRADING", "PRE_DELIVERING", "DELIVERING",
                                                     "DELIVERED", "PRE_SETTLE",      "SETTLING",       "CLOSE"};

}  // namespace

bool is_known_status(Market market, std::string_view status) {
  return market == Market::spot ? std::ranges::find(kSpotStatuses, status) != std::end(kSpotStatuses)
                                : std::ranges::find(kDerivativesStatuses, status) != std::end(kDerivativesStatuses);
}

std::optional<MarketType> market_type_of(Market market, const SymbolInfo& info) {
  if (market == Market::spot) return MarketType::spot;
  constexpr std::int64_t kCoinMargined = 2;
  if (info.st == kCoinMargined) return std::nullopt;
  // PERPETUAL, TRADIFI_PERPETUAL; CURRENT_QUARTER, NEXT_QUARTER, …_MONTH, each also with " DELIVERING".
  const std::string_view type = info.contract_type;
  if (type.find("PERPETUAL") != std::string_view::npos) return MarketType::perpetual;
  const bool delivered = type.find("QUARTER") != std::string_view::npos || type.find("MONTH") != std::string_view::npos;
  if (delivered && info.delivery_date) return MarketType::futures;
  return std::nullopt;
}

InstrumentId id_of(MarketType type, const SymbolInfo& info) {
  InstrumentId id;
  id.market_type = type;
  id.instrument = info.symbol;
  id.symbol = canonical_symbol({.base = info.base_asset, .quote = info.quote_asset, .expiry = expiry_of(type, info)});
  return id;
}

Instrument definition_of(MarketType type, const SymbolInfo& info, WallTime received_at) {
  Instrument definition;
  definition.meta.timestamp = received_at;
  definition.meta.received_at = received_at;
  definition.base_asset = info.base_asset;
  definition.quote_asset = info.quote_asset;
  definition.settlement_asset = type == MarketType::spot ? "" : info.margin_asset;
  definition.tick_size = info.tick_size;
  definition.lot_size = info.step_size;
  definition.status = info.status;
  definition.expiry = expiry_of(type, info);
  return definition;
}

}  // namespace mp::binance
