#pragma once
// What an entry of exchangeInfo, the venue's own list, means as an instrument.

#include <optional>
#include <string_view>

#include "exchanges/binance/decode.hpp"
#include "exchanges/binance/market.hpp"
#include "model/reports.hpp"

namespace mp::binance {

// Which kind of market an entry belongs to; nothing for what we do not carry (COIN-M, contracts not yet open).
std::optional<MarketType> market_type_of(Market market, const SymbolInfo& info);

// The entry's name and its definition, as Catalogue::update takes them. `type`: from market_type_of().
InstrumentId id_of(MarketType type, const SymbolInfo& info);
Instrument definition_of(MarketType type, const SymbolInfo& info, WallTime received_at);

// Is this a word that the venue is known to use for an entry's status? (What is not known is told, and kept as
// "unknown".)
bool is_known_status(Market market, std::string_view status);

}  // namespace mp::binance
