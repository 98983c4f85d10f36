// Any bytes as a frame, and as each REST answer.
#include "exchanges/binance/catalogue.hpp"
#include "feed/catalogue.hpp"
#include "padded.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static mp::binance::Decoder decoder;
  const mp::Padded text(data, size);
  (void)decoder.frame(text.view());
  (void)decoder.depth(text.view());
  (void)decoder.volumes(text.view());
  (void)decoder.funding_info(text.view());
  (void)decoder.settled_funding(text.view());
  (void)decoder.premium_index(text.view());
  (void)decoder.open_interest(text.view());
  (void)decoder.ratios(text.view());
  const auto info = decoder.exchange_info(text.view());
  if (!info) return 0;
  for (const auto market : {mp::binance::Market::spot, mp::binance::Market::derivatives}) {
    mp::Catalogue catalogue("binance");
    for (const auto& each : info->symbols)
      if (const auto type = mp::binance::market_type_of(market, each))
        catalogue.update(mp::binance::id_of(*type, each),
                         mp::binance::definition_of(*type, each, mp::wall_from_nanos(0)));
  }
  return 0;
}
