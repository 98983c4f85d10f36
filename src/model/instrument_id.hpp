#pragma once
// What an event is about.

#include <memory>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace mp {

enum class MarketType { spot, perpetual, futures, options };

const char* to_string(MarketType type);
Result<MarketType> market_type_from(std::string_view text);

// The catalogue keeps (exchange, market_type, symbol) ↔ instrument one to one.
struct InstrumentId {
  std::string exchange;  // "binance"
  MarketType market_type{};
  std::string symbol;      // canonical: BTC-USDT, BTC-USDT-20261225, BTC-USD-20261225-65000-C
  std::string instrument;  // the venue's own spelling: BTCUSDT
  friend bool operator==(const InstrumentId&, const InstrumentId&) = default;
};

// Shared and immutable: every event of an instrument points to one copy.
using InstrumentRef = std::shared_ptr<const InstrumentId>;

}  // namespace mp
