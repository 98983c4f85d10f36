#pragma once
// The simulated Binance: the market model behind Binance's websocket streams and REST endpoints, spot and USD-M.

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "sim/binance/switchboard.hpp"
#include "sim/binance/weights.hpp"
#include "sim/dialect/history.hpp"
#include "sim/dialect/limits.hpp"
#include "sim/market/ledger.hpp"
#include "sim/market/market.hpp"
#include "sim/venue.hpp"

namespace mp::sim::binance {

struct ExchangeOptions {
  MarketOptions market;
  Limits limits;
  std::size_t history = 50'000;     // trades kept for REST, per symbol and series
  std::vector<std::string> refuse;  // subscriptions to streams whose name contains one of these are refused
};

class Exchange final : public Venue, private MarketSink, private Switchboard::Listener {
 public:
  // `ledger` may be null. Both must outlive the exchange.
  Exchange(std::vector<Symbol> symbols, const ExchangeOptions& options, Delivery& delivery, LineSink* ledger);
  ~Exchange() override;

  std::optional<ConnectionRules> open(ClientId client, std::string_view target) override;
  void text(ClientId client, std::string_view frame) override;
  void closed(ClientId client) override;
  std::string farewell(ClientId client, WallTime now) override { return switchboard_.farewell(client, now); }
  HttpAnswer rest(const HttpRequest& request, WallTime now) override;
  bool advance(WallTime now) override;
  std::optional<WallTime> next_due() const override { return market_.next_event(); }
  bool done() const override { return false; }
  // The rest of every book's changes to the streams, and the books to the ledger.
  void finish(WallTime now) override;

  std::uint64_t trades() const override { return trades_; }  // aggregated ones, subscribed or not
  const Market& market() const { return market_; }

 private:
  struct Feed;    // one active stream
  struct Listed;  // one symbol: its feeds, history, and what of it the ledger has

  void changed(std::size_t symbol, Side side, const Level& level, std::uint64_t update_id) override;
  void traded(std::size_t symbol, const Trade& trade, std::span<const Fill> fills) override;
  void depth_due(std::size_t symbol, WallTime time) override;
  void voided(std::size_t symbol, std::uint64_t fill, WallTime time) override;
  void beat(std::size_t symbol, WallTime time) override;
  void started(Channel& channel) override;
  void stopped(Channel& channel) override;

  void publish_due(Feed& feed, WallTime now, bool even_if_early);
  void publish_depth(Feed& feed, WallTime now);
  void publish_book_picture(Feed& feed, WallTime now);
  void publish_kline(Feed& feed, WallTime now, bool closed);
  void write_trades(const Listed& listed, const Symbol& symbol, const Trade& trade, std::span<const Fill> fills);

  void follow(Channel& channel, const Stream& stream, std::size_t symbol);
  void publish_ticker(Feed& feed, WallTime now);
  void note_funding(std::size_t symbol);
  void note_open_interest(std::size_t symbol);

  std::optional<std::size_t> find_symbol(Section section, std::string_view instrument) const;
  HttpAnswer rest_depth(Section section, std::size_t symbol, std::string_view limit);
  HttpAnswer rest_aggregated(std::size_t symbol, const std::vector<std::pair<std::string, std::string>>& query,
                             TimeUnit unit);
  HttpAnswer rest_fills(std::size_t symbol, bool from_id, const std::vector<std::pair<std::string, std::string>>& query,
                        TimeUnit unit);
  HttpAnswer rest_book_ticker(Section section, std::string_view symbol);
  HttpAnswer rest_day_ticker(Section section, std::string_view symbol, WallTime now);
  HttpAnswer rest_premium_index(std::string_view symbol);
  HttpAnswer rest_funding_info();
  HttpAnswer rest_funding_rate(const std::vector<std::pair<std::string, std::string>>& query);
  HttpAnswer rest_open_interest(std::size_t symbol);
  HttpAnswer rest_ratio(std::string_view name, const std::vector<std::pair<std::string, std::string>>& query,
                        WallTime now);
  HttpAnswer rest_exchange_info(Section section, WallTime now);
  HttpAnswer rest_route(const HttpRequest& request, Section section, std::string_view endpoint,
                        const std::vector<std::pair<std::string, std::string>>& query, WallTime now);

  Market market_;
  Switchboard switchboard_;
  Weights weights_;
  FixedWindows windows_;  // of the endpoints that have budgets of their own
  Limits limits_;
  LineSink* ledger_;
  std::vector<std::unique_ptr<Listed>> listed_;
  std::uint64_t trades_ = 0;
  std::vector<Level> bids_, asks_;  // of the message being made; kept for their memory
};

}  // namespace mp::sim::binance
