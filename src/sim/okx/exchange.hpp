#pragma once
// The simulated OKX: the market model behind OKX's API v5 websockets and REST endpoints.

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "sim/dialect/history.hpp"
#include "sim/dialect/limits.hpp"
#include "sim/dialect/query.hpp"
#include "sim/dialect/topics.hpp"
#include "sim/market/ledger.hpp"
#include "sim/market/market.hpp"
#include "sim/market/told_book.hpp"
#include "sim/okx/request.hpp"
#include "sim/venue.hpp"

namespace mp::sim::okx {

// The venue's limits; tests and impatient users shorten them.
struct Limits {
  Nanos idle{std::chrono::seconds{30}};  // a connection that was sent nothing for so long is closed
  int requests_per_hour = 480;           // per connection: subscribe and unsubscribe
  std::size_t request_bytes = 64 * 1024;
  Nanos keep_alive{std::chrono::seconds{60}};   // an unchanged book is told to be so
  Nanos reset_every{std::chrono::minutes{10}};  // a book's sequence begins anew that often; 0: never
  bool rest_limits = true;
};

struct ExchangeOptions {
  MarketOptions market;
  Limits limits;
  std::size_t history = 50'000;     // fills kept for REST, per instrument
  std::vector<std::string> refuse;  // subscriptions whose "channel:instId" contains one of these are refused
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
  std::string farewell(ClientId client, WallTime now) override;
  bool advance(WallTime now) override;
  std::optional<WallTime> next_due() const override { return market_.next_event(); }
  bool done() const override { return false; }
  void finish(WallTime now) override;

  std::uint64_t trades() const override { return trades_; }
  const Market& market() const { return market_; }

 private:
  struct Listed;  // one instrument: who hears what of it, and what of it the ledger has
  struct Client {
    bool business = false;
    WallTime opened, last_sent;
    WallTime hour;
    int requests = 0;  // in this hour
  };
  struct Liquidation {
    std::size_t index = 0;
    LiquidationNote note;
    bool written = false;  // in the ledger
  };
  // One kind of instruments: who hears its liquidations and instruments.
  struct Type {
    Topic* liquidations = nullptr;
    Topic* instruments = nullptr;
    std::deque<Liquidation> recent;
  };

  void changed(std::size_t, Side, const Level&, std::uint64_t) override {}
  void traded(std::size_t index, const Trade& trade, std::span<const Fill> fills) override;
  void depth_due(std::size_t index, WallTime time) override;
  void beat(std::size_t index, WallTime time) override;

  // --- websocket
  void subscribe(ClientId id, const Client& client, const Request& request, const Argument& argument);
  void unsubscribe(ClientId id, const Request& request, const Argument& argument);
  bool may_ask(ClientId id, Client& client, const Request& request);
  void answer(ClientId id, const Request& request, std::string_view event, const Argument& argument);
  void refuse(ClientId id, const Request& request, std::string_view code, std::string_view message);
  std::string connection_id(ClientId id) const;
  // The instrument or the kind of instruments that the argument is about; "" when there is no such channel here.
  std::string topic_name(const Client& client, const Argument& argument) const;
  void greet(ClientId id, const Argument& argument);  // what a channel says first
  void send(ClientId id, std::string_view text);
  void publish(const Topic& topic, std::string_view text);

  // --- what the channels tell
  void publish_book(std::size_t index, WallTime time, bool keep_alive);
  void append_book(std::string& out, std::size_t index, WallTime time, std::uint64_t seq, std::int64_t previous) const;
  void publish_liquidation(std::size_t index, const Trade& trade);
  void publish_funding(std::size_t index);
  void publish_open_interest(std::size_t index);
  void publish_ticker(std::size_t index, WallTime time);
  void note_funding(std::size_t index);
  void note_open_interest(std::size_t index);
  void note_ratios(std::size_t index, WallTime period, Holders holders, std::string_view ratio,
                   std::string_view length);
  void write(std::string line);

  // --- REST
  using Row = std::string;
  std::optional<std::size_t> find(std::string_view inst_id) const;
  HttpAnswer rest_route(std::string_view path, const Query& query, WallTime now);
  HttpAnswer rest_book(const Query& query);
  HttpAnswer rest_trades(const Query& query, bool history);
  HttpAnswer rest_instruments(const Query& query);
  HttpAnswer rest_tickers(const Query& query, bool one, WallTime now);
  HttpAnswer rest_funding(const Query& query);
  HttpAnswer rest_funding_history(const Query& query);
  HttpAnswer rest_open_interest(const Query& query);
  HttpAnswer rest_mark_price(const Query& query);
  HttpAnswer rest_ratio(std::string_view path, const Query& query, WallTime now);

  Market market_;
  Limits limits_;
  std::vector<std::string> refused_;
  Delivery& delivery_;
  LineSink* ledger_;
  Topics topics_;
  std::vector<std::unique_ptr<Listed>> listed_;
  std::unordered_map<std::string, std::size_t> by_name_;
  std::map<std::string, Type, std::less<>> types_;
  std::unordered_map<ClientId, Client> clients_;
  FixedWindows windows_;
  WallTime now_, looked_;  // of the last advance(); when connections were last looked through
  std::uint64_t trades_ = 0;
  std::string message_;  // kept for its memory
  std::vector<LevelChange> bids_, asks_;
};

}  // namespace mp::sim::okx
