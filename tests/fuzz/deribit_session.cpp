// Lines of any bytes as the records of a Deribit session that knows a few instruments.
#include "session.hpp"

namespace {

constexpr const char* kRest = "https://www.deribit.com/api/v2/public/";
constexpr std::string_view kInstruments =
    R"({"jsonrpc":"2.0","result":[{"instrument_name":"BTC-PERPETUAL","kind":"future","base_currency":"BTC",)"
    R"("quote_currency":"USD","counter_currency":"USD","settlement_currency":"BTC","instrument_type":"reversed",)"
    R"("settlement_period":"perpetual","contract_size":10.0,"tick_size":0.5,"min_trade_amount":10.0,"state":"open"},)"
    R"({"instrument_name":"BTC-25DEC26-100000-C","kind":"option","base_currency":"BTC","quote_currency":"BTC",)"
    R"("counter_currency":"USD","settlement_currency":"BTC","instrument_type":"reversed","settlement_period":"month",)"
    R"("option_type":"call","strike":100000.0,"expiration_timestamp":1798185600000,"contract_size":1.0,)"
    R"("tick_size":0.0001,"min_trade_amount":0.1,"state":"open"}]})";

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  mp::FuzzedSession session({"deribit", ""});
  session.feed(mp::RecordKind::rest, std::string(kRest) + "get_instruments?currency=any", kInstruments);
  session.feed_lines({reinterpret_cast<const char*>(data), size}, kRest);
  session.save_and_restore();
  return 0;
}
