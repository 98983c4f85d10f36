// Any bytes as a frame, and as each REST answer.
#include "exchanges/okx/instruments.hpp"
#include "padded.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static mp::okx::Decoder decoder;
  const mp::Padded text(data, size);
  (void)decoder.frame(text.view());
  (void)decoder.book(text.view());
  (void)decoder.funding(text.view());
  (void)decoder.settled_funding(text.view());
  (void)decoder.open_interest(text.view());
  (void)decoder.ratios(text.view());
  (void)decoder.tickers(text.view());
  const auto list = decoder.instruments(text.view());
  if (!list) return 0;
  std::vector<mp::okx::UnknownValue> unknown;
  for (const auto& row : list->rows) (void)mp::okx::listing_of(row, mp::wall_from_nanos(0), unknown);
  return 0;
}
