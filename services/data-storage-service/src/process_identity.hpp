#pragma once
// Which process of which machine: so that a lease of a process that is known to be dead need not be waited for.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace mp::storage {

struct ProcessIdentity {
  std::string host;  // the host's name
  std::string boot;  // the kernel's boot id: another machine, or the same one started again, has another one
  // The kernel's numbers of the pid and time namespaces: containers on one kernel share the boot id, and perhaps the
  // host's name, but a pid (and a start time) means something only inside its namespace.
  std::string spaces;
  std::int64_t pid = 0;
  std::uint64_t started = 0;  // clock ticks since the boot: a pid is used again, with another start

  // "host/pid started=N boot=ID ns=PID-TIME", one line, for people too.
  std::string text() const;
  static std::optional<ProcessIdentity> parse(std::string_view text);
  friend bool operator==(const ProcessIdentity&, const ProcessIdentity&) = default;
};

// This process. Nothing when the system does not tell all of it (no /proc, or one of another pid namespace).
// Any thread; reads /proc.
std::optional<ProcessIdentity> own_identity();

// Whether `other` was a process of this machine, boot and namespaces and does not run any more. False when in doubt.
bool is_known_dead(const ProcessIdentity& own, const ProcessIdentity& other);

}  // namespace mp::storage
