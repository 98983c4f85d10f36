#pragma once
// A script that plays the driver for a session.
#include "decode_support.hpp"
#include "exchanges/deribit/deribit.hpp"
#include "wire/json.hpp"

namespace mp::deribit {

using namespace std::chrono_literals;

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
inline const std::vector<DataType> kAllTypes{
    DataType::orderbook,     DataType::orderbook_delta, DataType::trade,           DataType::funding_rate,
    DataType::open_interest, DataType::liquidation,     DataType::volatility_index};

inline SessionOptions options_for(const std::vector<std::string>& symbols = {}) {
  SessionOptions options;
  options.source = {"deribit", ""};
  options.symbols = symbols;
  options.conversing = !options.symbols.empty();
  options.data_types = kAllTypes;
  options.book_series = {};
  options.min_interval = {};
  return options;
}

// Plays the driver: each call clears the outbox, as the driver does, and keeps what came out.
class Script {
 public:
  explicit Script(const SessionOptions& options) : session(make_deribit().make_session(options)) {}

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

// Where the venue's answers come from in these tests.
inline std::string rest_url(const std::string& method_and_query) {
  return "https://www.deribit.com/api/v2/public/" + method_and_query;
}
inline const std::string kInstrumentsUrl = rest_url("get_instruments?currency=any&expired=false");
inline constexpr const char* kSocketUrl = "wss://www.deribit.com/ws/api/v2";

inline std::string book_snapshot(std::uint64_t id, int ms, const std::string& instrument = "BTC-PERPETUAL") {
  return notification("book." + instrument + ".100ms",
                      R"({"type":"snapshot","timestamp":)" + std::to_string(1'790'000'000'000 + ms) +
                          R"(,"instrument_name":")" + instrument + R"(","change_id":)" + std::to_string(id) +
                          R"(,"bids":[["new",100.0,10.0]],"asks":[["new",200.0,20.0]]})");
}
inline std::string book_change(std::uint64_t prev, std::uint64_t id, int ms,
                               const std::string& instrument = "BTC-PERPETUAL") {
  return notification("book." + instrument + ".100ms",
                      R"({"type":"change","timestamp":)" + std::to_string(1'790'000'000'000 + ms) +
                          R"(,"instrument_name":")" + instrument + R"(","prev_change_id":)" + std::to_string(prev) +
                          R"(,"change_id":)" + std::to_string(id) + R"(,"bids":[["new",10)" + std::to_string(id % 10) +
                          R"(.5,1.0]],"asks":[]})");
}
inline std::string trade(std::uint64_t seq, int ms, const std::string& more = "") {
  const auto n = std::to_string(seq);
  return notification(
      "trades.BTC-PERPETUAL.100ms",
      R"([{"trade_seq":)" + n + R"(,"trade_id":"4)" + n + R"(","timestamp":)" + std::to_string(1'790'000'000'000 + ms) +
          R"(,"price":64250.5,"instrument_name":"BTC-PERPETUAL","direction":"sell","amount":10.0)" + more + "}]");
}

}  // namespace mp::deribit
