#include "exchanges/deribit/dialect.hpp"

#include <fmt/format.h>

#include "base/text.hpp"

namespace mp::deribit {

std::string DeribitDialect::request(Operation operation, std::string_view streams, std::uint64_t id) const {
  return fmt::format(R"({{"jsonrpc":"2.0","id":{},"method":"{}/{}","params":{{"channels":[{}]}}}})", id,
                     logged_in_ ? "private" : "public", operation == Operation::subscribe ? "subscribe" : "unsubscribe",
                     streams);
}

std::vector<std::string> DeribitDialect::greetings(std::uint64_t& next_id) const {
  return {fmt::format(R"({{"jsonrpc":"2.0","id":{},"method":"public/set_heartbeat","params":{{"interval":{}}}}})",
                      next_id++, kHeartbeat.count())};
}

std::string DeribitDialect::login(const Credentials& credentials, std::uint64_t id) {
  std::string out = fmt::format(
      R"({{"jsonrpc":"2.0","id":{},"method":"public/auth","params":{{"grant_type":"client_credentials",)", id);
  out += R"("client_id":)";
  append_json_string(out, credentials.client_id);
  out += R"(,"client_secret":)";
  append_json_string(out, credentials.client_secret);
  out += "}}";
  return out;
}

std::string DeribitDialect::login_without_secret(std::uint64_t id) {
  return fmt::format(R"({{"jsonrpc":"2.0","id":{},"method":"public/auth","params":"[not recorded]"}})", id);
}

std::optional<std::chrono::seconds> again_after(std::int64_t code, bool logged_in) {
  using std::chrono::seconds;
  switch (code) {
    // Codes and their meaning: docs.deribit.com "RPC error codes"; which of them pass by themselves is experience of
    // other implementations.
    case 10028: return seconds{15};  // too_many_requests: the pool of credits needs 5 s to fill
    case 10040:                      // retry
    case 10066:                      // too many concurrent requests
    case 11094:                      // internal server error
    case 13028:                      // temporarily unavailable
    case 13888: return seconds{5};   // timed out
    case 10041:                      // settlement in progress
    case 10047:                      // matching engine queue full
    case 11051:
      return seconds{30};  // system maintenance
    // raw_subscriptions_not_available_for_unauthorized: the login was slower than the subscription.
    case 13778:
      if (logged_in) return seconds{5};
      return std::nullopt;
    default: return std::nullopt;
  }
}

}  // namespace mp::deribit
