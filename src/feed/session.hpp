#pragma once
// The contract between a venue's folder and the rest: one Session is the whole conversation with one
// Source (a venue's market), over all its sockets, as a pure state machine. Bytes and clocks in, an Outbox out.
//
// What a session publishes (Outbox::events) is a function of the journalled records alone: of the calls
// begin, opened, closed, text, sent, rest, flush, reconfigure and unreadable with their receive times. The live driver
// and every replay of the journal therefore publish the same. tick() and rest_failed() may ask for I/O, never publish.

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/raw_record.hpp"
#include "model/market_event.hpp"

namespace mp {

struct SessionOptions;

// Why a connection is to end, or has ended. reconnect.hpp says what follows from it.
enum class CloseReason {
  network,       // the peer or the path closed it
  stale,         // silent for longer than its streams' rate allows
  refused,       // the venue refused a subscription or the handshake
  peer_slow,     // what we send is not taken
  protocol,      // the venue broke its own protocol
  replaced,      // a newer connection has taken its streams over
  venue_notice,  // the venue said that it is about to close
  not_recorded,  // frames of it could not be journalled: what came is lost, and told as of any connection that ended
  stopped,       // we are shutting down
};
const char* to_string(CloseReason reason);

// What one request (or attempt to connect) costs of one of a venue's limits. It may count against several.
struct BudgetCharge {
  // Limits of one name are one limit, whoever asks: "binance.spot", "okx /api/v5/market/books". All that a venue counts
  // for one address has one name in all its sessions.
  std::string budget;
  int units = 1;  // the venue's own: weight, credits, requests, attempts
  int limit = 0;  // units that the venue allows in each `window`; 0: not known, nothing is held back
  std::chrono::milliseconds window{60'000};
  // The answer's header with the venue's own count of the units that this address has used in the present window, which
  // is then one of the wall clock (Binance: whole minutes); "" if the venue tells none: any `window` long is one.
  std::string used_header{};
};

// GET requests only: market data needs no other.
struct RestRequest {
  std::string url{};                    // whole
  std::vector<BudgetCharge> charges{};  // none: the request is made at once
  int priority = 0;                     // higher first: book snapshots before statistics
  // This request may fill each of its budgets up to this much of the limit; the rest is left to requests that matter
  // more, and to others at our address.
  int percent_at_most = 80;
};

struct RestReply {
  std::string_view url;   // as requested
  int status = 0;         // HTTP
  std::string_view body;  // padded like RawRecord::payload
};

// A socket that the session wants: the driver keeps it up, reconnecting with back-off, until told to close it.
struct OpenSocket {
  std::uint32_t slot = 0;  // the session's own number for it; never used twice for two addresses
  std::string url;
  std::vector<BudgetCharge> charges{};  // of each attempt to connect
};
struct SendFrame {
  ConnectionId connection = 0;
  std::string text;
  std::string recorded_as{};  // what the journal gets in its place, where the text holds a secret; "": the text itself
};
struct CloseSocket {
  ConnectionId connection = 0;
  CloseReason reason{};
};

// Something an operator may want to know, for the log (never per message).
struct Notice {
  enum class Level { info, warning, error } level{};
  std::string message;  // stable text
  std::string detail;   // fields: "symbol=BTC-USDT stream=btcusdt@depth"
};

// What a session asks of its driver; cleared and reused between calls.
struct Outbox {
  std::vector<MarketEvent> events;  // to publish, in order
  std::vector<OpenSocket> opens;
  std::vector<SendFrame> frames;  // to send, in order
  std::vector<CloseSocket> closes;
  std::vector<RestRequest> requests;
  std::vector<Notice> notices;
  std::optional<MonoTime> wake_at;  // call tick() then; replaces an earlier wish
  // What was chosen cannot be collected, ever: the collector ends with this error (Errc::usage, exit status 2).
  std::optional<Error> refusal;
  std::optional<WallTime> flush_at;  // if no record has come by then, journal a flush record and call flush()

  void clear() {
    events.clear();
    opens.clear();
    frames.clear();
    closes.clear();
    requests.clear();
    notices.clear();
    wake_at.reset();
    refusal.reset();
    flush_at.reset();
  }
};

enum class StreamState { waiting, subscribing, live, resyncing, silent, refused };
const char* to_string(StreamState state);

// One instrument's data type, for /health.
struct StreamStatus {
  InstrumentRef instrument;
  DataType data_type{};
  StreamState state{};
  std::optional<WallTime> last_event;  // received_at
  std::uint64_t gaps = 0;
  std::uint64_t reconnects = 0;
};

// Of books held against fresh answers by REST (book_audit.hpp).
struct BookAuditCounts {
  std::uint64_t agreed = 0;
  std::uint64_t differed = 0;
  std::uint64_t undecided = 0;
  std::uint64_t levels_same = 0;
  std::uint64_t levels_different = 0;
};

// Counts since the session was made; not part of what is published.
struct SessionCounters {
  std::uint64_t frames = 0;
  std::uint64_t duplicates = 0;                                   // events dropped because they had been seen
  std::uint64_t resyncs = 0;                                      // book snapshots asked for again
  std::vector<std::pair<std::string, std::uint64_t>> unmapped{};  // channels and endpoints we do not map
  std::vector<std::pair<std::string, std::uint64_t>> unknown{};   // fields and values of the venue that are new to us
  BookAuditCounts audits{};
};

class Session {
 public:
  virtual ~Session() = default;

  // A collector or a recording begins: every earlier connection is over (GapCause::collector_down).
  virtual void begin(Instant now, Outbox& out) = 0;
  virtual void opened(ConnectionId connection, std::string_view url, Instant now, Outbox& out) = 0;
  virtual void closed(ConnectionId connection, std::string_view reason, Instant now, Outbox& out) = 0;
  virtual void text(ConnectionId connection, std::string_view padded_frame, Instant now, Outbox& out) = 0;
  // A frame was sent over a connection, as the journal has it (SendFrame::recorded_as); `padded` like a frame. Tells
  // what an answer is about that only names its request. Publishes nothing.
  virtual void sent(ConnectionId connection, std::string_view padded, Instant now) {
    static_cast<void>(connection), static_cast<void>(padded), static_cast<void>(now);
  }
  virtual void rest(const RestReply& reply, Instant now, Outbox& out) = 0;
  virtual void rest_failed(std::string_view url, std::string_view reason, Instant now, Outbox& out) = 0;
  virtual void flush(Instant now, Outbox& out) = 0;
  // A line of a recording could not be read, whatever it held: publishes a Rejected with this text and reason.
  virtual void unreadable(std::string_view raw, std::string_view why, Instant now, Outbox& out) = 0;
  virtual void tick(Instant now, Outbox& out) = 0;
  // Other instruments, data types or books from now on (the rest of the options is as before). What goes on is not
  // touched; what is not collected any more ends with a gap of cause `end` and is not published from here on, even
  // while frames of it still come; what is new is subscribed over the connections that there are.
  virtual void reconfigure(const SessionOptions& options, Instant now, Outbox& out) = 0;

  // The whole state that decides what is published, for the checkpoint at a segment's start.
  // restore() on a fresh session gives one that publishes the same from there on.
  virtual void save(std::string& out) const = 0;
  [[nodiscard]] virtual Result<void> restore(std::string_view saved) = 0;

  virtual void describe(std::vector<StreamStatus>& out) const = 0;
  virtual SessionCounters counters() const = 0;
  // The books held now (good ones only), for audits and tests: `depth` 0 means all levels.
  virtual void books(std::uint32_t depth, std::vector<OrderBook>& out) const = 0;
};

}  // namespace mp
