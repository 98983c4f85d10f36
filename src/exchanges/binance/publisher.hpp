#pragma once
// What a Binance session publishes: catalogue, tapes, books and the other types. A function of the records alone; it
// knows of connections only what the records tell, and asks for nothing (that is conversation.hpp).

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "exchanges/binance/depth_feed.hpp"
#include "feed/catalogue.hpp"
#include "feed/collected.hpp"
#include "feed/connections.hpp"
#include "feed/outages.hpp"
#include "feed/reports.hpp"
#include "feed/seen_rows.hpp"
#include "feed/selection.hpp"
#include "feed/tape.hpp"
#include "feed/thinning.hpp"

namespace mp::binance {

// A record's bytes, when they came, and over which connection (0: none).
struct Received {
  std::string_view raw;
  WallTime at;
  ConnectionId connection = 0;
};

class Publisher {
 public:
  using Index = Catalogue::Index;
  using Events = std::vector<MarketEvent>;
  enum class SnapshotResult { applied, too_old, not_newer, unknown_symbol, unreadable };

  Publisher(const SessionOptions& options, Market market);
  Publisher(const Publisher&) = delete;
  Publisher& operator=(const Publisher&) = delete;

  // Call first for every record: what was due before it.
  void show_due(WallTime now, std::vector<MarketEvent>& out);

  void begin(WallTime now, Events& out);
  void opened(ConnectionId connection, WallTime now);
  // `reason`: the record's words.
  void closed(ConnectionId connection, std::string_view reason, WallTime now, Events& out);
  // Any frame has come; one that carries data (what it has goes to trade() and so on).
  void heard(ConnectionId connection, WallTime now) { connections_.heard(connection, now); }
  void brought(ConnectionId connection, WallTime now, Events& out);
  // A request has been sent; it has been answered with yes.
  void sent(ConnectionId connection, const RequestFrame& request, WallTime now);
  void answered(ConnectionId connection, std::uint64_t request_id, WallTime now, Events& out);
  // The symbol whose stream this frame belongs to, when it is a known one.
  std::optional<Index> trade(Frame& frame, const Received& from, Events& out);
  std::optional<Index> depth(Frame& frame, const Received& from, Events& out);
  std::optional<Index> liquidation(const Frame& frame, const Received& from, Events& out);
  // Those of the rows that are known, to `seen`.
  void mark_prices(const Rows<MarkPriceRow>& rows, const Received& from, Events& out, std::vector<Index>& seen);

  // REST answers.
  SnapshotResult snapshot(std::string_view venue_symbol, Result<DepthReply> reply, const Received& from, Events& out);
  void begin_audit(Index index) { entries_[index].depth->begin_audit(); }
  // An answer that was asked for to hold our book against it: published it is never. False where there is no synced
  // book, for which it is a snapshot like any other.
  bool audit(std::string_view venue_symbol, Result<DepthReply>& reply, const Received& from, Events& out);
  // False when the answer could not be read (then it is a reject).
  bool exchange_info(const Result<ExchangeInfo>& reply, const Received& from, Events& out);
  // The venue's volumes of 24 hours.
  bool volumes(const Result<std::vector<InstrumentVolume>>& reply, const Received& from, Events& out);
  bool funding_info(const Result<Rows<FundingInfoRow>>& reply, const Received& from, Events& out);
  bool settled_funding(const Result<Rows<SettledFundingRow>>& reply, const Received& from, Events& out);
  bool premium_index(const Result<Rows<MarkPriceRow>>& reply, const Received& from, Events& out);
  bool open_interest(const Result<OpenInterestRow>& reply, const Received& from, Events& out);
  // `type`: lsr_top_position or lsr_all_account, by the endpoint; `period` as asked for ("5m").
  bool ratios(DataType type, std::string_view period, const Result<Rows<RatioRow>>& reply, const Received& from,
              Events& out);
  void unreadable(const Error& why, const Received& from, Events& out);

  BookAudits& audits() { return audits_; }
  const BookAudits& audits() const { return audits_; }
  // Other instruments, data types or books from now on.
  void reconfigure(const SessionOptions& options, WallTime now, Events& out);

  Reports& reports() { return reports_; }
  const Reports& reports() const { return reports_; }
  std::optional<WallTime> next_due() const { return next_due_; }
  const Catalogue& catalogue() const { return catalogue_; }
  // What is collected, and what of it the venue has.
  const Chooser& chooser() const { return chooser_; }
  // nullptr while nothing of its book has come.
  const DepthFeed* depth_of(Index index) const { return entries_[index].depth.get(); }
  bool wants(DataType type) const { return wanted_types_[static_cast<std::size_t>(type)]; }
  bool wants_books() const { return wants(DataType::orderbook) || wants(DataType::orderbook_delta); }
  // Does the configuration ask for this type, and can this instrument have it?
  bool publishes(Index index, DataType type) const;
  // The venue's time of the last row of a history that is polled: ratios, settled funding (funding_rate).
  std::optional<WallTime> last_row(Index index, DataType type) const;
  // For /health: when its last event was received (thinned ones count), and gaps since the session was made.
  std::optional<WallTime> last_event(Index index, DataType type) const;
  std::uint64_t gaps(Index index, DataType type) const;
  std::uint64_t duplicates() const { return duplicates_; }

  void save(StateWriter& out) const;
  void restore(StateReader& in);

 private:
  struct Entry {
    explicit Entry(Nanos min_interval) : thinning(min_interval) {}
    Tape aggregated;  // aggregated and single trades are different series of ids
    Tape single;
    ConnectionId depth_connection = 0;  // that brought the last new update, in the book or ahead of it
    ConnectionId book_connection = 0;   // that brought the last one in the book
    std::unique_ptr<DepthFeed> depth;
    Thinning thinning;
    ConnectionId mark_connection = 0;  // that brought the last mark price, and its time
    WallTime mark_time{};
    SeenRows settled;
    SeenRows settled_special;  // may stand beside a regular one of the same time
    SeenRows open_interest;
    SeenRows top_position;
    SeenRows all_account;
    StreamCovers covers;
    SampledSeries open_interest_samples;
    GridSeries top_position_grid;
    GridSeries all_account_grid;
    // For /health only; not saved.
    std::array<std::optional<WallTime>, kDataTypeCount> last{};
    std::array<std::uint64_t, kDataTypeCount> outages{};
  };

  DepthFeed& depth_feed(Index index);
  Collected collected() const;
  void end_others(const Collected& before, WallTime now, Events& out);
  void grow();
  TapeOwner owner(Index index) const { return {catalogue_.ref(index), data_source_}; }
  std::optional<DataType> type_of_stream(std::string_view name) const;
  std::vector<Index> instruments_of_stream(std::string_view name) const;
  void cover(Index index, DataType type, ConnectionId connection, WallTime now, Events& out);
  void tell(Index index, DataType type, const std::optional<Outage>& outage, WallTime now, Events& out);
  void tell_unless_numbered(Index index, DataType type, const std::optional<Outage>& outage, WallTime now, Events& out);
  bool has_ended(Index index, WallTime at) const;
  bool foreign(std::optional<std::int64_t> st);
  std::optional<Index> find(std::string_view venue_symbol, DataType type, const Received& from, Events& out);
  std::optional<Index> mark_price(const MarkPriceRow& row, const Received& from, Events& out);
  std::optional<Decimal> funding_hours(Index index) const;
  template <class Reply>
  bool readable(const Result<Reply>& reply, DataType type, const Received& from, Events& out);
  template <class Row>
  void reject_unreadable(const Rows<Row>& rows, DataType type, const Received& from, Events& out);
  bool refuse_distant(Index index, DataType type, WallTime timestamp, const Received& from, Events& out);
  template <class Event>
  Event& emit(Index index, WallTime timestamp, const Received& from, Events& out);
  template <class Event>
  void publish_thinned(Index index, Event event, Events& out);
  std::optional<WallTime>& last_of(Index index, DataType type) {
    return entries_[index].last[static_cast<std::size_t>(type)];
  }
  void note_due(const DepthFeed& feed);
  void recompute_due();

  Market market_;
  DataSource data_source_;
  Nanos min_interval_;
  std::array<bool, kDataTypeCount> wanted_types_{};
  BookAudits audits_;
  BookRules rules_;
  Catalogue catalogue_;
  Chooser chooser_;
  std::vector<Entry> entries_;  // by catalogue index
  Connections connections_;
  std::optional<WallTime> next_due_;  // the earliest deadline of a conflated picture
  SeenKeys liquidations_seen_;
  // Of all symbols, since any of them may be listed or chosen later; nothing until fundingInfo has come.
  std::optional<std::map<std::string, Decimal, std::less<>>> adjusted_hours_;
  BookUpdate update_;  // reused
  std::string key_;    // reused
  Reports reports_;
  std::uint64_t duplicates_ = 0;
};

}  // namespace mp::binance
