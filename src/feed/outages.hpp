#pragma once
// Since when nobody certainly listened to a stream: what makes a gap of an outage where the venue
// numbers nothing (liquidations, funding, open interest, indexes), or where no number is known to
// compare with (a tape before its first trade). Functions of the records alone; docs/decisions/0009
// has the rules and why.

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "feed/connections.hpp"
#include "model/market_event.hpp"

namespace mp {

// What a connection had sent before its last frame has come with that, give or take this: the
// venue's streams are not in step to the millisecond, and its clock is not quite ours. So a
// connection's last frame proves its streams whole until this long before.
inline constexpr Nanos kInFlight = std::chrono::seconds{1};

// Nobody listened between these.
struct Outage {
  WallTime start;
  WallTime end;
  GapCause cause{};
  friend bool operator==(const Outage&, const Outage&) = default;
};

// As a row of data_gaps, noticed with the record received at `now`.
void append_outage(const InstrumentRef& instrument, DataType type, DataSource source, const Outage& outage,
                   WallTime now, std::vector<MarketEvent>& out);

// Why a connection has ended, by the words of the record that says so (they begin with a
// CloseReason's).
struct ConnectionEnd {
  GapCause cause{};
  bool replaced = false;  // we ended it when another had taken over: it may have been well to the last
};
ConnectionEnd end_of_connection(std::string_view reason);

// One stream that is pushed (an instrument's data type), over all its connections. Small: there may
// be thousands.
class StreamCover {
 public:
  // An event of it came with `timestamp`. What ends with that, if anything does.
  std::optional<Outage> data(ConnectionId connection, WallTime timestamp, WallTime received_at) {
    if (connection == 0 || connection == given_up_on_) return std::nullopt;
    const auto outage = covered(connection, received_at);
    // A venue's clock may be wrong by any amount: no event proves more than the moment in which it
    // came.
    last_ = std::max(last_, std::min(timestamp, received_at));
    return outage;
  }
  // From here on `connection` certainly brings all of it.
  std::optional<Outage> covered(ConnectionId connection, WallTime now);

  // Where an answer says only which request it is to (Binance): the request that asked for it,
  void asked(ConnectionId connection, std::uint64_t request_id);
  // and its answer. True when it was this stream's.
  bool answered(ConnectionId connection, std::uint64_t request_id);
  // Asked for over `connection`, and answered.
  bool is_answered(ConnectionId connection) const { return answered_ && asked_over_ == connection && connection != 0; }

  // It was unsubscribed from over `connection`, which is open. Nobody does that to a stream that is
  // well: what it was silent for counts.
  void given_up(ConnectionId connection);
  // A connection has ended; `heard`: when it last proved that it lived. Where another has taken over,
  // but only after that: what nobody brought between.
  std::optional<Outage> closed(const Connections::Heard& heard, const ConnectionEnd& end);
  // A collector begins. `connections`: as they were before.
  void begin(const Connections& connections);
  // What is missing up to now, while nobody brings it.
  std::optional<Outage> open(WallTime now) const;
  // It is not collected any more: what is missing up to now, if anything is. Forgets everything.
  std::optional<Outage> ended(WallTime now);

  ConnectionId newest_carrier() const { return carriers_[0]; }
  bool is_carried() const { return carriers_[0] != 0; }
  bool is_carried_by(ConnectionId connection) const {
    return connection != 0 && (carriers_[0] == connection || carriers_[1] == connection);
  }

  void save(StateWriter& out) const;
  void restore(StateReader& in);

 private:
  struct Interrupted {
    WallTime since;
    GapCause cause{};
  };
  bool let_go(ConnectionId connection);
  void interrupted(WallTime since, GapCause cause) { interrupted_ = Interrupted{since, cause}; }

  // The newest first. Two: while a connection is replaced both bring everything.
  std::array<ConnectionId, 2> carriers_{};
  ConnectionId asked_over_ = 0;
  ConnectionId given_up_on_ = 0;
  std::uint64_t asked_id_ = 0;
  bool answered_ = false;
  WallTime last_{};  // whole until then, by its own events
  // When the newest carrier took over beside the other: by its own events whole until `before_`, and
  // covered by the newest since `since_`.
  WallTime before_{};
  WallTime since_{};
  std::optional<Interrupted> interrupted_;  // and was covered before that
};

// One series of values that is asked for by REST, each answer the value of its moment (open
// interest). How often, the answers show: the longest of the latest pauses.
class SampledSeries {
 public:
  // The first pauses of a schedule are shorter than the later ones. Before so many the longest that
  // is usual is assumed.
  static constexpr std::uint64_t kPausesToKnow = 3;
  static constexpr Nanos kLongestUsual = std::chrono::minutes{5};

  // A usable answer came: after more than two of its usual pauses, what was missed.
  std::optional<Outage> answered(WallTime now);
  // A collector begins: from now on it is asked for again.
  std::optional<Outage> begin(WallTime now);
  void forget() { *this = {}; }

  void save(StateWriter& out) const;
  void restore(StateReader& in);

 private:
  std::optional<WallTime> last_;
  bool is_answer_ = false;    // last_ is that of an answer (not of a beginning)
  std::uint64_t pauses_ = 0;  // seen, up to kPausesToKnow
  Nanos pause_{0};
};

// One instrument's streams that are pushed and need this.
class StreamCovers {
 public:
  static constexpr std::array kTypes{DataType::trade, DataType::funding_rate, DataType::open_interest,
                                     DataType::liquidation};
  static constexpr bool has(DataType type) { return type >= kTypes.front() && type <= kTypes.back(); }

  StreamCover& of(DataType type) {
    return covers_[static_cast<std::size_t>(type) - static_cast<std::size_t>(kTypes[0])];
  }
  // `tell`: of a data type and what nobody brought of it.
  template <class Tell>
  void closed(const Connections::Heard& heard, const ConnectionEnd& end, Tell tell) {
    for (const auto type : kTypes)
      if (const auto outage = of(type).closed(heard, end)) tell(type, *outage);
  }
  void begin(const Connections& connections) {
    for (auto& each : covers_) each.begin(connections);
  }
  void save(StateWriter& out) const {
    for (const auto& each : covers_) each.save(out);
  }
  void restore(StateReader& in) {
    for (auto& each : covers_) each.restore(in);
  }

 private:
  static_assert(static_cast<int>(kTypes.back()) - static_cast<int>(kTypes.front()) + 1 == kTypes.size());
  std::array<StreamCover, kTypes.size()> covers_;
};

// The length of a venue's period ("5m", "1H", "1D", "12Hutc"); nothing for what is none.
std::optional<Nanos> period_length(std::string_view period);

// One series of rows on a grid of time, of which the history is asked for (ratios).
class GridSeries {
 public:
  // The row of `at` follows that of `last` (nothing: it is the first). What is missing between
  // them.
  std::optional<Outage> row(const std::optional<WallTime>& last, WallTime at, const std::optional<Nanos>& period);
  // A collector begins: a hole that shows at the next row is due to that.
  void begin() { was_down_ = true; }
  // It is not collected any more: should it come back, no hole before that counts.
  void ended() { is_over_ = true; }

  void save(StateWriter& out) const {
    out.put(was_down_);
    out.put(is_over_);
  }
  void restore(StateReader& in) {
    was_down_ = in.flag();
    is_over_ = in.flag();
  }

 private:
  bool was_down_ = false;
  bool is_over_ = false;
};

}  // namespace mp
