#pragma once
// Events as JSON, one per line: the contract of the bus, of `normalize` and of `replay`
// (docs/wire-contract.md; golden files in fixtures/).

#include <string>
#include <string_view>
#include <unordered_map>

#include "model/market_event.hpp"

namespace mp::wire {

// Appends the event as one JSON object without a line end.
void append_json(std::string& out, const MarketEvent& event);

// Keeps one InstrumentId for all events of an instrument. One thread.
class InstrumentPool {
 public:
  InstrumentRef get(std::string_view exchange, MarketType market_type, std::string_view symbol,
                    std::string_view instrument);

 private:
  std::unordered_map<std::string, InstrumentRef> known_;
  std::string key_;
};

// Reads events back. Reuses its buffers; one thread.
class Decoder {
 public:
  explicit Decoder(InstrumentPool& pool);
  ~Decoder();
  Decoder(Decoder&&) noexcept;

  // One JSON object. `line` needs no padding (it is copied where needed).
  // Unknown fields are ignored; a missing or malformed one is an Error that names it.
  Result<MarketEvent> decode(std::string_view line);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mp::wire
