#pragma once
// What a Deribit session publishes: catalogue, books, tapes, liquidations, funding, open interest, volatility. A
// function of the records alone; it knows of connections only what the records tell, and asks for nothing (that is
// conversation.hpp).

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "exchanges/deribit/catalogue.hpp"
#include "exchanges/deribit/decode.hpp"
#include "exchanges/deribit/seen_bars.hpp"
#include "feed/catalogue.hpp"
#include "feed/chained_book.hpp"
#include "feed/collected.hpp"
#include "feed/connections.hpp"
#include "feed/outages.hpp"
#include "feed/reports.hpp"
#include "feed/seen_rows.hpp"
#include "feed/selection.hpp"
#include "feed/tape.hpp"
#include "feed/thinning.hpp"

namespace mp::deribit {

// A record's bytes, how and when they came.
struct Received {
  ConnectionId connection = 0;  // 0: a REST answer
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
  void opened(ConnectionId connection, WallTime now) { connections_.heard(connection, now); }
  // `reason`: the record's words.
  void closed(ConnectionId connection, std::string_view reason, WallTime now, Events& out);
  // Any frame has come; one that carries data (what it has goes to book() and so on).
  void heard(ConnectionId connection, WallTime now) { connections_.heard(connection, now); }
  void brought(ConnectionId connection, WallTime now) { connections_.brought(connection, now); }
  // A request has been sent; the venue has listed what of it is on now (or off).
  void sent(ConnectionId connection, const RequestFrame& request, WallTime now);
  void answered(ConnectionId connection, const std::vector<std::string_view>& channels, WallTime now, Events& out);

  // The instrument whose book it is, when it is a known one.
  std::optional<Index> book(Frame& frame, const Received& from, Events& out);
  void trades(const Frame& frame, const Received& from, Events& out);
  void ticker(const Frame& frame, const Received& from, Events& out);
  void volatility(const Frame& frame, const Received& from, Events& out);
  // False when the instrument is new to us: its definition is in the venue's list.
  bool instrument_state(const Frame& frame, const Received& from, Events& out);
  // An index's instruments are locked (or are no more): their books stand still.
  void platform_state(const Frame& frame);
  void unreadable(const Error& why, const Received& from, Events& out);

  // REST answers. False when the answer could not be read (then it is a reject).
  // `list` tells the venue's lists apart: the currency that was asked for.
  bool instruments(std::string_view list, const Result<InstrumentList>& reply, const Received& from, Events& out);
  bool volumes(const Result<std::vector<SummaryRow>>& reply, const Received& from, Events& out);
  // `currency` and `resolution` as asked for: "BTC", "60".
  bool volatility_history(std::string_view currency, std::string_view resolution,
                          const Result<VolatilityHistory>& reply, const Received& from, Events& out);
  bool funding_history(std::string_view instrument, const Result<std::vector<FundingRow>>& reply, const Received& from,
                       Events& out);
  // The book by REST, to hold ours against it: published it is never (the channel's first message is the whole book).
  bool audit(std::string_view instrument, Result<RestBook> reply, const Received& from, Events& out);
  // It has been asked for.
  void begin_audit(Index index) { entries_[index].book->begin_audit(); }

  BookAudits& audits() { return audits_; }
  const BookAudits& audits() const { return audits_; }
  // Other instruments, data types or books from now on.
  void reconfigure(const SessionOptions& options, WallTime now, Events& out);

  Reports& reports() { return reports_; }
  const Reports& reports() const { return reports_; }
  const Catalogue& catalogue() const { return catalogue_; }
  const Chooser& chooser() const { return chooser_; }
  bool wants(DataType type) const { return wanted_.contains(type); }
  bool wants_books() const { return wants(DataType::orderbook) || wants(DataType::orderbook_delta); }
  bool wants_tape() const { return wants(DataType::trade) || wants(DataType::liquidation); }
  bool wants_ticker(Index index) const;
  // Its instrument carries this type: no funding but on perpetuals, no open interest on spot.
  bool has(Index index, DataType type) const;
  // nullptr while nothing of its book has come.
  const ChainedBook* book_of(Index index) const { return entries_[index].book.get(); }
  std::optional<WallTime> last_event(Index index, DataType type) const;
  std::uint64_t gaps(Index index, DataType type) const;
  // The venue has stopped its trading for the moment: a silent stream is no failure.
  bool is_locked(Index index) const;
  std::uint64_t duplicates() const { return duplicates_; }

  // The volatility indexes that have come, and when.
  struct VolatilityIndexEntry {
    InstrumentRef ref;
    std::string underlying;
    ConnectionId connection = 0;
    WallTime last_timestamp;
    std::map<std::string, SeenBars, std::less<>> bars;  // by resolution
    StreamCover cover;
    std::optional<WallTime> last_event;
    std::uint64_t outages = 0;  // told since the session was made
  };
  const std::map<std::string, VolatilityIndexEntry, std::less<>>& volatility_indexes() const { return volatility_; }

  // From where on, `least` or later, the history has not been written.
  WallTime volatility_missing_from(std::string_view index_name, std::string_view resolution, WallTime least) const;
  WallTime settled_missing_from(Index index, WallTime least) const;

  void save(StateWriter& out) const;
  void restore(StateReader& in);

 private:
  // What a ticker brought last, so that two connections at once tell it once.
  struct LastTicker {
    ConnectionId connection = 0;
    WallTime timestamp;
  };
  struct Entry {
    explicit Entry(Nanos min_interval) : thinning(min_interval) {}
    Tape tape;
    Thinning thinning;
    std::unique_ptr<ChainedBook> book;
    LastTicker ticker;
    SeenRows settled;  // funding
    // Of its two channels: trades and liquidations come over one, funding and open interest over the other.
    StreamCover tape_cover;
    StreamCover ticker_cover;
    // For /health only.
    std::optional<WallTime> last_trade_at;
    std::optional<WallTime> last_liquidation_at;
    std::optional<WallTime> last_funding_at;
    std::optional<WallTime> last_open_interest_at;
    std::array<std::uint64_t, kDataTypeCount> outages{};
  };

  StreamCover* cover_of(std::string_view channel);
  bool publishes(Index index, DataType type) const;
  bool has_ended(Index index, WallTime at) const;
  void tell(Index index, DataType type, const std::optional<Outage>& outage, WallTime now, Events& out);
  void tell_tape(Index index, const std::optional<Outage>& outage, WallTime now, Events& out);
  void tell_ticker(Index index, const std::optional<Outage>& outage, WallTime now, Events& out);
  void tell(VolatilityIndexEntry& entry, const std::optional<Outage>& outage, WallTime now, Events& out) const;
  void share_gaps(Index index, std::size_t since, Events& out) const;
  void grow();
  std::optional<Index> find(std::string_view venue_symbol, DataType type, const char* combo_channel,
                            const Received& from, Events& out);
  void take(const TradeRow& row, Index index, const Received& from, Events& out);
  void tell_liquidation(const TradeRow& row, Index index, Side side, WallTime now, Events& out);
  void tell_definition(Index index, Events& out);
  VolatilityIndexEntry* volatility_index_of(std::string_view index_name);
  ChainedBook& book_of_mine(Index index);
  Collected collected() const;
  void end_others(const Collected& before, WallTime now, Events& out);
  void note_due(const ChainedBook& book);
  void recompute_due();
  TapeOwner owner(Index index) const { return {catalogue_.ref(index), data_source_}; }
  EventMeta meta(Index index, WallTime timestamp, WallTime now) const {
    return {catalogue_.ref(index), timestamp, now, data_source_};
  }

  DataSource data_source_;
  std::set<DataType> wanted_;
  Nanos min_interval_;
  BookAudits audits_;
  BookRules book_rules_;
  ChainRules chain_rules_;
  Catalogue catalogue_;
  Chooser chooser_;
  std::vector<Entry> entries_;  // by catalogue index
  std::map<std::string, VolatilityIndexEntry, std::less<>> volatility_;
  std::set<std::string, std::less<>> locked_indexes_;  // "btc_usd"; for /health only
  Connections connections_;
  std::optional<WallTime> next_due_;  // the earliest deadline of a conflated picture
  BookUpdate update_;                 // reused
  BookSnapshot snapshot_;             // reused
  Reports reports_;
  std::uint64_t duplicates_ = 0;
};

}  // namespace mp::deribit
