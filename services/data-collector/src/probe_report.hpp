#pragma once
// What `marketprism probe` found out, judged and put into words. Pure.

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "feed/session.hpp"

namespace mp::collector {

// One instrument's data type.
struct ProbeStream {
  InstrumentRef instrument;
  DataType type{};
  StreamState state{};
  std::optional<std::chrono::milliseconds> first_data;  // after the probe's start
  std::uint64_t messages = 0;                           // events of ours
};

struct ProbeSource {
  Source source;
  std::vector<DataType> wanted;
  std::optional<std::chrono::milliseconds> connected;  // after the probe's start, when the first socket opened
  std::vector<ProbeStream> streams;
  std::uint64_t frames = 0;
  std::uint64_t rest_answers = 0;
  std::uint64_t rest_failures = 0;  // no answer, or one of HTTP 4xx or 5xx
  std::uint64_t decode_failures = 0;
  std::vector<std::string> failure_reasons;                    // the first few
  std::vector<std::pair<std::string, std::uint64_t>> unknown;  // fields and words that are new to us
  std::vector<std::string> problems;                           // what the session told as an error or a warning
  // Our clock less the venue's newest stamp, the least of all events: the clocks' difference and the shortest way.
  std::optional<Nanos> clock_offset;
};

// Types that come when something happens, not at a pace: none within a probe's time is no fault.
bool is_occasional(DataType type);

// What is wrong with a source, one sentence each; empty: it speaks what we understand.
std::vector<std::string> faults_of(const ProbeSource& source);

// The table for people, with a line of findings for each source; and the same for programs.
std::string probe_table(const std::vector<ProbeSource>& sources);
std::string probe_json(const std::vector<ProbeSource>& sources);

}  // namespace mp::collector
