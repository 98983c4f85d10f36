#pragma once
// What only Binance's folder knows of a source's configuration: its `extra` table, read and checked.

#include <chrono>
#include <string>

#include "exchanges/binance/market.hpp"

namespace mp::binance {

struct Settings {
  std::string trade_stream = "aggTrade";  // or trade: another series of ids
  std::string depth_speed = "100ms";
  int snapshot_limit = 1000;
  bool microseconds = false;  // time_unit: us
  std::string mark_price_speed = "3s";
  std::chrono::seconds open_interest_every{10};
  std::string ratio_period = "5m";
  std::chrono::seconds ratio_length{300};  // of ratio_period
};

// Errc::usage names every key or value that is not understood, and what may stand there.
Result<Settings> read_settings(const SessionOptions& options, Market market);

}  // namespace mp::binance
