#pragma once
// What a session tells besides its data: messages that it refuses, channels that it does not map, and words of the
// venue that are new to it. Counts are bounded in number: names beyond it are counted as "others".

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "feed/session_options.hpp"

namespace mp {

class Reports {
 public:
  static constexpr std::size_t kMostNames = 200;

  // `kind`: the market type of what is refused before its instrument is known.
  Reports(const SessionOptions& options, MarketType kind);

  MarketType kind() const { return kind_; }
  // Appends a Rejected. `instrument`: null when it is not known; `raw`: as received.
  void reject(InstrumentRef instrument, std::optional<DataType> type, std::string reason, std::string_view raw,
              WallTime now, std::vector<MarketEvent>& out) const;
  // A message of an instrument that the catalogue does not have.
  void unknown_instrument(std::string_view venue_symbol, DataType type, std::string_view raw, WallTime now,
                          std::vector<MarketEvent>& out) const;
  // Why an event with this time must be refused, if it must: live ones further away than max_clock_distance would
  // make stray partitions or expire at once.
  std::optional<std::string> too_distant(WallTime timestamp, WallTime now) const;

  // A channel, an endpoint or a class of messages that gives neither event nor reject: counted.
  void unmapped(std::string_view name);
  // A field or a descriptive value that the venue did not have when its decoder was written: the message is taken
  // without it, it is counted, and told once. (An unknown value that decides what a message means is a reject.)
  void unknown_field(std::string_view field);                          // "trades.foo"
  void unknown_value(std::string_view field, std::string_view value);  // "instruments.state", "paused"

  // What is to be told and has not been; moved out.
  void tell(std::vector<Notice>& out);
  void count(SessionCounters& out) const;

 private:
  using Counts = std::map<std::string, std::uint64_t, std::less<>>;
  void unknown(std::string_view name, const char* message);

  std::string exchange_;
  MarketType kind_;
  DataSource data_source_;
  std::chrono::hours max_clock_distance_;
  Counts unmapped_;
  Counts unknown_;
  std::vector<Notice> untold_;
};

}  // namespace mp
