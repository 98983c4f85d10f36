// The session: hands each record to the publisher (what it means) and, when there is a conversation, tells that what
// happened (what to do about it).
#include <fmt/format.h>

#include <algorithm>

#include "base/text.hpp"
#include "exchanges/okx/conversation.hpp"
#include "exchanges/okx/okx.hpp"

namespace mp::okx {
namespace {

constexpr std::string_view kStateKind = "okx";
constexpr std::uint32_t kStateVersion = 4;

// What the venue delivers, in the order of /health.
constexpr DataType kDescribed[] = {
    DataType::trade,         DataType::orderbook_delta, DataType::orderbook,        DataType::funding_rate,
    DataType::open_interest, DataType::liquidation,     DataType::lsr_top_position, DataType::lsr_all_account};

bool can_have(MarketType kind, DataType type) {
  switch (type) {
    case DataType::trade:
    case DataType::orderbook:
    case DataType::orderbook_delta: return true;
    case DataType::funding_rate: return kind == MarketType::perpetual;
    case DataType::open_interest:
    case DataType::liquidation: return kind != MarketType::spot;
    case DataType::lsr_top_position:
    case DataType::lsr_all_account: return kind == MarketType::perpetual || kind == MarketType::futures;
    case DataType::volatility_index:
    case DataType::gap:
    case DataType::rejected:
    case DataType::instrument: return false;
  }
  return false;
}

DataType type_of(Endpoint endpoint) {
  switch (endpoint) {
    case Endpoint::instruments:
    case Endpoint::tickers: return DataType::instrument;
    case Endpoint::books: return DataType::orderbook_delta;
    case Endpoint::funding_rate:
    case Endpoint::funding_rate_history: return DataType::funding_rate;
    case Endpoint::open_interest: return DataType::open_interest;
    case Endpoint::all_account_ratio: return DataType::lsr_all_account;
    case Endpoint::top_position_ratio: return DataType::lsr_top_position;
  }
  return DataType::instrument;
}

class OkxSession final : public Session {
 public:
  explicit OkxSession(const SessionOptions& options) : source_(options.source), publisher_(options) {
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
    if (!frame) {
      publisher_.unreadable(frame.error(), {padded_frame, now.wall}, out.events);
    } else {
      note_unknown((*frame)->unknown_fields);
      take(connection, **frame, padded_frame, now, out);
    }
    finish(out);
  }

  void rest(const RestReply& reply, Instant now, Outbox& out) override {
    publisher_.show_due(now.wall, out.events);
    const auto endpoint = endpoint_of(reply.url);
    if (!endpoint)
      publisher_.reports().unmapped(fmt::format("REST {}", short_path(reply.url)));
    else if (reply.status != 200)
      refused(*endpoint, reply, now, out);
    else
      take(*endpoint, reply, now, out);
    finish(out);
  }

  void rest_failed(std::string_view url, std::string_view reason, Instant now, Outbox& out) override {
    if (conversation_) conversation_->failed(url, reason, now, out);
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
    if (conversation_) conversation_->reconfigure(options, now, out);
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
    const auto& chosen = publisher_.chooser().chosen();
    for (const auto index : chosen)
      if (!conversation_ || !conversation_->is_over(index)) describe(index, false, out);
    if (!publisher_.chooser().selection().empty()) return;
    for (Catalogue::Index index = 0; index < publisher_.catalogue().size(); ++index) describe(index, true, out);
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
      if (book && book->chained().good()) out.push_back(book->chained().kept().picture(depth));
    }
  }

 private:
  // `only_seen`: where everything is decoded, only what has come is worth a line.
  void describe(Catalogue::Index index, bool only_seen, std::vector<StreamStatus>& out) const {
    const auto& instrument = publisher_.catalogue().ref(index);
    for (const auto type : kDescribed) {
      if (!publisher_.wants(type) || !can_have(instrument->market_type, type)) continue;
      const auto last = publisher_.last_event(index, type);
      if (only_seen && !last) continue;
      out.push_back({instrument, type, state(index, type), last, publisher_.gaps(index, type),
                     conversation_ ? conversation_->reconnects(index, type) : 0});
    }
  }

  // "SWAP"; options are listed by family: "OPTION BTC-USD".
  static std::string list_name(std::string_view url) {
    std::string out(query_value(url, "instType"));
    for (const char* item : {"instFamily", "uly"})
      if (const auto family = query_value(url, item); !family.empty()) return out.append(" ").append(family);
    return out;
  }

  void take(ConnectionId connection, Frame& frame, std::string_view raw, Instant now, Outbox& out) {
    switch (frame.kind) {
      case Frame::Kind::book:
      case Frame::Kind::trades:
      case Frame::Kind::funding:
      case Frame::Kind::open_interest:
      case Frame::Kind::liquidations:
      case Frame::Kind::instruments:
        publisher_.push(connection, frame, {raw, now.wall}, out.events);
        if (conversation_) conversation_->data(connection, frame, now, out);
        return;
      case Frame::Kind::pong: return;
      case Frame::Kind::subscribed:
        publisher_.subscribed(connection, frame, now.wall, out.events);
        if (conversation_) conversation_->subscribed(connection, frame, now, out);
        return;
      case Frame::Kind::unsubscribed:
        publisher_.unsubscribed(connection, frame, now.wall);
        if (conversation_) conversation_->unsubscribed(connection, frame, now, out);
        return;
      case Frame::Kind::error:
        if (conversation_) return conversation_->error(connection, frame, now, out);
        return publisher_.reports().unmapped("error answer");
      case Frame::Kind::notice:
        if (conversation_) conversation_->notice(connection, frame, now, out);
        return;
      case Frame::Kind::unmapped: return publisher_.reports().unmapped(frame.channel);
    }
  }

  void take(Endpoint endpoint, const RestReply& reply, Instant now, Outbox& out) {
    const Received from{reply.body, now.wall};
    auto& events = out.events;
    const auto inst_id = query_value(reply.url, "instId");
    bool usable = false;
    switch (endpoint) {
      case Endpoint::instruments:
        usable = publisher_.instruments(list_name(reply.url), decoder_.instruments(reply.body), from, events);
        break;
      case Endpoint::books: usable = publisher_.book(inst_id, decoder_.book(reply.body), from, events); break;
      case Endpoint::tickers: usable = publisher_.tickers(decoder_.tickers(reply.body), from, events); break;
      case Endpoint::funding_rate: usable = publisher_.funding(decoder_.funding(reply.body), from, events); break;
      case Endpoint::funding_rate_history:
        usable = publisher_.settled_funding(decoder_.settled_funding(reply.body), from, events);
        break;
      case Endpoint::open_interest:
        usable = publisher_.open_interest(decoder_.open_interest(reply.body), from, events);
        break;
      case Endpoint::all_account_ratio: usable = ratios(DataType::lsr_all_account, reply, from, events); break;
      case Endpoint::top_position_ratio: usable = ratios(DataType::lsr_top_position, reply, from, events); break;
    }
    // An answer that is not usable has been refused whole.
    for (const auto& [why, text] : usable ? decoder_.unreadable_rows() : Unreadable{})
      publisher_.reports().reject(nullptr, type_of(endpoint), why.text(), text, now.wall, events);
    note_unknown(decoder_.unknown_fields());
    if (conversation_) conversation_->answered(reply.url, usable, "unreadable answer", now, out);
  }

  bool ratios(DataType type, const RestReply& reply, const Received& from, std::vector<MarketEvent>& events) {
    const auto period = query_value(reply.url, "period");
    // The venue's default period is 5m.
    return publisher_.ratios(type, query_value(reply.url, "instId"), period.empty() ? "5m" : period,
                             decoder_.ratios(reply.body), from, events);
  }

  void refused(Endpoint endpoint, const RestReply& reply, Instant now, Outbox& out) {
    publisher_.reports().unmapped(fmt::format("REST {} answered {}", path_of(endpoint), reply.status));
    if (conversation_)
      conversation_->answered(reply.url, false, fmt::format("HTTP {} {}", reply.status, shortened(reply.body)), now,
                              out);
  }

  void note_unknown(const std::vector<UnknownField>& fields) {
    for (const auto& each : fields) publisher_.reports().unknown_field(fmt::format("{}.{}", each.where, each.name));
  }

  void finish(Outbox& out) {
    publisher_.reports().tell(out.notices);
    publisher_.audits().tell(out.notices);
    out.flush_at = publisher_.next_due();
  }

  StreamState state(Catalogue::Index index, DataType type) const {
    const auto* book = publisher_.book_of(index);
    const bool of_book = type == DataType::orderbook || type == DataType::orderbook_delta;
    const bool lost = of_book && book && !book->chained().good();
    const auto spoken = conversation_ ? conversation_->state(index, type) : StreamState::live;
    return lost && spoken == StreamState::live ? StreamState::resyncing : spoken;
  }

  Source source_;
  std::uint64_t frames_ = 0;
  Decoder decoder_;
  Publisher publisher_;
  std::optional<Conversation> conversation_;
};

// Production, demo and regional hosts. Names as in the documentation of 2026-08, older ones in recordings.
bool is_ours(std::string_view host) {
  constexpr std::string_view kHosts[] = {"ws.okx.com",       "wspap.okx.com", "wsaws.okx.com",   "wseea.okx.com",
                                         "wseeapap.okx.com", "wsus.okx.com",  "wsuspap.okx.com", "openapi.okx.com",
                                         "www.okx.com",      "okx.com",       "aws.okx.com",     "eea.okx.com",
                                         "us.okx.com",       "ws.okex.com",   "www.okex.com"};
  return std::ranges::find(kHosts, host) != std::end(kHosts);
}

std::string_view host_of(std::string_view url) {
  const auto scheme = url.find("://");
  if (scheme == std::string_view::npos) return {};
  url.remove_prefix(scheme + 3);
  return url.substr(0, url.find_first_of(":/?"));
}

}  // namespace
}  // namespace mp::okx

namespace mp {

Exchange make_okx() {
  return {.name = "okx",
          .markets = {""},
          .data_types = {{std::begin(okx::kDescribed), std::end(okx::kDescribed)}},
          // The perpetual has all but what only spot has.
          .probe_symbols = {{"BTC-USDT-SWAP"}},
          .addresses = {{std::string(okx::kWsBase), std::string(okx::kRestBase)}},
          .make_session = [](const SessionOptions& options) -> std::unique_ptr<Session> {
            if (!options.source.market.empty()) return nullptr;
            return std::make_unique<okx::OkxSession>(options);
          },
          .market_of_url = [](std::string_view url) -> std::optional<std::string> {
            if (!okx::is_ours(okx::host_of(url))) return std::nullopt;
            return "";
          }};
}

}  // namespace mp
