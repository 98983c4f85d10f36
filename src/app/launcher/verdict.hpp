#pragma once
// Did what went over the bus in this run reach ClickHouse, all of it and once? The questions (SQL) and the judgement;
// pure. A row says where it stood on the bus, so the proof needs nobody's counters: each sequence number of the
// run is looked for in the tables.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/launcher/observe.hpp"
#include "base/time.hpp"

namespace mp::launcher {

// The part of the stream that this run wrote.
struct BusRange {
  WallTime stream_created;
  std::uint64_t after = 0;  // the last sequence before the run
  std::uint64_t last = 0;
};

struct TableCount {
  std::uint64_t rows = 0;
  std::uint64_t places = 0;  // distinct (bus_sequence, bus_index)
};

struct Findings {
  std::map<std::string, TableCount> tables;
  std::uint64_t missing_messages =
      0;  // without those that only told gaps which newer rows tell, and those stored before
  std::uint64_t stored_before =
      0;  // messages published again, all of whose events were stored from a stream that is gone
  std::vector<std::string> gaps;  // one line each, at most a handful
  std::uint64_t gap_count = 0;
  std::optional<Unpublished> unpublished;  // nothing: the collector did not say
  bool must_report = false;                // a collector that ended in order has said it
  // Where there is no row of this stream: what else is known.
  bool bus_says_stored = false;      // storage has acknowledged all of these messages
  std::uint64_t rows_of_others = 0;  // trades and changes of books in the database, of other streams
  std::string data;                  // the data folder
  bool is_playback = false;
  bool must_play_to_end = false;  // recordings that were cut short are no success
};

// "12 events (3 of them gaps) are not published yet …"; "" when there are none.
std::string unpublished_text(const Unpublished& unpublished);

// Market data of all streams, one number.
std::string sql_all_rows(const std::string& database);

// One SELECT each; the answers are tab-separated lines.
std::string sql_counts(const std::string& database, const BusRange& range);
std::string sql_missing(const std::string& database, const BusRange& range);
// The sequences that sql_missing() counted, a line each, at most `limit`.
std::string sql_missing_sequences(const std::string& database, const BusRange& range, std::size_t limit);
// Which of these gaps the database knows: their ids, a line each.
std::string sql_known_gaps(const std::string& database, const std::vector<std::string>& gap_ids);
// Which of these places have a row, as "<table>|<exchange>|<market_type>|<symbol>|<received_at in ns>", a line each.
// All of one table.
std::string sql_known_events(const std::string& database, const std::string& table,
                             const std::vector<WallTime>& received_at);
// `since`: only gaps that begin in this run count (the time between two runs is no loss of this one); nothing: all.
std::string sql_gaps(const std::string& database, const BusRange& range, std::optional<WallTime> since);
void read_counts(std::string_view answer, Findings& findings);
void read_missing(std::string_view answer, Findings& findings);
std::vector<std::uint64_t> read_sequences(std::string_view answer);
void read_gaps(std::string_view answer, Findings& findings);

struct Verdict {
  bool good = false;
  std::vector<std::string> lines;  // for people; the last one says why not, if not
};
Verdict judge(const Findings& findings, const BusRange& range, int restarts);

}  // namespace mp::launcher
