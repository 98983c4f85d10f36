// The session: hands each record to the publisher (what it means) and, when there is a conversation, tells that what
// happened (what to do about it).
#include <fmt/format.h>

#include "base/text.hpp"
#include "exchanges/deribit/conversation.hpp"
#include "exchanges/deribit/deribit.hpp"
#include "exchanges/deribit/rest.hpp"

namespace mp::deribit {
namespace {

constexpr const char* kStateKind = "deribit";
constexpr std::uint32_t kStateVersion = 3;

constexpr DataType kInstrumentTypes[] = {DataType::orderbook,    DataType::orderbook_delta, DataType::trade,
                                         DataType::funding_rate, DataType::open_interest,   DataType::liquidation};

class DeribitSession final : public Session {
 public:
  explicit DeribitSession(const SessionOptions& options) : source_(options.source), publisher_(options) {
    if (options.conversing) conversation_.emplace(options, publisher_);
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
    const Received from{connection, padded_frame, now.wall};
    if (!frame)
      publisher_.unreadable(frame.error(), from, out.events);
    else
      take(**frame, from, now, out);
    finish(out);
  }

  void sent(ConnectionId connection, std::string_view padded, Instant now) override {
    if (const auto request = decoder_.request(padded)) publisher_.sent(connection, *request, now.wall);
  }

  void rest(const RestReply& reply, Instant now, Outbox& out) override {
    publisher_.show_due(now.wall, out.events);
    const auto method = method_of(reply.url);
    const Received from{0, reply.body, now.wall};
    if (reply.status != 200) {
      publisher_.reports().unmapped(fmt::format("REST {} answered {}", method, reply.status));
      rest_failed(reply.url, fmt::format("HTTP {} {}", reply.status, shortened(reply.body)), now, out);
    } else if (method == "get_instruments" || method == "get_instrument") {
      // "any", or one currency's list, or one instrument alone.
      const auto list = method == "get_instrument" ? reply.url : query_value(reply.url, "currency");
      done(reply, publisher_.instruments(list, decoder_.instruments(reply.body), from, out.events), now, out);
    } else if (method == "get_book_summary_by_currency" && publisher_.chooser().selection().by_volume()) {
      done(reply, publisher_.volumes(decoder_.summaries(reply.body), from, out.events), now, out);
    } else if (method == "get_order_book") {
      const auto instrument = query_value(reply.url, "instrument_name");
      done(reply, publisher_.audit(instrument, decoder_.order_book(reply.body), from, out.events), now, out);
      // It may have shown that the book was wrong.
      const auto index = publisher_.catalogue().find(instrument);
      if (conversation_ && index) conversation_->look_at_book(*index, now, out);
    } else if (method == "get_volatility_index_data") {
      volatility_history(reply, from, now, out);
    } else if (method == "get_funding_rate_history") {
      done(reply,
           publisher_.funding_history(query_value(reply.url, "instrument_name"), decoder_.funding_history(reply.body),
                                      from, out.events),
           now, out);
    } else {
      publisher_.reports().unmapped("REST " + std::string(method));
    }
    finish(out);
  }

  void rest_failed(std::string_view url, std::string_view reason, Instant now, Outbox& out) override {
    if (conversation_) conversation_->rest_failed(url, reason, now, out);
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
    StateWriter writer(out, kStateKind, kStateVersion);
    publisher_.save(writer);
  }

  Result<void> restore(std::string_view saved) override {
    StateReader reader(saved, kStateKind, kStateVersion);
    if (reader.ok()) publisher_.restore(reader);
    return reader.finish();
  }

  void describe(std::vector<StreamStatus>& out) const override {
    if (conversation_) describe_unresolved(conversation_->unresolved(), source_, publisher_.reports().kind(), out);
    const auto& chooser = publisher_.chooser();
    std::vector<bool> is_chosen(publisher_.catalogue().size(), false);
    for (const auto index : chooser.chosen()) is_chosen[index] = true;
    for (Catalogue::Index index = 0; index < publisher_.catalogue().size(); ++index) {
      const bool expected = conversation_ && is_chosen[index] && !conversation_->is_over(index);
      // What an earlier run collected and this one does not.
      if (!expected && !chooser.selection().empty()) continue;
      for (const auto type : kInstrumentTypes) {
        if (!publisher_.wants(type) || !publisher_.has(index, type)) continue;
        const auto last = publisher_.last_event(index, type);
        if (!expected && !last) continue;
        out.push_back({publisher_.catalogue().ref(index), type, state(index, type), last, publisher_.gaps(index, type),
                       conversation_ ? conversation_->reconnects(index, type) : 0});
      }
    }
    for (const auto& [name, entry] : publisher_.volatility_indexes())
      out.push_back({entry.ref, DataType::volatility_index,
                     conversation_ ? conversation_->volatility_state(name) : StreamState::live, entry.last_event,
                     entry.outages});
  }

  SessionCounters counters() const override {
    SessionCounters out;
    out.frames = frames_;
    out.duplicates = publisher_.duplicates();
    out.resyncs = conversation_ ? conversation_->resyncs() : 0;
    publisher_.reports().count(out);
    publisher_.audits().count(out);
    return out;
  }

  void books(std::uint32_t depth, std::vector<OrderBook>& out) const override {
    for (Catalogue::Index index = 0; index < publisher_.catalogue().size(); ++index) {
      const auto* book = publisher_.book_of(index);
      if (book && book->good()) out.push_back(book->kept().picture(depth));
    }
  }

 private:
  void take(Frame& frame, const Received& from, Instant now, Outbox& out) {
    for (const auto field : frame.unknown_fields)
      publisher_.reports().unknown_field(fmt::format("{}.{}", channel_family(frame.channel), field));
    const bool is_data = frame.kind == Frame::Kind::book || frame.kind == Frame::Kind::trades ||
                         frame.kind == Frame::Kind::ticker || frame.kind == Frame::Kind::volatility;
    if (is_data) publisher_.brought(from.connection, now.wall);
    switch (frame.kind) {
      case Frame::Kind::book: {
        const auto index = publisher_.book(frame, from, out.events);
        heard(frame, from, now);
        if (index && conversation_) conversation_->look_at_book(*index, now, out);
        return;
      }
      case Frame::Kind::trades: publisher_.trades(frame, from, out.events); return heard(frame, from, now);
      case Frame::Kind::ticker: publisher_.ticker(frame, from, out.events); return heard(frame, from, now);
      case Frame::Kind::volatility: publisher_.volatility(frame, from, out.events); return heard(frame, from, now);
      case Frame::Kind::instrument_state:
        if (!publisher_.instrument_state(frame, from, out.events) && conversation_)
          conversation_->new_instrument(now, out);
        return heard(frame, from, now);
      case Frame::Kind::platform_state: publisher_.platform_state(frame); return heard(frame, from, now);
      case Frame::Kind::heartbeat: return;
      case Frame::Kind::test_request:
        if (conversation_) conversation_->test_requested(from.connection, out);
        return;
      case Frame::Kind::answer:
        if (frame.result_is_list) publisher_.answered(from.connection, frame.result_names, now.wall, out.events);
        if (conversation_) conversation_->answered(frame, now, out);
        return;
      case Frame::Kind::error:
        if (conversation_) return conversation_->error(from.connection, frame, now, out);
        return publisher_.reports().unmapped("error answer");
      case Frame::Kind::unmapped: return publisher_.reports().unmapped(frame.channel);
    }
  }

  void heard(const Frame& frame, const Received& from, Instant now) {
    if (conversation_) conversation_->data(from.connection, frame.channel, now);
  }

  void volatility_history(const RestReply& reply, const Received& from, Instant now, Outbox& out) {
    const auto history = decoder_.volatility_history(reply.body);
    const auto currency = query_value(reply.url, "currency");
    const auto resolution = query_value(reply.url, "resolution");
    const bool readable = publisher_.volatility_history(currency, resolution, history, from, out.events);
    if (conversation_ && readable && history)
      conversation_->volatility_page(reply.url, history->continuation, now, out);
    done(reply, readable, now, out);
  }

  void done(const RestReply& reply, bool readable, Instant now, Outbox& out) {
    if (!conversation_) return;
    if (readable)
      conversation_->rest_answered(reply.url, now, out);
    else
      conversation_->rest_failed(reply.url, "unreadable answer", now, out);
  }

  void finish(Outbox& out) {
    out.flush_at = publisher_.next_due();
    publisher_.reports().tell(out.notices);
    publisher_.audits().tell(out.notices);
  }

  StreamState state(Catalogue::Index index, DataType type) const {
    const bool of_book = type == DataType::orderbook || type == DataType::orderbook_delta;
    const auto* book = publisher_.book_of(index);
    const bool good = !of_book || (book && book->good());
    const auto spoken = conversation_ ? conversation_->state(index, type) : StreamState::live;
    if (spoken != StreamState::live) return spoken;
    if (!good) return StreamState::resyncing;
    // The last book of a locked instrument is kept, and stands still.
    return publisher_.is_locked(index) ? StreamState::silent : StreamState::live;
  }

  Source source_;
  std::uint64_t frames_ = 0;
  Decoder decoder_;
  Publisher publisher_;
  std::optional<Conversation> conversation_;
};

// Production, test net, the event node without login, and Coinbase's own address of the same venue.
bool is_host_of_deribit(std::string_view host) {
  constexpr std::string_view kHosts[] = {"www.deribit.com",  "deribit.com",         "streams.deribit.com",
                                         "test.deribit.com", "history.deribit.com", "drb.coinbase.com"};
  return std::ranges::find(kHosts, host) != std::end(kHosts);
}

std::string_view host_of(std::string_view url) {
  const auto scheme = url.find("://");
  if (scheme == std::string_view::npos) return {};
  url.remove_prefix(scheme + 3);
  return url.substr(0, url.find_first_of(":/?"));
}

}  // namespace
}  // namespace mp::deribit

namespace mp {

Exchange make_deribit() {
  return {.name = "deribit",
          .markets = {""},
          .data_types = {{DataType::orderbook, DataType::orderbook_delta, DataType::trade, DataType::funding_rate,
                          DataType::open_interest, DataType::liquidation, DataType::volatility_index}},
          .probe_symbols = {{"BTC-PERPETUAL", "ETH-PERPETUAL"}},
          .addresses = {{deribit::kWebSocketBase, deribit::kRestBase}},
          .make_session = [](const SessionOptions& options) -> std::unique_ptr<Session> {
            if (!options.source.market.empty()) return nullptr;
            return std::make_unique<deribit::DeribitSession>(options);
          },
          .market_of_url = [](std::string_view url) -> std::optional<std::string> {
            if (deribit::is_host_of_deribit(deribit::host_of(url))) return "";
            return std::nullopt;
          }};
}

}  // namespace mp
