#pragma once
// One look at everything that runs: what each part says of itself at one time. A part that does not answer leaves its
// share empty and says why.

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/operate/metrics_page.hpp"
#include "app/operate/target.hpp"
#include "base/time.hpp"

namespace mp::operate {

// How a part stands.
struct PartState {
  bool answers = false;
  int http_status = 0;
  std::string trouble;  // why it does not answer, or what it says is wrong; "" when it is well
  bool is_well() const { return answers && trouble.empty(); }
};

struct StreamSeen {
  std::string exchange, market_type, data_type, symbol;
  std::string state;
  std::optional<double> last_event_age_seconds;
};

struct CollectorSeen {
  PartState state;
  std::string data_source;
  std::uint64_t uptime_seconds = 0;
  std::uint64_t events = 0, gaps = 0, rejected = 0;
  bool connected = false;
  bool journal_failing = false;
  std::string bus_state;
  bool bus_behind = false;
  std::vector<StreamSeen> streams;
  PartState metrics_state;
  MetricsPage metrics;
};

struct StoredTypeSeen {
  std::string state;
  std::string trouble;
  std::uint64_t waiting = 0;  // on the bus: not given to storage yet, or not acknowledged
  std::uint64_t rows = 0, rejected = 0;
  std::optional<double> last_insert_age_seconds;
  std::optional<double> held_for_seconds{};  // what storage has taken and not stored; nothing: it holds nothing
};

struct StorageSeen {
  PartState state;
  std::string database, stream, data_source;
  std::optional<int> hot_ttl_days;               // as it runs; 0: rows are kept
  std::optional<std::int64_t> nats_max_bytes;    // the stream's bound as it was told
  std::map<std::string, std::uint64_t> foreign;  // rows refused because they are of this other data source
  std::map<std::string, StoredTypeSeen> types;
  PartState metrics_state;
  MetricsPage metrics;
};

struct NatsSeen {
  PartState state;
  std::string version;
  std::optional<WallTime> clock;
  MonoTime clock_read_at{};  // when that answer was here
  bool has_jetstream = false;
  std::string store;                  // folder
  std::uint64_t store_bytes = 0;      // used by all streams
  std::uint64_t store_max_bytes = 0;  // what the server allows
  bool has_stream = false;
  std::uint64_t stream_messages = 0, stream_bytes = 0;
  std::int64_t stream_max_bytes = -1;
  std::optional<WallTime> stream_last_time;
};

struct DiskSeen {
  std::string path;
  std::uint64_t free_bytes = 0, total_bytes = 0;
  std::uint64_t device = 0;  // of this machine, as the kernel numbers file systems; 0: not known
};

struct ClickHouseSeen {
  PartState state;
  int code = 0;  // of ClickHouse, when it refuses
  std::string version;
  bool has_database = false;
  std::vector<DiskSeen> disks;
  std::uint64_t database_bytes = 0, parts = 0;
  struct Gaps {
    std::string exchange, market_type, data_type;
    std::uint64_t count = 0;
  };
  struct Rejects {
    std::string exchange, market_type, data_type;
    std::uint64_t today = 0, lately = 0;
  };
  std::optional<std::vector<Rejects>> rejects;  // rejected_messages of this UTC day and of the last five minutes
  std::optional<std::vector<Gaps>> gaps_today;  // UTC; those that are no edges of a recording and not recovered
};

struct Snapshot {
  Instant at{};
  std::string database;
  CollectorSeen collector;
  StorageSeen storage;
  NatsSeen nats;
  ClickHouseSeen clickhouse;
};

// Asks all parts at the same time; each has `patience`.
Snapshot look(const Target& target, std::chrono::milliseconds patience = std::chrono::milliseconds{3'000});

// ---- pure ----
void read_collector_health(std::string_view json, CollectorSeen& seen);
void read_storage_health(std::string_view json, StorageSeen& seen);
void read_varz(std::string_view json, NatsSeen& seen);
void read_jsz(std::string_view json, const std::string& stream, NatsSeen& seen);

}  // namespace mp::operate
