// The venues, one line each.
#include <vector>

#include "base/text.hpp"
#include "exchanges/binance/binance.hpp"
#include "exchanges/deribit/deribit.hpp"
#include "exchanges/exchange.hpp"
#include "exchanges/okx/okx.hpp"

namespace mp {

std::span<const Exchange> exchanges() {
  static const std::vector<Exchange> all{
      make_binance(),
      make_deribit(),
      make_okx(),
  };
  return all;
}

std::vector<DataType> Exchange::data_types_of(std::string_view market) const {
  for (std::size_t i = 0; i < markets.size() && i < data_types.size(); ++i)
    if (markets[i] == market) return data_types[i];
  return {};
}

Result<const Exchange*> find_exchange(std::string_view name) {
  std::vector<std::string> names;
  for (const auto& exchange : exchanges()) {
    if (exchange.name == name) return &exchange;
    names.push_back(exchange.name);
  }
  const auto near = nearest(name, names);
  return Error{Errc::usage, "no exchange of the name",
               shortened(name) + (near.empty() ? "" : "; did you mean " + near + "?")};
}

std::optional<Source> source_of_url(std::string_view url) {
  for (const auto& exchange : exchanges())
    if (auto market = exchange.market_of_url(url)) return Source{exchange.name, *market};
  return std::nullopt;
}

}  // namespace mp
