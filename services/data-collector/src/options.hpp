#pragma once
// What a collector is told: the effective values, wherever they came from.

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "feed/session_options.hpp"

namespace mp::collector {

struct JournalOptions {
  std::string directory;  // of this collector alone
  std::chrono::milliseconds fsync_interval{1000};
  std::chrono::minutes keep_acknowledged{24 * 60};
  std::uint64_t keep_bytes = 20ull << 30;
  std::uint64_t segment_bytes = 256ull << 20;
  std::chrono::seconds segment_age{600};
};

struct BusOptions {
  std::string url = "nats://127.0.0.1:4222";
  std::string stream = "MARKET_DATA";
  std::string user, password, token, credentials_file, tls_ca_file;
  std::uint64_t max_bytes = 8ull << 30;  // of the stream
  std::chrono::seconds duplicate_window{120};
  bool journal_id_is_random = true;               // false for play-back, whose journal is named by its files
  std::size_t max_outstanding_bytes = 32u << 20;  // offered and not yet acknowledged; beyond, the journal waits
};

struct PlaybackOptions {
  std::vector<std::string> files;  // capture JSON lines; empty: no play-back
  double speed = 1;                // 0: as fast as it goes
};

struct CollectorOptions {
  DataSource data_source = DataSource::live;
  std::vector<SessionOptions> sources;  // empty for play-back: they come from the files
  JournalOptions journal;
  BusOptions bus;
  PlaybackOptions playback;
  std::string health_listen = "127.0.0.1:8086";
  std::string metrics_listen = "127.0.0.1:9093";
  std::string ca_file;
  bool compression = true;
  // How each source is reached, as net::proxy_for() takes it; one that is not named: as the environment says.
  std::map<Source, std::string> proxies;
  bool exit_when_done = false;   // play-back only: end when everything is acknowledged
  std::string final_books_file;  // at the end every book held is written here, all levels, as JSON lines
  std::string end_report_file;   // at the end what was lost, left or not played is written here, as JSON; "": nowhere
  std::chrono::seconds drain_timeout{20};  // at the end: how long to wait for the bus
};

}  // namespace mp::collector
