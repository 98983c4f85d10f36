#pragma once
// What an OKX session publishes: catalogue, books, tapes and the other types. A function of the records alone; it
// knows of connections only what the records tell, and asks for nothing (that is conversation.hpp).

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "exchanges/okx/book_feed.hpp"
#include "exchanges/okx/decode.hpp"
#include "exchanges/okx/instruments.hpp"
#include "feed/catalogue.hpp"
#include "feed/collected.hpp"
#include "feed/connections.hpp"
#include "feed/outages.hpp"
#include "feed/reports.hpp"
#include "feed/seen_rows.hpp"
#include "feed/selection.hpp"
#include "feed/tape.hpp"
#include "feed/thinning.hpp"

namespace mp::okx {

// A record's bytes and when they came.
struct Received {
  std::string_view raw;
  WallTime at;
};

class Publisher {
 public:
  using Index = Catalogue::Index;
  using Events = std::vector<MarketEvent>;

  explicit Publisher(const SessionOptions& options);
  Publisher(const Publisher&) = delete;
  Publisher& operator=(const Publisher&) = delete;

  // Call first for every record: what was due before it.
  void show_due(WallTime now, Events& out);
  std::optional<WallTime> next_due() const { return next_due_; }

  void begin(WallTime now, Events& out);
  void opened(ConnectionId connection, WallTime now);
  // `reason`: the record's words.
  void closed(ConnectionId connection, std::string_view reason, WallTime now, Events& out);
  // Any frame has come; one that carries data goes to push().
  void heard(ConnectionId connection, WallTime now) { connections_.heard(connection, now); }
  // The venue says that a channel is on, or off.
  void subscribed(ConnectionId connection, const Frame& frame, WallTime now, Events& out);
  void unsubscribed(ConnectionId connection, const Frame& frame, WallTime now);

  // A frame that carries data (Frame::Kind book … instruments).
  void push(ConnectionId connection, Frame& frame, const Received& from, Events& out);
  void unreadable(const Error& why, const Received& from, Events& out);

  // REST answers. False when the answer could not be read (then it is a reject).
  // `list_name`: which of the venue's lists it is, whole: "SWAP", "OPTION BTC-USD".
  bool instruments(std::string_view list_name, const Result<InstrumentList>& reply, const Received& from, Events& out);
  // What was turned over in 24 h, for rules that choose by it.
  bool tickers(const Result<std::vector<TickerRow>>& reply, const Received& from, Events& out);
  bool book(std::string_view inst_id, Result<BookRow> reply, const Received& from, Events& out);
  // The book of this instrument has been asked for, to hold ours against it.
  void begin_audit(Index index) { entries_[index].book->chained().begin_audit(); }
  bool funding(const Result<std::vector<FundingRow>>& reply, const Received& from, Events& out);
  bool settled_funding(const Result<std::vector<SettledFundingRow>>& reply, const Received& from, Events& out);
  bool open_interest(const Result<std::vector<OpenInterestRow>>& reply, const Received& from, Events& out);
  // `type`: lsr_top_position or lsr_all_account, by the endpoint; `period` as asked for ("5m").
  bool ratios(DataType type, std::string_view inst_id, std::string_view period,
              const Result<std::vector<RatioRow>>& reply, const Received& from, Events& out);

  BookAudits& audits() { return audits_; }
  const BookAudits& audits() const { return audits_; }
  // Other instruments, data types or books from now on.
  void reconfigure(const SessionOptions& options, WallTime now, Events& out);

  Reports& reports() { return reports_; }
  const Reports& reports() const { return reports_; }
  const Catalogue& catalogue() const { return catalogue_; }
  // What is collected of all that is listed.
  const Chooser& chooser() const { return chooser_; }
  bool wants(DataType type) const { return wanted_types_[static_cast<std::size_t>(type)]; }
  bool wants_books() const { return wants(DataType::orderbook) || wants(DataType::orderbook_delta); }
  // nullptr while nothing of its book has come.
  const BookFeed* book_of(Index index) const { return entries_[index].book.get(); }
  // The venue's time of the last row of a history that is polled: ratios, settled funding (funding_rate).
  std::optional<WallTime> last_row(Index index, DataType type) const;
  // For /health: when its last event was received, and gaps since the session was made.
  std::optional<WallTime> last_event(Index index, DataType type) const;
  std::uint64_t gaps(Index index, DataType type) const;
  std::uint64_t duplicates() const { return duplicates_; }

  void save(StateWriter& out) const;
  void restore(StateReader& in);

 private:
  // What was told last, so that two connections at once (while one replaces the other) tell it once.
  struct Told {
    ConnectionId connection = 0;
    WallTime timestamp;
  };
  struct Entry {
    explicit Entry(Nanos min_interval) : thinning(min_interval) {}
    Tape aggregated;
    Tape single;
    std::unique_ptr<BookFeed> book;
    Thinning thinning;
    Told funding;
    Told open_interest;
    SeenRows settled_funding;
    SeenRows top_position;
    SeenRows all_account;
    StreamCovers covers;
    GridSeries top_position_grid;
    GridSeries all_account_grid;
    // For /health only.
    std::array<std::optional<WallTime>, kDataTypeCount> last{};
    std::array<std::uint64_t, kDataTypeCount> outages{};
  };
  // A size of the venue's in our terms.
  struct Measured {
    Quantity quantity;
    std::optional<Contracts> contracts;
    QuantityUnit unit{};
  };

  bool publishes(Index index, DataType type) const;
  void cover(Index index, DataType type, ConnectionId connection, WallTime now, Events& out);
  void tell(Index index, DataType type, const std::optional<Outage>& outage, WallTime now, Events& out);
  void tell_unless_numbered(Index index, DataType type, const std::optional<Outage>& outage, WallTime now, Events& out);
  bool has_ended(Index index, WallTime at) const;
  StreamCover* kind_channel(std::string_view inst_type);
  void cover_kind(std::string_view inst_type, ConnectionId connection, WallTime now, Events& out);
  void cover_newly_chosen(WallTime now, Events& out);
  void trades(ConnectionId connection, const Frame& frame, const Received& from, Events& out);
  void trade(ConnectionId connection, Index index, const TradeRow& row, const Received& from, Events& out);
  void book(ConnectionId connection, Frame& frame, const Received& from, Events& out);
  void funding(ConnectionId connection, const std::vector<FundingRow>& rows, const Received& from, Events& out);
  void open_interest(ConnectionId connection, const std::vector<OpenInterestRow>& rows, const Received& from,
                     Events& out);
  void liquidations(ConnectionId connection, const Frame& frame, const Received& from, Events& out);
  void liquidation(Index index, const LiquidationRow& row, const Received& from, Events& out);
  void listed(const InstrumentList& list, const Received& from, std::vector<ListedInstrument>& entries, Events& out);
  void changed_instruments(const InstrumentList& list, const Received& from, Events& out);
  void tell_instrument(Index index, Events& out);

  std::optional<Measured> measured(Index index, const Decimal& size, DataType type, const Received& from,
                                   Events& out) const;
  std::optional<Index> wanted(std::string_view inst_id, DataType type, const Received& from, Events& out);
  void refuse_book(Index index, const Error& why, const Received& from, Events& out);
  template <class Event>
  Event& emit(Index index, WallTime timestamp, const Received& from, Events& out);
  bool told_by_another(Told& last, ConnectionId connection, WallTime timestamp);
  template <class Event>
  void publish_thinned(Index index, Event event, Events& out);
  template <class Rows>
  bool readable(const Result<Rows>& reply, DataType type, const Received& from, Events& out);
  BookFeed& book_feed(Index index);
  Collected collected() const;
  void end_others(const Collected& before, WallTime now, Events& out);
  void grow();
  void note_due(const BookFeed& feed);
  void recompute_due();

  DataSource data_source_;
  Nanos min_interval_;
  std::array<bool, kDataTypeCount> wanted_types_{};
  BookAudits audits_;
  BookRules book_rules_;
  Catalogue catalogue_{"okx"};
  Chooser chooser_;
  Reports reports_;
  Connections connections_;
  std::vector<Entry> entries_;  // by catalogue index
  // liquidation-orders of each kind of instruments, as kKindsWithLiquidations.
  std::array<StreamCover, 3> kind_channels_;
  std::optional<WallTime> next_due_;  // the earliest deadline of a conflated picture
  SeenKeys liquidations_seen_;
  std::vector<UnknownValue> unknown_values_;  // reused
  std::string key_;                           // reused
  std::uint64_t duplicates_ = 0;
};

}  // namespace mp::okx
