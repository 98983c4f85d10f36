#include "data-storage-service/src/process_identity.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace mp::storage {
namespace {

namespace fs = std::filesystem;

struct ProcessState {
  char state = '?';
  std::uint64_t threads = 0;
  std::uint64_t started = 0;
};

// /proc/PID/stat: "PID (NAME) STATE ..."; the name may hold blanks and brackets. proc(5): state is field 3,
// num_threads 20, starttime 22.
std::optional<ProcessState> state_of(const std::string& pid) {
  std::ifstream file("/proc/" + pid + "/stat");
  std::string line;
  if (!std::getline(file, line)) return std::nullopt;
  const auto name_end = line.rfind(')');
  if (name_end == std::string::npos) return std::nullopt;
  std::istringstream fields(line.substr(name_end + 1));
  ProcessState state;
  std::string skipped;
  fields >> state.state;
  for (int field = 4; field < 20; ++field) fields >> skipped;
  fields >> state.threads >> skipped >> state.started;
  if (!fields) return std::nullopt;
  return state;
}

// "pid:[4026531836]" -> "4026531836"
std::string name_space(const char* kind) {
  std::error_code error;
  const auto link = fs::read_symlink(fs::path("/proc/self/ns") / kind, error).string();
  const auto begin = link.find('[');
  if (error || begin == std::string::npos || !link.ends_with(']')) return "";
  return link.substr(begin + 1, link.size() - begin - 2);
}

std::string boot_id() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string line;
  std::getline(file, line);
  return line;
}

// What follows `key` up to the next blank; "" when it is not there.
std::string value_of(std::string_view text, std::string_view key) {
  const auto at = text.find(key);
  if (at == std::string_view::npos) return "";
  const auto value = text.substr(at + key.size());
  return std::string(value.substr(0, value.find(' ')));
}

template <class Number>
bool read_number(std::string_view text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} && end == text.data() + text.size();
}

}  // namespace

std::string ProcessIdentity::text() const {
  return fmt::format("{}/{} started={} boot={} ns={}", host, pid, started, boot, spaces);
}

std::optional<ProcessIdentity> ProcessIdentity::parse(std::string_view text) {
  const auto slash = text.find('/');
  const auto blank = text.find(' ');
  if (slash == std::string_view::npos || blank == std::string_view::npos || blank < slash) return std::nullopt;
  ProcessIdentity out;
  out.host = text.substr(0, slash);
  out.boot = value_of(text, " boot=");
  out.spaces = value_of(text, " ns=");
  const bool has_numbers = read_number(text.substr(slash + 1, blank - slash - 1), out.pid) &&
                           read_number(value_of(text, " started="), out.started);
  if (!has_numbers || out.host.empty() || out.boot.empty() || out.spaces.empty() || out.pid <= 0) return std::nullopt;
  return out;
}

std::optional<ProcessIdentity> own_identity() {
  ProcessIdentity own;
  std::array<char, 256> host{};
  ::gethostname(host.data(), host.size() - 1);
  own.host = host.data();
  own.pid = ::getpid();
  own.boot = boot_id();
  const auto pid_space = name_space("pid");
  const auto time_space = name_space("time");  // kernels before 5.6 have none
  const bool has_host = !own.host.empty() && own.host.find_first_of("/ ") == std::string::npos;
  if (!has_host || own.boot.empty() || pid_space.empty()) return std::nullopt;
  own.spaces = pid_space + "-" + time_space;
  // A /proc of another pid namespace would show other processes under our numbers.
  std::error_code error;
  if (fs::read_symlink("/proc/self", error) != std::to_string(own.pid) || error) return std::nullopt;
  const auto state = state_of("self");
  if (!state) return std::nullopt;
  own.started = state->started;
  return own;
}

bool is_known_dead(const ProcessIdentity& own, const ProcessIdentity& other) {
  if (own.host != other.host || own.boot != other.boot || own.spaces != other.spaces) return false;
  if (::kill(static_cast<pid_t>(other.pid), 0) != 0 && errno == ESRCH) return true;
  const auto state = state_of(std::to_string(other.pid));
  if (!state) return false;                          // hidden from us, or ending just now
  if (state->started != other.started) return true;  // the number was given to another process
  // Ended, and not yet collected by its parent; the first thread alone may end before the others.
  return (state->state == 'Z' || state->state == 'X') && state->threads <= 1;
}

}  // namespace mp::storage
