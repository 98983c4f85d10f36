// The session: hands each record to the publisher (what it means) and, when there is a conversation, tells that what
// happened (what to do about it).
#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "base/text.hpp"
#include "exchanges/binance/binance.hpp"
#include "exchanges/binance/conversation.hpp"

namespace mp::binance {
namespace {

constexpr std::uint32_t kStateVersion = 8;

// What the markets deliver, in the order of /health.
constexpr DataType kSpotTypes[] = {DataType::trade, DataType::orderbook_delta, DataType::orderbook};
constexpr DataType kDerivativesTypes[] = {
    DataType::trade,         DataType::orderbook_delta, DataType::orderbook,        DataType::funding_rate,
    DataType::open_interest, DataType::liquidation,     DataType::lsr_top_position, DataType::lsr_all_account};

std::span<const DataType> types_of(Market market) {
  return market == Market::spot ? std::span<const DataType>(kSpotTypes) : std::span<const DataType>(kDerivativesTypes);
}

class BinanceSession final : public Session {
 public:
  BinanceSession(const SessionOptions& options, Market market)
      : market_(market),
        source_(options.source),
        state_kind_("binance." + options.source.market),
        publisher_(options, market) {
    if (options.conversing) conversation_.emplace(options, market, publisher_);
  }

  void begin(Instant now, Outbox& out) override {
    publisher_.begin(now.wall, out.events);
    if (conversation_) conversation_->begin(now, out);
    finish(out);
  }

  void opened(ConnectionId connection, std::string_view url, Instant now, Outbox& out) override {
    publisher_.show_due(now.wall, out.events);
    publisher_.opened(connection, now.wall);
    if (conversation_) conversation_->opened(connection, url, now, out);
    finish(out);
  }

  void closed(ConnectionId connection, std::string_view reason, Instant now, Outbox& out) override {
    publisher_.show_due(now.wall, out.events);
    publisher_.closed(connection, reason, now.wall, out.events);
    if (conversation_) conversation_->closed(connection, now, out);
    finish(out);
  }

  void text(ConnectionId connection, std::string_view padded_frame, Instant now, Outbox& out) override {
    ++frames_;
    publisher_.show_due(now.wall, out.events);
    publisher_.heard(connection, now.wall);
    if (conversation_) conversation_->heard(connection, now);
    const auto frame = decoder_.frame(padded_frame);
    const Received from{padded_frame, now.wall, connection};
    if (!frame) {
      publisher_.unreadable(frame.error(), from, out.events);
    } else {
      note_unknown((*frame)->unknown_fields);
      take(**frame, from, now, out);
    }
    finish(out);
  }

  void sent(ConnectionId connection, std::string_view padded, Instant now) override {
    if (const auto request = decoder_.request(padded)) publisher_.sent(connection, *request, now.wall);
  }

  void rest(const RestReply& reply, Instant now, Outbox& out) override {
    publisher_.show_due(now.wall, out.events);
    const auto endpoint = endpoint_of(reply.url);
    const bool of_no_use = endpoint == Endpoint::day_ticker && !publisher_.chooser().selection().by_volume();
    if (!endpoint || of_no_use)
      publisher_.reports().unmapped(fmt::format("REST {}", short_path(reply.url)));
    else if (reply.status != 200)
      refused(*endpoint, reply, now, out);
    else
      take(*endpoint, reply, now, out);
    finish(out);
  }

  void rest_failed(std::string_view url, std::string_view reason, Instant now, Outbox& out) override {
    if (!conversation_ || Conversation::is_audit_url(url)) return;
    if (endpoint_of(url) == Endpoint::depth)
      conversation_->snapshot_failed(query_value(url, "symbol"), reason, now, out);
    else
      conversation_->poll_failed(url, reason, now, out);
  }

  void flush(Instant now, Outbox& out) override {
    publisher_.show_due(now.wall, out.events);
    finish(out);
  }

  void unreadable(std::string_view raw, std::string_view why, Instant now, Outbox& out) override {
    publisher_.show_due(now.wall, out.events);
    publisher_.reports().reject(nullptr, std::nullopt, std::string(why), raw, now.wall, out.events);
    finish(out);
  }

  void tick(Instant now, Outbox& out) override {
    if (conversation_) {
      conversation_->tick(now, out);
      if (const auto index = conversation_->take_audit()) publisher_.begin_audit(*index);
    }
    finish(out);
  }

  void reconfigure(const SessionOptions& options, Instant now, Outbox& out) override {
    publisher_.show_due(now.wall, out.events);
    publisher_.reconfigure(options, now.wall, out.events);
    if (conversation_) conversation_->reconfigure(now, out);
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
    if (conversation_) describe_unresolved(conversation_->unresolved(), source_, publisher_.reports().kind(), out);
    const auto& chooser = publisher_.chooser();
    for (const auto index : chooser.chosen())
      if (!conversation_ || !conversation_->is_over(index)) describe(index, false, out);
    // What an earlier run collected and this one does not is left out.
    if (!chooser.selection().empty()) return;
    for (Catalogue::Index index = 0; index < publisher_.catalogue().size(); ++index) describe(index, true, out);
  }

  SessionCounters counters() const override {
    SessionCounters out{frames_, publisher_.duplicates(), conversation_ ? conversation_->resyncs() : 0};
    publisher_.reports().count(out);
    publisher_.audits().count(out);
    return out;
  }

  void books(std::uint32_t depth, std::vector<OrderBook>& out) const override {
    for (Catalogue::Index index = 0; index < publisher_.catalogue().size(); ++index) {
      const auto* feed = publisher_.depth_of(index);
      if (feed && feed->good()) out.push_back(feed->kept().picture(depth));
    }
  }

 private:
  // `only_seen`: where everything is decoded, only what has come is worth a line.
  void describe(Catalogue::Index index, bool only_seen, std::vector<StreamStatus>& out) const {
    for (const auto type : types_of(market_)) {
      if (!publisher_.publishes(index, type)) continue;
      const auto last = publisher_.last_event(index, type);
      if (only_seen && !last && !(is_book(type) && publisher_.depth_of(index))) continue;
      out.push_back({publisher_.catalogue().ref(index), type, state(index, type), last, publisher_.gaps(index, type),
                     conversation_ ? conversation_->reconnects(index, type) : 0});
    }
  }

  void take(Frame& frame, const Received& from, Instant now, Outbox& out) {
    const auto came = [&](std::optional<Catalogue::Index> index, DataType type) {
      if (index && conversation_) conversation_->data(from.connection, *index, type, now, out);
    };
    const bool is_data = frame.kind == Frame::Kind::trade || frame.kind == Frame::Kind::depth ||
                         frame.kind == Frame::Kind::mark_price || frame.kind == Frame::Kind::liquidation;
    if (is_data) publisher_.brought(from.connection, now.wall, out.events);
    switch (frame.kind) {
      case Frame::Kind::trade: return came(publisher_.trade(frame, from, out.events), DataType::trade);
      case Frame::Kind::depth: return came(publisher_.depth(frame, from, out.events), DataType::orderbook_delta);
      case Frame::Kind::liquidation:
        return came(publisher_.liquidation(frame, from, out.events), DataType::liquidation);
      case Frame::Kind::mark_price:
        seen_.clear();
        publisher_.mark_prices(frame.mark_prices, from, out.events, seen_);
        for (const auto index : seen_) came(index, DataType::funding_rate);
        return;
      case Frame::Kind::answer:
        if (frame.request_id) publisher_.answered(from.connection, *frame.request_id, now.wall, out.events);
        if (conversation_ && frame.request_id) conversation_->answered(*frame.request_id, now, out);
        return;
      case Frame::Kind::error:
        if (conversation_) return conversation_->error(from.connection, frame, now, out);
        return publisher_.reports().unmapped("error answer");
      case Frame::Kind::shutdown:
        if (conversation_) conversation_->shutdown_announced(from.connection, now, out);
        return;
      case Frame::Kind::unmapped: return publisher_.reports().unmapped(frame.channel);
    }
  }

  void take(Endpoint endpoint, const RestReply& reply, Instant now, Outbox& out) {
    const Received from{reply.body, now.wall};
    auto& events = out.events;
    bool readable = false;
    switch (endpoint) {
      case Endpoint::depth: return depth_reply(reply, from, now, out);
      case Endpoint::exchange_info:
        readable = publisher_.exchange_info(decoder_.exchange_info(reply.body), from, events);
        note_unknown(decoder_.unknown_fields());
        if (conversation_) conversation_->exchange_info(reply.url, readable, now, out);
        return;
      case Endpoint::day_ticker:
        readable = publisher_.volumes(decoder_.volumes(reply.body), from, events);
        if (conversation_) conversation_->volumes(reply.url, readable, now, out);
        return;
      case Endpoint::funding_info:
        readable = publisher_.funding_info(decoder_.funding_info(reply.body), from, events);
        break;
      case Endpoint::funding_rate:
        readable = publisher_.settled_funding(decoder_.settled_funding(reply.body), from, events);
        break;
      case Endpoint::premium_index:
        readable = publisher_.premium_index(decoder_.premium_index(reply.body), from, events);
        break;
      case Endpoint::open_interest:
        readable = publisher_.open_interest(decoder_.open_interest(reply.body), from, events);
        break;
      case Endpoint::top_position_ratio: readable = ratios(DataType::lsr_top_position, reply, from, events); break;
      case Endpoint::all_account_ratio: readable = ratios(DataType::lsr_all_account, reply, from, events); break;
    }
    note_unknown(decoder_.unknown_fields());
    if (conversation_) conversation_->poll_answered(reply.url, readable, now, out);
  }

  bool ratios(DataType type, const RestReply& reply, const Received& from, std::vector<MarketEvent>& events) {
    return publisher_.ratios(type, query_value(reply.url, "period"), decoder_.ratios(reply.body), from, events);
  }

  void depth_reply(const RestReply& reply, const Received& from, Instant now, Outbox& out) {
    const auto symbol = query_value(reply.url, "symbol");
    auto answer = decoder_.depth(reply.body);
    note_unknown(decoder_.unknown_fields());
    if (Conversation::is_audit_url(reply.url) && publisher_.audit(symbol, answer, from, out.events)) return;
    const auto result = publisher_.snapshot(symbol, std::move(answer), from, out.events);
    if (conversation_) conversation_->snapshot_done(symbol, result, now, out);
  }

  // The venue said no; it is asked again.
  void refused(Endpoint endpoint, const RestReply& reply, Instant now, Outbox& out) {
    publisher_.reports().unmapped(fmt::format("REST {} answered {}", short_path(reply.url), reply.status));
    if (!conversation_ || Conversation::is_audit_url(reply.url)) return;
    const auto why = fmt::format("HTTP {} {}", reply.status, shortened(reply.body));
    if (endpoint == Endpoint::depth)
      conversation_->snapshot_failed(query_value(reply.url, "symbol"), why, now, out);
    else
      conversation_->poll_failed(reply.url, why, now, out);
  }

  void note_unknown(const std::vector<UnknownField>& fields) {
    for (const auto& each : fields) publisher_.reports().unknown_field(fmt::format("{}.{}", each.where, each.name));
  }

  void finish(Outbox& out) {
    publisher_.reports().tell(out.notices);
    publisher_.audits().tell(out.notices);
    out.flush_at = publisher_.next_due();
  }

  static bool is_book(DataType type) { return type == DataType::orderbook || type == DataType::orderbook_delta; }

  StreamState state(Catalogue::Index index, DataType type) const {
    const auto* feed = publisher_.depth_of(index);
    const bool book = is_book(type);
    if (!conversation_) return book && feed && !feed->good() ? StreamState::resyncing : StreamState::live;
    const auto spoken = conversation_->state(index, type);
    // Nothing need come of what is not traded.
    if (book && !feed && !conversation_->is_trading(index)) return spoken;
    if (book && spoken == StreamState::live && (!feed || !feed->good())) return StreamState::resyncing;
    return spoken;
  }

  Market market_;
  Source source_;
  std::string state_kind_;
  std::uint64_t frames_ = 0;
  Decoder decoder_;
  Publisher publisher_;
  std::vector<Catalogue::Index> seen_;  // reused
  std::optional<Conversation> conversation_;
};

// Hosts of each market, production, mirrors and test nets. COIN-M (dstream, dapi) is another market.
std::optional<std::string> market_of_host(std::string_view host) {
  constexpr std::string_view kSpotHosts[] = {"stream.binance.com",      "data-stream.binance.vision",
                                             "api.binance.com",         "api-gcp.binance.com",
                                             "api1.binance.com",        "api2.binance.com",
                                             "api3.binance.com",        "api4.binance.com",
                                             "data-api.binance.vision", "stream.testnet.binance.vision",
                                             "testnet.binance.vision",  "demo-stream.binance.com",
                                             "demo-api.binance.com"};
  constexpr std::string_view kDerivativesHosts[] = {"fstream.binance.com",       "fapi.binance.com",
                                                    "demo-fapi.binance.com",     "testnet.binancefuture.com",
                                                    "fstream.binancefuture.com", "demo-fstream.binance.com"};
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
          .data_types = {{std::begin(binance::kSpotTypes), std::end(binance::kSpotTypes)},
                         {std::begin(binance::kDerivativesTypes), std::end(binance::kDerivativesTypes)}},
          // The perpetual has all.
          .probe_symbols = {{"BTCUSDT"}, {"BTCUSDT"}},
          .addresses = {{std::string(binance::facts(binance::Market::spot).ws_base),
                         std::string(binance::facts(binance::Market::spot).rest_base)},
                        {std::string(binance::facts(binance::Market::derivatives).ws_base),
                         std::string(binance::facts(binance::Market::derivatives).rest_base)}},
          .make_session = [](const SessionOptions& options) -> std::unique_ptr<Session> {
            const auto market = binance::market_from(options.source.market);
            if (!market) return nullptr;
            return std::make_unique<binance::BinanceSession>(options, *market);
          },
          .market_of_url = [](std::string_view url) { return binance::market_of_host(binance::host_of(url)); }};
}

}  // namespace mp
