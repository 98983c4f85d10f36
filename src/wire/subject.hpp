#pragma once
// Where on the bus an event goes.

#include <string>
#include <string_view>
#include <vector>

#include "model/market_event.hpp"

namespace mp::wire {

// "trade-data.binance.spot.BTC-USDT" and so on, see docs/wire-contract.md.
void append_subject(std::string& out, const MarketEvent& event);

// The filter that selects one data type: "trade-data.>", for the ratios "lsr-data.*.*.top-position.>".
std::string_view subject_filter(DataType type);

// The subjects of the stream: the guide's seven and our four.
const std::vector<std::string>& stream_subjects();

}  // namespace mp::wire
