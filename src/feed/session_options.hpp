#pragma once
// What a venue's folder is told when a Session is made. Venue-neutral; where a venue has more to configure,
// its folder reads `extra`.

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "feed/session.hpp"

namespace mp {

// One series of conflated books.
struct BookSeries {
  std::uint32_t depth = 20;
  std::chrono::milliseconds interval{100};
};

struct SessionOptions {
  Source source;
  DataSource data_source = DataSource::live;
  // Venue spelling or canonical symbols, exact. Empty: everything that arrives is decoded (play-back, normalize).
  std::vector<std::string> symbols;
  std::vector<DataType> data_types{DataType::orderbook, DataType::orderbook_delta, DataType::trade};
  std::vector<BookSeries> book_series{{20, std::chrono::milliseconds{100}}, {400, std::chrono::milliseconds{1000}}};
  // "" means the venue's own addresses; given, they replace scheme, host and port: "ws://127.0.0.1:9443".
  std::string ws_base;
  std::string rest_base;
  // A live event further than this from its receive time is rejected; 0: no check (play-back, normalize).
  std::chrono::hours max_clock_distance{24};
  // False for normalize and replay: the session asks for no I/O.
  bool conversing = true;
  std::map<std::string, std::string> extra;  // e.g. binance: trade_stream = aggTrade | trade
};

}  // namespace mp
