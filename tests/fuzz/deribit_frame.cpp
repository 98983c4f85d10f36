// Any bytes as a frame and as every kind of REST answer.
#include "exchanges/deribit/catalogue.hpp"
#include "padded.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static mp::deribit::Decoder decoder;
  const mp::Padded text(data, size);
  (void)decoder.frame(text.view());
  (void)decoder.order_book(text.view());
  (void)decoder.volatility_history(text.view());
  (void)decoder.funding_history(text.view());
  (void)decoder.summaries(text.view());
  if (const auto list = decoder.instruments(text.view()))
    for (const auto& each : list->instruments) (void)mp::deribit::listed(each, mp::wall_from_nanos(0));
  return 0;
}
