#include "exchanges/okx/dialect.hpp"

#include <fmt/format.h>

#include "base/text.hpp"

namespace mp::okx {

std::string stream_name(std::string_view channel, std::string_view instrument_or_kind) {
  return fmt::format("{}:{}", channel, instrument_or_kind);
}

// {"channel":"books","instId":"BTC-USDT-SWAP"}; {"channel":"liquidation-orders","instType":"SWAP"}
void OkxDialect::append_stream(std::string& out, std::string_view name) const {
  const auto colon = name.find(':');
  const auto channel = name.substr(0, colon);
  const bool of_a_kind = channel == "liquidation-orders" || channel == "instruments";
  out += R"({"channel":)";
  append_json_string(out, channel);
  out += of_a_kind ? R"(,"instType":)" : R"(,"instId":)";
  append_json_string(out, colon == std::string_view::npos ? std::string_view{} : name.substr(colon + 1));
  out += '}';
}

std::string OkxDialect::request(Operation operation, std::string_view streams, std::uint64_t id) const {
  return fmt::format(R"({{"id":"{}","op":"{}","args":[{}]}})", id,
                     operation == Operation::subscribe ? "subscribe" : "unsubscribe", streams);
}

}  // namespace mp::okx
