#pragma once
// What is wrong with an installation and how to mend it: the trouble-shooting section of the guide as a program.

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "app/operate/snapshot.hpp"
#include "app/operate/target.hpp"
#include "app/operate/terminal.hpp"

namespace mp::operate {

enum class Severity { note, warning, error };
const char* to_string(Severity severity);

struct Finding {
  std::string id;  // stable: "clickhouse_down"; docs/operations.md lists all
  Severity severity{};
  std::string what;                     // what is wrong, with what was seen
  std::string cure;                     // what mends it
  std::vector<std::string> commands{};  // that do it, as they can be typed
};

// What was looked at.
struct Check {
  std::string name;
  enum class Result { fine, found, skipped } result = Result::fine;
  std::string detail;  // what was seen, or why it was skipped
};

struct Diagnosis {
  WallTime at;
  std::vector<Finding> findings;  // the worst first
  std::vector<Check> checks;
};

// 0: nothing but notes; 3: warnings; 4: errors. (1 and 2 are failure and wrong usage, as everywhere.)
int exit_status(const Diagnosis& diagnosis);
std::string diagnosis_text(const Diagnosis& diagnosis, const Screen& screen);
std::string diagnosis_json(const Diagnosis& diagnosis);  // one line

// What only the machine itself can say; tests put others in its place.
struct Machine {
  std::function<Instant()> now;
  // Nothing when it cannot be told.
  std::function<std::optional<DiskSeen>(const std::string& folder)> disk;
  // Whether the kernel's clock is kept right by anybody.
  std::function<std::optional<bool>()> clock_is_synchronised;
  // What mends the clock here, as it can be typed; none where it is another's (a container's host).
  std::function<std::vector<std::string>()> clock_commands;
};
Machine this_machine();

struct DoctorOptions {
  Target target;
  bool offline = false;  // venues elsewhere are not tried
  std::chrono::milliseconds patience{3'000};
  Machine machine = this_machine();
};
Diagnosis examine(const DoctorOptions& options);

// ---- pure ----

// Seconds by which this machine's clock is ahead of another's; behind is negative.
struct ClockOffset {
  std::string of;  // "NATS", "api.binance.com"
  double seconds = 0;
  double doubt = 0;  // how far it may be off
};
// `commands`: Machine::clock_commands.
std::optional<Finding> judge_clocks(const std::vector<ClockOffset>& offsets, std::optional<bool> is_synchronised,
                                    const std::vector<std::string>& commands);
// What there is on a machine to keep its clock right.
struct ClockTools {
  bool is_container = false;
  bool is_root = false;
  bool has_systemd = false;    // it runs
  bool has_chrony = false;     // chronyc
  bool has_timesyncd = false;  // systemd's own
};
std::vector<std::string> clock_commands(const ClockTools& tools);
// What lies on a disk: "the journal" and its folder; "" when that is not on this machine.
struct DiskUse {
  std::string use;
  std::string folder;
};
std::optional<Finding> judge_disk(const std::vector<DiskUse>& uses, const DiskSeen& disk);
// The streams of each source that bring nothing. `reasons`: why, by exchange, where it is known.
std::vector<Finding> judge_streams(const CollectorSeen& collector, const std::map<std::string, std::string>& reasons);
// "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 5.6.7).
std::optional<WallTime> parse_http_date(std::string_view text);

}  // namespace mp::operate
