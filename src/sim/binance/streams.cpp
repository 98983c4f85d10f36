#include "sim/binance/streams.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>

namespace mp::sim::binance {
namespace {

using namespace std::chrono_literals;

std::optional<Nanos> parse_speed(Section section, std::string_view speed) {
  if (speed.empty()) return section == Section::spot ? Nanos{1000ms} : Nanos{250ms};
  if (speed == "100ms") return Nanos{100ms};
  if (section == Section::spot) return std::nullopt;
  if (speed == "500ms") return Nanos{500ms};
  if (speed == "0ms") return Nanos{0};
  return std::nullopt;
}

struct Candle {
  std::string_view name;
  Nanos length;
};
constexpr std::array<Candle, 15> kCandles{{{"1s", 1s},
                                           {"1m", 1min},
                                           {"3m", 3min},
                                           {"5m", 5min},
                                           {"15m", 15min},
                                           {"30m", 30min},
                                           {"1h", 1h},
                                           {"2h", 2h},
                                           {"4h", 4h},
                                           {"6h", 6h},
                                           {"8h", 8h},
                                           {"12h", 12h},
                                           {"1d", 24h},
                                           {"3d", 72h},
                                           {"1w", 168h}}};

bool parse_kind(Section section, std::string_view kind, Stream& stream) {
  if (kind == "trade") {
    stream.type = StreamType::trade;
    return true;
  }
  if (kind == "aggTrade") {
    stream.type = StreamType::agg_trade;
    return true;
  }
  if (kind == "bookTicker") {
    stream.type = StreamType::book_ticker;
    return true;
  }
  if (kind.starts_with("kline_")) {
    const auto candle =
        std::find_if(kCandles.begin(), kCandles.end(), [&](const Candle& c) { return c.name == kind.substr(6); });
    if (candle == kCandles.end() || (section == Section::usdm && candle->name == "1s")) return false;
    stream.type = StreamType::kline;
    stream.interval = candle->length;
    stream.candle = candle->name;
    return true;
  }
  if (kind == "ticker") {
    stream.type = StreamType::ticker;
    stream.interval = section == Section::spot ? 1s : 2s;
    return true;
  }
  if (section == Section::usdm && (kind == "markPrice" || kind == "markPrice@1s")) {
    stream.type = StreamType::mark_price;
    stream.interval = kind == "markPrice" ? 3s : 1s;
    return true;
  }
  if (section == Section::usdm && kind == "forceOrder") {
    stream.type = StreamType::force_order;
    return true;
  }
  if (!kind.starts_with("depth")) return false;

  kind.remove_prefix(5);
  const auto [end, error] = std::from_chars(kind.data(), kind.data() + kind.size(), stream.levels);
  stream.type = error == std::errc{} ? StreamType::partial_depth : StreamType::depth;
  if (stream.type == StreamType::partial_depth) {
    if (stream.levels != 5 && stream.levels != 10 && stream.levels != 20) return false;
    kind.remove_prefix(static_cast<std::size_t>(end - kind.data()));
  }
  if (!kind.empty() && !kind.starts_with('@')) return false;
  const auto speed = parse_speed(section, kind.empty() ? kind : kind.substr(1));
  if (!speed || (kind == "@")) return false;
  stream.interval = *speed;
  return true;
}

}  // namespace

std::optional<Stream> parse_stream(Section section, std::string_view name) {
  Stream stream;
  if (section == Section::usdm && name == "!forceOrder@arr") {
    stream.type = StreamType::force_order;
    return stream;
  }
  const auto at = name.find('@');
  if (at == name.npos || at == 0 || name.front() == '!') return std::nullopt;
  for (const char c : name.substr(0, at)) {
    if (c >= 'A' && c <= 'Z') return std::nullopt;
    stream.symbol.push_back(c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c);
  }
  if (!parse_kind(section, name.substr(at + 1), stream)) return std::nullopt;
  return stream;
}

Route route_of(Section section, std::string_view name) {
  if (section == Section::spot) return Route::spot;
  if (name == "!bookTicker") return Route::usdm_public;
  const auto at = name.find('@');
  const auto kind = at == name.npos ? std::string_view{} : name.substr(at + 1);
  const bool is_public =
      kind == "trade" || kind == "bookTicker" || kind.starts_with("depth") || kind.starts_with("rpiDepth");
  return is_public ? Route::usdm_public : Route::usdm_market;
}

}  // namespace mp::sim::binance
