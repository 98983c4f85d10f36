#pragma once
// The simulated Deribit: the market model behind Deribit's JSON-RPC, over the websocket and over GET.

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "sim/deribit/request.hpp"
#include "sim/dialect/limits.hpp"
#include "sim/dialect/query.hpp"
#include "sim/dialect/topics.hpp"
#include "sim/market/ledger.hpp"
#include "sim/market/market.hpp"
#include "sim/market/told_book.hpp"
#include "sim/market/volatility.hpp"
#include "sim/venue.hpp"

namespace mp::sim::deribit {

// The venue's limits; tests and impatient users change them.
struct Limits {
  bool credits = true;  // 500 for a request of 50 000 (10 000 a second back), 3000 for a subscription of 30 000
  int least_heartbeat_seconds = 10;
  std::size_t volatility_rows = 1000;  // of one answer
};

struct ExchangeOptions {
  MarketOptions market;
  Limits limits;
  std::size_t history = 50'000;     // trades kept for REST, per instrument
  std::vector<std::string> refuse;  // channels that contain one of these do not exist
};

class Exchange final : public Venue, private MarketSink {
 public:
  // `ledger` may be null. Both must outlive the exchange.
  Exchange(std::vector<Symbol> symbols, const ExchangeOptions& options, Delivery& delivery, LineSink* ledger);
  ~Exchange() override;

  std::optional<ConnectionRules> open(ClientId client, std::string_view target) override;
  void text(ClientId client, std::string_view frame) override;
  void closed(ClientId client) override;
  HttpAnswer rest(const HttpRequest& request, WallTime now) override;
  std::string farewell(ClientId, WallTime) override { return ""; }  // the venue says nothing before
  bool advance(WallTime now) override;
  std::optional<WallTime> next_due() const override { return market_.next_event(); }
  bool done() const override { return false; }
  void finish(WallTime now) override;

  std::uint64_t trades() const override { return trades_; }
  const Market& market() const { return market_; }

 private:
  struct Listed;  // one instrument: who hears what of it, and what of it the ledger has
  struct Client {
    Nanos heartbeat{};  // zero: none
    WallTime next_beat;
    bool test_is_next = false;
    std::optional<WallTime> asked;  // a test_request that was not answered
  };
  struct Volatility {
    std::string name, currency;  // btc_usd, BTC
    VolatilityIndex index;
    Topic* topic = nullptr;
    bool in_ledger = false;
    std::map<std::string, std::set<WallTime>> told;  // candles in the ledger, by resolution
  };
  // JSON, or an error.
  struct Outcome {
    std::string result;
    int code = 0;
    std::string message;
    int status = 400;  // over HTTP, of an error
  };
  static Outcome error(int code, std::string message, int status = 400) {
    return {"", code, std::move(message), status};
  }

  void changed(std::size_t, Side, const Level&, std::uint64_t) override {}
  void traded(std::size_t index, const Trade& trade, std::span<const Fill> fills) override;
  void depth_due(std::size_t index, WallTime time) override;
  void beat(std::size_t index, WallTime time) override;

  // --- websocket
  Outcome socket_method(ClientId id, const Request& request);
  Outcome subscribe(ClientId id, const Request& request);
  Outcome unsubscribe(ClientId id, const Request& request);
  void greet(ClientId id, const std::string& channel);
  bool is_channel(const std::string& channel) const;
  void look_after(ClientId id, Client& client);
  std::string envelope(const Outcome& outcome, std::string_view id) const;
  void push(const Topic& topic, std::string_view data);

  // --- methods
  Outcome method(std::string_view name, const Request& request, WallTime now);
  Outcome instruments(const Request& request) const;
  Outcome instrument(const Request& request) const;
  Outcome summaries(const Request& request, WallTime now) const;
  Outcome order_book(const Request& request) const;
  Outcome ticker(const Request& request, WallTime now);
  Outcome last_trades(const Request& request) const;
  Outcome funding_history(const Request& request);
  Outcome volatility_data(const Request& request, WallTime now);
  std::optional<std::size_t> find(std::string_view instrument) const;
  bool has_credits(const std::string& who, std::string_view name, WallTime now);

  // --- what the channels tell
  void publish_book(std::size_t index, WallTime time);
  void publish_ticker(std::size_t index, WallTime time);
  void note_ticker(std::size_t index, WallTime time);
  void advance_indexes(WallTime time);
  void note_liquidation(const Symbol& symbol, const Trade& trade, const Fill& fill, bool sells);
  std::int64_t volatility_of(std::size_t index) const;
  void write(std::string line);

  Market market_;
  Limits limits_;
  std::vector<std::string> refused_;
  Delivery& delivery_;
  LineSink* ledger_;
  Topics topics_;
  std::vector<std::unique_ptr<Listed>> listed_;
  std::unordered_map<std::string, std::size_t> by_name_;
  std::vector<Volatility> volatilities_;
  std::map<std::string, Topic*, std::less<>> channels_;  // all there are
  std::map<std::string, std::uint64_t> next_trade_;      // by currency
  std::map<ClientId, Client> clients_;
  Credits requests_{50'000, 10'000};
  Credits subscriptions_{30'000, 10'000};
  Credits lists_{5, 1};  // get_instruments: one a second
  WallTime now_;         // of the last advance()
  std::uint64_t trades_ = 0;
  std::string message_, data_;  // kept for their memory
  std::vector<LevelChange> bids_, asks_;
};

}  // namespace mp::sim::deribit
