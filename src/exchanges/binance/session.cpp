// The session: hands each record to the publisher (what it means) and, when there is a conversation, tells that what
// happened (what to do about it).
#include <fmt/format.h>

#include "base/text.hpp"
#include "exchanges/binance/binance.hpp"
#include "exchanges/binance/conversation.hpp"

namespace mp::binance {
namespace {

constexpr std::uint32_t kStateVersion = 5;

class BinanceSession final : public Session {
 public:
  BinanceSession(const SessionOptions& options, Market market)
      : source_(options.source), state_kind_("binance." + options.source.market), publisher_(options, market) {
    if (options.conversing) conversation_.emplace(options, market, publisher_);
  }

  void begin(Instant now, Outbox& out) override {
    publisher_.show_due(now.wall, out.events);
    publisher_.begin();
    if (conversation_) conversation_->begin(now, out);
    finish(out);
  }

  void opened(ConnectionId connection, std::string_view url, Instant now, Outbox& out) override {
    publisher_.show_due(now.wall, out.events);
    publisher_.opened(connection);
    if (conversation_) conversation_->opened(connection, url, now, out);
    finish(out);
  }

  void closed(ConnectionId connection, std::string_view, Instant now, Outbox& out) override {
    publisher_.show_due(now.wall, out.events);
    publisher_.closed(connection, now.wall, out.events);
    if (conversation_) conversation_->closed(connection, now, out);
    finish(out);
  }

  void text(ConnectionId connection, std::string_view padded_frame, Instant now, Outbox& out) override {
    ++frames_;
    publisher_.show_due(now.wall, out.events);
    if (conversation_) conversation_->heard(connection, now);
    const auto frame = decoder_.frame(padded_frame);
    if (!frame)
      publisher_.unreadable(frame.error(), padded_frame, now.wall, out.events);
    else
      take(connection, **frame, padded_frame, now, out);
    finish(out);
  }

  void rest(const RestReply& reply, Instant now, Outbox& out) override {
    publisher_.show_due(now.wall, out.events);
    const auto path = reply.url.substr(0, reply.url.find('?'));
    if (const auto symbol = Conversation::symbol_of_depth_url(reply.url))
      depth_reply(*symbol, reply, now, out);
    else if (path.ends_with("/ticker/24hr") && publisher_.chooser().selection().by_volume())
      volumes_reply(reply, now, out);
    else if (path.ends_with("/exchangeInfo"))
      exchange_info_reply(reply, now, out);
    else
      publisher_.reports().unmapped("REST " + std::string(path.substr(path.rfind('/') + 1)));
    finish(out);
  }

  void rest_failed(std::string_view url, std::string_view reason, Instant now, Outbox& out) override {
    if (!conversation_) return;
    if (const auto symbol = Conversation::symbol_of_depth_url(url))
      conversation_->snapshot_failed(*symbol, reason, now, out);
    else
      conversation_->poll_failed(url, reason, now, out);
  }

  void flush(Instant now, Outbox& out) override {
    publisher_.show_due(now.wall, out.events);
    finish(out);
  }

  void tick(Instant now, Outbox& out) override {
    if (conversation_) conversation_->tick(now, out);
    finish(out);
  }

  void save(std::string& out) const override {
    StateWriter writer(out, state_kind_, kStateVersion);
    publisher_.save(writer);
  }

  Result<void> restore(std::string_view saved) override {
    StateReader reader(saved, state_kind_, kStateVersion);
    if (reader.ok()) publisher_.restore(reader);
    return reader.finish();
  }

  void describe(std::vector<StreamStatus>& out) const override {
    const auto& chooser = publisher_.chooser();
    if (conversation_)
      describe_unresolved(conversation_->unresolved(), source_, publisher_.reports().kind(), out);
    std::vector<bool> is_chosen(publisher_.catalogue().size(), false);
    for (const auto index : chooser.chosen()) is_chosen[index] = true;
    for (Catalogue::Index index = 0; index < publisher_.catalogue().size(); ++index) {
      const auto* feed = publisher_.depth_of(index);
      const bool chosen = is_chosen[index];
      // What an earlier run collected and this one does not.
      if (!chosen && !chooser.selection().empty()) continue;
      if (publisher_.publishes_trades() && (chosen || publisher_.last_trade_at(index)))
        out.push_back({publisher_.catalogue().ref(index), DataType::trade, state(index, DataType::trade),
                       publisher_.last_trade_at(index), publisher_.trade_gaps(index),
                       conversation_ ? conversation_->reconnects(index, DataType::trade) : 0});
      if (!publisher_.publishes_books() || (!chosen && !feed)) continue;
      const auto book_state = state(index, DataType::orderbook_delta);
      const auto gaps = feed ? feed->kept().gaps() : 0;
      const auto reconnects = conversation_ ? conversation_->reconnects(index, DataType::orderbook_delta) : 0;
      const auto at = [&](auto member) { return feed ? (feed->kept().*member)() : std::nullopt; };
      if (publisher_.publishes_deltas())
        out.push_back({publisher_.catalogue().ref(index), DataType::orderbook_delta, book_state,
                       at(&KeptBook::last_delta_at), gaps, reconnects});
      if (publisher_.publishes_pictures())
        out.push_back({publisher_.catalogue().ref(index), DataType::orderbook, book_state,
                       at(&KeptBook::last_picture_at), gaps, reconnects});
    }
  }

  SessionCounters counters() const override {
    SessionCounters out{frames_, publisher_.duplicates(), conversation_ ? conversation_->resyncs() : 0};
    publisher_.reports().count(out);
    return out;
  }

  void books(std::uint32_t depth, std::vector<OrderBook>& out) const override {
    for (Catalogue::Index index = 0; index < publisher_.catalogue().size(); ++index) {
      const auto* feed = publisher_.depth_of(index);
      if (feed && feed->good()) out.push_back(feed->kept().picture(depth));
    }
  }

 private:
  void take(ConnectionId connection, Frame& frame, std::string_view raw, Instant now, Outbox& out) {
    switch (frame.kind) {
      case Frame::Kind::trade:
        if (const auto index = publisher_.trade(connection, frame, raw, now.wall, out.events); index && conversation_)
          conversation_->data(connection, *index, DataType::trade, now, out);
        return;
      case Frame::Kind::depth:
        if (const auto index = publisher_.depth(connection, frame, raw, now.wall, out.events); index && conversation_)
          conversation_->data(connection, *index, DataType::orderbook_delta, now, out);
        return;
      case Frame::Kind::answer:
        if (conversation_ && frame.request_id) conversation_->answered(*frame.request_id, now, out);
        return;
      case Frame::Kind::error:
        if (conversation_) return conversation_->error(connection, frame, now, out);
        return publisher_.reports().unmapped("error answer");
      case Frame::Kind::shutdown:
        if (conversation_) conversation_->shutdown_announced(connection, now, out);
        return;
      case Frame::Kind::unmapped: return publisher_.reports().unmapped(frame.channel);
    }
  }

  void depth_reply(const std::string& symbol, const RestReply& reply, Instant now, Outbox& out) {
    if (reply.status != 200) {
      publisher_.reports().unmapped(fmt::format("REST depth answered {}", reply.status));
      if (conversation_) conversation_->snapshot_failed(symbol, status_text(reply), now, out);
      return;
    }
    const auto result = publisher_.snapshot(symbol, decoder_.depth(reply.body), reply.body, now.wall, out.events);
    if (conversation_) conversation_->snapshot_done(symbol, result, now, out);
  }

  void volumes_reply(const RestReply& reply, Instant now, Outbox& out) {
    if (reply.status != 200) {
      publisher_.reports().unmapped(fmt::format("REST ticker answered {}", reply.status));
      if (conversation_) conversation_->poll_failed(reply.url, status_text(reply), now, out);
      return;
    }
    const bool readable = publisher_.volumes(decoder_.volumes(reply.body), reply.body, now.wall, out.events);
    if (conversation_) conversation_->volumes(reply.url, readable, now, out);
  }

  void exchange_info_reply(const RestReply& reply, Instant now, Outbox& out) {
    if (reply.status != 200) {
      publisher_.reports().unmapped(fmt::format("REST exchangeInfo answered {}", reply.status));
      if (conversation_) conversation_->poll_failed(reply.url, status_text(reply), now, out);
      return;
    }
    const bool readable =
        publisher_.exchange_info(decoder_.exchange_info(reply.body), reply.body, now.wall, out.events);
    if (conversation_) conversation_->exchange_info(reply.url, readable, now, out);
  }

  static std::string status_text(const RestReply& reply) {
    return fmt::format("HTTP {} {}", reply.status, shortened(reply.body));
  }

  void finish(Outbox& out) {
    publisher_.reports().tell(out.notices);
    out.flush_at = publisher_.next_due();
  }

  StreamState state(Catalogue::Index index, DataType type) const {
    const auto* feed = publisher_.depth_of(index);
    const bool book = type != DataType::trade;
    if (!conversation_) return book && feed && !feed->good() ? StreamState::resyncing : StreamState::live;
    const auto spoken = conversation_->state(index, type);
    if (book && spoken == StreamState::live && (!feed || !feed->good())) return StreamState::resyncing;
    return spoken;
  }

  Source source_;
  std::string state_kind_;
  std::uint64_t frames_ = 0;
  Decoder decoder_;
  Publisher publisher_;
  std::optional<Conversation> conversation_;
};

// Hosts of each market, production, mirrors and test nets. COIN-M (dstream, dapi) is another market.
std::optional<std::string> market_of_host(std::string_view host) {
  constexpr std::string_view kSpotHosts[] = {"stream.binance.com", "data-stream.binance.vision", "api.binance.com",
                                             "api-gcp.binance.com", "api1.binance.com", "api2.binance.com",
                                             "api3.binance.com", "api4.binance.com", "data-api.binance.vision",
                                             "stream.testnet.binance.vision", "testnet.binance.vision",
                                             "demo-stream.binance.com", "demo-api.binance.com"};
  constexpr std::string_view kDerivativesHosts[] = {"fstream.binance.com", "fapi.binance.com", "demo-fapi.binance.com",
                                                    "testnet.binancefuture.com", "fstream.binancefuture.com",
                                                    "demo-fstream.binance.com"};
  for (const auto known : kSpotHosts)
    if (host == known) return "spot";
  for (const auto known : kDerivativesHosts)
    if (host == known) return "derivatives";
  return std::nullopt;
}

std::string_view host_of(std::string_view url) {
  const auto scheme = url.find("://");
  if (scheme == std::string_view::npos) return {};
  url.remove_prefix(scheme + 3);
  return url.substr(0, url.find_first_of(":/?"));
}

}  // namespace
}  // namespace mp::binance

namespace mp {

Exchange make_binance() {
  return {.name = "binance",
          .markets = {"spot", "derivatives"},
          .data_types = {{DataType::orderbook, DataType::orderbook_delta, DataType::trade},
                         {DataType::orderbook, DataType::orderbook_delta, DataType::trade}},
          .probe_symbols = {{"BTCUSDT"}, {"BTCUSDT"}},
          .make_session =
              [](const SessionOptions& options) -> std::unique_ptr<Session> {
                const auto market = binance::market_from(options.source.market);
                if (!market) return nullptr;
                return std::make_unique<binance::BinanceSession>(options, *market);
              },
          .market_of_url = [](std::string_view url) { return binance::market_of_host(binance::host_of(url)); }};
}

}  // namespace mp
