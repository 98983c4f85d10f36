#pragma once
// What `marketprism status` shows, from two looks at everything: rates and delays are those between them. Pure.

#include <optional>
#include <string>
#include <vector>

#include "app/operate/snapshot.hpp"
#include "app/operate/terminal.hpp"

namespace mp::operate {

struct SourceRow {
  std::string exchange, market, data_type;
  std::optional<double> events_per_second;
  std::optional<double> last_event_age_seconds;  // of its newest stream
  std::uint64_t streams = 0, live_streams = 0;
  std::optional<std::uint64_t> gaps_today;
  std::optional<std::uint64_t> rejected_today, rejected_lately;  // lately: within five minutes
};

struct TypeRow {
  std::string data_type, state;
  std::optional<double> rows_per_second;
  std::optional<double> rows_per_batch;
  std::uint64_t waiting = 0;
  std::optional<double> bus_to_table_p50, bus_to_table_p99;  // seconds
};

struct Hop {
  std::string name;                // "venue→socket"
  std::optional<double> p50, p99;  // seconds
  std::string note;
};

struct DiskRow {
  std::string use;
  std::optional<std::uint64_t> used_bytes, free_bytes, total_bytes;
  std::string note;
};

struct PartRow {
  std::string name;
  bool answers = false, is_well = false;
  std::string detail;
};

struct StatusView {
  WallTime at;
  std::string data_source, database;
  double interval_seconds = 0;
  std::vector<PartRow> parts;
  std::vector<SourceRow> sources;
  std::vector<TypeRow> types;
  std::vector<Hop> hops;
  std::vector<DiskRow> disks;
  std::vector<std::string> problems;  // what is unwell; exit status 1 when there is any
};

StatusView status_view(const Snapshot& before, const Snapshot& now);
std::string status_screen(const StatusView& view, const Screen& screen);
std::string status_json(const StatusView& view);  // one line

// The market of a source that this market type belongs to: of its name, else the last (Binance's "derivatives").
std::string market_of(const std::string& exchange, const std::string& market_type);

}  // namespace mp::operate
