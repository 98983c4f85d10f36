#pragma once
// What is shown while it runs: a table in a terminal, a line now and then elsewhere. Pure.

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "app/launcher/observe.hpp"
#include "app/launcher/supervisor.hpp"

namespace mp::launcher {

struct PartStatus {
  std::string name;
  PartView view;
  int pid = 0;  // 0: does not run
  std::string problem;
};

struct FlowStatus {
  std::optional<double> events_per_second;
  std::optional<double> rows_per_second;
  std::optional<std::uint64_t> events;
  std::optional<std::uint64_t> rows;
  std::optional<std::uint64_t> waiting;  // bus messages that storage has not acknowledged
  std::optional<std::uint64_t> gaps;
  std::optional<std::uint64_t> rejected;
  std::optional<std::uint64_t> streams;
  std::optional<std::uint64_t> live_streams;
};

struct Status {
  std::chrono::seconds uptime{0};
  std::vector<PartStatus> parts;
  FlowStatus flow;
};

std::string status_table(const Status& status);  // several lines, each ended
std::string status_line(const Status& status);   // one, without the line end

// Rates from a counter's readings, over the last few seconds; a counter that fell (restart) begins anew.
class Rate {
 public:
  void add(std::optional<std::uint64_t> count, MonoTime at);
  std::optional<double> per_second() const;

 private:
  struct Reading {
    std::uint64_t count;
    MonoTime at;
  };
  std::vector<Reading> readings_;
};

}  // namespace mp::launcher
