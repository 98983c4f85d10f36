#pragma once
// What a venue's folder is told when a Session is made. Venue-neutral; where a venue has more to configure,
// its folder reads `extra`.

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "feed/selection.hpp"
#include "feed/session.hpp"

namespace mp {

// One series of conflated books.
struct BookSeries {
  std::uint32_t depth = 20;
  std::chrono::milliseconds interval{100};
  friend bool operator==(const BookSeries&, const BookSeries&) = default;
};

// What a collector can be asked for; the other types come as reports about these.
inline std::vector<DataType> collectable_types() {
  std::vector<DataType> types;
  for (int i = 0; i <= static_cast<int>(DataType::volatility_index); ++i) types.push_back(static_cast<DataType>(i));
  return types;
}

struct SessionOptions {
  Source source;
  DataSource data_source = DataSource::live;
  // What is collected. Empty: everything that arrives is decoded (play-back, normalize).
  Selection symbols;
  std::vector<DataType> data_types = collectable_types();  // those that the market does not have are ignored
  std::vector<BookSeries> book_series{{20, std::chrono::milliseconds{100}}, {400, std::chrono::milliseconds{1000}}};
  // "" means the venue's own addresses; given, they replace scheme, host and port: "ws://127.0.0.1:9443".
  std::string ws_base;
  std::string rest_base;
  // A live event further than this from its receive time is rejected; 0: no check (play-back, normalize).
  std::chrono::hours max_clock_distance{24};
  // An unchanged funding rate or open interest is written again after this; 0: each one is (normalize).
  std::chrono::milliseconds min_interval{60'000};
  // Every so often one book, each in its turn, is held against a fresh answer by REST; 0: never.
  std::chrono::seconds book_audit{30};
  // False for normalize and replay: the session asks for no I/O.
  bool conversing = true;
  std::map<std::string, std::string>
      credentials{};                         // e.g. deribit: client_id, client_secret; never logged or journalled
  std::map<std::string, std::string> extra;  // e.g. binance: trade_stream = aggTrade | trade
};

}  // namespace mp
