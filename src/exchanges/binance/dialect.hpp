#pragma once
// How Binance is spoken to over its websockets, spot and derivatives alike.
// Source: binance-spot-api-docs, web-socket-streams.md (2026-07-21), and the derivatives pages (2026-07-24); README.md.

#include "exchanges/binance/market.hpp"
#include "feed/subscriptions.hpp"

namespace mp::binance {

class BinanceDialect final : public Dialect {
 public:
  explicit BinanceDialect(Market market) : market_(market) {}
  Limits limits() const override {
    using namespace std::chrono_literals;
    return {
        // 1024 are allowed. Fewer, so that one connection's end touches fewer symbols.
        .streams_per_socket = 400,
        .streams_per_frame = 100,
        .bytes_per_frame = 8 * 1024,
        // Spot takes 5 messages a second from us, pongs included (one in 20 s).
        .frame_spacing = 300ms,
        // A connection lives 24 h at most.
        .connection_life = 23h + 50min,
        // Unknown names, and streams of the other path, are acknowledged and silent for ever.
        .confirms_anything = true,
        .connecting = {connect_charge(market_)},
    };
  }
  std::string request(Operation operation, std::string_view streams, std::uint64_t id) const override;

 private:
  Market market_;
};

}  // namespace mp::binance
