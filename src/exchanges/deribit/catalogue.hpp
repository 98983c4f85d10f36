#pragma once
// What an entry of Deribit's instrument list is in our terms: kind, canonical symbol, assets, units.

#include <optional>
#include <string_view>

#include "exchanges/deribit/decode.hpp"
#include "feed/selection.hpp"

namespace mp::deribit {

inline constexpr const char* kExchange = "deribit";

// Nothing for combos, which we do not carry: their legs trade, and are told, under their own instruments.
std::optional<ListedInstrument> listed(const InstrumentInfo& info, WallTime received_at);

// BTC-FS-25DEC26_PERP, BTC-CS-25DEC26-54000_55000, …: neither perpetual, future, option nor spot by its name.
bool is_combo_name(std::string_view venue_symbol);

// The index "btc_usd" as an instrument: no list of the venue has it. It is made of options' prices, so its market
// type is options and its symbol BTC-USD, which no option has (theirs go on with a day).
InstrumentRef volatility_index(std::string_view index_name);
// "btc_usd" -> "BTC"
std::string underlying_asset(std::string_view index_name);

}  // namespace mp::deribit
