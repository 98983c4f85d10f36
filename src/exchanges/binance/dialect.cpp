#include "exchanges/binance/dialect.hpp"

#include <fmt/format.h>

namespace mp::binance {

std::string BinanceDialect::request(Operation operation, std::string_view streams, std::uint64_t id) const {
  return fmt::format(R"({{"method":"{}","params":[{}],"id":{}}})",
                     operation == Operation::subscribe ? "SUBSCRIBE" : "UNSUBSCRIBE", streams, id);
}

}  // namespace mp::binance
