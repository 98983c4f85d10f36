#pragma once
// What the tests of this folder share: fixtures, padded texts, a script that plays the driver.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "base/raw_record.hpp"
#include "exchanges/okx/decode.hpp"
#include "exchanges/okx/okx.hpp"
#include "wire/json.hpp"

namespace mp::okx {

using namespace std::chrono_literals;

inline std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}
inline std::string fixture(const std::string& name) {
  const auto text = read_file(std::string(MP_SOURCE_DIR) + "/src/exchanges/okx/fixtures/" + name);
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

inline constexpr WallTime kStart = wall_from_nanos(1'790'000'000'000'000'000);

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

// Everything that the venue has; live when symbols are named, offline otherwise. No conflated pictures.
inline SessionOptions options_for(std::vector<std::string> symbols = {}) {
  SessionOptions options;
  options.source = {"okx", ""};
  options.conversing = !symbols.empty();
  options.symbols = std::move(symbols);
  options.data_types = {DataType::orderbook,        DataType::orderbook_delta, DataType::trade,
                        DataType::funding_rate,     DataType::open_interest,   DataType::liquidation,
                        DataType::lsr_top_position, DataType::lsr_all_account};
  options.book_series = {};
  options.min_interval = 0ms;
  return options;
}

inline const std::string kRest = "https://openapi.okx.com/api/v5/";
inline const std::string kRatioQuery = "?instId=BTC-USDT-SWAP&period=5m";
inline const std::string kAccountRatioUrl =
    kRest + "rubik/stat/contracts/long-short-account-ratio-contract" + kRatioQuery;
inline const std::string kPositionRatioUrl =
    kRest + "rubik/stat/contracts/long-short-position-ratio-contract-top-trader" + kRatioQuery;

// Plays the driver: each call clears the outbox, as the driver does, and keeps what came out.
class Script {
 public:
  explicit Script(const SessionOptions& options) : session(make_okx().make_session(options)) {}

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
  // The lists that the fixtures' instruments are in.
  void lists(std::chrono::nanoseconds t) {
    rest(kRest + "public/instruments?instType=SPOT", fixture("rest_instruments_spot.json"), t);
    rest(kRest + "public/instruments?instType=SWAP", fixture("rest_instruments_swap.json"), t);
    rest(kRest + "public/instruments?instType=FUTURES", fixture("rest_instruments_futures.json"), t);
    rest(kRest + "public/instruments?instType=OPTION&instFamily=BTC-USD", fixture("rest_instruments_option.json"), t);
  }

  std::vector<MarketEvent> all;  // so far
  std::unique_ptr<Session> session;
  Outbox out;

 private:
  template <class F>
  Outbox& step(F f) {
    out.clear();
    f();
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

// A book message of BTC-USDT-SWAP with one bid.
inline std::string book_frame(bool snapshot, std::int64_t prev, std::int64_t id, int ms,
                              const std::string& instrument = "BTC-USDT-SWAP") {
  return R"({"arg":{"channel":"books","instId":")" + instrument + R"("},"action":")" +
         (snapshot ? "snapshot" : "update") + R"(","data":[{"asks":[],"bids":[["100.)" + std::to_string(id % 10) +
         R"(","3","0","1"]],"ts":")" + std::to_string(1'790'000'000'000 + ms) + R"(","checksum":0,"seqId":)" +
         std::to_string(id) + R"(,"prevSeqId":)" + std::to_string(prev) + "}]}";
}
inline std::string trade_frame(std::uint64_t id, int ms, int count = 0) {
  return R"({"arg":{"channel":")" + std::string(count > 0 ? "trades" : "trades-all") +
         R"(","instId":"BTC-USDT-SWAP"},"data":[{"instId":"BTC-USDT-SWAP","tradeId":")" + std::to_string(id) +
         R"(","px":"100.5","sz":"2","side":"buy","ts":")" + std::to_string(1'790'000'000'000 + ms) + '"' +
         (count > 0 ? R"(,"count":")" + std::to_string(count) + '"' : "") + "}]}";
}

}  // namespace mp::okx
