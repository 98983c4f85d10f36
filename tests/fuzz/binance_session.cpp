// Lines of any bytes as the records of a session that knows a few instruments; every event must be writable, and the
// session's state must survive saving and restoring.
#include <cstdlib>

#include "exchanges/router.hpp"
#include "padded.hpp"
#include "wire/json.hpp"

namespace {

constexpr std::string_view kInfo =
    R"({"symbols":[{"symbol":"BTCUSDT","status":"TRADING","contractType":"PERPETUAL","baseAsset":"BTC","quoteAsset":"USDT"}]})";

// The address that a REST body of this beginning answers; nullptr for frames.
const char* answers_of(std::string_view line) {
  if (line.starts_with("{\"openInterest\"")) return "https://x/openInterest?symbol=BTCUSDT";
  if (line.starts_with("{\"symbol\"")) return "https://x/premiumIndex?symbol=BTCUSDT";
  if (!line.starts_with("[{\"symbol\"")) return nullptr;
  if (line.find("\"fundingIntervalHours\"") != line.npos) return "https://x/fundingInfo";
  if (line.find("\"fundingTime\"") != line.npos) return "https://x/fundingRate?symbol=BTCUSDT";
  const bool odd = line.size() % 2 == 1;
  return odd ? "https://x/topLongShortPositionRatio?period=5m" : "https://x/globalLongShortAccountRatio?period=5m";
}

struct Feeder {
  explicit Feeder(mp::Source where) : source(std::move(where)) {}
  mp::Source source;
  mp::Router router{[](const mp::Source& each) {
    mp::SessionOptions options;
    options.source = each;
    options.max_clock_distance = std::chrono::hours{0};
    options.conversing = false;
    return options;
  }};
  std::int64_t clock = 1'790'000'000'000'000'000;
  std::string json;

  void feed(mp::RecordKind kind, std::string_view url, std::string_view payload) {
    mp::RawRecord record;
    record.kind = kind;
    record.connection = 1 + static_cast<mp::ConnectionId>(payload.size() % 2);
    record.source = &source;
    record.received_at = mp::wall_from_nanos(clock += 20'000'000);
    record.status = 200;
    record.url = url;
    record.payload = payload;
    router.route(record, {}, mp::MonoTime{}, [this](const mp::Source&, mp::Outbox& out, auto) {
      for (const auto& event : out.events) {
        json.clear();
        mp::wire::append_json(json, event);
      }
    });
  }
};

void play(const mp::Source& source, std::string_view text) {
  Feeder feeder(source);
  const mp::Padded info(reinterpret_cast<const std::uint8_t*>(kInfo.data()), kInfo.size());
  feeder.feed(mp::RecordKind::rest, "https://x/exchangeInfo", info.view());
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    const mp::Padded line(reinterpret_cast<const std::uint8_t*>(text.data()), end);
    if (line.view().starts_with("{\"lastUpdateId\""))
      feeder.feed(mp::RecordKind::rest, "https://x/depth?symbol=BTCUSDT", line.view());
    else if (const auto* answers = answers_of(line.view()))
      feeder.feed(mp::RecordKind::rest, answers, line.view());
    else if (line.view() == "-")
      feeder.feed(mp::RecordKind::closed, "", line.view());
    else
      feeder.feed(mp::RecordKind::text, "", line.view());
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  std::string saved;
  feeder.router.save(saved);
  Feeder fresh(source);
  std::string again;
  if (!fresh.router.restore(saved)) std::abort();
  fresh.router.save(again);
  if (again != saved) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  play({"binance", "spot"}, text);
  play({"binance", "derivatives"}, text);
  return 0;
}
