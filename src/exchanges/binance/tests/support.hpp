#pragma once
// What the tests of this folder share: fixtures, padded texts, a script that plays the driver.
#include <gtest/gtest.h>

#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "exchanges/binance/binance.hpp"
#include "wire/json.hpp"

namespace mp::binance {

using namespace std::chrono_literals;

inline std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}
inline std::string fixture(const std::string& name) {
  const auto text = read_file(std::string(MP_SOURCE_DIR) + "/src/exchanges/binance/fixtures/" + name);
  EXPECT_FALSE(text.empty()) << "fixture " << name;
  return text;
}

// A text with the readable bytes behind it that decoders need. Behind them is the end of an exact allocation, so
// that the address sanitizer sees a read beyond.
class Padded {
 public:
  explicit Padded(std::string_view text) : size_(text.size()), bytes_(new char[size_ + RawRecord::kFramePadding]) {
    std::copy(text.begin(), text.end(), bytes_.get());
    // What stands there may be anything: here, what would make a cut text look whole.
    std::fill(bytes_.get() + size_, bytes_.get() + size_ + RawRecord::kFramePadding, '}');
  }
  std::string_view view() const { return {bytes_.get(), size_}; }

 private:
  std::size_t size_;
  std::unique_ptr<char[]> bytes_;
};

inline std::string json(const MarketEvent& event) {
  std::string out;
  wire::append_json(out, event);
  return out;
}
inline std::string json(const std::vector<MarketEvent>& events) {
  std::string out;
  for (const auto& event : events) out += json(event) + "\n";
  return out;
}

inline constexpr WallTime kStart = wall_from_nanos(1'790'000'000'000'000'000);

inline SessionOptions options_for(const std::string& market, std::vector<std::string> symbols = {}) {
  SessionOptions options;
  options.source = {"binance", market};
  options.symbols = std::move(symbols);
  options.conversing = !options.symbols.empty();
  options.book_series = {};
  return options;
}

// Plays the driver: each call clears the outbox, as the driver does, and keeps what came out.
class Script {
 public:
  explicit Script(const SessionOptions& options) : session(make_binance().make_session(options)) {}

  Instant at(std::chrono::nanoseconds t) const { return {kStart + t, MonoTime{} + 1000h + t}; }
  Outbox& begin(std::chrono::nanoseconds t) {
    return step([&] { session->begin(at(t), out); });
  }
  Outbox& opened(ConnectionId connection, std::string_view url, std::chrono::nanoseconds t) {
    return step([&] { session->opened(connection, url, at(t), out); });
  }
  Outbox& closed(ConnectionId connection, std::chrono::nanoseconds t) {
    return step([&] { session->closed(connection, "test", at(t), out); });
  }
  Outbox& text(ConnectionId connection, const std::string& frame, std::chrono::nanoseconds t) {
    return step([&] { session->text(connection, Padded(frame).view(), at(t), out); });
  }
  Outbox& rest(const std::string& url, const std::string& body, std::chrono::nanoseconds t, int status = 200) {
    return step([&] { session->rest({url, status, Padded(body).view()}, at(t), out); });
  }
  Outbox& rest_failed(const std::string& url, std::chrono::nanoseconds t) {
    return step([&] { session->rest_failed(url, "no route", at(t), out); });
  }
  Outbox& flush(std::chrono::nanoseconds t) {
    return step([&] { session->flush(at(t), out); });
  }
  Outbox& tick(std::chrono::nanoseconds t) {
    return step([&] { session->tick(at(t), out); });
  }
  // All events so far, as JSON lines.
  std::string events;
  std::vector<MarketEvent> all;
  std::unique_ptr<Session> session;
  Outbox out;

 private:
  template <class F>
  Outbox& step(F f) {
    out.clear();
    f();
    events += json(out.events);
    all.insert(all.end(), out.events.begin(), out.events.end());
    return out;
  }
};

template <class T>
std::vector<T> only(const std::vector<MarketEvent>& events) {
  std::vector<T> out;
  for (const auto& event : events)
    if (const auto* found = std::get_if<T>(&event)) out.push_back(*found);
  return out;
}

inline std::string spot_update(std::uint64_t first, std::uint64_t last, int ms, const std::string& symbol = "BTCUSDT") {
  return R"({"stream":"x@depth@100ms","data":{"e":"depthUpdate","E":)" + std::to_string(1'790'000'000'000 + ms) +
         R"(,"s":")" + symbol + R"(","U":)" + std::to_string(first) + R"(,"u":)" + std::to_string(last) +
         R"(,"b":[["100.)" + std::to_string(last % 10) + R"(","1"]],"a":[]}})";
}
inline std::string usdm_update(std::uint64_t first, std::uint64_t last, std::uint64_t prev, int ms) {
  return R"({"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":)" + std::to_string(1'790'000'000'003 + ms) +
         R"(,"T":)" + std::to_string(1'790'000'000'000 + ms) + R"(,"s":"BTCUSDT","ps":"BTCUSDT","st":1,"U":)" +
         std::to_string(first) + R"(,"u":)" + std::to_string(last) + R"(,"pu":)" + std::to_string(prev) +
         R"(,"b":[["100.)" + std::to_string(last % 10) + R"(","1"]],"a":[]}})";
}
inline std::string depth_reply(std::int64_t id) {
  return R"({"lastUpdateId":)" + std::to_string(id) + R"(,"bids":[["100","5"]],"asks":[["200","7"]]})";
}
inline std::string agg_trade(std::uint64_t id, int ms, const std::string& symbol = "BTCUSDT") {
  const auto n = std::to_string(id);
  return R"({"stream":"x@aggTrade","data":{"e":"aggTrade","E":)" + std::to_string(1'790'000'000'003 + ms) +
         R"(,"s":")" + symbol + R"(","a":)" + n + R"(,"p":"100.5","q":"0.25","f":)" + n + R"(,"l":)" + n + R"(,"T":)" +
         std::to_string(1'790'000'000'000 + ms) + R"(,"m":false}})";
}

inline constexpr const char* kSpotInfoUrl = "https://api.binance.com/api/v3/exchangeInfo";
inline constexpr const char* kSpotDepthUrl = "https://api.binance.com/api/v3/depth?symbol=BTCUSDT&limit=1000";
inline constexpr const char* kUsdmInfoUrl = "https://fapi.binance.com/fapi/v1/exchangeInfo";
inline constexpr const char* kUsdmDepthUrl = "https://fapi.binance.com/fapi/v1/depth?symbol=BTCUSDT&limit=1000";

}  // namespace mp::binance
