// Lines of any bytes as the records of an OKX session that knows a few instruments.
#include "session.hpp"

namespace {

constexpr const char* kRest = "https://openapi.okx.com/api/v5/";
constexpr std::string_view kSwaps =
    R"({"code":"0","msg":"","data":[{"instType":"SWAP","instId":"BTC-USDT-SWAP","instFamily":"BTC-USDT","uly":"BTC-USDT",)"
    R"("settleCcy":"USDT","ctVal":"0.01","ctMult":"1","ctValCcy":"BTC","ctType":"linear","tickSz":"0.1","lotSz":"0.01",)"
    R"("state":"live","ruleType":"normal"},{"instType":"SWAP","instId":"BTC-USD-SWAP","instFamily":"BTC-USD",)"
    R"("uly":"BTC-USD","settleCcy":"BTC","ctVal":"100","ctMult":"1","ctValCcy":"USD","ctType":"inverse","tickSz":"0.1",)"
    R"("lotSz":"1","state":"live","ruleType":"normal"}]})";
constexpr std::string_view kSpot =
    R"({"code":"0","msg":"","data":[{"instType":"SPOT","instId":"BTC-USDT","baseCcy":"BTC","quoteCcy":"USDT",)"
    R"("tickSz":"0.1","lotSz":"0.00000001","state":"live","ruleType":"normal"}]})";

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  mp::FuzzedSession session({"okx", ""});
  session.feed(mp::RecordKind::rest, std::string(kRest) + "public/instruments?instType=SWAP", kSwaps);
  session.feed(mp::RecordKind::rest, std::string(kRest) + "public/instruments?instType=SPOT", kSpot);
  session.feed_lines({reinterpret_cast<const char*>(data), size}, kRest);
  session.save_and_restore();
  return 0;
}
